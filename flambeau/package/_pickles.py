"""The pickles of packages: names are those of the importer, tensors lie in records beside them."""

from __future__ import annotations

import copyreg
import pickle
import pickletools
from collections.abc import Callable
from typing import IO, Any

from flambeau.serialization.pickler import Pickler, SavedStorage

from .importer import Importer, ObjMismatchError, ObjNotFoundError

_TEXTS = ("SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE")


class PackagePickler(Pickler):
    """Writes one pickle of a package.

    `storages` are those of the whole package; what has a ``__reduce_package__`` is asked for the call that
    makes it anew, once for the package.
    """

    def __init__(
        self,
        stream: IO[bytes],
        protocol: int,
        importer: Importer,
        storages: dict[Any, SavedStorage],
        reduce_package: Callable[[Any], tuple],
    ) -> None:
        super().__init__(stream, protocol)
        self.importer = importer
        self.storages = storages
        self._reduce_package = reduce_package

    def persistent_id(self, obj: Any) -> Any:
        """What stands for an object that says itself how packages hold it."""
        if hasattr(type(obj), "__reduce_package__") and not isinstance(obj, type):
            return self._reduce_package(obj)
        return None

    def save_global(self, obj: Any, name: str | None = None) -> None:
        """Write a class or function by the name that the importer has for it."""
        try:
            module_name, found = self.importer.get_name(obj, name)
        except (ObjNotFoundError, ObjMismatchError) as error:
            place = f"{getattr(obj, '__module__', None)}.{name or getattr(obj, '__qualname__', None)}"
            raise pickle.PicklingError(f"Can't pickle {obj}: it's not found as {place}\n{error}") from None
        name = found
        if (module_name, name) in copyreg._extension_registry:
            return super().save_global(obj, name)
        if self.proto < 3 and not (module_name + name).isascii():
            raise pickle.PicklingError(
                f"can't pickle global identifier '{module_name}.{name}' using pickle protocol {self.proto}"
            )
        if self.proto >= 4 or "." not in name:
            return self._write_name(obj, module_name, name)
        # before protocol 4 a name of a name is a call of getattr
        outer, _, last = name.rpartition(".")
        return self.save_reduce(getattr, (self.importer._find(module_name, outer), last))

    dispatch = Pickler.dispatch.copy()
    for _kind, _method in list(dispatch.items()):
        if _method is Pickler.save_global:
            dispatch[_kind] = save_global


def globals_of(data: bytes) -> dict[str, list[str]]:
    """The modules that a pickle names, by order, each with what it takes from it; nothing is run."""
    found: dict[str, list[str]] = {}
    texts: list[str] = []
    memo: dict[int, str | None] = {}
    last: str | None = None  # the text that was just pushed, where it was a text

    def note(module_name: str, name: str) -> None:
        taken = found.setdefault(module_name, [])
        if name not in taken:
            taken.append(name)

    for code, argument, _ in pickletools.genops(data):
        if code.name == "GLOBAL":
            module_name, _, name = argument.partition(" ")
            note(module_name, name)
        elif code.name == "STACK_GLOBAL":
            note(texts[-2], texts[-1])
        if code.name in _TEXTS:
            last = argument
            texts.append(argument)
        elif code.name == "MEMOIZE":
            memo[len(memo)] = last
            continue
        elif code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
            memo[argument] = last
            continue
        elif code.name in ("GET", "BINGET", "LONG_BINGET"):
            last = memo.get(argument)
            if last is not None:
                texts.append(last)
        else:
            last = None
    return found


def unpickler(
    stream: IO[bytes],
    importer: Any,
    persistent: Callable[[Any], Any],
) -> pickle.Unpickler:
    """A machine that runs a pickle of a package, with the names of the importer."""

    class PackageUnpickler(pickle.Unpickler):
        def find_class(self, module_name: str, name: str) -> Any:
            return importer._find(module_name, name)

        def persistent_load(self, saved: Any) -> Any:
            return persistent(saved)

    return PackageUnpickler(stream)
