"""Lazily conjugated and negated views, and complex32: read rightly by every operator, written through."""

import copy
import pickle

import pytest

import flambeau as fb


def number():
    return fb.tensor([[1 + 2j, 3 - 4j], [5 + 6j, -7 + 8j]])


def shares(a, b):
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


CONJUGATED = [[1 - 2j, 3 + 4j], [5 - 6j, -7 - 8j]]


@pytest.mark.parametrize(
    "view",
    [
        lambda c: c.view(4),
        lambda c: c.reshape(4),
        lambda c: c.flatten(),
        lambda c: c[0],
        lambda c: c[:, 1:],
        lambda c: c.expand(2, 2, 2),
        lambda c: c.broadcast_to(2, 2, 2),
        lambda c: c.T,
        lambda c: c.detach(),
        lambda c: c.contiguous(),
        lambda c: c.to(fb.complex64),
        lambda c: c.chunk(2)[1],
        lambda c: c.unbind()[0],
        lambda c: c.diagonal(),
        lambda c: c.movedim(0, 1),
    ],
)
def test_views_keep_the_conjugation(view):
    base = number()
    seen = view(base.conj())
    assert seen.is_conj() and shares(seen, base)
    assert seen.tolist() == view(fb.tensor(CONJUGATED)).tolist()


@pytest.mark.parametrize(
    "call",
    [
        lambda c: c + 1,
        lambda c: c * c,
        lambda c: c @ c,
        lambda c: fb.cat([c, c]),
        lambda c: c.abs(),
        lambda c: c.sum(),
        lambda c: c.exp(),
        lambda c: c[fb.tensor([1])],
        lambda c: fb.conj_physical(c),
        lambda c: fb.fft.fft(c),
        lambda c: c.clone(),
        lambda c: c.imag + 1,
        lambda c: c.imag.resolve_neg(),
        lambda c: c.to(fb.complex128),
        lambda c: fb.where(c.real > 2, c, 0),
    ],
)
def test_operators_read_what_is_meant(call):
    got, expected = call(number().conj()), call(fb.tensor(CONJUGATED))
    assert not got.is_conj() and not got.is_neg()
    fb.testing.assert_close(got, expected)


def test_twice_is_nothing():
    base = number()
    assert not base.conj().conj().is_conj() and shares(base.conj().conj(), base)
    turned = base.conj().mH
    assert not turned.is_conj() and turned.tolist() == base.T.tolist()
    real = fb.ones(2)
    assert real.conj() is real and real.resolve_conj() is real


def test_imaginary_part_is_negated():
    base = number()
    part = base.conj().imag
    assert part.is_neg() and shares(part, base) and part.tolist() == [[-2, 4], [-6, -8]]
    part.fill_(3)
    assert base.imag.tolist() == [[-3, -3], [-3, -3]]


@pytest.mark.parametrize(
    "write",
    [
        lambda c: c.mul_(1j),
        lambda c: c.fill_(2 + 1j),
        lambda c: c.copy_(fb.full((2, 2), 1 + 1j)),
        lambda c: c.__setitem__(0, 9 + 1j),
        lambda c: c.masked_fill_(c.real > 2, 1j),
        lambda c: c.conj_physical_(),
        lambda c: fb.add(fb.ones(2, 2), 1j, out=c),
        lambda c: fb.mm(number(), number(), out=c),
        lambda c: c.index_add_(0, fb.tensor([0]), fb.ones(1, 2, dtype=c.dtype)),
    ],
)
def test_writes_go_through(write):
    base, plain = number(), fb.tensor(CONJUGATED)
    write(base.conj())
    write(plain)
    assert base.conj().tolist() == plain.tolist()


def test_leaving_the_library():
    lazy = number().conj()
    with pytest.raises(RuntimeError, match="conjugate bit set"):
        lazy.numpy()
    with pytest.raises(RuntimeError, match="negative bit set"):
        lazy.imag.numpy()
    with pytest.raises(RuntimeError, match="unresolved conjugated"):
        fb.view_as_real(lazy)
    with pytest.raises(RuntimeError, match="conjugate view tensors"):
        lazy.view(fb.float32)
    for other in (
        pickle.loads(pickle.dumps(lazy)),
        copy.deepcopy(lazy),
        fb.from_numpy(lazy.numpy(force=True)),
    ):
        assert other.tolist() == CONJUGATED
    assert lazy[0, 0].item() == 1 - 2j and repr(lazy[0]) == "tensor([1.-2.j, 3.+4.j])"


def test_gradients():
    x = number().to(fb.complex128).requires_grad_()
    assert type(x.conj().grad_fn).__name__ == "ConjBackward0"
    assert fb.autograd.gradcheck(lambda t: t.conj() * t.mH, (x,))
    assert fb.autograd.gradcheck(lambda t: t.conj().imag * 2, (x,))

    def written(t):
        u = t * 1
        u.conj()[0].mul_(2 - 1j)
        return u * u

    assert fb.autograd.gradcheck(written, (x,))


def test_complex32():
    x = fb.tensor([1 + 2j, 3 - 4j], dtype=fb.complex32)
    assert x.dtype == fb.complex32 and x.tolist() == [1 + 2j, 3 - 4j]
    assert (x * x).dtype == fb.complex32 and (x * x).tolist() == [-3 + 4j, -7 - 24j]
    assert x.abs().dtype == fb.float16 and x.real.dtype == fb.float16
    assert fb.ones(2, dtype=fb.complex32).tolist() == [1, 1]
    assert fb.full((1,), 2 - 1j, dtype=fb.complex32).item() == 2 - 1j
    assert x.conj().tolist() == [1 - 2j, 3 + 4j] and x.eq(x).all() and x.cumsum(0).dtype == fb.complex32
    x.mul_(2)
    assert x.tolist() == [2 + 4j, 6 - 8j]
    assert (x + fb.ones(2)).dtype == fb.complex64
    x = x.clone().requires_grad_()
    (x * x).real.float().sum().backward()
    assert x.grad.dtype == fb.complex32 and x.grad.tolist() == [4 - 8j, 12 + 16j]
