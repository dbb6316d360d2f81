#include "cpu/gemm_types.h"
#include <cmath>
#include <cstring>
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/dnnl.h"
#include "cpu/gemm_lanes.h"

namespace fb::cpu {

namespace baseline {
extern const LanesKernel gemm_lanes_kernels[kLanesKinds];
extern const TimesI times_i_kernels[2];
}  // namespace baseline
namespace avx2 {
extern const LanesKernel gemm_lanes_kernels[kLanesKinds];
extern const TimesI times_i_kernels[2];
}  // namespace avx2
namespace avx512 {
extern const LanesKernel gemm_lanes_kernels[kLanesKinds];
extern const TimesI times_i_kernels[2];
}  // namespace avx512

namespace {

constexpr double kGrain = 32768;  // multiplications worth a thread
constexpr int64_t kDepth = 512;   // of the portions along k

const LanesKernel* lanes_kernel(DType type) {
    const LanesKernel* kernels =
        for_this_cpu<baseline::gemm_lanes_kernels, avx2::gemm_lanes_kernels, avx512::gemm_lanes_kernels>();
    switch (type) {
        case DType::f64: return kernels;
        case DType::i64:
        case DType::u64: return kernels + 1;
        case DType::i32:
        case DType::u32: return kernels + 2;
        case DType::i16:
        case DType::u16: return kernels + 3;
        case DType::i8:
        case DType::u8: return kernels + 4;
        default: return nullptr;
    }
}

void run_block(const LanesKernel& kernel, const LanesBlock& g, const LanesBatch& batch = {}) {
    alignas(64) char few[16384];
    const int64_t wanted = kernel.room(g);
    if (wanted <= int64_t(sizeof few)) return kernel.run(g, batch, few);
    const dnn::Scratch room{size_t(wanted)};
    kernel.run(g, batch, room.as());
}

// One portion along k on all threads.
void divided(const LanesKernel& kernel, const LanesBlock& g) {
    const double work = double(g.m) * double(g.n) * double(g.k);
    const int64_t threads = omp_in_parallel() ? 1 : std::min<int64_t>(num_threads(), int64_t(work / kGrain));
    if (threads <= 1) return run_block(kernel, g);
    const int64_t panels = (g.n + kernel.columns - 1) / kernel.columns;
    const auto by_rows = [&](const LanesBlock& from) {
        const int64_t each = ((g.m + threads - 1) / threads + 3) / 4 * 4;
        parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                if (const int64_t row = i * each; row < g.m)
                    run_block(kernel, from.at(kernel.size, row, 0, std::min(each, g.m - row), g.n));
        });
    };
    // A high A wants B packed once for all; a low one goes over the columns of its thread, which it packs on the way.
    constexpr int64_t kLow = 144;
    if (g.m >= 32 * threads && g.n >= 2 * kernel.columns && !(g.m <= kLow && g.n >= 2 * g.m)) {
        const int64_t panel = kernel.panel(g.k);
        const dnn::Scratch packed{size_t(panel * panels)};
        parallel_for(panels, std::max<int64_t>(1, 20000 / (g.k * kernel.columns)),
                     [&](int64_t begin, int64_t end) { kernel.pack(g, packed.as(), begin, end); });
        LanesBlock with = g;
        with.panels = packed.as();
        return by_rows(with);
    }
    if (panels < threads) return by_rows(g);
    const int64_t each = (panels + threads - 1) / threads * kernel.columns;
    parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            if (const int64_t column = i * each; column < g.n)
                run_block(kernel, g.at(kernel.size, 0, column, g.m, std::min(each, g.n - column)));
    });
}

}  // namespace

namespace {

// Integer matrices of a few elements each, which a kernel's preparations would cost more than: any width wraps alike.
template <class T>
void few_by_few(int64_t m, int64_t n, int64_t k, uint64_t alpha, Matrix a, Matrix b, uint64_t beta, T* c, int64_t ldc) {
    const T *pa = static_cast<const T*>(a.data), *pb = static_cast<const T*>(b.data);
    for (int64_t i = 0; i < m; ++i)
        for (int64_t j = 0; j < n; ++j) {
            uint64_t sum = 0;
            for (int64_t l = 0; l < k; ++l) sum += uint64_t(pa[i * a.row + l * a.col]) * pb[l * b.row + j * b.col];
            T& to = c[i * ldc + j];
            to = T(alpha * sum + (beta ? beta * to : 0));
        }
}

}  // namespace

bool gemm_lanes(DType type, int64_t batch, int64_t m, int64_t n, int64_t k, const Scalar& alpha, Matrix a, Matrix b,
                const Scalar& beta, void* c, int64_t ldc, BatchStrides step) {
    const LanesKernel* kernel = lanes_kernel(type);
    if (!kernel) return false;
    if (n == 1 && m > 1 && ldc == 1) {  // a column of results becomes a row
        std::swap(m, n);
        std::swap(a, b);
        std::swap(step.a, step.b);
        a = a.transposed(), b = b.transposed();
        ldc = n;
    }
    if (m * n * k <= kFewIntegers && batch > 1 && is_integral(type, false)) {
        const auto all = [&]<class T>(T) {
            parallel_for(batch, int64_t(kGrain / 2) / (m * n * k + 4), [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i)
                    few_by_few(m, n, k, uint64_t(alpha.integer()),
                               {static_cast<const T*>(a.data) + i * step.a, a.row, a.col},
                               {static_cast<const T*>(b.data) + i * step.b, b.row, b.col}, uint64_t(beta.integer()),
                               static_cast<T*>(c) + i * step.c, ldc);
            });
        };
        switch (kernel->size) {
            case 8: all(uint64_t()); break;
            case 4: all(uint32_t()); break;
            case 2: all(uint16_t()); break;
            default: all(uint8_t());
        }
        return true;
    }
    alignas(8) char factors[3][8];
    visit_dtype(type, [&]<class T>(T) {
        const T values[] = {alpha.to<T>(), beta.to<T>(), T(1)};
        if constexpr (sizeof(T) <= 8)
            for (int i = 0; i < 3; ++i) std::memcpy(factors[i], &values[i], sizeof(T));
    });
    const LanesBlock g{m, n, k, factors[0], factors[1], a.data, a.row, a.col, b.data, b.row, b.col, c, ldc};
    const double work = double(m) * double(n) * double(k);
    if (batch > 1 && k <= kDepth && (work < 4e6 || batch >= 8 * num_threads() || batch % num_threads() == 0)) {
        const auto some = [&](int64_t begin, int64_t end) {
            LanesBlock part = g;
            part.a = static_cast<const char*>(a.data) + begin * step.a * kernel->size;
            part.b = static_cast<const char*>(b.data) + begin * step.b * kernel->size;
            part.c = static_cast<char*>(c) + begin * step.c * kernel->size;
            run_block(*kernel, part, {end - begin, step.a, step.b, step.c});
        };
        parallel_for(batch, std::max<int64_t>(1, int64_t(kGrain / std::max(1.0, work))), some);
        return true;
    }
    const int64_t depth = m <= 4 && b.row == 1 ? k : kDepth;  // dot products go along k
    for (int64_t i = 0; i < batch; ++i)
        for (int64_t from = 0; from < k; from += depth) {
            LanesBlock part = g;
            part.k = std::min(depth, k - from);
            part.a = static_cast<const char*>(a.data) + (i * step.a + from * a.col) * kernel->size;
            part.b = static_cast<const char*>(b.data) + (i * step.b + from * b.row) * kernel->size;
            part.c = static_cast<char*>(c) + i * step.c * kernel->size;
            if (from) part.beta = factors[2];
            divided(*kernel, part);
        }
    return true;
}

// A complex matrix is a real one of twice as many columns, as it lies: A·B is A times B with its rows doubled, the
// second of which is the first times i. The other way round, for few rows: the real and the imaginary parts of A are
// rows of their own, B stays as it is and the two products join.
namespace {

template <class T>
Complex<T> times(Complex<T> factor, Complex<T> x) {
    return factor == Complex<T>(1) ? x : factor * x;  // 0·inf would not be a number
}
template <class T>
void join_rows(const T* re, const T* im, int64_t n, Complex<T> beta, Complex<T>* c) {
    for (int64_t j = 0; j < n; ++j) {
        const Complex<T> v(re[2 * j] - im[2 * j + 1], re[2 * j + 1] + im[2 * j]);
        c[j] = beta == Complex<T>(0) ? v : v + beta * c[j];
    }
}

}  // namespace

template <class T>
void gemm_complex(int64_t m, int64_t n, int64_t k, Complex<T> alpha, Matrix a, Matrix b, Complex<T> beta, Complex<T>* c,
                  int64_t ldc) {
    using Z = Complex<T>;
    constexpr DType real = sizeof(T) == sizeof(float) ? DType::f32 : DType::f64;
    constexpr int64_t kFewRows = 8, kFewNumbers = 8192;
    const Z *pa = static_cast<const Z*>(a.data), *pb = static_cast<const Z*>(b.data);
    if (m <= kFewRows && n > 2 * m && b.col == 1 && (b.row >= n || k == 1)) {
        const dnn::Scratch parts(size_t(2 * m * k) * sizeof(T)), products(size_t(4 * m * n) * sizeof(T));
        T *re = parts.as<T>(), *im = re + m * k, *sums = products.as<T>();
        for (int64_t i = 0; i < m; ++i)
            for (int64_t l = 0; l < k; ++l) {
                const Z x = times(alpha, pa[i * a.row + l * a.col]);
                re[i * k + l] = x.re, im[i * k + l] = x.im;
            }
        gemm(real, 2 * m, 2 * n, k, 1, {re, k, 1}, {pb, 2 * b.row, 1}, 0, sums, 2 * n);
        for (int64_t i = 0; i < m; ++i) join_rows(sums + 2 * i * n, sums + 2 * (m + i) * n, n, beta, c + i * ldc);
        return;
    }
    if (n > 4 * m && b.row == 1 && b.col >= k) {  // Cᵀ = Bᵀ·Aᵀ doubles the smaller factor
        const dnn::Scratch turned(size_t(m * n) * sizeof(Z));
        gemm_complex<T>(n, m, k, alpha, b.transposed(), a.transposed(), Z(0), turned.as<Z>(), m);
        for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
                const Z v = turned.as<Z>()[j * m + i];
                c[i * ldc + j] = beta == Z(0) ? v : v + beta * c[i * ldc + j];
            }
        return;
    }
    const bool in_place = (a.col == 1 || k == 1) && a.row >= 0;
    if (n == 1 && m > 4 && k >= kFewRows && in_place) {  // dot products with the vector and with i times it
        const dnn::Scratch lines(size_t(4 * k) * sizeof(T)), products(size_t(2 * m) * sizeof(T));
        T *re = lines.as<T>(), *im = re + 2 * k, *sums = products.as<T>();
        for (int64_t l = 0; l < k; ++l) {
            const Z x = times(alpha, pb[l * b.row]);
            re[2 * l] = x.re, re[2 * l + 1] = -x.im, im[2 * l] = x.im, im[2 * l + 1] = x.re;
        }
        gemm(real, 2, m, 2 * k, 1, {re, 2 * k, 1}, {pa, 1, 2 * a.row}, 0, sums, m);
        for (int64_t i = 0; i < m; ++i) {
            const Z v(sums[i], sums[m + i]);
            c[i * ldc] = beta == Z(0) ? v : v + beta * c[i * ldc];
        }
        return;
    }
    const dnn::Scratch doubled(size_t(4 * k * n) * sizeof(T)), rows(in_place ? 0 : size_t(m * k) * sizeof(Z));
    const bool plain = alpha == Z(1);
    const TimesI times_i =
        for_this_cpu<baseline::times_i_kernels, avx2::times_i_kernels, avx512::times_i_kernels>()[real == DType::f64];
    parallel_for(k, std::max<int64_t>(1, kFewNumbers / n), [&](int64_t begin, int64_t end) {
        for (int64_t l = begin; l < end; ++l) {
            T* to = doubled.as<T>() + 4 * l * n;
            if (!plain)
                for (int64_t j = 0; j < n; ++j) reinterpret_cast<Z*>(to)[j] = alpha * pb[l * b.row + j * b.col];
            if (plain) times_i(n, pb + l * b.row, b.col, to, to + 2 * n);
            else times_i(n, to, 1, to, to + 2 * n);
        }
    });
    if (!in_place) {
        parallel_for(m, std::max<int64_t>(1, kFewNumbers / k), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                for (int64_t l = 0; l < k; ++l) rows.as<Z>()[i * k + l] = pa[i * a.row + l * a.col];
        });
        pa = rows.as<Z>(), a.row = k;
    }
    const bool add = !(beta == Z(0));
    if (add && !(beta == Z(1)))
        for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) c[i * ldc + j] = beta * c[i * ldc + j];
    gemm(real, m, 2 * n, 2 * k, 1, {pa, 2 * a.row, 1}, {doubled.as<T>(), 2 * n, 1}, add ? 1 : 0, c, 2 * ldc);
}
template void gemm_complex(int64_t, int64_t, int64_t, C64, Matrix, Matrix, C64, C64*, int64_t);
template void gemm_complex(int64_t, int64_t, int64_t, C128, Matrix, Matrix, C128, C128*, int64_t);

}  // namespace fb::cpu
