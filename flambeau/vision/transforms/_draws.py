"""What random transforms draw from the default generator, in the order that torchvision's draw it; and the
arguments they check. Both generations of transforms use these.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Sequence
from typing import Any

import flambeau as fb

ONE_OR_TWO = "Please provide only two dimensions (h, w) for size."


def two(size: Any, message: str = ONE_OR_TWO) -> tuple[int, int]:
    """Height and width, from one number or two."""
    if isinstance(size, numbers.Number):
        return int(size), int(size)
    if isinstance(size, Sequence) and len(size) == 1:
        return size[0], size[0]
    if len(size) != 2:
        raise ValueError(message)
    return tuple(size)


def angles(value: Any, name: str, sizes: tuple[int, ...] = (2,)) -> list[float]:
    """A range: a number v means -v to v."""
    if isinstance(value, numbers.Number):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return [0.0 - float(value), float(value)]
    length = " or ".join(str(size) for size in sizes)
    if not isinstance(value, Sequence):
        raise TypeError(f"{name} should be a sequence of length {length}.")
    if len(value) not in sizes:
        raise ValueError(f"{name} should be a sequence of length {length}.")
    return [float(part) for part in value]


def factors(
    value: Any, name: str, centre: float = 1, bound: tuple[float, float] = (0, float("inf"))
) -> tuple[float, float] | None:
    """A range of factors about `centre`; None if it is `centre` alone."""
    if isinstance(value, numbers.Number):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        low, high = centre - float(value), centre + float(value)
        low = max(low, 0.0) if centre else low
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        low, high = float(value[0]), float(value[1])
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
    if not bound[0] <= low <= high <= bound[1]:
        raise ValueError(f"{name} values should be between {bound}, but got {[low, high]}.")
    return None if low == high == centre else (low, high)


def affine_ranges(
    degrees: Any, translate: Any, scale: Any, shear: Any
) -> tuple[list[float], Any, Any, list[float] | None]:
    """The checked arguments of RandomAffine."""
    degrees = angles(degrees, "degrees")
    for name, value in (("translate", translate), ("scale", scale)):
        if value is not None and not isinstance(value, Sequence):
            raise TypeError(f"{name} should be a sequence of length 2.")
        if value is not None and len(value) != 2:
            raise ValueError(f"{name} should be a sequence of length 2.")
    if translate is not None and not all(0.0 <= part <= 1.0 for part in translate):
        raise ValueError("translation values should be between 0 and 1")
    if scale is not None and not all(part > 0 for part in scale):
        raise ValueError("scale values should be positive")
    return degrees, translate, scale, None if shear is None else angles(shear, "shear", (2, 4))


def blur_arguments(kernel_size: Any, sigma: Any) -> tuple[tuple[int, int], tuple[float, float]]:
    """The checked arguments of GaussianBlur."""
    kernel = two(kernel_size, "Kernel size should be a tuple/list of two integers")
    if any(length <= 0 or length % 2 == 0 for length in kernel):
        raise ValueError("Kernel size value should be an odd and positive number.")
    if isinstance(sigma, numbers.Number):
        if sigma <= 0:
            raise ValueError("If sigma is a single number, it must be positive.")
        return kernel, (sigma, sigma)
    if not isinstance(sigma, Sequence) or len(sigma) != 2:
        raise ValueError("sigma should be a single number or a list/tuple with length 2.")
    if not 0.0 < sigma[0] <= sigma[1]:
        raise ValueError("sigma values should be positive and of the form (min, max).")
    return kernel, tuple(sigma)


def erasing_arguments(p: float, scale: Any, ratio: Any, value: Any) -> None:
    """Check the arguments of RandomErasing."""
    if not isinstance(value, (numbers.Number, str, tuple, list)):
        raise TypeError("Argument value should be either a number or str or a sequence")
    if isinstance(value, str) and value != "random":
        raise ValueError("If value is str, it should be 'random'")
    if not isinstance(scale, Sequence):
        raise TypeError("Scale should be a sequence")
    if not isinstance(ratio, Sequence):
        raise TypeError("Ratio should be a sequence")
    if scale[0] < 0 or scale[1] > 1:
        raise ValueError("Scale should be between 0 and 1")
    if p < 0 or p > 1:
        raise ValueError("Random erasing probability should be between 0 and 1")


def alpha_and_sigma(value: Any, name: str) -> list[float]:
    """An argument of ElasticTransform: one number for both directions, or two."""
    if not isinstance(value, (numbers.Number, Sequence)):
        raise TypeError(f"{name} should be a number or a sequence of numbers. Got {type(value)}")
    if isinstance(value, Sequence) and len(value) not in (1, 2):
        raise ValueError(f"{name} is a sequence its length should be 1 or 2. Got {len(value)}")
    parts = [value] if isinstance(value, numbers.Number) else list(value)
    for part in parts:
        if not isinstance(part, (int, float)):
            raise TypeError(f"{name} should be a sequence of numbers. Got {type(part)}")
    return [float(parts[0]), float(parts[-1])]


def uniform(low: float, high: float) -> float:
    """A random number from a range."""
    return float(fb.empty(1).uniform_(float(low), float(high)).item())


def integer(low: int, high: int) -> int:
    """A random integer from `low` to before `high`."""
    return int(fb.randint(low, high, size=(1,)).item())


def area_and_shape(
    rows: int, columns: int, scale: Sequence[float], log_ratio: fb.Tensor
) -> tuple[float, float]:
    """Sides whose product is a random part of the area and whose quotient is random: √(a·r), √(a/r)."""
    area = rows * columns * uniform(*scale)
    aspect = fb.exp(fb.empty(1).uniform_(log_ratio[0].item(), log_ratio[1].item())).item()
    return round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))


def resized_crop_box(
    rows: int, columns: int, scale: Sequence[float], ratio: Sequence[float]
) -> tuple[int, int, int, int]:
    """Top, left, height and width of a part of random area and shape; the middle when ten tries fail."""
    log_ratio = fb.log(fb.tensor(ratio))
    for _ in range(10):
        width, height = area_and_shape(rows, columns, scale, log_ratio)
        if 0 < width <= columns and 0 < height <= rows:
            top = integer(0, rows - height + 1)
            return top, integer(0, columns - width + 1), height, width
    shape = columns / rows
    if shape < min(ratio):
        width, height = columns, round(columns / min(ratio))
    elif shape > max(ratio):
        width, height = round(rows * max(ratio)), rows
    else:
        width, height = columns, rows
    return (rows - height) // 2, (columns - width) // 2, height, width


def erasing_box(
    channels: int,
    rows: int,
    columns: int,
    scale: Sequence[float],
    ratio: Sequence[float],
    value: Sequence[float] | None,
) -> tuple[int, int, int, int, fb.Tensor] | None:
    """Top, left, height, width and content of a rectangle; None when ten tries fail."""
    log_ratio = fb.log(fb.tensor(ratio))
    for _ in range(10):
        height, width = area_and_shape(rows, columns, scale, log_ratio)
        if not (height < rows and width < columns):
            continue
        if value is None:
            content = fb.empty([channels, height, width], dtype=fb.float32).normal_()
        else:
            content = fb.tensor(value)[:, None, None]
        top = integer(0, rows - height + 1)
        return top, integer(0, columns - width + 1), height, width, content
    return None


def affine_params(
    degrees: Sequence[float], translate: Any, scale: Any, shear: Any, size: Sequence[int]
) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
    """Angle, shift, scale and shear for a picture of size (width, height)."""
    angle = uniform(*degrees)
    moved = (0, 0)
    if translate is not None:
        width, height = float(translate[0] * size[0]), float(translate[1] * size[1])
        x = round(uniform(-width, width))
        moved = (x, round(uniform(-height, height)))
    factor = 1.0 if scale is None else uniform(*scale)
    tilt = (0.0, 0.0)
    if shear is not None:
        x_shear = uniform(shear[0], shear[1])
        tilt = (x_shear, uniform(shear[2], shear[3]) if len(shear) == 4 else 0.0)
    return angle, moved, factor, tilt


def perspective_points(width: int, height: int, distortion: float) -> tuple[list, list]:
    """The corners, from top left clockwise, and where they go."""
    across, down = int(distortion * (width // 2)) + 1, int(distortion * (height // 2)) + 1
    ends = [
        [integer(0, across), integer(0, down)],
        [integer(width - across, width), integer(0, down)],
        [integer(width - across, width), integer(height - down, height)],
        [integer(0, across), integer(height - down, height)],
    ]
    return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], ends


def elastic_displacement(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> fb.Tensor:
    """How far each pixel of a picture (height, width) moves: [1, H, W, 2]; the picture is 2 wide."""
    from ._on_tensor import gaussian_blur

    shifts = []
    for axis in (0, 1):
        shift = fb.rand([1, 1, *size]) * 2 - 1
        if sigma[axis] > 0.0:
            length = int(8 * sigma[axis] + 1)
            length += length % 2 == 0
            shift = gaussian_blur(shift, [length, length], list(sigma))
        shifts.append(shift * alpha[axis] / size[1 - axis])
    return fb.cat(shifts, 1).permute([0, 2, 3, 1])
