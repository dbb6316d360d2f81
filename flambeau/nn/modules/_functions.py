"""Derivatives written by hand."""

from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.autograd import Function
from flambeau.autograd.function import once_differentiable


def _sum_of_channels(values: Tensor, before: int, after: int) -> Tensor:
    """For each channel of (N, C, H, W) the sum of it, `before` channels before it and `after` after it."""
    padded = fb.cat([values.new_zeros((values.size(0), 1, *values.shape[2:])), values], dim=1).cumsum(1)
    last = values.size(1)
    channels = fb.arange(last)
    upto = padded[:, (channels + after + 1).clamp(max=last)]
    return upto - padded[:, (channels - before).clamp(min=0)]


class CrossMapLRN2d(Function):
    """Local response normalisation with the windows of torch's legacy layer, forward and backward.

    Both differ from the definition: the running sum of the forward never lets go of the first channel, and
    the
    windows of the backward are shifted.  Checkpoints were trained with them.
    """

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1
    ) -> Tensor:
        """Normalise (N, C, H, W)."""
        if input.dim() != 4:
            raise ValueError(f"CrossMapLRN2d: Expected input to be 4D, got {input.dim()}D instead.")
        reach = (size - 1) // 2
        square = input * input
        total = _sum_of_channels(square, reach, reach)
        total[:, reach + 1 :] += square[:, :1]
        scale = total * (alpha / size) + k
        output = input * scale.pow(-beta)
        ctx.save_for_backward(input, output, scale)
        ctx.settings = size, alpha, beta
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor) -> tuple[Tensor | None, ...]:
        """The gradient of the input."""
        input, output, scale = ctx.saved_tensors
        size, alpha, beta = ctx.settings
        before = (size + 1) // 2 if size % 2 else size // 2
        ratio = _sum_of_channels(grad_output * output / scale, before, size - 1 - before)
        grad = grad_output * scale.pow(-beta) - input * ratio * (2 * alpha * beta / size)
        return grad, None, None, None, None
