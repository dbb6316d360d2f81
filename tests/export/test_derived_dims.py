"""Sizes that follow others, exports that take things for granted, small names."""

from __future__ import annotations

import io

import pytest

import flambeau as fb
from flambeau._dynamo.exc import UserError
from flambeau.export import Dim, draft_export, export

B = Dim("b", min=2, max=16)


class Doubled(fb.nn.Module):
    def forward(self, x, y):
        return fb.cat([x, x], 0) + y


class Shorter(fb.nn.Module):
    def forward(self, x, y):
        return x[1:] + y


class Pairs(fb.nn.Module):
    def forward(self, x):
        return x.reshape(-1, 2).sum(1)


def test_a_multiple():
    program = export(Doubled(), (fb.ones(3, 2), fb.ones(6, 2)), dynamic_shapes={"x": {0: B}, "y": {0: 2 * B}})
    assert str(program.range_constraints) == "{s0: VR[2, 16], 2*s0: VR[4, 32]}"
    shapes = [str(node.meta["val"].shape) for node in program.graph.nodes if "val" in node.meta]
    assert shapes == ["(s0, 2)", "(2*s0, 2)", "(2*s0, 2)", "(2*s0, 2)"]
    module = program.module()
    assert module(fb.ones(4, 2), fb.ones(8, 2)).shape == (8, 2)
    with pytest.raises(AssertionError, match=r"Guard failed: 2 \* x.size\(\)\[0\] == y.size\(\)\[0\]"):
        module(fb.ones(4, 2), fb.ones(7, 2))
    with pytest.raises(AssertionError, match=r"Guard failed: x.size\(\)\[0\] <= 16"):
        module(fb.ones(17, 2), fb.ones(34, 2))


def test_a_number_less():
    program = export(Shorter(), (fb.ones(4, 2), fb.ones(3, 2)), dynamic_shapes={"x": {0: B}, "y": {0: B - 1}})
    assert str(program.range_constraints) == "{s0: VR[2, 16], s0 - 1: VR[1, 15]}"
    assert program.module()(fb.ones(7, 2), fb.ones(6, 2)).shape == (6, 2)
    with pytest.raises(AssertionError, match=r"Guard failed: x.size\(\)\[0\] - 1 == y.size\(\)\[0\]"):
        program.module()(fb.ones(7, 2), fb.ones(7, 2))


def test_a_multiple_of_what_no_input_has():
    program = export(Pairs(), (fb.ones(8),), dynamic_shapes={"x": {0: 2 * B}})
    assert str(program.range_constraints) == "{s0: VR[2, 16], 2*s0: VR[4, 32]}"
    module = program.module()
    assert module(fb.ones(12)).shape == (6,)
    with pytest.raises(AssertionError, match=r"Guard failed: x.size\(\)\[0\] is not of the form 2\*s0"):
        module(fb.ones(7))


def test_files_keep_them():
    program = export(Doubled(), (fb.ones(3, 2), fb.ones(6, 2)), dynamic_shapes={"x": {0: B}, "y": {0: 2 * B}})
    buffer = io.BytesIO()
    fb.export.save(program, buffer)
    buffer.seek(0)
    module = fb.export.load(buffer).module()
    assert module(fb.ones(5, 2), fb.ones(10, 2)).shape == (10, 2)
    with pytest.raises(AssertionError, match="Guard failed: 2 "):
        module(fb.ones(4, 2), fb.ones(7, 2))
    lower = program.run_decompositions()
    assert lower.module()(fb.ones(4, 2), fb.ones(8, 2)).shape == (8, 2)


def test_examples_have_to_fit():
    with pytest.raises(UserError, match=r"Expected the size 5 to be of the form 2\*b, where b is an integer"):
        export(Doubled(), (fb.ones(3, 2), fb.ones(5, 2)), dynamic_shapes={"x": {0: B}, "y": {0: 2 * B}})
    with pytest.raises(UserError, match=r"Expected the size 8 to be equal to 2\*b, where b is 3"):
        export(Doubled(), (fb.ones(3, 2), fb.ones(8, 2)), dynamic_shapes={"x": {0: B}, "y": {0: 2 * B}})
    with pytest.raises(UserError, match=r"L\['y'\].size\(\)\[0\] = 3 is not equal to L\['x'\].size\(\)"):
        export(Shorter(), (fb.ones(4, 2), fb.ones(3, 2)), dynamic_shapes={"x": {0: B}, "y": {0: B}})


def test_derived_dims_tell_their_range():
    assert (2 * B + 1).__name__ == "2*b + 1" and ((2 * B).min, (2 * B).max) == (4, 32) and (B - 1).min == 1
    assert isinstance(B, fb.export.Constraint) and isinstance(2 * B, fb.export.Constraint)


class Branching(fb.nn.Module):
    def forward(self, x):
        return x + 1 if x.sum().item() > 3 else x - 1


def test_draft_of_a_sound_program():
    program = draft_export(Doubled(), (fb.ones(3, 2), fb.ones(6, 2)))
    assert program._report.successful() and "Congratulations: No issues are found" in str(program._report)


def test_draft_of_what_reads_values():
    with pytest.raises(UserError, match="reads the value of a tensor"):
        export(Branching(), (fb.ones(4),))
    program = draft_export(Branching(), (fb.ones(4),))
    (failure,) = program._report.failures
    assert str(failure.failure_type) == "DATA_DEPENDENT_ERROR" and not program._report.successful()
    assert "1 issue(s) found during export" in str(program._report) and "torch.where" in str(program._report)
    assert program.module()(fb.zeros(4)).tolist() == [1, 1, 1, 1]


def test_draft_of_what_is_less_dynamic():
    shapes = {"x": {0: B}, "y": {0: B}}
    program = draft_export(Shorter(), (fb.ones(4, 2), fb.ones(3, 2)), dynamic_shapes=shapes)
    (failure,) = program._report.failures
    assert str(failure.failure_type) == "GUARD_ADDED"
    assert "'y': {0: DimHint(AUTO, min=2, max=16)}" in str(program._report)
    assert program.module()(fb.ones(4, 2), fb.ones(3, 2)).shape == (3, 2)


def test_backward_signature():
    signature = fb.export.ExportBackwardSignature({"g": "p"}, {"h": "x"}, "loss")
    assert repr(signature) == (
        "ExportBackwardSignature(gradients_to_parameters={'g': 'p'}, gradients_to_user_inputs={'h': 'x'}, "
        "loss_output='loss')"
    )


class Scaled(fb.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 3


def test_custom_ops():
    ops = fb.export.custom_ops

    class Holder(fb.Tensor):
        pass

    holder = fb.ones(2).as_subclass(Holder)
    holder.inner = fb.zeros(1)
    assert ops._access_subclass_inner_tensor(holder, "inner") is holder.inner
    with pytest.raises(RuntimeError, match="Attribute none is not a tensor or doesn't exist"):
        ops._access_subclass_inner_tensor(holder, "none")
    name = f"{Scaled.__module__}.Scaled"
    assert ops._call_custom_autograd_function_in_pre_dispatch(name, fb.ones(1)).tolist() == [3]
