"""Names that errors, `repr` and pickles show: of methods that classes share, of classes in private files.

Methods of a shared private base are named by the public class that has them:
``ReLU() takes …`` must not read ``_Inplace.__init__() takes …``: the name in such an error is the function's
`__qualname__`, so every class made from the base gets functions of its own, with the same code.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

__all__ = ["is_ours", "own_methods", "placed"]


def under_the_name_of(cls: str, method: FunctionType) -> FunctionType:
    """The function as a method of the class of that name."""
    copy = FunctionType(
        method.__code__, method.__globals__, method.__name__, method.__defaults__, method.__closure__
    )
    copy.__kwdefaults__ = method.__kwdefaults__
    copy.__doc__ = method.__doc__
    copy.__annotations__ = method.__annotations__
    copy.__module__ = method.__module__
    copy.__dict__.update(method.__dict__)
    copy.__qualname__ = f"{cls}.{method.__name__}"
    return copy


def own_methods(*names: str) -> Callable[[type], type]:
    """Decorator of a base: each class made from it has the methods `names` under its own name."""

    def install(base: type) -> type:
        shared = {name: getattr(base, name) for name in names}

        def __init_subclass__(cls: type, **kwargs: Any) -> None:
            super(base, cls).__init_subclass__(**kwargs)
            for name, method in shared.items():
                if getattr(cls, name) is method:
                    setattr(cls, name, under_the_name_of(cls.__qualname__, method))

        base.__init_subclass__ = classmethod(__init_subclass__)
        return base

    return install


def placed(module: str, names: dict[str, Any]) -> None:
    """Say of the classes among `names`, the namespace of the package `module`, that they are defined there.

    Only of those that its private files define; their `repr` and pickles then are as in PyTorch, where the
    package is one file.
    """
    for value in names.values():
        if isinstance(value, type) and value.__module__.startswith(module + "."):
            value.__module__ = module


def is_ours(module: object, *parts: str) -> bool:
    """Whether the name of a module is one of this package, or of one of its parts (``nn``).

    Under its own name or under PyTorch's, which classes have while this package stands in for it.
    """
    if not isinstance(module, str):
        return False
    root, _, rest = module.partition(".")
    return root in ("flambeau", "torch") and (
        not parts or any(rest == part or rest.startswith(part + ".") for part in parts)
    )
