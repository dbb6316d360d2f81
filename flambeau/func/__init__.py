"""Function transforms: derivatives and batching of functions of tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .. import Tensor
from . import functions as _functions  # noqa: F401 (it says how a Function is applied)
from .gradients import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from .module import functional_call, replace_all_batch_norm_modules_, stack_module_state
from .rearrangement import rearrange
from .vmapping import vmap

__all__ = [
    "grad", "grad_and_value", "vmap", "replace_all_batch_norm_modules_", "functionalize", "hessian",
    "jacfwd", "jacrev", "jvp",
    "linearize", "vjp", "functional_call", "stack_module_state", "debug_unwrap", "rearrange",
]  # fmt: skip


def debug_unwrap(tensor: object, *, recurse: bool = True) -> object:
    """The plain tensor below one of a transform, without its graph, for looking at it inside."""
    from .batched import physical

    return physical(tensor).detach()


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """The function without the writes into its arguments that others could see while it runs.

    It works on copies; what it wrote into them is copied into the arguments at the end, argument by argument,
    so that results share no memory with arguments that were written to.

    Parameters
    ----------
    func : callable
        Takes and returns trees of tensors.
    remove : ``"mutations"`` or ``"mutations_and_views"``
        Which operators PyTorch takes out of a program; the values are the same.
    """
    if remove not in ("mutations", "mutations_and_views"):
        raise RuntimeError(
            f"functionalize(f, remove='mutations'): received invalid argument for remove={remove}."
            " Valid options are:\n     remove='mutations': all inplace and out= operators will be removed"
            " from the program, and replaced with their out-of-place equivalents.\n"
            "     remove='mutations_and_views': In addition to the above, all aliasing operators {view} will"
            " be replaced with their non-aliasing counterparts, {view}_copy.\n"
        )

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        from ..utils import _pytree as pytree

        given, spec = pytree.tree_flatten((args, kwargs))
        copies = [x.clone() if isinstance(x, Tensor) else x for x in given]
        pairs = [(x, c, c._version) for x, c in zip(given, copies) if isinstance(x, Tensor)]
        args, kwargs = pytree.tree_unflatten(copies, spec)
        result = func(*args, **kwargs)
        untouched = {}
        for x, copy, version in pairs:
            if copy._version == version:
                untouched[id(copy)] = x
            else:
                x.copy_(copy)
        return pytree.tree_map(lambda r: untouched.get(id(r), r), result)

    return wrapped
