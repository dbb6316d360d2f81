"""Products of vectors, matrices and tensors: values of PyTorch 2.13."""

import pytest

import flambeau as fb

from .compare import same

A = fb.arange(6.0).reshape(2, 3)
B = fb.arange(12.0).reshape(3, 4) / 3
C = fb.arange(24.0).reshape(2, 3, 4) / 5

CASES = [
    (
        "fb.einsum('ij,jk->ik', A, B)",
        [[6.666667, 7.666667, 8.666666, 9.666667], [18.66667, 22.66667, 26.66667, 30.66667]],
    ),
    ("fb.einsum('ij->ji', A)", [[0.0, 3.0], [1.0, 4.0], [2.0, 5.0]]),
    ("fb.einsum('ii', fb.eye(3))", 3.0),
    ("fb.einsum('ii->i', B[:, :3])", [0.0, 1.666667, 3.333333]),
    ("fb.einsum('ij,ij->', A, A)", 55.0),
    (
        "fb.einsum('i,j', A[0], B[0])",
        [[0.0, 0.0, 0.0, 0.0], [0.0, 0.3333333, 0.6666667, 1.0], [0.0, 0.6666667, 1.333333, 2.0]],
    ),
    (
        "fb.einsum('...ij,jk->...ik', C.mT, B[:, :2])",
        [
            [[5.333333, 6.133334], [6.133334, 7.133333], [6.933333, 8.133333], [7.733334, 9.133333]],
            [[14.93333, 18.13333], [15.73333, 19.13333], [16.53333, 20.13333], [17.33333, 21.13333]],
        ],
    ),
    ("fb.einsum('ij,jk,kl->il', A, B, B.T)", [[18.0, 61.55556, 105.1111], [56.0, 187.5556, 319.1111]]),
    ("fb.einsum('bij,bij->b', C, C)", [20.24, 152.72]),
    (
        "fb.einsum(A, [0, 1], B, [1, 2], [2, 0])",
        [[6.666667, 18.66667], [7.666667, 22.66667], [8.666666, 26.66667], [9.666667, 30.66667]],
    ),
    ("fb.einsum('i j, j -> i', A, A[1])", [14.0, 50.0]),
    ("fb.einsum('ij,kj->ikj', A, A[:1])", [[[0.0, 1.0, 4.0]], [[0.0, 4.0, 10.0]]]),
    ("fb.einsum('ij,j', A.to(fb.complex64), A[1] * 1j)", [14j, 50j]),
    (
        "fb.tensordot(A, B, 1)",
        [[6.666667, 7.666667, 8.666666, 9.666667], [18.66667, 22.66667, 26.66667, 30.66667]],
    ),
    (
        "fb.tensordot(C, C, ([0, 2], [0, 2]))",
        [[29.92, 39.52, 49.12], [39.52, 54.24, 68.96], [49.12, 68.96, 88.8]],
    ),
    (
        "fb.kron(A, fb.tensor([[1.0, 2]]))",
        [[0.0, 0.0, 1.0, 2.0, 2.0, 4.0], [3.0, 6.0, 4.0, 8.0, 5.0, 10.0]],
    ),
    ("fb.linalg.cross(A, A.flip(1))", [[-2.0, 4.0, -2.0], [-8.0, 16.0, -8.0]]),
    ("fb.linalg.multi_dot([A, B, B.T])", [[18.0, 61.55556, 105.1111], [56.0, 187.5556, 319.1111]]),
    ("fb.linalg.multi_dot([A[0], B, B[0]])", 18.0),
    ("fb.linalg.vecdot(A, A)", [5.0, 50.0]),
    ("fb.trace(B)", 5.0),
    ("fb.cdist(A, A + 1)", [[1.732051, 6.928203], [3.464102, 1.732051]]),
    ("fb.cdist(A, A + 1, p=1)", [[3.0, 12.0], [6.0, 3.0]]),
    ("fb.cdist(fb.arange(60.0).reshape(30, 2), A[:, :2])[:2]", [[0.0, 4.24264], [2.828427, 1.414214]]),
    ("fb.renorm(A, 2, 0, 3.0)", [[0.0, 1.0, 2.0], [1.272792, 1.697056, 2.12132]]),
    ("fb.nn.functional.pdist(B)", [2.666667, 5.333333, 2.666667]),
]


@pytest.mark.parametrize(("expression", "expected"), CASES)
def test_values(expression, expected):
    same(eval(expression), expected)


def test_einsum_gradient():
    a, b = A.clone().requires_grad_(), B.clone().requires_grad_()
    fb.einsum("ij,jk->ik", a, b).sum().backward()
    same(a.grad, B.sum(1).expand(2, 3).tolist())
    same(b.grad, A.sum(0).unsqueeze(1).expand(3, 4).tolist())


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("ij,jk", A), "more operands were provided than specified|fewer operands were provided"),
        (("ij,ik->jk", A, B), "does not broadcast with previously seen size"),
        (("i->i", A), "number of subscripts"),
        (("ij->k", A), "does not appear in the equation"),
        (("ij->ii", A), "appears more than once in the output"),
        (("i1", A), "subscripts must be in"),
    ],
)
def test_einsum_errors(args, text):
    with pytest.raises(RuntimeError, match=text):
        fb.einsum(*args)


def test_euclidean_distance_has_no_gradient_at_zero():
    x = fb.ones(2, 3, requires_grad=True)
    fb.cdist(x, x).sum().backward()
    assert x.grad.abs().sum() == 0
