// Order: sort, topk, kthvalue, median, mode, unique, searchsorted.
#include <algorithm>
#include <functional>
#include <numeric>
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/lines.h"
#include "cpu/radix.h"
#include "cpu/room.h"
#include "cpu/visit.h"

namespace fb {
namespace {
using namespace cpu;

// NaN sorts behind everything.
template <class T>
bool less(const T& a, const T& b) {
    if constexpr (std::is_integral_v<T>) return a < b;
    else return bool((a < b) | ((b != b) & (a == a)));
}
template <class T>
constexpr bool ordered = !std::is_same_v<T, C64> && !std::is_same_v<T, C128>;

// Values are compared as one of four key types that hold every other exactly: fewer sorts to compile.
DType key_type(DType t) {
    if (t == DType::f64 || t == DType::u64) return t;
    return is_floating(t) ? DType::f32 : DType::i64;
}
template <class T>
using KeyValue = std::conditional_t<std::is_same_v<T, double> || std::is_same_v<T, uint64_t>, T,
                                    std::conditional_t<std::is_integral_v<T>, int64_t, float>>;
template <class F>
void visit_key(DType t, const char* name, F&& f) {
    if (is_complex(t)) fail(ErrorKind::NotImplemented, '"', name, "\" not implemented for '", t, "'");
    switch (key_type(t)) {
        case DType::f64: return f(double{});
        case DType::f32: return f(float{});
        case DType::u64: return f(uint64_t{});
        default: return f(int64_t{});
    }
}
template <class F>
void visit_ordered(DType t, const char* name, F&& f) {
    visit_dtype(t, [&](auto z) {
        if constexpr (ordered<decltype(z)>) f(z);
        else fail(ErrorKind::NotImplemented, '"', name, "\" not implemented for '", t, "'");
    });
}

constexpr int64_t kShort = 128;
// Takes every line along `dim` as keys (cpu/radix.h); `place(keys, n, order)` says where those values stand in it that
// `values` has room for.
template <class Key>
using Place = std::function<void(const Key* keys, int64_t n, int64_t* order)>;
template <class K>
void each_keyed(const Tensor& x, int64_t dim, bool descending, const Tensor& values, const Tensor& indices,
                const Place<KeyOf<K>>& place) {
    using Key = KeyOf<K>;
    const int64_t n = x.sizes()[size_t(dim)], k = values.sizes()[size_t(dim)], item = int64_t(itemsize(x.dtype()));
    const Dims bx = byte_strides(x), bv = byte_strides(values), bi = byte_strides(indices);
    const int64_t sx = bx[size_t(dim)], sv = bv[size_t(dim)], si = bi[size_t(dim)];
    if (n <= kShort && sx != item && x.numel() >= 64 * n) {  // short lines that lie across: one behind the other
        const auto last = [dim](const Tensor& t) { return op<"transpose">(t, dim, -1); };
        const Tensor v = empty(last(values).sizes(), values.dtype()), i = empty(v.sizes(), DType::i64);
        each_keyed<K>(dense(last(x)), x.dim() - 1, descending, v, i, place);
        copy_data(values, last(v));
        return copy_data(indices, last(i));
    }
    const Loop read = convert_loop(x.dtype(), dtype_of<K>::value);
    const Key flip = descending ? ~Key(0) : Key(0);
    if (n <= kShort && x->contiguous && values->contiguous && indices->contiguous && x.numel() && k &&
        product(IntSpan(x.sizes()).subspan(size_t(dim) + 1)) == 1) {
        // Short lines one behind the other: many of them become keys at once.
        parallel_for(x.numel() / n, std::max<int64_t>(1, 1024 / n), [&](int64_t begin, int64_t end) {
            constexpr int64_t kRoom = 1024;
            K lines[kRoom];
            int64_t order[kShort];
            for (int64_t count; begin < end; begin += count) {
                count = std::min(kRoom / n, end - begin);
                char* const from[2] = {reinterpret_cast<char*>(lines), bytes(x) + begin * n * item};
                const int64_t in[2] = {int64_t(sizeof(K)), item};
                read(from, in, count * n, nullptr);
                to_keys(lines, count * n, flip);
                by_item_size(size_t(item), [&](auto z) {
                    using T = decltype(z);
                    const T* p = reinterpret_cast<const T*>(from[1]);
                    T* v = reinterpret_cast<T*>(bytes(values)) + begin * k;
                    int64_t* to = indices.data<int64_t>() + begin * k;
                    for (int64_t r = 0; r < count; ++r, p += n, v += k, to += k) {
                        place(reinterpret_cast<Key*>(lines) + r * n, n, order);
                        for (int64_t i = 0; i < k; ++i) {
                            to[i] = order[i];
                            v[i] = p[order[i]];
                        }
                    }
                });
            }
        });
        return;
    }
    each_line<3>(
        x.sizes(), dim, {bytes(x), bytes(values), bytes(indices)}, {bx, bv, bi},
        [&](const auto& p) {
            const Room<K> line(n);
            const Room<int64_t> order(k);
            Key* const keys = reinterpret_cast<Key*>(line.get());
            parallel_for(n, 65536, [&](int64_t b, int64_t e) {
                char* const from[2] = {reinterpret_cast<char*>(line.get() + b), p[0] + b * sx};
                const int64_t in[2] = {int64_t(sizeof(K)), sx};
                read(from, in, e - b, nullptr);
                to_keys(line.get() + b, e - b, flip);
            });
            place(keys, n, order.get());
            by_item_size(size_t(item), [&](auto z) {
                using T = decltype(z);
                parallel_for(k, 32768, [&](int64_t b, int64_t e) {
                    for (int64_t i = b; i < e; ++i) {
                        *reinterpret_cast<int64_t*>(p[2] + i * si) = order[i];
                        *reinterpret_cast<T*>(p[1] + i * sv) = *reinterpret_cast<const T*>(p[0] + order[i] * sx);
                    }
                });
            });
        },
        16);
}

// Bytes are counted: their values and places follow from where each value begins.
void sort_bytes(const Tensor& x, int64_t dim, bool descending, const Tensor& values, const Tensor& indices) {
    const Dims bx = byte_strides(x), bv = byte_strides(values), bi = byte_strides(indices);
    const int64_t n = x.sizes()[size_t(dim)], sx = bx[size_t(dim)], sv = bv[size_t(dim)], si = bi[size_t(dim)];
    const uint8_t flip = uint8_t((x.dtype() == DType::i8 ? 0x80 : 0) ^ (descending ? 0xff : 0));
    each_line<3>(
        x.sizes(), dim, {bytes(x), bytes(values), bytes(indices)}, {bx, bv, bi},
        [&](const auto& p) {
            int64_t next[256] = {};
            char *const to = p[1], *const place = p[2];
            const auto key = [from = p[0], sx, flip](int64_t i) { return uint8_t(uint8_t(from[i * sx]) ^ flip); };
            for (int64_t i = 0; i < n; ++i) ++next[key(i)];
            int64_t begin = 0;
            for (int k = 0; k < 256; ++k) {
                const int64_t end = begin + next[k];
                next[k] = begin;
                for (; begin < end; ++begin) to[begin * sv] = char(uint8_t(k) ^ flip);
            }
            for (int64_t i = 0; i < n; ++i) *reinterpret_cast<int64_t*>(place + next[key(i)]++ * si) = i;
        },
        4);
}
std::tuple<Tensor, Tensor> sort(const Tensor& x, const Value&, int64_t dim, bool descending, Out out) {
    dim = wrap_dim(dim, x.dim());
    Tensor values = out.given() ? out.result(x.sizes(), x.dtype(), x.device()) : empty_like(x);
    Tensor indices = out.given() ? out.at(1).result(x.sizes(), DType::i64, x.device()) : empty_like(x, DType::i64);
    check(!is_complex(x.dtype()), " Sort does not support complex dtypes on CPU");
    if (x.is_meta() || !x.numel()) return {values, indices};
    const Tensor a = at_least_1d(x), v = at_least_1d(values), i = at_least_1d(indices);
    if (is_integral(x.dtype(), true) && itemsize(x.dtype()) == 1 && a.sizes()[size_t(dim)] > kShort) {
        sort_bytes(a, dim, descending, v, i);
        return {values, indices};
    }
    visit_key(x.dtype(), "sort", [&](auto z) {
        using T = decltype(z);
        each_keyed<T>(a, dim, descending, v, i,
                      [](const auto* keys, int64_t n, int64_t* order) { radix_order(keys, n, order); });
    });
    return {values, indices};
}
std::tuple<Tensor, Tensor> sort_default(const Tensor& x, int64_t dim, bool descending, Out out) {
    return sort(x, Value(), dim, descending, out);
}
Tensor msort(const Tensor& x) { return std::move(opn<"sort">(x, 0, false).result[0]); }
Tensor argsort(const Tensor& x, int64_t dim, bool descending) {
    return std::move(opn<"sort">(x, dim, descending).result[1]);
}
Tensor argsort_stable(const Tensor& x, bool, int64_t dim, bool descending) { return argsort(x, dim, descending); }

std::tuple<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool sorted, Out out) {
    dim = wrap_dim(dim, x.dim());
    const int64_t n = x.dim() ? x.sizes()[size_t(dim)] : 1;
    check(k >= 0 && k <= n, "selected index k out of range");
    Dims shape = x.sizes();
    if (x.dim()) shape[size_t(dim)] = k;
    else k = 1;  // PyTorch gives the number even where none is asked for
    Tensor values = out.result(shape, x.dtype(), x.device()), indices = out.at(1).result(shape, DType::i64, x.device());
    if (x.is_meta() || !values.numel()) return {values, indices};
    const Tensor a = at_least_1d(x), v = at_least_1d(values), i = at_least_1d(indices);
    check(!is_complex(x.dtype()), " topk does not support complex dtypes on CPU");
    check(x.dtype() != DType::b1, "topk does not support bool dtypes on CPU");
    visit_key(x.dtype(), "topk_cpu", [&](auto z) {
        using T = decltype(z);
        each_keyed<T>(a, dim, largest, v, i,
                      [&](const auto* keys, int64_t n, int64_t* order) { smallest_order(keys, n, k, sorted, order); });
    });
    return {values, indices};
}

// One value of each line: kthvalue, median, mode. `find(keys, n)` says where it stands.
template <class Find>
std::tuple<Tensor, Tensor> one_of_line(const char* name, const Tensor& x, int64_t dim, bool keepdim, const Out& out,
                                       Find&& find) {
    dim = wrap_dim(dim, x.dim());
    Dims shape = x.sizes();
    if (x.dim()) {
        if (shape[size_t(dim)] == 0)
            fail(ErrorKind::Index, name, "(): Expected reduction dim ", dim, " to have non-zero size.");
        shape[size_t(dim)] = 1;
    }
    Tensor values = empty(shape, x.dtype(), x.device()), indices = empty(shape, DType::i64, x.device());
    if (!x.is_meta() && values.numel()) {
        const Tensor a = at_least_1d(x), v = at_least_1d(values), i = at_least_1d(indices);
        if (is_complex(x.dtype()))
            no_kernel(str(std::string_view(name).ends_with("median") ? "median" : name, "_cpu").c_str(), x.dtype());
        visit_key(x.dtype(), name, [&](auto z) {
            each_keyed<decltype(z)>(a, dim, false, v, i,
                                    [&](const auto* keys, int64_t n, int64_t* order) { order[0] = find(keys, n); });
        });
    }
    if (!keepdim && x.dim()) {
        shape.erase(size_t(dim));
        values->set_contiguous(shape);
        indices->set_contiguous(shape);
    }
    if (out.given()) {
        Tensor v = out.result(shape, x.dtype(), x.device()), i = out.at(1).result(shape, DType::i64, x.device());
        copy_data(v, values);
        copy_data(i, indices);
        return {v, i};
    }
    return {values, indices};
}
std::tuple<Tensor, Tensor> kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim, Out out) {
    const int64_t n = x.dim() ? x.size(dim) : 1;
    if (x.dtype() == DType::b1) no_kernel("kthvalue_cpu", x.dtype());
    check(k >= 1 && k <= n, "kthvalue(): selected number k out of range for dimension ",
          x.dim() ? wrap_dim(dim, x.dim()) : 0);
    return one_of_line("kthvalue", x, dim, keepdim, out,
                       [&](const auto* keys, int64_t n) { return radix_place(keys, n, k - 1); });
}
std::tuple<Tensor, Tensor> median_by(const char* name, const Tensor& x, int64_t dim, bool keepdim, const Out& out,
                                     bool ignore_nan) {
    const bool may_be_nan = is_floating(x.dtype());
    return one_of_line(name, x, dim, keepdim, out, [=](const auto* keys, int64_t n) -> int64_t {
        const auto nan = std::decay_t<decltype(keys[0])>(~std::decay_t<decltype(keys[0])>(0));
        const int64_t nans = may_be_nan ? std::count(keys, keys + n, nan) : 0;
        if (nans && !ignore_nan) return std::find(keys, keys + n, nan) - keys;
        return nans == n ? 0 : radix_place(keys, n, (n - nans - 1) / 2);
    });
}
std::tuple<Tensor, Tensor> median_dim(const Tensor& x, int64_t d, bool k, Out out) {
    if (x.dtype() == DType::b1) no_kernel("median_out", x.dtype());
    return median_by("median", x, d, k, out, false);
}
std::tuple<Tensor, Tensor> nanmedian_dim(const Tensor& x, int64_t d, bool k, Out out) {
    if (x.dtype() == DType::b1) no_kernel("median_out", x.dtype());
    return median_by("nanmedian", x, d, k, out, true);
}
Tensor empty_median(const Tensor& x) {
    Tensor r = empty({}, x.dtype());
    fill(r, is_integral(x.dtype(), true) ? Scalar(INT64_MIN) : Scalar(__builtin_nan("")));
    return r;
}
Tensor median(const Tensor& x) {
    if (x.dtype() == DType::b1) no_kernel("median_cpu", x.dtype());
    return x.numel() ? std::get<0>(median_dim(dense(op<"reshape">(x, Dims{-1})), 0, false, Out())) : empty_median(x);
}
Tensor nanmedian(const Tensor& x) {
    if (x.dtype() == DType::b1) no_kernel("median_cpu", x.dtype());
    return x.numel() ? std::get<0>(nanmedian_dim(dense(op<"reshape">(x, Dims{-1})), 0, false, Out())) : empty_median(x);
}
// The gradient of one value found anywhere: to where it stands (the first such place is enough, as PyTorch shares among
// equals).
Tensor found_backward(Back& b) {
    const Tensor x = b.arg(0), v = b.result();
    const Tensor mask = op<"logical_or">(op<"eq">(x, v), op<"logical_and">(op<"isnan">(x), op<"isnan">(v)));
    return op<"mul">(op<"div">(b.g, op<"sum">(mask)), mask);
}
std::tuple<Tensor, Tensor> mode(const Tensor& x, int64_t dim, bool keepdim, Out out) {
    return one_of_line("mode", x, dim, keepdim, out, [](const auto* keys, int64_t n) {
        int64_t near[kShort];
        std::vector<int64_t> far(n > kShort ? size_t(n) : 0);
        int64_t* const order = far.empty() ? near : far.data();
        radix_order(keys, n, order);
        int64_t best = 0, longest = 0;
        for (int64_t i = 0; i < n;) {
            int64_t j = i;
            while (j < n && keys[order[j]] == keys[order[i]]) ++j;
            if (j - i > longest) {
                longest = j - i;
                best = order[j - 1];
            }
            i = j;
        }
        return best;
    });
}
Tensor value_backward(Back& b, int dim, int keepdim) {
    return op<"value_selecting_reduction_backward">(b.grad(0), b.integer(dim), b.result(1), b.sizes(0),
                                                    keepdim < 0 || b.flag(keepdim));
}

// ---------------------------------------------------------------- unique
// Whole numbers that lie close together are counted in a table. False where they do not.
template <class T>
bool count_unique(const T* p, int64_t n, DType type, Tensor& values, const Tensor& inverse,
                  std::vector<int64_t>& count) {
    const auto [low, high] = std::minmax_element(p, p + n);
    const T least = *low;
    const uint64_t range = uint64_t(*high) - uint64_t(least);
    if (range > uint64_t(std::max<int64_t>(n, 1024))) return false;
    std::vector<int64_t> table(size_t(range) + 1, 0);
    const auto slot = [&](T v) { return size_t(uint64_t(v) - uint64_t(least)); };
    for (int64_t i = 0; i < n; ++i) ++table[slot(p[i])];
    int64_t found = 0;
    for (int64_t times : table) found += times > 0;
    values = empty(Dims{found}, type);
    count.reserve(size_t(found));
    for (size_t k = 0; k < table.size(); ++k) {
        if (!table[k]) continue;
        values.data<T>()[count.size()] = T(uint64_t(least) + k);
        count.push_back(table[k]);
        table[k] = int64_t(count.size()) - 1;
    }
    if (int64_t* to = inverse.numel() ? inverse.data<int64_t>() : nullptr)
        parallel_for(n, 32768, [&](int64_t b, int64_t e) {
            for (int64_t i = b; i < e; ++i) to[i] = table[slot(p[i])];
        });
    return true;
}

// How many of n values differ from the one before.
template <class T>
int64_t changes(const T* p, int64_t n) {
    if constexpr (std::is_integral_v<T> && sizeof(T) == 8) {
        return position_loops().changes(reinterpret_cast<const uint64_t*>(p), n);
    } else if constexpr (std::is_same_v<T, double>) {
        return position_loops().changes_of_doubles(p, n);
    } else {
        int32_t some = 0;  // as wide as most values: registers of both have as many
#pragma omp simd reduction(+ : some)
        for (int64_t j = 0; j < n; ++j) some += !(p[j] == p[j - 1]);
        return some;
    }
}
// Values that differ from the one before: counted in parts, then written, a part on each thread.
template <class T>
void unique_neighbours(const Tensor& x, const T* p, Tensor& values, const Tensor& inverse, Tensor& counts,
                       bool want_inverse, bool want_counts) {
    const int64_t n = x.numel(), parts = n < 32768 ? 1 : num_threads(), each = (n + parts - 1) / parts;
    const Room<int64_t> start(want_counts ? n + 1 : 0);  // every part's begin where the part does
    std::vector<int64_t> first(size_t(parts) + 1, 0);    // found before each part
    int64_t* const where = want_inverse ? inverse.data<int64_t>() : nullptr;
    parallel_for(parts, 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
            const int64_t begin = std::min(n, b * each), end = std::min(n, begin + each);
            int64_t k = begin == 0 && n;
            for (int64_t i = std::max<int64_t>(1, begin), last; i < end; i = last) {
                last = std::min(end, i + 4096);
                k += changes(p + i, last - i);
            }
            first[size_t(b) + 1] = k;
        }
    });
    for (size_t k = 1; k < first.size(); ++k) first[k] += first[k - 1];
    values = empty(Dims{first.back()}, x.dtype());
    counts = empty(Dims{want_counts ? first.back() : 0}, DType::i64);
    parallel_for(parts, 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
            const int64_t begin = std::min(n, b * each), end = std::min(n, begin + each);
            const int64_t found = first[size_t(b) + 1] - first[size_t(b)];
            T* const to = values.data<T>() + first[size_t(b)];
            // Blocks of one run, and of values that all differ, are known by their number of changes.
            const auto walk = [&](auto&& note) {
                int64_t k = 0, i = begin;
                if (i == 0 && n) to[0] = p[0], note(0, 0), ++k, ++i;
                for (int64_t stop; k < found; i = stop) {
                    stop = std::min(end, i + 64);
                    const int64_t some = changes(p + i, stop - i);
                    if (some == stop - i) {
                        copy_bytes(to + k, p + i, some * int64_t(sizeof(T)));
                        for (int64_t j = i; j < stop; ++j) note(j, k++);
                    } else if (some) {
                        // Written before it is known to stay, as long as there is room: no branch to guess.
                        T last = p[i - 1];  // not read again: it could wait for the writing
                        for (int64_t j = i; k < found && j < stop; ++j) {
                            const T v = p[j];
                            to[k] = v;
                            note(j, k);
                            k += !(v == last);
                            last = v;
                        }
                    }
                }
            };
            if (want_counts) walk([from = start.get() + begin](int64_t i, int64_t k) { from[k] = i; });
            else walk([](int64_t, int64_t) {});
            if (!where) continue;
            int64_t k = first[size_t(b)], i = begin;
            if (i == 0 && n) where[i++] = k++;
            for (--k; i < end; ++i) where[i] = k += !(p[i] == p[i - 1]);
        }
    });
    parallel_for(parts, 1, [&](int64_t b, int64_t e) {  // the distance to where the next one starts
        for (; want_counts && b < e; ++b) {
            const int64_t from = first[size_t(b)], found = first[size_t(b) + 1] - from;
            const int64_t* const at = start.get() + std::min(n, b * each);
            int64_t* const to = counts.data<int64_t>() + from;
            for (int64_t k = 0; k + 1 < found; ++k) to[k] = at[k + 1] - at[k];
            int64_t next = b + 1;
            while (next < parts && first[size_t(next) + 1] == first[size_t(next)]) ++next;
            if (found) to[found - 1] = (next < parts ? start[std::min(n, next * each)] : n) - at[found - 1];
        }
    });
}
// Values are told apart as one of few types, which hold the others exactly.
DType unique_type(DType t) {
    if (is_low_precision(t)) return DType::f32;
    const bool small = t == DType::b1 || t == DType::i8 || t == DType::i16 || t == DType::u16;
    return small ? DType::i32 : t == DType::u32 ? DType::i64 : t;
}
template <class F>
void visit_unique(DType t, F&& f) {
    if (!cpu::visit_one_of<uint8_t, int32_t, int64_t, uint64_t, float, double, C64, C128>(t, f)) no_kernel("unique", t);
}
std::tuple<Tensor, Tensor, Tensor> unique_flat(const Tensor& x0, bool, bool want_inverse, bool want_counts,
                                               bool consecutive) {
    check(!x0.is_meta(), "unique: the result's shape depends on data, which a meta tensor does not have");
    if (const DType wider = unique_type(x0.dtype()); wider != x0.dtype()) {
        auto [values, inverse, counts] = unique_flat(convert(x0, wider), true, want_inverse, want_counts, consecutive);
        return {convert(values, x0.dtype()), inverse, counts};
    }
    const Tensor x = dense(x0);
    const int64_t n = x.numel();
    Tensor values, inverse = empty(want_inverse ? IntSpan(x.sizes()) : IntSpan(Dims{0}), DType::i64), counts;
    std::vector<int64_t> count;
    visit_unique(x.dtype(), [&](auto z) {
        using T = decltype(z);
        const T* p = x.data<T>();
        if constexpr (std::is_integral_v<T>) {
            if (!consecutive && n && count_unique(p, n, x.dtype(), values, inverse, count)) return;
        }
        if (consecutive) return unique_neighbours(x, p, values, inverse, counts, want_inverse, want_counts);
        std::vector<int64_t> order(static_cast<size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        if constexpr (ordered<T>) {
            {
                const Room<KeyOf<KeyValue<T>>> keys(n);
                for (int64_t i = 0; i < n; ++i) keys[i] = sort_key(KeyValue<T>(p[i]));
                radix_order(keys.get(), n, order.data());
            }
        } else {
            std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
                return p[a].re < p[b].re || (p[a].re == p[b].re && p[a].im < p[b].im);
            });
        }
        std::vector<T> found;
        for (int64_t i = 0; i < n; ++i) {
            const T v = p[order[size_t(i)]];
            if (found.empty() || !(found.back() == v)) {
                found.push_back(v);
                count.push_back(0);
            }
            ++count.back();
            if (want_inverse) inverse.data<int64_t>()[order[size_t(i)]] = int64_t(found.size()) - 1;
        }
        values = empty(Dims{int64_t(found.size())}, x.dtype());
        std::copy(found.begin(), found.end(), values.data<T>());
    });
    if (consecutive) return {values, inverse, counts};
    counts = empty(Dims{want_counts ? int64_t(count.size()) : 0}, DType::i64);
    if (want_counts) std::copy(count.begin(), count.end(), counts.data<int64_t>());
    return {values, inverse, counts};
}
std::tuple<Tensor, Tensor, Tensor> unique2(const Tensor& x, bool sorted, bool inverse, bool counts) {
    return unique_flat(x, sorted, inverse, counts, false);
}
// Slices along a dimension, compared as wholes.
std::tuple<Tensor, Tensor, Tensor> unique_slices(const Tensor& x, int64_t dim, bool want_inverse, bool want_counts,
                                                 bool consecutive) {
    dim = wrap_dim(dim, x.dim(), false);
    check(!x.is_meta(), "unique: the result's shape depends on data, which a meta tensor does not have");
    const DType t = x.dtype(), key = is_complex(t) ? t : key_type(t);
    const Tensor moved = op<"movedim">(x, Dims{dim}, Dims{0}), rows = dense(t == key ? moved : convert(moved, key));
    const int64_t n = rows.sizes()[0], width = n ? rows.numel() / n : 0;
    if (rows.numel() == 0) {
        int64_t zeros = 0;
        for (int64_t s : rows.sizes()) zeros += s == 0;
        check(zeros <= 1, "Number of zero sized dimensions is more than one, so unique cannot be applied ");
        check(n == 0, "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied");
    }
    std::vector<int64_t> order(static_cast<size_t>(n)), first, count;
    std::iota(order.begin(), order.end(), 0);
    Tensor inverse = empty(Dims{n}, DType::i64);
    const auto sort = [&order](const std::function<bool(int64_t, int64_t)>& before) {
        std::stable_sort(order.begin(), order.end(), [&before](int64_t a, int64_t b) { return before(a, b); });
    };
    const auto compare = [&](auto z) {
        using T = decltype(z);
        const T* p = rows.data<T>();
        if constexpr (ordered<T>) {
            if (!consecutive)
                sort([=](int64_t a, int64_t b) {
                    return std::lexicographical_compare(p + a * width, p + (a + 1) * width, p + b * width,
                                                        p + (b + 1) * width, less<T>);
                });
        }
        for (int64_t i = 0; i < n; ++i) {
            const int64_t k = order[size_t(i)];
            if (first.empty() || !std::equal(p + k * width, p + (k + 1) * width, p + first.back() * width,
                                             [](const T& a, const T& b) { return a == b; })) {
                first.push_back(k);
                count.push_back(0);
            }
            ++count.back();
            inverse.data<int64_t>()[k] = int64_t(first.size()) - 1;
        }
    };
    if (t == DType::c64) compare(C64{});
    else if (t == DType::c128) compare(C128{});
    else visit_key(t, "unique_dim", compare);
    Tensor at = empty(Dims{int64_t(first.size())}, DType::i64),
           counts = empty(Dims{want_counts ? int64_t(first.size()) : 0}, DType::i64);
    std::copy(first.begin(), first.end(), at.data<int64_t>());
    if (want_counts) std::copy(count.begin(), count.end(), counts.data<int64_t>());
    return {op<"index_select">(x, dim, at), want_inverse ? inverse : empty(Dims{0}, DType::i64), counts};
}
std::tuple<Tensor, Tensor, Tensor> unique_dim(const Tensor& x, int64_t dim, bool, bool inverse, bool counts) {
    if (is_complex(x.dtype())) no_kernel("unique_dim", x.dtype());
    return unique_slices(x, dim, inverse, counts, false);
}
std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& x, bool inverse, bool counts,
                                                      std::optional<int64_t> dim) {
    return dim ? unique_slices(x, *dim, inverse, counts, true) : unique_flat(x, true, inverse, counts, true);
}

// ---------------------------------------------------------------- searchsorted
// How many of a row's values come before each of some places: halving without branches, for several at a time, whose
// waits for memory then overlap.
template <class T, class Before>
void bounds(const T* row, int64_t n, const T* places, int64_t count, int64_t* to, Before&& before) {
    constexpr int64_t kTogether = 16;
    for (int64_t i = 0; i < count; i += kTogether) {
        const int64_t some = std::min(kTogether, count - i);
        const T* from[kTogether];
        std::fill_n(from, some, row);
        for (int64_t left = n; left > 0; left -= (left + 1) / 2) {
            const int64_t half = (left + 1) / 2;
            for (int64_t k = 0; k < some; ++k) from[k] += half & -int64_t(before(from[k][half - 1], places[i + k]));
        }
        for (int64_t k = 0; k < some; ++k) to[i + k] = from[k] - row;
    }
}
Tensor searchsorted(const Tensor& sequence, Operand self, bool int32, bool right, std::string_view side,
                    const Tensor& sorter, Out out) {
    check(side.empty() || side == "left" || side == "right",
          "torch.searchsorted(): side can only be 'left' or 'right' but got ", side);
    check(!(side == "left" && right),
          "torch.searchsorted(): side and right can't be set to opposites, got side of left while right was True");
    if (side == "right") right = true;
    const Tensor x = self.is_tensor() ? self.tensor() : scalar_tensor(self.scalar(), sequence.dtype());
    check(sequence.dim() > 0,
          "torch.searchsorted(): boundaries tensor should have positive dimension, but got 0 dimension");
    if (sequence.dim() != 1) {
        check(
            x.dim() || x.numel() != 1,
            "torch.searchsorted(): input value can be a scalar only when boundaries tensor dimension is 1, but we got "
            "boundaries tensor dim(",
            sequence.dim(), ") and input value's dim(", x.dim(), ") numel(", x.numel(), ")");
        check(x.dim() == sequence.dim() && same(IntSpan(x.sizes()).first(size_t(x.dim() - 1)),
                                                IntSpan(sequence.sizes()).first(size_t(sequence.dim() - 1))),
              "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
              "tensor and input value tensor must match, but we got boundaries tensor ",
              sequence.sizes(), " and input value tensor ", x.sizes());
    }
    if (sorter.defined()) {
        check(same(sorter.sizes(), sequence.sizes()),
              "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor ",
              sequence.sizes(), "and got sorter tensor ", sorter.sizes());
        check(sorter.dtype() == DType::i64,
              "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype ", name(sorter.dtype()));
    }
    if (const Tensor* given = out.given())
        check(
            given->dtype() == (int32 ? DType::i32 : DType::i64),
            "torch.searchsorted(): output tensor's dtype is wrong, it can only be Int(int32) or Long(int64) depending "
            "on whether out_int32 flag is True, but we got output tensor's dtype ",
            given->dtype(), " and out_int32 flag is ", int32 ? "True" : "False");
    Tensor r = out.result(x.sizes(), int32 ? DType::i32 : DType::i64,
                          sequence.is_meta() || (sorter.defined() && sorter.is_meta()) ? kMeta : x.device());
    if (r.is_meta() || !r.numel()) return r;
    if (sequence.dim() == 1 && !sequence.numel()) {
        fill(r, Scalar(0));
        return r;
    }
    const DType common = promote(sequence.dtype(), x.dtype());
    if (common == DType::b1) no_kernel("searchsorted_out_cpu", common);
    check(!x.is_meta(), "torch.searchsorted(): a meta tensor has no values to look for");
    Tensor s = dense(sequence.to(common));
    if (sorter.defined()) s = dense(op<"gather">(s, -1, sorter));
    const Tensor v = dense(x.dtype() == s.dtype() ? x : convert(x, s.dtype()));
    const Tensor dst = empty(r.sizes(), DType::i64);
    const int64_t n = s.sizes().back(), per_row = sequence.dim() == 1 ? v.numel() : x.sizes().back();
    visit_ordered(s.dtype(), "searchsorted_out_cpu", [&](auto z) {
        using T = decltype(z);
        const T *b = s.data<T>(), *p = v.data<T>();
        int64_t* o = dst.data<int64_t>();
        parallel_for(v.numel(), 2048, [&](int64_t from, int64_t to) {
            while (from < to) {
                const T* row = sequence.dim() == 1 ? b : b + from / per_row * n;
                const int64_t count = std::min(to - from, per_row - from % per_row);
                // a NaN among the boundaries lies before every number, as in PyTorch
                if (right) bounds(row, n, p + from, count, o + from, [](T v, T x) { return !(v > x); });
                else bounds(row, n, p + from, count, o + from, [](T v, T x) { return !(v >= x); });
                from += count;
            }
        });
    });
    copy_data(r, dst);
    return r;
}
Tensor bucketize(Operand self, const Tensor& boundaries, bool int32, bool right, Out out) {
    check(boundaries.dim() == 1, "boundaries tensor must be 1 dimension, but got dim(", boundaries.dim(), ")");
    return searchsorted(boundaries, self, int32, right, "", Tensor(), out);
}

const Family order([](Registry& r) {
    r.add("sort(Tensor self, int dim=-1, bool descending=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<sort_default>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 1, -1); });
    r.add(
         "sort.stable(Tensor self, *, bool? stable, int dim=-1, bool descending=False) -> (Tensor values, Tensor "
         "indices)",
         "fmo")
        .kernel<sort>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 2, -1); })
        .node("SortBackward1");
    r.add("msort(Tensor self) -> Tensor", "fmo").kernel<msort>();
    r.add("argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor", "fm").kernel<argsort>();
    r.add("argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor", "fmo")
        .kernel<argsort_stable>();
    r.add(
         "topk(Tensor self, int k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
         "fmo")
        .kernel<topk>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 2, -1); });
    r.add("kthvalue(Tensor self, int k, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<kthvalue>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 2, 3); });
    r.add("median(Tensor self) -> Tensor", "fm").kernel<median>().grad("self", "self, result", found_backward);
    r.add("median.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<median_dim>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 1, 2); })
        .node("MedianBackward1");
    r.add("nanmedian(Tensor self) -> Tensor", "fm").kernel<nanmedian>().grad("self", "self, result", found_backward);
    r.add("nanmedian.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<nanmedian_dim>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 1, 2); })
        .node("NanmedianBackward1");
    r.add("mode(Tensor self, int dim=-1, bool keepdim=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<mode>()
        .grad("self", "result1", [](Back& b) { return value_backward(b, 1, 2); });
    r.add(
         "_unique2(Tensor self, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> (Tensor, "
         "Tensor, Tensor)",
         "f")
        .kernel<unique2>()
        .node("Unique2Backward0")
        .grads("self", "", no_derivative);
    r.add(
         "unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> "
         "(Tensor, Tensor, Tensor)",
         "")
        .kernel<unique_dim>()
        .grads("self", "", no_derivative);
    r.add(
         "_unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) -> "
         "(Tensor, Tensor, Tensor)",
         "f")
        .kernel<unique_consecutive>()
        .node("UniqueConsecutiveBackward0")
        .grads("self", "", no_derivative);
    r.add(
         "searchsorted(Tensor sorted_sequence, Operand self, *, bool out_int32=False, bool right=False, str? "
         "side=None, Tensor? sorter=None) -> Tensor",
         "fo")
        .kernel<searchsorted>();
    r.add("bucketize(Operand self, Tensor boundaries, *, bool out_int32=False, bool right=False) -> Tensor", "fo")
        .kernel<bucketize>();
});

}  // namespace
}  // namespace fb
