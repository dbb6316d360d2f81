"""Meshes, shared tensors and tensor parallelism; placements as PyTorch 2.13 gives them."""

import copy

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau import nn
from flambeau.distributed.device_mesh import init_device_mesh
from flambeau.distributed.tensor import (
    DTensor,
    Partial,
    Replicate,
    Shard,
    distribute_tensor,
    ones,
    randn,
    zeros,
)
from flambeau.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    parallelize_module,
)


def meshes(rank, size):
    mesh = init_device_mesh("cpu", (2, 2), mesh_dim_names=("dp", "tp"))
    assert repr(mesh) == "DeviceMesh((dp=2, tp=2), 'cpu', stride=(2, 1))"
    assert mesh["tp"].mesh.tolist() == [[0, 1], [2, 3]][rank // 2]
    assert mesh.get_coordinate() == (rank // 2, rank % 2) and mesh.get_local_rank("dp") == rank // 2
    assert dist.get_process_group_ranks(mesh.get_group("dp")) == [rank % 2, rank % 2 + 2]
    x = fb.arange(30.0).reshape(6, 5)
    for placements in ([Shard(0), Shard(0)], [Shard(1), Replicate()]):
        for target in ([Shard(0), Shard(1)], [Shard(1), Shard(1)]):
            shared = distribute_tensor(x, mesh, placements)
            assert fb.equal(shared.full_tensor(), x)
            assert fb.equal(shared.redistribute(placements=target).full_tensor(), x)
    w = distribute_tensor(fb.arange(10.0).reshape(5, 2), mesh, [Replicate(), Shard(0)])
    y = distribute_tensor(x, mesh, [Shard(0), Shard(1)]) @ w
    assert y.placements == (Shard(0), Partial())
    assert fb.equal(y.full_tensor(), x @ fb.arange(10.0).reshape(5, 2))
    with pytest.raises(RuntimeError, match=r"Found the DeviceMesh have 2 dimensions"):
        mesh.get_group()


def test_meshes(together):
    together(meshes, 4)


def operators(rank, size):
    mesh = init_device_mesh("cpu", (2,))
    x = fb.arange(12.0).reshape(4, 3)
    shared = distribute_tensor(x, mesh, [Shard(0)])
    assert repr(mesh) == "DeviceMesh((2,), 'cpu', stride=(1,))"
    if rank == 0:
        assert repr(shared) == (
            "DTensor(local_tensor=tensor([[0., 1., 2.],\n        [3., 4., 5.]]), "
            "device_mesh=DeviceMesh((2,), 'cpu', stride=(1,)), placements=(Shard(dim=0),))"
        )
    assert shared.shape == (4, 3) and shared.stride() == (3, 1) and shared.to_local().shape == (2, 3)
    whole = distribute_tensor(fb.ones(3, 5), mesh, [Replicate()])
    expected = {
        (Shard(0),): [shared @ whole, shared.sum(1), shared + 1, shared * whole[:, 0], shared.relu()],
        (Partial("sum"),): [shared.sum(), shared.sum(0), shared.sum() * 2, shared.t() @ shared],
        (Partial("avg"),): [shared.mean()],
        (Partial("max"),): [shared.max()],
        (Shard(1),): [shared.t(), whole.t() @ shared.t()],
        (Replicate(),): [shared.sum() + 1, shared.sum(0).relu(), shared.softmax(0)],
    }
    for placements, results in expected.items():
        assert [r.placements for r in results] == [placements] * len(results)
    assert shared.mean().full_tensor() == x.mean() and fb.equal(
        (shared.t() @ shared).full_tensor(), x.t() @ x
    )
    assert fb.equal(fb.softmax(shared, 0).to_local(), x.softmax(0))
    assert fb.equal(shared.view(2, 2, 3).full_tensor(), x.view(2, 2, 3)) and shared.view(2, 6).placements == (
        Shard(0),
    )
    assert shared.sum().item() == 66.0 and zeros(
        4, 4, device_mesh=mesh, placements=[Shard(1)]
    ).to_local().shape == (4, 2)
    assert ones(5, device_mesh=mesh, placements=[Shard(0)]).to_local().shape == ((3,) if rank == 0 else (2,))
    assert randn(4, 2, device_mesh=mesh, placements=[Shard(0)]).full_tensor().shape == (4, 2)
    assert DTensor.from_local(fb.ones(2, 2), mesh, [Shard(-1)]).shape == (2, 4)
    with pytest.raises(RuntimeError, match=r"aten\.add.* got mixed torch\.Tensor and DTensor"):
        shared + fb.ones(4, 3)
    assert (str(Shard(0)), str(Replicate()), str(Partial()), repr(Partial("avg"))) == (
        "S(0)",
        "R",
        "P(sum)",
        "Partial(avg)",
    )
    norm = fb.linalg.vector_norm(shared)
    assert fb.allclose(norm.full_tensor(), x.norm())


def test_operators(together):
    together(operators)


def gradients(rank, size):
    """Every way of sharing gives the gradients of one process."""
    mesh = init_device_mesh("cpu", (2,))
    fb.manual_seed(0)
    x, w, b = fb.randn(4, 6), fb.randn(8, 6), fb.randn(8)
    tensors = [t.clone().requires_grad_() for t in (x, w, b)]
    fb.nn.functional.linear(*tensors).tanh().mean().backward()
    cut, column, same = Shard(0), Shard(1), Replicate()
    for places in (
        [cut, same, same], [same, cut, cut], [column, column, cut], [same] * 3, [same, column, same]
    ):  # fmt: skip
        shared = [distribute_tensor(t, mesh, [p]).requires_grad_() for t, p in zip((x, w, b), places)]
        loss = fb.nn.functional.linear(*shared).tanh().mean()
        loss.backward()
        for t, s in zip(tensors, shared):
            assert s.grad.placements == s.placements
            assert fb.allclose(s.grad.full_tensor(), t.grad, atol=1e-6), places


def test_gradients(together):
    together(gradients)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm = nn.LayerNorm(8)
        self.up = nn.Linear(8, 16)
        self.down = nn.Linear(16, 8)

    def forward(self, x):
        return x + self.down(self.up(self.norm(x)).relu())


def parallel(rank, size):
    mesh = init_device_mesh("cpu", (2,))
    fb.manual_seed(0)
    model, x = nn.Sequential(Block(), Block()), fb.randn(2, 4, 8)
    plain = copy.deepcopy(model)
    plan = {"*.up": ColwiseParallel(), "*.down": RowwiseParallel()}
    parallelize_module(model, mesh, plan)
    assert model[0].up.weight.placements == (Shard(0),) and model[1].down.weight.placements == (Shard(1),)
    assert isinstance(model[0].up.weight, nn.Parameter) and model[0].down.bias.placements == (Replicate(),)
    optimizers = [fb.optim.AdamW(m.parameters(), lr=0.1) for m in (model, plain)]
    for _ in range(2):
        for m, optimizer in zip((model, plain), optimizers):
            optimizer.zero_grad()
            out = m(x)
            out.square().sum().backward()
            optimizer.step()
    for mine, other in zip(model.parameters(), plain.parameters()):
        full = mine.full_tensor() if isinstance(mine, DTensor) else mine
        assert fb.allclose(full, other, atol=2e-4)
    assert fb.allclose(model(x), plain(x), atol=1e-3)


def test_tensor_parallel(together):
    together(parallel)


def sequences(rank, size):
    mesh = init_device_mesh("cpu", (2,))
    fb.manual_seed(0)
    model, x = Block(), fb.randn(2, 4, 8)
    plain = copy.deepcopy(model)
    parallelize_module(
        model,
        mesh,
        {
            "": PrepareModuleInput(input_layouts=Shard(1), desired_input_layouts=Shard(1)),
            "norm": SequenceParallel(),
            "up": ColwiseParallel(input_layouts=Shard(1), use_local_output=False),
            "down": RowwiseParallel(output_layouts=Shard(1), use_local_output=False),
        },
    )
    out = model(x.chunk(2, 1)[rank])
    assert out.placements == (Shard(1),) and fb.allclose(out.full_tensor(), plain(x), atol=1e-6)
    out.square().sum().backward()
    plain(x).square().sum().backward()
    for mine, other in zip(model.parameters(), plain.parameters()):
        assert fb.allclose(mine.grad.full_tensor(), other.grad, atol=1e-4)


def test_sequence_parallel(together):
    together(sequences)
