"""The hot part of every module: calling it and reaching its parameters, buffers and children.

Everything a training step does to a module besides its own ``forward`` is in this file, so that it can be
judged (and replaced) in one place.
"""

from collections import OrderedDict

import flambeau as fb
from flambeau.nn.modules import _call
from flambeau.nn.parameter import Buffer, Parameter


class ModuleBase:
    """Attribute access and calls of :class:`~flambeau.nn.Module`."""

    def __init__(self, *args, **kwargs) -> None:
        kind = type(self)
        if not kind.call_super_init:
            if kwargs:
                name = next(iter(kwargs))
                raise TypeError(f"{kind.__name__}.__init__() got an unexpected keyword argument {name!r}")
            if args:
                raise TypeError(
                    f"{kind.__name__}.__init__() takes 1 positional argument but {len(args) + 1} were given"
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

    def __call__(self, *args, **kwargs):
        try:
            if (
                self._forward_hooks
                or self._forward_pre_hooks
                or self._backward_hooks
                or self._backward_pre_hooks
                or _call.any_global_hook
            ):
                return _call.call_with_hooks(self, args, kwargs)
            return self.forward(*args, **kwargs)
        except Exception as error:
            _call.note_module_path(self, error)
            raise

    def __getattr__(self, name: str):
        own = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            members = own.get(registry)
            if members is not None and name in members:
                return members[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value) -> None:
        own = self.__dict__
        parameters, modules, buffers = own.get("_parameters"), own.get("_modules"), own.get("_buffers")
        if isinstance(value, Parameter):
            if parameters is None:
                raise AttributeError("cannot assign parameters before Module.__init__() call")
            _forget(self, name, own, buffers, modules)
            self.register_parameter(name, value)
        elif parameters is not None and name in parameters:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{fb.typename(value)}' as parameter '{name}' "
                    "(torch.nn.Parameter or None expected)"
                )
            self.register_parameter(name, value)
        elif isinstance(value, ModuleBase):
            if modules is None:
                raise AttributeError("cannot assign module before Module.__init__() call")
            _forget(self, name, own, parameters, buffers)
            modules[name] = _call.on_registration("module", self, name, value)
        elif modules is not None and name in modules:
            if value is not None:
                raise TypeError(
                    f"cannot assign '{fb.typename(value)}' as child module '{name}' "
                    "(torch.nn.Module or None expected)"
                )
            modules[name] = _call.on_registration("module", self, name, value)
        elif isinstance(value, Buffer):
            if buffers is None:
                raise AttributeError("cannot assign buffer before Module.__init__() call")
            _forget(self, name, own, parameters, modules)
            self.register_buffer(name, value, value.persistent)
        elif buffers is not None and name in buffers:
            if not (value is None or isinstance(value, fb.Tensor) or hasattr(value, "__torch_function__")):
                raise TypeError(
                    f"cannot assign '{fb.typename(value)}' as buffer '{name}' "
                    "(torch.nn.Buffer, torch.Tensor or None expected)"
                )
            buffers[name] = _call.on_registration("buffer", self, name, value)
        else:
            object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        own = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            members = own.get(registry)
            if members is not None and name in members:
                del members[name]
                if registry == "_buffers":
                    self._non_persistent_buffers_set.discard(name)
                return
        object.__delattr__(self, name)


def _forget(module: ModuleBase, name: str, *registries) -> None:
    """Drop what `name` meant before it is bound to another kind of member."""
    for members in registries:
        if members is not None:
            members.pop(name, None)
    hidden = module.__dict__.get("_non_persistent_buffers_set")
    if hidden is not None:
        hidden.discard(name)
