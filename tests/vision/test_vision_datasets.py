"""Data sets read from files that are made here in the published formats, and fetched from a server on this
machine.
"""

import gzip
import hashlib
import io
import pathlib
import pickle
import tarfile

import numpy as np
import pytest

import flambeau as fb
from flambeau.utils.data import DataLoader
from flambeau.vision import datasets, transforms
from flambeau.vision.datasets import utils
from flambeau.vision.datasets.mnist import read_idx

from .sources import idx, server

RNG = np.random.default_rng(0)


def mnist_files(train=20, test=10):
    files = {}
    for part, count in (("train", train), ("t10k", test)):
        files[f"{part}-images-idx3-ubyte"] = idx(RNG.integers(0, 256, (count, 28, 28)).astype(np.uint8))
        files[f"{part}-labels-idx1-ubyte"] = idx((np.arange(count) % 10).astype(np.uint8))
    return files


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
def test_idx_types(tmp_path, dtype):
    array = (RNG.random((3, 4)) * 50).astype(dtype)
    (tmp_path / "plain").write_bytes(idx(array))
    (tmp_path / "packed.gz").write_bytes(gzip.compress(idx(array)))
    for name in ("plain", "packed.gz"):
        got = read_idx(tmp_path / name)
        assert got.dtype == array.dtype and got.dtype.isnative and np.array_equal(got, array)


def test_damaged_idx(tmp_path):
    whole = idx(np.zeros((3, 4), np.uint8))
    for content in (
        b"",
        b"\0\0\x08",
        b"PK\x03\x04",
        whole[:9],
        whole[:-1],
        whole + b"x",
        gzip.compress(whole)[:-9],
        b"\0\0\x08\x03" + b"\xff" * 12,
    ):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(ValueError, match=r"bad"):
            read_idx(tmp_path / "bad")


@pytest.mark.parametrize("layout", ["MNIST/raw", ".", "raw"])
@pytest.mark.parametrize("packed", [False, True])
def test_mnist_layouts(tmp_path, layout, packed):
    folder = tmp_path / layout
    folder.mkdir(parents=True, exist_ok=True)
    files = mnist_files()
    for name, content in files.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    data = datasets.MNIST(tmp_path, train=False)
    assert len(data) == 10 and data.data.dtype == fb.uint8 and data.targets.tolist() == list(range(10))
    image, label = data[3]
    assert image.size == (28, 28) and image.mode == "L" and label == 3 and type(label) is int
    assert data.classes[3] == "3 - three" and data.class_to_idx["9 - nine"] == 9
    assert repr(data).splitlines()[:4] == [
        "Dataset MNIST",
        "    Number of datapoints: 10",
        f"    Root location: {tmp_path}",
        "    Split: Test",
    ]


def test_missing_files():
    with pytest.raises(RuntimeError, match=r"Dataset not found. You can use download=True to download it"):
        datasets.FashionMNIST("/no/such/folder")


def test_whole_batches_equal_single_pictures(tmp_path):
    for name, content in mnist_files().items():
        (tmp_path / name).write_bytes(content)
    steps = [transforms.ToTensor(), transforms.Normalize((0.1307,), (0.3081,))]
    together = datasets.MNIST(tmp_path, transform=transforms.Compose(steps))
    singly = datasets.MNIST(tmp_path, transform=transforms.Compose([*steps, transforms.Lambda(lambda x: x)]))
    for kw in ({}, {"shuffle": True}, {"sampler": [3, -1, 7]}):
        batches = []
        for data in (together, singly):
            fb.manual_seed(0)
            batches.append(list(DataLoader(data, batch_size=8, **kw)))
        for (x, y), (a, b) in zip(*batches, strict=True):
            assert fb.equal(x, a) and fb.equal(y, b) and y.dtype == b.dtype and x.stride() == a.stride()
    assert together.__getbatch__([0])[0].shape == (1, 1, 28, 28)
    assert singly.__getbatch__([0]) is NotImplemented


def test_emnist(tmp_path):
    folder = tmp_path / "EMNIST" / "raw"
    folder.mkdir(parents=True)
    (folder / "emnist-letters-test-images-idx3-ubyte").write_bytes(idx(np.zeros((2, 28, 28), np.uint8)))
    (folder / "emnist-letters-test-labels-idx1-ubyte").write_bytes(idx(np.array([1, 26], np.uint8)))
    data = datasets.EMNIST(tmp_path, "letters", train=False)
    assert data.targets.tolist() == [1, 26] and data.classes[26] == "z" and len(data.classes) == 27
    assert len(datasets.EMNIST.classes_split_dict["balanced"]) == 47
    with pytest.raises(ValueError, match=r"Unknown value 'wrong' for argument split"):
        datasets.EMNIST(tmp_path, "wrong")


def test_download_continues_checks_and_is_atomic(tmp_path):
    content = RNG.bytes(100_000)
    md5 = hashlib.md5(content).hexdigest()
    with server({"f.bin": content}, break_first=30_000) as (url, requests):
        utils.download_url(url + "f.bin", tmp_path, md5=md5)
        assert (tmp_path / "f.bin").read_bytes() == content
        assert requests == [("f.bin", None), ("f.bin", "bytes=30000-")]
        utils.download_url(url + "f.bin", tmp_path, md5=md5)
        assert len(requests) == 2
        with pytest.raises(RuntimeError, match=r"File not found or corrupted"):
            utils.download_url(url + "f.bin", tmp_path, "other.bin", md5="0" * 32)
        with pytest.raises(OSError, match=r"404"):
            utils.download_url(url + "missing", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["f.bin"]


def test_mnist_download_tries_the_mirrors(tmp_path):
    packed = {name + ".gz": gzip.compress(content) for name, content in mnist_files().items()}
    with server(packed) as (url, _):

        class Here(datasets.MNIST):
            mirrors = [url + "nothing-here/", url]
            resources = [(name, hashlib.md5(content).hexdigest()) for name, content in packed.items()]

        data = Here(tmp_path, download=True)
        assert len(data) == 20
        assert sorted(p.name for p in pathlib.Path(data.raw_folder).iterdir())[:2] == [
            "t10k-images-idx3-ubyte",
            "t10k-images-idx3-ubyte.gz",
        ]

        class Broken(Here):
            resources = [(name, "0" * 32) for name in packed]

        with pytest.raises(RuntimeError, match=r"(?s)Error downloading train-images.*404.*corrupted"):
            Broken(tmp_path / "x", download=True)


def cifar_archive():
    def batch(count):
        pixels = RNG.integers(0, 256, (count, 3072)).astype(np.uint8)
        return pickle.dumps({"data": pixels, "labels": list(range(count)), "batch_label": "x"}, 2)

    files = {f"data_batch_{i}": batch(3) for i in range(1, 6)}
    files["test_batch"] = batch(4)
    files["batches.meta"] = pickle.dumps({"label_names": ["plane", "car", "bird", "cat"]}, 2)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return files, out.getvalue()


def test_cifar(tmp_path):
    files, archive = cifar_archive()
    sums = {name: hashlib.md5(content).hexdigest() for name, content in files.items()}
    with server({"c.tar.gz": archive}) as (address, _):

        class Here(datasets.CIFAR10):
            url, filename, tgz_md5 = address + "c.tar.gz", "c.tar.gz", hashlib.md5(archive).hexdigest()
            train_list = [[f"data_batch_{i}", sums[f"data_batch_{i}"]] for i in range(1, 6)]
            test_list = [["test_batch", sums["test_batch"]]]
            meta = {"filename": "batches.meta", "key": "label_names", "md5": sums["batches.meta"]}

        data = Here(tmp_path, train=False, download=True, transform=transforms.ToTensor())
    assert len(data) == 4 and data.data.shape == (4, 32, 32, 3) and data.classes[3] == "cat"
    assert len(Here(tmp_path)) == 15
    planes = pickle.loads(files["test_batch"])["data"].reshape(-1, 3, 32, 32)
    image, label = data[2]
    assert label == 2 and np.array_equal((image * 255).round().byte().numpy(), planes[2])
    images, labels = next(iter(DataLoader(data, batch_size=4)))
    assert fb.equal(images[2], image) and labels.tolist() == [0, 1, 2, 3]
    with pytest.raises(RuntimeError, match=r"Dataset not found or corrupted"):
        datasets.CIFAR100(tmp_path)


def test_archives_stay_in_their_folder(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo("../escaped")
        info.size = 1
        archive.addfile(info, io.BytesIO(b"x"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.tar").write_bytes(out.getvalue())
    with pytest.raises(Exception, match=r"escaped"):
        utils.extract_archive(tmp_path / "in" / "a.tar")
    assert not (tmp_path / "escaped").exists()


def test_image_folder(tmp_path):
    image = pytest.importorskip("PIL.Image")
    for name, colour in (("dog", "red"), ("cat", "blue")):
        (tmp_path / name / "deep").mkdir(parents=True)
        image.new("RGB", (5, 4), colour).save(tmp_path / name / "b.png")
        image.new("L", (5, 4)).save(tmp_path / name / "deep" / "a.PNG")
        (tmp_path / name / "notes.txt").write_text("no picture")
    data = datasets.ImageFolder(tmp_path, transform=transforms.ToTensor())
    assert data.classes == ["cat", "dog"] and data.class_to_idx == {"cat": 0, "dog": 1}
    assert [(pathlib.Path(path).name, label) for path, label in data.samples] == [
        ("b.png", 0),
        ("a.PNG", 0),
        ("b.png", 1),
        ("a.PNG", 1),
    ]
    picture, label = data[2]
    assert picture.shape == (3, 4, 5) and picture[:, 0, 0].tolist() == [1.0, 0.0, 0.0] and label == 1
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        FileNotFoundError, match=r"Found no valid file for the classes empty. Supported extensions are:"
    ):
        datasets.ImageFolder(tmp_path)
    assert len(datasets.ImageFolder(tmp_path, allow_empty=True)) == 4
    with pytest.raises(FileNotFoundError, match=r"Couldn't find any class folder"):
        datasets.ImageFolder(tmp_path / "empty")


def test_fake_data_is_the_same_each_time():
    data = datasets.FakeData(size=3, image_size=(3, 8, 6), transform=transforms.ToTensor())
    fb.manual_seed(1)
    expected = fb.rand(1)
    fb.manual_seed(1)
    (a, label), (b, same) = data[1], data[1]
    assert fb.equal(a, b) and label == same and a.shape == (3, 8, 6) and fb.equal(fb.rand(1), expected)
    with pytest.raises(IndexError):
        data[3]
