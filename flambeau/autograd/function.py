"""`autograd.Function`: operators whose derivative is written by the user.

The core (`_C._FunctionBase`) makes the graph node, saves tensors and calls `forward`; the classes here hold
the user's side.
"""

from __future__ import annotations

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

from .grad_mode import no_grad

__all__ = [
    "FunctionCtx",
    "BackwardCFunction",
    "FunctionMeta",
    "Function",
    "once_differentiable",
    "InplaceFunction",
]


class FunctionCtx:
    """What `forward` and `backward` of a Function share."""

    def save_for_backward(self, *tensors: Any) -> None:
        """Keep tensors (inputs, outputs, intermediates or None) for `backward`, as ``ctx.saved_tensors``.

        Call it at most once; saved inputs and outputs are checked against in-place changes.
        """
        self.to_save = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keep tensors for `jvp`, as ``ctx.saved_tensors``."""
        for t in tensors:
            if not (isinstance(t, Tensor) or t is None):
                raise AssertionError(
                    "save_for_forward expects all arguments to be tensors; you should save non-tensors as"
                    " attributes on ctx."
                )
        self.saved_for_forward = tensors

    def mark_dirty(self, *args: Any) -> None:
        """Name the inputs that `forward` changes in place; each must be returned too."""
        self.dirty_tensors = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Name the outputs that never need a gradient (integers, masks)."""
        self.non_differentiable = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether missing gradients reach `backward` and `jvp` as zeros (default) or as None."""
        self.materialize_grads = value

    def mark_shared_storage(self, *pairs: Any) -> None:
        """Do nothing, with a warning: which tensors share memory is known without it."""
        import warnings

        warnings.warn(
            "`mark_shared_storage` is deprecated. Tensors with shared storages are automatically tracked. "
            "Note that calls to `set_()` are not tracked",
            FutureWarning,
            stacklevel=2,
        )


def _saved_tensors_once(ctx: BackwardCFunction) -> tuple:
    """`saved_tensors` where the class says that they go with the first look at them."""
    if ctx.__dict__.get("_saved_were_read"):
        raise RuntimeError(
            "saved_tensors can only be accessed once when clear_saved_tensors_on_access=True is set on the "
            "autograd.Function. Either access saved_tensors only once, or set "
            "clear_saved_tensors_on_access=False."
        )
    saved = _C._FunctionBase.saved_tensors.__get__(ctx)
    ctx._saved_were_read = True
    ctx.maybe_clear_saved_tensors()
    return saved


class _HookMixin:
    @staticmethod
    def _register_hook(backward_hooks: Any, hook: Callable) -> tuple:
        from ..utils.hooks import RemovableHandle

        if backward_hooks is None:
            backward_hooks = OrderedDict()
        handle = RemovableHandle(backward_hooks)
        backward_hooks[handle.id] = hook
        return backward_hooks, handle


class BackwardCFunction(_C._FunctionBase, FunctionCtx, _HookMixin):
    """The node of a Function in the graph; it is also the `ctx` that `forward` and `backward` see."""

    def apply(self, *args: Any) -> Any:
        """Run the user's `backward` (or `vjp`); called by the engine."""
        cls = self._forward_cls
        backward, vjp = cls.backward, cls.vjp
        if backward is not Function.backward and vjp is not Function.vjp:
            raise RuntimeError(
                "Implementing both 'backward' and 'vjp' for a custom Function is not allowed. "
                "You should only implement one of them."
            )
        if _pushing.on and cls.jvp is not Function.jvp:
            return _transposed_jvp(self, args)
        run = vjp if vjp is not Function.vjp else backward
        return run(self, list(args)) if cls.boxed_grads_call else run(self, *args)

    def apply_jvp(self, *args: Any) -> Any:
        """Run the user's `jvp`; called by forward-mode differentiation."""
        return self._forward_cls.jvp(self, *args)


class FunctionMeta(type):
    """Gives every Function class its node class, named after it."""

    def __init__(cls, name: str, bases: tuple, attrs: dict) -> None:
        members: dict[str, Any] = {"_forward_cls": cls}
        if getattr(cls, "clear_saved_tensors_on_access", False):
            members["saved_tensors"] = property(_saved_tensors_once)
        node = type(name + "Backward", (BackwardCFunction,), members)
        node.__module__ = "torch.autograd.function"  # as it is printed
        cls._backward_cls = node
        super().__init__(name, bases, attrs)


class Function(_C._FunctionBase, FunctionCtx, _HookMixin, metaclass=FunctionMeta):
    """Base class of operators with a derivative of their own.

    Override the static methods `forward` and `backward` (or `vjp`), and `setup_context` where `forward` takes
    no `ctx`; call the operator with ``MyFunction.apply(...)``.

    Examples
    --------
    >>> class Exp(Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         y = x.exp()
    ...         ctx.save_for_backward(y)
    ...         return y
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         y, = ctx.saved_tensors
    ...         return grad * y
    """

    generate_vmap_rule = False
    clear_saved_tensors_on_access = False  # whether the first look at ctx.saved_tensors frees them
    boxed_grads_call = False  # whether `backward` takes the cotangents as one list, which it may empty

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        import warnings

        warnings.warn(
            f"{self.__class__} should not be instantiated. Methods on autograd functions are all static, so"
            " you should invoke them on the class itself. Instantiating an autograd function will raise an"
            " error in a future version of PyTorch.",
            DeprecationWarning,
            stacklevel=2,
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise RuntimeError(
            "Legacy autograd function with non-static forward method is deprecated. Please use new-style "
            "autograd function with static forward method. (Example: "
            "https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function)"
        )

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Compute the operator: ``forward(ctx, *args)``, or ``forward(*args)`` beside `setup_context`."""
        raise NotImplementedError("You must implement the forward function for custom autograd.Function.")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Any) -> Any:
        """Save on `ctx` what the derivative needs; runs after a `forward` that takes no `ctx`."""
        raise NotImplementedError("setup_context is not implemented.")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """Gradients of the inputs from gradients of the outputs; one for each argument of `forward`, None
        where there is none."""
        raise NotImplementedError(
            "You must implement either the backward or vjp method for your custom autograd.Function to use it"
            " with backward mode AD."
        )

    # the same function object under both names: a Function overrides either
    vjp = backward

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """Tangents of the outputs from tangents of the inputs."""
        raise NotImplementedError(
            "You must implement the jvp function for custom autograd.Function to use it with forward mode AD."
        )

    @staticmethod
    def vmap(info: Any, in_dims: tuple, *args: Any) -> Any:
        """The operator on batched inputs: returns ``(output, out_dims)``."""
        raise NotImplementedError(
            "To use autograd.Function with vmap, you must either override the vmap staticmethod or set"
            " generate_vmap_rule=True."
        )

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Run the operator and record it for differentiation."""
        if _has_setup_context(cls) and (kwargs or _may_have_defaults(cls.forward)):
            args, kwargs = _bind_defaults(cls.forward, args, kwargs), {}
        if _transforms_active() or _func_levels.differentiating:
            return _func_levels.apply(cls, args)
        return cls._recorded(*args, **kwargs)

    @classmethod
    def _recorded(cls, *args: Any, **kwargs: Any) -> Any:
        result = super().apply(*args, **kwargs)
        if cls.jvp is not Function.jvp:
            _note_inputs(result, args)
        return result


def _leaf(tensor: Tensor) -> Tensor:
    """A view that needs a gradient of its own, also under `vmap`, which refuses the method."""
    tensor = tensor.detach()
    tensor.requires_grad = True
    return tensor


def _has_setup_context(cls: type) -> bool:
    return cls.setup_context is not Function.setup_context


def _may_have_defaults(forward: Callable) -> bool:
    return getattr(forward, "__defaults__", True) is not None or hasattr(forward, "__wrapped__")


def _bind_defaults(forward: Callable, args: tuple, kwargs: dict) -> tuple:
    from flambeau._annotations import signature_of

    bound = signature_of(forward).bind(*args, **kwargs)
    bound.apply_defaults()
    return bound.args


def _transforms_active() -> bool:
    """Whether a transform of `func` is running; without the module none can."""
    return bool(_func_levels.stack)


class _Levels(threading.local):
    """The `vmap` calls that are running in this thread, innermost last, and how many functions are being run
    to be differentiated; `flambeau.func` fills it."""

    apply: Callable  # how a Function is applied there; `func.functions` hands it over

    def __init__(self) -> None:
        self.stack: list = []
        self.differentiating = 0


_func_levels = _Levels()


class _Pushing(threading.local):
    """Whether the backward that runs is one that forward derivatives are made of."""

    on = False

    def __enter__(self) -> None:
        self.on = True

    def __exit__(self, *exc: Any) -> None:
        self.on = False


_pushing = _Pushing()


def _note_inputs(result: Any, args: tuple) -> None:
    """What the tangents look like that the `jvp` of a recorded call will be given."""
    results = result if isinstance(result, tuple) else (result,)
    node = next((r.grad_fn for r in results if isinstance(r, Tensor) and r.grad_fn is not None), None)
    if isinstance(node, BackwardCFunction):
        node._forward_inputs = [(a.shape, a.dtype, a.device) if isinstance(a, Tensor) else None for a in args]


def _transposed_jvp(node: Any, cotangents: tuple) -> tuple:
    """Zeros in the place of the gradients of a Function's inputs, whose derivative with respect to the
    cotangents is the Function's `jvp`: all that forward mode asks of a backward."""
    known = [c for c in cotangents if c is not None]
    zeros = iter(_JvpOf.apply(node, [c is not None for c in cotangents], *known))
    return tuple(next(zeros) if needed else None for needed in node.needs_input_grad)


class _JvpOf(Function):
    @staticmethod
    def forward(node: Any, known: list, *cotangents: Any) -> tuple:
        return tuple(
            _C.zeros(x[0], dtype=x[1], device=x[2])
            for x, needed in zip(node._forward_inputs, node.needs_input_grad)
            if needed
        )

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.node, ctx.known, *_ = inputs
        ctx.set_materialize_grads(ctx.node.materialize_grads)

    @staticmethod
    def backward(ctx: Any, *tangents: Any) -> tuple:
        node = ctx.node
        given, full = iter(tangents), []
        for x, needed in zip(node._forward_inputs, node.needs_input_grad):
            tangent = next(given) if needed else None
            if tangent is None and x is not None and node.materialize_grads:
                tangent = _C.zeros(x[0], dtype=x[1], device=x[2])
            full.append(tangent)
        outputs = node.apply_jvp(*full)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        if len(outputs) != len(ctx.known):
            raise RuntimeError(
                "Function's jvp returned an invalid number of forward gradients (expected"
                f" {len(ctx.known)} but got {len(outputs)})"
            )
        for i, o in enumerate(outputs):
            if not (o is None or isinstance(o, Tensor)):
                raise RuntimeError(f"expected Variable or None (got {type(o).__name__}) for grad output {i}.")
        return None, None, *(o for o, known in zip(outputs, ctx.known) if known)


def once_differentiable(fn: Callable) -> Callable:
    """Decorator of a `backward` that cannot itself be differentiated: a second derivative raises."""

    @functools.wraps(fn)
    def wrapper(ctx: Any, *args: Any) -> Any:
        if _pushing.on:  # the derivative with respect to the cotangents, which is not recorded here
            raise NotImplementedError(
                "You must implement the jvp function for custom autograd.Function to use it with forward mode"
                " AD."
            )
        with no_grad():
            outputs = fn(ctx, *args)
        if not _C.is_grad_enabled():
            return outputs
        if not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            return outputs
        single = not isinstance(outputs, tuple)
        results = (outputs,) if single else outputs
        marked = _DelayedError.apply(
            b"trying to differentiate twice a function that was marked with @once_differentiable",
            *[None if r is None else _leaf(r) for r in results],
        )
        return marked[0] if single else tuple(marked)

    return wrapper


class InplaceFunction(Function):
    """Kept for old programs: a Function with an ``inplace`` flag."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace


class NestedIOFunction(Function):
    """Kept for old programs: a Function whose arguments and results may be nested lists.

    PyTorch's engine runs no such functions any more, nor does flambeau's: write a `Function` with static
    methods, whose
    `forward` flattens what it is given.
    """

    def forward_extended(self, *input: Any) -> None:
        """What the forward computes; to be overridden."""
        raise NotImplementedError

    def backward_extended(self, *grad_output: Any) -> None:
        """What the backward computes; to be overridden."""
        raise NotImplementedError


class _DelayedError(Function):
    """Identity whose derivative raises."""

    @staticmethod
    def forward(message: bytes, *tensors: Any) -> tuple:
        return tuple(None if t is None else t.detach() for t in tensors)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.message = inputs[0].decode()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        raise RuntimeError(ctx.message)
