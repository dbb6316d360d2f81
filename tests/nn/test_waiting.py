"""Modules called one by one while answering: what follows a convolution joins it, and nobody can tell."""

import copy
import threading

import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import _C, nn


class Net(nn.Module):
    """Layers, and a function of them that is the forward."""

    def __init__(self, forward, channels=32, out=32, kernel=3, convolution=None, **options):
        super().__init__()
        options.setdefault("padding", kernel // 2)
        kind = convolution or nn.Conv2d
        self.conv = kind(channels, out, kernel, **options)
        self.norm = (nn.BatchNorm1d if kind is nn.Conv1d else nn.BatchNorm2d)(out)
        self.norm.running_mean.uniform_(-1, 1)
        self.norm.running_var.uniform_(0.5, 2)
        self.relu, self.relu_ = nn.ReLU(), nn.ReLU(inplace=True)
        self.function = forward

    def forward(self, x):
        return self.function(self, x)


def joined(work):
    before = _C._joined_calls()
    result = work()
    return _C._joined_calls() - before, result


def compare(net, x, expected_joined=None, mode=fb.no_grad):
    """Against the same modules in double, which never wait."""
    net.eval()
    with mode():
        theirs = copy.deepcopy(net).double()(x.double())
        count, ours = joined(lambda: net(x.clone()))
    if expected_joined is not None:
        assert count == expected_joined
    many = isinstance(ours, tuple)
    for a, b in zip(ours if many else (ours,), theirs if many else (theirs,), strict=True):
        fb.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-4)
    return ours


def residual(n, x):
    h = n.relu(n.norm(n.conv(x)))
    out = n.conv(h)
    out = n.norm(out)
    out += h
    return n.relu_(out)


FORWARDS = {
    "conv, norm, relu": (lambda n, x: n.relu(n.norm(n.conv(x))), 2),
    "conv, relu in place": (lambda n, x: n.relu_(n.conv(x)), 1),
    "conv, norm, relu6": (lambda n, x: F.relu6(n.norm(n.conv(x))), 2),
    "conv, norm, hardtanh in place": (lambda n, x: F.hardtanh_(n.norm(n.conv(x)), -0.5, 0.5), 2),
    "limits without zero": (lambda n, x: F.hardtanh(n.conv(x), 0.25, 0.5), 0),
    "residual, in place": (residual, 5),
    "residual": (lambda n, x: n.relu(n.norm(n.conv(n.conv(x))) + n.conv(x)), 3),
    "sum after relu": (lambda n, x: n.relu(n.conv(x)) + n.relu(n.conv(x)), 2),
    "plain summand": (lambda n, x: n.conv(x) + fb.ones_like(x), 0),
    "factor of a summand": (lambda n, x: fb.add(n.conv(x), n.conv(x * 2), alpha=2), 0),
    "twice itself": (lambda n, x: (lambda y: n.relu(y + y))(n.conv(x)), 0),
    "sum with a part of it": (lambda n, x: (lambda y: y + n.norm(y))(n.conv(x)), 1),
    "broadcast": (lambda n, x: n.conv(x) + n.conv(x)[:1, :1, :1, :1], 0),
    "norm twice": (lambda n, x: n.norm(n.norm(n.conv(x))), 1),
    "relu, norm": (lambda n, x: n.norm(n.relu(n.conv(x))), 1),
    "relu twice": (lambda n, x: n.relu(n.relu(n.conv(x))), 1),
    "a view in between": (lambda n, x: n.relu(n.conv(x).flatten(1)), 0),
    "nobody reads it": (lambda n, x: (n.conv(x), n.norm(n.conv(x)), x)[2] + 1, 1),
}


@pytest.mark.parametrize("mode", [fb.no_grad, fb.inference_mode])
@pytest.mark.parametrize("name", FORWARDS)
def test_calls_join(name, mode):
    fb.manual_seed(0)
    forward, count = FORWARDS[name]
    for kernel in (1, 3):
        compare(Net(forward, kernel=kernel), fb.randn(2, 32, 14, 14), count, mode)


@pytest.mark.parametrize(
    "options",
    [
        {"channels": 64, "out": 64},
        {"channels": 17, "out": 17},
        {"channels": 40, "out": 40, "groups": 40},
        {"groups": 2},
        {"dilation": 2, "padding": 2},
        {"kernel": 1, "padding": 0},
        {"channels": 5, "out": 5, "kernel": 5},
        {"bias": False},
        {"convolution": nn.Conv1d},
    ],
)
def test_shapes(options):
    fb.manual_seed(0)
    net = Net(residual, **options)
    for size in ((9, 11), (16, 16), (5, 3)):
        shape = size[:1] if options.get("convolution") else size
        compare(net, fb.randn(3, options.get("channels", 32), *shape))


def test_large_residual_sums():
    fb.manual_seed(0)
    compare(Net(residual, 64, 64, 1), fb.randn(2, 64, 96, 96), 5)
    compare(Net(residual, 64, 64, 3), fb.randn(2, 64, 48, 48), 5)


def test_results_that_are_kept():
    def forward(n, x):
        a = n.conv(x)
        b = n.norm(a)
        c = b + x.mul(1)
        d = n.relu(c)
        return a, b, c, d

    compare(Net(forward), fb.randn(2, 32, 10, 10))


def test_writes_come_after():
    def writes(write):
        def forward(n, x):
            y = n.conv(x)
            write(n, x)
            z = n.norm(y)
            write(n, x)
            return n.relu(z)

        return forward

    def start_thread(n, x):
        thread = threading.Thread(target=lambda: x.mul_(3))
        thread.start()
        thread.join()

    def by_address(n, x):
        x.numpy()[:] += 1

    def parameter(n, x):
        n.conv.weight.add_(1)

    def statistics(n, x):
        n.norm.running_var.mul_(2)

    def storage(n, x):
        n.conv.bias.data = n.conv.bias.data + 1

    def compiled(n, x):
        fb.compile(lambda t: t.mul_(2))(x)

    for write in (lambda n, x: x.add_(1), start_thread, by_address, parameter, statistics, storage, compiled):
        compare(Net(writes(write)), fb.randn(2, 32, 9, 9))


def test_in_place_on_what_waits():
    def forward(n, x):
        y = n.norm(n.conv(x))
        alias, before = y.detach(), y._version
        z = n.relu_(y)
        assert z is y and y._version == before + 1
        return y, alias

    compare(Net(forward), fb.randn(2, 32, 9, 9))

    def versions(n, x):
        y = n.conv(x)
        version = y._version
        n.relu_(y)
        assert y._version == version + 1
        y += x.relu()
        assert y._version == version + 2
        return y

    compare(Net(versions), fb.randn(2, 32, 9, 9))


def test_reading_in_between():
    seen = []

    def forward(n, x):
        y = n.conv(x)
        seen.append((y.shape, y.stride(), y.is_contiguous(), y.data_ptr() != 0))
        z = n.norm(y)
        seen.append(z.numpy()[0, 0, 0, 0])
        w = n.relu(z)
        seen.append(w[0, 0, 0, 0].item())
        return w

    net = Net(forward).eval()
    with fb.no_grad():
        net(fb.randn(2, 32, 9, 9))
    assert seen[0] == ((2, 32, 9, 9), (2592, 81, 9, 1), True, True)
    assert seen[2] == max(seen[1], 0)


def test_hooks_in_between():
    fb.manual_seed(0)
    net = Net(lambda n, x: n.relu(n.norm(n.conv(x)))).eval()
    x = fb.randn(2, 32, 9, 9)
    with fb.no_grad():
        expected = net(x)
        seen = []
        net.conv.register_forward_hook(lambda m, i, o: seen.append(o.sum().item()))
        fb.testing.assert_close(net(x), expected)
        assert len(seen) == 1
        net.norm.register_forward_hook(lambda m, i, o: o * 2)
        fb.testing.assert_close(net(x), expected * 2)
        net.conv.register_forward_hook(lambda m, i, o: o.zero_())
        assert not fb.allclose(net(x), expected * 2)


def test_training_and_gradients_do_not_wait():
    fb.manual_seed(0)
    net, x = Net(residual), fb.randn(2, 32, 9, 9)
    assert joined(lambda: net(x))[0] == 0
    net.eval()
    count, y = joined(lambda: net(x))
    assert count == 0 and y.requires_grad
    for p in net.parameters():
        p.requires_grad_(False)
    count, y = joined(lambda: net(x))
    assert count == 5 and not y.requires_grad
    net.norm.weight.requires_grad_()
    count, y = joined(lambda: net(x))
    assert y.requires_grad
    (g,) = fb.autograd.grad(y.sum(), net.norm.weight)
    assert g.shape == (32,)
    net.train()
    with fb.no_grad():
        before = net.norm.running_mean.clone()
        net(x)
    assert not fb.equal(before, net.norm.running_mean)


def test_numbers_that_are_not_finite():
    net = Net(lambda n, x: n.relu_(n.conv(x) + n.conv(x * 0)), kernel=3).eval()
    nn.init.ones_(net.conv.weight)
    x = fb.ones(1, 32, 12, 12)
    x[0, 0, 0, 0], x[0, 0, 11, 11] = float("nan"), float("inf")
    with fb.no_grad():
        y = net(x)
    assert y[0, :, :2, :2].isnan().all() and y[0, :, 3:9, 3:9].isfinite().all()


def test_errors_are_told_where_they_happen():
    net = Net(lambda n, x: n.relu(n.norm(n.conv(x)))).eval()
    with fb.no_grad():
        with pytest.raises(RuntimeError, match="expected input"):
            net(fb.randn(1, 3, 8, 8))
        net.norm = nn.BatchNorm2d(16).eval()
        with pytest.raises(RuntimeError, match="running_mean should contain 32 elements not 16"):
            net(fb.randn(1, 32, 8, 8))

    def fails(n, x):
        kept.append(n.conv(x))
        raise ValueError("after the convolution")

    kept = []
    net = Net(fails).eval()
    x = fb.randn(1, 32, 8, 8)
    with fb.no_grad(), pytest.raises(ValueError):
        net(x)
    fb.testing.assert_close(kept[0], net.conv(x).detach())


def test_threads_answer_at_once():
    fb.manual_seed(0)
    net = Net(residual, kernel=1).eval()
    xs = [fb.randn(2, 32, 12, 12) for _ in range(4)]
    with fb.no_grad():
        expected = [net(x) for x in xs]
    wrong = []

    def answer(x, y):
        with fb.no_grad():
            for _ in range(50):
                if not fb.allclose(net(x), y, atol=1e-5):
                    wrong.append(x)

    threads = [threading.Thread(target=answer, args=pair) for pair in zip(xs, expected, strict=True)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("kernel", [3, 5])
def test_sums_join_convolutions_with_narrow_results(kernel):
    net = Net(residual, 128, 128, kernel, bias=False).eval()
    for _ in range(3):  # the packed weights stay
        compare(net, fb.randn(2, 128, 7, 5), 5)
