"""How a linear layer and its cross entropy are computed in pieces."""

import flambeau as fb

__all__ = ["LinearCrossEntropyOptions"]


class LinearCrossEntropyOptions:
    """Asks :func:`~flambeau.nn.functional.linear_cross_entropy` not to hold the logits of the whole batch.

    Parameters
    ----------
    allow_retain_graph : bool
        Whether a backward may be run twice (it always may here).
    batch_chunk_size : int, optional
        Rows a piece; chosen from the sizes by default.
    chunking_method : str, optional
        How the size is chosen: "auto", or "aspect_ratio:k", both from the ratio of features to classes.
    acc_policy, acc_dtype
        Precision of sums over pieces; sums here are exact to the dtype of the loss.
    """

    def __init__(
        self, allow_retain_graph: bool = False, batch_chunk_size: int | None = None,
        chunking_method: str | None = "auto", acc_policy: str = "auto", acc_dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        if batch_chunk_size is not None and not (isinstance(batch_chunk_size, int) and batch_chunk_size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {batch_chunk_size}")
        method, _, number = (chunking_method or "auto").partition(":")
        sized = method == "aspect_ratio" and (not number or (number.isdecimal() and int(number) > 0))
        if chunking_method not in (None, "auto") and not sized:
            raise ValueError(f"invalid chunking_method: {chunking_method!r}")
        if acc_policy not in ("accurate", "balanced", "compact", "auto"):
            raise ValueError(f"invalid acc_policy: {acc_policy!r}")
        self.allow_retain_graph = allow_retain_graph
        self.batch_chunk_size = batch_chunk_size
        self.chunking_method = chunking_method
        self.acc_policy = acc_policy
        self.acc_dtype = acc_dtype

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{k}={v!r}' for k, v in self.__dict__.items())})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and other.__dict__ == self.__dict__

    __hash__ = None
