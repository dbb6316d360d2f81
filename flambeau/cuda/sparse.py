"""The old classes of sparse tensors on a GPU."""

from ._old_types import tensors

globals().update(tensors(sparse=True))
