"""Batched tensors: what a function under `vmap` sees in place of its inputs.

A `BatchedTensor` looks like one sample. Its memory holds all of them: one leading dimension for every active
`vmap` that it depends on (its levels, outer ones first), then the sample's dimensions. Every operator on it
arrives at `__torch_function__`: `rules` has a way to do it for all samples at once, where there is one; else
it runs sample by sample.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

from flambeau import _C
from flambeau._C import Tensor

from .._rules import RuledTensor
from ..autograd import function as _function
from ..utils._pytree import tree_flatten, tree_unflatten

__all__ = [
    "BatchedTensor",
    "Level",
    "active",
    "is_batched",
    "make",
    "physical",
    "logical_dim",
    "entered",
    "left",
    "spread",
    "aligned",
    "union",
    "looped",
]

_plain_calls = _C.DisableTorchFunctionSubclass


class Level(NamedTuple):
    """One `vmap` that is running."""

    number: int
    size: int
    randomness: str


# autograd.Function looks at the same
_running = _function._func_levels


def active() -> list[Level]:
    """The `vmap` calls that are running in this thread, innermost last."""
    return _running.stack


class BatchedTensor(RuledTensor):
    """A sample under `vmap`."""

    @staticmethod
    def _transform_repr(t: Any) -> str:
        with _plain_calls():
            inside = repr(physical(t)).replace("\n", "\n    ")
            return f"BatchedTensor(lvl={t._levels[-1]}, bdim={len(t._levels) - 1}, value=\n    {inside}\n)"

    def _no_number(self) -> Any:
        raise _undecided(
            "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over calling"
            " .item() on a Tensor, please try to rewrite what you're doing with other operations. If error is"
            " occurring somewhere inside PyTorch internals, please file a bug report."
        )

    def _no_memory(self, *args: Any, **kwargs: Any) -> Any:
        raise _undecided("Cannot access data pointer of Tensor that doesn't have storage")

    tolist = numpy = _no_memory
    item = __float__ = __int__ = __index__ = __complex__ = __array__ = _no_number

    def __bool__(self) -> bool:
        raise _undecided(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control flow. We"
            " don't support that yet, please file an issue at https://github.com/pytorch/pytorch/issues ."
        )

    def __len__(self) -> int:
        with _plain_calls():
            shape = self.shape[len(self._levels) :]
        if not shape:
            raise TypeError("len() of a 0-d tensor")
        return shape[0]

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return self._transform_repr(self)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)


def _undecided(text: str) -> RuntimeError:
    """The error of a question that has an answer for each sample only; an operator written in Python that
    meets it is run sample by sample."""
    error = RuntimeError(text)
    error.by_sample = True
    return error


def is_batched(x: Any) -> bool:
    """Whether an object is a batched tensor."""
    return type(x) is BatchedTensor


def levels_of(x: Any) -> tuple[int, ...]:
    """Numbers of the levels that a tensor depends on."""
    return x.__dict__["_levels"] if type(x) is BatchedTensor else ()


def make(data: Any, levels: tuple[int, ...]) -> Any:
    """A plain tensor whose leading dimensions are these levels, as a batched one."""
    if not levels:
        return data
    with _plain_calls():
        t = data.as_subclass(BatchedTensor)
    t.__dict__["_levels"] = levels
    return t


def physical(t: Any) -> Any:
    """The plain tensor with all samples."""
    if type(t) is not BatchedTensor:
        return t
    with _plain_calls():
        return t.as_subclass(Tensor)


def logical_dim(t: Any) -> int:
    """Number of dimensions of a sample."""
    with _plain_calls():
        return t.dim() - len(levels_of(t))


def _wrapped(dim: int, ndim: int) -> int:
    if not -ndim <= dim < ndim:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got {dim})"
        )
    return dim % ndim


def entered(x: Any, dim: int, number: int) -> Any:
    """A tensor whose dimension `dim` counts the samples of a new level, inside of those it depends on."""
    outer = levels_of(x)
    n = len(outer)
    return make(physical(x).movedim(_wrapped(dim, logical_dim(x)) + n, n), (*outer, number))


def left(x: Any, dim: int, number: int, size: int) -> Any:
    """A tensor outside of a level, whose `size` samples dimension `dim` counts; one without is repeated."""
    levels = levels_of(x)
    dim = _wrapped(dim, logical_dim(x) + 1)
    data = physical(x)
    if number not in levels:
        n = len(levels)
        data = data.unsqueeze(n + dim).expand(*data.shape[: n + dim], size, *data.shape[n + dim :])
        return make(data, levels)
    outer = tuple(k for k in levels if k != number)
    return make(data.movedim(levels.index(number), len(outer) + dim), outer)


def sizes(levels: tuple[int, ...]) -> list[int]:
    """Batch sizes of levels."""
    known = {level.number: level.size for level in active()}
    return [known[n] for n in levels]


def union(tensors: Any) -> tuple[int, ...]:
    """The levels that any of the tensors depends on, outer ones first."""
    return tuple(sorted({n for t in tensors for n in levels_of(t)}))


def aligned(t: Any, levels: tuple[int, ...], full: bool = False) -> Any:
    """Plain, with one leading dimension for each of `levels`: of size 1 where it does not depend on it,
    unless `full`."""
    own = levels_of(t)
    data = physical(t)
    if own == levels:
        return data
    for i, n in enumerate(levels):
        if n not in own:
            data = data.unsqueeze(i)
    if full:
        data = data.expand(*sizes(levels), *data.shape[len(levels) :])
    return data


def spread(t: Any) -> Any:
    """A tensor that has a sample of its own at every active level, as what is differentiated under `vmap`
    must."""
    levels = tuple(level.number for level in active())
    if not levels or levels_of(t) == levels:
        return t
    return make(aligned(t, levels, full=True), levels)


def looped(func: Callable, args: tuple, kwargs: dict) -> Any:
    """Run an operator sample by sample and stack what it returns."""
    leaves, spec = tree_flatten((args, kwargs))
    levels = union(leaves)
    counts = sizes(levels)
    name = getattr(func, "__name__", "")
    in_place = (name.endswith("_") and not name.endswith("__")) or name in ("__setitem__", *_IN_PLACE)
    if in_place and levels_of(args[0]) != levels:
        shown = "inplace arithmetic" if name in ("copy_", "__setitem__") else name
        raise _undecided(
            f"vmap: {shown}(self, *extra_args) is not possible because there exists a Tensor `other` in"
            " extra_args that has more elements than `self`. This happened due to `other` being vmapped over"
            " but `self` not being vmapped over in a vmap. Please try to use out-of-place operators instead"
            f" of {shown}."
        )
    full = {i: aligned(x, levels, full=True) for i, x in enumerate(leaves) if is_batched(x)}
    rows = []
    for where in itertools.product(*map(range, counts)):
        sample = [full[i][where] if i in full else x for i, x in enumerate(leaves)]
        a, k = tree_unflatten(sample, spec)
        rows.append(func(*a, **k))
    if in_place:
        return args[0]
    if not rows:
        raise RuntimeError(f"vmap: {name} over no samples is not supported")
    flat = [tree_flatten(r)[0] for r in rows]
    out_spec = tree_flatten(rows[0])[1]
    results = []
    for column in zip(*flat):
        if isinstance(column[0], Tensor):
            stacked = _C.stack(column)
            results.append(make(stacked.reshape(*counts, *stacked.shape[1:]), levels))
        else:
            if any(c != column[0] for c in column):
                raise RuntimeError(
                    f"vmap: {name} returned values that differ between samples and are no tensors"
                )
            results.append(column[0])
    return tree_unflatten(results, out_spec)


_IN_PLACE = (
    "__iadd__", "__isub__", "__imul__", "__itruediv__", "__ifloordiv__", "__imod__", "__ipow__", "__iand__",
    "__ior__", "__ixor__",
)  # fmt: skip
