"""Convolutions computed as others: taps apart, groups of few channels, few outputs, long depthwise lines."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

CASES = [
    # input, outputs, kernel, padding, dilation, groups, stride
    ((2, 32, 40, 37), 32, 3, 2, 2, 1, 1),
    ((1, 32, 33, 50), 64, 3, 6, 3, 1, 1),
    ((2, 64, 41, 43), 32, 3, 0, 2, 1, 1),
    ((2, 32, 40, 37), 32, 3, (2, 3), (2, 3), 1, 1),
    ((1, 32, 61, 30), 32, 3, (1, 4), (1, 4), 1, 1),
    ((2, 32, 517), 32, 3, 4, 4, 1, 1),
    ((1, 64, 700), 32, 3, 0, 8, 1, 1),
    ((2, 32, 40, 37), 32, 3, 3, 2, 1, 1),  # padding no multiple of the dilation
    ((2, 32, 9, 11), 32, 3, 1, 1, 8, 1),
    ((2, 32, 9, 11), 64, 3, 1, 1, 8, 2),
    ((2, 64, 9, 11), 32, (3, 2), (0, 1), 1, 16, 1),
    ((2, 24, 9, 7), 24, 3, 1, 1, 8, 1),
    ((2, 9, 9, 7), 27, 3, 1, 1, 3, 1),
    ((2, 32, 9, 7), 64, 3, 1, 2, 32, 1),
    ((2, 64, 50), 64, 5, 2, 1, 16, 1),
    ((1, 32, 5, 6, 4), 32, 3, 1, 1, 32, 1),
    ((1, 48, 5, 6, 4), 48, (1, 3, 3), (0, 1, 1), 1, 12, (1, 2, 1)),
    ((2, 32, 3, 15, 16), 64, (1, 3, 3), (0, 1, 1), 1, 1, 1),
    ((1, 64, 5, 21, 23), 32, (1, 3, 3), (0, 1, 0), 1, 1, 1),
    ((2, 36, 9, 7), 36, 3, 1, 1, 3, 1),  # groups of 12 do not fill vectors
    ((2, 32, 19, 17), 1, 3, 1, 1, 1, 1),
    ((2, 37, 19, 17), 3, 9, 4, 1, 1, 1),
    ((2, 37, 19, 17), 3, (3, 5), (0, 8), (1, 2), 1, 1),
    ((2, 16, 40), 2, 5, 1, 1, 1, 1),
    ((2, 16, 9, 8), 1, 3, 4, 1, 1, 1),  # more padding than the kernel reaches
    ((2, 20, 60), 20, 31, 15, 1, 20, 1),
    ((2, 20, 60), 20, 12, 3, 3, 20, 2),
    ((1, 19, 20, 23), 19, (9, 5), (4, 3), 1, 19, 1),
    ((1, 16, 7, 6), 16, 11, 8, 1, 16, 1),
]


def tensors(case):
    shape, outputs, kernel, padding, dilation, groups, stride = case
    fb.manual_seed(3)
    kernel = (kernel,) * (len(shape) - 2) if isinstance(kernel, int) else kernel
    bound = 1 / (shape[1] // groups) ** 0.5
    return (
        fb.randn(shape),
        fb.empty(outputs, shape[1] // groups, *kernel).uniform_(-bound, bound),
        fb.randn(outputs),
        {"padding": padding, "dilation": dilation, "groups": groups, "stride": stride},
    )


def convolve(x, w, b, options):
    return (F.conv1d, F.conv2d, F.conv3d)[x.dim() - 3](x, w, b, **options)


def close(ours, exact, tolerance=1e-4):
    fb.testing.assert_close(ours.double(), exact.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_results_and_gradients_are_those_of_double(case):
    *arrays, options = tensors(case)
    found = []
    for dtype in (fb.float32, fb.float64):
        x, w, b = (a.to(dtype).requires_grad_() for a in arrays)
        y = convolve(x, w, b, options)
        g = fb.sin(fb.arange(y.numel(), dtype=fb.float64)).reshape(y.shape).to(dtype)
        first = fb.autograd.grad(y, [x, w, b], g, create_graph=True)
        second = fb.autograd.grad(sum((t * t).sum() for t in first), [x, w])
        found.append([y, *first, *(t / t.abs().max() for t in second)])
    for ours, exact in zip(*found, strict=True):
        close(ours, exact, 3e-4)


@pytest.mark.parametrize("case", CASES)
def test_answering_with_norm_and_relu(case):
    x, w, b, options = tensors(case)
    layer = (fb.nn.Conv1d, fb.nn.Conv2d, fb.nn.Conv3d)[x.dim() - 3]
    norm = (fb.nn.BatchNorm1d, fb.nn.BatchNorm2d, fb.nn.BatchNorm3d)[x.dim() - 3]
    conv = layer(x.size(1), w.size(0), w.shape[2:], **options)
    with fb.no_grad():
        conv.weight.copy_(w)
        conv.bias.copy_(b)
    net = fb.nn.Sequential(conv, norm(w.size(0)), fb.nn.ReLU6()).eval()
    net[1].running_mean.uniform_(-1, 1)
    net[1].running_var.uniform_(0.5, 2)
    with fb.no_grad():
        ours, alone = net(x), conv(x)
        exact = net.double()(x.double())
        close(ours, exact)
        close(alone, convolve(x.double(), w.double(), b.double(), options))


@pytest.mark.parametrize("case", CASES[::4])
def test_channels_last_pictures_and_writes_afterwards(case):
    x, w, b, options = tensors(case)
    exact = convolve(x.double(), w.double(), b.double(), options)
    if x.dim() == 4:
        close(convolve(x.contiguous(memory_format=fb.channels_last), w, b, options), exact)
    y = convolve(x, w, b, options)
    y.add_(1).relu_()
    close(y, (exact + 1).relu())
    half = convolve(x[:, :, ::2], w, b, options) if x.size(2) > 34 else None
    if half is not None:
        close(half, convolve(x[:, :, ::2].double(), w.double(), b.double(), options))


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("case", [CASES[0], CASES[8], CASES[18]])
def test_what_is_not_finite_stays_in_its_group_and_reach(case, value):
    x, w, b, options = tensors(case)
    x[0, 0, 3, 3] = value
    y, exact = convolve(x, w, b, options), convolve(x.double(), w.double(), b.double(), options)
    assert (y.isfinite() == exact.isfinite()).all()
    g = fb.ones_like(y)
    g[0, 0, 3, 3] = value
    found = []
    for dtype in (fb.float32, fb.float64):
        a = x.to(dtype).nan_to_num(0, 0, 0).requires_grad_()
        found.append(fb.autograd.grad(convolve(a, w.to(dtype), b.to(dtype), options), a, g.to(dtype))[0])
    assert (found[0].isfinite() == found[1].isfinite()).all()
    close(found[0].nan_to_num(0, 0, 0), found[1].nan_to_num(0, 0, 0))


@pytest.mark.parametrize("case", [c for c in CASES if c[0][1] == c[1] and c[6] == 1])
def test_answering_with_a_residual_sum(case):
    x, w, b, options = tensors(case)
    if convolve(x, w, b, options).shape != x.shape:
        options["padding"] = tuple(k // 2 * case[4] if isinstance(case[4], int) else 0 for k in w.shape[2:])
    layer = (fb.nn.Conv1d, fb.nn.Conv2d, fb.nn.Conv3d)[x.dim() - 3]
    norm = (fb.nn.BatchNorm1d, fb.nn.BatchNorm2d, fb.nn.BatchNorm3d)[x.dim() - 3]

    class Block(fb.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.conv = (
                layer(w.size(0), w.size(0), 1),
                layer(w.size(0), w.size(0), w.shape[2:], **options),
            )
            self.norm = norm(w.size(0))

        def forward(self, x):
            x = fb.relu(self.first(x))
            y = self.norm(self.conv(x))
            return fb.relu(y + x) if y.shape == x.shape else fb.relu(y)

    block = Block().eval()
    block.norm.running_var.uniform_(0.5, 2)
    with fb.no_grad():
        ours = block(x)
        close(ours, block.double()(x.double()))
