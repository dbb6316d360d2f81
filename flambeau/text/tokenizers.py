"""Tokenizers of pretrained models: WordPiece built in, Hugging Face's and sentencepiece's as extras.

All have the same interface: ``tokenize`` gives pieces, ``encode`` numbers with the special tokens, ``decode``
text, and a call with a list of texts a padded batch.
"""

from __future__ import annotations

import abc
import json
import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flambeau as fb

from .functional import to_tensor

__all__ = ["HuggingFaceTokenizer", "SentencePieceTokenizer", "Tokenizer", "WordPieceTokenizer"]


class Tokenizer(abc.ABC):
    """What all tokenizers can do."""

    pad_id = 0

    @abc.abstractmethod
    def tokenize(self, text: str) -> list[str]:
        """The pieces of a text."""

    @abc.abstractmethod
    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> list[int]:
        """The numbers of a text, or of two, with the model's special tokens."""

    @abc.abstractmethod
    def decode(self, numbers: Sequence[int]) -> str:
        """The text of some numbers, without special tokens."""

    @abc.abstractmethod
    def __len__(self) -> int:
        """How many pieces there are."""

    def __call__(self, texts: str | Sequence[str], max_length: int | None = None) -> dict[str, fb.Tensor]:
        """A batch: ``input_ids`` padded to the longest text, and the ``attention_mask`` of ones and zeros."""
        rows = [
            self.encode(text, max_length=max_length)
            for text in ([texts] if isinstance(texts, str) else texts)
        ]
        return {
            "input_ids": to_tensor(rows, self.pad_id),
            "attention_mask": to_tensor([[1] * len(row) for row in rows], 0),
        }


class WordPieceTokenizer(Tokenizer):
    """BERT's pieces of words: the longest known beginning, then the longest known continuation (``##…``).

    Parameters
    ----------
    pieces : the pieces in the order of their numbers.
    lowercase : lower the case first.
    strip_accents : drop accents first; by default, as `lowercase`.
    split_chinese : have each Chinese character stand alone.
    unknown, start, end, pad : the special pieces.
    longest_word : longer words are unknown.

    Notes
    -----
    The algorithm of Devlin et al., "BERT" (2018), and of Schuster and Nakajima (2012).
    """

    def __init__(
        self,
        pieces: Sequence[str],
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_chinese: bool = True,
        unknown: str = "[UNK]",
        start: str = "[CLS]",
        end: str = "[SEP]",
        pad: str = "[PAD]",
        longest_word: int = 100,
    ) -> None:
        self.pieces = list(pieces)
        self.numbers = {piece: number for number, piece in enumerate(self.pieces)}
        self.lowercase, self.split_chinese = lowercase, split_chinese
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.unknown, self.start, self.end, self.longest_word = unknown, start, end, longest_word
        missing = [piece for piece in (unknown, start, end, pad) if piece not in self.numbers]
        if missing:
            raise ValueError(f"the vocabulary lacks the special pieces {', '.join(missing)}")
        self.pad_id = self.numbers[pad]
        self._special = {p for p in (unknown, start, end, pad, "[MASK]") if p in self.numbers}
        self._split_special = re.compile("(" + "|".join(map(re.escape, self._special)) + ")").split
        self._cache: dict[str, list[str]] = {}

    @classmethod
    def from_file(
        cls, path: str | os.PathLike, lowercase: bool = True, strip_accents: bool | None = None
    ) -> WordPieceTokenizer:
        """From ``vocab.txt`` (a piece a line), ``tokenizer.json`` (with the settings) or their folder."""
        path = Path(path)
        if path.is_dir():
            path = path / ("tokenizer.json" if (path / "tokenizer.json").exists() else "vocab.txt")
        if path.suffix != ".json":
            return cls(path.read_text(encoding="utf-8").rstrip("\n").split("\n"), lowercase, strip_accents)
        settings = json.loads(path.read_text(encoding="utf-8"))
        model, normal = settings.get("model", {}), settings.get("normalizer") or {}
        if model.get("type") != "WordPiece" or normal.get("type", "BertNormalizer") != "BertNormalizer":
            raise NotImplementedError(
                f"{path} describes a {model.get('type')} model, not WordPiece: use HuggingFaceTokenizer "
                "(pip install tokenizers)"
            )
        numbers: Mapping[str, int] = model["vocab"]
        return cls(
            sorted(numbers, key=numbers.__getitem__),
            normal.get("lowercase", lowercase),
            normal.get("strip_accents", strip_accents),
            normal.get("handle_chinese_chars", True),
            unknown=model["unk_token"],
            longest_word=model.get("max_input_chars_per_word", 100),
        )

    def __len__(self) -> int:
        return len(self.pieces)

    def words(self, text: str) -> list[str]:
        """The text cleaned and split at white space and punctuation."""
        kept = []
        for character in text:
            kind = unicodedata.category(character)
            if character in "\t\n\r" or kind in ("Zs", "Zl", "Zp"):
                kept.append(" ")
            elif character in "\0\ufffd" or kind in ("Cc", "Cf", "Co", "Cn", "Cs"):
                continue
            elif self.split_chinese and _is_chinese(ord(character)):
                kept.append(f" {character} ")
            else:
                kept.append(character)
        text = "".join(kept)
        if self.strip_accents:
            text = "".join(c for c in unicodedata.normalize("NFD", text) if unicodedata.category(c) != "Mn")
        if self.lowercase:
            text = text.lower()
        return "".join(f" {c} " if _is_punctuation(c) else c for c in text).split()

    def tokenize(self, text: str) -> list[str]:
        pieces = []
        for k, part in enumerate(self._split_special(text)):  # every other part is a special piece
            pieces += [part] if k % 2 else [p for word in self.words(part) for p in self._word(word)]
        return pieces

    def _word(self, word: str) -> list[str]:
        known = self._cache.get(word)
        if known is None:
            known = self._cache[word] = self._split_word(word)
        return known

    def _split_word(self, word: str) -> list[str]:
        if len(word) > self.longest_word:
            return [self.unknown]
        pieces, begin = [], 0
        while begin < len(word):
            for end in range(len(word), begin, -1):
                piece = ("##" if begin else "") + word[begin:end]
                if piece in self.numbers:
                    pieces.append(piece)
                    begin = end
                    break
            else:
                return [self.unknown]
        return pieces

    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> list[int]:
        first = self.tokenize(text)
        second = self.tokenize(pair) if pair is not None else []
        if max_length is not None:
            room = max(max_length - 2 - (pair is not None), 0)
            cut = _shares(len(first), len(second), room)
            first, second = first[: cut[0]], second[: cut[1]]
        pieces = [self.start, *first, self.end]
        if pair is not None:
            pieces += [*second, self.end]
        return [self.numbers[piece] for piece in pieces]

    def decode(self, numbers: Sequence[int]) -> str:
        pieces = [self.pieces[int(n)] for n in numbers]
        text = " ".join(piece for piece in pieces if piece not in self._special)
        return text.replace(" ##", "")


def _shares(first: int, second: int, room: int) -> tuple[int, int]:
    """How much of two texts goes into the room: the longer gives way first, then they have halves."""
    if first + second <= room:
        return first, second
    if first > second:
        return _shares(second, first, room)[::-1]
    half = room // 2
    return (first, room - first) if first <= half else (half, room - half)


def _is_chinese(code: int) -> bool:
    return any(
        low <= code <= high
        for low, high in (
            (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
            (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
        )
    )  # fmt: skip


def _is_punctuation(character: str) -> bool:
    if character.isascii():
        return character.isprintable() and not character.isalnum() and character != " "
    return unicodedata.category(character).startswith("P")


class HuggingFaceTokenizer(Tokenizer):
    """A tokenizer of the package tokenizers.

    Parameters
    ----------
    tokenizer : a ``tokenizers.Tokenizer``.
    pad : its piece for padding.
    """

    def __init__(self, tokenizer: Any, pad: str = "[PAD]") -> None:
        self.tokenizer = tokenizer
        self.pad_id = next((n for n in map(tokenizer.token_to_id, (pad, "<pad>")) if n is not None), 0)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> HuggingFaceTokenizer:
        """From a ``tokenizer.json``."""
        try:
            import tokenizers
        except ImportError as error:
            raise ImportError(
                'HuggingFaceTokenizer needs the package: pip install "flambeau[text]"'
            ) from error
        return cls(tokenizers.Tokenizer.from_file(os.fspath(path)))

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size()

    def tokenize(self, text: str) -> list[str]:
        self._limit(None)
        return self.tokenizer.encode(text, add_special_tokens=False).tokens

    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> list[int]:
        self._limit(max_length)
        return self.tokenizer.encode(text, pair).ids

    def _limit(self, length: int | None) -> None:
        """Files may switch on padding and truncation."""
        self.tokenizer.no_padding()
        if length is None:
            self.tokenizer.no_truncation()
        else:
            self.tokenizer.enable_truncation(length)

    def decode(self, numbers: Sequence[int]) -> str:
        return self.tokenizer.decode([int(n) for n in numbers], skip_special_tokens=True)


class SentencePieceTokenizer(Tokenizer):
    """A model of the package sentencepiece.

    Parameters
    ----------
    model : a ``sentencepiece.SentencePieceProcessor``.
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self.pad_id = max(model.pad_id(), 0)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> SentencePieceTokenizer:
        """From a ``.model`` file."""
        try:
            import sentencepiece
        except ImportError as error:
            raise ImportError(
                'SentencePieceTokenizer needs the package: pip install "flambeau[text]"'
            ) from error
        return cls(sentencepiece.SentencePieceProcessor(model_file=os.fspath(path)))

    def __len__(self) -> int:
        return self.model.get_piece_size()

    def tokenize(self, text: str) -> list[str]:
        return self.model.encode(text, out_type=str)

    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> list[int]:
        if pair is not None:
            raise NotImplementedError("sentencepiece has no rule for pairs of texts: join them yourself")
        ids = [self.model.bos_id(), *self.model.encode(text), self.model.eos_id()]
        ids = [n for n in ids if n >= 0]  # -1: the model has no such piece
        if max_length is not None and len(ids) > max_length:
            ids = ids[: max_length - 1] + ids[-1:]
        return ids

    def decode(self, numbers: Sequence[int]) -> str:
        return self.model.decode([int(n) for n in numbers])
