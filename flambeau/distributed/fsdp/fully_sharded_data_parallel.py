"""`FullyShardedDataParallel`: a wrapper whose module's parameters are cut among processes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto
from typing import Any

import flambeau as fb
from flambeau import distributed as dist
from flambeau import nn
from flambeau.distributed._wrapper import Wrapper
from flambeau.distributed.device_mesh import DeviceMesh
from flambeau.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor

from ._unshard import Group, cast_floats
from .api import (
    BackwardPrefetch,
    CPUOffload,
    FullOptimStateDictConfig,
    FullStateDictConfig,
    LocalOptimStateDictConfig,  # noqa: F401 (PyTorch shows it here)
    MixedPrecision,
    OptimStateDictConfig,
    ShardedOptimStateDictConfig,
    ShardedStateDictConfig,
    ShardingStrategy,
    StateDictConfig,
    StateDictSettings,
    StateDictType,
)
from .wrap import CustomPolicy, ModuleWrapPolicy, wrap_parts

__all__ = ["FullyShardedDataParallel", "OptimStateKeyType"]

_INNER = "_fsdp_wrapped_module"
_CONFIGS = {
    StateDictType.FULL_STATE_DICT: (FullStateDictConfig, FullOptimStateDictConfig),
    StateDictType.SHARDED_STATE_DICT: (ShardedStateDictConfig, ShardedOptimStateDictConfig),
}


class OptimStateKeyType(Enum):
    """Whether an optimizer's state is kept by names of parameters or by their numbers."""

    PARAM_NAME = auto()
    PARAM_ID = auto()


class FullyShardedDataParallel(Wrapper):
    """Cut the parameters of a module among processes; they are whole during its forward.

    Every parameter stays one by itself (as with ``use_orig_params=True``), a `DTensor` cut along its first
    dimension. Whole tensors live as long as the graph of a forward; gradients are averaged.

    Parameters
    ----------
    module : what is wrapped.
    process_group : the processes; all by default.
    sharding_strategy : FULL_SHARD and SHARD_GRAD_OP are the same here; NO_SHARD keeps whole copies; the
        hybrid ones need a `device_mesh` of two dimensions.
    auto_wrap_policy : which parts are wrapped by themselves.
    mixed_precision : dtypes.
    ignored_modules, ignored_states : what stays as it is.
    sync_module_states : take the parameters and buffers of the first process.
    cpu_offload, backward_prefetch, forward_prefetch, limit_all_gathers, use_orig_params, device_id
        Accepted.
    """

    inner_name = _INNER

    def __init__(
        self, module: nn.Module, process_group: Any = None, sharding_strategy: ShardingStrategy | None = None,
        cpu_offload: CPUOffload | None = None,
        auto_wrap_policy: Callable | ModuleWrapPolicy | CustomPolicy | None = None,
        backward_prefetch: BackwardPrefetch | None = BackwardPrefetch.BACKWARD_PRE,
        mixed_precision: MixedPrecision | None = None, ignored_modules: Iterable[nn.Module] | None = None,
        param_init_fn: Callable[[nn.Module], None] | None = None, device_id: int | fb.device | None = None,
        sync_module_states: bool = False, forward_prefetch: bool = False, limit_all_gathers: bool = True,
        use_orig_params: bool = False, ignored_states: Iterable | None = None,
        device_mesh: DeviceMesh | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        if param_init_fn is not None:
            raise NotImplementedError("FullyShardedDataParallel with param_init_fn")
        strategy = sharding_strategy or ShardingStrategy.FULL_SHARD
        mesh = device_mesh
        if mesh is None:
            if strategy.name.strip("_").startswith("HYBRID"):
                raise NotImplementedError(f"FullyShardedDataParallel: {strategy} without a device_mesh")
            mesh = DeviceMesh.from_group(process_group or dist.group.WORLD or dist._group(None), "cpu")
        ignored = [*(ignored_modules or ()), *(ignored_states or ())]
        skipped = {id(t) for m in ignored for t in (m.modules() if isinstance(m, nn.Module) else (m,))}
        policy = mixed_precision or MixedPrecision()
        self.sharding_strategy, self.mixed_precision, self.process_group = (
            strategy,
            policy,
            mesh.get_group(-1),
        )
        self._settings = StateDictSettings(
            StateDictType.FULL_STATE_DICT, FullStateDictConfig(), FullOptimStateDictConfig()
        )
        if auto_wrap_policy is not None:
            options = {
                "process_group": process_group, "sharding_strategy": strategy, "device_mesh": device_mesh,
                "mixed_precision": mixed_precision, "ignored_modules": ignored_modules,
                "sync_module_states": sync_module_states, "ignored_states": ignored_states,
            }  # fmt: skip
            wrap_parts(module, auto_wrap_policy, lambda part, **own: type(self)(part, **{**options, **own}))
        if sync_module_states:
            for buffer in module.buffers():
                dist.broadcast(buffer.detach(), group=mesh.get_group(-1), group_src=0)
        skipped |= {id(part) for part in module.modules() if isinstance(part, FullyShardedDataParallel)}
        cut = Replicate() if strategy is ShardingStrategy.NO_SHARD else Shard(0)

        def placements(parameter: nn.Parameter) -> list:
            return [Replicate()] * (mesh.ndim - 1) + [cut if parameter.dim() else Replicate()]

        setattr(self, _INNER, module)
        self.__dict__["_group"] = Group(
            module, skipped, mesh, placements, 0 if sync_module_states else None, policy.param_dtype,
            policy.reduce_dtype, None, policy.cast_forward_inputs or policy.cast_root_forward_inputs,
        )  # fmt: skip
        if policy.buffer_dtype is not None:
            for part in module.modules():
                part._buffers.update(
                    {k: cast_floats(b, policy.buffer_dtype) for k, b in part._buffers.items()}
                )

    @property
    def module(self) -> nn.Module:
        """What is wrapped."""
        return getattr(self, _INNER)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the module, with whole parameters."""
        args, kwargs = self._group.before(self, args, kwargs)
        output = None
        try:
            output = self.module(*args, **kwargs)
        finally:
            output = self._group.after(self, args, output)
        return output

    @staticmethod
    def fsdp_modules(module: nn.Module, root_only: bool = False) -> list[FullyShardedDataParallel]:
        """The wrappers in a module."""
        found = [m for m in module.modules() if isinstance(m, FullyShardedDataParallel)]
        if not root_only:
            return found
        inner = {id(n) for m in found for n in m.modules() if n is not m}
        return [m for m in found if id(m) not in inner]

    def check_is_root(self) -> bool:
        """Whether it is the outermost wrapper, as far as it knows: it looks only at itself."""
        raise NotImplementedError("FullyShardedDataParallel.check_is_root")

    def apply(self, fn: Callable[[nn.Module], None]) -> FullyShardedDataParallel:
        """Call a function with every module, with whole parameters."""
        with self.summon_full_params(self):
            return super().apply(fn)

    def named_parameters(self, *args: Any, **kwargs: Any) -> Iterator[tuple[str, nn.Parameter]]:
        """Parameters, inside of `summon_full_params` under the names of the module that was wrapped."""
        for name, parameter in super().named_parameters(*args, **kwargs):
            yield (name.replace(_INNER + ".", "") if self._group.depth else name), parameter

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Let gradients add up in each process; the next backward outside averages them."""
        groups = [m._group for m in self.fsdp_modules(self)]
        before = [g.sync for g in groups]
        for g in groups:
            g.sync = False
        try:
            yield
        finally:
            for g, sync in zip(groups, before):
                g.sync = sync

    @staticmethod
    @contextlib.contextmanager
    def summon_full_params(
        module: nn.Module, recurse: bool = True, writeback: bool = True, rank0_only: bool = False,
        offload_to_cpu: bool = False, with_grads: bool = False,
    ) -> Iterator[None]:  # fmt: skip
        """Whole parameters in the module, inside the ``with`` block; what is written into them stays."""
        if rank0_only and writeback:
            raise NotImplementedError("summon_full_params with rank0_only and writeback")
        if with_grads:
            raise NotImplementedError("summon_full_params with with_grads")
        wrappers = FullyShardedDataParallel.fsdp_modules(module)
        groups = [m._group for m in (wrappers if recurse else wrappers[:1])]
        wholes = []
        for group in groups:
            values = group.whole_tensors()
            made = []
            group.depth += 1
            for entry in group.entries:
                whole = nn.Parameter(values[id(entry.parameter)].clone(), entry.parameter.requires_grad)
                made.append(whole)
                for part, name in entry.places:
                    part._parameters[name] = whole
            wholes.append(made)
        try:
            yield
        finally:
            for group, made in zip(groups, wholes):
                group.reshard()
                if writeback:
                    group.write_back(made)

    def clip_grad_norm_(self, max_norm: float, norm_type: float = 2.0) -> fb.Tensor:
        """Scale all gradients so that their norm is at most `max_norm`; the norm before."""
        norm = nn.utils.clip_grad_norm_(list(self.parameters()), max_norm, norm_type)
        return norm.full_tensor() if isinstance(norm, DTensor) else norm

    # ------------------------------------------------------------------ state dicts
    @staticmethod
    def set_state_dict_type(
        module: nn.Module,
        state_dict_type: StateDictType,
        state_dict_config: StateDictConfig | None = None,
        optim_state_dict_config: OptimStateDictConfig | None = None,
    ) -> StateDictSettings:
        """Say what `state_dict` gives, for all wrappers in a module; the settings before."""
        if state_dict_type not in _CONFIGS:
            raise NotImplementedError(f"FullyShardedDataParallel: {state_dict_type}")
        plain, optim = _CONFIGS[state_dict_type]
        for given, wanted in ((state_dict_config, plain), (optim_state_dict_config, optim)):
            if given is not None and not isinstance(given, wanted):
                raise RuntimeError(f"Expected {wanted} but got {type(given)}")
        wrappers = FullyShardedDataParallel.fsdp_modules(module)
        before = wrappers[0]._settings if wrappers else None
        for wrapper in wrappers:
            wrapper._settings = StateDictSettings(
                state_dict_type, state_dict_config or plain(), optim_state_dict_config or optim()
            )
        return before

    @staticmethod
    def get_state_dict_type(module: nn.Module) -> StateDictSettings:
        """What `state_dict` gives."""
        return FullyShardedDataParallel.fsdp_modules(module)[0]._settings

    @staticmethod
    @contextlib.contextmanager
    def state_dict_type(
        module: nn.Module,
        state_dict_type: StateDictType,
        state_dict_config: StateDictConfig | None = None,
        optim_state_dict_config: OptimStateDictConfig | None = None,
    ) -> Iterator[None]:
        """`set_state_dict_type` inside the ``with`` block."""
        cls = FullyShardedDataParallel
        before = cls.set_state_dict_type(module, state_dict_type, state_dict_config, optim_state_dict_config)
        try:
            yield
        finally:
            if before is not None:
                cls.set_state_dict_type(
                    module, before.state_dict_type, before.state_dict_config, before.optim_state_dict_config
                )

    def state_dict(
        self, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False
    ) -> Any:
        """Parameters and buffers under the names of the module that was wrapped."""
        made = self.module.state_dict(destination=destination, prefix=prefix, keep_vars=keep_vars)
        settings = self._settings
        if settings.state_dict_type is not StateDictType.FULL_STATE_DICT:
            return made
        config = settings.state_dict_config
        for name in [name for name, value in made.items() if name.startswith(prefix)]:
            value = made[name]
            if isinstance(value, DTensor):
                with fb.no_grad():
                    made[name] = value.full_tensor()
        if config.rank0_only and dist.get_rank(self.process_group) != 0:
            for name in [name for name in made if name.startswith(prefix)]:
                del made[name]
        return made

    def _load_from_state_dict(self, state_dict: dict, prefix: str, *args: Any) -> None:
        """Give the names the place of the wrapped module, and cut whole tensors."""
        self._name_as_inner(state_dict, prefix)
        parameters = dict(self.module.named_parameters())
        for name, parameter in parameters.items():
            key = f"{prefix}{_INNER}.{name}"
            value = state_dict.get(key)
            if isinstance(parameter, DTensor) and value is not None and not isinstance(value, DTensor):
                state_dict[key] = distribute_tensor(
                    value.detach().to(parameter.dtype),
                    parameter.device_mesh,
                    parameter.placements,
                    src_data_rank=None,
                )
        super()._load_from_state_dict(state_dict, prefix, *args)

    @staticmethod
    def optim_state_dict(
        model: nn.Module, optim: fb.optim.Optimizer, optim_state_dict: dict[str, Any] | None = None,
        group: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The state of an optimizer by names of parameters, as `state_dict_type` says."""
        from flambeau.distributed.checkpoint.state_dict import optimizer_state

        settings = FullyShardedDataParallel.get_state_dict_type(model)
        full = settings.state_dict_type is StateDictType.FULL_STATE_DICT
        made = optimizer_state(model, optim, full, optim_state_dict)
        if full and settings.optim_state_dict_config.rank0_only and dist.get_rank(group) != 0:
            return {}
        return made

    @staticmethod
    def optim_state_dict_to_load(
        model: nn.Module, optim: fb.optim.Optimizer, optim_state_dict: dict[str, Any],
        is_named_optimizer: bool = False, load_directly: bool = False, group: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """What `optim.load_state_dict` takes, from what `optim_state_dict` gave."""
        from flambeau.distributed.checkpoint.state_dict import optimizer_state_to_load

        if is_named_optimizer:
            raise NotImplementedError("optim_state_dict_to_load with is_named_optimizer")
        made = optimizer_state_to_load(model, optim, optim_state_dict)
        if load_directly:
            optim.load_state_dict(made)
        return made

    @staticmethod
    def full_optim_state_dict(
        model: nn.Module, optim: fb.optim.Optimizer, optim_input: Any = None, rank0_only: bool = True,
        group: Any = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The state of an optimizer with whole tensors, by names of parameters."""
        from flambeau.distributed.checkpoint.state_dict import optimizer_state

        made = optimizer_state(model, optim, True)
        return {} if rank0_only and dist.get_rank(group) != 0 else made

    @staticmethod
    def rekey_optim_state_dict(
        optim_state_dict: dict[str, Any], optim_state_key_type: OptimStateKeyType, model: nn.Module,
        optim_input: Any = None, optim: fb.optim.Optimizer | None = None,
    ) -> dict[str, Any]:  # fmt: skip
        """The same state by names of parameters, or by their numbers."""
        names = [name.replace(_INNER + ".", "") for name, _ in model.named_parameters()]
        keys = dict(zip(names, range(len(names))))
        if optim_state_key_type is OptimStateKeyType.PARAM_NAME:
            keys = {number: name for name, number in keys.items()}

        def key(k: Any) -> Any:
            return keys.get(k, k)

        return {
            "state": {key(k): v for k, v in optim_state_dict["state"].items()},
            "param_groups": [
                {**g, "params": [key(k) for k in g["params"]]} for g in optim_state_dict["param_groups"]
            ],
        }

    def register_comm_hook(self, state: object, hook: Callable) -> None:
        """Not there."""
        raise NotImplementedError("FullyShardedDataParallel.register_comm_hook")
