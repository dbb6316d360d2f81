"""Fetching, checking and unpacking the files of data sets."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import pathlib
import shutil
import tarfile
import urllib.parse
import zipfile
from collections.abc import Callable, Iterable
from typing import Any

from flambeau.utils._download import fetch


def calculate_md5(fpath: str | os.PathLike, chunk_size: int = 1 << 20) -> str:
    """The MD5 sum of a file, in hexadecimal."""
    digest = hashlib.md5(usedforsecurity=False)
    with open(fpath, "rb") as file:
        while chunk := file.read(chunk_size):
            digest.update(chunk)
    return digest.hexdigest()


def check_md5(fpath: str | os.PathLike, md5: str, **kwargs: Any) -> bool:
    """Whether a file has this MD5 sum."""
    return md5 == calculate_md5(fpath, **kwargs)


def check_integrity(fpath: str | os.PathLike, md5: str | None = None) -> bool:
    """Whether a file is there and, where a sum is given, has it."""
    return os.path.isfile(fpath) and (md5 is None or check_md5(fpath, md5))


def download_url(
    url: str,
    root: str | os.PathLike,
    filename: str | os.PathLike | None = None,
    md5: str | None = None,
    max_redirect_hops: int = 3,
) -> None:
    """Fetch a file into the folder `root`.

    A file that is there with the right sum is kept. What an interrupted download left is continued. The file
    appears under its name only when it is whole and its sum is right.
    """
    folder = pathlib.Path(os.path.expanduser(root))
    target = folder / (filename or os.path.basename(urllib.parse.urlparse(url).path))
    if check_integrity(target, md5):
        return
    folder.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + ".part")
    fetch(url, part)
    if md5 is not None and not check_md5(part, md5):
        found = calculate_md5(part)
        part.unlink()
        raise RuntimeError(
            f"File not found or corrupted.\n{url} gave a file with the MD5 sum {found} where {md5} was "
            f"expected."
        )
    os.replace(part, target)


def _tar(mode: str) -> Callable[[str, str], None]:
    def extract(source: str, folder: str) -> None:
        with tarfile.open(source, mode) as archive:
            if hasattr(tarfile, "data_filter"):
                archive.extractall(folder, filter="data")
            else:  # Python before 3.11.4 cannot check by itself
                base = os.path.realpath(folder)
                for member in archive.getmembers():
                    place = os.path.realpath(os.path.join(folder, member.name))
                    if not place.startswith(base + os.sep) or not (member.isfile() or member.isdir()):
                        raise RuntimeError(
                            f"{source} has an entry that points out of its folder: {member.name}"
                        )
                archive.extractall(folder)

    return extract


def _zip(source: str, folder: str) -> None:
    with zipfile.ZipFile(source) as archive:
        archive.extractall(folder)


def extract_archive(
    from_path: str | os.PathLike, to_path: str | os.PathLike | None = None, remove_finished: bool = False
) -> str:
    """Unpack an archive (zip, tar in any compression) or a compressed file; returns where to."""
    source = os.fspath(from_path)
    folder = os.path.dirname(source) if to_path is None else os.fspath(to_path)
    lower = source.lower()
    if lower.endswith(".zip"):
        _zip(source, folder)
    elif lower.endswith((".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz")):
        _tar("r:*")(source, folder)
    else:
        openers = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
        stem, suffix = os.path.splitext(source)
        if suffix.lower() not in openers:
            raise RuntimeError(
                f"File '{source}' has no suffixes that could be used to detect the archive type and "
                f"compression."
            )
        folder = (
            os.path.join(folder, os.path.basename(stem))
            if to_path is None or os.path.isdir(folder)
            else folder
        )
        with openers[suffix.lower()](source, "rb") as packed, open(folder, "wb") as file:
            shutil.copyfileobj(packed, file)
    if remove_finished:
        os.remove(source)
    return folder


def download_and_extract_archive(
    url: str,
    download_root: str | os.PathLike,
    extract_root: str | os.PathLike | None = None,
    filename: str | os.PathLike | None = None,
    md5: str | None = None,
    remove_finished: bool = False,
) -> None:
    """`download_url`, then `extract_archive`."""
    root = os.path.expanduser(download_root)
    name = filename or os.path.basename(urllib.parse.urlparse(url).path)
    download_url(url, root, name, md5)
    extract_archive(os.path.join(root, name), extract_root or root, remove_finished)


def list_dir(root: str | os.PathLike, prefix: bool = False) -> list[str]:
    """The folders in a folder."""
    root = os.path.expanduser(root)
    names = [name for name in os.listdir(root) if os.path.isdir(os.path.join(root, name))]
    return [os.path.join(root, name) for name in names] if prefix else names


def list_files(root: str | os.PathLike, suffix: str | tuple[str, ...], prefix: bool = False) -> list[str]:
    """The files in a folder whose names end so."""
    root = os.path.expanduser(root)
    names = [n for n in os.listdir(root) if os.path.isfile(os.path.join(root, n)) and n.endswith(suffix)]
    return [os.path.join(root, name) for name in names] if prefix else names


def iterable_to_str(iterable: Iterable) -> str:
    """'a', 'b'"""
    return "'" + "', '".join(str(item) for item in iterable) + "'"


def verify_str_arg(
    value: str,
    arg: str | None = None,
    valid_values: Iterable[str] | None = None,
    custom_msg: str | None = None,
) -> str:
    """Check that an argument is one of some words; returns it."""
    if not isinstance(value, str):
        where = f" for argument {arg}" if arg else ""
        raise ValueError(f"Expected type str{where}, but got type {type(value)}.")
    if valid_values is not None and value not in valid_values:
        known = iterable_to_str(valid_values)
        raise ValueError(
            custom_msg or f"Unknown value '{value}' for argument {arg}. Valid values are {{{known}}}."
        )
    return value
