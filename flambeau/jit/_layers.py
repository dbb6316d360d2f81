"""Layers and functions of ``nn`` as TorchScript writes them: an expression of PyTorch's operators for each.

``LAYERS`` has the expression of ``input`` that a module computes; ``FUNCTIONS`` has what a function of
``nn.functional`` computes, from the expressions of its arguments.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import flambeau as fb

Layer = Callable[[Any], str]


def text(value: Any) -> str:
    """A constant as programs write it."""
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return f'float("{value}")'
    if isinstance(value, (tuple, list)):
        return f"[{', '.join(map(text, value))}]"
    return repr(value)


def _inplace(name: str, *attributes: str) -> Layer:
    def layer(m: Any) -> str:
        rest = "".join(f", {text(getattr(m, a))}" for a in attributes)
        return f"torch.{name}{'_' if m.inplace else ''}(input{rest})"

    return layer


def _call(name: str, *attributes: str) -> Layer:
    def layer(m: Any) -> str:
        return f"torch.{name}(input{''.join(f', {text(getattr(m, a))}' for a in attributes)})"

    return layer


def _conv(n: int) -> Layer:
    def layer(m: Any) -> str:
        source, padding = "input", m.padding
        if m.padding_mode != "zeros":
            source = f"torch.pad(input, {text(m._reversed_padding_repeated_twice)}, {text(m.padding_mode)})"
            padding = [0] * n
        options = ", ".join(map(text, (m.stride, padding, m.dilation, m.groups)))
        return f"torch.conv{n}d({source}, self.weight, self.bias, {options})"

    return layer


def _conv_transpose(n: int) -> Layer:
    def layer(m: Any) -> str:
        options = ", ".join(map(text, (m.stride, m.padding, m.output_padding, m.groups, m.dilation)))
        return f"torch.conv_transpose{n}d(input, self.weight, self.bias, {options})"

    return layer


def _batch_norm(m: Any) -> str:
    tracked = m.running_mean is not None
    state = "self.running_mean, self.running_var" if tracked else "None, None"
    training = "self.training" if tracked else "True"
    factor = text(m.momentum)
    if m.momentum is None:
        mean = tracked and m.num_batches_tracked is not None  # of all batches
        factor = "(1. / float(self.num_batches_tracked) if self.training else 0.)" if mean else "0."
    return f"torch.batch_norm(input, self.weight, self.bias, {state}, {training}, {factor}, {m.eps}, True)"


def counted(m: Any) -> str:
    """What a layer does before its expression: those that keep a number of batches count them."""
    if not isinstance(m, fb.nn.modules.batchnorm._BatchNorm) or m.num_batches_tracked is None:
        return ""
    return """\
    if self.training:
      count = torch.add_(self.num_batches_tracked, 1)
    else:
      pass
"""


def _instance_norm(m: Any) -> str:
    tracked = m.running_mean is not None
    state = "self.running_mean, self.running_var" if tracked else "None, None"
    use_input = "self.training" if tracked else "True"
    rest = f"{use_input}, {m.momentum}, {m.eps}, True"
    return f"torch.instance_norm(input, self.weight, self.bias, {state}, {rest})"


def _max_pool(n: int) -> Layer:
    def layer(m: Any) -> str:
        if m.return_indices:
            raise NotImplementedError("return_indices=True")
        numbers = (_many(m.kernel_size, n), _many(m.stride, n), _many(m.padding, n), _many(m.dilation, n))
        return f"torch.max_pool{n}d(input, {', '.join(map(text, (*numbers, m.ceil_mode)))})"

    return layer


def _avg_pool(n: int) -> Layer:
    def layer(m: Any) -> str:
        numbers = (_many(m.kernel_size, n), _many(m.stride, n), _many(m.padding, n))
        rest = (m.ceil_mode, m.count_include_pad, *(() if n == 1 else (m.divisor_override,)))
        return f"torch.avg_pool{n}d(input, {', '.join(map(text, (*numbers, *rest)))})"

    return layer


def _adaptive(name: str, n: int) -> Layer:
    def layer(m: Any) -> str:
        given = _many(m.output_size, n)
        sizes = [f"torch.size(input, {i - n})" if s is None else text(s) for i, s in enumerate(given)]
        pooled = f"torch.{name}{n}d(input, [{', '.join(sizes)}])"
        return pooled if name == "adaptive_avg_pool" else f"({pooled})[0]"

    return layer


def _many(value: Any, n: int) -> list:
    return list(value) if isinstance(value, (tuple, list)) else [value] * n


def _upsample(m: Any) -> str:
    factor = m.scale_factor
    parts = {"input": "input", "size": text(m.size), "scale_factor": text(factor), "mode": text(m.mode)}
    parts["align_corners"] = text(m.align_corners)
    return interpolate(parts)


def _padded(mode: str) -> Layer:
    def layer(m: Any) -> str:
        value = f", {m.value}" if mode == "constant" and hasattr(m, "value") else ""
        return f'torch.pad(input, {text(m.padding)}, "{mode}"{value})'

    return layer


def _dropout(name: str) -> Layer:
    return lambda m: f"torch.{name}{'_' if m.inplace else ''}(input, {m.p}, self.training)"


def _norm(name: str, rest: Callable[[Any], str]) -> Layer:
    return lambda m: f"torch.{name}(input, {rest(m)}, self.weight, self.bias, {m.eps}, True)"


def _embedding(m: Any) -> str:
    padding = -1 if m.padding_idx is None else m.padding_idx
    return f"torch.embedding(self.weight, input, {padding}, {m.scale_grad_by_freq}, {m.sparse})"


LAYERS: dict[str, Layer] = {
    "Linear": lambda m: "torch.linear(input, self.weight, self.bias)",
    "NonDynamicallyQuantizableLinear": lambda m: "torch.linear(input, self.weight, self.bias)",
    "Identity": lambda m: "input",
    "Conv1d": _conv(1), "Conv2d": _conv(2), "Conv3d": _conv(3),
    "ConvTranspose1d": _conv_transpose(1), "ConvTranspose2d": _conv_transpose(2),
    "ConvTranspose3d": _conv_transpose(3),
    "BatchNorm1d": _batch_norm, "BatchNorm2d": _batch_norm, "BatchNorm3d": _batch_norm,
    "InstanceNorm1d": _instance_norm, "InstanceNorm2d": _instance_norm, "InstanceNorm3d": _instance_norm,
    "LayerNorm": _norm("layer_norm", lambda m: text(m.normalized_shape)),
    "GroupNorm": _norm("group_norm", lambda m: text(m.num_groups)),
    "RMSNorm": lambda m: f"torch.rms_norm(input, {text(m.normalized_shape)}, self.weight, {m.eps})",
    "Embedding": _embedding,
    "ReLU": _inplace("relu"), "ReLU6": lambda m: f"torch.hardtanh{'_' if m.inplace else ''}(input, 0., 6.)",
    "ELU": _inplace("elu", "alpha"), "SELU": _inplace("selu"), "CELU": _inplace("celu", "alpha"),
    "SiLU": _inplace("silu"), "Mish": _inplace("mish"), "Hardswish": _inplace("hardswish"),
    "Hardsigmoid": _inplace("hardsigmoid"), "Hardtanh": _inplace("hardtanh", "min_val", "max_val"),
    "LeakyReLU": _inplace("leaky_relu", "negative_slope"),
    "Threshold": _inplace("threshold", "threshold", "value"),
    "GELU": lambda m: f"torch.gelu(input, approximate={text(m.approximate)})",
    "Sigmoid": _call("sigmoid"), "Tanh": _call("tanh"), "LogSigmoid": _call("log_sigmoid"),
    "Softplus": _call("softplus", "beta", "threshold"), "Softshrink": _call("softshrink", "lambd"),
    "Hardshrink": _call("hardshrink", "lambd"), "GLU": _call("glu", "dim"),
    "PReLU": lambda m: "torch.prelu(input, self.weight)",
    "Softsign": lambda m: "torch.div(input, torch.add(torch.abs(input), 1))",
    "Tanhshrink": lambda m: "torch.sub(input, torch.tanh(input))",
    "Softmax": _call("softmax", "dim"), "LogSoftmax": _call("log_softmax", "dim"),
    "Softmin": lambda m: f"torch.softmax(torch.neg(input), {m.dim})",
    "Dropout": _dropout("dropout"), "Dropout1d": _dropout("feature_dropout"),
    "Dropout2d": _dropout("feature_dropout"), "Dropout3d": _dropout("feature_dropout"),
    "AlphaDropout": _dropout("alpha_dropout"), "FeatureAlphaDropout": _dropout("feature_alpha_dropout"),
    "Flatten": _call("flatten", "start_dim", "end_dim"),
    "Unflatten": lambda m: f"torch.unflatten(input, {m.dim}, {text(list(m.unflattened_size))})",
    "MaxPool1d": _max_pool(1), "MaxPool2d": _max_pool(2), "MaxPool3d": _max_pool(3),
    "AvgPool1d": _avg_pool(1), "AvgPool2d": _avg_pool(2), "AvgPool3d": _avg_pool(3),
    **{f"AdaptiveAvgPool{n}d": _adaptive("adaptive_avg_pool", n) for n in (1, 2, 3)},
    **{f"AdaptiveMaxPool{n}d": _adaptive("adaptive_max_pool", n) for n in (1, 2, 3)},
    "PixelShuffle": _call("pixel_shuffle", "upscale_factor"),
    "PixelUnshuffle": _call("pixel_unshuffle", "downscale_factor"),
    "ChannelShuffle": _call("channel_shuffle", "groups"), "Upsample": _upsample,
    **{f"{kind}Pad{n}d": _padded(mode) for n in (1, 2, 3) for kind, mode in (
        ("Zero", "constant"), ("Constant", "constant"), ("Reflection", "reflect"),
        ("Replication", "replicate"), ("Circular", "circular"))},
}  # fmt: skip


# ---------------------------------------------------------------- nn.functional
Function = Callable[[dict[str, str]], str]
_REDUCTION = {"none": "0", "mean": "1", "sum": "2"}

# A function, its operator, and what the operator takes: a parameter, a constant, or option=parameter.
_PLAIN = """
    gelu gelu input approximate=approximate
    sigmoid sigmoid input
    tanh tanh input
    logsigmoid log_sigmoid input
    softplus softplus input beta threshold
    glu glu input dim
    softmax softmax input dim dtype
    log_softmax log_softmax input dim dtype
    linear linear input weight bias
    conv1d conv1d input weight bias stride padding dilation groups
    conv2d conv2d input weight bias stride padding dilation groups
    conv3d conv3d input weight bias stride padding dilation groups
    conv_transpose1d conv_transpose1d input weight bias stride padding output_padding groups dilation
    conv_transpose2d conv_transpose2d input weight bias stride padding output_padding groups dilation
    conv_transpose3d conv_transpose3d input weight bias stride padding output_padding groups dilation
    max_pool1d max_pool1d input kernel_size stride padding dilation ceil_mode
    max_pool2d max_pool2d input kernel_size stride padding dilation ceil_mode
    max_pool3d max_pool3d input kernel_size stride padding dilation ceil_mode
    avg_pool1d avg_pool1d input kernel_size stride padding ceil_mode count_include_pad
    avg_pool2d avg_pool2d input kernel_size stride padding ceil_mode count_include_pad
    avg_pool3d avg_pool3d input kernel_size stride padding ceil_mode count_include_pad
    adaptive_avg_pool1d adaptive_avg_pool1d input output_size
    adaptive_avg_pool2d adaptive_avg_pool2d input output_size
    adaptive_avg_pool3d adaptive_avg_pool3d input output_size
    batch_norm batch_norm input weight bias running_mean running_var training momentum eps True
    layer_norm layer_norm input normalized_shape weight bias eps True
    group_norm group_norm input num_groups weight bias eps True
    pad pad input pad mode value
    one_hot one_hot input num_classes
    pixel_shuffle pixel_shuffle input upscale_factor
    channel_shuffle channel_shuffle input groups
    cosine_similarity cosine_similarity x1 x2 dim eps
    mse_loss mse_loss input target reduction
    l1_loss l1_loss input target reduction
    smooth_l1_loss smooth_l1_loss input target reduction beta
    cross_entropy cross_entropy_loss input target weight reduction ignore_index label_smoothing
    nll_loss nll_loss_nd input target weight reduction ignore_index
    binary_cross_entropy binary_cross_entropy input target weight reduction
    binary_cross_entropy_with_logits binary_cross_entropy_with_logits \
        input target weight pos_weight reduction
    scaled_dot_product_attention scaled_dot_product_attention query key value attn_mask dropout_p is_causal \
        scale=scale enable_gqa=enable_gqa
"""
# The same for those that may work in place.
_INPLACE = """
    relu relu
    selu selu
    silu silu
    mish mish
    hardswish hardswish
    hardsigmoid hardsigmoid
    elu elu alpha
    celu celu alpha
    leaky_relu leaky_relu negative_slope
    hardtanh hardtanh min_val max_val
    relu6 hardtanh 0. 6.
    dropout dropout p training
    dropout2d feature_dropout p training
    alpha_dropout alpha_dropout p training
"""


def _plain(operator: str, *takes: str) -> Function:
    def function(parts: dict[str, str]) -> str:
        arguments = []
        for name in takes:
            option, _, parameter = name.rpartition("=")
            value = parts.get(parameter, parameter)
            if parameter == "reduction":
                if value.strip("'\"") not in _REDUCTION:
                    raise NotImplementedError("a reduction that is no constant")
                value = _REDUCTION[value.strip("'\"")]
            if parameter == "stride" and value == "None":
                value = "[]"
            arguments.append(f"{option}={value}" if option else value)
        return f"torch.{operator}({', '.join(arguments)})"

    return function


def _either(operator: str, *rest: str) -> Function:
    def function(parts: dict[str, str]) -> str:
        arguments = ", ".join([parts["input"], *(parts.get(r, r) for r in rest)])
        flag = parts.get("inplace", "False")
        if flag in ("True", "False"):
            return f"torch.{operator}{'_' if flag == 'True' else ''}({arguments})"
        return f"(torch.{operator}_({arguments}) if {flag} else torch.{operator}({arguments}))"

    return function


def interpolate(parts: dict[str, str]) -> str:
    """``interpolate`` of a mode that is a constant."""
    mode = parts["mode"].strip("'\"")
    stem = {"nearest-exact": "_upsample_nearest_exact"}.get(mode, f"upsample_{mode.removeprefix('tri')}")
    stem = "upsample_trilinear" if mode == "trilinear" else stem
    n = {"linear": 1, "trilinear": 3}.get(mode, 2)
    size, factor = parts.get("size", "None"), parts.get("scale_factor", "None")
    if size != "None" and not size.startswith(("[", "(")):
        size = f"[{', '.join([size] * n)}]"
    if factor != "None" and not factor.startswith(("[", "(")):
        factor = f"[{', '.join([f'float({factor})'] * n)}]"
    align = "" if "nearest" in mode else f", {parts['align_corners'].replace('None', 'False')}"
    return f"torch.{stem}{n}d({parts['input']}, {size}{align}, {factor})"


def _embed(parts: dict[str, str]) -> str:
    known = {**parts, "padding_idx": "-1" if parts["padding_idx"] == "None" else parts["padding_idx"]}
    return _plain("embedding", "weight", "input", "padding_idx", "scale_grad_by_freq", "sparse")(known)


def _normalize(parts: dict[str, str]) -> str:
    x = parts["input"]
    length = f"torch.clamp_min(torch.norm({x}, {parts['p']}, [{parts['dim']}], True), {parts['eps']})"
    return f"torch.div({x}, torch.expand_as({length}, {x}))"


def _table(lines: str, kind: Callable[..., Function]) -> dict[str, Function]:
    rows = [line.split() for line in lines.replace("\\\n", " ").splitlines() if line.strip()]
    return {name: kind(*words) for name, *words in rows}


FUNCTIONS: dict[str, Function] = {
    **_table(_PLAIN, _plain),
    **_table(_INPLACE, _either),
    "softsign": lambda p: f"torch.div({p['input']}, torch.add(torch.abs({p['input']}), 1))",
    **{
        f"adaptive_max_pool{n}d": lambda p, n=n: (
            f"torch.adaptive_max_pool{n}d({p['input']}, {p['output_size']})[0]"
        )
        for n in (1, 2, 3)
    },
    "embedding": _embed,
    "normalize": _normalize,
    "interpolate": interpolate,
}
