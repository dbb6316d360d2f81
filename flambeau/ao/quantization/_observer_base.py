"""What observers share."""

from __future__ import annotations

import abc
import warnings
from abc import ABCMeta, abstractmethod
from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.quantization._partial import with_args, with_callable_args
from flambeau.ao.quantization.utils import (
    _nothing_seen,
    _scale_and_zero,
    calculate_qmin_qmax,
    check_min_max_valid,
    validate_qmin_qmax,
)

ABC: Any = ABCMeta("ABC", (object,), {})
_EPS = fb.finfo(fb.float32).eps
_INF = float("inf")


class ObserverBase(ABC, nn.Module):
    """What all observers are.

    Parameters
    ----------
    dtype : dtype
        What tensors are to become.
    is_dynamic : bool
        Whether that happens at the call.
    """

    def __init__(self, dtype: fb.dtype, is_dynamic: bool = False) -> None:
        super().__init__()
        self.dtype = dtype
        self.is_dynamic = is_dynamic

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """Look at the tensor and give it back."""

    @abstractmethod
    def calculate_qparams(self, **kwargs: Any) -> Any:
        """Scale and zero point."""

    with_args = classmethod(with_args)
    with_callable_args = classmethod(with_callable_args)


class FakeQuantizeBase(abc.ABC, nn.Module):
    """What all of them share: two switches, kept as buffers so that they go where the model goes."""

    fake_quant_enabled: Tensor
    observer_enabled: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("fake_quant_enabled", fb.tensor([1], dtype=fb.uint8))
        self.register_buffer("observer_enabled", fb.tensor([1], dtype=fb.uint8))

    @abstractmethod
    def forward(self, x: Tensor) -> Tensor:
        """The tensor with the errors of quantization."""

    @abstractmethod
    def calculate_qparams(self, **kwargs: Any) -> Any:
        """Scale and zero point."""

    def enable_fake_quant(self, enabled: bool = True) -> None:
        """Put errors in, or not."""
        self.fake_quant_enabled[0] = 1 if enabled else 0

    def disable_fake_quant(self) -> None:
        """Put no errors in."""
        self.enable_fake_quant(False)

    def enable_observer(self, enabled: bool = True) -> None:
        """Look at tensors, or not."""
        self.observer_enabled[0] = 1 if enabled else 0

    def disable_observer(self) -> None:
        """Do not look at tensors."""
        self.enable_observer(False)

    with_args = classmethod(with_args)


_SCHEMES = (
    fb.per_tensor_affine, fb.per_tensor_symmetric, fb.per_channel_affine, fb.per_channel_symmetric,
    fb.per_channel_affine_float_qparams,
)  # fmt: skip
_DTYPES = (
    fb.qint8, fb.quint8, fb.quint4x2, fb.qint32, fb.int8, fb.uint8, fb.int16, fb.int32, fb.float8_e5m2,
    fb.float8_e4m3fn, fb.uint16,
)  # fmt: skip


class UniformQuantizationObserverBase(ObserverBase):
    """What observers share that divide a range into equal steps.

    Parameters
    ----------
    dtype : dtype
    qscheme : qscheme
    reduce_range : bool
        Use half of the integers.
    quant_min, quant_max : int, optional
        Least and greatest integer.
    eps : float
        Least scale.
    is_dynamic : bool
    """

    # 2: `eps` is a buffer; 3: shapes and names of minima and maxima of histograms and channels
    _version = 3
    eps: Tensor

    def __init__(
        self, dtype: fb.dtype = fb.quint8, qscheme: Any = fb.per_tensor_affine, reduce_range: bool = False,
        quant_min: int | None = None, quant_max: int | None = None, factory_kwargs: dict | None = None,
        eps: float = _EPS, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        options = nn.factory_kwargs(factory_kwargs)
        super().__init__(dtype=dtype, is_dynamic=is_dynamic, **kwargs)
        self.qscheme = qscheme
        if reduce_range:
            warnings.warn(
                "Please use quant_min and quant_max to specify the range for observers.                     "
                "reduce_range will be deprecated in a future release of PyTorch.",
                stacklevel=2,
            )
        self.reduce_range = reduce_range
        self.register_buffer("eps", fb.tensor([eps], **options))
        if qscheme not in _SCHEMES:
            raise AssertionError(
                "Default Observer only works for per_tensor_affine, per_tensor_symmetric, "
                "per_channel_affine, per_channel_symmetric and per_channel_float_qparams quantization scheme"
            )
        if dtype not in _DTYPES:
            raise AssertionError(f"Default Observer only works for {_DTYPES} data type")
        self.has_customized_qrange = quant_min is not None and quant_max is not None
        if self.has_customized_qrange:
            validate_qmin_qmax(quant_min, quant_max)
        self.quant_min, self.quant_max = calculate_qmin_qmax(
            quant_min, quant_max, self.has_customized_qrange, dtype, reduce_range
        )

    def _load_from_state_dict(self, state_dict: dict, prefix: str, local_metadata: dict, *rest: Any) -> None:
        if local_metadata.get("version", None) in (None, 1):
            state_dict[prefix + "eps"] = fb.tensor([_EPS])
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest)

    def _validate_qmin_qmax(self, quant_min: int, quant_max: int) -> None:
        validate_qmin_qmax(quant_min, quant_max)

    def _calculate_qparams(self, min_val: Tensor, max_val: Tensor) -> tuple[Tensor, Tensor]:
        if not check_min_max_valid(min_val, max_val):
            return _nothing_seen(min_val.device)
        span = (self.quant_min, self.quant_max)
        return _scale_and_zero(
            min_val, max_val, span, self.dtype, self.eps, self.has_customized_qrange, self.qscheme
        )

    def reset_min_max_vals(self) -> None:
        """Forget what was seen."""
        raise NotImplementedError("Cannot reset min/max values in the given observer.")


_ObserverBase = UniformQuantizationObserverBase


class _Extremes(UniformQuantizationObserverBase):
    """Minimum and maximum of what was seen."""

    min_val: Tensor
    max_val: Tensor

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        return self._calculate_qparams(self.min_val, self.max_val)

    def extra_repr(self) -> str:
        """Minimum and maximum."""
        return f"min_val={self.min_val}, max_val={self.max_val}"

    def _keep(self, low: Tensor, high: Tensor) -> None:
        if self.min_val.shape != low.shape:
            self.min_val.resize_(low.shape)
        if self.max_val.shape != high.shape:
            self.max_val.resize_(high.shape)
        self.min_val.copy_(low)
        self.max_val.copy_(high)
