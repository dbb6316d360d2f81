"""DistributedDataParallel, ZeroRedundancyOptimizer, operations with gradients, the launcher."""

import copy
import subprocess
import sys

import pytest

import flambeau as fb
import flambeau.distributed as dist
import flambeau.distributed.nn.functional as F
from flambeau import nn
from flambeau.distributed import _functional_collectives as collectives
from flambeau.distributed.algorithms._checkpoint.checkpoint_wrapper import (
    apply_activation_checkpointing,
    checkpoint_wrapper,
)
from flambeau.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook, bf16_compress_hook
from flambeau.distributed.optim import ZeroRedundancyOptimizer
from flambeau.nn.parallel import DistributedDataParallel as DDP


def network():
    fb.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3), nn.Tanh(), nn.Linear(3, 2))


def batch(k):
    return fb.arange(12.0).reshape(3, 4) / 10 + k


class Sometimes(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(2, 2) for _ in range(3))

    def forward(self, x, use):
        return self.b(self.a(x)) if use else self.a(x)


def training(rank, size):
    plain, model = network(), DDP(network(), bucket_cap_mb=0.00005)
    assert len(model._buckets) > 2 and next(iter(model.state_dict())) == "module.0.weight"
    optimizers = [fb.optim.SGD(m.parameters(), lr=0.5, momentum=0.9) for m in (plain, model)]
    for step in range(3):
        for optimizer in optimizers:
            optimizer.zero_grad()
        (sum(plain(batch(k + step)).square().mean() for k in range(size)) / size).backward()
        model(batch(rank + step)).square().mean().backward()
        for optimizer in optimizers:
            optimizer.step()
    for mine, other in zip(model.parameters(), plain.parameters()):
        assert fb.allclose(mine, other, atol=1e-6)
    model.zero_grad()
    with model.no_sync():
        model(batch(rank)).sum().backward()
    alone = model.module[0].weight.grad.clone()
    model(batch(rank)).sum().backward()
    summed = 2 * alone
    dist.all_reduce(summed, dist.ReduceOp.AVG)
    assert fb.allclose(model.module[0].weight.grad, summed, atol=1e-5)
    for hook, tolerance in ((allreduce_hook, 1e-6), (bf16_compress_hook, 1e-2)):
        hooked = DDP(copy.deepcopy(plain))
        hooked.register_comm_hook(None, hook)
        hooked(batch(rank)).sum().backward()
        wanted = fb.autograd.grad(sum(plain(batch(k)).sum() for k in range(size)) / size, plain[0].weight)[0]
        assert fb.allclose(hooked.module[0].weight.grad, wanted, rtol=tolerance, atol=tolerance)
    some = DDP(Sometimes(), find_unused_parameters=True)
    some(fb.ones(1, 2), rank == 0).sum().backward()
    grads = [some.module.b.weight.grad, some.module.a.bias.grad]
    assert some.module.c.weight.grad is None  # unused everywhere
    for grad in grads:
        other = grad.clone()
        dist.broadcast(other, 0)
        assert fb.equal(grad, other)
    strict = DDP(Sometimes())
    strict(fb.ones(1, 2), False).sum().backward()
    with pytest.raises(RuntimeError, match="Expected to have finished reduction in the prior iteration"):
        strict(fb.ones(1, 2), True)
    counted = DDP(nn.Linear(2, 1))
    with fb.no_grad():
        counted.module.weight.fill_(1.0)
    optimizer = fb.optim.SGD(counted.parameters(), lr=1.0)
    with counted.join():
        for i in range(1 + rank):
            optimizer.zero_grad()
            counted(fb.full((1, 2), float(i + 1))).sum().backward()
            optimizer.step()
    assert counted.module.weight.tolist() == [[-1.0, -1.0]]


def test_training(together):
    together(training)


def divided(rank, size):
    plain, model = network(), network()
    zero = ZeroRedundancyOptimizer(model.parameters(), fb.optim.Adam, lr=0.1)
    whole = fb.optim.Adam(plain.parameters(), lr=0.1)
    assert len(zero.optim.param_groups[0]["params"]) in (2, 4) and zero.param_groups[0]["lr"] == 0.1
    for _ in range(2):
        for m, optimizer in ((plain, whole), (model, zero)):
            optimizer.zero_grad()
            m(batch(0)).square().sum().backward()
            optimizer.step()
    assert all(fb.equal(a, b) for a, b in zip(model.parameters(), plain.parameters()))
    with pytest.raises(RuntimeError, match="Optimizer state has not been consolidated on this rank"):
        zero.state_dict()
    zero.consolidate_state_dict()
    states = [zero.state_dict() if rank == 0 else None]
    dist.broadcast_object_list(states)
    assert list(states[0]["state"]) == list(range(6))
    again = ZeroRedundancyOptimizer(model.parameters(), fb.optim.Adam, lr=0.7)
    again.load_state_dict(states[0])
    assert again.param_groups[0]["lr"] == 0.1
    for m, optimizer in ((plain, whole), (model, again)):
        optimizer.zero_grad()
        m(batch(0)).square().sum().backward()
        optimizer.step()
    assert all(fb.equal(a, b) for a, b in zip(model.parameters(), plain.parameters()))


def test_divided_optimizer(together):
    together(divided)


def operations(rank, size):
    """Results and gradients as PyTorch's gloo gives them."""
    x = fb.ones(2)
    mine = x.requires_grad_() * (rank + 1)
    n = float(rank + 1)

    def check(made, loss, value, gradient):
        (grad,) = fb.autograd.grad(loss, x, retain_graph=True)
        assert made.tolist() == value and grad.tolist() == gradient

    y = F.all_reduce(mine)
    check(y, y.sum(), [3.0, 3.0], [2 * n, 2 * n])
    y = F.all_gather(mine)
    check(fb.cat(y), y[0].sum() * 2 + y[1].sum() * 3, [1.0, 1.0, 2.0, 2.0], [[4.0, 4.0], [12.0, 12.0]][rank])
    y = F.reduce_scatter(fb.empty(1), [mine[:1], x[1:] * 2])
    check(y, (y * (rank + 5)).sum(), [[3.0], [4.0]][rank], [[5.0, 12.0], [10.0, 12.0]][rank])
    y = F.broadcast(mine, 0)
    check(y, (y * (rank + 1)).sum(), [1.0, 1.0], [[3.0, 3.0], [0.0, 0.0]][rank])
    y = F.reduce(mine, 0)
    check(y, (y * (rank + 1)).sum(), [[3.0, 3.0], [2.0, 2.0]][rank], [[1.0, 1.0], [2.0, 2.0]][rank])
    y = F.scatter([x[:1] * 1, x[1:] * 2], 0)
    check(y, (y * (rank + 5)).sum(), [n], [[5.0, 12.0], [0.0, 0.0]][rank])
    y = F.all_to_all_single(fb.empty(2), mine)
    check(y, (y * fb.tensor([2.0, 3.0])).sum(), [1.0, 2.0], [[2.0, 2.0], [6.0, 6.0]][rank])
    y = F.gather(mine, 0)
    assert y[1].tolist() == ([2.0, 2.0] if rank == 0 else [0.0, 0.0])

    group = dist.group.WORLD
    plain = fb.arange(4.0).reshape(2, 2) + 10 * rank
    assert collectives.all_reduce(plain, "sum", group).tolist() == [[10.0, 12.0], [14.0, 16.0]]
    assert collectives.all_gather_tensor(plain, 1, group)[0].tolist() == [0.0, 1.0, 10.0, 11.0]
    made = collectives.reduce_scatter_tensor(plain, "avg", 0, group)
    assert made.tolist() == [[[5.0, 6.0]], [[7.0, 8.0]]][rank]
    assert collectives.permute_tensor(plain, [1, 0], group).tolist() == (plain - 20 * rank + 10).tolist()
    moved = collectives.all_to_all_single(plain, [1, 1], [1, 1], group)
    assert moved.tolist() == [[[0.0, 1.0], [10.0, 11.0]], [[2.0, 3.0], [12.0, 13.0]]][rank]


def test_operations(together):
    together(operations)


def test_activation_checkpointing():
    model, plain = network(), network()
    wrapped = checkpoint_wrapper(nn.Linear(2, 2))
    assert repr(wrapped).startswith("CheckpointWrapper(\n  (_checkpoint_wrapped_module): Linear(")
    assert list(wrapped.state_dict()) == ["weight", "bias"] and wrapped.weight.shape == (2, 2)
    apply_activation_checkpointing(model, check_fn=lambda m: isinstance(m, nn.Linear))
    assert list(model.state_dict()) == list(plain.state_dict())
    model.load_state_dict(plain.state_dict())
    for m in (model, plain):
        m(batch(0)).sum().backward()
    for mine, other in zip(model.parameters(), plain.parameters()):
        assert fb.equal(mine.grad, other.grad)


SCRIPT = """
import os, sys
import torch as fb, torch.distributed as dist
dist.init_process_group("gloo")
x = fb.ones(1) * (dist.get_rank() + 1)
dist.all_reduce(x)
if dist.get_rank() == 0:
    print("sum", x.item(), os.environ["LOCAL_WORLD_SIZE"], sys.argv[1:], dist.is_torchelastic_launched())
dist.destroy_process_group()
sys.exit(int(sys.argv[1]) if dist.is_available() and os.environ["RANK"] == "1" else 0)
"""


@pytest.mark.parametrize("code", [0, 3])
def test_launcher(tmp_path, code):
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, "-m", "flambeau.distributed.run", "--nproc-per-node=2", "--standalone"]
    done = subprocess.run(
        [*command, str(tmp_path / "script.py"), str(code)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == code, done.stderr
    assert f"sum 3.0 2 ['{code}'] True" in done.stdout
