"""Small functions of PyTorch's ``torch.serialization`` that programs call."""

from __future__ import annotations

import contextlib
import os
import pickle
import tempfile
from collections.abc import Iterator
from types import ModuleType
from typing import Any, NoReturn

import flambeau as fb

__all__ = [
    "StorageType", "_check_dill_version", "_is_torchscript_zip", "_is_zipfile", "_legacy_load", "_load",
    "_open_file", "_open_file_like", "_open_zipfile_reader", "_opener",
    "check_module_version_greater_or_equal",
    "mkdtemp", "normalize_storage_type",
    "storage_to_tensor_type", "validate_cuda_device", "validate_hpu_device",
]  # fmt: skip


class StorageType:
    """A class of storages by its name, such as ``"FloatStorage"``; `dtype` is that of its elements.

    Raises
    ------
    KeyError : there is no class of that name.
    """

    def __init__(self, name: str) -> None:
        from .names import storage_classes

        kind = storage_classes().get(("torch", name))
        if kind is None:
            raise KeyError(f'pickle storage type "{name}" is not recognized')
        self._dtype = kind.dtype

    @property
    def dtype(self) -> fb.dtype:
        """The type of its elements."""
        return self._dtype

    def __str__(self) -> str:
        return f"StorageType(dtype={self.dtype})"


@contextlib.contextmanager
def mkdtemp() -> Iterator[str]:
    """Context manager: the path of a new folder, which is deleted afterwards."""
    with tempfile.TemporaryDirectory() as path:
        yield path


def check_module_version_greater_or_equal(
    module: ModuleType, req_version_tuple: tuple, error_if_malformed: bool = True
) -> bool:
    """Whether a module is of that version or a later one.

    Raises
    ------
    RuntimeError : the version cannot be read; a warning where `error_if_malformed` is False.
    """
    try:
        parts = module.__version__.split(".")
        version = tuple(type(wanted)(have) for wanted, have in zip(req_version_tuple, parts))
    except Exception as error:
        message = (
            f"'{module.__name__}' module version string is malformed '{module.__version__}' and cannot be "
        )
        message += f"compared with tuple {req_version_tuple}"
        if error_if_malformed:
            raise RuntimeError(message) from error
        import warnings

        warnings.warn(message + ", but continuing assuming that requirement is met", stacklevel=2)
        return True
    return version >= tuple(req_version_tuple)


def normalize_storage_type(storage_type: type) -> type:
    """The class of storages as the package shows it."""
    return getattr(fb, storage_type.__name__)


def storage_to_tensor_type(storage: Any) -> type:
    """The old class of tensors with the elements of a storage."""
    return getattr(fb, type(storage).__name__.replace("Storage", "Tensor"))


def validate_cuda_device(location: Any) -> int:
    """The number of the CUDA device that a file names.

    Raises
    ------
    RuntimeError : there is no such device.
    """
    index = fb.device(str(location)).index or 0
    if not fb.cuda.is_available():
        raise RuntimeError(
            "Attempting to deserialize object on a CUDA device but torch.cuda.is_available() is"
            " False. If you are "
            "running on a CPU-only machine, please use torch.load with"
            " map_location=torch.device('cpu') to map "
            "your storages to the CPU."
        )
    if index >= fb.cuda.device_count():
        raise RuntimeError(
            f"Attempting to deserialize object on CUDA device {index} but torch.cuda.device_count() is "
            f"{fb.cuda.device_count()}. Please use torch.load with map_location to map your storages to an "
            "existing device."
        )
    return index


def validate_hpu_device(location: Any) -> NoReturn:
    """Raise: there are no devices of that kind here."""
    raise RuntimeError(
        "The HPU device module is not registered. If you are running on a CPU-only machine, please"
        " use torch.load "
        "with map_location=torch.device('cpu') to map your storages to the CPU."
    )


class _opener:
    """A context manager that gives what it holds; leaving it does nothing."""

    def __init__(self, file_like: Any) -> None:
        self.file_like = file_like

    def __enter__(self) -> Any:
        return self.file_like

    def __exit__(self, *error: object) -> None:
        pass


class _open_file(_opener):
    """The same of a file by its path, which is closed."""

    def __init__(self, name: Any, mode: str) -> None:
        super().__init__(open(name, mode))

    def __exit__(self, *error: object) -> None:
        self.file_like.close()


class _open_written(_opener):
    """The same of a file that is written to, and flushed."""

    def __exit__(self, *error: object) -> None:
        self.file_like.flush()


def _open_file_like(name_or_buffer: Any, mode: str) -> _opener:
    """A context manager that gives a file: one of that path, or the one that is given."""
    if isinstance(name_or_buffer, (str, os.PathLike)):
        return _open_file(name_or_buffer, mode)
    if "w" in mode:
        return _open_written(name_or_buffer)
    if "r" not in mode:
        raise RuntimeError(f"Expected 'r' or 'w' in mode but got {mode}")
    for method in ("seek", "tell", "read", "readline"):
        if not hasattr(name_or_buffer, method):
            raise AttributeError(
                f"'{type(name_or_buffer).__name__}' object has no attribute '{method}'. You can only "
                "torch.load "
                "from a file that is seekable. Please pre-load the data into a buffer like io.BytesIO and "
                "try to "
                "load from it instead."
            )
    return _opener(name_or_buffer)


class _open_zipfile_reader(_opener):
    """A context manager that gives the `PyTorchFileReader` of a file."""

    def __init__(self, name_or_buffer: Any) -> None:
        from .reader import PyTorchFileReader

        super().__init__(PyTorchFileReader(name_or_buffer))


def _is_zipfile(f: Any) -> bool:
    """Whether a zip archive begins where the file stands."""
    start = f.tell()
    head = f.read(4)
    f.seek(start)
    return head == b"PK\x03\x04"


def _is_torchscript_zip(zip_file: Any) -> bool:
    """Whether an archive is a program of TorchScript."""
    return "constants.pkl" in zip_file.get_all_records()


def _check_dill_version(pickle_module: Any) -> None:
    """Raise where the module is a `dill` that is too old to read tensors."""
    if pickle_module is not None and pickle_module.__name__ == "dill":
        if not check_module_version_greater_or_equal(pickle_module, (0, 3, 1), False):
            raise ValueError(
                "'torch' supports dill >= 0.3.1, but you have dill "
                f"{pickle_module.__version__}. Please upgrade dill or switch to 'pickle'"
            )


def _settings(map_location: Any, pickle_module: Any, arguments: dict) -> Any:
    from . import loading, options

    safe = pickle_module is not None and pickle_module.__name__.endswith("._weights_only_unpickler")
    encoding = arguments.pop("encoding", "utf-8")
    module = pickle if safe or pickle_module is None else pickle_module
    return loading._Settings(options.relocation(map_location), safe, module, encoding, arguments)


def _load(
    zip_file: Any, map_location: Any, pickle_module: Any, pickle_file: str = "data.pkl",
    overall_storage: Any = None, **pickle_load_args: Any,
) -> Any:  # fmt: skip
    """What an archive holds, from its reader (`_open_zipfile_reader`).

    Raises
    ------
    NotImplementedError : for another record than ``data.pkl`` or storages from elsewhere.
    """
    from . import loading

    if pickle_file != "data.pkl" or overall_storage is not None:
        raise NotImplementedError(
            "torch.serialization._load: only data.pkl, with the storages of the archive"
        )
    settings = _settings(map_location, pickle_module, pickle_load_args)
    return loading._load_records(zip_file._reader, settings, None)


def _legacy_load(f: Any, map_location: Any, pickle_module: Any, **pickle_load_args: Any) -> Any:
    """What a file of the older format holds, where the file stands."""
    from . import loading

    return loading._load_legacy(f, _settings(map_location, pickle_module, pickle_load_args))
