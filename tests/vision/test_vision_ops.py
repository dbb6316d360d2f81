"""Pooling of regions, deformable convolution and building blocks, against loops in plain Python."""

import math
from collections import OrderedDict

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.vision import ops
from flambeau.vision.ops.feature_pyramid_network import LastLevelMaxPool, LastLevelP6P7


def at(plane, y, x):
    """Linear interpolation; nothing beyond one pixel outside."""
    height, width = plane.shape
    if y < -1 or y > height or x < -1 or x > width:
        return 0.0
    y, x = max(y, 0.0), max(x, 0.0)
    y0, x0 = min(int(y), height - 1), min(int(x), width - 1)
    y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
    dy, dx = (y - y0 if y0 < y1 else 0), (x - x0 if x0 < x1 else 0)
    top = plane[y0, x0] * (1 - dx) + plane[y0, x1] * dx
    return top * (1 - dy) + (plane[y1, x0] * (1 - dx) + plane[y1, x1] * dx) * dy


def plain_align(maps, rois, bins, scale, ratio, aligned, by_position=False):
    high, wide = bins
    depth = maps.shape[1] // (high * wide) if by_position else maps.shape[1]
    out = np.zeros((len(rois), depth, high, wide))
    for k, (n, *box) in enumerate(rois):
        x1, y1, x2, y2 = (v * scale - (0.5 if aligned else 0) for v in box)
        w, h = x2 - x1, y2 - y1
        if not aligned:
            w, h = max(w, 1), max(h, 1)
        ny, nx = (ratio, ratio) if ratio > 0 else (math.ceil(h / high), math.ceil(w / wide))
        for c in range(depth):
            for i in range(high):
                for j in range(wide):
                    plane = maps[int(n), (c * high + i) * wide + j if by_position else c]
                    total = 0.0
                    for sy in range(ny):
                        for sx in range(nx):
                            y = y1 + (i + (sy + 0.5) / ny) * h / high
                            x = x1 + (j + (sx + 0.5) / nx) * w / wide
                            total += at(plane, y, x)
                    out[k, c, i, j] = total / max(ny * nx, 1)
    return out


ROIS = [[0, 1.2, 2.1, 9.7, 8.3], [1, -3.0, 0.0, 4.0, 14.0], [1, 5, 5, 5.4, 5.2], [0, 8, 8, 30, 30.0]]


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [-1, 1, 3])
def test_roi_align(aligned, ratio):
    maps, rois = fb.rand(2, 3, 11, 13, dtype=fb.float64), fb.tensor(ROIS, dtype=fb.float64)
    out = ops.roi_align(maps, rois, (3, 2), 0.8, ratio, aligned)
    expected = plain_align(maps.numpy(), ROIS, (3, 2), 0.8, ratio, aligned)
    assert np.allclose(out.numpy(), expected)
    by_list = ops.RoIAlign((3, 2), 0.8, ratio, aligned)(maps, [rois[[0, 3], 1:], rois[[1, 2], 1:]])
    assert fb.allclose(by_list, out[[0, 3, 1, 2]])


def test_roi_align_gradients():
    maps, rois = fb.rand(2, 2, 6, 7, dtype=fb.float64, requires_grad=True), fb.tensor(ROIS, dtype=fb.float64)
    for ratio in (-1, 2):
        assert fb.autograd.gradcheck(lambda m, ratio=ratio: ops.roi_align(m, rois, 2, 0.5, ratio), (maps,))
    assert fb.autograd.gradgradcheck(lambda m: ops.roi_align(m, rois, 2, 0.5, 1, True), (maps,))
    deep = fb.rand(2, 8, 6, 7, dtype=fb.float64, requires_grad=True)
    assert fb.autograd.gradcheck(lambda m: ops.ps_roi_align(m, rois, 2, 0.5, 2), (deep,))
    assert fb.autograd.gradcheck(lambda m: ops.ps_roi_pool(m, rois, 2, 0.5), (deep,))
    distinct = (fb.randperm(2 * 2 * 6 * 7).double().reshape(2, 2, 6, 7) / 7).requires_grad_()
    assert fb.autograd.gradcheck(lambda m: ops.roi_pool(m, rois, 2, 0.5), (distinct,))


def test_regions_without_boxes_and_wrong_ones():
    maps = fb.rand(1, 4, 5, 5, requires_grad=True)
    for function in (ops.roi_align, ops.roi_pool, ops.ps_roi_align, ops.ps_roi_pool):
        out = function(maps, [fb.empty(0, 4)], 2)
        assert out.shape[0] == 0 and out.shape[2:] == (2, 2)
        out.sum().backward()
        with pytest.raises(IndexError, match="batch of 1"):
            function(maps, fb.tensor([[1.0, 0, 0, 2, 2]]), 2)
    with pytest.raises(AssertionError, match="Tensor\\[K, 5\\]"):
        ops.roi_align(maps, fb.rand(2, 4), 2)
    with pytest.raises(AssertionError, match="List\\[Tensor\\[L, 4\\]\\]"):
        ops.roi_align(maps, [fb.rand(2, 5)], 2)
    with pytest.raises(RuntimeError, match="multiple of pooling"):
        ops.ps_roi_align(maps, [fb.rand(2, 4)], 3)


def test_ps_roi_align():
    maps, rois = fb.rand(2, 12, 11, 13, dtype=fb.float64), fb.tensor(ROIS, dtype=fb.float64)
    out = ops.PSRoIAlign((3, 2), 0.8, 2)(maps, rois)
    assert np.allclose(out.numpy(), plain_align(maps.numpy(), ROIS, (3, 2), 0.8, 2, True, by_position=True))


@pytest.mark.parametrize("by_position", [False, True])
def test_roi_pool(by_position):
    rois = [[0, 1, 2, 9, 8], [1, 0, 0, 4, 10], [1, 5, 5, 5, 5], [0, 20, 20, 30, 30]]
    maps = fb.rand(2, 12, 11, 13, dtype=fb.float64)
    high, wide = 3, 2
    depth = 2 if by_position else 12
    expected = np.zeros((4, depth, high, wide))
    for k, (n, x1, y1, x2, y2) in enumerate(rois):
        extra = 0 if by_position else 1
        w, h = max(x2 - x1 + extra, 1), max(y2 - y1 + extra, 1)
        limit = (10, 12) if by_position else (11, 13)
        for c in range(depth):
            for i in range(high):
                for j in range(wide):
                    ys = [min(max(y1 + e, 0), limit[0]) for e in (i * h // high, -(-(i + 1) * h // high))]
                    xs = [min(max(x1 + e, 0), limit[1]) for e in (j * w // wide, -(-(j + 1) * w // wide))]
                    plane = maps[n, (c * high + i) * wide + j if by_position else c].numpy()
                    part = plane[ys[0] : ys[1], xs[0] : xs[1]]
                    if part.size:
                        expected[k, c, i, j] = part.mean() if by_position else part.max()
    module = (ops.PSRoIPool if by_position else ops.RoIPool)((3, 2), 1.0)
    assert np.allclose(module(maps, fb.tensor(rois, dtype=fb.float64)).numpy(), expected)


def test_multi_scale_roi_align():
    pooler = ops.MultiScaleRoIAlign(["a", "b"], 3, 2)
    maps = OrderedDict(a=fb.rand(1, 4, 64, 64), b=fb.rand(1, 4, 32, 32), other=fb.rand(1, 4, 2, 2))
    boxes = fb.tensor([[0.0, 0, 30, 30], [10, 10, 250, 250], [0, 0, 200, 220]])
    out = pooler(maps, [boxes], [(256, 256)])
    # sides of 30 and 210 belong to level 2 (of 2 to 3), a side of 240 above 224 / 2 ** 1 to level 3
    levels = pooler.map_levels([boxes]).tolist()
    assert levels == [0, 1, 1] and pooler.scales == [0.25, 0.125]
    for k, level in enumerate(levels):
        alone = ops.roi_align(maps["ab"[level]], [boxes[k : k + 1]], 3, pooler.scales[level], 2)
        assert fb.allclose(out[k], alone[0])
    assert (
        repr(pooler) == "MultiScaleRoIAlign(featmap_names=['a', 'b'], output_size=(3, 3), sampling_ratio=2)"
    )


def test_deform_conv_without_offsets_is_convolution():
    x, weight, bias = fb.rand(2, 4, 8, 9), fb.rand(6, 2, 3, 2), fb.rand(6)
    arguments = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 2)}
    plain = nn.functional.conv2d(x, weight, bias, groups=2, **arguments)
    offset = fb.zeros(2, 2 * 2 * 6, *plain.shape[-2:])
    assert fb.allclose(ops.deform_conv2d(x, offset, weight, bias, **arguments), plain, atol=1e-5)
    mask = fb.full((2, 2 * 6, *plain.shape[-2:]), 0.5)
    half = ops.deform_conv2d(x, offset, weight, None, mask=mask, **arguments)
    assert fb.allclose(half, (plain - bias.reshape(1, -1, 1, 1)) / 2, atol=1e-5)


def test_deform_conv_against_loops_and_gradients():
    x = fb.rand(1, 2, 4, 5, dtype=fb.float64, requires_grad=True)
    weight = fb.rand(2, 2, 2, 2, dtype=fb.float64, requires_grad=True)
    offset = (fb.rand(1, 2 * 2 * 4, 3, 4, dtype=fb.float64) * 3 - 1.5).requires_grad_()
    mask = fb.rand(1, 2 * 4, 3, 4, dtype=fb.float64, requires_grad=True)
    out = ops.deform_conv2d(x, offset, weight, mask=mask)
    expected = np.zeros((2, 3, 4))
    for o, i, j, c, ky, kx in np.ndindex(2, 3, 4, 2, 2, 2):
        tap = c * 4 + ky * 2 + kx  # channel c is offset group c
        dy, dx = offset[0, 2 * tap, i, j].item(), offset[0, 2 * tap + 1, i, j].item()
        plane = np.pad(x[0, c].detach().numpy(), 3)
        value = at(plane, i + ky + dy + 3, j + kx + dx + 3)
        expected[o, i, j] += weight[o, c, ky, kx].item() * mask[0, tap, i, j].item() * value
    assert np.allclose(out[0].detach().numpy(), expected)
    assert fb.autograd.gradcheck(lambda *a: ops.deform_conv2d(*a[:3], mask=a[3]), (x, offset, weight, mask))
    layer = ops.DeformConv2d(4, 6, 3, padding=1, groups=2)
    assert layer(fb.rand(1, 4, 5, 5), fb.zeros(1, 18, 5, 5)).shape == (1, 6, 5, 5)
    assert repr(layer) == "DeformConv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=2)"
    with pytest.raises(RuntimeError, match="offset tensor at dimension 1 is not valid"):
        layer(fb.rand(1, 4, 5, 5), fb.zeros(1, 4, 5, 5))


def test_stochastic_depth():
    x = fb.ones(400, 2, 3)
    rows = ops.stochastic_depth(x, 0.25, "row")
    values = rows[:, 0, 0]
    assert set(values.tolist()) <= {0.0, float(fb.tensor(1.0) / 0.75)}
    assert (
        rows.equal(values.reshape(-1, 1, 1).expand(400, 2, 3)) and 0.15 < (values == 0).float().mean() < 0.35
    )
    assert ops.StochasticDepth(1.0, "batch")(x).sum() == 0
    assert ops.StochasticDepth(0.3, "batch").eval()(x) is x
    assert repr(ops.StochasticDepth(0.3, "row")) == "StochasticDepth(p=0.3, mode=row)"
    with pytest.raises(ValueError, match="drop probability has to be between 0 and 1, but got 2"):
        ops.stochastic_depth(x, 2, "row")
    with pytest.raises(ValueError, match="mode has to be either 'batch' or 'row', but got a"):
        ops.stochastic_depth(x, 0.5, "a")


def test_drop_block():
    fb.manual_seed(3)
    x = fb.ones(2, 3, 20, 20)
    out = ops.drop_block2d(x, 0.2, 3)
    lost = (out == 0).float().mean().item()
    assert 0.1 < lost < 0.3 and out.mean().item() == pytest.approx(1, abs=1e-4)
    inner = (out == 0)[..., 1:-1, 1:-1]  # every lost pixel lies in a lost 3 × 3 square
    squares = nn.functional.avg_pool2d((out == 0).float(), 3, 1) == 1
    around = nn.functional.max_pool2d(squares.float(), 3, 1, 1).bool()
    assert (inner & ~around).sum() == 0
    assert ops.DropBlock3d(0.1, 2)(fb.ones(1, 2, 4, 4, 4)).shape == (1, 2, 4, 4, 4)
    assert ops.DropBlock2d(0.1, 2).eval()(x) is x
    kept = x.clone()
    assert ops.drop_block2d(kept, 0.2, 3, inplace=True).data_ptr() == kept.data_ptr()
    assert repr(ops.DropBlock2d(0.1, 2)) == "DropBlock2d(p=0.1, block_size=2, inplace=False)"


def test_blocks():
    block = ops.Conv2dNormActivation(3, 8, kernel_size=3, stride=2, dilation=2)
    assert [type(layer).__name__ for layer in block] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert block[0].padding == (2, 2) and block[0].bias is None and block.out_channels == 8
    bare = ops.Conv3dNormActivation(3, 8, kernel_size=(1, 3, 5), norm_layer=None, activation_layer=None)
    assert len(bare) == 1 and bare[0].padding == (0, 1, 2) and bare[0].bias is not None
    attention = ops.SqueezeExcitation(8, 2)
    x = fb.rand(2, 8, 5, 5)
    scale = fb.sigmoid(attention.fc2(fb.relu(attention.fc1(x.mean((2, 3), keepdim=True)))))
    assert fb.allclose(attention(x), x * scale)
    assert list(dict(attention.named_parameters())) == ["fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    mlp = ops.MLP(4, [6, 3], norm_layer=nn.LayerNorm, dropout=0.1)
    assert [type(layer).__name__ for layer in mlp] == [
        "Linear", "LayerNorm", "ReLU", "Dropout", "Linear", "Dropout"]  # fmt: skip
    assert ops.Permute([0, 2, 1])(fb.rand(2, 3, 4)).shape == (2, 4, 3)


def test_frozen_batch_norm():
    norm = nn.BatchNorm2d(4)
    nn.init.normal_(norm.weight)
    norm(fb.rand(8, 4, 3, 3))
    frozen = ops.FrozenBatchNorm2d(4)
    frozen.load_state_dict(norm.state_dict())
    x = fb.rand(2, 4, 3, 3)
    assert fb.allclose(frozen(x), norm.eval()(x), atol=1e-5)
    assert repr(frozen) == "FrozenBatchNorm2d(4, eps=1e-05)" and not list(frozen.parameters())


def test_feature_pyramid():
    fpn = ops.FeaturePyramidNetwork([4, 6], 5, extra_blocks=LastLevelMaxPool())
    maps = OrderedDict(fine=fb.rand(1, 4, 8, 8), coarse=fb.rand(1, 6, 4, 4))
    out = fpn(maps)
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        "fine": (1, 5, 8, 8), "coarse": (1, 5, 4, 4), "pool": (1, 5, 2, 2)}  # fmt: skip
    assert sorted(fpn.state_dict())[:2] == ["inner_blocks.0.0.bias", "inner_blocks.0.0.weight"]
    top = fpn.inner_blocks[1](maps["coarse"])
    merged = fpn.inner_blocks[0](maps["fine"]) + top.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert fb.allclose(out["fine"], fpn.layer_blocks[0](merged), atol=1e-6)
    more = ops.FeaturePyramidNetwork([4, 6], 5, extra_blocks=LastLevelP6P7(5, 5))(maps)
    assert list(more) == ["fine", "coarse", "p6", "p7"]
    with pytest.raises(ValueError, match="in_channels=0"):
        ops.FeaturePyramidNetwork([0], 5)


def test_torchvision_ops_import():
    with fb.install_as_torch():
        from torchvision.ops import nms
        from torchvision.ops.misc import Conv2dNormActivation

        assert nms is ops.nms and Conv2dNormActivation is ops.Conv2dNormActivation
