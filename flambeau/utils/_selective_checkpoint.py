"""Checkpoints that keep the results of some operators and compute the others again."""

from __future__ import annotations

import enum
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import flambeau as fb

from .._ops import OpOverload
from ._python_dispatch import TorchDispatchMode
from ._pytree import tree_map

__all__ = [
    "SAC_IGNORED_OPS",
    "CheckpointPolicy",
    "SelectiveCheckpointContext",
    "create_selective_checkpoint_contexts",
]


class CheckpointPolicy(enum.Enum):
    """What is done with the result of an operator.

    ``MUST_*`` is the program's decision, ``PREFER_*`` one that a compiler may change. flambeau keeps no
    results in
    another memory: the ``*_CPU_OFFLOAD`` policies raise where the tensor is not on the CPU already.
    """

    MUST_SAVE = 0
    PREFER_SAVE = 1
    MUST_RECOMPUTE = 2
    PREFER_RECOMPUTE = 3
    MUST_CPU_OFFLOAD = 4
    PREFER_CPU_OFFLOAD = 5


_SAVED = (
    CheckpointPolicy.MUST_SAVE, CheckpointPolicy.PREFER_SAVE,
    CheckpointPolicy.MUST_CPU_OFFLOAD, CheckpointPolicy.PREFER_CPU_OFFLOAD,
)  # fmt: skip

#: operators that run without being asked about
SAC_IGNORED_OPS = {fb.ops.aten.detach.default}


class SelectiveCheckpointContext:
    """What a policy is told besides the operator and its arguments."""

    def __init__(self, *, is_recompute: bool, op_output: Any = None) -> None:
        self.is_recompute, self.op_output = is_recompute, op_output


class _Kept:
    """A result of the first run, and which version of its memory it was."""

    def __init__(self, value: Any) -> None:
        self.value = value.detach() if isinstance(value, fb.Tensor) else value
        self.version = value._version if isinstance(value, fb.Tensor) else None

    def get(self, allow_mutation: bool) -> Any:
        if self.version is not None and not allow_mutation and self.value._version != self.version:
            raise RuntimeError("Tensor cached during selective activation checkpoint has been mutated")
        return self.value


class _Keeping(TorchDispatchMode):
    """The first run: asks the policy, and keeps what it says."""

    def __init__(self, policy: Callable, kept: dict[OpOverload, list]) -> None:
        super().__init__()
        self.policy, self.kept = policy, kept

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in SAC_IGNORED_OPS:
            return func(*args, **kwargs)
        out = func(*args, **kwargs)
        policy = self.policy(
            SelectiveCheckpointContext(is_recompute=False, op_output=out), func, *args, **kwargs
        )
        if isinstance(policy, bool):
            policy = CheckpointPolicy.MUST_SAVE if policy else CheckpointPolicy.PREFER_RECOMPUTE
        save = policy in _SAVED and not func._schema.is_mutable
        self.kept[func].append(tree_map(_Kept, out) if save else None)
        return out


class _Giving(TorchDispatchMode):
    """The second run: gives what was kept, in the order of the first."""

    def __init__(self, kept: dict[OpOverload, list], allow_mutation: bool) -> None:
        super().__init__()
        self.kept, self.allow_mutation = kept, allow_mutation

    def __torch_dispatch__(
        self, func: OpOverload, types: tuple, args: tuple = (), kwargs: dict | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in SAC_IGNORED_OPS:
            return func(*args, **kwargs)
        waiting = self.kept.get(func)
        if waiting is None:
            raise RuntimeError(f"{func} encountered during backward, but not found in storage")
        if not waiting:
            raise RuntimeError(
                "Trying to backward an extra time. You are only allowed to backward once on any region"
                " computed under"
                " selective activation checkpoint."
            )
        entry = waiting.pop(0)
        if entry is None:
            return func(*args, **kwargs)
        return tree_map(lambda k: k.get(self.allow_mutation), entry)


def create_selective_checkpoint_contexts(
    policy_fn_or_list: Any, allow_cache_entry_mutation: bool = False
) -> tuple[TorchDispatchMode, TorchDispatchMode]:
    """The two contexts of a checkpoint that decides by operator, for `checkpoint`'s ``context_fn``.

    Parameters
    ----------
    policy_fn_or_list : ``policy(ctx, op, *args, **kwargs) -> CheckpointPolicy`` (or whether to save), or the
    list of
        operators whose results are saved.
    allow_cache_entry_mutation : do not raise where a saved result was written to.

    Examples
    --------
    >>> save_products = functools.partial(
    ...     create_selective_checkpoint_contexts, [torch.ops.aten.mm.default]
    ... )
    >>> checkpoint(f, x, use_reentrant=False, context_fn=save_products)
    """
    if isinstance(policy_fn_or_list, list):
        for op in policy_fn_or_list:
            if not isinstance(op, OpOverload):
                extra = (
                    "Please update the OpOverloadPacket to a specific OpOverload."
                    "For example, if you have `torch.ops.aten.mm`, change it to `torch.ops.aten.mm.default`."
                    if isinstance(op, type(fb.ops.aten.mm))
                    else ""
                )
                raise ValueError(
                    f"Expected op in `op_list` to be an OpOverload but got: {op} of type {type(op)}. {extra}"
                )

        def policy(
            ctx: SelectiveCheckpointContext, op: OpOverload, *args: Any, **kwargs: Any
        ) -> CheckpointPolicy:
            if op in policy_fn_or_list:
                return CheckpointPolicy.MUST_SAVE
            return CheckpointPolicy.PREFER_RECOMPUTE

    elif callable(policy_fn_or_list):
        policy = policy_fn_or_list
    else:
        raise TypeError("policy_fn_or_list must be either a function or a list of ops.")
    kept: dict[OpOverload, list] = defaultdict(list)
    return _Keeping(policy, kept), _Giving(kept, allow_cache_entry_mutation)
