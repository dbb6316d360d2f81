"""Calls of a module with other tensors in place of its own."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from flambeau import Tensor

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

__all__ = ["functional_call"]

_ABSENT = object()


def _registry(module: Module, name: str) -> dict | None:
    """The dictionary in which `module` keeps its tensor `name`."""
    for members in (module._parameters, module._buffers):
        if name in members:
            return members
    return None


@contextlib.contextmanager
def _reparametrize_module(
    module: Module, tensors: dict[str, Tensor], tie_weights: bool = False, strict: bool = False
) -> Iterator[None]:
    """`module` with `tensors` in it; its own ones are back afterwards."""
    own = dict(module.named_parameters(remove_duplicate=False))
    own.update(module.named_buffers(remove_duplicate=False))
    for path in tensors.keys():
        tensor, name = tensors[path], path.rpartition(".")[2]
        if name == "":
            raise KeyError('tensor name can\'t be empty string ""')
        if not isinstance(tensor, Tensor) and tensor is not None:
            raise TypeError(f"{tensor} is not an instance of torch.Tensor")
    wanted = dict(tensors)
    if tie_weights:
        # one tensor under several names is replaced under all of them
        by_identity: dict[int, list[str]] = {}
        for name, tensor in own.items():
            by_identity.setdefault(id(tensor), []).append(name)
        for names in by_identity.values():
            given = [name for name in names if name in tensors]
            if given:
                if len({id(tensors[name]) for name in given}) > 1:
                    raise ValueError(
                        f"functional_call got multiple values for keys {sorted(given)}, which are tied. "
                        "Consider using tie_weights=False"
                    )
                for name in names:
                    wanted.setdefault(name, tensors[given[0]])
    if strict:
        unexpected, missing = sorted(wanted.keys() - own.keys()), sorted(own.keys() - wanted.keys())
        problems = []
        if unexpected:
            problems.append("\n\tUnexpected key(s): " + ", ".join(map(repr, unexpected)) + ".")
        if missing:
            problems.append("\n\tMissing key(s): " + ", ".join(map(repr, missing)) + ".")
        if problems:
            raise RuntimeError(f"Error(s) in reparametrizing for {module._get_name()}:" + "".join(problems))
    undo = []
    try:
        for path, tensor in wanted.items():
            owner_path, _, name = path.rpartition(".")
            owner = module.get_submodule(owner_path)
            members = _registry(owner, name)
            if members is not None:
                undo.append((members, name, members[name]))
                members[name] = tensor
            else:
                own_attributes = owner.__dict__
                undo.append((own_attributes, name, own_attributes.get(name, _ABSENT)))
                own_attributes[name] = tensor
        yield
    finally:
        for members, name, before in reversed(undo):
            if before is _ABSENT:
                members.pop(name, None)
            else:
                members[name] = before


def functional_call(
    module: Module, parameters_and_buffers: dict[str, Tensor], args: Any = None, kwargs: dict | None = None,
    *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """The older name of ``flambeau.func.functional_call``."""
    warnings.warn(
        "`torch.nn.utils.stateless.functional_call` is deprecated as of PyTorch 2.0 and will be removed in a "
        "future version of PyTorch. Please use `torch.func.functional_call` instead which is a drop-in "
        "replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return _functional_call(
        module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict
    )


def _functional_call(
    module: Module, parameters_and_buffers: dict[str, Tensor], args: Any = None, kwargs: dict | None = None,
    *, tie_weights: bool = True, strict: bool = False,
) -> Any:  # fmt: skip
    """Call `module` with `parameters_and_buffers` (by dotted name) instead of its own tensors.

    Parameters
    ----------
    args : Any or tuple
        Positional arguments; one that is no tuple is the only one.
    kwargs : dict
    tie_weights : bool
        Replace a tensor that has several names under all of them.
    strict : bool
        Raise for names that are missing or not known.
    """
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))
