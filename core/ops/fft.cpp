// Fourier transforms over sets of dimensions: the three primitives that flambeau.fft is made of.
#include <cmath>
#include "autograd/back.h"
#include "cpu/fft.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

// PyTorch's numbers for what the result is divided by: 0 nothing, 1 the square root of the length, 2 the length.
double scale_of(int64_t mode, double length) { return mode == 1 ? 1 / std::sqrt(length) : mode == 2 ? 1 / length : 1; }

Dims wrapped(IntSpan dims, int64_t n) {
    Dims r;
    for (int64_t d : dims) r.push_back(wrap_dim(d, n, false));
    return r;
}

// Calls f(lines of x, lines of y, how many) for batches of lines along `dim`, which may have different lengths in the
// two.
template <class A, class B, class F>
void each_batch(const Tensor& x, const Tensor& y, int64_t dim, int64_t together, F&& f) {
    constexpr int64_t kMost = 64;
    const Dims bx = byte_strides(x), by = byte_strides(y);
    int64_t lines = 1;
    for (int64_t d = 0; d < x.dim(); ++d)
        if (d != dim) lines *= x.sizes()[size_t(d)];
    together = std::min(together, kMost);
    const int64_t batches = (lines + together - 1) / together, length = std::max(x.size(dim), y.size(dim));
    parallel_for(batches, std::max<int64_t>(1, 2048 / (together * length)), [&](int64_t first, int64_t last) {
        const A* in[kMost];
        B* out[kMost];
        for (; first < last; ++first) {
            const int64_t count = std::min(together, lines - first * together);
            for (int64_t l = 0; l < count; ++l) {
                int64_t rest = first * together + l, i = 0, o = 0;
                for (size_t d = x.sizes().size(); d-- > 0;) {
                    if (int64_t(d) == dim) continue;
                    i += rest % x.sizes()[d] * bx[d];
                    o += rest % x.sizes()[d] * by[d];
                    rest /= x.sizes()[d];
                }
                in[l] = reinterpret_cast<const A*>(bytes(x) + i);
                out[l] = reinterpret_cast<B*>(bytes(y) + o);
            }
            f(in, out, count);
        }
    });
}
template <class F>
void by_precision(DType t, const char* name, F&& f) {
    const DType r = to_real(t);
    if (r == DType::f32) f(float{});
    else if (r == DType::f64) f(double{});
    else
        fail(ErrorKind::Runtime, "Unsupported dtype ", scalar_name(t), "\n", name,
             " works on float, double and their complex types: convert with .float()");
}

Tensor c2c(const Tensor& x, IntSpan dims0, int64_t normalization, bool forward) {
    check(is_complex(x.dtype()), "_fft_c2c expects a complex tensor");
    const Dims dims = wrapped(dims0, x.dim());
    Tensor r = empty_like(x);
    if (r.is_meta() || !r.numel()) return r;
    if (dims.empty()) {
        copy_data(r, x);
        return r;
    }
    by_precision(x.dtype(), "fft", [&](auto z) {
        using T = decltype(z);
        using C = Complex<T>;
        double length = 1;
        for (int64_t d : dims) length *= double(x.sizes()[size_t(d)]);
        const T scale = T(scale_of(normalization, length));
        for (size_t i = 0; i < dims.size(); ++i) {
            const auto plan = Fft<T>::get(x.sizes()[size_t(dims[i])]);
            const int64_t from = (i ? r : x).strides()[size_t(dims[i])], to = r.strides()[size_t(dims[i])];
            each_batch<C, C>(i ? r : x, r, dims[i], Fft<T>::together(), [&](auto in, auto out, int64_t count) {
                plan->run(in, from, out, to, count, forward, i + 1 == dims.size() ? scale : T(1));
            });
        }
    });
    return r;
}

Tensor r2c(const Tensor& x, IntSpan dims0, int64_t normalization, bool onesided) {
    check(is_floating(x.dtype()), "_fft_r2c expects a real tensor");
    check(!dims0.empty(), "_fft_r2c expects at least one dimension");
    const Dims dims = wrapped(dims0, x.dim());
    const int64_t last = dims.back(), n = x.sizes()[size_t(last)];
    check(n >= 1, "Invalid number of data points (", n, ") specified");
    Dims shape = x.sizes();
    if (onesided) shape[size_t(last)] = n / 2 + 1;
    Tensor r = empty(shape, to_complex(x.dtype()), x.device());
    if (r.is_meta() || !r.numel()) return r;
    if (n % 2 || !onesided) {
        const Tensor full = c2c(convert(x, r.dtype()), dims0, normalization, true);
        return onesided ? op<"contiguous">(op<"narrow">(full, last, 0, n / 2 + 1)) : full;
    }
    by_precision(x.dtype(), "rfft", [&](auto z) {
        using T = decltype(z);
        using C = Complex<T>;
        double length = 1;
        for (int64_t d : dims) length *= double(x.sizes()[size_t(d)]);
        const T scale = T(scale_of(normalization, length));
        const auto plan = Fft<T>::get(n / 2);
        const Tensor lines = dense(op<"movedim">(x, Dims{last}, Dims{-1})), to = op<"movedim">(r, Dims{last}, Dims{-1});
        each_batch<T, C>(lines, to, x.dim() - 1, Fft<T>::together(), [&](auto in, auto out, int64_t count) {
            plan->run_real(in, out, to.strides().back(), count, scale);
        });
    });
    if (dims.size() == 1) return r;
    return c2c(r, IntSpan(dims).first(dims.size() - 1), 0, true);
}
Tensor c2r(const Tensor& x0, IntSpan dims0, int64_t normalization, int64_t n) {
    check(is_complex(x0.dtype()), "_fft_c2r expects a complex tensor");
    check(n >= 1, "Invalid number of data points (", n, ") specified");
    check(!dims0.empty(), "_fft_c2r expects at least one dimension");
    const Dims dims = wrapped(dims0, x0.dim());
    const int64_t last = dims.back();
    Dims shape = x0.sizes();
    shape[size_t(last)] = n;
    Tensor r = empty(shape, to_real(x0.dtype()), x0.device());
    if (r.is_meta() || !r.numel()) return r;
    const Tensor x = dims.size() > 1 ? c2c(x0, IntSpan(dims).first(dims.size() - 1), 0, false) : x0;
    by_precision(x.dtype(), "irfft", [&](auto z) {
        using T = decltype(z);
        using C = Complex<T>;
        double length = 1;
        for (int64_t d : dims) length *= double(shape[size_t(d)]);
        const T scale = T(scale_of(normalization, length));
        // The first half of the spectrum, as long as it must be.
        const int64_t half = n / 2 + 1, have = std::min(x.sizes()[size_t(last)], half);
        Dims part = shape;
        part[size_t(last)] = half;
        Tensor spectrum = x;
        if (x.sizes()[size_t(last)] != half) {
            spectrum = empty(part, x.dtype());
            fill(spectrum, 0);
            copy_data(op<"narrow">(spectrum, last, 0, have), op<"narrow">(x, last, 0, have));
        }
        spectrum = op<"movedim">(spectrum, Dims{last}, Dims{-1});
        const Tensor to = op<"movedim">(r, Dims{last}, Dims{-1});
        const int64_t step = spectrum.strides().back();
        if (n % 2 == 0) {
            const auto plan = Fft<T>::get(n / 2);
            const Tensor lines = to->contiguous ? to : empty(to.sizes(), to.dtype());
            each_batch<C, T>(spectrum, lines, x.dim() - 1, Fft<T>::together(),
                             [&](auto in, auto out, int64_t count) { plan->run_to_real(in, step, out, count, scale); });
            if (lines.get() != to.get()) copy_data(to, lines);
            return;
        }
        Tensor full = empty(to.sizes(), x.dtype());
        each_batch<C, C>(spectrum, full, x.dim() - 1, 1, [&](auto in, auto out, int64_t) {
            out[0][0] = {in[0][0].re * scale, 0};  // what a real signal cannot have is ignored
            for (int64_t k = 1; k < half; ++k) {
                const C v = in[0][k * step];
                out[0][k] = {v.re * scale, v.im * scale};
                out[0][n - k] = {v.re * scale, -v.im * scale};
            }
        });
        copy_data(to, op<"real">(c2c(full, Dims{-1}, 0, false)));
    });
    return r;
}

Tensor r2c_backward(Back& b) {
    const IntSpan dims = b.ints(1);
    if (!b.flag(3)) return op<"real">(op<"_fft_c2c">(b.g, dims, b.integer(2), false));
    // The half that was left out gets zeros.
    const int64_t last = wrap_dim(dims.back(), b.g.dim()), n = b.sizes(0)[size_t(last)];
    Tensor g = b.g;
    const int64_t missing = n - g.size(last);
    if (missing > 0) {
        Dims pad = g.sizes();
        pad[size_t(last)] = missing;
        g = op<"cat">(std::vector<Tensor>{g, op<"zeros">(pad, g.dtype(), nullptr, g.device())}, last);
    }
    return op<"real">(op<"_fft_c2c">(g, dims, b.integer(2), false));
}
Tensor c2r_backward(Back& b) {
    const IntSpan dims = b.ints(1);
    const int64_t last = wrap_dim(dims.back(), b.g.dim());
    const Tensor g = op<"_fft_r2c">(b.g, dims, b.integer(2), true);
    // Entries that also stand for their mirror image count twice.
    const int64_t twice = b.g.size(last) - g.size(last);
    if (twice <= 0) return g;
    std::vector<Tensor> parts{op<"narrow">(g, last, 0, 1), op<"mul">(op<"narrow">(g, last, 1, twice), Scalar(2))};
    if (1 + twice < g.size(last)) parts.push_back(op<"narrow">(g, last, 1 + twice, g.size(last) - 1 - twice));
    return op<"cat">(parts, last);
}

const Family fourier([](Registry& r) {
    r.add("_fft_c2c(Tensor self, int[] dim, int normalization, bool forward) -> Tensor", "f")
        .kernel<c2c>()
        .grad("self", "", [](Back& b) { return op<"_fft_c2c">(b.g, b.ints(1), b.integer(2), !b.flag(3)); })
        .node("FftC2CBackward0");
    r.add("_fft_r2c(Tensor self, int[] dim, int normalization, bool onesided) -> Tensor", "f")
        .kernel<r2c>()
        .grad("self", "", r2c_backward)
        .node("FftR2CBackward0");
    r.add("_fft_c2r(Tensor self, int[] dim, int normalization, int last_dim_size) -> Tensor", "f")
        .kernel<c2r>()
        .grad("self", "", c2r_backward)
        .node("FftC2RBackward0");
});

}  // namespace
}  // namespace fb
