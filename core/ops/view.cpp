// Views: new shapes, strides and offsets on the same memory.
#include "autograd/back.h"
#include "base/shown_type.h"
#include "cpu/iter.h"

namespace fb {
namespace {

Tensor view_of(const Tensor& t, IntSpan sizes, IntSpan strides, int64_t offset) {
    return make_view(t, sizes, strides, offset);
}

// -1 in a shape stands for what is left.
Dims infer_size(IntSpan shape, int64_t numel) {
    Dims r(shape);
    int64_t known = 1, unknown = -1;
    for (size_t d = 0; d < r.size(); ++d) {
        if (r[d] == -1) {
            if (unknown >= 0) fail(ErrorKind::Runtime, "only one dimension can be inferred");
            unknown = int64_t(d);
        } else {
            if (r[d] < 0)
                fail(ErrorKind::Runtime, "invalid shape dimension ", r[d], " at index ", d, " of shape ", shape);
            known *= r[d];
        }
    }
    if (numel == known && unknown < 0) return r;
    if (unknown >= 0 && known > 0 && numel % known == 0) {
        r[size_t(unknown)] = numel / known;
        return r;
    }
    if (unknown >= 0 && known == 0 && numel == 0)
        fail(ErrorKind::Runtime, "cannot reshape tensor of 0 elements into shape ", shape,
             " because the unspecified dimension size -1 can be any value and is ambiguous");
    fail(ErrorKind::Runtime, "shape '", shape, "' is invalid for input of size ", numel);
}

// Strides that show `t` in a new shape without a copy; false where memory order forbids it.
bool view_strides(const Tensor& t, IntSpan shape, Dims& strides) {
    strides.resize(shape.size(), 0);
    if (t.numel() == 0) {
        strides = same(t.sizes(), shape) ? t.strides() : contiguous_strides(shape);
        return true;
    }
    if (shape.empty()) return true;
    int64_t v = int64_t(shape.size()) - 1;
    if (t.dim() == 0) {
        for (auto& s : strides) s = 1;
        return true;
    }
    int64_t base = t.strides().back(), chunk = 1, filled = 1;
    for (int64_t d = t.dim() - 1; d >= 0; --d) {
        chunk *= t.sizes()[size_t(d)];
        // A chunk ends where the next dimension does not continue it in memory.
        if (d == 0 || (t.sizes()[size_t(d - 1)] != 1 && t.strides()[size_t(d - 1)] != chunk * base)) {
            while (v >= 0 && (filled < chunk || shape[size_t(v)] == 1)) {
                strides[size_t(v)] = filled * base;
                filled *= shape[size_t(v)];
                --v;
            }
            if (filled != chunk) return false;
            if (d > 0) {
                base = t.strides()[size_t(d - 1)];
                chunk = filled = 1;
            }
        }
    }
    return v == -1;
}

Tensor view(const Tensor& t, IntSpan size) {
    const Dims shape = infer_size(size, t.numel());
    Dims strides;
    if (t->contiguous) strides = contiguous_strides(shape);
    else if (!view_strides(t, shape, strides))
        fail(ErrorKind::Runtime,
             "view size is not compatible with input tensor's size and stride (at least one dimension spans across two "
             "contiguous "
             "subspaces). Use .reshape(...) instead.");
    return view_of(t, shape, strides, t->offset);
}

Tensor view_dtype(const Tensor& t, DType dtype) {
    if (t->lazy())
        fail(ErrorKind::Runtime, "torch.Tensor.view is not supported for ", t->conj ? "conjugate" : "negative",
             " view tensors when converting to a different dtype.");
    const int64_t a = int64_t(itemsize(t.dtype())), b = int64_t(itemsize(dtype));
    if (a == b) {
        Tensor v = view_of(t, t.sizes(), t.strides(), t->offset);
        v->dtype = dtype;
        note_dtype(dtype);
        return v;
    }
    check(t.dim() > 0, "self.dim() cannot be 0 to view ", scalar_name(t.dtype()), " as ", scalar_name(dtype),
          " (different element sizes)");
    check(t.strides().back() == 1, "self.stride(-1) must be 1 to view ", scalar_name(t.dtype()), " as ",
          scalar_name(dtype), " (different element sizes), but got ", t.strides().back());
    Dims sizes = t.sizes(), strides = t.strides();
    int64_t offset = t->offset;
    if (a > b) {
        const int64_t k = a / b;
        sizes.back() *= k;
        for (size_t d = 0; d + 1 < strides.size(); ++d) strides[d] *= k;
        offset *= k;
    } else {
        const int64_t k = b / a;
        check(sizes.back() % k == 0, "self.size(-1) must be divisible by ", k, " to view ", scalar_name(t.dtype()),
              " as ", scalar_name(dtype), " (different element sizes), but got ", sizes.back());
        check(offset % k == 0, "self.storage_offset() must be divisible by ", k, " to view ", scalar_name(t.dtype()),
              " as ", scalar_name(dtype), " (different element sizes), but got ", offset);
        sizes.back() /= k;
        for (size_t d = 0; d + 1 < strides.size(); ++d) {
            check(strides[d] % k == 0, "self.stride(", d, ") must be divisible by ", k, " to view ",
                  scalar_name(t.dtype()), " as ", scalar_name(dtype), " (different element sizes), but got ",
                  strides[d]);
            strides[d] /= k;
        }
        offset /= k;
    }
    Tensor v = view_of(t, t.sizes(), t.strides(), offset);
    v->dtype = dtype;
    note_dtype(dtype);
    v->set_shape(sizes, strides);
    return v;
}

Tensor reshape(const Tensor& t, IntSpan size) {
    const Dims shape = infer_size(size, t.numel());
    Dims strides;
    if (t->contiguous || view_strides(t, shape, strides)) return op<"view">(t, shape);
    return op<"_unsafe_view">(op<"clone">(t, MemoryFormat::Contiguous), shape);
}
Tensor unsafe_view(const Tensor& t, IntSpan size) {
    Tensor v = view(t, size);
    v->base = {};
    return v;
}

Tensor expand(const Tensor& t, IntSpan size, bool) {
    if (int64_t(size.size()) < t.dim())
        fail(ErrorKind::Runtime, "expand(", shown_type(t.dtype()), "{", t.sizes(), "}, size=", size,
             "): the number of sizes provided (", size.size(),
             ") must be greater or equal to the number of dimensions in the tensor (", t.dim(), ")");
    Dims sizes(size), strides(size.size());
    const size_t lead = size.size() - t.sizes().size();
    for (size_t d = size.size(); d-- > 0;) {
        if (d < lead) {
            if (sizes[d] == -1)
                fail(ErrorKind::Runtime,
                     "The expanded size of the tensor (-1) isn't allowed in a leading, non-existing dimension ", d);
            check(sizes[d] >= 0, "Trying to create tensor with negative dimension ", sizes[d], ": ", size);
            strides[d] = d + 1 < size.size() ? sizes[d + 1] * strides[d + 1] : 1;
            if (sizes[d] != 1 || t.dim() == 0) strides[d] = 0;
            continue;
        }
        const int64_t have = t.sizes()[d - lead];
        if (sizes[d] == -1) sizes[d] = have;
        strides[d] = t.strides()[d - lead];
        if (have != sizes[d]) {
            if (have != 1)
                fail(ErrorKind::Runtime, "The expanded size of the tensor (", sizes[d],
                     ") must match the existing size (", have, ") at non-singleton dimension ", d,
                     ".  Target sizes: ", size, ".  Tensor sizes: ", t.sizes());
            check(sizes[d] >= 0, "Trying to create tensor with negative dimension ", sizes[d], ": ", size);
            strides[d] = 0;
        }
    }
    int64_t n = 1;
    for (int64_t s : sizes) check(!__builtin_mul_overflow(n, s, &n), "numel: integer multiplication overflow");
    return view_of(t, sizes, strides, t->offset);
}
Tensor broadcast_to(const Tensor& t, IntSpan size) { return op<"expand">(t, size); }
Tensor expand_as(const Tensor& t, const Tensor& other) { return op<"expand">(t, other.sizes()); }

Tensor as_strided(const Tensor& t, IntSpan size, IntSpan stride, std::optional<int64_t> offset) {
    check(size.size() == stride.size(), "mismatch in length of strides and shape");
    for (int64_t s : stride)
        check(s >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ", stride);
    const int64_t o = offset.value_or(t->offset);
    check(o >= 0, "Tensor: invalid storage offset ", o);
    for (int64_t s : size)
        check(s >= 0, "Storage size calculation overflowed with sizes=", size, " and strides=", stride);
    const int64_t need = storage_size(size, stride, o) * int64_t(itemsize(t.dtype()));
    if (need > int64_t(t->storage->nbytes()))
        fail(ErrorKind::Runtime, "setStorage: sizes ", size, ", strides ", stride, ", storage offset ", o,
             ", and itemsize ", itemsize(t.dtype()), " requiring a storage size of ", need,
             " are out of bounds for storage of size ", t->storage->nbytes());
    return view_of(t, size, stride, o);
}
Tensor as_strided_backward(Back& b) {
    // Attribute 0 holds the input's offset and strides. Gradients are laid into the input's memory picture: several
    // places of the view may be one element, so they are added by index.
    const IntSpan geometry = b.attr(0).ints();
    const int64_t in_offset = geometry[0];
    const IntSpan in_strides = geometry.subspan(1);
    const Dims& in_sizes = b.sizes(0);
    const IntSpan sizes = b.ints(1), strides = b.ints(2);
    const int64_t offset = b.attr(3).is_none() ? in_offset : b.integer(3);
    const int64_t low = std::min(in_offset, offset);
    const int64_t span =
        std::max(storage_size(in_sizes, in_strides, in_offset - low), storage_size(sizes, strides, offset - low));
    Tensor memory = op<"zeros">(Dims{span}, b.g.dtype(), nullptr, b.g.device());
    if (b.g.numel()) {
        if (is_non_overlapping_and_dense(sizes, strides)) {
            memory = op<"as_strided_scatter">(memory, b.g, sizes, strides, offset - low);
        } else {
            Tensor index = op<"as_strided">(op<"arange">(Scalar(span)), sizes, strides, offset - low);
            memory = op<"index_add">(memory, 0, op<"reshape">(index, Dims{-1}), op<"reshape">(b.g, Dims{-1}));
        }
    }
    return op<"as_strided">(memory, in_sizes, in_strides, in_offset - low);
}
Tensor as_strided_scatter(const Tensor& self, const Tensor& src, IntSpan size, IntSpan stride,
                          std::optional<int64_t> offset) {
    Tensor r = op<"clone">(self);
    Tensor v = as_strided(r, size, stride, offset.value_or(self->offset));
    check(same(src.sizes(), v.sizes()),
          "expected src to have a size equal to the slice of self. src size = ", src.sizes(),
          ", slice size = ", v.sizes());
    cpu::copy_data(v, src);
    return r;
}

Tensor permute(const Tensor& t, IntSpan dims) {
    check(int64_t(dims.size()) == t.dim(),
          "permute(sparse_coo): number of dimensions in the tensor input does not match the length of the desired "
          "ordering of dimensions i.e. input.dim() = ",
          t.dim(), " is not equal to len(dims) = ", dims.size());
    Dims sizes(dims.size()), strides(dims.size());
    uint64_t seen = 0;
    for (size_t i = 0; i < dims.size(); ++i) {
        const int64_t d = wrap_dim(dims[i], t.dim());
        check(!(seen >> d & 1), "permute(): duplicate dims are not allowed.");
        seen |= uint64_t(1) << d;
        sizes[i] = t.sizes()[size_t(d)];
        strides[i] = t.strides()[size_t(d)];
    }
    return view_of(t, sizes, strides, t->offset);
}
Tensor transpose(const Tensor& t, int64_t a, int64_t b) {
    a = wrap_dim(a, t.dim());
    b = wrap_dim(b, t.dim());
    Dims sizes = t.sizes(), strides = t.strides();
    if (t.dim()) {
        std::swap(sizes[size_t(a)], sizes[size_t(b)]);
        std::swap(strides[size_t(a)], strides[size_t(b)]);
    }
    return view_of(t, sizes, strides, t->offset);
}
Tensor t(const Tensor& x) {
    check(x.dim() <= 2, "t() expects a tensor with <= 2 dimensions, but self is ", x.dim(), "D");
    return x.dim() < 2 ? transpose(x, 0, 0) : transpose(x, 0, 1);
}

Tensor select(const Tensor& x, int64_t dim, int64_t index) {
    if (x.dim() == 0) fail(ErrorKind::Index, "select() cannot be applied to a 0-dim tensor.");
    dim = wrap_dim(dim, x.dim());
    const int64_t n = x.sizes()[size_t(dim)];
    if (index < -n || index >= n)
        fail(ErrorKind::Index, "select(): index ", index, " out of range for tensor of size ", x.sizes(),
             " at dimension ", dim);
    Dims sizes = x.sizes(), strides = x.strides();
    const int64_t offset = x->offset + (index < 0 ? index + n : index) * strides[size_t(dim)];
    sizes.erase(size_t(dim));
    strides.erase(size_t(dim));
    return view_of(x, sizes, strides, offset);
}
Tensor slice(const Tensor& x, int64_t dim, std::optional<int64_t> start, std::optional<int64_t> end, int64_t step) {
    check(x.dim() > 0, "slice() cannot be applied to a 0-dim tensor.");
    dim = wrap_dim(dim, x.dim());
    check(step > 0, "slice step must be positive");
    const int64_t n = x.sizes()[size_t(dim)];
    int64_t a = start.value_or(0), b = end.value_or(n);
    if (a < 0) a += n;
    if (b < 0) b += n;
    a = std::clamp<int64_t>(a, 0, n);
    b = std::clamp<int64_t>(b, a, n);
    Dims sizes = x.sizes(), strides = x.strides();
    const int64_t offset = x->offset + a * strides[size_t(dim)];
    sizes[size_t(dim)] = b > a ? (b - a - 1) / step + 1 : 0;
    int64_t& stride = strides[size_t(dim)];  // of a step longer than the dimension it may not fit, and says nothing
    if (int64_t stepped; !__builtin_mul_overflow(stride, step, &stepped)) stride = stepped;
    return view_of(x, sizes, strides, offset);
}
Tensor narrow(const Tensor& x, int64_t dim, int64_t start, int64_t length) {
    check(x.dim() > 0, "narrow() cannot be applied to a 0-dim tensor.");
    check(length >= 0, "narrow(): length must be non-negative.");
    const int64_t n = x.size(dim);
    if (start < -n || start > n)
        fail(ErrorKind::Index, "start out of range (expected to be in range of [", -n, ", ", n, "], but got ", start,
             ")");
    if (start < 0) start += n;
    check(start <= n - length, "start (", start, ") + length (", length, ") exceeds dimension size (", n, ").");
    return op<"slice">(x, dim, start, start + length, 1);
}
Tensor narrow_from(const Tensor& x, int64_t dim, const Tensor& start, int64_t length) {
    check(start.dim() == 0 && is_integral(start.dtype(), false), "start must be an 0-dim integral Tensor.");
    return narrow(x, dim, start.item().to<int64_t>(), length);
}
Tensor unsqueeze(const Tensor& x, int64_t dim) {
    dim = wrap_dim(dim, x.dim() + 1);
    Dims sizes = x.sizes(), strides = x.strides();
    const int64_t s = dim < x.dim() ? sizes[size_t(dim)] * strides[size_t(dim)] : 1;
    sizes.insert(size_t(dim), 1);
    strides.insert(size_t(dim), s);
    return view_of(x, sizes, strides, x->offset);
}
Tensor squeeze_mask(const Tensor& x, uint64_t mask) {
    Dims sizes, strides;
    for (size_t d = 0; d < x.sizes().size(); ++d) {
        if ((mask >> d & 1) && x.sizes()[d] == 1) continue;
        sizes.push_back(x.sizes()[d]);
        strides.push_back(x.strides()[d]);
    }
    return view_of(x, sizes, strides, x->offset);
}
Tensor squeeze(const Tensor& x) { return squeeze_mask(x, ~uint64_t(0)); }
Tensor squeeze_dim(const Tensor& x, int64_t dim) { return squeeze_mask(x, uint64_t(1) << wrap_dim(dim, x.dim())); }
Tensor squeeze_dims(const Tensor& x, IntSpan dims) {
    uint64_t mask = 0;
    for (int64_t d : dims) {
        const uint64_t bit = uint64_t(1) << wrap_dim(d, x.dim());
        check(!(mask & bit), "dim ", wrap_dim(d, x.dim()), " appears multiple times in the list of dims");
        mask |= bit;
    }
    return squeeze_mask(x, mask);
}
Tensor back_in_shape(Back& b) { return op<"reshape">(b.g, b.sizes(0)); }

Tensor flatten(const Tensor& x, int64_t start, int64_t end) {
    start = wrap_dim(start, x.dim());
    end = wrap_dim(end, x.dim());
    check(start <= end, "flatten() has invalid args: start_dim cannot come after end_dim");
    if (x.dim() == 0) return op<"reshape">(x, Dims{1});
    if (start == end) return x;
    Dims shape;
    for (int64_t d = 0; d < x.dim(); ++d) {
        if (d > start && d <= end) shape.back() *= x.sizes()[size_t(d)];
        else shape.push_back(x.sizes()[size_t(d)]);
    }
    return op<"reshape">(x, shape);
}
Tensor ravel(const Tensor& x) { return op<"view">(x.contiguous(), Dims{-1}); }
Tensor view_as(const Tensor& x, const Tensor& other) { return op<"view">(x, other.sizes()); }
Tensor reshape_as(const Tensor& x, const Tensor& other) { return op<"reshape">(x, other.sizes()); }

Tensor diagonal(const Tensor& x, int64_t offset, int64_t dim1, int64_t dim2) {
    const int64_t a = wrap_dim(dim1, x.dim()), b = wrap_dim(dim2, x.dim());
    check(a != b, "diagonal dimensions cannot be identical ", dim1, ", ", dim2);
    Dims sizes = x.sizes(), strides = x.strides();
    int64_t n, start = x->offset;
    if (offset >= 0) {
        n = std::max<int64_t>(std::min(sizes[size_t(a)], sizes[size_t(b)] - offset), 0);
        if (n) start += offset * strides[size_t(b)];
    } else {
        n = std::max<int64_t>(std::min(sizes[size_t(a)] + offset, sizes[size_t(b)]), 0);
        if (n) start -= offset * strides[size_t(a)];
    }
    const int64_t s = strides[size_t(a)] + strides[size_t(b)];
    sizes.erase(size_t(std::max(a, b)));
    strides.erase(size_t(std::max(a, b)));
    sizes.erase(size_t(std::min(a, b)));
    strides.erase(size_t(std::min(a, b)));
    sizes.push_back(n);
    strides.push_back(s);
    return view_of(x, sizes, strides, start);
}
// A copy of the diagonal of a matrix, or a matrix with a vector on its diagonal.
Tensor diag(const Tensor& x, int64_t offset) {
    check(x.dim() == 1 || x.dim() == 2, "diag(): Supports 1D or 2D tensors. Got ", x.dim(), "D");
    if (x.dim() == 2) return op<"clone">(op<"diagonal">(x, offset));
    const int64_t side = x.sizes()[0] + std::abs(offset);
    return op<"diagonal_backward">(x, Dims{side, side}, offset, 0, 1);
}
Tensor unfold(const Tensor& x, int64_t dim, int64_t size, int64_t step) {
    dim = wrap_dim(dim, x.dim());
    check(size >= 0, "size is ", size, " but must be >= 0");
    check(step > 0, "step is ", step, " but must be > 0");
    const int64_t n = x.dim() ? x.sizes()[size_t(dim)] : 1;
    check(size <= n, "maximum size for tensor at dimension ", dim, " is ", n, " but size is ", size);
    Dims sizes = x.sizes(), strides = x.strides();
    if (x.dim() == 0) return view_of(x, Dims{size}, Dims{1}, x->offset);
    const int64_t s = strides[size_t(dim)];
    sizes[size_t(dim)] = (n - size) / step + 1;
    strides[size_t(dim)] = s * step;
    sizes.push_back(size);
    strides.push_back(s);
    return view_of(x, sizes, strides, x->offset);
}

// --- several views at once
std::vector<Tensor> split_with_sizes(const Tensor& x, IntSpan lengths, int64_t dim) {
    check(x.dim() != 0, "split expects at least a 1-dimensional tensor");
    const int64_t d = wrap_dim(dim, x.dim()), n = x.sizes()[size_t(d)];
    std::vector<Tensor> r;
    int64_t at = 0, total = 0;
    for (int64_t k : lengths) {
        check(k >= 0,
              "split_with_sizes expects split_sizes have only non-negative entries, but got split_sizes=", lengths);
        total += k;
    }
    check(total == n, "split_with_sizes expects split_sizes to sum exactly to ", n,
          " (input tensor's size at dimension ", dim, "), but got split_sizes=", lengths);
    for (int64_t k : lengths) {
        r.push_back(slice(x, d, at, at + k, 1));
        at += k;
    }
    return r;
}
Dims equal_parts(const Tensor& x, int64_t size, int64_t dim) {
    check(x.dim() != 0, "split expects at least a 1-dimensional tensor");
    check(size >= 0, "split expects split_size be non-negative, but got split_size=", size);
    const int64_t n = x.size(dim);
    check(size > 0 || n == 0, "split_size can only be 0 if dimension size is 0, but got dimension size of ", n);
    Dims lengths;
    if (size == 0 || n == 0) lengths.push_back(n);
    else
        for (int64_t at = 0; at < n; at += size) lengths.push_back(std::min(size, n - at));
    return lengths;
}
std::vector<Tensor> split(const Tensor& x, int64_t size, int64_t dim) {
    return split_with_sizes(x, equal_parts(x, size, dim), dim);
}
std::vector<Tensor> chunk(const Tensor& x, int64_t chunks, int64_t dim) {
    check(x.dim() > 0, "chunk expects at least a 1-dimensional tensor");
    check(chunks > 0, "chunk expects `chunks` to be greater than 0, got: ", chunks);
    const int64_t n = x.size(dim), size = (n + chunks - 1) / chunks;
    if (size == 0) {
        Dims lengths(size_t(chunks), 0);
        return op_list<"split_with_sizes">(x, lengths, dim);
    }
    return op_list<"split.Tensor">(x, size, dim);
}
// Nearly equal parts, or parts between places.
void check_splits(const Tensor& x) {
    check(x.dim() > 0, "tensor_split expected at least a 1-dimensional tensor, but got a tensor with ", x.dim(),
          " dims");
}
std::vector<Tensor> tensor_split(const Tensor& x, int64_t sections, int64_t dim) {
    check_splits(x);
    check(sections > 0, "number of sections must be larger than 0, got ", sections);
    dim = wrap_dim(dim, x.dim());
    const int64_t n = x.sizes()[size_t(dim)], small = n / sections, larger = n % sections;
    std::vector<Tensor> r;
    r.reserve(size_t(sections));
    for (int64_t i = 0, at = 0; i < sections; ++i) {
        const int64_t end = at + small + (i < larger);
        r.push_back(op<"slice">(x, dim, at, end, 1));
        at = end;
    }
    return r;
}
std::vector<Tensor> tensor_split_at(const Tensor& x, IntSpan places, int64_t dim) {
    check_splits(x);
    dim = wrap_dim(dim, x.dim());
    std::vector<Tensor> r;
    r.reserve(places.size() + 1);
    int64_t at = 0;
    for (int64_t place : places) {
        r.push_back(op<"slice">(x, dim, at, place, 1));
        at = place;
    }
    r.push_back(op<"slice">(x, dim, at, x.sizes()[size_t(dim)], 1));
    return r;
}
std::vector<Tensor> tensor_split_by(const Tensor& x, const Tensor& places, int64_t dim) {
    check_splits(x);
    check(places.device().type == DeviceType::CPU,
          "tensor_split expected tensor_indices_or_sections to be on cpu, but it's on ", places.device());
    check(places.dtype() == DType::i64,
          "tensor_split expected tensor_indices_or_sections to have dtype of long, but got ",
          scalar_name(places.dtype()));
    check(
        places.dim() <= 1,
        "tensor_split expected tensor_indices_or_sections to be a zero-dimensional or one-dimensional tensor, but got "
        "a tensor with ",
        places.dim(), " dims");
    if (places.dim() == 0) return tensor_split(x, places.item().to<int64_t>(), dim);
    const Tensor at = op<"contiguous">(places);
    return tensor_split_at(x, IntSpan(at.data<int64_t>(), size_t(at.numel())), dim);
}
// The dimension that hsplit (1), vsplit (0) and dsplit (2) cut; a vector has but one.
template <int kDim>
int64_t split_dim(const Tensor& x) {
    constexpr const char* name = kDim == 0 ? "vsplit" : kDim == 1 ? "hsplit" : "dsplit";
    constexpr int64_t need = kDim == 1 ? 1 : std::max(2, kDim + 1);
    check(x.dim() >= need, "torch.", name, " requires a tensor with at least ", need,
          " dimension, but got a tensor with ", x.dim(), " dimensions!");
    return x.dim() == 1 ? 0 : kDim;
}
template <int kDim>
std::vector<Tensor> split_equally(const Tensor& x, int64_t sections) {
    constexpr const char* name = kDim == 0 ? "vsplit" : kDim == 1 ? "hsplit" : "dsplit";
    const int64_t dim = split_dim<kDim>(x), n = x.sizes()[size_t(dim)];
    check(sections != 0 && n % sections == 0, "torch.", name, " attempted to split along dimension ", dim,
          ", but the size of the dimension ", n, " is not divisible by the split_size ", sections, "!");
    return tensor_split(x, sections, dim);
}
template <int kDim>
std::vector<Tensor> split_at(const Tensor& x, IntSpan places) {
    return tensor_split_at(x, places, split_dim<kDim>(x));
}
std::vector<Tensor> unbind(const Tensor& x, int64_t dim) {
    const int64_t d = wrap_dim(dim, x.dim(), false);
    std::vector<Tensor> r;
    for (int64_t i = 0; i < x.sizes()[size_t(d)]; ++i) r.push_back(select(x, d, i));
    return r;
}
// The gradient of several slices along one dimension: put side by side, zeros where none arrived.
Tensor side_by_side(Back& b, int64_t dim) {
    std::vector<Tensor> parts;
    for (size_t i = 0; i < b.node.results.size(); ++i) parts.push_back(b.grad(int(i)));
    return op<"cat">(parts, dim);
}

// --- gradients of views as operators of their own, so that they have gradients too
Tensor select_backward(const Tensor& g, IntSpan sizes, int64_t dim, int64_t index) {
    Tensor r = op<"zeros">(sizes, g.dtype(), nullptr, g.device());
    cpu::copy_data(select(r, dim, index), g);
    return r;
}
Tensor slice_backward(const Tensor& g, IntSpan sizes, int64_t dim, std::optional<int64_t> start,
                      std::optional<int64_t> end, int64_t step) {
    Tensor r = op<"zeros">(sizes, g.dtype(), nullptr, g.device());
    cpu::copy_data(slice(r, dim, start, end, step), g);
    return r;
}
Tensor diagonal_backward(const Tensor& g, IntSpan sizes, int64_t offset, int64_t a, int64_t b) {
    Tensor r = op<"zeros">(sizes, g.dtype(), nullptr, g.device());
    cpu::copy_data(diagonal(r, offset, a, b), g);
    return r;
}
Tensor trace(const Tensor& x) {
    check(x.dim() == 2, "trace: expected a matrix, but got tensor with dim ", x.dim());
    if (x.dtype() == DType::b1 || x.dtype() == DType::u16 || x.dtype() == DType::u32 || x.dtype() == DType::u64)
        cpu::no_kernel("trace", x.dtype());
    const Tensor r = empty(Dims{}, is_integral(x.dtype(), true) ? DType::i64 : x.dtype(), x.device());
    if (r.is_meta()) return r;
    const int64_t n = std::min(x.sizes()[0], x.sizes()[1]), step = x.strides()[0] + x.strides()[1];
    visit_dtype(x.dtype(), [&]<class T>(T) {
        using R = std::conditional_t<std::is_integral_v<T>, int64_t, T>;
        using A = std::conditional_t<std::is_same_v<T, F16> || std::is_same_v<T, BF16> || std::is_same_v<T, float>,
                                     double, R>;
        const T* const p = x.data<T>();
        A sum{};
        for (int64_t i = 0; i < n; ++i) sum += A(p[i * step]);
        *r.data<R>() = R(sum);
    });
    return r;
}
Tensor unfold_backward(const Tensor& g, IntSpan sizes, int64_t dim, int64_t size, int64_t step) {
    dim = wrap_dim(dim, int64_t(sizes.size()));
    Tensor r = op<"zeros">(sizes, g.dtype(), nullptr, g.device());
    if (!g.numel()) return r;
    if (sizes.empty()) return op<"clone">(op<"reshape">(g, Dims{}));
    if (step >= size) {  // no two windows have an element in common
        cpu::copy_data(unfold(r, dim, size, step), g);
        return r;
    }
    const int64_t windows = g.size(dim);
    if (windows < size) {
        for (int64_t w = 0; w < windows; ++w)
            inplace<"add">(op<"slice">(r, dim, w * step, w * step + size, 1),
                           op<"movedim">(op<"select">(g, dim, w), Dims{-1}, Dims{dim}));
        return r;
    }
    // One place of all the windows at a time, the last first: a sum is then taken in the order of the windows.
    for (int64_t k = size; k-- > 0;)
        inplace<"add">(op<"slice">(r, dim, k, k + (windows - 1) * step + 1, step), op<"select">(g, -1, k));
    return r;
}

Tensor movedim(const Tensor& x, IntSpan source, IntSpan destination) {
    check(source.size() == destination.size(), "movedim: Invalid source or destination dims: source (", source,
          " dims) should contain the same number of dims as destination (", destination, " dims)");
    const int64_t n = x.dim();
    Dims order(size_t(n), -1);
    uint64_t from = 0, to = 0;
    for (size_t i = 0; i < source.size(); ++i) {
        const int64_t s = wrap_dim(source[i], n), d = wrap_dim(destination[i], n);
        check(!(from >> s & 1), "movedim: repeated dim in `source` (", source, ")");
        check(!(to >> d & 1), "movedim: repeated dim in `destination` (", destination, ")");
        from |= uint64_t(1) << s;
        to |= uint64_t(1) << d;
        if (n) order[size_t(d)] = s;
    }
    int64_t next = 0;
    for (auto& o : order) {
        if (o >= 0) continue;
        while (from >> next & 1) ++next;
        o = next++;
    }
    return op<"permute">(x, order);
}
Tensor movedim_int(const Tensor& x, int64_t s, int64_t d) { return movedim(x, Dims{s}, Dims{d}); }
Dims inverse(IntSpan dims) {
    Dims r(dims.size());
    for (size_t i = 0; i < dims.size(); ++i)
        r[size_t(dims[i] < 0 ? dims[i] + int64_t(dims.size()) : dims[i])] = int64_t(i);
    return r;
}

const Family views([](Registry& r) {
    r.add("view(Tensor self, int[] size) -> Tensor", "m").kernel<view>().view().grad("self", "", back_in_shape);
    r.add("view.dtype(Tensor self, ScalarType dtype) -> Tensor", "m").kernel<view_dtype>().view();
    r.add("_unsafe_view(Tensor self, int[] size) -> Tensor", "").kernel<unsafe_view>().grad("self", "", back_in_shape);
    r.add("reshape(Tensor self, int[] shape) -> Tensor", "fm").kernel<reshape>().takes_lazy();
    r.add("expand(Tensor self, int[] size, *, bool implicit=False) -> Tensor", "m")
        .kernel<expand>()
        .view()
        .grad("self", "", [](Back& b) { return sum_to_size(b.g, b.sizes(0)); });
    r.add("broadcast_to(Tensor self, int[] size) -> Tensor", "fm").kernel<broadcast_to>().takes_lazy();
    r.add("expand_as(Tensor self, Tensor other) -> Tensor", "m").kernel<expand_as>().takes_lazy();
    r.add("as_strided(Tensor self, int[] size, int[] stride, int? storage_offset=None) -> Tensor", "fm")
        .kernel<as_strided>()
        .view()
        .keep_geometry()
        .grad("self", "", as_strided_backward);
    r.add("as_strided_scatter(Tensor self, Tensor src, int[] size, int[] stride, int? storage_offset=None) -> Tensor",
          "fm")
        .kernel<as_strided_scatter>()
        .grad("self", "",  // as PyTorch has it: the gradient of the part that src replaces, not of the rest
              [](Back& b) {
                  const Tensor g = op<"contiguous">(b.g);
                  const int64_t offset = b.attr(4).is_none() ? 0 : b.integer(4);
                  return op<"as_strided_scatter">(op<"zeros_like">(g),
                                                  op<"as_strided">(g, b.ints(2), b.ints(3), offset), b.ints(2),
                                                  b.ints(3), offset);
              })
        .grad("src", "", [](Back& b) {
            return op<"as_strided">(op<"contiguous">(b.g), b.ints(2), b.ints(3),
                                    b.attr(4).is_none() ? 0 : b.integer(4));
        });
    r.add("permute(Tensor self, int[] dims) -> Tensor", "fm").kernel<permute>().view().grad("self", "", [](Back& b) {
        return op<"permute">(b.g, inverse(b.ints(1)));
    });
    r.add("transpose.int(Tensor self, int dim0, int dim1) -> Tensor", "fm")
        .kernel<transpose>()
        .view()
        .grad("self", "", [](Back& b) { return op<"transpose">(b.g, b.integer(1), b.integer(2)); });
    r.add("t(Tensor self) -> Tensor", "fm").kernel<t>().view().grad("self", "", [](Back& b) { return op<"t">(b.g); });
    r.add("select.int(Tensor self, int dim, int index) -> Tensor", "fm")
        .kernel<select>()
        .view()
        .grad("self", "", [](Back& b) { return op<"select_backward">(b.g, b.sizes(0), b.integer(1), b.integer(2)); });
    r.add("select_backward(Tensor grad_output, int[] input_sizes, int dim, int index) -> Tensor", "")
        .kernel<select_backward>()
        .grad("grad_output", "", [](Back& b) { return op<"select">(b.g, b.integer(2), b.integer(3)); });
    r.add("slice.Tensor(Tensor self, int dim=0, int? start=None, int? end=None, int step=1) -> Tensor", "")
        .kernel<slice>()
        .view()
        .grad("self", "", [](Back& b) {
            return op<"slice_backward">(b.g, b.sizes(0), b.integer(1), b.attr(2), b.attr(3), b.integer(4));
        });
    r.add("slice_backward(Tensor grad_output, int[] input_sizes, int dim, int? start, int? end, int step) -> Tensor",
          "")
        .kernel<slice_backward>()
        .grad("grad_output", "",
              [](Back& b) { return op<"slice">(b.g, b.integer(2), b.attr(3), b.attr(4), b.integer(5)); });
    r.add("narrow(Tensor self, int dim, int start, int length) -> Tensor", "fm").kernel<narrow>().takes_lazy();
    r.add("narrow.Tensor(Tensor self, int dim, Tensor start, int length) -> Tensor", "fm")
        .kernel<narrow_from>()
        .takes_lazy();
    r.add("unsqueeze(Tensor self, int dim) -> Tensor", "fm").kernel<unsqueeze>().view().grad("self", "", back_in_shape);
    r.add("squeeze(Tensor self) -> Tensor", "fm").kernel<squeeze>().view().grad("self", "", back_in_shape);
    r.add("squeeze.dim(Tensor self, int dim) -> Tensor", "fm")
        .kernel<squeeze_dim>()
        .view()
        .grad("self", "", back_in_shape)
        .node("SqueezeBackward1");
    r.add("squeeze.dims(Tensor self, int[] dim) -> Tensor", "fm")
        .kernel<squeeze_dims>()
        .view()
        .grad("self", "", back_in_shape)
        .node("SqueezeBackward2");
    r.add("flatten.using_ints(Tensor self, int start_dim=0, int end_dim=-1) -> Tensor", "fm")
        .kernel<flatten>()
        .takes_lazy();
    r.add("ravel(Tensor self) -> Tensor", "fm").kernel<ravel>().takes_lazy();
    r.add("view_as(Tensor self, Tensor other) -> Tensor", "m").kernel<view_as>().takes_lazy();
    r.add("reshape_as(Tensor self, Tensor other) -> Tensor", "m").kernel<reshape_as>().takes_lazy();
    r.add("diagonal(Tensor self, int offset=0, int dim1=0, int dim2=1) -> Tensor", "fm")
        .kernel<diagonal>()
        .view()
        .grad("self", "", [](Back& b) {
            return op<"diagonal_backward">(b.g, b.sizes(0), b.integer(1), b.integer(2), b.integer(3));
        });
    r.add("trace(Tensor self) -> Tensor", "fm").kernel<trace>().grad("self", "", [](Back& b) {
        const Dims sizes = b.sizes(0);
        return op<"diagonal_backward">(op<"expand">(b.g, Dims{std::min(sizes[0], sizes[1])}), sizes, 0, 0, 1);
    });
    r.add("diag(Tensor self, int diagonal=0) -> Tensor", "fmo").kernel<diag>().shown_as("DiagonalBackward0_copy");
    r.add("diagonal_backward(Tensor grad_output, int[] input_sizes, int offset, int dim1, int dim2) -> Tensor", "")
        .kernel<diagonal_backward>()
        .grad("grad_output", "", [](Back& b) { return op<"diagonal">(b.g, b.integer(2), b.integer(3), b.integer(4)); });
    r.add("unfold(Tensor self, int dimension, int size, int step) -> Tensor", "m")
        .kernel<unfold>()
        .view()
        .grad("self", "",
              [](Back& b) { return op<"unfold_backward">(b.g, b.sizes(0), b.integer(1), b.integer(2), b.integer(3)); });
    r.add("unfold_backward(Tensor grad_in, int[] input_sizes, int dim, int size, int step) -> Tensor", "")
        .kernel<unfold_backward>()
        .grad("grad_in", "", [](Back& b) { return op<"unfold">(b.g, b.integer(2), b.integer(3), b.integer(4)); });
    r.add("split.sizes(Tensor self, int[] split_size, int dim=0) -> Tensor[]", "fm")
        .kernel<split_with_sizes>()
        .view()
        .grad("self", "", [](Back& b) { return side_by_side(b, b.integer(2)); })
        .node("SplitWithSizesBackward0");
    r.add("split_with_sizes(Tensor self, int[] split_sizes, int dim=0) -> Tensor[]", "fm")
        .kernel<split_with_sizes>()
        .view()
        .grad("self", "", [](Back& b) { return side_by_side(b, b.integer(2)); })
        .node("SplitWithSizesBackward0");
    r.add("split.Tensor(Tensor self, int split_size, int dim=0) -> Tensor[]", "fm")
        .kernel<split>()
        .view()
        .grad("self", "", [](Back& b) { return side_by_side(b, b.integer(2)); });
    r.add("chunk(Tensor self, int chunks, int dim=0) -> Tensor[]", "fm").kernel<chunk>().takes_lazy();
    r.add("tensor_split.sections(Tensor self, int sections, int dim=0) -> Tensor[]", "fm")
        .kernel<tensor_split>()
        .takes_lazy();
    r.add("tensor_split.indices(Tensor self, int[] indices, int dim=0) -> Tensor[]", "fm")
        .kernel<tensor_split_at>()
        .takes_lazy();
    r.add(
         "tensor_split.tensor_indices_or_sections(Tensor self, Tensor tensor_indices_or_sections, int dim=0) -> "
         "Tensor[]",
         "fm")
        .kernel<tensor_split_by>()
        .takes_lazy();
    r.add("hsplit.int(Tensor self, int sections) -> Tensor[]", "fm").kernel<split_equally<1>>().takes_lazy();
    r.add("hsplit.array(Tensor self, int[] indices) -> Tensor[]", "fm").kernel<split_at<1>>().takes_lazy();
    r.add("vsplit.int(Tensor self, int sections) -> Tensor[]", "fm").kernel<split_equally<0>>().takes_lazy();
    r.add("vsplit.array(Tensor self, int[] indices) -> Tensor[]", "fm").kernel<split_at<0>>().takes_lazy();
    r.add("dsplit.int(Tensor self, int sections) -> Tensor[]", "fm").kernel<split_equally<2>>().takes_lazy();
    r.add("dsplit.array(Tensor self, int[] indices) -> Tensor[]", "fm").kernel<split_at<2>>().takes_lazy();
    r.add("unbind.int(Tensor self, int dim=0) -> Tensor[]", "fm").kernel<unbind>().view().grad("self", "", [](Back& b) {
        std::vector<Tensor> parts;
        for (size_t i = 0; i < b.node.results.size(); ++i) parts.push_back(b.grad(int(i)));
        return op<"stack">(parts, b.integer(1));
    });
    r.add("movedim.intlist(Tensor self, int[] source, int[] destination) -> Tensor", "fm")
        .kernel<movedim>()
        .takes_lazy();
    r.add("movedim.int(Tensor self, int source, int destination) -> Tensor", "fm").kernel<movedim_int>().takes_lazy();
});

}  // namespace
}  // namespace fb
