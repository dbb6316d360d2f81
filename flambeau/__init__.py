"""flambeau: PyTorch's public API on a compact C++20 core. Programs say ``import flambeau as torch``."""

from flambeau import _C

_C._check_interpreter()

# The core's functions and types are the package's. Many have the name of a builtin (`float`, `max`), so this file  # noqa: E501
# defines nothing else; what is not there yet when it is asked for is found by `_lookup.find`.
globals().update({name: value for name, value in vars(_C).items() if not name.startswith("_")})
_VF = _C._VariableFunctions
_C._VariableFunctionsClass = _VF  # by this name PyTorch pickles its functions
_TensorBase = _C.Tensor

from flambeau import _lookup, _tensor  # noqa: E402, F401
from flambeau._basics import *  # noqa: E402, F403
from flambeau.torch_version import __version__  # noqa: E402, F401

_C.__getattr__, _C._nn.__getattr__ = _lookup.find_in_core, _lookup.find_in_nn


def __getattr__(name: str):
    value = _lookup.find(name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return _lookup.names()
