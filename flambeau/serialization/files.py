"""Files: writing one so that it is whole or not there, and saying what a file is that is no checkpoint."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
from collections.abc import Iterator
from typing import IO, Any

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SIGNATURES = (
    (b"\x1f\x8b", "gzip-compressed data: unpack it first"),
    (b"BZh", "bzip2-compressed data: unpack it first"),
    (b"\xfd7zXZ", "xz-compressed data: unpack it first"),
    (b"\x28\xb5\x2f\xfd", "zstd-compressed data: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file (Keras, older h5py weights)"),
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"%PDF", "a PDF document"),
    (b"GGUF", "a GGUF model of llama.cpp"),
    (b"\x93NUMPY", "a NumPy array: read it with numpy.load"),
    (b"\x08\x03\x12", "an ONNX model, it seems"),
    (b"version https://git-lfs", "a Git LFS pointer: the real file was not fetched (git lfs pull)"),
)


def describe(start: bytes) -> str:
    """What a file is that begins with these bytes, as far as that can be seen."""
    if not start:
        return "The file is empty."
    text = start.lstrip().lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "The file is an HTML or XML page, not a checkpoint: a download gave an error or a login page."
    for signature, what in _SIGNATURES:
        if start.startswith(signature):
            return f"The file is {what}."
    if len(start) > 9 and start[8:9] == b"{" and int.from_bytes(start[:8], "little") < 1 << 32:
        return "The file is in safetensors format: read it with safetensors."
    if all(byte >= 32 or byte in b"\t\r\n" for byte in start[:64]):
        return f"The file is text and begins with {start[:40].decode('latin-1')!r}."
    return f"The file begins with the bytes {start[:8].hex(' ')}, which no format known here has."


@contextlib.contextmanager
def replacing(path: str | os.PathLike, sync: bool = True) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` when the block ends well.

    The content goes to a temporary file beside it, is forced to the disk (unless `sync` is false) and then
    renamed: whoever looks, and whatever interrupts, finds the old content or the new one, never a part.
    What a killed process left beside the target goes with the next call. Links are followed; what is no
    regular file (a pipe, /dev/stdout) is written to directly.
    """
    target = os.path.realpath(os.fspath(path))
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise RuntimeError(f"Parent directory {os.path.dirname(os.fspath(path)) or '.'} does not exist.")
    if os.path.isdir(target):
        raise RuntimeError(f"open file failed with strerror: Is a directory\n{os.fspath(path)} is a folder.")
    if os.path.exists(target) and not os.path.isfile(target):
        with open(target, "wb") as file:
            yield file
        return
    try:
        descriptor, temporary = _open_beside(target)
    except OSError as error:
        raise RuntimeError(
            f"open file failed with strerror: {error.strerror}\n"
            f"No file can be made in the folder {folder}: choose another, or change its permissions."
        ) from error
    try:
        with os.fdopen(descriptor, "w+b") as file:
            try:
                yield file
                file.flush()
                if sync:
                    os.fsync(file.fileno())
                if os.path.exists(target):
                    os.chmod(temporary, os.stat(target).st_mode & 0o7777)
                os.replace(temporary, target)
            except BaseException:
                with contextlib.suppress(OSError):
                    os.unlink(temporary)  # here, while the lock keeps the name ours
                raise
    except OSError as error:
        if error.errno in _FULL:
            raise RuntimeError(
                f"PytorchStreamWriter failed writing file {target}: file write failed\n"
                f"{error.strerror}. What was there before is as it was."
            ) from error
        raise
    if sync:
        _sync_folder(folder)


def settle(*files: IO[bytes]) -> None:
    """Have the disk take what was written: files that belong together fail before one of them moves."""
    for file in files:
        file.flush()
        os.fsync(file.fileno())


def _open_beside(target: str) -> tuple[int, str]:
    """A new file beside `target`, locked while it is open, and its name: the first no living writer has."""
    names = (f"{target}.flambeau-{number}.tmp" for number in itertools.count())
    for name in names:
        while not os.path.lexists(name) or remove_abandoned(name):
            try:
                descriptor = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            except FileExistsError:
                continue
            if _lock(descriptor) is not False and os.fstat(descriptor).st_nlink:
                for following in names:  # several may have been killed at once
                    if not os.path.lexists(following) or not remove_abandoned(following):
                        break
                return descriptor, name
            os.close(descriptor)  # between the two calls another writer took it for abandoned
    raise AssertionError("unreachable")


def remove_abandoned(name: str) -> bool:
    """Delete what a writer left that lives no longer; whether `name` is free now.

    Who writes holds a lock, which ends with the process however it ends. Where the file system has no locks,
    nobody knows, and the file stays.
    """
    try:
        descriptor = os.open(name, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return True
    except OSError:
        return False  # somebody else's, or no file
    try:
        if not _lock(descriptor):
            return False
        # The lock is of the file that was opened; the name may be another one's by now.
        if not os.path.samestat(os.fstat(descriptor), os.stat(name, follow_symlinks=False)):
            return False
        os.unlink(name)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def _lock(descriptor: int) -> bool | None:
    """Lock a file; False where another holds it, None where files cannot be locked."""
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _sync_folder(folder: str) -> None:
    """Make a rename in this folder last through a power cut, where the system lets a folder be synced."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)


class Bounded:
    """Reads a binary file and never more than is there, whatever lengths its content claims."""

    def __init__(self, file: Any) -> None:
        self.file = file
        here = file.tell()
        self.end = file.seek(0, os.SEEK_END)
        file.seek(here)

    def read(self, size: int) -> bytes:
        """The next `size` bytes; EOFError where there are fewer."""
        if size < 0 or size > self.end - self.file.tell():
            raise EOFError(f"the file ends before {size} bytes that it announces")
        return self.file.read(size)

    def readline(self) -> bytes:
        """The next line with its end; EOFError where it has none."""
        line = self.file.readline(1 << 20)
        if not line.endswith(b"\n"):
            raise EOFError("the file ends in the middle of a line")
        return line

    def readinto(self, target: memoryview) -> None:
        """Fill `target`; EOFError where there are fewer bytes."""
        if len(target) > self.end - self.file.tell():
            raise EOFError(f"the file ends before {len(target)} bytes that it announces")
        while len(target):
            count = self.file.readinto(target)
            if not count:
                raise EOFError("the file ends too early")
            target = target[count:]

    def tell(self) -> int:
        """The place in the file."""
        return self.file.tell()
