"""Calling functions of other workers."""

from __future__ import annotations

import collections
import contextlib
import functools
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import flambeau as fb
from flambeau.distributed import autograd
from flambeau.distributed.store import PrefixStore
from flambeau.futures import Future, collect_all

from . import _rref
from ._rref import PyRRef, RRef
from ._transport import Agent, Failure, Request, WorkerInfo
from .constants import DEFAULT_SHUTDOWN_TIMEOUT, UNSET_RPC_TIMEOUT
from .functions import Later, later
from .options import BackendType, TensorPipeRpcBackendOptions

__all__ = [
    "PyRRef",
    "RRef",
    "WorkerInfo",
    "get_worker_info",
    "init_rpc",
    "remote",
    "rpc_async",
    "rpc_sync",
    "shutdown",
]

_agent: Agent | None = None
_gathered: dict[tuple, dict[str, Any]] = {}  # what others gave for `_all_gather`
_gathers: collections.Counter[tuple[str, frozenset]] = collections.Counter()
_times = 0  # how often there was an agent
_thread = threading.local()
_GOODBYE = 5.0  # seconds for the last word of the others
_OPERATOR = type(fb.add)
_NAME = re.compile(r"[A-Za-z0-9_:-]*")


def _is_current_rpc_agent_set() -> bool:
    """Whether this process is a worker."""
    return _agent is not None


def _get_current_rpc_agent() -> Agent:
    """What connects this worker with the others."""
    if _agent is None:
        raise RuntimeError(_rref._NO_AGENT)
    return _agent


def _require_initialized(func: Callable) -> Callable:
    """Decorator: `func` raises where this process is no worker."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if _agent is None:
            raise RuntimeError("RPC has not been initialized. Call torch.distributed.rpc.init_rpc first.")
        return func(*args, **kwargs)

    return wrapper


# ------------------------------------------------------------------ beginning


def init_rpc(
    name: str,
    backend: BackendType | None = None,
    rank: int = -1,
    world_size: int | None = None,
    rpc_backend_options: TensorPipeRpcBackendOptions | None = None,
) -> None:
    """Become a worker: meet the others, and be called by them from then on.

    Workers run what others name, any function; they trust each other, and nobody else gets at them. The
    meeting place itself lets in whoever reaches its port, so that a job belongs on a network of its own.

    Parameters
    ----------
    name : of this worker; letters, digits, ``_``, ``-`` and ``:``.
    backend : `BackendType.TENSORPIPE`.
    rank : the number of this worker.
    world_size : how many there are. Workers that come and go are not there.
    rpc_backend_options : threads, time and meeting place.

    Raises
    ------
    RuntimeError : it is one already, or two have one name.
    """
    global _agent, _times
    if backend is not None and not isinstance(backend, BackendType):
        raise TypeError("Argument backend must be a member of BackendType")
    options = rpc_backend_options or TensorPipeRpcBackendOptions()
    if not isinstance(options, TensorPipeRpcBackendOptions):
        raise TypeError("`rpc_backend_options` must be a `TensorPipeRpcBackendOptions`")
    if _agent is not None:
        raise RuntimeError("RPC is already initialized")
    if not _NAME.fullmatch(name):
        raise RuntimeError(f"Worker name must match ^[A-Za-z0-9-_:]*$, but got {name}")
    if not name or len(name) >= 128:
        raise RuntimeError(
            f"RPC worker name must be non-empty and shorter than 128 characters, but got {name}"
        )
    from flambeau import distributed as dist
    from flambeau.distributed.group import Mesh

    limit = dist.default_pg_timeout
    store, rank, size = dist._meeting_place(
        options.init_method, rank, -1 if world_size is None else world_size, limit
    )
    place = PrefixStore(f"rpc{_times}", store)
    _times += 1
    place.set(f"name/{rank}", name)
    names = [place.get(f"name/{k}").decode() for k in range(size)]
    if names.count(name) > 1:
        first, second = [k for k, other in enumerate(names) if other == name][:2]
        raise RuntimeError(
            f"RPC worker name {name} is not unique. Workers {second} and {first} share the same name."
        )
    mesh = Mesh(place, rank, size, limit)
    agent = Agent(rank, names, mesh.peers, options.num_worker_threads, options.rpc_timeout)
    agent.handlers |= {
        "call": (_called, agent.users),
        "backward": (_rref.backward_asked, agent.system),
    }
    agent.notes["gather"] = functools.partial(_given, agent)
    references = _rref.References(agent, _run)
    autograd._start(agent)
    _gathered.clear()
    _gathers.clear()
    _rref.install(references)
    _agent = agent
    agent.start()


# ------------------------------------------------------------------ the side that is called


def _run(call: Any, give: Callable[[Any], None]) -> None:
    """Call a user's function, and pass on its result or a `Failure`, now or later."""
    if isinstance(call, Failure):
        give(call)
        return
    function, args, kwargs = call
    fb.set_grad_enabled(True)  # whatever was called in this thread before
    try:
        result = later(function, function(*args, **kwargs))
    except BaseException as error:
        result = _described(error, isinstance(function, _OPERATOR))
    if not isinstance(result, Later):
        give(result)
        return

    def finished(future: Future) -> None:
        try:
            value = future.value()
        except Exception as error:
            value = _described(error, False)
        give(value)

    result.future.add_done_callback(finished)


def _described(error: BaseException, plain: bool) -> Failure:
    if plain:  # an operator: where it was called says nothing
        return Failure(RuntimeError, f"{error}", plain=True)
    inner = error.__traceback__ and (error.__traceback__.tb_next or error.__traceback__)
    lines = traceback.format_exception(type(error), error, inner)
    return Failure(type(error), f"On {_agent and _agent.me}:\n{error!r}\n{''.join(lines)}")


def _called(request: Request) -> None:
    _run(request.value, request.answer)


# ------------------------------------------------------------------ the side that calls


def _invoke(to: Any, func: Callable, args: Any, kwargs: Any, timeout: float) -> Future:
    if not callable(func):
        raise TypeError("function should be callable.")
    worker = _agent.find(to)
    seconds = _agent.timeout if timeout == UNSET_RPC_TIMEOUT else timeout
    call = func, args if args else (), kwargs if kwargs else {}
    return _agent.request(worker, "call", value=call, timeout=seconds)


@_require_initialized
def rpc_sync(
    to: str | int | WorkerInfo,
    func: Callable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    timeout: float = UNSET_RPC_TIMEOUT,
) -> Any:
    """Have a worker call a function, and wait for its result.

    Parameters
    ----------
    to : the worker: its name, its number or its `WorkerInfo`.
    func : a function that the worker can import by its name.
    args, kwargs : its arguments; tensors and what else are copied, an `RRef` stays a reference.
    timeout : seconds that it may take; 0 is no limit, -1 that of `init_rpc`.

    Raises
    ------
    RuntimeError : the function raised an exception, or it took too long, or the worker is gone. A
        `ValueError` or `TypeError` of the function is raised as such. The text has the remote traceback,
        `__cause__` is the exception as the class that it was.
    """
    return _invoke(to, func, args, kwargs, timeout).wait()


@_require_initialized
def rpc_async(
    to: str | int | WorkerInfo,
    func: Callable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    timeout: float = UNSET_RPC_TIMEOUT,
) -> Future:
    """Have a worker call a function; a future of its result.

    Parameters
    ----------
    to, func, args, kwargs, timeout : as of `rpc_sync`.
    """
    future = _invoke(to, func, args, kwargs, timeout)
    if (waited := getattr(_thread, "futures", None)) is not None:
        waited.append(future)
    return future


@_require_initialized
def remote(
    to: str | int | WorkerInfo,
    func: Callable,
    args: Sequence[Any] | None = None,
    kwargs: dict[str, Any] | None = None,
    timeout: float = UNSET_RPC_TIMEOUT,
) -> RRef:
    """Have a worker call a function and keep the result; a reference to that, at once.

    Parameters
    ----------
    to, func, args, kwargs : as of `rpc_sync`.
    timeout : seconds until the worker has to know of it.
    """
    if not callable(func):
        raise TypeError("function should be callable.")
    seconds = _agent.timeout if timeout == UNSET_RPC_TIMEOUT else timeout
    return RRef._to_new(_agent.find(to), (func, args if args else (), kwargs if kwargs else {}), seconds)


@_require_initialized
def get_worker_info(worker_name: str | None = None) -> WorkerInfo:
    """A worker by its name; without one, this worker."""
    return _agent.me if worker_name is None else _agent.find(worker_name)


@_require_initialized
def get_rpc_timeout() -> float:
    """The seconds that a call may take where it does not say."""
    return _agent.timeout


@_require_initialized
def _set_rpc_timeout(seconds: float) -> None:
    """Say how long a call may take where it does not say."""
    _agent.timeout = float(seconds)


@contextlib.contextmanager
def _wait_all() -> Iterator[None]:
    """Context manager: its end waits for the calls that `rpc_async` began in it, and raises their errors."""
    before, _thread.futures = getattr(_thread, "futures", None), []
    try:
        yield
        fb.futures.wait_all(_thread.futures)
    finally:
        _thread.futures = before


# ------------------------------------------------------------------ all workers


def _given(agent: Agent, sender: WorkerInfo, group: tuple, value: Any) -> None:
    with agent.changed:
        _gathered.setdefault(group, {})[sender.name] = value
        agent.changed.notify_all()


@_require_initialized
def _all_gather(
    obj: Any, worker_names: Iterable[str] | None = None, timeout: float = UNSET_RPC_TIMEOUT
) -> dict[str, Any]:
    """What each worker gave, by their names; all of them call this.

    Parameters
    ----------
    obj : what this one gives.
    worker_names : the workers, by default all.
    timeout : seconds to wait for the others; -1 that of `init_rpc`, 0 no limit.

    Raises
    ------
    RuntimeError : one did not come in time, or is gone.
    """
    return _gather(obj, worker_names, timeout, "")


def _gather(obj: Any, worker_names: Iterable[str] | None, timeout: float, purpose: str) -> dict[str, Any]:
    """`_all_gather`; those of one purpose do not take what was given for another."""
    agent = _agent
    names = frozenset(worker_names or (worker.name for worker in agent.workers))
    if agent.me.name not in names:
        raise RuntimeError(f"{agent.me.name} is not expected in {sorted(names)}")
    with agent.changed:
        _gathers[purpose, names] += 1
        group = purpose, tuple(sorted(names)), _gathers[purpose, names]
    others = [agent.find(name) for name in sorted(names - {agent.me.name})]
    seconds = agent.timeout if timeout == UNSET_RPC_TIMEOUT else timeout
    for worker in others:
        agent.note(worker, "gather", group, obj)
    with agent.changed:
        found = _gathered.setdefault(group, {})
        found[agent.me.name] = obj

        def ready() -> bool:
            return len(found) == len(names) or any(w.id in agent.lost and w.name not in found for w in others)

        in_time = agent.changed.wait_for(ready, seconds or None)
        del _gathered[group]
    missing = [worker.name for worker in others if worker.name not in found]
    if not in_time:
        raise RuntimeError(f"timed out in _all_gather after {seconds:.2f} seconds: nothing from {missing}")
    if missing:
        gone = [name for name in missing if agent.find(name).id in agent.lost]
        raise RuntimeError(f"_all_gather: the connection to {', '.join(gone)} is closed")
    return {name: found[name] for name in sorted(found)}


def _barrier(worker_names: Iterable[str]) -> None:
    """Wait until all of these workers are here."""
    _all_gather(None, set(worker_names))


@_require_initialized
def _wait_all_workers(timeout: float = DEFAULT_SHUTDOWN_TIMEOUT) -> None:
    """Wait until all workers are here and nothing that one asked of another is under way."""
    agent = _agent
    end = time.monotonic() + timeout if timeout else None
    before = None
    while True:
        with agent.changed:
            if not agent.changed.wait_for(agent.quiet, end and max(0.0, end - time.monotonic())):
                raise RuntimeError(f"RPC calls were under way after {timeout} seconds of shutdown")
            state = agent.begun, agent.done
        left = max(0.001, end - time.monotonic()) if end else 0
        found = list(_gather(state, None, left, "shutdown").values())
        begun, done = (sum(counts) for counts in zip(*found))
        if begun == done and found == before:  # twice the same: nothing began in between
            return
        before = found


@_require_initialized
def shutdown(graceful: bool = True, timeout: float = DEFAULT_SHUTDOWN_TIMEOUT) -> None:
    """Stop being a worker.

    Parameters
    ----------
    graceful : wait until all workers call this and all that they asked of each other is done; else go at
        once, and let what is under way fail.
    timeout : seconds to wait; 0 is no limit.

    Raises
    ------
    RuntimeError : another worker ended without this, or did not come in time. This one has stopped then.
    """
    try:
        if graceful:
            _wait_all_workers(timeout)
            _agent.say_goodbye(_GOODBYE)
    finally:
        _finalize_shutdown()


def _finalize_shutdown() -> None:
    global _agent
    agent, _agent = _agent, None
    references = _rref._references
    _rref.install(None)
    autograd._stop()
    agent.close()
    references.clear()


def _wait_for(futures: list[Future]) -> list[Any]:
    """The values of futures; raises the first exception when all are done."""
    return [future.wait() for future in collect_all(futures).wait()]


_rref.calls.update(rpc_sync=rpc_sync, rpc_async=rpc_async, remote=remote)
