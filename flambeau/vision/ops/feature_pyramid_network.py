"""Feature pyramids. arXiv:1612.03144"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

from .misc import Conv2dNormActivation


class ExtraFPNBlock(nn.Module):
    """Base of what adds levels to a pyramid."""

    def forward(
        self, results: list[fb.Tensor], x: list[fb.Tensor], names: list[str]
    ) -> tuple[list[fb.Tensor], list[str]]:
        """Results and names of the levels, with the further ones; `x` are the maps that came in."""
        raise NotImplementedError(f"{type(self).__name__} must say in forward which levels it adds")


class FeaturePyramidNetwork(nn.Module):
    """Feature maps of several resolutions, all made `out_channels` deep, each told of the coarser ones.

    Takes and gives an OrderedDict of maps, the finest first.
    """

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if 0 in in_channels_list:
            raise ValueError("in_channels=0 is currently not supported")
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}")

        def block(channels: int, kernel: int) -> nn.Module:
            return Conv2dNormActivation(
                channels,
                out_channels,
                kernel_size=kernel,
                padding=kernel // 2,
                norm_layer=norm_layer,
                activation_layer=None,
            )

        self.inner_blocks = nn.ModuleList()
        self.layer_blocks = nn.ModuleList()
        for channels in in_channels_list:
            self.inner_blocks.append(block(channels, 1))
            self.layer_blocks.append(block(out_channels, 3))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    nn.init.constant_(module.bias, 0)
        self.extra_blocks = extra_blocks

    def forward(self, x: dict[str, fb.Tensor]) -> dict[str, fb.Tensor]:
        names, maps = list(x.keys()), list(x.values())
        last = self.inner_blocks[-1](maps[-1])
        results = [self.layer_blocks[-1](last)]
        for level in range(len(maps) - 2, -1, -1):
            lateral = self.inner_blocks[level](maps[level])
            last = lateral + F.interpolate(last, size=lateral.shape[-2:], mode="nearest")
            results.insert(0, self.layer_blocks[level](last))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


class LastLevelMaxPool(ExtraFPNBlock):
    """A level of half the resolution, by taking every second point of the coarsest."""

    def forward(
        self, results: list[fb.Tensor], x: list[fb.Tensor], names: list[str]
    ) -> tuple[list[fb.Tensor], list[str]]:
        return [*results, F.max_pool2d(results[-1], kernel_size=1, stride=2, padding=0)], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """The two further levels of RetinaNet. arXiv:1708.02002"""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = nn.Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = nn.Conv2d(out_channels, out_channels, 3, 2, 1)
        for module in (self.p6, self.p7):
            nn.init.kaiming_uniform_(module.weight, a=1)
            nn.init.constant_(module.bias, 0)
        self.use_P5 = in_channels == out_channels

    def forward(
        self, p: list[fb.Tensor], c: list[fb.Tensor], names: list[str]
    ) -> tuple[list[fb.Tensor], list[str]]:
        p6 = self.p6(p[-1] if self.use_P5 else c[-1])
        return [*p, p6, self.p7(F.relu(p6))], [*names, "p6", "p7"]
