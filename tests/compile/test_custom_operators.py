"""Compiled programs call custom operators as they are, whatever their kernels do."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.library import custom_op, get_ctx


@custom_op("compile_tests::places", mutates_args=())
def places(x: fb.Tensor) -> fb.Tensor:
    return fb.tensor(np.stack(np.nonzero(x.numpy()), axis=1))


@places.register_fake
def _(x):
    return x.new_empty([get_ctx().new_dynamic_size(), x.dim()], dtype=fb.int64)


@custom_op("compile_tests::away_from_zero", mutates_args=())
def away_from_zero(x: fb.Tensor) -> fb.Tensor:
    return x + 1 if x.sum() > 0 else x - 1


@custom_op("compile_tests::multiples", mutates_args=())
def multiples(x: fb.Tensor) -> list[fb.Tensor]:
    return [x * i for i in range(int(x.sum()))]


@pytest.mark.parametrize("fullgraph", [False, True])
def test_results_of_another_shape_than_when_recorded(fullgraph):
    f = fb.compile(lambda x: places(x).float() * 2 + 1, fullgraph=fullgraph)
    for values in ([0, 1, 2, 0], [1, 1, 1, 0], [0, 0, 0, 0], [1, 0, 0, 0]):
        expected = [2.0 * i + 1 for i, v in enumerate(values) if v]
        assert f(fb.tensor(values)).flatten().tolist() == expected


def test_branches_inside_are_taken_anew():
    f = fb.compile(lambda x: away_from_zero(x) * 2, fullgraph=True)
    assert [f(fb.full((2,), k)).tolist() for k in (1.0, -1.0, 2.0, -3.0)] == [
        [4, 4],
        [-4, -4],
        [6, 6],
        [-8, -8],
    ]


def test_every_call_is_made():
    made = []

    @custom_op("compile_tests::counted", mutates_args=())
    def counted(x: fb.Tensor) -> fb.Tensor:
        made.append(1)
        return x + 1

    f = fb.compile(lambda x: counted(x) * 2, fullgraph=True)
    f(fb.ones(2))  # a program is tried out before it is trusted
    before = len(made)
    for k in range(4):
        assert f(fb.full((2,), float(k))).tolist() == [2 * k + 2.0] * 2
    assert len(made) == before + 4


def test_lists_of_another_length():
    f = fb.compile(lambda x: multiples(x)[-1] * 2)
    assert [f(fb.tensor([float(k), 1.0])).tolist() for k in (1, 2, 3)] == [[2, 2], [8, 4], [18, 6]]


def test_what_cannot_be_taken_back_is_an_error():
    total = fb.zeros(1)

    def f(x):
        total.add_(1)
        return places(x).float() + 1

    g = fb.compile(f)
    assert g(fb.tensor([0, 1])).tolist() == [[2]]
    with pytest.raises(RuntimeError, match="compile_tests::places: its result is of another shape"):
        for _ in range(3):  # the first calls may still run as they are
            g(fb.tensor([1, 1]))
