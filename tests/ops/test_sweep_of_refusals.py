"""What PyTorch accepts, refuses and says: differences that a sweep of wrong and unusual arguments found."""

import pytest

import flambeau as fb
from flambeau.nn import functional as F

X = fb.ones(2, 3)
HALF, WIDE = X.to(fb.bfloat16), X.to(fb.float64)
COMPLEX = fb.complex(X, X)
NUMBERS = fb.tensor([1.0, 2.0, 3.0])


def meta(*size):
    return fb.ones(*size, device="meta")


@pytest.mark.parametrize(
    ("call", "dtype"),
    [
        (lambda: F.binary_cross_entropy_with_logits(WIDE, X), fb.float32),  # the target's
        (lambda: F.binary_cross_entropy_with_logits(X, HALF), fb.bfloat16),
        (lambda: F.rms_norm(HALF, (3,), X[0]), fb.bfloat16),
        (lambda: F.rms_norm(X, (3,), WIDE[0]), fb.float32),
        (lambda: F.soft_margin_loss(HALF, X), fb.bfloat16),
        (lambda: F.soft_margin_loss(X, WIDE), fb.float32),
        (lambda: F.huber_loss(X, WIDE), fb.float32),
        (lambda: F.huber_loss(HALF, X), fb.bfloat16),
    ],
)
def test_dtypes_of_mixed_operands(call, dtype):
    assert call().dtype is dtype


def test_numbers_into_buckets():
    assert fb.bucketize(2.5, NUMBERS).item() == 2
    assert fb.bucketize(2, NUMBERS, right=True).item() == 2
    made = fb.bucketize(2.5, NUMBERS, out_int32=True)
    assert made.dtype is fb.int32 and made.shape == ()


def test_lu_of_a_singular_matrix():
    factor, pivots = fb.lu(fb.ones(2, 2))
    assert factor.tolist() == [[1, 1], [1, 0]] and pivots.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("call", "shape"),
    [
        (lambda: fb.matrix_exp(meta(2, 2)), (2, 2)),
        (lambda: fb.inverse(meta(2, 2)), (2, 2)),
        (lambda: fb.linalg.cholesky(meta(2, 2)), (2, 2)),
        (lambda: fb.linalg.lu_factor(meta(2, 2))[1], (2,)),
        (lambda: fb.linalg.ldl_factor(meta(2, 2))[1], (2,)),
        (lambda: fb.linalg.tensorinv(meta(6, 2, 3), 1), (2, 3, 6)),
        (lambda: fb.linalg.matrix_power(meta(2, 2), -3), (2, 2)),
        (lambda: fb.linalg.lstsq(meta(2, 2), meta(2, 2))[2], ()),
        (lambda: fb.histc(meta(4)), (100,)),
        (lambda: fb.quantile(meta(4), meta(2)), (2,)),
        (lambda: fb.nanquantile(meta(4), 0.5), ()),
        (lambda: fb.segment_reduce(meta(4), "sum", lengths=meta(2).long()), (2,)),
        (lambda: fb.index_put(meta(4), (meta(4).bool(),), meta(1)), (4,)),
    ],
)
def test_shapes_without_data(call, shape):
    made = call()
    assert made.is_meta and made.shape == shape


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: F.binary_cross_entropy_with_logits(X, X.long()), RuntimeError,
         "result type Float can't be cast to the desired output type Long"),
        (lambda: F.huber_loss(X.long(), X), RuntimeError,
         "result type Float can't be cast to the desired output type Long"),
        (lambda: F.rms_norm(X.long(), (3,)), NotImplementedError, "\"rms_norm\" not implemented for 'Long'"),
        (lambda: F.layer_norm(X, (3,), X[0].long()), RuntimeError,
         "mixed dtype (CPU): expect parameter to have scalar type of Float"),
        (lambda: F.layer_norm(X, (3,), X[0], WIDE[0]), RuntimeError,
         "expected scalar type Float but found Double"),
        (lambda: F.layer_norm(WIDE, (3,), X[0]), RuntimeError,
         "mixed dtype (CPU): all inputs must share same datatype."),
        (lambda: fb.mm(X, X.t().long()), RuntimeError,
         "expected m1 and m2 to have the same dtype, but got: float != long int"),
        (lambda: fb.linalg.multi_dot([X, X.t().long()]), RuntimeError,
         "multi_dot(): all tensors must have be the same dtype but tensor 0 is float and tensor 1 long int"),
        (lambda: fb.chain_matmul(2.0, X), TypeError,
         "expected Tensor as element 0 in argument 0, but got float"),
        (lambda: fb.atleast_2d([1.0, X]), TypeError,
         "expected Tensor as element 0 in argument 0, but got float"),
        (lambda: fb.cdist(2.0, X), TypeError,
         "cdist(): argument 'x1' (position 1) must be Tensor, not float"),
        (lambda: fb.max(COMPLEX), NotImplementedError, "\"max_all\" not implemented for 'ComplexFloat'"),
        (lambda: fb.amin(COMPLEX), NotImplementedError,
         "\"min_values_cpu\" not implemented for 'ComplexFloat'"),
        (lambda: fb.is_complex(), TypeError, 'is_complex() missing 1 required positional arguments: "input"'),
        (lambda: fb.is_complex(X, X), TypeError, "is_complex() takes 1 positional argument but 2 were given"),
        (lambda: fb.numel(X, foo=1), TypeError, "numel() got an unexpected keyword argument 'foo'"),
        (lambda: X[:, :2].detach_(), RuntimeError, "Can't detach views in-place. Use detach() instead."),
        (lambda: fb.lstm_cell(X, (fb.ones(2, 4),) * 2, fb.ones(20, 3), fb.ones(20, 5)), RuntimeError,
         "hidden0 has inconsistent hidden_size: got 4, expected 5"),
        (lambda: fb.gru_cell(X, fb.ones(2, 5), fb.ones(14, 3), fb.ones(15, 5)), RuntimeError,
         "weight_ih first dim must be 3 * hidden_size = 15, but got 14"),
    ],
)  # fmt: skip
def test_refused_as_pytorch_does(call, kind, text):
    with pytest.raises(kind) as raised:
        call()
    assert str(raised.value).startswith(text)


@pytest.mark.parametrize(
    ("call", "strides"),
    [
        (lambda: fb.eye(4).nonzero(), (1, 4)),
        (lambda: fb.eye(4).nonzero(as_tuple=True)[1], (1,)),
        (lambda: fb.renorm(fb.ones(3, 2).t(), 2, 0, 1.0), (3, 1)),
        (lambda: fb.rrelu(fb.ones(3, 2).t(), training=True), (3, 1)),
        (lambda: fb.diag_embed(fb.ones(2, 3), 0, 0, 2), (6, 3, 1)),
        (lambda: F.adaptive_max_pool3d(LAST, 1), (2, 1, 1, 1, 1)),
    ],
)
def test_strides(call, strides):
    assert call().stride() == strides


LAST = fb.ones(1, 2, 2, 2, 2).contiguous(memory_format=fb.channels_last_3d)


def test_coordinates_column_by_column():
    mask = fb.tensor([[[True, False], [False, True]], [[False, False], [True, True]]])
    assert mask.nonzero().tolist() == [[0, 0, 0], [0, 1, 1], [1, 1, 0], [1, 1, 1]]
    large = fb.arange(200 * 300).reshape(200, 300) % 7 == 3
    rows, columns = large.nonzero(as_tuple=True)
    assert fb.equal(rows * 300 + columns, fb.arange(3, 60000, 7))


def test_no_columns_are_no_work():
    assert fb.tril_indices(2**40, 0).shape == fb.triu_indices(0, 2**40).shape == (2, 0)
