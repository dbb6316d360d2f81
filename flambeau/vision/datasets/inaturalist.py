"""iNaturalist: photographs of plants, animals and fungi. github.com/visipedia/inat_comp"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from .folder import default_loader
from .utils import download_and_extract_archive, verify_str_arg
from .vision import VisionDataset

_RANKS = ("kingdom", "phylum", "class", "order", "family", "genus")
_URL = "https://ml-inat-competition-datasets.s3.amazonaws.com/"
_ARCHIVES = {
    "2017": ("2017/train_val_images.tar.gz", "7c784ea5e424efaec655bd392f87301f"),
    "2018": ("2018/train_val2018.tar.gz", "b1c6952ce38f31868cc50ea72d066cc3"),
    "2019": ("2019/train_val2019.tar.gz", "c60a6e2962c9b8ccbd458d12c8582644"),
    "2021_train": ("2021/train.tar.gz", "e0526d53c7f7b2e3167b2b43bb2690ed"),
    "2021_train_mini": ("2021/train_mini.tar.gz", "db6ed8330e634445efc8fec83ae81442"),
    "2021_valid": ("2021/val.tar.gz", "f6f6e0e242e3d4c9569ba56400938afc"),
}


class INaturalist(VisionDataset):
    """Pictures with the number of their species, or of a higher rank.

    Parameters
    ----------
    version : '2017', '2018', '2019', '2021_train', '2021_train_mini' or '2021_valid'; the folder in `root`.
    target_type : one or several of 'full' (the species) and, in 2021, 'kingdom', 'phylum', 'class', 'order',
        'family' and 'genus', before also 'super'. Several give a tuple, none of them None.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        version: str = "2021_train",
        target_type: list[str] | str = "full",
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
        loader: Callable[[str], Any] | None = None,
    ) -> None:
        self.version = verify_str_arg(version, "version", tuple(_ARCHIVES))
        super().__init__(os.path.join(root, version), transform=transform, target_transform=target_transform)
        os.makedirs(root, exist_ok=True)
        if download:
            self.download()
        if not os.path.isdir(self.root):
            raise RuntimeError("Dataset not found or corrupted. You can use download=True to download it")
        self.loader = loader or default_loader
        self.all_categories: list[str] = []
        self.categories_index: dict[str, dict[str, int]] = {}  # rank -> name -> number
        self.categories_map: list[dict[str, int]] = []  # species -> rank -> number
        ranks = ("full", *_RANKS) if version.startswith("2021") else ("full", "super")
        chosen = [target_type] if isinstance(target_type, str) else list(target_type)
        self.target_type = [verify_str_arg(rank, "target_type", ranks) for rank in chosen]
        if version.startswith("2021"):
            self._read_2021()
        else:
            self._read_before()
        self.index = [
            (number, name)
            for number, category in enumerate(self.all_categories)
            for name in sorted(os.listdir(os.path.join(self.root, category)))
        ]

    def _read_2021(self) -> None:
        """Folders are called 00000_Kingdom_Phylum_Class_Order_Family_Genus_epithet."""
        self.all_categories = sorted(os.listdir(self.root))
        self.categories_index = {rank: {} for rank in _RANKS}
        for name in self.all_categories:
            pieces = name.split("_")
            if len(pieces) != 8:
                raise RuntimeError(f"Unexpected category name {name}, wrong number of pieces")
            if pieces[0] != f"{len(self.categories_map):05d}":
                raise RuntimeError(
                    f"Unexpected category id {pieces[0]}, expecting {len(self.categories_map):05d}"
                )
            numbers = {}
            for rank, piece in zip(_RANKS, pieces[1:7], strict=True):
                known = self.categories_index[rank]
                numbers[rank] = known.setdefault(piece, len(known))
            self.categories_map.append(numbers)

    def _read_before(self) -> None:
        """Folders of groups hold folders of species, called by names (2017) or numbers."""
        groups = {name: i for i, name in enumerate(sorted(os.listdir(self.root)))}
        self.categories_index["super"] = groups
        for group, number in groups.items():
            for species in sorted(os.listdir(os.path.join(self.root, group))):
                self.all_categories.append(os.path.join(group, species))
                self.categories_map.append({"super": number})
        names = [os.path.basename(category) for category in self.all_categories]
        if all(name.isdigit() for name in names) and sorted(map(int, names)) == list(range(len(names))):
            order = sorted(range(len(names)), key=lambda i: int(names[i]))
            self.all_categories = [self.all_categories[i] for i in order]
            self.categories_map = [self.categories_map[i] for i in order]

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        number, name = self.index[index]
        picture = self.loader(os.path.join(self.root, self.all_categories[number], name))
        target: Any = tuple(
            number if rank == "full" else self.categories_map[number][rank] for rank in self.target_type
        )
        if len(target) < 2:
            target = target[0] if target else None
        if self.transform is not None:
            picture = self.transform(picture)
        if target is not None and self.target_transform is not None:
            target = self.target_transform(target)
        return picture, target

    def __len__(self) -> int:
        return len(self.index)

    def category_name(self, category_type: str, category_id: int) -> str:
        """The name of a species ('full') or of a member of a higher rank."""
        if category_type == "full":
            return self.all_categories[category_id]
        if category_type not in self.categories_index:
            raise ValueError(f"Invalid category type '{category_type}'")
        for name, number in self.categories_index[category_type].items():
            if number == category_id:
                return name
        raise ValueError(f"Invalid category id {category_id} for {category_type}")

    def download(self) -> None:
        """Fetch and unpack the archive of this version."""
        folder = os.path.dirname(self.root)
        if os.path.isdir(self.root):
            return
        path, md5 = _ARCHIVES[self.version]
        name = os.path.basename(path)
        download_and_extract_archive(_URL + path, folder, filename=f"{self.version}.tgz", md5=md5)
        os.rename(os.path.join(folder, name.removesuffix(".tar.gz")), self.root)
