"""Checkpoints here and back, and files that PyTorch 2.13 wrote (files/)."""

import collections
import datetime
import io
import os
import pathlib
import pickle
import pickletools
import zipfile

import numpy as np
import pytest

import flambeau as fb
from flambeau import serialization

FILES = pathlib.Path(__file__).parent / "files"


def saved(obj, **kw):
    buffer = io.BytesIO()
    fb.save(obj, buffer, **kw)
    buffer.seek(0)
    return buffer


def around(obj, **kw):
    return fb.load(saved(obj, **kw))


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("name", ["zip.pt", "legacy.pt"])
def test_files_of_pytorch(name, weights_only):
    got = fb.load(FILES / name, weights_only=weights_only)
    assert got["base"].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    got["row"].fill_(-1)
    assert got["base"][1].tolist() == [-1.0] * 4 and got["t"].stride() == (1, 4) and got["t"][0, 1] == -1
    assert got["bf16"].dtype == fb.bfloat16 and got["bf16"].tolist() == [1.5, -2.0]
    assert got["bool"].tolist() == [True, False] and got["c"].item() == 1 + 2j
    assert got["scalar"].item() == 7 and got["scalar"].shape == () and got["empty"].shape == (0, 3)
    assert isinstance(got["param"], fb.nn.Parameter) and got["param"].requires_grad
    assert got["model"]._metadata[""] == {"version": 1} and list(got["model"]) == ["weight", "bias"]
    assert got["optim"]["state"][0]["momentum_buffer"].tolist() == [[1.0, 1.0]]
    assert got["plain"] == [1, 2.5, "a", b"x", (1, None), {3}]
    assert type(got["size"]) is fb.Size and got["dtype"] is fb.float16 and list(got["order"]) == ["b", "a"]
    if name == "zip.pt":
        assert got["u16"].tolist() == [1, 65535]


def test_pickles_look_as_pytorch_writes_them():
    archive = zipfile.ZipFile(saved(fb.nn.Parameter(fb.ones(2, 3))))
    operations = [
        (op.name, arg)
        for op, arg, _ in pickletools.genops(archive.read("archive/data.pkl"))
        if "PUT" not in op.name
    ]
    assert operations == [
        ("PROTO", 2),
        ("GLOBAL", "torch._utils _rebuild_parameter"),
        ("GLOBAL", "torch._utils _rebuild_tensor_v2"),
        ("MARK", None),
        ("MARK", None),
        ("BINUNICODE", "storage"),
        ("GLOBAL", "torch FloatStorage"),
        ("BINUNICODE", "0"),
        ("BINUNICODE", "cpu"),
        ("BININT1", 6),
        ("TUPLE", None),
        ("BINPERSID", None),
        ("BININT1", 0),
        ("BININT1", 2),
        ("BININT1", 3),
        ("TUPLE2", None),
        ("BININT1", 3),
        ("BININT1", 1),
        ("TUPLE2", None),
        ("NEWFALSE", None),
        ("GLOBAL", "collections OrderedDict"),
        ("EMPTY_TUPLE", None),
        ("REDUCE", None),
        ("TUPLE", None),
        ("REDUCE", None),
        ("NEWTRUE", None),
        ("BINGET", 9),
        ("EMPTY_TUPLE", None),
        ("REDUCE", None),
        ("TUPLE3", None),
        ("REDUCE", None),
        ("STOP", None),
    ]
    assert archive.read("archive/version") == b"3\n" and archive.read("archive/byteorder") == b"little"
    for info in archive.infolist():
        assert info.compress_type == zipfile.ZIP_STORED
        archive.fp.seek(info.header_offset + 26)
        name, extra = np.frombuffer(archive.fp.read(4), np.uint16)
        assert (info.header_offset + 30 + name + extra) % 64 == 0


@pytest.mark.parametrize("zipped", [True, False])
def test_shared_memory_stays_shared(zipped):
    x = fb.arange(6.0)
    one = fb.nn.Linear(2, 2)
    a, b, c, tied = around([x, x[2:4], x.view(2, 3), one.weight], _use_new_zipfile_serialization=zipped)
    b += 10
    assert a.tolist() == [0.0, 1.0, 12.0, 13.0, 4.0, 5.0] and c[0, 2] == 12
    assert fb.equal(tied, one.weight) and isinstance(tied, fb.nn.Parameter)


DTYPES = (
    "float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool complex64 complex128 uint16".split()
)


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype(name):
    x = fb.tensor([[0, 1], [1, 3]]).to(getattr(fb, name))
    y = around(x.t())
    assert y.dtype == x.dtype and y.stride() == (1, 2) and fb.equal(y.t(), x)


def test_plain_data_and_numpy():
    data = {
        "set": {1, 2},
        "frozen": frozenset([1]),
        "bytes": b"ab",
        "array": bytearray(b"c"),
        "complex": 1j,
        "big": -(10**40),
        "float": 1e300,
        "slice": slice(1, None),
        "none": None,
        "nested": [(1, [2, {"a": ()}])],
        "time": datetime.datetime(2020, 1, 2, tzinfo=datetime.UTC),
        "path": pathlib.PurePosixPath("a/b"),
        "default": collections.defaultdict(list, a=[1]),
        "deque": collections.deque([1, 2]),
        "counter": collections.Counter("aab"),
        "device": fb.device("cpu"),
        "ε": "ünï\ud800",
    }
    for protocol in (2, 3, 4, 5):
        assert around(data, pickle_protocol=protocol) == data
    arrays = [
        np.arange(6.0).reshape(2, 3).T,
        np.array([], ">i2"),
        np.array([1, 2], ">i4"),
        np.float32(2.5),
        np.bool_(True),
        np.array(["ab", "c"]),
        np.array([(1, 2.0)], [("a", "i4"), ("b", "f8")]),
        np.array([None, "x"], object),
        np.datetime64("2020-01-01", "D"),
        np.array(5),
    ]
    for protocol in (2, 4):
        for old, new in zip(arrays, around(arrays, pickle_protocol=protocol), strict=True):
            expected = pickle.loads(pickle.dumps(old, protocol))  # (it may change the byte order)
            assert type(old) is type(new) and expected.dtype == new.dtype and np.array_equal(old, new)


def test_attributes_and_flags():
    x = fb.ones(2)
    x.note = "kept"
    y = fb.ones(1, requires_grad=True)
    x2, y2, meta = around([x, y, fb.empty(2, 3, device="meta")])
    assert x2.note == "kept" and y2.requires_grad and meta.device.type == "meta" and meta.shape == (2, 3)


@pytest.mark.parametrize("zipped", [True, False])
def test_conjugated_tensors(zipped):
    x = fb.tensor([1 + 2j, 3 - 1j])
    y, same = around([x.conj(), x], _use_new_zipfile_serialization=zipped)
    assert y.tolist() == [1 - 2j, 3 + 1j] and same.tolist() == [1 + 2j, 3 - 1j]


def test_a_file_object_at_an_offset():
    buffer = io.BytesIO(b"header")
    buffer.seek(6)
    fb.save({"a": fb.ones(3)}, buffer)
    buffer.seek(6)
    assert fb.load(buffer)["a"].tolist() == [1.0] * 3
    legacy = io.BytesIO()
    for value in (1, fb.ones(2)):
        fb.save(value, legacy, _use_new_zipfile_serialization=False)
    legacy.seek(0)
    assert fb.load(legacy) == 1 and fb.load(legacy).tolist() == [1.0, 1.0]


def test_mmap(tmp_path):
    path = tmp_path / "m.pt"
    fb.save({"a": fb.arange(5), "b": fb.ones(2, dtype=fb.bfloat16)}, path)
    got = fb.load(path, mmap=True)
    got["a"][0] = 7  # a private copy: the file stays
    assert got["a"].tolist() == [7, 1, 2, 3, 4] and got["b"].tolist() == [1.0, 1.0]
    assert fb.load(path)["a"][0] == 0
    with pytest.raises(ValueError, match=r"f must be a file path in order to use the mmap argument"):
        fb.load(saved(1), mmap=True)
    fb.save(1, path, _use_new_zipfile_serialization=False)
    with pytest.raises(RuntimeError, match=r"mmap can only be used with files saved with"):
        fb.load(path, mmap=True)


def test_map_location():
    places = []

    def note(storage, place):
        places.append((type(storage).__name__, place))
        return storage

    buffer = saved([fb.ones(2), fb.zeros(1)])
    assert fb.load(buffer, map_location=note)[0].sum() == 2
    assert places == [("UntypedStorage", "cpu")] * 2
    for place in ("meta", fb.device("meta"), {"cpu": "meta"}):
        buffer.seek(0)
        assert fb.load(buffer, map_location=place)[0].device.type == "meta"
    if not fb.cuda.is_available():
        buffer.seek(0)
        with pytest.raises(
            RuntimeError, match=r"Attempting to deserialize object on a CUDA device but torch.cuda.is_av"
        ):
            fb.load(buffer, map_location="cuda")


def test_a_view_into_much_more_warns():
    with pytest.warns(UserWarning, match=r"uses 8 bytes is a view into 4000000 bytes.*clone\(\)"):
        saved(fb.zeros(1_000_000)[:2])


def test_whole_modules_need_trust():
    net = fb.nn.Sequential(fb.nn.Linear(2, 3), fb.nn.ReLU())
    buffer = saved(net)
    with pytest.raises(pickle.UnpicklingError, match=r"Unsupported global: GLOBAL torch.nn.modules"):
        fb.load(buffer)
    buffer.seek(0)
    again = fb.load(buffer, weights_only=False)
    assert repr(again) == repr(net) and fb.equal(again[0].weight, net[0].weight)


class Config:
    def __init__(self, value):
        self.value = value


def test_safe_globals():
    buffer = saved({"c": Config(3)})
    name = f"{__name__}.Config"
    assert serialization.get_unsafe_globals_in_checkpoint(buffer) == [name]
    buffer.seek(0)
    with pytest.raises(pickle.UnpicklingError) as caught:
        fb.load(buffer)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(
        "Weights only load failed. This file can still be loaded, to do so you have two options, "
    )
    assert f"add_safe_globals([{name}])" in str(caught.value)
    with serialization.safe_globals([Config]):
        buffer.seek(0)
        assert fb.load(buffer)["c"].value == 3
        assert serialization.get_safe_globals() == [Config]
    assert serialization.get_safe_globals() == []
    with serialization.safe_globals([(dict, name)]), pytest.raises(pickle.UnpicklingError):
        buffer.seek(0)
        fb.load(buffer)


def test_arguments():
    with pytest.raises(AttributeError, match=r"expected 'f' to be string, path, or a file-like object"):
        fb.save(1, 3)
    with pytest.raises(
        AttributeError, match=r"'int' object has no attribute 'seek'. You can only torch.load from a file"
    ):
        fb.load(3)
    with pytest.raises(
        RuntimeError, match=r"Can not safely load weights when explicit pickle_module is specified"
    ):
        fb.load(saved(1), pickle_module=pickle, weights_only=True)
    with pytest.raises(FileNotFoundError):
        fb.load("/no/such/file.pt")
    assert fb.load(saved(2), pickle_module=pickle) == 2


def test_environment_overrides(monkeypatch):
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "1")
    with pytest.raises(pickle.UnpicklingError):
        fb.load(saved(Config(1)), weights_only=None)
    monkeypatch.setenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", "0")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    assert fb.load(saved(Config(1))).value == 1


def test_training_state_round_trip(tmp_path):
    model = fb.nn.Linear(3, 2)
    optimizer = fb.optim.Adam(model.parameters(), lr=0.1)
    model(fb.ones(4, 3)).sum().backward()
    optimizer.step()
    fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3}, tmp_path / "c.pt")
    got = fb.load(tmp_path / "c.pt")
    other = fb.nn.Linear(3, 2)
    other.load_state_dict(got["model"])
    again = fb.optim.Adam(other.parameters())
    again.load_state_dict(got["optimizer"])
    for network, opt in ((model, optimizer), (other, again)):
        opt.zero_grad()
        network(fb.ones(4, 3)).pow(2).sum().backward()
        opt.step()
    assert fb.equal(model.weight, other.weight) and again.param_groups[0]["lr"] == 0.1
    assert os.listdir(tmp_path) == ["c.pt"]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_written_as_python_writes_them(protocol):
    shared = [1, -5, 1 << 70, 2.5, "a", "ä" * 70000, b"x", None, True, (), (1,), (1, 2, 3, 4), {}]
    value = {"one": shared, "two": shared, 3: (shared, "a")}
    shared.append(shared)
    data, _ = serialization.saving.pickler.dump(value, protocol)
    stream = io.BytesIO()
    pickle._Pickler(stream, protocol).dump(value)
    assert data == stream.getvalue()
    back = around(value, pickle_protocol=protocol)
    assert back["one"] is back["two"] is back[3][0] is back["one"][-1] and back["one"][:-1] == shared[:-1]
