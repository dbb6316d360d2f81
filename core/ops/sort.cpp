// Order: sort, topk, kthvalue, median, mode, unique, searchsorted.
#include <algorithm>
#include <numeric>
#include "autograd/back.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

// NaN sorts behind everything.
template <class T>
bool less(const T& a, const T& b) {
    if constexpr (std::is_integral_v<T>) return a < b;
    else if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) return less(float(a), float(b));
    else return a < b || (b != b && a == a);
}
template <class T>
constexpr bool ordered = !std::is_same_v<T, C64> && !std::is_same_v<T, C128>;

// Values are compared as one of four key types that hold every other exactly: fewer sorts to compile.
DType key_type(DType t) {
    if (t == DType::f64 || t == DType::u64) return t;
    return is_floating(t) ? DType::f32 : DType::i64;
}
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

template <class K>
struct Entry {
    K value;
    int64_t index;
};

// Reads every line along `dim` as keys with their positions, lets `order` arrange them, and writes as many as `values`
// has room for.
template <class K, class F>
void each_sorted(const Tensor& x, int64_t dim, bool descending, const Tensor& values, const Tensor& indices,
                 F&& order) {
    const int64_t n = x.sizes()[size_t(dim)];
    const Dims bx = byte_strides(x), bv = byte_strides(values), bi = byte_strides(indices);
    const int64_t sx = bx[size_t(dim)], sv = bv[size_t(dim)], si = bi[size_t(dim)], k = values.sizes()[size_t(dim)];
    const Loop read = convert_loop(x.dtype(), dtype_of<K>::value), write = convert_loop(dtype_of<K>::value, x.dtype());
    each_line<3>(
        x.sizes(), dim, {bytes(x), bytes(values), bytes(indices)}, {bx, bv, bi},
        [&](const auto& p) {
            std::vector<K> keys(static_cast<size_t>(n));
            std::vector<Entry<K>> line(static_cast<size_t>(n));
            char* const from[2] = {reinterpret_cast<char*>(keys.data()), p[0]};
            const int64_t in[2] = {int64_t(sizeof(K)), sx};
            read(from, in, n, nullptr);
            for (int64_t i = 0; i < n; ++i) line[size_t(i)] = {keys[size_t(i)], i};
            auto before = [&](const Entry<K>& a, const Entry<K>& b) {
                return descending ? less(b.value, a.value) : less(a.value, b.value);
            };
            order(line, before);
            for (int64_t i = 0; i < k; ++i) {
                keys[size_t(i)] = line[size_t(i)].value;
                *reinterpret_cast<int64_t*>(p[2] + i * si) = line[size_t(i)].index;
            }
            char* const to[2] = {p[1], reinterpret_cast<char*>(keys.data())};
            const int64_t out[2] = {sv, int64_t(sizeof(K))};
            write(to, out, k, nullptr);
        },
        16);
}

std::tuple<Tensor, Tensor> sort(const Tensor& x, const Value&, int64_t dim, bool descending, Out out) {
    dim = wrap_dim(dim, x.dim());
    Tensor values = out.given() ? out.result(x.sizes(), x.dtype(), x.device()) : empty_like(x);
    Tensor indices = out.given() ? out.at(1).result(x.sizes(), DType::i64, x.device()) : empty_like(x, DType::i64);
    check(!is_complex(x.dtype()), "Sort does not support complex dtypes on CPU");
    if (x.is_meta() || !x.numel()) return {values, indices};
    const Tensor a = at_least_1d(x), v = at_least_1d(values), i = at_least_1d(indices);
    visit_key(x.dtype(), "sort", [&](auto z) {
        using T = decltype(z);
        each_sorted<T>(a, dim, descending, v, i,
                       [](auto& line, auto&& before) { std::stable_sort(line.begin(), line.end(), before); });
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
Tensor argsort_stable(const Tensor& x, bool, int64_t dim, bool descending) {
    return std::move(opn<"sort">(x, dim, descending).result[1]);
}

std::tuple<Tensor, Tensor> topk(const Tensor& x, int64_t k, int64_t dim, bool largest, bool sorted, Out out) {
    dim = wrap_dim(dim, x.dim());
    const int64_t n = x.dim() ? x.sizes()[size_t(dim)] : 1;
    check(k >= 0 && k <= n, "selected index k out of range");
    Dims shape = x.sizes();
    if (x.dim()) shape[size_t(dim)] = k;
    Tensor values = out.result(shape, x.dtype(), x.device()), indices = out.at(1).result(shape, DType::i64, x.device());
    if (x.is_meta() || !values.numel()) return {values, indices};
    const Tensor a = at_least_1d(x), v = at_least_1d(values), i = at_least_1d(indices);
    visit_key(x.dtype(), "topk_cpu", [&](auto z) {
        using T = decltype(z);
        each_sorted<T>(a, dim, largest, v, i, [&](auto& line, auto&& before) {
            if (k * 64 <= n) {
                std::partial_sort(line.begin(), line.begin() + k, line.end(), before);
            } else {
                if (k < n) std::nth_element(line.begin(), line.begin() + k, line.end(), before);
                if (sorted) std::sort(line.begin(), line.begin() + k, before);
            }
        });
    });
    return {values, indices};
}

// One value of each line: kthvalue, median, mode. `pick` reorders the line and says which entry it is.
template <class Pick>
std::tuple<Tensor, Tensor> one_of_line(const char* name, const Tensor& x, int64_t dim, bool keepdim, const Out& out,
                                       Pick&& pick) {
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
        visit_key(x.dtype(), name, [&](auto z) {
            using T = decltype(z);
            each_sorted<T>(a, dim, false, v, i,
                           [&](auto& line, auto&& before) { std::swap(line[0], line[pick(line, before)]); });
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
template <class Line, class Before>
auto stably(Before& before) {
    return [&before](const Line& a, const Line& b) { return before(a, b) || (!before(b, a) && a.index < b.index); };
}
std::tuple<Tensor, Tensor> kthvalue(const Tensor& x, int64_t k, int64_t dim, bool keepdim, Out out) {
    const int64_t n = x.dim() ? x.size(dim) : 1;
    check(k >= 1 && k <= n, "kthvalue(): selected number k out of range for dimension ", dim);
    return one_of_line("kthvalue", x, dim, keepdim, out, [&](auto& line, auto&& before) {
        std::nth_element(line.begin(), line.begin() + (k - 1), line.end(),
                         stably<std::decay_t<decltype(line[0])>>(before));
        return size_t(k - 1);
    });
}
template <bool IgnoreNan>
size_t median_place(auto& line, auto&& before) {
    using E = std::decay_t<decltype(line[0])>;
    auto is_nan = [](const E& e) { return !(e.value == e.value); };
    const auto first_nan = std::find_if(line.begin(), line.end(), is_nan);
    size_t n = line.size();
    if (first_nan != line.end()) {
        if (!IgnoreNan) return size_t(first_nan - line.begin());
        n = size_t(std::stable_partition(line.begin(), line.end(), [&](const E& e) { return !is_nan(e); }) -
                   line.begin());
        if (!n) return 0;
    }
    const size_t k = (n - 1) / 2;
    std::nth_element(line.begin(), line.begin() + long(k), line.begin() + long(n), stably<E>(before));
    return k;
}
std::tuple<Tensor, Tensor> median_dim(const Tensor& x, int64_t d, bool k, Out out) {
    return one_of_line("median", x, d, k, out,
                       [](auto& line, auto&& before) { return median_place<false>(line, before); });
}
std::tuple<Tensor, Tensor> nanmedian_dim(const Tensor& x, int64_t d, bool k, Out out) {
    return one_of_line("nanmedian", x, d, k, out,
                       [](auto& line, auto&& before) { return median_place<true>(line, before); });
}
Tensor empty_median(const Tensor& x) {
    Tensor r = empty({}, x.dtype());
    fill(r, is_integral(x.dtype(), true) ? Scalar(INT64_MIN) : Scalar(__builtin_nan("")));
    return r;
}
Tensor median(const Tensor& x) {
    return x.numel() ? std::get<0>(median_dim(dense(op<"reshape">(x, Dims{-1})), 0, false, Out())) : empty_median(x);
}
Tensor nanmedian(const Tensor& x) {
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
    return one_of_line("mode", x, dim, keepdim, out, [](auto& line, auto&& before) {
        std::stable_sort(line.begin(), line.end(), before);
        size_t best = 0, longest = 0;
        for (size_t i = 0; i < line.size();) {
            size_t j = i;
            while (j < line.size() && !before(line[i], line[j])) ++j;
            if (j - i > longest) {
                longest = j - i;
                best = j - 1;
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
std::tuple<Tensor, Tensor, Tensor> unique_flat(const Tensor& x0, bool, bool want_inverse, bool want_counts,
                                               bool consecutive) {
    check(!x0.is_meta(), "unique: the result's shape depends on data, which a meta tensor does not have");
    const Tensor x = dense(x0);
    const int64_t n = x.numel();
    Tensor values, inverse = empty(want_inverse ? IntSpan(x.sizes()) : IntSpan(Dims{0}), DType::i64), counts;
    std::vector<int64_t> count;
    visit_dtype(x.dtype(), [&](auto z) {
        using T = decltype(z);
        const T* p = x.data<T>();
        std::vector<int64_t> order(static_cast<size_t>(n));
        std::iota(order.begin(), order.end(), 0);
        auto lower = [&](const T& a, const T& b) {
            if constexpr (ordered<T>) return less(a, b);
            else return a.re < b.re || (a.re == b.re && a.im < b.im);
        };
        if (!consecutive)
            std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return lower(p[a], p[b]); });
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
    const Tensor rows = dense(op<"movedim">(x, Dims{dim}, Dims{0}));
    const int64_t n = rows.sizes()[0], width = n ? rows.numel() / n : 0;
    if (rows.numel() == 0)
        check(n == 0 || width == 0 ? n == 0 : true,
              "There are 0 sized dimensions, and they aren't selected, so unique cannot be applied");
    std::vector<int64_t> order(static_cast<size_t>(n)), first, count;
    std::iota(order.begin(), order.end(), 0);
    Tensor inverse = empty(Dims{n}, DType::i64);
    visit_dtype(x.dtype(), [&](auto z) {
        using T = decltype(z);
        const T* p = rows.data<T>();
        if constexpr (ordered<T>) {
            if (!consecutive)
                std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
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
    });
    Tensor at = empty(Dims{int64_t(first.size())}, DType::i64),
           counts = empty(Dims{want_counts ? int64_t(first.size()) : 0}, DType::i64);
    std::copy(first.begin(), first.end(), at.data<int64_t>());
    if (want_counts) std::copy(count.begin(), count.end(), counts.data<int64_t>());
    return {op<"index_select">(x, dim, at), want_inverse ? inverse : empty(Dims{0}, DType::i64), counts};
}
std::tuple<Tensor, Tensor, Tensor> unique_dim(const Tensor& x, int64_t dim, bool, bool inverse, bool counts) {
    return unique_slices(x, dim, inverse, counts, false);
}
std::tuple<Tensor, Tensor, Tensor> unique_consecutive(const Tensor& x, bool inverse, bool counts,
                                                      std::optional<int64_t> dim) {
    return dim ? unique_slices(x, *dim, inverse, counts, true) : unique_flat(x, true, inverse, counts, true);
}

// ---------------------------------------------------------------- searchsorted
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
        check(x.dim() == sequence.dim() && same(IntSpan(x.sizes()).first(size_t(x.dim() - 1)),
                                                IntSpan(sequence.sizes()).first(size_t(sequence.dim() - 1))),
              "torch.searchsorted(): boundaries tensor should be 1 dimension or the first N-1 dimensions of boundaries "
              "tensor and input value tensor must match, but we got boundaries tensor ",
              sequence.sizes(), " and input value tensor ", x.sizes());
    }
    check(
        sequence.dtype() == x.dtype() || !self.is_tensor(),
        "torch.searchsorted(): boundary and input value tensors should have same dtype, but got boundary tensor dtype ",
        name(sequence.dtype()), " and input value tensor dtype ", name(x.dtype()));
    Tensor r = out.result(x.sizes(), int32 ? DType::i32 : DType::i64, x.device());
    if (r.is_meta() || !r.numel()) return r;
    Tensor s = dense(sequence);
    if (sorter.defined()) {
        check(same(sorter.sizes(), sequence.sizes()),
              "torch.searchsorted(): boundary and sorter must have the same size, but got boundary tensor ",
              sequence.sizes(), "and got sorter tensor ", sorter.sizes());
        check(sorter.dtype() == DType::i64,
              "torch.searchsorted(): sorter must be a tensor of long dtype but got dtype ", name(sorter.dtype()));
    }
    if (sorter.defined()) s = dense(op<"gather">(s, -1, sorter));
    const Tensor v = dense(x.dtype() == s.dtype() ? x : convert(x, s.dtype()));
    const Tensor dst = empty(r.sizes(), DType::i64);
    const int64_t n = s.sizes().back(), per_row = sequence.dim() == 1 ? v.numel() : x.sizes().back();
    visit_ordered(s.dtype(), "searchsorted_out_cpu", [&](auto z) {
        using T = decltype(z);
        const T *b = s.data<T>(), *p = v.data<T>();
        int64_t* o = dst.data<int64_t>();
        parallel_for(v.numel(), 2048, [&](int64_t from, int64_t to) {
            for (int64_t i = from; i < to; ++i) {
                const T* row = sequence.dim() == 1 ? b : b + i / per_row * n;
                o[i] = (right ? std::upper_bound(row, row + n, p[i], less<T>)
                              : std::lower_bound(row, row + n, p[i], less<T>)) -
                       row;
            }
        });
    });
    copy_data(r, dst);
    return r;
}
Tensor bucketize(Operand self, const Tensor& boundaries, bool int32, bool right, Out out) {
    check(boundaries.dim() == 1, "boundaries tensor must be 1 dimension, but got dim(", boundaries.dim(), ")");
    if (self.is_tensor() && self.tensor().dtype() != boundaries.dtype()) {
        const DType t = promote(self.tensor().dtype(), boundaries.dtype());
        return searchsorted(boundaries.to(t), self.tensor().to(t), int32, right, "", Tensor(), out);
    }
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
        .grad("self", "result1", [](Back& b) { return value_backward(b, 2, -1); });
    r.add("msort(Tensor self) -> Tensor", "fmo").kernel<msort>();
    r.add("argsort(Tensor self, int dim=-1, bool descending=False) -> Tensor", "fm").kernel<argsort>();
    r.add("argsort.stable(Tensor self, *, bool stable, int dim=-1, bool descending=False) -> Tensor", "fm")
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
        .kernel<unique2>();
    r.add(
         "unique_dim(Tensor self, int dim, bool sorted=True, bool return_inverse=False, bool return_counts=False) -> "
         "(Tensor, Tensor, Tensor)",
         "")
        .kernel<unique_dim>();
    r.add(
         "_unique_consecutive(Tensor self, bool return_inverse=False, bool return_counts=False, int? dim=None) -> "
         "(Tensor, Tensor, Tensor)",
         "f")
        .kernel<unique_consecutive>();
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
