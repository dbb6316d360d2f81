"""`torch.library.custom_op`: an operator from a function."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from .._ops import packet_of
from ..amp.state import check_device_type
from . import autograd
from .infer_schema import infer_schema
from .overload import CustomOverload

__all__ = ["CustomOpDef", "custom_op", "device_names", "parse_name", "split_name"]


def split_name(qualname: str) -> tuple[str, str]:
    """Namespace and name of ``namespace::name``; ValueError where it is something else."""
    parts = qualname.split("::")
    if len(parts) != 2:
        raise ValueError(
            f'Expected `qualname` to be of the form "namespace::name", but got {qualname}. The qualname'
            " passed to the"
            " torch.library APIs must consist of a namespace and a name, e.g. aten::sin"
        )
    return parts[0], parts[1]


def parse_name(qualname: str) -> tuple[str, str]:
    """The same for `custom_op`, whose names have no overloads."""
    namespace, name = split_name(qualname)
    if "." in name:
        raise ValueError(
            "The torch.library.custom_op APIs do not handle overloads, i.e. operator names with '.' in"
            " them. Please"
            f" name your operator something without a '.'. Got: {qualname}"
        )
    return namespace, name


def device_names(device_types: str | Sequence[str] | None) -> list[str]:
    """Device types as keys of kernels: "" stands for all, and so does "default"."""
    if device_types is None:
        return [""]
    names = [device_types] if isinstance(device_types, str) else list(device_types)
    for name in names:
        if name != "default":
            check_device_type(name)
    return ["" if name == "default" else name for name in names]


_definitions: dict[str, CustomOpDef] = {}


class CustomOpDef:
    """An operator that `custom_op` defined; call it like the function."""

    def __init__(self, namespace: str, name: str, schema: str, fn: Callable, tags: Any = None) -> None:
        self._namespace, self._name, self._schema, self._init_fn = namespace, name, schema, fn
        qualname = f"{namespace}::{name}"
        packet = packet_of(qualname, create=True)
        packet._known.clear()  # a later definition replaces the earlier
        self._opoverload = CustomOverload(packet, "", qualname + schema, strict=True)
        if tags is not None:
            self._opoverload.tags = list(tags) if isinstance(tags, Iterable) else [tags]
        _definitions[qualname] = self

    @property
    def _qualname(self) -> str:
        return f"{self._namespace}::{self._name}"

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._qualname})>"

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._opoverload(*args, **kwargs)

    def register_kernel(
        self, device_types: str | Sequence[str] | None, fn: Callable | None = None, /
    ) -> Callable:
        """Register an implementation for device types; None: for all. Usable as a decorator."""
        names = device_names(device_types)

        def register(fn: Callable) -> Callable:
            arguments = self._opoverload._schema.arguments
            tensors = any("Tensor" in str(a.type) for a in arguments)
            if device_types is not None and not tensors:
                if not any(a.name == "device" and "Device" in str(a.type) for a in arguments):
                    raise ValueError(
                        "Functions without tensor inputs are required to have a `device: torch.device`"
                        " argument"
                    )
            for name in names:
                self._opoverload._kernels[name] = fn
            return fn

        return register if fn is None else register(fn)

    def register_fake(self, fn: Callable, /) -> Callable:
        """Register what the operator does with tensors that have a shape only."""
        self._opoverload._fake = fn
        return fn

    def register_torch_dispatch(self, torch_dispatch_class: Any, fn: Callable | None = None, /) -> Callable:
        """Register what replaces the ``__torch_dispatch__`` of a mode or subclass for this operator."""

        def register(fn: Callable) -> Callable:
            self._opoverload._rules[torch_dispatch_class] = fn
            return fn

        return register if fn is None else register(fn)

    def register_autograd(self, backward: Callable, /, *, setup_context: Callable | None = None) -> None:
        """Register the derivative: ``backward(ctx, *gradients)``, and what it needs from the forward call,
        ``setup_context(ctx, inputs, output)``."""
        schema = self._opoverload._schema
        if schema.is_mutable:
            raise RuntimeError(
                f"Cannot register autograd formula for non-functional operator {self} with schema"
                f" {schema}. Please"
                " create a functional operator and register an autograd formula for that."
            )
        self._opoverload._gradient = autograd.Formula(backward, setup_context)

    def register_vmap(self, func: Callable | None = None, /) -> Callable | None:
        """Register how `vmap` does it: ``func(info, in_dims, *args) -> result, out_dims``."""

        def register(func: Callable) -> None:
            self._opoverload._vmap = func

        return register if func is None else register(func)

    def register_autocast(self, device_type: str, cast_inputs: Any) -> None:
        """Under autocast for a device, floating point inputs become `cast_inputs`."""
        check_device_type(device_type)
        self._opoverload._autocast[device_type] = cast_inputs

    def register_effect(self, effect: Any) -> None:
        """Effects order operators in exported programs; flambeau runs all in program order."""

    @contextlib.contextmanager
    def set_kernel_enabled(self, device_type: str, enabled: bool = True) -> Iterator[None]:
        """Within the block the kernel registered for a device is used, or not."""
        disabled = self._opoverload._disabled
        before = device_type in disabled
        (disabled.discard if enabled else disabled.add)(device_type)
        try:
            yield
        finally:
            (disabled.add if before else disabled.discard)(device_type)


def custom_op(
    name: str,
    fn: Callable | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: str | Sequence[str] | None = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Make an operator of a function: one thing for autograd, `vmap`, traces and compiled programs.

    Parameters
    ----------
    name : ``"namespace::name"``.
    fn : the implementation; without it, a decorator is returned.
    mutates_args : names of the tensors that it writes into.
    device_types : the devices it is for; None: all.
    schema : ``"(Tensor x) -> Tensor"``; None: from the annotations.

    Returns
    -------
    A `CustomOpDef`.
    """

    def make(fn: Callable) -> CustomOpDef:
        text = infer_schema(fn, mutates_args=mutates_args) if schema is None else schema
        namespace, short = parse_name(name)
        made = CustomOpDef(namespace, short, text, fn, tags)
        if schema is not None and mutates_args != "unknown":
            written = {a.name for a in made._opoverload._schema.arguments if a.is_write}
            if written != set(mutates_args):
                raise ValueError(
                    f"Attempted to create a custom op with `mutates_args={mutates_args}` and"
                    f" `schema={schema}. The"
                    f" schema suggests that the op mutates {written} which is different from what was"
                    " provided to us"
                    " in `mutates_args`. Please make these consistent."
                )
        made.register_kernel(device_types)(fn)
        return made

    return make if fn is None else make(fn)


def definition_of(op: Any) -> CustomOpDef | None:
    """The definition behind a name, an overload or itself; None where `custom_op` did not make it."""
    if isinstance(op, CustomOpDef):
        return op
    if isinstance(op, str):
        return _definitions.get(op)
    if isinstance(op, CustomOverload):
        return _definitions.get(op._overloadpacket._qualified_op_name)
    return None
