"""Gradients of embeddings that store only the rows used."""

import pytest

import flambeau as fb

F = fb.nn.functional


def table():
    return fb.nn.Parameter(fb.arange(12.0).reshape(6, 2))


def test_embedding():
    w = table()
    F.embedding(fb.tensor([[0, 2], [2, 5]]), w, sparse=True).sum().backward()
    assert w.grad.is_sparse and w.grad.shape == w.shape and w.grad._nnz() == 4
    assert w.grad.to_dense()[:, 0].tolist() == [1, 0, 2, 0, 0, 1]
    F.embedding(fb.tensor([1]), w, sparse=True).sum().backward()
    assert w.grad.is_sparse and w.grad.to_dense()[:, 0].tolist() == [1, 1, 2, 0, 0, 1]


def test_padding_gets_none():
    w = table()
    F.embedding(fb.tensor([0, 2, 2]), w, padding_idx=2, sparse=True).sum().backward()
    assert w.grad.to_dense()[:, 0].tolist() == [1, 0, 0, 0, 0, 0]


def test_many_uses_in_one_graph():
    w = table()
    i = fb.tensor([0, 1, 2, 3, 4, 5])  # as many rows as the table: shapes alone do not tell
    (F.embedding(i, w, sparse=True).sum() + F.embedding(i[:2], w, sparse=True).sum()).backward()
    assert w.grad.is_sparse and w.grad.to_dense()[:, 0].tolist() == [2, 2, 1, 1, 1, 1]
    (F.embedding(i[:1], w, sparse=True).sum() + w.sum()).backward()
    assert not w.grad.is_sparse and w.grad[:, 0].tolist() == [4, 3, 2, 2, 2, 2]
    (g,) = fb.autograd.grad(F.embedding(i[:1], w, sparse=True).sum(), w)
    assert g.is_sparse and g.to_dense()[:2, 0].tolist() == [1, 0]


@pytest.mark.parametrize("mode", ["sum", "mean"])
def test_embedding_bag(mode):
    dense, sparse = table(), table()
    i, offsets = fb.tensor([0, 2, 2, 5]), fb.tensor([0, 3])
    for w, flag in ((dense, False), (sparse, True)):
        (F.embedding_bag(i, w, offsets, mode=mode, sparse=flag) ** 2).sum().backward()
    assert sparse.grad.is_sparse and fb.allclose(sparse.grad.to_dense(), dense.grad)


def test_training_with_sparse_adam():
    w = table()
    optimizer = fb.optim.SparseAdam([w], lr=0.1)
    for _ in range(2):
        optimizer.zero_grad()
        F.embedding(fb.tensor([1, 1]), w, sparse=True).sum().backward()
        optimizer.step()
    assert fb.allclose(w[1], fb.tensor([1.8, 2.8])) and w[0].tolist() == [0, 1]
