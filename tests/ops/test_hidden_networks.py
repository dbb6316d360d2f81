"""Hidden layouts through whole networks: images are passed on without a reordering, and nobody can tell."""

import copy
import io
import pickle

import numpy as np
import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau import _C, nn

# oneDNN's kernels for older processors like other orders.
pytestmark = pytest.mark.skipif(
    fb.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"), reason="needs AVX2"
)


def reorders(work):
    """How many tensors `work` brings into a hidden order, and out of it; what it returns."""
    before = _C._hidden_counts()
    result = work()
    after = _C._hidden_counts()
    return (after[0] - before[0], after[1] - before[1]), result


def hidden(channels=32, size=16):
    """A result that lies in a hidden order."""
    fb.manual_seed(1)
    return nn.Conv2d(channels, channels, 3, padding=1)(fb.randn(2, channels, size, size))


ACTIVATIONS = [
    "relu",
    "leaky_relu",
    "silu",
    "hardswish",
    "sigmoid",
    "relu6",
    "hardtanh",
    "gelu",
    "elu",
    "mish",
]
LAYERS = {
    **{name: getattr(F, name) for name in ACTIVATIONS},
    "relu in place": lambda h: F.relu(h * 1.5, inplace=True),
    "relu6 in place": lambda h: F.relu6(h * 1.5, inplace=True),
    "silu in place": lambda h: F.silu(h * 1.5, inplace=True),
    "residual": lambda h: h * 0.5 + h,
    "product": lambda h: h * h,
    "batch norm": lambda h: nn.BatchNorm2d(32)(h),
    "batch norm, evaluated": lambda h: nn.BatchNorm2d(32).eval()(h),
    "max pool": lambda h: F.max_pool2d(h, 3, 2, 1),
    "average pool": lambda h: F.avg_pool2d(h, 2),
    "adaptive pool": lambda h: F.adaptive_avg_pool2d(h, 5),
    "global pool": lambda h: F.adaptive_avg_pool2d(h, 1).flatten(1),
    "mean": lambda h: h.mean((2, 3)),
    "sum of all": lambda h: h.sum(),
    "cat": lambda h: fb.cat([h, h * 2, h[:, :]], 1),
    "nearest": lambda h: F.interpolate(h, scale_factor=2),
    "bilinear": lambda h: F.interpolate(h, scale_factor=2, mode="bilinear"),
    "bicubic": lambda h: F.interpolate(h, size=(9, 20), mode="bicubic"),
    "feature dropout": lambda h: F.dropout2d(h, 0.5),
    "squeeze and excitation": lambda h: h * fb.sigmoid(F.adaptive_avg_pool2d(h, 1)),
    "transposed": lambda h: nn.ConvTranspose2d(32, 32, 2, 2)(h),
    "depthwise": lambda h: nn.Conv2d(32, 32, 3, padding=1, groups=32)(h),
    "clone": lambda h: h.clone(),
    "clamp": lambda h: h.clamp(-1, 1).detach() + h,
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_pass_images_on(name):
    """No reordering forward or backward, and the numbers of plain tensors."""
    h = hidden()
    (to, back), y = reorders(lambda: LAYERS[name](h))
    assert (to, back) == (0, 0)
    seed = hidden()[:, :1].expand(y.shape).contiguous() if y.shape == h.shape else fb.ones(y.shape)
    plain = h.detach().clone()
    plain.numpy()
    plain.requires_grad_()
    if name != "feature dropout":  # random
        state = fb.get_rng_state()
        fb.set_rng_state(state)
        ours = LAYERS[name](h)
        fb.set_rng_state(state)
        theirs = LAYERS[name](plain)
        fb.testing.assert_close(ours, theirs)
        (g,) = fb.autograd.grad(ours, h, seed)
        (expected,) = fb.autograd.grad(theirs, plain, seed)
        fb.testing.assert_close(g, expected)


def test_gradients_stay_hidden():
    """A hidden gradient comes out of every layer hidden: the next convolution takes it as it lies."""
    for name, layer in LAYERS.items():
        h = hidden()
        y = layer(h)
        if y.dim() != 4 or y.shape[1] % 32:
            continue
        through = nn.Conv2d(y.shape[1], 32, 1)(y)
        seed = nn.Conv2d(32, 32, 1)(fb.randn(through.shape)).detach()
        counts, (g,) = reorders(lambda h=h, through=through, seed=seed: fb.autograd.grad(through, h, seed))
        assert counts == (0, 0), name
        counts, _ = reorders(lambda g=g: g.sum())
        assert counts == (0, 0), name
        counts, _ = reorders(g.numpy)
        assert counts[1] == 1, name


def test_one_dimension():
    layers = [
        nn.BatchNorm1d(32),
        nn.ReLU(),
        nn.MaxPool1d(2),
        nn.Conv1d(32, 32, 3, padding=1),
        nn.AvgPool1d(2),
        nn.Upsample(scale_factor=2),
        nn.ConvTranspose1d(32, 32, 2, 2),
        nn.AdaptiveAvgPool1d(1),
        nn.Flatten(),
    ]
    net = nn.Sequential(nn.Conv1d(1, 32, 9, 4), *layers)
    x = fb.randn(2, 1, 400)
    (to, back), y = reorders(lambda: net(x))
    assert to <= 1 and back == 0  # the result of one channel may be plain
    loss = (y * y).sum()
    counts, _ = reorders(loss.backward)
    assert counts[1] == 0
    double = copy.deepcopy(net).double()
    double.zero_grad()
    (double(x.double()) ** 2).sum().backward()
    for p, q in zip(net.parameters(), double.parameters(), strict=True):
        fb.testing.assert_close(p.grad.double(), q.grad, rtol=1e-3, atol=1e-4)


class Residual(nn.Module):
    """A block of ResNet with a strided shortcut."""

    def __init__(self, a, b):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(a, b, 3, 2, 1, bias=False), nn.BatchNorm2d(b)
        self.c2, self.b2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.short = nn.Sequential(nn.Conv2d(a, b, 1, 2, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        y = F.relu(self.b1(self.c1(x)), inplace=True)
        return F.relu(self.b2(self.c2(y)) + self.short(x), inplace=True)


class Neck(nn.Module):
    """What joins the scales of a detector."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, 2, 1), nn.BatchNorm2d(32), nn.SiLU(inplace=True))
        self.down = nn.Sequential(nn.Conv2d(32, 64, 3, 2, 1), nn.BatchNorm2d(64), nn.LeakyReLU(0.1))
        self.pool, self.up = nn.MaxPool2d(5, 1, 2), nn.Upsample(scale_factor=2)
        self.out = nn.Conv2d(160, 32, 1)

    def forward(self, x):
        a = self.stem(x)
        b = self.down(a)
        b = fb.cat([b, self.pool(b)], 1)
        return self.out(fb.cat([self.up(b), a], 1))


@pytest.mark.parametrize(
    "net, shape",
    [
        (lambda: nn.Sequential(nn.Conv2d(3, 32, 3), Residual(32, 64)), (2, 3, 18, 18)),
        (Neck, (2, 3, 32, 32)),
    ],
)
def test_networks_pass_images_on(net, shape):
    fb.manual_seed(0)
    net = net()
    double = copy.deepcopy(net).double()
    x = fb.randn(shape)
    counts, y = reorders(lambda: net(x))
    assert counts == (0, 0)
    loss = y.square().mean()
    counts, _ = reorders(loss.backward)
    assert counts == (0, 0)
    double(x.double()).square().mean().backward()
    for p, q in zip(net.parameters(), double.parameters(), strict=True):
        fb.testing.assert_close(p.grad.double(), q.grad, rtol=1e-3, atol=1e-5)


def test_strides_and_views_tell_nothing():
    h, twin = hidden(), hidden()
    assert h.stride() == (8192, 256, 16, 1) and h.is_contiguous()
    assert not h.is_contiguous(memory_format=fb.channels_last)
    assert h.storage_offset() == 0 and h.untyped_storage().nbytes() == h.numel() * 4
    view = h.view(2, -1)
    part = h[1, 3:5]
    assert view.data_ptr() == h.data_ptr()
    assert part.data_ptr() == h.data_ptr() + 4 * (8192 + 3 * 256)
    assert fb.equal(view, twin.flatten(1)) and fb.equal(part, twin[1, 3:5])
    lone = hidden().unsqueeze(2)
    assert lone.shape == (2, 32, 1, 16, 16) and fb.equal(lone.squeeze(2), twin)


def test_writes_in_place_are_seen_everywhere():
    h, twin = hidden().detach(), hidden().detach().numpy().copy()
    other = h.detach()
    row = h[0, 0, 0]
    h.mul_(2)  # after a view was made, before any bytes were read
    np.testing.assert_array_equal(other.numpy(), twin * 2)
    np.testing.assert_array_equal(row.numpy(), twin[0, 0, 0] * 2)
    row.zero_()
    assert h[0, 0, 0].abs().sum() == 0
    g = hidden().detach()
    wide = g.unsqueeze(0)
    F.relu(g, inplace=True)
    assert wide.min() == 0 and wide._version == g._version == 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y = fb.sigmoid(hidden())
        y.add_(1)
        y.sum().backward()


def test_numpy_and_dlpack_alias():
    h = hidden().detach()
    a = h.numpy()
    F.relu(h, inplace=True)
    assert a.min() == 0
    a[:] = 3
    assert F.relu(h).mean() == 3 and nn.Conv2d(32, 1, 1, bias=False)(h).shape == (2, 1, 16, 16)
    b = fb.from_dlpack(hidden().detach())
    assert b.stride() == (8192, 256, 16, 1)


def test_hooks_see_plain_tensors():
    seen = []
    h = hidden()
    h.register_hook(lambda g: seen.append((g.stride(), g.is_contiguous(), g.clone())))
    y = nn.BatchNorm2d(32)(h)
    module = nn.ReLU()
    module.register_forward_hook(
        lambda m, args, out: seen.append((out.stride(), out.is_contiguous(), out.detach()))
    )
    (module(y) * 2).sum().backward()
    assert [s[:2] for s in seen] == [((8192, 256, 16, 1), True)] * 2
    replaced = hidden()
    replaced.register_hook(lambda g: g.permute(0, 1, 3, 2))
    x = fb.ones(2, 32, 16, 16, requires_grad=True)
    (F.relu(x * replaced) * 1).sum().backward()
    assert x.grad.shape == x.shape


def test_copies_and_pickles():
    h = hidden().detach()
    twin = hidden().detach().numpy()
    for copied in (
        copy.copy(h),
        copy.deepcopy(hidden().detach()),
        pickle.loads(pickle.dumps(hidden().detach())),
    ):
        assert copied.stride() == (8192, 256, 16, 1)
        np.testing.assert_array_equal(copied.numpy(), twin)
    file = io.BytesIO()
    fb.save({"h": hidden().detach()}, file)
    file.seek(0)
    np.testing.assert_array_equal(fb.load(file)["h"].numpy(), twin)
    deep = hidden().detach()
    other = copy.deepcopy(deep)
    other.zero_()
    np.testing.assert_array_equal(deep.numpy(), twin)
    assert repr(hidden().detach()) == repr(fb.from_numpy(twin))


def test_a_view_of_one_operand_is_the_other():
    """Reading the view turns the image back while the other operand is still needed."""
    conv = nn.Conv2d(32, 32, 3, padding=1)
    h = hidden().detach().requires_grad_()
    y = conv(h)
    y.backward(h.detach().transpose(2, 3))
    again = hidden().detach().requires_grad_()
    conv2 = copy.deepcopy(conv)
    conv2.zero_grad()
    conv2(again).backward(hidden().detach().transpose(2, 3).clone())
    fb.testing.assert_close(h.grad, again.grad)
    fb.testing.assert_close(conv.weight.grad, conv2.weight.grad)
    a = hidden().detach()
    fb.testing.assert_close(fb.cat([a, a.transpose(2, 3)], 1)[:, 32:], hidden().detach().transpose(2, 3))
    pooled = hidden().detach().requires_grad_()
    fb.nn.functional.max_pool2d(pooled, 1).backward(pooled.detach().transpose(2, 3))
    fb.testing.assert_close(pooled.grad, pooled.detach().transpose(2, 3))
