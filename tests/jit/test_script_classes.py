"""What scripts may define and use beside functions and modules: classes, interfaces, futures."""

# ruff: noqa: UP006, UP031, UP035, UP045  (the spellings are what is tested)

import enum
import inspect
import io
from typing import Any, Dict, Final, List, NamedTuple, Optional, Tuple

import pytest

import flambeau as torch
from flambeau import Tensor, nn


def saved(program):
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(program), buffer)
    return torch.jit.load(buffer)


@torch.jit.script
class Counter:
    def __init__(self, start: int, name: str = "c"):
        self.n = start
        self.name = name
        self.half = start / 2
        self.items: List[int] = []

    def add(self, k: int) -> int:
        self.n += k
        self.items.append(k)
        return self.n


class Pair:
    def __init__(self, a: Tensor, b: Tensor):
        self.a = a
        self.b = b

    def total(self) -> Tensor:
        return self.a + self.b

    def __add__(self, o: int) -> "Pair":
        return Pair(self.a + o, self.b + o)

    @staticmethod
    def make(x: Tensor) -> Tensor:
        return x + 1


class Color(enum.Enum):
    RED = "r"
    GREEN = "g"


@torch.jit.interface
class Step(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        pass


class More(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x + 1


class Twice(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2


def counts(x: Tensor) -> Tensor:
    c = Counter(2)
    c.add(3)
    for i in range(2):
        c.add(i)
    return x * c.n + len(c.items) + c.half + len(c.name)


def pairs(x: Tensor) -> Tensor:
    p = Pair(x, x * 2)
    q = p + 3
    return p.total() * q.a + Pair.make(x)


def colors(x: Tensor, c: Color) -> Tensor:
    other = Color.RED if c == Color.GREEN else Color.GREEN
    if other == Color.RED:
        return x + len(other.name)
    return x * len(other.value)


def futures(x: Tensor) -> Tensor:
    futs: List[torch.jit.Future[Tensor]] = []
    for i in range(3):
        futs.append(torch.jit.fork(Pair.make, x * i))
    first = torch.jit.fork(pairs, x)
    for f in futs:
        x = x + torch.jit.wait(f)
    return x + first.wait()


def kinds(x: Any) -> int:
    if torch.jit.isinstance(x, List[Tensor]):
        return len(x)
    elif torch.jit.isinstance(x, Dict[str, int]):
        return x["a"]
    elif torch.jit.isinstance(x, Tuple[int, str]):
        return x[0]
    return -1


def unwraps(x: Tensor, k: Optional[int] = None) -> Tensor:
    if k is None:
        return x
    return x * torch.jit._unwrap_optional(k)


@pytest.mark.parametrize("f", [counts, pairs, futures])
def test_functions(f):
    x = torch.tensor([1.0, 2.0])
    assert torch.equal(saved(f)(x), f(x))


def test_enumerations():
    program, x = saved(colors), torch.ones(2)
    for c in Color:
        assert torch.equal(program(x, c), colors(x, c))


@pytest.mark.parametrize("value", [[torch.ones(2)], {"a": 4}, (7, "a"), "z", 2.5])
def test_jit_isinstance(value):
    assert saved(kinds)(value) == kinds(value)


def test_unwrapped_optional():
    assert saved(unwraps)(torch.ones(1), 3) == 3 and saved(unwraps)(torch.ones(1)) == 1


class Holds(nn.Module):
    step: Step
    scale: Final[int]

    def __init__(self):
        super().__init__()
        self.step, self.scale = More(), 3
        self.steps = nn.ModuleList([More(), Twice()])
        self.named = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Sigmoid()})
        self.weights = nn.ParameterList([nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2) * 3)])
        self.counter, self.color = Counter(5), Color.GREEN
        self.a = 4

    @property
    def twice(self) -> int:
        return self.a * 2

    @twice.setter
    def twice(self, v: int):
        self.a = v // 2

    def forward(self, x: Tensor, i: int) -> Tensor:
        one: Step = self.steps[i]
        x = one.forward(self.step.forward(x))
        if "a" in self.named:
            x = self.named["a"](x)
        for m in self.steps[1:]:
            x = m(x)
        for w in self.weights:
            x = x + w
        x = x + self.twice + self.counter.add(1) + len(self.steps) + len(self.color.value)
        self.twice = 10
        return x * self.scale


def test_a_module_of_all_that():
    program, own, x = saved(Holds()), Holds(), torch.tensor([-5.0, 2.0])
    for i in (0, 1):
        assert torch.equal(program(x, i), own(x, i))
    assert program.a == own.a == 5


def test_programs_change_their_own_lists():
    def f(l: List[int], d: Dict[str, int], t: Tensor) -> int:
        l.append(3)
        d["n"] = 1
        t += 1
        return len(l) + len(d)

    given, known, tensor = [1], {"a": 2}, torch.zeros(1)
    assert saved(f)(given, known, tensor) == 4
    assert given == [1] and known == {"a": 2} and tensor == 1


def test_percent():
    def f(a: int, b: float, c: str, l: List[int]) -> str:
        return "%d %s %f" % (a, c, b) + "%s" % b + "%s|%d" % (l, a)

    assert saved(f)(2, 0.1, "x", [1, 2]) == "2 x 0.1000000.10000000000000001[1, 2]|2"


def raises(x: Tensor, k: int) -> Tensor:
    assert k < 5, "too large"
    if k == 0:
        raise ValueError(f"bad k {k}")
    d = {"a": 1}
    return x * [1, 2][k] if k > 2 else x * d["b"] if k == 1 else x * (1 // (k - 2))


@pytest.mark.parametrize(
    "k, kind, last",
    [
        (9, torch.jit.Error, "RuntimeError: AssertionError: too large"),
        (0, torch.jit.Error, "builtins.ValueError: bad k 0"),
        (3, RuntimeError, "RuntimeError: list index out of range"),
        (1, RuntimeError, "RuntimeError: KeyError: b"),
        (2, RuntimeError, "RuntimeError: division by 0"),
    ],
)
def test_errors(k, kind, last):
    with pytest.raises(kind) as caught:
        saved(raises)(torch.ones(1), k)
    first, *_, said = str(caught.value).splitlines()
    assert first == "The following operation failed in the TorchScript interpreter." and said == last


def test_a_scripted_function_asserts_as_a_program():
    with pytest.raises(torch.jit.Error, match="AssertionError: too large"):
        torch.jit.script(raises)(torch.ones(1), 9)
    with pytest.raises(RuntimeError, match=r"raises\(\): missing a required argument: 'k'"):
        torch.jit.script(raises)(torch.ones(1))


@pytest.mark.parametrize(
    "text",
    [
        "def f(x):\n  x.data += 1\n  return x",
        "def f(x):\n  x.grad, y = x, x\n  return y",
        "def f(x):\n  def g():\n    return x\n  return x",
        "def f(x):\n  def __forked_function(y):\n    return y\n  return x",
        "def f(x):\n  def __forked_function():\n    pass\n  return x",
    ],
)
def test_what_no_program_may(text):
    with pytest.raises((RuntimeError, torch.jit.Error)):
        torch.jit.CompilationUnit(text).f(torch.ones(1))


class Point(NamedTuple):
    x: int
    y: int = 2


def points(p: Point) -> Point:
    r = Point(1)
    return Point(y=p.x + p.y + r.y, x=p[1])


def test_named_tuples_with_defaults():
    assert tuple(saved(points)(Point(4, 5))) == tuple(points(Point(4, 5)))


class Traced(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = torch.jit.trace(nn.Conv2d(1, 2, 3), torch.rand(1, 1, 6, 6))
        self.inner = torch.jit.script(Inner())

    def forward(self, x: Tensor) -> Tensor:
        return scripted_function(traced_function(torch.relu(self.conv(x)))) + self.inner.add(x).sum()


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.lin = nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.lin(x)

    @torch.jit.export
    def add(self, x: Tensor) -> Tensor:
        return x + self.lin.weight.sum()


traced_function = torch.jit.trace(lambda x: x * 2 + torch.ones(1), (torch.rand(1, 2, 4, 4),))
scripted_function = torch.jit.script(Pair.make)


def test_scripts_of_traced_and_scripted_parts():
    module, x = Traced(), torch.rand(1, 1, 6, 6)
    program = saved(module)
    assert torch.allclose(program(x), module(x))
    assert set(program.state_dict()) == set(module.state_dict())
    assert isinstance(module.inner, torch.jit.ScriptModule)


class Changes(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight, self.norm = nn.Parameter(torch.ones(2)), nn.BatchNorm1d(2)
        self.kept, self.version = torch.tensor(10.0), 1

    @torch.jit.export
    def other(self, x: Tensor) -> Tensor:
        return x * self.weight

    def forward(self, x: Tensor) -> Tensor:
        self.kept += 1
        return self.norm(x) * self.weight + self.kept


@pytest.mark.parametrize("again", [False, True])
def test_frozen(again):
    frozen = torch.jit.freeze(torch.jit.script(Changes().eval()), preserved_attrs=["version", "other"])
    if again:
        frozen = saved(frozen)
    own, x = Changes().eval(), torch.rand(3, 2)
    for _ in range(2):
        assert torch.allclose(frozen(x), own(x)) and not frozen(x).requires_grad
        own(x)
    assert not frozen.state_dict() and frozen.version == 1 and torch.equal(frozen.other(x), x)


def test_what_cannot_be_frozen():
    scripted = torch.jit.script(Changes())
    with pytest.raises(RuntimeError, match="eval mode"):
        torch.jit.freeze(scripted)
    with pytest.raises(RuntimeError, match="Unknown name: nope"):
        torch.jit.freeze(scripted.eval(), ["nope"])
    with pytest.raises(RuntimeError, match="optimize_for_inference expects a ScriptModule"):
        torch.jit.optimize_for_inference(Changes())


def test_the_table_of_functions_names_their_parameters():
    from flambeau.jit import _layers

    for line in _layers._PLAIN.replace("\\\n", " ").splitlines():
        name, *words = line.split() or [""]
        for word in words[1:]:
            known = inspect.signature(getattr(nn.functional, name)).parameters
            assert word.rpartition("=")[2] in known or word == "True", (name, word)


def chained(a: int, b: float) -> int:
    return int(1 < a <= 1200) + int(0.0 <= b < float(a) < 50.0) * 10


def test_chains_of_comparisons_are_written_apart():
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(chained), buffer)
    program = torch.jit.load(buffer)
    assert "1 < a and a <= 1200" in program.code
    for a, b in ((2110, 1.0), (7, 3.0), (7, 9.0), (1, 0.5), (60, 3.0)):
        assert program(a, b) == chained(a, b)


@torch.jit.script
class Guard:
    def __init__(self, n: int):
        self.n = n

    def __enter__(self):
        self.n += 1
        return self

    def __exit__(self, type: Any, value: Any, tb: Any):
        self.n -= 10


def guarded(x: Tensor) -> Tuple[Tensor, int]:
    c = Guard(3)
    with c as d:
        x = x * c.n + d.n
    with Guard(5):
        x = x + 1
    with torch.no_grad():
        x = x + 1
    return x, c.n


def test_with_objects():
    result, n = saved(guarded)(torch.ones(2))
    assert result.tolist() == [10, 10] and n == -6


class Ages(torch.jit.ScriptModule):
    def __init__(self):
        super().__init__()
        self.foo = torch.jit.Attribute(0.5, float)
        self.ages = torch.jit.Attribute({}, Dict[str, int])
        self.ages["someone"] = 20
        self.weight = nn.Parameter(torch.ones(2))

    @torch.jit.script_method
    def forward(self, x: Tensor) -> Tensor:
        self.ages["other"] = len(self.ages)
        return x * self.foo * self.weight + self.ages["someone"] + self.ages["other"]


def test_a_class_of_script_modules_with_attributes():
    assert 0.0 < Ages().foo
    assert saved(Ages())(torch.ones(2)).tolist() == [21.5, 21.5]
