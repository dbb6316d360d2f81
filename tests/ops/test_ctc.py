"""CTC loss: values and gradients of PyTorch 2.13."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F

from .digest import wave, weighted

LABELS = fb.tensor([[1, 2, 2], [3, 1, 4], [2, 3, 1]])


@pytest.mark.parametrize(
    ("options", "loss", "gradient"),
    [
        ({"reduction": "none"}, [3.721543867, 3.456405119, 6.084339373], 0.5054387933),
        ({}, 1.680340033, 0.06990205779),
    ],
)
def test_values(options, loss, gradient):
    logs = wave(4, 3, 5, grad=False).log_softmax(2).requires_grad_()
    result = F.ctc_loss(logs, LABELS, (4, 4, 3), (2, 3, 3), **options)
    assert result.tolist() == pytest.approx(loss, rel=1e-8)
    result.sum().backward()
    assert weighted(logs.grad) == pytest.approx(gradient, rel=1e-6)


def test_impossible_alignment_is_infinite_or_zero():
    logs = wave(2, 1, 5, grad=False).log_softmax(2).requires_grad_()
    labels = fb.tensor([[1, 1]])  # equal neighbours need a blank between them
    assert F.ctc_loss(logs, labels, (2,), (2,), reduction="sum").item() == float("inf")
    loss = F.ctc_loss(logs, labels, (2,), (2,), reduction="sum", zero_infinity=True)
    loss.backward()
    assert loss.item() == 0
    assert logs.grad.abs().sum().item() == 0


def test_lengths_are_checked():
    logs = wave(4, 2, 3, grad=False)
    with pytest.raises(RuntimeError, match="Expected input_lengths to have value at most 4, but got value 5"):
        F.ctc_loss(logs, fb.ones(2, 2).long(), (4, 5), (2, 2))
    with pytest.raises(RuntimeError, match="blank must be in label range"):
        F.ctc_loss(logs, fb.ones(2, 2).long(), (4, 4), (2, 2), blank=7)
