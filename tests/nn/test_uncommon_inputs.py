"""Refusals and results for inputs that a random comparison with PyTorch 2.13 came upon."""

import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F


def test_broadcast_tensors_of_the_shape_are_themselves():
    a, b = fb.ones(2, requires_grad=True), fb.ones(3, 2)
    first, second = fb.broadcast_tensors(a, fb.ones(1))
    assert first is a and tuple(second.shape) == (2,)
    first, second = fb.broadcast_tensors(a, b)
    assert second is b and not first.is_leaf
    # so that gradients can be asked for by the distribution's own parameters
    normal = fb.distributions.Normal(a, fb.ones(2))
    assert normal.loc is a


def test_sparse_bags_leave_the_padding_out():
    for mode in ("sum", "mean"):
        bag = nn.EmbeddingBag(7, 4, mode=mode, padding_idx=1, sparse=True)
        bag(fb.tensor([1, 2, 1, 3]), fb.tensor([0, 2])).sum().backward()
        assert bag.weight.grad._indices().tolist() == [[2, 3]]
        assert bag.weight.grad._values().tolist() == [[1.0] * 4] * 2
    bag = nn.EmbeddingBag(7, 4, mode="sum", scale_grad_by_freq=True, sparse=True)
    with pytest.raises(RuntimeError, match="scale_grad_by_freq not supported with sparse gradients"):
        bag(fb.tensor([1, 2]), fb.tensor([0])).sum().backward()


def test_attention_with_a_mask_and_causal():
    q, mask = fb.randn(1, 2, 4, 4), fb.ones(4, 4).bool()
    F.scaled_dot_product_attention(q, q, q, attn_mask=mask, is_causal=True)
    with pytest.raises(RuntimeError, match="Explicit attn_mask should not be set when is_causal=True"):
        F.scaled_dot_product_attention(q, q, q[..., :3], attn_mask=mask, is_causal=True)


def test_affine_grid_with_another_batch():
    with pytest.raises(RuntimeError, match=r"batch2 tensor to be: \[2, 3\] but got: \[1, 3\]\."):
        F.affine_grid(fb.ones(1, 2, 3), [2, 2, 4, 4], align_corners=False)


def test_fractional_pooling_wants_room_in_three_dimensions():
    with pytest.raises(RuntimeError, match="pool time 2 too large relative to input time 2"):
        F.fractional_max_pool3d(fb.ones(1, 2, 4, 4), 2, output_size=1)
    assert tuple(F.fractional_max_pool3d(fb.ones(0, 3, 4, 4), 2, output_size=1).shape) == (0, 1, 1, 1)
    assert tuple(F.fractional_max_pool2d(fb.ones(0, 4, 4), 2, output_size=3).shape) == (0, 3, 3)
    samples = fb.full((1, 1, 3), 0.3)
    y = F.fractional_max_pool3d(fb.arange(64.0).view(1, 4, 4, 4), 2, output_size=2, _random_samples=samples)
    assert y.flatten().tolist() == [21.0, 23.0, 29.0, 31.0, 53.0, 55.0, 61.0, 63.0]


@pytest.mark.parametrize(
    ("dtype", "skipped"),
    [(fb.float32, [36, 47, 57]), (fb.float16, [36, 46, 57]), (fb.bfloat16, [36, 46, 56])],
)
def test_fractional_pooling_reckons_in_the_type_of_the_input(dtype, skipped):
    x = fb.arange(33.0).expand(1, 1, 3, 33).to(dtype)
    samples = fb.tensor([[[0.74, 0.5]]]).to(dtype)
    _, at = F.fractional_max_pool2d(x, 2, output_size=(1, 29), _random_samples=samples, return_indices=True)
    assert at.flatten().tolist() == [i for i in range(34, 66) if i not in skipped]


def test_gradient_of_a_small_norm_in_float16():
    a = fb.full((1, 4), 1e-6, dtype=fb.half, requires_grad=True)
    fb.linalg.vector_norm(a, 2, 1).sum().backward()
    assert a.grad.tolist() == [[0.5] * 4]
    zero = fb.zeros(1, 4, dtype=fb.half, requires_grad=True)
    fb.linalg.vector_norm(zero, 2, 1).sum().backward()
    assert zero.grad.tolist() == [[0.0] * 4]


@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 3, 4)])
def test_multilabel_margin_of_no_classes(shape):
    with pytest.raises(RuntimeError, match="Expected non-empty vector or matrix with optional 0-dim batch"):
        F.multilabel_margin_loss(fb.ones(shape), fb.zeros(shape, dtype=fb.long))


def test_the_old_type_name_of_a_meta_tensor():
    assert fb.ones(1, device="meta").type() == "torch.meta.FloatTensor"


def test_collating_float32_of_numpy_beside_whole_numbers():
    np = pytest.importorskip("numpy")
    collate = fb.utils.data.default_collate
    assert collate([np.float32(1.5), 1]).dtype == fb.float32
    assert collate([np.int8(1), np.int16(300)]).dtype == fb.int16
