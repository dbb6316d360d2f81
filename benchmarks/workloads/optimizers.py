"""Optimizer steps alone."""

from __future__ import annotations

from benchmarks.workload import workload


def step(name, kind, shapes, target, tolerance=1e-3, **settings):
    """Steps of one optimizer over parameters of some shapes."""

    @workload("optimizers", name, target, tolerance=tolerance)
    def prepare(torch):
        parameters = [torch.rand(s, requires_grad=True) for s in shapes]
        for p in parameters:
            p.grad = torch.rand_like(p)
        optimizer = getattr(torch.optim, kind)(parameters, **settings)

        def work():
            optimizer.step()
            return parameters[0]

        return work


TINY = [(10,), (10, 10)] * 30
step("SGD, 60 small tensors", "SGD", TINY, 4, lr=1e-3)
step("SGD with momentum, 60 small tensors", "SGD", TINY, 4, lr=1e-3, momentum=0.9)
step("Adam, 60 small tensors", "Adam", TINY, 10)
step("AdamW, 60 small tensors", "AdamW", TINY, 10)
step("RMSprop, 60 small tensors", "RMSprop", TINY, 4)
OTHERS = ("Adadelta", "Adagrad", "Adamax", "NAdam", "RAdam", "Rprop", "ASGD", "Adafactor")
for kind in OTHERS:
    step(f"{kind}, 60 small tensors", kind, TINY, 2)
    step(f"{kind} with foreach, 60 small tensors", kind, TINY, 2, foreach=True)
LARGE = [(400, 400)] * 40
step("SGD with momentum, 6.4e6 in 40 tensors", "SGD", LARGE, 1, lr=1e-3, momentum=0.9)
step("Adam, 6.4e6 in 40 tensors", "Adam", LARGE, 2)
step("Adam with fused, 6.4e6 in 40 tensors", "Adam", LARGE, 1, fused=True)
for kind in OTHERS:
    step(f"{kind}, 6.4e6 in 40 tensors", kind, LARGE, 1)
step("Muon, 6.4e6 in 40 tensors", "Muon", LARGE, 1, tolerance=2e-2)


@workload("optimizers", "zero_grad and clip_grad_norm_, 60 small", 3)
def clip(torch):
    parameters = [torch.rand(s, requires_grad=True) for s in TINY]
    gradients = [torch.rand_like(p) for p in parameters]
    optimizer = torch.optim.SGD(parameters, lr=0.1)

    def work():
        optimizer.zero_grad()
        for p, g in zip(parameters, gradients):
            p.grad = g
        return torch.nn.utils.clip_grad_norm_(parameters, 1e6)

    return work
