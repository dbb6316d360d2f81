"""What all data pipes share: functions by name, one valid iterator at a time, errors that name their pipe."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, TypeVar

from flambeau._annotations import signature_of

from ..dataset import Dataset, IterableDataset

__all__ = ["DFIterDataPipe", "DataChunk", "IterDataPipe", "MapDataPipe"]

T_co = TypeVar("T_co", covariant=True)
_stamps = itertools.count(1)


class _Pipe:
    """Functions that pipes register and every pipe then has, pickling and printing."""

    functions: ClassVar[dict[str, Callable]] = {}
    reduce_ex_hook: ClassVar[Callable | None] = None
    getstate_hook: ClassVar[Callable | None] = None
    str_hook: ClassVar[Callable | None] = None
    repr_hook: ClassVar[Callable | None] = None
    _is_datapipe = True

    def __getattr__(self, name: str) -> Any:
        if name in type(self).functions:
            return functools.partial(type(self).functions[name], self)
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}")

    @classmethod
    def register_function(cls, function_name: str, function: Callable) -> None:
        """Give all pipes a function of this name."""
        cls.functions[function_name] = function

    @classmethod
    def register_datapipe_as_function(
        cls, function_name: str, cls_to_register: type, enable_df_api_tracing: bool = False
    ) -> None:
        """Give all pipes a function of this name that makes a pipe of them."""
        if function_name in cls.functions:
            raise Exception(f"Unable to add DataPipe function name {function_name} as it is already taken")

        @functools.wraps(cls_to_register.__init__)
        def function(source: Any, *args: Any, **kwargs: Any) -> Any:
            return cls_to_register(source, *args, **kwargs)

        cls.functions[function_name] = function

    def __getstate__(self) -> Any:
        hook = type(self).getstate_hook
        return self.__dict__ if hook is None else hook(self.__dict__)

    def __reduce_ex__(self, *args: Any, **kwargs: Any) -> Any:
        hook = type(self).reduce_ex_hook
        if hook is not None:
            try:
                return hook(self)
            except NotImplementedError:
                pass  # the hook leaves this pipe to pickle
        return super().__reduce_ex__(*args, **kwargs)

    @classmethod
    def set_getstate_hook(cls, hook_fn: Callable | None) -> None:
        """Have a function make the state that is pickled."""
        if cls.getstate_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing getstate_hook")
        cls.getstate_hook = hook_fn

    @classmethod
    def set_reduce_ex_hook(cls, hook_fn: Callable | None) -> None:
        """Have a function say how to pickle a pipe."""
        if cls.reduce_ex_hook is not None and hook_fn is not None:
            raise RuntimeError("Attempt to override existing reduce_ex_hook")
        cls.reduce_ex_hook = hook_fn

    def __repr__(self) -> str:
        hook = type(self).repr_hook
        return str(type(self).__qualname__) if hook is None else hook(self)

    def __str__(self) -> str:
        hook = type(self).str_hook
        return str(type(self).__qualname__) if hook is None else hook(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *type(self).functions]


class IterDataPipe(_Pipe, IterableDataset[T_co]):
    """A pipe that is read from the front; a subclass writes ``__iter__``.

    Only the newest iterator of a pipe is valid. ``reset()``, where there is one, is called before each pass.
    """

    functions: ClassVar[dict[str, Callable]] = {}
    _is_child = False  # of a pipe that several read: errors are those of what they read

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "__iter__" in cls.__dict__:
            cls.__iter__ = _one_at_a_time(cls.__dict__["__iter__"])

    def reset(self) -> None:
        """Prepare for a new pass."""

    @property
    def _number_of_samples_yielded(self) -> int:
        return self.__dict__.get("_yielded", 0)


class MapDataPipe(_Pipe, Dataset[T_co]):
    """A pipe that is read by index; a subclass writes ``__getitem__`` and ``__len__``."""

    functions: ClassVar[dict[str, Callable]] = {}


class DFIterDataPipe(IterDataPipe):
    """A pipe of data frames."""

    def _is_dfpipe(self) -> bool:
        return True


class DataChunk(list):
    """Samples that belong together: a batch or a group."""

    def __init__(self, items: Iterable) -> None:
        items = list(items)
        super().__init__(items)
        self.items = items

    def as_str(self, indent: str = "") -> str:
        """The text of the samples."""
        return indent + "[" + ", ".join(str(i) for i in iter(self)) + "]"

    def raw_iterator(self) -> Iterator:
        """An iterator over the samples as they were given."""
        yield from self.items


def _described(pipe: IterDataPipe) -> str:
    """The pipe and the arguments that it was made with, as far as it has kept them."""
    names = sorted(signature_of(type(pipe).__init__).parameters)
    shown = []
    for name in names:
        if name != "self" and (name in vars(pipe) or hasattr(type(pipe), name)):
            value = getattr(pipe, name)
            text = value.__name__ if inspect.isfunction(value) or inspect.isclass(value) else repr(value)
            shown.append(f"{name}={text}")
    text = f"{type(pipe).__name__}({', '.join(shown)})"
    return text if len(text) < 300 else f"{type(pipe).__name__}({', '.join(n.split('=')[0] for n in shown)})"


def _one_at_a_time(read: Callable) -> Callable:
    @functools.wraps(read)
    def __iter__(self: IterDataPipe) -> Iterator:
        return _valid(self, read)

    return __iter__


def _valid(pipe: IterDataPipe, read: Callable) -> Iterator:
    stamp = pipe.__dict__["_stamp"] = next(_stamps)
    pipe.reset()
    source = iter(read(pipe))
    pipe.__dict__["_yielded"] = 0
    while True:
        if pipe.__dict__["_stamp"] != stamp:
            raise RuntimeError(
                "This iterator has been invalidated because another iterator has been created from the same "
                f"IterDataPipe: {_described(pipe)}\nThis may be caused by multiple references to the same "
                "IterDataPipe. We recommend using `.fork()` if that is necessary."
            )
        try:
            sample = next(source)
        except StopIteration:
            return
        except Exception as error:
            where = f"This exception is thrown by __iter__ of {_described(pipe)}"
            first = error.args[0] if error.args else None
            if isinstance(first, str) and "thrown by __iter__ of" not in first and not pipe._is_child:
                error.args = (f"{error.args[0]}\n{where}", *error.args[1:])
            raise
        pipe.__dict__["_yielded"] += 1
        yield sample


class _IterDataPipeSerializationWrapper(IterDataPipe):
    """A pipe as a loader keeps it; it does what the pipe does."""

    def __init__(self, datapipe: Any) -> None:
        self._datapipe = datapipe

    def __iter__(self) -> Iterator:
        yield from self._datapipe

    def __len__(self) -> int:
        return len(self._datapipe)


class _MapDataPipeSerializationWrapper(MapDataPipe):
    """A pipe as a loader keeps it; it does what the pipe does."""

    def __init__(self, datapipe: Any) -> None:
        self._datapipe = datapipe

    def __getitem__(self, index: Any) -> Any:
        return self._datapipe[index]

    def __len__(self) -> int:
        return len(self._datapipe)
