"""A device of another process."""

from __future__ import annotations

import flambeau as fb


class _remote_device:
    """A device of a worker or of the process of a rank; without these, of this process.

    Parameters
    ----------
    remote_device : ``"worker/device"``, ``"rank:2/cuda:1"`` or a device; the device is ``cpu`` where none is
        named.
    """

    def __init__(self, remote_device: str | fb.device) -> None:
        problem = (
            f"Could not parse remote_device: {remote_device}. The valid format is '<workername>/<device>' or "
            "'rank:<rank>/<device>' or '<device>'"
        )
        self._worker_name: str | None = None
        self._rank: int | None = None
        if isinstance(remote_device, fb.device):
            self._device: str | fb.device = remote_device
        elif isinstance(remote_device, str):
            first, *rest = remote_device.split("/")
            if not first or len(rest) > 1:
                raise ValueError(problem)
            if rest:
                self._worker_name, self._device = first, rest[0]
            elif self._is_device(first):
                self._device = first
            else:
                self._worker_name, self._device = first, "cpu"
        else:
            raise TypeError(f"Invalid type for remote_device: {type(remote_device)}")
        self._device = fb.device(self._device)
        if self._worker_name is not None and self._worker_name.startswith("rank:"):
            digits = self._worker_name[5:]
            if not digits.isdecimal():
                raise ValueError(problem)
            self._rank, self._worker_name = int(digits), None

    @staticmethod
    def _is_device(text: str) -> bool:
        try:
            fb.device(text)
        except RuntimeError:
            return False
        return True

    def worker_name(self) -> str | None:
        """The name of the worker, where one is named."""
        return self._worker_name

    def rank(self) -> int | None:
        """The rank of the process, where one is named."""
        return self._rank

    def device(self) -> fb.device:
        """The device there."""
        return self._device

    def __repr__(self) -> str:
        if self._worker_name is not None:
            return f"{self._worker_name}/{self._device}"
        return str(self._device) if self._rank is None else f"rank:{self._rank}/{self._device}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _remote_device) and repr(self) == repr(other)

    def __hash__(self) -> int:
        return hash(repr(self))
