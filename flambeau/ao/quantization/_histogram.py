"""The observer that counts how often numbers occur and leaves out the rare ones at the ends."""

from __future__ import annotations

import bisect
import math
import struct
import warnings
from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.quantization._observer_base import _EPS, _INF, _Extremes
from flambeau.ao.quantization.utils import _nothing_seen, is_per_tensor

_STEP = 1e-5  # of the share of numbers left out at an end


def _single(x: float) -> float:
    """A number as float32 holds it."""
    return struct.unpack("f", struct.pack("f", x))[0]


class HistogramObserver(_Extremes):
    """Keeps a histogram and finds the range with the least squared error.

    Parameters
    ----------
    bins : int
        Number of bins; the others are those of `UniformQuantizationObserverBase`.
    """

    histogram: Tensor

    def __init__(
        self, bins: int = 2048, dtype: fb.dtype = fb.quint8, qscheme: Any = fb.per_tensor_affine,
        reduce_range: bool = False, quant_min: int | None = None, quant_max: int | None = None,
        factory_kwargs: dict | None = None, eps: float = _EPS, is_dynamic: bool = False, **kwargs: Any,
    ) -> None:  # fmt: skip
        if not is_per_tensor(qscheme):
            raise NotImplementedError(
                "HistogramObserver's qscheme only support torch.per_tensor_symmetric"
                "                     and torch.per_tensor_affine."
            )
        if is_dynamic:
            raise NotImplementedError("HistogramObserver doesn't support dynamic quantization")
        super().__init__(
            dtype, qscheme, reduce_range, quant_min, quant_max, factory_kwargs, eps, is_dynamic, **kwargs
        )
        options = nn.factory_kwargs(factory_kwargs)
        self.bins = bins
        self.register_buffer("histogram", fb.zeros(bins, **options))
        self.register_buffer("min_val", fb.tensor(_INF, **options))
        self.register_buffer("max_val", fb.tensor(-_INF, **options))
        self.dst_nbins = 2 ** fb.iinfo(dtype).bits
        self.upsample_rate = 16

    # ---------------------------------------------------------------- counting
    def _count(self, x: Tensor, low: Tensor, high: Tensor) -> Tensor:
        return fb.histc(x, self.bins, min=low.item(), max=high.item())

    def _set(self, counts: Tensor, low: Tensor, high: Tensor) -> None:
        self._keep(low, high)
        self.histogram.detach_().resize_(counts.shape)
        self.histogram.copy_(counts)

    def reset_histogram(self, x: Tensor, min_val: Tensor, max_val: Tensor) -> None:
        """Begin with the numbers of a tensor."""
        if min_val.numel() != 1 or max_val.numel() != 1:
            raise AssertionError("histogram min/max values must be scalar.")
        self._set(self._count(x, min_val, max_val), min_val, max_val)

    def _spread(self, old: Tensor, old_low: Tensor, old_high: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """A histogram in the bins of a wider range: old bins are cut in small ones that move as a whole."""
        fine = self.bins * self.upsample_rate
        weights = old.repeat_interleave(self.upsample_rate) / self.upsample_rate
        middles = fb.linspace(old_low.item(), old_high.item(), fine + 1)[:-1] + 0.5 * (
            (old_high - old_low) / fine
        )
        edges = fb.linspace(low.item(), high.item(), self.bins + 1)
        place = (fb.bucketize(middles, edges, right=True) - 1).clamp(0, self.bins - 1)
        return fb.bincount(place, weights=weights, minlength=self.bins)

    def _combine_histograms(
        self, orig_hist: Tensor, orig_min: Tensor, orig_max: Tensor, update_hist: Tensor, update_min: Tensor,
        update_max: Tensor,
    ) -> Tensor:  # fmt: skip
        if update_min == orig_min and update_max == orig_max:
            return orig_hist + update_hist
        if orig_min == orig_max:  # all numbers were one number
            return self._count(orig_min, update_min, update_max) * orig_hist.sum() + update_hist
        if update_min > orig_min:
            raise AssertionError("update_min must be <= orig_min")
        if update_max < orig_max:
            raise AssertionError("update_max must be >= orig_max")
        return update_hist + self._spread(orig_hist, orig_min, orig_max, update_min, update_max)

    def forward(self, x_orig: Tensor) -> Tensor:
        """Count the numbers of the tensor and give it back."""
        if x_orig.numel() == 0:
            return x_orig
        x = x_orig.detach()
        low, high = fb.aminmax(x)
        if low == -_INF or high == _INF:
            warnings.warn("torch.inf detected in input tensor, ignoring input", stacklevel=2)
            x = x[x.abs() != _INF]
            if x.numel() == 0:
                return x_orig
            low, high = fb.aminmax(x)
        if self.min_val == _INF or self.max_val == -_INF:
            self.reset_histogram(x, low, high)
            return x_orig
        low, high = fb.min(self.min_val, low).detach(), fb.max(self.max_val, high).detach()
        new = self._count(x, low, high).to(self.histogram.device)
        both = self._combine_histograms(self.histogram, self.min_val, self.max_val, new, low, high)
        self._set(both, low, high)
        return x_orig

    # ---------------------------------------------------------------- the range with the least error
    def _compute_quantization_error(self, next_start_bin: int, next_end_bin: int) -> float:
        """Sum of squared errors if the integers cover these bins; in a bin, numbers lie evenly."""
        width = (self.max_val.item() - self.min_val.item()) / self.bins
        step = width * (next_end_bin - next_start_bin + 1) / self.dst_nbins
        if step == 0.0:
            return 0.0
        begin = (fb.arange(self.bins, device=self.histogram.device) - next_start_bin) * width
        end = begin + width
        first, last = (
            fb.div(edge, step, rounding_mode="floor").clamp(0, self.dst_nbins - 1) for edge in (begin, end)
        )
        density = self.histogram / width
        half = fb.tensor(step / 2)

        def squares(a: Tensor, b: Tensor) -> Tensor:
            return density * ((b * b * b - a * a * a) / 3)

        # from the begin of a bin to the end of its first step, whole steps, from the begin of its last step
        error = squares(begin - (first + 0.5) * step, half)
        error = error + (last - first - 1) * squares(-half, half)
        error = error + squares(-half, end - (last * step + step / 2))
        return error.sum().item()

    def _non_linear_param_search(self) -> tuple[Tensor, Tensor]:
        """Cut the ends off as long as the error falls: always that end where more bins go for a step."""
        if self.histogram.size()[0] != self.bins:
            raise AssertionError("bins mismatch")
        width = (self.max_val - self.min_val) / self.bins
        total = self.histogram.sum().item()
        sums = self.histogram.cumsum(0).tolist()
        alpha, beta = 0.0, 1.0
        start, end = 0, self.bins - 1
        least = math.inf
        while alpha < beta:
            more, less = alpha + _STEP, beta - _STEP
            left = bisect.bisect_left(sums, _single(more * total), start, end)
            right = max(bisect.bisect_right(sums, _single(less * total), start, end + 1) - 1, start)
            if left - start > end - right:
                move, alpha = (left, end), more
            else:
                move, beta = (start, right), less
            if move == (start, end):
                continue
            error = self._compute_quantization_error(*move)
            if error > least:
                break
            least = error
            start, end = move
        return self.min_val + width * start, self.min_val + width * (end + 1)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        if self.min_val == _INF and self.max_val == -_INF:
            warnings.warn(
                "must run observer before calling calculate_qparams.                                    "
                "Returning default scale and zero point ",
                stacklevel=2,
            )
            return _nothing_seen(self.min_val.device)
        if self.bins != len(self.histogram):
            raise AssertionError(
                "The number of bins in histogram should be equal to the number of bins "
                "supplied while making this observer"
            )
        return self._calculate_qparams(*self._non_linear_param_search())

    # ---------------------------------------------------------------- saving
    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list[str],
        *rest: Any,
    ) -> None:  # fmt: skip
        version = local_metadata.get("version", None)
        for name, unset in (("min_val", _INF), ("max_val", -_INF)):
            key = prefix + name
            if key in state_dict:
                if (version is None or version < 3) and state_dict[key].shape == (0,):
                    state_dict[key] = fb.tensor(unset)
                setattr(self, name, state_dict[key])
            elif strict:
                missing_keys.append(key)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, strict, missing_keys, *rest)
