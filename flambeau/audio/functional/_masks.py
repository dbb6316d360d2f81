"""Strips of a spectrum set to one value. (Park et al.: SpecAugment, 2019)"""

from __future__ import annotations

import flambeau as fb

__all__ = ["mask_along_axis", "mask_along_axis_iid"]


def _width(specgram: fb.Tensor, mask_param: int, axis: int, p: float) -> int:
    """The bound of a strip's width, after a look at the arguments."""
    dim = specgram.dim()
    if axis not in (dim - 2, dim - 1):
        raise ValueError(
            f"Only Frequency and Time masking are supported (axis {dim - 2} and axis {dim - 1} supported; "
            f"{axis} given)."
        )
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"The value of p must be between 0.0 and 1.0 ({p} given).")
    return mask_param if p == 1.0 else min(mask_param, int(specgram.shape[axis] * p))


def _fill(specgram: fb.Tensor, where: fb.Tensor, value: float | fb.Tensor) -> fb.Tensor:
    if isinstance(value, fb.Tensor):
        return fb.where(where, value, specgram)
    return specgram.masked_fill(where, value)


def mask_along_axis_iid(
    specgrams: fb.Tensor, mask_param: int, mask_value: float | fb.Tensor, axis: int, p: float = 1.0
) -> fb.Tensor:
    """A strip of random place and width (below `mask_param`) for each example and channel."""
    dim = specgrams.dim()
    if dim < 3:
        raise ValueError(f"Spectrogram must have at least three dimensions ({dim} given).")
    mask_param, length = _width(specgrams, mask_param, axis, p), specgrams.shape[axis]
    if mask_param < 1:
        return specgrams
    width = fb.rand(specgrams.shape[: dim - 2], dtype=specgrams.dtype) * mask_param
    begin = (fb.rand(specgrams.shape[: dim - 2], dtype=specgrams.dtype) * (length - width)).long()
    end = begin + width.long()
    begin, end = begin[..., None, None], end[..., None, None]
    places = fb.arange(length)
    places = places[:, None] if axis == dim - 2 else places
    return _fill(specgrams, (places >= begin) & (places < end), mask_value)


def mask_along_axis(
    specgram: fb.Tensor, mask_param: int, mask_value: float | fb.Tensor, axis: int, p: float = 1.0
) -> fb.Tensor:
    """One strip of random place and width (below `mask_param`) for all examples and channels."""
    dim = specgram.dim()
    if dim < 2:
        raise ValueError(f"Spectrogram must have at least two dimensions (time and frequency) ({dim} given).")
    mask_param, length = _width(specgram, mask_param, axis, p), specgram.shape[axis]
    if mask_param < 1:
        return specgram
    width = fb.rand(1) * mask_param
    begin = (fb.rand(1) * (length - width)).long()
    end = begin + width.long()
    places = fb.arange(length)
    where = (places >= begin) & (places < end)
    return _fill(specgram, where.unsqueeze(-1) if axis == dim - 2 else where, mask_value)
