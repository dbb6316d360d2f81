"""What `explain` tells of a call."""

import pytest

import flambeau as fb
from flambeau import _dynamo


def _printing(x):
    y = x.sin()
    print("a")
    return y + 1


def _branching(x):
    return x + 1 if x.sum() > 0 else x - 1


def test_a_whole_graph():
    told = _dynamo.explain(lambda x: x * 2 + 1)(fb.ones(2))
    assert (told.graph_count, told.graph_break_count, told.op_count) == (1, 0, 2)
    assert told.break_reasons == [] and len(told.graphs) == 1
    # the lines of PyTorch 2.13, up to the guards
    assert str(told).split("Out Guards")[0] == (
        "Graph Count: 1\nGraph Break Count: 0\nOp Count: 2\nBreak Reasons:\nOps per Graph:\n  Ops 1:\n"
        "    <built-in function mul>\n    <built-in function add>\n"
    )
    assert _dynamo.explain(fb.nn.Linear(2, 2))(fb.ones(1, 2)).op_count == 1


@pytest.mark.parametrize(
    ("function", "reason"),
    [(_printing, "Failed to trace builtin operator"), (_branching, "Data-dependent branching")],
)
def test_why_not(function, reason):
    told = _dynamo.explain(function)(fb.ones(2))
    assert told.graph_count == 0 and told.graph_break_count == 1
    assert told.break_reasons[0].reason.startswith(reason)
    assert told.break_reasons[0].user_stack[0].name == function.__name__


def test_older_form_and_refusal():
    with pytest.warns(FutureWarning, match="is deprecated, use explain"):
        assert _dynamo.explain(fb.neg, fb.ones(2)).op_count == 1
    with pytest.raises(AssertionError, match="expected, but <class 'int'> is provided"):
        _dynamo.explain(3)
