"""LSTM of linear layers and functions, each of which can be observed."""

from __future__ import annotations

import numbers
import warnings
from typing import Any, NoReturn

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.quantization.utils import STEPS
from flambeau.types import Device

__all__ = ["LSTMCell", "LSTM"]

_GATES = ("input", "forget", "cell", "output")
_State = tuple[Tensor, Tensor]


def _functional() -> nn.Module:
    from flambeau.ao.nn.quantized import FloatFunctional

    return FloatFunctional()


class LSTMCell(nn.Module):
    """One step.

    Parameters
    ----------
    input_dim, hidden_dim : int
    bias : bool
    split_gates : bool
        Have a layer for each gate.
    """

    _FLOAT_MODULE = nn.LSTMCell
    __constants__ = ["split_gates"]

    def __init__(
        self, input_dim: int, hidden_dim: int, bias: bool = True, device: Device = None,
        dtype: fb.dtype | None = None, *, split_gates: bool = False,
    ) -> None:  # fmt: skip
        options = {"device": device, "dtype": dtype}
        super().__init__()
        self.input_size = input_dim
        self.hidden_size = hidden_dim
        self.bias = bias
        self.split_gates = split_gates
        if split_gates:
            self.igates, self.hgates, self.gates = nn.ModuleDict(), nn.ModuleDict(), nn.ModuleDict()
            for gate in _GATES:
                self.igates[gate] = nn.Linear(input_dim, hidden_dim, bias=bias, **options)
                self.hgates[gate] = nn.Linear(hidden_dim, hidden_dim, bias=bias, **options)
                self.gates[gate] = _functional()
        else:
            self.igates = nn.Linear(input_dim, 4 * hidden_dim, bias=bias, **options)
            self.hgates = nn.Linear(hidden_dim, 4 * hidden_dim, bias=bias, **options)
            self.gates = _functional()
        self.input_gate = nn.Sigmoid()
        self.forget_gate = nn.Sigmoid()
        self.cell_gate = nn.Tanh()
        self.output_gate = nn.Sigmoid()
        for name in ("fgate_cx", "igate_cgate", "fgate_cx_igate_cgate", "ogate_cy"):
            setattr(self, name, _functional())
        self.initial_hidden_state_qparams: tuple[float, int] = (1.0, 0)
        self.initial_cell_state_qparams: tuple[float, int] = (1.0, 0)
        self.hidden_state_dtype: fb.dtype = fb.quint8
        self.cell_state_dtype: fb.dtype = fb.quint8

    def forward(self, x: Tensor, hidden: _State | None = None) -> _State:
        """State after one more input."""
        if hidden is None or hidden[0] is None or hidden[1] is None:
            hidden = self.initialize_hidden(x.shape[0], x.is_quantized)
        h, c = hidden
        if self.split_gates:
            sums = [self.gates[g].add(self.igates[g](x), self.hgates[g](h)) for g in _GATES]
        else:
            sums = self.gates.add(self.igates(x), self.hgates(h)).chunk(4, 1)
        taken, kept = self.input_gate(sums[0]), self.forget_gate(sums[1])
        new, shown = self.cell_gate(sums[2]), self.output_gate(sums[3])
        old = self.fgate_cx.mul(kept, c)
        c = self.fgate_cx_igate_cgate.add(old, self.igate_cgate.mul(taken, new))
        return self.ogate_cy.mul(shown, fb.tanh(c)), c

    def initialize_hidden(self, batch_size: int, is_quantized: bool = False) -> _State:
        """Zeros, quantized on demand."""
        h = fb.zeros((batch_size, self.hidden_size))
        c = fb.zeros((batch_size, self.hidden_size))
        if is_quantized:
            h = fb.quantize_per_tensor(h, *self.initial_hidden_state_qparams, self.hidden_state_dtype)
            c = fb.quantize_per_tensor(c, *self.initial_cell_state_qparams, self.cell_state_dtype)
        return h, c

    def _get_name(self) -> str:
        return "QuantizableLSTMCell"

    @classmethod
    def from_params(
        cls,
        wi: Tensor,
        wh: Tensor,
        bi: Tensor | None = None,
        bh: Tensor | None = None,
        split_gates: bool = False,
    ) -> LSTMCell:
        """A cell with weights and biases of input and hidden state."""
        if (bi is None) != (bh is None):
            raise AssertionError("bi and bh must both be None or both have values")
        cell = cls(wi.shape[1], wh.shape[1], bias=bi is not None, split_gates=split_gates)
        for layer, weight, bias in ((cell.igates, wi, bi), (cell.hgates, wh, bh)):
            layers = list(layer.values()) if split_gates else [layer]
            for name, whole in (("weight", weight), ("bias", bias)):
                if whole is not None:
                    for part, own in zip(whole.chunk(4, dim=0) if split_gates else [whole], layers):
                        setattr(own, name, nn.Parameter(part))
        return cell

    @classmethod
    def from_float(
        cls, other: nn.Module, use_precomputed_fake_quant: bool = False, split_gates: bool = False
    ) -> LSTMCell:
        """The cell that takes the place of `nn.LSTMCell`, which has a ``qconfig``."""
        if type(other) is not cls._FLOAT_MODULE:
            raise AssertionError(f"Expected module type {cls._FLOAT_MODULE}, got {type(other)}")
        if not hasattr(other, "qconfig"):
            raise AssertionError("The float module must have 'qconfig'")
        made = cls.from_params(
            other.weight_ih, other.weight_hh, other.bias_ih, other.bias_hh, split_gates=split_gates
        )
        for part in (made, made.igates, made.hgates):
            part.qconfig = other.qconfig
        if split_gates:
            for layer in (*made.igates.values(), *made.hgates.values()):
                layer.qconfig = other.qconfig
        return made


class _LSTMSingleLayer(nn.Module):
    """A cell, step by step."""

    def __init__(
        self, input_dim: int, hidden_dim: int, bias: bool = True, device: Device = None,
        dtype: fb.dtype | None = None, *, split_gates: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.cell = LSTMCell(
            input_dim, hidden_dim, bias=bias, split_gates=split_gates, device=device, dtype=dtype
        )

    def forward(self, x: Tensor, hidden: _State | None = None) -> tuple[Tensor, _State]:
        """States after each input, and the last state."""
        results = []
        for k in range(x.shape[0]):
            hidden = self.cell(x[k], hidden)
            results.append(hidden[0])
        return fb.stack(results, 0), hidden

    @classmethod
    def from_params(cls, *args: Any, **kwargs: Any) -> _LSTMSingleLayer:
        """A layer of ``LSTMCell.from_params``."""
        cell = LSTMCell.from_params(*args, **kwargs)
        made = cls(cell.input_size, cell.hidden_size, cell.bias, split_gates=cell.split_gates)
        made.cell = cell
        return made


class _LSTMLayer(nn.Module):
    """A layer in one direction, or in both."""

    def __init__(
        self, input_dim: int, hidden_dim: int, bias: bool = True, batch_first: bool = False,
        bidirectional: bool = False, device: Device = None, dtype: fb.dtype | None = None, *,
        split_gates: bool = False,
    ) -> None:  # fmt: skip
        options: dict[str, Any] = {"device": device, "dtype": dtype, "split_gates": split_gates}
        super().__init__()
        self.batch_first = batch_first
        self.bidirectional = bidirectional
        self.layer_fw = _LSTMSingleLayer(input_dim, hidden_dim, bias=bias, **options)
        if bidirectional:
            self.layer_bw = _LSTMSingleLayer(input_dim, hidden_dim, bias=bias, **options)

    def forward(self, x: Tensor, hidden: _State | None = None) -> tuple[Tensor, _State]:
        """States after each input, and the last state of each direction."""
        if self.batch_first:
            x = x.transpose(0, 1)
        h, c = (None, None) if hidden is None else hidden

        def start(direction: int) -> _State | None:
            if h is None or c is None:
                return None
            return (h[direction], c[direction]) if self.bidirectional else (h, c)

        result, last = self.layer_fw(x, start(0))
        if self.bidirectional:
            backward, end = self.layer_bw(x.flip(0), start(1))
            result = fb.cat([result, backward.flip(0)], result.dim() - 1)
            last = fb.stack([last[0], end[0]], 0), fb.stack([last[1], end[1]], 0)
        if self.batch_first:
            result.transpose_(0, 1)
        return result, last

    @classmethod
    def from_float(cls, other: Any, layer_idx: int = 0, qconfig: Any = None, **kwargs: Any) -> _LSTMLayer:
        """Layer `layer_idx` of an `nn.LSTM`."""
        if not hasattr(other, "qconfig") and qconfig is None:
            raise AssertionError("other must have qconfig or qconfig must be provided")
        names = ("input_size", "hidden_size", "bias", "batch_first", "bidirectional")
        split_gates = kwargs.get("split_gates", False)
        made = cls(*(kwargs.get(n, getattr(other, n)) for n in names), split_gates=split_gates)
        made.qconfig = getattr(other, "qconfig", qconfig)

        def single(suffix: str) -> _LSTMSingleLayer:
            tensors = (
                getattr(other, f"{name}_l{layer_idx}{suffix}", None)
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            return _LSTMSingleLayer.from_params(*tensors, split_gates=split_gates)

        made.layer_fw = single("")
        if other.bidirectional:
            made.layer_bw = single("_reverse")
        return made


class LSTM(nn.Module):
    """`nn.LSTM` of linear layers and functions, each of which can be observed; no dropout.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias, batch_first, bidirectional : bool
    dropout : float
        Ignored.
    split_gates : bool
        Have a layer for each gate.
    """

    _FLOAT_MODULE = nn.LSTM

    def __init__(
        self, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, device: Device = None,
        dtype: fb.dtype | None = None, *, split_gates: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.training = False
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] "
                "representing the probability of an element being "
                "zeroed"
            )
        if dropout > 0:
            warnings.warn(
                "dropout option for quantizable LSTM is ignored. "
                "If you are training, please, use nn.LSTM version "
                "followed by `prepare` step.",
                stacklevel=2,
            )
            if num_layers == 1:
                warnings.warn(
                    "dropout option adds dropout after all but last "
                    "recurrent layer, so non-zero dropout expects "
                    f"num_layers greater than 1, but got dropout={dropout} "
                    f"and num_layers={num_layers}",
                    stacklevel=2,
                )
        self.layers = nn.ModuleList(
            _LSTMLayer(
                hidden_size if k else input_size, hidden_size, bias, batch_first=False,
                bidirectional=bidirectional, split_gates=split_gates, device=device, dtype=dtype,
            )
            for k in range(num_layers)
        )  # fmt: skip

    def forward(self, x: Tensor, hidden: Any = None) -> tuple[Tensor, _State]:
        """States after each input, and the last states."""
        if self.batch_first:
            x = x.transpose(0, 1)
        batch, directions = x.size(1), 2 if self.bidirectional else 1
        if hidden is None:
            zeros = fb.zeros(directions, batch, self.hidden_size, dtype=fb.float, device=x.device).squeeze(0)
            if x.is_quantized:
                zeros = fb.quantize_per_tensor(zeros, scale=1.0, zero_point=0, dtype=x.dtype)
            starts: Any = [(zeros, zeros)] * self.num_layers
        elif isinstance(hidden[0], Tensor):
            h, c = (s.reshape(self.num_layers, directions, batch, self.hidden_size) for s in hidden)
            starts = [(h[k].squeeze(0), c[k].squeeze(0)) for k in range(self.num_layers)]
        else:
            starts = hidden
        ends = []
        for k, layer in enumerate(self.layers):
            x, end = layer(x, starts[k])
            ends.append(end)
        h, c = (fb.stack([end[k] for end in ends]) for k in range(2))
        h, c = (s.reshape(-1, s.shape[-2], s.shape[-1]) for s in (h, c))
        return (x.transpose(0, 1) if self.batch_first else x), (h, c)

    def _get_name(self) -> str:
        return "QuantizableLSTM"

    @classmethod
    def from_float(cls, other: nn.Module, qconfig: Any = None, split_gates: bool = False) -> LSTM:
        """The network that takes the place of `nn.LSTM`, with observers."""
        if not isinstance(other, cls._FLOAT_MODULE):
            raise AssertionError(f"Expected module type {cls._FLOAT_MODULE}, got {type(other)}")
        if not hasattr(other, "qconfig") and not qconfig:
            raise AssertionError("other must have qconfig or qconfig must be provided")
        made = cls(
            other.input_size, other.hidden_size, other.num_layers, other.bias, other.batch_first,
            other.dropout, other.bidirectional, split_gates=split_gates,
        )  # fmt: skip
        made.qconfig = getattr(other, "qconfig", qconfig)
        for k in range(other.num_layers):
            made.layers[k] = _LSTMLayer.from_float(
                other, k, qconfig, batch_first=False, split_gates=split_gates
            )
        made.train(other.training)
        return STEPS["prepare_qat" if other.training else "prepare"](made, inplace=True)

    @classmethod
    def from_observed(cls, other: nn.Module) -> NoReturn:
        """Not of this class."""
        raise NotImplementedError(
            "It looks like you are trying to convert a "
            "non-quantizable LSTM module. Please, see "
            "the examples on quantizable LSTMs."
        )
