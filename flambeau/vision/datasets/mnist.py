"""MNIST and the data sets in its file format (IDX), plain or compressed with gzip."""

from __future__ import annotations

import gzip
import lzma
import math
import os
import pathlib
import string
import urllib.error
import zlib
from collections.abc import Callable
from typing import IO, Any

import numpy as np

import flambeau as fb

from .._pil import pil
from ..transforms._batch import transform_batch
from .utils import check_integrity, download_url, extract_archive, verify_str_arg
from .vision import VisionDataset

__all__ = ["EMNIST", "KMNIST", "MNIST", "QMNIST", "FashionMNIST"]

_PACKED = {b"\x1f\x8b": gzip.open, b"\xfd7zXZ\0": lzma.open}
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: str | os.PathLike) -> np.ndarray:
    """Read an IDX file: two zero bytes, type, number of dimensions, their sizes, then the numbers.

    A file packed by gzip or xz is unpacked. The format:
    yann.lecun.com/exdb/mnist.
    """
    with open(path, "rb") as file:
        start = file.read(6)
    packed = next((opener for mark, opener in _PACKED.items() if start.startswith(mark)), open)
    try:
        with packed(path, "rb") as file:
            head = file.read(4)
            if len(head) < 4 or head[:2] != b"\0\0" or head[2] not in _IDX_TYPES:
                raise ValueError(f"{path} is no IDX file: it begins with {head.hex(' ') or 'nothing'}")
            sizes = file.read(4 * head[3])
            if len(sizes) < 4 * head[3]:
                raise ValueError(f"{path} ends in its header")
            shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
            dtype = np.dtype(_IDX_TYPES[head[2]])
            count = math.prod(shape)
            data = _at_most(file, count * dtype.itemsize + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{path} is damaged: {error}") from error
    if len(data) != count * dtype.itemsize:
        raise ValueError(
            f"{path} announces {count} numbers of {dtype.itemsize} bytes, but has {len(data)} bytes of them"
        )
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def _at_most(file: IO[bytes], limit: int) -> bytearray:
    """What a file still has, but no more than `limit` bytes; takes memory as bytes come."""
    data = bytearray()
    while len(data) < limit and (part := file.read(min(limit - len(data), 1 << 24))):
        data += part
    return data


class MNIST(VisionDataset):
    """Handwritten digits: 60,000 pictures of 28 × 28 grey pixels to learn from, 10,000 to test.

    Parameters
    ----------
    root : the folder. Its files lie in ``root/MNIST/raw``, as torchvision puts them, or in `root` itself,
        plain or .gz.
    train : the training part, or the test part.
    transform, target_transform : applied to each PIL picture and each label.
    download : fetch the files if they are not there.

    A DataLoader with `ToTensor` and `Normalize` transforms reads whole batches at once.
    """

    mirrors = ["https://ossci-datasets.s3.amazonaws.com/mnist/", "http://yann.lecun.com/exdb/mnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
        ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
        ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
        ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
    ]
    classes = [
        "0 - zero", "1 - one", "2 - two", "3 - three", "4 - four", "5 - five", "6 - six", "7 - seven",
        "8 - eight", "9 - nine",
    ]  # fmt: skip

    def __init__(
        self,
        root: str | os.PathLike,
        train: bool = True,
        transform: Callable | None = None,
        target_transform: Callable | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        if download:
            self.download()
        if not self._check_exists():
            raise RuntimeError(
                "Dataset not found. You can use download=True to download it\n"
                f"{self._stem('images')} (or with .gz) is neither in {self.raw_folder} nor in {self.root}."
            )
        self.data, self.targets = self._load_data()

    def _stem(self, what: str) -> str:
        part, kind = ("train" if self.train else "t10k"), ("idx3" if what == "images" else "idx1")
        return f"{part}-{what}-{kind}-ubyte"

    def _find(self, name: str) -> str | None:
        """The file of that name, plain or packed, in the folders where it may be."""
        for folder in (self.raw_folder, os.fspath(self.root), os.path.join(self.root, "raw")):
            for suffix in ("", ".gz", ".xz"):
                path = os.path.join(folder, name + suffix)
                if os.path.isfile(path):
                    return path
        return None

    def _check_exists(self) -> bool:
        return all(self._find(self._stem(what)) for what in ("images", "labels"))

    def _load_data(self) -> tuple[fb.Tensor, fb.Tensor]:
        images, labels = (read_idx(self._find(self._stem(what))) for what in ("images", "labels"))
        if images.dtype != np.uint8 or images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
            raise ValueError(
                f"the files of {type(self).__name__} in {self.root} hold {images.shape} and {labels.shape}"
            )
        return fb.from_numpy(images), fb.from_numpy(labels.astype(np.int64))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(self.data[index].numpy()), int(self.targets[index])
        return self._transformed(image, target)

    def __getbatch__(self, indices: Any) -> Any:
        if self.target_transform is not None or type(self).__getitem__ is not MNIST.__getitem__:
            return NotImplemented
        index = indices if isinstance(indices, (slice, fb.Tensor)) else fb.tensor(indices, dtype=fb.int64)
        images = transform_batch(self.transform, self.data, index)
        return images if images is NotImplemented else [images, self.targets[index].clone()]

    def __len__(self) -> int:
        return len(self.data)

    @property
    def raw_folder(self) -> str:
        """Where the files are as they were fetched."""
        return os.path.join(self.root, type(self).__name__, "raw")

    @property
    def processed_folder(self) -> str:
        """Where older versions kept converted files."""
        return os.path.join(self.root, type(self).__name__, "processed")

    @property
    def class_to_idx(self) -> dict[str, int]:
        """The numbers of the classes by name."""
        return {name: i for i, name in enumerate(self.classes)}

    @property
    def train_labels(self) -> fb.Tensor:
        """The older name of `targets`."""
        return self.targets

    test_labels = train_labels

    @property
    def train_data(self) -> fb.Tensor:
        """The older name of `data`."""
        return self.data

    test_data = train_data

    def download(self) -> None:
        """Fetch what is missing from the first mirror that has it."""
        wanted = [os.path.splitext(name)[0] for name, _ in self.resources]
        if all(self._find(stem) for stem in wanted):
            return
        os.makedirs(self.raw_folder, exist_ok=True)
        for filename, md5 in self.resources:
            errors = []
            for mirror in self.mirrors:
                try:
                    download_url(f"{mirror}{filename}", self.raw_folder, filename, md5)
                    extract_archive(os.path.join(self.raw_folder, filename), self.raw_folder)
                    break
                except (urllib.error.URLError, OSError, RuntimeError) as error:
                    errors.append(f"Tried {mirror}{filename}, got: {error}")
            else:
                raise RuntimeError(f"Error downloading {filename}:\n" + "\n".join(errors))

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Pictures of clothes by Zalando, in the place of MNIST's digits. arXiv:1708.07747"""

    mirrors = ["http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
        ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
        ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
        ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
    ]
    classes = [
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
        "Ankle boot",
    ]  # fmt: skip


class KMNIST(MNIST):
    """Japanese characters in old handwriting, in the place of MNIST's digits. arXiv:1812.01718"""

    mirrors = ["http://codh.rois.ac.jp/kmnist/dataset/kmnist/"]
    resources = [
        ("train-images-idx3-ubyte.gz", "bdb82020997e1d708af4cf47b453dcf7"),
        ("train-labels-idx1-ubyte.gz", "e144d726b3acfaa3e44228e80efcd344"),
        ("t10k-images-idx3-ubyte.gz", "5c965bf0a639b31b8f53240b1b52f4d7"),
        ("t10k-labels-idx1-ubyte.gz", "7320c461ea6c1c855c0b718fb2a4b134"),
    ]
    classes = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


class EMNIST(MNIST):
    """Handwritten letters and digits of NIST. arXiv:1702.05373

    `split` is 'byclass', 'bymerge', 'balanced', 'letters', 'digits' or 'mnist'.
    """

    url = "https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip"
    md5 = "58c8d27c78d21e728a6bc7b3cc06412e"
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")
    _merged = set("cijklmopsuvwxyz")
    _all = set(string.digits + string.ascii_letters)
    classes_split_dict = {
        "byclass": sorted(_all),
        "bymerge": sorted(_all - _merged),
        "balanced": sorted(_all - _merged),
        "letters": ["N/A", *string.ascii_lowercase],
        "digits": list(string.digits),
        "mnist": list(string.digits),
    }

    def __init__(self, root: str | os.PathLike, split: str, **kwargs: Any) -> None:
        self.split = verify_str_arg(split, "split", self.splits)
        super().__init__(root, **kwargs)
        self.classes = self.classes_split_dict[self.split]

    def _stem(self, what: str) -> str:
        part, kind = ("train" if self.train else "test"), ("idx3" if what == "images" else "idx1")
        return f"emnist-{self.split}-{part}-{what}-{kind}-ubyte"

    def download(self) -> None:
        """Fetch and unpack the archive with all splits."""
        if self._check_exists():
            return
        folder = pathlib.Path(self.raw_folder)
        folder.mkdir(parents=True, exist_ok=True)
        if not check_integrity(folder / "gzip.zip", self.md5):
            download_url(self.url, folder, "gzip.zip", self.md5)
        extract_archive(folder / "gzip.zip", folder)
        for packed in (folder / "gzip").glob("*.gz"):
            os.replace(packed, folder / packed.name)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class QMNIST(MNIST):
    """MNIST made again from NIST's pictures, with 60,000 to test and what is known of each. arXiv:1905.10498

    Parameters
    ----------
    what : 'train', 'test' (all 60,000), 'test10k', 'test50k', or 'nist' (all 402,953); by default as `train`
        says.
    compat : labels are numbers as MNIST's; otherwise rows of eight: class, NIST's series, writer, …
    """

    subsets = {"train": "train", "test": "test", "test10k": "test", "test50k": "test", "nist": "nist"}
    mirrors = ["https://raw.githubusercontent.com/facebookresearch/qmnist/master/"]
    files = {
        "train": [
            ("qmnist-train-images-idx3-ubyte.gz", "ed72d4157d28c017586c42bc6afe6370"),
            ("qmnist-train-labels-idx2-int.gz", "0058f8dd561b90ffdd0f734c6a30e5e4"),
        ],
        "test": [
            ("qmnist-test-images-idx3-ubyte.gz", "1394631089c404de565df7b7aeaf9412"),
            ("qmnist-test-labels-idx2-int.gz", "5b5b05890a5e13444e108efe57b788aa"),
        ],
        "nist": [
            ("xnist-images-idx3-ubyte.xz", "7f124b3b8ab81486c9d8c2749c17f834"),
            ("xnist-labels-idx2-int.xz", "5ed0e788978e45d4a8bd4b7caec3d79d"),
        ],
    }

    def __init__(
        self,
        root: str | os.PathLike,
        what: str | None = None,
        compat: bool = True,
        train: bool = True,
        **kwargs: Any,
    ) -> None:
        what = ("train" if train else "test") if what is None else what
        self.what = verify_str_arg(what, "what", tuple(self.subsets))
        self.compat = compat
        self.resources = self.files[self.subsets[what]]
        super().__init__(root, train, **kwargs)

    def _stem(self, what: str) -> str:
        return os.path.splitext(self.resources[what == "labels"][0])[0]

    def _load_data(self) -> tuple[fb.Tensor, fb.Tensor]:
        images, labels = (read_idx(self._find(self._stem(what))) for what in ("images", "labels"))
        if images.dtype != np.uint8 or images.ndim != 3 or labels.ndim != 2 or len(images) != len(labels):
            raise ValueError(f"the files of QMNIST in {self.root} hold {images.shape} and {labels.shape}")
        part = {"test10k": slice(10000), "test50k": slice(10000, None)}.get(self.what, slice(None))
        return fb.from_numpy(images[part]), fb.from_numpy(labels[part].astype(np.int64))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image, target = pil().fromarray(self.data[index].numpy()), self.targets[index]
        if self.transform is not None:
            image = self.transform(image)
        if self.compat:
            target = int(target[0])
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def extra_repr(self) -> str:
        return f"Split: {self.what}"
