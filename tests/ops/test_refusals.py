"""What PyTorch 2.13 refuses, by class and first line, and corners of operators; values are PyTorch's."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

NAN, INF = float("nan"), float("inf")
ONE = fb.ones(3, 3)
PAIR = fb.ones(2, 2, dtype=fb.long)

REFUSED = [
    (lambda: fb.index_select(ONE, 0, PAIR), IndexError, "index_select(): Index is supposed to be a vector"),
    (
        lambda: fb.index_copy(ONE, 0, PAIR, ONE),
        IndexError,
        "index_copy_(): Index should have dimension 1 or 0 (got 2)",
    ),
    (
        lambda: fb.index_add(ONE, 0, PAIR, ONE),
        IndexError,
        "index_add_(): Index is supposed to be a vector, but got dim: 2 with type: Long and size: [2, 2]",
    ),
    (lambda: fb.index_fill(ONE, 0, PAIR, 2.0), RuntimeError, "Index has to be a vector/scalar"),
    (
        lambda: ONE.index_reduce(0, PAIR, ONE, "prod"),
        IndexError,
        "index_reduce_(): Index is supposed to be a vector, but got dim: 2 with type: Long and size: [2, 2]",
    ),
    (
        lambda: ONE.index_reduce(0, fb.ones(2), fb.ones(2, 3), "prod"),
        RuntimeError,
        "index_reduce_(): Expected dtype int32/int64 for index but got: Float",
    ),
    (
        lambda: ONE.index_reduce(0, PAIR[0, :1], fb.ones(2, 3), "prod"),
        RuntimeError,
        "index_reduce_(): Number of indices (1) should be equal to source.size(dim): (2), for dim: 0",
    ),
    (
        lambda: ONE.index_reduce(0, PAIR[0], fb.ones(2, 4), "prod"),
        RuntimeError,
        "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape"
        " = [3, 3] source.shape = [2, 4]",
    ),
    (lambda: F.cosine_similarity(ONE, ONE, eps=-1.0), RuntimeError, "eps must be non-negative, got: -1"),
    (lambda: F.kl_div(PAIR, PAIR), RuntimeError, "kl_div: Integral inputs not supported."),
    (lambda: fb.pdist(PAIR), RuntimeError, "pdist only supports floating-point dtypes"),
    (
        lambda: fb.cdist(ONE, ONE.double()),
        RuntimeError,
        "expected scalar type Float but found Double",
    ),
    (
        lambda: fb.linalg.eigh(ONE, UPLO="Ux"),
        RuntimeError,
        "Expected UPLO argument to be 'L' or 'U', but got Ux",
    ),
    (
        lambda: fb.unique_consecutive(fb.ones(3, 0), dim=0),
        RuntimeError,
        "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied",
    ),
    (
        lambda: fb.unique(fb.ones(0, 0), dim=1),
        RuntimeError,
        "Number of zero sized dimensions is more than one, so unique cannot be applied ",
    ),
    (
        lambda: F.linear(ONE, fb.ones(4, 4, 3)),
        RuntimeError,
        "t() expects a tensor with <= 2 dimensions, but self is 3D",
    ),
    (
        lambda: F.max_pool1d(fb.ones(1, 1, 4), 2, stride=-1),
        RuntimeError,
        "max_pool1d() stride must be greater than zero, but got -1",
    ),
    (
        lambda: F.max_pool1d(fb.ones(1, 1, 4), 2, padding=2),
        RuntimeError,
        "max_pool1d() padding should be at most half of kernel size, but got padding=2 and kernel_size=2",
    ),
    (
        lambda: F.avg_pool2d(fb.ones(1, 1, 4, 4), 2, stride=-1),
        RuntimeError,
        "stride should be greater than zero, but got dH: -1 dW: -1",
    ),
    (
        lambda: fb.linalg.vector_norm(ONE.double(), dtype=fb.float),
        RuntimeError,
        "linalg.vector_norm: the dtype of the input (Double) should be convertible without narrowing to the"
        " specified dtype (Float)",
    ),
    (
        lambda: fb.norm(ONE, dtype=fb.long),
        RuntimeError,
        "linalg.vector_norm: dtype should be floating point or complex, but got Long",
    ),
    (
        lambda: fb.unravel_index(ONE, (2,)),
        TypeError,
        "expected 'indices' to be integer dtype, but got torch.float32",
    ),
    (
        lambda: fb.broadcast_shapes(5, 6),
        RuntimeError,
        "Attempting to broadcast a dimension of length 6 at -1! Mismatching argument at index 1 had (6,);"
        " but expected shape should be broadcastable to [5]",
    ),
    (
        lambda: fb.broadcast_shapes((1,), (-1,)),
        ValueError,
        "Attempting to broadcast a dimension with negative length!",
    ),
    (
        lambda: fb.broadcast_shapes((2, 3), (4, 3)),
        RuntimeError,
        "Attempting to broadcast a dimension of length 4 at -2! Mismatching argument at index 1 had (4, 3);"
        " but expected shape should be broadcastable to [2, 3]",
    ),
    (
        lambda: fb.broadcast_tensors(fb.ones(2), fb.ones(3)),
        RuntimeError,
        "The size of tensor a (2) must match the size of tensor b (3) at non-singleton dimension 0",
    ),
    (
        lambda: fb.ones(3).expand(2, 3).dim_order(ambiguity_check=[fb.channels_last, fb.contiguous_format]),
        RuntimeError,
        "The tensor does not have unique dim order, or cannot map to exact one of the given memory formats.",
    ),
    (
        lambda: fb.finfo(fb.int32),
        TypeError,
        "torch.finfo() requires a floating point input type. Use torch.iinfo to handle 'torch.finfo'",
    ),
]


@pytest.mark.parametrize("call, kind, text", REFUSED, ids=[text[:40] for _, _, text in REFUSED])
def test_refused_as_pytorch_does(call, kind, text):
    with pytest.raises(kind) as raised:
        call()
    assert str(raised.value).split("\n")[0] == text


def test_distances_of_what_is_not_finite():
    rows = fb.tensor([[NAN, 1], [1.0, 2], [3.0, 4]])
    assert fb.pdist(rows).isnan().tolist() == [True, True, False]
    rows[0, 0] = INF
    assert fb.pdist(rows).tolist() == [INF, INF, pytest.approx(8**0.5)]
    assert fb.cdist(fb.tensor([[NAN, 1.0]]), fb.ones(1, 2)).isnan().all()


def test_an_empty_result_may_be_expanded():
    empty = fb.zeros(2, 0, 5)
    assert empty.expand(2, 0, 5).copy_(empty).shape == (2, 0, 5)
    fb.arange(5).expand(2, 0, 5).contiguous()[..., :1] = 0
    assert [t.shape for t in fb.linalg.lu(fb.zeros(2, 0, 4, 5))] == [(2, 0, 4, 4), (2, 0, 4, 4), (2, 0, 4, 5)]


@pytest.mark.parametrize(
    "shape, strides, order",
    [
        ((3, 4, 2), (2, 0, 1), (0, 1, 2)),
        ((5, 1), (1, 5), (0, 1)),
        ((1, 2, 2), (1, 2, 1), (0, 1, 2)),
        ((2, 3, 4, 5), (60, 1, 15, 3), (0, 2, 3, 1)),
    ],
)
def test_order_of_dimensions_in_memory(shape, strides, order):
    assert fb.empty(200).as_strided(shape, strides).dim_order() == order


def test_losses_by_number_do_not_reduce_unless_asked():
    one = fb.ones(3)
    assert fb.kl_div(one, one).shape == fb.hinge_embedding_loss(one, one).shape == (3,)
    assert fb.margin_ranking_loss(one, one, one, reduction=1).shape == ()
    assert fb.triplet_margin_loss(ONE, ONE, ONE, margin=0.0).tolist() == [0.0, 0.0, 0.0]


def test_asarray_keeps_the_history_of_a_tensor():
    x = fb.ones(2, requires_grad=True)
    assert fb.asarray(x) is x and fb.asarray(x, dtype=fb.float64).requires_grad
    assert not fb.asarray(x, requires_grad=False).requires_grad


def test_sorted_positions_go_into_out():
    out = fb.empty(3, dtype=fb.long)
    assert fb.argsort(fb.tensor([3.0, 1, 2]), dim=0, stable=True, out=out) is out and out.tolist() == [
        1,
        2,
        0,
    ]
    assert fb.linalg.LinAlgError.__name__ == "_LinAlgError"


def test_limits_are_printed_in_six_digits():
    assert repr(fb.iinfo(fb.int64)) == "iinfo(min=-9.22337e+18, max=9.22337e+18, dtype=int64)"
    assert repr(fb.iinfo(fb.int16)) == "iinfo(min=-32768, max=32767, dtype=int16)"


@pytest.mark.parametrize(
    "call",
    [
        lambda: fb.ones(1).expand(7, 4, -2),
        lambda: fb.ones(2, 1).expand(2, -3),
        lambda: fb.ones(1).broadcast_to((-2,)),
        lambda: fb.zeros([2, -1], out=fb.ones(3)),
        lambda: fb.randn([2, -1], out=fb.ones(3)),
        lambda: fb.full([2, -1], 1.0, out=fb.ones(3)),
        lambda: fb.ones(3).resize_(2, -1),
    ],
)
def test_no_tensor_gets_a_negative_size(call):
    with pytest.raises(RuntimeError, match=r"^Trying to create tensor with negative dimension -"):
        call()


@pytest.mark.parametrize(
    "call",
    [
        lambda: fb.ones(1).expand(2**40, 2**40),
        lambda: fb.zeros([2**40, 2**40], out=fb.ones(3)),
        lambda: fb.ones(3).resize_(2**40, 2**40),
    ],
)
def test_no_tensor_gets_more_elements_than_can_be_counted(call):
    with pytest.raises(RuntimeError, match="overflow"):
        call()


@pytest.mark.parametrize("name", ["kernel_size", "dilation", "padding", "stride", "output_size"])
def test_windows_have_two_sizes(name):
    sizes = {"kernel_size": [2, 2], "dilation": [1, 1], "padding": [0, 0], "stride": [1, 1]}
    for wrong in ([], [1], [1, 1, 1]):
        text = f"^It is expected {name} equals to 2, but got size {len(wrong)}"
        with pytest.raises(RuntimeError, match=text):
            fb._C._nn.col2im(fb.ones(1, 4, 9), **{"output_size": [4, 4], **sizes, name: wrong})
        if name in sizes:
            with pytest.raises(RuntimeError, match=text):
                fb._C._nn.im2col(fb.ones(1, 1, 4, 4), **{**sizes, name: wrong})


def test_borders_want_a_pair_of_widths():
    for call in (
        lambda: fb._C._border(fb.ones(5), [], 2),
        lambda: fb._C._border_backward(fb.ones(2, 5), [2, 5], [], 2),
    ):
        with pytest.raises(RuntimeError, match="expected a pair of widths"):
            call()


def test_gradients_of_samples_want_one_dtype():
    with pytest.raises(RuntimeError, match=r"^Found dtype Long but expected Float"):
        fb._dirichlet_grad(fb.rand(2), fb.rand(2), fb.tensor(37))


def test_gradients_of_samples_of_no_distribution_are_nan():
    for alpha, total in ((-3e9, 5.0), (2.0, -1e18), (float("inf"), 3.0), (1.0, float("nan"))):
        assert fb._dirichlet_grad(fb.tensor(0.5), fb.tensor(alpha), fb.tensor(total)).isnan()


SPECIAL = ["bessel_j0", "erfcx", "log_ndtr", "modified_bessel_k1", "airy_ai", "ndtri", "spherical_bessel_j0"]


@pytest.mark.parametrize("name", SPECIAL)
def test_special_functions_without_half_types(name):
    for dtype, shown in ((fb.float16, "Half"), (fb.bfloat16, "BFloat16")):
        with pytest.raises(NotImplementedError, match=f"\"{name}_cpu\" not implemented for '{shown}'"):
            getattr(fb.special, name)(fb.ones(2, dtype=dtype))
    with pytest.raises(NotImplementedError, match="not implemented for 'Half'"):
        fb.special.chebyshev_polynomial_t(fb.ones(2, dtype=fb.float16), 2)


MIXED = [
    (lambda: fb.argmax(ONE > 0), RuntimeError, "argmax(): does not support bool input"),
    (lambda: fb.isin(ONE > 0, ONE), RuntimeError, "Unsupported input type encountered for isin(): Bool"),
    (lambda: (ONE > 0).floor(), NotImplementedError, "\"floor_vml_cpu\" not implemented for 'Bool'"),
    (lambda: (ONE > 0).median(), NotImplementedError, "\"median_cpu\" not implemented for 'Bool'"),
    (lambda: fb.mvlgamma(ONE > 0, 1), RuntimeError, "The input tensor may not be a boolean tensor."),
    (
        lambda: F.glu(fb.ones(4, dtype=fb.int64)),
        NotImplementedError,
        "\"glu_cpu\" not implemented for 'Long'",
    ),
    (
        lambda: F.avg_pool2d(fb.ones(1, 4, 4, dtype=fb.uint8), 2),
        NotImplementedError,
        "\"avg_pool2d\" not implemented for 'Byte'",
    ),
    (
        lambda: F.max_unpool2d(PAIR.view(1, 2, 2), PAIR.view(1, 2, 2), 2),
        NotImplementedError,
        "\"max_unpool2d\" not implemented for 'Long'",
    ),
    (lambda: fb.linalg.cross(ONE, ONE.double()), RuntimeError, "expected scalar type Float but found Double"),
    (
        lambda: fb.linalg.vecdot(ONE, ONE.double()),
        RuntimeError,
        "linalg.vecdot: Expected x and y to have the same dtype, but found x of type Float and y of type",
    ),
    (
        lambda: fb.index_add(ONE[0, 0], 0, PAIR[0, :1], ONE[0, :1]),
        RuntimeError,
        "source tensor shape must match self tensor shape, excluding the specified dimension.",
    ),
    (
        lambda: fb.baddbmm(ONE.double(), ONE[None], ONE[None]),
        RuntimeError,
        "Input dtypes must be the same, got: input double, batch1: float, batch2: float",
    ),
    (lambda: fb.cat([]), ValueError, "torch.cat(): expected a non-empty list of Tensors"),
]


@pytest.mark.parametrize("call, error, text", MIXED)
def test_types_that_do_not_suit(call, error, text):
    with pytest.raises(error) as told:
        call()
    assert str(told.value).startswith(text)


@pytest.mark.parametrize("offsets", [[0, -2000], [0, -1], [0, 3, 2], [0, 100, 3]])
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_offsets_of_bags_do_not_fall(offsets, mode):
    with pytest.raises(RuntimeError, match="Expected i < index_size to be true, but got false"):
        F.embedding_bag(fb.tensor([0, 2, 5, 1, 2, 3]), fb.ones(6, 4), fb.tensor(offsets), mode=mode)
