"""Peak resident memory of a fresh process."""

from __future__ import annotations

from benchmarks.workload import workload
from benchmarks.workloads import training_images


@workload("memory", "import alone", measure="bytes")
def imported(torch):
    return lambda: torch.zeros(1)


@workload("memory", "30 operations on 80 MB tensors", measure="bytes")
def large(torch):
    def work():
        x = torch.rand(20_000_000)
        for _ in range(10):
            x = (x * 0.5 + 1.0).sqrt()
        return x

    return work


@workload("memory", "20000 tensors of odd sizes", measure="bytes")
def odd_sizes(torch):
    def work():
        kept = []
        for i in range(20_000):
            kept.append(torch.zeros(1 + i * 7919 % 10_007))
            if len(kept) > 500:
                del kept[i * 31 % 400]
        return len(kept)

    return work


def steps(name, prepare_step, times):
    """Some training steps."""

    @workload("memory", name, measure="bytes")
    def prepare(torch):
        step = prepare_step(torch)

        def work():
            for _ in range(times):
                loss = step()
            return loss

        return work


steps("CNN training steps, batch 32", training_images.cifar, 3)
steps("ResNet-18 training steps, 8x3x64x64", training_images.resnet18, 2)
