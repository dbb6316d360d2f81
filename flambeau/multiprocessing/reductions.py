"""How tensors go from process to process: their memory is shared, only its descriptor is sent.

A storage that is sent is moved into an anonymous file first; then sender and receiver, and all views of it,
see each other's writes.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from multiprocessing import reduction
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from . import memory

# mapped memory by the identity of its file: what comes twice is mapped once
_mapped: weakref.WeakValueDictionary[tuple[int, int], ctypes.Array] = weakref.WeakValueDictionary()
# the descriptor of each mapping, by the address of its first byte
_files: dict[int, int] = {}


def _identity(fd: int) -> tuple[int, int]:
    status = os.fstat(fd)
    return status.st_dev, status.st_ino


def _close(address: int) -> None:
    os.close(_files.pop(address))


def _open(fd: int, size: int) -> ctypes.Array:
    """The memory of a file, which now owns the descriptor."""
    array = memory.map_file(fd, size, populate=False)
    address = ctypes.addressof(array)
    _files[address] = fd
    weakref.finalize(array, _close, address).atexit = False
    _mapped[_identity(fd)] = array
    return array


def share(storage: Any) -> None:
    """Move the bytes of a storage to memory that other processes can see; views of it follow."""
    if storage.is_shared() or storage.nbytes() == 0:
        return
    if storage.device.type != "cpu":
        raise RuntimeError(f"memory of the device {storage.device} cannot be shared between processes")
    fd = memory.anonymous_file()
    try:
        os.ftruncate(fd, storage.nbytes())
        array = _open(fd, storage.nbytes())
    except BaseException:
        os.close(fd)
        raise
    storage._relocate(array)
    storage._set_shared(True)


def _rebuild_storage(handle: Any, size: int) -> Any:
    fd = handle.detach()
    array = _mapped.get(_identity(fd))
    if array is None:
        array = _open(fd, size)
    else:
        os.close(fd)
    storage = _C.UntypedStorage(0)
    storage._relocate(array)
    storage._set_shared(True)
    return storage


def _reduce_storage(storage: Any) -> tuple:
    size = storage.nbytes()
    if size == 0:
        return _C.UntypedStorage, (0,)
    share(storage)
    fd = _files.get(storage.data_ptr())
    if fd is None:
        raise RuntimeError("the memory of this storage came from another library and cannot be shared")
    return _rebuild_storage, (reduction.DupFd(fd), size)


def rebuild_tensor(cls: type, storage: Any, dtype: _C.dtype, metadata: tuple) -> Any:
    """A tensor on a received storage."""
    from ..nn.parameter import Parameter

    offset, size, stride, requires_grad = metadata
    tensor = _C.empty(0, dtype=dtype).set_(storage, offset, size, stride)
    if cls is Parameter:
        return Parameter(tensor, requires_grad=requires_grad)
    return tensor.requires_grad_() if requires_grad else tensor


def _reduce_tensor(tensor: Any) -> tuple:
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not "
            "support crossing process boundaries.  If you just want to transfer the data, call detach() on "
            "the tensor before serializing (e.g., putting it on the queue)."
        )
    if tensor.layout != _C.strided or tensor.device.type != "cpu":
        return tensor.__reduce_ex__(2)
    metadata = (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.requires_grad)
    return rebuild_tensor, (type(tensor), tensor.untyped_storage(), tensor.dtype, metadata)


def init_reductions() -> None:
    """Let the queues and pipes of multiprocessing share the memory of tensors."""
    from ..nn.parameter import Parameter

    reduction.register(_C.UntypedStorage, _reduce_storage)
    reduction.register(Tensor, _reduce_tensor)
    reduction.register(Parameter, _reduce_tensor)
