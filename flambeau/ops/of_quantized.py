"""What is asked of quantized tensors: plain ones have none of it, but numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import flambeau as fb

from .registry import composite

__all__ = ["dequantize"]


def _quantized_only(schema: str, doc: str, function: bool = True) -> None:
    name = schema[: schema.index("(")]

    def only(input: Any, *args: Any, **kwargs: Any) -> NoReturn:
        from ..quantized.tensor import cannot_run

        cannot_run(name, "CPU")

    only.__name__ = only.__qualname__ = name
    only.__doc__ = doc
    globals()[name] = composite(schema, method=True, function=function)(only)


_quantized_only("int_repr(Tensor self) -> Tensor", "The integers of a quantized tensor.")
_quantized_only("q_scale(Tensor self) -> Tensor", "The scale of a quantized tensor.")
_quantized_only("q_zero_point(Tensor self) -> Tensor", "The zero point of a quantized tensor.")
_quantized_only(
    "q_per_channel_scales(Tensor self) -> Tensor", "The scales of the channels of a quantized tensor."
)
_quantized_only("q_per_channel_zero_points(Tensor self) -> Tensor", "The zero points of its channels.")
_quantized_only("q_per_channel_axis(Tensor self) -> Tensor", "The dimension of its channels.")
_quantized_only("qscheme(Tensor self) -> Tensor", "How a quantized tensor is quantized.", function=False)
for _d in (1, 2, 3):
    _quantized_only(
        f"quantized_max_pool{_d}d(Tensor self, int[{_d}] kernel_size, int[{_d}] stride=[], int[{_d}] "
        f"padding=0, "
        f"int[{_d}] dilation=1, bool ceil_mode=False) -> Tensor",
        "The greatest of each window of a quantized tensor.",
    )
_quantized_only(
    "quantized_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor mean, Tensor var, float eps, "
    "float output_scale, int output_zero_point) -> Tensor",
    "Batch normalisation of a quantized tensor.",
)


def dequantize(input: fb.Tensor | Sequence[fb.Tensor]) -> Any:
    """The float32 numbers of a quantized tensor, or of each of several; other tensors are converted."""
    if isinstance(input, (list, tuple)):
        return tuple(dequantize(t) for t in input)
    return _plain(input)


@composite("dequantize(Tensor self) -> Tensor", method=True)
def _plain(input: fb.Tensor) -> fb.Tensor:
    """Other tensors are converted to float32."""
    return input.to(fb.float32)


def _put_in() -> None:
    from .registry import OPS

    _plain.__name__ = "dequantize"  # the name by which rules know it
    OPS["dequantize"] = dequantize


_put_in()
