// Compiled without contraction: which operations are fused decides the last bit, so it is written out with
// fma().
#include "cpu/pointwise.h"
#include "cpu/random_fill.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "base/parallel.h"
#include "cpu/random_steps.h"
#include "cpu/visit.h"

namespace fb::cpu {
namespace {

constexpr int64_t kChunk = 512;   // numbers drawn at once
constexpr int64_t kGrain = 8192;  // numbers worth a thread where each takes a logarithm or more

// Calls f(T{}) for the floating types.
template <class F>
bool visit_floating(DType t, F&& f) {
    return visit_one_of<float, double, F16, BF16>(t, f);
}
// Calls f(T{}) for all real types.
template <class F>
bool visit_real(DType t, F&& f) {
    if (is_complex(t)) return false;
    visit_dtype(t, [&](auto v) {
        if constexpr (!std::is_same_v<decltype(v), C64> && !std::is_same_v<decltype(v), C128>) f(v);
    });
    return true;
}

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, double>, double, float>;  // what T is computed in

template <class T, class V>
T narrow(V v) {
    if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) return T(float(v));
    else return static_cast<T>(v);
}

// f(i, u) for n numbers u of 32 random bits.
template <class F>
void draw32(int64_t n, Generator& g, F&& f) {
    uint32_t words[kChunk];
    for (int64_t i = 0; i < n; i += kChunk) {
        const int64_t m = std::min(kChunk, n - i);
        g.fill(words, m);
        for (int64_t j = 0; j < m; ++j) f(i + j, words[j]);
    }
}
// f(i, u) for n numbers u of 64 random bits.
template <class F>
void draw64(int64_t n, Generator& g, F&& f) {
    uint32_t words[2 * kChunk];
    for (int64_t i = 0; i < n; i += kChunk) {
        const int64_t m = std::min(kChunk, n - i);
        g.fill(words, 2 * m);
        for (int64_t j = 0; j < m; ++j) f(i + j, uint64_t(words[2 * j]) << 32 | words[2 * j + 1]);
    }
}
// out[i] = a number in [0, 1), for float or double.
template <class W>
void draw_unit(W* out, int64_t n, Generator& g) {
    constexpr int kEach = sizeof(W) / sizeof(uint32_t);
    uint32_t words[kEach * kChunk];
    for (int64_t i = 0; i < n; i += kChunk) {
        const int64_t m = std::min(kChunk, n - i);
        g.fill(words, kEach * m);
        if constexpr (kEach == 1) random_steps().unit_float(words, out + i, m);
        else random_steps().unit_double(words, out + i, m);
    }
}
// f(i, u, m) for chunks of m numbers u[0 … m) in [0, 1) that belong to place i and on.
template <class W, class F>
void draw_chunks(int64_t n, Generator& g, F&& f) {
    W u[kChunk];
    for (int64_t i = 0; i < n; i += kChunk) {
        const int64_t m = std::min(kChunk, n - i);
        draw_unit(u, m, g);
        f(i, u, m);
    }
}
void stretch(float* x, int64_t n, float from, float to) { random_steps().stretch_float(x, n, from, to); }
void stretch(double* x, int64_t n, double from, double to) { random_steps().stretch_double(x, n, from, to); }

// out[i] = f(u), u a double from [0, 1) and f costly: drawn in order by one thread, computed by all.
template <class T, class F>
void from_doubles(void* out, int64_t n, Generator& g, F&& f) {
    constexpr int64_t kBatch = 1 << 16;
    T* o = static_cast<T*>(out);
    std::vector<double> drawn(size_t(std::min(n, kBatch)));
    double* d = drawn.data();
    for (int64_t i = 0; i < n; i += kBatch, o += kBatch) {
        const int64_t m = std::min(kBatch, n - i);
        draw_unit(d, m, g);
        parallel_for(m, kGrain, [&](int64_t begin, int64_t end) {
            for (int64_t j = begin; j < end; ++j) o[j] = narrow<T>(f(d[j]));
        });
    }
}

void box_muller(float* x, int64_t count, float mean, float std) { random_steps().box_muller(x, count, mean, std); }
void box_muller(double* x, int64_t count, double mean, double std) {
    for (; count > 0; --count, x += 16) {
        for (int i = 0; i < 8; ++i) {
            const double radius = std::sqrt(-2 * std::log(1 - x[i])), angle = 2 * M_PI * x[i + 8];
            x[i] = std::fma(radius * std::cos(angle), std, mean);
            x[i + 8] = std::fma(radius * std::sin(angle), std, mean);
        }
    }
}

// Contiguous, n >= 16. What is left after whole blocks of 16 is made by drawing the last 16 anew.
template <class W>
void normal_wide(W* out, int64_t n, double mean, double std, Generator& g) {
    draw_unit(out, n, g);
    parallel_for(n / 16, kGrain / 16,
                 [=](int64_t begin, int64_t end) { box_muller(out + 16 * begin, end - begin, W(mean), W(std)); });
    if (n % 16) {
        draw_unit(out + n - 16, 16, g);
        box_muller(out + n - 16, 1, W(mean), W(std));
    }
}
// Half precision: the same in float32, but what the last 16 will replace is not drawn first.
template <class T>
void normal_half(T* out, int64_t n, double mean, double std, Generator& g) {
    float buffer[kChunk];
    const auto draw = [&](T* o, int64_t m) {
        draw_unit(buffer, m, g);
        box_muller(buffer, m / 16, float(mean), float(std));
        for (int64_t i = 0; i < m; ++i) o[i] = T(buffer[i]);
    };
    const int64_t whole = n - n % 16;
    for (int64_t i = 0; i < whole; i += kChunk) draw(out + i, std::min(kChunk, whole - i));
    if (n % 16) draw(out + n - 16, 16);
}

}  // namespace

bool fill_uniform(void* out, DType t, int64_t n, double from, double to, Generator& g) {
    return visit_floating(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        if constexpr (std::is_same_v<T, Wide<T>>) {
            for (int64_t i = 0; i < n; i += kChunk) {
                const int64_t m = std::min(kChunk, n - i);
                draw_unit(o + i, m, g);
                if (from != 0 || to != 1) stretch(o + i, m, T(from), T(to));
            }
        } else {
            const T first = T(float(from)), end = T(float(to));
            draw_chunks<float>(n, g, [=](int64_t i, float* u, int64_t m) {
                stretch(u, m, float(from), float(to));
                for (int64_t j = 0; j < m; ++j) {
                    const T r = T(u[j]);
                    o[i + j] = float(r) == float(end) ? first : r;  // as in stretch()
                }
            });
        }
    });
}

bool fill_normal(void* out, DType t, int64_t n, double mean, double std, bool contiguous, Generator& g) {
    return visit_floating(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        if (n < 16 || !contiguous) {
            for (int64_t i = 0; i < n; ++i) o[i] = narrow<T>(std::fma(g.normal(), std, mean));
            return;
        }
        if constexpr (std::is_same_v<T, Wide<T>>) normal_wide(o, n, mean, std, g);
        else normal_half(o, n, mean, std, g);
    });
}

bool fill_exponential(void* out, DType t, int64_t n, double lambda, Generator& g) {
    return visit_floating(t, [&](auto v) {
        from_doubles<decltype(v)>(out, n, g, [=](double u) { return -1 / lambda * std::log1p(-u); });
    });
}

bool fill_cauchy(void* out, DType t, int64_t n, double median, double sigma, Generator& g) {
    return visit_floating(t, [&](auto v) {
        from_doubles<decltype(v)>(out, n, g,
                                  [=](double u) { return std::fma(sigma, std::tan(M_PI * (u - 0.5)), median); });
    });
}

bool fill_log_normal(void* out, DType t, int64_t n, double mean, double std, Generator& g) {
    return visit_floating(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        for (int64_t i = 0; i < n; ++i) o[i] = narrow<T>(std::exp(std::fma(g.normal(), std, mean)));
    });
}

bool fill_geometric(void* out, DType t, int64_t n, double p, Generator& g) {
    return t != DType::b1 && visit_real(t, [&](auto v) {
               const double scale = std::log1p(-p);
               from_doubles<decltype(v)>(out, n, g, [=](double u) { return std::ceil(std::log(u) / scale); });
           });
}

// Ones of type t where draw(drawn, i, u, m) finds m numbers u, of which the first is number i, low enough.
template <class U, class Draw>
void draw_ones(void* out, DType t, int64_t n, Generator& g, Draw draw) {
    const Loop convert = convert_loop(DType::b1, t);
    const int64_t item = int64_t(itemsize(t)), strides[] = {item, 1};
    draw_chunks<U>(n, g, [=](int64_t i, const U* u, int64_t m) {
        bool drawn[kChunk];
        draw(drawn, i, u, m);
        char* const to[] = {static_cast<char*>(out) + i * item, reinterpret_cast<char*>(drawn)};
        convert(to, strides, m, nullptr);
    });
}

bool fill_bernoulli(void* out, DType t, int64_t n, double p, Generator& g) {
    if (is_complex(t) || is_float8(t)) return false;
    draw_ones<double>(out, t, n, g, [p](bool* drawn, int64_t, const double* u, int64_t m) {
        for (int64_t j = 0; j < m; ++j) drawn[j] = u[j] < p;
    });
    return true;
}

bool fill_bernoulli(void* out, DType t, int64_t n, const void* p, DType pt, Generator& g) {
    if (is_complex(t) || is_float8(t)) return false;
    return visit_floating(pt, [&](auto v) {
        using P = decltype(v);
        const P* prob = static_cast<const P*>(p);
        draw_ones<Wide<P>>(out, t, n, g, [prob](bool* drawn, int64_t i, const Wide<P>* u, int64_t m) {
            for (int64_t j = 0; j < m; ++j) drawn[j] = u[j] < Wide<P>(prob[i + j]);
        });
    });
}

bool fill_integers(void* out, DType t, int64_t n, uint64_t range, int64_t base, Generator& g) {
    return visit_real(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        const auto place = [=](int64_t i, uint64_t r) { o[i] = narrow<T>(int64_t(r + uint64_t(base))); };
        if (range >= uint64_t(1) << 28) draw64(n, g, [=](int64_t i, uint64_t b) { place(i, b % range); });
        else draw32(n, g, [=, r = uint32_t(range)](int64_t i, uint32_t b) { place(i, b % r); });
    });
}

bool fill_integers_64bit(void* out, DType t, int64_t n, Generator& g) {
    return visit_real(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        draw64(n, g, [=](int64_t i, uint64_t b) { o[i] = narrow<T>(int64_t(b)); });
    });
}

bool fill_integers(void* out, DType t, int64_t n, Generator& g) {
    return visit_real(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        if constexpr (std::is_same_v<T, bool>) draw32(n, g, [=](int64_t i, uint32_t b) { o[i] = b & 1; });
        else if constexpr (std::is_same_v<T, double>)
            draw64(n, g, [=](int64_t i, uint64_t b) { o[i] = double(int64_t(b % ((uint64_t(1) << 53) + 1))); });
        else if constexpr (!std::is_integral_v<T>) {
            constexpr uint32_t digits = std::is_same_v<T, float> ? 24 : std::is_same_v<T, F16> ? 11 : 8;
            draw32(n, g, [=](int64_t i, uint32_t b) { o[i] = narrow<T>(int64_t(b % ((1u << digits) + 1))); });
        } else if constexpr (sizeof(T) == 8)
            draw64(n, g, [&](int64_t i, uint64_t b) {
                if constexpr (std::is_signed_v<T>) o[i] = T(b & (~uint64_t(0) >> 1));
                else o[i] = b;
            });
        else draw32(n, g, [=](int64_t i, uint32_t b) { o[i] = T(b & uint32_t(std::numeric_limits<T>::max())); });
    });
}

bool fill_permutation(void* out, DType t, int64_t n, Generator& g) {
    return t != DType::b1 && visit_real(t, [&](auto v) {
               using T = decltype(v);
               T* o = static_cast<T*>(out);
               // Beyond, 32 bits would favour small numbers noticeably: 64, in the variant that needs no
               // filled array.
               if (n < int64_t(std::numeric_limits<uint32_t>::max() / 20)) {
                   for (int64_t i = 0; i < n; ++i) o[i] = narrow<T>(i);
                   draw32(n - 1, g, [=](int64_t i, uint32_t b) { std::swap(o[i], o[i + b % uint32_t(n - i)]); });
               } else {
                   draw64(n, g, [=](int64_t i, uint64_t b) {
                       const auto at = int64_t(b % uint64_t(i + 1));
                       o[i] = o[at];
                       o[at] = narrow<T>(i);
                   });
               }
           });
}

bool fill_slopes(void* out, const void* x, DType t, int64_t n, double lower, double upper, Generator& g) {
    return visit_floating(t, [&](auto v) {
        using T = decltype(v);
        T* o = static_cast<T*>(out);
        const T* in = static_cast<const T*>(x);
        const double low = Wide<T>(lower), width = Wide<T>(upper) - low;
        for (int64_t i = 0; i < n; ++i)
            o[i] = Wide<T>(in[i]) <= 0 ? narrow<T>(g.uniform() * width + low) : narrow<T>(1);
    });
}

}  // namespace fb::cpu
