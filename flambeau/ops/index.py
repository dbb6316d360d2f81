"""Finding, repeating and laying out elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .registry import _argument_check, alias, composite, core, factory, wrap_dim


@composite("adjoint(Tensor(a) self) -> Tensor(a)", method=True)
def adjoint(input: fb.Tensor) -> fb.Tensor:
    """Matrices transposed and conjugated."""
    if input.dim() == 1:
        raise RuntimeError(
            "tensor.adjoint() is only supported on matrices or batches of matrices. Got 1-D tensor."
        )
    turned = input.transpose(-2, -1) if input.dim() else input
    return turned.conj() if input.is_complex() else turned


@composite("concat(Tensor[] tensors, int dim=0) -> Tensor", out=True)
def concat(tensors: Sequence[fb.Tensor], dim: int = 0) -> fb.Tensor:
    """`cat`."""
    return fb.cat(tensors, dim)


concatenate = alias("concatenate", concat)


@composite("where(Tensor self, Tensor condition, Tensor|Scalar other) -> Tensor", function=False, method=True)
def where(input: fb.Tensor, condition: fb.Tensor, other: fb.Tensor | float) -> fb.Tensor:
    """Elements of the tensor where the condition holds, of `other` elsewhere."""
    return fb.where(condition, input, other)


@composite("nonzero(Tensor self, *, bool as_tuple=False) -> Tensor", out=True)
def nonzero(input: fb.Tensor, *, as_tuple: bool = False) -> fb.Tensor:
    """Coordinates of the elements that are not zero: rows, or with `as_tuple` one vector a dimension."""
    if as_tuple:
        return (input.unsqueeze(0) if input.dim() == 0 else input).nonzero().unbind(1)
    return input.nonzero()


def _repeated(repeats: Any, output_size: int | None) -> Any:
    """Each index as often as its number says."""
    if repeats.dim() > 1:
        raise RuntimeError("repeat_interleave only accept 1D vector as repeat")
    if repeats.dtype not in (fb.int64, fb.int32):
        raise RuntimeError("repeats has to be Long or Int tensor")
    repeats = repeats.reshape(-1)
    if repeats.numel() and int(repeats.min()) < 0:
        raise RuntimeError("repeats can not be negative")
    ends = repeats.cumsum(0)
    total = int(ends[-1]) if repeats.numel() else 0
    if output_size is not None and output_size != total:
        raise RuntimeError(
            f"repeat_interleave: allocated size does not match required size: {output_size} and {total}"
        )
    return fb.searchsorted(ends, fb.arange(total, dtype=ends.dtype, device=ends.device), right=True)


@composite(
    "repeat_interleave(Tensor self, Tensor|int repeats=None, int? dim=None, *, SymInt? output_size=None) ->"
    " Tensor",
    method=True,
)
def repeat_interleave(
    input: fb.Tensor,
    repeats: int | fb.Tensor | None = None,
    dim: int | None = None,
    *,
    output_size: int | None = None,
) -> fb.Tensor:
    """Every element along `dim` repeated, as often as `repeats` (a number, or one an element) says."""
    if repeats is None:
        return _repeated(input, output_size).to(input.dtype)
    if dim is None:
        input, dim = input.flatten(), 0
    elif input.dim() == 0:
        input = input.reshape(1)
    dim = wrap_dim(dim, input.dim())
    size = input.shape[dim]
    if isinstance(repeats, int):
        if repeats < 0:
            raise RuntimeError(f"Repeats must be non-negative, got {repeats}")
        if output_size is not None and output_size != size * repeats:
            raise RuntimeError(
                f"repeat_interleave: Invalid output_size, expected {size * repeats} but got {output_size}"
            )
        wide = input.unsqueeze(dim + 1)
        return (
            wide.expand(*input.shape[: dim + 1], repeats, *input.shape[dim + 1 :])
            .clone(memory_format=fb.contiguous_format)
            .flatten(dim, dim + 1)
        )
    if repeats.numel() == 1:
        index = fb.arange(size, device=input.device).repeat_interleave(int(repeats))
    else:
        if repeats.dim() == 1 and repeats.shape[0] != size:
            raise RuntimeError(
                "repeats must have the same size as input along dim, but got repeats.size(0) = "
                f"{repeats.shape[0]} and input.size({dim}) = {size}"
            )
        index = _repeated(repeats, output_size)
    return input.index_select(dim, index)


def _ids_of_rows(rows: Any) -> Any:
    """Numbers that order rows (m, k) as their elements do, equal for equal rows: column by column."""
    unique = core("_unique2")
    ids = fb.zeros(rows.shape[0], dtype=fb.int64, device=rows.device)
    for k in range(rows.shape[1]):
        _, column, _ = unique(rows[:, k].contiguous(), True, True, False)
        both = ids * (int(column.max()) + 1) + column
        _, ids, _ = unique(both, True, True, False)
    return ids


def _results(values: Any, inverse: Any, counts: Any, return_inverse: bool, return_counts: bool) -> Any:
    wanted = [values] + [inverse] * return_inverse + [counts] * return_counts
    return tuple(wanted) if len(wanted) > 1 else values


_UNIQUE_DIM = (
    "unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False,"
    " bool return_counts=False) -> (Tensor, Tensor, Tensor)"
)


@composite(
    "unique(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False, int?"
    " dim=None) -> Tensor",
    method=True,
    python=True,
)
def unique(
    input: fb.Tensor,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> fb.Tensor:
    """Different elements (or slices along `dim`) in ascending order; which one each is; how often each
    occurs."""
    options = {"sorted": sorted, "return_inverse": return_inverse, "return_counts": return_counts}
    if dim is None:
        return _results(*core("_unique2")(input, **options), return_inverse, return_counts)
    _argument_check(_UNIQUE_DIM, False, False)(input, dim, **options)
    input = input.detach()
    dim = wrap_dim(dim, input.dim())
    _check_slices(input, dim)
    moved = input.movedim(dim, 0)
    count = moved.shape[0]
    if count == 0:
        empty = fb.empty(0, dtype=fb.int64, device=input.device)
        return _results(input.clone(), empty, empty, return_inverse, return_counts)
    ids = _ids_of_rows(moved.reshape(count, -1))
    different = int(ids.max()) + 1
    places = fb.arange(count, device=input.device)
    # written from the back, so that the first of equal rows stays
    first = fb.empty(different, dtype=fb.int64, device=input.device).scatter_(0, ids.flip(0), places.flip(0))
    counts = fb.zeros(different, dtype=fb.int64, device=input.device).index_add_(0, ids, fb.ones_like(ids))
    return _results(input.index_select(dim, first), ids, counts, return_inverse, return_counts)


def _check_slices(input: Any, dim: int) -> None:
    """Slices without elements are neither alike nor different."""
    zeros = sum(s == 0 for s in input.shape)
    if zeros > 1:
        raise RuntimeError("Number of zero sized dimensions is more than one, so unique cannot be applied ")
    if zeros and input.shape[dim]:
        raise RuntimeError(
            "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied"
        )


@composite(
    "unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) ->"
    " Tensor",
    method=True,
    python=True,
)
def unique_consecutive(
    input: fb.Tensor, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> fb.Tensor:
    """Elements (or slices along `dim`) without those equal to their predecessor."""
    input = input.detach()
    if dim is not None:
        _check_slices(input, wrap_dim(dim, input.dim()))
    flat = input.flatten() if dim is None else input.movedim(wrap_dim(dim, input.dim()), 0)
    count = flat.shape[0]
    if count == 0:
        empty = fb.empty(0 if dim is not None else input.shape, dtype=fb.int64, device=input.device)
        return _results(
            flat.clone() if dim is None else input.clone(),
            empty,
            fb.empty(0, dtype=fb.int64),
            return_inverse,
            return_counts,
        )
    if dim is None:
        found = core("_unique_consecutive")(input, return_inverse, return_counts)
        return _results(*found, return_inverse, return_counts)
    changes = flat[1:] != flat[:-1]
    if changes.dim() > 1:
        changes = changes.flatten(1).any(1)
    starts = fb.cat([fb.ones(1, dtype=fb.bool, device=input.device), changes])
    first = starts.nonzero().flatten()
    inverse = starts.cumsum(0) - 1
    counts = fb.cat([first, fb.tensor([count], device=input.device)]).diff()
    values = flat.index_select(0, first).movedim(0, wrap_dim(dim, input.dim()))
    return _results(values, inverse, counts, return_inverse, return_counts)


@composite(
    "resize_as_(Tensor(a!) self, Tensor the_template, *, MemoryFormat? memory_format=None) -> Tensor(a!)",
    method=True,
)
def resize_as_(
    input: fb.Tensor, the_template: fb.Tensor, *, memory_format: fb.memory_format | None = None
) -> fb.Tensor:
    """`resize_` to the shape of another tensor."""
    if memory_format is None:
        return input.resize_(the_template.shape)
    if memory_format == fb.preserve_format:
        orders = {4: fb.channels_last, 5: fb.channels_last_3d}
        order = orders.get(the_template.dim(), fb.contiguous_format)
        last = the_template.is_contiguous(memory_format=order) and not the_template.is_contiguous()
        memory_format = order if last else fb.contiguous_format
    return input.resize_(the_template.shape, memory_format=memory_format)


@composite(
    "fill_diagonal_(Tensor(a!) self, Scalar fill_value, bool wrap=False) -> Tensor(a!)",
    function=False,
    method=True,
)
def fill_diagonal_(input: fb.Tensor, fill_value: int | float | complex, wrap: bool = False) -> fb.Tensor:
    """The main diagonal set to a value; with `wrap`, again below each square of a tall matrix."""
    if input.dim() < 2:
        raise RuntimeError("dimensions must larger than 1")
    if input.dim() > 2 and len(set(input.shape)) != 1:
        raise RuntimeError("all dimensions of input must be of equal length")
    step = sum(input.stride())
    size = min(input.shape)
    offset = input.storage_offset()
    input.as_strided((size,), (step,), offset).fill_(fill_value)
    rows, cols = input.shape[0], input.shape[1]
    if wrap and input.dim() == 2 and rows > cols + 1:
        start = cols + 1
        while start < rows:
            part = input.narrow(0, start, min(cols, rows - start))
            part.diagonal().fill_(fill_value)
            start += cols + 1
    return input


@factory("empty_permuted", "int[] size, int[] physical_layout")
def empty_permuted(
    size: Sequence[int], physical_layout: Sequence[int], *, dtype: fb.dtype | None = None,
    layout: fb.layout | None = None, device: fb.device | str | int | None = None, requires_grad: bool = False,
    pin_memory: bool = False,
) -> fb.Tensor:  # fmt: skip
    """An uninitialized tensor whose dimensions lie in memory in a given order, outermost first."""
    if len(size) != len(physical_layout):
        raise RuntimeError(
            "Number of dimensions in size does not match the length of the physical_layout; i.e. len(size) ="
            f" {len(size)} is not equal to len(physical_layout) = {len(physical_layout)}"
        )
    if sorted(physical_layout) != list(range(len(size))):
        for i, d in enumerate(physical_layout):
            if not 0 <= d < len(size):
                raise RuntimeError(
                    f"Dimension out of range (expected to be between 0 and {len(size) - 1}, but got {d} at"
                    f" index {i}).  NB: negative dims not currently supported; file an issue if you want it."
                )
        raise RuntimeError("Duplicate dim not allowed")
    inner = fb.empty([size[d] for d in physical_layout], dtype=dtype, device=device)
    back = [0] * len(size)
    for place, d in enumerate(physical_layout):
        back[d] = place
    result = inner.permute(back)
    return result.requires_grad_() if requires_grad else result
