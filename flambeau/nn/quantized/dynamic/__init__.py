"""``torch.nn.quantized.dynamic``: the former place of ``torch.ao.nn.quantized.dynamic``."""

from typing import Any

from flambeau.ao.nn.quantized import dynamic as _new


def __getattr__(name: str) -> Any:
    return getattr(_new, name)
