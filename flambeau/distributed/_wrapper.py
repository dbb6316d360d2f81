"""Modules around others, that one need not see."""

from __future__ import annotations

from typing import Any, ClassVar

from flambeau import nn

__all__ = ["Wrapper"]


class Wrapper(nn.Module):
    """A module around another one: what it lacks itself is looked up in that."""

    inner_name: ClassVar[str]  # the attribute that is the wrapped module

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == self.inner_name:
                raise
            return getattr(super().__getattr__(self.inner_name), name)

    def __getitem__(self, key: Any) -> Any:
        return getattr(self, self.inner_name)[key]

    def _name_as_inner(self, state_dict: dict[str, Any], prefix: str) -> None:
        """Names of a state dict made without the wrapper get the place of the wrapped module."""
        inner = prefix + self.inner_name
        for name in [n for n in state_dict if n.startswith(prefix) and not n.startswith(inner)]:
            state_dict[f"{inner}.{name[len(prefix) :]}"] = state_dict.pop(name)
