"""Nothing stays allocated after an operator, its backward and its graph are gone."""

from __future__ import annotations

import contextlib
import gc
import os
from collections.abc import Callable
from typing import Any

import pytest

import flambeau as fb
from flambeau import _C

from .calls import CALLS
from .samples import Operator, default, operators, samples

DIFFERENTIABLE = list(operators())
ROWS = [Operator(*row) for row in _C._operators()]
# Operators without a Python form are the derivatives of others: the first test runs them.
OTHERS = sorted({row.name for row in ROWS if row.variants} - {op.name for op in DIFFERENTIABLE})
TABLE = {row.name: row for row in ROWS}
WRITING = [name for name, row in TABLE.items() if set(row.variants) & set("io")]
REPEATS = int(os.environ.get("FLAMBEAU_LEAK_REPEATS", "200"))  # a nightly run asks for 10000

pytestmark = pytest.mark.filterwarnings("ignore")


def _live() -> int:
    return _C._memory_stats()["live_blocks"]


def _nothing_stays(call: Callable[[], Any]) -> None:
    for _ in range(3):  # pools, caches and constants fill up
        call()
    gc.collect(0)
    before = _live()
    for _ in range(REPEATS):
        call()
    if _live() > before:
        gc.collect()
    assert _live() - before < REPEATS // 10, f"{_live() - before} blocks more after {REPEATS} calls"


def _forward_and_backward(sample, op: Operator) -> None:
    result = sample.run(op, tuple(sample.inputs))
    outputs = result if isinstance(result, (tuple, list)) else (result,)
    outputs = [t for t in outputs if isinstance(t, fb.Tensor) and t.requires_grad]
    fb.autograd.grad(outputs, sample.inputs, [fb.ones_like(t) for t in outputs], allow_unused=True)


@pytest.mark.parametrize("op", DIFFERENTIABLE, ids=lambda op: op.name)
def test_no_block_stays(op: Operator):
    for sample in samples(op):
        _nothing_stays(lambda sample=sample: _forward_and_backward(sample, op))


@pytest.mark.parametrize("name", OTHERS)
def test_no_block_stays_of_what_has_no_derivative(name: str):
    if name in CALLS:
        _nothing_stays(CALLS[name])
    else:
        sample = default(TABLE[name])
        _nothing_stays(lambda: sample.run(TABLE[name], tuple(sample.inputs)))


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return value.detach().clone() if isinstance(value, fb.Tensor) else value


def _forms(op: Operator) -> list[Callable[[], Any]]:
    """The in-place and the out= form of an operator, where its sample calls it by its own name."""
    sample = samples(op)[0]
    args, kwargs = _plain(list(sample.args)), {key: _plain(value) for key, value in sample.kwargs.items()}
    found = []
    if "i" in op.variants:
        space, _, rest = op.name.rpartition("::")
        name = rest.partition(".")[0] + "_"
        functions = getattr(_C, "_" + (space or "VariableFunctions"))
        method = getattr(functions if hasattr(functions, name) else fb.Tensor, name)
        found.append(lambda: method(args[0].clone(), *args[1:], **kwargs))
    if "o" in op.variants and "f" in op.variants:
        found.append(lambda: op.function(*args, **kwargs, out=_plain(op.function(*args, **kwargs))))
    return found


@pytest.mark.parametrize("name", WRITING)
def test_no_block_stays_of_forms_that_write(name: str):
    try:
        forms = _forms(TABLE[name])
    except LookupError:
        pytest.skip("the schema does not say what to call it with")
    for form in forms:

        def call(form: Callable[[], Any] = form) -> None:
            with contextlib.suppress(RuntimeError, TypeError):  # what a form refuses must not stay either
                form()

        _nothing_stays(call)


@pytest.mark.parametrize("name", [name for name, row in TABLE.items() if "f" in row.variants])
def test_no_block_stays_of_a_call_that_is_refused(name: str):
    function, tensor = TABLE[name].function, fb.ones(2, 3)

    def call() -> None:
        with pytest.raises(TypeError):
            function(tensor, [tensor, tensor], no_such_argument=tensor)

    _nothing_stays(call)
