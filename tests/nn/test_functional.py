"""nn.functional: messages, warnings, and what is composed here."""

import math

import pytest

import flambeau as fb
from flambeau.nn import functional as F

A = fb.ones(2, 3)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: F.mse_loss(A, A, reduction="x"), ValueError, "x is not a valid value for reduction"),
        (
            lambda: F.mse_loss(A, A, weight=fb.ones(3)),
            ValueError,
            "Weights and input must have the same size.",
        ),
        (
            lambda: F.binary_cross_entropy_with_logits(A, fb.ones(2)),
            ValueError,
            "Target size (torch.Size([2])) must be the same as input size (torch.Size([2, 3]))",
        ),
        (lambda: F.gaussian_nll_loss(A, A, fb.ones(4)), ValueError, "var is of incorrect size"),
        (lambda: F.gaussian_nll_loss(A, A, -A), ValueError, "var has negative entry/entries"),
        (
            lambda: F.cosine_embedding_loss(A, A, A),
            RuntimeError,
            "0D or 1D target tensor expected, multi-target not supported",
        ),
        (
            lambda: F.triplet_margin_loss(A, A, A, margin=-1),
            ValueError,
            "margin must be greater than 0, got -1",
        ),
        (lambda: F.dropout(A, 1.5), ValueError, "dropout probability has to be between 0 and 1, but got 1.5"),
        (lambda: F.hardtanh(A, 1, -1), ValueError, "min_val cannot be greater than max_val"),
        (
            lambda: F.batch_norm(fb.ones(1, 3), None, None, training=True),
            ValueError,
            "Expected more than 1 value per channel when training, got input size torch.Size([1, 3])",
        ),
        (
            lambda: F.embedding(fb.tensor([0]), fb.ones(4, 3), padding_idx=4),
            AssertionError,
            "Padding_idx must be within num_embeddings",
        ),
        (
            lambda: F.embedding_bag(fb.tensor([0]), fb.ones(4, 3)),
            ValueError,
            "offsets has to be a 1D Tensor but got None",
        ),
        (
            lambda: F.interpolate(fb.ones(1, 1, 4, 4)),
            ValueError,
            "either size or scale_factor should be defined",
        ),
        (
            lambda: F.interpolate(fb.ones(1, 1, 4), 2, mode="bilinear"),
            NotImplementedError,
            "Got 3D input, but bilinear mode needs 4D input",
        ),
        (
            lambda: F.max_unpool2d(fb.ones(1, 1, 2, 2), fb.zeros(1, 1, 2, 2).long(), 2, output_size=(9, 9)),
            ValueError,
            'invalid output_size "(9, 9)" (dim 0 must be between 2 and 6)',
        ),
        (
            lambda: F.adaptive_avg_pool2d(fb.ones(2, 2), (1, 1)),
            ValueError,
            "Input dimension should be at least 3",
        ),
        (
            lambda: F.linear_cross_entropy(A, fb.ones(4, 5), fb.tensor([0, 1])),
            RuntimeError,
            "expected equal input and linear_weight last dimensions (in_features), got 3 and 5, respectively",
        ),
    ],
)
def test_messages(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert str(caught.value).split("\n")[0] == text


def test_warnings():
    with pytest.warns(UserWarning, match="Implicit dimension choice for softmax has been deprecated"):
        F.softmax(A)
    with pytest.warns(UserWarning, match="different to the input size"):
        F.mse_loss(A, fb.ones(3))
    with pytest.warns(UserWarning, match="please use reduction='sum' instead"):
        assert F.l1_loss(A, 3 * A, size_average=False).item() == 12
    with pytest.warns(UserWarning, match="reduction='elementwise_mean' is deprecated"):
        F.l1_loss(A, A, reduction="elementwise_mean")


def test_weighted_means():
    w = fb.arange(6.0).reshape(2, 3)
    assert F.mse_loss(A, 3 * A, weight=w).item() == 4.0
    assert F.l1_loss(A, 3 * A, weight=w, reduction="sum").item() == 30.0
    assert F.huber_loss(A, 3 * A, weight=w).item() == pytest.approx(3.75)


def test_composed_losses():
    x, y = fb.tensor([[1.0, 2.0], [3.0, -1.0]]), fb.tensor([[0.0, 1.0], [2.0, 2.0]])
    sign = fb.tensor([1, -1])
    assert F.cosine_embedding_loss(x, y, sign).item() == pytest.approx(0.2763932, abs=1e-6)
    assert F.hinge_embedding_loss(x, fb.tensor([[1, -1], [-1, 1]])).item() == pytest.approx(0.0)
    assert F.margin_ranking_loss(x, y, fb.ones(2, 2), margin=1.5).item() == pytest.approx(1.5)
    loss = F.poisson_nll_loss(x, y, full=True)
    assert loss.item() == pytest.approx(6.4660916)
    assert F.gaussian_nll_loss(x, y, fb.ones(2, 2), full=True).item() == pytest.approx(
        0.5 * math.log(2 * math.pi) + 1.5
    )


def test_linear_cross_entropy_in_pieces_is_the_same():
    from flambeau.nn import LinearCrossEntropyOptions

    fb.manual_seed(0)
    x, weight = fb.randn(7, 3, requires_grad=True), fb.randn(5, 3)
    target = fb.tensor([0, 1, 2, 3, 4, 1, 1])
    whole = F.linear_cross_entropy(x, weight, target, ignore_index=1)
    (expected,) = fb.autograd.grad(whole, x)
    options = LinearCrossEntropyOptions(batch_chunk_size=2)
    pieces = F.linear_cross_entropy(x, weight, target, ignore_index=1, options=options)
    (grad,) = fb.autograd.grad(pieces, x)
    assert fb.allclose(whole, pieces) and fb.allclose(grad, expected, atol=1e-6)


def test_grouped_mm():
    a, b = fb.arange(12.0).reshape(4, 3), fb.ones(2, 3, 2)
    offsets = fb.tensor([1, 3], dtype=fb.int32)
    assert F.grouped_mm(a, b, offs=offsets).tolist() == [[3, 3], [12, 12], [21, 21], [0, 0]]
    assert F.grouped_mm(fb.ones(2, 2, 3), b).shape == (2, 2, 2)


def test_dropout_in_evaluation_leaves_a_leaf_alone():
    leaf = fb.ones(2, 2, requires_grad=True)
    assert F.dropout(leaf, 0.5, training=False, inplace=True) is leaf


def cross_entropy_in_steps(x, target, weight, reduction, ignore, smoothing):
    """The definition: a negative log likelihood, blended with the mean over all classes."""
    logs = x.log_softmax(0 if x.dim() == 1 else 1)
    nll = F.nll_loss(logs, target, weight, reduction="none", ignore_index=ignore)
    known = target != ignore
    uniform = -logs.mean(0 if x.dim() == 1 else 1) * known
    loss = nll * (1 - smoothing) + uniform * smoothing
    if reduction == "none":
        return loss
    count = (weight[target] * known).sum() if weight is not None else known.sum()
    return loss.sum() / (count if reduction == "mean" else 1)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("smoothing, weighted", [(0.0, False), (0.0, True), (0.2, False)])
@pytest.mark.parametrize("shape", [(5,), (40, 7), (3, 4, 5), (2, 3, 4, 5)])
def test_cross_entropy_is_what_its_steps_give(shape, smoothing, weighted, reduction):
    fb.manual_seed(0)
    x = fb.randn(shape, dtype=fb.float64, requires_grad=True)
    classes = shape[0] if len(shape) == 1 else shape[1]
    target = fb.randint(0, classes, () if len(shape) == 1 else (shape[0], *shape[2:]))
    ignore = 1 if len(shape) > 1 else -100
    weight = fb.rand(classes, dtype=fb.float64) if weighted else None
    seed, other = fb.rand(()) if reduction != "none" else fb.rand(target.shape), fb.randn(shape)
    found = []
    for loss in (
        F.cross_entropy(x, target, weight, None, ignore, None, reduction, smoothing),
        cross_entropy_in_steps(x, target, weight, reduction, ignore, smoothing),
    ):
        (first,) = fb.autograd.grad(loss, x, seed.double(), retain_graph=True)
        (again,) = fb.autograd.grad(loss, x, seed.double(), create_graph=True)
        (second,) = fb.autograd.grad((again * other).sum(), x)
        found.append((loss, first, again, second))
    for got, want in zip(*found):
        assert fb.allclose(got, want, rtol=1e-9, atol=1e-12)


def test_cross_entropy_leaves_its_input_free_to_change():
    x = fb.randn(4, 3, requires_grad=True)
    y = x * 1
    loss = F.cross_entropy(y, fb.tensor([0, 1, 2, 0]))
    y.zero_()
    loss.backward()
    assert x.grad.abs().sum() > 0
    assert type(loss.grad_fn).__name__ == "NllLossBackward0"
    with pytest.raises(IndexError, match=r"Target 3 is out of bounds\."):
        F.cross_entropy(x, fb.tensor([0, 3, 1, 1]))


LOSSES = {
    "mse": lambda x, y, w, r: F.mse_loss(x, y, reduction=r),
    "l1": lambda x, y, w, r: F.l1_loss(x, y, reduction=r),
    "smooth_l1": lambda x, y, w, r: F.smooth_l1_loss(x, y, reduction=r, beta=0.3),
    "huber": lambda x, y, w, r: F.huber_loss(x, y, reduction=r, delta=0.3),
    "soft_margin": lambda x, y, w, r: F.soft_margin_loss(x, y, reduction=r),
    "bce": lambda x, y, w, r: F.binary_cross_entropy(x, y, w, reduction=r),
    "logits": lambda x, y, w, r: F.binary_cross_entropy_with_logits(x, y, w, pos_weight=w, reduction=r),
    "kl_div": lambda x, y, w, r: F.kl_div(x, y, reduction=r),
}


@pytest.mark.filterwarnings("ignore:reduction")
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("name", LOSSES)
def test_losses_in_one_pass_are_what_their_operators_give(name, reduction):
    fb.manual_seed(0)
    for shape in ((3,), (5, 700), ()):  # less than a block of the fusion VM, and more
        x, y, w = (fb.empty(shape).double().uniform_(0.1, 0.9).requires_grad_(k < 2) for k in range(3))
        loss = LOSSES[name](x, y, w, reduction)
        seed = fb.rand(loss.shape, dtype=fb.float64)
        fused = fb.autograd.grad(loss, (x, y), seed, retain_graph=True)
        steps = fb.autograd.grad(
            loss, (x, y), seed, create_graph=True
        )  # by operators, to be differentiated again
        for got, want in zip(fused, steps):
            assert fb.allclose(got, want, rtol=1e-12, atol=1e-14)
        each = LOSSES[name](x.detach(), y.detach(), w, "none")
        want = each if reduction == "none" else each.mean() if reduction == "mean" else each.sum()
        assert fb.allclose(loss, want, rtol=1e-12, atol=1e-14)
        h = 1e-6
        ends = [LOSSES[name](x.detach() + s, y.detach(), w, reduction) for s in (-h, h)]
        slope = ((ends[1] - ends[0]) / (2 * h) * seed).sum()
        assert fb.allclose(fused[0].sum(), slope, rtol=1e-4, atol=1e-4)


def test_losses_broadcast_and_mixed_types():
    x, y = fb.rand(4, 3, requires_grad=True), fb.rand(3)
    with pytest.warns(UserWarning, match="different to the input size"):
        loss = F.mse_loss(x, y)
    loss.backward()
    assert fb.allclose(x.grad, 2 * (x - y).detach() / 12)
    assert F.huber_loss(x.half(), x.half() + 1, reduction="sum").dtype == fb.float16
    assert F.binary_cross_entropy(fb.zeros(0), fb.zeros(0), reduction="sum") == 0
    assert F.mse_loss(fb.rand(2, device="meta"), fb.rand(2, device="meta")).is_meta
    with pytest.raises(RuntimeError, match="all elements of input should be between 0 and 1"):
        F.binary_cross_entropy(fb.tensor([0.5, float("nan")]), fb.zeros(2))


def test_log_sigmoid_and_softplus_far_out():
    x = fb.tensor([-float("inf"), -100, -20, -1e-3, 0, 1e-3, 20, 100, float("inf"), float("nan")])
    exact = fb.log1p(fb.exp(-x.double().abs()))
    assert fb.allclose(
        F.logsigmoid(x), (x.double().clamp(max=0) - exact).float(), rtol=2e-7, atol=0, equal_nan=True
    )
    soft = (x.double().clamp(min=0) + exact).float()
    assert fb.allclose(F.softplus(x, threshold=1e4), soft, rtol=2e-7, atol=0, equal_nan=True)


def test_margin_losses():
    x = fb.tensor([[0.1, 0.6, 0.3], [0.9, 0.2, 0.4]], requires_grad=True)
    loss = F.multi_margin_loss(x, fb.tensor([1, 2]), p=2, margin=0.5, weight=fb.tensor([1.0, 2.0, 0.5]))
    loss.backward()
    assert abs(loss.item() - 0.1041667) < 1e-6
    want = [[0, -0.1333333, 0.1333333], [0.1666667, 0.05, -0.2166667]]
    assert fb.allclose(x.grad, fb.tensor(want), atol=1e-6)
    each = F.multilabel_margin_loss(x, fb.tensor([[2, -1, 0], [0, 1, -1]]), reduction="none")
    assert fb.allclose(each, fb.tensor([0.7, 0.5666667]))
    for call, text in (
        (lambda: F.multi_margin_loss(x, fb.tensor([0, 3])), "target out of range"),
        (lambda: F.multi_margin_loss(x, fb.tensor([0])), "target tensor should be 1-D with size equal"),
        (
            lambda: F.multilabel_margin_loss(x, fb.tensor([[0, 3, -1]] * 2)),
            "argument #2 'target' is out of range",
        ),
    ):
        with pytest.raises(RuntimeError, match=text):
            call()
    assert F.multi_margin_loss(
        fb.rand(2, 3, device="meta"), fb.zeros(2, dtype=fb.int64, device="meta")
    ).is_meta


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_cross_entropy_of_probabilities_without_gradients(reduction, smoothing):
    fb.manual_seed(0)
    for shape in ((5,), (1, 1), (7, 1), (40, 333), (3000, 10)):
        x, y = fb.randn(shape) * 3, fb.softmax(fb.randn(shape), -1)
        for a, b in ((x, y), (x.double(), y.double()), (fb.stack([x, x], -1)[..., 1], y)):
            got = F.cross_entropy(a, b, reduction=reduction, label_smoothing=smoothing)
            steps = F.cross_entropy(
                a.detach().requires_grad_(), b, reduction=reduction, label_smoothing=smoothing
            )
            assert got.grad_fn is None and steps.grad_fn is not None and got.shape == steps.shape
            fb.testing.assert_close(got, steps.detach(), rtol=1e-5, atol=1e-5)
    x = fb.tensor([[1.0, 2.0, float("-inf")], [0.0, float("nan"), 1.0]])
    y = fb.tensor([[0.5, 0.5, 0.0], [1.0, 0.0, 0.0]])
    assert F.cross_entropy(x, y, reduction="none").isnan().tolist() == [True, True]
    assert F.cross_entropy(fb.randn(0, 3), fb.randn(0, 3)).isnan()
