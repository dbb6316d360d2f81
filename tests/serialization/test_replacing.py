"""Files that are replaced whole, and what killed or failing writers leave beside them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

import flambeau as fb
from flambeau.serialization.files import replacing

KILLED = """
import os, signal, sys
from flambeau.serialization.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""
WAITING = """
import sys
from flambeau.serialization.files import replacing
with replacing(sys.argv[1]) as file:
    file.write(b"slow")
    print("writing", flush=True)
    sys.stdin.readline()
"""


def test_leftovers_of_a_killed_writer_go_with_the_next_save(tmp_path):
    path = tmp_path / "model.pt"
    fb.save(fb.ones(2), path)
    for number in (1, 2):  # as several that were killed at once leave them
        (tmp_path / f"model.pt.flambeau-{number}.tmp").write_bytes(b"half")
    for _ in range(2):
        done = subprocess.run([sys.executable, "-c", KILLED, path], check=False)
        assert done.returncode == -signal.SIGKILL
        assert len(os.listdir(tmp_path)) == 2 and fb.load(path).tolist() == [1, 1]
    fb.save(fb.zeros(2), path)
    assert os.listdir(tmp_path) == ["model.pt"] and fb.load(path).tolist() == [0, 0]


def test_a_living_writer_keeps_its_file(tmp_path):
    path = tmp_path / "model.pt"
    slow = subprocess.Popen(
        [sys.executable, "-c", WAITING, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with slow:
        assert slow.stdout.readline() == "writing\n"
        with replacing(path) as file:
            file.write(b"quick")
        assert path.read_bytes() == b"quick" and len(os.listdir(tmp_path)) == 2
        slow.communicate("\n")
    assert slow.returncode == 0 and path.read_bytes() == b"slow"
    assert os.listdir(tmp_path) == ["model.pt"]


def test_only_what_is_ours_goes(tmp_path):
    """Files of the user's that look alike stay, and links are not followed."""
    path = tmp_path / "model.pt"
    for name in ("model.pt.tmp", "model.pt.1.tmp", "other.pt.flambeau-0.tmp", "precious"):
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "model.pt.flambeau-0.tmp").symlink_to(tmp_path / "precious")
    (tmp_path / "model.pt.flambeau-1.tmp").mkdir()
    before = set(os.listdir(tmp_path))
    fb.save(1, path)
    assert set(os.listdir(tmp_path)) == before | {"model.pt"}
    assert (tmp_path / "precious").read_bytes() == b"mine"


def test_a_failing_block_leaves_what_was_there(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"new")
        raise ZeroDivisionError
    assert os.listdir(tmp_path) == ["model.pt"] and path.read_bytes() == b"old"


def test_many_writers_at_once(tmp_path):
    """One of them wins, whole; some fail in the middle."""
    path, strange = tmp_path / "model.pt", []

    def write(mark: int) -> None:
        for turn in range(20):
            try:
                with replacing(path, sync=False) as file:
                    file.write(bytes([mark]) * 1000)
                    if (mark + turn) % 3 == 0:
                        raise KeyError
            except KeyError:
                pass
            except BaseException as error:
                strange.append(error)

    threads = [threading.Thread(target=write, args=(mark,)) for mark in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not strange and os.listdir(tmp_path) == ["model.pt"]
    assert len(set(path.read_bytes())) == 1 and path.stat().st_size == 1000
