"""A pickle machine of our own that can only make data.

A pickle is a program. This machine runs the part of its language that builds data: names are looked up in a
list of data types (and what a user allowed), only those can be called, and object state is set only where it
is data. Nothing is imported, and no length that a file claims is believed before it was compared with what is
there.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import names

_MARK = object()
_DEEPEST_KEY = 16
_HIGHEST_PROTOCOL = 5


class Refused(pickle.UnpicklingError):
    """The pickle names something that is not data; `path` is its dotted name."""

    def __init__(self, message: str, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path


class Unpickler:
    """Runs one pickle from a reader with ``read(n)`` and ``readline()``.

    Parameters
    ----------
    allowed : further classes and functions by dotted name.
    persistent : what a persistent id stands for.
    survey : collect names that are not allowed in `unknown` instead of refusing.
    """

    def __init__(
        self,
        reader: Any,
        allowed: dict[str, Any],
        persistent: Callable[[Any], Any],
        encoding: str = "utf-8",
        survey: bool = False,
    ) -> None:
        self.reader = reader
        self.allowed = allowed
        self.persistent = persistent
        self.encoding = encoding
        self.survey = survey
        self.unknown: list[str] = []
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.makers: dict[
            int, tuple[Any, Callable]
        ] = {}  # id of an object that came by name -> it, what a call does

    def load(self) -> Any:
        """Read one pickle; returns its object."""
        read, table = self.reader.read, _OPERATIONS
        while True:
            code = read(1)
            if code == b".":
                return self._pop()
            operation = table.get(code)
            if operation is None:
                raise Refused(f"Unsupported operand {code[0] if code else 'at the end of the file'}")
            operation(self)

    # the stack

    def _pop(self) -> Any:
        if not self.stack:
            raise Refused("the pickle takes more from its stack than it put there")
        return self.stack.pop()

    def _top(self) -> Any:
        if not self.stack:
            raise Refused("the pickle uses an empty stack")
        return self.stack[-1]

    def _pop_to_mark(self) -> list:
        for i in range(len(self.stack) - 1, -1, -1):
            if self.stack[i] is _MARK:
                items = self.stack[i + 1 :]
                del self.stack[i:]
                return items
        raise Refused("the pickle closes a group that it did not open")

    def _unpack(self, layout: str) -> Any:
        (value,) = struct.unpack(layout, self.reader.read(struct.calcsize(layout)))
        return value

    def _line(self) -> str:
        return self.reader.readline()[:-1].decode("utf-8")

    # names, calls and state

    def find(self, module: str, name: str) -> None:
        """Put the object of that name on the stack, if it is allowed."""
        known = names.data_global(module, name)
        module, name = names.present(module, name)
        path = f"{module}.{name}"
        if module.partition(".")[0] in names.BLOCKED:  # whatever a user allowed
            raise Refused(f"Trying to load unsupported GLOBAL {path} whose module {module} is blocked.", path)
        if path in self.allowed:
            found = self.allowed[path]
            known = found, found
        if known is None and self.survey:
            self.unknown.append(path)
            stand_in = type(name, (_StandIn,), {})
            known = stand_in, stand_in
        if known is None:
            path = path.removeprefix("builtins.")
            raise Refused(f"Unsupported global: GLOBAL {path} was not an allowed global by default.", path)
        value, maker = known
        if maker is not None:
            self.makers[id(value)] = value, maker
        self.stack.append(value)

    def _maker(self, function: Any) -> Callable:
        held = self.makers.get(id(function))
        if held is None or held[0] is not function:
            raise Refused(f"Trying to call {function!r:.80} which is not a data type")
        return held[1]

    def call(self, function: Any, args: Any, keywords: dict | None = None) -> Any:
        """What an allowed function or class gives for `args`; Refused for others."""
        maker = self._maker(function)
        if not isinstance(args, (tuple, list)):
            raise Refused(f"{function!r:.80} is called with something else than a tuple")
        if function is names.rebuild._rebuild_from_type_v2:
            self._check_subclass(args)
        return maker(*args, **(keywords or {}))

    def _check_subclass(self, args: Any) -> None:
        import flambeau as fb

        if len(args) != 4 or not isinstance(args[1], type) or not issubclass(args[1], fb.Tensor):
            if not self.survey:
                raise Refused("a tensor class is expected")
        self._maker(args[0])
        if args[1] is not fb.Tensor:
            self._maker(args[1])

    def new(self, kind: Any, args: Any, keywords: dict | None = None) -> Any:
        """A new object of an allowed class, without its ``__init__``."""
        maker = self._maker(kind)
        if not isinstance(args, tuple):
            raise Refused("an object is made with something else than a tuple of arguments")
        if maker is kind and isinstance(kind, type) and self._is_users(kind):
            return kind.__new__(kind, *args, **(keywords or {}))
        return maker(*args, **(keywords or {}))

    def _is_users(self, kind: type) -> bool:
        return any(kind is value for value in self.allowed.values()) or issubclass(kind, _StandIn)

    def build(self, obj: Any, state: Any) -> Any:
        """Give an object its state; returns it, or what takes its place."""
        kind = type(obj)
        if kind is np.ndarray:
            obj.__setstate__(_checked_array_state(state))
        elif isinstance(obj, np.dtype):
            return _dtype_with_state(obj, state)
        elif self._is_users(kind):
            _set_users_state(obj, state)
        elif isinstance(obj, (OrderedDict, dict)) and hasattr(obj, "__dict__") and isinstance(state, dict):
            obj.__dict__.update(_text_keys(state))
        elif f"{kind.__module__}.{kind.__qualname__}" in ("argparse.Namespace", "types.SimpleNamespace"):
            obj.__dict__.update(_text_keys(state))
        else:
            raise Refused(
                f"Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
                f"`add_safe_globals`, but got {kind}"
            )
        return obj


class _StandIn:
    """What a name that is not allowed becomes while a file is only surveyed."""

    def __init__(self, *args: Any, **keywords: Any) -> None:
        pass

    def __new__(cls, *args: Any, **keywords: Any) -> _StandIn:
        return object.__new__(cls)

    def append(self, value: Any) -> None: ...

    def extend(self, values: Any) -> None: ...

    def __setitem__(self, key: Any, value: Any) -> None: ...


def _text_keys(state: Any) -> dict:
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise Refused("object state that is no dict of names")
    return state


def _set_users_state(obj: Any, state: Any) -> None:
    if isinstance(obj, _StandIn):
        return
    if hasattr(obj, "__setstate__"):
        obj.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    if state:
        obj.__dict__.update(_text_keys(state))
    for name, value in _text_keys(slots or {}).items():
        setattr(obj, name, value)


def _checked_array_state(state: Any) -> tuple:
    version, shape, dtype, fortran, data = state if len(state) == 5 else (1, *state)
    if not isinstance(dtype, np.dtype) or not all(isinstance(n, int) and n >= 0 for n in shape):
        raise Refused("the state of an array is wrong")
    count = 1
    for n in shape:
        count *= n
    if isinstance(data, str):
        data = data.encode("latin1")
    if dtype.hasobject:
        if dtype.kind != "O" or not isinstance(data, list) or len(data) != count:
            raise Refused("an array of objects needs the list of them")
    elif not isinstance(data, (bytes, bytearray)) or len(data) != count * dtype.itemsize:
        raise Refused("the bytes of an array do not fit its shape")
    return version, tuple(shape), dtype, bool(fortran), data


def _dtype_with_state(dtype: np.dtype, state: Any) -> np.dtype:
    order, subarray, fields, members = state[1:5]
    if subarray is not None:
        raise Refused("array types with subarrays are not supported")
    if fields:
        parts = {name: members[name] for name in fields}
        if any(part[0].hasobject for part in parts.values()):
            raise Refused("array types with fields of objects are not supported")
        return np.dtype(
            {
                "names": list(fields),
                "formats": [part[0] for part in parts.values()],
                "offsets": [part[1] for part in parts.values()],
                "itemsize": state[5],
            }
        )
    if dtype.kind in "Mm" and len(state) > 8 and state[8]:
        unit, count = state[8][1][:2]
        unit = unit.decode() if isinstance(unit, bytes) else unit
        dtype = np.dtype(f"{dtype.kind}8[{int(count)}{unit}]")
    return dtype.newbyteorder(order) if order in ("<", ">") else dtype


def _checked_key(key: Any, depth: int = 0) -> Any:
    """A key whose hash is quick to take: deeply nested tuples could take for ever, or the whole C stack."""
    if isinstance(key, (tuple, frozenset)):
        if depth >= _DEEPEST_KEY or len(key) > 1 << 16:
            raise Refused("a dict key is nested too deeply")
        for part in key:
            _checked_key(part, depth + 1)
    return key


# the operations

_OPERATIONS: dict[bytes, Callable[[Unpickler], None]] = {}


def _operation(code: bytes) -> Callable:
    def register(function: Callable[[Unpickler], None]) -> Callable[[Unpickler], None]:
        _OPERATIONS[code] = function
        return function

    return register


def _constant(code: bytes, make: Callable[[], Any]) -> None:
    _OPERATIONS[code] = lambda m: m.stack.append(make())


for _code, _value in (
    (pickle.NONE, None),
    (pickle.NEWTRUE, True),
    (pickle.NEWFALSE, False),
    (pickle.MARK, _MARK),
):
    _constant(_code, lambda value=_value: value)
for _code, _kind in ((b")", tuple), (b"]", list), (b"}", dict), (b"\x8f", set)):
    _constant(_code, _kind)
for _code, _layout in ((b"K", "<B"), (b"M", "<H"), (b"J", "<i"), (b"G", ">d")):
    _OPERATIONS[_code] = lambda m, layout=_layout: m.stack.append(m._unpack(layout))


def _sized(code: bytes, layout: str, finish: Callable[[Unpickler, bytes], Any]) -> None:
    def operation(m: Unpickler) -> None:
        m.stack.append(finish(m, m.reader.read(m._unpack(layout))))

    _OPERATIONS[code] = operation


def _text(m: Unpickler, data: bytes) -> str:
    return data.decode("utf-8", "surrogatepass")


def _old_text(m: Unpickler, data: bytes) -> Any:
    return data if m.encoding == "bytes" else data.decode(m.encoding)


def _long(m: Unpickler, data: bytes) -> int:
    return int.from_bytes(data, "little", signed=True)


for _code, _layout in (
    (pickle.SHORT_BINUNICODE, "<B"),
    (pickle.BINUNICODE, "<I"),
    (pickle.BINUNICODE8, "<Q"),
):
    _sized(_code, _layout, _text)
for _code, _layout in ((pickle.SHORT_BINSTRING, "<B"), (pickle.BINSTRING, "<i")):
    _sized(_code, _layout, _old_text)
for _code, _layout in ((pickle.SHORT_BINBYTES, "<B"), (pickle.BINBYTES, "<I"), (pickle.BINBYTES8, "<Q")):
    _sized(_code, _layout, lambda m, data: data)
_sized(pickle.BYTEARRAY8, "<Q", lambda m, data: bytearray(data))
for _code, _layout in ((pickle.LONG1, "<B"), (pickle.LONG4, "<i")):
    _sized(_code, _layout, _long)


@_operation(pickle.PROTO)
def _proto(m: Unpickler) -> None:
    protocol = m._unpack("<B")
    if protocol > _HIGHEST_PROTOCOL:
        raise Refused(f"unsupported pickle protocol: {protocol}")


@_operation(pickle.FRAME)
def _frame(m: Unpickler) -> None:
    m._unpack("<Q")


@_operation(pickle.INT)
def _int(m: Unpickler) -> None:
    line = m._line()
    m.stack.append({"00": False, "01": True}[line] if line in ("00", "01") else int(line))


@_operation(pickle.LONG)
def _long_line(m: Unpickler) -> None:
    m.stack.append(int(m._line().removesuffix("L")))


@_operation(pickle.FLOAT)
def _float_line(m: Unpickler) -> None:
    m.stack.append(float(m._line()))


@_operation(pickle.UNICODE)
def _unicode_line(m: Unpickler) -> None:
    m.stack.append(m.reader.readline()[:-1].decode("raw-unicode-escape"))


@_operation(pickle.STRING)
def _string_line(m: Unpickler) -> None:
    import codecs

    line = m.reader.readline()[:-1]
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in b"'\"":
        raise Refused("a string without quotes")
    m.stack.append(_old_text(m, codecs.escape_decode(line[1:-1])[0]))


@_operation(pickle.POP)
def _drop(m: Unpickler) -> None:
    m._pop()


@_operation(pickle.POP_MARK)
def _drop_group(m: Unpickler) -> None:
    m._pop_to_mark()


@_operation(pickle.DUP)
def _duplicate(m: Unpickler) -> None:
    m.stack.append(m._top())


@_operation(pickle.TUPLE)
def _tuple(m: Unpickler) -> None:
    m.stack.append(tuple(m._pop_to_mark()))


def _fixed_tuple(code: bytes, size: int) -> None:
    def operation(m: Unpickler) -> None:
        if len(m.stack) < size:
            raise Refused("a tuple of more than is there")
        m.stack[-size:] = [tuple(m.stack[-size:])]

    _OPERATIONS[code] = operation


for _code, _size in ((pickle.TUPLE1, 1), (pickle.TUPLE2, 2), (pickle.TUPLE3, 3)):
    _fixed_tuple(_code, _size)


@_operation(pickle.LIST)
def _list(m: Unpickler) -> None:
    m.stack.append(m._pop_to_mark())


@_operation(pickle.DICT)
def _dict(m: Unpickler) -> None:
    m.stack.append(dict(_pairs(m._pop_to_mark())))


@_operation(pickle.FROZENSET)
def _frozenset(m: Unpickler) -> None:
    m.stack.append(frozenset(map(_checked_key, m._pop_to_mark())))


def _pairs(items: list) -> Iterable[tuple[Any, Any]]:
    if len(items) % 2:
        raise Refused("a key without a value")
    return ((_checked_key(items[i]), items[i + 1]) for i in range(0, len(items), 2))


def _extend(target: Any, items: list) -> None:
    from collections import deque

    if not isinstance(target, (list, deque, _StandIn)):
        raise Refused(f"Can only append to lists, but got {type(target)}")
    target.extend(items)


def _set_items(target: Any, items: list) -> None:
    if not isinstance(target, (dict, _StandIn)):
        raise Refused(f"Can only set items of dicts, but got {type(target)}")
    for key, value in _pairs(items):
        target[key] = value


@_operation(pickle.APPEND)
def _append(m: Unpickler) -> None:
    value = m._pop()
    _extend(m._top(), [value])


@_operation(pickle.APPENDS)
def _appends(m: Unpickler) -> None:
    items = m._pop_to_mark()
    _extend(m._top(), items)


@_operation(pickle.SETITEM)
def _set_item(m: Unpickler) -> None:
    value = m._pop()
    key = m._pop()
    _set_items(m._top(), [key, value])


@_operation(pickle.SETITEMS)
def _set_all_items(m: Unpickler) -> None:
    items = m._pop_to_mark()
    _set_items(m._top(), items)


@_operation(pickle.ADDITEMS)
def _add_items(m: Unpickler) -> None:
    items = m._pop_to_mark()
    if type(m._top()) is not set:
        raise Refused(f"Can only add to sets, but got {type(m._top())}")
    m._top().update(map(_checked_key, items))


def _get(m: Unpickler, number: int) -> None:
    if number not in m.memo:
        raise Refused(f"Memo value not found at index {number}")
    m.stack.append(m.memo[number])


_OPERATIONS[pickle.BINGET] = lambda m: _get(m, m._unpack("<B"))
_OPERATIONS[pickle.LONG_BINGET] = lambda m: _get(m, m._unpack("<I"))
_OPERATIONS[pickle.GET] = lambda m: _get(m, int(m._line()))
_OPERATIONS[pickle.BINPUT] = lambda m: m.memo.__setitem__(m._unpack("<B"), m._top())
_OPERATIONS[pickle.LONG_BINPUT] = lambda m: m.memo.__setitem__(m._unpack("<I"), m._top())
_OPERATIONS[pickle.PUT] = lambda m: m.memo.__setitem__(int(m._line()), m._top())
_OPERATIONS[pickle.MEMOIZE] = lambda m: m.memo.__setitem__(len(m.memo), m._top())


@_operation(pickle.GLOBAL)
def _global(m: Unpickler) -> None:
    module = m._line()
    m.find(module, m._line())


@_operation(pickle.STACK_GLOBAL)
def _stack_global(m: Unpickler) -> None:
    name, module = m._pop(), m._pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise Refused("a name that is no text")
    m.find(module, name)


@_operation(pickle.REDUCE)
def _reduce(m: Unpickler) -> None:
    args = m._pop()
    m.stack.append(m.call(m._pop(), args))


@_operation(pickle.NEWOBJ)
def _new_object(m: Unpickler) -> None:
    args = m._pop()
    m.stack.append(m.new(m._pop(), args))


@_operation(pickle.NEWOBJ_EX)
def _new_object_ex(m: Unpickler) -> None:
    keywords, args = m._pop(), m._pop()
    m.stack.append(m.new(m._pop(), args, _text_keys(keywords)))


@_operation(pickle.BUILD)
def _build(m: Unpickler) -> None:
    state = m._pop()
    old = m._top()
    new = m.build(old, state)
    if new is not old:
        m.stack[-1] = new
        for number, value in m.memo.items():
            if value is old:
                m.memo[number] = new


@_operation(pickle.BINPERSID)
def _persistent(m: Unpickler) -> None:
    m.stack.append(m.persistent(m._pop()))
