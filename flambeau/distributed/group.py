"""A group of processes, each connected to each, and what they do together on tensors in main memory."""

from __future__ import annotations

import datetime
import os
import pickle
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future as FutureOf
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from multiprocessing.connection import Client, Connection, Listener, wait
from typing import Any

import flambeau as fb

from .store import Store, without_delay

_SMALL = 8192  # bytes that connections take without anybody reading


class RedOpType(Enum):
    """How tensors of several processes become one."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4
    BAND = 5
    BOR = 6
    BXOR = 7


class ReduceOp:
    """The names of `RedOpType`: ``ReduceOp.SUM`` …"""

    RedOpType = RedOpType
    SUM, AVG, PRODUCT, MIN, MAX, BAND, BOR, BXOR = RedOpType


_COMBINE: dict[RedOpType, Callable[[fb.Tensor, fb.Tensor], fb.Tensor]] = {
    RedOpType.SUM: lambda a, b: a + b,
    RedOpType.AVG: lambda a, b: a + b,
    RedOpType.PRODUCT: lambda a, b: a * b,
    RedOpType.MIN: lambda a, b: fb.minimum(a, b),
    RedOpType.MAX: lambda a, b: fb.maximum(a, b),
    RedOpType.BAND: lambda a, b: a & b,
    RedOpType.BOR: lambda a, b: a | b,
    RedOpType.BXOR: lambda a, b: a ^ b,
}


def combine(tensors: Sequence[fb.Tensor], op: RedOpType) -> fb.Tensor:
    """One tensor out of those of all processes, always in the order of their ranks."""
    total = tensors[0].clone()
    for tensor in tensors[1:]:
        total = _COMBINE[op](total, tensor)
    return total / len(tensors) if op is RedOpType.AVG else total


class Mesh:
    """Connections between all processes of a run."""

    def __init__(self, store: Store, rank: int, size: int, timeout: datetime.timedelta) -> None:
        self.rank, self.size, self.timeout = rank, size, timeout
        self._sender: ThreadPoolExecutor | None = None
        self._under_way: FutureOf | None = None
        self.peers: dict[int, Connection] = {}
        self.waiting: dict[
            tuple[int, int], deque[bytes]
        ] = {}  # (peer, tag) -> messages that came before their time
        if size == 1:
            return
        if rank == 0:
            store.set("key", os.urandom(16))
        key = store.get("key")
        host = os.environ.get("FLAMBEAU_HOST") or _own_address(store)
        with Listener((host, 0), backlog=size, authkey=key) as listener:
            store.set(f"address/{rank}", f"{host}:{listener.address[1]}")
            for peer in range(rank):
                address, port = store.get(f"address/{peer}").decode().rsplit(":", 1)
                connection = without_delay(Client((address, int(port)), authkey=key))
                connection.send(rank)
                self.peers[peer] = connection
            listener._listener._socket.settimeout(timeout.total_seconds())
            for _ in range(rank + 1, size):
                try:
                    connection = without_delay(listener.accept())
                except TimeoutError:
                    late = sorted(set(range(rank + 1, size)) - self.peers.keys())
                    raise RuntimeError(
                        f"Timed out after {timeout.total_seconds():g} seconds: process {rank} waits for "
                        f"{', '.join(map(str, late))} of {size}, which did not come"
                    ) from None
                self.peers[connection.recv()] = connection

    def send(self, peer: int, data: bytes | memoryview, tag: int = 0) -> None:
        """Send bytes to the process `peer`; it asks for them by `tag`."""
        if self._under_way is not None:
            self._under_way.result()
            self._under_way = None
        self._send(peer, data, tag)

    def begin_to_send(self, peer: int, data: bytes | memoryview, tag: int = 0) -> FutureOf | None:
        """`send`, without waiting for the other to take a long message; None if it is sent already."""
        if len(data) <= _SMALL:
            return self.send(peer, data, tag)
        if self._sender is None:
            self._sender = ThreadPoolExecutor(1)
        self._under_way = self._sender.submit(self._send, peer, data, tag)
        return self._under_way

    def _send(self, peer: int, data: bytes | memoryview, tag: int) -> None:
        self.peers[peer].send_bytes(tag.to_bytes(4, "little", signed=True))
        self.peers[peer].send_bytes(data)

    def receive(self, peer: int, tag: int = 0, timeout: datetime.timedelta | None = None) -> bytes:
        """The next bytes with `tag` from `peer`; RuntimeError when it is gone, or takes too long."""
        early = self.waiting.get((peer, tag))
        if early:
            return early.popleft()
        while True:
            self._wait([peer], timeout)
            try:
                found = int.from_bytes(self.peers[peer].recv_bytes(), "little", signed=True)
                data = self.peers[peer].recv_bytes()
            except (EOFError, ConnectionError) as error:
                raise RuntimeError(f"Connection closed by peer: process {peer} is gone") from error
            if found == tag:
                return data
            self.waiting.setdefault((peer, found), deque()).append(data)

    def _wait(self, peers: Sequence[int], timeout: datetime.timedelta | None = None) -> list:
        """The connections of `peers` that have something."""
        seconds = (timeout or self.timeout).total_seconds()
        ready = wait([self.peers[peer] for peer in peers], seconds)
        if not ready:
            raise RuntimeError(
                f"Timed out waiting {round(seconds * 1000)}ms for recv operation to complete\n"
                f"nothing came from process {', '.join(map(str, peers))}"
            )
        return ready

    def receive_any(self, peers: Sequence[int], tag: int) -> tuple[int, bytes]:
        """The first bytes with `tag` from one of `peers`, and whose they are."""
        for peer in peers:
            if self.waiting.get((peer, tag)):
                return peer, self.receive(peer, tag)
        ready = self._wait(peers)
        peer = next(peer for peer in peers if self.peers[peer] is ready[0])
        return peer, self.receive(peer, tag)

    def close(self) -> None:
        """Close all connections."""
        if self._sender is not None:
            self._sender.shutdown()
        for connection in self.peers.values():
            connection.close()
        self.peers.clear()


def _own_address(store: Store) -> str:
    """The address by which this machine reaches the store's, else loopback."""
    host = getattr(store, "host", None) or getattr(getattr(store, "underlying_store", None), "host", None)
    if host in (None, "localhost", "127.0.0.1"):
        return "127.0.0.1"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 1))
        return probe.getsockname()[0]


class Peers:
    """Some of the processes of a run, which give each other bytes; ranks among them count from 0."""

    def __init__(self, mesh: Mesh, ranks: Sequence[int], name: str) -> None:
        self.mesh, self.ranks, self.group_name = mesh, list(ranks), name
        self.group_rank = self.ranks.index(mesh.rank) if mesh.rank in self.ranks else -1

    def rank(self) -> int:
        """The number of this process in the group, -1 outside."""
        return self.group_rank

    def size(self) -> int:
        """The number of processes in the group."""
        return len(self.ranks)

    def name(self) -> str:
        """What carries the data."""
        return "gloo"

    def exchange(self, outgoing: Sequence[bytes | memoryview | None]) -> list[bytes]:
        """Give each process of the group its bytes (None: nothing) and return what each of them gave."""
        peers = [k for k in range(self.size()) if k != self.group_rank]
        failed: list[BaseException] = []

        def give() -> None:
            try:
                for k in peers:
                    if outgoing[k] is not None:
                        self.mesh.send(self.ranks[k], outgoing[k], -1)
            except BaseException as error:
                failed.append(error)

        # giving and taking at once: two processes that both only gave would wait for each other, once the
        # buffers of the connection are full
        giver = threading.Thread(target=give)
        small = sum(len(outgoing[k]) for k in peers if outgoing[k] is not None) <= _SMALL
        giver.run() if small else giver.start()
        incoming: list[bytes] = [b""] * self.size()
        try:
            for k in peers:
                incoming[k] = self.mesh.receive(self.ranks[k], -1)
        finally:
            if not small:
                giver.join()
        if failed:
            raise failed[0]
        return incoming

    def gather_bytes(self, data: bytes | memoryview) -> list[bytes]:
        """What every process gave, by rank."""
        everything = self.exchange([data] * self.size())
        everything[self.group_rank] = bytes(data)
        return everything

    def gather_tensors(self, tensor: fb.Tensor) -> list[fb.Tensor]:
        """The tensors of equal shape of all processes."""
        return [from_bytes(data, tensor) for data in self.gather_bytes(to_bytes(tensor))]

    def spread(self, data: bytes | memoryview | None, source: int) -> bytes:
        """The bytes of process `source`, in all processes."""
        if self.group_rank == source:
            for peer in self.ranks:
                if peer != self.mesh.rank:
                    self.mesh.send(peer, data, -1)
            return bytes(data)
        return self.mesh.receive(self.ranks[source], -1)


def to_bytes(tensor: fb.Tensor) -> memoryview:
    """The values of a tensor, one after the other."""
    plain = tensor.detach().cpu().contiguous()
    return memoryview(plain.reshape(-1).view(fb.uint8).numpy()) if plain.numel() else memoryview(b"")


def from_bytes(data: bytes, like: fb.Tensor) -> fb.Tensor:
    """A tensor with the type and shape of `like`."""
    import numpy as np

    size = like.numel() * like.dtype.itemsize
    if len(data) != size:
        raise RuntimeError(f"a process sent {len(data)} bytes where a tensor of {size} bytes was expected")
    if not data:
        return fb.empty(like.shape, dtype=like.dtype)
    return (
        fb.from_numpy(np.frombuffer(bytearray(data), np.uint8))
        .view(like.dtype)
        .reshape(like.shape)
        .to(like.device)
    )


def pickled(obj: Any) -> bytes:
    """An object for another process of the run (which is trusted)."""
    return pickle.dumps(obj)
