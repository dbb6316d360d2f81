"""`torch.library.opcheck`: whether an operator was registered as it behaves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .._ops import OpOverload, OpOverloadPacket
from ..testing import assert_close
from ..utils._pytree import tree_flatten, tree_map
from .overload import tensors_of

__all__ = ["OpCheckError", "opcheck"]


class OpCheckError(Exception):
    """An operator does not do what was registered for it."""


def _copied(values: Any) -> Any:
    """The same with leaves of their own."""

    def copy(v: Any) -> Any:
        return v.detach().clone().requires_grad_(v.requires_grad) if isinstance(v, fb.Tensor) else v

    return tree_map(copy, values)


def _flat(op: OpOverload, args: tuple, kwargs: dict) -> list[tuple[Any, Any]]:
    """(argument of the schema, value) of a call."""
    declared = op._schema.arguments
    given = dict(zip([a.name for a in declared], args)) | kwargs
    return [(a, given[a.name]) for a in declared if a.name in given]


def _check_schema(op: OpOverload, args: tuple, kwargs: dict, **tolerance: Any) -> None:
    args, kwargs = _copied((args, kwargs))
    with fb.no_grad():
        before = _copied((args, kwargs))
        result = op(*args, **kwargs)
    memories: set[int] = set()
    for (a, value), (_, old) in zip(_flat(op, args, kwargs), _flat(op, *before)):
        for t, o in zip(tensors_of(value), tensors_of(old)):
            memories.add(t.untyped_storage().data_ptr()) if t.numel() else None
            if not a.is_write and not fb.equal(t, o) and not (t.isnan() & o.isnan()).any():
                raise RuntimeError(f"Argument {a.name} is not defined as mutable but was mutated")
    if any(r.alias_info for r in op._schema.returns):
        return
    for t in tensors_of(result):
        if t.numel() and t.untyped_storage().data_ptr() in memories:
            raise RuntimeError("Argument and output are not defined to alias but were aliasing")


def _check_autograd(op: OpOverload, args: tuple, kwargs: dict, **tolerance: Any) -> None:
    args, kwargs = _copied((args, kwargs))
    inputs = [t for t in tree_flatten((args, kwargs))[0] if isinstance(t, fb.Tensor)]
    if not any(t.requires_grad for t in inputs) or op._schema.is_mutable:
        return
    results = tensors_of(op(*args, **kwargs))
    floating = [t for t in results if t.is_floating_point() or t.is_complex()]
    custom = getattr(op, "_gradient", None) is not None or "Autograd" in getattr(op, "_kernels", {})
    composite = "CompositeImplicitAutograd" in getattr(op, "_kernels", {})
    if floating and not any(t.requires_grad for t in floating) and not (custom or composite):
        raise OpCheckError(
            f"The operator {op} was called with inputs that require grad, but has no derivative: use"
            " torch.library.register_autograd, or call it without gradients"
        )


def _check_fake(op: OpOverload, args: tuple, kwargs: dict, **tolerance: Any) -> None:
    def without_data(v: Any) -> Any:
        return v.detach().to("meta") if isinstance(v, fb.Tensor) else v

    with fb.no_grad():
        real = op(*_copied(args), **_copied(kwargs))
        shape_only = op(*tree_map(without_data, args), **tree_map(without_data, kwargs))
    expected, found = tree_flatten(real)[0], tree_flatten(shape_only)[0]
    if len(expected) != len(found):
        raise RuntimeError(f"the fake kernel gives {len(found)} results, the real one {len(expected)}")
    for r, f in zip(expected, found):
        if not isinstance(r, fb.Tensor):
            continue
        if r.shape != f.shape:
            raise RuntimeError(f"Shapes {r.shape} and {f.shape} are not equal!")
        if r.dtype != f.dtype:
            raise RuntimeError(f"Dtypes {r.dtype} and {f.dtype} are not equal!")
        if r.numel() and r.stride() != f.stride():
            raise RuntimeError(f"Strides {r.stride()} and {f.stride()} are not equal!")


def _check_compiled(op: OpOverload, args: tuple, kwargs: dict, **tolerance: Any) -> None:
    close = {k: v for k, v in tolerance.items() if v is not None}
    outcomes = []
    for function in (op, fb.compile(lambda *a, **k: op(*a, **k))):
        a, k = _copied((args, kwargs))
        leaves = [t for t in tree_flatten((a, k))[0] if isinstance(t, fb.Tensor)]
        results = [t for t in tree_flatten(function(*a, **k))[0] if isinstance(t, fb.Tensor)]
        wanted = [t for t in leaves if t.requires_grad]
        ends = [t for t in results if t.requires_grad]
        gradients: tuple = ()
        if wanted and ends and not op._schema.is_mutable:
            total = sum((t * t.conj()).real.sum() if t.is_complex() else t.sum() for t in ends)
            gradients = fb.autograd.grad(total, wanted, allow_unused=True)
        outcomes.append((leaves, results, [g for g in gradients if g is not None]))
    for eager, compiled in zip(*outcomes):
        for e, c in zip(eager, compiled, strict=True):
            assert_close(c.detach(), e.detach(), equal_nan=True, **close)


_TESTS = {
    "test_schema": _check_schema,
    "test_autograd_registration": _check_autograd,
    "test_faketensor": _check_fake,
    "test_aot_dispatch_static": _check_compiled,
    "test_aot_dispatch_dynamic": _check_compiled,
}
_DEFAULT = ("test_schema", "test_autograd_registration", "test_faketensor", "test_aot_dispatch_dynamic")


def opcheck(
    op: Any,
    args: tuple,
    kwargs: dict | None = None,
    *,
    test_utils: str | Sequence[str] = _DEFAULT,
    raise_exception: bool = True,
    atol: float | None = None,
    rtol: float | None = None,
) -> dict[str, Any]:
    """Test whether what was registered for an operator agrees with what it does.

    Parameters
    ----------
    op : a `CustomOpDef`, an overload or an operator with one overload.
    args, kwargs : of a call to try.
    test_utils : which tests: the schema (does it write, does it alias), the derivative, the kernel for
    shapes, and
        results and gradients inside `compile`.
    raise_exception : raise at the first failure; else it stands in the result.

    Returns
    -------
    For each test ``"SUCCESS"`` or the exception.

    Raises
    ------
    OpCheckError : a test failed.
    """
    op = getattr(op, "_opoverload", op)
    if isinstance(op, OpOverloadPacket):
        op = getattr(op, op.overloads()[0])
    if not isinstance(op, OpOverload):
        raise ValueError(f"opcheck(op, ...): op must be instance of torch._ops.OpOverload, got {type(op)}")
    names = [test_utils] if isinstance(test_utils, str) else list(test_utils)
    unknown = set(names) - set(_TESTS)
    if unknown:
        raise ValueError(
            f"opcheck(op, ..., test_utils={test_utils}), expected {unknown} to be in {set(_TESTS)}"
        )
    outcome: dict[str, Any] = {}
    for name in names:
        try:
            _TESTS[name](op, args, kwargs or {}, atol=atol, rtol=rtol)
            outcome[name] = "SUCCESS"
        except Exception as error:
            if raise_exception:
                raise OpCheckError(
                    f"opcheck(op, ...): {name} failed with {error} (scroll up for stack trace)"
                ) from error
            outcome[name] = error
    return outcome
