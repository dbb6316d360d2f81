"""What a checkpoint's pickle calls to make tensors again, under the names that PyTorch's files use."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor
from flambeau._constants import per_tensor_affine
from flambeau.ops import registry
from flambeau.storage import TypedStorage


class Stored:
    """A storage as it comes out of a file: bytes and the element type that the file says they have."""

    __slots__ = ("dtype", "empty", "pending", "references", "untyped", "used")

    def __init__(self, untyped: Any, dtype: _C.dtype | None) -> None:
        self.untyped = untyped
        self.dtype = dtype
        self.references = 0  # how often the file names it
        self.used = 0  # how often for a tensor; the other times a storage was saved by itself
        self.empty = False  # the bytes come later
        self.pending: list[tuple[Tensor, Callable]] = []

    def apply(self, function: Callable[[Tensor], Tensor], tensor: Tensor) -> Tensor:
        """function(tensor), for the values that the tensor will have when the bytes are there."""
        if not self.empty:
            return function(tensor)
        self.pending.append((tensor, function))
        return tensor

    def filled(self) -> None:
        """The bytes are there: do what waited for them."""
        from flambeau.autograd.grad_mode import no_grad

        self.empty = False
        for tensor, function in self.pending:
            with no_grad():
                new = function(tensor.detach()).clone()
                tensor.set_(new.untyped_storage(), new.storage_offset(), new.shape, new.stride())
        self.pending.clear()

    def tensor(self, dtype: _C.dtype, offset: int, size: Any, stride: Any) -> Tensor:
        """A tensor on these bytes; it shares them with every other one made here."""
        self.used += 1
        size, stride = tuple(size), tuple(stride)
        if len(size) != len(stride) or offset < 0 or any(n < 0 for n in size + stride):
            raise ValueError(f"a tensor of size {size}, stride {stride} at {offset} cannot be")
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        capacity = self.untyped.nbytes() // dtype.itemsize
        if all(size) and last >= capacity:
            raise ValueError(
                f"a tensor of size {size}, stride {stride} at {offset} needs more than {capacity} elements"
            )
        empty = _C.empty(0, dtype=dtype, device=self.untyped.device)
        return empty.set_(self.untyped, offset, size, stride)

    def public(self) -> Any:
        """The storage as a user sees it."""
        if self.dtype is None:
            return self.untyped
        return TypedStorage(wrap_storage=self.untyped, dtype=self.dtype, _internal=True)


def _stored(storage: Any) -> Stored:
    """What a function below is called with: a `Stored` by a checkpoint's pickle, a storage by a plain pickle
    of PyTorch's or by a program."""
    if isinstance(storage, Stored):
        return storage
    if isinstance(storage, TypedStorage):
        return Stored(storage.untyped(), storage.dtype)
    return Stored(storage, _C.uint8)


def _rebuild_tensor(storage: Any, storage_offset: int, size: Any, stride: Any) -> Tensor:
    storage = _stored(storage)
    return storage.tensor(storage.dtype, storage_offset, size, stride)


def _finish(
    storage: Stored, tensor: Tensor, requires_grad: bool, hooks: Any, metadata: dict | None
) -> Tensor:
    flags = metadata or {}
    if flags.get("conj"):
        tensor = tensor.conj()
    if flags.get("neg"):
        tensor = storage.apply(_C.neg, tensor)
    if requires_grad:
        tensor.requires_grad_()
    if hooks:
        tensor._backward_hooks = hooks
    return tensor


def _rebuild_tensor_v2(
    storage: Any, storage_offset: int, size: Any, stride: Any, requires_grad: bool, backward_hooks: Any,
    metadata: dict | None = None,
) -> Tensor:  # fmt: skip
    storage = _stored(storage)
    tensor = _rebuild_tensor(storage, storage_offset, size, stride)
    return _finish(storage, tensor, requires_grad, backward_hooks, metadata)


def _rebuild_tensor_v3(
    storage: Any, storage_offset: int, size: Any, stride: Any, requires_grad: bool, backward_hooks: Any,
    dtype: _C.dtype, metadata: dict | None = None,
) -> Tensor:  # fmt: skip
    storage = _stored(storage)
    tensor = storage.tensor(dtype, storage_offset, size, stride)
    return _finish(storage, tensor, requires_grad, backward_hooks, metadata)


def _set_state(obj: Any, state: Any) -> Any:
    """What object state in a pickle means for a tensor: attributes, and values of slots."""
    attributes, slots = state if isinstance(state, tuple) and len(state) == 2 else (state, None)
    for part in (attributes, slots):
        for name, value in (part or {}).items():
            if not isinstance(name, str) or (name.startswith("__") and name.endswith("__")):
                raise ValueError(f"a tensor cannot be given the attribute {name!r}")
            setattr(obj, name, value)
    return obj


def _rebuild_from_type_v2(func: Any, new_type: type, args: tuple, state: Any) -> Any:
    tensor = func(*args)
    if type(tensor) is not new_type:
        tensor = tensor.as_subclass(new_type)
    if (
        state is not None
        and hasattr(new_type, "__setstate__")
        and new_type.__setstate__ is not getattr(Tensor, "__setstate__", None)
    ):
        tensor.__setstate__(state)
        return tensor
    return tensor if state is None else _set_state(tensor, state)


def _rebuild_meta_tensor_no_storage(dtype: _C.dtype, size: Any, stride: Any, requires_grad: bool) -> Tensor:
    return _C.empty_strided(size, stride, dtype=dtype, device="meta", requires_grad=requires_grad)


def _rebuild_device_tensor_from_numpy(data: Any, dtype: _C.dtype, device: Any, requires_grad: bool) -> Tensor:
    tensor = _C.from_numpy(data).to(dtype=dtype, device=device)
    return tensor.requires_grad_() if requires_grad else tensor


def _rebuild_sparse_tensor(layout: Any, data: tuple) -> Tensor:
    if layout == _C.sparse_coo:
        indices, values, size = data[:3]
        return registry.find("sparse_coo_tensor")(
            indices, values, size, is_coalesced=data[3] if len(data) > 3 else None
        )
    first, second, values, size = data
    return registry.find("sparse_compressed_tensor")(first, second, values, size, layout=layout)


def _rebuild_nested_tensor(buffer: Any, sizes: Any, strides: Any, offsets: Any) -> Tensor:
    from ..nested.strided import from_components

    parts = zip(sizes.tolist(), strides.tolist(), offsets.tolist(), strict=True)
    return from_components([buffer.as_strided(*part) for part in parts])


def _rebuild_qtensor(
    storage: Any, storage_offset: int, size: Any, stride: Any, quantizer_params: tuple,
    requires_grad: bool, backward_hooks: Any,
) -> Tensor:  # fmt: skip
    storage = _stored(storage)
    from ..quantized.packing import unpacked
    from ..quantized.tensor import INTEGERS, PerChannel, PerTensor, make

    scheme, scale, zero, *axis = quantizer_params
    if storage.dtype not in INTEGERS:
        raise ValueError(f"a quantized tensor cannot lie in a storage of {storage.dtype}")
    if scheme is per_tensor_affine:
        quantizer = PerTensor(storage.dtype, float(scale), int(zero))
    else:
        quantizer = PerChannel(storage.dtype, _C.as_tensor(scale), _C.as_tensor(zero), int(axis[0]))
    if storage.dtype in (_C.quint4x2, _C.quint2x4):
        if storage.empty or storage_offset:
            raise NotImplementedError(
                f"flambeau reads {storage.dtype} from zip files and whole storages only"
            )
        data = storage.tensor(_C.uint8, 0, (storage.untyped.nbytes(),), (1,))
        return make(unpacked(data, storage.dtype, tuple(size)), quantizer)
    return make(storage.tensor(INTEGERS[storage.dtype][0], storage_offset, size, stride), quantizer)


def _get_layout(name: str) -> Any:
    layout = getattr(_C, name.removeprefix("torch."), None)
    if not isinstance(layout, _C.layout):
        raise ValueError(f"no layout is called {name!r}")
    return layout


def no_hooks() -> OrderedDict:
    """The empty table of hooks that PyTorch writes with every tensor."""
    return OrderedDict()
