"""`QConfig`: which observers go to activations and weights."""

from __future__ import annotations

import warnings
from collections import namedtuple
from collections.abc import Callable
from functools import partial
from typing import Any

import flambeau as fb
from flambeau import nn
from flambeau.ao.quantization.fake_quantize import (
    FakeQuantize,
    FakeQuantizeBase,
    FusedMovingAvgObsFakeQuantize,
    default_dynamic_fake_quant,
    default_embedding_fake_quant,
    default_embedding_fake_quant_4bit,
    default_fake_quant,
    default_fused_act_fake_quant,
    default_fused_per_channel_wt_fake_quant,
    default_fused_wt_fake_quant,
    default_per_channel_weight_fake_quant,
    default_weight_fake_quant,
    fused_per_channel_wt_fake_quant_range_neg_127_to_127,
    fused_wt_fake_quant_range_neg_127_to_127,
)
from flambeau.ao.quantization.observer import (
    HistogramObserver,
    MinMaxObserver,
    MovingAverageMinMaxObserver,
    NoopObserver,
    PerChannelMinMaxObserver,
    PlaceholderObserver,
    ReuseInputObserver,
    _PartialWrapper,
    default_debug_observer,
    default_dynamic_quant_observer,
    default_float_qparams_observer,
    default_float_qparams_observer_4bit,
    default_observer,
    default_per_channel_weight_observer,
    default_placeholder_observer,
    default_reuse_input_observer,
    default_weight_observer,
    per_channel_weight_observer_range_neg_127_to_127,
    weight_observer_range_neg_127_to_127,
)

__all__ = [
    "QConfig", "QConfigDynamic", "default_qconfig", "default_debug_qconfig", "default_per_channel_qconfig",
    "default_dynamic_qconfig", "float16_dynamic_qconfig", "float16_static_qconfig",
    "per_channel_dynamic_qconfig", "float_qparams_weight_only_qconfig",
    "float_qparams_weight_only_qconfig_4bit", "default_quint8_weight_qconfig", "default_qat_qconfig",
    "default_dynamic_qat_qconfig", "default_weight_only_qconfig", "default_activation_only_qconfig",
    "default_qat_qconfig_v2", "default_reuse_input_qconfig", "default_symmetric_qnnpack_qconfig",
    "default_per_channel_symmetric_qnnpack_qconfig", "default_symmetric_qnnpack_qat_qconfig",
    "default_per_channel_symmetric_qnnpack_qat_qconfig", "default_embedding_qat_qconfig",
    "default_embedding_qat_qconfig_4bit", "get_default_qconfig", "get_default_qat_qconfig",
    "get_default_qconfig_dict", "get_default_qat_qconfig_dict", "QConfigAny",
    "qconfig_equals",
]  # fmt: skip


def _no_instance(name: str, *given: Any) -> None:
    if any(isinstance(g, nn.Module) for g in given):
        raise ValueError(
            f"{name} received observer instance, please pass observer class instead. "
            "Use MyObserver.with_args(x=1) to override arguments to constructor if needed"
        )


class QConfig(namedtuple("QConfig", ["activation", "weight"])):
    """How a layer is quantized.

    Parameters
    ----------
    activation, weight : constructors
        Of observers or of fake quantization.
    """

    __slots__ = ()

    def __new__(cls, activation: Any, weight: Any) -> QConfig:
        _no_instance("QConfig", activation, weight)
        return super().__new__(cls, activation, weight)


class QConfigDynamic(namedtuple("QConfigDynamic", ["activation", "weight"])):
    """The former `QConfig` of dynamic quantization."""

    __slots__ = ()

    def __new__(cls, activation: Any = nn.Identity, weight: Any = nn.Identity) -> QConfigDynamic:
        warnings.warn(
            "`QConfigDynamic` is going to be deprecated in PyTorch 1.12, please use `QConfig` instead",
            FutureWarning,
            stacklevel=2,
        )
        _no_instance("QConfigDynamic", weight)
        return super().__new__(cls, activation, weight)


QConfigAny = QConfig | None

_half = PlaceholderObserver.with_args(dtype=fb.float16)
_even_histogram = HistogramObserver.with_args(dtype=fb.qint8, reduce_range=False, eps=2**-12)

default_qconfig = QConfig(default_observer, default_weight_observer)
default_debug_qconfig = QConfig(default_debug_observer, default_weight_observer)
default_per_channel_qconfig = QConfig(default_observer, default_per_channel_weight_observer)
default_dynamic_qconfig = QConfig(default_dynamic_quant_observer, default_weight_observer)
float16_dynamic_qconfig = QConfig(
    PlaceholderObserver.with_args(dtype=fb.float16, is_dynamic=True),
    PlaceholderObserver.with_args(dtype=fb.float16),
)
float16_static_qconfig = QConfig(_half, PlaceholderObserver.with_args(dtype=fb.float16))
per_channel_dynamic_qconfig = QConfig(default_dynamic_quant_observer, default_per_channel_weight_observer)
float_qparams_weight_only_qconfig = QConfig(default_placeholder_observer, default_float_qparams_observer)
float_qparams_weight_only_qconfig_4bit = QConfig(
    default_placeholder_observer, default_float_qparams_observer_4bit
)
default_qat_qconfig = QConfig(default_fake_quant, default_weight_fake_quant)
default_dynamic_qat_qconfig = QConfig(default_dynamic_fake_quant, default_weight_fake_quant)
default_weight_only_qconfig = QConfig(nn.Identity, default_weight_fake_quant)
default_activation_only_qconfig = QConfig(default_fake_quant, nn.Identity)
default_qat_qconfig_v2 = QConfig(default_fused_act_fake_quant, default_fused_wt_fake_quant)
default_reuse_input_qconfig = QConfig(default_reuse_input_observer, NoopObserver)
default_symmetric_qnnpack_qconfig = QConfig(_even_histogram, weight_observer_range_neg_127_to_127)
default_per_channel_symmetric_qnnpack_qconfig = QConfig(
    HistogramObserver.with_args(dtype=fb.qint8, reduce_range=False, eps=2**-12),
    per_channel_weight_observer_range_neg_127_to_127,
)
default_embedding_qat_qconfig = QConfig(
    NoopObserver.with_args(dtype=fb.float32), default_embedding_fake_quant
)
default_embedding_qat_qconfig_4bit = QConfig(
    NoopObserver.with_args(dtype=fb.float32), default_embedding_fake_quant_4bit
)
default_quint8_weight_qconfig = QConfig(HistogramObserver, MinMaxObserver)


def _even_fake() -> _PartialWrapper:
    return FusedMovingAvgObsFakeQuantize.with_args(
        observer=MovingAverageMinMaxObserver, quant_min=-128, quant_max=127, dtype=fb.qint8,
        reduce_range=False, eps=2**-12,
    )  # fmt: skip


default_symmetric_qnnpack_qat_qconfig = QConfig(_even_fake(), fused_wt_fake_quant_range_neg_127_to_127)
default_per_channel_symmetric_qnnpack_qat_qconfig = QConfig(
    _even_fake(), fused_per_channel_wt_fake_quant_range_neg_127_to_127
)
_default_fp32_placeholder_qconfig = QConfig(
    PlaceholderObserver.with_args(dtype=fb.float32), PlaceholderObserver.with_args(dtype=fb.float32)
)
_default_quint8_placeholder_qconfig = QConfig(PlaceholderObserver.with_args(dtype=fb.quint8), None)

_BACKENDS = ["fbgemm", "x86", "qnnpack", "onednn"]
# whether activations use half of the integers: an instruction of older processors overflows
_HALVED = {"fbgemm": {"reduce_range": True}, "x86": {"reduce_range": True}}


def _known(backend: str) -> None:
    if backend not in _BACKENDS:
        raise AssertionError(f"backend: {backend} not supported. backend must be one of {_BACKENDS}")


def get_default_qconfig(backend: str = "x86", version: int = 0) -> QConfig:
    """The `QConfig` for calibration.

    Parameters
    ----------
    backend : {"x86", "fbgemm", "qnnpack", "onednn"}
    version : int
    """
    _known(backend)
    if version != 0:
        raise AssertionError(
            f"Version number: {version} in get_default_qconfig is not supported. Version number must be 0"
        )
    if backend == "onednn" and not fb.cpu._is_vnni_supported():
        warnings.warn(
            "Default qconfig of oneDNN backend with reduce_range of false may have accuracy issues "
            "on CPU without Vector Neural Network Instruction support.",
            stacklevel=2,
        )
    return QConfig(
        HistogramObserver.with_args(**_HALVED.get(backend, {"reduce_range": False})),
        default_weight_observer if backend == "qnnpack" else default_per_channel_weight_observer,
    )


def get_default_qat_qconfig(backend: str = "x86", version: int = 1) -> QConfig:
    """The `QConfig` for training.

    Parameters
    ----------
    backend : {"x86", "fbgemm", "qnnpack", "onednn"}
    version : {0, 1}
        1: observer and fake quantization are one operator.
    """
    _known(backend)
    if version not in (0, 1):
        raise AssertionError(
            f"Version number: {version}in get_default_qat_qconfig is not supported. "
            "Version number must be 0 or 1"
        )
    fused = version == 1
    whole, channels = (
        (default_fused_wt_fake_quant, default_fused_per_channel_wt_fake_quant)
        if fused
        else (default_weight_fake_quant, default_per_channel_weight_fake_quant)
    )
    extra = {} if backend == "onednn" else _HALVED.get(backend, {"reduce_range": False})
    activation = (FusedMovingAvgObsFakeQuantize if fused else FakeQuantize).with_args(
        observer=MovingAverageMinMaxObserver, quant_min=0, quant_max=255, **extra
    )
    return QConfig(activation, whole if backend == "qnnpack" else channels)


# what gives the mappings that the dictionaries below are made of; `qconfig_mapping` puts its functions here
_MAPPINGS: dict[str, Callable[[str, int], Any]] = {}


def _former(name: str, backend: str, version: int) -> dict[str, Any]:
    warnings.warn(
        f"`torch.ao.quantization.{name}_dict` is deprecated and will be removed in "
        f"a future version. Please use `torch.ao.quantization.{name}_mapping` instead.",
        FutureWarning,
        stacklevel=3,
    )
    return _MAPPINGS[name](backend, version).to_dict()


def get_default_qconfig_dict(backend: str = "x86", version: int = 0) -> dict[str, Any]:
    """`get_default_qconfig_mapping` as a dictionary."""
    return _former("get_default_qconfig", backend, version)


def get_default_qat_qconfig_dict(backend: str = "x86", version: int = 1) -> dict[str, Any]:
    """`get_default_qat_qconfig_mapping` as a dictionary."""
    return _former("get_default_qat_qconfig", backend, version)


def _assert_valid_qconfig(qconfig: QConfig | None, mod: nn.Module) -> None:
    """Raises for transposed convolutions with a scale for each channel."""
    transposed = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)
    if qconfig is None or not isinstance(mod, transposed) or qconfig.weight is None:
        return
    if isinstance(qconfig.weight(), PerChannelMinMaxObserver):
        raise AssertionError("Per channel weight observer is not supported yet for ConvTranspose{n}d.")


def _device_options(module: nn.Module) -> dict[str, fb.device] | None:
    devices = {t.device for t in (*module.parameters(), *module.buffers())}
    return {"device": next(iter(devices))} if devices else None


def _add_module_to_qconfig_obs_ctr(qconfig: QConfigAny, module: nn.Module | None) -> Any:
    """A `QConfig` whose observers are made on the device of a module."""
    if module is None or qconfig is None or qconfig._fields != ("activation", "weight"):
        return qconfig

    def there(constructor: Any) -> Any:
        try:
            constructor.with_args(factory_kwargs=None)()
        except (AttributeError, TypeError):  # no such method, or no such argument
            return constructor
        return constructor.with_callable_args(factory_kwargs=partial(_device_options, module))

    return QConfig(there(qconfig.activation), there(qconfig.weight))


_ObserverOrFakeQuantizeConstructor = Any


def _obs_or_fq_ctr_equals(one: Any, other: Any) -> bool:
    if not (isinstance(one, _PartialWrapper) and isinstance(other, _PartialWrapper)):
        return one == other
    return _partial_wrapper_equals(one, other)


def _partial_wrapper_equals(one: _PartialWrapper, other: _PartialWrapper) -> bool:
    mine, yours = dict(one.p.keywords), dict(other.p.keywords)
    if "observer" in mine and "observer" in yours:
        if not _obs_or_fq_ctr_equals(mine.pop("observer"), yours.pop("observer")):
            return False
    return one.p.func == other.p.func and one.p.args == other.p.args and mine == yours


def qconfig_equals(q1: QConfigAny, q2: QConfigAny) -> bool:
    """Whether two `QConfig` make the same observers."""
    if q1 is None or q2 is None:
        return q1 == q2
    try:
        pairs = (q1.activation, q2.activation), (q1.weight, q2.weight)
        return all(_obs_or_fq_ctr_equals(*pair) for pair in pairs)
    except AttributeError:
        return q1 == q2


def _activation_is_memoryless(qconfig: QConfig) -> bool:
    """Whether the observer of activations keeps nothing from one tensor to the next."""
    observer: Any = qconfig.activation()
    if isinstance(observer, FakeQuantizeBase) and hasattr(observer, "activation_post_process"):
        observer = observer.activation_post_process
    return getattr(observer, "averaging_constant", None) == 1


def _is_reuse_input_qconfig(qconfig: QConfig | None) -> bool:
    return (
        qconfig is not None
        and isinstance(qconfig.activation(), ReuseInputObserver)
        and isinstance(qconfig.weight(), NoopObserver)
    )
