"""The ratios as a picture: a bar for each workload on a logarithmic scale, with the mean of each group."""

from __future__ import annotations

import math
from itertools import groupby

from PIL import Image, ImageDraw, ImageFont

ROW, NAMES, WIDTH, MARGIN = 15, 330, 560, 14  # pixels
LEAST, MOST = 0.25, 64.0
FASTER, SLOWER, MEAN, GRID, INK = "#2f7d5b", "#c0562f", "#1c4f8c", "#dddddd", "#222222"


def _place(ratio: float) -> float:
    """Where a ratio lies on the scale, from 0 to WIDTH."""
    part = math.log(min(max(ratio, LEAST), MOST) / LEAST) / math.log(MOST / LEAST)
    return part * WIDTH


def draw(bars: list[tuple[str, str, float]], means: dict[str, float], against: str) -> Image.Image:
    """A picture of ``(group, workload, ratio)``, groups in their order, bars from 1 to the ratio."""
    rows = len(bars) + 2 * len(means) + 3
    image = Image.new("RGB", (NAMES + WIDTH + 70 + 2 * MARGIN, rows * ROW + 2 * MARGIN), "white")
    pen, font = ImageDraw.Draw(image), ImageFont.load_default(11)
    bold = ImageFont.load_default(13)
    left, top = MARGIN + NAMES, MARGIN + 2 * ROW
    pen.text((MARGIN, MARGIN), f"time of {against} / time of flambeau (right of 1: faster)", INK, bold)
    ratio = LEAST
    while ratio <= MOST:
        x = left + _place(ratio)
        pen.line([(x, top), (x, image.height - MARGIN)], GRID if ratio != 1 else INK)
        pen.text((x, top - ROW), f"{ratio:g}", INK, font, anchor="ma")
        ratio *= 2
    y = top
    for group, members in groupby(bars, key=lambda bar: bar[0]):
        pen.text((MARGIN, y + ROW // 2), group, MEAN, bold)
        _bar(pen, left, y + ROW // 2, means[group], MEAN, font)
        y += 2 * ROW
        for _, name, value in members:
            pen.text((left - 6, y), name, INK, font, anchor="ra")
            _bar(pen, left, y, value, FASTER if value >= 1 else SLOWER, font)
            y += ROW
    return image


def _bar(pen: ImageDraw.ImageDraw, left: int, y: int, ratio: float, colour: str, font: object) -> None:
    one, end = left + _place(1.0), left + _place(ratio)
    pen.rectangle([min(one, end), y + 2, max(one, end), y + ROW - 3], colour)
    pen.text((max(one, end) + 4, y), f"{ratio:.2g}" if ratio < 10 else f"{ratio:.0f}", INK, font)
