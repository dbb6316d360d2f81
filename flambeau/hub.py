"""Models and weights from the network: repositories with a ``hubconf.py``, and files of weights.

What was fetched once stays in the cache (`get_dir`), from which everything works without a network.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import pathlib
import re
import shutil
import sys
import tempfile
import urllib.error
import urllib.request
import warnings
import zipfile
from collections.abc import Callable
from types import ModuleType
from typing import Any
from urllib.parse import urlparse

import flambeau as fb
from flambeau.utils import _download
from flambeau.utils._download import fetch, request

__all__ = ["download_url_to_file", "get_dir", "help", "list", "load", "load_state_dict_from_url", "set_dir"]

ENV_TORCH_HOME = "TORCH_HOME"
ENV_XDG_CACHE_HOME = "XDG_CACHE_HOME"
ENV_GITHUB_TOKEN = "GITHUB_TOKEN"
DEFAULT_CACHE_DIR = "~/.cache"
VAR_DEPENDENCY = "dependencies"
MODULE_HUBCONF = "hubconf.py"
HASH_REGEX = re.compile(r"-([a-f0-9]*)\.")
_TRUSTED_REPO_OWNERS = ("facebookresearch", "facebookincubator", "pytorch", "fairinternal")
_GITHUB = "https://github.com"
_GITHUB_API = "https://api.github.com"

_hub_dir: str | None = None


def _get_torch_home() -> str:
    """The folder of all caches: $TORCH_HOME, else ~/.cache/torch. (Other packages call this name.)"""
    cache = os.path.join(os.getenv(ENV_XDG_CACHE_HOME, DEFAULT_CACHE_DIR), "torch")
    return os.path.expanduser(os.getenv(ENV_TORCH_HOME, cache))


def get_dir() -> str:
    """The folder of the cache: set by `set_dir`, else $TORCH_HOME/hub, else ~/.cache/torch/hub."""
    return os.path.join(_get_torch_home(), "hub") if _hub_dir is None else _hub_dir


def set_dir(d: str | os.PathLike) -> None:
    """Choose the folder of the cache."""
    global _hub_dir
    _hub_dir = os.path.expanduser(d)


# files


def download_url_to_file(url: str, dst: str, hash_prefix: str | None = None, progress: bool = True) -> None:
    """Fetch a file; it appears at `dst` only when it is whole and its SHA-256 sum begins with
    `hash_prefix`.
    """
    target = pathlib.Path(os.path.expanduser(dst))
    part = target.with_name(target.name + ".part")
    fetch(url, part, progress)
    if hash_prefix:
        digest = hashlib.sha256(part.read_bytes()).hexdigest()
        if not digest.startswith(hash_prefix):
            part.unlink()
            raise RuntimeError(f'invalid hash value (expected "{hash_prefix}", got "{digest}")')
    os.replace(part, target)


def load_state_dict_from_url(
    url: str,
    model_dir: str | None = None,
    map_location: Any = None,
    progress: bool = True,
    check_hash: bool = False,
    file_name: str | None = None,
    weights_only: bool = False,
) -> dict[str, Any]:
    """Load weights from a URL, or from the cache where they are already.

    Parameters
    ----------
    model_dir : the folder of the cache (default ``checkpoints`` in `get_dir`).
    check_hash : the file name ends in the beginning of its SHA-256 sum, as in resnet18-f37072fd.pth; check
        it.
    weights_only : as for `flambeau.load`; here the default allows any pickle, as PyTorch has it.
    """
    folder = model_dir or os.path.join(get_dir(), "checkpoints")
    os.makedirs(folder, exist_ok=True)
    name = file_name or os.path.basename(urlparse(url).path)
    path = os.path.join(folder, name)
    if not os.path.exists(path):
        sys.stderr.write(f'Downloading: "{url}" to {path}\n')
        found = HASH_REGEX.search(name) if check_hash else None
        download_url_to_file(url, path, found.group(1) if found else None, progress)
    if _is_packed(path):
        with zipfile.ZipFile(path) as archive:
            (member,) = archive.infolist()
            path = archive.extract(member, folder)
    return fb.load(path, map_location=map_location, weights_only=weights_only)


def _is_packed(path: str) -> bool:
    """Whether a file is a zip archive around one file of weights, as some were published before PyTorch
    1.6.
    """
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist()]
    return len(names) == 1 and "/" not in names[0]


# repositories


def _parse(github: str) -> tuple[str, str, str | None]:
    repo, _, ref = github.partition(":")
    owner, name = repo.split("/")
    return owner, name, ref or None


def _open(url: str) -> Any:
    token = os.environ.get(ENV_GITHUB_TOKEN)
    headers = {"Authorization": f"token {token}"} if token and url.startswith(_GITHUB_API) else None
    return urllib.request.urlopen(request(url, headers), timeout=30)


def _exists(url: str) -> bool:
    try:
        with _open(url):
            return True
    except urllib.error.HTTPError as error:
        if error.code == 404:
            return False
        raise


def _default_ref(owner: str, name: str) -> str:
    """main where there is such a branch, else master; without a network, the one that is in the cache."""
    try:
        return "main" if _exists(f"{_GITHUB}/{owner}/{name}/tree/main/") else "master"
    except urllib.error.URLError as error:
        if isinstance(error, urllib.error.HTTPError):
            raise
        for ref in ("main", "master"):
            if os.path.exists(_cached(owner, name, ref)):
                return ref
        raise RuntimeError(
            "It looks like there is no internet connection and the repo could not be found in the cache "
            f"({get_dir()})"
        ) from error


def _cached(owner: str, name: str, ref: str) -> str:
    return os.path.join(get_dir(), "_".join([owner, name, ref.replace("/", "_")]))


def _validate(owner: str, name: str, ref: str) -> None:
    """That the reference is a branch or tag of this repository, and no commit of somebody's copy of it."""
    base = f"{_GITHUB_API}/repos/{owner}/{name}"
    if not (_exists(f"{base}/branches/{ref}") or _exists(f"{base}/git/ref/tags/{ref}")):
        raise ValueError(
            f"Cannot find {ref} in {_GITHUB}/{owner}/{name}. If it's a commit from a forked repo, please "
            "call hub.load() with forked repo directly."
        )


def _check_trust(owner: str, name: str, ref: str, trust_repo: bool | str | None) -> None:
    os.makedirs(get_dir(), exist_ok=True)
    path = os.path.join(get_dir(), "trusted_list")
    known = f"{owner}_{name}"
    trusted: set[str] = set()
    if os.path.exists(path):
        with open(path) as file:
            trusted = {line.strip() for line in file}
    cached = os.path.exists(_cached(owner, name, ref))
    if trust_repo is None:
        if known not in trusted and not cached:
            warnings.warn(
                "You are about to download and run code from an untrusted repository. In a future release, "
                "this won't be allowed. To add the repository to your trusted list, change the command to "
                "{calling_fn}(..., trust_repo=False) and a command prompt will appear asking for an explicit "
                "confirmation of trust, or load(..., trust_repo=True), which will assume that the prompt is "
                "to be answered with 'yes'. You can also use load(..., trust_repo='check') which will only "
                "prompt for confirmation if the repo is not already trusted. This will eventually be the "
                "default behaviour",
                stacklevel=4,
            )
        return
    ask = (trust_repo is False and known not in trusted) or (
        trust_repo == "check" and known not in trusted and not cached and owner not in _TRUSTED_REPO_OWNERS
    )
    if ask:
        answer = input(
            f"The repository {owner}_{name} does not belong to the list of trusted repositories and as such "
            "cannot be downloaded. Do you trust this repository and wish to add it to the trusted list of "
            "repositories (y/N)?"
        )
        if answer.lower() not in ("y", "yes"):
            raise Exception(
                "Untrusted repository."
                if answer.lower() in ("", "n", "no")
                else f"Unrecognized response {answer}."
            )
    if (ask or trust_repo is True) and known not in trusted:
        with open(path, "a") as file:
            file.write(known + "\n")


def _repository(
    github: str, force_reload: bool, trust_repo: bool | str | None, verbose: bool, skip_validation: bool
) -> str:
    """The folder of a repository, fetched if it is not in the cache."""
    owner, name, ref = _parse(github)
    os.makedirs(get_dir(), exist_ok=True)
    ref = ref or _default_ref(owner, name)
    folder = _cached(owner, name, ref)
    _check_trust(owner, name, ref, trust_repo)
    if os.path.exists(folder) and not force_reload:
        if verbose:
            sys.stderr.write(f"Using cache found in {folder}\n")
        return folder
    if not skip_validation:
        _validate(owner, name, ref)
    url = f"{_GITHUB}/{owner}/{name}/zipball/{ref}"
    sys.stderr.write(f'Downloading: "{url}" to {folder}.zip\n')
    with tempfile.TemporaryDirectory(dir=get_dir()) as work:
        packed = pathlib.Path(work, "repository.zip")
        fetch(url, packed, progress=False)
        with zipfile.ZipFile(packed) as archive:
            archive.extractall(work)
            top = archive.infolist()[0].filename.split("/")[0]
        if os.path.exists(folder):
            shutil.rmtree(folder)
        os.replace(os.path.join(work, top), folder)
    return folder


def _import(folder: str) -> ModuleType:
    """The module of the file hubconf.py in a folder, which may import its neighbours."""
    sys.path.insert(0, folder)
    try:
        spec = importlib.util.spec_from_file_location(MODULE_HUBCONF, os.path.join(folder, MODULE_HUBCONF))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(folder)
    missing = [
        name for name in getattr(module, VAR_DEPENDENCY, None) or () if importlib.util.find_spec(name) is None
    ]
    if missing:
        raise RuntimeError(f"Missing dependencies: {', '.join(missing)}")
    return module


def _entry(module: ModuleType, name: str) -> Callable:
    if not isinstance(name, str):
        raise ValueError("Invalid input: model should be a string of function name")
    function = getattr(module, name, None)
    if not callable(function):
        raise RuntimeError(f"Cannot find callable {name} in hubconf")
    return function


def list(
    github: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str | None = "check",
    verbose: bool = True,
) -> Any:
    """The names of the models that a repository offers."""
    module = _import(_repository(github, force_reload, trust_repo, verbose, skip_validation))
    return [name for name in dir(module) if callable(getattr(module, name)) and not name.startswith("_")]


def help(
    github: str,
    model: str,
    force_reload: bool = False,
    skip_validation: bool = False,
    trust_repo: bool | str | None = "check",
) -> str | None:
    """The description of a model."""
    folder = _repository(github, force_reload, trust_repo, True, skip_validation)
    return _entry(_import(folder), model).__doc__


def load(
    repo_or_dir: str,
    model: str,
    *args: Any,
    source: str = "github",
    trust_repo: bool | str | None = "check",
    force_reload: bool = False,
    verbose: bool = True,
    skip_validation: bool = False,
    **kwargs: Any,
) -> Any:
    """Make a model by the function of that name in a repository's hubconf.py.

    Parameters
    ----------
    repo_or_dir : "owner/name[:branch or tag]" on GitHub, or with ``source="local"`` a folder.
    trust_repo : whether to run code of a repository that was not trusted before: True, False (ask), "check"
        (ask once).

    The program's own ``import torch`` in the repository needs `flambeau.install_as_torch`.
    """
    source = source.lower()
    if source not in ("github", "local"):
        raise ValueError(f'Unknown source: "{source}". Allowed values: "github" | "local".')
    if source == "github":
        repo_or_dir = _repository(repo_or_dir, force_reload, trust_repo, verbose, skip_validation)
    return _entry(_import(os.path.expanduser(repo_or_dir)), model)(*args, **kwargs)


def __getattr__(name: str) -> Any:
    if name == "tqdm":  # of an optional package, so it is looked for when it is asked for
        return _download.bar()
    raise AttributeError(f"module 'torch.hub' has no attribute '{name}'")
