"""Lists and dictionaries of a node's arguments: they cannot be changed in place, so users stay right."""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau.utils._pytree_nodes import _dict_keys, _sequence_keys, register_pytree_node

__all__ = ["immutable_list", "immutable_dict"]


def _refuse(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    raise TypeError(
        f"{type(self).__name__!r} object does not support mutation. If you are attempting to modify "
        "the kwargs "
        "or args of a torch.fx.Node object,\n"
        "instead create a new copy of it and assign the copy to the node:\n\n"
        "    new_args = ...  # copy and mutate args\n"
        "    node.args = new_args"
    )


class immutable_list(list):
    """A list without the methods that change it."""

    append = clear = extend = insert = pop = remove = reverse = sort = _refuse
    __delitem__ = __iadd__ = __imul__ = __setitem__ = _refuse

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __reduce__(self) -> tuple:
        return immutable_list, (list(self),)


class immutable_dict(dict):
    """A dictionary without the methods that change it."""

    clear = pop = popitem = setdefault = update = _refuse
    __delitem__ = __ior__ = __setitem__ = _refuse

    def __hash__(self) -> int:
        return hash(frozenset(self.items()))

    def __reduce__(self) -> tuple:
        return immutable_dict, (dict(self),)


register_pytree_node(
    immutable_list,
    lambda v: (list(v), None),
    lambda v, _: immutable_list(v),
    serialized_type_name="torch.fx.immutable_collections.immutable_list",
    flatten_with_keys_fn=_sequence_keys,
)
register_pytree_node(
    immutable_dict,
    lambda d: (list(d.values()), list(d)),
    lambda v, keys: immutable_dict(zip(keys, v)),
    serialized_type_name="torch.fx.immutable_collections.immutable_dict",
    flatten_with_keys_fn=_dict_keys,
)
