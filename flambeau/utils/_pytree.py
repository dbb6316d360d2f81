"""Nested containers as lists of leaves and a description of their structure."""

from __future__ import annotations

import functools
import json
import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Any, NamedTuple

__all__ = [
    "PyTree", "TreeSpec", "LeafSpec", "NodeDef", "SUPPORTED_NODES", "Context", "MappingKey", "SequenceKey",
    "GetAttrKey", "KeyPath",
    "register_pytree_node", "register_dataclass", "register_constant", "tree_flatten", "tree_unflatten",
    "tree_iter", "tree_leaves",
    "tree_structure", "tree_map", "tree_map_", "tree_map_only", "tree_map_only_", "tree_all", "tree_any",
    "tree_all_only",
    "tree_any_only", "tree_flatten_with_path", "tree_leaves_with_path", "tree_map_with_path",
    "tree_is_leaf", "treespec_dumps",
    "treespec_loads", "treespec_pprint", "keystr", "key_get", "arg_tree_leaves", "map_only",
    "is_namedtuple", "is_namedtuple_class",
    "is_namedtuple_instance", "is_structseq", "is_structseq_class", "is_structseq_instance",
]  # fmt: skip

PyTree = Any
Context = Any


@dataclass(frozen=True)
class MappingKey:
    """Step into a mapping."""

    key: Any

    def __str__(self) -> str:
        return f"[{self.key!r}]"

    def get(self, mapping: Any) -> Any:
        """The entry of `mapping` that this step leads to."""
        return mapping[self.key]


@dataclass(frozen=True)
class SequenceKey:
    """Step into a sequence."""

    idx: int

    def __str__(self) -> str:
        return f"[{self.idx!r}]"

    def get(self, sequence: Any) -> Any:
        """The entry of `sequence` that this step leads to."""
        return sequence[self.idx]


@dataclass(frozen=True)
class GetAttrKey:
    """Step into an attribute."""

    name: str

    def __str__(self) -> str:
        return f".{self.name}"

    def get(self, obj: Any) -> Any:
        """The attribute of `obj` that this step leads to."""
        return getattr(obj, self.name)


KeyPath = tuple


class NodeDef(NamedTuple):
    """How one container type is taken apart and put together."""

    type: Any
    flatten_fn: Callable[[Any], tuple[list, Any]]
    unflatten_fn: Callable[[Iterable, Any], Any]
    flatten_with_keys_fn: Callable[[Any], tuple[list, Any]] | None = None
    serialized_name: str | None = None
    to_dumpable: Callable | None = None
    from_dumpable: Callable | None = None


SUPPORTED_NODES: dict[Any, NodeDef] = {}
_LOCK = threading.Lock()
_CONSTANTS: set[type] = set()


def is_namedtuple_class(cls: Any) -> bool:
    """Whether a class was made by `namedtuple` or `NamedTuple`."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and isinstance(getattr(cls, "_fields", None), tuple)
        and callable(getattr(cls, "_make", None))
    )


def is_namedtuple_instance(obj: Any) -> bool:
    """Whether an object is an instance of a named tuple."""
    return is_namedtuple_class(type(obj))


def is_namedtuple(obj: Any) -> bool:
    """Whether an object is a named tuple or a class of them."""
    return is_namedtuple_class(obj if isinstance(obj, type) else type(obj))


def is_structseq_class(cls: Any) -> bool:
    """Whether a class is a struct sequence, such as the results of `max` with a dimension."""
    return (
        isinstance(cls, type)
        and issubclass(cls, tuple)
        and all(
            isinstance(getattr(cls, n, None), int)
            for n in ("n_fields", "n_sequence_fields", "n_unnamed_fields")
        )
    )


def is_structseq_instance(obj: Any) -> bool:
    """Whether an object is an instance of a struct sequence."""
    return is_structseq_class(type(obj))


def is_structseq(obj: Any) -> bool:
    """Whether an object is a struct sequence or a class of them."""
    return is_structseq_class(obj if isinstance(obj, type) else type(obj))


def _node_def(tree: Any) -> NodeDef | None:
    """How `tree` is taken apart; None for a leaf."""
    cls = type(tree)
    found = SUPPORTED_NODES.get(cls)
    if found is not None:
        return found
    if cls.__base__ is tuple or issubclass(cls, tuple):
        if is_namedtuple_class(cls):
            return _NAMEDTUPLE
        if is_structseq_class(cls):
            return _STRUCTSEQ
    return None


def _children(tree: Any, is_leaf: Callable | None) -> tuple[NodeDef, list, Any] | None:
    """(definition, children, context), or None for a leaf."""
    if is_leaf is not None and is_leaf(tree):
        return None
    node = _node_def(tree)
    if node is None:
        return None
    children, context = node.flatten_fn(tree)
    return node, children, context


class TreeSpec:
    """The structure of a tree: type, context and the structures of the children."""

    __slots__ = ("__weakref__", "_children", "_context", "num_children", "num_leaves", "num_nodes", "type")

    def __init__(self, type: Any, context: Any = None, children_specs: Iterable[TreeSpec] = ()) -> None:
        self.type = type
        self._context = context
        self._children = list(children_specs)
        self.num_children = len(self._children)
        self.num_nodes = 1 + sum(c.num_nodes for c in self._children)
        self.num_leaves = sum(c.num_leaves for c in self._children)

    @property
    def context(self) -> Any:
        """What the container needs beside its children: keys, a class."""
        return self._context

    @property
    def children_specs(self) -> list[TreeSpec]:
        """The structures of the children."""
        return self._children

    def children(self) -> list[TreeSpec]:
        """The structures of the children."""
        return self._children.copy()

    def child(self, index: int) -> TreeSpec:
        """The structure of one child."""
        return self._children[index]

    def is_leaf(self) -> bool:
        """Whether this is the structure of a single leaf."""
        return self.num_nodes == 1 and self.num_leaves == 1

    def __repr__(self, indent: int = 0) -> str:
        indent += 2
        separator = ",\n" + " " * indent
        inner = separator.join(c.__repr__(indent) for c in self._children)
        name = getattr(self.type, "__name__", str(self.type))
        return f"TreeSpec({name}, {self._context}, [{inner}])"

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, TreeSpec):
            return NotImplemented
        return (
            self.type == other.type
            and self._context == other._context
            and self._children == other._children
            and self.is_leaf() == other.is_leaf()
        )

    def __hash__(self) -> int:
        context = tuple(self._context) if self.type in (dict, OrderedDict) else self._context
        if self.type is defaultdict:
            context = (self._context[0], tuple(self._context[1]))
        return hash((self.type, context, tuple(self._children)))

    def __getstate__(self) -> tuple:
        return self.type, self._context, self._children

    def __setstate__(self, state: tuple) -> None:
        if isinstance(self, LeafSpec):
            LeafSpec.__init__(self)
        else:
            TreeSpec.__init__(self, *state)

    def unflatten(self, leaves: Iterable) -> Any:
        """The tree of this structure with these leaves."""
        leaves = leaves if isinstance(leaves, (list, tuple)) else list(leaves)
        if len(leaves) != self.num_leaves:
            raise ValueError(
                f"treespec.unflatten(leaves): `leaves` has length {len(leaves)} but the spec refers to a"
                f" pytree that holds {self.num_leaves} items ({self})."
            )
        return self._build(iter(leaves))

    def _build(self, leaves: Iterator) -> Any:
        children = [c._build(leaves) for c in self._children]
        return _def_of(self.type).unflatten_fn(children, self._context)

    def flatten_up_to(self, tree: Any) -> list:
        """The subtrees of `tree` that stand where this structure has leaves."""
        found: list = []
        self._flatten_up_to(tree, found)
        return found

    def _flatten_up_to(self, tree: Any, found: list) -> None:
        both_dicts = self.type in _DICTS and type(tree) in _DICTS
        kind = _spec_type(tree)
        if kind is not self.type and not both_dicts:
            raise ValueError(f"Node type mismatch; expected {self.type!r}, but got {type(tree)!r}.")
        if both_dicts:
            if len(tree) != self.num_children:
                raise ValueError(f"Node arity mismatch; expected {self.num_children}, but got {len(tree)}")
            keys = self._context[1] if self.type is defaultdict else self._context
            if set(keys) != set(tree):
                missing, extra = (
                    sorted(map(repr, set(keys) - set(tree))),
                    sorted(map(repr, set(tree) - set(keys))),
                )
                raise ValueError(f"Node keys mismatch; missing key(s): {missing}, extra key(s): {extra}.")
            children = [tree[k] for k in keys]
        else:
            children, context = _def_of(self.type).flatten_fn(tree)
            if len(children) != self.num_children:
                raise ValueError(
                    f"Node arity mismatch; expected {self.num_children}, but got {len(children)}."
                )
            if self.type is not deque and context != self._context:
                raise ValueError(f"Node context mismatch for custom node type {self.type!r}.")
        for spec, child in zip(self._children, children):
            spec._flatten_up_to(child, found)


class LeafSpec(TreeSpec):
    """The structure of a single leaf."""

    __slots__ = ()

    def __init__(self) -> None:
        self.type, self._context, self._children = None, None, []
        self.num_nodes, self.num_leaves, self.num_children = 1, 1, 0

    def __repr__(self, indent: int = 0) -> str:
        return "*"

    def _build(self, leaves: Iterator) -> Any:
        return next(leaves)

    def _flatten_up_to(self, tree: Any, found: list) -> None:
        found.append(tree)


_LEAF = LeafSpec()


def _def_of(kind: Any) -> NodeDef:
    found = SUPPORTED_NODES.get(kind)
    if found is not None:
        return found
    return _STRUCTSEQ if is_structseq_class(kind) else _NAMEDTUPLE


def _get_node_type(tree: Any) -> Any:
    """What `SUPPORTED_NODES` lists a container under."""
    return namedtuple if is_namedtuple_instance(tree) else type(tree)


def _dict_flatten(d: Mapping) -> tuple[list, list]:
    """The values of a dictionary, and its keys."""
    return list(d.values()), list(d)


def _dict_unflatten(values: Iterable, context: Iterable) -> dict:
    """The inverse of `_dict_flatten`."""
    return dict(zip(context, values))


def _spec_type(tree: Any) -> Any:
    node = _node_def(tree)
    if node is None:
        return None
    return type(tree) if node is _STRUCTSEQ else node.type


def _dict_keys(d: Mapping) -> tuple[list, Any]:
    return [(MappingKey(k), v) for k, v in d.items()], list(d)


def _sequence_keys(s: Any) -> tuple[list, Any]:
    return [(SequenceKey(i), v) for i, v in enumerate(s)], None


def _namedtuple_build(values: Iterable, cls: Any) -> Any:
    return cls(*values)


def namedtuple(*args: Any) -> Any:
    raise NotImplementedError(
        "flambeau.utils._pytree.namedtuple marks named tuples in a TreeSpec; use collections.namedtuple"
    )


_NAMEDTUPLE = NodeDef(
    namedtuple,
    lambda t: (list(t), type(t)),
    _namedtuple_build,
    lambda t: ([(GetAttrKey(n), v) for n, v in zip(type(t)._fields, t)], type(t)),
)
_STRUCTSEQ = NodeDef(None, lambda t: (list(t), None), lambda v, c: v, _sequence_keys)
_DICTS = {dict, OrderedDict, defaultdict}


def _structseq_build(cls: Any) -> NodeDef:
    return NodeDef(cls, lambda t: (list(t), None), lambda values, _: cls(list(values)), _sequence_keys)


_TORCH_NAMES = {
    tuple: "builtins.tuple", list: "builtins.list", dict: "builtins.dict",
    OrderedDict: "collections.OrderedDict",
    defaultdict: "collections.defaultdict", deque: "collections.deque",
}  # fmt: skip

for _node in (
    NodeDef(tuple, lambda t: (list(t), None), lambda v, _: tuple(v), _sequence_keys),
    NodeDef(list, lambda t: (t, None), lambda v, _: list(v), _sequence_keys),
    NodeDef(dict, lambda d: (list(d.values()), list(d)), lambda v, keys: dict(zip(keys, v)), _dict_keys),
    NodeDef(
        OrderedDict,
        lambda d: (list(d.values()), list(d)),
        lambda v, keys: OrderedDict(zip(keys, v)),
        _dict_keys,
    ),
    NodeDef(
        defaultdict,
        lambda d: (list(d.values()), [d.default_factory, list(d)]),
        lambda v, c: defaultdict(c[0], zip(c[1], v)),
        lambda d: (_dict_keys(d)[0], [d.default_factory, list(d)]),
    ),
    NodeDef(deque, lambda d: (list(d), d.maxlen), lambda v, maxlen: deque(v, maxlen=maxlen), _sequence_keys),
):
    SUPPORTED_NODES[_node.type] = _node
SUPPORTED_NODES[namedtuple] = _NAMEDTUPLE
# Packages register their own containers with the functions of the built-in ones.
for _name, _node in [
    *((t.__name__.lower(), n) for t, n in SUPPORTED_NODES.items()),
    ("odict", _def_of(OrderedDict)),
]:
    for _part in ("flatten", "unflatten", "flatten_with_keys"):
        globals()[f"_{_name}_{_part}"] = getattr(_node, _part + "_fn")


def register_pytree_node(
    cls: type,
    flatten_fn: Callable,
    unflatten_fn: Callable,
    *,
    serialized_type_name: str | None = None,
    to_dumpable_context: Callable | None = None,
    from_dumpable_context: Callable | None = None,
    flatten_with_keys_fn: Callable | None = None,
) -> None:
    """Make a class a container of trees.

    Parameters
    ----------
    flatten_fn : instance to ``(children, context)``.
    unflatten_fn : ``(children, context)`` to instance.
    flatten_with_keys_fn : instance to ``([(key, child), ...], context)``, for paths.
    serialized_type_name, to_dumpable_context, from_dumpable_context : how a structure is written as text.
    """
    with _LOCK:
        if cls in SUPPORTED_NODES:
            raise ValueError(f"{cls} is already registered as pytree node.")
        SUPPORTED_NODES[cls] = NodeDef(
            cls,
            flatten_fn,
            unflatten_fn,
            flatten_with_keys_fn,
            serialized_type_name,
            to_dumpable_context,
            from_dumpable_context,
        )


def _register_pytree_node(
    cls: type,
    flatten_fn: Callable,
    unflatten_fn: Callable,
    to_str_fn: Any = None,
    maybe_from_str_fn: Any = None,
    **kwargs: Any,
) -> None:
    register_pytree_node(cls, flatten_fn, unflatten_fn, **kwargs)


def _deregister_pytree_node(cls: type) -> None:
    with _LOCK:
        del SUPPORTED_NODES[cls]


def register_dataclass(
    cls: type,
    *,
    field_names: list[str] | None = None,
    drop_field_names: list[str] | None = None,
    serialized_type_name: str | None = None,
) -> None:
    """Make a dataclass a container of trees: its fields are the children."""
    import dataclasses

    if field_names is None and not dataclasses.is_dataclass(cls):
        raise ValueError(
            f"field_names must be specified with a list of all fields used to initialize {cls}, as it is not"
            " a dataclass."
        )
    names = field_names or [
        f.name for f in dataclasses.fields(cls) if f.init and f.name not in (drop_field_names or ())
    ]

    def flatten(obj: Any) -> tuple[list, Any]:
        present = [n for n in names if getattr(obj, n) is not None]
        absent = [n for n in names if getattr(obj, n) is None]
        return [getattr(obj, n) for n in present], [present, absent]

    def with_keys(obj: Any) -> tuple[list, Any]:
        values, context = flatten(obj)
        return [(GetAttrKey(n), v) for n, v in zip(context[0], values)], context

    def build(values: Iterable, context: Any) -> Any:
        return cls(**dict(zip(context[0], values)), **dict.fromkeys(context[1]))

    register_pytree_node(
        cls, flatten, build, serialized_type_name=serialized_type_name, flatten_with_keys_fn=with_keys
    )


def register_constant(cls: type) -> None:
    """Make a class a container without children: instances are part of the structure (they need ``__eq__``
    and ``__hash__``)."""
    if cls.__eq__ is object.__eq__:
        raise TypeError("register_constant(cls) expects `cls` to have a non-default `__eq__` implementation.")
    if cls.__hash__ is object.__hash__ or cls.__hash__ is None:
        raise TypeError(
            "register_constant(cls) expects `cls` to have a non-default `__hash__` implementation."
        )
    _CONSTANTS.add(cls)
    register_pytree_node(cls, lambda x: ([], x), lambda _, x: x, flatten_with_keys_fn=lambda x: ([], x))


def is_constant_class(cls: type) -> bool:
    """Whether `register_constant` knows a class."""
    return cls in _CONSTANTS


def tree_is_leaf(tree: Any, is_leaf: Callable | None = None) -> bool:
    """Whether `tree` is a leaf itself."""
    return (is_leaf is not None and is_leaf(tree)) or _node_def(tree) is None


def _flatten(tree: Any, leaves: list, is_leaf: Callable | None) -> TreeSpec:
    found = _children(tree, is_leaf)
    if found is None:
        leaves.append(tree)
        return _LEAF
    node, children, context = found
    kind = type(tree) if node is _STRUCTSEQ else node.type
    if node is _STRUCTSEQ:
        SUPPORTED_NODES.setdefault(kind, _structseq_build(kind))
    return TreeSpec(kind, context, [_flatten(c, leaves, is_leaf) for c in children])


def tree_flatten(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> tuple[list, TreeSpec]:
    """The leaves of a tree and its structure."""
    leaves: list = []
    spec = _flatten(tree, leaves, is_leaf)
    return leaves, spec


def tree_unflatten(leaves: Iterable, treespec: TreeSpec) -> Any:
    """The tree of a structure with these leaves."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"Expected `treespec` to be an instance of PyTreeSpec but got item of type {type(treespec)}."
        )
    return treespec.unflatten(leaves)


def tree_iter(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> Iterator:
    """Iterate over the leaves."""
    found = _children(tree, is_leaf)
    if found is None:
        yield tree
    else:
        for child in found[1]:
            yield from tree_iter(child, is_leaf)


def tree_leaves(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list:
    """The leaves of a tree."""
    leaves: list = []
    _flatten(tree, leaves, is_leaf)
    return leaves


def tree_structure(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> TreeSpec:
    """The structure of a tree."""
    return _flatten(tree, [], is_leaf)


def tree_map(func: Callable, tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """A tree of ``func(leaf, *leaves of rests)``; the other trees must have the structure of the first, or
    more."""
    leaves, spec = tree_flatten(tree, is_leaf)
    return spec.unflatten(list(map(func, leaves, *(spec.flatten_up_to(r) for r in rests))))


def tree_map_(func: Callable, tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None) -> Any:
    """Call `func` on the leaves and return the first tree as it is."""
    leaves, spec = tree_flatten(tree, is_leaf)
    deque(map(func, leaves, *(spec.flatten_up_to(r) for r in rests)), maxlen=0)
    return tree


def map_only(type_or_types_or_pred: Any, /) -> Callable:
    """Decorator: apply a function only to what is of a type (or fulfils a condition)."""
    wanted = type_or_types_or_pred
    if isinstance(wanted, (type, tuple, UnionType)):

        def fits(x: Any) -> bool:
            return isinstance(x, wanted)

    elif callable(wanted):
        fits = wanted
    else:
        raise TypeError("Argument must be a type, a tuple of types, or a callable.")

    def decorate(func: Callable) -> Callable:
        @functools.wraps(func)
        def applied(x: Any) -> Any:
            return func(x) if fits(x) else x

        return applied

    return decorate


def tree_map_only(
    type_or_types_or_pred: Any, /, func: Callable, tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """`tree_map` that leaves other types alone."""
    return tree_map(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_map_only_(
    type_or_types_or_pred: Any, /, func: Callable, tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """`tree_map_` that leaves other types alone."""
    return tree_map_(map_only(type_or_types_or_pred)(func), tree, is_leaf=is_leaf)


def tree_all(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether a condition holds for all leaves."""
    return all(map(pred, tree_iter(tree, is_leaf)))


def tree_any(pred: Callable[[Any], bool], tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> bool:
    """Whether a condition holds for a leaf."""
    return any(map(pred, tree_iter(tree, is_leaf)))


def tree_all_only(
    type_or_types: Any,
    /,
    pred: Callable[[Any], bool],
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> bool:
    """Whether a condition holds for all leaves of a type."""
    return all(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def tree_any_only(
    type_or_types: Any,
    /,
    pred: Callable[[Any], bool],
    tree: Any,
    is_leaf: Callable[[Any], bool] | None = None,
) -> bool:
    """Whether a condition holds for a leaf of a type."""
    return any(pred(x) for x in tree_iter(tree, is_leaf) if isinstance(x, type_or_types))


def arg_tree_leaves(*args: Any, **kwargs: Any) -> list:
    """The leaves of all arguments of a call."""
    return tree_leaves((args, kwargs))


def _with_path(tree: Any, is_leaf: Callable | None, path: tuple) -> Iterator:
    if is_leaf is not None and is_leaf(tree):
        yield path, tree
        return
    node = _node_def(tree)
    if node is None:
        yield path, tree
        return
    if node.flatten_with_keys_fn is None:
        raise ValueError(
            f"Did not find a flatten_with_keys_fn for type: {node.type}. Please pass a flatten_with_keys_fn"
            " argument to register_pytree_node."
        )
    for key, child in node.flatten_with_keys_fn(tree)[0]:
        yield from _with_path(child, is_leaf, (*path, key))


def tree_leaves_with_path(tree: Any, is_leaf: Callable[[Any], bool] | None = None) -> list[tuple[tuple, Any]]:
    """Pairs of the path to a leaf and the leaf."""
    return list(_with_path(tree, is_leaf, ()))


def tree_flatten_with_path(
    tree: Any, is_leaf: Callable[[Any], bool] | None = None
) -> tuple[list[tuple[tuple, Any]], TreeSpec]:
    """`tree_leaves_with_path` and the structure."""
    return tree_leaves_with_path(tree, is_leaf), tree_structure(tree, is_leaf)


def tree_map_with_path(
    func: Callable, tree: Any, *rests: Any, is_leaf: Callable[[Any], bool] | None = None
) -> Any:
    """`tree_map` whose function gets the path first."""
    pairs, spec = tree_flatten_with_path(tree, is_leaf)
    others = (spec.flatten_up_to(r) for r in rests)
    return spec.unflatten([func(path, leaf, *more) for (path, leaf), *more in zip(pairs, *others)])


def keystr(kp: Iterable) -> str:
    """A path as text, such as ``['a'][0].x``."""
    return "".join(str(k) for k in kp)


def key_get(obj: Any, kp: Iterable) -> Any:
    """Follow a path into an object."""
    for k in kp:
        obj = k.get(obj)
    return obj


def treespec_leaf() -> LeafSpec:
    """The structure of a leaf."""
    return _LEAF


def treespec_tuple(iterable: Iterable[TreeSpec] = (), /) -> TreeSpec:
    """The structure of a tuple of these structures."""
    return TreeSpec(tuple, None, list(iterable))


def treespec_dict(mapping: Any = (), /, **kwargs: TreeSpec) -> TreeSpec:
    """The structure of a dict of these structures."""
    made = dict(mapping, **kwargs)
    return TreeSpec(dict, list(made), list(made.values()))


def treespec_pprint(treespec: TreeSpec) -> str:
    """The structure written as a tree of stars."""

    class Star:
        def __repr__(self) -> str:
            return "*"

    return repr(treespec.unflatten([Star() for _ in range(treespec.num_leaves)]))


def _broadcast_to_and_flatten(tree: Any, treespec: TreeSpec, is_leaf: Callable | None = None) -> list | None:
    """Leaves of `tree`, repeated where it has a leaf and `treespec` a subtree; None where the structures
    disagree."""
    if tree_is_leaf(tree, is_leaf):
        return [tree] * treespec.num_leaves
    if treespec.is_leaf():
        return None
    node = _node_def(tree)
    if _spec_type(tree) != treespec.type:
        return None
    children, context = node.flatten_fn(tree)
    if len(children) != treespec.num_children or context != treespec.context:
        return None
    result: list = []
    for child, spec in zip(children, treespec.children_specs):
        part = _broadcast_to_and_flatten(child, spec, is_leaf)
        if part is None:
            return None
        result += part
    return result


DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL = 1


def _serialized_name(kind: Any) -> str:
    if kind in _TORCH_NAMES:
        return _TORCH_NAMES[kind]
    name = SUPPORTED_NODES[kind].serialized_name if kind in SUPPORTED_NODES else None
    if name is None:
        raise NotImplementedError(
            f"No registered serialization name for {kind} found. Please update your _register_pytree_node"
            " call with a `serialized_type_name` kwarg."
        )
    return name


def _to_json(spec: TreeSpec) -> dict:
    if spec.is_leaf():
        return {"type": None, "context": None, "children_spec": []}
    if spec.type is namedtuple:
        raise NotImplementedError(
            f"Can't serialize TreeSpec of namedtuple class {spec.context} because we didn't register a"
            " serializated_type_name. Please register using `_register_namedtuple`."
        )
    name = _serialized_name(spec.type)
    dump = SUPPORTED_NODES[spec.type].to_dumpable
    if dump is not None:
        context = dump(spec.context)
    elif spec.type is defaultdict:
        factory, keys = spec.context
        context = {
            "default_factory_module": factory.__module__,
            "default_factory_name": factory.__qualname__,
            "dict_context": keys,
        }
    else:
        try:
            context = json.dumps(spec.context)
        except TypeError as e:
            raise TypeError(
                "Unable to serialize context. Please make the context json dump-able, or register a custom"
                " serializer using _register_pytree_node."
            ) from e
    return {"type": name, "context": context, "children_spec": [_to_json(c) for c in spec.children_specs]}


def treespec_dumps(treespec: TreeSpec, protocol: int | None = None) -> str:
    """A structure as JSON text."""
    if not isinstance(treespec, TreeSpec):
        raise TypeError(
            f"Expected `treespec` to be an instance of PyTreeSpec but got item of type {type(treespec)}."
        )
    protocol = DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL if protocol is None else protocol
    if protocol != DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL:
        raise ValueError(
            f"Unknown protocol {protocol}. Available protocols: [{DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL}]"
        )
    return json.dumps((protocol, _to_json(treespec)))


def _from_json(data: dict) -> TreeSpec:
    if data["type"] is None:
        return _LEAF
    kind = next((k for k, n in _TORCH_NAMES.items() if n == data["type"]), None)
    if kind is None:
        kind = next((k for k, n in SUPPORTED_NODES.items() if n.serialized_name == data["type"]), None)
    if kind is None:
        raise NotImplementedError(f"Deserializing {data['type']} in pytree is not registered.")
    load = SUPPORTED_NODES[kind].from_dumpable
    if load is not None:
        context = load(data["context"])
    elif kind is defaultdict:
        import importlib

        saved = data["context"]
        factory = importlib.import_module(saved["default_factory_module"])
        for part in saved["default_factory_name"].split("."):
            factory = getattr(factory, part)
        context = [factory, saved["dict_context"]]
    else:
        context = json.loads(data["context"])
    return TreeSpec(kind, context, [_from_json(c) for c in data["children_spec"]])


def treespec_loads(serialized: str) -> TreeSpec:
    """The structure that `treespec_dumps` wrote."""
    protocol, data = json.loads(serialized)
    if protocol != DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL:
        raise ValueError(
            f"Unknown protocol {protocol}. Available protocols: [{DEFAULT_TREESPEC_SERIALIZATION_PROTOCOL}]"
        )
    return _from_json(data)
