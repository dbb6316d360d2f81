#include "cpu/fft.h"
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>

namespace fb::cpu {
namespace {

constexpr int64_t kLargestRadix = 64;

template <class T>
Complex<T> root(int64_t k, int64_t n) {  // exp(-2πi k / n), the angle reduced exactly first
    k %= n;
    const double a = -2 * std::numbers::pi * double(k) / double(n);
    return {T(std::cos(a)), T(std::sin(a))};
}
template <class T>
Complex<T> conj_if(Complex<T> v, bool yes) {
    return yes ? Complex<T>(v.re, -v.im) : v;
}
template <class T>
Complex<T> turned(Complex<T> v, bool forward) {
    return forward ? Complex<T>(v.im, -v.re) : Complex<T>(-v.im, v.re);
}  // times ∓i

}  // namespace

template <class T>
Fft<T>::Fft(int64_t n) : n_(n) {
    int64_t rest = n;
    for (int64_t p : {int64_t(4), int64_t(2), int64_t(3), int64_t(5)})
        while (rest % p == 0) {
            factors_.push_back(p);
            rest /= p;
        }
    for (int64_t p = 7; p * p <= rest; p += 2)
        while (rest % p == 0) {
            factors_.push_back(p);
            rest /= p;
        }
    if (rest > 1) factors_.push_back(rest);
    if (!factors_.empty() && factors_.back() > kLargestRadix) {
        int64_t m = 1;
        while (m < 2 * n - 1) m *= 2;
        inner_ = get(m);
        chirp_.resize(size_t(n));
        for (int64_t k = 0; k < n; ++k) chirp_[size_t(k)] = root<T>(int64_t((__int128(k) * k) % (2 * n)), 2 * n);
        std::vector<Complex<T>> b(size_t(m), Complex<T>(0));
        for (int64_t k = 0; k < n; ++k) b[size_t(k)] = conj_if(chirp_[size_t(k)], true);
        for (int64_t k = 1; k < n; ++k) b[size_t(m - k)] = b[size_t(k)];
        filter_.resize(size_t(m));
        inner_->run(b.data(), filter_.data(), true);
        return;
    }
    roots_.resize(size_t(n));
    for (int64_t k = 0; k < n; ++k) roots_[size_t(k)] = root<T>(k, n);
}

template <class T>
void Fft<T>::chirp(const Complex<T>* in, Complex<T>* out, bool forward) const {
    const size_t m = filter_.size();
    std::vector<Complex<T>> a(m, Complex<T>(0)), b(m);
    for (int64_t k = 0; k < n_; ++k) a[size_t(k)] = conj_if(in[k], !forward) * chirp_[size_t(k)];
    inner_->run(a.data(), b.data(), true);
    for (size_t k = 0; k < m; ++k) b[k] = b[k] * filter_[k];
    inner_->run(b.data(), a.data(), false);
    const T scale = T(1) / T(m);
    for (int64_t k = 0; k < n_; ++k) {
        const Complex<T> v = a[size_t(k)] * chirp_[size_t(k)];
        out[k] = conj_if(Complex<T>(v.re * scale, v.im * scale), !forward);
    }
}

// Decimation in time: p interleaved transforms of length n / p, then one butterfly stage.
template <class T>
void Fft<T>::pass(const Complex<T>* in, Complex<T>* out, int64_t n, int64_t stride, size_t factor, bool forward) const {
    using C = Complex<T>;
    if (n == 1) {
        out[0] = in[0];
        return;
    }
    const int64_t p = factors_[factor], m = n / p;
    for (int64_t q = 0; q < p; ++q) pass(in + q * stride, out + q * m, m, stride * p, factor + 1, forward);
    auto w = [&](int64_t k) { return conj_if(roots_[size_t(k)], !forward); };
    if (p == 2) {
        for (int64_t k = 0; k < m; ++k) {
            const C a = out[k], b = out[k + m] * w(k * stride);
            out[k] = a + b;
            out[k + m] = a - b;
        }
    } else if (p == 4) {
        for (int64_t k = 0; k < m; ++k) {
            const C a = out[k], b = out[k + m] * w(k * stride), c = out[k + 2 * m] * w(2 * k * stride),
                    d = out[k + 3 * m] * w(3 * k * stride);
            const C s = a + c, t = a - c, u = b + d, v = turned(b - d, forward);
            out[k] = s + u;
            out[k + m] = t + v;
            out[k + 2 * m] = s - u;
            out[k + 3 * m] = t - v;
        }
    } else if (p == 3) {
        const T h = T(std::numbers::sqrt3 / 2);
        for (int64_t k = 0; k < m; ++k) {
            const C a = out[k], b = out[k + m] * w(k * stride), c = out[k + 2 * m] * w(2 * k * stride);
            const C s = b + c, d = turned(b - c, forward);
            const C mid(a.re - s.re / 2, a.im - s.im / 2), rot(d.re * h, d.im * h);
            out[k] = a + s;
            out[k + m] = mid + rot;
            out[k + 2 * m] = mid - rot;
        }
    } else {
        // An odd prime: inputs q and p - q share their cosine, and their sine up to its sign. Summed in double.
        C sum[kLargestRadix / 2 + 1], gap[kLargestRadix / 2 + 1];
        const int64_t step = n_ / p, half = p / 2;
        for (int64_t k = 0; k < m; ++k) {
            const C first = out[k];
            C128 total(first);
            for (int64_t q = 1; q <= half; ++q) {
                const C a = out[k + q * m] * w(q * k * stride), b = out[k + (p - q) * m] * w((p - q) * k * stride);
                sum[q] = a + b;
                gap[q] = a - b;
                total += C128(sum[q]);
            }
            out[k] = C(total);
            for (int64_t r = 1; r <= half; ++r) {
                C128 even(first), odd;
                for (int64_t q = 1; q <= half; ++q) {
                    const C turn = roots_[size_t(r * q % p * step)];
                    even += C128(sum[q]) * double(turn.re);
                    odd += C128(gap[q]) * -double(turn.im);
                }
                odd = turned(odd, forward);
                out[k + r * m] = C(even + odd);
                out[k + (p - r) * m] = C(even - odd);
            }
        }
    }
}

template <class T>
void Fft<T>::run(const Complex<T>* in, Complex<T>* out, bool forward) const {
    if (inner_) chirp(in, out, forward);
    else pass(in, out, n_, 1, 0, forward);
}

template <class T>
std::shared_ptr<const Fft<T>> Fft<T>::get(int64_t n) {
    static std::mutex mutex;
    static std::list<std::shared_ptr<const Fft>> cache;  // most recently used first
    {
        std::lock_guard lock(mutex);
        for (auto i = cache.begin(); i != cache.end(); ++i)
            if ((*i)->n_ == n) {
                cache.splice(cache.begin(), cache, i);
                return cache.front();
            }
    }
    auto made = std::make_shared<const Fft>(n);
    std::lock_guard lock(mutex);
    cache.push_front(made);
    if (cache.size() > 16) cache.pop_back();
    return made;
}

template class Fft<float>;
template class Fft<double>;

}  // namespace fb::cpu
