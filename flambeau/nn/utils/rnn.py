"""Sequences of different lengths: padded, or packed so that no padding is computed."""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

import flambeau as fb
from flambeau import Tensor

if TYPE_CHECKING:
    import numpy

__all__ = [
    "PackedSequence", "invert_permutation", "pack_padded_sequence", "pad_packed_sequence", "pad_sequence",
    "unpad_sequence", "pack_sequence", "unpack_sequence",
]  # fmt: skip

PackedSequence_ = namedtuple("PackedSequence", ["data", "batch_sizes", "sorted_indices", "unsorted_indices"])
PackedSequence_.__module__ = __name__
PackedSequence_.__qualname__ = PackedSequence_.__name__ = "PackedSequence_"


def bind(optional: Tensor | None, fn: Callable[[Tensor], Tensor]) -> Tensor | None:
    """``fn(optional)``, or None for None."""
    return None if optional is None else fn(optional)


class PackedSequence(PackedSequence_):
    """The elements of sequences, ordered by time; made by :func:`pack_padded_sequence`.

    Attributes
    ----------
    data : Tensor of shape (total, ...)
    batch_sizes : integer Tensor
        How many sequences there are at each time.
    sorted_indices, unsorted_indices : integer Tensor, optional
        The order by length, and the way back.
    """

    def __new__(
        cls,
        data: Tensor | tuple[Tensor, Tensor] | list[Tensor],
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:
        if batch_sizes is None:
            # an older form: one pair
            if not isinstance(data, (list, tuple)) or len(data) != 2:
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes.device.type != "cpu":
            raise ValueError(
                "batch_sizes should always be on CPU. Instances of PackedSequence should never be created "
                "manually. They should be instantiated by functions like pack_sequence and "
                "pack_padded_sequences in nn.utils.rnn. "
                "https://pytorch.org/docs/stable/nn.html#torch.nn.utils.rnn.pack_sequence"
            )
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move or cast the data as ``Tensor.to`` does; the indices follow to the device."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        indices = [bind(i, lambda t: t.to(data.device)) for i in (self.sorted_indices, self.unsorted_indices)]
        return type(self)(data, self.batch_sizes, *indices)

    def pin_memory(self) -> Self:
        """The sequence in page-locked memory."""
        data, _, *indices = [bind(t, lambda t: t.pin_memory()) for t in self]
        return type(self)(data, self.batch_sizes, *indices)

    def cuda(self, *args: Any, **kwargs: Any) -> Self:
        """The sequence on a CUDA device."""
        probe = fb.tensor((), dtype=self.data.dtype, device=self.data.device).to(*args, **kwargs)
        return self.to(*args, **kwargs) if probe.is_cuda else self.to(*args, device="cuda", **kwargs)

    def cpu(self, *args: Any, **kwargs: Any) -> Self:
        """The sequence in main memory."""
        return self.to(*args, device="cpu", **kwargs)

    def double(self) -> Self:
        """Cast the data to float64."""
        return self.to(dtype=fb.double)

    def float(self) -> Self:
        """Cast the data to float32."""
        return self.to(dtype=fb.float)

    def half(self) -> Self:
        """Cast the data to float16."""
        return self.to(dtype=fb.half)

    def long(self) -> Self:
        """Cast the data to int64."""
        return self.to(dtype=fb.long)

    def int(self) -> Self:
        """Cast the data to int32."""
        return self.to(dtype=fb.int)

    def short(self) -> Self:
        """Cast the data to int16."""
        return self.to(dtype=fb.short)

    def char(self) -> Self:
        """Cast the data to int8."""
        return self.to(dtype=fb.int8)

    def byte(self) -> Self:
        """Cast the data to uint8."""
        return self.to(dtype=fb.uint8)

    @property
    def is_cuda(self) -> bool:
        """Whether the data is on a CUDA device."""
        return self.data.is_cuda

    def is_pinned(self) -> bool:
        """Whether the data is in page-locked memory."""
        return self.data.is_pinned()


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation`."""
    if permutation is None:
        return None
    inverse = fb.empty_like(permutation, memory_format=fb.contiguous_format)
    return inverse.scatter_(0, permutation, fb.arange(0, permutation.numel(), device=permutation.device))


def _flat_places(batch_sizes: numpy.ndarray, batch: int) -> Tensor:
    """Where packed elements are in a padded tensor of (time * batch) rows; the sizes are a NumPy array."""
    import numpy as np

    alive = np.arange(batch)[None, :] < batch_sizes[:, None]
    return fb.from_numpy(np.flatnonzero(alive))


def pack_padded_sequence(
    input: Tensor, lengths: Tensor | list[int], batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Pack padded sequences.

    Parameters
    ----------
    input : Tensor of shape (L, N, ...), or (N, L, ...) with `batch_first`
    lengths : list of int, or integer Tensor on the CPU
        The length of each sequence.
    enforce_sorted : bool
        Take it that the sequences come longest first; otherwise they are sorted.
    """
    import numpy as np

    if not isinstance(lengths, Tensor):
        lengths = fb.as_tensor(lengths, dtype=fb.int64, device="cpu")
    else:
        lengths = lengths.to(dtype=fb.int64)
    sorted_indices = None
    if not enforce_sorted:
        lengths, sorted_indices = fb.sort(lengths, descending=True)
        sorted_indices = sorted_indices.to(input.device)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    if not isinstance(input, Tensor):
        raise TypeError(
            "_pack_padded_sequence(): argument 'input' (position 1) must be Tensor, not "
            + type(input).__name__
        )
    if lengths.dim() != 1 or lengths.device.type != "cpu":
        raise RuntimeError(
            f"'lengths' argument should be a 1D CPU int64 tensor, but got {lengths.dim()}D "
            f"{lengths.device.type} Long tensor"
        )
    if input.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    by_time = input.transpose(0, 1) if batch_first else input
    steps, batch = by_time.size(0), by_time.size(1)
    counts = lengths.numpy()
    if len(counts) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(counts)} (batch_size={batch})"
        )
    if counts[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' that is <= 0"
        )
    if (counts[1:] > counts[:-1]).any():
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. You can pass "
            "`enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to sidestep this "
            "requirement if you do not need ONNX exportability."
        )
    batch_sizes = (counts[None, :] > np.arange(counts[0])[:, None]).sum(1)
    places = _flat_places(batch_sizes[:steps], batch).to(input.device)
    data = by_time.flatten(0, 1).index_select(0, places)
    return PackedSequence(data, fb.from_numpy(batch_sizes.astype(np.int64)), sorted_indices, None)


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undo :func:`pack_padded_sequence`.

    Parameters
    ----------
    sequence : PackedSequence
    batch_first : bool
        Give (N, L, ...) instead of (L, N, ...).
    padding_value : float
    total_length : int, optional
        The L of the result, at least the longest length.

    Returns
    -------
    the padded sequences, and their lengths
    """
    import numpy as np

    sizes = sequence.batch_sizes.numpy()
    longest, batch = len(sizes), int(sizes[0])
    if total_length is not None and total_length < longest:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, but got "
            f"total_length={total_length} and max sequence length being {longest}"
        )
    steps = longest if total_length is None else total_length
    if not isinstance(padding_value, (int, float, complex, Tensor)):
        raise TypeError(
            "_pad_packed_sequence(): argument 'padding_value' (position 4) must be Number, not "
            + type(padding_value).__name__
        )
    data = sequence.data
    places = _flat_places(sizes, batch).to(data.device)
    rows = data.new_full((steps * batch, *data.shape[1:]), padding_value)
    padded = rows.index_copy(0, places, data).view(steps, batch, *data.shape[1:])
    if batch_first:
        padded = padded.transpose(0, 1)
    lengths = fb.from_numpy((sizes[:, None] > np.arange(batch)[None, :]).sum(0).astype(np.int64))
    order = sequence.unsorted_indices
    if order is not None:
        padded = padded.index_select(0 if batch_first else 1, order)
        lengths = lengths[order.cpu()]
    return padded, lengths


def pad_sequence(
    sequences: Tensor | list[Tensor], batch_first: bool = False, padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:  # fmt: skip
    """Stack sequences of shape (L, ...), filled up to the longest.

    Parameters
    ----------
    sequences : list of Tensor
    batch_first : bool
        Give (N, L, ...) instead of (L, N, ...).
    padding_value : float
    padding_side : {"right", "left"}
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            f"pad_sequence: Expected iterable for input sequences, but got arg of type: {type(sequences)}"
        )
    sequences = sequences.unbind(0) if isinstance(sequences, Tensor) else tuple(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(f"Expected padding_side to be one of left or right, but got {padding_side}.")
    if not isinstance(padding_value, (int, float)):
        raise TypeError(
            "pad_sequence(): argument 'padding_value' (position 3) must be float, not "
            + type(padding_value).__name__
        )
    for i, s in enumerate(sequences):
        if not isinstance(s, Tensor):
            raise TypeError(f"expected Tensor as element {i} in argument 0, but got {type(s).__name__}")
    trailing = sequences[0].shape[1:]
    for s in sequences[1:]:
        if s.shape[1:] != trailing:  # as a copy of the sequence into its place
            fb.empty((s.size(0), *trailing), dtype=s.dtype, device="meta").copy_(s.to("meta"))
    longest = max(s.size(0) for s in sequences)
    rows = []
    for s in sequences:
        missing = longest - s.size(0)
        ends = [missing, 0] if padding_side == "left" else [0, missing]
        rows.append(fb.constant_pad_nd(s, [0, 0] * (s.dim() - 1) + ends, padding_value) if missing else s)
    return fb.stack(rows, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False) -> list[Tensor]:
    """The sequences that :func:`pad_sequence` stacked, given their lengths."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    steps = fb.arange(padded_sequences.size(1), device=lengths.device)
    return [row[steps < length] for row, length in zip(padded_sequences, lengths, strict=True)]


def pack_sequence(sequences: list[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences of shape (L, ...)."""
    lengths = fb.as_tensor([sequence.size(0) for sequence in sequences])
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed sequence."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
