"""How a linear layer and its cross entropy are computed in pieces."""

import dataclasses

import flambeau as fb

__all__ = ["LinearCrossEntropyOptions"]


@dataclasses.dataclass
class LinearCrossEntropyOptions:
    """Asks :func:`~flambeau.nn.functional.linear_cross_entropy` not to hold the logits of the whole batch.

    Parameters
    ----------
    allow_retain_graph : bool
        Whether a backward may be run twice (it always may here).
    batch_chunk_size : int, optional
        Rows a piece; chosen from the sizes by default.
    chunking_method : str, optional
        How the size is chosen; "auto" makes the logits of a piece as large as the input.
    acc_policy, acc_dtype
        Precision of sums over pieces; sums here are exact to the dtype of the loss.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: "fb.dtype | None" = None
