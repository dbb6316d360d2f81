"""Processes of a launcher."""

from .errors import ChildFailedError, ErrorHandler, ProcessFailure, get_error_handler, record

__all__ = ["ChildFailedError", "ErrorHandler", "ProcessFailure", "get_error_handler", "record"]
