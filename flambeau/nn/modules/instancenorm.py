"""Instance normalisation."""

import warnings
from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.nn import functional as F
from flambeau.nn.modules.batchnorm import _LazyNormBase, _NormBase
from flambeau.types import Device

__all__ = [
    "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d", "LazyInstanceNorm1d", "LazyInstanceNorm2d",
    "LazyInstanceNorm3d",
]  # fmt: skip


class _InstanceNorm(_NormBase):
    """What instance normalisation of all numbers of dimensions shares."""

    # spatial dimensions; an input may lack the batch
    _spatial: int

    def __init__(
        self, num_features: int, eps: float = 1e-5, momentum: float = 0.1, affine: bool = False,
        track_running_stats: bool = False, device: Device = None, dtype: fb.dtype | None = None, *,
        bias: bool = True,
    ) -> None:  # fmt: skip
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)

    def _check_input_dim(self, input: Tensor) -> None:
        dims = self._spatial + 1, self._spatial + 2
        if input.dim() not in dims:
            raise ValueError(f"expected {dims[0]}D or {dims[1]}D input (got {input.dim()}D input)")

    def _get_no_batch_dim(self) -> int:
        return self._spatial + 1

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        if local_metadata.get("version", None) is None and not self.track_running_stats:
            # before versions were recorded these layers kept statistics by default
            found = [prefix + name for name in ("running_mean", "running_var") if prefix + name in state_dict]
            if found:
                names = " and ".join(f'"{key}"' for key in found)
                error_msgs.append(
                    f"Unexpected running stats buffer(s) {names} for {type(self).__name__} with "
                    "track_running_stats=False. If state_dict is a checkpoint saved before 0.4.0, this may "
                    f"be expected because {type(self).__name__} does not track running stats by default "
                    "since 0.4.0. Please remove these keys from state_dict. If the running stats are "
                    f"actually needed, instead set track_running_stats=True in {type(self).__name__} to "
                    "enable them."
                )
                for key in found:
                    state_dict.pop(key)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def forward(self, input: Tensor) -> Tensor:
        """Normalise an input of shape (N, C, ...) or (C, ...)."""
        self._check_input_dim(input)
        channel = input.dim() - self._get_no_batch_dim()
        if input.size(channel) != self.num_features:
            if self.affine:
                raise ValueError(
                    f"expected input's size at dim={channel} to match num_features ({self.num_features}), "
                    f"but got: {input.size(channel)}."
                )
            warnings.warn(
                f"input's size at dim={channel} does not match num_features. You can silence this warning by "
                "not passing in num_features, which is not used because affine=False",
                stacklevel=2,
            )
        if channel == 0:
            return self._apply_instance_norm(input.unsqueeze(0)).squeeze(0)
        return self._apply_instance_norm(input)

    def _apply_instance_norm(self, input: Tensor) -> Tensor:
        return F.instance_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )


class InstanceNorm1d(_InstanceNorm):
    """Instance normalisation of an input of shape (N, C, L) or (C, L); see :class:`InstanceNorm2d`."""

    _spatial = 1


class InstanceNorm2d(_InstanceNorm):
    """Normalises each channel of each sample over its positions (Ulyanov et al. 2016).

    Parameters
    ----------
    num_features : int
        Number of channels.
    eps : float
        Added to the variance.
    momentum : float
        Share of the new statistics in the running ones.
    affine, bias : bool
        Whether the result is scaled and shifted by parameters.
    track_running_stats : bool
        Keep statistics and use them in evaluation.

    The input has shape (N, C, H, W) or (C, H, W), C being `num_features`; the output is like it.
    """

    _spatial = 2


class InstanceNorm3d(_InstanceNorm):
    """Instance normalisation of an input of shape (N, C, D, H, W); see :class:`InstanceNorm2d`."""

    _spatial = 3


class LazyInstanceNorm1d(_LazyNormBase, _InstanceNorm):
    """An :class:`InstanceNorm1d` that finds out `num_features` at its first call."""

    _spatial = 1
    cls_to_become = InstanceNorm1d


class LazyInstanceNorm2d(_LazyNormBase, _InstanceNorm):
    """An :class:`InstanceNorm2d` that finds out `num_features` at its first call."""

    _spatial = 2
    cls_to_become = InstanceNorm2d


class LazyInstanceNorm3d(_LazyNormBase, _InstanceNorm):
    """An :class:`InstanceNorm3d` that finds out `num_features` at its first call."""

    _spatial = 3
    cls_to_become = InstanceNorm3d
