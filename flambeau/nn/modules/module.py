"""The base of all networks: :class:`Module`, and hooks that watch every module."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.modules import _call, _convert, _state
from flambeau.nn.modules._members import ModuleBase
from flambeau.nn.modules._state import _IncompatibleKeys  # pickles name it here
from flambeau.nn.modules.utils import _addindent
from flambeau.nn.parameter import Parameter
from flambeau.utils.hooks import RemovableHandle

__all__ = [
    "register_module_forward_pre_hook",
    "register_module_forward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_backward_hook",
    "register_module_full_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
    "Module",
]

# torch's names of what lives in other files here
_EXTRA_STATE_KEY_SUFFIX = _state.EXTRA_STATE
_global_parameter_registration_hooks = _call.registration_hooks["parameter"]
_global_buffer_registration_hooks = _call.registration_hooks["buffer"]
_global_module_registration_hooks = _call.registration_hooks["module"]
_global_forward_pre_hooks = _call.forward_pre_hooks
_global_forward_hooks = _call.forward_hooks
_global_backward_pre_hooks = _call.backward_pre_hooks
_global_backward_hooks = _call.backward_hooks

_STATE_REPORT = (
    "should never be called. Please file an issue at "
    "https://github.com/pytorch/pytorch/issues/new?template=bug-report.yml to report this bug."
)


def _register(
    hooks: dict, hook: Callable, *, prepend: bool = False, extra: dict | list = ()
) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=list(extra))
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


def register_module_buffer_registration_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` whenever a buffer is registered; what it returns replaces the
    buffer.
    """
    return _register(_call.registration_hooks["buffer"], hook)


def register_module_module_registration_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Call ``hook(module, name, child)`` whenever a child is registered; what it returns replaces the
    child.
    """
    return _register(_call.registration_hooks["module"], hook)


def register_module_parameter_registration_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Call ``hook(module, name, parameter)`` whenever a parameter is registered; its result replaces it."""
    return _register(_call.registration_hooks["parameter"], hook)


def register_module_forward_pre_hook(hook: Callable[..., None]) -> RemovableHandle:
    """Call ``hook(module, args)`` before the forward of every module."""
    return _register(_call.forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable[..., None], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call ``hook(module, args, output)`` after the forward of every module.

    Parameters
    ----------
    hook : callable
        ``hook(module, args, output)``, or ``hook(module, args, kwargs, output)``; its result replaces
            the output.
    with_kwargs : bool
        Hand the keyword arguments on as well.
    always_call : bool
        Run it also when the forward raised.
    """
    flags = (_call.forward_hooks_with_kwargs, _call.forward_hooks_always_called)
    handle = _register(_call.forward_hooks, hook, extra=flags)
    if with_kwargs:
        _call.forward_hooks_with_kwargs[handle.id] = True
    if always_call:
        _call.forward_hooks_always_called[handle.id] = True
    return handle


def _register_global_backward(hook: Callable, full: bool) -> RemovableHandle:
    if _call.full_backward_hooks is (not full):
        raise RuntimeError(
            "Cannot use both regular backward hooks and full backward hooks as a global Module hook. Please "
            "use only one of them."
        )
    _call.full_backward_hooks = full
    return _register(_call.backward_hooks, hook)


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` in the backward of every module (the older, partial
    kind).
    """
    return _register_global_backward(hook, False)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` before the backward of every module."""
    return _register(_call.backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` after the backward of every module."""
    return _register_global_backward(hook, True)


class _HookWithModule:
    """A ``load_state_dict`` pre-hook that gets its module; the module is not kept alive by it."""

    def __init__(self, hook: Callable, module: Module) -> None:
        self.hook = hook
        self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        return {"hook": self.hook, "module": self.module()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook = state["hook"]
        self.module = weakref.ref(state["module"])


def _forward_unimplemented(self: Module, *input: Any) -> None:
    """What the module computes; every subclass writes its own."""
    raise NotImplementedError(f'Module [{type(self).__name__}] is missing the required "forward" function')


class _Plain(ModuleBase):
    """Comes after `Module` in the order of resolution.

    Packages keep a module as a plain attribute by ``super(nn.Module, self).__setattr__``.
    """

    __setattr__ = object.__setattr__
    __delattr__ = object.__delattr__


class Module(_Plain):
    """Base of all networks and layers.

    A subclass creates its parameters and children in ``__init__`` (after ``super().__init__()``) by assigning
    them to attributes, and computes in ``forward``.  Calling the module runs ``forward`` and the hooks.

    Attributes
    ----------
    training : bool
        Whether layers such as dropout behave as in training; see :meth:`train`.
    """

    dump_patches: bool = False
    __signature__ = _call.CallSignature()
    _version: int = 1
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Tensor | None]
    _modules: dict[str, Module | None]
    call_super_init: bool = False
    _compiled_call_impl: Callable | None = None
    T_destination = TypeVar("T_destination", bound=dict[str, Any])

    forward: Callable[..., Any] = _forward_unimplemented
    __setattr__ = ModuleBase.__setattr__
    __delattr__ = ModuleBase.__delattr__

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kind = type(self)
        if not kind.call_super_init:
            if kwargs:
                name = next(iter(kwargs))
                raise TypeError(f"{kind.__name__}.__init__() got an unexpected keyword argument {name!r}")
            if args:
                count = len(args) + 1
                raise TypeError(
                    f"{kind.__name__}.__init__() takes 1 positional argument but {count} were given"
                )
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _non_persistent_buffers_set=set(),
            _backward_pre_hooks=OrderedDict(),
            _backward_hooks=OrderedDict(),
            _is_full_backward_hook=None,
            _forward_hooks=OrderedDict(),
            _forward_hooks_with_kwargs=OrderedDict(),
            _forward_hooks_always_called=OrderedDict(),
            _forward_pre_hooks=OrderedDict(),
            _forward_pre_hooks_with_kwargs=OrderedDict(),
            _state_dict_hooks=OrderedDict(),
            _state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_pre_hooks=OrderedDict(),
            _load_state_dict_post_hooks=OrderedDict(),
            _modules={},
        )
        if kind.call_super_init:
            super().__init__(*args, **kwargs)

    # torch's name of what runs a call; some programs wrap it
    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        return ModuleBase.__call__(self, *args, **kwargs)

    _wrapped_call_impl = _call_impl

    # ------------------------------------------------------------------------------------ members

    def register_buffer(self, name: str, tensor: Tensor | None, persistent: bool = True) -> None:
        """Add a tensor that is part of the state but not a parameter.

        Parameters
        ----------
        name : str
            The attribute under which it is reached.
        tensor : Tensor or None
            Its value; None is kept, and left out of the ``state_dict``.
        persistent : bool
            Whether it belongs to the ``state_dict``.
        """
        if "_buffers" not in self.__dict__:
            raise AttributeError("cannot assign buffer before Module.__init__() call")
        self._check_member_name("buffer", name, self._buffers)
        if (
            tensor is not None
            and not isinstance(tensor, Tensor)
            and not hasattr(tensor, "__torch_function__")
        ):
            raise TypeError(
                f"cannot assign '{fb.typename(tensor)}' object to buffer '{name}' (torch Tensor or None "
                f"required)"
            )
        self._buffers[name] = _call.on_registration("buffer", self, name, tensor)
        if persistent:
            self._non_persistent_buffers_set.discard(name)
        else:
            self._non_persistent_buffers_set.add(name)

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Add a parameter under the attribute `name`; None keeps the place without a parameter."""
        if "_parameters" not in self.__dict__:
            raise AttributeError("cannot assign parameter before Module.__init__() call")
        self._check_member_name("parameter", name, self._parameters)
        if param is not None:
            if not isinstance(param, Parameter):
                raise TypeError(
                    f"cannot assign '{fb.typename(param)}' object to parameter '{name}' "
                    "(torch.nn.Parameter or None required)"
                )
            if param.grad_fn:
                raise ValueError(
                    f"Cannot assign non-leaf Tensor to parameter '{name}'. Model parameters must be created "
                    f"explicitly. To express '{name}' as a function of another Tensor, compute the value in "
                    "the forward() method."
                )
        self._parameters[name] = _call.on_registration("parameter", self, name, param)

    def add_module(self, name: str, module: Module | None) -> None:
        """Add a child under the attribute `name`."""
        if not isinstance(module, Module) and module is not None:
            raise TypeError(f"{fb.typename(module)} is not a Module subclass")
        if not isinstance(name, str):
            raise TypeError(f"module name should be a string. Got {fb.typename(name)}")
        if hasattr(self, name) and name not in self._modules:
            raise KeyError(f"attribute '{name}' already exists")
        if "." in name:
            raise KeyError(f'module name can\'t contain ".", got: {name}')
        if name == "":
            raise KeyError('module name can\'t be empty string ""')
        self._modules[name] = _call.on_registration("module", self, name, module)

    def register_module(self, name: str, module: Module | None) -> None:
        """Another name of :meth:`add_module`."""
        self.add_module(name, module)

    def _check_member_name(self, kind: str, name: str, members: dict) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{kind} name should be a string. Got {fb.typename(name)}")
        if "." in name:
            raise KeyError(f'{kind} name can\'t contain "."')
        if name == "":
            raise KeyError(f'{kind} name can\'t be empty string ""')
        if hasattr(self, name) and name not in members:
            raise KeyError(f"attribute '{name}' already exists")

    def get_submodule(self, target: str) -> Module:
        """The module at the dotted path `target` ("" is this one)."""
        module = self
        for name in target.split(".") if target else ():
            if not hasattr(module, name):
                raise AttributeError(f"{module._get_name()} has no attribute `{name}`")
            module = getattr(module, name)
            if not isinstance(module, Module):
                raise AttributeError(f"`{name}` is not an nn.Module")
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Put `module` at the dotted path `target`.

        Parameters
        ----------
        target : str
            Path of the place.
        module : Module
            What is put there.
        strict : bool
            Refuse to create a place that did not exist.
        """
        if target == "":
            raise ValueError("Cannot set the submodule without a target name!")
        if not isinstance(module, Module):
            raise ValueError(f"`module` is not an nn.Module, found {type(module)}")
        path, _, name = target.rpartition(".")
        parent = self.get_submodule(path)
        if strict and not hasattr(parent, name):
            raise AttributeError(f"{parent._get_name()} has no attribute `{name}`")
        if hasattr(parent, name) and not isinstance(getattr(parent, name), Module):
            raise AttributeError(f"`{name}` is not an nn.Module")
        setattr(parent, name, module)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter at the dotted path `target`."""
        found = self._member_at(target)
        if not isinstance(found, Parameter):
            raise AttributeError(f"`{target.rpartition('.')[2]}` is not an nn.Parameter")
        return found

    def get_buffer(self, target: str) -> Tensor:
        """The buffer at the dotted path `target`."""
        found = self._member_at(target)
        path, _, name = target.rpartition(".")
        if name not in self.get_submodule(path)._buffers:
            raise AttributeError(f"`{name}` is not a buffer")
        return found

    def _member_at(self, target: str) -> Any:
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if not hasattr(owner, name):
            raise AttributeError(f"{owner._get_name()} has no attribute `{name}`")
        return getattr(owner, name)

    # ------------------------------------------------------------------------------------ walking

    def _named_members(
        self,
        get_members_fn: Callable[[Module], Iterable[tuple[str, Any]]],
        prefix: str = "",
        recurse: bool = True,
        remove_duplicate: bool = True,
    ) -> Iterator[tuple[str, Any]]:
        seen = set()
        owners = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in owners if recurse else [(prefix, self)]:
            for name, value in get_members_fn(module):
                if value is None or value in seen:
                    continue
                if remove_duplicate:
                    seen.add(value)
                yield (f"{path}.{name}" if path else name), value

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """The parameters, each once; of this module alone without `recurse`."""
        for _, param in self.named_parameters(recurse=recurse):
            yield param

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Pairs of dotted name and parameter."""
        yield from self._named_members(lambda m: m._parameters.items(), prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """The buffers, each once; of this module alone without `recurse`."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Pairs of dotted name and buffer."""
        yield from self._named_members(lambda m: m._buffers.items(), prefix, recurse, remove_duplicate)

    def children(self) -> Iterator[Module]:
        """The modules directly below this one, each once."""
        for _, module in self.named_children():
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Pairs of name and module of those directly below this one."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all below it."""
        for _, module in self.named_modules(remove_duplicate=remove_duplicate):
            yield module

    def named_modules(
        self, memo: set[Module] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """Pairs of dotted path and module: this one and all below it."""
        if memo is None:
            memo = set()
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                yield from module.named_modules(
                    memo, f"{prefix}.{name}" if prefix else name, remove_duplicate
                )

    def apply(self, fn: Callable[[Module], None]) -> Self:
        """Call ``fn`` on every module below, then on this one; returns the module."""
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # ------------------------------------------------------------------------------------ conversion

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        return _convert.apply_to_tensors(self, fn, recurse)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Move to a device, floating dtype or memory format, in place: ``to(device, dtype)``,
        ``to(tensor)``…
        """
        return self._apply(_convert.converter(args, kwargs))

    def to_empty(self, *, device: str | fb.device | int | None, recurse: bool = True) -> Self:
        """Move to `device` without copying the values."""
        return self._apply(lambda t: fb.empty_like(t, device=device), recurse=recurse)

    def type(self, dst_type: fb.dtype | str) -> Self:
        """Cast all parameters and buffers to `dst_type`."""
        return self._apply(lambda t: t.type(dst_type))

    def _cast_floating(self, dtype: fb.dtype) -> Self:
        return self._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)

    def float(self) -> Self:
        """Cast floating point tensors to float32."""
        return self._cast_floating(fb.float32)

    def double(self) -> Self:
        """Cast floating point tensors to float64."""
        return self._cast_floating(fb.float64)

    def half(self) -> Self:
        """Cast floating point tensors to float16."""
        return self._cast_floating(fb.float16)

    def bfloat16(self) -> Self:
        """Cast floating point tensors to bfloat16."""
        return self._cast_floating(fb.bfloat16)

    def cpu(self) -> Self:
        """Move to main memory."""
        return self._apply(lambda t: t.cpu())

    def cuda(self, device: int | fb.device | None = None) -> Self:
        """Move to a CUDA device."""
        return self._apply(lambda t: t.cuda(device))

    def xpu(self, device: int | fb.device | None = None) -> Self:
        """Move to an XPU device."""
        return self._apply(lambda t: t.xpu(device))

    def ipu(self, device: int | fb.device | None = None) -> Self:
        """Move to an IPU device."""
        return self._apply(lambda t: t.ipu(device))

    def mtia(self, device: int | fb.device | None = None) -> Self:
        """Move to an MTIA device."""
        return self._apply(lambda t: t.mtia(device))

    def share_memory(self) -> Self:
        """Move all tensors to memory that other processes can map."""
        return self._apply(lambda t: t.share_memory_())

    def train(self, mode: bool = True) -> Self:
        """Set training mode (``mode=False``: evaluation mode) here and below."""
        if not isinstance(mode, bool):
            raise ValueError("training mode is expected to be boolean")
        self.training = mode
        for module in self.children():
            module.train(mode)
        return self

    def eval(self) -> Self:
        """Set evaluation mode here and below."""
        return self.train(False)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Switch gradients of all parameters on or off."""
        for param in self.parameters():
            param.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drop the gradients of all parameters, or fill them with zeros."""
        for param in self.parameters():
            if param.grad is None:
                continue
            if set_to_none:
                param.grad = None
            else:
                if param.grad.grad_fn is not None:
                    param.grad.detach_()
                else:
                    param.grad.requires_grad_(False)
                param.grad.zero_()

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Compile this module's forward; the arguments are those of ``flambeau.compile``."""
        forward = type(self).forward.__get__(self)
        self.__dict__.update(forward=fb.compile(forward, *args, **kwargs), _compiled=True)

    # ------------------------------------------------------------------------------------ hooks

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook` before ``forward``.

        Parameters
        ----------
        hook : callable
            ``hook(module, args)``, or ``hook(module, args, kwargs)``; what it returns replaces the arguments.
        prepend : bool
            Run it before the hooks already there.
        with_kwargs : bool
            Hand it the keyword arguments as well.
        """
        flags = self._forward_pre_hooks_with_kwargs
        handle = _register(self._forward_pre_hooks, hook, prepend=prepend, extra=[flags])
        if with_kwargs:
            flags[handle.id] = True
        return handle

    def register_forward_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False, always_call: bool = False
    ) -> RemovableHandle:
        """Call `hook` after ``forward``.

        Parameters
        ----------
        hook : callable
            ``hook(module, args, output)``, or ``hook(module, args, kwargs, output)``; its result replaces
            the output.
        prepend : bool
            Run it before the hooks already there.
        with_kwargs : bool
            Hand it the keyword arguments as well.
        always_call : bool
            Run it also when ``forward`` raised.
        """
        with_names, always = self._forward_hooks_with_kwargs, self._forward_hooks_always_called
        handle = _register(self._forward_hooks, hook, prepend=prepend, extra=[with_names, always])
        if with_kwargs:
            with_names[handle.id] = True
        if always_call:
            always[handle.id] = True
        return handle

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_output)`` before the backward of this module; a result replaces the
        gradients.
        """
        return _register(self._backward_pre_hooks, hook, prepend=prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """Call ``hook(module, grad_input, grad_output)`` in the backward of this module; a result replaces
        ``grad_input``.
        """
        self._choose_backward_kind(True)
        return _register(self._backward_hooks, hook, prepend=prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """The older kind of backward hook, which sees only the last operation of the module."""
        self._choose_backward_kind(False)
        return _register(self._backward_hooks, hook)

    def _choose_backward_kind(self, full: bool) -> None:
        if self._is_full_backward_hook is (not full):
            raise RuntimeError(
                "Cannot use both regular backward hooks and full backward hooks on a single Module. Please "
                "use only one of them."
            )
        self._is_full_backward_hook = full

    def register_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata)`` when a ``state_dict`` was made."""
        hook._from_public_api = True
        return _register(self._state_dict_hooks, hook)

    def register_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, prefix, keep_vars)`` before a ``state_dict`` is made."""
        return _register(self._state_dict_pre_hooks, hook)

    def _register_state_dict_hook(self, hook: Callable) -> RemovableHandle:
        if getattr(hook, "_from_public_api", False):
            raise RuntimeError(
                "Cannot register the same function as the state dict post hook that was "
                "previously registered via register_state_dict_post_hook"
            )
        return _register(self._state_dict_hooks, hook)

    def _register_load_state_dict_pre_hook(
        self, hook: Callable, with_module: bool = False
    ) -> RemovableHandle:
        return _register(
            self._load_state_dict_pre_hooks, _HookWithModule(hook, self) if with_module else hook
        )

    def register_load_state_dict_pre_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys,
        error_msgs)`` before the tensors of this module are loaded.
        """
        return self._register_load_state_dict_pre_hook(hook, with_module=True)

    def register_load_state_dict_post_hook(self, hook: Callable) -> RemovableHandle:
        """Call ``hook(module, incompatible_keys)`` after ``load_state_dict``."""
        return _register(self._load_state_dict_post_hooks, hook)

    # ------------------------------------------------------------------------------------ state

    def get_extra_state(self) -> Any:
        """State besides tensors, for the ``state_dict``; write it together with :meth:`set_extra_state`."""
        raise RuntimeError(f"Reached a code path in Module.get_extra_state() that {_STATE_REPORT}")

    def set_extra_state(self, state: Any) -> None:
        """Take back what :meth:`get_extra_state` gave."""
        raise RuntimeError(f"Reached a code path in Module.set_extra_state() that {_STATE_REPORT}")

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        for name, param in self._parameters.items():
            if param is not None:
                destination[prefix + name] = param if keep_vars else param.detach()
        for name, buffer in self._buffers.items():
            if buffer is not None and name not in self._non_persistent_buffers_set:
                destination[prefix + name] = buffer if keep_vars else buffer.detach()
        if type(self).get_extra_state is not Module.get_extra_state:
            destination[prefix + _state.EXTRA_STATE] = self.get_extra_state()

    def state_dict(
        self, *args: Any, destination: dict[str, Any] | None = None, prefix: str = "", keep_vars: bool = False
    ) -> dict[str, Any]:
        """All parameters and persistent buffers by dotted name.

        Parameters
        ----------
        destination : dict, optional
            Filled and returned instead of a new dictionary.
        prefix : str
            Put in front of every name.
        keep_vars : bool
            Give the tensors themselves rather than detached ones.
        """
        if args:
            import warnings

            warnings.warn(
                "Positional args are being deprecated, use kwargs instead. Refer to "
                "https://pytorch.org/docs/main/generated/torch.nn.Module.html#torch.nn.Module.state_dict "
                "for details.",
                FutureWarning,
                stacklevel=2,
            )
            destination = args[0] if destination is None else destination
            prefix = args[1] if len(args) > 1 and prefix == "" else prefix
            keep_vars = args[2] if len(args) > 2 and keep_vars is False else keep_vars
        return _state.save(self, destination, prefix, keep_vars)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        has_extra = type(self).set_extra_state is not Module.set_extra_state
        report = missing_keys, unexpected_keys, error_msgs
        _state.load_own(self, state_dict, prefix, local_metadata, strict, *report, has_extra)

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copy the tensors of a state dictionary into this module.

        Parameters
        ----------
        state_dict : dict
            Tensors by dotted name.
        strict : bool
            Raise when names are missing or not known.
        assign : bool
            Put the tensors themselves in place instead of copying their values.

        Returns
        -------
        IncompatibleKeys
            Named tuple of ``missing_keys`` and ``unexpected_keys``.
        """
        return _state.load(self, state_dict, strict, assign)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        # a compiled forward is made anew where it is wanted
        if self.__dict__.get("_compiled"):
            del state["forward"], state["_compiled"]
        return state

    def __reduce_ex__(self, protocol: Any) -> Any:
        return super().__reduce_ex__(max(protocol, 2))  # the older ones know no base class written in C

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        own = self.__dict__
        for name in (
            "_forward_pre_hooks",
            "_forward_pre_hooks_with_kwargs",
            "_forward_hooks_with_kwargs",
            "_forward_hooks_always_called",
            "_state_dict_hooks",
            "_state_dict_pre_hooks",
            "_load_state_dict_pre_hooks",
            "_load_state_dict_post_hooks",
            "_backward_pre_hooks",
        ):
            own.setdefault(name, OrderedDict())
        own.setdefault("_non_persistent_buffers_set", set())
        own.setdefault("_is_full_backward_hook", None)

    def _replicate_for_data_parallel(self) -> Self:
        replica = self.__new__(type(self))
        replica.__dict__ = self.__dict__.copy()
        replica._parameters = {}
        replica._buffers = replica._buffers.copy()
        replica._modules = replica._modules.copy()
        replica._is_replica = True
        return replica

    # ------------------------------------------------------------------------------------ showing

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What stands between the brackets of this module's own line; subclasses write it."""
        return ""

    def __repr__(self) -> str:
        extra = self.extra_repr()
        own = extra.split("\n") if extra else []
        children = [f"({name}): {_addindent(repr(module), 2)}" for name, module in self._modules.items()]
        lines = own + children
        if not lines:
            return f"{self._get_name()}()"
        if len(own) == 1 and not children:
            return f"{self._get_name()}({own[0]})"
        return f"{self._get_name()}(\n  " + "\n  ".join(lines) + "\n)"

    def __dir__(self) -> list[str]:
        names = [*dir(type(self)), *self.__dict__, *self._parameters, *self._modules, *self._buffers]
        return sorted(name for name in names if not name[0].isdigit())


def _has_any_global_hook() -> bool:
    return bool(_global_forward_pre_hooks or _global_forward_hooks or _global_backward_pre_hooks) or bool(
        _global_backward_hooks
    )
