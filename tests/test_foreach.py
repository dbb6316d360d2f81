"""Operators on lists of tensors, and conditions that programs state."""

import pytest

import flambeau as fb
from flambeau import _foreach


def two():
    return [fb.ones(2), fb.full((3,), 4.0)]


@pytest.mark.parametrize(
    ("name", "args", "expected"),
    [
        ("add", (1,), (2.0, 5.0)),
        ("sub", ([1.0, 2.0],), (0.0, 2.0)),
        ("mul", (fb.tensor(3.0),), (3.0, 12.0)),
        ("div", ([fb.tensor(2.0), fb.tensor(4.0)],), (0.5, 1.0)),
        ("pow", (2,), (1.0, 16.0)),
        ("lerp", ([fb.zeros(2), fb.zeros(3)], 0.5), (0.5, 2.0)),
        ("addcdiv", (two(), two(), [1, 2]), (2.0, 6.0)),
        ("addcmul", (two(), two(), fb.tensor([1.0, 2.0])), (2.0, 36.0)),
        ("maximum", (3,), (3.0, 4.0)),
        ("minimum", ([fb.tensor(0.0), fb.tensor(9.0)],), (0.0, 4.0)),
        ("clamp_max", ([0.5, 2.0],), (0.5, 2.0)),
        ("sqrt", (), (1.0, 2.0)),
        ("neg", (), (-1.0, -4.0)),
    ],
)
def test_both_forms(name, args, expected):
    made = getattr(fb, f"_foreach_{name}")(two(), *args)
    assert type(made) is tuple and [t[0].item() for t in made] == list(expected)
    changed = two()
    assert getattr(fb, f"_foreach_{name}_")(changed, *args) is changed
    assert [t[0].item() for t in changed] == list(expected)


def test_other_forms():
    assert [t.item() for t in fb._foreach_norm(two(), 1)] == [2.0, 12.0]
    assert [t.item() for t in fb._foreach_max(two())] == [1.0, 4.0]
    assert [t[0].item() for t in fb._foreach_pow(2.0, two())] == [2.0, 16.0]
    assert [t[0].item() for t in fb._foreach_add(two(), two(), alpha=2)] == [3.0, 12.0]
    zeroed = two()
    fb._foreach_zero_(zeroed)
    fb._foreach_copy_(zeroed[:1], [fb.full((2,), 7.0)])
    assert zeroed[0].tolist() == [7.0, 7.0] and zeroed[1].tolist() == [0.0] * 3
    assert (
        not hasattr(fb, "_foreach_zero")
        and not hasattr(fb, "_foreach_max_")
        and not hasattr(fb, "_foreach_x")
    )


def test_every_unary_name_is_an_operator():
    for name in _foreach._UNARY.split():
        function = getattr(fb, f"_foreach_{name}", None) or getattr(fb, f"_foreach_{name}_")
        assert len(function([fb.full((2,), 0.5)])) == 1


def test_wrong_lists():
    with pytest.raises(RuntimeError, match=r"Tensor list must have at least one tensor."):
        fb._foreach_add([], 1)
    with pytest.raises(RuntimeError, match="same number of tensors, got 2 and 1"):
        fb._foreach_add(two(), two()[:1])
    with pytest.raises(RuntimeError, match="same number of elements as scalar list"):
        fb._foreach_add(two(), [1.0, 2.0, 3.0])


def test_conditions():
    fb._check(True)
    fb._check_tensor_all(fb.tensor([True]))
    for function, kind in (
        (fb._check, RuntimeError),
        (fb._check_value, ValueError),
        (fb._check_index, IndexError),
        (fb._check_type, TypeError),
        (fb._check_not_implemented, NotImplementedError),
    ):
        with pytest.raises(kind, match=r"^told$"):
            function(False, lambda: "told")
        with pytest.raises(kind, match=r"^Expected cond to be True, but got False"):
            function(False)
    for wrong, text in ((1, "cond must be a bool, but got <class 'int'>"), (fb.tensor(True), "a Tensor")):
        with pytest.raises(TypeError, match=text):
            fb._check(wrong)
    with pytest.raises(TypeError, match="message must be a callable"):
        fb._check(False, "text")
    with pytest.raises(RuntimeError, match=r"^v$"):
        fb._check_tensor_all(fb.tensor([True, False]), lambda: "v")
    with pytest.raises(AssertionError, match=r"^m$"):
        fb._assert(False, "m")


def test_names_of_the_schemas_are_taken():
    x = [fb.full((2,), 2.0), fb.full((1,), 3.0)]
    y = [fb.full((2,), 4.0), fb.full((1,), 5.0)]
    assert [t[0].item() for t in fb._foreach_mul(self=x, scalar=3.0)] == [6, 9]
    assert [t[0].item() for t in fb._foreach_div(x, scalars=[2, 3])] == [1, 1]
    assert [t[0].item() for t in fb._foreach_mul(x, tensor=fb.tensor(2.0))] == [4, 6]
    assert [t[0].item() for t in fb._foreach_sub(self=x, other=y, alpha=2)] == [-6, -7]
    assert [t[0].item() for t in fb._foreach_lerp(x, tensors1=y, weight=0.5)] == [3, 4]
    assert [t[0].item() for t in fb._foreach_lerp(x, y, weights=[y[0] / 4, y[1] / 5])] == [4, 5]
    assert [t[0].item() for t in fb._foreach_pow(2.0, exponent=x)] == [4, 8]
    assert [t[0].item() for t in fb._foreach_addcmul(x, tensor1=y, tensor2=y, scalars=[1, 2])] == [18, 53]
    fb._foreach_mul_(x, scalar=0.5)
    fb._foreach_copy_(self=y, src=x)
    assert [t[0].item() for t in y] == [1, 1.5]
