"""Weights of quantized layers, prepared once, and the products with them.

Products of integers are exact. Those of linear layers and of most convolutions are added up in 32 bits, in as
many parts as keep every sum below 2**31. Convolutions of groups or few channels take float32 numbers that are
integers, in as many parts as keep every sum below 2**24: a part is one call of the convolution that takes
pixels with their channels together (which transforms nothing). Sums are then scaled as PyTorch's FBGEMM does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from .convert import inverse, levels, qparams_of_range, rounded_once, single
from .tensor import PerTensor, QuantizedTensor, cannot_run, ints, make

__all__ = ["ConvPacked", "EmbeddingPacked", "LinearPacked", "dynamic_levels"]

_EXACT = 2.0**24  # float32 has every integer up to here
_IN_32_BITS = 2.0**31 - 1
_FEW_CHANNELS = 16  # of a pixel are less worth copying into rows of a product than float32 convolutions take
_FARTHEST = 255  # of an activation's integer from its zero point
F = fb.nn.functional


def _scales(weight: QuantizedTensor, axis: int = 0) -> tuple[fb.Tensor, fb.Tensor]:
    """The scales of the outputs in float32, and the weight's distances from zero as float32 integers."""
    q = weight.quantizer
    integers = ints(weight).to(fb.float32)
    if isinstance(q, PerTensor):
        return fb.tensor([single(q.scale)]), integers - q.zero_point
    if q.zero_points.is_floating_point():
        raise RuntimeError("weights of products need integer zero points")
    shape = [1] * weight.dim()
    shape[q.axis] = -1
    return q.scales.to(fb.float32), integers - q.zero_points.to(fb.float32).reshape(shape)


def _parts(inputs: fb.Tensor, most: float = _EXACT) -> list[tuple[int, int]]:
    """Ranges of inputs of which no sum is beyond `most`; `inputs`: absolute weights (outputs, inputs)."""
    count = inputs.shape[1]
    for parts in range(1, count + 1):
        step = -(-count // parts)
        ranges = [(a, min(a + step, count)) for a in range(0, count, step)]
        if all(inputs[:, a:b].sum(1).max().item() * _FARTHEST <= most for a, b in ranges):
            return ranges
    return [(a, a + 1) for a in range(count)] or [(0, 0)]


def dynamic_levels(x: fb.Tensor, reduce_range: bool) -> tuple[fb.Tensor, float, int]:
    """Numbers as bytes in steps of a scale that covers them; scale and zero point."""
    if x.dtype != fb.float32:
        raise RuntimeError(
            "expected scalar type Float but found " + str(x.dtype).removeprefix("torch.").capitalize()
        )
    low, high = (v.item() for v in x.aminmax()) if x.numel() else (0.0, 0.0)
    scale, zero = qparams_of_range(low, high, 0, 255, reduce_range)
    return fb._quantized_levels(x, inverse(scale), zero, 0, 255, False), scale, zero


def _bytes(x: Any, name: str) -> fb.Tensor:
    """The bytes of a quantized activation."""
    if not isinstance(x, QuantizedTensor):
        cannot_run(f"quantized::{name}", "CPU")
    if x.dtype != fb.quint8:
        raise RuntimeError(
            f"quantized::{name}: expected an activation of dtype torch.quint8 but got {x.dtype}"
        )
    return ints(x)


def _centred(steps: fb.Tensor, zero: int) -> fb.Tensor:
    """The distances from zero of bytes, as float32 integers."""
    return fb._quantized_numbers(steps, 1.0, zero, False)


class _Packed:
    """What layers of all kinds have: scales and bias of the outputs."""

    def __init__(self, weight: QuantizedTensor, bias: fb.Tensor | None) -> None:
        if not isinstance(weight, QuantizedTensor) or weight.dtype != fb.qint8:
            raise RuntimeError("weights of quantized layers must be quantized to torch.qint8")
        self._weight = weight
        self._bias = None if bias is None else bias.detach()
        self._factors: dict[tuple, tuple] = {}

    def unpack(self) -> tuple[QuantizedTensor, fb.Tensor | None]:
        """The weight and the bias."""
        return self._weight, self._bias

    def bias(self) -> fb.Tensor | None:
        """The bias."""
        return self._bias

    def __deepcopy__(self, memo: dict) -> Any:
        return self

    def _shaped(self, v: fb.Tensor, dims: int) -> fb.Tensor:
        return v

    def _requantized(
        self, sums: fb.Tensor, x_scale: float, scale: float, zero: int, relu: bool
    ) -> QuantizedTensor:
        """Sums times the scales of both factors, plus the bias, in steps of the output."""
        key = (x_scale, scale)
        if key not in self._factors:
            both = self._w_scales * single(x_scale)
            bias = fb.zeros(()) if self._bias is None else self._shaped(self._bias / both, sums.dim())
            self._factors = {key: (bias, self._shaped(both / single(scale), sums.dim()))}
        bias, factor = self._factors[key]
        made = fb._quantized_sums(sums, bias, factor, zero, relu)
        return make(made, PerTensor(fb.quint8, float(scale), int(zero)))

    def _scaled(self, sums: fb.Tensor, x_scale: float, relu: bool) -> fb.Tensor:
        """The same as numbers, each rounded once."""
        both = self._shaped(self._w_scales * single(x_scale), sums.dim())
        if self._bias is None:
            out = sums.mul_(both)
        else:
            out = rounded_once(sums, both, self._shaped(self._bias, sums.dim()))
        return out.relu_() if relu else out


class LinearPacked(_Packed):
    """The weight (outputs, inputs) and bias of a linear layer."""

    def __init__(self, weight: QuantizedTensor, bias: fb.Tensor | None = None) -> None:
        super().__init__(weight, bias)
        if weight.dim() != 2:
            raise RuntimeError(
                "The weight tensor for quantized::linear_prepack (fbgemm) should be 2-dimensional."
            )
        self._w_scales, centred = _scales(weight)
        self._shape = centred.shape
        ranges = _parts(centred.abs(), _IN_32_BITS) if centred.numel() else [(0, centred.shape[1])]
        self._panels = [(a, b, fb._quantized_pack(centred[:, a:b].to(fb.int16))) for a, b in ranges]

    def _sums(self, steps: fb.Tensor, zero: int) -> fb.Tensor:
        """Sums of products of bytes less `zero`."""
        rows, (outputs, inputs) = steps.reshape(-1, steps.shape[-1]), self._shape
        if rows.shape[1] != inputs:
            raise RuntimeError(
                f"The number of rows in the packB should be equal to K: {rows.shape[1]} (the weight has "
                f"{inputs})"
            )
        made = [fb._quantized_linear(rows[:, a:b], zero, w, outputs) for a, b, w in self._panels]
        sums = made[0] if len(made) == 1 else sum(m.to(fb.float64) for m in made).to(fb.float32)
        return sums.reshape(*steps.shape[:-1], outputs)

    def apply(self, x: Any, scale: float, zero: int, relu: bool = False) -> QuantizedTensor:
        """The layer of a quantized tensor."""
        sums = self._sums(_bytes(x, "linear"), x.q_zero_point())
        return self._requantized(sums, x.q_scale(), scale, zero, relu)

    def numbers(self, x: Any, relu: bool = False) -> fb.Tensor:
        """The same, not quantized."""
        return self._scaled(self._sums(_bytes(x, "linear"), x.q_zero_point()), x.q_scale(), relu)

    def dynamic(self, x: fb.Tensor, relu: bool = False, reduce_range: bool = False) -> fb.Tensor:
        """The layer of numbers, which are quantized by their range."""
        steps, scale, zero = dynamic_levels(x.detach(), reduce_range)
        return self._scaled(self._sums(steps, zero), scale, relu)

    def __reduce__(self) -> tuple:
        return LinearPacked, (self._weight, self._bias)


class ConvPacked(_Packed):
    """The weight and bias of a convolution, with its geometry; lines are computed as pictures of one row."""

    def __init__(
        self, weight: QuantizedTensor, bias: fb.Tensor | None, stride: Sequence[int], padding: Sequence[int],
        dilation: Sequence[int], groups: int, transposed: bool = False, output_padding: Sequence[int] = (),
    ) -> None:  # fmt: skip
        super().__init__(weight, bias)
        if transposed and not isinstance(weight.quantizer, PerTensor):
            raise RuntimeError("Per Channel Quantization is currently disabled for transposed conv")
        self._spatial = n = weight.dim() - 2
        self._line = n == 1  # computed as pictures of one row
        self._stride, self._padding, self._dilation = list(stride), list(padding), list(dilation)
        self._groups, self._transposed = groups, transposed
        self._output_padding = list(output_padding) or [0] * n
        self._w_scales, centred = _scales(weight)
        if self._line:
            centred = centred.unsqueeze(2)
        self._shape, self._panels = centred.shape, None
        outputs = self._by_output(centred.abs())
        plain = groups == 1 and not transposed and centred.dim() == 4
        if plain and centred.numel() and centred.shape[1] >= _FEW_CHANNELS:
            if outputs.sum(1).max().item() * _FARTHEST <= _IN_32_BITS:
                rows = centred.permute(0, 2, 3, 1).flatten(1)
                self._panels = fb._quantized_pack(rows.to(fb.int16))
                return
        self._ranges = (
            _parts(outputs)
            if groups == 1 and centred.numel()
            else [(0, centred.shape[0 if transposed else 1])]
        )
        exact = groups == 1 or outputs.sum(1).max().item() * _FARTHEST <= _EXACT
        self._kernel = self._near(centred if exact else centred.to(fb.float64))

    def _by_output(self, w: fb.Tensor) -> fb.Tensor:
        """Weights summed over space: (outputs, inputs)."""
        flat = w.flatten(2).sum(2)
        return flat.t() if self._transposed else flat

    def _near(self, t: fb.Tensor) -> fb.Tensor:
        """With channels together, which the convolution leaves as they are."""
        return t.contiguous(memory_format=fb.channels_last if t.dim() == 4 else fb.channels_last_3d)

    def _shaped(self, v: fb.Tensor, dims: int) -> fb.Tensor:
        return v.reshape(-1, *[1] * (dims - 2))

    def geometry(self) -> dict[str, Any]:
        """Stride, padding and so on."""
        names = ("stride", "padding", "dilation", "groups", "output_padding", "transposed")
        return {n: getattr(self, "_" + n) for n in names}

    def _sums(self, steps: fb.Tensor, zero: int) -> fb.Tensor:
        """Sums of products of bytes less `zero` in channels-last memory; of a line with the row of 1."""

        def long(v: list, one: int) -> list:
            return [one, *v] if self._line else v

        if self._line:
            steps = steps.unsqueeze(2)
        if self._panels is not None:
            outputs, channels, *kernel = self._shape
            if steps.shape[1] != channels:
                raise RuntimeError(
                    f"Given groups=1, weight of size {list(self._shape)}, expected "
                    f"input{list(steps.shape)} to have {channels} channels, but got {steps.shape[1]} "
                    "channels instead"
                )
            return fb._quantized_conv(
                steps, zero, self._panels, outputs, kernel,
                long(self._stride, 1), long(self._padding, 0), long(self._dilation, 1),
            )  # fmt: skip
        x, w = self._near(_centred(steps, zero)), self._kernel
        if w.dtype == fb.float64:
            x = x.to(fb.float64)
        n = x.dim() - 2
        stride, padding, dilation = long(self._stride, 1), long(self._padding, 0), long(self._dilation, 1)
        if self._transposed:
            f, dim = getattr(F, f"conv_transpose{n}d"), 0
            rest = (None, stride, padding, long(self._output_padding, 0), self._groups, dilation)
        else:
            f, dim = getattr(F, f"conv{n}d"), 1
            rest = (None, stride, padding, dilation, self._groups)
        if len(self._ranges) == 1:
            return self._near(f(x, w, *rest).to(fb.float32))
        made = [
            f(self._near(x[:, a:b]), self._near(w.narrow(dim, a, b - a)), *rest).to(fb.float64)
            for a, b in self._ranges
        ]
        return self._near(sum(made).to(fb.float32))

    def _checked(self, x: Any) -> None:
        if x.dim() != self._spatial + 2:
            raise RuntimeError(
                f"quantized convolution of {self._spatial} dimensions: expected an input of "
                f"{self._spatial + 2}"
                f" dimensions, got {x.dim()}"
            )

    def apply(self, x: Any, scale: float, zero: int, relu: bool = False) -> QuantizedTensor:
        """The convolution of a quantized tensor."""
        self._checked(x)
        made = self._requantized(
            self._sums(_bytes(x, f"conv{self._spatial}d"), x.q_zero_point()),
            x.q_scale(),
            scale,
            zero,
            relu,
        )
        return made.squeeze(2) if self._line else made

    def dynamic(self, x: fb.Tensor, reduce_range: bool = False) -> fb.Tensor:
        """The convolution of numbers, quantized by their range; so is the result, as PyTorch's is."""
        self._checked(x)
        steps, scale, zero = dynamic_levels(x.detach(), reduce_range)
        made = self._requantized(self._sums(steps, zero), scale, scale, zero, False).dequantize()
        return made.squeeze(2) if self._line else made

    def __reduce__(self) -> tuple:
        return ConvPacked, (
            self._weight, self._bias, self._stride, self._padding, self._dilation, self._groups,
            self._transposed,
            self._output_padding,
        )  # fmt: skip


class EmbeddingPacked:
    """The rows of an embedding, quantized each by itself."""

    def __init__(self, weight: QuantizedTensor) -> None:
        if weight.dtype not in (fb.quint8, fb.quint4x2) or weight.quantizer.scheme is not (
            fb.per_channel_affine_float_qparams
        ):
            raise RuntimeError(
                "Expect embedding_bag weights to be quantized using kPerChannelAffineFloatQParams, in "
                "torch.quint8 or"
                " torch.quint4x2"
            )
        self._weight = weight
        q = weight.quantizer
        self._rows, self._row_scales = ints(weight), q.scales
        self._offsets = -q.zero_points * q.scales
        if weight.dtype == fb.quint4x2:  # whose rows have both in float16
            self._row_scales, self._offsets = (
                t.to(fb.float16).to(fb.float32) for t in (q.scales, self._offsets)
            )

    def unpack(self) -> QuantizedTensor:
        """The weight."""
        return self._weight

    def rows(self, indices: fb.Tensor) -> fb.Tensor:
        """The numbers of rows."""
        scale, offset = self._row_scales[indices].unsqueeze(-1), self._offsets[indices].unsqueeze(-1)
        return (self._rows[indices].to(fb.float64) * scale).add_(offset).to(fb.float32)

    def __deepcopy__(self, memo: dict) -> Any:
        return self

    def __reduce__(self) -> tuple:
        return EmbeddingPacked, (self._weight,)


def checked(packed: Any, kind: type) -> Any:
    """Packed weights of a kind; raises for anything else."""
    if not isinstance(packed, kind):
        raise RuntimeError(f"expected packed weights ({kind.__name__}), got {type(packed).__name__}")
    return packed


def requantized(steps: fb.Tensor, out: PerTensor, rounding: Callable = levels) -> QuantizedTensor:
    """Float32 numbers in steps of 1 as a quantized tensor."""
    return make(rounding(steps, 1.0, out.zero_point, out.dtype), out)
