"""Summaries as records, for writers of other packages: what ``FileWriter.add_summary`` takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import _summaries

__all__ = ["hparams", "scalar", "text"]


def hparams(
    hparam_dict: Mapping[str, Any] | None = None,
    metric_dict: Mapping[str, Any] | None = None,
    hparam_domain_discrete: Mapping[str, Sequence[Any]] | None = None,
) -> tuple[bytes, bytes, bytes]:
    """Three summaries of a run's settings: which there are, those chosen, the end of the run."""
    for name, given in (("hparam_dict", hparam_dict), ("metric_dict", metric_dict)):
        if given is not None and not isinstance(given, Mapping):
            raise TypeError(f"parameter: {name} should be a dictionary, nothing logged.")
    experiment, start, end = _summaries.hparams(hparam_dict or {}, metric_dict or {}, hparam_domain_discrete)
    return experiment, start, end


def scalar(
    name: str, tensor: Any, collections: Any = None, new_style: bool = False, double_precision: bool = False
) -> bytes:
    """A summary of one number."""
    return _summaries.scalar(name, tensor, new_style, double_precision)


def text(tag: str, text: str) -> bytes:
    """A summary of a text."""
    return _summaries.text(tag, text)
