"""Steps from text to tensors, as modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau import nn

from . import functional as F
from .tokenizers import SentencePieceTokenizer as _SentencePiece
from .tokenizers import WordPieceTokenizer
from .vocab import Vocab

__all__ = [
    "AddToken", "BERTTokenizer", "LabelToIndex", "PadTransform", "SentencePieceTokenizer", "Sequential",
    "StrToIntTransform", "ToTensor", "Truncate", "VocabTransform",
]  # fmt: skip


class Sequential(nn.Sequential):
    """Steps one after the other."""

    def forward(self, input: Any) -> Any:
        for step in self:
            input = step(input)
        return input


class VocabTransform(nn.Module):
    """Tokens to numbers, for a list or a batch of lists."""

    def __init__(self, vocab: Vocab) -> None:
        super().__init__()
        self.vocab = vocab

    def forward(self, input: Sequence[Any]) -> list:
        return [self.vocab(row) for row in input] if F._is_batch(input) else self.vocab(input)


class ToTensor(nn.Module):
    """See `functional.to_tensor`."""

    def __init__(self, padding_value: int | None = None, dtype: fb.dtype = fb.long) -> None:
        super().__init__()
        self.padding_value, self.dtype = padding_value, dtype

    def forward(self, input: Sequence[Any]) -> fb.Tensor:
        return F.to_tensor(input, self.padding_value, self.dtype)


class PadTransform(nn.Module):
    """Lengthens the last dimension of a tensor to `max_length`."""

    def __init__(self, max_length: int, pad_value: float) -> None:
        super().__init__()
        self.max_length, self.pad_value = max_length, float(pad_value)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        missing = self.max_length - x.size(-1)
        return nn.functional.pad(x, (0, missing), value=self.pad_value) if missing > 0 else x


class Truncate(nn.Module):
    """See `functional.truncate`."""

    def __init__(self, max_seq_len: int) -> None:
        super().__init__()
        self.max_seq_len = max_seq_len

    def forward(self, x: Sequence[Any]) -> list:
        return F.truncate(x, self.max_seq_len)


class AddToken(nn.Module):
    """See `functional.add_token`."""

    def __init__(self, token: int | str, begin: bool = True) -> None:
        super().__init__()
        self.token, self.begin = token, begin

    def forward(self, input: Sequence[Any]) -> list:
        return F.add_token(input, self.token, self.begin)


class StrToIntTransform(nn.Module):
    """See `functional.str_to_int`."""

    def forward(self, input: Sequence[Any]) -> list:
        return F.str_to_int(input)


class LabelToIndex(nn.Module):
    """Names of labels to numbers; the names are given, or a file with one a line."""

    def __init__(
        self,
        label_names: Sequence[str] | None = None,
        label_path: str | None = None,
        sort_names: bool = False,
    ) -> None:
        super().__init__()
        if (label_names is None) == (label_path is None):
            raise ValueError("LabelToIndex takes either label_names or label_path")
        if label_path is not None:
            with open(label_path, encoding="utf-8") as file:
                label_names = [line.strip() for line in file if line.strip()]
        names = sorted(label_names) if sort_names else list(label_names)
        self._label_vocab = Vocab(names)

    @property
    def label_names(self) -> list[str]:
        """The names in the order of their numbers."""
        return self._label_vocab.get_itos()

    def forward(self, labels: str | Sequence[str]) -> int | list[int]:
        return self._label_vocab[labels] if isinstance(labels, str) else self._label_vocab(labels)


class BERTTokenizer(nn.Module):
    """Texts to the pieces of words of BERT, as numbers in text form or as the pieces themselves.

    Parameters
    ----------
    vocab_path : a file with a piece a line.
    do_lower_case : whether the model is uncased.
    strip_accents : by default, as `do_lower_case`.
    return_tokens : give the pieces instead of the numbers.
    """

    def __init__(
        self,
        vocab_path: str,
        do_lower_case: bool = True,
        strip_accents: bool | None = None,
        return_tokens: bool = False,
        never_split: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        if never_split:
            raise NotImplementedError("BERTTokenizer: never_split is not supported")
        self.tokenizer = WordPieceTokenizer.from_file(
            vocab_path, lowercase=do_lower_case, strip_accents=strip_accents
        )
        self.return_tokens = return_tokens

    def forward(self, input: str | Sequence[str]) -> list:
        if not isinstance(input, str):
            return [self.forward(text) for text in input]
        pieces = self.tokenizer.tokenize(input)
        return pieces if self.return_tokens else [str(self.tokenizer.numbers[piece]) for piece in pieces]


class SentencePieceTokenizer(nn.Module):
    """Texts to the pieces of a sentencepiece model (needs the package sentencepiece)."""

    def __init__(self, sp_model_path: str) -> None:
        super().__init__()
        self.tokenizer = _SentencePiece.from_file(sp_model_path)

    def forward(self, input: str | Sequence[str]) -> list:
        if not isinstance(input, str):
            return [self.forward(text) for text in input]
        return self.tokenizer.tokenize(input)
