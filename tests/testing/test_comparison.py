"""assert_close and make_tensor: what is compared, and the messages."""

import math

import pytest

import flambeau as fb
from flambeau.testing import assert_close, make_tensor

A = fb.tensor([1.0, 2.0, 3.0])


def message(*args, **kwargs):
    with pytest.raises(AssertionError) as e:
        assert_close(*args, **kwargs)
    return str(e.value)


def test_equal_things_pass():
    assert_close(A, A + 1e-7)
    assert_close({"a": [A, 1]}, {"a": [A, 1]})
    assert_close(A * math.nan, A * math.nan, equal_nan=True)
    assert_close(None, None)
    assert_close(fb.tensor([1, 2]), fb.tensor([1.0, 2.0]), check_dtype=False)


def test_tensor_message():
    assert message(A, A + fb.tensor([0, 1.0, 0])) == (
        "Tensor-likes are not close!\n\n"
        "Mismatched elements: 1 / 3 (33.3%)\n"
        "Greatest absolute difference: 1.0 at index (1,) (up to 1e-05 allowed)\n"
        "Greatest relative difference: 0.3333333432674408 at index (1,) (up to 1.3e-06 allowed)"
    )
    assert message(A.long(), A.long() + 1).startswith("Tensor-likes are not equal!")


def test_number_and_container_messages():
    assert message([1.0, 2.0], [1.0, 3.0]) == (
        "Scalars are not close!\n\nExpected 3.0 but got 2.0.\n"
        "Absolute difference: 1.0 (up to 1e-07 allowed)\n"
        "Relative difference: 0.3333333333333333 (up to 1e-07 allowed)\n\n"
        "The failure occurred for item [1]"
    )
    assert message({"a": A}, {"b": A}) == (
        "The keys of the mappings do not match:\n"
        "Missing keys in the actual mapping: ['b']\n"
        "Additional keys in the actual mapping: ['a']"
    )
    assert message([A], [A, A]) == "The length of the sequences mismatch: 1 != 2"
    assert message(True, False) == "Booleans mismatch: True is not False"


@pytest.mark.parametrize(
    ("other", "text"),
    [
        (A[:2], "The values for attribute 'shape' do not match: torch.Size([3]) != torch.Size([2])."),
        (A.double(), "The values for attribute 'dtype' do not match: torch.float32 != torch.float64."),
    ],
)
def test_attributes(other, text):
    assert message(A, other) == text


def test_own_messages_and_bad_arguments():
    assert message(A, A + 1, msg="mine") == "mine"
    assert message(A, A + 1, msg=lambda m: "more: " + m).startswith("more: Tensor-likes")
    with pytest.raises(ValueError, match="must be either specified or omitted, but got no atol"):
        assert_close(A, A, rtol=0)
    with pytest.raises(TypeError, match="No comparison pair was able to handle inputs of type"):
        assert_close(A, [1.0, 2.0, 3.0])


def test_make_tensor():
    t = make_tensor(3, 4, dtype=fb.float32, device="cpu", low=2, high=3, requires_grad=True)
    assert list(t.shape) == [3, 4] and t.requires_grad and 2 <= t.min() <= t.max() <= 3
    assert not make_tensor((3, 4), dtype=fb.int8, device="cpu", noncontiguous=True).is_contiguous()
    assert (make_tensor(100, dtype=fb.int64, device="cpu", low=0, high=2, exclude_zero=True) != 0).all()
    assert make_tensor(5, dtype=fb.complex64, device="cpu").dtype is fb.complex64
    with pytest.raises(ValueError, match="`requires_grad=True` is not supported for boolean and integral"):
        make_tensor(2, dtype=fb.bool, device="cpu", requires_grad=True)


def test_numbers_of_make_tensor():
    fb.manual_seed(1)
    complex_ones = fb.testing.make_tensor((2,), dtype=fb.complex64, device="cpu")
    assert fb.allclose(complex_ones, fb.tensor([4.6373687 - 3.9724040j, -1.7447534 + 4.2243204j]))
    wide = fb.testing.make_tensor((2,), dtype=fb.float32, device="cpu", low=-1e40, high=1e40)
    assert fb.allclose(wide, fb.tensor([-3.2035435e38, 2.0407319e38]))
    with pytest.warns(FutureWarning, match="low==high"):
        same = fb.testing.make_tensor((2,), dtype=fb.float32, device="cpu", low=1, high=1)
    assert same.tolist() == [1.0, 1.0]


def test_tensors_without_data_are_compared_by_what_they_have():
    fb.testing.assert_close(fb.ones(2, device="meta"), fb.zeros(2, device="meta"))
    with pytest.raises(AssertionError):
        fb.testing.assert_close(fb.ones(2, device="meta"), fb.zeros(3, device="meta"))


def test_what_cannot_be_compared_is_named():
    with pytest.raises(TypeError, match=r"(?s)No comparison pair.*The failure occurred for item \[1\]"):
        fb.testing.assert_close([1, "a"], [1, "b"])
