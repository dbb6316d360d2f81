"""Argument parsing: what is accepted, and PyTorch's words for what is not."""

import pytest

import flambeau as torch

x = torch.ones(2, 3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: x.add("a"), "add(): argument 'other' (position 1) must be Tensor, not str"),
        (lambda: torch.add(x, "a"), "add(): argument 'other' (position 2) must be Tensor, not str"),
        (lambda: torch.relu("a"), "relu(): argument 'input' (position 1) must be Tensor, not str"),
        (lambda: torch.relu(), 'relu() missing 1 required positional arguments: "input"'),
        (
            lambda: torch.as_strided(self=x, size=(1,), stride=(1,)),
            'as_strided() missing 3 required positional argument: "input", "size", "stride"',
        ),
        (lambda: x.put_(source=x), 'put_() missing 2 required positional argument: "index", "source"'),
        (
            lambda: torch.unsqueeze(dim=0),
            'unsqueeze() missing 2 required positional argument: "input", "dim"',
        ),
        (lambda: torch.tensor(t=1), 'tensor() missing 1 required positional arguments: "data"'),
        (lambda: torch.relu(x, x), "relu() takes 1 positional argument but 2 were given"),
        (lambda: torch.relu(x, foo=1), "relu() got an unexpected keyword argument 'foo'"),
        (lambda: torch.relu(x, input=x), "relu() got multiple values for argument 'input'"),
        (lambda: torch.zeros("a"), "zeros(): argument 'size' (position 1) must be tuple of ints, not str"),
        (
            lambda: torch.zeros(2, "a"),
            "zeros(): argument 'size' failed to unpack the object at pos 2 with error \"type must be tuple of ints,but got str\"",  # noqa: E501
        ),
        (lambda: torch.cat(x), "cat(): argument 'tensors' (position 1) must be tuple of Tensors, not Tensor"),
        (lambda: torch.cat([x, "a"]), "expected Tensor as element 1 in argument 0, but got str"),
        (lambda: torch.cat([x, x], dim="a"), "cat(): argument 'dim' must be int, not str"),
        (lambda: x.transpose(0), 'transpose() missing 1 required positional arguments: "dim1"'),
        (lambda: torch.ones(2, dtype="a"), "ones(): argument 'dtype' must be torch.dtype, not str"),
        (lambda: torch.ones(2, out=3), "ones(): argument 'out' must be Tensor, not int"),
        (lambda: torch.ones(2, requires_grad=1), "ones(): argument 'requires_grad' must be bool, not int"),
        (lambda: torch.eye(2.0), "eye(): argument 'n' (position 1) must be int, not float"),
        (
            lambda: torch.add(x),
            "add() received an invalid combination of arguments - got (Tensor), but expected "
            "(Tensor input, Tensor other, *, Number alpha = 1, Tensor out = None)",
        ),
        (
            lambda: torch.max(x, "a"),
            "max() received an invalid combination of arguments - got (Tensor, str), but expected one of:",
        ),
        (
            lambda: x.max(dim="a"),
            "max() received an invalid combination of arguments - got (dim=str, ), but expected one of:",
        ),
        (
            lambda: torch.remainder(2, 3),
            "remainder() received an invalid combination of arguments - got (int, int), but expected one of:",
        ),
        (
            lambda: torch.Tensor.add(3, x),
            "descriptor 'add' for 'torch._C.TensorBase' objects doesn't apply to a 'int' object",
        ),
        (lambda: torch.max(x, 0, out=(x,)), "expected tuple of 2 elements but got 1"),
    ],
)
def test_messages(call, message):
    with pytest.raises(TypeError) as error:
        call()
    assert str(error.value).split("\n")[0] == message


def test_operators_of_the_language():
    for bad in (lambda: x + "a", lambda: x + None, lambda: "a" * x, lambda: x @ 3, lambda: x < "a"):
        with pytest.raises(TypeError):
            bad()
    assert (x == None) is False and (x != [1]) is True  # noqa: E711
    two = torch.tensor([2.0, 4.0])
    assert (1 - two).tolist() == [-1, -3] and (8 / two).tolist() == [4, 2] and (2**two).tolist() == [4, 16]
    assert (7 % two).tolist() == [1, 3] and (9 // two).tolist() == [4, 2]
    ints = torch.tensor([1, 2])
    assert (4 >> ints).tolist() == [2, 1] and (3 & ints).tolist() == [1, 2] and (~ints).tolist() == [-2, -3]
    same = two
    two += 1
    two **= 2
    assert same is two and two.tolist() == [9, 25]


def test_numpys_names_and_spread_arguments():
    assert torch.sum(x, axis=0, keepdims=True).shape == (1, 3)
    assert torch.add(x1=x, x2=x).sum() == 12 and torch.add(input=x, other=1).sum() == 12
    assert x.view(3, 2).shape == x.view((3, 2)).shape == x.view(size=(3, 2)).shape == (3, 2)
    assert x.permute(1, 0).shape == (3, 2) and torch.ones(2, 3).shape == torch.ones([2, 3]).shape
    assert x.expand(torch.tensor(4), 2, 3).shape == (4, 2, 3)
    assert (
        torch.ones(2, dtype=float).dtype is torch.float64 and torch.zeros(2, dtype=bool).dtype is torch.bool
    )
    assert torch.ones(
        2, requires_grad=True, device="cpu", layout=torch.strided, pin_memory=False
    ).requires_grad


def test_numpy_numbers():
    np = pytest.importorskip("numpy")
    assert (
        (x * np.float32(2)).sum() == 12
        and (np.float64(2) * x).sum() == 12
        and x.sum(np.int64(0)).shape == (3,)
    )
    assert torch.zeros(np.int32(2), np.int64(3)).shape == (2, 3)


def test_results():
    r = torch.max(torch.tensor([[1.0, 3.0], [5.0, 2.0]]), dim=1)
    assert r.values.tolist() == [3, 5] and r.indices.tolist() == [1, 0] and r[0] is r.values
    assert repr(r) == "torch.return_types.max(\nvalues=tensor([3., 5.]),\nindices=tensor([1, 0]))"
    assert isinstance(torch.split(x, 1), tuple)


def test_out_and_inplace():
    out = torch.empty(0)
    assert torch.add(x, 1, out=out) is out and out.sum() == 12
    y = torch.ones(2)
    assert y.add_(1) is y and torch.relu_(y) is y
    with pytest.raises(
        RuntimeError,
        match="functions with out=... arguments don't support automatic differentiation",  # noqa: RUF043
    ):
        torch.add(torch.ones(2, requires_grad=True), 1, out=torch.empty(2))


def test_function_objects():
    import copy
    import pickle

    assert torch.add.__name__ == "add" and "Tensor other" in torch.add.__doc__
    assert (
        pickle.loads(pickle.dumps(torch.add)) is torch.add
        and copy.deepcopy(torch.Tensor.add) is torch.Tensor.add
    )

    class Holder:
        activation = torch.relu

    assert Holder().activation(torch.tensor([-1.0])).tolist() == [0.0]  # does not bind, as builtin functions


def test_keywords_of_input():
    x = torch.arange(4.0)
    for name in ("input", "x", "a", "x1"):
        assert torch.neg(**{name: x}).tolist() == [0, -1, -2, -3]
        assert torch.where(x > 1, other=torch.zeros(4), **{name: x}).tolist() == [0, 0, 2, 3]
        assert torch.linalg.vector_norm(ord=1, **{name: x}).item() == 6
        assert torch.polygamma(1, **{name: torch.ones(1)}).item() == pytest.approx(1.6449341)
    with pytest.raises(TypeError):
        torch.neg(self=x)
    with pytest.raises(TypeError):
        torch.where(x > 1, self=x, other=x)
    assert [t.tolist() for t in torch.split(tensor=x, split_size_or_sections=[1, 3])] == [[0], [1, 2, 3]]


X, Y, M = (lambda: torch.arange(4.0)), (lambda: torch.ones(4)), (lambda: torch.ones(2, 2))
OLD_ORDER = [
    (lambda: torch.add(X(), 2, Y()), [2, 3, 4, 5]),
    (lambda: torch.add(X(), 2, Y(), out=torch.zeros(4)), [2, 3, 4, 5]),
    (lambda: X().add_(torch.tensor(2.0), Y()), [2, 3, 4, 5]),
    (lambda: X().sub(2, Y()), [-2, -1, 0, 1]),
    (lambda: torch.addcmul(X(), 2, Y(), Y()), [2, 3, 4, 5]),
    (lambda: X().addcdiv_(-2, Y(), Y()), [-2, -1, 0, 1]),
    (lambda: torch.addmm(2, M(), 3, M(), M()), [[8, 8], [8, 8]]),
    (lambda: M().addmm_(2, M(), M()), [[4, 4], [4, 4]]),
    (lambda: M()[0].addmv(2, 3, M(), Y()[:2]), [8, 8]),
    (lambda: torch.addr(2, M(), Y()[:2], Y()[:2]), [[3, 3], [3, 3]]),
    (lambda: torch.baddbmm(2, M()[None], 3, M()[None], M()[None]), [[[8, 8], [8, 8]]]),
]


@pytest.mark.filterwarnings("ignore:This overload of")
@pytest.mark.parametrize(("call", "expected"), OLD_ORDER)
def test_old_order_of_numbers(call, expected):
    assert call().tolist() == expected


def test_old_order_takes_no_more():
    for call in (
        lambda: X().add(Y(), 2),
        lambda: X().add(2, Y(), 1),
        lambda: X().add(2, Y(), alpha=1),
        lambda: torch.mul(X(), 2, Y()),
        lambda: torch.addcmul(X(), Y(), 2, Y()),
    ):
        with pytest.raises(TypeError):
            call()
