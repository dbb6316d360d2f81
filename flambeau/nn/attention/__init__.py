"""Which implementations scaled dot product attention may use."""

import contextlib
import enum
from collections.abc import Callable, Iterator

import flambeau as fb

__all__ = [
    "SDPBackend", "sdpa_kernel", "WARN_FOR_UNFUSED_KERNELS", "register_flash_attention_impl",
    "activate_flash_attention_impl", "list_flash_attention_impls", "current_flash_attention_impl",
    "restore_flash_attention_impl",
]  # fmt: skip

WARN_FOR_UNFUSED_KERNELS = False


class SDPBackend(enum.IntEnum):
    """The implementations, numbered as in torch."""

    ERROR = -1
    MATH = 0
    FLASH_ATTENTION = 1
    EFFICIENT_ATTENTION = 2
    CUDNN_ATTENTION = 3
    OVERRIDEABLE = 4

    def __repr__(self) -> str:
        return f"<SDPBackend.{self.name}: {self.value}>"

    def __str__(self) -> str:
        return f"SDPBackend.{self.name}"


_SWITCHES = {
    SDPBackend.FLASH_ATTENTION: "flash_sdp",
    SDPBackend.EFFICIENT_ATTENTION: "mem_efficient_sdp",
    SDPBackend.MATH: "math_sdp",
    SDPBackend.CUDNN_ATTENTION: "cudnn_sdp",
}


@contextlib.contextmanager
def sdpa_kernel(backends: list[SDPBackend] | SDPBackend, set_priority: bool = False) -> Iterator[None]:
    """Allow only the given implementations inside the ``with`` block.

    Parameters
    ----------
    backends : SDPBackend or list of SDPBackend
    set_priority : bool
        Whether their order is that of preference; there is one implementation a device here, so nothing is
        chosen.
    """
    if not isinstance(backends, (list, SDPBackend)):
        raise AssertionError(f"backends must be an instance of SDPBackend or list, but got {type(backends)}")
    wanted = {backends} if isinstance(backends, SDPBackend) else set(backends)
    switches = fb.backends.cuda
    before = {backend: getattr(switches, f"{name}_enabled")() for backend, name in _SWITCHES.items()}
    try:
        for backend, name in _SWITCHES.items():
            getattr(switches, f"enable_{name}")(backend in wanted)
        yield {}
    finally:
        for backend, name in _SWITCHES.items():
            getattr(switches, f"enable_{name}")(before[backend])


_implementations: dict[str, Callable] = {}
_active: str | None = None
_active_handle = None


def register_flash_attention_impl(impl: str, *, register_fn: Callable) -> None:
    """Make a flash attention implementation known; ``register_fn()`` installs it and returns a handle."""
    _implementations[impl] = register_fn


def activate_flash_attention_impl(impl: str) -> None:
    """Install a registered implementation."""
    global _active, _active_handle
    if impl not in _implementations:
        raise ValueError(
            f"Unknown flash attention impl '{impl}'. Available implementations: {list(_implementations)}"
        )
    restore_flash_attention_impl(_raise_warn=False)
    _active_handle = _implementations[impl]()
    _active = impl


def list_flash_attention_impls() -> list[str]:
    """The names of the registered implementations."""
    return sorted(_implementations)


def current_flash_attention_impl() -> str | None:
    """The implementation installed, if any."""
    return _active


def restore_flash_attention_impl(_raise_warn: bool = True) -> None:
    """Go back to the built-in implementation."""
    global _active, _active_handle
    if _active is None:
        if _raise_warn:
            import warnings

            warnings.warn(
                "Trying to restore default FA2 impl when no custom impl was activated", stacklevel=2
            )
        return
    if _active_handle is not None:
        _active_handle.remove()
    _active = _active_handle = None


def __getattr__(name: str):
    """Load the submodules at their first use."""
    if name in ("bias", "flex_attention"):
        import importlib

        return importlib.import_module(f"flambeau.nn.attention.{name}")
    raise AttributeError(f"module 'flambeau.nn.attention' has no attribute {name!r}")
