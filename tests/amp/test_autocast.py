"""Autocast on the CPU: which precision operators compute in, and what a context leaves behind."""

import pytest

import flambeau as fb
from flambeau import amp

F = fb.nn.functional


def rand(*sizes, dtype=fb.float32):
    return fb.rand(sizes).to(dtype)


@pytest.mark.parametrize(
    "call",
    [
        lambda d: fb.mm(rand(2, 2, dtype=d), rand(2, 2, dtype=d)),
        lambda d: rand(2, 2, dtype=d) @ rand(2, 2, dtype=d),
        lambda d: F.linear(rand(2, 2, dtype=d), rand(2, 2, dtype=d)),
        lambda d: F.conv2d(rand(1, 1, 3, 3, dtype=d), rand(1, 1, 2, 2, dtype=d)),
        lambda d: fb.einsum("ij,jk->ik", rand(2, 2, dtype=d), rand(2, 2, dtype=d)),
    ],
)
def test_lower_precision(call):
    with fb.autocast("cpu"):
        assert call(fb.float32).dtype == fb.bfloat16
        assert call(fb.float64).dtype == fb.float64
    with fb.autocast("cpu", dtype=fb.float16):
        assert call(fb.float32).dtype == fb.float16
    assert call(fb.float32).dtype == fb.float32


@pytest.mark.parametrize(
    "call",
    [
        lambda d: F.mse_loss(rand(2, dtype=d), rand(2, dtype=d)),
        lambda d: F.cross_entropy(rand(2, 3, dtype=d), fb.tensor([0, 1])),
        lambda d: F.binary_cross_entropy_with_logits(rand(2, dtype=d), rand(2, dtype=d)),
        lambda d: rand(2, dtype=d).prod(),
        lambda d: F.pad(rand(1, 2, 4, dtype=d), (1, 1), "reflect"),
        lambda d: F.pad(rand(1, 2, 4, 4, dtype=d), (1, 1, 1, 1), "reflect"),
        lambda d: F.pad(rand(1, 2, 4, 4, 4, dtype=d), (1,) * 6, "replicate"),
        lambda d: F.fractional_max_pool2d(rand(1, 2, 4, 4, dtype=d), 2, 2),
        lambda d: F.fractional_max_pool3d(rand(1, 2, 4, 4, 4, dtype=d), 2, 2),
        lambda d: fb.nn.GRU(3, 4)(rand(2, 1, 3))[0],
        lambda d: fb.nn.GRU(3, 4)(rand(2, 1, 3))[1],
        lambda d: fb.cat([rand(2, dtype=d), rand(2)]),
        lambda d: fb.stack([rand(2, dtype=d), rand(2)]),
    ],
)
def test_full_precision(call):
    with fb.autocast("cpu"):
        assert call(fb.bfloat16).dtype == fb.float32


@pytest.mark.parametrize("name", ["exp", "sum", "relu", "tanh"])
def test_others_keep_their_precision(name):
    with fb.autocast("cpu"):
        assert getattr(rand(3, dtype=fb.bfloat16), name)().dtype == fb.bfloat16
        assert getattr(rand(3), name)().dtype == fb.float32


@pytest.mark.parametrize("dtype", [fb.float32, fb.float16, fb.bfloat16])
def test_products_on_no_list_keep_their_precision(dtype):
    a, b = rand(4, 4, dtype=dtype), rand(2, 4, 4, dtype=dtype)
    with fb.autocast("cpu"):
        assert fb.tensordot(a, a).dtype == dtype
        assert fb.nn.functional.bilinear(a, a, b).dtype == dtype
        assert (rand(2, 2) @ rand(2, 2)).dtype == fb.bfloat16


def test_given_results_keep_their_dtype():
    out = fb.empty(2, 2)
    with fb.autocast("cpu"):
        fb.mm(fb.eye(2), fb.eye(2), out=out)
        total = fb.zeros(2, 2).addmm_(fb.eye(2), fb.eye(2))
    assert out.equal(fb.eye(2)) and total.dtype == fb.float32


def test_gradients_come_in_the_weight_s_precision():
    weight = rand(3, 3).requires_grad_()
    x = rand(2, 3)
    with fb.autocast("cpu"):
        first, second = x @ weight, x @ weight
        assert first.dtype == fb.bfloat16
    (first.float().sum() + second.float().sum()).backward()
    assert weight.grad.dtype == fb.float32
    assert fb.allclose(weight.grad, 2 * x.sum(0)[:, None].expand(3, 3), rtol=2e-2)


def test_changed_weights_are_cast_anew():
    weight = fb.ones(2, 2, requires_grad=True)
    with fb.autocast("cpu"):
        assert (fb.eye(2) @ weight).sum() == 4
        with fb.no_grad():
            weight.mul_(2)
        assert (fb.eye(2) @ weight).sum() == 8


def test_state_is_restored():
    assert not fb.is_autocast_enabled("cpu") and fb.get_autocast_dtype("cpu") == fb.bfloat16
    with pytest.raises(KeyError), fb.autocast("cpu", dtype=fb.float16):
        assert fb.is_autocast_enabled("cpu") and fb.get_autocast_dtype("cpu") == fb.float16
        with fb.autocast("cpu", enabled=False):
            assert not fb.is_autocast_enabled("cpu")
        assert fb.is_autocast_enabled("cpu")
        raise KeyError
    assert not fb.is_autocast_enabled("cpu") and fb.get_autocast_dtype("cpu") == fb.bfloat16
    assert fb.is_autocast_cache_enabled()

    @fb.autocast("cpu")
    def product():
        return fb.eye(2) @ fb.eye(2)

    assert product().dtype == fb.bfloat16


def test_bad_arguments():
    with pytest.raises(ValueError, match="Expected `device_type` of type `str`, got: `<class 'int'>`"):
        fb.autocast(3)
    with pytest.raises(RuntimeError, match="Expected one of cpu, cuda, ipu, xpu"):
        fb.autocast("xx")
    with pytest.warns(UserWarning, match="In CPU autocast, but the target dtype is not supported"):
        assert not fb.autocast("cpu", dtype=fb.float32)._enabled
    assert amp.is_autocast_available("cpu") and not amp.is_autocast_available("meta")


def test_custom_functions():
    seen = []

    class Plain(fb.autograd.Function):
        @staticmethod
        @amp.custom_fwd(device_type="cpu")
        def forward(ctx, x):
            seen.append(fb.is_autocast_enabled("cpu"))
            return x * 2

        @staticmethod
        @amp.custom_bwd(device_type="cpu")
        def backward(ctx, grad):
            seen.append(fb.is_autocast_enabled("cpu"))
            return grad * 2

    class Full(Plain):
        @staticmethod
        @amp.custom_fwd(device_type="cpu", cast_inputs=fb.float32)
        def forward(ctx, x):
            seen.append((x.dtype, fb.is_autocast_enabled("cpu")))
            return x * 2

    x = fb.ones(2, requires_grad=True)
    with fb.autocast("cpu"):
        y = Plain.apply(x)
        Full.apply(rand(2, dtype=fb.bfloat16))
    y.sum().backward()
    assert seen == [True, (fb.float32, False), True]


def test_operators_written_in_python():
    half = rand(2, 3, dtype=fb.bfloat16)
    with fb.autocast("cpu"):
        assert F.hinge_embedding_loss(half, fb.ones(2, 3)).dtype == fb.float32
        assert fb.trace(half).dtype == fb.float32
        assert fb.linalg.vecdot(rand(3), rand(3)).dtype == fb.bfloat16
        assert fb.linalg.inv(fb.eye(2, dtype=fb.bfloat16)).dtype == fb.float32
    assert F.hinge_embedding_loss(half, fb.ones(2, 3)).dtype == fb.bfloat16


def test_products_of_vectors_and_pools_in_space():
    v, block = fb.arange(3.0), fb.ones(1, 1, 2, 2, 2, dtype=fb.bfloat16)
    with fb.autocast("cpu", fb.bfloat16):
        assert fb.inner(v, v).dtype is fb.inner(v[None], v).dtype is fb.float32
        assert fb.inner(v.expand(2, 3), v).dtype is fb.bfloat16
        assert fb.tensordot(v, v, 1).dtype is fb.float32
        assert fb.tensordot(v, v, 0).dtype is fb.tensordot(v.expand(2, 3), v, 1).dtype is fb.bfloat16
        assert fb.nn.functional.max_pool3d(block, 2).dtype is fb.float32
        assert fb.nn.functional.max_pool3d(block, 2, return_indices=True)[0].dtype is fb.bfloat16
        assert fb.nn.functional.adaptive_max_pool3d(block, 1).dtype is fb.float32
