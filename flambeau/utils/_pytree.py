"""Nested containers as lists of leaves and a description of their structure."""

from __future__ import annotations

import builtins
import collections
import functools
import json
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from types import UnionType
from typing import Any

from ._pytree_nodes import (  # noqa: F401 packages reach all of these through this module
    _LEAF,
    _STRUCTSEQ,
    _TORCH_NAMES,
    SUPPORTED_NODES,
    Context,
    GetAttrKey,
    KeyPath,
    LeafSpec,
    MappingKey,
    NodeDef,
    PyTree,
    SequenceKey,
    TreeSpec,
    _children,
    _def_of,
    _deregister_pytree_node,
    _get_node_type,
    _node_def,
    _register_pytree_node,
    _spec_type,
    _structseq_build,
    is_constant_class,
    is_namedtuple,
    is_namedtuple_class,
    is_namedtuple_instance,
    is_structseq,
    is_structseq_class,
    is_structseq_instance,
    namedtuple,
    register_constant,
    register_dataclass,
    register_pytree_node,
)

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

# Packages register their own containers with the functions of the built-in ones.
for _name, _node in [
    *((t.__name__.lower(), n) for t, n in SUPPORTED_NODES.items()),
    ("odict", _def_of(OrderedDict)),
]:
    for _part in ("flatten", "unflatten", "flatten_with_keys"):
        globals()[f"_{_name}_{_part}"] = getattr(_node, _part + "_fn")


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


def _factory(module: str, name: str) -> type:
    """The factory of a defaultdict that a text names: nothing is imported for a file, so it runs no code."""
    found = getattr({"builtins": builtins, "collections": collections}.get(module), name, None)
    if not isinstance(found, type):
        raise NotImplementedError(
            f"Deserializing a defaultdict of {module}.{name} is not supported.\n"
            "Factories are types of `builtins` and `collections`: give the dictionary one of these before it"
            " is saved."
        )
    return found


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
        saved = data["context"]
        context = [
            _factory(saved["default_factory_module"], saved["default_factory_name"]),
            saved["dict_context"],
        ]
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
