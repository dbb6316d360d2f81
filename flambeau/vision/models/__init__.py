"""Networks for pictures, with torchvision's parameter names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .alexnet import AlexNet, alexnet
from .lenet import LeNet, lenet
from .mobilenetv2 import MobileNetV2, mobilenet_v2
from .resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
)
from .vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

_ALL = (
    alexnet,
    lenet,
    mobilenet_v2,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    resnext101_64x4d,
    wide_resnet50_2,
    wide_resnet101_2,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
_BUILDERS: dict[str, Callable[..., Any]] = {function.__name__: function for function in _ALL}

__all__ = ["AlexNet", "LeNet", "MobileNetV2", "ResNet", "VGG", "get_model", "list_models", *_BUILDERS]


def list_models() -> list[str]:
    """The names of all models."""
    return sorted(_BUILDERS)


def get_model(name: str, **config: Any) -> Any:
    """A model by its name."""
    if name.lower() not in _BUILDERS:
        raise ValueError(f"Unknown model {name}")
    return _BUILDERS[name.lower()](**config)
