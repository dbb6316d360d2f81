"""Gradients across workers, optimizers for their parameters, modules of other workers."""

import os
import pickle
import signal

import pytest
from rpc_workers import run_workers

import flambeau as fb
import flambeau.distributed.autograd as dist_autograd
import flambeau.distributed.rpc as rpc
from flambeau import nn
from flambeau.distributed.nn import RemoteModule
from flambeau.distributed.optim import DistributedOptimizer


@pytest.fixture
def workers(tmp_path):
    return lambda function, **options: run_workers(tmp_path / "store", function, **options)


def told(function):
    try:
        function()
    except Exception as error:
        return type(error), str(error)
    raise AssertionError("nothing was raised")


def add(a, b):
    return a + b


def same(x):
    return x


class Affine:
    def __init__(self):
        self.weight = fb.full((3,), 2.0, requires_grad=True)
        self.shift = fb.ones(3, requires_grad=True)

    def forward(self, x):
        return self.weight * x + self.shift

    def forward_without(self, x):
        with fb.no_grad():
            return self.weight * x

    def grads(self, context_id):
        found = dist_autograd.get_gradients(context_id)
        return [found[t].tolist() if t in found else None for t in (self.weight, self.shift)]

    def plain(self):
        return self.weight.grad


def leaf(value):
    return fb.full((3,), value, requires_grad=True)


def through(x, way):
    """Multiply at each worker of a way."""
    y = x * 2
    return rpc.rpc_sync(way[0], through, args=(y, way[1:])) + x if way else y


def backward_there(context_id):
    x = fb.ones(3, requires_grad=True)
    dist_autograd.backward(context_id, [(x * 2).sum()])
    return dist_autograd.get_gradients(context_id)[x]


def number_of_contexts():
    return dist_autograd._get_debug_info()["num_autograd_contexts"]


def gradients():
    got = {}
    a, b = fb.ones(3, requires_grad=True), fb.full((3,), 3.0, requires_grad=True)
    with dist_autograd.context() as number:
        got["twice"] = told(dist_autograd.context().__enter__)
        c = rpc.rpc_sync("w1", fb.add, args=(a, b))
        got["received"] = c.requires_grad, c.is_leaf
        d = rpc.rpc_sync("w1", add, args=(c * b, c * b))
        dist_autograd.backward(number, [d.sum()])
        found = dist_autograd.get_gradients(number)
        got["grads"] = found[a].tolist(), found[b].tolist(), a.grad
        got["freed"] = told(lambda: dist_autograd.backward(number, [d.sum()]))
        got["no scalar"] = told(lambda: dist_autograd.backward(number, [d]))
        got["no grad"] = told(lambda: dist_autograd.backward(number, [fb.ones(())]))
        got["no roots"] = told(lambda: dist_autograd.backward(number, []))
        got["no list"] = told(lambda: dist_autograd.backward(number, fb.ones(())))
        got["no context"] = told(lambda: dist_autograd.backward(77, [a.sum()]))
    got["over"] = told(lambda: dist_autograd.get_gradients(number))
    outside = rpc.rpc_sync("w1", same, args=(a,))
    got["outside"] = outside.requires_grad, outside.is_leaf

    module = rpc.remote("w1", Affine)
    with dist_autograd.context() as number:
        one = module.rpc_sync().forward(fb.full((3,), 2.0))
        two = module.rpc_async().forward(fb.full((3,), 5.0))
        three = module.remote().forward(fb.full((3,), 7.0))
        module.rpc_sync().forward(fb.full((3,), 11.0))  # of which nothing becomes of
        still = module.rpc_sync().forward_without(fb.ones(3))
        loss = one.sum() + two.wait().sum() + three.to_here().sum() + still.sum()
        dist_autograd.backward(number, [loss], retain_graph=True)
        got["there"] = module.rpc_sync().grads(number)
        dist_autograd.backward(number, [loss])
        got["again"] = module.rpc_sync().grads(number)
        got["third time"] = told(lambda: dist_autograd.backward(number, [loss]))
        got["plain"] = module.rpc_sync().plain()
    with dist_autograd.context() as number:
        x = fb.full((3,), 1.0, requires_grad=True)
        y = through(x, ["w1", "w2", "w0", "w1"])
        dist_autograd.backward(number, [y.sum()])
        local = x.detach().requires_grad_()
        total, z = 0, local
        for _ in range(4):  # the same in one process
            total, z = total + z, z * 2
        (total + z * 2).sum().backward()
        got["way"] = dist_autograd.get_gradients(number)[x].equal(local.grad), y.equal(total + z * 2)
    with dist_autograd.context() as number:
        got["within"] = rpc.rpc_sync("w1", backward_there, args=(number,)).tolist()
        rpc.remote("w1", fb.sum, args=(a,)).backward(number)
        got["reference"] = dist_autograd.get_gradients(number)[a].tolist()
        got["big"] = told(lambda: rpc.remote("w1", leaf, args=(1.0,)).backward(number))
        got["no number"] = told(lambda: rpc.remote("w1", leaf, args=(1.0,)).backward())
        here = rpc.RRef((a * 4).sum())
        here.backward(number)
        got["own"] = dist_autograd.get_gradients(number)[a].tolist()
    for _ in range(100):
        if (left := [rpc.rpc_sync(f"w{k}", number_of_contexts) for k in range(3)]) == [0, 0, 0]:
            break
    got["left"] = left
    return got


def test_gradients(workers):
    got = workers(gradients, size=3)
    assert got["twice"] == (RuntimeError, "Already have an autograd context id for this thread.")
    assert got["received"] == (True, False) and got["outside"] == (True, True)
    assert got["grads"] == ([6.0] * 3, [14.0] * 3, None)
    text = "Error on Node 0: Trying to backward through the graph a second time"
    assert got["freed"][0] is RuntimeError and got["freed"][1].startswith(text)
    assert got["no scalar"] == (RuntimeError, " is not a scalar, all roots need to be scalar")
    assert got["no grad"] == (RuntimeError, "requires_grad not set on root")
    assert got["no roots"] == (RuntimeError, "No tensors provided for gradient computation.")
    assert got["no list"][0] is TypeError
    assert got["no context"] == (RuntimeError, "Could not find autograd context with id: 77")
    assert got["over"] == (RuntimeError, "Could not find autograd context with id: 0")
    assert got["there"] == [[14.0] * 3, [3.0] * 3] and got["again"] == [[28.0] * 3, [6.0] * 3]
    assert got["third time"][1].startswith("Error on Node 1: Trying to backward through the graph")
    assert got["plain"] is None and got["way"] == (True, True)
    assert got["within"] == [2.0] * 3 and got["reference"] == [1.0] * 3 and got["own"] == [5.0] * 3
    assert got["big"][1] == " is not a scalar, all roots need to be scalar"
    assert got["no number"][1] == "User RRefs require 'dist_autograd_ctx_id' to be specified"
    assert got["left"] == [0, 0, 0]


def test_without_workers():
    with pytest.raises(RuntimeError, match="Need to initialize distributed autograd"):
        dist_autograd.context().__enter__()
    assert dist_autograd.is_available()


class Failing(fb.autograd.Function):
    """A backward that raises, or ends its process."""

    @staticmethod
    def forward(ctx, x, ends):
        ctx.ends = ends
        return x.clone()

    @staticmethod
    def backward(ctx, grad):
        if ctx.ends:
            os.kill(os.getpid(), signal.SIGKILL)
        raise ValueError("no gradient")


def failing(x, ends, way):
    if way:
        return rpc.rpc_sync(way[0], failing, args=(x, ends, way[1:]))
    return Failing.apply(x, ends)


def backward_of_failing(ends):
    with dist_autograd.context() as number:
        y = failing(fb.ones(3, requires_grad=True), ends, ["w2", "w1"])
        return told(lambda: dist_autograd.backward(number, [y.sum()]))


def failing_backwards():
    return backward_of_failing(False), backward_of_failing(True)


def test_backward_that_fails_far_away(workers):
    raised, died = workers(failing_backwards, size=3, ends=False)
    assert raised == (RuntimeError, "Error on Node 1: no gradient")
    assert died[0] is RuntimeError and "The connection to WorkerInfo(id=1, name=w1) is closed" in died[1]


# ------------------------------------------------------------------ modules in parts


class Part(nn.Module):
    def __init__(self, inputs, outputs, seed=0, bias=True):
        super().__init__()
        fb.manual_seed(seed)
        self.linear = nn.Linear(inputs, outputs, bias=bias)

    def forward(self, x, scale=1.0):
        x = x.to_here() if isinstance(x, rpc.PyRRef) else x
        return fb.tanh(self.linear(x)) * scale

    def parameter_rrefs(self):
        return [rpc.RRef(p) for p in self.parameters()]


def whole(optimizer_class, settings, x, y):
    """The losses of the same network in one process."""
    one, two = Part(4, 5, 1), Part(5, 3, 2)
    optimizer = optimizer_class([*one.parameters(), *two.parameters()], **settings)
    losses = []
    for _ in range(3):
        optimizer.zero_grad()
        loss = ((fb.cat([two(one(part)) for part in x.split(4)]) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def pipeline():
    fb.manual_seed(3)
    x, y = fb.randn(8, 4), fb.randn(8, 3)
    got = {}
    cases = [("sgd", fb.optim.SGD, {"lr": 0.5, "momentum": 0.9}), ("adam", fb.optim.Adam, {"lr": 0.05})]
    for name, kind, settings in cases:
        one, two = rpc.remote("w1", Part, args=(4, 5, 1)), rpc.remote("w2", Part, args=(5, 3, 2))
        parameters = [p for part in (one, two) for p in part.rpc_sync().parameter_rrefs()]
        optimizer = DistributedOptimizer(kind, parameters, **settings)
        losses = []
        for _ in range(3):
            with dist_autograd.context() as number:
                parts = [two.rpc_async().forward(one.remote().forward(part)) for part in x.split(4)]
                loss = ((fb.cat(fb.futures.wait_all(parts)) - y) ** 2).mean()
                dist_autograd.backward(number, [loss])
                optimizer.step(number)
                losses.append(loss.item())
        got[name] = losses, whole(kind, settings, x, y)
    got["no context"] = told(lambda: optimizer.step(99))
    got["settings"] = told(lambda: DistributedOptimizer(fb.optim.SGD, parameters, lr=-1.0))
    return got


def test_distributed_optimizer(workers):
    got = workers(pipeline, size=3)
    for name in ("sgd", "adam"):
        parts, one = got[name]
        assert parts == pytest.approx(one, rel=1e-5)
    assert got["no context"] == (RuntimeError, "Could not find autograd context with id: 99")
    assert got["settings"][0] is ValueError


def call(module, x):
    return module(x)


def remote_modules():
    x = fb.arange(8.0).reshape(2, 4) / 8
    module = RemoteModule("w1/cpu", Part, args=(4, 2), kwargs={"bias": False})
    wanted = Part(4, 2, bias=False)
    got = {
        "is": (isinstance(module, nn.Module), module.on, module.device, repr(module)),
        "forward": module(x).equal(wanted(x)),
        "keyword": module(x, scale=2.0).equal(wanted(x, scale=2.0)),
        "async": module.forward_async(x).wait().equal(wanted(x)),
        "parameters": [p.to_here().equal(wanted.linear.weight) for p in module.remote_parameters()],
        "train": (module.train(False).training, module.train().training, module.eval().training),
        "sent": rpc.rpc_sync("w1", call, args=(module, x)).equal(wanted(x)),
        "of reference": RemoteModule.init_from_module_rref("w1", module.get_module_rref())(x).equal(
            wanted(x)
        ),
        "rank": RemoteModule("rank:1/cpu", Part, args=(4, 2)).on,
        "self": RemoteModule("w0", Part, args=(4, 2))(x).shape,
        "refused": [told(getattr(module, name)) for name in ("cuda", "state_dict", "named_modules")],
        "refused parameters": told(module.parameters),
        "pickle": told(lambda: pickle.dumps(module)),
        "class": told(lambda: RemoteModule("w1/cpu", Affine)),
        "place": told(lambda: RemoteModule("w1/cpu/x", Part, args=(4, 2))),
        "nobody": told(lambda: RemoteModule("w9", Part, args=(4, 2))),
    }
    second = RemoteModule("w0/cpu", Part, args=(2, 1, 5))
    optimizer = DistributedOptimizer(
        fb.optim.SGD, [*module.remote_parameters(), *second.remote_parameters()], lr=0.1
    )
    losses = []
    for _ in range(2):
        with dist_autograd.context() as number:
            loss = (second(module(x)) - 1).pow(2).sum()
            dist_autograd.backward(number, [loss])
            optimizer.step(number)
            losses.append(loss.item())
    got["learns"] = losses[1] < losses[0]
    return got


def test_remote_module(workers):
    got = workers(remote_modules)
    assert got["is"] == (True, "w1", "cpu", "RemoteModule(on='w1', device='cpu')")
    assert got["forward"] and got["keyword"] and got["async"] and got["sent"] and got["of reference"]
    assert got["parameters"] == [True] and got["train"] == (False, True, False)
    assert got["rank"] == 1 and got["self"] == (2, 2) and got["learns"]
    assert got["refused"][0] == (ValueError, "Method ``cuda`` not supported for RemoteModule")
    assert all(kind is ValueError for kind, _ in got["refused"])
    assert got["refused parameters"][1].endswith("Please use ``remote_parameters`` instead.")
    assert got["pickle"][1].startswith("Cannot pickle RemoteModule in python pickler.")
    assert "returns an instance of <class nn.Module>" in got["class"][1]
    assert got["place"][0] is ValueError and "could not find destination name w9" in got["nobody"][1]
