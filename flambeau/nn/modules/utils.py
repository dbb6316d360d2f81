"""Reading size arguments that may be one number or one a dimension."""

import collections.abc
from collections.abc import Callable, Sequence
from typing import Any

__all__ = ["consume_prefix_in_state_dict_if_present"]


def _ntuple(count: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that makes `count` equal numbers of one, and a tuple of an iterable."""

    def parse(value: Any) -> tuple[Any, ...]:
        if isinstance(value, collections.abc.Iterable):
            return tuple(value)
        return (value,) * count

    parse.__name__ = f"_{count}tuple"
    return parse


_single = _ntuple(1)
_pair = _ntuple(2)
_triple = _ntuple(3)
_quadruple = _ntuple(4)


def _reverse_repeat_tuple(t: Sequence[int], n: int) -> tuple:
    """(a, b) as (b, b, a, a) for n = 2: sizes a dimension as padding, from the last dimension on."""
    return tuple(size for size in reversed(t) for _ in range(n))


def consume_prefix_in_state_dict_if_present(state_dict: dict, prefix: str) -> None:
    """Remove `prefix` (such as "module.") from the names of a state dictionary, in place."""
    for key in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        for key in list(metadata):
            if key and (key == prefix.replace(".", "") or key.startswith(prefix)):
                metadata[key[len(prefix) :]] = metadata.pop(key)


def _addindent(s_: str, numSpaces: int) -> str:
    """A text with every line but the first moved in, as the representation of a child."""
    return s_.replace("\n", "\n" + numSpaces * " ")


def _list_with_default(out_size: int | Sequence[int | None], defaults: Sequence[int]) -> Any:
    """Sizes, with the last of `defaults` where there is None."""
    if isinstance(out_size, int):
        return out_size
    if len(defaults) <= len(out_size):
        raise ValueError(f"Input dimension should be at least {len(out_size) + 1}")
    own = zip(out_size, defaults[-len(out_size) :], strict=True)
    return [default if size is None else size for size, default in own]
