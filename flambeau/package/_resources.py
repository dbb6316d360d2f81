"""Files of a package for `importlib.resources`."""

from __future__ import annotations

import io
from collections.abc import Iterator
from importlib.resources.abc import Traversable, TraversableResources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .package_importer import PackageImporter

__all__ = ["PackageResources"]


class _Place(Traversable):
    """A file or a folder of an archive, or nothing."""

    def __init__(self, importer: PackageImporter, path: str) -> None:
        self.importer = importer
        self.path = path

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def iterdir(self) -> Iterator[_Place]:
        start = self.path + "/"
        records = (r for r in self.importer.zip_reader.get_all_records() if r.startswith(start))
        names = dict.fromkeys(r.removeprefix(start).partition("/")[0] for r in records)
        return (self.joinpath(name) for name in names)

    def is_dir(self) -> bool:
        return any(True for _ in self.iterdir())

    def is_file(self) -> bool:
        return self.importer.zip_reader.has_record(self.path)

    def joinpath(self, *descendants: Any) -> _Place:
        return _Place(self.importer, "/".join([self.path, *map(str, descendants)]))

    def open(self, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not self.is_file():
            raise FileNotFoundError(f"{self.path} is not in {self.importer.filename}")
        data = io.BytesIO(self.importer.zip_reader.get_record(self.path))
        return data if "b" in mode else io.TextIOWrapper(data, *args, **kwargs)

    def read_text(self, encoding: str | None = None, errors: str | None = None) -> str:
        with self.open(encoding=encoding or "utf-8", errors=errors) as file:
            return file.read()


class PackageResources(TraversableResources):
    """The files of one package of an archive."""

    def __init__(self, importer: PackageImporter, fullname: str) -> None:
        self.importer = importer
        self.fullname = fullname

    def files(self) -> _Place:
        """The folder of the package."""
        return _Place(self.importer, self.fullname.replace(".", "/"))
