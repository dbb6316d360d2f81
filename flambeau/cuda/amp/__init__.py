"""The older names of mixed precision on CUDA devices."""

from . import autocast_mode as autocast_mode
from . import common as common
from . import grad_scaler as grad_scaler
from .autocast_mode import autocast, custom_bwd, custom_fwd
from .common import amp_definitely_not_available
from .grad_scaler import GradScaler

__all__ = ["GradScaler", "amp_definitely_not_available", "autocast", "custom_bwd", "custom_fwd"]
