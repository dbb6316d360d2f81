"""Draws docs/images/{summary,graph,doctor}.png: what `flambeau.summary`, `graph` and `doctor` show.

Needs Pillow, and matplotlib for its fixed-width font.
"""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

import flambeau as torch
from flambeau import nn
from flambeau.vision import models

FOLDER = Path(__file__).parent.parent / "docs" / "images"


def terminal(text: str, path: Path, size: int = 15) -> None:
    """A text as a terminal would show it."""
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans Mono"), size)
    lines = text.rstrip("\n").split("\n")
    width = round(max(font.getlength(line) for line in lines)) + 32
    image = Image.new("RGB", (width, len(lines) * (size + 5) + 28), "#1c2128")
    draw = ImageDraw.Draw(image)
    colours = {">": "#8ab4f8", "✗": "#ff8a80", "!": "#ffd166", "✓": "#7fd99a"}
    for k, line in enumerate(lines):
        draw.text((16, 14 + k * (size + 5)), line, fill=colours.get(line[:1], "#d7dde5"), font=font)
    image.quantize(32).save(path, optimize=True)


def shown(source: str, run: object) -> str:
    """The source, and what it printed."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        run()
    return "\n".join(f">>> {line}" for line in source.split("\n")) + "\n" + out.getvalue()


class Sick(nn.Module):
    """A network with several of the usual mistakes."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.Linear(8, 32)
        self.blocks = [nn.Linear(32, 32)]
        self.drop = nn.Dropout(0.1)
        self.last = nn.Linear(32, 3)
        self.spare = nn.Linear(3, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.drop(torch.relu(self.blocks[0](torch.relu(self.inner(x)))))
        return self.last(x).softmax(1)


def main() -> None:
    """Draw all three."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    FOLDER.mkdir(parents=True, exist_ok=True)
    lenet, images = models.LeNet(), torch.rand(8, 1, 28, 28)
    text = shown("torch.summary(LeNet(), images)", lambda: torch.summary(lenet, images))
    terminal(text, FOLDER / "summary.png")

    sick, x = Sick().eval(), torch.randn(16, 8)
    y = torch.randint(0, 3, (16,))
    optimizer = torch.optim.Adam(sick.inner.parameters())
    call = "torch.doctor(model, (x, y), nn.CrossEntropyLoss(), optimizer)"
    loss = nn.CrossEntropyLoss()
    terminal(shown(call, lambda: torch.doctor(sick, (x, y), loss, optimizer)), FOLDER / "doctor.png")

    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 26 * 26, 10))
    loss_value = loss(net(images), torch.randint(0, 10, (8,)))
    torch.graph(loss_value, net).png(1.3).quantize(64).save(FOLDER / "graph.png", optimize=True)


if __name__ == "__main__":
    main()
