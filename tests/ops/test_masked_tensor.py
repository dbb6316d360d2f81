"""MaskedTensor; numbers from torch 2.13."""

import copy
import pickle

import pytest

import flambeau as torch
from flambeau.masked import MaskedTensor, as_masked_tensor, is_masked_tensor, masked_tensor

DATA = torch.tensor([[1.0, 2, 3], [4, 5, 6]])
MASK = torch.tensor([[True, False, True], [False, True, True]])
pytestmark = pytest.mark.filterwarnings("ignore:The PyTorch API of MaskedTensors")


def _made(**options):
    return masked_tensor(DATA, MASK, **options)


def _same(t, numbers):
    """The elements that count, in order."""
    torch.testing.assert_close(t.get_data()[t.get_mask()], torch.tensor(numbers), rtol=1e-4, atol=1e-4)


def test_printing():
    assert repr(_made()) == (
        "MaskedTensor(\n  [\n    [  1.0000,       --,   3.0000],\n    [      --,   5.0000,   6.0000]\n  ]\n)"
    )
    mask = torch.tensor([True, False, True])
    assert str(masked_tensor(torch.arange(3), mask)) == "MaskedTensor(\n  [0,       --, 2]\n)"
    wide = masked_tensor(torch.tensor([1.0, 2, 1e6]), mask)
    assert str(wide) == "MaskedTensor(\n  [  1.0000,           --, 1000000.0000]\n)"
    assert str(masked_tensor(torch.tensor(1.0), torch.tensor(True))) == "MaskedTensor(  1.0000, True)"
    assert str(masked_tensor(torch.tensor(1.0), torch.tensor(False))) == "MaskedTensor(--, False)"


def test_operators():
    x = _made()
    _same(x.exp(), [2.7183, 20.0855, 148.4132, 403.4288])
    _same(2 / x + x * masked_tensor(DATA * 2, MASK), [4, 18.6667, 50.4, 72.3333])
    _same(DATA + x, [2.0, 6, 10, 12])
    assert (x > 2).get_data()[MASK].tolist() == [False, True, True, True]
    with pytest.raises(ValueError, match=r"Input masks must match\."):
        x + masked_tensor(DATA, ~MASK)
    x.mul_(2)
    _same(x, [2.0, 6, 10, 12])
    assert DATA[0, 0] == 1  # a copy
    chosen = torch.where(MASK, _made(), masked_tensor(-DATA, ~MASK))
    assert chosen.get_mask().all() and chosen.get_data()[0, 1] == -2
    with pytest.raises(TypeError, match=r"Multiple dispatch failed for 'torch._ops.aten.mm.default'"):
        torch.mm(x, DATA.t())


@pytest.mark.parametrize(
    ("name", "whole", "rows"),
    [
        ("sum", 15.0, [4.0, 11.0]), ("mean", 3.75, [2.0, 5.5]), ("prod", 90.0, [3.0, 30.0]),
        ("amin", 1.0, [1.0, 5.0]), ("amax", 6.0, [3.0, 6.0]), ("argmax", 5.0, [2.0, 2.0]),
        ("var", 4.9167, [2.0, 0.5]), ("std", 2.2174, [1.4142, 0.7071]),
    ],
)  # fmt: skip
def test_reductions(name, whole, rows):
    x = _made()
    _same(getattr(x, name)().reshape(1), [whole])
    _same(getattr(torch, name)(x, 1), rows)
    assert getattr(x, name)(dim=0, keepdim=True).shape == (1, 3)


def test_a_row_without_elements_is_masked():
    x = masked_tensor(DATA, torch.tensor([[True] * 3, [False] * 3]))
    assert str(x.amax(1)) == "MaskedTensor(\n  [  3.0000,       --]\n)"
    assert x.sum(1).get_mask().tolist() == [True, False]
    _same(_made().softmax(-1), [0.1192, 0.8808, 0.2689, 0.7311])


@pytest.mark.parametrize(
    ("function", "grad"),
    [
        (lambda x: x.sum(), [1.0, 1, 1, 1]),
        (lambda x: (x * x).sum(), [2.0, 6, 10, 12]),
        (lambda x: x.mean(), [0.25] * 4),
        (lambda x: x.amax(1).sum(), [0.0, 1, 0, 1]),
        (lambda x: x.prod(), [90.0, 30, 18, 15]),
        (lambda x: x.log().sum(), [1, 0.3333, 0.2, 0.1667]),
        (lambda x: x.std(), [-0.4134, -0.1127, 0.1879, 0.3382]),
        (lambda x: (x.softmax(-1) * masked_tensor(DATA, MASK)).sum(), [-0.21, 0.21, -0.1966, 0.1966]),
        (lambda x: torch.cat([x, x]).sum(), [2.0] * 4),
    ],
)
def test_gradients(function, grad):
    x = _made(requires_grad=True)
    function(x).backward()
    assert is_masked_tensor(x.grad)
    _same(x.grad, grad)


def test_gradients_reach_the_data():
    data = DATA.clone().requires_grad_()
    as_masked_tensor(data, MASK).exp().sum().backward()
    torch.testing.assert_close(data.grad, torch.where(MASK, DATA.exp(), 0.0))


def test_shapes():
    x = _made()
    assert x.shape == (2, 3) and len(x) == 2 and x.dim() == 2 and not is_masked_tensor(x.get_data())
    _same(x.t(), [1.0, 5, 3, 6])
    _same(x[:, 2], [3.0, 6])
    _same(torch.stack([x, x])[1], [1.0, 3, 5, 6])
    assert x.view(6).shape == (6,) and [p.shape for p in x.split(1)] == [(1, 3), (1, 3)]
    assert x.to_tensor(-1.0).tolist() == [[1, -1, 3], [-1, 5, 6]]
    for other in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), x.clone(), x.double().float()):
        _same(other, [1.0, 3, 5, 6])


def test_sparse_layouts():
    x = _made()
    for sparse in (x.to_sparse(), x.to_sparse_csr(), masked_tensor(DATA.to_sparse(), MASK.to_sparse())):
        assert sparse.layout in (torch.sparse_coo, torch.sparse_csr) and sparse.shape == (2, 3)
        assert sparse.sum().get_data() == 15
        assert (sparse * 2).sin().to_dense().get_mask().tolist() == MASK.tolist()


def test_refusals():
    for call, error, message in [
        (lambda: masked_tensor(DATA, MASK.float()), TypeError, r"mask must have dtype bool\."),
        (lambda: masked_tensor(DATA, MASK[0]), ValueError, r"data\.dim\(\) must equal mask\.dim\(\)"),
        (lambda: masked_tensor([1], MASK), TypeError, "data must be a Tensor"),
        (lambda: MaskedTensor(DATA + 1j, MASK), TypeError, "torch.complex64 is not supported in"),
        (lambda: masked_tensor(DATA.to_sparse(), MASK), TypeError, "must have the same layout"),
        (lambda: _made().tolist(), RuntimeError, r"\.tolist\(\) is not supported for tensor subclasses"),
    ]:
        with pytest.raises(error, match=message):
            call()
    with pytest.warns(UserWarning, match="in prototype stage"):
        _made()
