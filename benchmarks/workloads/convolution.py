"""Convolutions, pooling and batch normalisation."""

from __future__ import annotations

from benchmarks.workload import workload


def layer(name, make, shape, target=1.1, *, forward_only=False):
    """A module on random images: forward, or forward and backward."""

    @workload("convolution", name if forward_only else f"{name}, both ways", target)
    def prepare(torch):
        module, x = make(torch.nn), torch.rand(shape)
        if forward_only:

            def forward():
                with torch.no_grad():
                    return module(x)

            return forward
        x.requires_grad_()
        seed = torch.rand_like(module(x).detach())

        def both():
            x.grad = None
            module.zero_grad()
            module(x).backward(seed)
            return [x.grad, *(p.grad for p in module.parameters())]

        return both


for alone in (True, False):
    layer(
        "conv 3x3, 64 to 64, 16x56x56",
        lambda nn: nn.Conv2d(64, 64, 3, padding=1),
        (16, 64, 56, 56),
        forward_only=alone,
    )
    layer(
        "conv 1x1, 256 to 64, 16x28x28",
        lambda nn: nn.Conv2d(256, 64, 1),
        (16, 256, 28, 28),
        forward_only=alone,
    )
    layer(
        "conv 7x7 stride 2, 3 to 64, 8x112x112",
        lambda nn: nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        (8, 3, 112, 112),
        forward_only=alone,
    )
    layer(
        "conv 3x3 stride 2, 128 to 256, 16x28x28",
        lambda nn: nn.Conv2d(128, 256, 3, 2, 1, bias=False),
        (16, 128, 28, 28),
        forward_only=alone,
    )
    layer(
        "conv 3x3, 256 to 256, 16x14x14",
        lambda nn: nn.Conv2d(256, 256, 3, padding=1, bias=False),
        (16, 256, 14, 14),
        forward_only=alone,
    )
    layer(
        "conv 3x3 dilation 2, 64 to 64, 8x48x48",
        lambda nn: nn.Conv2d(64, 64, 3, padding=2, dilation=2),
        (8, 64, 48, 48),
        forward_only=alone,
    )
    layer(
        "conv 3x3, 32 groups of 4, 8x28x28",
        lambda nn: nn.Conv2d(128, 128, 3, padding=1, groups=32),
        (8, 128, 28, 28),
        forward_only=alone,
    )
    layer(
        "conv 9x9, 64 to 3, 2x48x48",
        lambda nn: nn.Conv2d(64, 3, 9, 1, 4),
        (2, 64, 48, 48),
        forward_only=alone,
    )
    layer("conv 5x5, 1 to 6, 64x28x28", lambda nn: nn.Conv2d(1, 6, 5), (64, 1, 28, 28), forward_only=alone)
    layer("conv 5x5, 6 to 16, 64x14x14", lambda nn: nn.Conv2d(6, 16, 5), (64, 6, 14, 14), forward_only=alone)
    layer(
        "depthwise 3x3, 96, 8x56x56",
        lambda nn: nn.Conv2d(96, 96, 3, padding=1, groups=96),
        (8, 96, 56, 56),
        forward_only=alone,
    )
    layer(
        "depthwise 3x3 stride 2, 144, 8x28x28",
        lambda nn: nn.Conv2d(144, 144, 3, 2, 1, groups=144, bias=False),
        (8, 144, 28, 28),
        forward_only=alone,
    )
    layer(
        "conv transposed 4x4 stride 2, 128 to 64, 8x16x16",
        lambda nn: nn.ConvTranspose2d(128, 64, 4, 2, 1),
        (8, 128, 16, 16),
        forward_only=alone,
    )
    layer(
        "conv transposed, 64 to 32, 8x16x16",
        lambda nn: nn.ConvTranspose2d(64, 32, 2, 2),
        (8, 64, 16, 16),
        forward_only=alone,
    )
    layer(
        "conv 1-d, 64 to 64, 16x512",
        lambda nn: nn.Conv1d(64, 64, 3, padding=1),
        (16, 64, 512),
        forward_only=alone,
    )
    layer(
        "conv 1-d 80 stride 16, 1 to 32, 16x8000",
        lambda nn: nn.Conv1d(1, 32, 80, 16),
        (16, 1, 8000),
        forward_only=alone,
    )
    layer("batch norm, 16x64x56x56", lambda nn: nn.BatchNorm2d(64), (16, 64, 56, 56), 3, forward_only=alone)
    layer("max pool 2, 16x64x56x56", lambda nn: nn.MaxPool2d(2), (16, 64, 56, 56), forward_only=alone)
    layer("avg pool 2, 16x64x56x56", lambda nn: nn.AvgPool2d(2), (16, 64, 56, 56), forward_only=alone)
    layer(
        "conv, batch norm, relu, pool, 16x64x56x56",
        lambda nn: nn.Sequential(
            nn.Conv2d(64, 64, 3, padding=1), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2)
        ),
        (16, 64, 56, 56),
        forward_only=alone,
    )
