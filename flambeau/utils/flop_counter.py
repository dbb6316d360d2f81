"""How many floating point operations a program's matrix products and convolutions take."""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Callable
from math import prod
from typing import Any

import flambeau as fb

from .._ops import OpOverload, OpOverloadPacket
from ._python_dispatch import TorchDispatchMode
from ._pytree import tree_map
from .module_tracker import ModuleTracker

__all__ = ["FlopCounterMode", "register_flop_formula"]

aten = fb.ops.aten

#: operator -> formula
flop_registry: dict[Any, Callable] = {}


def get_shape(i: Any) -> Any:
    """The shape of a tensor; anything else as it is."""
    return i.shape if isinstance(i, fb.Tensor) else i


def shape_wrapper(f: Callable) -> Callable:
    """A formula of shapes as one of tensors."""

    @functools.wraps(f)
    def of_tensors(*args: Any, out_val: Any = None, **kwargs: Any) -> int:
        args, kwargs, out_shape = tree_map(get_shape, (args, kwargs, out_val))
        return f(*args, out_shape=out_shape, **kwargs)

    return of_tensors


def register_flop_formula(targets: Any, get_raw: bool = False) -> Callable[[Callable], Callable]:
    """Decorator that registers how many operations an operator takes.

    Parameters
    ----------
    targets : an operator such as ``torch.ops.aten.mm``, or several.
    get_raw : the formula takes tensors, and the result as ``out_val``; else shapes, and ``out_shape``.
    """

    def register(formula: Callable) -> Callable:
        wrapped = formula if get_raw else shape_wrapper(formula)
        for target in targets if isinstance(targets, (list, tuple)) else [targets]:
            if not isinstance(target, OpOverloadPacket):
                raise ValueError(
                    f"register_flop_formula(targets): expected each target to be OpOverloadPacket (i.e."
                    f" torch.ops.mylib.foo), got {target} which is of type {type(target)}"
                )
            if target in flop_registry:
                raise RuntimeError(f"duplicate registrations for {target}")
            flop_registry[target] = wrapped
        return formula

    return register


@register_flop_formula(aten.mm)
def mm_flop(a_shape: Any, b_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of a product of two matrices."""
    (m, k), (k2, n) = a_shape, b_shape
    if k != k2:
        raise AssertionError(f"matmul: inner dimensions must match (k == k2), got {k} and {k2}")
    return m * n * 2 * k


@register_flop_formula(aten.addmm)
def addmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of a product with something added, which is not counted."""
    return mm_flop(a_shape, b_shape)


@register_flop_formula(aten.bmm)
def bmm_flop(a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of a batch of products."""
    (b, m, k), (b2, k2, n) = a_shape, b_shape
    if b != b2 or k != k2:
        raise AssertionError(f"bmm: shapes {list(a_shape)} and {list(b_shape)} do not match")
    return b * m * n * 2 * k


@register_flop_formula(aten.baddbmm)
def baddbmm_flop(self_shape: Any, a_shape: Any, b_shape: Any, out_shape: Any = None, **kwargs: Any) -> int:
    """Of a batch of products with something added."""
    return bmm_flop(a_shape, b_shape)


def conv_flop_count(x_shape: Any, w_shape: Any, out_shape: Any, transposed: bool = False) -> int:
    """Of a convolution without its bias: each place of the result (transposed: the input) meets it."""
    places = (x_shape if transposed else out_shape)[2:]
    c_out, c_in, *kernel = w_shape
    return prod(places) * prod(kernel) * x_shape[0] * c_out * c_in * 2


@register_flop_formula(aten.convolution)
def conv_flop(
    x_shape: Any,
    w_shape: Any,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    *args: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Of a convolution."""
    return conv_flop_count(x_shape, w_shape, out_shape, transposed=transposed)


@register_flop_formula(aten.convolution_backward)
def conv_backward_flop(
    grad_out_shape: Any,
    x_shape: Any,
    w_shape: Any,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: Any,
    output_mask: Any,
    out_shape: Any = None,
    **kwargs: Any,
) -> int:
    """Of the gradients of a convolution: each that is asked for is a convolution itself."""

    def turned(shape: Any) -> list:
        return [shape[1], shape[0], *shape[2:]]

    count = 0
    if output_mask[0]:
        count += conv_flop_count(grad_out_shape, w_shape, x_shape, not transposed)
    if output_mask[1]:
        if transposed:
            count += conv_flop_count(
                turned(grad_out_shape), turned(x_shape), turned(w_shape), transposed=False
            )
        else:
            count += conv_flop_count(
                turned(x_shape), turned(grad_out_shape), turned(w_shape), transposed=False
            )
    return count


def sdpa_flop_count(query_shape: Any, key_shape: Any, value_shape: Any) -> int:
    """Of attention: the scores, and their product with the values."""
    b, h, s_q, d_q = query_shape
    _, _, s_k, _ = key_shape
    d_v = value_shape[-1]
    return bmm_flop((b * h, s_q, d_q), (b * h, d_q, s_k)) + bmm_flop((b * h, s_q, s_k), (b * h, s_k, d_v))


def sdpa_flop(
    query_shape: Any, key_shape: Any, value_shape: Any, *args: Any, out_shape: Any = None, **kwargs: Any
) -> int:
    """Of attention."""
    return sdpa_flop_count(query_shape, key_shape, value_shape)


suffixes = ["", "K", "M", "B", "T"]


def get_suffix_str(number: int) -> str:
    """The letter under which a number has at least one digit more than it must: thousands, millions, …"""
    return suffixes[max(0, min(len(suffixes) - 1, (len(str(number)) - 2) // 3))]


def convert_num_with_suffix(number: int, suffix: str) -> str:
    """A number in thousands, millions, …"""
    return f"{number / 1000 ** suffixes.index(suffix):.3f}{suffix}"


def convert_to_percent_str(num: float, denom: float) -> str:
    """A share in per cent."""
    return "0%" if denom == 0 else f"{num / denom:.2%}"


class FlopCounterMode:
    """Context that counts the floating point operations inside, by module and operator.

    Parameters
    ----------
    mods : ignored: modules are found as they run.
    depth : of modules that the table shows.
    display : print the table at the end.
    custom_mapping : operator -> formula, besides those of `register_flop_formula`; see there.

    Examples
    --------
    >>> with FlopCounterMode(display=False) as counter:
    ...     model(x).sum().backward()
    >>> counter.get_total_flops()
    """

    def __init__(
        self,
        mods: Any = None,
        depth: int = 2,
        display: bool = True,
        custom_mapping: dict[Any, Any] | None = None,
    ) -> None:
        self.flop_counts: dict[str, dict[Any, int]] = defaultdict(lambda: defaultdict(int))
        self.depth, self.display = depth, display
        self.mode: _FlopCounterMode | None = None
        own = {
            k: v if getattr(v, "_get_raw", False) else shape_wrapper(v)
            for k, v in (custom_mapping or {}).items()
        }
        self.flop_registry = {**flop_registry, **own}
        self.mod_tracker = ModuleTracker()

    def get_total_flops(self) -> int:
        """All of them."""
        return sum(self.flop_counts["Global"].values())

    def get_flop_counts(self) -> dict[str, dict[Any, int]]:
        """Module -> operator -> number."""
        return {name: dict(counts) for name, counts in self.flop_counts.items()}

    def get_table(self, depth: int | None = None) -> str:
        """The counts as a table."""
        depth = self.depth if depth is None else depth
        if depth is None:
            depth = 999999
        whole = self.get_total_flops()
        suffix = get_suffix_str(whole)
        globally_seen = False

        def rows_of(name: str) -> list[tuple[str, str, str]]:
            nonlocal globally_seen
            counts = self.flop_counts[name]
            total = sum(counts.values())
            globally_seen |= total >= whole
            return [
                (shown, convert_num_with_suffix(n, suffix), convert_to_percent_str(n, whole))
                for shown, n in [(name, total), *((f"- {op}", n) for op, n in counts.items())]
            ]

        rows: list[tuple] = []
        for name in sorted(self.flop_counts):
            if name != "Global" and name.count(".") + 1 <= depth:
                rows += rows_of(name)
        if "Global" in self.flop_counts and not globally_seen:
            rows = rows_of("Global") + rows
        if not rows:
            rows = [("Global", "0", "0%")]
        return _table(("Module", "FLOP", "% Total"), rows)

    def __enter__(self) -> FlopCounterMode:
        self.flop_counts.clear()
        self.mod_tracker.__enter__()
        self.mode = _FlopCounterMode(self)
        self.mode.__enter__()
        return self

    def __exit__(self, *args: Any) -> None:
        self.mode.__exit__(*args)
        self.mode = None
        self.mod_tracker.__exit__()
        if self.display:
            print(self.get_table(self.depth))

    def _count_flops(self, packet: Any, out: Any, args: tuple, kwargs: dict) -> Any:
        formula = self.flop_registry.get(packet)
        if formula is not None:
            count = formula(*args, **kwargs, out_val=out)
            for module in set(self.mod_tracker.parents):
                self.flop_counts[module][packet] += count
        return out


class _FlopCounterMode(TorchDispatchMode):
    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()
        self.counter = counter

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func._overloadpacket not in self.counter.flop_registry:
            parts = func.decompose(*args, **kwargs)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **kwargs)
        return self.counter._count_flops(func._overloadpacket, out, args, kwargs)


def _table(head: tuple, rows: list[tuple]) -> str:
    """Names flush left, numbers flush right, a rule under the head."""
    least = [len(h) + 2 for h in head]  # a column is a little wider than its head
    widths = [max(w, *(len(r[i]) for r in rows)) for i, w in enumerate(least)]
    widths[0] = max(len(head[0]) + 2, *(len(r[0]) for r in rows))

    def line(cells: tuple) -> str:
        shown = [cells[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(cells[1:], widths[1:])]
        return "  ".join(shown).rstrip()

    return "\n".join([line(head), "  ".join("-" * w for w in widths), *map(line, rows)])
