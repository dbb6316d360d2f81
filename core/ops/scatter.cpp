// Reading and writing single elements by an index along one dimension (gather, scatter) or a flat one (take, put).
#include <cstring>
#include <limits>
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/fold.h"
#include "cpu/lines.h"
#include "cpu/room.h"
#include "ops/formula.h"
#include "ops/scatter.h"

namespace fb {
using namespace cpu;

namespace scattered {

Tensor as_index(const Tensor& t, const char* name) {
    if (!t.numel()) return t.dtype() == DType::i64 ? t : empty(t.sizes(), DType::i64);
    if (t.dtype() != DType::i64 && t.dtype() != DType::i32)
        fail(ErrorKind::Runtime, name, "(): Expected dtype int32",
             std::string_view(name) == "index_select" ? " or " : "/", "int64 for index");
    return t.dtype() == DType::i64 ? t : convert(t, DType::i64);
}
Into reduction(std::string_view s) {
    if (s == "sum") return Into::add;
    if (s == "prod") return Into::multiply;
    if (s == "mean") return Into::mean;
    if (s == "amax" || s == "max") return Into::maximum;
    if (s == "amin" || s == "min") return Into::minimum;
    fail(ErrorKind::Runtime, "reduce argument must be either sum, prod, mean, amax or amin, got ", s);
}
// Without `include_self` places that receive anything start from the reduction's neutral element.
Scalar neutral(DType t, Into how) {
    if (how == Into::multiply) return Scalar(1);
    if (how != Into::maximum && how != Into::minimum) return Scalar(0);
    const bool low = how == Into::maximum;
    Scalar v(0);
    visit_dtype(t, [&](auto z) {
        using T = decltype(z);
        if constexpr (std::is_same_v<T, bool>) v = Scalar(!low);
        else if constexpr (std::is_integral_v<T>)
            v = Scalar(int64_t(low ? std::numeric_limits<T>::min() : std::numeric_limits<T>::max()));
        else v = Scalar(low ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity());
    });
    return v;
}
// Sums become means; a place that received nothing keeps what it has.
void divide_by_counts(const Tensor& r, const Tensor& counts) {
    const Tensor n = op<"masked_fill">(counts, op<"eq">(counts, 0), 1);
    copy_data(r, is_integral(r.dtype(), true) ? op<"div.Tensor_mode">(r, n, "floor") : op<"div">(r, n));
}
// Of scatter_reduce, or of index_reduce, whose index is spread over the slices.
void reduce_backward(Back& b, const Tensor& index) {
    const Tensor self = b.arg(0), src = b.arg(3), result = b.result();
    const int64_t dim = b.integer(1);
    const std::string_view how = b.attr(4).string();
    const bool include_self = b.flag(5);
    const Tensor& g = b.g;
    auto gathered = [&](const Tensor& t) { return op<"gather">(t, dim, index); };
    auto never_zero = [](const Tensor& n) { return op<"masked_fill">(n, op<"eq">(n, 0), 1); };
    Tensor gs, gx;
    if (how == "sum") {
        gs = g;
        gx = gathered(g);
    } else if (how == "mean") {
        const Tensor start = include_self ? op<"ones_like">(g) : op<"zeros_like">(g);
        gs = op<"div">(g, never_zero(op<"scatter_add">(start, dim, index, op<"ones_like">(src))));
        gx = gathered(gs);
    } else if (how == "prod") {
        // The product of all others; a group with a single zero needs care.
        const Tensor zero = op<"eq">(src, 0), masked_self = op<"masked_fill">(self, op<"eq">(self, 0), 1);
        gs = op<"div">(op<"mul">(g, op<"scatter_reduce">(masked_self, dim, index, src, "prod", include_self)),
                       masked_self);
        const Tensor zeros_in_group = op<"scatter_add">(op<"zeros_like">(self), dim, index, zero.to(self.dtype()));
        const Tensor lone = op<"logical_and">(zero, op<"eq">(gathered(zeros_in_group), 1));
        const Tensor others =
            gathered(op<"scatter_reduce">(self, dim, index, op<"masked_fill">(src, lone, 1), "prod", include_self));
        gx = op<"where">(lone, op<"mul">(gathered(g), others),
                         op<"div">(gathered(op<"mul">(g, result)), op<"masked_fill">(src, zero, 1)));
    } else {  // extremes: shared evenly
        const Tensor self_is = op<"eq">(self, result), src_is = op<"eq">(src, gathered(result));
        const Tensor start = include_self ? self_is.to(g.dtype()) : op<"zeros_like">(g);
        const Tensor part = op<"div">(g, never_zero(op<"scatter_add">(start, dim, index, src_is.to(g.dtype()))));
        gs = op<"mul">(self_is, part);
        gx = op<"mul">(src_is, gathered(part));
    }
    if (!include_self) gs = op<"scatter">(gs, dim, index, op<"zeros_like">(src));
    b.set(0, gs);
    b.set(3, gx);
}

}  // namespace scattered

namespace {
using namespace scattered;
using formula::zeros;

[[noreturn, gnu::cold, gnu::noinline]] void outside(int64_t i, int64_t n, int64_t dim) {
    fail(ErrorKind::Runtime, "index ", i, " is out of bounds for dimension ", dim, " with size ", n);
}
// Positions are checked where they are used: a pass of its own over them takes a third as long as all the rest.
struct Position {
    int64_t n, dim;
    int64_t operator()(const char* p) const { return (*this)(*reinterpret_cast<const int64_t*>(p)); }
    int64_t operator()(int64_t i) const {
        if (uint64_t(i) >= uint64_t(n)) [[unlikely]]
            outside(i, n, dim);
        return i;
    }
};
void check_index_shape(const Tensor& x, int64_t dim, const Tensor& index, const char* what) {
    if (index.numel() == 0) return;
    check(std::max<int64_t>(1, x.dim()) == std::max<int64_t>(1, index.dim()),
          "Index tensor must have the same number of dimensions as input tensor");
    for (int64_t d = 0; d < index.dim(); ++d)
        if (d != dim && x.dim() && index.sizes()[size_t(d)] > x.sizes()[size_t(d)])
            fail(ErrorKind::Runtime, "Size does not match at dimension ", d, " expected index ", index.sizes(),
                 " to be no larger than ", what, " ", x.sizes(), " apart from dimension ", dim);
}

Tensor gather(const Tensor& x0, int64_t dim, const Tensor& index0, bool, Out out) {
    dim = wrap_dim(dim, x0.dim());
    const Tensor index = as_index(index0, "gather");
    check_index_shape(x0, dim, index, "self");
    Tensor r = out.result(index.sizes(), x0.dtype(), x0.device());
    if (r.is_meta() || !r.numel()) return r;
    const Tensor x = at_least_1d(x0), at = at_least_1d(index), o = at_least_1d(r);
    // Along the last dimension, whichever is indexed: there all but the values lie one behind the other. Rows of few
    // elements are not worth it.
    const int64_t last = at.dim() - 1, line = at.sizes()[size_t(last)] < 16 ? dim : last;
    const int64_t n = at.sizes()[size_t(line)], size = x.sizes()[size_t(dim)];
    Dims bx = byte_strides(x);
    const Dims bi = byte_strides(at), bo = byte_strides(o);
    const int64_t sx = bx[size_t(dim)], si = bi[size_t(line)], so = bo[size_t(line)];
    bx[size_t(dim)] = 0;
    const int64_t aside = bx[size_t(line)];
    constexpr std::integral_constant<int64_t, sizeof(int64_t)> index_item;
    const int64_t item_size = int64_t(itemsize(x.dtype()));
    const bool short_rows = n < kShortLine && dim == last && si == index_item && so == item_size && sx == item_size;
    const Position position{size, dim};
    by_item_size(size_t(item_size), [&](auto z) {
        using T = decltype(z);
        constexpr std::integral_constant<int64_t, sizeof(T)> item;
        if (short_rows && at.dim() == 2)
            return parallel_for(at.sizes()[0], 16384 / n, [&, position, n](int64_t b, int64_t e) {
                const char *k = bytes(at) + b * bi[0], *row = bytes(x) + b * bx[0];
                for (char* to = bytes(o) + b * bo[0]; b < e; ++b, row += bx[0], to += bo[0], k += bi[0])
                    for (int64_t j = 0; j < n; ++j)
                        reinterpret_cast<T*>(to)[j] =
                            reinterpret_cast<const T*>(row)[position(reinterpret_cast<const int64_t*>(k)[j])];
            });
        each_line<3>(at.sizes(), line, {bytes(o), bytes(x), bytes(at)}, {bo, bx, bi}, [&](const auto& p) {
            // By value: what a byte is written to could be the addresses themselves, for all the compiler knows.
            const auto copy = [n, position, to = p[0], from = p[1], places = p[2]](auto to_step, auto at_step,
                                                                                   auto source) {
#pragma GCC unroll 4
                for (int64_t j = 0; j < n; ++j)
                    *reinterpret_cast<T*>(to + j * to_step) =
                        *reinterpret_cast<const T*>(from + source(position(places + j * at_step), j));
            };
            if (si != index_item || so != item) copy(so, si, [=](int64_t k, int64_t j) { return k * sx + j * aside; });
            else if (aside) copy(item, index_item, [=](int64_t k, int64_t j) { return k * sx + j * aside; });
            else if (sx == item) copy(item, index_item, [=](int64_t k, int64_t) { return k * item; });
            else copy(item, index_item, [=](int64_t k, int64_t) { return k * sx; });
        });
    });
    return r;
}

// ---------------------------------------------------------------- scatter
// The index of a scatter: within `to` but for `dim`, and within the source, where that is a tensor.
void check_places(const Tensor& to, int64_t dim, const Tensor& index, const Tensor& src) {
    const auto dims = [](const Tensor& t) { return std::max<int64_t>(1, t.dim()); };
    const auto size = [](const Tensor& t, int64_t d) { return t.dim() ? t.size(d) : 1; };
    check(dims(to) == dims(index), "Index tensor must have the same number of dimensions as self tensor");
    bool fits = true;
    for (int64_t d = 0; fits && d < dims(index); ++d) fits = d == dim || size(index, d) <= size(to, d);
    if (src.defined())
        for (int64_t d = 0; fits && d < dims(index); ++d) fits = size(index, d) <= size(src, wrap_dim(d, dims(src)));
    if (src.defined())
        check(dims(src) == dims(index), "Index tensor must have the same number of dimensions as src tensor");
    if (fits) return;
    const std::string apart =
        str("Expected index ", index.sizes(), " to be no larger than self ", to.sizes(), " apart from dimension ", dim);
    if (src.defined()) fail(ErrorKind::Runtime, apart, " and to be no larger size than src ", src.sizes());
    fail(ErrorKind::Runtime, apart);
}

// The ways through a scatter of elements of T; `join` puts a value to what is at its place. A value for all is a source
// of strides 0.
struct Scatter {
    Tensor to, index, source;  // of a dimension at least
    int64_t dim;
    Dims bo = byte_strides(to), bs, bi = byte_strides(index);
    int64_t n = index.sizes()[size_t(dim)], size = to.sizes()[size_t(dim)];
    int64_t so = bo[size_t(dim)], ss = bs[size_t(dim)], si = bi[size_t(dim)];

    // `start` joined to a value leaves it what it is: with one, threads may join what they have to few places by
    // themselves first.
    template <bool kAdds = false, class T, class Join, class Start = std::nullptr_t>
    void run(T, Join join, Start start = {}) const {
        constexpr int64_t kItem = sizeof(T), kIndex = sizeof(int64_t);
        constexpr bool kConverts = kAdds && std::is_same_v<T, F16>;  // the processor has the conversions
        if (index.numel() == n && n >= 4096 && so == kItem && si == kIndex && !(kConverts && num_threads() == 1))
            return one_line<T>(join, start);
        const size_t last = index.sizes().size() - 1;
        if (size_t(dim) != last && index.sizes()[last] >= kColumns && bi[last] == kIndex && bo[last] == kItem)
            return in_columns<T>(last, join);
        const Position position{size, dim};
        if constexpr (kConverts)
            return each_line<3>(
                index.sizes(), dim, {bytes(to), bytes(source), bytes(index)}, {bo, bs, bi}, [&](const auto& p) {
                    const int64_t* const at = reinterpret_cast<const int64_t*>(p[2]);
                    const int64_t step = si / kIndex;
                    for (int64_t j = step == 1 && all_within(at, n, 0, size) ? n : 0; j < n; ++j)
                        position(at[j * step]);
                    position_loops().add_f16(reinterpret_cast<F16*>(p[0]), so / kItem,
                                             reinterpret_cast<const F16*>(p[1]), ss / kItem, at, step, n);
                });
        if (n < kShortLine && size_t(dim) == last && last == 1 && so == kItem && ss == kItem && si == kIndex)
            return parallel_for(index.sizes()[0], 16384 / n, [&, join, position, n = n](int64_t b, int64_t e) {
                const char *k = bytes(index) + b * bi[0], *from = bytes(source) + b * bs[0];
                for (char* q = bytes(to) + b * bo[0]; b < e; ++b, q += bo[0], from += bs[0], k += bi[0])
                    for (int64_t j = 0; j < n; ++j)
                        join(reinterpret_cast<T*>(q)[position(reinterpret_cast<const int64_t*>(k)[j])],
                             reinterpret_cast<const T*>(from)[j]);
            });
        each_line<3>(index.sizes(), dim, {bytes(to), bytes(source), bytes(index)}, {bo, bs, bi}, [&](const auto& p) {
            const auto each = [n = n, join, position, q = p[0], from = p[1], at = p[2]](auto to_step, auto from_step,
                                                                                        auto index_step) {
#pragma GCC unroll 4
                for (int64_t j = 0; j < n; ++j)
                    join(*reinterpret_cast<T*>(q + position(at + j * index_step) * to_step),
                         *reinterpret_cast<const T*>(from + j * from_step));
            };
            constexpr std::integral_constant<int64_t, kItem> item;
            constexpr std::integral_constant<int64_t, kIndex> index_item;
            if (so == item && ss == item && si == index_item) each(item, item, index_item);
            else each(so, ss, si);
        });
    }
    // One long line: a part of its places on each thread.
    template <class T, class Join, class Start>
    void one_line(Join join, Start start) const {
        const int64_t* const k = index.data<int64_t>();
        const Position position{size, dim};
        T* const line = reinterpret_cast<T*>(bytes(to));
        const T* const from = reinterpret_cast<const T*>(bytes(source));
        const int64_t step = ss / int64_t(sizeof(T));
        int64_t low = 0, high = size - 1;
        const int64_t threads = num_threads();
        if (threads > 1) {  // over what is written to
            std::tie(low, high) = extremes(k, n);
            position(low), position(high);
            if constexpr (!std::is_null_pointer_v<Start>)
                if (n >= 65536 && low >= 0 && (high - low + 1) * threads <= n / 8)
                    return one_line_in_parts(join, start, threads, low, high - low + 1);
        }
        each_by_place(
            n, low, high + 1, 1, (high - low) * int64_t(sizeof(T)) > kSpreadBytes,
            [k](int64_t b, int64_t, int64_t*) { return k + b; }, [line](int64_t i) { __builtin_prefetch(line + i, 1); },
            [=](int64_t j, int64_t i) { join(line[position(i)], from[j * step]); });
    }
    // A part of a long line on each thread, which has `count` places of its own, from `low` on, but for the first; they
    // are put together in order. The indices are known to be among them.
    template <class T, class Join>
    void one_line_in_parts(Join join, T start, int64_t parts, int64_t low, int64_t count) const {
        const int64_t* const k = index.data<int64_t>();
        T* const line = reinterpret_cast<T*>(bytes(to)) + low;
        const T* const from = reinterpret_cast<const T*>(bytes(source));
        const int64_t step = ss / int64_t(sizeof(T)), each = (n + parts - 1) / parts, apart = (count + 63) / 64 * 64;
        const Room<T> own((parts - 1) * apart);
        parallel_for(parts, 1, [=, &own, n = n](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                T* const mine = b ? own.get() + (b - 1) * apart : line;
                if (b) std::fill_n(mine, count, start);
#pragma GCC unroll 4
                for (int64_t j = b * each, end = std::min(n, j + each); j < end; ++j)
                    join(mine[k[j] - low], from[j * step]);
            }
        });
        for (int64_t b = 1; b < parts; ++b)
            for (int64_t i = 0; i < count; ++i) join(line[i], own[(b - 1) * apart + i]);
    }
    // Along another dimension than the last: planes, or places of one, are shared out over the threads; a block of
    // columns goes down at a time, so that what is written to stays in the nearer caches.
    static constexpr int64_t kColumns = 16, kBlock = 256;
    template <class T, class Join>
    void in_columns(size_t last, Join join) const {
        constexpr int64_t kItem = sizeof(T);
        const int64_t width = index.sizes()[last], planes = index.numel() / (n * width);
        const int64_t threads = index.numel() >= 32768 ? num_threads() : 1;
        const bool whole = planes % threads == 0 || planes >= 4 * threads;
        // A plane's addresses in the three tensors.
        const auto plane_at = [&](int64_t rest) {
            std::array<char*, 3> p{bytes(to), bytes(source), bytes(index)};
            for (size_t d = last; d-- > 0;) {
                if (int64_t(d) == dim) continue;
                const int64_t at = rest % index.sizes()[d];
                rest /= index.sizes()[d];
                p[0] += at * bo[d], p[1] += at * bs[d], p[2] += at * bi[d];
            }
            return p;
        };
        parallel_for(whole ? 0 : planes * n, std::max<int64_t>(1, 32768 / width), [&](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                const int64_t* const at = reinterpret_cast<const int64_t*>(plane_at(b / n)[2] + b % n * si);
                if (all_within(at, width, 0, size)) continue;
                for (int64_t j = 0; j < width; ++j) Position{size, dim}(at[j]);
            }
        });
        const auto part = [&](int64_t plane, int64_t low, int64_t high) {  // what goes to places [low, high)
            const std::array<char*, 3> p = plane_at(plane);
            const Position position{size, dim};
            int32_t mine[kBlock + 16];
            for (int64_t first = 0; first < width; first += kBlock) {
                const int64_t count = std::min(kBlock, width - first);
                char* const q = p[0] + first * kItem;
                for (int64_t r = 0; r < n; ++r) {
                    const int64_t* const at = reinterpret_cast<const int64_t*>(p[2] + r * si) + first;
                    const char* const from = p[1] + r * ss + first * bs[last];
                    const auto put = [=, row = so, step = bs[last]](int64_t j) {
                        join(*reinterpret_cast<T*>(q + position(at[j]) * row + j * kItem),
                             *reinterpret_cast<const T*>(from + j * step));
                    };
                    if (whole) {
                        for (int64_t j = 0; j < count; ++j) put(j);
                        continue;
                    }
                    const int64_t found = position_loops().chosen(at, count, low, high, mine);
                    for (int64_t k = 0; k < found; ++k) put(mine[k]);
                }
            }
        };
        if (whole)
            return parallel_for(planes, std::max<int64_t>(1, 32768 / (n * width)), [&](int64_t b, int64_t e) {
                for (; b < e; ++b) part(b, 0, size);
            });
        const int64_t each = (size + threads - 1) / threads;
        parallel_for(threads, 1, [&](int64_t b, int64_t e) {
            for (int64_t k = 0; k < planes; ++k) part(k, b * each, std::min(size, e * each));
        });
    }
};
// Calls f with the way of joining as a type, so that what it writes out asks for it once; the others join by adding.
template <class F>
void by_way(Into how, F&& f) {
    switch (how) {
        case Into::multiply: return f(std::integral_constant<Into, Into::multiply>());
        case Into::maximum: return f(std::integral_constant<Into, Into::maximum>());
        case Into::minimum: return f(std::integral_constant<Into, Into::minimum>());
        default: return f(std::integral_constant<Into, Into::add>());
    }
}

// Puts the value behind the second pointer to that behind the first.
using Joined = void (*)(void* to, const void* from);
Joined joined(DType t, Into how) {
    Joined r = nullptr;
    visit_dtype(t, [&]<class T>(T) {
        by_way(how, [&]<Into kHow>(std::integral_constant<Into, kHow>) {
            r = [](void* to, const void* from) {
                T& q = *static_cast<T*>(to);
                q = combine(kHow, q, *static_cast<const T*>(from));
            };
        });
    });
    return r;
}
}  // namespace
// Of tensors of a dimension at least.
void scattered::join_elements(const Tensor& to, int64_t dim, const Tensor& index, const Tensor& source,
                              const Dims& steps, Into how) {
    const Scatter all{.to = to, .index = index, .source = source, .dim = dim, .bs = steps};
    if (how == Into::set)
        return by_item_size(itemsize(to.dtype()), [&](auto z) { all.run(z, [](auto& q, auto v) { q = v; }); });
    const auto sums = [&]<class T>(T z) {
        const auto join = [](T& q, T v) { q = combine(Into::add, q, v); };
        if constexpr (sizeof(T) >= 4) all.run<true>(z, join, T(-0.0));
        else all.run<true>(z, join);  // sums of parts would be rounded more often
    };
    if (how == Into::add) switch (to.dtype()) {
            case DType::f32: return sums(float{});
            case DType::f64: return sums(double{});
            case DType::f16: return sums(F16{});
            case DType::bf16: return sums(BF16{});
            case DType::i64: return sums(uint64_t{});
            case DType::i32: return sums(uint32_t{});
            case DType::i8:
            case DType::u8: return sums(uint8_t{});
            default: break;
        }
    if (to.dtype() == DType::f32 && (how == Into::multiply || how == Into::maximum)) {
        if (how == Into::multiply)
            return all.run(0.0f, [](float& q, float v) { q = combine(Into::multiply, q, v); }, 1.0f);
        return all.run(
            0.0f, [](float& q, float v) { q = combine(Into::maximum, q, v); }, -std::numeric_limits<float>::infinity());
    }
    const auto any = [&]<class T>(T z) { all.run(z, [how](T& q, T v) { q = combine(how, q, v); }); };
    switch (to.dtype()) {
        case DType::f32: return any(float{});
        case DType::f64: return any(double{});
        case DType::i32: return any(int32_t{});
        case DType::i64: return any(int64_t{});
        default: break;
    }
    // The others are called at every element.
    const Joined join = joined(to.dtype(), how);
    by_item_size(itemsize(to.dtype()), [&](auto z) { all.run(z, [join](auto& q, const auto& v) { join(&q, &v); }); });
}
namespace {
void scatter_into(const Tensor& to, int64_t dim, const Tensor& index0, const Operand& source, Into how) {
    const Tensor index = as_index(index0, "scatter");
    if (!index.numel()) return;
    if (source.is_tensor()) {
        check(source.tensor().dtype() == to.dtype(), "scatter(): Expected self.dtype to be equal to src.dtype");
    }
    check_places(to, dim, index, source.is_tensor() ? source.tensor() : Tensor());
    if (to.is_meta()) return;
    const Tensor from =
        source.is_tensor() ? at_least_1d(source.tensor()) : op<"full">(Dims{1}, source.scalar(), to.dtype());
    const Tensor at = at_least_1d(index);
    join_elements(at_least_1d(to), dim, at, from, source.is_tensor() ? byte_strides(from) : Dims(at.sizes().size(), 0),
                  how);
}
Into old_reduction(std::string_view s) {
    check(s == "add" || s == "multiply", "reduce argument must be either add or multiply.");
    return s == "add" ? Into::add : Into::multiply;
}
Tensor scatter_as(const Tensor& self, int64_t dim, const Tensor& index, const Operand& src, Into how, const Out& out) {
    dim = wrap_dim(dim, self.dim());
    Tensor r = started(self, out);
    scatter_into(r, dim, index, src, how);
    return r;
}
Tensor scatter_src(const Tensor& s, int64_t d, const Tensor& i, const Tensor& src, Out out) {
    return scatter_as(s, d, i, src, Into::set, out);
}
Tensor scatter_value(const Tensor& s, int64_t d, const Tensor& i, Scalar v, Out out) {
    return scatter_as(s, d, i, v, Into::set, out);
}
Tensor scatter_src_by(const Tensor& s, int64_t d, const Tensor& i, const Tensor& src, std::string_view how, Out out) {
    return scatter_as(s, d, i, src, old_reduction(how), out);
}
Tensor scatter_value_by(const Tensor& s, int64_t d, const Tensor& i, Scalar v, std::string_view how, Out out) {
    return scatter_as(s, d, i, v, old_reduction(how), out);
}
Tensor scatter_add(const Tensor& s, int64_t d, const Tensor& i, const Tensor& src, Out out) {
    return scatter_as(s, d, i, src, Into::add, out);
}

Tensor scatter_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src, std::string_view how,
                      bool include_self, Out out) {
    dim = wrap_dim(dim, self.dim());
    const Into into = reduction(how);
    Tensor r = started(self, out);
    if (!include_self) scatter_into(r, dim, index, neutral(r.dtype(), into), Into::set);
    scatter_into(r, dim, index, src, into == Into::mean ? Into::add : into);
    if (into != Into::mean || r.is_meta()) return r;
    Tensor count = empty(self.sizes(), self.dtype());
    fill(count, 1);
    if (!include_self) scatter_into(count, dim, index, Scalar(0), Into::set);
    scatter_into(count, dim, index, Scalar(1), Into::add);
    divide_by_counts(r, count);
    return r;
}
// ---------------------------------------------------------------- flat positions
int64_t flat_position(int64_t k, int64_t n) {
    if (k < -n || k >= n)
        fail(ErrorKind::Index, "out of range: tried to access index ", k, " on a tensor of ", n, " elements.");
    return k < 0 ? k + n : k;
}
Tensor take(const Tensor& x, const Tensor& index, Out out) {
    check(index.dtype() == DType::i64, "take(): Expected a long tensor for index, but got ", index.dtype());
    Tensor r = out.result(index.sizes(), x.dtype(), x.device());
    if (r.is_meta() || !index.numel()) return r;
    if (!x.numel()) fail(ErrorKind::Index, "take(): tried to take from an empty tensor");
    const Tensor src = dense(x), at = dense(index), dst = r->contiguous ? r : empty(r.sizes(), r.dtype());
    by_item_size(itemsize(x.dtype()), [&](auto z) {
        using T = decltype(z);
        T* to = reinterpret_cast<T*>(bytes(dst));
        const T* from = reinterpret_cast<const T*>(bytes(src));
        const int64_t *k = at.data<int64_t>(), n = x.numel();
        parallel_for(at.numel(), 16384, [=](int64_t b, int64_t e) {
            for (; b < e; b += 512) {  // a block of indices: checked, then used
                const int64_t last = std::min(e, b + 512);
                if (!all_within(k + b, last - b, -n, n))
                    for (int64_t i = b; i < last; ++i) flat_position(k[i], n);
#pragma GCC unroll 4
                for (int64_t i = b; i < last; ++i) to[i] = from[k[i] + (k[i] >> 63 & n)];
            }
        });
    });
    if (dst.get() != r.get()) copy_data(r, dst);
    return r;
}
Tensor put(const Tensor& self, const Tensor& index, const Tensor& source, bool accumulate, Out out) {
    check(index.dtype() == DType::i64, "put_(): Expected a long tensor for index, but got ", index.dtype());
    check(self.dtype() == source.dtype(),
          "put_(): self and source expected to have the same dtype, but got self.dtype = ", self.dtype(),
          " and source.dtype = ", source.dtype());
    check_index(index.numel() == source.numel(),
                "put_(): Expected source and index to have the same number of elements, but got source.numel() = ",
                source.numel(), ", index.numel() = ", index.numel());
    Tensor r = started(self, out);
    if (r.is_meta() || !index.numel()) return r;
    const int64_t size = self.numel(), n = index.numel();
    const auto line = [](const Tensor& t) { return op<"view">(t, Dims{t.numel()}); };
    const Tensor all = dense(r), at = line(dense(index));
    const int64_t* const k = at.data<int64_t>();
    if (!all_within(k, n, -size, size))
        for (int64_t i = 0; i < n; ++i) flat_position(k[i], size);
    join_elements(line(all), 0, extremes(k, n).first < 0 ? op<"remainder">(at, size) : at, line(dense(source)),
                  Dims{int64_t(itemsize(self.dtype()))}, accumulate ? Into::add : Into::set);
    if (all.get() != r.get()) copy_data(r, all);
    return r;
}

// How often each number from 0 to the largest occurs, at least `least` of them.
Tensor bincount(const Tensor& x0, int64_t least) {
    check(is_integral(x0.dtype(), false) && !x0.is_meta(), "_bincount counts integers, not ", x0.dtype(), " on ",
          x0.device());
    const Tensor x = dense(x0);
    int64_t size = std::max<int64_t>(0, least);
    visit_dtype(x.dtype(), [&]<class T>(T) {
        if constexpr (std::is_integral_v<T>) {
            if (!x.numel()) return;
            const auto extreme = [&](Fold f) {
                return *fold(f, "bincount", x, dims_mask({}, x.dim()), false).template data<T>();
            };
            T low, high;
            if constexpr (std::is_same_v<T, int64_t>) {
                std::tie(low, high) = extremes(x.data<T>(), x.numel());
            } else {
                low = extreme(Fold::min), high = extreme(Fold::max);
            }
            check(int64_t(low) >= 0 && int64_t(high) >= 0 && int64_t(high) < std::numeric_limits<int64_t>::max(),
                  "bincount only supports 1-d non-negative integral inputs.");
            size = std::max(size, int64_t(high) + 1);
        }
    });
    const Tensor r = op<"zeros">(Dims{size}, DType::i64, nullptr, kCPU);
    if (!x.numel()) return r;
    const int64_t n = x.numel(), parts = n >= 65536 && size <= n / 8 ? num_threads() : 1,
                  each = (n + parts - 1) / parts;
    if (size > n / 8 && n >= 1024) {  // as many numbers as values: one table, of which each thread has a part
        const Tensor numbers = x.dtype() == DType::i64 ? x : convert(x, DType::i64);
        const int64_t* const p = numbers.data<int64_t>();
        int64_t* const to = r.data<int64_t>();
        each_by_place(
            n, 0, size, 1, size * int64_t(sizeof(int64_t)) > kSpreadBytes,
            [&](int64_t b, int64_t, int64_t*) { return p + b; }, [to](int64_t k) { __builtin_prefetch(to + k, 1); },
            [to](int64_t, int64_t k) { ++to[k]; });
        return r;
    }
    // A table for each thread, and two in turn: equal numbers in a row do not wait for each other.
    const Tensor tables = op<"zeros">(Dims{parts, 2, size}, DType::i64, nullptr, kCPU);
    visit_dtype(x.dtype(), [&]<class T>(T) {
        if constexpr (std::is_integral_v<T>) {
            const T* p = x.data<T>();
            parallel_for(parts, 1, [&](int64_t b, int64_t e) {
                for (; b < e; ++b) {
                    int64_t *even = tables.data<int64_t>() + 2 * b * size, *odd = even + size;
                    int64_t i = b * each;
                    const int64_t end = std::min(n, i + each);
                    for (; i + 2 <= end; i += 2) {
                        ++even[p[i]];
                        ++odd[p[i + 1]];
                    }
                    if (i < end) ++even[p[i]];
                }
            });
        }
    });
    int64_t *to = r.data<int64_t>(), *from = tables.data<int64_t>();
    for (int64_t t = 0; t < 2 * parts; ++t)
        for (int64_t k = 0; k < size; ++k) to[k] += from[t * size + k];
    return r;
}

Tensor gathered(Back& b) { return op<"gather">(b.g, b.integer(1), b.arg(2)); }
const Family scatters([](Registry& r) {
    r.add("gather(Tensor self, int dim, Tensor index, *, bool sparse_grad=False) -> Tensor", "fmo")
        .kernel<gather>()
        .grad("self", "index",
              [](Back& b) { return op<"scatter_add">(zeros(b.sizes(0), b.g), b.integer(1), b.arg(2), b.g); });
    r.add("scatter.src(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "fmio")
        .kernel<scatter_src>()
        .grad("self", "index", [](Back& b) { return op<"scatter.value">(b.g, b.integer(1), b.arg(2), Scalar(0)); })
        .grad("src", "index", gathered);
    r.add("scatter.value(Tensor self, int dim, Tensor index, Scalar value) -> Tensor", "fmio")
        .kernel<scatter_value>()
        .grad("self", "index", [](Back& b) { return op<"scatter.value">(b.g, b.integer(1), b.arg(2), Scalar(0)); })
        .node("ScatterBackward1");
    r.add("scatter.reduce(Tensor self, int dim, Tensor index, Tensor src, *, str reduce) -> Tensor", "fmio")
        .kernel<scatter_src_by>()
        .node("NotImplemented")
        .grads("self, src", "", no_derivative);
    r.add("scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor", "fmio")
        .kernel<scatter_value_by>()
        .node("NotImplemented")
        .grads("self", "", no_derivative);
    r.add("scatter_add(Tensor self, int dim, Tensor index, Tensor src) -> Tensor", "fmio")
        .kernel<scatter_add>()
        .grad("self", "", [](Back& b) { return b.g; })
        .grad("src", "index", gathered);
    r.add(
         "scatter_reduce.two(Tensor self, int dim, Tensor index, Tensor src, str reduce, *, bool include_self=True) -> "
         "Tensor",
         "fmio")
        .kernel<scatter_reduce>()
        .grads("self, src", "self, index, src, result", [](Back& b) { reduce_backward(b, b.arg(2)); });
    r.add("_bincount(Tensor self, int minlength) -> Tensor", "f").kernel<bincount>();
    r.add("take(Tensor self, Tensor index) -> Tensor", "fmo").kernel<take>().grad("self", "index", [](Back& b) {
        return op<"put">(zeros(b.sizes(0), b.g), b.arg(1), b.g, true);
    });
    r.add("put(Tensor self, Tensor index, Tensor source, bool accumulate=False) -> Tensor", "fmi")
        .kernel<put>()
        .grad("self", "index",
              [](Back& b) { return b.flag(3) ? b.g : op<"put">(b.g, b.arg(1), zeros(b.arg(1).sizes(), b.g), false); })
        .grad("source", "index", [](Back& b) { return op<"reshape">(op<"take">(b.g, b.arg(1)), b.sizes(2)); });
});

}  // namespace
}  // namespace fb
