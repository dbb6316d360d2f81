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

// Runs f(line in, line out) with contiguous buffers of A and B values along `dim`.
template <class A, class B, class F>
void each_transform(const Tensor& x, const Tensor& y, int64_t dim, F&& f) {
    const Dims bx = byte_strides(x), by = byte_strides(y);
    const int64_t n = x.sizes()[size_t(dim)], m = y.sizes()[size_t(dim)], sx = bx[size_t(dim)], sy = by[size_t(dim)];
    Dims lines = x.sizes();  // the walk skips `dim`, so its length does not matter
    each_line<2>(
        lines, dim, {bytes(x), bytes(y)}, {bx, by},
        [&](const auto& p) {
            std::vector<A> a;
            std::vector<B> b;
            a.resize(size_t(n));
            b.resize(size_t(m));
            for (int64_t i = 0; i < n; ++i) a[size_t(i)] = *reinterpret_cast<const A*>(p[0] + i * sx);
            f(a.data(), b.data());
            for (int64_t i = 0; i < m; ++i) *reinterpret_cast<B*>(p[1] + i * sy) = b[size_t(i)];
        },
        8);
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
            const int64_t n = x.sizes()[size_t(dims[i])];
            const auto plan = Fft<T>::get(n);
            const bool last = i + 1 == dims.size();
            each_transform<C, C>(i ? r : x, r, dims[i], [&](const C* a, C* b) {
                plan->run(a, b, forward);
                if (last && scale != 1)
                    for (int64_t k = 0; k < n; ++k) b[k] = {b[k].re * scale, b[k].im * scale};
            });
        }
    });
    return r;
}

// Real values of even length: one complex transform of half the length, then the two halves are told apart.
template <class T>
void real_line(const Fft<T>& half, const T* in, Complex<T>* out, int64_t n, std::vector<Complex<T>>& room) {
    using C = Complex<T>;
    const int64_t h = n / 2;
    room.resize(size_t(2 * h));
    C *packed = room.data(), *z = packed + h;
    for (int64_t i = 0; i < h; ++i) packed[i] = {in[2 * i], in[2 * i + 1]};
    half.run(packed, z, true);
    for (int64_t k = 0; k <= h; ++k) {
        const C a = z[k % h], c = z[(h - k) % h];
        const C even((a.re + c.re) / 2, (a.im - c.im) / 2), odd((a.im + c.im) / 2, (c.re - a.re) / 2);
        const double angle = -2 * M_PI * double(k) / double(n);
        out[k] = even + C(T(std::cos(angle)), T(std::sin(angle))) * odd;
    }
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
    by_precision(x.dtype(), "rfft", [&](auto z) {
        using T = decltype(z);
        using C = Complex<T>;
        double length = 1;
        for (int64_t d : dims) length *= double(x.sizes()[size_t(d)]);
        const T scale = T(scale_of(normalization, length));
        const bool even = n % 2 == 0 && n > 2;
        const auto plan = Fft<T>::get(even ? n / 2 : n);
        each_transform<T, C>(x, r, last, [&](const T* a, C* b) {
            std::vector<C> room, full;
            full.resize(size_t(n + 2));
            if (even) {
                real_line(*plan, a, full.data(), n, room);
                for (int64_t k = 1; k < n - n / 2; ++k) full[size_t(n - k)] = {full[size_t(k)].re, -full[size_t(k)].im};
            } else {
                room.resize(size_t(n));
                for (int64_t i = 0; i < n; ++i) room[size_t(i)] = C(a[i]);
                plan->run(room.data(), full.data(), true);
            }
            for (int64_t k = 0; k < shape[size_t(last)]; ++k)
                b[k] = {full[size_t(k)].re * scale, full[size_t(k)].im * scale};
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
        const auto plan = Fft<T>::get(n);
        const int64_t have = std::min(x.sizes()[size_t(last)], n / 2 + 1);
        each_transform<C, T>(x, r, last, [&](const C* a, T* b) {
            std::vector<C> full, done;
            full.assign(size_t(n), C(0));
            done.resize(size_t(n));
            for (int64_t k = 0; k < have; ++k) full[size_t(k)] = a[k];
            full[0].im = 0;  // what a real signal cannot have is ignored
            if (n % 2 == 0 && n / 2 < have) full[size_t(n / 2)].im = 0;
            for (int64_t k = 1; k < n - n / 2; ++k) full[size_t(n - k)] = {full[size_t(k)].re, -full[size_t(k)].im};
            plan->run(full.data(), done.data(), false);
            for (int64_t k = 0; k < n; ++k) b[k] = done[size_t(k)].re * scale;
        });
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
