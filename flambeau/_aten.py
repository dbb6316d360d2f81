"""Operators of ``torch.ops.aten`` that the core's table does not have: those of `flambeau.ops`, and some
that are
methods of tensors here."""

from __future__ import annotations

from collections.abc import Callable

import flambeau as fb

from .ops import registry

__all__ = ["python_operator"]


def _is_all_true(input: fb.Tensor) -> fb.Tensor:
    return fb.all(input)


def _copy(input: fb.Tensor, src: fb.Tensor, non_blocking: bool = False) -> fb.Tensor:
    return input.clone().copy_(src, non_blocking)


def _assert_scalar(input: float, assert_msg: str) -> None:
    if not input:
        raise RuntimeError(assert_msg)


def _pin_memory(input: fb.Tensor, device: fb.device | None = None) -> fb.Tensor:
    return input.pin_memory(device)


def _sparse_addmm(
    input: fb.Tensor, mat1: fb.Tensor, mat2: fb.Tensor, *, beta: float = 1, alpha: float = 1
) -> fb.Tensor:
    return fb.sparse.addmm(input, mat1, mat2, beta=beta, alpha=alpha)


# name -> (overload, schema, function)
_METHODS = {
    "sym_size": ("int", "aten::sym_size.int(Tensor self, int dim) -> SymInt", fb.Tensor.size),
    "sym_stride": ("int", "aten::sym_stride.int(Tensor self, int dim) -> SymInt", fb.Tensor.stride),
    "size": ("int", "aten::size.int(Tensor self, int dim) -> int", fb.Tensor.size),
    "stride": ("int", "aten::stride.int(Tensor self, int dim) -> int", fb.Tensor.stride),
    "sym_numel": ("", "aten::sym_numel(Tensor self) -> SymInt", fb.Tensor.numel),
    "numel": ("", "aten::numel(Tensor self) -> int", fb.Tensor.numel),
    "dim": ("", "aten::dim(Tensor self) -> int", fb.Tensor.dim),
    "item": ("", "aten::item(Tensor self) -> Scalar", fb.Tensor.item),
    "_local_scalar_dense": ("", "aten::_local_scalar_dense(Tensor self) -> Scalar", fb.Tensor.item),
    "is_floating_point": ("", "aten::is_floating_point(Tensor self) -> bool", fb.Tensor.is_floating_point),
    "is_complex": ("", "aten::is_complex(Tensor self) -> bool", fb.Tensor.is_complex),
    "is_same_size": ("", "aten::is_same_size(Tensor self, Tensor other) -> bool", fb.Tensor.is_same_size),
    "lift_fresh": ("", "aten::lift_fresh(Tensor(a) self) -> Tensor(a)", lambda input: input),
    "copy": ("", "aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", _copy),
    "_is_all_true": ("", "aten::_is_all_true(Tensor self) -> Tensor", _is_all_true),
    "_pin_memory": ("", "aten::_pin_memory(Tensor self, Device? device=None) -> Tensor", _pin_memory),
    "_sparse_addmm": (
        "",
        "aten::_sparse_addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) "
        "-> Tensor",
        _sparse_addmm,
    ),
    "_assert_scalar": ("", "aten::_assert_scalar(Scalar self, str assert_msg) -> ()", _assert_scalar),
}  # fmt: skip


def python_operator(name: str) -> tuple[str, str | None, Callable] | None:
    """Overload, schema and function of an operator that the core's table lacks; None where there is none."""
    if name in _METHODS:
        return _METHODS[name]
    function = registry.find(name) or registry.find(name.removesuffix("_"))
    if function is None:
        return None
    if name not in registry.OPS:
        return None
    schema = getattr(registry.OPS[name], "schema", None)
    if schema is None:
        return "", None, registry.OPS[name]
    overload = schema[: schema.index("(")].partition(".")[2]
    return overload, "aten::" + schema, registry.OPS[name]
