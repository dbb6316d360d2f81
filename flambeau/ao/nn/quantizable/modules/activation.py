"""Attention of linear layers and functions, each of which can be observed."""

from __future__ import annotations

import warnings
from typing import Any, NoReturn

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.quantization.utils import STEPS
from flambeau.nn import functional as F
from flambeau.types import Device

__all__ = ["MultiheadAttention"]


def _as_bool(mask: Tensor | None, name: str) -> Tensor | None:
    if mask is not None and mask.dtype == fb.uint8:
        warnings.warn(
            f"Byte tensor for `{name}` in `nn.MultiheadAttention` is deprecated. Use bool tensor instead.",
            stacklevel=5,
        )
        return mask.to(fb.bool)
    return mask


class MultiheadAttention(nn.MultiheadAttention):
    """`nn.MultiheadAttention` whose parts can be observed; the arguments are the same."""

    _FLOAT_MODULE = nn.MultiheadAttention
    __constants__ = ["batch_first"]

    def __init__(
        self, embed_dim: int, num_heads: int, dropout: float = 0.0, bias: bool = True,
        add_bias_kv: bool = False, add_zero_attn: bool = False, kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False, device: Device = None, dtype: fb.dtype | None = None,
    ) -> None:  # fmt: skip
        from flambeau.ao.nn.quantized import FloatFunctional
        from flambeau.ao.quantization.stubs import DeQuantStub, QuantStub

        options = {"device": device, "dtype": dtype}
        super().__init__(
            embed_dim,
            num_heads,
            dropout,
            bias,
            add_bias_kv,
            add_zero_attn,
            kdim,
            vdim,
            batch_first,
            **options,
        )
        self.linear_Q = nn.Linear(embed_dim, embed_dim, bias=bias, **options)
        self.linear_K = nn.Linear(self.kdim, embed_dim, bias=bias, **options)
        self.linear_V = nn.Linear(self.vdim, embed_dim, bias=bias, **options)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias, **options)
        self.q_scaling_product = FloatFunctional()
        self.quant_attn_output = QuantStub()
        self.quant_attn_output_weights = QuantStub()
        self.dequant_q = DeQuantStub()
        self.dequant_k = DeQuantStub()
        self.dequant_v = DeQuantStub()

    def _get_name(self) -> str:
        return "QuantizableMultiheadAttention"

    @classmethod
    def from_float(cls, other: Any) -> MultiheadAttention:
        """The layer that takes the place of `nn.MultiheadAttention`, with observers."""
        if type(other) is not cls._FLOAT_MODULE:
            raise AssertionError(f"Expected type {cls._FLOAT_MODULE}, got {type(other)}")
        if not hasattr(other, "qconfig"):
            raise AssertionError("The float module must have 'qconfig'")
        made = cls(
            other.embed_dim, other.num_heads, other.dropout, other.in_proj_bias is not None,
            other.bias_k is not None, other.add_zero_attn, other.kdim, other.vdim, other.batch_first,
        )  # fmt: skip
        made.bias_k, made.bias_v, made.qconfig = other.bias_k, other.bias_v, other.qconfig
        made.out_proj.weight, made.out_proj.bias = other.out_proj.weight, other.out_proj.bias
        if other._qkv_same_embed_dim:
            weights = other.in_proj_weight.split(other.embed_dim)
        else:
            weights = other.q_proj_weight, other.k_proj_weight, other.v_proj_weight
        biases = [None] * 3 if other.in_proj_bias is None else other.in_proj_bias.split(other.embed_dim)
        for layer, weight, bias in zip((made.linear_Q, made.linear_K, made.linear_V), weights, biases):
            layer.weight = nn.Parameter(weight, weight.requires_grad)
            layer.bias = None if bias is None else nn.Parameter(bias, bias.requires_grad)
        made.eval()
        return STEPS["prepare"](made, inplace=True)

    def dequantize(self) -> nn.MultiheadAttention:
        """The plain layer of a quantized one."""
        q, k, v, out = (
            layer._weight_bias() for layer in (self.linear_Q, self.linear_K, self.linear_V, self.out_proj)
        )
        made = self._FLOAT_MODULE(
            self.embed_dim, self.num_heads, self.dropout, q[1] is not None, self.bias_k is not None,
            self.add_zero_attn, self.kdim, self.vdim, self.batch_first,
        )  # fmt: skip
        if made._qkv_same_embed_dim != self._qkv_same_embed_dim:
            raise AssertionError(
                f"_qkv_same_embed_dim mismatch: {made._qkv_same_embed_dim} != {self._qkv_same_embed_dim}"
            )
        for name in ("bias_k", "bias_v"):
            if getattr(self, name) is not None:
                setattr(made, name, nn.Parameter(getattr(self, name).dequantize()))
        made.out_proj.weight = nn.Parameter(out[0].dequantize())
        if out[1] is not None:
            made.out_proj.bias = nn.Parameter(out[1])
        weights = [w.dequantize() for w, _ in (q, k, v)]
        with fb.no_grad():
            if made._qkv_same_embed_dim:
                made.in_proj_weight.copy_(fb.cat(weights))
            else:
                for name, weight in zip(("q_proj_weight", "k_proj_weight", "v_proj_weight"), weights):
                    setattr(made, name, nn.Parameter(weight))
            if made.in_proj_bias is not None:
                made.in_proj_bias.copy_(fb.cat([b for _, b in (q, k, v)]))
        return made

    @classmethod
    def from_observed(cls, other: nn.Module) -> NoReturn:
        """Not of this class."""
        raise NotImplementedError(
            "It looks like you are trying to prepare an "
            "MHA module. Please, see "
            "the examples on quantizable MHAs."
        )

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        """Attend; arguments as those of `nn.MultiheadAttention`, without ``is_causal``."""
        return self._forward_impl(
            query, key, value, key_padding_mask, need_weights, attn_mask, average_attn_weights, is_causal
        )

    def _checked_mask(self, mask: Tensor | None, batch: int, queries: int, keys: int) -> Tensor | None:
        mask = _as_bool(mask, "attn_mask")
        if mask is None:
            return None
        if not mask.is_floating_point() and mask.dtype != fb.bool:
            raise AssertionError(f"Only float and bool types are supported for attn_mask, not {mask.dtype}")
        if mask.dim() == 2:
            mask, heads = mask.unsqueeze(0), 1
        elif mask.dim() == 3:
            heads = batch * self.num_heads
        else:
            raise RuntimeError(f"attn_mask's dimension {mask.dim()} is not supported")
        if list(mask.size()) != [heads, queries, keys]:
            raise RuntimeError(f"The size of the {2 if heads == 1 else 3}D attn_mask is not correct.")
        return mask

    def _forward_impl(
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None,
        need_weights: bool = True, attn_mask: Tensor | None = None, average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:  # fmt: skip
        if attn_mask is not None and is_causal:
            raise AssertionError("Only allow causal mask or attn_mask")
        if is_causal:
            raise AssertionError("causal mask not supported by AO MHA module")
        if self.batch_first:
            query, key, value = (x.transpose(0, 1) for x in (query, key, value))
        queries, batch, features = query.size()
        if self.embed_dim != features:
            raise AssertionError(f"embed_dim mismatch: {self.embed_dim} != {features}")
        if key.size()[:2] != value.size()[:2]:
            raise AssertionError(
                f"key and value size mismatch: key.size()={key.size()}, value.size()={value.size()}"
            )
        width = self.embed_dim // self.num_heads
        if width * self.num_heads != self.embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        q, k, v = self.linear_Q(query), self.linear_K(key), self.linear_V(value)
        q = self.q_scaling_product.mul_scalar(q, float(width) ** -0.5)
        mask = self._checked_mask(attn_mask, batch, queries, key.size(0))
        padding = _as_bool(key_padding_mask, "key_padding_mask")
        further = 0
        if self.bias_k is not None and self.bias_v is not None:
            k = fb.cat([k, self.bias_k.repeat(1, batch, 1)])
            v = fb.cat([v, self.bias_v.repeat(1, batch, 1)])
            further += 1

        def heads(x: Tensor) -> Tensor:
            return x.contiguous().view(-1, batch * self.num_heads, width).transpose(0, 1)

        q, k, v = heads(q), heads(k), heads(v)
        if padding is not None:
            if padding.size(0) != batch:
                raise AssertionError(f"key_padding_mask.size(0) must be {batch}, got {padding.size(0)}")
            if padding.size(1) + further != k.size(1):
                raise AssertionError(
                    f"key_padding_mask.size(1) must be {k.size(1)}, got {padding.size(1) + further}"
                )
        if self.add_zero_attn:
            k, v = (self._with_zeros(x) for x in (k, v))
            further += 1
        if further and mask is not None:
            mask = F.pad(mask, (0, further))
        if further and padding is not None:
            padding = F.pad(padding, (0, further))
        q, k, v = self.dequant_q(q), self.dequant_k(k), self.dequant_v(v)
        weights = fb.bmm(q, k.transpose(1, 2))
        if mask is not None:
            weights = weights.masked_fill(mask, float("-inf")) if mask.dtype == fb.bool else weights + mask
        keys = weights.size(2)
        if padding is not None:
            each = weights.view(batch, self.num_heads, queries, keys)
            each = each.masked_fill(padding.unsqueeze(1).unsqueeze(2), float("-inf"))
            weights = each.view(batch * self.num_heads, queries, keys)
        weights = F.dropout(F.softmax(weights, dim=-1), p=self.dropout, training=self.training)
        result = fb.bmm(weights, v)
        if self.batch_first:  # so PyTorch does it: heads and places are not exchanged
            result = result.view(batch, queries, self.embed_dim)
        else:
            result = result.transpose(0, 1).contiguous().view(queries, batch, self.embed_dim)
        result = self.out_proj(self.quant_attn_output(result))
        weights = self.quant_attn_output_weights(weights)
        if not need_weights:
            return result, None
        weights = weights.view(batch, self.num_heads, queries, keys)
        return result, weights.mean(dim=1) if average_attn_weights else weights

    def _with_zeros(self, x: Tensor) -> Tensor:
        zeros = fb.zeros((x.size(0), 1, x.size(2)))
        if x.is_quantized:
            zeros = fb.quantize_per_tensor(zeros, x.q_scale(), x.q_zero_point(), x.dtype)
        return fb.cat([x, zeros], dim=1)
