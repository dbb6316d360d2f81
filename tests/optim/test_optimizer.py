"""The base class: groups, checks of options, saved states, hooks."""

import copy
import pickle

import pytest

import flambeau as fb
from flambeau import optim


def parameters(n=2):
    return [fb.nn.Parameter(fb.ones(2)) for _ in range(n)]


@pytest.mark.parametrize(
    "params, error, message",
    [
        (lambda p: [], ValueError, "optimizer got an empty parameter list"),
        (lambda p: [1], TypeError, "optimizer can only optimize Tensors, but one of the params is int"),
        (lambda p: [p[0] * 2], ValueError, "can't optimize a non-leaf Tensor"),
        (
            lambda p: p[0],
            TypeError,
            "params argument given to the optimizer should be an iterable of Tensors or",
        ),
        (lambda p: [{"params": set(p)}], TypeError, "optimizer parameters need to be organized in ordered"),
        (lambda p: [{"params": p}, {"params": p}], ValueError, "some parameters appear in more than one"),
        (
            lambda p: [("a", p[0]), p[1]],
            ValueError,
            "all optimizer params should be with/without names. Some",
        ),
        (
            lambda p: [{"params": [("a", p[0])]}, {"params": [p[1]]}],
            ValueError,
            "all optimizer param groups should",
        ),
    ],
)
def test_bad_parameters(params, error, message):
    with pytest.raises(error, match=message):
        optim.Adam(params(parameters()))


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("SGD", {"lr": -1.0}, "Invalid learning rate: -1.0"),
        ("SGD", {"momentum": -1.0}, "Invalid momentum value: -1.0"),
        ("SGD", {"nesterov": True}, "Nesterov momentum requires a momentum and zero dampening"),
        ("SGD", {"lr": fb.ones(2)}, "Tensor lr must be 1-element"),
        ("Adam", {"betas": (0.9, 1.2)}, "Invalid beta parameter at index 1: 1.2"),
        ("Adam", {"eps": -1.0}, "Invalid epsilon value: -1.0"),
        ("Adam", {"betas": (fb.tensor(0.9), 0.9)}, "betas must be either both floats or both Tensors"),
        (
            "Adam",
            {"lr": fb.tensor(0.1), "foreach": True},
            "lr as a Tensor is not supported for capturable=False",
        ),
        ("Adadelta", {"rho": 2.0}, "Invalid rho value: 2.0"),
        ("Rprop", {"etas": (2, 0.5)}, "Invalid eta values: 2, 0.5"),
        ("Adafactor", {"d": 0.5}, "Clipping threshold d should be >= 1 but is: 0.5"),
        ("Muon", {"lr": 0.1}, "Muon only supports 2D parameters whereas we found a parameter with size: "),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        getattr(optim, name)(parameters(), **options)


def test_fused_excludes_others():
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        optim.Adam(parameters(), fused=True, foreach=True)
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        optim.SGD(parameters(), fused=True, differentiable=True)


def test_repr():
    p = parameters()
    assert repr(optim.SparseAdam([{"params": p[:1]}, {"params": p[1:], "lr": 0.5}])) == (
        "SparseAdam (\nParameter Group 0\n    betas: (0.9, 0.999)\n    eps: 1e-08\n    lr: 0.001\n"
        "    maximize: False\n\nParameter Group 1\n    betas: (0.9, 0.999)\n    eps: 1e-08\n    lr: 0.5\n"
        "    maximize: False\n)"
    )


def test_state_dict_names_and_numbers():
    a, b, c = parameters(3)
    o = optim.SGD([{"params": [("a", a), ("b", b)]}, {"params": [("c", c)], "lr": 0.5}], lr=0.1, momentum=0.9)
    c.grad = fb.ones(2)
    o.step()
    saved = o.state_dict()
    assert list(saved["state"]) == [2] and list(saved["state"][2]) == ["momentum_buffer"]
    assert [g["params"] for g in saved["param_groups"]] == [[0, 1], [2]]
    assert saved["param_groups"][0]["param_names"] == ["a", "b"]
    assert list(saved["param_groups"][1])[:3] == ["lr", "param_names", "momentum"]


def test_load_casts_to_the_parameter():
    p, q = fb.nn.Parameter(fb.ones(2)), fb.nn.Parameter(fb.ones(2, dtype=fb.bfloat16))
    a, b = optim.Adam([p]), optim.Adam([q])
    p.grad = fb.ones(2)
    a.step()
    b.load_state_dict(a.state_dict())
    assert b.state[q]["exp_avg"].dtype == fb.bfloat16
    assert b.state[q]["step"].dtype == fb.float32
    assert b.param_groups[0]["params"][0] is q


def test_load_old_states():
    p = fb.nn.Parameter(fb.ones(2))
    o = optim.Adam([p])
    old = {
        "state": {0: {"step": 3, "exp_avg": fb.ones(2), "exp_avg_sq": fb.ones(2)}},
        "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0, "params": [0]}],
    }
    o.load_state_dict(old)
    assert o.state[p]["step"].item() == 3 and o.param_groups[0]["amsgrad"] is False
    p.grad = fb.ones(2)
    o.step()
    assert o.state[p]["step"].item() == 4


def test_load_other_shapes():
    o = optim.SGD(parameters(), lr=0.1)
    with pytest.raises(ValueError, match="loaded state dict has a different number of parameter groups"):
        o.load_state_dict(optim.SGD([{"params": [p]} for p in parameters()]).state_dict())
    with pytest.raises(ValueError, match="loaded state dict contains a parameter group that doesn't match"):
        o.load_state_dict(optim.SGD(parameters(3)).state_dict())


def test_hooks():
    log = []
    p = parameters()
    o = optim.SGD(p, lr=0.1)
    handles = [
        o.register_step_pre_hook(lambda o, args, kwargs: log.append("before")),
        o.register_step_post_hook(lambda o, args, kwargs: log.append("after")),
        optim.optimizer.register_optimizer_step_pre_hook(lambda o, args, kwargs: log.append("any")),
        o.register_state_dict_pre_hook(lambda o: log.append("save")),
        o.register_state_dict_post_hook(lambda o, saved: {**saved, "more": 1}),
        o.register_load_state_dict_pre_hook(lambda o, saved: log.append("load")),
        o.register_load_state_dict_post_hook(lambda o: log.append("loaded")),
    ]
    o.step()
    saved = o.state_dict()
    o.load_state_dict(saved)
    assert log == ["any", "before", "after", "save", "load", "loaded"] and saved["more"] == 1
    for handle in handles:
        handle.remove()
    o.step()
    o.state_dict()
    assert len(log) == 6


def test_pre_hook_must_return_a_pair():
    o = optim.SGD(parameters(), lr=0.1)
    o.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match="must return None or a tuple of"):
        o.step()


def test_closure_and_zero_grad():
    p = fb.nn.Parameter(fb.ones(2))
    o = optim.SGD([p], lr=0.5)

    def closure():
        o.zero_grad(set_to_none=False)
        loss = (p * p).sum()
        loss.backward()
        return loss

    p.grad = fb.ones(2)
    assert o.step(closure).item() == 2.0
    assert p.tolist() == [0.0, 0.0] and p.grad.tolist() == [2.0, 2.0]
    o.zero_grad()
    assert p.grad is None


def test_copies_keep_working():
    p = fb.nn.Parameter(fb.ones(2))
    o = optim.Adam([p])
    p.grad = fb.ones(2)
    o.step()
    for other in (copy.deepcopy(o), pickle.loads(pickle.dumps(o))):
        (q,) = other.param_groups[0]["params"]
        q.grad = fb.ones(2)
        other.step()
        assert other.state[q]["step"].item() == 2 and o.state[p]["step"].item() == 1
        other.register_step_post_hook(lambda *_: None)


def test_swap_in():
    p, q = parameters()
    o = optim.SGD([p], lr=0.5, momentum=0.9)
    p.grad = fb.ones(2)
    o.step()
    q.grad = fb.ones(2)
    with optim.swap_in_optimizer_params_and_state(o, {"w": q}, copy.deepcopy(o.state_dict())):
        o.step()
    assert p.tolist() == [0.5, 0.5] and fb.allclose(q, fb.full((2,), 0.05))
    assert o.param_groups[0]["params"][0] is p


def test_which_algorithm_refuses_does_not_depend_on_what_was_made_first():
    for kind in (fb.optim.AdamW, fb.optim.Adam):
        p = fb.nn.Parameter(fb.ones(2, 2))
        p.grad = fb.ones(2, 2).to_sparse()
        with pytest.raises(RuntimeError, match=r"^Adam does not support sparse gradients"):
            kind([p]).step()
