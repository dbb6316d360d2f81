"""Fourier transforms: `flambeau.fft`."""

from __future__ import annotations

from typing import Any

__all__ = """
fft ifft fft2 ifft2 fftn ifftn rfft irfft rfft2 irfft2 rfftn irfftn hfft ihfft hfft2 ihfft2 hfftn ihfftn
fftfreq rfftfreq fftshift
ifftshift
""".split()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from .ops import fft

    globals()[name] = op = getattr(fft, "fft_" + name)
    return op


def __dir__() -> list[str]:
    return __all__
