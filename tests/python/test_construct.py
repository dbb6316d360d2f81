"""tensor(), as_tensor, asarray, from_numpy, buffers, DLPack, the old constructors."""

import ctypes

import numpy as np
import pytest

import flambeau as torch


@pytest.mark.parametrize(
    "data, dtype, shape",
    [
        (1, torch.int64, ()),
        (1.5, torch.float32, ()),
        (True, torch.bool, ()),
        (1j, torch.complex64, ()),
        ([], torch.float32, (0,)),
        ([[]], torch.float32, (1, 0)),
        ([1, 2.5, True], torch.float32, (3,)),
        ([True, 1], torch.int64, (2,)),
        (range(3), torch.int64, (3,)),
        (((1, 2), (3, 4)), torch.int64, (2, 2)),
        (np.float64(1), torch.float64, ()),
        (np.float32(1), torch.float32, ()),
        ([np.float64(1)], torch.float64, (1,)),
        ([np.int32(1), 2], torch.int64, (2,)),
        (np.ones((2, 1)), torch.float64, (2, 1)),
        ([np.ones(2), np.ones(2)], torch.float64, (2, 2)),
    ],
)
def test_inference(data, dtype, shape):
    t = torch.tensor(data)
    assert t.dtype is dtype and t.shape == shape


def test_values():
    assert torch.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert torch.tensor([1.5, -2.5], dtype=torch.int64).tolist() == [1, -2]
    assert torch.tensor([-1], dtype=torch.uint8).tolist() == [255]
    assert torch.tensor([0, 2], dtype=torch.bool).tolist() == [False, True]
    assert torch.tensor([torch.tensor(1), torch.tensor(2.5)]).tolist() == [1.0, 2.5]
    assert torch.tensor(2**64 - 1, dtype=torch.uint64).item() == 2**64 - 1
    assert torch.tensor([1.0], requires_grad=True).requires_grad


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: torch.tensor([[1, 2], [3]]), ValueError, "expected sequence of length 2 at dim 1 (got 1)"),
        (lambda: torch.tensor([[1, 2], 3]), TypeError, "not a sequence"),
        (lambda: torch.tensor(["a"]), ValueError, "too many dimensions 'str'"),
        (lambda: torch.tensor("a"), TypeError, "new(): invalid data type 'str'"),
        (lambda: torch.tensor(None), RuntimeError, "Could not infer dtype of NoneType"),
        (lambda: torch.tensor({}), RuntimeError, "Could not infer dtype of dict"),
        (
            lambda: torch.tensor([300], dtype=torch.uint8),
            RuntimeError,
            "value cannot be converted to type uint8 without overflow",
        ),
        (lambda: torch.tensor(2**64), ValueError, "Overflow when unpacking long long"),
        (lambda: torch.tensor(1j, dtype=torch.float), TypeError, "must be real number, not complex"),
        (
            lambda: torch.tensor([torch.ones(2)]),
            ValueError,
            "only one element tensors can be converted to Python scalars",
        ),
        (
            lambda: torch.tensor([1], dtype=3),
            TypeError,
            "tensor(): argument 'dtype' must be torch.dtype, not int",
        ),
        (lambda: torch.tensor([1], foo=3), TypeError, "tensor() got an unexpected keyword argument 'foo'"),
        (lambda: torch.tensor([1], [2]), TypeError, "tensor() takes 1 positional argument but 2 were given"),
        (lambda: torch.tensor(), TypeError, 'tensor() missing 1 required positional arguments: "data"'),
        (
            lambda: torch.tensor((1, 2), requires_grad=True),
            RuntimeError,
            "Only Tensors of floating point and complex dtype can require gradients",
        ),
        (lambda: torch.from_numpy(3), TypeError, "expected np.ndarray (got int)"),
        (
            lambda: torch.from_numpy(np.arange(3)[::-1]),
            ValueError,
            "At least one stride in the given numpy array is negative, and tensors with negative strides are not currently supported. "  # noqa: E501
            "(You can probably work around this by making a copy of your array  with array.copy().) ",
        ),
        (
            lambda: torch.from_numpy(np.array([1], dtype=">i4")),
            ValueError,
            "given numpy array has byte order different from the native byte order. Conversion between byte orders is currently not supported.",  # noqa: E501
        ),
        (lambda: torch.Tensor(2.5), TypeError, "new(): data must be a sequence (got float)"),
        (
            lambda: torch.frombuffer(bytearray(b""), dtype=torch.uint8),
            ValueError,
            "both buffer length (0) and count (-1) must not be 0",
        ),
        (
            lambda: torch.frombuffer(bytearray(b"abcde"), dtype=torch.int32),
            ValueError,
            "buffer length (5 bytes) after offset (0 bytes) must be a multiple of element size (4)",
        ),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error) as e:
        call()
    assert str(e.value).split("\n")[0] == message


def test_nested_without_end():
    a = []
    a.append(a)
    with pytest.raises((TypeError, ValueError)):
        torch.tensor(a)
    deep = 1
    for _ in range(200):
        deep = [deep]
    with pytest.raises((TypeError, ValueError)):
        torch.tensor(deep)


@pytest.mark.parametrize(
    "dtype",
    [
        "bool",
        "uint8",
        "int8",
        "int16",
        "int32",
        "int64",
        "uint16",
        "uint32",
        "uint64",
        "float16",
        "float32",
        "float64",
        "complex64",
        "complex128",
    ],
)
def test_numpy_shares_memory(dtype):
    a = np.arange(6).astype(dtype).reshape(2, 3)
    t = torch.from_numpy(a.T)
    assert t.dtype is getattr(torch, dtype) and t.stride() == (1, 3) and t.tolist() == a.T.tolist()
    back = t.numpy()
    assert np.shares_memory(a, back) and back.dtype == a.dtype and back.tolist() == a.T.tolist()
    t[0, 0] = 1
    assert a[0, 0] == 1
    assert np.array_equal(np.asarray(t), back)


def test_numpy_refusals():
    x = torch.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="Can't call numpy\\(\\) on Tensor that requires grad."):  # noqa: RUF043
        x.numpy()
    with pytest.raises(RuntimeError):
        np.asarray(x)
    assert x.numpy(force=True).tolist() == [1, 1]
    with pytest.raises(TypeError, match="Got unsupported ScalarType BFloat16"):
        torch.ones(1, dtype=torch.bfloat16).numpy()
    with pytest.raises(TypeError, match="can't convert np.ndarray of type numpy.object_"):  # noqa: RUF043
        torch.from_numpy(np.array([None]))


def test_memory_outlives_its_owner():
    t = torch.from_numpy(np.arange(1000))
    a = torch.arange(1000).numpy()
    assert t.sum() == 499500 and a.sum() == 499500


def test_buffers():
    t = torch.frombuffer(bytearray(b"\x01\x00\x02\x00"), dtype=torch.int16)
    assert (
        t.tolist() == [1, 2]
        and memoryview(t).tolist() == [1, 2]
        and bytes(memoryview(t)) == b"\x01\x00\x02\x00"
    )
    with pytest.raises(BufferError):
        memoryview(torch.ones(1, requires_grad=True))


def test_dlpack():
    a = np.arange(6.0).reshape(2, 3)
    t = torch.from_dlpack(a)
    assert t.tolist() == a.tolist() and np.shares_memory(np.from_dlpack(t), a)
    capsule = t.__dlpack__()
    assert torch.from_dlpack(capsule).shape == (2, 3)
    with pytest.raises(RuntimeError, match="consumed only once"):
        torch.from_dlpack(capsule)


@pytest.mark.parametrize(
    ("code", "bits", "lanes", "said"),
    [(17, 4, 1, "lanes 1"), (17, 4, 4, "lanes 4"), (1, 8, 2, "lanes != 1"), (17, 8, 2, "Unsupported")],
)
def test_dlpack_with_other_elements_is_refused(code, bits, lanes, said):
    """Half a byte each, as one type has it, would be read beyond its end."""
    capsule = torch.zeros(4, dtype=torch.uint8).__dlpack__()
    where = ctypes.pythonapi.PyCapsule_GetPointer
    where.restype, where.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    type_at = where(capsule, b"dltensor") + 20  # after the data, the device and the number of dimensions
    ctypes.memmove(type_at, bytes([code, bits, lanes, 0]), 4)
    with pytest.raises(RuntimeError, match=said):
        torch.from_dlpack(capsule)
    ctypes.memmove(type_at, bytes([17, 4, 2, 0]), 4)
    assert torch.from_dlpack(capsule).dtype is torch.float4_e2m1fn_x2


def test_old_constructors():
    assert (
        torch.Tensor(2, 3).shape == (2, 3)
        and torch.Tensor([1, 2]).tolist() == [1, 2]
        and torch.Tensor().shape == (0,)
    )
    assert torch.LongTensor([1]).dtype is torch.int64 and isinstance(torch.ones(1), torch.FloatTensor)
    assert (
        torch.ones(1).type() == "torch.FloatTensor" and torch.ones(1).type(torch.int32).dtype is torch.int32
    )
    assert torch.ones(1).new_tensor([1, 2]).dtype is torch.float32


def test_as_tensor_and_asarray():
    x = torch.ones(2)
    assert torch.as_tensor(x) is x and torch.asarray(x) is x and torch.asarray(x, copy=True) is not x
    a = np.ones(2)
    torch.as_tensor(a)[0] = 5
    assert a[0] == 5
    with pytest.raises(ValueError, match="can't alias arbitrary sequence into a tensor."):  # noqa: RUF043
        torch.asarray([1], copy=False)
