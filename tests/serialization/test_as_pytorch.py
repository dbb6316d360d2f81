"""What a file must look like for PyTorch to read it, and what PyTorch writes that is rarely seen."""

import io
import mmap
import pickle
import struct
import zipfile
from pathlib import Path

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.utils.serialization import config


def saved(obj, **kw):
    buffer = io.BytesIO()
    fb.save(obj, buffer, **kw)
    buffer.seek(0)
    return buffer


def pickled(obj):
    return zipfile.ZipFile(saved(obj)).read("archive/data.pkl")


def globals_of(obj):
    import pickletools

    return [arg for op, arg, _ in pickletools.genops(pickled(obj)) if op.name == "GLOBAL"]


@pytest.mark.parametrize("kind", ["coo", "csr", "csc"])
def test_sparse_tensors_are_written_as_pytorch_does(kind):
    tensor = getattr(fb.tensor([[0.0, 1], [2, 0]]), {"coo": "to_sparse"}.get(kind, f"to_sparse_{kind}"))()
    names = globals_of(tensor)
    assert "torch._utils _rebuild_sparse_tensor" in names and not any("SparseTensor" in n for n in names)
    back = fb.load(saved(tensor))
    assert back.layout == tensor.layout and back.to_dense().tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize("zipped", [True, False])
def test_storages_beside_tensors(zipped):
    tensor = fb.arange(3.0)
    typed = tensor.storage()
    loop = [tensor, typed, {"u": tensor.untyped_storage()}]
    loop.append(loop)
    back = fb.load(saved(loop, _use_new_zipfile_serialization=zipped))
    assert type(back[1]) is fb.TypedStorage and back[1].tolist() == [0, 1, 2] and back[3] is back
    assert isinstance(back[2]["u"], fb.UntypedStorage)
    back[0][0] = 9
    assert back[1][0] == 9
    assert "torch.storage" not in " ".join(globals_of(fb.FloatStorage(2)))


def test_a_conjugate_stays_a_view():
    back = fb.load(saved(fb.tensor([1 + 2j]).conj()))
    assert back.is_conj() and back.tolist() == [1 - 2j]


def test_names_of_functions_and_schedulers():
    assert "torch.nn.functional relu" in globals_of(nn.TransformerEncoderLayer(4, 2, 8))
    scheduler = fb.optim.lr_scheduler.StepLR(fb.optim.SGD([nn.Parameter(fb.ones(1))], 0.1), 2)
    assert "torch.optim.lr_scheduler StepLR" in globals_of(scheduler)
    with fb.serialization.safe_globals([fb.optim.lr_scheduler.StepLR]):
        with pytest.raises(pickle.UnpicklingError, match=r"optim.sgd.SGD was not an allowed global"):
            fb.load(saved(scheduler))


def test_recurrent_layers_carry_the_list_that_pytorch_reads():
    assert b"_flat_weights" in pickled(nn.LSTM(2, 3))
    back = fb.load(saved(nn.LSTM(2, 3)), weights_only=False)
    assert "_flat_weights" not in back.__dict__ and back(fb.ones(4, 2))[0].shape == (4, 3)


def test_lazy_parameters():
    state = nn.LazyLinear(3).state_dict()
    back = fb.load(saved(state), weights_only=False)
    assert repr(back["weight"]) == "<UninitializedParameter>"
    with pytest.raises(
        pickle.UnpicklingError, match=r"nn.parameter.UninitializedParameter was not an allowed"
    ):
        fb.load(saved(state))


def without_checksums(content):
    """The archive as it is written by ``set_crc32_options(False)`` of PyTorch: 0 for each."""
    content = bytearray(content)
    for signature, field in ((b"PK\x03\x04", 14), (b"PK\x01\x02", 16)):
        at = content.find(signature)
        while at >= 0:
            struct.pack_into("<I", content, at + field, 0)
            at = content.find(signature, at + 4)
    return bytes(content)


def test_files_without_checksums():
    content = without_checksums(saved({"a": fb.arange(3)}).getvalue())
    assert fb.load(io.BytesIO(content))["a"].tolist() == [0, 1, 2]


def test_a_file_mapped_for_writing_stays_readable(tmp_path):
    path = tmp_path / "a.pt"
    fb.save({"a": fb.arange(3.0), "b": fb.ones(2)}, path)
    with fb.serialization.set_default_mmap_options(mmap.MAP_SHARED), config.patch("load.mmap", True):
        fb.load(path)["a"].fill_(7)
    back = fb.load(path)
    assert back["a"].tolist() == [7, 7, 7] and back["b"].tolist() == [1, 1]


def test_skip_data():
    with fb.serialization.skip_data():
        file = saved(fb.ones(3))
    assert fb.load(file).tolist() == [0, 0, 0] and fb.load(saved(fb.ones(3))).tolist() == [1, 1, 1]


def test_settings():
    assert not config.load.mmap and config.save.compute_crc32
    with config.patch({"load.mmap": True, "save.compute_crc32": False}):
        assert config.load.mmap and not fb.serialization.get_crc32_options()
    assert not config.load.mmap and fb.serialization.get_crc32_options()


def test_mistakes_of_the_caller_are_told_as_such():
    with pytest.raises(TypeError, match="'int' object is not callable"):
        fb.load(saved(fb.ones(1)), map_location=3)
    with pytest.raises(TypeError, match="a storage is needed"):
        fb.load(saved(fb.ones(1)), map_location=lambda storage, place: "cpu")
    with pytest.raises(KeyError, match="mine"):
        fb.load(saved(fb.ones(1)), map_location=lambda storage, place: {}["mine"])
    with pytest.raises(TypeError, match="unexpected keyword argument 'foo'"):
        fb.load(saved(fb.ones(1)), foo=1)
    with pytest.raises(TypeError, match="bytes-like object is required, not 'str'"):
        fb.load(io.StringIO("abc"))
    # Python 3.14 has another class for it
    with pytest.raises((AttributeError, pickle.PicklingError), match="Can't pickle local object"):
        fb.save(lambda: 1, io.BytesIO())


def test_what_is_not_there_is_named():
    content = b"\x80\x02ctorch._utils\n_rebuild_wrapper_subclass\n."
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("a/data.pkl", content)
        archive.writestr("a/version", "3\n")
    with pytest.raises(NotImplementedError, match="wrapper subclasses of tensors: save plain tensors"):
        fb.load(io.BytesIO(buffer.getvalue()))


def test_a_reader_that_can_only_read_lines_and_bytes():
    class Reader:
        def __init__(self, data):
            file = io.BytesIO(data)
            self.read, self.seek, self.tell, self._line = file.read, file.seek, file.tell, file.readline

        def readline(self):
            return self._line()

    for zipped in (True, False):
        data = saved(fb.ones(2), _use_new_zipfile_serialization=zipped).getvalue()
        assert fb.load(Reader(data)).tolist() == [1, 1]


def test_an_untyped_storage_of_a_file(tmp_path):
    path = tmp_path / "bytes"
    path.write_bytes(bytes(range(16)))
    storage = fb.UntypedStorage.from_file(str(path), False, 16)
    assert list(storage) == list(range(16))
    assert fb.asarray(storage[4:8], dtype=fb.uint8).view(fb.int32).item() == 0x07060504
    storage[0] = 9
    assert path.read_bytes()[0] == 0
    with pytest.raises(RuntimeError, match="size <16> is smaller than the required mapping size <17>"):
        fb.UntypedStorage.from_file(str(path), nbytes=17)
    with pytest.raises(RuntimeError, match="unable to open file"):
        fb.UntypedStorage.from_file(str(tmp_path / "none"))


def test_a_plain_pickle_of_pytorch_is_read():
    with fb.install_as_torch(), open(Path(__file__).parent / "files" / "plain.pkl", "rb") as file:
        found = pickle.load(file)
    assert found["t"].tolist() == [[0, 3], [1, 4], [2, 5]] and found["t"].stride() == (1, 3)
    assert isinstance(found["p"], nn.Parameter) and found["p"].requires_grad
    assert found["bf"].dtype is fb.bfloat16 and found["bf"].tolist() == [1, 1]
    assert found["sp"].layout is fb.sparse_coo and found["csr"].layout is fb.sparse_csr
    assert isinstance(found["buf"], nn.Buffer) and found["buf"].tolist() == [1]
    assert found["add"] is fb.add and found["mf"] is fb.channels_last
    assert found["mx"].indices.tolist() == [0, 1]
    assert found["lin"](fb.ones(1, 2)).shape == (1, 1)


def test_a_plain_pickle_is_read_with_ones_own_loader():
    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            if (module, name) == ("torch.storage", "_load_from_bytes"):
                return lambda b: fb.load(io.BytesIO(b), map_location="cpu", weights_only=False)
            return super().find_class(module, name)

    with fb.install_as_torch(), open(Path(__file__).parent / "files" / "plain.pkl", "rb") as file:
        assert Unpickler(file).load()["t"].shape == (3, 2)


def test_storages_given_to_the_functions_of_checkpoints():
    made = fb._utils._rebuild_tensor_v2(fb.FloatStorage([1, 2, 3, 4]), 1, (3,), (1,), False, {})
    assert made.tolist() == [2, 3, 4]
    made = fb._utils._rebuild_tensor_v3(fb.ones(2).untyped_storage(), 0, (2,), (1,), True, {}, fb.float32)
    assert made.tolist() == [1, 1] and made.requires_grad
