"""Loaders of other packages: subclasses of the iterator with their own steps, and errors of their workers."""

import itertools
import multiprocessing
import pickle
import queue
import threading

import pytest

import flambeau as fb
from flambeau._utils import ExceptionWrapper
from flambeau.utils.data import DataLoader, Dataset, IterableDataset, _DatasetKind, _utils
from flambeau.utils.data.dataloader import (
    _BaseDataLoaderIter,
    _MultiProcessingDataLoaderIter,
    _sharding_worker_init_fn,
    _SingleProcessDataLoaderIter,
)
from flambeau.utils.data.datapipes.datapipe import _IterDataPipeSerializationWrapper


class Numbers(Dataset):
    def __len__(self):
        return 7

    def __getitem__(self, index):
        return fb.tensor(index)


class Stream(IterableDataset):
    def __iter__(self):
        return iter(range(5))

    def __len__(self):
        return 3


class Steps(_BaseDataLoaderIter):
    """Reads in this process and counts the keys it asked for."""

    def __init__(self, loader):
        super().__init__(loader)
        self.asked = 0
        self.fetcher = _DatasetKind.create_fetcher(
            self._dataset_kind, self._dataset, self._auto_collation, self._collate_fn, self._drop_last
        )

    def _next_index(self):
        index = super()._next_index()
        self.asked += 1
        return index

    def _next_data(self):
        return self.fetcher.fetch(self._next_index())


class Loader(DataLoader):
    def __iter__(self):
        return Steps(self)


def test_a_subclass_reads_as_the_loader_does():
    fb.manual_seed(3)
    usual = [b.tolist() for b in DataLoader(Numbers(), batch_size=3, shuffle=True)]
    fb.manual_seed(3)
    steps = iter(Loader(Numbers(), batch_size=3, shuffle=True))
    assert [b.tolist() for b in steps] == usual
    assert steps._num_yielded == 3 and steps.asked == 3 and len(steps) == 3
    loader = Loader(Numbers(), batch_size=3)
    steps._reset(loader)
    assert steps._num_yielded == 0 and len([*steps]) == 3
    with pytest.raises(NotImplementedError):
        pickle.dumps(steps)
    assert isinstance(iter(DataLoader(Numbers())), _BaseDataLoaderIter)


def test_a_longer_stream_than_it_said_warns():
    loader = Loader(Stream(), batch_size=None)
    steps = iter(loader)
    assert steps.fetcher.dataset is loader.dataset and not steps.fetcher.ended
    assert len([*steps]) == 5
    assert len(loader) == 3
    with pytest.warns(UserWarning, match="was reported to be 3"):
        list(loader)


def test_an_error_is_raised_again_with_its_text():
    def fails(key):
        return {}[key]

    try:
        fails("k")
    except KeyError:
        kept = ExceptionWrapper(where="in a worker")
    kept = pickle.loads(pickle.dumps(kept))
    assert kept.exc_type is KeyError and kept.where == "in a worker"
    assert kept.exc_msg.startswith("Traceback (most recent call last):")
    with pytest.raises(KeyError) as caught:
        kept.reraise()
    assert str(caught.value).startswith("Caught KeyError in a worker.\nOriginal Traceback")

    class Strange(Exception):
        def __init__(self, a, b):
            super().__init__(a, b)

    try:
        raise Strange(1, 2)
    except Strange as error:
        kept = ExceptionWrapper((type(error), error, error.__traceback__))
    with pytest.raises(RuntimeError, match="Caught Strange in background"):
        kept.reraise()


def test_the_pinning_thread_passes_batches_and_errors_on():
    class Unpinnable:
        def pin_memory(self):
            raise ValueError("no")

    come, go, done = queue.Queue(), queue.Queue(), threading.Event()
    thread = threading.Thread(target=_utils.pin_memory._pin_memory_loop, args=(come, go, 0, done, None))
    thread.start()
    try:
        raise IndexError("first")
    except IndexError:
        failed = ExceptionWrapper(where="there")
    for item in [(0, {"a": "text"}), (1, Unpinnable()), (2, failed)]:
        come.put(item)
    got = [go.get(timeout=30) for _ in range(3)]
    done.set()
    come.put((3, None))
    thread.join(30)
    assert got[0] == (0, {"a": "text"}) and got[2] == (2, failed)
    with pytest.raises(ValueError, match="in pin memory thread for device 0"):
        got[1][1].reraise()


def test_what_own_worker_loops_ask_for(monkeypatch):
    parts = _utils.worker
    assert parts.ManagerWatchdog().is_alive()
    assert parts._IterableDatasetStopIteration(2).worker_id == 2 and parts._ResumeIteration().seed is None
    assert _utils.python_exit_status is False and _utils.HAS_NUMPY and _utils.MP_STATUS_CHECK_INTERVAL > 0
    signals = _utils.signal_handling
    signals._set_worker_signal_handlers()
    signals._set_SIGCHLD_handler()
    signals._set_worker_pids(1, ())
    signals._error_if_any_worker_fails()
    signals._remove_worker_pids(1)
    with pytest.raises(ValueError, match="Cannot find worker information"):
        signals._remove_worker_pids(1)

    pipe = fb.utils.data.datapipes.iter.IterableWrapper(range(12)).sharding_filter()
    info = parts.WorkerInfo(id=1, num_workers=2, seed=0, dataset=pipe)
    monkeypatch.setattr(parts, "_worker_info", info)
    started = []
    _sharding_worker_init_fn(started.append, 2, 0, 1)
    assert started == [1] and list(_IterDataPipeSerializationWrapper(pipe)) == [2, 6, 10]


def test_set_vital_warns():
    with pytest.warns(UserWarning, match="'set_vital' is deprecated"):
        assert fb.set_vital("a", "b", "c") is None


class StandIn:
    """Has what PyTorch's iterators read of a loader, is none, and is its own data set."""

    _IterableDataset_len_called, _auto_collation, drop_last, in_order = None, False, False, True
    _index_sampler, generator, prefetch_factor, worker_init_fn = itertools.count(), None, 2, None
    dataset_kind = _dataset_kind = _DatasetKind.Iterable
    pin_memory, pin_memory_device, timeout, persistent_workers = False, "", 0, False
    multiprocessing_context = multiprocessing

    def __init__(self, num_workers):
        self.dataset, self.num_workers = self, num_workers

    def collate_fn(self, sample):
        return sample * 2

    def __iter__(self):
        return iter([1, 2, 3])


def test_a_stand_in_for_a_loader():
    assert list(_SingleProcessDataLoaderIter(StandIn(0))) == [2, 4, 6]
    assert sorted(_MultiProcessingDataLoaderIter(StandIn(2))) == [2, 2, 4, 4, 6, 6]


class Endless(DataLoader):
    """Keeps one iterator for all epochs."""

    def __iter__(self):
        self.walk = self._get_iterator()
        for _ in range(2):
            yield next(self.walk)


def test_a_loader_that_keeps_its_iterator():
    loader = Endless(Numbers(), num_workers=1)
    assert [int(b) for b in loader] == [0, 1]
    (worker,) = loader.walk._workers
    assert worker.is_alive()
    loader.walk._shutdown_workers()
    assert not worker.is_alive()
    assert [int(b) for b in Endless(Numbers())] == [0, 1]


class Reversed(DataLoader):
    def _get_iterator(self):
        return iter([9, 8])


def test_a_loader_with_an_iterator_of_its_own():
    assert list(Reversed(Numbers())) == [9, 8]


class Again(DataLoader):
    """Changes its sampler after the start, in the way that PyTorch leaves open."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._DataLoader__initialized = False
        self.batch_sampler = [[2, 1]]
        self._DataLoader__initialized = True


def test_a_loader_that_changes_its_sampler():
    loader = Again(Numbers())
    assert [b.tolist() for b in loader] == [[2, 1]]
    with pytest.raises(ValueError, match="should not be set after Again is initialized"):
        loader.batch_sampler = None
