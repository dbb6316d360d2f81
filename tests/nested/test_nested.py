"""Nested tensors of both layouts; numbers from torch 2.13."""

import copy
import io
import pickle

import pytest

import flambeau as torch
from flambeau.nn import functional as F

A = torch.arange(6.0).reshape(2, 3)
B = torch.arange(3.0).reshape(1, 3) + 10


def _nested(layout=torch.jagged, **options):
    return torch.nested.nested_tensor([A, B], layout=layout, **options)


def _components():
    a = torch.linspace(-1, 1, 6).reshape(3, 2).double().requires_grad_()
    return [a, torch.linspace(0, 2, 2).reshape(1, 2).double().requires_grad_()]


W = torch.tensor([[1.0, -1.0], [0.5, 2.0], [0.0, 1.0]], dtype=torch.float64)
D = torch.float64
# a function of a nested tensor of layout jagged -> shape, weighted sum, two weighted sums of gradients
JAGGED = {
    "linear": (lambda n: F.linear(n, W), (2, 3, 3), 68.1, 244.5, 63.5),
    "amax": (lambda n: n.amax(1), (2, 2), 10.6, 17.0, 11.0),
    "softmax": (lambda n: n.softmax(-1), (2, 3, 2), 18.676860, 0.720782, 0.104994),
    "layer_norm": (
        lambda n: F.layer_norm(n, (2,), torch.tensor([1, 2], dtype=D), torch.tensor([0, 0.5], dtype=D)),
        (2, 3, 2), 33.998080, 0.009371, 0.000045,
    ),
    "gelu": (lambda n: F.gelu(n).to_padded_tensor(-1.0), (2, 3, 2), -19.415488, 75.957634, 20.863709),
    "batch": (
        lambda n: n * torch.tensor([[[1, 2]], [[3, 4]]], dtype=D), (2, 3, 2), 76.6, 147.0, 85.0,
    ),
    "cat": (lambda n: torch.cat([n, n * 2], -1), (2, 3, 4), 132.2, 531.0, 135.0),
    "chunk": (lambda n: n.chunk(2, -1)[1], (2, 3, 1), 10.8, 28.0, 8.0),
    "gram": (lambda n: n.transpose(1, 2) @ n, (2, 2, 2), 44.8, 76.6, 90.0),
    "bmm": (lambda n: n @ torch.arange(8.0).reshape(2, 2, 2).double(), (2, 3, 2), 223.6, 300.0, 264.0),
    "rms_norm": (lambda n: F.rms_norm(n, (2,)), (2, 3, 2), 20.559920, 125.995373, 4.949747),
}  # fmt: skip


@pytest.mark.parametrize("name", JAGGED)
def test_jagged_operators_and_gradients(name):
    function, shape, total, first, second = JAGGED[name]
    parts = _components()
    result = function(torch.nested.as_nested_tensor(parts, layout=torch.jagged))
    if result.is_nested:
        result = result.to_padded_tensor(0.0)
    weighted = (result * torch.arange(1.0, result.numel() + 1).reshape(shape).double()).sum()
    weighted.backward()
    sums = [
        (parts[0].grad * torch.arange(1.0, 7).reshape(3, 2)).sum(),
        (parts[1].grad * torch.tensor([1.0, 2.0])).sum(),
    ]
    torch.testing.assert_close(
        torch.stack([weighted.detach(), *sums]),
        torch.tensor([total, first, second], dtype=D),
        rtol=1e-5,
        atol=1e-6,
    )


def test_reductions_of_the_ragged_dimension():
    n = _nested()
    assert n.sum(1).tolist() == [[3, 5, 7], [10, 11, 12]]
    assert n.mean(1).tolist() == [[1.5, 2.5, 3.5], [10, 11, 12]]
    assert n.max(1).indices.tolist() == [[1, 1, 1], [0, 0, 0]]
    assert n.prod(1).tolist() == [[0, 4, 10], [10, 11, 12]]
    assert n.sum((0, 1)).tolist() == [13, 16, 19]
    assert n.sum().item() == 48 and n.sum(-1).values().tolist() == [3, 12, 33]
    assert n.sum(1, keepdim=True).shape == (2, 1, 3)
    soft = n.softmax(1)  # each component by itself
    torch.testing.assert_close(soft.unbind()[0], A.softmax(0))
    for call, message in [
        (lambda: n.sum(0), r"sum\(\): reducing along the batch dimension but not the ragged dimension"),
        (lambda: n.sum((1, 2)), r"sum\(\): reducing along a ragged and non-batch dimension"),
        (lambda: n.softmax(0), r"softmax\(\): not supported when reducing across the batch dimension"),
    ]:
        with pytest.raises(RuntimeError, match=message):
            call()


def test_jagged_shapes():
    n = _nested()
    j = n.size(1)
    assert repr(n.shape) == f"torch.Size([2, {j}, 3])" and n.shape[2] == 3 and len(n) == 2
    assert isinstance(j, torch.SymInt) and j == n.size(1) and j != _nested().size(1)
    assert repr(n) == f"NestedTensor(size=(2, {j}, 3), offsets=tensor([0, 2, 3]), contiguous=True)"
    assert repr(2 * j) == f"2*{j}" and j >= 2 and not j <= 1
    with pytest.raises(ValueError, match=r"ge: relation is indeterminate"):
        j < 5  # noqa: B015
    heads = n.view(2, -1, 1, 3).transpose(1, 2)
    assert heads.shape == (2, 1, j, 3) and heads._ragged_idx == 2
    assert n.unflatten(-1, [3, 1]).flatten(-2).shape == n.unsqueeze(1).squeeze(1).shape == n.shape
    assert n.transpose(1, 2).to_padded_tensor(0.0).shape == (2, 3, 2)
    assert n[0].tolist() == A.tolist() and n[1, 0, 0].item() == 10 and n[..., :2].shape == (2, j, 2)
    assert [c.shape[0] for c in n.chunk(2, 0)] == [1, 1]
    with pytest.raises(RuntimeError, match=r"view\(\): cannot view shape \(2, j\d+, 3\) as \[3, -1, 3\]"):
        n.view(3, -1, 3)
    with pytest.raises(
        RuntimeError, match=r"cannot call binary pointwise function add.Tensor with inputs of"
    ):
        n + _nested()
    with pytest.raises(RuntimeError, match=r"cat\(\): not supported for NestedTensor on ragged dim"):
        torch.cat([n, n], 1)


@pytest.mark.parametrize("causal", [False, True])
def test_attention_of_components(causal):
    torch.manual_seed(0)
    q = torch.nested.nested_tensor([torch.randn(3, 8), torch.randn(5, 8)], layout=torch.jagged)
    heads = q.view(2, -1, 2, 4).transpose(1, 2)
    out = F.scaled_dot_product_attention(heads, heads, heads, is_causal=causal).transpose(1, 2).flatten(-2)
    assert out.shape == q.shape
    for got, part in zip(out.unbind(), q.unbind()):
        h = part.view(-1, 2, 4).transpose(0, 1)
        want = F.scaled_dot_product_attention(h, h, h, is_causal=causal)
        torch.testing.assert_close(got, want.transpose(0, 1).flatten(-2))


def test_a_network_on_jagged_input():
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 4),
        torch.nn.ReLU(),
        torch.nn.LayerNorm(4),
        torch.nn.Dropout(0.0),
        torch.nn.Linear(4, 2),
    )
    out = net(_nested())
    out.sum().backward()
    got = net[0].weight.grad.clone()
    net.zero_grad()
    (net(A).sum() + net(B).sum()).backward()
    torch.testing.assert_close(got, net[0].weight.grad)
    index = torch.nested.nested_tensor([[0, 1], [1]], layout=torch.jagged)
    assert torch.nn.Embedding(2, 5)(index).shape[2] == 5


def test_views_of_buffers():
    values, offsets = torch.arange(12.0).reshape(6, 2), torch.tensor([0, 2, 5, 6])
    n = torch.nested.nested_tensor_from_jagged(values, offsets)
    assert n.values().data_ptr() == values.data_ptr() and n.offsets() is offsets
    assert (n._min_seqlen, n._max_seqlen) == (1, 3)
    holes = torch.nested.nested_tensor_from_jagged(values, offsets, lengths=torch.tensor([1, 2, 1]))
    assert [len(t) for t in holes.unbind()] == [1, 2, 1] and not holes.is_contiguous()
    assert holes.contiguous().values()[:, 0].tolist() == [0, 4, 6, 10]
    with pytest.raises(RuntimeError, match=r"not supported for nested tensors with holes"):
        holes.to_padded_tensor(0.0)
    dense = torch.arange(24.0).reshape(2, 4, 3)
    part = torch.nested.narrow(dense, 1, torch.tensor([0, 1]), torch.tensor([2, 3]), layout=torch.jagged)
    assert part.offsets().tolist() == [0, 5, 8] and part.unbind()[1][0].tolist() == [15, 16, 17]
    mask = torch.tensor([[True, False, True], [False, False, True]])
    chosen = torch.nested.masked_select(A, mask)
    assert chosen.values().tolist() == [0, 2, 5] and chosen.offsets().tolist() == [0, 2, 3]


@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_leaves_and_copies(layout):
    n = _nested(layout, requires_grad=True)
    (n * 3).to_padded_tensor(0.0).sum().backward()
    assert (
        n.is_leaf
        and n.grad.is_nested
        and [t.tolist() for t in n.grad.unbind()] == [[[3.0] * 3] * 2, [[3.0] * 3]]
    )
    for other in (copy.deepcopy(n), pickle.loads(pickle.dumps(n.detach()))):
        assert other.layout == layout and torch.equal(other.detach(), n.detach())
    assert (n * 2).grad_fn.name() == "MulBackward0"
    changed = n.detach().clone()
    changed.mul_(2).add_(changed)
    assert changed.unbind()[1].tolist() == [[40, 44, 48]] and n.unbind()[1].tolist() == [[10, 11, 12]]


def test_strided_layout():
    n = _nested(torch.strided)
    assert repr(n) == (
        "nested_tensor([\n  tensor([[0., 1., 2.],\n          [3., 4., 5.]]),\n  tensor([[10., 11., 12.]])\n])"
    )
    assert n.size(2) == 3 and n.layout == torch.strided and n.is_nested
    with pytest.raises(RuntimeError, match=r"Given dimension 1 is irregular and does not have a size."):
        n.size(1)
    with pytest.raises(RuntimeError, match=r"NestedTensorImpl doesn't support sizes"):
        n.shape  # noqa: B018
    ragged = torch.nested.nested_tensor([torch.ones(1, 2), torch.ones(2, 1)])
    assert ragged.to_padded_tensor(-1.0).tolist() == [[[1, 1], [-1, -1]], [[1, -1], [1, -1]]]
    assert n.to_padded_tensor(0.0, (2, 4, 5)).shape == (2, 4, 5)
    product = n @ n.transpose(1, 2)
    assert [tuple(t.shape) for t in product.unbind()] == [(2, 2), (1, 1)]
    assert F.linear(n, torch.ones(4, 3)).unbind()[1].tolist() == [[33.0] * 4]
    parts = _components()
    loss = (torch.nested.as_nested_tensor(parts).softmax(-1) * 2).to_padded_tensor(0.0).square().sum()
    loss.backward()
    torch.testing.assert_close(
        parts[1].grad, torch.tensor([[-0.6397, 0.6397]], dtype=D), rtol=1e-4, atol=1e-4
    )
    with pytest.raises(
        RuntimeError, match=r"Expected both self and other to be nested, but got a nested self"
    ):
        n + torch.ones(3)


def test_strided_layout_in_files():
    n = _nested(torch.strided)
    stream = io.BytesIO()
    torch.save(n, stream)
    stream.seek(0)
    assert torch.equal(torch.load(stream), n)
    with pytest.raises(NotImplementedError, match=r"cannot save nested tensors of layout torch.jagged"):
        torch.save(_nested(), io.BytesIO())


def test_refusals():
    make = torch.nested.nested_tensor
    for call, error, message in [
        (lambda: make([], layout=torch.jagged), RuntimeError, "from an empty tensor list"),
        (lambda: make(A), TypeError, "Only lists"),
        (lambda: make([A, A[0]]), RuntimeError, "must have the same dimension. Found dimension 1"),
        (lambda: make([A, A.long()], layout=torch.jagged), RuntimeError, "must have the same dtype"),
        (lambda: make([A], layout=torch.sparse_coo), RuntimeError, "Specified layout is unsupported"),
        (lambda: torch.nested.as_nested_tensor(_nested()), RuntimeError, "Converting between nested"),
        (lambda: torch.nested.as_nested_tensor(3), TypeError, "Expected first argument to be a tensor"),
        (lambda: A.to_padded_tensor(0.0), NotImplementedError, "Could not run 'aten::to_padded_tensor'"),
        (lambda: _nested().cumsum(1), NotImplementedError, "no 'cumsum' for nested tensors"),
        (lambda: torch.empty(2, layout=torch.jagged), NotImplementedError, "layout torch.jagged"),
    ]:
        with pytest.raises(error, match=message):
            call()
