"""What small calls on quantized tensors skip is still what PyTorch gives."""

import flambeau as fb


def numbers(scale=0.1, zero=3):
    return fb.quantize_per_tensor(fb.arange(-6.0, 6.0).reshape(3, 4), scale, zero, fb.quint8)


def test_attributes_are_those_of_the_integers():
    q = numbers()
    assert q.shape == (3, 4) and isinstance(q.shape, fb.Size) and q.size(-1) == 4 and len(q) == 3
    assert (q.ndim, q.dim(), q.numel(), q.nelement(), q.element_size()) == (2, 2, 12, 12, 1)
    assert (
        q.t().stride() == (1, 4) and q[1:].storage_offset() == 4 and q.data_ptr() == q.view(4, 3).data_ptr()
    )
    assert q.device.type == "cpu" and q.layout is fb.strided and not q.requires_grad


def test_contiguous_keeps_what_is():
    q = numbers()
    assert q.contiguous() is q and not q.t().is_contiguous()
    turned = q.t().contiguous()
    assert turned.is_quantized and turned.is_contiguous() and turned.q_scale() == q.q_scale()
    assert fb.equal(turned.dequantize(), q.dequantize().t())
    images = fb.quantize_per_tensor(fb.randn(2, 3, 4, 5), 0.1, 0, fb.qint8)
    rows = images.contiguous(memory_format=fb.channels_last)
    assert rows is not images and rows.is_contiguous(memory_format=fb.channels_last)
    assert fb.equal(rows.int_repr(), images.int_repr())


def test_levels_are_kept_for_each_quantizer():
    for _ in range(2):
        for scale, zero in ((0.1, 3), (0.05, 3), (0.1, 100)):
            q = numbers(scale, zero)
            for f in (fb.sigmoid, fb.tanh):
                assert ((f(q).dequantize() - f(q.dequantize())).abs() <= f(q).q_scale()).all()
