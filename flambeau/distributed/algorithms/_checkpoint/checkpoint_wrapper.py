"""Modules that compute their forward again in the backward instead of keeping its results."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import Enum, auto
from typing import Any

from flambeau import nn
from flambeau.autograd.graph import save_on_cpu
from flambeau.distributed._wrapper import Wrapper
from flambeau.utils.checkpoint import checkpoint

__all__ = [
    "CheckpointImpl",
    "CheckpointWrapper",
    "OffloadWrapper",
    "apply_activation_checkpointing",
    "checkpoint_wrapper",
    "offload_wrapper",
]

_INNER = "_checkpoint_wrapped_module"


class CheckpointImpl(Enum):
    """Which way `flambeau.utils.checkpoint.checkpoint` works."""

    REENTRANT = auto()
    NO_REENTRANT = auto()


class ActivationWrapper(Wrapper):
    """A wrapper whose module's parameters keep their names in state dicts and lists of parameters."""

    inner_name = _INNER

    def __init__(self, mod: nn.Module) -> None:
        super().__init__()
        self._checkpoint_wrapped_module = mod

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters under the names they have without the wrapper."""
        for name, parameter in super().named_parameters(*args, **kwargs):
            yield name.replace(_INNER + ".", ""), parameter

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """The state dict of the module that was wrapped."""
        return self._checkpoint_wrapped_module.state_dict(
            destination=destination, prefix=prefix, keep_vars=keep_vars
        )

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        self._name_as_inner(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args)


class CheckpointWrapper(ActivationWrapper):
    """Computes the forward of its module again in the backward."""

    def __init__(
        self,
        mod: nn.Module,
        checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
        checkpoint_fn: Callable | None = None,
        **checkpoint_fn_kwargs: Any,
    ) -> None:
        super().__init__(mod)
        self.checkpoint_impl = checkpoint_impl
        self._function = checkpoint_fn or checkpoint
        self._options = dict(checkpoint_fn_kwargs)
        if checkpoint_fn is None:
            self._options["use_reentrant"] = checkpoint_impl is CheckpointImpl.REENTRANT

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        if kwargs and self._options.get("use_reentrant"):
            names = list(kwargs)

            def call(*values: Any) -> Any:
                own, named = values[: len(args)], values[len(args) :]
                return self._checkpoint_wrapped_module(*own, **dict(zip(names, named)))

            return self._function(call, *args, *kwargs.values(), **self._options)
        return self._function(self._checkpoint_wrapped_module, *args, **self._options, **kwargs)


class OffloadWrapper(ActivationWrapper):
    """Keeps what its module saves for the backward in main memory."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module."""
        with save_on_cpu(pin_memory=True):
            return self._checkpoint_wrapped_module(*args, **kwargs)


def checkpoint_wrapper(
    module: nn.Module,
    checkpoint_impl: CheckpointImpl = CheckpointImpl.NO_REENTRANT,
    checkpoint_fn: Callable | None = None,
    **checkpoint_fn_kwargs: Any,
) -> nn.Module:
    """Wrap a module in a `CheckpointWrapper`."""
    return CheckpointWrapper(module, checkpoint_impl, checkpoint_fn, **checkpoint_fn_kwargs)


def offload_wrapper(module: nn.Module) -> nn.Module:
    """Wrap a module in an `OffloadWrapper`."""
    return OffloadWrapper(module)


def apply_activation_checkpointing(
    model: nn.Module,
    checkpoint_wrapper_fn: Callable[[nn.Module], nn.Module] = checkpoint_wrapper,
    check_fn: Callable[[nn.Module], bool] = lambda _: True,
    auto_wrap_policy: Any = None,
) -> None:
    """Wrap the parts of a model for which a function says so, or that a policy names."""
    from flambeau.distributed.fsdp.wrap import lambda_auto_wrap_policy, wrap_parts

    def choose(module: nn.Module, recurse: bool, nonwrapped_numel: int) -> bool:
        return lambda_auto_wrap_policy(module, recurse, nonwrapped_numel, check_fn)

    wrap_parts(model, auto_wrap_policy or choose, checkpoint_wrapper_fn)
