"""Transforms of whole batches at once, where that gives the same numbers as picture by picture."""

from __future__ import annotations

from typing import Any

import flambeau as fb


def transform_batch(transform: Any, images: fb.Tensor, index: Any) -> Any:
    """Chosen pictures of a uint8 tensor (N × H × W or N × H × W × C), transformed as PIL pictures would be.

    That is possible for `ToTensor` followed by `Normalize`; anything else gives NotImplemented.
    """
    from ._containers import Compose, Normalize, ToTensor

    steps = transform.transforms if type(transform) is Compose else [transform]
    if not steps or type(steps[0]) is not ToTensor or any(type(step) is not Normalize for step in steps[1:]):
        return NotImplemented
    if isinstance(index, list):
        size = images.size(0)
        index = fb.tensor([i + size if i < 0 else i for i in index], dtype=fb.int64)
    chosen = images[index] if isinstance(index, slice) else images.index_select(0, index)
    chosen = chosen.unsqueeze(1) if chosen.dim() == 3 else chosen.permute(0, 3, 1, 2).contiguous()
    batch = chosen.to(fb.get_default_dtype()).div_(255)
    for step in steps[1:]:
        batch = step(batch)
    return batch
