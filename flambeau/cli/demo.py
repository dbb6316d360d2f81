"""``flambeau demo``: LeNet learns to read handwritten digits, or to tell clothes apart."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import flambeau as fb
from flambeau.nn import functional as F
from flambeau.utils.data import DataLoader, TensorDataset
from flambeau.vision.models import LeNet

from . import chart, demo_data, pictures
from .screen import Screen

_SHIFT = 2  # pixels by which training pictures are moved at random
_DECAY = 0.8  # of the learning rate, from epoch to epoch
_SHEET = 40  # pictures in predictions.png


def _arguments(argv: list[str], prog: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=prog, description="Train LeNet on pictures and show what it learnt."
    )
    parser.add_argument(
        "--data",
        choices=("auto", "digits", "fashion"),
        default="auto",
        help="auto: the whole of Fashion-MNIST where it is on disk, else 5,000 MNIST digits",
    )
    parser.add_argument(
        "--root", help=f"folder of Fashion-MNIST's files (default {demo_data.DEBIAN_FASHION})"
    )
    parser.add_argument("--epochs", type=int, help="default: 12 for digits, 5 for Fashion-MNIST")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default="demo-out", help="folder for the checkpoint and the pictures")
    parser.add_argument(
        "--resume", action="store_true", help="continue from the checkpoint in that folder, exactly"
    )
    args = parser.parse_args(argv)
    for name in ("epochs", "batch_size"):
        if getattr(args, name) is not None and getattr(args, name) <= 0:
            parser.error(f"--{name.replace('_', '-')} must be positive")
    return args


class Training:
    """A network in training, with all that its checkpoint holds."""

    def __init__(self, data: demo_data.Pictures, args: argparse.Namespace) -> None:
        fb.manual_seed(args.seed)
        self.name = data.name
        images, labels = data.train
        self.mean, self.std = _statistics(images)
        self.train_set = TensorDataset(self.prepare(images), labels)
        self.test_images, self.test_labels = self.prepare(data.test[0]), data.test[1]
        self.order = fb.Generator().manual_seed(args.seed)
        self.loader = DataLoader(
            self.train_set, batch_size=args.batch_size, shuffle=True, generator=self.order
        )
        self.model = LeNet(num_classes=len(data.classes))
        self.optimizer = fb.optim.AdamW(self.model.parameters(), lr=args.lr, weight_decay=1e-2)
        self.schedule = fb.optim.lr_scheduler.ExponentialLR(self.optimizer, gamma=_DECAY)
        self.epoch = 0
        self.losses: list[float] = []
        self.history: list[dict[str, float]] = []
        self.seconds = 0.0
        self.right = 0
        self.seen = 0

    def prepare(self, images: fb.Tensor) -> fb.Tensor:
        """Bytes [N, 28, 28] as normalized numbers [N, 1, 28, 28]."""
        return images.unsqueeze(1).to(fb.float32).div_(255).sub_(self.mean).div_(self.std)

    def state_dict(self) -> dict[str, Any]:
        """All that a training needs to go on where it was."""
        return {
            "data": self.name,
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "loader": self.loader.state_dict(),
            "order": self.order.get_state(),
            "random": fb.get_rng_state(),
            "epoch": self.epoch,
            "losses": fb.tensor(self.losses),
            "history": self.history,
            "seconds": self.seconds,
            "counts": (self.right, self.seen),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where :meth:`state_dict` was taken."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.order.set_state(state["order"])
        self.loader.load_state_dict(state["loader"])
        fb.set_rng_state(state["random"])
        self.epoch, self.seconds, self.history = state["epoch"], state["seconds"], state["history"]
        self.losses = state["losses"].tolist()
        self.right, self.seen = state["counts"]

    def step(self, images: fb.Tensor, labels: fb.Tensor) -> float:
        """Learn from one batch; returns its loss."""
        scores = self.model(shifted(images, _SHIFT))
        loss = F.cross_entropy(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.right += int((scores.argmax(1) == labels).sum())
        self.seen += len(labels)
        return loss.item()

    @fb.no_grad()
    def scores(self) -> fb.Tensor:
        """The probabilities that the network gives to the classes of the test pictures."""
        self.model.eval()
        parts = [F.softmax(self.model(part), dim=1) for part in self.test_images.split(500)]
        self.model.train()
        return fb.cat(parts)

    def end_epoch(self) -> None:
        """Lower the step and note how much of the training and test pictures is right."""
        self.schedule.step()
        accuracy = (self.scores().argmax(1) == self.test_labels).float().mean().item()
        self.history.append(
            {"train": self.right / max(self.seen, 1), "test": accuracy, "seconds": self.seconds}
        )
        self.epoch += 1
        self.right = self.seen = 0


def _statistics(images: fb.Tensor) -> tuple[float, float]:
    values = images.to(fb.float32) / 255
    return values.mean().item(), values.std().item()


def shifted(images: fb.Tensor, most: int) -> fb.Tensor:
    """Each picture [N, 1, H, W] moved by up to `most` pixels at random; what comes in is background."""
    count, _, rows, columns = images.shape
    background = images.min().item()
    wide = F.pad(images, (most, most, most, most), value=background)
    down, across = (fb.randint(0, 2 * most + 1, (count, 1)) for _ in range(2))
    y = (fb.arange(rows) + down)[:, :, None]
    x = (fb.arange(columns) + across)[:, None, :]
    return wide[fb.arange(count)[:, None, None], 0, y, x].unsqueeze(1)


@contextlib.contextmanager
def _stop_request() -> Iterator[threading.Event]:
    """An event that the first Ctrl-C sets; the second one interrupts as usual."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return

    def on_interrupt(number: int, frame: Any) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    before = signal.signal(signal.SIGINT, on_interrupt)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGINT, before)


def _train(training: Training, epochs: int, checkpoint: str, screen: Screen) -> bool:
    """Train up to a number of epochs; False when the user stopped it (between two steps, so that all is in
    order).
    """
    text = ""
    with (
        screen.progress(epochs * len(training.loader), len(training.losses)) as show,
        _stop_request() as stop,
    ):
        while training.epoch < epochs:
            start = time.perf_counter()
            for images, labels in training.loader:
                training.losses.append(training.step(images, labels))
                training.seconds += time.perf_counter() - start
                start = time.perf_counter()
                if stop.is_set():
                    fb.save(training.state_dict(), checkpoint)
                    return False
                if len(training.losses) % 10 == 0:
                    recent = training.losses[-50:]
                    now = f"epoch {training.epoch + 1}/{epochs}  loss {sum(recent) / len(recent):.3f}  {text}"
                    show(len(training.losses), now)
            training.end_epoch()
            text = f"test accuracy {training.history[-1]['test']:.2%}"
            show(len(training.losses), f"epoch {training.epoch}/{epochs}  {text}")
            fb.save(training.state_dict(), checkpoint)
    return True


def _spread(items: list[int], count: int) -> list[int]:
    """At most `count` of the items, from all over."""
    return [items[k * len(items) // count] for k in range(count)] if len(items) > count else items


def _report(training: Training, data: demo_data.Pictures, out: str, screen: Screen) -> None:
    scores = training.scores()
    sure, guesses = scores.max(1)
    labels = training.test_labels
    right = guesses == labels
    running = chart.smooth(training.losses)
    screen.say("\nloss, step by step (running mean)", "bold")
    for line in chart.curve(running):
        screen.say(line, "cyan")
    screen.say()
    rows = []
    for k, name in enumerate(data.classes):
        mine = labels == k
        wrong = guesses[mine & ~right]
        confused = "" if len(wrong) == 0 else data.classes[int(fb.bincount(wrong).argmax())]
        rows.append([name, str(int(mine.sum())), f"{right[mine].float().mean().item():.1%}", confused])
    total = right.float().mean().item()
    rows.append(["all", str(len(labels)), f"{total:.2%}", ""])
    screen.table(
        "accuracy on pictures held back", ("class", "pictures", "right", "most often taken for"), rows
    )
    wrong = _spread(fb.nonzero(~right).flatten().tolist(), _SHEET // 4)
    chosen = sorted(wrong + _spread(fb.nonzero(right).flatten().tolist(), _SHEET - len(wrong)))
    share = f"{total:.2%} of {len(labels)} right"
    try:
        pictures.predictions(
            os.path.join(out, "predictions.png"),
            data.test[0][chosen],
            labels[chosen].tolist(),
            guesses[chosen].tolist(),
            sure[chosen].tolist(),
            data.classes,
            f"LeNet on {data.name}, pictures it never saw: {share}",
        )
        history = [[entry[key] for entry in training.history] for key in ("train", "test")]
        pictures.curves(
            os.path.join(out, "curve.png"),
            training.losses,
            running,
            *history,
            f"LeNet on {data.name}: {share}",
        )
    except ImportError as error:
        screen.say(f"no pictures were drawn: {error}")
    files = ", ".join(sorted(name for name in os.listdir(out) if not name.endswith(".tmp")))
    screen.say(
        f"\n{share} after {training.epoch} epochs and {training.seconds:.1f} s of training.", "bold green"
    )
    screen.say(f"{out}/: {files}")


def main(argv: list[str] | None = None, prog: str = "flambeau demo") -> int:
    """Run the demo; returns the exit status."""
    args = _arguments(list(argv or []), prog)
    screen = Screen()
    try:
        return _run(args, prog, screen)
    except KeyboardInterrupt:
        screen.say(f"\n{prog}: stopped")
        return 130


def _run(args: argparse.Namespace, prog: str, screen: Screen) -> int:
    checkpoint = os.path.join(args.out, "checkpoint.pt")
    try:
        data = demo_data.load(args.data, args.root)
        os.makedirs(args.out, exist_ok=True)
    except (FileNotFoundError, PermissionError, RuntimeError, ValueError) as error:
        screen.say(f"{prog}: {error}", "red")
        return 1
    epochs = args.epochs or (5 if data.name == "Fashion-MNIST" else 12)
    training = Training(data, args)
    count = sum(parameter.numel() for parameter in training.model.parameters())
    screen.say(f"{data.name}: {len(data.train[1])} pictures to learn from, {len(data.test[1])} to test")
    screen.say(f"LeNet with {count} parameters, {fb.get_num_threads()} threads\n")
    if args.resume:
        if not os.path.exists(checkpoint):
            screen.say(f"{prog}: there is no {checkpoint} to continue from", "red")
            return 1
        state = fb.load(checkpoint)
        if state["data"] != data.name:
            screen.say(f"{prog}: {checkpoint} was trained on {state['data']}, not on {data.name}", "red")
            return 1
        training.load_state_dict(state)
        screen.say(f"continuing after {len(training.losses)} steps ({training.epoch} epochs)")
    if not _train(training, epochs, checkpoint, screen):
        screen.say(f"\nstopped; {prog} --resume continues from here ({checkpoint})")
        return 130
    _report(training, data, args.out, screen)
    return 0
