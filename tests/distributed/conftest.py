"""Several processes for one test."""

import faulthandler
import multiprocessing
import pickle
import sys
import traceback

import pytest

import flambeau as fb
import flambeau.distributed as dist


def _one(function, rank, size, path, results):
    fb.set_num_threads(1)
    faulthandler.dump_traceback_later(60, exit=True, file=sys.__stderr__)  # a process that hangs says where
    try:
        dist.init_process_group("gloo", init_method=f"file://{path}", rank=rank, world_size=size)
        # by value: a tensor in shared memory is gone with the process that sends it
        results.put((rank, pickle.dumps(function(rank, size)), None))
        dist.destroy_process_group()
    except BaseException:
        results.put((rank, None, traceback.format_exc()))


@pytest.fixture
def together(tmp_path):
    """Call ``function(rank, size)`` in `size` processes of one group; what each returned."""

    def run(function, size=2):
        context = multiprocessing.get_context("fork")
        results = context.Queue()
        processes = [
            context.Process(
                target=_one, args=(function, rank, size, tmp_path / "store", results), daemon=True
            )
            for rank in range(size)
        ]
        for process in processes:
            process.start()
        try:
            found = {}
            for _ in range(size):
                rank, value, problem = results.get(timeout=70)
                assert problem is None, f"process {rank}:\n{problem}"
                found[rank] = pickle.loads(value)
            return [found[rank] for rank in range(size)]
        finally:
            for process in processes:
                process.join(5)
                if process.is_alive():
                    process.kill()

    return run
