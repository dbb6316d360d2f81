"""What script modules and functions tell about themselves, and methods that are added to them."""

from __future__ import annotations

import pytest

import flambeau as fb


class Model(fb.nn.Module):
    def __init__(self):
        super().__init__()
        self.l = fb.nn.Linear(2, 2)

    def forward(self, x):
        return self.l(x) + fb.tensor([1.5, 2.5])


def scaled(x: fb.Tensor, n: int = 2) -> fb.Tensor:
    return x * n


def traced():
    return fb.jit.trace(Model(), fb.ones(1, 2))


@pytest.mark.parametrize("make", [traced, lambda: fb.jit.script(Model())])
def test_define(make):
    module, x = make(), fb.ones(1, 2)
    assert module.original_name == "Model"
    module.define(
        "    def twice(self, x: Tensor, n: Optional[int] = None) -> Tensor:\n        return self(x) * 2\n"
    )
    assert fb.equal(module.twice(x), module(x) * 2)
    with pytest.raises(NotImplementedError, match="methods added by define are not written to files: twice"):
        module.save_to_buffer()
    with pytest.raises(RuntimeError, match="line 1\ndef bad"):
        module.define("def bad(self, x)\n    return x\n")
    with pytest.raises(RuntimeError, match="has to be one of functions"):
        module.define("import os\n")


def test_define_of_a_loaded_module(tmp_path):
    traced().save(str(tmp_path / "m.pt"))
    module = fb.jit.load(str(tmp_path / "m.pt"))
    module.define("def twice(self, x):\n    return torch.add(self.forward(x), self.forward(x))\n")
    assert fb.equal(module.twice(fb.ones(1, 2)), module(fb.ones(1, 2)) * 2)
    code, constants = module.code_with_constants
    assert "CONSTANTS" in code and constants.c0.tolist() == [1.5, 2.5]


def test_constants():
    code, constants = traced().code_with_constants
    assert code.startswith("def forward(self, x: Tensor)")
    assert [v.tolist() for v in constants.const_mapping.values()] == [[1.5, 2.5]]
    with pytest.raises(AttributeError, match="no constant 'c9'"):
        _ = constants.c9
    assert fb.jit.script(Model()).code_with_constants[1].const_mapping == {}


def test_graphs_that_ran():
    module, function = traced(), fb.jit.trace(lambda x: x - 1, fb.ones(2))
    text = module.graph_for(fb.ones(1, 2))
    assert "aten::linear" in text and text == fb.jit.last_executed_optimized_graph()
    assert "aten::sub" in function.graph_for(fb.ones(2))
    assert "aten::sub" in fb.jit.last_executed_optimized_graph()
    state = module.get_debug_state()
    assert state.graph == text and list(state.execution_plans) == [()]
    for scripted in (fb.jit.script(Model()), fb.jit.script(scaled)):
        with pytest.raises(NotImplementedError, match="has no graph"):
            scripted.graph_for(fb.ones(1, 2))
        with pytest.raises(NotImplementedError, match="has no graph"):
            scripted.get_debug_state()


def test_last_graph_is_of_the_thread():
    from threading import Thread

    traced()(fb.ones(1, 2))
    said = []

    def ask():
        try:
            fb.jit.last_executed_optimized_graph()
        except RuntimeError as error:
            said.append(str(error))

    thread = Thread(target=ask)
    thread.start()
    thread.join()
    assert said and said[0].startswith("no graph has been run by this thread")


def test_functions_have_names_and_schemas():
    scripted, recorded = fb.jit.script(scaled), fb.jit.trace(lambda x: x - 1, fb.ones(2))
    assert (scripted.name, scripted.qualified_name) == ("scaled", "__torch__.scaled")
    assert str(scripted.schema) == "scaled(Tensor x, int n=2) -> Tensor"
    assert recorded.name == "_lambda" and str(recorded.schema) == "_lambda(Tensor x) -> Tensor"
    unit = fb.jit.CompilationUnit("def f(a: int, b: List[Tensor]) -> Tensor:\n  return b[a]\n")
    assert str(unit.f.schema) == "f(int a, Tensor[] b) -> Tensor"


def test_saving_functions(tmp_path):
    function = fb.jit.script(scaled)
    function.save(filename=str(tmp_path / "f.pt"), _extra_files={"note": "n"})
    extra = {"note": ""}
    loaded = fb.jit.load(str(tmp_path / "f.pt"), _extra_files=extra)
    assert extra == {"note": b"n"} and fb.equal(loaded(fb.ones(2), 3), fb.full((2,), 3.0))
    assert function.save_to_buffer({"note": "n"})[:2] == b"PK"


def test_magic_methods():
    class Sized(fb.jit.ScriptModule):
        def __len__(self):
            return 3

        @fb.jit.script_method
        def forward(self, x):
            return x

    assert Sized().forward_magic_method("__len__") == 3 and Sized().original_name == "Sized"
    with pytest.raises(NotImplementedError):
        traced().forward_magic_method("__len__")
