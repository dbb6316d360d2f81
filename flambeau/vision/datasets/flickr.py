"""Flickr8k and Flickr30k: photographs with five descriptions each. shannon.cs.illinois.edu/DenotationGraph"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

from .folder import default_loader
from .vision import VisionDataset


class _Page(HTMLParser):
    """Reads the table of Flickr8k's page: in a row the link to a picture, then a list of texts."""

    def __init__(self) -> None:
        super().__init__()
        self.captions: dict[str, list[str]] = {}
        self._picture: str | None = None
        self._text: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self._picture = None
        elif tag == "a" and self._picture is None:
            link = dict(attrs).get("href") or ""
            self._picture = link.rstrip("/").rpartition("/")[2] or None
        elif tag == "li":
            self._finish()
            self._text = []

    def handle_endtag(self, tag: str) -> None:
        if tag in ("li", "ul", "td"):
            self._finish()

    def handle_data(self, data: str) -> None:
        if self._text is not None:
            self._text.append(data)

    def _finish(self) -> None:
        if self._text is not None and self._picture is not None:
            self.captions.setdefault(self._picture, []).append("".join(self._text).strip())
        self._text = None


class _Flickr(VisionDataset):
    """Base: `annotations` holds the descriptions of each picture."""

    annotations: dict[str, list[str]]
    ids: list[str]

    def __init__(
        self,
        root: str | os.PathLike,
        ann_file: str,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        loader: Callable[[str], Any] = default_loader,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.loader = loader
        self.ann_file = os.path.expanduser(ann_file)
        self.annotations = self._read()
        self.ids = sorted(self.annotations)

    def _read(self) -> dict[str, list[str]]:
        raise NotImplementedError

    def _path(self, name: str) -> str:
        return os.path.join(self.root, name)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        name = self.ids[index]
        return self._transformed(self.loader(self._path(name)), self.annotations[name])

    def __len__(self) -> int:
        return len(self.ids)


class Flickr8k(_Flickr):
    """Pictures with lists of descriptions; `ann_file` is the HTML page that names them."""

    def _read(self) -> dict[str, list[str]]:
        page = _Page()
        with open(self.ann_file) as file:
            page.feed(file.read())
        # a link ends in the number with which the file's name begins
        files = {
            name.partition("_")[0]: name for name in sorted(os.listdir(self.root)) if name.endswith(".jpg")
        }
        return {
            os.path.join(self.root, files[number]): captions
            for number, captions in page.captions.items()
            if number in files
        }

    def _path(self, name: str) -> str:
        return name


class Flickr30k(_Flickr):
    """Pictures with lists of descriptions; a line of `ann_file` is ``name.jpg#number<tab>description``."""

    def _read(self) -> dict[str, list[str]]:
        found = defaultdict(list)
        with open(self.ann_file, encoding="utf-8") as file:
            for line in file:
                name, _, caption = line.strip().partition("\t")
                if name:
                    found[name[:-2]].append(caption)
        return dict(found)
