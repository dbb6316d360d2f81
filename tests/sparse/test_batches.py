"""Batches of compressed matrices."""

import pytest

import flambeau as fb

ROWS = fb.tensor([[0, 1, 3], [0, 2, 3]])
COLUMNS = fb.tensor([[1, 0, 2], [0, 1, 2]])
VALUES = fb.tensor([[1.0, 2, 3], [4, 5, 6]])
DENSE = fb.tensor([[[0.0, 1, 0], [2, 0, 3]], [[4, 5, 0], [0, 0, 6]]])


def batch():
    return fb.sparse_csr_tensor(ROWS, COLUMNS, VALUES)


def test_made_and_made_dense():
    s = batch()
    assert (
        s.shape == (2, 2, 3) and s._nnz() == 3 and s.sparse_dim() == 2 and s.dense_dim() == 0 and len(s) == 2
    )
    assert fb.equal(s.to_dense(), DENSE)
    assert fb.equal(s.to_sparse().to_dense(), DENSE) and fb.equal(s.to_sparse_csc().to_dense(), DENSE)
    hybrid = fb.sparse_csr_tensor(ROWS, COLUMNS, VALUES.unsqueeze(-1) * fb.tensor([1.0, 10]))
    assert hybrid.dense_dim() == 1 and fb.equal(hybrid.to_dense()[..., 1], DENSE * 10)
    wide = fb.arange(1.0, 17).reshape(2, 2, 4)
    for made in (
        wide.to_sparse_bsr((1, 2)),
        wide.to_sparse_bsc((2, 2)),
        wide.to_sparse_csr(),
        wide.to_sparse_csc(),
    ):
        assert made.shape == wide.shape and fb.equal(made.to_dense(), wide)
    four = fb.stack([wide, wide + 1, wide + 2])
    assert fb.equal(four.to_sparse_csr().to_dense(), four)
    assert fb.equal(DENSE.to_sparse_csr().values(), VALUES)
    assert "size=(2, 2, 3), nnz=3" in repr(s)


def test_operators():
    s = batch()
    assert fb.equal((s * 2 - (-s)).to_dense(), DENSE * 3) and fb.equal((s + s).crow_indices(), ROWS)
    assert fb.equal(s.sin().double().to_dense(), DENSE.sin().double())
    assert s.mT.layout is fb.sparse_csc and fb.equal(s.mT.to_dense(), DENSE.mT)
    for i, one in enumerate(s):
        assert one.layout is fb.sparse_csr and fb.equal(one.to_dense(), DENSE[i])
    assert fb.equal(s[0, 1].to_dense(), DENSE[0, 1])
    assert s.clone().zero_()._nnz() == 0 and fb.zeros_like(s).shape == (2, 2, 3)
    none = fb.zeros(2, 2, 3, layout=fb.sparse_csr)
    assert none.crow_indices().shape == (2, 3) and fb.equal(none.to_dense(), fb.zeros(2, 2, 3))
    v = VALUES.clone().requires_grad_()
    (fb.sparse_csr_tensor(ROWS, COLUMNS, v, (2, 2, 3)).to_dense() * DENSE).sum().backward()
    assert fb.equal(v.grad, VALUES)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: batch().select(1, 0), "selecting sparse dimensions is not supported for batched sparse"),
        (
            lambda: batch().transpose(0, 1),
            r"of the same type \(Batch, Sparse, Dense\), got 0\(Batch\) and 1\(Sparse\)",
        ),
        (lambda: batch() @ fb.ones(2, 3, 2), "expand is unsupported for SparseCsr tensors"),
        (
            lambda: fb.stack([fb.eye(2), fb.ones(2, 2)]).to_sparse_csr(),
            "same number of specified elements per batch",
        ),
        (
            lambda: fb.sparse_csr_tensor(ROWS, COLUMNS[0], VALUES),
            "crow_indices and col_indices dimensionalities must be equal but got 2 and 1, respectively",
        ),
        (
            lambda: fb.sparse_csr_tensor(ROWS, COLUMNS, VALUES[0]),
            r"sum of batch and block dimensionalities \(=1 \+ 0\) but got 1",
        ),
        (
            lambda: fb.sparse_csr_tensor(ROWS + 1, COLUMNS, VALUES, (2, 2, 3), check_invariants=True),
            r"`crow_indices\[..., 0\] == 0` is not satisfied",
        ),
    ],
)
def test_refusals(call, text):
    with pytest.raises(RuntimeError, match=text):
        call()
