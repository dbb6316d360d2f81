"""Arguments for every differentiable operator of the core's table.

Most follow from the schema: tensors of shape (2, 3), numbers by the argument's name. `SPECIAL` holds what
cannot be guessed. Operators that `EXCLUDED` names have no finite differences to compare with, and say why.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import flambeau as fb
from flambeau import _C


@dataclass
class Operator:
    """A row of the table."""

    name: str
    schema: str
    variants: str
    differentiable: list[str]

    @property
    def arguments(self) -> list[tuple[str, str, bool, bool]]:
        """(type, name, has a default, keyword only) of every argument."""
        inside = (
            self.schema[self.schema.index("(") + 1 :].rpartition(") ->")[0].replace("Tensor(a!)", "Tensor")
        )
        found, keyword = [], False
        for text in re.split(r",\s*(?![^\[]*\])", inside):
            if text == "*":
                keyword = True
                continue
            declared, equals, _ = text.partition("=")
            kind, _, name = declared.strip().rpartition(" ")
            found.append((kind, name, bool(equals), keyword))
        return found

    @property
    def function(self) -> Callable[..., Any]:
        """What a user calls: the function, or the method where there is none."""
        space, _, rest = self.name.rpartition("::")
        name = rest.partition(".")[0]
        if "f" in self.variants:
            return getattr(getattr(_C, "_" + (space or "VariableFunctions")), name)
        if "m" not in self.variants:
            raise LookupError(f"{self.name} has no Python form; give its sample a `call`")
        return getattr(fb.Tensor, name)


@dataclass
class Sample:
    """One call. Tensors of `args` that are floating are differentiated, those of `kwargs` are constants."""

    args: tuple
    kwargs: dict = field(default_factory=dict)
    call: Callable[..., Any] | None = None
    second: bool = True

    @property
    def inputs(self) -> list[Any]:
        """The tensors to differentiate, in order."""
        flat = [t for a in self.args for t in (a if isinstance(a, list) else [a])]
        return [t for t in flat if _differentiable(t)]

    def run(self, operator: Operator, inputs: tuple) -> Any:
        """The call with `inputs` in place of the sample's; what writes into its argument gets a copy."""
        rest = iter(inputs)
        put = lambda a: next(rest) if _differentiable(a) else a  # noqa: E731
        args = [[put(t) for t in a] if isinstance(a, list) else put(a) for a in self.args]
        name = operator.name.rpartition("::")[2].partition(".")[0]
        if name.endswith("_") and not name.startswith("_"):
            args[0] = args[0].clone()
        return (self.call or operator.function)(*args, **self.kwargs)


def _differentiable(t: Any) -> bool:
    return isinstance(t, fb.Tensor) and t.requires_grad


_random = np.random.RandomState(0)


def real(*shape: int, low: float = -2.0, high: float = 2.0) -> Any:
    """A differentiable tensor of distinct numbers, none of them close to another or to an integer."""
    n = int(np.prod(shape))
    values = low + (high - low) * (_random.permutation(n) + 0.37) / max(n, 1)
    return fb.tensor(values.reshape(shape), dtype=fb.float64).requires_grad_()


def _taps() -> Any:
    """Two taps for each of four points of two samples, among five places; -1 is none."""
    return fb.tensor([[[0, 4, -1, 2], [1, 1, 3, 3]], [[2, 2, 0, 4], [-1, 0, 0, 1]]])


def positive(*shape: int) -> Any:
    return real(*shape, low=0.3, high=2.1)


def unit(*shape: int) -> Any:
    return real(*shape, low=0.05, high=0.95)


def imaginary(*shape: int) -> Any:
    return fb.complex(real(*shape).detach(), real(*shape).detach()).requires_grad_()


def constant(*shape: int) -> Any:
    return real(*shape).detach()


def symmetric_positive(n: int) -> Any:
    a = constant(n, n)
    return (a @ a.mT + n * fb.eye(n, dtype=fb.float64)).requires_grad_()


def regular(n: int) -> Any:
    """A matrix far from singular."""
    return (constant(n, n) * 0.5 + n * fb.eye(n, dtype=fb.float64)).requires_grad_()


def index(*values: Any) -> Any:
    return fb.tensor(values)


def of(*args: Any, call: Callable[..., Any] | None = None, second: bool = True, **kwargs: Any) -> Sample:
    return Sample(args, kwargs, call, second)


# ---------------------------------------------------------------- by argument name
NUMBERS: dict[str, Any] = {
    "dim": 1,
    "dims": [0, 1],
    "dim0": 0,
    "dim1": 1,
    "threshold": 0.1,
    "value": 0.7,
    "size": [3, 2],
    "shape": [3, 2],
    "half_to_float": False,
    "decimals": 0,
    "exponent": 1.3,
    "k": 2,
    "min": -0.6,
    "max": 0.6,
    "diagonal": 0,
    "other": 1.7,
    "n": 1,
    "p": 2,
    "reduction": 1,
}
# Where the function is defined, for operators that take (2, 3) tensors.
DOMAIN: dict[str, Callable[..., Any]] = dict.fromkeys(
    """log log2 log10 log1p special::log1p sqrt rsqrt lgamma digamma polygamma xlogy special::xlogy
    special::xlog1py pow float_power reciprocal igamma igammac special::gammainc special::gammaincc
    special::entr acosh arccosh special::digamma special::gammaln special::psi special::polygamma
    div divide true_divide remainder fmod addcdiv special::zeta""".split(),
    positive,
) | dict.fromkeys(
    """acos asin arccos arcsin atanh arctanh erfinv logit special::logit special::ndtri special::erfinv
    nn::binary_cross_entropy""".split(),
    unit,
)


def default(op: Operator) -> Sample:
    """A sample from the schema."""
    base = op.name.partition(".")[0]
    make = DOMAIN.get(base, real)
    args, kwargs = [], {}
    for kind, name, optional, keyword in op.arguments:
        if kind.startswith(("Tensor", "Operand")) and "[" not in kind:
            value = make(2, 3) if name in op.differentiable else make(2, 3).detach()
            if base in ("acosh", "arccosh"):
                value = (value.detach() + 1).requires_grad_()
        elif optional:
            continue
        elif kind == "ScalarType?":
            value = None
        elif name in NUMBERS:
            value = NUMBERS[name]
        else:
            raise LookupError(
                f"no value is known for `{kind} {name}` of {op.schema}; add a sample to SPECIAL"
            )
        if keyword:
            kwargs[name] = value
        else:
            args.append(value)
    return Sample(tuple(args), kwargs)


# ---------------------------------------------------------------- what the schema does not say
def _abs(f: Callable[..., Any]) -> Callable[..., Any]:
    """Eigenvectors are given up to a phase; their magnitudes are not."""
    return lambda *a, **k: [t.abs() for t in f(*a, **k)]


def _symmetric(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda a, *rest, **k: f((a + a.mT) / 2, *rest, **k)


def _first(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *a, **k: f(*a, **k)[0]


_mask = [[True, False, True], [False, True, True]]
_l = _C._linalg
_n = _C._nn
_f = _C._VariableFunctions


def _reductions() -> list[Sample]:
    return [of(real(2, 3)), of(real())]


def _along() -> list[Sample]:
    return [of(real(2, 3), 1), of(real(2, 3, 2), 1, True)]


def _over() -> list[Sample]:
    return [of(real(2, 3), [1]), of(real(2, 3, 2), [0, 2], True)]


def _upsampled(dims: int, *more: Any) -> Callable[[], list[Sample]]:
    return lambda: [of(real(1, 1, *[3, 2, 2][:dims]), [4, 3, 3][:dims], *more)]


SPECIAL: dict[str, Callable[[], list[Sample]]] = {
    "clone": lambda: [of(real(2, 3))],
    "fill": lambda: [of(real(2, 3), real())],
    "fill_": lambda: [of(real(2, 3), real())],
    "alias": lambda: [of(real(2, 3), call=lambda x: x.view_as(x))],
    "_to_copy": lambda: [of(real(2, 3), call=lambda x: x.to(fb.complex128))],
    "div.Tensor_mode": lambda: [of(positive(2, 3), positive(2, 3), rounding_mode="floor")],
    "divide.Tensor_mode": lambda: [of(positive(2, 3), positive(2, 3), rounding_mode="trunc")],
    "pow.Tensor_Tensor": lambda: [
        of(positive(2, 3), real(2, 3)),
        of(real(2, 3), 2),
        of(real(3), 3),
        of(2.0, real(3)),
    ],
    "lerp.Scalar": lambda: [of(real(2, 3), real(2, 3), 0.3), of(real(2, 3), real(2, 3), real(3))],
    "addmm": lambda: [of(real(3), real(2, 4), real(4, 3), beta=0.5, alpha=2)],
    "addmv": lambda: [of(real(2), real(2, 3), real(3), beta=0.5, alpha=2)],
    "addbmm": lambda: [of(real(2, 3), real(2, 2, 2), real(2, 2, 3), beta=0.5, alpha=2)],
    "baddbmm": lambda: [of(real(2, 2, 3), real(2, 2, 2), real(2, 2, 3), beta=0.5, alpha=2)],
    "addr": lambda: [of(real(2, 3), real(2), real(3), beta=0.5, alpha=2)],
    "mm": lambda: [of(real(2, 3), real(3, 2)), of(imaginary(2, 2), imaginary(2, 2))],
    "bmm": lambda: [of(real(2, 2, 3), real(2, 3, 2))],
    "mv": lambda: [of(real(2, 3), real(3))],
    "dot": lambda: [of(real(3), real(3)), of(imaginary(2), imaginary(2))],
    "vdot": lambda: [of(real(3), real(3)), of(imaginary(2), imaginary(2))],
    "convolution": lambda: [
        of(real(1, 2, 5), real(2, 1, 3), real(2), [2], [1], [1], False, [0], 2),
        of(real(1, 2, 3, 3), real(2, 2, 2, 2), None, [1, 1], [0, 0], [1, 1], True, [0, 0], 1),
    ],
    "_ctc_loss": lambda: [
        of(
            real(4, 2, 3),
            index([1, 2], [1, 1]),
            [4, 4],
            [2, 2],
            call=lambda x, *a: _f._ctc_loss(x.log_softmax(2), *a)[0],
            second=False,
        )
    ],
    "embedding": lambda: [of(real(4, 2), index([0, 2], [2, 3]), 1)],
    "embedding_bag": lambda: [
        of(
            real(4, 2),
            index(0, 2, 2, 1),
            index(0, 3),
            False,
            0,
            False,
            real(4),
            call=_first(_f.embedding_bag),
        ),
        of(real(4, 2), index(0, 2, 2, 1), index(0, 3), False, 1, call=_first(_f.embedding_bag)),
    ],
    "_fft_c2c": lambda: [of(imaginary(3, 2), [0, 1], 1, True)],
    "_fft_r2c": lambda: [of(real(4, 3), [0, 1], 1, True), of(real(4), [0], 2, False)],
    "_fft_c2r": lambda: [of(real(2, 3), call=lambda x: _f._fft_c2r(_f._fft_r2c(x, [1], 0, True), [1], 2, 3))],
    "nn::im2col": lambda: [of(real(1, 2, 3, 4), [2, 2], [1, 1], [1, 0], [2, 1])],
    "nn::col2im": lambda: [of(real(1, 8, 2), [2, 3], [2, 2], [1, 1], [0, 0], [1, 1])],
    "where.self": lambda: [of(fb.tensor(_mask), real(2, 3), real(3))],
    "masked_fill": lambda: [of(real(2, 3), fb.tensor(_mask), real())],
    "masked_select": lambda: [of(real(2, 3), fb.tensor(_mask))],
    "masked_scatter": lambda: [of(real(2, 3), fb.tensor(_mask), real(5))],
    "index.Tensor": lambda: [of(real(3, 4), call=lambda x: x[fb.tensor([0, 2, 2]), 1:])],
    "index_put": lambda: [
        of(real(3, 2), (index(0, 2),), real(2, 2)),
        of(real(3, 2), (index(0, 2, 0),), real(3, 2), True),
    ],
    "select_scatter": lambda: [of(real(2, 3), real(2), 1, 0)],
    "slice_scatter": lambda: [of(real(2, 4), real(2, 2), 1, 0, None, 2)],
    "diagonal_scatter": lambda: [of(real(2, 3), real(2), 1)],
    "cat": lambda: [of([real(2, 3), real(1, 3)], 0)],
    "block_diag": lambda: [of(real(2, 3), real(2), real(), call=fb.block_diag)],
    "linalg::cross": lambda: [of(real(2, 3), real(1, 3)), of(real(3, 2), real(3, 2), dim=0)],
    "stack": lambda: [of([real(2, 3), real(2, 3)], 1)],
    "repeat": lambda: [of(real(2, 3), [2, 1, 2])],
    "flip": lambda: [of(real(2, 3), [1])],
    "roll": lambda: [of(real(2, 3), [1], [1]), of(real(2, 3), [4]), of(real(2, 3), [1, -1], [0, 1])],
    "as_strided": lambda: [of(real(2, 3), [2, 2], [1, 2], 1), of(real(6), [3, 3], [1, 1])],
    "as_strided_scatter": lambda: [  # the gradient of the first argument is PyTorch's, not the derivative
        of(real(2, 2), call=lambda s: fb.as_strided_scatter(s.new_ones(2, 3), s, [2, 2], [1, 2], 1))
    ],
    "permute": lambda: [of(real(2, 3), [1, 0])],
    "squeeze.dims": lambda: [of(real(1, 2, 1), [0, 2])],
    "t": lambda: [of(real(2, 3))],
    "view": lambda: [of(real(2, 3), [3, 2])],
    "_unsafe_view": lambda: [of(real(1, 2, 3), call=lambda x: x.transpose(0, 1).reshape(6))],
    "expand": lambda: [of(real(3), [2, 3]), of(real(2, 1), [2, 3])],
    "select.int": lambda: [of(real(2, 3), 1, 2)],
    "slice.Tensor": lambda: [of(real(2, 5), call=lambda x: x[:, 1::2])],
    "unfold": lambda: [of(real(5), 0, 3, 1)],
    "split.sizes": lambda: [of(real(3, 2), [1, 2])],
    "split_with_sizes": lambda: [of(real(3, 2), [1, 2])],
    "split.Tensor": lambda: [of(real(3, 2), 2)],
    "unbind.int": lambda: [of(real(3, 2))],
    "_linalg_det": lambda: [of(regular(3), call=_first(_f._linalg_det))],
    "linalg::lstsq": lambda: [
        of(real(4, 2), real(4, 2), call=_first(_l.lstsq)),
        of(real(2, 3), real(2, 1), call=_first(_l.lstsq)),
    ],
    "linalg::cholesky_ex": lambda: [of(symmetric_positive(3), call=_symmetric(_first(_l.cholesky_ex)))],
    "_cholesky_solve": lambda: [
        of(real(3, 2), regular(3), call=lambda b, factor: fb.cholesky_solve(b, factor.tril())),
        of(real(3, 2), regular(3), call=lambda b, factor: fb.cholesky_solve(b, factor.triu(), True)),
    ],
    "_cholesky_inverse": lambda: [of(regular(3), call=lambda factor: fb.cholesky_inverse(factor.tril()))],
    "linalg::lu_factor_ex": lambda: [of(regular(3), call=_first(_l.lu_factor_ex))],
    "linalg::solve_ex": lambda: [
        of(regular(3), real(3, 2), call=_first(_l.solve_ex)),
        of(regular(2), real(3, 2), left=False, call=_first(_l.solve_ex)),
    ],
    "linalg::inv_ex": lambda: [of(regular(3), call=_first(_l.inv_ex))],
    "linalg::solve_triangular": lambda: [
        of(regular(3), real(3, 2), upper=True),
        of(regular(2), real(3, 2), upper=False, left=False),
    ],
    "linalg::eigh": lambda: [of(symmetric_positive(3), call=_symmetric(_abs(_l.eigh)))],
    "linalg::eig": lambda: [of(regular(3), call=_abs(_l.eig))],
    "linalg::svd": lambda: [
        of(real(3, 2), False, call=_abs(_l.svd)),
        of(real(2, 3), False, call=_abs(_l.svd)),
    ],
    "linalg::qr": lambda: [of(real(3, 2)), of(regular(3))],
    "linalg::vector_norm": lambda: (
        [of(real(2, 3), p, [1]) for p in (1, 2, 3, 0.5, 1.5, float("inf"), -2)]
        + [of(imaginary(2, 2), p) for p in (1, 2, 3, float("inf"))]
    ),
    "nn::binary_cross_entropy": lambda: [of(unit(2, 3), unit(2, 3).detach(), positive(2, 3).detach(), 2)],
    "binary_cross_entropy_with_logits": lambda: [
        of(real(2, 3), unit(2, 3), positive(2, 3).detach(), positive(3).detach())
    ],
    "nll_loss_forward": lambda: [of(real(2, 3), index(2, 0), positive(3).detach(), call=_n.nll_loss)],
    "nn::glu": lambda: [of(real(2, 4)), of(real(4, 3), 0)],
    "nn::multi_margin_loss": lambda: [
        of(real(2, 3), index(2, 0)),
        of(real(2, 3), index(1, 1), 2, 0.5, positive(3).detach(), 2),
    ],
    "nn::multilabel_margin_loss": lambda: [of(real(2, 3), index([2, 0, -1], [1, -1, 0]))],
    "_cross_entropy": lambda: [
        of(real(2, 3), index(2, 0), label_smoothing=0.1, call=_n.cross_entropy_loss),
        of(real(2, 3), index(2, 0), positive(3).detach(), call=_n.cross_entropy_loss),
    ],
    "_cross_entropy2d": lambda: [of(real(1, 3, 2, 2), index([[2, 0], [1, 1]]), call=_n.cross_entropy_loss)],
    "nll_loss2d_forward": lambda: [of(real(1, 3, 2, 2), index([[2, 0], [1, 1]]), call=_n.nll_loss2d)],
    "native_batch_norm": lambda: [
        of(
            real(3, 2, 2),
            positive(2),
            real(2),
            None,
            None,
            True,
            0.1,
            1e-3,
            call=_first(_f.native_batch_norm),
        ),
        of(
            real(3, 2, 2),
            positive(2),
            real(2),
            constant(2),
            positive(2).detach(),
            False,
            0.1,
            1e-3,
            call=_first(_f.native_batch_norm),
        ),
    ],
    "native_layer_norm": lambda: [
        of(real(2, 3), [3], positive(3), real(3), 1e-3, call=_first(_f.native_layer_norm))
    ],
    "native_group_norm": lambda: [
        of(real(2, 4, 2), positive(4), real(4), 2, 4, 2, 2, 1e-3, call=_first(_f.native_group_norm))
    ],
    "_border": lambda: (
        [of(real(2, 4), [2, 1], mode) for mode in (0, 1, 2)] + [of(real(1, 3, 4), [1, 2, 2, 0], 0)]
    ),
    "_border_backward": lambda: [of(real(2, 7), [2, 4], [2, 1], mode) for mode in (0, 1, 2)],
    "_sample": lambda: [of(real(2, 3, 5), _taps(), real(2, 2, 4))],
    "_sample_backward": lambda: [of(real(2, 3, 4), _taps(), real(2, 2, 4), 5)],
    "_sample_products": lambda: [of(real(2, 3, 4), real(2, 3, 5), _taps())],
    "constant_pad_nd": lambda: [of(real(2, 3), [1, 1]), of(real(2, 4), [-1, 1, 0, 2], 0.5)],
    "_adaptive_avg_pool2d": lambda: [of(real(1, 1, 3, 4), [2, 3])],
    "_adaptive_avg_pool3d": lambda: [of(real(1, 1, 2, 3, 2), [1, 2, 2])],
    "nn::adaptive_max_pool2d": lambda: [of(real(1, 1, 3, 4), [2, 3])],
    "nn::adaptive_max_pool3d": lambda: [of(real(1, 1, 2, 3, 2), [1, 2, 2])],
    "nn::max_unpool2d": lambda: [of(real(1, 1, 2, 2), index([[[0, 2], [5, 7]]]), [3, 3])],
    "nn::max_unpool3d": lambda: [
        of(real(1, 1, 1, 1, 2), index([[[[0, 5]]]]), [2, 2, 2], [1, 1, 1], [0, 0, 0])
    ],
    "nn::fractional_max_pool2d": lambda: [of(real(1, 1, 4, 4), [2, 2], [2, 2], unit(1, 1, 2).detach())],
    "nn::fractional_max_pool3d": lambda: [
        of(real(1, 1, 3, 4, 4), [2, 2, 2], [1, 2, 2], unit(1, 1, 3).detach())
    ],
    "nn::max_pool2d_with_indices": lambda: [of(real(1, 1, 3, 4), [2, 2], [1, 2])],
    "nn::max_pool3d_with_indices": lambda: [of(real(1, 1, 2, 3, 3), [2, 2, 2], [1, 1, 1])],
    "max_pool2d": lambda: [of(real(1, 1, 3, 4), [2, 2], [1, 2])],
    "max_pool3d": lambda: [of(real(1, 1, 2, 3, 3), [2, 2, 2], [1, 1, 1])],
    "nn::avg_pool2d": lambda: [of(real(1, 1, 3, 4), [2, 2], [1, 2], [1, 1])],
    "nn::avg_pool3d": lambda: [of(real(1, 1, 2, 3, 3), [2, 2, 2], [1, 1, 1])],
    "sum": _reductions,
    "mean": _reductions,
    "prod": _reductions,
    "max": _reductions,
    "min": _reductions,
    "median": _reductions,
    "nanmedian": _reductions,
    "sum.dim_IntList": _over,
    "mean.dim": _over,
    "nansum": _over,
    "amax": _over,
    "amin": _over,
    "prod.dim_int": _along,
    "max.dim": _along,
    "min.dim": _along,
    "median.dim": _along,
    "nanmedian.dim": _along,
    "mode": _along,
    "kthvalue": lambda: [of(real(2, 3), 2)],
    "cumprod": lambda: [
        of(real(2, 3), 1),
        of(fb.tensor([1.5, 0.0, 2.0], dtype=fb.float64).requires_grad_(), 0),
    ],
    "logcumsumexp": lambda: [of(real(2, 3), 1), of(real(3, 2), 0), of(imaginary(3), 0)],
    "_logcumsumexp_product": lambda: [of(imaginary(2, 3), call=lambda x: x.logcumsumexp(1))],
    "gather": lambda: [of(real(2, 3), 1, index([0, 0], [2, 1]))],
    "scatter.src": lambda: [of(real(2, 3), 1, index([0, 2], [2, 1]), real(2, 2))],
    "scatter.value": lambda: [of(real(2, 3), 1, index([0, 2], [2, 1]), 0.5)],
    "scatter_add": lambda: [of(real(2, 3), 1, index([0, 0], [2, 1]), real(2, 2))],
    "scatter_reduce.two": lambda: [
        of(positive(2, 3), 1, index([0, 0], [2, 1]), positive(2, 2), how)
        for how in ("sum", "prod", "mean", "amax", "amin")
    ],
    "index_select": lambda: [of(real(2, 3), 1, index(0, 2, 2))],
    "index_add": lambda: [of(real(2, 3), 1, index(0, 0), real(2, 2), alpha=2)],
    "index_reduce": lambda: [
        of(positive(2, 3), 1, index(0, 0), positive(2, 2), how, include_self=included)
        for how in ("prod", "mean", "amax", "amin")
        for included in (True, False)
    ],
    "index_copy": lambda: [of(real(2, 3), 1, index(0, 2), real(2, 2))],
    "index_fill": lambda: [of(real(2, 3), 1, index(0, 2, 0), real())],
    "take": lambda: [of(real(2, 3), index(0, 5, 5))],
    "put": lambda: [of(real(2, 3), index(0, 5), real(2)), of(real(2, 3), index(0, 5, 5), real(3), True)],
    "sort.stable": lambda: [of(real(2, 3), stable=True)],
    "clamp": lambda: [of(real(2, 3), -0.6, 0.6)],
    "clip": lambda: [of(real(2, 3), -0.6, 0.6)],
    "clamp.Tensor": lambda: [of(real(2, 3), real(2, 3, low=-2, high=-0.5), real(2, 3, low=0.5, high=2))],
    "real": lambda: [of(imaginary(2, 2))],
    "imag": lambda: [of(imaginary(2, 2))],
    "view_as_real": lambda: [of(imaginary(2, 2))],
    "view_as_complex": lambda: [of(real(3, 2))],
    "polar": lambda: [of(positive(2, 3), real(2, 3))],
    "polygamma": lambda: [of(1, positive(2, 3))],
    "special::polygamma": lambda: [of(1, positive(2, 3))],
    "polygamma.method": lambda: [of(positive(2, 3), 2)],
    "igamma": lambda: [of(positive(2, 3).detach(), positive(2, 3))],
    "igammac": lambda: [of(positive(2, 3).detach(), positive(2, 3))],
    "special::gammainc": lambda: [of(positive(2, 3).detach(), positive(2, 3))],
    "special::gammaincc": lambda: [of(positive(2, 3).detach(), positive(2, 3))],
    "special::zeta": lambda: [of(2.5, positive(2, 3))],
    "_scaled_dot_product_flash_attention_for_cpu": lambda: [
        of(
            real(1, 2, 3, 2),
            real(1, 2, 3, 2),
            real(1, 2, 3, 2),
            0.0,
            True,
            call=_first(_f._scaled_dot_product_flash_attention_for_cpu),
        )
    ],
    "_rnn_sequence": lambda: [of(real(2, 1, 2), real(1, 1, 2), real(2, 2), real(2, 2), call=_rnn)],
    **{
        f"nn::{kind}{d}d": _upsampled(d)
        for kind in ("upsample_nearest", "_upsample_nearest_exact")
        for d in (1, 2, 3)
    },
    "pixel_shuffle": lambda: [of(real(1, 4, 2, 1), 2), of(real(4, 1, 1), 2)],
    "pixel_unshuffle": lambda: [of(real(1, 1, 2, 4), 2)],
    "channel_shuffle": lambda: [of(real(1, 6, 1, 2), 3)],
    "native_channel_shuffle": lambda: [of(real(1, 6, 1, 2), 3)],
    "nn::upsample_linear1d": _upsampled(1, False),
    "nn::upsample_trilinear3d": _upsampled(3, True),
    **{
        f"nn::{kind}": _upsampled(2, False)
        for kind in (
            "upsample_bilinear2d",
            "upsample_bicubic2d",
            "_upsample_bilinear2d_aa",
            "_upsample_bicubic2d_aa",
            "_upsample_lanczos2d_aa",
        )
    },
    "_resample": lambda: [
        of(real(1, 2, 4), call=lambda x: fb.nn.functional.interpolate(x, size=6, mode="linear"))
    ],
}


def _rnn(x: Any, h: Any, w_ih: Any, w_hh: Any) -> Any:
    return fb.rnn_tanh(x, h, [w_ih, w_hh], False, 1, 0.0, True, False, False)


_RANDOM = "random numbers: the derivative is zero by definition or given for a fixed draw"
_STRAIGHT = "straight-through: the gradient is by design not the derivative"
EXCLUDED: dict[str, str] = (
    dict.fromkeys(
        """normal.Tensor_Tensor normal.Tensor_float normal.float_Tensor uniform_ normal_ log_normal_
    cauchy_ exponential_ geometric_ random_ random_.from random_.to bernoulli_.Tensor
    bernoulli_.float bernoulli bernoulli.p poisson binomial _standard_gamma _sample_dirichlet
    native_dropout rrelu rrelu_ nn::rrelu_with_noise nn::rrelu_with_noise_""".split(),
        _RANDOM,
    )
    | dict.fromkeys(
        """fake_quantize_per_tensor_affine fake_quantize_per_tensor_affine.tensor_qparams
    fake_quantize_per_channel_affine""".split(),
        _STRAIGHT,
    )
    | {
        "floor_divide": "has no derivative, as in PyTorch: it raises",
        "heaviside": "has no derivative, as in PyTorch: it raises",
        "_ctc_loss_backward": "its derivative is not implemented, as in PyTorch: it raises",
        "_standard_gamma_grad": "its derivative is not implemented, as in PyTorch: it raises",
        "_dirichlet_grad": "its derivative is not implemented, as in PyTorch: it raises",
    }
)

# Operators that only appear as the gradient of another one: its second derivative runs through them.
GRADIENT_OF: dict[str, str] = {
    "convolution_backward": "convolution",
    "embedding_dense_backward": "embedding",
    "nll_loss_backward": "nll_loss_forward",
    "avg_pool2d_backward": "nn::avg_pool2d",
    "avg_pool3d_backward": "nn::avg_pool3d",
    "_adaptive_avg_pool2d_backward": "_adaptive_avg_pool2d",
    "_adaptive_avg_pool3d_backward": "_adaptive_avg_pool3d",
    "select_backward": "select.int",
    "slice_backward": "slice.Tensor",
    "diagonal_backward": "diagonal",
    "unfold_backward": "unfold",
}


def operators() -> Iterator[Operator]:
    """The differentiable operators that have finite differences to compare with."""
    for row in _C._operators():
        op = Operator(*row)
        if op.differentiable and op.name not in EXCLUDED and op.name not in GRADIENT_OF:
            yield op


def samples(op: Operator) -> list[Sample]:
    """Calls of an operator, the same in every run."""
    _random.seed(0)
    return SPECIAL[op.name]() if op.name in SPECIAL else [default(op)]
