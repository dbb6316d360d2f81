"""Which modules are running, forward or backward."""

from __future__ import annotations

import weakref
from typing import Any

import flambeau as fb

from ..autograd.graph import register_multi_grad_hook
from ..nn.modules.module import (
    register_module_forward_hook,
    register_module_forward_pre_hook,
)
from ._pytree import tree_flatten

__all__ = ["ModuleTracker"]


class ModuleTracker:
    """Context inside which `parents` holds the names of the modules that are running, ``"Global"`` among
    them.

    Names are those inside the module that was called first: ``"Net.layers.0"``. In the backward of a module
    whose
    inputs need gradients its name is there too.
    """

    def __init__(self) -> None:
        self._running = {"Global"}
        self._backward: set[str] = set()
        self._known: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
        self._seen: weakref.WeakSet = weakref.WeakSet()

    @property
    def parents(self) -> set[str]:
        """Names of the modules that are running."""
        if not self.is_bw:
            self._backward.clear()
        return self._running | self._backward

    @property
    def is_bw(self) -> bool:
        """Whether a backward is running."""
        return fb._C._current_graph_task_id() != -1

    def _name(self, module: Any) -> str:
        if module not in self._known:
            self._known[module] = type(module).__name__
        name = self._known[module]
        if module not in self._seen:
            for child_name, child in module.named_children():
                self._known[child] = f"{name}.{child_name}"
                self._name(child)
            self._seen.add(module)
        return name

    def _before(self, module: Any, inputs: Any) -> None:
        name = self._name(module)
        self._running.add(name)
        tensors = [t for t in tree_flatten(inputs)[0] if isinstance(t, fb.Tensor) and t.requires_grad]
        if tensors:
            self._hooks.append(register_multi_grad_hook(tensors, lambda *_: self._backward.discard(name)))

    def _after(self, module: Any, inputs: Any, output: Any) -> None:
        name = self._name(module)
        self._running.discard(name)
        tensors = [t for t in tree_flatten(output)[0] if isinstance(t, fb.Tensor) and t.requires_grad]
        if tensors:
            self._hooks.append(
                register_multi_grad_hook(tensors, lambda *_: self._backward.add(name), mode="any")
            )

    def __enter__(self) -> ModuleTracker:
        self._hooks: list = []
        self._handles = [
            register_module_forward_pre_hook(self._before),
            register_module_forward_hook(self._after, always_call=True),
        ]
        return self

    def __exit__(self, *args: Any) -> None:
        for handle in self._handles:
            handle.remove()
