"""Functions of the package that are no operators: questions about objects, and settings."""

from __future__ import annotations

import functools
import math
import warnings
from typing import Any

from flambeau import _C

from ._type_names import type_word

__all__ = [
    "is_tensor",
    "is_storage",
    "typename",
    "set_default_dtype",
    "set_default_device",
    "get_default_device",
    "is_warn_always_enabled",
    "set_warn_always",
    "use_deterministic_algorithms",
    "are_deterministic_algorithms_enabled",
    "is_deterministic_algorithms_warn_only_enabled",
    "set_deterministic_debug_mode",
    "get_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "get_float32_matmul_precision",
    "compiled_with_cxx11_abi",
    "is_distributed",
    "from_dlpack",
    "asarray",
    "get_num_interop_threads",
    "set_num_interop_threads",
    "set_flush_denormal",
    "get_device",
    "get_file_path",
    "sym_int",
    "sym_float",
    "sym_not",
    "sym_max",
    "sym_min",
    "numel",
    "is_floating_point",
    "is_complex",
    "is_signed",
    "is_conj",
    "is_neg",
    "is_inference",
    "is_same_size",
    "resolve_conj",
    "resolve_neg",
    "is_nonzero",
    "get_device_module",
    "e",
    "inf",
    "nan",
    "pi",
    "newaxis",
    "legacy_contiguous_format",
    "sym_ite",
    "sym_sqrt",
    "sym_sum",
    "has_lapack",
    "has_mkl",
    "has_openmp",
    "has_spectral",
    "is_vulkan_available",
    "as_strided_",
    "detach_",
    "resize_as_",
    "nonzero",
]

Tensor = _C.Tensor
e, inf, nan, pi, newaxis = math.e, math.inf, math.nan, math.pi, None
legacy_contiguous_format = _C.contiguous_format
has_lapack, has_mkl, has_openmp, has_spectral = True, False, True, True
_settings = {
    "deterministic": False,
    "fill_fresh": True,  # utils.deterministic.fill_uninitialized_memory
    "warn_only": False,
    "warn_always": False,
    "matmul_precision": "highest",
    "interop_threads": 1,
}


def is_tensor(obj: Any, /) -> bool:
    """Whether an object is a tensor."""
    return isinstance(obj, Tensor)


def is_storage(obj: Any, /) -> bool:
    """Whether an object is a storage."""
    if isinstance(obj, _C.UntypedStorage):
        return True
    from .storage import TypedStorage

    return isinstance(obj, TypedStorage)


def typename(obj: Any, /) -> str:
    """The name of an object's type; for a tensor such as ``torch.FloatTensor``."""
    if isinstance(obj, Tensor):
        return obj.type()
    kind = (getattr(obj, "__qualname__", None) and obj) or type(obj)
    module = getattr(kind, "__module__", "") or ""
    name = getattr(kind, "__qualname__", kind.__class__.__qualname__)
    return name if module in ("builtins", "__builtin__", "") else f"{module}.{name}"


def set_default_dtype(d: Any, /) -> None:
    """Set the floating point type of what names none."""
    _C._set_default_dtype(d)


def set_default_device(device: Any) -> None:
    """Set the device on which factories make tensors; None is the CPU."""
    _C._set_default_device(device)


def get_default_device() -> Any:
    """The device on which factories make tensors."""
    return _C._get_factory_device()


def set_vital(vital: str, attribute: str, value: str) -> None:
    """Kept for old programs: it warns and does nothing."""
    warnings.warn("'set_vital' is deprecated, please do not call", stacklevel=2)


def set_warn_always(b: bool, /) -> None:
    """Whether warnings that usually appear once appear every time."""
    if not isinstance(b, bool):
        raise RuntimeError(f"setWarnOnlyOnce expects a bool, but got {type(b).__name__}")
    _settings["warn_always"] = b


def is_warn_always_enabled() -> bool:
    """Whether warnings appear every time."""
    return _settings["warn_always"]


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that do not depend on timing; the CPU kernels give no others.

    Memory that nothing was written to is filled meanwhile: see ``utils.deterministic``.
    """
    if not isinstance(mode, bool):
        raise TypeError(
            "_set_deterministic_algorithms(): argument 'mode' (position 1) must be bool, not "
            + type(mode).__name__
        )
    _settings.update(deterministic=mode, warn_only=bool(warn_only))
    _C._set_fill_fresh(mode and _settings["fill_fresh"])


def are_deterministic_algorithms_enabled() -> bool:
    """Whether deterministic algorithms were asked for."""
    return _settings["deterministic"]


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether operators without a deterministic algorithm only warn."""
    return _settings["warn_only"]


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Set the switch of `use_deterministic_algorithms` as 0/"default", 1/"warn" or 2/"error"."""
    if not isinstance(debug_mode, (int, str)):
        raise TypeError(f"debug_mode must be str or int, but got {type(debug_mode)}")
    named = {"default": 0, "warn": 1, "error": 2}
    if isinstance(debug_mode, str):
        if debug_mode not in named:
            raise RuntimeError(
                f"invalid value of debug_mode, expected one of `default`, `warn`, `error`, but got {debug_mode}"  # noqa: E501
            )
        debug_mode = named[debug_mode]
    if debug_mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 0, 1, or 2, but got {debug_mode}")
    use_deterministic_algorithms(debug_mode > 0, warn_only=debug_mode == 1)


def get_deterministic_debug_mode() -> int:
    """The switch of `use_deterministic_algorithms` as 0 (off), 1 (warn) or 2 (error)."""
    return (1 if _settings["warn_only"] else 2) if _settings["deterministic"] else 0


def set_float32_matmul_precision(precision: str) -> None:
    """How exact float32 products are: ``highest``, ``high`` or ``medium``; the CPU always uses float32."""
    if precision not in ("highest", "high", "medium"):
        warnings.warn(
            f"{precision} is not one of 'highest', 'high', or 'medium'; the current"
            "setFloat32MatmulPrecision call has no effect.",
            stacklevel=2,
        )
        return
    _settings["matmul_precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was given."""
    return _settings["matmul_precision"]


def compiled_with_cxx11_abi() -> bool:
    """Whether the core was compiled with the current C++ ABI: always."""
    return True


def checked(*overloads: str, method: bool = False, out: bool = False) -> Any:
    """Decorator of a function that is no operator: schemas check its arguments, in PyTorch's words."""

    @functools.cache
    def check() -> Any:
        return _C._ArgumentCheck(overloads, method, out)

    def decorate(body: Any) -> Any:
        @functools.wraps(body)
        def made(*args: Any, **kwargs: Any) -> Any:
            check()(*args, **kwargs)
            return body(*args, **kwargs)

        return made

    return decorate


@checked("is_distributed(Tensor self) -> bool")
def is_distributed(input: Any) -> bool:
    """Whether a tensor lies on several processes: never."""
    return False


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor that shares the memory of another library's array.

    Parameters
    ----------
    ext_tensor : an object with ``__dlpack__``, or a DLPack capsule.
    device : where the result shall be.
    copy : True makes a copy, False refuses to make one, None copies where it must.
    """
    if device is not None and not isinstance(device, (str, _C.device)):
        raise AssertionError(f"from_dlpack: unsupported device type: {type(device)}")
    if isinstance(ext_tensor, Tensor):
        ext_tensor.__dlpack_device__()  # refuses the devices that have no number there
    return _C._from_dlpack(ext_tensor, device, copy)


_MISSING: Any = object()  # stands for an argument that was not given


def _missing(function: str, name: str) -> TypeError:
    """PyTorch's message, plural and all, for one argument that was not given."""
    return TypeError(f'{function}() missing 1 required positional arguments: "{name}"')


def asarray(
    obj: Any = _MISSING, *others: Any, dtype: Any = None, device: Any = None, copy: bool | None = None,
    requires_grad: bool | None = None,
) -> Tensor:  # fmt: skip
    """A tensor of any data, sharing its memory where it can.

    Parameters
    ----------
    obj : a tensor, an array, an object with ``__dlpack__`` or the buffer protocol, nested numbers.
    dtype, device : of the result (default: those of `obj`).
    copy : True makes a copy, False refuses to make one, None copies where it must.
    requires_grad : False cuts the history of a tensor, None keeps it, True makes a leaf where there is none.
    """
    if obj is _MISSING:
        raise _missing("asarray", "obj")
    if others:
        raise TypeError(f"asarray() takes 1 positional argument but {1 + len(others)} were given")
    alias = True
    if isinstance(obj, Tensor):
        made = obj
    elif type(obj).__module__ == "numpy" and hasattr(obj, "__array_interface__"):
        made = _C.from_numpy(obj) if type(obj).__name__ == "ndarray" else _C.tensor(obj)
    elif hasattr(obj, "__dlpack__") or type(obj).__name__ == "PyCapsule":
        made = from_dlpack(obj)
    elif isinstance(obj, (bytes, bytearray, memoryview)):
        made = _C.frombuffer(obj, dtype=dtype or _C.get_default_dtype())
    else:
        made, alias = _C.tensor(obj, dtype=dtype, device=device), False
    if not alias and copy is False:
        raise ValueError("can't alias arbitrary sequence into a tensor.")
    wanted = made.dtype if dtype is None else dtype
    place = made.device if device is None else _C.device(device)
    if copy is False:
        if place != made.device:
            raise ValueError(f"can't alias tensor from device '{made.device}' to '{place}'.")
        if wanted != made.dtype:
            raise ValueError(
                f"can't alias tensor with dtype '{type_word(made.dtype)}' into dtype '{type_word(wanted)}'."
            )
    if wanted != made.dtype or place != made.device:
        made = made.to(device=place, dtype=wanted)
    elif copy:
        made = made.clone()
    if requires_grad and not made.requires_grad:
        made = made.detach() if made is obj else made
        made.requires_grad_()
    elif requires_grad is False and made.requires_grad:
        made = made.detach()
    return made


def get_num_interop_threads() -> int:
    """How many threads run independent operations at once."""
    return _settings["interop_threads"]


def set_num_interop_threads(n: int, /) -> None:
    """Accepted for compatibility: operations of one thread run one after the other."""
    if n <= 0:
        raise RuntimeError("set_num_interop_threads expects a positive integer")
    _settings["interop_threads"] = int(n)


def set_flush_denormal(mode: bool, /) -> bool:
    """Whether floating-point numbers below the smallest normal one count as zero, in all threads.

    Returns whether the CPU can (x86-64 can).
    """
    if not isinstance(mode, bool):
        raise RuntimeError(f"flush_denormal expects a bool, but got {type(mode).__name__}")
    return _C.set_flush_denormal(mode)


def get_device_module(device: Any = None) -> Any:
    """The module of a device type, such as `flambeau.cuda`."""
    import importlib

    kind = _C.device(device).type if device is not None else "cpu"
    return importlib.import_module(f"flambeau.{kind}")


def get_file_path(*path_components: str) -> str:
    """A path inside the installed package."""
    import os

    return os.path.join(os.path.dirname(os.path.dirname(__file__)), *path_components)


def sym_int(a: Any) -> int:
    """`int` that also takes symbolic numbers elsewhere."""
    return int(a)


def sym_float(a: Any) -> float:
    """`float` that also takes symbolic numbers elsewhere."""
    return float(a)


def sym_not(a: Any) -> bool:
    """`not` that also takes symbolic numbers elsewhere."""
    return not a


def sym_max(a: Any, b: Any) -> Any:
    """The larger of two numbers, a float if either is one."""
    m = max(a, b)
    return float(m) if isinstance(a, float) or isinstance(b, float) else m


def sym_min(a: Any, b: Any) -> Any:
    """The smaller of two numbers, a float if either is one."""
    m = min(a, b)
    return float(m) if isinstance(a, float) or isinstance(b, float) else m


def sym_ite(b: Any, t: Any, f: Any) -> Any:
    """`t` if `b` else `f`."""
    return t if b else f


def sym_sqrt(a: Any) -> float:
    """The square root of a number."""
    return math.sqrt(a)


def sym_sum(*args: Any) -> Any:
    """The sum of numbers, given one by one or as a list."""
    return sum(args[0] if len(args) == 1 and isinstance(args[0], (list, tuple)) else args)


def is_vulkan_available() -> bool:
    """Whether Vulkan can be used: never."""
    return False


def _method(name: str, doc: str, more: str = "") -> Any:
    """A function that calls the tensor's method of its name; `more` are the arguments after the tensor."""

    @functools.cache
    def check() -> Any:
        return _C._ArgumentCheck((f"{name}(Tensor self{more}) -> Tensor",), False, False)

    def function(*args: Any, **kwargs: Any) -> Any:
        if kwargs or len(args) != 1 or not isinstance(args[0], Tensor):
            check()(*args, **kwargs)
            if not args:
                args = (kwargs.pop("input"),)
            if not isinstance(args[0], Tensor):
                return _C._handle_torch_function(function, args[:1], *args, **kwargs)
        elif more:
            check()(*args)
        return getattr(args[0], name)(*args[1:], **kwargs)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = doc
    return function


numel = _method("numel", "The number of elements.")
is_floating_point = _method("is_floating_point", "Whether the elements are floating point numbers.")
is_complex = _method("is_complex", "Whether the elements are complex numbers.")
resolve_conj = _method("resolve_conj", "The tensor itself, or a copy where a conjugation is pending.")
resolve_neg = _method("resolve_neg", "The tensor itself, or a copy where a negation is pending.")
is_signed = _method("is_signed", "Whether the elements can be negative.")
is_conj = _method("is_conj", "Whether a lazy conjugation is pending.")
is_neg = _method("is_neg", "Whether a lazy negation is pending.")
is_inference = _method("is_inference", "Whether the tensor was made in inference mode.")
is_same_size = _method("is_same_size", "Whether two tensors have one shape.", ", Tensor other")
get_device = _method("get_device", "The index of a tensor's CUDA device, -1 for the CPU.")


as_strided_ = _method(
    "as_strided_", "`as_strided` in place.", ", int[] size, int[] stride, int? storage_offset=None"
)
detach_ = _method("detach_", "Cuts a tensor from the graph.")
resize_as_ = _method(
    "resize_as_",
    "Gives a tensor the size of another.",
    ", Tensor the_template, *, MemoryFormat? memory_format=None",
)


@functools.cache
def _nonzero_check() -> Any:
    return _C._ArgumentCheck(("nonzero(Tensor self, *, bool as_tuple=False) -> Tensor",), False, True)


_nonzero = Tensor.nonzero  # the core's, before the class gets the method below


def nonzero(input: Any = _MISSING, *others: Any, **options: Any) -> Any:
    """Indices of the elements that are not zero: a row each, or with ``as_tuple=True`` a tensor a dimension.

    Parameters
    ----------
    input : a tensor.
    out : where the result goes.
    as_tuple : whether each dimension has a tensor of its own.
    """
    if _C._has_torch_function_variadic(input, options.get("out")):
        given = (input, options.get("out"))
        return _C._handle_torch_function(nonzero, given, input, *others, **options)
    if others or options or not isinstance(input, Tensor):
        _nonzero_check()(*(() if input is _MISSING else (input,)), *others, **options)
    input = options.get("input", input)
    out, as_tuple = options.get("out"), options.get("as_tuple", False)
    if as_tuple:
        return _nonzero(input).unbind(1) if input.dim() else (_nonzero(input.reshape(1)).squeeze(1),)
    if out is None:
        return _nonzero(input)
    from .ops import registry

    return registry.write(out, _nonzero(input), "nonzero")


@checked("is_nonzero(Tensor self) -> bool")
def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of a tensor is not zero."""
    if input.numel() != 1:
        count = "no values" if input.numel() == 0 else "more than one value"
        raise RuntimeError(f"Boolean value of Tensor with {count} is ambiguous")
    return bool(input)
