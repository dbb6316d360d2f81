"""Applying styles of parallelism to the parts of a module."""

from __future__ import annotations

import fnmatch
import warnings

import flambeau as fb
from flambeau.distributed.device_mesh import DeviceMesh

from .style import ParallelStyle

__all__ = ["parallelize_module"]


def parallelize_module(
    module: fb.nn.Module,
    device_mesh: DeviceMesh | None = None,
    parallelize_plan: ParallelStyle | dict[str, ParallelStyle] | None = None,
    *,
    src_data_rank: int | None = 0,
) -> fb.nn.Module:
    """Cut a module, in place, by a style or by a style for each part (names may have ``*``).

    Parameters
    ----------
    device_mesh : the processes, in one line.
    src_data_rank : whose parameters are taken; None: each has its own already.
    """
    if device_mesh is None:
        raise NotImplementedError("parallelize_module without a device_mesh")
    if device_mesh.ndim != 1:
        raise ValueError(f"Tensor Parallel only accepts a 1D DeviceMesh, but found {device_mesh.ndim}D!")
    if parallelize_plan is None:
        warnings.warn("No parallelize_plan is provided and auto-parallel is not supported at the "
                      "moment, so this parallelize_module will do nothing.", stacklevel=2)  # fmt: skip
        return module
    if isinstance(parallelize_plan, ParallelStyle):
        parallelize_plan.src_data_rank = src_data_rank
        return parallelize_plan._apply(module, device_mesh)
    if not isinstance(parallelize_plan, dict):
        raise TypeError(
            "Expect Union[ParallelStyle, Dict[str, ParallelStyle]] for parallelize_plan, "
            f"{type(parallelize_plan)} found!"
        )
    for path, style in parallelize_plan.items():
        for part in _parts(module, path.split(".") if path else []):
            parallelize_module(part, device_mesh, style, src_data_rank=src_data_rank)
    return module


def _parts(module: fb.nn.Module, path: list[str]) -> list[fb.nn.Module]:
    if not path:
        return [module]
    found = [child for name, child in module.named_children() if fnmatch.fnmatch(name, path[0])]
    if not found:
        warnings.warn(
            f"Parallelize plan key '{path[0]}' could not be resolved: no submodule matching token "
            f"'{path[0]}' in module {type(module).__name__}, skipping.",
            stacklevel=3,
        )
    return [part for child in found for part in _parts(child, path[1:])]
