"""Observers: modules that look at tensors and find scale and zero point."""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, NoReturn

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.quantization._granularity import *  # noqa: F403
from flambeau.ao.quantization._granularity import AffineQuantizedObserverBase
from flambeau.ao.quantization._granularity import __all__ as _granularity
from flambeau.ao.quantization._histogram import HistogramObserver
from flambeau.ao.quantization._observer_base import (
    _EPS,
    _INF,
    ABC,
    FakeQuantizeBase,
    ObserverBase,
    UniformQuantizationObserverBase,
    _Extremes,
    _ObserverBase,  # noqa: F401
)
from flambeau.ao.quantization._partial import _PartialWrapper  # noqa: F401
from flambeau.ao.quantization._partial import with_args as _with_args  # noqa: F401
from flambeau.ao.quantization._partial import with_callable_args as _with_callable_args  # noqa: F401
from flambeau.ao.quantization.utils import is_per_channel, is_per_tensor

__all__ = [
    "default_affine_fixed_qparams_observer", "default_debug_observer", "default_dynamic_quant_observer",
    "default_fixed_qparams_range_0to1_observer", "default_fixed_qparams_range_neg1to1_observer",
    "default_float_qparams_observer", "default_float_qparams_observer_4bit", "default_histogram_observer",
    "default_observer", "default_per_channel_weight_observer", "default_placeholder_observer",
    "default_reuse_input_observer", "default_symmetric_fixed_qparams_observer", "default_weight_observer",
    "get_observer_state_dict", "load_observer_state_dict", "per_channel_weight_observer_range_neg_127_to_127",
    "weight_observer_range_neg_127_to_127", "FixedQParamsObserver", "HistogramObserver", "MinMaxObserver",
    "MovingAverageMinMaxObserver", "MovingAveragePerChannelMinMaxObserver", "NoopObserver", "ObserverBase",
    "PerChannelMinMaxObserver", "PlaceholderObserver", "RecordingObserver", "ReuseInputObserver",
    "UniformQuantizationObserverBase", *_granularity,
]  # fmt: skip

for _class in (ObserverBase, UniformQuantizationObserverBase, HistogramObserver, ABC):
    _class.__module__ = __name__  # the place that pickles and printed settings name


class MinMaxObserver(_Extremes):
    """Keeps the least and the greatest number seen.

    Parameters as those of `UniformQuantizationObserverBase`.
    """

    def __init__(
        self, dtype: fb.dtype = fb.quint8, qscheme: Any = fb.per_tensor_affine, reduce_range: bool = False,
        quant_min: int | None = None, quant_max: int | None = None, factory_kwargs: dict | None = None,
        eps: float = _EPS, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if not is_per_tensor(qscheme):
            raise NotImplementedError(
                "MinMaxObserver's qscheme only support torch.per_tensor_symmetric"
                "                     and torch.per_tensor_affine."
            )
        super().__init__(
            dtype, qscheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic, **kwargs
        )
        options = nn.factory_kwargs(factory_kwargs)
        self.register_buffer("min_val", fb.tensor(_INF, **options))
        self.register_buffer("max_val", fb.tensor(-_INF, **options))
        if qscheme == fb.per_tensor_symmetric and reduce_range and dtype == fb.quint8:
            raise NotImplementedError(
                "Cannot reduce range for symmetric                                        "
                "quantization for quint8"
            )

    def forward(self, x_orig: Tensor) -> Tensor:
        """Look at the tensor and give it back."""
        if x_orig.numel() != 0:
            low, high = fb.aminmax(x_orig.detach().to(self.min_val.dtype))
            self._keep(fb.min(low, self.min_val), fb.max(high, self.max_val))
        return x_orig

    def reset_min_max_vals(self) -> None:
        """Forget what was seen."""
        self.min_val.fill_(_INF)
        self.max_val.fill_(-_INF)


class MovingAverageMinMaxObserver(MinMaxObserver):
    """Keeps moving averages of the minima and maxima of the tensors seen.

    Parameters
    ----------
    averaging_constant : float
        Share of the newest tensor.
    """

    def __init__(
        self, averaging_constant: float = 0.01, dtype: fb.dtype = fb.quint8,
        qscheme: Any = fb.per_tensor_affine, reduce_range: bool = False, quant_min: int | None = None,
        quant_max: int | None = None, eps: float = _EPS, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if not is_per_tensor(qscheme):
            raise NotImplementedError(
                "MovingAverageMinMaxObserver's qscheme only support                 "
                "torch.per_tensor_symmetric and torch.per_tensor_affine.                 "
                f"but got: {qscheme}"
            )
        self.averaging_constant = averaging_constant
        if is_dynamic and averaging_constant != 1:
            raise NotImplementedError(
                "MovingAverageMinMaxObserver doesn't support dynamic quantization for "
                f"averaging constant of {averaging_constant}"
            )
        super().__init__(
            dtype, qscheme, reduce_range, quant_min, quant_max, eps=eps, is_dynamic=is_dynamic, **kwargs
        )

    def forward(self, x_orig: Tensor) -> Tensor:
        """Look at the tensor and give it back."""
        if x_orig.numel() != 0:
            low, high = fb.aminmax(x_orig.detach().to(self.min_val.dtype))
            if not (self.min_val == _INF and self.max_val == -_INF):
                low = self.min_val + self.averaging_constant * (low - self.min_val)
                high = self.max_val + self.averaging_constant * (high - self.max_val)
            self._keep(low, high)
        return x_orig


class PerChannelMinMaxObserver(_Extremes):
    """Keeps the least and the greatest number of each channel.

    Parameters
    ----------
    ch_axis : int
        The axis of channels.
    """

    def __init__(
        self, ch_axis: int = 0, dtype: fb.dtype = fb.quint8, qscheme: Any = fb.per_channel_affine,
        reduce_range: bool = False, quant_min: int | None = None, quant_max: int | None = None,
        factory_kwargs: dict | None = None, eps: float = _EPS, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if not is_per_channel(qscheme):
            raise NotImplementedError(
                f"{self._told}'s qscheme only support                     torch.per_channel_symmetric, "
                "torch.per_channel_affine and torch.per_channel_affine_float_qparams."
            )
        if is_dynamic:
            raise NotImplementedError(f"{self._told} doesn't support dynamic quantization")
        super().__init__(
            dtype, qscheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic, **kwargs
        )
        options = nn.factory_kwargs(factory_kwargs)
        self.ch_axis = ch_axis
        self.register_buffer("min_val", fb.tensor([], **options))
        self.register_buffer("max_val", fb.tensor([], **options))
        if qscheme == fb.per_channel_symmetric and reduce_range and dtype == fb.quint8:
            raise NotImplementedError("Cannot reduce range for symmetric quantization for quint8")

    _told = "PerChannelMinMaxObserver"

    def _of_channels(self, x: Tensor) -> tuple[Tensor, Tensor] | None:
        """Minima and maxima of a tensor; None for one without elements."""
        if x.numel() == 0:
            return None
        rows = x.detach().to(self.min_val.dtype).transpose(0, self.ch_axis).flatten(1)
        return fb.aminmax(rows, dim=1)

    @property
    def _fresh(self) -> bool:
        return self.min_val.numel() == 0 or self.max_val.numel() == 0

    def forward(self, x_orig: Tensor) -> Tensor:
        """Look at the tensor and give it back."""
        if (seen := self._of_channels(x_orig)) is not None:
            low, high = seen
            if not self._fresh:
                low, high = fb.min(low, self.min_val), fb.max(high, self.max_val)
            self._keep(low, high)
        return x_orig

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list[str],
        unexpected_keys: list[str], error_msgs: list[str],
    ) -> None:  # fmt: skip
        version = local_metadata.get("version")
        suffix = "s" if version is not None and version < 3 else ""
        for name in ("min_val", "max_val"):
            key = f"{prefix}{name}{suffix}"
            if key in state_dict:
                # as many channels as there are in the file; the values are copied below
                getattr(self, name).resize_(state_dict[key].shape)
            elif strict:
                missing_keys.append(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def reset_min_max_vals(self) -> None:
        """Forget what was seen."""
        self.min_val, self.max_val = fb.rand(0), fb.rand(0)


class MovingAveragePerChannelMinMaxObserver(PerChannelMinMaxObserver):
    """Keeps moving averages of the minima and maxima of each channel.

    Parameters
    ----------
    averaging_constant : float
        Share of the newest tensor.
    ch_axis : int
    """

    _told = "MovingAveragePerChannelMinMaxObserver"

    def __init__(
        self, averaging_constant: float = 0.01, ch_axis: int = 0, dtype: fb.dtype = fb.quint8,
        qscheme: Any = fb.per_channel_affine, reduce_range: bool = False, quant_min: int | None = None,
        quant_max: int | None = None, eps: float = _EPS, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__(
            ch_axis,
            dtype,
            qscheme,
            reduce_range,
            quant_min,
            quant_max,
            eps=eps,
            is_dynamic=is_dynamic,
            **kwargs,
        )
        self.averaging_constant = averaging_constant

    def forward(self, x_orig: Tensor) -> Tensor:
        """Look at the tensor and give it back."""
        if (seen := self._of_channels(x_orig)) is not None:
            low, high = seen
            if not self._fresh:
                low = self.min_val + self.averaging_constant * (low - self.min_val)
                high = self.max_val + self.averaging_constant * (high - self.max_val)
            self._keep(low, high)
        return x_orig


class FixedQParamsObserver(ObserverBase):
    """Has the scale and zero point that it is made with.

    Parameters
    ----------
    scale : float
    zero_point : int
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(
        self, scale: float, zero_point: int, dtype: fb.dtype = fb.quint8, qscheme: Any = fb.per_tensor_affine,
        quant_min: int = 0, quant_max: int = 255, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if is_dynamic:
            raise NotImplementedError("FixedQParamsObserver doesn't support dynamic quantization")
        super().__init__(dtype=dtype, is_dynamic=is_dynamic, **kwargs)
        self.quant_min = quant_min
        self.quant_max = quant_max
        self.register_buffer("scale", fb.tensor([scale], dtype=fb.float))
        self.register_buffer("zero_point", fb.tensor([zero_point], dtype=fb.int))
        self.qscheme = qscheme

    def forward(self, X: Tensor) -> Tensor:
        """The tensor."""
        return X

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        return self.scale, self.zero_point


class _Blind(ObserverBase):
    """Looks at nothing."""

    def forward(self, x: Tensor) -> Tensor:
        """The tensor."""
        return x

    def calculate_qparams(self) -> NoReturn:
        """Not what it is for."""
        raise Exception(f"calculate_qparams should not be called for {self._told}")


class PlaceholderObserver(_Blind):
    """Says what tensors are to become and looks at nothing.

    Parameters
    ----------
    dtype : dtype
    custom_op_name : str
    quant_min, quant_max : int, optional
    qscheme : qscheme, optional
    eps : float, optional
    is_dynamic : bool
    """

    _told = "PlaceholderObserver"
    _quantizes = False

    def __init__(
        self, dtype: fb.dtype = fb.float32, custom_op_name: str = "", compute_dtype: fb.dtype | None = None,
        quant_min: int | None = None, quant_max: int | None = None, qscheme: Any = None,
        eps: float | None = None, is_dynamic: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(dtype=dtype, is_dynamic=is_dynamic)
        self.qscheme = fb.per_tensor_affine if qscheme is None else qscheme
        self.quant_min = quant_min
        self.quant_max = quant_max
        self.eps = _EPS if eps is None else eps
        self.custom_op = custom_op_name
        if compute_dtype:
            warnings.warn(
                "Please use `is_dynamic` instead of `compute_dtype`.                     "
                "`compute_dtype` will be deprecated in a future release                     of PyTorch.",
                stacklevel=2,
            )

    def extra_repr(self) -> str:
        """The type, and when."""
        return f"dtype={self.dtype}, is_dynamic={self.is_dynamic}"


class RecordingObserver(_Blind):
    """Keeps copies of all tensors seen, in ``tensor_val``."""

    _told = "RecordingObserver"

    def __init__(self, dtype: fb.dtype = fb.quint8) -> None:
        super().__init__(dtype=dtype, is_dynamic=False)
        self.tensor_val: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Keep a copy of the tensor and give it back."""
        self.tensor_val.append(x.clone())
        return x

    def get_tensor_value(self) -> list[Tensor]:
        """The tensors seen."""
        return self.tensor_val


class NoopObserver(_Blind):
    """Says what tensors are to become and looks at nothing.

    Parameters
    ----------
    dtype : dtype
    custom_op_name : str
    """

    _told = "NoopObserver"

    def __init__(self, dtype: fb.dtype = fb.float16, custom_op_name: str = "") -> None:
        super().__init__(dtype=dtype, is_dynamic=False)
        self.custom_op = custom_op_name


class ReuseInputObserver(_Blind):
    """Stands for the observer of the input, in graphs."""

    _told = "ReuseInputObserver"

    def __init__(self) -> None:
        super().__init__(fb.quint8, is_dynamic=False)


def _is_activation_post_process(module: Any) -> bool:
    return isinstance(module, (ObserverBase, FakeQuantizeBase, AffineQuantizedObserverBase))


def get_observer_state_dict(mod: nn.Module) -> OrderedDict[str, Tensor]:
    """The entries of ``mod.state_dict()`` that belong to observers."""
    whole = mod.state_dict()
    mark = "observer" if isinstance(mod, fb.jit.ScriptModule) else "activation_post_process"
    found = OrderedDict((name, value) for name, value in whole.items() if mark in name)
    found._metadata = whole._metadata
    return found


def load_observer_state_dict(mod: nn.Module, obs_dict: dict[str, Tensor]) -> None:
    """Put back what `get_observer_state_dict` gave."""
    missing: list[str] = []
    unexpected: list[str] = []
    for name, module in mod.named_modules():
        if _is_activation_post_process(module):
            module._load_from_state_dict(obs_dict, name + ".", {}, False, missing, unexpected, [])
    for kind, names in (("Missing", missing), ("Unexpected", unexpected)):
        for k in names:
            if "observer" in k or "activation_post_process" in k:
                raise Exception(f"{kind} keys for observer {k} in state_dict")


_SYMMETRIC = {"dtype": fb.qint8, "qscheme": fb.per_tensor_symmetric}
_SYMMETRIC_CHANNELS = {"dtype": fb.qint8, "qscheme": fb.per_channel_symmetric}
_WITHOUT_LEAST = {"quant_min": -127, "quant_max": 127, "eps": 2**-12}
_ALL_BYTES = {"dtype": fb.quint8, "quant_min": 0, "quant_max": 255}

default_observer = MinMaxObserver.with_args(quant_min=0, quant_max=127)
default_placeholder_observer = PlaceholderObserver
default_debug_observer = RecordingObserver
default_weight_observer = MinMaxObserver.with_args(**_SYMMETRIC)
weight_observer_range_neg_127_to_127 = MinMaxObserver.with_args(**_SYMMETRIC, **_WITHOUT_LEAST)
default_histogram_observer = HistogramObserver.with_args(quant_min=0, quant_max=127)
default_per_channel_weight_observer = PerChannelMinMaxObserver.with_args(**_SYMMETRIC_CHANNELS)
per_channel_weight_observer_range_neg_127_to_127 = PerChannelMinMaxObserver.with_args(
    **_SYMMETRIC_CHANNELS, **_WITHOUT_LEAST
)
default_dynamic_quant_observer = PlaceholderObserver.with_args(**_ALL_BYTES, is_dynamic=True)
default_float_qparams_observer = PerChannelMinMaxObserver.with_args(
    dtype=fb.quint8, qscheme=fb.per_channel_affine_float_qparams, ch_axis=0
)
default_float_qparams_observer_4bit = PerChannelMinMaxObserver.with_args(
    dtype=fb.quint4x2, qscheme=fb.per_channel_affine_float_qparams, ch_axis=0
)
default_fixed_qparams_range_neg1to1_observer = FixedQParamsObserver.with_args(
    scale=2.0 / 256.0, zero_point=128, **_ALL_BYTES
)
default_fixed_qparams_range_0to1_observer = FixedQParamsObserver.with_args(
    scale=1.0 / 256.0, zero_point=0, **_ALL_BYTES
)
default_symmetric_fixed_qparams_observer = default_fixed_qparams_range_neg1to1_observer
default_affine_fixed_qparams_observer = default_fixed_qparams_range_0to1_observer
default_reuse_input_observer = ReuseInputObserver
