"""Densely connected networks. arXiv:1608.06993"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.utils.checkpoint import checkpoint

from ._api import WeightsEnum, model, published, require

__all__ = [
    "DenseNet",
    "DenseNet121_Weights",
    "DenseNet161_Weights",
    "DenseNet169_Weights",
    "DenseNet201_Weights",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
]

DenseNet121_Weights = published("DenseNet121_Weights", __name__)
DenseNet161_Weights = published("DenseNet161_Weights", __name__)
DenseNet169_Weights = published("DenseNet169_Weights", __name__)
DenseNet201_Weights = published("DenseNet201_Weights", __name__)


class _DenseLayer(nn.Module):
    """A 1 × 1 and a 3 × 3 convolution, each after normalization and ReLU, of all maps made so far."""

    def __init__(
        self,
        num_input_features: int,
        growth_rate: int,
        bn_size: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        inner = bn_size * growth_rate
        self.norm1 = nn.BatchNorm2d(num_input_features)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(num_input_features, inner, kernel_size=1, stride=1, bias=False)
        self.norm2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(inner, growth_rate, kernel_size=3, stride=1, padding=1, bias=False)
        self.drop_rate = float(drop_rate)
        self.memory_efficient = memory_efficient

    def bn_function(self, inputs: list[fb.Tensor]) -> fb.Tensor:
        """The narrow maps that the 3 × 3 convolution sees."""
        return self.conv1(self.relu1(self.norm1(fb.cat(inputs, 1))))

    def forward(self, input: fb.Tensor | list[fb.Tensor]) -> fb.Tensor:
        inputs = [input] if isinstance(input, fb.Tensor) else input
        if self.memory_efficient and any(tensor.requires_grad for tensor in inputs):
            narrow = checkpoint(lambda *parts: self.bn_function(list(parts)), *inputs, use_reentrant=False)
        else:
            narrow = self.bn_function(inputs)
        new = self.conv2(self.relu2(self.norm2(narrow)))
        return (
            nn.functional.dropout(new, p=self.drop_rate, training=self.training)
            if self.drop_rate > 0
            else new
        )


class _DenseBlock(nn.ModuleDict):
    """Layers of which each sees the maps of all before it."""

    def __init__(
        self,
        num_layers: int,
        num_input_features: int,
        bn_size: int,
        growth_rate: int,
        drop_rate: float,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        for i in range(num_layers):
            inputs = num_input_features + i * growth_rate
            self[f"denselayer{i + 1}"] = _DenseLayer(
                inputs, growth_rate, bn_size, drop_rate, memory_efficient
            )

    def forward(self, init_features: fb.Tensor) -> fb.Tensor:
        features = [init_features]
        for layer in self.values():
            features.append(layer(features))
        return fb.cat(features, 1)


class _Transition(nn.Sequential):
    """Fewer and smaller maps between two blocks."""

    def __init__(self, num_input_features: int, num_output_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(num_input_features)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(num_input_features, num_output_features, kernel_size=1, stride=1, bias=False)
        self.pool = nn.AvgPool2d(kernel_size=2, stride=2)


class DenseNet(nn.Module):
    """Blocks of layers that each add `growth_rate` maps to all the maps before them.

    Parameters
    ----------
    growth_rate : maps that a layer adds
    block_config : layers of each block
    num_init_features : maps of the first convolution
    bn_size : the inner convolution of a layer makes ``bn_size * growth_rate`` maps
    memory_efficient : compute the inner maps again in backward
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: tuple[int, int, int, int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0,
        num_classes: int = 1000,
        memory_efficient: bool = False,
    ) -> None:
        super().__init__()
        width = num_init_features
        features: OrderedDict[str, nn.Module] = OrderedDict(
            conv0=nn.Conv2d(3, width, kernel_size=7, stride=2, padding=3, bias=False),
            norm0=nn.BatchNorm2d(width),
            relu0=nn.ReLU(inplace=True),
            pool0=nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        for i, layers in enumerate(block_config, 1):
            features[f"denseblock{i}"] = _DenseBlock(
                layers, width, bn_size, growth_rate, drop_rate, memory_efficient
            )
            width += layers * growth_rate
            if i < len(block_config):
                features[f"transition{i}"] = _Transition(width, width // 2)
                width //= 2
        features["norm5"] = nn.BatchNorm2d(width)
        self.features = nn.Sequential(features)
        self.classifier = nn.Linear(width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = nn.functional.relu(self.features(x), inplace=True)
        return self.classifier(fb.flatten(nn.functional.adaptive_avg_pool2d(x, (1, 1)), 1))


_OLD_NAME = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")  # in the published files


def _densenet(
    growth_rate: int,
    block_config: tuple[int, int, int, int],
    num_init_features: int,
    weights: WeightsEnum | None,
    progress: bool,
    **kwargs: Any,
) -> DenseNet:
    if weights is not None:
        require(kwargs, "num_classes", len(weights.meta["categories"]))
    network = DenseNet(growth_rate, block_config, num_init_features, **kwargs)
    if weights is not None:
        state = weights.get_state_dict(progress=progress, check_hash=True)
        network.load_state_dict({_OLD_NAME.sub(r"\1\2.", name): value for name, value in state.items()})
    return network


@model(DenseNet121_Weights)
def densenet121(
    *, weights: DenseNet121_Weights | None = None, progress: bool = True, **kwargs: Any
) -> DenseNet:
    """DenseNet-121."""
    return _densenet(32, (6, 12, 24, 16), 64, weights, progress, **kwargs)


@model(DenseNet161_Weights)
def densenet161(
    *, weights: DenseNet161_Weights | None = None, progress: bool = True, **kwargs: Any
) -> DenseNet:
    """DenseNet-161."""
    return _densenet(48, (6, 12, 36, 24), 96, weights, progress, **kwargs)


@model(DenseNet169_Weights)
def densenet169(
    *, weights: DenseNet169_Weights | None = None, progress: bool = True, **kwargs: Any
) -> DenseNet:
    """DenseNet-169."""
    return _densenet(32, (6, 12, 32, 32), 64, weights, progress, **kwargs)


@model(DenseNet201_Weights)
def densenet201(
    *, weights: DenseNet201_Weights | None = None, progress: bool = True, **kwargs: Any
) -> DenseNet:
    """DenseNet-201."""
    return _densenet(32, (6, 12, 48, 32), 64, weights, progress, **kwargs)
