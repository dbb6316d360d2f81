"""Clips: equal pieces of videos."""

from __future__ import annotations

import bisect
import math
import os
import warnings
from collections.abc import Sequence
from typing import Any

import flambeau as fb
from flambeau.utils.data import DataLoader, Dataset

from ..io.video import read_part, read_video_timestamps


def unfold(tensor: fb.Tensor, size: int, step: int, dilation: int = 1) -> fb.Tensor:
    """All pieces of `size` members of a row, `step` apart, as rows of a copy-free view."""
    if tensor.dim() != 1:
        raise ValueError(f"expected 1 dimension instead of {tensor.dim()}")
    stride = tensor.stride(0)
    count = max((tensor.numel() - (dilation * (size - 1) + 1)) // step + 1, 0)
    return fb.as_strided(tensor, (count, size), (stride * step, stride * dilation))


class _Stamps(Dataset):
    """The time stamps of the frames of each video; a file that cannot be read has none."""

    def __init__(self, paths: Sequence[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[fb.Tensor, float | None]:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the unit of the stream is what is wanted here
                stamps, rate = read_video_timestamps(self.paths[index])
        except RuntimeError as error:
            warnings.warn(f"{self.paths[index]} is left out: {error}", stacklevel=2)
            stamps, rate = [], None
        return fb.tensor(stamps, dtype=fb.int64), rate


class VideoClips:
    """All clips of `clip_length_in_frames` frames, `frames_between_clips` apart, of a list of videos.

    Parameters
    ----------
    frame_rate : the clips are resampled to this many frames a second.
    num_workers : processes that look through the videos.
    output_format : 'THWC' or 'TCHW'.

    `metadata` holds what was found; given as `_precomputed_metadata`, no video is looked through again.
    """

    def __init__(
        self,
        video_paths: list[str],
        clip_length_in_frames: int = 16,
        frames_between_clips: int = 1,
        frame_rate: float | None = None,
        _precomputed_metadata: dict[str, Any] | None = None,
        num_workers: int = 0,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _video_max_dimension: int = 0,
        _audio_samples: int = 0,
        _audio_channels: int = 0,
        output_format: str = "THWC",
    ) -> None:
        self.video_paths = list(video_paths)
        self.num_workers = num_workers
        self.output_format = output_format.upper()
        if self.output_format not in ("THWC", "TCHW"):
            raise ValueError(f"output_format should be either 'THWC' or 'TCHW', got {output_format}.")
        known = _precomputed_metadata
        if known is None:
            loader = DataLoader(
                _Stamps(self.video_paths), batch_size=None, num_workers=num_workers, collate_fn=_as_is
            )
            found = list(loader)
            self.video_pts = [stamps for stamps, _ in found]
            self.video_fps = [rate for _, rate in found]
        else:
            self.video_paths = known["video_paths"]
            self.video_pts, self.video_fps = known["video_pts"], known["video_fps"]
            if not len(self.video_paths) == len(self.video_pts) == len(self.video_fps):
                raise ValueError("the metadata have lists of different lengths")
        self.compute_clips(clip_length_in_frames, frames_between_clips, frame_rate)

    @property
    def metadata(self) -> dict[str, Any]:
        """Paths, time stamps and frames a second of the videos."""
        return {"video_paths": self.video_paths, "video_pts": self.video_pts, "video_fps": self.video_fps}

    def subset(self, indices: Sequence[int]) -> VideoClips:
        """The clips of some of the videos."""
        metadata = {name: [values[i] for i in indices] for name, values in self.metadata.items()}
        return type(self)(
            metadata["video_paths"],
            self.num_frames,
            self.step,
            self.frame_rate,
            _precomputed_metadata=metadata,
            num_workers=self.num_workers,
            output_format=self.output_format,
        )

    @staticmethod
    def compute_clips_for_video(
        video_pts: fb.Tensor, num_frames: int, step: int, fps: float | None, frame_rate: float | None = None
    ) -> tuple[fb.Tensor, Any]:
        """The time stamps of each clip's frames, and which of the frames read are kept."""
        fps = fps or 1.0
        rate = fps if frame_rate is None else frame_rate
        chosen = VideoClips._resample_video_idx(math.floor(len(video_pts) * rate / fps), fps, rate)
        kept = video_pts[chosen]
        clips = unfold(kept, num_frames, step)
        if not clips.numel():
            warnings.warn(
                "There aren't enough frames in the current video to get a clip for the given clip length and "
                "frames between clips. The video (and potentially others) will be skipped.",
                stacklevel=2,
            )
        if isinstance(chosen, slice):
            return clips, [chosen] * len(clips)
        return clips, unfold(chosen, num_frames, step)

    @staticmethod
    def _resample_video_idx(num_frames: int, original_fps: float, new_fps: float) -> Any:
        step = original_fps / new_fps
        if float(step).is_integer():
            return slice(None, None, int(step))
        return (fb.arange(num_frames, dtype=fb.float32) * step).floor().to(fb.int64)

    def compute_clips(self, num_frames: int, step: int, frame_rate: float | None = None) -> None:
        """Divide the videos into clips anew."""
        self.num_frames, self.step, self.frame_rate = num_frames, step, frame_rate
        pairs = [
            self.compute_clips_for_video(stamps, num_frames, step, rate, frame_rate)
            for stamps, rate in zip(self.video_pts, self.video_fps, strict=True)
        ]
        self.clips = [clips for clips, _ in pairs]
        self.resampling_idxs = [kept for _, kept in pairs]
        self.cumulative_sizes = fb.tensor([len(clips) for clips in self.clips]).cumsum(0).tolist()

    def __len__(self) -> int:
        return self.num_clips()

    def num_videos(self) -> int:
        """How many videos there are."""
        return len(self.video_paths)

    def num_clips(self) -> int:
        """How many clips there are in all videos."""
        return self.cumulative_sizes[-1] if self.cumulative_sizes else 0

    def get_clip_location(self, idx: int) -> tuple[int, int]:
        """The video of a clip, and the clip's number within it."""
        video = bisect.bisect_right(self.cumulative_sizes, idx)
        return video, idx - (self.cumulative_sizes[video - 1] if video else 0)

    def get_clip(self, idx: int) -> tuple[fb.Tensor, fb.Tensor, dict[str, Any], int]:
        """Frames, sound, their rates, and the number of the video."""
        if idx >= self.num_clips():
            raise IndexError(f"Index {idx} out of range ({self.num_clips()} number of clips)")
        number, place = self.get_clip_location(idx)
        stamps = self.clips[number][place].tolist()
        path = os.fspath(self.video_paths[number])
        video, sound, info = read_part(path, stamps[0], stamps[-1], "pts", self.output_format)
        if self.frame_rate is not None:
            kept = self.resampling_idxs[number][place]
            video = video[kept - kept[0] if isinstance(kept, fb.Tensor) else kept]
            info["video_fps"] = self.frame_rate
        if len(video) != self.num_frames:
            raise RuntimeError(f"{path} gave {len(video)} frames for a clip of {self.num_frames}")
        return video, sound, info, number


def _as_is(sample: Any) -> Any:
    return sample
