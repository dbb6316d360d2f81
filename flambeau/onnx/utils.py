"""Names of PyTorch's older exporter."""

from . import export, is_in_onnx_export
from ._symbolic import register_custom_op_symbolic, unregister_custom_op_symbolic

__all__ = ["export", "is_in_onnx_export", "register_custom_op_symbolic", "unregister_custom_op_symbolic"]
