"""What the transforms say to what they cannot do, in PyTorch's words."""

import pytest

import flambeau as fb
from flambeau.autograd import forward_ad
from flambeau.func import jacfwd, jvp, vjp, vmap

x = fb.arange(6.0).view(2, 3)


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda: jvp(lambda: x, (), ()), RuntimeError, "Expected primals to contain at least one Tensor"),
        (lambda: jvp(fb.sin, (x,), (1,)), RuntimeError, "Expected tangents to only contain Tensors, got"),
        (lambda: vjp(fb.sum, x)[1](1), TypeError, "gradients can be either Tensors or None, but got int"),
        (
            lambda: vjp(lambda x: {"a": x}, x)[1]({"b": x}),
            RuntimeError,
            r"cotangents: \{'b': \*\}, primal output: \{'a': \*\}",
        ),
        (lambda: vjp(lambda x: (x, x), x)[1](x), RuntimeError, r"cotangents: \*, primal output: \(\*, \*\)"),
        (lambda: jacfwd(fb.sin, randomness="some"), RuntimeError, "Only allowed values for randomness are"),
        (
            lambda: vmap(lambda a: a.bernoulli(), randomness="same")(x / 9),
            RuntimeError,
            "Vmap does not currently support same randomness with a batched tensor input",
        ),
        (
            lambda: vmap(lambda a: fb.zeros(3).uniform_(), randomness="different")(x),
            RuntimeError,
            "Cannot ask for different inplace randomness on an unbatched tensor",
        ),
        (lambda: forward_ad.exit_dual_level(), RuntimeError, "Dual level must be a positive number"),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_a_dual_tensor_gets_one_tangent_a_level():
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, fb.ones_like(x))
        with pytest.raises(RuntimeError, match="already has a forward gradient at the same level 0"):
            forward_ad.make_dual(dual, x)
