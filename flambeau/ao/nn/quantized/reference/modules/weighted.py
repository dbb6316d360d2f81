"""Reference layers with one weight."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ...modules.utils import quantized_of

__all__ = [
    "Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d", "Embedding",
    "EmbeddingBag", "Linear", "ReferenceQuantizedModule", "rounded", "settings",
]  # fmt: skip

F = nn.functional
_PER_CHANNEL = (fb.per_channel_affine, fb.per_channel_symmetric, fb.per_channel_affine_float_qparams)
_ROUNDED = (fb.quint8, fb.qint8, fb.qint32, fb.quint4x2)


def settings(qparams: dict | None) -> dict[str, Any]:
    """How a weight is quantized: scheme, dtype, scale, zero point, axis, bounds."""
    given = qparams or {"qscheme": fb.per_tensor_affine, "dtype": fb.quint8, "scale": 1.0, "zero_point": 0}
    scheme, dtype = given["qscheme"], given["dtype"]
    made: dict[str, Any] = {
        "qscheme": scheme,
        "dtype": dtype,
        "decomposed": given.get("is_decomposed", False),
    }
    if scheme is not None and scheme not in (fb.per_tensor_affine, fb.per_tensor_symmetric, *_PER_CHANNEL):
        raise AssertionError(f"qscheme: {scheme} is not support in reference quantized {dtype}")
    known = scheme is not None and dtype in (*_ROUNDED, fb.int8, fb.uint8, fb.int32)
    zero_dtype = given["zero_point"].dtype if known and isinstance(given["zero_point"], fb.Tensor) else fb.int
    made["scale"] = _copy(given["scale"], fb.float) if known else fb.tensor(1.0, dtype=fb.float)
    made["zero_point"] = _copy(given["zero_point"], zero_dtype) if known else fb.tensor(0, dtype=fb.int)
    made["axis"] = (
        _copy(given["axis"], fb.int) if known and scheme in _PER_CHANNEL else fb.tensor(0, dtype=fb.int)
    )
    made["quant_min"], made["quant_max"] = given.get("quant_min"), given.get("quant_max")
    return made


def _copy(value: Any, dtype: fb.dtype) -> fb.Tensor:
    return value.detach().clone() if isinstance(value, fb.Tensor) else fb.tensor(value, dtype=dtype)


def rounded(weight: fb.Tensor, how: dict) -> Any:
    """The quantized weight; the weight where its dtype needs none (float16 rounds)."""
    if how["dtype"] == fb.float16:
        return weight.to(fb.float16)
    return quantized_of(weight.detach(), how) if how["dtype"] in _ROUNDED else weight


class ReferenceQuantizedModule(nn.Module):
    """A float layer that computes with its weight quantized and back."""

    _IS_REFERENCE = True

    def _init_weight_qparams(self, weight_qparams: dict | None, device: Any) -> None:
        how = settings(weight_qparams)
        if how["decomposed"]:
            raise NotImplementedError("flambeau has no decomposed weights of reference layers")
        self.is_decomposed = False
        self.weight_qscheme, self.weight_dtype = how["qscheme"], how["dtype"]
        for name in ("scale", "zero_point", "axis"):
            self.register_buffer("weight_" + name, how[name].to(device) if device is not None else how[name])
        self.weight_axis_int = int(self.weight_axis)
        self.weight_quant_min, self.weight_quant_max = how["quant_min"], how["quant_max"]

    def _how(self) -> dict:
        names = ("qscheme", "dtype", "scale", "zero_point", "axis")
        return {name: getattr(self, "weight_" + name) for name in names}

    def get_weight(self) -> fb.Tensor:
        """The weight quantized and back."""
        made = rounded(self.weight, self._how())
        return made.dequantize() if made.is_quantized else made.to(fb.float)

    def get_quantized_weight(self) -> Any:
        """The quantized weight."""
        return rounded(self.weight, self._how())

    def _get_name(self) -> str:
        return f"Quantized{type(self).__name__}(Reference)"

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight_qscheme"] = self.weight_qscheme
        destination[prefix + "weight_dtype"] = self.weight_dtype

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        for name in ("qscheme", "dtype"):
            key = f"{prefix}weight_{name}"
            if key in state_dict:
                setattr(self, "weight_" + name, state_dict.pop(key))
        for name in ("scale", "zero_point", "axis"):
            if (value := state_dict.get(f"{prefix}weight_{name}")) is not None:
                self._buffers["weight_" + name] = value.detach().clone()
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    @classmethod
    def _arguments(cls, mod: nn.Module) -> tuple[tuple, dict]:
        raise NotImplementedError

    @classmethod
    def from_float(cls, float_module: nn.Module, weight_qparams: dict) -> Any:
        """The layer with a float one's weight and bias."""
        args, options = cls._arguments(float_module)
        made = cls(*args, **options, weight_qparams=weight_qparams)
        made.weight = nn.Parameter(float_module.weight.detach())
        if getattr(float_module, "bias", None) is not None:
            made.bias = nn.Parameter(float_module.bias.detach())
        return made


class Linear(ReferenceQuantizedModule, nn.Linear):
    """A linear layer."""

    def __init__(
        self, in_features: int, out_features: int, bias_: bool = True, device: Any = None, dtype: Any = None,
        weight_qparams: dict | None = None,
    ) -> None:  # fmt: skip
        nn.Linear.__init__(self, in_features, out_features, bias_, device, dtype)
        self._init_weight_qparams(weight_qparams, device)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """The layer."""
        return F.linear(x, self.get_weight(), self.bias)

    @classmethod
    def _arguments(cls, mod: nn.Module) -> tuple[tuple, dict]:
        return (mod.in_features, mod.out_features, mod.bias is not None), {}


def _convolution(name: str, base: type) -> type:
    transposed = "Transpose" in name

    def __init__(self: Any, *args: Any, weight_qparams: dict | None = None, **kwargs: Any) -> None:
        names = _TRANSPOSED if transposed else _PLAIN
        options = {**dict(zip(names, args)), **kwargs}
        weight_qparams = options.pop("weight_qparams", weight_qparams)
        base.__init__(self, **options)
        self._init_weight_qparams(weight_qparams, options.get("device"))

    def forward(self: Any, x: fb.Tensor, output_size: Any = None) -> fb.Tensor:
        """The convolution."""
        weight = self.get_weight()
        if not transposed:
            return self._conv_forward(x, weight, self.bias)
        dims = len(self.kernel_size)
        extra = self._output_padding(
            x, output_size, self.stride, self.padding, self.kernel_size, dims, self.dilation
        )
        f = getattr(F, f"conv_transpose{dims}d")
        return f(x, weight, self.bias, self.stride, self.padding, extra, self.groups, self.dilation)

    @classmethod
    def _arguments(cls: Any, mod: nn.Module) -> tuple[tuple, dict]:
        options = {n: getattr(mod, n) for n in ("stride", "padding", "dilation", "groups", "padding_mode")}
        if transposed:
            options["output_padding"] = mod.output_padding
        return (mod.in_channels, mod.out_channels, mod.kernel_size), {**options, "bias": mod.bias is not None}

    body = {"__init__": __init__, "forward": forward, "_arguments": _arguments, "__module__": __name__}
    return type(
        name, (ReferenceQuantizedModule, base), {**body, "__qualname__": name, "__doc__": f"`{name}`."}
    )


_PLAIN = "in_channels out_channels kernel_size stride padding dilation groups bias padding_mode device dtype weight_qparams".split()  # noqa: E501
_TRANSPOSED = "in_channels out_channels kernel_size stride padding output_padding groups bias dilation padding_mode device dtype weight_qparams".split()  # noqa: E501
Conv1d, Conv2d, Conv3d = (_convolution(f"Conv{n}d", getattr(nn, f"Conv{n}d")) for n in (1, 2, 3))
ConvTranspose1d, ConvTranspose2d, ConvTranspose3d = (
    _convolution(f"ConvTranspose{n}d", getattr(nn, f"ConvTranspose{n}d")) for n in (1, 2, 3)
)


class Embedding(ReferenceQuantizedModule, nn.Embedding):
    """An embedding."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Any = None, device: Any = None, dtype: Any = None,
        weight_qparams: dict | None = None,
    ) -> None:  # fmt: skip
        nn.Embedding.__init__(
            self, num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            _weight, device=device, dtype=dtype,
        )  # fmt: skip
        self._init_weight_qparams(weight_qparams, device)

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        """The rows of indices."""
        return F.embedding(
            input, self.get_weight(), self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip

    @classmethod
    def _arguments(cls, mod: nn.Module) -> tuple[tuple, dict]:
        names = ("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse")
        return (mod.num_embeddings, mod.embedding_dim), {n: getattr(mod, n) for n in names}


class EmbeddingBag(ReferenceQuantizedModule, nn.EmbeddingBag):
    """Sums or means of the rows of bags."""

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False, _weight: Any = None,
        include_last_offset: bool = False, padding_idx: int | None = None, device: Any = None,
        dtype: Any = None, weight_qparams: dict | None = None,
    ) -> None:  # fmt: skip
        nn.EmbeddingBag.__init__(
            self, num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, mode, sparse,
            _weight,
            include_last_offset, padding_idx, device, dtype,
        )  # fmt: skip
        self._init_weight_qparams(weight_qparams, device)

    def forward(self, input: fb.Tensor, offsets: Any = None, per_sample_weights: Any = None) -> fb.Tensor:
        """The sums or means."""
        return F.embedding_bag(
            input, self.get_weight(), offsets, self.max_norm, self.norm_type, self.scale_grad_by_freq,
            self.mode, self.sparse, per_sample_weights, self.include_last_offset, self.padding_idx,
        )  # fmt: skip

    @classmethod
    def _arguments(cls, mod: nn.Module) -> tuple[tuple, dict]:
        names = (
            "max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse", "include_last_offset",
            "padding_idx",
        )  # fmt: skip
        return (mod.num_embeddings, mod.embedding_dim), {n: getattr(mod, n) for n in names}
