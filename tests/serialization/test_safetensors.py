import json
import struct

import pytest

import flambeau as fb
from flambeau.serialization.safetensors import load_file, load_metadata, save_file


def test_round_trip(tmp_path):
    tensors = {
        "a": fb.arange(6.0).reshape(2, 3),
        "view": fb.arange(6).reshape(2, 3).t(),
        "half": fb.ones(3, dtype=fb.bfloat16),
        "flag": fb.tensor([True]),
        "none": fb.empty(0, 4),
        "one": fb.tensor(3, dtype=fb.uint8),
    }
    path = tmp_path / "m.safetensors"
    save_file(tensors, path, {"format": "pt"})
    got = load_file(path)
    assert set(got) == set(tensors) and load_metadata(path) == {"format": "pt"}
    for name, tensor in tensors.items():
        assert (
            got[name].dtype == tensor.dtype
            and got[name].shape == tensor.shape
            and fb.equal(got[name], tensor)
        )


def test_bytes_of_the_format(tmp_path):
    header = {"x": {"dtype": "I32", "shape": [2], "data_offsets": [0, 8]}}
    text = json.dumps(header).encode()
    path = tmp_path / "a.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + struct.pack("<2i", 5, -6))
    assert load_file(path)["x"].tolist() == [5, -6]


@pytest.mark.parametrize(
    "entry",
    [
        {"dtype": "I32", "shape": [3], "data_offsets": [0, 12]},
        {"dtype": "I32", "shape": [2], "data_offsets": [4, 12]},
        {"dtype": "I32", "shape": [-2], "data_offsets": [0, 8]},
        {"dtype": "X9", "shape": [2], "data_offsets": [0, 8]},
        {"dtype": "I32", "shape": [2]},
        [],
    ],
)
def test_lies(tmp_path, entry):
    text = json.dumps({"x": entry}).encode()
    path = tmp_path / "bad.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"\0" * 8)
    with pytest.raises(ValueError, match=r"bad.safetensors"):
        load_file(path)
    path.write_bytes(b"\xff" * 20)
    with pytest.raises(ValueError, match=r"no safetensors file"):
        load_file(path)
