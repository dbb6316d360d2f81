"""Deformable convolution: the kernel's points are moved by learned offsets.

arXiv:1703.06211, arXiv:1811.11168
"""

from __future__ import annotations

import math

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

from ._regions import pair


def _points(length: int, kernel: int, stride: int, padding: int, dilation: int, like: fb.Tensor) -> fb.Tensor:
    """Where the kernel's points lie along one axis: [kernel, length]."""
    start = fb.arange(length, dtype=like.dtype, device=like.device) * stride - padding
    return start[None, :] + (fb.arange(kernel, dtype=like.dtype, device=like.device) * dilation)[:, None]


def deform_conv2d(
    input: fb.Tensor,
    offset: fb.Tensor,
    weight: fb.Tensor,
    bias: fb.Tensor | None = None,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    mask: fb.Tensor | None = None,
) -> fb.Tensor:
    """Convolution whose kernel points are moved by `offset` and weighed by `mask` at each place.

    Parameters
    ----------
    input : [N, C, H, W].
    offset : [N, 2 * groups * kh * kw, oh, ow]: how far down and right, for each group and kernel point.
    weight : [out, C / weight groups, kh, kw].
    mask : [N, groups * kh * kw, oh, ow] or None.
    """
    if not isinstance(weight, fb.Tensor) or weight.dim() != 4:
        raise RuntimeError("deform_conv2d: weight must be a tensor of 4 dimensions")
    (sh, sw), (ph, pw), (dh, dw) = pair(stride), pair(padding), pair(dilation)
    out_channels, depth, kh, kw = weight.shape
    batch, channels, height, width = input.shape
    taps = kh * kw
    groups = offset.shape[1] // (2 * taps)
    if groups == 0:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of "
            "2 * weight.size[2] * weight.size[3].\n"
            f"Got offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]={2 * taps}"
        )
    oh = (height + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    if tuple(offset.shape) != (batch, 2 * groups * taps, oh, ow):
        raise RuntimeError(
            f"offset should have the shape {(batch, 2 * groups * taps, oh, ow)}, got {tuple(offset.shape)}"
        )
    if mask is not None and tuple(mask.shape) != (batch, groups * taps, oh, ow):
        raise RuntimeError(
            f"mask should have the shape {(batch, groups * taps, oh, ow)}, got {tuple(mask.shape)}"
        )
    if channels % groups or channels % depth:
        raise RuntimeError(
            f"{channels} input channels do not make {groups} offset groups and weights of depth {depth}"
        )
    offset = offset.reshape(batch * groups, kh, kw, 2, oh, ow)
    down = _points(oh, kh, sh, ph, dh, input).reshape(1, kh, 1, oh, 1) + offset[:, :, :, 0]
    right = _points(ow, kw, sw, pw, dw, input).reshape(1, 1, kw, 1, ow) + offset[:, :, :, 1]
    grid = fb.stack([(2 * right + 1) / width - 1, (2 * down + 1) / height - 1], dim=-1)
    columns = F.grid_sample(
        input.reshape(batch * groups, channels // groups, height, width),
        grid.reshape(batch * groups, taps * oh, ow, 2),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=False,
    ).reshape(batch, groups, channels // groups, taps, oh * ow)
    if mask is not None:
        columns = columns * mask.reshape(batch, groups, 1, taps, oh * ow)
    weight_groups = channels // depth
    columns = columns.reshape(batch, weight_groups, depth * taps, oh * ow)
    out = fb.matmul(weight.reshape(1, weight_groups, out_channels // weight_groups, depth * taps), columns)
    out = out.reshape(batch, out_channels, oh, ow)
    return out if bias is None else out + bias.reshape(1, -1, 1, 1)


class DeformConv2d(nn.Module):
    """`deform_conv2d` with a weight and a bias of its own."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
        dilation: int = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels, self.out_channels, self.groups = in_channels, out_channels, groups
        self.kernel_size, self.stride = pair(kernel_size), pair(stride)
        self.padding, self.dilation = pair(padding), pair(dilation)
        self.weight = nn.Parameter(fb.empty(out_channels, in_channels // groups, *self.kernel_size))
        if bias:
            self.bias = nn.Parameter(fb.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias from U(-1/sqrt(fan_in), 1/sqrt(fan_in))."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: fb.Tensor, offset: fb.Tensor, mask: fb.Tensor | None = None) -> fb.Tensor:
        return deform_conv2d(
            input, offset, self.weight, self.bias, self.stride, self.padding, self.dilation, mask
        )

    def __repr__(self) -> str:
        text = f"{type(self).__name__}({self.in_channels}, {self.out_channels}"
        text += f", kernel_size={self.kernel_size}, stride={self.stride}"
        if self.padding != (0, 0):
            text += f", padding={self.padding}"
        if self.dilation != (1, 1):
            text += f", dilation={self.dilation}"
        if self.groups != 1:
            text += f", groups={self.groups}"
        return text + (")" if self.bias is not None else ", bias=False)")
