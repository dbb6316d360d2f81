import errno
import importlib.util
import io
import os
import struct
import wave

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import flambeau as fb
from flambeau import audio
from flambeau.audio import _wav
from flambeau.audio.datasets import SPEECHCOMMANDS, AudioFolder

HAS_SOUNDFILE = importlib.util.find_spec("soundfile") is not None


def sound(channels=2, frames=50):
    fb.manual_seed(0)
    return fb.rand(channels, frames) * 1.8 - 0.9


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_integers(tmp_path, bits):
    path, x = tmp_path / "a.wav", sound()
    audio.save(path, x, 8000, bits_per_sample=bits)
    with wave.open(str(path)) as file:  # the standard library's reader
        assert file.getparams()[:4] == (2, bits // 8, 8000, 50)
        raw = file.readframes(50)
    first = int.from_bytes(raw[: bits // 8], "little", signed=bits > 8) - (128 if bits == 8 else 0)
    assert first == round(x[0, 0].item() * 2 ** (bits - 1)) or bits == 32
    back, rate = audio.load(path)
    assert rate == 8000 and back.dtype == fb.float32 and (back - x).abs().max() <= 2.0**-bits + 1e-7
    info = audio.info(path)
    assert info == audio.AudioMetaData(8000, 50, 2, bits, "PCM_U" if bits == 8 else "PCM_S")
    integers, _ = audio.load(path, normalize=False)
    assert integers.dtype == {8: fb.uint8, 16: fb.int16, 24: fb.int32, 32: fb.int32}[bits]
    again = io.BytesIO()
    audio.save(again, integers, 8000, format="wav", bits_per_sample=bits)
    assert again.getvalue() == path.read_bytes()


@pytest.mark.parametrize("dtype, bits", [(fb.float32, 32), (fb.float64, 64)])
def test_real_numbers(tmp_path, dtype, bits):
    x = (sound() * 3).to(dtype)  # kept beyond 1
    audio.save(tmp_path / "a.wav", x, 44100)
    assert fb.equal(audio.load(tmp_path / "a.wav")[0], x.float())
    assert (
        audio.info(tmp_path / "a.wav").encoding == "PCM_F"
        and audio.info(tmp_path / "a.wav").bits_per_sample == bits
    )


def test_parts_and_orders(tmp_path):
    path, x = tmp_path / "a.wav", sound(3)
    audio.save(path, x.t(), 8000, channels_first=False)
    assert fb.equal(audio.load(path, frame_offset=10, num_frames=5)[0], x[:, 10:15])
    assert audio.load(path, frame_offset=45, num_frames=50)[0].shape == (3, 5)
    assert audio.load(path, frame_offset=500)[0].shape == (3, 0)
    assert audio.load(path, channels_first=False)[0].shape == (50, 3)
    with open(path, "rb") as file:
        assert fb.equal(audio.load(file)[0], x)
    with pytest.raises(ValueError, match="frame_offset must not be negative"):
        audio.load(path, frame_offset=-1)


def test_loud_sounds_are_cut_off(tmp_path):
    audio.save(tmp_path / "a.wav", fb.tensor([[2.0, -2.0, 1.0]]), 8000, encoding="PCM_S")
    assert audio.load(tmp_path / "a.wav", normalize=False)[0].tolist() == [[32767, -32768, 32767]]


def wav(*chunks):
    body = b"".join(name + struct.pack("<I", len(c)) + c + b"\0" * (len(c) % 2) for name, c in chunks)
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def test_unusual_files():
    plain = struct.pack("<HHIIHH", 1, 1, 8000, 16000, 2, 16)
    data = np.array([1, -2], "<i2").tobytes()
    extensible = struct.pack("<HHIIHH", 0xFFFE, 1, 8000, 16000, 2, 16) + struct.pack(
        "<HHIH14s", 22, 16, 4, 1, b"x"
    )
    for content in (
        wav((b"LIST", b"odd"), (b"fmt ", plain), (b"fact", b"1234"), (b"data", data)),
        wav((b"fmt ", extensible), (b"data", data)),
        wav((b"fmt ", plain), (b"data", data)).replace(
            struct.pack("<I", 4) + data, struct.pack("<I", 2**32 - 1) + data
        ),
    ):
        assert audio.load(io.BytesIO(content), normalize=False)[0].tolist() == [[1, -2]]


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "begins with b''"),
        (b"<html>" * 9, "begins with b'<htm'"),
        (wav((b"data", b"12")), "samples come before"),
        (
            wav((b"fmt ", struct.pack("<HHIIHH", 6, 1, 8000, 8000, 1, 8)), (b"data", b"12")),
            "kind 6 with 8 bits",
        ),
        (wav((b"fmt ", struct.pack("<HHIIHH", 1, 0, 8000, 8000, 1, 16)), (b"data", b"12")), "0 channels"),
        (wav((b"fmt ", b"1")), "cut short"),
        (wav((b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 16))), "without samples"),
    ],
)
def test_what_is_no_wav_file_is_said(content, message, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "soundfile", None)
    with pytest.raises(ImportError, match=message) as caught:
        audio.load(io.BytesIO(content))
    assert 'pip install "flambeau[audio]"' in str(caught.value)


@given(st.binary(max_size=60), st.integers(0, 60), st.sampled_from([8, 16, 24, 32]))
def test_damaged_files(noise, place, bits):
    whole = io.BytesIO()
    audio.save(whole, sound(2, 5), 8000, format="wav", bits_per_sample=bits)
    content = whole.getvalue()
    content = content[:place] + noise + content[place + len(noise) :]
    try:
        head = _wav.read_header(io.BytesIO(content))
        frames = _wav.read(io.BytesIO(content), head, 0, -1, True)
    except _wav.NotWav:
        return
    assert frames.size <= len(content)


def test_refused_to_save(tmp_path):
    with pytest.raises(ValueError, match="Expected 2D Tensor, got 1D"):
        audio.save(tmp_path / "a.wav", fb.rand(5), 8000)
    with pytest.raises(ValueError, match="no encoding PCM_S with 12 bits"):
        audio.save(tmp_path / "a.wav", fb.rand(1, 5), 8000, encoding="PCM_S", bits_per_sample=12)
    with pytest.raises(ValueError, match="Unsupported dtype"):
        audio.save(tmp_path / "a.wav", fb.ones(1, 5, dtype=fb.int64), 8000)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    audio.save(tmp_path / "a.wav", sound(), 8000)
    old = (tmp_path / "a.wav").read_bytes()

    def full(file, *_):
        file.write(b"RIFF")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("flambeau.audio._wav.write", full)
    with pytest.raises(RuntimeError, match="No space left on device"):
        audio.save(tmp_path / "a.wav", sound(), 8000)
    assert (tmp_path / "a.wav").read_bytes() == old and os.listdir(tmp_path) == ["a.wav"]


@pytest.mark.skipif(not HAS_SOUNDFILE, reason="soundfile is not installed")
def test_other_formats(tmp_path):
    x = sound()
    audio.save(tmp_path / "a.flac", x, 8000)
    back, rate = audio.load(tmp_path / "a.flac", frame_offset=5, num_frames=20)
    assert rate == 8000 and (back - x[:, 5:25]).abs().max() < 1e-4
    info = audio.info(tmp_path / "a.flac")
    assert (info.num_frames, info.num_channels, info.encoding, info.bits_per_sample) == (50, 2, "FLAC", 16)
    assert audio.list_audio_backends() == ["wav", "soundfile"]


def test_speech_commands(tmp_path):
    folder = tmp_path / "SpeechCommands" / "speech_commands_v0.02"
    names = ["yes/a1_nohash_0.wav", "yes/b2_nohash_1.wav", "no/a1_nohash_2.wav", "_background_noise_/x.wav"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        audio.save(folder / name, sound(1, 10), 16000)
    (folder / "validation_list.txt").write_text("yes/b2_nohash_1.wav\n")
    (folder / "testing_list.txt").write_text("no/a1_nohash_2.wav\n")
    data = SPEECHCOMMANDS(tmp_path)
    assert len(data) == 3
    waveform, *rest = data[0]
    assert waveform.shape == (1, 10) and rest == [16000, "no", "a1", 2]
    training = SPEECHCOMMANDS(tmp_path, subset="training")
    assert len(training) == 1
    assert training.get_metadata(0) == ("speech_commands_v0.02/yes/a1_nohash_0.wav", 16000, "yes", "a1", 0)
    assert SPEECHCOMMANDS(tmp_path, subset="validation")[0][2:] == ("yes", "b2", 1)
    with pytest.raises(RuntimeError, match="download=True"):
        SPEECHCOMMANDS(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="must be one of"):
        SPEECHCOMMANDS(tmp_path, subset="train")


def test_audio_folder(tmp_path):
    for name in ("cat/1.wav", "cat/2.wav", "dog/1.wav"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        audio.save(tmp_path / name, sound(1, 10), 8000)
    data = AudioFolder(tmp_path)
    assert data.classes == ["cat", "dog"] and data.targets == [0, 0, 1] and data[2][1:] == (8000, 1)
    assert AudioFolder(tmp_path, transform=lambda x, rate: x.shape[1] / rate)[0] == (10 / 8000, 0)
    with pytest.raises(FileNotFoundError, match="no folders with files"):
        AudioFolder(tmp_path / "cat")


def test_import_torchaudio():
    with fb.install_as_torch():
        import torchaudio
        from torchaudio.transforms import MelSpectrogram

        assert torchaudio.load is audio.load and MelSpectrogram.__module__ == "flambeau.audio.transforms"
        assert torchaudio.functional.resample is audio.functional.resample
