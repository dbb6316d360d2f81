"""Linear layers trained for activations that are quantized at the call."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.ao.nn import qat
from flambeau.types import Device

__all__ = ["Linear"]


class Linear(qat.Linear):
    """`qat.Linear` whose observer keeps nothing from one tensor to the next."""

    def __init__(
        self, in_features: int, out_features: int, bias: bool = True, qconfig: Any = None,
        device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        from flambeau.ao.quantization.qconfig import _activation_is_memoryless

        super().__init__(in_features, out_features, bias, qconfig, device, dtype)
        if not _activation_is_memoryless(qconfig):
            raise ValueError(
                "Dynamic QAT requires a memoryless observer."
                "This means a MovingAverage observer with averaging constant equal to 1"
            )
