"""State dicts of models and optimizers by names of parameters, shared among processes or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.distributed.tensor import DTensor, distribute_tensor
from flambeau.utils import _pytree as pytree

__all__ = [
    "StateDictOptions",
    "get_model_state_dict",
    "get_optimizer_state_dict",
    "get_state_dict",
    "set_model_state_dict",
    "set_optimizer_state_dict",
    "set_state_dict",
]

_WRAPPERS = ("_fsdp_wrapped_module", "_checkpoint_wrapped_module", "_orig_mod")


@dataclasses.dataclass
class StateDictOptions:
    """How state dicts are made and loaded.

    Parameters
    ----------
    full_state_dict : whole tensors instead of shared ones.
    cpu_offload : move them to main memory; with `full_state_dict` only the first process has them.
    ignore_frozen_params : leave out parameters that need no gradient.
    strict : loading raises where names differ.
    broadcast_from_rank0 : the first process has the (full) values, the others take them from it.
    flatten_optimizer_state_dict : the optimizer's as a flat dictionary.
    """

    full_state_dict: bool = False
    cpu_offload: bool = False
    ignore_frozen_params: bool = False
    keep_submodule_prefixes: bool = True
    strict: bool = True
    broadcast_from_rank0: bool = False
    flatten_optimizer_state_dict: bool = False
    dsd_fqn_modifiers: str = "_fqn_modifiers"


def clean_name(model: nn.Module, name: str) -> str:
    """The name of a parameter without those of wrappers."""
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    if isinstance(model, (nn.parallel.DistributedDataParallel, nn.DataParallel)) and parts[0] == "module":
        parts = parts[1:]
    return ".".join(parts)


def _names(model: nn.Module) -> dict[int, str]:
    return {id(p): clean_name(model, name) for name, p in model.named_parameters()}


def _full(value: Any) -> Any:
    with fb.no_grad():
        return pytree.tree_map(lambda v: v.full_tensor() if isinstance(v, DTensor) else v, value)


def _finished(values: dict[str, Any], options: StateDictOptions) -> dict[str, Any]:
    """Whole tensors and main memory, as the options say."""
    if options.full_state_dict:
        values = _full(values)
    if options.cpu_offload:
        from flambeau import distributed as dist

        if options.full_state_dict and dist.is_initialized() and dist.get_rank() != 0:
            return {}
        values = pytree.tree_map(lambda v: v.cpu() if isinstance(v, fb.Tensor) else v, values)
    return values


def get_model_state_dict(
    model: nn.Module, *, submodules: set[nn.Module] | None = None, options: StateDictOptions | None = None
) -> dict[str, Any]:
    """Parameters and buffers by name, without the names of wrappers."""
    if submodules:
        raise NotImplementedError("get_model_state_dict with submodules")
    options = options or StateDictOptions()
    frozen = {clean_name(model, n) for n, p in model.named_parameters() if not p.requires_grad}
    made = {}
    for name, value in _raw_state(model).items():
        short = clean_name(model, name)
        if not (options.ignore_frozen_params and short in frozen):
            made[short] = value
    return _finished(made, options)


def _raw_state(model: nn.Module) -> dict[str, Any]:
    """The state dict with shared tensors."""
    from flambeau.distributed.fsdp import FullyShardedDataParallel, StateDictType

    if not FullyShardedDataParallel.fsdp_modules(model):
        return model.state_dict()
    with FullyShardedDataParallel.state_dict_type(model, StateDictType.SHARDED_STATE_DICT):
        return model.state_dict()


def _as_there(value: Any, there: Any, broadcast: bool) -> Any:
    """A value shared as the one it is for; `broadcast`: that of the first process, given to all."""
    from flambeau import distributed as dist

    if broadcast and isinstance(there, fb.Tensor):
        value = value if dist.get_rank() == 0 else fb.empty(there.shape, dtype=there.dtype)
        value = value.detach().contiguous().clone()
        dist.broadcast(value, 0)
    if not isinstance(value, fb.Tensor) or isinstance(value, DTensor) or not isinstance(there, DTensor):
        return value
    if value.shape != there.shape:
        return value  # a number of steps, not a tensor of the parameter's shape
    return distribute_tensor(value.detach(), there.device_mesh, there.placements, src_data_rank=None)


def set_model_state_dict(
    model: nn.Module, model_state_dict: dict[str, Any], *, options: StateDictOptions | None = None
) -> Any:
    """Load parameters and buffers; what `load_state_dict` gives."""
    options = options or StateDictOptions()
    values = {}
    for name, there in _raw_state(model).items():
        short = clean_name(model, name)
        if short in model_state_dict or options.broadcast_from_rank0:
            values[name] = _as_there(model_state_dict.get(short), there, options.broadcast_from_rank0)
    known = {clean_name(model, name) for name in _raw_state(model)}
    values.update({name: value for name, value in model_state_dict.items() if name not in known})
    return model.load_state_dict(values, strict=options.strict)


# ---------------------------------------------------------------- optimizers
def _prepared(optimizer: fb.optim.Optimizer) -> None:
    """Make the optimizer's state by a step that changes nothing, if it has none yet."""
    if optimizer.state:
        return
    kept = [(p, p.grad) for group in optimizer.param_groups for p in group["params"]]
    rates = [group["lr"] for group in optimizer.param_groups]
    for p, _ in kept:
        if p.requires_grad:
            p.grad = fb.zeros_like(p)
    for group in optimizer.param_groups:
        group["lr"] = fb.tensor(0.0) if isinstance(group["lr"], fb.Tensor) else 0.0
    optimizer.step()
    for group, rate in zip(optimizer.param_groups, rates):
        group["lr"] = rate
    for p, grad in kept:
        p.grad = grad


_init_optim_state = _prepared


def optimizer_state(
    model: nn.Module, optimizer: fb.optim.Optimizer, full: bool, given: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The state of an optimizer by names of parameters."""
    names = _names(model)
    state = optimizer.state_dict() if given is None else given
    numbers = {}
    for group, saved in zip(optimizer.param_groups, state["param_groups"]):
        numbers.update({k: names[id(p)] for k, p in zip(saved["params"], group["params"])})
    made = {
        "state": {numbers[k]: dict(v) for k, v in state["state"].items()},
        "param_groups": [{**g, "params": [numbers[k] for k in g["params"]]} for g in state["param_groups"]],
    }
    return _full(made) if full else made


def optimizer_state_to_load(
    model: nn.Module, optimizer: fb.optim.Optimizer, given: dict[str, Any], broadcast: bool = False
) -> dict[str, Any]:
    """What the optimizer loads, from state by names."""
    names = _names(model)
    state, groups = {}, []
    number = 0
    saved_groups = given.get("param_groups", [])
    for k, group in enumerate(optimizer.param_groups):
        mine = [names[id(p)] for p in group["params"]]
        saved = next(
            (g for g in saved_groups if set(g["params"]) & set(mine)), saved_groups[k] if saved_groups else {}
        )
        numbers = list(range(number, number + len(mine)))
        number += len(mine)
        options = {key: value for key, value in group.items() if key != "params"}
        groups.append(
            {**options, **{key: v for key, v in saved.items() if key != "params"}, "params": numbers}
        )
        for at, name, p in zip(numbers, mine, group["params"]):
            if name in given.get("state", {}):
                state[at] = {
                    key: _as_there(
                        v, p if isinstance(v, fb.Tensor) and v.shape == p.shape else None, broadcast
                    )
                    for key, v in given["state"][name].items()
                }
    return {"state": state, "param_groups": groups}


def _listed(optimizers: Any) -> list[fb.optim.Optimizer]:
    return [optimizers] if isinstance(optimizers, fb.optim.Optimizer) else list(optimizers)


def get_optimizer_state_dict(
    model: nn.Module,
    optimizers: fb.optim.Optimizer | Iterable[fb.optim.Optimizer],
    *,
    submodules: set[nn.Module] | None = None,
    options: StateDictOptions | None = None,
) -> dict[str, Any]:
    """The state of optimizers by names of parameters: ``{"state": …, "param_groups": […]}``."""
    if submodules:
        raise NotImplementedError("get_optimizer_state_dict with submodules")
    options = options or StateDictOptions()
    made: dict[str, Any] = {"state": {}, "param_groups": []}
    for optimizer in _listed(optimizers):
        _prepared(optimizer)
        one = optimizer_state(model, optimizer, False)
        made["state"].update(one["state"])
        made["param_groups"] += one["param_groups"]
    made = _finished(made, options)
    return _flat(made) if options.flatten_optimizer_state_dict and made else made


def _flat(state: dict[str, Any]) -> dict[str, Any]:
    made = {f"state.{name}.{k}": v for name, values in state["state"].items() for k, v in values.items()}
    for group in state["param_groups"]:
        for name in group["params"]:
            made.update({f"param_groups.{name}.{k}": v for k, v in group.items() if k != "params"})
    return made


def _structured(
    flat: dict[str, Any], model: nn.Module, optimizers: list[fb.optim.Optimizer]
) -> dict[str, Any]:
    names = _names(model)
    made: dict[str, Any] = {"state": {}, "param_groups": []}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            mine = [names[id(p)] for p in group["params"]]
            for name in mine:
                prefix = f"state.{name}."
                found = {
                    k[len(prefix) :]: v
                    for k, v in flat.items()
                    if k.startswith(prefix) and "." not in k[len(prefix) :]
                }
                if found:
                    made["state"][name] = found
            prefix = f"param_groups.{mine[0]}."
            options = {k[len(prefix) :]: v for k, v in flat.items() if k.startswith(prefix)}
            made["param_groups"].append({**options, "params": mine})
    return made


def set_optimizer_state_dict(
    model: nn.Module,
    optimizers: fb.optim.Optimizer | Iterable[fb.optim.Optimizer],
    optim_state_dict: dict[str, Any],
    *,
    options: StateDictOptions | None = None,
) -> None:
    """Load the state of optimizers."""
    options = options or StateDictOptions()
    if options.broadcast_from_rank0:
        raise NotImplementedError("set_optimizer_state_dict with broadcast_from_rank0")
    optimizers = _listed(optimizers)
    if "param_groups" not in optim_state_dict:
        optim_state_dict = _structured(optim_state_dict, model, optimizers)
    for optimizer in optimizers:
        _prepared(optimizer)
        optimizer.load_state_dict(optimizer_state_to_load(model, optimizer, optim_state_dict))


def get_state_dict(
    model: nn.Module,
    optimizers: fb.optim.Optimizer | Iterable[fb.optim.Optimizer],
    *,
    submodules: set[nn.Module] | None = None,
    options: StateDictOptions | None = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The state of the model and of the optimizers."""
    return (
        get_model_state_dict(model, submodules=submodules, options=options),
        get_optimizer_state_dict(model, optimizers, submodules=submodules, options=options)
        if _listed(optimizers)
        else {},
    )


def set_state_dict(
    model: nn.Module,
    optimizers: fb.optim.Optimizer | Iterable[fb.optim.Optimizer],
    *,
    model_state_dict: dict[str, Any],
    optim_state_dict: dict[str, Any],
    options: StateDictOptions | None = None,
) -> Any:
    """Load the state of the model and of the optimizers."""
    if _listed(optimizers):
        set_optimizer_state_dict(model, optimizers, optim_state_dict, options=options)
    return set_model_state_dict(model, model_state_dict, options=options)
