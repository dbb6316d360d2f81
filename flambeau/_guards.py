"""What is being traced now."""

from __future__ import annotations

from typing import Any

__all__ = ["active_fake_mode", "detect_fake_mode"]


def active_fake_mode() -> Any:
    """The `FakeTensorMode` that is on, None outside."""
    from flambeau._subclasses.fake_tensor import FakeTensorMode
    from flambeau.utils._python_dispatch import _get_current_dispatch_mode_stack

    on = [m for m in _get_current_dispatch_mode_stack() if isinstance(m, FakeTensorMode)]
    return on[-1] if on else None


def detect_fake_mode(inputs: Any = None) -> Any:
    """The mode of the fake tensors among inputs, or else the one that is on; None without either.

    Raises
    ------
    AssertionError : there are several.
    """
    from flambeau._subclasses.fake_tensor import FakeTensor
    from flambeau.utils._pytree import tree_leaves

    found = {id(t.fake_mode): t.fake_mode for t in tree_leaves(inputs) if isinstance(t, FakeTensor)}
    active = active_fake_mode()
    if active is not None:
        found[id(active)] = active
    if len(found) > 1:
        raise AssertionError("fake tensors of several modes, or of another mode than the one that is on")
    return next(iter(found.values()), None)
