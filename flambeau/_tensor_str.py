"""How tensors print: `repr`, `str` and `set_printoptions`."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from flambeau import _C
from flambeau._C import Tensor

__all__ = ["set_printoptions", "printoptions", "get_printoptions"]


@dataclass
class PrintOptions:
    """Settings of `set_printoptions`."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


PRINT_OPTS = PrintOptions()
_PROFILES = {
    "default": (4, 1000, 3, 80),
    "short": (2, 1000, 2, 80),
    "full": (4, math.inf, 3, 80),
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set how tensors print.

    Parameters
    ----------
    precision : digits after the point (default 4).
    threshold : number of elements above which the middle is left out (default 1000).
    edgeitems : elements shown at each end of a summarized dimension (default 3).
    linewidth : characters in a line (default 80).
    profile : ``"default"``, ``"short"`` or ``"full"``; other arguments win over it.
    sci_mode : scientific notation always, never, or (None) where the values ask for it.
    """
    opts = PRINT_OPTS
    if profile in _PROFILES:
        opts.precision, opts.threshold, opts.edgeitems, opts.linewidth = _PROFILES[profile]
    if precision is not None:
        opts.precision = precision
    if threshold is not None:
        opts.threshold = threshold
    if edgeitems is not None:
        opts.edgeitems = edgeitems
    if linewidth is not None:
        opts.linewidth = linewidth
    opts.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The current print settings as a dictionary."""
    return vars(PRINT_OPTS).copy()


class printoptions:
    """Context manager that changes print settings for a block; takes what `set_printoptions` takes."""

    def __init__(self, **kwargs: Any) -> None:
        self.kwargs = kwargs

    def __enter__(self) -> None:
        self.saved = get_printoptions()
        set_printoptions(**{"sci_mode": self.saved["sci_mode"], **self.kwargs})

    def __exit__(self, *exc: object) -> None:
        set_printoptions(**self.saved)


class _Column:
    """Text of one kind of number (integers, floats, one part of complex numbers), all padded alike."""

    def __init__(self, values: list, floating: bool, exponents: bool = False) -> None:
        self.floating = floating
        self.scientific = False
        self.width = 1
        if not floating:
            self.whole = True
            self.width = max((len(str(v)) for v in values), default=1)
            return
        shown = [v for v in values if v != 0 and math.isfinite(v)]
        if exponents:  # the smallest number equals 0, and NaN counts as finite
            shown = [v for v in values if v != 2.0**-127]
        strange = any(v != v for v in shown)
        self.whole = not strange and all(v == math.floor(v) for v in shown)
        if not shown:
            return
        precision = PRINT_OPTS.precision
        sizes = [abs(v) for v in shown]
        smallest, largest = min(sizes), max(sizes)
        self.scientific = PRINT_OPTS.sci_mode
        if self.scientific is None:
            self.scientific = not strange and (
                largest / smallest > 1000.0 or largest > 1.0e8 or (not self.whole and smallest < 1.0e-4)
            )
        if self.scientific:
            self.width = max(len(f"{v:.{precision}e}") for v in shown)
        elif self.whole:
            self.width = max(len(f"{v:.0f}") for v in shown) + 1
        else:
            self.width = max(len(f"{v:.{precision}f}") for v in shown)

    def text(self, v: Any) -> str:
        if not self.floating:
            s = str(v)
        elif self.scientific:
            s = f"{v:.{PRINT_OPTS.precision}e}"
        elif self.whole:
            s = f"{v:.0f}" if math.isinf(v) or math.isnan(v) else f"{v:.0f}."
        else:
            s = f"{v:.{PRINT_OPTS.precision}f}"
        return s.rjust(self.width)


class _Writer:
    """Lays out nested lists of numbers in the lines of a tensor's text."""

    def __init__(self, values: Any, shape: tuple[int, ...], kind: str, summarize: bool) -> None:
        self.shape = shape
        self.edge = PRINT_OPTS.edgeitems
        self.summarize = summarize
        flat = _flatten(values, len(shape))
        if kind == "complex":
            real = _Column([v.real for v in flat], True)
            imag = _Column([v.imag for v in flat], True)
            self.width = real.width + imag.width + 1

            def text(v: complex) -> str:
                tail = imag.text(v.imag).lstrip()
                return f"{real.text(v.real)}{'' if tail[0] in '+-' else '+'}{tail}j"

            self.text = text
        else:
            column = _Column(flat, kind != "int", kind == "exponent")
            self.width = column.width
            self.text = column.text

    def row(self, values: list, length: int, indent: int) -> str:
        per_line = max(1, math.floor((PRINT_OPTS.linewidth - indent) / (self.width + 2)))
        items = [self.text(v) for v in values]
        if self.summarize and length > 2 * self.edge:
            items = items[: self.edge] + [" ..."] + items[len(items) - self.edge :]
        lines = [", ".join(items[i : i + per_line]) for i in range(0, len(items), per_line)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"

    def write(self, values: Any, dim: int, indent: int) -> str:
        left = len(self.shape) - dim
        if left == 0:
            return self.text(values)
        if left == 1:
            return self.row(values, self.shape[dim], indent)
        parts = [self.write(v, dim + 1, indent + 1) for v in values]
        if self.summarize and self.shape[dim] > 2 * self.edge:
            parts = parts[: self.edge] + ["..."] + parts[len(parts) - self.edge :]
        return "[" + ("," + "\n" * (left - 1) + " " * (indent + 1)).join(parts) + "]"


def _flatten(values: Any, depth: int) -> list:
    if depth == 0:
        return [values]
    for _ in range(depth - 1):
        values = [v for row in values for v in row]
    return values


def _edges(t: Any) -> Any:
    """The elements of `t` that a summary shows."""
    edge = PRINT_OPTS.edgeitems
    for dim, size in enumerate(t.shape):
        if size > 2 * edge:
            t = _C.cat([t.narrow(dim, 0, edge), t.narrow(dim, size - edge, edge)], dim)
    return t


def _tensor_str(t: Any, indent: int) -> str:
    """The nested brackets with the numbers of a strided tensor."""
    if t.numel() == 0:
        return "[]"
    summarize = t.numel() > PRINT_OPTS.threshold
    shape = tuple(t.shape)
    if t.is_complex():
        kind = "complex"
        t = t.resolve_conj().resolve_neg()
    else:
        kind = "float" if t.is_floating_point() else "int"
        t = t.resolve_neg()
        if t.dtype is _C.float8_e8m0fnu:
            kind = "exponent"
        elif t.dtype is _C.float4_e2m1fn_x2 and t.dim():  # shown as the bytes that hold two of them
            t = t.view(_C.uint8)
    values = (_edges(t) if summarize else t).tolist()
    return _Writer(values, shape, kind, summarize).write(values, 0, indent)


def _add_suffixes(tensor_str: str, suffixes: list[str], indent: int, force_newline: bool) -> str:
    """Appends ``, suffix`` for each suffix, on a new line where the line would be too long, and the
    parenthesis."""
    length = len(tensor_str) - tensor_str.rfind("\n") + 1
    parts = [tensor_str]
    for suffix in suffixes:
        n = len(suffix)
        if force_newline or length + n + 2 > PRINT_OPTS.linewidth:
            parts.append(",\n" + " " * indent + suffix)
            length = indent + n
            force_newline = False
        else:
            parts.append(", " + suffix)
            length += n + 2
    parts.append(")")
    return "".join(parts)


def _member(label: str, t: Any, indent: int) -> str:
    """One ``label=tensor(...)`` inside the text of a sparse tensor."""
    start = f"{label}=tensor("
    values = t.device.type != "meta"
    text = start + (_tensor_str(t.detach(), indent + len(start)) if values else "...")
    if t.numel() == 0 or not values:
        text += f", size={tuple(t.shape)}"
    return text + ")"


_SPARSE_MEMBERS = {
    "torch.sparse_coo": (("indices", "_indices"), ("values", "_values")),
    "torch.sparse_csr": (("crow_indices",) * 2, ("col_indices",) * 2, ("values",) * 2),
    "torch.sparse_bsr": (("crow_indices",) * 2, ("col_indices",) * 2, ("values",) * 2),
    "torch.sparse_csc": (("ccol_indices",) * 2, ("row_indices",) * 2, ("values",) * 2),
    "torch.sparse_bsc": (("ccol_indices",) * 2, ("row_indices",) * 2, ("values",) * 2),
}


def _is_default_dtype(dtype: Any) -> bool:
    default = _C.get_default_dtype()
    if dtype == default or dtype == _C.int64 or dtype == _C.bool:
        return True
    return dtype == default.to_complex()


def _wrapped(t: Any) -> str | None:
    """Text of a tensor that a transform of `func` is looking at, or None."""
    describe = getattr(type(t), "_transform_repr", None)
    return describe(t) if describe is not None else None


def _tangent(t: Any) -> Any:
    from .autograd import forward_ad

    if forward_ad._current_level < 0:
        return None
    return forward_ad.unpack_dual(t).tangent


def _text(t: Any, contents: str | None) -> str:
    wrapped = _wrapped(t)
    if wrapped is not None:
        return wrapped
    plain = type(t) is Tensor or type(t).__name__ == "Parameter" or hasattr(type(t), "_prints_as_tensor")
    prefix = "tensor(" if plain else f"{type(t).__name__}("
    indent = len(prefix)
    suffixes = []
    device = t.device
    if device.type not in ("cpu", "meta"):
        suffixes.append(f"device='{device}'")
    recorded = t.requires_grad
    tangent, primal = _tangent(t), t
    if tangent is not None:
        primal, recorded = t.detach(), False
    is_default = _is_default_dtype(t.dtype)
    layout = str(t.layout)
    members = _SPARSE_MEMBERS.get(layout)
    if device.type == "meta" and members is None:
        suffixes.append("device='meta'")
        suffixes.append(f"size={tuple(t.shape)}")
        if t.dtype != _C.get_default_dtype():
            suffixes.append(f"dtype={t.dtype}")
        text = "..." if contents is None else contents
    elif members is not None:
        if device.type == "meta":
            suffixes.append("device='meta'")
        suffixes.append(f"size={tuple(t.shape)}")
        if device.type != "meta":
            suffixes.append(f"nnz={t._nnz()}")
        if not is_default:
            suffixes.append(f"dtype={t.dtype}")
        parts = [_member(label, getattr(t, name)(), indent) for label, name in members]
        text = (",\n" + " " * indent).join(parts) if contents is None else contents
        suffixes.append(f"layout={layout}")
    elif t.numel() == 0:
        if t.dim() != 1:
            suffixes.append(f"size={tuple(t.shape)}")
        if t.dtype != _C.get_default_dtype():
            suffixes.append(f"dtype={t.dtype}")
        text = "[]" if contents is None else contents
    else:
        if not PRINT_OPTS.edgeitems:
            suffixes.append(f"size={tuple(t.shape)}")
        if not is_default:
            suffixes.append(f"dtype={t.dtype}")
        text = contents
        if text is None:
            text = _tensor_str(primal.detach(), indent)
    if recorded:
        node = t.grad_fn
        if node is not None:
            suffixes.append(
                f"grad_fn=<{type(node).__name__ if type(node).__name__ != 'CppFunction' else node.name()}>"
            )
        else:
            suffixes.append("requires_grad=True")
    if tangent is not None:
        suffixes.append(f"tangent={tangent}")
    text = _add_suffixes(prefix + text, suffixes, indent, force_newline=layout == "torch.sparse_coo")
    parameter = hasattr(type(t), "_prints_as_parameter") or getattr(t, "_is_param", False)
    return f"Parameter({text})" if parameter and not plain else text


def _str(self: Any, *, tensor_contents: str | None = None) -> str:
    """The text of a tensor; `tensor_contents` stands in for the numbers."""
    from .autograd.grad_mode import no_grad

    with no_grad(), _C.DisableTorchFunctionSubclass():
        return _text(self, tensor_contents)


_str_intern = _str
