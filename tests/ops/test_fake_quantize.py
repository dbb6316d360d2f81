"""Quantization acted out in floats."""

import flambeau as fb


def test_zero_points_between_whole_numbers():
    """They are added before rounding; differences are taken in double. The numbers are PyTorch's."""
    fb.manual_seed(0)
    x = fb.randn(3, 5, requires_grad=True)
    scale, zero = fb.tensor([0.1, 0.02, 0.3]), fb.tensor([0.2, 3.7, -4.4])
    y = fb.fake_quantize_per_channel_affine(x, scale, zero, 0, -8, 15)
    expected = [
        [1.48, -0.32, -0.82, 0.58, -0.82],
        [-0.234, 0.226, 0.226, -0.234, -0.234],
        [-0.48, 0.12, -0.78, 1.02, -1.08],
    ]
    fb.testing.assert_close(y, fb.tensor(expected), rtol=0, atol=1e-6)
    (y * y).sum().backward()
    inside = fb.tensor([[0, 1, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    fb.testing.assert_close(x.grad, fb.tensor(expected) * 2 * inside, rtol=0, atol=1e-6)


def test_gradients_outside_keep_their_sign():
    x = fb.tensor([-9.0, 0.1, 9.0], requires_grad=True)
    fb.fake_quantize_per_tensor_affine(x, 0.1, 0, -8, 7).backward(fb.tensor([-1.0, -2.0, 3.0]))
    assert str(x.grad) == "tensor([-0., -2.,  0.])"
