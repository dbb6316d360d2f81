"""Derivatives of functions of tensors: `vjp`, `jvp`, `jacobian`, `hessian`, `vhp`, `hvp`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flambeau as fb

__all__ = ["vjp", "jvp", "jacobian", "hessian", "hvp", "vhp"]

_INDEPENDENT_JACOBIAN = (
    "While computing the hessian, found that the jacobian of the user-provided function with respect to input"
    " {} is independent of the input. This is not allowed in strict mode. You should ensure that your"
    " function is twice differentiable and that the jacobian depends on the inputs (this would be violated by"
    " a linear function for example)."
)


def _tupled(x: Any, what: str, of: str) -> tuple[bool, tuple]:
    """(was it a tuple, the tuple), after checking that it holds tensors."""
    single = not isinstance(x, tuple)
    values = (x,) if single else x
    for i, v in enumerate(values):
        if not isinstance(v, fb.Tensor):
            if single:
                raise TypeError(
                    f"The {what} given to {of} must be either a Tensor or a tuple of Tensors but the given"
                    f" {what} has type {type(v)}."
                )
            raise TypeError(
                f"The {what} given to {of} must be either a Tensor or a tuple of Tensors but the value at"
                f" index {i} has type {type(v)}."
            )
    return not single, values


def _outputs(x: Any, of: str) -> tuple[bool, tuple]:
    return _tupled(x, "outputs of the user-provided function", of)


def _fresh(inputs: tuple, create_graph: bool, need_graph: bool = True) -> tuple:
    """Inputs that the function is differentiated with respect to, apart from any other use of the user's
    tensors."""
    made = []
    for x in inputs:
        if create_graph and x.requires_grad:
            made.append(x.view_as(x) if not x.is_sparse else x.clone())
        else:
            made.append(x.detach().requires_grad_(need_graph))
    return tuple(made)


def _released(x: Any, create_graph: bool) -> Any:
    """Results as the caller gets them: with their graph only where asked for."""
    if isinstance(x, tuple):
        return tuple(_released(v, create_graph) for v in x)
    return x if create_graph else x.detach()


def _vector(v: Any, of: str, reference: tuple, tupled: bool) -> tuple:
    """Checks the vector against the tensors it goes with."""
    _, v = _tupled(v, "v", of)
    if len(v) != len(reference):
        if tupled:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(reference)} but got {len(v)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for i, (a, r) in enumerate(zip(v, reference)):
        if a.shape != r.shape:
            where = f"Entry {i} in " if tupled else ""
            raise RuntimeError(f"{where}v has invalid size: should be {r.shape} but got {a.shape}.")
    return v


def _check_outputs(
    outputs: tuple, strict: bool, what: str = "Output {} of the user-provided function"
) -> None:
    if not strict:
        return
    for i, o in enumerate(outputs):
        if not o.requires_grad:
            raise RuntimeError(
                f"{what.format(i)} does not require gradients. The outputs must be computed in a"
                " differentiable manner from the input when running in strict mode."
            )


def _grad(outputs: tuple, inputs: tuple, cotangents: Any = None, create_graph: bool = False) -> tuple:
    """Gradients where outputs that depend on nothing count as constant."""
    pairs = [
        (o, c)
        for o, c in zip(outputs, cotangents or (None,) * len(outputs))
        if o is not None and o.requires_grad
    ]
    if not pairs:
        return (None,) * len(inputs)
    outs, cots = zip(*pairs)
    return fb.autograd.grad(
        outs, inputs, cots, allow_unused=True, create_graph=create_graph, retain_graph=True
    )


def _zeros_like_of(g: Any, x: Any) -> Any:
    return fb.zeros_like(x) if g is None else g


def _filled(
    grads: tuple, references: tuple, strict: bool, create_graph: bool, missing: str, constant: str
) -> tuple:
    """Zeros for gradients that are not there; in strict mode an error instead."""
    made = []
    for i, (g, x) in enumerate(zip(grads, references)):
        if g is None and strict:
            raise RuntimeError(missing.format(i))
        if strict and create_graph and not g.requires_grad:
            raise RuntimeError(constant.format(i))
        made.append(_zeros_like_of(g, x))
    return tuple(made)


_NO_DEPENDENCE = (
    "The output of the user-provided function is independent of input {}. This is not allowed in strict mode."
)
_CONSTANT_JACOBIAN = (
    "The jacobian of the user-provided function is independent of input {}. This is not allowed in strict"
    " mode when create_graph=True."
)


def vjp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """A vector times the Jacobian of `func` at `inputs`.

    Parameters
    ----------
    func : takes the inputs, returns a tensor or a tuple of tensors.
    v : shaped as the outputs; may be left out where the function returns one number.
    create_graph : make the results differentiable.
    strict : raise where an output does not depend on an input, instead of giving zeros.

    Returns
    -------
    The outputs, and the product (shaped as the inputs).
    """
    with fb.enable_grad():
        in_tupled, given = _tupled(inputs, "inputs", "vjp")
        xs = _fresh(given, create_graph)
        out_tupled, outputs = _outputs(func(*xs), "vjp")
        _check_outputs(outputs, strict)
        if v is not None:
            v = _fresh(_vector(v, "vjp", outputs, out_tupled), create_graph, need_graph=False)
        elif len(outputs) != 1 or outputs[0].nelement() != 1:
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single Tensor with a"
                " single element."
            )
    with fb.set_grad_enabled(bool(create_graph) or fb.is_grad_enabled()):
        grads = _grad(outputs, xs, v, create_graph)
        products = _filled(grads, xs, strict, create_graph, _NO_DEPENDENCE, _CONSTANT_JACOBIAN)
    outputs, products = _released(outputs, create_graph), _released(products, create_graph)
    return outputs if out_tupled else outputs[0], products if in_tupled else products[0]


def jvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """The Jacobian of `func` at `inputs` times a vector, by two backwards (`func.jvp` does it in one
    forward).

    Parameters are those of `vjp`; `v` is shaped as the inputs. Returns the outputs and the product (shaped as
    they are).
    """
    with fb.enable_grad():
        in_tupled, given = _tupled(inputs, "inputs", "jvp")
        xs = _fresh(given, create_graph)
        if v is not None:
            v = _fresh(_vector(v, "jvp", given, in_tupled), create_graph, need_graph=False)
        elif len(given) != 1 or given[0].nelement() != 1:
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided function is a single Tensor"
                " with a single element."
            )
        else:
            v = tuple(fb.ones_like(x) for x in given)
        out_tupled, outputs = _outputs(func(*xs), "jvp")
        _check_outputs(outputs, strict)
        # the product is the derivative of a vjp, which is linear in its vector, with respect to that vector
        dummies = tuple(fb.zeros_like(o, requires_grad=True) for o in outputs)
        first = _grad(outputs, xs, dummies, create_graph=True)
        first = _filled(first, xs, strict, False, _NO_DEPENDENCE, "")
    with fb.set_grad_enabled(bool(create_graph) or fb.is_grad_enabled()):
        grads = _grad(first, dummies, v, create_graph)
        products = _filled(
            grads,
            outputs,
            strict,
            create_graph,
            "The user-provided function is independent of the input for output {}. This is not allowed in"
            " strict mode.",
            _CONSTANT_JACOBIAN,
        )
    outputs, products = _released(outputs, create_graph), _released(products, create_graph)
    if not out_tupled:
        return outputs[0], products[0]
    return outputs, products


def _jacobian_forward(func: Callable, given: tuple, in_tupled: bool) -> Any:
    """Columns by forward-mode differentiation."""
    from ..func import jacfwd

    out_tupled = False

    def flat(*xs: Any) -> tuple:
        nonlocal out_tupled
        out_tupled, outs = _outputs(func(*xs), "jacobian")
        return outs

    rows = [list(r) for r in jacfwd(flat, tuple(range(len(given))))(*(t.detach() for t in given))]
    if in_tupled:  # lists here, as in PyTorch
        return rows if out_tupled else rows[0]
    return tuple(r[0] for r in rows) if out_tupled else rows[0][0]


def _shaped_jacobian(rows: tuple, out_tupled: bool, in_tupled: bool) -> Any:
    if not in_tupled:
        rows = tuple(r[0] for r in rows)
    return rows if out_tupled else rows[0]


def jacobian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`: sizes of an output followed by sizes of an input.

    Parameters
    ----------
    create_graph, strict : as for `vjp`.
    vectorize : rows are computed together anyway; allows `strategy` to be ``"forward-mode"``.
    strategy : ``"reverse-mode"`` (one backward an output element) or ``"forward-mode"`` (one forward an input
        element).

    Returns
    -------
    A tensor; a tuple over inputs, over outputs, or of tuples (outputs, then inputs) where those are tuples.
    """
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more'
            ' outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use'
            ' "reverse-mode".'
        )
    if strategy == "forward-mode":
        if create_graph:
            raise NotImplementedError(
                'torch.autograd.functional.jacobian: `create_graph=True` and `strategy="forward-mode"` are'
                " not supported together (yet). Please either set `create_graph=False` or"
                ' `strategy="reverse-mode"`.'
            )
        if strict:
            raise RuntimeError(
                'torch.autograd.functional.jacobian: `strict=True` and `strategy="forward-mode"` are not'
                ' supported together (yet). Please either set `strict=False` or `strategy="reverse-mode"`.'
            )
        if not vectorize:
            raise NotImplementedError(
                "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly implemented for"
                " `vectorize=True`."
            )
        in_tupled, given = _tupled(inputs, "inputs", "jacobian")
        return _jacobian_forward(func, given, in_tupled)
    with fb.enable_grad():
        in_tupled, given = _tupled(inputs, "inputs", "jacobian")
        xs = _fresh(given, create_graph)
        out_tupled, outputs = _outputs(func(*xs), "jacobian")
        _check_outputs(outputs, strict)
        if strict and vectorize:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not supported"
                " together. Please either set `strict=False` or `vectorize=False`."
            )
        blocks = tuple(_jacobian_rows(i, o, xs, create_graph, strict) for i, o in enumerate(outputs))
    return _shaped_jacobian(_released(blocks, create_graph), out_tupled, in_tupled)


def _jacobian_rows(index: int, output: Any, xs: tuple, create_graph: bool, strict: bool) -> tuple:
    """The Jacobians of one output with respect to all inputs."""
    from ..func import rows

    count = output.numel()
    found: tuple = (None,) * len(xs)
    if count:
        found = rows.gradients(
            lambda c, keep: _grad((output,), xs, tuple(c), create_graph), [rows.basis(output)]
        )
    made = []
    for k, (g, x) in enumerate(zip(found, xs)):
        if g is None and strict:
            raise RuntimeError(
                f"Output {index} of the user-provided function is independent of input {k}. This is not"
                " allowed in strict mode."
            )
        if strict and create_graph and not g.requires_grad:
            raise RuntimeError(_CONSTANT_JACOBIAN.format(k))
        g = x.new_zeros((count, *x.shape)) if g is None else g
        made.append(g.reshape(output.shape + x.shape))
    return tuple(made)


def _single_output(func: Callable, name: str, strict: bool) -> Callable:
    """`func`, checked to return one number."""

    def checked(*args: Any) -> Any:
        out_tupled, outputs = _outputs(func(*args), name)
        _check_outputs(outputs, strict)
        if out_tupled or not isinstance(outputs[0], fb.Tensor):
            raise RuntimeError(f"The function given to {name} should return a single Tensor")
        if outputs[0].nelement() != 1:
            raise RuntimeError(
                f"The Tensor returned by the function given to {name} should contain a single element"
            )
        return outputs[0].squeeze()

    return checked


def hessian(
    func: Callable,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """Second derivatives of a function that returns one number.

    Parameters are those of `jacobian`. Returns a tensor (sizes of the input twice), or a tuple of tuples over
    pairs of inputs.
    """
    in_tupled, given = _tupled(inputs, "inputs", "hessian")
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    checked = _single_output(func, "hessian", strict)

    def gradient(*xs: Any) -> tuple:
        if outer_jacobian_strategy == "forward-mode":
            xs = tuple(x.requires_grad_(True) if not x.requires_grad else x for x in xs)
        rows = jacobian(checked, xs, create_graph=True)
        if strict:
            for i, r in enumerate(rows):
                if not r.requires_grad:
                    raise RuntimeError(_INDEPENDENT_JACOBIAN.format(i))
        return rows

    blocks = jacobian(
        gradient,
        given,
        create_graph=create_graph,
        strict=strict,
        vectorize=vectorize,
        strategy=outer_jacobian_strategy,
    )
    return blocks if in_tupled else blocks[0][0]


def _gradient_of(func: Callable, inputs: Any, create_graph: bool, strict: bool, name: str) -> tuple:
    in_tupled, given = _tupled(inputs, "inputs", name)
    xs = _fresh(given, create_graph)
    out = func(*xs)
    out_tupled, outputs = _outputs(out, name)
    _check_outputs(outputs, strict)
    if out_tupled:
        raise RuntimeError(f"The function given to {name} should return a single Tensor")
    if outputs[0].nelement() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {name} should contain a single element"
        )
    grads = _grad(outputs, xs, None, create_graph=True)
    grads = _filled(grads, xs, strict, True, _NO_DEPENDENCE, _INDEPENDENT_JACOBIAN)
    return in_tupled, xs, outputs[0], grads


def _checked_v(v: Any, of: str, given: tuple, in_tupled: bool, create_graph: bool) -> tuple:
    if v is None:
        if len(given) != 1 or given[0].nelement() != 1:
            raise RuntimeError(
                "The vector v can only be None if the input to the user-provided function is a single Tensor"
                " with a single element."
            )
        return tuple(fb.ones_like(x) for x in given)
    return _fresh(_vector(v, of, given, in_tupled), create_graph, need_graph=False)


def vhp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """A vector times the Hessian of `func` at `inputs`.

    `func` returns one number, `v` is shaped as the inputs. Returns the number and the product (shaped as the
    inputs).
    """
    with fb.enable_grad():
        in_tupled, given = _tupled(inputs, "inputs", "vhp")
        v = _checked_v(v, "vhp", given, in_tupled, create_graph)
        in_tupled, xs, output, first = _gradient_of(func, inputs, create_graph, strict, "vhp")
    with fb.set_grad_enabled(bool(create_graph) or fb.is_grad_enabled()):
        grads = _grad(first, xs, v, create_graph)
        products = _filled(grads, xs, strict, create_graph, _INDEPENDENT_JACOBIAN, _INDEPENDENT_JACOBIAN)
    products = _released(products, create_graph)
    return _released(output, create_graph), products if in_tupled else products[0]


def hvp(
    func: Callable, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple:
    """The Hessian of `func` at `inputs` times a vector; by the symmetry of the Hessian, `vhp` is faster.

    Parameters and results are those of `vhp`.
    """
    with fb.enable_grad():
        in_tupled, given = _tupled(inputs, "inputs", "hvp")
        v = _checked_v(v, "hvp", given, in_tupled, create_graph)
        in_tupled, xs, output, first = _gradient_of(func, inputs, create_graph, strict, "hvp")
        # differentiating <H u, .> with respect to u gives H v
        dummies = tuple(fb.zeros_like(x, requires_grad=True) for x in xs)
        second = _grad(first, xs, dummies, create_graph=True)
        second = _filled(second, xs, strict, True, _INDEPENDENT_JACOBIAN, _INDEPENDENT_JACOBIAN)
    with fb.set_grad_enabled(bool(create_graph) or fb.is_grad_enabled()):
        grads = _grad(second, dummies, v, create_graph)
        products = _filled(grads, xs, strict, create_graph, _INDEPENDENT_JACOBIAN, _INDEPENDENT_JACOBIAN)
    products = _released(products, create_graph)
    return _released(output, create_graph), products if in_tupled else products[0]
