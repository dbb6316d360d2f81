"""An operator that is defined in Python: its kernels by device, and what else was registered for it.

A call goes through the arguments' ``__torch_function__``, autocast, autograd and then the core, whose table
has an
entry with a kernel that comes back here; so traces, compiled programs and dispatch modes see one operator. A
schema
that the core cannot hold (more than 16 arguments, lists of strings) is served without that entry: such an
operator is
taken apart where something is traced.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import _C

from .._ops import OpOverload, OpOverloadPacket, _CoreOverload
from . import autograd, fake

__all__ = ["CustomOverload", "tensors_of"]

_PYTHON_TYPES = {
    "int": int, "SymInt": int, "float": (int, float), "bool": bool, "str": str,
    "Scalar": (int, float, complex), "ScalarType": fb.dtype,
}  # fmt: skip
_core_texts: dict[str, str] = {}


def tensors_of(values: Any) -> list[fb.Tensor]:
    """The tensors among arguments or results, also one level inside lists."""
    found = []
    for v in values if isinstance(values, (tuple, list)) else (values,):
        if isinstance(v, fb.Tensor):
            found.append(v)
        elif isinstance(v, (tuple, list)):
            found.extend(t for t in v if isinstance(t, fb.Tensor))
    return found


class CustomOverload(OpOverload):
    """One overload of a custom operator; made by `torch.library`."""

    def __init__(self, packet: OpOverloadPacket, overload: str, schema: str, strict: bool = False) -> None:
        self._describe(packet, overload, schema)
        self._strict = strict  # defined by custom_op: no aliases, no gradient without a formula
        self._kernels: dict[str, Callable] = {}  # by device type; "" for all, or the name of a composite
        self._disabled: set[str] = set()
        self._fake: Callable | None = None
        self._gradient: autograd.Formula | None = None
        self._vmap: Callable | None = None
        self._autocast: dict[str, Any] = {}
        self._rules: dict[Any, Callable] = {}  # of dispatch modes and subclasses
        self._core = self._define_core()
        packet._add(overload, self)

    def _define_core(self) -> _CoreOverload | None:
        kept = [f"{a._declared} {a.name}" for a in self._schema.arguments]
        results = self._text[self._text.rindex(") ->") :]
        name = self._name
        text = f"({', '.join(kept)}{results}"
        while _core_texts.get(name, text) != text:  # defined before, and taken back
            name += "_again"
        _core_texts[name] = text
        text = name + text
        try:
            _C._define_operator(text, self._run)
        except (RuntimeError, NotImplementedError):
            return None
        return _CoreOverload(self._overloadpacket, self._overload, text, name, False)

    # ------------------------------------------------------------ a call
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        given = (*args, *kwargs.values())
        if _C._has_torch_function_variadic(*given):
            return fb.overrides.handle_torch_function(self, _flat(given), *args, **kwargs)
        values = self._bind(args, kwargs)
        if self._autocast:
            values = self._cast(values)
        if "CompositeImplicitAutograd" in self._kernels:
            return self._kernels["CompositeImplicitAutograd"](
                *self._positional(values), **self._keywords(values)
            )
        if fb.is_grad_enabled() and any(t.requires_grad for t in tensors_of(values)):
            return self._recorded(values)
        return self._below(values)

    def _recorded(self, values: list) -> Any:
        if "Autograd" in self._kernels:
            return self._kernels["Autograd"](*self._positional(values), **self._keywords(values))
        results = any(str(r.type).startswith(("Tensor", "List[Tensor")) for r in self._schema.returns)
        if self._gradient is not None or (self._strict and results):
            return autograd.apply(self, values)
        with fb.set_grad_enabled(not self._strict):  # what only writes has no derivative
            return self._below(values)

    def _below(self, values: list) -> Any:
        if self._core is None:
            return self._run(*values)
        result = self._core(*values)
        return list(result) if type(result) is tuple and self._returns_list() else result

    def _returns_list(self) -> bool:
        returns = self._schema.returns
        return len(returns) == 1 and str(returns[0].type).startswith("List")

    def _run(self, *values: Any) -> Any:
        """The kernel for where the tensors are."""
        tensors = tensors_of(values)
        device = self._device(tensors, values)
        kernel = self._kernel(device, values)
        inputs = {t.untyped_storage()._cdata for t in tensors} if self._strict and self._core else ()
        result = kernel(*self._positional(list(values)), **self._keywords(list(values)))
        if inputs and device != "meta":
            self._check_aliases(inputs, result)
        return result

    def _device(self, tensors: list, values: tuple) -> str:
        if tensors:
            return tensors[0].device.type
        for a, v in zip(self._schema.arguments, values):
            if a.name == "device" and v is not None:
                return fb.device(v).type
        return "cpu"

    def _kernel(self, device: str, values: tuple) -> Callable:
        if device == "meta":
            found = self._fake or self._kernels.get("meta")
            if found is not None:
                return lambda *a, **k: fake.run(self, found, a, k)
            if self._strict and self._schema.is_mutable and not self._schema.returns:
                return lambda *a, **k: None
            raise fake.missing(self)
        if device not in self._disabled and device in self._kernels:
            return self._kernels[device]
        for name in ("", "CompositeExplicitAutograd"):
            if name in self._kernels:
                return self._kernels[name]
        have = ", ".join(sorted(k or "every device" for k in self._kernels)) or "none"
        raise NotImplementedError(
            f"Could not run '{self._name}' with arguments from the '{device.upper()}' backend. This could"
            " be because"
            f" the operator doesn't exist for this backend.\nKernels were registered for: {have}"
        )

    def _check_aliases(self, inputs: set, result: Any) -> None:
        seen = set(inputs)
        for t in tensors_of(result):
            memory = t.untyped_storage()._cdata
            if memory in seen:
                raise RuntimeError(
                    f"{self._name} (with implementation in {self._kernel_place()}): The output of this"
                    " custom operator"
                    " (1) must not also be an input to this custom operator and (2) may not alias any"
                    " inputs to this"
                    " custom operator or other returns. The most common way to trigger this error is if we"
                    " have y ="
                    " custom_op(x) and y and x are the same Tensor. Please instead return a clone of the"
                    " offending"
                    " output tensor(s) (e.g. return x.clone()) or refactor the custom operator to not"
                    " return y."
                )
            seen.add(memory)

    def _kernel_place(self) -> str:
        kernel = next(iter(self._kernels.values()))
        return getattr(kernel, "__module__", "?")

    # ------------------------------------------------------------ arguments
    def _bind(self, args: tuple, kwargs: dict) -> list:
        """One value for each argument of the schema."""
        declared = self._schema.arguments
        head = f"{self.namespace}::{self._opname}()"
        positional = [a for a in declared if not a.kwarg_only]
        if len(args) > len(positional):
            raise RuntimeError(
                f"{head} expected at most {len(positional)} argument(s) but received"
                f" {len(args) + len(kwargs)}"
                f" argument(s). Declaration: {self._schema}"
            )
        values = list(args)
        for a in declared[len(args) :]:
            if a.name in kwargs:
                values.append(kwargs[a.name])
            elif a.has_default_value():
                values.append(_default(a))
            else:
                raise RuntimeError(
                    f"{head} is missing value for argument '{a.name}'. Declaration: {self._schema}"
                )
        known = {a.name for a in declared[len(args) :]}
        for name in kwargs:
            if name not in known:
                raise RuntimeError(
                    f"Unknown keyword argument '{name}' for operator '{self.namespace}::{self._opname}'."
                    f" Schema: {self._schema}"
                )
        for i, (a, v) in enumerate(zip(declared, values)):
            if not _fits(v, a.real_type):
                shown = type(v).__name__
                raise RuntimeError(
                    f"{head} Expected a value of type '{a.type}' for argument '{a.name}' but instead found"
                    " type"
                    f" '{shown}'.\nPosition: {i}\nValue: {v}\nDeclaration: {self._schema}\n"
                    f"Cast error details: Unable to cast {v} to {a.type}"
                )
        return values

    def _positional(self, values: list) -> list:
        return [v for a, v in zip(self._schema.arguments, values) if not a.kwarg_only]

    def _keywords(self, values: list) -> dict:
        return {a.name: v for a, v in zip(self._schema.arguments, values) if a.kwarg_only}

    def _cast(self, values: list) -> list:
        tensors = tensors_of(values)
        device = tensors[0].device.type if tensors else "cpu"
        dtype = self._autocast.get(device)
        if dtype is None or not fb.is_autocast_enabled(device):
            return values

        def cast(v: Any) -> Any:
            if isinstance(v, (tuple, list)):
                return [cast(x) for x in v]
            wanted = isinstance(v, fb.Tensor) and v.is_floating_point() and v.dtype is not fb.float64
            return v.to(dtype) if wanted and v.device.type == device else v

        return [cast(v) for v in values]

    # ------------------------------------------------------------ for others
    @property
    def _vmap_rule(self) -> Callable | None:
        """What `vmap` calls: the registered rule; None: sample by sample."""
        if self._vmap is None:
            return None

        def rule(args: tuple, kwargs: dict) -> Any:
            from ..func.functions import by_rule

            return by_rule(lambda info, in_dims, *a: self._vmap(info, in_dims, *a, **kwargs), args)

        return rule

    def _rule_for(self, kind: type) -> Callable | None:
        """What was registered instead of the ``__torch_dispatch__`` of a mode or a subclass."""
        return self._rules.get(kind)

    def has_kernel_for_dispatch_key(self, key: Any) -> bool:
        """Whether something was registered for a key, such as ``CPU``."""
        name = str(key).rpartition(".")[2]
        if name == "Meta":
            return self._fake is not None or "meta" in self._kernels
        return name.lower() in self._kernels or name in self._kernels

    def py_impl(self, key: Any) -> Callable:
        """Decorator that registers a kernel for a dispatch key."""

        def register(function: Callable) -> Callable:
            self._kernels[str(key).rpartition(".")[2].lower()] = function
            return function

        return register


def _flat(given: tuple) -> list:
    found: list = []
    for v in given:
        found.extend(v) if isinstance(v, (tuple, list)) else found.append(v)
    return found


def _default(argument: Any) -> Any:
    value = argument.default_value
    base = str(argument.real_type)
    if "ScalarType" in base and isinstance(value, str):
        return getattr(fb, value)
    if "Device" in base and isinstance(value, str):
        return fb.device(value)
    return list(value) if isinstance(value, tuple) else value


def _fits(value: Any, kind: Any) -> bool:
    name, element = kind._name, kind._element
    if name == "Optional":
        return value is None or _fits(value, element)
    if name == "List":
        return isinstance(value, (tuple, list)) and all(_fits(v, element) for v in value)
    if name == "Tensor":
        return isinstance(value, fb.Tensor)
    wanted = _PYTHON_TYPES.get({"number": "Scalar"}.get(name, name))
    if wanted is None:
        return True
    if name in ("int", "SymInt", "float") and isinstance(value, bool):
        return False
    return isinstance(value, wanted) or (
        name in ("int", "SymInt", "float", "number") and hasattr(value, "__index__")
    )
