"""``torch.ao.quantization.backend_config``: what a backend can quantize."""

from typing import Any, NoReturn

from flambeau.ao.quantization.backend_config.backend_config import (
    BackendConfig,
    BackendPatternConfig,
    DTypeConfig,
    DTypeWithConstraints,
    ObservationType,
)
from flambeau.ao.quantization.backend_config.fbgemm import get_fbgemm_backend_config
from flambeau.ao.quantization.backend_config.native import (
    get_native_backend_config,
    get_native_backend_config_dict,
)
from flambeau.ao.quantization.backend_config.onednn import get_onednn_backend_config
from flambeau.ao.quantization.backend_config.qnnpack import get_qnnpack_backend_config
from flambeau.ao.quantization.backend_config.x86 import get_x86_backend_config  # noqa: F401

__all__ = [
    "get_fbgemm_backend_config", "get_native_backend_config", "get_native_backend_config_dict",
    "get_qnnpack_backend_config", "get_tensorrt_backend_config", "get_tensorrt_backend_config_dict",
    "get_executorch_backend_config", "BackendConfig", "BackendPatternConfig", "DTypeConfig",
    "DTypeWithConstraints", "ObservationType", "get_onednn_backend_config",
]  # fmt: skip


def get_tensorrt_backend_config(*_: Any) -> NoReturn:
    """Not there."""
    raise NotImplementedError("get_tensorrt_backend_config: flambeau does not quantize for TensorRT")


def get_executorch_backend_config(*_: Any) -> NoReturn:
    """Not there."""
    raise NotImplementedError("get_executorch_backend_config: flambeau does not quantize for ExecuTorch")


get_tensorrt_backend_config_dict = get_tensorrt_backend_config
