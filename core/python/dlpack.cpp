// DLPack (github.com/dmlc/dlpack, version 1.0): tensors passed to and from other libraries without a copy.
#include "python/construct.h"
#include "python/tensor_object.h"
#include "tensor/watch.h"

namespace fb::py {
namespace {

// The structures of the standard.
struct DLDevice {
    int32_t type, id;
};
struct DLDataType {
    uint8_t code, bits;
    uint16_t lanes;
};
struct DLTensor {
    void* data;
    DLDevice device;
    int32_t ndim;
    DLDataType dtype;
    int64_t *shape, *strides;
    uint64_t byte_offset;
};
struct DLManagedTensor {
    DLTensor tensor;
    void* context;
    void (*deleter)(DLManagedTensor*);
};
struct DLManagedTensorVersioned {
    struct {
        uint32_t major, minor;
    } version;
    void* context;
    void (*deleter)(DLManagedTensorVersioned*);
    uint64_t flags;
    DLTensor tensor;
};
enum : uint8_t { kInt = 0, kUInt = 1, kFloat = 2, kBfloat = 4, kComplex = 5, kBool = 6 };
constexpr int32_t kDlCpu = 1;
constexpr const char *kPlain = "dltensor", *kUsedPlain = "used_dltensor", *kVersioned = "dltensor_versioned",
                     *kUsedVersioned = "used_dltensor_versioned";

DLDataType to_dl(DType t) {
    const auto bits = uint8_t(itemsize(t) * 8);
    if (t == DType::b1) return {kBool, 8, 1};
    if (t == DType::bf16) return {kBfloat, 16, 1};
    switch (t) {  // a code each, the next ones of the standard
        case DType::f8e4m3: return {10, 8, 1};
        case DType::f8e4m3z: return {11, 8, 1};
        case DType::f8e5m2: return {12, 8, 1};
        case DType::f8e5m2z: return {13, 8, 1};
        case DType::f8e8m0: return {14, 8, 1};
        case DType::f4x2: return {17, 4, 2};
        default: break;
    }
    if (is_complex(t)) return {kComplex, bits, 1};
    if (is_floating(t)) return {kFloat, bits, 1};
    return {t == DType::u8 || t == DType::u16 || t == DType::u32 || t == DType::u64 ? kUInt : kInt, bits, 1};
}
DType from_dl(DLDataType d) {
    constexpr int kFloat4 = 17;  // two numbers to an element
    if (d.code == kFloat4 && d.lanes != 2)
        fail(ErrorKind::Runtime, "Unsupported kDLFloat4_e2m1fn lanes ", int(d.lanes));
    if (d.code != kFloat4 && d.lanes != 1) fail(ErrorKind::Runtime, "ATen does not support lanes != 1");
    constexpr DType all[] = {DType::u8,      DType::i8,      DType::i16,    DType::i32, DType::i64,    DType::f16,
                             DType::f32,     DType::f64,     DType::c32,    DType::c64, DType::c128,   DType::b1,
                             DType::bf16,    DType::u16,     DType::u32,    DType::u64, DType::f8e5m2, DType::f8e4m3,
                             DType::f8e5m2z, DType::f8e4m3z, DType::f8e8m0, DType::f4x2};
    for (DType t : all) {
        const DLDataType x = to_dl(t);
        if (x.code == d.code && x.bits == d.bits) return t;
    }
    fail(ErrorKind::Runtime, "Unsupported DLPack type: code ", int(d.code), ", ", int(d.bits), " bits");
}

// Keeps a tensor and its shape alive as long as the other library holds the structure.
template <class Managed>
struct Export {
    Managed managed{};
    Tensor tensor;
    Dims shape, strides;
};

template <class Managed>
PyObject* export_tensor(const Tensor& t, const char* name) {
    check(!t->conj, "Can't export tensors with the conjugate bit set");
    check(!t->neg, "Can't export tensors with the negative bit set");
    auto* e = new Export<Managed>;
    e->tensor = t;
    e->shape = t.sizes();
    e->strides = t.strides();
    DLTensor& d = e->managed.tensor;
    d.data = t->escaping_data();
    d.device = {kDlCpu, 0};
    d.ndim = int32_t(t.dim());
    d.dtype = to_dl(t.dtype());
    d.shape = e->shape.data();
    d.strides = e->strides.data();
    d.byte_offset = 0;
    e->managed.context = e;
    e->managed.deleter = [](Managed* m) { delete static_cast<Export<Managed>*>(m->context); };
    if constexpr (requires { e->managed.version; }) e->managed.version = {1, 0};
    return PyCapsule_New(&e->managed, name, [](PyObject* capsule) {
        const char* n = PyCapsule_GetName(capsule);
        if (!n || std::string_view(n).starts_with("used_")) return;  // whoever took it deletes it
        auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, n));
        m->deleter(m);
    });
}

template <class Managed>
Tensor import_tensor(PyObject* capsule, const char* name, const char* used) {
    auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, name));
    if (!m) throw PythonError{};
    const DLTensor& d = m->tensor;
    if (d.device.type != kDlCpu)
        fail(ErrorKind::NotImplemented, "flambeau takes DLPack tensors of the CPU only, not of device type ",
             d.device.type);
    const DType dtype = from_dl(d.dtype);
    const Dims sizes(IntSpan(d.shape, size_t(d.ndim)));
    const Dims strides = d.strides ? Dims(IntSpan(d.strides, size_t(d.ndim))) : contiguous_strides(sizes);
    for (int64_t s : strides) check(s >= 0, "DLPack tensors with negative strides are not supported");
    PyCapsule_SetName(capsule, used);
    const std::shared_ptr<Managed> owner(m, [](Managed* x) {
        if (x->deleter && Py_IsInitialized()) {
            const PyGILState_STATE state = PyGILState_Ensure();
            x->deleter(x);
            PyGILState_Release(state);
        }
    });
    Tensor t = empty(Dims{0}, dtype);
    t->storage = Storage::borrow(static_cast<char*>(d.data) + d.byte_offset,
                                 size_t(storage_size(sizes, strides, 0)) * itemsize(dtype), [owner] {});
    t->set_shape(sizes, strides);
    return t;
}

PyObject* to_dlpack(PyObject*, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject* o;
        int versioned = 0;
        if (!PyArg_ParseTuple(args, "O|p", &o, &versioned)) return nullptr;
        watch_leak("memory was asked for by DLPack");
        check_type(is_tensor(o), "to_dlpack(): argument must be Tensor, not ", type_name(o));
        const Tensor& t = unwrap(o);
        check(t.device().type == DeviceType::CPU, "flambeau passes tensors of the CPU only by DLPack");
        return versioned ? export_tensor<DLManagedTensorVersioned>(t, kVersioned)
                         : export_tensor<DLManagedTensor>(t, kPlain);
    });
}

PyObject* from_dlpack(PyObject*, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject *source, *device = Py_None, *copy = Py_None;
        if (!PyArg_ParseTuple(args, "O|OO", &source, &device, &copy)) return nullptr;
        Ref capsule = Ref::borrow(source);
        if (!PyCapsule_CheckExact(source)) {
            const Ref method(PyObject_GetAttrString(source, "__dlpack__"));
            if (!method) {
                PyErr_Clear();
                fail(ErrorKind::Runtime,
                     "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, "
                     "so you might "
                     "have already constructed a tensor from it once.");
            }
            // Newer exporters are told the version we know; older ones take no such argument.
            const Ref none_given = checked(PyTuple_New(0)),
                      version = checked(Py_BuildValue("{s:(ii)}", "max_version", 1, 0));
            capsule = Ref(PyObject_Call(method.get(), none_given.get(), version.get()));
            if (!capsule && PyErr_ExceptionMatches(PyExc_TypeError)) {
                PyErr_Clear();
                capsule = Ref(PyObject_CallNoArgs(method.get()));
            }
            if (!capsule) throw PythonError{};
        }
        Tensor t;
        if (PyCapsule_IsValid(capsule.get(), kVersioned))
            t = import_tensor<DLManagedTensorVersioned>(capsule.get(), kVersioned, kUsedVersioned);
        else if (PyCapsule_IsValid(capsule.get(), kPlain))
            t = import_tensor<DLManagedTensor>(capsule.get(), kPlain, kUsedPlain);
        else
            fail(ErrorKind::Runtime,
                 "from_dlpack received an invalid capsule. Note that DLTensor capsules can be consumed only once, so "
                 "you might have "
                 "already constructed a tensor from it once.");
        Device d;
        if (device != Py_None && to_device(device, d) && !(d == kCPU)) {
            check_value(copy != Py_False, "cannot move the tensor to ", d, " without a copy");
            return wrap(op<"to.device">(t, d));
        }
        if (copy == Py_True) t = op<"clone">(t);
        return wrap(std::move(t));
    });
}

PyMethodDef functions[] = {
    {"_to_dlpack", to_dlpack, METH_VARARGS, nullptr},
    {"_from_dlpack", from_dlpack, METH_VARARGS, nullptr},
    {},
};

}  // namespace

void init_dlpack(PyObject* module) { add_functions(module, functions); }

}  // namespace fb::py
