"""Attention over sequences that lie cut in several processes is that of the whole ones."""

import pytest

import flambeau as fb
import flambeau.distributed as dist
from flambeau.distributed.tensor.experimental import context_parallel
from flambeau.distributed.tensor.experimental._attention import context_parallel_unshard, set_rotate_method

F = fb.nn.functional


def _sequences():
    fb.manual_seed(0)
    return [fb.randn(1, 2, 8, 4) for _ in range(3)]


def _cut(rank, size):
    mesh = dist.init_device_mesh("cpu", (size,))
    found = []
    for causal in (True, False):
        buffers = _sequences()
        whole, kept = [t.clone() for t in buffers], {buffers[2]}
        with context_parallel(mesh, buffers=buffers, buffer_seq_dims=[2, 2, 2], no_restore_buffers=kept):
            shown = buffers[0][0, 0, :, 0].tolist()
            inputs = [t.clone().requires_grad_() for t in buffers]
            out = F.scaled_dot_product_attention(*inputs, is_causal=causal)
            out.pow(2).sum().backward()
            grads = context_parallel_unshard(mesh, [t.grad for t in inputs], [2, 2, 2])
            (joined,) = context_parallel_unshard(mesh, [out], [2])
        assert all(fb.equal(a, b) for a, b in zip(buffers[:2], whole[:2], strict=True))
        assert buffers[2].shape[2] == 8 // size
        found.append((shown, joined.detach(), grads))
    return found


def test_attention_is_that_of_the_whole(together):
    found = together(_cut, 2)
    # which elements a process has is as in PyTorch: pieces 0 and 3, 1 and 2
    assert found[0][0][0] == pytest.approx([-1.1258, 0.8487, 0.7502, 1.3894], abs=1e-4)
    assert found[1][0][0] == pytest.approx([0.3223, 0.1198, -1.3527, 0.5988], abs=1e-4)
    for k, causal in enumerate((True, False)):
        whole = [t.requires_grad_() for t in _sequences()]
        wanted = F.scaled_dot_product_attention(*whole, is_causal=causal)
        wanted.pow(2).sum().backward()
        for rank in range(2):
            _, out, grads = found[rank][k]
            assert fb.allclose(out, wanted, atol=1e-6)
            assert all(fb.allclose(g, t.grad, atol=1e-6) for g, t in zip(grads, whole, strict=True))


def _layer(rank, size):
    mesh = dist.init_device_mesh("cpu", (size,))
    fb.manual_seed(1)
    layer, x = fb.nn.MultiheadAttention(8, 2, batch_first=True), fb.randn(2, 8, 8)
    wanted = layer(x, x, x, need_weights=False)[0]
    with context_parallel(mesh, buffers=[x], buffer_seq_dims=[1]):
        (found,) = context_parallel_unshard(mesh, [layer(x, x, x, need_weights=False)[0]], [1])
    return fb.allclose(found, wanted, atol=1e-6)


def test_a_layer(together):
    assert together(_layer, 2) == [True, True]


def _refused(rank, size):
    mesh = dist.init_device_mesh("cpu", (size,))
    x, y = fb.ones(1, 1, 8, 4), fb.ones(1, 1, 8, 4)

    def entered(**options):
        with context_parallel(mesh, **options):
            return F.scaled_dot_product_attention(x, x, x, attn_mask=fb.ones(8, 8))

    with pytest.raises(ValueError, match="`seq_dims` must have the same number of elements as `buffers`"):
        entered(buffers=[x], buffer_seq_dims=[])
    with pytest.raises(ValueError, match="`no_restore_buffers` must be a subset of `buffers`"):
        entered(buffers=[x], buffer_seq_dims=[2], no_restore_buffers={y})
    with pytest.raises(ValueError, match="cannot be cut into 4 equal pieces"):
        entered(buffers=[fb.ones(3)], buffer_seq_dims=[0])
    with pytest.raises(NotImplementedError, match="attn_mask"):
        entered()
    with pytest.raises(NotImplementedError, match="does not support using x for kv shards rotation"):
        set_rotate_method("x")
    return True


def test_what_is_refused(together):
    assert together(_refused, 2) == [True, True]
