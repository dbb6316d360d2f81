"""Quantized tensors: numbers as PyTorch 2.13 has them on a CPU with AVX2."""

import copy
import io
import pickle

import pytest

import flambeau as fb

X = [-2.0, -0.55, -0.45, 0.0, 0.05, 0.15, 0.25, 1.0, 30.0, float("inf")]


def q(shape=(2, 3), scale=0.1, zero=10, dtype=fb.quint8):
    n = fb.Size(shape).numel()
    return fb.quantize_per_tensor((fb.arange(n).float() - n // 2).reshape(shape) * 0.15, scale, zero, dtype)


def per_channel():
    x = fb.tensor([[-1.0, 0.5, 1.0], [0.35, -0.35, 9.0]])
    return fb.quantize_per_channel(x, fb.tensor([0.1, 0.2]), fb.tensor([0, 1]), 0, fb.qint8)


@pytest.mark.parametrize(
    "dtype, scale, zero, wanted",
    [
        (fb.quint8, 0.1, 10, [0, 4, 6, 10, 10, 12, 12, 20, 255, 255]),
        (fb.qint8, 0.1, 3, [-17, -2, -1, 3, 4, 4, 6, 13, 127, 127]),
        (fb.qint32, 0.1, 3, [-17, -2, -2, 3, 4, 4, 6, 13, 303, 2147483647]),
    ],
)
def test_levels_are_those_of_pytorch_at_ties_too(dtype, scale, zero, wanted):
    assert fb.quantize_per_tensor(fb.tensor(X), scale, zero, dtype).int_repr().tolist() == wanted


def test_what_a_tensor_says_of_itself():
    x = q()
    assert x.is_quantized and not fb.ones(1).is_quantized
    assert (x.dtype, x.q_scale(), x.q_zero_point(), x.qscheme()) == (fb.quint8, 0.1, 10, fb.per_tensor_affine)
    assert x.element_size() == 1 and x.type() == "torch.quantized.QUInt8Tensor"
    assert repr(x) == (
        "tensor([[-0.4000, -0.3000, -0.2000],\n        [ 0.0000,  0.2000,  0.3000]], size=(2, 3), "
        "dtype=torch.quint8,\n       quantization_scheme=torch.per_tensor_affine, scale=0.1, zero_point=10)"
    )
    y = per_channel()
    assert y.int_repr().tolist() == [[-10, 5, 10], [3, -1, 46]]
    assert y.q_per_channel_axis() == 0 and y.q_per_channel_scales().dtype == fb.float64
    assert "scale=tensor([0.1000, 0.2000], dtype=torch.float64)" in repr(y)
    with pytest.raises(RuntimeError, match="kPerTensorAffine to be true"):
        y.q_scale()


def test_tensors_and_lists_as_arguments():
    a, b = fb.quantize_per_tensor(
        [fb.ones(2), fb.ones(1)], fb.tensor([0.1, 0.5]), fb.tensor([1, 2]), fb.quint8
    )
    assert a.int_repr().tolist() == [11, 11] and b.int_repr().tolist() == [4]
    assert [t.tolist() for t in fb.dequantize([a, b])] == [pytest.approx([1.0, 1.0]), [1.0]]
    c = fb.quantize_per_tensor(fb.ones(1), fb.tensor(0.1), fb.tensor(3), fb.qint8)
    assert c.q_scale() == 0.10000000149011612


@pytest.mark.parametrize(
    "values, reduced, wanted",
    [
        ([-1.0, 3.0], False, (4 / 255, 64)),
        ([-1.0, 3.0], True, (4 / 127, 32)),
        ([0.0, 0.0], False, (0.1, 0)),
        ([2.0, 3.0], False, (3 / 255, 0)),
        ([-3.0, -2.0], False, (3 / 255, 255)),
        ([-1e-6, 1e-6], False, (6.099999882280827e-05, 128)),
    ],
)
def test_scale_and_zero_point_that_cover_numbers(values, reduced, wanted):
    scale, zero = fb._choose_qparams_per_tensor(fb.tensor(values), reduced)
    assert (scale, zero) == (pytest.approx(wanted[0], rel=1e-12), wanted[1])


def test_views_share_memory():
    x = q((2, 3, 4))
    v = x[0].t()
    v.fill_(1.0)
    assert v.is_quantized and x.int_repr()[0].eq(20).all() and x.permute(2, 0, 1).stride() == (1, 12, 4)
    assert [p.shape for p in x.chunk(2, 2)] == [(2, 3, 2)] * 2 and x.unsqueeze(0).flatten().shape == (24,)


def test_channels_follow_views():
    y = per_channel()
    assert y[0].qscheme() == fb.per_tensor_affine and y[1].q_zero_point() == 1
    assert y.unsqueeze(0).q_per_channel_axis() == 1 and y[:, 1:].q_per_channel_axis() == 0
    assert [p.q_scale() for p in y.unbind(0)] == [0.10000000149011612, 0.20000000298023224]
    with pytest.raises(RuntimeError, match="uniformly quantized"):
        y.t()


def test_copies_and_comparison():
    x = q()
    assert fb.equal(x, x.clone()) and not fb.equal(x, q(scale=0.2))
    assert (x > 0).tolist() == [[False, False, False], [False, True, True]]
    z = x.clone()
    z.copy_(fb.ones(2, 3))
    z[0, 0] = 0.5
    assert z.int_repr().tolist() == [[15, 20, 20], [20, 20, 20]]
    assert fb.equal(copy.deepcopy(x), x) and fb.equal(pickle.loads(pickle.dumps(x)), x)
    assert x.to("cpu") is x and x.max().item() == pytest.approx(0.3)
    assert fb.cat([x, q(scale=0.2, zero=0)]).int_repr()[2:].tolist() == [[10, 10, 10], [10, 12, 14]]
    with pytest.raises(RuntimeError, match="use dequantize"):
        fb.zeros(2, 3).copy_(x)


@pytest.mark.parametrize(
    "f, wanted",
    [
        (fb.relu, [[10, 10, 10], [10, 12, 13]]),
        (lambda x: x.clamp(-0.2, 0.1), [[8, 8, 8], [10, 11, 11]]),
        (lambda x: fb.nn.functional.leaky_relu(x, 0.3), [[9, 9, 9], [10, 12, 13]]),
        (fb.sigmoid, [[103, 109, 115], [128, 141, 147]]),
        (fb.tanh, [[79, 91, 103], [128, 153, 165]]),
        (lambda x: x.mean(1), [7, 12]),
        (lambda x: fb.nn.functional.pad(x, (1, 0)), [[10, 6, 7, 8], [10, 10, 12, 13]]),
        (lambda x: x.sort(1, descending=True)[0], [[8, 7, 6], [13, 12, 10]]),
    ],
)
def test_operators(f, wanted):
    assert f(q()).int_repr().tolist() == wanted


def test_pooling_and_resizing():
    x = q((1, 1, 4, 4))
    pooled = fb.nn.functional
    assert pooled.max_pool2d(x, 2).int_repr().tolist() == [[[[6, 8], [18, 20]]]]
    assert pooled.avg_pool2d(x, 2).int_repr().tolist() == [[[[2, 4], [14, 16]]]]
    assert pooled.adaptive_avg_pool2d(x, 1).int_repr().item() == 9
    assert pooled.interpolate(x, scale_factor=0.5).int_repr().tolist() == [[[[0, 1], [10, 13]]]]
    assert fb.quantized_max_pool1d(x[0], 2).int_repr().tolist() == [[[0, 2], [6, 8], [12, 14], [18, 20]]]


def test_what_is_refused():
    x = q()
    for f in (lambda: x + x, lambda: x @ x.t(), lambda: fb.exp(x), lambda: x.sum()):
        with pytest.raises(NotImplementedError, match="arguments from the 'QuantizedCPU' backend"):
            f()
    with pytest.raises(NotImplementedError, match="'aten::q_scale' with arguments from the 'CPU' backend"):
        fb.ones(1).q_scale()
    with pytest.raises(RuntimeError, match="only works on Float Tensor, got Double"):
        fb.quantize_per_tensor(fb.ones(1).double(), 0.1, 0, fb.qint8)
    with pytest.raises(RuntimeError, match="zero_point 300 is above upper bound"):
        fb.quantize_per_tensor(fb.ones(1), 0.1, 300, fb.quint8)
    with pytest.raises(RuntimeError, match="length of scales must equal to channel, expected 2 got, 3"):
        fb.quantize_per_channel(fb.ones(2), fb.ones(3), fb.ones(3), 0, fb.qint8)
    with pytest.raises(RuntimeError, match="requires quantized dtype"):
        x.float()
    with pytest.raises(TypeError, match="QUInt8"):
        x.numpy()


@pytest.mark.parametrize("zipped", [True, False])
def test_files(zipped):
    x = q()
    parts = {"x": x, "t": x.t(), "y": per_channel(), "scheme": fb.per_tensor_symmetric}
    if zipped:
        x = fb.tensor([[0.0, 0.5, 1.0], [2.0, 3.0, -1.0]])
        parts["four"] = fb.quantize_per_channel(
            x, fb.tensor([0.1, 0.2]), fb.tensor([0.0, 1.5]), 0, fb.quint4x2
        )
        assert parts["four"].int_repr().tolist() == [80, 202, 15]
    stream = io.BytesIO()
    fb.save(parts, stream, _use_new_zipfile_serialization=zipped)
    stream.seek(0)
    back = fb.load(stream)
    assert back["scheme"] is fb.per_tensor_symmetric
    for name in parts.keys() - {"scheme"}:
        assert fb.equal(back[name], parts[name]) and back[name].stride() == parts[name].stride()
    assert back["x"].data_ptr() == back["t"].data_ptr()
