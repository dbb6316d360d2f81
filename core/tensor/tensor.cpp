#include "tensor/tensor.h"
#include <cstring>
#include <numeric>
#include "base/float8.h"
#include "base/pool.h"
#include "tensor/bytes.h"
#include "tensor/watch.h"

namespace fb {

void (*TensorImpl::drop_object)(TensorImpl*) = nullptr;

constinit thread_local Watcher* watcher = nullptr;

void* TensorImpl::allocate() {
    void* p = Pool<sizeof(TensorImpl)>::take();
    if (watcher) [[unlikely]]
        watcher->born(p);
    return p;
}

void TensorImpl::destroy(TensorImpl* t) {
    if (t->object) drop_object(t);
    if (t->grad_fn) destroy_node(t->grad_fn);
    t->~TensorImpl();
    Pool<sizeof(TensorImpl)>::give(t);
}

void TensorImpl::share_version(TensorImpl& view) {
    if (!shared_version) {
        shared_version = make<VersionCounter>();
        shared_version->value = own_version;
    }
    view.shared_version = shared_version;
}

void TensorImpl::set_shape(IntSpan sz, IntSpan st) {
    sizes.assign(sz);
    strides.assign(st);
    int64_t n = 1, expected = 1;
    bool c = true;
    for (size_t d = sz.size(); d-- > 0;) {
        check(!__builtin_mul_overflow(n, sz[d], &n), "numel: integer multiplication overflow");
        if (sz[d] != 1) {
            c = c && st[d] == expected;
            expected *= sz[d];
        }
    }
    numel = n;
    contiguous = c || n == 0;
}

void TensorImpl::set_contiguous(IntSpan sz) {
    sizes.assign(sz);
    strides.resize(sz.size());
    int64_t n = 1;
    for (size_t d = sz.size(); d-- > 0;) {
        strides[d] = n;
        n *= sz[d] > 1 ? sz[d] : 1;
    }
    numel = product(sz);
    contiguous = true;
}

int64_t wrap_dim(int64_t d, int64_t n, bool scalar_ok) {
    if (n == 0) {
        if (!scalar_ok) fail(ErrorKind::Index, "Dimension specified as ", d, " but tensor has no dimensions");
        n = 1;
    }
    if (d < -n || d >= n)
        fail(ErrorKind::Index, "Dimension out of range (expected to be in range of [", -n, ", ", n - 1, "], but got ",
             d, ")");
    return d < 0 ? d + n : d;
}

Dims contiguous_strides(IntSpan sizes) {
    Dims s(sizes.size());
    int64_t n = 1;
    for (size_t d = sizes.size(); d-- > 0;) {
        s[d] = n;
        n *= std::max<int64_t>(sizes[d], 1);
    }
    return s;
}

Dims channels_last_strides(IntSpan sizes) {
    check(sizes.size() == 4 || sizes.size() == 5, "required rank ", sizes.size() < 5 ? 4 : 5,
          " tensor to use channels_last format");
    Dims s(sizes.size());
    s[1] = 1;
    int64_t n = std::max<int64_t>(sizes[1], 1);
    for (size_t d = sizes.size(); d-- > 2;) {
        s[d] = n;
        n *= std::max<int64_t>(sizes[d], 1);
    }
    s[0] = n;
    return s;
}

bool is_channels_last(IntSpan sizes, IntSpan strides) {
    if (sizes.size() != 4 && sizes.size() != 5) return false;
    int64_t least = 0;
    // The order of PyTorch's test: channels, then the last dimension inwards, then the batch; ambiguous shapes are
    // contiguous.
    Dims order{1};
    for (size_t d = sizes.size(); d-- > 2;) order.push_back(int64_t(d));
    order.push_back(0);
    if (strides[1] == 0) return false;
    for (int64_t d : order) {
        if (sizes[d] == 0 || strides[d] < least) return false;
        if (d == 0 && least == strides[1]) return false;  // N1HW-like: undecided
        least = strides[d];
        if (sizes[d] > 1) least *= sizes[d];
    }
    return true;
}

bool is_non_overlapping_and_dense(IntSpan sizes, IntSpan strides) {
    Dims order(sizes.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        if (sizes[a] < 2) return false;
        if (sizes[b] < 2) return true;
        return strides[a] < strides[b];
    });
    int64_t need = 1;
    for (int64_t d : order) {
        if (sizes[d] < 2) return true;
        if (strides[d] != need) return false;
        need *= sizes[d];
    }
    return true;
}

int64_t storage_size(IntSpan sizes, IntSpan strides, int64_t offset) {
    constexpr int64_t kMost = int64_t(1) << 58;  // of the largest elements this many bytes can still be counted
    int64_t last = offset;
    for (size_t d = 0; d < sizes.size(); ++d) {
        if (sizes[d] == 0) return 0;
        int64_t step;
        if (strides[d] < 0 || __builtin_mul_overflow(sizes[d] - 1, strides[d], &step) ||
            __builtin_add_overflow(last, step, &last) || last > kMost)
            fail(ErrorKind::Runtime, "Storage size calculation overflowed with sizes=", sizes,
                 " and strides=", strides);
    }
    if (last > kMost) fail(ErrorKind::Runtime, "Storage size calculation overflowed with sizes=", sizes);
    return last + 1;
}

Dims broadcast_shapes(IntSpan a, IntSpan b) {
    if (same(a, b)) return Dims(a);
    const size_t n = std::max(a.size(), b.size());
    Dims r(n);
    for (size_t i = 0; i < n; ++i) {  // i counts from the last dimension
        const int64_t x = i < a.size() ? a[a.size() - 1 - i] : 1, y = i < b.size() ? b[b.size() - 1 - i] : 1;
        if (x != y && x != 1 && y != 1)
            fail(ErrorKind::Runtime, "The size of tensor a (", x, ") must match the size of tensor b (", y,
                 ") at non-singleton dimension ", n - 1 - i, "\nshapes ", a, " and ", b,
                 " cannot be broadcast together");
        r[n - 1 - i] = x == 1 ? y : x;
    }
    return r;
}

size_t checked_bytes(IntSpan sizes, DType dtype) {
    uint64_t n = itemsize(dtype);
    for (int64_t s : sizes) {
        if (s < 0) fail(ErrorKind::Runtime, "Trying to create tensor with negative dimension ", s, ": ", sizes);
        if (__builtin_mul_overflow(n, uint64_t(s), &n) || n > uint64_t(INT64_MAX))
            fail(ErrorKind::Runtime, "Storage size calculation overflowed with sizes=", sizes);
    }
    return n;
}

Tensor empty(IntSpan sizes, DType dtype, Device device) {
    const size_t bytes = checked_bytes(sizes, dtype);
    Tensor t = TensorImpl::create();
    t->storage = Storage::allocate(bytes, device);
    t->dtype = dtype;
    note_dtype(dtype);
    t->set_contiguous(sizes);
    return t;
}

Tensor empty_strided(IntSpan sizes, IntSpan strides, DType dtype, Device device) {
    check(sizes.size() == strides.size(), "mismatch in length of strides and shape");
    checked_bytes(sizes, dtype);
    for (int64_t s : strides)
        check(s >= 0, "as_strided: Negative strides are not supported at the moment, got strides: ", strides);
    Tensor t = TensorImpl::create();
    t->storage = Storage::allocate(size_t(storage_size(sizes, strides, 0)) * itemsize(dtype), device);
    t->dtype = dtype;
    note_dtype(dtype);
    t->set_shape(sizes, strides);
    return t;
}

Tensor empty_like(const Tensor& t, DType dtype) {
    if (dtype == DType::none) dtype = t.dtype();
    if (t->contiguous) return empty(t.sizes(), dtype, t.device());
    if (is_non_overlapping_and_dense(t.sizes(), t.strides()))
        return empty_strided(t.sizes(), t.strides(), dtype, t.device());
    // Otherwise dense, with the dimensions in the order of their strides (ties and broadcast ones keep their place).
    const int64_t n = t.dim();
    Dims order(n);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        const int64_t x = t.strides()[a], y = t.strides()[b];
        return x != 0 && y != 0 && x > y;
    });
    Dims strides(n);
    int64_t step = 1;
    for (int64_t i = n - 1; i >= 0; --i) {
        strides[order[i]] = step;
        step *= std::max<int64_t>(t.sizes()[order[i]], 1);
    }
    return empty_strided(t.sizes(), strides, dtype, t.device());
}

void no_element_type(DType t) { fail(ErrorKind::NotImplemented, "no kernel for tensors of '", scalar_name(t), "'"); }

Tensor scalar_tensor(Scalar v, DType dtype, Device device) {
    Tensor t = empty({}, dtype, device);
    if (dtype == DType::c32) {
        const C128 c = v.complex();
        if (!t.is_meta()) *t.data<F16>() = F16(float(c.re)), t.data<F16>()[1] = F16(float(c.im));
        return t;
    }
    if (!t.is_meta()) visit_number(dtype, [&](auto z) { *t.data<decltype(z)>() = v.to<decltype(z)>(); });
    watch_constant(t);
    return t;
}

Tensor make_view(const Tensor& t, IntSpan sizes, IntSpan strides, int64_t offset) {
    Tensor v = TensorImpl::create();
    v->storage = t->storage;
    v->dtype = t->dtype;
    v->offset = offset;
    v->inference = t->inference;
    v->conj = t->conj;
    v->neg = t->neg;
    v->set_shape(sizes, strides);
    t->share_version(*v.get());
    return v;
}

Tensor shallow_copy(const Tensor& t, bool share_version) {
    Tensor v = TensorImpl::create();
    v->storage = t->storage;
    v->dtype = t->dtype;
    v->layout = t->layout;
    v->offset = t->offset;
    v->numel = t->numel;
    v->contiguous = t->contiguous;
    v->inference = t->inference;
    v->conj = t->conj;
    v->neg = t->neg;
    v->sizes = t->sizes;
    v->strides = t->strides;
    if (share_version) t->share_version(*v.get());
    return v;
}

Tensor (*op_to_plain)(const Tensor&) = nullptr;

Scalar Tensor::item() const {
    const TensorImpl& t = *get();
    if (t.numel != 1) fail(ErrorKind::Runtime, "a Tensor with ", t.numel, " elements cannot be converted to Scalar");
    check(!is_meta(), "Tensor.item() cannot be called on meta tensors");
    if (t.unusual()) {  // read as an ordinary number
        const Tensor plain = op_to_plain(*this);
        return plain.item();
    }
    if (t.dtype == DType::f4x2)
        fail(ErrorKind::NotImplemented, "\"_local_scalar_dense_cpu\" not implemented for 'Float4_e2m1fn_x2'");
    Scalar r;
    visit_number(t.dtype, [&](auto z) {
        using T = decltype(z);
        using Stored = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;  // the byte of a mask may be any
        const Stored v = *reinterpret_cast<const Stored*>(data<T>());
        if constexpr (std::is_same_v<T, bool>) r = Scalar(v != 0);
        else if constexpr (std::is_integral_v<T>) r = Scalar(int64_t(v));
        else if constexpr (std::is_same_v<T, C64>) r = Scalar(C128(v));
        else if constexpr (std::is_same_v<T, C128>) r = Scalar(v);
        else if constexpr (std::is_same_v<T, double>) r = Scalar(v);
        else r = Scalar(double(float(v)));
    });
    if (watcher) [[unlikely]]
        watcher->item(*this, r);
    return r;
}

static DType default_dtype_ = DType::f32;
DType default_dtype() { return default_dtype_; }
void set_default_dtype(DType t) { default_dtype_ = t; }

}  // namespace fb
