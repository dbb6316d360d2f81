"""The `__torch_function__` protocol: subclasses and modes that take over calls of the public functions."""

from __future__ import annotations

import contextlib
import functools
import types
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import flambeau as fb
from flambeau import _C
from flambeau._protocol import (  # noqa: F401
    BaseTorchFunctionMode,
    TorchFunctionMode,
    _as_passed,
    _get_current_function_mode,
    _get_current_function_mode_stack,
    _get_overloaded_args,
    _pop_mode,
    _pop_mode_temporarily,
    _push_mode,
    _signature,
    handle_torch_function,
    has_torch_function,
    has_torch_function_unary,
    has_torch_function_variadic,
)

__all__ = [
    "get_ignored_functions", "get_overridable_functions", "get_testing_overrides", "handle_torch_function",
    "has_torch_function",
    "resolve_name", "is_tensor_like", "is_tensor_method_or_property", "wrap_torch_function",
    "TorchFunctionMode",
    "BaseTorchFunctionMode",
    "enable_reentrant_dispatch",
    "redispatch_function",
]  # fmt: skip

_PAIRS = (  # what PyTorch calls a function when it returns indices as well
    "max_pool1d", "max_pool2d", "max_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d", "fractional_max_pool2d", "fractional_max_pool3d",
)  # fmt: skip


def _ask_public(function: Callable, /, *args: Any, **kwargs: Any) -> Any:
    """A call of a function of nn.functional or nn.init that a mode or an argument may take over.

    Types and modes with the attribute ``_sees_operators`` are asked about the operators inside instead: those
    of this package that PyTorch has below ``__torch_function__``.
    """
    asked = {type(a) for a in _get_overloaded_args((*args, *kwargs.values()))} - {fb.Tensor}
    if (mode := _get_current_function_mode()) is not None:
        asked.add(type(mode))
    if asked and all(getattr(kind, "_sees_operators", False) for kind in asked):
        return function.__wrapped__(*args, **kwargs)
    signature = _signature(function)
    by_place, by_name = _as_passed(signature, args, kwargs)
    if vars(function).get("_all_by_name"):
        by_name = dict(zip(signature.parameters, by_place)) | by_name
        by_place = ()
        if by_name.get("generator", function) is None and function.__name__ in ("normal_", "uniform_"):
            del by_name["generator"]
    elif by_name.get("return_indices") and function.__name__ in _PAIRS:
        function = getattr(fb.nn.functional, function.__name__ + "_with_indices")
    return handle_torch_function(function, (*args, *kwargs.values()), *by_place, **by_name)


def wrap_torch_function(dispatcher: Callable) -> Callable:
    """Decorator that gives a function of one's own the protocol; `dispatcher` names its arguments that may
    take over."""

    def decorate(func: Callable) -> Callable:
        @functools.wraps(func)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(wrapped, relevant, *args, **kwargs)
            return func(*args, **kwargs)

        return wrapped

    return decorate


@contextlib.contextmanager
def enable_reentrant_dispatch() -> Iterator[None]:
    """Inside a ``__torch_dispatch__``: record for autograd again, as outside of it."""
    with fb.enable_grad():
        yield


def redispatch_function(func: Callable, types: Iterable, args: Iterable, kwargs: dict | None = None) -> Any:
    """Run a function inside ``__torch_function__`` without asking for this call; what it calls is asked
    about.

    Parameters
    ----------
    func, types, args, kwargs : as ``__torch_function__`` got them.
    """
    return _C._redispatch_function(func, types, args, kwargs)


@contextlib.contextmanager
def _enable_torch_function() -> Iterator[None]:
    with _C._EnableTorchFunction():
        yield


def is_tensor_like(inp: Any) -> bool:
    """Whether an object is a tensor or takes part in the protocol."""
    return type(inp) is fb.Tensor or hasattr(inp, "__torch_function__")


# public functions that run no operator on tensor arguments, so that nobody can take them over
_IGNORED = """
typename is_tensor is_storage set_default_tensor_type set_default_device get_default_device set_rng_state
get_rng_state manual_seed
initial_seed seed save load set_printoptions fork get_default_dtype get_num_interop_threads get_num_threads
import_ir_module
init_num_threads is_anomaly_enabled is_anomaly_check_nan_enabled is_grad_enabled parse_ir parse_schema
parse_type_comment
set_anomaly_enabled set_flush_denormal set_num_interop_threads set_num_threads wait as_tensor from_numpy
get_device tensor
default_generator has_cuda has_cudnn has_lapack device dtype finfo has_mkl has_mps has_mkldnn has_openmp iinfo
memory_format qscheme
set_grad_enabled no_grad enable_grad inference_mode is_inference_mode_enabled layout align_tensors arange
as_strided bartlett_window
blackman_window broadcast_shapes can_cast compile empty empty_permuted empty_strided eye fft_fftfreq
fft_rfftfreq from_file full
fill hamming_window hann_window kaiser_window linspace logspace ones promote_types rand randn randint randperm
range result_type
scalar_tensor sparse_coo_tensor sparse_compressed_tensor sparse_csr_tensor sparse_csc_tensor sparse_bsr_tensor
sparse_bsc_tensor
tril_indices triu_indices vander zeros cudnn_is_acceptable set_autocast_enabled is_autocast_enabled
clear_autocast_cache
set_autocast_dtype get_autocast_dtype autocast_increment_nesting autocast_decrement_nesting
is_autocast_cache_enabled
set_autocast_cache_enabled use_deterministic_algorithms are_deterministic_algorithms_enabled
set_deterministic_debug_mode
get_deterministic_debug_mode set_float32_matmul_precision get_float32_matmul_precision set_warn_always
is_warn_always_enabled
frombuffer asarray from_dlpack get_default_dtype set_default_dtype compiled_with_cxx11_abi
is_deterministic_algorithms_warn_only_enabled
""".split()
_IGNORED_METHODS = """
__delitem__ __dir__ __getattribute__ __init__ __iter__ __init_subclass__ __delattr__ __setattr__
__torch_function__
__torch_dispatch__ __new__ __class__ __subclasshook__ __hash__ __eq__ __reduce_ex__ __reduce__ __getstate__
as_subclass eig lstsq
reinforce new new_tensor new_empty new_empty_strided new_zeros new_ones new_full _make_subclass solve symeig
stride unflatten
to_sparse_coo to_sparse_csr _typed_storage _reduce_ex_internal _fix_weakref _view_func _view_func_unsafe
_make_wrapper_subclass
_use_count _has_symbolic_sizes_strides
""".split()


@functools.lru_cache(None)
def get_ignored_functions() -> set[Callable]:
    """Public functions that the protocol never sees."""
    found = {getattr(fb, n) for n in _IGNORED if hasattr(fb, n)}
    for name in _IGNORED_METHODS:
        if hasattr(fb.Tensor, name):
            method = getattr(fb.Tensor, name)
            try:
                found.add(method)
            except TypeError:
                continue
    return found


def get_default_nowrap_functions() -> set[Callable]:
    """Attributes whose result is returned as it is, not turned into the subclass."""
    names = ("_base", "grad", "_grad")
    return {getattr(fb.Tensor, n).__get__ for n in names if hasattr(fb.Tensor, n)}


@functools.lru_cache(None)
def _overridable() -> tuple[dict[Any, list[Callable]], dict[Callable, str]]:
    functions: dict[Any, list[Callable]] = {}
    names: dict[Callable, str] = {}
    ignored = get_ignored_functions()
    spaces = [
        ("torch", fb, dir(fb)),
        ("torch.functional", fb.functional, getattr(fb.functional, "__all__", ())),
        ("torch.nn.functional", fb.nn.functional, dir(fb.nn.functional)),
        ("torch.nn.init", fb.nn.init, dir(fb.nn.init)),
        ("torch.Tensor", fb.Tensor, dir(fb.Tensor)),
        ("torch.linalg", fb.linalg, dir(fb.linalg)),
        ("torch.fft", fb.fft, dir(fb.fft)),
        ("torch.special", fb.special, dir(fb.special)),
    ]
    for prefix, space, attributes in spaces:
        found: list[Callable] = []
        is_tensor = space is fb.Tensor
        for name in attributes:
            hidden = name.startswith("_") and not (is_tensor and name.startswith("__"))
            f = getattr(space, name, None)
            if isinstance(f, (types.ModuleType, type)) or f is None:
                continue
            if is_tensor and getattr(object, name, None) is f:
                continue
            if is_tensor and not callable(f):
                if hasattr(f, "__get__"):
                    if not hidden:
                        found.append(f.__get__)
                    names[f.__get__] = f"{prefix}.{name}.__get__"
                    if hasattr(f, "__set__"):
                        names[f.__set__] = f"{prefix}.{name}.__set__"
                continue
            if not callable(f):
                continue
            try:
                seen = not hidden and f not in ignored
            except TypeError:
                continue
            if not is_tensor and _is_python_helper(f, space):
                continue
            if seen:
                found.append(f)
            if is_tensor and name in ("__long__", "__nonzero__"):  # second names
                continue
            if prefix != "torch.special" or getattr(fb, name, None) is not f:  # there two functions, here one
                names[f] = f"{prefix}.{name}"  # the last one that has it, as in PyTorch
        functions[space] = found
    return functions, names


def _is_python_helper(f: Callable, space: Any) -> bool:
    """Imported names (typing, decorators) that are not functions of the space."""
    module = getattr(f, "__module__", None) or ""
    return isinstance(f, types.FunctionType) and module.split(".")[0] not in ("flambeau", "torch")


def get_overridable_functions() -> dict[Any, list[Callable]]:
    """Public functions that the protocol sees, by the namespace they live in."""
    return {space: list(found) for space, found in _overridable()[0].items()}


def resolve_name(f: Callable) -> str | None:
    """The public name of a function that the protocol sees, such as ``torch.Tensor.add``."""
    if isinstance(f, str):
        return f
    return _overridable()[1].get(f)


def is_tensor_method_or_property(func: Callable) -> bool:
    """Whether a function of the protocol is a method or attribute of `Tensor`."""
    return func in _tensor_methods() or getattr(func, "__name__", None) == "__get__"


@functools.lru_cache(None)
def _tensor_methods() -> set[Callable]:
    return set(_overridable()[0][fb.Tensor])


@functools.lru_cache(None)
def get_testing_overrides() -> dict[Callable, Callable]:
    """For every function of the protocol, one that takes any arguments and returns -1: stand-ins for tests of
    subclasses."""

    def stand_in(*args: Any, **kwargs: Any) -> int:
        return -1

    return {f: stand_in for found in _overridable()[0].values() for f in found}
