"""The package as it shows itself. Made by tools/make_stubs.py; do not edit."""
from typing import Any

from flambeau._C import *
from flambeau._basics import *
from flambeau import _C as _C
from flambeau import accelerator as accelerator
from flambeau import amp as amp
from flambeau import ao as ao
from flambeau import audio as audio
from flambeau import autograd as autograd
from flambeau import backends as backends
from flambeau import classes as classes
from flambeau import cli as cli
from flambeau import compat as compat
from flambeau import compiler as compiler
from flambeau import cpu as cpu
from flambeau import cuda as cuda
from flambeau import distributed as distributed
from flambeau import distributions as distributions
from flambeau import export as export
from flambeau import fft as fft
from flambeau import func as func
from flambeau import functional as functional
from flambeau import futures as futures
from flambeau import fx as fx
from flambeau import hub as hub
from flambeau import jit as jit
from flambeau import library as library
from flambeau import linalg as linalg
from flambeau import masked as masked
from flambeau import monitor as monitor
from flambeau import mps as mps
from flambeau import mtia as mtia
from flambeau import multiprocessing as multiprocessing
from flambeau import nested as nested
from flambeau import nn as nn
from flambeau import numa as numa
from flambeau import onnx as onnx
from flambeau import ops as ops
from flambeau import optim as optim
from flambeau import overrides as overrides
from flambeau import package as package
from flambeau import profiler as profiler
from flambeau import quantization as quantization
from flambeau import quantized as quantized
from flambeau import quasirandom as quasirandom
from flambeau import random as random
from flambeau import return_types as return_types
from flambeau import seeing as seeing
from flambeau import serialization as serialization
from flambeau import signal as signal
from flambeau import sparse as sparse
from flambeau import special as special
from flambeau import storage as storage
from flambeau import testing as testing
from flambeau import text as text
from flambeau import torch_version as torch_version
from flambeau import types as types
from flambeau import utils as utils
from flambeau import version as version
from flambeau import vision as vision
from flambeau import xpu as xpu
from flambeau.autograd import Function as Function, Variable as Variable
from flambeau.autograd.grad_mode import no_grad as no_grad, enable_grad as enable_grad, set_grad_enabled as set_grad_enabled, inference_mode as inference_mode
from flambeau.random import seed as seed, initial_seed as initial_seed, manual_seed as manual_seed, get_rng_state as get_rng_state, set_rng_state as set_rng_state, thread_safe_generator as thread_safe_generator
from flambeau.serialization import save as save, load as load
from flambeau.classes import ScriptObject as ScriptObject
from flambeau.serialization.reader import PyTorchFileReader as PyTorchFileReader
from flambeau._limits import finfo as finfo, iinfo as iinfo
from flambeau._tensor_str import set_printoptions as set_printoptions
from flambeau.storage import StorageBase as StorageBase, TypedStorage as TypedStorage, Storage as Storage
DoubleStorage: Any
FloatStorage: Any
HalfStorage: Any
LongStorage: Any
IntStorage: Any
ShortStorage: Any
CharStorage: Any
ByteStorage: Any
QInt8Storage: Any
QInt32Storage: Any
QUInt8Storage: Any
QUInt4x2Storage: Any
QUInt2x4Storage: Any
BoolStorage: Any
BFloat16Storage: Any
ComplexDoubleStorage: Any
ComplexFloatStorage: Any
from flambeau._legacy import set_default_tensor_type as set_default_tensor_type
DoubleTensor: Any
FloatTensor: Any
HalfTensor: Any
BFloat16Tensor: Any
LongTensor: Any
IntTensor: Any
ShortTensor: Any
CharTensor: Any
ByteTensor: Any
BoolTensor: Any
from flambeau._private import _assert_async as _assert_async, _int_mm as _int_mm, _is_all_true as _is_all_true, _is_any_true as _is_any_true, _nested_view_from_jagged as _nested_view_from_jagged, _shape_as_tensor as _shape_as_tensor, _amp_foreach_non_finite_check_and_unscale_ as _amp_foreach_non_finite_check_and_unscale_, _amp_update_scale_ as _amp_update_scale_, _grouped_mm as _grouped_mm, _nested_compute_contiguous_strides_offsets as _nested_compute_contiguous_strides_offsets, _nested_view_from_buffer as _nested_view_from_buffer
_segment_reduce: Any
_cast_Byte: Any
_cast_Char: Any
_cast_Short: Any
_cast_Int: Any
_cast_Long: Any
_cast_Half: Any
_cast_Float: Any
_cast_Double: Any
from flambeau._scaled_products import _scaled_mm as _scaled_mm
from flambeau._constants import AggregationType as AggregationType, qscheme as qscheme, per_tensor_affine as per_tensor_affine, per_channel_affine as per_channel_affine, per_tensor_symmetric as per_tensor_symmetric, per_channel_symmetric as per_channel_symmetric, per_channel_affine_float_qparams as per_channel_affine_float_qparams
AVG: Any
SUM: Any
from flambeau.quantized.convert import quantize_per_tensor as quantize_per_tensor, quantize_per_channel as quantize_per_channel, quantize_per_tensor_dynamic as quantize_per_tensor_dynamic, choose_qparams_optimized as choose_qparams_optimized, empty_quantized as empty_quantized, _empty_affine_quantized as _empty_affine_quantized, _empty_per_channel_affine_quantized as _empty_per_channel_affine_quantized, _choose_qparams_per_tensor as _choose_qparams_per_tensor, _make_per_tensor_quantized_tensor as _make_per_tensor_quantized_tensor, _make_per_channel_quantized_tensor as _make_per_channel_quantized_tensor
from flambeau.quantized.cells import quantized_gru_cell as quantized_gru_cell, quantized_lstm_cell as quantized_lstm_cell, quantized_rnn_relu_cell as quantized_rnn_relu_cell, quantized_rnn_tanh_cell as quantized_rnn_tanh_cell
from flambeau.utils.dlpack import to_dlpack as to_dlpack
from flambeau._removed import eig as eig, lstsq as lstsq, matrix_rank as matrix_rank, solve as solve, symeig as symeig
from flambeau._streams import Stream as Stream, Event as Event, AcceleratorError as AcceleratorError
from flambeau._symbols import SymInt as SymInt, SymFloat as SymFloat, SymBool as SymBool
from flambeau.ops.uncommon import from_file as from_file, cond as cond, lobpcg as lobpcg
from flambeau._higher_order_ops import while_loop as while_loop
from flambeau.compat import install_as_torch as install_as_torch, uninstall_as_torch as uninstall_as_torch
from flambeau.amp import autocast as autocast, GradScaler as GradScaler
from flambeau.amp.state import is_autocast_enabled as is_autocast_enabled, set_autocast_enabled as set_autocast_enabled, get_autocast_dtype as get_autocast_dtype, set_autocast_dtype as set_autocast_dtype, is_autocast_cpu_enabled as is_autocast_cpu_enabled, set_autocast_cpu_enabled as set_autocast_cpu_enabled, get_autocast_cpu_dtype as get_autocast_cpu_dtype, set_autocast_cpu_dtype as set_autocast_cpu_dtype, get_autocast_gpu_dtype as get_autocast_gpu_dtype, set_autocast_gpu_dtype as set_autocast_gpu_dtype, is_autocast_cache_enabled as is_autocast_cache_enabled, set_autocast_cache_enabled as set_autocast_cache_enabled, clear_autocast_cache as clear_autocast_cache, autocast_increment_nesting as autocast_increment_nesting, autocast_decrement_nesting as autocast_decrement_nesting, is_autocast_ipu_enabled as is_autocast_ipu_enabled, set_autocast_ipu_enabled as set_autocast_ipu_enabled, get_autocast_ipu_dtype as get_autocast_ipu_dtype, set_autocast_ipu_dtype as set_autocast_ipu_dtype, is_autocast_xla_enabled as is_autocast_xla_enabled, set_autocast_xla_enabled as set_autocast_xla_enabled, get_autocast_xla_dtype as get_autocast_xla_dtype, set_autocast_xla_dtype as set_autocast_xla_dtype
from flambeau._checks import _assert as _assert, _check as _check, _check_index as _check_index, _check_is_size as _check_is_size, _check_not_implemented as _check_not_implemented, _check_tensor_all as _check_tensor_all, _check_tensor_all_with as _check_tensor_all_with, _check_type as _check_type, _check_value as _check_value, _check_with as _check_with
from flambeau.compiler import compile as compile
from flambeau._basics import set_vital as set_vital
from flambeau.jit import ScriptModule as ScriptModule, ScriptFunction as ScriptFunction
from flambeau.futures import Future as Future
from flambeau.func import vmap as vmap
summary: Any
graph: Any
doctor: Any
from flambeau._ops import Tag as Tag
from flambeau._schema import FunctionSchema as FunctionSchema, Argument as Argument, JitType as JitType
TensorType: Any
IntType: Any
FloatType: Any
BoolType: Any
StringType: Any
NumberType: Any
ComplexType: Any
SymIntType: Any
DeviceObjType: Any
ListType: Any
OptionalType: Any
NoneType: Any
AnyType: Any
from flambeau.torch_version import __version__ as __version__

_TensorBase = _C.Tensor

# operators written in Python
def __getattr__(name: str) -> Any: ...
