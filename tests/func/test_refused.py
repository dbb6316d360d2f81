"""What `vmap` refuses, what it takes where a sample is unusual; `jvp` beside whole numbers."""

from __future__ import annotations

import pytest

import flambeau as fb
from flambeau.func import jvp, vmap

X = fb.arange(24.0).reshape(2, 3, 4)
F = fb.nn.functional


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (fb.nonzero, "vmap: We do not support batching operators that can output dynamic shape."),
        (fb.unique, "vmap: We do not support batching operators that can output dynamic shape."),
        (lambda a: fb.masked_select(a, a > 0), "vmap: Attempted to vmap over `mask` in torch.masked_select"),
        (lambda a: fb.allclose(a, a), "vmap over torch.allclose isn't supported yet."),
        (lambda a: fb.equal(a, a), "Batching rule not implemented for aten::equal."),
        (
            lambda a: F.batch_norm(a, fb.zeros(4), fb.ones(4), training=True),
            "Batch norm got a batched tensor as input while the running_mean or running_var, which",
        ),
        (
            lambda a: F.scaled_dot_product_attention(a, a, a, dropout_p=0.5),
            "vmap: called random operation while in randomness error mode.",
        ),
    ],
)
def test_refused(call, text):
    with pytest.raises(RuntimeError) as e:
        vmap(call)(X)
    assert str(e.value).startswith(text)


def test_taken():
    assert vmap(lambda a: F.batch_norm(a, fb.zeros(4), fb.ones(4)))(X).shape == X.shape
    assert vmap(lambda a: F.scaled_dot_product_attention(a, a, a))(X).shape == X.shape
    assert vmap(lambda a: a.unfold(0, 1, 1))(fb.arange(3.0)).tolist() == [[0], [1], [2]]
    assert vmap(lambda a: fb.masked_select(a, X[0] > 8))(X).tolist() == [[9, 10, 11], [21, 22, 23]]


def test_strides_are_those_of_a_sample():
    made = vmap(lambda a: a.as_strided((2, 2), (4, 1), 1))(X)
    assert made.tolist() == [[[1, 2], [5, 6]], [[13, 14], [17, 18]]]


def test_whole_numbers_stand_still():
    x, t = fb.tensor([3.0, 1.0, 2.0]), fb.tensor([1.0, 10.0, 100.0])
    (values, places), (moved, still) = jvp(fb.sort, (x,), (t,))
    assert (values.tolist(), places.tolist()) == ([1, 2, 3], [1, 2, 0])
    assert moved.tolist() == [10, 100, 1]
    assert still.tolist() == [0, 0, 0] and still.dtype == fb.int64
    values, moved = jvp(lambda a: F.max_pool1d(a, 2, return_indices=True), (x[None],), (t[None],))
    assert moved[0].tolist() == [[1]]


def test_the_loss_of_the_top_level_is_not_reduced():
    a, b = fb.tensor([0.5, -1.0]), fb.tensor([1.0, 0.0])
    assert fb.binary_cross_entropy_with_logits(a, b).shape == (2,)
    assert fb.binary_cross_entropy_with_logits(a, b, reduction=1).shape == ()
    assert F.binary_cross_entropy_with_logits(a, b).shape == ()
