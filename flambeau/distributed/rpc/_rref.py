"""References to values of other workers, and how their owners know that nobody holds one any more.

The owner of a value has a table of the *forks* of it: one for each reference in another worker. A reference
in a message is a new fork, with a number that its sender chose. The owner notes the forks that it sends
itself. A worker that passes on a reference to a value of a third one keeps its own reference until the
receiver tells it that the owner knows of the new fork. So the owner always has a fork of a value that is
referred to, in whatever order messages of different workers come.
"""

from __future__ import annotations

import contextlib
import itertools
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import flambeau as fb
from flambeau.futures import Future

from . import _transport
from ._transport import Agent, Failure, Request, WorkerInfo
from .functions import later

T = TypeVar("T")
_Id = tuple[int, int]  # the worker that made it, and its count

_NO_AGENT = (
    "Current RPC agent is not set! Did you initialize the RPC framework (e.g. by calling `rpc.init_rpc`)?"
)


class _Owned:
    """A value of this worker; the future is of the value or a `Failure`."""

    def __init__(self, number: _Id) -> None:
        self.number = number
        self.future: Future = Future()
        self.forks: dict[_Id, int] = {}  # fork -> the worker that has it

    def set(self, value: Any) -> None:
        """Give it its value."""
        self.future.set_result(value)


class References:
    """The references of this worker, and those to its values.

    Parameters
    ----------
    agent : what carries messages.
    run : calls a user's function and passes on what comes of it, or a `Failure`.
    """

    def __init__(self, agent: Agent, run: Callable[[Any, Callable[[Any], None]], None]) -> None:
        self.agent, self._run = agent, run
        self._lock = threading.Lock()  # nothing is sent, and no reference made or dropped, under it
        self._count = itertools.count()
        self.owned: dict[_Id, _Owned] = {}  # those that others refer to
        self.parents: dict[_Id, tuple[RRef, int]] = {}  # forks on their way -> what they came from, to whom
        agent.early["remote"] = self._announced
        agent.handlers["remote"] = self._make, agent.users
        agent.handlers["fetch"] = self._fetch, agent.system
        agent.notes |= {
            "fork": self._forked,
            "forked": self._confirmed,
            "accepted": self._accepted,
            "delete": self._deleted,
        }
        agent.when_lost.append(self._forget)
        self.unconfirmed: dict[_Id, Future] = {}

    def number(self) -> _Id:
        """A number that no other worker gives."""
        return self.agent.me.id, next(self._count)

    def entry(self, number: _Id, fork: _Id | None = None, holder: int = 0) -> _Owned:
        """The value of that number, which may not have come yet; with a new fork of it."""
        with self._lock:
            found = self.owned.get(number)
            if found is None:
                found = self.owned[number] = _Owned(number)
            if fork is not None:
                found.forks[fork] = holder
            return found

    def share(self, owned: _Owned, to: WorkerInfo) -> _Id:
        """A new fork of a value of this worker."""
        fork = self.number()
        if to.id not in self.agent.lost:
            with self._lock:
                self.owned[owned.number] = owned
                owned.forks[fork] = to.id
            _transport.if_not_sent(lambda: self._drop(owned.number, [fork]))
        return fork

    def _drop(self, number: _Id, forks: list[_Id]) -> None:
        gone = None
        with self._lock:
            found = self.owned.get(number)
            if found is not None:
                for fork in forks:
                    found.forks.pop(fork, None)
                if not found.forks:
                    gone = self.owned.pop(number)
        self._let_go(gone)

    def _let_go(self, kept: Any) -> None:
        """Drop what may be the last reference to a user's object elsewhere: here is a thread that reads."""
        self.agent.system.run(lambda kept: None, kept)

    # ------------------------------------------------------------------ what other workers say

    def _announced(self, sender: WorkerInfo, facts: tuple) -> None:
        number, fork = facts
        self.entry(number, fork, sender.id)

    def _make(self, request: Request) -> None:
        owned = self.entry(request.facts[0])
        self.agent.count(begun=1)
        request.answer(None)

        def keep(value: Any) -> None:
            owned.set(value)
            self.agent.count(done=1)

        self._run(request.value, keep)

    def _fetch(self, request: Request) -> None:
        def give(done: Future) -> None:
            value = done.value()
            if isinstance(value, Failure):
                value = Failure(value.kind, value.text, plain=True)
            request.answer(value)

        self.entry(request.facts[0]).future.add_done_callback(give)

    def _forked(self, sender: WorkerInfo, number: _Id, fork: _Id, parent: int) -> None:
        self.entry(number, fork, sender.id)
        self.agent.later(lambda: self.agent.note(sender, "forked", fork, parent))

    def _confirmed(self, sender: WorkerInfo, fork: _Id, parent: int) -> None:
        waiting = self.unconfirmed.pop(fork, None)
        if waiting is not None:
            waiting.set_result(None)
        self.agent.later(lambda: self.agent.note(self.agent.workers[parent], "accepted", fork))

    def _accepted(self, sender: WorkerInfo, fork: _Id) -> None:
        with self._lock:
            kept = self.parents.pop(fork, None)
        self._let_go(kept)

    def _deleted(self, sender: WorkerInfo, number: _Id, fork: _Id) -> None:
        self._drop(number, [fork])

    def _forget(self, peer: int) -> None:
        """A worker is gone, and its references with it."""
        with self._lock:
            kept = {fork: pair for fork, pair in self.parents.items() if pair[1] == peer}
            for fork in kept:
                del self.parents[fork]
            theirs = {
                number: [fork for fork, holder in owned.forks.items() if holder == peer]
                for number, owned in self.owned.items()
            }
        self._let_go(kept)
        for number, forks in theirs.items():
            if forks:
                self._drop(number, forks)

    def clear(self) -> None:
        """Let all values go."""
        with self._lock:
            self.owned, self.parents = {}, {}

    # ------------------------------------------------------------------ references in messages

    def send(self, reference: RRef, to: WorkerInfo) -> tuple:
        """What a message has for a reference."""
        if reference._owned is not None:
            return reference._id, self.share(reference._owned, to), self.agent.me.id, None
        fork = self.number()
        if to.id not in self.agent.lost:
            with self._lock:
                self.parents[fork] = reference, to.id
            _transport.if_not_sent(lambda: self.parents.pop(fork, None))
        return reference._id, fork, reference._owner.id, self.agent.me.id

    def received(self, number: _Id, fork: _Id, owner: int, parent: int | None) -> RRef:
        """The reference that a message has."""
        made = RRef.__new__(RRef)
        made._become(self, self.agent.workers[owner], number)
        if owner == self.agent.me.id:
            made._owned = self.entry(number)
            if parent is None:  # from this worker to itself
                self._drop(number, [fork])
            else:
                self.agent.note(self.agent.workers[parent], "accepted", fork)
            return made
        made._fork = fork
        if parent is not None:
            made._made = self.unconfirmed[fork] = Future()
            self.agent.note(made._owner, "fork", number, fork, parent)
        return made


_references: References | None = None
# the functions that call those of other workers, by name; `api`, which knows references, puts them here
calls: dict[str, Callable[..., Any]] = {}


def install(references: References | None) -> None:
    """Say which references there are."""
    global _references
    _references = references


def _rref_context_get_debug_info() -> dict[str, str]:
    """How many values others refer to, by how many references, and how many references are on their way."""
    if _references is None:
        raise RuntimeError(_NO_AGENT)
    with _references._lock:
        owned = list(_references.owned.values())
        return {
            "num_owner_rrefs": str(len(owned)),
            "num_forks": str(sum(len(entry.forks) for entry in owned)),
            "num_pending_children": str(len(_references.parents)),
            "num_pending_users": str(len(_references.unconfirmed)),
        }


def _received(*facts: Any) -> RRef:
    if _references is None:
        raise RuntimeError(_NO_AGENT)
    return _references.received(*facts)


class RRef(Generic[T]):
    """A reference to a value of a worker, which lives as long as there are references to it.

    Sent to other workers as an argument or a result, it stays a reference to the same value. `remote` makes
    references to what another worker makes.

    Parameters
    ----------
    value : a value of this worker.
    type_hint : of script modules alone, which are not there; None.
    """

    def __init__(self, value: T, type_hint: Any = None) -> None:
        if _references is None:
            raise RuntimeError(_NO_AGENT)
        if type_hint is not None:
            raise RuntimeError(
                "type_hint should only be specified when the RRef being created contains a ScriptModule."
            )
        self._become(_references, _references.agent.me, _references.number())
        self._owned = _Owned(self._id)
        self._owned.set(value)

    def _become(self, references: References, owner: WorkerInfo, number: _Id) -> None:
        self._references, self._owner, self._id = references, owner, number
        self._owned: _Owned | None = None
        self._fork: _Id | None = None
        self._made: Future | None = None  # done when the owner knows of this reference

    @classmethod
    def _to_new(cls, owner: WorkerInfo, call: Any, timeout: float) -> RRef:
        """A reference to what a function gives, called by its owner."""
        references = _references
        if references is None:
            raise RuntimeError(_NO_AGENT)
        made = cls.__new__(cls)
        made._become(references, owner, references.number())
        if owner.id == references.agent.me.id:
            made._owned = _Owned(made._id)
            references.share(made._owned, owner)
            fork = next(iter(made._owned.forks))
        else:
            made._fork = fork = references.number()
        try:
            made._made = references.agent.request(owner, "remote", (made._id, fork), call, timeout, raw=True)
        except BaseException:  # what cannot be pickled
            if made._owned is not None:
                references._drop(made._id, [fork])
            raise
        if made._owned is not None:
            made._made.add_done_callback(lambda _: references._drop(made._id, [fork]))
        return made

    def is_owner(self) -> bool:
        """Whether the value is one of this worker."""
        return self._owned is not None

    def owner(self) -> WorkerInfo:
        """The worker whose value it is."""
        return self._owner

    def owner_name(self) -> str:
        """The name of that worker."""
        return self._owner.name

    def confirmed_by_owner(self) -> bool:
        """Whether the owner knows of this reference."""
        return self._owned is not None or self._made is None or self._made.done()

    def to_here(self, timeout: float = -1.0) -> T:
        """The value, copied where it is one of another worker; waits for it.

        Parameters
        ----------
        timeout : seconds it may take; 0 is no limit, -1 that of `init_rpc`.

        Raises
        ------
        Exception : what the function raised that should have made the value.
        RuntimeError : it took too long, or the owner is gone.
        """
        if self._owned is not None:
            return self.local_value()
        agent = self._references.agent
        if self._made is not None and self._made.done() and isinstance(self._made.value(), Failure):
            raise self._made.value().original()
        seconds = agent.timeout if timeout < 0 else timeout
        return agent.request(self._owner, "fetch", (self._id,), timeout=seconds).wait()

    def local_value(self) -> T:
        """The value itself, for its owner; waits for it.

        Raises
        ------
        RuntimeError : it is a value of another worker.
        """
        if self._owned is None:
            raise RuntimeError(
                f"For {self._text()}, can't call localValue() on user {self._references.agent.me}. Call it "
                f"on owner {self._owner}"
            )
        value = self._owned.future.wait()
        if isinstance(value, Failure):
            raise value.original()
        return value

    def rpc_sync(self, timeout: float = -1.0) -> _Proxy:
        """An object whose methods are those of the value, called by its owner: they give the result."""
        return _Proxy(self, calls["rpc_sync"], timeout)

    def rpc_async(self, timeout: float = -1.0) -> _Proxy:
        """The same with methods that give futures."""
        return _Proxy(self, calls["rpc_async"], timeout)

    def remote(self, timeout: float = -1.0) -> _Proxy:
        """The same with methods that give references to the results."""
        return _Proxy(self, calls["remote"], timeout)

    def backward(self, dist_autograd_ctx_id: int = -1, retain_graph: bool = False) -> None:
        """Compute gradients of the value, a tensor with one element.

        Parameters
        ----------
        dist_autograd_ctx_id : a context of `flambeau.distributed.autograd`; the owner needs none, and then
            puts the gradients into ``.grad``.
        retain_graph : whether it can be done again.
        """
        if self._owned is not None:
            _backward(self, dist_autograd_ctx_id, retain_graph)
        elif dist_autograd_ctx_id == -1:
            raise RuntimeError("User RRefs require 'dist_autograd_ctx_id' to be specified")
        else:
            facts = (self, dist_autograd_ctx_id, retain_graph)
            self._references.agent.request(self._owner, "backward", value=facts).wait()

    def _get_type(self, timeout: float = -1.0, blocking: bool = True) -> Any:
        """The class of the value."""
        if self._owned is not None:
            return type(self.local_value())
        found = calls["rpc_async"](self._owner, _type_of, (self,), timeout=timeout)
        return found.wait() if blocking else found

    def _is_protocol(self) -> bool:
        return False

    def _text(self) -> str:
        return f"UserRRef(rref_id={_shown(self._id)}, fork_id={_shown(self._fork)})"

    def __repr__(self) -> str:
        if self._owned is not None:
            return f"OwnerRRef({_shown(self._id)})"
        return f"UserRRef(RRefId = {_shown(self._id)}, ForkId = {_shown(self._fork)})"

    def __reduce_ex__(self, protocol: Any) -> tuple:
        to = _transport.receiver()
        if to is None:
            raise RuntimeError(
                "Can not pickle rref in python pickler, rref can only be pickled when using RPC"
            )
        return _received, self._references.send(self, to)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, TypeError):  # one that was not made, or the end of Python
            if self._fork is not None:
                agent, facts = self._references.agent, (self._owner, "delete", self._id, self._fork)
                agent.later(lambda: agent.note(*facts))


PyRRef = RRef


def _shown(number: _Id | None) -> str:
    worker, count = number or (0, 0)
    return f"GloballyUniqueId(created_on={worker}, local_id={count})"


def _type_of(reference: RRef) -> type:
    return type(reference.local_value())


def _backward(reference: RRef, context_id: int, retain_graph: bool) -> None:
    value = reference.local_value()
    if not isinstance(value, fb.Tensor):
        raise RuntimeError("RRef should contain a tensor for .backward()")
    if context_id == -1:
        value.backward(retain_graph=retain_graph)
    else:
        from flambeau.distributed import autograd

        autograd.backward(context_id, [value], retain_graph)


def backward_asked(request: Request) -> None:
    """`RRef.backward` of another worker."""
    _backward(*request.value)
    request.answer(None)


class _Proxy:
    """The methods of a value, called by its owner."""

    def __init__(self, reference: RRef, call: Callable, timeout: float) -> None:
        self._reference, self._call, self._timeout = reference, call, timeout

    def __getattr__(self, name: str) -> Callable:
        def method(*args: Any, **kwargs: Any) -> Any:
            reference = self._reference
            return self._call(
                reference._owner, _call_method, (reference, name, args, kwargs), timeout=self._timeout
            )

        return method


def _call_method(reference: RRef, name: str, args: tuple, kwargs: dict) -> Any:
    value = reference.local_value()
    try:
        method = getattr(value, name)
    except AttributeError as error:
        return Failure(AttributeError, f"{error}", plain=True)
    return later(method, method(*args, **kwargs))
