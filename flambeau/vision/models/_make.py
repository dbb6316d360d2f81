"""What the constructors of models share."""

from __future__ import annotations

from typing import Any

from flambeau import nn


def refuse_weights(weights: Any, keywords: dict[str, Any]) -> None:
    """Published weights are not fetched by the constructors; say how to load them."""
    weights = keywords.pop("pretrained", None) or weights
    if weights:
        raise NotImplementedError(
            f"weights={weights!r}: this flambeau does not fetch published weights by name. Parameter names "
            f"are "
            "torchvision's: fetch the .pth file and call model.load_state_dict(flambeau.load(path))."
        )


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
