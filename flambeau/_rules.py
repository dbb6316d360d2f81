"""For tensor subclasses whose rules go by name: the name and the arguments of a call of an operator."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from flambeau._C import Tensor

__all__ = ["RuledTensor", "given", "name_of", "noting"]


class RuledTensor(Tensor):
    """A tensor whose operators are done by rules. Their module, which is above that of the class, hands its
    function over: ``@Class.rules``."""

    _sees_operators = True
    _run_operator: Callable

    @classmethod
    def rules(cls, call: Callable[[Callable, tuple, dict], Any]) -> Callable:
        """Decorator of the function that runs an operator with its arguments."""
        cls._run_operator = staticmethod(call)
        return call

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return cls._run_operator(func, args, kwargs or {})


def name_of(func: Callable) -> str:
    """The name by which rules know an operator or an attribute."""
    name = getattr(func, "__name__", "")
    if name in ("__get__", "__set__"):
        attribute = getattr(getattr(func, "__self__", None), "__name__", name)
        return attribute if name == "__get__" else "set " + attribute
    return getattr(func, "_rule_name", name) if name == "grad" else name


@functools.cache
def _order(names: str) -> list[str]:
    return names.split()


def given(args: tuple, kwargs: dict, names: str, **defaults: Any) -> list:
    """The arguments of a call in the order of `names`; `axis` and `keepdims` are second names."""
    if not kwargs:
        order = _order(names)
        if len(args) >= len(order):
            return list(args[: len(order)])
        return [*args, *[defaults.get(n) for n in order[len(args) :]]]
    values = {"dim": kwargs.get("axis"), "keepdim": kwargs.get("keepdims")}
    values = {k: v for k, v in values.items() if v is not None}
    values = {**defaults, **values, **kwargs, **dict(zip(names.split(), args))}
    return [values.get(n) for n in names.split()]


def noting(rules: dict[str, Callable]) -> Callable[..., Callable]:
    """A decorator ``@rule("sum", "mean")`` that puts a function into `rules` under those names."""

    def rule(*names: str) -> Callable:
        def register(f: Callable) -> Callable:
            rules.update(dict.fromkeys(names, f))
            return f

        return register

    return rule
