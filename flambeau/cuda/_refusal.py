"""What every function that needs a GPU says."""

from __future__ import annotations

from typing import Any


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError(
        "Torch not compiled with CUDA enabled\nThis flambeau has no GPU support yet; use the device 'cpu' "
        "(torch.cuda.is_available() tells a program so)."
    )
