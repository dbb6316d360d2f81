"""flambeau.compile of functions: the numbers of eager, whatever changes between the calls."""

import math
import threading

import numpy as np
import pytest

import flambeau as torch

scale = 2.0
SETTINGS = {"shift": 1.0}


def run(compiled, plain, *calls):
    for args in calls * 4:
        torch.testing.assert_close(compiled(*args), plain(*args))


def test_a_chain_becomes_one_step():
    def plain(x, y):
        return (torch.sin(x) * 2 + y).relu() * x

    compiled = torch.compile(plain)
    run(compiled, plain, (torch.randn(30, 50), torch.randn(50)))
    operators, steps, fused = compiled._compiled.paths[0].entry.sizes()
    assert (operators, steps, fused) == (5, 1, 1)
    assert "sin mul add relu mul" in compiled._compiled.paths[0].entry.text()
    assert "1 captured" in compiled.report()


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 1, 5), (1100,), (40, 1), (3, 9000), (0, 4)])
def test_shapes_and_broadcasting(shape):
    def plain(x, b):
        return (x.exp() + b) * b - x / 3

    x = torch.randn(shape)
    b = torch.randn(shape[-1:])
    run(torch.compile(plain), plain, (x, b))
    wide = torch.randn(4, *shape)
    run(torch.compile(plain), plain, (wide, b))


def test_rows_are_reduced_inside_a_chain():
    def plain(x, w):
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * w

    compiled = torch.compile(plain)
    run(compiled, plain, (torch.randn(6, 33), torch.randn(33)), (torch.randn(2, 3, 2000), torch.randn(2000)))
    assert compiled._compiled.paths[0].entry.sizes()[1] == 1


def test_strided_operands_and_other_types():
    def plain(x, i, m):
        return torch.where(m, x.t() * i, x.t().double().floor() + 1).sum(0)

    args = torch.randn(5, 6), torch.arange(6)[:, None], torch.rand(6, 5) > 0.5
    run(torch.compile(plain), plain, args, (torch.randn(10, 6)[::2], *args[1:]))


def test_new_shapes_and_dtypes_are_captured_anew():
    def plain(x):
        return x.sin().mul(2).view(-1, x.shape[0]).sum(1)

    compiled = torch.compile(plain)
    run(compiled, plain, (torch.randn(2, 3),), (torch.randn(4, 3),), (torch.randn(2, 3).double(),))
    assert len(compiled._compiled.paths) == 3


def test_python_values_are_guarded():
    def plain(x, n, flag=False, names=("a",)):
        y = x * n
        return {"y": y + 1 if flag else y - 1, "n": n, "names": [names[0], None]}

    compiled = torch.compile(plain)
    x = torch.randn(3)
    for n, flag in [(2, False), (3, False), (2, True), (2.0, True)] * 3:
        got, want = compiled(x, n, flag=flag), plain(x, n, flag)
        torch.testing.assert_close(got["y"], want["y"])
        assert type(got["n"]) is type(n) and got["names"] == want["names"]


def test_globals_closures_and_their_contents_are_guarded(monkeypatch):
    offset = 1.0
    table = [1.0, 2.0]

    def plain(x):
        return x * scale + offset + SETTINGS["shift"] + sum(table)

    compiled = torch.compile(plain)
    x = torch.ones(2)
    for _ in range(8):
        assert compiled(x).tolist() == [7.0, 7.0]
    monkeypatch.setitem(SETTINGS, "shift", 2.0)
    assert compiled(x).tolist() == [8.0, 8.0]
    table.append(1.0)
    assert compiled(x).tolist() == [9.0, 9.0]
    offset = 2.0
    assert compiled(x).tolist() == [10.0, 10.0]
    monkeypatch.setattr(f"{__name__}.scale", 3.0)
    assert compiled(x).tolist() == [11.0, 11.0]


def test_control_flow_on_values_takes_each_path():
    def plain(x):
        if x.sum() > 0:
            return x * 2
        return x - 1

    compiled = torch.compile(plain)
    for k in range(12):
        x = torch.full((3,), 1.0 if k % 3 else -1.0)
        assert compiled(x).tolist() == plain(x).tolist()
    assert len(compiled._compiled.paths) == 2


def test_numbers_read_from_tensors_are_guarded():
    def plain(x):
        return x * round(x.max().item(), 3)

    compiled = torch.compile(plain)
    for k in range(20):
        x = torch.arange(3.0) + k
        assert compiled(x).tolist() == plain(x).tolist()
    assert len(compiled._compiled.paths) <= 8


def test_shapes_that_depend_on_values():
    def plain(x):
        found = x[x > 0]
        return found.sum() / found.shape[0]

    compiled = torch.compile(plain)
    for k in range(1, 12):
        x = torch.arange(12.0) - 12 + k % 4 + 2
        torch.testing.assert_close(compiled(x), plain(x))


def test_effects_of_python_are_not_skipped(capsys):
    calls = []

    def counts(x):
        calls.append(1)
        return x + 1

    def prints(x):
        print("here")
        return x + 1

    counting, printing = torch.compile(counts), torch.compile(prints)
    for _ in range(7):
        counting(torch.ones(2))
        printing(torch.ones(2))
    assert len(calls) == 7 and capsys.readouterr().out == "here\n" * 7
    assert "it changed Python state" in counting.report() and "it calls print()" in printing.report()


def test_what_is_read_outside_the_graph_runs_eagerly():
    def through_numpy(x):
        return torch.from_numpy(x.numpy() * 2)

    def through_list(x):
        return torch.tensor(x.tolist()) + 1

    for plain in (through_numpy, through_list):
        compiled = torch.compile(plain)
        for k in range(6):
            x = torch.arange(3.0) + k
            assert compiled(x).tolist() == plain(x).tolist()
        assert "not captured" in compiled.report()


def test_random_numbers_come_in_eager_order():
    def plain(x):
        noise = torch.rand(4) + torch.randn(4)
        return torch.nn.functional.dropout(x, 0.5) * noise + torch.randint(0, 9, (4,))

    compiled = torch.compile(plain)
    x = torch.ones(4)
    for seed in range(9):
        torch.manual_seed(seed)
        want = plain(x), torch.rand(1)
        torch.manual_seed(seed)
        got = compiled(x), torch.rand(1)
        torch.testing.assert_close(got, want)
    assert len(compiled._compiled.paths) == 1


def test_constants_belong_to_each_call():
    def plain(x):
        c = torch.tensor([1.0, 2.0])
        c += x
        return c, torch.zeros(2)

    compiled = torch.compile(plain)
    for _ in range(8):
        c, z = compiled(torch.ones(2))
        assert c.tolist() == [2.0, 3.0] and z.tolist() == [0.0, 0.0]
        z.add_(1)
        c.add_(1)


def test_writes_into_arguments_and_views():
    def plain(x, y):
        x[0] = 7.0
        x.view(-1)[1:3].mul_(2)
        y.add_(x.sum())
        return x.t(), y

    compiled = torch.compile(plain)
    for k in range(8):
        a, b = torch.arange(4.0).view(2, 2) + k, torch.ones(1)
        c, d = a.clone(), b.clone()
        view, same = compiled(a, b)
        plain(c, d)
        assert a.tolist() == c.tolist() and b.tolist() == d.tolist()
        assert same is b and view.data_ptr() == a.data_ptr()
    shared = torch.zeros(2, 2)
    compiled(shared, shared.view(-1)[:1])
    plain(other := torch.zeros(2, 2), other.view(-1)[:1])
    assert shared.tolist() == other.tolist()


def test_results_are_the_callers():
    compiled = torch.compile(lambda x: (x + 1, x, x.view(-1)))
    x = torch.ones(2, 2)
    for _ in range(8):
        a, b, c = compiled(x)
        assert b is x and c.data_ptr() == x.data_ptr()
        a.zero_()
    assert compiled(x)[0].tolist() == [[2.0, 2.0], [2.0, 2.0]]


def test_exceptions_leave_nothing_behind():
    def plain(x, fail):
        y = x * 2
        if fail:
            raise KeyError("inside")
        return y.view(-1, 2)

    compiled = torch.compile(plain)
    for _ in range(3):
        with pytest.raises(KeyError, match="inside"):
            compiled(torch.ones(4), True)
        assert not torch.compiler.is_compiling()
    for _ in range(7):
        assert compiled(torch.ones(4), False).shape == (2, 2)
    with pytest.raises(RuntimeError):
        compiled(torch.ones(3), False)

    index = torch.compile(lambda x, i: x[i] + 1)
    for _ in range(7):
        index(torch.ones(3), torch.tensor([0, 2]))
    with pytest.raises(IndexError):
        index(torch.ones(3), torch.tensor([0, 5]))


def test_recursion_and_nesting():
    @torch.compile
    def inner(x, n):
        return x if n == 0 else inner(x * 1.5, n - 1) + 1

    @torch.compile
    def outer(x):
        return inner(x, 3).sin()

    for _ in range(8):
        assert outer(torch.ones(1)).item() == pytest.approx(math.sin(((1.5 * 1.5 * 1.5 + 1) + 1) + 1))


def test_threads():
    def plain(x):
        return (x.sin() + x.cos()).relu() * x

    compiled = torch.compile(plain)
    wrong = []

    def work(seed):
        x = torch.full((50,), float(seed))
        want = plain(x)
        for _ in range(50):
            if not torch.equal(compiled(x), want) and not torch.allclose(compiled(x), want):
                wrong.append(seed)

    threads = [threading.Thread(target=work, args=(s,)) for s in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_modes_are_part_of_the_guard():
    def plain(x):
        return (x @ x).exp()

    compiled = torch.compile(plain)
    x = torch.randn(4, 4, requires_grad=True)
    for _ in range(7):
        with torch.no_grad():
            assert not compiled(x).requires_grad
        assert compiled(x).requires_grad
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert compiled(x).dtype == plain(x).dtype


def test_options_as_in_torch():
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast"):
        torch.compile(abs, mode="fast")
    with pytest.raises(RuntimeError, match="Either mode or options"):
        torch.compile(abs, mode="default", options={})
    with pytest.raises(RuntimeError, match="Invalid backend: 'mine'"):
        torch.compile(abs, backend="mine")
    with pytest.raises(AssertionError, match="A callable function is expected"):
        torch.compile(3)
    assert torch.compile(abs, disable=True) is abs

    @torch.compile(dynamic=True, backend="inductor", mode="max-autotune")
    def doubled(x):
        "two times"
        return x * 2

    assert doubled.__name__ == "doubled" and doubled.__doc__ == "two times"
    assert doubled(torch.ones(1)).item() == 2


def test_disable_reset_and_stance():
    @torch.compiler.disable
    def never(x):
        return x + (0 if torch.compiler.is_compiling() else 1)

    seen = []

    def plain(x):
        seen.append(torch.compiler.is_compiling()) if len(seen) > 100 else None
        return never(x) * 2

    compiled = torch.compile(plain)
    for _ in range(5):
        compiled(torch.ones(1))
    assert "torch.compiler.disable" in compiled.report()
    quick = torch.compile(lambda x: x * 2 + 1)
    for _ in range(7):
        quick(torch.ones(2))
    assert quick._compiled.paths
    torch.compiler.reset()
    assert not quick._compiled.paths
    with torch.compiler.set_stance("force_eager"):
        quick(torch.ones(2))
        assert not quick._compiled.paths
    quick(torch.ones(2))
    assert quick._compiled.paths


def by_hand(x, w, b):
    d = x - x.mean(-1, keepdim=True)
    return d / torch.sqrt((d * d).mean(-1, keepdim=True) + 1e-5) * w + b


def by_hand_inverse(x, w, b):
    d = x - x.mean(2, keepdim=True)
    return w * (d * torch.rsqrt(d.pow(2).mean(-1, keepdim=True) + 1e-3)) + b


def by_hand_with_statistics(x, w, b):
    mean = x.mean(-1, keepdim=True)
    d = x - mean
    return d / torch.sqrt((d * d).mean(-1, keepdim=True) + 1e-5) * w + b, mean


def not_a_norm(x, w, b):
    d = x - x.mean(-1, keepdim=True)
    return d / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-5) * w + b


@pytest.mark.parametrize("columns", [5, 40, 256])
@pytest.mark.parametrize("function", [by_hand, by_hand_inverse, by_hand_with_statistics, not_a_norm])
def test_layer_norms_by_hand(function, columns):
    torch.manual_seed(1)
    compiled = torch.compile(function)
    args = torch.randn(3, 7, columns) * 3 + 1, torch.randn(columns), torch.randn(columns)
    expected = function(*args)
    for _ in range(8):
        found = compiled(*args)
    found, expected = (t if isinstance(t, tuple) else (t,) for t in (found, expected))
    for a, b in zip(found, expected):
        assert torch.allclose(a, b, atol=2e-6, rtol=1e-5)
    text = compiled._compiled.paths[0].entry.text()
    assert ("native_layer_norm" in text) == (function in (by_hand, by_hand_inverse))


def grads_of(function, inputs, seed):
    inputs = [t.clone().requires_grad_() for t in inputs]
    out = function(*inputs)
    out.backward(seed)
    return out.detach(), *(t.grad for t in inputs)


def norm_of_all(x, w, b):
    return by_hand(x, w, b)


def norm_without_weight(x, w, b):
    return x * w + by_hand(x + b, 1, 0)


def norm_and_residual(x, w, b):
    y = x + by_hand_inverse(x * 2, w, b)
    return by_hand(y, w, b).relu() + y


def norm_of_norm(x, w, b):
    return by_hand(by_hand(x, w, b).tanh(), w, b) * w


def norm_read_later(x, w, b):
    d = x - x.mean(-1, keepdim=True)
    z = d / torch.sqrt((d * d).mean(-1, keepdim=True) + 1e-5)
    return (z * w + b) * x.exp()


def sum_of_norm(x, w, b):
    return (by_hand(x, w, b) * by_hand(x, b, w)).sum((0, 1, 2)).expand(3, 7, x.shape[-1])


@pytest.mark.parametrize("columns", [5, 256])
@pytest.mark.parametrize("wanted", ["x", "all"])
@pytest.mark.parametrize(
    "function",
    [norm_of_all, norm_without_weight, norm_and_residual, norm_of_norm, norm_read_later, sum_of_norm],
)
def test_gradients_of_layer_norms_by_hand(function, columns, wanted):
    torch.manual_seed(1)
    x, w, b = torch.randn(3, 7, columns) * 3 + 1, torch.randn(columns), torch.randn(columns)
    seed = torch.randn(3, 7, columns)
    compiled = torch.compile(function)
    inputs = (x, w, b) if wanted == "all" else (x,)
    rest = () if wanted == "all" else (w, b)
    expected = grads_of(lambda *a: function(*a, *rest), inputs, seed)
    for _ in range(8):
        found = grads_of(lambda *a: compiled(*a, *rest), inputs, seed)
        for a, e in zip(found, expected):
            torch.testing.assert_close(a, e, atol=1e-4, rtol=1e-4)
    text = compiled._compiled.paths[0].entry.text()
    if function is norm_of_all:
        assert "_layer_norm_gradient" in text and "mean" not in text


def test_the_search_for_norms_leaves_the_generator_alone():
    x, w = torch.randn(4, 9, requires_grad=True), torch.ones(9)
    compiled = torch.compile(by_hand)
    torch.manual_seed(5)
    for _ in range(4):
        compiled(x, w, w).sum().backward()
    after = torch.rand(3)
    torch.manual_seed(5)
    assert torch.equal(after, torch.rand(3))


def test_means_spread_in_the_backward():
    def f(x, w):
        y = x - x.mean(-1, keepdim=True)
        return (y * y).mean(-1, keepdim=True).expand(6, 40) * w + x.sum(0).expand(6, 40)

    x, w = torch.randn(6, 40), torch.randn(6, 40)
    compiled = torch.compile(f)
    expected = grads_of(f, (x, w), torch.ones(6, 40))
    for _ in range(8):
        for a, e in zip(grads_of(compiled, (x, w), torch.ones(6, 40)), expected):
            torch.testing.assert_close(a, e, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("columns", [3, 127, 128, 300])
def test_rows_beside_single_values(columns):
    def f(x, s):
        y = (x - x.amax(-1, keepdim=True)).exp()
        return y / y.sum(-1, keepdim=True) * s + (s - y)

    torch.manual_seed(2)
    compiled, x, s = torch.compile(f), torch.randn(11, columns), torch.randn(11, 1)
    for _ in range(8):
        assert torch.allclose(compiled(x, s), f(x, s), atol=1e-6)
    assert torch.allclose(compiled._compiled.paths[0].entry.call((x, s), {}), f(x, s), atol=1e-6)


@pytest.mark.parametrize("change", [lambda y: y.set_(y.t()), lambda y: y.resize_(4, 3)])
def test_shapes_changed_in_place_are_not_recorded(change):
    def f(x, count):
        count.add_(1)
        y = x.clone()
        change(y)
        return torch.cat([y.t().reshape(3, 4) * 2, x])

    compiled, count = torch.compile(f), torch.zeros(1)
    for calls in range(1, 6):
        x = torch.rand(3, 4)
        assert torch.equal(compiled(x, count), f(x, torch.zeros(1)))
        assert count.item() == calls
    assert "not captured" in compiled.report()


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.conj() * x,
        lambda x: x.conj().imag + 1,
        lambda x: x.conj() @ x.conj(),
        lambda x: (x.mul_(1j), x.conj().clone(), x + x.conj().resolve_conj()),
    ],
)
@pytest.mark.parametrize("autocast", [False, True])
def test_lazily_conjugated_tensors_are_read_as_such(function, autocast):
    x = torch.tensor([1 + 2j, 3 - 1j])
    compiled = torch.compile(function)
    for _ in range(4):
        with torch.autocast("cpu", enabled=autocast):
            torch.testing.assert_close(compiled(x.clone()), function(x.clone()))


def test_random_numbers_of_numpy_are_drawn_anew():
    generator = np.random.default_rng(0)
    for function in (lambda x: x * np.random.rand(), lambda x: x * float(generator.random())):
        compiled = torch.compile(function)
        assert len({compiled(torch.ones(1)).item() for _ in range(4)}) == 4
