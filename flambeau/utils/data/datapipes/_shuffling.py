"""What the shufflers of both kinds of pipes share: a switch, and a seed for the next pass."""

from __future__ import annotations

import random
from typing import TypeVar

import flambeau as fb

S = TypeVar("S", bound="Shuffling")


class Shuffling:
    """A pipe whose order is drawn anew for every pass."""

    _enabled: bool
    _seed: int | None
    _rng: random.Random

    def _start_shuffling(self) -> None:
        self._enabled, self._seed, self._rng = True, None, random.Random()

    def set_shuffle(self: S, shuffle: bool = True) -> S:
        """Turn the shuffling on or off."""
        self._enabled = shuffle
        return self

    def set_seed(self: S, seed: int) -> S:
        """Seed the order of the next pass."""
        self._seed = seed
        return self

    def _reseed(self) -> None:
        seed = self._seed
        if seed is None:
            seed = int(fb.empty((), dtype=fb.int64).random_().item())
        self._rng.seed(seed)
        self._seed = None
