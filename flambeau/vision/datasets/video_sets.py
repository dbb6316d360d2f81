"""Data sets of videos of what people do: Kinetics, UCF101 and HMDB51. They need the package av."""

from __future__ import annotations

import os
from collections.abc import Callable
from glob import glob
from pathlib import Path
from typing import Any

from .folder import find_classes, make_dataset
from .utils import verify_str_arg
from .video_utils import VideoClips
from .vision import VisionDataset


class _Clips(VisionDataset):
    """Base: clips (frames [T, H, W, C] or [T, C, H, W], sound [channels, samples], label)."""

    samples: list[tuple[str, int]]
    video_clips: VideoClips
    full_video_clips: VideoClips
    indices: list[int]

    @property
    def metadata(self) -> dict[str, Any]:
        """What was found in all videos, for the argument `_precomputed_metadata`."""
        return self.full_video_clips.metadata

    def _find(self, extensions: tuple[str, ...]) -> list[str]:
        """Fills `samples` with the files in folders of classes."""
        self.classes, numbers = find_classes(self.root)
        self.samples = make_dataset(self.root, numbers, extensions)
        return [path for path, _ in self.samples]

    def __getitem__(self, index: int) -> tuple[Any, Any, int]:
        video, sound, _, number = self.video_clips.get_clip(index)
        if self.transform is not None:
            video = self.transform(video)
        return video, sound, self.samples[self.indices[number]][1]

    def __len__(self) -> int:
        return self.video_clips.num_clips()


class _Folds(_Clips):
    """Base: sets that lists divide three times into a part to learn from and one to test with."""

    def _find_clips(
        self,
        fold: int,
        frames_per_clip: int,
        step_between_clips: int,
        frame_rate: int | None,
        metadata: dict[str, Any] | None,
        num_workers: int,
        output_format: str,
    ) -> None:
        if fold not in (1, 2, 3):
            raise ValueError(f"fold should be between 1 and 3, got {fold}")
        self.full_video_clips = VideoClips(
            self._find(("avi",)),
            frames_per_clip,
            step_between_clips,
            frame_rate,
            metadata,
            num_workers=num_workers,
            output_format=output_format,
        )

    def _keep(self, wanted: Callable[[str], bool]) -> None:
        """The clips of the files that are wanted."""
        self.indices = [i for i, (path, _) in enumerate(self.samples) if wanted(path)]
        self.video_clips = self.full_video_clips.subset(self.indices)


class UCF101(_Folds):
    """101 actions, in folders of classes.

    Parameters
    ----------
    annotation_path : the folder of the lists ``trainlist01.txt``, ``testlist01.txt`` and so on.
    frames_per_clip, step_between_clips, frame_rate : as `VideoClips` takes them.
    fold : 1, 2 or 3.
    train : the part to learn from, or the one to test with.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        annotation_path: str,
        frames_per_clip: int,
        step_between_clips: int = 1,
        frame_rate: int | None = None,
        fold: int = 1,
        train: bool = True,
        transform: Callable | None = None,
        _precomputed_metadata: dict[str, Any] | None = None,
        num_workers: int = 1,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _audio_samples: int = 0,
        output_format: str = "THWC",
    ) -> None:
        super().__init__(root, transform=transform)
        self.fold, self.train = fold, train
        self._find_clips(
            fold,
            frames_per_clip,
            step_between_clips,
            frame_rate,
            _precomputed_metadata,
            num_workers,
            output_format,
        )
        list_file = os.path.join(annotation_path, f"{'train' if train else 'test'}list{fold:02d}.txt")
        with open(list_file) as file:
            wanted = {os.path.join(self.root, *line.split()[0].split("/")) for line in file if line.strip()}
        self._keep(lambda path: path in wanted)


class HMDB51(_Folds):
    """51 actions, in folders of classes.

    `annotation_path` is the folder of the lists ``<class>_test_split1.txt`` and so on; the other arguments
    are those of `UCF101`.
    """

    TRAIN_TAG, TEST_TAG = 1, 2

    def __init__(
        self,
        root: str | os.PathLike,
        annotation_path: str,
        frames_per_clip: int,
        step_between_clips: int = 1,
        frame_rate: int | None = None,
        fold: int = 1,
        train: bool = True,
        transform: Callable | None = None,
        _precomputed_metadata: dict[str, Any] | None = None,
        num_workers: int = 1,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _audio_samples: int = 0,
        output_format: str = "THWC",
    ) -> None:
        super().__init__(root, transform=transform)
        self.fold, self.train = fold, train
        self._find_clips(
            fold,
            frames_per_clip,
            step_between_clips,
            frame_rate,
            _precomputed_metadata,
            num_workers,
            output_format,
        )
        tag, wanted = str(self.TRAIN_TAG if train else self.TEST_TAG), set()
        for path in glob(os.path.join(annotation_path, f"*test_split{fold}*.txt")):
            with open(path) as file:
                wanted |= {line.split()[0] for line in file if line.split()[1:] == [tag]}
        self._keep(lambda path: os.path.basename(path) in wanted)


class Kinetics(_Clips):
    """400, 600 or 700 actions, in ``root/split/class/*.mp4``. They are not fetched: `download` must be False.

    Parameters
    ----------
    num_classes : '400', '600' or '700'.
    split : 'train', 'val' or 'test'.
    frames_per_clip, step_between_clips, frame_rate : as `VideoClips` takes them.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        frames_per_clip: int,
        num_classes: str = "400",
        split: str = "train",
        frame_rate: int | None = None,
        step_between_clips: int = 1,
        transform: Callable | None = None,
        extensions: tuple[str, ...] = ("avi", "mp4"),
        download: bool = False,
        num_download_workers: int = 1,
        num_workers: int = 1,
        _precomputed_metadata: dict[str, Any] | None = None,
        _video_width: int = 0,
        _video_height: int = 0,
        _video_min_dimension: int = 0,
        _audio_samples: int = 0,
        _audio_channels: int = 0,
        _legacy: bool = False,
        output_format: str = "TCHW",
    ) -> None:
        if _legacy or download:
            raise NotImplementedError(
                "Kinetics is read from root/split/class/*.mp4; flambeau neither fetches it nor reads the old "
                "layout"
            )
        self.num_classes = verify_str_arg(num_classes, "num_classes", ("400", "600", "700"))
        self.split = verify_str_arg(split, "split", ("train", "val", "test"))
        super().__init__(str(Path(root) / split), transform=transform)
        self.video_clips = VideoClips(
            self._find(tuple(extensions)),
            frames_per_clip,
            step_between_clips,
            frame_rate,
            _precomputed_metadata,
            num_workers=num_workers,
            output_format=output_format,
        )
        self.full_video_clips = self.video_clips
        self.indices = list(range(len(self.samples)))
