"""The part of Tensor that is written in Python; importing this module completes the class."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from flambeau import (
    _C,
    _attributes,
    _basics,  # it takes what it needs of the class before that is completed here
)

from ._type_names import DTYPES, TYPE_NAMES

Tensor = _C.Tensor
_METHODS: dict[str, Any] = {}


def _method(f: Callable) -> Callable:
    _METHODS[f.__name__] = f
    f.__qualname__ = f"Tensor.{f.__name__}"
    return f


def _overridable(f: Callable) -> Callable:
    """A method that subclasses and modes may take over."""
    import functools

    name = f.__name__

    @functools.wraps(f)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _C._has_torch_function_variadic(self, *args):
            return _C._handle_torch_function(getattr(Tensor, name), (self, *args), self, *args, **kwargs)
        return f(self, *args, **kwargs)

    return _method(method)


def _told(f: Callable) -> Callable:
    """A method that subclasses and modes are asked about, but for those of this package that are asked about
    the operators inside. Arguments by name are passed on with those left out."""
    import functools

    name, defaults = f.__name__, f.__kwdefaults__ or {}

    @functools.wraps(f)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _C._has_torch_function_unary(self) and _C._asks_outside(self):
            return _C._handle_torch_function(getattr(Tensor, name), (self,), self, *args, **defaults | kwargs)
        return f(self, *args, **kwargs)

    return _method(method)


# ---------------------------------------------------------------- autograd
def _backward(
    self: Tensor,
    gradient: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """`Tensor.backward` with arguments, or of a subclass; the plain call is the core's."""
    if _C._has_torch_function_unary(self):
        return _C._handle_torch_function(
            Tensor.backward,
            (self,),
            self,
            gradient=gradient,
            retain_graph=retain_graph,
            create_graph=create_graph,
            inputs=inputs,
        )
    from .autograd._engine import backward

    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


_backward.__qualname__ = "Tensor.backward"


def _hooks(self: Tensor, attribute: str, after: bool) -> OrderedDict:
    hooks = self.__dict__.get(attribute)
    if hooks is None:
        hooks = self.__dict__[attribute] = OrderedDict()
        _C._add_tensor_hooks(self, hooks, after)
    return hooks


@_overridable
def register_hook(self: Tensor, hook: Callable) -> Any:
    """Call ``hook(grad)`` whenever this tensor's gradient is computed; it may return another gradient."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    from .utils.hooks import RemovableHandle

    hooks = _hooks(self, "_backward_hooks", False)
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


@_overridable
def register_post_accumulate_grad_hook(self: Tensor, hook: Callable) -> Any:
    """Call ``hook(tensor)`` after a gradient was added to this leaf's ``.grad``."""
    if not self.requires_grad:
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self.grad_fn is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    from .utils.hooks import RemovableHandle

    hooks = _hooks(self, "_post_accumulate_grad_hooks", True)
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


@_overridable
def retain_grad(self: Tensor) -> None:
    """Keep the gradient of this tensor although it is no leaf."""
    _C._retain_grad(self)


@_overridable
def detach_(self: Tensor) -> Tensor:
    """Cut this tensor from the graph, making it a leaf."""
    return _C._detach_(self)


@_overridable
def reinforce(self: Tensor, reward: Any) -> None:
    """Removed from PyTorch."""
    raise RuntimeError(
        "reinforce() was removed.\nUse torch.distributions instead.\n"
        "See https://pytorch.org/docs/main/distributions.html\n\nInstead of:\n\nprobs = policy_network(state)\n"  # noqa: E501
        "action = probs.multinomial()\nnext_state, reward = env.step(action)\naction.reinforce(reward)\naction.backward()\n\n"  # noqa: E501
        "Use:\n\nprobs = policy_network(state)\n# NOTE: categorical is equivalent to what used to be called multinomial\n"  # noqa: E501
        "m = torch.distributions.Categorical(probs)\naction = m.sample()\nnext_state, reward = env.step(action)\n"  # noqa: E501
        "loss = -m.log_prob(action) * reward\nloss.backward()\n"
    )


# ---------------------------------------------------------------- printing, copying, pickling
@_method
def __repr__(self: Tensor, *, tensor_contents: str | None = None) -> str:
    if _C._has_torch_function_unary(self):
        return _C._handle_torch_function(Tensor.__repr__, (self,), self, tensor_contents=tensor_contents)
    from . import _tensor_str

    return _tensor_str._str(self, tensor_contents=tensor_contents)


@_method
def __format__(self: Tensor, format_spec: str) -> str:
    if _C._has_torch_function_unary(self):
        return _C._handle_torch_function(Tensor.__format__, (self,), self, format_spec)
    if self.dim() == 0 and not self.is_meta and type(self) is Tensor:
        return self.item().__format__(format_spec)
    return object.__format__(self, format_spec)


@_method
def __deepcopy__(self: Tensor, memo: dict) -> Tensor:
    if _C._has_torch_function_unary(self):
        return _C._handle_torch_function(Tensor.__deepcopy__, (self,), self, memo)
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment.  "  # noqa: E501
            "If you were attempting to deepcopy a module, this may be because of a torch.nn.utils.weight_norm usage, see "  # noqa: E501
            "https://github.com/pytorch/pytorch/pull/103001"
        )
    if id(self) in memo:
        return memo[id(self)]
    import copy

    from .autograd.grad_mode import no_grad

    with no_grad():
        if self.layout is not _C.strided or self.is_meta or self.is_conj() or self.is_neg():
            new = self.clone()
        else:
            storage = copy.deepcopy(self.untyped_storage(), memo)
            new = _C.empty(0, dtype=self.dtype, device=self.device)
            new.set_(storage, self.storage_offset(), self.size(), self.stride())
        if type(self) is not Tensor:
            new = new.as_subclass(type(self))
        new.requires_grad_(self.requires_grad)
        if self.grad is not None:
            new.grad = copy.deepcopy(self.grad, memo)
    memo[id(self)] = new
    if self.__dict__:
        new.__dict__ = copy.deepcopy(
            {k: v for k, v in self.__dict__.items() if not k.endswith("_hooks")}, memo
        )
    return new


@_method
def __reduce_ex__(self: Tensor, proto: int) -> tuple:
    if type(self) is Tensor and not self.__dict__:
        return _reduced(self)
    if _C._has_torch_function_unary(self):
        return _C._handle_torch_function(Tensor.__reduce_ex__, (self,), self, proto)
    function, args = _reduced(self)
    state = {k: v for k, v in self.__dict__.items() if not k.endswith("_hooks")}
    return _rebuild_from_type, (function, type(self), args, state)


def _reduced(self: Tensor) -> tuple:
    if Tensor.__module__ == "torch" and self.layout is _C.strided:  # while this package stands in for PyTorch
        from .serialization import plain

        return plain.reduced(self)
    if self.is_meta:
        return _rebuild_meta, (self.dtype, tuple(self.size()), self.stride(), self.requires_grad)
    if self.layout is not _C.strided:
        raise NotImplementedError(f"flambeau cannot pickle tensors of layout {self.layout} yet")
    if self.is_conj() or self.is_neg():  # what is read, not the memory
        self = self.detach().clone().requires_grad_(self.requires_grad)
    return _rebuild, (
        self.untyped_storage(),
        self.dtype,
        self.storage_offset(),
        tuple(self.size()),
        self.stride(),
        self.requires_grad,
    )


def _rebuild(
    storage: Any, dtype: Any, offset: int, size: tuple, stride: tuple, requires_grad: bool
) -> Tensor:
    made = _C.empty(0, dtype=dtype).set_(storage, offset, size, stride)
    return made.requires_grad_() if requires_grad else made


def _rebuild_meta(dtype: Any, size: tuple, stride: tuple, requires_grad: bool) -> Tensor:
    return _C.empty_strided(size, stride, dtype=dtype, device="meta", requires_grad=requires_grad)


def _rebuild_from_type(function: Callable, kind: type, args: tuple, state: dict) -> Tensor:
    made = function(*args)
    if type(made) is not kind:
        made = made.as_subclass(kind)
    return _rebuild_state(made, state)


def _rebuild_state(made: Tensor, state: Any) -> Tensor:
    setstate = getattr(type(made), "__setstate__", Tensor.__setstate__)
    if setstate is not Tensor.__setstate__:
        made.__setstate__(state)
    else:
        for name, value in (state or {}).items():
            setattr(made, name, value)
    return made


@_told
def __setstate__(self: Tensor, state: Any) -> None:
    if isinstance(state, tuple) and len(state) == 4:
        self.set_(*state)
        return
    for name, value in (state or {}).items():
        setattr(self, name, value)


# ---------------------------------------------------------------- as a Python container
@_method
def __iter__(self: Tensor) -> Iterator[Tensor]:
    if self.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


@_told
def __reversed__(self: Tensor) -> Tensor:
    return self if self.dim() == 0 else self.flip(0)


@_method
def __contains__(self: Tensor, element: Any) -> bool:
    if _C._has_torch_function_variadic(self, element):
        return _C._handle_torch_function(Tensor.__contains__, (self, element), self, element)
    if isinstance(element, (Tensor, int, float, bool, complex)):
        return bool((element == self).any().item())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


@_told
def __dir__(self: Tensor) -> list[str]:
    names = set(dir(type(self))) | set(self.__dict__)
    return sorted(names - {"volatile", "__cuda_array_interface__"})


def _removed(name: str) -> None:
    def gone(self: Tensor, *args: Any, **kwargs: Any) -> None:
        import importlib

        getattr(importlib.import_module("flambeau._removed"), name)(self, *args, **kwargs)

    gone.__name__, gone.__doc__ = name, f"Removed from PyTorch; the error of `torch.{name}` says what to use."
    _method(gone)


for _name in ("eig", "lstsq", "solve", "symeig"):
    _removed(_name)


# ---------------------------------------------------------------- NumPy and other libraries
@_method
def __array__(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    if _C._has_torch_function_unary(self):
        return _C._handle_torch_function(Tensor.__array__, (self,), self, dtype=dtype)
    array = self.numpy()
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype, copy=False)
    return array.copy() if copy else array


@_method
def __array_wrap__(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    if array.dtype == bool:
        array = array.astype("uint8")
    return _C.from_numpy(array) if array.ndim else _C.tensor(array[()])


@_told
def __dlpack__(
    self: Tensor,
    *,
    stream: Any = -1,
    max_version: Any = None,
    dl_device: Any = None,
    copy: bool | None = None,
) -> Any:
    """A DLPack capsule of this tensor's memory."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach()")
    if self.is_conj():
        raise BufferError("Can't export tensors with the conjugate bit set")
    if self.layout is not _C.strided:
        raise BufferError("Can't export tensors with layout other than torch.strided")
    if self.is_quantized:
        raise BufferError("QUInt/QInt types are not supported by dlpack")
    if stream is not None and type(stream) is not int:
        raise TypeError("stream must be ``int`` or ``none``")
    if self.device.type == "cpu" and stream not in (None, -1):
        raise AssertionError("stream should be None on cpu.")
    if copy is not None and not isinstance(copy, bool):
        raise TypeError(f"_to_dlpack(): argument 'copy' must be bool, not {type(copy).__name__}")
    if dl_device is not None:
        if not isinstance(dl_device, tuple):
            raise TypeError(
                f"_to_dlpack(): argument 'dl_device' must be tuple of ints, not {type(dl_device).__name__}"
            )
        if tuple(map(int, dl_device)) != tuple(map(int, self.__dlpack_device__())):
            raise BufferError(f"cannot export a tensor on {self.device} to another device by DLPack")
    return _C._to_dlpack(self.clone() if copy else self, max_version is not None and max_version[0] >= 1)


@_told
def __dlpack_device__(self: Tensor) -> tuple[int, int]:
    """DLPack's number of the device type, and the device's index."""
    from .utils.dlpack import DLDeviceType

    if self.device.type == "cpu":
        return DLDeviceType.kDLCPU, 0
    if self.device.type != "cuda":
        raise ValueError(f"Unknown device type {self.device.type} for Dlpack")
    return DLDeviceType.kDLCUDA, self.device.index or 0


# ---------------------------------------------------------------- storage
@_told
def storage(self: Tensor) -> Any:
    """The storage with the tensor's element type."""
    from .storage import TypedStorage

    return TypedStorage(wrap_storage=self.untyped_storage(), dtype=self.dtype, _internal=True)


_METHODS["_typed_storage"] = storage.__wrapped__


@_method
def storage_type(self: Tensor) -> type:
    """The class of the storage with the tensor's element type."""
    return type(self.storage())


@_told
def is_shared(self: Tensor) -> bool:
    """Whether other processes can see the memory."""
    return self.untyped_storage().is_shared()


@_told
def share_memory_(self: Tensor) -> Tensor:
    """Move the memory to where other processes can see it."""
    from .multiprocessing import reductions

    reductions.share(self.untyped_storage())
    return self


# ---------------------------------------------------------------- types and devices
def type_string(dtype: Any, device: str = "cpu", sparse: bool = False) -> str:
    """The old name of a tensor type, such as ``torch.FloatTensor``."""
    where = (f"{device}." if device in ("cuda", "meta") else "") + ("sparse." if sparse else "")
    return "torch." + where + TYPE_NAMES[str(dtype).removeprefix("torch.")]


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False, **kwargs: Any) -> Any:
    """The old name of the tensor's type; with `dtype` the tensor converted."""
    if dtype is None:
        return type_string(self.dtype, self.device.type, self.is_sparse)
    if isinstance(dtype, str):
        module, _, name = dtype.rpartition(".")
        if name not in DTYPES or module not in ("torch", "torch.cuda"):
            raise ValueError(f"invalid type: '{dtype}'")
        return self.to(device="cuda" if module.endswith("cuda") else "cpu", dtype=getattr(_C, DTYPES[name]))
    if isinstance(dtype, _C.dtype):
        return self.to(dtype, non_blocking)
    made = getattr(dtype, "dtype", None)
    if not isinstance(made, _C.dtype):
        raise TypeError("dtype must be a type, str, or dtype object")
    return self.to(made, non_blocking)


_type.__name__ = "type"
_overridable(_type)


@_overridable
def cuda(self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None) -> Tensor:
    """The tensor on a CUDA device."""
    return self.to(_C.device("cuda") if device is None else _C.device(device), non_blocking=non_blocking)


@_overridable
def new_tensor(
    self: Tensor,
    data: Any = _basics._MISSING,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    layout: Any = None,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of `data` with this tensor's dtype and device."""
    if data is _basics._MISSING:
        raise _basics._missing("new_tensor", "data")
    if isinstance(data, Tensor):
        made = data.detach().to(dtype=dtype or data.dtype, device=device or data.device, copy=True)
        return made.requires_grad_(requires_grad)
    return _C.tensor(
        data, dtype=dtype or self.dtype, device=device or self.device, requires_grad=requires_grad
    )


@_overridable
def new(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """The old constructor with this tensor's type."""
    return _C._legacy_tensor(self.dtype, *args, **kwargs)


@_overridable
def pin_memory(self: Tensor, device: Any = None) -> Tensor:
    """The tensor in page-locked memory; without an accelerator there is none to copy to."""
    raise RuntimeError("Cannot access accelerator device when none is available.")


@_method
def module_load(self: Tensor, other: Tensor, assign: bool = False) -> Tensor:
    """What `load_state_dict` puts in the place of this tensor."""
    if _C._has_torch_function_variadic(self, other):
        return _C._handle_torch_function(Tensor.module_load, (self, other), self, other, assign=assign)
    if assign:
        return other.detach()
    return self.copy_(other).detach()


# ---------------------------------------------------------------- functions with arguments of their own
@_overridable
def resize(self: Tensor, *sizes: Any) -> Tensor:
    """Old name of a copy with another size."""
    import warnings

    warnings.warn("non-inplace resize is deprecated", stacklevel=3)
    return self.reshape(*sizes)


@_overridable
def resize_as(self: Tensor, tensor: Tensor) -> Tensor:
    """Old name of a copy with another tensor's size."""
    import warnings

    warnings.warn("non-inplace resize_as is deprecated", stacklevel=3)
    return self.reshape(tensor.size())


@_overridable
def apply_(self: Tensor, callable: Callable) -> Tensor:
    """Replace each element by what a Python function makes of it; slow."""
    if self.requires_grad and _C.is_grad_enabled():
        raise RuntimeError(
            "Can't call apply_() on Variable that requires grad. Use var.detach().apply_() instead."
        )
    values = [callable(v) for v in self.reshape(-1).tolist()]
    return self.copy_(_C.tensor(values, dtype=self.dtype).reshape(self.shape))


@_overridable
def map_(self: Tensor, tensor: Tensor, callable: Callable) -> Tensor:
    """Replace each element by a Python function of it and of another tensor's; slow."""
    if self.requires_grad and _C.is_grad_enabled():
        raise RuntimeError(
            "Can't call map_() on Variable that requires grad. Use var.detach().map_() instead."
        )
    if not isinstance(tensor, Tensor):
        raise TypeError(f"map_(): argument 'other' (position 1) must be Tensor, not {type(tensor).__name__}")
    pairs = zip(self.reshape(-1).tolist(), tensor.expand_as(self).reshape(-1).tolist(), strict=True)
    return self.copy_(_C.tensor([callable(a, b) for a, b in pairs], dtype=self.dtype).reshape(self.shape))


@_overridable
def dim_order(self: Tensor, *, ambiguity_check: Any = False) -> tuple[int, ...]:
    """The dimensions from the one with the largest stride to the smallest.

    Dimensions of one element or of stride zero may stand anywhere and stay where they are; `ambiguity_check`
    refuses them: True, or memory formats of which exactly one must be the tensor's.
    """
    formats = [ambiguity_check] if isinstance(ambiguity_check, bool) else ambiguity_check
    if not isinstance(formats, (list, tuple)) or not all(
        isinstance(f, (bool, _C.memory_format)) for f in formats
    ):
        raise TypeError("The ambiguity_check argument must be a bool or a list of memory formats.")
    order, ambiguous = list(range(self.dim())), False
    for i in range(1, self.dim()):
        at = i
        for before in reversed(range(i)):
            a, b = order[before], order[at]
            if self.size(a) == 1 or self.size(b) == 1 or 0 in (self.stride(a), self.stride(b)):
                ambiguous = True
            elif self.stride(a) < self.stride(b):
                order[before], order[at], at = b, a, before
            else:
                break
    matching = [f for f in formats if not isinstance(f, bool) and self.is_contiguous(memory_format=f)]
    if ambiguous and ambiguity_check is not False and len(matching) != 1:
        raise RuntimeError(
            "The tensor does not have unique dim order, or cannot map to exact one of the given memory"
            " formats."
        )
    return tuple(order)


@_overridable
def to_sparse_coo(self: Tensor) -> Tensor:
    """The tensor in coordinate format."""
    return self.to_sparse()


def _inplace_view(name: str) -> None:
    """``name_``: the tensor takes the shape that the view of that name has."""
    view = getattr(Tensor, name, None)

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        shaped = (view or getattr(Tensor, name))(self, *args, **kwargs)
        for mode in _C._torch_dispatch_stack():
            if (told := getattr(mode, "takes_view", None)) is not None:
                told(self, shaped)
        return _C._take_view(self, shaped)

    method.__name__ = name + "_"
    method.__doc__ = f"`{name}` in place."
    _overridable(method)


for _name in ("t", "transpose", "squeeze", "unsqueeze", "swapaxes", "swapdims", "as_strided"):
    _inplace_view(_name)


def _converter(name: str, dtype: str) -> None:
    def method(self: Tensor, memory_format: Any = None) -> Tensor:
        return self.to(getattr(_C, dtype))

    method.__name__ = name
    method.__doc__ = f"The tensor as {dtype}."
    _overridable(method)


_converter("chalf", "complex32")


@_overridable
def nonzero(self: Tensor, *, as_tuple: bool = False) -> Any:
    """Indices of the elements that are not zero: a row each, or a tensor a dimension."""
    return _basics.nonzero(self, as_tuple=as_tuple)


@_overridable
def is_nonzero(self: Tensor) -> bool:
    """Whether the one element is not zero."""
    return _basics.is_nonzero(self)


@_overridable
def to_padded_tensor(self: Tensor, padding: float, output_size: Any = None) -> Tensor:
    """A nested tensor as a strided one, shorter components filled up with `padding`."""
    raise NotImplementedError(
        f"Could not run 'aten::to_padded_tensor' with arguments from the '{self.device.type.upper()}'"
        " backend."
        "\nonly nested tensors have components to fill up"
    )


@_method
def index(self: Tensor, positions: Any, dims: Any) -> Tensor:
    """Raise: there are no first-class dimensions here."""
    raise NotImplementedError(
        "flambeau has no first-class dimensions (functorch.dim): index with tensors, tensor[...]"
    )


@_method
def const_data_ptr(self: Tensor) -> int:
    """The address of the first element, for reading."""
    return self.data_ptr()


@_method
def is_distributed(self: Tensor) -> bool:
    """Whether the tensor lies on several processes: never."""
    return False


def _elsewhere(kind: str) -> None:
    def method(
        self: Tensor, device: Any = None, non_blocking: bool = False, memory_format: Any = None
    ) -> Tensor:
        if kind == "ipu" and device is None:
            raise RuntimeError("PyTorch is not linked with support for ipu devices")
        return self.to(kind if device is None else device, non_blocking=non_blocking)

    method.__name__ = kind
    method.__doc__ = f"The tensor on a device of type {kind}."
    _overridable(method)


for _name in ("ipu", "xpu", "mtia", "hpu"):
    _elsewhere(_name)


@_method
def record_stream(self: Tensor, stream: Any) -> None:
    """Note that a CUDA stream uses the memory; nothing to note on the CPU."""
    raise RuntimeError(f"record_stream is not implemented for tensors on {self.device}")


# ---------------------------------------------------------------- wrappers
@staticmethod
def _make_wrapper_subclass(
    cls: type,
    size: Any,
    strides: Any = None,
    storage_offset: int | None = None,
    memory_format: Any = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    dispatch_sizes_strides_policy: str | None = None,
    dispatch_device: bool = False,
    dispatch_layout: bool = False,
) -> Tensor:
    """A tensor without data, of a class whose ``__torch_dispatch__`` runs all operators on it.

    Parameters
    ----------
    size, strides, dtype, device : what it says of itself.
    dispatch_sizes_strides_policy, dispatch_device, dispatch_layout : not supported: flambeau reads these
    from the
        tensor itself.
    """
    if getattr(cls, "__torch_dispatch__", None) in (None, _C._disabled_torch_dispatch_impl):
        raise RuntimeError(
            f"{cls.__name__} must define __torch_dispatch__ to be made by _make_wrapper_subclass: the"
            " tensor has no data"
        )
    if dispatch_sizes_strides_policy is not None or dispatch_device or dispatch_layout:
        raise NotImplementedError(
            "flambeau does not ask __torch_dispatch__ for sizes, device or layout of a tensor: give them to"
            " _make_wrapper_subclass"
        )
    if storage_offset or (layout is not None and layout is not _C.strided):
        raise NotImplementedError("flambeau makes wrappers of strided layout without an offset only")
    size = tuple(size)
    if strides is None:
        data = _C.empty(size, dtype=dtype, device="meta", memory_format=memory_format or _C.contiguous_format)
    else:
        data = _C.empty_strided(size, tuple(strides), dtype=dtype, device="meta")
    wrapper = Tensor._make_subclass(cls, data, requires_grad)
    wrapper._wrapper_device = _C.device("cpu" if device is None else device)
    return wrapper


Tensor._make_wrapper_subclass = _make_wrapper_subclass


# ---------------------------------------------------------------- __torch_function__
def _default_function(
    cls: Any, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None
) -> Any:
    """Run the function as for plain tensors and give results the subclass."""
    if not all(issubclass(cls, t) for t in types):
        return NotImplemented
    with _C.DisableTorchFunctionSubclass():
        result = func(*args, **(kwargs or {}))
    if func in _keeps_type():
        return result
    return _converted(result, cls)


def _keeps_type() -> frozenset:
    """Attributes whose value is not made by the operation itself: a subclass is not passed on to them."""
    global _kept
    if _kept is None:
        _kept = frozenset(getattr(Tensor, n).__get__ for n in ("grad", "_base", "_grad"))
    return _kept


_kept = None


def _converted(result: Any, cls: Any) -> Any:
    if cls is Tensor:
        return result
    if isinstance(result, Tensor) and not isinstance(result, cls):
        return result.as_subclass(cls)
    if isinstance(result, (tuple, list)):
        parts = [_converted(r, cls) for r in result]
        kind = type(result)
        return kind(parts) if kind in (tuple, list) or hasattr(kind, "n_fields") else result
    return result


def _complete() -> None:
    for name in ("_nn", "_linalg", "_special"):  # by which pickles name their functions
        sys.modules[f"flambeau._C.{name}"] = getattr(_C, name)
    _attributes.complete_storage(_C.UntypedStorage)
    Tensor.grad_dtype = property(_attributes.grad_dtype, _attributes.set_grad_dtype)
    Tensor.__cuda_array_interface__ = property(_attributes.cuda_array_interface)
    for name, function in _METHODS.items():
        setattr(Tensor, name, function)
    Tensor.__torch_function__ = classmethod(_default_function)
    Tensor.__array_priority__ = 1000
    Tensor._backward_hooks = None
    Tensor.__div__, Tensor.__rdiv__, Tensor.__idiv__ = (
        Tensor.__truediv__,
        Tensor.__rtruediv__,
        Tensor.__itruediv__,
    )
    Tensor.__nonzero__, Tensor.__long__ = Tensor.__bool__, Tensor.__int__
    Tensor.__torch_dispatch__ = _C._disabled_torch_dispatch_impl
    Tensor._post_accumulate_grad_hooks = None
    from .ops import registry

    registry.install(Tensor)


_complete()


def __getattr__(name: str) -> Any:
    if name == "_rebuild_from_type_v2":  # what pickles of PyTorch's call
        from .serialization import rebuild

        return rebuild._rebuild_from_type_v2
    raise AttributeError(f"module 'torch._tensor' has no attribute '{name}'")
