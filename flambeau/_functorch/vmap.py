"""The steps of `vmap` under PyTorch's names: arguments checked, samples made of them, results taken apart."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from flambeau import Tensor
from flambeau.func import batched, vmapping
from flambeau.func.vmapping import check_place as _check_int_or_none
from flambeau.func.vmapping import check_randomness as _check_randomness_arg
from flambeau.func.vmapping import name_of as _get_name
from flambeau.func.vmapping import number_of_samples as _validate_and_get_batch_size
from flambeau.utils._pytree import (
    TreeSpec,
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_map_,
    tree_unflatten,
)

from ._core import (
    _add_batch_dim,
    _remove_batch_dim,
    _vmap_decrement_nesting,
    _vmap_increment_nesting,
    is_batchedtensor,
)

__all__ = [
    "Tensor", "_add_batch_dim", "_as_tuple", "_broadcast_to_and_flatten", "_check_int_or_none",
    "_check_out_dims_is_int_or_int_pytree", "_check_randomness_arg", "_create_batched_inputs", "_flat_vmap",
    "_get_name", "_maybe_remove_batch_dim", "_num_outputs", "_process_batched_inputs", "_remove_batch_dim",
    "_unwrap_batched", "_validate_and_get_batch_size", "get_chunk_sizes", "is_batchedtensor", "restore_vmap",
    "tree_flatten", "tree_map_", "tree_unflatten", "unwrap_batched", "vmap_impl", "vmap_increment_nesting",
    "wrap_batched",
]  # fmt: skip

in_dims_t = int | tuple[Any, ...]
out_dims_t = int | tuple[int, ...] | None


def _as_tuple(value: Any, num_elements: int, error_message_lambda: Callable[[], str]) -> tuple:
    """A tuple of so many elements; one value is one element."""
    if not isinstance(value, tuple):
        return (value,)
    if len(value) != num_elements:
        raise ValueError(error_message_lambda())
    return value


def _num_outputs(batched_outputs: Any) -> int:
    """How many values a function returned."""
    return len(batched_outputs) if isinstance(batched_outputs, tuple) else 1


def _process_batched_inputs(in_dims: Any, args: tuple, func: Callable) -> tuple[int, list, list, TreeSpec]:
    """The number of samples, the dimension of each leaf that counts them, the leaves, their structure."""
    leaves, dims, spec, size = vmapping.flat_inputs(func, in_dims, args)
    return size, dims, leaves, spec


def _create_batched_inputs(
    flat_in_dims: list, flat_args: list, vmap_level: int, args_spec: TreeSpec
) -> tuple:
    """The arguments as the function sees them."""
    seen = [x if d is None else _add_batch_dim(x, d, vmap_level) for d, x in zip(flat_in_dims, flat_args)]
    return tree_unflatten(seen, args_spec)


def _maybe_remove_batch_dim(
    name: str, batched_output: Any, vmap_level: int, batch_size: int, out_dim: int | None
) -> Any:
    """One result as the caller sees it; `name` is the function's, for errors."""

    return vmapping.left(batched_output, out_dim, batched.Level(vmap_level, batch_size, "error"), name)


def _check_out_dims_is_int_or_int_pytree(out_dims: Any, func: Callable) -> None:
    """Raise unless all leaves say where samples are counted."""
    for leaf in tree_flatten(out_dims)[0]:
        _check_int_or_none(leaf, func, out_dims)


def _unwrap_batched(
    batched_outputs: Any, out_dims: Any, vmap_level: int, batch_size: int, func: Callable
) -> Any:
    """All results as the caller sees them."""
    level = batched.Level(vmap_level, batch_size, "error")
    return vmapping.all_left(batched_outputs, out_dims, level, func)


@contextmanager
def vmap_increment_nesting(batch_size: int, randomness: str) -> Iterator[int]:
    """Context inside a `vmap` of so many samples; gives its level."""
    level = _vmap_increment_nesting(batch_size, randomness)
    try:
        yield level
    finally:
        _vmap_decrement_nesting()


def _flat_vmap(
    func: Callable, batch_size: int, flat_in_dims: list, flat_args: list, args_spec: TreeSpec, out_dims: Any,
    randomness: str, **kwargs: Any,
) -> Any:  # fmt: skip
    """One run of `func` on all samples."""
    with vmap_increment_nesting(batch_size, randomness) as level:
        outputs = func(*_create_batched_inputs(flat_in_dims, flat_args, level, args_spec), **kwargs)
        return _unwrap_batched(outputs, out_dims, level, batch_size, func)


def vmap_impl(
    func: Callable, in_dims: Any, out_dims: Any, randomness: str, chunk_size: int | None, *args: Any,
    **kwargs: Any,
) -> Any:  # fmt: skip
    """`vmap` and its call at once."""
    return vmapping.vmap(func, in_dims, out_dims, randomness, chunk_size=chunk_size)(*args, **kwargs)


def get_chunk_sizes(total_elems: int, chunk_size: int) -> list[int]:
    """The sizes of pieces of at most `chunk_size` samples."""
    whole, rest = divmod(total_elems, chunk_size)
    return [chunk_size] * whole + ([rest] if rest else [])


def wrap_batched(args: Any, bdims: Any, level: int) -> Any:
    """Leaves as samples of a level, those whose dimension is None as they are."""
    flat, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(bdims, spec)
    if dims is None:
        raise AssertionError(f"bdims {bdims} has another structure than the arguments {spec}")
    return _create_batched_inputs(dims, flat, level, spec)


def unwrap_batched(args: Any, level: int) -> tuple[Any, Any]:
    """Leaves without a level, and the dimension of each that counted its samples (None: it had none)."""
    flat, spec = tree_flatten(args)
    bare, dims = [], []
    for x in flat:
        inside = is_batchedtensor(x) and level in batched.levels_of(x)
        bare.append(_remove_batch_dim(x, level, 0, 0) if inside else x)
        dims.append(0 if inside else None)
    return tree_unflatten(bare, spec), (tree_unflatten(dims, spec) if flat else ())


def restore_vmap(func: Callable, in_dims: Any, batch_size: int, randomness: str) -> Callable:
    """`vmap` whose results come with the dimensions that count samples, wherever those are."""

    def inner(*args: Any, **kwargs: Any) -> tuple[Any, Any]:
        with vmap_increment_nesting(batch_size, randomness) as level:
            return unwrap_batched(func(*wrap_batched(args, in_dims, level), **kwargs), level)

    return inner
