"""``torch.compiler``: functions captured once as a graph of operators and run fused.

``flambeau.compile`` records the operators that a call runs through, with everything in Python that chose
them, and answers later calls that look the same from the recorded program: elementwise chains fused, equal
and dead work dropped, forward and backward. What it cannot record runs eagerly, and so does what would be
slower compiled: both are timed on the first calls. ``compiled.report()`` tells which. See
docs/design/fusion.md.
"""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._dynamo.exc import InvalidBackend
from flambeau._lookup import lazy

from . import _compiled

__all__ = [
    "compile", "assume_constant_result", "reset", "allow_in_graph", "substitute_in_graph",
    "list_backends", "disable", "set_default_backend", "get_default_backend", "set_stance",
    "set_enable_guard_collectives", "cudagraph_mark_step_begin", "load_compiled_function", "wrap_numpy",
    "is_compiling", "is_dynamo_compiling", "is_exporting", "save_cache_artifacts", "load_cache_artifacts",
    "keep_portable_guards_unsafe", "skip_guard_on_inbuilt_nn_modules_unsafe",
    "skip_guard_on_all_nn_modules_unsafe", "keep_tensor_guards_unsafe", "skip_guard_on_globals_unsafe",
    "skip_all_guards_unsafe", "nested_compile_region",
]  # fmt: skip

__getattr__ = lazy(__name__, {}, ("config",))

_BACKENDS = (
    "inductor",
    "eager",
    "aot_eager",
    "aot_eager_decomp_partition",
    "cudagraphs",
    "onnxrt",
    "openxla",
    "tvm",
)
_MODES = ("default", "lite", "reduce-overhead", "max-autotune-no-cudagraphs", "max-autotune")
_STANCES = (
    "default",
    "force_eager",
    "eager_on_recompile",
    "fail_on_recompile",
    "eager_then_compile",
    "aot_eager_then_compile",
)
_default_backend: str = "inductor"


_registered: dict[str, Callable] = {}


def _check_backend(backend: str | Callable | None) -> None:
    if (
        backend is not None
        and not callable(backend)
        and backend not in _BACKENDS
        and backend not in _registered
    ):
        raise InvalidBackend(
            f"Invalid backend: {backend!r}, see `torch._dynamo.list_backends()` for available backends."
        )


def _own_backend(backend: str | Callable | None) -> Callable | None:
    """The backend if it is a function of the caller's; None for all that mean the engine of this house."""
    backend = _default_backend if backend is None else backend
    return backend if callable(backend) else _registered.get(backend)


def register_backend(
    compiler_fn: Callable | None = None, name: str | None = None, tags: Sequence = ()
) -> Callable:
    """Give a backend of one's own a name that ``compile`` takes; also a decorator."""
    if compiler_fn is None:
        return functools.partial(register_backend, name=name, tags=tags)
    name = name or compiler_fn.__name__
    if name in _registered or name in _BACKENDS:
        raise AssertionError(f"duplicate name: {name}")
    _registered[name] = compiler_fn
    return compiler_fn


def compile(
    model: Callable | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: str | Callable | None = None,
    mode: str | None = None,
    options: dict[str, str | int | bool | Callable] | None = None,
    name: str | None = None,
    disable: bool = False,
    recompile_limit: int | None = None,
    isolate_recompiles: bool = False,
    shapes_spec: Any = None,
) -> Callable:
    """A module or function that records itself when it is called and then runs the recording, fused.

    Every named backend and mode means flambeau's own engine, which needs no compiler. Shapes are always
    recorded as they are, so ``dynamic`` changes nothing: each new shape is one more recording, up to
    ``recompile_limit`` (8).

    A callable ``backend`` is given each recording as a ``torch.fx.GraphModule`` and the list of its inputs
    (arguments, parameters, buffers, in the order of their first use), and returns a function of such inputs
    that gives a tuple or list of tensors. A call that cannot be recorded whole runs eagerly: there are no
    partial graphs.

    Parameters
    ----------
    model : callable or Module, optional
        Without it, a decorator is returned.
    fullgraph : bool
        Raise when a call does what no graph holds (``print``, a branch on a tensor's value, a disabled
        function, foreign C code), naming the line; warn when it merely reaches state that is not watched.
    disable : bool
        Return ``model`` as it is.

    Raises
    ------
    InvalidBackend, RuntimeError
        For an unknown backend or mode, and when both ``mode`` and ``options`` are given.
    torch._dynamo.exc.Unsupported
        When the compiled function is called, with ``fullgraph``.
    torch._dynamo.exc.BackendCompilerFailed
        When the compiled function is called, and a backend of one's own raises or returns no function.
    """
    if mode is not None and options is not None:
        raise RuntimeError(
            "Either mode or options can be specified, but both can't be specified at the same time."
        )
    if mode is not None and mode not in _MODES:
        raise RuntimeError(f"Unrecognized mode={mode}, should be one of: {', '.join(_MODES)}")
    _check_backend(backend)
    if model is None:
        return functools.partial(
            compile,
            fullgraph=fullgraph,
            dynamic=dynamic,
            backend=backend,
            mode=mode,
            options=options,
            name=name,
            disable=disable,
            recompile_limit=recompile_limit,
            isolate_recompiles=isolate_recompiles,
            shapes_spec=shapes_spec,
        )
    if dynamic not in (None, True, False):
        raise AssertionError(f"Expected enable to be a bool, got {type(dynamic)}")
    if disable:
        return model
    own = _own_backend(backend)
    if isinstance(model, fb.nn.Module):
        from ._module import OptimizedModule

        return OptimizedModule(model, limit=recompile_limit, fullgraph=fullgraph, backend=own)
    if not callable(model):
        raise AssertionError(f"A callable function is expected, but {type(model)} is provided.")
    return _compiled.compiled_function(model, limit=recompile_limit, fullgraph=fullgraph, backend=own)


def reset() -> None:
    """Forget everything that was compiled in this process."""
    _compiled.reset()


def disable(fn: Callable | None = None, recursive: bool = True, *, reason: str | None = None) -> Callable:
    """A function that is never recorded: a compiled function that calls it runs eagerly."""
    if fn is None:
        return functools.partial(disable, recursive=recursive, reason=reason)
    text = f"it calls {getattr(fn, '__name__', type(fn).__name__)}, which is under torch.compiler.disable" + (
        f": {reason}" if reason else ""
    )

    @functools.wraps(fn, assigned=[n for n in functools.WRAPPER_ASSIGNMENTS if hasattr(fn, n)], updated=())
    def plain(*args: Any, **kwargs: Any) -> Any:
        _C._cannot_capture(text)
        return fn(*args, **kwargs)

    if isinstance(fn, fb.nn.Module):
        from ._module import OptimizedModule

        return OptimizedModule(fn, forward=plain)
    return plain


class set_stance:
    """How compiled functions behave from now on, or in a ``with`` block, or while a decorated function runs.

    ``"default"``; ``"force_eager"``: as if nothing were compiled; ``"eager_on_recompile"`` and
    ``"fail_on_recompile"``: what was recorded is used, anything new runs eagerly or raises.
    """

    def __init__(
        self,
        stance: str = "default",
        *,
        skip_guard_eval_unsafe: bool = False,
        force_backend: str | Callable | None = None,
    ) -> None:
        if stance not in _STANCES:
            raise RuntimeError(f"invalid torch.compile stance '{stance}'")
        if skip_guard_eval_unsafe:
            raise NotImplementedError(
                "set_stance(skip_guard_eval_unsafe=True): flambeau always checks its guards"
            )
        if callable(force_backend) or force_backend in _registered:
            raise NotImplementedError(
                "set_stance(force_backend=...): flambeau has it for backends of its own only"
            )
        _check_backend(force_backend)
        self._stance = "default" if stance.endswith("then_compile") else stance
        self._before = _compiled.set_stance(self._stance)

    def __enter__(self) -> None:
        _compiled.set_stance(self._stance)

    def __exit__(self, *exception: object) -> None:
        _compiled.set_stance(self._before)

    def __call__(self, fn: Callable) -> Callable:
        _compiled.set_stance(self._before)

        @functools.wraps(fn)
        def within(*args: Any, **kwargs: Any) -> Any:
            with self:
                return fn(*args, **kwargs)

        return within


def is_compiling() -> bool:
    """Whether this call is being recorded."""
    return _C._is_tracing()


def is_dynamo_compiling() -> bool:
    """Whether this call is being recorded."""
    return _C._is_tracing()


def is_exporting() -> bool:
    """Whether this call is being exported: flambeau's exporters run after the recording, so never."""
    return False


def list_backends(exclude_tags: Sequence[str] = ("debug", "experimental")) -> list[str]:
    """The names that ``compile`` takes; all mean the same engine."""
    named = ["cudagraphs", "inductor", "onnxrt", "openxla", "tvm"] if exclude_tags else _BACKENDS
    return sorted([*named, *_registered])


def set_default_backend(backend: str | Callable | None) -> None:
    """The backend that :func:`get_default_backend` names from now on."""
    global _default_backend
    _check_backend(backend)
    _default_backend = backend or "inductor"


def get_default_backend() -> str:
    """The name of the backend that ``compile`` uses when none is given."""
    return _default_backend


def allow_in_graph(fn: Callable) -> Callable:
    """``fn``: what it does is recorded operator by operator, so nothing needs to be allowed."""
    return fn


def assume_constant_result(fn: Callable) -> Callable:
    """``fn``: numbers that Python computes are constants of a recording anyway, and are watched."""
    return fn


def nested_compile_region(
    fn: Callable | None = None,
    *,
    options: Any = None,
    max_reuse_entries: int = 8,
    reuse_hash_fn: Callable | None = None,
) -> Callable:
    """``fn``: a region is recorded with its surroundings."""
    return nested_compile_region if fn is None else fn


def substitute_in_graph(
    original_fn: Callable, *, can_constant_fold_through: bool = False, skip_signature_check: bool = False
) -> Callable:
    """A decorator that returns the function: Python is run, not translated, so no substitute is needed."""
    return lambda fn: fn


def cudagraph_mark_step_begin() -> None:
    """Marks a step of CUDA graphs; on the CPU there are none."""


def set_enable_guard_collectives(enabled: bool) -> bool:
    """Whether processes agree on recompiling: each of flambeau's decides alone, so only False is possible."""
    if enabled:
        raise NotImplementedError("flambeau has no guard collectives")
    return False


def wrap_numpy(fn: Callable) -> Callable:
    """A function of NumPy arrays as one of tensors: arguments and results are converted without a copy."""
    from flambeau.utils import _pytree

    @functools.wraps(fn)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = _pytree.tree_map_only(fb.Tensor, lambda t: t.numpy(), (args, kwargs))
        import numpy

        return _pytree.tree_map_only(numpy.ndarray, fb.from_numpy, fn(*args, **kwargs))

    return wrapped


def save_cache_artifacts() -> None:
    """None: recordings are made anew in each process, in milliseconds."""


def load_cache_artifacts(serialized_artifacts: bytes) -> None:
    """None: there is no cache to fill."""


def load_compiled_function(
    file: io.IOBase, *, f_globals: dict | None = None, external_data: dict | None = None
) -> Callable:
    """Not there: compiled functions are not saved; `torch.jit.trace` makes programs that are."""
    raise NotImplementedError(
        "torch.compiler.load_compiled_function: compiled functions are not saved; use torch.jit.trace"
    )


def keep_tensor_guards_unsafe(guard_entries: Sequence[Any], keep_parameters: bool = False) -> list[bool]:
    """Not there: guards are cheap and always checked."""
    raise NotImplementedError(
        "torch.compiler.keep_tensor_guards_unsafe: flambeau's guards cannot be left out"
    )


def _no_guard_filter(name: str) -> Callable:
    def guard_filter(guard_entries: Sequence[Any]) -> list[bool]:
        raise NotImplementedError(f"torch.compiler.{name}: flambeau's guards cannot be left out")

    guard_filter.__name__ = guard_filter.__qualname__ = name
    guard_filter.__doc__ = "Not there: guards are cheap and always checked."
    return guard_filter


keep_portable_guards_unsafe = _no_guard_filter("keep_portable_guards_unsafe")
skip_guard_on_inbuilt_nn_modules_unsafe = _no_guard_filter("skip_guard_on_inbuilt_nn_modules_unsafe")
skip_guard_on_all_nn_modules_unsafe = _no_guard_filter("skip_guard_on_all_nn_modules_unsafe")
skip_guard_on_globals_unsafe = _no_guard_filter("skip_guard_on_globals_unsafe")
skip_all_guards_unsafe = _no_guard_filter("skip_all_guards_unsafe")
