"""Attention with score and mask functions, and causal masks; numbers from PyTorch 2.13."""

import pytest

import flambeau as fb
from flambeau.nn.attention import bias
from flambeau.nn.attention import flex_attention as flex

Q = fb.arange(2 * 2 * 4 * 8.0).reshape(2, 2, 4, 8) / 100


def causal(b, h, q, kv):
    return q >= kv


def test_scores_and_masks():
    assert flex.flex_attention(Q, Q, Q).sum().item() == pytest.approx(83.0980, abs=1e-3)
    changed = flex.flex_attention(Q, Q, Q, score_mod=lambda s, b, h, i, j: s + (i - j) * 0.1)
    assert changed.sum().item() == pytest.approx(81.8356, abs=1e-3)
    block_mask = flex.create_block_mask(causal, None, None, 4, 4)
    masked = flex.flex_attention(Q, Q, Q, block_mask=block_mask)
    assert masked.sum().item() == pytest.approx(74.4840, abs=1e-3)
    _, lse = flex.flex_attention(Q, Q, Q, return_lse=True)
    assert lse[1, 1].tolist() == pytest.approx([4.5572, 4.8147, 5.0726, 5.3309], abs=1e-4)


def test_block_mask():
    m = flex.create_block_mask(causal, None, None, 300, 300)
    assert m.shape == (1, 1, 300, 300) and m.BLOCK_SIZE == (128, 128)
    assert m.kv_num_blocks.tolist() == [[[1, 1, 3]]] and m.full_kv_num_blocks.tolist() == [[[0, 1, 0]]]
    assert m.kv_indices.tolist() == [[[[0, 1, 2], [1, 0, 2], [0, 1, 2]]]]
    assert m.to_dense().tolist() == [[[[1, 0, 0], [1, 1, 0], [1, 1, 1]]]]
    assert m.sparsity() == pytest.approx(-9.2266667)
    window = flex.and_masks(causal, lambda b, h, q, kv: q - kv < 2)
    dense = flex.create_mask(window, 1, 1, 3, 3)
    assert dense.int().tolist() == [[[[1, 0, 0], [1, 1, 0], [0, 1, 1]]]]


def test_messages():
    text = "Expect query and key/value to have the same number of heads but got Hq=2 and Hkv=1."
    with pytest.raises(ValueError, match=text):
        flex.flex_attention(Q, Q[:, :1], Q[:, :1])
    assert flex.flex_attention(Q, Q[:, :1], Q[:, :1], enable_gqa=True).shape == (2, 2, 4, 8)
    with pytest.raises(ValueError, match="block_mask was created for"):
        flex.flex_attention(Q, Q, Q, block_mask=flex.create_block_mask(causal, None, None, 8, 8))


def test_causal_biases():
    assert bias.causal_lower_right(2, 4).int().tolist() == [[1, 1, 1, 0], [1, 1, 1, 1]]
    assert bias.causal_upper_left(2, 4).int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0]]
    assert bias.causal_lower_right(2, 4).variant == bias.CausalVariant.LOWER_RIGHT
