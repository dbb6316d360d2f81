"""Running programs that import torch, torchvision or torchaudio on flambeau, unchanged.

``flambeau.install_as_torch()`` makes ``import torch`` give flambeau from then on; as a context manager only
within the block. Modules keep their identity: ``torch.nn is flambeau.nn``.
"""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import importlib.metadata

__all__ = ["install_as_torch", "is_installed", "missing_names", "uninstall_as_torch"]

PACKAGES = {
    "torch": "flambeau",
    "torchvision": "flambeau.vision",
    "torchaudio": "flambeau.audio",
    "torchtext": "flambeau.text",
}
_missing: Counter[str] = Counter()
_lock = threading.RLock()


def missing_names() -> dict[str, int]:
    """The names that programs asked for in vain, and how often."""
    return dict(_missing)


def not_there_yet(module: str, name: str) -> AttributeError:
    """The error for a name that flambeau lacks; it is counted for the report."""
    place = _torch_name(module)
    _missing[f"{place}.{name}"] += 1
    error = AttributeError(
        f"module '{place}' has no attribute '{name}'\n"
        f"{place}.{name} is not there yet in flambeau, or PyTorch has no such name either. "
        "(python -m flambeau --missing-report script.py lists all the names that a program misses.)"
    )
    error.name = name
    return error


def _torch_name(module: str) -> str:
    for theirs, ours in sorted(PACKAGES.items(), key=lambda pair: -len(pair[1])):
        if module == ours or module.startswith(ours + "."):
            return theirs + module[len(ours) :]
    return module


@functools.cache
def _distribution_class() -> type[importlib.metadata.Distribution]:
    import importlib.metadata  # which takes longer to import than all that is here

    class Distribution(importlib.metadata.Distribution):
        """Tells packages that ask for the installed version of torch the version whose interface this is."""

        def __init__(self, name: str, version: str) -> None:
            self._text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"

        def read_text(self, filename: str) -> str | None:
            return self._text if filename == "METADATA" else None

        def locate_file(self, path: Any) -> Any:
            raise FileNotFoundError(f"{path}: this distribution has no files, flambeau stands in for it")

    return Distribution


class _Loader(importlib.abc.Loader):
    """Gives the module of flambeau itself, and leaves it as it was."""

    def __init__(self, module: ModuleType) -> None:
        self.module = module
        self.kept = module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.kept


class _Named(importlib.abc.Loader):
    """Loads a module of flambeau as ever, gives what it defines PyTorch's names, and hooks it."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self.loader, self.finder = loader, finder

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = module.__spec__.loader = self.loader
        self.loader.exec_module(module)
        self.finder.names.give(module)
        self.finder.hook(module.__spec__.name, module)


class _Finder(importlib.abc.MetaPathFinder):
    """Answers imports of torch and its companions."""

    def __init__(self) -> None:
        # module, its own `__getattr__`, the one that it has instead
        self.hooked: dict[str, tuple[ModuleType, Callable | None, Callable]] = {}
        from ._names import PublicNames  # which needs the core

        self.names = PublicNames()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        root, dot, rest = fullname.partition(".")
        if root == "flambeau":
            spec = importlib.machinery.PathFinder.find_spec(fullname, path, target)
            if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
                spec.loader = _Named(spec.loader, self)
            return spec
        if root not in PACKAGES:
            return None
        name = PACKAGES[root] + dot + rest
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not (name == error.name or name.startswith(error.name + ".")):
                raise
            _missing[fullname] += 1
            raise ModuleNotFoundError(
                f"No module named '{fullname}'\nIt is not there yet in flambeau.", name=fullname
            ) from None
        self.hook_loaded()
        sys.modules.pop(fullname, None)  # else the import system would load its file again, as this name
        spec = importlib.machinery.ModuleSpec(
            fullname, _Loader(module), is_package=hasattr(module, "__path__")
        )
        spec.submodule_search_locations = getattr(module, "__path__", None)
        return spec

    def find_distributions(self, context: Any = None) -> Iterator[importlib.metadata.Distribution]:
        name = getattr(context, "name", None)
        if name in PACKAGES:
            import flambeau

            minor = int(flambeau.__version__.split(".")[1])  # torchvision 0.N goes with torch 2.(N - 15)
            version = f"0.{minor + 15}.0" if name == "torchvision" else flambeau.__version__
            yield _distribution_class()(name, version)

    def hook_loaded(self) -> None:
        """Hook the public modules of flambeau that are there by now."""
        for name, module in _loaded():
            self.hook(name, module)

    def hook(self, path: str, module: ModuleType) -> None:
        """Have a public module say, for a name that it lacks, that it is not there yet."""
        if path in self.hooked or "._" in path:
            return
        own = module.__dict__.get("__getattr__")

        def lookup(name: str) -> Any:
            if own is not None:
                try:
                    return own(name)
                except AttributeError:
                    pass
            asker = sys._getframe(1).f_globals.get("__name__", "")
            if name.startswith("__") or asker.partition(".")[0] in ("flambeau", "importlib"):
                raise AttributeError(f"module '{_torch_name(path)}' has no attribute '{name}'")
            raise not_there_yet(path, name)

        module.__dict__["__getattr__"] = lookup
        self.hooked[path] = module, own, lookup

    def unhook(self) -> None:
        for module, own, lookup in self.hooked.values():
            if module.__dict__.get("__getattr__") is not lookup:
                continue  # it was still being loaded, and came to define its own
            if own is None:
                module.__dict__.pop("__getattr__", None)
            else:
                module.__dict__["__getattr__"] = own
        self.hooked.clear()


def _loaded() -> list[tuple[str, ModuleType]]:
    """The modules of flambeau that are there by now."""
    return [
        (name, module)
        for name, module in list(sys.modules.items())
        if name.partition(".")[0] == "flambeau" and isinstance(module, ModuleType)
    ]


def _save(*args: Any, **kwargs: Any) -> None:
    """`serialization.save`, which loads when a storage is pickled."""
    from flambeau.serialization import save

    save(*args, **kwargs)


def _load(*args: Any, **kwargs: Any) -> Any:
    """`serialization.load`, the same way."""
    from flambeau.serialization import load

    return load(*args, **kwargs)


def _name_types(module: str) -> None:
    """Say of the package and its basic types that they are of this name: programs print ``type(x)`` and
    compare ``torch.__name__``.
    """
    import flambeau
    from flambeau import storage

    flambeau.__name__ = module
    for name, function in (("save", _save), ("load", _load)):
        storage._files.setdefault(name, function)
    for kind in (flambeau.Tensor, flambeau.Size, flambeau.device, flambeau.dtype):
        kind.__module__ = module


_finder: _Finder | None = None
_displaced: dict[str, ModuleType] = {}
_depth = 0


class _Installed:
    """What `install_as_torch` returns: leaving its with block undoes the installation."""

    def __init__(self) -> None:
        self.active = True

    def __enter__(self) -> _Installed:
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstall()

    def uninstall(self) -> None:
        if self.active:
            self.active = False
            uninstall_as_torch()


def install_as_torch() -> _Installed:
    """Make ``import torch``, ``torchvision`` and ``torchaudio`` give flambeau in this process.

    Used as ``with flambeau.install_as_torch():`` it holds for the block, after which modules of the real
    packages, if they were imported before, are back. Calls may be nested.
    """
    global _finder, _depth
    with _lock:
        _depth += 1
        if _finder is None:
            for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
                _displaced[name] = sys.modules.pop(name)
            _finder = _Finder()
            _finder.hook_loaded()
            _name_types("torch")
            sys.meta_path.insert(0, _finder)
            for _, module in _loaded():
                _finder.names.give(module)
    return _Installed()


def uninstall_as_torch() -> None:
    """Undo one `install_as_torch`."""
    global _finder, _depth
    with _lock:
        if _depth == 0:
            return
        _depth -= 1
        if _depth == 0 and _finder is not None:
            sys.meta_path.remove(_finder)
            _finder.unhook()
            _finder.names.take_back()
            _name_types("flambeau")
            _finder = None
            for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
                del sys.modules[name]
            sys.modules.update(_displaced)
            _displaced.clear()


def is_installed() -> bool:
    """Whether ``import torch`` gives flambeau now."""
    return _finder is not None
