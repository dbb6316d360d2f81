"""`export`: a module is run on examples, and what the core recorded becomes a graph of ``torch.ops.aten``."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import flambeau as fb
from flambeau.utils._pytree import register_dataclass

from . import decomp_utils  # noqa: F401 (programs get `run_decompositions` from it)
from ._builder import Builder, marked_modules
from .dynamic_shapes import AdditionalInputs, ShapesCollection, error
from .exported_program import ExportedProgram

__all__ = ["export", "register_dataclass"]


def export(
    mod: fb.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Mapping[str, Any] | tuple | list | ShapesCollection | AdditionalInputs | None = None,
    strict: bool = False,
    preserve_module_call_signature: tuple[str, ...] = (),
    prefer_deferred_runtime_asserts_over_guards: bool = False,
) -> ExportedProgram:
    """Record a module as a graph of operators.

    Parameters
    ----------
    mod : what is recorded; its Python runs on the arguments, a few times if sizes are dynamic.
    args, kwargs : examples of the arguments.
    dynamic_shapes : for each parameter of `forward`, the dimensions whose sizes may change: `Dim` or a hint.
    strict, prefer_deferred_runtime_asserts_over_guards : accepted; there is one way of recording.

    Raises
    ------
    UserError
        The program does other things for other sizes, or for other values of tensors.
    """
    return exported(mod, args, kwargs, dynamic_shapes, preserve_module_call_signature)


def exported(
    mod: fb.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None,
    dynamic_shapes: Any,
    preserve_module_call_signature: tuple[str, ...],
    assumed: list[str] | None = None,
) -> ExportedProgram:
    """`export`; `assumed` takes what values of tensors decided, which is an error otherwise."""
    if not isinstance(mod, fb.nn.Module):
        raise ValueError(f"Expected `mod` to be an instance of `torch.nn.Module`, got {type(mod)}.")
    if not isinstance(args, tuple):
        raise error(f"Expecting `args` to be a tuple of example positional inputs, got {type(args)}")
    for name in preserve_module_call_signature:
        functools.reduce(getattr, name.split("."), mod)  # says which one is not there
    if isinstance(dynamic_shapes, (AdditionalInputs, ShapesCollection)):
        dynamic_shapes = dynamic_shapes.dynamic_shapes(mod, args, kwargs)
    kept = frozenset(preserve_module_call_signature)
    marked = functools.partial(marked_modules, kept=kept) if kept else None
    return Builder(mod, args, dict(kwargs or {}), dynamic_shapes, marked).build(assumed)
