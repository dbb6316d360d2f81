"""Functions that change colours; masks, boxes and points know none."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.vision._pil import is_pil, pil

from ... import _on_tensor
from ... import functional as pictures
from ._dispatch import PIL_IMAGE, TENSOR_PICTURES, dispatch, on_pictures


def to_grayscale(inpt: Any, num_output_channels: int = 1) -> Any:
    """Black and white, with one channel or three equal ones."""
    return rgb_to_grayscale(inpt, num_output_channels)


def rgb_to_grayscale(inpt: Any, num_output_channels: int = 1) -> Any:
    """Black and white, with one channel or three equal ones."""
    return dispatch(rgb_to_grayscale, inpt, num_output_channels=num_output_channels)


on_pictures(rgb_to_grayscale, pictures.rgb_to_grayscale)


def grayscale_to_rgb(inpt: Any) -> Any:
    """Three equal channels."""
    return dispatch(grayscale_to_rgb, inpt)


def _to_rgb(image: Any) -> Any:
    if is_pil(image):
        return image.convert("RGB")
    if image.shape[-3] >= 3:
        return image  # colour already, maybe with an alpha channel
    return _on_tensor.to_grayscale(image, 3)


on_pictures(grayscale_to_rgb, _to_rgb)


def adjust_brightness(inpt: Any, brightness_factor: float) -> Any:
    """0 gives black, 1 the same picture, 2 twice as bright."""
    return dispatch(adjust_brightness, inpt, brightness_factor=brightness_factor)


on_pictures(adjust_brightness, pictures.adjust_brightness)


def adjust_saturation(inpt: Any, saturation_factor: float) -> Any:
    """0 gives black and white, 1 the same picture."""
    return dispatch(adjust_saturation, inpt, saturation_factor=saturation_factor)


def _saturated(image: Any, saturation_factor: float) -> Any:
    if is_pil(image) or saturation_factor < 0:
        return pictures.adjust_saturation(image, saturation_factor)
    return _on_tensor.adjust_saturation_at_once(image, saturation_factor)


on_pictures(adjust_saturation, _saturated)


def adjust_contrast(inpt: Any, contrast_factor: float) -> Any:
    """0 gives plain grey, 1 the same picture."""
    return dispatch(adjust_contrast, inpt, contrast_factor=contrast_factor)


on_pictures(adjust_contrast, pictures.adjust_contrast)


def adjust_sharpness(inpt: Any, sharpness_factor: float) -> Any:
    """0 gives a blurred picture, 1 the same, 2 a sharper one."""
    return dispatch(adjust_sharpness, inpt, sharpness_factor=sharpness_factor)


def _sharper(image: Any, sharpness_factor: float) -> Any:
    if is_pil(image) or sharpness_factor < 0:
        return pictures.adjust_sharpness(image, sharpness_factor)
    return _on_tensor.adjust_sharpness_exactly(image, sharpness_factor)


on_pictures(adjust_sharpness, _sharper)


def adjust_hue(inpt: Any, hue_factor: float) -> Any:
    """Move the hues around the circle by -0.5 to 0.5 turns."""
    return dispatch(adjust_hue, inpt, hue_factor=hue_factor)


on_pictures(adjust_hue, pictures.adjust_hue)


def adjust_gamma(inpt: Any, gamma: float, gain: float = 1) -> Any:
    """gain * value ** gamma, for values from 0 to 1."""
    return dispatch(adjust_gamma, inpt, gamma=gamma, gain=gain)


on_pictures(adjust_gamma, pictures.adjust_gamma)


def posterize(inpt: Any, bits: int) -> Any:
    """Keep the highest bits of each value."""
    return dispatch(posterize, inpt, bits=bits)


on_pictures(posterize, pictures.posterize)
on_pictures(posterize, _on_tensor.posterize, TENSOR_PICTURES)  # other types than bytes too


def solarize(inpt: Any, threshold: float) -> Any:
    """Invert the values from a threshold on."""
    return dispatch(solarize, inpt, threshold=threshold)


on_pictures(solarize, pictures.solarize)


def autocontrast(inpt: Any) -> Any:
    """Stretch each channel so that its darkest value is black and its brightest white."""
    return dispatch(autocontrast, inpt)


def _contrasted(image: Any) -> Any:
    return pictures.autocontrast(image) if is_pil(image) else _on_tensor.autocontrast_by_division(image)


on_pictures(autocontrast, _contrasted)


def equalize(inpt: Any) -> Any:
    """Spread the values of each channel so that all are equally frequent."""
    return dispatch(equalize, inpt)


on_pictures(equalize, pictures.equalize)
on_pictures(equalize, _on_tensor.equalize, TENSOR_PICTURES)


def invert(inpt: Any) -> Any:
    """White becomes black."""
    return dispatch(invert, inpt)


on_pictures(invert, pictures.invert)


def permute_channels(inpt: Any, permutation: list[int]) -> Any:
    """The channels in another order."""
    return dispatch(permute_channels, inpt, permutation=permutation)


def _permuted(image: Any, permutation: list[int]) -> Any:
    if is_pil(image):
        bands = image.split()
        _check_permutation(permutation, len(bands))
        return pil().merge(image.mode, [bands[i] for i in permutation])
    _check_permutation(permutation, image.shape[-3])
    return image[..., list(permutation), :, :]


def _check_permutation(permutation: list[int], channels: int) -> None:
    if len(permutation) != channels:
        raise ValueError(
            f"Length of permutation does not match number of channels: {len(permutation)} != {channels}"
        )


on_pictures(permute_channels, _permuted)


def gaussian_blur(inpt: Any, kernel_size: list[int], sigma: list[float] | None = None) -> Any:
    """Blur; sigma defaults to 0.3 * ((kernel_size - 1) * 0.5 - 1) + 0.8."""
    return dispatch(gaussian_blur, inpt, kernel_size=kernel_size, sigma=sigma)


on_pictures(gaussian_blur, pictures.gaussian_blur)


def gaussian_noise(inpt: Any, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> Any:
    """Normal noise added, on the scale from 0 to 1, to floats or bytes."""
    return dispatch(gaussian_noise, inpt, mean=mean, sigma=sigma, clip=clip)


def _noisy(image: fb.Tensor, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> fb.Tensor:
    if not image.is_floating_point() and image.dtype != fb.uint8:
        raise ValueError(f"Input tensor is expected to be in uint8 or float dtype, got dtype={image.dtype}")
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if image.is_floating_point():
        out = image + mean + fb.randn_like(image) * sigma
        return out.clamp(0, 1) if clip else out
    noise = (mean * 255 + fb.randn_like(image, dtype=fb.float32) * (sigma * 255)).to(fb.int16)
    out = image.to(fb.int16) + noise
    return (out.clamp(0, 255) if clip else out).to(fb.uint8)


def _no_noise(image: Any, **_: Any) -> Any:
    raise ValueError("Gaussian Noise is not implemented for PIL images.")


on_pictures(gaussian_noise, _noisy, TENSOR_PICTURES)
on_pictures(gaussian_noise, _no_noise, (PIL_IMAGE,))
