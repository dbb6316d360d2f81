"""Where objects are found by name: in this Python, or in a package."""

from __future__ import annotations

import importlib
import logging
import sys
from abc import ABC, abstractmethod
from types import ModuleType
from typing import Any

from flambeau import _places
from flambeau.serialization import names

from ._mangling import demangle, get_mangle_prefix, is_mangled

__all__ = ["ObjNotFoundError", "ObjMismatchError", "Importer", "OrderedImporter"]

log = logging.getLogger(__name__)


class ObjNotFoundError(Exception):
    """An object is not where its name says."""


class ObjMismatchError(Exception):
    """Another object is where the name of this one says."""


class Importer(ABC):
    """A place where modules are found by name."""

    modules: dict[str, ModuleType]

    @abstractmethod
    def import_module(self, module_name: str) -> ModuleType:
        """The module of that name, imported if it was not."""

    def get_name(self, obj: Any, name: str | None = None) -> tuple[str, str]:
        """The module and the name by which this importer finds an object.

        Parameters
        ----------
        obj : a class, a function or another object that has a name.
        name : the name, where it is known; else the object's own.

        Raises
        ------
        ObjNotFoundError : there is nothing of that name.
        ObjMismatchError : there is something else.
        """
        if name is None:
            name = self._own_name(obj)
        module_name = self.whichmodule(obj, name)
        found_in = demangle(module_name)
        try:
            found = self._find(found_in, name)
        except (ImportError, KeyError, AttributeError):
            raise ObjNotFoundError(f"{obj} was not found as {found_in}.{name}") from None
        if found is obj:
            return found_in, name
        theirs, ours = _origin(module_name), self._place()
        shown = f"{ours}.{found_in}" if is_mangled(ours) else found_in
        raise ObjMismatchError(
            f"\n\nThe object provided is from '{module_name}', which is coming from {theirs[0]}."
            f"\nHowever, when we import '{shown}', it's coming from {_origin(shown)[0]}."
            "\nTo fix this, make sure this 'PackageExporter's importer lists "
            f"{theirs[1]} before {_origin(shown)[1]}."
        )

    @staticmethod
    def _own_name(obj: Any) -> str:
        reduce = getattr(obj, "__reduce__", None)
        if reduce is not None and not isinstance(obj, type) and not hasattr(obj, "__qualname__"):
            try:
                if isinstance(reduced := reduce(), str):
                    return reduced
            except Exception:
                pass
        return getattr(obj, "__qualname__", None) or obj.__name__

    def _place(self) -> str:
        """The prefix of the modules here; empty where they have none."""
        return ""

    def _find(self, module_name: str, name: str) -> Any:
        """What is in a module of that name; of modules that are PyTorch's, and named so, ours."""
        if self._is_ours(module_name):
            return names.find(module_name, name)
        found: Any = self.import_module(module_name)
        for part in name.split("."):
            found = getattr(found, part)
        return found

    def _is_ours(self, module_name: str) -> bool:
        """Whether flambeau stands for the module of that name."""
        return module_name.partition(".")[0] in _places.PACKAGES

    def whichmodule(self, obj: Any, name: str) -> str:
        """The name of the module in which an object is; what is flambeau's has the name it has in PyTorch."""
        module_name = getattr(obj, "__module__", None)
        if module_name is not None:
            if module_name.partition(".")[0] == "flambeau":
                return _places.torch_place(obj, module_name, name)
            return module_name
        for module_name, module in list(self.modules.items()):
            if module_name in ("__main__", "__mp_main__") or module is None:
                continue
            try:
                if getattr(module, name, None) is obj:
                    return module_name
            except Exception:  # a module that makes its names when asked, and fails
                continue
        return "__main__"


def _origin(module_name: str) -> tuple[str, str]:
    """Where a module comes from, and how the importer is called that finds it."""
    if is_mangled(module_name):
        prefix = get_mangle_prefix(module_name)
        return prefix, f"the importer for {prefix}"
    return "the current Python environment", "'sys_importer'"


class _SysImporter(Importer):
    """This Python."""

    def __init__(self) -> None:
        self.modules = sys.modules

    def import_module(self, module_name: str) -> ModuleType:
        return importlib.import_module(_places.local_name(module_name))

    def __repr__(self) -> str:
        return "sys_importer"


sys_importer = _SysImporter()


class OrderedImporter(Importer):
    """Several importers, of which the first that has something gives it.

    Parameters
    ----------
    *args : the importers.
    """

    def __init__(self, *args: Importer) -> None:
        self._importers: list[Importer] = list(args)

    def get_name(self, obj: Any, name: str | None = None) -> tuple[str, str]:
        """The module and the name by which one of the importers finds an object."""
        for importer in self._importers:
            try:
                return importer.get_name(obj, name)
            except (ObjNotFoundError, ObjMismatchError) as error:
                log.warning(
                    "Tried to call get_name with obj %s, and name %s on %s and got %s",
                    obj, name, importer, error,
                )  # fmt: skip
        raise ObjNotFoundError(f"{obj} was not found by any of {self._importers}")

    def import_module(self, module_name: str) -> ModuleType:
        """The module of the first importer that has it."""
        last: ModuleNotFoundError | None = None
        for importer in self._importers:
            if not isinstance(importer, Importer):
                raise TypeError(
                    f"{importer} is not a Importer. All importers in OrderedImporter must inherit from "
                    "Importer."
                )
            try:
                module = importer.import_module(module_name)
            except ModuleNotFoundError as error:
                last = error
                continue
            if _is_empty_parent(module):
                continue  # a package opened for what is below it has a folder of that name and nothing in it
            return module
        raise last or ModuleNotFoundError(module_name)

    def whichmodule(self, obj: Any, name: str) -> str:
        """The name of the module in which an object is, as the first importer that knows has it."""
        for importer in self._importers:
            if (module_name := importer.whichmodule(obj, name)) != "__main__":
                return module_name
        return "__main__"

    def __repr__(self) -> str:
        return f"OrderedImporter({', '.join(map(repr, self._importers))})"


def _is_empty_parent(module: ModuleType) -> bool:
    return is_mangled(module.__name__) and getattr(module, "__path__", None) == [] and module.__file__ is None
