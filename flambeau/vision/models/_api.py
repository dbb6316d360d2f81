"""Published weights and the register of models: what `models.get_model` and its companions look into.

The table of published weights is ``published.json``: file names, transforms and facts about each file, and
the lists of class names.
"""

from __future__ import annotations

import fnmatch
import functools
import inspect
import json
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from flambeau import nn
from flambeau.hub import load_state_dict_from_url

from ..transforms import InterpolationMode, _presets

__all__ = [
    "Weights",
    "WeightsEnum",
    "get_model",
    "get_model_builder",
    "get_model_weights",
    "get_weight",
    "list_models",
]

_FOLDER = "https://download.pytorch.org/models/"
_BUILDERS: dict[str, Callable[..., nn.Module]] = {}
_WEIGHTS: dict[str, type[WeightsEnum]] = {}
Network = TypeVar("Network", bound=nn.Module)


@dataclass(eq=False)
class Weights:
    """One published file of weights.

    Parameters
    ----------
    url : where the file is
    transforms : makes the module that prepares pictures for the network
    meta : facts: number of parameters, names of classes, accuracy
    """

    url: str
    transforms: Callable[..., nn.Module]
    meta: dict[str, Any]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weights):
            return NotImplemented
        mine, theirs = self.transforms, other.transforms
        if isinstance(mine, functools.partial) and isinstance(theirs, functools.partial):
            same = (mine.func, mine.args, mine.keywords) == (theirs.func, theirs.args, theirs.keywords)
        else:
            same = mine == theirs
        return same and self.url == other.url and self.meta == other.meta


class WeightsEnum(Enum):
    """The published weights of one model; `DEFAULT` is the best of them."""

    @classmethod
    def verify(cls, obj: Any) -> Any:
        """The member that `obj` (a member, its name or None) stands for."""
        if obj is None:
            return None
        if isinstance(obj, str):
            return cls[obj.replace(cls.__name__ + ".", "")]
        if not isinstance(obj, cls):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received "
                f"{obj.__class__.__name__}."
            )
        return obj

    def get_state_dict(self, *args: Any, **kwargs: Any) -> Mapping[str, Any]:
        """Fetch the file unless it is in the cache; see `flambeau.hub.load_state_dict_from_url`."""
        return load_state_dict_from_url(self.url, *args, **kwargs)

    @property
    def url(self) -> str:
        return self.value.url

    @property
    def transforms(self) -> Callable[..., nn.Module]:
        return self.value.transforms

    @property
    def meta(self) -> dict[str, Any]:
        return self.value.meta

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}.{self._name_}"

    def __deepcopy__(self, memo: dict) -> WeightsEnum:
        return self


@functools.cache
def _table() -> dict[str, Any]:
    return json.loads(Path(__file__).with_name("published.json").read_text(encoding="utf-8"))


def _preparation(name: str, options: dict[str, Any] | None) -> Callable[..., nn.Module]:
    make = getattr(_presets, name)
    if options is None:
        return make
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    if "interpolation" in options:
        options["interpolation"] = InterpolationMode(options["interpolation"])
    return functools.partial(make, **options)


def published(name: str, module: str) -> Any:
    """The enum of the weights that the table lists under `name`, as a class of `module`."""
    entry = _table()["weights"][name]
    members = {}
    for member, facts in entry["members"].items():
        meta = dict(facts["meta"])
        for key in ("categories", "keypoint_names"):
            if isinstance(meta.get(key), str):
                meta[key] = _table()["categories"][meta[key]]
        if "min_size" in meta:
            meta["min_size"] = tuple(meta["min_size"])
        members[member] = Weights(_FOLDER + facts["file"], _preparation(*facts["transforms"]), meta)
    members["DEFAULT"] = members[entry["default"]]
    return WeightsEnum(name, members, module=module)


def _is_meant(
    kwargs: dict[str, Any], name: str, cls: type[WeightsEnum], legacy: str | None, model_name: str
) -> None:
    """Turn ``pretrained=True`` and its like into a member of the enum, with torchvision's warnings."""
    old_name = name.replace("weights", "pretrained")
    if name not in kwargs and old_name in kwargs:
        warnings.warn(
            f"The parameter '{old_name}' is deprecated since 0.13 and may be removed in the future, "
            f"please use '{name}' instead.",
            stacklevel=3,
        )
        kwargs[name] = kwargs.pop(old_name)
    value = kwargs.get(name)
    if name not in kwargs or value is None or isinstance(value, (str, WeightsEnum)):
        return
    if value and legacy is None:
        raise ValueError(f"No weights available for model {model_name}")
    member = cls[legacy] if value and legacy else None
    note = (
        f" You can also use `{name}={cls.__name__}.DEFAULT` to get the most up-to-date weights."
        if member
        else ""
    )
    warnings.warn(
        f"Arguments other than a weight enum or `None` for '{name}' are deprecated since 0.13 and may be "
        f"removed in the future. The current behavior is equivalent to passing `{name}={member!r}`.{note}",
        stacklevel=3,
    )
    kwargs[name] = member


def model(
    cls: type[WeightsEnum], backbone: type[WeightsEnum] | None = None, backbone_legacy: str = "IMAGENET1K_V1"
) -> Callable[[Callable[..., Network]], Callable[..., Network]]:
    """Register a function as the maker of a model with weights `cls`, its backbone's being `backbone`.

    The function gets members of the enums only: names of members are looked up, ``pretrained=True`` is
    translated.
    """
    legacy = _table()["weights"][cls.__name__]["legacy"]

    def decorate(build: Callable[..., Network]) -> Callable[..., Network]:
        by_keyword = [
            p.name for p in inspect.signature(build).parameters.values() if p.kind is p.KEYWORD_ONLY
        ]

        @functools.wraps(build)
        def builder(*args: Any, **kwargs: Any) -> Network:
            if args:
                names = [f"'{name}'" for name in by_keyword[: len(args)]]
                listed = ", ".join(names[:-1]) + " and " * (len(names) > 1) + names[-1]
                warnings.warn(
                    f"Using {listed} as positional parameter(s) is deprecated since 0.13 and may be removed "
                    "in the future. Please use keyword parameter(s) instead.",
                    stacklevel=2,
                )
                kwargs.update(zip(by_keyword, args, strict=False))
            _is_meant(kwargs, "weights", cls, legacy, build.__name__)
            kwargs["weights"] = cls.verify(kwargs.get("weights"))
            if backbone is not None:
                _is_meant(kwargs, "weights_backbone", backbone, backbone_legacy, build.__name__)
                if "weights_backbone" in kwargs:
                    kwargs["weights_backbone"] = backbone.verify(kwargs["weights_backbone"])
            return build(**kwargs)

        if build.__name__ in _BUILDERS:
            raise ValueError(f"An entry is already registered under the name '{build.__name__}'.")
        _BUILDERS[build.__name__], _WEIGHTS[build.__name__] = builder, cls
        return builder

    return decorate


def require(kwargs: dict[str, Any], name: str, value: Any) -> None:
    """Set an argument that weights determine; the caller may have given the same value."""
    if kwargs.setdefault(name, value) != value:
        raise ValueError(f"The parameter '{name}' expected value {value} but got {kwargs[name]} instead.")


def construct(
    make: Callable[..., Network], *args: Any, weights: WeightsEnum | None, progress: bool, **kwargs: Any
) -> Network:
    """A network with as many outputs as the weights have classes, and with these weights."""
    if weights is not None and weights.meta["categories"] is not None:
        require(kwargs, "num_classes", len(weights.meta["categories"]))
    network = make(*args, **kwargs)
    return load(network, weights, progress)


def load(network: Network, weights: WeightsEnum | None, progress: bool) -> Network:
    """Fetch weights, if any, into a network."""
    if weights is not None:
        network.load_state_dict(weights.get_state_dict(progress=progress, check_hash=True))
    return network


def list_models(
    module: ModuleType | None = None,
    include: Iterable[str] | str | None = None,
    exclude: Iterable[str] | str | None = None,
) -> list[str]:
    """The names of the models, sorted.

    Parameters
    ----------
    module : only those of this module, such as ``models.detection``
    include, exclude : patterns as of file names, such as ``"resnet*"``
    """
    names = {
        name
        for name, builder in _BUILDERS.items()
        if module is None or builder.__module__.rpartition(".")[0] == module.__name__
    }

    def matching(patterns: Iterable[str] | str) -> set[str]:
        patterns = [patterns] if isinstance(patterns, str) else list(patterns)
        return {name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)}

    if include:
        names = matching(include)
    if exclude:
        names -= matching(exclude)
    return sorted(names)


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that makes the model of this name."""
    try:
        return _BUILDERS[name.lower()]
    except KeyError:
        raise ValueError(f"Unknown model {name}") from None


def get_model(name: str, **config: Any) -> nn.Module:
    """The model of this name, made with the keywords."""
    return get_model_builder(name)(**config)


def get_model_weights(name: Callable[..., nn.Module] | str) -> type[WeightsEnum]:
    """The enum of the published weights of a model, by its name or its function."""
    name = name if isinstance(name, str) else name.__name__
    get_model_builder(name)
    return _WEIGHTS[name.lower()]


def get_weight(name: str) -> WeightsEnum:
    """Published weights by their full name, such as ``"ResNet50_Weights.IMAGENET1K_V2"``."""
    enum_name, dot, member = name.partition(".")
    if not dot:
        raise ValueError(f"Invalid weight name provided: '{name}'.")
    for cls in _WEIGHTS.values():
        if cls.__name__ == enum_name:
            return cls[member]
    raise ValueError(f"The weight enum '{enum_name}' for the specific method couldn't be retrieved.")
