"""Switches and facts of the libraries below: `backends.cudnn.benchmark`, `backends.mkldnn.is_available()`,
…"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from flambeau._lookup import lazy

from ._switch import PrecisionOfAll, Settings

__all__ = [
    "cpu",
    "cuda",
    "cudnn",
    "cusparselt",
    "kleidiai",
    "mha",
    "miopen",
    "mkl",
    "mkldnn",
    "mps",
    "nnpack",
    "openmp",
    "opt_einsum",
    "python_native",
    "quantized",
]

__getattr__ = lazy(__name__, {}, __all__)


class _Backends(Settings):
    fp32_precision = PrecisionOfAll()


def disable_global_flags() -> None:
    """Accepted: in PyTorch settings can be changed in context managers only from then on."""


def flags_frozen() -> bool:
    """Whether settings can be changed in context managers only: never."""
    return False


@contextlib.contextmanager
def __allow_nonbracketed_mutation() -> Iterator[None]:
    """Context in which settings can be changed, as everywhere."""
    yield


_Backends.install(__name__)
