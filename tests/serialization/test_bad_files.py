"""Files that are damaged, foreign or made to do harm, and saves that are interrupted."""

import io
import os
import pickle
import random
import subprocess
import sys
import zipfile

import numpy as np
import pytest

import flambeau as fb
from flambeau import serialization


def saved(obj, **kw):
    buffer = io.BytesIO()
    fb.save(obj, buffer, **kw)
    return buffer.getvalue()


def load(data, **kw):
    return fb.load(io.BytesIO(data), **kw)


def with_pickle(data, content):
    """The archive `data` with another pickle in it."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("data.pkl") else old.read(name))
    return out.getvalue()


WHOLE = saved({"a": fb.arange(1000.0), "b": [1, "x"]})
LEGACY = saved({"a": fb.arange(1000.0)}, _use_new_zipfile_serialization=False)


@pytest.mark.parametrize(
    ("data", "kind", "text"),
    [
        (b"", EOFError, "Ran out of input"),
        (b"<!DOCTYPE html><html>not found</html>", pickle.UnpicklingError, "HTML"),
        (b"just a text file", pickle.UnpicklingError, "The file is text and begins with 'just a text file'"),
        (b"\x1f\x8b\x08\x00\x00\x00", pickle.UnpicklingError, "gzip"),
        (b"\x89PNG\r\n\x1a\n", pickle.UnpicklingError, "a PNG image"),
        (pickle.dumps({"a": 1}), RuntimeError, "Invalid magic number; corrupt file"),
        (
            WHOLE[:2000],
            RuntimeError,
            "failed finding central directory(?s:.*)The file has 2000 bytes and ends too early",
        ),
        (WHOLE[:10], RuntimeError, "not a ZIP archive"),
        (LEGACY[:2000], RuntimeError, "unexpected EOF"),
        (LEGACY[:150], pickle.UnpicklingError, "damaged"),
        ((b"x" * 257 + b"ustar").ljust(600, b"\0"), NotImplementedError, "tar format"),
    ],
)
def test_what_is_wrong_is_said(data, kind, text):
    with pytest.raises(kind, match=text):
        load(data)


def test_foreign_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("word/document.xml", "x")
    with pytest.raises(RuntimeError, match=r'Expected hasRecord\("version"\)(?s:.*)word/document.xml'):
        load(out.getvalue())


def test_a_record_before_the_file():
    damaged = bytearray(WHOLE)
    entry = damaged.rindex(b"PK\x05\x06") + 16  # where the list of the records begins
    begin = int.from_bytes(damaged[entry : entry + 4], "little")
    damaged[entry : entry + 4] = (begin + len(damaged)).to_bytes(4, "little")
    with pytest.raises(RuntimeError, match="begins before the file"):
        load(damaged)


def test_checksums():
    damaged = bytearray(WHOLE)
    damaged[WHOLE.index(np.arange(1000.0, dtype=np.float32).tobytes()) + 400] ^= 1
    with pytest.raises(RuntimeError, match=r"checksum of record archive/data/0 is wrong"):
        load(damaged)
    serialization.set_crc32_options(False)
    try:
        assert load(damaged)["a"].shape == (1000,)
    finally:
        serialization.set_crc32_options(True)


class Harm:
    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize(
    "harm",
    [
        Harm(os.system, "touch /tmp/flambeau-was-here"),
        Harm(eval, "1"),
        Harm(exec, "1"),
        Harm(getattr, object, "__subclasses__"),
        Harm(pickle.loads, b""),
        Harm(open, "/etc/passwd"),
        Harm(bytearray, 10**12),
        Harm(list, range(10**12)),
    ],
)
def test_nothing_is_run(harm):
    for protocol in (2, 4):
        with pytest.raises(pickle.UnpicklingError, match=r"Weights only load failed"):
            load(with_pickle(WHOLE, pickle.dumps(harm, protocol)))


@pytest.mark.parametrize(
    "program",
    [
        b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00ls\x85R.",
        b"\x80\x02ccollections\nOrderedDict\n}X\x05\x00\x00\x00clearK\x01sb.",  # state for a class
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}X\x08\x00\x00\x00__code__K\x01sb.",
        b"\x80\x02X\xff\xff\xff\xffabc.",  # a text longer than the file
        b"\x80\x02\x8d\xff\xff\xff\xff\xff\xff\xff\x7fabc.",
        b"\x80\x02]K\x01R.",
        b"\x80\x02h\x05.",
        b"\x80\x02.",
        b"\x80\x02" + b"(" * 100 + b"t.",
        b"\x80\x02)" + b"\x85" * 5000 + b"q\x00}h\x00K\x01s.",  # a key nested 5000 deep
        b"\x80\x02cnumpy\ndtype\nX\x01\x00\x00\x00O\x89\x88\x87R.cnumpy",
        b"\x80\x02K\x01K\x02\x85Q.",
    ],
)
def test_crooked_pickles(program):
    try:
        load(with_pickle(WHOLE, program))
    except pickle.UnpicklingError as error:
        assert str(error).startswith("Weights only load failed")


def test_lies_about_sizes():
    original = zipfile.ZipFile(io.BytesIO(saved(fb.ones(3)))).read("archive/data.pkl")
    data = saved(fb.ones(3))
    for old, new in (
        (b"K\x00K\x03\x85", b"K\x00K\x09\x85"),  # nine elements in a storage of three
        (b"K\x00K\x03\x85", b"K\x01K\x03\x85"),  # from the second on
        (b"cpuq\x05K\x03", b"cpuq\x05K\x09"),  # a storage larger than its record
    ):
        changed = original.replace(old, new) if old in original else original.replace(old[-2:], new[-2:], 1)
        assert changed != original
        with pytest.raises((pickle.UnpicklingError, RuntimeError)):
            load(with_pickle(data, changed))


def test_random_damage_never_crashes():
    random.seed(0)
    content = zipfile.ZipFile(io.BytesIO(WHOLE)).read("archive/data.pkl")
    kinds = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, NotImplementedError)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(random.randint(1, 4)):
            damaged[random.randrange(len(damaged))] = random.randrange(256)
        try:
            load(with_pickle(WHOLE, bytes(damaged)))
        except kinds:
            pass
    for whole in (WHOLE, LEGACY):
        for _ in range(150):
            damaged = bytearray(whole)
            damaged[random.randrange(len(damaged))] = random.randrange(256)
            try:
                load(bytes(damaged)[: random.choice([len(damaged), random.randrange(len(damaged))])])
            except kinds:
                pass


def test_a_failed_save_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    fb.save({"v": 1}, path)
    with pytest.raises((TypeError, pickle.PicklingError, AttributeError)):
        fb.save({"v": 2, "lock": open(os.devnull)}, path)
    assert fb.load(path) == {"v": 1} and os.listdir(tmp_path) == ["a.pt"]
    with pytest.raises(RuntimeError, match=r"Parent directory .*nowhere does not exist"):
        fb.save(1, tmp_path / "nowhere" / "a.pt")
    with pytest.raises(RuntimeError, match=r"Is a directory"):
        fb.save(1, tmp_path)


def test_links_and_modes_are_kept(tmp_path):
    real, link = tmp_path / "real.pt", tmp_path / "link.pt"
    fb.save(1, real)
    os.chmod(real, 0o640)
    link.symlink_to(real)
    fb.save(2, link)
    assert link.is_symlink() and fb.load(real) == 2 and os.stat(real).st_mode & 0o777 == 0o640


KILLED = """
import os, random, signal, sys, time
import flambeau as fb
path, kills = sys.argv[1], int(sys.argv[2])
fb.set_num_threads(1)
random.seed(0)
fb.save({"i": 0, "x": fb.zeros(200_000)}, path)
newest = 0
for kill in range(kills):
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        x = fb.zeros(200_000)
        os.write(tell, b"r")
        for i in range(newest + 1, newest + 10_000):
            fb.save({"i": i, "x": x.fill_(i)}, path)
    os.read(told, 1)
    os.close(told), os.close(tell)
    time.sleep(random.random() * 0.05)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    got = fb.load(path)
    assert got["i"] >= newest and (got["x"] == got["i"]).all(), (kill, got)
    newest = got["i"]
print(kills, newest)
"""


def test_a_hundred_kills_lose_nothing(tmp_path):
    path = tmp_path / "k.pt"
    ran = subprocess.run([sys.executable, "-c", KILLED, str(path), "100"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    kills, newest = map(int, ran.stdout.split())
    assert kills == 100 and newest > 0 and fb.load(path)["i"] == newest


FULL = """
import resource, signal, sys
import flambeau as fb
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
fb.save({"v": 1}, sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    fb.save({"v": fb.zeros(100_000)}, sys.argv[1])
except RuntimeError as e:
    print(type(e).__name__, e)
"""


def test_no_room_leaves_the_old_file(tmp_path):
    path = tmp_path / "a.pt"
    ran = subprocess.run([sys.executable, "-c", FULL, str(path)], capture_output=True, text=True)
    assert ran.returncode == 0 and "too large" in ran.stdout, (ran.stdout, ran.stderr)
    assert fb.load(path) == {"v": 1} and os.listdir(tmp_path) == ["a.pt"]


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="needs a folder that nobody can write to")
def test_an_unwritable_folder():
    with pytest.raises(RuntimeError, match=r"^open file failed with strerror: .*\nNo file can be made in"):
        fb.save(1, "/proc/self/a.pt")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs the device that is always full")
def test_a_full_device():
    with open("/dev/full", "wb", buffering=0) as full, pytest.raises(OSError, match="No space left"):
        fb.save(fb.zeros(10), full)


def test_constants_of_a_program_are_a_tuple():
    program = io.BytesIO()
    fb.jit.save(fb.jit.script(fb.nn.Linear(2, 2)), program)
    damaged = io.BytesIO()
    with zipfile.ZipFile(program) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            new.writestr(name, b"\x80\x02\x88." if name.endswith("constants.pkl") else old.read(name))
    damaged.seek(0)
    with pytest.raises(RuntimeError, match=r"constants\.pkl of the archive holds a bool, not a tuple"):
        fb.jit.load(damaged)
