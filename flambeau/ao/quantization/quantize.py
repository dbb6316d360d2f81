"""Networks prepared with observers, and converted to quantized ones."""

from __future__ import annotations

import copy
import functools
import inspect
import warnings
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau.ao.nn.intrinsic import _FusedModule
from flambeau.ao.quantization.observer import _is_activation_post_process
from flambeau.ao.quantization.qconfig import (
    _activation_is_memoryless,
    _add_module_to_qconfig_obs_ctr,
    _assert_valid_qconfig,
    default_dynamic_qconfig,
    float16_dynamic_qconfig,
    float_qparams_weight_only_qconfig,
    float_qparams_weight_only_qconfig_4bit,
)
from flambeau.ao.quantization.quantization_mappings import (
    _get_special_act_post_process,
    _has_special_act_post_process,
    get_default_dynamic_quant_module_mappings,
    get_default_qat_module_mappings,
    get_default_qconfig_propagation_list,
    get_default_static_quant_module_mappings,
    get_default_static_quant_reference_module_mappings,
    no_observer_set,
)
from flambeau.ao.quantization.stubs import DeQuantStub, QuantWrapper
from flambeau.ao.quantization.utils import (
    DEPRECATION_WARNING,
    STEPS,
    get_qparam_dict,
    has_no_children_ignoring_parametrizations,
)
from flambeau.nn.utils.parametrize import type_before_parametrizations

__all__ = [
    "get_default_custom_config_dict", "propagate_qconfig_", "add_quant_dequant", "prepare", "quantize",
    "quantize_dynamic", "prepare_qat", "quantize_qat", "convert", "swap_module",
]  # fmt: skip

is_activation_post_process = _is_activation_post_process


def _deprecated(function: Callable) -> Callable:
    """The function with PyTorch's warning."""

    @functools.wraps(function)
    def warned(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(DEPRECATION_WARNING, DeprecationWarning, stacklevel=2)
        return function(*args, **kwargs)

    warned.__deprecated__ = DEPRECATION_WARNING
    return warned


@functools.cache
def get_default_custom_config_dict() -> dict[str, dict]:
    """Layers that observe inside, and what they become."""
    from flambeau.ao.nn import quantizable, quantized

    lstm, attention = quantizable.LSTM, quantizable.MultiheadAttention
    return {
        "float_to_observed_custom_module_class": {nn.LSTM: lstm, nn.MultiheadAttention: attention},
        "observed_to_quantized_custom_module_class": {
            lstm: quantized.LSTM,
            attention: quantized.MultiheadAttention,
        },
    }


# ---------------------------------------------------------------- which QConfig goes where
def _propagate_qconfig_helper(
    module: nn.Module, qconfig_dict: dict, qconfig_parent: Any = None, prefix: str = "",
    prepare_custom_config_dict: dict | None = None,
) -> None:  # fmt: skip
    qconfig = qconfig_dict.get(type_before_parametrizations(module), qconfig_parent)
    qconfig = getattr(module, "qconfig", qconfig_dict.get(prefix, qconfig))
    _assert_valid_qconfig(qconfig, module)
    module.qconfig = _add_module_to_qconfig_obs_ctr(qconfig, module)
    opaque = prepare_custom_config_dict or {}
    for name, child in module.named_children():
        if name in opaque.get("non_traceable_module_name", []):
            continue
        if type(child) in opaque.get("non_traceable_module_class", []):
            continue
        _propagate_qconfig_helper(child, qconfig_dict, module.qconfig, f"{prefix}.{name}" if prefix else name)


def propagate_qconfig_(
    module: nn.Module, qconfig_dict: dict | None = None, prepare_custom_config_dict: dict | None = None
) -> None:
    """Give all modules inside a ``qconfig``: their own, that of their class or name, or that around them.

    Parameters
    ----------
    module : Module
        Changed in place.
    qconfig_dict : dict, optional
        Classes or names to `QConfig`.
    prepare_custom_config_dict : dict, optional
    """
    _propagate_qconfig_helper(
        module, qconfig_dict or {}, prepare_custom_config_dict=prepare_custom_config_dict or {}
    )


# ---------------------------------------------------------------- observers
def _observer_forward_hook(self: nn.Module, input: Any, output: Tensor) -> Tensor:
    return self.activation_post_process(output)


def _observer_forward_pre_hook(self: nn.Module, input: tuple) -> Tensor:
    return self.activation_post_process(input[0])


def _register_activation_post_process_hook(module: nn.Module, pre_hook: bool = False) -> None:
    if not hasattr(module, "activation_post_process"):
        raise AssertionError("Expect activation_post_process attribute already attached to the module")
    if pre_hook:
        module.register_forward_pre_hook(_observer_forward_pre_hook, prepend=True)
    else:
        module.register_forward_hook(_observer_forward_hook, prepend=True)


def _get_unique_devices_(module: nn.Module) -> set[fb.device]:
    return {t.device for t in (*module.parameters(), *module.buffers()) if t.device.type != "meta"}


def _wanted(module: nn.Module) -> bool:
    return getattr(module, "qconfig", None) is not None


class _Observing:
    """Puts observers into a network."""

    def __init__(self, leaves: Any, others: Any, device: Any, custom: dict) -> None:
        self.leaves, self.others, self.device, self.custom = leaves, others or (), device, custom

    def make(self, module: nn.Module, constructor: Any = None) -> nn.Module:
        observer = (constructor or module.qconfig.activation)()
        if self.device is not None:
            observer.to(self.device)
        return observer

    def insert(self, module: nn.Module, constructor: Any = None) -> None:
        if not _wanted(module) or isinstance(module, DeQuantStub):
            return
        module.add_module("activation_post_process", self.make(module, constructor))
        _register_activation_post_process_hook(module, _activation_is_memoryless(module.qconfig))

    def visit(self, module: nn.Module) -> None:
        from flambeau.ao.nn import quantized as nnq

        functional = (nnq.FloatFunctional, nnq.QFunctional)
        for name, child in module.named_children():
            kind = type_before_parametrizations(child)
            if kind is nn.Dropout:
                continue
            if issubclass(kind, functional):
                if _wanted(child):
                    if not hasattr(child, "activation_post_process"):
                        raise AssertionError(
                            f"functional class {kind} has no pre-defined `activation_post_process`"
                        )
                    child.activation_post_process = self.make(child)
            elif isinstance(child, _FusedModule) or kind in self.others:
                self.insert(child)
            elif _has_special_act_post_process(child):
                self.insert(child, _get_special_act_post_process(child))
            elif _wanted(child) and kind in self.custom:
                observed = self.custom[kind].from_float(child)
                setattr(module, name, observed)
                if not issubclass(self.custom[kind], tuple(no_observer_set())):
                    self.insert(observed)
            else:
                self.visit(child)
        if isinstance(module, nn.Sequential) or type_before_parametrizations(module) not in self.leaves:
            return
        if has_no_children_ignoring_parametrizations(module) or hasattr(module, "weight_fake_quant"):
            self.insert(module)


def _add_observer_(
    module: nn.Module, qconfig_propagation_list: Any = None, non_leaf_module_list: Any = None,
    device: Any = None, custom_module_class_mapping: dict | None = None,
) -> None:  # fmt: skip
    """Put observers after all layers that have a ``qconfig``."""
    if device is None:
        devices = _get_unique_devices_(module)
        if len(devices) > 1:
            raise AssertionError(
                f"_add_observer_ only works with cpu or single-device CUDA modules, but got devices {devices}"
            )
        device = next(iter(devices), None)
    leaves = (
        get_default_qconfig_propagation_list()
        if qconfig_propagation_list is None
        else qconfig_propagation_list
    )
    _Observing(leaves, non_leaf_module_list, device, custom_module_class_mapping or {}).visit(module)


def add_quant_dequant(module: nn.Module) -> nn.Module:
    """Wrap all layers that have a ``qconfig`` in `QuantWrapper`; a single layer comes back wrapped."""
    if has_no_children_ignoring_parametrizations(module) and getattr(module, "qconfig", None):
        return QuantWrapper(module)
    for name, child in module.named_children():
        module._modules[name] = add_quant_dequant(child)
    return module


@_deprecated
def prepare(
    model: nn.Module, inplace: bool = False, allow_list: Any = None,
    observer_non_leaf_module_list: Any = None, prepare_custom_config_dict: dict | None = None,
) -> nn.Module:  # fmt: skip
    """A network with observers; its modules have a ``qconfig``.

    Parameters
    ----------
    model : Module
    inplace : bool
    allow_list : set, optional
        Classes of layers that get observers.
    observer_non_leaf_module_list : set, optional
        Classes of modules with modules inside that get observers.
    prepare_custom_config_dict : dict, optional
        Classes of layers that observe inside.
    """
    if prepare_custom_config_dict is None:
        prepare_custom_config_dict = get_default_custom_config_dict()
    custom = prepare_custom_config_dict.get("float_to_observed_custom_module_class", {})
    if not inplace:
        model = copy.deepcopy(model)
    propagate_qconfig_(model, qconfig_dict=None)
    if not any(getattr(m, "qconfig", None) for m in model.modules()):
        warnings.warn(
            "None of the submodule got qconfig applied. Make sure you "
            "passed correct configuration through `qconfig_dict` or "
            "by assigning the `.qconfig` attribute directly on submodules",
            stacklevel=2,
        )
    _add_observer_(model, allow_list, observer_non_leaf_module_list, custom_module_class_mapping=custom)
    return model


def _remove_activation_post_process(module: nn.Module) -> None:
    if _is_activation_post_process(getattr(module, "activation_post_process", None)):
        del module.activation_post_process
    for hooks, ours in (
        (module._forward_pre_hooks, _observer_forward_pre_hook),
        (module._forward_hooks, _observer_forward_hook),
    ):
        for key in [key for key, hook in hooks.items() if hook is ours]:
            hooks.pop(key)


def _remove_qconfig(module: nn.Module) -> None:
    for child in module.children():
        _remove_qconfig(child)
    if hasattr(module, "qconfig"):
        del module.qconfig
    _remove_activation_post_process(module)


# ---------------------------------------------------------------- the ways from a network to a quantized one
@_deprecated
def quantize(
    model: nn.Module, run_fn: Callable, run_args: tuple, mapping: dict | None = None, inplace: bool = False
) -> nn.Module:
    """Prepare a network, calibrate it with ``run_fn(model, *run_args)``, convert it.

    Parameters
    ----------
    model : Module
    run_fn : callable
    run_args : tuple
    mapping : dict, optional
        Classes of layers to quantized ones.
    inplace : bool
    """
    if mapping is None:
        mapping = get_default_static_quant_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    model.eval()
    prepare(model, inplace=True)
    run_fn(model, *run_args)
    convert(model, mapping, inplace=True)
    return model


_RECURRENT = (nn.LSTM, nn.GRU, nn.LSTMCell, nn.RNNCell, nn.GRUCell)
# what each type of weights stands for: the QConfig, and the layers that get it if none are named
_DYNAMIC = {
    fb.qint8: (default_dynamic_qconfig, (nn.Linear, *_RECURRENT)),
    fb.float16: (float16_dynamic_qconfig, (nn.Linear, *_RECURRENT)),
    fb.quint8: (float_qparams_weight_only_qconfig, (nn.EmbeddingBag, nn.Embedding)),
    fb.quint4x2: (float_qparams_weight_only_qconfig_4bit, (nn.EmbeddingBag,)),
}


@_deprecated
def quantize_dynamic(
    model: nn.Module, qconfig_spec: Any = None, dtype: fb.dtype = fb.qint8, mapping: dict | None = None,
    inplace: bool = False,
) -> nn.Module:  # fmt: skip
    """Quantize weights now and activations at the call.

    Parameters
    ----------
    model : Module
    qconfig_spec : dict or set, optional
        Classes or names of modules to `QConfig`, or only those to quantize.
    dtype : dtype
        What weights become.
    mapping : dict, optional
        Classes of layers to quantized ones.
    inplace : bool
    """
    if qconfig_spec is None or isinstance(qconfig_spec, set):
        if dtype not in _DYNAMIC:
            if qconfig_spec is not None:
                raise RuntimeError("Unknown dtype specified for quantize_dynamic: ", str(dtype))
            raise ValueError(
                f"Don't know how to quantize with default settings for {dtype}. Provide full qconfig please"
            )
        qconfig, kinds = _DYNAMIC[dtype]
        qconfig_spec = dict.fromkeys(kinds if qconfig_spec is None else qconfig_spec, qconfig)
    if mapping is None:
        mapping = get_default_dynamic_quant_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    model.eval()
    propagate_qconfig_(model, qconfig_spec)
    convert(model, mapping, inplace=True)
    return model


@_deprecated
def prepare_qat(model: nn.Module, mapping: dict | None = None, inplace: bool = False) -> nn.Module:
    """A network, in training mode, with fake quantization.

    Parameters
    ----------
    model : Module
    mapping : dict, optional
        Classes of layers to those with fake quantization.
    inplace : bool
    """
    if not model.training:
        raise AssertionError("prepare_qat only works on models in training mode")
    if mapping is None:
        mapping = get_default_qat_module_mappings()
    if not inplace:
        model = copy.deepcopy(model)
    propagate_qconfig_(model, qconfig_dict=None)
    convert(model, mapping=mapping, inplace=True, remove_qconfig=False)
    prepare(model, observer_non_leaf_module_list=set(mapping.values()), inplace=True)
    return model


@_deprecated
def quantize_qat(model: nn.Module, run_fn: Callable, run_args: tuple, inplace: bool = False) -> nn.Module:
    """Prepare a network for training, train it with ``run_fn(model, *run_args)``, convert it.

    Parameters
    ----------
    model : Module
    run_fn : callable
    run_args : tuple
    inplace : bool
    """
    if not inplace:
        model = copy.deepcopy(model)
    model.train()
    prepare_qat(model, inplace=True)
    run_fn(model, *run_args)
    convert(model, inplace=True)
    return model


@_deprecated
def convert(
    module: nn.Module, mapping: dict | None = None, inplace: bool = False, remove_qconfig: bool = True,
    is_reference: bool = False, convert_custom_config_dict: dict | None = None,
    use_precomputed_fake_quant: bool = False,
) -> nn.Module:  # fmt: skip
    """A network whose layers are replaced by those of `mapping`, made by their ``from_float``.

    Parameters
    ----------
    module : Module
        Prepared, and calibrated or trained.
    mapping : dict, optional
    inplace : bool
    remove_qconfig : bool
        Remove ``qconfig`` and observers.
    is_reference : bool
        Take layers that dequantize, compute and quantize.
    convert_custom_config_dict : dict, optional
        What layers that observe inside become.
    use_precomputed_fake_quant : bool
    """
    if not inplace:
        module = copy.deepcopy(module)
    _convert(
        module, mapping, True, is_reference, convert_custom_config_dict, use_precomputed_fake_quant
    )  # fmt: skip
    if remove_qconfig:
        _remove_qconfig(module)
    return module


def _convert(
    module: nn.Module, mapping: dict | None = None, inplace: bool = False, is_reference: bool = False,
    convert_custom_config_dict: dict | None = None, use_precomputed_fake_quant: bool = False,
) -> nn.Module:  # fmt: skip
    if mapping is None and is_reference:
        mapping = get_default_static_quant_reference_module_mappings()
    elif mapping is None:
        mapping = get_default_static_quant_module_mappings()
    if convert_custom_config_dict is None:
        convert_custom_config_dict = get_default_custom_config_dict()
    custom = convert_custom_config_dict.get("observed_to_quantized_custom_module_class", {})
    if not inplace:
        module = copy.deepcopy(module)

    def swap(outer: nn.Module) -> None:
        new = {}
        for name, child in outer.named_children():
            # what is replaced as a whole is left as it is inside
            if not isinstance(child, _FusedModule) and type_before_parametrizations(child) not in custom:
                swap(child)
            new[name] = swap_module(child, mapping, custom, use_precomputed_fake_quant)
        outer._modules.update(new)

    swap(module)
    return module


def swap_module(
    mod: nn.Module, mapping: dict, custom_module_class_mapping: dict, use_precomputed_fake_quant: bool = False
) -> nn.Module:
    """What takes the place of a module; the module itself where there is nothing or it has no ``qconfig``.

    Parameters
    ----------
    mod : Module
    mapping, custom_module_class_mapping : dict
    use_precomputed_fake_quant : bool
    """
    kind = type_before_parametrizations(mod)
    if not _wanted(mod) or not (kind in custom_module_class_mapping or kind in mapping):
        return mod
    if kind in custom_module_class_mapping:
        new = custom_module_class_mapping[kind].from_observed(mod)
    elif getattr(mapping[kind], "_IS_REFERENCE", False):
        observer = mod.qconfig.weight()
        observer(mod.weight)
        new = mapping[kind].from_float(mod, get_qparam_dict(observer))
    elif mapping[kind] is None:
        raise NotImplementedError(f"convert: flambeau has no quantized layer for {kind.__name__}")
    else:
        make = mapping[kind].from_float
        known = "use_precomputed_fake_quant" in inspect.signature(make).parameters
        new = make(mod, **({"use_precomputed_fake_quant": use_precomputed_fake_quant} if known else {}))
    for hook in mod._forward_pre_hooks.values():
        new.register_forward_pre_hook(hook)
    for hook in mod._forward_hooks.values():
        if hook is not _observer_forward_hook:
            new.register_forward_hook(hook)
    devices = _get_unique_devices_(mod)
    if len(devices) > 1:
        raise AssertionError(
            f"swap_module only works with cpu or single-device CUDA modules, but got devices {devices}"
        )
    if devices:
        new.to(next(iter(devices)))
    return new


def _get_observer_dict(mod: nn.Module, target_dict: dict[str, nn.Module], prefix: str = "") -> None:
    """Write all observers into a dictionary."""
    start = prefix + "." if prefix else ""
    if hasattr(mod, "activation_post_process"):
        target_dict[start + "activation_post_process"] = mod.activation_post_process
    for name, child in mod.named_children():
        _get_observer_dict(child, target_dict, start + name if prefix else name)


STEPS.update(prepare=prepare, prepare_qat=prepare_qat)
