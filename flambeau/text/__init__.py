"""What torchtext has, small: vocabularies, tokenizers, transforms and data sets of texts. ``import
torchtext`` gives this package.

Submodules are loaded when first used; Hugging Face's tokenizers and sentencepiece only when asked for.
"""

from __future__ import annotations

from flambeau._lookup import lazy

__version__ = "0.18.0"
_SUBMODULES = ("data", "datasets", "functional", "tokenizers", "transforms", "vocab")


def disable_torchtext_deprecation_warning() -> None:
    """There is no such warning here; programs written for torchtext 0.18 call this."""


__getattr__ = lazy(__name__, {}, _SUBMODULES)
