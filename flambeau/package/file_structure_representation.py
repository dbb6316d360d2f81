"""The files of a package as a tree."""

from __future__ import annotations

from .glob_group import GlobGroup, GlobPattern

__all__ = ["Directory"]


class Directory:
    """A folder or a file of a package; prints as a tree.

    Parameters
    ----------
    name : its name, without those of the folders around it.
    is_dir : whether it is a folder.
    """

    def __init__(self, name: str, is_dir: bool) -> None:
        self.name = name
        self.is_dir = is_dir
        self.children: dict[str, Directory] = {}

    def _add_file(self, file_path: str) -> None:
        *folders, name = file_path.split("/")
        place = self
        for folder in folders:
            place = place.children.setdefault(folder, Directory(folder, True))
        place.children[name] = Directory(name, False)

    def has_file(self, filename: str) -> bool:
        """Whether there is a file or folder of this path, such as ``"sub/module.py"``."""
        place: Directory | None = self
        for part in filename.split("/"):
            place = place.children.get(part) if place is not None else None
        return place is not None

    def __str__(self) -> str:
        lines: list[str] = []
        self._print(lines, "", "─── ")
        return "".join(lines)

    def _print(self, lines: list[str], before: str, branch: str) -> None:
        lines.append(f"{before}{branch}{self.name}\n")
        before += {"─── ": "    ", "├── ": "│   ", "└── ": "    "}[branch]
        children = sorted(self.children.values(), key=lambda child: (not child.is_dir, child.name))
        for child in children:
            child._print(lines, before, "└── " if child is children[-1] else "├── ")


def _create_directory_from_file_list(
    filename: str, file_list: list[str], include: GlobPattern = "**", exclude: GlobPattern = ()
) -> Directory:
    wanted = GlobGroup(include, exclude=exclude, separator="/")
    top = Directory(filename, True)
    for file in file_list:
        if wanted.matches(file):
            top._add_file(file)
    return top
