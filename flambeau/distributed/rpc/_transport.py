"""Messages between the workers of a job: requests with their answers, and notes, which nobody answers.

Every worker is connected with every other one. A thread for each connection reads, and hands what it read to
other threads at once; so a worker always takes what is sent to it, whatever its functions wait for. All
threads are daemons: none keeps a process from its end.

Values travel as pickles, tensors beside them as their bytes. A pickle can name any function: workers trust
each other, and the key of the connections lets in nobody else.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import pickle
import re
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

import numpy as np

import flambeau as fb
from flambeau.distributed.group import to_bytes
from flambeau.futures import Future

_REQUEST, _ANSWER, _NOTE, _GOODBYE = range(4)
_MOST_PARTS = 512  # of one system call
_BUFFER = 4 << 20


class WorkerInfo(NamedTuple):
    """The name of a worker and its number in the job."""

    name: str
    id: int

    def __repr__(self) -> str:
        return f"WorkerInfo(id={self.id}, name={self.name})"


# ------------------------------------------------------------------ bytes


class Channel:
    """A connection that carries messages of several parts."""

    def __init__(self, connection: Connection) -> None:
        self._socket = socket.socket(fileno=os.dup(connection.fileno()))
        connection.close()
        for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
            self._socket.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
        self._sending = threading.Lock()

    def send(self, parts: Sequence[Any]) -> None:
        """Send a message; two threads do not mix theirs."""
        views = [memoryview(part) for part in parts]
        sizes = [view.nbytes for view in views]
        waiting = deque([memoryview(struct.pack(f"<I{len(sizes)}Q", len(sizes), *sizes))])
        waiting += [view.cast("B") for view in views if view.nbytes]
        with self._sending:
            while waiting:
                sent = self._socket.sendmsg([waiting[k] for k in range(min(len(waiting), _MOST_PARTS))])
                while waiting and sent >= len(waiting[0]):
                    sent -= len(waiting.popleft())
                if sent:
                    waiting[0] = waiting[0][sent:]

    def receive(self) -> list[bytearray]:
        """The next message; EOFError when the other side is gone."""
        (count,) = struct.unpack("<I", self._read(4))
        return [self._read(size) for size in struct.unpack(f"<{count}Q", self._read(8 * count))]

    def _read(self, size: int) -> bytearray:
        data = bytearray(size)
        view = memoryview(data)
        while view:
            taken = self._socket.recv_into(view, 0, socket.MSG_WAITALL)
            if not taken:
                raise EOFError
            view = view[taken:]
        return data

    def close(self) -> None:
        """Close it, also for a thread that reads."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


# ------------------------------------------------------------------ values

_thread = threading.local()


def receiver() -> WorkerInfo | None:
    """The worker for which this thread pickles; None where it does not."""
    return getattr(_thread, "receiver", None)


def if_not_sent(undo: Callable[[], None]) -> None:
    """Have this called where the value that this thread pickles turns out not to be picklable."""
    if getattr(_thread, "undo", None) is not None:
        _thread.undo.append(undo)


def _tensor_at(index: int) -> fb.Tensor:
    return _thread.tensors[index]


class _Pickler(pickle.Pickler):
    def __init__(self, stream: io.BytesIO, value: Any) -> None:
        super().__init__(stream, 5)
        self.value = value
        self.tensors: list[fb.Tensor] = []

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        if kind is not fb.Tensor and not (obj is self.value and kind is fb.nn.Parameter):
            return NotImplemented
        if obj.device.type != "cpu" or obj.is_conj() or obj.is_neg():
            return NotImplemented
        self.tensors.append(obj)
        return _tensor_at, (len(self.tensors) - 1,)


def encode(value: Any, to: WorkerInfo) -> tuple[bytes, list[fb.Tensor]]:
    """A pickle of a value, and the tensors in it."""
    stream = io.BytesIO()
    pickler = _Pickler(stream, value)
    before = receiver(), getattr(_thread, "undo", None)
    _thread.receiver, _thread.undo = to, []
    try:
        pickler.dump(value)
    except BaseException:
        for undo in _thread.undo:
            undo()
        raise
    finally:
        _thread.receiver, _thread.undo = before
    return stream.getvalue(), pickler.tensors


def decode(data: bytes | bytearray, tensors: list[fb.Tensor]) -> Any:
    """The value of a pickle; runs what it names."""
    before = getattr(_thread, "tensors", None)
    _thread.tensors = tensors
    try:
        return pickle.loads(data)
    finally:
        _thread.tensors = before


_SHORT = 4096
# how a pickle names the function that gives a tensor, whatever this module is called
_TENSOR_NAME = re.compile(rb"\x8c.[\w.]+\.rpc\._transport\x94\x8c\n_tensor_at\x94\x93", re.DOTALL)


def _is_plain(data: bytearray) -> bool:
    """Whether a pickle surely names no function but that one."""
    return len(data) < _SHORT and b"\x93" not in _TENSOR_NAME.sub(b"", data, count=1)


def _order(tensor: fb.Tensor) -> list[int]:
    """The dimensions of a tensor as they lie in memory."""
    return sorted(range(tensor.dim()), key=lambda d: -tensor.stride(d))


def _taken_apart(tensor: fb.Tensor) -> tuple[tuple, memoryview]:
    order = None if tensor.is_contiguous() else _order(tensor)
    facts = tensor.dtype, tuple(tensor.shape), order, tensor.requires_grad
    return facts, to_bytes(tensor if order is None else tensor.detach().permute(order))


def _put_together(facts: tuple, data: Any) -> fb.Tensor:
    dtype, shape, order, _ = facts
    flat = fb.from_numpy(np.frombuffer(data, np.uint8)).view(dtype) if len(data) else fb.empty(0, dtype=dtype)
    if order is None:
        return flat.reshape(shape)
    back = sorted(range(len(order)), key=order.__getitem__)
    return flat.reshape([shape[d] for d in order]).permute(back)


class Failure:
    """An exception on its way to another worker.

    Parameters
    ----------
    kind : its class.
    text : what the caller is told of it.
    plain : whether the caller gets it as it is: it is no user's function that raised it.
    """

    def __init__(self, kind: type, text: str, plain: bool = False) -> None:
        self.kind, self.text, self.plain = kind, text, plain

    def __reduce__(self) -> tuple:
        try:
            pickle.dumps(self.kind)
        except Exception:  # a class of a function
            return Failure, (RuntimeError, self.text, self.plain)
        return Failure, (self.kind, self.text, self.plain)

    def original(self) -> BaseException:
        """The exception as the class that it was."""
        try:
            return self.kind(self.text)
        except Exception as error:
            return RuntimeError(
                f"Failed to create original exception type. Error msg was {error} Original exception on "
                f"remote side was {self.text}"
            )

    def for_caller(self) -> BaseException:
        """The exception as `rpc_sync` raises it: of a class that every program has."""
        error = self.original()
        if self.plain:
            return error
        kind = next((k for k in (ValueError, TypeError) if isinstance(error, k)), RuntimeError)
        made = kind(f"{type(error).__name__}: {error}")
        made.__cause__ = error
        return made


# ------------------------------------------------------------------ threads


def _run_safely(task: Callable, *args: Any) -> None:
    try:
        task(*args)
    except Exception:
        logging.getLogger(__name__).exception("an error of remote procedure calls that nobody waits for")


class Pool:
    """Threads that run tasks, started as they are needed, `most` of them."""

    def __init__(self, name: str, most: float = float("inf")) -> None:
        self.name, self.most = name, most
        self._tasks: SimpleQueue = SimpleQueue()
        self._lock = threading.Lock()
        self._count = 0  # threads
        self._begun = 0  # tasks that wait or run: each has a thread, as tasks may wait for one another

    def run(self, task: Callable, *args: Any) -> None:
        """Have a thread call ``task(*args)``."""
        with self._lock:
            self._begun += 1
            more = self._count < min(self._begun, self.most)
            self._count += more
        self._tasks.put((task, args))
        if more:
            threading.Thread(target=self._work, daemon=True, name=self.name).start()

    def _work(self) -> None:
        while True:
            task, args = self._tasks.get()
            if task is None:
                return
            _run_safely(task, *args)
            del task, args  # nothing of a task outlives it
            with self._lock:
                self._begun -= 1

    def stop(self) -> None:
        """Let all threads end when they are done."""
        for _ in range(self._count):
            self._tasks.put((None, ()))


class Request:
    """What another worker asked for."""

    def __init__(self, agent: Agent, sender: WorkerInfo, number: int, facts: tuple) -> None:
        self.agent, self.sender, self.number, self.facts = agent, sender, number, facts
        self.value: Any = None
        self.trace: Any = None  # the context of gradients that it is part of
        self.answered = False
        self.answers_itself = True  # what cannot be read is no matter of the handler

    def fail(self, error: BaseException) -> None:
        """Send an exception, to be raised as it is."""
        self.answer(Failure(type(error), f"{error}", plain=True))

    def answer(self, value: Any) -> None:
        """Send what came of it, a `Failure` where that is an exception."""
        if not self.answered:
            self.answered = True
            self.agent._answer(self, value)


class _Answer(Future):
    """What a request gives. A thread that reads may set it, and so callbacks have other threads."""

    def __init__(self, agent: Agent) -> None:
        super().__init__()
        self._agent = agent

    def _run(self, callback: Callable) -> None:
        self._agent.count(begun=1)
        self._agent.system.run(self._run_counted, callback)

    def _run_counted(self, callback: Callable) -> None:
        try:
            callback(self)
        finally:
            self._agent.count(done=1)


class _Pending(NamedTuple):
    future: Future
    to: int
    raw: bool  # the future takes Failures as values


class Agent:
    """This worker, connected with the others.

    Parameters
    ----------
    rank : of this worker.
    names : those of all workers, by rank.
    peers : a connection for each other rank.
    threads : how many requests are worked on at a time.
    timeout : seconds that an answer may take; 0 is no limit.
    """

    def __init__(
        self,
        rank: int,
        names: Sequence[str],
        peers: dict[int, Connection],
        threads: int,
        timeout: float,
    ) -> None:
        self.workers = [WorkerInfo(name, k) for k, name in enumerate(names)]
        self.me, self.timeout = self.workers[rank], timeout
        self._by_name = {worker.name: worker for worker in self.workers}
        self.channels = {peer: Channel(connection) for peer, connection in peers.items()}
        self.users, self.system = Pool("rpc functions", threads), Pool("rpc answers")
        self.handlers: dict[str, tuple[Callable[[Request], None], Pool]] = {}
        self.early: dict[str, Callable[[WorkerInfo, tuple], None]] = {}
        self.notes: dict[str, Callable[..., None]] = {}
        self.when_lost: list[Callable[[int], None]] = []
        self.tracer: Any = None  # records gradients
        self.lost: dict[int, str] = {}  # worker -> why
        self.closed = False
        self.changed = threading.Condition()  # of all that follows
        self.begun = self.done = 0  # requests to others, and those of others
        self._pending: dict[int, _Pending] = {}
        self._finishing = 0  # futures that are being set
        self._numbers = 0
        self._deadlines: dict[float, deque[tuple[float, int]]] = {}
        self._clerk: SimpleQueue = SimpleQueue()

    def start(self) -> None:
        """Begin to read."""
        for peer, channel in self.channels.items():
            threading.Thread(target=self._read, args=(peer, channel), daemon=True, name="rpc reader").start()
        threading.Thread(target=self._keep_time, daemon=True, name="rpc clerk").start()

    def find(self, worker: Any) -> WorkerInfo:
        """A worker by its name, its number or its info."""
        if isinstance(worker, WorkerInfo):
            worker = worker.id
        asked = f"name:{self.me.name},rank:{self.me.id} could not find destination"
        if isinstance(worker, str):
            if worker not in self._by_name:
                raise RuntimeError(f"{asked} name {worker}")
            return self._by_name[worker]
        if isinstance(worker, int):
            if not 0 <= worker < len(self.workers):
                raise RuntimeError(f"{asked} id {worker}")
            return self.workers[worker]
        raise ValueError(f"Cannot get WorkerInfo from name {worker}")

    # ------------------------------------------------------------------ sending

    def request(
        self,
        to: WorkerInfo,
        what: str,
        facts: tuple = (),
        value: Any = None,
        timeout: float = 0,
        raw: bool = False,
    ) -> Future:
        """Ask a worker for something; a future of the answer."""
        future: Future = _Answer(self)
        parts, metas, trace = self._encoded(value, to)
        with self.changed:
            if self.closed:
                raise RuntimeError("RPC has been shut down")
            number = self._numbers
            self._numbers += 1
            self._pending[number] = _Pending(future, to.id, raw)
            self.begun += 1
            if timeout:
                self._set_deadline(number, timeout)
        head = pickle.dumps((_REQUEST, number, what, facts, metas, trace))
        if not self._send_or_fail(to, [head, *parts]):
            self._finish(number, self._gone(to.id))
        return future

    def _encoded(self, value: Any, to: WorkerInfo) -> tuple[list, list[tuple], Any]:
        body, tensors = encode(value, to)
        trace = self.tracer.outgoing(tensors, to) if self.tracer is not None else None
        apart = [_taken_apart(tensor) for tensor in tensors]
        return [body, *(data for _, data in apart)], [facts for facts, _ in apart], trace

    def note(self, to: WorkerInfo, what: str, *facts: Any) -> None:
        """Tell a worker something; nobody knows whether it arrives where the worker ends."""
        self._send_or_fail(to, [pickle.dumps((_NOTE, what, facts))])

    def later(self, task: Callable[[], None]) -> None:
        """Have the clerk call this: for what must not wait for a connection, or for a lock."""
        self._clerk.put(task)

    def _send_or_fail(self, to: WorkerInfo, parts: list) -> bool:
        try:
            self._send(to, parts)
        except OSError as error:
            self._lose(to.id, f"{type(error).__name__}: {error}")
            return False
        return True

    def _send(self, to: WorkerInfo, parts: list) -> None:
        if to.id == self.me.id:
            self._arrived(self.me, [*parts[:2], *(bytearray(part) for part in parts[2:])])
        elif to.id in self.lost:
            raise OSError(self.lost[to.id])
        else:
            self.channels[to.id].send(parts)

    def _answer(self, request: Request, value: Any) -> None:
        try:
            with _tracing(self.tracer, request.trace):
                parts, metas, trace = self._encoded(value, request.sender)
        except Exception as error:  # what cannot be pickled
            failure = Failure(RuntimeError, f"{type(error).__name__}: {error}", plain=True)
            parts, metas, trace = [encode(failure, request.sender)[0]], [], None
        self._send_or_fail(request.sender, [pickle.dumps((_ANSWER, request.number, metas, trace)), *parts])
        self.count(done=1)

    def count(self, begun: int = 0, done: int = 0) -> None:
        """Note that there is something to be done before the end, or that it is done."""
        with self.changed:
            self.begun += begun
            self.done += done
            self.changed.notify_all()

    # ------------------------------------------------------------------ receiving

    def _read(self, peer: int, channel: Channel) -> None:
        sender = self.workers[peer]
        try:
            while True:
                self._arrived(sender, channel.receive())
        except (EOFError, OSError) as error:
            self._lose(peer, "EOF: end of file" if isinstance(error, EOFError) else f"{error}")

    def _arrived(self, sender: WorkerInfo, parts: list) -> None:
        kind, *facts = pickle.loads(parts[0])
        if kind == _REQUEST:
            number, what, said, metas, trace = facts
            if (early := self.early.get(what)) is not None:
                early(sender, said)
            handler, pool = self.handlers[what]
            request = Request(self, sender, number, said)
            request.answers_itself = pool is not self.users
            pool.run(self._handle, request, handler, parts[1:], metas, trace)
        elif kind == _ANSWER:
            if _is_plain(parts[1]):
                self._answered(sender, parts[1:], *facts)
            else:
                self.system.run(self._answered, sender, parts[1:], *facts)
        elif kind == _NOTE:
            self.notes[facts[0]](sender, *facts[1])
        else:
            self._lose(sender.id, "it has shut down")

    def _decoded(self, sender: WorkerInfo, parts: list, metas: list, trace: Any) -> Any:
        tensors = [_put_together(facts, data) for facts, data in zip(metas, parts[1:], strict=True)]
        context = None
        for tensor, facts in zip(tensors, metas):
            if facts[3]:
                tensor.requires_grad_()
        if trace is not None:
            context = self.tracer.incoming(trace, tensors, sender)
        return context, decode(parts[0], tensors)

    def _handle(self, request: Request, handler: Callable, parts: list, metas: list, trace: Any) -> None:
        try:
            request.trace, request.value = self._decoded(request.sender, parts, metas, trace)
        except Exception as error:  # a name that this worker does not know, most of all
            said = f"{error}"
            if isinstance(error, (AttributeError, ImportError)):
                said += (
                    " Default RPC pickler does not serialize function code. Ensure that UDFs are defined on "
                    "both caller and callee modules."
                )
            request.value = Failure(type(error), f"On {self.me}:\n{type(error).__name__}({said!r})\n{said}")
        with _tracing(self.tracer, request.trace):
            try:
                if isinstance(request.value, Failure) and request.answers_itself:
                    request.answer(request.value)
                else:
                    handler(request)
            except BaseException as error:
                request.fail(error)

    def _answered(self, sender: WorkerInfo, parts: list, number: int, metas: list, trace: Any) -> None:
        try:
            _, value = self._decoded(sender, parts, metas, trace)
        except Exception as error:
            value = Failure(RuntimeError, f"{type(error).__name__}: {error}", plain=True)
        self._finish(number, value)

    def _finish(self, number: int, value: Any) -> None:
        with self.changed:
            pending = self._pending.pop(number, None)
            if pending is None:  # it came too late
                return
            self._finishing += 1
        if isinstance(value, Failure) and not pending.raw:
            pending.future.set_exception(value.for_caller())
        else:
            pending.future.set_result(value)
        with self.changed:
            self._finishing -= 1
            self.changed.notify_all()

    # ------------------------------------------------------------------ time, and the end

    def _set_deadline(self, number: int, timeout: float) -> None:
        waiting = self._deadlines.setdefault(timeout, deque())
        while waiting and waiting[0][1] not in self._pending:
            waiting.popleft()
        if not waiting:
            self._clerk.put(None)  # it has to look at the clock anew
        waiting.append((time.monotonic() + timeout, number))

    def _keep_time(self) -> None:
        wait: float | None = None
        while not self.closed:
            with contextlib.suppress(Empty):
                if (task := self._clerk.get(timeout=wait)) is not None:
                    _run_safely(task)
                    del task
            wait = self._expire()

    def _expire(self) -> float | None:
        """End what took too long; how long nothing else will have."""
        over: list[tuple[int, float]] = []
        now, first = time.monotonic(), None
        with self.changed:
            for timeout, waiting in self._deadlines.items():
                while waiting and (waiting[0][0] <= now or waiting[0][1] not in self._pending):
                    over.append((waiting.popleft()[1], timeout))
                if waiting:
                    first = min(first or waiting[0][0], waiting[0][0])
            for timeout in [timeout for timeout, waiting in self._deadlines.items() if not waiting]:
                del self._deadlines[timeout]  # callers may give another one every time
        for number, timeout in over:
            text = (
                f"RPCErr:1:RPC ran for more than set timeout ({round(timeout * 1000)} ms) and will now be "
                "marked with an error"
            )
            self.system.run(self._finish, number, Failure(RuntimeError, text, plain=True))
        return None if first is None else max(0.0, first - now)

    def _lose(self, peer: int, why: str) -> None:
        """A worker is gone: those who wait for it are told."""
        with self.changed:
            if peer in self.lost or self.closed:
                return
            self.lost[peer] = why
            waiting = [number for number, pending in self._pending.items() if pending.to == peer]
            self.changed.notify_all()
        for number in waiting:
            self.system.run(self._finish, number, self._gone(peer))
        for tell in self.when_lost:
            tell(peer)

    def _gone(self, peer: int) -> Failure:
        text = f"{self.lost.get(peer)}\nThe connection to {self.workers[peer]} is closed"
        return Failure(RuntimeError, text, plain=True)

    def quiet(self) -> bool:
        """Whether nothing is under way that this worker asked for."""
        return not self._pending and not self._finishing

    def say_goodbye(self, seconds: float) -> None:
        """Tell the others that this worker goes, and wait until they do."""
        for peer in self.channels:
            if peer not in self.lost:
                with contextlib.suppress(OSError):
                    self.channels[peer].send([pickle.dumps((_GOODBYE,))])
        with self.changed:
            self.changed.wait_for(lambda: len(self.lost) == len(self.channels), seconds)

    def close(self) -> None:
        """End all connections and threads; what is still waited for fails."""
        with self.changed:
            self.closed = True
            waiting = list(self._pending)
        for number in waiting:
            self._finish(number, Failure(RuntimeError, "RPC has been shut down", plain=True))
        for channel in self.channels.values():
            channel.close()
        self._clerk.put(None)
        self.users.stop()
        self.system.stop()


@contextlib.contextmanager
def _tracing(tracer: Any, context: Any) -> Any:
    if tracer is None:
        yield
        return
    before = tracer.enter(context)
    try:
        yield
    finally:
        tracer.enter(before)
