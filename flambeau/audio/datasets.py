"""Data sets of sounds."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import flambeau as fb
from flambeau.utils.data import Dataset

from ._files import load

__all__ = ["SPEECHCOMMANDS", "AudioFolder"]

_URL = "https://storage.googleapis.com/download.tensorflow.org/data/"
_SHA256 = {
    "speech_commands_v0.01": "743935421bb51cccdb6bdd152e04c5c70274e935c82119ad7faeec31780d811d",
    "speech_commands_v0.02": "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
}
_LISTS = {"validation": ["validation_list.txt"], "testing": ["testing_list.txt"]}
_NOISE = "_background_noise_"


class SPEECHCOMMANDS(Dataset):
    """Spoken words of one second: an item is (sound, rate, word, speaker, number of the utterance).

    Parameters
    ----------
    root : the folder; the sounds lie in ``root/SpeechCommands/speech_commands_v0.02/WORD/*.wav``.
    url : which version, its name or address.
    download : fetch it if it is not there (2.3 GB).
    subset : 'training', 'validation' or 'testing', as the lists in the folder say; None for all.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        url: str = "speech_commands_v0.02",
        folder_in_archive: str = "SpeechCommands",
        download: bool = False,
        subset: str | None = None,
    ) -> None:
        if subset is not None and subset not in ("training", "validation", "testing"):
            raise ValueError(
                "When `subset` is not None, it must be one of ['training', 'validation', 'testing']."
            )
        version = os.path.basename(url).removesuffix(".tar.gz")
        self._archive = os.path.join(os.fspath(root), folder_in_archive)
        self._path = os.path.join(self._archive, version)
        if not os.path.isdir(self._path):
            if not download:
                raise RuntimeError(
                    f"The path {self._path} doesn't exist. Please check the ``root`` path or set "
                    "`download=True` to download it"
                )
            self._download(url if "://" in url else f"{_URL}{version}.tar.gz", version)
        every = sorted(str(p) for p in Path(self._path).glob("*/*.wav") if p.parent.name != _NOISE)
        if subset in _LISTS:
            self._walker = self._listed(_LISTS[subset])
        else:
            out = set(self._listed([n for names in _LISTS.values() for n in names])) if subset else set()
            self._walker = [path for path in every if os.path.normpath(path) not in out]

    def _download(self, url: str, version: str) -> None:
        from flambeau.hub import download_url_to_file

        os.makedirs(self._archive, exist_ok=True)
        packed = os.path.join(self._archive, f"{version}.tar.gz")
        if not os.path.exists(packed):
            download_url_to_file(url, packed, hash_prefix=_SHA256.get(version))
        with tarfile.open(packed) as archive:
            archive.extractall(self._path, filter="data")

    def _listed(self, names: Sequence[str]) -> list[str]:
        paths = []
        for name in names:
            lines = Path(self._path, name).read_text().split("\n")
            paths += [
                os.path.normpath(os.path.join(self._path, line.strip())) for line in lines if line.strip()
            ]
        return paths

    def get_metadata(self, n: int) -> tuple[str, int, str, str, int]:
        """As an item, with the path relative to the archive's folder in place of the sound."""
        path = self._walker[n]
        word = os.path.basename(os.path.dirname(path))
        speaker, _, number = Path(path).stem.partition("_nohash_")
        return os.path.relpath(path, self._archive), 16000, word, speaker, int(number)

    def __getitem__(self, n: int) -> tuple[fb.Tensor, int, str, str, int]:
        path, _, *rest = self.get_metadata(n)
        waveform, rate = load(os.path.join(self._archive, path))
        return (waveform, rate, *rest)

    def __len__(self) -> int:
        return len(self._walker)


class AudioFolder(Dataset):
    """Sounds in a folder for each class: an item is (sound [channels, frames], rate, number of the class).

    Parameters
    ----------
    root : the folder of folders; their names in alphabetical order are the classes.
    transform : applied to (sound, rate); its result takes their place, so that an item is (result, class).
    extensions : of the files; all but .wav need soundfile.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        transform: Callable[[fb.Tensor, int], Any] | None = None,
        extensions: Sequence[str] = (".wav", ".flac", ".ogg", ".mp3"),
    ) -> None:
        folders = sorted(path for path in Path(root).iterdir() if path.is_dir())
        self.classes = [folder.name for folder in folders]
        self.class_to_idx = {name: number for number, name in enumerate(self.classes)}
        self.samples = [
            (str(path), number)
            for number, folder in enumerate(folders)
            for path in sorted(folder.rglob("*"))
            if path.suffix.lower() in extensions
        ]
        if not self.samples:
            raise FileNotFoundError(f"{root} has no folders with files ending in {', '.join(extensions)}")
        self.targets = [number for _, number in self.samples]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, n: int) -> tuple:
        path, number = self.samples[n]
        waveform, rate = load(path)
        if self.transform is not None:
            return self.transform(waveform, rate), number
        return waveform, rate, number
