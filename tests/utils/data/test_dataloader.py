"""The DataLoader in one process; orders are torch 2.13's for the same seeds."""

import numpy as np
import pytest

import flambeau as fb
from flambeau.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    SequentialSampler,
    Subset,
    TensorDataset,
)

NUMBERS = TensorDataset(fb.arange(5))


class Squares(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, i):
        return i * i


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))


def epochs(loader, n):
    return [[batch[0].tolist() for batch in loader] for _ in range(n)]


def test_shuffled_order_is_torchs():
    fb.manual_seed(5)
    loader = DataLoader(TensorDataset(fb.arange(7)), batch_size=3, shuffle=True)
    assert epochs(loader, 2) == [[[0, 3, 6], [2, 1, 4], [5]], [[1, 2, 5], [3, 6, 4], [0]]]
    assert fb.rand(1).item() == pytest.approx(0.0332646369934082, abs=0)
    generator = fb.Generator().manual_seed(0)
    loader = DataLoader(TensorDataset(fb.arange(10)), batch_size=4, shuffle=True, generator=generator)
    assert epochs(loader, 2) == [[[3, 7, 5, 2], [0, 8, 1, 6], [9, 4]], [[1, 3, 2, 7], [5, 9, 0, 6], [4, 8]]]
    fb.manual_seed(123)
    loader = DataLoader(NUMBERS, batch_size=2, shuffle=True, drop_last=True)
    assert epochs(loader, 3) == [[[3, 1], [0, 2]], [[0, 2], [3, 1]], [[1, 3], [4, 2]]]


def test_gathered_batches_equal_collated_ones():
    x, y = fb.randn(23, 3, 2).transpose(1, 2), fb.arange(23)
    data = TensorDataset(x, y)

    def collected(dataset, **kw):
        fb.manual_seed(1)
        return list(DataLoader(dataset, batch_size=5, **kw))

    class PerSample(TensorDataset):
        def __getitem__(self, index):
            return list(super().__getitem__(index))

    for kw in ({}, {"shuffle": True}, {"drop_last": True}, {"batch_sampler": None, "sampler": [3, -1, 0, 3]}):
        fast, slow = collected(data, **kw), collected(PerSample(x, y), **kw)
        assert len(fast) == len(slow)
        for a, b in zip(fast, slow, strict=True):
            assert type(a) is type(b) is list
            assert all(fb.equal(p, q) and p.stride() == q.stride() for p, q in zip(a, b, strict=True))
    subset = collected(Subset(data, list(range(20, 0, -2))))
    assert fb.cat([labels for _, labels in subset]).tolist() == list(range(20, 0, -2))
    with pytest.raises(IndexError):
        list(DataLoader(data, sampler=[99], batch_size=1))


def test_a_batch_is_a_copy():
    x = fb.zeros(4)
    for (batch,) in DataLoader(TensorDataset(x), batch_size=4):
        batch += 1
    assert x.tolist() == [0.0] * 4


def test_kinds_of_loading():
    assert [b.tolist() for b in DataLoader(Squares(), batch_size=3)] == [[0, 1, 4], [9, 16, 25], [36]]
    assert list(DataLoader(Squares(), batch_size=None)) == [0, 1, 4, 9, 16, 25, 36]
    batches = BatchSampler(SequentialSampler(Squares()), 4, True)
    assert [b.tolist() for b in DataLoader(Squares(), batch_sampler=batches)] == [[0, 1, 4, 9]]
    assert [b.tolist() for b in DataLoader(Stream(), batch_size=2)] == [[0, 1], [2, 3], [4]]
    assert [b.tolist() for b in DataLoader(Stream(), batch_size=2, drop_last=True)] == [[0, 1], [2, 3]]
    assert list(DataLoader(Squares(), batch_size=3, collate_fn=sum)) == [5, 50, 36]
    assert isinstance(next(iter(DataLoader([np.ones(2)], batch_size=None))), fb.Tensor)
    assert len(DataLoader(Squares(), batch_size=3)) == 3
    with pytest.raises(TypeError, match=r"has no len"):
        len(DataLoader(Stream()))


def test_getitems_is_preferred():
    class Batched(Squares):
        def __getitems__(self, indices):
            return [float(i) for i in indices]

    assert next(iter(DataLoader(Batched(), batch_size=3))).tolist() == [0.0, 1.0, 2.0]


def test_stream_longer_than_announced_warns():
    class Announced(Stream):
        def __len__(self):
            return 3

    loader = DataLoader(Announced(), batch_size=1)
    assert len(loader) == 3
    with pytest.warns(UserWarning, match=r"was reported to be 3.*but 4 samples have been fetched"):
        list(loader)


def test_error_names_the_item():
    class Broken(Squares):
        def __getitem__(self, i):
            if i == 5:
                raise ValueError("unreadable")
            return i

    with pytest.raises(ValueError, match=r"unreadable") as caught:
        list(DataLoader(Broken(), batch_size=4))
    assert caught.value.__notes__ == ["(while reading item 5 of Broken)"]


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("own_generator", [False, True])
def test_resume_in_mid_epoch(shuffle, own_generator):
    def loader(seed):
        generator = fb.Generator().manual_seed(seed) if own_generator else None
        return DataLoader(TensorDataset(fb.arange(20)), batch_size=3, shuffle=shuffle, generator=generator)

    fb.manual_seed(7)
    first = loader(3)
    walk = iter(first)
    for _ in range(3):
        next(walk)
    state = first.state_dict()
    rest = [batch[0].tolist() for batch in walk]
    fb.manual_seed(99)
    second = loader(4)
    second.load_state_dict(state)
    assert [batch[0].tolist() for batch in second] == rest
    assert len(list(second)) == 7
    assert first.state_dict()["batches"] == 0


def test_resume_of_a_stream():
    first = DataLoader(Stream(), batch_size=2)
    walk = iter(first)
    next(walk)
    second = DataLoader(Stream(), batch_size=2)
    second.load_state_dict(first.state_dict())
    assert [b.tolist() for b in second] == [[2, 3], [4]]


BATCHES = BatchSampler(SequentialSampler(NUMBERS), 2, False)
WRONG = [
    ({"batch_size": 0}, ValueError, "batch_size should be a positive integer value, but got batch_size=0"),
    (
        {"batch_size": True},
        ValueError,
        "batch_size should be a positive integer value, but got batch_size=True",
    ),
    ({"num_workers": -1}, ValueError, "num_workers option should be non-negative"),
    ({"timeout": -1}, ValueError, "timeout option should be non-negative"),
    ({"prefetch_factor": 2}, ValueError, "prefetch_factor option could only be specified in multiprocessing"),
    ({"persistent_workers": True}, ValueError, "persistent_workers option needs num_workers > 0"),
    ({"shuffle": True, "sampler": [1]}, ValueError, "sampler option is mutually exclusive with shuffle"),
    ({"batch_size": 2, "batch_sampler": BATCHES}, ValueError, "batch_sampler option is mutually exclusive"),
    ({"batch_size": None, "drop_last": True}, ValueError, "batch_size=None option disables auto-batching"),
    (
        {"multiprocessing_context": "fork"},
        ValueError,
        "multiprocessing_context can only be used with multi-process",
    ),
    ({"num_workers": 1, "multiprocessing_context": "bad"}, ValueError, "should specify a valid start method"),
    (
        {"num_workers": 1, "multiprocessing_context": 3},
        TypeError,
        "should be a valid context object or a string",
    ),
    ({"foo": 1}, TypeError, "unexpected keyword argument 'foo'"),
]


@pytest.mark.parametrize(
    ("kw", "kind", "message"), WRONG, ids=lambda v: None if not isinstance(v, dict) else str(list(v))
)
def test_wrong_arguments(kw, kind, message):
    with pytest.raises(kind, match=message):
        DataLoader(NUMBERS, **kw)


def test_wrong_use_of_streams_and_attributes():
    with pytest.raises(ValueError, match=r"expected unspecified shuffle option, but got shuffle=True"):
        DataLoader(Stream(), shuffle=True)
    with pytest.raises(
        ValueError, match=r"batch_size attribute should not be set after DataLoader is initialized"
    ):
        DataLoader(NUMBERS).batch_size = 3
    with pytest.warns(UserWarning, match=r"This DataLoader will create 999 worker processes in total"):
        DataLoader(NUMBERS, num_workers=999)
