"""LAPACK beside the loops of the library: values alone, other orders of elements, threads."""

import threading

import pytest

import flambeau as fb

L = fb.linalg


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.complex64, fb.complex128])
@pytest.mark.parametrize("upper", [False, True])
def test_inverse_from_a_cholesky_factor(dtype, upper):
    fb.manual_seed(0)
    a = fb.randn(2, 5, 5, dtype=dtype)
    a = a @ a.mH + 5 * fb.eye(5, dtype=dtype)
    factor = L.cholesky(a, upper=upper)
    for given in (factor, factor.mT.contiguous().mT, factor.repeat_interleave(2, -1)[..., ::2]):
        inverse = fb.cholesky_inverse(given, upper=upper)
        fb.testing.assert_close(inverse @ a, fb.eye(5, dtype=dtype).expand(2, 5, 5), atol=1e-4, rtol=1e-4)
        assert fb.equal(inverse, inverse.mH)


def test_inverse_of_a_singular_factor_says_which():
    singular = fb.diag(fb.tensor([1.0, 0.0, 2.0]))
    text = "The diagonal element 2 is zero, the inversion could not be completed because"
    with pytest.raises(L.LinAlgError, match=f"^cholesky_inverse: {text}"):
        fb.cholesky_inverse(singular)
    with pytest.raises(L.LinAlgError, match=r"^cholesky_inverse: \(Batch element 1\): "):
        fb.cholesky_inverse(fb.stack([fb.eye(3), singular]))


@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128])
@pytest.mark.parametrize("left", [True, False])
@pytest.mark.parametrize("upper", [True, False])
def test_triangular_systems_in_every_order_of_elements(dtype, left, upper):
    fb.manual_seed(0)
    a = fb.randn(3, 4, 4, dtype=dtype) + 4 * fb.eye(4, dtype=dtype)
    b = fb.randn(3, 4, 4, dtype=dtype)
    part = a.triu() if upper else a.tril()
    wide = fb.zeros(3, 4, 9, dtype=dtype)
    wide[..., 2:6] = a
    for given in (
        a,
        a.mT.contiguous().mT,
        wide[..., 2:6],
        a.repeat_interleave(2, -1)[..., ::2],
        a[:1].expand(3, 4, 4),
    ):
        x = L.solve_triangular(given, b, upper=upper, left=left)
        whole = part[:1].expand(3, 4, 4) if given.stride(0) == 0 else part
        fb.testing.assert_close(whole @ x if left else x @ whole, b)


def test_values_alone_are_those_with_vectors():
    fb.manual_seed(0)
    for shape in ((3, 5, 4), (0, 4, 4), (2, 0, 3)):
        a = fb.randn(shape, dtype=fb.float64)
        fb.testing.assert_close(L.svdvals(a), L.svd(a)[1])
        needs = a.clone().requires_grad_()
        fb.testing.assert_close(L.svdvals(needs).detach(), L.svd(a)[1])
    h = fb.randn(3, 4, 4, dtype=fb.complex128)
    h = h + h.mH
    for half in "LU":
        fb.testing.assert_close(L.eigvalsh(h, half), L.eigh(h, half)[0])


def test_row_exchanges_out_of_range_are_refused():
    lu, _ = L.lu_factor(fb.eye(3))
    for pivots in ([4, 2, 3], [0, 2, 3], [-1, 2, 3]):
        with pytest.raises(RuntimeError, match="must be between 1 and LU"):
            fb.lu_unpack(lu, fb.tensor(pivots, dtype=fb.int32))


def test_several_threads_factor_at_once():
    fb.manual_seed(0)
    a = fb.randn(40, 40, dtype=fb.float64)
    a = a @ a.mT + 40 * fb.eye(40, dtype=fb.float64)
    expected, wrong = L.inv(a), []

    def work():
        wrong.extend(1 for _ in range(50) if not fb.allclose(L.inv(a), expected))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.parametrize("dtype", [fb.float64, fb.complex128])
def test_matrices_of_a_few_rows_are_factored_as_large_ones(dtype):
    fb.manual_seed(0)
    for m in range(1, 10):
        for n in range(1, 10):
            a = fb.randn(3, m, n, dtype=dtype)
            p, lower, upper = L.lu(a)
            fb.testing.assert_close(p @ lower @ upper, a)
        a, b = fb.randn(3, m, m, dtype=dtype), fb.randn(3, m, 2, dtype=dtype)
        fb.testing.assert_close(a @ L.solve(a, b), b)
        h = a @ a.mH + m * fb.eye(m, dtype=dtype)
        lower = L.cholesky(h)
        fb.testing.assert_close(lower @ lower.mH, h)
        fb.testing.assert_close(L.cholesky(h.tril()), lower)  # one triangle is read
        fb.testing.assert_close(L.cholesky(h.triu(), upper=True), lower.mH)


def test_matrices_of_a_few_rows_tell_where_they_fail():
    assert L.lu_factor_ex(fb.tensor([[0.0, 0], [0, 1]]))[2] == 1
    factor, info = L.cholesky_ex(fb.tensor([[1.0, 2], [2, 1]]))
    assert info == 2 and factor.tolist() == [[1, 0], [2, -3]]
    assert L.det(fb.full((2, 2), fb.nan)).isnan()
    with pytest.raises(L.LinAlgError, match="The diagonal element 1 is zero"):
        L.inv(fb.zeros(3, 3))
