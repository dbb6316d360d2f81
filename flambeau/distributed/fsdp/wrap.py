"""Which parts of a module are wrapped by themselves."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from flambeau import nn

__all__ = [
    "CustomPolicy",
    "ModuleWrapPolicy",
    "always_wrap_policy",
    "enable_wrap",
    "lambda_auto_wrap_policy",
    "size_based_auto_wrap_policy",
    "transformer_auto_wrap_policy",
    "wrap",
]


def always_wrap_policy(*args: Any, **kwargs: Any) -> bool:
    """Every module."""
    return True


def lambda_auto_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, lambda_fn: Callable[[nn.Module], bool]
) -> bool:
    """Modules for which a function says so."""
    return recurse or lambda_fn(module)


def _module_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, module_classes: set[type[nn.Module]]
) -> bool:
    return recurse or isinstance(module, tuple(module_classes))


def transformer_auto_wrap_policy(
    module: nn.Module, recurse: bool, nonwrapped_numel: int, transformer_layer_cls: set[type[nn.Module]]
) -> bool:
    """Modules of these classes."""
    return _module_wrap_policy(module, recurse, nonwrapped_numel, transformer_layer_cls)


def size_based_auto_wrap_policy(
    module: nn.Module,
    recurse: bool,
    nonwrapped_numel: int,
    min_num_params: int = int(1e8),
    force_leaf_modules: set[type[nn.Module]] | None = None,
    exclude_wrap_modules: set[type[nn.Module]] | None = None,
) -> bool:
    """Modules of at least `min_num_params` parameters that are not in wrapped ones."""
    leaves = (nn.MultiheadAttention,) if force_leaf_modules is None else tuple(force_leaf_modules)
    excluded = (nn.ModuleList, nn.ModuleDict) if exclude_wrap_modules is None else tuple(exclude_wrap_modules)
    large = nonwrapped_numel >= min_num_params
    return large and not isinstance(module, leaves if recurse else excluded)


def _or_policy(module: nn.Module, recurse: bool, nonwrapped_numel: int, policies: Iterable[Callable]) -> bool:
    """Modules for which one of the policies says so."""
    return any(p(module=module, recurse=recurse, nonwrapped_numel=nonwrapped_numel) for p in policies)


class _Policy(ABC):
    @abstractmethod
    def _choose(self, root: nn.Module) -> dict[nn.Module, dict[str, Any]]:
        """The modules to wrap, and options for each."""


class ModuleWrapPolicy(_Policy):
    """Modules of these classes."""

    def __init__(self, module_classes: Iterable[type[nn.Module]]) -> None:
        self._module_classes = set(module_classes)

    def _choose(self, root: nn.Module) -> dict[nn.Module, dict[str, Any]]:
        return {m: {} for m in root.modules() if m is not root and isinstance(m, tuple(self._module_classes))}

    def __call__(self, module: nn.Module, recurse: bool, *args: Any, **kwargs: Any) -> bool:
        return _module_wrap_policy(module, recurse, -1, self._module_classes)

    def __repr__(self) -> str:
        return f"{super().__repr__()}({self._module_classes})"


class CustomPolicy(_Policy):
    """Modules for which a function gives True, or a dictionary of options."""

    def __init__(self, lambda_fn: Callable[[nn.Module], bool | dict[str, Any]]) -> None:
        self._lambda_fn = lambda_fn

    def _choose(self, root: nn.Module) -> dict[nn.Module, dict[str, Any]]:
        found = {}
        for module in root.modules():
            answer = self._lambda_fn(module)
            if not isinstance(answer, (dict, bool)):
                raise ValueError(
                    "The lambda_fn passed to CustomPolicy should return False/True or a kwarg dict, but "
                    f"it returned {answer}"
                )
            if module is not root and answer is not False:
                found[module] = answer if isinstance(answer, dict) else {}
        return found


def _size(module: nn.Module, ignored: Iterable[Any] = ()) -> int:
    return sum(p.numel() for p in module.parameters() if p not in ignored)


def wrap_parts(root: nn.Module, policy: Any, wrapper: Callable[..., nn.Module]) -> None:
    """Wrap the parts of `root` that a policy names, innermost first."""
    if isinstance(policy, _Policy):
        chosen = policy._choose(root)

        def visit(module: nn.Module) -> None:
            for name, child in module.named_children():
                visit(child)
                if child in chosen:
                    setattr(module, name, wrapper(child, **chosen[child]))

        visit(root)
        return

    if policy(module=root, recurse=True, nonwrapped_numel=_size(root)):
        _wrap_inside(root, policy, wrapper)


def _wrap_inside(
    module: nn.Module,
    policy: Callable[..., bool],
    wrapper: Callable[..., nn.Module],
    modules: Iterable[nn.Module] = (),
    params: Iterable[Any] = (),
) -> int:
    """Wrap what a policy says inside of a module, apart from ignored modules; the parameters wrapped then.

    Ignored parameters do not count.
    """
    ignored, total = set(modules), 0
    for name, child in module.named_children():
        if child not in ignored:
            wrapped, inside = _wrapped(child, policy, wrapper, ignored, set(params))
            if wrapped is not child:
                setattr(module, name, wrapped)
            total += inside
    return total


def _wrapped(
    module: nn.Module,
    policy: Callable[..., bool],
    wrapper: Callable[..., nn.Module],
    modules: set,
    params: set,
) -> tuple[nn.Module, int]:
    size = _size(module, params)
    inside = 0
    if policy(module=module, recurse=True, nonwrapped_numel=size):
        inside = _wrap_inside(module, policy, wrapper, modules, params)
    if policy(module=module, recurse=False, nonwrapped_numel=size - inside):
        return wrapper(module), size
    return module, inside


def _recursive_wrap(
    module: nn.Module,
    auto_wrap_policy: Callable[..., bool],
    wrapper_cls: Callable[..., nn.Module],
    ignored_modules: set[nn.Module],
    ignored_params: set[Any],
    only_wrap_children: bool = False,
    **kwargs: Any,
) -> tuple[nn.Module, int]:
    """Wrap a module and its parts, innermost first, where a policy says so.

    Returns
    -------
    The module, or what it is wrapped in (never with ``only_wrap_children``), and how many of its parameters
    are wrapped now.
    """
    if isinstance(wrapper_cls, type):
        for name, child in module.named_modules():
            if child not in ignored_modules and isinstance(child, wrapper_cls):
                raise AssertionError(f"Child module {name} is already wrapped by {wrapper_cls}")

    def wrapper(part: nn.Module) -> nn.Module:
        return _wrap(part, wrapper_cls, **kwargs)

    if not only_wrap_children:
        return _wrapped(module, auto_wrap_policy, wrapper, ignored_modules, ignored_params)
    inside = 0
    if auto_wrap_policy(module=module, recurse=True, nonwrapped_numel=_size(module, ignored_params)):
        inside = _wrap_inside(module, auto_wrap_policy, wrapper, ignored_modules, ignored_params)
    return module, inside


def _wrap(module: nn.Module, wrapper_cls: Callable[..., nn.Module], **kwargs: Any) -> nn.Module:
    """A module in its wrapper; its attribute `_wrap_overrides` has options of its own."""
    return wrapper_cls(module, **{**kwargs, **getattr(module, "_wrap_overrides", {})})


_settings: list[tuple[Callable, dict[str, Any]]] = []


@contextlib.contextmanager
def enable_wrap(*, wrapper_cls: Any, **wrapper_kwargs: Any) -> Iterator[None]:
    """Let `wrap` use a wrapper, inside the ``with`` block."""
    _settings.append((wrapper_cls, wrapper_kwargs))
    try:
        yield
    finally:
        _settings.pop()


def wrap(module: nn.Module, **wrap_overrides: Any) -> nn.Module:
    """Wrap a module as `enable_wrap` says; outside of it nothing happens."""
    if not _settings:
        return module
    wrapper, options = _settings[-1]
    return wrapper(module, **{**options, **wrap_overrides})
