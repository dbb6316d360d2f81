"""Tensors a module owns: parameters, buffers, and both before their shape is known."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, Self, SupportsIndex

from flambeau import _C
from flambeau._C import Tensor
from flambeau.types import Device

__all__ = [
    "Parameter",
    "UninitializedParameter",
    "is_lazy",
    "Buffer",
    "UninitializedBuffer",
    "UninitializedTensorMixin",
]

_plain_function = _C._disabled_torch_function_impl


class _ParameterMeta(type(Tensor)):
    """Lets a tensor of another class count as a parameter by carrying ``_is_param = True``."""

    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        if cls is not Parameter:
            return False
        return isinstance(instance, Tensor) and getattr(instance, "_is_param", False)


class Parameter(Tensor, metaclass=_ParameterMeta):
    """A tensor that a module lists among its parameters as soon as it is assigned to an attribute.

    Parameters
    ----------
    data : Tensor
        The values; shared, not copied.
    requires_grad : bool
        Whether gradients are computed for it.
    """

    _prints_as_parameter = True

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Self:
        if data is None:
            data = _C.empty(0)
        if type(data) is Tensor or type(data) is Parameter:
            return Tensor._make_subclass(cls, data, requires_grad)
        # a tensor subclass keeps its class and is only marked as a parameter
        marked = data.detach().requires_grad_(requires_grad)
        if type(marked) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires that detach() "
                f"returns an instance of the same type, but return type {type(marked).__name__} was found "
                "instead. To use the type as a Parameter, please correct the detach() semantics defined by "
                "its __torch_dispatch__() implementation."
            )
        marked._is_param = True
        return marked

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if id(self) in memo:
            return memo[id(self)]
        copied = type(self)(self.data.clone(memory_format=_C.preserve_format), self.requires_grad)
        memo[id(self)] = copied
        return copied

    def __repr__(self, *, tensor_contents: str | None = None) -> str:
        return "Parameter containing:\n" + Tensor.__repr__(self, tensor_contents=tensor_contents)

    def __reduce_ex__(self, proto: SupportsIndex) -> tuple:
        if (
            Tensor.__module__ == "torch" and type(self) is Parameter
        ):  # while this package stands in for PyTorch
            parts = self.data, self.requires_grad, OrderedDict()
            if self.__dict__:
                return _rebuild_parameter_with_state, (*parts, dict(self.__dict__))
            return _rebuild_parameter, parts
        return _rebuild, (type(self), self.data, self.requires_grad, dict(self.__dict__))

    __torch_function__ = _plain_function


def _rebuild(cls: type, data: Tensor, requires_grad: bool, state: dict) -> Parameter:
    """The parameter that a pickle describes."""
    made = cls(data, requires_grad)
    made.__dict__.update(state)
    return made


# what the pickles that PyTorch reads call
def _rebuild_parameter(data: Tensor, requires_grad: bool, backward_hooks: Any) -> Parameter:
    parameter = Parameter(data, requires_grad)
    if backward_hooks:
        parameter._backward_hooks = backward_hooks
    return parameter


def _rebuild_parameter_with_state(
    data: Tensor, requires_grad: bool, backward_hooks: Any, state: Any
) -> Parameter:
    from flambeau.serialization.rebuild import _set_state

    return _set_state(_rebuild_parameter(data, requires_grad, backward_hooks), state)


class UninitializedTensorMixin:
    """What a parameter or buffer may do before :meth:`materialize` gave it a shape."""

    _allowed_methods = (
        Tensor.__hash__,
        Tensor.size,
        Tensor.copy_,
        Tensor.is_complex,
        Tensor.is_floating_point,
        Tensor.half,
        Tensor.float,
        Tensor.double,
        Tensor.char,
        Tensor.short,
        Tensor.int,
        Tensor.long,
        Tensor.cuda,
        Tensor.cpu,
        Tensor.to,
        Tensor.get_device,
    )

    def materialize(self, shape: Sequence[int], device: Device = None, dtype: _C.dtype | None = None) -> None:
        """Become an ordinary parameter (or buffer) of the given shape, with values not yet set."""
        old = self.data
        self.data = _C.empty(shape, device=old.device if device is None else device, dtype=dtype or old.dtype)
        self.__class__ = self.cls_to_become

    @property
    def shape(self) -> NoReturn:
        """Not known yet: RuntimeError."""
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually happens in "
            "`load_state_dict` when trying to load an uninitialized parameter into an initialized one. Call "
            "`forward` to initialize the parameters before accessing their attributes."
        )

    def share_memory_(self) -> NoReturn:
        """Not possible yet: RuntimeError."""
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to initialize the "
            "parameters before calling `module.share_memory()`."
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, proto: SupportsIndex) -> tuple:
        return type(self), (self.requires_grad,)

    @classmethod
    def __torch_function__(
        cls, func: Callable, types: Sequence[type], args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # attribute reads arrive as the __get__ of their descriptor
        if func in cls._allowed_methods or type(func).__name__ == "method-wrapper":
            return super().__torch_function__(func, types, args, kwargs or {})
        raise ValueError(
            f"Attempted to use an uninitialized parameter in {func}. This error happens when you are using a "
            f"`LazyModule` or explicitly manipulating `torch.nn.parameter.{cls.__name__}` objects. When "
            "using LazyModules Call `forward` with a dummy batch to initialize the parameters before calling "
            "torch functions"
        )


def is_lazy(param: Any) -> bool:
    """Whether `param` is a parameter or buffer without a shape yet.

    Parameters
    ----------
    param : Any
        The value to test.
    """
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):
    """A parameter whose shape is found out at the first call of its (lazy) module."""

    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Device = None, dtype: _C.dtype | None = None
    ) -> Self:
        return Tensor._make_subclass(cls, _C.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        if id(self) in memo:
            return memo[id(self)]
        copied = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        memo[id(self)] = copied
        return copied


class _BufferMeta(type(Tensor)):
    """Buffers are plain tensors that carry a mark."""

    def __instancecheck__(cls, instance: object) -> bool:
        if type.__instancecheck__(cls, instance):
            return True
        return cls is Buffer and isinstance(instance, Tensor) and getattr(instance, "_is_buffer", False)


class Buffer(Tensor, metaclass=_BufferMeta):
    """A tensor that a module lists among its buffers as soon as it is assigned to an attribute.

    Parameters
    ----------
    data : Tensor
        The values; shared, not copied.
    persistent : bool
        Whether it is part of the module's ``state_dict``.
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Self:
        if data is None:
            data = _C.empty(0)
        marked = data.detach().requires_grad_(data.requires_grad)
        marked.persistent = persistent
        marked._is_buffer = True
        return marked

    __torch_function__ = _plain_function


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape is found out at the first call of its (lazy) module."""

    cls_to_become = Tensor

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Device = None,
        dtype: _C.dtype | None = None,
        persistent: bool = True,
    ) -> Self:
        made = Tensor._make_subclass(cls, _C.empty(0, device=device, dtype=dtype), requires_grad)
        made.persistent = persistent
        made._is_buffer = True
        return made
