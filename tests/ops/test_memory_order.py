"""Where results lie in memory: the strides PyTorch gives them."""

import flambeau as fb
import flambeau.nn.functional as F


def test_elementwise_results_follow_the_first_operand_that_tells():
    a, b = fb.zeros(5, 10, 10).permute(2, 1, 0), fb.zeros(10, 5)
    assert fb.add(a[:, :1], b.t().contiguous().t()).stride() == (10, 1, 100)
    assert fb.add(fb.zeros(5, 1, 10).permute(2, 1, 0), fb.zeros(5, 10).t()).stride() == (10, 1, 100)
    assert fb.maximum(a, fb.zeros(10, 1, 5)).stride() == (1, 10, 100)
    c, mask = fb.zeros(3, 4).t(), fb.zeros(4, 3, dtype=fb.bool)
    assert fb.where(mask, c, c).stride() == (3, 1)
    assert fb.gt(c, fb.zeros(4, 3)).stride() == (1, 4)
    assert fb.add(fb.zeros(4, 3), c).stride() == (3, 1)
    assert fb.add(c, fb.zeros(3)).stride() == (1, 4)
    assert fb.addcmul(fb.zeros(4, 1), c, c).stride() == (1, 4)


def test_values_do_not_depend_on_it():
    a, b = fb.randn(5, 1, 10).permute(2, 1, 0), fb.randn(5, 4).t()
    assert fb.equal(a + b, a.contiguous() + b.contiguous())
    assert fb.equal(fb.where(b > 0, a, b), fb.where(b.contiguous() > 0, a.contiguous(), b.contiguous()))


def test_attention_lies_as_its_queries():
    q = fb.zeros(2, 4, 3, 8)
    by_position = q.transpose(1, 2).contiguous().transpose(1, 2)
    attend = F.scaled_dot_product_attention
    assert attend(q, q, q).stride() == (96, 24, 8, 1)
    assert attend(by_position, q, q).stride() == (96, 8, 32, 1)
    q = fb.randn(2, 4, 3, 8, requires_grad=True)
    attend(q, q, q).sum().backward()
    assert q.grad.stride() == (96, 24, 8, 1)
    assert attend(by_position, q, q[..., :5]).shape == (2, 4, 3, 5)
    assert fb.allclose(attend(by_position, q, q), attend(by_position.contiguous(), q, q))


def test_attention_with_both_masks():
    q = fb.arange(24.0).view(1, 2, 3, 4).sin()
    mask = fb.arange(9.0).view(3, 3).cos()
    found = F.scaled_dot_product_attention(q, q, q, attn_mask=mask, is_causal=True)
    golden = [0.0, 0.8414709568, 0.9092974067, 0.1411200017, -0.6514126062, -0.7082070708]
    assert fb.allclose(found.flatten()[:6], fb.tensor(golden))


def test_pictures_of_channels_last_stay_so():
    x = fb.arange(384.0).reshape(2, 8, 4, 6).contiguous(memory_format=fb.channels_last)
    for call, strides in [
        (lambda x: F.pixel_shuffle(x, 2), (192, 1, 24, 2)),
        (lambda x: F.pixel_unshuffle(x, 2), (192, 1, 96, 32)),
        (lambda x: F.channel_shuffle(x, 4), (192, 1, 48, 8)),
        (lambda x: F.pad(x, (1, 1, 1, 1), "reflect"), (384, 1, 64, 8)),
        (lambda x: F.pad(x, (1, 1, 1, 1), "replicate"), (384, 1, 64, 8)),
        (lambda x: F.prelu(x, fb.ones(8, device=x.device)), (192, 1, 48, 8)),
        (lambda x: fb.where(x > 1, x, 0.0), (192, 1, 48, 8)),
    ]:
        got = call(x)
        assert got.stride() == strides
        assert fb.equal(got, call(x.contiguous()))
        assert call(x.to("meta")).stride() == strides
    assert x.masked_fill(x > 1, 0).stride() == (192, 24, 6, 1)
    y = fb.zeros(2, 8, 4, 4, 4).contiguous(memory_format=fb.channels_last_3d)
    assert F.avg_pool3d(y, 2).stride() == F.adaptive_avg_pool3d(y, 2).stride() == (64, 8, 4, 2, 1)
    assert F.pad(y, (1,) * 6, "replicate").stride() == (1728, 1, 288, 48, 8)


def test_shuffles_know_their_derivative():
    x = fb.rand(1, 8, 2, 2, dtype=fb.float64, requires_grad=True)
    for call, name in [
        (lambda x: F.pixel_shuffle(x, 2), "PixelShuffleBackward0"),
        (lambda x: F.pixel_unshuffle(x, 2), "PixelUnshuffleBackward0"),
        (lambda x: F.channel_shuffle(x, 4), "ChannelShuffleBackward0"),
        (lambda x: fb.native_channel_shuffle(x, 2), None),
    ]:
        y = call(x)
        assert name in (None, y.grad_fn.name())
        (g,) = fb.autograd.grad(y, x, y.detach())
        assert fb.equal(g, x)


def test_losses_lie_as_their_input():
    a, b = fb.arange(12.0).reshape(3, 4).t(), (fb.arange(12.0).flip(0) / 2).reshape(3, 4).t()
    means = {F.l1_loss: 4.9166665, F.mse_loss: 34.375, F.huber_loss: 4.4270835, F.smooth_l1_loss: 4.4270835}
    for loss, mean in means.items():
        assert abs(loss(a, b).item() - mean) < 1e-6 * mean
        for other in (b, b.contiguous(), fb.ones(3)):
            wanted = loss(a.contiguous(), other.expand(4, 3).contiguous(), reduction="none")
            each = loss(a, other.expand(4, 3), reduction="none")
            assert each.stride() == (1, 4) and fb.equal(each, wanted)
    x, y = fb.arange(24.0).reshape(2, 3, 4).permute(2, 0, 1), fb.ones(4, 1, 3)
    each = F.l1_loss(x, y.expand_as(x), reduction="none")
    assert each.stride() == (1, 12, 4) and fb.equal(each, (x - 1).abs())
    assert F.mse_loss(x[:, :, 1:], y[:, :, 1:].expand(4, 2, 2), reduction="none").stride() == (1, 8, 4)


def test_gradients_of_losses_of_turned_tensors():
    a, b = fb.randn(5, 3, dtype=fb.float64).t(), fb.randn(5, 3, dtype=fb.float64).t()
    for loss in (F.l1_loss, F.mse_loss, F.huber_loss, F.smooth_l1_loss):
        for reduction in ("none", "mean"):
            x, y = a.detach().requires_grad_(), a.contiguous().requires_grad_()
            loss(x, b, reduction=reduction).sum().backward()
            loss(y, b.contiguous(), reduction=reduction).sum().backward()
            assert fb.allclose(x.grad, y.grad, rtol=1e-14, atol=0)


def test_cat_is_channels_last_where_all_parts_are():
    plain = fb.arange(96.0).reshape(2, 3, 4, 4)
    last = plain.to(memory_format=fb.channels_last)
    for parts in ([last, plain], [plain, last], [last, fb.zeros(0)], [last, last, plain]):
        made = fb.cat(parts, 1)
        assert made.is_contiguous()
        assert fb.equal(made, fb.cat([p.contiguous() for p in parts], 1))
    assert fb.cat([last, last], 1).stride() == (96, 1, 24, 6)
    assert fb.cat([last, last], 0).stride() == (48, 1, 12, 3)
    one = plain[:, :1].to(memory_format=fb.channels_last)
    assert fb.cat([one, last], 1).stride() == (64, 1, 16, 4)
    whole = fb.zeros(1, 2, 3, 4, 4).to(memory_format=fb.channels_last_3d)
    assert fb.cat([whole, whole], 1).is_contiguous(memory_format=fb.channels_last_3d)
    assert fb.cat([whole, whole.contiguous()], 1).is_contiguous()
