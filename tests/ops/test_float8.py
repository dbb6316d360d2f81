"""Tensors of float8: what the codes mean, rounding, what moves them, what refuses them.

The expectations were read from PyTorch 2.13; the tables are computed from the definition of the formats.
"""

import math

import numpy as np
import pytest

import flambeau as fb

# mantissa bits, bias, the largest finite code, whether -0 is the only NaN
FORMATS = {
    "float8_e5m2": (2, 15, 0x7B, False),
    "float8_e4m3fn": (3, 7, 0x7E, False),
    "float8_e5m2fnuz": (2, 16, 0x7F, True),
    "float8_e4m3fnuz": (3, 8, 0x7F, True),
}
NAMES = [*FORMATS, "float8_e8m0fnu"]
DTYPES = [getattr(fb, name) for name in NAMES]


def number(name, code):
    if name == "float8_e8m0fnu":
        return math.nan if code == 255 else 2.0 ** (code - 127)
    mantissa, bias, top, one_zero = FORMATS[name]
    magnitude = code & 0x7F
    if one_zero and code == 0x80:
        return math.nan
    if magnitude > top:
        return (
            math.copysign(math.inf, -(code & 0x80) or 1)
            if name == "float8_e5m2" and magnitude == 0x7C
            else math.nan
        )
    exponent, rest = magnitude >> mantissa, magnitude & ((1 << mantissa) - 1)
    size = (rest + ((1 << mantissa) if exponent else 0)) * 2.0 ** (max(exponent, 1) - bias - mantissa)
    return -size if code & 0x80 else size


def table(name):
    return np.array([number(name, code) for code in range(256)])


def nearest(name, values):
    """Codes of the nearest numbers, ties to the even code; computed in double."""
    with np.errstate(invalid="ignore"):
        values = np.asarray(values, np.float64)
    if name == "float8_e8m0fnu":
        size = np.abs(values)
        numbers = table(name)[:255]
        up = np.searchsorted(np.append((numbers[1:] + numbers[:-1]) / 2, numbers[-1] * 1.5), size, "right")
        up = np.where(size < 2.0**-126, size > 2.0**-127, up)  # PyTorch rounds these up
        return np.where(np.isnan(values), 255, up).astype(np.uint8)
    _, _, top, one_zero = FORMATS[name]
    numbers = table(name)[: top + 1]
    step = numbers[-1] - numbers[-2]
    middles = np.append((numbers[1:] + numbers[:-1]) / 2, numbers[-1] + step / 2)
    size = np.abs(values)
    low, high = np.searchsorted(middles, size, "left"), np.searchsorted(middles, size, "right")
    code = np.where(low == high, low, np.where(low % 2 == 0, low, high))
    code[np.isnan(values)] = 0xFF
    beyond = {"float8_e5m2": 0x7C, "float8_e4m3fn": 0x7E}.get(name, 0x80)
    nan = 0x80 if one_zero else 0x7F
    code = np.where(np.isnan(values), nan, np.where(code > top, beyond, code))
    sign = np.where(np.signbit(values), 0x80, 0)
    if one_zero:
        sign[(code == 0) | (code == 0x80)] = 0
    return (code | sign).astype(np.uint8)


def codes(dtype, count=256):
    return fb.arange(count).to(fb.uint8).view(dtype)


def raw(t):
    return t.contiguous().view(fb.uint8).numpy()


@pytest.mark.parametrize("name", NAMES)
def test_codes_as_numbers(name):
    expected = table(name)
    x = codes(getattr(fb, name))
    for dtype in (fb.float32, fb.float64):
        got = x.to(dtype).numpy()
        np.testing.assert_array_equal(got, expected.astype(got.dtype))
        assert np.array_equal(np.signbit(got[~np.isnan(got)]), np.signbit(expected[~np.isnan(expected)]))
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(x.half().numpy(), expected.astype(np.float16))
    np.testing.assert_array_equal(x.bfloat16().float().numpy(), expected.astype(np.float32))
    np.testing.assert_array_equal(np.array(x.tolist()), expected)
    np.testing.assert_array_equal(x.to(fb.complex64).numpy().real, expected.astype(np.float32))
    np.testing.assert_array_equal(x.bool().numpy(), expected != 0)
    small = np.abs(expected) < 2**30
    np.testing.assert_array_equal(x.int().numpy()[small], np.trunc(expected[small]).astype(np.int32))
    # strided sources and destinations
    np.testing.assert_array_equal(
        x.view(16, 16).t().float().numpy(), expected.astype(np.float32).reshape(16, 16).T
    )
    y = fb.zeros(512)
    y[::2] = x
    np.testing.assert_array_equal(y[::2].numpy(), expected.astype(np.float32))


@pytest.mark.parametrize("name", NAMES)
def test_numbers_are_rounded_to_the_nearest(name):
    dtype = getattr(fb, name)
    bits = np.arange(65536, dtype=np.uint16)
    half = bits.view(np.float16)
    np.testing.assert_array_equal(raw(fb.from_numpy(half.copy()).to(dtype)), nearest(name, half))
    bf = fb.from_numpy(bits.view(np.int16).copy()).view(fb.bfloat16)
    np.testing.assert_array_equal(raw(bf.to(dtype)), nearest(name, bf.float().numpy()))
    finite = np.sort(table(name)[np.isfinite(table(name))]).astype(np.float32)
    middle = ((finite[1:].astype(np.float64) + finite[:-1]) / 2).astype(np.float32)
    places = np.concatenate([finite, middle, finite * np.float32(1.5), np.float32([0.0, -0.0, 3e38, -3e38])])
    places = np.concatenate(
        [places, np.nextafter(places, np.float32(1e38)), np.nextafter(places, np.float32(-1e38))]
    )
    random = np.random.default_rng(0).integers(0, 2**32, 50000, dtype=np.uint32).view(np.float32)
    values = np.concatenate([places, random, np.float32([np.inf, -np.inf, np.nan])])
    np.testing.assert_array_equal(raw(fb.from_numpy(values).to(dtype)), nearest(name, values))
    # wider types and whole numbers by way of float32
    wide = values[np.isfinite(values)].astype(np.float64) * (1 + 1e-9)
    with np.errstate(over="ignore"):
        expected = nearest(name, wide.astype(np.float32))
    np.testing.assert_array_equal(raw(fb.from_numpy(wide).to(dtype)), expected)
    whole = np.arange(-70000, 70000, 7)
    np.testing.assert_array_equal(
        raw(fb.from_numpy(whole).to(dtype)), nearest(name, whole.astype(np.float32))
    )
    np.testing.assert_array_equal(
        raw(fb.from_numpy(whole[::3].copy())[::2].to(dtype)), nearest(name, whole[::6])
    )
    np.testing.assert_array_equal(raw(fb.tensor([False, True]).to(dtype)), nearest(name, [0.0, 1.0]))
    for other in {*NAMES} - {name}:  # one float8 as another
        np.testing.assert_array_equal(
            raw(codes(getattr(fb, other)).to(dtype))[:127], nearest(name, table(other))[:127]
        )


def test_creation():
    for dtype in DTYPES:
        one = fb.ones(3, dtype=dtype)
        assert one.tolist() == [1, 1, 1] and one.element_size() == 1 and one.is_floating_point()
        assert fb.empty(2, 3, dtype=dtype).shape == (2, 3)
        assert fb.full((2,), 4.0, dtype=dtype).tolist() == [4, 4]
        assert fb.tensor([[1, 2], [4, 8]], dtype=dtype).tolist() == [[1, 2], [4, 8]]
        assert fb.tensor(2.0, dtype=dtype).item() == 2 and float(fb.tensor(2.0, dtype=dtype)) == 2
        assert fb.eye(2, dtype=dtype).diagonal().tolist() == [1, 1]
        assert raw(fb.zeros(3, dtype=dtype)).tolist() == [0, 0, 0]
        assert fb.zeros_like(one).dtype is dtype and one.new_tensor([2.0]).tolist() == [2]
        assert fb.empty(2, device="meta", dtype=dtype).dtype is dtype
        with pytest.raises(
            RuntimeError, match=r"value cannot be converted to type c10::Float8_e.* without overflow"
        ):
            fb.full((2,), 1j, dtype=dtype)
        with pytest.raises(TypeError, match=r"couldn't find storage object Float8_e.*Storage"):
            fb.set_default_dtype(dtype)
    assert fb.tensor([1e9, -1e9, math.inf], dtype=fb.float8_e4m3fn).tolist() == [448, -448, 448]
    for make, kernel in [
        (fb.rand, "check_uniform_bounds"),
        (fb.randn, "normal_kernel_cpu"),
        (fb.arange, "arange_cpu"),
        (lambda n, dtype: fb.randint(3, (n,), dtype=dtype), "random_update_from_to"),
        (lambda n, dtype: fb.linspace(0, 1, n, dtype=dtype), "linspace_cpu"),
        (lambda n, dtype: fb.logspace(0, 1, n, dtype=dtype), "logspace_cpu"),
        (lambda n, dtype: fb.tril_indices(n, n, dtype=dtype), "tril_indices"),
    ]:
        with pytest.raises(NotImplementedError, match=f"\"{kernel}\" not implemented for 'Float8_e5m2'"):
            make(3, dtype=fb.float8_e5m2)


def test_limits_and_names():
    found = [repr(fb.finfo(dtype)) for dtype in DTYPES]
    assert found[1] == (
        "finfo(resolution=1, min=-448, max=448, eps=0.125, smallest_normal=0.015625, tiny=0.015625,"
        " dtype=float8_e4m3fn)"
    )
    assert found[4] == (
        "finfo(resolution=1, min=5.87747e-39, max=1.70141e+38, eps=1, smallest_normal=5.87747e-39,"
        " tiny=5.87747e-39, dtype=float8_e8m0fnu)"
    )
    x = fb.ones(1)
    assert [x.to(dtype).type() for dtype in DTYPES] == [f"torch.{name.capitalize()}Tensor" for name in NAMES]
    assert x.type("torch.Float8_e5m2Tensor").dtype is fb.float8_e5m2
    assert [dtype.is_signed for dtype in DTYPES] == [True] * 4 + [False]
    with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for Float8_e5m2"):
        fb.float8_e5m2.to_complex()


def test_printing():
    x = fb.tensor([1.5, -2, 0.1])
    assert repr(x.to(fb.float8_e5m2)) == "tensor([ 1.5000, -2.0000,  0.0938], dtype=torch.float8_e5m2)"
    assert repr(x.to(fb.float8_e8m0fnu)) == "tensor([2.0000, 2.0000, 0.1250], dtype=torch.float8_e8m0fnu)"
    # the smallest number of e8m0 is what 0 becomes, and is shown so
    assert repr(fb.zeros(2, dtype=fb.float8_e8m0fnu)) == "tensor([0., 0.], dtype=torch.float8_e8m0fnu)"
    strange = fb.tensor([1e9, -1e9, math.nan, math.inf], dtype=fb.float8_e8m0fnu)
    assert repr(strange).startswith(
        "tensor([1073741824.0000, 1073741824.0000,             nan,             nan]"
    )
    assert repr(codes(fb.float4_e2m1fn_x2, 3)) == "tensor([0., 1., 2.], dtype=torch.float4_e2m1fn_x2)"


def test_promotion():
    x, z = fb.ones(2, dtype=fb.float8_e5m2), fb.ones(2)
    assert fb.result_type(x, 1.0) is fb.result_type(x, z[0]) is fb.result_type(x, 1) is fb.float8_e5m2
    assert fb.result_type(x[0], z) is fb.float32
    assert fb.promote_types(fb.float8_e5m2, fb.float8_e5m2) is fb.float8_e5m2
    refusal = "Promotion for Float8 Types is not supported, attempted to promote "
    for call, names in [
        (lambda: fb.result_type(x, z), "Float8_e5m2 and Float"),
        (lambda: fb.promote_types(fb.int8, fb.float8_e5m2), "Char and Float8_e5m2"),
        (lambda: fb.result_type(x, z > 0), "Float8_e5m2 and Bool"),
        (lambda: x == z, "Float8_e5m2 and Float"),
        (lambda: fb.cat([x, x.to(fb.float8_e4m3fn)]), "Float8_e5m2 and Float8_e4m3fn"),
        (lambda: fb.where(z > 0, x, z), "Float8_e5m2 and Float"),
        (lambda: fb.zeros(2).add_(x), "Float and Float8_e5m2"),
    ]:
        with pytest.raises(RuntimeError, match=refusal + names + "$"):
            call()
    with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for Float8_e5m2"):
        fb.result_type(x, 1j)
    for call in (lambda: x * 1j, lambda: x + 1j):
        with pytest.raises(RuntimeError, match="Unknown Complex ScalarType for Float8_e5m2"):
            call()
    found = [fb.can_cast(a, b) for a, b in [(x.dtype, z.dtype), (z.dtype, x.dtype), (x.dtype, fb.int8)]]
    assert found == [True, True, False]
    assert (z + x[0]).dtype is fb.float32


MOVES = {
    "clone": lambda x: x.clone(),
    "index_select": lambda x: x.index_select(1, fb.tensor([3, 0, 3])),
    "index": lambda x: x[[2, 0]],
    "mask": lambda x: x[:, fb.arange(16) % 3 == 0],
    "cat": lambda x: fb.cat([x, x[:2]]),
    "stack": lambda x: fb.stack([x, x], 1),
    "transpose": lambda x: x.t().contiguous(),
    "permute": lambda x: x.view(4, 4, 16).permute(2, 0, 1).contiguous(),
    "roll": lambda x: x.roll(3, 0),
    "repeat": lambda x: x.repeat(2, 3),
    "repeat_interleave": lambda x: x.repeat_interleave(2, 0),
    "expand": lambda x: x[None].expand(3, 16, 16).clone(),
    "pad": lambda x: fb.nn.functional.pad(x, (1, 2)),
    "unfold": lambda x: x.unfold(1, 4, 2).contiguous(),
    "diag": lambda x: fb.diag(x),
    "masked_select": lambda x: x.masked_select(fb.arange(16) > 9),
    "where": lambda x: fb.where(fb.arange(16) > 7, x, x.t()),
    "embedding": lambda x: fb.nn.functional.embedding(fb.tensor([1, 5]), x),
    "tile": lambda x: x.tile(2),
    "split": lambda x: x.split(5)[1],
    "select_scatter": lambda x: x.select_scatter(x[3], 0, 5),
    "resize": lambda x: x.clone().resize_(4, 4),
    "index_put": lambda x: x.clone().index_put_((fb.tensor([1]),), x[5:6]),
    "strided_copy": lambda x: x.clone().t().copy_(x),
}


@pytest.mark.parametrize("name", MOVES)
@pytest.mark.parametrize("dtype", [*DTYPES[::4], fb.float8_e4m3fnuz], ids=str)
def test_bytes_are_moved(name, dtype):
    x = fb.randint(1, 120, (16, 16)).to(fb.uint8)
    moved = MOVES[name](x.view(dtype))
    assert moved.dtype is dtype
    assert np.array_equal(raw(moved), MOVES[name](x).numpy())


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_comparison_and_filling(dtype):
    x = codes(dtype)
    wide = x.float().numpy()
    nan, zero = np.isnan(wide), x.to(fb.float32).new_zeros(()).to(dtype).float().item()
    assert np.array_equal((x == x).numpy(), ~nan) and np.array_equal((x != x).numpy(), nan)
    assert np.array_equal(x.isnan().numpy(), nan)
    assert np.array_equal((x == 2).numpy(), wide == 2) and np.array_equal((x != 0).numpy(), wide != zero)
    y = codes(dtype).view(16, 16)
    y[3] = 2
    y[:, 1] = fb.full((16,), 4.0)
    y.view(-1)[5:9].zero_()
    assert (
        y[3, 2:].tolist() == [2] * 14 and y[:, 1].tolist() == [4] * 16 and raw(y)[0, 5:9].tolist() == [0] * 4
    )
    assert fb.equal(x[:100], x[:100]) and not fb.equal(x[:100], x[1:101])
    assert bool(fb.ones(4, dtype=dtype).all()) and bool(fb.ones(4, dtype=dtype).any())
    if dtype is fb.float8_e8m0fnu:
        assert x.isfinite().all()  # so says PyTorch of its NaN, too
    else:
        assert np.array_equal(x.abs().float().numpy(), np.abs(wide), equal_nan=True)
    if dtype is fb.float8_e5m2:
        assert np.array_equal(x.isinf().numpy(), np.isinf(wide))
        assert np.array_equal(x.isfinite().numpy(), np.isfinite(wide))
    else:
        with pytest.raises(NotImplementedError, match='"isinf" not implemented for'):
            x.isinf()


def test_products():
    """Sums of products are taken in float32 and rounded once."""
    g = fb.Generator().manual_seed(0)
    a, b, c = (fb.randn(*s, generator=g) for s in ((5, 33), (33, 7), (7,)))
    for dtype in DTYPES[:4]:
        x, y, z = a.to(dtype), b.to(dtype), c.to(dtype)
        product = x.float() @ y.float()
        for got, expected in [
            (x @ y, product),
            (fb.mm(x, y), product),
            (fb.addmm(z, x, y), product + z.float()),
            (fb.nn.functional.linear(x, y.t(), z), product + z.float()),
            (x * x, x.float() * x.float()),
        ]:
            assert got.dtype is dtype and np.array_equal(raw(got), raw(expected.to(dtype)))
    assert (
        fb.nn.Linear(3, 2).to(fb.float8_e4m3fn)(fb.ones(1, 3, dtype=fb.float8_e4m3fn)).dtype
        is fb.float8_e4m3fn
    )
    x = a.to(fb.float8_e5m2)
    for call, kernel in [
        (lambda: x[0] @ x[0], "dot"),
        (lambda: x @ x[0], "addmv_impl_cpu"),
        (lambda: x[None] @ x.t()[None], "baddbmm_with_gemm"),
        (lambda: x * 2, "mul_cpu_reduced_float"),
        (lambda: a.abs().to(fb.float8_e8m0fnu) @ b.to(fb.float8_e8m0fnu), "addmm_impl_cpu_"),
    ]:
        with pytest.raises(NotImplementedError, match=f'"{kernel}" not implemented for'):
            call()


REFUSED = {
    "add_stub": [lambda x: x + x, lambda x: x - 1, lambda x: 1 + x, lambda x: x.add_(x)],
    "neg_cpu": [lambda x: -x],
    "sum_cpu": [lambda x: x.sum(), lambda x: x.mean()],
    "max_all": [lambda x: x.max()],
    "max_cpu": [lambda x: x.max(0)],
    "maximum_cpu": [lambda x: fb.maximum(x, x), lambda x: fb.max(x, x)],
    "argmax_cpu": [lambda x: x.argmax()],
    "gt_cpu": [lambda x: x > 0],
    "exp_vml_cpu": [lambda x: x.exp()],
    "sorting_kernel_method_name": [lambda x: x.sort(), lambda x: x.argsort()],
    "topk_cpu": [lambda x: x.topk(1)],
    "nonzero_count_cpu": [lambda x: x.nonzero(), lambda x: x.count_nonzero(), lambda x: x.to_sparse()],
    "binomial_cpu": [lambda x: fb.binomial(x, x)],
    "clamp_cpu": [lambda x: x.clamp(x, x)],
    "minimum_cpu": [lambda x: x.clamp(max=x)],
    "cumsum_out_cpu": [lambda x: x.cumsum(0)],
    "scatter_gather_tensor_cpu": [lambda x: x.gather(0, fb.tensor([[0, 1]]))],
    "masked_fill": [lambda x: x.masked_fill(fb.tensor(True), 1)],
    "index_fill_cpu": [lambda x: x.index_fill(0, fb.tensor([0]), 1)],
    "take_cpu": [lambda x: x.take(fb.tensor([0]))],
    "tril": [lambda x: x.tril()],
    "flip_cpu": [lambda x: x.flip(1)],
    "unique": [lambda x: x.unique()],
    "softmax_lastdim_kernel_impl": [lambda x: x.softmax(1)],
    "LayerNormKernelImpl": [lambda x: fb.nn.functional.layer_norm(x, (2,))],
    "clamp_scalar_cpu": [lambda x: x.clamp(0, 1)],
    "clamp_min_scalar_cpu": [lambda x: x.relu()],
    "reciprocal_cpu": [lambda x: 1 / x],
    "div_cpu_reduced_float": [lambda x: x / 2],
    "div_floor_cpu_reduced_float": [lambda x: x // 2],
    "div_cpu": [lambda x: x / x],
    "pow": [lambda x: x**2],
    "norm_cpu": [lambda x: x.norm()],
    "check_uniform_bounds": [lambda x: x.uniform_()],
    "bernoulli_scalar_cpu_": [lambda x: x.bernoulli_(), lambda x: fb.nn.functional.dropout(x)],
    "max_pool2d": [lambda x: fb.nn.functional.max_pool2d(x[None, None], 1)],
    "slow_conv2d_cpu": [lambda x: fb.nn.functional.conv2d(x[None, None], x[None, None])],
}


@pytest.mark.parametrize("kernel", REFUSED)
def test_refusals(kernel):
    for call in REFUSED[kernel]:
        with pytest.raises(NotImplementedError, match=f"^\"{kernel}\" not implemented for 'Float8_e4m3fn'$"):
            call(fb.ones(2, 2, dtype=fb.float8_e4m3fn))


def test_refusals_of_other_kinds():
    x = fb.ones(6, 7, dtype=fb.float8_e5m2)
    with pytest.raises(RuntimeError, match="Unsupported dtype Float8_e5m2"):
        fb.fft.rfft(x, norm="ortho")
    with pytest.raises(RuntimeError, match="but got CPUFloat8_e5m2Type instead"):
        fb.nn.functional.embedding_bag(fb.tensor([0, 1]), x, fb.tensor([0]), mode="sum")


def test_sums_in_another_type():
    x = fb.tensor([1.5, -2, 0.25]).to(fb.float8_e5m2)
    assert x.sum(dtype=fb.float32).item() == -0.25 and x.sum(dtype=fb.float32).dtype is fb.float32
    assert x.cumsum(0, dtype=fb.float64).tolist() == [
        1.5,
        -0.5,
        -0.25,
    ]
    assert x.float_power(2).tolist() == [2.25, 4, 0.0625]
    assert fb.softmax(x, 0, dtype=fb.float32).sum().item() == pytest.approx(1)


def test_gradients():
    x = fb.tensor([1.5, -2, 0.3], requires_grad=True)
    y = x.to(fb.float8_e5m2)
    assert type(y.grad_fn).__name__ == "ToCopyBackward0"
    (y.float() * fb.tensor([1.0, 2, 3])).sum().backward()
    assert x.grad.tolist() == [1, 2, 3] and x.grad.dtype is fb.float32
    p = fb.zeros(2, dtype=fb.float8_e5m2, requires_grad=True)
    p.float().sum().backward()
    assert p.grad.dtype is fb.float8_e5m2 and p.grad.tolist() == [1, 1]
    with pytest.raises(NotImplementedError, match='"add_stub" not implemented'):  # nothing adds gradients up
        p.float().sum().backward()


def test_without_data():
    x = fb.empty(3, 4, dtype=fb.float8_e5m2, device="meta")
    assert (x + 1).dtype is x.dtype and (x @ x.t()).shape == (3, 3) and (x == x).dtype is fb.bool
    assert fb.cat([x, x]).shape == (6, 4) and x.float().dtype is fb.float32 and x.sum().dtype is x.dtype


def test_pairs_of_four_bits():
    """float4_e2m1fn_x2 is copied and viewed, little else."""
    x = codes(fb.float4_e2m1fn_x2, 6)
    assert raw(x.view(2, 3).t().contiguous()).tolist() == [[0, 3], [1, 4], [2, 5]]
    assert raw(fb.cat([x, x])).tolist() == [*range(6)] * 2 and raw(x.clone().zero_()).tolist() == [0] * 6
    for call, kernel in [
        (lambda: x.float(), "copy_"),
        (lambda: fb.ones(3).to(x.dtype), "copy_kernel"),
        (lambda: fb.ones(3, dtype=x.dtype), "fill_cpu"),
        (lambda: x[0].item(), "_local_scalar_dense_cpu"),
        (lambda: x[[0, 1]], "index_cpu"),
        (lambda: x * x, "mul_cpu"),
        (lambda: x + x, "add_stub"),
    ]:
        with pytest.raises(NotImplementedError, match=f"\"{kernel}\" not implemented for 'Float4_e2m1fn_x2'"):
            call()
    with pytest.raises(RuntimeError, match="store_scalar: invalid type"):
        fb.tensor([1.0], dtype=x.dtype)
    with pytest.raises(TypeError, match="bad argument type for built-in operation"):
        fb.finfo(x.dtype)


def test_other_libraries():
    for dtype in [*DTYPES, fb.float4_e2m1fn_x2]:
        x = codes(dtype, 8)
        with pytest.raises(TypeError, match="Got unsupported ScalarType " + str(dtype)[6:].capitalize()):
            x.numpy()
        y = fb.from_dlpack(x)
        assert y.dtype is dtype and y.data_ptr() == x.data_ptr()


@pytest.mark.parametrize("dtypes", [(0, 0), (0, 1), (1, 0)])
def test_scaled_products(dtypes):
    first, second = (DTYPES[i] for i in dtypes)
    g = fb.Generator().manual_seed(1)
    a, b = fb.randn(6, 20, generator=g).to(first), fb.randn(9, 20, generator=g).to(second).t()
    one, two, bias = fb.tensor(0.5), fb.tensor(3.0), fb.randn(9, generator=g)
    rows, columns = fb.rand(6, 1, generator=g), fb.rand(1, 9, generator=g)
    whole = (a.float() * one) @ (b.float() * two)
    lines = (a.float() * rows) @ (b.float() * columns)
    S = fb._scaled_mm
    for got, expected, dtype in [
        (S(a, b, one, two), whole, first),
        (S(a, b, one, two, out_dtype=fb.float32, use_fast_accum=True), whole, fb.float32),
        (S(a, b, one, two, bias, out_dtype=fb.bfloat16), whole + bias, fb.bfloat16),
        (S(a, b, one, two, scale_result=fb.tensor(0.25)), whole / 0.25, first),
        (S(a, b, one, two, scale_result=fb.tensor(0.25), out_dtype=fb.half), whole, fb.float16),
        (S(a, b, rows, columns, out_dtype=fb.float32), lines, fb.float32),
        (S(a, b, rows, columns, bias.half(), out_dtype=fb.half), lines + bias.half().float(), fb.float16),
        (S(a, b, one, two, out=fb.empty(0, dtype=fb.float64)), whole, fb.float64),
    ]:
        assert got.dtype is dtype and fb.equal(got.to(fb.float64), expected.to(dtype).to(fb.float64))
    F = fb.nn.functional
    by_rows = F.scaled_mm(a, b, rows, F.ScalingType.RowWise, columns, F.ScalingType.RowWise)
    assert fb.equal(by_rows, lines.bfloat16())
    for call, error, text in [
        (lambda: S(a.float(), b, one, two), ValueError, "Invalid scaling configuration."),
        (lambda: S(a, b, rows, two), ValueError, "Invalid scaling configuration."),
        (lambda: S(a, b, rows.double(), columns.double()), ValueError, "Invalid scaling configuration."),
        (lambda: S(a[0], b, one, two), RuntimeError, "mat1 must be a matrix"),
        (lambda: S(a, b[:, 0], one, two), RuntimeError, "mat2 must be a matrix"),
        (
            lambda: S(a, b[1:], one, two),
            RuntimeError,
            "mat_a and mat_b shapes cannot be multiplied (6x20 and 19x9)",
        ),
        (lambda: S(a, b, one, two, bias[1:]), RuntimeError, "Bias must be size 9 but got 8"),
        (lambda: S(a, b, one, two, scale_result=rows), RuntimeError, "scale_result must be a float scalar"),
        (
            lambda: S(a, b, one, two, out_dtype=fb.half, out=fb.empty(6, 9)),
            ValueError,
            "out_dtype must match output matrix type",
        ),
    ]:
        with pytest.raises(error) as info:
            call()
        assert str(info.value) == text
