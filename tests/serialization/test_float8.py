"""Tensors of float8 in files, copies and batches."""

import copy
import io
import pickle

import pytest

import flambeau as fb
from flambeau.serialization import safetensors

DTYPES = [
    fb.float8_e5m2, fb.float8_e4m3fn, fb.float8_e5m2fnuz, fb.float8_e4m3fnuz, fb.float8_e8m0fnu,
    fb.float4_e2m1fn_x2,
]  # fmt: skip


def same(a, b):
    bytes_a, bytes_b = (t.contiguous().view(fb.uint8).tolist() for t in (a, b))
    return (a.dtype, a.shape, a.stride(), bytes_a) == (b.dtype, b.shape, b.stride(), bytes_b)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("as_zip", [True, False])
def test_files(dtype, as_zip):
    whole = fb.arange(256).to(fb.uint8).view(dtype).view(16, 16)
    file = io.BytesIO()
    fb.save({"whole": whole, "view": whole.t()[3:, 2:]}, file, _use_new_zipfile_serialization=as_zip)
    file.seek(0)
    read = fb.load(file)
    assert same(read["whole"], whole) and same(read["view"], whole.t()[3:, 2:])
    assert read["view"].untyped_storage().data_ptr() == read["whole"].untyped_storage().data_ptr()
    for again in (pickle.loads(pickle.dumps(whole)), copy.deepcopy(whole), copy.copy(whole)):
        assert same(again, whole)


def test_networks():
    net = fb.nn.Sequential(fb.nn.Linear(3, 2), fb.nn.ReLU()).to(fb.float8_e4m3fn)
    state = net.state_dict()
    assert {t.dtype for t in state.values()} == {fb.float8_e4m3fn}
    other = fb.nn.Sequential(fb.nn.Linear(3, 2), fb.nn.ReLU())
    other.load_state_dict(state)
    assert fb.equal(other[0].weight, state["0.weight"].float())
    assert copy.deepcopy(net)[0].weight.dtype is fb.float8_e4m3fn
    with pytest.raises(NotImplementedError, match="check_uniform_bounds"):
        fb.nn.Linear(2, 2, dtype=fb.float8_e5m2)


def test_storages_and_batches():
    x = fb.tensor([1.5, -2.0]).to(fb.float8_e5m2)
    assert x.untyped_storage().nbytes() == 2 and x.storage().dtype is fb.float8_e5m2 and x.storage()[1] == -2
    batch = fb.utils.data.default_collate([x, x])
    assert batch.dtype is x.dtype and batch.tolist() == [[1.5, -2]] * 2
    assert x.clone().share_memory_().is_shared()


@pytest.mark.parametrize("dtype", [fb.float8_e5m2, fb.float8_e4m3fn, fb.float8_e8m0fnu], ids=str)
def test_safetensors(tmp_path, dtype):
    path = tmp_path / "x.safetensors"
    x = fb.arange(12).to(fb.uint8).view(dtype).view(3, 4)
    safetensors.save_file({"x": x, "wide": fb.ones(2)}, path)
    kind = {fb.float8_e5m2: b'"F8_E5M2"', fb.float8_e4m3fn: b'"F8_E4M3"', fb.float8_e8m0fnu: b'"F8_E8M0"'}[
        dtype
    ]
    assert kind in path.read_bytes()
    assert same(safetensors.load_file(path)["x"], x)


def test_programs():
    def forward(x):
        return x.to(fb.float8_e5m2).float() + x.to(fb.float8_e8m0fnu).float()

    x, file = fb.tensor([1.1, 2.3, 7.0]), io.BytesIO()
    expected = forward(x)
    assert fb.equal(fb.compile(forward)(x), expected)
    fb.jit.save(fb.jit.trace(forward, (x,)), file)
    file.seek(0)
    assert fb.equal(fb.jit.load(file)(x), expected)


def test_onnx():
    pytest.importorskip("onnx.checker")  # a folder of tests has the package's name
    onnx = pytest.importorskip("onnx")

    class Net(fb.nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("w", fb.tensor([1.5, -2, 0.25]).to(fb.float8_e4m3fn))

        def forward(self, x):
            return x * self.w.float(), x.to(fb.float8_e5m2)

    model = fb.onnx.export(Net(), (fb.ones(3),), dynamo=True).model_proto
    onnx.checker.check_model(model)
    assert [i.data_type for i in model.graph.initializer] == [onnx.TensorProto.FLOAT8E4M3FN]
    assert [o.type.tensor_type.elem_type for o in model.graph.output] == [1, onnx.TensorProto.FLOAT8E5M2]
    product, narrow = fb.onnx.load(model)(fb.ones(3))
    assert product.tolist() == [1.5, -2, 0.25] and narrow.dtype is fb.float8_e5m2
