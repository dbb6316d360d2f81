"""Look-ups in tables: embeddings and bags of embeddings."""

import warnings

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.functional._core import op, publish

one_hot = op("one_hot")


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` that `input` names.

    Parameters
    ----------
    input : integer Tensor of any shape
    weight : Tensor of shape (V, D)
    padding_idx : int, optional
        A row that gets no gradient.
    max_norm, norm_type : float
        Rows used here are first scaled down, in place, to a `norm_type`-norm of at most `max_norm`.
    scale_grad_by_freq : bool
        Divide gradients by how often a row is used.
    sparse : bool
        Give the weight a sparse gradient.
    """
    if padding_idx is None:
        padding_idx = -1
    else:
        rows = weight.size(0)
        if not -rows <= padding_idx < rows:
            raise AssertionError("Padding_idx must be within num_embeddings")
        if padding_idx < 0:
            padding_idx += rows
    if max_norm is not None:
        input = input.contiguous()
        with fb.no_grad():
            fb.embedding_renorm_(weight, input, max_norm, norm_type)
    return fb.embedding(weight, input, padding_idx, scale_grad_by_freq, sparse)


_MODES = {"sum": 0, "mean": 1, "max": 2}


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of `weight`, without the rows themselves in memory.

    Parameters
    ----------
    input : integer Tensor
        Of shape (B, N): B bags of N rows; of shape (N,): bags that start at `offsets`.
    weight : Tensor of shape (V, D)
    offsets : integer Tensor of shape (B,), optional
    mode : {"sum", "mean", "max"}
    per_sample_weights : Tensor like input, optional
        Factors of the rows; for ``mode="sum"`` only.
    include_last_offset : bool
        Whether `offsets` ends with the length of `input`.
    padding_idx : int, optional
        A row that does not count.
    """
    if weight.dtype == fb.long and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag(weight, input, "
            "...)` is deprecated, and should now be `embedding_bag(input, weight, ...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, "
            f"then it must have the same shape as the input ({input.shape})"
        )
    if not weight.dim() == 2:
        raise ValueError(f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}")
    input, offsets, per_sample_weights = _as_flat_bags(
        input, offsets, per_sample_weights, include_last_offset
    )
    code = _MODES.get(mode)
    if code is None:
        raise ValueError("mode has to be one of sum, mean or max")
    if mode == "max":
        if scale_grad_by_freq:
            raise ValueError("max mode does not support scaling the gradient by the frequency")
        if sparse:
            raise ValueError("max mode does not support sparse weights")
    if max_norm is not None:
        with fb.no_grad():
            fb.embedding_renorm_(weight, input, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported for "
            f"mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    return fb.embedding_bag(
        weight,
        input,
        offsets,
        scale_grad_by_freq,
        code,
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )[0]


def _as_flat_bags(
    input: Tensor, offsets: Tensor | None, per_sample_weights: Tensor | None, with_end: bool
) -> tuple:
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch of fixed "
                f"length sequences. However, found offsets of type {type(offsets)}"
            )
        end = input.numel() + 1 if with_end else input.numel()
        offsets = fb.arange(0, end, input.size(1), dtype=input.dtype, device=input.device)
        if per_sample_weights is not None:
            per_sample_weights = per_sample_weights.reshape(-1)
        return input.reshape(-1), offsets, per_sample_weights
    if input.dim() != 1:
        raise ValueError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}")
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    return input, offsets, per_sample_weights


publish(globals())
