"""AdamW."""

from __future__ import annotations

import flambeau as fb

from .adam import Adam
from .optimizer import ParamsT

__all__ = ["AdamW"]


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2017); options as in :class:`Adam`."""

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1e-3,
        betas: tuple[float | fb.Tensor, float | fb.Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict) -> None:
        super().__setstate__(state)
        # States saved before Adam and AdamW shared their code lack the option.
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
