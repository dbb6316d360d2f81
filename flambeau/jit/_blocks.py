"""Layers of several steps as TorchScript writes them: recurrent layers, attention, the transformer's.

Each entry of ``BLOCKS`` gives the arguments and statements of ``forward`` for one module; the forwards of its
children are written beside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import flambeau as fb

Block = Callable[[Any], tuple[str, str, str]]  # of a module: arguments, type of the result, statements


def _recurrent(module: Any) -> tuple[str, str, str]:
    """A batch of sequences."""
    kind = type(module).__name__
    if module.proj_size:
        raise NotImplementedError("a recurrent layer with proj_size")
    layers = module.num_layers * (2 if module.bidirectional else 1)
    batch = "torch.size(input, 0)" if module.batch_first else "torch.size(input, 1)"
    zeros = (
        f"torch.zeros([{layers}, {batch}, {module.hidden_size}], dtype=ops.prim.dtype(input), "
        "device=ops.prim.device(input))"
    )
    state = "Tuple[Tensor, Tensor]" if kind == "LSTM" else "Tensor"
    weights = ", ".join(f"self.{n}" for n in module._flat_weights_names)
    numbers = (
        f"[{weights}], {module.bias}, {module.num_layers}, {module.dropout}, self.training, "
        f"{module.bidirectional}, {module.batch_first}"
    )
    if kind == "LSTM":
        made, known = (
            f"h, c = {zeros}, {zeros}",
            f"given = unchecked_cast({state}, hx)\n  h, c = given[0], given[1]",
        )
        run = f"y, a, b = torch.lstm(input, [h, c], {numbers})\nreturn (y, (a, b))"
    else:
        made, known = f"h = {zeros}", "h = unchecked_cast(Tensor, hx)"
        run = f"y, a = torch.gru(input, h, {numbers})\nreturn (y, a)"
    statements = f"""
if torch.ne(torch.dim(input), 3):
  ops.prim.RaiseException("{kind}: a batch of sequences is expected", "builtins.RuntimeError")
else:
  pass
if torch.__is__(hx, None):
  {made}
else:
  {known}
{run}
"""
    return f"input: Tensor, hx: Optional[{state}]=None", f"Tuple[Tensor, {state}]", statements


def _attention(module: Any) -> tuple[str, str, str]:
    """A batch of queries; additive masks, and those of booleans as minus infinity."""
    if module.bias_k is not None or module.add_zero_attn:
        raise NotImplementedError("attention with add_bias_kv or add_zero_attn")
    width, heads = module.embed_dim, module.num_heads
    head = width // heads
    if module._qkv_same_embed_dim:
        weights = [f"torch.slice(self.in_proj_weight, 0, {width * i}, {width * (i + 1)})" for i in range(3)]
    else:
        weights = [f"self.{n}_proj_weight" for n in "qkv"]
    bias = module.in_proj_bias is not None
    biases = [
        f"torch.slice(self.in_proj_bias, 0, {width * i}, {width * (i + 1)})" if bias else "None"
        for i in range(3)
    ]
    turn = "" if module.batch_first else "query, key, value = " + ", ".join(
        f"torch.transpose({n}, 0, 1)" for n in ("query", "key", "value")
    )  # fmt: skip
    parts = "\n".join(
        f"{n} = torch.linear({source}, {w}, {b})\n"
        f"{n} = torch.transpose(torch.view({n}, [batch, -1, {heads}, {head}]), 1, 2)"
        for n, source, w, b in zip("qkv", ("query", "key", "value"), weights, biases)
    )
    back = "" if module.batch_first else "out = torch.transpose(out, 0, 1)"
    statements = f"""
if torch.ne(torch.dim(query), 3):
  ops.prim.RaiseException("MultiheadAttention: a batch is expected", "builtins.RuntimeError")
else:
  pass
{turn}
batch = torch.size(query, 0)
length = torch.size(query, 1)
{parts}
mask = torch.zeros([batch, 1, 1, torch.size(k, 2)], dtype=ops.prim.dtype(q), device=ops.prim.device(q))
if torch.__isnot__(key_padding_mask, None):
  padding = unchecked_cast(Tensor, key_padding_mask)
  padding = torch.view(padding, [batch, 1, 1, torch.size(padding, 1)])
  if torch.eq(ops.prim.dtype(padding), 11):
    mask = torch.masked_fill(mask, padding, float("-inf"))
  else:
    mask = torch.add(mask, padding)
else:
  pass
if torch.__isnot__(attn_mask, None):
  given = unchecked_cast(Tensor, attn_mask)
  if torch.eq(torch.dim(given), 3):
    given = torch.view(given, [batch, {heads}, torch.size(given, 1), torch.size(given, 2)])
  else:
    pass
  if torch.eq(ops.prim.dtype(given), 11):
    mask = torch.masked_fill(mask, given, float("-inf"))
  else:
    mask = torch.add(mask, given)
else:
  pass
weights = annotate(Optional[Tensor], None)
if need_weights:
  scores = torch.add(torch.matmul(torch.mul(q, {1 / math.sqrt(head)}), torch.transpose(k, 2, 3)), mask)
  shares = torch.dropout(torch.softmax(scores, -1), {module.dropout}, self.training)
  out = torch.matmul(shares, v)
  if average_attn_weights:
    weights = torch.mean(shares, [1])
  else:
    weights = shares
else:
  if self.training:
    rate = {module.dropout}
  else:
    rate = 0.0
  out = torch.scaled_dot_product_attention(q, k, v, mask, rate)
out = torch.reshape(torch.transpose(out, 1, 2), [batch, length, {width}])
out = torch.linear(out, self.out_proj.weight, self.out_proj.bias)
{back}
return (out, weights)
"""
    arguments = (
        "query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Optional[Tensor]=None, "
        "need_weights: bool=True, attn_mask: Optional[Tensor]=None, average_attn_weights: bool=True, "
        "is_causal: bool=False"
    )
    return arguments, "Tuple[Tensor, Optional[Tensor]]", statements


def _feed_forward(module: Any, source: str) -> str:
    activation = module.activation
    if activation in (fb.nn.functional.relu, fb.relu) or isinstance(activation, fb.nn.ReLU):
        inner = "torch.relu({})"
    elif activation is fb.nn.functional.gelu or (
        isinstance(activation, fb.nn.GELU) and activation.approximate == "none"
    ):
        inner = "torch.gelu({})"
    else:
        raise NotImplementedError("a transformer layer whose activation is neither relu nor gelu")
    dropped = f"self.dropout.forward({inner.format(f'self.linear1.forward({source})')})"
    return f"self.linear2.forward({dropped})"


def _sublayers(module: Any, parts: list[tuple[str, Callable[[str], str]]]) -> str:
    """Residual steps: each a norm, a dropout and what the step computes of its input."""
    lines = []
    for i, (norm, compute) in enumerate(parts, 1):
        if module.norm_first:
            lines += [
                f"y{i} = self.{norm}.forward(x)",
                f"x = torch.add(x, self.dropout{i}.forward({compute(f'y{i}')}))",
            ]
        else:
            lines.append(f"x = self.{norm}.forward(torch.add(x, self.dropout{i}.forward({compute('x')})))")
    return "\n".join([*lines, "return x"])


def _encoder_layer(module: Any) -> tuple[str, str, str]:
    def attend(x: str) -> str:
        return f"self.self_attn.forward({x}, {x}, {x}, src_key_padding_mask, False, src_mask)[0]"

    steps = _sublayers(module, [("norm1", attend), ("norm2", lambda x: _feed_forward(module, x))])
    masks = "src_mask: Optional[Tensor]=None, src_key_padding_mask: Optional[Tensor]=None"
    return f"src: Tensor, {masks}, is_causal: bool=False", "Tensor", f"x = src\n{steps}"


def _decoder_layer(module: Any) -> tuple[str, str, str]:
    def attend(x: str) -> str:
        return f"self.self_attn.forward({x}, {x}, {x}, tgt_key_padding_mask, False, tgt_mask)[0]"

    def look(x: str) -> str:
        rest = "memory, memory, memory_key_padding_mask, False, memory_mask"
        return f"self.multihead_attn.forward({x}, {rest})[0]"

    forward = ("norm3", lambda x: _feed_forward(module, x))
    steps = _sublayers(module, [("norm1", attend), ("norm2", look), forward])
    names = ("tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
    masks = ", ".join(f"{n}: Optional[Tensor]=None" for n in names)
    arguments = (
        f"tgt: Tensor, memory: Tensor, {masks}, tgt_is_causal: bool=False, memory_is_causal: bool=False"
    )
    return arguments, "Tensor", f"x = tgt\n{steps}"


def _layers(module: Any, call: str) -> str:
    lines = [f'x = getattr(self.layers, "{i}").forward(x, {call})' for i in range(len(module.layers))]
    last = "return x" if module.norm is None else "return self.norm.forward(x)"
    return "\n".join([*lines, last])


def _encoder(module: Any) -> tuple[str, str, str]:
    arguments = (
        "src: Tensor, mask: Optional[Tensor]=None, src_key_padding_mask: Optional[Tensor]=None, "
        "is_causal: Optional[bool]=None"
    )
    return arguments, "Tensor", "x = src\n" + _layers(module, "mask, src_key_padding_mask")


def _decoder(module: Any) -> tuple[str, str, str]:
    names = ("tgt_mask", "memory_mask", "tgt_key_padding_mask", "memory_key_padding_mask")
    masks = ", ".join(f"{n}: Optional[Tensor]=None" for n in names)
    causal = "tgt_is_causal: Optional[bool]=None, memory_is_causal: bool=False"
    arguments = f"tgt: Tensor, memory: Tensor, {masks}, {causal}"
    return arguments, "Tensor", "x = tgt\n" + _layers(module, f"memory, {', '.join(names)}")


def _transformer(module: Any) -> tuple[str, str, str]:
    names = ("src_mask", "tgt_mask", "memory_mask", "src_key_padding_mask", "tgt_key_padding_mask")
    masks = ", ".join(f"{n}: Optional[Tensor]=None" for n in (*names, "memory_key_padding_mask"))
    causal = (
        "src_is_causal: Optional[bool]=None, tgt_is_causal: Optional[bool]=None, memory_is_causal: bool=False"
    )
    statements = """
memory = self.encoder.forward(src, src_mask, src_key_padding_mask)
return self.decoder.forward(tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
"""
    return f"src: Tensor, tgt: Tensor, {masks}, {causal}", "Tensor", statements


BLOCKS: dict[str, Block] = {
    "LSTM": _recurrent, "GRU": _recurrent, "MultiheadAttention": _attention,
    "TransformerEncoderLayer": _encoder_layer, "TransformerDecoderLayer": _decoder_layer,
    "TransformerEncoder": _encoder, "TransformerDecoder": _decoder, "Transformer": _transformer,
}  # fmt: skip


def forward_text(module: Any, path: str, name: str) -> str:
    """The text of the forward, indented as a method."""
    arguments, result, statements = BLOCKS[type(module).__name__](module)
    lines = [f"  def {name}(self: {path}, {arguments}) -> {result}:"]
    return "\n".join([*lines, *(f"    {line}" for line in statements.strip().splitlines() if line), ""])
