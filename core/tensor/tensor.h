// The tensor: a storage seen through sizes, strides and an offset, plus its place in the autograd graph.
#pragma once
#include <memory>
#include <vector>
#include "base/device.h"
#include "base/names.h"
#include "base/pool.h"
#include "base/scalar.h"
#include "base/small.h"
#include "tensor/storage.h"

namespace fb {

class Node;                // autograd/node.h
struct AutogradMeta;       // autograd/meta.h
void destroy_node(Node*);  // defined in autograd; the tensor layer only holds the pointer
void destroy_meta(AutogradMeta*);
struct MetaDeleter {
    void operator()(AutogradMeta* m) const { destroy_meta(m); }
};

// Counts writes; shared by a tensor and its views, so that a saved tensor can tell that it was overwritten.
struct VersionCounter final : RefCounted {
    std::atomic<uint32_t> value{0};
    static void destroy(VersionCounter* v) { delete v; }
    static void* operator new(size_t) { return Pool<sizeof(VersionCounter)>::take(); }
    static void operator delete(void* p) { Pool<sizeof(VersionCounter)>::give(p); }
};

class TensorImpl;
class Tensor : public Ptr<TensorImpl> {
public:
    using Ptr::Ptr;
    Tensor() = default;
    Tensor(Ptr<TensorImpl> p) : Ptr(std::move(p)) {}
    bool defined() const { return get() != nullptr; }
    // Short cuts for what is read everywhere.
    inline const Dims& sizes() const;
    inline const Dims& strides() const;
    inline int64_t size(int64_t d) const;  // negative counts from the end; checked
    inline int64_t stride(int64_t d) const;
    inline int64_t dim() const;
    inline int64_t numel() const;
    inline DType dtype() const;
    inline Device device() const;
    inline bool is_meta() const;
    inline bool requires_grad() const;
    template <class T = void>
    inline T* data() const;  // first element, plain bytes
    bool is_contiguous() const;
    Scalar item() const;        // the one element
    Tensor contiguous() const;  // itself or a copy (differentiable)
    Tensor to(DType) const;     // itself or converted (differentiable)
    Tensor detach() const;      // shares memory and version, no history
};
using TensorSpan = std::span<const Tensor>;

// Set for good once there was a tensor that kernels cannot read as it lies: a lazily conjugated or negated view, one of
// complex32 or float8, or one of the meta device. Until then no call looks for them (op/lazy.cpp).
inline bool unusual_tensors = false;
inline void note_dtype(DType t) {
    constexpr uint64_t set = float8_types | set_of(DType::c32);
    if (is_one_of(t, set)) [[unlikely]]
        unusual_tensors = true;
}

class TensorImpl final : public RefCounted {
public:
    Ptr<Storage> storage;
    int64_t offset = 0;  // in elements
    int64_t numel = 0;
    Dims sizes, strides;
    DType dtype = DType::f32;
    Layout layout = Layout::Strided;
    bool contiguous = true;      // row-major, kept up to date by set_shape
    bool requires_grad = false;  // of a leaf; results with a grad_fn answer true by that
    bool inference = false;      // made in inference mode
    bool owns_object = false;  // the Python object is kept alive by us (see python/object.cpp), not the other way round
    uint16_t output_nr = 0;    // which output of grad_fn
    uint32_t own_version = 0;  // used until the counter must be shared
    Ptr<VersionCounter> shared_version;
    Node* grad_fn = nullptr;                          // owned; set through set_history
    std::unique_ptr<AutogradMeta, MetaDeleter> meta;  // made when first needed
    Ptr<TensorImpl> base;            // of a view that autograd follows: the tensor it looks into (never itself a view)
    uint32_t view_version = 0;       // of a view with a grad_fn: 1 + the version it was computed at
    bool conj = false, neg = false;  // a view that reads its memory conjugated or negated; operators see to it
    bool view_of_no_grad = false;  // the view was made under no_grad: in-place writes that need a gradient are refused
    void* object = nullptr;        // the Python object, if there is one
    static void (*drop_object)(TensorImpl*);  // set by the Python layer

    static Tensor create() { return Tensor(new (allocate()) TensorImpl); }
    static void destroy(TensorImpl*);

    void set_shape(IntSpan sizes, IntSpan strides);  // updates numel and contiguous
    void set_contiguous(IntSpan sizes);              // row-major strides
    Device device() const { return storage->device(); }
    void* data() const {
        char* p = static_cast<char*>(storage->data());
        return p ? p + offset * int64_t(itemsize(dtype)) : nullptr;
    }
    void* escaping_data() const {  // for whoever keeps the address, see Storage
        storage->escaping_data();
        return data();
    }
    uint32_t version() const {
        return shared_version ? shared_version->value.load(std::memory_order_relaxed) : own_version;
    }
    void bump_version() {
        if (shared_version) shared_version->value.fetch_add(1, std::memory_order_relaxed);
        else ++own_version;
        if (storage) storage->written();
    }
    void share_version(TensorImpl& view);  // from now on both count together
    bool lazy() const { return conj || neg; }
    bool unusual() const { return conj || neg || dtype == DType::c32; }
    // Itself, or as a view into something that does (then grad_fn is made when it is asked for).
    bool needs_grad() const { return requires_grad || grad_fn || (base && !view_of_no_grad && base->needs_grad()); }

private:
    static void* allocate();
    TensorImpl() = default;
    ~TensorImpl() = default;
    friend class Ptr<TensorImpl>;
};

inline const Dims& Tensor::sizes() const { return get()->sizes; }
inline const Dims& Tensor::strides() const { return get()->strides; }
inline int64_t Tensor::dim() const { return int64_t(get()->sizes.size()); }
inline int64_t Tensor::numel() const { return get()->numel; }
inline DType Tensor::dtype() const { return get()->dtype; }
inline Device Tensor::device() const { return get()->device(); }
inline bool Tensor::is_meta() const { return get()->device().type == DeviceType::Meta; }
inline bool Tensor::requires_grad() const { return get()->needs_grad(); }
template <class T>
inline T* Tensor::data() const {
    return static_cast<T*>(get()->data());
}
inline bool Tensor::is_contiguous() const { return get()->contiguous; }

// d in [-n, n) -> [0, n); the error is PyTorch's. A 0-d tensor accepts -1 and 0 unless `scalar_ok` is false.
int64_t wrap_dim(int64_t d, int64_t n, bool scalar_ok = true);
inline int64_t Tensor::size(int64_t d) const { return get()->sizes[wrap_dim(d, dim(), false)]; }
inline int64_t Tensor::stride(int64_t d) const { return get()->strides[wrap_dim(d, dim(), false)]; }

Dims contiguous_strides(IntSpan sizes);
Dims channels_last_strides(IntSpan sizes);  // NHWC or NDHWC order of 4-d/5-d sizes
bool is_channels_last(IntSpan sizes, IntSpan strides);
bool is_non_overlapping_and_dense(IntSpan sizes, IntSpan strides);
int64_t storage_size(IntSpan sizes, IntSpan strides, int64_t offset);  // elements needed
Dims broadcast_shapes(IntSpan a, IntSpan b);                           // error as PyTorch's

// --- making tensors (no autograd) ---
Tensor empty(IntSpan sizes, DType dtype, Device device = kCPU);
Tensor empty_strided(IntSpan sizes, IntSpan strides, DType dtype, Device device = kCPU);
Tensor empty_like(
    const Tensor& t,
    DType dtype = DType::none);  // keeps the order of the dimensions in memory, as PyTorch's preserve_format
Tensor scalar_tensor(Scalar v, DType dtype, Device device = kCPU);
// A view with its own shape on t's storage: shares version; history is the caller's business.
Tensor make_view(const Tensor& t, IntSpan sizes, IntSpan strides, int64_t offset);
// The same data, no history. `share_version` false is what `.data` gives.
Tensor shallow_copy(const Tensor& t, bool share_version);

// A copy that kernels can read: conjugated and negated in memory, complex64 for complex32. Set by op/lazy.cpp.
extern Tensor (*op_to_plain)(const Tensor&);

DType default_dtype();
void set_default_dtype(DType);

}  // namespace fb
