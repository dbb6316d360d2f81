"""Threads that meet in one place: first uses, shared tensors, models, generators and graphs."""

import subprocess
import sys
import threading

import flambeau as fb
from flambeau import nn

FIRST_USES = """
import threading
import flambeau as fb

x, w = fb.ones(3), fb.ones(3, requires_grad=True)
go = threading.Barrier(6)

def use(first):
    go.wait()
    first()

uses = [x.numpy, x.numpy, x.numpy, lambda: fb.tensor([1, 2]).numpy(), lambda: w.register_hook(print),
        lambda: (w * 2).sum().backward()]
threads = [threading.Thread(target=use, args=(u,)) for u in uses]
for t in threads:
    t.start()
for t in threads:
    t.join()
"""


def test_first_uses_at_once_do_not_wait_for_each_other():
    # NumPy is imported by the first of them, and lets the others run while it is.
    subprocess.run([sys.executable, "-c", FIRST_USES], check=True, timeout=120)


def together(*functions, times=30):
    """Each function in a thread of its own, some times over; raises what they raised."""
    errors = []

    def loop(f):
        try:
            for _ in range(times):
                f()
        except Exception as e:
            errors.append(e)

    threads = [threading.Thread(target=loop, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def test_one_model_answers_several_threads():
    fb.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 10),
    ).eval()  # fmt: skip
    inputs = [fb.randn(n, 3, s, s) for n, s in ((1, 12), (2, 12), (3, 16))]
    with fb.no_grad():
        expected = [net(x) for x in inputs]

    def answer(i):
        with fb.no_grad():
            fb.testing.assert_close(net(inputs[i]), expected[i], rtol=1e-4, atol=1e-5)

    together(*(lambda i=i: answer(i) for i in (0, 1, 2, 0, 1, 2)))


def test_one_hidden_image_is_read_by_several_threads():
    x = fb.nn.functional.conv2d(fb.randn(2, 16, 16, 16), fb.randn(16, 16, 3, 3))
    shared, expected = [x], x.clone().sum().item()

    def read():
        t = shared[0]
        assert abs(t.sum((1, 2)).sum().item() - expected) < 1e-1 + abs(expected) * 1e-3
        t.relu(), t[:, 1:].mean(), t.numpy()

    def renew():
        shared[0] = fb.nn.functional.conv2d(x, fb.eye(16)[:, :, None, None])

    together(read, read, read, renew)


def test_graphs_and_generators_of_several_threads():
    w, g = fb.ones(8, 8, requires_grad=True), fb.Generator()

    def train():
        m = nn.Linear(8, 8)
        (m(fb.randn(4, 8)) @ w).tanh().sum().backward()
        assert m.weight.grad.isfinite().all()

    def draw():
        assert 0 <= fb.rand(100, generator=g).min() <= 1
        assert sorted(fb.randperm(20, generator=g).tolist()) == list(range(20))

    together(train, train, train, draw, draw)
    w.grad = None
    together(*[lambda: (w * 1.0).sum().backward()] * 4, times=25)
    assert (w.grad == 100).all()
