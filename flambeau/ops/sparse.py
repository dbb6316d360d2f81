"""Making sparse tensors, and the methods of strided ones that have to do with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .registry import composite


def _as_index(x: Any) -> Any:
    return x if isinstance(x, fb.Tensor) else fb.tensor(x, dtype=fb.int64)


def _as_values(x: Any, dtype: fb.dtype | None, device: fb.device | str | int | None) -> Any:
    t = x if isinstance(x, fb.Tensor) else fb.tensor(x)
    if dtype is not None or device is not None:
        t = t.to(device=device, dtype=dtype)
    return t


def _checked(check: bool | None) -> bool:
    from ..sparse import check_sparse_tensor_invariants

    return check_sparse_tensor_invariants.is_enabled() if check is None else check


def sparse_coo_tensor(
    indices: Any = None, values: Any = None, size: Sequence[int] | None = None, *,
    dtype: fb.dtype | None = None, device: fb.device | str | int | None = None, pin_memory: bool = False,
    requires_grad: bool = False, check_invariants: bool | None = None, is_coalesced: bool | None = None,
) -> Any:  # fmt: skip
    """A tensor of coordinates (dimensions, n) and values (n, …), which add up where coordinates are equal.

    The size is the smallest that holds all coordinates where it is not given; with a size alone nothing is
    stored.
    """
    from ..sparse.tensor import coo

    if values is None and (size is None or indices is None):
        shape = tuple(size if size is not None else indices)
        empty = fb.empty((0,), dtype=dtype or fb.get_default_dtype(), device=device)
        made = coo(fb.empty((len(shape), 0), dtype=fb.int64, device=device), empty, shape, False)
        return made.requires_grad_() if requires_grad else made
    index, stored = _as_index(indices).to(fb.int64), _as_values(values, dtype, device)
    if index.dim() == 1 and index.numel() == 0:
        index = index.reshape(0 if size is None else len(size), 0)
    if index.dim() != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {list(index.shape)}")
    if stored.dim() == 0:
        stored = stored.expand(index.shape[1])
    if index.shape[1] != stored.shape[0]:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({index.shape[0]}) + dense_dim ({stored.dim() - 1}),"
            f" and indices and values must have same nnz, but got nnz from indices: {index.shape[1]}, nnz"
            f" from values: {stored.shape[0]}"
        )
    if size is None:
        if index.shape[1] == 0:
            sparse: tuple = (0,) * index.shape[0]
        else:
            sparse = tuple((index.amax(1) + 1).tolist())
        size = (*sparse, *stored.shape[1:])
    size = tuple(size)
    if len(size) != index.shape[0] + stored.dim() - 1:
        raise RuntimeError(
            f"number of dimensions must be sparse_dim ({index.shape[0]}) + dense_dim ({stored.dim() - 1}),"
            f" but got {len(size)}"
        )
    if index.numel():
        low, high = index.amin(1).tolist(), index.amax(1).tolist()
        for d, (a, b) in enumerate(zip(low, high)):
            if a < 0:
                raise RuntimeError(f"found negative index {a} for dim {d}")
            if b >= size[d]:
                raise RuntimeError(
                    f"size is inconsistent with indices: for dim {d}, size is {size[d]} but found index {b}"
                )
    if not stored.requires_grad or dtype is None:
        stored = stored if stored.requires_grad else stored.detach()
    made = coo(index, stored, size, bool(is_coalesced))
    return made.requires_grad_() if requires_grad else made


def sparse_compressed_tensor(
    compressed_indices: Any, plain_indices: Any, values: Any, size: Sequence[int] | None = None, *,
    dtype: fb.dtype | None = None, layout: fb.layout | None = None,
    device: fb.device | str | int | None = None, pin_memory: bool = False, requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:  # fmt: skip
    """A CSR or CSC tensor, by `layout`."""
    from ..sparse.tensor import compressed

    kind = str(layout).rpartition("_")[2]
    if kind not in ("csr", "csc"):
        raise NotImplementedError(f"flambeau has no sparse layout '{kind}' yet")
    starts, plain, stored = (
        _as_index(compressed_indices),
        _as_index(plain_indices),
        _as_values(values, dtype, device),
    )
    if size is None:
        main, other = starts.numel() - 1, int(plain.max()) + 1 if plain.numel() else 0
        size = (main, other) if kind == "csr" else (other, main)
    if plain.shape[0] != stored.shape[0]:
        raise RuntimeError(
            f"the number of plain indices ({plain.shape[0]}) and of values ({stored.shape[0]}) must be the"
            " same"
        )
    if _checked(check_invariants):
        if int(starts[0]) != 0 or int(starts[-1]) != plain.shape[0] or bool((starts.diff() < 0).any()):
            raise RuntimeError(
                "`compressed_indices` must start with 0, end with the number of values and never fall"
            )
    made = compressed(kind, starts, plain, stored, tuple(size))
    return made.requires_grad_() if requires_grad else made


def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Sequence[int] | None = None, **options: Any
) -> Any:
    """A matrix of compressed rows: row i has the values (and columns) from ``crow_indices[i]`` to
    ``crow_indices[i + 1]``."""
    options.pop("layout", None)
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, layout=fb.sparse_csr, **options)


def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Sequence[int] | None = None, **options: Any
) -> Any:
    """A matrix of compressed columns."""
    options.pop("layout", None)
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, layout=fb.sparse_csc, **options)


@composite(
    "to_dense(Tensor self, ScalarType? dtype=None, *, bool? masked_grad=None) -> Tensor",
    function=False,
    method=True,
)
def to_dense(
    input: fb.Tensor, dtype: fb.dtype | None = None, *, masked_grad: bool | None = None
) -> fb.Tensor:
    """The tensor itself: it is strided."""
    return input if dtype is None else input.to(dtype)


@composite(
    "to_sparse(Tensor self, int|Layout? sparse_dim=None, *, Layout? layout=None) -> Tensor",
    function=False,
    method=True,
)
def to_sparse(
    input: fb.Tensor,
    sparse_dim: Any = None,
    *,
    layout: fb.layout | None = None,
    blocksize: Any = None,
    dense_dim: int | None = None,
) -> fb.Tensor:
    """A sparse tensor of what is not zero; `sparse_dim` is the number of dimensions that coordinates
    count."""
    from ..sparse.tensor import from_dense

    if sparse_dim is not None and not isinstance(sparse_dim, int):
        layout, sparse_dim = sparse_dim, None
    made = from_dense(input, sparse_dim)
    return made if layout is None else made.to_sparse(layout=layout)


@composite("to_sparse_csr(Tensor self, int? dense_dim=None) -> Tensor", function=False, method=True)
def to_sparse_csr(input: fb.Tensor, dense_dim: int | None = None) -> fb.Tensor:
    """Compressed rows of what is not zero."""
    return to_sparse(input).to_sparse_csr()


@composite("to_sparse_csc(Tensor self, int? dense_dim=None) -> Tensor", function=False, method=True)
def to_sparse_csc(input: fb.Tensor, dense_dim: int | None = None) -> fb.Tensor:
    """Compressed columns of what is not zero."""
    return to_sparse(input).to_sparse_csc()


@composite("to_sparse_coo(Tensor self) -> Tensor", function=False, method=True)
def to_sparse_coo(input: fb.Tensor) -> fb.Tensor:
    """Coordinates of what is not zero."""
    return to_sparse(input)


@composite("sparse_mask(Tensor self, Tensor mask) -> Tensor", function=False, method=True)
def sparse_mask(input: fb.Tensor, mask: fb.Tensor) -> fb.Tensor:
    """Values at the places that a sparse tensor stores."""
    from ..sparse import masked_by

    return masked_by(input, mask)


@composite("dense_dim(Tensor self) -> int", function=False, method=True)
def dense_dim(input: fb.Tensor) -> int:
    """Number of dimensions that are not counted by coordinates: all of them."""
    return input.dim()


@composite("sparse_dim(Tensor self) -> int", function=False, method=True)
def sparse_dim(input: fb.Tensor) -> int:
    """Number of dimensions that are counted by coordinates: none."""
    return 0


def _only_sparse(name: str, text: str) -> None:
    def refused(input: Any) -> Any:
        raise RuntimeError(f"{name} {text} Strided")

    refused.__name__ = name
    refused.__doc__ = "Raises: the tensor is strided."
    composite(f"{name}(Tensor self) -> Tensor", function=False, method=True)(refused)


_only_sparse("coalesce", "expected sparse coordinate tensor layout but got")
_only_sparse("is_coalesced", "expected sparse coordinate tensor layout but got")
_only_sparse("indices", "expected sparse coordinate tensor layout but got")
_only_sparse("values", "expected sparse tensor layout but got")
_only_sparse("crow_indices", "expected sparse row compressed tensor layout but got")
_only_sparse("col_indices", "expected sparse row compressed tensor layout but got")
_only_sparse("ccol_indices", "expected sparse column compressed tensor layout but got")
_only_sparse("row_indices", "expected sparse column compressed tensor layout but got")


@composite("dsmm(Tensor self, Tensor mat2) -> Tensor", out=True)
def dsmm(input: fb.Tensor, mat2: fb.Tensor) -> fb.Tensor:
    """Product of a sparse and a dense matrix."""
    return fb.mm(input, mat2)


@composite("smm(Tensor self, Tensor mat2) -> Tensor", method=True)
def smm(input: fb.Tensor, mat2: fb.Tensor) -> fb.Tensor:
    """Product of a sparse and a dense matrix, as a sparse one."""
    return to_sparse(fb.mm(input, mat2))
