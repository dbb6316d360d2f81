"""Products as weighted sums of rows and conversions without sorting, against the dense results."""

import pytest

import flambeau as fb

LAYOUTS = {
    "coo": lambda x: x.to_sparse(),
    "uncoalesced": lambda x: fb.sparse_coo_tensor(
        fb.cat([x.to_sparse().indices()] * 2, 1), fb.cat([x.to_sparse().values()] * 2), x.shape
    ),
    "csr": lambda x: x.to_sparse_csr(),
    "csc": lambda x: x.to_sparse_csc(),
    "bsr": lambda x: x.to_sparse_bsr((2, 3)),
}


def matrix(dtype=fb.float32, rows=6, columns=9):
    fb.manual_seed(3)
    x = fb.randint(-4, 5, (rows, columns)) * (fb.rand(rows, columns) > 0.6)
    x[2:4] = 0  # empty rows, also at the end
    x[-1:] = 0
    return x.to(dtype) * (1 + 2j) if dtype.is_complex else x.to(dtype)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.float16, fb.int64, fb.complex64])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_conversions_and_products(layout, dtype):
    x = matrix(dtype)
    sparse, factor = LAYOUTS[layout](x), 2 if layout == "uncoalesced" else 1
    assert fb.equal(sparse.to_dense(), x * factor)
    for other in (sparse.to_sparse_csr(), sparse.to_sparse_csc(), sparse.to_sparse()):
        assert fb.equal(other.to_dense(), x * factor)
    dense = (fb.arange(36) % 7).reshape(9, 4).to(dtype)
    expected = x @ dense * factor
    assert fb.equal(sparse @ dense, expected) and fb.equal(fb.sparse.mm(sparse, dense), expected)
    assert fb.equal(sparse @ dense.t().contiguous().t(), expected)
    assert fb.equal(sparse @ dense[:, 0], expected[:, 0])


def test_starts_of_rows():
    csr = matrix().to_sparse().to_sparse_csr()
    assert csr.crow_indices().tolist() == [0, *matrix().count_nonzero(1).cumsum(0).tolist()]
    assert csr.crow_indices().dtype is fb.int64
    narrow = fb.sparse_csr_tensor(csr.crow_indices().int(), csr.col_indices().int(), csr.values(), (6, 9))
    assert fb.equal(narrow @ fb.eye(9), matrix()) and fb.equal(narrow.to_dense(), matrix())


@pytest.mark.parametrize("shape", [(0, 4), (3, 0), (0, 0), (1, 4)])
def test_nothing_stored(shape):
    x, dense = fb.zeros(shape), fb.ones(shape[1], 2)
    for sparse in (x.to_sparse(), x.to_sparse_csr(), x.to_sparse().to_sparse_csr(), x.to_sparse_csc()):
        assert fb.equal(sparse.to_dense(), x) and fb.equal(sparse @ dense, x @ dense)


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_of_two_sparse_matrices(layout):
    a, b = matrix(), matrix(rows=9, columns=5)
    product = fb.sparse.mm(LAYOUTS[layout](a), LAYOUTS[layout](b))
    assert product.layout is (fb.sparse_coo if layout == "coo" else fb.sparse_csr)
    assert fb.equal(product.to_dense(), a @ b)


@pytest.mark.parametrize("layout", ["coo", "csr"])
def test_gradients_are_those_of_the_dense_product(layout):
    x, dense = LAYOUTS[layout](matrix(fb.float64)), fb.rand(9, 4, dtype=fb.float64, requires_grad=True)
    (x @ dense).pow(2).sum().backward()
    assert fb.allclose(dense.grad, 2 * matrix(fb.float64).t() @ (matrix(fb.float64) @ dense.detach()))
    with fb.no_grad():
        assert fb.allclose(x @ dense, matrix(fb.float64) @ dense) and not (x @ dense).requires_grad
    tangent = fb.func.jvp(lambda d: x @ d, (dense.detach(),), (fb.ones(9, 4, dtype=fb.float64),))[1]
    assert fb.allclose(tangent, matrix(fb.float64) @ fb.ones(9, 4, dtype=fb.float64))
    stack = fb.stack([dense.detach(), 2 * dense.detach()])
    assert fb.allclose(fb.func.vmap(lambda d: x @ d)(stack), matrix(fb.float64) @ stack)
    values = matrix(fb.float64).to_sparse().values().requires_grad_()
    made = fb.sparse_coo_tensor(matrix().to_sparse().indices(), values, (6, 9)).to_dense()
    made.pow(2).sum().backward()
    assert fb.equal(values.grad, 2 * values)


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64])
def test_products_with_a_vector(dtype):
    """Rows of any length, which share blocks of products or need several of them."""
    lengths = [0, 5, 1, 0, 1300, 7, 8, 9, 2, 2100, 0, 3, 16, 17, 0, 0, 4, 1, 0]
    dense = fb.zeros(len(lengths), 2200, dtype=dtype)
    for row, n in enumerate(lengths):
        dense[row, fb.randperm(2200)[:n]] = fb.randint(-9, 10, (n,)).to(dtype)
    vector = fb.randint(-9, 10, (2200,)).to(dtype)
    for rows in (len(lengths), 8, 16, 3):
        part = dense[:rows]
        assert fb.equal(part.to_sparse_csr() @ vector, part @ vector)
    places, starts = fb.tensor([0, 5, 1]), fb.tensor([0, 2, 3])
    with pytest.raises(RuntimeError, match="takes value 5"):
        fb.nn.functional.embedding_bag(
            places,
            fb.ones(3, 1, dtype=dtype),
            starts,
            mode="sum",
            per_sample_weights=fb.ones(3, dtype=dtype),
            include_last_offset=True,
        )
