"""Messages between the DataLoader and its workers.

A message is pickled with its large parts (tensors, NumPy arrays) kept apart as raw buffers. A short message
goes through the pipe. Of a long one only a descriptor goes through the pipe: the bytes lie in an anonymous
file in memory (memfd) that the receiver maps, so that tensors are used where the sender wrote them. Such
files have no name, need no /dev/shm, and vanish with their last user.
"""

from __future__ import annotations

import io
import os
import pickle
import socket
import struct
from multiprocessing import reduction
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

import flambeau as fb
from flambeau.multiprocessing import memory

_INLINE = 2048  # bytes; small enough that all tasks of a worker fit into the buffer of its pipe
_ALIGN = 64


def rebuild_tensor(data: Any, dtype: fb.dtype, shape: tuple[int, ...], requires_grad: bool) -> fb.Tensor:
    """A tensor on the memory of a received buffer."""
    raw = np.frombuffer(data, dtype=np.uint8)
    if raw.size == 0:
        return fb.empty(shape, dtype=dtype, requires_grad=requires_grad)
    tensor = fb.from_numpy(raw).view(dtype).reshape(shape)
    return tensor.requires_grad_() if requires_grad else tensor


def _reduce_tensor(tensor: fb.Tensor) -> tuple:
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd does not "
            "support crossing process boundaries.  If you just want to transfer the data, call detach() on "
            "the tensor before serializing (e.g., putting it on the queue)."
        )
    raw = tensor.detach().contiguous().reshape(-1).view(fb.uint8).numpy()
    return rebuild_tensor, (pickle.PickleBuffer(raw), tensor.dtype, tuple(tensor.shape), tensor.requires_grad)


def _reduce(obj: Any) -> Any:
    plain = type(obj) is fb.Tensor and obj.layout == fb.strided and obj.device.type == "cpu"
    return _reduce_tensor(obj) if plain else NotImplemented


class _Pickler(pickle.Pickler):
    def reducer_override(self, obj: Any) -> Any:
        return _reduce(obj)


def _pickle(obj: Any) -> tuple[bytes, list[memoryview]]:
    buffers: list[pickle.PickleBuffer] = []
    stream = io.BytesIO()
    try:
        _Pickler(stream, protocol=5, buffer_callback=buffers.append).dump(obj)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if not (cloudpickle := _cloudpickle()):
            raise error

        class CloudPickler(cloudpickle.Pickler):
            def reducer_override(self, obj: Any) -> Any:
                reduced = _reduce(obj)
                return super().reducer_override(obj) if reduced is NotImplemented else reduced

        buffers.clear()
        stream = io.BytesIO()
        CloudPickler(stream, protocol=5, buffer_callback=buffers.append).dump(obj)
    return stream.getvalue(), [buffer.raw() for buffer in buffers]


def _cloudpickle() -> Any:
    try:
        import cloudpickle
    except ImportError:
        return None
    return cloudpickle


def pickle_anything(obj: Any, what: str) -> bytes:
    """Pickle what a new process needs; lambdas, local classes and classes typed at a prompt go through
    cloudpickle.
    """
    import __main__

    typed_at_a_prompt = not hasattr(__main__, "__file__")
    cloudpickle = _cloudpickle()
    if typed_at_a_prompt and cloudpickle:
        return cloudpickle.dumps(obj)
    try:
        return bytes(reduction.ForkingPickler.dumps(obj))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        if cloudpickle:
            return cloudpickle.dumps(obj)
        error.add_note(
            f"The DataLoader sends {what} to its workers. Lambdas and local classes need the package "
            "cloudpickle for this (pip install cloudpickle), or the start method 'fork'."
        )
        raise


def send(connection: Connection, obj: Any) -> None:
    """Send any object through the pipe; what is large goes through shared memory."""
    body, buffers = _pickle(obj)
    parts = [body, *buffers]
    sizes = struct.pack(f"<{len(parts)}Q", *(len(part) for part in parts))
    if len(sizes) + sum(map(len, parts)) <= _INLINE:
        connection.send_bytes(b"".join([struct.pack("<BI", 0, len(parts)), sizes, *parts]))
        return
    fd = memory.anonymous_file()
    try:
        if len(sizes) > _INLINE:  # very many buffers: their sizes go first into the shared memory
            parts.insert(0, sizes)
            head = struct.pack("<BIQ", 2, len(parts) - 1, len(sizes))
        else:
            head = struct.pack("<BI", 1, len(parts)) + sizes
        end = 0
        for part in parts:
            start = _aligned(end)
            _write(fd, part, start)
            end = start + len(part)
        os.ftruncate(fd, end)
        connection.send_bytes(head)
        with _socket(connection) as way:
            socket.send_fds(way, [b"f"], [fd])
    finally:
        os.close(fd)


def receive(connection: Connection) -> Any:
    """The next object from the pipe."""
    message = connection.recv_bytes()
    kind, count = struct.unpack_from("<BI", message)
    if kind == 0:
        sizes = struct.unpack_from(f"<{count}Q", message, 5)
        parts, start = [], 5 + 8 * count
        for size in sizes:
            parts.append(bytearray(message[start : start + size]))  # tensors on it can be written to
            start += size
        return pickle.loads(parts[0], buffers=parts[1:])
    with _socket(connection) as way:
        _, fds, _, _ = socket.recv_fds(way, 1, 1)
    if not fds:
        raise EOFError
    (fd,) = fds
    try:
        content = memoryview(memory.map_file(fd, os.fstat(fd).st_size)).cast("B")
    finally:
        os.close(fd)
    start = 0
    if kind == 1:
        sizes = struct.unpack_from(f"<{count}Q", message, 5)
    else:
        (start,) = struct.unpack_from("<Q", message, 5)
        sizes = struct.unpack_from(f"<{count}Q", content)
    parts = []
    for size in sizes:
        start = _aligned(start)
        parts.append(content[start : start + size])
        start += size
    return pickle.loads(parts[0], buffers=parts[1:])


def _socket(connection: Connection) -> socket.socket:
    return socket.fromfd(connection.fileno(), socket.AF_UNIX, socket.SOCK_STREAM)


def _aligned(offset: int) -> int:
    return -(-offset // _ALIGN) * _ALIGN


def _write(fd: int, part: bytes | memoryview, offset: int) -> None:
    rest = memoryview(part).cast("B")
    while len(rest):
        written = os.pwrite(fd, rest, offset)
        rest, offset = rest[written:], offset + written
