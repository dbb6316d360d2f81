"""Stores: small tables of bytes that the processes of a run share to find each other."""

from __future__ import annotations

import base64
import contextlib
import datetime
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, ClassVar

from ._errors import DistNetworkError, DistStoreError

__all__ = ["FileStore", "HashStore", "PrefixStore", "Store", "TCPStore"]

DEFAULT_TIMEOUT = datetime.timedelta(seconds=300)
_POLL = 0.01
_KEY = b"flambeau"  # the store is open to who can reach its port, as PyTorch's is


class Store:
    """The operations of every store, made of one: change the table under a lock."""

    timeout = DEFAULT_TIMEOUT

    def _change(self, name: str, *args: Any) -> Any:
        raise NotImplementedError

    def set(self, key: str, value: str | bytes) -> None:
        """Put a value."""
        self._change("set", key, value.encode() if isinstance(value, str) else bytes(value))

    def get(self, key: str) -> bytes:
        """The value, waiting until it is there."""
        self.wait([key])
        return self._change("get", key)

    def add(self, key: str, amount: int) -> int:
        """Count up from 0; returns the new number."""
        return self._change("add", key, amount)

    def check(self, keys: list[str]) -> bool:
        """Whether all keys are there."""
        return all(self._change("has", key) for key in keys)

    def wait(self, keys: list[str], timeout: datetime.timedelta | None = None) -> None:
        """Wait until all keys are there."""
        end = time.monotonic() + (timeout or self.timeout).total_seconds()
        while not self.check(keys):
            if time.monotonic() > end:
                raise DistStoreError(
                    f"wait timeout after {(timeout or self.timeout)}, keys: {', '.join(keys)}"
                )
            time.sleep(_POLL)

    def compare_set(self, key: str, expected_value: str, desired_value: str) -> bytes:
        """Put a value where the expected one is; returns what is there then."""
        return self._change("compare_set", key, expected_value.encode(), desired_value.encode())

    def delete_key(self, key: str) -> bool:
        """Remove a key; whether it was there."""
        return self._change("delete", key)

    def num_keys(self) -> int:
        """The number of keys."""
        return self._change("count", "")

    def set_timeout(self, timeout: datetime.timedelta) -> None:
        """How long `get` and `wait` wait."""
        self.timeout = timeout


def without_delay(connection: Connection) -> Connection:
    """Let short messages go at once, not when the last one has been received (Nagle's algorithm: 40 ms)."""
    import os

    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        same.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _apply(table: dict[str, bytes], name: str, key: str, *args: Any) -> Any:
    if name == "set":
        table[key] = args[0]
    elif name == "get":
        return table[key]
    elif name == "has":
        return key in table
    elif name == "add":
        total = int(table.get(key, b"0")) + args[0]
        table[key] = str(total).encode()
        return total
    elif name == "compare_set":
        if table.get(key, b"" if not args[0] else None) == args[0]:
            table[key] = args[1]
        return table.get(key, args[0])
    elif name == "delete":
        return table.pop(key, None) is not None
    elif name == "count":
        return len(table)
    return None


class HashStore(Store):
    """A table in this process."""

    def __init__(self) -> None:
        self._table: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def _change(self, name: str, *args: Any) -> Any:
        with self._lock:
            return _apply(self._table, name, *args)


class FileStore(Store):
    """A table in a file that all processes can reach."""

    def __init__(self, file_name: str, world_size: int = -1) -> None:
        self.path = file_name

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Any]:
        import fcntl

        with open(self.path, "a+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file

    def _change(self, name: str, *args: Any) -> Any:
        with self._locked() as file:
            file.seek(0)
            text = file.read()
            table = {key: base64.b64decode(value) for key, value in json.loads(text).items()} if text else {}
            before = dict(table)
            result = _apply(table, name, *args)
            if table != before:
                file.truncate(0)
                json.dump({key: base64.b64encode(value).decode() for key, value in table.items()}, file)
                file.flush()
            return result


class TCPStore(Store):
    """A table in one process, the master, that the others reach over the network.

    Several of a process with `multi_tenant` share the table of their port.
    """

    _shared: ClassVar[set[int]] = set()  # ports of masters of this process

    def __init__(
        self,
        host_name: str,
        port: int,
        world_size: int | None = None,
        is_master: bool = False,
        timeout: datetime.timedelta = DEFAULT_TIMEOUT,
        wait_for_workers: bool = True,
        multi_tenant: bool = False,
        use_libuv: bool = True,
    ) -> None:
        self.host, self.port, self.timeout = host_name, port, timeout
        self._lock = threading.Lock()
        self._listener: Listener | None = None
        if is_master and not (multi_tenant and port in self._shared):
            self._listener = Listener(
                ("", port) if host_name not in ("localhost", "127.0.0.1") else (host_name, port),
                backlog=128,
                authkey=_KEY,
            )
            self.port = self._listener.address[1]
            self._table: dict[str, bytes] = {}
            self._table_lock = threading.Lock()
            threading.Thread(target=self._accept, daemon=True).start()
            if multi_tenant:
                self._shared.add(self.port)
        self._connection = self._connect()
        if wait_for_workers and world_size:
            self.add("workers", 1)
            self._until(lambda: int(self._change("get", "workers")) >= world_size, "all workers")

    def _until(self, ready: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + self.timeout.total_seconds()
        while not ready():
            if time.monotonic() > end:
                raise DistStoreError(f"{what} did not come within {self.timeout}")
            time.sleep(_POLL)

    def _connect(self) -> Connection:
        end = time.monotonic() + self.timeout.total_seconds()
        while True:
            try:
                return without_delay(Client((self.host, self.port), authkey=_KEY))
            except (ConnectionError, socket.gaierror, EOFError) as error:
                if time.monotonic() > end:
                    waited = round(self.timeout.total_seconds() * 1000)
                    raise DistNetworkError(
                        f"The client socket has timed out after {waited}ms while trying to connect to"
                        f" ({self.host}, {self.port}).\n{error}"
                    ) from error
                time.sleep(10 * _POLL)

    def _accept(self) -> None:
        while True:
            try:
                connection = self._listener.accept()
            except (OSError, EOFError):
                if self._listener._listener is None:  # closed
                    return
                continue
            threading.Thread(target=self._serve, args=(without_delay(connection),), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                order = connection.recv()
                with self._table_lock:
                    try:
                        answer: Any = True, _apply(self._table, *order)
                    except (KeyError, ValueError) as error:
                        answer = False, error
                connection.send(answer)

    def _change(self, name: str, *args: Any) -> Any:
        with self._lock:
            self._connection.send((name, *args))
            fine, result = self._connection.recv()
        if not fine:
            raise result
        return result


class PrefixStore(Store):
    """A store in which all keys of another begin with a word."""

    def __init__(self, prefix: str, store: Store) -> None:
        self.prefix, self.underlying_store, self.timeout = prefix, store, store.timeout

    def _change(self, name: str, *args: Any) -> Any:
        return self.underlying_store._change(name, f"{self.prefix}/{args[0]}", *args[1:])
