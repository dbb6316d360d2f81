"""Opening packages."""

from __future__ import annotations

import builtins
import importlib
import importlib.machinery
import importlib.util
import io
import linecache
import os
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import IO, Any

import numpy as np

import flambeau as fb
from flambeau.serialization import loading, names, options
from flambeau.serialization.reader import PyTorchFileReader

from . import _pickles
from ._directory_reader import DirectoryReader
from ._mangling import PackageMangler, demangle
from ._resources import PackageResources
from .file_structure_representation import Directory, _create_directory_from_file_list
from .glob_group import GlobPattern
from .importer import Importer

__all__ = ["PackageImporter"]

# modules that pickles of arrays name and that nobody thinks of when packaging
IMPLICIT_IMPORT_ALLOWLIST = ("numpy", "numpy.core", "numpy.core._multiarray_umath", "builtins")


class PackageImporter(Importer):
    """An open package: its modules are imported from it and are other ones than those of this Python.

    Opening runs nothing. `import_module` and `load_pickle` run the code that the package holds, which can do
    anything that this program can: only for packages of people you trust.

    A module of a package sees the other modules of the package, those that it was said to take from outside,
    and no others. Its name begins with the prefix of this importer (``<torch_package_0>.mymodels.resnet``),
    and it is not in ``sys.modules``.

    Parameters
    ----------
    file_or_buffer : a path, the folder that such a file was unpacked to, a binary file or a
        `PyTorchFileReader`.
    module_allowed : asked for each module from outside whether the package may have it.

    Raises
    ------
    ImportError : the package needs a module from outside that it may not have.
    """

    modules: dict[str, Any]

    def __init__(
        self,
        file_or_buffer: str | os.PathLike[str] | IO[bytes] | PyTorchFileReader,
        module_allowed: Callable[[str], bool] = lambda module_name: True,
    ) -> None:
        self.zip_reader: PyTorchFileReader | DirectoryReader
        if isinstance(file_or_buffer, PyTorchFileReader):
            self.filename = "<pytorch_file_reader>"
            self.zip_reader = file_or_buffer
        elif isinstance(file_or_buffer, (str, os.PathLike)):
            self.filename = os.fspath(file_or_buffer)
            self.zip_reader = self._open(self.filename)
        else:
            self.filename = "<binary>"
            if not hasattr(file_or_buffer, "tell"):
                raise AttributeError(f"'{type(file_or_buffer).__name__}' object has no attribute 'tell'")
            self.zip_reader = PyTorchFileReader(file_or_buffer)
        self._mangler = PackageMangler()
        self._files: dict[str, bool] = {}  # module -> whether it is a package, for those that have a file
        self._folders: set[str] = {""}  # modules that have others, or files, below them
        for record in self.zip_reader.get_all_records():
            self._add_file(record)
        self.extern_modules = self._read_extern()
        self._outside = set(self.extern_modules)
        for module_name in self.extern_modules:
            if (parent := module_name.rpartition(".")[0]) and not self._is_outside(parent):
                self._add_folder(parent.split("."))
        self.modules = {"torch_package_importer": self}  # by this name code in packages gets at its importer
        for module_name in self.extern_modules:
            if not module_allowed(module_name):
                raise ImportError(
                    f"package '{self.filename}' needs the external module '{module_name}' "
                    "but that module has been disallowed"
                )
        self.patched_builtins = {**builtins.__dict__, "__import__": self.__import__}

    @staticmethod
    def _open(path: str) -> PyTorchFileReader | DirectoryReader:
        if os.path.isdir(path):
            return DirectoryReader(path)
        try:
            return PyTorchFileReader(path)
        except OSError as error:
            raise RuntimeError(
                f"open file failed because of errno {error.errno} on fopen: {error.strerror}, "
                f"file path: {path}"
            ) from None

    def _read_extern(self) -> list[str]:
        return self.zip_reader.get_record(".data/extern_modules").decode("utf-8").splitlines()

    def _add_file(self, record: str) -> None:
        *folders, name = record.split("/")
        if folders and folders[0] == ".data":
            return
        self._add_folder(folders)
        if name == "__init__.py" and folders:
            self._files[".".join(folders)] = True
        elif name.endswith(".py"):
            self._files.setdefault(".".join([*folders, name[:-3]]), False)

    def _add_folder(self, parts: list[str]) -> None:
        self._folders.update(".".join(parts[: depth + 1]) for depth in range(len(parts)))

    # ------------------------------------------------------------------ modules

    def import_module(self, name: str, package: str | None = None) -> ModuleType:
        """A module of the package, or one from outside that it may have; runs its code the first time.

        Parameters
        ----------
        name : its name; relative ones, which begin with a dot, are relative to `package`.

        Raises
        ------
        ModuleNotFoundError : there is none of that name.
        """
        if name.startswith("."):
            name = importlib.util.resolve_name(name, package)
        return self._find_and_load(self._mangler.demangle(name))

    def _is_outside(self, name: str) -> bool:
        """Whether a module is one that the package takes from outside, or below one."""
        while name:
            if name in self._outside:
                return True
            if name in self._files:
                return False
            name = name.rpartition(".")[0]
        return False

    def _is_ours(self, module_name: str) -> bool:
        return super()._is_ours(module_name) and self._is_outside(module_name)

    def _find_and_load(self, name: str) -> ModuleType:
        if (module := self.modules.get(name)) is not None:
            return module
        outside = self._is_outside(name) or name in IMPLICIT_IMPORT_ALLOWLIST
        if not outside and name not in self._files and name not in self._folders:
            raise self._not_there(name)
        parent, _, last = name.rpartition(".")
        above = self._find_and_load(parent) if parent and not self._is_outside(parent) else None
        if name in self.modules:  # importing the parent did it
            return self.modules[name]
        if outside:
            module = self.modules[name] = importlib.import_module(names.local_name(name))
        else:
            module = self._make_module(name)
        if above is not None:
            setattr(above, last, module)
        return module

    def _not_there(self, name: str) -> ModuleNotFoundError:
        return ModuleNotFoundError(
            f'No module named "{name}" in self-contained archive "{self.filename}" and the module is also '
            f"not in the list of allowed external modules: {self.extern_modules}",
            name=name,
        )

    def _make_module(self, name: str) -> ModuleType:
        has_file = name in self._files
        is_package = not has_file or self._files[name]
        spec = importlib.machinery.ModuleSpec(name, self, origin="<package_importer>", is_package=is_package)
        module = ModuleType(self._mangler.mangle(name))
        space = module.__dict__
        space.update(
            __spec__=spec,
            __loader__=self,
            __package__=name if is_package else name.rpartition(".")[0],
            __file__=None,
            __cached__=None,
            __builtins__=self.patched_builtins,
            # by this other code knows modules of packages, whatever their name
            __torch_package__=True,
        )
        if is_package:
            space["__path__"] = []
        self.modules[name] = module
        if has_file:
            record = self._record(name)
            space["__file__"] = f"{self._mangler.parent_name()}.{record}"
            # so that tracebacks and inspect.getsource show the text
            linecache.lazycache(space["__file__"], space)
            try:
                exec(compile(self.get_source(name), space["__file__"], "exec", dont_inherit=True), space)
            except BaseException:
                del self.modules[name]
                raise
        return self.modules[name]

    def _record(self, name: str) -> str:
        return name.replace(".", "/") + ("/__init__.py" if self._files[name] else ".py")

    def get_source(self, module_name: str) -> str:
        """The source text of a module of the package."""
        name = demangle(module_name)
        if name not in self._files:
            if name not in self._folders:
                raise self._not_there(name)
            return ""
        return self.zip_reader.get_record(self._record(name)).decode("utf-8")

    def __import__(
        self,
        name: str,
        globals: dict[str, Any] | None = None,
        locals: dict[str, Any] | None = None,
        fromlist: Iterable[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if level:
            package = (globals or {}).get("__package__") or ""
            name = importlib.util.resolve_name("." * level + name, package)
        module = self._find_and_load(name)
        if not fromlist:
            if level:  # never by an import statement: a relative one takes something from the module
                return module
            return self._find_and_load(name.partition(".")[0])
        for wanted in fromlist:
            self._import_below(module, name, wanted)
        return module

    def _import_below(self, module: ModuleType, name: str, wanted: str) -> None:
        """What ``from name import wanted`` does where `wanted` may be a module."""
        if wanted == "*":
            for part in getattr(module, "__all__", ()):
                self._import_below(module, name, part)
        elif not hasattr(module, wanted) and hasattr(module, "__path__"):
            below = f"{name}.{wanted}"
            try:
                self._find_and_load(below)
            except ModuleNotFoundError as error:
                if error.name not in (below, names.local_name(below)):
                    raise

    # ------------------------------------------------------------------ files

    def _folder_of(self, package: str) -> str:
        name = demangle(package.__name__ if isinstance(package, ModuleType) else package)
        if name not in self._folders:
            raise TypeError(f"{name!r} is not a package") if name in self._files else self._not_there(name)
        return name.replace(".", "/")

    def load_binary(self, package: str, resource: str) -> bytes:
        """The bytes of a file.

        Parameters
        ----------
        package : the package in the archive that the file is in.
        resource : the name of the file.
        """
        return self.zip_reader.get_record(f"{self._folder_of(package)}/{resource}")

    def load_text(self, package: str, resource: str, encoding: str = "utf-8", errors: str = "strict") -> str:
        """The text of a file; runs nothing.

        Parameters
        ----------
        package : the package in the archive that the file is in.
        resource : the name of the file.
        encoding, errors : as of `bytes.decode`.
        """
        return self.load_binary(package, resource).decode(encoding, errors)

    def load_pickle(self, package: str, resource: str, map_location: Any = None) -> Any:
        """The object that `PackageExporter.save_pickle` saved; runs what the pickle and the modules say.

        Parameters
        ----------
        package : the package in the archive that the file is in.
        resource : the name of the file.
        map_location : where tensors go, as of `flambeau.load`.
        """
        data = self.load_binary(package, resource)
        settings = loading._Settings(options.relocation(map_location), False, None, "utf-8", {})
        storages = loading._Storages(settings)
        made: dict[Any, Any] = {}

        def persistent(saved: Any) -> Any:
            kind = saved[0] if isinstance(saved, tuple) and saved else None
            if kind == "storage":
                return storages.of(saved, self._fetch)
            if kind == "reduce_package":
                number, function, arguments = saved[1:] if len(saved) == 4 else (None, *saved[1:])
                if number is None:
                    return function(self, *arguments)
                if number not in made:
                    made[number] = function(self, *arguments)
                return made[number]
            raise NotImplementedError(
                "Unknown typename for persistent_load, expected 'storage' or 'reduce_package' but got "
                f"'{kind}'"
            )

        return storages.finish(_pickles.unpickler(io.BytesIO(data), self, persistent).load())

    def _fetch(self, key: str, size: int, dtype: fb.dtype | None) -> np.ndarray:
        data = np.frombuffer(bytearray(self.zip_reader.get_record(f".data/{key}.storage")), np.uint8)
        if data.size < size:
            raise ValueError(f"storage {key} has {data.size} bytes where {size} are announced")
        return data

    # ------------------------------------------------------------------ the package as a whole

    def id(self) -> str:
        """The prefix of the modules of this importer; no other has it."""
        return self._mangler.parent_name()

    def _place(self) -> str:
        return self._mangler.parent_name()

    def file_structure(self, *, include: GlobPattern = "**", exclude: GlobPattern = ()) -> Directory:
        """The files of the package as a tree that can be printed.

        Parameters
        ----------
        include, exclude : patterns of paths, as of `GlobGroup`, such as ``"**/*.py"``.
        """
        return _create_directory_from_file_list(
            self.filename, self.zip_reader.get_all_records(), include, exclude
        )

    def python_version(self) -> str | None:
        """The version of Python that wrote the package; None where it does not say."""
        record = ".data/python_version"
        if not self.zip_reader.has_record(record):
            return None
        return self.zip_reader.get_record(record).decode("utf-8").strip()

    def get_resource_reader(self, fullname: str) -> PackageResources | None:
        """What `importlib.resources` reads the files of a package of this one with."""
        name = demangle(fullname)
        self._folder_of(name)
        return PackageResources(self, name)

    def __repr__(self) -> str:
        return f"<{type(self).__module__}.{type(self).__qualname__} of {self.filename}>"
