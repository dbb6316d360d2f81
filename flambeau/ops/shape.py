"""Joining, splitting, turning and spreading tensors."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from .registry import check_tensors, composite, passes, wrap_dim


def _tensors(args: tuple) -> tuple:
    """Tensors given one by one or as one sequence."""
    if len(args) == 1 and isinstance(args[0], (list, tuple)):
        return tuple(args[0])
    return args


def _atleast(args: tuple, one: Any) -> Any:
    if len(args) == 1 and not isinstance(args[0], (list, tuple)):
        check_tensors(args)
        return one(args[0])
    args = _tensors(args)
    check_tensors(args)
    return tuple(one(t) for t in args)


@composite("atleast_1d(Tensor[] tensors) -> Tensor[]", python=True)
def atleast_1d(*tensors: fb.Tensor) -> tuple[fb.Tensor, ...]:
    """Tensors with at least one dimension."""
    return _atleast(tensors, lambda t: t.reshape(1) if t.dim() == 0 else t)


def _as_rows(t: Any) -> Any:
    if t.dim() == 0:
        return t.reshape(1, 1)
    return t.unsqueeze(0) if t.dim() == 1 else t


@composite("atleast_2d(Tensor[] tensors) -> Tensor[]", python=True)
def atleast_2d(*tensors: fb.Tensor) -> tuple[fb.Tensor, ...]:
    """Tensors with at least two dimensions; new ones come first."""
    return _atleast(tensors, _as_rows)


@composite("atleast_3d(Tensor[] tensors) -> Tensor[]", python=True)
def atleast_3d(*tensors: fb.Tensor) -> tuple[fb.Tensor, ...]:
    """Tensors with at least three dimensions: (n) becomes (1, n, 1), (m, n) becomes (m, n, 1)."""

    def one(t: Any) -> Any:
        if t.dim() == 0:
            return t.reshape(1, 1, 1)
        if t.dim() == 1:
            return t.unsqueeze(0).unsqueeze(-1)
        return t.unsqueeze(-1) if t.dim() == 2 else t

    return _atleast(tensors, one)


@composite("broadcast_tensors(Tensor[] tensors) -> Tensor[]", python=True)
def broadcast_tensors(*tensors: fb.Tensor) -> tuple:
    """Tensors expanded to their common shape."""
    tensors = _tensors(tensors)
    check_tensors(tensors)
    shape: tuple = ()
    for t in tensors:
        sizes = tuple(t.shape)
        shape = shape if sizes == shape else _common(shape, sizes) if shape else sizes
    # One that has the shape is itself the result: a parameter stays a leaf.
    return tuple(t if tuple(t.shape) == shape else t.expand(shape) for t in tensors)


def _common(a: tuple, b: tuple) -> tuple:
    """The shape of two tensors broadcast together."""
    ndim = max(len(a), len(b))
    sizes = []
    for d, (m, n) in enumerate(zip((1,) * (ndim - len(a)) + a, (1,) * (ndim - len(b)) + b)):
        if m != n and m != 1 and n != 1:
            raise RuntimeError(
                f"The size of tensor a ({m}) must match the size of tensor b ({n}) at"
                f" non-singleton dimension {d}"
            )
        sizes.append(n if m == 1 else m)
    return tuple(sizes)


def broadcast_shapes(*shapes: int | Sequence[int]) -> fb.Size:
    """The shape that shapes broadcast to."""
    sizes = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    ndim = max(map(len, sizes), default=0)
    result = [1] * ndim
    for k, s in enumerate(sizes):
        for i in range(-1, -1 - len(s), -1):
            if s[i] == 1 or s[i] == result[i]:
                continue
            if result[i] != 1:
                shown = s if isinstance(shapes[k], int) else shapes[k]
                raise RuntimeError(
                    f"Attempting to broadcast a dimension of length {s[i]} at {i}! Mismatching argument at"
                    f" index {k} had {shown}; but expected shape should be broadcastable to {result}"
                )
            if s[i] < 0:
                raise ValueError("Attempting to broadcast a dimension with negative length!")
            result[i] = s[i]
    return fb.Size(result)


@composite("meshgrid(Tensor[] tensors, *, str indexing) -> Tensor[]", python=True)
def meshgrid(*tensors: fb.Tensor, indexing: str | None = None) -> tuple:
    """Grids of coordinates: one tensor of shape (n1, n2, …) a vector; ``"xy"`` swaps the first two
    dimensions."""
    tensors = _tensors(tensors)
    if not tensors:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    if indexing is None:
        import warnings

        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing argument.",
            UserWarning,
            stacklevel=3,
        )
        indexing = "ij"
    if indexing not in ("ij", "xy"):
        raise RuntimeError(f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}')
    for t in tensors:
        if t.dim() > 1:
            raise RuntimeError(f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {t}")
        if t.dtype != tensors[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    swap = indexing == "xy" and len(tensors) >= 2
    if swap:
        tensors = (tensors[1], tensors[0], *tensors[2:])
    shape = [t.numel() for t in tensors]
    grids = [
        t.reshape([-1 if j == i else 1 for j in range(len(shape))]).expand(shape)
        for i, t in enumerate(tensors)
    ]
    if swap:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


@composite("cartesian_prod(Tensor[] tensors) -> Tensor", python=True)
def cartesian_prod(*tensors: fb.Tensor) -> fb.Tensor:
    """All combinations of elements, one from each vector, as rows."""
    tensors = _tensors(tensors)
    check_tensors(tensors)
    for t in tensors:
        if t.dim() != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(t.shape)}")
    if len(tensors) == 1:
        return tensors[0]
    return fb.stack([g.flatten() for g in meshgrid(*tensors, indexing="ij")], 1)


@composite("combinations(Tensor self, int r=2, bool with_replacement=False) -> Tensor")
def combinations(input: fb.Tensor, r: int = 2, with_replacement: bool = False) -> fb.Tensor:
    """Combinations of `r` elements of a vector in order, as rows."""
    if input.dim() != 1:
        raise RuntimeError(f"Expect a 1D vector, but got shape {list(input.shape)}")
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return input.new_empty((0,))
    n = input.numel()
    if r > n and not with_replacement:
        return input[:0].reshape(0, r)
    if r == 2:  # the places above a diagonal
        index = fb.triu_indices(n, n, 0 if with_replacement else 1, device=input.device).t().reshape(-1)
    else:
        choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
        index = fb.tensor(list(choose(range(n), r)), dtype=fb.int64, device=input.device).reshape(-1)
    return input.index_select(0, index).reshape(-1, r)


@composite("rot90(Tensor self, int k=1, int[] dims=[0,1]) -> Tensor", method=True, node="Rot90Backward0")
def rot90(input: fb.Tensor, k: int = 1, dims: Sequence[int] = (0, 1)) -> fb.Tensor:
    """A quarter turn, `k` times, from the first towards the second of `dims`."""
    if len(dims) != 2:
        raise RuntimeError(f"expected total rotation dims == 2, but got dims = {len(dims)}")
    ndim = input.dim()
    if ndim < 2:
        raise RuntimeError(f"expected total dims >= 2, but got total dims = {ndim}")
    if dims[0] == dims[1] or abs(dims[0] - dims[1]) == ndim:
        raise RuntimeError(
            f"expected rotation dims to be different, but got dim0 = {dims[0]} and dim1 = {dims[1]}"
        )
    a, b = (wrap_dim(d, ndim) for d in dims)
    turns = k % 4
    if turns == 1:
        return input.flip(b).transpose(a, b)
    if turns == 2:
        return input.flip(a, b)
    if turns == 3:
        return input.flip(a).transpose(a, b)
    return input.clone(memory_format=fb.contiguous_format)


@composite("fliplr(Tensor self) -> Tensor", method=True)
def fliplr(input: fb.Tensor) -> fb.Tensor:
    """Columns in reverse order."""
    if input.dim() < 2:
        raise RuntimeError("Input must be >= 2-d.")
    return input.flip(1)


@composite("flipud(Tensor self) -> Tensor", method=True)
def flipud(input: fb.Tensor) -> fb.Tensor:
    """Rows in reverse order."""
    if input.dim() < 1:
        raise RuntimeError("Input must be >= 1-d.")
    return input.flip(0)


@composite("moveaxis(Tensor(a) self, int|int[] source, int|int[] destination) -> Tensor(a)", method=True)
def moveaxis(input: fb.Tensor, source: Sequence[int], destination: Sequence[int]) -> fb.Tensor:
    """`movedim` under NumPy's name."""
    return input.movedim(source, destination)


@composite("swapaxes(Tensor(a) self, int axis0, int axis1) -> Tensor(a)", method=True)
def swapaxes(input: fb.Tensor, axis0: int, axis1: int) -> fb.Tensor:
    """`transpose` under NumPy's name."""
    return input.transpose(axis0, axis1)


@composite("swapdims(Tensor(a) self, int dim0, int dim1) -> Tensor(a)", method=True)
def swapdims(input: fb.Tensor, dim0: int, dim1: int) -> fb.Tensor:
    """`transpose` under another name."""
    return input.transpose(dim0, dim1)


@composite("unflatten(Tensor(a) self, int dim, int[] sizes) -> Tensor(a)", method=True)
def unflatten(input: fb.Tensor, dim: int, sizes: Sequence[int]) -> fb.Tensor:
    """A view with one dimension spread over several; one of the sizes may be -1."""
    dim = wrap_dim(dim, input.dim())
    sizes = list(sizes)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    total, size = math.prod(s for s in sizes if s != -1), input.shape[dim]
    if sizes.count(-1) == 1 and total and size % total == 0:
        sizes[sizes.index(-1)] = size // total
    elif sizes.count(-1) or total != size:
        raise RuntimeError(
            f"unflatten: Provided sizes {sizes} don't multiply up to the size of dim {dim} ({size}) in the"
            " input tensor"
        )
    return input.view(*input.shape[:dim], *sizes, *input.shape[dim + 1 :])


@composite("diagflat(Tensor self, int offset=0) -> Tensor", method=True, node="DiagEmbedBackward0")
def diagflat(input: fb.Tensor, offset: int = 0) -> fb.Tensor:
    """A matrix with all elements on a diagonal."""
    return diag_embed(input.contiguous().view(-1), offset)


@composite(
    "diag_embed(Tensor self, int offset=0, int dim1=-2, int dim2=-1) -> Tensor",
    method=True,
    node="DiagEmbedBackward0",
)
def diag_embed(input: fb.Tensor, offset: int = 0, dim1: int = -2, dim2: int = -1) -> fb.Tensor:
    """Matrices in dimensions `dim1` and `dim2` whose diagonals are the last dimension of the input."""
    ndim = input.dim() + 1
    first, second = wrap_dim(dim1, ndim), wrap_dim(dim2, ndim)
    if first == second:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    size = input.shape[-1] + abs(offset)
    shape = list(input.shape[:-1])
    for place in sorted((first, second)):
        shape.insert(place, size)
    result = input.new_zeros(shape)
    result.diagonal(offset, first, second).copy_(input)
    return result


@composite("take_along_dim(Tensor self, Tensor indices, int? dim=None) -> Tensor", method=True, out=True)
def take_along_dim(input: fb.Tensor, indices: fb.Tensor, dim: int | None = None) -> fb.Tensor:
    """Elements at indices along a dimension (of the flattened input where None), other dimensions
    broadcast."""
    if indices.dtype != fb.int64:
        raise RuntimeError(
            f"torch.take_along_dim(): dtype of indices should be Long but got {_long_name(indices)}"
        )
    if dim is None:
        return input.reshape(-1).gather(0, indices.reshape(-1))
    if input.dim() != indices.dim():
        raise RuntimeError(
            "torch.take_along_dim(): input and indices should have the same number of dimensions, but got "
            f"{input.dim()} dimensions for input, and {indices.dim()} dimensions for indices"
        )
    dim = wrap_dim(dim, input.dim())
    shape = list(
        broadcast_shapes(
            (*input.shape[:dim], 1, *input.shape[dim + 1 :]),
            (*indices.shape[:dim], 1, *indices.shape[dim + 1 :]),
        )
    )
    shape[dim] = input.shape[dim]
    wide = input.expand(shape)
    shape[dim] = indices.shape[dim]
    return wide.gather(dim, _counted(indices.expand(shape), wide.shape[dim]))


def _counted(indices: Any, size: int) -> Any:
    """Indices counted from the front."""
    return fb.where(indices < 0, indices + size, indices)


def _long_name(t: Any) -> str:
    from .registry import _type_name

    return _type_name(t.dtype)


@composite("unravel_index(Tensor indices, int[] shape) -> Tensor[]", python=True)
@passes(lambda indices, shape: ((indices,), {"shape": shape}))
def unravel_index(indices: fb.Tensor, shape: Sequence[int]) -> tuple:
    """Coordinates in a tensor of a shape from positions in its flattened form."""
    if not (not indices.is_complex() and not indices.is_floating_point() and indices.dtype != fb.bool):
        raise TypeError(f"expected 'indices' to be integer dtype, but got {indices.dtype}")
    sizes = (shape,) if isinstance(shape, int) else tuple(shape)
    for s in sizes:
        if not isinstance(s, int):
            raise TypeError(f"expected 'shape' sequence to only contain ints, but got {type(s)}")
        if s < 0:
            raise ValueError(f"'shape' cannot have negative values, but got {sizes}")
    indices, coordinates = indices.to(fb.int64), []
    for s in reversed(sizes):
        coordinates.append(indices % s)
        indices = fb.div(indices, s, rounding_mode="floor")
    return tuple(reversed(coordinates))


@composite("argwhere(Tensor self) -> Tensor", method=True)
def argwhere(input: fb.Tensor) -> fb.Tensor:
    """Coordinates of the elements that are not zero, as rows."""
    return input.nonzero()


@composite("nonzero_static(Tensor self, *, int size, int fill_value=-1) -> Tensor", method=True, out=True)
def nonzero_static(input: fb.Tensor, *, size: int, fill_value: int = -1) -> fb.Tensor:
    """The first `size` rows of `nonzero`, filled up with `fill_value`."""
    if size < 0:
        raise RuntimeError("nonzero_static: 'size' must be an non-negative integer")
    rows = input.nonzero()[:size]
    missing = size - rows.shape[0]
    if not missing:
        return rows
    return fb.cat([rows, rows.new_full((missing, rows.shape[1]), fill_value)])


def _slice(t: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Any:
    return t[(slice(None),) * wrap_dim(dim, t.dim()) + (slice(start, end, step),)]


# views whose name is that of a method are found there
_VIEWS: dict[str, Callable] = {
    "alias_copy": lambda t: t,
    "expand_copy": lambda t, size, implicit=False: t.expand(size),
    "slice_copy": _slice,
    "split_with_sizes_copy": lambda t, split_sizes, dim=0: t.split(split_sizes, dim),
    "view_as_real_copy": lambda t: fb.view_as_real(t),
    "view_as_complex_copy": lambda t: fb.view_as_complex(t),
}
_COPIES = {
    "alias_copy": "Tensor self) -> Tensor",
    "as_strided_copy": "Tensor self, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
    "detach_copy": "Tensor self) -> Tensor",
    "diagonal_copy": "Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor",
    "expand_copy": "Tensor self, int[] size, *, bool implicit=False) -> Tensor",
    "narrow_copy": "Tensor self, int dim, int start, int length) -> Tensor",
    "permute_copy": "Tensor self, int[] dims) -> Tensor",
    "select_copy": "Tensor self, int dim, int index) -> Tensor",
    "slice_copy": "Tensor self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor",
    "split_copy": "Tensor self, int split_size, int dim=0) -> Tensor[]",
    "split_with_sizes_copy": "Tensor self, int[] split_sizes, int dim=0) -> Tensor[]",
    "squeeze_copy": "Tensor self, int[1]? dim=None) -> Tensor",
    "t_copy": "Tensor self) -> Tensor",
    "transpose_copy": "Tensor self, int dim0, int dim1) -> Tensor",
    "unbind_copy": "Tensor self, int dim=0) -> Tensor[]",
    "unfold_copy": "Tensor self, int dimension, int size, int step) -> Tensor",
    "unsqueeze_copy": "Tensor self, int dim) -> Tensor",
    "view_copy": "Tensor self, int[] size) -> Tensor",
    "view_as_real_copy": "Tensor self) -> Tensor",
    "view_as_complex_copy": "Tensor self) -> Tensor",
}


def _make_copy(name: str, schema: str) -> None:
    """Registers ``name_copy``: a view operator whose result does not share memory."""
    view = _VIEWS.get(name) or getattr(fb.Tensor, name.removesuffix("_copy"))

    def copied(input: Any, *args: Any, **kwargs: Any) -> Any:
        since = _C._next_node()
        try:
            made = view(input, *args, **kwargs)
        except RuntimeError:
            if name != "view_copy" or input.is_contiguous():
                raise
            made = view(input.contiguous(), *args, **kwargs)  # a copy need not be a view of what lies strided
        several = isinstance(made, (tuple, list))
        parts = made if several else (made,)
        copies = tuple(t.clone(memory_format=fb.contiguous_format) for t in parts)
        if parts and parts[0].grad_fn is not None:
            node = parts[0].grad_fn.name() if made is not input else "AliasBackward0"
            _C._show_as(copies, "NarrowCopyBackward0" if name == "narrow_copy" else f"{node}_copy", since)
        return copies if several else copies[0]

    copied.__name__ = copied.__qualname__ = name
    copied.__doc__ = f"`{name.removesuffix('_copy')}` that copies."
    composite(f"{name}({schema}", method=name == "narrow_copy", out=True)(copied)


for _name, _schema in _COPIES.items():
    _make_copy(_name, _schema)


@composite("sum_to_size(Tensor self, int[] size) -> Tensor", function=False, method=True)
def sum_to_size(input: fb.Tensor, *size: int | Sequence[int]) -> fb.Tensor:
    """The sum over what broadcasting from `size` to the input's shape has repeated."""
    if len(size) == 1 and not isinstance(size[0], int):
        size = tuple(size[0])
    extra = input.dim() - len(size)
    if extra < 0 or any(b not in (1, a) for a, b in zip(input.shape[extra:], size)):
        raise RuntimeError(f"size {{{list(size)}}} is not expandable to size {{{list(input.shape)}}}.")
    dims = [*range(extra), *(i + extra for i, s in enumerate(size) if s == 1 and input.shape[i + extra] != 1)]
    if not size:
        return input.sum()
    if not dims:
        return input
    return input.sum(dims, keepdim=True).reshape(size)


@composite(
    "unsafe_chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", method=True, node="UnsafeSplitBackward0"
)
def unsafe_chunk(input: fb.Tensor, chunks: int, dim: int = 0) -> tuple:
    """`chunk`."""
    return input.chunk(chunks, dim)


@composite(
    "unsafe_split(Tensor self, int split_size, int dim=0) -> Tensor[]",
    method=True,
    node="UnsafeSplitBackward0",
)
def unsafe_split(input: fb.Tensor, split_size: int, dim: int = 0) -> tuple:
    """`split`."""
    return input.split(split_size, dim)


@composite(
    "unsafe_split_with_sizes(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]",
    method=True,
    node="UnsafeSplitWithSizesBackward0",
)
def unsafe_split_with_sizes(input: fb.Tensor, split_sizes: Sequence[int], dim: int = 0) -> tuple:
    """`split_with_sizes`."""
    return input.split(split_sizes, dim)
