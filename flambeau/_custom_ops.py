"""The older home of `library.get_ctx`."""

from flambeau._library.fake import get_ctx

__all__ = ["get_ctx"]
