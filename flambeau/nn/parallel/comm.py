"""Tensors from one device to several and back; differentiable, as they are made of ordinary operators."""

from collections.abc import Sequence

import flambeau as fb
from flambeau import Tensor

_Place = int | str | fb.device


def broadcast(
    tensor: Tensor, devices: Sequence[_Place] | None = None, *, out: Sequence[Tensor] | None = None
) -> tuple[Tensor, ...]:
    """Copies of `tensor` on all `devices` (or in the tensors `out`)."""
    if (devices is None) == (out is None):
        raise RuntimeError(
            f"Exactly one of 'devices' and 'out' must be specified, but got devices={devices} and out={out}"
        )
    if out is not None:
        return tuple(target.copy_(tensor) for target in out)
    return tuple(tensor.to(device_of(device)) for device in devices)


def broadcast_coalesced(
    tensors: Sequence[Tensor], devices: Sequence[_Place], buffer_size: int = 10485760
) -> list[tuple[Tensor, ...]]:
    """For each of `devices` copies of all `tensors`."""
    return [tuple(tensor.to(device_of(device)) for tensor in tensors) for device in devices]


def reduce_add(inputs: Sequence[Tensor], destination: _Place | None = None) -> Tensor:
    """The sum of tensors of equal shape that may be on different devices."""
    target = inputs[0].device if destination is None else device_of(destination)
    total = inputs[0].to(target)
    for tensor in inputs[1:]:
        total = total + tensor.to(target)
    return total


def reduce_add_coalesced(
    inputs: Sequence[Sequence[Tensor]], destination: _Place | None = None, buffer_size: int = 10485760
) -> tuple[Tensor, ...]:
    """:func:`reduce_add` of each tensor of several lists, one list a device."""
    return tuple(reduce_add(tensors, destination) for tensors in zip(*inputs, strict=True))


def scatter(
    tensor: Tensor,
    devices: Sequence[_Place] | None = None,
    chunk_sizes: Sequence[int] | None = None,
    dim: int = 0,
    streams: "Sequence[fb.cuda.Stream | None] | None" = None,
    *,
    out: Sequence[Tensor] | None = None,
) -> tuple[Tensor, ...]:
    """Pieces of `tensor` along `dim`, one on each device."""
    if out is not None:
        pieces = tensor.split([piece.size(dim) for piece in out], dim)
        return tuple(target.copy_(piece) for target, piece in zip(out, pieces, strict=True))
    pieces = tensor.chunk(len(devices), dim) if chunk_sizes is None else tensor.split(chunk_sizes, dim)
    return tuple(piece.to(device_of(device)) for piece, device in zip(pieces, devices, strict=False))


def gather(
    tensors: Sequence[Tensor], dim: int = 0, destination: _Place | None = None, *, out: Tensor | None = None
) -> Tensor:
    """The pieces put together again on one device."""
    target = fb.device("cuda", 0) if destination is None else device_of(destination)
    if out is not None:
        return out.copy_(fb.cat([tensor.to(out.device) for tensor in tensors], dim))
    return fb.cat([tensor.to(target) for tensor in tensors], dim)


def device_of(device: _Place) -> fb.device:
    """A device from its name, its number (a CUDA device; -1: main memory) or itself."""
    if isinstance(device, int):
        return fb.device("cpu") if device < 0 else fb.device("cuda", device)
    return fb.device(device)
