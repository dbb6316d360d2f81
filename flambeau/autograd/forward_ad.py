"""Forward-mode differentiation with dual tensors.

A dual tensor is recorded like any tensor that requires grad. Its tangent is found when it is asked for: the
derivative, with respect to the cotangent, of the backward from there to the tensors that `make_dual` made.
That is exact for every operator that can be differentiated twice, and needs recording to be on (no
`no_grad`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from flambeau import _C

from ._engine import grad
from .function import Function, _leaf, _pushing
from .grad_mode import _DecoratorContextManager, enable_grad
from .graph import _other_leaves, saved_tensors_hooks

__all__ = [
    "UnpackedDualTensor",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
    "dual_level",
]

# the level that calls without one use; -1: none is entered
_current_level = -1


class _Level:
    """The duals made at one level: what the function is given, and their tangents."""

    def __init__(self) -> None:
        self.bases: list = []
        self.tangents: list = []
        self.duals: list = []
        self.recorded = _C.is_grad_enabled()
        # tangents are found late: what an operation has saved must outlive writes to its operands
        self.copies = saved_tensors_hooks(lambda t: t.clone(), lambda t: t)


class _Dual(Function):
    """The same numbers as a tensor, in the same memory, with a graph that begins at `base`; no view, so that
    it may be written to."""

    @staticmethod
    def forward(base: Any, tensor: list) -> Any:
        return tensor[0].detach()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> None:
        """Nothing to keep."""

    @staticmethod
    def backward(ctx: Any, cotangent: Any) -> tuple:
        return cotangent, None


_levels: list[_Level] = []


def enter_dual_level() -> int:
    """Enter a new level of dual numbers and return it. Prefer `dual_level`."""
    global _current_level
    if _levels:
        raise RuntimeError("Nested forward mode AD is not supported at the moment")
    _levels.append(_Level())
    _levels[-1].copies.__enter__()
    _C._set_grad_enabled(True)  # forward derivatives do not ask for the mode around them
    _current_level += 1
    return _current_level


def exit_dual_level(*, level: int | None = None) -> None:
    """Leave the innermost level: its tangents are dropped."""
    global _current_level
    if level is None:
        level = _current_level
    if level < 0:
        raise RuntimeError("Dual level must be a positive number.")
    if level != _current_level or not _levels:
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is not"
            " supported."
        )
    left = _levels.pop()
    left.copies.__exit__(None, None, None)
    _C._set_grad_enabled(left.recorded)
    _current_level = level - 1


def make_dual(tensor: Any, tangent: Any, *, level: int | None = None) -> Any:
    """A view of `tensor` that carries `tangent` (same shape) through every operation of the level."""
    if level is None:
        level = _current_level
    if level < 0:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for t, name in ((tensor, "primal"), (tangent, "tangent")):
        if not (t.is_floating_point() or t.is_complex()):
            raise ValueError(f"Expected {name} to be floating point or complex, but got: {t.dtype}")
    if tensor.shape != tangent.shape:
        raise RuntimeError(
            "Trying to set a forward gradient that has a different size than that of the original Tensor,"
            f" this is not supported. Tensor is of size {list(tensor.shape)} while the given forward gradient"
            f" is of size {list(tangent.shape)}."
        )
    entered = _levels[level]
    if any(tensor is known for known in entered.duals):
        raise RuntimeError(
            "Making a dual Tensor based on a Tensor that already has a forward gradient at the same level"
            f" {level} is not supported."
        )
    base = tensor.view_as(tensor) if tensor.requires_grad else _leaf(tensor)
    with enable_grad():
        dual = base if tensor.requires_grad else _Dual.apply(base, [tensor])
    entered.bases.append(base)
    entered.tangents.append(tangent)
    entered.duals.append(dual)
    return dual


class UnpackedDualTensor(NamedTuple):
    """A dual tensor's value and its tangent (None where it has none)."""

    primal: Any
    tangent: Any


def _tangent_of(tensor: Any, level: _Level) -> Any:
    """The derivative of a tensor in the direction of the level's tangents; None where it does not depend on
    its duals."""
    for base, tangent in zip(level.bases, level.tangents):
        if tensor is base:
            return tangent
    if not tensor.requires_grad or not level.bases:
        return None
    with enable_grad():
        cotangent = _leaf(_C.zeros_like(tensor))
        with _pushing:
            pulled = grad(
                tensor, level.bases, cotangent, create_graph=True, retain_graph=True, allow_unused=True
            )
        used = [(g, t) for g, t in zip(pulled, level.tangents) if g is not None]
        if not used:
            return None
        used = [(g, t) for g, t in used if g.requires_grad]
        if not used:
            return _C.zeros_like(tensor).detach()
        grads, tangents = (list(x) for x in zip(*used))
        (found,) = grad(grads, cotangent, tangents, create_graph=True, retain_graph=True, allow_unused=True)
    return _C.zeros_like(tensor).detach() if found is None else found


def unpack_dual(tensor: Any, *, level: int | None = None) -> UnpackedDualTensor:
    """The value of a dual tensor and its tangent at a level (None where it has none)."""
    if level is None:
        level = _current_level
    if level < 0 or not _is_fwd_grad_enabled():
        return UnpackedDualTensor(tensor, None)
    entered = _levels[level]
    tangent = _tangent_of(tensor, entered)
    if tangent is None:
        return UnpackedDualTensor(tensor, None)
    primal = tensor
    if not _other_leaves([tensor], entered.bases):
        primal = tensor.detach()
        tangent = tangent.detach() if not any(t.requires_grad for t in entered.tangents) else tangent
    return UnpackedDualTensor(primal, tangent)


class dual_level(_DecoratorContextManager):
    """Context manager inside which tensors may carry tangents.

    Examples
    --------
    >>> with dual_level():
    ...     y = fn(make_dual(x, v))
    ...     jvp = unpack_dual(y).tangent
    """

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        exit_dual_level()


_enabled = True


def _is_fwd_grad_enabled() -> bool:
    return _enabled


class _set_fwd_grad_enabled(_DecoratorContextManager):
    """Switch forward-mode differentiation on or off, at once and until the end of a block."""

    def __init__(self, mode: bool) -> None:
        global _enabled
        self.prev = _enabled
        _enabled = mode

    def __enter__(self) -> None:
        pass

    def __exit__(self, exc_type: Any, exc_value: Any, traceback: Any) -> None:
        global _enabled
        _enabled = self.prev
