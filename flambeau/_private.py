"""Private functions of PyTorch's package that other packages call."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .ops.registry import _type_name

__all__ = [
    "_amp_foreach_non_finite_check_and_unscale_",
    "_amp_update_scale_",
    "_assert_async",
    "_grouped_mm",
    "_int_mm",
    "_is_all_true",
    "_is_any_true",
    "_nested_compute_contiguous_strides_offsets",
    "_nested_view_from_buffer",
    "_nested_view_from_jagged",
    "_shape_as_tensor",
]


def _shape_as_tensor(self: Any) -> Any:
    """The sizes of a tensor as a tensor."""
    return fb.tensor(self.shape, dtype=fb.int64)


def _assert_async(self: Any, assert_msg: str | None = None) -> None:
    """Raise unless the one element is not zero."""
    if not self.is_nonzero():
        raise RuntimeError(assert_msg or "Expected Tensor with single nonzero value, but got zero")


def _truth(name: str, reduced: Any) -> Any:
    def truth(self: Any) -> Any:
        if fb.overrides.has_torch_function_unary(self):
            return fb.overrides.handle_torch_function(truth, (self,), self)
        if self.dtype != fb.bool:
            raise RuntimeError(f"{name}: expected a boolean tensor, got {_type_name(self.dtype)}")
        return reduced(self)

    truth.__name__ = truth.__qualname__ = name
    truth.__doc__ = "One truth of all elements, and of all samples under `vmap`."
    return truth


_is_all_true = _truth("_is_all_true", fb.Tensor.all)
_is_any_true = _truth("_is_any_true", fb.Tensor.any)


def _int_mm(self: Any, mat2: Any, *, out: Any = None) -> Any:
    """The product of matrices of int8 (or uint8 and int8), summed in int32."""
    if self.dtype not in (fb.int8, fb.uint8):
        raise RuntimeError(
            f"int_mm_out_cpu: Expected self dtype to be int8 or uint8 but got"
            f" {_type_name(self.dtype).lower()}"
        )
    if mat2.dtype != fb.int8:
        raise RuntimeError(
            f"int_mm_out_cpu: Expected mat2 dtype to be int8 but got {_type_name(mat2.dtype).lower()}"
        )
    made = self.to(fb.int32) @ mat2.to(fb.int32)
    return made if out is None else out.resize_(made.shape).copy_(made)


def _cast(name: str, dtype: str) -> Any:
    def cast(self: Any, non_blocking: bool = False) -> Any:
        return self.to(getattr(fb, dtype), non_blocking=non_blocking)

    cast.__name__ = cast.__qualname__ = name
    cast.__doc__ = f"The tensor as {dtype}."
    return cast


_cast_Byte, _cast_Char = _cast("_cast_Byte", "uint8"), _cast("_cast_Char", "int8")
_cast_Short, _cast_Int = _cast("_cast_Short", "int16"), _cast("_cast_Int", "int32")
_cast_Long, _cast_Half = _cast("_cast_Long", "int64"), _cast("_cast_Half", "float16")
_cast_Float, _cast_Double = _cast("_cast_Float", "float32"), _cast("_cast_Double", "float64")


def _nested_view_from_jagged(
    self: Any, offsets: Any, dummy: Any, lengths: Any = None, ragged_idx: int = 1, min_seqlen: Any = None,
    max_seqlen: Any = None,
) -> Any:  # fmt: skip
    """A nested tensor that looks at values."""
    return fb.nested.nested_tensor_from_jagged(self, offsets, lengths, ragged_idx)


def _nested_compute_contiguous_strides_offsets(nested_size: Any) -> tuple[Any, Any]:
    """Strides of components that lie one after the other, and where each begins."""
    if nested_size.dim() != 2:
        raise RuntimeError("Expected tensor.dim() == 2 of the sizes of a nested tensor")
    count, rank = nested_size.shape
    strides = fb.ones_like(nested_size)
    for d in range(rank - 2, -1, -1):
        strides[:, d] = strides[:, d + 1] * nested_size[:, d + 1]
    elements = nested_size.prod(1) if rank else fb.ones(count, dtype=fb.int64)
    return strides, elements.cumsum(0) - elements


def _nested_view_from_buffer(self: Any, nested_size: Any, nested_strides: Any, offsets: Any) -> Any:
    """A nested tensor whose components lie in `self`.

    Raises
    ------
    NotImplementedError : they do not lie one after the other, without gaps.
    """
    from .nested import strided

    strides, starts = _nested_compute_contiguous_strides_offsets(nested_size)
    if self.dim() != 1:
        raise RuntimeError(f"buffer must be 1-dimensional, but got {self.dim()} dimensions")
    if not (fb.equal(strides, nested_strides) and fb.equal(starts, offsets)):
        raise NotImplementedError(
            "torch._nested_view_from_buffer: components of flambeau's nested tensors lie one after the "
            "other; "
            "make a nested tensor of their views with torch.nested.as_nested_tensor"
        )
    sizes = [tuple(row) for row in nested_size.tolist()]
    return strided._make(self[: int(nested_size.prod(1).sum())], sizes)


def _grouped_mm(self: Any, mat2: Any, offs: Any = None, bias: Any = None, out_dtype: Any = None) -> Any:
    """One matrix product a group, see `nn.functional.grouped_mm`."""
    return fb.nn.functional.grouped_mm(self, mat2, offs=offs, bias=bias, out_dtype=out_dtype)


@fb.no_grad()
def _amp_foreach_non_finite_check_and_unscale_(self: list, found_inf: Any, inv_scale: Any) -> None:
    """Multiply tensors by a number, and set `found_inf` to one where an element was not finite."""
    for name, one in (("inv_scale", inv_scale), ("found_inf", found_inf)):
        if one.numel() != 1:
            raise RuntimeError(f"{name} must be a 1-element tensor.")
        if one.dtype != fb.float32:
            raise RuntimeError(f"{name} must be a float tensor.")
    for t in self:
        if not t.isfinite().all():
            found_inf.fill_(1.0)
        t.copy_(t * inv_scale.to(fb.promote_types(t.dtype, fb.float32)))


@fb.no_grad()
def _amp_update_scale_(
    self: Any, growth_tracker: Any, found_inf: Any, scale_growth_factor: float, scale_backoff_factor: float,
    growth_interval: int,
) -> Any:  # fmt: skip
    """The scale of losses after a step: smaller after an overflow, larger after `growth_interval` without."""
    if growth_tracker.dtype != fb.int32 or growth_tracker.numel() != 1:
        raise RuntimeError("growth_tracker must be a 1-element int tensor.")
    for name, one in (("current_scale", self), ("found_inf", found_inf)):
        if one.numel() != 1 or one.dtype != fb.float32:
            raise RuntimeError(f"{name} must be a 1-element float tensor.")
    if found_inf.item():
        self.mul_(scale_backoff_factor)
        growth_tracker.fill_(0)
        return self
    steps = growth_tracker.item() + 1
    if steps == growth_interval:
        grown = self * scale_growth_factor
        if grown.isfinite().item():
            self.copy_(grown)
        steps = 0
    growth_tracker.fill_(steps)
    return self


def __getattr__(name: str) -> Any:
    if name == "_segment_reduce":  # its name before it was public
        return fb.segment_reduce
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
