"""Activation checkpointing: forward keeps no intermediate tensors, backward computes them again."""

from __future__ import annotations

import contextlib
import sys
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import flambeau as fb

from ..autograd.function import Function
from ..autograd.graph import saved_tensors_hooks

__all__ = [
    "checkpoint", "checkpoint_sequential", "CheckpointError", "CheckpointFunction",
    "check_backward_validity", "detach_variable",
    "get_device_states", "set_device_states", "noop_context_fn", "set_checkpoint_early_stop",
    "DefaultDeviceType",
    "set_checkpoint_debug_enabled", "GraphExecGroup",
]  # fmt: skip

_DEFAULT_DETERMINISM_MODE = "default"
_early_stop = True
_debug: bool | None = None


_SELECTIVE = (
    "CheckpointPolicy", "SAC_IGNORED_OPS", "SelectiveCheckpointContext",
    "create_selective_checkpoint_contexts",
)  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _SELECTIVE:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from . import _selective_checkpoint

    return getattr(_selective_checkpoint, name)


class GraphExecGroup:
    """Context around several backward calls that together recompute each checkpoint at most once.

    The calls must not use the same saved tensors.
    """

    _current: GraphExecGroup | None = None

    def __enter__(self) -> GraphExecGroup:
        if GraphExecGroup._current is not None:
            raise RuntimeError(
                "GraphExecGroup contexts cannot be nested. Tried to enter a new one while one is active."
            )
        GraphExecGroup._current = self
        return self

    def __exit__(self, *args: Any) -> None:
        GraphExecGroup._current = None

    @classmethod
    def _get_current_group(cls) -> GraphExecGroup | None:
        return cls._current


class CheckpointError(RuntimeError):
    """The second forward did not save the tensors that the first one saved."""


class DefaultDeviceType:
    """The device type assumed where no argument is on an accelerator."""

    _default = "cuda"

    @staticmethod
    def set_device_type(device: str = "cuda") -> None:
        """Set the device type."""
        DefaultDeviceType._default = device

    @staticmethod
    def get_device_type() -> str:
        """The device type."""
        return DefaultDeviceType._default


@contextlib.contextmanager
def set_checkpoint_early_stop(enable: bool) -> Iterator[None]:
    """Context manager: whether a second forward stops as soon as it has the tensors that backward needs
    (default)."""
    global _early_stop
    before, _early_stop = _early_stop, enable
    try:
        yield
    finally:
        _early_stop = before


@contextlib.contextmanager
def set_checkpoint_debug_enabled(enabled: bool | None) -> Iterator[None]:
    """Context manager: checkpoints inside are made with ``debug=enabled``, whatever they ask for; None leaves
    them alone."""
    global _debug
    before, _debug = _debug, enabled
    try:
        yield
    finally:
        _debug = before


def noop_context_fn() -> tuple:
    """The default `context_fn`: no context for either forward."""
    return contextlib.nullcontext(), contextlib.nullcontext()


def detach_variable(inputs: tuple) -> tuple:
    """Arguments with their tensors detached, requiring grad as before."""
    if not isinstance(inputs, tuple):
        raise RuntimeError(
            f"Only tuple of tensors is supported. Got Unsupported input type: {type(inputs).__name__}"
        )
    return tuple(
        x.detach().requires_grad_(x.requires_grad) if isinstance(x, fb.Tensor) else x for x in inputs
    )


def check_backward_validity(inputs: Any) -> None:
    """Warn where no input requires grad: nothing inside the checkpoint would get a gradient."""
    if not any(x.requires_grad for x in inputs if isinstance(x, fb.Tensor)):
        warnings.warn("None of the inputs have requires_grad=True. Gradients will be None", stacklevel=2)


def _accelerator_devices(args: tuple) -> list[int]:
    from ._pytree import tree_leaves

    return sorted(
        {
            x.get_device()
            for x in tree_leaves(args)
            if isinstance(x, fb.Tensor) and x.device.type not in ("cpu", "meta")
        }
    )


def get_device_states(*args: Any) -> tuple[list[int], list]:
    """Devices of the tensors among the arguments and the states of their random generators."""
    devices = _accelerator_devices(args)
    states = []
    for d in devices:
        with fb.cuda.device(d):
            states.append(fb.cuda.get_rng_state())
    return devices, states


def set_device_states(devices: list[int], states: list, *, device_type: str | None = None) -> None:
    """Put random generators of devices back to states of `get_device_states`."""
    for d, state in zip(devices, states):
        with fb.cuda.device(d):
            fb.cuda.set_rng_state(state)


class _Randomness:
    """Random states of the CPU and of the arguments' devices, to run the second forward like the first."""

    def __init__(self, args: tuple) -> None:
        self.cpu = fb.get_rng_state()
        self.devices, self.states = get_device_states(*args)

    @contextlib.contextmanager
    def restored(self) -> Iterator[None]:
        """Context manager with those states; the present ones come back afterwards."""
        now = fb.get_rng_state()
        fb.set_rng_state(self.cpu)
        present = [fb.cuda.get_rng_state(d) for d in self.devices]
        set_device_states(self.devices, self.states)
        try:
            yield
        finally:
            fb.set_rng_state(now)
            set_device_states(self.devices, present)


def _autocast_states() -> list[dict]:
    """Autocast settings of the first forward; none where nothing has ever used autocast."""
    if "flambeau.amp" not in sys.modules:
        return []
    kinds = ["cpu"]
    if fb.cuda.is_available():
        kinds.append("cuda")
    return [
        {
            "device_type": kind,
            "enabled": fb.is_autocast_enabled(kind),
            "dtype": fb.get_autocast_dtype(kind),
            "cache_enabled": fb.is_autocast_cache_enabled(),
        }
        for kind in kinds
    ]


@contextlib.contextmanager
def _autocast_as(states: list[dict]) -> Iterator[None]:
    with contextlib.ExitStack() as stack:
        for s in states:
            stack.enter_context(fb.autocast(**s))
        yield


class CheckpointFunction(Function):
    """The reentrant kind: one node whose backward runs the function again with recording, then backward
    through that."""

    @staticmethod
    def forward(ctx: Any, run_function: Callable, preserve_rng_state: bool, *args: Any) -> Any:
        check_backward_validity(args)
        ctx.run_function = run_function
        ctx.randomness = _Randomness(args) if preserve_rng_state else None
        ctx.autocast = _autocast_states()
        ctx.tensor_places = [i for i, a in enumerate(args) if isinstance(a, fb.Tensor)]
        ctx.args = [None if isinstance(a, fb.Tensor) else a for a in args]
        ctx.save_for_backward(*[args[i] for i in ctx.tensor_places])
        with fb.no_grad():
            return run_function(*args)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        if not fb.autograd._is_checkpoint_valid():
            raise RuntimeError(
                "When use_reentrant=True, torch.utils.checkpoint is incompatible with .grad() or passing an "
                "`inputs` parameter to .backward(). To resolve this error, you can either set "
                "use_reentrant=False, or call .backward() without passing the `inputs` argument."
            )
        args = list(ctx.args)
        for place, tensor in zip(ctx.tensor_places, ctx.saved_tensors):
            args[place] = tensor
        inputs = detach_variable(tuple(args))
        randomness = ctx.randomness.restored() if ctx.randomness is not None else contextlib.nullcontext()
        with randomness, fb.enable_grad(), _autocast_as(ctx.autocast):
            outputs = ctx.run_function(*inputs)
        if isinstance(outputs, fb.Tensor):
            outputs = (outputs,)
        pairs = [(o, g) for o, g in zip(outputs, grads) if isinstance(o, fb.Tensor) and o.requires_grad]
        if not pairs:
            raise RuntimeError("none of output has requires_grad=True, this checkpoint() is not necessary")
        fb.autograd.backward(*map(list, zip(*pairs)))
        return (None, None, *(x.grad if isinstance(x, fb.Tensor) else None for x in inputs))


class _StopRecomputation(Exception):
    """Raised inside the second forward once it has saved all that backward needs."""


class _Holder:
    """Stands in the graph for one saved tensor."""

    __slots__ = ("__weakref__", "tensors")

    def __init__(self) -> None:
        # one recomputed tensor for every backward that is under way
        self.tensors: dict = {}


class _Frame:
    """One checkpointed call: what it saved, and how to compute it again."""

    def __init__(
        self, recompute: Callable[[], None], early_stop: bool, describe: Callable | None, debug: bool
    ) -> None:
        self.recompute = recompute
        self.early_stop = early_stop
        self.describe = describe
        self.debug = debug
        self.holders: list[weakref.ref] = []
        self.descriptions: list = []
        self.computed: set = set()

    def pack(self, tensor: Any) -> _Holder:
        holder = _Holder()
        self.holders.append(weakref.ref(holder))
        if self.describe is not None:
            with fb.no_grad():
                self.descriptions.append(self.describe(tensor))
        return holder

    def unpack(self, holder: _Holder) -> Any:
        run: Any = GraphExecGroup._current or fb._C._current_graph_task_id()
        if run == -1:
            run = object()
        if run not in self.computed:
            self._compute(run)
        # kept, not taken out: a derivative may look at a saved tensor more than once; it goes with the graph
        return holder.tensors[run]

    def _compute(self, run: Any) -> None:
        count = 0
        fresh: list = []

        def pack(tensor: Any) -> Any:
            nonlocal count
            index, count = count, count + 1
            if index >= len(self.holders):
                fresh.append(None)
                return tensor.detach()
            if self.describe is not None:
                with fb.no_grad():
                    fresh.append(self.describe(tensor))
            holder = self.holders[index]()
            if holder is not None:
                holder.tensors[run] = tensor.detach()
            if self.early_stop and count == len(self.holders):
                raise _StopRecomputation
            return tensor.detach()

        def unpack(tensor: Any) -> Any:
            # the function itself ran a backward inside
            return tensor

        with contextlib.suppress(_StopRecomputation), saved_tensors_hooks(pack, unpack), fb.enable_grad():
            self.recompute()
        if isinstance(run, (int, GraphExecGroup)):
            self.computed.add(run)
        if count != len(self.holders):
            raise CheckpointError(
                "torch.utils.checkpoint: A different number of tensors was saved during the original forward"
                f" and recomputation.\nNumber of tensors saved during forward: {len(self.holders)}\nNumber of"
                f" tensors saved during recomputation: {count}.{_debug_hint(self.debug)}"
            )
        if self.describe is not None:
            self._compare(fresh)

    def _compare(self, fresh: list) -> None:
        lines = [
            f"tensor at position {i}:\nsaved metadata: {a}\nrecomputed metadata: {b}"
            for i, (a, b) in enumerate(zip(self.descriptions, fresh))
            if a != b
        ]
        if lines:
            raise CheckpointError(
                "torch.utils.checkpoint: Recomputed values for the following tensors have different metadata"
                " than during the forward pass.\n" + "\n".join(lines) + _debug_hint(self.debug)
            )


def _debug_hint(debug: bool) -> str:
    if debug:
        return ""
    return (
        "\nTip: the function must do the same both times; look for conditions on global state, gradients or"
        " random numbers in it."
    )


def _metadata(t: Any) -> dict:
    return {"shape": t.shape, "dtype": t.dtype, "device": t.device}


_DESCRIBE: dict[str, Callable | None] = {_DEFAULT_DETERMINISM_MODE: _metadata, "none": None}


def checkpoint(
    function: Callable,
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple] = noop_context_fn,
    determinism_check: str = _DEFAULT_DETERMINISM_MODE,
    debug: bool = False,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """Run ``function(*args)`` without keeping what its backward needs; backward runs it again.

    Parameters
    ----------
    function : what to run; must do the same when it runs again.
    use_reentrant : True for one node that runs its own backward; False (recommended) for hooks on the tensors
        that the function saves, which also allows keyword arguments, `autograd.grad` and nested checkpoints.
    preserve_rng_state : keyword; run the second time with the random numbers of the first (default True).
    context_fn : makes two contexts, for the first and the second run (not reentrant only).
    determinism_check : ``"default"`` compares shapes, dtypes and devices of both runs, ``"none"`` nothing.
    debug : say less in hints, for use with tracing of operators.
    early_stop : stop the second run at the last tensor that backward needs.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint: the use_reentrant parameter should be passed explicitly. Starting in "
            "PyTorch 2.9, calling checkpoint without use_reentrant will raise an exception. "
            "use_reentrant=False is recommended, but if you need to preserve the current default behavior, "
            "you can pass use_reentrant=True. Refer to docs for more details on the differences between the "
            "two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if use_reentrant:
        if kwargs:
            raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
        if context_fn is not noop_context_fn or debug is not False:
            raise ValueError("Passing `context_fn` or `debug` is only supported when use_reentrant=False.")
        return CheckpointFunction.apply(function, preserve, *args)
    if determinism_check not in _DESCRIBE:
        raise ValueError(f"determinism_check should be one of {list(_DESCRIBE)}, but got {determinism_check}")
    if not fb.is_grad_enabled():
        first, _ = context_fn()
        with first:
            return function(*args, **kwargs)
    first, second = context_fn()
    randomness = _Randomness((args, kwargs)) if preserve else None
    autocast = _autocast_states()

    def recompute() -> None:
        with (
            randomness.restored() if randomness else contextlib.nullcontext(),
            _autocast_as(autocast),
            second,
        ):
            function(*args, **kwargs)

    frame = _Frame(
        recompute,
        early_stop and _early_stop,
        _DESCRIBE[determinism_check],
        debug if _debug is None else _debug,
    )
    with saved_tensors_hooks(frame.pack, frame.unpack), first:
        return function(*args, **kwargs)


def checkpoint_sequential(
    functions: Any, segments: int, input: Any, use_reentrant: bool | None = None, **kwargs: Any
) -> Any:
    """Run a `Sequential` (or list of functions) in checkpointed segments; the last segment is not
    checkpointed.

    Parameters
    ----------
    functions : a `Sequential` or a list of modules or functions.
    segments : number of segments.
    input : argument of the first.
    use_reentrant, preserve_rng_state : as for `checkpoint`.
    """
    if use_reentrant is None:
        warnings.warn(
            "torch.utils.checkpoint.checkpoint_sequential: the use_reentrant parameter should be passed"
            " explicitly. In version 2.9 we will raise an exception if use_reentrant is not passed."
            " use_reentrant=False is recommended, but if you need to preserve the current default behavior,"
            " you can pass use_reentrant=True. Refer to docs for more details on the differences between the"
            " two variants.",
            stacklevel=2,
        )
        use_reentrant = True
    preserve = kwargs.pop("preserve_rng_state", True)
    if kwargs:
        raise ValueError("Unexpected keyword arguments: " + ",".join(kwargs))
    if isinstance(functions, fb.nn.Sequential):
        functions = list(functions.children())
    len(functions)  # anything else is a sequence of functions

    def run_from(start: int, end: int) -> Callable:
        def forward(x: Any) -> Any:
            for f in functions[start:end]:
                x = f(x)
            return x

        return forward

    size = len(functions) // segments
    end = 0
    for start in range(0, size * (segments - 1), size):
        end = start + size
        input = checkpoint(
            run_from(start, end), input, use_reentrant=use_reentrant, preserve_rng_state=preserve
        )
    return run_from(end, len(functions))(input)
