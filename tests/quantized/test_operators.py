"""``torch.ops.quantized``: integers as PyTorch 2.13 gives them on a CPU with AVX2."""

import copy
import pickle

import pytest

import flambeau as fb

O = fb.ops.quantized


def steps(*shape, scale=0.05, zero=117, dtype=fb.quint8):
    n = fb.Size(shape).numel()
    x = ((fb.arange(n) * 37) % 101 - 50).float().reshape(shape) * 0.043
    return fb.quantize_per_tensor(x, scale, zero, dtype)


def weight(*shape, per_channel=False):
    n = fb.Size(shape).numel()
    w = ((fb.arange(n) * 29) % 121 - 60).to(fb.int8).reshape(shape)
    if not per_channel:
        return fb._make_per_tensor_quantized_tensor(w, 0.004, 0)
    scales = fb.arange(1, shape[0] + 1) * 0.003
    return fb._make_per_channel_quantized_tensor(w, scales, fb.zeros(shape[0], dtype=fb.int64), 0)


CASES = {
    "linear": lambda: O.linear(
        steps(2, 5), O.linear_prepack(weight(3, 5), fb.tensor([0.5, -0.25, 1.0])), 0.02, 100
    ),
    "linear_relu": lambda: O.linear_relu(steps(2, 5), O.linear_prepack(weight(3, 5, per_channel=True)), 0.01, 7),  # noqa: E501
    "conv1d": lambda: O.conv1d(steps(1, 2, 5), O.conv1d_prepack(weight(2, 2, 3), None, [1], [1], [1], 1), 0.02, 9),  # noqa: E501
    "conv2d": lambda: O.conv2d(
        steps(1, 2, 3, 3),
        O.conv2d_prepack(weight(2, 1, 2, 2, per_channel=True), fb.ones(2), [1, 1], [0, 0], [1, 1], 2),
        0.05,
        90,
    ),
    "conv3d": lambda: O.conv3d_relu(
        steps(1, 1, 2, 2, 2), O.conv3d_prepack(weight(2, 1, 1, 2, 2), None, [1] * 3, [0] * 3, [1] * 3, 1), 0.02, 9  # noqa: E501
    ),
    "conv_transpose2d": lambda: O.conv_transpose2d(
        steps(1, 2, 2, 2),
        O.conv_transpose2d_prepack(weight(2, 1, 2, 2), None, [1, 1], [0, 0], [0, 0], [1, 1], 1),
        0.02,
        90,
    ),
    "add": lambda: O.add(steps(6), steps(6, scale=0.031, zero=3), 0.07, 5),
    "mul_relu": lambda: O.mul_relu(steps(6), steps(6, scale=0.031, zero=60), 0.07, 5),
    "add_scalar": lambda: O.add_scalar(steps(6), 30.0),
    "mul_scalar": lambda: O.mul_scalar(steps(6, dtype=fb.qint8, zero=3), -2.0),
    "cat": lambda: O.cat([steps(3), steps(3, scale=0.1)], 0, 0.07, 4),
    "matmul": lambda: O.matmul(steps(2, 3), steps(3, 2), 0.1, 100),
    "hardswish": lambda: O.hardswish(steps(6), 0.06, 4),
    "sigmoid": lambda: O.sigmoid(steps(6), 0.005, 4),
    "elu": lambda: O.elu(steps(6), 0.06, 40, 1.3),
    "leaky_relu": lambda: O.leaky_relu(steps(6), 0.1, False, 0.06, 40),
    "softmax": lambda: O.softmax(steps(6), 0, 1 / 256, 0),
    "batch_norm": lambda: O.batch_norm2d(
        steps(1, 2, 2, 2), fb.tensor([1.0, 2.0]), fb.tensor([0.5, -0.5]), fb.tensor([0.1, 0.2]),
        fb.tensor([0.7, 1.3]), 1e-5, 0.05, 60,
    ),
    "layer_norm": lambda: O.layer_norm(steps(2, 6), [6], fb.arange(6) * 0.5, fb.ones(6), 1e-5, 0.05, 60),
    "group_norm": lambda: O.group_norm(steps(1, 4, 3), 2, None, None, 1e-5, 0.05, 60),
}  # fmt: skip
WANTED = {
    "linear": [143, 92, 179, 116, 107, 130],
    "linear_relu": [34, 21, 138, 7, 64, 7],
    "conv1d": [48, 29, 0, 36, 31, 0, 13, 13, 0, 0],
    "conv2d": [119, 112, 117, 111, 104, 118, 106, 120],
    "conv3d": [29, 9, 9, 9],
    "conv_transpose2d": [114, 127, 83, 64, 103, 102, 91, 90, 82],
    "add": [0, 0, 35, 0, 2, 47],
    "mul_relu": [62, 9, 20, 46, 5, 35],
    "add_scalar": [192, 204, 215, 196, 206, 217],
    "mul_scalar": [39, 7, -25, 30, -1, -33],
    "cat": [0, 0, 19, 0, 0, 18],
    "matmul": [139, 136, 133, 133],
    "hardswish": [0, 0, 16, 0, 3, 22],
    "sigmoid": [25, 77, 152, 35, 97, 166],
    "elu": [21, 31, 58, 22, 37, 64],
    "leaky_relu": [36, 39, 58, 37, 40, 64],
    "softmax": [3, 17, 83, 5, 25, 123],
    "batch_norm": [16, 54, 93, 27, 38, 94, 0, 54],
    "layer_norm": [80, 78, 101, 49, 86, 148, 80, 84, 112, 65, 109, 12],
    "group_norm": [32, 57, 81, 39, 63, 87, 43, 68, 92, 50, 74, 33],
}


@pytest.mark.parametrize("name", CASES)
def test_integers(name):
    assert CASES[name]().int_repr().flatten().tolist() == WANTED[name]


def test_long_sums_are_exact():
    x = fb._make_per_tensor_quantized_tensor(fb.full((2, 4000), 255, dtype=fb.uint8), 1.0, 0)
    w = fb._make_per_tensor_quantized_tensor(fb.full((1, 4000), 127, dtype=fb.int8), 1.0, 0)
    w[0, 0] = 1.0
    y = O.linear(x, O.linear_prepack(w), 3999 * 255.0 * 127 + 255, 0)
    assert y.int_repr().tolist() == [[1], [1]]
    x = fb._make_per_tensor_quantized_tensor(fb.full((1, 600, 3, 3), 255, dtype=fb.uint8), 1.0, 0)
    w = fb._make_per_tensor_quantized_tensor(fb.full((1, 600, 3, 3), 127, dtype=fb.int8), 1.0, 0)
    packed = O.conv2d_prepack(w, fb.tensor([1.0]), [1, 1], [0, 0], [1, 1], 1)
    assert packed._sums(fb.full((1, 600, 3, 3), 255, dtype=fb.uint8), 0).item() == float(
        fb.tensor(600 * 9 * 255 * 127.0)
    )
    back = O.conv_transpose2d_prepack(w.transpose(0, 1), None, [1, 1], [0, 0], [0, 0], [1, 1], 1)
    assert len(back._ranges) > 1
    sums = back._sums(fb.full((1, 600, 1, 1), 255, dtype=fb.uint8), 0)
    assert sums.flatten().tolist() == [600 * 255 * 127.0] * 9


def test_dynamic_linear():
    packed = O.linear_prepack(weight(3, 4), fb.tensor([0.5, -0.25, 1.0]))
    x = fb.tensor([[0.1, -0.7, 2.0, 0.3]])
    assert O.linear_dynamic(x, packed).tolist() == [pytest.approx(DYNAMIC, abs=1e-7)]
    assert O.linear_relu_dynamic(x, packed, True).tolist() == [pytest.approx(DYNAMIC_RELU, abs=1e-7)]
    again = pickle.loads(pickle.dumps(packed))
    assert fb.equal(again.unpack()[0], packed.unpack()[0]) and copy.deepcopy(packed) is packed
    half = O.linear_prepack_fp16(fb.tensor([[0.1, 0.2]]), None)
    assert O.linear_dynamic_fp16(fb.ones(1, 2), half).item() == pytest.approx(0.29992676)


DYNAMIC, DYNAMIC_RELU = [0.5797929, -0.1579671, 1.0581505], [0.577641, 0.0, 1.0610583]


def test_rows_of_few_bits():
    w = fb.tensor([[0.0, 0.5, 1.0, 3.0], [-1.0, 2.0, 0.25, 0.5]])
    assert O.embedding_bag_byte_prepack(w).tolist() == BYTES
    assert O.embedding_bag_4bit_prepack(w).tolist() == NIBBLES
    back = O.embedding_bag_4bit_unpack(O.embedding_bag_4bit_prepack(w))
    assert back.tolist() == [pytest.approx(r, abs=1e-6) for r in UNPACKED]
    q = fb.quantize_per_channel(w, fb.tensor([0.02, 0.03]), fb.tensor([1.5, 40.0]), 0, fb.quint8)
    packed = O.embedding_bag_prepack(q)
    rows = O.embedding_byte(packed, fb.tensor([1, 0]))
    assert fb.allclose(rows, q.dequantize()[[1, 0]])
    sums = O.embedding_bag_byte(packed, fb.tensor([0, 1, 1]), fb.tensor([0, 2]))
    assert fb.allclose(sums, fb.stack([q.dequantize().sum(0), q.dequantize()[1]]))


BYTES = [[0, 42, 85, 255, 193, 192, 64, 60, 0, 0, 0, 0], [0, 255, 106, 128, 193, 192, 64, 60, 0, 0, 128, 191]]
NIBBLES = [[48, 245, 102, 50, 0, 0], [240, 134, 102, 50, 0, 188]]
UNPACKED = [[0.0, 0.5998535, 0.9997559, 2.9992676], [-1.0, 1.9992676, 0.199707, 0.5996094]]


def test_names_and_schemas():
    assert repr(O.linear.default) == "<OpOverload(op='quantized.linear', overload='default')>"
    assert "LinearPackedParamsBase W_prepack" in str(O.linear.default._schema)
    assert O.conv2d.overloads() == ["new"]
    with pytest.raises(AttributeError, match="'quantized' object has no attribute 'nothing'"):
        O.nothing  # noqa: B018


def test_what_is_refused():
    packed = O.linear_prepack(weight(3, 5))
    with pytest.raises(
        NotImplementedError, match="'quantized::linear' with arguments from the 'CPU' backend"
    ):
        O.linear(fb.ones(1, 5), packed, 1.0, 0)
    with pytest.raises(RuntimeError, match=r"dtype torch\.quint8 but got torch\.qint8"):
        O.linear(steps(1, 5, dtype=fb.qint8, zero=0), packed, 1.0, 0)
    with pytest.raises(RuntimeError, match="same data type"):
        O.add(steps(2), steps(2, dtype=fb.qint8, zero=0), 1.0, 0)
    with pytest.raises(RuntimeError, match="Per Channel Quantization is currently disabled"):
        O.conv_transpose1d_prepack(weight(2, 2, 3, per_channel=True), None, [1], [0], [0], [1], 1)
    with pytest.raises(RuntimeError, match="not a valid value for quantized engine"):
        fb.backends.quantized.engine = "none of them"


def test_engine_names():
    assert fb.backends.quantized.engine == "x86" and "fbgemm" in fb.backends.quantized.supported_engines


def test_cells_of_plain_weights():
    x, h = fb.arange(8.0).reshape(2, 4) * 0.1 - 0.3, fb.arange(6.0).reshape(2, 3) * 0.1
    w_ih = ((fb.arange(48) * 29) % 121 - 60).reshape(12, 4).to(fb.int8)
    w_hh = ((fb.arange(36) * 17) % 121 - 60).reshape(12, 3).to(fb.int8)
    b = fb.arange(12.0) * 0.01
    rest = (None, None, None, None, 0.004, 0.005, 0, 0)
    out, cell = fb.quantized_lstm_cell(x, (h, h * 0.5), w_ih, w_hh, b, b, *rest)
    assert out[0].tolist() == pytest.approx([0.0259462, 0.0208424, 0.0664608], abs=1e-6)
    assert cell[1].tolist() == pytest.approx([0.1943403, 0.136714, 0.2041866], abs=1e-6)
    out = fb.quantized_gru_cell(x, h, w_ih[:9], w_hh[:9], b[:9], b[:9], *rest)
    assert out[1].tolist() == pytest.approx([0.2320376, 0.2524293, 0.2952892], abs=1e-6)
    out = fb.quantized_rnn_tanh_cell(x, h, w_ih[:3], w_hh[:3], b[:3], b[:3], *rest)
    assert out[1].tolist() == pytest.approx([-0.243673, 0.1047849, 0.1082607], abs=1e-6)
    assert fb.equal(fb.quantized_rnn_relu_cell(x, h, w_ih[:3], w_hh[:3], b[:3], b[:3], *rest) > 0, out > 0)
