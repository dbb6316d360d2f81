"""Named tuples that operators with several results return; they print as PyTorch's do.

The core makes those of its operators; `named` those of operators written in Python. Results written into
``out=`` have a class of their own, such as ``max_out``.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from typing import Any

from . import _C

__all__ = ["named", "out_type", "pytree_register_structseq"]

# of operators written in Python: class -> fields
_FIELDS = {
    "histogram": "hist bin_edges",
    "histogramdd": "hist bin_edges",
    "linalg_ldl_factor": "LD pivots",
    "linalg_lu": "P L U",
    "linalg_lu_factor": "LU pivots",
    "linalg_slogdet": "sign logabsdet",
    "lu_unpack": "P L U",
    "qr": "Q R",
    "slogdet": "sign logabsdet",
    "svd": "U S V",
    "triangular_solve": "solution cloned_coefficient",
}
_HAS_NO_OUT = frozenset(["histogramdd"])


class _Named(tuple):
    """What the classes share: they are made of a sequence and have their fields as attributes."""

    __slots__ = ()
    n_fields = n_sequence_fields = 0
    n_unnamed_fields = 0
    __match_args__: tuple[str, ...] = ()

    def __new__(cls, iterable: Iterable = (), /) -> Any:
        made = tuple.__new__(cls, iterable)
        if len(made) != cls.n_fields:
            raise TypeError(
                f"torch.return_types.{cls.__name__}() takes a {cls.n_fields}-sequence "
                f"({len(made)}-sequence given)"
            )
        return made

    def __repr__(self) -> str:
        inside = ",\n".join(f"{name}={value!r}" for name, value in zip(self.__match_args__, self))
        return f"torch.return_types.{type(self).__name__}(\n{inside})"

    def __reduce__(self) -> tuple:
        return type(self), (tuple(self),)


def named(name: str, fields: str) -> type:
    """The result class of an operator: a tuple with its fields as attributes."""
    if name not in globals():
        names = tuple(fields.split())
        members: dict[str, Any] = {f: property(operator.itemgetter(i)) for i, f in enumerate(names)}
        members.update(__slots__=(), __module__=__name__, __match_args__=names)
        members.update(n_fields=len(names), n_sequence_fields=len(names), n_unnamed_fields=0)
        globals()[name] = type(name, (_Named,), members)
    return globals()[name]


def out_type(kind: type) -> type:
    """The class of results that were written into ``out=``; the class itself where there is none."""
    return globals().get(kind.__name__ + "_out") or __getattr__(kind.__name__ + "_out")


def _core() -> list[str]:
    """The names of the core's classes, those of `out=` included; losses return plain tuples to users."""
    return [n for n in vars(_C.return_types) if not n.startswith(("_", "nll_loss"))]


def pytree_register_structseq(cls: type) -> None:
    """Have `utils._pytree` look into the tuples of a class."""
    from .utils import _pytree

    _pytree.register_pytree_node(
        cls, lambda t: (list(t), None), lambda values, _: cls(values), serialized_type_name=cls.__qualname__
    )


def __getattr__(name: str) -> Any:
    if name in _core():
        return getattr(_C.return_types, name)
    if name in _FIELDS:
        return named(name, _FIELDS[name])
    base = name.removesuffix("_out")
    if base != name and base in _FIELDS and base not in _HAS_NO_OUT:
        return named(name, _FIELDS[base])
    if name == "all_return_types":
        names = sorted({*_core(), *_FIELDS, *(f"{n}_out" for n in _FIELDS if n not in _HAS_NO_OUT)})
        globals()[name] = [__getattr__(n) for n in names]
        return globals()[name]
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


def __dir__() -> list[str]:
    outs = [f"{n}_out" for n in _FIELDS if n not in _HAS_NO_OUT]
    return sorted({*globals(), *_core(), *_FIELDS, *outs})
