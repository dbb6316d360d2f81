"""`torch.ops.quantized_decomposed`: numbers from PyTorch."""

import pytest

import flambeau as fb
from flambeau.ao.quantization.fx import _decomposed  # noqa: F401 (it registers the operators)

ops = fb.ops.quantized_decomposed
X = fb.tensor([[-3.0, 0.26, 1.0, 0.0], [0.56, -0.04, 20.0, 2.0]])
RANGE = -128, 127, fb.int8
SCALES, ZEROS = fb.tensor([0.1, 0.2]), fb.tensor([1, -3])


def test_whole_tensors():
    steps = ops.quantize_per_tensor(X, 0.1, 3, *RANGE)
    assert steps.dtype == fb.int8
    assert steps.tolist() == [[-27, 6, 13, 3], [9, 3, 127, 23]]
    scale, zero = fb.tensor(0.1), fb.tensor(3)
    limits = fb.tensor(-128), fb.tensor(127), fb.int8
    assert fb.equal(ops.quantize_per_tensor.tensor(X, scale, zero, *RANGE), steps)
    assert fb.equal(ops.quantize_per_tensor.tensor2(X, scale, zero, *limits), steps)
    back = ops.dequantize_per_tensor(steps, 0.1, 3, *RANGE)
    assert fb.allclose(back[0], fb.tensor([-3.0, 0.3, 1.0, 0.0]))
    assert fb.equal(ops.dequantize_per_tensor.tensor(steps, scale, zero, *RANGE), back)
    half = ops.dequantize_per_tensor.tensor2(steps, scale, zero, *limits, out_dtype=fb.float16)
    assert half.dtype == fb.float16
    assert fb.equal(ops.quantize_per_tensor(X.half(), 0.1, 3, *RANGE)[1], steps[1])


def test_scales_of_whole_tensors():
    scale, zero = ops.choose_qparams.tensor(X, -128, 127, 1e-5, fb.int8)
    assert (scale.dtype, zero.dtype, scale.shape) == (fb.float64, fb.int64, (1,))
    assert float(scale) == pytest.approx(23 / 255) and zero.tolist() == [-95]
    scale, zero = ops.choose_qparams_symmetric.tensor(X, -127, 127, 1e-5, fb.int8)
    assert float(scale) == pytest.approx(20 / 127) and zero.tolist() == [0]
    assert ops.choose_qparams_symmetric.tensor(X, 0, 255, 1e-5, fb.uint8)[1].tolist() == [128]
    assert float(ops.choose_qparams.tensor(X * 0, -128, 127, 1e-5, fb.int8)[0]) == pytest.approx(1e-5)


def test_channels():
    steps = ops.quantize_per_channel(X, SCALES, ZEROS, 0, *RANGE)
    assert steps.tolist() == [[-29, 4, 11, 1], [0, -3, 97, 7]]
    back = ops.dequantize_per_channel(steps, SCALES, ZEROS, 0, *RANGE)
    assert fb.allclose(back[1], fb.tensor([0.6, 0.0, 20.0, 2.0]))
    turned = ops.quantize_per_channel(X.T, SCALES, ZEROS, 1, *RANGE)
    assert fb.equal(turned.T, steps)
    assert fb.allclose(ops.dequantize_per_channel(steps, SCALES, None, 0, *RANGE)[0, 0], fb.tensor(-2.9))
    x = X.clone().requires_grad_()
    ops.fake_quant_per_channel(x, SCALES, ZEROS, 0, -20, 20).sum().backward()
    assert x.grad.tolist() == [[0.0, 1.0, 1.0, 1.0], [1.0, 1.0, 0.0, 1.0]]


def test_tokens():
    scales, zeros = ops.choose_qparams_per_token(X, fb.int8)
    assert fb.allclose(scales, fb.tensor([[3 / 127], [20 / 127]])) and not zeros.any()
    scales, zeros = ops.choose_qparams_per_token_asymmetric(X, fb.int8)
    assert fb.allclose(scales, fb.tensor([[4 / 255], [20.04 / 255]], dtype=fb.float64))
    assert zeros.tolist() == [[63], [-127]]
    steps = ops.quantize_per_token(X, scales, zeros, *RANGE)
    back = ops.dequantize_per_token(steps, scales, zeros, *RANGE, fb.float32)
    assert fb.allclose(back, X, atol=0.05) and back.dtype == fb.float32
    with pytest.raises(AssertionError, match="num_tokens: 2"):
        ops.quantize_per_token(X, scales[:1], zeros, *RANGE)


def test_groups():
    scales, zeros = fb.tensor([[0.1, 0.2], [0.1, 0.2]]), fb.tensor([[0, 1], [0, 1]], dtype=fb.int32)
    steps = ops.quantize_per_channel_group(X, scales, zeros, -8, 7, fb.int8, 2)
    assert steps.tolist() == [[-8, 3, 6, 1], [6, 0, 7, 7]]
    back = ops.dequantize_per_channel_group(steps, scales, zeros, -8, 7, fb.int8, 2, fb.float32)
    assert fb.allclose(back, fb.tensor([[-0.8, 0.3, 1.0, 0.0], [0.6, 0.0, 1.2, 1.2]]))
    with pytest.raises(AssertionError, match="divisible by group_size"):
        ops.quantize_per_channel_group(X, scales, zeros, -8, 7, fb.int8, 3)


def test_refusals():
    with pytest.raises(AssertionError, match="quant_min out of bounds"):
        ops.quantize_per_tensor(X, 0.1, 3, -129, 127, fb.int8)
    with pytest.raises(ValueError, match="Unsupported dtype"):
        ops.quantize_per_tensor(X, 0.1, 3, -128, 127, fb.int64)
    with pytest.raises(AssertionError, match="input to have dtype"):
        ops.quantize_per_tensor(X.double(), 0.1, 3, *RANGE)
    with pytest.raises(AssertionError, match="one element"):
        ops.quantize_per_tensor.tensor(X, SCALES, ZEROS, *RANGE)


def test_without_numbers_and_in_programs():
    x = X.to("meta")
    assert ops.quantize_per_tensor(x, 0.1, 3, *RANGE).dtype == fb.int8
    scale, zero = ops.choose_qparams.tensor(x, -128, 127, 1e-5, fb.int8)
    assert scale.is_meta and scale.dtype == fb.float64 and zero.shape == (1,)
    assert ops.quantize_per_tensor.tensor(x, scale, zero, *RANGE).shape == X.shape

    class Net(fb.nn.Module):
        def forward(self, x):
            scale, zero = ops.choose_qparams.tensor(x, -128, 127, 1e-5, fb.int8)
            steps = ops.quantize_per_tensor.tensor(x, scale, zero, *RANGE)
            return ops.dequantize_per_tensor.tensor(steps, scale, zero, *RANGE)

    program = fb.export.export(Net(), (X,))
    names = [str(n.target) for n in program.graph.nodes if n.op == "call_function"]
    assert "quantized_decomposed.quantize_per_tensor.tensor" in names
    assert fb.equal(program.module()(X), Net()(X))
