"""Operators of ``torch.ops.quantized`` with weights: linear, convolutions, cells of recurrent networks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

from .arithmetic import add, add_relu
from .library import operator
from .numeric import by_number
from .packed import ConvPacked, LinearPacked, checked
from .tensor import PerTensor

__all__: list[str] = []
F = fb.nn.functional
_OUT = "float Y_scale_i, int Y_zero_point_i"


# ---------------------------------------------------------------- linear
@operator("linear_prepack(Tensor W, Tensor? B=None) -> LinearPacked W_prepack")
def linear_prepack(W: Any, B: Any = None) -> LinearPacked:
    """The weight and bias prepared for products."""
    return LinearPacked(W, B)


@operator("linear_unpack(LinearPacked W_prepack) -> (Tensor W_origin, Tensor? B_origin)")
def linear_unpack(W_prepack: Any) -> tuple:
    """The weight and bias."""
    return checked(W_prepack, LinearPacked).unpack()


@operator(f"linear(Tensor X, LinearPacked W_prepack, {_OUT}) -> Tensor Y")
def linear(X: Any, W_prepack: Any, Y_scale_i: float, Y_zero_point_i: int) -> Any:
    """A linear layer."""
    return checked(W_prepack, LinearPacked).apply(X, Y_scale_i, Y_zero_point_i)


@operator(f"linear_relu(Tensor X, LinearPacked W_prepack, {_OUT}) -> Tensor Y")
def linear_relu(X: Any, W_prepack: Any, Y_scale_i: float, Y_zero_point_i: int) -> Any:
    """A linear layer and relu."""
    return checked(W_prepack, LinearPacked).apply(X, Y_scale_i, Y_zero_point_i, True)


@operator(f"linear_leaky_relu(Tensor X, LinearPacked W_prepack, {_OUT}, float negative_slope) -> Tensor Y")
def linear_leaky_relu(
    X: Any, W_prepack: Any, Y_scale_i: float, Y_zero_point_i: int, negative_slope: float
) -> Any:
    """A linear layer and leaky relu."""
    y = F.leaky_relu(checked(W_prepack, LinearPacked).numbers(X), negative_slope)
    return fb.quantize_per_tensor(y, Y_scale_i, Y_zero_point_i, X.dtype)


@operator(f"linear_tanh(Tensor X, LinearPacked W_prepack, {_OUT}) -> Tensor Y")
def linear_tanh(X: Any, W_prepack: Any, Y_scale_i: float, Y_zero_point_i: int) -> Any:
    """A linear layer and tanh."""
    y = checked(W_prepack, LinearPacked).numbers(X).tanh()
    return fb.quantize_per_tensor(y, Y_scale_i, Y_zero_point_i, X.dtype)


@operator("linear_dynamic(Tensor X, LinearPacked W_prepack, bool reduce_range=False) -> Tensor Y")
def linear_dynamic(X: Any, W_prepack: Any, reduce_range: bool = False) -> Any:
    """A linear layer of numbers, quantized by their range."""
    return checked(W_prepack, LinearPacked).dynamic(X, False, reduce_range)


@operator("linear_relu_dynamic(Tensor X, LinearPacked W_prepack, bool reduce_range=False) -> Tensor Y")
def linear_relu_dynamic(X: Any, W_prepack: Any, reduce_range: bool = False) -> Any:
    """The same and relu."""
    return checked(W_prepack, LinearPacked).dynamic(X, True, reduce_range)


class HalfPacked:
    """A weight rounded to float16, and the bias."""

    def __init__(self, weight: fb.Tensor, bias: fb.Tensor | None = None) -> None:
        self._weight = weight.detach().to(fb.float16).to(fb.float32)
        self._bias = None if bias is None else bias.detach()

    def unpack(self) -> tuple:
        """The weight and the bias."""
        return self._weight, self._bias

    def bias(self) -> fb.Tensor | None:
        """The bias."""
        return self._bias

    def numbers(self, x: fb.Tensor) -> fb.Tensor:
        """The layer of numbers."""
        return F.linear(x.detach(), self._weight, self._bias)

    def dynamic(self, x: fb.Tensor, relu: bool = False, reduce_range: bool = False) -> fb.Tensor:
        """The same; nothing is quantized but the weight."""
        return self.numbers(x).relu_() if relu else self.numbers(x)

    def __deepcopy__(self, memo: dict) -> Any:
        return self

    def __reduce__(self) -> tuple:
        return HalfPacked, (self._weight, self._bias)


@operator("linear_prepack_fp16(Tensor W, Tensor? B=None) -> LinearPacked W_prepack")
def linear_prepack_fp16(W: Any, B: Any = None) -> HalfPacked:
    """The weight rounded to float16."""
    return HalfPacked(W, B)


@operator("linear_unpack_fp16(LinearPacked W_prepack) -> (Tensor W_origin, Tensor? B_origin)")
def linear_unpack_fp16(W_prepack: Any) -> tuple:
    """The weight and bias."""
    return checked(W_prepack, HalfPacked).unpack()


@operator("linear_dynamic_fp16(Tensor X, LinearPacked W_prepack) -> Tensor Y")
def linear_dynamic_fp16(X: Any, W_prepack: Any) -> Any:
    """A linear layer with a weight of float16."""
    return checked(W_prepack, HalfPacked).numbers(X)


@operator("linear_relu_dynamic_fp16(Tensor X, LinearPacked W_prepack) -> Tensor Y")
def linear_relu_dynamic_fp16(X: Any, W_prepack: Any) -> Any:
    """The same and relu."""
    return checked(W_prepack, HalfPacked).numbers(X).relu_()


@operator("linear_dynamic_fp16_unpacked_weight(Tensor X, Tensor weight, Tensor? bias) -> Tensor Y")
def linear_dynamic_fp16_unpacked_weight(X: Any, weight: Any, bias: Any) -> Any:
    """The same with a plain weight."""
    return HalfPacked(weight, bias).numbers(X)


@operator(
    "linear_with_input_q_dq_qweight_dq_output_fp32(Tensor X, float X_scale, int X_zero_point, "
    "LinearPacked W_prepack)"
    " -> Tensor Y"
)
def linear_of_numbers(X: Any, X_scale: float, X_zero_point: int, W_prepack: Any) -> Any:
    """A linear layer of numbers that are quantized first."""
    x = fb.quantize_per_tensor(X, X_scale, X_zero_point, fb.quint8)
    return checked(W_prepack, LinearPacked).numbers(x)


@operator(
    "linear_with_input_q_dq_qweight_dq_relu_output_fp32(Tensor X, float X_scale, int X_zero_point,"
    " LinearPacked W_prepack) -> Tensor Y"
)
def linear_of_numbers_relu(X: Any, X_scale: float, X_zero_point: int, W_prepack: Any) -> Any:
    """The same and relu."""
    x = fb.quantize_per_tensor(X, X_scale, X_zero_point, fb.quint8)
    return checked(W_prepack, LinearPacked).numbers(x, True)


# ---------------------------------------------------------------- convolution
def _prepack(dims: int, transposed: bool) -> Callable:
    def check(weight: Any) -> None:
        if weight.dim() != dims + 2:
            raise RuntimeError(
                f"conv{dims}d_prepack: the weight has {weight.dim()} dimensions, not {dims + 2}"
            )

    if transposed:

        def prepack(
            weight: Any, bias: Any, stride: Sequence[int], padding: Sequence[int],
            output_padding: Sequence[int], dilation: Sequence[int], groups: int,
        ) -> ConvPacked:  # fmt: skip
            check(weight)
            return ConvPacked(weight, bias, stride, padding, dilation, groups, True, output_padding)

    else:

        def prepack(
            weight: Any, bias: Any, stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int],
            groups: int,
        ) -> ConvPacked:  # fmt: skip
            check(weight)
            return ConvPacked(weight, bias, stride, padding, dilation, groups)

    return prepack


def _conv(qx: Any, packed_weight: Any, output_scale: float, output_zero_point: int) -> Any:
    """The convolution of a quantized tensor."""
    return checked(packed_weight, ConvPacked).apply(qx, output_scale, output_zero_point)


def _conv_relu(qx: Any, packed_weight: Any, output_scale: float, output_zero_point: int) -> Any:
    """The same and relu."""
    return checked(packed_weight, ConvPacked).apply(qx, output_scale, output_zero_point, True)


def _conv_dynamic(qx: Any, packed_weight: Any, reduce_range: bool = False) -> Any:
    """The convolution of numbers, quantized by their range."""
    return checked(packed_weight, ConvPacked).dynamic(qx, reduce_range)


def _unpack(packed_weights: Any) -> tuple:
    """The weight and bias."""
    return checked(packed_weights, ConvPacked).unpack()


def _part(name: str) -> Callable:
    def part(packed_weights: Any) -> Any:
        found = checked(packed_weights, ConvPacked).geometry()[name]
        return int(found) if name == "transposed" else found

    return part


def _enter_convolutions() -> None:
    for dims in (1, 2, 3):
        kind = f"Conv{max(dims, 2)}dPacked"
        weight = f"(Tensor qx, {kind} packed_weight"
        out = f"{weight}, float output_scale, int output_zero_point) -> Tensor"
        for transposed in (False, True):
            name = f"conv_transpose{dims}d" if transposed else f"conv{dims}d"
            extra = "int[] output_padding, " if transposed else ""
            operator(
                f"{name}_prepack(Tensor weight, Tensor? bias, int[] stride, int[] padding, {extra}int[] "
                f"dilation,"
                f" int groups) -> {kind}"
            )(_prepack(dims, transposed))
            operator(f"{name}_unpack({kind} packed_weights) -> (Tensor unpacked_weights, Tensor? B_origin)")(
                _unpack
            )
            operator(f"{name}_dynamic{weight}, bool reduce_range=False) -> Tensor")(_conv_dynamic)
            new = ".new" if dims > 1 and not transposed else ""
            operator(f"{name}{new}{out}")(_conv)
            if not transposed:
                operator(f"{name}_relu{new}{out}")(_conv_relu)
            if dims == 1:
                continue
            for part in ("stride", "padding", "output_padding", "dilation", "groups", "transposed"):
                result = "int" if part in ("groups", "transposed") else "int[]"
                shown = "transpose" if part == "transposed" else part
                operator(f"{name}_{shown}({kind} packed_weights) -> {result}")(_part(part))
    operator(
        "conv_prepack(Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation,"
        " int groups) -> Conv2dPacked"
    )(_prepack(2, False))
    operator("conv_unpack(Conv2dPacked packed_weights) -> (Tensor unpacked_weights, Tensor? B_origin)")(
        _unpack
    )


_enter_convolutions()
_ADD = "(Tensor qx, Tensor qaccum, Conv2dPacked packed_weight, float output_scale, int output_zero_point)"
_ADD += " -> Tensor"


@operator("conv2d_add" + _ADD)
def conv2d_add(qx: Any, qaccum: Any, packed_weight: Any, output_scale: float, output_zero_point: int) -> Any:
    """A convolution, and a tensor added."""
    y = checked(packed_weight, ConvPacked).apply(qx, output_scale, output_zero_point)
    return add(y, qaccum, output_scale, output_zero_point)


@operator("conv2d_add_relu" + _ADD)
def conv2d_add_relu(
    qx: Any, qaccum: Any, packed_weight: Any, output_scale: float, output_zero_point: int
) -> Any:
    """The same and relu."""
    y = checked(packed_weight, ConvPacked).apply(qx, output_scale, output_zero_point)
    return add_relu(y, qaccum, output_scale, output_zero_point)


# ---------------------------------------------------------------- cells
_CELL = "LinearPacked w_ih, LinearPacked w_hh, Tensor b_ih, Tensor b_hh) -> Tensor"


def lstm_step(gates: fb.Tensor, c: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
    """The next state and cell of the four gates."""
    i, f, g, o = gates.chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return o.sigmoid() * c.tanh(), c


def gru_step(x: fb.Tensor, h: fb.Tensor, hx: fb.Tensor) -> fb.Tensor:
    """The next state of the three gates of input and state."""
    xr, xz, xn = x.chunk(3, 1)
    hr, hz, hn = h.chunk(3, 1)
    z = (xz + hz).sigmoid()
    n = (xn + (xr + hr).sigmoid() * hn).tanh()
    return (hx - n) * z + n


@operator(
    "quantized_lstm_cell_dynamic(Tensor input, Tensor[] hx, LinearPacked w_ih, LinearPacked w_hh, Tensor "
    "bias_ih,"
    " Tensor bias_hh) -> (Tensor, Tensor)"
)
def quantized_lstm_cell_dynamic(
    input: Any, hx: Sequence, w_ih: Any, w_hh: Any, bias_ih: Any = None, bias_hh: Any = None
) -> tuple:
    """One step of an LSTM; the biases are those in the packed weights."""
    return lstm_step(w_ih.dynamic(input, False, True) + w_hh.dynamic(hx[0], False, True), hx[1])


@operator(f"quantized_gru_cell_dynamic(Tensor input, Tensor hx, {_CELL}")
def quantized_gru_cell_dynamic(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """One step of a GRU."""
    return gru_step(w_ih.dynamic(input, False, True), w_hh.dynamic(hx, False, True), hx)


@operator(f"quantized_rnn_relu_cell_dynamic(Tensor input, Tensor hx, {_CELL}")
def quantized_rnn_relu_cell_dynamic(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """One step of a recurrent network with relu."""
    return (w_ih.dynamic(input, False, True) + w_hh.dynamic(hx, False, True)).relu()


@operator(f"quantized_rnn_tanh_cell_dynamic(Tensor input, Tensor hx, {_CELL}")
def quantized_rnn_tanh_cell_dynamic(
    input: Any, hx: Any, w_ih: Any, w_hh: Any, b_ih: Any = None, b_hh: Any = None
) -> Any:
    """One step of a recurrent network with tanh."""
    return (w_ih.dynamic(input, False, True) + w_hh.dynamic(hx, False, True)).tanh()


class CellParams:
    """The packed weights of a layer of a recurrent network in one direction."""

    def __init__(self, w_ih: Any, w_hh: Any, reduce_range: bool = False) -> None:
        self.w_ih, self.w_hh, self.reduce_range = w_ih, w_hh, reduce_range

    def of_input(self, x: fb.Tensor) -> fb.Tensor:
        """The gates of inputs."""
        return self.w_ih.dynamic(x, False, self.reduce_range)

    def of_state(self, h: fb.Tensor) -> fb.Tensor:
        """The gates of a state."""
        return self.w_hh.dynamic(h, False, self.reduce_range)

    def unpack(self) -> tuple:
        """Weights and biases of input and state."""
        return self.w_ih.unpack(), self.w_hh.unpack()

    def __deepcopy__(self, memo: dict) -> Any:
        return self


@operator(
    "make_quantized_cell_params_dynamic(LinearPacked w_ih, LinearPacked w_hh, Tensor bias_ih, Tensor bias_hh,"
    " bool reduce_range=False) -> __torch__.torch.classes.rnn.CellParamsBase"
)
def make_quantized_cell_params_dynamic(
    w_ih: Any, w_hh: Any, bias_ih: Any, bias_hh: Any, reduce_range: bool = False
) -> CellParams:
    """Weights of int8 for one layer and direction."""
    return CellParams(w_ih, w_hh, reduce_range)


@operator(
    "make_quantized_cell_params_fp16(LinearPacked w_ih, LinearPacked w_hh) -> "
    "__torch__.torch.classes.rnn.CellParamsBase"
)
def make_quantized_cell_params_fp16(w_ih: Any, w_hh: Any) -> CellParams:
    """Weights of float16 for one layer and direction."""
    return CellParams(w_ih, w_hh)


def requantize(t: Any, scale: float, zero: int) -> Any:
    """The tensor in steps of another scale."""
    return by_number(t, lambda x: x, PerTensor(t.dtype, float(scale), int(zero)))
