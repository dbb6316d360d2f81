"""Operators of ``torch.ops.aten`` that the core's table does not have: those of `flambeau.ops`, and some
that are
methods of tensors here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from flambeau import _C
from flambeau._C import Tensor

from . import _lookup
from .ops import registry

__all__ = ["python_overloads", "resampled_overload"]


def _is_all_true(input: Tensor) -> Tensor:
    return _C.all(input)


def _copy(input: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    return input.clone().copy_(src, non_blocking)


def _assert_scalar(input: float, assert_msg: str) -> None:
    if not input:
        raise RuntimeError(assert_msg)


def _assert_tensor_metadata(
    a: Tensor,
    size: list[int] | None = None,
    stride: list[int] | None = None,
    dtype: _C.dtype | None = None,
    *,
    device: _C.device | None = None,
    layout: _C.layout | None = None,
) -> None:
    for name, wanted, found in (
        ("size", size and list(size), list(a.shape)),
        ("stride", stride and list(stride), list(a.stride())),
        ("dtype", dtype, a.dtype),
        ("device", device, a.device),
        ("layout", layout, a.layout),
    ):
        if wanted is not None and wanted != found:
            raise RuntimeError(f"Tensor {name} mismatch! Expected: {wanted}, Got: {found}")


def _constrain_range(size: int, *, min: int | None = None, max: int | None = None) -> None:
    if (min is not None and size < min) or (max is not None and size > max):
        raise RuntimeError(f"Invalid value range for {size} between [{min}, {max}].")


def _constrain_range_for_size(size: int, *, min: int | None = None, max: int | None = None) -> None:
    _constrain_range(size, min=min or 0, max=max)


def _assert_async(
    input: Tensor, assert_msg: str = "Expected Tensor with single nonzero value, but got zero"
) -> None:
    if input.numel() != 1 or not input:
        raise RuntimeError(assert_msg)


def _batch_norm_no_stats(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    return _C.native_batch_norm(input, weight, bias, None, None, training, momentum, eps)


def _batch_norm_functional(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    mean, var = running_mean.clone(), running_var.clone()
    return (*_C.native_batch_norm(input, weight, bias, mean, var, training, momentum, eps), mean, var)


def _batch_norm_no_training(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor,
    running_var: Tensor,
    momentum: float,
    eps: float,
) -> tuple[Tensor, ...]:
    return _C.native_batch_norm(input, weight, bias, running_mean, running_var, False, momentum, eps)


def resampled_overload(name: str) -> tuple[str, str, Callable]:
    """``upsample_…`` with a factor for each dimension; the core's form has a list of them."""
    dims, aligned = int(name[-2]), "nearest" not in name
    axes = "dhw"[3 - dims :] if dims > 1 else ""
    scales = [f"scales_{axis}" for axis in axes] or ["scales"]
    flag = "bool align_corners, " if aligned else ""
    schema = (
        f"aten::{name}(Tensor self, SymInt[{dims}] output_size, {flag}"
        f"{', '.join(f'float? {s}=None' for s in scales)}) -> Tensor"
    )
    core = getattr(_C._nn, name)

    def resampled(input: Tensor, output_size: list[int], *rest: Any, **named: Any) -> Tensor:
        flags, factors = rest[:aligned], list(rest[aligned:])
        if aligned and not flags:
            flags = (named.pop("align_corners"),)
        factors += [named.get(s) for s in scales[len(factors) :]]
        given = None if any(f is None for f in factors) else factors
        # sizes and factors at once are refused by the public form: the factors say how positions are counted
        if given is None or [int(s * f) for s, f in zip(input.shape[2:], given)] != list(output_size):
            return core(input, output_size, *flags, None)
        return core(input, None, *flags, given)

    return "", schema, resampled


def _to_layout(
    input: Tensor,
    *,
    dtype: _C.dtype | None = None,
    layout: _C.layout | None = None,
    device: _C.device | None = None,
    pin_memory: bool | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: _C.memory_format | None = None,
) -> Tensor:
    if layout is not None and layout != input.layout:
        raise RuntimeError(
            "to(options) doesn't support converting to a different layout, but got self.layout being "
            f"{input.layout} and options.layout set as {layout}"
        )
    wanted = (input.device if device is None else device, input.dtype if dtype is None else dtype)
    return input.to(*wanted, non_blocking=non_blocking, copy=copy, memory_format=memory_format)


def _repeat_interleave(
    input: Tensor, repeats: Tensor | int, dim: int | None = None, *, output_size: int | None = None
) -> Tensor:
    return input.repeat_interleave(repeats, dim, output_size=output_size)


def _repeated_positions(repeats: Tensor, *, output_size: int | None = None) -> Tensor:
    return _lookup.find("repeat_interleave")(repeats, output_size=output_size)


def _squeeze_copy(input: Tensor, dim: int | list[int] | None = None) -> Tensor:
    return (input.squeeze() if dim is None else input.squeeze(dim)).clone()


def _view_copy(input: Tensor, size: list[int] | _C.dtype) -> Tensor:
    return input.view(size).clone()


def _pin_memory(input: Tensor, device: _C.device | None = None) -> Tensor:
    return input.pin_memory(device)


def _sparse_addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return _C.addmm(input, mat1, mat2, beta=beta, alpha=alpha)


# name -> (overload, schema, function)
_METHODS = {
    "sym_size": ("int", "aten::sym_size.int(Tensor self, int dim) -> SymInt", Tensor.size),
    "sym_stride": ("int", "aten::sym_stride.int(Tensor self, int dim) -> SymInt", Tensor.stride),
    "sym_storage_offset": (
        "",
        "aten::sym_storage_offset(Tensor self) -> SymInt",
        Tensor.storage_offset,
    ),
    "size": ("int", "aten::size.int(Tensor self, int dim) -> int", Tensor.size),
    "stride": ("int", "aten::stride.int(Tensor self, int dim) -> int", Tensor.stride),
    "sym_numel": ("", "aten::sym_numel(Tensor self) -> SymInt", Tensor.numel),
    "numel": ("", "aten::numel(Tensor self) -> int", Tensor.numel),
    "dim": ("", "aten::dim(Tensor self) -> int", Tensor.dim),
    "item": ("", "aten::item(Tensor self) -> Scalar", Tensor.item),
    "_local_scalar_dense": ("", "aten::_local_scalar_dense(Tensor self) -> Scalar", Tensor.item),
    "is_floating_point": ("", "aten::is_floating_point(Tensor self) -> bool", Tensor.is_floating_point),
    "is_complex": ("", "aten::is_complex(Tensor self) -> bool", Tensor.is_complex),
    "is_same_size": ("", "aten::is_same_size(Tensor self, Tensor other) -> bool", Tensor.is_same_size),
    "lift_fresh": ("", "aten::lift_fresh(Tensor(a) self) -> Tensor(a)", lambda input: input),
    "lift_fresh_copy": ("", "aten::lift_fresh_copy(Tensor self) -> Tensor", Tensor.clone),
    "detach_": ("", "aten::detach_(Tensor(a!) self) -> Tensor(a!)", Tensor.detach_),
    "_assert_tensor_metadata": (
        "",
        "aten::_assert_tensor_metadata(Tensor a, SymInt[]? size=None, SymInt[]? stride=None, "
        "ScalarType? dtype=None, *, Device? device=None, Layout? layout=None) -> ()",
        _assert_tensor_metadata,
    ),
    "sym_constrain_range": (
        "",
        "aten::sym_constrain_range(Scalar size, *, int? min=None, int? max=None) -> ()",
        _constrain_range,
    ),
    "sym_constrain_range_for_size": (
        "",
        "aten::sym_constrain_range_for_size(Scalar size, *, int? min=None, int? max=None) -> ()",
        _constrain_range_for_size,
    ),
    "copy": ("", "aten::copy(Tensor self, Tensor src, bool non_blocking=False) -> Tensor", _copy),
    "_is_all_true": ("", "aten::_is_all_true(Tensor self) -> Tensor", _is_all_true),
    "_pin_memory": ("", "aten::_pin_memory(Tensor self, Device? device=None) -> Tensor", _pin_memory),
    "_sparse_addmm": (
        "",
        "aten::_sparse_addmm(Tensor self, Tensor mat1, Tensor mat2, *, Scalar beta=1, Scalar alpha=1) "
        "-> Tensor",
        _sparse_addmm,
    ),
    "_assert_scalar": ("", "aten::_assert_scalar(Scalar self, str assert_msg) -> ()", _assert_scalar),
}  # fmt: skip


_BATCH_NORM = (
    "Tensor input, Tensor? weight, Tensor? bias, Tensor running_mean, Tensor running_var, "
    "bool training, float momentum, float eps"
)
_THREE = "(Tensor, Tensor, Tensor)"
# name -> what `_METHODS` has, for names with several overloads, or with one besides the core's
_OVERLOADS = {
    "to": [
        (
            "dtype_layout",
            "aten::to.dtype_layout(Tensor(a) self, *, ScalarType? dtype=None, Layout? layout=None, Device? "
            "device=None, bool? pin_memory=None, bool non_blocking=False, bool copy=False, MemoryFormat? "
            "memory_format=None) -> Tensor(a)",
            _to_layout,
        )
    ],
    "repeat_interleave": [
        (
            "Tensor",
            "aten::repeat_interleave.Tensor(Tensor repeats, *, SymInt? output_size=None) -> Tensor",
            _repeated_positions,
        ),
        (
            "self_Tensor",
            "aten::repeat_interleave.self_Tensor(Tensor self, Tensor repeats, int? dim=None, *, SymInt? "
            "output_size=None) -> Tensor",
            _repeat_interleave,
        ),
        (
            "self_int",
            "aten::repeat_interleave.self_int(Tensor self, SymInt repeats, int? dim=None, *, SymInt? "
            "output_size=None) -> Tensor",
            _repeat_interleave,
        ),
    ],
    "squeeze_copy": [
        ("", "aten::squeeze_copy(Tensor self) -> Tensor", _squeeze_copy),
        ("dim", "aten::squeeze_copy.dim(Tensor self, int dim) -> Tensor", _squeeze_copy),
        ("dims", "aten::squeeze_copy.dims(Tensor self, int[] dim) -> Tensor", _squeeze_copy),
    ],
    "view_copy": [
        ("", "aten::view_copy(Tensor self, SymInt[] size) -> Tensor", _view_copy),
        ("dtype", "aten::view_copy.dtype(Tensor self, ScalarType dtype) -> Tensor", _view_copy),
    ],
    "_assert_async": [
        ("", "aten::_assert_async(Tensor self) -> ()", _assert_async),
        ("msg", "aten::_assert_async.msg(Tensor self, str assert_msg) -> ()", _assert_async),
    ],
    "_native_batch_norm_legit": [
        (
            "",
            "aten::_native_batch_norm_legit("
            + _BATCH_NORM.replace("Tensor running_mean, Tensor", "Tensor(a!) running_mean, Tensor(b!)")
            + f") -> {_THREE}",
            _C.native_batch_norm,
        ),
        (
            "no_stats",
            "aten::_native_batch_norm_legit.no_stats(Tensor input, Tensor? weight, Tensor? bias, "
            f"bool training, float momentum, float eps) -> {_THREE}",
            _batch_norm_no_stats,
        ),
    ],
    "_native_batch_norm_legit_functional": [
        (
            "",
            f"aten::_native_batch_norm_legit_functional({_BATCH_NORM}) -> (Tensor, Tensor, Tensor, Tensor "
            "running_mean_out, Tensor running_var_out)",
            _batch_norm_functional,
        )
    ],
    "_native_batch_norm_legit_no_training": [
        (
            "",
            "aten::_native_batch_norm_legit_no_training("
            + _BATCH_NORM.replace("bool training, ", "")
            + f") -> {_THREE}",
            _batch_norm_no_training,
        )
    ],
}
_ATTENTION = "Tensor query, Tensor key, Tensor value, "
_RESULTS = (
    "(Tensor output, Tensor logsumexp, Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt "
    "max_k, Tensor "
)
_SAVED = "Tensor out, Tensor logsumexp, "
_LENGTHS = "Tensor cum_seq_q, Tensor cum_seq_k, SymInt max_q, SymInt max_k, "
_SEEDS = "Tensor philox_seed, Tensor philox_offset"
_SCALE = ", *, float? scale=None)"
# PyTorch's kernels of GPUs: names that tables of operators have, without a kernel here
_OF_GPUS = {
    "_scaled_dot_product_flash_attention": _ATTENTION
    + "float dropout_p=0., bool is_causal=False, bool return_debug_mask=False"
    + _SCALE
    + f" -> {_RESULTS}rng_state, Tensor unused, Tensor debug_attn_mask)",
    "_scaled_dot_product_flash_attention_backward": f"Tensor grad_out, {_ATTENTION}{_SAVED}{_LENGTHS}"
    f"float dropout_p, bool is_causal, {_SEEDS}{_SCALE} -> "
    "(Tensor grad_query, Tensor grad_key, Tensor grad_value)",
    "_scaled_dot_product_cudnn_attention": _ATTENTION
    + "Tensor? attn_bias, bool compute_log_sumexp, float dropout_p=0., bool is_causal=False, "
    + "bool return_debug_mask=False"
    + _SCALE
    + f" -> {_RESULTS}philox_seed, Tensor philox_offset, Tensor debug_attn_mask)",
    "_scaled_dot_product_cudnn_attention_backward": f"Tensor grad_out, {_ATTENTION}{_SAVED}{_SEEDS}, "
    f"Tensor attn_bias, {_LENGTHS}float dropout_p, bool is_causal{_SCALE} -> (Tensor, Tensor, Tensor)",
}


def _of_gpus(name: str) -> Callable:
    def refuse(input: Tensor, *args: Any, **kwargs: Any) -> NoReturn:
        if input.device.type == "cpu":
            raise NotImplementedError(
                f"Could not run 'aten::{name}' with arguments from the 'CPU' backend. "
                "torch.nn.functional.scaled_dot_product_attention takes tensors of all devices."
            )
        raise NotImplementedError(
            f"flambeau has no kernel 'aten::{name}': torch.nn.functional.scaled_dot_product_attention is the "
            "one operator of attention"
        )

    refuse.__name__ = name
    return refuse


def _flash_backward(
    grad_out: Tensor, query: Tensor, key: Tensor, value: Tensor, out: Tensor,
    logsumexp: Tensor, dropout_p: float, is_causal: bool, *, attn_mask: Tensor | None = None,
    scale: float | None = None,
) -> tuple[Tensor, ...]:  # fmt: skip
    from .autograd.grad_mode import enable_grad

    with enable_grad():
        inputs = [t.detach().requires_grad_() for t in (query, key, value)]
        again = registry.core("_scaled_dot_product_flash_attention_for_cpu")(
            *inputs, dropout_p, is_causal, attn_mask=attn_mask, scale=scale
        )[0]
    run = _C._ImperativeEngine().run_backward
    return run((again,), (grad_out,), False, False, tuple(inputs), False, accumulate_grad=False)


_OVERLOADS["_scaled_dot_product_flash_attention_for_cpu_backward"] = [
    (
        "",
        f"aten::_scaled_dot_product_flash_attention_for_cpu_backward(Tensor grad_out, {_ATTENTION}{_SAVED}"
        "float dropout_p, bool is_causal, *, Tensor? attn_mask=None, float? scale=None) -> "
        "(Tensor grad_query, Tensor grad_key, Tensor grad_value)",
        _flash_backward,
    )
]
for _name, _schema in _OF_GPUS.items():
    _OVERLOADS[_name] = [("", f"aten::{_name}({_schema}", _of_gpus(_name))]
_AMP = "Tensor found_inf, float scale_growth_factor, float scale_backoff_factor, int growth_interval"
# operators that are functions of the package, by name
_PRIVATE = {
    "_grouped_mm": "(Tensor self, Tensor mat2, Tensor? offs=None, Tensor? bias=None, ScalarType? "
    "out_dtype=None)"
    " -> Tensor",
    "_amp_update_scale_": f"(Tensor(a!) self, Tensor(b!) growth_tracker, {_AMP}) -> Tensor(a!)",
    "_amp_foreach_non_finite_check_and_unscale_": "(Tensor(a!)[] self, Tensor(b!) found_inf, Tensor "
    "inv_scale)"
    " -> ()",
    "_nested_view_from_buffer": "(Tensor(a) self, Tensor nested_size, Tensor nested_strides, Tensor offsets)"
    " -> Tensor(a)",
    "_nested_compute_contiguous_strides_offsets": "(Tensor nested_size) -> (Tensor, Tensor)",
}
# overloads of composites
_NAMED = {
    "unflatten": "int", "select_copy": "int", "slice_copy": "Tensor", "split_copy": "Tensor",
    "transpose_copy": "int", "unbind_copy": "int",
}  # fmt: skip


def python_overloads(name: str) -> list[tuple[str, str | None, Callable]]:
    """Overload, schema and function of operators that the core's table lacks; its own come before them."""
    if name.startswith("_foreach_"):
        from ._foreach import overloads

        return overloads(name)
    if name in _OVERLOADS:
        return _OVERLOADS[name]
    if name in _METHODS:
        return [_METHODS[name]]
    if name in _PRIVATE:
        return [("", f"aten::{name}{_PRIVATE[name]}", _lookup.find(name))]
    if (registry.find(name) or registry.find(name.removesuffix("_"))) is None or name not in registry.OPS:
        return []
    schema = getattr(registry.OPS[name], "schema", None)
    if schema is None:
        return [("", None, registry.OPS[name])]
    overload = _NAMED.get(name, schema[: schema.index("(")].partition(".")[2])
    return [(overload, "aten::" + schema, registry.OPS[name])]
