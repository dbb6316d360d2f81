"""Writing packages."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.machinery
import io
import itertools
import linecache
import os
import platform
import sys
import tokenize
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from flambeau.serialization import archive, files
from flambeau.utils.hooks import RemovableHandle

from ._digraph import DiGraph
from ._mangling import demangle, is_mangled
from ._pickles import PackagePickler, globals_of
from ._problems import DISALLOWED, EmptyMatchError, PackagingError, PackagingErrorReason
from .find_file_dependencies import find_files_source_depends_on
from .glob_group import GlobGroup, GlobPattern
from .importer import Importer, OrderedImporter, sys_importer

__all__ = ["PackagingErrorReason", "EmptyMatchError", "PackagingError", "PackageExporter"]

ActionHook = Callable[["PackageExporter", str], None]


class _ModuleProviderAction(Enum):
    """Where the module comes from when the package is opened."""

    INTERN = 1
    EXTERN = 2
    MOCK = 3
    DENY = 4
    # the module of the stand-ins, which a package that is packaged again has already
    REPACKAGED_MOCK_MODULE = 5
    SKIP = 6


_NEEDS_STAND_INS = (_ModuleProviderAction.MOCK, _ModuleProviderAction.REPACKAGED_MOCK_MODULE)


@dataclass
class _PatternInfo:
    action: _ModuleProviderAction
    allow_empty: bool
    was_matched: bool = False


class PackageExporter:
    """Writes a package: pickles, texts, bytes and the source of Python modules, in one archive.

    A file appears, whole, when the exporter is closed; leaving a ``with`` block without an exception does
    that. What is saved and the modules that come along need other modules; of each of these one of the
    patterns given to `intern`, `extern`, `mock` and `deny` has to say what becomes of it, the first one
    that matches. The standard library (but ``sys`` and ``io``) and PyTorch itself are always taken from
    where the package is opened.

    Parameters
    ----------
    f : a path, or a file open for writing.
    importer : where modules and objects are looked up; for objects out of packages the `PackageImporter` s of
        these, and ``sys_importer`` after them.
    debug : errors say by which way a module is needed.

    Examples
    --------
    >>> with PackageExporter("model.pt") as exporter:
    ...     exporter.intern("mymodels.**")
    ...     exporter.extern("numpy.**")
    ...     exporter.save_pickle("model", "model.pkl", model)
    """

    importer: Importer

    def __init__(
        self,
        f: str | os.PathLike[str] | IO[bytes],
        importer: Importer | Sequence[Importer] = sys_importer,
        debug: bool = False,
    ) -> None:
        self.debug = debug
        self._stack = contextlib.ExitStack()
        if isinstance(f, (str, os.PathLike)):
            name = os.path.splitext(os.path.basename(os.fspath(f)))[0] or "archive"
            file = self._stack.enter_context(files.replacing(f))
        elif hasattr(f, "write"):
            name, file = "archive", f
        else:
            raise AttributeError(f"'{type(f).__name__}' object has no attribute 'write'")
        self._writer = archive.Writer(file, name)
        self._identity = hashlib.sha256()
        self._closed = False
        self._written_files: set[str] = set()
        self._storages: dict[Any, Any] = {}
        self._reduced: dict[int, tuple[Any, tuple]] = {}
        self._numbers = itertools.count()
        self.dependency_graph = DiGraph()
        self.patterns: dict[GlobGroup, _PatternInfo] = {}
        self._extern_hooks: OrderedDict[int, ActionHook] = OrderedDict()
        self._mock_hooks: OrderedDict[int, ActionHook] = OrderedDict()
        self._intern_hooks: OrderedDict[int, ActionHook] = OrderedDict()
        if isinstance(importer, Importer):
            self.importer = importer
        elif isinstance(importer, Sequence):
            self.importer = OrderedImporter(*importer)
        else:
            raise TypeError(
                "importer arg should be an Importer or a sequence of Importers, "
                f"got {type(importer)} instead."
            )

    def get_unique_id(self) -> str:
        """A number that this exporter gives only once."""
        return str(next(self._numbers))

    # ------------------------------------------------------------------ source code

    def save_source_file(self, module_name: str, file_or_directory: str, dependencies: bool = True) -> None:
        """Take along a source file, or all source files of a folder, as a module or package.

        Parameters
        ----------
        module_name : the name in the package.
        file_or_directory : the path of the file or folder.
        dependencies : whether what it imports is looked after.
        """
        path = Path(file_or_directory)
        if not path.is_dir():
            self.save_source_string(module_name, _read_source(path), False, dependencies)
            return
        for file in sorted(path.rglob("*.py")):
            inner = list(file.relative_to(path).with_suffix("").parts)
            is_package = inner[-1] == "__init__"
            name = ".".join([module_name, *(inner[:-1] if is_package else inner)])
            self.save_source_string(name, _read_source(file), is_package, dependencies)

    def save_source_string(
        self, module_name: str, src: str, is_package: bool = False, dependencies: bool = True
    ) -> None:
        """Take along a module whose source text is given.

        Parameters
        ----------
        module_name : the name in the package.
        src : the text.
        is_package : whether it is a package, which can have modules below it.
        dependencies : whether what it imports is looked after.
        """
        if module_name in self.dependency_graph:
            self.dependency_graph.nodes[module_name].pop("error", None)
        self._take_along(module_name, is_package, src, dependencies)

    def _take_along(self, module_name: str, is_package: bool, src: str, dependencies: bool) -> None:
        self.dependency_graph.add_node(
            module_name,
            source=src,
            is_package=is_package,
            provided=True,
            action=_ModuleProviderAction.INTERN,
        )
        if not dependencies:
            return
        for needed in self._get_dependencies(src, module_name, is_package):
            self.dependency_graph.add_edge(module_name, needed)
            self.add_dependency(needed)

    def _get_dependencies(self, src: str, module_name: str, is_package: bool) -> list[str]:
        package = module_name if is_package else module_name.rpartition(".")[0]
        try:
            imports = find_files_source_depends_on(src, package)
        except Exception as error:
            self.dependency_graph.add_node(
                module_name,
                error=PackagingErrorReason.DEPENDENCY_RESOLUTION_FAILED,
                error_context=str(error),
            )
            return []
        found: dict[str, None] = {}
        for module, name in imports:
            if name is not None and self._module_exists(f"{module}.{name}"):
                found[f"{module}.{name}"] = None
            elif self._module_exists(module):
                found[module] = None
        return list(found)

    def _module_exists(self, module_name: str) -> bool:
        try:
            self._import_module(module_name)
        except Exception:
            return False
        return True

    def _import_module(self, module_name: str) -> ModuleType:
        try:
            return self.importer.import_module(module_name)
        except ModuleNotFoundError:
            if not is_mangled(module_name):
                raise
            raise ModuleNotFoundError(
                f"Module not found: '{module_name}'. Make sure the PackageImporter that created this module "
                "is present in `self.importer`"
            ) from None

    def _get_source_of_module(self, module: ModuleType) -> str | None:
        if is_mangled(module.__name__):
            return module.__loader__.get_source(demangle(module.__name__))
        filename = getattr(module, "__file__", None)
        if isinstance(filename, str) and filename.endswith((".pyc", ".pyo")):
            filename = filename[:-1]
        if isinstance(filename, str) and filename.endswith(".py"):
            return "".join(linecache.getlines(filename, module.__dict__)) or None
        return None

    def save_module(self, module_name: str, dependencies: bool = True) -> None:
        """Take along a module that is there, with its source.

        Parameters
        ----------
        module_name : its name, as in ``mymodels.resnet``.
        dependencies : whether what it imports is looked after.
        """
        if not isinstance(module_name, str):
            raise TypeError("save_module() expects a string input, did you perhaps mean to pass `__name__`?")
        self._intern_module(module_name, dependencies)

    def _intern_module(self, module_name: str, dependencies: bool) -> None:
        module = self._import_module(module_name)
        # the module may be another one than the name says: os.path is posixpath
        source, filename = self._get_source_of_module(module), getattr(module, "__file__", None)
        is_package = hasattr(module, "__path__")
        if source is None and not self._is_empty(module):
            if filename is None:
                reason = PackagingErrorReason.NO_DUNDER_FILE
            elif filename.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
                reason = PackagingErrorReason.IS_EXTENSION_MODULE
            else:
                reason = PackagingErrorReason.SOURCE_FILE_NOT_FOUND
            self.dependency_graph.add_node(
                module_name,
                action=_ModuleProviderAction.INTERN,
                is_package=is_package,
                error=reason,
                error_context=f"filename: {filename}" if reason.name == "SOURCE_FILE_NOT_FOUND" else None,
                provided=True,
            )
            return
        self._take_along(module_name, is_package, source or "", dependencies)

    @staticmethod
    def _is_empty(module: ModuleType) -> bool:
        """Whether the source of a module is an empty file."""
        filename = getattr(module, "__file__", None)
        return isinstance(filename, str) and filename.endswith(".py") and os.path.isfile(filename)

    def add_dependency(self, module_name: str, dependencies: bool = True) -> None:
        """Have the package need a module; the patterns say what becomes of it.

        Parameters
        ----------
        module_name : its name.
        dependencies : whether, where it is taken along, what it imports is looked after.
        """
        graph = self.dependency_graph
        if module_name in graph and graph.nodes[module_name].get("provided") is True:
            return
        if module_name == "torch_package_importer":  # what code in packages gets its importer from
            graph.add_node(module_name, action=_ModuleProviderAction.SKIP, provided=True)
            return
        if module_name == "_mock":
            graph.add_node(module_name, action=_ModuleProviderAction.REPACKAGED_MOCK_MODULE, provided=True)
            return
        if self._can_implicitly_extern(module_name):
            graph.add_node(module_name, action=_ModuleProviderAction.EXTERN, provided=True)
            return
        for pattern, info in self.patterns.items():
            if pattern.matches(module_name):
                info.was_matched = True
                break
        else:
            graph.add_node(module_name, error=PackagingErrorReason.NO_ACTION)
            return
        graph.add_node(module_name, action=info.action, provided=True)
        if info.action == _ModuleProviderAction.DENY:
            graph.add_node(module_name, error=PackagingErrorReason.DENIED)
        elif info.action == _ModuleProviderAction.INTERN:
            self._intern_module(module_name, dependencies)

    def _can_implicitly_extern(self, module_name: str) -> bool:
        top = module_name.partition(".")[0]
        return top in ("torch", "flambeau") or (
            top not in DISALLOWED and (top in sys.stdlib_module_names or top == "builtins")
        )

    # ------------------------------------------------------------------ resources

    def save_pickle(
        self, package: str, resource: str, obj: Any, dependencies: bool = True, pickle_protocol: int = 3
    ) -> None:
        """Save an object by pickling it; its tensors lie in records of their own, each storage once.

        Parameters
        ----------
        package : the package in the archive that the file goes to.
        resource : the name of the file.
        obj : what is saved. Classes and functions are saved by name.
        dependencies : whether the modules of these are looked after.
        pickle_protocol : 3 and 4 are what PyTorch writes.
        """
        if pickle_protocol not in (3, 4):
            raise AssertionError(f"pickle_protocol must be 3 or 4, got {pickle_protocol}")
        filename = self._filename(package, resource)
        stream = io.BytesIO()
        PackagePickler(stream, pickle_protocol, self.importer, self._storages, self._persistent_id).dump(obj)
        data = stream.getvalue()
        for saved in self._storages.values():
            if (record := f".data/{saved.key}.storage") not in self._written_files:
                self._write(record, saved.content().data)
        if dependencies:
            self._add_pickle(f"<{package}.{resource}>", package, resource, globals_of(data))
        self._write(filename, data)

    def _add_pickle(self, node: str, package: str, resource: str, used: dict[str, list[str]]) -> None:
        graph = self.dependency_graph
        graph.add_node(node, action=_ModuleProviderAction.INTERN, provided=True, is_pickle=True)
        for module_name, taken in used.items():
            graph.add_edge(node, module_name)
            self.add_dependency(module_name)
            if graph.nodes[module_name].get("action") == _ModuleProviderAction.MOCK:
                graph.add_node(
                    module_name,
                    error=PackagingErrorReason.MOCKED_BUT_STILL_USED,
                    error_context=f"Object(s) '{taken}' from module `{module_name}` was mocked out during "
                    f"packaging but is being used in resource - `{resource}` in package `{package}`. ",
                )

    def _persistent_id(self, obj: Any) -> tuple:
        """The call that makes an object anew, as its ``__reduce_package__`` says."""
        if id(obj) not in self._reduced:
            how = ("reduce_package", len(self._reduced), *obj.__reduce_package__(self))
            self._reduced[id(obj)] = obj, how
        return self._reduced[id(obj)][1]

    def save_text(self, package: str, resource: str, text: str) -> None:
        """Save a text, in UTF-8.

        Parameters
        ----------
        package : the package in the archive that the file goes to.
        resource : the name of the file.
        text : the text.
        """
        self.save_binary(package, resource, text.encode("utf-8"))

    def save_binary(self, package: str, resource: str, binary: bytes) -> None:
        """Save bytes.

        Parameters
        ----------
        package : the package in the archive that the file goes to.
        resource : the name of the file.
        binary : the bytes.
        """
        self._write(self._filename(package, resource), binary)

    def _filename(self, package: str, resource: str) -> str:
        return f"{package.replace('.', '/')}/{resource}"

    # ------------------------------------------------------------------ patterns

    def intern(self, include: GlobPattern, *, exclude: GlobPattern = (), allow_empty: bool = True) -> None:
        """Take the source of modules along.

        Parameters
        ----------
        include, exclude : patterns, as of `GlobGroup`, such as ``"mymodels.**"``.
        allow_empty : False makes `close` raise where no module matched.
        """
        self._add_pattern(_ModuleProviderAction.INTERN, include, exclude, allow_empty)

    def mock(self, include: GlobPattern, *, exclude: GlobPattern = (), allow_empty: bool = True) -> None:
        """Put a stand-in in the place of modules: importing from it works, using what was imported raises.

        Parameters
        ----------
        include, exclude : patterns, as of `GlobGroup`.
        allow_empty : False makes `close` raise where no module matched.
        """
        self._add_pattern(_ModuleProviderAction.MOCK, include, exclude, allow_empty)

    def extern(self, include: GlobPattern, *, exclude: GlobPattern = (), allow_empty: bool = True) -> None:
        """Take modules from where the package is opened.

        Parameters
        ----------
        include, exclude : patterns, as of `GlobGroup`, such as ``"numpy.**"``.
        allow_empty : False makes `close` raise where no module matched.
        """
        self._add_pattern(_ModuleProviderAction.EXTERN, include, exclude, allow_empty)

    def deny(self, include: GlobPattern, *, exclude: GlobPattern = ()) -> None:
        """Raise where one of these modules is needed.

        Parameters
        ----------
        include, exclude : patterns, as of `GlobGroup`.
        """
        self._add_pattern(_ModuleProviderAction.DENY, include, exclude, True)

    def _add_pattern(
        self, action: _ModuleProviderAction, include: GlobPattern, exclude: GlobPattern, allow_empty: bool
    ) -> None:
        self.patterns[GlobGroup(include, exclude=exclude)] = _PatternInfo(action, allow_empty)

    def register_extern_hook(self, hook: ActionHook) -> RemovableHandle:
        """Have ``hook(exporter, module_name)`` called for every module that is taken from outside."""
        return self._register(self._extern_hooks, hook)

    def register_mock_hook(self, hook: ActionHook) -> RemovableHandle:
        """Have ``hook(exporter, module_name)`` called for every module that a stand-in replaces."""
        return self._register(self._mock_hooks, hook)

    def register_intern_hook(self, hook: ActionHook) -> RemovableHandle:
        """Have ``hook(exporter, module_name)`` called for every module that is taken along."""
        return self._register(self._intern_hooks, hook)

    @staticmethod
    def _register(hooks: OrderedDict[int, ActionHook], hook: ActionHook) -> RemovableHandle:
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        return handle

    # ------------------------------------------------------------------ the end

    def __enter__(self) -> PackageExporter:
        return self

    def __exit__(self, exc_type: type | None, exc_value: BaseException | None, traceback: Any) -> None:
        if exc_type is None:
            self.close()
        elif not self._closed:
            self._closed = True
            self._stack.__exit__(exc_type, exc_value, traceback)

    def close(self) -> None:
        """Write what is left to write and finish the file.

        Raises
        ------
        PackagingError : a module is needed of which nothing says where it comes from; no file is written.
        EmptyMatchError : no module matched a pattern that was to match one.
        """
        if self._closed:
            return
        self._closed = True
        with self._stack:
            self._validate_dependency_graph()
            self._execute_dependency_graph()
            self._write(".data/python_version", platform.python_version().encode())
            self._finalize_zip()

    def _validate_dependency_graph(self) -> None:
        if any("error" in facts for facts in self.dependency_graph.nodes.values()):
            raise PackagingError(self.dependency_graph, debug=self.debug)
        for pattern, info in self.patterns.items():
            if not info.allow_empty and not info.was_matched:
                raise EmptyMatchError(
                    f"Exporter did not match any modules to {pattern}, which was marked as allow_empty=False"
                )

    def _execute_dependency_graph(self) -> None:
        outside, mocked = [], False
        for name, facts in self.dependency_graph.nodes.items():
            action = facts["action"]
            if not mocked and action in _NEEDS_STAND_INS:
                mocked = True
                self._write("_mock.py", _read_source(Path(__file__).with_name("_mock.py")))
            if action == _ModuleProviderAction.EXTERN:
                self._call_hooks(self._extern_hooks, name)
                outside.append(name)
            elif action == _ModuleProviderAction.MOCK:
                self._call_hooks(self._mock_hooks, name)
                is_package = hasattr(self._import_module(name), "__path__")
                self._write_source_string(name, _MOCK_STUB, is_package)
            elif action == _ModuleProviderAction.INTERN and not facts.get("is_pickle"):
                self._call_hooks(self._intern_hooks, name)
                self._write_source_string(name, facts["source"], facts["is_package"])
        self._write(".data/extern_modules", "".join(f"{name}\n" for name in outside))

    def _call_hooks(self, hooks: OrderedDict[int, ActionHook], name: str) -> None:
        for hook in list(hooks.values()):
            hook(self, name)

    def _write_source_string(self, module_name: str, src: str, is_package: bool = False) -> None:
        self._write(module_name.replace(".", "/") + ("/__init__.py" if is_package else ".py"), src)

    def _write(self, filename: str, content: str | bytes | memoryview) -> None:
        if filename in self._written_files:
            raise AssertionError(
                f"Tried to write file '{filename}', but it already exists in this archive. Please file a bug."
            )
        self._written_files.add(filename)
        if is_mangled(filename):
            raise AssertionError(
                f"Tried to save a torch.package'd module as '{filename}'. Directly saving torch.package'd "
                "modules is not allowed."
            )
        data = content.encode("utf-8") if isinstance(content, str) else content
        self._identity.update(filename.encode() + bytes(data[: 1 << 16]))
        self._writer.write(filename, data)

    def _finalize_zip(self) -> None:
        self._writer.write(".data/version", b"6\n")
        self._writer.write("byteorder", sys.byteorder.encode())
        self._writer.write(".data/serialization_id", archive.identity(self._identity))
        self._writer.__exit__(None)

    # ------------------------------------------------------------------ what is in it

    def dependency_graph_string(self) -> str:
        """What needs what, in the language of graphviz."""
        return self.dependency_graph.to_dot()

    def _nodes_with_action_type(self, action: _ModuleProviderAction | None) -> list[str]:
        return [
            name
            for name, facts in self.dependency_graph.nodes.items()
            if facts.get("action") == action and not facts.get("is_pickle")
        ]

    def externed_modules(self) -> list[str]:
        """The modules that are taken from outside, sorted."""
        return sorted(self._nodes_with_action_type(_ModuleProviderAction.EXTERN))

    def interned_modules(self) -> list[str]:
        """The modules that are taken along, sorted."""
        return sorted(self._nodes_with_action_type(_ModuleProviderAction.INTERN))

    def mocked_modules(self) -> list[str]:
        """The modules that a stand-in replaces, sorted."""
        return sorted(self._nodes_with_action_type(_ModuleProviderAction.MOCK))

    def denied_modules(self) -> list[str]:
        """The modules that must not be needed and are, sorted."""
        return sorted(self._nodes_with_action_type(_ModuleProviderAction.DENY))

    def get_rdeps(self, module_name: str) -> list[str]:
        """What needs a module directly."""
        if module_name not in self.dependency_graph:
            return []
        return list(self.dependency_graph.predecessors(module_name))

    def all_paths(self, src: str, dst: str) -> str:
        """The ways by which one module comes to need another, in the language of graphviz."""
        return self.dependency_graph.all_paths(src, dst).to_dot()


_MOCK_STUB = """\
from _mock import MockedObject


def __getattr__(attr: str):
    return MockedObject(__name__ + "." + attr, _suppress_err=True)
"""


def _read_source(path: Path) -> str:
    with tokenize.open(path) as file:  # by the encoding that the file itself names
        return file.read()
