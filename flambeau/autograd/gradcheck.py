"""`gradcheck` and `gradgradcheck`: derivatives compared with finite differences.

Every pair of output and input is compared as a matrix of one row an input element and one column an output
element. For complex inputs an entry is ``dL/dRe + i dL/dIm``; complex outputs are checked as two real
functions, their imaginary and real parts.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import flambeau as fb

__all__ = [
    "gradcheck",
    "gradgradcheck",
    "GradcheckError",
    "get_numerical_jacobian",
    "get_analytical_jacobian",
]


class GradcheckError(RuntimeError):
    """A derivative does not agree with finite differences."""


_IMAG_PREFIX = "While considering the imaginary part of complex outputs only, "
_FAST_NOTE = """
The above quantities relating the numerical and analytical jacobians are computed\x20
in fast mode. See: https://github.com/pytorch/pytorch/issues/53876 for more background\x20
about fast mode. Below, we recompute numerical and analytical jacobians in slow mode:

Numerical:
 {numerical}
Analytical:
{analytical}

The max per-element difference (slow mode) is: {difference}.
"""
_REENTRANT = (
    "Backward is not reentrant, i.e., running backward with same input and grad_output multiple times gives"
    " different values, although analytical gradient matches numerical gradient.The tolerance for"
    " nondeterminism was {}.\n\nIf the operator is known to be non-deterministic, pass its tolerance as"
    " `nondet_tol=`."
)


def _as_tuple(x: Any) -> tuple:
    if isinstance(x, tuple):
        return x
    return tuple(x) if isinstance(x, list) else (x,)


def _is_float(t: Any) -> bool:
    return isinstance(t, fb.Tensor) and (t.is_floating_point() or t.is_complex())


def _checked_inputs(inputs: tuple) -> list[int]:
    """Indices of the inputs to differentiate, after checking that they can be."""
    chosen = []
    for i, t in enumerate(inputs):
        if not (isinstance(t, fb.Tensor) and t.requires_grad):
            continue
        if t.dtype not in (fb.float64, fb.complex128):
            warnings.warn(
                f"Input #{i} requires gradient and is not a double precision floating point or complex. This"
                " check will likely fail if all the inputs are not of double precision floating point or"
                " complex. ",
                stacklevel=4,
            )
        if t.layout is not fb.strided:
            raise NotImplementedError(
                f"gradcheck: input {i} has layout {t.layout}; only strided inputs are supported"
            )
        if any(stride == 0 and size > 1 for stride, size in zip(t.stride(), t.shape)):
            raise RuntimeError(
                f"The {i}th input has a dimension with stride 0. gradcheck only supports inputs that are"
                " non-overlapping to be able to compute the numerical gradients correctly. You should call"
                " .contiguous on the input before passing it to gradcheck."
            )
        t.retain_grad()
        chosen.append(i)
    if not chosen:
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them have"
            " requires_grad=True."
        )
    return chosen


def _checked_outputs(outputs: tuple) -> None:
    if any(isinstance(o, fb.Tensor) and o.layout is not fb.strided for o in outputs):
        raise ValueError(
            "Sparse output is not supported at gradcheck yet. Please call to_dense(masked_grad=...) on the"
            " output of fn for gradcheck."
        )


class _Part:
    """The function seen as one with real outputs: the real or imaginary part of its complex ones."""

    def __init__(self, func: Callable, imaginary: bool) -> None:
        self.func, self.imaginary = func, imaginary
        self.prefix = _IMAG_PREFIX if imaginary else ""

    def __call__(self, inputs: tuple) -> list:
        outputs = [o for o in _as_tuple(self.func(*inputs)) if isinstance(o, fb.Tensor)]
        if self.imaginary:
            return [fb.imag(o) for o in outputs if o.is_complex()]
        return [fb.real(o) if o.is_complex() else o for o in outputs]

    def differentiable(self, inputs: tuple) -> list:
        return [o for o in self(inputs) if o.requires_grad]

    def values(self, inputs: tuple) -> list:
        """Copies of the outputs that `differentiable` returns."""
        with fb.enable_grad():
            return [o.detach().clone() for o in self.differentiable(inputs)]


def _directions(t: Any) -> list[complex]:
    return [1.0, 1j] if t.is_complex() else [1.0]


def _numerical(part: _Part, inputs: tuple, index: int, eps: float) -> list:
    """Jacobians of all outputs with respect to one input, by central differences."""
    x = inputs[index]
    base = x.data
    n = x.numel()
    rows: list[list] = []
    flat_index = [()] if x.dim() == 0 else None
    for k in range(n):
        where = flat_index[k] if flat_index else _unravel(k, x.shape)
        original = base[where].item()
        parts = []
        for direction in _directions(x):
            base[where] = original + eps * direction
            above = part.values(inputs)
            base[where] = original - eps * direction
            below = part.values(inputs)
            base[where] = original
            parts.append([((a - b) / (2 * eps)).reshape(-1) for a, b in zip(above, below)])
        if len(parts) == 1:
            rows.append(parts[0])
        else:
            rows.append(
                [fb.complex(re.to(fb.float64), im.to(fb.float64)).to(x.dtype) for re, im in zip(*parts)]
            )
    if not rows:
        return [o.new_zeros((0, o.numel())) for o in part.values(inputs)]
    return [fb.stack(list(column)) for column in zip(*rows)]


def _unravel(k: int, shape: Sequence[int]) -> tuple[int, ...]:
    where = []
    for size in reversed(shape):
        k, r = divmod(k, size)
        where.append(r)
    return tuple(reversed(where))


def _grad(output: Any, inputs: list, cotangent: Any, **kwargs: Any) -> tuple:
    return fb.autograd.grad(output, inputs, cotangent, retain_graph=True, allow_unused=True, **kwargs)


def _analytical(output: Any, inputs: list, check_dtypes: bool = False) -> list:
    """Jacobians of one output with respect to all inputs, by one backward an element."""
    n = output.numel()
    columns: list[list] = [[] for _ in inputs]
    for k in range(n):
        cotangent = fb.zeros_like(output, memory_format=fb.contiguous_format)
        cotangent.view(-1)[k] = 1
        for x, g, column in zip(inputs, _grad(output, inputs, cotangent), columns):
            if g is not None and g.shape != x.shape:
                raise GradcheckError("Analytical gradient has incorrect size")
            if g is not None and check_dtypes and g.dtype != x.dtype:
                raise GradcheckError("Gradient has dtype mismatch")
            column.append(
                fb.zeros_like(x).reshape(-1).detach() if g is None else g.detach().to_dense().reshape(-1)
            )
    return [fb.stack(c, 1) if c else x.new_zeros((x.numel(), 0)).detach() for x, c in zip(inputs, columns)]


def _forward(part: _Part, inputs: tuple, index: int) -> list:
    """Jacobians of all outputs with respect to one input, by forward-mode differentiation."""
    from . import forward_ad as fwd

    x = inputs[index]
    pieces = []
    for direction in _directions(x):
        rows = []
        for k in range(x.numel()):
            tangent = fb.zeros_like(x, memory_format=fb.contiguous_format).detach()
            tangent.view(-1)[k] = direction
            with fwd.dual_level():
                duals = [t.detach() if isinstance(t, fb.Tensor) and t.requires_grad else t for t in inputs]
                duals[index] = fwd.make_dual(duals[index], tangent)
                outs = [fwd.unpack_dual(o) for o in part(tuple(duals))]
                rows.append(
                    [
                        (fb.zeros_like(p) if t is None else t).detach().clone().reshape(-1)
                        for p, t in outs
                        if _is_float(p)
                    ]
                )
        pieces.append([fb.stack(list(c)) for c in zip(*rows)])
    if len(pieces) == 1:
        return pieces[0]
    return [fb.complex(re, im) for re, im in zip(*pieces)]


def _close(a: Any, b: Any, rtol: float, atol: float) -> bool:
    dtype = fb.promote_types(a.dtype, b.dtype)
    return fb.allclose(a.to(dtype), b.to(dtype), rtol, atol)


def _mismatch(
    analytical: Any, numerical: Any, out: int, inp: int, part: _Part, forward: bool = False, note: str = ""
) -> str:
    kind = "computed with forward mode AD " if forward else ""
    return (
        f"{part.prefix}Jacobian {kind}mismatch for output {out:d} with respect to input {inp:d},\n"
        f"numerical:{numerical}\nanalytical:{analytical}\n{note}"
    )


def _check_slow(part: _Part, inputs: tuple, chosen: list[int], opts: dict) -> None:
    tensors = [inputs[i] for i in chosen]
    outputs = part.differentiable(inputs)
    numerical = [_numerical(part, inputs, i, opts["eps"]) for i in chosen]
    for j, output in enumerate(outputs if opts["backward"] else ()):
        analytical = _analytical(output, tensors, opts["dtypes"])
        again = _analytical(output, tensors)
        for k, i in enumerate(chosen):
            a, n = analytical[k], numerical[k][j]
            if not _close(a, n, opts["rtol"], opts["atol"]):
                raise GradcheckError(_mismatch(a, n, j, i, part))
            if a.numel() and (a - again[k]).abs().max() > opts["nondet"]:
                raise GradcheckError(_REENTRANT.format(opts["nondet"]))
    if opts["forward"]:
        for k, i in enumerate(chosen):
            keep = [j for j, o in enumerate(o for o in part(inputs) if _is_float(o)) if o.requires_grad]
            duals = _forward(part, inputs, i)
            for j, o in enumerate(keep):
                n, a = numerical[k][j], duals[o]
                if not _close(a, n, opts["rtol"], opts["atol"]):
                    raise GradcheckError(_mismatch(a, n, j, i, part, forward=True))


def _random_direction(t: Any, generator: Any) -> Any:
    dtype = fb.float64
    u = fb.rand(t.shape, dtype=dtype, generator=generator) + 0.1
    if t.is_complex():
        u = fb.complex(u, fb.rand(t.shape, dtype=dtype, generator=generator) + 0.1)
    return (u / u.abs().square().sum().sqrt().clamp_min(1e-12)).to(dtype=t.dtype, device=t.device)


def _inner(a: Any, b: Any) -> Any:
    """Real inner product of two arrays of the same shape."""
    if a.is_complex() or b.is_complex():
        return (a.conj() * b).real.sum()
    return (a * b).sum()


def _check_fast(part: _Part, inputs: tuple, chosen: list[int], opts: dict) -> None:
    """One random projection of each Jacobian."""
    generator = fb.Generator()
    generator.manual_seed(0)
    tensors = [inputs[i] for i in chosen]
    outputs = part.differentiable(inputs)
    weights = [_random_direction(o, generator) for o in outputs]
    eps = opts["eps"]
    for k, i in enumerate(chosen):
        x = inputs[i]
        u = _random_direction(x, generator)
        base, original = x.data, x.data.clone()
        base.copy_(original + eps * u)
        above = part.values(inputs)
        base.copy_(original - eps * u)
        below = part.values(inputs)
        base.copy_(original)
        tangents = _fast_tangents(part, inputs, i, u) if opts["forward"] else None
        keep = [j for j, o in enumerate(o for o in part(inputs) if _is_float(o)) if o.requires_grad]
        for j, output in enumerate(outputs):
            v = weights[j]
            numerical = _inner(v, (above[j] - below[j]) / (2 * eps))
            atol = opts["atol"] * float(u.abs().sum()) * float(v.abs().sum())
            if opts["backward"]:
                g, again = _grad(output, tensors, v)[k], _grad(output, tensors, v)[k]
                a = fb.zeros((), dtype=numerical.dtype) if g is None else _inner(g.detach(), u)
                if not _close(a, numerical, opts["rtol"], atol):
                    raise GradcheckError(
                        _mismatch(a, numerical, j, i, part, note=_slow_note(part, inputs, i, j, eps))
                    )
                if g is not None and g.numel() and (g - again).abs().max() > opts["nondet"]:
                    raise GradcheckError(_REENTRANT.format(opts["nondet"]))
            if tangents is not None:
                a = _inner(v, tangents[keep[j]])
                if not _close(a, numerical, opts["rtol"], atol):
                    raise GradcheckError(_mismatch(a, numerical, j, i, part, forward=True))


def _fast_tangents(part: _Part, inputs: tuple, index: int, u: Any) -> list:
    from . import forward_ad as fwd

    with fwd.dual_level():
        duals = [t.detach() if isinstance(t, fb.Tensor) and t.requires_grad else t for t in inputs]
        duals[index] = fwd.make_dual(duals[index], u)
        outs = [fwd.unpack_dual(o) for o in part(tuple(duals))]
        return [(fb.zeros_like(p) if t is None else t).detach().clone() for p, t in outs if _is_float(p)]


def _slow_note(part: _Part, inputs: tuple, index: int, out: int, eps: float) -> str:
    numerical = _numerical(part, inputs, index, eps)[out]
    analytical = _analytical(part.differentiable(inputs)[out], [inputs[index]])[0]
    difference = (analytical - numerical).abs().max() if analytical.numel() else 0.0
    return _FAST_NOTE.format(numerical=numerical, analytical=analytical, difference=difference)


def _check_no_gradient(func: Callable, inputs: tuple, chosen: list[int], eps: float) -> None:
    """Without a differentiable output the function must be constant."""
    for i in chosen:
        base = inputs[i].data
        for k in range(inputs[i].numel()):
            where = _unravel(k, base.shape)
            original = base[where].item()
            base[where] = original + eps
            above = [o.detach().clone() for o in _as_tuple(func(*inputs)) if _is_float(o)]
            base[where] = original - eps
            below = [o.detach().clone() for o in _as_tuple(func(*inputs)) if _is_float(o)]
            base[where] = original
            if any(fb.ne((a - b) / (2 * eps), 0).any() for a, b in zip(above, below)):
                raise GradcheckError("Numerical gradient for function expected to be zero")


def _check_undefined(func: Callable, inputs: tuple, chosen: list[int]) -> None:
    """Backward must cope with gradients that are not there, alone and together."""
    from .function import Function

    class Absent(Function):
        @staticmethod
        def forward(ctx: Any, *outputs: Any) -> tuple:
            return tuple(o.view_as(o) for o in outputs)

        @staticmethod
        def backward(ctx: Any, *grads: Any) -> tuple:
            return tuple(None if i in absent else g for i, g in enumerate(grads))

    tensors = [inputs[i] for i in chosen]
    count = sum(o.requires_grad for o in _as_tuple(func(*inputs)) if isinstance(o, fb.Tensor))
    for gone in [set(range(count))] + ([{i} for i in range(count)] if count > 1 else []):
        absent = gone
        outputs = [o for o in _as_tuple(func(*inputs)) if isinstance(o, fb.Tensor) and o.requires_grad]
        ends = Absent.apply(*outputs)
        try:
            grads = fb.autograd.grad(ends, tensors, [fb.zeros_like(o) for o in ends], allow_unused=True)
        except RuntimeError as e:
            raise GradcheckError(
                "Expected backward function to handle undefined output grads. Please look at 'Notes about"
                ' undefined output gradients\' in "tools/autograd/derivatives.yaml"'
            ) from e
        for g in grads:
            if g is not None and (g.to_dense() != 0).any():
                raise GradcheckError(
                    "Expected all input grads to be undefined or zero when all output grads are undefined or"
                    " zero. Please look at 'Notes about undefined output gradients' in"
                    ' "tools/autograd/derivatives.yaml"'
                )


def _check_batched(func: Callable, inputs: tuple, chosen: list[int], opts: dict) -> None:
    """Backward under vmap must give what a loop over the cotangents gives."""
    from ..func import vmap

    tensors = [inputs[i] for i in chosen]
    for output in (o for o in _as_tuple(func(*inputs)) if isinstance(o, fb.Tensor) and o.requires_grad):
        cotangents = fb.randn((2, *output.shape), dtype=output.dtype)

        def backward(v: Any, output: Any = output) -> tuple:
            grads = _grad(output, tensors, v)
            return tuple(fb.zeros_like(x) if g is None else g for g, x in zip(grads, tensors))

        looped = [backward(v) for v in cotangents]
        try:
            batched = vmap(backward)(cotangents)
        except RuntimeError as e:
            raise GradcheckError(
                f"While computing batched gradients, got: {e}\n\nvmap over the backward of the function"
                " failed; pass check_batched_grad=False to leave this out."
            ) from e
        for j, b in enumerate(batched):
            if not fb.allclose(b, fb.stack([row[j] for row in looped]), opts["rtol"], opts["atol"]):
                raise GradcheckError(
                    f"For output {output} and input {j}: gradients under vmap {b} differ from those of a loop"
                    f" {[row[j] for row in looped]}"
                )


def _gradcheck(
    func: Callable, inputs: tuple, opts: dict, check_undefined_grad: bool, batched: bool, fast: bool
) -> None:
    chosen = _checked_inputs(inputs)
    outputs = _as_tuple(func(*inputs))
    _checked_outputs(outputs)
    if not any(isinstance(o, fb.Tensor) and o.requires_grad for o in outputs):
        _check_no_gradient(func, inputs, chosen, opts["eps"])
        return
    check = _check_fast if fast else _check_slow
    if any(isinstance(o, fb.Tensor) and o.is_complex() for o in outputs):
        check(_Part(func, imaginary=True), inputs, chosen, opts)
    check(_Part(func, imaginary=False), inputs, chosen, opts)
    if batched:
        _check_batched(func, inputs, chosen, opts)
    if opts["backward"] and check_undefined_grad:
        _check_undefined(func, inputs, chosen)


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Compare the gradients of ``func(*inputs)`` with central finite differences.

    Parameters
    ----------
    func : takes the inputs, returns a tensor or a tuple of tensors.
    inputs : tensor or tuple; those with ``requires_grad`` are checked and should be float64 or complex128.
    eps, atol, rtol : step of the differences, and tolerances of the comparison.
    raise_exception : raise `GradcheckError` on a difference; otherwise return False.
    nondet_tol : how far two runs of backward may differ.
    check_undefined_grad, check_grad_dtypes, check_batched_grad, check_forward_ad, check_backward_ad : what
        else to check.
    fast_mode : compare one random projection of each Jacobian.

    Returns
    -------
    True where everything agrees.
    """
    if not (check_forward_ad or check_backward_ad):
        raise AssertionError("Expected at least one of check_forward_ad or check_backward_ad to be True")
    if check_batched_grad and not check_backward_ad:
        raise AssertionError("Setting check_batched_grad=True requires check_backward_ad to be True")
    if check_batched_forward_grad and not check_forward_ad:
        raise AssertionError("Setting check_batched_forward_grad=True requires check_forward_ad to be True")
    opts = {
        "eps": eps, "atol": atol, "rtol": rtol, "nondet": nondet_tol, "dtypes": check_grad_dtypes,
        "forward": check_forward_ad, "backward": check_backward_ad,
    }  # fmt: skip
    try:
        _gradcheck(func, _as_tuple(inputs), opts, check_undefined_grad, check_batched_grad, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """Compare second derivatives of ``func(*inputs)`` with finite differences of its first.

    Takes what `gradcheck` takes, and `grad_outputs`, the cotangents (random where None).
    """
    inputs = _as_tuple(inputs)
    if grad_outputs is None:
        grad_outputs = _random_cotangents(func, inputs, gen_non_contig_grad_outputs)
    else:
        grad_outputs = _as_tuple(grad_outputs)
    count = len(grad_outputs)
    wanted = [i for i, t in enumerate(inputs) if isinstance(t, fb.Tensor) and t.requires_grad]

    def first(*args: Any) -> tuple:
        args, cotangents = (args[:-count], args[-count:]) if count else (args, ())
        outputs = [o for o in _as_tuple(func(*args)) if isinstance(o, fb.Tensor) and o.requires_grad]
        sources = [args[i] for i in wanted if args[i].requires_grad]
        grads = fb.autograd.grad(outputs, sources, cotangents, create_graph=True, allow_unused=True)
        return tuple(g for g in grads if g is not None)

    return gradcheck(
        first,
        inputs + tuple(grad_outputs),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
    )


def _random_cotangents(func: Callable, inputs: tuple, noncontiguous: bool) -> tuple:
    from ..testing import make_tensor

    made = []
    for o in _as_tuple(func(*inputs)):
        if not (isinstance(o, fb.Tensor) and o.requires_grad):
            continue
        dtype = o.dtype
        if not _is_float(o):
            dtype = fb.float64
        made.append(
            make_tensor(
                o.shape,
                dtype=dtype,
                device=o.device,
                low=-1,
                high=1,
                requires_grad=True,
                noncontiguous=noncontiguous,
            )
        )
    return tuple(made)


def get_numerical_jacobian(
    fn: Callable, inputs: Any, target: Any = None, eps: float = 1e-3, grad_out: float = 1.0
) -> list:
    """Jacobians of the first output of ``fn(inputs)`` for each input in `target`, by finite differences (old
    interface)."""
    if grad_out != 1.0:
        raise ValueError(
            "Expected grad_out to be 1.0. get_numerical_jacobian no longer supports values of grad_out !="
            " 1.0."
        )
    inputs = _as_tuple(inputs)
    targets = inputs if target is None else _as_tuple(target)
    part = _Part(lambda *args: fn(args), imaginary=False)
    return [
        _numerical(part, inputs, i, eps)[0]
        for i, t in enumerate(inputs)
        if any(t is x for x in targets) and t.requires_grad
    ]


def get_analytical_jacobian(
    inputs: Any, output: Any, nondet_tol: float = 0.0, grad_out: float = 1.0
) -> tuple:
    """Jacobians of `output`, whether backward is reentrant, and whether sizes and dtypes are right (old
    interface)."""
    if grad_out != 1.0:
        raise ValueError(
            "Expected grad_out to be 1.0. get_analytical_jacobian no longer supports values of grad_out !="
            " 1.0."
        )
    tensors = [t for t in _as_tuple(inputs) if isinstance(t, fb.Tensor) and t.requires_grad]
    first, second = _analytical(output, tensors), _analytical(output, tensors)
    reentrant = all(a.numel() == 0 or bool((a - b).abs().max() <= nondet_tol) for a, b in zip(first, second))
    grads = [g for g in _grad(output, tensors, fb.ones_like(output)) if g is not None]
    right_type = all(g.dtype == t.dtype for g, t in zip(grads, tensors))
    return tuple(first), reentrant, True, right_type
