import collections

import numpy as np
import pytest

import flambeau as fb
from flambeau.utils.data import default_collate, default_convert
from flambeau.utils.data._utils.collate import collate, default_collate_fn_map

Point = collections.namedtuple("Point", "x y")


def test_leaves():
    ints, words, floats, scalars = default_collate([(1, "a", 2.5, np.float32(1)), (2, "b", 1, np.float32(3))])
    assert ints.dtype == fb.int64 and ints.tolist() == [1, 2]
    assert words == ("a", "b")
    assert floats.dtype == fb.float64 and floats.tolist() == [2.5, 1.0]
    assert scalars.dtype == fb.float32 and scalars.tolist() == [1.0, 3.0]
    assert default_collate([True, False]).dtype == fb.bool
    assert default_collate([b"a", b"b"]) == [b"a", b"b"]
    assert default_collate([np.zeros((2, 3), np.uint8)] * 4).shape == (4, 2, 3)
    assert default_collate([fb.ones(2, 1)] * 3).shape == (3, 2, 1)


def test_nesting_keeps_classes():
    batch = default_collate([{"p": Point(1, [2.0, "s"])}, {"p": Point(3, [4.0, "t"])}])
    assert type(batch) is dict and type(batch["p"]) is Point
    assert batch["p"].x.tolist() == [1, 3]
    assert (
        type(batch["p"].y) is list
        and batch["p"].y[0].tolist() == [2.0, 4.0]
        and batch["p"].y[1] == ("s", "t")
    )
    ordered = default_collate([collections.OrderedDict(b=1, a=2)])
    assert type(ordered) is collections.OrderedDict and list(ordered) == ["b", "a"]


def test_convert():
    data = default_convert([1, "a", np.ones(2), {"a": np.int64(3)}, (np.ones(1),), Point(np.zeros(1), 2)])
    assert data[:2] == [1, "a"] and data[2].dtype == fb.float64
    assert data[3]["a"].item() == 3 and isinstance(data[4], list) and isinstance(data[5], Point)
    assert isinstance(default_convert(np.array(["text"])), np.ndarray)


def test_map_of_own_types():
    class Box:
        def __init__(self, value):
            self.value = value

    def join(batch, *, collate_fn_map=None):
        return sum(box.value for box in batch)

    assert collate([(Box(1), 2), (Box(3), 4)], collate_fn_map={Box: join, **default_collate_fn_map})[0] == 4


@pytest.mark.parametrize(
    ("kind", "message", "batch"),
    [
        (TypeError, "default_collate: batch must contain .*; found <class 'object'>", [object()]),
        (TypeError, "found <class 'NoneType'>", [None]),
        (TypeError, "found <U1", [np.array(["a"])]),
        (RuntimeError, "each element in list of batch should be of equal size", [[1, 2], [1]]),
        (
            RuntimeError,
            r"stack expects each tensor to be equal size, but got \[2\] at entry 0 and \[3\] at entry 1",
            [fb.ones(2), fb.ones(3)],
        ),
        (KeyError, "a", [{"a": 1}, {"b": 1}]),
        (IndexError, "list index out of range", []),
    ],
)
def test_errors(kind, message, batch):
    with pytest.raises(kind, match=message):
        default_collate(batch)


def test_sparse_tensors_need_an_own_collate_fn():
    with pytest.raises(RuntimeError, match="Batches of sparse tensors are not currently supported"):
        default_collate([fb.eye(2).to_sparse()] * 2)
