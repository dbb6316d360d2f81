"""Modules that carry the examples of their arguments."""

from __future__ import annotations

import pytest

import flambeau as fb

pytest.importorskip("onnx.helper", reason="the package onnx is not installed")


class Doubled(fb.onnx.ExportableModule):
    def __init__(self):
        super().__init__()
        self.scale = fb.nn.Parameter(fb.full((3,), 2.0))

    def forward(self, x, *, more):
        return x * self.scale + more

    def example_arguments(self):
        return (fb.ones(2, 3),), {"more": fb.ones(3)}

    def dynamic_shapes(self):
        return {"x": {0: "batch"}, "more": None}

    def input_names(self):
        return ["image", "bias"]

    def output_names(self):
        return ["answer"]


@pytest.mark.parametrize("export", [lambda m: m.to_onnx(), lambda m: fb.onnx.export(m)])
def test_export(export):
    graph = export(Doubled()).model_proto.graph
    assert [i.name for i in graph.input] == ["image", "bias"] and [o.name for o in graph.output] == ["answer"]
    first = graph.input[0].type.tensor_type.shape.dim
    assert first[0].dim_param and first[1].dim_value == 3


def test_given_options_go_before():
    graph = Doubled().to_onnx(output_names=["other"]).model_proto.graph
    assert graph.output[0].name == "other"


def test_examples_are_needed():
    class Bare(fb.onnx.ExportableModule):
        def forward(self, x):
            return x

    with pytest.raises(TypeError, match=r"abstract method '?example_arguments"):
        Bare()
