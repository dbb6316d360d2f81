"""Private functions of PyTorch's package that other packages call."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .ops.registry import _type_name

__all__ = [
    "_assert_async",
    "_int_mm",
    "_is_all_true",
    "_is_any_true",
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
