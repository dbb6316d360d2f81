"""Remote calls: arguments and results, exceptions, time, references and their counts, the end of workers."""

import copy
import gc
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import pytest
from rpc_workers import run_workers

import flambeau as fb
import flambeau.distributed.rpc as rpc


@pytest.fixture
def workers(tmp_path):
    return lambda function, **options: run_workers(tmp_path / "store", function, **options)


class Own(Exception):
    pass


class TwoArguments(Exception):
    def __init__(self, a, b):
        super().__init__(a, b)


class Counter:
    def __init__(self, value=0):
        self.value = value

    def add(self, n):
        self.value += n
        return self.value

    def fails(self):
        raise OSError("broken")

    @staticmethod
    def twice(x):
        return 2 * x

    @classmethod
    def name(cls):
        return cls.__name__


def add(a, b):
    return a + b


def raises(kind, *args):
    raise kind(*args)


def unpicklable():
    return threading.Lock()


def sleep(seconds):
    time.sleep(seconds)
    return seconds


def at(worker, function, *args):
    return rpc.rpc_sync(worker, function, args=args)


def told(function):
    """What a call raised: class, text, cause."""
    try:
        function()
    except Exception as error:
        return type(error), str(error), type(error.__cause__)
    raise AssertionError("nothing was raised")


# ------------------------------------------------------------------ calls


def calls():
    x = fb.arange(6.0).reshape(2, 3)
    turned = at("w1", add, x.t(), 1)
    got = {
        "numbers": (at("w1", add, 1, 2), rpc.rpc_sync(1, add, kwargs={"a": "x", "b": "y"})),
        "self": at("w0", add, 1, 2),
        "info": rpc.rpc_sync(rpc.get_worker_info("w1"), rpc.get_worker_info).name,
        "operator": at("w1", fb.add, x, 1).equal(x + 1),
        "turned": (turned.equal(x.t() + 1), turned.stride()),
        "empty": at("w1", add, fb.empty(0, 3), 1).shape,
        "scalar": at("w1", add, fb.tensor(3), 1).item(),
        "bfloat16": at("w1", add, fb.ones(2, dtype=fb.bfloat16), 1).dtype,
        "sparse": at("w1", add, *[fb.eye(2).to_sparse()] * 2).to_dense().tolist(),
        "parameter": type(at("w1", list, (fb.nn.Parameter(fb.ones(2)),))[0]),
        "grad": at("w1", add, fb.ones(2, requires_grad=True), 1).requires_grad,
        "large": at("w1", add, fb.ones(300_000), 1).sum().item(),
        "module": str(at("w1", copy.copy, fb.nn.Linear(2, 2))),
        "async": fb.futures.wait_all([rpc.rpc_async("w1", add, args=(k, k)) for k in range(50)]),
        "nested": at("w1", at, "w0", add, 1, 2),
        "method": (at("w1", Counter(3).add, 4), at("w1", Counter.twice, 4), at("w1", Counter.name)),
        "then": rpc.rpc_async("w1", add, args=(1, 2)).then(lambda f: at("w1", add, f.wait(), 1)).wait(),
    }
    with rpc.api._wait_all():
        later = rpc.rpc_async("w1", sleep, args=(0.05,))
    got["waited"] = later.done()
    return got


def test_calls(workers):
    assert workers(calls) == {
        "numbers": (3, "xy"),
        "self": 3,
        "info": "w1",
        "operator": True,
        "turned": (True, (1, 3)),
        "empty": (0, 3),
        "scalar": 4,
        "bfloat16": fb.bfloat16,
        "sparse": [[2.0, 0.0], [0.0, 2.0]],
        "parameter": fb.nn.Parameter,
        "grad": True,
        "large": 600_000.0,
        "module": "Linear(in_features=2, out_features=2, bias=True)",
        "async": [2 * k for k in range(50)],
        "nested": 3,
        "method": (7, 8, "Counter"),
        "then": 4,
        "waited": True,
    }


def failures():
    return {
        "value": told(lambda: at("w1", raises, ValueError, "bad")),
        "self": told(lambda: at("w0", raises, ValueError, "bad")),
        "own": told(lambda: at("w1", raises, Own, "mine")),
        "key": told(lambda: at("w1", raises, KeyError, "k")),
        "two": told(lambda: at("w1", raises, TwoArguments, 1, 2)),
        "nested": told(lambda: at("w1", at, "w0", raises, ValueError, "far")),
        "operator": told(lambda: at("w1", fb.add, fb.ones(2), fb.ones(3))),
        "arguments": told(lambda: at("w1", add, 1)),
        "result": told(lambda: at("w1", unpicklable)),
        "unpicklable": told(lambda: at("w1", add, threading.Lock(), 1)),
        "local": told(lambda: at("w1", lambda: 1)),
        "nobody": told(lambda: at("w9", add, 1, 2)),
        "number": told(lambda: at(9, add, 1, 2)),
        "none": told(lambda: at(None, add, 1, 2)),
        "function": told(lambda: at("w1", 3)),
        "exit": told(lambda: at("w1", raises, SystemExit, 1)),
        "again": told(lambda: rpc.init_rpc("w0", rank=0, world_size=2)),
        "late": told(lambda: rpc.rpc_sync("w1", sleep, args=(0.6,), timeout=0.1)),
        "after": at("w1", add, 1, 2),
    }


def test_exceptions(workers):
    got = workers(failures)
    kind, text, cause = got["value"]
    assert kind is ValueError and cause is ValueError
    assert text.startswith("ValueError: On WorkerInfo(id=1, name=w1):\nValueError('bad')\nTraceback ")
    assert "in raises\n" in text and text.endswith("ValueError: bad\n")
    assert got["self"][1].startswith("ValueError: On WorkerInfo(id=0, name=w0):\nValueError('bad')")
    kind, text, cause = got["own"]
    assert kind is RuntimeError and cause is Own and text.startswith("Own: On WorkerInfo(id=1, name=w1):\n")
    assert got["key"][0] is RuntimeError and got["key"][2] is KeyError
    assert got["two"][1].startswith("RuntimeError: Failed to create original exception type. Error msg was ")
    assert got["nested"][0] is ValueError and "far" in got["nested"][1] and "w0" in got["nested"][1]
    assert got["operator"][:2] == (RuntimeError, told(lambda: fb.add(fb.ones(2), fb.ones(3)))[1])
    assert (
        got["arguments"][0] is TypeError and "missing 1 required positional argument" in got["arguments"][1]
    )
    assert got["result"][:2] == (RuntimeError, "TypeError: cannot pickle '_thread.lock' object")
    assert got["unpicklable"][:2] == (TypeError, "cannot pickle '_thread.lock' object")
    # since Python 3.14 the latter
    assert got["local"][0] in (AttributeError, pickle.PicklingError) and "local object" in got["local"][1]
    assert got["nobody"][1] == "name:w0,rank:0 could not find destination name w9"
    assert got["number"][1] == "name:w0,rank:0 could not find destination id 9"
    assert got["none"][:2] == (ValueError, "Cannot get WorkerInfo from name None")
    assert got["function"][:2] == (TypeError, "function should be callable.")
    assert got["exit"][0] is RuntimeError and got["exit"][1].startswith("SystemExit: On WorkerInfo(id=1")
    assert got["again"][1] == "RPC is already initialized"
    text = "RPCErr:1:RPC ran for more than set timeout (100 ms) and will now be marked with an error"
    assert got["late"][:2] == (RuntimeError, text)
    assert got["after"] == 3


def test_every_task_of_a_pool_has_a_thread():
    """Tasks may wait for one another, whenever they come: none is left to a thread that is busy."""
    pool = rpc._transport.Pool("test")
    for _ in range(200):
        arrived = threading.Barrier(4)
        done = threading.Semaphore(0)

        def task(arrived=arrived, done=done):
            arrived.wait(20)
            done.release()

        for _ in range(4):
            pool.run(task)
        for _ in range(4):
            assert done.acquire(timeout=20)
    pool.stop()


def test_a_pool_has_no_more_threads_than_allowed():
    pool, together, lock = rpc._transport.Pool("test", 2), [], threading.Lock()
    running, done = [0], threading.Semaphore(0)

    def task():
        with lock:
            running[0] += 1
            together.append(running[0])
        time.sleep(0.002)
        with lock:
            running[0] -= 1
        done.release()

    for _ in range(20):
        pool.run(task)
    for _ in range(20):
        assert done.acquire(timeout=20)
    assert max(together) <= 2
    pool.stop()


def test_before_and_after_init():
    text = "RPC has not been initialized. Call torch.distributed.rpc.init_rpc first."
    for call in (
        lambda: rpc.rpc_sync("w1", add, args=(1, 2)),
        lambda: rpc.rpc_async("w1", add),
        lambda: rpc.remote("w1", add),
        rpc.get_worker_info,
        rpc.shutdown,
        lambda: rpc.api._all_gather(1),
        lambda: rpc.api._require_initialized(add)(1, 2),
    ):
        assert told(call)[:2] == (RuntimeError, text)
    assert told(lambda: rpc.RRef(1))[1].startswith("Current RPC agent is not set!")
    assert not rpc._is_current_rpc_agent_set() and not fb._C._distributed_rpc._is_current_rpc_agent_set()
    assert fb._C._distributed_rpc.PyRRef is rpc.PyRRef and rpc.is_available()
    with pytest.raises(TypeError, match="must be a member of BackendType"):
        rpc.init_rpc("w0", backend="x", rank=0, world_size=1)
    with pytest.raises(RuntimeError, match="Worker name must match"):
        rpc.init_rpc("a b", rank=0, world_size=1)


def test_options():
    options = rpc.TensorPipeRpcBackendOptions()
    assert (options.num_worker_threads, options.rpc_timeout, options.init_method) == (16, 60.0, "env://")
    assert rpc.BackendType.TENSORPIPE in rpc.BackendType and rpc.WorkerInfo("a", 1).name == "a"
    options.set_device_map("w1", {"cpu": "cpu"})
    assert options.device_maps == {"w1": {fb.device("cpu"): fb.device("cpu")}}
    with pytest.raises(RuntimeError, match="num_worker_threads must be positive, got 0"):
        rpc.TensorPipeRpcBackendOptions(num_worker_threads=0)
    with pytest.raises(RuntimeError, match="RPC Timeout must be non-negative"):
        rpc.TensorPipeRpcBackendOptions(rpc_timeout=-3)
    with pytest.raises(ValueError, match="expect a list of CUDA devices, but got device type cpu"):
        rpc.TensorPipeRpcBackendOptions(devices=["cpu"])
    if not fb.cuda.is_available():
        with pytest.raises(RuntimeError, match="Cannot access accelerator device when none is available"):
            rpc.TensorPipeRpcBackendOptions(device_maps={"w1": {0: 0}})


# ------------------------------------------------------------------ references


def held():
    """How many values here others refer to."""
    return int(rpc._rref_context_get_debug_info()["num_owner_rrefs"])


def settles(function, wanted):
    """Whether a count comes to be what it should be; messages about references take their time."""
    for _ in range(200):
        gc.collect()
        if function() == wanted:
            return True
        time.sleep(0.02)
    return function()


def seen(reference):
    return reference.is_owner(), reference.owner_name(), reference.to_here()


def kept(reference):
    return reference.local_value()


def passed_on(reference, to):
    return rpc.rpc_sync(to, seen, args=(reference,))


def given_back(reference):
    return reference


def made_here(value):
    return rpc.RRef(value)


def references():
    there = rpc.remote("w1", add, args=(fb.ones(2), 1))
    here = rpc.RRef([7])
    counter = rpc.remote("w1", Counter, args=(5,))
    made = at("w1", made_here, 9)
    third = at("w1", made_here_by, "w2", 4)
    late = rpc.remote("w1", sleep, args=(0.3,))
    broken = rpc.remote("w1", raises, args=(OSError, "x"))
    got = {
        "there": (there.is_owner(), there.owner(), there.to_here().tolist(), there.confirmed_by_owner()),
        "text": (str(there).split("(")[0], str(here).split("(")[0]),
        "here": (here.is_owner(), here.owner_name(), here.to_here() is here.local_value()),
        "known": at("w1", seen, there),
        "unknown": at("w1", seen, here),
        "back": at("w1", given_back, here).local_value() is here.local_value(),
        "third": at("w1", passed_on, there, "w2"),
        "home": at("w1", passed_on, here, "w0"),
        "made": (made.is_owner(), made.to_here()),
        "of third": (third.owner_name(), third.to_here()),
        "to self": kept(rpc.remote("w0", add, args=(1, 2))),
        "unborn": at("w2", seen, late),
        "proxies": (
            counter.rpc_sync().add(1),
            counter.rpc_async().add(1).wait(),
            counter.remote().add(1).to_here(),
        ),
        "proxy": told(lambda: counter.rpc_sync().fails()),
        "no method": told(lambda: counter.rpc_sync().nothing()),
        "type": (counter._get_type(), here._get_type()),
        "not here": told(there.local_value),
        "not there": told(lambda: at("w1", kept, here)),
        "broken": told(broken.to_here),
        "late": told(lambda: rpc.remote("w1", sleep, args=(0.5,)).to_here(timeout=0.1)),
        "pickle": told(lambda: pickle.dumps(here)),
        "copy": told(lambda: copy.deepcopy(there)),
        "failed": told(lambda: at("w1", add, here, threading.Lock())),
        "backward": told(lambda: rpc.RRef(3).backward()),
    }
    weight = fb.ones(2, requires_grad=True)
    rpc.RRef((weight * 3).sum()).backward()
    got["grad"] = weight.grad.tolist()
    got["holds"] = at("w1", held) >= 3
    there = counter = made = third = late = broken = None
    got["here held"] = settles(held, 0)
    got["there held"] = settles(lambda: at("w1", held), 0), settles(lambda: at("w2", held), 0)
    return got


def made_here_by(worker, value):
    return rpc.remote(worker, add, args=(value, 0))


def test_references(workers):
    got = workers(references, size=3)
    assert got["there"] == (False, rpc.WorkerInfo("w1", 1), [2.0, 2.0], True)
    assert got["text"] == ("UserRRef", "OwnerRRef")
    assert got["here"] == (True, "w0", True)
    assert got["known"][:2] == (True, "w1") and got["known"][2].tolist() == [2.0, 2.0]
    assert got["unknown"] == (False, "w0", [7]) and got["back"]
    assert got["third"][:2] == (False, "w1") and got["home"] == (True, "w0", [7])
    assert got["made"] == (False, 9) and got["of third"] == ("w2", 4) and got["to self"] == 3
    assert got["unborn"] == (False, "w1", 0.3)
    assert got["proxies"] == (6, 7, 8)
    assert got["proxy"][0] is RuntimeError and got["proxy"][1].startswith("OSError: On WorkerInfo(id=1")
    assert got["no method"][:2] == (AttributeError, "'Counter' object has no attribute 'nothing'")
    assert got["type"] == (Counter, list)
    assert "can't call localValue() on user WorkerInfo(id=0, name=w0). Call it on owner" in got["not here"][1]
    assert "can't call localValue() on user WorkerInfo(id=1, name=w1)" in got["not there"][1]
    assert got["broken"][0] is OSError and got["broken"][1].startswith("On WorkerInfo(id=1, name=w1):\n")
    assert got["late"][1].startswith("RPCErr:1:RPC ran for more than set timeout (100 ms)")
    text = "Can not pickle rref in python pickler, rref can only be pickled when using RPC"
    assert got["pickle"][:2] == got["copy"][:2] == (RuntimeError, text)
    assert got["failed"][0] is TypeError
    assert got["backward"][1] == "RRef should contain a tensor for .backward()"
    assert got["grad"] == [3.0, 3.0]
    assert got["holds"] and got["here held"] is True and got["there held"] == (True, True)


def handed_round(reference, way):
    """Pass a reference on along a way of workers, dropping it at each; its value at the end."""
    if not way:
        return reference.to_here()
    return rpc.rpc_async(way[0], handed_round, args=(reference, way[1:])).wait()


def many_references():
    import random

    order = random.Random(0)
    waiting = []
    for k in range(60):
        made = rpc.remote(order.choice(["w0", "w1", "w2"]), add, args=(k, 0))
        way = [order.choice(["w0", "w1", "w2"]) for _ in range(order.randrange(4))]
        waiting.append(rpc.rpc_async("w1", handed_round, args=(made, way)))
        del made
    values = [future.wait() for future in waiting]
    return values, settles(lambda: [at(f"w{k}", held) for k in range(3)], [0, 0, 0])


def test_references_that_go_round(workers):
    assert workers(many_references, size=3, threads=64) == (list(range(60)), True)


# ------------------------------------------------------------------ answers that come later


@rpc.functions.async_execution
def add_there(worker, a, b, c):
    return rpc.rpc_async(worker, add, args=(a, b)).then(lambda f: f.wait() + c)


@rpc.functions.async_execution
def no_future():
    return 3


@rpc.functions.async_execution
def fails_later(worker):
    return rpc.rpc_async(worker, raises, args=(ValueError, "deep"))


class Later:
    @staticmethod
    @rpc.functions.async_execution
    def static(worker, x):
        return rpc.rpc_async(worker, add, args=(x, 1))

    @classmethod
    @rpc.functions.async_execution
    def of_class(cls, worker, x):
        return rpc.rpc_async(worker, add, args=(x, 2))

    @rpc.functions.async_execution
    def bound(self, worker, x):
        return rpc.rpc_async(worker, add, args=(x, 3))


class Meeting:
    """Gives all who come the sum of what they brought, when the last one is there."""

    def __init__(self, size):
        self.size, self.given, self.future, self.lock = size, [], fb.futures.Future(), threading.Lock()

    @staticmethod
    @rpc.functions.async_execution
    def bring(meeting, value):
        self = meeting.local_value()
        with self.lock:
            self.given.append(value)
            if len(self.given) == self.size:
                self.future.set_result(sum(self.given))
        return self.future


def later_answers():
    there = rpc.remote("w1", Later)
    meeting = rpc.remote("w1", Meeting, args=(6,))
    return {
        "function": at("w1", add_there, "w0", 1, 2, 3),
        "self": at("w0", add_there, "w1", 1, 2, 3),
        "remote": rpc.remote("w1", add_there, args=("w0", 1, 2, 3)).to_here(),
        "methods": (at("w1", Later.static, "w0", 1), at("w1", Later.of_class, "w0", 1)),
        "proxies": (
            there.rpc_sync().static("w0", 1),
            there.rpc_async().of_class("w0", 1).wait(),
            there.remote().bound("w0", 1).to_here(),
        ),
        "no future": told(lambda: at("w1", no_future)),
        "fails": told(lambda: at("w1", fails_later, "w0")),
        # more than there are threads
        "all": fb.futures.wait_all([
            rpc.rpc_async("w1", Meeting.bring, args=(meeting, k)) for k in range(6)
        ]),
    }  # fmt: skip


def test_answers_that_come_later(workers):
    got = workers(later_answers, threads=2)
    assert got["function"] == got["self"] == got["remote"] == 6
    assert got["methods"] == (2, 3) and got["proxies"] == (2, 3, 4)
    assert "must return a torch.futures.Future object, but got builtins.int" in got["no future"][1]
    assert got["fails"][0] is ValueError and "deep" in got["fails"][1]
    assert got["all"] == [15] * 6


# ------------------------------------------------------------------ all workers, and the end


def gather(value):
    return rpc.api._all_gather(value)


def gathers():
    waiting = [rpc.rpc_async(f"w{k}", gather, args=(10 * k,)) for k in (1, 2)]
    mine = gather(0)
    return (
        mine,
        [future.wait() for future in waiting],
        rpc.api._all_gather(1, {"w0"}),
        told(lambda: rpc.api._all_gather(1, {"w1"})),
        told(lambda: rpc.api._all_gather(1, {"w0", "w1"}, timeout=0.1)),
    )


def test_all_gather(workers):
    mine, others, alone, outside, late = workers(gathers, size=3)
    assert mine == {"w0": 0, "w1": 10, "w2": 20} and others == [mine, mine]
    assert alone == {"w0": 1} and "w0 is not expected" in outside[1]
    assert late[0] is RuntimeError and "timed out in _all_gather after 0.10 seconds" in late[1]


def writes_later(path):
    time.sleep(0.3)
    rpc.rpc_sync("w1", write, args=(path,))


def write(path):
    with open(path, "a") as file:
        file.write("x")


def leaves_work(path):
    rpc.rpc_async("w1", writes_later, args=(path,))
    rpc.remote("w1", writes_later, args=(path,))


def test_shutdown_waits_for_what_is_under_way(workers, tmp_path):
    workers(lambda: leaves_work(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "xx"


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def loses_a_worker():
    there, waiting = rpc.remote("w1", add, args=(1, 2)), rpc.rpc_async("w1", sleep, args=(30,))
    there.to_here()
    rpc.rpc_async("w1", die)
    got = {
        "waiting": told(waiting.wait),
        "new": told(lambda: at("w1", add, 1, 2)),
        "reference": told(there.to_here),
        "remote": told(lambda: rpc.remote("w1", add, args=(1, 2)).to_here()),
        "third": at("w2", told, at_w1),
        "others": at("w2", add, 1, 2),
        "gather": told(lambda: rpc.api._all_gather(1, timeout=20)),
        "shutdown": told(rpc.shutdown),
    }
    return got, rpc._is_current_rpc_agent_set()


def at_w1():
    return at("w1", add, 1, 2)


def test_a_worker_that_dies(workers):
    got, still = workers(loses_a_worker, size=3, ends=False)
    for what in ("waiting", "new", "reference", "remote", "third"):
        assert got[what][0] is RuntimeError, what
        assert "The connection to WorkerInfo(id=1, name=w1) is closed" in got[what][1], got[what]
    assert got["others"] == 3
    assert "the connection to w1 is closed" in got["gather"][1]
    assert got["shutdown"][0] is RuntimeError and not still


def leaves_at_once():
    rpc.rpc_async("w1", sleep, args=(30,))
    waiting = rpc.rpc_async("w1", sleep, args=(30,))
    rpc.shutdown(graceful=False)
    return told(waiting.wait)


def test_leaving_at_once(workers):
    assert workers(leaves_at_once, ends=False)[:2] == (RuntimeError, "RPC has been shut down")


def leaves_without_a_word():
    rpc.rpc_async("w1", sleep, args=(30,))
    rpc.rpc_async("w0", sleep, args=(30,))  # a thread of this process that is busy
    return at("w1", add, 1, 2)


def test_the_end_of_a_process_waits_for_nobody(workers):
    assert workers(leaves_without_a_word, ends=False) == 3


def _twice(rank, port, results):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    got = []
    fb.distributed.init_process_group("gloo", rank=rank, world_size=2)
    for _ in range(2):
        rpc.init_rpc(f"w{rank}", rank=rank, world_size=2)
        got.append(at(1 - rank, add, 1, rank))
        rpc.shutdown()
    fb.distributed.destroy_process_group()
    fb.distributed.init_process_group("gloo", rank=rank, world_size=2)
    fb.distributed.all_reduce(total := fb.ones(1))
    fb.distributed.destroy_process_group()
    results.put((rank, got, total.item()))


def test_again_and_beside_a_process_group():
    """At one address."""
    import multiprocessing
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [context.Process(target=_twice, args=(k, port, results), daemon=True) for k in range(2)]
    for process in processes:
        process.start()
    got = sorted(results.get(timeout=30) for _ in processes)
    for process in processes:
        process.join(10)
    assert got == [(0, [1, 1], 2.0), (1, [2, 2], 2.0)]


_PROGRAM = """
import sys
import torch
import torch.distributed.rpc as rpc
import torch.multiprocessing as mp
from torch._C._distributed_rpc import PyRRef, _is_current_rpc_agent_set

def work(x):
    return torch.nn.functional.relu(x) + 1

def run(rank, path):
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{path}", rpc_timeout=20)
    rpc.init_rpc(f"w{rank}", rank=rank, world_size=2, rpc_backend_options=options)
    if rank == 0:
        made = rpc.remote("w1", torch.nn.Linear, args=(2, 1))
        print(rpc.rpc_sync("w1", work, args=(torch.tensor([-1.0, 1.0]),)), isinstance(made, PyRRef))
        print(made.rpc_sync().extra_repr(), _is_current_rpc_agent_set())
    rpc.shutdown()

if __name__ == "__main__":
    mp.start_processes(run, args=(sys.argv[1],), nprocs=2, start_method="fork")
"""


def test_under_the_name_of_torch(tmp_path):
    (tmp_path / "program.py").write_text(_PROGRAM)
    command = [sys.executable, "-m", "flambeau", str(tmp_path / "program.py"), str(tmp_path / "store")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    wanted = "tensor([1., 2.]) True\nin_features=2, out_features=1, bias=True True\n"
    assert (done.stdout, done.returncode) == (wanted, 0), done.stderr


def test_one_worker(tmp_path):
    """Alone, and the names of two that are the same."""
    options = rpc.TensorPipeRpcBackendOptions(init_method=f"file://{tmp_path}/store")
    rpc.init_rpc("alone", rank=0, world_size=1, rpc_backend_options=options)
    try:
        assert at("alone", add, 1, 2) == 3 and rpc.remote("alone", add, args=(1, 2)).to_here() == 3
        x = fb.ones(3)
        assert at("alone", fb.Tensor.add_, x, 1).sum() == 6 and x.sum() == 3  # arguments are copies
    finally:
        rpc.shutdown()
    assert not rpc._is_current_rpc_agent_set()
