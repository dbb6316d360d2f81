"""Vocabularies: tokens and their numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from flambeau import nn

__all__ = ["Vocab", "build_vocab_from_iterator", "vocab"]


class Vocab(nn.Module):
    """Maps tokens to numbers and back; called with a list of tokens it gives a list of numbers.

    Parameters
    ----------
    vocab : another `Vocab`, or the tokens in the order of their numbers.
    """

    def __init__(self, vocab: Vocab | Iterable[str]) -> None:
        super().__init__()
        self._tokens: list[str] = []
        self._numbers: dict[str, int] = {}
        self._default: int | None = None
        for token in vocab.get_itos() if isinstance(vocab, Vocab) else vocab:
            self.append_token(token)
        if isinstance(vocab, Vocab):
            self._default = vocab._default

    @property
    def vocab(self) -> Vocab:
        """Itself: torchtext's keeps its table in an attribute of this name."""
        return self

    def forward(self, tokens: Sequence[str]) -> list[int]:
        """The numbers of some tokens."""
        return [self[token] for token in tokens]

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: str) -> bool:
        return token in self._numbers

    def __getitem__(self, token: str) -> int:
        number = self._numbers.get(token, self._default)
        if number is None:
            raise RuntimeError(
                f"Token {token} not found and default index is not set\n"
                "set_default_index(vocab['<unk>']) gives unknown tokens a number"
            )
        return number

    def set_default_index(self, index: int | None) -> None:
        """The number of every token that is not in the vocabulary; None makes them errors."""
        self._default = index

    def get_default_index(self) -> int | None:
        """The number of unknown tokens."""
        return self._default

    def append_token(self, token: str) -> None:
        """Add a token with the next number."""
        self.insert_token(token, len(self))

    def insert_token(self, token: str, index: int) -> None:
        """Add a token with the given number; those from there on move up by one."""
        if token in self._numbers:
            raise RuntimeError(
                f"Token {token} already exists in the Vocab with index: {self._numbers[token]}"
            )
        if not 0 <= index <= len(self):
            raise RuntimeError(f"Specified index {index} is out of bounds for vocab of size {len(self)}")
        self._tokens.insert(index, token)
        for number in range(index, len(self._tokens)):
            self._numbers[self._tokens[number]] = number

    def lookup_token(self, index: int) -> str:
        """The token of a number."""
        if not 0 <= index < len(self):
            raise RuntimeError(f"Specified index {index} is out of bounds for vocab of size {len(self)}")
        return self._tokens[index]

    def lookup_tokens(self, indices: Sequence[int]) -> list[str]:
        """The tokens of some numbers."""
        return [self.lookup_token(index) for index in indices]

    def lookup_indices(self, tokens: Sequence[str]) -> list[int]:
        """The numbers of some tokens."""
        return self(tokens)

    def get_stoi(self) -> dict[str, int]:
        """All numbers by token."""
        return dict(self._numbers)

    def get_itos(self) -> list[str]:
        """All tokens in the order of their numbers."""
        return list(self._tokens)

    def get_extra_state(self) -> dict:
        """What a state_dict keeps of it."""
        return {"tokens": self.get_itos(), "default": self._default}

    def set_extra_state(self, state: dict) -> None:
        """Take tokens and default from a state_dict."""
        self._tokens = list(state["tokens"])
        self._numbers = {token: number for number, token in enumerate(self._tokens)}
        self._default = state["default"]


def vocab(
    ordered_dict: Mapping[str, int],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,
) -> Vocab:
    """A vocabulary of the tokens counted at least `min_freq` times, in the order of the mapping.

    `specials` (such as ``<unk>`` and ``<pad>``) come first or last.
    """
    specials = list(specials or [])
    tokens = [t for t, count in ordered_dict.items() if count >= min_freq and t not in specials]
    return Vocab(specials + tokens if special_first else tokens + specials)


def build_vocab_from_iterator(
    iterator: Iterable[Iterable[str]],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,
    max_tokens: int | None = None,
) -> Vocab:
    """A vocabulary of the tokens in an iterator over lists of tokens: frequent first, equals by alphabet.

    `max_tokens` counts the specials too.
    """
    counts: Counter[str] = Counter()
    for tokens in iterator:
        counts.update(tokens)
    specials = list(specials or [])
    for token in specials:
        counts.pop(token, None)
    ordered = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    if max_tokens is not None:
        if len(specials) >= max_tokens:
            raise AssertionError("len(specials) >= max_tokens, so the vocab will be entirely special tokens.")
        ordered = ordered[: max_tokens - len(specials)]
    return vocab(dict(ordered), min_freq, specials, special_first)
