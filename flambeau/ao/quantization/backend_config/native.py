"""What flambeau's own operators can quantize."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau.ao.quantization.backend_config.backend_config import (
    BackendConfig,
    BackendPatternConfig,
    DTypeConfig,
    ObservationType,
)

__all__ = ["get_native_backend_config", "get_native_backend_config_dict"]

_WEIGHTED = DTypeConfig(fb.quint8, fb.quint8, fb.qint8, fb.float)
_PLAIN = DTypeConfig(fb.quint8, fb.quint8)
_DYNAMIC = DTypeConfig(fb.quint8, fb.float, fb.qint8, fb.float, True)
_HALF = DTypeConfig(fb.float16, fb.float, fb.float16, fb.float, True)
_TABLES = [DTypeConfig(fb.float, fb.float, t) for t in (fb.quint8, fb.quint4x2)]


def native(name: str) -> BackendConfig:
    """The patterns that `prepare_fx` knows, under a name."""
    from flambeau.ao.quantization.backend_config.backend_config import ObservationType as seen
    from flambeau.ao.quantization.fuser_method_mappings import _DEFAULT_OP_LIST_TO_FUSER_METHOD
    from flambeau.ao.quantization.fx import _kinds
    from flambeau.ao.quantization.quantization_mappings import get_embedding_qat_module_mappings

    kinds, qat = _kinds.Kind, get_embedding_qat_module_mappings()
    types = {
        kinds.WEIGHTED: [_WEIGHTED],
        kinds.TABLE: _TABLES,
        kinds.RECURRENT: [_DYNAMIC, _HALF],
    }
    made = BackendConfig(name)

    def add(pattern: Any, dtypes: list[DTypeConfig], observation: ObservationType) -> BackendPatternConfig:
        config = BackendPatternConfig(pattern).set_dtype_configs(dtypes).set_observation_type(observation)
        made.set_backend_pattern_config(config)
        return config

    for pattern, kind in _kinds._KINDS.items():
        dtypes = types.get(kind, [_PLAIN])
        if pattern in _kinds.LINEAR:
            dtypes = [_WEIGHTED, _DYNAMIC, _HALF]
        observation = seen.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT
        if kind == kinds.SHARED:
            observation = seen.OUTPUT_SHARE_OBSERVER_WITH_INPUT
        elif kind == kinds.UNSEEN:
            observation = seen.INPUT_OUTPUT_NOT_OBSERVED
        config = add(pattern, dtypes, observation)
        if pattern in qat:
            config.set_qat_module(qat[pattern])
    for pattern, method in _DEFAULT_OP_LIST_TO_FUSER_METHOD.items():
        config = add(pattern, [_WEIGHTED], seen.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT)
        config.set_fuser_method(method)
    return made


def get_native_backend_config() -> BackendConfig:
    """What `prepare_fx` can quantize."""
    return native("native")


def get_native_backend_config_dict() -> dict[str, Any]:
    """The same as a dictionary."""
    return get_native_backend_config().to_dict()
