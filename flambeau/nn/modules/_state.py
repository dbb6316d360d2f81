"""``state_dict`` and ``load_state_dict``: how a module's tensors are written down and read back."""

from __future__ import annotations

import warnings
from collections import OrderedDict, namedtuple
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import flambeau as fb
from flambeau.nn.parameter import Parameter, is_lazy

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

EXTRA_STATE = "_extra_state"


class _IncompatibleKeys(namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])):
    """What a state dictionary lacked, and what it had too much."""

    __slots__ = ()

    def __repr__(self) -> str:
        if not self.missing_keys and not self.unexpected_keys:
            return "<All keys matched successfully>"
        return super().__repr__()

    __str__ = __repr__


def save(module: Module, destination: dict[str, Any] | None, prefix: str, keep_vars: bool) -> dict[str, Any]:
    """Fill `destination` with the tensors of `module` and of all below it; returns what the hooks made of
    it.
    """
    if destination is None:
        destination = OrderedDict()
        destination._metadata = OrderedDict()
    local_metadata = {"version": module._version}
    if hasattr(destination, "_metadata"):
        destination._metadata[prefix[:-1]] = local_metadata
    for hook in module._state_dict_pre_hooks.values():
        hook(module, prefix, keep_vars)
    module._save_to_state_dict(destination, prefix, keep_vars)
    for name, child in module._modules.items():
        if child is not None:
            child.state_dict(destination=destination, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
    for hook in module._state_dict_hooks.values():
        changed = hook(module, destination, prefix, local_metadata)
        if getattr(hook, "_from_public_api", False):
            if changed is not None:
                raise RuntimeError("state_dict post-hook must return None")
        elif changed is not None:
            destination = changed
    return destination


def load(module: Module, state_dict: Mapping[str, Any], strict: bool, assign: bool) -> _IncompatibleKeys:
    """Give `module` and all below it the tensors of `state_dict`; one error lists everything that did not
    fit.
    """
    if not isinstance(state_dict, Mapping):
        raise TypeError(f"Expected state_dict to be dict-like, got {type(state_dict)}.")
    missing: list[str] = []
    unexpected: list[str] = []
    errors: list[str] = []
    metadata = getattr(state_dict, "_metadata", None)
    state_dict = OrderedDict(state_dict)
    if metadata is not None:
        state_dict._metadata = metadata
    _load_below(module, state_dict, "", metadata, assign, (missing, unexpected, errors))
    if strict:
        if unexpected:
            listed = ", ".join(f'"{k}"' for k in unexpected)
            errors.insert(0, f"Unexpected key(s) in state_dict: {listed}. ")
        if missing:
            listed = ", ".join(f'"{k}"' for k in missing)
            errors.insert(0, f"Missing key(s) in state_dict: {listed}. ")
    if errors:
        report = "\n\t".join(errors)
        raise RuntimeError(f"Error(s) in loading state_dict for {type(module).__name__}:\n\t{report}")
    return _IncompatibleKeys(missing, unexpected)


def _load_below(
    module: Module,
    state_dict: dict[str, Any],
    prefix: str,
    metadata: dict[str, Any] | None,
    assign: bool,
    report: tuple,
) -> None:
    missing, unexpected, errors = report
    local_metadata = {} if metadata is None else metadata.get(prefix[:-1], {})
    if assign:
        local_metadata["assign_to_params_buffers"] = assign
    # "strict" is decided once for the whole tree, from the complete lists
    module._load_from_state_dict(state_dict, prefix, local_metadata, True, missing, unexpected, errors)
    for name, child in module._modules.items():
        if child is not None:
            child_prefix = f"{prefix}{name}."
            below = OrderedDict((k, v) for k, v in state_dict.items() if k.startswith(child_prefix))
            _load_below(child, below, child_prefix, metadata, assign, report)
    incompatible = _IncompatibleKeys(missing, unexpected)
    for hook in module._load_state_dict_post_hooks.values():
        if hook(module, incompatible) is not None:
            raise AssertionError(
                "Hooks registered with ``register_load_state_dict_post_hook`` are not expected to return new "
                "values, if incompatible_keys need to be modified, it should be done inplace."
            )


def load_own(
    module: Module,
    state_dict: dict[str, Any],
    prefix: str,
    local_metadata: dict[str, Any],
    strict: bool,
    missing: list[str],
    unexpected: list[str],
    errors: list[str],
    has_extra: bool,
) -> None:
    """The default of ``Module._load_from_state_dict``: the tensors of this one module.

    `has_extra` tells that its class reads state besides tensors back.
    """
    for hook in module._load_state_dict_pre_hooks.values():
        hook(state_dict, prefix, local_metadata, strict, missing, unexpected, errors)
    hidden = module._non_persistent_buffers_set
    own = {k: v for k, v in module._parameters.items() if v is not None}
    own.update((k, v) for k, v in module._buffers.items() if v is not None and k not in hidden)
    assign = local_metadata.get("assign_to_params_buffers", False)
    for name, target in own.items():
        key = prefix + name
        if key in state_dict:
            problem = _load_tensor(module, name, key, target, state_dict[key], assign)
            if problem is not None:
                errors.append(problem)
        elif strict:
            missing.append(key)
    extra_key = prefix + EXTRA_STATE
    if has_extra:
        if extra_key in state_dict:
            module.set_extra_state(state_dict[extra_key])
        elif strict:
            missing.append(extra_key)
    elif strict and extra_key in state_dict:
        unexpected.append(extra_key)
    if strict:
        for key in state_dict:
            if key.startswith(prefix) and key != extra_key:
                head, _, rest = key[len(prefix) :].partition(".")
                if (head not in module._modules) if rest else (head not in own):
                    unexpected.append(key)


def _load_tensor(
    module: Module, name: str, key: str, target: fb.Tensor, source: fb.Tensor, assign: bool
) -> str | None:
    """Put `source` into the parameter or buffer `target`; returns what went wrong, if anything."""
    if not (isinstance(source, fb.Tensor) or hasattr(source, "__torch_function__")):
        return (
            f'While copying the parameter named "{key}", '
            f"expected torch.Tensor or Tensor-like object from checkpoint but received {type(source)}"
        )
    lazy = is_lazy(target)
    # before torch 0.3.1 a number was saved as a tensor of one element
    if not lazy and not is_lazy(source) and target.dim() == 0 and source.dim() == 1:
        source = source[0]
    if not lazy and source.shape != target.shape:
        return (
            f"size mismatch for {key}: copying a param with shape {source.shape} from checkpoint, "
            f"the shape in current model is {target.shape}."
        )
    if target.is_meta and not source.is_meta and not assign:
        warnings.warn(
            f"for {key}: copying from a non-meta parameter in the checkpoint to a meta parameter in the "
            "current model, which is a no-op. (Did you mean to pass `assign=True` to assign items in the "
            "state dictionary to their corresponding key in the module instead of copying them in place?)",
            stacklevel=6,
        )
    try:
        with fb.no_grad():
            if not assign:
                target.copy_(source)
            else:
                if isinstance(target, Parameter):
                    if isinstance(source, Parameter):
                        source.requires_grad_(target.requires_grad)
                    else:
                        source = Parameter(source, requires_grad=target.requires_grad)
                setattr(module, name, source)
    except Exception as error:
        return (
            f'While copying the parameter named "{key}", '
            f"whose dimensions in the model are {target.size()} and "
            f"whose dimensions in the checkpoint are {source.size()}, an exception occurred : {error.args}."
        )
    return None
