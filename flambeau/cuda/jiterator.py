"""Elementwise functions compiled from C++ text for a GPU. There is no GPU: calling one raises."""

from __future__ import annotations

import re
from typing import Any, NoReturn

__all__: list[str] = []


class _JittedFunction:
    def __init__(self, code: str, return_by_ref: bool, outputs: int, parameters: dict) -> None:
        parsed = re.match(r"\s*(template\s*<.*>)\s*(.+)\s+(\w+)\s*\((.+)\)\s*\{", code, re.DOTALL)
        if parsed is None:
            raise Exception(f"Couldn't parse code, please check correctness:\n {code}")
        self.code_string, self.kernel_name, self.num_outputs = code, parsed[3], outputs
        self.return_by_ref, self.kwargs_dict = return_by_ref, parameters
        self.is_cuda_available = False

    def __call__(self, *tensors: Any, **kwargs: Any) -> NoReturn:
        """Raise: there is no device that runs it."""
        raise AssertionError("Jiterator is only supported on CUDA and ROCm GPUs, none are available.")


def _create_jit_fn(code_string: str, **kwargs: Any) -> _JittedFunction:
    """An elementwise function with one result; `kwargs` are numbers that calls may change."""
    return _JittedFunction(code_string, False, 1, kwargs)


def _create_multi_output_jit_fn(code_string: str, num_outputs: int, **kwargs: Any) -> _JittedFunction:
    """An elementwise function with several results."""
    return _JittedFunction(code_string, True, num_outputs, kwargs)
