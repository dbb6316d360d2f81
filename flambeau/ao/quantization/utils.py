"""What the ways of quantizing share: ranges of types, scale and zero point, what a `QConfig` asks for."""

from __future__ import annotations

import functools
import inspect
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import flambeau as fb
from flambeau import Tensor, nn
from flambeau._annotations import signature_of
from flambeau.ao.quantization.quant_type import QuantType
from flambeau.nn.utils.parametrize import is_parametrized

__all__ = [
    "NodePattern", "Pattern", "MatchAllNode", "check_node", "get_combined_dict", "is_per_tensor",
    "is_per_channel", "getattr_from_fqn", "get_qparam_dict", "get_swapped_custom_module_class",
    "activation_dtype", "weight_dtype", "activation_is_statically_quantized",
    "activation_is_dynamically_quantized", "activation_is_int8_quantized", "activation_is_int32_quantized",
    "weight_is_quantized", "weight_is_statically_quantized", "op_is_int8_dynamically_quantized",
    "get_qconfig_dtypes", "get_quant_type", "check_min_max_valid", "calculate_qmin_qmax",
    "has_no_children_ignoring_parametrizations", "get_fqn_to_example_inputs", "to_underlying_dtype",
    "determine_qparams", "validate_qmin_qmax", "DEPRECATION_WARNING",
]  # fmt: skip

NodePattern = Any
QuantizerCls = Any
Pattern = Any

DEPRECATION_WARNING = (
    "torch.ao.quantization is deprecated and will be removed in 2.10. \n"
    "For migrations of users: \n"
    "1. Eager mode quantization (torch.ao.quantization.quantize, "
    "torch.ao.quantization.quantize_dynamic), please migrate to use torchao eager mode "
    "quantize_ API instead \n"
    "2. FX graph mode quantization (torch.ao.quantization.quantize_fx.prepare_fx,"
    "torch.ao.quantization.quantize_fx.convert_fx, please migrate to use torchao pt2e quantization "
    "API instead (prepare_pt2e, convert_pt2e) \n"
    "3. pt2e quantization has been migrated to torchao "
    "(https://github.com/pytorch/ao/tree/main/torchao/quantization/pt2e) \n"
    "see https://github.com/pytorch/ao/issues/2259 for more details"
)

# steps of quantizing by name, for layers that take them themselves; `quantize` puts them here
STEPS: dict[str, Callable[..., Any]] = {}


class MatchAllNode:
    """In a pattern, any node."""


# ---------------------------------------------------------------- types
_SIGNED_8 = (fb.qint8, fb.int8)
_UNSIGNED_8 = (fb.quint8, fb.uint8)
_SIGNED_32 = (fb.qint32, fb.int32)
_FLOAT_8 = (fb.float8_e5m2, fb.float8_e4m3fn)

_STORED_AS = {
    fb.quint8: fb.uint8, fb.qint8: fb.int8, fb.qint32: fb.int32, fb.quint4x2: fb.uint8, fb.quint2x4: fb.uint8,
    **{t: t for t in (fb.uint8, fb.int8, fb.uint16, fb.int16, fb.int32, *_FLOAT_8)},
}  # fmt: skip

# the numbers of a type, and half of them where PyTorch halves
_RANGES = {
    **dict.fromkeys(_SIGNED_8, ((-128, 127), (-64, 63))),
    **dict.fromkeys(_UNSIGNED_8, ((0, 255), (0, 127))),
    **dict.fromkeys(_SIGNED_32, ((-(2**31), 2**31 - 1),) * 2),
    fb.uint16: ((0, 2**16 - 1),) * 2,
    fb.int16: ((-(2**15), 2**15 - 1),) * 2,
}


def to_underlying_dtype(qdtype: fb.dtype) -> fb.dtype:
    """The type of integers in which numbers of a quantized type are kept."""
    if qdtype not in _STORED_AS:
        raise AssertionError("Unsupported dtype: " + str(qdtype))
    return _STORED_AS[qdtype]


def is_per_tensor(qscheme: Any) -> bool:
    """Whether one scale holds for the whole tensor."""
    return qscheme in (fb.per_tensor_affine, fb.per_tensor_symmetric)


def is_per_channel(qscheme: Any) -> bool:
    """Whether each channel has a scale."""
    return qscheme in (fb.per_channel_affine, fb.per_channel_affine_float_qparams, fb.per_channel_symmetric)


def validate_qmin_qmax(quant_min: int, quant_max: int) -> None:
    """Raises for a range that lacks zero or is empty."""
    if not quant_min <= 0 <= quant_max:
        raise AssertionError("Used-specified quantization range must include 0.")
    if quant_min >= quant_max:
        raise AssertionError("qmin must be strictly less than qmax for user-specified quantization range.")


def calculate_qmin_qmax(
    quant_min: int, quant_max: int, has_customized_qrange: bool, dtype: fb.dtype, reduce_range: bool
) -> tuple[int, int]:
    """Least and greatest integer of a type, or of the range given, halved with `reduce_range`."""
    if not has_customized_qrange:
        return _RANGES.get(dtype, ((0, 15),) * 2)[bool(reduce_range)]
    bits = 8 if dtype in _SIGNED_8 else 32 if dtype in _SIGNED_32 else None
    if bits is not None and not 0 < quant_max - quant_min + 1 <= 2**bits:
        raise AssertionError(
            f"quantization range should be positive and not exceed the maximum bit range (={2**bits})."
        )
    return (quant_min // 2, quant_max // 2) if reduce_range else (quant_min, quant_max)


def check_min_max_valid(min_val: Tensor, max_val: Tensor) -> bool:
    """Whether something was observed; raises where a minimum is above the maximum."""
    empty = min_val.numel() == 0 or max_val.numel() == 0
    scalar = not empty and (min_val.dim() == 0 or max_val.dim() == 0)
    if empty or (scalar and min_val == float("inf") and max_val == float("-inf")):
        warnings.warn(
            "must run observer before calling calculate_qparams. Returning default values.", stacklevel=2
        )
        return False
    if (min_val > max_val).any():
        raise AssertionError(f"min {min_val} should be less than max {max_val}")
    return True


def _scale_and_zero(
    low: Tensor, high: Tensor, span: tuple[int, int], dtype: fb.dtype, eps: Tensor, custom: bool, qscheme: Any
) -> tuple[Tensor, Tensor]:
    """Scale and zero point of tensors of minima and maxima, each of at least one element."""
    least, most = span
    below, above = low.clamp(max=0), high.clamp(min=0)
    # clamp keeps -0.0 where torch.min(x, 0) may not; neither changes a result
    if qscheme in (fb.per_tensor_symmetric, fb.per_channel_symmetric):
        scale = fb.max(fb.max(-below, above) / (float(most - least) / 2), eps)
        middle = 0
        if dtype in _UNSIGNED_8:
            middle = (least + most) // 2 if custom else 128
        elif dtype == fb.uint16:
            middle = 2**15
        zero = fb.full(below.size(), middle, dtype=fb.int64, device=below.device)
    elif qscheme == fb.per_channel_affine_float_qparams:
        scale = (high - low) / float(most - least)
        scale = fb.where(scale > eps, scale, fb.ones_like(scale))
        zero = -1 * low / scale
    else:
        scale = fb.max((above - below) / float(most - least), eps)
        zero = (least - fb.round(below / scale).to(fb.int)).clamp(least, most)
    return scale.reshape(-1) if scale.dim() == 0 else scale, zero.reshape(-1) if zero.dim() == 0 else zero


def _nothing_seen(device: fb.device) -> tuple[Tensor, Tensor]:
    return fb.tensor([1.0], device=device.type), fb.tensor([0], device=device.type)


def determine_qparams(
    min_val: Tensor,
    max_val: Tensor,
    quant_min: int,
    quant_max: int,
    dtype: fb.dtype,
    eps: Tensor,
    has_customized_qrange: bool,
    qscheme: Any = fb.per_tensor_affine,
) -> tuple[Tensor, Tensor]:
    """Scale (double) and zero point (int64) of minima and maxima."""
    if not check_min_max_valid(min_val, max_val):
        return _nothing_seen(min_val.device)
    scale, zero = _scale_and_zero(
        min_val,
        max_val,
        (quant_min, quant_max),
        dtype,
        eps.to(min_val.device),
        has_customized_qrange,
        qscheme,
    )
    return scale.to(fb.double), zero.to(fb.int64)


def get_qparam_dict(observer_or_fake_quant: Any) -> dict[str, Any]:
    """How an observer would quantize, as a dictionary that reference modules take."""
    observer = observer_or_fake_quant
    scheme = getattr(observer, "qscheme", None)
    if not scheme or not getattr(observer, "_quantizes", True):
        return {"qscheme": None, "dtype": observer.dtype}
    found: dict[str, Any] = {"qscheme": scheme, "dtype": observer.dtype}
    if is_per_tensor(scheme):
        found["qscheme"] = fb.per_tensor_affine
    elif is_per_channel(scheme):
        # there are no symmetric tensors
        found["qscheme"] = fb.per_channel_affine if scheme == fb.per_channel_symmetric else scheme
        found["axis"] = observer.ch_axis
    else:
        raise RuntimeError(f"Unrecognized qscheme: {scheme}")
    found["scale"], found["zero_point"] = observer.calculate_qparams()
    for name in ("quant_min", "quant_max"):
        if hasattr(observer, name):
            found[name] = getattr(observer, name)
    return found


# ---------------------------------------------------------------- what a QConfig asks for
_WHOLE_8 = (*_UNSIGNED_8, *_SIGNED_8)
_STATIC = (*_WHOLE_8, fb.quint4x2, fb.qint32, fb.int16, fb.int32, *_FLOAT_8)


def _asked(qconfig: Any, for_what: str) -> None:
    if qconfig is None:
        raise AssertionError(f"qconfig must be provided to {for_what}")


def activation_dtype(qconfig: Any) -> fb.dtype:
    """The type of activations."""
    _asked(qconfig, "determine activation dtype")
    return qconfig.activation().dtype


def weight_dtype(qconfig: Any) -> fb.dtype:
    """The type of weights."""
    _asked(qconfig, "determine weight dtype")
    return qconfig.weight().dtype


def get_qconfig_dtypes(qconfig: Any) -> tuple[fb.dtype, fb.dtype, bool]:
    """Types of activations and of weights, and whether activations are quantized at the call."""
    _asked(qconfig, "extract dtypes")
    activation, weight = qconfig.activation(), qconfig.weight()
    return activation.dtype, weight.dtype, getattr(activation, "is_dynamic", False)


def activation_is_dynamically_quantized(qconfig: Any) -> bool:
    """Whether activations are quantized at the call."""
    return get_qconfig_dtypes(qconfig)[2]


def activation_is_statically_quantized(qconfig: Any) -> bool:
    """Whether activations are quantized with what calibration found."""
    kinds = (*_WHOLE_8, fb.qint32, fb.float16, fb.int16, fb.int32, *_FLOAT_8)
    return activation_dtype(qconfig) in kinds and not activation_is_dynamically_quantized(qconfig)


def activation_is_int8_quantized(qconfig: Any) -> bool:
    """Whether activations become integers of 8 bits."""
    return activation_dtype(qconfig) in _WHOLE_8


def activation_is_int32_quantized(qconfig: Any) -> bool:
    """Whether activations become integers of 32 bits."""
    return activation_dtype(qconfig) in _SIGNED_32


def weight_is_quantized(qconfig: Any) -> bool:
    """Whether weights are quantized, be it to float16."""
    kinds = (*_WHOLE_8, fb.float16, fb.quint4x2, fb.int16, fb.int32, *_FLOAT_8)
    return weight_dtype(qconfig) in kinds


def weight_is_statically_quantized(qconfig: Any) -> bool:
    """Whether weights become integers of 8 bits."""
    return weight_dtype(qconfig) in _WHOLE_8


def op_is_int8_dynamically_quantized(qconfig: Any) -> bool:
    """Whether both become integers of 8 bits, activations at the call."""
    activation, weight, dynamic = get_qconfig_dtypes(qconfig)
    return activation in _UNSIGNED_8 and weight in _SIGNED_8 and dynamic


def get_quant_type(qconfig: Any) -> QuantType:
    """The kind of quantization."""
    _asked(qconfig, "determine quant type")
    activation, weight = qconfig.activation(), qconfig.weight()
    dynamic = getattr(activation, "is_dynamic", False)
    if weight.dtype in _STATIC:
        if dynamic:
            return QuantType.DYNAMIC
        return QuantType.STATIC if activation.dtype in _STATIC else QuantType.WEIGHT_ONLY
    if weight.dtype == fb.float16:
        if dynamic:
            return QuantType.DYNAMIC
        if activation.dtype == fb.float16:
            return QuantType.STATIC
    raise Exception(
        f"Unrecognized dtype combination in get_quant_type: activation({activation.dtype}),"
        f"weight({weight.dtype})"
    )


def get_swapped_custom_module_class(
    custom_module: nn.Module, custom_module_class_mapping: dict, qconfig: Any
) -> type:
    """The class that takes the place of a module of a program."""
    classes = custom_module_class_mapping.get(get_quant_type(qconfig), {})
    if type(custom_module) not in classes:
        raise AssertionError(
            "did not find corresponding observed "
            f"module class for {type(custom_module)} in mapping: {classes}"
        )
    return classes[type(custom_module)]


# ---------------------------------------------------------------- modules and names
def get_combined_dict(default_dict: dict, additional_dict: dict) -> dict:
    """Both dictionaries; the second has the last word."""
    return {**default_dict, **additional_dict}


def getattr_from_fqn(obj: Any, fqn: str) -> Any:
    """``obj.a.b`` of ``"a.b"``."""
    return functools.reduce(getattr, fqn.split("."), obj)


def _parent_name(target: str) -> tuple[str, str]:
    before, _, last = target.rpartition(".")
    return before, last


def has_no_children_ignoring_parametrizations(module: nn.Module) -> bool:
    """Whether a module holds no modules but parametrizations."""
    if is_parametrized(module):
        return list(module._modules) == ["parametrizations"]
    return len(module._modules) == 0


def _assert_and_get_unique_device(module: nn.Module) -> Any:
    """The device of a module, None for a module without tensors."""
    devices = {t.device for t in (*module.parameters(), *module.buffers())}
    if {d.type for d in devices} == {"cpu", "meta"}:
        warnings.warn(
            "Both 'meta' and 'cpu' are present in the list of devices. Module can have one device. "
            "We Select 'cpu'.",
            stacklevel=2,
        )
        devices = {fb.device("cpu")}
    if len(devices) > 1:
        raise AssertionError(
            f"prepare only works with cpu or single-device CUDA modules, but got devices {devices}"
        )
    return next(iter(devices), None)


def _get_path_of_module(root: nn.Module, submodule: nn.Module) -> str | None:
    return next((name for name, module in root.named_modules() if module is submodule), None)


def _filled(forward: Callable, args: tuple, kwargs: dict[str, Any]) -> tuple:
    """The arguments of a call in their places, defaults for those left out at the end."""
    defaults: OrderedDict[str, Any] = OrderedDict()
    parameters = signature_of(forward).parameters
    for name, p in parameters.items():
        if p.default is not p.empty:
            defaults[name] = kwargs.get(name, p.default)
        elif p.kind is p.VAR_POSITIONAL:
            defaults[name] = kwargs.get(name, ())
        elif p.kind is p.VAR_KEYWORD:
            defaults[name] = kwargs.get(name, {})
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = sum(p.kind in by_place for p in parameters.values()) - (not inspect.ismethod(forward))
    drop = min(len(defaults), places - len(args)) if places > len(args) else 0
    # PyTorch drops as many defaults from the front as places are open, whatever their names
    return (*args, *list(defaults.values())[drop:])


def get_fqn_to_example_inputs(model: nn.Module, example_inputs: tuple) -> dict[str, tuple]:
    """The arguments that each module inside gets when the model is called.

    Parameters
    ----------
    model : module
    example_inputs : tuple
        Arguments of the call.
    """
    seen: dict[str, tuple] = {}
    call = nn.Module.__call__

    def noting(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        inputs = _filled(self.forward, args, kwargs)
        name = _get_path_of_module(model, self)
        if name is not None:
            seen[name] = inputs
        return call(self, *args, **kwargs)

    nn.Module.__call__ = noting
    try:
        model(*example_inputs)
    finally:
        nn.Module.__call__ = call
    return seen


def check_node(node: Any, modules: dict[str, nn.Module]) -> tuple[bool, bool, bool]:
    """Whether a node calls a function, a method, a module that works on quantized tensors as they are."""
    from flambeau.ao.quantization._general_ops import FUNCTIONS, METHODS, MODULES

    return (
        node.op == "call_function" and node.target in FUNCTIONS,
        node.op == "call_method" and node.target in METHODS,
        node.op == "call_module" and type(modules[str(node.target)]) in MODULES,
    )
