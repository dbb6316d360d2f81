"""Products of float8 matrices with scale factors."""

from __future__ import annotations

import flambeau as fb

__all__ = ["_scaled_mm"]

_FLOAT8 = (fb.float8_e4m3fn, fb.float8_e5m2, fb.float8_e4m3fnuz, fb.float8_e5m2fnuz, fb.float8_e8m0fnu)


def _check_scales(a: fb.Tensor, b: fb.Tensor, scale_a: fb.Tensor, scale_b: fb.Tensor) -> None:
    """One factor for a whole matrix, or one for each row of `a` and each column of `b`."""
    whole = scale_a.numel() == 1 and scale_b.numel() == 1
    lines = (
        tuple(scale_a.shape) == (a.size(0), 1)
        and tuple(scale_b.shape) == (1, b.size(1))
        and scale_a.is_contiguous()
        and scale_b.is_contiguous()
    )
    known = a.dtype in _FLOAT8 and b.dtype in _FLOAT8
    if not (known and scale_a.dtype is scale_b.dtype is fb.float32 and (whole or lines)):
        raise ValueError("Invalid scaling configuration.")


def _scaled_mm(
    self: fb.Tensor, mat2: fb.Tensor, scale_a: fb.Tensor, scale_b: fb.Tensor, bias: fb.Tensor | None = None,
    scale_result: fb.Tensor | None = None, out_dtype: fb.dtype | None = None, use_fast_accum: bool = False,
    *, out: fb.Tensor | None = None,
) -> fb.Tensor:  # fmt: skip
    """The product of float8 matrices, each multiplied by its scale factors, summed in float32.

    Parameters
    ----------
    self, mat2 : matrices of float8.
    scale_a, scale_b : float32; one number each, or a factor for each row of `self` and column of `mat2`.
    bias : added to every row.
    scale_result : what a float8 result is divided by.
    out_dtype : of the result; that of `self` unless given.
    use_fast_accum : changes nothing on a CPU.
    """
    if self.dim() != 2:
        raise RuntimeError("mat1 must be a matrix")
    if mat2.dim() != 2:
        raise RuntimeError("mat2 must be a matrix")
    if self.size(1) != mat2.size(0):
        raise RuntimeError(
            "mat_a and mat_b shapes cannot be multiplied"
            f" ({self.size(0)}x{self.size(1)} and {mat2.size(0)}x{mat2.size(1)})"
        )
    _check_scales(self, mat2, scale_a, scale_b)
    if scale_result is not None and (scale_result.numel() != 1 or scale_result.dtype != fb.float32):
        raise RuntimeError("scale_result must be a float scalar")
    if bias is not None and bias.numel() != mat2.size(1):
        raise RuntimeError(f"Bias must be size {mat2.size(1)} but got {bias.numel()}")
    if out is not None and out_dtype is not None and out.dtype != out_dtype:
        raise ValueError("out_dtype must match output matrix type")
    made = (self.float() * scale_a) @ (mat2.float() * scale_b)
    if bias is not None:
        made = made + bias.float().reshape(-1)
    dtype = out.dtype if out is not None else out_dtype or self.dtype
    if scale_result is not None and dtype in _FLOAT8:
        made = made / scale_result
    made = made.to(dtype)
    return made if out is None else out.resize_(made.shape).copy_(made)
