"""Arithmetic as methods of a module, so that its results can be observed and quantized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from .utils import load_qparams, observed_qparams, save_qparams

__all__ = ["FXFloatFunctional", "FloatFunctional", "QFunctional"]


class FXFloatFunctional(nn.Module):
    """Arithmetic by methods."""

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """Not what it is for."""
        raise RuntimeError(
            f"{type(self).__name__} is not intended to use the 'forward'. Please use the underlying operation"
        )

    def _seen(self, r: fb.Tensor) -> fb.Tensor:
        return r

    def add(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``x + y``."""
        return self._seen(fb.add(x, y))

    def add_scalar(self, x: fb.Tensor, y: float) -> fb.Tensor:
        """``x + y`` of a tensor and a number."""
        return fb.add(x, y)

    def mul(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``x * y``."""
        return self._seen(fb.mul(x, y))

    def mul_scalar(self, x: fb.Tensor, y: float) -> fb.Tensor:
        """``x * y`` of a tensor and a number."""
        return fb.mul(x, y)

    def cat(self, x: Sequence[fb.Tensor], dim: int = 0) -> fb.Tensor:
        """The tensors one after the other."""
        return self._seen(fb.cat(list(x), dim=dim))

    def add_relu(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``relu(x + y)``."""
        return self._seen(fb.relu(fb.add(x, y)))

    def matmul(self, x: fb.Tensor, y: fb.Tensor) -> fb.Tensor:
        """``x @ y``."""
        return self._seen(fb.matmul(x, y))


class FloatFunctional(FXFloatFunctional):
    """Arithmetic by methods; `activation_post_process` sees the results of those of tensors."""

    def __init__(self) -> None:
        super().__init__()
        self.activation_post_process = nn.Identity()

    def _seen(self, r: fb.Tensor) -> fb.Tensor:
        return self.activation_post_process(r)


class QFunctional(nn.Module):
    """The same of quantized tensors, in steps of `scale` from `zero_point`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale, self.zero_point = 1.0, 0
        self.activation_post_process = nn.Identity()

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        save_qparams(self, destination, prefix)

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        load_qparams(self, state_dict, prefix)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def _get_name(self) -> str:
        return "QFunctional"

    def extra_repr(self) -> str:
        """How the results are quantized."""
        return f"scale={self.scale}, zero_point={self.zero_point}"

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """Not what it is for."""
        raise RuntimeError(
            "Functional is not intended to use the forward. Please use the underlying operation"
        )

    def _of(self, name: str, *args: Any) -> Any:
        r = getattr(fb.ops.quantized, name)(*args, scale=self.scale, zero_point=self.zero_point)
        return self.activation_post_process(r)

    def add(self, x: Any, y: Any) -> Any:
        """``x + y``."""
        return self._of("add", x, y)

    def add_scalar(self, x: Any, y: float) -> Any:
        """``x + y`` of a tensor and a number."""
        return fb.ops.quantized.add_scalar(x, y)

    def mul(self, x: Any, y: Any) -> Any:
        """``x * y``."""
        return self._of("mul", x, y)

    def mul_scalar(self, x: Any, y: float) -> Any:
        """``x * y`` of a tensor and a number."""
        return fb.ops.quantized.mul_scalar(x, y)

    def cat(self, x: Sequence, dim: int = 0) -> Any:
        """The tensors one after the other."""
        return self._of("cat", list(x), dim)

    def add_relu(self, x: Any, y: Any) -> Any:
        """``relu(x + y)``."""
        return self._of("add_relu", x, y)

    def matmul(self, x: Any, y: Any) -> Any:
        """``x @ y``."""
        return self._of("matmul", x, y)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> QFunctional:
        """The module of a `FloatFunctional` that was observed."""
        if type(mod) is not FloatFunctional:
            raise AssertionError("QFunctional.from_float expects an instance of FloatFunctional")
        made = cls()
        made.scale, made.zero_point = observed_qparams(mod.activation_post_process)
        return made
