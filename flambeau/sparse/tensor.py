"""Sparse tensors: coordinates (COO), compressed rows or columns (CSR, CSC), and those of blocks (BSR, BSC).

A `SparseTensor` is a tensor whose memory is that of its specified values, so that recording, gradients, dtype
and device are theirs. Its indices lie beside it. Operators on it arrive at `__torch_function__` and are done
by `rules` with ordinary operators on values, which is what makes them differentiable.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import RuledTensor
from ..ops.registry import refuse_float8

__all__ = ["SparseTensor", "coo", "compressed", "is_sparse", "flat_index", "from_dense", "from_dense_batch"]

_plain_calls = _C.DisableTorchFunctionSubclass
_COMPRESSED_DIM = {"csr": 0, "csc": 1, "bsr": 0, "bsc": 1}
_BLOCKS = ("bsr", "bsc")


class SparseTensor(RuledTensor):
    """A tensor of which only some elements are stored."""

    _prints_as_tensor = True

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        from .._tensor_str import _str

        return _str(self, tensor_contents=tensor_contents)

    # ------------------------------------------------------------ what it is
    @property
    def kind(self) -> str:
        """``"coo"``, ``"csr"``, ``"csc"``, ``"bsr"`` or ``"bsc"``."""
        return self.__dict__["_kind"]

    @property
    def layout(self) -> Any:
        """The layout, such as ``flambeau.sparse_coo``."""
        return getattr(fb, "sparse_" + self.kind)

    @property
    def shape(self) -> Any:
        """Sizes of the whole tensor."""
        return fb.Size(self.__dict__["_size"])

    def size(self, dim: int | None = None) -> Any:
        """Sizes, or one of them."""
        if dim is None:
            return self.shape
        n = self.dim()
        if not -n <= dim < n:
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {dim})"
                if n
                else f"Dimension specified as {dim} but tensor has no dimensions"
            )
        return self.shape[dim]

    def dim(self) -> int:
        """Number of dimensions."""
        return len(self.__dict__["_size"])

    ndimension = dim
    ndim = property(dim)

    def numel(self) -> int:
        """Number of elements, stored or not."""
        return math.prod(self.__dict__["_size"])

    nelement = numel

    @property
    def is_sparse(self) -> bool:
        """Whether the layout is COO."""
        return self.kind == "coo"

    @property
    def is_sparse_csr(self) -> bool:
        """Whether the layout is CSR."""
        return self.kind == "csr"

    def _has_none(self, what: str) -> None:
        if self.kind != "coo":
            raise RuntimeError(f"Sparse {self.kind.upper()} tensors do not have {what}")

    def is_contiguous(self, *args: Any, **kwargs: Any) -> bool:
        """COO tensors count as not contiguous; the others have no answer."""
        self._has_none("is_contiguous")
        return False

    def __len__(self) -> int:
        return self.shape[0]

    def stride(self, *args: Any) -> Any:
        """Zeros for COO tensors; the others have none."""
        self._has_none("strides")
        strides = (0,) * self.dim()
        return strides[args[0]] if args and args[0] is not None else strides

    def storage_offset(self) -> int:
        """Zero."""
        return 0

    def numpy(self, *args: Any, **kwargs: Any) -> Any:
        """Raises: make it dense first."""
        kind = "Sparse" if self.kind == "coo" else "Sparse" + self.kind.capitalize()
        raise TypeError(f"can't convert {kind} layout tensor to numpy. Use Tensor.to_dense() first.")

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        """Raises as `numpy` does."""
        return self.numpy()

    def __deepcopy__(self, memo: dict) -> Any:
        """A tensor with copies of the parts."""
        if not self.is_leaf:
            raise RuntimeError(
                "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at "
                "the moment.  If you were attempting to deepcopy a module, this may be because of a "
                "torch.nn.utils.weight_norm usage, see https://github.com/pytorch/pytorch/pull/103001"
            )
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone().requires_grad_(self.requires_grad)
        return memo[id(self)]

    # ------------------------------------------------------------ its parts
    def _values(self) -> Any:
        """The stored values, connected to the graph of this tensor."""
        with _plain_calls():
            return self.as_subclass(fb.Tensor)

    def _indices(self) -> Any:
        """Coordinates (sparse dimensions, values), as they are."""
        self._need("coo", "_indices")
        return self.__dict__["_parts"][0]

    def _need(self, kind: str, name: str) -> None:
        if self.kind != kind:
            wanted = {"coo": "sparse coordinate"}.get(kind, f"sparse {kind}")
            raise RuntimeError(
                f"{name} expected {wanted} tensor layout but got Sparse{self.kind.capitalize()}"
            )

    def _nnz(self) -> int:
        """Number of stored values."""
        return self._values().shape[self.batch_dim()]

    def _both_indices(self) -> tuple:
        """The indices of a compressed tensor: where its lines start, and the places in them."""
        return self.__dict__["_parts"]

    def batch_dim(self) -> int:
        """Number of leading dimensions that count matrices."""
        return 0 if self.kind == "coo" else self._both_indices()[0].dim() - 1

    def indices(self) -> Any:
        """Coordinates of a coalesced tensor."""
        self._need("coo", "indices")
        if not self.is_coalesced():
            raise RuntimeError("Cannot get indices on an uncoalesced tensor, please call .coalesce() first")
        return self._indices()

    def values(self) -> Any:
        """Stored values (of a coalesced tensor, where COO)."""
        if self.kind == "coo" and not self.is_coalesced():
            raise RuntimeError("Cannot get values on an uncoalesced tensor, please call .coalesce() first")
        return self._values()

    def _compressed_part(self, main: int, place: int, name: str) -> Any:
        if _COMPRESSED_DIM.get(self.kind) != main:
            other = ("row", "column")[main]
            raise RuntimeError(
                f"{name} expected sparse {other} compressed tensor layout but got "
                f"Sparse{'' if self.kind == 'coo' else self.kind.capitalize()}"
            )
        return self.__dict__["_parts"][place]

    def crow_indices(self) -> Any:
        """Where each row of a CSR or BSR tensor starts."""
        return self._compressed_part(0, 0, "crow_indices")

    def col_indices(self) -> Any:
        """Columns of the values of a CSR or BSR tensor."""
        return self._compressed_part(0, 1, "col_indices")

    def ccol_indices(self) -> Any:
        """Where each column of a CSC or BSC tensor starts."""
        return self._compressed_part(1, 0, "ccol_indices")

    def row_indices(self) -> Any:
        """Rows of the values of a CSC or BSC tensor."""
        return self._compressed_part(1, 1, "row_indices")

    def sparse_dim(self) -> int:
        """Number of dimensions that the coordinates count."""
        return self._indices().shape[0] if self.kind == "coo" else 2

    def dense_dim(self) -> int:
        """Number of dimensions of each value."""
        return self.dim() - self.sparse_dim() - self.batch_dim()

    def is_coalesced(self) -> bool:
        """Whether coordinates are sorted and different."""
        self._need("coo", "is_coalesced")
        return self.__dict__["_coalesced"]

    def _coalesced_(self, coalesced: bool) -> Any:
        """Say whether coordinates are sorted and different."""
        self._need("coo", "_coalesced_")
        self.__dict__["_coalesced"] = bool(coalesced)
        return self

    # ------------------------------------------------------------ conversions
    def coalesce(self) -> Any:
        """Sorted coordinates, values of equal ones added up."""
        self._need("coo", "coalesce")
        if self.is_coalesced():
            return self
        index, values = self._indices(), self._values()
        where = flat_index(index, self.shape)
        unique, inverse = where.unique(return_inverse=True)
        summed = fb.zeros((unique.shape[0], *values.shape[1:]), dtype=values.dtype, device=values.device)
        summed = summed.index_add(0, inverse, values)
        sizes = self.shape[: index.shape[0]]
        parts = fb.stack(fb.unravel_index(unique, sizes)) if sizes else index[:, : unique.shape[0]]
        return coo(parts, summed, self.shape, True)

    def _coordinates(self) -> Any:
        """Coordinates of the values, whatever the layout."""
        if self.kind == "coo":
            return self._indices()
        starts, other = self._both_indices()
        if self.batch_dim():
            places = _batch_coordinates(self)
            return self._of_elements(places[:-2], places[-2:]) if self.kind in _BLOCKS else places
        # where a row or column begins the number goes up by one; by more where some are empty
        which = fb.zeros(other.shape[0] + 1, dtype=fb.int64, device=starts.device)
        begun = starts[1:-1]
        which = which.index_add_(0, begun, fb.ones(begun.shape, dtype=fb.int64, device=starts.device)).cumsum(
            0
        )[:-1]
        pair = (which, other.to(fb.int64)) if _COMPRESSED_DIM[self.kind] == 0 else (other.to(fb.int64), which)
        return self._of_elements((), pair) if self.kind in _BLOCKS else fb.stack(pair)

    def _of_elements(self, batch: Any, pair: Any) -> Any:
        """Coordinates of the elements of blocks from those of the blocks."""
        rows, cols = (fb.arange(n, device=pair[0].device) for n in self.blocksize)
        inner = fb.broadcast_tensors(rows[:, None], cols)
        first = [i[:, None, None] * n for i, n in zip(pair, self.blocksize)]
        places = [i[:, None, None].expand(-1, *self.blocksize).flatten() for i in batch]
        return fb.stack([*places, *((i + within).flatten() for i, within in zip(first, inner))])

    @property
    def blocksize(self) -> tuple[int, int]:
        """The rows and columns of a block; of single values where there are no blocks."""
        b = self.batch_dim()
        return tuple(self._values().shape[b + 1 : b + 3]) if self.kind in _BLOCKS else (1, 1)

    def _elements(self) -> tuple[Any, Any]:
        """The coordinates of single elements, and their values."""
        values = self._values()
        inner = self.batch_dim() + 2 * (self.kind in _BLOCKS)
        return self._coordinates(), values.flatten(0, inner) if inner else values

    def like_elements(self, values: Any) -> Any:
        """The same places with other values, in the order of `_elements`."""
        return self.like(values.reshape(self._values().shape))

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """The strided tensor with zeros where nothing is stored."""
        (index, values), shape = self._elements(), self.shape
        sparse = index.shape[0]
        count = math.prod(shape[:sparse])
        flat = fb.zeros((count, *shape[sparse:]), dtype=values.dtype, device=values.device)
        result = flat.index_add_(0, flat_index(index, shape), values).reshape(shape)
        return result if dtype is None else result.to(dtype)

    def to_sparse(
        self, *args: Any, layout: Any = None, blocksize: Any = None, dense_dim: int | None = None
    ) -> Any:
        """COO, or another layout; those of blocks need `blocksize`."""
        if args and not isinstance(args[0], int):
            layout = args[0]
        kind = "coo" if layout is None else str(layout).rpartition("_")[2]
        if kind == self.kind:
            return self
        if kind == "coo":
            index, values = self._elements()
            if self.kind in _BLOCKS:
                order = flat_index(index, self.shape).argsort()
                return coo(index[:, order], values.index_select(0, order), self.shape, True)
            return coo(index, values, self.shape, self.kind == "csr")
        check_blocksize(self.layout, kind, blocksize)
        return self._to_compressed(kind, blocksize, dense_dim)

    def _to_compressed(self, kind: str, blocksize: Any = None, dense_dim: int | None = None) -> Any:
        if kind == self.kind:
            if blocksize is not None and tuple(blocksize) != self.blocksize:
                raise RuntimeError(
                    f"to_sparse_{kind}: conversion from Sparse{kind.capitalize()} to"
                    f" Sparse{kind.capitalize()} "
                    f"with blocksize changed from {list(self.blocksize)} to {list(blocksize)} is not"
                    " supported"
                )
            return self
        if b := self.batch_dim():
            return _stacked([m._to_compressed(kind, blocksize) for m in _members(self)], self.shape[:b])
        if dense_dim is not None or self.sparse_dim() != 2:
            flat = self.sparse_dim() != 2
            why = "for input tensors with sparse_dim()!=2" if flat else "with dense_dim argument given"
            raise RuntimeError(
                f"coo_to_sparse_{kind}: conversion from Sparse to Sparse{kind.capitalize()} {why} is not"
                " supported"
            )
        main = _COMPRESSED_DIM[kind]
        source = self.coalesce() if self.kind == "coo" else self
        index, values = source._elements()
        if kind in _BLOCKS:
            return _blocks(kind, index, values, self.shape, blocksize or self.blocksize)
        if source.kind != "coo" or main != 0:  # else they are in this order
            order = (index[main] * self.shape[1 - main] + index[1 - main]).argsort()
            index, values = index.index_select(1, order), values.index_select(0, order)
        return compressed(kind, starts_of(index[main], self.shape[main]), index[1 - main], values, self.shape)

    def to_sparse_csr(self, dense_dim: int | None = None) -> Any:
        """Compressed rows."""
        return self._to_compressed("csr", None, dense_dim)

    def to_sparse_csc(self, dense_dim: int | None = None) -> Any:
        """Compressed columns."""
        return self._to_compressed("csc", None, dense_dim)

    def to_sparse_bsr(self, blocksize: Any, dense_dim: int | None = None) -> Any:
        """Compressed rows of blocks."""
        return self._to_compressed("bsr", pair_of(blocksize), dense_dim)

    def to_sparse_bsc(self, blocksize: Any, dense_dim: int | None = None) -> Any:
        """Compressed columns of blocks."""
        return self._to_compressed("bsc", pair_of(blocksize), dense_dim)

    def to_sparse_coo(self) -> Any:
        """Coordinates."""
        return self.to_sparse()

    def like(self, values: Any) -> Any:
        """The same places with other values."""
        return _make(values, self.kind, self.__dict__["_parts"], self.shape, self.__dict__["_coalesced"])

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _make, (
            self._values().detach(),
            self.kind,
            self.__dict__["_parts"],
            tuple(self.shape),
            self.__dict__["_coalesced"],
        )


def is_sparse(x: Any) -> bool:
    """Whether an object is a sparse tensor."""
    return isinstance(x, SparseTensor)


def _make(values: Any, kind: str, parts: tuple, size: Sequence[int], coalesced: bool) -> Any:
    with _plain_calls():
        t = values.as_subclass(SparseTensor)
    # one value at most is always in order
    coalesced = coalesced or (kind == "coo" and values.shape[0] < 2)
    t.__dict__.update(_kind=kind, _parts=parts, _size=tuple(size), _coalesced=coalesced)
    return t


def coo(indices: Any, values: Any, size: Sequence[int], coalesced: bool = False) -> Any:
    """A COO tensor of coordinates (sparse dimensions, n) and values (n, dense sizes…)."""
    return _make(values, "coo", (indices,), size, coalesced)


def compressed(kind: str, starts: Any, plain: Any, values: Any, size: Sequence[int]) -> Any:
    """A tensor of compressed rows or columns, of values or of blocks of them."""
    return _make(values, kind, (starts, plain), size, False)


def emptied(s: Any) -> Any:
    """A tensor of the same layout, sizes and dtype that stores nothing."""
    none = fb.zeros_like(s._values().detach().narrow(s.batch_dim(), 0, 0))
    parts = s._both_indices()
    if s.kind == "coo":
        return coo(parts[0][:, :0], none, s.shape, True)
    return compressed(s.kind, fb.zeros_like(parts[0]), parts[1][..., :0].clone(), none, s.shape)


def pair_of(blocksize: Any) -> tuple[int, int]:
    """The rows and columns of a block; one number stands for both."""
    return (blocksize, blocksize) if isinstance(blocksize, int) else tuple(blocksize)


def check_blocksize(source: Any, kind: str, blocksize: Any) -> None:
    """Raise unless a block size is given just where the layout has blocks."""
    if (blocksize is not None) != (kind in _BLOCKS):
        names = [
            "".join(p.capitalize() for p in str(n).removeprefix("torch.").split("_")) for n in (source, kind)
        ]
        what = "with" if blocksize is not None else "without"
        raise RuntimeError(
            f"dense_to_sparse: conversion from {names[0]} to Sparse{names[1]} {what} blocksize"
            " argument given "
            "is not supported"
        )


def _blocks(kind: str, index: Any, values: Any, shape: Sequence[int], blocksize: tuple[int, int]) -> Any:
    """The BSR or BSC tensor of elements; blocks that hold none of them are left out."""
    if len(blocksize) != 2:
        raise RuntimeError(
            f"dense_to_sparse_{kind}: blocksize needs to be a tuple of size 2, but got {len(blocksize)}"
        )
    if min(blocksize) <= 0:
        raise RuntimeError(
            f"dense_to_sparse_{kind}: blocksize needs to be positive, but got {list(blocksize)}"
        )
    if any(n % b for n, b in zip(shape, blocksize)):
        raise RuntimeError(
            f"dense_to_sparse_{kind}: tensor sparse size ({shape[0]},{shape[1]}) must be divisible by given "
            f"blocksize ({blocksize[0]},{blocksize[1]})"
        )
    main = _COMPRESSED_DIM[kind]
    at = [i // b for i, b in zip(index, blocksize)]
    counts = [n // b for n, b in zip(shape, blocksize)]
    block, which = (at[main] * counts[1 - main] + at[1 - main]).unique(return_inverse=True)
    size = (block.shape[0], *blocksize, *values.shape[1:])
    stored = fb.zeros(size, dtype=values.dtype, device=values.device)
    stored = stored.index_put((which, index[0] % blocksize[0], index[1] % blocksize[1]), values)
    first = block // counts[1 - main]
    per_line = fb.zeros(counts[main], dtype=fb.int64).index_add_(0, first, fb.ones_like(first))
    starts = fb.cat([fb.zeros(1, dtype=fb.int64), per_line.cumsum(0)])
    return compressed(kind, starts, block % counts[1 - main], stored, shape)


def replace(t: Any, by: Any) -> Any:
    """Make a sparse tensor hold what another one holds, in place."""
    with _plain_calls():
        t.data = by.data
    t.__dict__.update({k: by.__dict__[k] for k in ("_kind", "_parts", "_size", "_coalesced")})
    return t


def flat_index(index: Any, shape: Sequence[int]) -> Any:
    """Coordinates as positions in the flattened sparse dimensions."""
    if index.shape[0] == 0:
        return fb.zeros(index.shape[1], dtype=fb.int64, device=index.device)
    flat = index[0]
    for d in range(1, index.shape[0]):
        flat = flat * shape[d] + index[d]
    return flat


def starts_of(sorted_rows: Any, count: int) -> Any:
    """Where each of `count` rows begins among elements in the order of rows, and where the last ends."""
    starts = fb.zeros(count + 1, dtype=fb.int64, device=sorted_rows.device)
    return starts.index_add_(0, sorted_rows + 1, fb.ones_like(sorted_rows)).cumsum(0)


def from_dense(t: Any, sparse_dim: int | None = None) -> Any:
    """The COO tensor of what is not zero."""
    count = t.dim() if sparse_dim is None else sparse_dim
    if not 0 <= count <= t.dim() or (count == 0 and t.dim() > 0):
        raise RuntimeError(f"sparse_dim must be in range [1, {t.dim()}], but got {count}")
    refuse_float8("nonzero_count_cpu", t.dtype)
    there = t.detach() != 0
    if t.dim() > count:
        there = there.flatten(count).any(-1)
    index = there.nonzero().t().contiguous()
    values = t[tuple(index)] if count else t.reshape(1)[: index.shape[1]]
    return coo(index, values, t.shape, True)


# ---------------------------------------------------------------- batches of compressed matrices
# The leading dimensions of the indices and values of one tensor.
def _batch_coordinates(s: Any) -> Any:
    """Places in the batch, rows and columns of the values (of the blocks) of a batch, one after the other."""
    starts, other = s._both_indices()
    batch, count = tuple(starts.shape[:-1]), other.shape[-1]
    flat = starts.reshape(-1, starts.shape[-1])
    lines = fb.arange(flat.shape[1] - 1, device=starts.device).expand(flat.shape[0], -1).flatten()
    which = lines.repeat_interleave(flat.diff(dim=1).flatten())
    pair = (which, other.flatten().to(fb.int64))
    first = fb.arange(flat.shape[0], device=starts.device).repeat_interleave(count)
    places = fb.unravel_index(first, batch)
    return fb.stack([*places, *(pair if s.kind in ("csr", "bsr") else pair[::-1])])


def _members(s: Any) -> list:
    """The single matrices of a batch."""
    starts, other = s._both_indices()
    b, values = s.batch_dim(), s._values()
    parts = (t.flatten(0, b - 1).unbind(0) for t in (starts, other, values))
    return [compressed(s.kind, *given, s.shape[b:]) for given in zip(*parts)]


def _stacked(matrices: Sequence[Any], batch: Sequence[int]) -> Any:
    """A batch of compressed matrices that store equally many values."""
    if len({m._nnz() for m in matrices}) > 1:
        raise RuntimeError("Expect the same number of specified elements per batch.")
    parts = [fb.stack(list(p)) for p in zip(*(m._both_indices() for m in matrices))]
    values = fb.stack([m._values() for m in matrices])
    starts, plain, stored = (t.reshape(*batch, *t.shape[1:]) for t in (*parts, values))
    return compressed(matrices[0].kind, starts, plain, stored, (*batch, *matrices[0].shape))


def from_dense_batch(t: Any, kind: str, blocksize: Any = None, dense_dim: int | None = None) -> Any:
    """A strided tensor as a compressed matrix, or as a batch of them; `dense_dim` is that of their values."""
    if dense_dim is not None and not 0 <= dense_dim <= t.dim() - 2:
        raise RuntimeError(
            f"dense_to_sparse_{kind}: dense_dim argument must be in [0,{t.dim() - 2}] range, but {dense_dim}"
            " is given"
        )
    batch = tuple(t.shape[: t.dim() - 2 - (dense_dim or 0)])
    if not batch or not math.prod(batch):
        return from_dense(t, t.dim() - (dense_dim or 0))._to_compressed(kind, blocksize)
    matrices = t.flatten(0, len(batch) - 1).unbind(0)
    made = [from_dense(m, 2)._to_compressed(kind, blocksize) for m in matrices]
    return _stacked(made, batch)
