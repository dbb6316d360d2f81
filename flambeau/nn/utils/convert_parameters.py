"""All parameters as one vector, and back."""

from collections.abc import Iterable

import flambeau as fb
from flambeau import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _check_device(param: Tensor, expected: fb.device | None) -> fb.device:
    if expected is not None and param.device != expected:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
    return param.device


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """The elements of all parameters in a row."""
    device, pieces = None, []
    for param in parameters:
        device = _check_device(param, device)
        pieces.append(param.view(-1))
    return fb.cat(pieces)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Let the data of `parameters` be the pieces of `vec`, which is not copied."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {fb.typename(vec)}")
    device, start = None, 0
    for param in parameters:
        device = _check_device(param, device)
        end = start + param.numel()
        param.data = vec[start:end].view_as(param).data
        start = end
