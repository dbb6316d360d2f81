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


def _by_kind(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Tensors of one device and dtype together, as the multi-tensor kernels want them."""
    groups: dict[tuple, list[Tensor]] = {}
    for tensor in tensors:
        groups.setdefault((tensor.device, tensor.dtype), []).append(tensor)
    return list(groups.values())


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
        False takes the tensors one by one; otherwise one kernel takes all of a kind.
    """
    tensors = _listed(tensors)
    norm_type = float(norm_type)
    if not tensors:
        return fb.tensor(0.0)
    device = tensors[0].device
    norms: list[Tensor] = []
    with fb.no_grad():
        for group in _by_kind(tensors):
            if foreach is False or any(t.is_sparse for t in group):
                norms.extend(fb.linalg.vector_norm(t, norm_type) for t in group)
            else:
                norms.extend(fb._foreach_norm(group, norm_type))
        total = fb.linalg.vector_norm(fb.stack([norm.to(device) for norm in norms]), norm_type)
    if error_if_nonfinite and bool(total.isnan() | total.isinf()):
        raise RuntimeError(
            f"The total norm of order {norm_type} for gradients from "
            "`parameters` is non-finite, so it cannot be clipped. To disable "
            "this error and scale the gradients by the non-finite norm anyway, "
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
        for group in _by_kind(grads):
            local = factor.to(group[0].device)
            if foreach is False or any(g.is_sparse for g in group):
                for grad in group:
                    grad.mul_(local)
            else:
                fb._foreach_mul_(group, local)


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
def clip_grad_norm(
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
        for group in _by_kind(_grads(parameters)):
            if foreach is False:
                for grad in group:
                    grad.clamp_(min=-clip_value, max=clip_value)
            else:
                fb._foreach_clamp_min_(group, -clip_value)
                fb._foreach_clamp_max_(group, clip_value)
