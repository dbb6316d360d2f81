"""What a backend can quantize: patterns of layers, types, what is observed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import flambeau as fb

__all__ = ["BackendConfig", "BackendPatternConfig", "DTypeConfig", "DTypeWithConstraints", "ObservationType"]


class ObservationType(Enum):
    """Which observer sees the result of a pattern."""

    OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT = 0
    OUTPUT_SHARE_OBSERVER_WITH_INPUT = 1
    INPUT_OUTPUT_NOT_OBSERVED = 2


@dataclass
class DTypeWithConstraints:
    """A type, and limits of its integers, scale and zero point."""

    dtype: fb.dtype | None = None
    quant_min_lower_bound: int | float | None = None
    quant_max_upper_bound: int | float | None = None
    scale_min_lower_bound: int | float | None = None
    scale_max_upper_bound: int | float | None = None
    scale_exact_match: float | None = None
    zero_point_exact_match: int | None = None


@dataclass
class DTypeConfig:
    """Types of a pattern.

    Parameters
    ----------
    input_dtype, output_dtype, weight_dtype : dtype or DTypeWithConstraints, optional
    bias_dtype : dtype, optional
    is_dynamic : bool, optional
    """

    input_dtype_with_constraints: DTypeWithConstraints
    output_dtype_with_constraints: DTypeWithConstraints
    weight_dtype_with_constraints: DTypeWithConstraints
    bias_dtype: fb.dtype | None
    is_dynamic: bool | None

    def __init__(
        self, input_dtype: Any = None, output_dtype: Any = None, weight_dtype: Any = None,
        bias_dtype: fb.dtype | None = None, is_dynamic: bool | None = None,
    ) -> None:  # fmt: skip
        given = {"input": input_dtype, "output": output_dtype, "weight": weight_dtype}
        for name, t in given.items():
            limited = t if isinstance(t, DTypeWithConstraints) else DTypeWithConstraints(dtype=t)
            setattr(self, f"{name}_dtype_with_constraints", limited)
        self.bias_dtype = bias_dtype
        self.is_dynamic = is_dynamic

    @property
    def input_dtype(self) -> fb.dtype | None:
        """Type of inputs."""
        return self.input_dtype_with_constraints.dtype

    @property
    def output_dtype(self) -> fb.dtype | None:
        """Type of results."""
        return self.output_dtype_with_constraints.dtype

    @property
    def weight_dtype(self) -> fb.dtype | None:
        """Type of weights."""
        return self.weight_dtype_with_constraints.dtype

    @classmethod
    def from_dict(cls, dtype_config_dict: dict[str, Any]) -> DTypeConfig:
        """The types of a dictionary."""
        for name in ("input_dtype", "output_dtype", "weight_dtype"):
            t = dtype_config_dict.get(name)
            if t is not None and not isinstance(t, (fb.dtype, DTypeWithConstraints)):
                raise ValueError(f"Expected {name} to be a torch.dtype or DTypeWithConstraints")
        return cls(**dtype_config_dict)

    def to_dict(self) -> dict[str, Any]:
        """The types as a dictionary, without those that are not given."""
        limits = ((n, getattr(self, f"{n}_dtype_with_constraints")) for n in ("input", "output", "weight"))
        made: dict[str, Any] = {f"{n}_dtype": t for n, t in limits if t.dtype is not None}
        for name in ("bias_dtype", "is_dynamic"):
            if getattr(self, name) is not None:
                made[name] = getattr(self, name)
        return made


class BackendPatternConfig:
    """How a pattern is quantized. The methods give the settings back.

    Parameters
    ----------
    pattern : class, function, name of a method, or a tuple of such
    """

    _KEYS = {
        "pattern": "pattern",
        "root_module": "root_module",
        "qat_module": "qat_module",
        "reference_quantized_module_for_root": "reference_quantized_module",
        "fused_module": "fused_module",
        "fuser_method": "fuser_method",
        "root_node_getter": "_root_node_getter",
        "extra_inputs_getter": "_extra_inputs_getter",
        "num_tensor_args_to_observation_type": "_num_tensor_args_to_observation_type",
        "input_type_to_index": "_input_type_to_index",
        "pattern_complex_format": "_pattern_complex_format",
    }

    def __init__(self, pattern: Any = None) -> None:
        self.pattern = pattern
        self.observation_type = ObservationType.OUTPUT_USE_DIFFERENT_OBSERVER_AS_INPUT
        self.dtype_configs: list[DTypeConfig] = []
        self.root_module: type | None = None
        self.qat_module: type | None = None
        self.reference_quantized_module: type | None = None
        self.fused_module: type | None = None
        self.fuser_method: Callable | None = None
        self._root_node_getter: Callable | None = None
        self._extra_inputs_getter: Callable | None = None
        self._num_tensor_args_to_observation_type: dict[int, ObservationType] = {}
        self._input_type_to_index: dict[str, int] = {}
        self._pattern_complex_format: Any = None

    def __repr__(self) -> str:
        return (
            f"BackendPatternConfig({ ({k: v for k, v in self.__dict__.items() if v not in (None, [], {})}) })"
        )

    def set_pattern(self, pattern: Any) -> BackendPatternConfig:
        """The pattern."""
        if self._pattern_complex_format is not None:
            raise ValueError("Only one of 'pattern' or 'pattern_complex_format' can be set")
        self.pattern = pattern
        return self

    def set_observation_type(self, observation_type: ObservationType) -> BackendPatternConfig:
        """Which observer sees the result."""
        self.observation_type = observation_type
        return self

    def add_dtype_config(self, dtype_config: DTypeConfig) -> BackendPatternConfig:
        """Further types."""
        self.dtype_configs.append(dtype_config)
        return self

    def set_dtype_configs(self, dtype_configs: list[DTypeConfig]) -> BackendPatternConfig:
        """The types."""
        self.dtype_configs = dtype_configs
        return self

    def set_root_module(self, root_module: type) -> BackendPatternConfig:
        """The layer with the weights."""
        self.root_module = root_module
        return self

    def set_qat_module(self, qat_module: type) -> BackendPatternConfig:
        """The layer for training."""
        self.qat_module = qat_module
        return self

    def set_reference_quantized_module(self, reference_quantized_module: type) -> BackendPatternConfig:
        """The layer that dequantizes, computes and quantizes."""
        self.reference_quantized_module = reference_quantized_module
        return self

    def set_fused_module(self, fused_module: type) -> BackendPatternConfig:
        """The class of layers computed together."""
        self.fused_module = fused_module
        return self

    def set_fuser_method(self, fuser_method: Callable) -> BackendPatternConfig:
        """What makes one of the layers."""
        self.fuser_method = fuser_method
        return self

    @classmethod
    def from_dict(cls, backend_pattern_config_dict: dict[str, Any]) -> BackendPatternConfig:
        """The settings of a dictionary."""
        given, made = backend_pattern_config_dict, cls()
        if "observation_type" in given:
            made.observation_type = given["observation_type"]
        for t in given.get("dtype_configs", []):
            made.add_dtype_config(t if isinstance(t, DTypeConfig) else DTypeConfig.from_dict(t))
        for key, name in cls._KEYS.items():
            if key in given:
                setattr(made, name, given[key])
        return made

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dictionary, without those that are not given."""
        made: dict[str, Any] = {
            "observation_type": self.observation_type,
            "dtype_configs": [t.to_dict() for t in self.dtype_configs],
        }
        for key, name in self._KEYS.items():
            if getattr(self, name) not in (None, {}):
                made[key] = getattr(self, name)
        return made


class BackendConfig:
    """What a backend can quantize. The methods give the settings back.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str = "") -> None:
        self.name = name
        self._pattern_complex_format_to_config: dict[Any, BackendPatternConfig] = {}

    def __repr__(self) -> str:
        return f"BackendConfig({self.__dict__})"

    def set_name(self, name: str) -> BackendConfig:
        """The name."""
        self.name = name
        return self

    def set_backend_pattern_config(self, config: BackendPatternConfig) -> BackendConfig:
        """A pattern; of the same pattern, the last settings count."""
        key = config.pattern if config._pattern_complex_format is None else config._pattern_complex_format
        self._pattern_complex_format_to_config[key] = config
        return self

    def set_backend_pattern_configs(self, configs: list[BackendPatternConfig]) -> BackendConfig:
        """Several patterns."""
        for config in configs:
            self.set_backend_pattern_config(config)
        return self

    @property
    def configs(self) -> list[BackendPatternConfig]:
        """All patterns."""
        return list(self._pattern_complex_format_to_config.values())

    @classmethod
    def from_dict(cls, backend_config_dict: dict[str, Any]) -> BackendConfig:
        """The settings of a dictionary."""
        made = cls(backend_config_dict.get("name", ""))
        for config in backend_config_dict.get("configs", []):
            known = isinstance(config, BackendPatternConfig)
            made.set_backend_pattern_config(config if known else BackendPatternConfig.from_dict(config))
        return made

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dictionary."""
        return {"name": self.name, "configs": [c.to_dict() for c in self.configs]}
