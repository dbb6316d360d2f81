"""``torch.ops``: operators by namespace, name and overload, made from the schemas of the operator table."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, NoReturn

from flambeau import _C

from ._schema import FunctionSchema, parse

__all__ = ["HigherOrderOperator", "OpOverload", "OpOverloadPacket", "OperatorBase", "Tag", "load_library"]


class Tag(enum.Enum):
    """What is known of an operator, as `OpOverload.tags` lists it."""

    core = 0
    cudagraph_unsafe = 1
    data_dependent_output = 2
    dynamic_output_shape = 3
    flexible_layout = 4
    generated = 5
    inplace = 6
    inplace_view = 7
    maybe_aliasing_or_mutating = 8
    needs_contiguous_strides = 9
    needs_exact_strides = 10
    needs_fixed_stride_order = 11
    nondeterministic_bitwise = 12
    nondeterministic_seeded = 13
    out = 14
    out_variant = 15
    pointwise = 16
    pt2_compliant_tag = 17
    reduction = 18
    view_copy = 19

    def __int__(self) -> int:
        return self.value


class OperatorBase:
    """What can be called by the name of an operator."""


class OpOverload(OperatorBase):
    """One overload of an operator: ``torch.ops.aten.add.Tensor``. Called as its schema says."""

    def _describe(self, packet: OpOverloadPacket, overload: str, schema: str | None) -> None:
        self._overloadpacket, self._overload, self._text = packet, overload, schema
        self.namespace = packet._namespace
        self._opname, self._overloadname = packet.__name__, overload or "default"
        self._name = packet._qualified_op_name + ("." + overload if overload else "")
        self.__name__ = f"{packet.__name__}.{self._overloadname}"
        self.__module__ = packet.__module__
        self.__qualname__ = self._name
        self.tags: list[Tag] = []

    @property
    def _schema(self) -> FunctionSchema:
        if self._text is None:
            raise NotImplementedError(
                f"flambeau has no schema of {self._name}: it is a function of Python only"
            )
        if "_parsed" not in self.__dict__:
            self._parsed = parse(self._text)
        return self._parsed

    @property
    def overloadpacket(self) -> OpOverloadPacket:
        """The operator with all its overloads."""
        return self._overloadpacket

    @property
    def op(self) -> OpOverload:
        """What is called."""
        return self

    _op = op

    @property
    def is_view(self) -> bool:
        """Whether the result shares the memory of an argument."""
        return self._schema._is_view_op()

    def name(self) -> str:
        """``aten::add.Tensor``."""
        return self._name

    def has_kernel_for_dispatch_key(self, key: Any) -> bool:
        """Whether a device has a kernel: every operator of the table works on the CPU and without data."""
        return str(key).rpartition(".")[2] in ("CPU", "Meta")

    def decompose(self, *args: Any, **kwargs: Any) -> Any:
        """The result by other operators; NotImplemented where the operator stands for itself."""
        body = getattr(getattr(self, "_function", None), "body", None)
        return NotImplemented if body is None else body(*args, **kwargs)

    def py_impl(self, key: Any) -> NoReturn:
        raise NotImplementedError("flambeau has no Python kernels for the operators of its own table")

    def __str__(self) -> str:
        return f"{self.namespace}.{self._opname}.{self._overloadname}"

    def __repr__(self) -> str:
        place = f"{self.namespace}.{self._opname}"
        return f"<OpOverload(op='{place}', overload='{self._overloadname}')>"

    def __copy__(self) -> OpOverload:
        return self

    def __deepcopy__(self, memo: dict) -> OpOverload:
        return self

    def __reduce__(self) -> tuple:
        return _find, (self.namespace, self._opname, self._overloadname)


class _CoreOverload(_C._Overload, OpOverload):
    """An entry of the core's table."""

    def __new__(cls, packet: OpOverloadPacket, overload: str, schema: str, full: str, inplace: bool) -> Any:
        self = super().__new__(cls, full, inplace)
        self._describe(packet, overload, schema)
        return self

    def __init__(self, *args: Any) -> None:
        pass


class _PythonOverload(OpOverload):
    """An operator that is written in Python from others."""

    def __init__(
        self, packet: OpOverloadPacket, overload: str, schema: str | None, function: Callable
    ) -> None:
        self._describe(packet, overload, schema)
        self._function = function

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        if "self" in kwargs:
            kwargs["input"] = kwargs.pop("self")
        return self._function(*args, **kwargs)


class OpOverloadPacket(OperatorBase):
    """All overloads of a name: ``torch.ops.aten.add``. Called, the first that fits the arguments runs."""

    def __init__(self, namespace: str, name: str) -> None:
        self._namespace, self.__name__ = namespace, name
        self._qualified_op_name = f"{namespace}::{name}"
        self.__module__ = f"torch._ops.{namespace}"
        self._known: dict[str, OpOverload] = {}

    def _add(self, overload: str, made: OpOverload) -> None:
        self._known[overload or "default"] = made

    def overloads(self) -> list[str]:
        """Names of the overloads; the one without is ``default``."""
        return list(self._known)

    @property
    def op(self) -> OpOverloadPacket:
        """What is called."""
        return self

    _op = op

    @property
    def _overload_names(self) -> list[str]:
        return ["" if n == "default" else n for n in self._known]

    @property
    def _schemas(self) -> dict[str, FunctionSchema]:
        return {n: self._known[n or "default"]._schema for n in self._overload_names}

    def __getattr__(self, name: str) -> OpOverload:
        if name.startswith("__"):
            raise AttributeError(
                f"'{self}' can't have an overload name beginning with '__' and the underlying op"
                f" {self.__dict__.get('_qualified_op_name')} has no attribute {name} either."
            )
        found = self.__dict__.get("_known", {}).get(name)
        if found is None:
            raise AttributeError(f"The underlying op of '{self}' has no overload name '{name}'")
        return found

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        out = "out" in kwargs
        able = [o for n, o in self._known.items() if n.endswith("out") == out or len(self._known) == 1]
        if len(able) == 1:
            return able[0](*args, **kwargs)
        problems = []
        for overload in able:
            try:
                return overload(*args, **kwargs)
            except TypeError as error:
                problems.append(f"{error}. Declaration: {overload._schema}\n")
        raise RuntimeError(
            "Overloaded torch operator invoked from Python failed to match any schema:\n"
            + "\n".join(problems)
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __dir__(self) -> list[str]:
        return [*self._known, *object.__dir__(self)]

    def __str__(self) -> str:
        return f"{self._namespace}.{self.__name__}"

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self}')>"

    def __copy__(self) -> OpOverloadPacket:
        return self

    def __deepcopy__(self, memo: dict) -> OpOverloadPacket:
        return self

    def __reduce__(self) -> tuple:
        return _find, (self._namespace, self.__name__, None)


class HigherOrderOperator(OperatorBase):
    """An operator that takes functions; flambeau calls such functions directly and has none."""

    def __init__(self, name: str, *, cacheable: bool = False) -> None:
        self._name = self.__name__ = name

    def name(self) -> str:
        """Its name."""
        return self._name

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError(f"flambeau has no higher-order operator '{self._name}'")


class OpNamespace(ModuleType):
    """The operators of one library: ``torch.ops.aten``."""

    def __init__(self, name: str) -> None:
        super().__init__("torch.ops." + name)
        self._namespace = name
        self.__file__ = "torch.ops"
        self._dir: list[str] = []

    def __getattr__(self, name: str) -> OpOverloadPacket:
        if name.startswith("__") and name not in _index:
            raise AttributeError(name)
        packet = None
        if self._namespace == "aten" and name not in _HIDDEN:
            packet = _aten_packet(name)
        elif self._namespace == "quantized":
            packet = _quantized_packet(name)
        if packet is None:
            raise AttributeError(f"'_OpNamespace' '{self._namespace}' object has no attribute '{name}'")
        setattr(self, name, packet)
        return packet

    def __iter__(self) -> Iterator[str]:
        return iter(self._dir)

    def __repr__(self) -> str:
        return f"<module 'torch.ops.{self._namespace}' from 'torch.ops'>"


_namespaces: dict[str, OpNamespace] = {}


def namespace(name: str) -> OpNamespace:
    """The operators of a library, made when first asked for."""
    if name not in _namespaces:
        _namespaces[name] = OpNamespace(name)
    return _namespaces[name]


def packet_of(qualname: str, create: bool = False) -> OpOverloadPacket | None:
    """The operator ``library::name``; None where there is none."""
    space, _, name = qualname.partition("::")
    found = getattr(namespace(space), name, None)
    if found is None and create:
        found = OpOverloadPacket(space, name)
        setattr(namespace(space), name, found)
        namespace(space)._dir.append(name)
    return found


def overload_named(qualname: str) -> OpOverload | None:
    """The overload ``library::name.overload``; None where there is none."""
    head, _, overload = qualname.partition(".")
    packet = packet_of(head)
    return packet and packet._known.get(overload or "default")


def _find(space: str, name: str, overload: str | None) -> OpOverload | OpOverloadPacket:
    packet = getattr(namespace(space), name)
    return packet if overload is None else getattr(packet, overload)


def load_library(path: str) -> NoReturn:
    """PyTorch loads a shared library with operators here; flambeau cannot: those call into libtorch."""
    raise OSError(
        f"Could not load this library: {path}\n"
        "flambeau has no C++ ABI for libraries of operators built against PyTorch; write the operator in"
        " Python"
        " with torch.library.custom_op"
    )


# ---------------------------------------------------------------- the core's table under PyTorch's names
# overloads for a number where the table has one entry for tensor and number: entry -> name for a tensor, a
# number
_NUMBERS = {
    "Tensor": ("Tensor", "Scalar"), "Tensor_mode": ("Tensor_mode", "Scalar_mode"),
    "Tensor_Tensor": ("Tensor_Tensor", "Tensor_Scalar"), "self": ("self", "ScalarOther"),
    "Scalar": ("Tensor", "Scalar"), "": ("Tensor", "Scalar"), "method": ("method", "method"),
}  # fmt: skip
_NUMBERS_OF = {
    "clamp_min": ("Tensor", ""), "clamp_max": ("Tensor", ""), "floor_divide": ("", "Scalar"),
    "index_fill": ("int_Tensor", "int_Scalar"), "isin": ("Tensor_Tensor", "Tensor_Scalar"),
    "xlogy": ("Tensor", "Scalar_Other"), "special_xlog1py": ("", "other_scalar"),
    "special_xlogy": ("", "other_scalar"), "special_zeta": ("", "other_scalar"),
    "bucketize": ("Tensor", "Scalar"), "searchsorted": ("Tensor", "Scalar"),
}  # fmt: skip
# arithmetic is shown in its tensor form even where one operand is a number
_ALWAYS_TENSOR = ("add", "sub", "mul", "div")
_OUT = {
    "sum.dim_IntList": "IntList_out", "prod.dim_int": "int_out", "max.dim": "dim_max", "min.dim": "dim_min",
    "div.Tensor_mode": "out_mode", "softmax.int": "int_out", "log_softmax.int": "int_out", "cat": "out",
    "all": "all_out", "any": "all_out", "mean": "dtype_out",
}  # fmt: skip
_PLAIN_OUT = ("dim", "other", "correction", "int")
_PLAIN, _INPLACE, _OUTPUT, _NUMBER = range(4)
# the core's take factors as a list, PyTorch's overload `vec`; the one without a name is in `_aten`
RESAMPLED = """upsample_nearest1d upsample_nearest2d upsample_nearest3d _upsample_nearest_exact1d
    _upsample_nearest_exact2d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    upsample_bicubic2d upsample_trilinear3d""".split()
_BESIDE = ("to", "repeat_interleave")  # `_aten` has more overloads of these
# entries that PyTorch calls otherwise
_RENAMED = {"empty": "memory_format", "where.condition": "", "std": "", "var": ""}
_RENAMED |= {f"nn::{name}": "vec" for name in RESAMPLED}

# parts of operators that PyTorch does not have and that trust their caller: dispatch modes see them,
# nobody calls them by name
_HIDDEN = frozenset(
    """_after_attention _box_suppress _cholesky_solve _cholesky_inverse _convolution_norm
    _triangle_indices _pair_distances _own_distances _quantized_levels _quantized_numbers
    _quantized_pair _quantized_sums _quantized_pack _quantized_linear _quantized_conv
    _sample _sample_backward _sample_products
    _linear_chain _cross_entropy _cross_entropy2d _layer_norm_gradient _fused_rmsprop _fused_adadelta
    _fused_adamax _fused_nadam _fused_radam _fused_asgd _fused_rprop _border _border_backward _resample
    _rnn_sequence _logcumsumexp_product _bincount _unique_consecutive _tie""".split()
)

_index: dict[str, list[tuple[str, str, str, int]]] = {}  # name -> (overload, schema, full name, variant)
_overload_of: dict[tuple[str, int], tuple[str, str]] = {}  # (full name, variant) -> (name, overload)


def _aten_name(full: str) -> str:
    space, _, name = full.partition(".")[0].rpartition("::")
    return name if space in ("", "nn") else f"{space}_{name}"


def _fill_index() -> None:
    for full, text, variants, _ in _C._operators():
        space = full.partition("::")[0] if "::" in full else ""
        if space not in ("", "nn", "linalg", "fft", "special"):
            continue
        name, overload = _aten_name(full), recorded_overload(full)
        body = text[text.index("(") :]
        numbers = "Operand" in body
        tensor, number = (
            _NUMBERS_OF.get(name, _NUMBERS.get(overload, ("", ""))) if numbers else (overload, "")
        )
        plain = body.replace("Operand", "Tensor")
        if "v" in variants and "!" not in plain:
            plain = plain.replace("(Tensor ", "(Tensor(a) ", 1).replace("-> Tensor", "-> Tensor(a)")

        def add(name: str, overload: str, body: str, variant: int, full: str = full) -> None:
            schema = f"aten::{name}{'.' if overload else ''}{overload}{body}"
            _index.setdefault(name, []).append((overload, schema, full, variant))
            _overload_of[full, variant] = (name, overload)

        add(name, tensor, plain, _PLAIN)
        if numbers and number != tensor:
            at = body.rindex("Operand")
            add(name, number, body[:at].replace("Operand", "Tensor") + "Scalar" + body[at + 7 :], _NUMBER)
            if name in _ALWAYS_TENSOR:
                _overload_of[full, _NUMBER] = (name, tensor)
        if "i" in variants:
            arguments, _, _ = plain.rpartition(" -> ")
            kind = plain[1:].partition(" ")[0]
            written = "(Tensor(a!)" + arguments[1 + len(kind) :] + " -> Tensor(a!)"
            add(name + "_", tensor, written, _INPLACE)
        if "o" in variants and plain.endswith(" -> Tensor"):
            arguments = plain.removesuffix(") -> Tensor")
            star = "" if ", *," in arguments or "(*," in arguments else ", *"
            if tensor in _PLAIN_OUT or not tensor or (tensor == "Tensor" and name in _ALWAYS_TENSOR):
                out = _OUT.get(full, "out")
            else:
                out = _OUT.get(full, tensor + "_out")
            add(name, out, f"{arguments}{star}, Tensor(a!) out) -> Tensor(a!)", _OUTPUT)


def _aten_packet(name: str) -> OpOverloadPacket | None:
    if not _index:
        _fill_index()
    packet = OpOverloadPacket("aten", name)
    for overload, schema, full, variant in _index.get(name, ()):
        if (overload or "default") not in packet._known:
            packet._add(overload, _CoreOverload(packet, overload, schema, full, variant == _INPLACE))
    if not packet._known or name in RESAMPLED or name in _BESIDE:
        from ._aten import python_overloads, resampled_overload

        others = [resampled_overload(name)] if name in RESAMPLED else python_overloads(name)
        for overload, schema, function in others:
            packet._add(overload, _PythonOverload(packet, overload, schema, function))
    return packet if packet._known else None


def _quantized_packet(name: str) -> OpOverloadPacket | None:
    from .quantized.library import find

    overloads = find(name)
    if overloads is None:
        return None
    packet = OpOverloadPacket("quantized", name)
    for overload, (schema, function) in overloads.items():
        packet._add(overload, _PythonOverload(packet, overload, schema, function))
    return packet


def recorded_overload(full: str) -> str:
    """The overload that an entry's full name is."""
    return _RENAMED.get(full, full.partition(".")[2])


def overload_of(full: str, variant: int) -> OpOverload:
    """The object of a call that the core makes: an entry's full name and how it is called."""
    if not _index:
        _fill_index()
    if (full, variant) not in _overload_of and (found := overload_named(full)) is not None:
        return found
    if (full, variant) not in _overload_of:
        variant = _PLAIN
    name, overload = _overload_of[full, variant]
    aten = namespace("aten")
    if name in _HIDDEN and name not in vars(aten):
        return getattr(_aten_packet(name), overload or "default")
    return getattr(getattr(aten, name), overload or "default")
