"""MNASNet. arXiv:1807.11626"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from ._api import construct, model, published

__all__ = [
    "MNASNet",
    "MNASNet0_5_Weights",
    "MNASNet0_75_Weights",
    "MNASNet1_0_Weights",
    "MNASNet1_3_Weights",
    "mnasnet0_5",
    "mnasnet0_75",
    "mnasnet1_0",
    "mnasnet1_3",
]

MNASNet0_5_Weights = published("MNASNet0_5_Weights", __name__)
MNASNet0_75_Weights = published("MNASNet0_75_Weights", __name__)
MNASNet1_0_Weights = published("MNASNet1_0_Weights", __name__)
MNASNet1_3_Weights = published("MNASNet1_3_Weights", __name__)
_MOMENTUM = 1 - 0.9997  # the paper's decay, as PyTorch counts it
# kernel, stride, expansion, blocks of the six stages
_STAGES = ((3, 2, 3, 3), (5, 2, 3, 3), (5, 2, 6, 3), (3, 1, 6, 2), (5, 2, 6, 4), (3, 1, 6, 1))


class _InvertedResidual(nn.Module):
    """Expand, filter each channel, project back; with a shortcut where the shape allows it."""

    def __init__(
        self,
        in_ch: int,
        out_ch: int,
        kernel_size: int,
        stride: int,
        expansion_factor: int,
        bn_momentum: float = 0.1,
    ) -> None:
        super().__init__()
        if stride not in (1, 2):
            raise ValueError(f"stride should be 1 or 2 instead of {stride}")
        if kernel_size not in (3, 5):
            raise ValueError(f"kernel_size should be 3 or 5 instead of {kernel_size}")
        inner = in_ch * expansion_factor
        self.apply_residual = in_ch == out_ch and stride == 1
        self.layers = nn.Sequential(
            nn.Conv2d(in_ch, inner, 1, bias=False),
            nn.BatchNorm2d(inner, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                inner, inner, kernel_size, padding=kernel_size // 2, stride=stride, groups=inner, bias=False
            ),
            nn.BatchNorm2d(inner, momentum=bn_momentum),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, out_ch, 1, bias=False),
            nn.BatchNorm2d(out_ch, momentum=bn_momentum),
        )

    def forward(self, input: fb.Tensor) -> fb.Tensor:
        return self.layers(input) + input if self.apply_residual else self.layers(input)


def _stack(inputs: int, outputs: int, kernel: int, stride: int, expansion: int, blocks: int) -> nn.Sequential:
    first = _InvertedResidual(inputs, outputs, kernel, stride, expansion, _MOMENTUM)
    rest = [_InvertedResidual(outputs, outputs, kernel, 1, expansion, _MOMENTUM) for _ in range(blocks - 1)]
    return nn.Sequential(first, *rest)


def _depths(alpha: float) -> list[int]:
    """The stem's and the stages' channels: multiples of 8, rounded down only where little is lost."""
    scaled = [width * alpha for width in (32, 16, 24, 40, 80, 96, 192, 320)]
    rounded = [(width, max(8, int(width + 4) // 8 * 8)) for width in scaled]
    return [found if found >= 0.9 * width else found + 8 for width, found in rounded]


class MNASNet(nn.Module):
    """A network found by search for phones; `alpha` scales the width."""

    _version = 2

    def __init__(self, alpha: float, num_classes: int = 1000, dropout: float = 0.2) -> None:
        super().__init__()
        if alpha <= 0.0:
            raise ValueError(f"alpha should be greater than 0.0 instead of {alpha}")
        self.alpha, self.num_classes = alpha, num_classes
        stem, first, *widths = _depths(alpha)
        layers = self._stem(stem, first)
        for inputs, outputs, shape in zip([first, *widths], widths, _STAGES, strict=False):
            layers.append(_stack(inputs, outputs, *shape))
        layers += [
            nn.Conv2d(widths[-1], 1280, 1, padding=0, stride=1, bias=False),
            nn.BatchNorm2d(1280, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
        ]
        self.layers = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(p=dropout, inplace=True), nn.Linear(1280, num_classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.ones_(module.weight)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.Linear):
                nn.init.kaiming_uniform_(module.weight, mode="fan_out", nonlinearity="sigmoid")
                nn.init.zeros_(module.bias)

    @staticmethod
    def _stem(stem: int, first: int) -> list[nn.Module]:
        return [
            nn.Conv2d(3, stem, 3, padding=1, stride=2, bias=False),
            nn.BatchNorm2d(stem, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(stem, stem, 3, padding=1, stride=1, groups=stem, bias=False),
            nn.BatchNorm2d(stem, momentum=_MOMENTUM),
            nn.ReLU(inplace=True),
            nn.Conv2d(stem, first, 1, padding=0, stride=1, bias=False),
            nn.BatchNorm2d(first, momentum=_MOMENTUM),
        ]

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        return self.classifier(self.layers(x).mean([2, 3]))

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, *lists_and_flags: Any
    ) -> None:
        """In files of version 1 `alpha` does not scale the stem and the first stage: build these so."""
        version = local_metadata.get("version")
        if version not in (1, 2):
            raise ValueError(f"version shluld be set to 1 or 2 instead of {version}")
        if version == 1 and self.alpha != 1.0:
            second = _depths(self.alpha)[2]
            for i, layer in enumerate([*self._stem(32, 16), _stack(16, second, *_STAGES[0])]):
                self.layers[i] = layer
            self._version = 1
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *lists_and_flags)


@model(MNASNet0_5_Weights)
def mnasnet0_5(*, weights: MNASNet0_5_Weights | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of 0.5 times the width."""
    return construct(MNASNet, 0.5, weights=weights, progress=progress, **kwargs)


@model(MNASNet0_75_Weights)
def mnasnet0_75(
    *, weights: MNASNet0_75_Weights | None = None, progress: bool = True, **kwargs: Any
) -> MNASNet:
    """MNASNet of 0.75 times the width."""
    return construct(MNASNet, 0.75, weights=weights, progress=progress, **kwargs)


@model(MNASNet1_0_Weights)
def mnasnet1_0(*, weights: MNASNet1_0_Weights | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of 1.0 times the width."""
    return construct(MNASNet, 1.0, weights=weights, progress=progress, **kwargs)


@model(MNASNet1_3_Weights)
def mnasnet1_3(*, weights: MNASNet1_3_Weights | None = None, progress: bool = True, **kwargs: Any) -> MNASNet:
    """MNASNet of 1.3 times the width."""
    return construct(MNASNet, 1.3, weights=weights, progress=progress, **kwargs)
