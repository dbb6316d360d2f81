"""``torch._C.DispatchKey``: the names that PyTorch has for kinds of kernels, and what they mean here.

flambeau has one kernel for a device and modes beside it (gradients, autocast, dispatch to Python), so a
set of
keys is only a set of names. `_ExcludeDispatchKeyGuard` switches off the modes that have a name.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import Iterator
from typing import Any

import flambeau as fb
from flambeau import _C

__all__ = ["DispatchKey", "DispatchKeySet", "_ExcludeDispatchKeyGuard", "_dispatch_keys"]

_BACKENDS = """
    CPU CUDA HIP XLA MPS IPU XPU HPU VE Lazy MTIA MAIA PrivateUse1 PrivateUse2 PrivateUse3 Meta
""".split()
_SINGLE = """
    Undefined 0 Dense 1 Quantized 5 Sparse 8 SparseCsr 9 NestedTensor 10 BackendSelect 11 Python 13
    FuncTorchDynamicLayerBackMode 14 Functionalize 15 Conjugate 16 Negative 17 ZeroTensor 18
    ADInplaceOrView 19 AutogradOther 20 AutogradFunctionality 21 AutogradNestedTensor 22
    AutocastCPU 24 AutocastXPU 27 AutocastIPU 28 AutocastHPU 29 AutocastMPS 31 AutocastCUDA 32
    AutocastPrivateUse1 33 FuncTorchBatched 34 FuncTorchVmapMode 36 FuncTorchGradWrapper 39
    PythonTLSSnapshot 41 FuncTorchDynamicLayerFrontMode 42 PreDispatch 45 PythonDispatcher 46 Autograd 150
    CompositeImplicitAutograd 151 FuncTorchBatchedDecomposition 152 CompositeImplicitAutogradNestedTensor 153
    CompositeExplicitAutograd 154 CompositeExplicitAutogradNonFunctional 155
""".split()
_BLOCKS = {"": 48, "Quantized": 65, "Sparse": 82, "SparseCsr": 99, "NestedTensor": 116, "Autograd": 133}


def _members() -> dict[str, int]:
    made = {name: int(value) for name, value in zip(_SINGLE[::2], _SINGLE[1::2])}
    for block, start in _BLOCKS.items():
        full = {"": "Dense", "Autograd": "AutogradFunctionality"}.get(block, block)
        made[f"StartOf{full}Backends"] = start
        made |= {block + name: start + 1 + i for i, name in enumerate(_BACKENDS)}
        made[f"EndOf{full}Backends"] = start + len(_BACKENDS)  # another name of the last one
    return made


class _Named(enum.Enum):
    def __int__(self) -> int:
        return self.value

    __index__ = __int__


DispatchKey: Any = _Named("DispatchKey", _members(), module="flambeau._C")


_BLOCK_PLACES = {"Quantized": 5, "SparseCsr": 9, "Sparse": 8, "NestedTensor": 10, "Autograd": 21}


def _place(key: Any) -> int:
    """Where a key stands in a set: devices first, then what is done, whatever the device."""
    if key.value in range(48, 65):
        return key.value - 64
    if key.value in range(65, 150):
        return next(place for block, place in _BLOCK_PLACES.items() if key.name.startswith(block))
    return key.value


class DispatchKeySet:
    """Some dispatch keys."""

    def __init__(self, keys: Any) -> None:
        self._keys = frozenset([keys] if isinstance(keys, DispatchKey) else keys)

    def has(self, k: Any) -> bool:
        """Whether a key is in it."""
        return k in self._keys

    def add(self, k: Any) -> DispatchKeySet:
        """A set with the key too."""
        return DispatchKeySet(self._keys | {k})

    def remove(self, k: Any) -> DispatchKeySet:
        """A set without the key."""
        return DispatchKeySet(self._keys - {k})

    def raw_repr(self) -> int:
        """The set as a number, for `from_raw_repr`."""
        return sum(1 << int(k) for k in self._keys)

    @staticmethod
    def from_raw_repr(raw: int) -> DispatchKeySet:
        """The set of such a number."""
        return DispatchKeySet(k for k in DispatchKey if raw >> int(k) & 1)

    def __or__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys | other._keys)

    def __and__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys & other._keys)

    def __sub__(self, other: DispatchKeySet) -> DispatchKeySet:
        return DispatchKeySet(self._keys - other._keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DispatchKeySet) and self._keys == other._keys

    def __hash__(self) -> int:
        return hash(self._keys)

    def __iter__(self) -> Iterator:
        return iter(sorted(self._keys, key=_place))

    def __repr__(self) -> str:
        return f"DispatchKeySet({', '.join(k.name for k in self)})"


def _dispatch_keys(tensor: Any) -> DispatchKeySet:
    """The keys that a call on a tensor has in PyTorch."""
    device = {"cuda": "CUDA", "meta": "Meta"}.get(tensor.device.type, "CPU")
    kind = "Sparse" if tensor.layout is fb.sparse_coo else "" if tensor.layout is fb.strided else "SparseCsr"
    names = [("Quantized" if tensor.is_quantized else kind) + device]
    if not tensor.is_inference():
        names += ["ADInplaceOrView", f"Autograd{device}"]
    if device != "Meta":
        names.append(f"Autocast{device}")
    names += ["Conjugate"] * tensor.is_conj() + ["Negative"] * tensor.is_neg()
    return DispatchKeySet(DispatchKey[name] for name in names)


# keys that stand for nothing that a call here does by itself
_IDLE = """
    Undefined ADInplaceOrView BackendSelect PythonTLSSnapshot PythonDispatcher PreDispatch Functionalize
    AutocastXPU AutocastIPU AutocastHPU AutocastMPS AutocastPrivateUse1
""".split()


class _ExcludeDispatchKeyGuard:
    """Context without the modes that keys stand for: ``Autocast*``, ``Autograd*`` and ``Python``.

    Raises
    ------
    NotImplementedError : a key stands for something that cannot be switched off here.
    """

    def __init__(self, keyset: DispatchKeySet) -> None:
        self._off: list[str] = []
        for key in keyset:
            if key.name.startswith("Autograd"):
                self._off.append("grad")
            elif key.name in ("AutocastCPU", "AutocastCUDA"):
                self._off.append(key.name.removeprefix("Autocast").lower())
            elif key.name == "Python":
                self._off.append("python")
            elif key.name not in _IDLE:
                raise NotImplementedError(
                    f"torch._C._ExcludeDispatchKeyGuard: flambeau cannot leave out {key.name}; "
                    "it can leave out Autograd, Autocast and Python keys"
                )

    def __enter__(self) -> _ExcludeDispatchKeyGuard:
        self._stack = contextlib.ExitStack()
        for what in dict.fromkeys(self._off):
            self._stack.enter_context(_without(what))
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()


def _without(what: str) -> Any:
    if what == "grad":
        return fb.no_grad()
    if what == "python":
        from .utils._python_dispatch import _disable_current_modes

        stack = contextlib.ExitStack()
        stack.enter_context(_disable_current_modes())
        stack.enter_context(_C.DisableTorchFunctionSubclass())
        return stack
    return fb.autocast(what, enabled=False)
