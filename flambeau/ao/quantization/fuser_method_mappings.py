"""Which layers can be computed together, and what makes one of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from flambeau import nn
from flambeau.ao.nn import intrinsic as nni
from flambeau.ao.quantization.utils import MatchAllNode, get_combined_dict

__all__ = [
    "fuse_conv_bn", "fuse_conv_bn_relu", "fuse_linear_bn", "fuse_convtranspose_bn", "get_fuser_method",
    "get_fuser_method_new",
]  # fmt: skip


def _one_mode(said: str, *layers: nn.Module) -> None:
    if len({layer.training for layer in layers}) > 1:
        raise AssertionError(f"{said} both must be in the same mode (train or eval).")


def _fits(features: int, bn: nn.Module, message: str, norm: str) -> None:
    """Raises for a normalisation that cannot be trained together with the layer before it."""
    if bn.num_features != features:
        raise AssertionError(message)
    if not bn.affine:
        raise AssertionError(f"Only support fusing {norm} with affine set to True")
    if not bn.track_running_stats:
        raise AssertionError(f"Only support fusing {norm} with tracking_running_stats set to True")


def fuse_conv_bn(is_qat: bool, conv: nn.Module, bn: nn.Module) -> nn.Module:
    """A convolution and a normalisation as one: a pair for training, one convolution for evaluation.

    Parameters
    ----------
    is_qat : bool
    conv, bn : layers
    """
    _one_mode("Conv and BN", conv, bn)
    if not is_qat:
        return nn.utils.fusion.fuse_conv_bn_eval(conv, bn)
    message = "Output channel of Conv2d must match num_features of BatchNorm2d."
    _fits(conv.out_channels, bn, message, "BatchNorm2d")
    pairs = {nn.Conv1d: nni.ConvBn1d, nn.Conv2d: nni.ConvBn2d, nn.Conv3d: nni.ConvBn3d}
    if type(conv) not in pairs:
        raise NotImplementedError(f"Cannot fuse train modules: {(conv, bn)}")
    return pairs[type(conv)](conv, bn)


def fuse_conv_bn_relu(is_qat: bool, conv: nn.Module, bn: nn.Module, relu: nn.Module) -> nn.Module:
    """A convolution, a normalisation and a ReLU as one.

    Parameters
    ----------
    is_qat : bool
    conv, bn, relu : layers
    """
    _one_mode("Conv and BN", conv, bn, relu)
    if is_qat:
        message = "Output channel of Conv2d must match num_features of BatchNorm2d"
        _fits(conv.out_channels, bn, message, "BatchNorm2d")
        whole = {nn.Conv1d: nni.ConvBnReLU1d, nn.Conv2d: nni.ConvBnReLU2d, nn.Conv3d: nni.ConvBnReLU3d}
        if type(conv) not in whole:
            raise NotImplementedError(f"Cannot fuse train modules: {(conv, bn, relu)}")
        return whole[type(conv)](conv, bn, relu)
    pairs = {nn.Conv1d: nni.ConvReLU1d, nn.Conv2d: nni.ConvReLU2d, nn.Conv3d: nni.ConvReLU3d}
    if type(conv) not in pairs:
        raise NotImplementedError(f"Cannot fuse eval modules: {(conv, bn, relu)}")
    return pairs[type(conv)](nn.utils.fusion.fuse_conv_bn_eval(conv, bn), relu)


def fuse_linear_bn(is_qat: bool, linear: nn.Module, bn: nn.Module) -> nn.Module:
    """A linear layer and a normalisation as one.

    Parameters
    ----------
    is_qat : bool
    linear, bn : layers
    """
    _one_mode("Linear and BN", linear, bn)
    if not is_qat:
        return nn.utils.fusion.fuse_linear_bn_eval(linear, bn)
    message = "Output features of Linear must match num_features of BatchNorm1d"
    _fits(linear.out_features, bn, message, "BatchNorm1d")
    return nni.LinearBn1d(linear, bn)


def fuse_convtranspose_bn(is_qat: bool, convt: nn.Module, bn: nn.Module) -> nn.Module:
    """A transposed convolution and a normalisation as one, for evaluation.

    Parameters
    ----------
    is_qat : bool
    convt, bn : layers
    """
    _one_mode("ConvTranspose and BN", convt, bn)
    if is_qat:
        raise Exception("Fusing ConvTranspose+BatchNorm not yet supported in QAT.")
    return nn.utils.fusion.fuse_conv_bn_eval(convt, bn, transpose=True)


def _sequential_wrapper2(sequential: type[nn.Module]) -> Callable:
    """A class of two layers as a function that ignores whether it is for training."""

    def fuse(is_qat: bool, m1: nn.Module, m2: nn.Module) -> nn.Module:
        return sequential(m1, m2)

    return fuse


_DEFAULT_OP_LIST_TO_FUSER_METHOD: dict[tuple, Callable] = {
    **{
        kinds: fuse
        for conv, norm in (
            (nn.Conv1d, nn.BatchNorm1d), (nn.Conv2d, nn.BatchNorm2d), (nn.Conv3d, nn.BatchNorm3d)
        )
        for kinds, fuse in (((conv, norm), fuse_conv_bn), ((conv, norm, nn.ReLU), fuse_conv_bn_relu))
    },
    (nn.Conv1d, nn.ReLU): _sequential_wrapper2(nni.ConvReLU1d),
    (nn.Conv2d, nn.ReLU): _sequential_wrapper2(nni.ConvReLU2d),
    (nn.Conv3d, nn.ReLU): _sequential_wrapper2(nni.ConvReLU3d),
    (nn.Linear, nn.BatchNorm1d): fuse_linear_bn,
    (nn.Linear, nn.ReLU): _sequential_wrapper2(nni.LinearReLU),
    (nn.BatchNorm2d, nn.ReLU): _sequential_wrapper2(nni.BNReLU2d),
    (nn.BatchNorm3d, nn.ReLU): _sequential_wrapper2(nni.BNReLU3d),
    (nn.ConvTranspose1d, nn.BatchNorm1d): fuse_convtranspose_bn,
    (nn.ConvTranspose2d, nn.BatchNorm2d): fuse_convtranspose_bn,
    (nn.ConvTranspose3d, nn.BatchNorm3d): fuse_convtranspose_bn,
}  # fmt: skip


def get_fuser_method(op_list: tuple, additional_fuser_method_mapping: dict | None = None) -> Callable:
    """The function that makes one of layers of these classes.

    Parameters
    ----------
    op_list : tuple of classes
    additional_fuser_method_mapping : dict, optional
    """
    known = get_combined_dict(_DEFAULT_OP_LIST_TO_FUSER_METHOD, additional_fuser_method_mapping or {})
    method = known.get(op_list)
    if method is None:
        raise AssertionError(f"did not find fuser method for: {op_list} ")
    return method


def _reverse2(f: Callable) -> Callable:
    def fuse(is_qat: bool, x: Any, y: Any) -> Any:
        return f(is_qat, y, x)

    return fuse


def _reverse3(f: Callable) -> Callable:
    def fuse(is_qat: bool, x: Any, w: tuple) -> Any:
        return f(is_qat, w[1], w[0], x)

    return fuse


def _get_valid_patterns(op_pattern: Any) -> list:
    """A pattern, and the same with parts of it replaced by any node."""
    if isinstance(op_pattern, (tuple, list)):
        return list(itertools.product(*map(_get_valid_patterns, op_pattern)))
    return [op_pattern, MatchAllNode]


def get_fuser_method_new(op_pattern: Any, fuser_method_mapping: dict) -> Callable:
    """The function of a pattern in a dictionary.

    Parameters
    ----------
    op_pattern : class, function or nested tuple of such
    fuser_method_mapping : dict
    """
    for pattern in _get_valid_patterns(op_pattern):
        if (method := fuser_method_mapping.get(pattern)) is not None:
            return method
    raise AssertionError(f"did not find fuser method for: {pattern} ")
