"""What ``module.name = value`` and ``del module.name`` mean for parameters, buffers and children.

The core's ``ModuleBase`` handles plain attributes itself and hands these on.
"""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau._C import ModuleBase
from flambeau.nn.modules import _call
from flambeau.nn.parameter import Buffer, Parameter

_ABSENT = object()


def bind_member(module: ModuleBase, name: str, value: Any = _ABSENT) -> None:
    """Bind `name` to a tensor or module, or to anything where it names a member; without `value`: unbind."""
    if value is _ABSENT:
        return _unbind(module, name)
    own = module.__dict__
    parameters, modules, buffers = own.get("_parameters"), own.get("_modules"), own.get("_buffers")
    if isinstance(value, Parameter):
        _require(parameters, "parameters")
        _forget(module, name, own, buffers, modules)
        module.register_parameter(name, value)
    elif parameters is not None and name in parameters:
        if value is not None:
            _refuse(value, f"parameter '{name}' (torch.nn.Parameter or None expected)")
        module.register_parameter(name, value)
    elif isinstance(value, ModuleBase):
        _require(modules, "module")
        _forget(module, name, own, parameters, buffers)
        modules[name] = _call.on_registration("module", module, name, value)
    elif modules is not None and name in modules:
        if value is not None:
            _refuse(value, f"child module '{name}' (torch.nn.Module or None expected)")
        modules[name] = _call.on_registration("module", module, name, value)
    elif isinstance(value, Buffer):
        _require(buffers, "buffer")
        _forget(module, name, own, parameters, modules)
        module.register_buffer(name, value, value.persistent)
    elif buffers is not None and name in buffers:
        if not (value is None or isinstance(value, fb.Tensor) or hasattr(value, "__torch_function__")):
            _refuse(value, f"buffer '{name}' (torch.nn.Buffer, torch.Tensor or None expected)")
        buffers[name] = _call.on_registration("buffer", module, name, value)
    else:
        object.__setattr__(module, name, value)


def _unbind(module: ModuleBase, name: str) -> None:
    own = module.__dict__
    for registry in ("_parameters", "_buffers", "_modules"):
        members = own.get(registry)
        if members is not None and name in members:
            del members[name]
            if registry == "_buffers":
                module._non_persistent_buffers_set.discard(name)
            return
    object.__delattr__(module, name)


def _require(registry: dict | None, what: str) -> None:
    if registry is None:
        raise AttributeError(f"cannot assign {what} before Module.__init__() call")


def _refuse(value: Any, place: str) -> None:
    raise TypeError(f"cannot assign '{fb.typename(value)}' as {place}")


def _forget(module: ModuleBase, name: str, *registries: dict | None) -> None:
    """Drop what `name` meant before it is bound to another kind of member."""
    for members in registries:
        if members is not None:
            members.pop(name, None)
    hidden = module.__dict__.get("_non_persistent_buffers_set")
    if hidden is not None:
        hidden.discard(name)


ModuleBase._install(
    _call.call_with_hooks,
    _call.note_module_path,
    bind_member,
    (_call.forward_hooks, _call.forward_pre_hooks, _call.backward_hooks, _call.backward_pre_hooks),
)
