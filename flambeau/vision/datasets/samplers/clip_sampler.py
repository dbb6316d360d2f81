"""Some clips of each video, and a share of the samples for each process."""

from __future__ import annotations

import math
from collections.abc import Iterator

import flambeau as fb
from flambeau import distributed as dist
from flambeau.utils.data import Dataset, Sampler

from ..video_utils import VideoClips


def _checked(video_clips: VideoClips) -> VideoClips:
    if not isinstance(video_clips, VideoClips):
        raise TypeError(f"Expected video_clips to be an instance of VideoClips, got {type(video_clips)}")
    return video_clips


class UniformClipSampler(Sampler):
    """`num_clips_per_video` clips of each video, equally far apart; of short videos some twice."""

    def __init__(self, video_clips: VideoClips, num_clips_per_video: int) -> None:
        self.video_clips = _checked(video_clips)
        self.num_clips_per_video = num_clips_per_video

    def __iter__(self) -> Iterator[int]:
        first, chosen = 0, []
        for count in map(len, self.video_clips.clips):
            if count:
                places = fb.linspace(first, first + count - 1, steps=self.num_clips_per_video)
                chosen += places.floor().to(fb.int64).tolist()
            first += count
        return iter(chosen)

    def __len__(self) -> int:
        return sum(self.num_clips_per_video for clips in self.video_clips.clips if len(clips))


class RandomClipSampler(Sampler):
    """At most `max_clips_per_video` clips of each video, drawn at random, all in random order."""

    def __init__(self, video_clips: VideoClips, max_clips_per_video: int) -> None:
        self.video_clips = _checked(video_clips)
        self.max_clips_per_video = max_clips_per_video

    def __iter__(self) -> Iterator[int]:
        first, chosen = 0, []
        for count in map(len, self.video_clips.clips):
            chosen.append(fb.randperm(count)[: self.max_clips_per_video] + first)
            first += count
        clips = fb.cat(chosen)
        return iter(clips[fb.randperm(len(clips))].tolist())

    def __len__(self) -> int:
        return sum(min(len(clips), self.max_clips_per_video) for clips in self.video_clips.clips)


class DistributedSampler(Sampler):
    """The share of one process of `num_replicas`, in groups of `group_size` neighbours that stay together."""

    def __init__(
        self,
        dataset: Dataset,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = False,
        group_size: int = 1,
    ) -> None:
        if len(dataset) % group_size:
            raise ValueError(
                f"dataset length must be a multiplier of group size dataset length: {len(dataset)}, group "
                f"size: {group_size}"
            )
        self.dataset = dataset
        self.group_size = group_size
        self.num_replicas = dist.get_world_size() if num_replicas is None else num_replicas
        self.rank = dist.get_rank() if rank is None else rank
        self.epoch = 0
        groups = len(dataset) // group_size
        self.num_group_samples = math.ceil(groups / self.num_replicas)
        self.num_samples = self.num_group_samples * group_size
        self.total_size = self.num_samples * self.num_replicas
        self.shuffle = shuffle

    def __iter__(self) -> Iterator[int]:
        groups = len(self.dataset) // self.group_size
        if self.shuffle:
            order = fb.randperm(groups, generator=fb.Generator().manual_seed(self.epoch)).tolist()
        else:
            order = list(range(groups))
        order += order[: self.num_group_samples * self.num_replicas - groups]
        mine = order[self.rank :: self.num_replicas]
        return iter([group * self.group_size + k for group in mine for k in range(self.group_size)])

    def __len__(self) -> int:
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """The number of the epoch, from which the order follows."""
        self.epoch = epoch
