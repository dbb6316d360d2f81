# ruff: noqa: E501 (a table of calls and their values)
"""What wrong arguments of the network operators raise: class and first line are PyTorch's."""

import pytest

import flambeau as fb
import flambeau.nn.functional as F


def r(*shape):
    return fb.zeros(*shape)


CASES = [
    (lambda: F.conv2d(r(2, 3, 4, 4), r(5, 4, 3, 3)), RuntimeError,
     "Given groups=1, weight of size [5, 4, 3, 3], expected input[2, 3, 4, 4] to have 4 channels, but got 3 channels instead"),
    (lambda: F.conv2d(r(2, 3), r(5, 4, 3, 3)), RuntimeError,
     "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: [2, 3]"),
    (lambda: F.conv2d(r(2, 3, 2, 2), r(5, 3, 3, 3)), RuntimeError,
     "Calculated padded input size per channel: (2 x 2). Kernel size: (3 x 3). Kernel size can't be greater than actual input size"),
    (lambda: F.conv2d(r(2, 3, 4, 4), r(5, 3, 3, 3), stride=0), RuntimeError, "non-positive stride is not supported"),
    (lambda: F.conv2d(r(2, 3, 4, 4), r(5, 3, 3, 3), padding="same", stride=2), RuntimeError,
     "padding='same' is not supported for strided convolutions"),
    (lambda: F.conv_transpose2d(r(2, 3, 4, 4), r(3, 4, 3, 3), output_padding=1), RuntimeError,
     "output padding must be smaller than either stride or dilation, but got output_padding_height: 1 output_padding_width: 1 "
     "stride_height: 1 stride_width: 1 dilation_height: 1 dilation_width: 1"),
    (lambda: fb.mm(r(2, 3), r(4, 3)), RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x3)"),
    (lambda: fb.mm(r(2, 3), r(3, 3).double()), RuntimeError, "expected m1 and m2 to have the same dtype, but got: float != double"),
    (lambda: fb.mm(r(2, 3) > 0, r(3, 3) > 0), NotImplementedError, "\"addmm_impl_cpu_\" not implemented for 'Bool'"),
    (lambda: fb.bmm(r(2, 3, 4), r(2, 5, 4)), RuntimeError,
     "Expected size for first two dimensions of batch2 tensor to be: [2, 4] but got: [2, 5]."),
    (lambda: fb.dot(r(2), r(3)), RuntimeError,
     "inconsistent tensor size, expected tensor [2] and src [3] to have the same number of elements, but got 2 and 3 elements "
     "respectively"),
    (lambda: F.max_pool2d(r(2, 3, 4, 4), 5), RuntimeError,
     "Given input size: (3x4x4). Calculated output size: (3x0x0). Output size is too small"),
    (lambda: F.max_pool2d(r(2, 3, 4, 4), 2, padding=2), RuntimeError,
     "pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and dilation=1"),
    (lambda: F.layer_norm(r(2, 4), [3]), RuntimeError,
     "Given normalized_shape=[3], expected input with shape [*, 3], but got input of size[2, 4]"),
    (lambda: F.batch_norm(r(2, 4, 3), r(3), r(4)), RuntimeError, "running_mean should contain 4 elements not 3"),
    (lambda: F.softmax(r(2, 3).long(), 1), NotImplementedError, "\"softmax_lastdim_kernel_impl\" not implemented for 'Long'"),
    (lambda: F.cross_entropy(r(2, 3), fb.tensor([0, 7])), IndexError, "Target 7 is out of bounds."),
    (lambda: F.embedding(fb.tensor([0, 5]), r(3, 2)), IndexError, "index out of range in self"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "kind", "text"), CASES, ids=range(len(CASES)))
def test_message(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert type(caught.value) is kind
    assert str(caught.value).split("\n")[0] == text
