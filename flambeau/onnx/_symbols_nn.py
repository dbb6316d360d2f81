"""ONNX nodes of layers: convolutions, pools, norms, attention, embeddings, recurrent networks, losses."""

from __future__ import annotations

import math
from typing import Any

import flambeau as fb

from ._symbols_math import norm, reduce
from ._table import OnnxGraph, Val, axis_of, static, symbol


# ---------------------------------------------------------------------- convolutions
def _pads(padding: list[int]) -> list[int]:
    return [*padding, *padding]


def _spread(value: Any, count: int) -> list[int]:
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return values * count if len(values) == 1 else values


def _batched(g: OnnxGraph, x: Val, spatial: int, write: Any) -> str:
    """``write(x)`` where the operator also takes inputs without the dimension of the batch."""
    if x.rank == spatial + 2:
        return write(x.name)
    return g.op("Squeeze", write(g.op("Unsqueeze", x, [0])), [0])


@symbol("conv1d", "conv2d", "conv3d")
def _conv(
    g: OnnxGraph, x: Val, weight: Val, bias: Val | None, stride: Any = 1, padding: Any = 0, dilation: Any = 1,
    groups: int = 1,
) -> str:  # fmt: skip
    n = weight.rank - 2
    dilation = _spread(dilation, n)
    if padding == "same":
        total = [d * (static(weight, k + 2, "padding") - 1) for k, d in enumerate(dilation)]
        pads = [t // 2 for t in total] + [t - t // 2 for t in total]
    else:
        pads = _pads(_spread(0 if padding == "valid" else padding, n))
    return _batched(
        g, x, n,
        lambda v: g.op(
            "Conv", v, weight, bias, strides=_spread(stride, n), pads=pads, dilations=dilation, group=groups,
            kernel_shape=[int(k) for k in weight.shape[2:]],
        ),
    )  # fmt: skip


@symbol("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
def _conv_transpose(
    g: OnnxGraph, x: Val, weight: Val, bias: Val | None, stride: Any = 1, padding: Any = 0, more: Any = 0,
    groups: int = 1, dilation: Any = 1,
) -> str:  # fmt: skip
    n = weight.rank - 2
    return _batched(
        g, x, n,
        lambda v: g.op(
            "ConvTranspose", v, weight, bias, strides=_spread(stride, n), pads=_pads(_spread(padding, n)),
            output_padding=_spread(more, n), dilations=_spread(dilation, n), group=groups,
            kernel_shape=[int(k) for k in weight.shape[2:]],
        ),
    )  # fmt: skip


@symbol("convolution")
def _convolution(
    g: OnnxGraph, x: Val, weight: Val, bias: Val | None, stride: Any, padding: Any, dilation: Any,
    transposed: bool, more: Any, groups: int,
) -> str:  # fmt: skip
    if transposed:
        return _conv_transpose(g, x, weight, bias, stride, padding, more, groups, dilation)
    return _conv(g, x, weight, bias, stride, padding, dilation, groups)


# ---------------------------------------------------------------------- pools
@symbol("max_pool1d", "max_pool2d", "max_pool3d")
def _max_pool(
    g: OnnxGraph,
    x: Val,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> str:
    n = len(kernel)
    return _batched(
        g, x, n,
        lambda v: g.op(
            "MaxPool", v, kernel_shape=kernel, strides=_spread(stride or kernel, n), ceil_mode=int(ceil),
            pads=_pads(_spread(padding, n)), dilations=_spread(dilation, n),
        ),
    )  # fmt: skip


@symbol("max_pool1d_with_indices", "nn::max_pool2d_with_indices", "nn::max_pool3d_with_indices")
def _max_pool_places(
    g: OnnxGraph,
    x: Val,
    kernel: Any,
    stride: Any = (),
    padding: Any = 0,
    dilation: Any = 1,
    ceil: bool = False,
) -> list[str]:
    n = len(kernel)
    if x.rank != n + 2:
        raise NotImplementedError("max pooling with indices without a batch")
    values, places = g.op(
        "MaxPool", x, outputs=2, kernel_shape=kernel, strides=_spread(stride or kernel, n),
        ceil_mode=int(ceil),
        pads=_pads(_spread(padding, n)), dilations=_spread(dilation, n),
    )  # fmt: skip
    # ONNX counts through the whole tensor, PyTorch within each picture
    picture = g.op("ReduceProd", g.op("Shape", x, start=2), keepdims=0)
    return [values, g.op("Mod", places, picture)]


@symbol("avg_pool1d", "nn::avg_pool2d", "nn::avg_pool3d")
def _avg_pool(
    g: OnnxGraph, x: Val, kernel: Any, stride: Any = (), padding: Any = 0, ceil: bool = False,
    count: bool = True,
    divisor: int | None = None,
) -> str:  # fmt: skip
    n = len(kernel)
    padding = _spread(padding, n)

    def write(v: str) -> str:
        if ceil and g.opset < 19:
            raise NotImplementedError("average pooling with ceil_mode, from opset 19 on")
        out = g.op(
            "AveragePool", v, kernel_shape=kernel, strides=_spread(stride or kernel, n), pads=_pads(padding),
            ceil_mode=int(ceil), count_include_pad=int(count or divisor is not None),
        )  # fmt: skip
        if divisor is None:
            return out
        if ceil:
            raise NotImplementedError("average pooling with ceil_mode and divisor_override")
        return g.op("Mul", out, g.constant(math.prod(kernel) / divisor, x.dtype))

    return _batched(g, x, n, write)


@symbol("adaptive_avg_pool1d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "nn::adaptive_avg_pool2d",
        "nn::adaptive_avg_pool3d")  # fmt: skip
def _adaptive_avg_pool(g: OnnxGraph, x: Val, size: list[int]) -> str:
    n = len(size)
    if all(s == 1 for s in size):
        return reduce("ReduceMean")(g, x, list(range(x.rank - n, x.rank)), True)
    spans = [static(x, x.rank - n + k, "adaptive pooling") for k in range(n)]
    if all(a % b == 0 for a, b in zip(spans, size)):
        kernel = [a // b for a, b in zip(spans, size)]
        return _batched(g, x, n, lambda v: g.op("AveragePool", v, kernel_shape=kernel, strides=kernel))
    out: Any = x
    for k, (a, b) in enumerate(zip(spans, size)):  # a product with the weights of the averages
        weights = fb.zeros(a, b, dtype=x.dtype)
        for j in range(b):
            start, end = j * a // b, -(-(j + 1) * a // b)
            weights[start:end, j] = 1 / (end - start)
        turn = list(range(x.rank))
        turn[x.rank - n + k], turn[-1] = turn[-1], turn[x.rank - n + k]
        last = turn == list(range(x.rank))
        out = out if last else g.op("Transpose", out, perm=turn)
        out = g.op("MatMul", out, g.constant(weights))
        out = out if last else g.op("Transpose", out, perm=turn)
    return out


@symbol("adaptive_max_pool1d", "nn::adaptive_max_pool2d", "nn::adaptive_max_pool3d")
def _adaptive_max_pool(g: OnnxGraph, x: Val, size: list[int]) -> list[str]:
    n = len(size)
    spans = [static(x, x.rank - n + k, "adaptive pooling") for k in range(n)]
    if any(a % b for a, b in zip(spans, size)):
        raise NotImplementedError(f"adaptive max pooling from {spans} to {size}, which does not divide it")
    return _max_pool_places(g, x, [a // b for a, b in zip(spans, size)])


# ---------------------------------------------------------------------- norms
@symbol("batch_norm")
def _batch_norm(
    g: OnnxGraph, x: Val, weight: Val | None, bias: Val | None, mean: Val | None, var: Val | None,
    training: bool,
    momentum: float, eps: float, *rest: Any,
) -> str:  # fmt: skip
    if training or mean is None:
        dims = [0, *range(2, x.rank)]
        return _affine(g, _normalised(g, x, dims, eps), weight, bias, x.rank, 1)
    channels = static(x, 1, "batch normalisation")
    scale = weight or g.constant(fb.ones(channels, dtype=x.dtype))
    shift = bias or g.constant(fb.zeros(channels, dtype=x.dtype))
    return g.op("BatchNormalization", x, scale, shift, mean, var, epsilon=eps)


def _normalised(g: OnnxGraph, x: Any, dims: list[int], eps: float) -> str:
    dtype = x.dtype if isinstance(x, Val) else g.result[0].dtype
    mean = reduce("ReduceMean")(g, x, dims, True)
    centred = g.op("Sub", x, mean)
    var = reduce("ReduceMean")(g, Val(g.op("Mul", centred, centred), dtype, ()), dims, True)
    return g.op("Div", centred, g.op("Sqrt", g.op("Add", var, g.constant(eps, dtype))))


def _affine(g: OnnxGraph, x: str, weight: Val | None, bias: Val | None, rank: int, channel: int) -> str:
    shape = [-1] + [1] * (rank - channel - 1)
    x = x if weight is None else g.op("Mul", x, g.op("Reshape", weight, shape))
    return x if bias is None else g.op("Add", x, g.op("Reshape", bias, shape))


@symbol("layer_norm")
def _layer_norm(
    g: OnnxGraph, x: Val, shape: list[int], weight: Val | None = None, bias: Val | None = None,
    eps: float = 1e-5,
    *rest: Any,
) -> str:  # fmt: skip
    if g.opset < 17:
        out = _normalised(g, x, list(range(x.rank - len(shape), x.rank)), eps)
        out = out if weight is None else g.op("Mul", out, weight)
        return out if bias is None else g.op("Add", out, bias)
    scale = weight or g.constant(fb.ones(shape, dtype=x.dtype))
    return g.op("LayerNormalization", x, scale, bias, axis=-len(shape), epsilon=eps)


@symbol("rms_norm")
def _rms_norm(
    g: OnnxGraph, x: Val, shape: list[int], weight: Val | None = None, eps: float | None = None
) -> str:
    eps = fb.finfo(x.dtype).eps if eps is None else eps
    dims = list(range(x.rank - len(shape), x.rank))
    mean = reduce("ReduceMean")(g, Val(g.op("Mul", x, x), x.dtype, x.shape), dims, True)
    out = g.op("Div", x, g.op("Sqrt", g.op("Add", mean, g.constant(eps, x.dtype))))
    return out if weight is None else g.op("Mul", out, weight)


@symbol("group_norm")
def _group_norm(
    g: OnnxGraph, x: Val, groups: int, weight: Val | None = None, bias: Val | None = None, eps: float = 1e-5,
    *rest: Any,
) -> str:  # fmt: skip
    grouped = Val(g.op("Reshape", x, [0, groups, -1]), x.dtype, (0, 0, 0))
    out = g.op("Reshape", _normalised(g, grouped, [2], eps), g.op("Shape", x))
    return _affine(g, out, weight, bias, x.rank, 1)


@symbol("instance_norm")
def _instance_norm(
    g: OnnxGraph, x: Val, weight: Val | None, bias: Val | None, mean: Val | None, var: Val | None, use: bool,
    momentum: float, eps: float, *rest: Any,
) -> str:  # fmt: skip
    if not use:
        return _batch_norm(g, x, weight, bias, mean, var, False, momentum, eps)
    return _affine(g, _normalised(g, x, list(range(2, x.rank)), eps), weight, bias, x.rank, 1)


# ---------------------------------------------------------------------- softmax, dropout, glu
@symbol("softmax")
def _softmax(g: OnnxGraph, x: Val, dim: int, *rest: Any) -> str:
    if x.rank == 0:
        return g.op("Squeeze", g.op("Softmax", g.op("Unsqueeze", x, [0]), axis=0), [0])
    return g.op("Softmax", g.cast(x, g.result[0].dtype), axis=dim)


symbol("_softmax")(lambda g, x, dim, half: _softmax(g, x, dim))
symbol("log_softmax", "_log_softmax")(
    lambda g, x, dim, *rest: g.op("LogSoftmax", g.cast(x, g.result[0].dtype), axis=dim)
)


@symbol("nn::glu")
def _glu(g: OnnxGraph, x: Val, dim: int = -1) -> str:
    half = static(x, axis_of(dim, x.rank), "glu") // 2
    a, b = g.op("Split", x, [half, half], outputs=2, axis=dim)
    return g.op("Mul", a, g.op("Sigmoid", b))


# ---------------------------------------------------------------------- attention and embeddings
@symbol("nn::scaled_dot_product_attention")
def _attention(
    g: OnnxGraph, q: Val, k: Val, v: Val, mask: Val | None = None, dropout: float = 0.0, causal: bool = False,
    scale: float | None = None, gqa: bool = False,
) -> str:  # fmt: skip
    dtype = q.dtype
    key, value = k.name, v.name
    if gqa:
        groups = static(q, q.rank - 3, "attention") // static(k, k.rank - 3, "attention")
        key, value = (_repeated(g, t, groups) for t in (k, v))
    factor = scale if scale is not None else 1 / math.sqrt(static(q, q.rank - 1, "attention"))
    order = [*range(k.rank - 2), k.rank - 1, k.rank - 2]
    scaled = g.op("Mul", q, g.cast(factor, dtype))
    scores = g.op("MatMul", scaled, g.op("Transpose", key, perm=order))
    least = g.constant(-math.inf, dtype)
    if causal:
        rows, columns = g.op("Shape", q, start=-2, end=-1), g.op("Shape", k, start=-2, end=-1)
        ones = g.op("Expand", g.constant(1), g.op("Concat", rows, columns, axis=0))
        below = g.op("Cast", g.op("Trilu", ones, upper=0), to=9)
        scores = g.op("Where", below, scores, least)
    if mask is not None and mask.dtype == fb.bool:
        scores = g.op("Where", mask, scores, least)
    elif mask is not None:
        scores = g.op("Add", scores, g.cast(mask, dtype))
    weights = g.op("Softmax", scores, axis=-1)
    if mask is not None and mask.dtype == fb.bool:  # rows without any place are 0, not NaN
        weights = g.op("Where", g.op("IsNaN", weights), g.constant(0.0, dtype), weights)
    if dropout:
        weights = g.op("Dropout", weights, g.constant(dropout, dtype), g.constant(True))
    return g.op("MatMul", weights, value)


def _repeated(g: OnnxGraph, x: Val, times: int) -> str:
    """Every head of keys or values ``times`` times in turn."""
    heads = x.rank - 3
    one = g.op("Unsqueeze", x, [heads + 1])
    many = g.op("Tile", one, [1] * (heads + 1) + [times, 1, 1])
    return g.op(
        "Reshape",
        many,
        [0] * heads + [static(x, heads, "attention") * times, -1, static(x, heads + 2, "attention")],
    )


symbol("embedding")(lambda g, weight, indices, *rest: g.op("Gather", weight, indices, axis=0))


# ---------------------------------------------------------------------- recurrent networks
# (operator, places of ONNX's gates among PyTorch's, number of gates)
_CELLS = {
    "lstm": ("LSTM", [0, 3, 1, 2]),
    "gru": ("GRU", [1, 0, 2]),
    "rnn_tanh": ("RNN", [0]),
    "rnn_relu": ("RNN", [0]),
}


def _gates(g: OnnxGraph, w: Val, order: list[int]) -> str:
    """Weights with their gates in ONNX's order."""
    if order == [0]:
        return w.name
    size = int(w.shape[0]) // len(order)
    parts = g.op("Split", w, [size] * len(order), outputs=len(order), axis=0)
    return g.op("Concat", *(parts[k] for k in order), axis=0)


def _recurrent(cell: str) -> Any:
    kind, order = _CELLS[cell]

    def write(
        g: OnnxGraph, x: Val, hx: Any, params: list[Val], biases: bool, layers: int, dropout: float,
        train: bool,
        both: bool, batch_first: bool,
    ) -> list[str]:  # fmt: skip
        states = hx if isinstance(hx, list) else [hx]
        if train and dropout and layers > 1:
            raise NotImplementedError("dropout between recurrent layers in training")
        single = x.rank == 2
        now: str = g.op("Unsqueeze", x, [1]) if single else x.name
        if batch_first and not single:
            now = g.op("Transpose", now, perm=[1, 0, 2])
        starts = [g.op("Unsqueeze", s, [1]) if single else s.name for s in states]
        count, ways = 4 if biases else 2, 2 if both else 1
        per = len(params) // (layers * ways)
        if per != count:
            raise NotImplementedError("recurrent networks with projections")
        hidden = int(params[1].shape[1])
        ends: list[list[str]] = [[] for _ in states]
        for layer in range(layers):
            of = [params[(layer * ways + w) * count : (layer * ways + w + 1) * count] for w in range(ways)]

            def both_ways(k: int, of: list[list[Val]] = of) -> str:
                return _joined(g, [g.op("Unsqueeze", _gates(g, p[k], order), [0]) for p in of])

            bias = None
            if biases:
                each = [g.op("Concat", _gates(g, p[2], order), _gates(g, p[3], order), axis=0) for p in of]
                bias = _joined(g, [g.op("Unsqueeze", b, [0]) for b in each])
            first = [g.op("Slice", s, [layer * ways], [(layer + 1) * ways], [0]) for s in starts]
            extra: dict[str, Any] = {"linear_before_reset": 1} if kind == "GRU" else {}
            if kind == "RNN":
                extra["activations"] = [cell.partition("_")[2].capitalize()] * ways
            out, *last = g.op(
                kind, now, both_ways(0), both_ways(1), bias, None, *first, outputs=1 + len(states),
                hidden_size=hidden, direction="bidirectional" if both else "forward", **extra,
            )  # fmt: skip
            # steps, ways, batch, hidden -> steps, batch, ways * hidden
            turned = g.op("Transpose", out, perm=[0, 2, 1, 3])
            now = g.op("Reshape", turned, [0, 0, ways * hidden])
            for found, end in zip(ends, last):
                found.append(end)
        if batch_first and not single:
            now = g.op("Transpose", now, perm=[1, 0, 2])
        finals = [_joined(g, e) for e in ends]
        return [g.op("Squeeze", n, [1]) if single else n for n in [now, *finals]]

    return write


def _joined(g: OnnxGraph, names: list[str]) -> str:
    return names[0] if len(names) == 1 else g.op("Concat", *names, axis=0)


for _cell in _CELLS:
    symbol(f"{_cell}.input")(_recurrent(_cell))


def _linear(g: OnnxGraph, x: Any, w: Val, b: Val | None) -> str:
    out = g.op("MatMul", x, g.op("Transpose", w, perm=[1, 0]))
    return out if b is None else g.op("Add", out, b)


@symbol("lstm_cell")
def _lstm_cell(
    g: OnnxGraph, x: Val, hx: list[Val], w: Val, u: Val, b: Val | None = None, c: Val | None = None
) -> list[str]:
    size = int(u.shape[1])
    total = g.op("Add", _linear(g, x, w, b), _linear(g, hx[0], u, c))
    i, f, n, o = g.op("Split", total, [size] * 4, outputs=4, axis=-1)
    kept = g.op("Mul", g.op("Sigmoid", f), hx[1])
    cell = g.op("Add", kept, g.op("Mul", g.op("Sigmoid", i), g.op("Tanh", n)))
    return [g.op("Mul", g.op("Sigmoid", o), g.op("Tanh", cell)), cell]


@symbol("gru_cell")
def _gru_cell(
    g: OnnxGraph, x: Val, h: Val, w: Val, u: Val, b: Val | None = None, c: Val | None = None
) -> str:
    size = [int(u.shape[1])] * 3
    r, z, n = g.op("Split", _linear(g, x, w, b), size, outputs=3, axis=-1)
    p, q, m = g.op("Split", _linear(g, h, u, c), size, outputs=3, axis=-1)
    reset, update = g.op("Sigmoid", g.op("Add", r, p)), g.op("Sigmoid", g.op("Add", z, q))
    new = g.op("Tanh", g.op("Add", n, g.op("Mul", reset, m)))
    return g.op("Add", new, g.op("Mul", update, g.op("Sub", h, new)))


def _rnn_cell(kind: str) -> Any:
    def write(
        g: OnnxGraph, x: Val, h: Val, w: Val, u: Val, b: Val | None = None, c: Val | None = None
    ) -> str:
        return g.op(kind, g.op("Add", _linear(g, x, w, b), _linear(g, h, u, c)))

    return write


symbol("rnn_tanh_cell")(_rnn_cell("Tanh"))
symbol("rnn_relu_cell")(_rnn_cell("Relu"))


# ---------------------------------------------------------------------- resizing
def _resize(mode: str, nearest: str = "floor", cubic: float | None = None) -> Any:
    def write(g: OnnxGraph, x: Val, size: list[int] | None, *rest: Any) -> str:
        corners = bool(rest[0]) if len(rest) == 2 else False
        factors = rest[-1] if rest else None
        spots = "align_corners" if corners else "asymmetric" if mode == "nearest" else "half_pixel"
        if nearest == "round_prefer_ceil" and mode == "nearest":
            spots = "half_pixel"
        more: dict[str, Any] = {"nearest_mode": nearest} if mode == "nearest" else {}
        if cubic is not None:
            more["cubic_coeff_a"] = cubic
        if spots == "half_pixel" and mode != "nearest":
            spots = "pytorch_half_pixel"
        if size is None:
            scales = g.constant([1.0, 1.0, *factors])
            return g.op("Resize", x, None, scales, mode=mode, coordinate_transformation_mode=spots, **more)
        sizes = g.op("Concat", g.op("Shape", x, start=0, end=2), g.ints(size), axis=0)
        return g.op("Resize", x, None, None, sizes, mode=mode, coordinate_transformation_mode=spots, **more)

    return write


symbol("nn::upsample_nearest1d", "nn::upsample_nearest2d", "nn::upsample_nearest3d")(_resize("nearest"))
symbol("nn::_upsample_nearest_exact1d", "nn::_upsample_nearest_exact2d", "nn::_upsample_nearest_exact3d")(
    _resize("nearest", "round_prefer_ceil")
)
symbol("nn::upsample_linear1d", "nn::upsample_bilinear2d", "nn::upsample_trilinear3d")(_resize("linear"))
symbol("nn::upsample_bicubic2d")(_resize("cubic", cubic=-0.75))


@symbol("pixel_shuffle")
def _pixel_shuffle(g: OnnxGraph, x: Val, factor: int) -> str:
    return g.op("DepthToSpace", x, blocksize=factor, mode="CRD")


@symbol("pixel_unshuffle")
def _pixel_unshuffle(g: OnnxGraph, x: Val, factor: int) -> str:
    channels = static(x, x.rank - 3, "pixel_unshuffle")
    height, width = (static(x, x.rank - k, "pixel_unshuffle") // factor for k in (2, 1))
    out = g.op("Reshape", x, [0, channels, height, factor, width, factor])
    out = g.op("Transpose", out, perm=[0, 1, 3, 5, 2, 4])
    return g.op("Reshape", out, [0, channels * factor * factor, height, width])


@symbol("channel_shuffle", "native_channel_shuffle")
def _channel_shuffle(g: OnnxGraph, x: Val, groups: int) -> str:
    channels = static(x, 1, "channel_shuffle")
    out = g.op("Reshape", x, [0, groups, channels // groups, -1])
    return g.op("Reshape", g.op("Transpose", out, perm=[0, 2, 1, 3]), g.op("Shape", x))


@symbol("nn::im2col")
def _im2col(g: OnnxGraph, x: Val, kernel: Any, dilation: Any, padding: Any, stride: Any) -> str:
    n, channels = 2, static(x, x.rank - 3, "unfold")
    kernel, rate, pads, step = (_spread(v, n) for v in (kernel, dilation, padding, stride))
    count = kernel[0] * kernel[1]
    # a convolution that copies: each place of the window of each channel is an output channel
    copies = fb.eye(count, dtype=x.dtype).reshape(count, 1, *kernel).repeat(channels, 1, 1, 1)

    def write(v: str) -> str:
        out = g.op(
            "Conv", v, g.constant(copies), strides=step, pads=_pads(pads), dilations=rate, group=channels,
            kernel_shape=kernel,
        )  # fmt: skip
        return g.op("Reshape", out, [0, channels * count, -1])

    return _batched(g, x, n, write)


@symbol("grid_sampler", "grid_sampler_2d")
def _grid_sampler(g: OnnxGraph, x: Val, grid: Val, mode: int, padding: int, corners: bool) -> str:
    names = ("linear", "nearest", "cubic") if g.opset >= 20 else ("bilinear", "nearest", "bicubic")
    border = ("zeros", "border", "reflection")[padding]
    return g.op("GridSample", x, grid, mode=names[mode], padding_mode=border, align_corners=int(corners))


# ---------------------------------------------------------------------- losses
def _reduced(g: OnnxGraph, name: str, reduction: int) -> str:
    if reduction == 0:
        return name
    return g.op("ReduceMean" if reduction == 1 else "ReduceSum", name, keepdims=0)


@symbol("nn::mse_loss")
def _mse_loss(g: OnnxGraph, x: Val, y: Val, reduction: int = 1) -> str:
    gap = g.op("Sub", x, y)
    return _reduced(g, g.op("Mul", gap, gap), reduction)


symbol("nn::l1_loss")(lambda g, x, y, reduction=1: _reduced(g, g.op("Abs", g.op("Sub", x, y)), reduction))


def _smooth(g: OnnxGraph, x: Val, y: Val, reduction: int, width: float, scale: float) -> str:
    gap = g.op("Abs", g.op("Sub", x, y))
    inner = g.op("Mul", g.op("Mul", gap, gap), g.constant(0.5 * scale / width, x.dtype))
    outer = g.op("Mul", g.op("Sub", gap, g.constant(0.5 * width, x.dtype)), g.constant(scale, x.dtype))
    near = g.op("Less", gap, g.constant(width, x.dtype))
    return _reduced(g, g.op("Where", near, inner, outer), reduction)


@symbol("nn::smooth_l1_loss")
def _smooth_l1_loss(g: OnnxGraph, x: Val, y: Val, reduction: int = 1, beta: float = 1.0) -> str:
    return (
        _smooth(g, x, y, reduction, beta, 1.0)
        if beta
        else _reduced(g, g.op("Abs", g.op("Sub", x, y)), reduction)
    )


symbol("nn::huber_loss")(lambda g, x, y, reduction=1, delta=1.0: _smooth(g, x, y, reduction, delta, delta))


@symbol("nn::soft_margin_loss")
def _soft_margin_loss(g: OnnxGraph, x: Val, y: Val, reduction: int = 1) -> str:
    return _reduced(g, g.op("Softplus", g.op("Neg", g.op("Mul", x, y))), reduction)


@symbol("pairwise_distance")
def _pairwise_distance(
    g: OnnxGraph, a: Val, b: Val, p: float = 2, eps: float = 1e-6, keepdim: bool = False
) -> str:
    gap = g.op("Add", g.op("Sub", a, b), g.constant(eps, a.dtype))
    shape = (0,) * max(a.rank, b.rank)
    return norm(g, Val(gap, a.dtype, shape), p, [-1], keepdim)


@symbol("nn::cross_entropy_loss")
def _cross_entropy(
    g: OnnxGraph, x: Val, target: Val, weight: Val | None = None, reduction: int = 1, ignore: int = -100,
    smoothing: float = 0.0,
) -> str:  # fmt: skip
    if target.dtype.is_floating_point or smoothing:
        raise NotImplementedError("cross entropy with probabilities or label smoothing")
    names = ("none", "mean", "sum")
    return g.op("SoftmaxCrossEntropyLoss", x, target, weight, reduction=names[reduction], ignore_index=ignore)


@symbol("nn::nll_loss", "nn::nll_loss2d", "nn::nll_loss_nd")
def _nll_loss(
    g: OnnxGraph, x: Val, target: Val, weight: Val | None = None, reduction: int = 1, ignore: int = -100
) -> str:
    names = ("none", "mean", "sum")
    return g.op(
        "NegativeLogLikelihoodLoss", x, target, weight, reduction=names[reduction], ignore_index=ignore
    )


@symbol("nn::binary_cross_entropy")
def _binary_cross_entropy(g: OnnxGraph, x: Val, y: Val, weight: Val | None = None, reduction: int = 1) -> str:
    one, least = g.constant(1.0, x.dtype), g.constant(-100.0, x.dtype)
    yes = g.op("Mul", y, g.op("Max", g.op("Log", x), least))
    no = g.op("Mul", g.op("Sub", one, y), g.op("Max", g.op("Log", g.op("Sub", one, x)), least))
    out = g.op("Neg", g.op("Add", yes, no))
    return _reduced(g, out if weight is None else g.op("Mul", out, weight), reduction)


@symbol("binary_cross_entropy_with_logits")
def _binary_cross_entropy_with_logits(
    g: OnnxGraph, x: Val, y: Val, weight: Val | None = None, positive: Val | None = None, reduction: int = 1
) -> str:
    one = g.constant(1.0, x.dtype)
    yes = g.op("Mul", y, g.op("Softplus", g.op("Neg", x)))
    if positive is not None:
        yes = g.op("Mul", yes, positive)
    out = g.op("Add", yes, g.op("Mul", g.op("Sub", one, y), g.op("Softplus", x)))
    return _reduced(g, out if weight is None else g.op("Mul", out, weight), reduction)


@symbol("kl_div")
def _kl_div(g: OnnxGraph, x: Val, y: Val, reduction: int = 0, log_target: bool = False) -> str:
    if log_target:
        out = g.op("Mul", g.op("Exp", y), g.op("Sub", y, x))
    else:
        zero = g.constant(0.0, x.dtype)
        entropy = g.op("Where", g.op("Greater", y, zero), g.op("Mul", y, g.op("Log", y)), zero)
        out = g.op("Sub", entropy, g.op("Mul", y, x))
    return _reduced(g, out, reduction)


@symbol("cosine_similarity")
def _cosine_similarity(g: OnnxGraph, a: Val, b: Val, dim: int = 1, eps: float = 1e-8) -> str:
    def long(x: Val) -> str:
        norm = (
            g.op("ReduceL2", x, g.ints([dim]), keepdims=0)
            if g.opset >= 18
            else g.op("ReduceL2", x, axes=[dim], keepdims=0)
        )
        return g.op("Max", norm, g.constant(eps, x.dtype))

    product = g.op("ReduceSum", g.op("Mul", a, b), g.ints([dim]), keepdims=0)
    return g.op("Div", product, g.op("Mul", long(a), long(b)))
