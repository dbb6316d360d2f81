"""Process groups: one process alone, and three that are started here."""

import datetime
import inspect
import multiprocessing
import os

import pytest

import flambeau as fb
import flambeau.distributed as dist


def test_before_the_start():
    assert dist.is_available() and not dist.is_initialized()
    with pytest.raises(ValueError, match=r"Default process group has not been initialized"):
        dist.get_rank()
    with pytest.raises(ValueError, match=r"environment variable RANK expected, but not set"):
        dist.init_process_group("gloo")


def test_one_process(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        assert (dist.get_rank(), dist.get_world_size(), dist.get_backend()) == (0, 1, "gloo")
        with pytest.raises(ValueError, match=r"trying to initialize the default process group twice!"):
            dist.init_process_group("gloo")
        x, out = fb.arange(3.0), [fb.zeros(3)]
        dist.all_reduce(x)
        dist.broadcast(x, 0)
        dist.all_gather(out, x)
        assert out[0].tolist() == [0.0, 1.0, 2.0] and dist.all_reduce(x, async_op=True).wait()
        with pytest.raises(
            TypeError, match=r"Invalid function argument. Expected parameter `tensor` of type torch.Tensor"
        ):
            dist.all_reduce(3)
        with pytest.raises(ValueError, match=r"Invalid destination rank"):
            dist.send(x, 0)
    finally:
        dist.destroy_process_group()
    assert not dist.is_initialized()


def work(rank, size, method, results):
    if method == "env://":
        os.environ.update(RANK=str(rank), WORLD_SIZE=str(size))
        dist.init_process_group()
    else:
        dist.init_process_group("gloo", init_method=method, rank=rank, world_size=size)
    fb.set_num_threads(1)
    got = {}
    x = fb.tensor([1.0, 2.0]) * (rank + 1)
    for name in ("SUM", "AVG", "PRODUCT", "MAX"):
        y = x.clone()
        dist.all_reduce(y, op=getattr(dist.ReduceOp, name))
        got[name] = y.tolist()
    big = fb.full((300_000,), float(rank))
    dist.all_reduce(big)
    got["big"] = big.unique().tolist()
    y = x.clone()
    dist.broadcast(y, 1)
    got["broadcast"] = y.tolist()
    parts = [fb.zeros(2) for _ in range(size)]
    dist.all_gather(parts, x)
    got["all_gather"] = [part.tolist() for part in parts]
    y = x.clone()
    dist.reduce(y, 2)
    got["reduce"] = y.tolist()
    y = fb.zeros(1, dtype=fb.int64)
    dist.scatter(y, [fb.tensor([10 * k]) for k in range(size)] if rank == 0 else None, src=0)
    got["scatter"] = y.tolist()
    gathered = [fb.zeros(1, dtype=fb.int64) for _ in range(size)] if rank == 1 else None
    dist.gather(y, gathered, dst=1)
    got["gather"] = [part.item() for part in gathered] if gathered else None
    out = [fb.zeros(1) for _ in range(size)]
    dist.all_to_all(out, [fb.tensor([float(10 * rank + k)]) for k in range(size)])
    got["all_to_all"] = [part.item() for part in out]
    y = fb.zeros(1)
    dist.reduce_scatter(y, [fb.tensor([float(k)]) for k in range(size)])
    got["reduce_scatter"] = y.item()
    objects = [None] * size
    dist.all_gather_object(objects, {"rank": rank})
    got["objects"] = objects
    if rank == 0:
        dist.send(fb.tensor([7.0]), 1, tag=5)
        dist.send(fb.tensor([8.0]), 1, tag=6)
    elif rank == 1:
        later, first = fb.zeros(1), fb.zeros(1)
        dist.recv(later, 0, tag=6)
        got["sender"] = dist.recv(first, tag=5)
        got["messages"] = [first.item(), later.item()]
    pair = dist.new_group([0, 2])
    if rank != 1:
        y = fb.tensor([float(rank)])
        dist.all_reduce(y, group=pair)
        got["pair"] = (y.item(), dist.get_rank(pair), dist.get_world_size(pair))
    fb.manual_seed(rank)
    model = fb.nn.parallel.DistributedDataParallel(fb.nn.Linear(2, 1))
    model(fb.full((1, 2), float(rank))).sum().backward()
    got["gradient"] = model.module.weight.grad.flatten().tolist()
    got["weight"] = model.module.weight.flatten().tolist()
    got["share"] = list(fb.utils.data.DistributedSampler(range(7), shuffle=False))
    dist.barrier()
    dist.destroy_process_group()
    results.put((rank, got))


@pytest.mark.parametrize("kind", ["file", "tcp", "env"])
def test_three_processes(tmp_path, kind, monkeypatch):
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    monkeypatch.setenv("MASTER_PORT", str(port))
    method = {"file": f"file://{tmp_path}/store", "tcp": f"tcp://127.0.0.1:{port}", "env": "env://"}[kind]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [
        context.Process(target=work, args=(rank, 3, method, results), daemon=True) for rank in range(3)
    ]
    for process in processes:
        process.start()
    got = dict(results.get(timeout=20) for _ in range(3))
    for process in processes:
        process.join(20)
        assert process.exitcode == 0
    for rank in range(3):
        mine = got[rank]
        assert mine["SUM"] == [6.0, 12.0] and mine["AVG"] == [2.0, 4.0] and mine["PRODUCT"] == [6.0, 48.0]
        assert mine["MAX"] == [3.0, 6.0] and mine["big"] == [3.0] and mine["broadcast"] == [2.0, 4.0]
        assert mine["all_gather"] == [[1.0, 2.0], [2.0, 4.0], [3.0, 6.0]]
        assert mine["scatter"] == [10 * rank] and mine["all_to_all"] == [
            float(10 * k + rank) for k in range(3)
        ]
        assert mine["reduce_scatter"] == 3.0 * rank and mine["objects"] == [{"rank": k} for k in range(3)]
        assert mine["gradient"] == pytest.approx([1.0, 1.0]) and mine["weight"] == got[0]["weight"]
        assert mine["share"] == [[0, 3, 6], [1, 4, 0], [2, 5, 1]][rank]
    assert got[2]["reduce"] == [6.0, 12.0] and got[1]["gather"] == [0, 10, 20]
    assert got[1]["messages"] == [7.0, 8.0] and got[1]["sender"] == 0
    assert got[0]["pair"] == (2.0, 0, 2) and got[2]["pair"] == (2.0, 1, 2)


def test_stores(tmp_path):
    stores = [
        dist.HashStore(),
        dist.FileStore(str(tmp_path / "s"), 1),
        dist.TCPStore("127.0.0.1", 0, 1, True),
    ]
    for store in (*stores, dist.PrefixStore("p", stores[0])):
        store.set("a", "x")
        assert store.get("a") == b"x" and store.add("n", 2) == 2 and store.add("n", 3) == 5
        assert (
            store.check(["a", "n"])
            and not store.check(["b"])
            and store.delete_key("a")
            and not store.delete_key("a")
        )
        with pytest.raises(RuntimeError, match=r"wait timeout"):
            store.wait(["never"], datetime.timedelta(seconds=0.05))


def test_async_op_stands_where_pytorch_has_it(tmp_path):
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        x = fb.ones(2)
        assert dist.all_reduce(x, dist.ReduceOp.SUM, None, True).wait() and dist.all_reduce(x) is None
        assert dist.broadcast(x, 0, None, True).wait() and dist.barrier(None, True).wait()
        assert dist.broadcast(x, None, None, False, 0) is None
        assert "async_op: 'bool' = False, group_src" in str(inspect.signature(dist.broadcast))
        assert dist.all_reduce(x, dist.ReduceOp.SUM, dist.GroupMember.NON_GROUP_MEMBER, True) is None
    finally:
        dist.destroy_process_group()


def _meet_first(path, results):
    dist.init_process_group("gloo", init_method=f"file://{path}", rank=1, world_size=2)
    x = fb.ones(2)
    dist.all_reduce(x)
    dist.destroy_process_group()
    results.put(x.tolist())


def test_a_process_meets_others_again(tmp_path):
    """The others are new each time, and so is the place."""
    context = multiprocessing.get_context("fork")
    for turn in range(2):
        results, path = context.Queue(), tmp_path / f"store{turn}"
        other = context.Process(target=_meet_first, args=(path, results), daemon=True)
        other.start()
        try:
            dist.init_process_group(
                "gloo",
                init_method=f"file://{path}",
                rank=0,
                world_size=2,
                timeout=datetime.timedelta(seconds=30),
            )
            x = fb.ones(2)
            dist.all_reduce(x)
            dist.destroy_process_group()
            assert x.tolist() == results.get(timeout=30) == [2, 2]
        finally:
            other.join(5)
            other.kill()


def test_who_does_not_come_is_waited_for_until_the_time_is_over(tmp_path):
    with pytest.raises(RuntimeError, match="process 0 waits for 1 of 2, which did not come"):
        dist.init_process_group(
            "gloo",
            init_method=f"file://{tmp_path}/store",
            rank=0,
            world_size=2,
            timeout=datetime.timedelta(seconds=0.2),
        )
    assert not dist.is_initialized()
