"""The log of process groups: nothing is shown until a handler is put into `logging_handlers`."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from .logging_handlers import _log_handlers

__all__: list[str] = []

_DEFAULT_DESTINATION = "default"


def _get_or_create_logger(destination: str = _DEFAULT_DESTINATION) -> logging.Logger:
    handler = _log_handlers[destination]
    logger = logging.getLogger(f"c10d-{type(handler).__name__}-{destination}")
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    if handler not in logger.handlers:
        logger.addHandler(handler)
    return logger


_c10d_logger = _get_or_create_logger()


def _get_msg_dict(func_name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What is told of a call."""
    from flambeau import distributed as dist

    facts: dict[str, Any] = {"func_name": func_name}
    if dist.is_initialized():
        members = kwargs.get("group") or kwargs.get("process_group") or dist.group.WORLD
        if members is not dist.GroupMember.NON_GROUP_MEMBER:
            facts |= {
                "pg_name": members.group_name,
                "backend": dist.get_backend(members),
                "world_size": dist.get_world_size(),
                "group_size": members.size(),
                "global_rank": dist.get_rank(),
                "local_rank": members.rank(),
            }
    return facts


def _exception_logger(func: Callable) -> Callable:
    """`func`, whose exceptions are logged before they go on."""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return func(*args, **kwargs)
        except Exception as error:
            _c10d_logger.debug({**_get_msg_dict(func.__name__, *args, **kwargs), "error": f"{error}"})
            raise

    return wrapper


def _time_logger(func: Callable) -> Callable:
    """`func`; how long calls take is told by the profiler."""
    return func
