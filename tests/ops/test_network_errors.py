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


X1, X2, X3 = fb.zeros(1, 2, 8), fb.zeros(1, 2, 8, 8), fb.zeros(1, 2, 8, 8, 8)
SIZES = [
    (
        "fb.nn.functional.max_pool1d(X1,-1)",
        RuntimeError,
        "max_pool1d() kernel_size must be greater than zero, but got -1",
    ),
    (
        "fb.nn.functional.max_pool2d(X2,-1)",
        RuntimeError,
        "kernel size should be greater than zero, but got kH: -1 kW: -1",
    ),
    (
        "fb.nn.functional.max_pool3d(X3,-1)",
        RuntimeError,
        "kernel size should be greater than zero, but got kT: -1 kH: -1 kW: -1",
    ),
    (
        "fb.nn.functional.avg_pool2d(X2,-1)",
        RuntimeError,
        "kernel size should be greater than zero, but got kH: -1 kW: -1",
    ),
    (
        "fb.nn.functional.avg_pool3d(X3,-1)",
        RuntimeError,
        "kernel size should be greater than zero, but got kT: -1 kH: -1 kW: -1",
    ),
    (
        "fb.nn.functional.avg_pool1d(X1,-1)",
        RuntimeError,
        "kernel size should be greater than zero, but got kH: 1 kW: -1",
    ),
    (
        "fb.nn.functional.avg_pool1d(X1,2,-1)",
        RuntimeError,
        "stride should be greater than zero, but got dH: 1 dW: -1",
    ),
    (
        "fb.nn.functional.max_pool2d(X2,-100)",
        RuntimeError,
        "pad should be at most half of effective kernel size, but got pad=0, kernel_size=-100 and dilation=1",
    ),
    (
        "fb.nn.functional.max_pool3d(X3,-100)",
        RuntimeError,
        "pad should be at most half of effective kernel size, but got pad=0, kernel_size=-100 and dilation=1",
    ),
    ("fb.nn.functional.max_pool2d(X2,0)", RuntimeError, "stride should not be zero"),
    (
        "fb.nn.functional.max_pool2d(X2,2,-1)",
        RuntimeError,
        "stride should be greater than zero, but got dH: -1 dW: -1",
    ),
    (
        "fb.nn.functional.max_pool3d(X3,2,-1)",
        RuntimeError,
        "stride should be greater than zero, but got dT: -1 dH: -1 dW: -1",
    ),
    (
        "fb.nn.functional.avg_pool2d(X2,2,-1)",
        RuntimeError,
        "stride should be greater than zero, but got dH: -1 dW: -1",
    ),
    (
        "fb.nn.functional.avg_pool3d(X3,2,-1)",
        RuntimeError,
        "stride should be greater than zero, but got dT: -1 dH: -1 dW: -1",
    ),
    (
        "fb.nn.functional.max_pool2d(X2,2,dilation=-1)",
        RuntimeError,
        "dilation should be greater than zero, but got dilationH: -1 dilationW: -1",
    ),
    (
        "fb.nn.functional.max_pool3d(X3,2,dilation=-1)",
        RuntimeError,
        "dilation should be greater than zero, but got dilationT: -1 dilationH: -1 dilationW: -1",
    ),
    (
        "fb.nn.functional.max_pool1d(X1,2,dilation=-1)",
        RuntimeError,
        "max_pool1d() dilation must be greater than zero, but got -1",
    ),
    (
        "fb.nn.functional.max_pool1d(X1,2,-1)",
        RuntimeError,
        "max_pool1d() stride must be greater than zero, but got -1",
    ),
    ("fb.nn.functional.max_pool2d(X2,2,2,-1)", RuntimeError, "pad must be non-negative, but got pad: -1"),
    ("fb.nn.functional.avg_pool2d(X2,2,2,-1)", RuntimeError, "pad must be non-negative, but got pad: -1"),
    (
        "fb.nn.functional.max_pool1d(fb.zeros(1,1,2,8),2)",
        RuntimeError,
        "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:[1, 1, 2, 8]",
    ),
    (
        "fb.nn.functional.avg_pool1d(fb.zeros(1,1,2,8),2)",
        RuntimeError,
        "Expected 2 to 3 dimensions, but got 4-dimensional tensor for argument #1 'self' (while checking arguments for avg_pool1d)",
    ),
    (
        "fb.zeros(2,2).masked_scatter(fb.ones(2,2)>0,fb.ones(4,dtype=fb.long))",
        RuntimeError,
        "masked_scatter: expected self and source to have same dtypes but gotFloat and Long",
    ),
    (
        "fb.zeros(2,2,dtype=fb.complex64).amax(0)",
        NotImplementedError,
        "\"max_values_cpu\" not implemented for 'ComplexFloat'",
    ),
    (
        "fb.zeros(2,2,dtype=fb.complex64).amin(0)",
        NotImplementedError,
        "\"min_values_cpu\" not implemented for 'ComplexFloat'",
    ),
    (
        "fb.zeros(2,2).gather(0,fb.zeros(1,dtype=fb.long))",
        RuntimeError,
        "Index tensor must have the same number of dimensions as input tensor",
    ),
    (
        "fb.zeros(2,2).scatter(0,fb.zeros(1,dtype=fb.long),1.)",
        RuntimeError,
        "Index tensor must have the same number of dimensions as self tensor",
    ),
    (
        "fb.zeros(2,2).gather(0,fb.zeros(1,3,dtype=fb.long))",
        RuntimeError,
        "Size does not match at dimension 1 expected index [1, 3] to be no larger than self [2, 2] apart from dimension 0",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(1,2,3,4,5),fb.zeros(2,3,3,2))",
        RuntimeError,
        "grid_sampler(): expected grid and input to have same batch size, but got input with sizes [1, 2, 3, 4, 5] and grid with sizes [2, 3, 3, 2]",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(1,2,3),fb.zeros(1,3,2))",
        RuntimeError,
        "grid_sampler(): expected grid to have size 1 in last dimension, but got grid with sizes [1, 3, 2]",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(2,2,3),fb.zeros(1,3,2))",
        RuntimeError,
        "grid_sampler(): expected grid and input to have same batch size, but got input with sizes [2, 2, 3] and grid with sizes [1, 3, 2]",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(1,2,3,4),fb.zeros(2,3,3,2))",
        RuntimeError,
        "grid_sampler(): expected grid and input to have same batch size, but got input with sizes [1, 2, 3, 4] and grid with sizes [2, 3, 3, 2]",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(1,2,3,4),fb.zeros(1,3,2))",
        RuntimeError,
        "grid_sampler(): expected 4D input and grid with same number of dimensions, but got input with sizes [1, 2, 3, 4] and grid with sizes [1, 3, 2]",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(()),fb.zeros(1,3,2))",
        IndexError,
        "Dimension specified as 0 but tensor has no dimensions",
    ),
    (
        "fb.nn.functional.grid_sample(fb.zeros(1,2,3,4),fb.zeros(()))",
        IndexError,
        "Dimension specified as 0 but tensor has no dimensions",
    ),
    (
        "fb.dist(fb.ones(2,dtype=fb.long),fb.ones(2,dtype=fb.long))",
        RuntimeError,
        "norm(): input dtype should be either floating point or complex. Got Long instead.",
    ),
    (
        "fb.linalg.ldl_factor(fb.ones(2,2,dtype=fb.long))",
        RuntimeError,
        "torch.linalg.ldl_factor_ex: Expected a floating point or complex tensor as input. Got Long",
    ),
    (
        "fb.linalg.ldl_factor(fb.ones(2))",
        RuntimeError,
        "torch.linalg.ldl_factor_ex: The input tensor A must have at least 2 dimensions.",
    ),
    (
        "fb.linalg.ldl_factor(fb.ones(2,3))",
        RuntimeError,
        "torch.linalg.ldl_factor_ex: A must be batches of square matrices, but they are 2 by 3 matrices",
    ),
    ("fb.nn.functional.interpolate(2.5,2)", AttributeError, "'float' object has no attribute 'dim'"),
    (
        "fb.nn.functional.interpolate(X1,-5)",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (W: 8) and output (W: -5)",
    ),
    (
        "fb.nn.functional.interpolate(X2,(0,2))",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (H: 8, W: 8) output (H: 0, W: 2)",
    ),
    (
        "fb.nn.functional.interpolate(X3,(0,2,2))",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (D: 8, H: 8, W: 8) output (D: 0, H: 2, W: 2)",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(1,2,0),5)",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (W: 0) and output (W: 5)",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(1,2,0,3),5)",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (H: 0, W: 3) output (H: 5, W: 5)",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(1,0,2,3),5)",
        RuntimeError,
        "Non-empty 4D data tensor expected but got a tensor with sizes [1, 0, 2, 3]",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(1,0,2),5)",
        RuntimeError,
        "Non-empty 3D data tensor expected but got a tensor with sizes [1, 0, 2]",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(1,2,0,3),5,mode='bilinear')",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (H: 0, W: 3) output (H: 5, W: 5)",
    ),
    (
        "fb.nn.functional.interpolate(X1,-5,mode='linear')",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (W: 8) and output (W: -5)",
    ),
    (
        "fb.nn.functional.interpolate(X2,-5,mode='bicubic')",
        RuntimeError,
        "Input and output sizes should be greater than 0, but got input (H: 8, W: 8) output (H: -5, W: -5)",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(3),5)",
        NotImplementedError,
        "Input Error: Only 3D, 4D and 5D input Tensors supported (got 1D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got nearest)",
    ),
    (
        "fb.nn.functional.interpolate(fb.zeros(3,2),5)",
        NotImplementedError,
        "Input Error: Only 3D, 4D and 5D input Tensors supported (got 2D) for the modes: nearest | linear | bilinear | bicubic | trilinear | lanczos | area | nearest-exact (got nearest)",
    ),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("text", "kind", "message"), SIZES)
def test_first_lines_of_size_errors(text, kind, message):
    with pytest.raises(kind) as error:
        eval(text)
    assert str(error.value).split("\n")[0] == message
