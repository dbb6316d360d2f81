"""The version as a string that compares with versions: numbers, not letters."""

from __future__ import annotations

import re
from typing import Any

from flambeau.version import __version__ as internal_version

__all__ = ["TorchVersion"]

_VERSION = (  # not compiled here: few programs compare versions
    r"v?(?P<release>\d+(\.\d+)*)(\.?(?P<phase>a|b|rc|dev|post)(?P<number>\d*))?(\+(?P<local>[\w.]+))?$"
)
_PHASES = {"dev": -4, "a": -3, "b": -2, "rc": -1, None: 0, "post": 1}


def _key(version: Any) -> tuple | None:
    """What orders versions (PEP 440): numbers, phase, local part; None for what is no version."""
    if isinstance(version, (tuple, list)):
        version = ".".join(map(str, version))
    if not isinstance(version, str):
        raise ValueError(f"Unable to convert {version} to TorchVersion.")
    found = re.match(_VERSION, version)
    if found is None:
        return None
    release = [int(n) for n in found["release"].split(".")]
    while len(release) > 1 and not release[-1]:
        release.pop()
    return tuple(release), _PHASES[found["phase"]], int(found["number"] or 0), found["local"] or ""


class TorchVersion(str):
    """A version that compares with strings and with tuples of numbers: ``torch.__version__ >= (2, 1)``.

    Raises
    ------
    ValueError : when it is compared with something else.
    """

    __slots__ = ()
    __hash__ = str.__hash__

    def _compare(self, other: Any, method: str) -> bool:
        mine, theirs = _key(str(self)), _key(other)
        if mine is None or theirs is None:
            return getattr(str, method)(self, other)
        return getattr(mine, method)(theirs)

    def __lt__(self, other: Any) -> bool:
        return self._compare(other, "__lt__")

    def __le__(self, other: Any) -> bool:
        return self._compare(other, "__le__")

    def __gt__(self, other: Any) -> bool:
        return self._compare(other, "__gt__")

    def __ge__(self, other: Any) -> bool:
        return self._compare(other, "__ge__")

    def __eq__(self, other: Any) -> bool:
        return self._compare(other, "__eq__")

    def __ne__(self, other: Any) -> bool:
        return not self._compare(other, "__eq__")


__version__ = TorchVersion(internal_version)
