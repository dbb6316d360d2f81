"""Networks: layers, containers, losses, initial values and what goes with them."""

from flambeau.nn.parameter import Buffer, Parameter, UninitializedBuffer, UninitializedParameter  # isort: skip
from flambeau.nn import functional, init, modules, utils
from flambeau.nn.modules import *  # noqa: F403
from flambeau.nn.modules import __all__ as _layers

__all__ = [
    *_layers,
    "Buffer",
    "Parameter",
    "UninitializedBuffer",
    "UninitializedParameter",
    "functional",
    "init",
    "modules",
    "utils",
]


def factory_kwargs(kwargs: dict | None) -> dict:
    """`device`, `dtype` and `memory_format` of keyword arguments, for a call of a tensor factory.

    They may be given by name or in a dictionary named ``factory_kwargs``; anything else is an error.
    """
    if kwargs is None:
        return {}
    simple = {"device", "dtype", "memory_format"}
    expected = simple | {"factory_kwargs"}
    if not kwargs.keys() <= expected:
        raise TypeError(f"unexpected kwargs {kwargs.keys() - expected}")
    given = dict(kwargs.get("factory_kwargs", {}))
    for name in simple:
        if name in kwargs:
            if name in given:
                raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
            given[name] = kwargs[name]
    return given


def __getattr__(name: str):
    """Load what few programs need at its first use."""
    import importlib

    if name in (
        "attention",
        "common_types",
        "grad",
        "intrinsic",
        "parallel",
        "qat",
        "quantizable",
        "quantized",
    ):
        return importlib.import_module(f"flambeau.nn.{name}")
    if name == "DataParallel":
        return importlib.import_module("flambeau.nn.parallel").DataParallel
    raise AttributeError(f"module 'flambeau.nn' has no attribute {name!r}")
