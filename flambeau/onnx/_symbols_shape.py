"""ONNX nodes of operators that move, cut, join, index and make tensors."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ._table import Dyn, OnnxGraph, Val, axis_of, same_size, static, symbol
from ._views import undo


@symbol("view", "reshape", "view_as", "reshape_as", "_unsafe_view")
def _view(g: OnnxGraph, x: Val, shape: Any) -> str:
    if isinstance(shape, Val):
        return g.op("Reshape", x, g.op("Shape", shape))
    if isinstance(shape, fb.dtype):
        raise NotImplementedError("views of another dtype")
    return g.op("Reshape", x, g.ints(shape))


@symbol("flatten")
def _flatten(g: OnnxGraph, x: Val, start: int = 0, end: int = -1, *rest: Any) -> str:
    start, end = axis_of(start, x.rank), axis_of(end, x.rank)
    if x.rank == 0:
        return g.op("Reshape", x, [1])
    if end == x.rank - 1:
        return g.op("Reshape", x, [0] * start + [-1])
    back = g.op("Shape", x, start=end + 1)
    return g.op("Reshape", x, g.op("Concat", g.constant([0] * start + [-1]), back, axis=0))


@symbol("unflatten")
def _unflatten(g: OnnxGraph, x: Val, dim: int, sizes: list[int], *rest: Any) -> str:
    dim = axis_of(dim, x.rank)
    parts = [g.constant([0] * dim)] if dim else []
    parts.append(g.ints(sizes))
    parts += [g.op("Shape", x, start=dim + 1)] if dim + 1 < x.rank else []
    return g.op("Reshape", x, g.op("Concat", *parts, axis=0) if len(parts) > 1 else parts[0])


@symbol("transpose", "swapaxes", "swapdims")
def _transpose(g: OnnxGraph, x: Val, a: int, b: int) -> str:
    order = list(range(x.rank))
    a, b = axis_of(a, x.rank), axis_of(b, x.rank)
    if x.rank:
        order[a], order[b] = order[b], order[a]
    return g.op("Transpose", x, perm=order)


symbol("t")(lambda g, x: g.op("Transpose", x, perm=list(range(x.rank))[::-1]))
symbol("permute")(lambda g, x, dims: g.op("Transpose", x, perm=[axis_of(d, x.rank) for d in dims]))
symbol("unsqueeze")(lambda g, x, dim: g.op("Unsqueeze", x, [axis_of(dim, x.rank + 1)]))


@symbol("squeeze")
def _squeeze(g: OnnxGraph, x: Val, dim: Any = None) -> str:
    dims = list(range(x.rank)) if dim is None else [dim] if isinstance(dim, int) else dim
    dims = [d for d in (axis_of(d, x.rank) for d in dims) if same_size(x.shape[d], 1)]
    return g.op("Squeeze", x, dims) if dims else g.op("Identity", x)


@symbol("expand", "expand_as", "broadcast_to")
def _expand(g: OnnxGraph, x: Val, sizes: Any, *rest: Any) -> str:
    if isinstance(sizes, Val):
        return g.op("Expand", x, g.op("Shape", sizes))
    return g.op("Expand", x, g.ints([s if isinstance(s, Dyn) or s != -1 else 1 for s in sizes]))


@symbol("repeat", "tile")
def _repeat(g: OnnxGraph, x: Val, times: list[int]) -> str:
    more = len(times) - x.rank
    source = g.op("Unsqueeze", x, list(range(more))) if more > 0 else x
    return g.op("Tile", source, g.ints([1] * -more + list(times)))


@symbol("cat", "concat")
def _cat(g: OnnxGraph, tensors: list[Val], dim: int = 0) -> str:
    tensors = [t for t in tensors if t.shape != (0,)]
    return g.op("Concat", *(g.cast(t, g.result[0].dtype) for t in tensors), axis=dim)


@symbol("stack")
def _stack(g: OnnxGraph, tensors: list[Val], dim: int = 0) -> str:
    dim = axis_of(dim, tensors[0].rank + 1)
    return g.op("Concat", *(g.op("Unsqueeze", t, [dim]) for t in tensors), axis=dim)


def _pieces(g: OnnxGraph, x: Val, dim: int, lengths: list[int]) -> list[str]:
    found = g.op("Split", x, g.ints(lengths), outputs=len(lengths), axis=axis_of(dim, x.rank))
    return found if isinstance(found, list) else [found]


@symbol("split", "split_with_sizes")
def _split(g: OnnxGraph, x: Val, size: Any, dim: int = 0) -> list[str]:
    if isinstance(size, list):
        return _pieces(g, x, dim, size)
    whole = x.shape[axis_of(dim, x.rank)]
    front = [size] * (len(g.result) - 1)
    last: Any = whole
    for length in front:
        last = _sum(last, _negative(length))
    return _pieces(g, x, dim, [*front, last])


@symbol("chunk")
def _chunk(g: OnnxGraph, x: Val, count: int, dim: int = 0) -> list[str]:
    whole = x.shape[axis_of(dim, x.rank)]
    if len(g.result) == 1:
        return [g.op("Identity", x)]
    size = whole.plus(count - 1).over(count) if isinstance(whole, Dyn) else -(-whole // count)
    return _split(g, x, size, dim)


def _negative(a: int) -> int:
    return a.times(-1) if isinstance(a, Dyn) else -a


@symbol("unbind")
def _unbind(g: OnnxGraph, x: Val, dim: int = 0) -> list[str]:
    return [g.op("Squeeze", p, [axis_of(dim, x.rank)]) for p in _pieces(g, x, dim, [1] * len(g.result))]


@symbol("select")
def _select(g: OnnxGraph, x: Val, dim: int, index: int) -> str:
    return g.op("Gather", x, g.number(index), axis=axis_of(dim, x.rank))


@symbol("slice")
def _slice(g: OnnxGraph, x: Val, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> str:
    size = x.shape[axis_of(dim, x.rank)]
    if end is None or same_size(end, size):
        if isinstance(end, Dyn):
            end.used = True
        end = 2**63 - 1
    if same_size(start or 0, 0) and end == 2**63 - 1 and step == 1:
        return g.op("Identity", x)
    start = 0 if start is None else start
    return g.op("Slice", x, g.ints([start]), g.ints([end]), [axis_of(dim, x.rank)], [step])


symbol("narrow")(lambda g, x, dim, start, length: _slice(g, x, dim, start, _sum(start, length)))


def _sum(a: int, b: int) -> int:
    if isinstance(a, Dyn):
        return a.plus(b)
    return b.plus(a) if isinstance(b, Dyn) else a + b


symbol("index_select")(lambda g, x, dim, index: g.op("Gather", x, index, axis=axis_of(dim, x.rank)))
symbol("gather")(lambda g, x, dim, index, *rest: g.op("GatherElements", x, index, axis=axis_of(dim, x.rank)))


def _scattered(reduction: str | None = None) -> Any:
    def write(g: OnnxGraph, x: Val, dim: int, index: Val, source: Any, *rest: Any) -> str:
        kind = reduction or (_REDUCTIONS[rest[0]] if rest and isinstance(rest[0], str) else "none")
        if len(rest) > 1 and rest[1] is False:
            raise NotImplementedError("scatter_reduce without the values that were there")
        if isinstance(source, Val):  # values beyond the index are not read
            if source.shape != index.shape:
                ends = g.op("Shape", index)
                source = g.op("Slice", source, [0] * source.rank, ends)
        else:
            source = g.op("Expand", g.cast(source, x.dtype), g.op("Shape", index))
        if x.rank == 0:
            raise NotImplementedError("scatter on a tensor without dimensions")
        return g.op("ScatterElements", x, index, source, axis=axis_of(dim, x.rank), reduction=kind)

    return write


_REDUCTIONS = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "add": "add", "multiply": "mul"}
symbol("scatter", "scatter_reduce")(_scattered())
symbol("scatter_add")(_scattered("add"))


def _along(g: OnnxGraph, x: Val, dim: int, index: Val, source: Val | str, reduction: str = "none") -> str:
    """Put slices of ``source`` at the places ``index`` of a dimension."""
    dim = axis_of(dim, x.rank)
    places = g.op("Reshape", index, [-1] + [1] * (x.rank - 1 - dim))
    places = g.op("Expand", places, g.op("Shape", source))
    return g.op("ScatterElements", x, places, source, axis=dim, reduction=reduction)


symbol("index_copy")(lambda g, x, dim, index, source: _along(g, x, dim, index, source))


@symbol("index_add")
def _index_add(g: OnnxGraph, x: Val, dim: int, index: Val, source: Val, alpha: float = 1) -> str:
    part = source if alpha == 1 else g.op("Mul", source, g.constant(alpha, x.dtype))
    return _along(g, x, dim, index, part, "add")


@symbol("index_fill")
def _index_fill(g: OnnxGraph, x: Val, dim: int, index: Val, value: Any) -> str:
    dim = axis_of(dim, x.rank)
    shape = [g.op("Shape", x, start=0, end=dim)] if dim else []
    shape += [g.op("Shape", g.op("Reshape", index, [-1]))]
    shape += [g.op("Shape", x, start=dim + 1)] if dim + 1 < x.rank else []
    sizes = g.op("Concat", *shape, axis=0)
    return _along(g, x, dim, index, g.op("Expand", g.cast(value, x.dtype), sizes))


def _aligned(g: OnnxGraph, given: list[tuple[int, Val]]) -> tuple[str, int]:
    """Index tensors of one shape as one tensor whose last dimension has a place for each; and their rank."""
    rank = max(i.rank for _, i in given)
    names = [g.cast(i, fb.int64) for _, i in given]
    shape: Any = None
    for name in names:
        zero = g.op("Mul", name, g.constant(0))
        shape = zero if shape is None else g.op("Add", shape, zero)
    if len(names) > 1:
        names = [g.op("Add", n, shape) for n in names]
    return g.op("Concat", *(g.op("Unsqueeze", n, [rank]) for n in names), axis=rank), rank


def _mask(g: OnnxGraph, given: list[tuple[int, Val]]) -> str | None:
    """The places where a mask is true; None if the index has no mask."""
    if all(i.dtype not in (fb.bool, fb.uint8) for _, i in given):
        return None
    if len(given) > 1 or given[0][0] != 0:
        raise NotImplementedError("indexing with a mask beside other indices")
    return g.op("Transpose", g.op("NonZero", g.cast(given[0][1], fb.bool)), perm=[1, 0])


@symbol("index_put")
def _index_put(g: OnnxGraph, x: Val, indices: list[Val | None], values: Val, add: bool = False) -> str:
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    value = g.cast(values, x.dtype)
    places = _mask(g, given)
    if places is not None and values.rank == 0 and not add:
        mask = g.cast(given[0][1], fb.bool)
        more = x.rank - given[0][1].rank
        mask = g.op("Unsqueeze", mask, list(range(x.rank - more, x.rank))) if more else mask
        return g.op("Where", mask, value, x)
    front = [d for d, _ in given]
    rest = [d for d in range(x.rank) if d not in front]
    if places is not None:
        rest = list(range(given[0][1].rank, x.rank))
        front = list(range(given[0][1].rank))
        rank = 1
    else:
        places, rank = _aligned(g, given)
    first = front[0]
    beside = front == list(range(first, first + len(front)))
    turned = front + rest
    source = x.name if turned == sorted(turned) else g.op("Transpose", x, perm=turned)
    sizes = g.op("Shape", places, start=0, end=rank)
    if rest:
        sizes = g.op("Concat", sizes, g.op("Shape", source, start=len(front)), axis=0)
    if beside and first:  # the values have the indexed dimensions where the first index stands
        full = values.rank - rank - len(rest)
        if full != 0 and values.rank > len(rest) - first:
            raise NotImplementedError("assigning values that are repeated to indices behind other dimensions")
        if full == 0:
            order = [*range(first, first + rank), *range(first), *range(first + rank, values.rank)]
            value = g.op("Transpose", value, perm=order)
    value = g.op("Expand", value, sizes)
    out = g.op("ScatterND", source, places, value, reduction="add" if add else "none")
    if turned == sorted(turned):
        return out
    return g.op("Transpose", out, perm=[turned.index(d) for d in range(x.rank)])


@symbol("index")
def _index(g: OnnxGraph, x: Val, indices: list[Val | None]) -> str:
    given = [(d, i) for d, i in enumerate(indices) if i is not None]
    places = _mask(g, given)
    if places is not None:
        return g.op("GatherND", x, places)
    if len(given) == 1:
        return g.op("Gather", x, given[0][1], axis=given[0][0])
    first = given[0][0]
    front = [d for d, _ in given]
    joined, rank = _aligned(g, given)
    rest = [d for d in range(x.rank) if d not in front]
    turned = front + rest
    source = x.name if turned == sorted(turned) else g.op("Transpose", x, perm=turned)
    out = g.op("GatherND", source, joined)
    if first == 0 or front != list(range(first, first + len(front))):
        return out  # the indexed dimensions come first
    size = rank + len(rest)
    order = [rank + k for k in range(first)] + list(range(rank)) + list(range(rank + first, size))
    return g.op("Transpose", out, perm=order)


@symbol("roll")
def _roll(g: OnnxGraph, x: Val, shifts: Any, dims: Any = ()) -> str:
    out: Any = x
    shifts = shifts if isinstance(shifts, list) else [shifts]
    dims = dims if isinstance(dims, list) else [dims]
    if not dims:
        raise NotImplementedError("roll without dimensions")
    for shift, dim in zip(shifts, dims):
        front = g.op("Slice", out, [-shift], [2**63 - 1], [axis_of(dim, x.rank)])
        back = g.op("Slice", out, [0], [-shift], [axis_of(dim, x.rank)])
        out = g.op("Concat", front, back, axis=axis_of(dim, x.rank))
    return out


@symbol("flip")
def _flip(g: OnnxGraph, x: Val, dims: list[int]) -> str:
    count = len(dims)
    return g.op(
        "Slice", x, [-1] * count, [-(2**63)] * count, [axis_of(d, x.rank) for d in dims], [-1] * count
    )


def _triangle(upper: int) -> Any:
    def write(g: OnnxGraph, x: Val, diagonal: int = 0) -> str:
        source = g.cast(x, fb.int64) if x.dtype == fb.bool else x
        out = g.op("Trilu", source, g.constant(diagonal), upper=upper)
        return g.op("Cast", out, to=9) if x.dtype == fb.bool else out

    return write


symbol("tril")(_triangle(0))
symbol("triu")(_triangle(1))


@symbol("to", "type_as", "float", "long", "int", "half", "bool", "double", "_to_copy")
def _to(g: OnnxGraph, x: Val, *rest: Any) -> str:
    return g.op("Identity", x) if g.result[0].dtype == x.dtype else g.cast(x, g.result[0].dtype)


@symbol("nn::pad", "constant_pad_nd")
def _pad(g: OnnxGraph, x: Val, pad: list[int], mode: Any = "constant", value: Any = None) -> str:
    if not isinstance(mode, str):
        mode, value = "constant", mode
    modes = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
    starts, ends = [0] * x.rank, [0] * x.rank
    for k in range(len(pad) // 2):
        starts[x.rank - 1 - k], ends[x.rank - 1 - k] = pad[2 * k], pad[2 * k + 1]
    fill = g.constant(value or 0, x.dtype) if mode == "constant" else None
    return g.op("Pad", x, g.ints(starts + ends), fill, mode=modes[mode])


for _n in (1, 2, 3):
    symbol(f"nn::reflection_pad{_n}d")(lambda g, x, pad: _pad(g, x, pad, "reflect"))
    symbol(f"nn::replication_pad{_n}d")(lambda g, x, pad: _pad(g, x, pad, "replicate"))


# ---------------------------------------------------------------------- new tensors
def _filled(g: OnnxGraph, shape: str, value: Any) -> str:
    dtype = g.result[0].dtype
    if isinstance(value, (Val, Dyn)):
        return g.op("Expand", g.cast(value, dtype), shape)
    made = g.tensor("value", fb.full((1,), value, dtype=dtype))
    return g.op("ConstantOfShape", shape, value=made)


symbol("zeros", "empty")(lambda g, size, *rest: _filled(g, g.ints(size), 0))
symbol("ones")(lambda g, size, *rest: _filled(g, g.ints(size), 1))
symbol("full")(lambda g, size, value, *rest: _filled(g, g.ints(size), value))
symbol("new_zeros", "new_empty")(lambda g, x, size, *rest: _filled(g, g.ints(size), 0))
symbol("new_ones")(lambda g, x, size, *rest: _filled(g, g.ints(size), 1))
symbol("new_full")(lambda g, x, size, value, *rest: _filled(g, g.ints(size), value))
symbol("zeros_like", "empty_like")(lambda g, x, *rest: _filled(g, g.op("Shape", x), 0))
symbol("ones_like")(lambda g, x, *rest: _filled(g, g.op("Shape", x), 1))
symbol("full_like")(lambda g, x, value, *rest: _filled(g, g.op("Shape", x), value))
symbol("scalar_tensor")(lambda g, value, *rest: g.cast(value, g.result[0].dtype))
symbol("fill_", "fill", "zero_")(lambda g, x, value=0: _filled(g, g.op("Shape", x), value))
symbol("copy_")(lambda g, x, source, *rest: g.op("Expand", g.cast(source, x.dtype), g.op("Shape", x)))
symbol("take")(lambda g, x, index: g.op("Gather", g.op("Reshape", x, [-1]), index, axis=0))
symbol("masked_select")(lambda g, x, mask: g.op("Compress", *_flat_pair(g, x, mask)))
symbol("ravel")(lambda g, x: g.op("Reshape", x, [-1]))
symbol("narrow.Tensor")(lambda g, x, dim, start, length: _narrow_at(g, x, dim, start, length))


def _flat_pair(g: OnnxGraph, x: Val, mask: Val) -> list[str]:
    both = [g.op("Expand", x, g.op("Shape", mask)), g.op("Expand", mask, g.op("Shape", x))]
    return [g.op("Reshape", v, [-1]) for v in both]


def _narrow_at(g: OnnxGraph, x: Val, dim: int, start: Val, length: int) -> str:
    begin = g.op("Reshape", g.cast(start, fb.int64), [1])
    return g.op("Slice", x, begin, g.op("Add", begin, g.ints([length])), [axis_of(dim, x.rank)])


@symbol("movedim")
def _movedim(g: OnnxGraph, x: Val, source: Any, target: Any) -> str:
    sources = [axis_of(d, x.rank) for d in (source if isinstance(source, list) else [source])]
    targets = [axis_of(d, x.rank) for d in (target if isinstance(target, list) else [target])]
    rest = iter(d for d in range(x.rank) if d not in sources)
    order = [sources[targets.index(d)] if d in targets else next(rest) for d in range(x.rank)]
    return g.op("Transpose", x, perm=order)


@symbol("unfold")
def _unfold(g: OnnxGraph, x: Val, dim: int, size: int, step: int) -> str:
    dim = axis_of(dim, x.rank)
    count = (static(x, dim, "unfold") - size) // step + 1
    places = g.constant([[start * step + k for k in range(size)] for start in range(count)])
    out = g.op("Gather", x, places, axis=dim)
    order = [d for d in range(x.rank + 1) if d != dim + 1] + [dim + 1]
    return g.op("Transpose", out, perm=order)


@symbol("diagonal")
def _diagonal(g: OnnxGraph, x: Val, offset: int = 0, a: int = 0, b: int = 1) -> str:
    a, b = axis_of(a, x.rank), axis_of(b, x.rank)
    rows, columns = static(x, a, "diagonal"), static(x, b, "diagonal")
    places = [[k, k + offset] for k in range(rows) if 0 <= k + offset < columns]
    if not places:
        raise NotImplementedError("a diagonal without elements")
    rest = [d for d in range(x.rank) if d not in (a, b)]
    turned = g.op("Transpose", x, perm=[a, b, *rest])
    return g.op("Transpose", g.op("GatherND", turned, g.constant(places)), perm=[*range(1, len(rest) + 1), 0])


@symbol("linspace")
def _linspace(g: OnnxGraph, start: Any, end: Any, steps: int, *rest: Any) -> str:
    dtype = g.result[0].dtype
    if isinstance(steps, Dyn) or not dtype.is_floating_point:
        raise NotImplementedError("linspace whose number of steps follows the inputs")
    return g.constant(fb.linspace(start, end, steps, dtype=dtype))


@symbol("eye")
def _eye(g: OnnxGraph, rows: int, columns: int | None = None, *rest: Any) -> str:
    zeros = _filled(g, g.ints([rows, rows if columns is None else columns]), 0)
    return g.op("EyeLike", zeros)


@symbol("arange")
def _arange(g: OnnxGraph, *args: Any) -> str:
    numbers = []
    for a in args:
        if not isinstance(a, (int, float)) or isinstance(a, bool):
            break
        numbers.append(a)
    start, end, step = (0, numbers[0], 1) if len(numbers) == 1 else (*numbers, 1)[:3]
    dtype = g.result[0].dtype
    return g.op("Range", g.cast(start, dtype), g.cast(end, dtype), g.cast(step, dtype))


@symbol("topk")
def _topk(
    g: OnnxGraph, x: Val, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
) -> list[str]:
    return g.op("TopK", x, g.ints([k]), outputs=2, axis=dim, largest=int(largest), sorted=int(sorted))


def _sorted(g: OnnxGraph, x: Val, dim: int = -1, descending: bool = False) -> list[str]:
    if x.rank == 0:
        raise NotImplementedError("sorting a tensor without dimensions")
    dim = axis_of(dim, x.rank)
    size = g.op("Shape", x, start=dim, end=dim + 1)
    return g.op("TopK", x, size, outputs=2, axis=dim, largest=int(descending), sorted=1)


symbol("sort")(_sorted)
symbol("sort.stable")(lambda g, x, stable, dim=-1, descending=False: _sorted(g, x, dim, descending))
symbol("argsort")(lambda g, x, dim=-1, descending=False: _sorted(g, x, dim, descending)[1])
symbol("argsort.stable")(lambda g, x, stable, dim=-1, descending=False: _sorted(g, x, dim, descending)[1])


@symbol("kthvalue")
def _kthvalue(g: OnnxGraph, x: Val, k: int, dim: int = -1, keepdim: bool = False) -> list[str]:
    both = g.op("TopK", x, [k], outputs=2, axis=dim, largest=0, sorted=1)
    last = [g.op("Slice", v, [k - 1], [k], [axis_of(dim, x.rank)]) for v in both]
    return last if keepdim else [g.op("Squeeze", v, [axis_of(dim, x.rank)]) for v in last]


symbol("msort")(lambda g, x: _sorted(g, x, 0)[0])


@symbol("searchsorted")
def _searchsorted(
    g: OnnxGraph, borders: Val, x: Any, narrow: bool = False, right: bool = False, side: str | None = None,
    sorter: Val | None = None,
) -> str:  # fmt: skip
    if borders.rank != 1 or sorter is not None or not isinstance(x, Val):
        raise NotImplementedError("searchsorted in more than one dimension, of a number or with a sorter")
    kind = "GreaterOrEqual" if right or side == "right" else "Greater"
    below = g.op(kind, g.op("Unsqueeze", x, [x.rank]), g.cast(borders, x.dtype))
    count = g.op("ReduceSum", g.op("Cast", below, to=7), [x.rank], keepdims=0)
    return g.cast(count, g.result[0].dtype, fb.int64)


symbol("bucketize")(
    lambda g, x, borders, narrow=False, right=False: _searchsorted(g, borders, x, narrow, right)
)


@symbol("isin")
def _isin(g: OnnxGraph, x: Val, among: Val, unique: bool = False, invert: bool = False) -> str:
    same = g.op("Equal", g.op("Unsqueeze", x, [x.rank]), g.op("Reshape", g.cast(among, x.dtype), [-1]))
    found = g.op("ReduceMax", g.op("Cast", same, to=6), [x.rank], keepdims=0)
    out = g.op("Cast", found, to=9)
    return g.op("Not", out) if invert else out


@symbol("select_scatter")
def _select_scatter(g: OnnxGraph, x: Val, part: Val, dim: int, index: int) -> str:
    return undo(g, "select", 0, x, part, [x, dim, index])


@symbol("slice_scatter")
def _slice_scatter(g: OnnxGraph, x: Val, part: Val, *where: Any) -> str:
    return undo(g, "slice", 0, x, part, [x, *where])


@symbol("nonzero")
def _nonzero(g: OnnxGraph, x: Val) -> str:
    return g.op("Transpose", g.op("NonZero", x), perm=[1, 0])


@symbol("nn::one_hot")
def _one_hot(g: OnnxGraph, x: Val, count: int = -1) -> str:
    if count == -1:
        raise NotImplementedError("one_hot without num_classes")
    return g.op("OneHot", x, g.number(count), g.constant([0, 1]), axis=-1)
