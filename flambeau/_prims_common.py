"""Rules of types, dimensions and strides that PyTorch's own decompositions share; packages call some of
them."""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb

__all__ = [
    "ELEMENTWISE_TYPE_PROMOTION_KIND", "alert_not_deterministic", "canonicalize_dim", "canonicalize_dims",
    "compute_elementwise_output_strides", "corresponding_complex_dtype", "corresponding_real_dtype",
    "dtype_to_type", "elementwise_dtypes", "get_computation_dtype", "get_higher_dtype", "is_boolean_dtype",
    "is_complex_dtype", "is_contiguous", "is_contiguous_for_memory_format", "is_contiguous_or_false",
    "is_float_dtype", "is_integer_dtype", "is_low_precision_dtype", "is_same_shape",
    "make_channels_last_strides_for", "make_contiguous_strides_for", "reduction_dims", "same_shape",
    "suggest_memory_format", "type_to_dtype",
]  # fmt: skip

Number = (bool, int, float, complex, fb.SymInt, fb.SymFloat, fb.SymBool)
TensorLike = fb.Tensor
TensorLikeType = fb.Tensor
_REAL_OF = {fb.complex32: fb.float16, fb.complex64: fb.float32, fb.complex128: fb.float64}
_COMPLEX_OF = {real: of for of, real in _REAL_OF.items()} | {fb.bfloat16: fb.complex64}
_COMPUTED_IN = {fb.float16: fb.float32, fb.bfloat16: fb.float32, fb.complex32: fb.complex64}


class ELEMENTWISE_TYPE_PROMOTION_KIND(enum.Enum):
    """How types of arguments become that of a result, see `elementwise_dtypes`."""

    DEFAULT = (0,)
    NO_OPMATH = (1,)
    INT_TO_FLOAT = (2,)
    ALWAYS_BOOL = (3,)
    COMPLEX_TO_FLOAT = (4,)
    BOOL_TO_LONG = (5,)


def alert_not_deterministic(caller: str) -> None:
    """Raise, or warn, where deterministic algorithms were asked for and `caller` has none."""
    if not fb.are_deterministic_algorithms_enabled():
        return
    text = f"{caller} does not have a deterministic implementation, but you set "
    if fb.is_deterministic_algorithms_warn_only_enabled():
        import warnings

        warnings.warn(
            text + "'torch.use_deterministic_algorithms(True, warn_only=True)'. You can file an issue at "
            "https://github.com/pytorch/pytorch/issues to help us prioritize adding deterministic support "
            "for "
            "this operation.",
            stacklevel=2,
        )
        return
    raise RuntimeError(
        text + "'torch.use_deterministic_algorithms(True)'. You can turn off determinism just for this "
        "operation, or you can use the 'warn_only=True' option, if that's acceptable for your "
        "application. You "
        "can also file an issue at https://github.com/pytorch/pytorch/issues to help us prioritize adding "
        "deterministic support for this operation."
    )


# -- types ---------------------------------------------------------------------------------------------------


def is_boolean_dtype(dtype: fb.dtype) -> bool:
    """Whether it is `torch.bool`."""
    return dtype is fb.bool


def is_float_dtype(dtype: fb.dtype) -> bool:
    """Whether it is a type of real floating point numbers."""
    return dtype.is_floating_point


def is_complex_dtype(dtype: fb.dtype) -> bool:
    """Whether it is a type of complex numbers."""
    return dtype.is_complex


def is_integer_dtype(dtype: fb.dtype) -> bool:
    """Whether it is a type of whole numbers."""
    return not (dtype.is_floating_point or dtype.is_complex or dtype is fb.bool)


def is_low_precision_dtype(dtype: fb.dtype) -> bool:
    """Whether results are computed in a wider type."""
    return dtype in _COMPUTED_IN


def dtype_to_type(dtype: fb.dtype) -> type:
    """Python's type of an element."""
    return (bool, int, float, complex)[_category(dtype)]


def type_to_dtype(typ: type) -> fb.dtype:
    """The type that Python's numbers of a type become."""
    if typ is bool:
        return fb.bool
    if typ in (int, fb.SymInt):
        return fb.int64
    if typ in (float, fb.SymFloat):
        return fb.get_default_dtype()
    if typ is complex:
        return corresponding_complex_dtype(fb.get_default_dtype())
    raise ValueError(f"Invalid type {typ}!")


def corresponding_real_dtype(dtype: fb.dtype) -> fb.dtype:
    """The type of the parts of complex numbers."""
    return _REAL_OF[dtype]


def corresponding_complex_dtype(dtype: fb.dtype) -> fb.dtype:
    """The type of complex numbers of such parts."""
    return _COMPLEX_OF[dtype]


def get_computation_dtype(dtype: fb.dtype) -> fb.dtype:
    """The type in which elements are computed."""
    return _COMPUTED_IN.get(dtype, dtype)


def get_higher_dtype(a: Any, b: Any) -> fb.dtype | None:
    """The type that two types, tensors or numbers have in common; None stands for neither."""

    def dtype_of(x: Any) -> fb.dtype:
        if isinstance(x, fb.dtype):
            return x
        return x.dtype if isinstance(x, fb.Tensor) else type_to_dtype(type(x))

    if a is None or b is None:
        found = a if b is None else b
        return None if found is None else dtype_of(found)
    return fb.promote_types(dtype_of(a), dtype_of(b))


def _category(dtype: fb.dtype) -> int:
    return 3 if dtype.is_complex else 2 if dtype.is_floating_point else int(dtype is not fb.bool)


def elementwise_dtypes(
    *_args: Any, type_promotion_kind: ELEMENTWISE_TYPE_PROMOTION_KIND
) -> tuple[fb.dtype, fb.dtype]:
    """The type in which an elementwise operator computes, and that of its result.

    Tensors with dimensions say more than those without, and those more than numbers, unless the others are of
    a higher kind (whole, real, complex).
    """
    found: list[fb.dtype | None] = [None, None, None]
    for x in _args:
        if x is None:
            continue
        place = 2 if not isinstance(x, fb.Tensor) else 0 if x.dim() else 1
        found[place] = get_higher_dtype(found[place], x.dtype if place < 2 else type_to_dtype(type(x)))
    result = next((d for d in found if d is not None), fb.bool)
    for other in found:
        if other is not None and _category(other) > _category(result):
            if result.is_floating_point and other.is_complex and other is found[2]:
                other = corresponding_complex_dtype(result)
            result = other
    kind = type_promotion_kind
    kinds = ELEMENTWISE_TYPE_PROMOTION_KIND
    if kind is kinds.NO_OPMATH:
        return result, result
    if kind is kinds.INT_TO_FLOAT and _category(result) < 2:
        result = fb.get_default_dtype()
    if kind is kinds.BOOL_TO_LONG and result is fb.bool:
        result = fb.int64
    computed = get_computation_dtype(result)
    if kind is kinds.ALWAYS_BOOL:
        return computed, fb.bool
    if kind is kinds.COMPLEX_TO_FLOAT and result.is_complex:
        return computed, corresponding_real_dtype(result)
    return computed, result


# -- dimensions and strides ----------------------------------------------------------------------------------


def canonicalize_dim(rank: int, idx: int, wrap_scalar: bool = True) -> int:
    """A dimension counted from the front.

    Raises
    ------
    IndexError : there is no such dimension.
    """
    if rank == 0 and not wrap_scalar:
        raise IndexError(f"Dimension specified as {idx} but tensor has no dimensions")
    count = rank or 1
    if not -count <= idx < count:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-count}, {count - 1}], but got {idx})"
        )
    return idx % count


def canonicalize_dims(rank: int, indices: Any, wrap_scalar: bool = True) -> Any:
    """The same of several, or of one."""
    if isinstance(indices, int):
        return canonicalize_dim(rank, indices, wrap_scalar)
    return tuple(canonicalize_dim(rank, d, wrap_scalar) for d in indices)


def reduction_dims(shape: Sequence[int], dims: Sequence[int] | None) -> tuple[int, ...]:
    """The dimensions that a reduction is over: all of them for None."""
    if dims is None:
        return tuple(range(len(shape)))
    made = canonicalize_dims(len(shape), tuple(dims))
    if len(set(made)) != len(made):
        raise RuntimeError("duplicate value in the list of dims")
    return made


def same_shape(a: Sequence[int], b: Sequence[int], *, allow_rhs_unbacked: bool = False) -> bool:
    """Whether two shapes are equal."""
    return tuple(a) == tuple(b)


is_same_shape = same_shape


def make_contiguous_strides_for(shape: Sequence[int], row_major: bool = True) -> tuple[int, ...]:
    """Strides without gaps; the last dimension varies fastest, or the one before it."""
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    made = strides[::-1]
    if not row_major and len(made) >= 2:
        made[-2:] = [1, max(shape[-2], 1)]
    return tuple(made)


def make_channels_last_strides_for(shape: Sequence[int]) -> tuple[int, ...]:
    """Strides of images whose channels vary fastest: the second dimension of 3, 4 or 5."""
    if len(shape) not in (3, 4, 5):
        raise RuntimeError("Only tensors of rank 4 can use the channels_last memory format")
    order = (0, *range(2, len(shape)), 1)
    inner = make_contiguous_strides_for([shape[d] for d in order])
    return tuple(inner[order.index(d)] for d in range(len(shape)))


def is_contiguous(a: fb.Tensor) -> bool:
    """Whether elements lie in order, without gaps."""
    return a.is_contiguous()


is_contiguous_or_false = is_contiguous  # sizes are numbers, so there is always an answer


def is_contiguous_for_memory_format(a: fb.Tensor, *, memory_format: Any) -> bool:
    """The same in a memory format."""
    return a.is_contiguous(memory_format=memory_format)


def suggest_memory_format(x: fb.Tensor) -> Any:
    """The memory format that a result of `x` gets."""
    for format in {4: (fb.channels_last,), 5: (fb.channels_last_3d,)}.get(x.dim(), ()):
        if x.is_contiguous(memory_format=format) and not x.is_contiguous():
            return format
    return fb.contiguous_format


def compute_elementwise_output_strides(*tensors: Any) -> tuple[int, ...]:
    """The strides of a fresh result of tensors of one shape."""
    given = [t for t in tensors if isinstance(t, fb.Tensor)]
    if not given:
        return ()
    shape = given[0].shape
    if math.prod(shape) == 0:
        return make_contiguous_strides_for(shape)
    metas = [fb.empty_strided(t.shape, t.stride(), device="meta") for t in given]
    made = metas[0] + 0 if len(metas) == 1 else sum(metas[1:], metas[0])
    return made.stride()
