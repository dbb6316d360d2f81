"""Threads that meet in one place: first uses, shared tensors, models, generators and graphs."""

import os
import subprocess
import sys
import threading
import time

import pytest

import flambeau as fb
from flambeau import nn

AT_ONCE = """
import threading
import flambeau as fb

def at_once(uses):
    go = threading.Barrier(len(uses))

    def run(use):
        go.wait()
        use()

    threads = [threading.Thread(target=run, args=(u,)) for u in uses]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
"""
FIRST_USES = """
x, w = fb.ones(3), fb.ones(3, requires_grad=True)
at_once([x.numpy, x.numpy, x.numpy, lambda: fb.tensor([1, 2]).numpy(), lambda: w.register_hook(print),
         lambda: (w * 2).sum().backward()])
"""


def test_first_uses_at_once_do_not_wait_for_each_other():
    # NumPy is imported by the first of them, and lets the others run while it is.
    subprocess.run([sys.executable, "-c", AT_ONCE + FIRST_USES], check=True, timeout=120)


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


FORKS = """
import os, signal, threading
import flambeau as fb

fb.set_num_threads(2)
square, image, layer = fb.randn(300, 300), fb.randn(2, 3, 32, 32), fb.nn.Conv2d(3, 4, 3)
stop = threading.Event()


def work():
    product = (square.clone().requires_grad_() @ square).relu().sum()
    (product + layer(image).sum() + fb.randn(300_000).exp().sum()).backward()
    fb.randn(4, 4096).sort()


def others():
    while not stop.is_set():
        work()


threads = [threading.Thread(target=others) for _ in range(WORKERS)]
for thread in threads:
    thread.start()
work()
ends = []
for _ in range(TIMES):
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        work()
        os._exit(fb.get_num_threads())
    ends.append(os.waitpid(child, 0)[1])
stop.set()
for thread in threads:
    thread.join()
print({os.waitstatus_to_exitcode(end) for end in ends})
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize(("workers", "times"), [(0, 3), (3, 12)])
def test_a_forked_process_works_on(workers, times):
    """Threads and locks of the parent do not come along, and nothing waits for them."""
    program = FORKS.replace("WORKERS", str(workers)).replace("TIMES", str(times))
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300)
    assert (ran.returncode, ran.stdout.strip()) == (0, "{2}"), (ran.stdout, ran.stderr)


EXIT = """
import threading, time
import flambeau as fb


class Double(fb.autograd.Function):
    @staticmethod
    def forward(ctx, a):
        return a * 2

    @staticmethod
    def backward(ctx, g):
        return g * 2


def work():
    x = fb.randn(150, 150, requires_grad=True)
    while True:
        y = x @ x
        y.register_hook(lambda g: g * 1)
        Double.apply(y).sum().backward()


for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
time.sleep(0.2)
print("bye")
"""


def test_a_process_ends_while_daemons_compute():
    for _ in range(3):
        ran = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=120)
        assert (ran.returncode, ran.stdout.strip()) == (0, "bye"), (ran.returncode, ran.stderr)


LAPACK_USES = """
import sys
sys.setswitchinterval(1e-6)
a = fb.eye(4)

def use():
    fb.linalg.solve(a, a)
    fb.linalg.cholesky(a)

at_once([use] * 6)
"""


def test_first_uses_of_lapack_at_once_do_not_wait_for_each_other():
    """The library is found by importing NumPy, while other threads go on."""
    subprocess.run([sys.executable, "-c", AT_ONCE + LAPACK_USES], check=True, timeout=60)


@pytest.mark.parametrize(
    "setting", [{"OMP_THREAD_LIMIT": limit} for limit in "12"] + [{"OMP_DYNAMIC": "true"}]
)
def test_fewer_threads_than_asked_for(setting):
    """Where OpenMP gives fewer, those that are there do the work of all."""
    program = """if True:
        import flambeau as fb
        fb.set_num_threads(4)
        x = fb.ones(3_000_000)
        assert (x + x).sum().item() == 6e6
        assert (x.cumsum(0) == fb.arange(1.0, 3_000_001)).all()
        y = fb.rand(300, 3000)
        assert (y.sort()[0].diff() >= 0).all()
        with fb.no_grad():
            net = fb.nn.LSTM(64, 64)
            long = net(fb.ones(50, 64, 64))[0]
            assert fb.allclose(long, net(fb.ones(50, 1, 64))[0].expand(50, 64, 64), atol=1e-5)
    """
    subprocess.run([sys.executable, "-c", program], check=True, env={**os.environ, **setting})


@pytest.mark.parametrize("row", [lambda w: w[-1], lambda w: w.data[-1], lambda w: w[-1].numpy()])
def test_a_write_while_another_thread_packs_weights(row):
    """A product keeps its weights in an order of its own; what is written meanwhile is not lost."""
    size = 2048
    x, w = fb.ones(32, size), fb.zeros(size, size)

    def read():
        with fb.no_grad():
            for _ in range(2):  # the second packs
                nn.functional.linear(x, w)

    begin = time.perf_counter()
    read()
    took = time.perf_counter() - begin
    for turn in range(20):
        w = fb.zeros(size, size)
        reader = threading.Thread(target=read)
        reader.start()
        time.sleep(took * turn / 20)
        row(w)[...] = 1
        reader.join()
        with fb.no_grad():
            assert nn.functional.linear(x, w)[0, -1].item() == size


def test_writes_of_one_thread_while_another_reads():
    w, x, done = fb.ones(512, 512), fb.ones(64, 512), []

    def read():
        with fb.no_grad():
            while not done:
                nn.functional.linear(x, w)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for turn in range(300):
            w.data.fill_(turn)
            with fb.no_grad():
                for _ in range(3):
                    assert (nn.functional.linear(x, w) == 512.0 * turn).all(), turn
    finally:
        done.append(True)
        for reader in readers:
            reader.join()


def test_shared_weights_are_not_kept_in_another_order():
    w, x = fb.zeros(512, 512), fb.ones(64, 512)
    with fb.no_grad():
        for _ in range(3):
            nn.functional.linear(x, w)  # packed
        w.share_memory_()
        child = os.fork()
        if not child:
            w.fill_(1)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert nn.functional.linear(x, w)[0, 0].item() == 512


@pytest.mark.parametrize("n", [1025, 10**6, 2**31, 2**63 - 1])
def test_more_threads_than_possible(n):
    before = fb.get_num_threads()
    with pytest.raises(RuntimeError, match="threads are more than the 1024"):
        fb.set_num_threads(n)
    assert fb.get_num_threads() == before


def test_a_second_interpreter_is_refused():
    interpreters = pytest.importorskip("_xxsubinterpreters")  # of Python before 3.13
    program = """
import sys
import flambeau as fb
import _xxsubinterpreters as interpreters
one = interpreters.create()
try:
    interpreters.run_string(one, f"import sys; sys.path[:] = {sys.path}; import flambeau")
except interpreters.RunFailedError as error:
    assert "ImportError" in str(error) and "interpreters" in str(error), error
else:
    raise AssertionError("not refused")
interpreters.destroy(one)
assert repr(fb.ones(2)) == "tensor([1., 1.])"
"""
    assert interpreters
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)


def test_denormal_numbers_are_flushed_in_all_threads_and_kept_again():
    def left():
        return int((fb.full((300_000,), 1e-310, dtype=fb.float64) * 1).count_nonzero())

    assert left() == 300_000
    try:
        if not fb.set_flush_denormal(True):
            pytest.skip("this CPU has no such switch")
        assert left() == 0
    finally:
        fb.set_flush_denormal(False)
    assert left() == 300_000
