"""Basic tokenizers."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

__all__ = ["get_tokenizer", "ngrams_iterator"]

_ALONE = re.compile(r"['.,()!?]")  # each a token of its own
_DROPPED = re.compile(r"\"|<br />|[;:]")


def _split(text: str) -> list[str]:
    return text.split()


def _basic_english(text: str) -> list[str]:
    """Lower case; punctuation stands alone, quotes, colons and semicolons are dropped."""
    text = _DROPPED.sub(lambda match: "" if match[0] == '"' else " ", text.lower())
    return _ALONE.sub(lambda match: f" {match[0]} ", text).split()


def get_tokenizer(tokenizer: str | Callable | None, language: str = "en") -> Callable[[str], list[str]]:
    """A function from text to tokens.

    Parameters
    ----------
    tokenizer : None splits at white space; 'basic_english' also lowers case and parts punctuation; 'spacy'
        uses that package; a function is given back.
    """
    if tokenizer is None:
        return _split
    if tokenizer == "basic_english":
        if language != "en":
            raise ValueError("Basic normalization is only available for Enlish(en)")
        return _basic_english
    if callable(tokenizer):
        return tokenizer
    if tokenizer == "spacy":
        try:
            import spacy
        except ImportError as error:
            raise ImportError("the tokenizer 'spacy' needs the package: pip install spacy") from error
        try:
            loaded = spacy.load(language)
        except OSError:
            loaded = spacy.blank(language)
        return lambda text: [token.text for token in loaded.tokenizer(text)]
    raise ValueError(
        f"Requested tokenizer {tokenizer}, valid choices are a callable that takes a single string as input, "
        '"basic_english" for the basic tokenizer, "spacy" for the spaCy tokenizer, or None for splitting at '
        "white space"
    )


def ngrams_iterator(token_list: Sequence[str], ngrams: int) -> Iterator[str]:
    """The tokens, then all runs of 2, 3, … `ngrams` tokens joined by spaces."""
    yield from token_list
    for n in range(2, ngrams + 1):
        for start in range(len(token_list) - n + 1):
            yield " ".join(token_list[start : start + n])
