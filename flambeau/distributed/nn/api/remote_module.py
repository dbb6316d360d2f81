"""A module that another worker holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import flambeau as fb
from flambeau import nn
from flambeau.distributed import rpc
from flambeau.distributed.remote_device import _remote_device
from flambeau.distributed.rpc import _transport
from flambeau.futures import Future

__all__ = ["RemoteModule"]

_REFUSED = """
    add_module apply bfloat16 buffers children cpu cuda double extra_repr float half ipu
    load_state_dict modules named_buffers named_children named_modules named_parameters
    register_backward_hook register_buffer register_forward_hook register_forward_pre_hook
    register_parameter requires_grad_ share_memory state_dict to type xpu zero_grad
""".split()


class _RemoteModule(nn.Module):
    """What `RemoteModule` is made of.

    Parameters
    ----------
    remote_device : the worker and the device there: ``"worker1/cpu"``, ``"rank:1/cpu"``.
    module_cls : the class of the module.
    args, kwargs : what it is made with.
    _module_interface_cls : of script modules, which are not there; None.
    """

    def __init__(
        self,
        remote_device: str,
        module_cls: type[nn.Module],
        args: tuple | None = None,
        kwargs: dict[str, Any] | None = None,
        _module_interface_cls: Any = None,
    ) -> None:
        super().__init__()
        if _module_interface_cls is not None:
            raise NotImplementedError("RemoteModule: script modules are not there yet in flambeau")
        on, device = _place(remote_device)
        made = rpc.rpc_sync(on, _make, (module_cls, args or (), kwargs or {}, device))
        self._take(on, device, made)

    def _take(self, on: Any, device: str, module_rref: rpc.RRef) -> None:
        self.on, self.device, self.module_rref = on, device, module_rref
        self.is_device_map_set, self.is_scriptable, self.generated_methods = False, False, ()

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module gives; waits for it."""
        return rpc.rpc_sync(self.on, _forward, (self.module_rref, args, kwargs))

    def forward_async(self, *args: Any, **kwargs: Any) -> Future:
        """A future of what the module gives."""
        return rpc.rpc_async(self.on, _forward, (self.module_rref, args, kwargs))

    def remote_parameters(self, recurse: bool = True) -> list[rpc.RRef]:
        """References to the parameters, as `flambeau.distributed.optim.DistributedOptimizer` takes them.

        Parameters
        ----------
        recurse : also of the modules in it.
        """
        return rpc.rpc_sync(self.on, _parameters, (self.module_rref, recurse))

    def get_module_rref(self) -> rpc.RRef[nn.Module]:
        """The reference to the module."""
        return self.module_rref

    def train(self, mode: bool = True) -> nn.Module:
        """Put the module into training mode or out of it; a copy of it."""
        self.training = mode
        return self.module_rref.rpc_sync().train(mode)

    def eval(self) -> nn.Module:
        """Put the module out of training mode; a copy of it."""
        return self.train(False)

    @classmethod
    def init_from_module_rref(
        cls, remote_device: str, module_rref: rpc.RRef[nn.Module], _module_interface_cls: Any = None
    ) -> RemoteModule:
        """The same of a module that is there.

        Parameters
        ----------
        remote_device : as of the class.
        module_rref : a reference to a module of that worker.
        """
        return _received(*_place(remote_device), module_rref, cls)

    def __reduce_ex__(self, protocol: Any) -> tuple:
        if _transport.receiver() is None:
            raise RuntimeError(
                "Cannot pickle RemoteModule in python pickler. RemoteModule can only be pickled when using "
                "RPC"
            )
        return _received, (self.on, self.device, self.module_rref, type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(on={self.on!r}, device={self.device!r})"


class RemoteModule(_RemoteModule):
    """A module of another worker; a call of it runs there, and gradients go through (`distributed.autograd`).

    Parameters
    ----------
    remote_device : the worker and the device there: ``"worker1/cpu"``, ``"rank:1/cpu"``.
    module_cls : the class of the module, which that worker can import.
    args, kwargs : what it is made with.

    Examples
    --------
    >>> layer = RemoteModule("worker1/cpu", nn.Linear, args=(20, 30))
    >>> layer(fb.randn(128, 20)).shape
    torch.Size([128, 30])
    """

    def __init__(
        self,
        remote_device: str,
        module_cls: type[nn.Module],
        args: tuple | None = None,
        kwargs: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(remote_device, module_cls, args, kwargs)


def _place(text: str) -> tuple[Any, str]:
    """The worker and the device of such a text."""
    place = _remote_device(text)
    on = place.rank() if place.worker_name() is None else place.worker_name()
    if on is None:
        raise ValueError(f"RemoteModule: {text!r} names no worker")
    return on, str(place.device())


def _received(on: Any, device: str, module_rref: rpc.RRef, cls: type) -> Any:
    made = cls.__new__(cls)
    nn.Module.__init__(made)
    made._take(on, device, module_rref)
    return made


def _make(module_cls: type[nn.Module], args: tuple, kwargs: dict[str, Any], device: str) -> rpc.RRef:
    module = module_cls(*args, **kwargs)
    if not isinstance(module, nn.Module):
        raise ValueError(
            "Expect `module_cls(*args, **kwargs)` returns an instance of <class nn.Module>, but it returns "
            f"an instance of {type(module)}."
        )
    return rpc.RRef(module.to(fb.device(device)))


def _forward(module_rref: rpc.RRef, args: tuple, kwargs: dict[str, Any]) -> Any:
    return module_rref.local_value()(*args, **kwargs)


def _parameters(module_rref: rpc.RRef, recurse: bool) -> list[rpc.RRef]:
    return [rpc.RRef(parameter) for parameter in module_rref.local_value().parameters(recurse)]


def _refusing(name: str) -> Callable:
    def method(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
        raise ValueError(f"Method ``{name}`` not supported for RemoteModule")

    method.__name__, method.__qualname__ = name, f"_RemoteModule.{name}"
    method.__doc__ = "Not there: the module is another worker's."
    return method


def _no_parameters(self: Any, *args: Any, **kwargs: Any) -> NoReturn:
    """Not there: the parameters are another worker's."""
    raise ValueError(
        "Method ``parameters`` not supported for RemoteModule. Please use ``remote_parameters`` instead."
    )


for _name in _REFUSED:
    setattr(_RemoteModule, _name, _refusing(_name))
_RemoteModule.parameters = _no_parameters
