"""Attention with a function that changes scores, and one that says which of them count.

Both functions get the score (or nothing) and the indices of batch, head, query and key as tensors that
broadcast against each other, so a function made of ordinary operators is called once for all positions.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypedDict

import flambeau as fb
from flambeau import Tensor
from flambeau.types import Device

_DEFAULT_SPARSE_BLOCK_SIZE = 128

__all__ = [
    "BlockMask", "flex_attention", "AuxOutput", "AuxRequest", "FlexKernelOptions", "create_block_mask",
    "create_mask", "or_masks", "and_masks", "noop_mask",
]  # fmt: skip


class AuxRequest(NamedTuple):
    """What :func:`flex_attention` is to give besides its result."""

    lse: bool = False
    max_scores: bool = False


class AuxOutput(NamedTuple):
    """What was asked for by an :class:`AuxRequest`."""

    lse: Tensor | None = None
    max_scores: Tensor | None = None


class FlexKernelOptions(TypedDict, total=False):
    """Hints for the kernel; they change no result and are not used here."""

    BLOCK_M: int
    BLOCK_N: int
    num_warps: int
    num_stages: int
    PRESCALE_QK: bool


def noop_mask(batch: Tensor, head: Tensor, token_q: Tensor, token_kv: Tensor) -> Tensor:
    """The mask that allows everything."""
    return fb.ones((), dtype=fb.bool, device=batch.device)


def _combined(mask_mods: tuple, start: bool, join: Callable) -> Callable:
    if not all(callable(mod) for mod in mask_mods):
        raise RuntimeError(f"All inputs should be callable mask_mods: {mask_mods}")

    def mask_mod(b: Tensor, h: Tensor, q_idx: Tensor, kv_idx: Tensor) -> Tensor:
        result = fb.full((), start, dtype=fb.bool, device=b.device)
        for mod in mask_mods:
            result = join(result, mod(b, h, q_idx, kv_idx))
        return result

    return mask_mod


def or_masks(*mask_mods: Callable) -> Callable:
    """A mask that allows what one of `mask_mods` allows."""
    return _combined(mask_mods, False, lambda a, b: a | b)


def and_masks(*mask_mods: Callable) -> Callable:
    """A mask that allows what all `mask_mods` allow."""
    return _combined(mask_mods, True, lambda a, b: a & b)


def _indices(sizes: Sequence[int], device: Device) -> list[Tensor]:
    """Index tensors of the four dimensions, ready to broadcast."""
    made = []
    for dim, size in enumerate(sizes):
        shape = [1, 1, 1, 1]
        shape[dim] = size
        made.append(fb.arange(size, device=device).view(shape))
    return made


def create_mask(
    mod_fn: Callable, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Device = None
) -> Tensor:
    """A mask function as a boolean tensor (B, H, Q_LEN, KV_LEN); of a score function, what is not -inf."""
    sizes = (B or 1, H or 1, Q_LEN, KV_LEN)
    places = _indices(sizes, device)
    if len(inspect.signature(mod_fn).parameters) == 5:
        scores = mod_fn(fb.zeros(sizes, device=device), *places)
        return fb.where(scores.isneginf(), False, True).expand(sizes)
    return mod_fn(*places).expand(sizes).contiguous()


class BlockMask:
    """A mask function with the blocks of the scores in which it allows something.

    Attributes
    ----------
    kv_num_blocks, kv_indices : Tensor of shape (B, H, rows) and (B, H, rows, columns)
        For each row of blocks, how many are partly allowed, and which.
    full_kv_num_blocks, full_kv_indices : Tensor, optional
        The same for blocks that are allowed entirely.
    q_num_blocks, q_indices, full_q_num_blocks, full_q_indices : Tensor, optional
        The same by columns.
    mask_mod : callable
    """

    def __init__(
        self, seq_lengths: tuple[int, int], kv_num_blocks: Tensor, kv_indices: Tensor,
        full_kv_num_blocks: Tensor | None, full_kv_indices: Tensor | None, q_num_blocks: Tensor | None,
        q_indices: Tensor | None, full_q_num_blocks: Tensor | None, full_q_indices: Tensor | None,
        BLOCK_SIZE: tuple[int, int] = (128, 128), mask_mod: Callable = noop_mask, *,
        dq_write_order: Tensor | None = None, dq_write_order_full: Tensor | None = None,
        dq_kv_order: Tensor | None = None, dq_kv_order_spt: Tensor | None = None,
    ) -> None:  # fmt: skip
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        self.seq_lengths = seq_lengths
        self.kv_num_blocks = kv_num_blocks
        self.kv_indices = kv_indices
        self.full_kv_num_blocks = full_kv_num_blocks
        self.full_kv_indices = full_kv_indices
        self.q_num_blocks = q_num_blocks
        self.q_indices = q_indices
        self.full_q_num_blocks = full_q_num_blocks
        self.full_q_indices = full_q_indices
        self.BLOCK_SIZE = BLOCK_SIZE
        self.mask_mod = mask_mod

    @classmethod
    def from_kv_blocks(
        cls, kv_num_blocks: Tensor, kv_indices: Tensor, full_kv_num_blocks: Tensor | None = None,
        full_kv_indices: Tensor | None = None, BLOCK_SIZE: int | tuple[int, int] = 128,
        mask_mod: Callable | None = None, seq_lengths: tuple[int, int] | None = None,
        compute_q_blocks: bool = True, *, dq_write_order: Tensor | None = None,
        dq_write_order_full: Tensor | None = None, dq_kv_order: Tensor | None = None,
    ) -> "BlockMask":  # fmt: skip
        """A block mask from the blocks of each row."""
        if kv_indices.dim() < 2:
            raise RuntimeError("BlockMask must have at least 2 dimensions")
        if (full_kv_num_blocks is None) != (full_kv_indices is None):
            raise AssertionError("full_kv_num_blocks and full_kv_indices must be both provided or omitted")
        size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
        by_column: list[Tensor | None] = [None] * 4
        if compute_q_blocks:
            by_column[:2] = _ordered(_dense(kv_num_blocks, kv_indices).mT)
            if full_kv_num_blocks is not None:
                by_column[2:] = _ordered(_dense(full_kv_num_blocks, full_kv_indices).mT)
        if seq_lengths is None:
            seq_lengths = (kv_indices.shape[-2] * size[0], kv_indices.shape[-1] * size[1])
        return cls(
            seq_lengths, kv_num_blocks, kv_indices, full_kv_num_blocks, full_kv_indices, *by_column,
            BLOCK_SIZE=size, mask_mod=mask_mod or noop_mask,
        )  # fmt: skip

    @property
    def shape(self) -> tuple[int, ...]:
        """(B, H, Q_LEN, KV_LEN)."""
        return (*self.kv_num_blocks.shape[:-1], *self.seq_lengths)

    def _tensors(self) -> dict[str, Tensor | None]:
        return {k: v for k, v in self.__dict__.items() if k.endswith(("_blocks", "_indices"))}

    def as_tuple(self, flatten: bool = True) -> tuple:
        """All parts."""
        sizes = (*self.seq_lengths,) if flatten else (self.seq_lengths,)
        blocks = (*self.BLOCK_SIZE,) if flatten else (self.BLOCK_SIZE,)
        return (*sizes, *self._tensors().values(), *blocks, self.mask_mod)

    def numel(self) -> int:
        """The number of scores."""
        return math.prod(self.shape)

    def to_dense(self) -> Tensor:
        """Which blocks are computed, as a tensor of ones and zeros."""
        blocks = _dense(self.kv_num_blocks, self.kv_indices)
        if self.full_kv_num_blocks is not None:
            blocks = blocks | _dense(self.full_kv_num_blocks, self.full_kv_indices)
        return blocks

    def sparsity(self) -> float:
        """The share of scores, in per cent, that are not computed."""
        computed = int(self.kv_num_blocks.sum()) * math.prod(self.BLOCK_SIZE)
        if self.full_kv_num_blocks is not None:
            computed += int(self.full_kv_num_blocks.sum()) * math.prod(self.BLOCK_SIZE)
        return 100 * (1 - computed / self.numel())

    def to(self, device: Device) -> "BlockMask":
        """The block mask on another device."""
        moved = {k: None if v is None else v.to(device) for k, v in self._tensors().items()}
        return BlockMask(self.seq_lengths, **moved, BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=self.mask_mod)

    def __getitem__(self, index: Any) -> "BlockMask":
        parts = {k: None if v is None else v[index] for k, v in self._tensors().items()}
        return BlockMask(self.seq_lengths, **parts, BLOCK_SIZE=self.BLOCK_SIZE, mask_mod=self.mask_mod)

    def __str__(self) -> str:
        return f"BlockMask(shape={self.shape}, sparsity={self.sparsity():.2f}%)"

    def __repr__(self) -> str:
        lines = [f"    {k}={None if v is None else v.shape}," for k, v in self._tensors().items()]
        lines.append(f"    BLOCK_SIZE={self.BLOCK_SIZE},")
        return "\n".join(
            ["BlockMask(", *lines, f"    shape={self.shape},", f"    sparsity={self.sparsity():.2f}%,", ")"]
        )


def _dense(num_blocks: Tensor, indices: Tensor) -> Tensor:
    """Lists of blocks as ones and zeros."""
    columns = indices.shape[-1]
    listed = fb.arange(columns, device=indices.device) < num_blocks.unsqueeze(-1)
    dense = fb.zeros(*indices.shape, dtype=fb.int32, device=indices.device)
    return dense.scatter_(-1, indices.long(), listed.to(fb.int32))


def _ordered(dense: Tensor) -> tuple[Tensor, Tensor]:
    """Ones and zeros as lists of blocks: how many, and which (the others behind them)."""
    count = dense.sum(dim=-1)
    order = fb.argsort(dense, dim=-1, descending=True, stable=True)
    return count.to(fb.int32).contiguous(), order.to(fb.int32).contiguous()


def create_block_mask(
    mask_mod: Callable, B: int | None, H: int | None, Q_LEN: int, KV_LEN: int, device: Device = None,
    BLOCK_SIZE: int | tuple[int, int] = 128, _compile: bool = False, separate_full_blocks: bool = True,
    compute_dq_write_order: bool = False, dq_kv_order: bool = True,
) -> BlockMask:  # fmt: skip
    """The blocks in which a mask function allows something.

    Parameters
    ----------
    mask_mod : callable
        ``mask_mod(b, h, q_idx, kv_idx)`` gives True where attention is allowed.
    B, H : int, optional
        Batch and heads; None where the mask does not depend on them.
    Q_LEN, KV_LEN : int
    BLOCK_SIZE : int or (int, int)
    separate_full_blocks : bool
        List blocks that are allowed entirely apart.
    """
    size = (BLOCK_SIZE, BLOCK_SIZE) if isinstance(BLOCK_SIZE, int) else BLOCK_SIZE
    mask = create_mask(mask_mod, B, H, Q_LEN, KV_LEN, device)
    rows, columns = -(-Q_LEN // size[0]), -(-KV_LEN // size[1])
    pad = fb.nn.functional.pad
    padded = pad(mask, (0, columns * size[1] - KV_LEN, 0, rows * size[0] - Q_LEN))
    blocks = padded.view(*mask.shape[:2], rows, size[0], columns, size[1]).sum(dim=(3, 5))
    full = blocks == math.prod(size)
    partial = (blocks > 0) & ~full if separate_full_blocks else blocks > 0
    listed = _ordered(partial.to(fb.int32))
    listed_full = _ordered(full.to(fb.int32)) if separate_full_blocks else (None, None)
    return BlockMask.from_kv_blocks(
        *listed, *listed_full, BLOCK_SIZE=size, mask_mod=mask_mod, seq_lengths=(Q_LEN, KV_LEN)
    )


def _check(query: Tensor, key: Tensor, value: Tensor, block_mask: BlockMask | None, enable_gqa: bool) -> None:
    if query.dim() != 4 or key.dim() != 4 or value.dim() != 4:
        raise NotImplementedError("NYI: query, key, and value must be 4D tensors")
    heads_q, heads_kv = query.size(1), key.size(1)
    if not enable_gqa and heads_q != heads_kv:
        raise ValueError(
            f"Expect query and key/value to have the same number of heads but got Hq={heads_q} and "
            f"Hkv={heads_kv}. Try setting enable_gqa=True for GQA."
        )
    if enable_gqa and heads_q % heads_kv != 0:
        raise ValueError(
            f"Expect number of query heads to be a multiple of kv heads for GQA but got Hq={heads_q} and "
            f"Hkv={heads_kv}."
        )
    if query.size(0) != key.size(0) and block_mask is None:
        raise ValueError(
            "Expect query and key/value to have the same batch size, or non-none block_mask, "
            f"but got block_mask=None, Bq={query.size(0)}, and Bkv={key.size(0)}."
        )
    if block_mask is not None:
        q_len, kv_len = query.size(-2), key.size(-2)
        if block_mask.seq_lengths != (q_len, kv_len):
            raise ValueError(
                f"block_mask was created for block_mask.shape={block_mask.shape} but got q_len={q_len} and "
                f"kv_len={kv_len}."
            )


def flex_attention(
    query: Tensor, key: Tensor, value: Tensor, score_mod: Callable | None = None,
    block_mask: BlockMask | None = None, scale: float | None = None, enable_gqa: bool = False,
    return_lse: bool = False, kernel_options: FlexKernelOptions | None = None, *,
    return_aux: AuxRequest | None = None,
) -> Tensor | tuple[Tensor, Tensor | AuxOutput]:  # fmt: skip
    """Scaled dot product attention whose scores pass through `score_mod` and are masked by `block_mask`.

    Parameters
    ----------
    query : Tensor of shape (B, Hq, L, E)
    key, value : Tensor of shape (B, Hkv, S, E) and (B, Hkv, S, Ev)
    score_mod : callable, optional
        ``score_mod(score, b, h, q_idx, kv_idx)`` gives the score to use.
    block_mask : BlockMask, optional
    scale : float, optional
        ``1 / sqrt(E)`` by default.
    enable_gqa : bool
        Let groups of query heads share a key head.
    return_lse, return_aux
        Also give the logarithm of the sum of exponentials (and more) of each row.
    """
    _check(query, key, value, block_mask, enable_gqa)
    wide = query.dtype if query.dtype == fb.float64 else fb.float32
    if enable_gqa:
        groups = query.size(1) // key.size(1)
        key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scale = 1.0 / math.sqrt(query.size(-1)) if scale is None else scale
    scores = query.to(wide) @ key.to(wide).mT * scale
    places = _indices(scores.shape, query.device)
    if score_mod is not None:
        scores = score_mod(scores, *places)
    if block_mask is not None:
        scores = scores.masked_fill(~block_mask.mask_mod(*places), float("-inf"))
    lse = scores.logsumexp(dim=-1)
    # a row without any allowed key attends to nothing
    nothing = lse == float("-inf")
    weights = (scores - lse.masked_fill(nothing, 0.0).unsqueeze(-1)).exp()
    result = (weights @ value.to(wide)).to(query.dtype)
    if return_aux is not None:
        return result, AuxOutput(
            lse if return_aux.lse else None, scores.amax(dim=-1) if return_aux.max_scores else None
        )
    return (result, lse) if return_lse else result
