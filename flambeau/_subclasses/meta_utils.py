"""Tensors without numbers that are like given ones."""

from __future__ import annotations

import weakref
from typing import Any

import flambeau as fb

__all__ = ["MetaConverter"]


class MetaConverter:
    """Makes tensors on the device ``"meta"`` from others; the same one when asked again.

    Views of one storage become views of one storage, leaves become leaves, and what takes gradients does so.

    Parameters
    ----------
    copy_data : whether the numbers go along, which a tensor without numbers cannot hold.

    Raises
    ------
    NotImplementedError : for ``copy_data``.
    """

    def __init__(self, *, copy_data: bool = False) -> None:
        if copy_data:
            raise NotImplementedError("MetaConverter(copy_data=True): meta tensors hold no numbers here")
        self._tensors: dict[int, tuple[weakref.ref, fb.Tensor]] = {}
        self._storages: dict[int, tuple[Any, fb.Tensor]] = {}

    def _bytes_of(self, t: fb.Tensor) -> fb.Tensor:
        storage = t.untyped_storage()
        if storage._cdata not in self._storages:
            made = fb.empty(storage.nbytes(), dtype=fb.uint8, device="meta")
            self._storages[storage._cdata] = storage, made
        return self._storages[storage._cdata][1]

    def meta_tensor(self, t: fb.Tensor, **options: Any) -> fb.Tensor:
        """The tensor without numbers."""
        kept, made = self._tensors.get(id(t), (lambda: None, None))
        if made is not None and kept() is t:
            return made
        with fb.no_grad():
            if t.layout is not fb.strided:
                made = t.detach().to("meta")
            elif t._is_view() and t._base is not None and t._base.dtype == t.dtype:
                base = self.meta_tensor(t._base)
                with fb.enable_grad() if t.requires_grad else fb.no_grad():
                    made = base.as_strided(t.shape, t.stride(), t.storage_offset())
            else:
                made = fb.empty(0, dtype=t.dtype, device="meta")
                made = made.set_(self._bytes_of(t).untyped_storage(), t.storage_offset(), t.shape, t.stride())
        if t.requires_grad and not made.requires_grad:
            made.requires_grad_()
        self._tensors[id(t)] = weakref.ref(t), made
        return made

    def __call__(self, t: Any, **options: Any) -> Any:
        """The same of a tensor; anything else is given back."""
        return self.meta_tensor(t) if isinstance(t, fb.Tensor) else t
