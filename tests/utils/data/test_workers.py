"""The DataLoader with worker processes."""

import collections
import gc
import os
import pickle
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import flambeau as fb
from flambeau.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset, get_worker_info
from flambeau.utils.data._utils.packed import PackedList

Pair = collections.namedtuple("Pair", "image text")


class Base(Dataset):
    def __len__(self):
        return 6


class Randoms(Base):
    def __getitem__(self, i):
        info = get_worker_info()
        return (
            i,
            info.id,
            info.seed,
            random.random(),
            np.random.rand(),
            fb.rand(1).item(),
            fb.get_num_threads(),
        )


class Failing(Base):
    def __init__(self, error):
        self.error = error

    def __getitem__(self, i):
        if i == 3:
            raise self.error
        return i


class Picky(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


class Shares(IterableDataset):
    def __iter__(self):
        number = get_worker_info().id
        return iter(range(number * 10, number * 10 + 3 + 2 * number))


class Everything(Base):
    def __getitem__(self, i):
        tensors = {
            "half": fb.full((40, 50), i, dtype=fb.bfloat16),
            "none": fb.empty(0, 3),
            "flag": fb.tensor(i > 2),
        }
        return Pair({"t": tensors, "array": np.full((30, 30), i)}, f"text {i}")


def test_random_numbers_are_torchs():
    fb.manual_seed(7)
    a, b = DataLoader(Randoms(), batch_size=3, num_workers=2)
    assert a[2].tolist() == [1407639518939636932] * 3 and b[2].tolist() == [1407639518939636933] * 3
    assert [v.tolist() for v in (a[1], b[1], a[6])] == [[0] * 3, [1] * 3, [1] * 3]
    expected = [0.9291, 0.1024, 0.9564], [0.0354, 0.2916, 0.0033], [0.1166, 0.1341, 0.8066]
    for got, want in zip(a[3:6], expected, strict=True):
        assert got.tolist() == pytest.approx(want, abs=6e-5)


def test_same_batches_as_one_process():
    data = TensorDataset(fb.randn(50, 3, 100), fb.arange(50))
    results = []
    for workers in (0, 1, 2):
        fb.manual_seed(0)
        results.append(list(DataLoader(data, batch_size=8, shuffle=True, num_workers=workers)))
    for other in results[1:]:
        assert all(
            fb.equal(p, q) for a, b in zip(results[0], other, strict=True) for p, q in zip(a, b, strict=True)
        )
    other[0][0] += 1  # batches from shared memory can be written to
    assert not fb.equal(other[0][0], results[0][0][0])


def test_every_kind_of_content():
    (batch,) = DataLoader(Everything(), batch_size=6, num_workers=1)
    assert type(batch).__name__ == "Pair" and batch.text == tuple(f"text {i}" for i in range(6))
    tensors = batch.image["t"]
    assert tensors["half"].dtype == fb.bfloat16 and tensors["half"][:, 3, 4].tolist() == [0, 1, 2, 3, 4, 5]
    assert tensors["none"].shape == (6, 0, 3) and tensors["flag"].tolist() == [False] * 3 + [True] * 3
    assert batch.image["array"].shape == (6, 30, 30)
    samples = list(DataLoader(Everything(), batch_size=None, num_workers=1))
    assert samples[4].image["t"]["half"].sum().item() == 8000


def test_many_live_batches_hold_no_descriptors():
    kept = list(DataLoader(TensorDataset(fb.zeros(300, 4000)), batch_size=1, num_workers=1))
    assert len(os.listdir("/proc/self/fd")) < 100 and len(kept) == 300


def test_streams_end_each_in_its_time():
    loader = DataLoader(Shares(), batch_size=2, num_workers=2)
    assert [b.tolist() for b in loader] == [[0, 1], [10, 11], [2], [12, 13], [14]]
    assert list(DataLoader(Shares(), batch_size=None, num_workers=2)) == [0, 10, 1, 11, 2, 12, 13, 14]


def test_out_of_order():
    class Slow(Base):
        def __getitem__(self, i):
            time.sleep(0.3 if i == 0 else 0)
            return i

    loader = DataLoader(Slow(), batch_size=1, num_workers=2, in_order=False)
    got = [b.item() for b in loader]
    assert sorted(got) == list(range(6)) and got[0] != 0


def test_persistent_workers_keep_their_state():
    class Counting(Base):
        count = 0

        def __getitem__(self, i):
            self.count += 1
            return self.count, os.getpid()

    loader = DataLoader(Counting(), batch_size=6, num_workers=1, persistent_workers=True)
    ((a, pid),), ((b, same),) = list(loader), list(loader)
    assert (
        a.tolist() == [1, 2, 3, 4, 5, 6]
        and b.tolist() == [7, 8, 9, 10, 11, 12]
        and pid.tolist() == same.tolist()
    )
    next(iter(loader))  # left early
    assert len(list(loader)) == 1


@pytest.mark.parametrize(
    ("error", "kind", "name"),
    [(ValueError("bad"), ValueError, "ValueError"), (KeyError("a\nb"), KeyError, "KeyError"),
     (Picky(1, 2), RuntimeError, "Picky"), (StopIteration(), StopIteration, "StopIteration")],
)  # fmt: skip
def test_errors_come_with_their_traceback(error, kind, name):
    walk = iter(DataLoader(Failing(error), batch_size=2, num_workers=2))
    next(walk)
    with pytest.raises(kind) as caught:
        next(walk)
    text = str(caught.value)
    assert text.startswith(
        f"Caught {name} in DataLoader worker process 1.\nOriginal Traceback (most recent call last):"
    )
    assert "raise self.error" in text and "(while reading item 3 of Failing)" in text
    assert next(walk).tolist() == [4, 5]


def test_worker_init_fn():
    def fail(number):
        raise RuntimeError(f"no {number}")

    def change(number):
        get_worker_info().dataset.error = LookupError(f"set by {number}")

    with pytest.raises(RuntimeError, match=r"(?s)worker process 0.*no 0"):
        list(DataLoader(Failing(None), num_workers=1, worker_init_fn=fail))
    with pytest.raises(LookupError, match=r"set by 0"):
        list(DataLoader(Failing(ValueError()), num_workers=1, worker_init_fn=change))


def test_a_dead_worker_is_reported():
    class Killed(Base):
        def __getitem__(self, i):
            if i == 3:
                os.kill(os.getpid(), signal.SIGKILL)
            return i

    with pytest.raises(
        RuntimeError, match=r"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly\n.*SIGKILL"
    ):
        list(DataLoader(Killed(), batch_size=2, num_workers=2))


def test_timeout():
    class Stuck(Base):
        def __getitem__(self, i):
            time.sleep(60)

    start = time.monotonic()
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0.2 seconds"):
        list(DataLoader(Stuck(), num_workers=1, timeout=0.2))
    assert time.monotonic() - start < 20


def test_leaving_early_ends_the_workers():
    walk = iter(DataLoader(Everything(), num_workers=2))
    next(walk)
    processes = list(walk.processes)
    del walk
    gc.collect()
    assert not any(process.is_alive() for process in processes)


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_lambdas_with_every_start_method(method):
    pytest.importorskip("cloudpickle")
    factor = 3

    class Local(Base):
        def __getitem__(self, i):
            return i

    loader = DataLoader(
        Local(),
        batch_size=3,
        num_workers=1,
        multiprocessing_context=method,
        collate_fn=lambda batch: factor * sum(batch),
    )
    assert list(loader) == [9, 36]


def test_resume_with_another_number_of_workers():
    data = TensorDataset(fb.arange(20))
    fb.manual_seed(1)
    first = DataLoader(data, batch_size=3, shuffle=True, num_workers=2)
    walk = iter(first)
    for _ in range(2):
        next(walk)
    state = first.state_dict()
    rest = [b[0].tolist() for b in walk]
    for workers in (0, 1):
        fb.manual_seed(50)
        second = DataLoader(data, batch_size=3, shuffle=True, num_workers=workers)
        second.load_state_dict(state)
        assert [b[0].tolist() for b in second] == rest


INTERRUPTED = """
import os, signal, sys, time
import flambeau as fb
from flambeau.utils.data import DataLoader, Dataset

class Stuck(Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, i):
        if i > 1:
            time.sleep(SECONDS)
        return i

signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background inherits "ignored"
walk = iter(DataLoader(Stuck(), num_workers=2))
next(walk)
print(*[process.pid for process in walk.processes], flush=True)
list(walk)
"""


@pytest.mark.parametrize(("end", "seconds"), [(signal.SIGINT, 60), (signal.SIGKILL, 1)])
def test_interrupting_leaves_no_process_behind(end, seconds):
    program = INTERRUPTED.replace("SECONDS", str(seconds))
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = [int(pid) for pid in child.stdout.readline().split()]
    assert len(workers) == 2
    if end == signal.SIGINT:
        os.killpg(child.pid, end)  # as the terminal does
    else:
        child.send_signal(end)
    child.communicate(timeout=20)
    limit = time.monotonic() + 20
    while any(map(_runs, workers)) and time.monotonic() < limit:
        time.sleep(0.05)
    assert not any(map(_runs, workers))


def _runs(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Names(Dataset):
    def __init__(self, n):
        self.names = [f"a rather long name of picture number {i} in its folder" for i in range(n)]
        self.small = ["short", "list"]

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        assert self.names[i].split()[7] == str(i) and self.small[1] == "list"
        return i, _private_bytes() if i % (len(self) - 1) == 0 else 0


def _private_bytes():
    """Memory that this process alone has, without what it was given to share."""
    total, shared = 0, False
    with open("/proc/self/smaps") as file:
        for line in file:
            name, *values = line.split()
            if "-" in name and not name.endswith(":"):
                shared = values[0].endswith("s")
            elif name == "Private_Dirty:" and not shared:
                total += int(values[0]) * 1024
    return total


@pytest.mark.skipif(not os.path.exists("/proc/self/smaps"), reason="needs Linux's account of memory")
def test_reading_long_lists_does_not_copy_them():
    size = 300_000  # about 33 MB of strings
    loader = DataLoader(Names(size), 1000, num_workers=1, multiprocessing_context="fork")
    first, *_, last = (int(memory.max()) for _, memory in loader)
    assert last - first < 10e6


def test_packed_lists_behave_as_lists():
    items = [("a", 1), ("b", 2.5), ("c", None)]
    packed = PackedList(items)
    assert len(packed) == 3 and packed[-1] == ("c", None) and packed[:2] == items[:2] and packed == items
    assert ("b", 2.5) in packed and list(reversed(packed)) == items[::-1] and packed + [1] == [*items, 1]
    assert type(pickle.loads(pickle.dumps(packed))) is list and repr(packed) == repr(items)
    with pytest.raises(IndexError):
        packed[3]
    packed.append("d")
    packed[0] = 0
    del packed[1]
    assert packed == [0, ("c", None), "d"] and len(PackedList([])) == 0


class Shards(IterableDataset):
    def __iter__(self):
        info = get_worker_info()
        return iter(range(info.id, 20, info.num_workers) if info else range(20))


@pytest.mark.parametrize(("began", "goes_on"), [(2, 0), (2, 1), (0, 2), (1, 2)])
def test_a_stream_goes_on_with_another_number_of_workers(began, goes_on):
    whole = [b.tolist() for b in DataLoader(Shards(), 3, num_workers=began)]
    first = DataLoader(Shards(), 3, num_workers=began)
    walk = iter(first)
    given = [next(walk).tolist() for _ in range(2)]
    second = DataLoader(Shards(), 3, num_workers=goes_on)
    second.load_state_dict(first.state_dict())
    walk = iter(second)
    given.append(next(walk).tolist())
    third = DataLoader(Shards(), 3, num_workers=goes_on)  # a second interruption of the same epoch
    third.load_state_dict(second.state_dict())
    given += [b.tolist() for b in third]
    assert given == whole
    again = [b.tolist() for b in third]
    assert again == [b.tolist() for b in DataLoader(Shards(), 3, num_workers=goes_on)]


class InSharedMemory(Base):
    def __init__(self):
        self.numbers = fb.arange(6).share_memory_()

    def __getitem__(self, i):
        return self.numbers[i] + 0


def test_memory_that_all_started_workers_share():
    loader = DataLoader(InSharedMemory(), 2, num_workers=2, multiprocessing_context="spawn")
    assert fb.cat(list(loader)).tolist() == list(range(6))
