"""Loops whose body is a function; values are PyTorch's."""

import pytest

import flambeau as fb
from flambeau import _higher_order_ops as higher


def test_while_loop():
    i, x = fb.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (fb.tensor(0), fb.ones(2)))
    assert i.item() == 3 and x.tolist() == [8.0, 8.0]
    assert fb.while_loop(lambda i: i < 3, lambda i: i + 1, [0]) == 3
    assert fb.while_loop(lambda i: i > 3, lambda i: (i + 1,), (fb.tensor(0),))[0].item() == 0
    state = fb.while_loop(lambda d: d["i"] < 3, lambda d: ({"i": d["i"] + 1},), ({"i": fb.tensor(0)},))
    assert state[0]["i"].item() == 3
    w = fb.ones(2, requires_grad=True)
    fb.while_loop(lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (0, w))[1].sum().backward()
    assert w.grad.tolist() == [8.0, 8.0]


@pytest.mark.parametrize(
    ("cond", "body", "carried", "message"),
    [
        (3, lambda i: i, (0,), "Expect cond_fn and body_fn to be callable."),
        (lambda i: i < 3, lambda i: i + 1, 3, "Expect carried_inputs to be a tuple"),
        (lambda i: 3, lambda i: i + 1, (0,), "cond_fn must return a boolean scalar tensor or a boolean "
            "but got 3"),
        (lambda i: i < 3, lambda i: (i + 1, i), (fb.tensor(0),), "same number of outputs"),
        (lambda i: i < 3, lambda i: i + 1.0, (fb.tensor(0),), "dtype: torch.float32 vs torch.int64"),
    ],
)  # fmt: skip
def test_while_loop_refuses(cond, body, carried, message):
    with pytest.raises(RuntimeError, match=message):
        fb.while_loop(cond, body, carried)


def test_while_loop_that_is_recorded():
    def f(x):
        return fb.while_loop(lambda x: x.sum() < 10, lambda x: (x + 1,), (x,))[0]

    assert fb.compile(f)(fb.ones(2)).tolist() == [5.0, 5.0]
    assert fb.compile(f)(fb.zeros(2)).tolist() == [5.0, 5.0]


def test_maps():
    made = higher.map(lambda x, y: x + y, fb.arange(6.0).view(3, 2), fb.ones(2))
    assert made.tolist() == [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
    with pytest.raises(RuntimeError, match="Leading dimensions of mapped xs must be consistent"):
        higher.map(lambda x: x[0], (fb.ones(2), fb.ones(3)))
    assert [t.tolist() for t in higher.foreach_map(lambda x, s: x * s, [fb.ones(2), fb.zeros(1)], 3)] == [
        [3.0, 3.0],
        [0.0],
    ]
    pair = higher.foreach_map(lambda x, s: (x * s, x), [fb.ones(1), fb.zeros(1)], [3, 4])
    assert pair[0][0].item() == 3 and pair[1][1].item() == 0
