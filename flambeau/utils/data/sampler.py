"""Samplers: the order in which a data set is read. Random orders follow torch's random streams number by
number.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Generic, TypeVar

import flambeau as fb

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]

T_co = TypeVar("T_co", covariant=True)
_DRAWS_AT_ONCE = 32  # with replacement, torch asks its generator for this many numbers at a time


def draw_seed(generator: fb.Generator | None = None) -> int:
    """A 63-bit seed from `generator` (the default one if None), drawn as torch draws it."""
    return int(fb.empty((), dtype=fb.int64).random_(generator=generator).item())


class Sampler(Generic[T_co]):
    """Base class: ``__iter__`` gives keys of a data set (or lists of keys), ``__len__`` says how many."""

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ... up to the length of `data_source`."""

    data_source: Sized

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """A random permutation, or `num_samples` draws with or without replacement.

    Without replacement, more draws than there are samples continue with further permutations.
    """

    data_source: Sized
    replacement: bool

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: fb.Generator | None = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        if not isinstance(replacement, bool):
            raise TypeError(f"replacement should be a boolean value, but got replacement={replacement}")
        if not isinstance(self.num_samples, int) or self.num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={self.num_samples}"
            )

    @property
    def num_samples(self) -> int:
        """How many indices are drawn: all of the data set unless told."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def chunks(self) -> Iterator[fb.Tensor]:
        """The order as index tensors, drawn when they are asked for."""
        n = len(self.data_source)
        generator = self.generator
        if generator is None:
            seed = draw_seed()
            generator = fb.Generator()
            generator.manual_seed(seed)
        rounds, rest = divmod(self.num_samples, _DRAWS_AT_ONCE if self.replacement else n)
        if self.replacement:
            for size in [_DRAWS_AT_ONCE] * rounds + [rest]:
                yield fb.randint(high=n, size=(size,), dtype=fb.int64, generator=generator)
        else:
            for _ in range(rounds):
                yield fb.randperm(n, generator=generator)
            yield fb.randperm(n, generator=generator)[:rest]

    def __iter__(self) -> Iterator[int]:
        for chunk in self.chunks():
            yield from chunk.tolist()

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """The given indices in random order."""

    indices: Sequence[int]

    def __init__(self, indices: Sequence[int], generator: fb.Generator | None = None) -> None:
        self.indices = indices
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        for i in fb.randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[i]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Index i is drawn with probability proportional to ``weights[i]``."""

    weights: fb.Tensor
    num_samples: int
    replacement: bool

    def __init__(
        self,
        weights: Sequence[float],
        num_samples: int,
        replacement: bool = True,
        generator: fb.Generator | None = None,
    ) -> None:
        if not isinstance(num_samples, int) or isinstance(num_samples, bool) or num_samples <= 0:
            raise ValueError(
                f"num_samples should be a positive integer value, but got num_samples={num_samples}"
            )
        if not isinstance(replacement, bool):
            raise ValueError(f"replacement should be a boolean value, but got replacement={replacement}")
        self.weights = fb.as_tensor(weights, dtype=fb.double)
        if self.weights.dim() != 1:
            raise ValueError(
                f"weights should be a 1d sequence but given weights have shape {tuple(self.weights.shape)}"
            )
        self.num_samples = num_samples
        self.replacement = replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = fb.multinomial(self.weights, self.num_samples, self.replacement, generator=self.generator)
        yield from drawn.tolist()

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Lists of `batch_size` successive keys of another sampler; the last one may be shorter, or is
    dropped.
    """

    def __init__(self, sampler: Sampler[int] | Iterable[int], batch_size: int, drop_last: bool) -> None:
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size <= 0:
            raise ValueError(
                f"batch_size should be a positive integer value, but got batch_size={batch_size}"
            )
        if not isinstance(drop_last, bool):
            raise ValueError(f"drop_last should be a boolean value, but got drop_last={drop_last}")
        self.sampler = sampler
        self.batch_size = batch_size
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        keys = iter(self.sampler)
        while batch := list(itertools.islice(keys, self.batch_size)):
            if len(batch) == self.batch_size or not self.drop_last:
                yield batch

    def blocks(self) -> Iterator[slice | fb.Tensor] | None:
        """The same batches as slices or index tensors, without one Python integer a sample; None if that
        cannot be.
        """
        if type(self) is not BatchSampler:
            return None
        if type(self.sampler) is SequentialSampler:
            return self._slices(len(self.sampler))
        if type(self.sampler) is RandomSampler:
            random = self.sampler
            if not random.replacement and random.num_samples == len(random.data_source):
                return self._permuted(random)
        return None

    def _slices(self, total: int) -> Iterator[slice]:
        for start in range(0, total, self.batch_size):
            stop = start + self.batch_size
            if stop <= total or not self.drop_last:
                yield slice(start, min(stop, total))

    def _permuted(self, sampler: RandomSampler) -> Iterator[fb.Tensor]:
        chunks = sampler.chunks()
        order = next(chunks)
        whole = len(order) - len(order) % self.batch_size
        for start in range(0, whole, self.batch_size):
            yield order[start : start + self.batch_size]
        if sampler.generator is not None:  # its owner sees that the end of the walk draws once more
            for _ in chunks:
                pass
        if whole < len(order) and not self.drop_last:
            yield order[whole:]

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (1 if rest and not self.drop_last else 0)
