"""Weight normalisation by a hook (the older form; see :mod:`flambeau.nn.utils.parametrizations`)."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeVar

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.parameter import Parameter, UninitializedParameter

if TYPE_CHECKING:
    from flambeau.nn.modules.module import Module

__all__ = ["WeightNorm", "weight_norm", "remove_weight_norm"]

_M = TypeVar("_M", bound="Module")


def norm_except(v: Tensor, dim: int) -> Tensor:
    """The norms of `v` for each index of `dim` (-1: as a whole)."""
    norms = fb.norm_except_dim(v, 2, dim)
    if not -v.dim() <= dim < v.dim():
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-v.dim()}, {v.dim() - 1}], but got {dim})"
        )
    return norms


def normalised(v: Tensor, g: Tensor, dim: int) -> Tensor:
    """`v` scaled to the norm `g`, for each index of `dim` (-1: as a whole)."""
    return v * (g / fb.norm_except_dim(v, 2, dim))


class WeightNorm:
    """The hook that computes a weight from its magnitude `g` and direction `v` before each call."""

    def __init__(self, name: str, dim: int) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Module) -> Tensor:
        """The weight."""
        return normalised(getattr(module, self.name + "_v"), getattr(module, self.name + "_g"), self.dim)

    @staticmethod
    def apply(module: Module, name: str, dim: int) -> WeightNorm:
        """Replace the parameter `name` of `module` by magnitude and direction; returns the hook."""
        warnings.warn(
            "`torch.nn.utils.weight_norm` is deprecated in favor of "
            "`torch.nn.utils.parametrizations.weight_norm`.",
            FutureWarning,
            stacklevel=3,
        )
        for hook in module._forward_pre_hooks.values():
            if isinstance(hook, WeightNorm) and hook.name == name:
                raise RuntimeError(f"Cannot register two weight_norm hooks on the same parameter {name}")
        hook = WeightNorm(name, dim)
        weight = getattr(module, name)
        if isinstance(weight, UninitializedParameter):
            raise ValueError(
                "The module passed to `WeightNorm` can't have uninitialized parameters. Make sure to run the "
                "dummy forward before applying weight normalization"
            )
        del module._parameters[name]
        module.register_parameter(name + "_g", Parameter(norm_except(weight, hook.dim).data))
        module.register_parameter(name + "_v", Parameter(weight.data))
        setattr(module, name, hook.compute_weight(module))
        module.register_forward_pre_hook(hook)
        return hook

    def remove(self, module: Module) -> None:
        """Make the weight a parameter again."""
        weight = self.compute_weight(module)
        delattr(module, self.name)
        del module._parameters[self.name + "_g"]
        del module._parameters[self.name + "_v"]
        setattr(module, self.name, Parameter(weight.data))

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: _M, name: str = "weight", dim: int = 0) -> _M:
    """Replace a weight by its magnitude ``{name}_g`` and direction ``{name}_v`` (Salimans & Kingma 2016).

    Parameters
    ----------
    module : Module
    name : str
    dim : int or None
        The dimension with a magnitude for each index; None: one for all.
    """
    WeightNorm.apply(module, name, dim)
    return module


def remove_weight_norm(module: _M, name: str = "weight") -> _M:
    """Undo :func:`weight_norm`."""
    for key, hook in module._forward_pre_hooks.items():
        if isinstance(hook, WeightNorm) and hook.name == name:
            hook.remove(module)
            del module._forward_pre_hooks[key]
            return module
    raise ValueError(f"weight_norm of '{name}' not found in {module}")
