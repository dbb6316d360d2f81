"""Switches and facts of the libraries below: `backends.cudnn.benchmark`, `backends.mkldnn.is_available()`,
…"""

from __future__ import annotations

from flambeau._lookup import lazy

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
