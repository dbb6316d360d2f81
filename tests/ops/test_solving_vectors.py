"""`linalg.solve` and `lstsq` of vectors: of all dimensions of size 1 only the last one is taken away."""

import pytest

import flambeau as fb


@pytest.mark.parametrize("dtype", [fb.float32, fb.float64, fb.complex128])
@pytest.mark.parametrize(
    ("a", "b", "shape", "stride"),
    [
        ((1, 1), (1,), (1,), (1,)),
        ((3, 3), (3,), (3,), (1,)),
        ((1, 3, 3), (3,), (1, 3), (1, 1)),
        ((1, 1, 1), (1,), (1, 1), (1, 1)),
        ((2, 1, 1), (1,), (2, 1), (1, 2)),
        ((2, 1, 1), (2, 1), (2, 1), (1, 2)),
        ((2, 3, 3), (2, 3), (2, 3), (1, 2)),
        ((4, 2, 3, 3), (3,), (4, 2, 3), (6, 1, 2)),
        ((3, 0, 0), (3, 0), (3, 0), (1, 3)),
        ((1, 1), (4, 1, 1), (4, 1, 1), (1, 1, 1)),
    ],
)
def test_solve(dtype, a, b, shape, stride):
    A = (fb.rand(a, dtype=dtype) + 2 * fb.eye(a[-1], dtype=dtype)).requires_grad_()
    B = fb.rand(b, dtype=dtype, requires_grad=True)
    x = fb.linalg.solve(A, B)
    assert x.shape == shape and x.stride() == stride
    assert fb.linalg.solve_ex(A, B)[1].shape == a[:-2]
    vector = x.dim() == A.dim() - 1
    y = (A @ x.unsqueeze(-1)).squeeze(-1) if vector else A @ x
    fb.testing.assert_close(y, B.expand_as(y), rtol=1e-4, atol=1e-5)
    x.abs().sum().backward()
    assert A.grad.shape == A.shape and B.grad.shape == B.shape
    if dtype is fb.float64 and A.numel():
        assert fb.autograd.gradcheck(fb.linalg.solve, (A, B))


def test_shapes_that_do_not_fit_are_said_first():
    with pytest.raises(
        RuntimeError, match=r"Incompatible shapes of A and B for the equation XA = B \(3x3 and 3x1\)"
    ):
        fb.linalg.solve(fb.eye(3), fb.ones(3), left=False)
    with pytest.raises(RuntimeError, match="Vector broadcasting of the left hand side is not supported"):
        fb.linalg.solve(fb.eye(1), fb.ones(1), left=False)


@pytest.mark.parametrize("a", [(1, 2, 1), (2, 3, 1), (1, 3, 2), (1, 1, 1)])
def test_least_squares(a):
    A, b = (
        fb.rand(a, dtype=fb.float64, requires_grad=True),
        fb.rand(a[:-1], dtype=fb.float64, requires_grad=True),
    )
    x = fb.linalg.lstsq(A, b).solution
    assert x.shape == (*a[:-2], a[-1])
    x.sum().backward()
    assert A.grad.shape == A.shape and b.grad.shape == b.shape


def test_least_squares_results_lie_in_the_columns_worked_in():
    A, b = fb.rand(2, 3, 2), fb.rand(2, 3, 2)
    for driver in (None, "gels", "gelsy", "gelsd", "gelss"):
        x, residuals, rank, values = fb.linalg.lstsq(A, b, driver=driver)
        assert x.stride() == (6, 1, 3) and fb.linalg.lstsq(A, b[..., 0], driver=driver).solution.stride() == (
            3,
            1,
        )
        assert residuals.shape == ((0,) if driver in (None, "gelsy") else (2, 2))
        assert rank.numel() == (driver != "gels") * 2 and values.numel() == (driver in ("gelsd", "gelss")) * 4
        fb.testing.assert_close(A.mT @ (A @ x), A.mT @ b, rtol=1e-3, atol=1e-4)


def test_triangular_systems_are_solved_in_the_type_of_the_matrix():
    A = (fb.eye(3) * 2).requires_grad_()
    for dtype in (fb.float64, fb.int64, fb.float16):
        b = fb.ones(3, 2, dtype=dtype, requires_grad=dtype.is_floating_point)
        x = fb.linalg.solve_triangular(A, b, upper=True)
        assert x.dtype is fb.float32 and x.tolist() == [[0.5] * 2] * 3
        x.sum().backward()
        assert A.grad.dtype is fb.float32
        assert not b.requires_grad or (b.grad.dtype is dtype and b.grad.tolist() == [[0.5] * 2] * 3)
    with pytest.raises(
        RuntimeError, match="Expected b and A to have the same dtype, but found b of type Double"
    ):
        fb.triangular_solve(fb.ones(3, 1, dtype=fb.float64), A)
    with pytest.raises(RuntimeError, match=r"linalg.solve: Expected a floating point or complex .* Got Long"):
        fb.linalg.solve(fb.eye(2, dtype=fb.int64), fb.ones(2))
