// Compiled without contraction, as random_fill.cpp.
#include "cpu/random_sample.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

namespace fb::cpu {
namespace {

template <class F>
bool visit_floating(DType t, F&& f) {
    switch (t) {
        case DType::f32: f(float{}); return true;
        case DType::f64: f(double{}); return true;
        case DType::f16: f(F16{}); return true;
        case DType::bf16: f(BF16{}); return true;
        default: return false;
    }
}
template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;
template <class T>
T narrow(double v) {
    if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) return T(float(v));
    else return static_cast<T>(v);
}
template <class T>
double wide(T v) {
    if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) return float(v);
    else return v;
}

// Small rates by multiplying uniforms (Knuth), others by transformed rejection: W. Hormann, "The transformed
// rejection method for generating Poisson random variables", 1993 (PTRS).
int64_t poisson(double rate, Generator& g) {
    if (rate == 0) return 0;
    if (rate < 10) {
        const double limit = std::exp(-rate);
        double product = 1;
        for (int64_t k = 0;; ++k) {
            product *= g.uniform();
            if (!(product > limit)) return k;
        }
    }
    const double log_rate = std::log(rate), b = 0.931 + 2.53 * std::sqrt(rate), a = -0.059 + 0.02483 * b;
    const double inv_alpha = 1.1239 + 1.1328 / (b - 3.4), v_r = 0.9277 - 3.6224 / (b - 2);
    for (;;) {
        const double u = g.uniform() - 0.5, v = g.uniform(), us = 0.5 - std::fabs(u);
        const auto k = int64_t(std::floor((2 * a / us + b) * u + rate + 0.43));
        if (us >= 0.07 && v <= v_r) return k;
        if (k < 0 || (us < 0.013 && v > us)) continue;
        const double accept = std::log(v) + std::log(inv_alpha) - std::log(a / (us * us) + b);
        if (accept <= -rate + double(k) * log_rate - std::lgamma(double(k) + 1)) return k;
    }
}

// log(k!) minus Stirling's approximation of it.
double stirling_tail(double k) {
    static constexpr double small[] = {0.0810614667953272,  0.0413406959554092, 0.0276779256849983, 0.02079067210376509,
                                       0.0166446911898211,  0.0138761288230707, 0.0118967099458917, 0.0104112652619720,
                                       0.00925546218271273, 0.00833056343336287};
    if (k <= 9) return small[int(k)];
    const double square = (k + 1) * (k + 1);
    return (1.0 / 12 - (1.0 / 360 - 1.0 / 1260 / square) / square) / (k + 1);
}

// Few expected successes: add up geometric waiting times.
double binomial_inversion(double count, double prob, Generator& g) {
    const double log_fail = std::log1p(-prob);
    double trials = 0, successes = 0;
    for (;; ++successes) {
        trials += std::ceil(std::log(g.uniform()) / log_fail);
        if (trials > count) return successes;
    }
}
// W. Hormann, "The generation of binomial random variates", 1993 (BTRS).
double binomial_rejection(double count, double prob, Generator& g) {
    const double deviation = std::sqrt(count * prob * (1 - prob));
    const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * prob, c = count * prob + 0.5;
    const double v_r = 0.92 - 4.2 / b, odds = prob / (1 - prob), alpha = (2.83 + 5.1 / b) * deviation;
    const double mode = std::floor((count + 1) * prob);
    for (;;) {
        const double u = g.uniform() - 0.5, v = g.uniform(), us = 0.5 - std::fabs(u);
        const double k = std::floor((2 * a / us + b) * u + c);
        if (us >= 0.07 && v <= v_r) return k;
        if (k < 0 || k > count) continue;
        const double bound = (mode + 0.5) * std::log((mode + 1) / (odds * (count - mode + 1))) +
                             (count + 1) * std::log((count - mode + 1) / (count - k + 1)) +
                             (k + 0.5) * std::log(odds * (count - k + 1) / (k + 1)) + stirling_tail(mode) +
                             stirling_tail(count - mode) - stirling_tail(k) - stirling_tail(count - k);
        if (std::log(v * alpha / (a / (us * us) + b)) <= bound) return k;
    }
}
double binomial(double count, double prob, Generator& g) {
    if (count <= 0 || prob <= 0) return 0;
    if (prob >= 1) return count;
    if (std::isnan(prob)) return prob;
    if (!std::isfinite(count)) return count;  // no number of trials would ever pass NaN
    const double rarer = prob <= 0.5 ? prob : 1 - prob;
    const double k = count * rarer >= 10 ? binomial_rejection(count, rarer, g) : binomial_inversion(count, rarer, g);
    return prob <= 0.5 ? k : count - k;
}

// G. Marsaglia and W. Tsang, "A simple method for generating gamma variables", 2000. As in PyTorch, alpha
// is changed in its own type T and some constants are floats.
template <class T>
double gamma(T alpha, Generator& g) {
    double scale = 1;
    if (alpha < 1) {
        if (alpha == 0) return 0;
        scale = std::pow(1 - g.uniform(), double(1 / alpha));
        alpha += 1;
    }
    const double d = alpha - 1.0f / 3.0f, c = 1 / std::sqrt(9 * d);
    for (;;) {
        double x, y;
        do {
            x = g.normal();
            y = 1 + c * x;
        } while (y <= 0);
        const double v = y * y * y, u = 1 - g.uniform(), xx = x * x;
        if (u < 1 - 0.0331f * xx * xx || std::log(u) < 0.5 * xx + d * (1 - v + std::log(v))) return scale * d * v;
    }
}

template <class T>
double smallest_normal() {
    if constexpr (std::is_same_v<T, F16>) return 0x1p-14;
    else if constexpr (std::is_same_v<T, BF16>) return 0x1p-126;
    else return std::numeric_limits<T>::min();
}

// PyTorch's order of adding up a row: 16 running sums (4 vectors of 4), passed on to the next of four levels
// every `step` rounds, so that the error does not grow with n.
double row_sum(const double* x, int64_t n) {
    constexpr int kSums = 16, kLevels = 4;
    const int64_t rounds = n / kSums;
    int log = 0;
    while ((int64_t(1) << log) < rounds) ++log;
    const int power = std::max(4, log / kLevels);
    const int64_t mask = (int64_t(1) << power) - 1;
    double level[kLevels][kSums] = {};
    for (int64_t i = 0; i < rounds; ++i) {
        for (int k = 0; k < kSums; ++k) level[0][k] += x[kSums * i + k];
        for (int j = 1; j < kLevels && ((i + 1) & (mask << (power * (j - 1)))) == 0; ++j) {
            for (int k = 0; k < kSums; ++k) {
                level[j][k] += level[j - 1][k];
                level[j - 1][k] = 0;
            }
        }
    }
    for (int j = 1; j < kLevels; ++j)
        for (int k = 0; k < kSums; ++k) level[0][k] += level[j][k];
    double* lanes = level[0];
    int64_t i = kSums * rounds;
    for (; i + 4 <= n; i += 4)
        for (int k = 0; k < 4; ++k) lanes[k] += x[i + k];
    for (int k = 4; k < kSums; ++k) lanes[k % 4] += lanes[k];
    double sum = 0;
    for (; i < n; ++i) sum += x[i];
    for (int k = 0; k < 4; ++k) sum += lanes[k];
    return sum;
}

}  // namespace

bool sample_poisson(void* out, const void* rate, DType t, int64_t n, Generator& g) {
    return visit_floating(t, [&](auto z) {
        using T = decltype(z);
        for (int64_t i = 0; i < n; ++i)
            static_cast<T*>(out)[i] = narrow<T>(double(poisson(wide(static_cast<const T*>(rate)[i]), g)));
    });
}

bool sample_binomial(void* out, const void* count, const void* prob, DType t, int64_t n, Generator& g) {
    return visit_floating(t, [&](auto z) {
        using T = decltype(z);
        for (int64_t i = 0; i < n; ++i)
            static_cast<T*>(out)[i] =
                narrow<T>(binomial(wide(static_cast<const T*>(count)[i]), wide(static_cast<const T*>(prob)[i]), g));
    });
}

bool sample_gamma(void* out, const void* alpha, DType t, int64_t n, Generator& g) {
    return visit_floating(t, [&](auto z) {
        using T = decltype(z);
        for (int64_t i = 0; i < n; ++i) {
            const double sample = gamma(Wide<T>(static_cast<const T*>(alpha)[i]), g);
            static_cast<T*>(out)[i] = narrow<T>(std::max(smallest_normal<T>(), sample));
        }
    });
}

bool sample_dirichlet(void* out, const void* alpha, DType t, int64_t rows, int64_t width, Generator& g) {
    return visit_floating(t, [&](auto z) {
        using T = decltype(z);
        std::vector<double> draws(size_t(rows * width));
        for (size_t i = 0; i < draws.size(); ++i)
            draws[i] =
                std::max(std::numeric_limits<double>::min(), gamma(double(wide(static_cast<const T*>(alpha)[i])), g));
        const double most = wide(narrow<T>(std::nextafter(1.0f, 0.0f)));
        for (int64_t r = 0; r < rows; ++r) {
            const double* d = draws.data() + r * width;
            const double sum = row_sum(d, width);
            T* o = static_cast<T*>(out) + r * width;
            for (int64_t i = 0; i < width; ++i)
                o[i] = narrow<T>(std::min(most, std::max(smallest_normal<T>(), wide(narrow<T>(d[i] / sum)))));
        }
    });
}

bool sample_multinomial(int64_t* out, const void* weights, DType t, int64_t rows, int64_t width, int64_t samples,
                        Generator& g, MultinomialError& error) {
    error = MultinomialError::none;
    return visit_floating(t, [&](auto z) {
        using T = decltype(z);
        using W = Wide<T>;
        std::vector<W> cumulative(static_cast<size_t>(width));
        for (int64_t r = 0; r < rows; ++r) {
            const T* w = static_cast<const T*>(weights) + r * width;
            W sum = 0;
            for (int64_t j = 0; j < width; ++j) {
                if (!(wide(w[j]) >= 0) || std::isinf(wide(w[j]))) {
                    error = MultinomialError::bad_probability;
                    return;
                }
                sum += W(w[j]);
                cumulative[size_t(j)] = sum;
            }
            if (!(sum > 0)) {
                error = MultinomialError::zero_sum;
                return;
            }
            for (W& c : cumulative) c /= sum;
            cumulative.back() = 1;
            for (int64_t s = 0; s < samples; ++s) {
                const double u = g.uniform();
                const auto at =
                    std::lower_bound(cumulative.begin(), cumulative.end(), u, [](W c, double v) { return c < v; });
                out[r * samples + s] = at - cumulative.begin();
            }
        }
    });
}

}  // namespace fb::cpu
