"""The names of modules out of packages: each package has a prefix of its own, so that they never meet."""

from __future__ import annotations

import itertools
import re

_numbers = itertools.count()
_PREFIX = re.compile(r"<torch_package_\d+>")


class PackageMangler:
    """The prefix of one package that was opened."""

    def __init__(self) -> None:
        self._prefix = f"<torch_package_{next(_numbers)}>"

    def mangle(self, name: str) -> str:
        """The name with the prefix."""
        if not name:
            raise AssertionError("name must not be empty")
        return f"{self._prefix}.{name}"

    def demangle(self, mangled: str) -> str:
        """The name without the prefix, where it is this package's."""
        return mangled.removeprefix(self._prefix + ".")

    def parent_name(self) -> str:
        """The prefix itself."""
        return self._prefix


def is_mangled(name: str) -> bool:
    """Whether a name has the prefix of a package."""
    return _PREFIX.match(name) is not None


def demangle(name: str) -> str:
    """The name without the prefix of any package."""
    return name.partition(".")[2] if is_mangled(name) else name


def get_mangle_prefix(name: str) -> str:
    """The prefix of a name; the name itself where it has none."""
    return name.partition(".")[0] if is_mangled(name) else name
