import json

import pytest

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
