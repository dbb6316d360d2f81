"""Embeddings whose rows are quantized each by itself; what they give are numbers."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import nn

from .utils import quantized_weight

__all__ = ["Embedding", "EmbeddingBag", "EmbeddingPackedParams"]


class EmbeddingPackedParams(nn.Module):
    """The rows of an embedding, prepared; in state dicts they are as they were."""

    _version = 1

    def __init__(self, num_embeddings: int, embedding_dim: int, dtype: fb.dtype = fb.quint8) -> None:
        super().__init__()
        self.dtype = dtype
        if dtype not in (fb.quint8, fb.quint4x2):
            raise NotImplementedError(
                f"Unsupported dtype on quantized embedding! Supports quint8 and quint4x2. Got dtype: {dtype}"
            )
        wq = fb._empty_per_channel_affine_quantized(
            [num_embeddings, embedding_dim],
            scales=fb.ones(num_embeddings, dtype=fb.float),
            zero_points=fb.zeros(num_embeddings, dtype=fb.float),
            axis=0,
            dtype=dtype,
        )
        self.set_weight(wq)

    def set_weight(self, weight: Any) -> None:
        """Prepare other rows."""
        self._packed_weight = fb.ops.quantized.embedding_bag_prepack(weight)

    def _weight(self) -> Any:
        return self._packed_weight.unpack()

    def forward(self, x: Any) -> Any:
        """The argument."""
        return x

    def _save_to_state_dict(self, destination: dict, prefix: str, keep_vars: bool) -> None:
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "dtype"] = self.dtype
        destination[prefix + "_packed_weight"] = self._weight()

    def _load_from_state_dict(
        self, state_dict: dict, prefix: str, local_metadata: dict, strict: bool, missing_keys: list,
        unexpected_keys: list, error_msgs: list,
    ) -> None:  # fmt: skip
        self.dtype = state_dict.pop(prefix + "dtype")
        self.set_weight(state_dict.pop(prefix + "_packed_weight"))
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, False, missing_keys, unexpected_keys, error_msgs
        )

    def __repr__(self) -> str:
        return repr(self._weight())


class Embedding(nn.Module):
    """The rows of indices.

    Parameters
    ----------
    num_embeddings, embedding_dim : sizes.
    dtype : quint8 or quint4x2.
    """

    _version = 1
    _FLOAT_MODULE: type = nn.Embedding

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Any = None, dtype: fb.dtype = fb.quint8,
    ) -> None:  # fmt: skip
        super().__init__()
        self.num_embeddings, self.embedding_dim, self.dtype = num_embeddings, embedding_dim, dtype
        self._packed_params = EmbeddingPackedParams(num_embeddings, embedding_dim, dtype)
        if _weight is not None:
            if list(_weight.shape) != [num_embeddings, embedding_dim]:
                raise AssertionError("Shape of weight does not match num_embeddings and embedding_dim")
            self._packed_params.set_weight(_weight)

    def forward(self, indices: fb.Tensor) -> fb.Tensor:
        """The rows."""
        op = "embedding_4bit" if self.dtype == fb.quint4x2 else "embedding_byte"
        return getattr(fb.ops.quantized, op)(self._packed_params._packed_weight, indices)

    def _get_name(self) -> str:
        return "QuantizedEmbedding"

    def __repr__(self) -> str:
        return f"{self._get_name()}({self.extra_repr()})"

    def extra_repr(self) -> str:
        """Sizes and how the rows are quantized."""
        return (
            f"num_embeddings={self.num_embeddings}, embedding_dim={self.embedding_dim}, "
            f"dtype={self._packed_params.dtype}, qscheme={self.weight().qscheme()}"
        )

    def set_weight(self, w: Any) -> None:
        """Other rows."""
        self._packed_params.set_weight(w)

    def weight(self) -> Any:
        """The quantized rows."""
        return self._packed_params._weight()

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The layer of a float one with a ``qconfig``, or of one trained with rounding acted out."""
        if hasattr(mod, "weight_fake_quant"):
            observer = mod.weight_fake_quant
        else:
            if type(mod) is not cls._FLOAT_MODULE:
                raise AssertionError(
                    f"nnq.{cls.__name__}.from_float only works for {cls._FLOAT_MODULE.__name__}, got "
                    f"{type(mod)}"
                )
            if not hasattr(mod, "qconfig"):
                raise AssertionError(
                    f"{cls._FLOAT_MODULE.__name__} input float module must have qconfig defined"
                )
            if mod.qconfig is not None and mod.qconfig.weight is not None:
                observer = mod.qconfig.weight()
            else:
                from flambeau.ao.quantization.qconfig import float_qparams_weight_only_qconfig

                observer = float_qparams_weight_only_qconfig.weight()
        if observer.dtype not in (fb.quint8, fb.quint4x2):
            raise AssertionError(
                f"The only supported dtype for nnq.{cls.__name__} is torch.quint8 and torch.quint4x2, got "
                f"{observer.dtype}"
            )
        if not (use_precomputed_fake_quant and hasattr(mod, "weight_fake_quant")):
            observer(mod.weight)
        if observer.qscheme != fb.per_channel_affine_float_qparams:
            raise AssertionError(
                "Embedding quantization is only supported with float_qparams_weight_only_qconfig."
            )
        made = cls(mod.num_embeddings, mod.embedding_dim, dtype=observer.dtype, **cls._more(mod))
        made.set_weight(quantized_weight(mod.weight, observer))
        return made

    @classmethod
    def _more(cls, mod: nn.Module) -> dict:
        return {}

    @classmethod
    def from_reference(cls, ref_embedding: nn.Module) -> Any:
        """The layer of a reference layer."""
        weight = ref_embedding.get_quantized_weight()
        more = cls._more(ref_embedding)
        return cls(ref_embedding.num_embeddings, ref_embedding.embedding_dim, _weight=weight,
                   dtype=ref_embedding.weight_dtype, **more)  # fmt: skip


class EmbeddingBag(Embedding):
    """Sums of the rows of bags of indices."""

    _FLOAT_MODULE = nn.EmbeddingBag

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "sum", sparse: bool = False, _weight: Any = None,
        include_last_offset: bool = False, dtype: fb.dtype = fb.quint8,
    ) -> None:  # fmt: skip
        super().__init__(num_embeddings, embedding_dim, _weight=_weight, dtype=dtype)
        self.mode, self.pruned_weights, self.include_last_offset = mode, False, include_last_offset

    def forward(
        self, indices: fb.Tensor, offsets: Any = None, per_sample_weights: Any = None,
        compressed_indices_mapping: Any = None,
    ) -> fb.Tensor:  # fmt: skip
        """The sums."""
        op = "embedding_bag_4bit" if self.dtype == fb.quint4x2 else "embedding_bag_byte"
        return getattr(fb.ops.quantized, op)(
            self._packed_params._packed_weight, indices, offsets, False, 0, self.pruned_weights,
            per_sample_weights, compressed_indices_mapping, self.include_last_offset,
        )  # fmt: skip

    def _get_name(self) -> str:
        return "QuantizedEmbeddingBag"

    @classmethod
    def _more(cls, mod: nn.Module) -> dict:
        return {"mode": mod.mode, "include_last_offset": mod.include_last_offset}
