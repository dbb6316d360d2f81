"""Streams and events of an Intel GPU: there is none."""

from __future__ import annotations

from flambeau import xpu

Event, Stream = xpu.Event, xpu.Stream

__all__ = ["Event", "Stream"]
