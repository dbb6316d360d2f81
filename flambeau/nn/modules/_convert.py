"""Moving the tensors of a module to another device, dtype or memory format."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.nn.parameter import Parameter

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

_TO_FORMS = "".join(
    f" * ({first}, bool non_blocking = False, bool copy = False, *, torch.memory_format memory_format = "
    "None)\n"
    for first in (
        "torch.device device = None, torch.dtype dtype = None",
        "torch.dtype dtype",
        "Tensor tensor",
    )
)


def parse_to(args: tuple, kwargs: dict) -> tuple:
    """Read the arguments of ``Module.to``: device, dtype, non_blocking, memory_format."""
    first = args[0] if args else kwargs.get("tensor", kwargs.get("dtype"))
    if isinstance(first, fb.Tensor):
        names = ("tensor", "non_blocking")
    elif isinstance(first, fb.dtype) and "device" not in kwargs:
        names = ("dtype", "non_blocking")
    else:
        names = ("device", "dtype", "non_blocking")
    given = dict(zip(names, args, strict=False))
    kinds = {
        "tensor": fb.Tensor,
        "dtype": (fb.dtype, type(None)),
        "device": (fb.device, str, int, type(None)),
        "non_blocking": bool,
        "memory_format": (fb.memory_format, type(None)),
    }
    if isinstance(kwargs.get("copy"), bool):
        raise RuntimeError(".to() does not accept copy argument")
    fits = len(args) <= len(names) and not set(given) & set(kwargs)
    given.update(kwargs)
    fits = fits and all(k in (*names, "memory_format") and isinstance(v, kinds[k]) for k, v in given.items())
    if not fits:
        got = [type_name(a) for a in args] + [f"{k}={type_name(v)}" for k, v in kwargs.items()]
        shown = ", ".join(got) + (", " if kwargs else "")
        raise TypeError(
            f"to() received an invalid combination of arguments - got ({shown}), but expected one "
            f"of:\n{_TO_FORMS}"
        )
    like = given.get("tensor")
    device = given.get("device") if like is None else like.device
    if device is not None and not isinstance(device, fb.device):
        device = fb.device(device)
    dtype = given.get("dtype") if like is None else like.dtype
    return device, dtype, given.get("non_blocking", False), given.get("memory_format")


def type_name(value: Any) -> str:
    """How argument errors name the type of `value`."""
    return {fb.dtype: "torch.dtype", fb.device: "torch.device"}.get(type(value), type(value).__name__)


def converter(args: tuple, kwargs: dict) -> Callable:
    """The function that ``Module.to`` runs on every tensor."""
    device, dtype, non_blocking, memory_format = parse_to(args, kwargs)
    if dtype is not None:
        if not (dtype.is_floating_point or dtype.is_complex):
            raise TypeError(
                f"nn.Module.to only accepts floating point or complex dtypes, but got desired dtype={dtype}"
            )
        if dtype.is_complex:
            warnings.warn(
                "Complex modules are a new feature under active development whose design may change, and "
                "some modules might not work as expected when using complex tensors as parameters or "
                "buffers. Please file an issue at "
                "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml if a complex module "
                "does not work as expected.",
                stacklevel=3,
            )

    def convert(tensor: fb.Tensor) -> fb.Tensor:
        kind = dtype if tensor.is_floating_point() or tensor.is_complex() else None
        options = {}
        if memory_format is not None and tensor.dim() in (4, 5):
            options["memory_format"] = memory_format
        try:
            return tensor.to(device, kind, non_blocking, **options)
        except NotImplementedError as error:
            if str(error) != "Cannot copy out of meta tensor; no data!":
                raise
            raise NotImplementedError(
                f"{error} Please use torch.nn.Module.to_empty() instead of torch.nn.Module.to() "
                "when moving module from meta to a different device."
            ) from None

    return convert


# set by `flambeau.__future__`
overwrite_parameters = False
swap_parameters = False


def _swapped(module: Module, name: str, param: Parameter, changed: fb.Tensor, fn: Callable) -> None:
    """Exchange the contents of a parameter and of a new one that has what `fn` gave."""
    grad = param.grad
    param.grad = None
    new = Parameter(changed, param.requires_grad)
    try:
        fb.utils.swap_tensors(param, new)
    except Exception as problem:
        param.grad = grad
        raise RuntimeError(f"_apply(): Couldn't swap {type(module).__name__}.{name}") from problem
    if grad is not None:
        with fb.no_grad():
            param.grad = fn(grad).requires_grad_(grad.requires_grad)


def apply_to_tensors(module: Module, fn: Callable, recurse: bool = True) -> Module:
    """Replace every tensor of `module` by ``fn`` of it; parameters stay the same objects where they can."""
    if recurse:
        for child in module.children():
            child._apply(fn)
    for name, param in module._parameters.items():
        if param is None:
            continue
        with fb.no_grad():
            changed = fn(param)
        if swap_parameters:
            _swapped(module, name, param, changed, fn)
            continue
        if _may_share_object(param, changed) and not overwrite_parameters:
            param.data = changed
            kept = param
        else:
            kept = Parameter(changed, param.requires_grad)
            module._parameters[name] = kept
        grad = param.grad
        if grad is not None:
            with fb.no_grad():
                changed = fn(grad)
            if kept is param and _may_share_object(grad, changed):
                grad.data = changed
            else:
                kept.grad = changed.requires_grad_(grad.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = fn(buffer)
    return module


def _may_share_object(old: fb.Tensor, new: fb.Tensor) -> bool:
    """Whether ``old.data = new`` is possible: both hold data (or neither), in the same layout."""
    return old.is_meta == new.is_meta and old.layout == new.layout
