"""ONNX operators that make, move, cut, join and index tensors; control flow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F

from ._enums import DTYPES
from ._readers import reader


def numbers(x: Any) -> list[int]:
    """A list of whole numbers, given as a tensor or as an attribute."""
    return x.reshape(-1).tolist() if isinstance(x, Tensor) else list(x)


# ---------------------------------------------------------------------- making
@reader("Constant")
def _constant(value: Tensor | None = None, **other: Any) -> Tensor:
    if value is not None:
        return value
    name, content = next(iter(other.items()))
    if "string" in name or "sparse" in name:
        raise NotImplementedError(f"a constant given as {name}")
    return fb.tensor(content, dtype=fb.float32 if "float" in name else fb.int64)


@reader("ConstantOfShape")
def _constant_of_shape(shape: Tensor, value: Tensor | None = None) -> Tensor:
    value = fb.zeros(1) if value is None else value
    return fb.full(tuple(shape.tolist()), value.item(), dtype=value.dtype)


@reader("Range")
def _range(start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    return fb.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


@reader("EyeLike")
def _eye_like(x: Tensor, dtype: int | None = None, k: int = 0) -> Tensor:
    kind = x.dtype if dtype is None else DTYPES[dtype]
    rows, columns = x.shape
    return (fb.arange(columns) - fb.arange(rows)[:, None] == k).to(kind)


def _random(normal: bool, like: bool) -> Any:
    def make(
        x: Tensor | None = None, dtype: int | None = None, shape: Sequence[int] = (), high: float = 1.0,
        low: float = 0.0,
        mean: float = 0.0, scale: float = 1.0, seed: float | None = None,
    ) -> Tensor:  # fmt: skip
        sizes = list(x.shape) if like else shape
        kind = DTYPES[dtype] if dtype else x.dtype if like else fb.float32
        return (
            fb.randn(sizes, dtype=kind) * scale + mean
            if normal
            else fb.rand(sizes, dtype=kind) * (high - low) + low
        )

    return make


for _normal in (True, False):
    for _like in (True, False):
        _name = ("RandomNormal" if _normal else "RandomUniform") + ("Like" if _like else "")
        reader(_name)(_random(_normal, _like))


@reader("Bernoulli")
def _bernoulli(x: Tensor, dtype: int | None = None, seed: float | None = None) -> Tensor:
    return fb.bernoulli(x).to(DTYPES[dtype] if dtype else x.dtype)


@reader("OneHot")
def _one_hot(indices: Tensor, depth: Tensor, values: Tensor, axis: int = -1) -> Tensor:
    count = int(depth)
    off, on = values
    places = indices.long()
    places = fb.where(places < 0, places + count, places)
    made = fb.where(places[..., None] == fb.arange(count), on, off)
    return made.movedim(-1, axis)


# ---------------------------------------------------------------------- sizes
@reader("Shape")
def _shape(x: Tensor, start: int = 0, end: int | None = None) -> Tensor:
    return fb.tensor(list(x.shape)[start:end], dtype=fb.int64)


reader("Size")(lambda x: fb.tensor(x.numel()))


@reader("Reshape")
def _reshape(x: Tensor, given: Tensor | None = None, shape: Any = None, allowzero: int = 0) -> Tensor:
    sizes = numbers(shape if given is None else given)
    if not allowzero:
        sizes = [x.shape[k] if s == 0 else s for k, s in enumerate(sizes)]
    return x.reshape(sizes)


@reader("Flatten")
def _flatten(x: Tensor, axis: int = 1) -> Tensor:
    axis = axis + x.dim() if axis < 0 else axis
    first = 1
    for size in x.shape[:axis]:
        first *= size
    return x.reshape(first, -1) if x.numel() else x.reshape(first, x[(0,) * axis].numel() if first else 0)


@reader("Squeeze")
def _squeeze(x: Tensor, given: Tensor | None = None, axes: Any = None) -> Tensor:
    chosen = axes if given is None else given
    return x.squeeze() if chosen is None else x.squeeze(tuple(numbers(chosen)))


@reader("Unsqueeze")
def _unsqueeze(x: Tensor, given: Tensor | None = None, axes: Any = None) -> Tensor:
    chosen = numbers(axes if given is None else given)
    rank = x.dim() + len(chosen)
    for d in sorted(d + rank if d < 0 else d for d in chosen):
        x = x.unsqueeze(d)
    return x


@reader("Transpose")
def _transpose(x: Tensor, perm: Sequence[int] | None = None) -> Tensor:
    return x.permute(tuple(range(x.dim()))[::-1] if perm is None else tuple(perm))


@reader("Expand")
def _expand(x: Tensor, shape: Tensor) -> Tensor:
    return x.expand(fb.broadcast_shapes(tuple(x.shape), tuple(shape.tolist())))


reader("Tile")(lambda x, repeats: x.repeat(tuple(repeats.tolist())))


@reader("DepthToSpace")
def _depth_to_space(x: Tensor, blocksize: int, mode: str = "DCR") -> Tensor:
    if mode == "CRD":
        return F.pixel_shuffle(x, blocksize)
    n, c, h, w = x.shape
    made = x.reshape(n, blocksize, blocksize, c // blocksize**2, h, w).permute(0, 3, 4, 1, 5, 2)
    return made.reshape(n, c // blocksize**2, h * blocksize, w * blocksize)


@reader("SpaceToDepth")
def _space_to_depth(x: Tensor, blocksize: int, mode: str = "DCR") -> Tensor:
    n, c, h, w = x.shape
    cut = x.reshape(n, c, h // blocksize, blocksize, w // blocksize, blocksize)
    cut = cut.permute((0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4))
    return cut.reshape(n, c * blocksize**2, h // blocksize, w // blocksize)


# ---------------------------------------------------------------------- joining and cutting
reader("Concat")(lambda *inputs, axis=1: fb.cat(inputs, axis))


@reader("Split")
def _split(
    x: Tensor, given: Tensor | None = None, split: Any = None, axis: int = 0, num_outputs: int | None = None,
    count: int = 1,
) -> tuple[Tensor, ...]:  # fmt: skip
    chosen = split if given is None else given
    if chosen is not None:
        return x.split(numbers(chosen), axis)
    return x.split(-(-x.shape[axis] // (num_outputs or count)), axis)


@reader("Slice")
def _slice(
    x: Tensor, first: Any = None, last: Any = None, over: Any = None, by: Any = None, starts: Any = None,
    ends: Any = None, axes: Any = None,
) -> Tensor:  # fmt: skip
    begin, stop = numbers(starts if first is None else first), numbers(ends if last is None else last)
    dims = axes if over is None else over
    dims = list(range(len(begin))) if dims is None else numbers(dims)
    steps = [1] * len(begin) if by is None else numbers(by)
    for start, end, dim, step in zip(begin, stop, dims, steps):
        places = range(
            *slice(start, end if step > 0 or end >= -x.shape[dim] else None, step).indices(x.shape[dim])
        )
        if step > 0:
            x = x[
                (slice(None),) * (dim % x.dim())
                + (slice(places.start, max(places.stop, places.start), step),)
            ]
        else:
            x = x.index_select(dim, fb.tensor(list(places), dtype=fb.int64))
    return x


@reader("Pad")
def _pad(
    x: Tensor, given: Tensor | None = None, fill: Tensor | None = None, axes: Tensor | None = None,
    mode: str = "constant", pads: Any = None, value: float = 0.0,
) -> Tensor:  # fmt: skip
    amounts = numbers(pads if given is None else given)
    dims = [d % x.dim() for d in numbers(axes)] if axes is not None else list(range(x.dim()))
    half = len(amounts) // 2
    for k, d in enumerate(dims):
        x = _padded(x, d, amounts[k], amounts[half + k], mode, value if fill is None else fill.item())
    return x


def _padded(x: Tensor, dim: int, before: int, after: int, mode: str, value: float) -> Tensor:
    if before == after == 0:
        return x
    size = x.shape[dim]
    if mode == "constant":
        cut = x.narrow(dim, max(-before, 0), size + min(before, 0) + min(after, 0))
        parts = [cut]
        for place, amount in ((0, before), (2, after)):
            if amount > 0:
                shape = [amount if d == dim else s for d, s in enumerate(x.shape)]
                parts.insert(place, fb.full(shape, value, dtype=x.dtype))
        return fb.cat(parts, dim)
    places = fb.arange(-before, size + after)
    if mode == "edge":
        places = places.clamp(0, size - 1)
    elif mode == "wrap":
        places = places % size
    else:
        places = (places % (2 * size - 2)) if size > 1 else places * 0
        places = fb.where(places >= size, 2 * size - 2 - places, places)
    return x.index_select(dim, places)


@reader("Compress")
def _compress(x: Tensor, condition: Tensor, axis: int | None = None) -> Tensor:
    source, dim = (x.reshape(-1), 0) if axis is None else (x, axis)
    return source.index_select(dim, condition.nonzero().reshape(-1))


@reader("Trilu")
def _trilu(x: Tensor, k: Tensor | None = None, upper: int = 1) -> Tensor:
    return (fb.triu if upper else fb.tril)(x, 0 if k is None else int(k))


# ---------------------------------------------------------------------- indexing
def _front(indices: Tensor, size: int) -> Tensor:
    """Places counted from the front, whole numbers of 64 bits."""
    indices = indices.long()
    return fb.where(indices < 0, indices + size, indices)


@reader("Gather")
def _gather(x: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    axis = axis % x.dim()
    places = _front(indices, x.shape[axis])
    if places.dim() == 0:
        return x.select(axis, int(places))
    if axis == 0 and x.dim() == 2 and x.is_floating_point():
        return F.embedding(places, x)
    made = x.index_select(axis, places.reshape(-1))
    return made.reshape(*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])


@reader("GatherElements")
def _gather_elements(x: Tensor, indices: Tensor, axis: int = 0) -> Tensor:
    return x.gather(axis, _front(indices, x.shape[axis]))


def _in_turn(indices: Tensor) -> tuple[Tensor, ...]:
    return tuple(indices.unbind(-1))


@reader("GatherND")
def _gather_nd(x: Tensor, indices: Tensor, batch_dims: int = 0) -> Tensor:
    if not batch_dims:
        return x[_in_turn(indices)]
    shape = x.shape[:batch_dims]
    flat = x.reshape(-1, *x.shape[batch_dims:])
    places = indices.reshape(flat.shape[0], *indices.shape[batch_dims:])
    return fb.stack([a[_in_turn(b)] for a, b in zip(flat, places)]).reshape(
        *shape, *indices.shape[batch_dims:-1], *x.shape[batch_dims + indices.shape[-1] :]
    )


_REDUCE = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@reader("ScatterElements", "Scatter")
def _scatter_elements(
    x: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, reduction: str = "none"
) -> Tensor:
    places = _front(indices, x.shape[axis])
    if reduction == "none":
        return x.scatter(axis, places, updates)
    return x.scatter_reduce(axis, places, updates, _REDUCE[reduction])


@reader("ScatterND")
def _scatter_nd(x: Tensor, indices: Tensor, updates: Tensor, reduction: str = "none") -> Tensor:
    if reduction in ("none", "add"):
        return x.index_put(_in_turn(indices), updates, accumulate=reduction == "add")
    made = x.clone()
    inner = x.shape[indices.shape[-1] :]
    for place, update in zip(indices.reshape(-1, indices.shape[-1]).tolist(), updates.reshape(-1, *inner)):
        old = made[tuple(place)]
        made[tuple(place)] = {"mul": fb.mul, "max": fb.maximum, "min": fb.minimum}[reduction](old, update)
    return made


@reader("Col2Im")
def _col2im(
    x: Tensor, size: Tensor, block: Tensor, dilations: Any = None, pads: Any = None, strides: Any = None
) -> Tensor:
    n = size.numel()
    if n != 2 or (pads and list(pads[:n]) != list(pads[n:])):
        raise NotImplementedError("Col2Im of other than pictures, or with uneven padding")
    return F.fold(
        x, numbers(size), numbers(block), dilations or 1, list(pads[:n]) if pads else 0, strides or 1
    )


reader("NonZero")(lambda x: x.nonzero().t().contiguous())


@reader("ReverseSequence")
def _reverse_sequence(x: Tensor, lengths: Tensor, batch_axis: int = 1, time_axis: int = 0) -> Tensor:
    turned = x.movedim((batch_axis, time_axis), (0, 1))
    rows = [fb.cat([row[:n].flip(0), row[n:]]) for row, n in zip(turned, lengths.tolist())]
    return fb.stack(rows).movedim((0, 1), (batch_axis, time_axis))


@reader("Unique")
def _unique(x: Tensor, axis: int | None = None, sorted: int = 1) -> tuple[Tensor, ...]:
    found, inverse, counts = fb.unique(x, True, True, True, dim=axis)
    inverse = inverse.reshape(-1)
    order = fb.arange(inverse.numel())
    first = fb.full((counts.numel(),), inverse.numel()).scatter_reduce(0, inverse, order, "amin")
    if not sorted:
        turn = first.argsort()
        back = turn.argsort()
        found = found.index_select(axis or 0, turn)
        return found, first[turn], back[inverse], counts[turn]
    return found, first, inverse, counts


# ---------------------------------------------------------------------- control flow
@reader("If")
def _if(condition: Tensor, then_branch: Any, else_branch: Any, outer: dict[str, Tensor]) -> list[Tensor]:
    return (then_branch if bool(condition) else else_branch).call((), outer)


@reader("Loop")
def _loop(
    most: Tensor | None, condition: Tensor | None, *state: Tensor, body: Any, outer: dict[str, Tensor]
) -> Any:
    going = True if condition is None else bool(condition)
    values = list(state)
    found: list[list[Tensor]] = [[] for _ in range(len(body.outputs) - 1 - len(state))]
    turn = 0
    while going and (most is None or turn < int(most)):
        again, *made = body.call([fb.tensor(turn), fb.tensor(True), *values], outer)
        going = bool(again)
        values = made[: len(state)]
        for kept, value in zip(found, made[len(state) :]):
            kept.append(value)
        turn += 1
    return [*values, *(fb.stack(kept) if kept else fb.empty(0) for kept in found)]


@reader("Scan")
def _scan(
    *given: Tensor, body: Any, num_scan_inputs: int, outer: dict[str, Tensor], scan_input_axes: Any = (),
    scan_output_axes: Any = (), scan_input_directions: Any = (), scan_output_directions: Any = (),
) -> list[Tensor]:  # fmt: skip
    if any((*scan_input_axes, *scan_output_axes, *scan_input_directions, *scan_output_directions)):
        raise NotImplementedError("Scan along other axes or backwards")
    split = len(given) - num_scan_inputs
    values, rows = list(given[:split]), given[split:]
    found: list[list[Tensor]] = [[] for _ in range(len(body.outputs) - split)]
    for row in zip(*rows):
        made = body.call([*values, *row], outer)
        values = made[:split]
        for kept, value in zip(found, made[split:]):
            kept.append(value)
    return [*values, *(fb.stack(kept) for kept in found)]
