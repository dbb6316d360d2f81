"""Python that scripts do not have is refused when they are made; the texts are those of PyTorch 2.13."""

import sys

import pytest

import flambeau as fb
from flambeau.jit.frontend import NotSupportedError, UnsupportedNodeError

nn = fb.nn
CASES = {
    "def f(x):\n    yield x": "Yield aren't supported",
    "def f(x):\n    return lambda y: y": "Lambda aren't supported",
    "def f(x):\n    try: return x\n    except: return x": "try blocks aren't supported",
    "def f(x):\n    if not fb.jit.is_scripting():\n        try: x\n        except: x\n    return x": (
        "try blocks aren't supported"
    ),
    "def f(x):\n    import math\n    return x": "import statements aren't supported",
    "def f(x):\n    from math import sqrt\n    return x": "import statements aren't supported",
    "def f(x):\n    global zzz\n    return x": "global variables aren't supported",
    "def f(x):\n    def g(y): return y\n    return g(x)": "function definitions aren't supported",
    "def f(x):\n    async def g(): pass\n    return x": "async function definitions aren't supported",
    "def f(x):\n    class A: pass\n    return x": "class definitions aren't supported",
    "def f(x): return {i for i in x}": "SetComp aren't supported",
    "def f(x): return {1, 2}": "Set aren't supported",
    "def f(x): return (y := x)": "NamedExpr aren't supported",
    "def f(x):\n    match x:\n        case 1: return x\n    return x": "Match aren't supported",
    "def f(x): return [i for i in x if i]": "Comprehension ifs are not supported yet",
    "def f(x): return [i for i in x for j in x]": "Only a single generator is currently supported",
    "def f(x): return {**x}": r"Dict expansion \(e.g. `\{\*\*dict\}`\) is not supported",
    "def f(x): return f'{x!r}'": "Don't support conversion in JoinedStr",
    "def f(x): return f'{x:.3f}'": "Don't support formatting in JoinedStr",
    "def f(x):\n    for i in x: pass\n    else: x = 3\n    return x": (
        "else branches of for loops aren't supported"
    ),
    "def f(x, *args): return x": "Compiled functions can't take variable number of arguments or use key",
    "def f(x, **kw): return x": "Compiled functions can't take variable number of arguments or use key",
    "def f(x, *, y=3): return x": "Compiled functions can't take variable number of arguments or use key",
}
if sys.version_info >= (3, 14):
    CASES["def f(x): return t'{x}'"] = "TemplateStr aren't supported"


@pytest.mark.parametrize("code", CASES)
def test_refused(code, tmp_path):
    path = tmp_path / "script.py"
    path.write_text(code + "\n")
    space = {"fb": fb}
    exec(compile(path.read_text(), str(path), "exec"), space)
    kind = UnsupportedNodeError if "aren't supported" in CASES[code] else NotSupportedError
    if "else branches" in CASES[code]:
        kind = NotSupportedError
    with pytest.raises(kind, match=CASES[code]) as refused:
        fb.jit.script(space["f"])
    assert type(refused.value) is kind and "script.py" in str(refused.value)


class Tried(nn.Module):
    def forward(self, x):
        try:
            return x
        except ValueError:
            return x


class Around(nn.Module):
    def __init__(self):
        super().__init__()
        self.inside = Tried()

    def forward(self, x):
        return x


class LeftOut(nn.Module):
    def forward(self, x):
        return self.helper(x)

    @fb.jit.ignore
    def helper(self, x):
        try:
            return x
        except ValueError:
            return x


class Unused(nn.Module):
    @fb.jit.unused
    def forward(self, x):
        try:
            return x
        except ValueError:
            return x


def test_modules():
    for module in (Tried(), Around()):
        with pytest.raises(UnsupportedNodeError, match="try blocks aren't supported"):
            fb.jit.script(module)
    assert fb.jit.script(LeftOut())(fb.ones(2)).tolist() == [1, 1]
    assert isinstance(fb.jit.script(Unused()), fb.jit.RecursiveScriptModule)
    # the library's own layers are not looked at
    fb.jit.script(nn.Sequential(nn.MultiheadAttention(4, 2), nn.LSTM(2, 2), nn.Conv2d(1, 1, 1)))


def test_what_a_class_has_from_the_library_is_not_looked_at():
    class Chain(nn.Sequential):  # its forward is the library's
        pass

    class Told(nn.Sequential):
        def forward(self, x):
            import math

            return x * math.pi

    chain = Chain(nn.Linear(2, 2), nn.ReLU())
    x = fb.ones(1, 2)
    assert fb.jit.script(chain)(x).tolist() == chain(x).tolist()
    with pytest.raises(UnsupportedNodeError, match="import statements aren't supported"):
        fb.jit.script(Told(nn.Linear(2, 2)))
