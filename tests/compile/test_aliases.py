"""Tensors that share memory, and histories, in compiled programs: found by random programs."""

import pytest

import flambeau as fb
from flambeau.fx.experimental.proxy_tensor import make_fx


def overwritten_after_a_masked_write(x):
    y = x * 2
    y.masked_fill_(y > 0, 0.25)
    y.zero_()
    return y


def nothing_to_do(x):
    y = x * 2
    z = y + x
    same = y.contiguous()
    largest = fb.cat([z, x]).amax(0)
    y.addcmul_(largest, largest)
    return y, same, z, x.conj()


def detached_and_written(x):
    y = x**2
    z = y.detach()
    z[:3] = z
    return z, y


def detached_argument_and_written(x):
    y = x.detach()
    y[y > 0] = 0.25
    return x.sign(), y.conj()


def copied_into_a_plain_argument(x, plain):
    plain.copy_(x)
    return plain * 2, x + 1


def written_into_a_plain_argument(x, plain):
    plain[:1] = x[:1]
    return (plain * 2,)


def activated_argument(x):
    x.relu_()
    return x * 2, x * x


def scaled_argument(x):
    x.mul_(2)
    return x * x


@pytest.mark.parametrize(
    "function",
    [
        activated_argument, scaled_argument,
        overwritten_after_a_masked_write, nothing_to_do, detached_and_written, detached_argument_and_written,
        copied_into_a_plain_argument, written_into_a_plain_argument,
    ],
)  # fmt: skip
@pytest.mark.parametrize("requires_grad", [False, True])
def test_same_as_eager(function, requires_grad):
    def outcome(f):
        leaf = fb.tensor([-1.0, 0.5, 2.0], requires_grad=requires_grad)
        arguments = [leaf * 1, fb.zeros(3)][: function.__code__.co_argcount]
        out = f(*arguments)
        out = out if isinstance(out, tuple) else (out,)
        if tracked := [o for o in out if o.requires_grad]:
            sum((o * (i + 1)).sum() for i, o in enumerate(tracked)).backward()
        seen = [*out, *arguments]
        return [t.detach() for t in seen], [t.requires_grad for t in seen], leaf.grad

    compiled = fb.compile(function)
    values, tracked, grad = outcome(function)
    for _ in range(4):
        found = outcome(compiled)
        fb.testing.assert_close(found[0], values)
        assert found[1] == tracked
        assert (grad is None) == (found[2] is None) and (grad is None or fb.allclose(grad, found[2]))


def reshaped_in_place(x):
    y = x.reshape(1, 3) * 2
    y.transpose_(0, -1)
    y.unsqueeze_(0)
    y.mul_(2)
    return y.squeeze_() + 1, y


def test_shapes_changed_in_place():
    x = fb.tensor([-1.0, 0.5, 2.0])
    wanted = reshaped_in_place(x)
    compiled, traced = fb.compile(reshaped_in_place), fb.jit.trace(reshaped_in_place, (x,))
    written = make_fx(reshaped_in_place)(x)
    for _ in range(3):
        for function in (compiled, traced, written):
            fb.testing.assert_close(function(x), wanted)
