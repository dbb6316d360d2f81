// Activation functions and their derivatives, elementwise losses.
#include "cpu/simd/loop.h"

namespace fb::cpu::FB_ARCH {
namespace {

template <class V>
V par(const void* s, int i) {
    return splat<V>(Scalar<V>(param(s, i)));
}
template <class V>
V clip(V x, V lo, V hi) {  // keeps NaN
    return min(hi, max(lo, x));
}
template <class V>
V normal_density(V x) {
    return exp(V(x * x * splat<V>(-0.5))) * splat<V>(0.3989422804014327);
}

constexpr auto forward() {
    Table<120> t;
    floats(t, Unary::relu, light([](auto, auto x) { return x < decltype(x){} ? decltype(x){} : x; }));
    floats(t, Unary::relu6, [](auto, auto x) { return clip(x, decltype(x){}, splat<decltype(x)>(6)); });
    floats(t, Unary::hardtanh, with<2>([](auto s, auto x) {
               using V = decltype(x);
               return clip(x, par<V>(s, 0), par<V>(s, 1));
           }));
    floats(t, Unary::threshold, with<2>([](auto s, auto x) {
               using V = decltype(x);
               return x <= par<V>(s, 0) ? par<V>(s, 1) : x;
           }));
    floats(t, Unary::sigmoid, heavy([](auto, auto x) { return sigmoid(x); }));
    floats(t, Unary::log_sigmoid, rare([](auto, auto x) { return log_sigmoid(x); }));
    floats(t, Unary::silu, heavy([](auto, auto x) { return x / (splat<decltype(x)>(1) + exp(decltype(x)(-x))); }));
    floats(t, Unary::mish, rare([](auto, auto x) { return x * tanh_softplus(x); }));
    floats(t, Unary::gelu, heavy([](auto, auto x) { return x * normal_cdf(x); }));
    floats(t, Unary::gelu_tanh, heavy([](auto, auto x) { return x * sigmoid(gelu_tanh_argument(x)); }));
    floats(t, Unary::hardsigmoid, [](auto, auto x) {
        using V = decltype(x);
        return clip(V(x + splat<V>(3)), V{}, splat<V>(6)) / splat<V>(6);
    });
    floats(t, Unary::hardswish, [](auto, auto x) {
        using V = decltype(x);
        return x * clip(V(x + splat<V>(3)), V{}, splat<V>(6)) / splat<V>(6);
    });
    floats(t, Unary::softsign, [](auto, auto x) { return x / (abs(x) + splat<decltype(x)>(1)); });
    floats(t, Unary::tanhshrink, rare([](auto, auto x) { return x - tanh(x); }));
    floats(t, Unary::softplus, heavy(with<2>([](auto s, auto x) {
               using V = decltype(x);
               const V b = x * par<V>(s, 0);
               return b > par<V>(s, 1) ? x : softplus(b) / par<V>(s, 0);
           })));
    floats(t, Unary::leaky_relu, with<1>([](auto s, auto x) {
               using V = decltype(x);
               return x > V{} ? x : x * par<V>(s, 0);
           }));
    floats(t, Unary::elu, heavy(with<3>([](auto s, auto x) {
               using V = decltype(x);
               const V scale = par<V>(s, 1);
               if (!any(x <= V{})) return V(x * scale);
               return x > V{} ? x * scale : expm1(V(x * par<V>(s, 2))) * (par<V>(s, 0) * scale);
           })));
    floats(t, Unary::hardshrink, with<1>([](auto s, auto x) {
               using V = decltype(x);
               return abs(x) <= par<V>(s, 0) ? V{} : x;
           }));
    floats(t, Unary::softshrink, with<1>([](auto s, auto x) {
               using V = decltype(x);
               const V l = par<V>(s, 0);
               return x > l ? x - l : x < -l ? x + l : x * V{};  // NaN stays
           }));
    floats(t, Unary::logit, rare(with<1>([](auto s, auto x) {
               using V = decltype(x);
               const V eps = par<V>(s, 0), one = splat<V>(1);
               const V z = eps < V{} ? x : clip(x, eps, V(one - eps));
               return log(V(z / (one - z)));
           })));
    floats(t, Unary::ndtr, rare([](auto, auto x) {
               using V = decltype(x);
               return erfc(V(x * splat<V>(-0.7071067811865476))) * splat<V>(0.5);
           }));
    floats(t, Unary::log_ndtr, rare([](auto, auto x) {
               using V = decltype(x);
               const V z = x * splat<V>(0.7071067811865476);
               return x < splat<V>(-1) ? log(V(erfcx(V(-z)) * splat<V>(0.5))) - z * z
                                       : log1p(V(erfc(z) * splat<V>(-0.5)));
           }));
    floats(t, Unary::entr, rare([](auto, auto x) {
               using V = decltype(x);
               const V v = -x * log(x);
               return x != x ? x : x > V{} ? v : x == V{} ? V{} : splat<V>(-kInf<V>);
           }));
    return t;
}

constexpr auto backward() {
    Table<120> t;
    floats(t, Binary::threshold_backward, with<1>([](auto s, auto g, auto x) {
               using V = decltype(x);
               return x <= par<V>(s, 0) ? V{} : g;
           }));
    floats(t, Binary::sigmoid_backward, [](auto, auto g, auto y) { return g * y * (splat<decltype(y)>(1) - y); });
    floats(t, Binary::tanh_backward, [](auto, auto g, auto y) { return g * (splat<decltype(y)>(1) - y * y); });
    floats(t, Binary::gelu_backward,
           heavy([](auto, auto g, auto x) { return g * fma(x, normal_density(x), normal_cdf(x)); }));
    floats(t, Binary::gelu_tanh_backward, heavy([](auto, auto g, auto x) {
               using V = decltype(x);
               const V y = sigmoid(gelu_tanh_argument(x));
               const V inner = splat<V>(1.5957691216057308) * fma(V(x * x), splat<V>(3 * 0.044715), splat<V>(1));
               return g * y * fma(V(x * inner), V(splat<V>(1) - y), splat<V>(1));
           }));
    floats(t, Binary::silu_backward, heavy([](auto, auto g, auto x) {
               using V = decltype(x);
               const V y = sigmoid(x);
               return g * y * fma(x, V(splat<V>(1) - y), splat<V>(1));
           }));
    floats(t, Binary::mish_backward, rare([](auto, auto g, auto x) {
               using V = decltype(x);
               const V y = tanh_softplus(x);
               return g * fma(V(x * sigmoid(x)), V(splat<V>(1) - y * y), y);
           }));
    floats(t, Binary::hardswish_backward, [](auto, auto g, auto x) {
        using V = decltype(x);
        return x <= splat<V>(-3) ? V{} : x < splat<V>(3) ? g * (x / splat<V>(3) + splat<V>(0.5)) : g;
    });
    floats(t, Binary::hardsigmoid_backward, [](auto, auto g, auto x) {
        using V = decltype(x);
        return abs(x) < splat<V>(3) ? g / splat<V>(6) : V{};
    });
    floats(t, Binary::log_sigmoid_backward, rare([](auto, auto g, auto x) { return g * sigmoid(decltype(x)(-x)); }));
    floats(t, Binary::hardtanh_backward, with<2>([](auto s, auto g, auto x) {
               using V = decltype(x);
               return (x <= par<V>(s, 0)) | (x >= par<V>(s, 1)) ? V{} : g;
           }));
    floats(t, Binary::leaky_relu_backward, with<1>([](auto s, auto g, auto x) {
               using V = decltype(x);
               return x > V{} ? g : g * par<V>(s, 0);
           }));
    floats(t, Binary::prelu, [](auto, auto x, auto slope) { return x > decltype(x){} ? x : slope * x; });
    floats(t, Binary::prelu_slope, [](auto, auto x, auto slope) {
        using V = decltype(x);
        return x > V{} ? splat<V>(1) : slope;
    });
    floats(t, Binary::prelu_weight, [](auto, auto g, auto x) {
        using V = decltype(x);
        return x > V{} ? V{} : g * x;
    });
    floats(t, Binary::elu_backward, heavy(with<3>([](auto s, auto g, auto x) {
               using V = decltype(x);
               const V scale = par<V>(s, 1), in = par<V>(s, 2);
               return x <= V{} ? g * (in * par<V>(s, 0) * scale) * exp(V(x * in)) : g * scale;
           })));
    floats(t, Binary::elu_backward_from_output, with<3>([](auto s, auto g, auto y) {
               using V = decltype(y);
               const V scale = par<V>(s, 1), in = par<V>(s, 2);
               return y <= V{} ? g * in * (y + par<V>(s, 0) * scale) : g * scale;
           }));
    floats(t, Binary::softplus_backward, rare(with<2>([](auto s, auto g, auto x) {
               using V = decltype(x);
               const V b = x * par<V>(s, 0);
               return b > par<V>(s, 1) ? g : g * sigmoid(b);
           })));
    floats(t, Binary::shrink_backward, with<1>([](auto s, auto g, auto x) {
               using V = decltype(x);
               return abs(x) <= par<V>(s, 0) ? V{} : g;
           }));
    floats(t, Binary::abs_backward, [](auto, auto g, auto x) {
        using V = decltype(x);
        return x > V{} ? g : x < V{} ? -g : g * V{};
    });
    floats(t, Binary::logit_backward, rare(with<1>([](auto s, auto g, auto x) {
               using V = decltype(x);
               const V eps = par<V>(s, 0), one = splat<V>(1), r = g / (x * (one - x));
               const V outside = eps < V{} ? splat<V>(kNan<V>) : V{}, lo = max(V{}, eps);
               return (x < lo) | (x > one - lo) ? outside : r;
           })));
    floats(t, Binary::rsqrt_backward, [](auto, auto g, auto y) { return splat<decltype(y)>(-0.5) * g * (y * y * y); });
    floats(t, Binary::reciprocal_backward, [](auto, auto g, auto y) { return -g * (y * y); });
    floats(t, Binary::sqrt_backward, [](auto, auto g, auto y) { return g / (y + y); });
    return t;
}

constexpr auto losses() {
    Table<24> t;
    floats(t, Binary::squared_difference, [](auto, auto a, auto b) { return (a - b) * (a - b); });
    floats(t, Binary::smooth_l1, with<1>([](auto s, auto a, auto b) {
               using V = decltype(a);
               const V z = abs(V(a - b)), beta = par<V>(s, 0), half = splat<V>(0.5);
               return z < beta ? half * z * z / beta : z - half * beta;
           }));
    floats(t, Binary::huber, with<1>([](auto s, auto a, auto b) {
               using V = decltype(a);
               const V z = abs(V(a - b)), delta = par<V>(s, 0), half = splat<V>(0.5);
               return z <= delta ? half * z * z : delta * (z - half * delta);
           }));
    floats(t, Ternary::smooth_l1_backward, with<1>([](auto s, auto g, auto a, auto b) {
               using V = decltype(a);
               const V x = a - b, beta = par<V>(s, 0);
               return x <= -beta ? -g : x >= beta ? g : g * x / beta;
           }));
    floats(t, Ternary::huber_backward, with<1>([](auto s, auto g, auto a, auto b) {
               using V = decltype(a);
               const V x = a - b, delta = par<V>(s, 0);
               return x < -delta ? -g * delta : x > delta ? g * delta : g * x;
           }));
    return t;
}

constexpr auto a = forward();
constexpr auto b = backward();
constexpr auto c = losses();
}  // namespace

extern const Entries activation_forward, activation_backward, activation_losses;
constexpr Entries activation_forward{a.entry, a.count}, activation_backward{b.entry, b.count},
    activation_losses{c.entry, c.count};

}  // namespace fb::cpu::FB_ARCH
