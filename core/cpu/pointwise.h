// Elementwise CPU kernels: one function pointer for an operation and element type, chosen for this CPU when the program
// starts.
#pragma once
#include <cstdint>

#include "base/dtype.h"

namespace fb::cpu {

// Runs over one strip of n elements. p[0] is the output, p[1..] the inputs; strides are in bytes and may be zero (one
// value for the whole strip) or negative. The output may be the very same elements as an input, but may not overlap it
// shifted. `s` points to the operation's parameters: doubles in the order given below, unless it says otherwise; null
// if it has none. half and bfloat16 are computed in float and rounded once.
using Loop = void (*)(char* const* p, const int64_t* strides, int64_t n, const void* s);

enum class Unary : uint16_t {
    // any type
    copy,
    neg,
    abs,
    sign,
    sgn,
    square,
    reciprocal,
    logical_not,
    bitwise_not,
    conj,
    real,
    imag,
    angle,
    // floating point and integers (there: no change, or the constant answer)
    ceil,
    floor,
    round,
    trunc,
    frac,
    isnan,
    isinf,
    isfinite,
    isposinf,
    isneginf,
    signbit,
    relu,
    relu6,
    round_decimals,  // s: decimals
    nan_to_num,      // s: nan, posinf, neginf
    hardtanh,        // s: min, max
    threshold,       // s: threshold, value
    pow_scalar,      // s: exponent as a double; integers: int64_t; complex: C128
    // half types beside a number, which is not rounded to their type
    times_number,
    over_number,  // s: the number
    // floating point and complex
    sqrt,
    rsqrt,
    exp,
    exp2,
    expm1,
    log,
    log2,
    log10,
    log1p,
    sin,
    cos,
    tan,
    asin,
    acos,
    atan,
    sinh,
    cosh,
    tanh,
    asinh,
    acosh,
    atanh,
    sigmoid,
    sinc,
    // floating point
    erf,
    erfc,
    erfinv,
    log_sigmoid,
    silu,
    mish,
    gelu,
    gelu_tanh,
    hardsigmoid,
    hardswish,
    deg2rad,
    rad2deg,
    softsign,
    tanhshrink,
    frexp_mantissa,
    frexp_exponent /* int32 */,
    softplus,    // s: beta, threshold
    leaky_relu,  // s: slope
    elu,         // s: alpha, scale, input_scale
    hardshrink,
    softshrink,  // s: lambda
    logit,       // s: eps (negative: none)
    // special functions of floating point (see special.h)
    digamma,
    lgamma,
    trigamma,
    i0,
    i0e,
    i1,
    i1e,
    entr,
    ndtr,
    ndtri,
    log_ndtr,
    erfcx,
    bessel_j0,
    bessel_j1,
    bessel_y0,
    bessel_y1,
    modified_bessel_k0,
    modified_bessel_k1,
    scaled_modified_bessel_k0,
    scaled_modified_bessel_k1,
    spherical_bessel_j0,
    airy_ai,
    polygamma,  // s: n
    count
};

enum class Binary : uint16_t {
    add,
    sub,
    mul,
    div,
    add_scaled,
    sub_scaled,  // a ± s·b; s: one value of the common type (float for half and bfloat16)
    floor_div,
    trunc_div,
    remainder,
    fmod,
    pow,
    maximum,
    minimum,
    fmax,
    fmin,
    eq,
    ne,
    lt,
    le,
    gt,
    ge,
    logical_and,
    logical_or,
    logical_xor,  // write bool
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    left_shift,
    right_shift,
    gcd,
    lcm,
    heaviside,
    atan2,
    hypot,
    copysign,
    nextafter,
    logaddexp,
    logaddexp2,
    xlogy,
    xlog1py,
    ldexp,
    squared_difference,
    make_complex,
    polar,      // real inputs, complex output
    smooth_l1,  // s: beta
    huber,      // s: delta
    zeta,
    igamma,
    igammac,
    chebyshev_t,
    chebyshev_u,
    chebyshev_v,
    chebyshev_w,
    shifted_chebyshev_t,
    shifted_chebyshev_u,
    shifted_chebyshev_v,
    shifted_chebyshev_w,
    hermite_h,
    hermite_he,
    laguerre_l,
    legendre_p,
    // derivatives: first the gradient, then the input of the forward operation (or its output where the name says so)
    threshold_backward,  // s: threshold
    sigmoid_backward,
    tanh_backward,  // with the output
    gelu_backward,
    gelu_tanh_backward,
    silu_backward,
    mish_backward,
    hardswish_backward,
    hardsigmoid_backward,
    log_sigmoid_backward,
    hardtanh_backward,    // s: min, max
    leaky_relu_backward,  // s: slope
    prelu,                // x, slope
    prelu_slope,          // the same
    prelu_weight,         // grad, x
    elu_backward,
    elu_backward_from_output,  // s: alpha, scale, input_scale
    softplus_backward,         // s: beta, threshold
    shrink_backward,           // of hardshrink and softshrink; s: lambda
    abs_backward,              // grad · sgn(x)
    logit_backward,            // s: eps
    rsqrt_backward,
    reciprocal_backward,
    sqrt_backward,  // with the output
    count
};

enum class Ternary : uint16_t {
    where,  // condition (bool), a, b
    addcmul,
    addcdiv,             // a + s·b·c, a + s·b/c; s as in add_scaled
    lerp,                // start, end, weight; half types may have the weight in s, as a float
    clamp,               // x, lo, hi
    smooth_l1_backward,  // grad, input, target; s: beta
    huber_backward,      // grad, input, target; s: delta
    count
};

// Null where the operation is not defined for the type. The type of the output is given by unary_out / binary_out.
Loop unary_loop(Unary op, DType in);
Loop binary_loop(Binary op, DType common);
Loop ternary_loop(Ternary op, DType type);
// Conversion between element types; with from == to a strided copy.
Loop convert_loop(DType from, DType to);

DType unary_out(Unary op, DType in);
DType binary_out(Binary op, DType common);

// True if an integer strip holds a zero: integer division asks before it divides.
bool any_zero(DType type, const char* p, int64_t stride, int64_t n);

}  // namespace fb::cpu
