"""The messages within events: each function gives one ``Summary`` (or more) as bytes.

The fields are those of TensorFlow's event.proto, summary.proto and tensor.proto and of TensorBoard's plugins.
"""

from __future__ import annotations

import io
import json
import struct
import wave
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from . import _proto as proto

_FLOAT, _DOUBLE, _STRING = 1, 2, 7  # tensor.proto's DataType
_NUMBERS = {np.dtype("f4"): _FLOAT, np.dtype("f8"): _DOUBLE}


def to_numpy(value: Any) -> np.ndarray:
    """A tensor, array, number or list as an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        return value.float().numpy() if "bfloat16" in str(value.dtype) else value.numpy()
    return np.atleast_1d(np.asarray(value)) if np.isscalar(value) else np.asarray(value)


def _value(tag: str, *fields: bytes) -> bytes:
    return proto.message(1, proto.data(1, tag), *fields)


def _plugin(name: str, content: bytes = b"") -> bytes:
    return proto.message(9, proto.message(1, proto.data(1, name), proto.data(2, content)))


def _shape(sizes: Iterable[int]) -> bytes:
    return proto.message(2, *(proto.message(2, proto.integer(1, n)) for n in sizes))


def _tensor(values: np.ndarray, shape: Sequence[int] | None = None) -> bytes:
    """The tensor field of a value; numbers that are not doubles become floats."""
    values = values if values.dtype in _NUMBERS else values.astype("f4")
    kind = _NUMBERS[values.dtype]
    pack = proto.singles(5, values.ravel()) if kind == _FLOAT else proto.doubles(6, values.ravel())
    return proto.message(8, proto.integer(1, kind), _shape(shape) if shape is not None else b"", pack)


def _strings(values: Sequence[bytes], shape: Sequence[int]) -> bytes:
    return proto.message(8, proto.integer(1, _STRING), _shape(shape), proto.texts(8, values))


def scalar(tag: str, value: Any, new_style: bool = False, double_precision: bool = False) -> bytes:
    """One number; the new style has it as a tensor."""
    array = to_numpy(value)
    if array.size != 1:
        raise ValueError(f"add_scalar: {tag!r} must be one number, not {array.shape}")
    number = float(array.reshape(()))
    if new_style:
        kind = "f8" if double_precision else "f4"
        return _value(tag, _tensor(np.array([number], kind)), _plugin("scalars"))
    return _value(tag, proto.single(2, number, always=True))


def tensor(tag: str, value: Any) -> bytes:
    """A tensor of any shape."""
    array = to_numpy(value)
    return _value(tag, _tensor(array, array.shape), _plugin("tensor"))


def histogram(tag: str, values: Any, bins: Any, max_bins: int | None) -> bytes:
    """How often values fall between the limits of bins; an empty bin stands before the first full one."""
    values = to_numpy(values).astype("f8").ravel()
    if not values.size:
        raise ValueError(f"add_histogram: {tag!r} has no values")
    counts, limits = np.histogram(values, bins=bins)
    if max_bins is not None and len(counts) > max_bins:
        together = len(counts) // max_bins
        counts = np.add.reduceat(counts, np.arange(0, len(counts), together))
        limits = np.append(limits[:-1][::together], limits[-1])
    if not counts.any():
        raise ValueError(f"add_histogram: {tag!r} has no value within the bins")
    full = np.flatnonzero(counts)
    first, last = full[0], full[-1]
    before = counts[first - 1 : first] if first else [0]
    return histogram_raw(
        tag,
        values.min(),
        values.max(),
        values.size,
        values.sum(),
        values.dot(values),
        limits[first : last + 2],
        [*before, *counts[first : last + 1]],
    )


def histogram_raw(
    tag: str,
    low: float,
    high: float,
    count: float,
    total: float,
    squares: float,
    limits: Iterable[float],
    counts: Iterable[float],
) -> bytes:
    """A histogram that was counted elsewhere."""
    numbers = [proto.double(k, float(v)) for k, v in enumerate((low, high, count, total, squares), 1)]
    return _value(tag, proto.message(5, *numbers, proto.doubles(6, limits), proto.doubles(7, counts)))


def png(picture: np.ndarray) -> bytes:
    """A picture [height, width, 1, 3 or 4] of bytes as a PNG file (RFC 2083), without filters."""
    height, width, channels = picture.shape
    colour = {1: 0, 3: 2, 4: 6}[channels]
    rows = np.zeros((height, width * channels + 1), np.uint8)
    rows[:, 1:] = picture.reshape(height, -1)

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    body = zlib.compress(rows.tobytes(), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def as_picture(value: Any, layout: str) -> np.ndarray:
    """How precision and recall go with the threshold; what is not below it counts as found."""
    array = to_numpy(value)
    layout = layout.upper()
    if len(layout) != array.ndim or len(set(layout)) != len(layout) or not set(layout) <= set("NCHW"):
        raise ValueError(f"dataformats {layout!r} does not fit a value of shape {tuple(array.shape)}")
    for missing in (set("NCHW") if "N" in layout else set("CHW")) - set(layout):
        array, layout = array[None], missing + layout
    if "N" in layout:
        array = _grid(array.transpose([layout.index(axis) for axis in "NHWC"]))
    else:
        array = array.transpose([layout.index(axis) for axis in "HWC"])
    if array.shape[2] == 1:
        array = np.repeat(array, 3, 2)
    if array.dtype != np.uint8:
        array = np.clip(array.astype("f4") * 255, 0, 255).astype(np.uint8)
    return array


def _grid(pictures: np.ndarray) -> np.ndarray:
    count, height, width, channels = pictures.shape
    across = min(count, 8)
    down = -(-count // across)
    sheet = np.zeros((down * height, across * width, channels), pictures.dtype)
    for k, picture in enumerate(pictures):
        y, x = divmod(k, across)
        sheet[y * height : (y + 1) * height, x * width : (x + 1) * width] = picture
    return sheet


def image(tag: str, picture: np.ndarray) -> bytes:
    """A picture [height, width, channels] of bytes."""
    height, width, channels = picture.shape
    return encoded_image(tag, height, width, channels, png(picture))


def encoded_image(tag: str, height: int, width: int, channels: int, content: bytes) -> bytes:
    """A picture that is already a file (PNG, GIF, JPEG)."""
    sizes = [proto.integer(k, n) for k, n in enumerate((height, width, channels), 1)]
    return _value(tag, proto.message(4, *sizes, proto.data(4, content)))


def audio(tag: str, sound: Any, rate: int) -> bytes:
    """A sound of numbers from -1 to 1, [frames] or [channels, frames], as 16-bit WAV."""
    array = to_numpy(sound).astype("f8")
    array = np.clip(array[None] if array.ndim == 1 else array, -1, 1)
    if array.ndim != 2:
        raise ValueError(f"add_audio: a sound is [channels, frames], not {array.shape}")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(array.shape[0])
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes((array.T * 32767).astype("<i2").tobytes())
    return _value(
        tag,
        proto.message(
            6,
            proto.single(1, rate),
            proto.integer(2, array.shape[0]),
            proto.integer(3, array.shape[1]),
            proto.data(4, file.getvalue()),
            proto.data(5, "audio/wav"),
        ),
    )


def text(tag: str, content: str) -> bytes:
    """A text in Markdown."""
    return _value(tag + "/text_summary", _strings([content.encode()], [1]), _plugin("text"))


def pr_curve(tag: str, labels: Any, predictions: Any, thresholds: int, weights: Any) -> bytes:
    """Precision and recall at equidistant thresholds; what is not below counts as found."""
    labels = to_numpy(labels).astype(bool).ravel()
    weights = np.ones(len(labels)) if weights is None else to_numpy(weights).astype("f8").ravel()
    predictions = to_numpy(predictions).astype("f8").ravel()
    places = np.clip(np.floor(predictions * (thresholds - 1)), 0, thresholds - 1).astype(int)

    def at_least(chosen: np.ndarray) -> np.ndarray:
        counts = np.bincount(places[chosen], weights[chosen], thresholds)
        return counts[::-1].cumsum()[::-1]

    found, false = at_least(labels), at_least(~labels)
    quiet, missed = false[0] - false, found[0] - found
    least = 1e-7
    precision = np.maximum(found / np.maximum(found + false, least), 0)
    recall = np.maximum(found / np.maximum(found + missed, least), 0)
    return pr_curve_raw(tag, [found, false, quiet, missed, precision, recall], thresholds)


def pr_curve_raw(tag: str, rows: Sequence[Any], thresholds: int) -> bytes:
    """True and false positives, true and false negatives, precision and recall, at each threshold."""
    table = np.stack([to_numpy(row).astype("f4").ravel() for row in rows])
    return _value(tag, _tensor(table, table.shape), _plugin("pr_curves", proto.integer(2, thresholds)))


def custom_scalars(layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> bytes:
    """Which scalars are drawn together: {category: {chart: ['Multiline' or 'Margin', [tags]]}}."""
    categories = []
    for category, charts in layout.items():
        fields = [proto.data(1, category)]
        for title, (kind, tags) in charts.items():
            if kind == "Margin":
                if len(tags) != 3:
                    raise ValueError(f"a margin chart has three tags (value, lower, upper), not {len(tags)}")
                series = [proto.data(k, tag) for k, tag in enumerate(tags, 1)]
                content = proto.message(3, proto.message(1, *series))
            else:
                content = proto.message(2, proto.texts(1, tags))
            fields.append(proto.message(2, proto.data(1, title), content))
        categories.append(proto.message(2, *fields))
    content = _strings([b"".join(categories)], [])
    return _value("custom_scalars__config__", content, _plugin("custom_scalars"))


def mesh(tag: str, vertices: Any, colors: Any, faces: Any, config: Mapping[str, Any] | None) -> bytes:
    """Points [batch, points, 3], with their colours and the triangles between them."""
    parts = [("VERTEX", 1, vertices), ("FACE", 2, faces), ("COLOR", 3, colors)]
    there = [(name, kind, to_numpy(part)) for name, kind, part in parts if part is not None]
    components = sum(1 << kind for _, kind, _ in there)
    values = []
    for name, kind, array in there:
        if array.ndim != 3 or array.shape[-1] != 3:
            raise ValueError(f"add_mesh: {name.lower()} must be [batch, count, 3], not {array.shape}")
        content = (
            proto.data(2, tag),
            proto.integer(3, kind),
            proto.data(5, json.dumps(config or {}, sort_keys=True)),
            proto.integers(6, array.shape),
            proto.integer(7, components),
        )
        values.append(
            _value(f"{tag}_{name}", _tensor(array, array.shape), _plugin("mesh", b"".join(content)))
        )
    return b"".join(values)


def _json_value(value: bool | float | str) -> bytes:
    """google.protobuf.Value; its kinds are a oneof, so zeros are written."""
    if isinstance(value, bool):
        return b"\x20" + bytes([value])
    if isinstance(value, str):
        return proto.message(3, value.encode())
    return struct.pack("<Bd", 2 << 3 | 1, value)


def _plain(name: str, value: Any) -> bool | float | str:
    if value is None:
        return ""
    if isinstance(value, (str, bool)):
        return value
    if isinstance(value, (int, float, np.number)):
        return float(value)
    if hasattr(value, "item") and value.numel() == 1:
        return float(value.item())
    kind = type(value).__name__
    raise ValueError(f"hparams: {name!r} must be a number, a text or a tensor of one number, not {kind}")


def hparams(
    chosen: Mapping[str, Any], metrics: Iterable[str], domains: Mapping[str, Sequence[Any]] | None
) -> list[bytes]:
    """The three summaries of a run's settings: which there are, those chosen, the end of the run."""
    infos, starts = [], []
    for name, given in chosen.items():
        value = _plain(name, given)
        kind = 2 if isinstance(value, bool) else 1 if isinstance(value, str) else 3
        fields = [proto.data(1, name), proto.integer(4, kind)]
        domain = (domains or {}).get(name) or ([True, False] if kind == 2 else [])
        if domain:
            fields.append(proto.message(5, *(proto.message(1, _json_value(_plain(name, v))) for v in domain)))
        infos.append(proto.message(4, *fields))
        starts.append(proto.message(1, proto.data(1, name), proto.message(2, _json_value(value))))
    measured = [proto.message(5, proto.message(1, proto.data(2, tag))) for tag in metrics]
    parts = {
        "experiment": proto.message(2, *infos, *measured),
        "session_start_info": proto.message(3, *starts),
        "session_end_info": proto.message(4, proto.integer(1, 1)),
    }
    return [_value(f"_hparams_/{name}", _plugin("hparams", content)) for name, content in parts.items()]
