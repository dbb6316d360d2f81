"""Pictures in files and bytes."""

import io

import numpy as np
import pytest

import flambeau as fb
from flambeau.vision import io as vio

PIL = pytest.importorskip("PIL.Image")
Mode = vio.ImageReadMode


def smooth(channels=3):
    y, x = np.mgrid[0:20, 0:30]
    planes = np.stack([(x * 8) % 256, (y * 12) % 256, (x + y) * 5 % 256, 255 - x][:channels]).astype(np.uint8)
    return fb.from_numpy(planes)


def file_of(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, **options)
    return fb.from_numpy(np.frombuffer(bytearray(buffer.getvalue()), np.uint8))


@pytest.mark.parametrize("channels", [1, 3])
def test_png_and_jpeg_files(tmp_path, channels):
    picture = smooth(channels)
    vio.write_png(picture, tmp_path / "a.png")
    assert vio.read_image(str(tmp_path / "a.png")).equal(picture)
    assert vio.decode_png(vio.read_file(tmp_path / "a.png")).equal(picture)
    vio.write_jpeg(picture, tmp_path / "a.jpg", quality=95)
    again = vio.read_image(tmp_path / "a.jpg")
    assert again.shape == picture.shape
    theirs = np.array(PIL.open(tmp_path / "a.jpg"))
    assert again.permute(1, 2, 0).squeeze(-1).numpy().tolist() == theirs.tolist()
    small, large = vio.encode_png(picture, 9), vio.encode_png(picture, 0)
    assert len(small) < len(large) and vio.decode_image(large).equal(picture)
    both = vio.decode_jpeg(vio.encode_jpeg([picture, picture], 50))
    assert len(both) == 2 and both[0].equal(both[1])


def test_modes():
    rgba = PIL.fromarray(smooth(4).permute(1, 2, 0).numpy(), "RGBA")
    data = file_of(rgba, format="PNG")
    assert vio.decode_png(data).shape[0] == 4
    for mode, letters in ((Mode.GRAY, "L"), (Mode.GRAY_ALPHA, "LA"), (Mode.RGB, "RGB"), ("rgba", "RGBA")):
        expected = np.array(rgba.convert(letters))
        found = vio.decode_image(data, mode=mode).permute(1, 2, 0).squeeze(-1).numpy()
        assert found.tolist() == expected.tolist()
    assert Mode.RGB_ALPHA is Mode.RGBA and Mode.UNCHANGED.value == 0
    palette = PIL.fromarray(smooth().permute(1, 2, 0).numpy()).quantize(16)
    assert vio.decode_png(file_of(palette, format="PNG")).shape[0] == 3
    bits = PIL.fromarray(np.eye(8, dtype=bool))
    assert vio.decode_png(file_of(bits, format="PNG"))[0].equal(fb.eye(8).to(fb.uint8) * 255)
    deep = np.arange(6, dtype=np.uint16).reshape(2, 3) * 10000
    assert vio.decode_png(file_of(PIL.fromarray(deep), format="PNG")).numpy().tolist() == [deep.tolist()]


def test_orientation():
    exif = PIL.Exif()
    exif[0x0112] = 6  # to be turned to the right
    data = file_of(PIL.fromarray(smooth(1)[0].numpy()), format="PNG", exif=exif)
    assert vio.decode_image(data).shape == (1, 20, 30)
    turned = vio.decode_image(data, apply_exif_orientation=True)
    assert turned.equal(smooth(1).rot90(-1, (1, 2)))


def test_other_formats():
    picture = PIL.fromarray(smooth().permute(1, 2, 0).numpy())
    assert vio.decode_image(file_of(picture, format="WEBP", lossless=True)).equal(smooth())
    frames = [PIL.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
    gif = file_of(frames[0], format="GIF", save_all=True, append_images=frames[1:])
    assert vio.decode_gif(gif)[:, :, 0, 0].tolist() == [[255, 0, 0], [0, 0, 255]]
    assert vio.decode_image(file_of(frames[0], format="GIF")).shape == (3, 3, 4)


def test_errors():
    for wrong, message in (
        (fb.zeros(3), "Input tensor dtype should be uint8"),
        (fb.zeros(0, dtype=fb.uint8), "Expected a non empty 1-dimensional tensor"),
        (fb.zeros(2, 2, dtype=fb.uint8), "Expected a non empty 1-dimensional tensor"),
    ):
        with pytest.raises(RuntimeError, match=message):
            vio.decode_image(wrong)
    with pytest.raises(RuntimeError, match="3-dimensional tensor"):
        vio.encode_png(smooth()[0])
    with pytest.raises(RuntimeError, match="number of channels should be 1 or 3, got: 4"):
        vio.encode_jpeg(smooth(4))
    with pytest.raises(ValueError, match="between 1 and 100"):
        vio.encode_jpeg(smooth(), quality=0)
    with pytest.raises(RuntimeError, match="between 0 and 9"):
        vio.encode_png(smooth(), 10)
    with pytest.raises(RuntimeError, match=r"decode_jpeg: these .* no whole picture"):
        vio.decode_jpeg(vio.encode_png(smooth()))


def test_videos_need_av(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImportError, match="pip install av"):
        vio.write_video(tmp_path / "a.mp4", fb.zeros(1, 8, 8, 3, dtype=fb.uint8), 10)
    with pytest.raises(RuntimeError, match="File not found"):
        vio.read_video(tmp_path / "none.mp4", pts_unit="sec")


def test_videos_there_and_back(tmp_path):
    pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    video = (fb.arange(20) * 12).to(fb.uint8)[:, None, None, None].expand(20, 64, 48, 3)
    sound = fb.sin(fb.arange(88200) / 44100 * 440 * 6.2831853)[None].repeat(2, 1)
    vio.write_video(path, video, 10, audio_array=sound, audio_fps=44100, audio_codec="aac")
    frames, heard, info = vio.read_video(path, pts_unit="sec")
    assert frames.shape == video.shape and info == {"video_fps": 10.0, "audio_fps": 44100}
    assert (frames.float() - video.float()).abs().max() < 4
    assert heard.shape[0] == 2 and (heard[0, 1000:5000] - sound[0, 1000:5000]).abs().max() < 0.2
    part, _, _ = vio.read_video(path, 0.55, 1.0, pts_unit="sec", output_format="TCHW")
    assert part.shape == (6, 3, 64, 48)
    stamps, rate = vio.read_video_timestamps(path, pts_unit="sec")
    assert rate == 10 and [float(t) for t in stamps[:3]] == [0.0, 0.1, 0.2]
    reader = vio.VideoReader(path.read_bytes())
    assert next(reader.seek(1.0))["pts"] == 1.0 and reader.get_metadata()["video"]["fps"] == [10.0]
    with pytest.raises(ValueError, match="end_pts should be larger than start_pts"):
        vio.read_video(path, 2, 1)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "GIF", "WEBP"])
def test_damaged_pictures_raise_runtime_errors(format):
    rng = np.random.default_rng(0)
    data = file_of(PIL.fromarray(smooth().permute(1, 2, 0).numpy()), format=format)
    for _ in range(60):
        damaged = data.clone()
        for place in rng.integers(0, len(data), 6):
            damaged[int(place)] = int(rng.integers(0, 256))
        try:  # harmless damage gives a picture, the rest one kind of error
            assert vio.decode_image(damaged).dim() in (3, 4)
        except RuntimeError as error:
            assert "picture" in str(error)
    for length in (1, 8, 30, len(data) // 2):
        with pytest.raises(RuntimeError):
            vio.decode_image(data[:length].clone())


def test_pictures_of_absurd_size_are_refused():
    import struct
    import zlib

    def chunk(kind, content):
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    for width, height, kind, message in (
        (60000, 60000, 2, "refused"),
        (9000, 10000, 2, "9000 × 10000 pixels cannot lie in"),
        (5000, 10000, 0, "5000 × 10000 pixels cannot lie in"),
    ):
        head = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
        data = chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
        png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + data
        with pytest.raises(RuntimeError, match=message):
            vio.decode_image(fb.tensor(list(png), dtype=fb.uint8))
    even = PIL.new("1", (8000, 8000))  # as small as a picture can be
    assert vio.decode_image(file_of(even, format="PNG")).shape == (1, 8000, 8000)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.bin"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError):
        vio.write_file(path, fb.zeros(3))
    assert path.read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1
    vio.write_file(str(path), fb.tensor([1, 2], dtype=fb.uint8))
    assert path.read_bytes() == b"\x01\x02" and vio.read_file(path).tolist() == [1, 2]


def test_a_title_in_another_encoding_does_not_hide_a_video(tmp_path):
    av = pytest.importorskip("av")
    path = tmp_path / "a.mp4"
    with av.open(str(path), mode="w") as container:
        container.metadata["title"] = "QQQQQQQQ"
        stream = container.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        for frame in [av.VideoFrame.from_ndarray(np.zeros((32, 32, 3), np.uint8)), None]:
            container.mux(stream.encode(frame))
    content = path.read_bytes()
    assert content.count(b"QQQQQQQQ") == 1
    path.write_bytes(content.replace(b"QQQQQQQQ", b"\xff\xfe\xe9\xc3(\xa0\xa1Q"))
    frames, _, _ = vio.read_video(path, pts_unit="sec")
    assert frames.shape == (1, 32, 32, 3)
