"""Data sets of texts and their labels, from files."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from flambeau.utils.data import Dataset

__all__ = ["Fortunes", "TextDataset", "TextFolder", "TextTable"]

FORTUNES = "/usr/share/games/fortunes"  # where Debian's packages fortunes and fortunes-min put them


class TextDataset(Dataset):
    """Texts and the numbers of their classes; an item is (text, number).

    Parameters
    ----------
    texts, targets : of equal length.
    classes : the names of the classes.
    transform : applied to each text, once, when it is first asked for.
    """

    def __init__(
        self,
        texts: Sequence[str],
        targets: Sequence[int],
        classes: Sequence[str],
        transform: Callable[[str], Any] | None = None,
    ) -> None:
        if len(texts) != len(targets):
            raise ValueError(f"{len(texts)} texts, but {len(targets)} labels")
        self.texts, self.targets, self.classes = list(texts), list(targets), list(classes)
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.transform = transform
        self._done: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if self.transform is None:
            return self.texts[index], self.targets[index]
        if index not in self._done:
            self._done[index] = self.transform(self.texts[index])
        return self._done[index], self.targets[index]

    def counts(self) -> dict[str, int]:
        """How many texts each class has."""
        counted = Counter(self.targets)
        return {name: counted[number] for number, name in enumerate(self.classes)}


class TextFolder(TextDataset):
    """Texts in a folder for each class: ``root/class/file.txt``.

    Parameters
    ----------
    root : the folder of folders; their names in alphabetical order are the classes.
    transform : applied to each text.
    extensions : of the files.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable[[str], Any] | None = None,
        extensions: Sequence[str] = (".txt",),
        encoding: str = "utf-8",
    ) -> None:
        folders = sorted(path for path in Path(root).iterdir() if path.is_dir())
        if not folders:
            raise FileNotFoundError(f"{root} has no folders; each class of texts should be in one")
        self.files: list[Path] = []
        targets = []
        for number, folder in enumerate(folders):
            files = sorted(p for p in folder.rglob("*") if p.suffix.lower() in extensions and p.is_file())
            if not files:
                raise FileNotFoundError(f"{folder} has no files ending in {', '.join(extensions)}")
            self.files += files
            targets += [number] * len(files)
        texts = [path.read_text(encoding=encoding) for path in self.files]
        super().__init__(texts, targets, [folder.name for folder in folders], transform)


class TextTable(TextDataset):
    """Texts in the rows of a CSV or TSV file.

    Parameters
    ----------
    path : the file; its first row names the columns.
    text, label : names of the columns, or their numbers, then the file has no row of names. Several columns
        of text are joined by a space.
    delimiter : by default a tab for .tsv and .tab files, else a comma.
    transform : applied to each text.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        text: str | int | Sequence[str] | Sequence[int] = "text",
        label: str | int = "label",
        delimiter: str | None = None,
        transform: Callable[[str], Any] | None = None,
        encoding: str = "utf-8",
    ) -> None:
        path = Path(path)
        if delimiter is None:
            delimiter = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
        columns = [text] if isinstance(text, (str, int)) else list(text)
        usual = csv.field_size_limit(1 << 30)  # of all readers: long texts are meant to be read
        try:
            with open(path, newline="", encoding=encoding) as file:
                rows = [row for row in csv.reader(file, delimiter=delimiter) if row]
        finally:
            csv.field_size_limit(usual)
        if not rows:
            raise ValueError(f"{path} is empty")
        names = None if isinstance(label, int) else rows.pop(0)
        places = [_place(path, names, column, rows) for column in [*columns, label]]
        labels = []
        texts = []
        for number, row in enumerate(rows, 1 if names is None else 2):
            if len(row) <= max(places):
                raise ValueError(
                    f"{path}, row {number}: {len(row)} columns, column {max(places)} is asked for"
                )
            texts.append(" ".join(row[place] for place in places[:-1]))
            labels.append(row[places[-1]])
        classes = sorted(set(labels), key=_natural)
        number_of = {name: number for number, name in enumerate(classes)}
        super().__init__(texts, [number_of[name] for name in labels], classes, transform)


def _place(path: Path, names: list[str] | None, column: str | int, rows: list[list[str]]) -> int:
    if isinstance(column, int):
        return column
    if names is None or column not in names:
        raise ValueError(f"{path} has no column {column!r}; it has {', '.join(names or [])}")
    return names.index(column)


def _natural(name: str) -> tuple[int, float, str]:
    return (0, float(name), "") if name.lstrip("-").isdigit() else (1, 0.0, name)


class Fortunes(TextDataset):
    """Sayings sorted by topic, as the program fortune shows them: each file is a topic.

    Parameters
    ----------
    root : the folder; by default where Debian's package fortunes puts it.
    topics : which; by default all files in the folder.
    longest : leave out texts with more characters.
    transform : applied to each text.
    """

    def __init__(
        self,
        root: str | os.PathLike | None = None,
        topics: Sequence[str] | None = None,
        longest: int | None = None,
        transform: Callable[[str], Any] | None = None,
    ) -> None:
        folder = Path(root or FORTUNES)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} is not there: apt install fortunes, or give the folder as root"
            )
        if topics is None:
            topics = sorted(p.name for p in folder.iterdir() if p.is_file() and not p.suffix)
        texts, targets = [], []
        for number, topic in enumerate(topics):
            for text in read_fortunes(folder / topic):
                if longest is None or len(text) <= longest:
                    texts.append(text)
                    targets.append(number)
        super().__init__(texts, targets, topics, transform)


def read_fortunes(path: str | os.PathLike) -> list[str]:
    """The texts in a file of fortunes: lines with only a ``%`` stand between them."""
    texts: list[list[str]] = [[]]
    for line in Path(path).read_text(encoding="utf-8").split("\n"):
        if line == "%":
            texts.append([])
        else:
            texts[-1].append(line)
    return [text for lines in texts if (text := "\n".join(lines).strip("\n"))]
