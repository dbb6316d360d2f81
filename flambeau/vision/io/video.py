"""Reading and writing videos with PyAV (``pip install av``), which is imported when a function needs it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

import flambeau as fb

__all__ = ["VideoReader", "read_video", "read_video_timestamps", "write_video"]

_WRONG_UNIT = "The pts_unit 'pts' gives wrong results. Please use pts_unit 'sec'."


def _av() -> Any:
    try:
        import av
    except ImportError as error:
        raise ImportError(
            "PyAV is not installed, and is necessary for the video operations in torchvision.\n"
            "Install it with: pip install av"
        ) from error
    return av


def _open(filename: str | os.PathLike) -> Any:
    if not os.path.exists(filename):
        raise RuntimeError(f"File not found: {os.fspath(filename)}")
    av = _av()
    # Titles in another encoding must not hide the pictures: from PyAV 19 on that goes without saying.
    options = {"metadata_errors": "ignore"} if int(av.__version__.split(".")[0]) < 19 else {}
    try:
        return av.open(os.fspath(filename), **options)
    except av.error.FFmpegError as error:
        raise RuntimeError(f"{os.fspath(filename)} cannot be read as a video: {error}") from error


def _frames(container: Any, stream: Any, start: float, end: float) -> list[Any]:
    """The frames of a stream with a time stamp from `start` to `end`, in the order in which they are shown.

    Decoding begins at the key frame before `start`; the frames that are shown before it are dropped.
    """
    if start > 0:
        container.seek(int(start), any_frame=False, backward=True, stream=stream)
    inside: list[Any] = []
    before = None
    for frame in container.decode(stream):
        if frame.pts is None:
            continue
        if frame.pts > end:
            break
        if frame.pts < start:
            before = frame
        else:
            inside.append(frame)
    if before is not None and (not inside or inside[0].pts > start):
        inside.insert(0, before)  # what is shown, or sounds, at `start`
    return inside


def _pictures(frames: list[Any], output_format: str) -> fb.Tensor:
    if frames:
        video = fb.from_numpy(np.stack([frame.to_ndarray(format="rgb24") for frame in frames]))
    else:
        video = fb.empty((0, 1, 1, 3), dtype=fb.uint8)
    return video.permute(0, 3, 1, 2) if output_format == "TCHW" else video


def _sound(frames: list[Any], stream: Any, start: float, end: float) -> fb.Tensor:
    """Samples [channels, samples] from `start` to `end`, in the stream's unit."""
    if not frames:
        return fb.empty((1, 0), dtype=fb.float32)
    parts = [frame.to_ndarray() for frame in frames]
    if not frames[0].format.is_planar:
        channels = frames[0].layout.nb_channels
        parts = [part.reshape(-1, channels).T for part in parts]
    sound = np.concatenate(parts, axis=1)
    per_unit = float(stream.rate * stream.time_base)
    first = max(round((start - frames[0].pts) * per_unit), 0)
    last = sound.shape[1] if end == float("inf") else round((end - frames[0].pts) * per_unit)
    return fb.from_numpy(np.ascontiguousarray(sound[:, first:last]))


def read_video(
    filename: str | os.PathLike,
    start_pts: float | Fraction = 0,
    end_pts: float | Fraction | None = None,
    pts_unit: str = "pts",
    output_format: str = "THWC",
) -> tuple[fb.Tensor, fb.Tensor, dict[str, Any]]:
    """Frames and sound of a video.

    Parameters
    ----------
    start_pts, end_pts : the part to read, both ends included.
    pts_unit : 'sec', or 'pts': the unit of the stream.
    output_format : 'THWC' or 'TCHW'.

    Returns
    -------
    frames (uint8), sound [channels, samples], and a dict of ``video_fps`` and ``audio_fps``.
    """
    output_format = output_format.upper()
    if output_format not in ("THWC", "TCHW"):
        raise ValueError(f"output_format should be either 'THWC' or 'TCHW', got {output_format}.")
    end = float("inf") if end_pts is None else end_pts
    if end < start_pts:
        raise ValueError(
            f"end_pts should be larger than start_pts, got start_pts={start_pts} and end_pts={end_pts}"
        )
    if pts_unit == "pts":
        warnings.warn(_WRONG_UNIT, stacklevel=2)
    return read_part(filename, start_pts, end_pts, pts_unit, output_format)


def read_part(
    filename: str | os.PathLike,
    start_pts: float | Fraction,
    end_pts: float | Fraction | None,
    pts_unit: str,
    output_format: str,
) -> tuple[fb.Tensor, fb.Tensor, dict[str, Any]]:
    """What `read_video` gives, for arguments that have been checked."""
    info: dict[str, Any] = {}
    video, sound = _pictures([], output_format), fb.empty((1, 0), dtype=fb.float32)
    with _open(filename) as container:
        for kind in ("video", "audio"):
            streams = getattr(container.streams, kind)
            if not streams:
                continue
            stream = streams[0]
            scale = 1 if pts_unit == "pts" else 1 / stream.time_base
            start, stop = (
                float(start_pts * scale),
                float("inf") if end_pts is None else float(end_pts * scale),
            )
            frames = _frames(container, stream, start, stop)
            container.seek(0)
            if kind == "video":
                video = _pictures(frames, output_format)
                if stream.average_rate is not None:
                    info["video_fps"] = float(stream.average_rate)
            else:
                sound = _sound(frames, stream, start, stop)
                info["audio_fps"] = stream.rate
    return video, sound, info


def read_video_timestamps(
    filename: str | os.PathLike, pts_unit: str = "pts"
) -> tuple[list[int] | list[Fraction], float | None]:
    """The time stamps of the frames, in seconds (fractions) or the stream's unit, and frames a second."""
    if pts_unit == "pts":
        warnings.warn(_WRONG_UNIT, stacklevel=2)
    with _open(filename) as container:
        if not container.streams.video:
            return [], None
        stream = container.streams.video[0]
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        rate = None if stream.average_rate is None else float(stream.average_rate)
        return ([pts * stream.time_base for pts in stamps] if pts_unit == "sec" else stamps), rate


def write_video(
    filename: str | os.PathLike,
    video_array: Any,
    fps: float,
    video_codec: str = "libx264",
    options: dict[str, Any] | None = None,
    audio_array: Any = None,
    audio_fps: float | None = None,
    audio_codec: str | None = None,
    audio_options: dict[str, Any] | None = None,
) -> None:
    """Write frames [T, H, W, C] of bytes, and sound [channels, samples], to a video file.

    Parameters
    ----------
    video_codec, options : the encoder and what it is to be told, as {"crf": "17"}.
    audio_codec, audio_options : the same for the sound, with `audio_fps` samples a second.
    """
    av = _av()
    frames = fb.as_tensor(video_array, dtype=fb.uint8).numpy()
    if frames.ndim != 4 or frames.shape[-1] != 3:
        raise ValueError(f"frames of shape [T, H, W, 3] are needed, got {list(frames.shape)}")
    with av.open(os.fspath(filename), mode="w") as container:
        rate = Fraction(fps).limit_denominator(1001) if isinstance(fps, float) else fps
        stream = container.add_stream(video_codec, rate=rate)
        stream.height, stream.width = frames.shape[1:3]
        stream.pix_fmt = "rgb24" if video_codec == "libx264rgb" else "yuv420p"
        stream.options = {key: str(value) for key, value in (options or {}).items()}
        sound_stream = None
        if audio_array is not None:
            if audio_codec is None or audio_fps is None:
                raise ValueError("sound needs audio_codec and audio_fps")
            sound_stream = container.add_stream(audio_codec, rate=int(audio_fps))
            sound_stream.options = {key: str(value) for key, value in (audio_options or {}).items()}
        for picture in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
        if sound_stream is not None:
            _write_sound(av, container, sound_stream, fb.as_tensor(audio_array).numpy(), int(audio_fps or 0))


def _write_sound(av: Any, container: Any, stream: Any, sound: np.ndarray, rate: int) -> None:
    layout = {1: "mono", 2: "stereo"}.get(sound.shape[0])
    if layout is None:
        raise ValueError(f"sound of 1 or 2 channels is needed, got {sound.shape[0]}")
    formats = {"float32": "fltp", "float64": "dblp", "int16": "s16p", "int32": "s32p", "uint8": "u8p"}
    if sound.dtype.name not in formats:
        raise ValueError(f"sound of type {sound.dtype} cannot be written: use float32 or int16")
    frame = av.AudioFrame.from_ndarray(
        np.ascontiguousarray(sound), format=formats[sound.dtype.name], layout=layout
    )
    frame.sample_rate, frame.pts, frame.time_base = rate, 0, Fraction(1, rate)
    wanted = stream.codec_context
    resampler = av.AudioResampler(
        format=wanted.format, layout=layout, rate=rate, frame_size=wanted.frame_size
    )
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode())


class VideoReader:
    """Frames one after the other: ``for frame in VideoReader(path): frame["data"], frame["pts"]``.

    Parameters
    ----------
    src : a path, or the bytes of a file (also as a tensor).
    stream : 'video' or 'audio', maybe with a number, as in 'video:0'.
    num_threads : threads of the decoder; 0 lets it choose.

    Frames are [C, H, W] bytes, sound [samples, channels]; ``pts`` is in seconds.
    """

    def __init__(self, src: Any, stream: str = "video", num_threads: int = 0) -> None:
        self.num_threads = num_threads
        if isinstance(src, (str, os.PathLike)):
            self.container = _open(src)
        elif isinstance(src, (bytes, fb.Tensor)):
            import io

            self.container = _av().open(io.BytesIO(src if isinstance(src, bytes) else src.numpy().tobytes()))
        else:
            raise ValueError(f"src must be either string, Tensor or bytes object. Got {type(src)}")
        self.set_current_stream(stream)

    def set_current_stream(self, stream: str) -> bool:
        """Choose what is read from now on; False if the file has no such stream."""
        kind, _, number = stream.partition(":")
        if kind not in ("video", "audio"):
            raise ValueError(f"stream must be 'video' or 'audio', maybe with a number, got {stream!r}")
        streams = getattr(self.container.streams, kind)
        if int(number or 0) >= len(streams):
            return False
        self._stream = streams[int(number or 0)]
        if self.num_threads:
            self._stream.thread_count = self.num_threads
        self.container.seek(0)
        self._from = float("-inf")
        self._decoded = self.container.decode(self._stream)
        return True

    def seek(self, time_s: float, keyframes_only: bool = False) -> VideoReader:
        """Go to the first frame at or after a time; with `keyframes_only`, to the key frame before it."""
        self.container.seek(
            int(time_s / self._stream.time_base), backward=True, any_frame=False, stream=self._stream
        )
        self._from = float("-inf") if keyframes_only else time_s
        self._decoded = self.container.decode(self._stream)
        return self

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        for frame in self._decoded:
            if frame.pts is None or frame.time < self._from:
                continue
            if self._stream.type == "video":
                data = fb.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)
            else:
                data = _sound([frame], self._stream, frame.pts, float("inf")).t()
            return {"data": data, "pts": float(frame.time)}
        raise StopIteration

    def get_metadata(self) -> dict[str, dict[str, list[float]]]:
        """For each kind of stream its rates (``fps`` or ``framerate``) and durations in seconds."""
        found: dict[str, dict[str, list[float]]] = {}
        for stream in self.container.streams:
            if stream.type not in ("video", "audio"):
                continue
            about = found.setdefault(stream.type, {"duration": []})
            duration = (
                stream.duration * stream.time_base
                if stream.duration
                else (self.container.duration or 0) / 1e6
            )
            about["duration"].append(float(duration))
            key, rate = ("fps", stream.average_rate) if stream.type == "video" else ("framerate", stream.rate)
            about.setdefault(key, []).append(float(rate or 0))
        return found
