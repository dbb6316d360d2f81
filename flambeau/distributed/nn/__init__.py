"""Operations between processes that gradients go through, and modules of other workers."""

from .api.remote_module import RemoteModule
from .functional import *  # noqa: F403
from .functional import __all__ as _functions

__all__ = ["RemoteModule", *_functions]
