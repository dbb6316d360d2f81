"""Comparing results, counters, and what can be compiled."""

from __future__ import annotations

import collections
import logging
import math
from collections.abc import Callable
from typing import Any

import flambeau as fb

__all__ = ["counters", "is_compile_supported", "same"]

log = logging.getLogger("torch._dynamo.utils")

# PyTorch's compiler counts here what it does; flambeau's has `torch.compiler` for that, so all are zero
counters: collections.defaultdict[str, collections.Counter] = collections.defaultdict(collections.Counter)


def is_compile_supported(device_type: Any) -> bool:
    """Whether programs on a kind of device can be compiled."""
    kind = fb.device(device_type).type
    return kind == "cpu" or (kind == "cuda" and fb.cuda.is_available())


def same(
    ref: Any, res: Any, fp64_ref: Any = None, cos_similarity: bool = False, tol: float = 1e-4,
    equal_nan: bool = False, exact_dtype: bool = True, relax_numpy_equality: bool = False,
    ignore_non_fp: bool = False, log_error: Callable[..., None] = log.error, **ignored: Any,
) -> bool:  # fmt: skip
    """Whether two results are equal but for rounding; why they are not is logged.

    Parameters
    ----------
    ref, res : numbers, tensors, or containers of them.
    fp64_ref : the result in float64: then `res` may be as far from it as `ref` is, and a little more.
    cos_similarity : whether to compare directions only.
    tol : absolute and relative tolerance.
    """

    def again(a: Any, b: Any, exact: Any = None) -> bool:
        return same(
            a, b, exact, cos_similarity, tol, equal_nan, exact_dtype, relax_numpy_equality, ignore_non_fp,
            log_error,
        )  # fmt: skip

    if isinstance(ref, (list, tuple)) or (
        isinstance(ref, dict) and ref.keys() == getattr(res, "keys", set)()
    ):
        if isinstance(ref, dict):
            exact = fp64_ref or {}
            return all(again(ref[k], res[k], exact.get(k)) for k in ref)
        if not isinstance(res, (list, tuple)) or len(ref) != len(res):
            log_error("Accuracy failed: %s and %s have other lengths or types", type(ref), type(res))
            return False
        exact = fp64_ref or [None] * len(ref)
        return all(again(a, b, c) for a, b, c in zip(ref, res, exact))
    if not isinstance(ref, fb.Tensor):
        if isinstance(ref, float) and isinstance(res, float):
            return math.isclose(ref, res, rel_tol=tol, abs_tol=tol) or (
                equal_nan and ref != ref and res != res
            )
        if type(ref).__module__ == "numpy":
            return again(fb.as_tensor(ref), fb.as_tensor(res)) if type(ref) is type(res) else False
        if type(ref) is not type(res) or ref != res:
            log_error("Accuracy failed (%s): %s != %s", type(ref), ref, res)
            return False
        return True
    if not isinstance(res, fb.Tensor):
        log_error("Accuracy failed: %s is no tensor", type(res))
        return False
    if exact_dtype and ref.dtype != res.dtype:
        log_error("dtype mismatch %s, %s", ref.dtype, res.dtype)
        return False
    if ref.shape != res.shape:
        log_error("Accuracy failed: sizes %s and %s", tuple(ref.shape), tuple(res.shape))
        return False
    if not (ref.is_floating_point() or ref.is_complex()):
        return ignore_non_fp or fb.equal(ref, res)
    if ref.dtype != res.dtype or ref.dtype in (fb.float16, fb.bfloat16):
        ref, res = ref.to(fb.float64), res.to(fb.float64)
    if cos_similarity:
        a, b = ref.flatten().double(), res.flatten().double()
        if fb.equal(a, b):
            return True
        return fb.nn.functional.cosine_similarity(a, b, dim=0, eps=1e-6).item() >= 0.99
    if fb.allclose(ref, res, atol=tol, rtol=tol, equal_nan=equal_nan):
        return True
    if fp64_ref is not None:

        def error(x: fb.Tensor) -> float:
            return (fp64_ref - x.to(fb.float64)).pow(2).mean().sqrt().item()

        return error(res) <= 2 * error(ref) + tol / 10
    log_error("Accuracy failed: allclose not within tol=%s", tol)
    return False
