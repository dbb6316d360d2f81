"""Functions whose exports take sizes from the graph."""

import flambeau as fb

__all__ = ["reshape_from_tensor_shape", "shape_as_tensor"]


def shape_as_tensor(x: fb.Tensor) -> fb.Tensor:
    """The sizes as a tensor."""
    return fb._shape_as_tensor(x)


def reshape_from_tensor_shape(x: fb.Tensor, shape: fb.Tensor) -> fb.Tensor:
    """`x` in the shape that a tensor of sizes says."""
    return x.reshape([int(s) for s in shape.tolist()])
