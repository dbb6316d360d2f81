// Masks, advanced indexing x[i, mask, …] and writing a slice into a copy.
#include <cstring>
#include <functional>
#include "autograd/back.h"
#include "cpu/lines.h"
#include "cpu/watch.h"
#include "ops/fits.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using formula::zeros;

// ---------------------------------------------------------------- masks
Tensor chosen(const Tensor& cond, const Operand& a, const Operand& b, Out out, bool in_order) {
    check(cond.dtype() == DType::b1 || cond.dtype() == DType::u8,
          "where expected condition to be a boolean tensor, but got a tensor with dtype ", cond.dtype());
    const DType t = result_type(a, b);
    // The condition keeps its own type; the two values are converted to the common one.
    auto ready = [&](const Operand& o) -> Tensor {
        if (!o.is_tensor()) return scalar_tensor(o.scalar(), t, cond.device());
        return o.tensor().dtype() == t ? o.tensor() : convert(o.tensor(), t);
    };
    const Tensor c = cond.dtype() == DType::b1 ? cond : convert(cond, DType::b1), x = ready(a), y = ready(b);
    const Dims shape = broadcast_shapes(broadcast_shapes(c.sizes(), x.sizes()), y.sizes());
    const Device device = c.is_meta() || x.is_meta() ? kMeta : kCPU;
    const Tensor* whole = nullptr;  // the first operand of the whole shape: its memory order is the result's
    if (in_order && !(c->contiguous && x->contiguous && y->contiguous) && !out.given())
        for (const Tensor* v : {&y, &x, &c})
            if (same(v->sizes(), shape)) whole = v;
    Tensor r = whole && !whole->is_contiguous() && whole->device() == device ? empty_like(*whole, t)
                                                                             : out.result(shape, t, device);
    if (r.is_meta() || !r.numel()) return r;
    Strided ops[4];
    const Tensor* all[4] = {&r, &c, &x, &y};
    for (int k = 0; k < 4; ++k) {
        const Tensor& v = *all[k];
        ops[k].ptr = bytes(v);
        ops[k].strides.resize(shape.size(), 0);
        const size_t lead = shape.size() - v.sizes().size();
        for (size_t d = 0; d < v.sizes().size(); ++d)
            if (v.sizes()[d] != 1 || shape[lead + d] == 1)
                ops[k].strides[lead + d] = v.strides()[d] * int64_t(itemsize(v.dtype()));
    }
    const Loop loop = ternary_loop(Ternary::where, t);
    run_loop(loop, shape, ops, nullptr);
    if (watcher) [[unlikely]] {
        const Operand in[] = {c, a.is_tensor() ? Operand(x) : a, b.is_tensor() ? Operand(y) : b};
        watcher->pointwise({loop, t, t, in, nullptr, 0, true}, r);
    }
    return r;
}
Tensor where(const Tensor& cond, const Operand& a, const Operand& b, Out out) { return chosen(cond, a, b, out, true); }
Tensor masked_fill(const Tensor& self, const Tensor& mask, Operand value, Out out) {
    check(mask.dtype() == DType::b1, "masked_fill_ only supports boolean masks, but got mask with dtype ",
          cpp_name(mask.dtype()));
    if (value.is_tensor())
        check(value.tensor().dim() == 0, "masked_fill only supports a 0-dimensional value tensor, but got tensor with ",
              value.tensor().dim(), " dimension(s).");
    const Scalar v = !value.is_tensor() ? value.scalar() : value.tensor().is_meta() ? Scalar(0) : value.tensor().item();
    check_fits(v, self.dtype());
    if (out.inplace()) {
        const Dims shape = broadcast_shapes(self.sizes(), mask.sizes());
        check(same(shape, self.sizes()), "output with shape ", self.sizes(), " doesn't match the broadcast shape ",
              shape);
    }
    return chosen(mask, scalar_tensor(v, self.dtype(), self.device()), self, out, false);
}

size_t count_true(const uint8_t* p, int64_t n) { return size_t(position_loops().count_true(p, n)); }
// The coordinates of the non-zero bytes [begin, end) of a mask of shape `sizes`, `count` of them: one after the other
// in `to`, those of the next dimension `apart` further on.
void write_positions(const uint8_t* p, int64_t begin, int64_t end, size_t count, IntSpan sizes, int64_t* to,
                     int64_t apart) {
    const size_t nd = sizes.size();
    if (!count) return;
    if (nd == 0) return;
    Dims at(nd);
    int64_t rest = begin;
    for (size_t d = nd; d-- > 0; rest /= sizes[d]) at[d] = rest % sizes[d];
    const int64_t* const last = to + count;
    while (true) {
        const int64_t length = std::min(sizes[nd - 1] - at[nd - 1], end - begin);
        const uint8_t* const row = p + begin;
        const int64_t from = at[nd - 1];
        if (nd == 1) {  // written before it is known to stay, as above
            for (int64_t j = 0; j < length && to < last; ++j) {
                *to = from + j;
                to += row[j] != 0;
            }
        } else if (nd == 2) {
            const int64_t line = at[0];
            for (int64_t j = 0; j < length && to < last; ++j) {
                to[0] = line;
                to[apart] = from + j;
                to += row[j] != 0;
            }
        } else {
            for (int64_t j = 0; j < length && to < last; ++j) {
                for (size_t d = 0; d + 1 < nd; ++d) to[int64_t(d) * apart] = at[d];
                to[int64_t(nd - 1) * apart] = from + j;
                to += row[j] != 0;
            }
        }
        begin += length;
        if (begin >= end || to == last) return;
        at[nd - 1] = 0;
        for (size_t d = nd - 1; d-- > 0;) {
            if (++at[d] < sizes[d]) break;
            at[d] = 0;
        }
    }
}
Tensor nonzero(const Tensor& x, Out out) {
    check(!x.is_meta(), "nonzero: the result's shape depends on data, which a meta tensor does not have");
    const Tensor mask = dense(x.dtype() == DType::b1 ? x : op<"ne">(x, Scalar(0)));
    const uint8_t* p = mask.data<uint8_t>();
    const int64_t total = mask.numel(), nd = x.dim(), parts = total < 32768 ? 1 : num_threads();
    const int64_t each = (total + parts - 1) / std::max<int64_t>(1, parts);
    std::vector<size_t> first(size_t(parts) + 1, 0);  // found before each part
    parallel_for(parts, 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b)
            first[size_t(b) + 1] =
                count_true(p + std::min(total, b * each), std::clamp<int64_t>(total - b * each, 0, each));
    });
    for (int64_t k = 0; k < parts; ++k) first[size_t(k) + 1] += first[size_t(k)];
    const int64_t found = int64_t(first.back());
    // column by column, so that the tuple of them has contiguous parts
    const Tensor dst = empty_strided(Dims{found, nd}, Dims{1, found}, DType::i64, x.device());
    int64_t* o = dst.data<int64_t>();
    parallel_for(parts, 1, [&](int64_t b, int64_t e) {
        for (; b < e; ++b)
            write_positions(p, std::min(total, b * each), std::min(total, (b + 1) * each),
                            first[size_t(b) + 1] - first[size_t(b)], x.sizes(), o + first[size_t(b)], found);
    });
    if (!out.given()) return dst;
    Tensor r = out.result(dst.sizes(), DType::i64, x.device());
    copy_data(r, dst);
    return r;
}
std::vector<Tensor> nonzero_numpy(const Tensor& x) {
    return op_list<"unbind">(op<"nonzero">(x.dim() ? x : op<"unsqueeze">(x, 0)), 1);
}

Tensor masked_select(const Tensor& x, const Tensor& mask, Out out) {
    check(mask.dtype() == DType::b1, "masked_select: expected BoolTensor for mask");
    check(!x.is_meta() && !mask.is_meta(),
          "masked_select: the result's shape depends on data, which a meta tensor does not have");
    if (out.given()) {
        const Tensor& to = *out.given();
        check(to.dtype() == x.dtype(), "masked_select(): self and result must have the same scalar type");
        check_writable(to);
        for (const Tensor* from : {&x, &mask})
            check(!memory_overlaps(to, *from),
                  "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
                  "single memory location. Please clone() the tensor before performing the operation.");
    }
    GradGuard off(false);
    const Dims shape = broadcast_shapes(x.sizes(), mask.sizes());
    const Tensor chosen = dense(op<"expand">(mask, shape));
    const uint8_t* const p = chosen.data<uint8_t>();
    const size_t count = count_true(p, chosen.numel());
    Tensor r = out.result(Dims{int64_t(count)}, x.dtype(), x.device());
    const Tensor src = dense(op<"expand">(x, shape)), dst = r->contiguous ? r : empty(r.sizes(), r.dtype());
    by_item_size(itemsize(x.dtype()), [&](auto z) {
        using T = decltype(z);
        const T* from = reinterpret_cast<const T*>(bytes(src));
        T* to = reinterpret_cast<T*>(bytes(dst));
        size_t n = 0;
        for (int64_t i = 0; n < count; ++i) {
            to[n] = from[i];
            n += p[i] != 0;
        }
    });
    if (dst.get() != r.get()) copy_data(r, dst);
    return r;
}
Tensor masked_scatter(const Tensor& self, const Tensor& mask, const Tensor& source, Out out) {
    check(self.dtype() == source.dtype(), "masked_scatter: expected self and source to have same dtypes but got",
          scalar_name(self.dtype()), " and ", scalar_name(source.dtype()));
    check(mask.dtype() == DType::b1, "masked_scatter_ only supports boolean masks, but got mask with dtype ",
          mask.dtype());
    if (out.inplace()) op<"expand">(mask, self.sizes());
    const Dims shape = broadcast_shapes(self.sizes(), mask.sizes());
    if (self.is_meta() || mask.is_meta()) return empty(shape, self.dtype(), kMeta);
    const Tensor chosen = dense(op<"expand">(mask, shape));
    const uint8_t* const p = chosen.data<uint8_t>();
    const int64_t count = int64_t(count_true(p, chosen.numel()));
    check(count <= source.numel(), "Number of elements of source < number of ones in mask");
    Tensor r = empty(shape, self.dtype());
    copy_data(r, self);
    const Tensor src = dense(source);
    by_item_size(itemsize(self.dtype()), [&](auto z) {
        using T = decltype(z);
        T* const to = reinterpret_cast<T*>(bytes(r));
        const T* const from = reinterpret_cast<const T*>(bytes(src));
        for (int64_t i = 0, n = 0; n < count; ++i) {  // both are read, so that there is no branch to guess
            const T either[2] = {to[i], from[n]};
            const bool taken = p[i] != 0;
            if constexpr (std::is_integral_v<T>) to[i] = T(either[0] ^ ((either[0] ^ either[1]) & T(-T(taken))));
            else to[i] = either[taken];
            n += taken;
        }
    });
    if (!out.given()) return r;
    const Tensor dst = out.result(shape, self.dtype());
    copy_data(dst, r);
    return dst;
}
Tensor masked_scatter_backward(const Tensor& g, const Tensor& mask, IntSpan sizes) {
    const Tensor taken = op<"masked_select">(g, op<"expand">(mask, g.sizes()));
    return op<"view">(op<"cat">(std::vector<Tensor>{taken, zeros(Dims{product(sizes) - taken.numel()}, g)}), sizes);
}

// ---------------------------------------------------------------- advanced indexing
// Index tensors by dimension (undefined: the whole dimension). Masks become positions; all are broadcast together.
struct Advanced {
    std::vector<Tensor> at;  // int64, contiguous, of one shape; only for the indexed dimensions
    Small<int64_t, 5> dims;  // which those are
    Dims shape;              // of the indices
    size_t place = 0;        // where the indices' dimensions stand in the result
    Dims result;
    bool indexed(int64_t d) const { return std::find(dims.begin(), dims.end(), d) != dims.end(); }
};

// One entry for each dimension: a mask of k dimensions stands for k of them.
std::vector<Tensor> positions(const Tensor& x, TensorSpan indices) {
    std::vector<Tensor> list;
    for (const Tensor& i : indices) {
        if (!i.defined()) {
            list.push_back(i);
            continue;
        }
        if (i.dtype() == DType::b1 || i.dtype() == DType::u8) {
            const int64_t at = int64_t(list.size());
            for (int64_t d = 0; d < i.dim(); ++d)
                if (at + d >= x.dim() || i.sizes()[size_t(d)] != x.sizes()[size_t(at + d)])
                    fail(ErrorKind::Index, "The shape of the mask ", i.sizes(), " at index ", d,
                         " does not match the shape of the indexed tensor ", x.sizes(), " at index ", at + d);
            for (const Tensor& t : op_list<"unbind">(op<"nonzero">(i), 1)) list.push_back(dense(t));
            continue;
        }
        if (!is_integral(i.dtype(), false))
            fail(ErrorKind::Index, "tensors used as indices must be long, int, byte or bool tensors");
        list.push_back(i.dtype() == DType::i64 ? i : convert(i, DType::i64));
    }
    if (int64_t(list.size()) > x.dim())
        fail(ErrorKind::Index, "too many indices for tensor of dimension ", x.dim(), " (got ", list.size(), ")");
    return list;
}
Advanced prepare(const Tensor& x, TensorSpan indices) {
    GradGuard off(false);
    const std::vector<Tensor> list = positions(x, indices);
    Advanced a;
    for (size_t d = 0; d < list.size(); ++d) {
        if (!list[d].defined()) continue;
        if (a.dims.empty()) {
            a.shape = list[d].sizes();
        } else {
            try {
                a.shape = broadcast_shapes(a.shape, list[d].sizes());
            } catch (const Error&) {
                std::string shapes;
                for (const Tensor& t : list)
                    if (t.defined()) shapes += (shapes.empty() ? "" : ", ") + str(t.sizes());
                fail(ErrorKind::Index, "shape mismatch: indexing tensors could not be broadcast together with shapes ",
                     shapes);
            }
        }
        a.dims.push_back(int64_t(d));
    }
    for (int64_t d : a.dims) a.at.push_back(dense(op<"expand">(list[size_t(d)], a.shape)));
    bool adjacent = !a.dims.empty();
    for (size_t i = 1; i < a.dims.size(); ++i) adjacent = adjacent && a.dims[i] == a.dims[i - 1] + 1;
    a.place = adjacent ? size_t(a.dims[0]) : 0;
    for (int64_t d = 0; d < x.dim(); ++d)
        if (!a.indexed(d)) a.result.push_back(x.sizes()[size_t(d)]);
    for (size_t i = 0; i < a.shape.size(); ++i) a.result.insert(a.place + i, a.shape[i]);
    return a;
}
void check_positions(const int64_t* p, int64_t count, int64_t n, int64_t dim) {
    if (all_within(p, count, -n, n)) return;
    for (int64_t i = 0; i < count; ++i)
        if (p[i] < -n || p[i] >= n)
            fail(ErrorKind::Index, "index ", p[i], " is out of bounds for dimension ", dim, " with size ", n);
}
// Byte offsets into x of the positions [begin, begin + count) of the index shape.
void offsets(const Tensor& x, const Advanced& a, int64_t begin, int64_t count, bool unchecked, int64_t* to) {
    for (size_t k = 0; k < a.at.size(); ++k) {
        const int64_t n = x.sizes()[size_t(a.dims[k])],
                      s = x.strides()[size_t(a.dims[k])] * int64_t(itemsize(x.dtype()));
        const int64_t* p = a.at[k].data<int64_t>() + begin;
        if (unchecked) check_positions(p, count, n, a.dims[k]);
        if (k == 0)
            for (int64_t i = 0; i < count; ++i) to[i] = (p[i] + (p[i] >> 63 & n)) * s;
        else
            for (int64_t i = 0; i < count; ++i) to[i] += (p[i] + (p[i] >> 63 & n)) * s;
    }
}
// A run along the last dimension that is not indexed: its addresses in x and in the indexed tensor y, its length and
// the steps in both.
using Run = void (*)(char* x, char* y, int64_t n, int64_t to_x, int64_t to_y);
// How the elements that are indexed lie in x and in y; nothing of it depends on their type.
struct Walk {
    const Tensor& x;
    const Advanced& a;
    char *x0 = bytes(x), *y0;
    Dims by;
    Dims size{}, sx{}, sy{};  // of the dimensions that are not indexed
    int64_t run = 1, rx = 0, ry = 0, outer = 1, count, step;
    Walk(const Tensor& x, const Advanced& a, const Tensor& y)
        : x(x), a(a), y0(bytes(y)), by(byte_strides(y)), count(product(a.shape)) {
        const Dims bx = byte_strides(x);
        size_t yd = 0;
        for (int64_t d = 0; d < x.dim(); ++d) {
            if (a.indexed(d)) continue;
            if (yd == a.place) yd += a.shape.size();
            size.push_back(x.sizes()[size_t(d)]);
            sx.push_back(bx[size_t(d)]);
            sy.push_back(by[yd++]);
        }
        for (size_t d = size.size(); d-- > 1;) {  // merge what is contiguous in both
            if (sx[d - 1] != sx[d] * size[d] || sy[d - 1] != sy[d] * size[d]) continue;
            size[d - 1] *= size[d];
            sx[d - 1] = sx[d];
            sy[d - 1] = sy[d];
            size.erase(d);
            sx.erase(d);
            sy.erase(d);
        }
        if (!size.empty()) run = size.back(), rx = sx.back(), ry = sy.back();
        for (size_t d = 0; d + 1 < size.size(); ++d) outer *= size[d];
        // y's dimensions of the index as one, where they lie so
        step = a.shape.empty() ? 0 : by[a.place + a.shape.size() - 1];
        for (size_t d = a.shape.size(); d-- > 1;)
            if (by[a.place + d - 1] != by[a.place + d] * a.shape[d]) step = -1;
    }
    bool elements() const { return step >= 0 && run * outer == 1; }
    bool rows() const { return step >= 0 && rx >= 64 && run >= 16; }
    // The addresses of an outer position of the dimensions that are not indexed.
    void at_outer(int64_t o, char*& px, char*& py) const {
        for (size_t d = size.empty() ? 0 : size.size() - 1; d-- > 0;) {
            px += o % size[d] * sx[d];
            py += o % size[d] * sy[d];
            o /= size[d];
        }
    }
    // All runs of one index.
    void one(int64_t i, int64_t offset, Run f) const {
        char* py = y0;
        if (step >= 0) {
            py += i * step;
        } else {
            for (size_t d = a.shape.size(); d-- > 0;) {
                py += i % a.shape[d] * by[a.place + d];
                i /= a.shape[d];
            }
        }
        for (int64_t o = 0; o < outer; ++o) {
            char *qx = x0 + offset, *qy = py;
            at_outer(o, qx, qy);
            f(qx, qy, run, rx, ry);
        }
    }
};
// Rows of indexed elements: row by row, each with all indices.
template <class E>
void each_row(const Walk& w, bool unchecked, E&& element) {
    std::vector<int64_t> at(static_cast<size_t>(w.count));
    parallel_for(w.count, 32768, [&](int64_t b, int64_t e) { offsets(w.x, w.a, b, e - b, unchecked, at.data() + b); });
    parallel_for(w.outer * w.run, std::max<int64_t>(1, 16384 / w.count), [&](int64_t b, int64_t e) {
        const int64_t count = w.count, step = w.step;
        for (; b < e; ++b) {
            char *px = w.x0 + b % w.run * w.rx, *py = w.y0 + b % w.run * w.ry;
            w.at_outer(b / w.run, px, py);
            for (int64_t i = 0; i < count; ++i) element(px + at[size_t(i)], py + i * step);
        }
    });
}
constexpr int64_t kIndices = 512;
// Calls f for every run of x that is indexed, element(address in x, address in y) where those are single elements.
template <class E>
void each_read(const Tensor& x, const Advanced& a, const Tensor& y, E&& element, Run f) {
    const Walk w(x, a, y);
    if (!w.count || !w.run || !w.outer) return;
    if (w.rows()) return each_row(w, true, element);
    parallel_for(w.count, std::max<int64_t>(1, 4096 / (w.outer * w.run)), [&](int64_t begin, int64_t end) {
        int64_t at[kIndices];
        char *const x0 = w.x0, *const y0 = w.y0;
        const int64_t step = w.step;
        for (; begin < end; begin += kIndices) {
            const int64_t n = std::min(kIndices, end - begin);
            offsets(x, a, begin, n, true, at);
            if (w.elements())
                for (int64_t i = 0; i < n; ++i) element(x0 + at[i], y0 + (begin + i) * step);
            else
                for (int64_t i = 0; i < n; ++i) w.one(begin + i, at[i], f);
        }
    });
}
// Runs of x that are written, at places `apart` bytes from each other.
using Places = std::function<const int64_t*(int64_t begin, int64_t count, int64_t* room)>;
void write_runs(const Walk& w, int64_t low, int64_t high, int64_t apart, const Places& places, Run f) {
    each_by_place(
        w.count, low, high, w.run * w.outer, false, places, [](int64_t) {},
        [&](int64_t i, int64_t at) { w.one(i, at * apart, f); });
}
// The same where x is written: each thread has places of its own, in the order of the indices.
template <class E>
void each_written(const Tensor& x, const Advanced& a, const Tensor& y, E&& element, Run f) {
    int64_t first = 0, last = 0;                // of the positions
    for (size_t k = 0; k < a.at.size(); ++k) {  // what is written to must not be left half written
        const int64_t* const index = a.at[k].data<int64_t>();
        const int64_t n = x.sizes()[size_t(a.dims[k])], positions = a.at[k].numel();
        if (!positions) return;
        std::tie(first, last) = extremes(index, positions);
        if (first < -n || last >= n) check_positions(index, positions, n, a.dims[k]);
    }
    const Walk w(x, a, y);
    if (!w.count || !w.run || !w.outer) return;
    if (w.rows()) return each_row(w, false, element);
    // Places are positions along the one dimension that is indexed, or offsets.
    const bool single = a.at.size() == 1;
    const int64_t n = x.sizes()[size_t(a.dims[0])],
                  s = single ? x.strides()[size_t(a.dims[0])] * int64_t(itemsize(x.dtype())) : 1;
    const int64_t* const index = a.at[0].data<int64_t>();
    int64_t low = 0, high = 1;
    if (single) {
        low = first < 0 ? 0 : first, high = (first < 0 ? n - 1 : last) + 1;
    } else {
        const Dims bx = byte_strides(x);
        for (const int64_t d : a.dims) high += (x.sizes()[size_t(d)] - 1) * bx[size_t(d)];
    }
    const auto places = [&](int64_t begin, int64_t m, int64_t* room) {
        if (single && first >= 0) return index + begin;
        if (single)
            for (int64_t i = 0; i < m; ++i) room[i] = index[begin + i] + (index[begin + i] >> 63 & n);
        else offsets(x, a, begin, m, false, room);
        return static_cast<const int64_t*>(room);
    };
    // stores leave a core in order, so that each would wait for its line
    const auto soon = [x0 = w.x0, s](int64_t at) { __builtin_prefetch(x0 + at * s, 1); };
    if (w.elements())
        each_by_place(w.count, low, high, 1, (high - low) * s > kSpreadBytes, places, soon,
                      [x0 = w.x0, y0 = w.y0, s, step = w.step, &element](int64_t i, int64_t at) {
                          element(x0 + at * s, y0 + i * step);
                      });
    else write_runs(w, low, high, s, places, f);
}
// A mask without dimensions takes all of the tensor or nothing, along a dimension of its own in front.
bool is_number_mask(const Tensor& t) {
    return t.defined() && t.dim() == 0 && (t.dtype() == DType::b1 || t.dtype() == DType::u8);
}
bool has_number_mask(TensorSpan indices) {
    if (std::none_of(indices.begin(), indices.end(), is_number_mask)) return false;
    if (indices.size() > 1) fail(ErrorKind::Index, "a mask without dimensions does not go with other indices");
    return true;
}

Tensor index(const Tensor& x, TensorSpan indices, Out out) {
    check_index(std::any_of(indices.begin(), indices.end(), [](const Tensor& t) { return t.defined(); }),
                "at least one index must be provided");
    if (has_number_mask(indices))
        return op<"index">(op<"unsqueeze">(x, 0), std::vector<Tensor>{op<"unsqueeze">(indices[0], 0)});
    if (indices.size() == 1 && indices[0].defined() && indices[0].dtype() == DType::b1 &&
        same(indices[0].sizes(), x.sizes()) && x.dim() && !x.is_meta())
        return masked_select(x, indices[0], out);
    const Advanced a = prepare(x, indices);
    Tensor r = out.result(a.result, x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    by_item_size(itemsize(x.dtype()), [&](auto z) {
        using T = decltype(z);
        const auto element = [](const char* from, char* to) {
            *reinterpret_cast<T*>(to) = *reinterpret_cast<const T*>(from);
        };
        each_read(x, a, r, element, [](char* from, char* to, int64_t n, int64_t sf, int64_t st) {
            if (sf == int64_t(sizeof(T)) && st == int64_t(sizeof(T))) {
                std::memcpy(to, from, size_t(n) * sizeof(T));
                return;
            }
            for (int64_t i = 0; i < n; ++i)
                *reinterpret_cast<T*>(to + i * st) = *reinterpret_cast<const T*>(from + i * sf);
        });
    });
    return r;
}
Tensor index_put(const Tensor& self, TensorSpan indices, const Tensor& values0, bool accumulate, Out out) {
    check(std::any_of(indices.begin(), indices.end(), [](const Tensor& t) { return t.defined(); }),
          "index_put needs at least one tensor of indices");
    if (has_number_mask(indices)) {
        const std::vector<Tensor> mask{op<"unsqueeze">(indices[0], 0)};
        return op<"squeeze.dim">(op<"index_put">(op<"unsqueeze">(self, 0), mask, values0, accumulate), 0);
    }
    if (!accumulate && indices.size() == 1 && indices[0].defined() && indices[0].dtype() == DType::b1 &&
        values0.numel() == 1 && values0.dtype() == self.dtype() && self.dim() && !self.is_meta() &&
        same(indices[0].sizes(), self.sizes()) && values0.dim() <= 1)
        return where(indices[0], op<"reshape">(values0, Dims{}), self, out);
    // How many elements a mask without values chooses is unknown, and the result has the shape of `self` anyway.
    if (self.is_meta() && std::any_of(indices.begin(), indices.end(), [](const Tensor& t) {
            return t.defined() && t.is_meta() && t.dtype() == DType::b1;
        }))
        return started(self, out);
    const Advanced a = prepare(self, indices);
    check(self.dtype() == values0.dtype(), "Index put requires the source and destination dtypes match, got ",
          self.dtype(), " for the destination and ", values0.dtype(), " for the source.");
    Tensor r = started(self, out);
    Tensor values;
    try {
        values = op<"expand">(values0, a.result);
    } catch (const Error&) {
        fail(ErrorKind::Runtime, "shape mismatch: value tensor of shape ", values0.sizes(),
             " cannot be broadcast to indexing result of shape ", a.result);
    }
    if (r.is_meta() || !product(a.result)) return r;
    if (memory_overlaps(r, values)) values = convert(values, values.dtype());
    if (!accumulate) {
        by_item_size(itemsize(self.dtype()), [&](auto z) {
            using T = decltype(z);
            const auto element = [](char* to, const char* from) {
                *reinterpret_cast<T*>(to) = *reinterpret_cast<const T*>(from);
            };
            each_written(r, a, values, element, [](char* to, char* from, int64_t n, int64_t st, int64_t sf) {
                if (st == int64_t(sizeof(T)) && sf == st) {
                    std::memcpy(to, from, size_t(n) * sizeof(T));
                    return;
                }
                for (int64_t i = 0; i < n; ++i)
                    *reinterpret_cast<T*>(to + i * st) = *reinterpret_cast<const T*>(from + i * sf);
            });
        });
        return r;
    }
    visit_added(self.dtype(), [&]<class T>(T) {
        static constexpr auto element = [](char* to, const char* from) {
            T& q = *reinterpret_cast<T*>(to);
            const T v = *reinterpret_cast<const T*>(from);
            if constexpr (std::is_same_v<T, bool>) q = q || v;
            else q = T(q + v);
        };
        each_written(r, a, values, element, [](char* to, char* from, int64_t n, int64_t st, int64_t sf) {
            for (int64_t i = 0; i < n; ++i) element(to + i * st, from + i * sf);
        });
    });
    return r;
}

// ---------------------------------------------------------------- writing a slice into a copy
Tensor written(const Tensor& self, const Tensor& src, Tensor (*slice)(const Tensor&, const Value*), const Value* args) {
    Tensor r = op<"clone">(self);
    const Tensor v = slice(r, args);
    check(same(v.sizes(), src.sizes()),
          "expected src to have a size equal to the slice of self. src size = ", src.sizes(),
          ", slice size = ", v.sizes());
    copy_data(v, src);
    return r;
}
Tensor select_scatter(const Tensor& self, const Tensor& src, int64_t dim, int64_t i) {
    const Value v[] = {dim, i};
    return written(self, src, [](const Tensor& t, const Value* a) { return op<"select">(t, a[0], a[1]); }, v);
}
Tensor slice_scatter(const Tensor& self, const Tensor& src, int64_t dim, const Value& from, const Value& to,
                     int64_t step) {
    const Value v[] = {dim, from, to, step};
    return written(
        self, src, [](const Tensor& t, const Value* a) { return op<"slice">(t, a[0], a[1], a[2], a[3]); }, v);
}
Tensor diagonal_scatter(const Tensor& self, const Tensor& src, int64_t offset, int64_t d1, int64_t d2) {
    const Value v[] = {offset, d1, d2};
    return written(self, src, [](const Tensor& t, const Value* a) { return op<"diagonal">(t, a[0], a[1], a[2]); }, v);
}

Tensor where_method(const Tensor& self, const Tensor& condition, const Operand& other) {
    return op<"where">(condition, self, other);
}

const Family indexing([](Registry& r) {
    r.add("where.self(Tensor condition, Operand self, Operand other) -> Tensor", "fo")
        .kernel<where>()
        .grad("self", "condition", [](Back& b) { return op<"where">(b.arg(0), b.g, Scalar(0)); })
        .grad("other", "condition", [](Back& b) { return op<"where">(b.arg(0), Scalar(0), b.g); });
    r.add("where.method(Tensor self, Tensor condition, Operand other) -> Tensor", "m").kernel<where_method>();
    r.add("where.condition(Tensor condition) -> Tensor[]", "f").kernel<nonzero_numpy>();
    r.add("masked_fill(Tensor self, Tensor mask, Operand value) -> Tensor", "fmi")
        .kernel<masked_fill>()
        .grad("self", "mask", [](Back& b) { return op<"masked_fill">(b.g, b.arg(1), Scalar(0)); })
        .grad("value", "mask", [](Back& b) { return op<"sum">(op<"where">(b.arg(1), b.g, Scalar(0))); })
        .node("MaskedFillBackward1 0:value");
    r.add("nonzero(Tensor self) -> Tensor", "mo").kernel<nonzero>();
    r.add("nonzero_numpy(Tensor self) -> Tensor[]", "").kernel<nonzero_numpy>();
    r.add("masked_select(Tensor self, Tensor mask) -> Tensor", "fmo")
        .kernel<masked_select>()
        .grad("self", "mask", [](Back& b) {
            const Tensor mask = b.arg(1);
            const Dims shape = broadcast_shapes(b.sizes(0), mask.sizes());
            return op<"masked_scatter">(zeros(shape, b.g), op<"expand">(mask, shape), b.g);
        });
    r.add("masked_scatter(Tensor self, Tensor mask, Tensor source) -> Tensor", "fmi")
        .kernel<masked_scatter>()
        .grad("self", "mask", [](Back& b) { return op<"masked_fill">(b.g, b.arg(1), Scalar(0)); })
        .grad("source", "mask", [](Back& b) { return op<"masked_scatter_backward">(b.g, b.arg(1), b.sizes(2)); });
    r.add("masked_scatter_backward(Tensor grad_output, Tensor mask, int[] sizes) -> Tensor", "")
        .kernel<masked_scatter_backward>();
    r.add("index.Tensor(Tensor self, Tensor?[] indices) -> Tensor", "")
        .kernel<index>()
        .grad("self", "indices", [](Back& b) { return op<"index_put">(zeros(b.sizes(0), b.g), b.list(1), b.g, true); });
    r.add("index_put(Tensor self, Tensor?[] indices, Tensor values, bool accumulate=False) -> Tensor", "fmi")
        .kernel<index_put>()
        .grad("self", "indices",
              [](Back& b) { return b.flag(3) ? b.g : op<"index_put">(b.g, b.list(1), zeros({}, b.g), false); })
        .grad("values", "indices", [](Back& b) { return op<"index">(b.g, b.list(1)); });
    r.add("select_scatter(Tensor self, Tensor src, int dim, int index) -> Tensor", "fm")
        .kernel<select_scatter>()
        .grad("self", "",
              [](Back& b) {
                  return op<"select_scatter">(b.g, op<"zeros_like">(op<"select">(b.g, b.attr(2), b.attr(3))), b.attr(2),
                                              b.attr(3));
              })
        .grad("src", "", [](Back& b) { return op<"select">(b.g, b.attr(2), b.attr(3)); });
    r.add("slice_scatter(Tensor self, Tensor src, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor",
          "fmo")
        .kernel<slice_scatter>()
        .grad("self", "",
              [](Back& b) {
                  const Tensor none = op<"zeros_like">(op<"slice">(b.g, b.attr(2), b.attr(3), b.attr(4), b.attr(5)));
                  return op<"slice_scatter">(b.g, none, b.attr(2), b.attr(3), b.attr(4), b.attr(5));
              })
        .grad("src", "", [](Back& b) { return op<"slice">(b.g, b.attr(2), b.attr(3), b.attr(4), b.attr(5)); });
    r.add("diagonal_scatter(Tensor self, Tensor src, int offset=0, int dim1=0, int dim2=1) -> Tensor", "fm")
        .kernel<diagonal_scatter>()
        .grad("self", "",
              [](Back& b) {
                  const Tensor none = op<"zeros_like">(op<"diagonal">(b.g, b.attr(2), b.attr(3), b.attr(4)));
                  return op<"diagonal_scatter">(b.g, none, b.attr(2), b.attr(3), b.attr(4));
              })
        .grad("src", "", [](Back& b) { return op<"diagonal">(b.g, b.attr(2), b.attr(3), b.attr(4)); });
});

}  // namespace
}  // namespace fb
