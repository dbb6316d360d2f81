"""What quantized layers have in common."""

from __future__ import annotations

import abc
from typing import Any

import flambeau as fb
from flambeau import nn

__all__ = [
    "WeightedQuantizedModule",
    "folded",
    "load_qparams",
    "observed_qparams",
    "quantized_weight",
    "save_qparams",
    "swapped_qparams",
]


class WeightedQuantizedModule(nn.Module, metaclass=abc.ABCMeta):
    """A layer with a quantized weight."""

    @classmethod
    @abc.abstractmethod
    def from_reference(cls, ref_module: nn.Module, output_scale: float, output_zero_point: int) -> Any:
        """The layer of a reference layer."""
        raise NotImplementedError


def save_qparams(mod: nn.Module, destination: dict, prefix: str) -> None:
    """How the result is quantized, into a state dict."""
    destination[prefix + "scale"] = fb.tensor(mod.scale)
    destination[prefix + "zero_point"] = fb.tensor(mod.zero_point)


def load_qparams(mod: nn.Module, state_dict: dict, prefix: str) -> None:
    """What `save_qparams` wrote, taken out of a state dict."""
    mod.scale = float(state_dict.pop(prefix + "scale"))
    mod.zero_point = int(state_dict.pop(prefix + "zero_point"))


def folded(mod: nn.Module) -> nn.Module:
    """A layer trained with batch normalisation has that folded into its weight."""
    bn = getattr(mod, "bn", None)
    if isinstance(bn, nn.modules.batchnorm._BatchNorm):
        from flambeau.nn.utils import fusion

        linear = isinstance(mod, nn.Linear)
        fuse = fusion.fuse_linear_bn_weights if linear else fusion.fuse_conv_bn_weights
        mod.weight, mod.bias = fuse(
            mod.weight, mod.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias
        )
    return mod


def observed_qparams(observer: Any) -> tuple[float, int]:
    """The scale and zero point of an observer's output, as numbers."""
    scale, zero = observer.calculate_qparams()
    return float(scale), int(zero)


def _clamped(w: fb.Tensor, observer: Any, scales: fb.Tensor, zeros: fb.Tensor) -> fb.Tensor:
    """Weights within the range that the observer's integers reach, plus half a step."""
    low, high = getattr(observer, "quant_min", None), getattr(observer, "quant_max", None)
    if low is None or (low, high) == (-128, 127):
        return w
    shape = [1] * w.dim()
    axis = getattr(observer, "ch_axis", -1)
    if axis >= 0 and scales.numel() > 1:
        shape[axis] = -1
    s, z = (
        scales.float().reshape(shape if scales.numel() > 1 else ()),
        zeros.reshape(shape if zeros.numel() > 1 else ()),
    )
    return w.clamp((low - z) * s, (high - z) * s)


def quantized_weight(weight: fb.Tensor, observer: Any) -> Any:
    """The weight as int8 with the scales that an observer of it found.

    Parameters
    ----------
    weight : float32.
    observer : has ``calculate_qparams()`` and ``qscheme``, and ``ch_axis`` with scales of channels.
    """
    scales, zeros = observer.calculate_qparams()
    weight = _clamped(weight.detach().float(), observer, scales, zeros)
    if observer.qscheme in (fb.per_tensor_symmetric, fb.per_tensor_affine):
        return fb.quantize_per_tensor(weight, float(scales), int(zeros), fb.qint8)
    if observer.qscheme in (fb.per_channel_symmetric, fb.per_channel_affine):
        return fb.quantize_per_channel(
            weight, scales.to(fb.double), zeros.to(fb.int64), observer.ch_axis, fb.qint8
        )
    if observer.qscheme == fb.per_channel_affine_float_qparams:
        return fb.quantize_per_channel(
            weight, scales.to(fb.float), zeros.to(fb.float), observer.ch_axis, observer.dtype
        )
    raise ValueError(f"Unexpected qscheme {observer.qscheme}")


def swapped_qparams(mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
    """The observer of a layer's weight, which has seen it."""
    observer = getattr(mod, "weight_fake_quant", None)
    if observer is None:
        observer = mod.qconfig.weight()
        observer(mod.weight)
    elif not use_precomputed_fake_quant:
        observer(mod.weight)
    return observer


def quantized_of(weight: fb.Tensor, qparams: dict) -> Any:
    """The weight as a reference layer's settings say."""
    scheme, dtype = qparams["qscheme"], qparams["dtype"]
    if scheme in (fb.per_tensor_symmetric, fb.per_tensor_affine):
        return fb.quantize_per_tensor(weight, float(qparams["scale"]), int(qparams["zero_point"]), dtype)
    if scheme in (fb.per_channel_symmetric, fb.per_channel_affine, fb.per_channel_affine_float_qparams):
        return fb.quantize_per_channel(
            weight,
            fb.as_tensor(qparams["scale"]),
            fb.as_tensor(qparams["zero_point"]),
            int(qparams["axis"]),
            dtype,
        )
    raise ValueError(f"Unexpected qscheme {scheme}")
