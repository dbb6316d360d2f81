"""Activation functions: values and gradients, in one fused pass and through the differentiable formula."""

import math

import pytest

import flambeau as fb
from flambeau.nn import functional as F

POINTS = [-7.5, -3, -1.3, -0.5, 0, 0.2, 0.8, 3, 6.5]
FUNCTIONS = {
    "relu": F.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.1),
    "elu": lambda x: F.elu(x, 1.5),
    "selu": F.selu,
    "celu": lambda x: F.celu(x, 2.0),
    "gelu": F.gelu,
    "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "mish": F.mish,
    "softplus": lambda x: F.softplus(x, 2, 3),
    "logsigmoid": F.logsigmoid,
    "hardtanh": lambda x: F.hardtanh(x, -1, 2),
    "hardsigmoid": F.hardsigmoid,
    "hardswish": F.hardswish,
    "hardshrink": lambda x: F.hardshrink(x, 0.6),
    "softshrink": lambda x: F.softshrink(x, 0.6),
    "threshold": lambda x: F.threshold(x, 0.5, 7.0),
    "tanhshrink": F.tanhshrink,
    "softsign": F.softsign,
}
# values and derivatives at POINTS
GOLDEN = {
    "relu": (
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.8, 3.0, 6.5],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0],
    ),
    "relu6": (
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.2, 0.8, 3.0, 6.0],
        [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 0.0],
    ),
    "leaky_relu": (
        [-0.75, -0.3, -0.13, -0.05, 0.0, 0.2, 0.8, 3.0, 6.5],
        [0.1, 0.1, 0.1, 0.1, 0.1, 1.0, 1.0, 1.0, 1.0],
    ),
    "elu": (
        [-1.499170373, -1.425319397, -1.09120231, -0.5902040104, 0.0, 0.2, 0.8, 3.0, 6.5],
        [0.0008296265552, 0.07468060255, 0.4087976896, 0.9097959896, 1.5, 1.0, 1.0, 1.0, 1.0],
    ),
    "selu": (
        [
            -1.757126964,
            -1.670568729,
            -1.278961375,
            -0.6917581878,
            0.0,
            0.2101401975,
            0.8405607899,
            3.152102962,
            6.829556418,
        ],
        [
            0.0009723772666,
            0.08753061208,
            0.4791379657,
            1.066341153,
            1.758099341,
            1.050700987,
            1.050700987,
            1.050700987,
            1.050700987,
        ],
    ),
    "celu": (
        [-1.952964508, -1.55373968, -0.9559084465, -0.4423984339, 0.0, 0.2, 0.8, 3.0, 6.5],
        [0.02351774586, 0.2231301601, 0.5220457768, 0.7788007831, 1.0, 1.0, 1.0, 1.0, 1.0],
    ),
    "gelu": (
        [
            -2.393918397e-13,
            -0.004049694095,
            -0.12584063,
            -0.1542687694,
            0.0,
            0.1158519419,
            0.6305156811,
            2.995950306,
            6.5,
        ],
        [
            -1.793821488e-12,
            -0.0119456472,
            -0.1259786851,
            0.1325048753,
            0.5,
            0.6574682482,
            1.019897844,
            1.011945647,
            1.000000002,
        ],
    ),
    "gelu_tanh": (
        [
            -0.0,
            -0.003637392082,
            -0.1260709877,
            -0.1542859902,
            0.0,
            0.1158514298,
            0.6304316914,
            2.996362608,
            6.5,
        ],
        [0.0, -0.01158416663, -0.1258780698, 0.1326300965, 0.5, 0.6574581492, 1.019583731, 1.011584167, 1.0],
    ),
    "silu": (
        [
            -0.004145839777,
            -0.1422776195,
            -0.278414522,
            -0.1887703344,
            0.0,
            0.1099667995,
            0.5519795849,
            2.85772238,
            6.490242315,
        ],
        [
            -0.003590769408,
            -0.08810410602,
            -0.004622854252,
            0.2600388127,
            0.5,
            0.5993373119,
            0.8611022383,
            1.088104106,
            1.008241854,
        ],
    ),
    "mish": (
        [
            -0.004146985643,
            -0.1456474613,
            -0.3073824647,
            -0.2207437747,
            0.0,
            0.1325990019,
            0.6596997574,
            2.986535005,
            6.499970704,
        ],
        [
            -0.00359290709,
            -0.09339311453,
            -0.02640096216,
            0.2895106779,
            0.6,
            0.7246245404,
            1.001254912,
            1.021106911,
            1.000053997,
        ],
    ),
    "softplus": (
        [
            1.529511369e-07,
            0.001237842569,
            0.03582234598,
            0.1566308438,
            0.3465735903,
            0.4565076262,
            0.8919503704,
            3.0,
            6.5,
        ],
        [
            3.059022269e-07,
            0.002472623157,
            0.06913842034,
            0.2689414214,
            0.5,
            0.5986876601,
            0.8320183851,
            1.0,
            1.0,
        ],
    ),
    "logsigmoid": (
        [
            -7.500552931,
            -3.048587352,
            -1.541008454,
            -0.9740769842,
            -0.6931471806,
            -0.5981388694,
            -0.3711006659,
            -0.04858735157,
            -0.00150231016,
        ],
        [
            0.9994472214,
            0.9525741268,
            0.785834983,
            0.6224593312,
            0.5,
            0.4501660027,
            0.3100255189,
            0.04742587318,
            0.001501182257,
        ],
    ),
    "hardtanh": (
        [-1.0, -1.0, -1.0, -0.5, 0.0, 0.2, 0.8, 2.0, 2.0],
        [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
    ),
    "hardsigmoid": (
        [0.0, 0.0, 0.2833333333, 0.4166666667, 0.5, 0.5333333333, 0.6333333333, 1.0, 1.0],
        [0.0, 0.0, 0.1666666716, 0.1666666716, 0.1666666716, 0.1666666716, 0.1666666716, 0.0, 0.0],
    ),
    "hardswish": (
        [-0.0, -0.0, -0.3683333333, -0.2083333333, 0.0, 0.1066666667, 0.5066666667, 3.0, 6.5],
        [0.0, 0.0, 0.06666666667, 0.3333333333, 0.5, 0.5666666667, 0.7666666667, 1.0, 1.0],
    ),
    "hardshrink": (
        [-7.5, -3.0, -1.3, 0.0, 0.0, 0.0, 0.8, 3.0, 6.5],
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
    ),
    "softshrink": (
        [-6.9, -2.4, -0.7, 0.0, 0.0, 0.0, 0.2, 2.4, 5.9],
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
    ),
    "threshold": (
        [7.0, 7.0, 7.0, 7.0, 7.0, 7.0, 0.8, 3.0, 6.5],
        [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0],
    ),
    "tanhshrink": (
        [
            -6.500000612,
            -2.004945246,
            -0.4382768407,
            -0.03788284274,
            0.0,
            0.002624679775,
            0.1359632297,
            2.004945246,
            5.500004521,
        ],
        [
            0.9999987764,
            0.9901339628,
            0.7425668033,
            0.213552267,
            0.0,
            0.03895701703,
            0.4409448323,
            0.9901339628,
            0.9999909587,
        ],
    ),
    "softsign": (
        [
            -0.8823529412,
            -0.75,
            -0.5652173913,
            -0.3333333333,
            0.0,
            0.1666666667,
            0.4444444444,
            0.75,
            0.8666666667,
        ],
        [
            0.01384083045,
            0.0625,
            0.1890359168,
            0.4444444444,
            1.0,
            0.6944444444,
            0.3086419753,
            0.0625,
            0.01777777778,
        ],
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "dtype, rtol, atol", [(fb.float64, 1e-7, 1e-9), (fb.float32, 2e-6, 1e-6), (fb.bfloat16, 2e-2, 1e-2)]
)
def test_values_and_gradients(name, dtype, rtol, atol):
    x = fb.tensor(POINTS, dtype=fb.float64).to(dtype).requires_grad_()
    y = FUNCTIONS[name](x)
    y.sum().backward()
    want, slope = (fb.tensor(v, dtype=fb.float64) for v in GOLDEN[name])
    if dtype is fb.bfloat16:  # 0.8 and -1.3 are not exact
        atol *= 2
    assert fb.allclose(y.detach().double(), want, rtol, atol)
    assert fb.allclose(x.grad.double(), slope, rtol, atol)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_order(name):
    x = fb.tensor([-4.1, -1.7, -0.4, 0.3, 1.1, 4.2], dtype=fb.float64, requires_grad=True)
    (g,) = fb.autograd.grad(FUNCTIONS[name](x).sum(), x, create_graph=True)
    second = fb.autograd.grad(g.sum(), x, allow_unused=True)[0] if g.requires_grad else None
    h = 1e-5

    def slope(at):
        at = at.detach().requires_grad_()
        return fb.autograd.grad(FUNCTIONS[name](at).sum(), at)[0]

    numeric = (slope(x + h) - slope(x - h)) / (2 * h)
    assert fb.allclose(fb.zeros_like(numeric) if second is None else second, numeric, 1e-4, 1e-4)


def test_inplace_forms_keep_gradients():
    for name in ("relu_", "selu_", "celu_", "leaky_relu_", "elu_", "hardtanh_"):
        x = fb.tensor(POINTS, dtype=fb.float64, requires_grad=True)
        y = getattr(F, name)(x * 1)
        y.sum().backward()
        z = x.detach().requires_grad_()
        getattr(F, name[:-1])(z).sum().backward()
        assert fb.allclose(x.grad, z.grad), name


def test_nan_passes_through():
    x = fb.tensor([math.nan])
    for name, function in FUNCTIONS.items():
        assert math.isnan(function(x).item()), name


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: F.relu(fb.ones(2, dtype=fb.bool)), RuntimeError, "Boolean inputs not supported for relu"),
        (
            lambda: F.elu(fb.ones(2, dtype=fb.int64)),
            NotImplementedError,
            "\"elu_cpu\" not implemented for 'Long'",
        ),
        (lambda: F.celu(fb.ones(2), 0.0), RuntimeError, "ZeroDivisionError: alpha cannot be 0 for CELU"),
        (
            lambda: F.softshrink(fb.ones(2), -1.0),
            RuntimeError,
            "lambda must be in range [0, 3.40282e+38] for input dtype Float, but found -1",
        ),
        (
            lambda: F.gelu(fb.ones(2), approximate="x"),
            RuntimeError,
            "approximate argument must be either none or tanh.",
        ),
        (
            lambda: F.glu(fb.ones(3)),
            RuntimeError,
            "Halving dimension must be even, but dimension 0 is size 3",
        ),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


@pytest.mark.parametrize("shape", [(2, 5), (3, 19, 7, 5), (2, 32, 6, 6), (4, 16, 9)])
@pytest.mark.parametrize("many", [False, True])
def test_prelu_is_its_formula(shape, many):
    fb.manual_seed(0)
    x, w = fb.randn(shape), fb.randn(shape[1] if many else 1)
    found = []
    for dtype, formula in ((fb.float32, False), (fb.float64, True)):
        a, slope = x.to(dtype).requires_grad_(), w.to(dtype).requires_grad_()
        h = F.conv2d(a, fb.eye(shape[1], dtype=dtype)[:, :, None, None]) if len(shape) == 4 else a * 1
        wide = slope.view(1, -1, *[1] * (len(shape) - 2))
        y = fb.where(h > 0, h, wide * h) if formula else F.prelu(h, slope)
        g = fb.cos(fb.arange(y.numel(), dtype=fb.float64)).reshape(y.shape).to(dtype)
        plain = fb.autograd.grad(y, [a, slope], g, retain_graph=True)
        first = fb.autograd.grad(y, [a, slope], g, create_graph=True)
        second = fb.autograd.grad(sum((t * t).sum() for t in first), [a, slope], allow_unused=True)
        found.append([y, *plain, *first, second[1]])
        assert formula or type(y.grad_fn).__name__ == "PreluKernelBackward0"
    for ours, exact in zip(*found, strict=True):
        fb.testing.assert_close(ours.double(), exact, rtol=1e-4, atol=1e-4)


def test_prelu_of_what_is_no_number_and_of_samples():
    x = fb.tensor([[float("nan"), -float("inf"), 0.0, -2.0]])
    w = fb.tensor([1.0, 2.0, 3.0, 4.0])
    assert F.prelu(x, w).tolist()[0][1:] == [-float("inf"), 0.0, -8.0]
    assert F.prelu(x, w)[0, 0].isnan()
    many = fb.randn(3, 2, 4)
    assert (fb.func.vmap(lambda t: F.prelu(t, w))(many) == F.prelu(many.view(6, 4), w).view(3, 2, 4)).all()
