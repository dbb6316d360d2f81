"""Settings of PyTorch's code generator: they can be read and set, and change nothing here."""

from __future__ import annotations

import sys
import types
from contextlib import AbstractContextManager
from typing import Any

from flambeau._settings import changed

debug = False
max_autotune = False
max_autotune_gemm = False
max_autotune_pointwise = False
coordinate_descent_tuning = False
coordinate_descent_check_all_directions = False
post_grad_custom_post_pass = None
epilogue_fusion = True
conv_1x1_as_mm = False
fx_graph_cache = True
freezing = False
force_fuse_int_mm_with_mul = False
use_mixed_mm = True
shape_padding = True
cpp_wrapper = False
fallback_random = False
inplace_buffers = True
allow_buffer_reuse = True
compile_threads = 1
split_reductions = True
pattern_matcher = True
reorder_for_locality = True

triton = types.SimpleNamespace(cudagraphs=False, cudagraph_trees=True, unique_kernel_names=True)
cpp = types.SimpleNamespace(threads=-1, simdlen=None, enable_kernel_profile=False)


def patch(
    changes: dict[str, Any] | str | None = None, value: Any = None, **more: Any
) -> AbstractContextManager[None]:
    """Settings changed within a ``with`` block or a decorated function.

    A setting of PyTorch that is not listed here may be named: no setting changes what is computed.
    """
    return changed(sys.modules[__name__], changes, value, more)
