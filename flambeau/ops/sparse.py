"""Making sparse tensors, and the methods of strided ones that have to do with them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
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
    layout: fb.layout | None = None,
) -> Any:  # fmt: skip
    """A tensor of coordinates (dimensions, n) and values (n, …), which add up where coordinates are equal.

    The size is the smallest that holds all coordinates where it is not given; with a size alone nothing is
    stored.
    """
    from ..sparse.tensor import coo

    if layout not in (None, fb.sparse_coo):
        raise RuntimeError(f"sparse_coo_tensor: layout must be torch.sparse_coo but got {layout}")
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
    if index.numel() and index.device.type != "meta":
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
    """A tensor of compressed rows or columns (CSR, CSC) or those of blocks (BSR, BSC), by `layout`."""
    from ..sparse.tensor import compressed

    if layout not in (fb.sparse_csr, fb.sparse_csc, fb.sparse_bsr, fb.sparse_bsc):
        raise RuntimeError(
            "sparse_compressed_tensor expected sparse compressed tensor layout but got "
            + ("none" if layout is None else str(layout).removeprefix("torch."))
        )
    kind = str(layout).rpartition("_")[2]
    starts, plain, stored = (
        _as_index(compressed_indices),
        _as_index(plain_indices),
        _as_values(values, dtype, device),
    )
    main, other = ("crow", "col") if kind in ("csr", "bsr") else ("ccol", "row")
    if starts.dim() != plain.dim():
        raise RuntimeError(
            f"{main}_indices and {other}_indices dimensionalities must be equal but got {starts.dim()} and"
            f" {plain.dim()}, respectively"
        )
    batch, has_blocks = max(starts.dim() - 1, 0), kind in ("bsr", "bsc")
    if stored.dim() <= batch + 2 * has_blocks:
        raise RuntimeError(
            "values must have dimensionality > sum of batch and block dimensionalities"
            f" (={batch} + {2 * has_blocks}) but got {stored.dim()}"
        )
    block: tuple = tuple(stored.shape[batch + 1 : batch + 3]) if has_blocks else (1, 1)
    is_rows = kind in ("csr", "bsr")
    if size is None:
        lines, across = starts.shape[-1] - 1, int(plain.max()) + 1 if plain.numel() else 0
        counts = (lines, across) if is_rows else (across, lines)
        dense = stored.shape[batch + 1 + 2 * has_blocks :]
        size = (*starts.shape[:-1], counts[0] * block[0], counts[1] * block[1], *dense)
    if plain.shape[-1] != stored.shape[batch]:
        raise RuntimeError(
            f"the number of plain indices ({plain.shape[-1]}) and of values ({stored.shape[batch]}) must be"
            " the same"
        )
    if _checked(check_invariants):
        _check_compressed(starts, plain, [n // b for n, b in zip(size[batch:], block)], is_rows)
    for d, (n, b) in enumerate(zip(size[batch:], block), batch):
        if n % b:
            raise RuntimeError(
                f"tensor shape[{d}] (={n}) must be divisible with blocksize[{d - batch}] (={b}) as defined by"
                " values shape"
            )
    made = compressed(kind, starts, plain, stored, tuple(size))
    return made.requires_grad_() if requires_grad else made


def _check_compressed(starts: Any, plain: Any, counts: list[int], is_rows: bool) -> None:
    """Raise where compressed indices contradict themselves, in PyTorch's words."""
    main, other, limit = (
        ("crow_indices", "col_indices", "ncols") if is_rows else ("ccol_indices", "row_indices", "nrows")
    )
    most, steps = counts[1 if is_rows else 0], starts.diff()
    for holds, text in (
        ((starts[..., 0] == 0).all(), f"{main}[..., 0] == 0"),
        ((starts[..., -1] == plain.shape[-1]).all(), f"{main}[..., -1] == nnz"),
        (((steps >= 0) & (steps <= most)).all(), f"0 <= {main}[..., 1:] - {main}[..., :-1] <= {limit}"),
        (((plain >= 0) & (plain < most)).all(), f"0 <= {other} < {limit}"),
    ):
        if not bool(holds):
            raise RuntimeError(f"`{text}` is not satisfied.")


def _factory(kind: str, first: str, second: str, what: str) -> Callable:
    layout = getattr(fb, f"sparse_{kind}")
    name = f"sparse_{kind}_tensor"

    def factory(*args: Any, **options: Any) -> Any:
        given = options.pop("layout", None)
        if given is not None and given is not layout:
            other = "".join(part.capitalize() for part in str(given).removeprefix("torch.").split("_"))
            raise RuntimeError(f"{name}: layout must be Sparse{kind.capitalize()} but got {other}")
        if first in options:
            options["compressed_indices"] = options.pop(first)
        if second in options:
            options["plain_indices"] = options.pop(second)
        return sparse_compressed_tensor(*args, layout=layout, **options)

    renamed = {"compressed_indices": first, "plain_indices": second}
    like = inspect.signature(sparse_compressed_tensor)
    factory.__signature__ = like.replace(
        parameters=[p.replace(name=renamed.get(p.name, p.name)) for p in like.parameters.values()]
    )
    factory.__name__ = factory.__qualname__ = name
    factory.__doc__ = f"{what}\n\nArguments: {first}, {second}, values, size=None, and those of factories."
    return factory


sparse_csr_tensor = _factory(
    "csr", "crow_indices", "col_indices",
    "A matrix of compressed rows: row i has the values (and columns) from ``crow_indices[i]`` on.",
)  # fmt: skip
sparse_csc_tensor = _factory("csc", "ccol_indices", "row_indices", "A matrix of compressed columns.")
sparse_bsr_tensor = _factory("bsr", "crow_indices", "col_indices", "A matrix of compressed rows of blocks.")
sparse_bsc_tensor = _factory(
    "bsc", "ccol_indices", "row_indices", "A matrix of compressed columns of blocks."
)


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
    python=True,  # it names the layouts it cannot make
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
    from ..sparse.tensor import check_blocksize, from_dense

    if sparse_dim is not None and not isinstance(sparse_dim, int):
        layout, sparse_dim = sparse_dim, None
    kind = "coo" if layout is None else str(layout).rpartition("_")[2]
    if kind != "coo":
        check_blocksize(fb.strided, kind, blocksize)
        return _compressed(input, kind, blocksize, dense_dim)
    return from_dense(input, sparse_dim if dense_dim is None else input.dim() - dense_dim)


def _compressed(input: fb.Tensor, kind: str, blocksize: Any, dense_dim: int | None) -> fb.Tensor:
    from ..sparse.tensor import from_dense_batch, pair_of

    return from_dense_batch(input, kind, None if blocksize is None else pair_of(blocksize), dense_dim)


@composite("to_sparse_csr(Tensor self, int? dense_dim=None) -> Tensor", function=False, method=True)
def to_sparse_csr(input: fb.Tensor, dense_dim: int | None = None) -> fb.Tensor:
    """Compressed rows of what is not zero."""
    return _compressed(input, "csr", None, dense_dim)


@composite("to_sparse_csc(Tensor self, int? dense_dim=None) -> Tensor", function=False, method=True)
def to_sparse_csc(input: fb.Tensor, dense_dim: int | None = None) -> fb.Tensor:
    """Compressed columns of what is not zero."""
    return _compressed(input, "csc", None, dense_dim)


@composite(
    "to_sparse_bsr(Tensor self, int[2] blocksize, int? dense_dim=None) -> Tensor", function=False, method=True
)
def to_sparse_bsr(input: fb.Tensor, blocksize: Any, dense_dim: int | None = None) -> fb.Tensor:
    """Compressed rows of the blocks that are not zero."""
    input.size(-2 - (dense_dim or 0))
    return _compressed(input, "bsr", blocksize, dense_dim)


@composite(
    "to_sparse_bsc(Tensor self, int[2] blocksize, int? dense_dim=None) -> Tensor", function=False, method=True
)
def to_sparse_bsc(input: fb.Tensor, blocksize: Any, dense_dim: int | None = None) -> fb.Tensor:
    """Compressed columns of the blocks that are not zero."""
    input.size(-2 - (dense_dim or 0))
    return _compressed(input, "bsc", blocksize, dense_dim)


@composite("to_sparse_coo(Tensor self) -> Tensor", function=False, method=True)
def to_sparse_coo(input: fb.Tensor) -> fb.Tensor:
    """Coordinates of what is not zero."""
    return to_sparse(input)


@composite("sparse_mask(Tensor self, Tensor mask) -> Tensor", function=False, method=True)
def sparse_mask(input: fb.Tensor, mask: fb.Tensor) -> fb.Tensor:
    """Values at the places that a sparse tensor stores."""
    from ..sparse.shapes import masked_by

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


@composite(
    "saddmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) -> Tensor", out=True
)
def saddmm(input: fb.Tensor, mat1: fb.Tensor, mat2: fb.Tensor, *, beta: Any = 1, alpha: Any = 1) -> fb.Tensor:
    """``beta * input + alpha * mat1 @ mat2`` with a sparse `mat1`."""
    return fb.addmm(input, mat1, mat2, beta=beta, alpha=alpha)


@composite("smm(Tensor self, Tensor mat2) -> Tensor", method=True)
def smm(input: fb.Tensor, mat2: fb.Tensor) -> fb.Tensor:
    """Product of a sparse and a dense matrix, as a sparse one."""
    return to_sparse(fb.mm(input, mat2))
