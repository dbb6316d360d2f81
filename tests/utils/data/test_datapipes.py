"""Data pipes; results and orders of torch 2.13."""

import io
import pickle

import pytest

import flambeau as torch
from flambeau.utils import data
from flambeau.utils.data.datapipes import map as maps
from flambeau.utils.data.datapipes.iter import (
    FileLister,
    FileOpener,
    IterableWrapper,
    RoutedDecoder,
    Sampler,
    StreamReader,
)


def _ten(x):
    return x * 10


PIPES = {
    "map": (lambda: IterableWrapper(range(3)).map(_ten), [0, 10, 20]),
    "map part": (lambda: IterableWrapper([(1, 2)]).map(_ten, input_col=0), [(10, 2)]),
    "map append": (lambda: IterableWrapper([(1, 2)]).map(_ten, input_col=0, output_col=-1), [(1, 2, 10)]),
    "map two": (lambda: IterableWrapper([(1, 2)]).map(max, input_col=[0, 1], output_col=0), [(2, 2)]),
    "filter": (lambda: IterableWrapper([(1, 2), (3, 0)]).filter(lambda x: x > 0, input_col=1), [(1, 2)]),
    "batch": (lambda: IterableWrapper(range(5)).batch(2), [[0, 1], [2, 3], [4]]),
    "batch whole": (lambda: IterableWrapper(range(5)).batch(2, drop_last=True), [[0, 1], [2, 3]]),
    "unbatch": (lambda: IterableWrapper([[[1], [2]], [3]]).unbatch(unbatch_level=-1), [1, 2, 3]),
    "zip": (lambda: IterableWrapper(range(3)).zip(IterableWrapper(range(5))), [(0, 0), (1, 1), (2, 2)]),
    "concat": (lambda: IterableWrapper(range(2)).concat(IterableWrapper([9])), [0, 1, 9]),
    "mux": (lambda: IterableWrapper(range(3)).mux(IterableWrapper([10, 11])), [0, 10, 1, 11]),
    "groupby": (
        lambda: IterableWrapper(["a1", "b1", "a2"]).groupby(lambda x: x[0], keep_key=True),
        [("a", ["a1", "a2"]), ("b", ["b1"])],
    ),
    "sampler": (lambda: Sampler(IterableWrapper(range(3))), [0, 1, 2]),
    "shuffle": (lambda: IterableWrapper(range(6)).shuffle(buffer_size=3).set_seed(1), [0, 2, 3, 1, 5, 4]),
    "unshuffled": (lambda: IterableWrapper(range(4)).shuffle().set_shuffle(False), [0, 1, 2, 3]),
    "shuffle opened": (
        lambda: IterableWrapper([[1, 2], [3, 4]]).shuffle(unbatch_level=1).set_seed(0), [4, 2, 1, 3],
    ),
    "stream": (
        lambda: StreamReader(IterableWrapper([("a", io.StringIO("abc"))], deepcopy=False), chunk=2),
        [("a", "ab"), ("a", "c")],
    ),
    "map pipe": (lambda: maps.SequenceWrapper([1, 2, 3]).map(_ten), [10, 20, 30]),
    "map batch": (lambda: maps.SequenceWrapper(range(3)).batch(2), [[0, 1], [2]]),
    "map zip": (lambda: maps.SequenceWrapper([1]).zip(maps.SequenceWrapper([2])), [(1, 2)]),
    "map concat": (lambda: maps.SequenceWrapper([1]).concat(maps.SequenceWrapper([2])), [1, 2]),
    "map shuffle": (lambda: maps.SequenceWrapper(range(6)).shuffle().set_seed(3), [0, 2, 3, 5, 4, 1]),
}  # fmt: skip


@pytest.mark.parametrize("name", PIPES)
def test_pipes(name):
    make, samples = PIPES[name]
    assert list(make()) == samples


def test_children_of_a_pipe():
    a, b = IterableWrapper(range(3)).fork(2)
    assert list(zip(a, b)) == [(0, 0), (1, 1), (2, 2)]
    assert [list(a), list(b), list(a)] == [[0, 1, 2]] * 3
    even, odd = IterableWrapper(range(5)).demux(2, lambda x: None if x == 2 else x % 2, drop_none=True)
    assert list(even) == [0, 4] and list(odd) == [1, 3]
    with pytest.raises(ValueError, match=r"should be between 0 and 1\. 5 is returned\."):
        list(IterableWrapper(range(5)).demux(2, lambda x: 5)[0])
    small, _ = IterableWrapper(range(5)).fork(2, buffer_size=2)
    with pytest.raises(BufferError, match="buffer overflow, buffer size 2 is insufficient"):
        list(small)


def test_one_iterator_at_a_time():
    pipe = IterableWrapper(range(3)).map(_ten)
    first = iter(pipe)
    next(first)
    next(iter(pipe))
    with pytest.raises(RuntimeError, match=r"has been invalidated[\s\S]*MapperIterDataPipe\(datapipe="):
        next(first)
    assert list(pipe) == list(pipe) == [0, 10, 20] and pipe._number_of_samples_yielded == 3


def test_errors_name_their_pipe():
    with pytest.raises(IndexError, match=r"exceeds the depth[\s\S]*of UnBatcherIterDataPipe\(datapipe=Iter"):
        list(IterableWrapper([1]).unbatch(2))
    with pytest.raises(ValueError, match=r"Boolean output is required for `filter_fn` of FilterIterDataPipe"):
        list(IterableWrapper([1]).filter(_ten))
    with pytest.raises(
        AttributeError, match="'IterableWrapperIterDataPipe' object has no attribute 'nothing"
    ):
        IterableWrapper([1]).nothing  # noqa: B018
    with pytest.raises(TypeError, match="doesn't have valid length"):
        len(IterableWrapper(iter([1])))
    with pytest.raises(TypeError, match="All inputs are required to be `IterDataPipe`"):
        IterableWrapper([1]).zip([2])


def test_own_pipes():
    @data.functional_datapipe("plus_one_for_a_test")
    class PlusOne(data.IterDataPipe):
        def __init__(self, source):
            self.source = source

        def __iter__(self):
            for x in self.source:
                yield x + 1

    assert list(IterableWrapper([1, 2]).plus_one_for_a_test()) == [2, 3]
    assert (
        isinstance(PlusOne([1]), data.IterableDataset)
        and repr(IterableWrapper([1])) == "IterableWrapperIterDataPipe"
    )
    with pytest.raises(Exception, match="as it is already taken"):
        data.functional_datapipe("plus_one_for_a_test")(PlusOne)
    copied = pickle.loads(pickle.dumps(IterableWrapper([1]).map(_ten)))
    assert list(copied) == [10]
    graph = data.graph.traverse_dps(IterableWrapper([1]).map(_ten).batch(2))
    assert len(data.graph_settings.get_all_graph_pipes(graph)) == 3
    chunk = data.DataChunk([1, 2])
    assert chunk == [1, 2] and chunk.as_str("  ") == "  [1, 2]" and list(chunk.raw_iterator()) == [1, 2]


def test_checks_of_types():
    class Ints(data.IterDataPipe[int]):
        @data.runtime_validation
        def __iter__(self):
            yield from [1, "a"]

    with pytest.raises(RuntimeError, match="Expected an instance as subtype of"):
        list(Ints())
    with data.runtime_validation_disabled():
        assert list(Ints()) == [1, "a"]

    @data.argument_validation
    def takes(pipe: data.IterDataPipe):
        return pipe

    with pytest.raises(TypeError, match="Expected argument 'pipe' as a IterDataPipe"):
        takes([1])

    @data.non_deterministic
    class Anyhow(data.IterDataPipe):
        def __iter__(self):
            yield 1

    Anyhow()
    with (
        data.guaranteed_datapipes_determinism(),
        pytest.raises(TypeError, match="Anyhow is non-deterministic"),
    ):
        Anyhow()


def test_files(tmp_path):
    for name in ("b.txt", "a.txt", "c.bin"):
        (tmp_path / name).write_text(name)
    names = FileLister(str(tmp_path), "*.txt")
    assert [n[-5:] for n in names] == ["a.txt", "b.txt"]
    assert [text for _, text in FileOpener(names, mode="r").read_from_stream()] == ["a.txt", "b.txt"]
    decoded = RoutedDecoder(FileOpener(names, mode="b"), lambda key, data: (key, len(data)))
    assert [made for _, made in decoded] == [("txt", 5), ("txt", 5)]


def test_loaders_of_pipes():
    torch.manual_seed(0)
    loader = data.DataLoader(IterableWrapper(range(6)).shuffle(), batch_size=2, shuffle=True)
    assert [b.tolist() for b in loader] == [[4, 0], [3, 5], [2, 1]]
    assert [b.tolist() for b in loader] == [[3, 4], [0, 2], [5, 1]]
    off = data.DataLoader(IterableWrapper(range(5)).shuffle(), batch_size=2, shuffle=False)
    assert [b.tolist() for b in off] == [[0, 1], [2, 3], [4]] and len(off) == 3


def test_workers_take_shares():
    pipe = IterableWrapper(range(6)).sharding_filter().map(_ten)
    loader = data.DataLoader(pipe, batch_size=2, num_workers=2)
    assert [b.tolist() for b in loader] == [[0, 20], [10, 30], [40], [50]]
    data.graph_settings.apply_sharding(pipe, 3, 1)
    assert list(pipe) == [10, 40]


def test_modules_of_pipes_are_where_pytorch_has_them():
    from flambeau.utils.data.datapipes.iter import callable, combinatorics, selecting, utils

    assert combinatorics.ShufflerIterDataPipe.__module__.endswith("datapipes.iter.combinatorics")
    assert callable.MapperIterDataPipe.__module__.endswith("datapipes.iter.callable")
    assert selecting.FilterIterDataPipe.__module__.endswith("datapipes.iter.selecting")
    assert utils.IterableWrapperIterDataPipe.__module__.endswith("datapipes.iter.utils")
