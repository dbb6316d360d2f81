// Putting tensors together and rearranging whole dimensions by copies.
#include <cstring>
#include "autograd/back.h"
#include "base/parallel.h"
#include "cpu/copy.h"
#include "cpu/copy_loops.h"
#include "cpu/images.h"

namespace fb {
namespace {
using namespace cpu;

bool skipped(const Tensor& t) {
    return t.dim() == 1 && t.sizes()[0] == 0;
}  // PyTorch lets empty vectors pass in any company

// Along channels, images of whole blocks lie one after another in each sample. Undefined where that is not so, or where
// most of the elements are plain.
Tensor cat_images(TensorSpan all, IntSpan shape, int64_t dim) {
    const Image* model = nullptr;
    int64_t hidden = 0, elements = 0;
    for (const Tensor& t : all) {
        if (skipped(t)) continue;
        if (t.dtype() != DType::f32 || !t.is_contiguous() || !t.numel()) return {};
        const Image* i = hidden_image(t);
        if (i && !model) model = i;
        hidden += i ? t.numel() : 0;
        elements += t.numel();
    }
    if (!model || dim != 1 || 2 * hidden < elements || model->order == Order::ChannelsLast) return {};
    const Order order = model->order;
    const int64_t block = block_of(order), spatial = model->spatial();
    for (const Tensor& t : all)
        if (!skipped(t) && t.size(1) % block) return {};
    settle_views(all);
    std::vector<Ptr<Image>> images;
    for (const Tensor& t : all)
        if (!skipped(t)) images.push_back(held_in(t, order));
    const Tensor r = make_hidden(shape, DType::f32, order);
    float* to = static_cast<float*>(hidden_image(r)->data);
    const int64_t row = shape[1] * spatial;
    parallel_for(shape[0], std::max<int64_t>(1, 32768 / std::max<int64_t>(1, row)), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n) {
            float* q = to + n * row;
            for (const Ptr<Image>& i : images) {
                const int64_t part = i->channels() * spatial;
                std::memcpy(q, static_cast<float*>(i->data) + n * part, size_t(part) * sizeof(float));
                q += part;
            }
        }
    });
    return r;
}
// Channels [from, from + count) of an image as an image of its own; undefined where they are not whole blocks.
Tensor channels_of(const Tensor& t, int64_t from, int64_t count) {
    const Ptr<Image> i = hold_image(t);
    if (!i || i->dtype != DType::f32 || i->order == Order::ChannelsLast || count == 0) return {};
    const int64_t block = block_of(i->order), spatial = i->spatial();
    if (from % block || count % block) return {};
    Dims sizes = t.sizes();
    sizes[1] = count;
    const Tensor r = make_hidden(sizes, DType::f32, i->order);
    const float* source = static_cast<const float*>(i->data) + from * spatial;
    float* to = static_cast<float*>(hidden_image(r)->data);
    const int64_t row = i->padded_channels() * spatial, part = count * spatial;
    parallel_for(sizes[0], std::max<int64_t>(1, 32768 / std::max<int64_t>(1, part)), [&](int64_t begin, int64_t end) {
        for (int64_t n = begin; n < end; ++n)
            std::memcpy(to + n * part, source + n * row, size_t(part) * sizeof(float));
    });
    return r;
}

// Pieces [begin, end) of n bytes, one behind the other in `from`, every `row` bytes in `to`.
template <size_t... width>
bool copy_short(std::index_sequence<width...>, char* to, int64_t row, const char* from, int64_t n, int64_t begin,
                int64_t end) {
    const auto fits = [&]<size_t w>(std::integral_constant<size_t, w>) {
        if (n != int64_t(w)) return false;
        for (int64_t o = begin; o < end; ++o) std::memcpy(to + o * row, from + o * int64_t(w), w);
        return true;
    };
    return (fits(std::integral_constant<size_t, width>()) || ...);
}
void copy_pieces(char* to, int64_t row, const char* from, int64_t n, int64_t begin, int64_t end) {
    if (n <= 64 && copy_short(std::index_sequence<1, 2, 4, 8, 12, 16, 32, 64>(), to, row, from, n, begin, end)) return;
    for (int64_t o = begin; o < end; ++o) copy_bytes(to + o * row, from + o * n, n);
}
Tensor cat(TensorSpan all, int64_t dim, Out out) {
    if (all.empty()) fail(ErrorKind::Value, "torch.cat(): expected a non-empty list of Tensors");
    const Tensor* model = nullptr;
    bool alike = true;
    for (size_t i = 0; i < all.size(); ++i) {
        check(all[i].dim() > 0, "zero-dimensional tensor (at position ", i, ") cannot be concatenated");
        alike = alike && all[i].dtype() == all[0].dtype();
        if (!model && !skipped(all[i])) model = &all[i];
    }
    DType common = all[0].dtype();
    if (!alike) {
        std::vector<Operand> operands;
        for (const Tensor& t : all) operands.push_back(Operand(t));
        common = result_type(operands);
    }
    const DType dtype = out.given() ? (*out.given()).dtype() : common;
    if (out.given())
        check_type(can_cast(common, dtype), "torch.cat(): input types can't be cast to the desired output type ",
                   dtype);
    if (!model) {  // of empty vectors any dimension will do
        return out.result(Dims{0}, dtype, all[0].device());
    }
    dim = wrap_dim(dim, model->dim());
    Dims shape = model->sizes();
    int64_t total = 0;
    for (size_t i = 0; i < all.size(); ++i) {
        const Tensor& t = all[i];
        if (skipped(t)) continue;
        check(t.dim() == model->dim(), "Tensors must have same number of dimensions: got ", model->dim(), " and ",
              t.dim());
        for (int64_t d = 0; d < t.dim(); ++d)
            if (d != dim && t.sizes()[size_t(d)] != shape[size_t(d)])
                fail(ErrorKind::Runtime, "Sizes of tensors must match except in dimension ", dim, ". Expected size ",
                     shape[size_t(d)], " but got size ", t.sizes()[size_t(d)], " for tensor number ", i,
                     " in the list.");
        check(!__builtin_add_overflow(total, t.sizes()[size_t(dim)], &total), "torch.cat(): the sizes of dimension ",
              dim, " sum up to more than a tensor can have");
    }
    shape[size_t(dim)] = total;
    Tensor r;
    if (!out.given())
        if (r = cat_images(all, shape, dim); r.defined()) return r;
    // Channels last where all are, as PyTorch has it.
    if (!out.given() && std::ranges::all_of(all, [](const Tensor& t) {
            return t.dim() >= 4 && is_channels_last(t.sizes(), t.strides());
        }))
        r = empty_strided(shape, channels_last_strides(shape), dtype, model->device());
    else r = out.result(shape, dtype, model->device());
    if (r.is_meta()) return r;
    if (out.given() && r.get() == out.given()->get()) {
        check_writable(r);
        for (const Tensor& t : all)
            check(!memory_overlaps(r, t),
                  "unsupported operation: some elements of the input tensor and the written-to tensor refer to a "
                  "single memory location. Please clone() the tensor before performing the operation.");
    }
    // Equal dtypes, all contiguous: rows of bytes.
    bool plain = r->contiguous;
    for (const Tensor& t : all) plain = plain && t->contiguous && t.dtype() == dtype;
    if (plain) {
        int64_t outer = 1, inner = int64_t(itemsize(dtype));
        for (int64_t d = 0; d < dim; ++d) outer *= shape[size_t(d)];
        for (size_t d = size_t(dim) + 1; d < shape.size(); ++d) inner *= shape[d];
        char* to = static_cast<char*>(r->data());
        const int64_t row = total * inner;
        if (outer == 1) {
            for (const Tensor& t : all) {
                if (skipped(t) || !t.numel()) continue;
                const char* p = static_cast<const char*>(t->data());
                const int64_t n = t.sizes()[size_t(dim)] * inner;
                parallel_for(n, 1 << 18, [&](int64_t b, int64_t e) { copy_bytes(to + b, p + b, e - b); });
                to += n;
            }
        } else if (row) {
            std::vector<std::pair<const char*, int64_t>> parts;
            for (const Tensor& t : all)
                if (!skipped(t) && t.numel())
                    parts.push_back({static_cast<const char*>(t->data()), t.sizes()[size_t(dim)] * inner});
            parallel_for(outer, std::max<int64_t>(1, (1 << 17) / row), [&](int64_t b, int64_t e) {
                // Some rows at a time: neighbours that share lines are written before these leave the cache.
                const int64_t some = std::max<int64_t>(1, (1 << 15) / row);
                for (int64_t next; b < e; b = next) {
                    next = std::min(e, b + some);
                    char* q = to;
                    for (auto [p, n] : parts) {
                        copy_pieces(q, row, p, n, b, next);
                        q += n;
                    }
                }
            });
        }
        return r;
    }
    int64_t at = 0;
    for (const Tensor& t : all) {
        if (skipped(t)) continue;
        Dims part = r.sizes();
        part[size_t(dim)] = t.sizes()[size_t(dim)];
        copy_data(make_view(r, part, r.strides(), r->offset + at * r.strides()[size_t(dim)]), t);
        at += t.sizes()[size_t(dim)];
    }
    return r;
}
std::vector<Tensor> cat_backward(Back& b) {
    std::vector<Tensor> r(size_t(b.items(0)));
    int64_t dim = b.integer(1), at = 0;
    const int64_t n = b.g.dim();
    if (dim < 0) dim += n;
    // Where an input needs no gradient its length is still needed: it is kept as an attribute of the node.
    const IntSpan lengths = b.attr(0).ints();
    for (int i = 0; i < b.items(0); ++i) {
        const int64_t length = lengths[size_t(i)];
        if (b.needs_item(0, i)) {
            if (length < 0) r[size_t(i)] = zeros_of(b.meta(0, i));
            else {
                if (dim == 1 && !tls.grad) r[size_t(i)] = channels_of(b.g, at, length);
                if (!r[size_t(i)].defined()) r[size_t(i)] = op<"narrow">(b.g, dim, at, length);
            }
        }
        if (length > 0) at += length;
    }
    return r;
}

// A matrix with the given ones (numbers, vectors as rows) along its diagonal, zeros elsewhere. `f` is called with the
// place of each.
template <class F>
Dims on_diagonal(TensorSpan all, F&& f) {
    int64_t row = 0, column = 0;
    for (size_t i = 0; i < all.size(); ++i) {
        const Tensor& t = all[i];
        check(t.dim() <= 2, "torch.block_diag: Input tensors must have 2 or fewer dimensions. Input ", i, " has ",
              t.dim(), " dimensions");
        const int64_t high = t.dim() == 2 ? t.size(0) : 1, wide = t.dim() ? t.sizes().back() : 1;
        f(i, row, column, Dims{high, wide});
        row += high, column += wide;
    }
    return all.empty() ? Dims{1, 0} : Dims{row, column};
}
Tensor block_diag(TensorSpan all) {
    const Dims shape = on_diagonal(all, [](size_t, int64_t, int64_t, IntSpan) {});
    DType dtype = all.empty() ? default_dtype() : all[0].dtype();
    for (const Tensor& t : all) dtype = promote(dtype, t.dtype());
    const Tensor r = op<"zeros">(shape, dtype, nullptr, all.empty() ? kCPU : all[0].device());
    if (r.is_meta()) return r;
    on_diagonal(all, [&](size_t i, int64_t row, int64_t column, IntSpan size) {
        const Tensor part = make_view(r, size, r.strides(), r->offset + row * shape[1] + column);
        if (part.numel()) copy_data(part, op<"reshape">(all[i], size));
    });
    return r;
}
std::vector<Tensor> block_diag_backward(Back& b) {
    const std::vector<Tensor> all = b.list(0);
    std::vector<Tensor> r(all.size());
    on_diagonal(all, [&](size_t i, int64_t row, int64_t column, IntSpan size) {
        if (!b.needs_item(0, int(i))) return;
        const Tensor part = op<"narrow">(op<"narrow">(b.g, 0, row, size[0]), 1, column, size[1]);
        r[i] = op<"reshape">(part, all[i].sizes());
    });
    return r;
}

Tensor stack(TensorSpan all, int64_t dim, Out out) {
    check(!all.empty(), "stack expects a non-empty TensorList");
    for (size_t i = 1; i < all.size(); ++i)
        if (!same(all[i].sizes(), all[0].sizes()))
            fail(ErrorKind::Runtime, "stack expects each tensor to be equal size, but got ", all[0].sizes(),
                 " at entry 0 and ", all[i].sizes(), " at entry ", i);
    dim = wrap_dim(dim, all[0].dim() + 1);
    std::vector<Tensor> parts;
    parts.reserve(all.size());
    for (const Tensor& t : all) {
        Dims sizes = t.sizes(), strides = t.strides();
        sizes.insert(size_t(dim), 1);
        strides.insert(size_t(dim), 1);
        Tensor v = make_view(t, sizes, strides, t->offset);
        v->set_shape(sizes, t->contiguous ? contiguous_strides(sizes) : strides);
        parts.push_back(std::move(v));
    }
    return cat(parts, dim, out);
}

// --- repetition, reversal
Tensor repeat(const Tensor& x, IntSpan times) {
    check(int64_t(times.size()) >= x.dim(),
          "Number of dimensions of repeat dims can not be smaller than number of dimensions of tensor");
    const size_t lead = times.size() - x.sizes().size();
    Dims shape(times.size()), room, sizes, strides;
    for (size_t d = 0; d < times.size(); ++d) {
        const int64_t n = d < lead ? 1 : x.sizes()[d - lead];
        if (times[d] < 0)
            fail(ErrorKind::Runtime, "Trying to create tensor with negative dimension ", n * times[d], ": ", times);
        shape[d] = n * times[d];
    }
    Tensor r = empty(shape, x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    // The result seen as [times0, size0, times1, size1, …]; the source is broadcast into it.
    for (size_t d = 0; d < times.size(); ++d) {
        const int64_t n = d < lead ? 1 : x.sizes()[d - lead];
        room.push_back(times[d]);
        room.push_back(n);
        sizes.push_back(1);
        sizes.push_back(n);
        strides.push_back(0);
        strides.push_back(d < lead ? 0 : x.strides()[d - lead]);
    }
    copy_data(make_view(r, room, contiguous_strides(room), 0), make_view(x, sizes, strides, x->offset));
    return r;
}
Tensor repeat_backward(Back& b) {
    const Dims& sizes = b.sizes(0);
    const IntSpan times = b.ints(1);
    Dims split, fold;
    const size_t lead = times.size() - sizes.size();
    for (size_t d = 0; d < times.size(); ++d) {
        fold.push_back(int64_t(split.size()));
        split.push_back(times[d]);
        if (d >= lead) split.push_back(sizes[d - lead]);
    }
    if (b.g.numel() == 0) return op<"zeros">(sizes, b.g.dtype(), nullptr, b.g.device());
    if (fold.empty()) return b.g;
    return op<"sum.dim_IntList">(op<"reshape">(b.g, split), fold);
}
// Joined after `shaped` made each of them ready.
template <class F>
Tensor joined_as(TensorSpan all, const char* name, int64_t dim, const Out& out, F&& shaped) {
    check(!all.empty(), name, " expects a non-empty TensorList");
    std::vector<Tensor> parts;
    parts.reserve(all.size());
    for (const Tensor& t : all) parts.push_back(shaped(t));
    if (!out.given()) return op<"cat">(parts, dim);
    for (const Tensor& t : all)
        check(!tls.grad || !t->needs_grad(),
              "cat(): functions with out=... arguments don't support automatic differentiation, but one of the "
              "arguments requires grad.");
    return cat(parts, dim, out);
}
Tensor hstack(TensorSpan all, Out out) {
    const int64_t dim = !all.empty() && all[0].dim() > 1;
    return joined_as(all, "hstack", dim, out, [](const Tensor& t) { return t.dim() ? t : op<"reshape">(t, Dims{1}); });
}
Tensor vstack(TensorSpan all, Out out) {
    return joined_as(all, "vstack", 0, out, [](const Tensor& t) {
        return t.dim() > 1 ? t : t.dim() ? op<"unsqueeze">(t, 0) : op<"reshape">(t, Dims{1, 1});
    });
}
Tensor dstack(TensorSpan all, Out out) {
    return joined_as(all, "dstack", 2, out, [](const Tensor& t) {
        switch (t.dim()) {
            case 0: return op<"reshape">(t, Dims{1, 1, 1});
            case 1: return op<"unsqueeze">(op<"unsqueeze">(t, 0), 2);
            case 2: return op<"unsqueeze">(t, 2);
            default: return t;
        }
    });
}
Tensor column_stack(TensorSpan all, Out out) {
    return joined_as(all, "column_stack", 1, out,
                     [](const Tensor& t) { return t.dim() > 1 ? t : op<"reshape">(t, Dims{t.numel(), 1}); });
}
Tensor tile(const Tensor& x, IntSpan dims) {
    Dims t(dims);
    while (int64_t(t.size()) < x.dim()) t.insert(0, 1);
    return op<"repeat">(x, t);
}

Tensor flip(const Tensor& x, IntSpan dims) {
    Tensor r = empty_like(x);
    uint64_t mask = 0;
    for (int64_t d : dims) {
        const uint64_t bit = uint64_t(1) << wrap_dim(d, x.dim());
        check(!(mask & bit), "dim ", wrap_dim(d, x.dim()), " appears multiple times in the list of dims");
        mask |= bit;
    }
    if (r.is_meta() || !r.numel()) return r;
    Dims strides = x.strides();
    int64_t offset = x->offset;
    for (size_t d = 0; d < strides.size(); ++d)
        if (mask >> d & 1) {
            offset += (x.sizes()[d] - 1) * strides[d];
            strides[d] = -strides[d];
        }
    Strided ops[2];
    const int64_t item = int64_t(itemsize(x.dtype()));
    ops[0].ptr = static_cast<char*>(r->data());
    ops[1].ptr = static_cast<char*>(x->data()) + (offset - x->offset) * item;
    for (size_t d = 0; d < strides.size(); ++d) {
        ops[0].strides.push_back(r.strides()[d] * item);
        ops[1].strides.push_back(strides[d] * item);
    }
    if (!copy_elements(x.sizes(), ops[0].ptr, ops[0].strides, ops[1].ptr, ops[1].strides, item))
        run_loop(convert_loop(x.dtype(), x.dtype()), x.sizes(), ops, nullptr);
    return r;
}
Tensor rolled(const Tensor& x0, int64_t dim, int64_t shift) {
    if (x0.is_meta()) return empty(x0.sizes(), x0.dtype(), kMeta);
    const Tensor x = dense(x0), r = empty(x.sizes(), x.dtype());
    int64_t outer = 1, inner = int64_t(itemsize(x.dtype()));
    for (int64_t d = 0; d < x.dim(); ++d)
        if (d != dim) (d < dim ? outer : inner) *= x.sizes()[size_t(d)];
    const int64_t row = x.sizes()[size_t(dim)] * inner, end = shift * inner;
    const char* from = static_cast<const char*>(x->data());
    char* to = static_cast<char*>(r->data());
    if (!r.numel()) return r;
    if (outer == 1) {  // two pieces change places
        const auto move = [](char* q, const char* p, int64_t n) {
            parallel_for(n, 1 << 17, [&](int64_t b, int64_t e) { copy_bytes(q + b, p + b, e - b); });
        };
        move(to + end, from, row - end);
        move(to, from + row - end, end);
        return r;
    }
    parallel_for(outer, std::max<int64_t>(1, (1 << 17) / row), [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
            copy_bytes(to + b * row + end, from + b * row, row - end);
            std::memcpy(to + b * row, from + (b + 1) * row - end, size_t(end));
        }
    });
    return r;
}
Tensor roll(const Tensor& x, IntSpan shifts, IntSpan dims) {
    check(!shifts.empty(), "`shifts` required");
    if (dims.empty() && shifts.size() == 1)
        return op<"view">(op<"roll">(op<"contiguous">(op<"reshape">(x, Dims{-1})), shifts, Dims{0}), x.sizes());
    check(shifts.size() == dims.size(), "shifts and dimensions must align. shifts: ", shifts.size(),
          ", dims:", dims.size());
    Tensor r = x;
    for (size_t i = 0; i < dims.size(); ++i) {
        const int64_t d = wrap_dim(dims[i], x.dim(), false), n = x.sizes()[size_t(d)];
        if (n == 0) continue;
        const int64_t s = ((shifts[i] % n) + n) % n;
        if (s == 0) continue;
        r = rolled(r, d, s);
    }
    return r.get() == x.get() ? op<"clone">(x) : r;
}

// --- triangles
template <bool Lower>
Tensor triangle(const Tensor& x, int64_t k, Out out) {
    check(x.dim() >= 2, Lower ? "tril" : "triu", ": input tensor must have at least 2 dimensions");
    Tensor r = out.result(x.sizes(), x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    // Row by row: what stays is copied, the rest cleared.
    const Tensor from = dense(x), to = r->contiguous ? r : empty(r.sizes(), r.dtype());
    const int64_t rows = x.size(-2), cols = x.size(-1), item = int64_t(itemsize(x.dtype()));
    const char* in = static_cast<const char*>(from->data());
    char* out_rows = static_cast<char*>(to->data());
    parallel_for(r.numel() / cols, std::max<int64_t>(1, 32768 / cols), [&](int64_t begin, int64_t end) {
        for (; begin < end; ++begin) {
            const int64_t i = begin % rows, edge = std::clamp<int64_t>(i + k + (Lower ? 1 : 0), 0, cols);
            const int64_t kept = Lower ? 0 : edge, kept_end = Lower ? edge : cols;
            const char* row = in + begin * cols * item;
            char* q = out_rows + begin * cols * item;
            if (q != row) std::memcpy(q + kept * item, row + kept * item, size_t((kept_end - kept) * item));
            std::memset(q, 0, size_t(kept * item));
            std::memset(q + kept_end * item, 0, size_t((cols - kept_end) * item));
        }
    });
    if (to.get() != r.get()) copy_data(r, to);
    return r;
}

const Family join([](Registry& r) {
    r.add("cat(Tensor[] tensors, int dim=0) -> Tensor", "fo")
        .kernel<cat>()
        .grad_list("tensors", "", cat_backward)
        .remember_lengths();
    r.add("block_diag(Tensor[] tensors) -> Tensor", "f")
        .kernel<block_diag>()
        .grad_list("tensors", "tensors", block_diag_backward);
    r.add("stack(Tensor[] tensors, int dim=0) -> Tensor", "fo").kernel<stack>().grad_list("tensors", "", [](Back& b) {
        return op_list<"unbind">(b.g, b.integer(1));
    });
    r.add("hstack(Tensor[] tensors) -> Tensor", "fo").kernel<hstack>();
    r.add("vstack(Tensor[] tensors) -> Tensor", "fo").kernel<vstack>();
    r.add("row_stack(Tensor[] tensors) -> Tensor", "fo").kernel<vstack>();
    r.add("dstack(Tensor[] tensors) -> Tensor", "fo").kernel<dstack>();
    r.add("column_stack(Tensor[] tensors) -> Tensor", "fo").kernel<column_stack>();
    r.add("repeat(Tensor self, int[] repeats) -> Tensor", "m").kernel<repeat>().grad("self", "", repeat_backward);
    r.add("tile(Tensor self, int[] dims) -> Tensor", "fm").kernel<tile>();
    r.add("flip(Tensor self, int[] dims) -> Tensor", "fm").kernel<flip>().grad("self", "", [](Back& b) {
        return op<"flip">(b.g, b.ints(1));
    });
    r.add("roll(Tensor self, int[1] shifts, int[1] dims=[]) -> Tensor", "fm")
        .kernel<roll>()
        .grad("self", "", [](Back& b) {
            Dims back(b.ints(1));
            for (auto& s : back) s = -s;
            return op<"roll">(b.g, back, b.ints(2));
        });
    r.add("tril(Tensor self, int diagonal=0) -> Tensor", "fmio").kernel<triangle<true>>().grad("self", "", [](Back& b) {
        return op<"tril">(b.g, b.integer(1));
    });
    r.add("triu(Tensor self, int diagonal=0) -> Tensor", "fmio")
        .kernel<triangle<false>>()
        .grad("self", "", [](Back& b) { return op<"triu">(b.g, b.integer(1)); });
});

}  // namespace
}  // namespace fb
