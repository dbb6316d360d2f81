"""Averaging gradients, in their own dtype or in one of half the size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau.futures import Future

__all__ = [
    "allreduce_hook",
    "bf16_compress_hook",
    "bf16_compress_wrapper",
    "fp16_compress_hook",
    "fp16_compress_wrapper",
]


def _done(tensor: fb.Tensor) -> Future:
    future = Future()
    future.set_result(tensor)
    return future


def allreduce_hook(process_group: Any, bucket: Any) -> Future:
    """The average of the gradients."""
    made = bucket.buffer().div_(dist.get_world_size(process_group))
    dist.all_reduce(made, group=process_group)
    return _done(made)


def _compressed(dtype: fb.dtype, process_group: Any, bucket: Any) -> Future:
    whole = bucket.buffer()
    small = whole.to(dtype).div_(dist.get_world_size(process_group))
    dist.all_reduce(small, group=process_group)
    return _done(whole.copy_(small))


def fp16_compress_hook(process_group: Any, bucket: Any) -> Future:
    """The average of the gradients, sent as float16."""
    return _compressed(fb.float16, process_group, bucket)


def bf16_compress_hook(process_group: Any, bucket: Any) -> Future:
    """The average of the gradients, sent as bfloat16."""
    return _compressed(fb.bfloat16, process_group, bucket)


def _wrapped(dtype: fb.dtype, hook: Callable) -> Callable:
    def run(state: Any, bucket: Any) -> Future:
        before = bucket.buffer().dtype
        bucket.set_buffer(bucket.buffer().to(dtype))
        return hook(state, bucket).then(lambda future: future.value().to(before))

    return run


def fp16_compress_wrapper(hook: Callable) -> Callable:
    """A hook that is given the gradients as float16."""
    return _wrapped(fb.float16, hook)


def bf16_compress_wrapper(hook: Callable) -> Callable:
    """A hook that is given the gradients as bfloat16."""
    return _wrapped(fb.bfloat16, hook)
