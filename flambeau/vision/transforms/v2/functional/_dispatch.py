"""Which kernel a function of this package runs for which kind of input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil

PIL_IMAGE = "PIL.Image.Image"
PICTURES: tuple[Any, ...] = (PIL_IMAGE, fb.Tensor, tv_tensors.Image, tv_tensors.Video)
TENSOR_PICTURES = PICTURES[1:]
_BUILTIN = (
    tv_tensors.Image,
    tv_tensors.Video,
    tv_tensors.Mask,
    tv_tensors.BoundingBoxes,
    tv_tensors.KeyPoints,
)
_kernels: dict[Callable, dict[Any, Callable]] = {}


def on_pictures(functional: Callable, kernel: Callable, kinds: tuple[Any, ...] = PICTURES) -> None:
    """Have `functional` run `kernel`, which takes plain tensors (or Pillow images), for these kinds."""
    table = _kernels.setdefault(functional, {})
    for kind in kinds:
        wrapped = isinstance(kind, type) and issubclass(kind, tv_tensors.TVTensor)
        table[kind] = _rewrapping(kernel) if wrapped else kernel


def on_kind(functional: Callable, kernel: Callable, kind: type) -> None:
    """Have `functional` run `kernel`, which takes and gives that kind itself."""
    _kernels.setdefault(functional, {})[kind] = kernel


def _rewrapping(kernel: Callable) -> Callable:
    def run(inpt: tv_tensors.TVTensor, *args: Any, **kwargs: Any) -> Any:
        output = kernel(inpt.as_subclass(fb.Tensor), *args, **kwargs)
        if isinstance(output, tuple):
            return tuple(tv_tensors.wrap(part, like=inpt) for part in output)
        return tv_tensors.wrap(output, like=inpt)

    return run


def kernel_for(functional: Callable, inpt: Any) -> Callable | None:
    """The kernel, if there is one for this kind of input."""
    table = _kernels.get(functional, {})
    if is_pil(inpt):
        return table.get(PIL_IMAGE)
    for kind in type(inpt).__mro__:
        if kind in table:
            return table[kind]
        if kind is tv_tensors.TVTensor:  # what is known to be something else is not treated as a picture
            return None
    return None


def dispatch(functional: Callable, inpt: Any, *args: Any, **kwargs: Any) -> Any:
    """Run the kernel for this input."""
    kernel = kernel_for(functional, inpt)
    if kernel is None:
        known = [
            kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__name__}"
            for kind in _kernels[functional]
        ]
        raise TypeError(
            f"Functional F.{functional.__name__} supports inputs of type {known}, but got {type(inpt)} "
            "instead."
        )
    return kernel(inpt, *args, **kwargs)


def register_kernel(functional: Callable | str, tv_tensor_cls: type) -> Callable[[Callable], Callable]:
    """A decorator: the function below is what `functional` runs for inputs of your own kind of tensor."""
    if isinstance(functional, str):
        named = {known.__name__: known for known in _kernels}
        if functional not in named:
            raise ValueError(
                f"Could not find functional with name '{functional}' in torchvision.transforms.v2.functional."
            )
        functional = named[functional]
    elif functional not in _kernels:
        raise ValueError(
            "Kernels can only be registered on functionals from the torchvision.transforms.v2.functional "
            f"namespace, but got {functional}."
        )
    if not (isinstance(tv_tensor_cls, type) and issubclass(tv_tensor_cls, tv_tensors.TVTensor)):
        raise ValueError(
            f"Kernels can only be registered for subclasses of torchvision.tv_tensors.TVTensor, but got "
            f"{tv_tensor_cls}."
        )
    if tv_tensor_cls in _BUILTIN:
        raise ValueError(f"Kernels cannot be registered for the builtin tv_tensors, but got {tv_tensor_cls}")

    def register(kernel: Callable) -> Callable:
        on_kind(functional, kernel, tv_tensor_cls)
        return kernel

    return register
