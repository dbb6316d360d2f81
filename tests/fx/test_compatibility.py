"""How the names of fx are marked, and what packages take of the private ones."""

import flambeau as torch
from flambeau import fx, nn
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


def test_tracers_of_packages_patch_with_the_parts_of_ours():
    """Packages write a `trace` of their own with the private parts of PyTorch's."""
    from flambeau.fx import _symbolic_trace as st

    class Tracer(fx.Tracer):
        def trace(self, root, concrete_args=None):
            self.root = root
            self.submodule_paths = {m: n for n, m in root.named_modules()}
            self.graph = fx.Graph(tracer_cls=type(self))
            self.tensor_attrs = {}
            fn, args = self.create_args_for_root(type(root).forward, True, concrete_args)
            cache = {}

            def getattr_(mod, attr):
                return self.getattr(attr, st._orig_module_getattr(mod, attr), cache)

            def call(mod, *args, **kwargs):
                def forward(*args, **kwargs):
                    return st._orig_module_call(mod, *args, **kwargs)

                st._autowrap_check(patcher, mod.forward.__globals__, self._autowrap_function_ids)
                return self.call_module(mod, forward, args, kwargs)

            with st._Patcher() as patcher:
                patcher.patch_method(nn.Module, "__getattr__", getattr_, deduplicate=False)
                patcher.patch_method(nn.Module, "__call__", call, deduplicate=False)
                st._patch_wrapped_functions(patcher)
                for module in self._autowrap_search:
                    st._autowrap_check(patcher, module.__dict__, self._autowrap_function_ids)
                self.create_node("output", "output", (self.create_arg(fn(*args)),), {})
            return self.graph

    before = nn.Module.__call__, nn.Module.__getattr__
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    graph = Tracer().trace(model)
    assert (nn.Module.__call__, nn.Module.__getattr__) == before
    x = torch.ones(1, 2)
    assert torch.equal(fx.GraphModule(model, graph)(x), model(x))


def test_a_patch_is_not_patched_again():
    from flambeau.fx._symbolic_trace import _Patcher

    space = {"f": len}
    with _Patcher() as outer:
        outer.patch(space, "f", first := lambda x: 1)
        with _Patcher() as inner:
            inner.patch(space, "f", lambda x: 2)
            inner.patch(space, "g", lambda x: 3)
            assert space["f"] is first and "g" in space
        assert "g" not in space
    assert space == {"f": len}
