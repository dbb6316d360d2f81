"""Tables of vectors with fake quantization."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn.qat.modules._from_float import (
    checked_qconfig,
    needs_float_zeros,
    needs_qconfig,
    parameter,
)
from flambeau.nn import functional as F
from flambeau.types import Device

__all__ = ["Embedding", "EmbeddingBag"]


class _Table:
    """What they share."""

    _FLOAT_MODULE: type[nn.Module]
    _KIND = ""
    # attributes in the order of the arguments; ``weight`` stands for ``_weight``
    _ARGUMENTS: tuple[str, ...] = ()

    def _fake(self, qconfig: Any, options: dict[str, Any]) -> None:
        needs_qconfig(qconfig)
        needs_float_zeros(qconfig, self._KIND)
        self.qconfig = qconfig
        self.weight_fake_quant = qconfig.weight(factory_kwargs=options)

    @classmethod
    def from_float(cls, mod: nn.Module, use_precomputed_fake_quant: bool = False) -> Any:
        """The table that takes the place of `mod`, which has a ``qconfig``."""
        if type(mod) is not cls._FLOAT_MODULE:
            raise AssertionError(
                f" qat.{cls.__name__}.from_float only works for {cls._FLOAT_MODULE.__name__}"
            )
        qconfig = checked_qconfig(mod)
        needs_float_zeros(qconfig, cls._KIND)
        return cls(*(getattr(mod, name) for name in cls._ARGUMENTS), qconfig=qconfig)

    def to_float(self) -> nn.Module:
        """The table without fake quantization."""
        made = self._FLOAT_MODULE(
            *(None if name == "weight" else getattr(self, name) for name in self._ARGUMENTS)
        )
        made.weight = parameter(self.weight)
        made.train(self.training)
        return made


class Embedding(_Table, nn.Embedding):
    """`nn.Embedding` with fake quantization; `qconfig` says how."""

    _FLOAT_MODULE = nn.Embedding
    _KIND = "Embedding"
    _ARGUMENTS = (
        "num_embeddings", "embedding_dim", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq",
        "sparse", "weight",
    )  # fmt: skip

    def __init__(
        self, num_embeddings: int, embedding_dim: int, padding_idx: int | None = None,
        max_norm: float | None = None, norm_type: float = 2.0, scale_grad_by_freq: bool = False,
        sparse: bool = False, _weight: Tensor | None = None, device: Device = None,
        dtype: fb.dtype | None = None, qconfig: Any = None,
    ) -> None:  # fmt: skip
        options = {"device": device, "dtype": dtype}
        super().__init__(
            num_embeddings, embedding_dim, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse,
            _weight, **options,
        )  # fmt: skip
        self._fake(qconfig, options)

    def forward(self, input: Tensor) -> Tensor:
        """Vectors as quantization changes them."""
        return F.embedding(
            input, self.weight_fake_quant(self.weight), self.padding_idx, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.sparse,
        )  # fmt: skip


class EmbeddingBag(_Table, nn.EmbeddingBag):
    """`nn.EmbeddingBag` with fake quantization; `qconfig` says how."""

    _FLOAT_MODULE = nn.EmbeddingBag
    _KIND = "Embedding Bag"
    _ARGUMENTS = (
        "num_embeddings", "embedding_dim", "max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse",
        "weight", "include_last_offset", "padding_idx",
    )  # fmt: skip

    def __init__(
        self, num_embeddings: int, embedding_dim: int, max_norm: float | None = None, norm_type: float = 2.0,
        scale_grad_by_freq: bool = False, mode: str = "mean", sparse: bool = False,
        _weight: Tensor | None = None, include_last_offset: bool = False, padding_idx: int | None = None,
        qconfig: Any = None, device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        options = {"device": device, "dtype": dtype}
        super().__init__(
            num_embeddings, embedding_dim, max_norm, norm_type, scale_grad_by_freq, mode, sparse, _weight,
            include_last_offset, padding_idx, **options,
        )  # fmt: skip
        self._fake(qconfig, options)

    def forward(
        self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        """Sums, means or maxima of vectors as quantization changes them."""
        return F.embedding_bag(
            input, self.weight_fake_quant(self.weight), offsets, self.max_norm, self.norm_type,
            self.scale_grad_by_freq, self.mode, self.sparse, per_sample_weights, self.include_last_offset,
            self.padding_idx,
        )  # fmt: skip
