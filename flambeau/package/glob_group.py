"""Patterns for the names of modules and files."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypeAlias

GlobPattern: TypeAlias = "str | Iterable[str]"


class GlobGroup:
    """The names that one of some patterns matches and none of others.

    Parameters
    ----------
    include, exclude : a pattern or several. ``*`` stands for any part of one segment of a name, ``**`` as a
        whole segment for any number of segments, also none.
    separator : what stands between the segments.
    """

    def __init__(self, include: GlobPattern, *, exclude: GlobPattern = (), separator: str = ".") -> None:
        self._text = f"GlobGroup(include={include}, exclude={exclude})"
        self.include = self._glob_list(include, separator)
        self.exclude = self._glob_list(exclude, separator)
        self.separator = separator

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return self._text

    def matches(self, candidate: str) -> bool:
        """Whether a name is one of the group."""
        candidate = self.separator + candidate
        return any(p.fullmatch(candidate) for p in self.include) and not any(
            p.fullmatch(candidate) for p in self.exclude
        )

    @staticmethod
    def _glob_list(elems: GlobPattern, separator: str = ".") -> list[re.Pattern]:
        return [GlobGroup._glob_to_re(e, separator) for e in ([elems] if isinstance(elems, str) else elems)]

    @staticmethod
    def _glob_to_re(pattern: str, separator: str = ".") -> re.Pattern:
        # every segment of a candidate has a separator before it, so that "**" can be none at all
        between, within = re.escape(separator), f"[^{re.escape(separator)}]*"

        def segment(text: str) -> str:
            if text == "**":
                return f"({between}[^{re.escape(separator)}]+)*"
            if "**" in text:
                raise ValueError("** can only appear as an entire path segment")
            return between + within.join(map(re.escape, text.split("*")))

        return re.compile("".join(map(segment, pattern.split(separator))))
