"""Pipes of files: their names, open files, their contents."""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .._decorator import functional_datapipe
from ..datapipe import IterDataPipe
from ..utils.common import StreamWrapper
from .utils import IterableWrapperIterDataPipe


def _files(root: str, masks: Any, recursive: bool, absolute: bool, any_order: bool) -> Iterator[str]:
    masks = [masks] if isinstance(masks, str) else list(masks)
    for path, folders, files in os.walk(root):
        path = os.path.abspath(path) if absolute else path
        if not any_order:
            files.sort()
            folders.sort()
        for name in files:
            if masks == [""] or any(fnmatch.fnmatch(name, m) for m in masks):
                yield os.path.join(path, name)
        if not recursive:
            break


@functional_datapipe("list_files")
class FileListerIterDataPipe(IterDataPipe):
    """The names of the files in folders, those that match `masks`."""

    def __init__(
        self, root: Any = ".", masks: str | list[str] = "", *, recursive: bool = False,
        abspath: bool = False, non_deterministic: bool = False, length: int = -1,
    ) -> None:  # fmt: skip
        roots = [root] if isinstance(root, str) else root
        self.datapipe = roots if isinstance(roots, IterDataPipe) else IterableWrapperIterDataPipe(roots)
        self.masks, self.recursive, self.abspath = masks, recursive, abspath
        self.non_deterministic, self.length = non_deterministic, length

    def __iter__(self) -> Iterator[str]:
        for root in self.datapipe:
            yield from _files(root, self.masks, self.recursive, self.abspath, self.non_deterministic)

    def __len__(self) -> int:
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length


@functional_datapipe("open_files")
class FileOpenerIterDataPipe(IterDataPipe):
    """Pairs of a name and the open file."""

    def __init__(
        self, datapipe: Iterable[str], mode: str = "r", encoding: str | None = None, length: int = -1
    ) -> None:
        if mode not in ("b", "t", "rb", "rt", "r"):
            raise ValueError(f"Invalid mode {mode}")
        if "b" in mode and encoding is not None:
            raise ValueError("binary mode doesn't take an encoding argument")
        self.datapipe, self.encoding, self.length = datapipe, encoding, length
        self.mode = mode if mode.startswith("r") else "r" + mode

    def __iter__(self) -> Iterator[tuple]:
        for name in self.datapipe:
            yield name, StreamWrapper(open(name, self.mode, encoding=self.encoding))

    def __len__(self) -> int:
        if self.length == -1:
            raise TypeError(f"{type(self).__name__} instance doesn't have valid length")
        return self.length


@functional_datapipe("read_from_stream")
class StreamReaderIterDataPipe(IterDataPipe):
    """Pairs of a name and what the file holds, whole or in pieces of `chunk`."""

    def __init__(self, datapipe: IterDataPipe, chunk: int | None = None) -> None:
        self.datapipe, self.chunk = datapipe, chunk

    def __iter__(self) -> Iterator[tuple]:
        for name, stream in self.datapipe:
            while data := stream.read(self.chunk):
                yield name, data
            if hasattr(stream, "close"):
                stream.close()


def extension_extract_fn(pathname: str) -> str:
    """The extension of a name, without the dot."""
    return os.path.splitext(pathname)[1].removeprefix(".")


@functional_datapipe("routed_decode")
class RoutedDecoderIterDataPipe(IterDataPipe):
    """Pairs of a name and what the first handler makes of the file that does not answer None.

    A handler is called with the key of the name (its extension) and the bytes of the file.
    """

    def __init__(
        self, datapipe: Iterable[tuple], *handlers: Callable, key_fn: Callable = extension_extract_fn
    ) -> None:
        if not handlers:
            raise NotImplementedError("flambeau has no default handlers for RoutedDecoder: give functions")
        self.datapipe, self.handlers, self.key_fn = datapipe, handlers, key_fn

    def add_handler(self, *handler: Callable) -> None:
        """Ask these handlers after the others."""
        self.handlers = (*self.handlers, *handler)

    def __iter__(self) -> Iterator[tuple]:
        for name, stream in self.datapipe:
            data = stream.read()
            made = (h(self.key_fn(name), data) for h in self.handlers)
            yield name, next((m for m in made if m is not None), data)

    def __len__(self) -> int:
        return len(self.datapipe)
