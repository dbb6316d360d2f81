"""Reading size arguments that may be one number or one a dimension."""

import collections.abc

__all__ = ["consume_prefix_in_state_dict_if_present"]


def ntuple(count: int):
    """A function that makes `count` equal numbers of one, and a tuple of an iterable."""

    def parse(value):
        if isinstance(value, collections.abc.Iterable):
            return tuple(value)
        return (value,) * count

    parse.__name__ = f"_{count}tuple"
    return parse


_single = ntuple(1)
_pair = ntuple(2)
_triple = ntuple(3)
_quadruple = ntuple(4)


def reversed_pairs(sizes) -> tuple:
    """(a, b) as (b, b, a, a): sizes a dimension as padding before and after, from the last dimension on."""
    return tuple(size for size in reversed(sizes) for _ in range(2))


def consume_prefix_in_state_dict_if_present(state_dict: dict, prefix: str) -> None:
    """Remove `prefix` (such as "module.") from the names of a state dictionary, in place."""
    for key in [k for k in state_dict if k.startswith(prefix)]:
        state_dict[key[len(prefix) :]] = state_dict.pop(key)
    metadata = getattr(state_dict, "_metadata", None)
    if metadata is not None:
        for key in list(metadata):
            if key and (key == prefix.replace(".", "") or key.startswith(prefix)):
                metadata[key[len(prefix) :]] = metadata.pop(key)
