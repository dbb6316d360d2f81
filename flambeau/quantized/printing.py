"""How quantized tensors print."""

from __future__ import annotations

from typing import Any

from flambeau import _tensor_str

from ..autograd.grad_mode import no_grad
from .tensor import PerTensor, QuantizedTensor

__all__ = ["text"]


def text(t: Any, contents: str | None = None) -> str:
    """The numbers, then how they are quantized."""
    q, indent = t.quantizer, len("tensor(")
    if contents is None:
        contents = "[]" if t.numel() == 0 else _tensor_str._tensor_str(t.dequantize(), indent)
    suffixes = [f"size={tuple(t.shape)}", f"dtype={q.dtype}", f"quantization_scheme={q.scheme}"]
    if isinstance(q, PerTensor):
        suffixes += [f"scale={q.scale}", f"zero_point={q.zero_point}"]
    else:
        suffixes += [f"scale={q.scales}", f"zero_point={q.zero_points}", f"axis={q.axis}"]
    with no_grad():
        return _tensor_str._add_suffixes("tensor(" + contents, suffixes, indent, force_newline=False)


QuantizedTensor._text = text
