"""One Python object for one tensor, subclasses, garbage, attributes."""

import copy
import gc
import pickle
import weakref

import pytest

import flambeau as torch


class Sub(torch.Tensor):
    pass


def test_object_with_state_outlives_python():
    p = torch.nn.Parameter(torch.ones(2))
    p.note = "kept"
    y = (p * 2).sum()
    number = id(p)
    del p
    gc.collect()
    again = y.grad_fn.next_functions[0][0].next_functions[0][0].variable
    assert id(again) == number and type(again) is torch.nn.Parameter and again.note == "kept"


def test_cycles_are_collected():
    t = Sub([1.0, 2.0])
    t.itself = t
    gone = weakref.ref(t)
    del t
    gc.collect()
    assert gone() is None
    h = torch.ones(2, requires_grad=True)
    gone = weakref.ref(h)
    h.register_hook(lambda grad, h=h: None)
    del h
    gc.collect()
    assert gone() is None


def test_finalizer_sees_its_tensor():
    seen = []

    class Final(torch.Tensor):
        def __del__(self):
            seen.append(tuple(self.shape))

    t = Final([1.0, 2.0]).requires_grad_()
    y = t * 2
    del t
    assert seen == []
    del y
    gc.collect()
    assert (2,) in seen


def test_slots_of_subclasses():
    class Slotted(torch.Tensor):
        __slots__ = ("extra",)

    marker = Sub([1.0])
    gone = weakref.ref(marker)
    s = Slotted([1.0])
    s.extra = marker
    del s, marker
    gc.collect()
    assert gone() is None


def test_no_blocks_are_lost():
    def work():
        a = torch.ones(4, requires_grad=True)
        (a * 2 + 1).sum().backward()
        copy.deepcopy(a), a.detach().numpy(), a[1:], torch.tensor([[1, 2], [3, 4]])
        with pytest.raises(TypeError):
            torch.add(a, "x")

    work()
    gc.collect()
    before = torch._C._memory_stats()["live_blocks"]
    for _ in range(20):
        work()
    gc.collect()
    assert torch._C._memory_stats()["live_blocks"] == before


def test_attributes():
    x = torch.arange(6.0).reshape(2, 3).clone()
    assert (x.ndim, x.dtype, x.itemsize, x.nbytes, x.is_leaf, x.grad_fn, x.grad) == (
        2,
        torch.float32,
        4,
        24,
        True,
        None,
        None,
    )
    assert x.T.shape == (3, 2) and x.mT.stride() == (1, 3) and x.real is x
    assert x[0]._base is x and x[0]._is_view() and x.storage_offset() == 0 and x[1].storage_offset() == 3
    with pytest.raises(RuntimeError, match="imag is not implemented for tensors with non-complex dtypes."):  # noqa: RUF043
        _ = x.imag
    with pytest.raises(AttributeError, match="'Tensor' object has no attribute 'nothing'"):
        _ = x.nothing
    with pytest.raises(AttributeError):
        x.shape = (6,)


def test_setters():
    x = torch.ones(2)
    x.requires_grad = True
    x.grad = torch.ones(2)
    assert x.grad.tolist() == [1, 1]
    del x.grad
    assert x.grad is None
    for value, error in [
        (3, TypeError),
        (torch.ones(3), RuntimeError),
        (torch.ones(2).double(), RuntimeError),
        (x, RuntimeError),
    ]:
        with pytest.raises(error):
            x.grad = value
    with pytest.raises(
        RuntimeError, match="only Tensors of floating point and complex dtype can require gradients"
    ):
        torch.arange(2).requires_grad = True
    with pytest.raises(RuntimeError, match="you can only change requires_grad flags of leaf variables"):
        (x * 2).requires_grad = False
    y = torch.zeros(3)
    y.data = torch.arange(4)
    assert y.dtype is torch.int64 and y.tolist() == [0, 1, 2, 3]


def test_conversion_to_numbers():
    assert int(torch.tensor(3.7)) == 3 and float(torch.tensor(2)) == 2.0 and complex(torch.tensor(1j)) == 1j
    assert [1, 2, 3][torch.tensor(1)] == 2 and bool(torch.tensor([0])) is False
    assert torch.tensor([[1.5, 2.0]]).tolist() == [[1.5, 2.0]] and torch.zeros(0, 2).tolist() == []
    for convert, error in [(int, ValueError), (float, ValueError), (bool, RuntimeError), (len, None)]:
        if error:
            with pytest.raises(error):
                convert(torch.ones(2))
    with pytest.raises(TypeError, match="len\\(\\) of a 0-d tensor"):
        len(torch.tensor(1))


def test_copies_and_pickles():
    x = torch.arange(6.0).reshape(2, 3).t()
    for made in (copy.deepcopy(x), pickle.loads(pickle.dumps(x)), copy.copy(x)):
        assert made.stride() == (1, 3) and made.tolist() == x.tolist()
    a, b = pickle.loads(pickle.dumps([x, x[0]]))
    b[0] = 9
    assert a[0, 0] == 9  # still one storage
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(torch.ones(1, requires_grad=True) * 2)
    s = Sub([1.0, 2.0])
    s.tag = "t"
    again = pickle.loads(pickle.dumps(s))
    assert type(again) is Sub and again.tag == "t"


def test_storage():
    x = torch.tensor([1, 2], dtype=torch.int16)
    s = x.untyped_storage()
    assert s is x.untyped_storage() and len(s) == 4 and s.tolist() == [1, 0, 2, 0]
    s[0] = 7
    assert x.tolist() == [7, 2]
    s.resize_(8)
    assert torch.empty(0, dtype=torch.int16).set_(s, 0, (4,), (1,)).tolist()[:2] == [7, 2]
    with pytest.raises(IndexError, match="index 9 out of range for storage of size 8"):
        s[9]
    assert torch.FloatTensor([1, 2]).storage().tolist() == [1.0, 2.0]


def test_set_and_inplace_shapes():
    x = torch.arange(6)
    assert x.unsqueeze_(0).shape == (1, 6) and x.squeeze_().shape == (6,)
    m = torch.arange(6).reshape(2, 3)
    assert m.t_().tolist() == [[0, 3], [1, 4], [2, 5]]
    y = torch.ones(2, requires_grad=True)
    z = (y * 2).unsqueeze_(0)
    assert z.grad_fn.name().startswith("Unsqueeze")
    z.sum().backward()
    assert y.grad.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        y.unsqueeze_(0)
