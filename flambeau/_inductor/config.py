"""Settings of PyTorch's code generator: they can be read and set, and change nothing here."""

from __future__ import annotations

import contextlib
import sys
import types
from collections.abc import Iterator
from typing import Any

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


_ABSENT = object()


def _place(name: str) -> tuple[Any, str]:
    """Where a setting is: ``"triton.cudagraphs"`` is one of a group."""
    group, _, own = name.rpartition(".")
    settings = sys.modules[__name__]
    return (getattr(settings, group) if group else settings), own


@contextlib.contextmanager
def patch(changes: dict[str, Any] | str | None = None, value: Any = None, **more: Any) -> Iterator[None]:
    """Settings changed within a ``with`` block or a decorated function.

    A setting of PyTorch that is not listed here may be named: no setting changes what is computed.
    """
    new = {**({changes: value} if isinstance(changes, str) else changes or {}), **more}
    places = [(*_place(name), setting) for name, setting in new.items()]
    before = [(home, own, getattr(home, own, _ABSENT)) for home, own, _ in places]
    try:
        for home, own, setting in places:
            setattr(home, own, setting)
        yield
    finally:
        for home, own, setting in before:
            delattr(home, own) if setting is _ABSENT else setattr(home, own, setting)
