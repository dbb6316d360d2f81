"""Joining, splitting, turning and spreading: values of PyTorch 2.13."""

import pytest

import flambeau as fb

from .compare import same

A = fb.arange(6.0).reshape(2, 3)
B = fb.arange(24).reshape(2, 3, 4)
V = fb.tensor([1, 2, 3])

CASES = [
    ("fb.atleast_2d(V)", [[1, 2, 3]]),
    ("[t.shape for t in fb.atleast_3d(V, A, fb.tensor(1))]", [[1, 3, 1], [2, 3, 1], [1, 1, 1]]),
    ("fb.broadcast_tensors(V, fb.tensor([[1], [2]]))", [[[1, 2, 3], [1, 2, 3]], [[1, 1, 1], [2, 2, 2]]]),
    ("list(fb.broadcast_shapes((2, 1), (3,), 1))", [2, 3]),
    (
        "fb.block_diag(fb.tensor([[1, 2]]), fb.tensor([3]), fb.tensor(4))",
        [[1, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 4]],
    ),
    (
        "fb.meshgrid(V, fb.tensor([4, 5]), indexing='ij')",
        [[[1, 1], [2, 2], [3, 3]], [[4, 5], [4, 5], [4, 5]]],
    ),
    (
        "fb.meshgrid(V, fb.tensor([4, 5]), indexing='xy')",
        [[[1, 2, 3], [1, 2, 3]], [[4, 4, 4], [5, 5, 5]]],
    ),
    ("fb.cartesian_prod(V, fb.tensor([4, 5]))", [[1, 4], [1, 5], [2, 4], [2, 5], [3, 4], [3, 5]]),
    ("fb.combinations(V)", [[1, 2], [1, 3], [2, 3]]),
    ("fb.combinations(V, 2, with_replacement=True)", [[1, 1], [1, 2], [1, 3], [2, 2], [2, 3], [3, 3]]),
    ("fb.hstack([V, V])", [1, 2, 3, 1, 2, 3]),
    ("fb.hstack([A, A])", [[0.0, 1.0, 2.0, 0.0, 1.0, 2.0], [3.0, 4.0, 5.0, 3.0, 4.0, 5.0]]),
    ("fb.vstack([V, V])", [[1, 2, 3], [1, 2, 3]]),
    ("fb.dstack([V, V])", [[[1, 1], [2, 2], [3, 3]]]),
    ("fb.column_stack([V, A.T])", [[1.0, 0.0, 3.0], [2.0, 1.0, 4.0], [3.0, 2.0, 5.0]]),
    ("fb.tensor_split(fb.arange(7), 3)", [[0, 1, 2], [3, 4], [5, 6]]),
    ("fb.tensor_split(fb.arange(7), (1, 3))", [[0], [1, 2], [3, 4, 5, 6]]),
    ("V.tensor_split(fb.tensor([2]))", [[1, 2], [3]]),
    ("fb.hsplit(B, [1])[0]", [[[0, 1, 2, 3]], [[12, 13, 14, 15]]]),
    ("fb.vsplit(A, 2)", [[[0.0, 1.0, 2.0]], [[3.0, 4.0, 5.0]]]),
    ("fb.dsplit(B, 2)[1]", [[[2, 3], [6, 7], [10, 11]], [[14, 15], [18, 19], [22, 23]]]),
    ("A.rot90()", [[2.0, 5.0], [1.0, 4.0], [0.0, 3.0]]),
    ("A.rot90(2)", [[5.0, 4.0, 3.0], [2.0, 1.0, 0.0]]),
    ("A.rot90(-1)", [[3.0, 0.0], [4.0, 1.0], [5.0, 2.0]]),
    ("A.fliplr()", [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]),
    ("A.flipud()", [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]]),
    ("A.moveaxis(0, 1)", [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]),
    ("A.swapaxes(0, 1)", [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]),
    ("list(B.unflatten(2, (2, -1)).shape)", [2, 3, 2, 2]),
    ("fb.diagflat(V, 1)", [[0, 1, 0, 0], [0, 0, 2, 0], [0, 0, 0, 3], [0, 0, 0, 0]]),
    (
        "fb.diag_embed(A)",
        [
            [[0.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 2.0]],
            [[3.0, 0.0, 0.0], [0.0, 4.0, 0.0], [0.0, 0.0, 5.0]],
        ],
    ),
    ("fb.diag_embed(V, -1)", [[0, 0, 0, 0], [1, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 0]]),
    ("fb.take_along_dim(A, fb.tensor([[0], [2]]), 1)", [[0.0], [5.0]]),
    ("fb.take_along_dim(A, fb.tensor([5, 0]))", [5.0, 0.0]),
    ("fb.unravel_index(fb.tensor([0, 5]), (2, 3))", [[0, 1], [0, 2]]),
    ("fb.argwhere(A > 2)", [[1, 0], [1, 1], [1, 2]]),
    ("fb.nonzero_static(V, size=4)", [[0], [1], [2], [-1]]),
    ("fb.diagonal_copy(A)", [0.0, 4.0]),
    ("fb.narrow_copy(A, 1, 0, 2)", [[0.0, 1.0], [3.0, 4.0]]),
    ("fb.unbind_copy(A)", [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]),
    ("A.sum_to_size(1, 3)", [[3.0, 5.0, 7.0]]),
    ("A.sum_to_size(2, 1)", [[3.0], [12.0]]),
    ("fb.unsafe_split(V, 2)", [[1, 2], [3]]),
    ("fb.t_copy(A)", [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]),
    ("fb.nonzero(A > 2, as_tuple=True)", [[1, 1, 1], [0, 1, 2]]),
    ("fb.diag(V)", [[1, 0, 0], [0, 2, 0], [0, 0, 3]]),
    ("fb.diag(A, 1)", [1.0, 5.0]),
    ("fb.constant_pad_nd(A, [1, -1, 0, 1], 9)", [[9.0, 0.0, 1.0], [9.0, 3.0, 4.0], [9.0, 9.0, 9.0]]),
    ("V.repeat_interleave(2)", [1, 1, 2, 2, 3, 3]),
    ("V.repeat_interleave(fb.tensor([1, 0, 2]))", [1, 3, 3]),
    (
        "A.repeat_interleave(2, dim=0)",
        [[0.0, 1.0, 2.0], [0.0, 1.0, 2.0], [3.0, 4.0, 5.0], [3.0, 4.0, 5.0]],
    ),
    (
        "fb.unique(fb.tensor([3, 1, 3, 2]), return_inverse=True, return_counts=True)",
        [[1, 2, 3], [2, 0, 2, 1], [1, 1, 2]],
    ),
    (
        "fb.unique(fb.tensor([[1, 2], [0, 5], [1, 2]]), dim=0, return_inverse=True, return_counts=True)",
        [[[0, 5], [1, 2]], [1, 0, 1], [1, 2]],
    ),
    ("fb.unique_consecutive(fb.tensor([1, 1, 2, 1]), return_counts=True)", [[1, 2, 1], [2, 1, 1]]),
    ("A.where(A > 2, -1.0)", [[-1.0, -1.0, -1.0], [3.0, 4.0, 5.0]]),
    ("fb.zeros(4, 2).fill_diagonal_(5, wrap=True)", [[5.0, 0.0], [0.0, 5.0], [0.0, 0.0], [5.0, 0.0]]),
    ("fb.broadcast_to(V, (2, 3))", [[1, 2, 3], [1, 2, 3]]),
    ("fb.concat([V, V])", [1, 2, 3, 1, 2, 3]),
    ("list(fb.empty_permuted((2, 3, 4), (1, 0, 2)).stride())", [4, 8, 1]),
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values(expression, expected):
    same(eval(expression), expected)


def test_views_share_memory():
    base = fb.zeros(4, 4)
    for view in (
        base.tensor_split(2)[0],
        base.moveaxis(0, 1),
        base.swapdims(0, 1),
        base.unflatten(0, (2, 2)),
    ):
        assert view.untyped_storage().data_ptr() == base.untyped_storage().data_ptr()


def test_out_is_resized_with_a_warning():
    out = fb.empty(3)
    with pytest.warns(UserWarning, match="An output with one or more elements was resized"):
        assert fb.hstack([V.float(), V.float()], out=out) is out
    assert out.tolist() == [1, 2, 3, 1, 2, 3]


def test_out_dtype_and_grad_are_checked():
    with pytest.raises(
        TypeError, match=r"torch.cat\(\): input types can't be cast to the desired output type Long"
    ):
        fb.vstack([A, A], out=fb.empty(0, dtype=fb.int64))
    with pytest.raises(RuntimeError, match=r"functions with out=\.\.\. arguments don't support automatic"):
        fb.vstack([A.clone().requires_grad_(), A], out=fb.empty(0))


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: fb.hsplit(A, 2), RuntimeError, "torch.hsplit attempted to split along dimension 1"),
        (lambda: fb.rot90(V), RuntimeError, "expected total dims >= 2, but got total dims = 1"),
        (lambda: fb.broadcast_tensors(V, fb.ones(2)), RuntimeError, "The size of tensor a"),
        (lambda: fb.hstack([]), RuntimeError, "expects a non-empty TensorList"),
        (lambda: fb.fliplr(3), TypeError, "argument 'input' .position 1. must be Tensor, not int"),
        (lambda: A.swapaxes(0, 5), IndexError, "Dimension out of range"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_triangles_and_turns_of_many_rows():
    x = fb.arange(1_000_000).view(1000, 1000)
    for k in (-1001, -3, 0, 5, 1001):
        low, high = x.tril(k), x.triu(k + 1)
        assert fb.equal(low + high, x)
        assert low[10, 11 + k :].sum().item() == 0 if 0 <= 11 + k <= 1000 else True
    assert fb.equal(x.t().tril(), x.triu().t())
    y = x.clone().t()
    y.tril_()
    assert fb.equal(y, x.t().tril())
    assert x.roll(3, 1)[7].tolist() == x[7, -3:].tolist() + x[7, :-3].tolist()
    assert fb.equal(x.roll((-1, 2), (0, 1)), fb.cat([x[1:], x[:1]]).roll(2, 1))
    assert x.flip(1)[5].tolist() == x[5].tolist()[::-1]
    assert x.to(fb.uint8).flip(0, 1).view(-1).tolist() == x.to(fb.uint8).view(-1).tolist()[::-1]


def test_strips_of_few_values():
    # short strips are put together, or turned so that the long side comes first
    a, row, column = (
        fb.arange(60_000.0).view(20_000, 3),
        fb.tensor([1.0, 2.0, 3.0]),
        fb.arange(20_000.0).view(-1, 1),
    )
    assert (a + row)[777].tolist() == [2331 + 1, 2332 + 2, 2333 + 3]
    assert (row - a)[19_999].tolist() == [1 - 59_997.0, 2 - 59_998.0, 3 - 59_999.0]
    assert (a * column)[5].tolist() == [75, 80, 85]
    wide = a.view(10, 2000, 3) + row.view(1, 1, 3)
    assert fb.equal(wide.view(20_000, 3), a + row)
    assert fb.equal(a.t().contiguous().t(), a)
    assert fb.equal(fb.stack((a, a + 1), -1)[..., 1], a + 1)
    assert a.repeat_interleave(2, 1)[1].tolist() == [3, 3, 4, 4, 5, 5]
    assert fb.equal((a > row).to(fb.float32).sum(0), fb.tensor([19_999.0, 19_999.0, 19_999.0]))


def test_resize_to_the_size_it_has_leaves_the_strides():
    t = fb.arange(6).reshape(2, 3).T
    assert t.resize_(3, 2) is t
    assert t.tolist() == [[0, 3], [1, 4], [2, 5]] and t.stride() == (1, 3)
    assert t.resize_as_(fb.zeros(3, 2)).stride() == (1, 3)
    assert t.resize_(6).tolist() == [0, 1, 2, 3, 4, 5]


def test_resize_in_a_memory_format():
    t = fb.zeros(2)
    assert t.resize_(2, 3, 2, 2, memory_format=fb.channels_last).stride() == (12, 1, 6, 3)
    other = fb.zeros(2).resize_as_(t, memory_format=fb.preserve_format)
    assert other.stride() == (12, 1, 6, 3)
    assert t.resize_(2, 3, 2, 2).stride() == (12, 1, 6, 3)
    assert t.resize_(2, 3, 2, 2, memory_format=fb.contiguous_format).stride() == (12, 4, 2, 1)
    with pytest.raises(RuntimeError, match="required rank 4 tensor"):
        t.resize_(2, memory_format=fb.channels_last)
    with pytest.raises(RuntimeError, match="Unsupported memory format"):
        t.resize_(2, memory_format=fb.preserve_format)


def test_to_contiguous_format_leaves_what_is_not_channels_last():
    x = fb.arange(6.0).reshape(2, 3).T
    assert x.to(memory_format=fb.contiguous_format) is x
    assert x.float(memory_format=fb.contiguous_format).stride() == (1, 3)
    assert x.double(memory_format=fb.contiguous_format).stride() == (2, 1)
    c = fb.zeros(2, 3, 2, 2).contiguous(memory_format=fb.channels_last)
    assert c.to(memory_format=fb.contiguous_format).stride() == (12, 4, 2, 1)


def test_results_do_not_share_memory_with_arguments():
    edges = fb.arange(4.0)
    fb.histogram(fb.ones(5), edges).bin_edges.zero_()
    assert edges.tolist() == [0, 1, 2, 3]
    x = fb.ones(3)
    assert fb.masked.prod(x, dim=()) is not x
    assert fb.ormqr(fb.zeros(3, 0), fb.zeros(0), x[:, None]).data_ptr() != x.data_ptr()
    assert fb.view_copy(fb.arange(6).reshape(2, 3).T, (6,)).tolist() == [0, 3, 1, 4, 2, 5]


def test_nan_among_boundaries_and_masked_medians():
    s, q = (
        fb.tensor([1.0, 2.0, 3.0, float("nan")]),
        fb.tensor([float("nan"), float("inf"), -float("inf"), 2.0, 2.5]),
    )
    assert fb.searchsorted(s, q).tolist() == [4, 4, 0, 1, 2]
    assert fb.searchsorted(s, q, right=True).tolist() == [4, 4, 0, 2, 2]
    x = fb.tensor([[1.0, float("nan"), 3.0], [5.0, 4.0, float("nan")]])
    assert fb.masked.median(x, 1).tolist() == [1, 4]
