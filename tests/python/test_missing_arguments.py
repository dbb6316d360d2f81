"""What is said of arguments that are missing, or that are no list of numbers, no dtype, no flag."""

import pytest

import flambeau as fb

X = fb.ones(2, 3)
PAIRS = fb.tensor([0, 1])


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fb.asarray(), 'asarray() missing 1 required positional arguments: "obj"'),
        (lambda: X.new_tensor(), 'new_tensor() missing 1 required positional arguments: "data"'),
        (lambda: fb.frombuffer(b"a"), 'frombuffer() missing 1 required positional arguments: "dtype"'),
        (lambda: fb.can_cast(fb.int8), 'can_cast() missing 1 required positional arguments: "to"'),
        (
            lambda: fb.promote_types(),
            'promote_types() missing 2 required positional argument: "type1", "type2"',
        ),
        (lambda: fb.nonzero(X, as_tuple=0), "nonzero(): argument 'as_tuple' must be bool, not int"),
        (lambda: fb.unique(X, sorted=0), "_unique2(): argument 'sorted' must be bool, not int"),
        (lambda: fb.unique(X, dim=0, sorted=0), "unique_dim(): argument 'sorted' must be bool, not int"),
        (lambda: fb.flip(X, PAIRS), "flip(): argument 'dims' (position 2) must be tuple of ints, not Tensor"),
        (
            lambda: fb.full(PAIRS, 1.0),
            "full(): argument 'size' (position 1) must be tuple of ints, not Tensor",
        ),
        (lambda: X.is_floating_point(1), "TensorBase.is_floating_point() takes no arguments (1 given)"),
        (lambda: X.is_complex(a=1), "TensorBase.is_complex() takes no keyword arguments"),
        (lambda: ~X, "~ (operator.invert) is only implemented on integer and Boolean-type tensors"),
        (lambda: fb.tensor("a"), "new(): invalid data type 'str'"),
        (lambda: X.sum(X.to_sparse()), None),
        (lambda: X.exp(X.to_sparse()), None),
    ],
)
def test_type_errors(call, text):
    with pytest.raises(TypeError) as e:
        call()
    if text:
        assert str(e.value).split("\n")[0] == text


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: X.kthvalue(9), "kthvalue(): selected number k out of range for dimension 1"),
        (
            lambda: X.masked_fill(X, 1),
            "masked_fill_ only supports boolean masks, but got mask with dtype float",
        ),
        (
            lambda: fb.tensordot(X, X, 1),
            "contracted dimensions need to match, but first has size 3 in dim -1 "
            "and second has size 2 in dim 0",
        ),
        (lambda: fb.norm(X, 1j), "linalg.vector_norm: Expected a non-complex scalar as the order of norm."),
    ],
)
def test_runtime_errors(call, text):
    with pytest.raises(RuntimeError) as e:
        call()
    assert str(e.value).split("\n")[0] == text


def test_empty_vectors_are_joined_along_any_dimension():
    assert fb.cat([fb.empty(0), fb.empty(0)], dim=5).shape == (0,)
