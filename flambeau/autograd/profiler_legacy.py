"""The profiler under the name of its first version."""

from __future__ import annotations

from . import profiler

__all__ = ["profile"]


class profile(profiler.profile):
    """Context manager that records calls; see `torch.autograd.profiler.profile`."""

    def __init__(
        self, enabled: bool = True, *, use_cuda: bool = False, record_shapes: bool = False,
        with_flops: bool = False, profile_memory: bool = False, with_stack: bool = False,
        with_modules: bool = False,
    ) -> None:  # fmt: skip
        super().__init__(
            enabled, use_cuda=use_cuda, record_shapes=record_shapes, with_flops=with_flops,
            profile_memory=profile_memory, with_stack=with_stack, with_modules=with_modules,
        )  # fmt: skip
