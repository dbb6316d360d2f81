"""Pooling layers."""

from typing import Any

from flambeau import Tensor
from flambeau._own_methods import own_methods
from flambeau.nn import functional as F
from flambeau.nn.common_types import _ratio_any_t, _size_any_opt_t, _size_any_t
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.utils import _pair, _single, _triple

__all__ = [
    "MaxPool1d",
    "MaxPool2d",
    "MaxPool3d",
    "MaxUnpool1d",
    "MaxUnpool2d",
    "MaxUnpool3d",
    "AvgPool1d",
    "AvgPool2d",
    "AvgPool3d",
    "FractionalMaxPool2d",
    "FractionalMaxPool3d",
    "LPPool1d",
    "LPPool2d",
    "LPPool3d",
    "AdaptiveMaxPool1d",
    "AdaptiveMaxPool2d",
    "AdaptiveMaxPool3d",
    "AdaptiveAvgPool1d",
    "AdaptiveAvgPool2d",
    "AdaptiveAvgPool3d",
]


@own_methods("forward")
class _MaxPoolNd(Module):
    """What max pooling of all numbers of dimensions shares."""

    __constants__ = ["kernel_size", "stride", "padding", "dilation", "return_indices", "ceil_mode"]

    def __init__(
        self, kernel_size: _size_any_t, stride: _size_any_t | None = None, padding: _size_any_t = 0,
        dilation: _size_any_t = 1, return_indices: bool = False, ceil_mode: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor):
        """Pool the last dimensions."""
        return self._pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            self.ceil_mode,
            self.return_indices,
        )

    def extra_repr(self) -> str:
        """All sizes."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPoolNd):
    """Maxima of windows of an input of shape (N, C, L) or (C, L); see :class:`MaxPool2d`."""

    _pool = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPoolNd):
    """Maxima of windows of an input of shape (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    kernel_size, stride, padding, dilation : int or tuple of int
        Size of the window, its steps (default: its size), padding with -inf, distance of its points.
    return_indices : bool
        Also give where the maxima were (int64, places in the flattened image), for :class:`MaxUnpool2d`.
    ceil_mode : bool
        Let the last window reach over the edge.

    The output has height ``(H + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``, rounded up
    with `ceil_mode`.
    """

    _pool = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPoolNd):
    """Maxima of windows of an input of shape (N, C, D, H, W) or (C, D, H, W); see :class:`MaxPool2d`."""

    _pool = staticmethod(F.max_pool3d)


@own_methods("__init__", "forward")
class _MaxUnpoolNd(Module):
    """Puts maxima back to where they were found; zeros elsewhere."""

    def __init__(
        self, kernel_size: _size_any_t, stride: _size_any_t | None = None, padding: _size_any_t = 0
    ) -> None:
        super().__init__()
        self.kernel_size = self._sizes(kernel_size)
        self.stride = self._sizes(stride if stride is not None else kernel_size)
        self.padding = self._sizes(padding)

    def forward(self, input: Tensor, indices: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Unpool maxima `input` with their `indices`; `output_size` chooses among the possible sizes."""
        return self._unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        """All sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpoolNd):
    """Puts maxima of an input of shape (N, C, L) back to their places; see :class:`MaxUnpool2d`."""

    _sizes, _unpool = staticmethod(_single), staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpoolNd):
    """Puts maxima of shape (N, C, H, W) back to where :class:`MaxPool2d` found them; zeros elsewhere.

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        Those of the pooling.

    The output has height ``(H - 1) * stride - 2 * padding + kernel_size`` unless the call gives its size.
    """

    _sizes, _unpool = staticmethod(_pair), staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpoolNd):
    """Puts maxima of an input of shape (N, C, D, H, W) back to their places; see :class:`MaxUnpool2d`."""

    _sizes, _unpool = staticmethod(_triple), staticmethod(F.max_unpool3d)


class _AvgPoolNd(Module):
    """What average pooling of all numbers of dimensions shares."""

    __constants__ = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]

    def extra_repr(self) -> str:
        """Sizes."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool1d(_AvgPoolNd):
    """Means of windows of an input of shape (N, C, L); see :class:`AvgPool2d` for the arguments."""

    def __init__(
        self,
        kernel_size: _size_any_t,
        stride: _size_any_t | None = None,
        padding: _size_any_t = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = _single(kernel_size)
        self.stride = _single(stride if stride is not None else kernel_size)
        self.padding = _single(padding)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Tensor) -> Tensor:
        """Pool the last dimension."""
        return F.avg_pool1d(
            input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )


@own_methods("__init__", "forward")
class _AvgPoolWithDivisor(_AvgPoolNd):
    __constants__ = [*_AvgPoolNd.__constants__, "divisor_override"]

    def __init__(
        self, kernel_size: _size_any_t, stride: _size_any_t | None = None, padding: _size_any_t = 0,
        ceil_mode: bool = False, count_include_pad: bool = True, divisor_override: int | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = stride if stride is not None else kernel_size
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def forward(self, input: Tensor) -> Tensor:
        """Pool the last dimensions."""
        return self._pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for name, value in (("padding", 0), ("ceil_mode", False), ("count_include_pad", True)):
            self.__dict__.setdefault(name, value)


class AvgPool2d(_AvgPoolWithDivisor):
    """Means of windows of an input of shape (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    kernel_size, stride, padding : int or tuple of int
        Size of the window, its steps (default: its size), zeros around the input.
    ceil_mode : bool
        Let the last window reach over the edge.
    count_include_pad : bool
        Whether the padding counts in the mean.
    divisor_override : int, optional
        Divide by this instead of the size of the window.

    The output has height ``(H + 2 * padding - kernel_size) // stride + 1``, rounded up with `ceil_mode`.
    """

    _pool = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPoolWithDivisor):
    """Means of windows of an input of shape (N, C, D, H, W) or (C, D, H, W); see :class:`AvgPool2d`."""

    _pool = staticmethod(F.avg_pool3d)


@own_methods("__init__", "forward")
class _FractionalMaxPoolNd(Module):
    """What fractional max pooling of all numbers of dimensions shares."""

    __constants__ = ["kernel_size", "return_indices", "output_size", "output_ratio"]

    def __init__(
        self,
        kernel_size: _size_any_t,
        output_size: _size_any_t | None = None,
        output_ratio: _ratio_any_t | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ) -> None:
        super().__init__()
        self._check_kernel(kernel_size)
        self.kernel_size = self._sizes(kernel_size)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = self._sizes(output_size) if output_size is not None else None
        self.output_ratio = self._sizes(output_ratio) if output_ratio is not None else None
        if output_size is None and output_ratio is None:
            raise ValueError(
                f"{type(self).__name__} requires specifying either an output size, or a pooling ratio"
            )
        if output_size is not None and output_ratio is not None:
            raise ValueError("only one of output_size and output_ratio may be specified")
        if self.output_ratio is not None and not all(0 < r < 1 for r in self.output_ratio):
            raise ValueError(f"output_ratio must be between 0 and 1 (got {output_ratio})")

    def _check_kernel(self, kernel_size: _size_any_t) -> None:
        """Refuse sizes of windows that cannot be."""

    def forward(self, input: Tensor):
        """Pool the last dimensions."""
        return self._pool(
            input,
            self.kernel_size,
            self.output_size,
            self.output_ratio,
            self.return_indices,
            _random_samples=self._random_samples,
        )


class FractionalMaxPool2d(_FractionalMaxPoolNd):
    """Maxima of windows at random steps in an input of shape (N, C, H, W) or (C, H, W) (Graham 2014).

    Parameters
    ----------
    kernel_size : int or tuple of int
    output_size, output_ratio : number or tuple
        The size of the output, or its ratio (in (0, 1)) to that of the input: one of them.
    return_indices : bool
        Also give where the maxima were.

    Raises
    ------
    ValueError
        Where none or both of `output_size` and `output_ratio` are given, or a ratio is not in (0, 1).
    """

    _sizes, _pool = staticmethod(_pair), staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPoolNd):
    """Maxima of windows at random steps in an input of shape (N, C, D, H, W) or (C, D, H, W).

    The arguments are those of :class:`FractionalMaxPool2d`.
    """

    _sizes, _pool = staticmethod(_triple), staticmethod(F.fractional_max_pool3d)

    def _check_kernel(self, kernel_size: _size_any_t) -> None:
        sizes = (kernel_size,) if isinstance(kernel_size, int) else kernel_size
        if isinstance(sizes, (tuple, list)) and any(size <= 0 for size in sizes):
            raise ValueError(f"kernel_size must be greater than 0, but got {kernel_size}")


@own_methods("forward")
class _LPPoolNd(Module):
    """`norm_type`-norms of windows."""

    __constants__ = ["norm_type", "kernel_size", "stride", "ceil_mode"]

    def __init__(
        self,
        norm_type: float,
        kernel_size: _size_any_t,
        stride: _size_any_t | None = None,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def forward(self, input: Tensor) -> Tensor:
        """Pool the last dimensions."""
        return self._pool(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        """Norm and sizes."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPoolNd):
    """`norm_type`-norms of windows of an input of shape (N, C, L) or (C, L); see :class:`LPPool2d`."""

    _pool = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPoolNd):
    """`norm_type`-norms of windows of an input of shape (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    norm_type : float
        The p of ``sum(x ** p) ** (1 / p)``; infinity gives the maximum.
    kernel_size, stride : int or tuple of int
        Size of the window, its steps (default: its size).
    ceil_mode : bool
        Let the last window reach over the edge.
    """

    _pool = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPoolNd):
    """`norm_type`-norms of windows of an input of shape (N, C, D, H, W) or (C, D, H, W).

    The arguments are those of :class:`LPPool2d`.
    """

    _pool = staticmethod(F.lp_pool3d)


@own_methods("forward")
class _AdaptiveMaxPoolNd(Module):
    """Maxima of as many windows as make a result of `output_size`."""

    __constants__ = ["output_size", "return_indices"]

    def __init__(self, output_size: _size_any_opt_t, return_indices: bool = False) -> None:
        super().__init__()
        self.output_size = output_size
        self.return_indices = return_indices

    def forward(self, input: Tensor):
        """Pool the last dimensions."""
        return self._pool(input, self.output_size, self.return_indices)

    def extra_repr(self) -> str:
        """The size."""
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPoolNd):
    """Maxima of as many windows as are asked for, of an input of shape (N, C, L) or (C, L).

    The arguments are those of :class:`AdaptiveMaxPool2d`.
    """

    _pool = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPoolNd):
    """Maxima of as many windows as give (N, C, *output_size) of an input (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    output_size : int, None or a pair of them
        Height and width of the output; None keeps that of the input.
    return_indices : bool
        Also give where the maxima were.
    """

    _pool = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPoolNd):
    """Maxima of as many windows as are asked for, of an input of shape (N, C, D, H, W) or (C, D, H, W).

    The arguments are those of :class:`AdaptiveMaxPool2d`.
    """

    _pool = staticmethod(F.adaptive_max_pool3d)


@own_methods("forward")
class _AdaptiveAvgPoolNd(Module):
    """Means of as many windows as make a result of `output_size`; None keeps the size of the input."""

    __constants__ = ["output_size"]

    def __init__(self, output_size: _size_any_opt_t) -> None:
        super().__init__()
        self.output_size = output_size

    def forward(self, input: Tensor) -> Tensor:
        """Pool the last dimensions."""
        return self._pool(input, self.output_size)

    def extra_repr(self) -> str:
        """The size."""
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPoolNd):
    """Means of as many windows as are asked for, of an input of shape (N, C, L) or (C, L).

    The arguments are those of :class:`AdaptiveAvgPool2d`.
    """

    _pool = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPoolNd):
    """Means of as many windows as give (N, C, *output_size) of an input (N, C, H, W) or (C, H, W).

    Parameters
    ----------
    output_size : int, None or a pair of them
        Height and width of the output; None keeps that of the input.
    """

    _pool = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPoolNd):
    """Means of as many windows as are asked for, of an input of shape (N, C, D, H, W) or (C, D, H, W).

    The arguments are those of :class:`AdaptiveAvgPool2d`.
    """

    _pool = staticmethod(F.adaptive_avg_pool3d)
