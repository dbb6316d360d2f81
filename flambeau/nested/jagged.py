"""Nested tensors of layout jagged: the values of all components one after the other along one dimension.

A `NestedTensor` is a tensor whose memory is that of its values, so that recording, gradients, dtype
and device are theirs. Offsets (and lengths, where there are holes) lie beside it. Operators arrive at
`__torch_function__` and are done by `rules` with ordinary operators on the values.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import flambeau as fb
from flambeau import _C

from .base import Nested
from .sizes import NestedInt, NestedSize, symbol_of

__all__ = ["NestedTensor", "wrap", "from_parts", "from_padded", "is_jagged"]

_plain_calls = _C.DisableTorchFunctionSubclass


class NestedTensor(Nested):
    """A batch of tensors that differ in the size of one dimension."""

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        grad = ""
        if self.grad_fn is not None:
            grad = f" grad_fn={self.grad_fn},"
        elif self.requires_grad:
            grad = " requires_grad=True,"
        return (
            f"NestedTensor(size={tuple(self.shape)}, offsets={self._offsets},{grad}"
            f" contiguous={self.is_contiguous()})"
        )

    __str__ = __repr__

    # ------------------------------------------------------------ what it is
    @property
    def _offsets(self) -> Any:
        return self.__dict__["_parts"][0]

    @property
    def _lengths(self) -> Any:
        return self.__dict__["_parts"][1]

    @property
    def _symbol(self) -> NestedInt:
        return self.__dict__["_symbol"]

    @property
    def _ragged_idx(self) -> int:
        return self.__dict__["_parts"][2]

    def _like(self, values: Any) -> NestedTensor:
        return wrap(values, self)

    def offsets(self) -> Any:
        """Where each component starts, and where the last one ends."""
        return self._offsets

    def lengths(self) -> Any:
        """The lengths of the components where there are holes between them, else None."""
        return self._lengths

    def sequence_lengths(self) -> Any:
        """The lengths of the components."""
        return self._offsets.diff() if self._lengths is None else self._lengths

    @property
    def layout(self) -> Any:
        """``torch.jagged``."""
        return fb.jagged

    @property
    def shape(self) -> NestedSize:
        """The sizes, that of the ragged dimension a symbol."""
        sizes = list(fb.Tensor.shape.__get__(self._values))
        sizes[self._ragged_idx - 1] = self._symbol
        return NestedSize((self._offsets.shape[0] - 1, *sizes))

    def size(self, dim: int | None = None) -> Any:
        """The sizes, or one of them."""
        return self.shape if dim is None else self.shape[dim]

    def dim(self) -> int:
        """The number of dimensions."""
        return self._values.dim() + 1

    ndim = property(dim)
    ndimension = dim

    def __len__(self) -> int:
        return self._offsets.shape[0] - 1

    def stride(self, dim: int | None = None) -> Any:
        """Steps in memory; that of the batch is a multiple of the symbol."""
        values, count = self._values, 1
        for d, n in enumerate(values.shape):
            count *= 1 if d == self._ragged_idx - 1 else n
        strides = (count * self._symbol, *values.stride())
        return strides if dim is None else strides[dim]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the values follow one another without holes."""
        return self._lengths is None and self._values.is_contiguous()

    # ------------------------------------------------------------ lengths known on the host
    def _bounds(self) -> tuple[int, int]:
        known = self.__dict__
        if known.get("_seqlens") is None:
            lengths = self.sequence_lengths()
            known["_seqlens"] = (int(lengths.min()), int(lengths.max())) if len(lengths) else (0, 0)
        return known["_seqlens"]

    @property
    def _min_seqlen(self) -> int:
        return self._bounds()[0]

    @property
    def _max_seqlen(self) -> int:
        return self._bounds()[1]

    @property
    def _maybe_max_seqlen(self) -> int | None:
        return (self.__dict__.get("_seqlens") or (None, None))[1]

    @property
    def _maybe_min_seqlen(self) -> int | None:
        return (self.__dict__.get("_seqlens") or (None, None))[0]

    # ------------------------------------------------------------ components
    def unbind(self, dim: int = 0) -> tuple:
        """The components, views of the values."""
        if dim != 0:
            raise RuntimeError("unbind(): only supported for NestedTensor on dim=0")
        values, ragged = self._values, self._ragged_idx - 1
        starts = self._offsets.tolist()
        lengths = self.sequence_lengths().tolist()
        total = values.shape[ragged]
        for start, n in zip(starts, lengths):
            if start + n > total:
                raise RuntimeError(
                    "unbind(): nested tensor offsets and lengths do not match ragged_idx dimension"
                )
        if self._lengths is None and lengths and starts[0] == 0 and starts[-1] == total:
            return tuple(values.split(lengths, ragged))
        return tuple(values.narrow(ragged, start, n) for start, n in zip(starts, lengths))

    def __iter__(self) -> Iterator:
        return iter(self.unbind())

    def places(self) -> tuple[Any, Any]:
        """The component of each value, and its place in it."""
        lengths = self.sequence_lengths()
        batch = fb.arange(len(self), device=lengths.device).repeat_interleave(lengths)
        first = lengths.cumsum(0) - lengths
        return batch, fb.arange(batch.shape[0], device=lengths.device) - first[batch]

    def to_padded_tensor(self, padding: float, output_size: Sequence[int] | None = None) -> Any:
        """The strided tensor in which shorter components are filled up with `padding`.

        Parameters
        ----------
        padding : what stands where a component has nothing.
        output_size : sizes of the result; only the ragged one counts, longer components are cut.
        """
        if self._lengths is not None:
            raise RuntimeError("to_padded_tensor(): not supported for nested tensors with holes")
        ragged, lengths = self._ragged_idx, self.sequence_lengths()
        longest = self._max_seqlen if output_size is None else int(output_size[ragged])
        values = self._values.movedim(ragged - 1, 0)
        shape = (len(self), longest, *values.shape[1:])
        if values.shape[0] == 0:
            return values.new_full(shape, padding).movedim(1, ragged)
        steps = fb.arange(longest, device=lengths.device)
        index = (self._offsets[:-1, None] + steps).clamp_max(values.shape[0] - 1)
        missing = (steps >= lengths[:, None]).reshape(*shape[:2], *(1,) * (len(shape) - 2))
        rows = values.index_select(0, index.flatten()).reshape(shape)
        return rows.masked_fill(missing, padding).movedim(1, ragged)

    def __reduce_ex__(self, protocol: Any) -> Any:
        offsets, lengths, ragged = self.__dict__["_parts"]
        return _restore, (self._values.detach(), offsets, lengths, ragged, self.requires_grad)


def _restore(values: Any, offsets: Any, lengths: Any, ragged: int, requires_grad: bool) -> NestedTensor:
    return from_parts(values, offsets, lengths, ragged).requires_grad_(requires_grad)


def is_jagged(x: Any) -> bool:
    """Whether an object is a nested tensor of layout jagged."""
    return isinstance(x, NestedTensor)


def from_parts(
    values: Any, offsets: Any, lengths: Any = None, ragged_idx: int = 1, seqlens: tuple | None = None
) -> NestedTensor:
    """The nested tensor of values, offsets (n + 1) and perhaps lengths (n)."""
    with _plain_calls():
        t = values.as_subclass(NestedTensor)
    symbol = symbol_of(offsets if lengths is None else lengths)
    t.__dict__.update(_parts=(offsets, lengths, ragged_idx), _symbol=symbol, _seqlens=seqlens)
    return t


def wrap(values: Any, like: NestedTensor, ragged_idx: int | None = None) -> NestedTensor:
    """Other values with the components of `like`."""
    offsets, lengths, ragged = like.__dict__["_parts"]
    ragged = ragged if ragged_idx is None else ragged_idx
    if values.device != offsets.device:
        offsets = offsets.to(values.device)
        lengths = lengths if lengths is None else lengths.to(values.device)
    return from_parts(values, offsets, lengths, ragged, like.__dict__["_seqlens"])


def from_padded(padded: Any, like: NestedTensor, ragged_idx: int) -> NestedTensor:
    """The values of a padded tensor (batch, …) whose dimension `ragged_idx` is ragged as that of `like`."""
    rows = padded.movedim(ragged_idx, 1)[like.places()]
    return wrap(rows.movedim(0, ragged_idx - 1), like, ragged_idx)


def same_symbol(a: NestedTensor, b: NestedTensor) -> bool:
    """Whether two nested tensors have the same components along the same dimension."""
    return a._symbol == b._symbol and a._ragged_idx == b._ragged_idx


def is_symbol(x: Any) -> bool:
    """Whether a size is that of a ragged dimension."""
    return isinstance(x, NestedInt)
