"""Modules that say themselves how they are exported."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import flambeau as fb

from ._program import ONNXProgram

__all__ = ["ExportableModule"]


class ExportableModule(fb.nn.Module, abc.ABC):
    """A module with examples of its arguments; ``onnx.export(module)`` and `to_onnx` need no others.

    Examples
    --------
    >>> class Doubled(fb.onnx.ExportableModule):
    ...     def forward(self, x):
    ...         return x * 2
    ...     def example_arguments(self):
    ...         return (fb.ones(2, 3),), None
    ...     def dynamic_shapes(self):
    ...         return ({0: "batch"},)
    """

    @abc.abstractmethod
    def example_arguments(self) -> tuple[tuple[Any, ...], dict[str, Any] | None]:
        """Examples of the arguments of `forward`: those by place, and those by name or None."""
        raise NotImplementedError

    def dynamic_shapes(self) -> Any:
        """Which dimensions may change, as `flambeau.export.export` takes it; None: none of them."""
        return None

    def input_names(self) -> Sequence[str] | None:
        """The names of the inputs in the ONNX model; None: those of the parameters."""
        return None

    def output_names(self) -> Sequence[str] | None:
        """The names of the results in the ONNX model."""
        return None

    def _export_options(self) -> dict[str, Any]:
        args, kwargs = self.example_arguments()
        return {
            "args": args,
            "kwargs": kwargs,
            "dynamic_shapes": self.dynamic_shapes(),
            "input_names": self.input_names(),
            "output_names": self.output_names(),
        }

    def to_onnx(self, **kwargs: Any) -> ONNXProgram:
        """The module as an ONNX model.

        Parameters
        ----------
        **kwargs : as of `flambeau.onnx.export`; they go before what the methods say.
        """
        from . import export

        return export(self, **{**self._export_options(), **kwargs})
