// Methods that only look at a tensor or rearrange its parts; the operators come from the operator table.
#include "base/float8.h"
#include "python/construct.h"
#include "python/operators.h"
#include "python/override.h"
#include "python/storage_object.h"
#include "python/tensor_object.h"
#include "tensor/watch.h"

namespace fb::py {
namespace {

template <int N>
struct Text {
    char s[N];
    constexpr Text(const char (&t)[N]) { std::copy_n(t, N, s); }
};

// A method without arguments, as the interpreter refuses those it is given.
void takes_none(const Arguments& in, const char* name) {
    if (in.keywords()) raise(PyExc_TypeError, str("TensorBase.", name, "() takes no keyword arguments"));
    if (in.n) raise(PyExc_TypeError, str("TensorBase.", name, "() takes no arguments (", in.n, " given)"));
}

// Lets subclasses and modes take the call over, else runs F(tensor, arguments after self) or F(tensor).
template <Text Name, auto F>
PyObject* method(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names) {
    constexpr bool kNone = std::is_invocable_v<decltype(F), PyObject*>;
    return guarded([&]() -> PyObject* {
        const Arguments in{args, n, names};
        if constexpr (kNone)
            if (n || names) [[unlikely]]
                takes_none(in, Name.s);
        if ((Py_TYPE(self) != tensor_type || n || names || override_state.modes) && !override_state.disabled)
            [[unlikely]] {
            Small<PyObject*, 8> all;
            all.push_back(self);
            for (Py_ssize_t i = 0; i < n + in.keywords(); ++i) all.push_back(args[i]);
            const Arguments whole{all.data(), n + 1, names};
            if (asks_override(whole)) {
                const Ref function = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), Name.s));
                return call_override(function.get(), whole);
            }
        }
        if constexpr (kNone) return F(self);
        else return F(self, in);
    });
}

PyObject* keyword(const Arguments& in, const char* name) {
    for (Py_ssize_t i = 0; i < in.keywords(); ++i)
        if (PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(in.names, i), name) == 0) return in.args[in.n + i];
    return nullptr;
}

// The one argument of a small method, by position or name; everything else is refused as PyTorch does.
PyObject* only_argument(const Arguments& in, const char* method, const char* name, bool positional = true,
                        bool needed = false) {
    if (in.n > positional) {
        const char* most = needed       ? "1 positional argument"
                           : positional ? "from 0 to 1 positional arguments"
                                        : "0 positional arguments";
        raise(PyExc_TypeError, str(method, "() takes ", most, " but ", in.n, in.n == 1 ? " was given" : " were given"));
    }
    PyObject* by_name = keyword(in, name);
    for (Py_ssize_t i = 0; i < in.keywords(); ++i) {
        const char* given = PyUnicode_AsUTF8(PyTuple_GET_ITEM(in.names, i));
        if (std::string_view(given) != name)
            raise(PyExc_TypeError, str(method, "() got an unexpected keyword argument '", given, "'"));
        if (in.n) raise(PyExc_TypeError, str(method, "() got multiple values for argument '", given, "'"));
    }
    return in.n ? in.args[0] : by_name;
}

PyObject* needed_argument(const Arguments& in, const char* method, const char* name) {
    if (!in.n && !keyword(in, name))
        raise(PyExc_TypeError, str(method, "()", missing_arguments(1, str("\"", name, "\""))));
    return only_argument(in, method, name, true, true);
}

[[noreturn]] void wrong(const Arguments& in, const char* method, const char* name, const char* must, PyObject* o) {
    raise(PyExc_TypeError, str(method, "(): argument '", name, "'", in.n ? " (position 1)" : "", " must be ", must,
                               ", not ", type_name(o)));
}

// ---------------------------------------------------------------- geometry
PyObject* size(PyObject* self, const Arguments& in) {
    const Tensor& t = unwrap(self);
    PyObject* d = only_argument(in, "size", "dim");
    if (!d || d == Py_None) return wrap_size(t.sizes());
    int64_t i;
    if (!to_int(d, i)) wrong(in, "size", "dim", "int", d);
    return PyLong_FromLongLong(t.size(i));
}
PyObject* stride(PyObject* self, const Arguments& in) {
    const Tensor& t = unwrap(self);
    PyObject* d = only_argument(in, "stride", "dim");
    if (d && d != Py_None) {
        int64_t i;
        if (!to_int(d, i)) wrong(in, "stride", "dim", "int", d);
        return PyLong_FromLongLong(t.stride(i));
    }
    Ref r = checked(PyTuple_New(t.dim()));
    for (int64_t i = 0; i < t.dim(); ++i)
        PyTuple_SET_ITEM(r.get(), i, checked(PyLong_FromLongLong(t.strides()[size_t(i)])).detach());
    return r.detach();
}
PyObject* dim(PyObject* self) { return PyLong_FromLongLong(unwrap(self).dim()); }
PyObject* numel(PyObject* self) { return PyLong_FromLongLong(unwrap(self).numel()); }
PyObject* element_size(PyObject* self) { return PyLong_FromSize_t(itemsize(unwrap(self).dtype())); }
PyObject* data_ptr(PyObject* self) {
    watch_leak("memory was asked for by data_ptr()");
    return PyLong_FromVoidPtr(unwrap(self)->escaping_data());
}
PyObject* storage_offset(PyObject* self) { return PyLong_FromLongLong(unwrap(self)->offset); }
PyObject* get_device(PyObject* self) {
    const Device d = unwrap(self).device();
    return PyLong_FromLong(d.type == DeviceType::CUDA ? std::max<int>(d.index, 0) : -1);
}
PyObject* is_contiguous(PyObject* self, const Arguments& in) {
    PyObject* f = only_argument(in, "is_contiguous", "memory_format", false);
    const Tensor& t = unwrap(self);
    MemoryFormat format = MemoryFormat::Contiguous;
    if (f && !to_format(f, format)) wrong(in, "is_contiguous", "memory_format", "torch.memory_format", f);
    if (format == MemoryFormat::Contiguous) return PyBool_FromLong(t.is_contiguous());
    if (format == MemoryFormat::Preserve)
        fail(ErrorKind::Runtime, "preserve memory format is unsupported by the contiguous operator");
    const int64_t rank = format == MemoryFormat::ChannelsLast ? 4 : 5;
    if (t.dim() != rank) return PyBool_FromLong(false);
    const Dims want = channels_last_strides(t.sizes());
    bool ok = true;
    for (size_t d = 0; d < want.size(); ++d) ok = ok && (t.sizes()[d] == 1 || t.strides()[d] == want[d]);
    return PyBool_FromLong(ok || t.numel() == 0);
}
PyObject* is_same_size(PyObject* self, const Arguments& in) {
    PyObject* other = needed_argument(in, "is_same_size", "other");
    if (!is_tensor(other)) wrong(in, "is_same_size", "other", "Tensor", other);
    return PyBool_FromLong(same(unwrap(self).sizes(), unwrap(other).sizes()));
}
PyObject* is_set_to(PyObject* self, const Arguments& in) {
    PyObject* other = needed_argument(in, "is_set_to", "tensor");
    if (!is_tensor(other)) wrong(in, "is_set_to", "tensor", "Tensor", other);
    const Tensor &a = unwrap(self), &b = unwrap(other);
    return PyBool_FromLong(a->storage == b->storage && a->offset == b->offset && same(a.sizes(), b.sizes()) &&
                           same(a.strides(), b.strides()));
}
PyObject* is_floating_point(PyObject* self) { return PyBool_FromLong(is_floating(unwrap(self).dtype())); }
PyObject* is_complex_(PyObject* self) { return PyBool_FromLong(is_complex(unwrap(self).dtype())); }
PyObject* is_signed(PyObject* self) {
    const DType t = unwrap(self).dtype();
    return PyBool_FromLong(
        !(t == DType::u8 || t == DType::u16 || t == DType::u32 || t == DType::u64 || t == DType::b1));
}
PyObject* is_inference(PyObject* self) { return PyBool_FromLong(unwrap(self)->inference); }
PyObject* is_view(PyObject* self) { return PyBool_FromLong(bool(unwrap(self)->base)); }
PyObject* is_conj(PyObject* self) { return PyBool_FromLong(unwrap(self)->conj); }
PyObject* is_neg(PyObject* self) { return PyBool_FromLong(unwrap(self)->neg); }
PyObject* never(PyObject*) { return PyBool_FromLong(false); }
// A pinned tensor would be memory of a GPU's driver; the argument is checked all the same.
PyObject* is_pinned(PyObject*, const Arguments& in) {
    PyObject* given = only_argument(in, "is_pinned", "device");
    Device d;
    if (given && given != Py_None && !to_device(given, d)) wrong(in, "is_pinned", "device", "torch.device", given);
    return PyBool_FromLong(false);
}

// ---------------------------------------------------------------- values
PyObject* wrap_item(const Tensor& t) {
    const Scalar s = t.item();
    if (t.dtype() == DType::u64) return PyLong_FromUnsignedLongLong(uint64_t(s.i));
    return wrap(s);
}
PyObject* item(PyObject* self) { return wrap_item(unwrap(self)); }
PyObject* as_complex(PyObject* self) {
    check_value(unwrap(self).numel() == 1, "only one element tensors can be converted to Python scalars");
    const Scalar s = unwrap(self).item();
    warn_of_lost_history(unwrap(self));
    return PyComplex_FromDoubles(s.real(), s.is_complex() ? s.im : 0);
}

template <class T>
PyObject* to_python(const T& v) {
    if constexpr (std::is_same_v<T, bool>)
        return PyBool_FromLong(reinterpret_cast<const uint8_t&>(v) != 0);  // any byte
    else if constexpr (std::is_same_v<T, uint64_t>) return PyLong_FromUnsignedLongLong(v);
    else if constexpr (std::is_integral_v<T>) return PyLong_FromLongLong(v);
    else if constexpr (std::is_same_v<T, C64> || std::is_same_v<T, C128>)
        return PyComplex_FromDoubles(double(v.re), double(v.im));
    else if constexpr (std::is_same_v<T, double>) return PyFloat_FromDouble(v);
    else return PyFloat_FromDouble(double(float(v)));
}
template <class T>
PyObject* nested_list(const Tensor& t, const T* p, size_t d) {
    if (d == t.sizes().size()) return checked(to_python(*p)).detach();
    const int64_t n = t.sizes()[d], step = t.strides()[d];
    Ref list = checked(PyList_New(n));
    for (int64_t i = 0; i < n; ++i) PyList_SET_ITEM(list.get(), i, nested_list(t, p + i * step, d + 1));
    return list.detach();
}
PyObject* tolist(PyObject* self) {
    watch_leak("values were read by tolist()");
    const Tensor& t = unwrap(self);
    if (t.is_meta()) fail(ErrorKind::NotImplemented, "Cannot copy out of meta tensor; no data!");
    if (t.dim() == 0) return wrap_item(t);
    if (t.numel() == 0) {
        static const char none_yet = 0;  // shape only: no element is read
        return nested_list(t, reinterpret_cast<const uint8_t*>(&none_yet), 0);
    }
    check(t.dtype() != DType::f4x2, "load_scalar: invalid type");
    PyObject* r = nullptr;
    const Tensor readable = t->unusual() ? op_to_plain(t) : t;
    visit_number(t.dtype() == DType::c32 ? DType::c64 : t.dtype(),
                 [&](auto z) { r = nested_list(readable, readable.data<decltype(z)>(), 0); });
    return r;
}

// ---------------------------------------------------------------- history and identity
PyObject* requires_grad_(PyObject* self, const Arguments& in) {
    PyObject* v = only_argument(in, "requires_grad_", "requires_grad");
    if (v && !PyBool_Check(v)) wrong(in, "requires_grad_", "requires_grad", "bool", v);
    change_requires_grad(unwrap(self), !v || v == Py_True,
                         "only Tensors of floating point dtype can require gradients");
    return Py_NewRef(self);
}

PyTypeObject* checked_class(PyObject* cls, const char* function) {
    if (!PyType_Check(cls)) raise(PyExc_TypeError, "cls must be a type (got " + type_name(cls) + ")");
    auto* type = reinterpret_cast<PyTypeObject*>(cls);
    if (!PyType_IsSubtype(type, tensor_type))
        raise(PyExc_TypeError, std::string(function) + "(): " + type->tp_name + " is not a subclass of Tensor");
    return type;
}
PyObject* as_subclass(PyObject* self, const Arguments& in) {
    PyObject* cls = needed_argument(in, "as_subclass", "cls");
    PyTypeObject* type = checked_class(cls, "as_subclass");
    return ask_subclass(wrap_as(op<"alias">(unwrap(self)), type));
}
// As in PyTorch nobody is asked about this one, but for the types that PyTorch has below the protocol.
PyObject* as_subclass_method(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names) {
    if (Py_TYPE(self) != tensor_type && sees_operators(Py_TYPE(self)))
        return method<"as_subclass", as_subclass>(self, args, n, names);
    return guarded([&] { return as_subclass(self, {args, n, names}); });
}
PyObject* make_subclass(PyObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        static const char* names[] = {"cls", "data", "require_grad", nullptr};
        PyObject *cls, *data;
        int require_grad = 0;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|p:_make_subclass", const_cast<char**>(names), &cls, &data,
                                         &require_grad))
            return nullptr;
        if (!is_tensor(data))
            raise(PyExc_TypeError,
                  "_make_subclass(): argument 'data' (position 2) must be Tensor, not " + type_name(data));
        PyTypeObject* type = checked_class(cls, "_make_subclass");
        Tensor t = shallow_copy(unwrap(data), true);
        if (require_grad)
            change_requires_grad(t, true, "Only Tensors of floating point and complex dtype can require gradients");
        return ask_subclass(wrap_as(std::move(t), type));
    });
}

// What two objects stand for changes places.
PyObject* swap_tensors(PyObject*, PyObject* args) {
    PyObject *a, *b;
    if (!PyArg_ParseTuple(args, "OO", &a, &b)) return nullptr;
    return guarded([&] {
        if (!is_tensor(a) || !is_tensor(b)) raise(PyExc_TypeError, "swap_tensors() expects two tensors");
        std::swap(as_tensor_object(a)->impl, as_tensor_object(b)->impl);
        impl_of(a)->object = a;
        impl_of(b)->object = b;
        return none();
    });
}

// ---------------------------------------------------------------- storage
PyObject* untyped_storage(PyObject* self) {
    watch_leak("memory was asked for by untyped_storage()");
    return wrap_storage(unwrap(self)->storage);
}
void check_set_device(const Tensor& t, const Storage& from) {
    check(t.device() == from.device(), "Attempted to set the storage of a tensor on device \"", t.device(),
          "\" to a storage on different device \"", from.device(),
          "\".  This is no longer allowed; the devices must match.");
}
// set_(), set_(tensor), set_(storage), set_(storage, offset, size, stride=contiguous)
PyObject* set_(PyObject* self, const Arguments& in) {
    const Tensor& t = unwrap(self);
    auto argument = [&](Py_ssize_t i, const char* name) { return i < in.n ? in.args[i] : keyword(in, name); };
    PyObject* source = argument(0, "source");
    check(!(tls.grad && t->requires_grad && !t->grad_fn),
          "a leaf Variable that requires grad is being used in an in-place operation.");
    watch_leak("a tensor was given other memory by set_()");
    if (!source) {
        t->storage = Storage::allocate(0, t.device());
        t->offset = 0;
        t->set_contiguous(Dims{0});
    } else if (is_tensor(source) && in.n + in.keywords() == 1) {
        const Tensor& s = unwrap(source);
        check(s.dtype() == t.dtype(), "Could not set tensor of type ", s.dtype(), " to a tensor of type ", t.dtype());
        check_set_device(t, *s->storage);
        replace_data(t, s);
    } else {
        Ptr<Storage> storage;
        if (is_tensor(source)) storage = unwrap(source)->storage;
        else if (!to_storage(source, storage))
            raise(PyExc_TypeError,
                  "set_() received an invalid combination of arguments - got (" + type_name(source) + ")");
        check_set_device(t, *storage);
        PyObject *offset = argument(1, "storage_offset"), *size = argument(2, "size"), *stride = argument(3, "stride");
        const int64_t item = int64_t(itemsize(t.dtype()));
        int64_t at = 0;
        if (offset && !to_int(offset, at))
            raise(PyExc_TypeError,
                  "set_(): argument 'storage_offset' (position 2) must be int, not " + type_name(offset));
        auto read = [](PyObject* o, const char* name) {
            Dims d;
            if (!is_list(o))
                raise(PyExc_TypeError, str("set_(): argument '", name, "' must be tuple of ints, not ", type_name(o)));
            for (Py_ssize_t i = 0; i < list_size(o); ++i) {
                int64_t v;
                if (!to_int(list_item(o, i), v))
                    raise(PyExc_TypeError, str("set_(): argument '", name, "' must be tuple of ints"));
                d.push_back(v);
            }
            return d;
        };
        const Dims sizes = size ? read(size, "size") : Dims{int64_t(storage->nbytes()) / item};
        const Dims strides = stride ? read(stride, "stride") : contiguous_strides(sizes);
        check(sizes.size() == strides.size(), "mismatch in length of strides and shape");
        check(at >= 0, "Tensor: invalid storage offset ", at);
        for (size_t d = 0; d < sizes.size(); ++d)
            check(sizes[d] >= 0 && strides[d] >= 0, "set_(): sizes and strides must not be negative, got ", sizes,
                  " and ", strides);
        const int64_t need = storage_size(sizes, strides, at) * item;
        if (need > int64_t(storage->nbytes()) && product(sizes)) {
            check(storage->resizable(), "Trying to resize storage that is not resizable");
            storage->resize(size_t(need));
        }
        t->storage = std::move(storage);
        t->offset = at;
        t->set_shape(sizes, strides);
        t->base = nullptr;
    }
    t->bump_version();
    return Py_NewRef(self);
}

// ---------------------------------------------------------------- x.float(), x.long(), …
template <Text Name, DType T>
PyObject* convert(PyObject* self, const Arguments& in) {
    PyObject* f = only_argument(in, Name.s, "memory_format", false);
    MemoryFormat format = MemoryFormat::Preserve;
    if (f && f != Py_None && !to_format(f, format)) wrong(in, Name.s, "memory_format", "torch.memory_format", f);
    const Tensor& t = unwrap(self);
    if (!f && t.dtype() == T) return Py_NewRef(self);
    return wrap(op<"to.dtype">(t, T, false, false, f && f != Py_None ? Value(format) : Value()));
}
PyObject* cpu(PyObject* self, const Arguments& in) {
    PyObject* f = only_argument(in, "cpu", "memory_format", false);
    MemoryFormat format = MemoryFormat::Preserve;
    if (f && f != Py_None && !to_format(f, format)) wrong(in, "cpu", "memory_format", "torch.memory_format", f);
    if (!f && unwrap(self).device() == kCPU) return Py_NewRef(self);
    return wrap(
        op<"to.device">(unwrap(self), kCPU, Value(), false, false, f && f != Py_None ? Value(format) : Value()));
}

}  // namespace

Py_ssize_t tensor_length(PyObject* self) {
    if (asks_outside_of(self)) [[unlikely]] {
        const Ref length(call_method_override("__len__", {self}));
        return length ? PyNumber_AsSsize_t(length.get(), PyExc_OverflowError) : -1;
    }
    return guarded(
        [&]() -> Py_ssize_t {
            const Tensor& t = unwrap(self);
            if (t.dim() == 0) raise(PyExc_TypeError, "len() of a 0-d tensor");
            return t.sizes()[0];
        },
        Py_ssize_t(-1));
}

// The documentation begins with what `inspect.signature` reads.
#define FB_METHOD(name, function, arguments) \
    {#name, as_method(method<#name, function>), METH_FASTCALL | METH_KEYWORDS, #name "($self" arguments ")\n--\n\n"}
#define FB_CONVERT(name, type)                                                                    \
    {#name, as_method(method<#name, convert<#name, DType::type>>), METH_FASTCALL | METH_KEYWORDS, \
     #name "($self, memory_format=None)\n--\n\nThe tensor with elements of this type."}
PyMethodDef tensor_methods[] = {
    FB_METHOD(size, size, ", dim=None"),
    FB_METHOD(stride, stride, ", dim=None"),
    FB_METHOD(dim, dim, ""),
    FB_METHOD(ndimension, dim, ""),
    FB_METHOD(numel, numel, ""),
    FB_METHOD(nelement, numel, ""),
    FB_METHOD(element_size, element_size, ""),
    FB_METHOD(data_ptr, data_ptr, ""),
    FB_METHOD(storage_offset, storage_offset, ""),
    FB_METHOD(get_device, get_device, ""),
    FB_METHOD(is_contiguous, is_contiguous, ", memory_format=None"),
    FB_METHOD(is_same_size, is_same_size, ", other"),
    FB_METHOD(is_set_to, is_set_to, ", tensor"),
    FB_METHOD(is_floating_point, is_floating_point, ""),
    FB_METHOD(is_complex, is_complex_, ""),
    FB_METHOD(is_signed, is_signed, ""),
    FB_METHOD(is_inference, is_inference, ""),
    FB_METHOD(is_conj, is_conj, ""),
    FB_METHOD(is_neg, is_neg, ""),
    FB_METHOD(is_pinned, is_pinned, ", device=None"),
    FB_METHOD(_is_view, is_view, ""),
    FB_METHOD(_is_zerotensor, never, ""),
    FB_METHOD(item, item, ""),
    FB_METHOD(tolist, tolist, ""),
    FB_METHOD(__complex__, as_complex, ""),
    FB_METHOD(requires_grad_, requires_grad_, ", requires_grad=True"),
    {"as_subclass", as_method(as_subclass_method), METH_FASTCALL | METH_KEYWORDS, "as_subclass($self, cls)\n--\n\n"},
    FB_METHOD(untyped_storage, untyped_storage, ""),
    FB_METHOD(set_, set_, ", source=None, storage_offset=0, size=None, stride=None"),
    FB_METHOD(cpu, cpu, ", memory_format=None"),
    FB_CONVERT(float, f32),
    FB_CONVERT(double, f64),
    FB_CONVERT(half, f16),
    FB_CONVERT(bfloat16, bf16),
    FB_CONVERT(int, i32),
    FB_CONVERT(long, i64),
    FB_CONVERT(short, i16),
    FB_CONVERT(char, i8),
    FB_CONVERT(byte, u8),
    FB_CONVERT(bool, b1),
    FB_CONVERT(cfloat, c64),
    FB_CONVERT(cdouble, c128),
    {"_make_subclass", as_method(make_subclass), METH_VARARGS | METH_KEYWORDS | METH_STATIC, nullptr},
    {"_swap", swap_tensors, METH_VARARGS | METH_STATIC, nullptr},
    {},
};
#undef FB_METHOD
#undef FB_CONVERT

}  // namespace fb::py
