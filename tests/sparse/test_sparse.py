"""Sparse tensors: coordinates, compressed rows and columns, products, gradients, printing."""

import pytest

import flambeau as fb

D = fb.tensor([[0.0, 2, 0], [3, 0, 4]])


def coo(values=(1.0, 2.0, 3.0), **options):
    return fb.sparse_coo_tensor([[0, 1, 0], [1, 0, 1]], values, (2, 2), **options)


def test_conversions():
    s = D.to_sparse()
    assert s.layout is fb.sparse_coo and s.is_sparse and s._nnz() == 3 and s.is_coalesced()
    assert s.indices().tolist() == [[0, 1, 1], [1, 0, 2]] and s.values().tolist() == [2, 3, 4]
    csr, csc = D.to_sparse_csr(), D.to_sparse_csc()
    assert csr.crow_indices().tolist() == [0, 1, 3] and csr.col_indices().tolist() == [1, 0, 2]
    assert csc.ccol_indices().tolist() == [0, 1, 2, 3] and csc.row_indices().tolist() == [1, 0, 1]
    for t in (s, csr, csc, csr.to_sparse(), s.to_sparse_csr(), csc.to_sparse_csr()):
        assert fb.equal(t.to_dense(), D) and list(t.shape) == [2, 3]


def test_coalesce_adds_up():
    s = coo()
    assert not s.is_coalesced()
    with pytest.raises(RuntimeError, match="Cannot get indices on an uncoalesced tensor"):
        s.indices()
    c = s.coalesce()
    assert c.indices().tolist() == [[0, 1], [1, 0]] and c.values().tolist() == [4, 2]


def test_arithmetic():
    s, t = D.to_sparse(), (D * D).to_sparse()
    assert fb.equal((s + t).to_dense(), D + D * D)
    assert fb.equal((s - t).to_dense(), D - D * D)
    assert fb.equal((s * t).to_dense(), D**3)
    assert fb.equal((s * 2 / 4).to_dense(), D / 2)
    assert fb.equal((-s).to_dense(), -D)
    assert fb.equal((fb.ones(2, 3) + s), D + 1)
    assert fb.equal(s.t().to_dense(), D.T)
    assert fb.equal(s.pow(2).to_dense(), D**2)
    assert fb.equal(s.sqrt().to_dense(), D.sqrt())


def test_products():
    b = fb.arange(12.0).reshape(3, 4)
    for s in (D.to_sparse(), D.to_sparse_csr(), D.to_sparse_csc()):
        assert fb.equal(s @ b, D @ b)
        assert fb.equal(s.mv(b[:, 0]), D.mv(b[:, 0]))
        assert fb.equal(fb.sparse.mm(s, b), D @ b)
        assert fb.equal(b.T @ s.t(), b.T @ D.T)
    assert fb.equal(fb.sparse.addmm(fb.ones(2, 4), D.to_sparse(), b, beta=2.0), 2 + D @ b)
    assert fb.equal((D.to_sparse() @ D.T.to_sparse()).to_dense(), D @ D.T)


def test_shapes_and_sums():
    s = D.to_sparse()
    assert fb.equal(s.index_select(1, fb.tensor([2, 0])).to_dense(), D[:, [2, 0]])
    assert fb.equal(s.narrow_copy(1, 1, 2).to_dense(), D[:, 1:])
    assert fb.equal(s.unsqueeze(0).to_dense(), D.unsqueeze(0))
    assert fb.equal(fb.cat([s, s], 1).to_dense(), fb.cat([D, D], 1))
    assert fb.sparse.sum(s).item() == 9
    assert fb.sparse.sum(s, 0).to_dense().tolist() == [3, 2, 4]
    soft = fb.sparse.softmax(s, 1).to_dense()
    assert fb.allclose(soft, fb.tensor([[0, 1, 0], [0.2689414, 0, 0.7310586]]))


def test_gradients():
    values = fb.tensor([1.0, 2.0, 3.0], requires_grad=True)
    coo(values).to_dense().square().sum().backward()
    assert values.grad.tolist() == [8, 4, 8]
    leaf = coo().coalesce().requires_grad_()
    (leaf @ fb.ones(2, 1)).sum().backward()
    assert leaf.grad.layout is fb.sparse_coo and leaf.grad.to_dense().tolist() == [[0, 1], [1, 0]]


def test_printing():
    assert repr(D.to_sparse()) == (
        "tensor(indices=tensor([[0, 1, 1],\n                       [1, 0, 2]]),\n"
        "       values=tensor([2., 3., 4.]),\n"
        "       size=(2, 3), nnz=3, layout=torch.sparse_coo)"
    )


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: D.indices(), "expected sparse coordinate tensor layout but got Strided"),
        (lambda: fb.sparse_coo_tensor([[0, 5]], [1.0, 2.0], (3,)), "size is inconsistent with indices"),
        (lambda: fb.sparse_coo_tensor([[-1]], [1.0], (3,)), "found negative index"),
        (lambda: D.to_sparse() @ fb.ones(2, 2), "shapes cannot be multiplied"),
        (lambda: D.to_sparse().sort(), "flambeau has no 'sort' for sparse tensors yet"),
    ],
)
def test_errors(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()


def test_products_of_what_is_no_matrix():
    a, line, number = D.to_sparse(), fb.ones(3), fb.tensor(2.0)
    assert fb.sparse.mm(fb.eye(2), D).tolist() == D.tolist()  # dense ones are welcome
    for x, y in ((line, number), (number, line), (a, number), (a, line), (line, a), (number, a)):
        with pytest.raises(IndexError, match=r"^Dimension "):
            fb.sparse.mm(x, y)
    with pytest.raises(RuntimeError, match="need to be at least 1D, but they are 2D and 0D"):
        a.matmul(number)
    with pytest.raises(IndexError, match=r"expected to be in range of \[-2, 1\], but got 2"):
        a.size(2)
