"""What can be quantized for fbgemm."""

from flambeau.ao.quantization.backend_config.backend_config import BackendConfig
from flambeau.ao.quantization.backend_config.native import native

__all__ = ["get_fbgemm_backend_config"]


def get_fbgemm_backend_config() -> BackendConfig:
    """What `prepare_fx` can quantize, under the name of fbgemm."""
    return native("fbgemm")
