"""What makes a nested tensor again from other values."""

from __future__ import annotations

from typing import Any

import flambeau as fb

__all__ = ["extract_kwargs"]


def extract_kwargs(arg: Any) -> dict[str, Any]:
    """The parts of a nested tensor besides its values.

    Lengths that were found are there as PyTorch has them: as sizes of empty tensors.
    """
    lengths = arg.sequence_lengths()
    known = {"min_seqlen": lengths.min(), "max_seqlen": lengths.max()} if lengths.numel() else {}
    return {
        "offsets": arg.offsets(),
        "lengths": arg.lengths(),
        "_metadata_cache": {name: fb.empty(int(n), 0) for name, n in known.items()},
        "_ragged_idx": arg._ragged_idx,
    }
