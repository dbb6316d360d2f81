"""`vmap`: a function of samples becomes one of batches."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import flambeau as fb

from ..utils._pytree import _broadcast_to_and_flatten, tree_flatten, tree_structure, tree_unflatten
from . import batched, differentiated, layers, products, refused  # noqa: F401 (they add rules)
from .rules import Randomness

__all__ = ["vmap"]


def name_of(func: Callable) -> str:
    """What messages call a function."""
    if isinstance(func, functools.partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return getattr(func, "__name__", repr(func))


def flat_inputs(func: Callable, in_dims: Any, args: tuple) -> tuple[list, list, Any, int]:
    """Leaves of the arguments, the dimension of each that counts samples, the structure, the number of
    samples."""
    label = f"vmap({name_of(func)}, in_dims={in_dims}, ...)(<inputs>)"
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{label}: expected `in_dims` to be int or a (potentially nested) tuple matching the structure of"
            f" inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name_of(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or you are"
            " trying to vmap over a function with no inputs. The latter is unsupported."
        )
    leaves, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{label}: in_dims is not compatible with the structure of `inputs`. in_dims has structure"
            f" {tree_structure(in_dims)} but inputs has structure {spec}."
        )
    for i, (x, d) in enumerate(zip(leaves, dims)):
        if d is None:
            continue
        if not isinstance(d, int):
            raise ValueError(
                f"{label}: Got in_dim={d} for an input but in_dim must be either an integer dimension or"
                " None."
            )
        if not isinstance(x, fb.Tensor):
            raise ValueError(
                f"{label}: Got in_dim={d} for an input but the input is of type {type(x)}. We cannot vmap"
                " over non-Tensor arguments, please use None as the respective in_dim"
            )
        ndim = x.dim()
        if not -ndim <= d < ndim:
            raise ValueError(
                f"{label}: Got in_dim={d} for some input, but that input is a Tensor of dimensionality {ndim}"
                f" so expected in_dim to satisfy -{ndim} <= in_dim < {ndim}."
            )
        dims[i] = d % ndim
    return leaves, dims, spec, number_of_samples(dims, leaves)


def number_of_samples(dims: list, leaves: list) -> int:
    """What all arguments that have samples (a dimension that is not None) must agree on."""
    sizes = [x.shape[d] for x, d in zip(leaves, dims) if d is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(s != sizes[0] for s in sizes):
        raise ValueError(
            f"vmap: Expected all tensors to have the same size in the mapped dimension, got sizes {sizes} for"
            " the mapped dimension"
        )
    return sizes[0]


def check_randomness(randomness: str) -> None:
    """Raise unless it is one of the three ways."""
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )


def check_place(place: Any, func: Callable, out_dims: Any) -> None:
    """Raise unless a leaf of `out_dims` says where samples are counted."""
    if place is not None and not isinstance(place, int):
        raise ValueError(
            f"vmap({name_of(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None or a python "
            "collection of ints representing where in the outputs the vmapped dimension should appear."
        )


def left(x: Any, dim: int | None, level: batched.Level, name: str) -> Any:
    """An output of the function of that name as the caller sees it."""
    if not isinstance(x, fb.Tensor):
        if dim is None:
            return x
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(x)}. Did you"
            " mean to set out_dims= to None for output?"
        )
    if dim is not None:
        return batched.left(x, dim, level.number, level.size)
    if level.number in batched.levels_of(x):
        raise ValueError(f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None")
    return x


def all_left(output: Any, out_dims: Any, level: batched.Level, func: Callable) -> Any:
    """All outputs of a function as the caller sees them."""
    flat, spec = tree_flatten(output)
    places = _broadcast_to_and_flatten(out_dims, spec)
    if places is None:
        raise ValueError(
            f"vmap({name_of(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not compatible with"
            f" the structure of `outputs`. out_dims has structure {tree_structure(out_dims)} but outputs"
            f" has structure {spec}."
        )
    for place in places:
        check_place(place, func, out_dims)
    name = name_of(func)
    return tree_unflatten([left(x, d, level, name) for x, d in zip(flat, places)], spec)


def vmap(
    func: Callable,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable:
    """A function that runs `func` on all samples of a batch at once.

    Parameters
    ----------
    func : function of samples; returns tensors, in containers or not.
    in_dims : the dimension of each input that counts samples, None for inputs that all samples share; an int
        for all inputs, or a structure like theirs.
    out_dims : where that dimension goes in the outputs.
    randomness : ``"error"``, ``"different"`` or ``"same"`` random numbers for the samples.
    chunk_size : samples at once; all of them by default.
    """
    check_randomness(randomness)
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        leaves, dims, spec, size = flat_inputs(func, in_dims, args)
        if chunk_size is None or chunk_size >= size:
            return _mapped(func, leaves, dims, spec, size, out_dims, randomness, kwargs)
        pieces = []
        for start in range(0, size, chunk_size):
            count = min(chunk_size, size - start)
            part = [x if d is None else x.narrow(d, start, count) for x, d in zip(leaves, dims)]
            pieces.append(_mapped(func, part, dims, spec, count, out_dims, randomness, kwargs))
        flat = [tree_flatten(p)[0] for p in pieces]
        out_spec = tree_structure(pieces[0])
        places = _broadcast_to_and_flatten(out_dims, out_spec)
        joined = [c[0] if d is None else fb.cat(list(c), d) for c, d in zip(zip(*flat), places)]
        return tree_unflatten(joined, out_spec)

    return wrapped


def _mapped(
    func: Callable,
    leaves: list,
    dims: list,
    spec: Any,
    size: int,
    out_dims: Any,
    randomness: str,
    kwargs: dict,
) -> Any:
    level = batched.Level(batched.active()[-1].number + 1 if batched.active() else 1, size, randomness)
    inputs = [x if d is None else batched.entered(x, d, level.number) for x, d in zip(leaves, dims)]
    batched.active().append(level)
    try:
        with Randomness():
            output = func(*tree_unflatten(inputs, spec), **kwargs)
        return all_left(output, out_dims, level, func)
    finally:
        batched.active().pop()
