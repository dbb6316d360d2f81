"""Kernels that compute shapes only: what an operator does with tensors of the meta device."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NoReturn

__all__ = ["FakeImplCtx", "get_ctx", "missing", "run"]


class _Running(threading.local):
    operator: Any = None


_running = _Running()


class FakeImplCtx:
    """What `get_ctx` gives inside a fake kernel.

    flambeau has no symbolic sizes: a result whose shape depends on data cannot be described.
    """

    def __init__(self, operator: Any) -> None:
        self._op = operator

    def new_dynamic_size(self, *, min: int = 0, max: int | None = None) -> NoReturn:
        """A size that only the data knows: raises."""
        raise RuntimeError(_dynamic(self._op))

    create_unbacked_symint = new_dynamic_size


def _dynamic(operator: Any) -> str:
    return (
        f"{operator._name}: You're trying to run this operator with meta Tensors (as opposed to"
        " FakeTensors), but this"
        " operator may return an output Tensor with data-dependent shape. Meta Tensors don't support"
        " operators with"
        " outputs that have data-dependent shapes but FakeTensors do. If your operator does not return an"
        " output with"
        " data-dependent shape, make sure the FakeTensor and/or meta kernel does not call"
        " torch.library.get_ctx()."
        " Otherwise, please use FakeTensors."
    )


def get_ctx() -> FakeImplCtx | None:
    """The context of the fake kernel that is running; None outside of one.

    Raises
    ------
    RuntimeError : inside one, since meta tensors cannot have sizes that depend on data.
    """
    if _running.operator is not None:
        raise RuntimeError(_dynamic(_running.operator))
    return None


def run(operator: Any, kernel: Callable, args: Any, kwargs: dict) -> Any:
    """Run a fake kernel."""
    before, _running.operator = _running.operator, operator
    try:
        return kernel(*args, **kwargs)
    finally:
        _running.operator = before


def missing(operator: Any) -> Exception:
    """The error where an operator has no such kernel."""
    if operator._strict:
        return RuntimeError(
            "There was no fake impl registered for"
            f" <CustomOpDef({operator._overloadpacket._qualified_op_name})>."
            " This is necessary for torch.compile/export/fx tracing to work. Please use"
            f" `{operator._opname}.register_fake` to add an fake impl."
        )
    return NotImplementedError(
        f"{operator._name}: attempted to run this operator with Meta tensors, but there was no fake impl"
        " or Meta kernel"
        " registered. You may have run into this message while using an operator with PT2 compilation APIs"
        " (torch.compile/torch.export); in order to use this operator with those APIs you'll need to add a"
        " fake impl."
    )
