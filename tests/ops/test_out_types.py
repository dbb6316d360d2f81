# ruff: noqa: E501 (rows of texts)
"""What an out= tensor's dtype may be, and other answers on unusual input; the texts are PyTorch's."""

from __future__ import annotations

import pytest

import flambeau as fb

A = fb.tensor([[1.0, 2.0], [3.0, 4.0]])
I = fb.zeros(2, 2, dtype=fb.int64)
F = fb.nn.functional


def _out(dtype):
    return fb.zeros(2, 2, dtype=dtype)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fb.mm(A, A, out=_out(fb.float64)), "Expected out tensor to have dtype float, but got double instead"),
        (lambda: fb.gather(A, 0, I, out=_out(fb.half)), "Expected out tensor to have dtype float, but got c10::Half instead"),
        (lambda: fb.abs(A, out=_out(fb.float64)), "Found dtype Double but expected Float"),
        (lambda: fb.ones(2, 2, dtype=fb.float32, out=_out(fb.float64)), "dtype Float does not match dtype of out parameter (Double)"),
        (lambda: fb.cummax(A, 0, out=(_out(fb.float64), I)), "expected scalar_type Float but found Double"),
        (lambda: fb.all(A, out=_out(fb.float32)), "all only supports bool tensor for result, got: Float"),
        (lambda: fb.linalg.norm(A, out=fb.zeros((), dtype=fb.float64)), "linalg.norm expected out tensor dtype Float but got: Double"),
        (lambda: fb.cholesky_inverse(A, out=_out(fb.int32)), "cholesky_inverse: Expected result to be safely castable from Float dtype, but got result with dtype Int"),
        (lambda: fb.fft.fft(A, out=_out(fb.float32)), "fft expects a complex output tensor, but got Float"),
        (lambda: fb.add(A, A, out=_out(fb.int32)), "result type Float can't be cast to the desired output type Int"),
        (
            lambda: A.scatter(1, fb.zeros(3, 2, dtype=fb.int64), fb.ones(2, 2)),
            "Expected index [3, 2] to be no larger than self [2, 2] apart from dimension 1 and to be no larger size than src [2, 2]",
        ),
        (lambda: fb.nansum(A.cfloat()), "nansum on CPU does not support complex inputs"),
        (lambda: fb.var_mean(I), "var_mean only support floating point and complex dtypes"),
        (lambda: fb.trapezoid(fb.tensor(1.0)), "Dimension specified as -1 but tensor has no dimensions"),
    ],
)  # fmt: skip
def test_refusals(call, text):
    with pytest.raises((RuntimeError, IndexError)) as e:
        call()
    assert str(e.value).split("\n")[0] == text


def test_what_fits_is_written():
    wide = _out(fb.float64)
    assert fb.add(A, A, out=wide) is wide and wide.tolist() == [[2, 4], [6, 8]]
    assert fb.max(A, A + 1, out=_out(fb.float64)).dtype == fb.float64
    assert fb.all(A > 0, out=fb.zeros((), dtype=fb.uint8)).item() == 1
    assert fb.ones(2, out=fb.zeros(2, dtype=fb.int16)).dtype == fb.int16


@pytest.mark.parametrize("dtype", [fb.float16, fb.bfloat16])
@pytest.mark.parametrize("size", [(4, 5), (2, 4, 5)])
def test_grid_sample_in_half_precision(dtype, size):
    x = fb.arange(2.0 * fb.Size(size).numel()).reshape(1, 2, *size).div(7)
    grid = fb.linspace(-1, 1, 6 * len(size)).reshape(1, 2, *([1] * (len(size) - 2)), 3, len(size))
    exact = F.grid_sample(x.to(dtype).float(), grid.to(dtype).float(), align_corners=False)
    made = F.grid_sample(x.to(dtype), grid.to(dtype), align_corners=False)
    assert made.dtype == dtype
    fb.testing.assert_close(made, exact.to(dtype))


def test_the_nearest_point_does_not_move():
    x, grid = fb.ones(1, 1, 3, 3, requires_grad=True), fb.zeros(1, 2, 2, 2, requires_grad=True)
    F.grid_sample(x, grid, mode="nearest", align_corners=False).sum().backward()
    assert grid.grad.tolist() == fb.zeros(1, 2, 2, 2).tolist()
    assert x.grad.sum() == 4


@pytest.mark.parametrize("driver", ["gelss", "gelsd", "gelsy"])
def test_least_squares_of_nan_end(driver):
    a = fb.ones(3, 3, dtype=fb.float64)
    a[1, 1] = float("nan")
    assert fb.linalg.lstsq(a, a, driver=driver).solution.isnan().all()


def test_as_strided_scatter_has_the_gradient_of_pytorch():
    x = fb.zeros(2, 3, requires_grad=True)
    y = fb.as_strided_scatter(x, fb.ones(2), (2,), (2,), 1)
    (y * fb.arange(6.0).reshape(2, 3)).sum().backward()
    assert x.grad.tolist() == [[0, 1, 0], [3, 0, 0]]


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda: fb.linalg.pinv(A.half()), "linalg.pinv(Half{[2, 2]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types"),
        (lambda: fb.linalg.pinv(A[0]), "linalg.pinv(Float{[2]}): expected a tensor with 2 or more dimensions of float, double, cfloat or cdouble types"),
        (lambda: fb.linalg.vander(A.half()), "linalg.vander supports floating point, complex, and integer tensors, but got Half"),
        (lambda: fb.linalg.matrix_norm(A.half(), "nuc"), "linalg.matrix_norm: Low precision dtypes not supported. Got Half"),
        (lambda: fb.linalg.matrix_rank(I), "This function doesn't handle types other than float and double"),
        (lambda: fb.linalg.matrix_rank(A[0]), "torch.linalg.matrix_rank: The input tensor input must have at least 2 dimensions."),
    ],
)  # fmt: skip
def test_matrices_of_other_types(call, text):
    with pytest.raises(RuntimeError) as e:
        call()
    assert str(e.value).split("\n")[0] == text
