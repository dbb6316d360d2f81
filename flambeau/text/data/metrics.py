"""Measures of translations."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from .utils import ngrams_iterator

__all__ = ["bleu_score"]


def bleu_score(
    candidate_corpus: Sequence[Sequence[str]],
    references_corpus: Sequence[Sequence[Sequence[str]]],
    max_n: int = 4,
    weights: Sequence[float] = (0.25, 0.25, 0.25, 0.25),
) -> float:
    """BLEU of translations against one or more references each. (Papineni et al., 2002)"""
    if max_n != len(weights):
        raise AssertionError('Length of the "weights" list has be equal to max_n')
    if len(candidate_corpus) != len(references_corpus):
        raise AssertionError("The length of candidate and reference corpus should be the same")
    matched, proposed = [0] * max_n, [0] * max_n
    length = reference_length = 0
    for candidate, references in zip(candidate_corpus, references_corpus):
        length += len(candidate)
        reference_length += min((len(r) for r in references), key=lambda n: abs(len(candidate) - n))
        known: Counter[str] = Counter()
        for reference in references:
            known |= Counter(ngrams_iterator(reference, max_n))
        counts = Counter(ngrams_iterator(candidate, max_n))
        for gram, count in (counts & known).items():
            matched[gram.count(" ")] += count
        for n in range(max_n):
            proposed[n] += max(len(candidate) - n, 0)
    if min(matched) == 0:
        return 0.0
    precision = sum(w * math.log(m / p) for w, m, p in zip(weights, matched, proposed))
    return math.exp(precision + min(0.0, 1 - reference_length / length))
