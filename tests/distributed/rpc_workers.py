"""Several workers for one test of remote calls."""

import contextlib
import faulthandler
import multiprocessing
import pickle
import sys
import time
import traceback

import flambeau as fb
import flambeau.distributed.rpc as rpc

SECONDS = 40


def _one(function, rank, size, path, results, threads, ends):
    fb.set_num_threads(1)
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=sys.__stderr__)  # one that hangs says where
    try:
        options = rpc.TensorPipeRpcBackendOptions(
            init_method=f"file://{path}", rpc_timeout=20, num_worker_threads=threads
        )
        rpc.init_rpc(f"w{rank}", rank=rank, world_size=size, rpc_backend_options=options)
        value = function() if rank == 0 else None
        if ends:
            rpc.shutdown()
        elif rank:
            time.sleep(SECONDS)  # until the end of the test
        # by value: a tensor in shared memory is gone with the process that sends it
        results.put((rank, pickle.dumps(value), None))
    except BaseException:
        results.put((rank, None, traceback.format_exc()))
        with contextlib.suppress(RuntimeError):
            rpc.shutdown(graceful=False)


def run_workers(path, function, size=2, threads=8, ends=True):
    """What ``function()`` gives in worker "w0"; the others ("w1", …) serve until all are done."""
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    processes = [
        context.Process(target=_one, args=(function, rank, size, path, results, threads, ends), daemon=True)
        for rank in range(size)
    ]
    for process in processes:
        process.start()
    try:
        found = None
        for _ in range(size if ends else 1):
            rank, value, problem = results.get(timeout=SECONDS + 5)
            assert problem is None, f"worker {rank}:\n{problem}"
            found = pickle.loads(value) if rank == 0 else found
        for process in processes if ends else processes[:1]:
            process.join(10)
            assert process.exitcode == 0, "a worker did not end by itself"
        return found
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
