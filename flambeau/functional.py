"""`flambeau.functional`: those functions of the package that are written in Python in PyTorch too."""

from __future__ import annotations

from typing import Any

__all__ = """
atleast_1d atleast_2d atleast_3d block_diag broadcast_shapes broadcast_tensors cartesian_prod cdist
chain_matmul einsum lu meshgrid norm split stft tensordot unique unique_consecutive unravel_index
""".split()


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import flambeau as fb

    globals()[name] = function = getattr(fb, name)
    return function


def __dir__() -> list[str]:
    return __all__
