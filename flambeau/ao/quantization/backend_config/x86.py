"""What can be quantized for x86."""

from flambeau.ao.quantization.backend_config.backend_config import BackendConfig
from flambeau.ao.quantization.backend_config.native import native

__all__ = ["get_x86_backend_config"]


def get_x86_backend_config() -> BackendConfig:
    """What `prepare_fx` can quantize, under the name of x86."""
    return native("x86")
