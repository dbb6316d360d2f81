"""Operators on sparse tensors that move, choose and join elements, and their forms in place."""

import pytest

import flambeau as fb

D = fb.tensor([[0.0, 2, 0], [3, 0, 4]])
CUBE = fb.stack([D, -D])


def doubled():
    """One place twice."""
    return fb.sparse_coo_tensor([[0, 1, 1, 2], [2, 0, 0, 1]], [3.0, -4, 5.5, 0.25], (3, 3))


def same(sparse, dense):
    assert sparse.shape == dense.shape and fb.equal(sparse.to_dense(), dense)


def test_transposes():
    s, cube = D.to_sparse(), CUBE.to_sparse()
    for turned in (s.T, s.mT, s.H, s.mH, s.adjoint(), s.swapaxes(0, 1), s.movedim(0, 1), s.permute(1, 0)):
        same(turned, D.T)
        assert not turned.is_coalesced()
    same(cube.mT, CUBE.mT)
    same(cube.movedim(0, 2), CUBE.movedim(0, 2))
    assert s.transpose(0, 0).is_coalesced()
    c = (D + 1j * D).to_sparse()
    same(c.mH, (D + 1j * D).mH)
    csr = D.to_sparse_csr()
    for turned in (csr.mT, csr.H, csr.adjoint(), csr.t()):
        assert turned.layout is fb.sparse_csc
        same(turned, D.T)
    s.transpose_(0, 1)
    same(s, D.T)
    same(s.t_(), D)
    with pytest.raises(RuntimeError, match="in-place transposition is not supported for SparseCsr layout"):
        csr.t_()
    with pytest.raises(
        RuntimeError, match=r"tensor.H is only supported on matrices \(2-D tensors\). Got 3-D"
    ):
        _ = cube.H
    with pytest.raises(IndexError, match=r"Dimension out of range \(expected to be in range of \[-2, 1\]"):
        s.transpose(0, 9)
    hybrid = CUBE.to_sparse(2)
    with pytest.raises(
        RuntimeError, match="transposed dimensions must be sparse Got sparse_dim: 2, d0: 1, d1: 2"
    ):
        _ = hybrid.mT
    with pytest.raises(
        RuntimeError, match="transpositions between sparse and dense dimensions are not allowed"
    ):
        hybrid.permute(1, 2, 0)
    with pytest.raises(
        RuntimeError, match="<= 2 sparse and 0 dense dimensions, but got 2 sparse and 1 dense"
    ):
        hybrid.t()


def test_gradient_through_a_transpose():
    values = fb.tensor([1.0, 2, 3], requires_grad=True)
    s = fb.sparse_coo_tensor([[0, 0, 1], [0, 1, 1]], values, (2, 2))
    (s.mT @ fb.tensor([[1.0, 10], [2, 20]])).sum().backward()
    assert values.grad.tolist() == [11, 11, 22]


def test_joining():
    s, cube = D.to_sparse(), CUBE.to_sparse(2)
    for dim in (0, 1, 2, -1):
        same(fb.stack([s, s], dim), fb.stack([D, D], dim))
        same(fb.cat([cube, cube], min(dim, 1)), fb.cat([CUBE, CUBE], min(dim, 1)))
    for f in (fb.vstack, fb.hstack, fb.dstack, fb.column_stack):
        same(f([s, s]), f([D, D]))
    same(fb.cat([cube, cube], 2), fb.cat([CUBE, CUBE], 2))
    with pytest.raises(RuntimeError, match="Concatenating sparse tensors, but a dense tensor was found"):
        fb.stack([s, D])


def test_choosing():
    s, csr = D.to_sparse(), D.to_sparse_csr()
    for t in (s, csr):
        for i, row in enumerate(t):
            same(row, D[i])
        for i, column in enumerate(t.unbind(1)):
            same(column, D[:, i])
        same(t[:, 1], D[:, 1])
        assert t[1, 2].item() == 4 and fb.select_copy(t, 0, 1).to_dense().tolist() == [3, 0, 4]
        with pytest.raises(IndexError, match="index 5 is out of bounds for dimension 0 with size 2"):
            t[5]
    same(s[None], D[None])
    assert not s[None].is_coalesced() and s[0].is_coalesced()
    with pytest.raises(IndexError, match="index contains 3 that is out of range for tensor of size"):
        s.index_select(1, fb.tensor([0, 3]))
    same(s.index_select(1, fb.tensor([-1])), D[:, -1:])


def test_sizes_that_cannot_change():
    s = D.to_sparse()
    assert s.flatten(1) is s
    for change in (lambda: s.flatten(), lambda: s.reshape(-1)):
        with pytest.raises(RuntimeError, match="reshape is not implemented for sparse tensors"):
            change()
    with pytest.raises(RuntimeError, match="expand is unsupported for Sparse tensors"):
        s.expand(2, 2, 3)
    assert not s.is_contiguous() and s.stride() == (0, 0) and s.storage_offset() == 0
    with pytest.raises(RuntimeError, match="Sparse CSR tensors do not have strides"):
        D.to_sparse_csr().stride()


def test_sums_that_keep_dimensions():
    s, csr = D.to_sparse(), D.to_sparse_csr()
    for dim in (0, 1, -1):
        same(s.sum(dim, keepdim=True), D.sum(dim, keepdim=True))
        same(csr.sum(dim, keepdim=True), D.sum(dim, keepdim=True))
    assert csr.sum(0, True).layout is fb.sparse_csr and s.sum((0, 1), True).tolist() == [[9]]
    assert s.norm() == D.norm() and fb.norm(doubled(), 1) == 4.75


def test_in_place():
    s = D.to_sparse()
    for name in ("neg_", "sin_", "abs_", "floor_", "relu_", "trunc_"):
        assert getattr(s, name)() is s
    same(s, D.neg().sin().abs().floor())
    with pytest.raises(RuntimeError, match=r"^abs_ requires coalesced input"):
        doubled().absolute_()
    with pytest.raises(RuntimeError, match=r"^asin_ requires coalesced input"):
        doubled().arcsin_()
    s = D.to_sparse()
    same(s.mul_(D), D * D)
    assert doubled().floor_divide_(2.0).is_coalesced() and doubled().floor_divide(2.0)._nnz() == 3
    assert D.to_sparse().zero_()._nnz() == 0 and D.to_sparse_csr().zero_()._nnz() == 0
    same(fb.zeros(2, 3).to_sparse().copy_(s), s.to_dense())
    assert fb.equal(D.clone().mul_(D.to_sparse()), D * D)
    assert fb.equal(fb.ones(2, 3).addmm_(D.to_sparse(), fb.eye(3)), D + 1)


def test_repeated_places_stay():
    s = doubled()
    assert (
        not (s + s).is_coalesced()
        and (s + s)._nnz() == 4
        and not (s - D.new_zeros(3, 3).to_sparse()).is_coalesced()
    )
    square = s * s
    assert not square.is_coalesced() and square._nnz() == 4
    same(square, s.to_dense() ** 2)
    assert fb.sparse_coo_tensor([[0], [1]], [1.0], (3, 3)).is_coalesced()


def test_products_of_batches():
    a, b = CUBE, fb.arange(24.0).reshape(2, 3, 4)
    assert fb.equal(fb.bmm(a.to_sparse(), b), fb.bmm(a, b))
    assert fb.equal(a.to_sparse() @ b, a @ b)
    with pytest.raises(RuntimeError, match="bmm_sparse: Tensor 'self' must have 3 sparse dims, but has 2"):
        D.to_sparse().bmm(b)
    product = fb.smm(D.to_sparse(), b[0])
    assert product.layout is fb.sparse_coo and product._nnz() == 8 and fb.equal(product.to_dense(), D @ b[0])
    csc = fb.eye(3).to_sparse_csc()
    assert (csc @ csc).layout is fb.sparse_csr


def test_plain_classes_methods():
    s = D.to_sparse()
    assert fb.equal(fb.Tensor.to_dense(s), D) and fb.Tensor.size(s, 0) == 2
    assert fb.Tensor.is_coalesced(s) and fb.Tensor.values(s).tolist() == [2, 3, 4] and not s.is_pinned()
    assert fb.tensor(s).layout is fb.sparse_coo and fb.atleast_3d(s).shape == (2, 3, 1)


def test_made_empty():
    for layout in (fb.sparse_coo, fb.sparse_csr, fb.sparse_csc):
        for make in (fb.zeros, fb.empty):
            t = make(2, 3, layout=layout, dtype=fb.float64)
            assert t.layout is layout and t._nnz() == 0 and t.dtype is fb.float64
            same(t, fb.zeros(2, 3, dtype=fb.float64))
    with pytest.raises(RuntimeError, match=r"Only batched sparse compressed .* are supported, but got size"):
        fb.zeros(3, layout=fb.sparse_csr)
    assert D.to_sparse().new_zeros(4).layout is fb.sparse_coo


def test_rows_of_sorted_coordinates():
    rows = fb.tensor([0, 0, 2, 3])
    assert fb._convert_indices_from_coo_to_csr(rows, 5).tolist() == [0, 2, 2, 3, 4, 4]
    assert fb._convert_indices_from_coo_to_csr(rows, 5, out_int32=True).dtype is fb.int32
    starts, columns = fb.tensor([0, 2, 2, 3]), fb.tensor([1, 0, 2])
    assert fb._convert_indices_from_csr_to_coo(starts, columns).tolist() == [[0, 0, 2], [1, 0, 2]]
    turned = fb._convert_indices_from_csr_to_coo(starts, columns, out_int32=True, transpose=True)
    assert turned.tolist() == [[1, 0, 2], [0, 0, 2]] and turned.dtype is fb.int32
    with pytest.raises(RuntimeError, match="Input is supposed to be a vector, but got 2 dimensional tensor"):
        fb._convert_indices_from_coo_to_csr(rows[None], 5)
    with pytest.raises(NotImplementedError, match='"convert_indices_from_coo_to_csr_cpu" not implemented'):
        fb._convert_indices_from_coo_to_csr(rows.float(), 5)


def test_said_to_be_coalesced():
    x = fb.eye(2).to_sparse()
    assert x._coalesced_(False) is x and not x.is_coalesced()
    assert x._coalesced_(True).is_coalesced()
