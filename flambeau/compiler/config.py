"""Settings of ``torch.compiler``.

Those that ``torch._dynamo.config`` has as well are the same there; the others can be read and set, and change
nothing: nothing is kept between runs of a program that they could name.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from flambeau._dynamo import config as _dynamo

job_id: str | None = None
pgo_extra_read_key: str | None = None
pgo_extra_write_key: str | None = None
cache_key_tag = ""
force_disable_caches = False
dynamic_sources = ""
dynamic_values = ""
unbacked_sources = ""
force_cudagraph_gc = False
log_file_name: str | None = None
skip_tensor_guards_with_matching_dict_tags = True
enable_cpp_symbolic_shape_guards = False
wrap_top_frame = False
reorderable_logging_functions: set = set()

_SHARED = frozenset(
    """
    dynamic_shapes assume_static_by_default automatic_dynamic_shapes recompile_limit
    accumulated_recompile_limit verbose capture_scalar_outputs capture_dynamic_output_shape_ops
    fail_on_recompile_limit_hit allow_unspec_int_on_nn_module
    """.split()
)


class _Settings(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        if name in _SHARED:
            return getattr(_dynamo, name)
        raise AttributeError(f"torch.compiler.config.{name} does not exist")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _SHARED:
            setattr(_dynamo, name, value)
            return
        if not name.startswith("_") and name not in vars(self):
            raise AttributeError(f"torch.compiler.config.{name} does not exist")
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted([*vars(self), *_SHARED])


sys.modules[__name__].__class__ = _Settings
