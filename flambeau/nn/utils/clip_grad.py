"""Limits for gradients."""

import functools
import warnings
from collections.abc import Iterable

import flambeau as fb
from flambeau import Tensor

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _grads(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """The norm of all tensors as if they were one vector.

    Parameters
    ----------
    tensors : Tensor or iterable of Tensor
    norm_type : float
        ``inf`` for the largest element.
    error_if_nonfinite : bool
        Raise where it is inf or nan.
    foreach : bool, optional
        Accepted; the tensors are taken one by one, which costs little here.
    """
    tensors = _listed(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return fb.tensor(0.0)
    device = tensors[0].device
    with fb.no_grad():
        norms = [fb.linalg.vector_norm(tensor, norm_type).to(device) for tensor in tensors]
        total = fb.linalg.vector_norm(fb.stack(norms), norm_type)
    if error_if_nonfinite and bool(total.isnan() | total.isinf()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scale gradients by ``max_norm / total_norm`` where that is below one, in place."""
    grads = _grads(parameters)
    if not grads:
        return
    with fb.no_grad():
        # a product with 1 costs less than waiting for the comparison
        factor = fb.clamp(float(max_norm) / (total_norm + 1e-6), max=1.0)
        for grad in grads:
            grad.mul_(factor.to(grad.device))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    """Scale the gradients of `parameters`, in place, so that their total norm is at most `max_norm`.

    Returns
    -------
    the norm before
    """
    if not isinstance(parameters, Tensor):
        parameters = list(parameters)
    total = get_total_norm(_grads(parameters), norm_type, error_if_nonfinite, foreach)
    clip_grads_with_norm_(parameters, max_norm, total, foreach)
    return total


@functools.wraps(clip_grad_norm_)
def clip_grad_norm(  # noqa: D103  (its docstring is that of the function it wraps)
    parameters: Tensor | Iterable[Tensor], max_norm: float, norm_type: float = 2.0,
    error_if_nonfinite: bool = False, foreach: bool | None = None,
) -> Tensor:  # fmt: skip
    warnings.warn(
        "`torch.nn.utils.clip_grad_norm` is now deprecated in favor of `torch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limit every element of the gradients to ``[-clip_value, clip_value]``, in place."""
    clip_value = float(clip_value)
    with fb.no_grad():
        grads = _grads(parameters)
        if not grads:  # what PyTorch says where it groups no gradients at all
            raise RuntimeError(
                "Expected !nested_tensorlist[0].empty() to be true, but got false.  (Could this error "
                "message be improved?  If so, please report an enhancement request to PyTorch.)"
            )
        for grad in grads:
            grad.clamp_(min=-clip_value, max=clip_value)
