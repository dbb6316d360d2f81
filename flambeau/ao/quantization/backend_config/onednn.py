"""What can be quantized for onednn."""

from flambeau.ao.quantization.backend_config.backend_config import BackendConfig
from flambeau.ao.quantization.backend_config.native import native

__all__ = ["get_onednn_backend_config"]


def get_onednn_backend_config() -> BackendConfig:
    """What `prepare_fx` can quantize, under the name of onednn."""
    return native("onednn")
