"""Checkpoints of several processes."""

import copy
import functools
import json

import pytest
from serialization.steps import at_every_step

import flambeau as fb
import flambeau.distributed.checkpoint as dcp
from flambeau import nn
from flambeau.distributed.checkpoint.format_utils import dcp_to_torch_save, torch_save_to_dcp
from flambeau.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_state_dict,
)
from flambeau.distributed.device_mesh import init_device_mesh
from flambeau.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor, zeros


def saved(rank, size, path):
    mesh = init_device_mesh("cpu", (size,))
    x = fb.arange(15.0).reshape(5, 3)
    values = {
        "a": distribute_tensor(x, mesh, [Shard(0)]),
        "inner": {"b": distribute_tensor(x, mesh, [Replicate()]), "c": x + 1},
        "step": 3,
        "names": ["x", "y"],
    }
    dcp.save(values, checkpoint_id=path)
    into = {
        "a": zeros(5, 3, device_mesh=mesh, placements=[Shard(1)]),
        "inner": {"b": fb.zeros(5, 3), "c": zeros(5, 3, device_mesh=mesh, placements=[Shard(0)])},
        "step": 0,
        "names": None,
    }
    dcp.load(into, checkpoint_id=path)
    assert fb.equal(into["a"].full_tensor(), x) and fb.equal(into["inner"]["b"], x)
    assert (
        fb.equal(into["inner"]["c"].full_tensor(), x + 1)
        and into["step"] == 3
        and into["names"] == ["x", "y"]
    )
    with pytest.raises(dcp.CheckpointException, match=r"CheckpointException ranks:dict_keys\(\[0, 1\]\)"):
        dcp.load({"zz": fb.ones(2)}, checkpoint_id=path)


def test_two_processes(together, tmp_path):
    together(functools.partial(saved, path=tmp_path / "c"))
    assert sorted(p.name for p in (tmp_path / "c").iterdir()) == [".metadata", "__0_0.distcp", "__1_0.distcp"]
    into = {"a": fb.zeros(5, 3)}  # one process reads what two wrote
    dcp.load(into, checkpoint_id=tmp_path / "c", no_dist=True)
    assert fb.equal(into["a"], fb.arange(15.0).reshape(5, 3))


def test_errors(tmp_path):
    where = tmp_path / "c"
    dcp.save({"m": {"w": fb.ones(3)}}, checkpoint_id=where, no_dist=True)
    into = {"m": {"w": fb.zeros(3)}, "other": fb.zeros(2)}
    with pytest.raises(dcp.CheckpointException, match=r"Missing key in checkpoint state_dict: other\."):
        dcp.load(into, checkpoint_id=where, no_dist=True)
    assert into["m"]["w"].tolist() == [0.0] * 3
    dcp.load(into, checkpoint_id=where, planner=dcp.DefaultLoadPlanner(allow_partial_load=True), no_dist=True)
    assert into["m"]["w"].tolist() == [1.0] * 3
    with pytest.raises(dcp.CheckpointException, match="Size mismatch between saved"):
        dcp.load({"m": {"w": fb.zeros(4)}}, checkpoint_id=where, no_dist=True)
    with pytest.raises(dcp.CheckpointException, match=r"overwrite=False"):
        dcp.save({}, storage_writer=dcp.FileSystemWriter(where, overwrite=False), no_dist=True)
    (where / ".metadata").write_bytes(b"\x80\x04.")
    with pytest.raises(dcp.CheckpointException, match="PyTorch's own format"):
        dcp.load(into, checkpoint_id=where, no_dist=True)


def test_model_and_optimizer(tmp_path):
    model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))
    optimizer = fb.optim.AdamW(model.parameters(), lr=0.1)
    model(fb.randn(5, 4)).sum().backward()
    optimizer.step()
    weights, state = get_state_dict(model, optimizer)
    assert list(weights)[:2] == ["0.weight", "0.bias"] and list(state) == ["state", "param_groups"]
    assert list(state["state"]["0.weight"]) == ["step", "exp_avg", "exp_avg_sq"]
    flat = get_optimizer_state_dict(
        model, optimizer, options=StateDictOptions(flatten_optimizer_state_dict=True)
    )
    assert list(flat)[:2] == ["state.0.weight.step", "state.0.weight.exp_avg"]
    dcp.save({"model": weights, "optim": state}, checkpoint_id=tmp_path / "c", no_dist=True)
    other = copy.deepcopy(model)
    again = fb.optim.AdamW(other.parameters(), lr=0.7)
    with fb.no_grad():
        for p in other.parameters():
            p.zero_()
    weights, state = get_state_dict(other, again)
    dcp.load({"model": weights, "optim": state}, checkpoint_id=tmp_path / "c", no_dist=True)
    set_state_dict(other, again, model_state_dict=weights, optim_state_dict=state)
    assert fb.equal(other[0].weight, model[0].weight) and again.param_groups[0]["lr"] == 0.1
    mine, theirs = (o.state[m[2].bias]["exp_avg"] for o, m in ((optimizer, model), (again, other)))
    assert fb.equal(mine, theirs)
    dcp_to_torch_save(tmp_path / "c", tmp_path / "one.pt")
    one = fb.load(tmp_path / "one.pt")
    assert fb.equal(one["model"]["0.weight"], model[0].weight)
    torch_save_to_dcp(tmp_path / "one.pt", tmp_path / "d")
    into = {"model": {"0.weight": fb.zeros(3, 4)}}
    dcp.load(into, checkpoint_id=tmp_path / "d", no_dist=True)
    assert fb.equal(into["model"]["0.weight"], model[0].weight) and not isinstance(model[0].weight, DTensor)


def test_the_old_checkpoint_stays_until_the_new_one_is_whole(tmp_path):
    before = """
import flambeau as fb, flambeau.distributed.checkpoint as dcp
def save(value):
    dcp.save({"w": fb.full((3,), value), "step": value}, checkpoint_id=folder, no_dist=True)
save(1.0)
"""
    look = """
into = {"w": fb.zeros(3), "step": 0}
dcp.load(into, checkpoint_id=folder, no_dist=True)
seen = [*into["w"].tolist(), into["step"]]
"""
    tries = at_every_step(tmp_path / "c", before, "save(2.0)", look)
    old, new = [1.0] * 4, [2.0] * 4
    for how, at, code, seen, files in tries:
        assert seen == new if code in (0, 3) else seen in (old, new), (how, at)
        if how == "fail" and seen == old:  # the disk is as full as before
            assert len(files) == 2, (at, files)
    assert {how for how, _, _, seen, _ in tries if seen == old} == {"kill", "fail"}
    assert len(tries) > 12 and len(tries[-1][-1]) == 2


def test_a_checkpoint_takes_the_place_of_one_of_more_processes(together, tmp_path):
    where = tmp_path / "c"
    together(functools.partial(saved, path=where))
    reader = dcp.FileSystemReader(where)
    dcp.save({"a": fb.ones(2)}, checkpoint_id=where, no_dist=True)
    assert sorted(p.name for p in where.iterdir()) == [".metadata", "__0_1.distcp"]
    with pytest.raises(dcp.CheckpointException, match="No such file"):  # and not a mixture of both
        dcp.load({"names": None}, storage_reader=fixed(reader, where), no_dist=True)


def fixed(reader, where):
    """A reader that has read the description of a checkpoint that was replaced since."""
    piece = {"file": "__0_0.distcp", "starts": [], "sizes": None}
    reader.entries = lambda: {"names": {"path": ["names"], "shape": [], "pieces": [piece]}}
    return reader


def described(entry):
    return json.dumps({"format": "flambeau checkpoint 1", "entries": {"w": entry}})


def one_piece(shape, file, starts, sizes):
    return described(
        {"path": ["w"], "shape": shape, "pieces": [{"file": file, "starts": starts, "sizes": sizes}]}
    )


@pytest.mark.parametrize(
    "text",
    [
        "{", "{}", '{"format": "flambeau checkpoint 1"}', described(None), described({}),
        '{"format": "flambeau checkpoint 1", "entries": [1]}',
        described({"path": [], "shape": [], "pieces": []}),
        one_piece([3], 1, [0], [3]),
        one_piece([3], "__0_0.distcp", [1], [3]),
        one_piece([3], "__0_0.distcp", [0], [2]),
        one_piece([3], "../c/__0_0.distcp", [0], [3]),
        one_piece(["3"], "__0_0.distcp", [0], [3]),
    ],
)  # fmt: skip
def test_damaged_descriptions(tmp_path, text):
    dcp.save({"w": fb.ones(3)}, checkpoint_id=tmp_path, no_dist=True)
    (tmp_path / ".metadata").write_text(text)
    with pytest.raises(dcp.CheckpointException, match=r"damaged|outside of its folder|no tensor of the sh"):
        dcp.load({"w": fb.zeros(3)}, checkpoint_id=tmp_path, no_dist=True)


def test_an_optimizer_by_the_parts_of_its_model(tmp_path):
    from flambeau.distributed.checkpoint.optimizer import load_sharded_optimizer_state_dict

    model = fb.nn.Linear(3, 2)
    optimizer = fb.optim.AdamW(model.parameters(), lr=0.1)
    model(fb.ones(1, 3)).sum().backward()
    optimizer.step()
    weights, state = get_state_dict(model, optimizer)
    dcp.save({"model": weights, "optim": state}, checkpoint_id=tmp_path / "c", no_dist=True)
    reader = dcp.FileSystemReader(tmp_path / "c")
    found = load_sharded_optimizer_state_dict(model.state_dict(), "optim", reader)
    assert list(found) == ["optim"]
    assert fb.equal(found["optim"]["state"]["weight"]["exp_avg"], state["state"]["weight"]["exp_avg"])
    with pytest.raises(RuntimeError, match="Missing key in checkpoint state_dict: other"):
        load_sharded_optimizer_state_dict(model.state_dict(), "other", reader)
