// Running folds along a dimension: cumsum, cumprod, cummax, cummin, logcumsumexp.
#include <cmath>
#include <numeric>
#include "autograd/back.h"
#include "ops/formula.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

using formula::conj;

// How values are scanned: as Values, in an Acc. Halves and integers of few bits (`narrow`) are widened before and
// rounded, or cut off, after: what wraps in few bits is the rest of what wraps in many.
template <class Value_, class Acc_, bool kNarrow_ = false>
struct Scanned {
    using Value = Value_;
    using Acc = Acc_;
    static constexpr bool kNarrow = kNarrow_;
    int64_t item = sizeof(Value);  // bytes of a value in memory
    Loop widen = nullptr, narrow = nullptr;
};
template <class Value>
Scanned<Value, Value, true> narrow_as(DType t) {
    constexpr DType wide = dtype_of<Value>::value;
    return {int64_t(itemsize(t)), convert_loop(t, wide), convert_loop(wide, t)};
}

// Values [begin, end) of a line; `acc` is what the values before give.
template <bool kGrouped, class T, class A, class ToStep, class FromStep, class Step>
A scan_line(char* to, const char* from, int64_t begin, int64_t end, A acc, ToStep so, FromStep sa, Step&& step) {
    const auto at = [&](int64_t k) { return A(*reinterpret_cast<const T*>(from + k * sa)); };
    const auto put = [&](int64_t k, A v) { *reinterpret_cast<T*>(to + k * so) = T(v); };
    int64_t i = begin;
    if (i == 0 && i < end) put(0, acc = at(0)), ++i;
    // Four values are joined on their own, so that only every fourth step waits for the one before. Only in a type
    // wider than the values: there nothing overflows on the way that would not in the end.
    if constexpr (kGrouped && (std::is_integral_v<T> || sizeof(A) > sizeof(T) || std::is_same_v<T, float>)) {
        for (; i + 4 <= end; i += 4) {
            const A one = at(i), two = step(one, at(i + 1)), c = at(i + 2), last = step(c, at(i + 3));
            put(i, step(acc, one));
            put(i + 1, step(acc, two));
            put(i + 2, step(acc, step(two, c)));
            put(i + 3, acc = step(acc, step(two, last)));
        }
    }
    for (; i < end; ++i) put(i, acc = step(acc, at(i)));
    return acc;
}
// Blocks of narrow values, widened, scanned in place and narrowed.
template <bool kGrouped, class S, class Step>
typename S::Acc scan_narrow(const S& s, char* to, const char* from, int64_t begin, int64_t end, typename S::Acc acc,
                            int64_t so, int64_t sa, Step&& step) {
    using Value = typename S::Value;
    constexpr int64_t kBlock = 512;
    constexpr std::integral_constant<int64_t, sizeof(Value)> item;
    Value room[kBlock + 1];  // one in front: the line's first value starts the block at place 0 only there
    for (; begin < end; begin += kBlock) {
        const int64_t n = std::min(kBlock, end - begin), skip = begin == 0 ? 0 : 1;
        char* const block = reinterpret_cast<char*>(room);
        char* const in[] = {block + skip * item, const_cast<char*>(from) + begin * sa};
        const int64_t in_steps[] = {item, sa}, out_steps[] = {so, item};
        s.widen(in, in_steps, n, nullptr);
        acc = scan_line<kGrouped, Value>(block, block, skip, skip + n, acc, item, item, step);
        char* const out[] = {to + begin * so, in[0]};
        s.narrow(out, out_steps, n, nullptr);
    }
    return acc;
}
// Neighbouring lines side by side, row by row; a row is so many bytes after the one before.
constexpr int64_t kColumns = 256;
template <class S, class Step>
void scan_columns(const S& s, char* to, const char* from, int64_t n, int64_t row, int64_t width, Step&& step) {
    using A = typename S::Acc;
    using Value = typename S::Value;
    constexpr int64_t kAcc = sizeof(A);
    A acc[kColumns];
    Value room[S::kNarrow ? kColumns : 1];
    for (int64_t i = 0; i < n; ++i, to += row, from += row) {
        const auto add = [&](const Value* values) {
            if (i == 0) {
                for (int64_t j = 0; j < width; ++j) acc[j] = A(values[j]);
                return;
            }
#pragma omp simd
            for (int64_t j = 0; j < width; ++j) acc[j] = step(acc[j], A(values[j]));
        };
        if constexpr (S::kNarrow) {
            char *const in[] = {reinterpret_cast<char*>(room), const_cast<char*>(from)}, *const out[] = {
                                                                                             to,
                                                                                             reinterpret_cast<char*>(
                                                                                                 acc)};
            const int64_t in_steps[] = {kAcc, s.item}, out_steps[] = {s.item, kAcc};
            s.widen(in, in_steps, width, nullptr);
            add(room);
            s.narrow(out, out_steps, width, nullptr);
        } else {
            add(reinterpret_cast<const Value*>(from));
            Value* const q = reinterpret_cast<Value*>(to);
#pragma omp simd
            for (int64_t j = 0; j < width; ++j) q[j] = Value(acc[j]);
        }
    }
}
// Short lines one behind the other: several are on the way at once, so that their steps are taken as they come. Narrow
// values of many of them are widened and narrowed at once.
constexpr int64_t kShort = 64;
template <class S, class Step>
void scan_short(const S& s, char* to, const char* from, int64_t lines, int64_t n, Step&& step) {
    using Value = typename S::Value;
    constexpr std::integral_constant<int64_t, sizeof(Value)> item;
    constexpr int64_t kRoom = 1024;
    const auto each = [n, step](char* to, const char* from, int64_t count) {
        const Value* p = reinterpret_cast<const Value*>(from);
        Value* q = reinterpret_cast<Value*>(to);
        for (int64_t i = 0; i < count; ++i, q += n, p += n) {
            typename S::Acc acc(p[0]);
            q[0] = p[0];
            for (int64_t j = 1; j < n; ++j) q[j] = Value(acc = step(acc, typename S::Acc(p[j])));
        }
    };
    parallel_for(lines, 16384 / n, [&](int64_t begin, int64_t end) {
        char* q = to + begin * n * s.item;
        const char* p = from + begin * n * s.item;
        if constexpr (S::kNarrow) {
            Value room[kRoom];
            char* const block = reinterpret_cast<char*>(room);
            const int64_t in_steps[] = {item, s.item}, out_steps[] = {s.item, item};
            for (int64_t count; begin < end; begin += count, q += count * n * s.item, p += count * n * s.item) {
                count = std::min(kRoom / n, end - begin);
                char *const in[] = {block, const_cast<char*>(p)}, *const out[] = {q, block};
                s.widen(in, in_steps, count * n, nullptr);
                each(block, block, count);
                s.narrow(out, out_steps, count * n, nullptr);
            }
        } else {
            each(q, p, end - begin);
        }
    });
}
// In several parts side by side.
template <class A, class T>
A sum_of(const T* p, int64_t n) {
    constexpr int kTogether = 8;
    A part[kTogether] = {};
    int64_t i = 0;
    for (; i + kTogether <= n; i += kTogether)
        for (int k = 0; k < kTogether; ++k) part[k] += A(p[i + k]);
    for (; i < n; ++i) part[0] += A(p[i]);
    return std::accumulate(part, part + kTogether, A{});
}

template <bool kIntegers, class F>
void visit_scanned(const char* name, DType t, F&& f) {
    switch (t) {
        case DType::f32: return f(Scanned<float, double>{});
        case DType::f64: return f(Scanned<double, double>{});
        case DType::f16:
        case DType::bf16: return f(narrow_as<float>(t));
        case DType::c64: return f(Scanned<C64, C64>{});
        case DType::c128: return f(Scanned<C128, C128>{});
        default:
            if constexpr (kIntegers) switch (is_integral(t, false) ? itemsize(t) : 0) {
                    case 1:
                    case 2: return f(narrow_as<uint32_t>(t));
                    case 4: return f(Scanned<uint32_t, uint32_t>{});
                    case 8: return f(Scanned<uint64_t, uint64_t>{});
                    default: break;
                }
            no_kernel(name, t);
    }
}
// kGrouped: steps may be taken in any grouping; kSums: they are sums.
template <bool kGrouped, bool kSums, class Step>
Tensor scan(const char* name, const Tensor& x0, int64_t dim, DType dtype, const Out& out, Step&& step) {
    dim = wrap_dim(dim, x0.dim());
    const DType want = dtype != DType::none            ? dtype
                       : out.given()                   ? (*out.given()).dtype()
                       : is_integral(x0.dtype(), true) ? DType::i64
                                                       : x0.dtype();
    const Tensor x = x0.dtype() == want ? x0 : convert(x0, want);
    Tensor r = out.result(x.sizes(), want, x.device());
    if (r.is_meta() || !r.numel()) return r;
    const Tensor a = at_least_1d(x), o = at_least_1d(r);
    const int64_t n = a.sizes()[size_t(dim)];
    const Dims ba = byte_strides(a), bo = byte_strides(o);
    const int64_t sa = ba[size_t(dim)], so = bo[size_t(dim)];
    visit_scanned<kGrouped>(name, want, [&]<class S>(const S& s) {
        using T = typename S::Value;
        using A = typename S::Acc;
        // Sums of integers are as fast one after another.
        constexpr bool kGroups = kGrouped && !(kSums && std::is_integral_v<T> && !S::kNarrow);
        const auto line = [&](char* to, const char* from, int64_t begin, int64_t end, A acc) {
            if constexpr (S::kNarrow) {
                return scan_narrow<kGroups>(s, to, from, begin, end, acc, so, sa, step);
            } else {
                if (so != s.item || sa != so) return scan_line<kGroups, T>(to, from, begin, end, acc, so, sa, step);
                constexpr std::integral_constant<int64_t, sizeof(T)> item;
                return scan_line<kGroups, T>(to, from, begin, end, acc, item, item, step);
            }
        };
        // One long line: the other threads add up what lies before their parts first.
        if constexpr (kSums && !S::kNarrow && (std::is_integral_v<T> || std::is_same_v<T, float>)) {
            if (a.numel() == n && n >= (std::is_integral_v<T> ? 1 << 18 : 1 << 16) && sa == int64_t(sizeof(T)) &&
                num_threads() > 1) {
                const int64_t threads = num_threads(), each = (n + threads - 1) / threads;
                const T* const values = reinterpret_cast<const T*>(bytes(a));
                std::vector<A> total(size_t(threads), A{});
                parallel_for(threads, 1, [&](int64_t b, int64_t e) {
                    for (; b + 1 < threads && b < e; ++b)
                        total[size_t(b)] = sum_of<A>(values + b * each, std::min(each, n - b * each));
                });
                parallel_for(threads, 1, [&](int64_t b, int64_t e) {
                    for (; b < e; ++b)
                        line(bytes(o), bytes(a), b * each, std::min(n, (b + 1) * each),
                             std::accumulate(total.begin(), total.begin() + b, A{}));
                });
                return;
            }
        }
        int64_t inner = 1;  // not by strides: that of a dimension of one element may be anything
        for (size_t d = size_t(dim) + 1; d < a.sizes().size(); ++d) inner *= a.sizes()[d];
        if (a->contiguous && o->contiguous && inner >= 16) {
            const int64_t row = inner * s.item, blocks = (inner + kColumns - 1) / kColumns;
            const int64_t width = (inner + blocks - 1) / blocks;
            parallel_for(
                a.numel() / (n * inner) * blocks, std::max<int64_t>(1, 16384 / (n * width)), [&](int64_t b, int64_t e) {
                    for (; b < e; ++b) {
                        const int64_t column = b % blocks * width, at = b / blocks * n * row + column * s.item;
                        scan_columns(s, bytes(o) + at, bytes(a) + at, n, row, std::min(width, inner - column), step);
                    }
                });
            return;
        }
        if (a->contiguous && o->contiguous && inner == 1 && n <= kShort)
            return scan_short(s, bytes(o), bytes(a), a.numel() / n, n, step);
        each_line<2>(a.sizes(), dim, {bytes(o), bytes(a)}, {bo, ba},
                     [&](const auto& p) { line(p[0], p[1], 0, n, A{}); });
    });
    return r;
}
Tensor cumsum(const Tensor& x, int64_t dim, DType dtype, Out out) {
    return scan<true, true>("cumsum_out_cpu", x, dim, dtype, out, [](auto a, auto b) { return decltype(a)(a + b); });
}
Tensor cumprod(const Tensor& x, int64_t dim, DType dtype, Out out) {
    return scan<true, false>("cumprod_out_cpu", x, dim, dtype, out, [](auto a, auto b) { return decltype(a)(a * b); });
}
Tensor logcumsumexp(const Tensor& x, int64_t dim, Out out) {
    if (is_integral(x.dtype(), true)) no_kernel("logcumsumexp_out_cpu", x.dtype());
    const Loop complex_step = is_complex(x.dtype()) ? binary_loop(Binary::logaddexp, x.dtype()) : nullptr;
    return scan<false, false>("logcumsumexp_out_cpu", x, dim, DType::none, out, [complex_step](auto a, auto b) {
        using A = decltype(a);
        if constexpr (std::is_same_v<A, C64> || std::is_same_v<A, C128>) {
            if (a != a || b != b) return A(NAN, NAN);
            char* p[] = {reinterpret_cast<char*>(&a), reinterpret_cast<char*>(&b), reinterpret_cast<char*>(&a)};
            const int64_t strides[] = {0, 0, 0};
            complex_step(p, strides, 1, nullptr);
            return a;
        } else if constexpr (std::is_floating_point_v<A>) {
            const A hi = std::max(a, b), lo = std::min(a, b);
            if (a != a || b != b) return A(a + b);
            return lo == hi && std::isinf(lo) ? hi : A(hi + std::log1p(std::exp(lo - hi)));
        } else {
            return a;
        }
    });
}

Tensor reversed_cumsum(const Tensor& g, int64_t dim) {
    if (g.dim() == 0) return g;
    return op<"flip">(op<"cumsum">(op<"flip">(g, Dims{dim}), dim), Dims{dim});
}
// d/dx_k of the running products: where nothing is zero the quotient rule; otherwise exactly, one position after
// another.
Tensor cumprod_backward(Back& b) {
    const Tensor x = b.arg(0), y = b.result();
    const int64_t dim = b.integer(1);
    if (x.dim() == 0) return b.g;
    const Tensor w = op<"mul">(conj(y), b.g);
    if (x.is_meta() || op<"any">(op<"eq">(x, Scalar(0))).item().is_zero())
        return op<"div">(reversed_cumsum(w, dim), conj(x));
    const int64_t n = x.size(dim);
    std::vector<Tensor> parts;
    for (int64_t k = 0; k < n; ++k) {
        // The products from k on without the factor x_k.
        const Tensor before =
            k ? op<"prod.dim_int">(op<"narrow">(x, dim, 0, k), dim, true) : op<"ones_like">(op<"narrow">(x, dim, 0, 1));
        const Tensor rest =
            k + 1 < n ? op<"cat">(std::vector<Tensor>{op<"ones_like">(op<"narrow">(x, dim, 0, 1)),
                                                      op<"cumprod">(op<"narrow">(x, dim, k + 1, n - k - 1), dim)},
                                  dim)
                      : op<"ones_like">(op<"narrow">(x, dim, 0, 1));
        const Tensor others = conj(op<"mul">(before, rest));
        parts.push_back(op<"sum.dim_IntList">(op<"mul">(op<"narrow">(b.g, dim, k, n - k), others), Dims{dim}, true));
    }
    return op<"cat">(parts, dim);
}

template <bool Largest>
std::tuple<Tensor, Tensor> cum_extreme(const Tensor& x, int64_t dim, Out out) {
    dim = wrap_dim(dim, x.dim());
    Tensor values = out.result(x.sizes(), x.dtype(), x.device()),
           indices = out.at(1).result(x.sizes(), DType::i64, x.device());
    if (x.is_meta() || !x.numel()) return {values, indices};
    // The same comparisons of numbers that need not be widened one by one, and for fewer types.
    const DType t = x.dtype(), own = is_low_precision(t)                                            ? DType::f32
                                     : t == DType::b1 || (is_integral(t, false) && itemsize(t) < 4) ? DType::i32
                                     : t == DType::u32                                              ? DType::i64
                                                                                                    : t;
    const Tensor from = own == t ? x : convert(x, own), to = own == t ? values : empty(x.sizes(), own);
    const Tensor a = at_least_1d(from), v = at_least_1d(to), k = at_least_1d(indices);
    const int64_t n = a.sizes()[size_t(dim)];
    const Dims ba = byte_strides(a), bv = byte_strides(v), bk = byte_strides(k);
    const int64_t sa = ba[size_t(dim)], sv = bv[size_t(dim)], sk = bk[size_t(dim)];
    const auto each = [&](auto z) {
        using T = decltype(z);
        each_line<3>(a.sizes(), dim, {bytes(v), bytes(a), bytes(k)}, {bv, ba, bk}, [&](const auto& p) {
            auto nan = [](const T& v) {
                if constexpr (std::is_integral_v<T>) return false;
                else return v != v;
            };
            T best = *reinterpret_cast<const T*>(p[1]);
            int64_t at = 0, i = 0;
            const auto one_by_one = [&](int64_t end, auto step, auto best_step, auto at_step) {
                const char* from = p[1] + i * step;
                char *to = p[0] + i * best_step, *place = p[2] + i * at_step;
                T top = best;  // in registers
                int64_t where = at;
                for (int64_t k = i; k < end; ++k, from += step, to += best_step, place += at_step) {
                    const T c = *reinterpret_cast<const T*>(from);
                    if (nan(c)) {
                        top = c;
                        where = k;
                    } else if (!nan(top)) {  // no branch on who wins, which nobody could guess
                        const int64_t found = k & -int64_t(Largest ? c >= top : c <= top);
                        where = found > where ? found : where;  // k only grows
                        top = (Largest ? top > c : top < c) ? top : c;
                    }
                    *reinterpret_cast<T*>(to) = top;
                    *reinterpret_cast<int64_t*>(place) = where;
                }
                best = top, at = where, i = end;
            };
            constexpr std::integral_constant<int64_t, sizeof(T)> item;
            constexpr std::integral_constant<int64_t, sizeof(int64_t)> index_item;
            if (sa != item || sv != item || sk != index_item || n <= kShort) return one_by_one(n, sa, sv, sk);
            // New extremes are rare: blocks without one are filled with what is known. Where they are not, fewer blocks
            // are asked.
            constexpr int64_t kBlock = 16;
            int64_t unasked = kBlock;
            while (i < n) {
                const T* const x = reinterpret_cast<const T*>(p[1]) + i;
                int beaten = 0;
                if (i + kBlock <= n)
                    for (int64_t j = 0; j < kBlock; ++j) beaten |= !(Largest ? x[j] < best : x[j] > best);
                if (beaten || i + kBlock > n) {
                    one_by_one(std::min(n, i + unasked), item, item, index_item);
                    unasked = std::min<int64_t>(2 * unasked, 1024);
                    continue;
                }
                unasked = kBlock;
                std::fill_n(reinterpret_cast<T*>(p[0]) + i, kBlock, best);
                std::fill_n(reinterpret_cast<int64_t*>(p[2]) + i, kBlock, at);
                i += kBlock;
            }
        });
    };
    switch (own) {
        case DType::i32: each(int32_t{}); break;
        case DType::i64: each(int64_t{}); break;
        case DType::u64: each(uint64_t{}); break;
        case DType::f32: each(float{}); break;
        case DType::f64: each(double{}); break;
        default:
            fail(ErrorKind::NotImplemented, "\"", Largest ? "cummax_cpu" : "cummin_cpu", "\" not implemented for '", t,
                 "'");
    }
    if (own != t) copy_data(values, to);
    return {values, indices};
}
Tensor extreme_backward(Back& b) {
    const Tensor none = op<"zeros">(b.sizes(0), b.g.dtype(), nullptr, b.g.device());
    return b.sizes(0).empty() ? b.g : op<"scatter_add">(none, b.integer(1), b.result(1), b.g);
}

// The derivative of y = logcumsumexp(x) is the matrix exp(x_i - y_j), i <= j. Its product with a vector, and with its
// transpose, is one pass over the line: no exponent is ever positive and nothing is kept but the last sum.
Tensor logcumsumexp_product(const Tensor& v0, const Tensor& x0, const Tensor& y0, int64_t dim, bool transposed) {
    dim = wrap_dim(dim, x0.dim());
    check(same(y0.sizes(), x0.sizes()) && y0.dtype() == x0.dtype(), "logcumsumexp: its result is like its input, but ",
          y0.sizes(), " is not like ", x0.sizes());
    Tensor r = empty(x0.sizes(), x0.dtype(), x0.device());
    if (r.is_meta() || !r.numel()) return r;
    const Tensor v = at_least_1d(op<"expand">(v0.to(x0.dtype()), x0.sizes())), x = at_least_1d(x0), y = at_least_1d(y0),
                 o = at_least_1d(r);
    const std::array<Dims, 4> strides{byte_strides(o), byte_strides(v), byte_strides(x), byte_strides(y)};
    const int64_t n = x.sizes()[size_t(dim)];
    visit_dtype(x.dtype(), [&](auto z) {
        using T = decltype(z);
        if constexpr (std::is_integral_v<T> || std::is_same_v<T, bool>) {
            fail(ErrorKind::Runtime, "logcumsumexp does not support integer inputs");
        } else {
            using A = std::conditional_t<std::is_same_v<T, F16> || std::is_same_v<T, BF16>, float,
                                         std::conditional_t<std::is_same_v<T, float>, double, T>>;
            auto weight = [](A from, A to) {  // of what is added to a sum that may be empty: log 0
                constexpr double none = -std::numeric_limits<double>::infinity();
                if constexpr (std::is_floating_point_v<A>) {
                    return to == A(none) ? A(0) : A(std::exp(from - to));
                } else if constexpr (requires { to.re; }) {
                    const A d = from - to;
                    const auto size = std::exp(d.re);
                    return double(to.re) == none ? A(0) : A(size * std::cos(d.im), size * std::sin(d.im));
                } else {
                    return A(0);
                }
            };
            each_line<4>(x.sizes(), dim, {bytes(o), bytes(v), bytes(x), bytes(y)}, strides, [&](const auto& p) {
                auto at = [&](size_t k, int64_t i) -> T& {
                    return *reinterpret_cast<T*>(p[k] + i * strides[k][size_t(dim)]);
                };
                A sum{};
                for (int64_t k = 0; k < n; ++k) {
                    const int64_t i = transposed ? n - 1 - k : k;
                    const A yi = A(at(3, i)), vi = A(at(1, i)), w = weight(A(at(2, i)), yi);
                    if (transposed) {
                        if (k) sum = sum * weight(yi, A(at(3, i + 1)));
                        sum = sum + vi;
                        at(0, i) = T(sum * w);
                    } else {
                        if (k) sum = sum * weight(A(at(3, i - 1)), yi);
                        sum = sum + vi * w;
                        at(0, i) = T(sum);
                    }
                }
            });
        }
    });
    return r;
}
Tensor lse_product(const Tensor& v, const Tensor& x, const Tensor& y, int64_t dim, bool transposed) {
    return op<"_logcumsumexp_product">(v, x, y, dim, transposed);
}
void logcumsumexp_product_backward(Back& b) {
    const Tensor v = b.arg(0), x = conj(b.arg(1)), y = conj(b.arg(2)), g = b.g;
    const int64_t dim = b.integer(3);
    const bool transposed = b.flag(4);
    const Tensor other = lse_product(g, x, y, dim, !transposed), same = lse_product(conj(v), x, y, dim, transposed);
    if (b.needs(0)) b.set(0, other);
    const Tensor by_result = op<"mul">(g, same), by_vector = op<"mul">(conj(v), other);
    if (b.needs(1)) b.set(1, transposed ? by_result : by_vector);
    if (b.needs(2)) b.set(2, op<"neg">(transposed ? by_vector : by_result));
}

const Family scans([](Registry& r) {
    r.add("cumsum(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", "fmio")
        .kernel<cumsum>()
        .grad("self", "", [](Back& b) { return reversed_cumsum(b.g, b.integer(1)); });
    r.add("cumprod(Tensor self, int dim, *, ScalarType? dtype=None) -> Tensor", "fmio")
        .kernel<cumprod>()
        .grad("self", "self, result", cumprod_backward);
    r.add("logcumsumexp(Tensor self, int dim) -> Tensor", "fmo")
        .kernel<logcumsumexp>()
        .grad("self", "self, result",
              [](Back& b) { return lse_product(b.g, conj(b.arg(0)), conj(b.result()), b.integer(1), true); });
    r.add("_logcumsumexp_product(Tensor self, Tensor x, Tensor y, int dim, bool transposed) -> Tensor", "")
        .kernel<logcumsumexp_product>()
        .grads("self, x, y", "self, x, y", logcumsumexp_product_backward);
    r.add("cummax(Tensor self, int dim) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<cum_extreme<true>>()
        .grad("self", "result1", extreme_backward);
    r.add("cummin(Tensor self, int dim) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<cum_extreme<false>>()
        .grad("self", "result1", extreme_backward);
});

}  // namespace
}  // namespace fb
