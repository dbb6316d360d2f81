"""Gradients that are sent as thin matrices, averages of parameters; the numbers are PyTorch's of two
processes."""

import pytest

import flambeau as fb
from flambeau.distributed.algorithms.ddp_comm_hooks import post_localSGD_hook as local
from flambeau.distributed.algorithms.ddp_comm_hooks import powerSGD_hook as power
from flambeau.distributed.algorithms.model_averaging import averagers, hierarchical_model_averager, utils
from flambeau.distributed.optim import PostLocalSGDOptimizer


def trained(rank, hook, state, steps=4):
    fb.manual_seed(0)
    net = fb.nn.Sequential(fb.nn.Linear(12, 10), fb.nn.Tanh(), fb.nn.Linear(10, 8))
    ddp = fb.nn.parallel.DistributedDataParallel(net)
    ddp.register_comm_hook(state, hook)
    optimizer = fb.optim.SGD(net.parameters(), lr=0.1)
    fb.manual_seed(rank + 1)
    for _ in range(steps):
        optimizer.zero_grad()
        ddp(fb.randn(6, 12)).pow(2).mean().backward()
        optimizer.step()
    return [round(p.detach().double().abs().sum().item(), 4) for p in net.parameters()]


def _power(rank, size):
    state = power.PowerSGDState(None, 1, start_powerSGD_iter=2)
    return trained(rank, power.powerSGD_hook, state), state.compression_stats()


def _power_rank2(rank, size):
    state = power.PowerSGDState(
        None, 2, start_powerSGD_iter=2, min_compression_rate=1, warm_start=False,
        orthogonalization_epsilon=1e-8, batch_tensors_with_same_shape=True,
    )  # fmt: skip
    return trained(rank, power.powerSGD_hook, state), state.compression_stats()


def _batched(rank, size):
    state = power.PowerSGDState(None, 2, start_powerSGD_iter=2)
    return trained(rank, power.batched_powerSGD_hook, state), state.compression_stats()


def _local(rank, size):
    state = local.PostLocalSGDState(None, None, 2, post_local_gradient_allreduce=False)
    return trained(rank, local.post_localSGD_hook, state), state.iter


EXPECTED = {
    "_power": ([17.5656, 1.4132, 12.168, 0.626], (3.7586206896551726, 436, 116)),
    "_power_rank2": ([17.5278, 1.4133, 12.1363, 0.626], (2.2244897959183674, 436, 196)),
    "_local": ([[17.491, 1.418, 12.0555, 0.6127], [17.5262, 1.4087, 12.1443, 0.6389]], 2),
}  # fmt: skip


@pytest.mark.parametrize("work", [_power, _power_rank2, _local], ids=lambda f: f.__name__)
def test_hooks(together, work):
    for rank, (sums, rest) in enumerate(together(work)):
        wanted, last = EXPECTED[work.__name__]
        wanted = wanted[rank] if isinstance(wanted[0], list) else wanted
        assert sums == pytest.approx(wanted, abs=2e-4)
        assert rest == (pytest.approx(last) if isinstance(last, tuple) else last)


def test_a_bucket_as_one_matrix(together):
    (first, stats), (second, _) = together(_batched)  # PyTorch 2.13's own raises
    assert first == second and stats[0] > 1


def test_states_refuse():
    with pytest.raises(ValueError, match="Expect `start_powerSGD_iter` > 1"):
        power.PowerSGDState(None, start_powerSGD_iter=1)


def _averages(rank, size):
    p = fb.nn.Parameter(fb.full((2,), float(rank)))
    averager = averagers.PeriodicModelAverager(2, warmup_steps=1)
    optimizer = PostLocalSGDOptimizer(fb.optim.SGD([p], lr=1.0), averager)
    seen = []
    for _ in range(4):
        p.grad = fb.full((2,), float(rank))
        optimizer.step()
        seen.append(p[0].item())
    saved = optimizer.state_dict()
    averager.step = 0
    optimizer.load_state_dict(saved)
    q = fb.nn.Parameter(fb.full((2,), float(rank)))
    utils.average_parameters(iter([q]), None)
    with pytest.raises(ValueError, match="Arg ``period`` must be a positive value"):
        averagers.PeriodicModelAverager(0)
    with pytest.raises(ValueError, match="must be a non-negative number"):
        averagers.PeriodicModelAverager(2, -1)
    with pytest.raises(ValueError, match="must be equal to the size"):
        hierarchical_model_averager.HierarchicalModelAverager({1: 1, 2: 4})
    both = hierarchical_model_averager.HierarchicalModelAverager({1: 1, 2: 2})
    r = fb.nn.Parameter(fb.full((1,), float(rank)))
    r.grad = fb.ones(1)
    both.step = 1
    both.average_parameters([r])
    first = r.item()
    both.average_parameters([{"params": [r]}])
    return seen, averager.step, q[0].item(), first, r.item()


def test_averages(together):
    # step 1 (after one of warming up) and step 3 are averaged
    for rank, found in enumerate(together(_averages)):
        seen = [0.0, -0.5, -0.5 - rank, -1.5] if rank == 0 else [0.0, -0.5, -1.5, -1.5]
        assert found == (seen, 4, 0.5, float(rank), 0.5)


def test_groups_of_cuda_are_those_of_nn():
    import flambeau.cuda.comm as comm

    assert comm.reduce_add([fb.ones(2), fb.ones(2)], "cpu").tolist() == [2.0, 2.0]


def _begun_by_hand(rank, size):
    net = fb.nn.Linear(2, 1, bias=False)
    net.weight.data.fill_(1.0)
    ddp = fb.nn.parallel.DistributedDataParallel(net, find_unused_parameters=True)
    found = []
    ddp.require_backward_grad_sync = False  # as for a program that calls backward itself
    loss = ddp(fb.full((1, 2), float(rank + 1))).sum()
    ddp.require_backward_grad_sync = True
    for begin in (False, True):
        net.weight.grad = None
        if begin:
            ddp.reducer._rebuild_buckets()
            ddp.reducer.prepare_for_backward([loss])
        loss.backward(retain_graph=True)
        found.append(net.weight.grad.tolist())
    facts = ddp._get_ddp_logging_data()
    assert isinstance(ddp.reducer, fb._C._distributed_c10d.Reducer) and ddp.require_forward_param_sync
    assert fb._C._distributed_c10d.ReduceOp is fb.distributed.ReduceOp
    return found, [facts[k] for k in ("module_name", "world_size", "rank", "bucket_sizes", "has_sync_bn")]


def test_a_backward_that_the_program_begins_itself_is_averaged(together):
    for rank, (found, facts) in enumerate(together(_begun_by_hand)):
        assert found == [[[rank + 1.0] * 2], [[1.5, 1.5]]]
        assert facts == ["Linear", 2, rank, "8", 0]
