"""Saved programs run without Python as they run with it."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from runtime import library

import flambeau as torch
from flambeau import nn
from flambeau.cli import runtime as places


class LeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)
        )

    def forward(self, x):
        return self.classifier(torch.flatten(self.features(x), 1))


class Block(nn.Module):
    def __init__(self, n, m, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(n, m, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(m)
        self.conv2 = nn.Conv2d(m, m, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(m)
        self.down = (
            nn.Sequential(nn.Conv2d(n, m, 1, stride, bias=False), nn.BatchNorm2d(m)) if stride > 1 else None
        )

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        if self.down is not None:
            x = self.down(x)
        return torch.relu(x + y)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 16, 7, 2, 3, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(3, 2, 1)
        )
        self.body = nn.Sequential(Block(16, 16, 1), Block(16, 32, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(32, 5)

    def forward(self, x):
        return self.head(torch.flatten(self.pool(self.body(self.stem(x))), 1))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(20, 8)
        self.lstm = nn.LSTM(8, 6, 2, batch_first=True, bidirectional=True)
        self.out = nn.Linear(12, 3)

    def forward(self, x):
        y, (h, _) = self.lstm(self.embed(x))
        return torch.log_softmax(self.out(y), -1), h


class Pair(NamedTuple):
    low: torch.Tensor
    high: torch.Tensor


def branches(x: torch.Tensor, times: int, name: str | None = None) -> dict[str, torch.Tensor]:
    """Loops, branches, lists, dictionaries and strings."""
    found: dict[str, torch.Tensor] = {}
    kept: list[torch.Tensor] = []
    for i in range(times):
        if i % 2 == 0:
            x = x * 2.0 + i
        elif i == 3:
            continue
        else:
            x = x - x.mean()
        kept.append(x)
        if len(kept) > 5:
            break
    if name is not None:
        found[name.upper() + "_" + str(len(kept))] = torch.stack(kept)
    n = 0
    while n < 3 and float(x.sum()) > -100.0:
        n += 1
    found["n"] = torch.full([2], n + 10 * x.size(0) + 100 * x.shape[-1])
    return found


def split(x: torch.Tensor, at: float) -> Pair:
    return Pair(torch.where(x < at, x, torch.zeros_like(x)), torch.where(x < at, torch.zeros_like(x), x))


def arrays(value):
    if isinstance(value, torch.Tensor):
        return value.detach().numpy()
    if isinstance(value, dict):
        return {k: arrays(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(map(arrays, value)) if not hasattr(value, "_fields") else tuple(map(arrays, value))
    return value


def same(a, b):
    assert type(a) is type(b)
    if isinstance(a, np.ndarray):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    elif isinstance(a, dict):
        assert list(a) == list(b)
        for k in a:
            same(a[k], b[k])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for x, y in zip(a, b):
            same(x, y)
    else:
        assert a == b


def compare(program, tmp_path, *args):
    path = tmp_path / "model.pt"
    program.save(str(path))
    with torch.no_grad():
        expected = torch.jit.load(str(path))(*args)
    found = library.Model(path)(*map(arrays, args))
    same(found, arrays(expected))


@pytest.mark.parametrize("written", ["script", "trace"])
@pytest.mark.parametrize(
    ("model", "shape"), [(LeNet, (2, 1, 28, 28)), (ResNet, (2, 3, 32, 32))], ids=["lenet", "resnet"]
)
def test_images(model, shape, written, tmp_path):
    torch.manual_seed(0)
    net, x = model().eval(), torch.rand(shape)
    compare(torch.jit.script(net) if written == "script" else torch.jit.trace(net, x), tmp_path, x)


@pytest.mark.parametrize("written", ["script", "trace"])
def test_recurrent(written, tmp_path):
    torch.manual_seed(0)
    net, x = Tagger().eval(), torch.randint(0, 20, (2, 7))
    compare(torch.jit.script(net) if written == "script" else torch.jit.trace(net, x), tmp_path, x)


@pytest.mark.parametrize("written", ["script", "trace"])
def test_transformer(written, tmp_path):
    torch.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    net, x = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False).eval(), torch.rand(2, 5, 16)
    compare(torch.jit.script(net) if written == "script" else torch.jit.trace(net, x), tmp_path, x)


@pytest.mark.parametrize("times", [1, 3, 9])
@pytest.mark.parametrize("name", [None, "all"])
def test_control_flow(times, name, tmp_path):
    compare(torch.jit.script(branches), tmp_path, torch.rand(3, 4), times, name)


def test_named_tuple(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.script(split).save(str(path))
    x = np.linspace(-1, 1, 5, dtype=np.float32)
    result = library.Model(path).raw(x, 0)  # a whole number where a float is asked for
    assert library.fields(result) == ["low", "high"]
    same(library.python(result), (np.where(x < 0, x, 0).astype("f4"), np.where(x < 0, 0, x).astype("f4")))


@pytest.mark.parametrize("made", ["trace", "script"])
def test_writes(made, tmp_path):
    def f(x: torch.Tensor) -> torch.Tensor:
        x[:, 1] = 3
        x.t().mul_(2)
        return x * 1

    path, x = tmp_path / "f.pt", np.ones((2, 3), np.float32)
    torch.jit.save(torch.jit.script(f) if made == "script" else torch.jit.trace(f, (torch.ones(2, 3),)), path)
    same(library.Model(path)(x), arrays(f(torch.ones(2, 3))))
    path = tmp_path / "norm.pt"
    torch.jit.save(torch.jit.script(nn.Sequential(nn.BatchNorm1d(3, momentum=None))), path)
    model, own = library.Model(path), nn.BatchNorm1d(3, momentum=None)
    for k in range(3):
        same(model(x * k), arrays(own(torch.ones(2, 3) * k)))


def test_strided_input(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.trace(nn.Flatten(0), torch.rand(3, 4)).save(str(path))
    x = np.arange(12, dtype=np.float32).reshape(4, 3).T
    same(library.Model(path)(x), np.ascontiguousarray(x).ravel())


def test_declaration(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.script(branches).save(str(path))
    assert (
        library.Model(path)
        .declaration()
        .startswith("forward(self, Tensor x, int times, Optional[str] name=None)")
    )


# ---------------------------------------------------------------- errors
def test_errors_have_codes(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.script(branches).save(str(path))
    model, x = library.Model(path), np.ones((2, 2), np.float32)
    for call, code, message in (
        (lambda: library.Model(tmp_path / "no.pt"), library.FILE, "does not exist"),
        (lambda: library.Model(b"PK no zip"), library.FORMAT, "failed finding central directory"),
        (lambda: model(x, method="predict"), library.ARGUMENT, 'is missing the required "predict" function'),
        (lambda: model(x), library.PROGRAM, "missing value for argument 'times'"),
        (lambda: model(x, 1.5), library.ARGUMENT, "Expected a value of type 'int' for argument 'times'"),
        (lambda: model(x, 1, "a", 2), library.ARGUMENT, "expected at most 3 argument"),
        (lambda: model(x, 0, "a"), library.PROGRAM, "stack expects a non-empty TensorList"),
    ):
        with pytest.raises(library.Failed) as caught:
            call()
        assert caught.value.code == code and message in str(caught.value)


def test_program_raises(tmp_path):
    def fails(x: torch.Tensor) -> torch.Tensor:
        if x.numel() > 2:
            raise ValueError("too many")
        return x

    path = tmp_path / "model.pt"
    torch.jit.script(fails).save(str(path))
    model = library.Model(path)
    assert model(np.ones(1, np.float32)).tolist() == [1.0]
    with pytest.raises(library.Failed, match=r"too many\n  File .*, in forward") as caught:
        model(np.ones(3, np.float32))
    assert caught.value.code == library.PROGRAM


def test_damaged_archives(tmp_path):
    path = tmp_path / "model.pt"
    torch.jit.script(branches).save(str(path))
    whole = path.read_bytes()
    for n in range(0, len(whole), 97):
        with pytest.raises(library.Failed):
            library.Model(whole[:n])
    random = np.random.default_rng(0)
    for _ in range(200):  # an error or a program; the check sums find nearly all
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), 3):
            damaged[place] = random.integers(0, 256)
        try:
            library.Model(bytes(damaged))
        except library.Failed as e:
            assert str(e)


# ---------------------------------------------------------------- flambeau-run
def run(*args):
    try:
        program = places.program()
    except FileNotFoundError:
        pytest.skip("flambeau-run was not built")
    return subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=60)


def test_program_writes_what_python_computes(tmp_path):
    torch.manual_seed(0)
    net, x = LeNet().eval(), torch.rand(2, 1, 28, 28)
    model, given, out = tmp_path / "m.pt", tmp_path / "x.npy", tmp_path / "y.npy"
    torch.jit.script(net).save(str(model))
    np.save(given, np.asfortranarray(x.numpy()))
    done = run(model, "--input", given, "--out", out, "--time", 2)
    assert done.returncode == 0 and "median" in done.stderr
    with torch.no_grad():
        same(np.load(out), net(x).numpy())
    torch.save(x, tmp_path / "x.pt")
    assert run(model, "--input", tmp_path / "x.pt", "--out", out).returncode == 0
    with torch.no_grad():
        same(np.load(out), net(x).numpy())


def test_program_prints(tmp_path):
    torch.jit.script(branches).save(str(tmp_path / "m.pt"))
    np.save(tmp_path / "x.npy", np.ones((1, 2), np.float32))
    done = run(tmp_path / "m.pt", "--input", tmp_path / "x.npy", "--int", 1, "--text", "a")
    assert done.stdout == "{A_1: tensor([[[2., 2.]]], float32), n: tensor([213, 213], int64)}\n"
    assert run(tmp_path / "m.pt", "--describe").stdout.startswith("forward(self, Tensor x")


def test_program_tells_what_is_wrong(tmp_path):
    torch.jit.script(branches).save(str(tmp_path / "m.pt"))
    assert run().returncode == 2
    done = run(tmp_path / "none.pt")
    assert done.returncode == 1 and done.stderr.endswith("none.pt does not exist\n")
    (tmp_path / "x.npy").write_bytes(b"\x93NUMPY\x01\x00\xff\xff{")
    done = run(tmp_path / "m.pt", "--input", tmp_path / "x.npy")
    assert done.returncode == 1 and "it is cut off" in done.stderr


# ---------------------------------------------------------------- archives that PyTorch wrote
ARCHIVES = Path(__file__).parent / "archives"
GOLDEN = json.loads((ARCHIVES / "golden.json").read_text())


def told(value):
    """A value of the golden file: tensors are arrays."""
    if isinstance(value, dict):
        if "tensor" in value:
            return np.array(value["values"], value["tensor"])
        if "dict" in value:
            return {k: told(v) for k, v in value["dict"]}
        items = map(told, value["tuple"] if "tuple" in value else value["list"])
        return tuple(items) if "tuple" in value else list(items)
    return value


@pytest.mark.parametrize("name", GOLDEN)
def test_archives_of_pytorch(name):
    model = library.Model(ARCHIVES / f"{name}.pt")
    for call in GOLDEN[name]:
        same(model(*map(told, call["args"]), method=call["method"]), told(call["result"]))


# ---------------------------------------------------------------- C programs
def test_example_in_c(tmp_path):
    source = Path(__file__).parents[2] / "examples" / "run_model.c"
    compiler = shutil.which("cc")
    if compiler is None or not source.exists():
        pytest.skip("no C compiler")
    torch.jit.script(LeNet().eval()).save(str(tmp_path / "model.pt"))
    flags = places.flags().split()
    warnings = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
    program = tmp_path / "run_model"
    subprocess.run([compiler, *warnings, source, *flags, "-o", program], check=True)
    done = subprocess.run([program, tmp_path / "model.pt"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 10, done.stderr
    done = subprocess.run([program, tmp_path / "none.pt"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and "does not exist" in done.stderr


def test_threads(tmp_path):
    """Several threads call one model; each gets its own result (in a process without Python's lock)."""
    torch.jit.trace(nn.Sequential(nn.Linear(4, 4), nn.ReLU()).eval(), torch.rand(1, 4)).save(
        str(tmp_path / "m.pt")
    )
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler")
    (tmp_path / "main.c").write_text(THREADS)
    flags = places.flags().split()
    subprocess.run(
        [compiler, tmp_path / "main.c", *flags, "-pthread", "-o", tmp_path / "threads"], check=True
    )
    done = subprocess.run(
        [tmp_path / "threads", tmp_path / "m.pt"], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


THREADS = r"""
#include <pthread.h>
#include "flambeau.h"
static fb_model* model;
static void* work(void* seed) {
    for (int i = 0; i < 200; ++i) {
        float data[4] = {(float)(size_t)seed, (float)i, 1, -1};
        const int64_t sizes[] = {1, 4};
        fb_value* x = fb_new_tensor(data, FB_FLOAT32, 2, sizes, NULL, NULL);
        const fb_value* arguments[] = {x};
        fb_value* y = fb_run(model, "forward", arguments, 1, NULL);
        fb_value* again = fb_run(model, "forward", arguments, 1, NULL);
        fb_tensor a, b;
        if (!fb_get_tensor(y, &a, NULL) || !fb_get_tensor(again, &b, NULL)) return model;
        for (int k = 0; k < 4; ++k)
            if (((float*)a.data)[k] != ((float*)b.data)[k]) return model;
        fb_free_value(x);
        fb_free_value(y);
        fb_free_value(again);
    }
    return NULL;
}
int main(int n, char** words) {
    pthread_t threads[4];
    int wrong = 0;
    model = fb_load(words[n - 1], NULL);
    for (size_t i = 0; i < 4; ++i) pthread_create(&threads[i], NULL, work, (void*)i);
    for (size_t i = 0; i < 4; ++i) {
        void* result;
        pthread_join(threads[i], &result);
        wrong += result != NULL;
    }
    fb_free_model(model);
    return wrong;
}
"""
