"""The old functions for one step of a recurrent network, with weights as plain int8 tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb

from .layers import gru_step, lstm_step
from .packed import LinearPacked
from .tensor import PerTensor, make

__all__ = ["quantized_gru_cell", "quantized_lstm_cell", "quantized_rnn_relu_cell", "quantized_rnn_tanh_cell"]


def _gates(x: fb.Tensor, weight: fb.Tensor, bias: fb.Tensor, scale: float, zero: int) -> fb.Tensor:
    q = make(weight, PerTensor(fb.qint8, float(scale), int(zero)))
    return LinearPacked(q, bias).dynamic(x)


def quantized_lstm_cell(
    input: fb.Tensor, hx: Sequence, w_ih: fb.Tensor, w_hh: fb.Tensor, b_ih: fb.Tensor, b_hh: fb.Tensor,
    packed_ih: Any, packed_hh: Any, col_offsets_ih: Any, col_offsets_hh: Any, scale_ih: float,
    scale_hh: float, zero_point_ih: int, zero_point_hh: int,
) -> tuple[fb.Tensor, fb.Tensor]:  # fmt: skip
    """One step of an LSTM; what PyTorch packs of the weights is not needed."""
    x = _gates(input, w_ih, b_ih, scale_ih, zero_point_ih)
    return lstm_step(x + _gates(hx[0], w_hh, b_hh, scale_hh, zero_point_hh), hx[1])


def quantized_gru_cell(
    input: fb.Tensor, hx: fb.Tensor, w_ih: fb.Tensor, w_hh: fb.Tensor, b_ih: fb.Tensor, b_hh: fb.Tensor,
    packed_ih: Any, packed_hh: Any, col_offsets_ih: Any, col_offsets_hh: Any, scale_ih: float,
    scale_hh: float, zero_point_ih: int, zero_point_hh: int,
) -> fb.Tensor:  # fmt: skip
    """One step of a GRU."""
    x = _gates(input, w_ih, b_ih, scale_ih, zero_point_ih)
    return gru_step(x, _gates(hx, w_hh, b_hh, scale_hh, zero_point_hh), hx)


def quantized_rnn_tanh_cell(
    input: fb.Tensor, hx: fb.Tensor, w_ih: fb.Tensor, w_hh: fb.Tensor, b_ih: fb.Tensor, b_hh: fb.Tensor,
    packed_ih: Any, packed_hh: Any, col_offsets_ih: Any, col_offsets_hh: Any, scale_ih: float,
    scale_hh: float, zero_point_ih: int, zero_point_hh: int,
) -> fb.Tensor:  # fmt: skip
    """One step of a recurrent network with tanh."""
    x = _gates(input, w_ih, b_ih, scale_ih, zero_point_ih)
    return (x + _gates(hx, w_hh, b_hh, scale_hh, zero_point_hh)).tanh()


def quantized_rnn_relu_cell(
    input: fb.Tensor, hx: fb.Tensor, w_ih: fb.Tensor, w_hh: fb.Tensor, b_ih: fb.Tensor, b_hh: fb.Tensor,
    packed_ih: Any, packed_hh: Any, col_offsets_ih: Any, col_offsets_hh: Any, scale_ih: float,
    scale_hh: float, zero_point_ih: int, zero_point_hh: int,
) -> fb.Tensor:  # fmt: skip
    """One step of a recurrent network with relu."""
    x = _gates(input, w_ih, b_ih, scale_ih, zero_point_ih)
    return (x + _gates(hx, w_hh, b_hh, scale_hh, zero_point_hh)).relu()
