"""Fetching a file over the network: in pieces, continuing what an interrupted download left."""

from __future__ import annotations

import os
import pathlib
import sys
import urllib.error
import urllib.parse
import urllib.request

_CHUNK = 1 << 18
_TIMEOUT = 30.0
_ATTEMPTS = 3


class Progress:
    """A line on the terminal that says how far a download is; nothing where the output is no terminal."""

    def __init__(self, name: str, total: int | None, wanted: bool = True) -> None:
        self.name, self.total, self.shown = name, total, -1
        self.active = wanted and sys.stderr.isatty()

    def show(self, done: int) -> None:
        percent = 100 * done // self.total if self.total else done >> 20
        if self.active and percent != self.shown:
            self.shown = percent
            unit = "%" if self.total else " MB"
            print(f"\r{self.name}: {percent}{unit}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        if self.active and self.shown >= 0:
            print(file=sys.stderr)


class PlainBar:
    """What `tqdm` is where that package is missing: a count of bytes on one line of the terminal.

    Parameters
    ----------
    total : how many there will be.
    disable : whether to be silent.
    unit, *args, **kwargs : of `tqdm`'s, which change nothing.
    """

    def __init__(
        self, total: int | None = None, disable: bool = False, unit: str | None = None, *args: object,
        **kwargs: object,
    ) -> None:  # fmt: skip
        self.total, self.disable, self.n = total, disable, 0

    def update(self, n: int) -> None:
        """Count `n` more."""
        if self.disable:
            return
        self.n += n
        said = f"{self.n:.1f} bytes" if self.total is None else f"{100 * self.n / float(self.total):.1f}%"
        print(f"\r{said}", end="", file=sys.stderr, flush=True)

    def set_description(self, *args: object, **kwargs: object) -> None:
        """Nothing: there is no room for it."""

    def write(self, s: str) -> None:
        """Print a line."""
        print(s, file=sys.stderr)

    def close(self) -> None:
        """End the line."""
        self.disable = True

    def __enter__(self) -> PlainBar:
        return self

    def __exit__(self, *error: object) -> None:
        if not self.disable:
            print(file=sys.stderr)


PlainBar.__name__ = PlainBar.__qualname__ = "tqdm"


def bar() -> type:
    """`tqdm` of the package of that name where it is installed, else `PlainBar`."""
    try:
        from tqdm.auto import tqdm
    except ImportError:
        return PlainBar
    return tqdm


def request(url: str, headers: dict[str, str] | None = None) -> urllib.request.Request:
    """A request that says who asks."""
    return urllib.request.Request(url, headers={"User-Agent": "flambeau", **(headers or {})})


def _fetch_once(url: str, part: pathlib.Path, progress: bool) -> None:
    # A beginning is continued only where the server can tell that the file is still the one it began.
    tag = part.with_name(part.name + ".tag")
    known = tag.read_text() if tag.exists() and part.exists() else ""
    done = part.stat().st_size if known else 0
    headers = {"Range": f"bytes={done}-", "If-Range": known} if done else None
    with urllib.request.urlopen(request(url, headers), timeout=_TIMEOUT) as response:
        if response.status != 206:
            done = 0  # the server sends the whole file
            tag.write_text(response.headers.get("ETag") or response.headers.get("Last-Modified") or "")
        length = response.headers.get("Content-Length")
        total = done + int(length) if length is not None else None
        bar = Progress(os.path.basename(urllib.parse.urlparse(url).path), total, progress)
        with open(part, "ab" if done else "wb") as file:
            while chunk := response.read(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                bar.show(done)
        bar.close()
    if total is not None and done < total:
        raise urllib.error.ContentTooShortError(f"{url} ended after {done} of {total} bytes", b"")
    tag.unlink(missing_ok=True)


def fetch(url: str, part: pathlib.Path, progress: bool = True) -> None:
    """Bring `url` into the file `part`, which may hold its beginning already; tries again when the line
    breaks.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return _fetch_once(url, part, progress)
        except urllib.error.HTTPError as error:
            if error.code != 416 or attempt == _ATTEMPTS - 1:
                raise
            part.unlink(missing_ok=True)  # what is there is no beginning of the file
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            if attempt == _ATTEMPTS - 1:
                raise
