"""What the core keeps: packed weights follow their weights, caches are bounded in bytes."""

import copy
import random

import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import _C, nn


def packed() -> int:
    return _C._memory_stats()["packed_weights"]


def answer(x, w):
    with fb.no_grad():
        return F.conv2d(x, w, padding=1)


@pytest.fixture
def example():
    fb.manual_seed(0)
    return fb.randn(1, 32, 12, 12), fb.randn(48, 32, 3, 3)


def assert_fresh(x, w):
    """The answer of weights that may have been packed is that of a copy that cannot have been."""
    fb.testing.assert_close(
        answer(x, w), F.conv2d(x, w.clone().requires_grad_(), padding=1).detach(), rtol=0, atol=0
    )


def test_packed_once_and_dropped_with_the_weight(example):
    x, w = example
    before = packed()
    answer(x, w)
    assert packed() == before  # it may be a weight in training
    answer(x, w)
    size = packed() - before
    assert 48 * 32 * 9 * 4 <= size <= 3 * 48 * 32 * 9 * 4
    for _ in range(3):
        answer(x, w)
    assert packed() - before == size
    assert fb.equal(answer(x, w), answer(x, w.clone()))
    holder = nn.Conv2d(32, 48, 3)
    answer(x, holder.weight), answer(x, holder.weight)
    assert packed() == before + 2 * size
    del holder
    assert packed() == before + size


def test_training_keeps_nothing(example):
    x, w = example
    w.requires_grad_()
    x.requires_grad_()
    optimizer = fb.optim.SGD([w], lr=0.01)
    before = packed()
    for _ in range(3):
        F.conv2d(x, w, padding=1).sum().backward()
        assert packed() == before
        optimizer.step()


WRITES = {
    "in place": lambda w: w.mul_(2),
    "data": lambda w: w.data.mul_(2),
    "detached": lambda w: w.detach().add_(1),
    "view": lambda w: w.view(-1)[5:].zero_(),
    "index": lambda w: w.__setitem__((0, 1), 3.0),
    "copy": lambda w: w.copy_(fb.ones_like(w)),
    "out": lambda w: fb.mul(w.clone(), 3, out=w),
    "numpy": lambda w: w.numpy().fill(0.5),
    "storage": lambda w: w.untyped_storage().fill_(0),
    "dlpack": lambda w: fb.from_dlpack(w).mul_(2),
    "buffer": lambda w: memoryview(w).cast("B").cast("f").__setitem__(7, 9.0),
    "random": lambda w: nn.init.normal_(w),
    "optimizer": lambda w: step(w),
    "set": lambda w: w.set_(fb.ones(w.shape)),
}


def step(w):
    w.grad = fb.ones_like(w)
    fb.optim.SGD([w], lr=0.1).step()


@pytest.mark.parametrize("name", WRITES)
def test_every_write_is_seen(name, example):
    x, w = example
    before = answer(x, w).clone()
    answer(x, w)
    alias = w.numpy() if name == "numpy" else None
    answer(x, w)
    WRITES[name](w)
    assert_fresh(x, w)
    assert not fb.equal(answer(x, w), before)
    if alias is not None:
        alias[:] = 2.0
        assert_fresh(x, w)


def test_two_views_of_one_storage(example):
    x, w = example
    both = fb.cat([w, w * 2])
    first, second = both[:48], both[48:]
    for _ in range(2):
        fb.testing.assert_close(answer(x, second), 2 * answer(x, first))


def test_copies_and_state_do_not_share(example):
    x, _ = example
    net = nn.Conv2d(32, 48, 3, padding=1).eval()
    with fb.no_grad():
        y = net(x).clone()
        net(x)
        other = copy.deepcopy(net)
        other.load_state_dict({k: v * 2 for k, v in net.state_dict().items()})
        fb.testing.assert_close(other(x), y * 2)
        fb.testing.assert_close(net(x), y)
        fused = nn.ConvTranspose2d(32, 16, 2, 2)
        z = fused(x).clone()
        fb.testing.assert_close(fused(x), z)
        fused.weight.data.mul_(0)
        fb.testing.assert_close(fused(x), fused.bias.view(1, -1, 1, 1).expand_as(z))


def resident() -> float:
    with open("/proc/self/statm") as f:
        return int(f.read().split()[1]) * 4096 / 2**20


def test_changing_shapes_do_not_grow_memory():
    draw = random.Random(0)

    def one():
        x = fb.randn(draw.randint(1, 3), draw.choice([3, 16, 24]), draw.randint(5, 30), draw.randint(5, 30))
        w = fb.randn(draw.choice([8, 16, 24]), x.shape[1], 3, 3, requires_grad=True)
        F.conv2d(x, w, padding=1).sum().backward()

    for _ in range(100):
        one()
    start = resident()
    for _ in range(500):
        one()
    assert _C._memory_stats()["plan_bytes"] <= 2 * 64 * 2**20
    assert resident() - start < 100


def test_summary():
    text = fb.cpu.memory_summary()
    names = ["allocated", "allocated at most", "kept for reuse", "packed weights", "plans of kernels"]
    assert [line[:18].rstrip() for line in text.splitlines()] == names
    assert all("MiB" in line for line in text.splitlines())
