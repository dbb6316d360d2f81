"""autograd.functional, hooks and checkpoints: results, types and refusals as PyTorch's."""

import pytest

import flambeau as fb
from flambeau.autograd import functional, graph

x = fb.tensor([1.0, 2.0, 3.0])


@pytest.mark.parametrize("name", ["vjp", "jvp", "vhp", "hvp"])
@pytest.mark.parametrize("v", [1, "a", [x]])
def test_vectors_have_to_be_tensors(name, v):
    with pytest.raises(
        TypeError, match=f"The v given to {name} must be either a Tensor or a tuple of Tensors"
    ):
        getattr(functional, name)(lambda t: t.sin().sum() if name in ("vhp", "hvp") else t.sin(), x, v)


def test_strict_jvp_of_a_linear_output():
    with pytest.raises(
        RuntimeError, match="The jacobian of the user-provided function is independent of input 1"
    ):
        functional.jvp(lambda t: (t.sin(), t * 2), x, x, create_graph=True, strict=True)


def test_forward_mode_jacobians_come_in_lists_and_leave_the_inputs_alone():
    def f(a, b):
        return (a * b).sum()

    a, b = fb.ones(2), fb.ones(2)
    found = functional.jacobian(f, (a, b), vectorize=True, strategy="forward-mode")
    assert type(found) is list and [t.tolist() for t in found] == [[1.0, 1.0], [1.0, 1.0]]
    functional.hessian(f, (a, b), vectorize=True, outer_jacobian_strategy="forward-mode")
    assert not a.requires_grad and not b.requires_grad
    with pytest.raises(RuntimeError, match='`strict=True` and `strategy="forward-mode"` are not supported'):
        functional.jacobian(f, (a, b), strict=True, strategy="forward-mode")


def test_mutation_is_allowed_inside_only():
    a = fb.tensor([1.0, 2.0], requires_grad=True)
    with graph.allow_mutation_on_saved_tensors():
        t = a.clone()
        y = t**2
        t.zero_()
        y.sum().backward()
        with (
            pytest.raises(RuntimeError, match="contexts cannot be nested"),
            graph.allow_mutation_on_saved_tensors(),
        ):
            pass
    assert a.grad.tolist() == [2.0, 4.0]
    with graph.allow_mutation_on_saved_tensors():
        y = a.clone() ** 2
    with pytest.raises(AssertionError, match="Trying to backward outside of the"):
        y.sum().backward()


def test_multi_grad_hooks_want_recorded_tensors():
    a = fb.ones(2, requires_grad=True)
    with pytest.raises(AssertionError, match="Expected gradient function to be set"):
        graph.register_multi_grad_hook((a, fb.ones(1)), print)
    a.exp().sum().backward()  # nothing was left behind
