"""Functions on pictures: Pillow images, and tensors of shape [..., C, H, W]."""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

import flambeau as fb

from .._pil import is_pil, pil
from . import _on_pil, _on_tensor
from ._draws import two


class InterpolationMode(Enum):
    """How pictures are resampled."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_BY_NUMBER = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")


def interpolation_name(mode: InterpolationMode | str | int) -> str:
    """The name of a mode that may be given by its name or by Pillow's number for it."""
    if isinstance(mode, InterpolationMode):
        return mode.value
    if isinstance(mode, str):
        names = [member.value for member in InterpolationMode]
        if mode not in names:
            raise ValueError(f"Invalid interpolation mode: '{mode}'. Supported string values are: {names}.")
        return mode
    if isinstance(mode, int) and 0 <= mode < len(_BY_NUMBER):
        return _BY_NUMBER[mode]
    raise TypeError(
        "Argument interpolation should be a InterpolationMode or a corresponding Pillow integer constant"
    )


def _ops(img: Any) -> Any:
    """The module with the operations for this kind of image."""
    if isinstance(img, fb.Tensor):
        if img.dim() < 2:
            raise TypeError("Tensor is not a torch image.")
        return _on_tensor
    if is_pil(img):
        return _on_pil
    raise TypeError(f"img should be PIL Image. Got {type(img)}")


def get_dimensions(img: Any) -> list[int]:
    """Channels, height and width."""
    return _ops(img).size(img)


def get_image_size(img: Any) -> list[int]:
    """Width and height."""
    _, height, width = _ops(img).size(img)
    return [width, height]


def get_image_num_channels(img: Any) -> int:
    """The number of channels."""
    return _ops(img).size(img)[0]


# between kinds of images

_PIL_TYPES = {"I": np.int32, "I;16": np.uint16, "I;16B": np.uint16, "F": np.float32}


def pil_to_tensor(pic: Any) -> fb.Tensor:
    """A Pillow image as a tensor [C, H, W] of its own numbers."""
    if not is_pil(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    array = np.array(pic, copy=True)
    array = array[:, :, None] if array.ndim == 2 else array
    return fb.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))


def to_tensor(pic: Any) -> fb.Tensor:
    """A Pillow image or an array [H, W, C] as a tensor [C, H, W]; bytes become numbers from 0 to 1."""
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic[:, :, None] if pic.ndim == 2 else pic
    elif is_pil(pic):
        array = np.array(pic, _PIL_TYPES.get(pic.mode, np.uint8), copy=True)
        if pic.mode == "1":
            array = 255 * array
        array = array[:, :, None] if array.ndim == 2 else array
    else:
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    tensor = fb.from_numpy(np.ascontiguousarray(array.transpose(2, 0, 1)))
    return tensor.to(fb.get_default_dtype()).div(255) if tensor.dtype == fb.uint8 else tensor


def convert_image_dtype(image: fb.Tensor, dtype: fb.dtype = fb.float) -> fb.Tensor:
    """Another element type, with white and black kept: 255 as a byte is 1.0 as a float."""
    if not isinstance(image, fb.Tensor):
        raise TypeError("Input img should be Tensor Image")
    return _on_tensor.convert_dtype(image, dtype)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor [C, H, W] or an array [H, W, C] as a Pillow image."""
    if not isinstance(pic, (fb.Tensor, np.ndarray)):
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    if pic.ndim not in (2, 3):
        raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
    if isinstance(pic, fb.Tensor):
        pic = pic.unsqueeze(0) if pic.dim() == 2 else pic
        if pic.shape[-3] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {pic.shape[-3]} channels.")
        if pic.is_floating_point() and mode != "F":
            pic = pic.mul(255).byte()
        array = pic.permute(1, 2, 0).cpu().numpy()
    else:
        array = pic[:, :, None] if pic.ndim == 2 else pic
        if array.shape[-1] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {array.shape[-1]} channels.")
    channels = array.shape[2]
    if channels == 1:
        flat = np.ascontiguousarray(array[:, :, 0])
        expected = {"uint8": "L", "int16": "I;16", "uint16": "I;16", "int32": "I", "float32": "F"}.get(
            flat.dtype.name
        )
        if expected is None:
            raise TypeError(f"Input type {flat.dtype} is not supported")
        if mode is not None and mode != expected:
            raise ValueError(
                f"Incorrect mode ({mode}) supplied for input type {flat.dtype}. Should be {expected}"
            )
        return pil().fromarray(flat.view(np.uint16) if flat.dtype == np.int16 else flat)
    if array.dtype != np.uint8:
        raise TypeError(f"Input type {array.dtype} is not supported")
    permitted = {2: ["LA"], 3: ["RGB", "YCbCr", "HSV"], 4: ["RGBA", "CMYK", "RGBX"]}[channels]
    if mode is not None and mode not in permitted:
        raise ValueError(f"Only modes {permitted} are supported for {channels}D inputs")
    mode = mode or permitted[0]
    return pil().frombytes(mode, (array.shape[1], array.shape[0]), np.ascontiguousarray(array).tobytes())


def normalize(
    tensor: fb.Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> fb.Tensor:
    """Subtract a mean from each channel and divide by a standard deviation."""
    if not isinstance(tensor, fb.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(tensor)}")
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.ndim < 3:
        raise ValueError(
            f"Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = "
            f"{tensor.size()}"
        )
    shift = fb.as_tensor(mean, dtype=tensor.dtype, device=tensor.device)
    scale = fb.as_tensor(std, dtype=tensor.dtype, device=tensor.device)
    if (scale == 0).any():
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by zero."
        )
    shift = shift.view(-1, 1, 1) if shift.ndim == 1 else shift
    scale = scale.view(-1, 1, 1) if scale.ndim == 1 else scale
    out = tensor if inplace else tensor.clone()
    return out.sub_(shift).div_(scale)


# geometry


def new_size(height: int, width: int, size: Sequence[int] | None, max_size: int | None) -> tuple[int, int]:
    """Height and width after resizing: both given, or the shorter one, or (None) the longer `max_size`."""
    if size is not None and len(size) == 2:
        return size[0], size[1]
    short, long = (width, height) if width <= height else (height, width)
    if size is None:
        if not isinstance(max_size, int):
            raise ValueError(f"max_size must be an integer when size is None, but got {max_size} instead.")
        new_short, new_long = int(max_size * short / long), max_size
    else:
        new_short, new_long = size[0], int(size[0] * long / short)
        if max_size is not None:
            if max_size <= size[0]:
                raise ValueError(
                    f"max_size = {max_size} must be strictly greater than the requested size for the smaller "
                    f"edge size = {size}"
                )
            if new_long > max_size:
                new_short, new_long = int(max_size * new_short / new_long), max_size
    return (new_long, new_short) if width <= height else (new_short, new_long)


def resize(
    img: Any,
    size: int | Sequence[int] | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
) -> Any:
    """Resize to (height, width), or the shorter side to one number."""
    return resized(img, size, interpolation, max_size, antialias)


def resized(
    img: Any,
    size: int | Sequence[int] | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: bool | None = True,
    as_bytes: bool = False,
) -> Any:
    """What `resize` of both versions of the transforms does; version 2 has bytes resized as such."""
    mode = interpolation_name(interpolation)
    if isinstance(size, int):
        size = [size]
    if size is not None and not isinstance(size, (list, tuple)):
        raise TypeError("Got inappropriate size arg")
    if size is not None and len(size) not in (1, 2):
        raise ValueError(
            "Size must be an int or a 1 or 2 element tuple/list, not a " + f"{len(size)} element tuple/list"
        )
    if max_size is not None and size is not None and len(size) != 1:
        raise ValueError(
            "max_size should only be passed if size specifies the length of the smaller edge, "
            "i.e. size should be an int or a sequence of length 1 in torchscript mode."
        )
    ops = _ops(img)
    _, old_height, old_width = ops.size(img)
    height, width = new_size(old_height, old_width, size, max_size)
    if (height, width) == (old_height, old_width):
        return img
    if ops is _on_pil:
        return _on_pil.resize(img, height, width, mode)
    return _on_tensor.resize(img, height, width, mode, antialias is not False, as_bytes)


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part; what lies outside is black."""
    return _ops(img).crop(img, top, left, height, width)


def padding_sides(padding: int | Sequence[int]) -> tuple[int, int, int, int]:
    """Left, top, right, bottom."""
    if isinstance(padding, numbers.Number):
        return (padding,) * 4
    if not isinstance(padding, (tuple, list)):
        raise TypeError("Got inappropriate padding arg")
    if len(padding) not in (1, 2, 4):
        raise ValueError(
            f"Padding must be an int or a 1, 2, or 4 element tuple, not a {len(padding)} element tuple"
        )
    if len(padding) == 4:
        return tuple(padding)
    return (padding[0], padding[-1]) * 2


def pad(img: Any, padding: int | Sequence[int], fill: Any = 0, padding_mode: str = "constant") -> Any:
    """Add a border: one width, (left and right, top and bottom), or (left, top, right, bottom)."""
    ops = _ops(img)
    sides = padding_sides(padding)
    if padding_mode not in ("constant", "edge", "reflect", "symmetric"):
        raise ValueError("Padding mode should be either constant, edge, reflect or symmetric")
    return ops.pad(img, sides, fill, padding_mode)


def center_crop(img: Any, output_size: int | Sequence[int]) -> Any:
    """The middle; a border is added where the picture is too small."""
    if isinstance(output_size, numbers.Number):
        output_size = (int(output_size),) * 2
    elif len(output_size) == 1:
        output_size = (output_size[0],) * 2
    height, width = output_size
    _, old_height, old_width = get_dimensions(img)
    if width > old_width or height > old_height:
        x, y = max(width - old_width, 0), max(height - old_height, 0)
        img = pad(img, [x // 2, y // 2, (x + 1) // 2, (y + 1) // 2])
        _, old_height, old_width = get_dimensions(img)
        if (width, height) == (old_width, old_height):
            return img
    return crop(img, round((old_height - height) / 2.0), round((old_width - width) / 2.0), height, width)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Sequence[int],
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    antialias: bool | None = True,
) -> Any:
    """A part, resized."""
    return resize(crop(img, top, left, height, width), size, interpolation, antialias=antialias)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return _ops(img).hflip(img)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return _ops(img).vflip(img)


def five_crop(img: Any, size: int | Sequence[int]) -> tuple[Any, Any, Any, Any, Any]:
    """The four corners and the middle."""
    height, width = two(size, "Please provide only two dimensions (h, w) for size.")
    _, rows, columns = get_dimensions(img)
    if width > columns or height > rows:
        raise ValueError(f"Requested crop size {(height, width)} is bigger than input size {(rows, columns)}")
    corners = [(0, 0), (0, columns - width), (rows - height, 0), (rows - height, columns - width)]
    parts = [crop(img, top, left, height, width) for top, left in corners]
    return (*parts, center_crop(img, [height, width]))


def ten_crop(img: Any, size: int | Sequence[int], vertical_flip: bool = False) -> tuple:
    """The five crops, and those of the flipped picture."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def inverse_affine(
    centre: Sequence[float], angle: float, translate: Sequence[float], scale: float, shear: Sequence[float]
) -> list[float]:
    """The matrix from a place in the result to the place in the picture, both relative to the origin.

    The picture is sheared, turned by `angle` degrees (clockwise with y downwards) and scaled about `centre`,
    then moved.
    """
    turn, shear_x, shear_y = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    (cx, cy), (tx, ty) = centre, translate
    a = math.cos(turn - shear_y) / math.cos(shear_y)
    b = -math.cos(turn - shear_y) * math.tan(shear_x) / math.cos(shear_y) - math.sin(turn)
    c = math.sin(turn - shear_y) / math.cos(shear_y)
    d = -math.sin(turn - shear_y) * math.tan(shear_x) / math.cos(shear_y) + math.cos(turn)
    matrix = [d / scale, -b / scale, 0.0, -c / scale, a / scale, 0.0]
    matrix[2] = matrix[0] * (-cx - tx) + matrix[1] * (-cy - ty) + cx
    matrix[5] = matrix[3] * (-cx - tx) + matrix[4] * (-cy - ty) + cy
    return matrix


def rotate(
    img: Any,
    angle: float,
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Sequence[int] | None = None,
    fill: Any = None,
) -> Any:
    """Turn counter-clockwise by degrees, about the middle or `center` (x, y)."""
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if center is not None and not isinstance(center, (list, tuple)):
        raise TypeError("Argument center should be a sequence")
    mode = interpolation_name(interpolation)
    if _ops(img) is _on_pil:
        return _on_pil.rotate(img, angle, mode, expand, center, fill)
    _, rows, columns = get_dimensions(img)
    offset = [0.0, 0.0] if center is None else [center[0] - columns / 2, center[1] - rows / 2]
    matrix = inverse_affine(offset, -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    new = _on_tensor.rotation_size(matrix, rows, columns) if expand else (rows, columns)
    return _on_tensor.sample(img, _on_tensor.affine_grid(matrix, rows, columns, *new), mode, fill)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: float | Sequence[float],
    interpolation: InterpolationMode = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Sequence[int] | None = None,
) -> Any:
    """Turn (clockwise), shear and scale about the middle, then move by `translate` pixels."""
    if not isinstance(angle, (int, float)):
        raise TypeError("Argument angle should be int or float")
    if len(translate) != 2:
        raise ValueError("Argument translate should be a sequence of length 2")
    if scale <= 0.0:
        raise ValueError("Argument scale should be positive")
    shear = [float(shear), 0.0] if isinstance(shear, numbers.Number) else [*map(float, shear), 0.0][:2]
    mode = interpolation_name(interpolation)
    _, rows, columns = get_dimensions(img)
    if _ops(img) is _on_pil:
        middle = [columns * 0.5, rows * 0.5] if center is None else center
        return _on_pil.affine(img, inverse_affine(middle, angle, translate, scale, shear), mode, fill)
    offset = [0.0, 0.0] if center is None else [center[0] - columns / 2, center[1] - rows / 2]
    matrix = inverse_affine(offset, angle, translate, scale, shear)
    return _on_tensor.sample(img, _on_tensor.affine_grid(matrix, rows, columns, rows, columns), mode, fill)


def perspective_coefficients(
    startpoints: Sequence[Sequence[int]], endpoints: Sequence[Sequence[int]]
) -> list[float]:
    """a..h of (ax + by + c, dx + ey + f) / (gx + hy + 1), which takes the end points to the start points."""
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and "
            f"{len(endpoints)} endpoints."
        )
    equations, values = [], []
    for (ex, ey), (sx, sy) in zip(endpoints, startpoints, strict=True):
        equations.append([ex, ey, 1, 0, 0, 0, -sx * ex, -sx * ey])
        equations.append([0, 0, 0, ex, ey, 1, -sy * ex, -sy * ey])
        values += [sx, sy]
    solution = np.linalg.lstsq(np.array(equations, float), np.array(values, float), rcond=None)[0]
    return solution.astype(np.float32).tolist()


def perspective(
    img: Any,
    startpoints: list[list[int]] | None,
    endpoints: list[list[int]] | None,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
    coefficients: list[float] | None = None,
) -> Any:
    """The picture whose corners `startpoints` come to lie at `endpoints` (each [x, y])."""
    if coefficients is None:
        coefficients = perspective_coefficients(startpoints, endpoints)
    elif len(coefficients) != 8:
        raise ValueError("Argument coefficients should have 8 float values")
    mode = interpolation_name(interpolation)
    if _ops(img) is _on_pil:
        return _on_pil.perspective(img, coefficients, mode, fill)
    _, rows, columns = get_dimensions(img)
    return _on_tensor.sample(img, _on_tensor.perspective_grid(coefficients, rows, columns), mode, fill)


def elastic_transform(
    img: Any,
    displacement: fb.Tensor,
    interpolation: InterpolationMode = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Every pixel moved by `displacement`, [1, H, W, 2] with x first, the picture being 2 wide and high."""
    if not isinstance(displacement, fb.Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    mode = interpolation_name(interpolation)
    is_picture = _ops(img) is _on_pil
    tensor = pil_to_tensor(img) if is_picture else img
    rows, columns = tensor.shape[-2:]
    if displacement.shape != (1, rows, columns, 2):
        raise ValueError(
            f"Argument displacement expected size is {(1, rows, columns, 2)}, given {displacement.shape}"
        )
    grid = _on_tensor.identity_grid(rows, columns).to(displacement) + displacement
    out = _on_tensor.sample(tensor, grid, mode, fill)
    return to_pil_image(out, mode=img.mode) if is_picture else out


# colour


def _needs_non_negative(factor: float, name: str) -> None:
    if factor < 0:
        raise ValueError(f"{name} ({factor}) is not non-negative.")


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 gives black, 1 the same picture, 2 twice as bright."""
    _needs_non_negative(brightness_factor, "brightness_factor")
    return _ops(img).adjust_brightness(img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 gives plain grey, 1 the same picture."""
    _needs_non_negative(contrast_factor, "contrast_factor")
    return _ops(img).adjust_contrast(img, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 gives black and white, 1 the same picture."""
    _needs_non_negative(saturation_factor, "saturation_factor")
    return _ops(img).adjust_saturation(img, saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Move the hues around the circle by -0.5 to 0.5 turns."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    return _ops(img).adjust_hue(img, hue_factor)


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * value ** gamma, for values from 0 to 1."""
    if gamma < 0:
        raise ValueError("Gamma should be a non-negative real number")
    return _ops(img).adjust_gamma(img, gamma, gain)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 gives a blurred picture, 1 the same, 2 a sharper one."""
    _needs_non_negative(sharpness_factor, "sharpness_factor")
    return _ops(img).adjust_sharpness(img, sharpness_factor)


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Black and white, with one channel or three equal ones."""
    if not is_pil(img):
        raise TypeError("Input should be PIL Image")
    return rgb_to_grayscale(img, num_output_channels)


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Black and white, with one channel or three equal ones."""
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    return _ops(img).to_grayscale(img, num_output_channels)


def erase(img: fb.Tensor, i: int, j: int, h: int, w: int, v: fb.Tensor, inplace: bool = False) -> fb.Tensor:
    """Put `v` into the rectangle of height `h` and width `w` at row `i`, column `j`."""
    if not isinstance(img, fb.Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out


def gaussian_blur(
    img: Any, kernel_size: int | list[int], sigma: float | Sequence[float] | None = None
) -> Any:
    """Blur; sigma defaults to 0.3 * ((kernel_size - 1) * 0.5 - 1) + 0.8."""
    kernel = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if any(length % 2 == 0 or length < 0 for length in kernel):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {kernel}")
    if sigma is None:
        sigma = [length * 0.15 + 0.35 for length in kernel]
    elif isinstance(sigma, numbers.Number):
        sigma = [float(sigma)] * 2
    else:
        sigma = [float(sigma[0]), float(sigma[-1])]
    if any(value <= 0 for value in sigma):
        raise ValueError(f"sigma should have positive values. Got {sigma}")
    if isinstance(img, fb.Tensor):
        return _on_tensor.gaussian_blur(img, kernel, sigma)
    return to_pil_image(_on_tensor.gaussian_blur(pil_to_tensor(img), kernel, sigma), mode=img.mode)


def invert(img: Any) -> Any:
    """White becomes black."""
    return _ops(img).invert(img)


def _needs_bytes(img: Any) -> None:
    if isinstance(img, fb.Tensor) and img.dtype != fb.uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")


def posterize(img: Any, bits: int) -> Any:
    """Keep the highest bits of each value."""
    if not 0 <= bits <= 8:
        raise ValueError(f"The number if bits should be between 0 and 8. Got {bits}")
    _needs_bytes(img)
    return _ops(img).posterize(img, bits)


def solarize(img: Any, threshold: float) -> Any:
    """Invert the values from a threshold on."""
    return _ops(img).solarize(img, threshold)


def autocontrast(img: Any) -> Any:
    """Stretch each channel so that its darkest value is black and its brightest white."""
    return _ops(img).autocontrast(img)


def equalize(img: Any) -> Any:
    """Spread the values of each channel so that all are equally frequent."""
    _needs_bytes(img)
    return _ops(img).equalize(img)
