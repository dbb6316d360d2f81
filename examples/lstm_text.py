"""An LSTM that writes like the fortune program, one character after the other.

    python examples/lstm_text.py

Data: sayings of Debian's package fortunes (apt install fortunes): wisdom, work, people and platitudes.
Result: 2.36 bits a character of text held back; 41 s of one core.
"""

from pathlib import Path

from common import Bar, arguments, chart

import flambeau as torch
from flambeau import nn
from flambeau.text.datasets import Fortunes
from flambeau.text.vocab import build_vocab_from_iterator


class Writer(nn.Module):
    """Predicts each character from those before it."""

    def __init__(self, characters: int, width: int = 192) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, 48)
        self.lstm = nn.LSTM(48, width, num_layers=1, batch_first=True)
        self.head = nn.Linear(width, characters)

    def forward(self, x: torch.Tensor, state=None):
        hidden, state = self.lstm(self.embed(x), state)
        return self.head(hidden), state


@torch.no_grad()
def write(model: Writer, vocab, begin: str, length: int, temperature: float = 0.6) -> str:
    """Let the model go on after a beginning."""
    model.eval()
    scores, state = model(torch.tensor([vocab(list(begin))]))
    text = begin
    for _ in range(length):
        choice = torch.multinomial((scores[0, -1] / temperature).softmax(0), 1)
        text += vocab.lookup_token(choice.item())
        scores, state = model(choice[None], state)
    return text


def main() -> None:
    args = arguments(__doc__, epochs=12)
    data = Fortunes(args.root, ["wisdom", "work", "people", "platitudes"], longest=300)
    texts = [" ".join(text.split()) for text in data.texts]
    if args.quick:
        texts = texts[:300]
    vocab = build_vocab_from_iterator(texts, min_freq=5, specials=["?"])
    vocab.set_default_index(0)
    stream = torch.tensor(vocab(list("\n".join(texts).replace("\n", "  "))))
    length, rows = 64, 32
    held_back = len(stream) // 20  # the last twentieth is for the test
    train, test = stream[:-held_back], stream[-held_back:]
    print(f"{len(texts):,} sayings, {len(stream):,} characters, {len(vocab)} different ones")

    model = Writer(len(vocab))
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    steps = len(train) // (rows * length)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 8e-3, total_steps=args.epochs * steps)

    def bits(scores: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten()) / torch.log(
            torch.tensor(2.0)
        )

    losses = []
    for epoch in range(args.epochs):
        bar = Bar(range(steps), f"epoch {epoch + 1}")
        for _ in bar:
            begins = torch.randint(len(train) - length - 1, (rows,))
            piece = train[begins[:, None] + torch.arange(length + 1)]
            loss = bits(model(piece[:, :-1])[0], piece[:, 1:])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            losses.append(loss.item())
            bar.note = f"{losses[-1]:.2f} bits a character"

    model.eval()
    with torch.no_grad():
        result = bits(model(test[None, :-1])[0], test[None, 1:]).item()
    print(f"test: {result:.2f} bits a character")
    sample = "\n".join(
        write(model, vocab, begin, 40 if args.quick else 160) for begin in ("The ", "A man ", "If you ")
    )
    print(sample)
    Path(args.out, "lstm_text.txt").write_text(sample)
    smooth = [
        sum(losses[max(0, k - 20) : k + 1]) / len(losses[max(0, k - 20) : k + 1]) for k in range(len(losses))
    ]
    chart(
        args.out / "lstm_text.png", {"training": smooth}, f"bits a character; {result:.2f} on the test text"
    )


if __name__ == "__main__":
    main()
