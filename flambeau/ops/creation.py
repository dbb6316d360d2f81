"""Sequences and index grids."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .._basics import checked
from .registry import core, factory, refuse_float8, write


def _number(x: Any, name: str, which: str) -> Any:
    """A number from a number or a tensor with no dimensions."""
    if not isinstance(x, fb.Tensor):
        return x
    if x.dim() != 0:
        raise RuntimeError(
            f"{name} only supports 0-dimensional start and end tensors, but got {which} with {x.dim()}"
            " dimension(s)."
        )
    return x if fb.overrides.has_torch_function_unary(x) else x.item()


def _finish(result: fb.Tensor, out: fb.Tensor | None, requires_grad: bool) -> fb.Tensor:
    if out is not None:
        return write(out, result)
    return result.requires_grad_() if requires_grad else result


@factory("logspace", "Scalar start, Scalar end, int steps, float base=10.0", out=True)
def logspace(
    start: float | fb.Tensor, end: float | fb.Tensor, steps: int, base: float = 10.0, *,
    out: fb.Tensor | None = None, dtype: fb.dtype | None = None, layout: fb.layout | None = None,
    device: fb.device | str | int | None = None, pin_memory: bool = False, requires_grad: bool = False,
) -> fb.Tensor:  # fmt: skip
    """`steps` powers of `base` from ``base**start`` to ``base**end`` with equal ratios."""
    if steps < 0:
        raise RuntimeError("number of steps must be non-negative")
    start, end = _number(start, "logspace", "start"), _number(end, "logspace", "end")
    if dtype is None:
        dtype = out.dtype if out is not None else fb.get_default_dtype()
        if isinstance(start, complex) or isinstance(end, complex):
            dtype = dtype if dtype.is_complex else dtype.to_complex()
    refuse_float8("logspace_cpu", dtype)
    if dtype.is_complex:
        work = fb.complex128
    else:
        work = fb.float64
        if not dtype.is_floating_point:
            start, end = (x.trunc() if isinstance(x, fb.Tensor) else int(x) for x in (start, end))
    exponents = fb.linspace(start, end, steps, dtype=work, device=device)
    return _finish(fb.pow(base, exponents).to(dtype), out, requires_grad)


@factory("range", "Scalar start, Scalar end, Scalar step=1", out=True)
def range(
    start: float = 0, end: float | None = None, step: float = 1, *, out: fb.Tensor | None = None,
    dtype: fb.dtype | None = None, layout: fb.layout | None = None,
    device: fb.device | str | int | None = None, pin_memory: bool = False, requires_grad: bool = False,
) -> fb.Tensor:  # fmt: skip
    """Numbers from `start` to `end`, both included (deprecated: `arange`)."""
    import warnings

    warnings.warn(
        "torch.range is deprecated and will be removed in a future release because its behavior is"
        " inconsistent with Python's range builtin. Instead, use torch.arange, which produces values in"
        " [start, end).",
        stacklevel=2,
    )
    if step == 0:
        raise RuntimeError("step must be nonzero")
    if (step > 0 and end < start) or (step < 0 and end > start):
        raise RuntimeError("upper bound and lower bound inconsistent with step sign")
    dtype = dtype or (out.dtype if out is not None else fb.get_default_dtype())
    count = int((end - start) / step) + 1
    result = (fb.arange(count, dtype=fb.float64, device=device) * step + start).to(dtype)
    return _finish(result, out, requires_grad)


_TRIANGLE = (
    "{}_indices(int row, int col, int offset=0, *, ScalarType? dtype=None, Device? device=None,"
    " Layout? layout=None, bool pin_memory=False) -> Tensor"
)


def _triangle(
    name: str,
    row: int,
    col: int,
    dtype: fb.dtype | None,
    layout: fb.layout | None,
    device: fb.device | str | int | None,
    offset: int,
    upper: bool,
) -> fb.Tensor:
    if row < 0 or col < 0:
        which = "row" if row < 0 else "col"
        raise RuntimeError(f"{which} must be non-negative, got{row if row < 0 else col}")
    if layout is not None and layout is not fb.strided:
        raise RuntimeError(f"only support layout=torch.strided, got{layout}")
    refuse_float8(f"{name}", dtype or fb.int64)
    indices = core("_triangle_indices")(row, col, offset, upper).to(dtype or fb.int64)
    return indices.to(fb.get_default_device() if device is None else device)


@checked(_TRIANGLE.format("tril"))
def tril_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: fb.dtype | None = None,
    device: fb.device | str | int | None = None,
    layout: fb.layout | None = None,
    pin_memory: bool = False,
) -> fb.Tensor:
    """Rows and columns (2, n) of the elements on and below a diagonal."""
    return _triangle("tril_indices", row, col, dtype, layout, device, offset, False)


@checked(_TRIANGLE.format("triu"))
def triu_indices(
    row: int,
    col: int,
    offset: int = 0,
    *,
    dtype: fb.dtype | None = None,
    device: fb.device | str | int | None = None,
    layout: fb.layout | None = None,
    pin_memory: bool = False,
) -> fb.Tensor:
    """Rows and columns (2, n) of the elements on and above a diagonal."""
    return _triangle("triu_indices", row, col, dtype, layout, device, offset, True)
