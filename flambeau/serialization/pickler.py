"""Writes pickles in which tensors, and all names, look as PyTorch writes them."""

from __future__ import annotations

import io
import pickle
import types
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

import flambeau as fb
from flambeau import _places, storage
from flambeau._constants import qscheme

from . import names, rebuild

_LARGE = 1 << 20  # bytes: smaller storages are not worth a warning
_WASTE = 8  # a warning when this many times more is saved than the tensors use


@dataclass
class SavedStorage:
    """A storage that a pickle refers to."""

    key: str
    untyped: Any
    itemsize: int
    location: str
    kind: Any  # the class of storages that the file says it has
    needed: int = 0  # bytes that tensors of this file use at the most

    def content(self) -> np.ndarray:
        """Its bytes."""
        return storage_bytes(self.untyped)


def storage_bytes(untyped: Any) -> np.ndarray:
    """The bytes of a storage as an array; shared memory where it is on the CPU."""
    size = untyped.nbytes()
    if size == 0:
        return np.empty(0, np.uint8)
    flat = fb.empty(0, dtype=fb.uint8, device=untyped.device).set_(untyped, 0, (size,), (1,))
    return flat.cpu().numpy()


class _Name:
    """Written as a global of this name."""

    def __init__(self, path: str) -> None:
        self.module, _, self.name = path.rpartition(".")

    def __call__(self, *_: Any) -> Any:
        """Only there because a pickler wants what it writes as called to be callable."""
        raise TypeError(f"{self.module}.{self.name} is a name, to be called where the pickle is read")


class _PersistentId:
    """Written as a persistent id."""

    def __init__(self, parts: tuple) -> None:
        self.parts = parts


_PLAIN = frozenset((type(None), bool, int, float, str, bytes, tuple, list, dict, _Name, _PersistentId))


class Pickler(pickle._Pickler):
    """A pickler that collects in `storages` what the tensors of a pickle lie in."""

    dispatch = pickle._Pickler.dispatch.copy()

    def __init__(self, stream: io.BytesIO, protocol: int, legacy: bool = False) -> None:
        super().__init__(stream, protocol=protocol)
        self.legacy = legacy
        self.storages: dict[Any, SavedStorage] = {}
        self._names: dict[str, _Name] = {}

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        """Write one object."""
        kind = type(obj)
        if kind not in _PLAIN:
            return super().save(obj, save_persistent_id)
        # what the base class would do after asking all that may have a say in other types
        self.framer.commit_frame()
        known = self.memo.get(id(obj))
        if known is not None:
            self.write(self.get(known[0]))
        else:
            self.dispatch[kind](self, obj)

    # names

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write a class or function by name; what is flambeau's by its name in PyTorch."""
        module = pickle.whichmodule(obj, name or getattr(obj, "__qualname__", obj.__name__))
        if module.partition(".")[0] == "flambeau":
            name = name or obj.__qualname__
            self._write_name(obj, _places.torch_place(obj, module, name), name)
        elif "<locals>" in getattr(obj, "__qualname__", ""):
            raise AttributeError(
                f"Can't pickle local object {obj.__qualname__!r}\n"
                "It has no name by which it could be found again: define it at the top of a module, or save "
                "a state_dict instead of the object that holds it."
            )
        else:
            super().save_global(obj, name)

    def _write_name(self, obj: Any, module: str, name: str) -> None:
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def _save_name(self, obj: _Name) -> None:
        self._write_name(obj, obj.module, obj.name)

    def _save_type(self, obj: type) -> None:
        if obj in (type(None), type(NotImplemented), type(...)):
            pickle._Pickler.dispatch[type](self, obj)
        else:
            self.save_global(obj)

    def name(self, path: str) -> _Name:
        """The object that is written as this name; the same one each time, so that it is written once."""
        return self._names.setdefault(path, _Name(path))

    dispatch[_Name] = _save_name
    dispatch[type] = _save_type
    dispatch[types.FunctionType] = save_global

    # values of flambeau

    def _save_dtype(self, obj: fb.dtype) -> None:
        self.save(self.name(str(obj)))

    def _save_size(self, obj: fb.Size) -> None:
        self.save_reduce(self.name("torch.Size"), (tuple(obj),), obj=obj)

    def _save_device(self, obj: fb.device) -> None:
        args = (obj.type,) if obj.index is None else (obj.type, obj.index)
        self.save_reduce(self.name("torch.device"), args, obj=obj)

    def _save_layout(self, obj: fb.layout) -> None:
        self.save_reduce(self.name("torch.serialization._get_layout"), (str(obj),), obj=obj)

    dispatch[fb.dtype] = _save_dtype
    dispatch[fb.Size] = _save_size
    dispatch[fb.device] = _save_device
    dispatch[fb.layout] = _save_layout
    dispatch[qscheme] = _save_dtype  # by its name as well

    # tensors

    def reducer_override(self, obj: Any) -> Any:
        """How a tensor is written; other objects say it themselves."""
        if isinstance(obj, fb.nn.parameter.UninitializedTensorMixin):
            return NotImplemented  # has no values yet, and says itself what it is
        if isinstance(obj, fb.Tensor):
            return self.reduce_tensor(obj)
        return NotImplemented

    def _save_persistent_id(self, obj: _PersistentId) -> None:
        self.save(obj.parts, save_persistent_id=False)
        self.write(pickle.BINPERSID)

    def _save_storage(self, obj: fb.UntypedStorage) -> None:
        self._save_persistent_id(self.storage_id(obj, None, obj.nbytes(), 0))

    def _save_typed_storage(self, obj: fb.TypedStorage) -> None:
        untyped, dtype = obj.untyped(), obj.dtype
        self._save_persistent_id(self.storage_id(untyped, dtype, untyped.nbytes() // dtype.itemsize, 0))

    dispatch[_PersistentId] = _save_persistent_id
    dispatch[fb.UntypedStorage] = _save_storage
    dispatch.update(dict.fromkeys((fb.TypedStorage, *storage.LEGACY_CLASSES), _save_typed_storage))

    def storage_id(self, untyped: Any, dtype: fb.dtype | None, count: int, needed: int) -> _PersistentId:
        """The reference to a storage, which is noted for writing."""
        kind = names.storage_class_of(dtype) if dtype is not None else names.untyped_class()
        address = untyped.data_ptr()
        same = (address, untyped.nbytes()) if address else id(untyped)
        saved = self.storages.get(same)
        if saved is None:
            key = str(len(self.storages))
            itemsize = kind.dtype.itemsize if kind.dtype is not None else 1
            saved = self.storages[same] = SavedStorage(
                key, untyped, itemsize, _location(untyped.device), kind
            )
        elif address and dtype is not None and saved.kind is not kind:
            # PyTorch takes the type that the first reference tells for all of them
            raise RuntimeError(
                "Cannot save multiple tensors or storages that view the same data as different types"
            )
        saved.needed = max(saved.needed, needed)
        parts = ("storage", self.name(f"{kind.module}.{kind.name}"), saved.key, saved.location, count)
        return _PersistentId((*parts, None) if self.legacy else parts)

    def reduce_tensor(self, tensor: fb.Tensor) -> tuple:
        """The call that makes the tensor anew from its storage."""
        if tensor.is_quantized:
            return self._reduce_quantized(tensor)
        if tensor.is_nested:
            return self._reduce_nested(tensor)
        if tensor.layout != fb.strided:
            return self._reduce_sparse(tensor)
        kind = type(tensor)
        state = dict(tensor.__dict__) if hasattr(tensor, "__dict__") and tensor.__dict__ else None
        if kind is fb.nn.Parameter:
            data = (tensor.detach(), tensor.requires_grad, rebuild.no_hooks())
            if state:
                return self.name("torch._utils._rebuild_parameter_with_state"), (*data, state)
            return self.name("torch._utils._rebuild_parameter"), data
        function, args = self._reduce_plain(tensor)
        if kind is fb.Tensor and not state:
            return function, args
        named = self.name("torch.Tensor") if kind is fb.Tensor else kind
        return self.name("torch._tensor._rebuild_from_type_v2"), (function, named, args, state)

    def _reduce_quantized(self, tensor: Any) -> tuple[_Name, tuple]:
        from ..quantized.tensor import PerTensor, ints

        q, size, stride, offset = tensor.quantizer, tuple(tensor.shape), tuple(tensor.stride()), 0
        if q.dtype in (fb.quint4x2, fb.quint2x4):
            integers = tensor.int_repr()
            stride = fb.empty(size, device="meta").stride()
        else:
            integers, offset = ints(tensor), tensor.storage_offset()
        untyped = integers.untyped_storage()
        count = untyped.nbytes() // integers.itemsize
        storage = self.storage_id(untyped, q.dtype, count, integers.numel() * integers.itemsize)
        scale = (q.scale, q.zero_point) if isinstance(q, PerTensor) else (q.scales, q.zero_points, q.axis)
        parts = (storage, offset, size, stride, (q.scheme, *scale), False, rebuild.no_hooks())
        return self.name("torch._utils._rebuild_qtensor"), parts

    def _reduce_nested(self, tensor: fb.Tensor) -> tuple[_Name, tuple]:
        if tensor.layout != fb.strided:
            raise NotImplementedError(
                "flambeau cannot save nested tensors of layout torch.jagged yet: save .values() and"
                " .offsets()"
            )
        sizes, strides, offsets = tensor._nested_layout()
        parts = (tensor.detach().values(), sizes, strides, offsets)
        return self.name("torch._utils._rebuild_nested_tensor"), parts

    def _reduce_sparse(self, tensor: fb.Tensor) -> tuple[_Name, tuple]:
        plain, size = tensor.detach(), tensor.shape
        if tensor.layout == fb.sparse_coo:
            parts = (plain._indices(), plain._values(), size, plain.is_coalesced())
        elif tensor.layout in (fb.sparse_csr, fb.sparse_bsr):
            parts = (plain.crow_indices(), plain.col_indices(), plain.values(), size)
        else:
            parts = (plain.ccol_indices(), plain.row_indices(), plain.values(), size)
        return self.name("torch._utils._rebuild_sparse_tensor"), (tensor.layout, parts)

    def _reduce_plain(self, tensor: fb.Tensor) -> tuple[_Name, tuple]:
        size, stride, grad = tuple(tensor.shape), tuple(tensor.stride()), tensor.requires_grad
        if tensor.device.type == "meta":
            return self.name("torch._utils._rebuild_meta_tensor_no_storage"), (
                tensor.dtype,
                size,
                stride,
                grad,
            )
        untyped, dtype, offset = tensor.untyped_storage(), tensor.dtype, tensor.storage_offset()
        typed = names.storage_class_of(dtype).dtype is not None
        extent = (sum((n - 1) * step for n, step in zip(size, stride, strict=True)) + 1) if all(size) else 0
        count = untyped.nbytes() // (dtype.itemsize if typed else 1)
        storage = self.storage_id(untyped, dtype, count, extent * dtype.itemsize)
        common = (storage, offset, size, stride, grad, rebuild.no_hooks())
        flags = {"conj": True} if tensor.is_conj() else {}
        if tensor.is_neg():
            flags["neg"] = True
        extra = (flags,) if flags else ()
        if typed:
            return self.name("torch._utils._rebuild_tensor_v2"), (*common, *extra)
        return self.name("torch._utils._rebuild_tensor_v3"), (*common, dtype, *extra)


def _location(device: fb.device) -> str:
    return device.type if device.type in ("cpu", "meta") else f"{device.type}:{device.index or 0}"


def dump(obj: Any, protocol: int, legacy: bool = False) -> tuple[bytes, list[SavedStorage]]:
    """Pickle an object; returns the pickle and the storages that it refers to."""
    stream = io.BytesIO()
    pickler = Pickler(stream, protocol, legacy)
    pickler.dump(obj)
    storages = list(pickler.storages.values())
    for saved in storages:
        size = saved.untyped.nbytes()
        if saved.needed and size > _LARGE and size > _WASTE * saved.needed:
            warnings.warn(
                f"a tensor that uses {saved.needed} bytes is a view into {size} bytes, all of which are "
                "saved: save tensor.clone() to keep the file small",
                stacklevel=4,
            )
    return stream.getvalue(), storages
