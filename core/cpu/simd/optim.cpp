// The arithmetic of the optimizer steps, on whole vectors. Compiled once for each instruction set.
#include "cpu/optim.h"

#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

// The gradient as the algorithms take it: turned round to climb, with the L2 penalty.
template <class V>
struct Gradient {
    using T = Scalar<V>;
    bool maximize, decay;
    V weight_decay;
    Gradient(bool maximize, double weight_decay)
        : maximize(maximize), decay(weight_decay != 0), weight_decay(splat<V>(T(weight_decay))) {}
    V operator()(V p, V g) const {
        if (maximize) g = -g;
        return decay ? fma(p, weight_decay, g) : g;
    }
};

// What Adam and its kin share: decay of the parameter itself or of the gradient, running means of gradient and square.
template <class V>
struct Moments {
    using T = Scalar<V>;
    Gradient<V> gradient;
    bool decoupled;
    V shrink, fresh1, beta2, fresh2;
    template <class Options>
    explicit Moments(const Options& o)
        : gradient(o.maximize, o.decoupled ? 0 : o.weight_decay),
          decoupled(o.decoupled && o.weight_decay != 0),
          shrink(splat<V>(T(1 - o.lr * o.weight_decay))),
          fresh1(splat<V>(T(1 - o.beta1))),
          beta2(splat<V>(T(o.beta2))),
          fresh2(splat<V>(T(1 - o.beta2))) {}
    void update(V& p, V& g, V* s) const {
        g = gradient(p, g);
        if (decoupled) p = p * shrink;
        s[0] = fma(V(g - s[0]), fresh1, s[0]);
        s[1] = fma(V(g * fresh2), g, V(s[1] * beta2));
    }
};

template <class V, bool amsgrad>
struct Adam {
    using T = Scalar<V>;
    using Options = AdamOptions;
    static constexpr int kStates = amsgrad ? 3 : 2;
    Moments<V> moments;
    V eps, rate, root_factor;
    Adam(const AdamOptions& o, const OptimSlot& s)
        : moments(o), eps(splat<V>(T(o.eps))), rate(splat<V>(T(s.factor[0]))), root_factor(splat<V>(T(s.factor[1]))) {}
    V operator()(V p, V g, V* s) const {
        moments.update(p, g, s);
        V square = s[1];
        if constexpr (amsgrad) square = s[2] = max_nan(square, s[2]);
        return p - rate * s[0] / fma(sqrt(square), root_factor, eps);
    }
};

template <class V, bool has_momentum>
struct Sgd {
    using T = Scalar<V>;
    using Options = SgdOptions;
    static constexpr int kStates = has_momentum ? 1 : 0;
    Gradient<V> gradient;
    bool nesterov, first;
    V rate, momentum, fresh;
    Sgd(const SgdOptions& o, const OptimSlot&)
        : gradient(o.maximize, o.weight_decay),
          nesterov(o.nesterov),
          first(o.first),
          rate(splat<V>(T(o.lr))),
          momentum(splat<V>(T(o.momentum))),
          fresh(splat<V>(T(1 - o.dampening))) {}
    V operator()(V p, V g, V* s) const {
        g = gradient(p, g);
        if constexpr (has_momentum) {
            s[0] = first ? g : fma(g, fresh, V(s[0] * momentum));
            g = nesterov ? fma(s[0], momentum, g) : s[0];
        }
        return p - rate * g;
    }
};

template <class V, bool centered, bool has_momentum>
struct Rmsprop {
    using T = Scalar<V>;
    using Options = RmspropOptions;
    static constexpr int kStates = 1 + centered + has_momentum;
    Gradient<V> gradient;
    V rate, alpha, fresh, eps, momentum;
    Rmsprop(const RmspropOptions& o, const OptimSlot&)
        : gradient(o.maximize, o.weight_decay),
          rate(splat<V>(T(o.lr))),
          alpha(splat<V>(T(o.alpha))),
          fresh(splat<V>(T(1 - o.alpha))),
          eps(splat<V>(T(o.eps))),
          momentum(splat<V>(T(o.momentum))) {}
    V operator()(V p, V g, V* s) const {
        g = gradient(p, g);
        V square = s[0] = fma(V(g * fresh), g, V(s[0] * alpha));
        if constexpr (centered) {
            s[1] = fma(V(g - s[1]), fresh, s[1]);
            square = square - s[1] * s[1];
        }
        const V step = g / (sqrt(square) + eps);
        if constexpr (!has_momentum) return p - rate * step;
        V& buffer = s[1 + centered];
        buffer = fma(buffer, momentum, step);
        return p - rate * buffer;
    }
};

template <class V>
struct Adagrad {
    using T = Scalar<V>;
    using Options = AdagradOptions;
    static constexpr int kStates = 1;
    Gradient<V> gradient;
    V rate, eps;
    Adagrad(const AdagradOptions& o, const OptimSlot& s)
        : gradient(o.maximize, o.weight_decay), rate(splat<V>(T(s.factor[0]))), eps(splat<V>(T(o.eps))) {}
    V operator()(V p, V g, V* s) const {
        g = gradient(p, g);
        s[0] = fma(g, g, s[0]);
        return p - rate * g / (sqrt(s[0]) + eps);
    }
};

template <class V>
struct Adadelta {
    using T = Scalar<V>;
    using Options = AdadeltaOptions;
    static constexpr int kStates = 2;
    Gradient<V> gradient;
    V rate, rho, fresh, eps;
    Adadelta(const AdadeltaOptions& o, const OptimSlot&)
        : gradient(o.maximize, o.weight_decay),
          rate(splat<V>(T(o.lr))),
          rho(splat<V>(T(o.rho))),
          fresh(splat<V>(T(1 - o.rho))),
          eps(splat<V>(T(o.eps))) {}
    V operator()(V p, V g, V* s) const {
        g = gradient(p, g);
        s[0] = fma(V(g * fresh), g, V(s[0] * rho));
        const V delta = sqrt(V(s[1] + eps)) / sqrt(V(s[0] + eps)) * g;
        s[1] = fma(V(delta * fresh), delta, V(s[1] * rho));
        return p - rate * delta;
    }
};

template <class V>
struct Adamax {
    using T = Scalar<V>;
    using Options = AdamaxOptions;
    static constexpr int kStates = 2;
    Gradient<V> gradient;
    V fresh1, beta2, eps, rate;
    Adamax(const AdamaxOptions& o, const OptimSlot& s)
        : gradient(o.maximize, o.weight_decay),
          fresh1(splat<V>(T(1 - o.beta1))),
          beta2(splat<V>(T(o.beta2))),
          eps(splat<V>(T(o.eps))),
          rate(splat<V>(T(s.factor[0]))) {}
    V operator()(V p, V g, V* s) const {
        g = gradient(p, g);
        s[0] = fma(V(g - s[0]), fresh1, s[0]);
        s[1] = max_nan(V(s[1] * beta2), V(abs(g) + eps));
        return p - rate * s[0] / s[1];
    }
};

template <class V>
struct Nadam {
    using T = Scalar<V>;
    using Options = NadamOptions;
    static constexpr int kStates = 2;
    Moments<V> moments;
    V eps, rate, rate_avg, root_factor;
    Nadam(const NadamOptions& o, const OptimSlot& s)
        : moments(o),
          eps(splat<V>(T(o.eps))),
          rate(splat<V>(T(s.factor[0]))),
          rate_avg(splat<V>(T(s.factor[1]))),
          root_factor(splat<V>(T(s.factor[2]))) {}
    V operator()(V p, V g, V* s) const {
        moments.update(p, g, s);
        return p - fma(rate, g, V(rate_avg * s[0])) / fma(sqrt(s[1]), root_factor, eps);
    }
};

template <class V>
struct Radam {
    using T = Scalar<V>;
    using Options = RadamOptions;
    static constexpr int kStates = 2;
    Moments<V> moments;
    bool rectified;
    V eps, rate, factor;
    Radam(const RadamOptions& o, const OptimSlot& s)
        : moments(o),
          rectified(s.factor[1] != 0),
          eps(splat<V>(T(o.eps))),
          rate(splat<V>(T(s.factor[0]))),
          factor(splat<V>(T(s.factor[1]))) {}
    V operator()(V p, V g, V* s) const {
        moments.update(p, g, s);
        const V step = rate * s[0];
        return p - (rectified ? V(step * factor / (sqrt(s[1]) + eps)) : step);
    }
};

template <class V>
struct Asgd {
    using T = Scalar<V>;
    using Options = AsgdOptions;
    static constexpr int kStates = 1;
    Gradient<V> gradient;
    bool takes_all;
    V shrink, rate, share;
    Asgd(const AsgdOptions& o, const OptimSlot& s)
        : gradient(o.maximize, o.weight_decay),
          takes_all(s.factor[2] == 1),
          shrink(splat<V>(T(s.factor[0]))),
          rate(splat<V>(T(s.factor[1]))),
          share(splat<V>(T(s.factor[2]))) {}
    V operator()(V p, V g, V* s) const {
        g = gradient(p, g);
        p = p * shrink - rate * g;
        s[0] = takes_all ? p : fma(V(p - s[0]), share, s[0]);
        return p;
    }
};

template <class V>
struct Rprop {
    using T = Scalar<V>;
    using Options = RpropOptions;
    static constexpr int kStates = 2;
    Gradient<V> gradient;
    V shrink, grow, least, most;
    Rprop(const RpropOptions& o, const OptimSlot&)
        : gradient(o.maximize, 0),
          shrink(splat<V>(T(o.shrink))),
          grow(splat<V>(T(o.grow))),
          least(splat<V>(T(o.least))),
          most(splat<V>(T(o.most))) {}
    V operator()(V p, V g, V* s) const {
        const V zero{};
        g = gradient(p, g);
        const V agreement = g * s[0];
        V size = agreement > zero ? V(s[1] * grow) : agreement < zero ? V(s[1] * shrink) : s[1];
        size = size < least ? least : size;
        s[1] = size = size > most ? most : size;
        s[0] = g = agreement < zero ? zero : g;  // after a change of sign the parameter rests for one step
        return p - (g > zero ? size : g < zero ? V(-size) : zero);
    }
};

template <class V, class Algorithm>
void run(const OptimSlot& slot, int64_t begin, int64_t end, const void* options) {
    using T = Scalar<V>;
    constexpr int kLane = kLanes<T>, kStates = Algorithm::kStates;
    const Algorithm step(*static_cast<const typename Algorithm::Options*>(options), slot);
    T* const p = static_cast<T*>(slot.param);
    const T* const g = static_cast<const T*>(slot.grad);
    V s[kStates + 1];
    int64_t i = begin;
    for (; i + kLane <= end; i += kLane) {
        for (int k = 0; k < kStates; k++) s[k] = load<V>(static_cast<T*>(slot.state[k]) + i);
        store(p + i, step(load<V>(p + i), load<V>(g + i), s));
        for (int k = 0; k < kStates; k++) store(static_cast<T*>(slot.state[k]) + i, s[k]);
    }
    if (i == end) return;
    const size_t bytes = size_t(end - i) * sizeof(T);
    V rest_p{}, rest_g{};
    __builtin_memcpy(&rest_p, p + i, bytes);
    __builtin_memcpy(&rest_g, g + i, bytes);
    for (int k = 0; k < kStates; k++) {
        s[k] = V{};
        __builtin_memcpy(&s[k], static_cast<T*>(slot.state[k]) + i, bytes);
    }
    rest_p = step(rest_p, rest_g, s);
    __builtin_memcpy(p + i, &rest_p, bytes);
    for (int k = 0; k < kStates; k++) __builtin_memcpy(static_cast<T*>(slot.state[k]) + i, &s[k], bytes);
}

template <class OfFloat, class OfDouble>
constexpr OptimKernelPair pair() {
    return {run<F, OfFloat>, run<D, OfDouble>};
}
template <bool centered, bool momentum>
constexpr OptimKernelPair rmsprop() {
    return pair<Rmsprop<F, centered, momentum>, Rmsprop<D, centered, momentum>>();
}

}  // namespace

extern const OptimKernels optim_kernels;
constinit const OptimKernels optim_kernels = {
    pair<Adam<F, false>, Adam<D, false>>(),
    pair<Adam<F, true>, Adam<D, true>>(),
    pair<Sgd<F, false>, Sgd<D, false>>(),
    pair<Sgd<F, true>, Sgd<D, true>>(),
    {{rmsprop<false, false>(), rmsprop<false, true>()}, {rmsprop<true, false>(), rmsprop<true, true>()}},
    pair<Adagrad<F>, Adagrad<D>>(),
    pair<Adadelta<F>, Adadelta<D>>(),
    pair<Adamax<F>, Adamax<D>>(),
    pair<Nadam<F>, Nadam<D>>(),
    pair<Radam<F>, Radam<D>>(),
    pair<Asgd<F>, Asgd<D>>(),
    pair<Rprop<F>, Rprop<D>>(),
};

}  // namespace fb::cpu::FB_ARCH
