"""Where the package finds what it does not load at import: subpackages, Python operators, other names."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

# module -> names that the package shows
_HOMES = {
    "autograd": "Function Variable",
    "autograd.grad_mode": "no_grad enable_grad set_grad_enabled inference_mode",
    "random": "seed initial_seed manual_seed get_rng_state set_rng_state thread_safe_generator",
    "serialization": "save load",
    "classes": "ScriptObject",
    "serialization.reader": "PyTorchFileReader",
    "_limits": "finfo iinfo",
    "_tensor_str": "set_printoptions",
    "storage": """
        StorageBase TypedStorage DoubleStorage FloatStorage HalfStorage LongStorage IntStorage ShortStorage
        CharStorage ByteStorage Storage QInt8Storage QInt32Storage QUInt8Storage
        QUInt4x2Storage QUInt2x4Storage BoolStorage BFloat16Storage ComplexDoubleStorage ComplexFloatStorage
    """,
    "_legacy": """
        DoubleTensor FloatTensor HalfTensor BFloat16Tensor LongTensor IntTensor ShortTensor CharTensor
        ByteTensor BoolTensor set_default_tensor_type
    """,
    "_private": """
        _assert_async _int_mm _is_all_true _is_any_true _nested_view_from_jagged _shape_as_tensor
        _amp_foreach_non_finite_check_and_unscale_ _amp_update_scale_ _grouped_mm _segment_reduce
        _nested_compute_contiguous_strides_offsets _nested_view_from_buffer
        _cast_Byte _cast_Char _cast_Short _cast_Int _cast_Long _cast_Half _cast_Float _cast_Double
    """,
    "_scaled_products": """
        _scaled_mm
    """,
    "_constants": """
        AVG SUM AggregationType qscheme per_tensor_affine per_channel_affine per_tensor_symmetric
        per_channel_symmetric per_channel_affine_float_qparams
    """,
    "quantized.convert": """
        quantize_per_tensor quantize_per_channel quantize_per_tensor_dynamic choose_qparams_optimized
        empty_quantized _empty_affine_quantized _empty_per_channel_affine_quantized _choose_qparams_per_tensor
        _make_per_tensor_quantized_tensor _make_per_channel_quantized_tensor
    """,
    "quantized.cells": """
        quantized_gru_cell quantized_lstm_cell quantized_rnn_relu_cell quantized_rnn_tanh_cell
    """,
    "utils.dlpack": "to_dlpack",
    "_removed": "eig lstsq matrix_rank solve symeig",
    "_streams": "Stream Event AcceleratorError",
    "_symbols": "SymInt SymFloat SymBool",
    "ops.uncommon": "from_file cond lobpcg",
    "_higher_order_ops": "while_loop",
    "compat": "install_as_torch uninstall_as_torch",
    "amp": "autocast GradScaler",
    "amp.state": """
        is_autocast_enabled set_autocast_enabled get_autocast_dtype set_autocast_dtype
        is_autocast_cpu_enabled set_autocast_cpu_enabled get_autocast_cpu_dtype set_autocast_cpu_dtype
        get_autocast_gpu_dtype set_autocast_gpu_dtype is_autocast_cache_enabled
        set_autocast_cache_enabled clear_autocast_cache autocast_increment_nesting
        autocast_decrement_nesting
        is_autocast_ipu_enabled set_autocast_ipu_enabled get_autocast_ipu_dtype set_autocast_ipu_dtype
        is_autocast_xla_enabled set_autocast_xla_enabled get_autocast_xla_dtype set_autocast_xla_dtype
    """,
    "_checks": """
        _assert _check _check_index _check_is_size _check_not_implemented _check_tensor_all
        _check_tensor_all_with _check_type _check_value _check_with
    """,
    "compiler": "compile",
    "_basics": "set_vital",
    "jit": "ScriptModule ScriptFunction",
    "futures": "Future",
    "func": "vmap",
    "seeing": "summary graph doctor",
    "_ops": "Tag",
    "_schema": """
        FunctionSchema Argument TensorType IntType FloatType BoolType StringType NumberType ComplexType
        SymIntType DeviceObjType ListType OptionalType NoneType AnyType JitType
    """,
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}


@functools.cache
def _entries() -> frozenset[str]:
    """What the files of this package are called: no other name can be one of its modules."""
    places = sys.modules["flambeau"].__path__
    return frozenset(entry.partition(".")[0] for place in places for entry in os.listdir(place))


def _module(name: str) -> Any:
    full = "flambeau." + name
    if full not in sys.modules and (
        name.partition(".")[0] not in _entries() or importlib.util.find_spec(full) is None
    ):
        return None
    return importlib.import_module(full)  # waits for another thread that is loading it


def find(name: str) -> Any:
    """The public object of a name; raises AttributeError where there is none yet."""
    if name == "torch":  # PyTorch's package shows itself under its own name
        return sys.modules["flambeau"]
    if name in ("__config__", "__future__"):
        return _module(name)
    if not name.startswith("__"):
        home = _HOME_OF.get(name)
        if home is not None and (module := _module(home)) is not None:
            value = getattr(module, name)
            if home.startswith("_") and isinstance(value, type) and value.__module__ == module.__name__:
                value.__module__ = "flambeau"  # not in a private file, for its `repr` and pickles
            return value
        if name.startswith("_foreach_"):
            from . import _foreach

            if (function := _foreach.find(name)) is not None:
                return function
        from .ops import registry

        if (operator := registry.find(name)) is not None:
            return operator
        if name.isidentifier() and (module := _module(name)) is not None:
            return module
        package = sys.modules["flambeau"]
        if (function := getattr(package._VF, name, None)) is not None:
            return function
    raise AttributeError(f"module 'torch' has no attribute '{name}'\nflambeau does not have `{name}` yet")


def find_in_core(name: str) -> Any:
    """A name of ``torch._C`` that the core itself does not have."""
    if not name.startswith("__"):
        from ._core_names import CORE, ELSEWHERE, MODULES

        if name in CORE:
            return CORE[name]
        if name in ELSEWHERE:
            return getattr(_module(ELSEWHERE[name]), name)
        if name in MODULES:
            return _module(MODULES[name])
    raise AttributeError(f"module 'torch._C' has no attribute '{name}'")


def find_in_nn(name: str) -> Any:
    """The same of ``torch._C._nn``."""
    if not name.startswith("__"):
        from ._core_names import NN

        if name in NN:
            return NN[name]
    raise AttributeError(f"module 'torch._C._nn' has no attribute '{name}'")


def lazy(package: str, homes: Mapping[str, str], modules: Iterable[str] = ()) -> Callable[[str], Any]:
    """``__getattr__`` of a subpackage that loads its names (name -> module) and modules when they are asked
    for.
    """

    def get(name: str) -> Any:
        if name in homes:
            return getattr(importlib.import_module("." + homes[name], package), name)
        if name in modules:
            return importlib.import_module("." + name, package)
        raise AttributeError(f"module '{package}' has no attribute '{name}'")

    return get


def names() -> list[str]:
    """Everything the package shows, loaded or not."""
    import pkgutil

    from .ops import registry

    package = sys.modules["flambeau"]
    modules = [m.name for m in pkgutil.iter_modules(package.__path__) if not m.name.startswith("_")]
    return sorted({*vars(package), *_HOME_OF, *registry.names(), *modules})
