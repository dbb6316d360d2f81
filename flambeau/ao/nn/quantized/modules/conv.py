"""Quantized convolutions."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn.modules.utils import _pair, _single, _triple

from .utils import (
    WeightedQuantizedModule,
    folded,
    load_qparams,
    observed_qparams,
    quantized_weight,
    save_qparams,
    swapped_qparams,
)

__all__ = ["Conv1d", "Conv2d", "Conv3d", "ConvTranspose1d", "ConvTranspose2d", "ConvTranspose3d"]

_MODES = ("zeros", "reflect")
_TUPLES = {1: _single, 2: _pair, 3: _triple}


def _integers(value: Any, name: str) -> Any:
    if isinstance(value, str):
        raise RuntimeError(f"quantized convolution: {name} must be numbers, not '{value}'")
    return value


class _ConvNd(WeightedQuantizedModule):
    """A convolution of quantized tensors, in steps of `scale` from `zero_point`."""

    _dims = 0
    _op = "conv"

    def _init(
        self, in_channels: int, out_channels: int, kernel_size: Any, stride: Any, padding: Any, dilation: Any,
        transposed: bool, output_padding: Any, groups: int, bias: bool, padding_mode: str = "zeros",
    ) -> None:  # fmt: skip
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if padding_mode not in (("zeros",) if self._dims == 3 else _MODES):
            raise ValueError(f"'padding_mode' {padding_mode} is not supported by quantized convolution")
        as_tuple = _TUPLES[self._dims]
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = as_tuple(kernel_size), as_tuple(stride)
        self.padding, self.dilation = as_tuple(_integers(padding, "padding")), as_tuple(dilation)
        self.transposed, self.output_padding = transposed, as_tuple(output_padding)
        self.groups, self.padding_mode = groups, padding_mode
        first, second = (in_channels, out_channels) if transposed else (out_channels, in_channels)
        shape = [first, second // groups, *self.kernel_size]
        weight = fb._empty_affine_quantized(shape, scale=1, zero_point=0, dtype=fb.qint8)
        self.set_weight_bias(weight, fb.zeros(out_channels, dtype=fb.float) if bias else None)
        self.scale, self.zero_point = 1.0, 0

    def _get_name(self) -> str:
        return f"Quantized{'ConvTranspose' if self.transposed else 'Conv'}{self._dims}d"

    def set_weight_bias(self, w: Any, b: fb.Tensor | None) -> None:
        """Prepare a weight and a bias."""
        pack = getattr(fb.ops.quantized, f"{self._op}{self._dims}d_prepack")
        padding = [0] * self._dims if self.padding_mode != "zeros" else self.padding
        extra = (self.output_padding,) if self.transposed else ()
        self._packed_params = pack(w, b, self.stride, padding, *extra, self.dilation, self.groups)

    def _weight_bias(self) -> tuple:
        return self._packed_params.unpack()

    def weight(self) -> Any:
        """The quantized weight."""
        return self._weight_bias()[0]

    def bias(self) -> Any:
        """The bias."""
        return self._weight_bias()[1]

    def extra_repr(self) -> str:
        """Sizes and how the result is quantized."""
        s = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        s += f", scale={self.scale}, zero_point={self.zero_point}"
        defaults = {"padding": (0,), "dilation": (1,), "output_padding": (0,)}
        for name, default in defaults.items():
            value = getattr(self, name)
            if value != default * len(value):
                s += f", {name}={value}"
        if self.groups != 1:
            s += f", groups={self.groups}"
        return s if self.bias() is not None else s + ", bias=False"

    def _padded(self, x: Any) -> Any:
        if len(x.shape) != self._dims + 2:
            shape = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[self._dims - 1]
            raise ValueError(f"Input shape must be `{shape}`!")
        if self.padding_mode == "zeros":
            return x
        sides = [p for p in reversed(self.padding) for _ in range(2)]
        return fb.nn.functional.pad(x, sides, mode=self.padding_mode)

    def forward(self, input: Any) -> Any:
        """The convolution of a quantized tensor."""
        op = getattr(fb.ops.quantized, f"{self._op}{self._dims}d")
        return op(self._padded(input), self._packed_params, self.scale, self.zero_point)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "weight"], destination[prefix + "bias"] = self._weight_bias()
        save_qparams(self, destination, prefix)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        self.set_weight_bias(state_dict.pop(prefix + "weight"), state_dict.pop(prefix + "bias"))
        load_qparams(self, state_dict, prefix)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def __deepcopy__(self, memo: dict) -> Any:
        made = type(self).__new__(type(self))
        nn.Module.__init__(made)
        made.__dict__.update({k: v for k, v in self.__dict__.items() if not k.startswith("_")})
        made._packed_params = self._packed_params
        return made

    def __copy__(self) -> Any:
        return self.__deepcopy__({})

    @classmethod
    def _like(cls, mod: nn.Module) -> Any:
        """An empty layer with the geometry of another one."""
        extra = {"output_padding": mod.output_padding} if mod.transposed else {}
        return cls(
            mod.in_channels, mod.out_channels, mod.kernel_size, stride=mod.stride, padding=mod.padding,
            dilation=mod.dilation, groups=mod.groups, bias=mod.bias is not None,
            padding_mode=mod.padding_mode, **extra,
        )  # fmt: skip

    @classmethod
    def get_qconv(cls, mod: nn.Module, activation_post_process: Any, weight_post_process: Any = None) -> Any:
        """The layer of a float one, its observers given."""
        observer = weight_post_process
        if observer is None:
            observer = mod.qconfig.weight()
        observer(mod.weight)
        return cls._made(mod, activation_post_process, observer)

    @classmethod
    def _made(cls, mod: nn.Module, output: Any, observer: Any) -> Any:
        if observer.dtype != fb.qint8:
            raise AssertionError(f"Weight observer must have a dtype of qint8, got {observer.dtype}")
        made = cls._like(mod)
        made.set_weight_bias(quantized_weight(mod.weight, observer), mod.bias)
        if output is not None and output.dtype in (fb.quint8, fb.qint8, fb.qint32):
            made.scale, made.zero_point = observed_qparams(output)
        return made

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one that was observed, or trained with rounding acted out.

        Parameters
        ----------
        mod : has a ``qconfig`` and an ``activation_post_process``.
        use_precomputed_fake_quant : take the weight's scales as they are.
        """
        output = getattr(mod, "activation_post_process", None)
        if hasattr(mod, "weight_fake_quant"):
            mod = folded(mod)
        else:
            kind = type(mod)
            if isinstance(mod, nn.Sequential):
                mod = mod[0]
            if not isinstance(mod, (nn.modules.conv._ConvNd,)) or mod.transposed != (cls._op != "conv"):
                raise AssertionError(
                    f" nnq.{cls.__name__}.from_float only works for {cls.__name__}, but got: {kind}"
                )
            if not hasattr(mod, "qconfig"):
                raise AssertionError("Input float module must have qconfig defined.")
        return cls._made(mod, output, swapped_qparams(mod, use_precomputed_fake_quant))

    @classmethod
    def from_reference(cls, ref_qconv: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer."""
        made = cls._like(ref_qconv)
        made.set_weight_bias(ref_qconv.get_quantized_weight(), ref_qconv.bias)
        made.scale, made.zero_point = float(output_scale), int(output_zero_point)
        return made


def _layer(name: str, dims: int, float_kind: type) -> type:
    def __init__(
        self: Any, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        dilation: Any = 1, groups: int = 1, bias: bool = True, padding_mode: str = "zeros",
        device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        self._init(
            in_channels, out_channels, kernel_size, stride, padding, dilation, False, 0, groups, bias,
            padding_mode,
        )  # fmt: skip

    body = {"__init__": __init__, "_dims": dims, "_op": "conv", "_FLOAT_MODULE": float_kind}
    return _named(name, body, f"Convolution over {dims} dimensions of a quantized tensor.")


def _transposed(name: str, dims: int, float_kind: type) -> type:
    def __init__(
        self: Any, in_channels: int, out_channels: int, kernel_size: Any, stride: Any = 1, padding: Any = 0,
        output_padding: Any = 0, groups: int = 1, bias: bool = True, dilation: Any = 1,
        padding_mode: str = "zeros", device: Any = None, dtype: Any = None,
    ) -> None:  # fmt: skip
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {type(self).__name__}')
        self._init(
            in_channels, out_channels, kernel_size, stride, padding, dilation, True, output_padding, groups,
            bias,
        )  # fmt: skip

    body = {"__init__": __init__, "_dims": dims, "_op": "conv_transpose", "_FLOAT_MODULE": float_kind}
    return _named(name, body, f"Transposed convolution over {dims} dimensions of a quantized tensor.")


def _named(name: str, body: dict, doc: str) -> type:
    body["__init__"].__qualname__ = f"{name}.__init__"
    return type(_ConvNd)(
        name, (_ConvNd,), {**body, "__module__": __name__, "__qualname__": name, "__doc__": doc}
    )


Conv1d = _layer("Conv1d", 1, nn.Conv1d)
Conv2d = _layer("Conv2d", 2, nn.Conv2d)
Conv3d = _layer("Conv3d", 3, nn.Conv3d)
ConvTranspose1d = _transposed("ConvTranspose1d", 1, nn.ConvTranspose1d)
ConvTranspose2d = _transposed("ConvTranspose2d", 2, nn.ConvTranspose2d)
ConvTranspose3d = _transposed("ConvTranspose3d", 3, nn.ConvTranspose3d)
