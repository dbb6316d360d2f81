"""vmap against a loop over the samples."""

import pytest

import flambeau as fb
from flambeau.func import vmap

F = fb.nn.functional
X = fb.linspace(-1, 1, 24).reshape(3, 2, 4)
Y = fb.linspace(0, 2, 24).reshape(3, 2, 4)

FUNCTIONS = {
    "elementwise": lambda x, y: fb.where(x > 0, x * y + 1, y.exp()).clamp(max=2),
    "scalar of a sample": lambda x, y: x * y.sum(),
    "reductions": lambda x, y: x.sum() + y.mean(0).max() + x.var() + y.norm(),
    "dims": lambda x, y: fb.stack([x.softmax(-1), y.cumsum(0), x.flip(0)], 1),
    "max with indices": lambda x, y: x.max(1).values + y.argmax(1),
    "views": lambda x, y: x.reshape(4, 2).t().unsqueeze(0).squeeze() + y.transpose(0, 1).permute(1, 0),
    "indexing": lambda x, y: x[0, 1:] + y[..., None][1, 1:, 0] + x[fb.tensor([1, 0])][0, 1:],
    "matmul": lambda x, y: x @ y.mT @ fb.ones(2) + x.mv(y[0]),
    "linear": lambda x, y: F.linear(x, y, y.sum(1)),
    "joined": lambda x, y: fb.cat([x, y, fb.ones(1, 4)]),
    "composites": lambda x, y: fb.einsum("ij,kj->ik", x, y) + fb.kron(x[:1, :2], y[:2, :1]),
    "sorted": lambda x, y: x.sort(0, descending=True).values + y.topk(2, 1).values.sum(),
    "split": lambda x, y: sum(x.split(2, 1)) + y.chunk(2, -1)[0],
    "gather": lambda x, y: x.gather(1, fb.tensor([[0, 1], [2, 3]])) + y.expand(2, 4)[:, :2],
    "fallback": lambda x, y: fb.trapezoid(x) + fb.diagonal(y).sum() + y.quantile(0.3),
    "layer": lambda x, y: F.conv1d(x.unsqueeze(0), fb.ones(3, 2, 2)).squeeze(0).relu() + F.gelu(y)[0, 0],
    "loss": lambda x, y: F.cross_entropy(x, fb.tensor([0, 2])) + F.mse_loss(x, y),
    "in place": lambda x, y: (x + 0 * y).add_(y).mul_(2),
    "new": lambda x, y: x.new_zeros(2) + fb.zeros_like(y)[0, :2] + fb.ones_like(x)[:, 0],
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_against_a_loop(name):
    f = FUNCTIONS[name]
    expected = fb.stack([f(x, y) for x, y in zip(X, Y)])
    assert fb.allclose(vmap(f)(X, Y), expected, atol=1e-5)
    expected = fb.stack([f(x, Y[0]) for x in X])
    assert fb.allclose(vmap(f, in_dims=(0, None))(X, Y[0]), expected, atol=1e-5)
    expected = fb.stack([fb.stack([f(x, y) for y in Y]) for x in X])
    both = vmap(vmap(f, in_dims=(None, 0)), in_dims=(0, None))
    assert fb.allclose(both(X, Y), expected, atol=1e-5)


def test_dims_and_chunks():
    assert list(vmap(lambda x: x * 2, in_dims=2, out_dims=1)(X).shape) == [3, 4, 2]
    assert fb.equal(vmap(lambda x: x.sum(0), chunk_size=2)(X), X.sum(1))
    a, b = vmap(lambda d: (d["x"], fb.ones(2)), out_dims=(0, 1))({"x": X})
    assert fb.equal(a, X) and list(b.shape) == [2, 3]


def test_gradients_through_vmap():
    x = X.clone().requires_grad_()
    vmap(lambda t: (t**2).sum())(x).sum().backward()
    assert fb.allclose(x.grad, 2 * X)


def test_randomness():
    with pytest.raises(RuntimeError, match="randomness error mode"):
        vmap(lambda x: x + fb.rand(()))(X)
    same = vmap(lambda x: fb.rand(2) + 0 * x.sum(), randomness="same")(X)
    assert fb.equal(same[0], same[1])
    other = vmap(lambda x: fb.rand(2) + 0 * x.sum(), randomness="different")(X)
    assert not fb.equal(other[0], other[1])


def test_functions_with_a_rule():
    class Double(fb.autograd.Function):
        @staticmethod
        def forward(x):
            return x * 2

        @staticmethod
        def setup_context(ctx, inputs, output):
            pass

        @staticmethod
        def backward(ctx, g):
            return g * 2

        @staticmethod
        def vmap(info, in_dims, x):
            assert info.batch_size == 3 and in_dims == (0,)
            return Double.apply(x), 0

    assert fb.equal(vmap(Double.apply)(X), X * 2)

    class Generated(Double):
        generate_vmap_rule = True
        vmap = fb.autograd.Function.vmap

    assert fb.equal(vmap(Generated.apply)(X), X * 2)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: vmap(lambda x: x)(3), ValueError, "cannot vmap over non-Tensor arguments"),
        (lambda: vmap(lambda x: 3)(X), ValueError, "must only return Tensors"),
        (lambda: vmap(lambda x, y: x)(X, X[:2]), ValueError, "Expected all tensors to have the same size"),
        (lambda: vmap(lambda x: x, in_dims=3)(X), ValueError, "Got in_dim=3 for some input"),
        (lambda: vmap(lambda x: x.sum().item())(X), RuntimeError, "calling .item.. on a Tensor"),
        (lambda: vmap(lambda x: x if x.sum() > 0 else -x)(X), RuntimeError, "data-dependent control flow"),
        (lambda: vmap(lambda x: x)(), ValueError, "got no inputs"),
        (lambda: vmap(lambda x: x, randomness="foo"), RuntimeError, "Only allowed values for randomness"),
    ],
)
def test_errors(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_threads_do_not_see_each_other():
    import threading

    results = {}

    def run(k):
        results[k] = vmap(lambda x: vmap(lambda y: (x * y).sum())(X[0]) * k)(X)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    expected = fb.stack([fb.stack([(x * y).sum() for y in X[0]]) for x in X])
    assert all(fb.allclose(results[k], expected * k) for k in range(4))


MATRICES = fb.tensor([[[2.0, 1.0], [1.0, 3.0]], [[4.0, 1.0], [1.0, 5.0]], [[1.0, 0.0], [0.0, 2.0]]])
OF_A_MATRIX = {
    "inv": fb.linalg.inv,
    "cholesky": fb.linalg.cholesky,
    "pinv": fb.linalg.pinv,
    "lu": lambda a: fb.linalg.lu(a)[2],
    "matrix_exp": fb.matrix_exp,
    "power": lambda a: fb.linalg.matrix_power(a, -2),
    "slogdet": lambda a: fb.linalg.slogdet(a).logabsdet,
    "tensorsolve": lambda a: fb.linalg.tensorsolve(a, a[0]),
    "sort": lambda a: fb.sort(a, stable=True, dim=0, descending=True).values,
    "argsort": lambda a: fb.argsort(a, dim=-1, stable=True),
    "median": lambda a: fb.median(a),
    "aminmax": lambda a: fb.stack(list(fb.aminmax(a, dim=1))),
    "masked_fill": lambda a: fb.masked_fill(a, a > 1, a.sum()),
    "prelu": lambda a: F.prelu(a - 2, a[0]),
    "squeeze of nothing": lambda a: a[:1].squeeze(()),
    "type_as": lambda a: a.type_as(fb.ones(1, dtype=fb.float64)),
    "quantile": lambda a: a.quantile(a[0].sigmoid()),
    "histc": lambda a: fb.histc(a, 3, 0, 5),
    "repeat_interleave": lambda a: a.repeat_interleave(fb.tensor([1, 2]), dim=0),
}


@pytest.mark.parametrize("name", OF_A_MATRIX)
def test_operators_of_matrices(name):
    f = OF_A_MATRIX[name]
    fb.testing.assert_close(vmap(f)(MATRICES), fb.stack([f(a) for a in MATRICES]))


def test_a_sample_has_no_number():
    for f in (lambda x: x.item(), lambda x: x if x > 0 else -x):
        with pytest.raises(RuntimeError, match="vmap: It looks like you're"):
            vmap(f)(fb.ones(3))


def test_dimensions_of_samples_without_dimensions():
    x = fb.arange(3.0)
    for function in (
        lambda a: a.flip(0),
        lambda a: a.movedim(0, -1),
        lambda a: (a * 1).transpose_(0, -1),
        lambda a: (a * 1).swapaxes_(-1, 0),
    ):
        assert fb.vmap(function)(x).tolist() == [0, 1, 2]
    for function in (lambda a: a.flip(1), lambda a: a.movedim(0, 1), lambda a: (a * 1).transpose_(0, 1)):
        with pytest.raises(IndexError, match="Dimension out of range"):
            fb.vmap(function)(x)
