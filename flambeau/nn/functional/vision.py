"""Padding, resizing, sampling and unfolding of images and other grids."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.common_types import _sizes_t
from flambeau.nn.functional._core import core, op, publish

pixel_shuffle = op("pixel_shuffle")
pixel_unshuffle = op("pixel_unshuffle")
channel_shuffle = op("channel_shuffle")
native_channel_shuffle = op("native_channel_shuffle")


def pad(input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None) -> Tensor:
    """Make `input` larger (or smaller, where negative) at its edges.

    Parameters
    ----------
    input : Tensor
    pad : sequence of int
        Pairs of sizes before and after, from the last dimension on.
    mode : {"constant", "reflect", "replicate", "circular"}
    value : float, optional
        What a constant edge is filled with.
    """
    return core.pad(input, pad, mode, value)


def unfold(
    input: Tensor, kernel_size: _sizes_t, dilation: _sizes_t = 1, padding: _sizes_t = 0, stride: _sizes_t = 1
) -> Tensor:
    """The windows of an input of shape (N, C, H, W) as columns, of shape (N, C * window, windows)."""
    return core.im2col(input, _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride))


def fold(
    input: Tensor,
    output_size: _sizes_t,
    kernel_size: _sizes_t,
    dilation: _sizes_t = 1,
    padding: _sizes_t = 0,
    stride: _sizes_t = 1,
) -> Tensor:
    """Sum columns as :func:`unfold` makes them back into an image of `output_size`."""
    return core.col2im(
        input, _pair(output_size), _pair(kernel_size), _pair(dilation), _pair(padding), _pair(stride)
    )


def _pair(value: _sizes_t) -> Sequence[int]:
    return (value, value) if isinstance(value, int) else value


# ------------------------------------------------------------------------------------------ resizing

_LINEAR_MODES = {"linear": 3, "bilinear": 4, "trilinear": 5, "bicubic": 4, "lanczos": 4}
_KERNELS = {
    ("nearest", 3): "upsample_nearest1d",
    ("nearest", 4): "upsample_nearest2d",
    ("nearest", 5): "upsample_nearest3d",
    ("nearest-exact", 3): "_upsample_nearest_exact1d",
    ("nearest-exact", 4): "_upsample_nearest_exact2d",
    ("nearest-exact", 5): "_upsample_nearest_exact3d",
    ("linear", 3): "upsample_linear1d",
    ("bilinear", 4): "upsample_bilinear2d",
    ("trilinear", 5): "upsample_trilinear3d",
    ("bicubic", 4): "upsample_bicubic2d",
}
_ANTIALIASED = {
    "bilinear": "_upsample_bilinear2d_aa",
    "bicubic": "_upsample_bicubic2d_aa",
    "lanczos": "_upsample_lanczos2d_aa",
}


def interpolate(
    input: Tensor,
    size: _sizes_t | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Resize the last dimensions of an input of shape (N, C, ...).

    Parameters
    ----------
    input : Tensor of shape (N, C, L), (N, C, H, W) or (N, C, D, H, W)
    size, scale_factor : number or sequence
        The size of the result, or what that of the input is multiplied with: one of them.
    mode : {"nearest", "nearest-exact", "linear", "bilinear", "bicubic", "trilinear", "area", "lanczos"}
    align_corners : bool, optional
        Whether the corners of input and result are at the centres of the corner pixels.
    recompute_scale_factor : bool, optional
        Use the ratio of the (rounded) sizes instead of `scale_factor`.
    antialias : bool
        Widen the filter when making smaller.
    """
    if mode in ("nearest", "area", "nearest-exact"):
        if align_corners is not None:
            raise ValueError(
                "align_corners option can only be set with the interpolating modes: linear | bilinear | "
                "bicubic | trilinear"
            )
    elif align_corners is None:
        align_corners = False
    dims = input.dim() - 2
    spatial = list(input.shape[-dims:]) if dims > 0 else []
    size, factors = _size_or_factors(input, spatial, size, scale_factor)
    if recompute_scale_factor and size is not None:
        raise ValueError("recompute_scale_factor is not meaningful with an explicit size.")
    if mode == "area" and size is None:
        recompute_scale_factor = True
    if recompute_scale_factor:
        size = [math.floor(float(n) * f) for n, f in zip(spatial, factors, strict=True)]
        factors = None
    if antialias and not (mode in _ANTIALIASED and input.dim() == 4):
        raise ValueError(
            "Anti-alias option is restricted to bilinear, bicubic, and lanczos modes and requires a 4-D "
            "tensor as input"
        )
    if mode == "lanczos" and not antialias:
        raise ValueError("Lanczos mode requires antialias=True")
    if mode == "area" and input.dim() in (3, 4, 5):
        from flambeau.nn.functional import pooling

        return getattr(pooling, f"adaptive_avg_pool{input.dim() - 2}d")(input, size)
    if antialias:
        return getattr(core, _ANTIALIASED[mode])(input, size, align_corners, factors)
    kernel = _KERNELS.get((mode, input.dim()))
    if kernel is None:
        _raise_for_mode(mode, input.dim())
    if align_corners is None:
        return getattr(core, kernel)(input, size, factors)
    return getattr(core, kernel)(input, size, align_corners, factors)


def _size_or_factors(
    input: Tensor, spatial: list[int], size: _sizes_t | None, scale_factor: float | Sequence[float] | None
) -> tuple:
    """Both arguments as lists, one a dimension."""
    if size is not None and scale_factor is not None:
        raise ValueError("only one of size or scale_factor should be defined")
    if size is not None:
        if isinstance(size, (list, tuple)):
            if len(size) != len(spatial):
                raise ValueError(
                    "Input and output must have the same number of spatial dimensions, but got input with "
                    f"spatial dimensions of {spatial} and output size of {size}. Please provide input tensor "
                    "in (N, C, d1, d2, ...,dK) format and output size in (o1, o2, ...,oK) format."
                )
            return [int(n) if isinstance(n, Tensor) else n for n in size], None
        return [size] * len(spatial), None
    if scale_factor is None:
        raise ValueError("either size or scale_factor should be defined")
    if isinstance(scale_factor, (list, tuple)):
        if len(scale_factor) != len(spatial):
            raise ValueError(
                "Input and scale_factor must have the same number of spatial dimensions, but got input with "
                f"spatial dimensions of {spatial} and scale_factor of shape {scale_factor}. Please provide "
                "input tensor in (N, C, d1, d2, ...,dK) format and scale_factor in (s1, s2, ...,sK) format."
            )
        return None, list(scale_factor)
    return None, [scale_factor] * len(spatial)


def _raise_for_mode(mode: str, dim: int) -> None:
    needed = _LINEAR_MODES.get(mode)
    if needed is not None and mode in ("linear", "bilinear", "trilinear") and dim in (3, 4, 5):
        raise NotImplementedError(f"Got {dim}D input, but {mode} mode needs {needed}D input")
    raise NotImplementedError(
        f"Input Error: Only 3D, 4D and 5D input Tensors supported (got {dim}D) for the modes: nearest | "
        f"linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got {mode})"
    )


def _warn_deprecated(name: str) -> None:
    warnings.warn(
        f"`nn.functional.{name}` is deprecated. Use `nn.functional.interpolate` instead.", stacklevel=3
    )


def upsample(
    input: Tensor,
    size: _sizes_t | None = None,
    scale_factor: float | Sequence[float] | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of :func:`interpolate`."""
    _warn_deprecated("upsample")
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: _sizes_t | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """:func:`interpolate` in mode "nearest"."""
    _warn_deprecated("upsample_nearest")
    return interpolate(input, size, scale_factor, mode="nearest")


def upsample_bilinear(
    input: Tensor, size: _sizes_t | None = None, scale_factor: float | Sequence[float] | None = None
) -> Tensor:
    """:func:`interpolate` in mode "bilinear" with aligned corners."""
    _warn_deprecated("upsample_bilinear")
    return interpolate(input, size, scale_factor, mode="bilinear", align_corners=True)


# ------------------------------------------------------------------------------------------ sampling

_SAMPLE_MODES = {"bilinear": 0, "nearest": 1, "bicubic": 2}
_PADDING_MODES = {"zeros": 0, "border": 1, "reflection": 2}


def _warn_default_corners() -> None:
    warnings.warn(
        "Default grid_sample and affine_grid behavior has changed to align_corners=False since 1.3.0. Please "
        "specify align_corners=True if the old behavior is desired. See the documentation of grid_sample for "
        "details.",
        stacklevel=3,
    )


def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Values of `input` at the points of `grid` (Jaderberg et al. 2015).

    Parameters
    ----------
    input : Tensor of shape (N, C, H, W) or (N, C, D, H, W)
    grid : Tensor of shape (N, H', W', 2) or (N, D', H', W', 3)
        Points from -1 to 1, x first.
    mode : {"bilinear", "nearest", "bicubic"}
    padding_mode : {"zeros", "border", "reflection"}
        What is outside.
    """
    if mode not in _SAMPLE_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected mode to be 'bilinear', 'nearest' or 'bicubic', but got: "
            f"'{mode}'"
        )
    if padding_mode not in _PADDING_MODES:
        raise ValueError(
            "nn.functional.grid_sample(): expected padding_mode to be 'zeros', 'border', or 'reflection', "
            f"but got: '{padding_mode}'"
        )
    if align_corners is None:
        _warn_default_corners()
        align_corners = False
    return fb.grid_sampler(input, grid, _SAMPLE_MODES[mode], _PADDING_MODES[padding_mode], align_corners)


def affine_grid(theta: Tensor, size: list[int], align_corners: bool | None = None) -> Tensor:
    """The points that affine maps `theta` send the pixels of an image of `size` to, for :func:`grid_sample`.

    Parameters
    ----------
    theta : Tensor of shape (N, 2, 3) or (N, 3, 4)
    size : sequence of int
        (N, C, H, W) or (N, C, D, H, W).
    """
    if align_corners is None:
        _warn_default_corners()
        align_corners = False
    if not theta.is_floating_point():
        raise ValueError(f"Expected theta to have floating point type, but got {theta.dtype}")
    spatial = len(size) - 2
    if spatial not in (2, 3):
        raise NotImplementedError(
            "affine_grid only supports 4D and 5D sizes, for 2D and 3D affine transforms, "
            f"respectively. Got size {size}."
        )
    rows, columns = spatial, spatial + 1
    if theta.dim() != 3 or theta.shape[-2] != rows or theta.shape[-1] != columns:
        raise ValueError(
            f"Expected a batch of {spatial}D affine matrices of shape Nx{rows}x{columns} for size {size}. "
            f"Got {theta.shape}."
        )
    if min(size) <= 0:
        raise ValueError(f"Expected non-zero, positive output size. Got {size}")
    if align_corners and min(size[2:]) == 1:
        warnings.warn(
            "Since version 1.3.0, affine_grid behavior has changed for unit-size grids when "
            "align_corners=True. This is not an intended use case of affine_grid. See the documentation of "
            "affine_grid for details.",
            stacklevel=2,
        )
    return fb.affine_grid_generator(theta, size, align_corners)


publish(globals(), "upsample", "upsample_nearest", "upsample_bilinear")
