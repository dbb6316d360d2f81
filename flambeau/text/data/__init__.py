"""Basic tokenizers and measures for texts."""

from . import metrics, utils
from .metrics import bleu_score
from .utils import get_tokenizer, ngrams_iterator

__all__ = ["bleu_score", "get_tokenizer", "metrics", "ngrams_iterator", "utils"]
