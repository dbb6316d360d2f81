"""Convolutions of half types, forward and backward, beside those of floats."""

import pytest

import flambeau as fb
from flambeau import nn

SHAPES = [  # channels in, out, kernel, and more: each may take another way through the kernels
    (16, 2, 3, {"padding": 1, "dilation": 2}),
    (16, 2, 3, {"padding": 1}),
    (3, 8, 5, {"padding": 2}),
    (8, 8, 3, {"groups": 8}),
    (8, 4, 1, {}),
    (4, 16, 3, {"stride": 2}),
    (6, 4, 3, {"groups": 2, "padding": 1}),
    (1, 6, 5, {}),
    (32, 3, 7, {"padding": 3}),
]


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("dtype", [fb.bfloat16, fb.float16])
@pytest.mark.parametrize(("inputs", "outputs", "kernel", "options"), SHAPES)
def test_gradients_are_near_those_of_floats(inputs, outputs, kernel, options, dtype, transposed):
    fb.manual_seed(0)
    layer = (nn.ConvTranspose2d if transposed else nn.Conv2d)(inputs, outputs, kernel, **options)
    x = fb.randn(2, inputs, 9, 9).to(dtype)

    def gradients(layer, x):
        layer.zero_grad()
        x = x.clone().requires_grad_()
        layer(x).square().mean().backward()
        return [x.grad.float(), *(p.grad.float() for p in layer.parameters())]

    exact = gradients(layer.to(dtype).float(), x.float())
    for got, want in zip(gradients(layer.to(dtype), x), exact, strict=True):
        assert (got - want).norm() <= 0.03 * want.norm() + 1e-3
