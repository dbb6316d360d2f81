"""How the names of fx are marked."""

import flambeau as torch
from flambeau.fx import _compatibility, _symbolic_trace


def test_marks_say_what_may_change():
    def f():
        """What f does."""

    assert _symbolic_trace.compatibility is _compatibility.compatibility
    assert _compatibility.compatibility(is_backward_compatible=True)(f) is f
    assert f.__doc__ == (
        "What f does.\n\n.. note::\n    Backwards-compatibility for this API is guaranteed.\n"
    )
    assert f in _compatibility._BACK_COMPAT_OBJECTS

    @_compatibility.compatibility(is_backward_compatible=False)
    class Made:
        pass

    assert Made.__doc__.endswith("    This API is experimental and is *NOT* backward-compatible.\n")
    assert Made not in _compatibility._BACK_COMPAT_OBJECTS


def test_objects_of_other_libraries():
    assert _symbolic_trace.ScriptObject is torch.ScriptObject
    assert not isinstance(torch.ones(1), torch.ScriptObject)


def test_einsum_of_stand_ins_has_its_operands_one_by_one():
    class Net(torch.nn.Module):
        def forward(self, x, y):
            return torch.einsum("ij,jk->ik", [x, y])

    traced = torch.fx.symbolic_trace(Net())
    (node,) = (n for n in traced.graph.nodes if n.op == "call_function")
    assert node.target is torch.functional.einsum and len(node.args) == 3
    x, y = torch.randn(2, 3), torch.randn(3, 2)
    torch.testing.assert_close(traced(x, y), x @ y)
