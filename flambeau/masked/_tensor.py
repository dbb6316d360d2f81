"""`MaskedTensor`: data and a mask that says which elements count, carried along by operators.

The tensor's memory is that of its data, so that recording, gradients, dtype and device are theirs; the mask
lies beside it. Operators arrive at `__torch_function__` and are done by `rules`.
"""

from __future__ import annotations

import warnings
from typing import Any

import flambeau as fb
from flambeau import _C

from .._rules import RuledTensor

__all__ = ["MaskedTensor", "masked_tensor", "as_masked_tensor", "is_masked_tensor"]

_plain_calls = _C.DisableTorchFunctionSubclass


class MaskedTensor(RuledTensor):
    """A tensor some of whose elements are not specified.

    Parameters
    ----------
    data : tensor, strided, COO or CSR.
    mask : bool tensor of the same shape and layout; True where an element counts.
    requires_grad : whether to record operations on it.
    """

    @staticmethod
    def __new__(cls: type, data: Any, mask: Any, requires_grad: bool = False) -> MaskedTensor:
        _check(data, mask)
        warnings.warn(
            "The PyTorch API of MaskedTensors is in prototype stage and will change in the near"
            " future. Please"
            " open a Github issue for features requests and see our documentation on the torch.masked module "
            "for further information about the project.",
            UserWarning,
            stacklevel=3,
        )
        made = wrap(data.detach(), mask)
        return made.requires_grad_() if requires_grad else made

    def __init__(self, data: Any, mask: Any, requires_grad: bool = False) -> None:
        pass  # `__new__` has made it

    def get_data(self) -> Any:
        """The data, connected to the graph; what stands where the mask is False does not count."""
        with _plain_calls():
            values = self.as_subclass(fb.Tensor)
        pattern = self.__dict__["_pattern"]
        return values if pattern is None else pattern.like(values)

    def get_mask(self) -> Any:
        """The mask."""
        return self.__dict__["_mask"]

    def to_tensor(self, value: Any) -> Any:
        """The strided tensor with `value` where the mask is False."""
        dense = self.to_dense()
        return dense.get_data().masked_fill(~dense.get_mask(), value)

    # ------------------------------------------------------------ what it is
    @property
    def shape(self) -> Any:
        """The sizes."""
        return self.get_mask().shape

    def size(self, dim: int | None = None) -> Any:
        """The sizes, or one of them."""
        return self.get_mask().size() if dim is None else self.get_mask().size(dim)

    def dim(self) -> int:
        """The number of dimensions."""
        return self.get_mask().dim()

    ndim = property(dim)
    ndimension = dim

    def numel(self) -> int:
        """The number of elements, whether they count or not."""
        return self.get_mask().numel()

    nelement = numel

    def __len__(self) -> int:
        return len(self.get_mask())

    @property
    def layout(self) -> Any:
        """The layout of data and mask."""
        return self.get_mask().layout

    @property
    def is_sparse(self) -> bool:
        """Whether the layout is COO."""
        return self.layout == fb.sparse_coo

    def is_sparse_coo(self) -> bool:
        """Whether the layout is COO."""
        return self.layout == fb.sparse_coo

    def is_sparse_csr(self) -> bool:
        """Whether the layout is CSR."""
        return self.layout == fb.sparse_csr

    # ------------------------------------------------------------ layouts
    def to_dense(self) -> MaskedTensor:
        """Data and mask strided."""
        if self.layout == fb.strided:
            return self
        return wrap(self.get_data().to_dense(), self.get_mask().to_dense())

    def to_sparse(self) -> MaskedTensor:
        """Data and mask in coordinates, of the elements that count."""
        if self.layout == fb.sparse_coo:
            return self
        mask = self.to_dense().get_mask().to_sparse()
        return wrap(self.to_dense().get_data().sparse_mask(mask), mask)

    to_sparse_coo = to_sparse

    def to_sparse_csr(self) -> MaskedTensor:
        """Data and mask in compressed rows, of the elements that count."""
        mask = self.to_dense().get_mask().to_sparse_csr()
        return wrap(self.to_dense().get_data().sparse_mask(mask), mask)

    # ------------------------------------------------------------ printing
    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        dense = self.to_dense()
        data, mask = dense.get_data().detach(), dense.get_mask()
        if data.dim() == 0:
            shown = _number(data.item()) if mask.item() else "--"
            return f"MaskedTensor({shown}, {bool(mask.item())})"
        text = _rows(data.tolist(), mask.tolist(), data.dim(), 2)
        return f"MaskedTensor(\n{text}\n)"

    __str__ = __repr__

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _restore, (self.get_data().detach(), self.get_mask(), self.requires_grad)


def _number(value: Any) -> str:
    return f"{value:8.4f}" if isinstance(value, float) else str(value)


def _rows(data: list, mask: list, dims: int, indent: int) -> str:
    space = " " * indent
    if dims == 1:
        width = max([8, *(len(_number(v)) for v, counts in zip(data, mask) if counts)])
        shown = [_number(v) if counts else "--".rjust(width) for v, counts in zip(data, mask)]
        return f"{space}[{', '.join(shown)}]"
    inner = ",\n".join(_rows(d, m, dims - 1, indent + 2) for d, m in zip(data, mask))
    return f"{space}[\n{inner}\n{space}]"


def _check(data: Any, mask: Any) -> None:
    for name, value in (("data", data), ("mask", mask)):
        if not isinstance(value, fb.Tensor) or is_masked_tensor(value):
            raise TypeError(f"{name} must be a Tensor")
    if data.layout != mask.layout:
        raise TypeError("data and mask must have the same layout.")
    if mask.dtype != fb.bool:
        raise TypeError("mask must have dtype bool.")
    if data.dtype.is_complex:
        raise TypeError(f"{data.dtype} is not supported in MaskedTensor.")
    if data.dim() != mask.dim():
        raise ValueError("data.dim() must equal mask.dim()")
    if data.size() != mask.size():
        raise ValueError("data.size() must equal mask.size()")


def wrap(data: Any, mask: Any) -> MaskedTensor:
    """Data, with its graph, and a mask as one tensor."""
    if mask.dtype != fb.bool:
        raise TypeError("mask must have dtype bool.")
    if data.layout != fb.strided and not fb.equal(data._coordinates(), mask._coordinates()):
        data = data.sparse_mask(mask)
    pattern = None if data.layout == fb.strided else data.detach()
    with _plain_calls():
        t = (data if pattern is None else data._values()).as_subclass(MaskedTensor)
    t.__dict__.update(_mask=mask, _pattern=pattern)
    return t


def _restore(data: Any, mask: Any, requires_grad: bool) -> MaskedTensor:
    return wrap(data, mask).requires_grad_(requires_grad)


def is_masked_tensor(obj: Any, /) -> bool:
    """Whether an object is a `MaskedTensor`."""
    return isinstance(obj, MaskedTensor)


def masked_tensor(data: Any, mask: Any, requires_grad: bool = False) -> MaskedTensor:
    """A masked tensor of a copy of `data`, a leaf of the graph."""
    _check(data, mask)
    return MaskedTensor(data.detach().clone(), mask, requires_grad)


def as_masked_tensor(data: Any, mask: Any) -> MaskedTensor:
    """A masked tensor that looks at `data` and passes gradients on to it."""
    _check(data, mask)
    return wrap(data, mask)
