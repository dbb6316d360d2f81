# ruff: noqa: E501
"""What calls that do not fit an operator raise, as PyTorch 2.13 does (class and first line), and marks that results
bear: versions, bases. Golden values are PyTorch's."""

import importlib

import pytest

import flambeau as fb
import flambeau.nn.functional as F
from flambeau.ops.families import FAMILIES
from flambeau.ops.registry import OPS

X = fb.ones(2, 2)
X1 = fb.arange(16.0).reshape(1, 2, 8)
X3 = fb.arange(128.0).reshape(1, 2, 4, 4, 4)

REFUSED = [
    (lambda: fb.abs_(), TypeError, 'abs_() missing 1 required positional arguments: "input"'),
    (lambda: fb.abs_(input=1), TypeError, "abs_(): argument 'input' must be Tensor, not int"),
    (lambda: fb.abs_(X, X), TypeError, "abs_() takes 1 positional argument but 2 were given"),
    (
        lambda: fb.clamp_(X, "a"),
        TypeError,
        "clamp_() received an invalid combination of arguments - got (Tensor, str), but expected one of:",
    ),
    (
        lambda: fb.special.round(1),
        TypeError,
        "special_round(): argument 'input' (position 1) must be Tensor, not int",
    ),
    (
        lambda: fb.special.logit(X, "a"),
        TypeError,
        "special_logit(): argument 'eps' (position 2) must be float, not str",
    ),
    (
        lambda: fb.special.xlogy(1, 2),
        TypeError,
        "special_xlogy() received an invalid combination of arguments - got (int, int), but expected one of:",
    ),
    (
        lambda: fb.addmv(X, alpha=3),
        TypeError,
        "addmv() received an invalid combination of arguments - got unrecognized keyword arguments: alpha",
    ),
    (lambda: X.addmv(X, beta=2), TypeError, 'addmv() missing 1 required positional arguments: "vec"'),
    (lambda: X.relu(1), TypeError, "TensorBase.relu() takes no arguments (1 given)"),
    (lambda: X.relu(a=1), TypeError, "TensorBase.relu() takes no keyword arguments"),
    (lambda: X.abs_(1), TypeError, "TensorBase.abs_() takes no arguments (1 given)"),
    (
        lambda: fb.conv1d(1.0, X, X, stride=1, padding=1, groups=1, dilation=1),
        TypeError,
        "conv1d() received an invalid combination of arguments - got (float, Tensor, Tensor, dilation=int, groups=int, padding=int, stride=int), but expected one of:",
    ),
    (lambda: fb.diff(X, 2.5), TypeError, "diff(): argument 'n' (position 2) must be int, not float"),
    (lambda: fb.diff(), TypeError, 'diff() missing 1 required positional arguments: "input"'),
    (lambda: fb.cross(X, X, X), TypeError, "cross(): argument 'dim' (position 3) must be int, not Tensor"),
    (
        lambda: fb.fft.fftn(X, X),
        TypeError,
        "fft_fftn(): argument 's' (position 2) must be tuple of ints, not Tensor",
    ),
    (lambda: fb.svd(X, some=1), TypeError, "svd(): argument 'some' must be bool, not int"),
    (
        lambda: fb.renorm(X, 2, 2.5, 1),
        TypeError,
        "renorm(): argument 'dim' (position 3) must be int, not float",
    ),
    (
        lambda: fb.quantile(X, 0.5, X),
        TypeError,
        "quantile() received an invalid combination of arguments - got (Tensor, float, Tensor), but expected one of:",
    ),
    (
        lambda: fb.is_nonzero(2.5),
        TypeError,
        "is_nonzero(): argument 'input' (position 1) must be Tensor, not float",
    ),
    (
        lambda: fb.linalg.slogdet(X, foo=1),
        TypeError,
        "linalg_slogdet() got an unexpected keyword argument 'foo'",
    ),
    (lambda: fb.cholesky(X, out=3), TypeError, "cholesky(): argument 'out' must be Tensor, not int"),
    (
        lambda: fb.poisson_nll_loss(X, X, None, True, 1e-8, 1),
        TypeError,
        "poisson_nll_loss(): argument 'log_input' (position 3) must be bool, not NoneType",
    ),
    (
        lambda: X.fill_diagonal_(1, wrap=1),
        TypeError,
        "fill_diagonal_(): argument 'wrap' must be bool, not int",
    ),
    (
        lambda: X.int().clamp_(0.5),
        RuntimeError,
        "result type Float can't be cast to the desired output type int",
    ),
    (
        lambda: fb.sin(X, out=fb.zeros(2, 2, requires_grad=True)),
        RuntimeError,
        "sin(): functions with out=... arguments don't support automatic differentiation, but one of the arguments requires grad.",
    ),
    (
        lambda: fb.addmm(X, X, X.double()),
        RuntimeError,
        "self and mat2 must have the same dtype, but got Float and Double",
    ),
    (
        lambda: fb.addr(fb.ones(2, 2).long(), fb.ones(2).long(), fb.ones(2).long(), beta=0.5),
        RuntimeError,
        "For integral input tensors, argument beta must not be a floating point number.",
    ),
    (
        lambda: F.adaptive_max_pool1d(X1.int(), 2),
        NotImplementedError,
        "\"adaptive_max_pool2d\" not implemented for 'Int'",
    ),
    (
        lambda: F.adaptive_max_pool3d(X3.long(), 2),
        NotImplementedError,
        "\"adaptive_max_pool3d_cpu\" not implemented for 'Long'",
    ),
    (
        lambda: F.adaptive_avg_pool3d(X3.long(), 2),
        NotImplementedError,
        "\"adaptive_avg_pool3d_cpu\" not implemented for 'Long'",
    ),
    (lambda: F.max_pool3d(X3.bool(), 2), NotImplementedError, "\"max_pool3d\" not implemented for 'Bool'"),
    (
        lambda: F.max_pool1d(X1.cfloat(), 2),
        NotImplementedError,
        "\"max_pool1d_impl\" not implemented for 'ComplexFloat'",
    ),
    (lambda: F.avg_pool1d(X1.int(), 2), NotImplementedError, "\"avg_pool2d\" not implemented for 'Int'"),
    (
        lambda: F.avg_pool3d(X3.bfloat16(), 2),
        NotImplementedError,
        "\"avg_pool3d_out_frame\" not implemented for 'BFloat16'",
    ),
    (
        lambda: F.prelu(X.long(), fb.ones(1).long()),
        NotImplementedError,
        "\"prelu_cpu\" not implemented for 'Long'",
    ),
    (
        lambda: F.fold(fb.ones(1, 8, 4).int(), (4, 4), 2, stride=2),
        NotImplementedError,
        "\"col2im_out_cpu\" not implemented for 'Int'",
    ),
    (
        lambda: F.fold(fb.ones(1, 8, 4), (4, 4), 2**40, stride=2),
        RuntimeError,
        "Given kernel_width = 1099511627776 and kernel_height = 1099511627776 the product of kernel_width and kernel_height overflowed.",
    ),
    (
        lambda: F.pad(X1.bool(), (1, 1), "reflect"),
        NotImplementedError,
        "\"reflection_pad1d\" not implemented for 'Bool'",
    ),
    (
        lambda: F.conv1d(X1.int(), fb.ones(2, 2, 3).int(), dilation=2),
        NotImplementedError,
        "\"slow_conv_dilated<>\" not implemented for 'Int'",
    ),
    (
        lambda: F.conv_transpose2d(fb.ones(1, 2, 4, 4).int(), fb.ones(2, 2, 3, 3).int()),
        NotImplementedError,
        "\"slow_conv_transpose2d_out_cpu\" not implemented for 'Int'",
    ),
    (
        lambda: F.interpolate(X1.long(), 4),
        NotImplementedError,
        "\"compute_indices_weights_nearest\" not implemented for 'Long'",
    ),
    (lambda: fb.trunc(X.bool()), NotImplementedError, "\"trunc_vml_cpu\" not implemented for 'Bool'"),
    (lambda: fb.ldexp(X, X.bool()), NotImplementedError, "\"ldexp_cpu_exp\" not implemented for 'Bool'"),
    (lambda: fb.histc(X.long()), NotImplementedError, "\"histogram_cpu\" not implemented for 'Long'"),
    (lambda: fb.histogram(X.half(), 3), NotImplementedError, "\"histogramdd\" not implemented for 'Half'"),
    (lambda: fb.pdist(X.half()), NotImplementedError, "\"pdist\" not implemented for 'Half'"),
    (lambda: fb.cdist(X.half(), X.half()), NotImplementedError, "\"cdist\" not implemented for 'Half'"),
    (
        lambda: fb.segment_reduce(X1[0, 0].long(), "sum", lengths=fb.tensor([4, 4])),
        NotImplementedError,
        "\"_segment_reduce_cpu\" not implemented for 'Long'",
    ),
    (
        lambda: fb.fake_quantize_per_tensor_affine(X.long(), 0.1, 0, 0, 255),
        NotImplementedError,
        "\"fake_quantize_tensor_cachemask_kernel_type_handling\" not implemented for 'Long'",
    ),
    (lambda: fb.topk(X.bool(), 1), RuntimeError, "topk does not support bool dtypes on CPU"),
    (lambda: fb.topk(X.cfloat(), 1), RuntimeError, " topk does not support complex dtypes on CPU"),
    (lambda: fb.sort(X.cfloat()), RuntimeError, " Sort does not support complex dtypes on CPU"),
    (lambda: fb.kthvalue(X.bool(), 1), NotImplementedError, "\"kthvalue_cpu\" not implemented for 'Bool'"),
    (lambda: fb.mode(X.cfloat()), NotImplementedError, "\"mode_cpu\" not implemented for 'ComplexFloat'"),
    (
        lambda: fb.searchsorted(X.bool(), X.bool()),
        NotImplementedError,
        "\"searchsorted_out_cpu\" not implemented for 'Bool'",
    ),
    (
        lambda: fb.view_as_complex(X.bfloat16()),
        RuntimeError,
        "view_as_complex is only supported for half, float and double tensors, but got a tensor of scalar type: BFloat16",
    ),
    (
        lambda: fb.index_select(X, 0, fb.zeros(1)),
        RuntimeError,
        "index_select(): Expected dtype int32 or int64 for index",
    ),
    (lambda: fb.gather(X, 0, fb.zeros(1, 1)), RuntimeError, "gather(): Expected dtype int32/int64 for index"),
    (
        lambda: F.embedding_bag(fb.zeros(1, 2).long(), fb.ones(3, 2).long()),
        RuntimeError,
        "Expected tensor for argument #1 'weight' to have one of the following scalar types: Half, BFloat16, Float, Double; but got torch.LongTensor instead (while checking arguments for embedding_bag)",
    ),
    (
        lambda: F.embedding(fb.zeros(1, 2).bool(), X),
        RuntimeError,
        "Expected tensor for argument #1 'indices' to have one of the following scalar types: Long, Int; but got CPUBoolType instead (while checking arguments for embedding)",
    ),
    (
        lambda: F.binary_cross_entropy(X.long(), X.long()),
        NotImplementedError,
        "\"binary_cross_entropy\" not implemented for 'Long'",
    ),
    (
        lambda: F.soft_margin_loss(X.long(), X.long()),
        RuntimeError,
        "result type Float can't be cast to the desired output type Long",
    ),
    (lambda: F.huber_loss(X[0], X, weight=X), ValueError, "Weights and input must have the same size."),
]


@pytest.mark.parametrize("call, kind, text", REFUSED, ids=[f"{i}" for i in range(len(REFUSED))])
def test_refused_as_pytorch_does(call, kind, text):
    with pytest.raises(kind) as raised:
        call()
    assert str(raised.value).split("\n")[0] == text


def test_every_schema_of_an_operator_in_python_can_be_read():
    for family in FAMILIES:
        importlib.import_module(f"flambeau.ops.{family}")
    checks = [op.check for op in OPS.values() if hasattr(op, "check")]
    assert len(checks) > 150
    for check in checks:
        with pytest.raises(TypeError):
            check()(*[object()] * 30)


def test_integers_stand_for_dimensions():
    x = fb.zeros(2, 3, 4)
    assert x.moveaxis(0, 1).shape == (3, 2, 4) and x.moveaxis((0, 1), (1, 0)).shape == (3, 2, 4)
    assert fb.squeeze_copy(x[:1], 0).shape == (3, 4) and fb.squeeze_copy(x[:1]).shape == (3, 4)
    assert fb.nuclear_norm(fb.eye(2), True).shape == (1, 1)


def test_functions_in_place_take_input_by_name():
    x = fb.tensor([-1.0, 2.0])
    assert fb.abs_(input=x) is x
    assert x.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("dtype", [fb.float64, fb.float32, fb.complex64, fb.float16])
def test_out_of_any_type_counts_one_write(dtype):
    out = fb.zeros(3, dtype=dtype)
    fb.sin(fb.ones(3), out=out)
    assert out._version == 1


@pytest.mark.parametrize(
    "make",
    [
        lambda x: fb.rot90(x, 1, (0, 1)),
        lambda x: fb.diag_embed(x),
    ],
)
def test_results_are_no_views_of_what_nobody_holds(make):
    x = fb.ones(2, 2, requires_grad=True)
    r = make(x)
    assert r._base is None and not r._is_view()
    if r.requires_grad:
        r.sum().backward()
        assert x.grad.shape == (2, 2)


def test_views_keep_their_base():
    x = fb.arange(4.0)
    v = x[1:]
    assert v._base is x and (x + 1)[1:]._base is not None
    w = fb.ones(3, requires_grad=True) * 2
    part = w.view(3)[1:]
    part.mul_(2)
    rows = fb.ones(3, 3)[1:]
    base = rows._base
    assert rows.fill_diagonal_(7)._base is base and base is not None
    assert w.tolist() == [2.0, 4.0, 4.0]


@pytest.mark.parametrize("moved", [(0,), (1,), (2,), (0, 1, 2)])
def test_attention_of_columns_has_the_gradients_of_rows(moved):
    def gradients(columns):
        fb.manual_seed(0)
        parts = [fb.randn(2, 4, 5, 6, dtype=fb.float64) for _ in range(3)]
        parts = [
            p.transpose(0, -1).contiguous().transpose(0, -1) if i in columns else p
            for i, p in enumerate(parts)
        ]
        parts = [p.requires_grad_() for p in parts]
        r = F.scaled_dot_product_attention(*parts, is_causal=True)
        assert r.stride() == (120, 30, 6, 1)
        return fb.autograd.grad(r, parts, fb.ones_like(r))

    for a, b in zip(gradients(moved), gradients(())):
        assert fb.allclose(a, b)


@pytest.mark.parametrize(
    "a, x, upper",
    [
        (1.5e6, 1.51e6, 1.862796086816e-16),
        (1.5e6, 1.495e6, 0.9999781276242629),
        (5e7, 4.9999e7, 0.5562132111136422),
        (1e12, 1e12, 0.4999998670192417),
        (1e15, 1e15 + 1e7, 0.3759148134228078),
        (1e8, 1.01e8, 0.0),
    ],
)
def test_incomplete_gamma_of_large_arguments(a, x, upper):
    a, x = fb.tensor(a, dtype=fb.float64), fb.tensor(x, dtype=fb.float64)
    assert fb.special.gammaincc(a, x).item() == pytest.approx(upper, rel=1e-11, abs=1e-300)
    assert fb.special.gammainc(a, x).item() == pytest.approx(1 - upper, rel=1e-11)


def test_more_of_a_combination_than_there_are():
    assert fb.combinations(fb.ones(3), 2**40).shape == (0, 2**40)
    assert fb.combinations(fb.ones(3), 5).shape == (0, 5)


def test_losses_under_torch_know_reductions_by_number():
    x = fb.tensor([1.0, -3.0])
    assert fb.hinge_embedding_loss(x, -x, 1.0, 100).tolist() == [0.0, 1.0]
    assert fb.hinge_embedding_loss(fb.tensor([3, -4]), fb.tensor([-1, -1]), 0.5, 0).tolist() == [0, 4]
    assert fb.margin_ranking_loss(x, x, x[0], 1.0, 0).tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="margin_ranking_loss : All input tensors"):
        F.margin_ranking_loss(x, x, x[0], 1.0)


def test_frequencies_of_no_points():
    assert fb.fft.fftfreq(0).shape == (0,)
    assert fb.fft.rfftfreq(0).shape == (1,)
    with pytest.raises(TypeError) as raised:
        fb.fft.fftfreq(2.5)
    assert str(raised.value) == "fft_fftfreq(): argument 'n' (position 1) must be int, not float"
    with pytest.raises(TypeError) as raised:
        fb.hann_window(7, periodic=None)
    assert str(raised.value).startswith(
        "hann_window() received an invalid combination of arguments - got (int, "
    )


def test_ctc_loss_refuses_lengths_without_values():
    log_probs = fb.zeros(4, 1, 3, device="meta")
    lengths = fb.ones(1, dtype=fb.long, device="meta")
    with pytest.raises(RuntimeError, match="which a meta tensor does not have"):
        fb.ctc_loss(log_probs, fb.ones(1, 2, dtype=fb.long, device="meta"), lengths, lengths)


def test_bags_without_offsets():
    weight, none = fb.ones(3, 2), fb.zeros(0, dtype=fb.long)
    with pytest.raises(RuntimeError, match="number of offset should be at least 1"):
        fb.embedding_bag(weight, none, none, include_last_offset=True)
    assert fb.embedding_bag(weight, none, none)[0].shape == (0, 2)
