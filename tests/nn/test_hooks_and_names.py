"""Backward hooks that return gradients of another size, and whose functions the public modules have."""

import pytest

import flambeau as fb
from flambeau import nn


@pytest.mark.parametrize(
    ("register", "returned", "line"),
    [
        ("register_full_backward_hook", (fb.ones(9),), "hook 'hook' has changed the size of value"),
        (
            "register_full_backward_hook",
            fb.ones(9),
            "Backward hook returned an invalid number of grad_input, got 9, but expected 1",
        ),
        ("register_full_backward_pre_hook", (fb.ones(9),), "hook 'hook' has changed the size of value"),
        (
            "register_full_backward_pre_hook",
            fb.ones(9),
            "Backward pre hook returned an invalid number of grad_output, got 9, but expected 1",
        ),
    ],
)
def test_backward_hooks_that_return_another_size(register, returned, line):
    module = nn.Linear(2, 3)
    getattr(module, register)(lambda *_: returned)
    out = module(fb.ones(1, 2, requires_grad=True)).sum()
    with pytest.raises(RuntimeError) as problem:
        out.backward()
    assert str(problem.value).split("\n")[0] == line


def test_classes_made_from_public_ones_keep_their_functions():
    class Mine(nn.ReLU):
        pass

    assert Mine.forward is nn.ReLU.forward
    assert nn.ReLU.forward.__qualname__ == "ReLU.forward"
    assert nn.ReLU.forward is not nn.SiLU.forward
