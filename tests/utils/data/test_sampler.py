"""Orders are compared with the numbers that torch 2.13 gives for the same seeds."""

import pytest

import flambeau as fb
from flambeau.utils.data import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)


def test_default_stream():
    fb.manual_seed(3)
    assert list(WeightedRandomSampler([0.1, 0.9, 0.5], 5)) == [0, 1, 2, 1, 2]
    assert list(WeightedRandomSampler([0.1, 0.9, 0.5], 2, False)) == [1, 2]
    assert list(SubsetRandomSampler([4, 5, 6, 7])) == [7, 5, 6, 4]
    assert list(RandomSampler(range(5), True, 40))[:36] == [
        4, 1, 0, 0, 4, 2, 0, 1, 2, 4, 0, 3, 3, 3, 4, 4, 0, 0, 3, 2, 4, 0, 4, 4, 3, 2, 3, 3, 0, 0, 4, 3, 0, 3,
        1, 3,
    ]  # fmt: skip
    assert list(RandomSampler(range(5), False, 12)) == [1, 0, 2, 3, 4, 0, 1, 3, 2, 4, 4, 1]


def test_own_generator_moves_on_between_epochs():
    sampler = RandomSampler(range(10), generator=fb.Generator().manual_seed(0))
    assert list(sampler) == [4, 1, 7, 5, 3, 9, 0, 8, 6, 2]
    assert list(sampler) == [4, 0, 8, 5, 9, 1, 6, 3, 7, 2]


@pytest.mark.parametrize("drop_last", [False, True])
@pytest.mark.parametrize("size", [3, 5, 16])
def test_blocks_are_the_batches(size, drop_last):
    def batches(make):
        sampler = BatchSampler(make(), size, drop_last)
        return [[list(b) for b in sampler] for _ in range(2)]

    def blocks(make):
        sampler = BatchSampler(make(), size, drop_last)
        rows = fb.arange(10)
        return [[rows[b].tolist() for b in sampler.blocks()] for _ in range(2)]

    assert blocks(lambda: SequentialSampler(range(10))) == batches(lambda: SequentialSampler(range(10)))

    def random():
        return RandomSampler(range(10), generator=fb.Generator().manual_seed(1))

    assert blocks(random) == batches(random)


def test_batch_sampler():
    assert list(BatchSampler(SequentialSampler(range(7)), 3, False)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(BatchSampler(range(7), 3, True)) == [[0, 1, 2], [3, 4, 5]]
    assert [len(BatchSampler(range(7), 3, drop)) for drop in (False, True)] == [3, 2]


def test_distributed_sampler():
    sampler = DistributedSampler(range(10), 3, 1)
    assert (list(sampler), len(sampler)) == ([1, 3, 8, 4], 4)
    sampler.set_epoch(1)
    assert list(sampler) == [6, 0, 3, 5]
    assert list(DistributedSampler(range(10), 3, 2, drop_last=True, seed=9)) == [8, 2, 4]
    assert list(DistributedSampler(range(2), 5, 3, shuffle=False)) == [1]
    with pytest.raises(ValueError, match=r"Invalid rank 5, rank should be in the interval \[0, 1\]"):
        DistributedSampler(range(10), 2, 5)


@pytest.mark.parametrize(
    ("kind", "message", "make"),
    [
        (
            TypeError,
            "replacement should be a boolean value, but got replacement=2",
            lambda: RandomSampler([1], 2),
        ),
        (
            ValueError,
            "num_samples should be a positive integer value, but got num_samples=0",
            lambda: RandomSampler([]),
        ),
        (
            ValueError,
            r"weights should be a 1d sequence but given weights have shape \(1, 2\)",
            lambda: WeightedRandomSampler([[1, 2]], 2),
        ),
        (ValueError, "num_samples should be a positive integer", lambda: WeightedRandomSampler([1, 2], True)),
        (ValueError, "batch_size should be a positive integer", lambda: BatchSampler([1], True, False)),
        (
            ValueError,
            "drop_last should be a boolean value, but got drop_last=3",
            lambda: BatchSampler([1], 2, 3),
        ),
        (NotImplementedError, "^$", lambda: iter(Sampler())),
    ],
)
def test_wrong_arguments(kind, message, make):
    with pytest.raises(kind, match=message):
        make()
