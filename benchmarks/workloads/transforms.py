"""``torch.func`` and ``autograd.functional``: Jacobians, Hessians, gradients of each sample."""

from __future__ import annotations

import itertools

from benchmarks.workload import workload


def layers(torch, *sizes):
    nn = torch.nn
    made = [m for a, b in itertools.pairwise(sizes) for m in (nn.Linear(a, b), nn.Tanh())]
    return nn.Sequential(*made[:-1])


def enter(name, build, target=1.0):
    """A row: `build` gives from the package what is timed."""

    @workload("transforms", name, target)
    def prepare(torch):
        torch.manual_seed(0)
        return build(torch, torch.func)


def jacobian(transform):
    def build(torch, func):
        net, x = layers(torch, 200, 200, 200, 200), torch.rand(200)
        return lambda: transform(torch, func)(net)(x)

    return build


enter("jacrev, 200 by 200", jacobian(lambda torch, func: func.jacrev))
enter("jacfwd, 200 by 200", jacobian(lambda torch, func: func.jacfwd))
enter(
    "functional.jacobian, 200 by 200",
    jacobian(
        lambda torch, func: lambda f: lambda x: torch.autograd.functional.jacobian(f, x, vectorize=True)
    ),
)
enter("hessian, 200", jacobian(lambda torch, func: lambda f: func.hessian(lambda x: f(x).pow(2).sum())))


@workload("transforms", "gradients of a batch of cotangents, 200")
def cotangents(torch):
    torch.manual_seed(0)
    net, x, basis = layers(torch, 200, 200, 200), torch.rand(200, requires_grad=True), torch.eye(200)
    return lambda: torch.autograd.grad(net(x), x, basis, is_grads_batched=True)[0]


@workload("transforms", "Hessian times a vector, 200")
def hessian_product(torch):
    torch.manual_seed(0)
    net, x, func = layers(torch, 200, 200, 200), torch.rand(200), torch.func
    return lambda: func.jvp(func.grad(lambda a: net(a).pow(2).sum()), (x,), (x,))[1]


def points(transform):
    """A network of physics: derivatives by the coordinates of 500 points."""

    def build(torch, func):
        net, x = layers(torch, 2, 50, 50, 1), torch.rand(500, 2)
        return lambda: func.vmap(transform(func)(lambda a: net(a).squeeze()))(x)

    return build


enter("vmap of grad, 500 points", points(lambda func: func.grad))
enter("vmap of hessian, 500 points", points(lambda func: func.hessian))
enter("vmap of jacfwd, 500 points", points(lambda func: func.jacfwd))


def per_sample(network, inputs):
    def build(torch, func):
        net, (x, y) = network(torch), inputs(torch)
        params = {k: v.detach() for k, v in net.named_parameters()}

        def loss(p, a, b):
            return torch.nn.functional.cross_entropy(func.functional_call(net, p, (a[None],)), b[None])

        # the sums of the gradients' squares: what training with clipped gradients starts with
        return lambda: [
            g.pow(2).sum() for g in func.vmap(func.grad(loss), (None, 0, 0))(params, x, y).values()
        ]

    return build


def small_cnn(torch):
    nn = torch.nn
    first, second = nn.Conv2d(3, 32, 3), nn.Conv2d(32, 32, 3)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.Flatten(), nn.Linear(32 * 28 * 28, 10))


enter(
    "gradients of each of 64 samples, MLP 50-100-10",
    per_sample(
        lambda torch: layers(torch, 50, 100, 10),
        lambda torch: (torch.rand(64, 50), torch.randint(10, (64,))),
    ),
)
enter(
    "gradients of each of 20 samples, CNN",
    per_sample(small_cnn, lambda torch: (torch.rand(20, 3, 32, 32), torch.randint(10, (20,)))),
)


def ensemble(torch, func):
    nets = [layers(torch, 784, 100, 10) for _ in range(10)]
    params, buffers = func.stack_module_state(nets)
    x = torch.rand(64, 784)
    return lambda: func.vmap(lambda p, b: func.functional_call(nets[0], (p, b), (x,)))(params, buffers)


enter("ensemble of ten MLPs", ensemble)
