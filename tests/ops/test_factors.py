"""The factors of products that are added, `beta` and `alpha`; what messages call the types of elements."""

import re

import pytest

import flambeau as fb

M, B, V = fb.ones(2, 2), fb.ones(1, 2, 2), fb.ones(2)
ADDED = {
    "addmm": (M, M, M),
    "addbmm": (M, B, B),
    "baddbmm": (B, B, B),
    "addmv": (V, M, V),
    "addr": (M, V, V),
}


@pytest.mark.parametrize("name", ADDED)
@pytest.mark.parametrize("factor", ["alpha", "beta"])
@pytest.mark.parametrize(
    ("dtype", "number", "called"),
    [
        (fb.uint8, 300, "uint8_t"),
        (fb.int8, 200, "int8_t"),
        (fb.int16, 40000, "int16_t"),
        (fb.float32, 1e39, "float"),
        (fb.float32, 2 + 1j, "float"),
        (fb.float64, 2 + 1j, "double"),
        (fb.complex64, 1e39, "c10::complex<float>"),
    ],
)
def test_a_factor_that_the_type_cannot_hold_is_refused(name, factor, dtype, number, called):
    args = [t.to(dtype) for t in ADDED[name]]
    with pytest.raises(RuntimeError) as error:
        getattr(fb, name)(*args, **{factor: number})
    assert f"{error.value}" == f"value cannot be converted to type {called} without overflow"


@pytest.mark.parametrize("name", ADDED)
def test_halves_take_the_factors_of_what_they_are_computed_in(name):
    args = [t.bfloat16() for t in ADDED[name]]
    called = "c10::BFloat16" if name in ("addmv", "addr") else "float"
    with pytest.raises(RuntimeError, match=f"to type {called} without"):
        getattr(fb, name)(*args, alpha=1e39)


@pytest.mark.parametrize("name", ADDED)
def test_complex_factors_without_imaginary_part(name):
    """They are real ones for real elements, in the derivative too."""
    args = [t.clone().requires_grad_() for t in ADDED[name]]
    result = getattr(fb, name)(*args, beta=3 + 0j, alpha=2 + 0j)
    plain = getattr(fb, name)(*ADDED[name], beta=3, alpha=2)
    assert result.dtype is fb.float32 and fb.equal(result, plain)
    result.sum().backward()
    assert fb.equal(args[0].grad, fb.full_like(args[0], 3))
    assert all(t.grad.dtype is fb.float32 for t in args)
    integers = [t.int() for t in ADDED[name]]
    if name != "addr":
        assert fb.equal(getattr(fb, name)(*integers, alpha=2 + 0j), getattr(fb, name)(*integers, alpha=2))


def test_truth_values_are_no_factors_of_outer_products():
    for factor in ("alpha", "beta"):
        with pytest.raises(RuntimeError, match=f"Boolean {factor} only supported for Boolean results"):
            fb.addr(M, V, V, **{factor: True})
    assert fb.addr(M.bool(), V.bool(), V.bool(), alpha=True).all()


@pytest.mark.parametrize(
    ("dtype", "called"),
    [
        (fb.uint8, "unsigned char"),
        (fb.int8, "signed char"),
        (fb.int16, "short int"),
        (fb.int32, "int"),
        (fb.int64, "long int"),
        (fb.uint16, "short unsigned int"),
        (fb.float16, "c10::Half"),
        (fb.bfloat16, "c10::BFloat16"),
        (fb.complex128, "c10::complex<double>"),
        (fb.float8_e5m2, "c10::Float8_e5m2"),
    ],
)
def test_all_messages_call_a_type_the_same(dtype, called):
    x = fb.zeros(2, 2, dtype=dtype)
    calls = [
        lambda: fb.lerp(x, fb.zeros(2, 2), 0.5),
        lambda: fb.nn.functional.conv1d(fb.ones(1, 1, 3), fb.ones(1, 1, 1), fb.zeros(1, dtype=dtype)),
        lambda: fb.zeros(2, 2).masked_fill(x, 1),
        lambda: setattr(fb.zeros(2, 2), "grad", x),
    ]
    if dtype is not fb.float8_e5m2:
        calls.append(lambda: fb.mm(x, fb.zeros(2, 2)))
    told = rf"(dtype:? |type \(|'|got: ){re.escape(called)}( for| !=|\)|'|$)"
    for call in calls:
        with pytest.raises(RuntimeError, match=told):
            call()


def test_float8_has_no_trace():
    with pytest.raises(NotImplementedError, match="\"trace\" not implemented for 'Float8_e5m2'"):
        fb.trace(fb.ones(2, 2).to(fb.float8_e5m2))


def test_split_has_the_names_of_its_own():
    x = fb.arange(6)
    for call in (x.split, x.unsafe_split):
        with pytest.raises(TypeError):
            call(indices_or_sections=2)
    assert len(x.split(split_size=2)) == len(fb.split(x, split_size_or_sections=2)) == 3
    assert len(fb.hsplit(x, indices_or_sections=2)) == len(x.tensor_split(indices_or_sections=2)) == 2
