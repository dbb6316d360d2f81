"""Calling a model on what the user gave as its input, and finding the tensors in what it returns."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import flambeau as fb


def call(model: Any, batch: Any) -> Any:
    """``model(batch)``; a tuple or list is several arguments, a dictionary keyword arguments."""
    if isinstance(batch, Mapping):
        return model(**batch)
    if isinstance(batch, (tuple, list)):
        return model(*batch)
    return model(batch)


def tensors(value: Any) -> list[fb.Tensor]:
    """The tensors in nested tuples, lists and dictionaries, in order."""
    if isinstance(value, fb.Tensor):
        return [value]
    if isinstance(value, Mapping):
        return [t for part in value.values() for t in tensors(part)]
    if isinstance(value, (tuple, list)):
        return [t for part in value for t in tensors(part)]
    if hasattr(value, "__dataclass_fields__"):
        return [t for name in value.__dataclass_fields__ for t in tensors(getattr(value, name))]
    return []


def shape_text(value: Any) -> str:
    """The sizes of the tensors in a value: ``8×3×32×32``, several joined by a comma."""
    return ", ".join("×".join(map(str, t.shape)) or "scalar" for t in tensors(value)) or "–"


@contextlib.contextmanager
def untouched(model: Any) -> Iterator[None]:
    """Puts the model's buffers and the random state back afterwards."""
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    state = fb.get_rng_state()
    try:
        yield
    finally:
        fb.set_rng_state(state)
        with fb.no_grad():
            for buffer, value in buffers:
                if buffer.shape == value.shape and not fb.equal(buffer, value):
                    buffer.copy_(value)
