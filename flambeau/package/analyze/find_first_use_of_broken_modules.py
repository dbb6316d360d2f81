"""Where the modules come in that cannot be packaged."""

from __future__ import annotations

from ..package_exporter import PackagingError

__all__ = ["find_first_use_of_broken_modules"]


def find_first_use_of_broken_modules(exc: PackagingError) -> dict[str, list[str]]:
    """For every broken module the chain of modules through which it is first needed.

    Parameters
    ----------
    exc : what the exporter raised.

    Returns
    -------
    dict : the module's name -> the names from what was saved to that module.
    """
    if not isinstance(exc, PackagingError):
        raise AssertionError(f"exception must be a PackagingError, got {type(exc).__name__}")
    graph = exc.dependency_graph
    return {name: graph.first_path(name) for name, facts in graph.nodes.items() if "error" in facts}
