"""Recurrent layers and cells."""

import math
import numbers
import warnings
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau._own_methods import own_methods
from flambeau.nn import init
from flambeau.nn.functional._core import op
from flambeau.nn.modules.module import Module
from flambeau.nn.parameter import Parameter
from flambeau.nn.utils.rnn import PackedSequence
from flambeau.types import Device

__all__ = ["RNNBase", "RNN", "LSTM", "GRU", "RNNCellBase", "RNNCell", "LSTMCell", "GRUCell"]

_KERNELS = {"LSTM": op("lstm"), "GRU": op("gru"), "RNN_TANH": op("rnn_tanh"), "RNN_RELU": op("rnn_relu")}
_GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}


def _capital(tensor: Tensor) -> str:
    """A dtype as errors of products spell it."""
    return tensor.type().rpartition(".")[2].removesuffix("Tensor")


def _permuted(tensor: Tensor, permutation: Tensor, dim: int = 1) -> Tensor:
    return tensor.index_select(dim, permutation)


@own_methods("forward")
class RNNBase(Module):
    """What RNN, LSTM and GRU share: weights, checks and the call of the kernel.

    Parameters
    ----------
    mode : {"LSTM", "GRU", "RNN_TANH", "RNN_RELU"}
    input_size, hidden_size : int
        Sizes of the input and the state.
    num_layers : int
        Layers, each of which gets the output of the one before.
    bias : bool
        Whether there are biases.
    batch_first : bool
        Input and output are (N, L, ·) instead of (L, N, ·).
    dropout : float
        Between the layers.
    bidirectional : bool
        Run a second layer from the end.
    proj_size : int
        Size to which the LSTM's output is projected; 0: not at all.
    """

    __constants__ = [
        "mode", "input_size", "hidden_size", "num_layers", "bias", "batch_first", "dropout", "bidirectional",
        "proj_size",
    ]  # fmt: skip
    __jit_unused_properties__ = ["all_weights"]

    def __init__(
        self, mode: str, input_size: int, hidden_size: int, num_layers: int = 1, bias: bool = True,
        batch_first: bool = False, dropout: float = 0.0, bidirectional: bool = False, proj_size: int = 0,
        device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.mode = mode
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.num_layers = num_layers
        self.bias = bias
        self.batch_first = batch_first
        self.dropout = float(dropout)
        self.bidirectional = bidirectional
        self.proj_size = proj_size
        self._check_settings(dropout)
        gate_size = _GATES[mode] * hidden_size
        out_size = proj_size if proj_size > 0 else hidden_size
        directions = 2 if bidirectional else 1
        self._flat_weights_names: list[str] = []
        self._all_weights: list[list[str]] = []
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        for layer in range(num_layers):
            for suffix in ("", "_reverse")[:directions]:
                in_size = input_size if layer == 0 else out_size * directions
                shapes = {"weight_ih": (gate_size, in_size), "weight_hh": (gate_size, out_size)}
                if bias:
                    # two biases, of which one would do, as other libraries have them
                    shapes |= {"bias_ih": gate_size, "bias_hh": gate_size}
                if proj_size > 0:
                    shapes["weight_hr"] = (proj_size, hidden_size)
                names = []
                for kind, shape in shapes.items():
                    name = f"{kind}_l{layer}{suffix}"
                    setattr(self, name, Parameter(fb.empty(shape, **options)))
                    names.append(name)
                self._flat_weights_names.extend(names)
                self._all_weights.append(names)
        self.reset_parameters()

    def _check_settings(self, dropout: float) -> None:
        number = isinstance(dropout, numbers.Number) and not isinstance(dropout, bool)
        if not number or not 0 <= dropout <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an element "
                "being zeroed"
            )
        if dropout > 0 and self.num_layers == 1:
            warnings.warn(
                "dropout option adds dropout after all but last recurrent layer, so non-zero dropout expects "
                f"num_layers greater than 1, but got dropout={dropout} and num_layers={self.num_layers}",
                stacklevel=4,
            )
        for name, kind in (("input_size", int), ("hidden_size", int), ("bias", bool), ("batch_first", bool)):
            value = getattr(self, name)
            if not isinstance(value, kind):
                raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero")
        if self.proj_size < 0:
            raise ValueError("proj_size should be a positive integer or zero to disable projections")
        if self.proj_size >= self.hidden_size:
            raise ValueError("proj_size has to be smaller than hidden_size")
        if self.mode not in _GATES:
            raise ValueError("Unrecognized RNN mode: " + self.mode)

    @property
    def _flat_weights(self) -> list:
        return [getattr(self, name) for name in self._flat_weights_names]

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The weights, in lists of one layer and direction."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    def flatten_parameters(self) -> None:
        """Nothing to do: the kernels take the weights as they are."""

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    # ------------------------------------------------------------------------------------ checks

    def check_input(self, input: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise unless dtype, dimensions and size of `input` are right."""
        weight = self._parameters.get(self._flat_weights_names[0])
        if weight is not None and input.dtype != weight.dtype and not fb.is_autocast_enabled():
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({weight.dtype}). "
                f"Convert input: input.to({weight.dtype}), or convert model: model.to({input.dtype})"
            )
        dims = 2 if batch_sizes is not None else 3
        if input.dim() != dims:
            raise RuntimeError(f"input must have {dims} dimensions, got {input.dim()}")
        if self.input_size != input.size(-1):
            raise RuntimeError(
                f"input.size(-1) must be equal to input_size. Expected {self.input_size}, got "
                f"{input.size(-1)}"
            )

    def get_expected_hidden_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the hidden state for `input`."""
        if batch_sizes is not None:
            batch = int(batch_sizes[0])
        else:
            batch = input.size(0) if self.batch_first else input.size(1)
        size = self.proj_size if self.proj_size > 0 else self.hidden_size
        return self.num_layers * (2 if self.bidirectional else 1), batch, size

    def check_hidden_size(
        self, hx: Tensor, expected_hidden_size: tuple[int, int, int],
        msg: str = "Expected hidden size {}, got {}",
    ) -> None:  # fmt: skip
        """Raise unless `hx` has the expected shape."""
        if hx.size() != expected_hidden_size:
            raise RuntimeError(msg.format(expected_hidden_size, list(hx.size())))

    def check_forward_args(self, input: Tensor, hidden: Tensor, batch_sizes: Tensor | None) -> None:
        """Raise unless input and state fit the layer."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(hidden, self.get_expected_hidden_size(input, batch_sizes))

    def permute_hidden(self, hx: Any, permutation: Tensor | None) -> Any:
        """The state with its batch reordered."""
        return hx if permutation is None else _permuted(hx, permutation)

    def _check_unpacked(self, input: Tensor, hx: Any) -> bool:
        """Whether `input` has a batch dimension; raises where input and state disagree."""
        name = type(self).__name__
        if input.dim() not in (2, 3):
            what = " tensor" if self.mode.startswith("RNN") else ""
            raise ValueError(f"{name}: Expected input to be 2D or 3D, got {input.dim()}D{what} instead")
        batched = input.dim() == 3
        if hx is not None and hx.dim() != input.dim():
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx should also be {input.dim()}-D but got {hx.dim()}-D tensor"
            )
        return batched

    # ------------------------------------------------------------------------------------ forward

    def _start_state(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        shape = self.get_expected_hidden_size(input, batch_sizes)
        return fb.zeros(shape, dtype=input.dtype, device=input.device)

    def forward(
        self, input: Tensor | PackedSequence, hx: Tensor | tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor | PackedSequence, Any]:
        """Run over a sequence.

        Parameters
        ----------
        input : Tensor of shape (L, N, input_size), (N, L, input_size), (L, input_size), or PackedSequence
        hx : Tensor of shape (layers * directions, N, hidden_size), optional
            State to start from (for an LSTM, a pair of them); zero by default.

        Returns
        -------
        output of the last layer at all times, and the last state
        """
        packed = isinstance(input, PackedSequence)
        batched, batch_sizes, unsorted = True, None, None
        if packed:
            data, batch_sizes, sorted_indices, unsorted = input
            if hx is not None:
                hx = self.permute_hidden(hx, sorted_indices)
        else:
            data = input
            batched = self._check_unpacked(data, hx)
            if not batched:
                data = data.unsqueeze(0 if self.batch_first else 1)
                hx = self._map_state(hx, lambda h: h.unsqueeze(1))
        if hx is None:
            hx = self._start_state(data, batch_sizes)
        self.check_forward_args(data, hx, batch_sizes)
        result = self._run(data, hx, batch_sizes)
        output, state = result[0], self._state_of(result)
        if packed:
            return PackedSequence(output, batch_sizes, sorted_indices, unsorted), self.permute_hidden(
                state, unsorted
            )
        if not batched:
            output = output.squeeze(0 if self.batch_first else 1)
            state = self._map_state(state, lambda h: h.squeeze(1))
        return output, state

    def _map_state(self, hx: Any, fn: Callable[[Tensor], Tensor]) -> Any:
        return None if hx is None else fn(hx)

    def _state_of(self, result: Any) -> Any:
        return result[1]

    def _run(self, data: Tensor, hx: Any, batch_sizes: Tensor | None) -> tuple[Tensor, ...]:
        kernel = _KERNELS[self.mode]
        first = hx[0] if isinstance(hx, tuple) else hx
        if first.dtype is not data.dtype and not fb.is_autocast_enabled():
            raise RuntimeError(
                f"mat1 and mat2 must have the same dtype, but got {_capital(first)} and {_capital(data)}"
            )
        if batch_sizes is None and data.size(0 if self.batch_first else 1) == 0 and data.numel() == 0:
            return self._of_no_rows(data, hx)
        settings = (
            self._flat_weights,
            self.bias,
            self.num_layers,
            self.dropout,
            self.training,
            self.bidirectional,
        )
        if batch_sizes is None:
            return kernel(data, hx, *settings, self.batch_first)
        return kernel(data, batch_sizes, hx, *settings)

    def _of_no_rows(self, data: Tensor, hx: Any) -> tuple[Tensor, ...]:
        """The results for a batch of size zero; they keep their place in the graph."""
        width = (self.proj_size or self.hidden_size) * (2 if self.bidirectional else 1)
        output = data.new_zeros(*data.shape[:2], width)
        output = output + data.sum() + sum(w.sum() for w in self._flat_weights if w is not None)
        return (output, *hx) if isinstance(hx, tuple) else (output, hx)

    def extra_repr(self) -> str:
        """Sizes and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.proj_size != 0:
            text += f", proj_size={self.proj_size}"
        if self.num_layers != 1:
            text += f", num_layers={self.num_layers}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.batch_first is not False:
            text += f", batch_first={self.batch_first}"
        if self.dropout != 0:
            text += f", dropout={self.dropout}"
        if self.bidirectional is not False:
            text += f", bidirectional={self.bidirectional}"
        return text

    def __getstate__(self) -> dict[str, Any]:
        # PyTorch reads the weights of a pickled layer from this list
        return super().__getstate__() | {
            "_flat_weights": [getattr(self, n) for n in self._flat_weights_names]
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        own = self.__dict__
        own.setdefault("proj_size", 0)
        if "all_weights" in state:
            own["_all_weights"] = state["all_weights"]
            del own["all_weights"]
        own.pop("_flat_weights", None)
        own.pop("_flat_weight_refs", None)
        if "_flat_weights_names" not in own:
            own["_flat_weights_names"] = [name for names in own["_all_weights"] for name in names]


class RNN(RNNBase):
    """A recurrent layer ``h' = tanh(W_ih x + b_ih + W_hh h + b_hh)`` (Elman 1990), or with relu.

    The arguments are those of :class:`RNNBase` without `mode` and `proj_size`; `nonlinearity` is "tanh" or
    "relu".
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            nonlinearity = args[3]
            args = args[:3] + args[4:]
        else:
            nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if nonlinearity not in modes:
            raise ValueError(f"Unknown nonlinearity '{nonlinearity}'. Select from 'tanh' or 'relu'.")
        # set before Module.__init__, which does not know it
        object.__setattr__(self, "nonlinearity", nonlinearity)
        super().__init__(modes[nonlinearity], *args, **kwargs)


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter & Schmidhuber 1997); the arguments are those of :class:`RNNBase`
    without `mode`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    def get_expected_cell_size(self, input: Tensor, batch_sizes: Tensor | None) -> tuple[int, int, int]:
        """The shape of the cell state for `input`."""
        layers, batch, _ = self.get_expected_hidden_size(input, batch_sizes)
        return layers, batch, self.hidden_size

    def check_forward_args(
        self, input: Tensor, hidden: tuple[Tensor, Tensor], batch_sizes: Tensor | None
    ) -> None:
        """Raise unless input and both states fit the layer."""
        self.check_input(input, batch_sizes)
        self.check_hidden_size(
            hidden[0],
            self.get_expected_hidden_size(input, batch_sizes),
            "Expected hidden[0] size {}, got {}",
        )
        self.check_hidden_size(
            hidden[1],
            self.get_expected_cell_size(input, batch_sizes),
            "Expected hidden[1] size {}, got {}",
        )

    def permute_hidden(self, hx: tuple[Tensor, Tensor], permutation: Tensor | None) -> tuple[Tensor, Tensor]:
        """Both states with their batch reordered."""
        return hx if permutation is None else (_permuted(hx[0], permutation), _permuted(hx[1], permutation))

    def _check_unpacked(self, input: Tensor, hx: Any) -> bool:
        if input.dim() not in (2, 3):
            raise ValueError(f"LSTM: Expected input to be 2D or 3D, got {input.dim()}D instead")
        batched = input.dim() == 3
        if hx is not None and (hx[0].dim() != input.dim() or hx[1].dim() != input.dim()):
            kind = "batched 3-D" if batched else "unbatched 2-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {input.dim()}-D but got ({hx[0].dim()}-D, "
                f"{hx[1].dim()}-D) tensors"
            )
        return batched

    def _start_state(self, input: Tensor, batch_sizes: Tensor | None) -> Any:
        cell = fb.zeros(
            self.get_expected_cell_size(input, batch_sizes), dtype=input.dtype, device=input.device
        )
        return super()._start_state(input, batch_sizes), cell

    def _map_state(self, hx: Any, fn: Callable[[Tensor], Tensor]) -> Any:
        return None if hx is None else (fn(hx[0]), fn(hx[1]))

    def _state_of(self, result: Any) -> Any:
        return result[1], result[2]


class GRU(RNNBase):
    """Gated recurrent unit (Cho et al. 2014); the arguments are those of :class:`RNNBase` without `mode` and
    `proj_size`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


# -------------------------------------------------------------------------------------------- cells


class RNNCellBase(Module):
    """The weights of one step of a recurrent layer."""

    __constants__ = ["input_size", "hidden_size", "bias"]
    input_size: int
    hidden_size: int
    bias: bool

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.bias = bias
        options: dict[str, Any] = {"device": device, "dtype": dtype}
        rows = num_chunks * hidden_size
        self.weight_ih = Parameter(fb.empty((rows, input_size), **options))
        self.weight_hh = Parameter(fb.empty((rows, hidden_size), **options))
        self.register_parameter("bias_ih", Parameter(fb.empty(rows, **options)) if bias else None)
        self.register_parameter("bias_hh", Parameter(fb.empty(rows, **options)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size))."""
        bound = 1.0 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def _check_dim(self, tensor: Tensor, what: str) -> None:
        if tensor.dim() not in (1, 2):
            raise ValueError(
                f"{type(self).__name__}: Expected {what} to be 1D or 2D, got {tensor.dim()}D instead"
            )

    def _zero_state(self, input: Tensor) -> Tensor:
        return fb.zeros(input.size(0), self.hidden_size, dtype=input.dtype, device=input.device)

    def _check_state(self, rows: Tensor, state: Tensor, place: int) -> None:
        """Say what of a state does not fit; asked when the kernel has refused it."""
        if rows.size(0) != state.size(0):
            raise RuntimeError(
                f"Input batch size {rows.size(0)} doesn't match hidden{place} batch size {state.size(0)}"
            ) from None
        if state.size(1) != self.hidden_size:
            raise RuntimeError(
                f"hidden{place} has inconsistent hidden_size: got {state.size(1)}, "
                f"expected {self.hidden_size}"
            ) from None

    def _step(self, kernel: Callable[..., Tensor], input: Tensor, hx: Tensor | None) -> Tensor:
        """One step of a cell with a single state."""
        self._check_dim(input, "input")
        if hx is not None:
            self._check_dim(hx, "hidden")
        batched = input.dim() == 2
        rows = input if batched else input.unsqueeze(0)
        if hx is None:
            hx = self._zero_state(rows)
        elif not batched:
            hx = hx.unsqueeze(0)
        try:
            result = kernel(rows, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        except RuntimeError:
            self._check_state(rows, hx, 0)
            raise
        return result if batched else result.squeeze(0)

    def extra_repr(self) -> str:
        """Sizes and what differs from the defaults."""
        text = f"{self.input_size}, {self.hidden_size}"
        if self.bias is not True:
            text += f", bias={self.bias}"
        if self.__dict__.get("nonlinearity", "tanh") != "tanh":
            text += f", nonlinearity={self.nonlinearity}"
        return text


class RNNCell(RNNCellBase):
    """One step of an :class:`RNN`."""

    __constants__ = ["input_size", "hidden_size", "bias", "nonlinearity"]
    nonlinearity: str

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, nonlinearity: str = "tanh",
        device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(input_size, hidden_size, bias, num_chunks=1, device=device, dtype=dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state of (N, hidden_size) or (hidden_size,)."""
        kernels = {"tanh": fb.rnn_tanh_cell, "relu": fb.rnn_relu_cell}
        if self.nonlinearity not in kernels:
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        return self._step(kernels[self.nonlinearity], input, hx)


class GRUCell(RNNCellBase):
    """One step of a :class:`GRU`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=3, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next state of (N, hidden_size) or (hidden_size,)."""
        return self._step(fb.gru_cell, input, hx)


class LSTMCell(RNNCellBase):
    """One step of an :class:`LSTM`."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, num_chunks=4, device=device, dtype=dtype)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next hidden and cell state."""
        self._check_dim(input, "input")
        if hx is not None:
            for i, state in enumerate(hx):
                self._check_dim(state, f"hx[{i}]")
        batched = input.dim() == 2
        rows = input if batched else input.unsqueeze(0)
        if hx is None:
            zeros = self._zero_state(rows)
            hx = (zeros, zeros)
        elif not batched:
            hx = (hx[0].unsqueeze(0), hx[1].unsqueeze(0))
        try:
            result = fb.lstm_cell(rows, hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)
        except RuntimeError:
            for i, state in enumerate(hx):
                self._check_state(rows, state, i)
            raise
        return result if batched else (result[0].squeeze(0), result[1].squeeze(0))
