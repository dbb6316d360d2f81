// Memory shared with NumPy and everything else that speaks the buffer protocol.
#include <cstring>
#include "python/construct.h"
#include "python/override.h"
#include "python/tensor_object.h"
#include "tensor/watch.h"

namespace fb::py {
namespace {

constexpr const char* kSupported =
    "The only supported types are: float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
    "uint64, uint32, uint16, uint8, "
    "and bool.";

// The struct-module code of an element type; null where Python has none.
const char* format_of(DType t) {
    switch (t) {
        case DType::u8: return "B";
        case DType::i8: return "b";
        case DType::i16: return "h";
        case DType::i32: return "i";
        case DType::i64: return "l";
        case DType::f16: return "e";
        case DType::f32: return "f";
        case DType::f64: return "d";
        case DType::c64: return "Zf";
        case DType::c128: return "Zd";
        case DType::b1: return "?";
        case DType::u16: return "H";
        case DType::u32: return "I";
        case DType::u64: return "L";
        default: return nullptr;
    }
}
DType dtype_of_format(const char* f, Py_ssize_t item) {
    if (*f == '@' || *f == '=' || *f == '<') ++f;
    auto integer = [&](bool is_signed) {
        switch (item) {
            case 1: return is_signed ? DType::i8 : DType::u8;
            case 2: return is_signed ? DType::i16 : DType::u16;
            case 4: return is_signed ? DType::i32 : DType::u32;
            case 8: return is_signed ? DType::i64 : DType::u64;
            default: return DType::none;
        }
    };
    if (!std::strcmp(f, "Zf")) return DType::c64;
    if (!std::strcmp(f, "Zd")) return DType::c128;
    if (f[0] == 0 || f[1] != 0) return DType::none;
    switch (*f) {
        case '?': return DType::b1;
        case 'e': return DType::f16;
        case 'f': return DType::f32;
        case 'd': return DType::f64;
        case 'b':
        case 'h':
        case 'i':
        case 'l':
        case 'q':
        case 'n': return integer(true);
        case 'B':
        case 'H':
        case 'I':
        case 'L':
        case 'Q':
        case 'N': return integer(false);
        default: return DType::none;
    }
}

// A buffer that is released when the last tensor looking into it goes.
class BufferOwner {
public:
    BufferOwner() = default;
    ~BufferOwner() {
        if (!view.obj || !Py_IsInitialized()) return;
        const PyGILState_STATE state = PyGILState_Ensure();
        PyBuffer_Release(&view);
        PyGILState_Release(state);
    }
    BufferOwner(const BufferOwner&) = delete;
    BufferOwner& operator=(const BufferOwner&) = delete;
    Py_buffer view{};
};

[[noreturn]] void unsupported(PyObject* array) {
    const Ref type = checked(PyObject_GetAttrString(array, "dtype"));
    const Ref scalar = checked(PyObject_GetAttrString(type.get(), "type"));
    raise(PyExc_TypeError, str(
                               "can't convert np.ndarray of type numpy.",
                               [&] {
                                   const std::string_view n = reinterpret_cast<PyTypeObject*>(scalar.get())->tp_name;
                                   return std::string(n.starts_with("numpy.") ? n.substr(6) : n);
                               }(),
                               ". ", kSupported));
}

PyObject* from_numpy(PyObject*, PyObject* array) {
    return guarded([&] {
        if (!is_numpy_array(array)) raise(PyExc_TypeError, "expected np.ndarray (got " + type_name(array) + ")");
        return wrap(tensor_from_array(array, true));
    });
}

// ---------------------------------------------------------------- tensor to array
Tensor readable(const Tensor& t, bool force) {
    if (force && t->lazy()) return readable(op_to_plain(t), force);
    if (t.device().type == DeviceType::Meta && force)
        fail(ErrorKind::NotImplemented, "Cannot copy out of meta tensor; no data!");
    if (t->layout != Layout::Strided) {
        fail(ErrorKind::Type, "can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.");
    }
    if (t.device().type != DeviceType::CPU) {
        check_type(force, "can't convert ", t.device(),
                   " device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.");
        return op<"to.device">(t.detach(), kCPU);
    }
    if (t.requires_grad() && tls.grad && !force)
        fail(ErrorKind::Runtime,
             "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead.");
    return t;
}

PyObject* numpy(PyObject* self, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        watch_leak("memory was asked for by numpy()");
        if (PyTuple_GET_SIZE(args))
            raise(PyExc_TypeError, str("numpy() takes 0 positional arguments but ", PyTuple_GET_SIZE(args),
                                       PyTuple_GET_SIZE(args) == 1 ? " was" : " were", " given"));
        if (asks_override({&self, 1})) {
            const Ref function = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), "numpy"));
            PyObject* force = kwargs ? PyDict_GetItemString(kwargs, "force") : nullptr;
            PyObject* values[] = {self, force};
            const Ref names = force ? checked(Py_BuildValue("(s)", "force")) : Ref();
            return call_override(function.get(), {values, 1, names.get()});
        }
        bool force = false;
        if (kwargs) {
            PyObject *key, *value;
            for (Py_ssize_t i = 0; PyDict_Next(kwargs, &i, &key, &value);) {
                if (PyUnicode_CompareWithASCIIString(key, "force") != 0)
                    raise(PyExc_TypeError,
                          str("numpy() got an unexpected keyword argument '", PyUnicode_AsUTF8(key), "'"));
                if (!to_bool(value, force))
                    raise(PyExc_TypeError, "numpy(): argument 'force' must be bool, not " + type_name(value));
            }
        }
        return array_from_tensor(readable(unwrap(self), force));
    });
}

// ---------------------------------------------------------------- frombuffer
PyObject* frombuffer(PyObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        static const char* names[] = {"buffer", "dtype", "count", "offset", "requires_grad", nullptr};
        PyObject *source, *type;
        long long count = -1, offset = 0;
        int requires_grad = 0;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OLLp:frombuffer", const_cast<char**>(names), &source, &type,
                                         &count, &offset, &requires_grad))
            return nullptr;
        DType dtype;
        if (!kwargs || !PyDict_GetItemString(kwargs, "dtype"))
            raise(PyExc_TypeError, "frombuffer() missing 1 required positional arguments: \"dtype\"");
        if (!to_dtype(type, dtype))
            raise(PyExc_TypeError, "frombuffer(): argument 'dtype' must be torch.dtype, not " + type_name(type));
        check_value(PyObject_CheckBuffer(source), "object does not implement Python buffer protocol.");
        auto owner = std::make_shared<BufferOwner>();
        bool writable = true;
        if (PyObject_GetBuffer(source, &owner->view, PyBUF_WRITABLE) < 0) {
            PyErr_Clear();
            writable = false;
            if (PyObject_GetBuffer(source, &owner->view, PyBUF_SIMPLE) < 0) {
                PyErr_Clear();
                fail(ErrorKind::Value, "could not retrieve buffer from object");
            }
        }
        if (!writable)
            warn(
                "The given buffer is not writable, and PyTorch does not support non-writable tensors. This means you "
                "can write to the underlying "
                "(supposedly non-writable) buffer using the tensor. You may want to copy the buffer to protect its "
                "data or make it writable "
                "before converting it to a tensor. This type of warning will be suppressed for the rest of this "
                "program.");
        const long long len = owner->view.len, item = (long long)itemsize(dtype);
        check_value(len > 0 && count != 0, "both buffer length (", len, ") and count (", count, ") must not be 0");
        check_value(offset >= 0 && offset < len, "offset (", offset,
                    " bytes) must be non-negative and no greater than buffer length (", len, " bytes) minus 1");
        check_value(count > 0 || (len - offset) % item == 0, "buffer length (", len - offset, " bytes) after offset (",
                    offset, " bytes) must be a multiple of element size (", item, ")");
        if (count <= 0) count = (len - offset) / item;
        check_value(count <= (len - offset) / item, "requested buffer length (", count, " * ", item,
                    " bytes) after offset (", offset, " bytes) must not be greater than actual buffer length (", len,
                    " bytes)");
        char* data = static_cast<char*>(owner->view.buf) + offset;
        Tensor t = empty(Dims{0}, dtype);
        t->storage = Storage::borrow(data, size_t(count * item), [owner] {});
        t->set_contiguous(Dims{count});
        if (requires_grad)
            change_requires_grad(t, true, "Only Tensors of floating point and complex dtype can require gradients");
        return wrap(std::move(t));
    });
}

struct Exported {
    Tensor tensor;
    std::vector<Py_ssize_t> shape, strides;
};

PyMethodDef functions[] = {
    {"from_numpy", from_numpy, METH_O, "A tensor that shares the memory of a NumPy array."},
    {"frombuffer", as_method(frombuffer), METH_VARARGS | METH_KEYWORDS,
     "A 1-d tensor that shares the memory of a buffer."},
    {},
};
PyMethodDef numpy_method{"numpy", as_method(numpy), METH_VARARGS | METH_KEYWORDS,
                         "numpy($self, *, force=False)\n--\n\nA NumPy array that shares the tensor's memory."};

}  // namespace

Tensor tensor_from_array(PyObject* array, bool warn_if_readonly) {
    auto owner = std::make_shared<BufferOwner>();
    Py_buffer& v = owner->view;
    if (PyObject_GetBuffer(array, &v, PyBUF_RECORDS_RO) < 0) {
        if (!PyErr_ExceptionMatches(PyExc_ValueError) && !PyErr_ExceptionMatches(PyExc_BufferError))
            throw PythonError{};
        PyErr_Clear();
        unsupported(array);
    }
    const char* format = v.format ? v.format : "B";
    if ((*format == '>' || *format == '!') && v.itemsize > 1)
        fail(ErrorKind::Value,
             "given numpy array has byte order different from the native byte order. Conversion between byte orders is "
             "currently "
             "not supported.");
    const DType dtype = dtype_of_format(format, v.itemsize);
    if (dtype == DType::none) unsupported(array);
    const int64_t item = v.itemsize;
    Dims sizes, strides;
    for (int d = 0; d < v.ndim; ++d) {
        sizes.push_back(v.shape[d]);
        const Py_ssize_t s = v.strides ? v.strides[d] : 0;
        if (s < 0)
            fail(ErrorKind::Value,
                 "At least one stride in the given numpy array is negative, and tensors with negative strides are not "
                 "currently "
                 "supported. (You can probably work around this by making a copy of your array  with array.copy().) ");
        check_value(s % item == 0,
                    "given numpy array strides not a multiple of the element byte size. Copy the numpy array to "
                    "reallocate the memory.");
        strides.push_back(s / item);
    }
    if (v.readonly && warn_if_readonly) {
        static bool warned = false;
        if (!std::exchange(warned, true))
            warn(
                "The given NumPy array is not writable, and PyTorch does not support non-writable tensors. This means "
                "writing to this tensor will "
                "result in undefined behavior. You may want to copy the array to protect its data or make it writable "
                "before converting it to a "
                "tensor. This type of warning will be suppressed for the rest of this program.");
    }
    Tensor t = empty(Dims{0}, dtype);
    t->storage = Storage::borrow(v.buf, size_t(storage_size(sizes, strides, 0) * item), [owner] {});
    t->set_shape(sizes, strides);
    return t;
}

PyObject* array_from_tensor(const Tensor& t) {
    check_type(format_of(t.dtype()) != nullptr, "Got unsupported ScalarType ", t.dtype());
    check(!t->conj,
          "Can't call numpy() on Tensor that has conjugate bit set. Use tensor.resolve_conj().numpy() instead.");
    check(!t->neg, "Can't call numpy() on Tensor that has negative bit set. Use tensor.resolve_neg().numpy() instead.");
    static PyObject* kept_asarray = nullptr;
    PyObject* const asarray = kept_attribute(kept_asarray, "numpy", "asarray");
    const Ref plain =
        checked(wrap(t.requires_grad() || (t->object && Py_TYPE(static_cast<PyObject*>(t->object)) != tensor_type)
                         ? shallow_copy(t, true)
                         : t));
    const Ref view = checked(PyMemoryView_FromObject(plain.get()));
    return PyObject_CallOneArg(asarray, view.get());
}

int tensor_get_buffer(PyObject* self, Py_buffer* view, int flags) {
    view->obj = nullptr;
    return guarded(
        [&] {
            watch_leak("memory was asked for by the buffer protocol");
            const Tensor& t = unwrap(self);
            const char* format = format_of(t.dtype());
            if (!format || t->lazy() || t.requires_grad() || t.device().type != DeviceType::CPU ||
                t->layout != Layout::Strided || overrides(self))
                raise(PyExc_BufferError, "this tensor's memory cannot be shared as a buffer");
            if (!t.is_contiguous() && (flags & PyBUF_STRIDES) != PyBUF_STRIDES)
                raise(PyExc_BufferError, "the tensor is not contiguous");
            if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && !(t.is_contiguous() && t.dim() < 2))
                raise(PyExc_BufferError, "the tensor is not in column-major order");
            if ((flags & PyBUF_C_CONTIGUOUS) == PyBUF_C_CONTIGUOUS && !t.is_contiguous())
                raise(PyExc_BufferError, "the tensor is not contiguous");
            auto out = std::make_unique<Exported>();
            out->tensor = t;
            const auto item = Py_ssize_t(itemsize(t.dtype()));
            for (int64_t d = 0; d < t.dim(); ++d) {
                out->shape.push_back(t.sizes()[size_t(d)]);
                out->strides.push_back(t.strides()[size_t(d)] * item);
            }
            static char nothing[16];
            void* data = t->escaping_data();
            view->buf = data ? data : nothing;
            view->obj = Py_NewRef(self);
            view->len = t.numel() * item;
            view->itemsize = item;
            view->readonly = 0;
            view->ndim = int(t.dim());
            view->format = flags & PyBUF_FORMAT ? const_cast<char*>(format) : nullptr;
            view->shape = flags & PyBUF_ND ? out->shape.data() : nullptr;
            view->strides = (flags & PyBUF_STRIDES) == PyBUF_STRIDES ? out->strides.data() : nullptr;
            view->suboffsets = nullptr;
            view->internal = out.release();
            return 0;
        },
        -1);
}
void tensor_release_buffer(PyObject*, Py_buffer* view) { delete static_cast<Exported*>(view->internal); }

void init_numpy(PyObject* module) {
    add_functions(module, functions);
    add_object(reinterpret_cast<PyObject*>(tensor_type), "numpy", PyDescr_NewMethod(tensor_type, &numpy_method));
}

}  // namespace fb::py
