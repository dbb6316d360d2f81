"""Groups with their methods and options, split groups, backends by device, meeting places of one's own."""

import datetime
import logging

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed.remote_device import _remote_device


def work(rank, size):
    got = {}
    world = dist.group.WORLD
    x = fb.full((2,), float(rank))
    world.allreduce([x]).wait()
    got["sum"] = x.tolist()
    options = dist.AllreduceOptions()
    options.reduceOp = dist.ReduceOp.MAX
    world.allreduce([x := fb.full((2,), float(rank))], options)
    got["max"] = x.tolist()
    world.allreduce(x := fb.full((1,), float(rank)), dist.ReduceOp.MIN)
    got["min"] = x.tolist()
    options = dist.BroadcastOptions()
    options.rootRank = 1
    world.broadcast([x := fb.full((1,), float(rank))], options)
    got["broadcast"] = x.tolist()
    options = dist.ReduceOptions()
    options.rootRank, options.reduceOp = 2, dist.ReduceOp.PRODUCT
    world.reduce([x := fb.full((1,), float(rank + 1))], options)
    got["reduce"] = x.tolist() if rank == 2 else None
    outputs = [fb.zeros(1) for _ in range(size)]
    world.allgather([outputs], [fb.full((1,), float(rank))])
    got["allgather"] = [o.item() for o in outputs]
    world.gather([outputs] if rank == 0 else [], [fb.full((1,), rank * 2.0)], dist.GatherOptions())
    got["gather"] = [o.item() for o in outputs] if rank == 0 else None
    world.scatter([x := fb.zeros(1)], [outputs] if rank == 0 else [], dist.ScatterOptions())
    got["scatter"] = x.item()
    inputs = [fb.full((1,), float(rank + k)) for k in range(size)]
    world.reduce_scatter([x := fb.zeros(1)], [inputs], dist.ReduceScatterOptions())
    got["reduce_scatter"] = x.item()
    world.alltoall(outputs, inputs, dist.AllToAllOptions())
    got["alltoall"] = [o.item() for o in outputs]
    world.alltoall_base(joined := fb.zeros(size), fb.cat(inputs), [], [])
    assert joined.tolist() == got["alltoall"]
    world.barrier(dist.BarrierOptions()).wait()
    if rank == 0:
        world.send([fb.ones(1)], 1, 3)
    elif rank == 1:
        world.recv([x := fb.zeros(1)], 0, 3)
        assert x.item() == 1
    options = dist.BroadcastOptions()
    options.rootRank = 7
    with pytest.raises(RuntimeError, match="ProcessGroupGloo::broadcast: invalid root rank: 7"):
        world.broadcast([x], options)

    dist.all_gather_single(joined := fb.zeros(size), fb.full((1,), float(rank)))
    got["all_gather_single"] = joined.tolist()
    dist.reduce_scatter_single(x := fb.zeros(1), fb.arange(float(size)))
    got["reduce_scatter_single"] = x.tolist()
    lists = [[fb.zeros(2), fb.zeros(1)] for _ in range(size)]
    dist.all_gather_coalesced(lists, [fb.full((2,), float(rank)), fb.tensor([rank + 10.0])])
    got["all_gather_coalesced"] = [[t.tolist() for t in tensors] for tensors in lists]

    assert dist.get_pg_count() == 1
    part = dist.split_group(split_ranks=[[0, 2]])
    got["split"] = None if part is None else (part.rank(), part.size(), dist.get_process_group_ranks(part))
    if part is not None:
        dist.all_reduce(x := fb.full((1,), float(rank)), group=part)
        assert x.item() == 2
    dist.new_group([0, 1])
    assert dist.get_pg_count() == 3
    for wrong, message in (
        (None, "split_ranks cannot be None or empty"),
        ([[0, 0]], "cannot have duplicate ranks"),
        ([[0, 5]], "ranks of the group are 0 to 2"),
    ):
        with pytest.raises(ValueError, match=message):
            dist.split_group(split_ranks=wrong)
    with pytest.raises(TypeError, match="does not support shrinking operations"):
        dist.shrink_group([2])
    with pytest.raises(ValueError, match="ranks_to_exclude cannot be empty"):
        dist.shrink_group([])
    dist.breakpoint(rank=size)  # of nobody: all go on
    with dist.record_comm("mine"):
        dist.barrier()
    return got


def test_methods_of_groups(together):
    found = together(work, 3)
    for rank, got in enumerate(found):
        assert got["sum"] == [3, 3] and got["max"] == [2, 2] and got["min"] == [0] and got["broadcast"] == [1]
        assert got["allgather"] == [0, 1, 2] and got["scatter"] == 2 * rank
        assert got["reduce_scatter"] == 3 + 3 * rank and got["alltoall"] == [rank, rank + 1, rank + 2]
        assert got["all_gather_single"] == [0, 1, 2] and got["reduce_scatter_single"] == [3.0 * rank]
        assert got["all_gather_coalesced"] == [[[k, k], [k + 10]] for k in range(3)]
    assert found[2]["reduce"] == [6] and found[0]["gather"] == [0, 2, 4]
    assert [got["split"] for got in found] == [(0, 2, [0, 2]), None, (1, 2, [0, 2])]


def test_options():
    for name in ("AllToAll", "Allreduce", "AllreduceCoalesced", "Barrier", "Broadcast", "Gather", "Reduce"):
        options = getattr(dist, f"{name}Options")()
        assert options.timeout == datetime.timedelta(milliseconds=-1) and options.asyncOp
        with pytest.raises(AttributeError, match="has no attribute 'root'"):
            options.root = 1
    assert dist.ReduceOptions().rootTensor == 0 and dist.ReduceScatterOptions().reduceOp == dist.ReduceOp.SUM
    first, second = dist.BarrierOptions().device_ids, dist.BarrierOptions().device_ids
    assert first == second == [] and first is not second


def test_backends_by_device():
    text = lambda backend: str(dist.BackendConfig(backend))  # noqa: E731
    assert text("gloo") == "cpu:gloo,cuda:gloo" and text("nccl") == "cuda:nccl"
    assert text("own") == "cpu:own,cuda:own,xpu:own"
    pairs = dist.BackendConfig("cpu:gloo,cuda:nccl").get_device_backend_map()
    assert pairs == {
        "cpu": "gloo",
        "cuda": "nccl",
    }
    with pytest.raises(ValueError, match=r"Invalid device:backend pairing: +cuda. The custom backend string"):
        dist.BackendConfig("cpu:gloo,cuda")
    with pytest.raises(ValueError, match=r"Duplicate device type cpu +in backend string: nccl. The custom"):
        dist.BackendConfig("cpu:gloo,cpu:nccl")
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        dist.get_backend_config()
    assert dist.get_pg_count() == 0


def test_one_process(tmp_path):
    seen = []

    def handler(url, **options):
        seen.append((url, sorted(options)))
        yield dist.FileStore(str(tmp_path / "store"), 1), 0, 1

    dist.register_rendezvous_handler("testplace", handler)
    for scheme in ("testplace", "tcp"):
        with pytest.raises(RuntimeError, match=f"Rendezvous handler for {scheme}:// already registered"):
            dist.register_rendezvous_handler(scheme, handler)
    dist.init_process_group("cpu:gloo,cuda:nccl", init_method="testplace://here")
    try:
        assert seen == [("testplace://here", ["timeout"])]
        assert dist.get_backend() == "gloo" and dist.get_backend_config() == "cpu:gloo,cuda:nccl"
        assert dist.get_backend_config(dist.new_group([0])) == "cpu:gloo,cuda:gloo"
        with pytest.raises(ValueError, match="Cannot shrink a process group with size 1"):
            dist.shrink_group([0])
        with pytest.raises(TypeError, match=r"of type List\[torch.Tensor\]\n +but got <class"):
            dist.all_gather_coalesced([fb.zeros(2)], [fb.ones(2)])
        with pytest.raises(TypeError, match="output_tensor_lists should be a list"):
            dist.all_gather_coalesced(3, [fb.ones(2)])
        with pytest.raises(ValueError, match=r"Rank 0 has appeared in both subgroup \[0\] and \[0\]"):
            dist.new_subgroups_by_enumeration([[0], [0]])
    finally:
        dist.destroy_process_group()
    assert dist.get_pg_count() == 0


def test_breakpoint_stops_in_one_process(tmp_path, monkeypatch, capsys):
    import io

    dist.init_process_group(store=dist.FileStore(str(tmp_path / "store"), 1), rank=0, world_size=1)
    try:
        for _ in range(3):
            monkeypatch.setattr("sys.stdin", io.StringIO("p 'looked ' + 'around'\nc\n"))
            dist.breakpoint(skip=2)
    finally:
        dist.destroy_process_group()
    said = capsys.readouterr().out
    assert said.count("ATTENTION") == said.count("looked around") == 1


def test_gloo_group_without_the_world(tmp_path):
    group = dist.ProcessGroupGloo(dist.FileStore(str(tmp_path / "store"), 1), 0, 1)
    group.allreduce([x := fb.ones(2)]).wait()
    assert x.tolist() == [1, 1] and group.size() == 1 and isinstance(group, dist.ProcessGroup)
    group.shutdown()


def test_remote_devices():
    for text, shown, rank, worker, device in (
        ("cuda:0", "cuda:0", None, None, "cuda:0"),
        ("rank:2/cuda:1", "rank:2/cuda:1", 2, None, "cuda:1"),
        ("w/cpu", "w/cpu", None, "w", "cpu"),
        ("w", "w/cpu", None, "w", "cpu"),
        ("rank:3", "rank:3/cpu", 3, None, "cpu"),
        (fb.device("cpu"), "cpu", None, None, "cpu"),
    ):
        place = _remote_device(text)
        assert (str(place), place.rank(), place.worker_name(), place.device()) == (
            *(shown, rank, worker),
            fb.device(device),
        )
        assert place == _remote_device(text) and hash(place) == hash(_remote_device(text)) and place != 3
    for wrong in ("", "a/b/c", "/cpu", "rank:a/cpu"):
        with pytest.raises(ValueError, match="Could not parse remote_device"):
            _remote_device(wrong)
    with pytest.raises(TypeError, match="Invalid type for remote_device: <class 'int'>"):
        _remote_device(3)
    with pytest.raises(RuntimeError):
        _remote_device("w/")


def test_small_names():
    assert dist.supports_complex(dist.ReduceOp.SUM) and not dist.supports_complex(dist.ReduceOp.MAX)
    with pytest.warns(FutureWarning, match=r"`torch.distributed.reduce_op` is deprecated"):
        assert dist.reduce_op.SUM is dist.ReduceOp.SUM
    with pytest.raises(AttributeError):
        _ = dist.reduce_op.FOO
    assert dist.config.compile_on_one_rank is False


def test_log(caplog):
    from flambeau.distributed.c10d_logger import _c10d_logger, _exception_logger
    from flambeau.distributed.logging_handlers import _log_handlers

    @_exception_logger
    def fails(x):
        raise KeyError(x)

    lines = []

    class Keeps(logging.Handler):
        def emit(self, record):
            lines.append(record.msg)

    handler = Keeps()
    _c10d_logger.addHandler(handler)
    try:
        with pytest.raises(KeyError):
            fails(3)
    finally:
        _c10d_logger.removeHandler(handler)
    assert lines == [{"func_name": "fails", "error": "3"}] and "default" in _log_handlers
