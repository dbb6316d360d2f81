"""Exporting what `export` refuses, with a report of what the program then takes for granted."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import Any

import flambeau as fb
from flambeau._dynamo.exc import UserError, UserErrorType
from flambeau.utils import _pytree as pytree

from ._trace import exported
from .dynamic_shapes import Dim, _Derived, _DimHint
from .exported_program import ExportedProgram

__all__ = ["DraftExportReport", "FailureReport", "FailureType", "draft_export"]

_COLOURS = {"good": "\033[92m", "bad": "\033[93m", "end": "\033[0m"}


class FailureType(IntEnum):
    """What kind of assumption it is."""

    MISSING_FAKE_KERNEL = 1
    DATA_DEPENDENT_ERROR = 2
    GUARD_ADDED = 3
    MISMATCHED_FAKE_KERNEL = 4

    def __str__(self) -> str:
        return self.name


class FailureReport:
    """One assumption.

    Parameters
    ----------
    failure_type : its kind.
    data : what is known of it, by name.
    """

    def __init__(self, failure_type: FailureType, data: dict[str, Any], xfail: bool = False) -> None:
        self.failure_type, self.data, self.xfail = failure_type, data, xfail

    def __repr__(self) -> str:
        return f"FailureReport(failure_type={self.failure_type}, xfail={self.xfail}, data={self.data})"

    def print(self, str_to_filename: Mapping[int, str] | None = None) -> str:
        """What a user should know of it."""
        if self.failure_type is FailureType.DATA_DEPENDENT_ERROR:
            return (
                "Data dependent error.\n"
                f"    The program reads the value of a tensor in Python: {self.data['reason']}\n"
                "    What followed from it on the examples was recorded, and nothing checks it for "
                "other\n    inputs. Write it with torch.where.\n"
            )
        return (
            "Guard Added.\n"
            f"    The dynamic dimensions are not as free as was said: {self.data['reason']}\n"
            "    Because of this, we have modified the dynamic shapes structure to be the\n    following.\n"
            f"    ```\n    dynamic_shapes = {self.data['new_dynamic_shapes']}\n    ```\n"
        )


class DraftExportReport:
    """What `draft_export` had to assume; prints as a text.

    Parameters
    ----------
    failures : the assumptions.
    """

    def __init__(self, failures: list[FailureReport]) -> None:
        self.failures = failures

    def successful(self) -> bool:
        """Whether there was nothing to assume."""
        return all(failure.xfail for failure in self.failures)

    def __repr__(self) -> str:
        return f"DraftExportReport({self.failures})"

    def __str__(self) -> str:
        if self.successful():
            return (
                f"{_COLOURS['good']}\n{'#' * 94}\nCongratulations: No issues are found during export, and it "
                "was able to soundly produce a graph.\nYou can now change back to torch.export.export()\n"
                f"{'#' * 94}\n{_COLOURS['end']}"
            )
        parts = [
            f"{_COLOURS['bad']}\n{'#' * 99}\nWARNING: {len(self.failures)} issue(s) found during export, and "
            "it was not able to soundly produce a graph.\nPlease follow the instructions to fix the errors.\n"
            f"{'#' * 99}\n\n"
        ]
        parts += [f"{n}. {failure.print()}\n" for n, failure in enumerate(self.failures, 1)]
        return "".join([*parts, _COLOURS["end"]])


def draft_export(
    mod: fb.nn.Module,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any] | None = None,
    *,
    dynamic_shapes: Any = None,
    preserve_module_call_signature: tuple[str, ...] = (),
    strict: bool = False,
    prefer_deferred_runtime_asserts_over_guards: bool = False,
) -> ExportedProgram:
    """`export`, also where it is not sure that the program is right for other inputs.

    The program has a `_report`, which prints what it takes for granted: values of tensors that Python read,
    and dimensions that had to be less free than `dynamic_shapes` says.

    Parameters
    ----------
    mod, args, kwargs, dynamic_shapes, preserve_module_call_signature, strict : as of `export`.
    """
    failures: list[FailureReport] = []
    assumed: list[str] = []
    while True:
        try:
            program = exported(mod, args, kwargs, dynamic_shapes, preserve_module_call_signature, assumed)
        except UserError as problem:
            if problem.error_type is not UserErrorType.CONSTRAINT_VIOLATION or failures:
                raise
            dynamic_shapes = pytree.tree_map(_relaxed, dynamic_shapes, is_leaf=_says_something)
            facts = {"reason": str(problem), "new_dynamic_shapes": dynamic_shapes}
            failures.append(FailureReport(FailureType.GUARD_ADDED, facts))
            continue
        failures += [FailureReport(FailureType.DATA_DEPENDENT_ERROR, {"reason": text}) for text in assumed]
        program._report = DraftExportReport(failures)
        return program


def _says_something(value: Any) -> bool:
    return value is None or isinstance(value, (Dim, _Derived, _DimHint))


def _relaxed(size: Any) -> Any:
    """What was said of a dimension, as a wish."""
    if isinstance(size, (Dim, _Derived)):
        return Dim.AUTO(min=size.min or None, max=None if size.max == float("inf") else size.max)
    return Dim.AUTO if isinstance(size, _DimHint) and size.kind == "DYNAMIC" else size
