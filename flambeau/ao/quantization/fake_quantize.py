"""Quantization played through with floating point numbers, so that networks can be trained for it."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.ao.quantization._observer_base import FakeQuantizeBase
from flambeau.ao.quantization.observer import (
    FixedQParamsObserver,
    HistogramObserver,
    MovingAverageMinMaxObserver,
    MovingAveragePerChannelMinMaxObserver,
    default_fixed_qparams_range_0to1_observer,
    default_fixed_qparams_range_neg1to1_observer,
)
from flambeau.ao.quantization.utils import is_per_channel as _is_per_channel
from flambeau.ao.quantization.utils import is_per_tensor as _is_per_tensor
from flambeau.nn import Module

__all__ = [
    "FakeQuantizeBase", "FakeQuantize", "FixedQParamsFakeQuantize", "FusedMovingAvgObsFakeQuantize",
    "disable_fake_quant", "disable_observer", "enable_fake_quant", "enable_observer", "default_fake_quant",
    "default_weight_fake_quant", "default_dynamic_fake_quant",
    "default_fixed_qparams_range_neg1to1_fake_quant", "default_fixed_qparams_range_0to1_fake_quant",
    "default_symmetric_fixed_qparams_fake_quant", "default_affine_fixed_qparams_fake_quant",
    "default_per_channel_weight_fake_quant", "default_embedding_fake_quant",
    "default_embedding_fake_quant_4bit", "default_histogram_fake_quant", "default_fused_act_fake_quant",
    "default_fused_wt_fake_quant", "default_fused_per_channel_wt_fake_quant",
    "fused_wt_fake_quant_range_neg_127_to_127", "fused_per_channel_wt_fake_quant_range_neg_127_to_127",
]  # fmt: skip


FakeQuantizeBase.__module__ = __name__  # the place that pickles and printed settings name


def _is_symmetric_quant(qscheme: Any) -> bool:
    return qscheme in (fb.per_tensor_symmetric, fb.per_channel_symmetric)


def _is_float_qparams(qscheme: Any) -> bool:
    return qscheme == fb.per_channel_affine_float_qparams


class FakeQuantize(FakeQuantizeBase):
    """``(clamp(round(x / scale) + zero_point, quant_min, quant_max) - zero_point) * scale``.

    Parameters
    ----------
    observer : constructor
        Of the observer that finds scale and zero point.
    quant_min, quant_max : int, optional
    is_dynamic : bool
    observer_kwargs
        Arguments of the constructor.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(
        self, observer: Any = MovingAverageMinMaxObserver, quant_min: int | None = None,
        quant_max: int | None = None, is_dynamic: bool = False, **observer_kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if quant_min is not None and quant_max is not None:
            if quant_min > quant_max:
                raise AssertionError("quant_min must be less than or equal to quant_max")
            dtype = observer_kwargs.get("dtype", fb.quint8)
            if hasattr(observer, "p"):
                dtype = getattr(observer.p, "keywords", {}).get("dtype", dtype)
            if fb.iinfo(dtype).min > quant_min:
                raise AssertionError("quant_min out of bound")
            if quant_max > fb.iinfo(dtype).max:
                raise AssertionError("quant_max out of bound")
            observer_kwargs.update(quant_min=quant_min, quant_max=quant_max)
        seer = observer(**observer_kwargs, is_dynamic=is_dynamic)
        self.activation_post_process = seer
        self.quant_min, self.quant_max, self.is_dynamic = seer.quant_min, seer.quant_max, seer.is_dynamic
        zero_type = fb.float if _is_float_qparams(seer.qscheme) else fb.int
        self.register_buffer("scale", fb.tensor([1.0], dtype=fb.float))
        self.register_buffer("zero_point", fb.tensor([0], dtype=zero_type))
        self.dtype, self.qscheme = seer.dtype, seer.qscheme
        self.ch_axis = getattr(seer, "ch_axis", -1)
        self.is_per_channel = _is_per_channel(self.qscheme)
        if not (self.is_per_channel or _is_per_tensor(self.qscheme)):
            raise AssertionError(
                "Only per channel and per tensor quantization are supported in fake quantize got qscheme: "
                f"{self.qscheme}"
            )

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        return self.activation_post_process.calculate_qparams()

    def _put(self, name: str, value: Tensor) -> None:
        own = getattr(self, name)
        if own.shape != value.shape:
            own.resize_(value.shape)
        own.copy_(value)

    def forward(self, X: Tensor) -> Tensor:
        """The tensor with the errors of quantization."""
        if self.observer_enabled[0] == 1:
            self.activation_post_process(X.detach())
            scale, zero_point = self.calculate_qparams()
            self._put("scale", scale)
            self._put("zero_point", zero_point)
        if self.fake_quant_enabled[0] != 1:
            return X
        span = self.activation_post_process.quant_min, self.activation_post_process.quant_max
        # the backward keeps them, and the next call may write into the buffers
        scale, zero_point = self.scale.clone(), self.zero_point.clone()
        if self.is_per_channel:
            return fb.fake_quantize_per_channel_affine(X, scale, zero_point, self.ch_axis, *span)
        return fb.fake_quantize_per_tensor_affine(X, scale, zero_point, *span)

    def extra_repr(self) -> str:
        """Switches, range, type, scale and zero point."""
        seer = self.activation_post_process
        return (
            f"fake_quant_enabled={self.fake_quant_enabled}, observer_enabled={self.observer_enabled}, "
            f"quant_min={seer.quant_min}, quant_max={seer.quant_max}, "
            f"dtype={self.dtype}, qscheme={self.qscheme}, ch_axis={self.ch_axis}, "
            f"scale={self.scale}, zero_point={self.zero_point}"
        )

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list[str],
        *rest: Any,
    ) -> None:  # fmt: skip
        for name in ("scale", "zero_point"):
            key = prefix + name
            if key in state_dict:  # as many channels as there are in the file
                getattr(self, name).resize_(state_dict[key].shape)
            elif strict:
                missing_keys.append(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, *rest)


class FixedQParamsFakeQuantize(FakeQuantize):
    """`FakeQuantize` whose scale and zero point are given.

    Parameters
    ----------
    observer : constructor
        Of a `FixedQParamsObserver`.
    """

    def __init__(self, observer: Any) -> None:
        super().__init__(observer=observer)
        if type(self.activation_post_process) is not FixedQParamsObserver:
            raise AssertionError(
                f"{self.__class__.__name__}'s observer must be a {FixedQParamsObserver.__name__}"
            )
        self._observer_ctr = observer
        self.scale = self.activation_post_process.scale
        self.zero_point = self.activation_post_process.zero_point
        if not _is_per_tensor(self.qscheme):
            raise AssertionError(
                "Only per tensor quantization is supported FixedQParamsFakeQuantize module, got qscheme:"
                f"{self.qscheme}"
            )

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        return self.scale, self.zero_point

    def extra_repr(self) -> str:
        """Switches, scale and zero point, type and range."""
        seer = self.activation_post_process
        return (
            f"fake_quant_enabled={self.fake_quant_enabled}, observer_enabled={self.observer_enabled}, "
            f"scale={self.scale}, zero_point={self.zero_point}, "
            f"dtype={self.dtype}, quant_min={seer.quant_min}, quant_max={seer.quant_max}, "
            f"qscheme={self.qscheme}"
        )


class FusedMovingAvgObsFakeQuantize(FakeQuantize):
    """`FakeQuantize` with moving averages, all in one operator.

    Parameters
    ----------
    observer : constructor
    quant_min, quant_max : int
    """

    def __init__(
        self, observer: Any = MovingAverageMinMaxObserver, quant_min: int = 0, quant_max: int = 255,
        **observer_kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(observer, quant_min, quant_max, **observer_kwargs)
        averaging = (MovingAverageMinMaxObserver, MovingAveragePerChannelMinMaxObserver)
        if not isinstance(self.activation_post_process, averaging):
            raise AssertionError(
                "Fused observer+fake_quant module only works with MovingAverageMinMaxObserver"
            )
        self.register_buffer("fake_quant_enabled", fb.tensor([1], dtype=fb.long))
        self.register_buffer("observer_enabled", fb.tensor([1], dtype=fb.long))
        self.is_symmetric_quant = _is_symmetric_quant(self.activation_post_process.qscheme)

    def extra_repr(self) -> str:
        """Switches, scale and zero point, type and range."""
        seer = self.activation_post_process
        return (
            f"fake_quant_enabled={self.fake_quant_enabled}, observer_enabled={self.observer_enabled}, "
            f"scale={self.scale}, zero_point={self.zero_point}, dtype={self.dtype}, "
            f"quant_min={seer.quant_min}, quant_max={seer.quant_max}, "
            f"qscheme={self.qscheme}, reduce_range={seer.reduce_range}"
        )

    def forward(self, X: Tensor) -> Tensor:
        """The tensor with the errors of quantization."""
        seer = self.activation_post_process
        return fb.fused_moving_avg_obs_fake_quant(
            X, self.observer_enabled, self.fake_quant_enabled, seer.min_val, seer.max_val, self.scale,
            self.zero_point, seer.averaging_constant, seer.quant_min, seer.quant_max, self.ch_axis,
            self.is_per_channel, self.is_symmetric_quant,
        )  # fmt: skip


_UNSIGNED = {"quant_min": 0, "quant_max": 255, "dtype": fb.quint8}
_SIGNED = {"quant_min": -128, "quant_max": 127, "dtype": fb.qint8}
_EVEN = {"quant_min": -127, "quant_max": 127, "dtype": fb.qint8, "eps": 2**-12}
_ONE = {"observer": MovingAverageMinMaxObserver}
_EACH = {"observer": MovingAveragePerChannelMinMaxObserver}
_SYMMETRIC = {"qscheme": fb.per_tensor_symmetric}
_SYMMETRIC_CHANNELS = {"qscheme": fb.per_channel_symmetric}
_FLOAT_ZEROS = {"qscheme": fb.per_channel_affine_float_qparams, "ch_axis": 0, "averaging_constant": 1}

default_fake_quant = FakeQuantize.with_args(
    **_ONE, **_UNSIGNED, qscheme=fb.per_tensor_affine, reduce_range=True
)
default_weight_fake_quant = FakeQuantize.with_args(**_ONE, **_SIGNED, **_SYMMETRIC, reduce_range=False)
default_dynamic_fake_quant = FakeQuantize.with_args(
    **_ONE, **_UNSIGNED, is_dynamic=True, averaging_constant=1
)
default_fixed_qparams_range_neg1to1_fake_quant = FixedQParamsFakeQuantize.with_args(
    observer=default_fixed_qparams_range_neg1to1_observer
)
default_fixed_qparams_range_0to1_fake_quant = FixedQParamsFakeQuantize.with_args(
    observer=default_fixed_qparams_range_0to1_observer
)
default_symmetric_fixed_qparams_fake_quant = default_fixed_qparams_range_neg1to1_fake_quant
default_affine_fixed_qparams_fake_quant = default_fixed_qparams_range_0to1_fake_quant
default_per_channel_weight_fake_quant = FakeQuantize.with_args(
    **_EACH, **_SIGNED, **_SYMMETRIC_CHANNELS, reduce_range=False, ch_axis=0
)
default_embedding_fake_quant = FakeQuantize.with_args(**_EACH, **_UNSIGNED, **_FLOAT_ZEROS)
default_embedding_fake_quant_4bit = FakeQuantize.with_args(**_EACH, dtype=fb.quint4x2, **_FLOAT_ZEROS)
default_histogram_fake_quant = FakeQuantize.with_args(
    observer=HistogramObserver, **_UNSIGNED, qscheme=fb.per_tensor_affine, reduce_range=True
)
default_fused_act_fake_quant = FusedMovingAvgObsFakeQuantize.with_args(**_ONE, **_UNSIGNED)
default_fused_wt_fake_quant = FusedMovingAvgObsFakeQuantize.with_args(**_ONE, **_SIGNED, **_SYMMETRIC)
default_fused_per_channel_wt_fake_quant = FusedMovingAvgObsFakeQuantize.with_args(
    **_EACH, **_SIGNED, **_SYMMETRIC_CHANNELS
)
fused_wt_fake_quant_range_neg_127_to_127 = FusedMovingAvgObsFakeQuantize.with_args(
    **_ONE, **_EVEN, **_SYMMETRIC
)
fused_per_channel_wt_fake_quant_range_neg_127_to_127 = FusedMovingAvgObsFakeQuantize.with_args(
    **_EACH, **_EVEN, **_SYMMETRIC_CHANNELS
)


def disable_fake_quant(mod: Module) -> None:
    """For ``model.apply``: put no errors in."""
    if isinstance(mod, FakeQuantizeBase):
        mod.disable_fake_quant()


def enable_fake_quant(mod: Module) -> None:
    """For ``model.apply``: put errors in."""
    if isinstance(mod, FakeQuantizeBase):
        mod.enable_fake_quant()


def disable_observer(mod: Module) -> None:
    """For ``model.apply``: look at no tensors."""
    if isinstance(mod, FakeQuantizeBase):
        mod.disable_observer()


def enable_observer(mod: Module) -> None:
    """For ``model.apply``: look at tensors."""
    if isinstance(mod, FakeQuantizeBase):
        mod.enable_observer()
