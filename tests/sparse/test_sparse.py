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


BLOCKY = fb.tensor([[1.0, 0, 0, 0], [0, 2, 0, 0], [0, 0, 3, 4], [0, 0, 0, 5]])


@pytest.mark.parametrize("kind", ["bsr", "bsc"])
def test_blocks(kind):
    s = getattr(BLOCKY, f"to_sparse_{kind}")((2, 2))
    layout = getattr(fb, f"sparse_{kind}")
    assert s.layout is layout and s.shape == (4, 4) and s._nnz() == 2 and s.sparse_dim() == 2
    assert s.values().tolist() == [[[1, 0], [0, 2]], [[3, 4], [0, 5]]]
    main, other = ("crow_indices", "col_indices") if kind == "bsr" else ("ccol_indices", "row_indices")
    assert getattr(s, main)().tolist() == [0, 1, 2] and getattr(s, other)().tolist() == [0, 1]
    for same in (BLOCKY.to_sparse(), BLOCKY.to_sparse_csr(), BLOCKY.to_sparse_csc(), s):
        assert fb.equal(same.to_sparse(layout=layout, blocksize=(2, 2)).to_dense(), BLOCKY)
    for back in (s.to_sparse(), s.to_sparse_csr(), s.to_sparse_csc(), s.t().t()):
        assert fb.equal(back.to_dense(), BLOCKY)
    assert s.t().layout is {"bsr": fb.sparse_bsc, "bsc": fb.sparse_bsr}[kind]
    dense = fb.arange(8.0).reshape(4, 2)
    assert (s @ dense).tolist() == [[0, 1], [4, 6], [36, 43], [30, 35]]
    assert fb.nn.functional.linear(fb.ones(1, 4), s).tolist() == [[1, 2, 7, 5]]
    assert (s + s * 2).layout is layout and fb.equal((s + s * 2).to_dense(), BLOCKY * 3)
    assert fb.equal((s * fb.arange(16.0).reshape(4, 4)).to_dense(), BLOCKY * fb.arange(16.0).reshape(4, 4))
    assert s[1].to_dense().tolist() == [0, 2, 0, 0] and fb.zeros_like(s)._nnz() == 0
    values = s.values().clone().requires_grad_()
    made = fb.sparse_compressed_tensor(getattr(s, main)(), getattr(s, other)(), values, (4, 4), layout=layout)
    (made @ dense).sum().backward()
    assert values.grad.tolist() == [[[1, 5], [1, 5]], [[9, 13], [9, 13]]]


def test_block_factories_and_refusals():
    made = fb.sparse_bsr_tensor([0, 1, 2], [0, 1], fb.arange(8.0).reshape(2, 2, 2))
    assert made.shape == (4, 4) and made.layout is fb.sparse_bsr
    assert fb.sparse_bsc_tensor([0, 1], [1], fb.ones(1, 2, 3), dtype=fb.float64).shape == (4, 3)
    for call, message in [
        (
            lambda: BLOCKY.to_sparse_bsr((3, 2)),
            r"tensor sparse size \(4,4\) must be divisible by given blocksize",
        ),
        (lambda: BLOCKY.to_sparse_bsr((0, 2)), r"blocksize needs to be positive, but got \[0, 2\]"),
        (
            lambda: BLOCKY.to_sparse(layout=fb.sparse_bsr),
            "from Strided to SparseBsr without blocksize argument",
        ),
        (lambda: made.to_sparse_bsr((1, 2)), r"with blocksize changed from \[2, 2\] to \[1, 2\]"),
        (lambda: made.ccol_indices(), "expected sparse column compressed tensor layout but got SparseBsr"),
        (lambda: fb.sparse_bsr_tensor([0, 1], [0], fb.ones(1)), "values must have dimensionality > sum"),
        (
            lambda: fb.sparse_compressed_tensor([0], [0], fb.ones(1)),
            "expected sparse compressed tensor layout",
        ),
        (lambda: fb.sparse_csr_tensor([0, 1], [0], [1.0], layout=fb.sparse_csc), "layout must be SparseCsr"),
        (
            lambda: fb.sparse_csr_tensor([1, 1], [0], [1.0], check_invariants=True),
            r"`crow_indices\[\.\.\., 0\] == 0`",
        ),
        (
            lambda: fb.sparse_csr_tensor([0, 1], [9], [1.0], (1, 2), check_invariants=True),
            "`0 <= col_indices < ncols` is not satisfied",
        ),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()


def test_sampled_product_into_a_tensor():
    pattern, out = (fb.sparse_csr_tensor([0, 1, 2], [0, 1], v, (2, 2)) for v in ([1.0, 2.0], [0.0, 0.0]))
    made = fb.sparse.sampled_addmm(pattern, fb.ones(2, 3), fb.ones(3, 2), out=out)
    assert made is out and out.values().tolist() == [4, 5]


def test_results_into_a_sparse_tensor():
    a, out = fb.tensor([[-1.0, 0], [0, 2]]).to_sparse(), fb.zeros(3).to_sparse()
    assert fb.abs(a, out=out) is out and out.shape == (2, 2) and out.to_dense().tolist() == [[1, 0], [0, 2]]
    assert fb.sub(a, a, alpha=3, out=out) is out and out.to_dense().tolist() == [[2, 0], [0, -4]]
    dense = fb.zeros(0)
    assert fb.mm(a, fb.ones(2, 3), out=dense) is dense and dense.tolist() == [[-1] * 3, [2] * 3]
    for call, message in [
        (
            lambda: fb.abs(a, out=fb.zeros(2, 2)),
            "expected result tensor with layout torch.sparse_coo, got torch.strided",
        ),
        (
            lambda: fb.abs(fb.zeros(2, 2), out=a),
            "expected strided result tensor, got tensor with layout torch.sparse_coo",
        ),
        (lambda: fb.abs(a, out=a.long()), "Found dtype Long but expected Float"),
        (lambda: fb.abs(a.clone().requires_grad_(), out=out), "don't support automatic differentiation"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()
    assert a.to_dense().tolist() == [[-1, 0], [0, 2]]


def test_sums_in_place():
    for kind in (fb.sparse_coo, fb.sparse_csr):
        a = fb.tensor([[-1.0, 0], [0, 2]]).to_sparse(layout=kind)
        same = a
        assert a.add_(a, alpha=2) is same and same.to_dense().tolist() == [[-3, 0], [0, 6]]
    a = a.to_sparse_coo()
    same = a
    a -= fb.ones(2, 2).to_sparse()
    assert a is same and a.to_dense().tolist() == [[-4, -1], [-1, 5]]


def test_equal_is_not_there():
    with pytest.raises(
        NotImplementedError, match="'aten::equal' with arguments from the 'SparseCPU' backend"
    ):
        fb.equal(coo(), coo())
    with pytest.raises(NotImplementedError, match="from the 'SparseCsrCPU' backend"):
        fb.equal(D.to_sparse_csr(), D)


def test_cotangent_with_another_pattern():
    a = fb.tensor([[1.0, 0, 2], [0, 3, 0]]).to_sparse_csr().requires_grad_()
    for cotangent in (fb.ones(2, 3).to_sparse_csr(), fb.ones(2, 3).to_sparse()):
        (g,) = fb.autograd.grad(a.abs(), a, cotangent)
        assert g.to_dense().tolist() == [[1, 0, 1], [0, 1, 0]]


def test_old_types_and_semi_structured():
    old = fb.sparse.FloatTensor(fb.tensor([[0, 1], [1, 0]]), fb.tensor([1.0, 2.0]), fb.Size([3, 3]))
    assert (
        old.shape == (3, 3)
        and isinstance(old, fb.sparse.FloatTensor)
        and old.type() == "torch.sparse.FloatTensor"
    )
    assert not isinstance(D, fb.sparse.FloatTensor) and fb.sparse.LongTensor(2, 3).dtype is fb.int64
    assert fb.saddmm(fb.ones(2, 2), coo(), fb.eye(2), beta=2).tolist() == [[2, 6], [4, 2]]
    with pytest.raises(RuntimeError, match=r"Only CUDA tensors are currently supported\."):
        fb.sparse.to_sparse_semi_structured(D)
    with pytest.raises(NotImplementedError, match="cuSPARSELt or CUTLASS"):
        fb.sparse.SparseSemiStructuredTensor((2, 2), None, None, None, None, None)


def test_gradients_of_sampled_addmm():
    s = fb.tensor([[1.0, 0, 2], [0, 0, 3]]).to_sparse_csr().requires_grad_()
    a = fb.arange(1.0, 9).reshape(2, 4).requires_grad_()
    b = fb.arange(1.0, 13).reshape(4, 3).requires_grad_()
    g = fb.arange(6.0).reshape(2, 3) + 1

    def made():
        return fb.sparse.sampled_addmm(s, a, b, beta=0.5, alpha=2.0)

    # a strided cotangent gives a strided gradient, not restricted to stored places
    to_s, to_a, to_b = fb.autograd.grad(made(), (s, a, b), g)
    assert to_s.layout is fb.strided and to_s.tolist() == [[0.5, 1.0, 1.5], [2.0, 2.5, 3.0]]
    assert to_a.tolist() == [[20, 44, 68, 92], [36, 72, 108, 144]]
    assert to_b.tolist() == [[2, 0, 66], [4, 0, 84], [6, 0, 102], [8, 0, 120]]
    made().backward(g)
    assert s.grad.tolist() == to_s.tolist()
    to_s, to_a, _ = fb.autograd.grad(
        made(), (s, a, b), g.sparse_mask(made().detach().to_sparse()).to_sparse_csr()
    )
    assert to_s.layout is fb.sparse_csr and to_s.values().tolist() == [0.5, 1.5, 3.0]
    assert to_a.tolist() == [[20, 44, 68, 92], [36, 72, 108, 144]]
    assert fb.autograd.grad(made().to_dense().mul(g).sum(), a)[0].tolist() == to_a.tolist()
    with pytest.raises(RuntimeError, match="Expected result to have sparse csr layout, but got SparseCsc"):
        fb.sparse.sampled_addmm(s.detach().to_dense().to_sparse_csc(), a, b)


def test_sparse_gradients_where_overrides_are_switched_off():
    weight = fb.ones(3, 2, requires_grad=True)
    with fb._C.DisableTorchFunctionSubclass():
        fb.nn.functional.embedding(fb.tensor([1, 1]), weight, sparse=True).sum().backward()
    assert weight.grad.is_sparse and weight.grad.to_dense().tolist() == [[0, 0], [2, 2], [0, 0]]


def test_arguments_are_those_of_the_operators_below():
    s, d = fb.eye(2).to_sparse(), fb.ones(2, 2)
    assert fb.sparse.mm(sparse=s, dense=d).tolist() == fb.sparse.addmm(input=d * 0, mat1=s, mat2=d).tolist()
    assert fb.sparse.softmax(s, 1, fb.float64).dtype is fb.float64
    for call, text in [
        (lambda: fb.sparse.mm(s), r"_sparse_mm\(\) received an invalid combination .* - got \(Tensor\), but"),
        (
            lambda: fb.sparse.mm(s, 1),
            r"_sparse_mm\(\): argument 'dense' \(position 2\) must be Tensor, not int",
        ),
        (
            lambda: fb.sparse.addmm(s),
            r'_sparse_addmm\(\) missing 2 required positional argument: "mat1", "mat2"',
        ),
        (lambda: fb.sparse.sampled_addmm(s, d, d, 2), "takes 3 positional arguments but 4 were given"),
    ]:
        with pytest.raises(TypeError, match=text):
            call()


def test_the_older_constructor_takes_indices_and_values():
    s = D.to_sparse()
    t = s.new(s._indices(), s._values().double(), s.size())
    assert t.dtype is fb.float64 and not t.is_coalesced() and fb.equal(t.to_dense(), D.double())
    assert fb.equal(s.new(s._indices(), s._values(), (2, 5)).to_dense(), fb.nn.functional.pad(D, (0, 2)))
    assert s.new(s._indices(), s._values()).shape == (2, 3)
    assert s.new(4, 2).shape == (4, 2) and s.new(fb.Size([4, 2]))._nnz() == 0
    with pytest.raises(TypeError, match=r"new\(\) received an invalid combination of arguments"):
        s.new(s._indices())


@pytest.mark.parametrize("kind", ["csr", "csc", "bsr", "bsc"])
def test_values_of_compressed_matrices_may_be_vectors(kind):
    d = fb.zeros(4, 3, 2, dtype=fb.float64)
    d[0, 1], d[3, 2, 1], d[2, 0] = 1, 5, 3
    blocks = ((2, 1),) if kind[0] == "b" else ()
    convert = getattr(fb.Tensor, "to_sparse_" + kind)
    s = convert(d, *blocks, dense_dim=1)
    assert s.shape == d.shape and s.dense_dim() == 1 and s._nnz() == 3
    assert s.values().shape == ((3, 2, 1, 2) if blocks else (3, 2))
    assert fb.equal(s.to_dense(), d) and fb.equal((s * 2).to_dense(), d * 2)
    assert fb.equal(convert(d.to_sparse(2), *blocks).to_dense(), d)
    same = d.to_sparse(layout=s.layout, blocksize=blocks[0] if blocks else None, dense_dim=1)
    assert fb.equal(same.values(), s.values())
    with pytest.raises(RuntimeError, match=f"coo_to_sparse_{kind}: .* with sparse_dim..!=2 is not supported"):
        convert(d.to_sparse(), *blocks)
    if not blocks:
        with pytest.raises(
            RuntimeError, match=r"dense_dim argument must be in \[0,1\] range, but 2 is given"
        ):
            convert(d, dense_dim=2)


def test_diagonals_are_stored_in_the_order_given():
    s = fb.sparse.spdiags(fb.arange(1, 7).reshape(2, 3), fb.tensor([0, -1]), (3, 3))
    assert s._indices().tolist() == [[0, 1, 2, 1, 2], [0, 1, 2, 0, 1]] and not s.is_coalesced()


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("layout", ["sparse_coo", "sparse_csr", "sparse_csc"])
def test_gradcheck_of_sparse_inputs(layout, masked):
    check = fb.sparse.as_sparse_gradcheck(fb.autograd.gradcheck)
    x = fb.tensor([[0, 1], [2, 3.0]], dtype=fb.float64)
    s = x.to_sparse(layout=getattr(fb, layout)).requires_grad_()
    assert check(lambda a: a * a, (s,), masked=masked)
    assert check(lambda a, b: a @ b, (s, x.clone().requires_grad_()), masked=masked)
    assert check(lambda a: a.to_dense(masked_grad=masked), (s,), masked=masked)
    with pytest.raises(RuntimeError, match="Jacobian mismatch"):
        check(lambda a: a.to_dense() * a.detach().to_dense(), (s,), masked=masked)
