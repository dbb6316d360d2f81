"""Typed storages: the bytes behind a tensor seen as elements of one type. Kept for old programs and files."""

from __future__ import annotations

import copy
import io
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

__all__ = ["TypedStorage", "UntypedStorage"]

UntypedStorage = _C.UntypedStorage
# `save` and `load`: `serialization`, which knows the classes of this file, hands them over, and `compat`
_files: dict[str, Callable[..., Any]] = {}


class _StorageMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, UntypedStorage)

    def __subclasscheck__(cls, other: type) -> bool:
        return other is cls or issubclass(other, UntypedStorage)


class StorageBase(metaclass=_StorageMeta):
    """What untyped storages are: PyTorch's core has a base under `UntypedStorage`, here that is the core's
    type.

    Raises
    ------
    RuntimeError : it cannot be made by itself; make an `UntypedStorage`.
    """

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("Cannot directly construct StorageBase; subclass it and then construct that")


StorageBase.__module__ = "torch._C"

# the classes that programs and files use for a dtype; files hold other dtypes untyped
CLASS_OF = {
    "float64": "DoubleStorage",
    "float32": "FloatStorage",
    "float16": "HalfStorage",
    "int64": "LongStorage",
    "int32": "IntStorage",
    "int16": "ShortStorage",
    "int8": "CharStorage",
    "uint8": "ByteStorage",
    "bool": "BoolStorage",
    "bfloat16": "BFloat16Storage",
    "complex128": "ComplexDoubleStorage",
    "complex64": "ComplexFloatStorage",
}


class TypedStorage:
    """A storage whose items are numbers of one dtype.

    Parameters
    ----------
    *args : a number of elements, a sequence of numbers, or an untyped storage.
    wrap_storage : an `UntypedStorage` to look at instead.
    dtype, device : the element type (default: the default dtype) and place.
    """

    dtype: Any = None
    is_sparse = False

    def __init__(
        self,
        *args: Any,
        wrap_storage: Any = None,
        dtype: Any = None,
        device: Any = None,
        _internal: bool = False,
    ) -> None:
        self.dtype = type(self).dtype or dtype or _C.get_default_dtype()
        if wrap_storage is not None:
            if args:
                raise RuntimeError("No positional arguments should be given when using 'wrap_storage'")
            if not isinstance(wrap_storage, UntypedStorage):
                raise TypeError(
                    f"Argument 'wrap_storage' must be UntypedStorage, but got {type(wrap_storage)}"
                )
            self._untyped_storage = wrap_storage
            return
        if len(args) > 1:
            raise RuntimeError(f"Too many positional arguments: {len(args)} given, at most 1 is taken")
        if args and isinstance(args[0], (UntypedStorage, TypedStorage)):
            source = args[0]
            self._untyped_storage = source._untyped_storage if isinstance(source, TypedStorage) else source
        elif not args or isinstance(args[0], int):
            count = args[0] if args else 0
            self._untyped_storage = UntypedStorage(count * self.dtype.itemsize, device=device)
        else:
            made = _C.tensor(list(args[0]), dtype=self.dtype, device=device)
            self._untyped_storage = made.untyped_storage()

    @classmethod
    def from_buffer(cls, *args: Any, **kwargs: Any) -> TypedStorage:
        """A storage with a copy of a buffer.

        Parameters
        ----------
        buffer : bytes, or another object with the buffer protocol.
        byte_order : ``"native"``, ``"little"`` or ``"big"``; needed where elements have several bytes.
        count, offset : how many elements, from which byte on.
        """
        return cls._from_buffer(*args, **kwargs)

    @classmethod
    def _from_buffer(cls, *args: Any, dtype: Any = None, device: Any = None, **kwargs: Any) -> TypedStorage:
        if cls is TypedStorage:
            made = dtype or _C.get_default_dtype()
        elif dtype is not None or device is not None:
            what = "dtype" if dtype is not None else "device"
            raise RuntimeError(
                f"from_buffer: '{what}' can only be specified in UntypedStorage.from_buffer and "
                "TypedStorage.from_buffer"
            )
        else:
            made = cls.dtype
        bytes_ = _from_buffer(*args, dtype=made, **kwargs)
        return TypedStorage(wrap_storage=bytes_, dtype=made, _internal=True)

    def _tensor(self) -> Any:
        empty = _C.empty(0, dtype=self.dtype, device=self.device)
        return empty.set_(self._untyped_storage, 0, (len(self),), (1,))

    @property
    def device(self) -> Any:
        """Where the storage lies."""
        return self._untyped_storage.device

    @property
    def is_cuda(self) -> bool:
        """Whether the storage lies on a CUDA device."""
        return self.device.type == "cuda"

    @property
    def _cdata(self) -> int:
        return self._untyped_storage._cdata

    def untyped(self) -> Any:
        """The same bytes without a type."""
        return self._untyped_storage

    def __len__(self) -> int:
        return self._untyped_storage.nbytes() // self.dtype.itemsize

    def size(self) -> int:
        """The number of elements."""
        return len(self)

    def nbytes(self) -> int:
        """The number of bytes."""
        return self._untyped_storage.nbytes()

    def element_size(self) -> int:
        """The number of bytes of an element."""
        return self.dtype.itemsize

    def data_ptr(self) -> int:
        """The address of the first element."""
        return self._untyped_storage.data_ptr()

    def _place(self, index: int) -> int:
        if not isinstance(index, int):
            # the class of the storage is PyTorch's own, whatever its elements
            raise RuntimeError(f"can't index a {TypedStorage} with {type(index)}")
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} out of range for storage of size {len(self)}")
        return index % len(self)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            raise RuntimeError("slices are only supported in UntypedStorage.__getitem__")
        return self._tensor()[self._place(index)].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        if isinstance(value, Tensor):
            raise RuntimeError("cannot set item with a tensor")
        self._tensor()[index if isinstance(index, slice) else self._place(index)] = value

    def __iter__(self) -> Iterator:
        return iter(self.tolist())

    def tolist(self) -> list:
        """The elements as Python numbers."""
        return self._tensor().tolist()

    def __eq__(self, other: Any) -> bool:
        return (
            isinstance(other, TypedStorage)
            and self.dtype == other.dtype
            and self._untyped_storage == other._untyped_storage
        )

    def __hash__(self) -> int:
        return hash((self._untyped_storage, self.dtype))

    def __str__(self) -> str:
        numbers = "\n ".join(str(v) for v in self.tolist()) if self.device.type != "meta" else "..."
        return f" {numbers}\n[torch.storage.TypedStorage(dtype={self.dtype}, device={self.device}) of size {len(self)}]"  # noqa: E501

    __repr__ = __str__

    def clone(self) -> TypedStorage:
        """A copy."""
        return self._like(self._untyped_storage.clone())

    __copy__ = clone

    def __deepcopy__(self, memo: dict) -> TypedStorage:
        return self._like(copy.deepcopy(self._untyped_storage, memo))

    def __reduce__(self) -> tuple:
        if Tensor.__module__ == "torch":  # what PyTorch reads
            file = io.BytesIO()
            _files["save"](self, file, _use_new_zipfile_serialization=False)
            return _load_from_bytes, (file.getvalue(),)
        return _rebuild, (self._untyped_storage, self.dtype)

    def _like(self, untyped: Any) -> TypedStorage:
        return TypedStorage(wrap_storage=untyped, dtype=self.dtype, _internal=True)

    def copy_(self, source: Any, non_blocking: bool | None = None) -> TypedStorage:
        """Take over the elements of another storage."""
        if isinstance(source, TypedStorage):
            self._tensor().copy_(source._tensor())
        else:
            self._untyped_storage.copy_(source)
        return self

    def fill_(self, value: Any) -> TypedStorage:
        """Set every element."""
        self._tensor().fill_(value)
        return self

    def resize_(self, size: int) -> TypedStorage:
        """Change the number of elements."""
        self._untyped_storage.resize_(size * self.dtype.itemsize)
        return self

    def resizable(self) -> bool:
        """Whether the size can change."""
        return self._untyped_storage.resizable()

    def is_shared(self) -> bool:
        """Whether other processes can see the memory."""
        return self._untyped_storage.is_shared()

    def is_pinned(self, device: Any = None) -> bool:
        """Whether the memory is page-locked: never on the CPU alone."""
        return False

    def get_device(self) -> int:
        """The index of the CUDA device, -1 on the CPU."""
        return self._untyped_storage.get_device()

    def cpu(self) -> TypedStorage:
        """The storage on the CPU."""
        return self

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The old name of the type; with `dtype` the storage converted."""
        if dtype is None:
            return "torch." + self.pickle_storage_type()
        return self._to(dtype if isinstance(dtype, _C.dtype) else dtype.dtype)

    def pickle_storage_type(self) -> str:
        """The name of the old storage class of this dtype."""
        name = str(self.dtype).removeprefix("torch.")
        if name not in CLASS_OF:
            raise KeyError(self.dtype)
        return CLASS_OF[name]

    def _to(self, dtype: Any) -> TypedStorage:
        return self._tensor().to(dtype, copy=True).storage()

    def float(self) -> TypedStorage:
        """The storage as float32."""
        return self._to(_C.float32)

    def double(self) -> TypedStorage:
        """The storage as float64."""
        return self._to(_C.float64)

    def half(self) -> TypedStorage:
        """The storage as float16."""
        return self._to(_C.float16)

    def bfloat16(self) -> TypedStorage:
        """The storage as bfloat16."""
        return self._to(_C.bfloat16)

    def long(self) -> TypedStorage:
        """The storage as int64."""
        return self._to(_C.int64)

    def int(self) -> TypedStorage:
        """The storage as int32."""
        return self._to(_C.int32)

    def short(self) -> TypedStorage:
        """The storage as int16."""
        return self._to(_C.int16)

    def char(self) -> TypedStorage:
        """The storage as int8."""
        return self._to(_C.int8)

    def byte(self) -> TypedStorage:
        """The storage as uint8."""
        return self._to(_C.uint8)

    def bool(self) -> TypedStorage:
        """The storage as bool."""
        return self._to(_C.bool)

    def complex_float(self) -> TypedStorage:
        """The storage as complex64."""
        return self._to(_C.complex64)

    def complex_double(self) -> TypedStorage:
        """The storage as complex128."""
        return self._to(_C.complex128)


def _typed(dtype: str) -> Callable:
    def converted(self: Any) -> TypedStorage:
        wanted = getattr(_C, dtype)
        made = _C.empty(0, dtype=_C.uint8).set_(self, 0, (self.nbytes(),), (1,)).to(wanted)
        return TypedStorage(wrap_storage=made.untyped_storage(), dtype=wanted, _internal=True)

    converted.__doc__ = f"The bytes as numbers of {dtype}."
    return converted


def _byteswap(self: Any, dtype: Any) -> None:
    """Reverse the bytes of every element of `dtype`, in place; each part of a complex number by itself."""
    size = dtype.itemsize // (2 if dtype.is_complex else 1)
    whole = self.nbytes() // size * size
    bytes_ = _C.empty(0, dtype=_C.uint8).set_(self, 0, (whole,), (1,))
    bytes_.copy_(bytes_.view(-1, size).flip(1).reshape(-1))


def _from_buffer(
    buffer: Any, byte_order: str | None = None, count: int = -1, offset: int = 0, *, dtype: Any
) -> Any:
    """A storage with a copy of the bytes of a buffer."""
    if byte_order is None:
        if dtype.itemsize > 1:
            raise RuntimeError("function missing required argument 'byte_order' (pos 2)")
        byte_order = "native"
    if byte_order not in ("native", "little", "big"):
        raise ValueError(f"invalid byte_order '{byte_order}' (expected 'big', 'little', or 'native')")
    view, size = memoryview(buffer).cast("B"), dtype.itemsize
    left = len(view) - offset
    if offset < 0 or offset > len(view):
        raise ValueError(
            f"offset must be non-negative and no greater than buffer length ({len(view)}) , but got {offset}"
        )
    if count < 0 and left % size:
        raise ValueError(f"buffer size ({left}) must be a multiple of element size ({size})")
    if count >= 0 and count * size > left:
        raise ValueError(
            f"buffer has only {left} elements after offset {offset}, but specified a size of {count}"
        )
    view = view[offset:] if count < 0 else view[offset : offset + count * size]
    made = UntypedStorage(len(view))
    if len(view):
        source = _C.frombuffer(bytearray(view), dtype=_C.uint8)
        _C.empty(0, dtype=_C.uint8).set_(made, 0, (len(view),), (1,)).copy_(source)
    if byte_order not in ("native", sys.byteorder):
        _byteswap(made, dtype)
    return made


def _elsewhere(kind: str) -> Callable:
    def moved(self: Any, device: Any = None, non_blocking: bool = False) -> Any:
        return _to(self, device=_C.device(kind) if device is None else _C.device(device))

    moved.__doc__ = f"The storage on a device of type {kind}."
    return moved


def _to(self: Any, *, device: Any, non_blocking: bool = False) -> Any:
    """The storage on a device; itself where it lies there."""
    device = _C.device(device)
    if device == self.device:
        return self
    made = _C.empty(0, dtype=_C.uint8).set_(self, 0, (self.nbytes(),), (1,))
    return made.to(device, non_blocking=non_blocking).untyped_storage()


def _type(self: Any, dtype: str | None = None, non_blocking: bool = False) -> Any:
    """The name of the storage's type; with `dtype` the bytes as numbers of it."""
    if dtype is None:
        return "torch.storage.UntypedStorage"
    name = dtype if isinstance(dtype, str) else dtype.__name__
    kinds = {name: kind for kind, name in CLASS_OF.items()}
    return _typed(kinds[name.rpartition(".")[2]])(self)


def _pin_memory(self: Any, device: Any = "cuda") -> Any:
    """A page-locked copy, which only machines with an accelerator have."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


def _share_memory_(self: Any, *args: Any, **kwargs: Any) -> Any:
    """Move the bytes to memory that other processes can see."""
    _C.empty(0, dtype=_C.uint8).set_(self, 0, (self.nbytes(),), (1,)).share_memory_()
    return self


_TYPED = {
    "bfloat16": "bfloat16", "bool": "bool", "byte": "uint8", "char": "int8", "complex_double": "complex128",
    "complex_float": "complex64", "double": "float64", "float": "float32", "half": "float16", "int": "int32",
    "long": "int64", "short": "int16", "float8_e4m3fn": "float8_e4m3fn",
    "float8_e4m3fnuz": "float8_e4m3fnuz", "float8_e5m2": "float8_e5m2", "float8_e5m2fnuz": "float8_e5m2fnuz",
}  # fmt: skip
# what untyped storages have beyond the core's
METHODS: dict[str, Callable] = {
    **{name: _typed(dtype) for name, dtype in _TYPED.items()},
    **{kind: _elsewhere(kind) for kind in ("cuda", "hpu", "mps")},
    "byteswap": _byteswap,
    "from_buffer": _from_buffer,
    "pin_memory": _pin_memory,
    "share_memory_": _share_memory_,
    "to": _to,
    "type": _type,
}


def _rebuild(untyped: Any, dtype: Any) -> TypedStorage:
    return TypedStorage(wrap_storage=untyped, dtype=dtype, _internal=True)


class _LegacyMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return cls.dtype is not None and type(instance) is TypedStorage and instance.dtype == cls.dtype


def _legacy(name: str, dtype: Any) -> type:
    return _LegacyMeta(
        name,
        (TypedStorage,),
        {"dtype": dtype, "__module__": "flambeau", "__doc__": f"Storage of {dtype} elements."},
    )


LEGACY_CLASSES = tuple(_legacy(name, getattr(_C, dtype)) for dtype, name in CLASS_OF.items())
globals().update({kind.__name__: kind for kind in LEGACY_CLASSES})
Storage = globals()["FloatStorage"]


class _QuantizedStorage(TypedStorage):
    """Integers of a quantized tensor; here they are seen as such, not made."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        raise NotImplementedError(
            f"torch.{type(self).__name__}: storages of quantized tensors are not made by themselves; keep the"
            " integers in a ByteStorage, CharStorage or IntStorage"
        )


# the classes that files use for the integers of quantized tensors
QUANTIZED_CLASS_OF = {
    "qint8": "QInt8Storage",
    "qint32": "QInt32Storage",
    "quint8": "QUInt8Storage",
    "quint4x2": "QUInt4x2Storage",
    "quint2x4": "QUInt2x4Storage",
}
globals().update(
    {
        name: type(name, (_QuantizedStorage,), {"__module__": "flambeau"})
        for name in QUANTIZED_CLASS_OF.values()
    }
)


def warn_deprecated() -> None:
    """The warning that PyTorch gives where a typed storage is used."""
    warnings.warn(
        "TypedStorage is deprecated. It will be removed in the future and UntypedStorage will be the only storage class. This "  # noqa: E501
        "should only matter to you if you are using storages directly.  To access UntypedStorage directly, use "  # noqa: E501
        "tensor.untyped_storage() instead of tensor.storage()",
        stacklevel=3,
    )


def _load_from_bytes(b: bytes) -> Any:
    """The storage that a plain pickle written by PyTorch holds; programs put a function of their own in its
    place to choose the device."""
    return _files["load"](io.BytesIO(b), weights_only=False)
