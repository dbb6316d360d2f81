"""Watches one forward pass: which module runs, what each operator is given and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.overrides import TorchFunctionMode

from ._call import tensors

_RELUS = {"relu", "relu_", "threshold", "threshold_", "relu6", "hardtanh", "hardtanh_"}
_SATURATING = {"sigmoid", "sigmoid_", "tanh", "tanh_"}
_NOT_WATCHED = {"__get__", "__set__", "size", "dim", "numel", "is_floating_point", "empty", "empty_like"}


_MAY_BE_INFINITE = {
    "full",
    "full_like",
    "fill_",
    "masked_fill",
    "masked_fill_",
    "where",
    "tensor",
    "new_full",
}


@dataclass
class Birth:
    """The first value that is not finite: the operator it came out of, and what went in."""

    where: str
    operator: str
    value: str  # "NaN" or "Inf"
    given: str


def not_finite(tensor: fb.Tensor) -> str:
    """'NaN' or 'Inf' if the tensor has such a value, else ''."""
    if not (tensor.is_floating_point() or tensor.is_complex()) or not tensor.numel():
        return ""
    if fb.isnan(tensor).any():
        return "NaN"
    return "Inf" if fb.isinf(tensor).any() else ""


class Watch(TorchFunctionMode):
    """Follows the operators within a ``with`` block, and the modules by hooks."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.names = {module: name for name, module in model.named_modules()}
        self.open: list[str] = []
        self.called: set[str] = set()
        self.last = ""  # where the last operator ran
        self.birth: Birth | None = None
        self.calls: list[tuple[str, tuple, dict]] = []  # of the loss: operator, arguments
        self.keep_calls = False
        self.nodes: dict[Any, str] = {}  # backward node -> module that made it
        self.dead: dict[str, tuple[int, int, int]] = {}  # module -> silent units, units, results of each
        self.saturated: dict[str, float] = {}  # module -> part of the results at the ends
        self._handles: list[Any] = []

    @property
    def place(self) -> str:
        """The path of the module that runs now."""
        return self.open[-1] if self.open else ""

    def __enter__(self) -> Watch:
        for module in self.names:
            self._handles.append(module.register_forward_pre_hook(self._come))
            self._handles.append(module.register_forward_hook(self._go, always_call=True))
        super().__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _come(self, module: nn.Module, args: Any) -> None:
        self.open.append(self.names[module])
        self.called.add(self.names[module])

    def _go(self, module: nn.Module, args: Any, output: Any) -> None:
        self.open.pop()

    _sees_operators = True

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        if name in _NOT_WATCHED:
            return func(*args, **kwargs)
        self.last = self.place
        if self.keep_calls:
            self.calls.append((name, args, kwargs))
        before = {not_finite(t) for t in tensors((args, kwargs))} if self.birth is None else set()
        given = _ranges(tensors((args, kwargs))) if self.birth is None else ""  # it may work in place
        result = func(*args, **kwargs)
        results = tensors(result)
        if self.birth is None and name not in _MAY_BE_INFINITE:
            value = next(filter(None, map(not_finite, results)), "")
            # masks bring in infinities on purpose; what comes of them counts once it is NaN
            if (value == "NaN" and "NaN" not in before) or (value == "Inf" and before <= {""}):
                place = self.place or ("the loss" if self.keep_calls else "")
                self.birth = Birth(place, name, value, given)
        for t in results:
            if t.grad_fn is not None:
                self.nodes.setdefault(t.grad_fn, self.place)
        if len(results) == 1 and results[0].dim() > 1 and results[0].is_floating_point():
            self._units(name, results[0].detach())
        return result

    def _units(self, name: str, result: fb.Tensor) -> None:
        if name in _RELUS and result.shape[0] > 1:
            channel = 1 if result.dim() in (2, 4, 5) else result.dim() - 1
            silent = (result <= 0).transpose(0, channel).flatten(1).all(1)
            dead, units, _ = self.dead.get(self.place, (0, 0, 0))
            each = result.numel() // max(silent.numel(), 1)
            self.dead[self.place] = dead + int(silent.sum()), units + silent.numel(), each
        elif name in _SATURATING:
            end = result.abs() > 0.999 if name.startswith("tanh") else (result - 0.5).abs() > 0.4995
            self.saturated[self.place] = end.float().mean().item()


def _ranges(given: list[fb.Tensor]) -> str:
    parts = []
    for t in given[:3]:
        if t.numel() and not t.is_complex():
            low, high = t.detach().amin().item(), t.detach().amax().item()
            parts.append(f"{tuple(t.shape)} from {low:.4g} to {high:.4g}")
    return "; ".join(parts)
