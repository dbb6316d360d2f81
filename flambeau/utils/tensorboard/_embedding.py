"""The files that TensorBoard's projector reads: vectors, their labels, their pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ._summaries import png, to_numpy


def write(
    folder: Path,
    place: str,
    name: str,
    vectors: Any,
    labels: Sequence[Any] | None,
    header: Sequence[str] | None,
    pictures: Any,
) -> str:
    """Write an embedding into ``folder/place``; returns its entry for the projector's configuration."""
    array = to_numpy(vectors)
    if array.ndim != 2:
        raise ValueError(f"add_embedding: mat must be [count, features], not {array.shape}")
    (folder / place).mkdir(parents=True, exist_ok=True)
    entry = [f'  tensor_name: "{name}"']
    if labels is not None:
        if len(labels) != len(array):
            raise ValueError(f"add_embedding: {len(labels)} labels for {len(array)} vectors")
        rows = [list(map(str, row)) if header else [str(row)] for row in labels]
        rows = [list(header), *rows] if header else rows
        text = "".join("\t".join(row) + "\n" for row in rows)
        (folder / place / "metadata.tsv").write_text(text, encoding="utf-8")
        entry.append(f'  metadata_path: "{place}/metadata.tsv"')
    if pictures is not None:
        sheet = to_numpy(pictures)
        if len(sheet) != len(array):
            raise ValueError(f"add_embedding: {len(sheet)} pictures for {len(array)} vectors")
        (folder / place / "sprite.png").write_bytes(png(_sprite(sheet)))
        height, width = sheet.shape[2:]
        entry += [
            "  sprite {",
            f'    image_path: "{place}/sprite.png"',
            f"    single_image_dim: {width}",
            f"    single_image_dim: {height}",
            "  }",
        ]
    lines = "".join("\t".join(map(str, row)) + "\n" for row in array.tolist())
    (folder / place / "tensors.tsv").write_text(lines)
    entry.append(f'  tensor_path: "{place}/tensors.tsv"')
    return "\n".join(["embeddings {", *entry, "}", ""])


def _sprite(pictures: np.ndarray) -> np.ndarray:
    """Pictures [count, channels, height, width] in a square of rows, as bytes [.., .., channels]."""
    if pictures.dtype != np.uint8:
        pictures = np.clip(pictures * 255, 0, 255).astype(np.uint8)
    count, channels, height, width = pictures.shape
    side = math.ceil(math.sqrt(count))
    sheet = np.zeros((side * side, channels, height, width), np.uint8)
    sheet[:count] = pictures
    return (
        sheet.reshape(side, side, channels, height, width)
        .transpose(0, 3, 1, 4, 2)
        .reshape(side * height, side * width, channels)
    )
