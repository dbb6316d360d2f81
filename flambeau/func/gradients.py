"""Derivatives of functions of nested containers of tensors.

A transform gives the function inputs of its own: a leaf of the recorded graph, or a view of a tensor that an
outer transform (or the caller) differentiates. So transforms nest as the graph does. What comes out is cut
off from the graph, unless the graph also leads to somebody else's leaf; `_other_leaves` finds out.
Forward-mode derivatives are taken as the derivative of the backward with respect to its cotangent, which is
exact for every operator that can be differentiated twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

from ..autograd.function import _func_levels, _leaf, _pushing
from ..autograd.graph import _other_leaves
from ..utils._pytree import tree_flatten, tree_map, tree_unflatten
from . import batched, rows

__all__ = ["grad", "grad_and_value", "vjp", "jvp", "jacrev", "jacfwd", "hessian", "linearize"]


def _fresh(x: Any) -> Any:
    """An input of this transform's own."""
    if not isinstance(x, fb.Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(x)}")
    x = batched.spread(x)
    if x.requires_grad:
        return x.view_as(x)
    return _leaf(x)


def _check_aux(aux: Any) -> None:
    for x in tree_flatten(aux)[0]:
        if not isinstance(x, fb.Tensor):
            raise RuntimeError(f"Expected tensors, got unsupported type {type(x)}")


def _released(outputs: list, keep: bool) -> list:
    if keep:
        return outputs
    return [o.detach() if isinstance(o, fb.Tensor) and o.requires_grad else o for o in outputs]


def _gradients(
    outputs: list, inputs: list, cotangents: list | None, create: bool, retain: bool = True
) -> list:
    """Gradients of the outputs that are differentiable; zeros for inputs they do not depend on."""
    chosen = [
        (o, None if cotangents is None else c)
        for o, c in zip(outputs, cotangents or [None] * len(outputs))
        if o.requires_grad
    ]
    if chosen and inputs:
        outs, cots = (list(t) for t in zip(*chosen))
        if cotangents is None and batched.is_batched(outs[0]):
            cots = [fb.ones_like(o) for o in outs]
        found = fb.autograd.grad(
            outs, inputs, cots, retain_graph=retain, create_graph=create, allow_unused=True
        )
    else:
        found = [None] * len(inputs)
    return [fb.zeros_like(x) if g is None else g for g, x in zip(found, inputs)]


def _within(number: int, args: tuple) -> None:
    if not -len(args) <= number < len(args):
        raise RuntimeError(f"Got argnum={number}, but only {len(args)} positional inputs")


def _chosen(args: tuple, argnums: int | tuple) -> tuple:
    """The arguments to differentiate, as one tree."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    numbers = (argnums,) if isinstance(argnums, int) else argnums
    if not isinstance(argnums, int):
        if not numbers:
            raise RuntimeError("argnums must be non-empty")
        for n in numbers:
            if not isinstance(n, int):
                raise RuntimeError(f"argnum must be int, got: {type(n)}")
            _within(n, args)
        if len({n % len(args) for n in numbers}) != len(numbers):
            raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    for n in numbers:
        _within(n, args)
    numbers = tuple(n % len(args) for n in numbers)
    picked = tuple(args[n] for n in numbers)
    return numbers, (picked[0] if isinstance(argnums, int) else picked)


def _replaced(args: tuple, numbers: tuple, argnums: int | tuple, tree: Any) -> tuple:
    values = (tree,) if isinstance(argnums, int) else tree
    new = list(args)
    for n, v in zip(numbers, values):
        new[n] = v
    return tuple(new)


def _watched(func: Callable, *args: Any, **kwargs: Any) -> Any:
    """Call `func`; a `Function` applied in it knows that it is differentiated by a transform."""
    _func_levels.differentiating += 1
    try:
        return func(*args, **kwargs)
    finally:
        _func_levels.differentiating -= 1


def _name(func: Callable) -> str:
    return getattr(func, "__name__", repr(func))


def grad_and_value(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of `func` and its value (with `has_aux`: and what it returns
    beside).

    Parameters
    ----------
    func : returns a tensor of one element, or with `has_aux` a tuple of it and anything.
    argnums : which arguments to differentiate; a tuple of numbers gives a tuple of gradients.
    """

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        recorded = fb.is_grad_enabled()
        with fb.enable_grad():
            numbers, tree = _chosen(args, argnums)
            leaves, spec = tree_flatten(tree)
            own = [_fresh(x) for x in leaves]
            output = _watched(func, *_replaced(args, numbers, argnums, tree_unflatten(own, spec)), **kwargs)
            aux = None
            if has_aux:
                if not (isinstance(output, tuple) and len(output) == 2):
                    raise RuntimeError(
                        "grad_and_value(f)(*args): output of function f should be a tuple: (output, aux) if"
                        " has_aux is True"
                    )
                output, aux = output
                _check_aux(aux)
            if not isinstance(output, fb.Tensor):
                raise RuntimeError(
                    f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
                )
            if output.dim() != 0:
                raise RuntimeError(
                    "grad_and_value(f)(*args): Expected f(*args) to return a scalar Tensor, got tensor with"
                    f" {output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
                )
            keep = recorded and _other_leaves([output], own)
            grads = _gradients([output], own, None, create=keep)
        grads = tree_unflatten(_released(grads, keep), spec)
        value = _released([output], keep)[0]
        if has_aux:
            return grads, (value, tree_map(lambda t: _released([t], keep)[0], aux))
        return grads, value

    return wrapper


def grad(func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False) -> Callable:
    """A function that returns the gradient of `func`; parameters are those of `grad_and_value`."""
    both = grad_and_value(func, argnums, has_aux)

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        result = both(*args, **kwargs)
        if not has_aux:
            return result[0]
        return result[0], result[1][1]

    return wrapper


def _run(func: Callable, primals: tuple, has_aux: bool, name: str) -> tuple:
    """Own inputs, flat outputs and their structure, and what came beside."""
    leaves, spec = tree_flatten(primals)
    own = [_fresh(x) for x in leaves]
    # a function whose derivative is taken forward may write into what it is given
    given = own if name.startswith("vjp") else [x.clone() for x in own]
    output = _watched(func, *tree_unflatten(given, spec))
    aux = None
    if has_aux:
        if not (isinstance(output, tuple) and len(output) == 2):
            raise RuntimeError(
                f"{name}: output of function f should be a tuple: (output, aux) if has_aux is True"
            )
        output, aux = output
        _check_aux(aux)
    flat, out_spec = tree_flatten(output)
    if not flat:
        raise RuntimeError(
            f"{name}: Expected f to be a function that has non-empty output (got output = {output})"
        )
    for o in flat:
        if not isinstance(o, fb.Tensor):
            raise RuntimeError(
                f"{name}: expected f(*primals) to return only tensors, got unsupported type {type(o)}"
            )
    return own, spec, flat, out_spec, aux


def _outline(spec: Any) -> str:
    """A structure with stars for its leaves, such as ``(*, {'a': *})``."""
    if spec.is_leaf():
        return "*"
    parts = [_outline(child) for child in spec.children()]
    if spec.type is dict:
        return "{" + ", ".join(f"{k!r}: {p}" for k, p in zip(spec.context, parts)) + "}"
    if spec.type is tuple:
        return "(" + ", ".join(parts) + ("," if len(parts) == 1 else "") + ")"
    if spec.type is list:
        return "[" + ", ".join(parts) + "]"
    return f"{spec.type.__name__}({', '.join(parts)})"


def vjp(func: Callable, *primals: Any, has_aux: bool = False) -> tuple:
    """The outputs of ``func(*primals)`` and a function from cotangents to gradients of the primals (with
    `has_aux`: and what `func` returned beside)."""
    recorded = fb.is_grad_enabled()
    with fb.enable_grad():
        own, spec, outputs, out_spec, aux = _run(func, primals, has_aux, "vjp(f, *primals)")
        keep = recorded and _other_leaves(outputs, own)

    def pull(*cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given = cotangents[0] if len(cotangents) == 1 else cotangents
        flat, cot_spec = tree_flatten(given)
        if cot_spec != out_spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of outputs to"
                f" the function. cotangents: {_outline(cot_spec)}, primal output: {_outline(out_spec)}"
            )
        for i, (c, o) in enumerate(zip(flat, outputs)):
            if not isinstance(c, fb.Tensor):
                raise TypeError(f"gradients can be either Tensors or None, but got {type(c).__name__}")
            if c.shape != o.shape:
                raise RuntimeError(
                    f"Mismatch in shape: grad_output[{i}] has a shape of {c.shape} and output[{i}] has a"
                    f" shape of {o.shape}."
                )
        create = keep or any(c.requires_grad for c in flat)
        with fb.enable_grad():
            grads = _gradients(outputs, own, flat, create=create)
        result = tree_unflatten(_released(grads, create), spec)
        return result

    values = tree_unflatten(_released(outputs, keep), out_spec)
    if has_aux:
        return values, pull, tree_map(lambda t: _released([t], keep)[0], aux)
    return values, pull


class _Linear:
    """The derivative of a function at a point as a linear map from tangents, by the transpose of its
    transpose."""

    def __init__(self, own: list, outputs: list) -> None:
        self.own, self.outputs = own, outputs
        self.keep = _other_leaves(outputs, own)
        moving = [o for o in outputs if o.is_floating_point() or o.is_complex()]  # whole numbers stand still
        self.dummies = [_fresh(fb.zeros_like(o)) for o in moving]
        with _pushing:
            self.transposed = _gradients(moving, own, self.dummies, create=True)

    def __call__(self, tangents: list) -> list:
        create = self.keep or any(t.requires_grad for t in tangents)
        found = iter(_gradients(self.transposed, self.dummies, list(tangents), create=create))
        return [
            next(found) if o.is_floating_point() or o.is_complex() else fb.zeros_like(o) for o in self.outputs
        ]

    def columns(self, k: int) -> list:
        """The derivative in the direction of each element of an input, stacked by output."""
        found = iter(_rows(self.transposed[k], self.dummies, self.keep))
        count = self.own[k].numel()
        return [
            next(found) if o.is_floating_point() or o.is_complex() else _nothing(o, count)
            for o in self.outputs
        ]

    def released(self, values: list, tangents: list, recorded: bool) -> list:
        return _released(values, recorded and (self.keep or any(t.requires_grad for t in tangents)))


def jvp(
    func: Callable, primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False
) -> tuple:
    """The outputs of ``func(*primals)`` and their derivative in the direction of `tangents` (with `has_aux`:
    and what `func` returned beside)."""
    if not isinstance(primals, tuple):
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call"
            " f(*primals)."
        )
    flat_primals, primal_spec = tree_flatten(primals)
    flat, tangent_spec = tree_flatten(tangents)
    if primal_spec != tangent_spec:
        raise RuntimeError(
            "jvp(f, primals, tangents): Expected primals and tangents to have the same python structure. For"
            " example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with structure"
            f" {primal_spec} and tangents with structure {tangent_spec}"
        )
    if not flat_primals:
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to contain at least one Tensor.")
    for name, values in (("primals", flat_primals), ("tangents", flat)):
        for v in values:
            if not isinstance(v, fb.Tensor):
                raise RuntimeError(
                    f"jvp(f, primals, tangents): Expected {name} to only contain Tensors, got {type(v)}"
                )
    for p, t in zip(flat_primals, flat):
        for name, x in (("primal", p), ("tangent", t)):
            if not (x.is_floating_point() or x.is_complex()):
                raise ValueError(f"Expected {name} to be floating point or complex, but got: {x.dtype}")
        if p.shape != t.shape:
            raise RuntimeError(
                "Trying to set a forward gradient that has a different size than that of the original"
                f" Tensor, this is not supported. Tensor is of size {list(p.shape)} while the given forward"
                f" gradient is of size {list(t.shape)}."
            )
    recorded = fb.is_grad_enabled()
    with fb.enable_grad():
        own, _, outputs, out_spec, aux = _run(func, primals, has_aux, "jvp(f, primals, tangents)")
        if strict and not all(o.requires_grad for o in outputs):
            raise RuntimeError(
                "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This"
                " is not allowed with strict=True."
            )
        linear = _Linear(own, outputs)
        products = linear(flat)
    values = tree_unflatten(linear.released(outputs, [], recorded), out_spec)
    products = tree_unflatten(linear.released(products, flat, recorded), out_spec)
    if has_aux:
        return values, products, tree_map(lambda t: linear.released([t], [], recorded)[0], aux)
    return values, products


def linearize(func: Callable, *primals: Any) -> tuple:
    """The outputs of ``func(*primals)`` and its derivative there as a function of tangents, for many of
    them."""
    with fb.enable_grad():
        own, spec, outputs, out_spec, _ = _run(func, primals, False, "linearize(f, *primals)")
        linear = _Linear(own, outputs)

    def push(*tangents: Any) -> Any:
        flat, tangent_spec = tree_flatten(tangents)
        if tangent_spec != spec:
            raise RuntimeError(
                f"Expected the tangents {tangent_spec} to have the same structure as the primals {spec}"
            )
        for i, (p, t) in enumerate(zip(own, flat)):
            if p.shape != t.shape:
                raise RuntimeError(
                    f"tangent:{i} with shape {t.shape} in flattened pytree doesn't match the shape {p.shape}"
                    " of the corresponding primal."
                )
        with fb.enable_grad():
            products = linear(flat)
        return tree_unflatten(linear.released(products, flat, True), out_spec)

    return tree_unflatten(linear.released(outputs, [], True), out_spec), push


def _nothing(x: Any, count: int) -> Any:
    """As many zeros like a tensor, stacked."""
    return fb.zeros_like(x).unsqueeze(0).expand(count, *x.shape)


def _rows(output: Any, inputs: list, create: bool, at_once: int | None = None) -> list:
    """The gradients of each element of an output, stacked by input."""
    count = output.numel()
    found: tuple = (None,) * len(inputs)
    if count and output.requires_grad and inputs:

        def backward(cotangents: list, keep: bool) -> tuple:
            return fb.autograd.grad(
                [output], inputs, cotangents, retain_graph=keep, create_graph=create, allow_unused=True
            )

        found = rows.gradients(backward, [rows.basis(output)], at_once=at_once)
    return [_nothing(x, count) if g is None else g for g, x in zip(found, inputs)]


def jacrev(
    func: Callable,
    argnums: int | tuple[int, ...] = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable:
    """A function that returns the Jacobian of `func`, by a backward for all elements of an output.

    Its structure is that of the outputs, each holding that of the inputs; a block has the output's sizes,
    then the input's. `chunk_size` limits how many rows are computed at once.
    """
    if chunk_size is not None and not chunk_size > 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    def wrapper(*args: Any) -> Any:
        numbers, tree = _chosen(args, argnums)
        recorded = fb.is_grad_enabled()
        with fb.enable_grad():
            leaves, spec = tree_flatten(tree)

            def inner(*flat: Any) -> Any:
                return func(*_replaced(args, numbers, argnums, tree_unflatten(list(flat), spec)))

            own, _, outputs, out_spec, aux = _run(inner, tuple(leaves), has_aux, "vjp(f, *primals)")
            keep = recorded and _other_leaves(outputs, own)
            blocks = []
            for o in outputs:
                found = _rows(o, own, keep, chunk_size)
                made = [g.reshape(*o.shape, *x.shape) for g, x in zip(found, own)]
                blocks.append(tree_unflatten(_released(made, keep), spec))
        result = tree_unflatten(blocks, out_spec)
        return (result, tree_map(lambda t: _released([t], keep)[0], aux)) if has_aux else result

    return wrapper


def jacfwd(
    func: Callable, argnums: int | tuple[int, ...] = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable:
    """A function that returns the Jacobian of `func`, column by column in the directions of the input
    elements.

    Its structure is that of `jacrev`; use it where there are fewer input elements than output elements.
    """
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            f"Only allowed values for randomness are 'error', 'different', or 'same'. Got {randomness}"
        )

    def wrapper(*args: Any) -> Any:
        numbers, tree = _chosen(args, argnums)
        recorded = fb.is_grad_enabled()
        with fb.enable_grad():
            leaves, spec = tree_flatten(tree)

            def inner(*flat: Any) -> Any:
                return func(*_replaced(args, numbers, argnums, tree_unflatten(list(flat), spec)))

            own, _, outputs, out_spec, aux = _run(inner, tuple(leaves), has_aux, "jvp(f, primals, tangents)")
            linear = _Linear(own, outputs)
            columns = [linear.columns(k) for k in range(len(own))]
        blocks = []
        for j, o in enumerate(outputs):
            made = [c[j].movedim(0, -1).reshape(*o.shape, *x.shape) for c, x in zip(columns, own)]
            blocks.append(tree_unflatten(linear.released(made, [], recorded), spec))
        result = tree_unflatten(blocks, out_spec)
        return (result, tree_map(lambda t: linear.released([t], [], recorded)[0], aux)) if has_aux else result

    return wrapper


def hessian(func: Callable, argnums: int | tuple[int, ...] = 0) -> Callable:
    """A function that returns the second derivatives of `func`: the Jacobian (`jacfwd`) of its Jacobian
    (`jacrev`)."""
    return jacfwd(jacrev(func, argnums), argnums)
