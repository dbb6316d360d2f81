"""Image networks that only answer: no gradients, statistics as trained."""

from __future__ import annotations

from benchmarks import networks
from benchmarks.workload import workload


def answers(name, make, shape, target=1.1):
    """The forward pass of a network in evaluation mode."""

    @workload("inference", name, target)
    def prepare(torch):
        model, x = make(torch).eval(), torch.rand(shape)

        def work():
            with torch.no_grad():
                return model(x)

        return work


for batch in (1, 8):
    answers(
        f"ResNet-50, {batch}x3x224x224", lambda torch: networks.resnet(torch, 50, 1000), (batch, 3, 224, 224)
    )
    answers(
        f"MobileNetV2, {batch}x3x224x224", lambda torch: networks.mobilenet(torch, 1000), (batch, 3, 224, 224)
    )
