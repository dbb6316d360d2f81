"""Archives of TorchScript: files of PyTorch (tests/golden/jit) run, are written again, and what no program
may say is refused."""

import copy
import io
import pathlib
import subprocess
import sys
import zipfile

import pytest

import flambeau as torch
from flambeau import nn
from flambeau.nn import functional as F

GOLDEN = pathlib.Path(__file__).parent.parent / "golden" / "jit"
X = torch.linspace(-1, 1, 32).view(2, 1, 4, 4)


def changed(name, change):
    """A file of PyTorch's with the text of its code changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(GOLDEN / name) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            new.writestr(entry, change(content.decode()).encode() if entry.endswith(".py") else content)
    out.seek(0)
    return out


def test_a_scripted_module_runs():
    module = torch.jit.load(GOLDEN / "words.pt")
    point, count, out = module(torch.ones(2))
    assert point.x.tolist() == [5.0, 7.0] and point.y == 17 and count == 5
    assert out["p"].tolist() == [0.0, 0.0] and out["q"].tolist() == [19.0, 43.0]
    assert module(torch.ones(2), names=["z"])[1] == 6  # its object keeps what it counted
    assert module.describe(1) == "1. is none of (1, x, [2.5])"
    assert module.describe(2.5, n=3) == "2.5 3[1.5, 2.]B"
    assert (
        module.color.name == "GREEN"
        and module.dt == 7
        and module.t == (1, "x", [2.5])
        and module.cx == 1 + 2j
    )
    assert [n for n, _ in module.named_parameters()] == ["w", "lin.weight", "lin.bias"]
    assert not module.w.requires_grad and module.lin.weight.requires_grad and not module.training
    assert list(module.state_dict()) == ["w", "buf", "lin.weight", "lin.bias"]
    assert "def forward(s: __torch__.Words" in module.code and module.lin.in_features == 2
    assert repr(module).startswith("RecursiveScriptModule(\n  original_name=Words\n  (lin): Rec")


@pytest.mark.parametrize("name", ["net.pt", "traced.pt"])
def test_networks_give_their_numbers(name):
    module = torch.jit.load(GOLDEN / name)
    with torch.no_grad():
        torch.testing.assert_close(module(X), torch.tensor([0.3389388918876648, 0.34797510504722595]))
    module.double()(X.double()).sum().backward()
    assert module.c.weight.grad.abs().sum() > 0
    assert "aten::lstm" in torch.jit.export_opnames(module)
    frozen = torch.jit.freeze(module.float().eval())
    torch.testing.assert_close(frozen(X), module(X))
    assert not any(p.requires_grad for p in frozen.parameters())


@pytest.mark.parametrize("name", ["words.pt", "net.pt", "traced.pt"])
def test_what_was_read_is_written_again(name):
    module = torch.jit.load(GOLDEN / name)
    argument = torch.ones(2) if name == "words.pt" else X
    buffer = io.BytesIO()
    torch.jit.save(module, buffer, _extra_files={"note": "hello"})
    extra = {"note": ""}
    again = torch.jit.load(buffer, _extra_files=extra)
    assert extra["note"] == b"hello"
    for other in (again, copy.deepcopy(module)):
        a, b = module(argument), other(argument)
        torch.testing.assert_close(
            a if name != "words.pt" else a[2]["q"], b if name != "words.pt" else b[2]["q"]
        )


def test_errors_of_calls():
    module = torch.jit.load(GOLDEN / "words.pt")
    words = r"(?s)^The following operation failed in the TorchScript interpreter.*in describe.*"
    with pytest.raises(torch.jit.Error, match=words + "builtins.ValueError: 9 is too large$"):
        module.describe(1.0, 9)
    with pytest.raises(torch.jit.Error, match=r"AssertionError: n is positive"):
        module.describe(1.0, -1)
    with pytest.raises(
        RuntimeError, match=r"Expected a value of type 'Tensor' for argument 'x' but instead found"
    ):
        module(3)
    with pytest.raises(
        RuntimeError, match=r"forward\(\) is missing value for argument 'x'. Declaration: forward"
    ):
        module()
    with pytest.raises(RuntimeError, match=r"Unknown keyword argument 'z' for operator 'forward'"):
        module(torch.ones(2), z=1)
    with pytest.raises(RuntimeError, match=r"forward\(\) expected at most 4 argument\(s\) but received 5"):
        module(torch.ones(2), None, None, 3)
    with pytest.raises(RuntimeError, match=r"(?s)interpreter.*RuntimeError: "):
        module(torch.ones(3))
    with pytest.raises(AttributeError, match=r"no attribute 'nothing'"):
        _ = module.nothing


BAD = [
    "import os",
    "x = __import__('os')",
    "x = s.__class__",
    "x = s.__dict__",
    "x = (s).__reduce__()",
    "x = (s).save('/tmp/stolen')",
    "x = (s).register_forward_hook(s)",
    "x = s._modules",
    "x = getattr(s, '_modules')",
    "x = open('/etc/passwd')",
    "x = eval('1')",
    "x = torch.save(s, 'x')",
    "x = torch.load('x')",
    "x = torch.from_file('x')",
    "x = torch.hub.load('a', 'b')",
    "x = torch.ops.load_library('a')",
    "x = ops.prim.PythonOp(s)",
    "x = torch.__builtins__",
    "x = torch.__class__(1)",
    "x = (lambda: 1)()",
    "x = [y for y in (1).__class__.__mro__]",
    "x = f'{s.__class__}'",
    "x = '{0.__class__}'.format(s)",
    "global x",
    "def f(): pass",
    "class A: pass",
    "__held_0 = 1",
    "x = __held_0",
    "(yield 1)",
    "x = nowhere",
    "x = __torch__.nowhere.f(1)",
    "try:\n      pass\n    except ValueError:\n      pass",
]


@pytest.mark.parametrize("line", BAD)
def test_programs_reach_nothing_else(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    indented = f"    {line}\n"

    def text(code):
        place = "    if torch.__is__(n, None):\n"
        return code.replace(place, indented + place, 1)

    with pytest.raises((RuntimeError, NotImplementedError, torch.jit.Error)):
        torch.jit.load(changed("words.pt", text)).describe(1.0, 2)
    assert not list(tmp_path.iterdir())


def test_damaged_files():
    whole = (GOLDEN / "net.pt").read_bytes()
    for size in (0, 10, 1000, len(whole) // 2, len(whole) - 30):
        with pytest.raises(RuntimeError):
            torch.jit.load(io.BytesIO(whole[:size]))
    with pytest.raises(RuntimeError):
        torch.jit.load(changed("net.pt", lambda code: code[: len(code) // 2]))
    with pytest.raises(RuntimeError, match=r"(?s)data.pkl of the archive cannot be read.*|.*not define"):
        torch.jit.load(changed("net.pt", lambda code: ""))
    with pytest.raises(RuntimeError, match=r"does not support class inheritance\.\nclass \w+\(Mod\)"):
        torch.jit.load(changed("net.pt", lambda code: code.replace("(Module)", "(Mod)", 1)))
    with pytest.raises(RuntimeError, match=r"(?s)starred expression here.*File .code/__torch__.py"):
        torch.jit.load(changed("net.pt", lambda code: code.replace("return ", "return *", 1)))
    more = ("__parameters__ = [", '__parameters__ = ["training", ')
    with pytest.raises(RuntimeError, match="the tensor 'training' is 'bool'"):
        torch.jit.load(changed("net.pt", lambda code: code.replace(*more)))
    with pytest.raises(RuntimeError, match="the archive has no module but a"):
        torch.jit.load(changed("words.pt", lambda code: code.replace("(Module)", "")))


def test_damaged_objects():
    """Whatever byte is wrong in the pickle of an archive, a RuntimeError says so, or the module runs."""
    with zipfile.ZipFile(GOLDEN / "words.pt") as old:
        entries = {name: old.read(name) for name in old.namelist()}
    pickled = next(name for name in entries if name.endswith("/data.pkl"))
    whole = entries[pickled]
    refused = 0
    for place in range(0, len(whole), 8):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as new:
            for name, content in entries.items():
                damaged = whole[:place] + bytes([whole[place] ^ 5]) + whole[place + 1 :]
                new.writestr(name, damaged if name == pickled else content)
        out.seek(0)
        try:
            torch.jit.load(out)
        except RuntimeError as error:
            refused += 1
            assert str(error)
    assert refused > len(whole) // 50


def test_a_text_of_functions():
    unit = torch.jit.CompilationUnit(
        """
        def first(a: int, b: int):
            return a ** b, a / b, a // b, -a % 3, 7.5 % 2, round(2.5), min(1, 2.5), torch.float32

        def containers():
            d = {"a": 1, "b": 2}
            d["c"] = 3
            l = [3, 1, 2]
            l.sort()
            l.insert(0, 9)
            p = l.pop()
            l += [7]
            return d.keys(), d.items(), d.get("z", 0), l, p, l * 2, l[::2], "c" in d, [x + 1 for x in l]

        def loop(x: Tensor, n: int=3) -> Tensor:
            for i in range(n):
                if i == 1:
                    continue
                x = x + i
            while bool(x.sum() < 100):
                x = x * 2
            return x.to(torch.int32) if n > 2 else x
        """
    )
    assert unit.first(2, 3) == (8.0, 2 / 3, 0, 1, 1.5, 2.0, 1.0, 6)
    assert unit.containers() == (
        ["a", "b", "c"], [("a", 1), ("b", 2), ("c", 3)], 0, [9, 1, 2, 7], 3, [9, 1, 2, 7] * 2, [9, 2], True,
        [10, 2, 3, 8],
    )  # fmt: skip
    assert unit.loop(torch.ones(2)).tolist() == [96, 96] and "while" in unit.loop.code
    assert unit.loop(torch.ones(2), 1).dtype == torch.float32
    with pytest.raises(AttributeError, match=r"'CompilationUnit' has no attribute 'second'"):
        _ = unit.second
    with pytest.raises(RuntimeError, match=r"undefined value y"):
        torch.jit.CompilationUnit("def f(x):\n  return y")


class Traced(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.MaxPool2d(2))
        self.out = nn.Linear(2, 3, bias=False)
        self.scale = torch.tensor(2.0)

    def forward(self, pair, *, extra):
        x, y = pair
        z = self.layers(x).flatten(1) * self.scale
        z = nn.functional.gelu(self.out(z), approximate="tanh").softmax(-1)
        return {"z": z, "y": (y.view(y.size(0), -1) + extra).sum(-1)}, [z.argmax(-1)], None


def test_traced_programs_are_torchscript(tmp_path):
    model = Traced().eval()
    pair, extra = (X, torch.ones(2, 2, 3)), torch.tensor(1.0)
    traced = torch.jit.trace(model, (pair,), example_kwarg_inputs={"extra": extra})
    traced.save(tmp_path / "traced.pt")
    loaded = torch.jit.load(tmp_path / "traced.pt")
    with zipfile.ZipFile(tmp_path / "traced.pt") as archive:
        code = "".join(archive.read(n).decode() for n in archive.namelist() if n.endswith(".py"))
    assert "torch.gelu(" in code and 'approximate="tanh"' in code and "CONSTANTS.c0" in code
    assert (
        "pair: Tuple[Tensor, Tensor]" in code
        and "-> Tuple[Dict[str, Tensor], List[Tensor], NoneType]" in code
    )
    for n in (2, 5):
        pair = (torch.randn(n, 1, 4, 4), torch.randn(n, 2, 3))
        a, b = model(pair, extra=extra), loaded(pair, extra=extra)
        torch.testing.assert_close(a[0]["z"], b[0]["z"])
        torch.testing.assert_close(a[0]["y"], b[0]["y"])
        assert a[1][0].tolist() == b[1][0].tolist() and b[2] is None
    with pytest.raises(torch.jit.Error, match=r"recorded for size 4 of dimension 3"):
        loaded((torch.randn(2, 1, 4, 5), torch.randn(2, 2, 3)), extra=extra)
    program = "import flambeau, sys; print(sorted(flambeau.jit.load(sys.argv[1]).state_dict()))"
    out = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "traced.pt")], capture_output=True, text=True
    )
    assert "layers.0.bias" in out.stdout


@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.elu(x, 0.5),
        lambda x: x.unfold(2, 2, 1),
        lambda x: 1.0 + x - (2.0 - x) * 3,
        lambda x: torch.bincount(x.long().flatten().abs(), minlength=4),
        lambda x: F.interpolate(x, scale_factor=1.5, mode="bicubic"),
        lambda x: F.grid_sample(x, torch.zeros(2, 3, 3, 2), align_corners=False),
        lambda x: torch.stft(x.flatten(), 8, 4, return_complex=True).abs(),
        lambda x: torch.linalg.vector_norm(x, 2, 1),
        lambda x: torch.fft.rfft(x).abs(),
        lambda x: x.clone().index_fill_(1, torch.tensor([0]), 3.0),
        lambda x: F.cross_entropy(x[:, 0, 0], torch.tensor([1, 0]), label_smoothing=0.1),
        lambda x: torch.where(x > 0, x.to(torch.float64), 1.0).type_as(x),
    ],
)
def test_operators_of_traced_programs(function):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(function, (X,)), buffer)
    torch.testing.assert_close(torch.jit.load(buffer)(X), function(X))


def test_before_version_4_integers_were_divided_to_integers():
    out = io.BytesIO()
    with zipfile.ZipFile(GOLDEN / "words.pt") as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.namelist():
            content = old.read(entry)
            if entry.endswith("__torch__.py"):
                head = b"    if torch.__is__(n, None):\n"
                content = content.replace(
                    head,
                    b"    torch.append(self.lt, torch.div(torch.tensor([7]), torch.tensor([2])))\n" + head,
                )
                content = content.replace(b"def describe(s:", b"def describe(self:")
                content = content.replace(b"    t = s.t\n", b"    t = self.t\n")
            new.writestr(entry, content)
    out.seek(0)
    module = torch.jit.load(out)
    module.describe(1.0, 3)
    assert module.lt[-1].tolist() == [3] and module.lt[-1].dtype == torch.int64
