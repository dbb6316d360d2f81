"""Operators of ``torch.ops.quantized`` for embeddings whose rows are quantized each by itself."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from .library import operator
from .packed import EmbeddingPacked, checked

__all__: list[str] = []
_BAG = (
    "Tensor indices, Tensor? offsets=None, bool scale_grad_by_freq=False, int mode=0, bool "
    "pruned_weights=False,"
    " Tensor? per_sample_weights=None, Tensor? compressed_indices_mapping=None, bool "
    "include_last_offset=False)"
    " -> Tensor"
)


@operator("embedding_bag_prepack(Tensor weight) -> EmbeddingPacked W_prepack")
def embedding_bag_prepack(weight: Any) -> EmbeddingPacked:
    """The weight prepared."""
    return EmbeddingPacked(weight)


@operator("embedding_bag_unpack(EmbeddingPacked W_prepack) -> Tensor W_origin")
def embedding_bag_unpack(W_prepack: Any) -> Any:
    """The weight."""
    return checked(W_prepack, EmbeddingPacked).unpack()


@operator(
    "embedding_byte(EmbeddingPacked weight, Tensor indices, bool pruned_weights=False) -> Tensor",
    "embedding_4bit(EmbeddingPacked weight, Tensor indices, bool pruned_weights=False) -> Tensor",
)
def embedding(weight: Any, indices: fb.Tensor, pruned_weights: bool = False) -> fb.Tensor:
    """The rows of indices."""
    return checked(weight, EmbeddingPacked).rows(indices)


def _bag(
    rows: fb.Tensor, indices: fb.Tensor, offsets: Any, per_sample_weights: Any, include_last_offset: bool
) -> fb.Tensor:
    """Sums of the rows of each bag; `rows` are those of `indices`, one after the other."""
    if offsets is None:
        if indices.dim() != 2:
            raise ValueError("embedding_bag of one line of indices needs offsets")
        offsets = fb.arange(0, indices.numel(), indices.shape[1])
        include_last_offset = False
    own = fb.arange(rows.shape[0])
    return fb.nn.functional.embedding_bag(
        own, rows, offsets.to(fb.int64), mode="sum", include_last_offset=include_last_offset,
        per_sample_weights=None if per_sample_weights is None else per_sample_weights.reshape(-1).float(),
    )  # fmt: skip


def _check(pruned: bool, mapping: Any) -> None:
    if pruned and mapping is not None and mapping.numel() > 1:
        raise NotImplementedError("flambeau has no pruned quantized embeddings")


@operator(
    f"embedding_bag_byte(EmbeddingPacked weight, {_BAG}", f"embedding_bag_4bit(EmbeddingPacked weight, {_BAG}"
)
def embedding_bag(
    weight: Any, indices: fb.Tensor, offsets: Any = None, scale_grad_by_freq: bool = False, mode: int = 0,
    pruned_weights: bool = False, per_sample_weights: Any = None, compressed_indices_mapping: Any = None,
    include_last_offset: bool = False,
) -> fb.Tensor:  # fmt: skip
    """Sums of rows."""
    _check(pruned_weights, compressed_indices_mapping)
    rows = checked(weight, EmbeddingPacked).rows(indices.reshape(-1))
    return _bag(rows, indices, offsets, per_sample_weights, include_last_offset)


# ---------------------------------------------------------------- rows with their scale behind them, in bytes
def _as_bytes(x: fb.Tensor) -> fb.Tensor:
    return x.contiguous().view(fb.uint8)


@operator("embedding_bag_byte_prepack(Tensor weight) -> Tensor")
def embedding_bag_byte_prepack(weight: fb.Tensor) -> fb.Tensor:
    """Rows of bytes, each with its scale and least number as float32 behind it."""
    low, high = weight.amin(-1, keepdim=True), weight.amax(-1, keepdim=True)
    span = high - low
    codes = ((weight - low) * (255.0 / (span + 1e-8))).round_().to(fb.uint8)
    return fb.cat([codes, _as_bytes(span / 255.0), _as_bytes(low)], -1)


@operator("embedding_bag_byte_unpack(Tensor weight) -> Tensor")
def embedding_bag_byte_unpack(weight: fb.Tensor) -> fb.Tensor:
    """The numbers of such rows."""
    count = weight.shape[-1] - 8
    tail = weight[..., count:].contiguous().view(fb.float32)
    product = weight[..., :count].to(fb.float64) * tail[..., :1]
    return product.add_(tail[..., 1:]).to(fb.float32)


def _few_bits(weight: fb.Tensor, bits: int, optimized: bool, bins: int, ratio: float) -> fb.Tensor:
    """Rows of `bits` bits, each with its scale and least number as float16 behind it."""
    if weight.dim() != 2:
        raise RuntimeError("the weight of an embedding has two dimensions")
    per_byte, top = 8 // bits, 2**bits - 1
    if weight.shape[1] % per_byte:
        raise RuntimeError(
            f"qembeddingbag_{bits}bit_prepack only works for the number of columns a multiple of {per_byte}"
        )
    if optimized:
        ends = [fb.choose_qparams_optimized(row, row.numel(), bins, ratio, bits) for row in weight]
        high, low = (fb.cat(e).reshape(-1, 1) for e in zip(*ends))
    else:
        low, high = weight.amin(-1, keepdim=True), weight.amax(-1, keepdim=True)
    low = low.to(fb.float16).to(fb.float32)
    span = high - low
    scale = fb.where(span == 0, 1.0, span / top).to(fb.float16).to(fb.float32)
    scale = fb.where(scale == 0, 1.0, scale)
    gone = fb.isinf(1.0 / scale)
    scale = fb.where(gone, 1.0, scale)
    codes = ((weight - low) * (1.0 / scale)).round_().clamp_(0, top).to(fb.int32)
    shifts = fb.arange(per_byte, dtype=fb.int32) * bits
    data = (codes.reshape(codes.shape[0], -1, per_byte) << shifts).sum(-1).to(fb.uint8)
    return fb.cat([data, _as_bytes(scale.to(fb.float16)), _as_bytes(low.to(fb.float16))], -1)


def _unpack_few(weight: fb.Tensor, bits: int) -> fb.Tensor:
    per_byte, count = 8 // bits, weight.shape[-1] - 4
    tail = weight[:, count:].contiguous().view(fb.float16).to(fb.float32)
    shifts = fb.arange(per_byte, dtype=fb.int32) * bits
    codes = (weight[:, :count, None].to(fb.int32) >> shifts) & (2**bits - 1)
    product = codes.flatten(1).to(fb.float64) * tail[:, :1]
    return product.add_(tail[:, 1:]).to(fb.float32)


_FEW = "bool optimized_qparams=False, int nbins=200, float ratio=0.16) -> Tensor"


@operator(f"embedding_bag_4bit_prepack(Tensor weight, {_FEW}")
def embedding_bag_4bit_prepack(
    weight: fb.Tensor, optimized_qparams: bool = False, nbins: int = 200, ratio: float = 0.16
) -> fb.Tensor:
    """Rows of four bits."""
    return _few_bits(weight, 4, optimized_qparams, nbins, ratio)


@operator(f"embedding_bag_2bit_prepack(Tensor weight, {_FEW}")
def embedding_bag_2bit_prepack(
    weight: fb.Tensor, optimized_qparams: bool = False, nbins: int = 200, ratio: float = 0.16
) -> fb.Tensor:
    """Rows of two bits."""
    return _few_bits(weight, 2, optimized_qparams, nbins, ratio)


@operator("embedding_bag_4bit_unpack(Tensor weight) -> Tensor")
def embedding_bag_4bit_unpack(weight: fb.Tensor) -> fb.Tensor:
    """The numbers of rows of four bits."""
    return _unpack_few(weight, 4)


@operator("embedding_bag_2bit_unpack(Tensor weight) -> Tensor")
def embedding_bag_2bit_unpack(weight: fb.Tensor) -> fb.Tensor:
    """The numbers of rows of two bits."""
    return _unpack_few(weight, 2)


def _enter_bags() -> None:
    unpacks = {
        "byte": embedding_bag_byte_unpack,
        "4bit": embedding_bag_4bit_unpack,
        "2bit": embedding_bag_2bit_unpack,
    }
    for kind, unpack in unpacks.items():

        def bag(
            weight: Any, indices: fb.Tensor, offsets: Any = None, scale_grad_by_freq: bool = False,
            mode: int = 0, pruned_weights: bool = False, per_sample_weights: Any = None,
            compressed_indices_mapping: Any = None, include_last_offset: bool = False, unpack: Any = unpack,
        ) -> fb.Tensor:  # fmt: skip
            _check(pruned_weights, compressed_indices_mapping)
            rows = unpack(weight[indices.reshape(-1)])
            return _bag(rows, indices, offsets, per_sample_weights, include_last_offset)

        operator(f"embedding_bag_{kind}_rowwise_offsets(Tensor weight, {_BAG}")(bag)


_enter_bags()
