"""Convolutions of one, two and three dimensions, the usual way and transposed."""

import math
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau._own_methods import own_methods
from flambeau.nn import functional as F
from flambeau.nn import init
from flambeau.nn.common_types import _size_1_t, _size_2_t, _size_3_t, _size_any_t
from flambeau.nn.modules.lazy import LazyModuleMixin
from flambeau.nn.modules.module import Module
from flambeau.nn.modules.utils import _pair, _reverse_repeat_tuple, _single, _triple
from flambeau.nn.parameter import Parameter, UninitializedParameter
from flambeau.types import Device

__all__ = [
    "Conv1d",
    "Conv2d",
    "Conv3d",
    "ConvTranspose1d",
    "ConvTranspose2d",
    "ConvTranspose3d",
    "LazyConv1d",
    "LazyConv2d",
    "LazyConv3d",
    "LazyConvTranspose1d",
    "LazyConvTranspose2d",
    "LazyConvTranspose3d",
]


@own_methods("forward")
class _ConvNd(Module):
    """What all convolutions share: sizes, weight and bias."""

    __constants__ = [
        "stride", "padding", "dilation", "groups", "padding_mode", "output_padding", "in_channels",
        "out_channels", "kernel_size",
    ]  # fmt: skip
    bias: Tensor | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__()
        if groups <= 0:
            raise ValueError("groups must be a positive integer")
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        if isinstance(padding, str):
            valid = {"same", "valid"}
            if padding not in valid:
                raise ValueError(f"Invalid padding string {padding!r}, should be one of {valid}")
            if padding == "same" and any(s != 1 for s in stride):
                raise ValueError("padding='same' is not supported for strided convolutions")
        modes = {"zeros", "reflect", "replicate", "circular"}
        if padding_mode not in modes:
            raise ValueError(f"padding_mode must be one of {modes}, but got padding_mode='{padding_mode}'")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = kernel_size
        self.stride = stride
        self.padding = padding
        self.dilation = dilation
        self.transposed = transposed
        self.output_padding = output_padding
        self.groups = groups
        self.padding_mode = padding_mode
        # padding before and after each dimension, for the padding modes that pad first and then convolve
        if not isinstance(padding, str):
            self._reversed_padding_repeated_twice = _reverse_repeat_tuple(padding, 2)
        else:
            around = [0, 0] * len(kernel_size)
            if padding == "same":
                for d, (step, size) in enumerate(zip(reversed(dilation), reversed(kernel_size), strict=True)):
                    total = step * (size - 1)
                    around[2 * d : 2 * d + 2] = total // 2, total - total // 2
            self._reversed_padding_repeated_twice = around
        shape = (in_channels, out_channels // groups) if transposed else (out_channels, in_channels // groups)
        self.weight = Parameter(fb.empty((*shape, *kernel_size), device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(fb.empty(out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            fan_in, _ = init._calculate_fan_in_and_fan_out(self.weight)
            if fan_in != 0:
                bound = 1 / math.sqrt(fan_in)
                init.uniform_(self.bias, -bound, bound)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        padding: str | tuple[int, ...] | int = self.padding
        if self.padding_mode != "zeros":
            input = F.pad(input, self._reversed_padding_repeated_twice, mode=self.padding_mode)
            padding = 0
        return self._conv(input, weight, bias, self.stride, padding, self.dilation, self.groups)

    def forward(self, input: Tensor) -> Tensor:
        """Convolve an input of shape (N, in_channels, ...) or (in_channels, ...)."""
        return self._conv_forward(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """Channels, sizes and what differs from the defaults."""
        text = (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        )
        zeros, ones = (0,) * len(self.dilation), (1,) * len(self.dilation)
        if self.padding != (0,) * len(self.padding):
            text += f", padding={self.padding}"
        if self.dilation != ones:
            text += f", dilation={self.dilation}"
        if self.output_padding != zeros:
            text += f", output_padding={self.output_padding}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        if self.bias is None:
            text += ", bias=False"
        if self.padding_mode != "zeros":
            text += f", padding_mode={self.padding_mode}"
        return text

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if not hasattr(self, "padding_mode"):
            self.padding_mode = "zeros"


class Conv1d(_ConvNd):
    """Convolution of an input of shape (N, in_channels, L) or (in_channels, L).

    The arguments are those of :class:`Conv2d`, with one size.
    """

    _conv = staticmethod(F.conv1d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _size_1_t,
        stride: _size_1_t = 1,
        padding: str | _size_1_t = 0,
        dilation: _size_1_t = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            _single(kernel_size),
            _single(stride),
            padding if isinstance(padding, str) else _single(padding),
            _single(dilation),
            False,
            _single(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )


class Conv2d(_ConvNd):
    """Convolution of images: a sum over windows of all input channels for each output channel.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels of input and output; both multiples of `groups`.
    kernel_size, stride, padding, dilation : int or tuple of int
        Size of the window, its steps, zeros around the input ("same", "valid": as many as keep the size, or
        none), and the distance of the window's points.
    groups : int
        Input and output channels are divided into this many groups that do not see each other.
    bias : bool
        Whether there is a bias.
    padding_mode : {"zeros", "reflect", "replicate", "circular"}
        What stands around the input.
    device, dtype
        Of weight and bias; the defaults if None.

    The input has shape (N, in_channels, H, W) or (in_channels, H, W), the output (N, out_channels, H', W')
    with ``H' = (H + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1``. The weight has shape
    (out_channels, in_channels / groups, *kernel_size).

    Raises
    ------
    ValueError
        Where channels are no multiples of `groups`, or `padding` or `padding_mode` is not known.
    """

    _conv = staticmethod(F.conv2d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _size_2_t,
        stride: _size_2_t = 1,
        padding: str | _size_2_t = 0,
        dilation: _size_2_t = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels, out_channels, _pair(kernel_size), _pair(stride),
            padding if isinstance(padding, str) else _pair(padding), _pair(dilation), False, _pair(0), groups,
            bias, padding_mode, device, dtype,
        )  # fmt: skip


class Conv3d(_ConvNd):
    """Convolution of an input of shape (N, in_channels, D, H, W) or (in_channels, D, H, W).

    The arguments are those of :class:`Conv2d`, with three sizes.
    """

    _conv = staticmethod(F.conv3d)

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: _size_3_t,
        stride: _size_3_t = 1,
        padding: str | _size_3_t = 0,
        dilation: _size_3_t = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            _triple(kernel_size),
            _triple(stride),
            padding if isinstance(padding, str) else _triple(padding),
            _triple(dilation),
            False,
            _triple(0),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )


@own_methods("forward")
class _ConvTransposeNd(_ConvNd):
    """What transposed convolutions share: the size of their output can be asked for."""

    padding: tuple[int, ...]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, ...],
        stride: tuple[int, ...],
        padding: str | tuple[int, ...],
        dilation: tuple[int, ...],
        transposed: bool,
        output_padding: tuple[int, ...],
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(f'Only "zeros" padding mode is supported for {self.__class__.__name__}')
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            transposed,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _output_padding(
        self,
        input: Tensor,
        output_size: list[int] | None,
        stride: tuple[int, ...],
        padding: tuple[int, ...],
        kernel_size: tuple[int, ...],
        num_spatial_dims: int,
        dilation: tuple[int, ...] | None = None,
    ) -> list[int]:
        if output_size is None:
            return list(_single(self.output_padding))
        has_batch = input.dim() == num_spatial_dims + 2
        extra = 2 if has_batch else 1
        if len(output_size) == extra + num_spatial_dims:
            output_size = output_size[extra:]
        if len(output_size) != num_spatial_dims:
            raise ValueError(
                f"ConvTranspose{num_spatial_dims}D: for {input.dim()}D input, output_size must have "
                f"{num_spatial_dims} or {extra + num_spatial_dims} elements (got {len(output_size)})"
            )
        dilation = (1,) * num_spatial_dims if dilation is None else dilation
        smallest = [
            (input.size(d + extra) - 1) * stride[d] - 2 * padding[d] + dilation[d] * (kernel_size[d] - 1) + 1
            for d in range(num_spatial_dims)
        ]
        largest = [low + stride[d] - 1 for d, low in enumerate(smallest)]
        for size, low, high in zip(output_size, smallest, largest, strict=True):
            if size < low or size > high:
                raise ValueError(
                    f"requested an output size of {output_size}, but valid sizes range from {smallest} to "
                    f"{largest} (for an input of {input.size()[2:]})"
                )
        return [size - low for size, low in zip(output_size, smallest, strict=True)]

    def forward(self, input: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Convolve; `output_size` chooses among the sizes that the stride leaves open."""
        if self.padding_mode != "zeros":
            raise ValueError(f"Only `zeros` padding mode is supported for {type(self).__name__}")
        output_padding = self._output_padding(
            input,
            output_size,
            self.stride,
            self.padding,
            self.kernel_size,
            len(self.kernel_size),
            self.dilation,
        )
        return self._conv(
            input,
            self.weight,
            self.bias,
            self.stride,
            self.padding,
            output_padding,
            self.groups,
            self.dilation,
        )


# the name it had before; some programs still test for it
_ConvTransposeMixin = _ConvTransposeNd


class ConvTranspose1d(_ConvTransposeNd):
    """Transposed convolution of an input of shape (N, in_channels, L) or (in_channels, L).

    The arguments are those of :class:`ConvTranspose2d`, with one size.
    """

    _conv = staticmethod(F.conv_transpose1d)

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: _size_1_t, stride: _size_1_t = 1,
        padding: _size_1_t = 0, output_padding: _size_1_t = 0, groups: int = 1, bias: bool = True,
        dilation: _size_1_t = 1, padding_mode: str = "zeros", device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels,
            out_channels,
            _single(kernel_size),
            _single(stride),
            _single(padding),
            _single(dilation),
            True,
            _single(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )


class ConvTranspose2d(_ConvTransposeNd):
    """Transposed convolution of images: the gradient of :class:`Conv2d` with respect to its input.

    Parameters
    ----------
    in_channels, out_channels : int
        Numbers of channels of input and output; both multiples of `groups`.
    kernel_size, stride, padding, dilation : int or tuple of int
        Those of the convolution; `padding` is what is taken off each side of the output.
    output_padding : int or tuple of int
        Positions added at each dimension's end, less than `stride` or `dilation`.
    groups : int
        Input and output channels are divided into this many groups that do not see each other.
    bias : bool
        Whether there is a bias.
    padding_mode : {"zeros"}
    device, dtype
        Of weight and bias; the defaults if None.

    The input has shape (N, in_channels, H, W) or (in_channels, H, W), the output (N, out_channels, H', W')
    with ``H' = (H - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1``. The
    weight has shape (in_channels, out_channels / groups, *kernel_size).

    Raises
    ------
    ValueError
        Where channels are no multiples of `groups`, or `padding_mode` is not "zeros".
    """

    _conv = staticmethod(F.conv_transpose2d)

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: _size_2_t, stride: _size_2_t = 1,
        padding: _size_2_t = 0, output_padding: _size_2_t = 0, groups: int = 1, bias: bool = True,
        dilation: _size_2_t = 1, padding_mode: str = "zeros", device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels, out_channels, _pair(kernel_size), _pair(stride), _pair(padding), _pair(dilation),
            True, _pair(output_padding), groups, bias, padding_mode, device, dtype,
        )  # fmt: skip


class ConvTranspose3d(_ConvTransposeNd):
    """Transposed convolution of an input of shape (N, in_channels, D, H, W) or (in_channels, D, H, W).

    The arguments are those of :class:`ConvTranspose2d`, with three sizes.
    """

    _conv = staticmethod(F.conv_transpose3d)

    def __init__(
        self, in_channels: int, out_channels: int, kernel_size: _size_3_t, stride: _size_3_t = 1,
        padding: _size_3_t = 0, output_padding: _size_3_t = 0, groups: int = 1, bias: bool = True,
        dilation: _size_3_t = 1, padding_mode: str = "zeros", device: Device = None,
        dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        super().__init__(
            in_channels,
            out_channels,
            _triple(kernel_size),
            _triple(stride),
            _triple(padding),
            _triple(dilation),
            True,
            _triple(output_padding),
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )


# --------------------------------------------------------------------------------------------- lazy


class _LazyConvXdMixin(LazyModuleMixin):
    """Finds out `in_channels` at the first call."""

    def _become_lazy(self, out_channels: int, bias: bool, device: Device, dtype: fb.dtype | None) -> None:
        self.weight = UninitializedParameter(device=device, dtype=dtype)
        self.out_channels = out_channels
        if bias:
            self.bias = UninitializedParameter(device=device, dtype=dtype)

    def reset_parameters(self) -> None:
        """Draw the values, once the shapes are known."""
        if not self.has_uninitialized_params() and self.in_channels != 0:
            super().reset_parameters()

    def initialize_parameters(self, input: Tensor, *args: Any, **kwargs: Any) -> None:
        """Take `in_channels` from `input`."""
        if not self.has_uninitialized_params():
            return
        self.in_channels = self._get_in_channels(input)
        if self.in_channels % self.groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if self.transposed:
            shape = (self.in_channels, self.out_channels // self.groups, *self.kernel_size)
        else:
            shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight.materialize(shape)
        if self.bias is not None:
            self.bias.materialize((self.out_channels,))
        self.reset_parameters()

    def _get_in_channels(self, input: Tensor) -> int:
        spatial = len(self.kernel_size)
        dims = (spatial + 1, spatial + 2)
        if input.dim() not in dims:
            raise RuntimeError(
                f"Expected {dims[0]}D (unbatched) or {dims[1]}D (batched) input to "
                f"{self.__class__.__name__}, but got input of size: {input.shape}"
            )
        return input.shape[1] if input.dim() == dims[1] else input.shape[0]


def _lazy_conv(name: str, base: type, transposed: bool) -> type:
    """The lazy form of a convolution class; only the order of the arguments differs between the two kinds."""
    if transposed:

        def __init__(
            self: _ConvNd, out_channels: int, kernel_size: _size_any_t, stride: _size_any_t = 1,
            padding: _size_any_t = 0, output_padding: _size_any_t = 0, groups: int = 1, bias: bool = True,
            dilation: _size_any_t = 1, padding_mode: str = "zeros", device: Device = None,
            dtype: fb.dtype | None = None,
        ) -> None:  # fmt: skip
            super(made, self).__init__(
                0,
                0,
                kernel_size,
                stride,
                padding,
                output_padding,
                groups,
                False,
                dilation,
                padding_mode,
                device,
                dtype,
            )
            self._become_lazy(out_channels, bias, device, dtype)

    else:

        def __init__(
            self: _ConvNd, out_channels: int, kernel_size: _size_any_t, stride: _size_any_t = 1,
            padding: _size_any_t = 0, dilation: _size_any_t = 1, groups: int = 1, bias: bool = True,
            padding_mode: str = "zeros", device: Device = None, dtype: fb.dtype | None = None,
        ) -> None:  # fmt: skip
            super(made, self).__init__(
                0, 0, kernel_size, stride, padding, dilation, groups, False, padding_mode, device, dtype
            )
            self._become_lazy(out_channels, bias, device, dtype)

    __init__.__qualname__ = f"{name}.__init__"
    doc = f"A :class:`{base.__name__}` that finds out `in_channels` at its first call."
    members = {"__init__": __init__, "__doc__": doc, "__module__": __name__, "cls_to_become": base}
    made = type(name, (_LazyConvXdMixin, base), members)
    return made


LazyConv1d = _lazy_conv("LazyConv1d", Conv1d, transposed=False)
LazyConv2d = _lazy_conv("LazyConv2d", Conv2d, transposed=False)
LazyConv3d = _lazy_conv("LazyConv3d", Conv3d, transposed=False)
LazyConvTranspose1d = _lazy_conv("LazyConvTranspose1d", ConvTranspose1d, transposed=True)
LazyConvTranspose2d = _lazy_conv("LazyConvTranspose2d", ConvTranspose2d, transposed=True)
LazyConvTranspose3d = _lazy_conv("LazyConvTranspose3d", ConvTranspose3d, transposed=True)
