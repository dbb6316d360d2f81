"""Two tensors that change places, wherever they are referred to."""

from __future__ import annotations

import copyreg
import weakref

import flambeau as fb

__all__ = ["swap_tensors"]


def _slots(kind: type) -> set[str]:
    return set(copyreg._slotnames(kind))


def swap_tensors(t1: fb.Tensor, t2: fb.Tensor) -> None:
    """Exchange the contents, the class and the attributes of two tensors.

    Who holds the one object then holds the other tensor: module parameters, optimizer states.

    Raises
    ------
    RuntimeError : there are weak references to one, or their classes have different slots.
    """
    for name, t in (("t1", t1), ("t2", t2)):
        if not isinstance(t, fb.Tensor):
            raise TypeError(f"swap_tensors: {name} must be a Tensor, not {type(t).__name__}")
        if weakref.getweakrefs(t):
            raise RuntimeError(f"Cannot swap {name} because it has weakref associated with it")
    slots = _slots(type(t1))
    if slots != _slots(type(t2)):
        raise RuntimeError("Cannot swap t1 and t2 if they have different slots")
    if type(t1) is not type(t2):
        t1.__class__, t2.__class__ = type(t2), type(t1)
    t1.__dict__, t2.__dict__ = t2.__dict__, t1.__dict__
    for name in slots:
        first, second = (getattr(t, name, _slots) for t in (t1, t2))
        for t, value in ((t1, second), (t2, first)):
            if value is not _slots:
                setattr(t, name, value)
            elif hasattr(t, name):
                delattr(t, name)
    fb.Tensor._swap(t1, t2)
