"""ONNX operators of layers: convolutions, pools, norms, recurrent networks, resizing, losses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F

from ._read_shape import numbers
from ._readers import reader


# ---------------------------------------------------------------------- windows
def _sides(
    x: Tensor, kernel: Sequence[int], strides: Any, pads: Any, dilations: Any, auto_pad: str
) -> tuple[list[int], list[int], list[int], list[int]]:
    """(strides, dilations, padding before, padding after) for each dimension of the picture."""
    n = len(kernel)
    strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
    if auto_pad in ("NOTSET", "VALID", ""):
        pads = list(pads) if pads and auto_pad != "VALID" else [0] * (2 * n)
        return strides, dilations, pads[:n], pads[n:]
    before, after = [], []
    for size, k, s, d in zip(x.shape[2:], kernel, strides, dilations):
        total = max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        less, more = total // 2, total - total // 2
        before.append(less if auto_pad == "SAME_UPPER" else more)
        after.append(more if auto_pad == "SAME_UPPER" else less)
    return strides, dilations, before, after


def _spaced(x: Tensor, before: Sequence[int], after: Sequence[int], value: float = 0.0) -> Tensor:
    both = [v for pair in zip(before[::-1], after[::-1]) for v in pair]
    return F.pad(x, both, value=value) if any(both) else x


_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


@reader("Conv")
def _conv(
    x: Tensor, w: Tensor, b: Tensor | None = None, strides: Any = None, pads: Any = None,
    dilations: Any = None,
    group: int = 1, kernel_shape: Any = None, auto_pad: str = "NOTSET",
) -> Tensor:  # fmt: skip
    strides, dilations, before, after = _sides(x, w.shape[2:], strides, pads, dilations, auto_pad)
    if before == after:
        return _CONV[w.dim() - 2](x, w, b, strides, before, dilations, group)
    return _CONV[w.dim() - 2](_spaced(x, before, after), w, b, strides, 0, dilations, group)


@reader("ConvTranspose")
def _conv_transpose(
    x: Tensor, w: Tensor, b: Tensor | None = None, strides: Any = None, pads: Any = None,
    dilations: Any = None,
    group: int = 1, kernel_shape: Any = None, auto_pad: str = "NOTSET", output_padding: Any = None,
    output_shape: Any = None,
) -> Tensor:  # fmt: skip
    n = w.dim() - 2
    strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
    more = list(output_padding or [0] * n)
    full = [
        (size - 1) * s + (k - 1) * d + 1 + p
        for size, s, k, d, p in zip(x.shape[2:], strides, w.shape[2:], dilations, more)
    ]
    if output_shape or auto_pad.startswith("SAME"):
        wanted = list(output_shape or [size * s for size, s in zip(x.shape[2:], strides)])[-n:]
        total = [a - b for a, b in zip(full, wanted)]
        half = [t // 2 for t in total]
        rest = [t - h for t, h in zip(total, half)]
        before, after = (half, rest) if auto_pad == "SAME_UPPER" or auto_pad == "NOTSET" else (rest, half)
        if output_shape and auto_pad != "SAME_UPPER":
            before, after = rest, half
    else:
        pads = list(pads or [0] * (2 * n))
        before, after = pads[:n], pads[n:]
    if before == after and all(p < max(s, d) for p, s, d in zip(more, strides, dilations)):
        return _CONV_TRANSPOSE[n](x, w, b, strides, before, more, group, dilations)
    made = _CONV_TRANSPOSE[n](x, w, b, strides, 0, 0, group, dilations)
    made = _spaced(made, [0] * n, more)
    if b is not None and any(more):
        raise NotImplementedError("output_padding of a transposed convolution with uneven padding")
    return _spaced(made, [-b for b in before], [-a for a in after])


def _ceiling(
    x: Tensor, kernel: Any, strides: Any, dilations: Any, before: list[int], after: list[int], ceil: int
) -> list[int]:
    """How much has to be added behind for the last window, if windows may hang over."""
    added = []
    for size, k, s, d, p, q in zip(x.shape[2:], kernel, strides, dilations, before, after):
        span = size + p + q - (k - 1) * d - 1
        windows = (-(-span // s) if ceil else span // s) + 1
        if ceil and (windows - 1) * s >= size + p:
            windows -= 1
        added.append(max((windows - 1) * s + (k - 1) * d + 1 - size - p - q, 0))
    return added


@reader("MaxPool")
def _max_pool(
    x: Tensor, kernel_shape: Any, strides: Any = None, pads: Any = None, dilations: Any = None,
    ceil_mode: int = 0,
    auto_pad: str = "NOTSET", storage_order: int = 0, count: int = 1,
) -> Any:  # fmt: skip
    strides, dilations, before, after = _sides(x, kernel_shape, strides, pads, dilations, auto_pad)
    n = len(kernel_shape)
    if count == 1:
        if before == after and all(p <= k // 2 for p, k in zip(before, kernel_shape)):
            return _MAX_POOL[n](x, kernel_shape, strides, before, dilations, bool(ceil_mode))
        added = _ceiling(x, kernel_shape, strides, dilations, before, after, ceil_mode)
        least = -math.inf if x.is_floating_point() else fb.iinfo(x.dtype).min
        wide = _spaced(x, before, [a + b for a, b in zip(after, added)], least)
        return _MAX_POOL[n](wide, kernel_shape, strides, 0, dilations)
    if before != after or storage_order:
        raise NotImplementedError("places of max pooling with uneven padding or another order")
    values, places = _MAX_POOL[n](
        x, kernel_shape, strides, before, dilations, bool(ceil_mode), return_indices=True
    )
    pictures = fb.arange(x.shape[0] * x.shape[1]).reshape(x.shape[0], x.shape[1], *[1] * n)
    return values, places + pictures * math.prod(x.shape[2:])


@reader("AveragePool")
def _average_pool(
    x: Tensor, kernel_shape: Any, strides: Any = None, pads: Any = None, dilations: Any = None,
    ceil_mode: int = 0,
    auto_pad: str = "NOTSET", count_include_pad: int = 0,
) -> Tensor:  # fmt: skip
    strides, dilations, before, after = _sides(x, kernel_shape, strides, pads, dilations, auto_pad)
    n = len(kernel_shape)
    plain = all(d == 1 for d in dilations)
    if before == after and plain and all(p <= k // 2 for p, k in zip(before, kernel_shape)):
        return _AVG_POOL[n](x, kernel_shape, strides, before, bool(ceil_mode), bool(count_include_pad))
    added = _ceiling(x, kernel_shape, strides, dilations, before, after, ceil_mode)
    ones = fb.ones(1, 1, *x.shape[2:], dtype=x.dtype)
    counted = _spaced(_spaced(ones, before, after, float(count_include_pad)), [0] * n, added)
    wide = _spaced(x, before, [a + b for a, b in zip(after, added)])
    window = fb.ones(1, 1, *kernel_shape, dtype=x.dtype)

    def total(v: Tensor) -> Tensor:
        flat = v.reshape(-1, 1, *v.shape[2:])
        made = _CONV[n](flat, window, None, strides, 0, dilations)
        return made.reshape(*v.shape[:2], *made.shape[2:])

    return total(wide) / total(counted)


@reader("LpPool")
def _lp_pool(
    x: Tensor, kernel_shape: Any, p: float = 2, strides: Any = None, pads: Any = None, dilations: Any = None,
    ceil_mode: int = 0, auto_pad: str = "NOTSET",
) -> Tensor:  # fmt: skip
    powers = _average_pool(x.abs() ** p, kernel_shape, strides, pads, dilations, ceil_mode, auto_pad, 1)
    return (powers * math.prod(kernel_shape)) ** (1 / p)


def _picture(x: Tensor) -> list[int]:
    return list(range(2, x.dim()))


reader("GlobalAveragePool")(lambda x: x.mean(_picture(x), True))
reader("GlobalMaxPool")(lambda x: x.amax(_picture(x), True))
reader("GlobalLpPool")(lambda x, p=2: (x.abs() ** p).sum(_picture(x), True) ** (1 / p))


# ---------------------------------------------------------------------- norms
@reader("BatchNormalization")
def _batch_norm(
    x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, var: Tensor, epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0, spatial: int = 1,
) -> Any:  # fmt: skip
    if not training_mode:
        return F.batch_norm(x, mean, var, scale, shift, False, 0.0, epsilon)
    dims = [0, *_picture(x)]
    now, spread = x.mean(dims), x.var(dims, unbiased=False)
    made = F.batch_norm(x, None, None, scale, shift, True, 0.0, epsilon)
    return made, mean * momentum + now * (1 - momentum), var * momentum + spread * (1 - momentum)


@reader("InstanceNormalization")
def _instance_norm(x: Tensor, scale: Tensor, shift: Tensor, epsilon: float = 1e-5) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=shift, eps=epsilon)


@reader("LayerNormalization")
def _layer_norm(
    x: Tensor,
    scale: Tensor,
    shift: Tensor | None = None,
    axis: int = -1,
    epsilon: float = 1e-5,
    stash_type: int = 1,
) -> Any:
    axis = axis % x.dim()
    dims = list(range(axis, x.dim()))
    mean = x.mean(dims, True)
    inverse = (x.var(dims, unbiased=False, keepdim=True) + epsilon).rsqrt()
    shape = tuple(x.shape[axis:])
    if tuple(scale.shape) == shape and (shift is None or tuple(shift.shape) == shape):
        return F.layer_norm(x, shape, scale, shift, epsilon), mean, inverse
    made = (x - mean) * inverse * scale
    return made if shift is None else made + shift, mean, inverse


@reader("RMSNormalization")
def _rms_norm(x: Tensor, scale: Tensor, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Tensor:
    dims = list(range(axis % x.dim(), x.dim()))
    return x * ((x * x).mean(dims, True) + epsilon).rsqrt() * scale


@reader("GroupNormalization")
def _group_norm(
    x: Tensor, scale: Tensor, shift: Tensor, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1,
    opset: int = 21,
) -> Tensor:  # fmt: skip
    if opset < 21:  # weights of groups
        each = x.shape[1] // num_groups
        scale, shift = scale.repeat_interleave(each), shift.repeat_interleave(each)
    return F.group_norm(x, num_groups, scale, shift, epsilon)


@reader("LRN")
def _lrn(x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Tensor:
    before, channels = (size - 1) // 2, x.shape[1]
    square = F.pad((x * x).movedim(1, -1), (before, size - 1 - before))
    total = square.unfold(-1, size, 1).sum(-1)[..., :channels].movedim(-1, 1)
    return x / (bias + alpha / size * total) ** beta


@reader("MeanVarianceNormalization")
def _mean_variance(x: Tensor, axes: Sequence[int] = (0, 2, 3)) -> Tensor:
    dims = list(axes)
    centred = x - x.mean(dims, True)
    return centred / ((centred * centred).mean(dims, True).sqrt() + 1e-9)


@reader("LpNormalization")
def _lp_norm(x: Tensor, axis: int = -1, p: int = 2) -> Tensor:
    size = x.abs().sum(axis, True) if p == 1 else (x * x).sum(axis, True).sqrt()
    return fb.where(size == 0, 0.0, x / size).to(x.dtype)


# ---------------------------------------------------------------------- softmax and dropout
def _softmax(function: Any) -> Any:
    def run(x: Tensor, axis: int | None = None, opset: int = 13) -> Tensor:
        if opset >= 13:
            return function(x, -1 if axis is None else axis)
        axis = 1 if axis is None else axis % x.dim()
        flat = x.reshape(math.prod(x.shape[:axis]), -1)
        return function(flat, 1).reshape(x.shape)

    return run


def _hardmax(x: Tensor, dim: int) -> Tensor:
    return fb.zeros_like(x).scatter(dim, x.argmax(dim, keepdim=True), 1.0)


reader("Softmax")(_softmax(fb.softmax))
reader("LogSoftmax")(_softmax(fb.log_softmax))
reader("Hardmax")(_softmax(_hardmax))


@reader("Dropout")
def _dropout(
    x: Tensor,
    rate: Tensor | None = None,
    training: Tensor | None = None,
    ratio: float = 0.5,
    seed: int | None = None,
) -> tuple[Tensor, Tensor]:
    p = ratio if rate is None else float(rate)
    if training is None or not bool(training) or p == 0:
        return x, fb.ones_like(x, dtype=fb.bool)
    kept = fb.rand_like(x) >= p
    return x * kept / (1 - p), kept


# ---------------------------------------------------------------------- recurrent networks
_ACTIVATIONS = {
    "Sigmoid": fb.sigmoid,
    "Tanh": fb.tanh,
    "Relu": fb.relu,
    "Softsign": F.softsign,
    "Softplus": F.softplus,
}


def _one_way(
    cell: Any, x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, state: list[Tensor], lengths: Tensor | None
) -> tuple[Tensor, list[Tensor]]:
    size = w.shape[0]
    input_bias, state_bias = (None, None) if b is None else (b[:size], b[size:])
    found = []
    for t, now in enumerate(F.linear(x, w, input_bias)):
        new = cell(now, state, r, state_bias)
        if lengths is not None:
            going = (lengths > t)[:, None]
            state = [fb.where(going, n, s) for n, s in zip(new, state)]
            found.append(fb.where(going, new[0], 0.0))
        else:
            state = new
            found.append(new[0])
    return fb.stack(found), state


def _reversed(x: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return x.flip(0)
    rows = [fb.cat([row[:n].flip(0), row[n:]]) for row, n in zip(x.unbind(1), lengths.tolist())]
    return fb.stack(rows, 1)


def _recurrent(
    make_cell: Any, gates: int, defaults: list[str], x: Tensor, w: Tensor, r: Tensor, b: Tensor | None,
    lengths: Tensor | None, starts: list[Tensor | None], activations: Any, direction: str, layout: int,
    extra: dict[str, Any],
) -> list[Tensor]:  # fmt: skip
    ways, hidden = w.shape[0], r.shape[-1]
    if layout:
        x = x.transpose(0, 1)
        starts = [s if s is None else s.transpose(0, 1) for s in starts]
    functions = [_ACTIVATIONS[a] for a in (activations or defaults * ways)]
    outputs, ends = [], []
    for k in range(ways):
        cell = make_cell(functions[k * len(defaults) : (k + 1) * len(defaults)], hidden, **extra)
        state = [fb.zeros(x.shape[1], hidden, dtype=x.dtype) if s is None else s[k] for s in starts]
        back = direction == "reverse" or k == 1
        source = _reversed(x, lengths) if back else x
        made, state = _one_way(cell, source, w[k], r[k], None if b is None else b[k], state, lengths)
        outputs.append(_reversed(made, lengths) if back else made)
        ends.append(state)
    y = fb.stack(outputs, 1)
    finals = [fb.stack([e[k] for e in ends]) for k in range(len(starts))]
    if layout:
        return [y.permute(2, 0, 1, 3), *(f.transpose(0, 1) for f in finals)]
    return [y, *finals]


def _clipped(v: Tensor, clip: float | None) -> Tensor:
    return v if clip is None else v.clamp(-clip, clip)


def _rnn_cell(functions: list[Any], hidden: int, clip: float | None = None) -> Any:
    return lambda now, state, r, bias: [functions[0](_clipped(now + F.linear(state[0], r, bias), clip))]


def _gru_cell(
    functions: list[Any], hidden: int, linear_before_reset: int = 0, clip: float | None = None
) -> Any:
    f, g = functions

    def cell(now: Tensor, state: list[Tensor], r: Tensor, bias: Tensor | None) -> list[Tensor]:
        h = state[0]
        z0, r0, n0 = now.chunk(3, -1)
        rz, rr, rn = r.chunk(3)
        bz, br, bn = (None, None, None) if bias is None else bias.chunk(3)
        update = f(_clipped(z0 + F.linear(h, rz, bz), clip))
        reset = f(_clipped(r0 + F.linear(h, rr, br), clip))
        inner = reset * F.linear(h, rn, bn) if linear_before_reset else F.linear(reset * h, rn, bn)
        new = g(_clipped(n0 + inner, clip))
        return [(1 - update) * new + update * h]

    return cell


def _lstm_cell(
    functions: list[Any],
    hidden: int,
    peepholes: Tensor | None = None,
    input_forget: int = 0,
    clip: float | None = None,
) -> Any:
    f, g, h = functions
    pi, po, pf = (0, 0, 0) if peepholes is None else peepholes.chunk(3)

    def cell(now: Tensor, state: list[Tensor], r: Tensor, bias: Tensor | None) -> list[Tensor]:
        last, kept = state
        i, o, forget, c = (_clipped(v, clip) for v in (now + F.linear(last, r, bias)).chunk(4, -1))
        i = f(i + pi * kept)
        forget = 1 - i if input_forget else f(forget + pf * kept)
        cell_state = forget * kept + i * g(c)
        return [f(o + po * cell_state) * h(cell_state), cell_state]

    return cell


@reader("RNN")
def _rnn(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Tensor | None = None,
    h: Tensor | None = None,
    hidden_size: int = 0, activations: Any = None, direction: str = "forward", layout: int = 0,
    clip: Any = None,
) -> list[Tensor]:  # fmt: skip
    return _recurrent(
        _rnn_cell, 1, ["Tanh"], x, w, r, b, lengths, [h], activations, direction, layout, {"clip": clip}
    )


@reader("GRU")
def _gru(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Tensor | None = None,
    h: Tensor | None = None,
    hidden_size: int = 0, activations: Any = None, direction: str = "forward", layout: int = 0,
    clip: Any = None,
    linear_before_reset: int = 0,
) -> list[Tensor]:  # fmt: skip
    extra = {"linear_before_reset": linear_before_reset, "clip": clip}
    return _recurrent(
        _gru_cell, 3, ["Sigmoid", "Tanh"], x, w, r, b, lengths, [h], activations, direction, layout, extra
    )


@reader("LSTM")
def _lstm(
    x: Tensor, w: Tensor, r: Tensor, b: Tensor | None = None, lengths: Tensor | None = None,
    h: Tensor | None = None,
    c: Tensor | None = None, p: Tensor | None = None, hidden_size: int = 0, activations: Any = None,
    direction: str = "forward", layout: int = 0, clip: Any = None, input_forget: int = 0,
) -> list[Tensor]:  # fmt: skip
    if p is not None and p.shape[0] > 1:
        raise NotImplementedError("peepholes in both directions")
    extra = {"peepholes": None if p is None else p[0], "input_forget": input_forget, "clip": clip}
    names = ["Sigmoid", "Tanh", "Tanh"]
    return _recurrent(
        _lstm_cell, 4, names, x, w, r, b, lengths, [h, c], activations, direction, layout, extra
    )


# ---------------------------------------------------------------------- resizing
@reader("Upsample")
def _upsample(x: Tensor, given: Tensor | None = None, scales: Any = None, mode: str = "nearest") -> Tensor:
    factors = scales if given is None else given
    return _resize(x, None, fb.tensor(factors) if given is None else given, mode=mode,
                   coordinate_transformation_mode="asymmetric", nearest_mode="floor")  # fmt: skip


@reader("Resize")
def _resize(
    x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None, sizes: Tensor | None = None,
    mode: str = "nearest", coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor", cubic_coeff_a: float = -0.75, exclude_outside: int = 0,
    extrapolation_value: float = 0.0, antialias: int = 0, axes: Any = None,
    keep_aspect_ratio_policy: str = "stretch",
) -> Tensor:  # fmt: skip
    if antialias or coordinate_transformation_mode == "tf_crop_and_resize":
        raise NotImplementedError("Resize with antialias or tf_crop_and_resize")
    dims = [d % x.dim() for d in axes] if axes is not None else list(range(x.dim()))
    if sizes is not None and sizes.numel():
        wanted = numbers(sizes)
        factors = [w / x.shape[d] for w, d in zip(wanted, dims)]
        if keep_aspect_ratio_policy != "stretch":
            same = (min if keep_aspect_ratio_policy == "not_larger" else max)(factors)
            factors = [same] * len(dims)
            wanted = [math.floor(same * x.shape[d] + 0.5) for d in dims]
    else:
        factors = scales.tolist()
        wanted = [math.floor(x.shape[d] * f) for f, d in zip(factors, dims)]
    made = x
    for d, size, factor in zip(dims, wanted, factors):
        if size != x.shape[d] or factor != 1:
            at = _coordinates(x.shape[d], size, factor, coordinate_transformation_mode)
            made = _sampled(made, d, at, mode, nearest_mode, cubic_coeff_a, bool(exclude_outside))
    return made.to(x.dtype)


def _coordinates(size: int, wanted: int, factor: float, kind: str) -> Tensor:
    """Where the results of a resized dimension stand in the source."""
    k = fb.arange(wanted, dtype=fb.float64)
    if kind == "align_corners":
        return k * (size - 1) / (factor * size - 1) if wanted > 1 else k * 0
    if kind == "asymmetric":
        return k / factor
    if kind == "pytorch_half_pixel" and wanted == 1:
        return k * 0
    if kind == "half_pixel_symmetric":
        shift = size / 2 * (1 - wanted / (factor * size))
        return shift + (k + 0.5) / factor - 0.5
    if kind in ("half_pixel", "pytorch_half_pixel"):
        return (k + 0.5) / factor - 0.5
    raise NotImplementedError(f"Resize with coordinate_transformation_mode {kind}")


def _sampled(x: Tensor, dim: int, at: Tensor, mode: str, nearest: str, a: float, inside: bool) -> Tensor:
    """The values of a dimension at places between the elements."""
    last = x.shape[dim] - 1
    if mode == "nearest":
        places = {
            "floor": fb.floor(at),
            "ceil": fb.ceil(at),
            "round_prefer_ceil": fb.floor(at + 0.5),
            "round_prefer_floor": fb.ceil(at - 0.5),
        }[nearest]
        return x.index_select(dim, places.clamp(0, last).long())
    base = fb.floor(at)
    part = at - base
    if mode == "linear":
        weights = [(0, 1 - part), (1, part)]
    else:
        weights = [(k, _cubic((part - k).abs(), a)) for k in (-1, 0, 1, 2)]
    if inside:  # places outside do not count
        weights = [(k, w * ((base + k >= 0) & (base + k <= last))) for k, w in weights]
        whole = sum(w for _, w in weights)
        weights = [(k, w / whole) for k, w in weights]
    shape = [1] * x.dim()
    shape[dim] = -1
    total: Any = 0
    for k, weight in weights:
        taken = x.index_select(dim, (base + k).clamp(0, last).long())
        total = total + taken * weight.to(x.dtype if x.is_floating_point() else fb.float32).reshape(shape)
    return total


def _cubic(t: Tensor, a: float) -> Tensor:
    """Keys' cubic convolution kernel at distances t."""
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((t - 5) * t + 8) * t * a - 4 * a
    return fb.where(t <= 1, near, fb.where(t < 2, far, 0.0))


@reader("GridSample")
def _grid_sample(
    x: Tensor, grid: Tensor, mode: str = "linear", padding_mode: str = "zeros", align_corners: int = 0
) -> Tensor:
    names = {"linear": "bilinear", "cubic": "bicubic"}
    return F.grid_sample(x, grid, names.get(mode, mode), padding_mode, bool(align_corners))


# ---------------------------------------------------------------------- attention
@reader("Attention")
def _attention(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None, past_key: Tensor | None = None,
    past_value: Tensor | None = None, lengths: Tensor | None = None, *, is_causal: int = 0,
    scale: float | None = None, q_num_heads: int = 0, kv_num_heads: int = 0, softcap: float = 0.0,
    qk_matmul_output_mode: int = 0, softmax_precision: int = 0,
) -> Any:  # fmt: skip
    flat = q.dim() == 3

    def heads(x: Tensor, number: int) -> Tensor:
        return x.unflatten(-1, (number, -1)).transpose(1, 2) if flat else x

    q, k, v = heads(q, q_num_heads), heads(k, kv_num_heads), heads(v, kv_num_heads)
    before = 0 if past_key is None else past_key.shape[2]
    if past_key is not None:
        k, v = fb.cat([past_key, k], 2), fb.cat([past_value, v], 2)
    groups = q.shape[1] // k.shape[1]
    keys, values = (x.repeat_interleave(groups, 1) if groups > 1 else x for x in (k, v))
    scores = q @ keys.transpose(-1, -2) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale)
    added = fb.zeros((), dtype=q.dtype)
    rows, columns = scores.shape[-2:]
    if mask is not None:
        mask = F.pad(mask, (0, columns - mask.shape[-1]), value=0 if mask.dtype == fb.bool else -math.inf)
        added = fb.where(mask, 0.0, -math.inf).to(q.dtype) if mask.dtype == fb.bool else mask
    if lengths is not None:
        beyond = fb.arange(columns) >= lengths.reshape(-1, 1, 1, 1)
        added = added.masked_fill(beyond, -math.inf)
    if is_causal:
        first = lengths.reshape(-1, 1, 1, 1) - rows if lengths is not None else before
        later = fb.arange(columns) > fb.arange(rows)[:, None] + first
        added = added.masked_fill(later, -math.inf)
    capped = softcap * fb.tanh(scores / softcap) if softcap else scores
    total = capped + added
    weights = fb.nan_to_num(fb.softmax(total, -1))  # rows without any place are 0
    steps = [scores, capped, total, weights]
    made = weights.to(v.dtype) @ values
    return (made.transpose(1, 2).flatten(2) if flat else made), k, v, steps[qk_matmul_output_mode]


# ---------------------------------------------------------------------- losses and whole numbers
@reader("SoftmaxCrossEntropyLoss")
def _cross_entropy(
    x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean", ignore_index: int = -100
) -> tuple[Tensor, Tensor]:
    logs = fb.log_softmax(x, 1)
    return F.nll_loss(logs, target.long(), weight, ignore_index=ignore_index, reduction=reduction), logs


@reader("NegativeLogLikelihoodLoss")
def _nll(
    x: Tensor, target: Tensor, weight: Tensor | None = None, reduction: str = "mean", ignore_index: int = -100
) -> Tensor:
    return F.nll_loss(x, target.long(), weight, ignore_index=ignore_index, reduction=reduction)


def _along(x: Tensor, v: Tensor, axis: int) -> Tensor:
    return (
        v.reshape([-1 if d == axis % x.dim() else 1 for d in range(x.dim())])
        if v.dim() == 1 and x.dim()
        else v
    )


@reader("QuantizeLinear")
def _quantize(
    x: Tensor,
    scale: Tensor,
    zero: Tensor | None = None,
    axis: int = 1,
    saturate: int = 1,
    block_size: int = 0,
    **_: Any,
) -> Tensor:
    if block_size:
        raise NotImplementedError("QuantizeLinear in blocks")
    kind = fb.uint8 if zero is None else zero.dtype
    limits = fb.iinfo(kind)
    shift = 0 if zero is None else _along(x, zero, axis).to(fb.float32)
    return (fb.round(x / _along(x, scale, axis)) + shift).clamp(limits.min, limits.max).to(kind)


@reader("DequantizeLinear")
def _dequantize(
    x: Tensor, scale: Tensor, zero: Tensor | None = None, axis: int = 1, block_size: int = 0, **_: Any
) -> Tensor:
    if block_size:
        raise NotImplementedError("DequantizeLinear in blocks")
    shift = 0 if zero is None else _along(x, zero, axis).to(scale.dtype)
    return (x.to(scale.dtype) - shift) * _along(x, scale, axis)
