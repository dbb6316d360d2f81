"""A recorded program (``_C._Graph.steps``): its arguments as Python objects, and which steps it needs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

from flambeau import _C

_DTYPES = dict(enumerate([
    _C.uint8, _C.int8, _C.int16, _C.int32, _C.int64, _C.float16, _C.float32, _C.float64, _C.complex32,
    _C.complex64, _C.complex128, _C.bool,
])) | {15: _C.bfloat16}  # fmt: skip
_FORMATS = {0: _C.contiguous_format, 1: _C.preserve_format, 2: _C.channels_last, 3: _C.channels_last_3d}


def constant(kind: str, content: Any) -> Any:
    """An argument that is no tensor.

    Raises
    ------
    NotImplementedError
        For a device that is not the CPU.
    """
    if kind == "dtype":
        return _DTYPES[content]
    if kind == "format":
        return _FORMATS[content]
    if kind == "layout":
        return _C.strided if content == 0 else content
    if kind == "complex":
        return complex(*content)
    if kind == "device":
        if content[0] != 0:
            raise NotImplementedError("a recorded program that names a device other than the cpu")
        return _C.device("cpu")
    return content


_SCHEMAS: dict[str, str] = {}


def schema_of(name: str) -> str:
    """The schema of a recorded operator; nothing where there is none."""
    if name not in _SCHEMAS:  # operators of `torch.library` come later
        _SCHEMAS.update((full, schema) for full, schema, *_ in _C._operators())
        _SCHEMAS.setdefault(name, "")
    return _SCHEMAS[name]


@cache
def _declared(name: str) -> tuple[bool, int]:
    """Whether an operator always writes into an argument, and which flag has it write statistics (or -1)."""
    schema = schema_of(name)
    arguments = schema[schema.index("(") + 1 : schema.rindex(") ->")].split(", ") if ") ->" in schema else []
    plain = name.rpartition("::")[2].partition(".")[0]
    writes = "!" in schema.rpartition(") ->")[0] or (plain.endswith("_") and not plain.endswith("__"))
    names = [a.partition("=")[0].rpartition(" ")[2] for a in arguments]
    flags = [names.index(n) for n in ("training", "use_input_stats") if n in names]
    return writes, flags[0] if flags and "running_mean" in names else -1


def writes(step: Iterable) -> bool:
    """Whether a step writes into a tensor that was there before: in place, ``out=``, as its operator's schema
    says, or statistics of a normalisation that is being trained.
    """
    name, arguments, given, inplace, *_ = step
    always, flag = _declared(name)
    return bool(inplace or given or always or (flag >= 0 and arguments[flag][1]))


def needed(steps: list, outputs: Iterable[int]) -> list[bool]:
    """Which steps lead to a result, write, or have none: the rule of everything that writes programs down.

    What is written may be an argument, a buffer, or a part of one, so no step that writes is left out.
    """
    wanted = set(outputs)
    found = []
    for step in reversed(steps):
        _, arguments, given, _, results, _ = step
        keep = writes(step) or not results or any(r in wanted for r in results)
        found.append(keep)
        if keep:
            for kind, value in arguments:
                wanted.update([value] if kind == "tensor" else value if kind == "tensors" else ())
            wanted.update(given)
    return found[::-1]
