"""Data sets read from small files made here in the published layouts."""

import bz2
import contextlib
import hashlib
import io
import json
import lzma
import pathlib
import pickle
import subprocess
import sys
import tarfile
import zipfile
import zlib

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import datasets, tv_tensors
from flambeau.vision.datasets import utils
from flambeau.vision.datasets._matlab import read_matlab
from flambeau.vision.datasets.cifar import _read
from flambeau.vision.datasets.coco import segmentation_mask
from flambeau.vision.datasets.mnist import read_idx
from flambeau.vision.transforms import v2

from .sources import idx, server

PIL = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(1)


def picture(path, size=(6, 5), colour="red", mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.new(mode, size, colour).save(path)


def md5(content):
    return hashlib.md5(content).hexdigest()


def matlab(**arrays):
    """The bytes of a MATLAB file of version 5 with arrays of bytes and doubles, packed."""
    out = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    for name, array in arrays.items():
        kind, number = {"uint8": (9, 2), "float64": (6, 9)}[array.dtype.name]

        def element(code, content):
            return (
                code.to_bytes(4, "little")
                + len(content).to_bytes(4, "little")
                + content
                + b"\0" * (-len(content) % 8)
            )

        shape = np.array(array.shape, "<i4").tobytes()
        body = element(6, bytes([kind, 0, 0, 0, 0, 0, 0, 0])) + element(5, shape)
        body += element(1, name.encode()) + element(number, array.tobytes(order="F"))
        packed = zlib.compress(element(14, body))
        out += (15).to_bytes(4, "little") + len(packed).to_bytes(4, "little") + packed
    return out


def test_matlab_files(tmp_path):
    arrays = {"a": RNG.integers(0, 255, (3, 4, 2)).astype(np.uint8), "label": RNG.random((1, 3))}
    path = tmp_path / "x.mat"
    path.write_bytes(matlab(**arrays))
    found = read_matlab(path)
    assert {name: value.tolist() for name, value in found.items()} == {
        n: v.tolist() for n, v in arrays.items()
    }
    scipy = pytest.importorskip("scipy.io")
    for packed in (False, True):
        scipy.savemat(path, {**arrays, "text": "abc", "n": 7}, do_compression=packed)
        found = read_matlab(path)
        assert np.array_equal(found["a"], arrays["a"]) and found["n"].item() == 7 and "text" not in found


def test_damaged_matlab_files(tmp_path):
    path = tmp_path / "x.mat"
    whole = matlab(a=np.arange(12, dtype=np.uint8).reshape(3, 4))
    for length in (0, 100, 140, len(whole) - 5):
        path.write_bytes(whole[:length])
        if length == len(whole) - 5 or length < 128:
            with pytest.raises(ValueError, match=r"x\.mat"):
                read_matlab(path)
    for _ in range(150):
        damaged = bytearray(whole)
        for place in RNG.integers(128, len(whole), 3):
            damaged[place] = RNG.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(ValueError):
            read_matlab(path)


def test_idx_takes_no_more_memory_than_the_file_has(tmp_path):
    head = b"\0\0\x08\x03" + b"\x7f\xff\xff\xff" * 3
    (tmp_path / "huge").write_bytes(head + b"123")
    with pytest.raises(ValueError, match="has 3 bytes of them"):
        read_idx(tmp_path / "huge")
    whole = idx(RNG.integers(0, 256, (4, 5)).astype(np.uint8))
    (tmp_path / "a.xz").write_bytes(lzma.compress(whole))
    assert read_idx(tmp_path / "a.xz").shape == (4, 5)
    packed = lzma.compress(whole)
    for _ in range(60):
        damaged = bytearray(packed)
        damaged[RNG.integers(0, len(packed))] ^= 1 << int(RNG.integers(0, 8))
        (tmp_path / "b").write_bytes(damaged)
        with contextlib.suppress(ValueError):
            read_idx(tmp_path / "b")


def test_svhn(tmp_path):
    pixels = RNG.integers(0, 256, (32, 32, 3, 4)).astype(np.uint8)
    content = matlab(X=pixels, y=np.array([[1.0], [10], [3], [9]]))
    with server({"t.mat": content}) as (url, _):

        class Here(datasets.SVHN):
            split_list = {"test": [url + "t.mat", "t.mat", md5(content)]}

        data = Here(tmp_path, split="test", download=True)
    image, label = data[1]
    assert len(data) == 4 and label == 0 and np.array_equal(np.asarray(image), pixels[..., 1])
    assert (
        repr(data)
        == f"Dataset Here\n    Number of datapoints: 4\n    Root location: {tmp_path}\n    Split: test"
    )
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted"):
        datasets.SVHN(tmp_path)
    with pytest.raises(ValueError, match="Unknown value 'x' for argument split"):
        datasets.SVHN(tmp_path, split="x")


def test_stl10(tmp_path):
    files = {
        "train_X.bin": RNG.integers(0, 256, (3, 3, 96, 96)).astype(np.uint8).tobytes(),
        "train_y.bin": bytes([1, 2, 10]),
        "unlabeled_X.bin": bytes(2 * 3 * 96 * 96),
        "test_X.bin": bytes(3 * 96 * 96),
        "test_y.bin": bytes([4]),
    }
    folder = tmp_path / "stl10_binary"
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    (folder / "class_names.txt").write_text("airplane\nbird\n")
    (folder / "fold_indices.txt").write_text("0 2\n1\n")

    class Here(datasets.STL10):
        train_list = [[name, md5(files[name])] for name in ("train_X.bin", "train_y.bin", "unlabeled_X.bin")]
        test_list = [[name, md5(files[name])] for name in ("test_X.bin", "test_y.bin")]

    data = Here(tmp_path)
    assert len(data) == 3 and data[2][1] == 9 and data.classes == ["airplane", "bird"]
    stored = np.frombuffer(files["train_X.bin"], np.uint8).reshape(3, 3, 96, 96)[0]
    assert np.array_equal(np.asarray(data[0][0]), stored.transpose(2, 1, 0))  # columns come first in the file
    assert Here(tmp_path, folds=0).labels.tolist() == [0, 9] and len(Here(tmp_path, "test")) == 1
    assert Here(tmp_path, "train+unlabeled").labels.tolist() == [0, 1, 9, -1, -1]
    with pytest.raises(ValueError, match=r"range \[0, 10\), but got 11"):
        Here(tmp_path, folds=11)
    (folder / "test_y.bin").write_bytes(b"x")
    with pytest.raises(RuntimeError, match="corrupted"):
        Here(tmp_path)


def test_usps_and_semeion(tmp_path):
    values = np.linspace(-1, 1, 256)
    row = "3 " + " ".join(f"{i + 1}:{v:.6f}" for i, v in enumerate(values))
    (tmp_path / "usps.bz2").write_bytes(bz2.compress((row + "\n" + row + "\n").encode()))
    data = datasets.USPS(tmp_path)
    image, label = data[1]
    assert len(data) == 2 and label == 2 and image.size == (16, 16)
    assert np.abs(np.asarray(image).reshape(-1) - (values + 1) * 127.5).max() < 1.001  # cut off
    (tmp_path / "usps.t.bz2").write_bytes(bz2.compress(row.encode())[:-9])
    with pytest.raises(ValueError, match="damaged"):
        datasets.USPS(tmp_path, train=False)
    pixels = RNG.integers(0, 2, 256)
    text = " ".join(f"{p}.0000" for p in pixels) + " 0 0 0 0 0 0 0 1 0 0\n"

    class Here(datasets.SEMEION):
        md5_checksum = md5((text * 2).encode())

    (tmp_path / "semeion.data").write_text(text * 2)
    data = Here(tmp_path, download=False)
    assert len(data) == 2 and data[0][1] == 7
    assert np.array_equal(np.asarray(data[0][0]).reshape(-1), pixels * 255)


def test_qmnist(tmp_path):
    raw = tmp_path / "QMNIST" / "raw"
    raw.mkdir(parents=True)
    labels = np.stack([np.arange(8) + 10 * i for i in range(5)]).astype(np.int32)
    (raw / "qmnist-test-images-idx3-ubyte").write_bytes(
        idx(RNG.integers(0, 256, (5, 28, 28)).astype(np.uint8))
    )
    (raw / "qmnist-test-labels-idx2-int").write_bytes(idx(labels))
    data = datasets.QMNIST(tmp_path, train=False)
    assert data[3][1] == 30 and repr(data).endswith("Split: test")
    assert datasets.QMNIST(tmp_path, what="test10k", compat=False)[2][1].tolist() == labels[2].tolist()
    assert len(datasets.QMNIST(tmp_path, what="test50k")) == 0
    with pytest.raises(RuntimeError, match="Dataset not found"):
        datasets.QMNIST(tmp_path)


def test_gtsrb(tmp_path):
    for name in ("00000", "00001"):
        picture(tmp_path / "gtsrb/GTSRB/Training" / name / "00000_00000.ppm")
    data = datasets.GTSRB(tmp_path)
    assert len(data) == 2 and data[1][1] == 1 and data[1][0].getpixel((0, 0)) == (255, 0, 0)
    picture(tmp_path / "gtsrb/GTSRB/Final_Test/Images/00000.ppm", colour="blue")
    (tmp_path / "gtsrb/GT-final_test.csv").write_text("Filename;Width;ClassId\n00000.ppm;5;16\n")
    image, label = datasets.GTSRB(tmp_path, split="test")[0]
    assert label == 16 and image.getpixel((0, 0)) == (0, 0, 255)


def test_flowers(tmp_path):
    folder = tmp_path / "flowers-102"
    for number in (1, 2, 3):
        picture(folder / "jpg" / f"image_{number:05d}.jpg")
    sets = matlab(trnid=np.array([[1.0, 3]]), valid=np.array([[2.0]]), tstid=np.array([[2.0]]))
    labels = matlab(labels=np.array([[5.0, 6, 102]]))
    (folder / "setid.mat").write_bytes(sets)
    (folder / "imagelabels.mat").write_bytes(labels)

    class Here(datasets.Flowers102):
        _file_dict = {
            "image": ("", ""),
            "label": ("imagelabels.mat", md5(labels)),
            "setid": ("setid.mat", md5(sets)),
        }

    data = Here(tmp_path)
    assert [data[i][1] for i in range(2)] == [4, 101] and repr(data).endswith("split=train")
    assert len(Here(tmp_path, "val")) == 1


def test_food(tmp_path):
    for name in ("apple_pie", "waffles"):
        picture(tmp_path / "food-101/images" / name / "7.jpg")
    (tmp_path / "food-101/meta").mkdir()
    (tmp_path / "food-101/meta/test.json").write_text(
        json.dumps({"waffles": ["waffles/7"], "apple_pie": ["apple_pie/7"]})
    )
    data = datasets.Food101(tmp_path, "test", target_transform=lambda label: label * 10)
    assert data.classes == ["apple_pie", "waffles"] and [data[i][1] for i in range(2)] == [10, 0]


def pets(tmp_path):
    folder = tmp_path / "oxford-iiit-pet"
    for name, value in (("Abyssinian_1", 1), ("beagle_2", 3)):
        picture(folder / "images" / f"{name}.jpg")
        picture(folder / "annotations/trimaps" / f"{name}.png", colour=value, mode="L")
    (folder / "annotations/trainval.txt").write_text("Abyssinian_1 1 1 1\nbeagle_2 2 2 1\n")
    return tmp_path


def test_pets(tmp_path):
    root = pets(tmp_path)
    data = datasets.OxfordIIITPet(root, target_types=["category", "binary-category", "segmentation"])
    assert data.classes == ["Abyssinian", "Beagle"] and data.class_to_idx == {"Abyssinian": 0, "Beagle": 1}
    label, binary, mask = data[1][1]
    assert (label, binary, mask.getpixel((0, 0))) == (1, 1, 3)
    wrapped = datasets.wrap_dataset_for_transforms_v2(
        datasets.OxfordIIITPet(root, target_types="segmentation")
    )
    assert type(wrapped[0][1]) is tv_tensors.Mask and type(wrapped).__name__ == "WrappedOxfordIIITPet"


def test_caltech(tmp_path):
    base = tmp_path / "caltech101"
    for name in ("BACKGROUND_Google", "Faces", "ant"):
        picture(base / "101_ObjectCategories" / name / "image_0001.jpg")
    outline = np.array([[1.0, 2, 3], [4, 5, 6]])
    for name in ("Faces_2", "ant"):
        (base / "Annotations" / name).mkdir(parents=True)
        (base / "Annotations" / name / "annotation_0001.mat").write_bytes(matlab(obj_contour=outline))
    data = datasets.Caltech101(tmp_path, target_type=["category", "annotation"])
    assert data.categories == ["Faces", "ant"] and len(data) == 2
    assert data[0][1][0] == 0 and data[0][1][1].tolist() == outline.tolist()
    picture(tmp_path / "caltech256/256_ObjectCategories/001.ak47/001_0001.jpg")
    assert datasets.Caltech256(tmp_path)[0][1] == 0


def voc(tmp_path, year="2012"):
    base = tmp_path / "VOCdevkit" / f"VOC{year}"
    for part in ("Main", "Segmentation"):
        (base / "ImageSets" / part).mkdir(parents=True)
        (base / "ImageSets" / part / "train.txt").write_text("a\n")
    picture(base / "JPEGImages/a.jpg", (20, 10))
    picture(base / "SegmentationClass/a.png", (20, 10), 7, "L")
    (base / "Annotations").mkdir()
    box = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>9</xmax><ymax>8</ymax></bndbox>"
    thing = (
        f"<object><name>dog</name><part><name>head</name></part><part><name>foot</name></part>{box}</object>"
    )
    (base / "Annotations/a.xml").write_text(f"<annotation><filename>a.jpg</filename>{thing}</annotation>")
    return tmp_path


def test_voc(tmp_path):
    root = voc(tmp_path)
    data = datasets.VOCDetection(root)
    image, target = data[0]
    (thing,) = target["annotation"]["object"]
    assert image.size == (20, 10) and thing["name"] == "dog" and thing["bndbox"]["xmax"] == "9"
    assert [part["name"] for part in thing["part"]] == ["head", "foot"]
    mask = datasets.VOCSegmentation(root)[0][1]
    assert mask.getpixel((0, 0)) == 7
    wrapped = datasets.wrap_dataset_for_transforms_v2(
        datasets.VOCDetection(root, transforms=v2.RandomHorizontalFlip(p=1)), target_keys="all"
    )
    _, target = wrapped[0]
    assert target["boxes"].tolist() == [[11, 2, 19, 8]] and target["labels"].tolist() == [12]
    assert isinstance(wrapped, datasets.VOCDetection) and wrapped.year == "2012" and len(wrapped) == 1
    again = pickle.loads(pickle.dumps(wrapped))  # as loaders send it to their workers
    assert again[0][1]["boxes"].equal(target["boxes"]) and "annotation" in again[0][1]
    assert (
        type(datasets.wrap_dataset_for_transforms_v2(datasets.VOCSegmentation(root))[0][1]) is tv_tensors.Mask
    )
    with pytest.raises(ValueError, match="Unknown value 'test' for argument image_set"):
        datasets.VOCDetection(root, image_set="test")
    with pytest.raises(RuntimeError, match="Dataset not found or corrupted"):
        datasets.VOCDetection(root, "2007", "test")
    pathlib.Path(data.annotations[0]).write_text("<annotation><object>")
    with pytest.raises(ValueError, match="damaged"):
        data[0]


def coco(tmp_path):
    picture(tmp_path / "images/x.jpg", (20, 10))
    picture(tmp_path / "images/y.jpg", (20, 10))
    square = [[2, 2, 8, 2, 8, 6, 2, 6]]
    notes = {
        "images": [
            {"id": 9, "file_name": "y.jpg", "height": 10, "width": 20},
            {"id": 4, "file_name": "x.jpg", "height": 10, "width": 20},
        ],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 1, "image_id": 4, "category_id": 3, "bbox": [2, 2, 6, 4], "segmentation": square,
             "iscrowd": 0, "area": 24},
            {"id": 2, "image_id": 4, "category_id": 3, "bbox": [0, 0, 2, 1], "iscrowd": 1, "area": 2,
             "segmentation": {"size": [10, 20], "counts": [0, 1, 9, 1, 189]}},
        ],
    }  # fmt: skip
    (tmp_path / "notes.json").write_text(json.dumps(notes))
    captions = {"images": notes["images"], "annotations": [{"id": 1, "image_id": 4, "caption": "a cat"}]}
    (tmp_path / "captions.json").write_text(json.dumps(captions))
    return tmp_path


def test_coco(tmp_path):
    root = coco(tmp_path)
    data = datasets.CocoDetection(root / "images", root / "notes.json")
    assert data.ids == [4, 9] and [note["id"] for note in data[0][1]] == [1, 2] and data[1][1] == []
    assert data.coco.getCatIds("cat") == [3] and data.coco.getImgIds(catIds=3) == [4]
    assert data.coco.getAnnIds(4, iscrowd=True) == [2] and data.coco.getAnnIds() == [1, 2]
    assert datasets.CocoCaptions(root / "images", root / "captions.json")[0][1] == ["a cat"]
    wrapped = datasets.wrap_dataset_for_transforms_v2(data)
    _, target = wrapped[0]
    assert target["image_id"] == 4 and target["boxes"].tolist() == [[2, 2, 8, 6], [0, 0, 2, 1]]
    assert (
        target["boxes"].canvas_size == (10, 20)
        and target["labels"].tolist() == [3, 3]
        and "masks" not in target
    )
    assert wrapped[1][1] == {"image_id": 9}
    again = datasets.CocoDetection(root / "images", root / "notes.json")
    masks = datasets.wrap_dataset_for_transforms_v2(again, ["masks", "area"])[0][1]["masks"]
    assert masks[0].sum() == 7 * 5 and masks[1].nonzero().tolist() == [[0, 0], [0, 1]]
    with pytest.raises(ValueError, match="not available"):
        datasets.wrap_dataset_for_transforms_v2(again, ["colour"])
    with pytest.raises(ValueError, match="Index must be of type integer"):
        data["0"]
    (root / "notes.json").write_text("[]")
    with pytest.raises(ValueError, match="no annotation file of COCO"):
        datasets.CocoDetection(root / "images", root / "notes.json")


def test_packed_run_lengths():
    # worked out by hand: 5, 3, 7, 30 (the fourth as 30 - 3 = 27 → two characters, '5' 'X'…)
    def pack(counts):
        out = ""
        for i, count in enumerate(counts):
            value = count - counts[i - 2] if i > 2 else count
            while True:
                part, value = value & 31, value >> 5
                more = value != (-1 if part & 16 else 0)
                out += chr((part | 32 if more else part) + 48)
                if not more:
                    break
        return out

    for counts in ([5, 3, 7, 30], [0, 40, 2, 1, 57], [100]):
        size = [sum(counts), 1]
        text = pack(counts)
        mask = segmentation_mask({"size": size, "counts": text}, *size)[:, 0]
        assert mask.tolist() == np.repeat(np.arange(len(counts)) % 2, counts).tolist()
        assert np.array_equal(segmentation_mask({"size": size, "counts": text.encode()}, *size)[:, 0], mask)
    with pytest.raises(ValueError, match="run lengths for 3 pixels"):
        segmentation_mask({"size": [2, 2], "counts": [1, 2]}, 2, 2)


def test_celeba(tmp_path, monkeypatch):
    texts = {
        "list_attr_celeba.txt": "2\nBald Young\na.jpg -1 1\nb.jpg 1 1\n",
        "identity_CelebA.txt": "a.jpg 20\nb.jpg 30\n",
        "list_bbox_celeba.txt": "2\nimage_id x_1 y_1 width height\na.jpg 1 2 3 4\nb.jpg 0 0 2 2\n",
        "list_landmarks_align_celeba.txt": "2\nlefteye_x lefteye_y\na.jpg 6 7\nb.jpg 8 9\n",
        "list_eval_partition.txt": "a.jpg 0\nb.jpg 2\n",
    }
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("a.jpg", "b.jpg"):
            content = io.BytesIO()
            PIL.new("RGB", (6, 8)).save(content, "JPEG")
            archive.writestr(f"img_align_celeba/{name}", content.getvalue())
    files = {name: text.encode() for name, text in texts.items()} | {
        "img_align_celeba.zip": buffer.getvalue()
    }
    numbers = {name: f"n{i}" for i, name in enumerate(files)}
    with server({numbers[name]: content for name, content in files.items()}) as (url, _):
        monkeypatch.setattr(utils, "GOOGLE_DRIVE", url + "{}")

        class Here(datasets.CelebA):
            file_list = [(numbers[name], md5(content), name) for name, content in files.items()]

        data = Here(
            tmp_path, split="test", target_type=["attr", "identity", "bbox", "landmarks"], download=True
        )
    attr, identity, bbox, landmarks = data[0][1]
    assert (attr.tolist(), identity.item(), bbox.tolist(), landmarks.tolist()) == (
        [1, 1],
        30,
        [0, 0, 2, 2],
        [8, 9],
    )
    assert data.attr_names == ["Bald", "Young"] and len(Here(tmp_path, "all")) == 2
    boxes = datasets.wrap_dataset_for_transforms_v2(Here(tmp_path, target_type="bbox"))[0][1]
    assert boxes.format.value == "XYWH" and boxes.canvas_size == (8, 6)
    with pytest.raises(ValueError, match='Target type "x" is not recognized'):
        Here(tmp_path, target_type="x")


def test_imagenet(tmp_path):
    for name in ("n01440764", "n01443537"):
        picture(tmp_path / "val" / name / "a.JPEG")
    data = datasets.ImageNet(tmp_path, "val")
    assert data.wnids == ["n01440764", "n01443537"] and data[1][1] == 1 and data.classes[0] == ("n01440764",)
    fb.save(
        ({"n01440764": ("tench", "Tinca"), "n01443537": ("goldfish",)}, ["n01440764"]), tmp_path / "meta.bin"
    )
    data = datasets.ImageNet(tmp_path, "val")
    assert data.classes == [("tench", "Tinca"), ("goldfish",)] and data.class_to_idx["Tinca"] == 0
    assert "Split: val" in repr(data)
    with pytest.raises(RuntimeError, match=r"The archive ILSVRC2012_img_train\.tar is not present"):
        datasets.ImageNet(tmp_path)


def test_wrapping_other_things():
    fake = datasets.FakeData(3, (3, 8, 8), transform=v2.ToImage())
    wrapped = datasets.wrap_dataset_for_transforms_v2(fake)
    assert type(wrapped[0][0]) is tv_tensors.Image and len(wrapped) == 3
    with pytest.raises(TypeError, match="meant for subclasses of"):
        datasets.wrap_dataset_for_transforms_v2([1, 2])
    with pytest.raises(ValueError, match="no target keys"):
        datasets.wrap_dataset_for_transforms_v2(fake, ["boxes"])


def test_google_drive_pages_are_no_files(tmp_path, monkeypatch):
    with server({"n": b"<!DOCTYPE html><p>too many", "m": b"data"}) as (url, _):
        monkeypatch.setattr(utils, "GOOGLE_DRIVE", url + "{}")
        with pytest.raises(RuntimeError, match="gave a web page"):
            utils.download_file_from_google_drive("n", tmp_path, "f")
        utils.download_file_from_google_drive("m", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def tar_of(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def test_archives_cannot_reach_out(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    link = tarfile.TarInfo("link")
    link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
    for members in (
        [(tarfile.TarInfo(str(tmp_path / "escaped")), b"x")],
        [(link, b""), (tarfile.TarInfo("link/escaped"), b"x")],
        [(tarfile.TarInfo("../../escaped"), b"x")],
    ):
        (folder / "a.tar.gz").write_bytes(tar_of(*members))
        with contextlib.suppress(RuntimeError):
            utils.extract_archive(folder / "a.tar.gz")
        assert not (tmp_path / "escaped").exists()
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("../escaped", "x")
        archive.writestr("/tmp/../escaped", "x")
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, str(tmp_path))
        archive.writestr("link2/x", "y")
    utils.extract_archive(folder / "a.zip")
    assert not (tmp_path / "escaped").exists() and not (folder / "link").is_symlink()


def test_damaged_archives_say_so(tmp_path):
    tar = tar_of((tarfile.TarInfo("a"), RNG.bytes(5000)))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a", RNG.bytes(5000))
    for name, content in (
        ("a.tar.gz", tar),
        ("a.zip", buffer.getvalue()),
        ("a.xz", lzma.compress(b"1" * 999)),
    ):
        for part in (b"", content[: len(content) // 2], b"<html>" + content[6:-6]):
            (tmp_path / name).write_bytes(part)
            with pytest.raises(RuntimeError, match="cannot be unpacked"):
                utils.extract_archive(tmp_path / name, tmp_path / "out" if "xz" not in name else tmp_path)
    assert not (tmp_path / "a").exists()  # of a compressed file nothing is left
    with pytest.raises(RuntimeError, match="no suffixes that could be used"):
        (tmp_path / "a.rar").write_bytes(b"")
        utils.extract_archive(tmp_path / "a.rar")


def test_downloads_go_on_after_a_killed_program(tmp_path):
    content, newer = RNG.bytes(300_000), RNG.bytes(300_000)
    tag = f'"{zlib.crc32(content)}"'
    (tmp_path / "f.bin.part").write_bytes(content[:120_000])
    (tmp_path / "f.bin.part.tag").write_text(tag)
    with server({"f.bin": content, "newer.bin": newer}) as (url, requests):
        utils.download_url(url + "f.bin", tmp_path, md5=md5(content))
        assert requests == [("f.bin", "bytes=120000-")]
        (tmp_path / "newer.bin.part").write_bytes(content[:120_000])  # of a file that has changed since
        (tmp_path / "newer.bin.part.tag").write_text(tag)
        (tmp_path / "g.bin.part").write_bytes(b"nobody knows of what")
        utils.download_url(url + "newer.bin", tmp_path)
        utils.download_url(url + "f.bin", tmp_path, "g.bin")
        (tmp_path / "h.bin.part").write_bytes(content)  # whole, but not yet renamed
        (tmp_path / "h.bin.part.tag").write_text(tag)
        utils.download_url(url + "f.bin", tmp_path, "h.bin")
    assert {n: (tmp_path / f"{n}.bin").read_bytes() for n in ("f", "g", "h", "newer")} == {
        "f": content,
        "g": content,
        "h": content,
        "newer": newer,
    }
    assert not list(tmp_path.glob("*.part*"))


def test_importing_data_sets_needs_no_pillow():
    program = (
        "import sys, flambeau.vision.datasets as d; assert 'PIL' not in sys.modules; print(len(d.__all__))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 0 and int(run.stdout) == len(datasets.__all__), run.stderr


def test_folders_of_classes(tmp_path):
    for name in ("Forest", "River"):
        picture(tmp_path / "eurosat/2750" / name / "1.jpg")
        picture(tmp_path / "country211/valid" / name / "1.jpg")
        picture(tmp_path / "rendered-sst2/valid" / name / "1.png")
    assert datasets.EuroSAT(tmp_path)[1][1] == 1
    assert repr(datasets.Country211(tmp_path, "valid")).endswith("split=valid")
    assert len(datasets.RenderedSST2(tmp_path, "val")) == 2
    for name in ("n01440764", "n03888257"):
        picture(tmp_path / "imagenette2/val" / name / "1.jpeg")
    data = datasets.Imagenette(tmp_path, "val")
    assert data.classes[1] == ("parachute", "chute") and data.class_to_idx["chute"] == 1 and data[1][1] == 1
    picture(tmp_path / "SUN397/a/abbey/sun_a.jpg")
    picture(tmp_path / "SUN397/a/apse/indoor/sun_b.jpg")
    (tmp_path / "SUN397/ClassName.txt").write_text("/a/abbey\n/a/apse/indoor\n")
    assert [datasets.SUN397(tmp_path)[i][1] for i in range(2)] == [0, 1]
    for kind in (datasets.EuroSAT, datasets.Country211, datasets.SUN397, datasets.Imagenette):
        with pytest.raises(RuntimeError, match="Dataset not found"):
            kind(tmp_path / "none")


def test_listed_files(tmp_path):
    picture(tmp_path / "dtd/dtd/images/banded/b1.jpg")
    (tmp_path / "dtd/dtd/labels").mkdir()
    (tmp_path / "dtd/dtd/labels/val3.txt").write_text("banded/b1.jpg\n")
    assert datasets.DTD(tmp_path, "val", 3)[0][1] == 0
    with pytest.raises(ValueError, match="should be an integer with `1 <= partition <= 10`"):
        datasets.DTD(tmp_path, partition=11)
    data = tmp_path / "fgvc-aircraft-2013b/data"
    picture(data / "images/001.jpg")
    (data / "families.txt").write_text("A300\nBoeing 737\n")
    (data / "images_family_test.txt").write_text("001 Boeing 737\n")
    assert datasets.FGVCAircraft(tmp_path, "test", "family")[0][1] == 1


def test_omniglot(tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in ("Greek/character01/1.png", "Latin/character01/2.png"):
            content = io.BytesIO()
            PIL.new("1", (105, 105), 1).save(content, "PNG")
            archive.writestr("images_background/" + name, content.getvalue())
    with server({"images_background.zip": buffer.getvalue()}) as (url, _):

        class Here(datasets.Omniglot):
            download_url_prefix = url.rstrip("/")
            zips_md5 = {"images_background": md5(buffer.getvalue())}

        data = Here(tmp_path, download=True)
    assert len(data) == 2 and data[1][1] == 1 and data[1][0].mode == "L"


def test_moving_mnist(tmp_path):
    (tmp_path / "MovingMNIST").mkdir()
    videos = RNG.integers(0, 256, (20, 3, 64, 64)).astype(np.uint8)
    np.save(tmp_path / "MovingMNIST/mnist_test_seq.npy", videos)
    assert datasets.MovingMNIST(tmp_path)[2].numpy().tolist() == videos[:, 2, None].tolist()
    assert datasets.MovingMNIST(tmp_path, "test", 15)[0].shape == (5, 1, 64, 64)
    with pytest.raises(ValueError, match="`split_ratio` should be"):
        datasets.MovingMNIST(tmp_path, split_ratio=20)


def test_damaged_pictures_are_named(tmp_path):
    picture(tmp_path / "a" / "x.png", (50, 50))
    path = tmp_path / "a" / "x.png"
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises((OSError, SyntaxError)) as caught:
        datasets.ImageFolder(tmp_path)[0]
    assert caught.value.__notes__ == [f"The picture is {path}."]


def test_damaged_cifar_batches_make_no_objects(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "made"), "w"))

    whole = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]}, 2)
    path = tmp_path / "batch"
    path.write_bytes(whole)
    assert _read(str(path))["labels"] == [0, 1]
    path.write_bytes(pickle.dumps({"data": Evil()}, 2))
    with pytest.raises(pickle.UnpicklingError):
        _read(str(path))
    assert not (tmp_path / "made").exists()
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[RNG.integers(0, 200)] = RNG.integers(0, 256)
        path.write_bytes(damaged[: RNG.integers(1, len(whole))])
        with contextlib.suppress(pickle.UnpicklingError, ValueError):
            _read(str(path))


def test_kitti(tmp_path):
    base = tmp_path / "Kitti/raw/training"
    picture(base / "image_2/000001.png", (20, 10))
    (base / "label_2").mkdir()
    (base / "label_2/000001.txt").write_text("Truck 0.00 0 -1.57 5.5 1 15 8 2.8 2.6 12.3 0.4 1.4 69 -1.5\n")
    (thing,) = datasets.Kitti(tmp_path)[0][1]
    assert thing["type"] == "Truck" and thing["bbox"] == [5.5, 1, 15, 8] and thing["rotation_y"] == -1.5
    target = datasets.wrap_dataset_for_transforms_v2(datasets.Kitti(tmp_path), ["boxes", "labels", "alpha"])[
        0
    ][1]
    assert target["boxes"].tolist() == [[5.5, 1, 15, 8]] and target["labels"].tolist() == [2]
    assert target["alpha"] == [-1.57]
    picture(tmp_path / "Kitti/raw/testing/image_2/000001.png")
    assert datasets.Kitti(tmp_path, train=False)[0][1] is None
    (base / "label_2/000001.txt").write_text("Truck 0.00")
    with pytest.raises(ValueError, match="damaged"):
        datasets.Kitti(tmp_path)[0]


def test_cityscapes(tmp_path):
    stem = "bonn_000000_000019"
    picture(tmp_path / f"leftImg8bit/train/bonn/{stem}_leftImg8bit.png", (4, 2))
    folder = tmp_path / "gtFine/train/bonn"
    folder.mkdir(parents=True)
    numbers = np.array([[7, 26001, 26001, 24000], [7, 7, 26002, 24000]], np.uint16)
    PIL.fromarray(numbers).save(folder / f"{stem}_gtFine_instanceIds.png")
    picture(folder / f"{stem}_gtFine_labelIds.png", (4, 2), 7, "L")
    (folder / f"{stem}_gtFine_polygons.json").write_text('{"objects": []}')
    data = datasets.Cityscapes(tmp_path, target_type=["semantic", "polygon"])
    mask, polygons = data[0][1]
    assert mask.getpixel((0, 0)) == 7 and polygons == {"objects": []}
    assert len(data.classes) == 35 and data.classes[26].name == "car" and data.classes[26].train_id == 13
    wrapped = datasets.wrap_dataset_for_transforms_v2(datasets.Cityscapes(tmp_path))
    target = wrapped[0][1]
    assert target["labels"].tolist() == [24, 26, 26] and target["masks"].sum((1, 2)).tolist() == [2, 2, 1]
    with pytest.raises(ValueError, match="Unknown split 'test' for mode 'coarse'"):
        datasets.Cityscapes(tmp_path, split="test", mode="coarse")
    with pytest.raises(RuntimeError, match="Dataset not found or incomplete"):
        datasets.Cityscapes(tmp_path, split="val")
