"""A curve in the terminal, drawn with the dots of braille characters."""

from __future__ import annotations

from collections.abc import Sequence

_DOTS = (
    (0x01, 0x08),
    (0x02, 0x10),
    (0x04, 0x20),
    (0x40, 0x80),
)  # by row and column in a character of 4 × 2 dots


def smooth(values: Sequence[float], share: float = 0.02) -> list[float]:
    """A running mean over a share of all values."""
    weight = 1.0 / max(1.0, len(values) * share)
    mean, out = values[0] if values else 0.0, []
    for value in values:
        mean += weight * (value - mean)
        out.append(mean)
    return out


def curve(values: Sequence[float], width: int = 60, height: int = 10, label: str = "{:.3g}") -> list[str]:
    """Lines of text that show the values from left to right; the scale is on the left."""
    if not values:
        return []
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    columns, rows = 2 * width, 4 * height
    cells = [[0] * width for _ in range(height)]
    before = None
    for x in range(columns):
        value = values[min(len(values) - 1, round(x * (len(values) - 1) / max(columns - 1, 1)))]
        y = min(rows - 1, int((high - value) / span * (rows - 1) + 0.5))
        for dot in range(
            min(y, before if before is not None else y), max(y, before if before is not None else y) + 1
        ):
            cells[dot // 4][x // 2] |= _DOTS[dot % 4][x % 2]
        before = y
    marks = {0: label.format(high), height - 1: label.format(low)}
    margin = max(len(mark) for mark in marks.values())
    lines = []
    for row, cell in enumerate(cells):
        axis = "┤" if row in marks else "│"
        lines.append(f"{marks.get(row, ''):>{margin}} {axis}{''.join(chr(0x2800 + dots) for dots in cell)}")
    lines.append(f"{'':>{margin}} └{'─' * width}")
    return lines
