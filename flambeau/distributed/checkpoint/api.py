"""The error of checkpoints."""

from __future__ import annotations

__all__ = ["CheckpointException"]


class CheckpointException(BaseException):
    """What went wrong, by process."""

    def __init__(self, msg: str, failures: dict[int, BaseException]) -> None:
        super().__init__(msg, failures)
        self._failures = failures

    @property
    def failures(self) -> dict[int, BaseException]:
        """The errors by the ranks of processes."""
        return self._failures

    def __str__(self) -> str:
        lines = [f"CheckpointException ranks:{self._failures.keys()}"]
        lines += [f"(RANK {rank}) {type(e).__name__}: {e}" for rank, e in self._failures.items()]
        return "\n".join(lines)
