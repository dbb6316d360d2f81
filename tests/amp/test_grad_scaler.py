"""The gradient scaler: scaling, skipping overflowed steps, growth, saved states."""

import pickle

import pytest

import flambeau as fb
from flambeau.amp import GradScaler


def make(**options):
    p = fb.nn.Parameter(fb.ones(2))
    return p, fb.optim.SGD([p], lr=0.5), GradScaler("cpu", **options)


def test_scaled_steps_equal_plain_ones():
    p, o, s = make(init_scale=1024.0)
    for _ in range(2):
        o.zero_grad()
        loss = s.scale((p * p).sum())
        assert loss.item() == (p * p).sum().item() * 1024
        loss.backward()
        s.step(o)
        s.update()
        assert p.grad.abs().max() <= 2
    assert p.tolist() == [0.0, 0.0] and s.get_scale() == 1024.0


def test_overflow_skips_the_step_and_lowers_the_scale():
    p, o, s = make(growth_interval=2)
    s.scale(p.sum()).backward()
    p.grad[0] = float("inf")
    s.step(o)
    s.update()
    assert p.tolist() == [1.0, 1.0] and s.get_scale() == 32768.0
    for _ in range(2):
        o.zero_grad()
        s.scale(p.sum()).backward()
        s.step(o)
        s.update()
    assert s.get_scale() == 65536.0 and s.state_dict()["_growth_tracker"] == 0


def test_order_of_the_calls():
    p, o, s = make()
    with pytest.raises(AssertionError, match="Attempted step but _scale is None"):
        s.step(o)
    s.scale(p.sum()).backward()
    with pytest.raises(AssertionError, match="No inf checks were recorded prior to update"):
        s.update()
    s.unscale_(o)
    assert p.grad.tolist() == [1.0, 1.0]
    with pytest.raises(RuntimeError, match="unscale_\\(\\) has already been called on this optimizer"):
        s.unscale_(o)
    s.step(o)
    with pytest.raises(RuntimeError, match="step\\(\\) has already been called since the last update"):
        s.step(o)
    with pytest.raises(RuntimeError, match="unscale_\\(\\) is being called after step"):
        s.unscale_(o)
    s.update(8.0)
    assert s.get_scale() == 8.0
    o.zero_grad()
    s.scale(p.sum())
    with pytest.raises(AssertionError, match="No inf checks were recorded for this optimizer"):
        s.step(o)


def test_half_gradients_are_refused():
    p = fb.ones(2, dtype=fb.float16, requires_grad=True)
    o, s = fb.optim.SGD([p], lr=0.5), GradScaler("cpu")
    s.scale((p * 0.001).sum().float()).backward()
    with pytest.raises(ValueError, match="Attempting to unscale FP16 gradients"):
        s.unscale_(o)


def test_lists_are_scaled():
    _, _, s = make(init_scale=4.0)
    out = s.scale([fb.ones(1), (fb.ones(1),)])
    assert out[0].item() == 4.0 and out[1][0].item() == 4.0 and isinstance(out[1], tuple)
    with pytest.raises(ValueError, match="outputs must be a Tensor or an iterable of Tensors"):
        s.scale(3)


def test_saved_states():
    p, _, s = make(init_scale=4.0, growth_interval=7)
    s.scale(p.sum())
    other = GradScaler("cpu")
    other.load_state_dict(s.state_dict())
    assert (
        other.state_dict()
        == s.state_dict()
        == {
            "scale": 4.0,
            "growth_factor": 2.0,
            "backoff_factor": 0.5,
            "growth_interval": 7,
            "_growth_tracker": 0,
        }
    )
    assert pickle.loads(pickle.dumps(s)).get_scale() == 4.0
    with pytest.raises(RuntimeError, match="The source state dict is empty"):
        other.load_state_dict({})


def test_disabled():
    p, o, s = make(enabled=False)
    (p * p).sum().backward()
    assert s.scale(3) == 3 and s.get_scale() == 1.0 and s.state_dict() == {}
    s.step(o)
    s.update()
    assert p.tolist() == [0.0, 0.0]


def test_bad_factors():
    with pytest.raises(AssertionError, match="The growth factor must be"):
        GradScaler("cpu", growth_factor=1.0)
    with pytest.raises(AssertionError, match="The backoff factor must be"):
        GradScaler("cpu", backoff_factor=1.0)
