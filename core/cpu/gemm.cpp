#include "cpu/gemm.h"
#include <bit>
#include <cmath>
#include <cstring>
#include <optional>
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/dnnl.h"
#include "cpu/gemm_block.h"
#include "cpu/gemm_types.h"
#include "cpu/packed.h"
#include "cpu/norm.h"
#include "cpu/pointwise.h"

namespace fb::cpu {

namespace baseline {
extern const GemmKernel gemm_block_kernel;
}
namespace avx2 {
extern const GemmKernel gemm_block_kernel;
}
namespace avx512 {
extern const GemmKernel gemm_block_kernel;
extern const PairsKernel gemm_pairs_kernel;
}  // namespace avx512
const GemmKernel& gemm_kernel() {
    return for_this_cpu<baseline::gemm_block_kernel, avx2::gemm_block_kernel, avx512::gemm_block_kernel>();
}

namespace {

constexpr double kGrain = 65536;       // multiplications worth a thread
constexpr double kFewProducts = 2048;  // up to here loops do as well as packing
constexpr double kFewComplex = 500;
constexpr double kLongFlops = 1e6;  // from here on other Python threads may run meanwhile

// How a library wants a matrix: row-major, or transposed row-major, with a leading dimension.
struct Operand {
    const void* data;
    int64_t ld;
    bool trans;
};
bool fits(const Matrix& x, int64_t rows, int64_t cols, Operand& o) {
    if ((x.col == 1 || cols == 1) && (x.row >= cols || rows == 1)) {
        o = {x.data, rows == 1 ? std::max<int64_t>(1, cols) : x.row, false};
        return true;
    }
    if ((x.row == 1 || rows == 1) && (x.col >= rows || cols == 1)) {
        o = {x.data, cols == 1 ? std::max<int64_t>(1, rows) : x.col, true};
        return true;
    }
    return false;
}

template <class To, class From>
void pack(To* dst, const Matrix& x, int64_t rows, int64_t cols) {
    const From* src = static_cast<const From*>(x.data);
    for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < cols; ++j) dst[i * cols + j] = To(src[i * x.row + j * x.col]);
}

template <class T>
void scale_rows(T* c, int64_t ldc, int64_t m, int64_t n, T beta) {
    for (int64_t i = 0; i < m; ++i) {
        T* row = c + i * ldc;
        if (beta == T(0)) std::fill(row, row + n, T(0));
        else if (!(beta == T(1)))
            for (int64_t j = 0; j < n; ++j) row[j] = T(row[j] * beta);
    }
}

// For few integers and complex numbers: rows of B are added up, four at a time.
template <class T>
void gemm_loops(int64_t m, int64_t n, int64_t k, T alpha, Matrix a, Matrix b, T beta, T* c, int64_t ldc) {
    std::optional<dnn::Scratch> room;
    if (b.col != 1 && n > 1) {
        room.emplace(size_t(k * n) * sizeof(T));
        pack<T, T>(room->as<T>(), b, k, n);
        b = {room->as<T>(), n, 1};
    }
    const T *pa = static_cast<const T*>(a.data), *pb = static_cast<const T*>(b.data);
    parallel_for(m, std::max<int64_t>(1, 32768 / std::max<int64_t>(1, n * k)), [&](int64_t begin, int64_t end) {
        scale_rows(c + begin * ldc, ldc, end - begin, n, beta);
        for (int64_t i = begin; i < end; ++i) {
            T* row = c + i * ldc;
            int64_t l = 0;
            for (; l + 4 <= k; l += 4) {
                const T *ai = pa + i * a.row + l * a.col, *b0 = pb + l * b.row;
                const T *b1 = b0 + b.row, *b2 = b1 + b.row, *b3 = b2 + b.row;
                const T x0 = T(alpha * ai[0]), x1 = T(alpha * ai[a.col]), x2 = T(alpha * ai[2 * a.col]),
                        x3 = T(alpha * ai[3 * a.col]);
                for (int64_t j = 0; j < n; ++j)
                    row[j] = T(row[j] + (x0 * b0[j] + x1 * b1[j] + x2 * b2[j] + x3 * b3[j]));
            }
            for (; l < k; ++l) {
                const T x = T(alpha * pa[i * a.row + l * a.col]);
                for (int64_t j = 0; j < n; ++j) row[j] = T(row[j] + x * pb[l * b.row + j]);
            }
        }
    });
}

// A matmul primitive: C = alpha·A·B + beta·C, or + bias (which may be null) with factors of one and zero. False when
// the operands' memory is not what it takes.
bool gemm_primitive(DType type, int64_t batch, int64_t m, int64_t n, int64_t k, Matrix a, Matrix b, float alpha,
                    float beta, void* c, int64_t ldc, const void* bias, BatchStrides step) {
    Operand oa, ob;
    if (!fits(a, m, k, oa) || !fits(b, k, n, ob)) return false;
    if (batch > 1 && (step.a <= 0 || step.b <= 0)) return false;
    dnn::Key key(dnn::kMatmul);
    for (int64_t v : {int64_t(type), batch, m, n, k, oa.ld, ob.ld, int64_t(oa.trans), int64_t(ob.trans), ldc, step.a,
                      step.b, step.c, int64_t(std::bit_cast<uint32_t>(alpha)), int64_t(std::bit_cast<uint32_t>(beta)),
                      int64_t(bias != nullptr)})
        key.add(v);
    const dnn::PlanPtr p = dnn::cached<dnn::Plan>(key, [&] {
        const auto desc = [&](int64_t rows, int64_t cols, int64_t ld, bool trans, int64_t between) {
            const int64_t sizes[] = {batch, rows, cols}, strides[] = {between, trans ? 1 : ld, trans ? ld : 1};
            const size_t from = batch == 1;  // one product has no batch dimension
            return dnn::strided_desc(IntSpan(sizes).subspan(from), IntSpan(strides).subspan(from), type);
        };
        const dnn::Desc da = desc(m, k, oa.ld, oa.trans, step.a), db = desc(k, n, ob.ld, ob.trans, step.b),
                        dc = desc(m, n, ldc, false, step.c);
        dnnl::primitive_attr attr = dnn::user_scratchpad();
        dnnl::post_ops after;
        if (alpha != 1) after.append_eltwise(dnnl::algorithm::eltwise_linear, alpha, 0);
        if (beta != 0) after.append_sum(beta);
        if (after.len()) attr.set_post_ops(after);
        std::vector<dnn::Plan::Slot> slots{{DNNL_ARG_SRC, da}, {DNNL_ARG_WEIGHTS, db}, {DNNL_ARG_DST, dc}};
        if (bias) {
            const int64_t sizes[] = {1, n};
            slots.push_back({DNNL_ARG_BIAS, dnn::plain_desc(sizes, type)});
        }
        const dnnl::matmul::primitive_desc pd =
            bias ? dnnl::matmul::primitive_desc(dnn::engine(), da, db, slots.back().desc, dc, attr)
                 : dnnl::matmul::primitive_desc(dnn::engine(), da, db, dc, attr);
        return std::make_shared<dnn::Plan>(dnnl::matmul(pd), std::move(slots), pd.scratchpad_desc());
    });
    const LongWork unlocked(double(m) * double(n) * double(k) * double(batch) > kLongFlops);
    const void* data[] = {oa.data, ob.data, c, bias};
    p->run(std::span(const_cast<void* const*>(data), bias ? 4 : 3));
    return true;
}

// A product as the own kernels take it.
template <class Block, class T>
Block block_of(int64_t m, int64_t n, int64_t k, const Scalar& alpha, Matrix a, Matrix b, const Scalar& beta, void* c,
               int64_t ldc) {
    return {.m = m,
            .n = n,
            .k = k,
            .alpha = alpha.to<float>(),
            .beta = beta.to<float>(),
            .a = static_cast<const T*>(a.data),
            .a_row = a.row,
            .a_col = a.col,
            .b = static_cast<const T*>(b.data),
            .b_row = b.row,
            .b_col = b.col,
            .c = static_cast<T*>(c),
            .c_row = ldc};
}

// Large products go to oneDNN, whose portions suit the caches that cores share, and with registers of 64 bytes those of
// long rows too, which come five to fifteen parts in a hundred closer to what the machine can do. Narrower registers
// leave the own kernel time to read: up to here it is as fast, and a third faster where rows lie a power of two apart.
bool is_large(int64_t m, int64_t n, int64_t k) {
    const int64_t least = std::min(m, n);
    if (gemm_kernel().columns < 32) return std::min(least, k) >= 640;
    return std::min(least, k) >= 320 || (k >= 512 && least >= 128 && n >= 224);
}

// The own kernel for bfloat16.
#if FB_X86
bool has_pairs() {
    static const bool yes = dnn::has_bf16() && cpu_level() == CpuLevel::avx512;
    return yes;
}
void pairs_divided(int64_t batch, const PairsBlock& g, BatchStrides step) {
    const PairsKernel& kernel = avx512::gemm_pairs_kernel;
    const int64_t columns = gemm_kernel().columns, most = num_threads();
    const double products = double(g.m) * double(g.n) * double(g.k);
    // A single product is divided by columns, each of which packs its own part of B, or by rows if it is high.
    int64_t down = 1, across = 1;
    if (batch < most) {
        const int64_t threads = std::clamp<int64_t>(int64_t(products / (2 * kGrain)), 1, most);
        (g.m > 4 * g.n || g.n < columns * threads ? down : across) = threads;
    }
    const int64_t units = (g.n + columns - 1) / columns, high = (g.m + down - 1) / down,
                  wide = (units + across - 1) / across * columns;
    parallel_for(batch * down * across, std::max<int64_t>(1, int64_t(2 * kGrain * double(down * across) / products)),
                 [&](int64_t begin, int64_t end) {
                     const dnn::Scratch room(size_t(kernel.room(g)) * sizeof(float));
                     for (int64_t i = begin; i < end; ++i) {
                         const int64_t at = i / (down * across), row = i / across % down * high,
                                       column = i % across * wide;
                         PairsBlock part = g;
                         part.m = std::min(high, g.m - row);
                         part.n = std::min(wide, g.n - column);
                         if (part.m <= 0 || part.n <= 0) continue;
                         part.a += at * step.a + row * g.a_row;
                         part.b += at * step.b + column * g.b_col;
                         if (g.panels) part.panels += column * ((g.k + 1) / 2);
                         part.c += at * step.c + row * g.c_row + column;
                         if (g.bias) part.bias += column;
                         kernel.run(part, room.as<float>());
                     }
                 });
}
#else
bool has_pairs() { return false; }
void pairs_divided(int64_t, const PairsBlock&, BatchStrides) {}
#endif

// bfloat16 where the CPU has the instructions; false when it has not.
bool gemm_bf16(int64_t batch, int64_t m, int64_t n, int64_t k, const Scalar& alpha, Matrix a, Matrix b,
               const Scalar& beta, void* c, int64_t ldc, const void* bias, BatchStrides step) {
    if (!dnn::has_bf16() || k == 0 || (bias && !(alpha.equals(1) && beta.is_zero()))) return false;
    auto pairs = block_of<PairsBlock, BF16>(m, n, k, alpha, a, b, beta, c, ldc);
    pairs.bias = static_cast<const BF16*>(bias);
    // oneDNN needs longer to begin, and reads B once where there are few rows.
    constexpr int64_t kFewest = 12, kMost = 160;
    const double products = double(m) * double(n) * double(k);
    const bool shared = batch > 1 && (step.a <= 0 || step.b <= 0);  // which its primitive does not take
    if (has_pairs() && std::max({m, n, k}) <= (shared ? 4 : 1) * kMost &&
        (shared || (std::min(m, n) >= kFewest && (batch == 1 || products < kGrain)))) {
        pairs_divided(batch, pairs, step);
        return true;
    }
    return gemm_primitive(DType::bf16, batch, m, n, k, a, b, alpha.to<float>(), beta.to<float>(), c, ldc, bias, step);
}

// How many threads share the rows of C and how many its columns: the least time of the slowest, where every thread
// packs or reads what it needs of A and B. Where it makes no difference the rows of A are divided, or the columns of a
// transposed B that was not turned: either way the rows of a weight stay with one thread, and in its cache, from the
// product to the gradient and the optimizer's step.
struct Grid {
    int64_t rows, columns;  // of a thread's part
};
Grid divide(const GemmBlock& g, const GemmKernel& kernel) {
    constexpr double kPacking = 12;  // multiplications that take as long as packing one element
    const int64_t threads = std::min<int64_t>(num_threads(), int64_t(double(g.m) * double(g.n) * double(g.k) / kGrain));
    const auto part = [](int64_t n, int64_t unit, int64_t by) {
        const int64_t units = (n + unit - 1) / unit;
        return std::min(n, (units + by - 1) / by * unit);
    };
    Grid best{g.m, g.n};
    double least = INFINITY;
    for (int64_t i = 1; i <= threads; ++i) {
        const int64_t down = g.b_col == 1 || g.c_col != 1 ? threads + 1 - i : i;
        const Grid grid{part(g.m, std::min<int64_t>(kernel.rows, 4), down), part(g.n, kernel.columns, threads / down)};
        const double read =
            (g.a_col == 1 ? 0.5 : 1) * double(grid.rows) + (g.b_col == 1 ? 1 : 2) * double(grid.columns);
        const double cost = double(grid.rows) * double(grid.columns) + kPacking * read;
        if (cost < 0.95 * least) least = cost, best = grid;
    }
    return best;
}

void run_block(const GemmBlock& g, const GemmBatch& batch = {}) {
    const GemmKernel& kernel = gemm_kernel();
    alignas(64) float few[4096];
    const int64_t wanted = kernel.room(g);
    if (wanted <= 4096) return kernel.run(g, batch, few);
    const dnn::Scratch room(size_t(wanted) * sizeof(float));
    kernel.run(g, batch, room.as<float>());
}

// A product may be turned over, Cᵀ = Bᵀ·Aᵀ: a column of results becomes a row; and the weight of a linear layer,
// transposed, becomes the left factor, which is taken as it lies.
bool turn(GemmBlock& g) {
    const bool column = g.n == 1 && g.m > 1 && g.c_row == 1,
               weight = g.b_row == 1 && g.b_col > 1 && g.m > 8 && g.m <= 128 && g.k >= 2 * g.m && g.n >= 32;
    if (!column && !weight) return false;
    if (column && g.bias) {
        std::fill_n(g.c, g.m, *g.bias);
        g.bias = nullptr;
        g.beta = 1;
    }
    std::swap(g.m, g.n);
    std::swap(g.a, g.b);
    std::swap(g.a_row, g.b_col);
    std::swap(g.a_col, g.b_row);
    std::swap(g.c_row, g.c_col);
    if (column) g.c_col = 1, g.c_row = g.n;
    return true;
}

void start_rows(void* c, int64_t ldc, int64_t m, int64_t n, const void* bias, size_t size) {
    for (int64_t i = 0; i < m; ++i) std::memcpy(static_cast<char*>(c) + i * ldc * size, bias, n * size);
}

// Its sgemm is slow at packing a transposed B, its primitive is not. False when the operands' memory is not what it
// takes.
bool gemm_large(const GemmBlock& g) {
    if (!is_large(g.m, g.n, g.k)) return false;
    const Matrix a{g.a, g.a_row, g.a_col}, b{g.b, g.b_row, g.b_col};
    Operand oa, ob;
    if (!fits(a, g.m, g.k, oa) || !fits(b, g.k, g.n, ob)) return false;
    const bool add = g.beta == 1;
    if (ob.trans && g.alpha == 1 && (add || g.beta == 0) && !(add && g.bias))
        return gemm_primitive(DType::f32, 1, g.m, g.n, g.k, a, b, 1, add ? 1 : 0, g.c, g.c_row, g.bias, {});
    if (g.bias) start_rows(g.c, g.c_row, g.m, g.n, g.bias, sizeof(float));
    const LongWork unlocked;
    const dnnl_status_t s = dnnl_sgemm(oa.trans ? 'T' : 'N', ob.trans ? 'T' : 'N', g.m, g.n, g.k, g.alpha,
                                       static_cast<const float*>(oa.data), oa.ld, static_cast<const float*>(ob.data),
                                       ob.ld, g.bias ? 1 : g.beta, g.c, g.c_row);
    dnn::succeeded(s, "could not multiply");
    return true;
}

void gemm_divided(const GemmBlock& g) {
    if (omp_in_parallel()) return run_block(g);  // parts would pack the same again
    const GemmKernel& kernel = gemm_kernel();
    const Grid grid = divide(g, kernel);
    const int64_t down = (g.m + grid.rows - 1) / grid.rows, across = (g.n + grid.columns - 1) / grid.columns;
    if (down * across == 1) return run_block(g);
    parallel_for(down * across, 1, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t row = i / across * grid.rows, column = i % across * grid.columns;
            GemmBlock part = g;
            part.m = std::min(grid.rows, g.m - row);
            part.n = std::min(grid.columns, g.n - column);
            part.a += row * g.a_row;
            part.b += g.b_panel ? column / kernel.columns * g.b_panel : column * g.b_col;
            part.c += row * g.c_row + column * g.c_col;
            if (g.bias) part.bias += g.c_col == 1 ? column : row;
            run_block(part);
        }
    });
}
void gemm_f32(GemmBlock g) {
    if (gemm_large(g)) return;
    turn(g);
    gemm_divided(g);
}

// Half types in float: converted, multiplied, rounded once.
void convert_lines(DType from, DType to, const Matrix& x, int64_t rows, int64_t cols, void* out, int64_t ldc) {
    constexpr int64_t kFew = 16384;
    const Loop loop = convert_loop(from, to);
    const int64_t in_size = int64_t(itemsize(from)), out_size = int64_t(itemsize(to)),
                  strides[] = {out_size, x.col * in_size};
    parallel_for(rows, std::max<int64_t>(1, kFew / cols), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            char* const p[] = {static_cast<char*>(out) + i * ldc * out_size,
                               static_cast<char*>(const_cast<void*>(x.data)) + i * x.row * in_size};
            loop(p, strides, cols, nullptr);
        }
    });
}
Matrix widened(DType from, const Matrix& x, int64_t rows, int64_t cols, float* room) {
    if (x.row == 1 && x.col != 1) return widened(from, x.transposed(), cols, rows, room).transposed();
    convert_lines(from, DType::f32, x, rows, cols, room, cols);
    return {room, cols, 1};
}
template <class T>
void gemm_half(DType type, int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b, float beta, T* c,
               int64_t ldc) {
    constexpr int64_t kTiny = 64;
    if (m * n * k <= kTiny) {
        const T *pa = static_cast<const T*>(a.data), *pb = static_cast<const T*>(b.data);
        for (int64_t i = 0; i < m; ++i)
            for (int64_t j = 0; j < n; ++j) {
                float sum = 0;
                for (int64_t l = 0; l < k; ++l)
                    sum += float(pa[i * a.row + l * a.col]) * float(pb[l * b.row + j * b.col]);
                T& to = c[i * ldc + j];
                to = T(beta == 0 ? alpha * sum : alpha * sum + beta * float(to));
            }
        return;
    }
    const dnn::Scratch room_a(size_t(m * k) * 4), room_b(size_t(k * n) * 4), room_c(size_t(m * n) * 4);
    a = widened(type, a, m, k, room_a.as<float>());
    b = widened(type, b, k, n, room_b.as<float>());
    float* out = room_c.as<float>();
    if (beta != 0) convert_lines(type, DType::f32, {c, ldc, 1}, m, n, out, n);
    gemm_f32(block_of<GemmBlock, float>(m, n, k, alpha, a, b, beta, out, n));
    convert_lines(DType::f32, type, {out, n, 1}, m, n, c, ldc);
}

// Few rows of a half type, or a vector, times lines that lie along k: dot products. False for others.
bool half_dots(DType type, int64_t m, int64_t n, int64_t k, float alpha, Matrix a, Matrix b, float beta, void* c,
               int64_t ldc, const void* bias) {
    constexpr int64_t kShort = 32, kFewRows = 4;
    const bool column = n == 1;
    if (k < kShort || a.col != 1 || b.row != 1) return false;
    if (!column && m > (type == DType::f16 ? kFewRows : 1)) return false;
    const NormLoops& loops = *norm_loops(type);
    visit_dtype(type, [&]<class T>(T) {
        if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
            const auto one = [&](int64_t i, int64_t j) {
                float v = alpha * float(loops.dot(static_cast<const T*>(a.data) + i * a.row,
                                                  static_cast<const T*>(b.data) + j * b.col, k));
                T& to = static_cast<T*>(c)[i * ldc + j];
                if (beta != 0) v += beta * float(to);
                if (bias) v += float(static_cast<const T*>(bias)[j]);
                to = T(v);
            };
            const int64_t grain = std::max<int64_t>(1, int64_t(kGrain) / k);
            parallel_for(column ? m : n, grain, [&](int64_t begin, int64_t end) {
                for (int64_t x = begin; x < end; ++x) {
                    if (column) one(x, 0);
                    else
                        for (int64_t i = 0; i < m; ++i) one(i, x);
                }
            });
        }
    });
    return true;
}

}  // namespace

bool linear_packed(int64_t m, const void* x, const Tensor& w, const void* bias, void* c) {
    constexpr int64_t kFewestRows = 8, kFewestWeights = 4096;
    const int64_t n = w.size(0), k = w.size(1);
    if (m < kFewestRows || n * k < kFewestWeights || is_large(m, n, k)) return false;
    if (w.dtype() == DType::bf16) {
        if (k % 2 || !has_pairs()) return false;
        const Packed packed = packed_panels(w);
        PairsBlock g{m,
                     n,
                     k,
                     1,
                     0,
                     static_cast<const BF16*>(x),
                     k,
                     1,
                     nullptr,
                     0,
                     0,
                     static_cast<BF16*>(c),
                     n,
                     static_cast<const BF16*>(bias),
                     packed->as<const float>()};
        pairs_divided(1, g, {});
        return true;
    }
    const Packed packed = packed_panels(w);
    GemmBlock g{m, n, k,
                1, 0, static_cast<const float*>(x),
                k, 1, packed->as<const float>(),
                1, k, static_cast<float*>(c),
                n, 1, static_cast<const float*>(bias)};
    g.b_panel = gemm_kernel().columns * k;
    gemm_divided(g);
    return true;
}

void linear_rows(int64_t m, const float* x, int64_t ldx, const LinearRows& w, bool add, float* c, int64_t ldc) {
    GemmBlock g{m, w.out, w.in, 1, add ? 1.f : 0.f, x, ldx, 1, w.panels, 1, w.in, c, ldc, 1, w.bias};
    g.b_panel = gemm_kernel().columns * w.in;
    run_block(g);
}

int64_t panel_floats(int64_t in, int64_t out) {
    const int64_t columns = gemm_kernel().columns;
    return (out + columns - 1) / columns * columns * in;
}
void pack_rows(const float* w, int64_t ldw, int64_t in, int64_t out, float* panels) {
    const GemmKernel& kernel = gemm_kernel();
    const GemmBlock g{0, out, in, 1, 0, nullptr, 0, 1, w, 1, ldw, nullptr, 0, 1};
    kernel.pack(g, panels, 0, (out + kernel.columns - 1) / kernel.columns);
}

void gemm(DType type, int64_t m, int64_t n, int64_t k, Scalar alpha, Matrix a, Matrix b, Scalar beta, void* c,
          int64_t ldc, const void* bias) {
    if (m == 0 || n == 0) return;
    if (n == 1) ldc = std::max<int64_t>(ldc, 1);
    if (bias) beta = 0;
    if (type == DType::f32 && k > 0) {
        auto g = block_of<GemmBlock, float>(m, n, k, alpha, a, b, beta, c, ldc);
        g.bias = static_cast<const float*>(bias);
        return gemm_f32(g);
    }
    if (is_low_precision(type) && half_dots(type, m, n, k, alpha.to<float>(), a, b, beta.to<float>(), c, ldc, bias))
        return;
    if (type == DType::bf16 && gemm_bf16(1, m, n, k, alpha, a, b, beta, c, ldc, bias, {m * k, k * n, m * ldc})) return;
    if (bias) {
        start_rows(c, ldc, m, n, bias, itemsize(type));
        beta = 1;
    }
    if (double(m) * double(n) * double(k) > kFewProducts && gemm_lanes(type, 1, m, n, k, alpha, a, b, beta, c, ldc, {}))
        return;
    visit_dtype(type, [&]<class T>(T) {
        T* out = static_cast<T*>(c);
        if constexpr (std::is_same_v<T, bool>) {
            fail(ErrorKind::NotImplemented, "\"addmm_impl_cpu_\" not implemented for 'Bool'");
        } else {
            if (k == 0) return scale_rows<T>(out, ldc, m, n, beta.to<T>());
            if constexpr (std::is_same_v<T, C64> || std::is_same_v<T, C128>) {
                if (double(m) * double(n) * double(k) > kFewComplex)
                    return gemm_complex(m, n, k, alpha.to<T>(), a, b, beta.to<T>(), out, ldc);
            }
            if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>)
                gemm_half<T>(type, m, n, k, alpha.to<float>(), a, b, beta.to<float>(), out, ldc);
            else gemm_loops<T>(m, n, k, alpha.to<T>(), a, b, beta.to<T>(), out, ldc);
        }
    });
}

void dot(DType type, int64_t n, const void* a, int64_t step_a, const void* b, int64_t step_b, void* result) {
    visit_dtype(type, [&]<class T>(T) {
        const T *x = static_cast<const T*>(a), *y = static_cast<const T*>(b);
        if (const NormLoops* k = step_a == 1 && step_b == 1 ? norm_loops(type) : nullptr) {
            if constexpr (requires {
                              T(float());
                              float(T());
                          }) {
                // Each thread a part; the parts join in their order.
                constexpr int64_t kGrain = 65536;
                const int64_t parts = std::clamp<int64_t>(n / kGrain, 1, num_threads());
                if (parts == 1) {
                    *static_cast<T*>(result) = T(k->dot(a, b, n));
                    return;
                }
                const int64_t each = (n + parts - 1) / parts / 64 * 64 + 64;
                std::vector<double> sums(size_t(parts), 0.0);
                parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
                    for (int64_t p = begin; p < end; ++p)
                        if (const int64_t from = p * each; from < n)
                            sums[size_t(p)] = k->dot(x + from, y + from, std::min(each, n - from));
                });
                double sum = 0;
                for (double s : sums) sum += s;
                *static_cast<T*>(result) = T(sum);
            }
            return;
        }
        if constexpr (std::is_same_v<T, bool>) {
            fail(ErrorKind::NotImplemented, "\"dot\" not implemented for 'Bool'");
        } else {
            using A = std::conditional_t<std::is_same_v<T, F16> || std::is_same_v<T, BF16>, float, T>;
            A sum = A(0);
            for (int64_t i = 0; i < n; ++i) sum += A(x[i * step_a]) * A(y[i * step_b]);
            *static_cast<T*>(result) = T(sum);
        }
    });
}

void batched_gemm(DType type, int64_t batch, int64_t m, int64_t n, int64_t k, Scalar alpha, Matrix a, Matrix b,
                  Scalar beta, void* c, int64_t ldc, BatchStrides step) {
    if (batch == 0 || m == 0 || n == 0) return;
    if (type == DType::bf16 && gemm_bf16(batch, m, n, k, alpha, a, b, beta, c, ldc, nullptr, step)) return;
    const double flops = double(m) * double(n) * double(k);
    if (type == DType::f32 && k > 0 && batch >= num_threads() && flops < 4e6) {
        auto g = block_of<GemmBlock, float>(m, n, k, alpha, a, b, beta, c, ldc);
        GemmBatch all{batch, step.a, step.b, step.c};
        if (turn(g)) std::swap(all.a, all.b);
        return parallel_for(batch, std::max<int64_t>(1, int64_t(kGrain / std::max(1.0, flops))),
                            [&](int64_t begin, int64_t end) {
                                GemmBlock part = g;
                                part.a += begin * all.a;
                                part.b += begin * all.b;
                                part.c += begin * all.c;
                                run_block(part, {end - begin, all.a, all.b, all.c});
                            });
    }
    const bool few = batch > 1 && flops <= kFewIntegers && is_integral(type, false);
    if (k > 0 && (type == DType::f64 || flops > kFewProducts || few) &&
        gemm_lanes(type, batch, m, n, k, alpha, a, b, beta, c, ldc, step))
        return;
    const int64_t size = int64_t(itemsize(type));
    const auto run = [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i)
            gemm(type, m, n, k, alpha, {static_cast<const char*>(a.data) + i * step.a * size, a.row, a.col},
                 {static_cast<const char*>(b.data) + i * step.b * size, b.row, b.col}, beta,
                 static_cast<char*>(c) + i * step.c * size, ldc);
    };
    // Few large products are divided inside, many small ones among the threads.
    const bool outside = batch >= num_threads() && flops < 4e6;
    if (outside) parallel_for(batch, std::max<int64_t>(1, int64_t(2e4 / std::max(1.0, flops))), run);
    else run(0, batch);
}

}  // namespace fb::cpu
