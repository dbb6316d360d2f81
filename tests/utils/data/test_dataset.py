import pytest

import flambeau as fb
from flambeau.utils.data import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)


class Squares(Dataset):
    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        if not -self.n <= i < self.n:
            raise IndexError(i)
        return i * i


class Stream(IterableDataset):
    def __init__(self, n):
        self.n = n

    def __iter__(self):
        return iter(range(self.n))


def test_tensor_dataset_rows():
    x, y = fb.arange(6.0).reshape(3, 2), fb.tensor([7, 8, 9])
    data = TensorDataset(x, y)
    assert len(data) == 3
    row, label = data[1]
    assert row.tolist() == [2.0, 3.0] and label.item() == 8
    with pytest.raises(AssertionError, match=r"Size mismatch between tensors"):
        TensorDataset(x, fb.ones(4))


def test_concat_and_chain():
    both = Squares(3) + Squares(4)
    assert isinstance(both, ConcatDataset)
    assert both.cumulative_sizes == [3, 7]
    assert [both[i] for i in (0, 2, 3, 6, -1, -7)] == [0, 4, 0, 9, 9, 0]
    with pytest.raises(ValueError, match=r"absolute value of index should not exceed dataset length"):
        both[-8]
    with pytest.raises(IndexError):
        both[7]
    with pytest.raises(AssertionError, match=r"datasets should not be an empty iterable"):
        ConcatDataset([])
    with pytest.raises(AssertionError, match=r"does not support IterableDataset"):
        ConcatDataset([Stream(2)])
    chain = Stream(2) + Stream(3)
    assert isinstance(chain, ChainDataset) and list(chain) == [0, 1, 0, 1, 2]
    with pytest.raises(AssertionError, match=r"only supports IterableDataset"):
        list(ChainDataset([Squares(2)]))


def test_stack_dataset():
    pair, named = (
        StackDataset(Squares(4), [5, 6, 7, 8]),
        StackDataset(a=Squares(2), b=Subset([1, 2, 3], [2, 0])),
    )
    assert pair[3] == (9, 8) and len(pair) == 4
    assert pair.__getitems__([1, 2]) == [(1, 6), (4, 7)]
    assert named[1] == {"a": 1, "b": 1}
    assert named.__getitems__([0, 1]) == [{"a": 0, "b": 3}, {"a": 1, "b": 1}]
    for bad in (lambda: StackDataset(), lambda: StackDataset([1], [1, 2]), lambda: StackDataset([1], a=[1])):
        with pytest.raises(ValueError):
            bad()


def test_subset_uses_the_batch_road_of_its_dataset():
    class Batched(Squares):
        def __getitems__(self, indices):
            return [("batched", i) for i in indices]

    assert Subset(Batched(5), [4, 2]).__getitems__([1, 0]) == [("batched", 2), ("batched", 4)]
    assert Subset(Squares(5), [4, 2]).__getitems__([1]) == [4]
    assert Subset(Squares(5), [4, 2])[0] == 16


def test_random_split_follows_torch():
    fb.manual_seed(0)
    a, b = random_split(range(10), [7, 3])
    assert (list(a.indices), list(b.indices)) == ([4, 1, 7, 5, 3, 9, 0], [8, 6, 2])
    generator = fb.Generator().manual_seed(42)
    parts = random_split(range(11), [0.5, 0.25, 0.25], generator=generator)
    assert [len(part) for part in parts] == [6, 3, 2]
    assert list(parts[2].indices) == SPLIT_42
    with pytest.raises(
        ValueError, match=r"Sum of input lengths does not equal the length of the input dataset!"
    ):
        random_split(range(5), [3, 3])
    with pytest.warns(UserWarning, match=r"Length of split at index 1 is 0"):
        random_split(range(1), [0.5, 0.5])


SPLIT_42 = [5, 4]
