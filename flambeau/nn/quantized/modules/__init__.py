"""``torch.nn.quantized.modules``: the former place of ``torch.ao.nn.quantized.modules``."""

from typing import Any

from flambeau.ao.nn.quantized import modules as _new


def __getattr__(name: str) -> Any:
    return getattr(_new, name)
