"""Dynamic recurrent layers and cells: weights of int8 or float16, numbers in and out."""

from __future__ import annotations

import numbers
import warnings
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils.rnn import PackedSequence
from flambeau.quantized.layers import CellParams, gru_step, lstm_step

from ...modules.utils import quantized_weight
from .linear import observer_of

__all__ = ["GRU", "GRUCell", "LSTM", "LSTMCell", "PackedParameter", "RNNBase", "RNNCell", "RNNCellBase"]

_GATES = {"LSTM": 4, "GRU": 3}


class PackedParameter(nn.Module):
    """The packed weights of a layer in one direction."""

    def __init__(self, param: CellParams) -> None:
        super().__init__()
        self.param = param

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "param"] = self.param

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        self.param = state_dict.pop(prefix + "param")
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )


def _packed(weight: fb.Tensor, bias: fb.Tensor | None, dtype: fb.dtype) -> Any:
    pack = "linear_prepack" if dtype == fb.qint8 else "linear_prepack_fp16"
    return getattr(fb.ops.quantized, pack)(weight, bias)


def _empty(rows: int, columns: int, dtype: fb.dtype, bias: bool) -> Any:
    shift = fb.randn(rows).to(fb.float) if bias else None
    weight = fb.randn(rows, columns).to(fb.float)
    if dtype == fb.qint8:
        weight = fb.quantize_per_tensor(weight, 1, 0, fb.qint8)
    return _packed(weight, shift, dtype)


class RNNBase(nn.Module):
    """What the recurrent layers have in common."""

    _version = 2

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False,
        dtype: fb.dtype = fb.qint8,
    ) -> None:  # fmt: skip
        super().__init__()
        if not isinstance(dropout, numbers.Number) or not 0 <= dropout <= 1 or isinstance(dropout, bool):
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element "
                "being zeroed"
            )
        if dropout > 0 and num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout "
                "expects num_layers"
                f" greater than 1, but got dropout={dropout} and num_layers={num_layers}",
                stacklevel=3,
            )
        if dtype not in (fb.qint8, fb.float16):
            raise RuntimeError(f"Unsupported dtype: {dtype}")
        self.mode, self.input_size, self.hidden_size, self.num_layers = (
            mode,
            input_size,
            hidden_size,
            num_layers,
        )
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.dtype, self.version = bidirectional, dtype, 2
        if mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + mode)
        self.training = False
        rows, directions = _GATES[mode] * hidden_size, 2 if bidirectional else 1
        self._all_weight_values = nn.ModuleList(
            PackedParameter(self._cell(
                _empty(rows, input_size if layer == 0 else hidden_size * directions, dtype, bias),
                _empty(rows, hidden_size, dtype, bias),
            ))
            for layer in range(num_layers) for _ in range(directions)
        )  # fmt: skip

    def _cell(self, w_ih: Any, w_hh: Any) -> CellParams:
        if self.dtype == fb.float16:
            return fb.ops.quantized.make_quantized_cell_params_fp16(w_ih, w_hh)
        reduce = self.version is not None and self.version >= 2
        return fb.ops.quantized.make_quantized_cell_params_dynamic(
            w_ih, w_hh, w_ih.bias(), w_hh.bias(), reduce
        )

    def _get_name(self) -> str:
        return "DynamicQuantizedRNN"

    def extra_repr(self) -> str:
        """Sizes and what is not the default."""
        s = f"{self.input_size}, {self.hidden_size}"
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0, "bidirectional": False}
        return s + "".join(f", {k}={getattr(self, k)}" for k, v in defaults.items() if getattr(self, k) != v)

    def __repr__(self) -> str:
        return f"{self._get_name()}({self.extra_repr()})"

    def check_input(self, input: fb.Tensor, batch_sizes: Any) -> None:
        """Raise where sizes do not fit."""
        expected = 2 if batch_sizes is not None else 3
        if input.dim() != expected:
            raise RuntimeError(f"input must have {expected} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.size(-1)}"
            )

    def get_expected_hidden_size(self, input: fb.Tensor, batch_sizes: Any) -> tuple[int, int, int]:
        """The sizes of a state."""
        batch = int(batch_sizes[0]) if batch_sizes is not None else input.size(0 if self.batch_first else 1)
        return self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size

    def check_hidden_size(
        self, hx: fb.Tensor, expected_hidden_size: tuple, msg: str = "Expected hidden size {}, got {}"
    ) -> None:
        """Raise where a state has other sizes."""
        if hx.size() != tuple(expected_hidden_size):
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: fb.Tensor, hidden: Any, batch_sizes: Any) -> None:
        """Raise where sizes do not fit."""
        self.check_input(input, batch_sizes)
        expected = self.get_expected_hidden_size(input, batch_sizes)
        parts = hidden if isinstance(hidden, tuple) else (hidden,)
        for part, name in zip(parts, ("hidden[0]", "hidden[1]")):
            label = (
                f"Expected {name} size {{}}, got {{}}"
                if len(parts) == 2
                else "Expected hidden size {}, got {}"
            )
            self.check_hidden_size(part, expected, label)

    def permute_hidden(self, hx: Any, permutation: Any) -> Any:
        """States in another order of the batch."""
        if permutation is None:
            return hx
        if isinstance(hx, tuple):
            return tuple(h.index_select(1, permutation) for h in hx)
        return hx.index_select(1, permutation)

    def _step(self, gates: fb.Tensor, state: tuple, cell: CellParams) -> tuple:
        if self.mode == "LSTM":
            return lstm_step(gates + cell.of_state(state[0]), state[1])
        return (gru_step(gates, cell.of_state(state[0]), state[0]),)

    def _direction(self, x: fb.Tensor, sizes: list[int], state: tuple, cell: CellParams, back: bool) -> tuple:
        """One direction of one layer over rows of all steps; the batch of step t has ``sizes[t]`` rows."""
        gates, starts, outs = cell.of_input(x), [0], [None] * len(sizes)
        for n in sizes:
            starts.append(starts[-1] + n)
        state = tuple(s.clone() for s in state)
        for t in reversed(range(len(sizes))) if back else range(len(sizes)):
            n = sizes[t]
            now = self._step(gates[starts[t] : starts[t] + n], tuple(s[:n] for s in state), cell)
            outs[t] = now[0]
            state = tuple(fb.cat([a, s[n:]]) if n < len(s) else a for a, s in zip(now, state))
        return fb.cat(outs), state

    def _run(self, x: fb.Tensor, sizes: list[int], hidden: tuple) -> tuple:
        directions, ends = 2 if self.bidirectional else 1, []
        for layer in range(self.num_layers):
            made = []
            for d in range(directions):
                at = layer * directions + d
                state = tuple(h[at] for h in hidden)
                out, end = self._direction(x, sizes, state, self._all_weight_values[at].param, d == 1)
                made.append(out)
                ends.append(end)
            x = fb.cat(made, 1) if directions == 2 else made[0]
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = nn.functional.dropout(x, self.dropout, True)
        return x, tuple(fb.stack(parts) for parts in zip(*ends))

    def _zeros(self, input: fb.Tensor, batch: int) -> Any:
        size = (self.num_layers * (2 if self.bidirectional else 1), batch, self.hidden_size)
        zeros = fb.zeros(size, dtype=input.dtype, device=input.device)
        return (zeros, zeros) if self.mode == "LSTM" else zeros

    @fb.no_grad()
    def forward(self, input: Any, hx: Any = None) -> tuple:
        """All steps; returns the states of the last layer and the last states."""
        packed = isinstance(input, PackedSequence)
        if packed:
            data, sizes, order, back = input
            batch, batch_sizes = int(sizes[0]), sizes
        else:
            data, order, back, batch_sizes = input, None, None, None
            batch = data.size(0 if self.batch_first else 1)
        hidden = self._zeros(data, batch) if hx is None else self.permute_hidden(hx, order)
        self.check_forward_args(data, hidden, batch_sizes)
        state = hidden if isinstance(hidden, tuple) else (hidden,)
        if packed:
            out, end = self._run(data, batch_sizes.tolist(), state)
            out = PackedSequence(out, batch_sizes, order, back)
        else:
            x = data.transpose(0, 1) if self.batch_first else data
            steps = x.shape[0]
            out, end = self._run(x.reshape(steps * batch, -1), [batch] * steps, state)
            out = out.reshape(steps, batch, -1)
            out = out.transpose(0, 1) if self.batch_first else out
        end = end if self.mode == "LSTM" else end[0]
        return out, self.permute_hidden(end, back)

    def _parts(self, which: int) -> dict[str, Any]:
        found, directions = {}, 2 if self.bidirectional else 1
        word = ("weight", "bias")[which]
        for layer in range(self.num_layers):
            for d in range(directions):
                suffix = "_reverse" if d else ""
                parts = self._all_weight_values[layer * directions + d].param.unpack()
                for kind, part in zip(("ih", "hh"), parts):
                    found[f"{word}_{kind}_l{layer}{suffix}"] = part[which]
        return found

    def get_weight(self) -> dict[str, Any]:
        """The quantized weights by name."""
        return self._parts(0)

    def get_bias(self) -> dict[str, Any]:
        """The biases by name."""
        return self._parts(1)

    def set_weight_bias(self, weight_bias_dict: dict[str, Any]) -> None:
        """Other weights and biases by name."""
        directions = 2 if self.bidirectional else 1
        for layer in range(self.num_layers):
            for d in range(directions):
                end = f"l{layer}" + ("_reverse" if d else "")
                packed = [
                    _packed(
                        weight_bias_dict[f"weight_{k}_{end}"],
                        weight_bias_dict.get(f"bias_{k}_{end}"),
                        self.dtype,
                    )
                    for k in ("ih", "hh")
                ]
                self._all_weight_values[layer * directions + d] = PackedParameter(self._cell(*packed))

    @classmethod
    def _like(cls, mod: nn.Module, dtype: fb.dtype) -> Any:
        return cls(
            mod.input_size, mod.hidden_size, mod.num_layers, mod.bias, mod.batch_first, mod.dropout,
            mod.bidirectional, dtype=dtype,
        )  # fmt: skip

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one, by its ``qconfig`` or the default."""
        if type(mod).__name__ not in _GATES:
            raise AssertionError("nn.quantized.dynamic.RNNBase.from_float only works for nn.LSTM and nn.GRU")
        if not hasattr(mod, "qconfig"):
            raise AssertionError("Input float module must have qconfig defined")
        dtype = observer_of(mod).dtype
        if dtype not in (fb.qint8, fb.float16):
            raise RuntimeError(f"Unsupported dtype for Dynamic RNN quantization: {dtype}")
        values = {}
        for name, p in mod.named_parameters():
            values[name] = p.detach().float()
            if "weight" in name and dtype == fb.qint8:
                observer = observer_of(mod)
                observer(p)
                values[name] = quantized_weight(p, observer)
        made = cls._like(mod, dtype)
        made.set_weight_bias(values)
        return made

    @classmethod
    def from_reference(cls, ref_mod: nn.Module) -> Any:
        """The layer of a reference layer."""
        made = cls._like(ref_mod, ref_mod.weight_ih_l0_dtype)
        made.set_weight_bias(ref_mod.get_quantized_weight_bias_dict())
        return made


class LSTM(RNNBase):
    """Layers of LSTM cells."""

    _FLOAT_MODULE = nn.LSTM

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def _get_name(self) -> str:
        return "DynamicQuantizedLSTM"


class GRU(RNNBase):
    """Layers of GRU cells."""

    _FLOAT_MODULE = nn.GRU

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("GRU", *args, **kwargs)

    def _get_name(self) -> str:
        return "DynamicQuantizedGRU"


class RNNCellBase(nn.Module):
    """What the cells have in common."""

    __constants__ = ["input_size", "hidden_size", "bias"]
    _gates = 1

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, num_chunks: int = 4,
        dtype: fb.dtype = fb.qint8,
    ) -> None:  # fmt: skip
        super().__init__()
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        self.weight_dtype = dtype
        rows = num_chunks * hidden_size
        self._packed_weight_ih = _empty(rows, input_size, dtype, bias)
        self._packed_weight_hh = _empty(rows, hidden_size, dtype, bias)

    def _get_name(self) -> str:
        return "DynamicQuantizedRNNBase"

    def extra_repr(self) -> str:
        """Sizes and what is not the default."""
        s = f"{self.input_size}, {self.hidden_size}"
        s += "" if self.bias else f", bias={self.bias}"
        kind = getattr(self, "nonlinearity", "tanh")
        return s if kind == "tanh" else f"{s}, nonlinearity={kind}"

    def check_forward_input(self, input: fb.Tensor) -> None:
        """Raise where sizes do not fit."""
        if input.size(1) != self.input_size:
            raise RuntimeError(
                f"input has inconsistent input_size: got {input.size(1)}, expected {self.input_size}"
            )

    def check_forward_hidden(self, input: fb.Tensor, hx: fb.Tensor, hidden_label: str = "") -> None:
        """The same of a state."""
        if input.size(0) != hx.size(0):
            raise RuntimeError(
                f"Input batch size {input.size(0)} doesn't match hidden{hidden_label} batch size {hx.size(0)}"
            )
        if hx.size(1) != self.hidden_size:
            raise RuntimeError(
                f"hidden{hidden_label} has inconsistent hidden_size: got {hx.size(1)}, expected "
                f"{self.hidden_size}"
            )

    def _state(self, input: fb.Tensor, hx: fb.Tensor | None, label: str = "") -> fb.Tensor:
        self.check_forward_input(input)
        if hx is None:
            return fb.zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)
        self.check_forward_hidden(input, hx, label)
        return hx

    def _cell(self, op: str, input: fb.Tensor, hx: Any) -> Any:
        w_ih, w_hh = self._packed_weight_ih, self._packed_weight_hh
        with fb.no_grad():
            return getattr(fb.ops.quantized, op)(input, hx, w_ih, w_hh, w_ih.bias(), w_hh.bias())

    def get_weight(self) -> dict[str, Any]:
        """The quantized weights by name."""
        return {
            "weight_ih": self._packed_weight_ih.unpack()[0],
            "weight_hh": self._packed_weight_hh.unpack()[0],
        }

    def get_bias(self) -> dict[str, Any]:
        """The biases by name."""
        return {"bias_ih": self._packed_weight_ih.unpack()[1], "bias_hh": self._packed_weight_hh.unpack()[1]}

    def set_weight_bias(self, weight_bias_dict: dict[str, Any]) -> None:
        """Other weights and biases by name."""
        for k in ("ih", "hh"):
            packed = _packed(
                weight_bias_dict["weight_" + k], weight_bias_dict.get("bias_" + k), self.weight_dtype
            )
            setattr(self, "_packed_weight_" + k, packed)

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        for k in ("ih", "hh"):
            destination[f"{prefix}_packed_weight_{k}"] = getattr(self, "_packed_weight_" + k)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        for k in ("ih", "hh"):
            setattr(self, "_packed_weight_" + k, state_dict.pop(f"{prefix}_packed_weight_{k}"))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    @classmethod
    def _like(cls, mod: nn.Module, dtype: fb.dtype) -> Any:
        return cls(mod.input_size, mod.hidden_size, bias=mod.bias, dtype=dtype)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The cell of a float one, by its ``qconfig`` or the default."""
        if not hasattr(mod, "qconfig"):
            raise AssertionError("Input float module must have qconfig defined")
        observer = observer_of(mod)
        dtype = observer.dtype
        if dtype not in (fb.qint8, fb.float16):
            raise AssertionError(
                f"The only supported dtypes for dynamic quantized RNN cells are qint8 and float16 got: "
                f"{dtype}"
            )
        made, values = cls._like(mod, dtype), {}
        for name, p in mod.named_parameters():
            values[name] = p.detach().float()
            if "weight" in name and dtype == fb.qint8:
                observer = observer_of(mod)
                observer(p)
                values[name] = quantized_weight(p, observer)
        made.set_weight_bias(values)
        return made

    @classmethod
    def from_reference(cls, ref_mod: nn.Module) -> Any:
        """The cell of a reference cell."""
        made = cls._like(ref_mod, ref_mod.weight_ih_dtype)
        values = {
            "weight_ih": ref_mod.get_quantized_weight_ih(),
            "weight_hh": ref_mod.get_quantized_weight_hh(),
        }
        made.set_weight_bias({**values, "bias_ih": ref_mod.bias_ih, "bias_hh": ref_mod.bias_hh})
        return made


class RNNCell(RNNCellBase):
    """A cell with tanh or relu."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        dtype: fb.dtype = fb.qint8,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, num_chunks=1, dtype=dtype)
        self.nonlinearity = nonlinearity

    def _get_name(self) -> str:
        return "DynamicQuantizedRNNCell"

    def forward(self, input: fb.Tensor, hx: fb.Tensor | None = None) -> fb.Tensor:
        """One step."""
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._cell(f"quantized_rnn_{self.nonlinearity}_cell_dynamic", input, self._state(input, hx))

    @classmethod
    def _like(cls, mod: nn.Module, dtype: fb.dtype) -> Any:
        return cls(mod.input_size, mod.hidden_size, mod.bias, mod.nonlinearity, dtype=dtype)


class LSTMCell(RNNCellBase):
    """An LSTM cell."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, num_chunks=4, **kwargs)

    def _get_name(self) -> str:
        return "DynamicQuantizedLSTMCell"

    def forward(self, input: fb.Tensor, hx: tuple | None = None) -> tuple:
        """One step."""
        h, c = hx if hx is not None else (None, None)
        state = self._state(input, h, "[0]"), self._state(input, c, "[1]")
        return self._cell("quantized_lstm_cell_dynamic", input, state)


class GRUCell(RNNCellBase):
    """A GRU cell."""

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, dtype: fb.dtype = fb.qint8
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3, dtype=dtype)

    def _get_name(self) -> str:
        return "DynamicQuantizedGRUCell"

    def forward(self, input: fb.Tensor, hx: fb.Tensor | None = None) -> fb.Tensor:
        """One step."""
        return self._cell("quantized_gru_cell_dynamic", input, self._state(input, hx))
