"""How containers are taken apart and put together again, and the structure of a tree of them."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from flambeau._C import Size

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
    defaultdict: "collections.defaultdict", deque: "collections.deque", Size: "torch.Size",
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
    NodeDef(Size, lambda s: (list(s), None), lambda v, _: tuple(v), _sequence_keys),
):
    SUPPORTED_NODES[_node.type] = _node
SUPPORTED_NODES[namedtuple] = _NAMEDTUPLE


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
