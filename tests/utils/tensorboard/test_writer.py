"""Event files, read back by a reader of records and messages written here; the goldens are what PyTorch's
writer (with protobuf) puts into its files for the same calls.
"""

import hashlib
import io
import struct
import zlib

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.utils.tensorboard import SummaryWriter
from flambeau.utils.tensorboard._records import crc32c, masked_crc32c

GOLDEN = {  # tag -> the event's bytes, or their SHA-256
    "s/a": "090000000000408f4010012a0c0a0a0a03732f61150000003f",
    "s/b": "090000000000408f4010022a1e0a1c0a03732f62420808012a04000000404a0b0a090a077363616c617273",
    "s/c": "090000000000408f4010032a220a200a03732f63420c080232086666666666660a404a0b0a090a077363616c617273",
    "t": "2d95799978f99e16ec1d061420d17ad0ebfa2ac5afbf4ca00207df662d88d00a",
    "h10": "d6ba12eb1eff63f1403c4da2ba39c381fa04113899a4caa334f986afaaeb4d68",
    "hauto": "f60289ecb4e76898c26fa167c633eb8e7ed8e2c76e8ded9f7e235f8e0e63f8a8",
    "h": "e864025affaa50a1f7142123420c0390aed06b6c8222f266d17e8e40d5d9b02b",
    "pr": "60c08d763992ed5bfbc44bfd99221c67bbc49d6d5b0a79e05472c48246e7f300",
    "prr": "42ccf915c9b19dac1cedcbfea08fe8fd8db2535eafdf5fd197a760ee46e98d67",
    "mesh_VERTEX": "157d5b3723ce3d2591e615c52cb7b91ccaa00f6999440ed7b369921ee6ed677c",
    "txt/text_summary": (
        "090000000000408f4010072a370a350a107478742f746578745f73756d6d61727942170807120412020801"
        "420d68656c6c6f202a776f726c642a4a080a060a0474657874"
    ),
}


def records(path):
    data, place = path.read_bytes(), 0
    while place < len(data):
        length, check = struct.unpack_from("<QI", data, place)
        assert masked_crc32c(data[place : place + 8]) == check
        content = data[place + 12 : place + 12 + length]
        assert struct.unpack_from("<I", data, place + 12 + length)[0] == masked_crc32c(content)
        yield content
        place += 16 + length


def fields(content):
    """The fields of a message: number -> values."""
    found, place = {}, 0

    def varint():
        nonlocal place
        value = shift = 0
        while True:
            byte = content[place]
            place += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    while place < len(content):
        key = varint()
        if key & 7 == 0:
            value = varint()
        else:
            size = {1: 8, 5: 4}.get(key & 7) or varint()
            value = content[place : place + size]
            place += size
        found.setdefault(key >> 3, []).append(value)
    return found


def summaries(folder):
    """tag -> (event as bytes, fields of the value), over all files of a folder."""
    found = {}
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in records(path):
            for summary in fields(event).get(5, []):
                for value in fields(summary)[1]:
                    value = fields(value)
                    found[value[1][0].decode()] = event, value
    return found


def test_checksums():
    assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C
    assert crc32c(bytes(32)) == 0x8A9136AA  # RFC 3720, B.4
    assert crc32c(b"") == 0
    long = bytes(k * 7 % 251 for k in range(30011))  # done in pieces
    simple = 0xFFFFFFFF
    for byte in long:
        for _ in range(8):
            simple, byte = simple >> 1 ^ (0x82F63B78 if (simple ^ byte) & 1 else 0), byte >> 1
    assert crc32c(long) == simple ^ 0xFFFFFFFF


def test_goldens(tmp_path):
    with SummaryWriter(tmp_path) as w:
        at = {"walltime": 1000.0}
        w.add_scalar("s/a", 0.5, 1, **at)
        w.add_scalar("s/b", fb.tensor(2.0), 2, new_style=True, **at)
        w.add_scalar("s/c", np.float64(3.3), 3, new_style=True, double_precision=True, **at)
        w.add_tensor("t", fb.arange(6.0).reshape(2, 3), 4, **at)
        x = fb.arange(1000.0) / 500 - 1
        exact = fb.arange(1000.0) / 512 - 1  # sums of these and their squares do not depend on the order
        w.add_histogram("h", exact * exact.abs(), 5, **at)
        w.add_histogram("h10", x, 5, bins=10, **at)
        w.add_histogram("hauto", x, 5, bins="auto", max_bins=5, **at)
        w.add_text("txt", "hello *world*", 7, **at)
        labels, guesses = np.array([0, 1, 1, 0, 1]), np.array([0.1, 0.9, 0.4, 0.6, 0.8])
        w.add_pr_curve("pr", labels, guesses, 9, num_thresholds=10, **at)
        w.add_pr_curve_raw(
            "prr", [3, 2], [2, 1], [0, 1], [0, 1], [0.6, 0.66], [1, 0.66], 9, num_thresholds=2, **at
        )
        w.add_mesh(
            "mesh",
            fb.arange(9.0).reshape(1, 3, 3),
            colors=fb.zeros(1, 3, 3, dtype=fb.int),
            faces=fb.tensor([[[0, 1, 2]]]),
            config_dict={"a": 1},
            global_step=10,
            **at,
        )
    found = summaries(tmp_path)
    for tag, expected in GOLDEN.items():
        event = found[tag][0]
        assert expected in (event.hex(), hashlib.sha256(event).hexdigest()), tag


def png_pixels(content):
    """Reads a PNG without filters."""
    assert content[:8] == b"\x89PNG\r\n\x1a\n"
    place, body = 8, b""
    while place < len(content):
        length, name = struct.unpack_from(">I4s", content, place)
        chunk = content[place + 8 : place + 8 + length]
        assert struct.unpack_from(">I", content, place + 8 + length)[0] == zlib.crc32(name + chunk)
        if name == b"IHDR":
            width, height, depth, colour = struct.unpack_from(">IIBB", chunk)
            assert depth == 8
        body += chunk if name == b"IDAT" else b""
        place += 12 + length
    rows = np.frombuffer(zlib.decompress(body), np.uint8).reshape(height, -1)
    assert not rows[:, 0].any()
    return rows[:, 1:].reshape(height, width, {0: 1, 2: 3, 6: 4}[colour])


def test_images(tmp_path):
    picture = (fb.arange(48.0) / 48).reshape(3, 4, 4)
    with SummaryWriter(tmp_path) as w:
        w.add_image("chw", picture)
        w.add_image("hw", fb.arange(16, dtype=fb.uint8).reshape(4, 4), dataformats="HW")
        w.add_images("many", fb.ones(10, 1, 4, 4) * (fb.arange(10) / 10)[:, None, None, None])
        w.add_image("wide", picture * 3 - 1)
        with pytest.raises(ValueError, match="does not fit"):
            w.add_image("bad", fb.rand(4, 4))
    found = {tag: fields(value[4][0]) for tag, (_, value) in summaries(tmp_path).items()}
    pixels = {tag: png_pixels(value[4][0]) for tag, value in found.items()}
    assert (pixels["chw"] == (picture.permute(1, 2, 0) * 255).to(fb.uint8).numpy()).all()
    assert (pixels["hw"] == np.arange(16).reshape(4, 4, 1)).all() and pixels["hw"].shape == (4, 4, 3)
    assert pixels["many"].shape == (8, 32, 3) and (pixels["many"][4:, 8:] == 0).all()
    assert (pixels["many"][0, ::4, 0][:8] == np.arange(8) * 255 // 10).all()
    assert pixels["wide"].min() == 0 and pixels["wide"].max() == 255
    assert [found["many"][k][0] for k in (1, 2, 3)] == [8, 32, 3]


def test_boxes_video_and_figure(tmp_path):
    Image = pytest.importorskip("PIL.Image")
    with SummaryWriter(tmp_path) as w:
        boxes = fb.tensor([[2.0, 3, 10, 15]])
        w.add_image_with_boxes("boxes", fb.zeros(3, 20, 30), boxes, labels=["a"])
        w.add_video("video", (fb.arange(4.0) / 4)[None, :, None, None, None].expand(2, 4, 3, 8, 8))
    found = {tag: fields(value[4][0])[4][0] for tag, (_, value) in summaries(tmp_path).items()}
    assert tuple(png_pixels(found["boxes"])[3, 5]) == (255, 0, 0)
    film = Image.open(io.BytesIO(found["video"]))
    assert film.n_frames == 4 and film.size == (16, 8) and film.info["duration"] == 250


def test_figure(tmp_path):
    pytest.importorskip("matplotlib").use("Agg")
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(2, 1), dpi=50)
    with SummaryWriter(tmp_path) as w:
        w.add_figure("figure", figure, 3)
    assert not pyplot.get_fignums()
    assert png_pixels(fields(summaries(tmp_path)["figure"][1][4][0])[4][0]).shape == (50, 100, 3)


def test_audio(tmp_path):
    import wave

    with SummaryWriter(tmp_path) as w:
        w.add_audio("sound", fb.tensor([0.0, 0.5, -1.0, 2.0]), sample_rate=8000)
    value = fields(summaries(tmp_path)["sound"][1][6][0])
    assert value[3] == [4] and value[5] == [b"audio/wav"] and struct.unpack("<f", value[1][0]) == (8000,)
    with wave.open(io.BytesIO(value[4][0])) as file:
        assert np.frombuffer(file.readframes(4), "<i2").tolist() == [0, 16383, -32767, 32767]


def test_scalars_and_hparams_have_folders_of_their_own(tmp_path):
    with SummaryWriter(tmp_path) as w:
        w.add_scalars("loss/all", {"a": 1.0, "b": 2.0}, 5)
        w.add_hparams(
            {"lr": 0.1, "kind": "sgd", "flag": True, "bs": fb.tensor(3)}, {"acc": 0.9}, run_name="hp"
        )
        with pytest.raises(ValueError, match="'lr' must be a number"):
            w.add_hparams({"lr": [1]}, {})
        with pytest.raises(TypeError, match="should be dictionary"):
            w.add_hparams(1, {})
    assert struct.unpack("<f", summaries(tmp_path / "loss_all_b")["loss/all"][1][2][0]) == (2.0,)
    found = summaries(tmp_path / "hp")
    assert struct.unpack("<f", found["acc"][1][2][0])[0] == pytest.approx(0.9)
    plugin = fields(fields(found["_hparams_/experiment"][1][9][0])[1][0])
    assert plugin[1] == [b"hparams"]
    experiment = fields(fields(plugin[2][0])[2][0])
    kinds = {fields(info)[1][0]: fields(info)[4][0] for info in experiment[4]}
    assert kinds == {b"lr": 3, b"kind": 1, b"flag": 2, b"bs": 3}
    assert fields(fields(experiment[5][0])[1][0])[2] == [b"acc"]


def test_graph(tmp_path):
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 4))
    with SummaryWriter(tmp_path) as w:
        w.add_graph(model, fb.zeros(2, 3))
    [path] = tmp_path.glob("events*")
    graph = next(fields(event)[4][0] for event in records(path) if 4 in fields(event))
    nodes = {fields(n)[1][0].decode(): fields(n) for n in fields(graph)[1]}
    assert [s.decode() for s in nodes["Sequential/2/linear"][3]] == [
        "Sequential/1/relu", "Sequential/2/weight", "Sequential/2/bias"
    ]  # fmt: skip
    assert nodes["output/output_0"][3] == [b"Sequential/2/linear"]


def test_embedding(tmp_path):
    with SummaryWriter(tmp_path) as w:
        vectors = fb.arange(12.0).reshape(4, 3)
        w.add_embedding(vectors, list("abcd"), fb.ones(4, 3, 5, 6), global_step=11, tag="emb")
        w.add_embedding(vectors, [["a", 1]] * 4, metadata_header=["n", "k"])
        with pytest.raises(ValueError, match="3 labels for 4 vectors"):
            w.add_embedding(vectors, list("abc"))
    folder = tmp_path / "00011" / "emb"
    assert (folder / "tensors.tsv").read_text().splitlines()[1] == "3.0\t4.0\t5.0"
    assert (folder / "metadata.tsv").read_text() == "a\nb\nc\nd\n"
    assert png_pixels((folder / "sprite.png").read_bytes()).shape == (10, 12, 3)
    assert (tmp_path / "00000/default/metadata.tsv").read_text().startswith("n\tk\na\t1\n")
    config = (tmp_path / "projector_config.pbtxt").read_text()
    assert config.count("embeddings {") == 2 and 'image_path: "00011/emb/sprite.png"' in config


def test_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    w = SummaryWriter(comment="-note")
    assert w.get_logdir().startswith("runs/") and w.get_logdir().endswith("-note")
    w.close()
    w = SummaryWriter(tmp_path / "x", purge_step=7, filename_suffix=".end")
    w.add_scalar("a", 1)
    w.flush()
    [path] = (tmp_path / "x").glob("*.end")
    events = [fields(event) for event in records(path)]
    assert events[0][3] == [b"brain.Event:2"] and events[1][2] == [7] and fields(events[1][7][0]) == {1: [1]}
    w.close()
    w.add_scalar("a", 2)  # goes on in another file
    w.close()
    assert len(list((tmp_path / "x").iterdir())) == 2


def test_what_is_refused(tmp_path):
    with SummaryWriter(tmp_path) as w:
        with pytest.raises(ValueError, match="must be one number"):
            w.add_scalar("a", fb.rand(3))
        with pytest.raises(ValueError, match="has no values"):
            w.add_histogram("a", [])
        with pytest.raises(NotImplementedError):
            w.add_onnx_graph("x")
        with pytest.raises(ValueError, match="three tags"):
            w.add_custom_scalars({"a": {"b": ["Margin", ["x"]]}})


def test_summaries_of_settings_for_other_writers(tmp_path):
    from flambeau.utils.tensorboard.summary import hparams, scalar

    parts = hparams({"lr": 0.1, "name": "a", "on": True}, {"loss": 1.0})
    assert len(parts) == 3 and all(isinstance(part, bytes) for part in parts)
    with SummaryWriter(tmp_path) as writer:
        file = writer._get_file_writer()
        for part in (*parts, scalar("loss", 2.0)):
            file.add_summary(part, 1)
    content = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"_hparams_/experiment" in content and b"loss" in content
    with pytest.raises(TypeError, match="should be a dictionary"):
        hparams([1], {})
