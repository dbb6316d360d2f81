"""Parameters cut among processes: training is that of one process."""

import copy
import functools

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from flambeau.distributed.device_mesh import init_device_mesh
from flambeau.distributed.fsdp import (
    FSDPModule,
    MixedPrecisionPolicy,
    ShardingStrategy,
    StateDictType,
    fully_shard,
)
from flambeau.distributed.fsdp import FullyShardedDataParallel as FSDP
from flambeau.distributed.fsdp.wrap import (
    ModuleWrapPolicy,
    _recursive_wrap,
    always_wrap_policy,
    size_based_auto_wrap_policy,
)
from flambeau.distributed.tensor import DTensor, Shard
from flambeau.distributed.tensor.parallel import ColwiseParallel, parallelize_module


def network():
    fb.manual_seed(0)
    return nn.Sequential(
        nn.Linear(4, 5), nn.ReLU(), nn.Sequential(nn.Linear(5, 3), nn.Tanh()), nn.Linear(3, 2)
    )


def batch(rank):
    return fb.arange(12.0).reshape(3, 4) / 10 + rank


def reference(size, steps=2):
    """The network trained on the batches of all processes."""
    model = network()
    optimizer = fb.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        (sum(model(batch(k)).square().mean() for k in range(size)) / size).backward()
        optimizer.step()
    return model


def train(model, rank, steps=2):
    optimizer = fb.optim.AdamW(model.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        model(batch(rank)).square().mean().backward()
        optimizer.step()
    return optimizer


def near(values, model):
    return all(fb.allclose(values[name], t, atol=1e-5) for name, t in model.state_dict().items())


def functional(rank, size):
    model = network()
    fully_shard(model[2])
    fully_shard(model)
    assert isinstance(model, FSDPModule) and type(model[2]).__name__ == "FSDPSequential"
    weight = model[3].weight
    assert (
        isinstance(weight, DTensor) and weight.placements == (Shard(0),) and weight.to_local().shape == (1, 3)
    )
    optimizer = train(model, rank)
    assert weight.grad.placements == (Shard(0),) and weight.grad.shape == (2, 3)
    plain = reference(size)
    full = get_model_state_dict(model, options=StateDictOptions(full_state_dict=True))
    assert near(full, plain) and list(full) == list(plain.state_dict())
    state = get_optimizer_state_dict(model, optimizer)
    assert (
        state["state"]["3.weight"]["exp_avg"].shape == (2, 3)
        and state["param_groups"][0]["params"][0] == "0.weight"
    )
    other = network()
    fully_shard(other)
    set_model_state_dict(other, full, options=StateDictOptions(full_state_dict=True))
    again = fb.optim.AdamW(other.parameters(), lr=0.5)
    set_optimizer_state_dict(other, again, copy.deepcopy(state))
    assert again.param_groups[0]["lr"] == 0.1
    for m, o in ((model, optimizer), (other, again)):
        o.zero_grad()
        m(batch(rank)).square().mean().backward()
        o.step()
    assert fb.equal(model[0].weight.full_tensor(), other[0].weight.full_tensor())
    model.set_requires_gradient_sync(False)
    optimizer.zero_grad()
    model(batch(rank)).sum().backward()
    assert model[0].weight.grad is None
    model.set_requires_gradient_sync(True)
    model(batch(rank)).sum().backward()
    twice = model[0].weight.grad.full_tensor()
    optimizer.zero_grad()
    model(batch(rank)).sum().backward()
    assert fb.allclose(twice, 2 * model[0].weight.grad.full_tensor(), atol=1e-5)
    before = nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
    norm = sum(p.grad.full_tensor().square().sum() for p in model.parameters()).sqrt()
    assert before.full_tensor() > 1 and norm <= 1.001e-3
    shared = nn.Sequential(nn.Linear(2, 2))
    parallelize_module(shared, init_device_mesh("cpu", (size,)), {"0": ColwiseParallel()})
    with pytest.raises(NotImplementedError, match="tensor parallelism together with FSDP"):
        fully_shard(shared)
    half = fully_shard(network(), mp_policy=MixedPrecisionPolicy(fb.bfloat16, fb.float32, fb.float32))
    out = half(batch(rank))
    out.sum().backward()
    assert out.dtype == fb.float32 and half[0].weight.grad.dtype == fb.float32


def test_fully_shard(together):
    together(functional)


def wrapper(rank, size):
    policy = functools.partial(size_based_auto_wrap_policy, min_num_params=15)
    for strategy, wrap in (
        (ShardingStrategy.FULL_SHARD, policy),
        (ShardingStrategy.NO_SHARD, None),
        (None, ModuleWrapPolicy({nn.Linear})),
    ):
        model = FSDP(network(), sharding_strategy=strategy, auto_wrap_policy=wrap, sync_module_states=True)
        assert len(FSDP.fsdp_modules(model)) == {policy: 3, None: 1}.get(wrap, 4)
        optimizer = train(model, rank)
        plain = reference(size)
        saved = copy.deepcopy(model.state_dict())
        assert list(saved) == list(plain.state_dict()) and near(saved, plain)
        with FSDP.state_dict_type(model, StateDictType.SHARDED_STATE_DICT):
            assert isinstance(model.state_dict()["0.weight"], DTensor)
        with FSDP.summon_full_params(model):
            assert [n for n, _ in model.named_parameters()] == list(saved)
            model[3].bias.data.fill_(rank * 0.0 + 2)
        assert model.state_dict()["3.bias"].tolist() == [2.0, 2.0]
        model.load_state_dict(saved)
        assert near(model.state_dict(), plain)
        state = FSDP.optim_state_dict(model, optimizer)
        assert state["state"]["0.weight"]["exp_avg"].shape == (5, 4)
        optimizer.load_state_dict(FSDP.optim_state_dict_to_load(model, optimizer, state))
        with model.no_sync():
            optimizer.zero_grad()
            model(batch(rank)).sum().backward()
        model(batch(rank)).sum().backward()
        assert model.clip_grad_norm_(1.0) > 1


def test_wrapper(together):
    together(wrapper)


def test_what_is_missing():
    with pytest.raises(ValueError, match="containers that do not implement forward"):
        fully_shard(nn.ModuleList([nn.Linear(2, 2)]))


class Wrapped(nn.Module):
    def __init__(self, module, tag=0):
        super().__init__()
        self.module, self.tag = module, tag


def test_recursive_wrap():
    def net():
        return nn.Sequential(nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.ReLU()))

    whole, number = _recursive_wrap(net(), always_wrap_policy, Wrapped, set(), set(), tag=3)
    assert isinstance(whole, Wrapped) and number == 12 and whole.tag == 3
    assert isinstance(whole.module[1], Wrapped) and isinstance(whole.module[1].module[1], Wrapped)
    linears = functools.partial(ModuleWrapPolicy({nn.Linear}))
    root = net()
    same, number = _recursive_wrap(root, linears, Wrapped, {root[0]}, set(), only_wrap_children=True)
    assert same is root and number == 6
    assert isinstance(root[0], nn.Linear) and isinstance(root[1][0], Wrapped)
    with pytest.raises(AssertionError, match="already wrapped"):
        _recursive_wrap(root, linears, Wrapped, set(), set())
    root = net()
    ignored = {root[0].weight, root[0].bias}
    policy = functools.partial(size_based_auto_wrap_policy, min_num_params=6)
    _, number = _recursive_wrap(root, policy, Wrapped, set(), ignored)
    assert number == 6 and isinstance(root[0], nn.Linear)
