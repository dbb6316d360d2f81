"""Packages: models together with the source code that they need, in one archive.

A `PackageExporter` writes pickles, texts, bytes and Python modules into an archive and finds out by itself
which modules those need; for each of them the user says whether its source goes along (`intern`), whether it
is taken from where the package is opened (`extern`), whether a stand-in takes its place (`mock`), or that it
must not be needed at all (`deny`). A `PackageImporter` opens such an archive. PyTorch writes and reads the
same files.

Opening a package runs nothing. Importing a module of it (`import_module`) and loading a pickle from it
(`load_pickle`) run the code that it holds, which can be any: only for packages of people you trust.
"""

from .analyze.is_from_package import is_from_package
from .file_structure_representation import Directory
from .glob_group import GlobGroup
from .importer import Importer, ObjMismatchError, ObjNotFoundError, OrderedImporter, sys_importer
from .package_exporter import EmptyMatchError, PackageExporter, PackagingError
from .package_importer import PackageImporter

__all__ = [
    "Directory",
    "EmptyMatchError",
    "GlobGroup",
    "Importer",
    "ObjMismatchError",
    "ObjNotFoundError",
    "OrderedImporter",
    "PackageExporter",
    "PackageImporter",
    "PackagingError",
    "is_from_package",
    "sys_importer",
]
