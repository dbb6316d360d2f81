"""dtype, device, layout, memory_format, Size."""

import copy
import pickle

import pytest

import flambeau as torch


def test_dtype_facts():
    assert (
        repr(torch.float32) == "torch.float32" and torch.float is torch.float32 and torch.long is torch.int64
    )
    assert torch.float16.is_floating_point and not torch.int8.is_floating_point and torch.complex64.is_complex
    assert torch.int8.is_signed and not torch.uint8.is_signed and not torch.bool.is_signed
    assert [d.itemsize for d in (torch.bool, torch.bfloat16, torch.int32, torch.complex128)] == [1, 2, 4, 16]
    assert torch.float64.to_complex() is torch.complex128 and torch.complex64.to_real() is torch.float32
    with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for Int"):
        torch.int32.to_complex()


@pytest.mark.parametrize("constant", [torch.float32, torch.strided, torch.channels_last, torch.float8_e4m3fn])
def test_constants_are_unique(constant):
    assert copy.deepcopy(constant) is constant and pickle.loads(pickle.dumps(constant)) is constant


def test_dtype_without_kernels_says_so():
    with pytest.raises(NotImplementedError, match="bits8"):
        torch.zeros(2, dtype=torch.bits8)


def test_device():
    d = torch.device("cuda:1")
    assert (d.type, d.index, str(d), repr(d)) == ("cuda", 1, "cuda:1", "device(type='cuda', index=1)")
    assert torch.device("cuda", 1) == d == torch.device(type="cuda", index=1) and hash(
        torch.device("cuda", 1)
    ) == hash(d)
    assert (
        torch.device("cpu") != d and torch.device("cpu").index is None and pickle.loads(pickle.dumps(d)) == d
    )


@pytest.mark.parametrize(
    "text, message",
    [
        ("foo", "Expected one of cpu, cuda, .* device type at start of device string: foo"),
        ("cpu:x", "Invalid device string: 'cpu:x'"),
        ("", "Device string must not be empty"),
    ],
)
def test_device_errors(text, message):
    with pytest.raises(RuntimeError, match=message):
        torch.device(text)


def test_default_device_by_context():
    with torch.device("meta"):
        assert torch.zeros(2).is_meta and torch.tensor([1.0]).is_meta
    assert not torch.zeros(2).is_meta


def test_size():
    s = torch.ones(2, 3).shape
    assert s == (2, 3) and repr(s) == "torch.Size([2, 3])" and s.numel() == 6
    for joined in (s + (1,), (1,) + s, s[:1], s * 2, pickle.loads(pickle.dumps(s))):
        assert isinstance(joined, torch.Size)
    assert isinstance(s[0], int) and (1,) + s == (1, 2, 3)
    with pytest.raises(TypeError, match=r"torch.Size\(\) takes an iterable of 'int' \(item 1 is 'str'\)"):
        torch.Size((1, "a"))


def test_short_names_of_dtypes():
    names = (
        "float32",
        "bfloat16",
        "complex64",
        "int64",
        "uint8",
        "bool",
        "float8_e4m3fn",
        "bits8",
        "int4",
        "qint8",
    )
    expected = ["f32", "bf16", "c64", "i64", "u8", "b8", "f8e4m3fn", "b8x1", "int4", "qint8"]
    assert [getattr(torch, name).abbr for name in names] == expected


def test_devices_that_are_not_built_in_have_names():
    for name in ("mps", "xpu", "hpu", "xla", "privateuseone", "mtia", "ipu", "hip"):
        device = torch.device(name, 1)
        assert (device.type, device.index, str(device)) == (name, 1, f"{name}:1")
        assert repr(torch.device(name)) == f"device(type='{name}')"
        assert device == torch.device(f"{name}:1") != torch.device("cpu", 1)
        assert len({device, torch.device(f"{name}:1")}) == 1
        assert pickle.loads(pickle.dumps(device)) == device
        assert torch.ones(1).device != device
        with pytest.raises((AssertionError, NotImplementedError)):
            torch.ones(1, device=device)
    with pytest.raises(AssertionError, match="Torch not compiled with XPU enabled"):
        torch.ones(1).to("xpu")
    with pytest.raises(NotImplementedError, match=r"Could not run .aten::empty.memory_format. with .*MPS"):
        torch.empty(1, device="mps")
    with pytest.raises(RuntimeError, match=r"(?s)^Expected one of cpu, .* at start of device string: gpu$"):
        torch.device("gpu")


def test_functions_of_the_core_are_pickled_by_name():
    for f in (
        torch.relu, torch.nn.functional.gelu, torch.nn.functional.linear, torch.linalg.det, torch.special.erf,
    ):  # fmt: skip
        assert pickle.loads(pickle.dumps(f)) is f
