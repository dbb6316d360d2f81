"""Operators of one's own: defined in Python, at home in autograd, `vmap`, traces and compiled programs."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from ._library.autograd import Formula
from ._library.custom_ops import CustomOpDef, custom_op, definition_of, device_names, split_name
from ._library.fake import get_ctx
from ._library.infer_schema import infer_schema
from ._library.opcheck import opcheck
from ._library.overload import CustomOverload
from ._ops import OpOverload, OpOverloadPacket, overload_named, packet_of
from ._schema import parse
from .amp.state import check_device_type

__all__ = [
    "Library",
    "custom_op",
    "define",
    "fallthrough_kernel",
    "get_ctx",
    "get_kernel",
    "impl",
    "impl_abstract",
    "infer_schema",
    "opcheck",
    "register_autocast",
    "register_autograd",
    "register_fake",
    "register_kernel",
    "register_torch_dispatch",
    "register_vmap",
    "triton_op",
    "wrap_triton",
]

_KINDS = ("IMPL", "DEF", "FRAGMENT")
# dispatch keys -> keys of kernels
_KEYS = {
    "CPU": "cpu", "CUDA": "cuda", "Meta": "meta", "XPU": "xpu", "MPS": "mps", "HPU": "hpu", "XLA": "xla",
    "MTIA": "mtia", "IPU": "ipu", "VE": "ve", "MAIA": "maia", "PrivateUse1": "privateuseone",
    "Vulkan": "vulkan", "Lazy": "lazy",
    "CompositeImplicitAutograd": "CompositeImplicitAutograd",
    "CompositeExplicitAutograd": "CompositeExplicitAutograd",
    "CompositeExplicitAutogradNonFunctional": "CompositeExplicitAutograd",
    "Autograd": "Autograd", "AutogradCPU": "Autograd", "AutogradCUDA": "Autograd",
    "ADInplaceOrView": None, "BackendSelect": None,
}  # fmt: skip
_TYPES = (
    "Tensor|SymInt|int|float|bool|str|Scalar|ScalarType|Layout|Device|MemoryFormat|Generator|Storage|complex"
)
_namespaces: dict[str, str] = {}  # with a DEF block -> where it was made


def fallthrough_kernel() -> None:
    """A kernel for `Library.impl` that passes a call on to the next key."""
    raise NotImplementedError("fallthrough_kernel() should never be called.")


def _caller() -> str:
    frame = traceback.extract_stack(limit=3)[0]
    return f"{frame.filename}:{frame.lineno}"


class Library:
    """A block of definitions or implementations of operators of one namespace.

    Parameters
    ----------
    ns : the namespace.
    kind : ``"DEF"`` (one for a namespace), ``"FRAGMENT"`` (any number) or ``"IMPL"`` (no definitions).
    dispatch_key : what `impl` registers for where it is not told.
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in _KINDS:
            raise ValueError(f"Unsupported kind: {kind}")
        if ns == "prim":
            raise ValueError(f"{ns} is a reserved namespace")
        place = _caller()
        if kind == "DEF":
            before = _namespaces.get(ns) or ("flambeau" if ns == "aten" else None)
            if before is not None:
                raise RuntimeError(
                    f"Only a single TORCH_LIBRARY can be used to register the namespace {ns}; please put"
                    " all of your"
                    " definitions in a single TORCH_LIBRARY block.  If you were trying to specify"
                    " implementations,"
                    " consider using TORCH_LIBRARY_IMPL (which can be duplicated).  If you really intended"
                    " to define"
                    " operators for a single namespace in a distributed way, you can use"
                    " TORCH_LIBRARY_FRAGMENT to"
                    " explicitly indicate this.  Previous registration of TORCH_LIBRARY was registered at"
                    f" {before}; latest registration was registered at {place}"
                )
            _namespaces[ns] = place
        self.ns, self.kind, self.dispatch_key = ns, kind, dispatch_key
        self._place = place
        self._defined: list[CustomOverload] = []

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Define an operator by its schema, ``"name.overload(Tensor x) -> Tensor"``; returns its name."""
        if alias_analysis not in ("", "FROM_SCHEMA", "CONSERVATIVE"):
            raise RuntimeError(f"Invalid alias_analysis type {alias_analysis}")
        head = schema.partition("(")[0].strip()
        if self.kind == "IMPL":
            raise RuntimeError(
                f'def("{head}"): Cannot define an operator inside of a TORCH_LIBRARY_IMPL block.  All'
                " def()s should be"
                " placed in the (unique) TORCH_LIBRARY block for their namespace.  (Error occurred while"
                " processing"
                f" TORCH_LIBRARY_IMPL block at {self._place})"
            )
        if self.ns == "aten":
            raise NotImplementedError(
                "flambeau takes no new operators in the namespace 'aten': use one of your own"
            )
        text = f"{self.ns}::{schema.strip()}"
        _check_types(text)
        name, _, overload = head.partition(".")
        packet = packet_of(f"{self.ns}::{name}", create=True)
        if (overload or "default") in packet._known:
            raise RuntimeError(
                f"Tried to register an operator ({text}) with the same name and overload name multiple"
                " times. Each"
                " overload's schema should only be registered with a single call to def()."
            )
        made = CustomOverload(packet, overload, text)
        made.tags = list(tags) if isinstance(tags, Sequence) else [tags]
        self._defined.append(made)
        return name

    def impl(
        self,
        op_name: Any,
        fn: Callable,
        dispatch_key: str = "",
        *,
        with_keyset: bool = False,
        allow_override: bool = True,
    ) -> None:
        """Register an implementation of an operator for a dispatch key, such as ``"CPU"``."""
        if not callable(fn):
            raise TypeError(f"Input function is required to be a callable but found type {type(fn)}")
        if with_keyset:
            raise NotImplementedError(
                "flambeau has no sets of dispatch keys to give to a kernel (with_keyset)"
            )
        key = dispatch_key or self.dispatch_key or "CompositeImplicitAutograd"
        if isinstance(op_name, OpOverload):
            qualname = op_name._name
        else:
            short = op_name.partition("::")[2] if "::" in op_name else op_name
            qualname = f"{self.ns}::{short}"
        if key not in _KEYS:
            raise RuntimeError(f"could not parse dispatch key: {key}")
        found = overload_named(qualname)
        if found is None:
            raise NotImplementedError(
                f"{qualname}: flambeau keeps no implementations of operators that are not defined yet;"
                " define it first"
            )
        if not isinstance(found, CustomOverload):
            raise NotImplementedError(
                f"{qualname} is an operator of flambeau's own table: its kernels cannot be replaced; use a"
                " TorchDispatchMode or a TorchFunctionMode to see calls of it"
            )
        if fn is fallthrough_kernel or _KEYS[key] is None:
            found._kernels.pop(_KEYS[key] or "", None)
            return
        if key == "Meta":
            found._fake = None
        found._kernels[_KEYS[key]] = fn

    def _register_fake(
        self, op_name: str, fn: Callable, _stacklevel: int = 1, *, allow_override: bool = True
    ) -> None:
        _require(f"{self.ns}::{op_name.partition('::')[2] or op_name}")._fake = fn

    def _register_torch_dispatch_rule(self, op_name: str, torch_dispatch_class: Any, fn: Callable) -> None:
        _require(f"{self.ns}::{op_name}")._rules[torch_dispatch_class] = fn

    def fallback(self, fn: Callable, dispatch_key: str = "", *, with_keyset: bool = False) -> None:
        """PyTorch: a kernel for all operators of a dispatch key; flambeau has no such keys."""
        raise NotImplementedError("flambeau has no fallback kernels: use a TorchDispatchMode")

    def _destroy(self) -> None:
        for made in self._defined:
            made._overloadpacket._known.pop(made._overloadname, None)
            if not made._overloadpacket._known:
                from ._ops import namespace

                vars(namespace(self.ns)).pop(made._opname, None)
        self._defined.clear()
        if self.kind == "DEF":
            _namespaces.pop(self.ns, None)


def _check_types(text: str) -> None:
    """Raise where a schema cannot be read or names a type that there is not."""
    schema = parse(text)
    for a in (*schema.arguments, *schema.returns):
        base = re.match(r"\w+", a._declared)
        if base is None or not re.fullmatch(_TYPES, base[0]):
            raise RuntimeError(
                "\nunknown type specifier. Common valid schema types include Tensor, SymInt, int, float,"
                " bool, Scalar;"
                f" for a full list, see the schemas of torch.ops.aten:\n{text}\n{a._declared} <--- HERE\n"
            )


def _require(op: Any) -> CustomOverload:
    """The custom overload of a name, a definition or an overload; RuntimeError where there is none."""
    if isinstance(op, CustomOpDef):
        return op._opoverload
    if isinstance(op, OpOverloadPacket):
        op = op.default
    if isinstance(op, OpOverload):
        found: Any = op
    elif isinstance(op, str):
        split_name(op)
        found = overload_named(op)
        if found is None:
            raise RuntimeError(f"operator {op} does not exist")
    else:
        raise ValueError(f"Expected an operator or its name, got {type(op)}")
    if not isinstance(found, CustomOverload):
        raise NotImplementedError(
            f"{found._name} is an operator of flambeau's own table: nothing can be registered for it"
        )
    return found


def define(qualname: Any, schema: str, *args: Any, lib: Library | None = None, tags: Any = ()) -> Any:
    """Define an operator: ``define("ns::name", "(Tensor x) -> Tensor")``.

    ``define(library, "name(Tensor x) -> Tensor")`` is a decorator that defines and implements.
    """
    if isinstance(qualname, Library):

        def with_kernel(fn: Callable) -> Callable:
            qualname.impl(qualname.define(schema, *args, tags=tags), fn)
            return fn

        return with_kernel
    if not isinstance(qualname, str):
        raise ValueError(
            f"define(qualname, schema): expected qualname to be instance of str, got {type(qualname)}"
        )
    namespace, name = split_name(qualname)
    if not re.fullmatch(r"\(.*\) -> .*", schema):
        raise ValueError(
            'define(qualname, schema, ...): expected schema to look like e.g. "(Tensor x) -> Tensor" but got'
            f' "{schema}"'
        )
    (lib or Library(namespace, "FRAGMENT")).define(name + schema, tags=tags)
    return None


def impl(qualname: Any, types: Any, func: Any = None, *, lib: Library | None = None) -> Any:
    """Register an implementation for device types (``"cpu"``), ``"default"`` or a dispatch key (``"CPU"``).

    ``impl(library, name, dispatch_key="")`` is PyTorch's older form. Usable as a decorator.
    """
    if isinstance(qualname, Library):

        def with_key(fn: Callable) -> Callable:
            qualname.impl(types, fn, func or "")
            return fn

        return with_key
    if isinstance(types, str):
        types = (types,)
    keys = []
    for name in types:
        if name == "default":
            keys.append("CompositeExplicitAutograd")
        elif name in _KEYS:
            keys.append(name)
        else:
            check_device_type(name)
            keys.append(
                {"privateuseone": "PrivateUse1"}.get(name) or next(k for k in _KEYS if k.lower() == name)
            )

    def register(fn: Callable) -> Callable:
        namespace, name = split_name(qualname)
        library = lib or Library(namespace, "FRAGMENT")
        for key in keys:
            library.impl(name, fn, key)
        return fn

    return register if func is None else register(func)


def register_kernel(
    op: Any,
    device_types: str | Sequence[str] | None,
    func: Callable | None = None,
    /,
    *,
    lib: Library | None = None,
) -> Any:
    """Register an implementation for device types; None: for all. Usable as a decorator."""
    definition = definition_of(op)
    if definition is not None:
        return definition.register_kernel(device_types, *([] if func is None else [func]))

    def register(fn: Callable) -> Callable:
        for name in device_names(device_types):
            _require(op)._kernels[name or "CompositeExplicitAutograd"] = fn
        return fn

    return register if func is None else register(func)


def register_fake(
    op: Any,
    func: Callable | None = None,
    /,
    *,
    lib: Library | None = None,
    _stacklevel: int = 1,
    allow_override: bool = True,
) -> Any:
    """Register what an operator does with tensors that have a shape only. Usable as a decorator."""

    def register(fn: Callable) -> Callable:
        _require(op)._fake = fn
        return fn

    return register if func is None else register(func)


def impl_abstract(
    qualname: Any, func: Callable | None = None, *, lib: Library | None = None, _stacklevel: int = 1
) -> Any:
    """The former name of `register_fake`."""
    return register_fake(qualname, func, lib=lib)


def register_autograd(
    op: Any, backward: Callable, /, *, setup_context: Callable | None = None, lib: Library | None = None
) -> None:
    """Register the derivative of an operator.

    Parameters
    ----------
    backward : ``backward(ctx, *gradients)`` gives a gradient for each positional argument.
    setup_context : ``setup_context(ctx, inputs, output)`` keeps what `backward` needs; with keyword-only
    arguments
        also ``keyword_only_inputs``.
    """
    overload = _require(op)
    schema = overload._schema
    if schema.is_mutable or not schema.returns:
        raise RuntimeError(
            f"Cannot register autograd formula for non-functional operator {overload} with schema"
            f" {schema}. Please"
            " create a functional operator and register an autograd formula for that."
        )
    overload._gradient = Formula(backward, setup_context)


def register_vmap(op: Any, func: Callable | None = None, /, *, lib: Library | None = None) -> Any:
    """Register how `vmap` does it: ``func(info, in_dims, *args) -> result, out_dims``; also a decorator."""

    def register(fn: Callable) -> None:
        _require(op)._vmap = fn

    return register if func is None else register(func)


def register_torch_dispatch(
    op: Any, torch_dispatch_class: Any, func: Callable | None = None, /, *, lib: Library | None = None
) -> Any:
    """Register what replaces the ``__torch_dispatch__`` of a mode or subclass for one operator."""

    def register(fn: Callable) -> Callable:
        _require(op)._rules[torch_dispatch_class] = fn
        return fn

    return register if func is None else register(func)


def register_autocast(
    op: Any, device_type: str, cast_inputs: fb.dtype, /, *, lib: Library | None = None
) -> None:
    """Under autocast for a device, floating point inputs of the operator become `cast_inputs`."""
    check_device_type(device_type)
    if device_type not in ("cpu", "cuda"):
        raise ValueError(f"Unknown device type: {device_type}")
    _require(op)._autocast[device_type] = cast_inputs


def get_kernel(op: Any, dispatch_key: Any) -> Callable:
    """The kernel of a custom operator for a dispatch key."""
    overload = _require(op)
    key = str(dispatch_key).rpartition(".")[2]
    if key not in _KEYS:
        raise RuntimeError(f"could not parse dispatch key: {key}")
    found = overload._fake if key == "Meta" and overload._fake else overload._kernels.get(_KEYS[key])
    if found is None and key in ("CPU", "CUDA"):
        found = overload._kernels.get("")
    if found is None:
        raise RuntimeError(f"{overload._name} has no kernel for {key}")
    return found


def triton_op(
    name: str, fn: Callable | None = None, /, *, mutates_args: Any, schema: str | None = None
) -> Callable:
    """PyTorch: an operator whose implementation calls Triton kernels; flambeau cannot run those.

    Raises
    ------
    NotImplementedError : when a function is given; the decorator itself can be made.
    """

    def refuse(fn: Callable) -> Any:
        raise NotImplementedError(
            f"{name}: flambeau does not run Triton kernels; use torch.library.custom_op"
        )

    return refuse if fn is None else refuse(fn)


def wrap_triton(triton_kernel: Callable, /) -> Any:
    """PyTorch: a Triton kernel that traces can see; flambeau does not run Triton kernels."""
    raise NotImplementedError("flambeau does not run Triton kernels")
