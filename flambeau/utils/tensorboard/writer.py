"""``SummaryWriter``: what happens during training, written so that TensorBoard shows it."""

from __future__ import annotations

import itertools
import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from . import _embedding, _summaries
from . import _proto as proto
from ._records import RecordWriter

__all__ = ["FileWriter", "SummaryWriter"]

_numbers = itertools.count()  # of the files of this process
_SOURCE = proto.message(10, proto.data(1, "tensorboard.summary.writer.event_file_writer"))


def _default_bins() -> list[float]:
    """TensorBoard's usual limits of bins: from 1e-12 each 1.1 times the last, of both signs."""
    limits, value = [], 1e-12
    while value < 1e20:
        limits.append(value)
        value *= 1.1
    return [-v for v in reversed(limits)] + [0.0] + limits


class FileWriter:
    """Appends events to a new event file in a folder.

    Parameters
    ----------
    log_dir : the folder; it is made if it is not there.
    max_queue, flush_secs : the file is flushed when this many events wait, or this long after the last flush.
    filename_suffix : put behind the file's name.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        self._folder = os.fspath(log_dir)
        self._max_queue, self._flush_secs, self._suffix = max_queue, flush_secs, filename_suffix
        self._records: RecordWriter | None = None
        self.reopen()

    def get_logdir(self) -> str:
        """The folder."""
        return self._folder

    def reopen(self) -> None:
        """After `close`: go on in another file."""
        if self._records is not None:
            return
        os.makedirs(self._folder, exist_ok=True)
        source = f"{socket.gethostname()}.{os.getpid()}.{next(_numbers)}"
        name = f"events.out.tfevents.{int(time.time()):010d}.{source}{self._suffix}"
        file = open(os.path.join(self._folder, name), "xb")
        self._records = RecordWriter(file)
        self._waiting, self._flushed = 0, time.time()
        self._write(proto.data(3, "brain.Event:2") + _SOURCE, None, None)
        self.flush()

    def _write(self, content: bytes, step: Any, walltime: float | None) -> None:
        if self._records is None:
            self.reopen()
        head = proto.double(1, time.time() if walltime is None else walltime)
        head += proto.integer(2, 0 if step is None else int(step))
        self._records.write(head + content)
        self._waiting += 1
        if self._waiting >= self._max_queue or time.time() - self._flushed > self._flush_secs:
            self.flush()

    def add_event(self, event: bytes, step: Any = None, walltime: float | None = None) -> None:
        """Add an event, given the bytes of its fields without time and step."""
        self._write(event, step, walltime)

    def add_summary(self, summary: bytes, global_step: Any = None, walltime: float | None = None) -> None:
        """Add a summary, given as bytes."""
        self._write(proto.message(5, summary), global_step, walltime)

    def add_graph(self, graph: bytes, walltime: float | None = None) -> None:
        """Add a GraphDef, given as bytes."""
        self._write(proto.data(4, graph), None, walltime)

    def flush(self) -> None:
        """Hand everything to the operating system."""
        if self._records is not None:
            self._records.flush()
            self._waiting, self._flushed = 0, time.time()

    def close(self) -> None:
        """Flush and close the file."""
        if self._records is not None:
            self._records.close()
            self._records = None


class SummaryWriter:
    """Writes scalars, pictures, histograms and more into a folder that TensorBoard shows.

    Parameters
    ----------
    log_dir : the folder, ``runs/DATE_HOST`` + `comment` if not given.
    purge_step : TensorBoard then hides what earlier files have from this step on.
    max_queue, flush_secs : how many events may wait, and how long, before they are flushed to disk.
    filename_suffix : put behind the file's name.

    Examples
    --------
    >>> with SummaryWriter("runs/first") as writer:  # doctest: +SKIP
    ...     writer.add_scalar("loss", 0.25, global_step=1)
    """

    def __init__(
        self,
        log_dir: str | os.PathLike | None = None,
        comment: str = "",
        purge_step: int | None = None,
        max_queue: int = 10,
        flush_secs: float = 120,
        filename_suffix: str = "",
    ) -> None:
        if not log_dir:
            log_dir = os.path.join("runs", time.strftime("%b%d_%H-%M-%S_") + socket.gethostname() + comment)
        self.log_dir = os.fspath(log_dir)
        self.purge_step, self.max_queue = purge_step, max_queue
        self.flush_secs, self.filename_suffix = flush_secs, filename_suffix
        self.file_writer: FileWriter | None = None
        self.all_writers: dict[str, FileWriter] | None = None
        self.default_bins = _default_bins()
        self._projector: list[str] = []
        self._get_file_writer()

    def _get_file_writer(self) -> FileWriter:
        if self.all_writers is None or self.file_writer is None:
            self.file_writer = self._writer(self.log_dir)
            self.all_writers = {self.log_dir: self.file_writer}
            if self.purge_step is not None:
                restart = proto.message(7, proto.integer(1, 1))  # SessionLog: START
                self.file_writer.add_event(restart, self.purge_step)
                self.purge_step = None
        return self.file_writer

    def _writer(self, folder: str) -> FileWriter:
        return FileWriter(folder, self.max_queue, self.flush_secs, self.filename_suffix)

    def _add(self, summary: bytes, step: Any, walltime: float | None) -> None:
        self._get_file_writer().add_summary(summary, step, walltime)

    def get_logdir(self) -> str:
        """The folder."""
        return self.log_dir

    def add_scalar(
        self,
        tag: str,
        scalar_value: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        new_style: bool = False,
        double_precision: bool = False,
    ) -> None:
        """Add a point to a curve."""
        summary = _summaries.scalar(tag, scalar_value, new_style, double_precision)
        self._add(summary, global_step, walltime)

    def add_scalars(
        self,
        main_tag: str,
        tag_scalar_dict: Mapping[str, Any],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Add a point to each of several curves drawn together; each has a folder of its own."""
        self._get_file_writer()
        walltime = time.time() if walltime is None else walltime
        for tag, value in tag_scalar_dict.items():
            folder = f"{self.log_dir}/{main_tag.replace('/', '_')}_{tag}"
            if folder not in self.all_writers:
                self.all_writers[folder] = self._writer(folder)
            self.all_writers[folder].add_summary(_summaries.scalar(main_tag, value), global_step, walltime)

    def add_tensor(
        self, tag: str, tensor: Any, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Add a whole tensor."""
        self._add(_summaries.tensor(tag, tensor), global_step, walltime)

    def add_histogram(
        self,
        tag: str,
        values: Any,
        global_step: int | None = None,
        bins: Any = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Add how often values occur; `bins` as for `numpy.histogram`, or TensorBoard's usual ones."""
        bins = self.default_bins if isinstance(bins, str) and bins == "tensorflow" else bins
        self._add(_summaries.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_histogram_raw(
        self,
        tag: str,
        min: float,
        max: float,
        num: int,
        sum: float,
        sum_squares: float,
        bucket_limits: Sequence[float],
        bucket_counts: Sequence[float],
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Add a histogram that was counted elsewhere: upper limits of the buckets, and what is in them."""
        if len(bucket_limits) != len(bucket_counts):
            raise ValueError("len(bucket_limits) != len(bucket_counts), see the document.")
        numbers = (min, max, num, sum, sum_squares)
        summary = _summaries.histogram_raw(tag, *numbers, bucket_limits, bucket_counts)
        self._add(summary, global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Add a picture: bytes, or real numbers from 0 to 1."""
        picture = _summaries.as_picture(img_tensor, dataformats)
        self._add(_summaries.image(tag, picture), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Add several pictures as one, eight in a row."""
        self.add_image(tag, img_tensor, global_step, walltime, dataformats)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: Any,
        box_tensor: Any,
        global_step: int | None = None,
        walltime: float | None = None,
        rescale: float = 1,
        dataformats: str = "CHW",
        labels: Sequence[str] | str | None = None,
    ) -> None:
        """Add a picture with boxes [count, 4] of left, top, right, bottom drawn into it (with Pillow)."""
        from flambeau.vision._pil import pil

        boxes = _summaries.to_numpy(box_tensor).reshape(-1, 4)
        labels = [labels] if isinstance(labels, str) else labels
        if labels is not None and len(labels) != len(boxes):
            labels = None
        sheet = pil().fromarray(_summaries.as_picture(img_tensor, dataformats))
        sheet = sheet.resize((int(sheet.width * rescale), int(sheet.height * rescale)))
        draw = pil("ImageDraw").Draw(sheet)
        for k, box in enumerate((boxes * rescale).tolist()):
            draw.rectangle(box, outline=(255, 0, 0), width=2)
            if labels is not None:
                draw.text((box[0] + 3, box[1] + 1), labels[k], fill=(255, 0, 0))
        self._add(_summaries.image(tag, np.asarray(sheet)), global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: Any,
        global_step: int | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Add a matplotlib figure, or a list of them, as a picture."""
        figures = list(figure) if isinstance(figure, (list, tuple)) else [figure]
        pictures = np.stack([_drawn(one) for one in figures])
        if close:
            from matplotlib import pyplot

            for one in figures:
                pyplot.close(one)
        self.add_images(tag, pictures, global_step, walltime, "NHWC")

    def add_video(
        self,
        tag: str,
        vid_tensor: Any,
        global_step: int | None = None,
        fps: float = 4,
        walltime: float | None = None,
    ) -> None:
        """Add a film [N, T, C, H, W] as an animated GIF (with Pillow); several play side by side."""
        import io

        from flambeau.vision._pil import pil

        film = _summaries.to_numpy(vid_tensor)
        frames = [_summaries.as_picture(film[:, t], "NCHW") for t in range(film.shape[1])]
        images = [pil().fromarray(frame) for frame in frames]
        file = io.BytesIO()
        images[0].save(
            file, "GIF", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0
        )
        height, width, channels = frames[0].shape
        summary = _summaries.encoded_image(tag, height, width, channels, file.getvalue())
        self._add(summary, global_step, walltime)

    def add_audio(
        self,
        tag: str,
        snd_tensor: Any,
        global_step: int | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Add a sound of numbers from -1 to 1, [frames] or [channels, frames]."""
        self._add(_summaries.audio(tag, snd_tensor, sample_rate), global_step, walltime)

    def add_text(
        self, tag: str, text_string: str, global_step: int | None = None, walltime: float | None = None
    ) -> None:
        """Add a text; Markdown is shown as such."""
        self._add(_summaries.text(tag, text_string), global_step, walltime)

    def add_graph(
        self, model: Any, input_to_model: Any = None, verbose: bool = False, use_strict_trace: bool = True
    ) -> None:
        """Add the operators of a model's forward pass, grouped by module."""
        from ._model_graph import model_graph

        graph = model_graph(model, input_to_model)
        if verbose:
            print(f"the graph of {type(model).__name__} takes {len(graph):,} bytes")
        self._get_file_writer().add_graph(graph)

    def add_onnx_graph(self, prototxt: str) -> None:
        """Not supported."""
        raise NotImplementedError(
            "add_onnx_graph: ONNX graphs cannot be shown; add_graph takes the model itself"
        )

    def add_embedding(
        self,
        mat: Any,
        metadata: Sequence[Any] | None = None,
        label_img: Any = None,
        global_step: int | None = None,
        tag: str = "default",
        metadata_header: Sequence[str] | None = None,
    ) -> None:
        """Add vectors [count, features] for the projector, with labels and pictures [count, C, H, W]."""
        name = f"{tag}:{int(global_step or 0):05d}"
        place = f"{int(global_step or 0):05d}/{tag}"
        entry = _embedding.write(Path(self.log_dir), place, name, mat, metadata, metadata_header, label_img)
        self._projector.append(entry)
        Path(self.log_dir, "projector_config.pbtxt").write_text("".join(self._projector))

    def add_pr_curve(
        self,
        tag: str,
        labels: Any,
        predictions: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add precision against recall, of labels 0 or 1 and the probabilities predicted for 1."""
        summary = _summaries.pr_curve(tag, labels, predictions, min(num_thresholds, 127), weights)
        self._add(summary, global_step, walltime)

    def add_pr_curve_raw(
        self,
        tag: str,
        true_positive_counts: Any,
        false_positive_counts: Any,
        true_negative_counts: Any,
        false_negative_counts: Any,
        precision: Any,
        recall: Any,
        global_step: int | None = None,
        num_thresholds: int = 127,
        weights: Any = None,
        walltime: float | None = None,
    ) -> None:
        """Add a precision-recall curve that was counted elsewhere."""
        rows = [true_positive_counts, false_positive_counts, true_negative_counts, false_negative_counts]
        summary = _summaries.pr_curve_raw(tag, [*rows, precision, recall], min(num_thresholds, 127))
        self._add(summary, global_step, walltime)

    def add_custom_scalars(self, layout: Mapping[str, Mapping[str, Sequence[Any]]]) -> None:
        """Say which curves are drawn together: {category: {chart: ['Multiline' or 'Margin', [tags]]}}."""
        self._add(_summaries.custom_scalars(layout), None, None)

    def add_custom_scalars_multilinechart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Draw several curves together."""
        self.add_custom_scalars({category: {title: ["Multiline", tags]}})

    def add_custom_scalars_marginchart(
        self, tags: Sequence[str], category: str = "default", title: str = "untitled"
    ) -> None:
        """Draw a curve between its lower and upper bound: three tags."""
        if len(tags) != 3:
            raise AssertionError(f"a margin chart has three tags (value, lower, upper), not {len(tags)}")
        self.add_custom_scalars({category: {title: ["Margin", tags]}})

    def add_mesh(
        self,
        tag: str,
        vertices: Any,
        colors: Any = None,
        faces: Any = None,
        config_dict: Mapping[str, Any] | None = None,
        global_step: int | None = None,
        walltime: float | None = None,
    ) -> None:
        """Add points in space [batch, count, 3], their colours, and the triangles between them."""
        self._add(_summaries.mesh(tag, vertices, colors, faces, config_dict), global_step, walltime)

    def add_hparams(
        self,
        hparam_dict: Mapping[str, Any],
        metric_dict: Mapping[str, Any],
        hparam_domain_discrete: Mapping[str, Sequence[Any]] | None = None,
        run_name: str | None = None,
        global_step: int | None = None,
    ) -> None:
        """Add a run's settings and results, for comparison with other runs."""
        if not isinstance(hparam_dict, Mapping) or not isinstance(metric_dict, Mapping):
            raise TypeError("hparam_dict and metric_dict should be dictionary.")
        folder = os.path.join(self.log_dir, run_name or str(time.time()))
        writer = self._writer(folder)
        for summary in _summaries.hparams(hparam_dict, metric_dict, hparam_domain_discrete):
            writer.add_summary(summary, global_step)
        for tag, value in metric_dict.items():
            writer.add_summary(_summaries.scalar(tag, value), global_step)
        writer.close()

    def flush(self) -> None:
        """Hand everything to the operating system."""
        for writer in (self.all_writers or {}).values():
            writer.flush()

    def close(self) -> None:
        """Flush and close all files; what is added later goes into another file."""
        for writer in (self.all_writers or {}).values():
            writer.close()
        self.file_writer = self.all_writers = None

    def __enter__(self) -> SummaryWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _drawn(figure: Any) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()
