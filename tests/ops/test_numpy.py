"""Random shapes, indices and dtypes against NumPy: broadcasting, indexing, reductions, promotion."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

import flambeau as fb

quick = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
shapes = hn.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
filled = hn.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4)


def numbers(shape: tuple, start: int = 0) -> np.ndarray:
    """Distinct numbers, half of them negative."""
    n = int(np.prod(shape))
    return ((np.arange(n, dtype=np.float64) * 7 + start) % 23 - 11.0).reshape(shape)


def same(ours, theirs) -> None:
    theirs = np.asarray(theirs)
    assert tuple(ours.shape) == theirs.shape
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-12, atol=1e-12)


@quick
@given(hn.mutually_broadcastable_shapes(num_shapes=3, min_side=0, max_side=4, max_dims=4))
def test_broadcasting(drawn):
    a, b, c = (numbers(s, k) for k, s in enumerate(drawn.input_shapes))
    x, y, z = map(fb.from_numpy, (a, b, c))
    same(x * y - z, a * b - c)
    same(fb.where(x > y, y, z), np.where(a > b, b, c))
    same(fb.maximum(x, y), np.maximum(a, b))
    assert fb.broadcast_shapes(*drawn.input_shapes) == drawn.result_shape


@quick
@given(hn.mutually_broadcastable_shapes(num_shapes=2, min_side=1, max_side=4, max_dims=4))
def test_gradients_of_broadcasting_have_the_shape_of_the_input(drawn):
    a, b = (numbers(s, k) for k, s in enumerate(drawn.input_shapes))
    x, y = fb.tensor(a, requires_grad=True), fb.tensor(b, requires_grad=True)
    (x * y).sum().backward()
    wide = np.broadcast_to(b, drawn.result_shape)
    extra = wide.ndim - a.ndim
    wide = wide.sum(axis=tuple(range(extra)))
    same(x.grad, wide.sum(axis=tuple(d for d in range(a.ndim) if a.shape[d] == 1), keepdims=True))


@st.composite
def transposed(draw):
    """An array and a tensor of the same numbers, with dimensions permuted and maybe every other row."""
    shape = draw(filled)
    a = numbers(shape)
    order = draw(st.permutations(range(len(shape))))
    step = draw(st.sampled_from([1, 2]))
    return a.transpose(order)[::step], fb.tensor(a).permute(*order)[::step]


def _tensor_index(index):
    as_ours = lambda i: fb.from_numpy(i) if isinstance(i, np.ndarray) else i  # noqa: E731
    return tuple(map(as_ours, index)) if isinstance(index, tuple) else as_ours(index)


@st.composite
def indexed(draw):
    """An array, its tensor and an index: integers, slices, None, ellipsis, index arrays and masks."""
    a, t = draw(transposed())
    basic = hn.basic_indices(a.shape, allow_newaxis=True, allow_ellipsis=True)
    advanced = hn.integer_array_indices(a.shape, result_shape=hn.array_shapes(max_dims=2, max_side=3))
    mask = hn.arrays(bool, a.shape)
    index = draw(st.one_of(basic, advanced, mask))
    parts = index if isinstance(index, tuple) else (index,)
    assume(all(not isinstance(i, slice) or i.step is None or i.step > 0 for i in parts))  # as in PyTorch
    return a, t, index


@quick
@given(indexed())
def test_reading(drawn):
    a, t, index = drawn
    same(t[_tensor_index(index)], a[index])


@quick
@given(indexed(), st.booleans())
def test_writing(drawn, whole):
    a, t, index = drawn
    a, t = a.copy(), t.clone()
    value = numbers(a[index].shape, 5) if whole else np.float64(3.5)
    parts = index if isinstance(index, tuple) else (index,)
    arrays = [i for i in parts if isinstance(i, np.ndarray) and i.dtype != bool]
    if arrays and whole:  # a place written twice keeps any one of the values
        places = np.arange(a.size).reshape(a.shape)[index]
        assume(len(np.unique(places)) == places.size)
    a[index] = value
    t[_tensor_index(index)] = fb.tensor(value) if whole else 3.5
    same(t, a)


@quick
@given(indexed())
def test_gradient_of_reading_counts_the_reads(drawn):
    a, t, index = drawn
    x = t.clone().requires_grad_()
    x[_tensor_index(index)].sum().backward()
    counts = np.zeros(a.shape)
    np.add.at(counts, index, 1)
    same(x.grad, counts)


@quick
@given(transposed(), st.data())
def test_reductions(drawn, data):
    a, t = drawn
    dims = tuple(
        data.draw(st.lists(st.integers(-a.ndim, a.ndim - 1), unique_by=lambda d: d % a.ndim, min_size=1))
    )
    keep = data.draw(st.booleans())
    for name, other in (("sum", np.sum), ("mean", np.mean), ("amax", np.max), ("amin", np.min)):
        same(getattr(t, name)(dims, keepdim=keep), other(a, axis=dims, keepdims=keep))
    same(t.var(dims, correction=0, keepdim=keep), a.var(axis=dims, keepdims=keep))
    same((t > 0).any(dims, keepdim=keep), (a > 0).any(axis=dims, keepdims=keep))
    same((t > 0).all(dims, keepdim=keep), (a > 0).all(axis=dims, keepdims=keep))
    same(t.count_nonzero(dims), np.count_nonzero(a, axis=dims))
    dim = dims[0]
    same(t.prod(dim, keepdim=keep), a.prod(axis=dim, keepdims=keep))
    same(t.cumsum(dim), a.cumsum(axis=dim))
    assert np.array_equal(t.argmax(dim).numpy(), a.argmax(axis=dim))
    same(t.sort(dim=dim, stable=True).values, np.sort(a, axis=dim))


@quick
@given(shapes)
def test_reductions_of_empty_tensors(shape):
    a = numbers(shape)
    t = fb.from_numpy(a)
    same(t.sum(), a.sum())
    same(t.prod(), a.prod())
    if a.size == 0:
        with pytest.raises(RuntimeError):
            t.max()


INTEGERS = ["uint8", "int8", "int16", "int32", "int64", "bool"]
FLOATS = ["float32", "float64"]


@quick
@given(st.sampled_from(INTEGERS + FLOATS), st.sampled_from(INTEGERS + FLOATS))
def test_promotion_of_tensors(first, second):
    found = fb.result_type(fb.ones(2, dtype=getattr(fb, first)), fb.ones(2, dtype=getattr(fb, second)))
    if (first in INTEGERS) != (second in INTEGERS):  # NumPy would widen the float
        expected = first if first in FLOATS else second
    else:
        expected = np.promote_types(first, second).name
    assert found is getattr(fb, expected)
    a, b = np.array([3, 1, 0]).astype(first), np.array([2, 1, 1]).astype(second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ours = fb.from_numpy(a) + fb.from_numpy(b)
        assert ours.dtype is found
        np.testing.assert_array_equal(ours.numpy(), a.astype(expected) + b.astype(expected))


@quick
@given(st.sampled_from(INTEGERS + FLOATS), st.sampled_from([True, 2, 2.5, 1j]))
def test_promotion_with_numbers(name, number):
    kind = {bool: 0, int: 1, float: 2, complex: 3}[type(number)]
    own = 0 if name == "bool" else 1 if name in INTEGERS else 2
    if kind <= own:
        expected = getattr(fb, name)
    elif kind == 1:
        expected = fb.int64
    elif kind == 2:
        expected = fb.float32
    else:
        expected = fb.complex128 if name == "float64" else fb.complex64
    assert (fb.ones(2, dtype=getattr(fb, name)) * number).dtype is expected
