"""Linear layers and activations of a Sequential in one pass: nobody can tell."""

import itertools

import pytest

import flambeau as fb
from flambeau import nn


def chain(*widths, after=nn.ReLU, last=None, bias=True):
    fb.manual_seed(2)
    layers = []
    for a, b in itertools.pairwise(widths):
        layers += [nn.Linear(a, b, bias=bias), after()]
    layers[-1:] = [last()] if last else []
    return nn.Sequential(*layers).eval()


def one_by_one(model, x):
    for module in model:
        x = module(x)
    return x


CHAINS = {
    "relu": chain(200, 190, 10),
    "relu at the end": chain(200, 190, 33, last=nn.ReLU),
    "gelu": chain(128, 300, 128, after=nn.GELU, last=nn.GELU),
    "gelu by tanh": chain(128, 300, 128, after=lambda: nn.GELU("tanh")),
    "silu": chain(128, 256, 128, after=nn.SiLU),
    "tanh": chain(128, 256, 128, after=nn.Tanh),
    "sigmoid": chain(128, 256, 1, after=nn.Sigmoid, last=nn.Sigmoid),
    "in place": chain(128, 256, 128, after=lambda: nn.ReLU(inplace=True), last=lambda: nn.ReLU(inplace=True)),
    "no biases": chain(128, 256, 128, bias=False),
    "dropout": nn.Sequential(
        nn.Linear(128, 300), nn.Dropout(0.5), nn.ReLU(), nn.Dropout(0.5), nn.Linear(300, 7), nn.Dropout()
    ).eval(),
    "no activation": nn.Sequential(nn.Linear(128, 300), nn.Linear(300, 7)),
    "one layer": nn.Sequential(nn.Linear(256, 256), nn.GELU()),
    "rows of 4 kB": chain(1024, 1024, 16),
    "other modules": nn.Sequential(
        nn.LayerNorm(128), nn.Linear(128, 300), nn.ELU(), nn.Linear(300, 64), nn.ReLU(), nn.Softmax(-1)
    ),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("shape", [(1,), (31,), (32,), (130,), (3, 50), (2, 0)])
def test_results_are_those_of_the_modules(name, shape):
    model = CHAINS[name]
    width = next(m.in_features for m in model if isinstance(m, nn.Linear))
    x = fb.randn(*shape, width)
    with fb.no_grad():
        for _ in range(2):
            got, expected = model(x), one_by_one(model, x)
            fb.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)
            assert got._version == expected._version
            got.add_(1)  # it is nobody else's


def test_views_types_and_written_weights():
    model = CHAINS["gelu"]
    with fb.no_grad():
        for x in (
            fb.randn(40, 256)[:, ::2],
            fb.randn(128, 40).t(),
            fb.randn(128),
            fb.randn(64, 1).expand(64, 128),
        ):
            fb.testing.assert_close(model(x), one_by_one(model, x), rtol=1e-5, atol=1e-5)
        x = fb.randn(64, 128)
        model(x)
        before = model(x)
        model[0].weight.mul_(2)
        fb.testing.assert_close(model(x), one_by_one(model, x), rtol=1e-5, atol=1e-5)
        assert not fb.equal(model(x), before)
        wide = chain(128, 256, 128).double()
        assert wide(x.double()).dtype is fb.float64
        fb.testing.assert_close(wide(x.double()), one_by_one(wide, x.double()))
        with pytest.raises(RuntimeError, match="mat1 and mat2 must have the same dtype"):
            model(x.double())
        with pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
            model(fb.randn(64, 127))


def test_who_changes_a_module_is_heard():
    class Louder(nn.Linear):
        def forward(self, input):
            return 3 * super().forward(input)

    x = fb.randn(64, 128)
    model = chain(128, 256, 128)
    model[2] = Louder(256, 128)
    with fb.no_grad():
        fb.testing.assert_close(model(x), one_by_one(model, x))
        model = chain(128, 256, 128)
        seen = []
        model[1].register_forward_hook(lambda m, i, o: seen.append(o))
        fb.testing.assert_close(model(x), one_by_one(model, x))
        assert len(seen) == 2
        model = nn.Sequential(nn.Linear(128, 256), nn.Dropout(0.5), nn.Linear(256, 128))
        assert not fb.equal(model(x), model(x))  # it still drops


def test_gradients_go_through_the_modules():
    model, x = chain(128, 256, 128), fb.randn(64, 128, requires_grad=True)
    model(x).sum().backward()
    assert x.grad is not None and all(p.grad is not None for p in model.parameters())


def test_the_operator_itself_has_gradients():
    w = [fb.randn(64, 40, requires_grad=True), fb.randn(9, 64, requires_grad=True)]
    x = fb.randn(33, 40, requires_grad=True)
    b = fb.randn(64, requires_grad=True)
    y = fb._linear_chain(x, w, [b, None], "tanh none", False)
    with fb.no_grad():
        fb.testing.assert_close(fb._linear_chain(x, w, [b, None], "tanh none", False), y)
    expected = fb.autograd.grad(((x @ w[0].t() + b).tanh() @ w[1].t()).square().sum(), [x, *w, b])
    fb.testing.assert_close(fb.autograd.grad(y.square().sum(), [x, *w, b]), expected, rtol=1e-4, atol=1e-3)
    with pytest.raises(RuntimeError, match="there is no activation 'elu'"):
        fb._linear_chain(x, w, [b, None], "elu none", False)
    with pytest.raises(RuntimeError, match="expected as many biases and activations as weights"):
        fb._linear_chain(x, w, [b], "tanh", False)


def test_numbers_of_pytorch():
    model = nn.Sequential(nn.Linear(200, 180), nn.GELU(), nn.Linear(180, 3), nn.SiLU())
    with fb.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_((fb.linspace(-1, 1.5 + 0.1 * i, p.numel()) * 999).sin().view(p.shape) * 0.2)
        got = model(fb.linspace(-9, 9, 40 * 200).cos().view(40, 200))
    fb.testing.assert_close(
        got[::13],
        fb.tensor(
            [
                [-0.08072, 3.55962, -0.25227],
                [-0.03617, 4.06367, -0.15679],
                [-0.03315, 3.73068, 0.06964],
                [-0.06379, 2.55741, 0.45689],
            ]
        ),
        rtol=1e-4,
        atol=1e-5,
    )


def test_compile_records_it_as_one_step():
    model, x = chain(128, 256, 128, after=nn.GELU), fb.randn(64, 128)
    compiled = fb.compile(model)
    with fb.no_grad():
        for _ in range(8):
            fb.testing.assert_close(compiled(x), model(x), rtol=1e-5, atol=1e-5)
        assert "_linear_chain" in compiled.forward._compiled.paths[0].entry.text()
    traced = fb.jit.trace(model, x)
    assert "_linear_chain" not in str(traced.graph)
