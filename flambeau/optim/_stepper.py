"""What the algorithms share: the loop over parameters, the state of one parameter, checks of options."""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from types import NoneType
from typing import Any

import flambeau as fb
from flambeau._own_methods import own_methods

from .optimizer import Optimizer, _get_capturable_supported_devices

_grad = attrgetter("grad")


@own_methods("step")
class Stepper(Optimizer):
    """An optimizer whose step treats each parameter by itself.

    An algorithm says what the state of a parameter is (``_new_state``) and how one parameter is updated with
    tensor operations (``_update``). One that has a kernel for plain floats on the CPU also gives ``_fused``:
    it takes a whole group in one call, or returns False if the group has tensors of another kind.
    """

    #: Options that a state saved by an older version may lack.
    _added_options: dict[str, Any] = {}
    #: Whether a complex parameter is treated as pairs of real numbers.
    _complex_as_real = True
    _takes_sparse = False
    _capturable_on_xla = True
    _captured = "params and state_steps"  # what has to be where it can be captured
    #: Whether it says at once that ``foreach`` and ``differentiable`` exclude each other.
    _refuses_foreach_graphs = True
    _sparse_hint = ""
    _maximizes = True  # whether a group may ask for ascent

    def _new_state(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    def _update(self, p: Any, grad: Any, state: dict[str, Any], options: dict[str, Any]) -> None:
        raise NotImplementedError

    _fused: Callable | None = None

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self._added_options.items():
                group.setdefault(name, value)
            for p in group["params"]:
                entries = self.state.get(p)
                if entries and "step" in entries and not isinstance(entries["step"], fb.Tensor):
                    entries["step"] = step_count(p, group, float(entries["step"]))

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Do one step.

        Parameters
        ----------
        closure : callable, optional
            Recomputes the loss and its gradients, and returns the loss.
        """
        loss = None
        if closure is not None:
            with fb.enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._step_group(group)
        return loss

    def _step_group(self, group: dict[str, Any]) -> None:
        params = group["params"]
        grads = list(map(_grad, params))
        if NoneType in map(type, grads):
            params = [p for p, grad in zip(params, grads) if grad is not None]
            grads = [grad for grad in grads if grad is not None]
        if not params:
            return
        if group.get("fused"):
            check_fused_parameter(params[0])
        states = self._states(params, group)
        differentiable = group.get("differentiable", False)
        lists = bool(group.get("foreach")) and not group.get("fused")
        if differentiable or group.get("capturable"):
            self._check_sparse(grads)
            if differentiable and lists and self._refuses_foreach_graphs:
                raise AssertionError("_foreach ops don't support autograd")
            if group.get("capturable") and not group.get("fused") and not fb.compiler.is_compiling():
                self._check_capturable(params, lists)
        if not differentiable and self._fused is not None and self._fused(params, grads, states, group):
            return
        options = group if differentiable or group.get("capturable") else as_numbers(group)
        with fb.set_grad_enabled(differentiable):
            for p, grad, state in zip(params, grads, states):
                self._update_one(p, grad, state, options)

    def _check_sparse(self, grads: list[Any]) -> None:
        """Refuse sparse gradients where the algorithm is for dense ones."""
        if not self._takes_sparse and any(grad.is_sparse for grad in grads):
            # the class that wrote the step: hooks give it to each class that is made, under its first name
            algorithm = type(self).step.__qualname__.partition(".")[0]
            raise RuntimeError(f"{algorithm} does not support sparse gradients{self._sparse_hint}")

    def _check_capturable(self, params: list[Any], lists: bool) -> None:
        """Refuse devices whose work cannot be captured; ``lists``: as the form for lists has it."""
        devices = _get_capturable_supported_devices(supports_xla=self._capturable_on_xla and not lists)
        if any(p.device.type not in devices for p in params):
            raise AssertionError(
                f"If capturable=True, {self._captured} must be on supported devices: {devices}."
            )

    def _states(self, params: list[Any], group: dict[str, Any]) -> list[dict[str, Any]]:
        states = list(map(self.state.__getitem__, params))
        if not all(states):
            for p, state in zip(params, states):
                if not state:
                    state.update(self._new_state(p, group))
        return states

    def _update_one(self, p: Any, grad: Any, state: dict[str, Any], options: dict[str, Any]) -> None:
        self._check_sparse([grad])
        if self._maximizes and options.get("maximize"):
            grad = -grad
        real = p.is_complex() and self._complex_as_real
        work = state
        if options.get("differentiable"):
            # The graph of earlier steps holds the old state: leave it as it is.
            work = {k: v.clone() if isinstance(v, fb.Tensor) else v for k, v in work.items()}
            state.update(work)
        if real:
            p, grad = fb.view_as_real(p), fb.view_as_real(grad)
            work = {k: fb.view_as_real(v) if fb.is_complex(v) else v for k, v in work.items()}
        self._update(p, grad, work, options)
        if work is not state:
            for k, v in work.items():
                if k not in state:
                    state[k] = fb.view_as_complex(v) if real else v


# -- the pieces of a state -----------------------------------------------------------------------------------


def step_count(p: Any, group: dict[str, Any], value: float = 0.0) -> Any:
    """Return a step counter: a float tensor, beside the parameter if the group asks for that."""
    beside = group.get("capturable") or group.get("fused")
    double = fb.get_default_dtype() == fb.float64 and not beside
    return fb.full(
        (), value, dtype=fb.float64 if double else fb.float32, device=p.device if beside else "cpu"
    )


def zeros(p: Any) -> Any:
    """Return zeros laid out as ``p``."""
    return fb.zeros_like(p, memory_format=fb.preserve_format)


def next_step(state: dict[str, Any], options: dict[str, Any]) -> Any:
    """Count a step; a number, or the tensor itself where its value must not be read."""
    step = state["step"]
    step += 1
    if options.get("capturable") or options.get("differentiable"):
        return step.clone() if options.get("differentiable") else step
    return step.item()


def as_numbers(group: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a group with tensors replaced by their values."""

    def number(v: Any) -> Any:
        if isinstance(v, fb.Tensor):
            return v.item()
        return tuple(map(number, v)) if isinstance(v, tuple) else v

    return {k: number(v) for k, v in group.items() if k not in ("params", "param_names")}


# -- arithmetic that takes numbers and tensors as factors ----------------------------------------------------


def add_scaled(p: Any, x: Any, factor: Any) -> Any:
    """``p += factor * x`` in place."""
    if isinstance(factor, fb.Tensor):
        return p.add_(x * factor)
    return p.add_(x, alpha=factor)


def add_ratio(p: Any, x: Any, y: Any, factor: Any) -> Any:
    """``p += factor * x / y`` in place."""
    if isinstance(factor, fb.Tensor):
        return p.add_(x / y * factor)
    return p.addcdiv_(x, y, value=factor)


def with_decay(grad: Any, p: Any, weight_decay: Any) -> Any:
    """Return the gradient with an L2 penalty of strength ``weight_decay`` (Tensor or number)."""
    if isinstance(weight_decay, fb.Tensor):
        return grad + p * weight_decay
    return grad.add(p, alpha=weight_decay) if weight_decay else grad


def blend_square(average: Any, grad: Any, beta: Any) -> Any:
    """``average = beta * average + (1 - beta) * grad**2`` in place."""
    if isinstance(beta, fb.Tensor):
        return average.mul_(beta).add_(grad * grad * (1 - beta))
    return average.mul_(beta).addcmul_(grad, grad, value=1 - beta)


# -- checks of options ---------------------------------------------------------------------------------------


def check_lr(lr: Any, message: str = "Invalid learning rate: {}") -> None:
    """Raise ValueError unless ``lr`` is a number or a tensor with one element, and not negative."""
    if isinstance(lr, fb.Tensor) and lr.numel() != 1:
        raise ValueError("Tensor lr must be 1-element")
    if not 0.0 <= lr:
        raise ValueError(message.format(lr))


def check_not_negative(**values: Any) -> None:
    """Raise ValueError for a negative option, named as in ``weight_decay=...``."""
    names = {"eps": "epsilon"}
    for name, value in values.items():
        if not 0.0 <= value:
            raise ValueError(f"Invalid {names.get(name, name)} value: {value}")


def check_betas(betas: tuple[Any, Any]) -> None:
    """Raise ValueError unless both coefficients lie in [0, 1)."""
    for i in (0, 1):
        beta = betas[i]
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta parameter at index {i}: {beta}")


def check_fused_parameter(p: Any) -> None:
    """Raise RuntimeError unless a fused kernel takes ``p``; asked of the first parameter alone."""
    kinds = ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]
    if p.device.type not in kinds or not p.is_floating_point():
        raise RuntimeError(
            "`fused=True` requires all the params to be floating point Tensors of supported devices: "
            f"{kinds} but {p.dtype} and {p.device.type}"
        )


def check_fused(fused: bool | None, foreach: bool | None, differentiable: bool) -> None:
    """Raise RuntimeError where the asked implementations exclude each other."""
    if fused and differentiable:
        raise RuntimeError("`fused` does not support `differentiable`")
    if fused and foreach:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
