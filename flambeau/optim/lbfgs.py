"""Limited-memory BFGS."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from ._line_search import strong_wolfe
from ._stepper import check_lr
from .optimizer import Optimizer, ParamsT

__all__ = ["LBFGS"]


class LBFGS(Optimizer):
    """Limited-memory BFGS (Nocedal and Wright, Numerical Optimization, algorithm 7.5).

    Parameters
    ----------
    max_iter, max_eval : int
        Most iterations, and most calls of the closure (None: ``max_iter * 5 // 4``), in one step.
    tolerance_grad, tolerance_change : float
        Stop when the largest gradient, or the change of the loss or of the parameters, is as small.
    history_size : int
        How many earlier iterations the curvature is estimated from.
    line_search_fn : {None, "strong_wolfe"}
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float | fb.Tensor = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        check_lr(lr)
        super().__init__(
            params,
            {
                "lr": lr,
                "max_iter": max_iter,
                "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
                "tolerance_grad": tolerance_grad,
                "tolerance_change": tolerance_change,
                "history_size": history_size,
                "line_search_fn": line_search_fn,
            },
        )
        if len(self.param_groups) != 1:
            raise ValueError("LBFGS doesn't support per-parameter options (parameter groups)")
        self._params = self.param_groups[0]["params"]

    # All parameters are treated as one real vector; complex ones as pairs of numbers.

    def _flat_grad(self) -> Any:
        pieces = []
        for p in self._params:
            grad = p.grad
            if grad is None:
                grad = fb.zeros_like(p)
            elif grad.is_sparse:
                grad = grad.to_dense()
            pieces.append((fb.view_as_real(grad) if fb.is_complex(grad) else grad).reshape(-1))
        return fb.cat(pieces, 0)

    def _move(self, length: Any, direction: Any) -> None:
        """Add ``length * direction`` to the parameters."""
        offset = 0
        for p in self._params:
            real = fb.view_as_real(p) if fb.is_complex(p) else p
            count = real.numel()
            real.add_(direction[offset : offset + count].view_as(real), alpha=float(length))
            offset += count

    def step(self, closure: Callable[[], float]) -> float:
        """Do up to ``max_iter`` iterations.

        Parameters
        ----------
        closure : callable
            Clears the gradients, computes the loss and its gradients, and returns the loss.
        """
        if len(self.param_groups) != 1:
            raise AssertionError(f"Expected exactly one param_group, but got {len(self.param_groups)}")
        with fb.no_grad():
            return self._minimize(fb.enable_grad()(closure))

    def _minimize(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr = group["lr"]  # a tensor stays one: the state's length is then the rate itself, as PyTorch has it
        tolerance_change, search = group["tolerance_change"], group["line_search_fn"]
        # One state for all, kept under the first parameter so that it is saved and loaded like the others'.
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)

        first_loss = closure()
        loss = float(first_loss)
        evaluations = 1
        state["func_evals"] += 1
        grad = self._flat_grad()
        if grad.abs().max() <= group["tolerance_grad"]:
            return first_loss

        direction, length = state.get("d"), state.get("t")
        directions, changes, inverses = state.get("old_dirs"), state.get("old_stps"), state.get("ro")
        scale, last_grad, last_loss = state.get("H_diag"), state.get("prev_flat_grad"), state.get("prev_loss")
        for iteration in range(1, group["max_iter"] + 1):
            state["n_iter"] += 1
            if state["n_iter"] == 1:
                direction, scale = grad.neg(), 1
                directions, changes, inverses = [], [], []
            else:
                difference, moved = grad.sub(last_grad), direction.mul(length)
                curvature = difference.dot(moved)
                if curvature > 1e-10:
                    if len(directions) == group["history_size"]:
                        for history in (directions, changes, inverses):
                            history.pop(0)
                    directions.append(difference)
                    changes.append(moved)
                    inverses.append(1.0 / curvature)
                    scale = curvature / difference.dot(difference)
                direction, weights = two_loop(grad, directions, changes, inverses, scale)
                # Saved states carry this work list, padded to the size of the history.
                state["al"] = weights + [None] * (group["history_size"] - len(weights))
            if last_grad is None:
                last_grad = grad.clone(memory_format=fb.contiguous_format)
            else:
                last_grad.copy_(grad)
            last_loss = loss

            length = min(1.0, 1.0 / grad.abs().sum()) * lr if state["n_iter"] == 1 else lr
            slope = grad.dot(direction)
            if slope > -tolerance_change:
                break
            calls = 0
            if search is None:
                self._move(length, direction)
                # The gradient behind the last move is computed by the next step's first call.
                if iteration != group["max_iter"]:
                    loss = float(closure())
                    grad = self._flat_grad()
                    calls = 1
            elif search == "strong_wolfe":
                start = [p.clone(memory_format=fb.contiguous_format) for p in self._params]

                def evaluate(t: Any, start: list = start, direction: Any = direction) -> tuple[float, Any]:
                    self._move(t, direction)
                    value = float(closure())
                    gradient = self._flat_grad()
                    for p, kept in zip(self._params, start):
                        p.copy_(kept)
                    return value, gradient

                loss, grad, length, calls = strong_wolfe(
                    evaluate, length, direction, loss, grad, slope, tolerance_change
                )
                self._move(length, direction)
            else:
                raise RuntimeError("only 'strong_wolfe' is supported")
            evaluations += calls
            state["func_evals"] += calls

            if iteration == group["max_iter"] or evaluations >= group["max_eval"]:
                break
            if grad.abs().max() <= group["tolerance_grad"]:
                break
            if (
                direction.mul(length).abs().max() <= tolerance_change
                or abs(loss - last_loss) < tolerance_change
            ):
                break

        state.update(
            d=direction, t=length, old_dirs=directions, old_stps=changes, ro=inverses, H_diag=scale,
            prev_flat_grad=last_grad, prev_loss=last_loss,
        )  # fmt: skip
        return first_loss


def two_loop(grad: Any, differences: list, moves: list, inverses: list, scale: Any) -> tuple[Any, list]:
    """Return about minus the inverse Hessian times ``grad`` (algorithm 7.4), and the moves' weights."""
    q = grad.neg()
    weights = []
    for y, s, rho in zip(reversed(differences), reversed(moves), reversed(inverses)):
        weight = s.dot(q) * rho
        weights.insert(0, weight)
        q.add_(y, alpha=-weight)
    q = q * scale
    for y, s, rho, weight in zip(differences, moves, inverses, weights):
        q.add_(s, alpha=weight - y.dot(q) * rho)
    return q, weights
