"""Fake tensors: shape, dtype, device and record of a tensor without its numbers.

Inside a `FakeTensorMode` programs run on any device's tensors without memory: what is made is fake, and
operators run on the ``meta`` device behind it.
"""

from __future__ import annotations

import weakref
from typing import Any

import flambeau as fb

from .._ops import OpOverload
from ..utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from ..utils._pytree import tree_leaves, tree_map

__all__ = [
    "DataDependentOutputException",
    "DynamicOutputShapeException",
    "FakeTensor",
    "FakeTensorDeviceMismatchError",
    "FakeTensorMode",
    "UnsupportedFakeTensorException",
    "is_fake",
    "maybe_get_fake_mode",
    "unset_fake_temporarily",
]

_NUMBERS_WANTED = {"_local_scalar_dense", "equal", "is_nonzero"}
_SHAPE_FROM_NUMBERS = {
    "nonzero", "masked_select", "unique_dim", "_unique2", "unique_consecutive", "bincount", "argwhere",
}  # fmt: skip


class UnsupportedFakeTensorException(RuntimeError):
    """A kind of tensor that has no fake."""


class DynamicOutputShapeException(RuntimeError):
    """The shape of an operator's result depends on numbers, of which a fake tensor has none."""

    def __init__(self, func: OpOverload) -> None:
        super().__init__(str(func))
        self.func = func


class DataDependentOutputException(RuntimeError):
    """A number of a fake tensor was asked for."""

    def __init__(self, func: OpOverload) -> None:
        super().__init__(str(func))
        self.func = func


class FakeTensorDeviceMismatchError(RuntimeError):
    """Fake tensors of two devices meet in one operator."""


class FakeTensor(fb.Tensor):
    """A tensor of a `FakeTensorMode`: `elem` lies on the ``meta`` device, `fake_device` is where it says to
    be."""

    fake_device: fb.device
    fake_mode: FakeTensorMode
    elem: fb.Tensor

    @staticmethod
    def __new__(
        cls: type[FakeTensor], fake_mode: FakeTensorMode, elem: fb.Tensor, device: Any, **_: Any
    ) -> FakeTensor:
        if elem.device.type != "meta":
            raise AssertionError(f"elem.device.type must be 'meta', got {elem.device.type!r}")
        self = fb.Tensor._make_wrapper_subclass(
            cls,
            elem.shape,
            elem.stride(),
            elem.storage_offset(),
            dtype=elem.dtype,
            device="meta",
            requires_grad=elem.requires_grad,
        )
        self.elem = elem.detach()
        self.fake_mode = fake_mode
        self.fake_device = _indexed(fb.device(device))
        return self

    @property
    def device(self) -> fb.device:
        return self.fake_device

    @property
    def is_cpu(self) -> bool:
        return self.fake_device.type == "cpu"

    @property
    def is_cuda(self) -> bool:
        return self.fake_device.type == "cuda"

    @property
    def is_meta(self) -> bool:
        return self.fake_device.type == "meta"

    def __repr__(self, *, tensor_contents: object = None) -> str:
        parts = ["..."]
        if self.fake_device.type != "cpu":
            parts.append(f"device='{self.fake_device}'")
        parts.append(f"size={tuple(self.shape)}")
        if self.dtype != fb.get_default_dtype():
            parts.append(f"dtype={self.dtype}")
        if self.grad_fn is not None:
            parts.append(f"grad_fn=<{type(self.grad_fn).__name__}>")
        elif self.requires_grad:
            parts.append("requires_grad=True")
        return f"FakeTensor({', '.join(parts)})"

    def item(self) -> Any:
        raise DataDependentOutputException(fb.ops.aten._local_scalar_dense.default)

    tolist = __bool__ = __int__ = __float__ = __complex__ = __index__ = item

    def numpy(self, *, force: bool = False) -> Any:
        raise RuntimeError(".numpy() is not supported for tensor subclasses.")

    @classmethod
    def __torch_dispatch__(
        cls, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        mode = next(t.fake_mode for t in tree_leaves((args, kwargs)) if isinstance(t, FakeTensor))
        return mode.run(func, args, kwargs)


def _nothing() -> None:
    return None


def _indexed(device: fb.device) -> fb.device:
    return fb.device(device.type, 0) if device.type == "cuda" and device.index is None else device


class FakeTensorMode(TorchDispatchMode):
    """Context in which tensors are made fake and operators run without numbers.

    Parameters
    ----------
    allow_non_fake_inputs : real tensors may meet fake ones; they are made fake first. Tensors without
        dimension always may.
    shape_env, static_shapes, allow_fallback_kernels, export : accepted; shapes are always numbers here.
    """

    def __init__(
        self,
        *,
        allow_fallback_kernels: bool = True,
        allow_non_fake_inputs: bool = False,
        shape_env: Any = None,
        static_shapes: bool | None = None,
        export: bool = False,
    ) -> None:
        super().__init__()
        self.allow_fallback_kernels = allow_fallback_kernels
        self.allow_non_fake_inputs = allow_non_fake_inputs
        self.shape_env, self.static_shapes, self.export = shape_env, static_shapes, export
        self._inside = 0
        self._known: dict[int, tuple[weakref.ref, weakref.ref]] = {}  # tensor and fake by the tensor's id

    def __enter__(self) -> FakeTensorMode:
        self._inside += 1
        return super().__enter__()

    def __exit__(self, *exc: Any) -> None:
        self._inside -= 1
        super().__exit__(*exc)

    @classmethod
    def is_infra_mode(cls) -> bool:
        return True

    def from_tensor(
        self,
        tensor: fb.Tensor,
        *,
        static_shapes: bool | None = None,
        source: Any = None,
        symbolic_context: Any = None,
        trace: bool = True,
    ) -> FakeTensor:
        """The fake of a tensor; the same one when asked again. Parameters stay parameters."""
        if isinstance(tensor, FakeTensor):
            if tensor.fake_mode is not self:
                raise AssertionError("Mixing fake modes NYI")
            return tensor
        known, fake = (ref() for ref in self._known.get(id(tensor), (_nothing, _nothing)))
        if known is tensor and fake is not None:
            return fake
        if tensor.layout is not fb.strided:
            raise UnsupportedFakeTensorException(f"a fake tensor of layout {tensor.layout} is not there yet")
        with fb.utils._python_dispatch._disable_current_modes(), fb.no_grad():
            elem = fb.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
            fake = FakeTensor(self, elem, tensor.device)
            if isinstance(tensor, fb.nn.Parameter):
                fake = fb.nn.Parameter(fake, requires_grad=tensor.requires_grad)
        if tensor.requires_grad:
            fake.requires_grad_()
        self._known[id(tensor)] = weakref.ref(tensor), weakref.ref(fake)
        return fake

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        return self.run(func, args, kwargs or {})

    def run(self, func: OpOverload, args: tuple, kwargs: dict) -> Any:
        """What an operator gives for fake arguments."""
        name = func._opname
        if name in _NUMBERS_WANTED:
            raise DataDependentOutputException(func)
        if name in _SHAPE_FROM_NUMBERS:
            raise DynamicOutputShapeException(func)
        inputs = [t for t in tree_leaves((args, kwargs)) if isinstance(t, fb.Tensor)]
        for t in inputs:
            if isinstance(t, FakeTensor):
                if t.fake_mode is not self:
                    raise AssertionError("Mixing fake modes NYI")
            elif not (self.allow_non_fake_inputs or self._inside or t.dim() == 0):
                raise AssertionError(
                    "Please convert all Tensors to FakeTensors first or instantiate FakeTensorMode with "
                    f"'allow_non_fake_inputs'. Found in {func}({', '.join(map(_short, args))})"
                )
        device = self._device_of(inputs, kwargs)

        def inner(x: Any) -> Any:
            if isinstance(x, FakeTensor):
                return x.elem
            return self.from_tensor(x).elem if isinstance(x, fb.Tensor) else x

        given = tree_map(inner, kwargs)
        if "device" in kwargs or not inputs:
            given["device"] = "meta"
        args_inner = tree_map(lambda x: fb.device("meta") if isinstance(x, fb.device) else inner(x), args)
        out = func(*args_inner, **given)
        out = tree_map(lambda x: FakeTensor(self, x, device) if isinstance(x, fb.Tensor) else x, out)
        return return_and_correct_aliasing(func, args, kwargs, out)

    def _device_of(self, inputs: list[fb.Tensor], kwargs: dict) -> fb.device:
        if kwargs.get("device") is not None:
            return fb.device(kwargs["device"])
        found = None
        for t in inputs:
            if t.dim() == 0 and t.device.type == "cpu":
                continue
            if found is not None and t.device != found:
                raise FakeTensorDeviceMismatchError(
                    "Expected all tensors to be on the same device, but found at least two devices, "
                    f"{found} and {t.device}!"
                )
            found = t.device
        return found if found is not None else fb.get_default_device()


def _is_tensor_constructor(func: OpOverload) -> bool:
    """Whether an operator makes a tensor from no other, as its schema says."""
    schema = func._schema
    if any("Tensor" in str(a.type) for a in schema.arguments):
        return False
    return len(schema.returns) == 1 and str(schema.returns[0].type) == "Tensor"


def _short(x: Any) -> str:
    if isinstance(x, fb.Tensor) and not isinstance(x, FakeTensor):
        return f"tensor([...], size={tuple(x.shape)})"
    return repr(x)


def is_fake(x: object) -> bool:
    """Whether a tensor, or one inside a wrapper, is fake."""
    if isinstance(x, FakeTensor):
        return True
    if fb.utils._python_dispatch.is_traceable_wrapper_subclass(x):
        return all(is_fake(getattr(x, name)) for name in x.__tensor_flatten__()[0])
    return False


def maybe_get_fake_mode(t: object) -> FakeTensorMode | None:
    """The mode of a fake tensor, None for others."""
    return t.fake_mode if isinstance(t, FakeTensor) else None


def unset_fake_temporarily() -> Any:
    """Context without the modes that are on."""
    return fb.utils._python_dispatch._disable_current_modes()
