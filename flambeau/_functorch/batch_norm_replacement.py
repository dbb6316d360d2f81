"""`flambeau.func.replace_all_batch_norm_modules_` by the name of PyTorch's module."""

from flambeau.func import replace_all_batch_norm_modules_

__all__ = ["replace_all_batch_norm_modules_"]
