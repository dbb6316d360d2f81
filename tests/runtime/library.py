"""The C API from Python, for tests: values go in and come out as Python's."""

from __future__ import annotations

import ctypes as c
from typing import Any

import numpy as np

from flambeau.cli.runtime import library

_DTYPES = {"uint8": 0, "int32": 3, "int64": 4, "float32": 6, "float64": 7, "complex64": 9, "bool": 11}
NONE, BOOL, INT, FLOAT, _COMPLEX, TEXT, TENSOR, LIST, TUPLE, DICT, OTHER = range(11)
FILE, FORMAT, ARGUMENT, UNSUPPORTED, PROGRAM = 1, 2, 3, 4, 5


class _Error(c.Structure):
    _fields_ = [("code", c.c_int), ("message", c.c_char * 2048)]


class _Tensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("dtype", c.c_int), ("dims", c.c_int),
                ("sizes", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64))]  # fmt: skip


class Failed(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


_lib = c.PyDLL(str(library()))  # keeps the interpreter lock, as the operators of this process do
_error = c.POINTER(_Error)
for _name, _result, _arguments in (
    ("fb_load", c.c_void_p, [c.c_char_p, _error]),
    ("fb_load_bytes", c.c_void_p, [c.c_char_p, c.c_size_t, _error]),
    ("fb_free_model", None, [c.c_void_p]),
    ("fb_declaration", c.c_void_p, [c.c_void_p, c.c_char_p, _error]),
    ("fb_run", c.c_void_p, [c.c_void_p, c.c_char_p, c.POINTER(c.c_void_p), c.c_int, _error]),
    ("fb_new_tensor", c.c_void_p,
     [c.c_void_p, c.c_int, c.c_int, c.POINTER(c.c_int64), c.POINTER(c.c_int64), _error]),
    ("fb_new_none", c.c_void_p, []),
    ("fb_new_bool", c.c_void_p, [c.c_int]),
    ("fb_new_int", c.c_void_p, [c.c_int64]),
    ("fb_new_float", c.c_void_p, [c.c_double]),
    ("fb_new_text", c.c_void_p, [c.c_char_p, c.c_size_t, _error]),
    ("fb_new_list", c.c_void_p, [c.POINTER(c.c_void_p), c.c_size_t, _error]),
    ("fb_new_tuple", c.c_void_p, [c.POINTER(c.c_void_p), c.c_size_t, _error]),
    ("fb_new_dict", c.c_void_p, [c.POINTER(c.c_void_p), c.POINTER(c.c_void_p), c.c_size_t, _error]),
    ("fb_read_value", c.c_void_p, [c.c_char_p, _error]),
    ("fb_free_value", None, [c.c_void_p]),
    ("fb_kind_of", c.c_int, [c.c_void_p]),
    ("fb_get_tensor", c.c_int, [c.c_void_p, c.POINTER(_Tensor), _error]),
    ("fb_get_int", c.c_int64, [c.c_void_p, _error]),
    ("fb_get_float", c.c_double, [c.c_void_p, _error]),
    ("fb_get_text", c.c_void_p, [c.c_void_p, c.POINTER(c.c_size_t), _error]),
    ("fb_length", c.c_int64, [c.c_void_p, _error]),
    ("fb_item", c.c_void_p, [c.c_void_p, c.c_int64, _error]),
    ("fb_key", c.c_void_p, [c.c_void_p, c.c_int64, _error]),
    ("fb_to_text", c.c_void_p, [c.c_void_p, _error]),
):  # fmt: skip
    _function = getattr(_lib, _name)
    _function.restype, _function.argtypes = _result, _arguments


def _call(name: str, *args: Any) -> Any:
    error = _Error()
    result = getattr(_lib, name)(*args, c.byref(error))
    if error.code:
        raise Failed(error.code, error.message.decode(errors="replace"))
    return result


class Value:
    """A handle that is freed with this object."""

    def __init__(self, handle: int) -> None:
        self.handle = handle

    def __del__(self) -> None:
        _lib.fb_free_value(self.handle)


def _handles(values: list[Value]) -> Any:
    return (c.c_void_p * max(len(values), 1))(*[v.handle for v in values])


def value(x: Any) -> Value:
    """A Python value as one of the runtime's."""
    if isinstance(x, Value):
        return x
    if x is None:
        return Value(_lib.fb_new_none())
    if isinstance(x, bool):
        return Value(_lib.fb_new_bool(x))
    if isinstance(x, int):
        return Value(_lib.fb_new_int(x))
    if isinstance(x, float):
        return Value(_lib.fb_new_float(x))
    if isinstance(x, str):
        return Value(_call("fb_new_text", x.encode(), len(x.encode())))
    if isinstance(x, (list, tuple)):
        items = [value(i) for i in x]
        name = "fb_new_list" if isinstance(x, list) else "fb_new_tuple"
        return Value(_call(name, _handles(items), len(items)))
    if isinstance(x, dict):
        keys, values = [value(k) for k in x], [value(v) for v in x.values()]
        return Value(_call("fb_new_dict", _handles(keys), _handles(values), len(keys)))
    x = np.asarray(x)
    sizes = (c.c_int64 * max(x.ndim, 1))(*x.shape)
    strides = (c.c_int64 * max(x.ndim, 1))(*(s // x.itemsize for s in x.strides))
    return Value(_call("fb_new_tensor", x.ctypes.data, _DTYPES[x.dtype.name], x.ndim, sizes, strides))


def python(v: Value) -> Any:
    """A value of the runtime as Python's; tensors are arrays."""
    h, kind = v.handle, _lib.fb_kind_of(v.handle)
    if kind == NONE:
        return None
    if kind in (BOOL, INT):
        number = _call("fb_get_int", h)
        return bool(number) if kind == BOOL else number
    if kind == FLOAT:
        return _call("fb_get_float", h)
    if kind == TEXT:
        size = c.c_size_t()
        return c.string_at(_call("fb_get_text", h, c.byref(size)), size.value).decode()
    if kind == TENSOR:
        t = _Tensor()
        _call("fb_get_tensor", h, c.byref(t))
        dtype = next(np.dtype(n) for n, number in _DTYPES.items() if number == t.dtype)
        shape, strides = t.sizes[: t.dims], [s * dtype.itemsize for s in t.strides[: t.dims]]
        if 0 in shape:
            return np.empty(shape, dtype)
        reach = sum((n - 1) * s for n, s in zip(shape, strides)) + dtype.itemsize
        memory = np.frombuffer(c.string_at(t.data, reach), np.uint8)
        return np.lib.stride_tricks.as_strided(memory[: dtype.itemsize].view(dtype), shape, strides).copy()
    if kind in (LIST, TUPLE, DICT):
        n = _call("fb_length", h)
        items = [python(Value(_call("fb_item", h, i))) for i in range(n)]
        if kind == DICT:
            return dict(zip([python(Value(_call("fb_key", h, i))) for i in range(n)], items))
        return items if kind == LIST else tuple(items)
    return text(v)


def text(v: Value) -> str:
    """As the program prints it."""
    return python(Value(_call("fb_to_text", v.handle)))


def fields(v: Value) -> list[str]:
    """The names of a named tuple's fields."""
    return [python(Value(_call("fb_key", v.handle, i))) for i in range(_call("fb_length", v.handle))]


def read_value(path: Any) -> Any:
    """What torch.save wrote."""
    return python(Value(_call("fb_read_value", str(path).encode())))


class Model:
    """A loaded program."""

    def __init__(self, source: Any) -> None:
        self.handle = None
        if isinstance(source, bytes):
            self.handle = _call("fb_load_bytes", source, len(source))
        else:
            self.handle = _call("fb_load", str(source).encode())

    def __del__(self) -> None:
        _lib.fb_free_model(self.handle)

    def raw(self, *args: Any, method: str = "forward") -> Value:
        """The result as a handle."""
        values = [value(a) for a in args]
        return Value(_call("fb_run", self.handle, method.encode(), _handles(values), len(values)))

    def __call__(self, *args: Any, method: str = "forward") -> Any:
        return python(self.raw(*args, method=method))

    def declaration(self, method: str = "forward") -> str:
        """``forward(self, Tensor x) -> Tensor``."""
        return python(Value(_call("fb_declaration", self.handle, method.encode())))
