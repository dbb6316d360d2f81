"""Linear maps and convolutions: the core's own functions, and products of groups of matrices."""

from __future__ import annotations

import enum
from collections.abc import Sequence

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.functional._core import op, publish

linear = op("linear")
conv1d = op("conv1d")
conv2d = op("conv2d")
conv3d = op("conv3d")
conv_transpose1d = op("conv_transpose1d")
conv_transpose2d = op("conv_transpose2d")
conv_transpose3d = op("conv_transpose3d")
conv_tbc = op("conv_tbc")


def grouped_mm(
    mat_a: Tensor,
    mat_b: Tensor,
    *,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: fb.dtype | None = None,
) -> Tensor:
    """One matrix product a group, of groups that may have different sizes.

    Parameters
    ----------
    mat_a : Tensor of shape (G, M, K), or (T, K) with the rows (or columns, see below) of all groups
    mat_b : Tensor of shape (G, K, N), or 2-D
        With two 2-D operands the shared dimension is cut and the result has shape (G, M, N).
    offs : int32 Tensor of shape (G,), optional
        Where each group ends along the dimension that is cut.
    bias : Tensor, optional
        Added to each group's product.
    out_dtype : dtype, optional
    """
    if (mat_a.dim() == 2 or mat_b.dim() == 2) != (offs is not None):
        raise ValueError("grouped_mm: offs has to be given exactly when one of the matrices is 2-D")
    if offs is None:
        result = fb.bmm(mat_a, mat_b)
        if bias is not None:
            result = result + bias
        return result if out_dtype is None else result.to(out_dtype)
    ends = offs.tolist()
    cuts = list(zip([0, *ends[:-1]], ends, strict=True))
    if mat_a.dim() == 2 and mat_b.dim() == 2:
        result = fb.stack([mat_a[:, lo:hi] @ mat_b[lo:hi] for lo, hi in cuts])
    elif mat_a.dim() == 2:
        parts = [mat_a[lo:hi] @ mat_b[g] for g, (lo, hi) in enumerate(cuts)]
        rest = mat_a.new_zeros(mat_a.size(0) - ends[-1], mat_b.size(-1))
        result = fb.cat([*parts, rest])
    else:
        result = fb.cat([mat_a[g] @ mat_b[:, lo:hi] for g, (lo, hi) in enumerate(cuts)], dim=1)
    if bias is not None:
        result = result + bias
    return result if out_dtype is None else result.to(out_dtype)


class ScalingType(enum.IntEnum):
    """How a float8 matrix was scaled."""

    TensorWise = 0
    RowWise = 1
    BlockWise1x16 = 2
    BlockWise1x32 = 3
    BlockWise1x128 = 4
    BlockWise128x128 = 5


class SwizzleType(enum.IntEnum):
    """How scale factors of a float8 matrix are laid out."""

    NO_SWIZZLE = 0
    SWIZZLE_32_4_4 = 1


def scaled_mm(
    mat_a: Tensor, mat_b: Tensor, scale_a: Tensor | list[Tensor],
    scale_recipe_a: ScalingType | list[ScalingType], scale_b: Tensor | list[Tensor],
    scale_recipe_b: ScalingType | list[ScalingType], swizzle_a: SwizzleType | list[SwizzleType] | None = None,
    swizzle_b: SwizzleType | list[SwizzleType] | None = None, bias: Tensor | None = None,
    output_dtype: fb.dtype | None = fb.bfloat16, contraction_dim: Sequence[int] = (),
    use_fast_accum: bool = False,
) -> Tensor:  # fmt: skip
    """Product of float8 matrices with scale factors: one for each matrix, or one for each of its lines."""
    recipes = [
        [*recipe] if isinstance(recipe, (list, tuple)) else [recipe]
        for recipe in (scale_recipe_a, scale_recipe_b)
    ]
    if recipes[0] != recipes[1] or recipes[0] not in ([ScalingType.TensorWise], [ScalingType.RowWise]):
        raise NotImplementedError("scaled_mm: factors for blocks of a matrix are not supported by flambeau")
    first, second = (s[0] if isinstance(s, (list, tuple)) else s for s in (scale_a, scale_b))
    return fb._scaled_mm(
        mat_a, mat_b, first, second, bias, out_dtype=output_dtype, use_fast_accum=use_fast_accum
    )


def scaled_grouped_mm(
    mat_a: Tensor, mat_b: Tensor, scale_a: Tensor | list[Tensor],
    scale_recipe_a: ScalingType | list[ScalingType], scale_b: Tensor | list[Tensor],
    scale_recipe_b: ScalingType | list[ScalingType], swizzle_a: SwizzleType | list[SwizzleType] | None = None,
    swizzle_b: SwizzleType | list[SwizzleType] | None = None, bias: Tensor | None = None,
    offs: Tensor | None = None, output_dtype: fb.dtype | None = fb.bfloat16,
    contraction_dim: Sequence[int] = (), use_fast_accum: bool = False,
) -> Tensor:  # fmt: skip
    """Grouped product of float8 matrices with scale factors, which the CPU does not have."""
    raise NotImplementedError(
        "scaled_grouped_mm: matrices of 8-bit floating point numbers are not supported by flambeau"
    )


publish(globals(), "grouped_mm", "scaled_mm", "scaled_grouped_mm")
