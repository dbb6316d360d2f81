"""Parts that networks of several families share."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn

__all__ = ["IntermediateLayerGetter"]


def _make_divisible(v: float, divisor: int, min_value: int | None = None) -> int:
    """The multiple of `divisor` nearest to a number of channels, but not more than a tenth below it."""
    rounded = max(min_value or divisor, int(v + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * v else rounded


def initialize_convolutions(model: nn.Module, linear_std: float | None = None) -> None:
    """He's initialization of convolutions, ones for scales, zeros for shifts. arXiv:1502.01852"""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, nn.Linear) and linear_std is not None:
            nn.init.normal_(module.weight, 0, linear_std)
            nn.init.zeros_(module.bias)


def initialize_truncated(model: nn.Module, std: float) -> None:
    """Normal values cut at ±2 for weights (a module may have its own ``stddev``), ones for scales."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):
            own = float(getattr(module, "stddev", std))
            nn.init.trunc_normal_(module.weight, mean=0.0, std=own, a=-2, b=2)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


def size_changes(features: nn.Sequential) -> list[int]:
    """Where in a MobileNet's features the sizes change: the first layer, each of stride 2, the last."""
    inner = [i for i, block in enumerate(features) if getattr(block, "_is_cn", False)]
    return [0, *inner, len(features) - 1]


def imagenet_to_inception(x: fb.Tensor) -> fb.Tensor:
    """Pictures [N, 3, H, W] normalized by ImageNet's means and deviations, normalized to [-1, 1] instead."""
    means, deviations = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    channels = [
        fb.unsqueeze(x[:, i], 1) * (deviation / 0.5) + (mean - 0.5) / 0.5
        for i, (mean, deviation) in enumerate(zip(means, deviations, strict=True))
    ]
    return fb.cat(channels, 1)


class IntermediateLayerGetter(nn.ModuleDict):
    """The children of a network up to the last wanted one; calling it gives the results of the wanted ones.

    Parameters
    ----------
    model : its children are called in the order they were registered in
    return_layers : the name of a child and the name its result shall have
    """

    def __init__(self, model: nn.Module, return_layers: dict[str, str]) -> None:
        if not set(return_layers).issubset([name for name, _ in model.named_children()]):
            raise ValueError("return_layers are not present in model")
        self.return_layers = {str(name): str(new) for name, new in return_layers.items()}
        wanted, layers = set(self.return_layers), OrderedDict()
        for name, module in model.named_children():
            layers[name] = module
            wanted.discard(name)
            if not wanted:
                break
        returned = self.return_layers
        super().__init__(layers)
        self.return_layers = returned

    def forward(self, x: Any) -> OrderedDict[str, Any]:
        out = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                out[self.return_layers[name]] = x
        return out
