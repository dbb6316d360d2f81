"""Fake quantization whose scale and zero point are learned."""

from __future__ import annotations

from typing import Any

import flambeau as fb
from flambeau import Tensor
from flambeau.ao.quantization.fake_quantize import FakeQuantizeBase
from flambeau.nn.parameter import Parameter

__all__: list[str] = []


class _LearnableFakeQuantize(FakeQuantizeBase):
    """`FakeQuantize` that has scale and zero point as parameters.

    Parameters
    ----------
    observer : constructor
    quant_min, quant_max : int
    scale, zero_point : float
        First values.
    channel_len : int
        Number of channels; -1 for one scale.
    use_grad_scaling : bool
        Divide gradients of scale and zero point by the square root of numbers times steps.
    """

    def __init__(
        self, observer: Any, quant_min: int = 0, quant_max: int = 255, scale: float = 1.0,
        zero_point: float = 0.0, channel_len: int = -1, use_grad_scaling: bool = False,
        **observer_kwargs: Any,
    ) -> None:  # fmt: skip
        super().__init__()
        if quant_min >= quant_max:
            raise AssertionError("quant_min must be strictly less than quant_max.")
        self.quant_min, self.quant_max = quant_min, quant_max
        observer_kwargs.update(quant_min=quant_min, quant_max=quant_max)
        self.use_grad_scaling = use_grad_scaling
        if channel_len != -1 and not (isinstance(channel_len, int) and channel_len > 0):
            raise AssertionError("Channel size must be a positive integer.")
        channels = max(channel_len, 1)
        self.scale = Parameter(fb.tensor([scale] * channels))
        self.zero_point = Parameter(fb.tensor([zero_point] * channels))
        seer = observer(**observer_kwargs)
        self.activation_post_process = seer
        limits = fb.iinfo(seer.dtype)
        if limits.min > quant_min:
            raise AssertionError("quant_min out of bound")
        if quant_max > limits.max:
            raise AssertionError("quant_max out of bound")
        self.dtype, self.qscheme = seer.dtype, seer.qscheme
        self.ch_axis = getattr(seer, "ch_axis", -1)
        self.register_buffer("fake_quant_enabled", fb.tensor([1], dtype=fb.uint8))
        self.register_buffer("static_enabled", fb.tensor([1], dtype=fb.uint8))
        self.register_buffer("learning_enabled", fb.tensor([0], dtype=fb.uint8))
        self.bitwidth = (quant_max - quant_min + 1).bit_length() - 1
        self.register_buffer("eps", fb.tensor([fb.finfo(fb.float32).eps]))

    def _switch(self, learn: bool, fake: bool, observe: bool) -> _LearnableFakeQuantize:
        return self.toggle_qparam_learning(learn).toggle_fake_quant(fake).toggle_observer_update(observe)

    def enable_param_learning(self) -> _LearnableFakeQuantize:
        """Learn scale and zero point."""
        return self._switch(True, True, False)

    def enable_static_estimate(self) -> None:
        """Take scale and zero point from the observer."""
        self._switch(False, True, True)

    def enable_static_observation(self) -> None:
        """Only look."""
        self._switch(False, False, True)

    def toggle_observer_update(self, enabled: bool = True) -> _LearnableFakeQuantize:
        """Take scale and zero point from the observer, or not."""
        self.static_enabled[0] = int(enabled)
        return self

    def enable_observer(self, enabled: bool = True) -> None:
        """The same without a result."""
        self.toggle_observer_update(enabled)

    def toggle_qparam_learning(self, enabled: bool = True) -> _LearnableFakeQuantize:
        """Learn scale and zero point, or not."""
        self.learning_enabled[0] = int(enabled)
        self.scale.requires_grad = enabled
        self.zero_point.requires_grad = enabled
        return self

    def toggle_fake_quant(self, enabled: bool = True) -> _LearnableFakeQuantize:
        """Put errors in, or not."""
        self.fake_quant_enabled[0] = int(enabled)
        return self

    def observe_quant_params(self) -> None:
        """Print scale and zero point."""
        print(f"_LearnableFakeQuantize Scale: {self.scale.detach()}")
        print(f"_LearnableFakeQuantize Zero Point: {self.zero_point.detach()}")

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point."""
        self.scale.data.clamp_(min=self.eps.item())
        return self.scale.detach(), self.zero_point.detach().round().clamp(
            self.quant_min, self.quant_max
        ).long()

    def forward(self, X: Tensor) -> Tensor:
        """The tensor with the errors of quantization."""
        if self.static_enabled[0] == 1:
            self.activation_post_process(X.detach())
            scale, zero_point = self.activation_post_process.calculate_qparams()
            self.scale.data.copy_(scale)
            self.zero_point.data.copy_(zero_point)
        else:
            self.scale.data.clamp_(min=self.eps.item())
        if self.fake_quant_enabled[0] != 1:
            return X
        if self.qscheme in (fb.per_channel_symmetric, fb.per_tensor_symmetric):
            self.zero_point.data.zero_()
        share = 1.0 / (X.numel() * self.quant_max) ** 0.5 if self.use_grad_scaling else 1.0
        span = self.quant_min, self.quant_max
        if self.qscheme in (fb.per_channel_symmetric, fb.per_channel_affine):
            return fb._fake_quantize_learnable_per_channel_affine(
                X, self.scale, self.zero_point, self.ch_axis, *span, share
            )
        return fb._fake_quantize_learnable_per_tensor_affine(X, self.scale, self.zero_point, *span, share)
