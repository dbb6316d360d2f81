"""Switches of recording, as context managers and decorators."""

import warnings

import pytest

import flambeau as fb


def test_nested_modes():
    x = fb.ones(2, requires_grad=True)
    with fb.no_grad():
        assert not (x * 2).requires_grad
        with fb.enable_grad():
            assert (x * 2).requires_grad
        assert not fb.is_grad_enabled()
    assert fb.is_grad_enabled()


def test_decorators():
    x = fb.ones(2, requires_grad=True)

    @fb.no_grad()
    def with_call(t):
        return t * 2

    @fb.no_grad
    def without_call(t):
        return t * 2

    @fb.inference_mode()
    def inference(t):
        return t * 2

    assert not with_call(x).requires_grad and not without_call(x).requires_grad
    assert inference(x).is_inference()


def test_generators_hold_the_mode_only_while_they_run():
    @fb.no_grad()
    def numbers():
        received = yield fb.is_grad_enabled()
        yield received, fb.is_grad_enabled()
        return "end"

    g = numbers()
    assert next(g) is False
    assert fb.is_grad_enabled()
    assert g.send(5) == (5, False)
    with pytest.raises(StopIteration, match="end"):
        next(g)


def test_generator_exceptions_arrive_inside():
    @fb.no_grad()
    def numbers():
        try:
            yield 1
        except KeyError:
            yield fb.is_grad_enabled()

    g = numbers()
    next(g)
    assert g.throw(KeyError("x")) is False


def test_set_grad_enabled():
    fb.set_grad_enabled(False)
    assert not fb.is_grad_enabled()
    fb.set_grad_enabled(True)
    with fb.set_grad_enabled(False):
        assert not fb.is_grad_enabled()
    assert fb.is_grad_enabled()

    @fb.set_grad_enabled(False)
    def f():
        return fb.is_grad_enabled()

    assert fb.is_grad_enabled() and f() is False


def test_decorated_class_warns():
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")

        @fb.no_grad()
        class Thing:
            def __init__(self):
                self.mode = fb.is_grad_enabled()

        assert Thing().mode is False
    assert seen[0].category is FutureWarning


def test_state_comes_back_after_an_error():
    with pytest.raises(ValueError), fb.no_grad():
        raise ValueError
    assert fb.is_grad_enabled()


def test_inference_tensors_are_written_to_in_inference_mode_only():
    with fb.inference_mode():
        t = fb.ones(2)
        t.mul_(2)
    for write in (
        lambda: t.mul_(2),
        lambda: t[0].add_(1),
        lambda: t.__setitem__(0, 1.0),
        lambda: fb.add(fb.ones(2), 1, out=t),
        lambda: fb.nn.init.zeros_(t),
        lambda: t.normal_(),
        lambda: t.resize_(4),
        lambda: fb.no_grad()(t.zero_)(),
    ):
        with pytest.raises(RuntimeError, match="Inplace update to inference tensor outside InferenceMode"):
            write()
    assert t.tolist() == [2, 2] and t.clone().mul_(2).tolist() == [4, 4]
    with fb.inference_mode():
        assert t.mul_(2).tolist() == [4, 4]
