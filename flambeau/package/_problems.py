"""What can be wrong with a package that is written, and how that is said."""

from __future__ import annotations

from enum import Enum

from ._digraph import DiGraph

__all__ = ["PackagingErrorReason", "EmptyMatchError", "PackagingError", "DISALLOWED"]

# of the standard library, and yet taken along only where the user says so
DISALLOWED = ("sys", "io")


class PackagingErrorReason(Enum):
    """Why a module cannot be packaged."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__}.{self.name}>"

    IS_EXTENSION_MODULE = "Module is a C extension module. torch.package supports Python modules only."
    NO_DUNDER_FILE = "Module had no __file__ defined."
    SOURCE_FILE_NOT_FOUND = "Module had a __file__, but we could not find it in your filesystem."
    DEPENDENCY_RESOLUTION_FAILED = "Dependency resolution failed."
    NO_ACTION = "Module did not match against any action pattern. Extern, mock, or intern it."
    DENIED = "Module was denied by a pattern."
    MOCKED_BUT_STILL_USED = (
        "Module was mocked out, but is still being used in the package. Please intern or extern the mocked "
        "modules if objects are supposed to be in the package."
    )


class EmptyMatchError(Exception):
    """No module matched a pattern that was to match one."""


class PackagingError(Exception):
    """The package cannot be written; the message has every reason, with the modules that it is about.

    Parameters
    ----------
    dependency_graph : the modules; those that are at fault carry an ``error`` of `PackagingErrorReason`.
    debug : also say by which way each of them is needed.
    """

    def __init__(self, dependency_graph: DiGraph, debug: bool = False) -> None:
        self.dependency_graph = dependency_graph
        broken: dict[PackagingErrorReason, list[str]] = {}
        for name, facts in dependency_graph.nodes.items():
            if (reason := facts.get("error")) is not None:
                broken.setdefault(reason, []).append(name)
        lines = [""]
        for reason, modules in broken.items():
            lines.append(f"* {reason.value}")
            for name in modules:
                lines += self._about(name, debug)
        if not debug:
            lines += [
                "",
                "Set debug=True when invoking PackageExporter for a visualization of where broken modules "
                "are coming from!",
            ]
        super().__init__("\n".join(lines) + "\n")

    def _about(self, name: str, debug: bool) -> list[str]:
        lines = [f"    {name}"]
        if (context := self.dependency_graph.nodes[name].get("error_context")) is not None:
            lines.append(f"      Context: {context}")
        if name in DISALLOWED:
            lines.append(
                "      Note: While we usually use modules in the python standard library from the local "
                f"environment, `{name}` has a lot of system level access and therefore can pose a security "
                f"risk. We heavily recommend removing `{name}` from your packaged code. However, if that is "
                "not possible, add it to the extern list by calling PackageExporter.extern"
                f'("`{name}`")'
            )
        if debug:
            path = " -> ".join(self.dependency_graph.first_path(name))
            lines.append(f"      A path to {name}: {path}")
        return lines
