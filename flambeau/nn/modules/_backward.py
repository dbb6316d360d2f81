"""Full backward hooks: identity nodes around a module that see the gradients of its inputs and outputs."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.autograd.function import Function

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module


class BackwardHookFunction(Function):
    """Identity, so that what goes into (or comes out of) a module is one node of the graph."""

    @staticmethod
    def forward(*tensors: Any) -> tuple:
        return tensors

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        ctx.mark_non_differentiable(*[t for t in inputs if not t.requires_grad])

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> tuple:
        return grads


# A module with `inplace=True` may follow the hooks of another.
BackwardHookFunction._backward_cls._writable_results = True


def _checked(returned: Any, before: tuple, what: str) -> tuple:
    """What a user's hook gave back in place of the gradients `before`, as a tuple."""
    count = len(before)
    if isinstance(returned, fb.Tensor) and count == 1:
        fits = before[0] is None or returned.shape == before[0].shape
        returned = (returned,) if fits else returned
    elif returned is None and count == 1:
        returned = (None,)
    if len(returned) != count:
        raise RuntimeError(
            f"Backward {what} returned an invalid number of "
            f"grad_{'output' if what == 'pre hook' else 'input'}, "
            f"got {len(returned)}, but expected {count}"
        )
    return tuple(returned)


class BackwardWatch:
    """Runs `hooks` (and `pre_hooks`) of one module call when its backward happens.

    Parameters
    ----------
    module : Module
        The module the hooks are told about.
    hooks, pre_hooks : sequence of callables
        ``hook(module, grad_input, grad_output)`` and ``pre_hook(module, grad_output)``.
    """

    def __init__(self, module: Module, hooks: Sequence[Callable], pre_hooks: Sequence[Callable]) -> None:
        self.module = module
        self.hooks = hooks
        self.pre_hooks = pre_hooks
        self.grad_outputs: tuple | None = None
        self.input_count = -1
        self.output_count = -1
        self.input_places: list[int] | None = None
        self.output_places: list[int] = []

    def watch_inputs(self, args: tuple) -> tuple:
        """Put the identity node on the tensors of `args`; returns the arguments to go on with."""
        self.input_count = len(args)

        def hook(grads: tuple, outputs: tuple) -> tuple | None:  # errors of the engine say its name
            return self._on_input_grads(grads, outputs)

        args, self.input_places = self._through_identity(args, hook)
        return args

    def watch_outputs(self, result: Any) -> Any:
        """Put the identity node on a tensor, or a tuple of tensors, that the module returned."""
        single = isinstance(result, fb.Tensor)
        if not single and not isinstance(result, tuple):
            warnings.warn(
                "For backward hooks to be called, module output should be a Tensor or a tuple of Tensors "
                f"but received {type(result)}",
                stacklevel=5,
            )
            return result
        results = (result,) if single else result
        self.output_count = len(results)

        def hook(grads: tuple) -> tuple:
            return self._on_output_grads(grads)

        results, places = self._through_identity(results, None, hook)
        self.output_places = places or []
        return results[0] if single else results

    def _through_identity(
        self, values: tuple, hook: Callable | None, prehook: Callable | None = None
    ) -> tuple[tuple, list[int] | None]:
        places = [i for i, v in enumerate(values) if isinstance(v, fb.Tensor)]
        if not (fb.is_grad_enabled() and any(values[i].requires_grad for i in places)):
            return values, None
        tensors = BackwardHookFunction.apply(*[values[i] for i in places])
        nodes = [t.grad_fn for t in tensors if t.grad_fn is not None]
        if not nodes:
            raise RuntimeError(
                "Error while setting up backward hooks: no output of the hook's node requires grad."
            )
        if prehook is not None:
            nodes[0].register_prehook(prehook)
        if hook is not None:
            nodes[0].register_hook(hook)
        merged = list(values)
        for place, tensor in zip(places, tensors, strict=True):
            merged[place] = tensor
        return type(values)(merged) if type(values) is tuple else type(values)(*merged), places

    def _on_output_grads(self, grads: tuple) -> tuple:
        outputs = _spread(grads, self.output_places, self.output_count)
        for hook in self.pre_hooks:
            changed = hook(self.module, outputs)
            if changed is not None:
                outputs = _checked(changed, outputs, "pre hook")
        self.grad_outputs = outputs
        replaced = tuple(outputs[i] for i in self.output_places)
        if self.input_places is not None:
            return replaced
        if self.hooks:
            warnings.warn(
                "Full backward hook is firing when gradients are computed with respect to module outputs "
                "since no "
                "inputs require gradients. See https://docs.pytorch.org/docs/main/generated/torch.nn.Module.html"
                "#torch.nn.Module.register_full_backward_hook for more details.",
                stacklevel=5,
            )
            nothing = (None,) * self.input_count
            for hook in self.hooks:
                changed = hook(self.module, nothing, outputs)
                if changed is not None and not (
                    isinstance(changed, tuple) and all(g is None for g in changed)
                ):
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires "
                        "gradient should always return None or None for all gradients."
                    )
        self.grad_outputs = None
        return replaced

    def _on_input_grads(self, grads: tuple, _: tuple) -> tuple | None:
        if self.grad_outputs is None:
            # this part of the graph was reached without the module's own outputs (autograd.grad on a detour)
            return None
        inputs = _spread(grads, self.input_places, self.input_count)
        for hook in self.hooks:
            changed = hook(self.module, inputs, self.grad_outputs)
            if changed is not None:
                inputs = _checked(changed, inputs, "hook")
        self.grad_outputs = None
        return tuple(inputs[i] for i in self.input_places)


def _spread(grads: tuple, places: list[int], count: int) -> tuple:
    """`grads` of the tensors at `places` among `count` values; None elsewhere."""
    out = [None] * count
    for place, grad in zip(places, grads, strict=True):
        out[place] = grad
    return tuple(out)
