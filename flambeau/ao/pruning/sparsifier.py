"""Masks of weights: which there are, when they change, how they become part of the weights."""

from __future__ import annotations

import abc
import copy
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import parametrize

__all__ = ["BaseSparsifier", "FakeSparsity", "WeightNormSparsifier"]


class FakeSparsity(nn.Module):
    """A parametrization: the weight times a mask.

    Parameters
    ----------
    mask : of the weight's shape.
    """

    def __init__(self, mask: fb.Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        """The weight where the mask is not zero."""
        if self.mask.shape != x.shape:
            raise AssertionError(f"mask has shape {tuple(self.mask.shape)}, the weight {tuple(x.shape)}")
        return self.mask * x

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Nothing: the masks are in the state of the sparsifier."""
        return {}


class BaseSparsifier(abc.ABC):
    """Base of all: keeps the masks of some weights of a model; a subclass has ``update_mask``.

    Parameters
    ----------
    defaults : options of weights that do not set them.
    """

    def __init__(self, defaults: dict[str, Any] | None = None) -> None:
        self.defaults: dict[str, Any] = defaults or {}
        self.state: dict[str, dict] = defaultdict(dict)
        self.groups: list[dict[str, Any]] = []
        self.config: list[dict[str, Any]] = []
        self.model: nn.Module | None = None
        self.enable_mask_update = True

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__} ("]
        for i, group in enumerate(self.groups):
            lines += [f"\tGroup {i}", f"\t    module: {group['module']}"]
            lines += [f"\t    {key}: {group[key]}" for key in sorted(group) if key != "module"]
        return "\n".join([*lines, ")"])

    def state_dict(self) -> dict[str, Any]:
        """The masks, and the options of the weights without their modules."""
        groups = [{k: v for k, v in group.items() if k != "module"} for group in self.groups]
        return {"state": self.state, "groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> None:
        """Take over what `state_dict` gave; the masks go into the prepared model."""
        saved = copy.deepcopy(state_dict["groups"])
        for name, found in state_dict["state"].items():
            path, _, tensor = name.rpartition(".")
            if self.model is None:
                raise RuntimeError("load_state_dict needs a prepared model")
            module = self.model.get_submodule(path)
            if not parametrize.is_parametrized(module, tensor):
                if strict:
                    raise RuntimeError(f"Error loading {name} into the model")
                parametrize.register_parametrization(
                    module, tensor, FakeSparsity(fb.ones_like(getattr(module, tensor)))
                )
            self._mask(module, tensor).mask = found["mask"]
        for group in saved:
            group["module"] = None if self.model is None else self.model.get_submodule(group["module_fqn"])
        self.state = defaultdict(dict, state_dict["state"])
        self.groups = saved

    def make_config_from_model(
        self, model: nn.Module, SUPPORTED_MODULES: set[type] = frozenset({nn.Linear})
    ) -> None:
        """Take the weights of all linear layers."""
        self.config = [
            {"tensor_fqn": f"{name}.weight" if name else "weight"}
            for name, module in model.named_modules()
            if type(module) in SUPPORTED_MODULES
        ]

    def prepare(self, model: nn.Module, config: list[dict[str, Any]] | None) -> None:
        """Give weights their masks, of ones.

        Parameters
        ----------
        config : ``{"tensor_fqn": path, option: value, …}`` of each weight; the weights of all linear
        layers where
            it is None.
        """
        self.model = model
        if config is None:
            self.make_config_from_model(model)
        else:
            self.config = config
        for entry in self.config:
            if not isinstance(entry, dict):
                raise AssertionError(
                    "config elements should be dicts not modules i.e.: [{'tensor_fqn': 'x'}]"
                )
            given = dict(entry)
            path = given.get("tensor_fqn")
            if path is None:
                raise AssertionError("tensor_fqn is a required argument in the sparsity config which "
                    "replaces "
                                     "previous `module` and [module]`fqn` arguments")  # fmt: skip
            module_path, _, tensor = path.rpartition(".")
            try:
                module: Any = model.get_submodule(module_path)
            except AttributeError:
                raise AttributeError(f"'NoneType' object has no attribute '{tensor}'") from None
            where = {"module": module, "module_fqn": module_path, "tensor_name": tensor, "tensor_fqn": path}
            self.groups.append({**self.defaults, **given, **where})
        for group in self.groups:
            weight = getattr(group["module"], group["tensor_name"])
            made = (group.get("parametrization") or FakeSparsity)(fb.ones_like(weight))
            parametrize.register_parametrization(group["module"], group["tensor_name"], made)
            self.state[group["tensor_fqn"]]["mask"] = self._mask(group["module"], group["tensor_name"]).mask

    @staticmethod
    def _mask(module: nn.Module, name: str) -> Any:
        """The parametrization that has the mask."""
        return next(p for p in module.parametrizations[name] if hasattr(p, "mask"))

    def squash_mask(
        self,
        params_to_keep: tuple[str, ...] | None = None,
        params_to_keep_per_layer: dict[str, tuple[str, ...]] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """Make the masks part of the weights; the modules keep the options that are named in
        ``sparse_params``."""
        for group in self.groups:
            module, name = group["module"], group["tensor_name"]
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)
            kept = {key: group[key] for key in params_to_keep or ()}
            kept |= {key: group[key] for key in (params_to_keep_per_layer or {}).get(group["module_fqn"], ())}
            if kept:
                module.sparse_params = kept

    def step(self, use_path: bool = True) -> None:
        """Make the masks anew."""
        if not self.enable_mask_update:
            return
        with fb.no_grad():
            for group in self.groups:
                self.update_mask(**group)

    @abc.abstractmethod
    def update_mask(self, module: nn.Module, tensor_name: str, **kwargs: Any) -> None:
        """Make the mask of one weight anew."""


class WeightNormSparsifier(BaseSparsifier):
    """Takes out the blocks of a weight whose elements are smallest.

    Parameters
    ----------
    sparsity_level : the share of blocks that go.
    sparse_block_shape : rows and columns of a block.
    zeros_per_block : how many elements of such a block go, the smallest ones; all of them by default.
    norm : what size is: 1 for the absolute value, 2 (or None) for the square, or a function of the weight.

    Raises
    ------
    NotImplementedError : for another norm.
    """

    def __init__(
        self, sparsity_level: float = 0.5, sparse_block_shape: tuple[int, int] = (1, 4),
        zeros_per_block: int | None = None, norm: Callable | int | None = None,
    ) -> None:  # fmt: skip
        if zeros_per_block is None:
            zeros_per_block = sparse_block_shape[0] * sparse_block_shape[1]
        super().__init__(
            {
                "sparsity_level": sparsity_level,
                "sparse_block_shape": sparse_block_shape,
                "zeros_per_block": zeros_per_block,
            }
        )
        if norm is None or norm == 2:
            self.norm_fn: Callable = lambda t: t * t
        elif norm == 1:
            self.norm_fn = fb.abs
        elif callable(norm):
            self.norm_fn = norm
        else:
            raise NotImplementedError(f"L-{norm} is not yet implemented.")

    def _blocks(self, sizes: fb.Tensor, shape: tuple[int, int], fill: float) -> fb.Tensor:
        """The matrix as blocks: a row of elements for each, filled up at the edges."""
        h, w = shape
        rows, cols = sizes.shape
        padded = fb.nn.functional.pad(sizes, (0, -cols % w, 0, -rows % h), value=fill)
        return padded.unflatten(0, (-1, h)).unflatten(2, (-1, w)).transpose(1, 2).reshape(-1, h * w)

    def _matrix(self, blocks: fb.Tensor, shape: tuple[int, int], like: fb.Tensor) -> fb.Tensor:
        """The reverse of `_blocks`."""
        h, w = shape
        rows, cols = like.shape
        across = -(-cols // w)
        tiled = blocks.reshape(-1, across, h, w).transpose(1, 2).reshape(-1, across * w)
        return tiled[:rows, :cols]

    def update_mask(
        self, module: nn.Module, tensor_name: str, sparsity_level: float, sparse_block_shape: tuple[int, int],
        zeros_per_block: int, **kwargs: Any,
    ) -> None:  # fmt: skip
        """Make the mask of one weight anew."""
        whole = sparse_block_shape[0] * sparse_block_shape[1]
        if zeros_per_block > whole:
            raise ValueError(
                "Number of zeros per block cannot be more than the total number of elements in that block."
            )
        if zeros_per_block < 0:
            raise ValueError("Number of zeros per block should be positive.")
        held = self._mask(module, tensor_name)
        if sparsity_level <= 0 or zeros_per_block == 0:
            held.mask.data = fb.ones_like(held.mask)
            return
        if sparsity_level >= 1.0 and zeros_per_block == whole:
            held.mask.data = fb.zeros_like(held.mask)
            return
        weight = getattr(module, tensor_name)
        sizes = self.norm_fn(weight)
        matrix = sizes.reshape(sizes.shape[0], -1)
        means = self._blocks(matrix, sparse_block_shape, 0.0)
        counts = self._blocks(fb.ones_like(matrix), sparse_block_shape, 0.0).sum(1)
        order = (means.sum(1) / counts).argsort()
        gone = min(max(round(sparsity_level * order.numel()), 0), order.numel())
        blocks = fb.ones_like(means)
        blocks[order[:gone]] = 0
        mask = self._matrix(blocks, sparse_block_shape, matrix)
        if zeros_per_block != whole:
            inside = self._blocks(matrix, sparse_block_shape, float("inf"))
            parts = fb.ones_like(inside)
            parts.scatter_(1, inside.argsort(1)[:, :zeros_per_block], 0.0)
            mask = fb.logical_or(mask, self._matrix(parts, sparse_block_shape, matrix))
        held.mask.data = mask.reshape(weight.shape).clone()
