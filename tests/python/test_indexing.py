"""x[...] and x[...] = v, against NumPy and by PyTorch's words."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import flambeau as torch

SHAPE = (3, 4, 5)
ARRAY = np.arange(60).reshape(SHAPE)
X = torch.from_numpy(ARRAY)
B = torch.ones(3, 4, dtype=torch.bool)


@pytest.mark.parametrize(
    "key",
    [
        0,
        -1,
        (0, 1),
        (0, 1, 2),
        slice(1, None),
        (slice(None), slice(0, 4, 2)),
        None,
        Ellipsis,
        (..., 0),
        (0, ..., 1),
        (None, 0, None),
        [0, 2],
        ([0, 2], [1, 3]),
        (slice(None), [0, 1]),
        ([[0, 1], [1, 0]],),
        (slice(None), [0], [1]),
        ([0], slice(None), [1]),
        ARRAY > 30,
        (ARRAY[:, :, 0] > 20, slice(1, None)),
        (..., [0, 1]),
        True,
        False,
        (0, True),
        (),
        np.array([0, 1]),
        np.int64(1),
        (slice(3, 1), 0),
        ([0, 1], None, 1),
        (slice(None), None, [0, 1, 2]),
        (slice(-2, 100), -1),
    ],
)
def test_reads_as_numpy_does(key):
    expected = ARRAY[key]
    got = X[key]
    assert tuple(got.shape) == expected.shape and got.tolist() == expected.tolist()


@pytest.mark.parametrize(
    "key",
    [0, (0, 1), slice(1, None), [0, 2], ([0, 2], [1, 3]), (..., 0), ARRAY > 30, (0, slice(1, 3)), None, ()],
)
def test_writes_as_numpy_does(key):
    expected, got = ARRAY.copy(), X.clone()
    expected[key] = 7
    got[key] = 7
    assert got.tolist() == expected.tolist()
    values = -np.ones_like(expected[key])
    expected[key] = values
    got[key] = torch.from_numpy(np.ascontiguousarray(values))
    assert got.tolist() == expected.tolist()


def test_views_share_memory():
    x = torch.zeros(2, 3)
    x[0][1] = 5
    x[:, 2] = 1
    x[...][1, 0] = 3
    assert x.tolist() == [[0, 5, 1], [3, 0, 1]] and x[...] is not x and x[0]._base is x
    x[0, 0] += 2
    assert x[0, 0] == 2


@pytest.mark.parametrize(
    "key, error, message",
    [
        (5, IndexError, "index 5 is out of bounds for dimension 0 with size 3"),
        ((0, 0, 0, 0), IndexError, "too many indices for tensor of dimension 3"),
        (
            1.5,
            IndexError,
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got float)",  # noqa: E501
        ),
        (
            {0: 1},
            IndexError,
            "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got dict)",  # noqa: E501
        ),
        (slice(None, None, -1), ValueError, "step must be greater than zero"),
        (torch.tensor([1.5]), IndexError, "tensors used as indices must be long, int, byte or bool tensors"),
        (2**70, ValueError, "Overflow when unpacking long long"),
        (torch.tensor([0, 5]), IndexError, "index 5 is out of bounds for dimension 0 with size 3"),
    ],
)
def test_errors(key, error, message):
    with pytest.raises(error) as e:
        X[key]
    assert str(e.value).split("\n")[0] == message


def test_errors_of_writing():
    with pytest.raises(IndexError, match="invalid index of a 0-dim tensor"):
        torch.tensor(3)[0]
    y = X.clone()
    for value, message in [
        ("a", "can't assign a str to a torch.LongTensor"),
        ([1, 2], "can't assign a list to a torch.LongTensor"),
    ]:
        with pytest.raises(TypeError, match=message):
            y[0] = value
    with pytest.raises(RuntimeError, match="The expanded size of the tensor"):
        y[0] = torch.ones(7)
    with pytest.raises(TypeError, match="Tensor does not support deleting items"):
        del y[0]


def test_gradients():
    x = torch.arange(6.0, requires_grad=True)
    (x[1:3].sum() + x[[0, 0]].sum() * 2 + x[5]).backward()
    assert x.grad.tolist() == [4, 1, 1, 0, 0, 1]
    y = torch.ones(3, requires_grad=True)
    z = y * 2
    z[0] = 5
    z[[1]] = y[2]
    z.sum().backward()
    assert y.grad.tolist() == [0, 0, 3]


ITEMS = st.one_of(
    st.integers(-6, 6),
    st.none(),
    st.just(Ellipsis),
    st.booleans(),
    st.slices(6),
    st.lists(st.integers(-6, 6), max_size=3),
    st.floats(),
    st.text(max_size=2),
    st.lists(st.booleans(), max_size=5),
    st.builds(lambda n: torch.tensor(n), st.integers(-4, 4)),
    st.builds(lambda v: np.array(v), st.lists(st.integers(-6, 6), max_size=3)),
    st.just({}),
    st.complex_numbers(),
)


@settings(max_examples=300, deadline=None)
@given(
    key=st.one_of(
        ITEMS,
        st.tuples(ITEMS),
        st.tuples(ITEMS, ITEMS),
        st.lists(ITEMS, max_size=5).map(tuple),
        st.lists(ITEMS, max_size=3),
    )
)
def test_any_key_gives_a_tensor_or_an_error(key):
    for x in (X, torch.tensor(1), torch.zeros(0, 3)):
        try:
            assert isinstance(x[key], torch.Tensor)
        except (IndexError, TypeError, ValueError, RuntimeError):
            pass
        y = x.clone()
        try:
            y[key] = 1
        except (IndexError, TypeError, ValueError, RuntimeError):
            pass
        assert y.shape == x.shape


SIMPLE = st.one_of(
    st.integers(-3, 2),
    st.slices(3).filter(lambda s: s.step is None or s.step > 0),
    st.none(),
    st.lists(st.integers(-3, 2), min_size=1, max_size=2),
)


@settings(max_examples=300, deadline=None)
@given(key=st.lists(SIMPLE, max_size=4).map(tuple))
def test_simple_keys_agree_with_numpy(key):
    a = np.arange(27).reshape(3, 3, 3)
    if any(isinstance(k, list) for k in key):
        key = tuple(
            k for k in key if not isinstance(k, int)
        )  # beside lists NumPy counts numbers as lists, PyTorch does not
    try:
        expected = a[key]
    except IndexError:
        with pytest.raises(IndexError):
            torch.from_numpy(a)[key]
        return
    got = torch.from_numpy(a)[key]
    assert tuple(got.shape) == expected.shape and got.tolist() == expected.tolist()
