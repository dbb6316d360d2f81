"""Types that scripted functions name."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple, Union  # noqa: UP035

from flambeau import jit

__all__ = [
    "BroadcastingList1",
    "BroadcastingList2",
    "BroadcastingList3",
    "Dict",
    "Future",
    "List",
    "Optional",
    "Tuple",
]

Future = jit.Future


class _Broadcasting:
    """``BroadcastingList2[int]``: a list of so many numbers, or one number for all of them."""

    def __init__(self, count: int) -> None:
        self.__name__ = f"BroadcastingList{count}"

    def __getitem__(self, kind: Any) -> Any:
        return Union[kind, List[kind]]  # noqa: UP006, UP007


BroadcastingList1, BroadcastingList2, BroadcastingList3 = (_Broadcasting(n) for n in (1, 2, 3))
