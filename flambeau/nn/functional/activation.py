"""Activation functions, softmax and normalisation of vectors."""

import warnings

import flambeau as fb
from flambeau import Tensor
from flambeau.nn.functional._core import core, op, publish

relu_ = op("relu_")
selu_ = op("selu_")
celu_ = op("celu_")
rrelu_ = op("rrelu_")
threshold_ = op("threshold_")
prelu = op("prelu")
hardshrink = op("hardshrink")
hardtanh_ = op("hardtanh_")
elu_ = op("elu_")
leaky_relu_ = op("leaky_relu_")
gelu = op("gelu")
softplus = op("softplus")
softshrink = op("softshrink")
logsigmoid = op("log_sigmoid")


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """Elements above `threshold`, and `value` in place of the others."""
    return fb.threshold_(input, threshold, value) if inplace else fb.threshold(input, threshold, value)


def relu(input: Tensor, inplace: bool = False) -> Tensor:
    """``max(input, 0)``."""
    return fb.relu_(input) if inplace else fb.relu(input)


def relu6(input: Tensor, inplace: bool = False) -> Tensor:
    """``min(max(input, 0), 6)``."""
    return core.relu6_(input) if inplace else core.relu6(input)


def glu(input: Tensor, dim: int = -1) -> Tensor:
    """Gated linear unit ``a * sigmoid(b)`` of the two halves of `input` along `dim` (Dauphin et al. 2016)."""
    if input.dim() == 0:
        raise RuntimeError("glu does not support scalars because halving size must be even")
    return core.glu(input, dim)


def hardtanh(input: Tensor, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> Tensor:
    """`input` limited to ``[min_val, max_val]``."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    return core.hardtanh_(input, min_val, max_val) if inplace else core.hardtanh(input, min_val, max_val)


def elu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``input`` where positive, ``alpha * (exp(input) - 1)`` elsewhere (Clevert et al. 2015)."""
    return core.elu_(input, alpha) if inplace else core.elu(input, alpha)


def selu(input: Tensor, inplace: bool = False) -> Tensor:
    """Scaled ELU with the two constants of Klambauer et al. 2017."""
    return fb.selu_(input) if inplace else fb.selu(input)


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``max(0, x) + min(0, alpha * (exp(x / alpha) - 1))`` (Barron 2017)."""
    return fb.celu_(input, alpha) if inplace else fb.celu(input, alpha)


def leaky_relu(input: Tensor, negative_slope: float = 0.01, inplace: bool = False) -> Tensor:
    """``input`` where positive, ``negative_slope * input`` elsewhere."""
    return core.leaky_relu_(input, negative_slope) if inplace else core.leaky_relu(input, negative_slope)


def rrelu(
    input: Tensor,
    lower: float = 1.0 / 8,
    upper: float = 1.0 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Leaky relu whose slope is drawn from ``U(lower, upper)`` in training and is their mean otherwise."""
    return (fb.rrelu_ if inplace else fb.rrelu)(input, lower, upper, training)


def tanhshrink(input: Tensor) -> Tensor:
    """``input - tanh(input)``."""
    return input - input.tanh()


def softsign(input: Tensor) -> Tensor:
    """``input / (1 + |input|)``."""
    return input / (input.abs() + 1)


def tanh(input: Tensor) -> Tensor:
    """Hyperbolic tangent."""
    return input.tanh()


def sigmoid(input: Tensor) -> Tensor:
    """``1 / (1 + exp(-input))``."""
    return input.sigmoid()


def hardsigmoid(input: Tensor, inplace: bool = False) -> Tensor:
    """``relu6(input + 3) / 6``."""
    return core.hardsigmoid_(input) if inplace else core.hardsigmoid(input)


def silu(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * sigmoid(input)``, also called swish."""
    return core.silu_(input) if inplace else core.silu(input)


def mish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * tanh(softplus(input))`` (Misra 2019)."""
    return core.mish_(input) if inplace else core.mish(input)


def hardswish(input: Tensor, inplace: bool = False) -> Tensor:
    """``input * relu6(input + 3) / 6`` (MobileNetV3)."""
    return core.hardswish_(input) if inplace else core.hardswish(input)


def _implied_dim(name: str, ndim: int, stacklevel: int) -> int:
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include dim=X as an "
        "argument.",
        stacklevel=stacklevel + 1,
    )
    return 0 if ndim in (0, 1, 3) else 1


def softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: fb.dtype | None = None
) -> Tensor:
    """``exp(input)`` divided by its sum along `dim`; computed in `dtype` if given."""
    if dim is None:
        dim = _implied_dim("softmax", input.dim(), _stacklevel)
    return input.softmax(dim) if dtype is None else input.softmax(dim, dtype=dtype)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: fb.dtype | None = None
) -> Tensor:
    """``softmax(-input)``."""
    if dim is None:
        dim = _implied_dim("softmin", input.dim(), _stacklevel)
    return (-input).softmax(dim) if dtype is None else (-input).softmax(dim, dtype=dtype)


def log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: fb.dtype | None = None
) -> Tensor:
    """Logarithm of :func:`softmax`, computed stably."""
    if dim is None:
        dim = _implied_dim("log_softmax", input.dim(), _stacklevel)
    return input.log_softmax(dim) if dtype is None else input.log_softmax(dim, dtype=dtype)


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """Samples of the Gumbel-softmax distribution (Jang et al. 2017).

    Parameters
    ----------
    logits : Tensor
        Unnormalised log probabilities.
    tau : float
        Temperature.
    hard : bool
        Give one-hot samples; the gradient is that of the soft ones.
    eps : float
        Without effect.
    dim : int
        Along which the softmax is taken.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    gumbels = -fb.empty_like(logits, memory_format=fb.contiguous_format).exponential_().log()
    soft = ((logits + gumbels) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.max(dim, keepdim=True)[1]
    one_hot = fb.zeros_like(logits, memory_format=fb.contiguous_format).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft


def normalize(
    input: Tensor, p: float = 2.0, dim: int = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """`input` divided by its `p`-norm along `dim` (at least `eps`)."""
    denominator = input.norm(p, dim, keepdim=True).clamp_min(eps).expand_as(input)
    return input / denominator if out is None else fb.div(input, denominator, out=out)


publish(globals(), "sigmoid", "tanh")
