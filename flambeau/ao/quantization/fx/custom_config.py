"""Settings of programs for `prepare_fx`, `convert_fx` and `fuse_fx`."""

from __future__ import annotations

from typing import Any, NoReturn

from flambeau.ao.quantization.quant_type import QuantType, _get_quant_type_to_str, _quant_type_from_str

__all__ = ["ConvertCustomConfig", "FuseCustomConfig", "PrepareCustomConfig"]


class _Custom:
    preserved_attributes: list[str]

    def set_preserved_attributes(self, attributes: list[str]) -> Any:
        """Attributes of the module that the graph module keeps."""
        self.preserved_attributes = attributes
        return self

    def __repr__(self) -> str:
        shown = {k: v for k, v in self.__dict__.items() if v}
        return f"{type(self).__name__}({shown})"


def _types_to_dict(mapping: dict[QuantType, dict]) -> dict[str, dict]:
    return {_get_quant_type_to_str(kind): dict(classes) for kind, classes in mapping.items()}


class PrepareCustomConfig(_Custom):
    """What `prepare_fx` treats otherwise. The methods give the settings back."""

    def __init__(self) -> None:
        self.float_to_observed_mapping: dict[QuantType, dict[type, type]] = {}
        self.non_traceable_module_names: list[str] = []
        self.non_traceable_module_classes: list[type] = []
        self.input_quantized_indexes: list[int] = []
        self.output_quantized_indexes: list[int] = []
        self.preserved_attributes: list[str] = []

    def _no_standalone(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotImplementedError("prepare_fx: flambeau has no standalone modules")

    set_standalone_module_name = set_standalone_module_class = _no_standalone

    def set_float_to_observed_mapping(
        self, float_class: type, observed_class: type, quant_type: QuantType = QuantType.STATIC
    ) -> PrepareCustomConfig:
        """A class of layers, and the one that observes inside."""
        self.float_to_observed_mapping.setdefault(quant_type, {})[float_class] = observed_class
        return self

    def set_non_traceable_module_names(self, module_names: list[str]) -> PrepareCustomConfig:
        """Modules that are not looked into."""
        self.non_traceable_module_names = module_names
        return self

    def set_non_traceable_module_classes(self, module_classes: list[type]) -> PrepareCustomConfig:
        """Classes of modules that are not looked into."""
        self.non_traceable_module_classes = module_classes
        return self

    def set_input_quantized_indexes(self, indexes: list[int]) -> PrepareCustomConfig:
        """Inputs that are quantized tensors."""
        self.input_quantized_indexes = indexes
        return self

    def set_output_quantized_indexes(self, indexes: list[int]) -> PrepareCustomConfig:
        """Results that stay quantized tensors."""
        self.output_quantized_indexes = indexes
        return self

    _KEYS = {
        "non_traceable_module_name": "non_traceable_module_names",
        "non_traceable_module_class": "non_traceable_module_classes",
        "input_quantized_idxs": "input_quantized_indexes",
        "output_quantized_idxs": "output_quantized_indexes",
        "preserved_attributes": "preserved_attributes",
    }

    @classmethod
    def from_dict(cls, prepare_custom_config_dict: dict[str, Any]) -> PrepareCustomConfig:
        """The settings of a dictionary."""
        made = cls()
        for key in ("standalone_module_name", "standalone_module_class"):
            if prepare_custom_config_dict.get(key):
                made._no_standalone()
        for kind, classes in prepare_custom_config_dict.get(
            "float_to_observed_custom_module_class", {}
        ).items():
            for old, new in classes.items():
                made.set_float_to_observed_mapping(old, new, _quant_type_from_str(kind))
        for key, name in cls._KEYS.items():
            setattr(made, name, prepare_custom_config_dict.get(key, []))
        return made

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dictionary, without those that are empty."""
        made = {key: getattr(self, name) for key, name in self._KEYS.items() if getattr(self, name)}
        if self.float_to_observed_mapping:
            made["float_to_observed_custom_module_class"] = _types_to_dict(self.float_to_observed_mapping)
        return made


class ConvertCustomConfig(_Custom):
    """What `convert_fx` treats otherwise."""

    def __init__(self) -> None:
        self.observed_to_quantized_mapping: dict[QuantType, dict[type, type]] = {}
        self.preserved_attributes: list[str] = []

    def set_observed_to_quantized_mapping(
        self, observed_class: type, quantized_class: type, quant_type: QuantType = QuantType.STATIC
    ) -> ConvertCustomConfig:
        """A class of layers that observe inside, and the quantized one."""
        self.observed_to_quantized_mapping.setdefault(quant_type, {})[observed_class] = quantized_class
        return self

    @classmethod
    def from_dict(cls, convert_custom_config_dict: dict[str, Any]) -> ConvertCustomConfig:
        """The settings of a dictionary."""
        made = cls()
        for kind, classes in convert_custom_config_dict.get(
            "observed_to_quantized_custom_module_class", {}
        ).items():
            for old, new in classes.items():
                made.set_observed_to_quantized_mapping(old, new, _quant_type_from_str(kind))
        return made.set_preserved_attributes(convert_custom_config_dict.get("preserved_attributes", []))

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dictionary, without those that are empty."""
        made: dict[str, Any] = {}
        if self.observed_to_quantized_mapping:
            made["observed_to_quantized_custom_module_class"] = _types_to_dict(
                self.observed_to_quantized_mapping
            )
        if self.preserved_attributes:
            made["preserved_attributes"] = self.preserved_attributes
        return made


class FuseCustomConfig(_Custom):
    """What `fuse_fx` treats otherwise."""

    def __init__(self) -> None:
        self.preserved_attributes: list[str] = []

    @classmethod
    def from_dict(cls, fuse_custom_config_dict: dict[str, Any]) -> FuseCustomConfig:
        """The settings of a dictionary."""
        return cls().set_preserved_attributes(fuse_custom_config_dict.get("preserved_attributes", []))

    def to_dict(self) -> dict[str, Any]:
        """The settings as a dictionary."""
        return {"preserved_attributes": self.preserved_attributes} if self.preserved_attributes else {}
