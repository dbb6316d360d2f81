"""Gradients across workers.

In a *context* every message notes the tensors in it that need gradients: the sender keeps them (a *send*),
the receiver makes leaves of its copies (a *receive*) and goes on from these. The gradients of a message's
leaves are those of the tensors that the sender kept.

`backward` goes through the messages twice. First it marks which sends and receives the roots come from, and
which sends each receive has to wait for. Then every worker runs the local graphs of the sends whose gradients
have come and adds up what that gives for parameters, in the context, and for receives; a receive for which no
gradient is missing any more goes to its sender. An answer comes when all is done that followed, so that the
first worker knows the end, and errors come back the same way. No thread waits for another worker meanwhile.
"""

from __future__ import annotations

import itertools
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.futures import Future, collect_all

if TYPE_CHECKING:
    from flambeau.distributed.rpc._transport import Agent, Request, WorkerInfo

_WORKER_BITS = 48  # a number: the worker, and its count
_ROOTS = -1
_REMEMBERED = 4096


class _Received(fb.autograd.Function):
    """The copies of tensors of another worker."""

    @staticmethod
    def forward(ctx: Any, *leaves: fb.Tensor) -> Any:
        return tuple(leaf.detach() for leaf in leaves)

    @staticmethod
    def backward(ctx: Any, *grads: fb.Tensor) -> Any:
        return grads


class _Send:
    def __init__(self, tensors: list[fb.Tensor], to: WorkerInfo) -> None:
        self.tensors, self.to = tensors, to


class _Receive:
    def __init__(self, leaves: list[fb.Tensor], sender: WorkerInfo) -> None:
        self.leaves, self.sender = leaves, sender


class _Reach:
    """What the local graph of a send comes to."""

    def __init__(self, nodes: set, leaves: list[fb.Tensor], receives: list[int]) -> None:
        self.nodes, self.leaves, self.receives = nodes, leaves, receives


class _Run:
    """One call of `backward`, as one worker sees it."""

    def __init__(self, retain: bool) -> None:
        self.retain = retain
        self.reach: dict[int, _Reach] = {}  # sends that gradients will come for
        self.waiting: dict[int, set[int]] = {}  # receive -> the sends that are missing
        self.grads: dict[int, list[fb.Tensor | None]] = {}  # receive -> what has come together
        self.arrived: list[tuple[int, list, Future]] = []
        self.busy = False


class DistAutogradContext:
    """What one worker knows of a context."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.lock = threading.Lock()
        self.workers: dict[int, WorkerInfo] = {}
        self.sends: dict[int, _Send] = {}
        self.receives: dict[int, _Receive] = {}
        self.places: dict[int, tuple[int, int]] = {}  # id of a leaf -> its receive, and which of its
        self.grads: dict[fb.Tensor, fb.Tensor] = {}
        self.runs: dict[int, _Run] = {}

    def _context_id(self) -> int:
        return self.number

    def _known_worker_ids(self) -> set[int]:
        return set(self.workers)

    def _send_functions(self) -> dict[int, Any]:
        return dict(self.sends)

    def _recv_functions(self) -> dict[int, Any]:
        return dict(self.receives)

    def reached(self, tensors: Iterable[fb.Tensor]) -> _Reach:
        """What these tensors come from."""
        nodes: set = set()
        leaves: dict[int, fb.Tensor] = {}
        waiting = []
        for tensor in tensors:
            if tensor.grad_fn is not None:
                waiting.append(tensor.grad_fn)
            elif tensor.requires_grad:
                leaves[id(tensor)] = tensor
        while waiting:
            node = waiting.pop()
            if node in nodes:
                continue
            if (leaf := getattr(node, "variable", None)) is not None:
                leaves[id(leaf)] = leaf
                continue
            nodes.add(node)
            waiting += [following for following, _ in node.next_functions if following is not None]
        receives = dict.fromkeys(self.places[key][0] for key in leaves if key in self.places)
        return _Reach(nodes, list(leaves.values()), list(receives))

    def add(self, leaf: fb.Tensor, grad: fb.Tensor) -> None:
        """Add to the gradient of a parameter."""
        before = self.grads.get(leaf)
        self.grads[leaf] = grad if before is None else before + grad


class Engine:
    """The contexts of a worker; what `Agent` calls its tracer."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.contexts: dict[int, DistAutogradContext] = {}
        self._over: dict[int, None] = {}  # released of late: messages of others may still be on their way
        self._lock = threading.Lock()
        self._counts = itertools.count(agent.me.id << _WORKER_BITS)
        self._messages = itertools.count(agent.me.id << _WORKER_BITS)
        self._thread = threading.local()
        agent.handlers |= {"mark": (self._mark, agent.system), "propagate": (self._propagate, agent.system)}
        agent.notes["release"] = lambda sender, number: self.release(number)

    # ------------------------------------------------------------------ contexts

    def current(self) -> DistAutogradContext | None:
        """The context that this thread is in."""
        return getattr(self._thread, "context", None)

    def enter(self, context: DistAutogradContext | None) -> DistAutogradContext | None:
        """Put this thread into a context; the one it was in."""
        before = self.current()
        self._thread.context = context
        return before

    def new(self) -> DistAutogradContext:
        """A new context, which this thread is in then."""
        if self.current() is not None:
            raise RuntimeError("Already have an autograd context id for this thread.")
        context = self.of(next(self._counts))
        self.enter(context)
        return context

    def of(self, number: int) -> DistAutogradContext | None:
        """The context of that number, a new one where there is none; None where it is over."""
        with self._lock:
            if number in self._over:
                return None
            return self.contexts.setdefault(number, DistAutogradContext(number))

    def known(self, number: int) -> DistAutogradContext:
        """The context of that number."""
        context = self.contexts.get(number)
        if context is None:
            raise RuntimeError(f"Could not find autograd context with id: {number}")
        return context

    def release(self, number: int) -> None:
        """Forget a context, here and in all workers that messages went to."""
        with self._lock:
            context = self.contexts.pop(number, None)
            if number not in self._over:
                self._over[number] = None
                if len(self._over) > _REMEMBERED:
                    del self._over[next(iter(self._over))]
        if context is None:
            return
        if self.current() is context:
            self.enter(None)
        for worker in context.workers.values():
            if worker.id != self.agent.me.id:
                self.agent.later(lambda worker=worker: self.agent.note(worker, "release", number))

    # ------------------------------------------------------------------ messages

    def outgoing(self, tensors: list[fb.Tensor], to: WorkerInfo) -> tuple | None:
        """What goes along with the tensors of a message."""
        context = self.current()
        if context is None:
            return None
        needing = [k for k, t in enumerate(tensors) if t.requires_grad] if fb.is_grad_enabled() else []
        message = next(self._messages)
        with context.lock:
            context.workers[to.id] = to
            if needing:
                context.sends[message] = _Send([tensors[k] for k in needing], to)
        return context.number, message, needing

    def incoming(
        self, facts: tuple, tensors: list[fb.Tensor], sender: WorkerInfo
    ) -> DistAutogradContext | None:
        """Take over the tensors of a message; the context that it belongs to."""
        number, message, needing = facts
        context = self.of(number)
        if context is None:
            return None
        leaves = [tensors[k] for k in needing]
        if leaves:
            with fb.enable_grad():
                copies = _Received.apply(*leaves)
            for k, copy in zip(needing, copies, strict=True):
                tensors[k] = copy
        with context.lock:
            context.workers[sender.id] = sender
            if leaves:
                context.receives[message] = _Receive(leaves, sender)
                context.places.update((id(leaf), (message, k)) for k, leaf in enumerate(leaves))
        return context

    # ------------------------------------------------------------------ backward

    def backward(self, number: int, roots: Sequence[fb.Tensor], retain_graph: bool) -> None:
        """Add gradients to a context."""
        context = self.known(number)
        if not isinstance(roots, (list, tuple)) or not all(isinstance(root, fb.Tensor) for root in roots):
            raise TypeError(
                "backward(): incompatible function arguments. The following argument types are supported:\n"
                "    1. (contextId: int, roots: Sequence[Tensor], retain_graph: bool = False) -> None"
            )
        if not roots:
            raise RuntimeError("No tensors provided for gradient computation.")
        for root in roots:
            if not root.requires_grad:
                raise RuntimeError("requires_grad not set on root")
            if root.numel() != 1:
                raise RuntimeError(" is not a scalar, all roots need to be scalar")
        name = next(self._messages)
        run = context.runs[name] = _Run(retain_graph)
        before = self.enter(None)  # the messages of this are no part of the program
        try:
            self._mark_one(context, name, run, _ROOTS, list(roots)).wait()
            grads = [fb.ones_like(root) for root in roots]
            self._give(context, name, run, [(_ROOTS, grads)], list(roots)).wait()
        finally:
            self.enter(before)
            context.runs.pop(name, None)

    def _mark(self, request: Request) -> None:
        number, name, retain, messages = request.facts
        context = self.known(number)
        with context.lock:
            run = context.runs.setdefault(name, _Run(retain))
        marks = [self._mark_one(context, name, run, m, context.sends[m].tensors) for m in messages]
        _answer_after(request, marks)

    def _mark_one(
        self, context: DistAutogradContext, name: int, run: _Run, send: int, tensors: list[fb.Tensor]
    ) -> Future:
        """Note what a send comes from, in this worker and all others; done when that is known."""
        with context.lock:
            if send in run.reach:
                return collect_all([])
            reach = run.reach[send] = context.reached(tensors)
            new: dict[WorkerInfo, list[int]] = defaultdict(list)
            for message in reach.receives:
                if message not in run.waiting:
                    run.waiting[message] = set()
                    run.grads[message] = [None] * len(context.receives[message].leaves)
                    new[context.receives[message].sender].append(message)
                run.waiting[message].add(send)
        return collect_all([
            self.agent.request(worker, "mark", (context.number, name, run.retain, messages))
            for worker, messages in new.items()
        ])  # fmt: skip

    def _propagate(self, request: Request) -> None:
        number, name, messages = request.facts
        context = self.known(number)
        run = context.runs[name]
        given = list(zip(messages, request.value, strict=True))
        _answer_after(request, [self._give(context, name, run, given)])

    def _give(
        self,
        context: DistAutogradContext,
        name: int,
        run: _Run,
        given: list[tuple[int, list]],
        roots: list[fb.Tensor] | None = None,
    ) -> Future:
        """Go on with the gradients of sends; done when all is done that follows from them."""
        finished: Future = Future()
        with context.lock:
            run.arrived += [(send, grads, finished) for send, grads in given]
            if run.busy:  # the thread that is at it takes these as well
                return finished
            run.busy = True
        while True:
            with context.lock:
                batch, run.arrived = run.arrived, []
                if not batch:
                    run.busy = False
                    return finished
            futures = {id(future): future for _, _, future in batch}.values()
            try:
                followed = self._follow(context, name, run, [entry[:2] for entry in batch], roots or [])
            except Exception as error:
                failed = RuntimeError(f"Error on Node {self.agent.me.id}: {error}")
                for future in futures:
                    future.set_exception(failed)
                continue
            for future in futures:
                _finish_after(future, followed)

    def _follow(
        self,
        context: DistAutogradContext,
        name: int,
        run: _Run,
        batch: list[tuple[int, list]],
        roots: list[fb.Tensor],
    ) -> list[Future]:
        """Run the local graphs of sends, and send on what is complete by that."""
        outputs: list[fb.Tensor] = []
        grads: list[fb.Tensor] = []
        for send, given in batch:
            tensors = roots if send == _ROOTS else context.sends[send].tensors
            for tensor, grad in zip(tensors, given, strict=True):
                if grad is not None:
                    outputs.append(tensor)
                    grads.append(grad)
        with context.lock:
            reaches = [run.reach.pop(send) for send, _ in batch]
            others = list(run.reach.values())
        leaves = list({id(leaf): leaf for reach in reaches for leaf in reach.leaves}.values())
        if outputs and leaves:
            shared = any(not one.nodes.isdisjoint(other.nodes) for one in reaches for other in others)
            found = fb.autograd.grad(
                outputs, leaves, grads, retain_graph=run.retain or shared, allow_unused=True
            )
        else:
            found = (None,) * len(leaves)
        done: dict[WorkerInfo, list[int]] = defaultdict(list)
        with context.lock, fb.no_grad():
            for leaf, grad in zip(leaves, found, strict=True):
                if grad is None:
                    continue
                if (place := context.places.get(id(leaf))) is None:
                    context.add(leaf, grad)
                else:
                    parts, k = run.grads[place[0]], place[1]
                    parts[k] = grad if parts[k] is None else parts[k] + grad
            for send, reach in zip((send for send, _ in batch), reaches, strict=True):
                for message in reach.receives:
                    run.waiting[message].discard(send)
                    if not run.waiting[message]:
                        done[context.receives[message].sender].append(message)
                        del run.waiting[message]
            if not run.reach:
                context.runs.pop(name, None)
        return [
            self.agent.request(
                worker,
                "propagate",
                (context.number, name, messages),
                [run.grads.pop(message) for message in messages],
            )
            for worker, messages in done.items()
        ]


def _finish_after(future: Future, others: list[Future]) -> None:
    """Have a future be done when others are, with the first of their errors."""

    def finish(done: Future) -> None:
        try:
            for one in done.value():
                one.value()
        except Exception as error:
            future.set_exception(error)
        else:
            future.set_result(None)

    collect_all(others).add_done_callback(finish)


def _answer_after(request: Request, futures: list[Future]) -> None:
    finished: Future = Future()
    _finish_after(finished, futures)

    def answer(done: Future) -> None:
        try:
            request.answer(done.value())
        except Exception as error:
            request.fail(error)

    finished.add_done_callback(answer)
