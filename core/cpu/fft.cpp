#include "cpu/fft.h"
#include <cmath>
#include <list>
#include <mutex>
#include <numbers>
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/room.h"

namespace fb::cpu {

namespace baseline {
extern const FftLoops<float> fft_loops_float;
extern const FftLoops<double> fft_loops_double;
}  // namespace baseline
namespace avx2 {
extern const FftLoops<float> fft_loops_float;
extern const FftLoops<double> fft_loops_double;
}  // namespace avx2
namespace avx512 {
extern const FftLoops<float> fft_loops_float;
extern const FftLoops<double> fft_loops_double;
}  // namespace avx512

template <class T>
const FftLoops<T>& fft_loops() {
    if constexpr (sizeof(T) == 4)
        return for_this_cpu<baseline::fft_loops_float, avx2::fft_loops_float, avx512::fft_loops_float>();
    else return for_this_cpu<baseline::fft_loops_double, avx2::fft_loops_double, avx512::fft_loops_double>();
}
template const FftLoops<float>& fft_loops<float>();
template const FftLoops<double>& fft_loops<double>();

namespace {

constexpr int kMostLanes = 16;  // of any register
constexpr int64_t kLargestRadix = 64, kShortest = 64;
constexpr int64_t kLongestLine = 4096, kLongest = 16384;  // beyond: a lone line, any line is taken apart

// exp(-2πi k / n).  Brought into an eighth of the circle by exact steps: quarters come out as 0 and 1, and roots that
// mirror each other are equal to the last bit.
template <class T>
Complex<T> root(int64_t k, int64_t n) {
    k %= n;
    if (2 * k > n) {
        const Complex<T> w = root<T>(n - k, n);
        return {w.re, -w.im};
    }
    if (4 * k > n) {
        const Complex<T> w = root<T>(n - 2 * k, 2 * n);
        return {-w.re, w.im};
    }
    if (8 * k > n) {
        const Complex<T> w = root<T>(n - 4 * k, 4 * n);
        return {-w.im, -w.re};
    }
    const double a = 2 * std::numbers::pi * double(k) / double(n);
    return {T(std::cos(a)), T(-std::sin(a))};
}
std::vector<int64_t> factors_of(int64_t n) {
    std::vector<int64_t> factors;
    for (int64_t p : {int64_t(8), int64_t(4), int64_t(2), int64_t(3), int64_t(5)})
        for (; n % p == 0; n /= p) factors.push_back(p);
    for (int64_t p = 7; p * p <= n; p += 2)
        for (; n % p == 0; n /= p) factors.push_back(p);
    if (n > 1) factors.push_back(n);
    return factors;
}
int64_t divisor_near_root(int64_t n) {  // the largest that is not above the square root
    int64_t d = int64_t(std::sqrt(double(n)));
    while (n % d) --d;
    return d;
}
template <class T>
const T* plain(const Complex<T>* p) {
    return reinterpret_cast<const T*>(p);
}
template <class T>
T* plain(Complex<T>* p) {
    return reinterpret_cast<T*>(p);
}
int64_t length_of_convolution(int64_t n) {  // the least 2^a f, f of a few, that holds a convolution of n values
    int64_t least = 0;
    for (int64_t f : {1, 3, 5, 9, 15}) {
        int64_t m = kShortest * f;
        while (m < 2 * n - 1) m *= 2;
        if (!least || m < least) least = m;
    }
    return least;
}

}  // namespace

template <class T>
Fft<T>::Fft(int64_t n) : n_(n) {
    roots_.reserve(size_t(n + 1));
    for (int64_t k = 0; k <= n; ++k) roots_.push_back(root<T>(k, 2 * n));
    const auto turn = [&](int64_t k) {  // exp(-2πi k / n)
        const int64_t i = 2 * (k % n);
        return i <= n ? roots_[size_t(i)] : C(-roots_[size_t(i - n)].re, -roots_[size_t(i - n)].im);
    };
    const std::vector<int64_t> factors = factors_of(n);
    if (!factors.empty() && factors.back() > kLargestRadix) {
        const int64_t m = length_of_convolution(n);
        inner_ = get(m);
        std::vector<C> b(static_cast<size_t>(m));
        for (int64_t k = 0; k < n; ++k) {
            chirp_.push_back(root<T>(int64_t((__int128(k) * k) % (2 * n)), 2 * n));
            b[size_t(k)] = C(chirp_.back().re / T(m), -chirp_.back().im / T(m));
        }
        for (int64_t k = 1; k < n; ++k) b[size_t(m - k)] = b[size_t(k)];
        filter_.resize(size_t(m));
        const C* in = b.data();
        C* out = filter_.data();
        inner_->run(&in, 1, &out, 1, 1, true, 1);
        return;
    }
    if (const int64_t d = n >= kShortest ? divisor_near_root(n) : 1; d >= 8 && (n % 8 || n > kLongestLine)) {
        rows_ = get(n / d);
        columns_ = get(d);
        turns_.reserve(size_t(n));
        for (int64_t k = 0; k < d; ++k)
            for (int64_t j = 0; j < n / d; ++j) turns_.push_back(turn(k * j));
        if (n > kLongest) return;
    }
    int64_t s = 1, rest = n;
    for (int64_t p : factors) {
        std::vector<T> turns, roots;
        for (int64_t q = 0; q < rest / p; ++q)
            for (int64_t j = 1; j < p; ++j) {
                const C w = turn(q * j * s);
                turns.insert(turns.end(), {w.re, w.im});
            }
        for (int64_t k = 0; k < p; ++k) {
            const C w = root<T>(k, p);
            roots.insert(roots.end(), {w.re, w.im});
        }
        tables_.push_back(std::move(turns));
        tables_.push_back(std::move(roots));
        stages_.push_back({p, rest / p, s, tables_[tables_.size() - 2].data(), tables_.back().data()});
        rest /= p;
        s *= p;
    }
    if (n % 8 || n < kShortest) return;
    std::vector<T> first;
    for (int64_t j = 1; j < 8; ++j) {
        for (int64_t q = 0; q < n / 8; ++q) first.push_back(turn(q * j).re);
        for (int64_t q = 0; q < n / 8; ++q) first.push_back(turn(q * j).im);
    }
    tables_.push_back(std::move(first));
    line_ = {n, stages_.data() + 1, int64_t(stages_.size()) - 1, tables_.back().data()};
}

// Two buffers for `lanes` lines of n values, or of the convolution's; a little apart, lest all start in one set of the
// cache.
template <class T>
class Fft<T>::Work {
public:
    Work(int64_t n, int64_t lanes) : part_(n * lanes + 16), room_(4 * part_) {}
    Split<T> a() const { return {room_.get(), room_.get() + part_}; }
    Split<T> b() const { return {room_.get() + 2 * part_, room_.get() + 3 * part_}; }

private:
    int64_t part_;
    Room<T> room_;
};

template <class T>
void Fft<T>::convolve(const C* in, int64_t in_step, C* out, int64_t out_step, bool forward, T scale) const {
    const FftLoops<T>& loops = fft_loops<T>();
    const int64_t m = inner_->n_;
    if (!inner_->line_.n) {  // too long for a line
        const Room<C> z(m);
        C* const p = z.get();
        const auto value = [&](C v) { return forward ? v : C(v.im, v.re); };  // backward: the parts change places
        for (int64_t i = 0; i < n_; ++i) p[i] = value(in[i * in_step]) * chirp_[size_t(i)];
        std::fill(p + n_, p + m, C(0, 0));
        inner_->run(&p, 1, &p, 1, 1, true, 1);
        for (int64_t i = 0; i < m; ++i) p[i] = p[i] * filter_[size_t(i)];
        inner_->run(&p, 1, &p, 1, 1, false, 1);
        for (int64_t i = 0; i < n_; ++i) {
            const C v = value(p[i] * chirp_[size_t(i)]);
            out[i * out_step] = C(scale * v.re, scale * v.im);
        }
        return;
    }
    const Work work(m, 1);
    const Split<T> a = work.a(), b = work.b();
    for (int64_t i = 0; i < n_; ++i) {
        const C v = in[i * in_step];
        a.re[i] = forward ? v.re : v.im;
        a.im[i] = forward ? v.im : v.re;
    }
    loops.multiply(a, plain(chirp_.data()), n_);
    std::fill(a.re + n_, a.re + m, T(0));
    std::fill(a.im + n_, a.im + m, T(0));
    Split<T> x = loops.line_split(inner_->line_, a, b), y = x.re == a.re ? b : a;
    loops.multiply(x, plain(filter_.data()), m);
    x = loops.line_split(inner_->line_, {x.im, x.re}, {y.im, y.re});  // the transform back
    x = {x.im, x.re};
    loops.multiply(x, plain(chirp_.data()), n_);
    for (int64_t i = 0; i < n_; ++i)
        out[i * out_step] = forward ? C(scale * x.re[i], scale * x.im[i]) : C(scale * x.im[i], scale * x.re[i]);
}

template <class T>
Split<T> Fft<T>::lanes(const Work& work) const {
    return fft_loops<T>().transform(stages_.data(), int64_t(stages_.size()), work.a(), work.b());
}

template <class T>
void Fft<T>::run(const C* const* in, int64_t in_step, C* const* out, int64_t out_step, int64_t count, bool forward,
                 T scale) const {
    const FftLoops<T>& loops = fft_loops<T>();
    if (inner_) {
        for (int64_t l = 0; l < count; ++l) convolve(in[l], in_step, out[l], out_step, forward, scale);
        return;
    }
    if (rows_ && (count == 1 || stages_.empty())) {
        for (int64_t l = 0; l < count; ++l) alone(in[l], in_step, out[l], out_step, forward, scale);
        return;
    }
    if (line_.n && in_step == 1 && out_step == 1) {
        const Work work(n_, 1);
        for (int64_t l = 0; l < count; ++l)
            loops.line(line_, plain(in[l]), plain(out[l]), !forward, scale, work.a(), work.b());
        return;
    }
    const Work work(n_, loops.lanes);
    loops.load(reinterpret_cast<const T* const*>(in), in_step, count, n_, !forward, work.a());
    const Split<T> result = lanes(work);
    loops.store(result, n_, reinterpret_cast<T* const*>(out), out_step, count, !forward, scale, nullptr, 0);
}

// A line as a matrix of `columns_->n_` rows: transforms down the columns, a turn, transforms along the rows, and the
// result is read transposed.
template <class T>
void Fft<T>::alone(const C* in, int64_t in_step, C* out, int64_t out_step, bool forward, T scale) const {
    const FftLoops<T>& loops = fft_loops<T>();
    const int64_t height = columns_->n_, width = rows_->n_, w = loops.lanes;
    const Room<C> matrix(n_);
    const auto strips = [&](int64_t lines, auto&& f) {
        const int64_t units = (lines + w - 1) / w;
        parallel_for(units, std::max<int64_t>(1, 4096 * units / n_), [&](int64_t b, int64_t e) {
            for (; b < e; ++b) f(b * w, std::min(w, lines - b * w));
        });
    };
    strips(width, [&](int64_t first, int64_t count) {
        const C* from[kMostLanes];
        C* to[kMostLanes];
        for (int64_t l = 0; l < count; ++l) {
            from[l] = in + (first + l) * in_step;
            to[l] = matrix.get() + first + l;
        }
        const Work work(height, w);
        loops.load(reinterpret_cast<const T* const*>(from), in_step * width, count, height, !forward, work.a());
        const Split<T> result = columns_->lanes(work);
        loops.store(result, height, reinterpret_cast<T* const*>(to), width, count, false, 1,
                    plain(turns_.data() + first), width);
    });
    strips(height, [&](int64_t first, int64_t count) {
        const C* from[kMostLanes];
        C* to[kMostLanes];
        for (int64_t l = 0; l < count; ++l) {
            from[l] = matrix.get() + (first + l) * width;
            to[l] = out + (first + l) * out_step;
        }
        const Work work(width, w);
        loops.load(reinterpret_cast<const T* const*>(from), 1, count, width, false, work.a());
        const Split<T> result = rows_->lanes(work);
        loops.store(result, width, reinterpret_cast<T* const*>(to), out_step * height, count, !forward, scale, nullptr,
                    0);
    });
}

template <class T>
void Fft<T>::run_real(const T* const* in, C* const* out, int64_t out_step, int64_t count, T scale) const {
    const FftLoops<T>& loops = fft_loops<T>();
    if (inner_ || (rows_ && (count == 1 || stages_.empty()))) {
        const Room<C> z(n_);
        for (int64_t l = 0; l < count; ++l) {
            const C* from = reinterpret_cast<const C*>(in[l]);
            C* const to = z.get();
            run(&from, 1, &to, 1, 1, true, scale / 2);
            for (int64_t k = 0; k <= n_; ++k) {
                const C a = z[k < n_ ? k : 0], b = z[k ? n_ - k : 0];
                const C even(a.re + b.re, a.im - b.im), odd(a.im + b.im, b.re - a.re);
                out[l][k * out_step] = even + odd * roots_[size_t(k)];
            }
        }
        return;
    }
    if (line_.n && out_step == 1) {
        const Work work(n_, 1);
        for (int64_t l = 0; l < count; ++l)
            loops.line_real(line_, in[l], plain(roots_.data()), plain(out[l]), scale, work.a(), work.b());
        return;
    }
    const Work work(n_ + 1, loops.lanes);
    loops.load(in, 1, count, n_, false, work.a());
    const Split<T> z = lanes(work), half = z.re == work.a().re ? work.b() : work.a();
    loops.to_half(z, plain(roots_.data()), n_, half);
    loops.store(half, n_ + 1, reinterpret_cast<T* const*>(out), out_step, count, false, scale, nullptr, 0);
}
template <class T>
void Fft<T>::run_to_real(const C* const* in, int64_t in_step, T* const* out, int64_t count, T scale) const {
    const FftLoops<T>& loops = fft_loops<T>();
    if (inner_ || (rows_ && (count == 1 || stages_.empty()))) {
        const Room<C> z(n_);
        for (int64_t l = 0; l < count; ++l) {
            for (int64_t k = 0; k < n_; ++k) {
                C a = in[l][k * in_step], b = in[l][(n_ - k) * in_step];
                if (k == 0) a.im = b.im = 0;  // what a real signal cannot have is ignored
                const C w = roots_[size_t(k)], odd = C(a.re - b.re, a.im + b.im) * C(w.re, -w.im);
                z[k] = C(a.re + b.re - odd.im, a.im - b.im + odd.re);
            }
            const C* from = z.get();
            C* to = reinterpret_cast<C*>(out[l]);
            run(&from, 1, &to, 1, 1, false, scale);
        }
        return;
    }
    if (line_.n && in_step == 1) {
        const Work work(n_, 1);
        for (int64_t l = 0; l < count; ++l)
            loops.line_to_real(line_, plain(in[l]), plain(roots_.data()), out[l], scale, work.a(), work.b());
        return;
    }
    const Work work(n_ + 1, loops.lanes);
    const Split<T> x = work.b(), backward{work.a().im, work.a().re};  // real and imaginary parts change places
    loops.load(reinterpret_cast<const T* const*>(in), in_step, count, n_ + 1, false, x);
    loops.from_half(x, plain(roots_.data()), n_, backward);
    const Split<T> z = lanes(work);
    loops.store(z, n_, out, 1, count, true, scale, nullptr, 0);
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
