"""Tensors of a module by their paths: looked up, replaced, deleted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import flambeau as fb
from flambeau.nn.modules.module import Module

__all__ = ["NamedMemberAccessor", "set_tensor", "swap_submodule", "swap_tensor"]

_MISSING: Any = object()


def _check(name: str) -> None:
    if "." in name:
        raise KeyError('tensor name can\'t contain "."')
    if name == "":
        raise KeyError('tensor name can\'t be empty string ""')


def set_tensor(module: Module, name: str, tensor: fb.Tensor) -> None:
    """Replace a tensor of a module, whatever was there."""
    swap_tensor(module, name, tensor, allow_missing=True)


def swap_tensor(module: Module, name: str, tensor: Any, allow_missing: bool = False) -> Any:
    """Replace a tensor of a module; returns the one of before.

    A parameter or buffer stays one of that name, though the new tensor may be a plain one.

    Parameters
    ----------
    allow_missing : whether there may be none of that name before, or (a marker that this function gave) none
        after.
    """
    if not isinstance(module, Module):
        raise TypeError(f"{module} is not an instance of torch.nn.Module")
    if tensor is not _MISSING and not isinstance(tensor, fb.Tensor) and tensor is not None:
        raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    _check(name)
    for held in (module._parameters, module._buffers):
        if name in held:
            before = held[name]
            if tensor is _MISSING:
                del held[name]
            else:
                held[name] = tensor
            return before
    before = module.__dict__.get(name, _MISSING)
    if before is _MISSING and not allow_missing:
        raise AttributeError(f"{type(module).__name__} has no attribute `{name}`")
    if before is not _MISSING and not isinstance(before, fb.Tensor) and before is not None:
        raise TypeError(f"attribute `{name}`: {before} is not an instance of torch.Tensor")
    if tensor is _MISSING:
        module.__dict__.pop(name, None)
    else:
        setattr(module, name, tensor)
    return before


def swap_submodule(module: Module, name: str, submodule: Module) -> Module:
    """Replace a module inside another; returns the one of before."""
    if not isinstance(submodule, Module):
        raise TypeError(f"{submodule} is not an instance of torch.nn.Module")
    if "." in name:
        raise KeyError('submodule name can\'t contain "."')
    if name not in module._modules:
        raise KeyError(f"submodule {name} does not exist")
    before = module._modules[name]
    module._modules[name] = submodule
    return before


class NamedMemberAccessor:
    """The members of a module by their paths.

    Parameters
    ----------
    module : the outermost module.
    """

    def __init__(self, module: Module) -> None:
        self.module = module

    def _place(self, path: str) -> tuple[Module, str]:
        owner, _, name = path.rpartition(".")
        return self.get_submodule(owner), name

    def get_submodule(self, name: str) -> Module:
        """The module of a path; the outermost one for ``""``."""
        found: Any = self.module
        for part in name.split(".") if name else ():
            inner = getattr(found, part, None)
            if not isinstance(inner, Module):
                raise AttributeError(f"{type(found).__name__} has no attribute `{name}`")
            found = inner
        return found

    def swap_submodule(self, path: str, value: Module) -> Module:
        """Replace a module; returns the one of before."""
        owner, name = self._place(path)
        return swap_submodule(owner, name, value)

    def get_tensor(self, name: str) -> fb.Tensor:
        """The tensor of a path."""
        owner, last = self._place(name)
        found = getattr(owner, last, _MISSING)
        if found is _MISSING:
            raise AttributeError(f"{type(owner).__name__} has no attribute `{name}`")
        if not isinstance(found, fb.Tensor):
            raise TypeError(f"{found} is not an instance of torch.Tensor")
        return found

    def get_tensors(self, names: Iterable[str]) -> list[fb.Tensor]:
        """The tensors of several paths."""
        return [self.get_tensor(name) for name in names]

    def set_tensor(self, name: str, value: fb.Tensor) -> None:
        """Replace a tensor."""
        owner, last = self._place(name)
        set_tensor(owner, last, value)

    def set_tensors(self, names: Iterable[str], values: Iterable[fb.Tensor]) -> None:
        """Replace several."""
        for name, value in zip(names, values, strict=True):
            self.set_tensor(name, value)

    def set_tensors_dict(self, named_tensors: dict[str, fb.Tensor]) -> None:
        """The same of a dict of them."""
        for name, value in named_tensors.items():
            self.set_tensor(name, value)

    def del_tensor(self, name: str) -> None:
        """Take a tensor out."""
        owner, last = self._place(name)
        delattr(owner, last)

    def del_tensors(self, names: Iterable[str]) -> None:
        """Take several out."""
        for name in names:
            self.del_tensor(name)

    def swap_tensor(self, name: str, value: fb.Tensor, allow_missing: bool = False) -> Any:
        """Replace a tensor; returns the one of before."""
        owner, last = self._place(name)
        return swap_tensor(owner, last, value, allow_missing)

    def swap_tensors(
        self, names: Iterable[str], values: Iterable[fb.Tensor], allow_missing: bool = False
    ) -> list[Any]:
        """Replace several; returns those of before."""
        return [self.swap_tensor(n, v, allow_missing) for n, v in zip(names, values, strict=True)]

    def swap_tensors_dict(
        self, named_tensors: dict[str, Any], allow_missing: bool = False
    ) -> tuple[dict[str, Any], list[str]]:
        """Replace several; returns those of before, and the paths that there were not.

        Raises
        ------
        RuntimeError : a path does not exist; then nothing is replaced.
        """
        before: dict[str, Any] = {}
        missing: list[str] = []
        try:
            for name, value in named_tensors.items():
                try:
                    before[name] = self.swap_tensor(name, value, allow_missing=True)
                except AttributeError:
                    missing.append(name)
                    continue
                if before[name] is _MISSING:
                    missing.append(name)
            if missing and not allow_missing:
                raise RuntimeError(f"Missing key(s): {', '.join(map(repr, missing))}.")
        except Exception:
            for name, value in before.items():
                self.swap_tensor(name, value, allow_missing=True)
            raise
        return before, missing

    def check_keys(self, keys: Iterable[str]) -> tuple[list[str], list[str]]:
        """Paths of tensors that `keys` lacks, and those that it has too many; sorted."""
        given, there = set(keys), {name for name, _ in self.named_tensors(remove_duplicate=False)}
        return sorted(there - given), sorted(given - there)

    def named_parameters(self, remove_duplicate: bool = True) -> Iterator[tuple[str, fb.Tensor]]:
        """Parameters and their paths."""
        yield from self.module.named_parameters(remove_duplicate=remove_duplicate)

    def named_buffers(self, remove_duplicate: bool = True) -> Iterator[tuple[str, fb.Tensor]]:
        """Buffers and their paths."""
        yield from self.module.named_buffers(remove_duplicate=remove_duplicate)

    def named_tensors(self, remove_duplicate: bool = True) -> Iterator[tuple[str, fb.Tensor]]:
        """Parameters, then buffers, and their paths."""
        yield from self.named_parameters(remove_duplicate)
        yield from self.named_buffers(remove_duplicate)

    def named_modules(self, remove_duplicate: bool = True) -> Iterator[tuple[str, Module]]:
        """Modules and their paths."""
        yield from self.module.named_modules(remove_duplicate=remove_duplicate)
