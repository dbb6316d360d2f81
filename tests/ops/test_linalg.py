"""Linear algebra on factorizations: values of PyTorch 2.13."""

import pytest

import flambeau as fb

from .compare import same

A = fb.tensor([[4.0, 1, 2], [1, 5, 3], [2, 3, 6]], dtype=fb.float64)
B = fb.tensor([[1.0, 2], [3, 4], [5, 6]], dtype=fb.float64)
S = fb.tensor([[1.0, 2], [2, 4]], dtype=fb.float64)

CASES = [
    ("fb.linalg.cholesky(A)", [[2.0, 0.0, 0.0], [0.5, 2.179449, 0.0], [1.0, 1.147079, 1.91943]]),
    (
        "fb.linalg.cholesky(A, upper=True)",
        [[2.0, 0.5, 1.0], [0.0, 2.179449, 1.147079], [0.0, 0.0, 1.91943]],
    ),
    (
        "fb.cholesky_solve(B, fb.linalg.cholesky(A))",
        [[-0.2, 0.0], [0.1428571, 0.2857143], [0.8285714, 0.8571429]],
    ),
    (
        "fb.cholesky_inverse(fb.linalg.cholesky(A))",
        [[0.3, 1.387779e-17, -0.1], [1.387779e-17, 0.2857143, -0.1428571], [-0.1, -0.1428571, 0.2714286]],
    ),
    (
        "fb.linalg.inv(A)",
        [[0.3, 0.0, -0.1], [0.0, 0.2857143, -0.1428571], [-0.1, -0.1428571, 0.2714286]],
    ),
    ("fb.linalg.solve(A, B)", [[-0.2, 0.0], [0.1428571, 0.2857143], [0.8285714, 0.8571429]]),
    ("fb.linalg.det(A)", 70.0),
    ("fb.linalg.det(S)", -0.0),
    ("fb.linalg.slogdet(-A)", [-1.0, 4.248495]),
    ("fb.logdet(A)", 4.248495),
    (
        "fb.linalg.lu(A)",
        [
            [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]],
            [[1.0, 0.0, 0.0], [0.25, 1.0, 0.0], [0.5, 0.5263158, 1.0]],
            [[4.0, 1.0, 2.0], [0.0, 4.75, 2.5], [0.0, 0.0, 3.684211]],
        ],
    ),
    (
        "fb.linalg.lu_solve(*fb.linalg.lu_factor(A), B)",
        [[-0.2, 0.0], [0.1428571, 0.2857143], [0.8285714, 0.8571429]],
    ),
    (
        "fb.linalg.lu_solve(*fb.linalg.lu_factor(A), B, adjoint=True)",
        [[-0.2, 0.0], [0.1428571, 0.2857143], [0.8285714, 0.8571429]],
    ),
    ("fb.linalg.svdvals(B)", [9.525518, 0.5143006]),
    ("fb.linalg.eigvalsh(A)", [2.194397, 3.38677, 9.418833]),
    (
        "fb.linalg.matrix_power(A, 3)",
        [[145.0, 165.0, 225.0], [165.0, 295.0, 345.0], [225.0, 345.0, 445.0]],
    ),
    (
        "fb.linalg.matrix_power(A, -1)",
        [[0.3, 0.0, -0.1], [0.0, 0.2857143, -0.1428571], [-0.1, -0.1428571, 0.2714286]],
    ),
    (
        "fb.linalg.matrix_exp(A / 4)",
        [[3.364524, 1.61987, 2.41052], [1.61987, 4.865934, 3.67501], [2.41052, 3.67501, 6.367344]],
    ),
    ("fb.linalg.pinv(B)", [[-1.333333, -0.3333333, 0.6666667], [1.083333, 0.3333333, -0.4166667]]),
    ("fb.linalg.pinv(S, hermitian=True)", [[0.04, 0.08], [0.08, 0.16]]),
    ("fb.linalg.matrix_rank(S)", 1),
    ("fb.linalg.cond(A)", 4.292219),
    ("fb.linalg.cond(A, 1)", 5.657143),
    ("fb.linalg.norm(B)", 9.539392),
    ("fb.linalg.norm(B, 'nuc')", 10.03982),
    ("fb.linalg.norm(B, 2)", 9.525518),
    ("fb.linalg.norm(B, float('inf'))", 11.0),
    ("fb.linalg.matrix_norm(B, -1)", 9.0),
    ("fb.norm(B, dim=1)", [2.236068, 5.0, 7.81025]),
    (
        "fb.linalg.householder_product(*fb.geqrf(B))",
        [[-0.1690309, 0.8970852], [-0.5070926, 0.2760262], [-0.8451543, -0.3450328]],
    ),
    (
        "fb.ormqr(*fb.geqrf(B), A)",
        [
            [1.037458, 5.54114, 4.802684],
            [-3.385337, -1.576451, -5.085086],
            [-2.909153, -1.345573, -0.2759171],
        ],
    ),
    (
        "fb.linalg.tensorinv(A.reshape(3, 3), 1)",
        [[0.3, 0.0, -0.1], [0.0, 0.2857143, -0.1428571], [-0.1, -0.1428571, 0.2714286]],
    ),
    ("fb.linalg.tensorsolve(A, B[:, 0])", [-0.2, 0.1428571, 0.8285714]),
    ("fb.linalg.vander(B[:, 0], N=3)", [[1.0, 1.0, 1.0], [1.0, 3.0, 9.0], [1.0, 5.0, 25.0]]),
    ("fb.vander(B[:, 0])", [[1.0, 1.0, 1.0], [9.0, 3.0, 1.0], [25.0, 5.0, 1.0]]),
    ("fb.linalg.lstsq(B, A).solution", [[-4.333333, -1.0, 0.3333333], [3.833333, 1.5, 0.6666667]]),
    ("fb.linalg.lstsq(B, A, driver='gelsd').residuals", [2.666667, 6.0, 0.6666667]),
    (
        "fb.linalg.ldl_solve(*fb.linalg.ldl_factor(A), B)",
        [[-0.2, 0.0], [0.1428571, 0.2857143], [0.8285714, 0.8571429]],
    ),
    ("fb.triangular_solve(B, A).solution", [[-0.1916667, -0.05], [0.1, 0.2], [0.8333333, 1.0]]),
    ("fb.linalg.diagonal(A)", [4.0, 5.0, 6.0]),
    ("fb.svd(B).S", [9.525518, 0.5143006]),
    ("fb.linalg.matrix_norm(fb.stack([A, 2 * A]))", [10.24695, 20.4939]),
]


def test_ldl_solve_believes_no_pivots():
    factors, pivots = fb.linalg.ldl_factor(fb.eye(3).expand(2, 3, 3) * 2)
    for bad, text in (
        (pivots * 0, r"must all satisfy \|pivot\| >= 1"),
        (pivots * 0 + 7, r"must all satisfy \|pivot\| <= LD.size\(-2\)"),
        (-pivots, "must come in pairs"),
    ):
        with pytest.raises(RuntimeError, match=text):
            fb.linalg.ldl_solve(factors, bad, fb.ones(3, 2))


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values(expression, expected):
    same(eval(expression), expected)


def test_results_are_named():
    result = fb.linalg.slogdet(A)
    assert repr(result).startswith("torch.return_types.linalg_slogdet(\nsign=tensor(1., dtype=torch.float64)")
    assert result.logabsdet is result[1]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fb.linalg.cholesky(-A), "linalg.cholesky: The factorization could not be completed"),
        (lambda: fb.linalg.inv(S), "linalg.inv: The diagonal element 2 is zero"),
    ],
)
def test_failures_of_factorizations(call, text):
    with pytest.raises(fb.linalg.LinAlgError, match=text):
        call()


@pytest.mark.parametrize(
    "function",
    [
        fb.linalg.det,
        fb.linalg.pinv,
        fb.linalg.matrix_exp,
        lambda a: fb.linalg.slogdet(a)[1],
        lambda a: fb.linalg.lu_solve(*fb.linalg.lu_factor(a), B),
        lambda a: fb.linalg.householder_product(a, a[0] * 0.1),
    ],
)
def test_derivatives(function):
    x = (A / 5).requires_grad_()
    assert fb.autograd.gradcheck(function, (x,))
    assert fb.autograd.gradgradcheck(function, (x,), fast_mode=True)


def test_derivative_of_singular_determinant():
    assert fb.autograd.gradcheck(fb.linalg.det, (S.clone().requires_grad_(),))


def test_singular_values_of_what_is_not_finite():
    m = fb.full((3, 3), 2.0)
    m[0, 0], m[1, 2], m[2, 1] = float("inf"), 3e38, 1e30
    assert fb.linalg.svdvals(m).isnan().all()  # LAPACK alone turns for ever on some such matrices
    assert all(t.isnan().all() for t in fb.linalg.svd(m))
    m = fb.tensor([
        [float("inf"), -1.7658, 2.0, -2.4005, -7.9506],
        [1e30, -8.0676, -0.57349, 3.1285, -3.0337],
        [0.0, 1.1351, 4.9473, 0.0, -3.973],
        [0.0, 0.0, -3e38, -4.7024, -3e38],
        [0.5, -3.5221, -4.4145, 2.3285, 1.0],
    ])  # fmt: skip
    assert fb.linalg.svd(m)[1].isnan().all()
    m[0, 0] = float("nan")
    with pytest.raises(fb.linalg.LinAlgError, match="the input matrix contained non-finite values"):
        fb.linalg.svd(m + 0j)
