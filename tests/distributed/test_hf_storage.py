import json

import pytest
from serialization.steps import at_every_step

import flambeau as fb
import flambeau.distributed.checkpoint as dcp
from flambeau.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_tensors_go_into_safetensors_files_and_back(tmp_path):
    state = {"a": fb.arange(6.0).reshape(2, 3), "b": fb.arange(4), "c": fb.ones(())}
    dcp.save(state, storage_writer=HuggingFaceStorageWriter(str(tmp_path), {"a": 1, "b": 2, "c": 2}))
    index = json.loads((tmp_path / "model.safetensors.index.json").read_text())
    two = "model-00002-of-00002.safetensors"
    assert index["weight_map"] == {"a": "model-00001-of-00002.safetensors", "b": two, "c": two}
    got = {name: fb.zeros_like(t) for name, t in state.items()}
    dcp.load(got, storage_reader=HuggingFaceStorageReader(str(tmp_path)))
    assert all(fb.equal(got[name], t) for name, t in state.items())


@pytest.mark.filterwarnings("ignore:torch.distributed is disabled")
def test_what_does_not_fit_is_refused(tmp_path):
    with pytest.raises(NotImplementedError, match="save_distributed"):
        HuggingFaceStorageWriter(str(tmp_path), save_distributed=True)
    with pytest.raises(dcp.CheckpointException, match="tensors only"):
        dcp.save({"n": 3}, storage_writer=HuggingFaceStorageWriter(str(tmp_path)))
    with pytest.raises(dcp.CheckpointException, match="no tensors"):
        dcp.load({"a": fb.ones(2)}, storage_reader=HuggingFaceStorageReader(str(tmp_path / "none")))


def test_no_file_moves_before_all_are_written(tmp_path):
    before = """
import flambeau as fb, flambeau.distributed.checkpoint as dcp
from flambeau.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
def save(value, files={"a": 1, "b": 2}):
    state = {"a": fb.full((2,), value), "b": fb.full((3,), value)}
    dcp.save(state, storage_writer=HuggingFaceStorageWriter(folder, files), no_dist=True)
save(1.0, {})
"""
    look = """
into = {"a": fb.zeros(2), "b": fb.zeros(3)}
dcp.load(into, storage_reader=HuggingFaceStorageReader(folder), no_dist=True)
seen = [*into["a"].tolist(), *into["b"].tolist()]
"""
    for how, at, code, seen, _ in at_every_step(tmp_path, before, "save(2.0)", look):
        assert seen == [2.0] * 5 if code in (0, 3) else seen in ([1.0] * 5, [2.0] * 5), (how, at)


def test_the_index_says_which_files_count(tmp_path):
    for value, files in ((1.0, {"a": 2}), (2.0, {})):
        writer = HuggingFaceStorageWriter(str(tmp_path), files)
        dcp.save({"a": fb.full((2,), value)}, storage_writer=writer, no_dist=True)
    got = {"a": fb.zeros(2)}
    dcp.load(got, storage_reader=HuggingFaceStorageReader(str(tmp_path)), no_dist=True)
    assert got["a"].tolist() == [2.0, 2.0]
    (tmp_path / "model.safetensors.index.json").write_text('{"weight_map": {"a": "../x"}}')
    with pytest.raises(dcp.CheckpointException, match=r"index\.json is damaged"):
        dcp.load(got, storage_reader=HuggingFaceStorageReader(str(tmp_path)), no_dist=True)
