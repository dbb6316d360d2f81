"""Sequential, ModuleList, ModuleDict, ParameterList, ParameterDict."""

from collections import OrderedDict

import pytest

import flambeau as fb
from flambeau import nn


def kinds(modules) -> list[str]:
    return [type(m).__name__ for m in modules]


def test_sequential():
    s = nn.Sequential(nn.ReLU(), nn.Tanh(), nn.Sigmoid())
    assert kinds(s[1:]) == ["Tanh", "Sigmoid"] and list(s[1:]._modules) == ["1", "2"]
    assert type(s[-1]).__name__ == "Sigmoid"
    assert kinds(s + nn.Sequential(nn.GELU())) == ["ReLU", "Tanh", "Sigmoid", "GELU"]
    assert len(s * 2) == 6 and len(2 * s) == 6
    s.append(nn.ReLU()).insert(-1, nn.GELU())
    assert kinds(s) == ["ReLU", "Tanh", "Sigmoid", "GELU", "ReLU"]
    assert type(s.pop(0)).__name__ == "ReLU"
    del s[0]
    assert list(s._modules) == ["0", "1", "2"]
    with pytest.raises(IndexError, match="index 9 is out of range"):
        s[9]
    with pytest.raises(ValueError, match="Non-positive multiplication factor 0"):
        s * 0
    named = nn.Sequential(OrderedDict(one=nn.ReLU(), two=nn.Tanh()))
    assert type(named.two).__name__ == "Tanh"


def test_module_list():
    m = nn.ModuleList([nn.Linear(1, 1)] * 3 + [nn.Linear(1, 2)])
    assert repr(m) == (
        "ModuleList(\n"
        "  (0-2): 3 x Linear(in_features=1, out_features=1, bias=True)\n"
        "  (3): Linear(in_features=1, out_features=2, bias=True)\n)"
    )
    m.insert(1, nn.ReLU())
    m.extend([nn.Tanh()])
    m += [nn.GELU()]
    assert kinds(m) == ["Linear", "ReLU", "Linear", "Linear", "Linear", "Tanh", "GELU"]
    assert kinds(m + [nn.ReLU()])[-1] == "ReLU" and kinds(m[:2]) == ["Linear", "ReLU"]
    del m[-1], m[2:4]
    assert kinds(m) == ["Linear", "ReLU", "Linear", "Tanh"]
    with pytest.raises(TypeError, match="should be called with an iterable, but got int"):
        m.extend(3)
    with pytest.raises(NotImplementedError):
        m(1)


def test_module_dict():
    d = nn.ModuleDict({"z": nn.ReLU(), "a": nn.Tanh()})
    assert list(d) == ["z", "a"] and "z" in d and len(d) == 2
    d.update([("q", nn.GELU())])
    d["c"] = nn.Linear(1, 1)
    assert type(d.pop("z")).__name__ == "ReLU"
    assert list(d.keys()) == ["a", "q", "c"]
    with pytest.raises(KeyError, match="attribute 'keys' already exists"):
        d["keys"] = nn.ReLU()
    with pytest.raises(ValueError, match="element #0 has length 1; 2 is required"):
        d.update([("q",)])
    d.clear()
    assert len(d) == 0


def test_parameter_list():
    p = nn.ParameterList([fb.ones(1), nn.Parameter(fb.ones(2, 3)), 3])
    assert repr(p) == (
        "ParameterList(\n"
        "    (0): Parameter containing: [torch.float32 of size 1]\n"
        "    (1): Parameter containing: [torch.float32 of size 2x3]\n"
        "    (2): Object of type: int\n)"
    )
    assert isinstance(p[0], nn.Parameter) and p[2] == 3
    p.append(fb.zeros(2)).extend([fb.ones(1)])
    assert list(p.state_dict()) == ["0", "1", "3", "4"] and len(p[1:]) == 4
    with pytest.raises(RuntimeError, match="ParameterList should not be called"):
        p(1)


def test_parameter_dict():
    d = nn.ParameterDict({"b": fb.ones(1), "a": fb.ones(2), "c": 3})
    assert list(d) == ["a", "b", "c"]
    assert isinstance(d["a"], nn.Parameter) and d.get("x", 5) == 5
    assert d.popitem() == ("c", 3)
    d |= nn.ParameterDict({"r": fb.zeros(1)})
    assert list(d.keys()) == ["a", "b", "r"] and list(reversed(d)) == ["r", "b", "a"]
    assert next(iter(d.copy().items()))[0] == "a"
    d.setdefault("n", fb.ones(1))
    assert list(d.state_dict()) == ["a", "b", "r", "n"]
    with pytest.raises(TypeError, match="cannot be used as a key"):
        d[1] = fb.ones(1)
