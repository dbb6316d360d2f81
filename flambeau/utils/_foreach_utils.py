"""Lists of tensors sorted by what one kernel can take at once."""

from __future__ import annotations

from typing import Any

import flambeau as fb

__all__ = ["_group_tensors_by_device_and_dtype"]


def _get_foreach_kernels_supported_devices() -> list[str]:
    """Kinds of devices that PyTorch has kernels of lists for."""
    return ["cuda", "xpu", "mtia", "privateuseone"]


def _get_fused_kernels_supported_devices() -> list[str]:
    """Kinds of devices that PyTorch has fused optimizers for."""
    return ["mps", "cuda", "xpu", "hpu", "cpu", "mtia", "privateuseone"]


@fb.no_grad()
def _group_tensors_by_device_and_dtype(
    tensorlistlist: list[list[Any]], with_indices: bool = False
) -> dict[tuple, tuple[list[list[Any]], list[int]]]:
    """Parts of lists of tensors in which the first list's have one device and dtype.

    Parameters
    ----------
    tensorlistlist : lists of equal length; those after the first may have None.
    with_indices : whether to tell where the tensors were.

    Returns
    -------
    dict
        ``(device, dtype)`` to the parts of all lists, and the positions.
    """
    first = tensorlistlist[0]
    if any(len(part) not in (0, len(first)) for part in tensorlistlist):
        raise RuntimeError("Tensors must have the same length in all lists")
    places: dict[tuple, list[int]] = {}
    for i, t in enumerate(first):
        if t is None:
            raise RuntimeError(
                "Tensors of the first list of nested Tensor lists are supposed to be defined but the "
                f"{i}-th Tensor is not."
            )
        places.setdefault((t.device, t.dtype), []).append(i)
    return {
        key: (
            [[part[i] for i in where] if part else [] for part in tensorlistlist],
            where if with_indices else [],
        )
        for key, where in places.items()
    }
