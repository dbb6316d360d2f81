"""Grids of pictures and pictures in files."""

import io

import pytest

import flambeau as fb
from flambeau.vision import utils


def test_make_grid():
    images = fb.arange(5.0).reshape(5, 1, 1, 1).expand(5, 3, 2, 3)
    grid = utils.make_grid(images, nrow=3, padding=1, pad_value=9)
    assert grid.shape == (3, 7, 13)
    assert grid[0, 1].tolist() == [9, 0, 0, 0, 9, 1, 1, 1, 9, 2, 2, 2, 9]
    assert grid[0, 4].tolist() == [9, 3, 3, 3, 9, 4, 4, 4, 9, 9, 9, 9, 9]
    assert utils.make_grid(images, normalize=True).max().item() == 1
    assert utils.make_grid([fb.zeros(1, 4, 4)] * 2).shape == (3, 8, 14)
    with pytest.raises(TypeError, match=r"tensor or list of tensors expected"):
        utils.make_grid("x")


def test_save_image(tmp_path):
    image = pytest.importorskip("PIL.Image")
    utils.save_image(fb.full((3, 4, 5), 0.5), tmp_path / "a.png")
    with image.open(tmp_path / "a.png") as saved:
        assert saved.size == (5, 4) and saved.getpixel((0, 0)) == (128, 128, 128)
    buffer = io.BytesIO()
    utils.save_image(fb.zeros(2, 1, 4, 4), buffer, format="png", padding=0)
    assert buffer.getvalue().startswith(b"\x89PNG")
