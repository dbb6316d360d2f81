"""`backward` and `grad`: running the graph that was recorded."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from flambeau import _C, _protocol
from flambeau._basics import is_warn_always_enabled
from flambeau._C import Tensor

from .function import _transforms_active
from .graph import GradientEdge

__all__ = ["backward", "grad"]

_run_backward = _C._ImperativeEngine().run_backward


def _as_tuple(x: Any) -> tuple:
    if x is None:
        return ()
    if isinstance(x, (Tensor, GradientEdge)):
        return (x,)
    return tuple(x)


def _made_grads(outputs: tuple, grads: tuple, batched: bool) -> tuple:
    """The cotangents, checked against the outputs; ones where the output is a number."""
    made = []
    for i, (out, g) in enumerate(zip(outputs, grads)):
        if isinstance(out, GradientEdge):
            if g is None:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            made.append(g)
            continue
        if isinstance(g, Tensor):
            expected = g.shape[1:] if batched else g.shape
            if (batched and g.dim() == 0) or expected != out.shape:
                message = (
                    "If `is_grads_batched=True`, we interpret the first dimension of each grad_output as the"
                    " batch dimension. The sizes of the remaining dimensions are expected to match the shape"
                    f" of corresponding output, but a mismatch was detected: grad_output[{i}] has a shape of"
                    f" {g.shape[1:]} and output[{i}] has a shape of {out.shape}. If you only want some"
                    " tensors in `grad_output` to be considered batched, consider using vmap."
                    if batched
                    else (
                        f"Mismatch in shape: grad_output[{i}] has a shape of {g.shape} and output[{i}] has a"
                        f" shape of {out.shape}."
                    )
                )
                raise RuntimeError(message)
            if out.dtype.is_complex != g.dtype.is_complex:
                raise RuntimeError(
                    "For complex Tensors, both grad_output and output are required to have the same dtype."
                    f" Mismatch in dtype: grad_output[{i}] has a dtype of {g.dtype} and output[{i}] has a"
                    f" dtype of {out.dtype}."
                )
            made.append(g)
        elif g is None:
            if not out.requires_grad:
                made.append(None)
                continue
            if out.numel() != 1:
                raise RuntimeError("grad can be implicitly created only for scalar outputs")
            if not out.dtype.is_floating_point:
                raise RuntimeError(
                    f"grad can be implicitly created only for real scalar outputs but got {out.dtype}"
                )
            made.append(_C.ones_like(out, memory_format=_C.preserve_format))
        else:
            raise TypeError(f"gradients can be either Tensors or None, but got {type(g).__name__}")
    return tuple(made)


def _paired(outputs: tuple, grads: Any) -> tuple:
    grads = (
        (grads,)
        if isinstance(grads, Tensor)
        else tuple(grads)
        if grads is not None
        else (None,) * len(outputs)
    )
    if len(grads) != len(outputs):
        raise RuntimeError(f"got {len(outputs)} tensors and {len(grads)} gradients")
    return grads


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Add the gradients of `tensors` to the ``.grad`` of the leaves they depend on.

    Parameters
    ----------
    tensors : tensors to differentiate.
    grad_tensors : one cotangent a tensor, of its shape; None stands for 1 where the tensor has one element.
    retain_graph : keep the graph for another backward (default: as `create_graph`).
    create_graph : record the backward itself, for higher derivatives.
    inputs : only these get a gradient; default all leaves.
    """
    if _protocol.has_torch_function(_as_tuple(tensors)):
        return _protocol.handle_torch_function(
            backward, _as_tuple(tensors), tensors, grad_tensors=grad_tensors, retain_graph=retain_graph,
            create_graph=create_graph, inputs=inputs,
        )  # fmt: skip
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. "
                "Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    inputs = _as_tuple(inputs) if inputs is not None else None
    if inputs is not None and len(inputs) == 0:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    outputs = _as_tuple(tensors)
    grads = _made_grads(outputs, _paired(outputs, grad_tensors), False)
    keep = create_graph if retain_graph is None else retain_graph
    if create_graph:
        _warn_of_cycles()
    _run_backward(
        outputs, grads, keep, create_graph, inputs or (), allow_unreachable=True, accumulate_grad=True
    )


def _warn_of_cycles(told: list = []) -> None:  # noqa: B006
    """Say once what recording the gradients of leaves holds on to."""
    if told and not is_warn_always_enabled():
        return
    told.append(True)
    warnings.warn(
        "Using backward() with create_graph=True will create a reference cycle between the parameter and its "
        "gradient which can cause a memory leak. We recommend using autograd.grad when creating the graph to "
        "avoid this. If you have to use this function, make sure to reset the .grad fields of your "
        "parameters to None after use to break the cycle and avoid the leak.",
        stacklevel=3,
    )


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple:
    """Gradients of `outputs` (their sum, weighted by `grad_outputs`) with respect to `inputs`.

    Parameters
    ----------
    outputs, inputs : tensors or sequences of them.
    grad_outputs : one cotangent an output; None stands for 1 where the output has one element.
    retain_graph, create_graph : as for `backward`.
    only_inputs : ignored, with a warning where it is False: `backward` adds to the leaves.
    allow_unused : give None for inputs that the outputs do not depend on, instead of raising.
    is_grads_batched : the first dimension of each cotangent counts several; the results get it too.
    materialize_grads : zeros instead of None for unused inputs.

    Returns
    -------
    A tuple of one gradient an input.
    """
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate "
            "gradient for other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got:"
            f" {allow_unused=}."
        )
    if allow_unused is None:
        allow_unused = materialize_grads
    outs, ins = _as_tuple(outputs), _as_tuple(inputs)
    decisive = outs + ins
    if _transforms_active() and grad_outputs is not None:
        decisive += _as_tuple(grad_outputs)  # under vmap one backward may have a cotangent a sample
    if _protocol.has_torch_function(decisive):
        return _protocol.handle_torch_function(
            grad, decisive, outs, ins, grad_outputs=grad_outputs, retain_graph=retain_graph,
            create_graph=create_graph,
            allow_unused=allow_unused, is_grads_batched=is_grads_batched, materialize_grads=materialize_grads,
        )  # fmt: skip
    if not ins:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    grads = _made_grads(outs, _paired(outs, grad_outputs), is_grads_batched)
    keep = create_graph if retain_graph is None else retain_graph

    def run(cotangents: Sequence[Any], keep: bool) -> tuple:
        return _run_backward(
            outs, tuple(cotangents), keep, create_graph, ins, allow_unused, accumulate_grad=False
        )

    if is_grads_batched:
        from flambeau.func import rows

        result = rows.gradients(run, grads, keep)
    else:
        result = run(grads, keep)
    if materialize_grads:
        if any(g is None and not isinstance(x, Tensor) for g, x in zip(result, ins)):
            raise RuntimeError(
                "materialize_grads cannot be used when the given input is a GradientEdge; its shape is not"
                " known."
            )
        result = tuple(
            _C.zeros_like(x, requires_grad=create_graph) if g is None else g for g, x in zip(result, ins)
        )
    return result


backward.__module__ = grad.__module__ = __package__  # where users find them
grad._rule_name = "grad "  # rules go by names: this is the function, not the attribute of tensors
