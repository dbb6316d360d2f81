"""More data sets read from small files made here in the published layouts: faces, places, flow, videos."""

import importlib.util
import json
import struct
import zlib

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import datasets
from flambeau.vision.datasets._flow_files import read_flo, read_kitti_flow, read_pfm
from flambeau.vision.datasets.samplers import DistributedSampler, RandomClipSampler, UniformClipSampler
from flambeau.vision.datasets.video_utils import VideoClips, unfold

PIL = pytest.importorskip("PIL.Image")
RNG = np.random.default_rng(2)


def picture(path, size=(6, 5), colour="red", mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.new(mode, size, colour).save(path)
    return path


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def colour(image):
    return image.getpixel((0, 0))


def test_fer2013(tmp_path):
    grey = " ".join(["7"] * 48 * 48)
    write(tmp_path / "fer2013/test.csv", f"pixels\n{grey}\n")
    image, target = datasets.FER2013(tmp_path, "test")[0]
    assert image.mode == "L" and image.size == (48, 48) and colour(image) == 7 and target is None
    with pytest.raises(RuntimeError, match=r"train\.csv not found"):
        datasets.FER2013(tmp_path)
    rows = [
        f"{i},{usage},{grey}" for i, usage in enumerate(["Training", "PublicTest", "Training", "PrivateTest"])
    ]
    write(tmp_path / "fer2013/icml_face_data.csv", "\n".join(["emotion, Usage, pixels", *rows]))
    assert [target for _, target in datasets.FER2013(tmp_path)] == [0, 2]
    assert [target for _, target in datasets.FER2013(tmp_path, "test")] == [1, 3]
    write(tmp_path / "fer2013/fer2013.csv", "emotion,pixels,Usage\n1,3 4,Training\n")
    with pytest.raises(RuntimeError, match="damaged near line 2"):
        datasets.FER2013(tmp_path)


def test_flickr(tmp_path):
    picture(tmp_path / "12_ab.jpg")
    picture(tmp_path / "34_cd.jpg", colour="blue")
    table = "".join(
        f"<tr><td><a href='http://flickr.com/x/{n}/'>x</a></td><td><ul><li>a {n}. \n<li>b</ul></td></tr>"
        for n in (34, 12, 56)
    )
    write(tmp_path / "page.html", f"<table>{table}</table>")
    data = datasets.Flickr8k(tmp_path, str(tmp_path / "page.html"))
    assert len(data) == 2 and data[0][1] == ["a 12.", "b"] and data[1][0].size == (6, 5)
    write(tmp_path / "list.token", "34_cd.jpg#0\tone\n34_cd.jpg#1\ttwo\n12_ab.jpg#0\tthree\n")
    data = datasets.Flickr30k(tmp_path, str(tmp_path / "list.token"), target_transform=len)
    assert [target for _, target in data] == [1, 2]
    data = datasets.Flickr30k(tmp_path, str(tmp_path / "list.token"), loader=lambda path: path[-9:])
    assert data[0][0] == "12_ab.jpg"


def test_stanford_cars(tmp_path):
    scipy = pytest.importorskip("scipy.io")
    base = tmp_path / "stanford_cars"
    picture(base / "cars_train/00001.jpg")
    picture(base / "cars_train/00002.jpg")
    (base / "devkit").mkdir()
    rows = np.zeros(2, [("fname", object), ("class", object)])
    rows["fname"], rows["class"] = ["00001.jpg", "00002.jpg"], [2, 1]
    scipy.savemat(base / "devkit/cars_train_annos.mat", {"annotations": rows})
    scipy.savemat(base / "devkit/cars_meta.mat", {"class_names": np.array(["A", "B"], object)})
    data = datasets.StanfordCars(tmp_path)
    assert [target for _, target in data] == [1, 0] and data.class_to_idx == {"A": 0, "B": 1}
    with pytest.raises(ValueError, match="not available for automatic download"):
        datasets.StanfordCars(tmp_path, download=True)


def test_clevr(tmp_path):
    base = tmp_path / "clevr/CLEVR_v1.0"
    picture(base / "images/val/b.png")
    picture(base / "images/val/a.png")
    picture(base / "images/test/c.png")
    scenes = [{"image_filename": n, "objects": [{}] * k} for n, k in (("a.png", 3), ("b.png", 5))]
    write(base / "scenes/CLEVR_val_scenes.json", json.dumps({"scenes": scenes}))
    assert [target for _, target in datasets.CLEVRClassification(tmp_path, "val")] == [3, 5]
    assert datasets.CLEVRClassification(tmp_path, "test")[0][1] is None


def test_places(tmp_path):
    write(tmp_path / "categories_places365.txt", "/b/bar 1\n/a/arch 0\n")
    write(tmp_path / "places365_train_standard.txt", "/a/arch/1.jpg 0\n/b/bar/2.jpg 1\n")
    write(tmp_path / "places365_test.txt", "t.jpg\n")
    for name in ("a/arch/1.jpg", "b/bar/2.jpg"):
        picture(tmp_path / "data_256_standard" / name)
    picture(tmp_path / "test_large/t.jpg")
    data = datasets.Places365(tmp_path, small=True)
    assert [target for _, target in data] == data.targets == [0, 1] and data.classes == ["/a/arch", "/b/bar"]
    assert datasets.Places365(tmp_path, "test")[0][1] is None
    assert repr(data).splitlines()[3:] == ["    Split: train-standard", "    Small: True"]
    with pytest.raises(RuntimeError, match="not found or corrupted"):
        datasets.Places365(tmp_path, "val")


def test_pcam(tmp_path):
    h5py = pytest.importorskip("h5py")
    pixels = RNG.integers(0, 255, (3, 96, 96, 3)).astype(np.uint8)
    (tmp_path / "pcam").mkdir()
    for part, values in (("x", pixels), ("y", np.array([1, 0, 1], np.uint8).reshape(3, 1, 1, 1))):
        with h5py.File(tmp_path / f"pcam/camelyonpatch_level_2_split_valid_{part}.h5", "w") as file:
            file[part] = values
    data = datasets.PCAM(tmp_path, "val")
    assert [target for _, target in data] == [1, 0, 1] and np.array_equal(np.asarray(data[2][0]), pixels[2])


def test_inaturalist(tmp_path):
    names = ["00000_Animalia_A_B_C_D_E_f", "00001_Plantae_G_H_I_J_K_l", "00002_Animalia_A_M_N_O_P_q"]
    for name in names:
        picture(tmp_path / "2021_valid" / name / "x.jpg")
    data = datasets.INaturalist(tmp_path, "2021_valid", ["full", "kingdom", "class"])
    assert [target for _, target in data] == [(0, 0, 0), (1, 1, 1), (2, 0, 2)]
    assert data.category_name("kingdom", 1) == "Plantae" and data.category_name("full", 2) == names[2]
    for name in ("Birds/1", "Birds/0", "Fish/2"):
        picture(tmp_path / "2018" / name / "x.jpg")
    data = datasets.INaturalist(tmp_path, "2018", "super")
    assert data.all_categories == ["Birds/0", "Birds/1", "Fish/2"] and [t for _, t in data] == [0, 0, 1]
    with pytest.raises(ValueError, match="target_type"):
        datasets.INaturalist(tmp_path, "2018", "kingdom")


def test_lfw(tmp_path):
    base = tmp_path / "lfw-py"
    for name in ("Ann_A/Ann_A_0001", "Ann_A/Ann_A_0002", "Bob_B/Bob_B_0001"):
        picture(base / f"lfw_funneled/{name}.jpg")
    write(base / "lfw-names.txt", "Ann_A\t2\nBob_B\t1\n")
    write(base / "people.txt", "2\n1\nBob_B\t1\n1\nAnn_A\t2\n")
    write(base / "peopleDevTrain.txt", "1\nAnn_A\t2\n")
    data = datasets.LFWPeople(tmp_path)
    assert data.targets == [1, 0, 0] and data[2][0].size == (6, 5)
    assert [target for _, target in datasets.LFWPeople(tmp_path, "train")] == [0, 0]
    write(base / "pairsDevTest.txt", "1\nAnn_A\t1\t2\nAnn_A\t2\tBob_B\t1\n")
    data = datasets.LFWPairs(tmp_path, "test", transform=lambda image: image.size)
    assert list(data) == [((6, 5), (6, 5), 1), ((6, 5), (6, 5), 0)]
    assert data.data[1][1].endswith("Bob_B_0001.jpg")
    write(base / "pairsDevTest.txt", "2\nAnn_A\t1\t2\n")
    with pytest.raises(RuntimeError, match="4 pairs are announced and 1"):
        datasets.LFWPairs(tmp_path, "test")


def test_widerface(tmp_path):
    base = tmp_path / "widerface"
    for name in ("0--Parade/a.jpg", "0--Parade/b.jpg"):
        picture(base / "WIDER_val/images" / name)
    text = "0--Parade/a.jpg\n2\n1 2 3 4 0 1 0 1 2 0\n5 6 7 8 2 0 1 0 0 1\n"
    text += "0--Parade/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0\n"
    write(base / "wider_face_split/wider_face_val_bbx_gt.txt", text)
    data = datasets.WIDERFace(tmp_path, "val")
    target = data[0][1]
    assert target["bbox"].tolist() == [[1, 2, 3, 4], [5, 6, 7, 8]] and target["blur"].tolist() == [0, 2]
    assert target["invalid"].tolist() == [1, 0] and target["occlusion"].tolist() == [2, 0]
    assert data[1][1]["bbox"].tolist() == [[0, 0, 0, 0]]
    write(base / "wider_face_split/wider_face_val_bbx_gt.txt", "a.jpg\n3\n1 2\n")
    with pytest.raises(RuntimeError, match="damaged after 0 pictures"):
        datasets.WIDERFace(tmp_path, "val")
    picture(base / "WIDER_test/images/c.jpg")
    write(base / "wider_face_split/wider_face_test_filelist.txt", "c.jpg\n")
    assert datasets.WIDERFace(tmp_path, "test")[0][1] is None


def test_semantic_boundaries(tmp_path):
    scipy = pytest.importorskip("scipy.io")
    sparse = pytest.importorskip("scipy.sparse")
    picture(tmp_path / "img/a.jpg")
    (tmp_path / "cls").mkdir()
    write(tmp_path / "val.txt", "a\n")
    outlines = np.empty((20, 1), object)
    for k in range(20):
        outlines[k, 0] = sparse.csc_matrix(np.full((5, 6), k == 3, np.uint8))
    classes = {"Boundaries": outlines, "Segmentation": np.full((5, 6), 4, np.uint8)}
    scipy.savemat(tmp_path / "cls/a.mat", {"GTcls": classes})
    target = datasets.SBDataset(tmp_path, "val")[0][1]
    assert target.shape == (20, 5, 6) and target.sum((1, 2)).nonzero().tolist() == [[3]]
    target = datasets.SBDataset(tmp_path, "val", "segmentation")[0][1]
    assert target.size == (6, 5) and colour(target) == 4


def test_sbu(tmp_path, monkeypatch):
    base = tmp_path / "dataset"
    write(base / "SBU_captioned_photo_dataset_urls.txt", "http://x/1.jpg\nhttp://x/2.jpg\n")
    write(base / "SBU_captioned_photo_dataset_captions.txt", "one\ntwo\n")
    picture(base / "2.jpg")
    with pytest.raises(RuntimeError, match="not found or corrupted"):
        datasets.SBU(tmp_path, download=False)
    monkeypatch.setattr(datasets.SBU, "md5_checksum", None)
    write(tmp_path / datasets.SBU.filename, "")
    data = datasets.SBU(tmp_path, download=False)
    assert len(data) == 1 and data[0][1] == "two"


def test_photo_tour(tmp_path):
    base = tmp_path / "liberty"
    base.mkdir()
    sheet = RNG.integers(0, 255, (128, 192)).astype(np.uint8)
    PIL.fromarray(sheet).save(base / "patches0000.bmp")
    write(base / "info.txt", "".join(f"{i // 2} 0\n" for i in range(5)))
    write(base / "m50_100000_100000_0.txt", "0 0 0 1 0 0 0\n1 0 0 4 2 0 0\n")
    data = datasets.PhotoTour(tmp_path, "liberty")
    assert data.data.shape == (5, 64, 64) and data.labels.tolist() == [0, 0, 1, 1, 2]
    assert np.array_equal(data[4], sheet[64:, 64:128])
    base.rename(tmp_path / "gone")  # what was read is kept in one file
    first, second, same = datasets.PhotoTour(tmp_path, "liberty", train=False)[1]
    assert first.equal(data[1]) and second.equal(data[4]) and same == 0


def test_lsun(tmp_path):
    lmdb = pytest.importorskip("lmdb")
    content = picture(tmp_path / "x.png").read_bytes()
    for name, count in (("bedroom_val", 2), ("tower_val", 1)):
        with (
            lmdb.open(str(tmp_path / f"{name}_lmdb"), map_size=1 << 20) as base,
            base.begin(write=True) as writer,
        ):
            for k in range(count):
                writer.put(b"%d" % k, content)
    data = datasets.LSUN(tmp_path, ["bedroom_val", "tower_val"])
    assert [target for _, target in data] == [0, 0, 1] and data[2][0].size == (6, 5)
    with pytest.raises(ValueError, match="LSUN class"):
        datasets.LSUN(tmp_path, ["zoo_val"])


def png16(values, claimed=None):
    def chunk(name, content):
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    height, width = claimed or values.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def flo(flow):
    _, height, width = flow.shape
    return b"PIEH" + struct.pack("<ii", width, height) + flow.transpose(1, 2, 0).astype("<f4").tobytes()


def pfm(values):
    height, width, channels = values.shape
    head = f"{'PF' if channels == 3 else 'Pf'}\n{width} {height}\n-1.0\n".encode()
    return head + values[::-1].astype("<f4").tobytes()


def test_flow_files(tmp_path):
    path = tmp_path / "x"
    flow = RNG.random((2, 3, 4), np.float32)
    path.write_bytes(flo(flow))
    assert np.array_equal(read_flo(path), flow)
    path.write_bytes(flo(flow)[:-1])
    with pytest.raises(ValueError, match="damaged: 4 × 3 pixels do not take 107 bytes"):
        read_flo(path)
    values = RNG.random((3, 4, 3), np.float32)
    path.write_bytes(pfm(values))
    assert np.array_equal(read_pfm(path), values.transpose(2, 0, 1)[:2])
    for wrong in (b"", b"PF\n3 x\n", b"PF\n3 4\n-1\nabc", b"Pf\n-1 -4\n1\n\0\0\0\0", b"PF\n3\n1\n"):
        path.write_bytes(wrong)
        with pytest.raises(ValueError, match=r"Invalid PFM file|damaged"):
            read_pfm(path)
    path.write_bytes(png16(np.zeros((1, 1, 3)), (9000, 9000)))
    with pytest.raises(ValueError, match="damaged: 9000 × 9000 pixels"):
        read_kitti_flow(path)
    stored = RNG.integers(0, 65536, (3, 4, 3))
    stored[..., 2] = np.arange(12).reshape(3, 4) % 2
    path.write_bytes(png16(stored))
    flow, known = read_kitti_flow(path)
    assert np.array_equal(flow, (stored[..., :2].transpose(2, 0, 1) - 2**15).astype(np.float32) / 64)
    assert np.array_equal(known, stored[..., 2] == 1)


def test_sintel_and_chairs(tmp_path):
    for k in range(3):
        picture(tmp_path / f"Sintel/training/clean/alley/frame_{k}.png", colour=(k, 0, 0))
        picture(tmp_path / f"Sintel/test/final/alley/frame_{k}.png")
    folder = tmp_path / "Sintel/training/flow/alley"
    folder.mkdir(parents=True)
    for k in range(2):
        (folder / f"frame_{k}.flo").write_bytes(flo(np.full((2, 5, 6), k)))
    data = datasets.Sintel(tmp_path)
    first, second, flow = data[1]
    assert len(data) == 2 and colour(first)[0] == 1 and colour(second)[0] == 2 and flow[0, 0, 0] == 1
    assert datasets.Sintel(tmp_path, "test", "final")[0][2] is None
    masked = datasets.Sintel(tmp_path, transforms=lambda a, b, flow, mask: (a, b, flow, flow[0] < 1))
    assert masked[0][3].all() and len(masked[0]) == 4
    base = tmp_path / "FlyingChairs"
    for k in range(2):
        for i in (1, 2):
            picture(base / f"data/{k:05d}_img{i}.ppm", colour=(k, i, 0))
        (base / f"data/{k:05d}_flow.flo").write_bytes(flo(np.full((2, 5, 6), k)))
    write(base / "FlyingChairs_train_val.txt", "2\n1\n")
    (only,) = datasets.FlyingChairs(tmp_path)
    assert colour(only[1])[:2] == (1, 2) and only[2][0, 0, 0] == 1


def test_flying_things(tmp_path):
    base = tmp_path / "FlyingThings3D"
    for k in range(3):
        picture(base / f"frames_cleanpass/TRAIN/A/0000/left/{k:04d}.png", colour=(k, 0, 0))
        for way, sign in (("into_future", 1), ("into_past", -1)):
            path = base / f"optical_flow/TRAIN/A/0000/{way}/left/{way}_{k:04d}_L.pfm"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(pfm(np.full((5, 6, 3), sign * (k + 1))))
    data = datasets.FlyingThings3D(tmp_path)
    found = [(colour(a)[0], colour(b)[0], int(flow[0, 0, 0])) for a, b, flow in data]
    assert sorted(found) == [(0, 1, 1), (1, 0, -2), (1, 2, 2), (2, 1, -3)]
    with pytest.raises(FileNotFoundError, match="Could not find the FlyingThings3D"):
        datasets.FlyingThings3D(tmp_path, "test")


def test_kitti_flow_and_hd1k(tmp_path):
    base = tmp_path / "KittiFlow/training"
    for n in (10, 11):
        picture(base / f"image_2/000000_{n}.png")
    (base / "flow_occ").mkdir()
    stored = np.full((5, 6, 3), 2**15 + 64)
    (base / "flow_occ/000000_10.png").write_bytes(png16(stored))
    _, _, flow, known = datasets.KittiFlow(tmp_path)[0]
    assert flow.tolist() == np.ones((2, 5, 6)).tolist() and known.all()
    base = tmp_path / "hd1k"
    (base / "hd1k_flow_gt/flow_occ").mkdir(parents=True)
    for k in range(3):
        picture(base / f"hd1k_input/image_2/000002_{k:04d}.png", colour=(k, 0, 0))
        (base / f"hd1k_flow_gt/flow_occ/000002_{k:04d}.png").write_bytes(png16(stored))
    data = datasets.HD1K(tmp_path)
    assert len(data) == 2 and [colour(image)[0] for image in data[1][:2]] == [1, 2] and len(data[0]) == 4


def test_stereo(tmp_path):
    def pair(*paths, colours=("red", "blue")):
        for path, which in zip(paths, colours, strict=True):
            picture(path, colour=which)

    def disparity(path, value, mode="I;16"):
        picture(path, colour=value, mode=mode)

    base = tmp_path / "Kitti2015/training"
    pair(base / "image_2/0_10.png", base / "image_3/0_10.png")
    disparity(base / "disp_occ_0/0_10.png", 512)
    disparity(base / "disp_occ_1/0_10.png", 256)
    left, right, found, mask = datasets.Kitti2015Stereo(tmp_path)[0]
    assert colour(left) == (255, 0, 0) and colour(right) == (0, 0, 255) and mask is None
    assert found.shape == (1, 5, 6) and found.max() == found.min() == 2
    base = tmp_path / "carla-highres/trainingF/town"
    pair(base / "im0.png", base / "im1.png")
    for k in range(2):
        (base / f"disp{k}GT.pfm").write_bytes(pfm(np.full((5, 6, 1), -3)))
    assert datasets.CarlaStereo(tmp_path)[0][2].tolist() == np.full((1, 5, 6), 3).tolist()
    base = tmp_path / "InStereo2k/train/0"
    pair(base / "left.png", base / "right.png")
    disparity(base / "left_disp.png", 2048)
    disparity(base / "right_disp.png", 1024)
    assert datasets.InStereo2k(tmp_path)[0][2].max() == 2
    base = tmp_path / "ETH3D"
    pair(base / "two_view_training/a/im0.png", base / "two_view_training/a/im1.png")
    picture(base / "two_view_training_gt/a/mask0nocc.png", colour=255, mode="L")
    (base / "two_view_training_gt/a/disp0GT.pfm").write_bytes(pfm(np.full((5, 6, 1), 4)))
    assert datasets.ETH3DStereo(tmp_path)[0][3].all()
    base = tmp_path / "Sintel/training"
    pair(base / "final_left/a/0.png", base / "final_right/a/0.png")
    picture(base / "disparities/a/0.png", colour=(1, 128, 0))
    picture(base / "occlusions/a/0.png", colour=0, mode="L")
    picture(base / "outofframe/a/0.png", colour=255, mode="L")
    _, _, found, mask = datasets.SintelStereo(tmp_path)[0]
    assert found.max() == 6 and not mask.any()
    base = tmp_path / "SceneFlow/Monkaa"
    pair(base / "frames_cleanpass/a/left/0.png", base / "frames_cleanpass/a/right/0.png")
    for side in ("left", "right"):
        (base / f"disparity/a/{side}").mkdir(parents=True)
        (base / f"disparity/a/{side}/0.pfm").write_bytes(pfm(np.full((5, 6, 1), 4)))
    assert len(datasets.SceneFlowStereo(tmp_path, "Monkaa")[0]) == 3
    base = tmp_path / "FallingThings/single/a/b"
    pair(base / "0.left.jpg", base / "0.right.jpg")
    disparity(base / "0.left.depth.png", 300)
    disparity(base / "0.right.depth.png", 300)
    write(
        base / "_camera_settings.json", json.dumps({"camera_settings": [{"intrinsic_settings": {"fx": 2.5}}]})
    )
    assert datasets.FallingThingsStereo(tmp_path)[0][2].max() == 5
    for kind in ("shapenet", "reflective", "tree", "hole"):
        base = tmp_path / "CREStereo" / kind
        pair(base / "0_left.jpg", base / "0_right.jpg")
        disparity(base / "0_left.disp.png", 64)
        disparity(base / "0_right.disp.png", 64)
    data = datasets.CREStereo(tmp_path)
    assert len(data) == 4 and data[3][2].max() == 2
    with pytest.raises(FileNotFoundError, match="Could not find any files"):
        datasets.Kitti2012Stereo(tmp_path)


def clips_of(lengths, size, step, rates=None, rate=None):
    stamps = [fb.arange(length) * 10 for length in lengths]
    known = {
        "video_paths": [f"{i}.mp4" for i in range(len(lengths))],
        "video_pts": stamps,
        "video_fps": rates or [30.0] * len(lengths),
    }
    return VideoClips(known["video_paths"], size, step, rate, _precomputed_metadata=known)


def test_clips():
    assert unfold(fb.arange(7), 3, 3).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert unfold(fb.arange(7), 3, 2, dilation=2).tolist() == [[0, 2, 4], [2, 4, 6]]
    clips = clips_of([10, 15], 5, 5)
    assert len(clips) == 5 and clips.get_clip_location(2) == (1, 0) and clips.num_videos() == 2
    assert clips.clips[1][2].tolist() == [100, 110, 120, 130, 140]
    with pytest.warns(UserWarning, match="There aren't enough frames"):
        assert len(clips_of([3, 5], 5, 5)) == 1
    slow = clips_of([12], 3, 1, rate=15)
    assert slow.clips[0].tolist() == [[0, 20, 40], [20, 40, 60], [40, 60, 80], [60, 80, 100]]
    odd = clips_of([10], 3, 3, rate=12)
    assert odd.resampling_idxs[0].tolist() == [[0, 2, 5]] and odd.clips[0].tolist() == [[0, 20, 50]]
    assert clips.subset([1]).num_clips() == 3


def test_clip_samplers():
    clips = clips_of([4, 20, 1], 5, 5)
    assert len(clips) == 4
    assert list(UniformClipSampler(clips, 3)) == [0, 1, 3] and len(UniformClipSampler(clips, 3)) == 3
    fb.manual_seed(0)
    drawn = [fb.randperm(0), fb.randperm(4)[:2], fb.randperm(0)]
    order = fb.randperm(2)
    fb.manual_seed(0)
    assert list(RandomClipSampler(clips, 2)) == drawn[1][order].tolist()
    shares = [list(DistributedSampler(range(12), 2, rank, group_size=3)) for rank in (0, 1)]
    assert shares == [[0, 1, 2, 6, 7, 8], [3, 4, 5, 9, 10, 11]]


@pytest.mark.skipif(importlib.util.find_spec("av") is None, reason="the package av is not installed")
def test_videos(tmp_path):
    from flambeau.vision.io import write_video

    for k, name in enumerate(("a/v_a_g01_c01", "b/v_b_g01_c01", "b/v_b_g02_c01")):
        path = tmp_path / "videos" / f"{name}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        frames = fb.arange(10, dtype=fb.uint8).reshape(10, 1, 1, 1).expand(10, 16, 16, 3) * 20
        write_video(path, frames[: 10 - k], 10, video_codec="mpeg4")
    write(tmp_path / "lists/trainlist01.txt", "a/v_a_g01_c01.avi 1\nb/v_b_g02_c01.avi 2\n")
    data = datasets.UCF101(tmp_path / "videos", str(tmp_path / "lists"), 4, 4, num_workers=0)
    assert [label for _, _, label in data] == [0, 0, 1, 1] and data[0][0].shape == (4, 16, 16, 3)
    assert [round(value / 20) for value in data[1][0].float().mean((1, 2, 3)).tolist()] == [4, 5, 6, 7]
    again = datasets.UCF101(
        tmp_path / "videos",
        str(tmp_path / "lists"),
        4,
        4,
        _precomputed_metadata=data.metadata,
        output_format="TCHW",
    )
    assert again[3][0].shape == (4, 3, 16, 16)
    write(tmp_path / "lists/b_test_split1.txt", "v_b_g01_c01.avi 1\nv_b_g02_c01.avi 2\n")
    assert len(datasets.HMDB51(tmp_path / "videos", str(tmp_path / "lists"), 9, num_workers=0)) == 1
    (tmp_path / "videos").rename(tmp_path / "val")
    (tmp_path / "val/b/v_b_g01_c01.avi").write_bytes(b"no video")
    with pytest.warns(UserWarning, match="is left out"):
        data = datasets.Kinetics(tmp_path, 3, split="val", step_between_clips=10, num_workers=0)
    assert [label for _, _, label in data] == [0, 1]
