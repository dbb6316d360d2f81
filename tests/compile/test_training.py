"""Compiled modules beside eager ones: results, gradients, statistics and random numbers of training."""

import copy

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F


class MLP(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(20, 64), nn.Linear(64, 64), nn.Linear(64, 5)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = self.drop(F.gelu(self.a(x)))
        return self.c(F.silu(self.b(x)) * torch.sigmoid(x) + x)


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.b1 = nn.Conv2d(3, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.c2, self.b2 = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        self.out = nn.Linear(16, 4)

    def forward(self, x):
        x = self.relu(self.b1(self.c1(x)))
        x = self.relu(x + self.b2(self.c2(x)))
        return self.out(F.max_pool2d(x, 2).mean((2, 3)))


class Transformer(nn.Module):
    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(32, 4, 64, batch_first=True, dropout=0.1, activation="gelu")
        self.embed, self.layers, self.out = (
            nn.Embedding(50, 32),
            nn.TransformerEncoder(layer, 2),
            nn.Linear(32, 50),
        )

    def forward(self, x):
        return self.out(self.layers(self.embed(x)))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.out = nn.LSTM(8, 16, 2, batch_first=True), nn.Linear(16, 3)

    def forward(self, x):
        return self.out(self.lstm(x)[0])


class HandMadeNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.w, self.b, self.fc = (
            nn.Parameter(torch.ones(24)),
            nn.Parameter(torch.zeros(24)),
            nn.Linear(20, 24),
        )

    def forward(self, x):
        x = self.fc(x)
        x = x - x.mean(-1, keepdim=True)
        return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * self.w + self.b


CASES = {
    "mlp": (MLP, lambda: torch.randn(16, 20)),
    "conv": (ConvNet, lambda: torch.randn(4, 3, 12, 12)),
    "transformer": (Transformer, lambda: torch.randint(0, 50, (3, 7))),
    "lstm": (Recurrent, lambda: torch.randn(3, 5, 8)),
    "norm": (HandMadeNorm, lambda: torch.randn(6, 20)),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.Adam])
def test_training_is_that_of_eager(case, optimizer):
    make, sample = CASES[case]
    torch.manual_seed(3)
    plain = make()
    compiled = torch.compile(copy.deepcopy(plain))
    steps = [optimizer(m.parameters(), lr=0.01) for m in (plain, compiled)]
    for k in range(9):
        torch.manual_seed(100 + k)
        x = sample()
        results = []
        for model, step in zip((plain, compiled), steps):
            torch.manual_seed(k)
            if k == 6:
                model.eval()
            y = model(x)
            step.zero_grad()
            (y.square().mean() + y.sum() * 0.01).backward()
            step.step()
            results.append((y, torch.rand(1)))
        torch.testing.assert_close(results[0], results[1], atol=2e-4, rtol=2e-3)
    for a, b in zip(plain.state_dict().values(), compiled._orig_mod.state_dict().values()):
        torch.testing.assert_close(a, b, atol=5e-4, rtol=5e-3)
    assert "not captured" not in compiled.report()


def both(function, *inputs, runs=4):
    """Results and gradients of the function, compiled (after it was captured) and eager."""
    compiled = torch.compile(function)
    answers = []
    for f, n in ((compiled, runs), (function, 1)):
        for _ in range(n):
            leaves = [x.clone().requires_grad_() for x in inputs]
            y = f(*leaves)
            ys = y if isinstance(y, tuple) else (y,)
            total = sum((t * t).sum() for t in ys if t.requires_grad)
            total.backward()
        answers.append((ys, [x.grad for x in leaves]))
    torch.testing.assert_close(answers[0], answers[1])
    return compiled


@pytest.mark.parametrize(
    "function",
    [
        lambda x, y: (x.sin() * y + x.exp()).tanh() / (1 + y * y),
        lambda x, y: torch.where(x > y, x, y.sigmoid()).clamp(-1, 1),
        lambda x, y: (x @ y.t()).softmax(-1) @ y,
        lambda x, y: (x.cumsum(0)[1:] * y[:-1], x.detach() * y),
        lambda x, y: torch.cat([x.relu(), y.abs()], 1).sort(1).values.prod(1),
        lambda x, y: F.layer_norm(x, (5,)) * F.log_softmax(y, 0),
        lambda x, y: (x - x.mean(-1, keepdim=True)) * y.amax(-1, keepdim=True) + y.sum(-1, keepdim=True),
        lambda x, y: x.clone().add_(y).relu_() * x,
        lambda x, y: F.hardtanh((x * y).mul_(y), inplace=True).sin_().pow_(2) + x,
    ],
)
def test_gradients(function):
    torch.manual_seed(0)
    compiled = both(function, torch.randn(4, 5), torch.randn(4, 5))
    assert len(compiled._compiled.paths) == 1, compiled.report()


@pytest.mark.parametrize("columns", [40, 1100])
def test_rows_in_a_backward(columns):
    def function(a, b):
        m = (a - b).amax(-1, keepdim=True)
        return m, m.clone().add_(1).sin()

    torch.manual_seed(0)
    compiled = both(function, torch.randn(5, columns), torch.randn(columns))
    assert len(compiled._compiled.paths) == 1, compiled.report()


def test_unused_results_leave_no_gradient():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    compiled = torch.compile(lambda: (a * 2, (b * 3).exp()))
    for _ in range(8):
        a.grad = b.grad = None
        compiled()[0].sum().backward()
        assert a.grad.tolist() == [2.0] * 3 and b.grad is None


def test_backward_twice_and_higher_orders():
    compiled = torch.compile(lambda x: x.exp() * x.sin())
    x = torch.ones(2, requires_grad=True)
    for _ in range(3):
        y = compiled(x)
        y.sum().backward()
    y = compiled(x)
    y.sum().backward(retain_graph=True)
    y.sum().backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        y.sum().backward()
    try:  # a call that ran eagerly has a second order, a compiled one says that it has none
        (first,) = torch.autograd.grad(compiled(x).sum(), x, create_graph=True)
    except RuntimeError as why:
        assert "does not currently support double backward" in str(why)
    else:
        (second,) = torch.autograd.grad(first.sum(), x)
        assert torch.allclose(second, 2 * x.exp() * x.cos())


def test_writes_between_forward_and_backward_are_noticed():
    compiled = torch.compile(lambda x, y: (x * y).exp())
    for k in range(8):
        x, y = torch.ones(2, requires_grad=True), torch.ones(2)
        r = compiled(x, y)
        with torch.no_grad():
            (y if k % 2 else r).mul_(2)
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            r.sum().backward()


def test_hooks_and_functions_of_the_user_are_called_each_time():
    class Twice(torch.autograd.Function):
        calls = 0

        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            Twice.calls += 1
            return g * 2

    seen = []
    layer = nn.Linear(2, 2)
    layer.weight.register_hook(lambda g: seen.append("weight"))
    with_hook = nn.Sequential(layer, nn.Tanh())
    with_hook[1].register_full_backward_hook(lambda m, gi, go: seen.append("module"))
    custom, hooked = torch.compile(Twice.apply), torch.compile(with_hook)
    leaf_only = torch.compile(layer)
    for k in range(8):
        x = torch.ones(3, 2, requires_grad=True)
        custom(x).sum().backward()
        assert x.grad.tolist() == [[2.0, 2.0]] * 3
        hooked(x).sum().backward()
        leaf_only(x).sum().backward()
        assert seen == ["module", "weight", "weight"] * (k + 1)
    assert Twice.calls == 8
    inner = torch.compile(lambda x: x * 2)
    x = torch.ones(2, requires_grad=True)
    for _ in range(8):
        y = inner(x)
        y.register_hook(lambda g: g * 10)
        x.grad = None
        y.sum().backward()
        assert x.grad.tolist() == [20.0, 20.0]


def test_state_of_modules_is_read_at_each_call():
    model = nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5))
    model[1].p = 0.0
    compiled = torch.compile(model)
    x = torch.rand(2, 3) + 0.1  # some of what weights of one and a ReLU leave of it is not zero

    def same():
        for _ in range(4):
            torch.testing.assert_close(compiled(x), model(x))

    same()
    with torch.no_grad():
        model[0].weight.mul_(2)
    same()
    model[0].weight.data = torch.randn(3, 3)
    same()
    model[0].bias = nn.Parameter(torch.randn(3))
    same()
    model[0] = nn.Linear(3, 3, bias=False)
    same()
    model.append(nn.ReLU())
    same()
    handle = model[0].register_forward_hook(lambda m, a, y: y + 1)
    same()
    handle.remove()
    same()
    model.load_state_dict({k: torch.ones_like(v) for k, v in model.state_dict().items()})
    same()
    model[1].p = 1.0
    assert compiled(x).abs().sum() == 0
    compiled.eval()
    assert not model.training and compiled(x).abs().sum() > 0


def test_the_compiled_module():
    model = MLP()
    compiled = torch.compile(model)
    assert isinstance(compiled, nn.Module) and compiled._orig_mod is model
    assert next(iter(compiled.state_dict())) == "_orig_mod.a.weight"
    assert repr(compiled).startswith("OptimizedModule(\n  (_orig_mod): MLP(")
    assert compiled.a is model.a and compiled.drop.p == 0.2
    compiled.extra = 3
    assert model.extra == 3
    outer = torch.compile(nn.Sequential(model))
    outer._orig_mod = model  # a wrapper is taken off
    assert outer._orig_mod is model and len(list(outer.children())) == 1 and not hasattr(model, "_orig_mod")
    again = copy.deepcopy(compiled)
    assert again._orig_mod is not model and again(torch.ones(1, 20)).shape == (1, 5)
    model.compile()
    torch.testing.assert_close(model.eval()(torch.ones(1, 20)), again.eval()(torch.ones(1, 20)))


def test_backward_inside_and_accumulation():
    w = torch.ones(2, requires_grad=True)

    def step(x):
        loss = (w * x).sum()
        loss.backward()
        return loss.detach()

    compiled = torch.compile(step)
    for k in range(5):
        compiled(torch.ones(2))
        assert w.grad.tolist() == [k + 1.0] * 2
    assert "not captured" in compiled.report()


def test_an_argument_computed_from_another_gets_its_own_gradient_only():
    x = torch.tensor([0.3, -0.7, 1.1], requires_grad=True)
    seen = []

    def run(f):
        x.grad = None
        h = x.exp()
        h.register_hook(lambda g: seen.append(1))
        f(x, h).sum().backward()
        return x.grad.clone()

    def f(x, h):
        return (x * h).tanh() * 2

    compiled, expected = torch.compile(f), run(f)
    for k in range(9):
        assert torch.allclose(run(compiled), expected, atol=1e-6)
        assert len(seen) == k + 2


def test_a_result_nobody_uses_gives_no_gradient_from_the_first_call_on():
    a, b = torch.ones(3, requires_grad=True), torch.ones(3, requires_grad=True)
    compiled = torch.compile(lambda x: ((a * x).exp(), (b * x).sin()))
    for _ in range(9):
        a.grad = b.grad = None
        compiled(torch.ones(3))[0].sum().backward()
        assert a.grad is not None and b.grad is None


def test_two_calls_before_one_backward_and_calls_without_any():
    w = torch.full((4,), 0.5, requires_grad=True)
    compiled = torch.compile(lambda x: (w * x).tanh() * w)
    x, y = torch.arange(4.0), torch.ones(4)
    expected = torch.autograd.grad(((w * x).tanh() * w + (w * y).tanh() * w).sum(), w)[0]
    for _ in range(6):
        (g,) = torch.autograd.grad((compiled(x) + compiled(y)).sum(), w)
        assert torch.allclose(g, expected)
    forward_only = torch.compile(lambda x: (w * x).tanh() * w)
    for _ in range(12):
        r = forward_only(x)
    assert "captured" in forward_only.report() and "kept" in forward_only.report()
    assert torch.allclose(r, (w * x).tanh() * w)


def test_gradients_that_are_one_tensor_are_told_apart():
    x = torch.tensor([0.2, 0.4], requires_grad=True)
    compiled = torch.compile(lambda x: (x.exp(), x.sin()))
    for k in range(8):
        u, v = compiled(x)
        (g,) = torch.autograd.grad((u + v if k else u + 3 * v).sum(), x)
        assert torch.allclose(g, x.exp() + x.cos() * (1 if k else 3))
