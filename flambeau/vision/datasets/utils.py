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
import zlib
from collections.abc import Callable, Iterable
from typing import Any

from flambeau.serialization.files import replacing
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


GOOGLE_DRIVE = "https://drive.usercontent.google.com/download?id={}&export=download&confirm=t"


def download_file_from_google_drive(
    file_id: str, root: str | os.PathLike, filename: str | os.PathLike | None = None, md5: str | None = None
) -> None:
    """`download_url` of a file on Google Drive, by its number there."""
    name = os.fspath(filename or file_id)
    download_url(GOOGLE_DRIVE.format(file_id), root, name, md5)
    target = os.path.join(os.path.expanduser(root), name)
    with open(target, "rb") as file:
        start = file.read(256).lstrip().lower()
    if md5 is None and start.startswith((b"<!doctype html", b"<html")):
        os.remove(target)
        raise RuntimeError(
            f"The file {file_id} of Google Drive gave a web page: it has been fetched too often today, or is "
            "not public."
        )


def _extract_tar(source: str, folder: str) -> None:
    with tarfile.open(source, "r:*") as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
            return
        base = os.path.realpath(folder)  # Python before 3.11.4 cannot check by itself
        for member in archive.getmembers():
            place = os.path.realpath(os.path.join(folder, member.name))
            if not place.startswith(base + os.sep) or not (member.isfile() or member.isdir()):
                raise RuntimeError(f"{source} has an entry that points out of its folder: {member.name}")
        archive.extractall(folder)


def _extract_zip(source: str, folder: str) -> None:
    with zipfile.ZipFile(source) as archive:
        # zipfile makes no links and keeps names within the folder; what it unpacks to must fit on the disk
        needed = sum(entry.file_size for entry in archive.infolist())
        os.makedirs(folder, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise RuntimeError(f"{source} unpacks to {needed} bytes, but {folder} has room for {free}")
        archive.extractall(folder)


def _unpack_file(source: str, target: str, opener: Callable) -> None:
    if os.path.getsize(source) == 0:
        raise EOFError("it is empty")
    with opener(source, "rb") as packed, replacing(target) as file:
        shutil.copyfileobj(packed, file)


_TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tbz", ".tar.xz")
_OPENERS = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)


def extract_archive(
    from_path: str | os.PathLike, to_path: str | os.PathLike | None = None, remove_finished: bool = False
) -> str:
    """Unpack an archive (zip, tar in any compression) or a compressed file; returns where to.

    Nothing is written outside of that folder, whatever the archive says; a compressed file appears when it is
    whole.
    """
    source = os.fspath(from_path)
    folder = os.path.dirname(source) if to_path is None else os.fspath(to_path)
    stem, suffix = os.path.splitext(source)
    lower = source.lower()
    try:
        if lower.endswith(".zip"):
            _extract_zip(source, folder)
        elif lower.endswith(_TAR_ENDINGS):
            _extract_tar(source, folder)
        elif suffix.lower() in _OPENERS:
            if to_path is None or os.path.isdir(folder):
                folder = os.path.join(folder, os.path.basename(stem))
            _unpack_file(source, folder, _OPENERS[suffix.lower()])
        else:
            raise RuntimeError(
                f"File '{source}' has no suffixes that could be used to detect the archive type and "
                "compression."
            )
    except _DAMAGE as error:
        raise RuntimeError(f"{source} cannot be unpacked: {error}") from error
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
