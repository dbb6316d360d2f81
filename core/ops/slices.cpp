// Reading and writing whole slices by an index along one dimension: index_select, index_add, index_fill and their like.
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/lines.h"
#include "ops/fits.h"
#include "ops/formula.h"
#include "ops/scatter.h"

namespace fb {
namespace {
using namespace cpu;
using namespace scattered;
using formula::zeros;

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
                    const int64_t* const k = at + first;
                    T* const q = to + b;
#pragma GCC unroll 8
                    for (int64_t i = 0; i < count; ++i) q[i] = from[k[i]];
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

// The loop that puts a row of values to as many others.
Loop joined_rows(DType t, Into how, const char* name) {
    const Binary by = how == Into::multiply  ? Binary::mul
                      : how == Into::maximum ? Binary::maximum
                      : how == Into::minimum ? Binary::minimum
                                             : Binary::add;
    const Loop r = binary_loop(by, t);
    if (!r) no_kernel(name, t);
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
    // Element by element, the index spread over the slices; a call for a row of few costs more than they do.
    if (inner < (how == Into::set ? 2 : 8) || !o->contiguous || !s->contiguous) {
        Dims steps(s.sizes().size(), 0);
        steps[size_t(dim)] = 1;
        return join_elements(o, dim, make_view(index, s.sizes(), steps, index->offset), s, byte_strides(s), how);
    }
    // row(to, from): one slice of a run of neighbours
    const int64_t item = int64_t(itemsize(to.dtype())), row_bytes = inner * item;
    const auto run = [&](auto&& row) {
        char *const q = bytes(o), *const v = bytes(s);
        if (before > 1)
            return parallel_for(before, std::max<int64_t>(1, 32768 / (n * inner)), [&](int64_t b, int64_t e) {
                for (; b < e; ++b)
                    for (int64_t i = 0; i < n; ++i)
                        row(q + (b * size + at[i]) * row_bytes, v + (b * n + i) * row_bytes);
            });
        const auto [low, high] = extremes(at, n);
        each_by_place(
            n, low, high + 1, inner, false, [at](int64_t b, int64_t, int64_t*) { return at + b; }, [](int64_t) {},
            [=](int64_t i, int64_t k) { row(q + k * row_bytes, v + i * row_bytes); });
    };
    if (how == Into::set) return run([row_bytes](char* q, const char* v) { copy_bytes(q, v, row_bytes); });
    run([inner, item, join = joined_rows(to.dtype(), how, name)](char* q, char* v) {
        char* const p[] = {q, q, v};
        const int64_t steps[] = {item, item, item};
        join(p, steps, inner, nullptr);
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
    check_fits(v, r.dtype());
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

Tensor selected(Back& b) {
    const Tensor g = op<"index_select">(b.g, b.integer(1), b.arg(2));
    return b.sizes(3).empty() ? op<"reshape">(g, Dims{}) : g;
}

const Family slices([](Registry& r) {
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
});

}  // namespace
}  // namespace fb
