"""Steps in the backward, and plain tensors among shared ones."""

import flambeau as fb
from flambeau.distributed.optim import _apply_optimizer_in_backward, _get_in_backward_optimizers
from flambeau.distributed.tensor import DeviceMesh, Replicate, Shard, distribute_tensor
from flambeau.distributed.tensor.experimental import implicit_replication


def test_steps_in_the_backward():
    net = fb.nn.Linear(2, 1)
    with fb.no_grad():
        for p in net.parameters():
            p.fill_(1.0)
    _apply_optimizer_in_backward(fb.optim.SGD, net.parameters(), {"lr": 0.1})
    net(fb.ones(1, 2)).sum().backward()
    assert fb.allclose(net.weight, fb.full((1, 2), 0.9)) and net.weight.grad is None
    assert net.weight._optimizer_kwargs == [{"lr": 0.1}]
    _apply_optimizer_in_backward(fb.optim.SGD, net.parameters(), {"lr": 0.2}, register_hook=False)
    assert len(_get_in_backward_optimizers(net)) == 4


def _implicit(rank, size):
    mesh = DeviceMesh("cpu", list(range(size)))
    whole = fb.arange(8.0).view(4, 2)
    shared = distribute_tensor(whole, mesh, [Shard(0)])
    message = ""
    try:
        shared + fb.ones(2)
    except RuntimeError as error:
        message = str(error)
    with implicit_replication():
        made = shared + fb.ones(2)
        product = shared @ fb.ones(2, 3)
    same = fb.equal(made.full_tensor(), whole + 1) and fb.equal(product.full_tensor(), whole @ fb.ones(2, 3))
    kept = distribute_tensor(whole, mesh, [Replicate()]).placements == (Replicate(),)
    return "got mixed torch.Tensor and DTensor" in message, same, kept


def test_plain_tensors_among_shared_ones(together):
    assert together(_implicit) == [(True, True, True)] * 2


def test_names_of_ragged_tensors_and_decompositions():
    from flambeau._decomp import core_aten_decompositions, get_decompositions
    from flambeau.nested._internal.nested_tensor import NestedTensor
    from flambeau.nested._internal.ops import extract_kwargs

    made = fb.nested.nested_tensor([fb.ones(2, 3), fb.ones(1, 3)], layout=fb.jagged)
    parts = extract_kwargs(made)
    assert (
        isinstance(made, NestedTensor) and parts["offsets"].tolist() == [0, 2, 3] and parts["lengths"] is None
    )
    assert {k: tuple(v.shape) for k, v in parts["_metadata_cache"].items()} == {
        "min_seqlen": (1, 0),
        "max_seqlen": (2, 0),
    }
    assert parts["_ragged_idx"] == 1
    aten = fb.ops.aten
    table = get_decompositions([aten.square, aten.mm.default])
    assert list(table) == [aten.square.default] and table[aten.square.default](fb.full((1,), 3.0)).item() == 9
    assert aten.linear.default in core_aten_decompositions()
