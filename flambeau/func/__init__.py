"""Function transforms: derivatives and batching of functions of tensors."""

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


def functionalize(func: object, *, remove: str = "mutations") -> object:
    """Not there: flambeau records in-place operations as they are."""
    raise NotImplementedError("flambeau.func.functionalize is not there yet")
