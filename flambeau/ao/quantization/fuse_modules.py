"""Layers by their names made one."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from flambeau import nn
from flambeau.ao.quantization.fuser_method_mappings import (
    fuse_conv_bn,  # noqa: F401
    fuse_conv_bn_relu,  # noqa: F401
    get_fuser_method,
)
from flambeau.ao.quantization.utils import _parent_name, getattr_from_fqn
from flambeau.nn.utils.parametrize import type_before_parametrizations

__all__ = ["fuse_known_modules", "fuse_modules", "fuse_modules_qat"]


def fuse_known_modules(
    mod_list: list[nn.Module], is_qat: bool, additional_fuser_method_mapping: dict | None = None
) -> list[nn.Module]:
    """Layers made one: that one, and an `nn.Identity` for each further layer.

    Parameters
    ----------
    mod_list : list of Module
    is_qat : bool
    additional_fuser_method_mapping : dict, optional
        Classes of layers to functions that make one of them.
    """
    kinds = tuple(type_before_parametrizations(m) for m in mod_list)
    fused = get_fuser_method(kinds, additional_fuser_method_mapping)(is_qat, *mod_list)
    first, last = mod_list[0], mod_list[-1]
    for hook in first._forward_pre_hooks.values():
        fused.register_forward_pre_hook(hook)
    first._forward_pre_hooks.clear()
    for hook in last._forward_hooks.values():
        fused.register_forward_hook(hook)
    last._forward_hooks.clear()
    rest = [nn.Identity() for _ in mod_list[1:]]
    for nothing in rest:
        nothing.training = first.training
    return [fused, *rest]


def _fuse_modules(
    model: nn.Module, modules_to_fuse: list, is_qat: bool, inplace: bool = False,
    fuser_func: Callable = fuse_known_modules, fuse_custom_config_dict: dict | None = None,
) -> nn.Module:  # fmt: skip
    if not inplace:
        model = copy.deepcopy(model)
    further = (fuse_custom_config_dict or {}).get("additional_fuser_method_mapping", {})
    one = all(isinstance(name, str) for name in modules_to_fuse)
    for names in [modules_to_fuse] if one else modules_to_fuse:
        new = fuser_func([getattr_from_fqn(model, name) for name in names], is_qat, further)
        for k, name in enumerate(names):
            where, last = _parent_name(name)
            setattr(getattr_from_fqn(model, where) if where else model, last, new[k])
    return model


def fuse_modules(
    model: nn.Module, modules_to_fuse: list, inplace: bool = False, fuser_func: Callable = fuse_known_modules,
    fuse_custom_config_dict: dict[str, Any] | None = None,
) -> nn.Module:  # fmt: skip
    """A network with layers made one, for calibration and evaluation.

    Parameters
    ----------
    model : Module
    modules_to_fuse : list of str, or of lists of str
        Names of layers: convolution, normalisation, ReLU; linear, ReLU; and so on.
    inplace : bool
    fuser_func : callable
    fuse_custom_config_dict : dict, optional
    """
    return _fuse_modules(model, modules_to_fuse, False, inplace, fuser_func, fuse_custom_config_dict)


def fuse_modules_qat(
    model: nn.Module, modules_to_fuse: list, inplace: bool = False, fuser_func: Callable = fuse_known_modules,
    fuse_custom_config_dict: dict[str, Any] | None = None,
) -> nn.Module:  # fmt: skip
    """`fuse_modules` for training: normalisations stay."""
    return _fuse_modules(model, modules_to_fuse, True, inplace, fuser_func, fuse_custom_config_dict)
