"""What stands for tensors while `make_fx` writes a graph."""

import pytest

import flambeau as fb
from flambeau.fx.experimental import proxy_tensor as pt


def test_slots():
    seen, other = [], fb.ones(1)

    def f(x):
        mode = pt.get_proxy_mode()
        y = x + 1
        seen.append(pt.get_proxy_slot(y, mode).proxy.node.name)
        seen.append(pt.get_proxy_slot(y, mode, transform=lambda p: p.proxy.node.op))
        seen.append(pt.has_proxy_slot(x, mode) and not pt.has_proxy_slot(other, mode))
        seen.append(pt.get_proxy_slot(other, mode, None))
        seen.append(pt.fetch_object_proxy(mode, 3))
        with pytest.raises(RuntimeError, match="is not tracked with proxy"):
            pt.get_proxy_slot(other, mode)
        assert pt.fetch_sym_proxy(mode)(4) == 4
        return y

    pt.make_fx(f)(fb.ones(2))
    assert seen == ["add", "call_function", True, None, 3]


def test_results_of_ones_own():
    def f(x):
        mode = pt.get_proxy_mode()
        with pt.disable_proxy_modes_tracing():
            a, b = x * 2, x * 3
        stand_in = pt.get_proxy_slot(x, mode).proxy
        proxy = fb.fx.Proxy(mode.graph.call_function(fb.unbind, (stand_in.node,)))
        pt.track_tensor_tree([a, {"b": b}], proxy, constant=None, tracer=mode)
        return a + b

    targets = [n.target for n in pt.make_fx(f)(fb.ones(2)).graph.nodes if n.op == "call_function"]
    assert targets[0] is fb.unbind and targets[-1] is fb.ops.aten.add.Tensor


def test_decompositions():
    with pt.decompose({fb.ops.aten.relu.default: lambda x: x.clamp_min(0)}):
        made = pt.make_fx(fb.relu)(fb.ones(2))
    assert [n.name for n in made.graph.nodes if n.op == "call_function"] == ["clamp_min"]
