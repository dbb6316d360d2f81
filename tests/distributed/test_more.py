"""Batches of messages, lists of objects, groups of equal size, names."""

import datetime

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed import distributed_c10d


def work(rank, size):
    other = 1 - rank
    got = {}
    into = fb.zeros(2)
    batch = [dist.P2POp(dist.isend, fb.full((2,), float(rank)), other), dist.P2POp(dist.irecv, into, other)]
    for request in dist.batch_isend_irecv(batch):
        request.wait()
    got["batch"] = into.tolist()
    large, sent = fb.zeros(600_000), fb.full((600_000,), float(rank))  # more than connections hold
    for request in [dist.isend(sent, other), dist.irecv(large, other)]:
        request.wait()
    assert large.unique().tolist() == [float(other)]
    dist.monitored_barrier(timeout=datetime.timedelta(seconds=10))
    if rank == 0:
        with pytest.raises(RuntimeError, match="Rank 1 failed to pass monitoredBarrier in 50 ms"):
            dist.monitored_barrier(timeout=datetime.timedelta(seconds=0.05))
        dist._group(None).mesh.timeout = datetime.timedelta(seconds=0.05)
        with pytest.raises(RuntimeError, match="Timed out waiting 50ms for recv operation to complete"):
            dist.recv(into, 1)
        dist._group(None).mesh.timeout = datetime.timedelta(seconds=20)
        dist.send(fb.ones(1), 1)
    else:
        dist.recv(fb.zeros(1), 0)
    objects = [None, None]
    if rank == 0:
        dist.send_object_list([1, {"a": fb.ones(2)}], 1)
    else:
        assert dist.recv_object_list(objects, 0) == 0
        got["objects"] = objects[0], objects[1]["a"].tolist()
    mine, every = dist.new_subgroups(1)
    got["groups"] = dist.get_rank(mine), len(every)
    tensors = [fb.full((2,), float(rank)), fb.ones(3)]
    dist.all_reduce_coalesced(tensors)
    got["coalesced"] = [t.tolist() for t in tensors]
    if rank == 1:
        tensors = [fb.zeros(2), fb.zeros(3)]
    dist._broadcast_coalesced(None, tensors)
    got["broadcast"] = [t.tolist() for t in tensors]
    joined = fb.zeros(4)
    handle = dist.all_gather_into_tensor(joined, fb.full((2,), float(rank)), async_op=True)
    assert handle.wait() and handle.get_future().wait()[0] is joined
    got["joined"] = joined.tolist()
    with pytest.raises(ValueError, match=r"must be divisible by 'group_size=2'|must not exceed"):
        dist.new_subgroups(3)
    with pytest.raises(ValueError, match="Invalid ``op``"):
        dist.P2POp(dist.send, into, other)
    assert distributed_c10d._get_default_group() is dist.GroupMember.WORLD is dist.group.WORLD
    return got


def test_two_processes(together):
    first, second = together(work)
    assert first["batch"] == [1.0, 1.0] and second["batch"] == [0.0, 0.0]
    assert second["objects"] == (1, [1.0, 1.0])
    for got in (first, second):
        assert got["groups"] == (0, 2) and got["joined"] == [0.0, 0.0, 1.0, 1.0]
        assert got["coalesced"] == got["broadcast"] == [[1.0, 1.0], [2.0, 2.0, 2.0]]


def test_names():
    assert dist.Backend("GLOO") == "gloo" and dist.Backend.NCCL == "nccl"
    assert dist.Backend.default_device_backend_map["cpu"] == "gloo"
    assert dist.get_default_backend_for_device("cpu") == "gloo"
    with pytest.raises(ValueError, match="Default process group has not been initialized"):
        distributed_c10d._get_default_group()


def _known_groups(rank, size):
    import flambeau.distributed.distributed_c10d as c10d

    world = c10d._world
    assert world.default_pg is dist.group.WORLD and list(world.pg_map) == [world.default_pg]
    mine = dist.new_group([0])
    groups = list(c10d._pg_map)
    if rank == 0:
        dist.destroy_process_group(mine)
    left = len(world.pg_names)
    return len(groups), left, world.group_count, world.pg_group_ranks[world.default_pg]


def test_groups_that_are_known(together):
    ranks = {0: 0, 1: 1}
    assert together(_known_groups) == [(2, 1, 1, ranks), (1, 1, 1, ranks)]


def test_results_that_wait_for_nobody():
    from flambeau.distributed._functional_collectives import AsyncCollectiveTensor

    made = AsyncCollectiveTensor(fb.ones(2))
    assert (
        isinstance(made, AsyncCollectiveTensor) and type(made.wait()) is fb.Tensor and (made + 1).sum() == 4
    )
