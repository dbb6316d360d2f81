"""Settings of ``flambeau.compile`` under PyTorch's names.

``disable``, ``recompile_limit`` (``cache_size_limit``), ``error_on_recompile`` and
``fail_on_recompile_limit_hit`` do what they do there. The others can be read and set, and change nothing:
shapes are recorded as they come, and nothing is generated.
"""

from __future__ import annotations

import sys
import types
from contextlib import AbstractContextManager
from typing import Any

from flambeau._settings import changed

disable = False
recompile_limit = 8
error_on_recompile = False
fail_on_recompile_limit_hit = False

suppress_errors = False
verbose = False
accumulated_recompile_limit = 256
capture_scalar_outputs = False
capture_dynamic_output_shape_ops = False
automatic_dynamic_shapes = True
assume_static_by_default = True
dynamic_shapes = True
specialize_int = False
specialize_float = False
force_parameter_static_shapes = True
guard_nn_modules = True
inline_inbuilt_nn_modules = True
allow_unspec_int_on_nn_module = False
optimize_ddp = True
compiled_autograd = False
do_not_emit_runtime_asserts = False
skip_fwd_side_effects_in_bwd_under_checkpoint = False

_OLDER = {
    "cache_size_limit": "recompile_limit",
    "accumulated_cache_size_limit": "accumulated_recompile_limit",
}


class _Settings(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name in _OLDER:
            return getattr(self, _OLDER[name])
        raise AttributeError(f"torch._dynamo.config.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        name = _OLDER.get(name, name)
        if not name.startswith("__") and name not in vars(self):
            raise AttributeError(f"torch._dynamo.config.{name} does not exist")
        super().__setattr__(name, value)


def patch(
    changes: dict[str, Any] | str | None = None, value: Any = None, **more: Any
) -> AbstractContextManager[None]:
    """Settings changed within a ``with`` block or a decorated function."""
    return changed(sys.modules[__name__], changes, value, more)


sys.modules[__name__].__class__ = _Settings
