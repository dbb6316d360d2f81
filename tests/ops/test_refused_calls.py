"""Calls whose arguments fit no overload: class and first line are PyTorch's."""

import pytest

import flambeau as fb

X = fb.ones(2, 3)

REFUSED = [
    # PyTorch looks at the overloads that the number of arguments allows; a single one explains itself
    (
        lambda: fb.mm(X),
        "mm() received an invalid combination of arguments - got (Tensor), but expected one of:",
    ),
    (lambda: fb.where(1), "where(): argument 'condition' (position 1) must be Tensor, not int"),
    (
        lambda: fb.linspace(1),
        "linspace() received an invalid combination of arguments - got (int), but expected one of:",
    ),
    (
        lambda: X.view([1], 3),
        "view() received an invalid combination of arguments - got (list, int), but expected one of:",
    ),
    (
        lambda: fb.std(X, 1, 2, 3, 4, 5),
        "std() received an invalid combination of arguments - got (Tensor,"
        " int, int, int, int, int), but expected"
        " one of:",
    ),
    (lambda: X.round_(None), "round_() takes from 1 to 0 positional arguments but 1 were given"),
    (
        lambda: fb.linalg.solve_triangular(X, X, X),
        "linalg_solve_triangular() takes from 3 to 2 positional arguments but 3 were given",
    ),
    # many sizes want numbers, not lists of them
    (lambda: X.expand([2, 3], 1), "expand() takes 1 positional argument but 2 were given"),
    (lambda: X.permute(1.5, 0), "permute() takes 1 positional argument but 2 were given"),
    (lambda: fb.zeros([2], [3]), "zeros() takes 1 positional argument but 2 were given"),
    # NumPy's names are no names where the argument is given
    (lambda: fb.acos(X, a=1), "acos() got an unexpected keyword argument 'a'"),
    (lambda: fb.acos(X, input=1), "acos() got multiple values for argument 'input'"),
    # methods without arguments
    (lambda: X.dim(1), "TensorBase.dim() takes no arguments (1 given)"),
    (lambda: X.element_size(1), "TensorBase.element_size() takes no arguments (1 given)"),
    (lambda: X.is_conj(a=1), "TensorBase.is_conj() takes no keyword arguments"),
    (lambda: X.numel(a=1), "TensorBase.numel() takes no keyword arguments"),
    (lambda: X.slogdet(1), "TensorBase.slogdet() takes no arguments (1 given)"),
    (lambda: X.is_same_size(), 'is_same_size() missing 1 required positional arguments: "other"'),
    (lambda: X.is_pinned("x", 1), "is_pinned() takes from 0 to 1 positional arguments but 2 were given"),
    # operators written in Python refuse as methods and as functions
    (lambda: X.svd(1, 2, 3), "svd() takes from 0 to 2 positional arguments but 3 were given"),
    (lambda: fb.svd(X, 1, 2, 3), "svd() takes from 1 to 3 positional arguments but 4 were given"),
    (lambda: X.cholesky(3), "cholesky(): argument 'upper' (position 1) must be bool, not int"),
    (lambda: fb.Tensor.diff(), "unbound method TensorBase.diff() needs an argument"),
    (
        lambda: fb.Tensor.diff(3),
        "descriptor 'diff' for 'torch._C.TensorBase' objects doesn't apply to a 'int' object",
    ),
    (
        lambda: fb.trapz(X, X, dx=1),
        "trapz() received an invalid combination of arguments - got (Tensor,"
        " Tensor, dx=int), but expected one of:",
    ),
    (
        lambda: fb.linalg.pinv(fb.eye(2), 1.0, rtol=1.0),
        "linalg_pinv() received an invalid combination of arguments - got (Tensor, float, rtol=float), but"
        " expected one of:",
    ),
    # functions that look at tensors
    (lambda: fb.numel(), 'numel() missing 1 required positional arguments: "input"'),
    (lambda: fb.is_complex(1), "is_complex(): argument 'input' (position 1) must be Tensor, not int"),
    (lambda: fb.nonzero(X, 1), "nonzero() takes 1 positional argument but 2 were given"),
    (lambda: fb.tril_indices(1), 'tril_indices() missing 1 required positional arguments: "col"'),
    (
        lambda: fb.triu_indices(1, 2, device=X),
        "triu_indices(): argument 'device' must be torch.device, not Tensor",
    ),
    (lambda: fb.asarray(1, 2), "asarray() takes 1 positional argument but 2 were given"),
    (
        lambda: fb.empty_permuted((2,), (0,), requires_grad=1),
        "empty_permuted(): argument 'requires_grad' must be bool, not int",
    ),
    (
        lambda: fb.stft(fb.ones(40), 8, onesided=1, return_complex=True),
        "stft() received an invalid combination of arguments - got (Tensor,"
        " int, NoneType, NoneType, NoneType,"
        " bool, int, bool, NoneType), but expected one of:",
    ),
]


@pytest.mark.parametrize("call, text", REFUSED, ids=[text[:50] for _, text in REFUSED])
def test_arguments_that_do_not_fit(call, text):
    with pytest.raises(TypeError) as raised:
        call()
    assert str(raised.value).split("\n")[0] == text


def test_old_integrals_take_places_or_steps():
    y = fb.tensor([1.0, 2, 3])
    assert fb.trapz(y).item() == 4 and fb.trapz(y, dx=2).item() == 8
    assert fb.trapz(y, fb.tensor([0.0, 1, 3])).item() == 6.5
