"""The pictures that the demo saves, drawn with Pillow."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.vision._pil import pil

_INK, _GREY, _RIGHT, _WRONG, _BLUE = (
    (34, 34, 34),
    (150, 150, 150),
    (30, 130, 76),
    (200, 40, 40),
    (36, 92, 190),
)


def _font(size: int) -> Any:
    return pil("ImageFont").load_default(size)


def predictions(
    path: str | os.PathLike,
    images: fb.Tensor,
    truth: Sequence[int],
    guesses: Sequence[int],
    sure: Sequence[float],
    classes: Sequence[str],
    title: str,
    across: int = 10,
    scale: int = 3,
) -> None:
    """A sheet of pictures [N, 28, 28], each with what the network takes it for; mistakes in red with the
    truth.
    """
    cell_width, cell_height, top = 28 * scale + 22, 28 * scale + 44, 52
    down = -(-len(images) // across)
    sheet = pil().new("RGB", (across * cell_width + 20, down * cell_height + top + 10), "white")
    draw = pil("ImageDraw").Draw(sheet)
    draw.text((16, 14), title, fill=_INK, font=_font(20))
    for k, picture in enumerate(images):
        y, x = divmod(k, across)
        left, upper = 16 + x * cell_width, top + y * cell_height
        # dark ink on light paper is easier to read than the data's white on black
        image = pil().fromarray(255 - picture.numpy()).resize((28 * scale, 28 * scale), 0)
        sheet.paste(image, (left, upper))
        right = truth[k] == guesses[k]
        colour = _RIGHT if right else _WRONG
        draw.rectangle(
            (left - 1, upper - 1, left + 28 * scale, upper + 28 * scale),
            outline=colour,
            width=1 if right else 3,
        )
        text = classes[guesses[k]] + ("" if right else f", is {classes[truth[k]]}")
        draw.text((left, upper + 28 * scale + 4), text, fill=colour, font=_font(13))
        draw.text((left, upper + 28 * scale + 20), f"{100 * sure[k]:.0f} % sure", fill=_GREY, font=_font(11))
    sheet.save(path)


def _panel(
    draw: Any,
    box: tuple[int, int, int, int],
    title: str,
    series: Sequence[tuple[str, Sequence[float], tuple]],
    length: float,
    low: float,
    high: float,
    label: str,
    legend: float = 0.0,
) -> None:
    left, top, right, bottom = box
    draw.text((left, top - 26), title, fill=_INK, font=_font(16))
    span = (high - low) or 1.0
    for step in range(5):
        value = low + span * step / 4
        y = bottom - (bottom - top) * step / 4
        draw.line((left, y, right, y), fill=(228, 228, 228))
        draw.text((left - 8, y), label.format(value), fill=_GREY, font=_font(12), anchor="rm")
    for step in range(6):
        x = left + (right - left) * step / 5
        draw.text((x, bottom + 6), f"{length * step / 5:.3g}", fill=_GREY, font=_font(12), anchor="ma")
    draw.text((right, bottom + 24), "epochs", fill=_GREY, font=_font(12), anchor="ra")
    for k, (name, values, colour) in enumerate(series):
        count = len(values)
        points = [
            (
                left + (right - left) * (i + 1) / count,
                bottom - (bottom - top) * (min(max(v, low), high) - low) / span,
            )
            for i, v in enumerate(values)
        ]
        if count > 1:
            draw.line(points, fill=colour, width=2, joint="curve")
        for x, y in points if count <= 60 else ():
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=colour)
        y = top + 8 + 18 * k + legend * (bottom - top)
        draw.text((right - 8, y), name, fill=colour, font=_font(13), anchor="ra")


def curves(
    path: str | os.PathLike,
    losses: Sequence[float],
    smoothed: Sequence[float],
    train: Sequence[float],
    test: Sequence[float],
    title: str,
) -> None:
    """The loss of every step, and the accuracy (0..1) after every epoch."""
    sheet = pil().new("RGB", (1000, 420), "white")
    draw = pil("ImageDraw").Draw(sheet)
    draw.text((20, 14), title, fill=_INK, font=_font(20))
    top_loss = max(smoothed) * 1.05
    series = [
        ("every step", [min(v, top_loss) for v in losses], (200, 214, 238)),
        ("running mean", smoothed, _BLUE),
    ]
    _panel(draw, (70, 90, 480, 370), "loss", series, len(test), 0.0, top_loss, "{:.2f}")
    lowest = max(0.0, min([*train, *test]) - 0.01)
    accuracy = [("test", test, _RIGHT), ("training", train, _BLUE)]
    _panel(draw, (560, 90, 970, 370), "accuracy", accuracy, len(test), lowest, 1.0, "{:.1%}", 0.8)
    sheet.save(path)
