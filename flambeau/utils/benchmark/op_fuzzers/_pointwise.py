"""What fuzzers of operators that work element by element have in common."""

from __future__ import annotations

import flambeau as fb
from flambeau.utils.benchmark.utils.fuzzer import FuzzedParameter, FuzzedTensor, Fuzzer, ParameterAlias

_LEAST, _MOST = 16, 16 * 1024**2
_POWERS = [2**k for k in range(25) if _LEAST <= 2**k <= _MOST]
_STEPS = {1: 0.8, 2: 0.06, 4: 0.06, 8: 0.04, 16: 0.04}


class PointwiseFuzzer(Fuzzer):
    """Tensors of one to three dimensions; later ones broadcast with the first."""

    def __init__(self, names: tuple[str, ...], seed: int | None, dtype: fb.dtype, cuda: bool) -> None:
        dims = range(3)
        parameters: list = [
            FuzzedParameter("dim", distribution={1: 0.3, 2: 0.4, 3: 0.3}, strict=True),
            [FuzzedParameter(f"k_any_{i}", _LEAST, _MOST, "loguniform") for i in dims],
            [
                FuzzedParameter(f"k_pow2_{i}", distribution={size: 1 / len(_POWERS) for size in _POWERS})
                for i in dims
            ],
            [
                self._choice(f"k{i}", {ParameterAlias(f"k_any_{i}"): 0.8, ParameterAlias(f"k_pow2_{i}"): 0.2})
                for i in dims
            ],
        ]
        for name in names[1:]:
            parameters.append(
                [self._choice(f"{name}_k{i}", {ParameterAlias(f"k{i}"): 0.8, 1: 0.2}) for i in dims]
            )
        parameters += [
            FuzzedParameter(f"{name}_step_{i}", distribution=_STEPS) for i in dims for name in names
        ]
        parameters.append(FuzzedParameter("random_value", 0, 2**32 - 1, "uniform"))
        tensors = [
            FuzzedTensor(
                name=name,
                size=tuple(f"{name}_k{i}" if k else f"k{i}" for i in dims),
                steps=tuple(f"{name}_step_{i}" for i in dims),
                probability_contiguous=0.75,
                min_elements=None if k else 4 * 1024,
                max_elements=None if k else 32 * 1024**2,
                max_allocation_bytes=2 * 1024**3,
                dim_parameter="dim",
                dtype=dtype,
                cuda=cuda,
            )
            for k, name in enumerate(names)
        ]
        super().__init__(parameters, tensors, seed=seed)

    @staticmethod
    def _choice(name: str, distribution: dict) -> FuzzedParameter:
        return FuzzedParameter(name, distribution=distribution, strict=True)
