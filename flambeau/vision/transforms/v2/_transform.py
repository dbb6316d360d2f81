"""The base of transforms: which inputs of a sample are transformed, with one set of parameters for all."""

from __future__ import annotations

import enum
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.utils._pytree import tree_flatten, tree_unflatten
from flambeau.vision import tv_tensors
from flambeau.vision._pil import is_pil

from ._utils import Kinds, check_type, fill_by_kind, fill_for, has_any
from .functional import is_pure_tensor
from .functional._dispatch import kernel_for


class Transform(nn.Module):
    """Base class for your own transforms: override `transform`, and `make_params` for random ones.

    A transform takes samples of any structure (tuples, lists, dictionaries) and gives the same structure. Of
    plain tensors the first is taken for a picture, unless there is an Image, a Video or a Pillow image.
    """

    _transformed_types: Kinds = (fb.Tensor, is_pil)

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raise an error if these inputs cannot be transformed."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What is to be done, for all inputs of a sample; random numbers are drawn here."""
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One input, transformed."""
        raise NotImplementedError(f"{type(self).__name__} must say in transform what it does with an input")

    def _call_kernel(self, functional: Any, inpt: Any, *args: Any, **kwargs: Any) -> Any:
        """Run a function of v2.functional; inputs of a kind that it does not know pass unchanged."""
        kernel = kernel_for(functional, inpt)
        return inpt if kernel is None else kernel(inpt, *args, **kwargs)

    def _needs_transform_list(self, flat_inputs: list[Any]) -> list[bool]:
        plain_is_picture = not has_any(flat_inputs, tv_tensors.Image, tv_tensors.Video, is_pil)
        needs = []
        for inpt in flat_inputs:
            wanted = check_type(inpt, self._transformed_types)
            if wanted and is_pure_tensor(inpt):
                wanted, plain_is_picture = plain_is_picture, False
            needs.append(wanted)
        return needs

    def forward(self, *inputs: Any) -> Any:
        flat, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        self.check_inputs(flat)
        needs = self._needs_transform_list(flat)
        params = self.make_params([inpt for inpt, wanted in zip(flat, needs, strict=True) if wanted])
        out = [self.transform(i, params) if wanted else i for i, wanted in zip(flat, needs, strict=True)]
        return tree_unflatten(out, spec)

    def extra_repr(self) -> str:
        shown = (bool, int, float, str, tuple, list, enum.Enum)
        return ", ".join(
            f"{name}={value}"
            for name, value in self.__dict__.items()
            if not name.startswith("_") and name != "training" and isinstance(value, shown)
        )


class RandomApplyTransform(Transform):
    """Base of transforms that do something with probability p."""

    def __init__(self, p: float = 0.5) -> None:
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        super().__init__()
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        flat, spec = tree_flatten(inputs if len(inputs) > 1 else inputs[0])
        self.check_inputs(flat)
        if fb.rand(1) >= self.p:
            return tree_unflatten(flat, spec)
        needs = self._needs_transform_list(flat)
        params = self.make_params([inpt for inpt, wanted in zip(flat, needs, strict=True) if wanted])
        out = [self.transform(i, params) if wanted else i for i, wanted in zip(flat, needs, strict=True)]
        return tree_unflatten(out, spec)


class Filled:
    """For transforms with an argument `fill`: a number, a sequence, None, or a dictionary by kind."""

    def _set_fill(self, fill: Any) -> None:
        self.fill = fill
        self._fill = fill_by_kind(fill)

    def _fill_for(self, inpt: Any) -> Any:
        return fill_for(self._fill, inpt)
