"""Names of the operators that work element by element, for the wrappers that pass them to inner tensors."""

__all__ = ["ELEMENTWISE", "ELEMENTWISE_IN_PLACE"]

ELEMENTWISE = """
abs absolute acos acosh add addcdiv addcmul angle arccos arccosh arcsin arcsinh arctan arctan2 arctanh asin
asinh atan atan2 atanh bitwise_and
bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor ceil celu clamp clamp_max clamp_min
clip clone conj conj_physical copysign
cos cosh deg2rad detach digamma div divide elu eq erf erfc erfinv exp exp2 expm1 fix float_power floor
floor_divide fmax fmin fmod frac gcd ge gelu
greater greater_equal gt hardshrink hardsigmoid hardswish hardtanh heaviside hypot i0 igamma igammac imag
isclose isfinite isinf isnan isneginf _prelu_kernel
isposinf isreal lcm ldexp le leaky_relu lerp less less_equal lgamma log log10 log1p log2 logaddexp logaddexp2
logical_and logical_not logical_or
logical_xor logit logsigmoid lt maximum minimum mish mul multiply nan_to_num ne neg negative
nextafter not_equal polygamma positive pow
rad2deg real reciprocal relu relu6 remainder resolve_conj resolve_neg round rsqrt rsub selu sgn sigmoid
sign signbit silu sin sinc sinh
softplus softshrink softsign sqrt square sub subtract tan tanh tanhshrink threshold to true_divide trunc
view_as_real where xlogy bfloat16
bool byte char cpu double float half int long short cfloat cdouble contiguous zeros_like ones_like full_like
empty_like alias _tie
__add__ __radd__ __sub__ __rsub__ __mul__ __rmul__ __truediv__ __rtruediv__ __div__ __rdiv__ __floordiv__
__rfloordiv__ __mod__ __rmod__ __pow__
__rpow__ __neg__ __pos__ __abs__ __eq__ __ne__ __lt__ __le__ __gt__ __ge__ __and__ __rand__ __or__ __ror__
__xor__ __rxor__ __invert__
__lshift__ __rshift__ log_sigmoid mse_loss_none bitwise_not special_expit special_erf special_entr
special_xlog1py
elu_backward gelu_backward hardsigmoid_backward hardswish_backward hardtanh_backward leaky_relu_backward
log_sigmoid_backward logit_backward mish_backward
sigmoid_backward silu_backward softplus_backward tanh_backward threshold_backward
""".split()
ELEMENTWISE_IN_PLACE = """
abs_ add_ addcdiv_ addcmul_ ceil_ clamp_ clamp_max_ clamp_min_ copy_ cos_ div_ exp_ fill_ floor_ log_ lerp_
masked_fill_ mul_ neg_ pow_ reciprocal_
relu_ remainder_ round_ rsqrt_ sigmoid_ sin_ sqrt_ square_ sub_ tanh_ zero_ __iadd__ __isub__ __imul__
__itruediv__ __ipow__ __iand__ __ior__
""".split()
