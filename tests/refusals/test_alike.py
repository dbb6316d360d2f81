"""Pieces of programs whose results, errors, warnings and output are known from PyTorch 2.13.

Each JSON file beside this one holds groups of cases with a common preamble. A case says what its last
expression gives (`result`, its `repr`), the class and first line of its `error`, what it `printed`, and the
category and first line of its `warnings`. They were found by sweeps over wrong and unusual uses.
"""

import ast
import contextlib
import io
import json
import re
import warnings
from pathlib import Path

import pytest

import flambeau as fb

GROUPS = [
    (path.stem, group)
    for path in sorted(Path(__file__).parent.glob("*.json"))
    for group in json.loads(path.read_text())
]
CASES = [(area, "\n".join(group["preamble"]), case) for area, group in GROUPS for case in group["cases"]]


# What Python 3.14 says otherwise than those before it.
REWORDED = [
    (r"(too many values to unpack \(expected \d+), got \d+\)", r"\1)"),
    (r"cannot use '\w+' as a (?:set element|dict key) \((unhashable type: '\w+')\)", r"\1"),
    (r"integer (?:division or )?modulo by zero", "division by zero"),
]


def said(text):
    """A text without addresses, under PyTorch's name."""
    return re.sub(r"0x[0-9a-f]{6,}", "0xADDR", str(text)).replace("flambeau", "torch")


def line(text):
    return said(text).split("\n")[0]


def of_any_version(error):
    kind, text = error
    for pattern, plain in REWORDED:
        text = re.sub(pattern, plain, text)
    return [kind, text]


def outcome(preamble, code):
    space = {"__name__": "__main__"}
    found, printed = {}, io.StringIO()
    with warnings.catch_warnings(record=True) as caught, contextlib.redirect_stdout(printed):
        warnings.simplefilter("always")
        warnings.simplefilter("ignore", ResourceWarning)
        # Python 3.12 and later say so of fork.
        warnings.filterwarnings("ignore", "This process .* is multi-threaded")
        try:
            exec(preamble, space)
            body = ast.parse(code).body
            last = body.pop() if isinstance(body[-1], ast.Expr) else None
            exec(compile(ast.Module(body, []), "<case>", "exec"), space)
            if last is not None:
                value = eval(compile(ast.Expression(last.value), "<case>", "eval"), space)
                found["result"] = said(value if isinstance(value, str) else repr(value))
        except BaseException as error:
            found = {"error": of_any_version([type(error).__name__, line(error)])}
    if printed.getvalue():
        found["printed"] = said(printed.getvalue())
    if caught:
        found["warnings"] = sorted({(w.category.__name__, line(w.message).strip()) for w in caught})
        found["warnings"] = [list(w) for w in found["warnings"]]
    return found


@pytest.fixture(autouse=True, scope="module")
def _under_its_name():
    with fb.install_as_torch():  # once: it costs more than most cases
        yield


@pytest.fixture(autouse=True)
def _as_at_the_start(monkeypatch):
    always = fb.is_warn_always_enabled()
    fb.set_warn_always(True)
    fb.manual_seed(0)
    yield
    fb.set_warn_always(always)
    fb.set_default_dtype(fb.float32)
    fb.set_grad_enabled(True)
    fb.set_printoptions(profile="default")


@pytest.mark.parametrize(
    ("area", "preamble", "case"), CASES, ids=[f"{a}: {c['code'][:60]!r}" for a, _, c in CASES]
)
def test_alike(area, preamble, case):
    expected = {k: v for k, v in case.items() if k != "code"}
    if "error" in expected:
        expected["error"] = of_any_version(expected["error"])
    assert outcome(preamble, case["code"]) == expected
