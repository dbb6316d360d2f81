"""Linear and recurrent layers keep packed weights while they only answer: every write to a weight shows."""

import pytest

import flambeau as fb
from flambeau import nn

SHAPES = [
    (8, 64, 64),
    (9, 70, 65),
    (130, 33, 200),
    (300, 256, 100),
    (64, 600, 140),
    (7, 64, 64),
    (500, 20, 300),
]


def in_double(module, x):
    weights = {name: p.detach().double() for name, p in module.named_parameters()}
    return fb.func.functional_call(module, weights, (x.double(),))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("bias", [True, False])
def test_linear_agrees_with_double(shape, bias):
    rows, inputs, outputs = shape
    layer, x = nn.Linear(inputs, outputs, bias=bias), fb.randn(rows, inputs)
    with fb.no_grad():
        for _ in range(3):
            y = layer(x)
        fb.testing.assert_close(y, in_double(layer, x).float())
        wide = layer(x.reshape(1, rows, inputs))
    assert fb.equal(wide[0], y)
    fb.testing.assert_close(layer(x).detach(), y)


@pytest.mark.parametrize("make", [lambda: nn.Linear(64, 96), lambda: nn.LSTM(64, 96), lambda: nn.GRU(64, 96)])
def test_writes_to_the_weights_show(make):
    def answer():
        with fb.no_grad():
            y = layer(x)
        return y if isinstance(layer, nn.Linear) else y[0]

    def wanted():
        y = in_double(layer, x)
        return (y if isinstance(layer, nn.Linear) else y[0]).detach().float()

    layer, x = make(), fb.randn(40, 64) if isinstance(make(), nn.Linear) else fb.randn(3, 40, 64)
    writes = [
        lambda w: w.mul_(1.5),
        lambda w: w[3:5].zero_(),
        lambda w: w.t().add_(0.01),
        lambda w: w.copy_(fb.rand_like(w) - 0.5),
        lambda w: w.numpy().__imul__(0.5),
        lambda w: w.set_(fb.rand_like(w) - 0.5),
    ]
    for write in writes:
        for _ in range(3):
            fb.testing.assert_close(answer(), wanted())
        for weight in list(layer.parameters())[: 2 if not isinstance(layer, nn.Linear) else 1]:
            write(weight.data)
    for parameter in layer.parameters():
        parameter.data = fb.rand_like(parameter) - 0.5
    fb.testing.assert_close(answer(), wanted())
    optimizer = fb.optim.SGD(layer.parameters(), lr=0.1)
    y = layer(x)
    (y if isinstance(layer, nn.Linear) else y[0]).square().mean().backward()
    optimizer.step()
    fb.testing.assert_close(answer(), wanted())


def test_results_of_inference_mode_and_views():
    layer, x = nn.Linear(64, 64), fb.randn(32, 64)
    with fb.inference_mode():
        y = layer(x)
    assert y.is_inference()
    with fb.no_grad():
        part = nn.functional.linear(x[:, ::2], layer.weight[:, :32])
        turned = nn.functional.linear(x, layer.weight.t())
        rows = nn.functional.linear(x, layer.weight[16:48])
        again = nn.functional.linear(x, layer.weight[8:40])
    fb.testing.assert_close(part, (x[:, ::2].double() @ layer.weight[:, :32].double().t()).float())
    fb.testing.assert_close(turned, (x.double() @ layer.weight.double()).float())
    fb.testing.assert_close(rows, (x.double() @ layer.weight[16:48].double().t()).float())
    fb.testing.assert_close(again, (x.double() @ layer.weight[8:40].double().t()).float())


def test_errors_stay():
    layer = nn.Linear(64, 64)
    with fb.no_grad(), pytest.raises(RuntimeError, match="mat1 and mat2 shapes cannot be multiplied"):
        layer(fb.randn(32, 63))
    with fb.no_grad(), pytest.raises(RuntimeError):
        nn.functional.linear(fb.randn(32, 64), layer.weight, fb.randn(63))
