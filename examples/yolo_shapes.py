"""A YOLO-style detector: one pass of a small network finds and names the shapes in a picture.

    python examples/yolo_shapes.py

The picture is divided into a grid; the cell that holds a shape's middle says that it is there, which shape,
and its box. (Redmon et al.: You Only Look Once, 2016; sizes without anchors as in FCOS.)

Data: pictures of 64×64 with one to four circles, squares and triangles, drawn at random on a noisy ground.
Result: mAP 98.9 % at IoU 0.5, 95.6 % at 0.75 on 300 test pictures; 24 s of one core.
"""

from common import Bar, arguments, font, save
from PIL import Image, ImageDraw

import flambeau as torch
from flambeau import nn
from flambeau.vision.ops import box_iou, nms

NAMES = ["circle", "square", "triangle"]
SIZE, CELL = 64, 8
GRID = SIZE // CELL


def draw_shapes(count: int, generator: torch.Generator) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Pictures [count, 3, SIZE, SIZE], and for each the rows (left, top, right, bottom, shape)."""
    images, targets = [], []
    for _ in range(count):
        ground = (torch.rand(3, generator=generator) * 120).int().tolist()
        sheet = Image.new("RGB", (SIZE, SIZE), tuple(ground))
        draw, rows = ImageDraw.Draw(sheet), []
        for _ in range(int(torch.randint(1, 5, (1,), generator=generator))):
            size = int(torch.randint(12, 27, (1,), generator=generator))
            x, y = torch.randint(0, SIZE - size, (2,), generator=generator).tolist()
            box = [x, y, x + size, y + size]
            if any(box_iou(torch.tensor([box]), row[None, :4])[0, 0] > 0.1 for row in rows):
                continue  # too much on top of another
            kind = int(torch.randint(0, 3, (1,), generator=generator))
            paint = tuple((100 + torch.rand(3, generator=generator) * 155).int().tolist())
            if kind == 0:
                draw.ellipse(box, fill=paint)
            elif kind == 1:
                draw.rectangle(box, fill=paint)
            else:
                draw.polygon([(x, y + size), (x + size / 2, y), (x + size, y + size)], fill=paint)
            rows.append(torch.tensor([*box, kind]))
        pixels = torch.frombuffer(bytearray(sheet.tobytes()), dtype=torch.uint8).reshape(SIZE, SIZE, 3)
        images.append(
            pixels.permute(2, 0, 1).float() / 255 + 0.05 * torch.randn(3, SIZE, SIZE, generator=generator)
        )
        targets.append(torch.stack(rows))
    return torch.stack(images), targets


def to_grid(targets: list[torch.Tensor]) -> torch.Tensor:
    """What each cell should say: [N, 6, GRID, GRID] of there, shift x and y, log width and height, shape."""
    grid = torch.zeros(len(targets), 6, GRID, GRID)
    for n, rows in enumerate(targets):
        for left, top, right, bottom, kind in rows.tolist():
            x, y = (left + right) / 2 / CELL, (top + bottom) / 2 / CELL
            width, height = (right - left) / CELL, (bottom - top) / CELL
            values = torch.tensor([1.0, x % 1, y % 1, width, height, kind])
            values[3:5] = values[3:5].log()
            grid[n, :, int(y), int(x)] = values
    return grid


def detector() -> nn.Module:
    """Three halvings, then a wide view at the grid's resolution: [N, 5 + shapes, GRID, GRID]."""

    def block(inside: int, outside: int, stride: int) -> list[nn.Module]:
        return [nn.Conv2d(inside, outside, 3, stride, 1, bias=False), nn.BatchNorm2d(outside), nn.SiLU()]

    return nn.Sequential(
        *block(3, 16, 2), *block(16, 32, 2), *block(32, 64, 2), *block(64, 64, 1), *block(64, 64, 1),
        nn.Conv2d(64, 5 + len(NAMES), 1),
    )  # fmt: skip


def loss_of(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Is a shape there (all cells); where and which (cells with a shape)."""
    there = wanted[:, 0] > 0
    presence = nn.functional.binary_cross_entropy_with_logits(said[:, 0], wanted[:, 0], reduction="sum")
    mine, theirs = said.permute(0, 2, 3, 1)[there], wanted.permute(0, 2, 3, 1)[there]
    place = nn.functional.smooth_l1_loss(mine[:, 1:3].sigmoid(), theirs[:, 1:3], reduction="sum")
    size = nn.functional.smooth_l1_loss(mine[:, 3:5], theirs[:, 3:5], reduction="sum")
    shape = nn.functional.cross_entropy(mine[:, 5:], theirs[:, 5].long(), reduction="sum")
    return (presence + 5 * place + 5 * size + shape) / len(said)


@torch.no_grad()
def detect(model: nn.Module, images: torch.Tensor, least: float = 0.05) -> list[torch.Tensor]:
    """For each picture the rows (left, top, right, bottom, shape, how sure), without overlaps."""
    said = model.eval()(images)
    sure = said[:, 0].sigmoid() * said[:, 5:].softmax(1).amax(1)
    found = []
    for one, certainty in zip(said, sure):
        y, x = (certainty > least).nonzero(as_tuple=True)
        cells = one[:, y, x]
        middle = (torch.stack([x, y]) + cells[1:3].sigmoid()) * CELL
        half = cells[3:5].exp() * CELL / 2
        boxes, kinds = torch.cat([middle - half, middle + half]).t(), cells[5:].argmax(0)
        kept = nms(boxes, certainty[y, x], 0.45)  # the surest first
        found.append(torch.cat([boxes, kinds[:, None], certainty[y, x][:, None]], 1)[kept])
    return found


def mean_average_precision(found: list[torch.Tensor], targets: list[torch.Tensor], overlap: float) -> float:
    """The area under precision against recall; a box is right if it overlaps enough with a free one."""
    scores = []
    for kind in range(len(NAMES)):
        hits, wanted = [], 0
        for rows, truth in zip(found, targets):
            boxes = truth[truth[:, 4] == kind][:, :4].float()
            free = [True] * len(boxes)
            wanted += len(boxes)
            for row in rows[rows[:, 4] == kind]:
                match = box_iou(row[None, :4], boxes)[0] if len(boxes) else torch.zeros(0)
                best = int(match.argmax()) if len(boxes) else -1
                hit = best >= 0 and match[best].item() >= overlap and free[best]
                if hit:
                    free[best] = False
                hits.append((row[5].item(), hit))
        hits.sort(reverse=True)
        right = torch.tensor([hit for _, hit in hits], dtype=torch.float).cumsum(0)
        precision = right / torch.arange(1, len(hits) + 1)
        precision = precision.flip(0).cummax(0).values.flip(0)
        steps = torch.diff(right / wanted, prepend=torch.zeros(1))
        scores.append((precision * steps).sum().item())
    return sum(scores) / len(scores)


def main() -> None:
    args = arguments(__doc__, epochs=24)
    generator = torch.Generator().manual_seed(args.seed)
    images, targets = draw_shapes(128 if args.quick else 2000, generator)
    test_images, test_targets = draw_shapes(32 if args.quick else 300, generator)
    wanted = to_grid(targets)

    model = detector()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-3)
    steps = len(images) // 32
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=args.epochs * steps)
    for epoch in range(args.epochs):
        model.train()
        bar = Bar(torch.randperm(len(images)).split(32)[:steps], f"epoch {epoch + 1:2d}")
        for chosen in bar:
            x, y = images[chosen], wanted[chosen]
            loss = loss_of(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.note = f"loss {loss.item():.2f}"

    found = detect(model, test_images)
    at_half, strict = (mean_average_precision(found, test_targets, overlap) for overlap in (0.5, 0.75))
    result = f"mAP {at_half:.1%} at IoU 0.5, {strict:.1%} at 0.75, {len(test_images)} test pictures"
    print(result)
    draw_boxes(args.out / "yolo_shapes.png", test_images[:8], found[:8], result)


def draw_boxes(path, images: torch.Tensor, found: list[torch.Tensor], title: str) -> None:
    """Pictures with the boxes found in them."""
    scale = 3
    sheet = Image.new("RGB", (4 * (SIZE * scale + 10) + 10, 2 * (SIZE * scale + 10) + 50), "white")
    draw = ImageDraw.Draw(sheet)
    draw.text((12, 14), title, fill="#1f2933", font=font(16))
    for k, (image, rows) in enumerate(zip(images, found)):
        left, top = 10 + k % 4 * (SIZE * scale + 10), 46 + k // 4 * (SIZE * scale + 10)
        pixels = (image.clamp(0, 1) * 255).to(torch.uint8).permute(1, 2, 0).contiguous().numpy()
        sheet.paste(Image.fromarray(pixels).resize((SIZE * scale, SIZE * scale), 0), (left, top))
        for *box, kind, sure in rows[rows[:, 5] > 0.4].tolist():
            x0, y0, x1, y1 = (round(v * scale) for v in box)
            paint = ["#ffe14d", "#ff6b6b", "#4dd2ff"][int(kind)]
            draw.rectangle((left + x0, top + y0, left + x1, top + y1), outline=paint, width=2)
            draw.text(
                (left + x0 + 3, top + y0 + 1), f"{NAMES[int(kind)]} {sure:.2f}", fill=paint, font=font(11)
            )
    save(sheet, path)


if __name__ == "__main__":
    main()
