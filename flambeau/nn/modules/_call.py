"""A module call that has hooks, the hooks that watch all modules, and what an error says about the module.

Kept apart from the plain call, which is in the core (``ModuleBase``) and pays for none of this.
"""

from __future__ import annotations

import functools
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import flambeau as fb

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

forward_pre_hooks: dict[int, Callable] = OrderedDict()
forward_hooks: dict[int, Callable] = OrderedDict()
forward_hooks_with_kwargs: dict[int, bool] = OrderedDict()
forward_hooks_always_called: dict[int, bool] = OrderedDict()
backward_pre_hooks: dict[int, Callable] = OrderedDict()
backward_hooks: dict[int, Callable] = OrderedDict()
registration_hooks: dict[str, dict[int, Callable]] = {
    "parameter": OrderedDict(),
    "buffer": OrderedDict(),
    "module": OrderedDict(),
}
# True: full backward hooks, False: the older kind, None: no global backward hook was registered yet
full_backward_hooks: bool | None = None


def on_registration(kind: str, module: Module, name: str, value: Any) -> Any:
    """Show a new parameter, buffer or child to the registration hooks; they may replace it."""
    for hook in registration_hooks[kind].values():
        replaced = hook(module, name, value)
        if replaced is not None:
            value = replaced
    return value


def call_with_hooks(module: Module, args: tuple, kwargs: dict) -> Any:
    """Run ``module.forward`` with all the hooks that concern it, in torch's order."""
    fired: set[int] = set()
    result = None
    try:
        args, kwargs = _run_forward_pre_hooks(module, args, kwargs)
        full, older, pre = _backward_hooks_of(module)
        watch = None
        if full or pre:
            from flambeau.nn.modules._backward import BackwardWatch

            watch = BackwardWatch(module, full, pre)
            args = watch.watch_inputs(args)
        result = module.forward(*args, **kwargs)
        for key, hook, with_kwargs, always in _forward_hooks_of(module):
            if always:
                fired.add(key)
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        if watch is not None:
            result = watch.watch_outputs(result)
        if older:
            _attach_older_backward_hooks(module, older, args, result)
        return result
    except Exception:
        _run_missed_hooks(module, args, kwargs, result, fired)
        raise


def _run_forward_pre_hooks(module: Module, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    local = module._forward_pre_hooks
    for key, hook in [*forward_pre_hooks.items(), *local.items()]:
        if key in module._forward_pre_hooks_with_kwargs:
            changed = hook(module, args, kwargs)
            if changed is not None:
                if not (isinstance(changed, tuple) and len(changed) == 2):
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got "
                        f"{changed}."
                    )
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def _forward_hooks_of(module: Module) -> list[tuple[int, Callable, bool, bool]]:
    everywhere = [
        (key, hook, key in forward_hooks_with_kwargs, key in forward_hooks_always_called)
        for key, hook in forward_hooks.items()
    ]
    own = [
        (key, hook, key in module._forward_hooks_with_kwargs, key in module._forward_hooks_always_called)
        for key, hook in module._forward_hooks.items()
    ]
    return everywhere + own


def _backward_hooks_of(module: Module) -> tuple[list, list, list]:
    """The full, the older and the pre hooks that a backward through `module` runs."""
    full, older = [], []
    if full_backward_hooks is True:
        full += backward_hooks.values()
    if module._is_full_backward_hook is True:
        full += module._backward_hooks.values()
    if full_backward_hooks is False:
        older += backward_hooks.values()
    if module._is_full_backward_hook is False:
        older += module._backward_hooks.values()
    return full, older, [*backward_pre_hooks.values(), *module._backward_pre_hooks.values()]


def _run_missed_hooks(module: Module, args: tuple, kwargs: dict, result: Any, fired: set[int]) -> None:
    """After an error: the hooks registered with ``always_call=True`` that did not run yet."""
    for key, hook, with_kwargs, always in _forward_hooks_of(module):
        if not always or key in fired:
            continue
        try:
            changed = hook(module, args, kwargs, result) if with_kwargs else hook(module, args, result)
            if changed is not None:
                result = changed
        except Exception as error:
            scope = "global module" if key in forward_hooks else "module"
            warnings.warn(
                f"{scope} forward hook with ``always_call=True`` raised an exception that was silenced as "
                f"another error was raised in forward: {error!s}",
                stacklevel=4,
            )


def _attach_older_backward_hooks(module: Module, hooks: list, args: tuple, result: Any) -> None:
    tensor = result
    while not isinstance(tensor, fb.Tensor):
        tensor = (
            next(v for v in tensor.values() if isinstance(v, fb.Tensor))
            if isinstance(tensor, dict)
            else tensor[0]
        )
    node = tensor.grad_fn
    if node is None:
        return
    for hook in hooks:
        node.register_hook(functools.partial(hook, module))
    _warn_older_backward_hook(args, result, node)


def _warn_older_backward_hook(args: tuple, result: Any, node: fb.autograd.graph.Node) -> None:
    single = isinstance(result, fb.Tensor)
    if not single and not (isinstance(result, tuple) and all(isinstance(r, fb.Tensor) for r in result)):
        _warn_deprecated_hook(
            "Using non-full backward hooks on a Module that does not return a single Tensor or a tuple of "
            "Tensors is deprecated and will be removed in future versions. This hook will be missing some of "
            "the grad_output. "
        )
    elif not all(isinstance(a, fb.Tensor) for a in args):
        _warn_deprecated_hook(
            "Using non-full backward hooks on a Module that does not take as input a single Tensor or a "
            "tuple of Tensors is deprecated and will be removed in future versions. This hook will be "
            "missing some of the grad_input. "
        )
    elif not single and len({r.grad_fn for r in result if r.grad_fn is not None}) > 1:
        _warn_deprecated_hook(
            "Using a non-full backward hook when outputs are generated by different autograd Nodes "
            "is deprecated and will be removed in future versions. This hook will be missing some "
            "grad_output. "
        )
    else:
        inputs = {a.grad_fn for a in args if a.grad_fn is not None}
        if {following for following, _ in node.next_functions} - inputs - {None}:
            _warn_deprecated_hook(
                "Using a non-full backward hook when the forward contains multiple autograd Nodes "
                "is deprecated and will be removed in future versions. This hook will be missing "
                "some grad_input. "
            )


def _warn_deprecated_hook(text: str) -> None:
    advice = "Please use register_full_backward_hook to get the documented behavior."
    warnings.warn(text + advice, FutureWarning, stacklevel=6)


# ---------------------------------------------------------------------------------------------- errors

_EXPLAINED = (RuntimeError, ValueError, TypeError, IndexError)


def note_module_path(module: Module, error: Exception) -> None:
    """Add ``in Net.features.0 (Conv2d 3→64)`` to an error that leaves the forward of `module`.

    Every module the error passes puts its own part in front, so the note ends up with the whole path.  The
    class and the text of the error stay as they are.
    """
    if not isinstance(error, _EXPLAINED):
        return
    at = getattr(error, "_flambeau_at", None)
    if at is None:
        path, leaf, note = "", _describe(module), None
    else:
        child, path, leaf, note = at
        if child is module:
            return
        for name, member in module.named_modules():
            if member is child and name:
                path = f".{name}{path}"
                break
    notes = getattr(error, "__notes__", [])
    if note in notes:
        notes.remove(note)
    note = f"in {type(module).__name__}{path} ({leaf})" if path else f"in {leaf}"
    error.add_note(note)
    error._flambeau_at = (module, path, leaf, note)


_SIZES = (
    ("in_features", "out_features"),
    ("in_channels", "out_channels"),
    ("num_embeddings", "embedding_dim"),
    ("input_size", "hidden_size"),
)


def _describe(module: Module) -> str:
    """`Linear 400→120`: the class and, where a module has them, its sizes."""
    own = module.__dict__
    for before, after in _SIZES:
        if before in own and after in own:
            return f"{type(module).__name__} {own[before]}→{own[after]}"
    for single in ("num_features", "normalized_shape", "num_channels", "embed_dim"):
        if single in own:
            return f"{type(module).__name__} {own[single]}"
    return type(module).__name__


class CallSignature:
    """``__signature__`` of modules, whose call is the core's; their classes keep that of ``__init__``."""

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            raise AttributeError("__signature__")
        from inspect import Parameter, Signature

        return Signature(
            [Parameter("args", Parameter.VAR_POSITIONAL), Parameter("kwargs", Parameter.VAR_KEYWORD)]
        )
