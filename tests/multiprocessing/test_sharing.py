"""Tensors sent to other processes share their memory with them."""

import os
import pickle
import signal
import threading

import pytest

import flambeau as fb
from flambeau import multiprocessing as mp


def add_one(index, tensors, queue):
    fb.set_num_threads(1)
    for tensor in tensors:
        tensor += 1
    queue.put((index, tensors[0]))
    queue.get()  # the parent has looked


def fail(index, what):
    if index == 1:
        if what == "raise":
            raise ValueError("told by the process")
        if what == "exit":
            os._exit(3)
        os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_writes_are_seen_by_both(method):
    context = mp.get_context(method)
    whole = fb.zeros(100)
    view = whole[10:20]
    weight = fb.nn.Parameter(fb.full((3,), 5.0))
    queue = context.Queue()
    with fb.no_grad():
        view.share_memory_(), weight.data.share_memory_()
    process = context.Process(target=add_one, args=(0, [view, weight.data], queue))
    process.start()
    _, returned = queue.get()
    assert view.tolist() == [1.0] * 10 and whole.sum() == 10 and weight.tolist() == [6.0] * 3
    returned.fill_(4)
    assert whole[10:20].tolist() == [4.0] * 10
    queue.put(None)
    process.join()
    assert process.exitcode == 0


def test_sharing_moves_the_memory_with_all_its_views():
    whole = fb.arange(12.0).reshape(3, 4)
    view = whole[1]
    assert not view.is_shared()
    assert view.share_memory_() is view and whole.is_shared() and view.tolist() == [4.0, 5.0, 6.0, 7.0]
    whole.zero_()
    assert view.tolist() == [0.0] * 4
    assert fb.empty(0).share_memory_().numel() == 0
    module = fb.nn.Linear(2, 2).share_memory()
    assert all(p.is_shared() for p in module.parameters())
    borrowed = fb.from_numpy(whole.numpy().copy())
    assert borrowed.share_memory_().is_shared() and borrowed.sum() == 0


def test_modules_go_through_queues():
    queue = mp.get_context("fork").SimpleQueue()
    layer = fb.nn.Linear(2, 1)
    queue.put(layer)
    other = queue.get()
    with fb.no_grad():
        other.weight.fill_(3.0)
    assert type(other.weight) is fb.nn.Parameter and layer.weight.tolist() == [[3.0, 3.0]]
    queue.put((fb.ones(2, dtype=fb.bfloat16), fb.tensor(1)))
    half, scalar = queue.get()
    assert half.dtype == fb.bfloat16 and half.sum() == 2 and scalar.item() == 1
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        queue.put(layer.weight * 2)


def test_descriptors_are_given_back():
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for _ in range(20):
        fb.zeros(10).share_memory_()
    assert not before or len(os.listdir("/proc/self/fd")) <= before + 1


def test_errors_of_processes():
    assert mp.start_processes(fail, ("nothing",), 1, start_method="fork") is None
    with pytest.raises(mp.ProcessRaisedException, match="told by the process") as raised:
        mp.start_processes(fail, ("raise",), 2, start_method="fork")
    assert raised.value.error_index == 1 and "-- Process 1 terminated with the following error:\n" in str(
        raised.value
    )
    assert pickle.loads(pickle.dumps(raised.value)).error_index == 1
    with pytest.raises(mp.ProcessExitedException, match="process 1 terminated with exit code 3") as raised:
        mp.start_processes(fail, ("exit",), 2, start_method="fork")
    assert raised.value.exit_code == 3
    with pytest.raises(mp.ProcessExitedException, match="process 1 terminated with signal SIGTERM") as raised:
        mp.start_processes(fail, ("signal",), 2, start_method="fork")
    assert raised.value.signal_name == "SIGTERM"


def test_strategies():
    assert mp.get_sharing_strategy() in mp.get_all_sharing_strategies()
    mp.set_sharing_strategy(mp.get_sharing_strategy())
    with pytest.raises(AssertionError, match="invalid sharing strategy 'x'"):
        mp.set_sharing_strategy("x")


def test_a_thread_has_a_name_for_the_system():
    seen = []

    def work():
        fb.multiprocessing._set_thread_name("a_thread_with_a_long_name")
        seen.append(fb.multiprocessing._get_thread_name())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == ["a_thread_with_a"] or not os.path.exists("/proc/self/task")
