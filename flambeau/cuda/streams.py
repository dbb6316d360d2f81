"""Streams and events of a GPU."""

from . import Event, ExternalStream, Stream

__all__ = ["Event", "ExternalStream", "Stream"]
