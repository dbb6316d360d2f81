// Reading and writing along one dimension by an index: gather, scatter, index_select, index_add and their like.
#include <cstring>
#include <limits>
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/fold.h"
#include "cpu/lines.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using formula::zeros;

int64_t checked(int64_t i, int64_t n, int64_t dim) {
    if (i < 0 || i >= n) [[unlikely]]
        fail(ErrorKind::Runtime, "index ", i, " is out of bounds for dimension ", dim, " with size ", n);
    return i;
}
// Every index of a line, before any is used.
void check_line(const char* p, int64_t stride, int64_t n, int64_t size, int64_t dim) {
    if (stride == int64_t(sizeof(int64_t)) && all_within(reinterpret_cast<const int64_t*>(p), n, 0, size)) return;
    for (int64_t j = 0; j < n; ++j) checked(*reinterpret_cast<const int64_t*>(p + j * stride), size, dim);
}
// The same for all indices of short lines at once, which one by one cost more than what is done with them.
constexpr int64_t kShortLine = 64;
bool all_fit(const Tensor& index, int64_t length, int64_t size) {
    return length < kShortLine && index->contiguous && all_within(index.data<int64_t>(), index.numel(), 0, size);
}
Tensor as_index(const Tensor& t, const char* name) {
    if (!t.numel()) return t.dtype() == DType::i64 ? t : empty(t.sizes(), DType::i64);
    if (t.dtype() != DType::i64 && t.dtype() != DType::i32)
        fail(ErrorKind::Runtime, name, "(): Expected dtype int32",
             std::string_view(name) == "index_select" ? " or " : "/", "int64 for index");
    return t.dtype() == DType::i64 ? t : convert(t, DType::i64);
}
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
    const bool checked_before = all_fit(at, n, size);
    by_item_size(itemsize(x.dtype()), [&](auto z) {
        using T = decltype(z);
        each_line<3>(at.sizes(), line, {bytes(o), bytes(x), bytes(at)}, {bo, bx, bi}, [&](const auto& p) {
            const auto copy = [&](int64_t b, int64_t e, auto to_step, auto at_step, auto source) {
                for (int64_t j = b; j < e; ++j)
                    *reinterpret_cast<T*>(p[0] + j * to_step) = *reinterpret_cast<const T*>(
                        p[1] + source(*reinterpret_cast<const int64_t*>(p[2] + j * at_step), j));
            };
            constexpr std::integral_constant<int64_t, sizeof(T)> item;
            constexpr std::integral_constant<int64_t, sizeof(int64_t)> index_item;
            for (int64_t b = 0; b < n; b += 512) {  // a block of indices: checked, then used
                const int64_t e = std::min(n, b + 512);
                if (!checked_before) check_line(p[2] + b * si, si, e - b, size, dim);
                if (si != index_item || so != item)
                    copy(b, e, so, si, [=](int64_t k, int64_t j) { return k * sx + j * aside; });
                else if (aside) copy(b, e, item, index_item, [=](int64_t k, int64_t j) { return k * sx + j * aside; });
                else if (sx == item) copy(b, e, item, index_item, [=](int64_t k, int64_t) { return k * item; });
                else copy(b, e, item, index_item, [=](int64_t k, int64_t) { return k * sx; });
            }
        });
    });
    return r;
}

// ---------------------------------------------------------------- scatter
enum class Into { set, add, multiply, mean, maximum, minimum };

template <class T>
T combine(Into how, T a, T b) {
    if constexpr (std::is_same_v<T, bool>) {
        return how == Into::multiply || how == Into::minimum ? a && b : how == Into::set ? b : a || b;
    } else {
        switch (how) {
            case Into::add:
            case Into::mean: return T(a + b);
            case Into::multiply: return T(a * b);
            case Into::maximum:
                if constexpr (requires { a > b; }) return (b > a) | (b != b) ? b : a;
                else return b;
            case Into::minimum:
                if constexpr (requires { a < b; }) return (b < a) | (b != b) ? b : a;
                else return b;
            default: return b;
        }
    }
}

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

    template <class T, class Join>
    void run(T, Join join) const {
        constexpr int64_t kItem = sizeof(T), kIndex = sizeof(int64_t);
        if (index.numel() == n && n >= 4096 && so == kItem && si == kIndex) return one_line<T>(join);
        const size_t last = index.sizes().size() - 1;
        if (size_t(dim) != last && index.sizes()[last] >= kColumns && bi[last] == kIndex && bo[last] == kItem)
            return in_columns<T>(last, join);
        const bool checked_before = all_fit(index, n, size);
        each_line<3>(index.sizes(), dim, {bytes(to), bytes(source), bytes(index)}, {bo, bs, bi}, [&](const auto& p) {
            for (int64_t b = 0; b < n; b += 512) {  // indices are checked while they lie in the nearest cache
                const int64_t e = std::min(n, b + 512);
                if (!checked_before) check_line(p[2] + b * si, si, e - b, size, dim);
                const auto each = [&](auto to_step, auto from_step, auto index_step) {
                    for (int64_t j = b; j < e; ++j)
                        join(*reinterpret_cast<T*>(p[0] +
                                                   *reinterpret_cast<const int64_t*>(p[2] + j * index_step) * to_step),
                             *reinterpret_cast<const T*>(p[1] + j * from_step));
                };
                constexpr std::integral_constant<int64_t, kItem> item;
                constexpr std::integral_constant<int64_t, kIndex> index_item;
                if (so == item && ss == item && si == index_item) each(item, item, index_item);
                else each(so, ss, si);
            }
        });
    }
    // One long line: a part of its places on each thread.
    template <class T, class Join>
    void one_line(Join join) const {
        const int64_t* const k = index.data<int64_t>();
        const auto [low, high] = extremes(k, n);
        if (low < 0 || high >= size) check_line(bytes(index), si, n, size, dim);
        T* const line = reinterpret_cast<T*>(bytes(to));
        const T* const from = reinterpret_cast<const T*>(bytes(source));
        const int64_t step = ss / int64_t(sizeof(T));
        each_by_place(
            n, low, high + 1, 1, (high - low) * int64_t(sizeof(T)) > kSpreadBytes,
            [&](int64_t b, int64_t, int64_t*) { return k + b; }, [&](int64_t i) { __builtin_prefetch(line + i, 1); },
            [&](int64_t j, int64_t i) { join(line[i], from[j * step]); });
    }
    // Along another dimension than the last: planes, or places of one, are shared out over the threads; a block of
    // columns goes down at a time, so that what is written to stays in the nearer caches.
    static constexpr int64_t kColumns = 16, kBlock = 256;
    template <class T, class Join>
    void in_columns(size_t last, Join join) const {
        constexpr int64_t kItem = sizeof(T), kIndex = sizeof(int64_t);
        const int64_t width = index.sizes()[last], planes = index.numel() / (n * width);
        const int64_t threads = index.numel() >= 32768 ? num_threads() : 1;
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
        parallel_for(planes * n, std::max<int64_t>(1, 32768 / width), [&](int64_t b, int64_t e) {
            for (; b < e; ++b) check_line(plane_at(b / n)[2] + b % n * si, kIndex, width, size, dim);
        });
        const auto part = [&](int64_t plane, int64_t low, int64_t high) {  // what goes to places [low, high)
            const std::array<char*, 3> p = plane_at(plane);
            int32_t mine[kBlock + 16];
            for (int64_t first = 0; first < width; first += kBlock) {
                const int64_t count = std::min(kBlock, width - first);
                char* const q = p[0] + first * kItem;
                for (int64_t r = 0; r < n; ++r) {
                    const int64_t* const at = reinterpret_cast<const int64_t*>(p[2] + r * si) + first;
                    const char* const from = p[1] + r * ss + first * bs[last];
                    const auto put = [&](int64_t j) {
                        join(*reinterpret_cast<T*>(q + at[j] * so + j * kItem),
                             *reinterpret_cast<const T*>(from + j * bs[last]));
                    };
                    if (low == 0 && high == size) {
                        for (int64_t j = 0; j < count; ++j) put(j);
                        continue;
                    }
                    const int64_t found = position_loops().chosen(at, count, low, high, mine);
                    for (int64_t k = 0; k < found; ++k) put(mine[k]);
                }
            }
        };
        if (planes % threads == 0 || planes >= 4 * threads)
            return parallel_for(planes, std::max<int64_t>(1, 32768 / (n * width)), [&](int64_t b, int64_t e) {
                for (; b < e; ++b) part(b, 0, size);
            });
        const int64_t each = (size + threads - 1) / threads;
        parallel_for(threads, 1, [&](int64_t b, int64_t e) {
            for (int64_t k = 0; k < planes; ++k) part(k, b * each, std::min(size, e * each));
        });
    }
};
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
    const Scatter all{.to = at_least_1d(to),
                      .index = at,
                      .source = from,
                      .dim = dim,
                      .bs = source.is_tensor() ? byte_strides(from) : Dims(at.sizes().size(), 0)};
    if (how == Into::set)
        return by_item_size(itemsize(to.dtype()), [&](auto z) { all.run(z, [](auto& q, auto v) { q = v; }); });
    visit_dtype(to.dtype(), [&]<class T>(T z) {
        if (how == Into::add) return all.run(z, [](T& q, T v) { q = combine(Into::add, q, v); });
        if constexpr (std::is_same_v<T, float>) {  // the other types are asked for at every element
            if (how == Into::multiply) return all.run(z, [](T& q, T v) { q = combine(Into::multiply, q, v); });
            if (how == Into::maximum) return all.run(z, [](T& q, T v) { q = combine(Into::maximum, q, v); });
        }
        all.run(z, [how](T& q, T v) { q = combine(how, q, v); });
    });
}
Into old_reduction(std::string_view s) {
    check(s == "add" || s == "multiply", "reduce argument must be either add or multiply.");
    return s == "add" ? Into::add : Into::multiply;
}
Into reduction(std::string_view s) {
    if (s == "sum") return Into::add;
    if (s == "prod") return Into::multiply;
    if (s == "mean") return Into::mean;
    if (s == "amax") return Into::maximum;
    if (s == "amin") return Into::minimum;
    fail(ErrorKind::Runtime, "reduce argument must be either sum, prod, mean, amax or amin, got ", s);
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
Tensor scatter_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& src, std::string_view how,
                      bool include_self, Out out) {
    dim = wrap_dim(dim, self.dim());
    const Into into = reduction(how);
    Tensor r = started(self, out);
    if (!include_self) scatter_into(r, dim, index, neutral(r.dtype(), into), Into::set);
    scatter_into(r, dim, index, src, into);
    if (into != Into::mean || r.is_meta()) return r;
    Tensor count = empty(self.sizes(), self.dtype()), ones = empty(src.sizes(), src.dtype());
    fill(count, 1);
    fill(ones, 1);
    if (!include_self) scatter_into(count, dim, index, Scalar(0), Into::set);
    scatter_into(count, dim, index, ones, Into::add);
    divide_by_counts(r, count);
    return r;
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

// ---------------------------------------------------------------- whole slices
Tensor index_vector(const Tensor& index, const char* name) {
    if (index.dim() > 1) {
        const std::string_view n = name;
        check(n != "index_fill_", "Index has to be a vector/scalar");
        fail(ErrorKind::Index, name, n == "index_add" ? "_" : "", "(): Index ",
             n == "index_copy_" ? str("should have dimension 1 or 0 (got ", index.dim(), ")")
             : n == "index_add" ? str("is supposed to be a vector, but got dim: ", index.dim(),
                                      " with type: ", index.dtype(), " and size: ", index.sizes())
                                : "is supposed to be a vector");
    }
    return dense(as_index(at_least_1d(index), name));
}
void check_range(const Tensor& index, int64_t size, int64_t dim, const char* name) {
    if (index.is_meta()) return;
    const int64_t* at = index.data<int64_t>();
    if (all_within(at, index.numel(), 0, size)) return;
    for (int64_t i = 0; i < index.numel(); ++i)
        if (at[i] < 0 || at[i] >= size)
            fail(ErrorKind::Index, "index out of range in self\nindex ", at[i], " at position ", i, " of ", name,
                 " for dimension ", dim, " of size ", size);
}

Tensor index_select(const Tensor& x, int64_t dim, const Tensor& index0, Out out) {
    dim = wrap_dim(dim, x.dim());
    const Tensor index = index_vector(index0, "index_select");
    Dims shape = x.sizes();
    const int64_t n = index.numel();
    if (x.dim()) shape[size_t(dim)] = n;
    else check(n == 1, "index_select(): Index to scalar can have only 1 value, got ", n, " value(s)");
    Tensor r = out.result(shape, x.dtype(), x.device());
    if (r.is_meta() || !n) return r;
    int64_t before = 1, size = 1, row = int64_t(itemsize(x.dtype()));
    for (int64_t d = 0; d < x.dim(); ++d) (d < dim ? before : d == dim ? size : row) *= x.sizes()[size_t(d)];
    check_range(index, size, dim, "index_select");
    if (!r.numel()) return r;
    const Tensor src = dense(x), dst = r->contiguous ? r : empty(shape, x.dtype());
    const int64_t* at = index.data<int64_t>();
    if (row == int64_t(itemsize(x.dtype()))) {  // single elements, line by line
        by_item_size(size_t(row), [&](auto z) {
            using T = decltype(z);
            if (n < kShortLine)
                return parallel_for(before, 16384 / n, [&](int64_t b, int64_t e) {
                    const T* from = reinterpret_cast<const T*>(bytes(src)) + b * size;
                    T* to = reinterpret_cast<T*>(bytes(dst)) + b * n;
                    for (; b < e; ++b, from += size, to += n)
                        for (int64_t i = 0; i < n; ++i) to[i] = from[at[i]];
                });
            parallel_for(before * n, 16384, [&](int64_t b, int64_t e) {
                T* const to = reinterpret_cast<T*>(bytes(dst));
                while (b < e) {
                    const T* from = reinterpret_cast<const T*>(bytes(src)) + b / n * size;
                    const int64_t first = b % n, count = std::min(n - first, e - b);
                    for (int64_t i = 0; i < count; ++i) to[b + i] = from[at[first + i]];
                    b += count;
                }
            });
        });
    } else {
        char* const to = bytes(dst);
        const char* const from = bytes(src);
        parallel_for(before * n, std::max<int64_t>(1, 65536 / row), [&](int64_t b, int64_t e) {
            for (int64_t o = b / n, i = b % n; b < e; ++b) {
                copy_bytes(to + b * row, from + (o * size + at[i]) * row, row);
                if (++i == n) {
                    i = 0;
                    ++o;
                }
            }
        });
    }
    if (dst.get() != r.get()) copy_data(r, dst);
    return r;
}

// Slice i of source goes to slice index[i] of `to`, or is combined with it, one after another.
void slices_into(const Tensor& to, int64_t dim, const Tensor& index0, const Tensor& source, Into how,
                 const char* name) {
    const Tensor index = index_vector(index0, name);
    check(to.dtype() == source.dtype(), name, "(): self and source expected to have the same dtype, but got (self) ",
          to.dtype(), " and (source) ", source.dtype());
    check((source.dim() ? source.size(dim) : 1) == index.numel(), name, "(): Number of indices (", index.numel(),
          ") should be equal to source.size(dim): (", source.dim() ? source.size(dim) : 1, "), for dim: ", dim);
    for (int64_t d = 0; d < to.dim() && to.dim() > 1; ++d)
        check(d == dim || (source.dim() == to.dim() && source.sizes()[size_t(d)] == to.sizes()[size_t(d)]), name,
              "(): Source/destination tensor must have same slice shapes. Destination slice shape: ", to.sizes(),
              " at dimension ", dim, " and source slice shape: ", source.sizes(), " at dimension 0.");
    const Tensor o = at_least_1d(to), s = at_least_1d(source);
    const int64_t size = o.sizes()[size_t(dim)], n = index.numel();
    check_range(index, size, dim, name);
    if (to.is_meta() || !n || !to.numel()) return;
    const int64_t* at = index.data<int64_t>();
    const Dims bo = byte_strides(o), bs = byte_strides(s);
    int64_t before = 1, inner = 1;
    for (int64_t d = 0; d < o.dim(); ++d)
        if (d != dim) (d < dim ? before : inner) *= o.sizes()[size_t(d)];
    const bool rows = o->contiguous && s->contiguous;
    constexpr std::integral_constant<int64_t, 1> one;
    // row(to, from, elements): one slice of a run of neighbours
    const auto run = [&]<class T>(T, auto&& row) {
        if (!rows)
            return each_line<2>(s.sizes(), dim, {bytes(o), bytes(s)}, {bo, bs}, [&](const auto& p) {
                for (int64_t i = 0; i < n; ++i)
                    row(reinterpret_cast<T*>(p[0] + at[i] * bo[size_t(dim)]),
                        reinterpret_cast<const T*>(p[1] + i * bs[size_t(dim)]), one);
            });
        T* const q = reinterpret_cast<T*>(bytes(o));
        const T* const v = reinterpret_cast<const T*>(bytes(s));
        if (before > 1)
            return parallel_for(before, std::max<int64_t>(1, 32768 / (n * inner)), [&](int64_t b, int64_t e) {
                const auto rows_of = [&](auto width) {
                    for (int64_t i = 0; i < n; ++i) row(q + (b * size + at[i]) * width, v + (b * n + i) * width, width);
                };
                for (; b < e; ++b) inner == 1 ? rows_of(one) : rows_of(inner);
            });
        const auto [low, high] = extremes(at, n);
        const auto places = [&](int64_t b, int64_t, int64_t*) { return at + b; };
        const auto soon = [&](int64_t k) { __builtin_prefetch(q + k, 1); };
        if (inner == 1)
            each_by_place(n, low, high + 1, 1, (high - low) * int64_t(sizeof(T)) > kSpreadBytes, places, soon,
                          [&](int64_t i, int64_t k) { row(q + k, v + i, one); });
        else
            each_by_place(n, low, high + 1, inner, false, places, soon,
                          [&](int64_t i, int64_t k) { row(q + k * inner, v + i * inner, inner); });
    };
    if (how == Into::set)
        return by_item_size(itemsize(to.dtype()), [&]<class T>(T z) {
            run(z, [](T* q, const T* v, auto count) {
                if (count == 1) *q = *v;
                else copy_bytes(q, v, count * int64_t(sizeof(T)));
            });
        });
    visit_dtype(to.dtype(), [&]<class T>(T z) {
        run(z, [how](T* q, const T* v, auto count) {
            const auto all = [&](auto how) {
                if (count == 1) {
                    *q = combine(how, *q, *v);
                    return;
                }
#pragma omp simd
                for (int64_t j = 0; j < count; ++j) q[j] = combine(how, q[j], v[j]);
            };
            switch (how) {
                case Into::multiply: return all(std::integral_constant<Into, Into::multiply>());
                case Into::maximum: return all(std::integral_constant<Into, Into::maximum>());
                case Into::minimum: return all(std::integral_constant<Into, Into::minimum>());
                default: return all(std::integral_constant<Into, Into::add>());
            }
        });
    });
}
// What index_add and index_reduce ask of their arguments.
void check_slices(const char* name, const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source) {
    if (index.dim() > 1)
        fail(ErrorKind::Index, name, ": Index is supposed to be a vector, but got dim: ", index.dim(),
             " with type: ", index.dtype(), " and size: ", index.sizes());
    check(index.dtype() == DType::i64 || index.dtype() == DType::i32, name,
          ": Expected dtype int32/int64 for index but got: ", index.dtype());
    check(self.dtype() == source.dtype(), name, ": self (", self.dtype(), ") and source (", source.dtype(),
          ") must have the same scalar type");
    if (dim != 0 && dim >= source.dim())
        fail(ErrorKind::Index, name, ": Indexing dim ", dim, " is out of bounds of the source tensor with dim ",
             source.dim());
    const int64_t length = source.dim() ? source.size(dim) : 1;
    if (!source.dim() && index.numel() != 1) wrap_dim(dim, 0, false);
    check(index.numel() == length, name, ": Number of indices (", index.numel(),
          ") should be equal to source.size(dim): (", length, "), for dim: ", dim);
    bool alike = self.dim() == source.dim();
    for (int64_t d = 0; alike && d < self.dim(); ++d) alike = d == dim || self.size(d) == source.size(d);
    check(alike,
          "source tensor shape must match self tensor shape, excluding the specified dimension. Got self.shape = ",
          self.sizes(), " source.shape = ", source.sizes());
}
Tensor index_add(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, Scalar alpha, Out out) {
    dim = wrap_dim(dim, self.dim());
    check_slices("index_add_()", self, dim, index, source);
    Tensor r = started(self, out);
    const bool scaled = !alpha.equals(1) && source.dtype() == self.dtype();
    slices_into(r, dim, index, scaled ? op<"mul">(source, op<"full">(Dims{}, alpha, source.dtype())) : source,
                Into::add, "index_add");
    return r;
}
Tensor index_copy(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, Out out) {
    dim = wrap_dim(dim, self.dim());
    Tensor r = started(self, out);
    slices_into(r, dim, index, source, Into::set, "index_copy_");
    return r;
}
// v at every named position of a dimension.
void fill_slices(const Tensor& r, int64_t dim, const Tensor& index, Scalar v) {
    const Tensor at = index_vector(index, "index_fill_"), o = at_least_1d(r);
    if (r.is_meta()) return;
    const int64_t n = o.sizes()[size_t(dim)], count = at.numel();
    const int64_t* const places = at.data<int64_t>();
    if (!all_within(places, count, -n, n))
        for (int64_t i = 0; i < count; ++i)
            if (places[i] < -n || places[i] >= n)
                fail(ErrorKind::Index, "index ", places[i], " is out of bounds for dimension ", dim, " with size ", n);
    if (!count || !r.numel()) return;
    const int64_t step = o.strides()[size_t(dim)];
    // Writing one value twice does no harm: positions and lines are shared out over the threads as they come.
    const Tensor one = op<"full">(Dims{1}, v, r.dtype());
    const int64_t item = int64_t(itemsize(r.dtype()));
    Dims rest = o.sizes(), strides = byte_strides(o);
    rest[size_t(dim)] = 1;
    int64_t inner = 1;  // elements of a slice that lie one behind the other
    for (int64_t d = o.dim(); d-- > dim + 1;) {
        if (rest[size_t(d)] != 1 && strides[size_t(d)] != inner * item) break;
        inner *= rest[size_t(d)];
        rest[size_t(d)] = 1;
    }
    by_item_size(size_t(item), [&](auto z) {
        using T = decltype(z);
        const T value = *reinterpret_cast<const T*>(bytes(one));
        const auto set = [&](T* q) {
            if (inner == 1) *q = value;
            else std::fill_n(q, inner, value);
        };
        const auto lines = [&](int64_t b, int64_t e) {
            each_line<1>(
                rest, dim, {bytes(o)}, {strides},
                [&](const auto& p) {
                    T* const q = reinterpret_cast<T*>(p[0]);
                    for (int64_t i = b; i < e; ++i) set(q + (places[i] + (places[i] >> 63 & n)) * step);
                },
                count * inner);
        };
        if (product(rest) > 1) lines(0, count);
        else parallel_for(count, std::max<int64_t>(1, 16384 / inner), lines);
    });
}
Tensor index_fill(const Tensor& self, int64_t dim, const Tensor& index, Operand value, Out out) {
    dim = wrap_dim(dim, self.dim());
    if (value.is_tensor())
        check(value.tensor().dim() == 0, "Only supports 0-dimension value tensor, but got tensor with ",
              value.tensor().dim(), " dimension(s).");
    const Scalar v = !value.is_tensor() ? value.scalar() : value.tensor().is_meta() ? Scalar(0) : value.tensor().item();
    check(!(v.is_complex() && !is_complex(self.dtype())),
          "index_fill_(): Converting complex Scalar to non-complex type is not supported");
    const Tensor r = started(self, out);
    fill_slices(r, dim, index, v);
    return r;
}
Tensor index_reduce(const Tensor& self, int64_t dim, const Tensor& index, const Tensor& source, std::string_view how,
                    bool include_self, Out out) {
    check(how == "prod" || how == "mean" || how == "amax" || how == "amin",
          "index_reduce(): Expected reduce to be one of prod, mean, amax or amin but got ", how, ".");
    dim = wrap_dim(dim, self.dim());
    check_slices("index_reduce_()", self, dim, index, source);
    const Into into = reduction(how);
    const Tensor r = started(self, out);
    if (!include_self) fill_slices(r, dim, index, neutral(r.dtype(), into));
    slices_into(r, dim, index, source, into, "index_reduce_");
    if (into != Into::mean || r.is_meta()) return r;
    Dims shape(size_t(self.dim()), 1);
    if (self.dim()) shape[size_t(dim)] = self.size(dim);
    const Tensor count = op<"full">(shape, Scalar(1), r.dtype());
    const Tensor ones = op<"full">(Dims{index.numel()}, Scalar(1), r.dtype());
    const Tensor flat = op<"reshape">(count, Dims{count.numel()});
    if (!include_self) fill_slices(flat, 0, index, Scalar(0));
    slices_into(flat, 0, index, ones, Into::add, "index_reduce_");
    divide_by_counts(r, count);
    return r;
}
void index_reduce_backward(Back& b) {
    const Tensor source = b.arg(3);
    Dims shape(size_t(source.dim()), 1);
    if (source.dim()) shape[size_t(wrap_dim(b.integer(1), source.dim()))] = b.arg(2).numel();
    reduce_backward(b, op<"expand">(op<"reshape">(b.arg(2).to(DType::i64), shape), source.sizes()));
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
        parallel_for(at.numel(), 4096, [&](int64_t b, int64_t e) {
            for (int64_t i = b; i < e; ++i) to[i] = from[flat_position(k[i], n)];
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
    check(index.numel() == source.numel(),
          "put_(): Expected source and index to have the same number of elements, but got source.numel() = ",
          source.numel(), ", index.numel() = ", index.numel());
    Tensor r = started(self, out);
    if (r.is_meta() || !index.numel()) return r;
    const Tensor flat = dense(r), s = dense(source), at = dense(index);
    visit_dtype(self.dtype(), [&](auto z) {
        using T = decltype(z);
        T* to = flat.data<T>();
        const T* from = s.data<T>();
        const int64_t *k = at.data<int64_t>(), size = self.numel();
        const int64_t n = at.numel();
        if (!all_within(k, n, -size, size))
            for (int64_t i = 0; i < n; ++i) flat_position(k[i], size);
        const auto [first, last] = extremes(k, n);
        each_by_place(
            n, first < 0 ? 0 : first, (first < 0 ? size - 1 : last) + 1, 1, size * int64_t(sizeof(T)) > kSpreadBytes,
            [&](int64_t b, int64_t count, int64_t* room) {
                for (int64_t i = 0; i < count; ++i) room[i] = k[b + i] + (k[b + i] >> 63 & size);
                return static_cast<const int64_t*>(room);
            },
            [&](int64_t i) { __builtin_prefetch(to + i, 1); },
            [&](int64_t i, int64_t place) {
                to[place] = accumulate ? combine(Into::add, to[place], from[i]) : from[i];
            });
    });
    if (flat.get() != r.get()) copy_data(r, flat);
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
            [&](int64_t b, int64_t, int64_t*) { return p + b; }, [&](int64_t k) { __builtin_prefetch(to + k, 1); },
            [&](int64_t, int64_t k) { ++to[k]; });
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
Tensor selected(Back& b) {
    const Tensor g = op<"index_select">(b.g, b.integer(1), b.arg(2));
    return b.sizes(3).empty() ? op<"reshape">(g, Dims{}) : g;
}

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
        .kernel<scatter_src_by>();
    r.add("scatter.value_reduce(Tensor self, int dim, Tensor index, Scalar value, *, str reduce) -> Tensor", "fmio")
        .kernel<scatter_value_by>();
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
    r.add("index_select(Tensor self, int dim, Tensor index) -> Tensor", "fmo")
        .kernel<index_select>()
        .grad("self", "index",
              [](Back& b) { return op<"index_add">(zeros(b.sizes(0), b.g), b.integer(1), b.arg(2), b.g); });
    r.add("index_add(Tensor self, int dim, Tensor index, Tensor source, *, Scalar alpha=1) -> Tensor", "fmio")
        .kernel<index_add>()
        .grad("self", "", [](Back& b) { return b.g; })
        .grad("source", "index",
              [](Back& b) { return b.scalar(4).equals(1) ? selected(b) : op<"mul">(selected(b), b.scalar(4)); });
    r.add("index_copy(Tensor self, int dim, Tensor index, Tensor source) -> Tensor", "fmio")
        .kernel<index_copy>()
        .grad("self", "index", [](Back& b) { return op<"index_fill">(b.g, b.integer(1), b.arg(2), Scalar(0)); })
        .grad("source", "index", selected);
    r.add(
         "index_reduce(Tensor self, int dim, Tensor index, Tensor source, str reduce, *, bool include_self=True) -> "
         "Tensor",
         "fmio")
        .kernel<index_reduce>()
        .grads("self, source", "self, index, source, result", index_reduce_backward);
    r.add("index_fill(Tensor self, int dim, Tensor index, Operand value) -> Tensor", "fmi")
        .kernel<index_fill>()
        .grad("self", "index", [](Back& b) { return op<"index_fill">(b.g, b.integer(1), b.arg(2), Scalar(0)); })
        .grad(
            "value", "index",
            [](Back& b) {  // a position named twice counts once
                return op<"sum">(op<"index_select">(b.g, b.integer(1), std::move(opn<"_unique2">(b.arg(2)).result[0])));
            })
        .node("IndexFillBackward1 0:value");
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
