"""Which dtype two operands meet in."""

import pytest

import flambeau as fb

T = fb.tensor


@pytest.mark.parametrize(
    "a, b, want",
    [
        (T([1]), T([1.0]), fb.float32),
        (T([1]), 1.5, fb.float32),
        (T([1], dtype=fb.uint8), 1000, fb.uint8),
        (T([1], dtype=fb.uint8), T([1], dtype=fb.int8), fb.int16),
        (T([1.0], dtype=fb.float16), T([1.0], dtype=fb.bfloat16), fb.float32),
        (T([1.0], dtype=fb.float16), T(1.0, dtype=fb.float64), fb.float16),
        (T([1]), T(1.0, dtype=fb.float64), fb.float64),
        (T([True]), 1, fb.int64),
        (T([True]), T([True]), fb.bool),
        (T([1.0]), 1j, fb.complex64),
        (T([1.0], dtype=fb.float64), 1j, fb.complex128),
        (T([1.0], dtype=fb.float64), T([1j]), fb.complex128),
        (T([1.0], dtype=fb.bfloat16), T([1j]), fb.complex64),
    ],
)
def test_result_type(a, b, want):
    assert fb.result_type(a, b) is want
    assert (a * b).dtype is want


def test_promote_and_cast():
    assert fb.promote_types(fb.uint8, fb.int64) is fb.int64
    assert fb.promote_types(fb.int8, fb.bfloat16) is fb.bfloat16
    assert (
        fb.can_cast(fb.int32, fb.float16)
        and not fb.can_cast(fb.float16, fb.int64)
        and not fb.can_cast(fb.int8, fb.bool)
    )
    with pytest.raises(RuntimeError, match="Promotion for uint16, uint32, uint64 types is not supported"):
        fb.promote_types(fb.uint16, fb.int32)


def test_results_of_operators():
    i = fb.tensor([4, 9])
    assert (i / 2).dtype is fb.float32 and (i // 2).dtype is fb.int64 and i.sqrt().dtype is fb.float32
    assert (i > 2).dtype is fb.bool and fb.square(fb.tensor([True])).dtype is fb.int64
    assert fb.where(i > 5, 1, 2.5).dtype is fb.float32
    assert fb.clamp(i, 0.5).dtype is fb.float32
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        i += 0.5
