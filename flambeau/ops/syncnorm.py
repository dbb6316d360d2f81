"""The steps of batch normalisation over several processes: statistics, their gathering, and both directions.

A step at a time, as synchronised batch normalisation needs them (Ioffe and Szegedy 2015); on every device.
"""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .registry import composite


def _channels(x: Any) -> list[int]:
    """The dimensions that are not that of the channels."""
    return [d for d in range(x.dim()) if d != 1]


def _wide(v: Any, like: Any) -> Any:
    return v.reshape(1, -1, *(1,) * (like.dim() - 2))


@composite("batch_norm_stats(Tensor input, float eps) -> (Tensor, Tensor)")
def batch_norm_stats(input: fb.Tensor, eps: float) -> tuple:
    """The mean of every channel and the inverse of its standard deviation."""
    wide = input.to(fb.promote_types(input.dtype, fb.float32))
    variance, mean = fb.var_mean(wide, _channels(input), correction=0)
    return mean, (variance + eps).rsqrt()


@composite(
    "batch_norm_elemt(Tensor input, Tensor? weight, Tensor? bias, Tensor mean, Tensor invstd, float"
    " eps) -> Tensor",
    out=True,
)
def batch_norm_elemt(
    input: fb.Tensor, weight: Any, bias: Any, mean: fb.Tensor, invstd: fb.Tensor, eps: float
) -> fb.Tensor:
    """Normalise with given statistics."""
    made = (input - _wide(mean, input)) * _wide(invstd, input)
    made = made if weight is None else made * _wide(weight, input)
    made = made if bias is None else made + _wide(bias, input)
    return made.to(input.dtype)


@composite(
    "batch_norm_gather_stats_with_counts(Tensor input, Tensor mean, Tensor invstd, Tensor? running_mean, "
    "Tensor? running_var, float momentum, float eps, Tensor counts) -> (Tensor, Tensor)"
)
def batch_norm_gather_stats_with_counts(
    input: fb.Tensor, mean: fb.Tensor, invstd: fb.Tensor, running_mean: Any, running_var: Any,
    momentum: float, eps: float, counts: fb.Tensor,
) -> tuple:  # fmt: skip
    """The statistics of all processes from those of each (processes, channels); updates the running ones."""
    counts = counts.to(mean.dtype).reshape(-1, 1)
    total = counts.sum()
    joint = (mean * counts).sum(0) / total
    squares = (invstd.square().reciprocal() - eps + (mean - joint).square()) * counts
    variance = squares.sum(0) / total
    with fb.no_grad():
        if running_mean is not None:
            running_mean.mul_(1 - momentum).add_(joint.to(running_mean.dtype), alpha=momentum)
        if running_var is not None:
            unbiased = squares.sum(0) / (total - 1)
            running_var.mul_(1 - momentum).add_(unbiased.to(running_var.dtype), alpha=momentum)
    return joint, (variance + eps).rsqrt()


@composite(
    "batch_norm_gather_stats(Tensor input, Tensor mean, Tensor invstd, Tensor? running_mean, "
    "Tensor? running_var, float momentum, float eps, int count) -> (Tensor, Tensor)"
)
def batch_norm_gather_stats(
    input: fb.Tensor, mean: fb.Tensor, invstd: fb.Tensor, running_mean: Any, running_var: Any,
    momentum: float, eps: float, count: int,
) -> tuple:  # fmt: skip
    """`batch_norm_gather_stats_with_counts` where all processes have as many elements."""
    counts = fb.full((mean.shape[0],), count, dtype=mean.dtype, device=mean.device)
    rest = (running_mean, running_var, momentum, eps, counts)
    return batch_norm_gather_stats_with_counts(input, mean, invstd, *rest)


@composite(
    "batch_norm_backward_reduce(Tensor grad_out, Tensor input, Tensor mean, Tensor invstd, Tensor? weight, "
    "bool input_g, bool weight_g, bool bias_g) -> (Tensor, Tensor, Tensor, Tensor)"
)
def batch_norm_backward_reduce(
    grad_out: fb.Tensor, input: fb.Tensor, mean: fb.Tensor, invstd: fb.Tensor, weight: Any,
    input_g: bool, weight_g: bool, bias_g: bool,
) -> tuple:  # fmt: skip
    """The sums that gradients need: of `grad_out`, of it times the centred input; for weight and bias."""
    dims = _channels(input)
    total = grad_out.sum(dims)
    product = (grad_out * (input - _wide(mean, input))).sum(dims)
    return (
        total if input_g else None,
        product if input_g else None,
        product * invstd if weight_g else None,
        total.clone() if bias_g else None,
    )


@composite(
    "batch_norm_backward_elemt(Tensor grad_out, Tensor input, Tensor mean, Tensor invstd, Tensor? weight, "
    "Tensor sum_dy, Tensor sum_dy_xmu, Tensor count) -> Tensor"
)
def batch_norm_backward_elemt(
    grad_out: fb.Tensor, input: fb.Tensor, mean: fb.Tensor, invstd: fb.Tensor, weight: Any,
    sum_dy: fb.Tensor, sum_dy_xmu: fb.Tensor, count: fb.Tensor,
) -> fb.Tensor:  # fmt: skip
    """The gradient of the input from those sums over all processes, `count` elements a channel."""
    total = count.sum()
    centred = input - _wide(mean, input)
    inner = grad_out - _wide(sum_dy / total, input)
    inner = inner - centred * _wide(invstd.square() * sum_dy_xmu / total, input)
    scale = invstd if weight is None else invstd * weight
    return (inner * _wide(scale, input)).to(input.dtype)
