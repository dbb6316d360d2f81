"""`flambeau.func.functional_call` by the name of PyTorch's module."""

from flambeau.func import functional_call, stack_module_state

__all__ = ["functional_call", "stack_module_state"]
