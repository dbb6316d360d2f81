"""Batches of tensors of different sizes: ``torch.nested``.

Layout strided holds components that differ in any size; layout jagged those that differ in one, with the
operators that networks use and gradients throughout.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

from . import rules as _rules  # noqa: F401 - what operators do with layout jagged
from .jagged import from_parts
from .strided import from_components

__all__ = [
    "to_padded_tensor", "as_nested_tensor", "nested_tensor", "nested_tensor_from_jagged", "narrow",
    "masked_select",
]  # fmt: skip


def to_padded_tensor(input: Any, padding: float, output_size: Sequence[int] | None = None) -> Any:
    """A strided tensor of a nested one, shorter components filled up with `padding`."""
    return input.to_padded_tensor(padding, output_size)


def _check_layout(layout: Any) -> Any:
    layout = fb.strided if layout is None else layout
    if layout not in (fb.strided, fb.jagged):
        raise RuntimeError(f"Specified layout is unsupported for nested tensors: {layout}")
    return layout


def _from_list(tensors: Sequence, layout: Any) -> Any:
    if layout == fb.strided:
        return from_components(list(tensors))
    return _jagged_from_list(list(tensors))


def _jagged_from_list(tensors: list) -> Any:
    if not tensors:
        raise RuntimeError("Cannot construct a nested tensor from an empty tensor list")
    first = tensors[0]
    for what, values in (
        ("dtype", {t.dtype for t in tensors}),
        ("device", {t.device for t in tensors}),
        ("dim", {t.dim() for t in tensors}),
    ):
        if len(values) != 1:
            raise RuntimeError(
                f"When constructing a nested tensor, all tensors in list must have the same {what}"
            )
    if first.dim() == 0:
        raise RuntimeError("Cannot construct a nested tensor from a list of zero-dim tensors")
    differing = [d for d in range(first.dim()) if len({t.shape[d] for t in tensors}) > 1]
    if len(differing) > 1:
        raise RuntimeError(
            "Cannot represent given tensor list as a nested tensor with the jagged layout. Note that"
            " the jagged"
            " layout only allows for a single ragged dimension. For example: (B, *, D_0, D_1, ..., D_N), with"
            " ragged * dim."
        )
    ragged = differing[0] if differing else 0
    lengths = [t.shape[ragged] for t in tensors]
    offsets = fb.tensor([0, *lengths], dtype=fb.int64).cumsum(0).to(first.device)
    return from_parts(fb.cat(tensors, ragged), offsets, None, ragged + 1, (min(lengths), max(lengths)))


def nested_tensor(
    tensor_list: Sequence, *, dtype: Any = None, layout: Any = None, device: Any = None,
    requires_grad: bool = False, pin_memory: bool = False,
) -> Any:  # fmt: skip
    """A nested tensor, a leaf of the graph, of copies of tensors (or lists of numbers)."""
    layout = _check_layout(layout)
    if not isinstance(tensor_list, (list, tuple)):
        kinds = "List[Tensor] and List[List...[Scalar]]"
        raise TypeError(f"Only lists ({kinds}) are accepted in nested_tensor")
    tensors = [
        (t.detach() if isinstance(t, fb.Tensor) else fb.tensor(t)).to(device=device, dtype=dtype)
        for t in tensor_list
    ]
    made = _from_list(tensors, layout)
    if len(tensors) == 1 and layout == fb.jagged:
        made = made.clone()  # joining one tensor is not a copy
    return made.requires_grad_(requires_grad) if requires_grad else made


def as_nested_tensor(ts: Any, dtype: Any = None, device: Any = None, layout: Any = None) -> Any:
    """A nested tensor of tensors, connected to their graph; a strided tensor gives its first dimension.

    Raises
    ------
    TypeError : `ts` is neither a tensor nor a list or tuple of tensors.
    RuntimeError : `ts` is nested with another layout.
    """
    is_list = isinstance(ts, (list, tuple)) and all(isinstance(t, fb.Tensor) for t in ts)
    if not is_list and not isinstance(ts, fb.Tensor):
        raise TypeError(
            "as_nested_tensor(): Expected first argument to be a tensor or a list / tuple of tensors "
        )
    layout = _check_layout(layout)
    if is_list:
        return _from_list([t.to(device=device, dtype=dtype) for t in ts], layout)
    if ts.dim() <= 1:
        raise RuntimeError("as_nested_tensor(): Expected tensor argument to have dim() > 1")
    if ts.is_nested:
        if ts.layout != layout:
            raise RuntimeError(
                "as_nested_tensor(): Converting between nested tensor layouts is not supported"
            )
        return ts.to(device=device, dtype=dtype)
    ts = ts.to(device=device, dtype=dtype)
    if layout == fb.strided:
        return _from_list(ts.unbind(), layout)
    count, length = ts.shape[:2]
    offsets = (
        fb.arange(0, (count + 1) * length, length, device=ts.device)
        if length
        else fb.zeros(count + 1, dtype=fb.int64, device=ts.device)
    )
    return from_parts(ts.flatten(0, 1), offsets, None, 1, (length, length))


def nested_tensor_from_jagged(
    values: Any, offsets: Any = None, lengths: Any = None, jagged_dim: int | None = None,
    min_seqlen: int | None = None, max_seqlen: int | None = None,
) -> Any:  # fmt: skip
    """A nested tensor that looks at `values`; components start at `offsets` (n + 1) and have `lengths` (n).

    Parameters
    ----------
    jagged_dim : the ragged dimension of the result, at least 1 (default).
    min_seqlen, max_seqlen : the bounds of the lengths, where they are known.
    """
    if offsets is None:
        if lengths is None:
            raise RuntimeError("nested_tensor_from_jagged(): At least one of offsets or lengths is required.")
        offsets = fb.cat([lengths.new_zeros(1), lengths.cumsum(0)])
        lengths = None
    if not isinstance(offsets, fb.Tensor):
        raise TypeError(
            "_nested_view_from_jagged(): argument 'offsets' (position 2) must be Tensor, not "
            f"{type(offsets).__name__}"
        )
    bounds = None if min_seqlen is None or max_seqlen is None else (min_seqlen, max_seqlen)
    return from_parts(values, offsets, lengths, 1 if jagged_dim is None else jagged_dim, bounds)


def narrow(tensor: Any, dim: int, start: Any, length: Any, layout: Any = fb.strided) -> Any:
    """The parts `start` to ``start + length`` of each row of a strided tensor: a nested view.

    `start` and `length` are numbers, or tensors with one for each row (layout jagged, dimension 1).
    """
    if layout == fb.strided:
        if isinstance(start, fb.Tensor) or isinstance(length, fb.Tensor):
            raise RuntimeError("start and length must be integers for the strided layout NT impl")
        return from_components([t.narrow(dim - 1, start, length) for t in tensor.unbind()])
    if layout != fb.jagged:
        raise RuntimeError(f"Specified layout is unsupported for nested narrow: {layout}")
    if dim != 1:
        raise RuntimeError("jagged layout only supports dim=1")
    count, rows = tensor.shape[:2]
    at = {"dtype": fb.int64, "device": tensor.device}
    starts = start if isinstance(start, fb.Tensor) else fb.full((count,), start, **at)
    lengths = length if isinstance(length, fb.Tensor) else fb.full((count,), length, **at)
    first = fb.arange(count, device=tensor.device) * rows + starts
    # what follows the last component does not belong to it: views end there
    offsets = fb.cat([first, (first[-1] + lengths[-1]).unsqueeze(0)])
    values = tensor.flatten(0, 1)[: int(offsets[-1])]
    if bool((offsets.diff() == lengths).all()):
        return from_parts(values, offsets)
    return from_parts(values, offsets, lengths)


def masked_select(tensor: Any, mask: Any) -> Any:
    """The elements of a strided tensor where `mask` holds, a component for each row (layout jagged)."""
    if tensor.layout != fb.strided:
        raise RuntimeError(f"torch.nested.masked_select requires a strided tensor, given {tensor.layout}")
    if mask.layout != fb.strided:
        raise RuntimeError(f"torch.nested.masked_select requires a strided mask, given: {mask.layout}")
    tensor, mask = fb.broadcast_tensors(tensor, mask)
    rows = mask.unsqueeze(0) if mask.dim() == 1 else mask.flatten(0, -2)
    lengths = rows.sum(-1)
    return from_parts(tensor.masked_select(mask), fb.cat([lengths.new_zeros(1), lengths.cumsum(0)]))
