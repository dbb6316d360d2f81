// torch.tensor(data), torch.as_tensor, torch.Tensor(…): from nested sequences, numbers, arrays and tensors.
#include "ops/fresh.h"
#include "python/construct.h"
#include <cmath>
#include "base/float8.h"
#include "cpu/iter.h"
#include "op/out_types.h"
#include "python/override.h"
#include "python/parse.h"
#include "python/storage_object.h"
#include "python/tensor_object.h"
#include "tensor/watch.h"

namespace fb::py {
namespace {

constexpr int kMostDims = 64;

bool is_sequence(PyObject* o) {
    return is_list(o) ||
           (PySequence_Check(o) && !PyUnicode_Check(o) && !is_tensor(o) && !is_numpy_scalar(o) && !PyBytes_Check(o));
}

DType dtype_of_array(PyObject* o) {  // of NumPy arrays and scalars
    static PyObject* kept_asarray = nullptr;
    PyObject* const asarray = kept_attribute(kept_asarray, "numpy", "asarray");
    const Ref array = checked(PyObject_CallOneArg(asarray, o));
    return tensor_from_array(array.get(), false).dtype();
}

void check_dtype_pair(DType& so_far, DType t) {
    so_far = so_far == DType::none ? t : so_far == t ? t : cpu::promote(so_far, t);
}

DType infer(PyObject* o, int depth) {
    if (depth > kMostDims)
        raise(PyExc_ValueError, str("max recursion depth exceeded: more than ", kMostDims, " nested sequences"));
    if (PyFloat_CheckExact(o)) return default_dtype();
    if (PyLong_CheckExact(o)) return DType::i64;
    if (PyBool_Check(o)) return DType::b1;
    if (is_tensor(o)) return unwrap(o).dtype();
    if (is_numpy_array(o) || is_numpy_scalar(o)) return dtype_of_array(o);
    if (PyFloat_Check(o)) return default_dtype();
    if (PyLong_Check(o)) return DType::i64;
    if (PyComplex_Check(o)) return to_complex(default_dtype());
    if (PyUnicode_Check(o)) raise(PyExc_TypeError, "new(): invalid data type '" + type_name(o) + "'");
    if (PyDict_Check(o) || !PySequence_Check(o)) fail(ErrorKind::Runtime, "Could not infer dtype of ", type_name(o));
    const Ref fast = checked(PySequence_Fast(o, "not a sequence"));
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(fast.get());
    DType t = DType::none;
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* x = PySequence_Fast_GET_ITEM(fast.get(), i);
        if (PyUnicode_Check(x) && i) raise(PyExc_TypeError, "new(): invalid data type '" + type_name(x) + "'");
        if (PyUnicode_Check(x)) raise(PyExc_ValueError, "too many dimensions '" + type_name(x) + "'");
        if (x == o) raise(PyExc_TypeError, "new(): self-referential lists are incompatible");
        const DType d = infer(x, depth + 1);
        if (d != DType::none) check_dtype_pair(t, d);
        if (t == DType::c128) break;
    }
    return t == DType::none && depth == 0 ? default_dtype() : t;
}

Dims sizes_of(PyObject* data) {
    Dims sizes;
    Ref o = Ref::borrow(data);
    while (is_sequence(o.get())) {
        const Py_ssize_t n = PySequence_Size(o.get());
        if (n < 0) throw PythonError{};
        sizes.push_back(n);
        if (sizes.size() > kMostDims) raise(PyExc_ValueError, "too many dimensions '" + type_name(o.get()) + "'");
        if (n == 0) break;
        Ref first(PySequence_GetItem(o.get(), 0));
        if (!first)
            raise(PyExc_ValueError, "could not determine the shape of object type '" + type_name(o.get()) + "'");
        o = std::move(first);
    }
    return sizes;
}

// ---------------------------------------------------------------- one element
template <class T>
T integer_element(const Scalar& s, DType dtype) {
    if (s.is_float()) {
        const double d = s.d;
        if (!(d >= double(std::numeric_limits<T>::lowest()) - 1 && d <= double(std::numeric_limits<T>::max())))
            fail(ErrorKind::Runtime, "value cannot be converted to type ", name(dtype), " without overflow");
        return T(d);
    }
    if constexpr (sizeof(T) < 8) {
        // Negative numbers wrap around for unsigned types; everything else must fit.
        const int64_t low =
            std::is_unsigned_v<T> ? -int64_t(std::numeric_limits<T>::max()) : int64_t(std::numeric_limits<T>::lowest());
        if (s.i < low || s.i > int64_t(std::numeric_limits<T>::max()))
            fail(ErrorKind::Runtime, "value cannot be converted to type ", name(dtype), " without overflow");
    }
    return T(s.i);
}

Scalar number_of(PyObject* o, DType dtype) {
    Scalar s;
    if (is_tensor(o)) {
        const Tensor& t = unwrap(o);
        check_value(t.numel() == 1, "only one element tensors can be converted to Python scalars");
        return t.item();
    }
    if (PyLong_CheckExact(o)) {
        int overflow;
        const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
        if (!overflow) return Scalar(int64_t(v));
        if (dtype == DType::u64 && overflow > 0) {
            const unsigned long long u = PyLong_AsUnsignedLongLong(o);
            if (!PyErr_Occurred()) return Scalar(int64_t(u));
            PyErr_Clear();
        }
        if (is_floating(dtype) || is_complex(dtype)) {
            const double d = PyLong_AsDouble(o);
            if (!PyErr_Occurred()) return Scalar(d);
            throw PythonError{};
        }
        raise(PyExc_ValueError, "Overflow when unpacking long long");
    }
    if (to_scalar(o, s)) return s;
    if (is_numpy_array(o) || PyFloat_Check(o)) {
        const Ref item(PyObject_CallMethod(o, "item", nullptr));
        if (item && to_scalar(item.get(), s)) return s;
        PyErr_Clear();
        raise(PyExc_ValueError, "only one element arrays can be converted to Python scalars");
    }
    if (is_floating(dtype)) raise(PyExc_TypeError, "must be real number, not " + type_name(o));
    raise(PyExc_TypeError, "'" + type_name(o) + "' object cannot be interpreted as an integer");
}

template <class T>
void store(T* to, PyObject* o, DType dtype) {
    if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
        if (PyFloat_CheckExact(o)) {
            *to = T(PyFloat_AS_DOUBLE(o));
            return;
        }
    }
    const Scalar s = number_of(o, dtype);
    if (s.is_complex() && !is_complex(dtype)) raise(PyExc_TypeError, "must be real number, not complex");
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) *to = integer_element<T>(s, dtype);
    else *to = s.to<T>();
}

template <class T>
T* store_nested(T* to, PyObject* o, IntSpan sizes, size_t d, DType dtype) {
    if (d == sizes.size()) {
        if (is_sequence(o) && !is_numpy_array(o))
            number_of(o, dtype);  // raises the error for a list in the place of a number
        store(to, o, dtype);
        return to + 1;
    }
    if (!is_sequence(o)) {
        if (is_tensor(o) && unwrap(o).dim() > 0)
            raise(PyExc_ValueError, "only one element tensors can be converted to Python scalars");
        raise(PyExc_TypeError, "not a sequence");
    }
    const Ref fast = checked(PySequence_Fast(o, "not a sequence"));
    const Py_ssize_t n = PySequence_Fast_GET_SIZE(fast.get());
    if (n != sizes[d])
        raise(PyExc_ValueError, str("expected sequence of length ", sizes[d], " at dim ", d, " (got ", n, ")"));
    for (Py_ssize_t i = 0; i < n; ++i) {
        const Ref x = Ref::borrow(PySequence_Fast_GET_ITEM(fast.get(), i));
        to = store_nested(to, x.get(), sizes, d + 1, dtype);
    }
    return to;
}

Tensor converted(const Tensor& t, DType dtype, Device device) {
    GradGuard off(false);
    Tensor r = op<"to.device">(t, device, dtype, false, true);
    return r.get() == t.get() ? op<"clone">(t) : r;
}

// ---------------------------------------------------------------- the functions
// data, *, dtype, device, requires_grad, pin_memory: shared by tensor() and as_tensor().
const Schema& tensor_schema(bool as) {
    static const Schema tensor = parse_schema(
        "tensor(Tensor data, *, ScalarType? dtype=None, Device? device=None, bool requires_grad=False, bool "
        "pin_memory=False) -> Tensor");
    static const Schema as_tensor =
        parse_schema("as_tensor(Tensor data, ScalarType? dtype=None, Device? device=None) -> Tensor");
    return as ? as_tensor : tensor;
}

struct Options {
    PyObject* data = nullptr;
    DType dtype = DType::none;
    bool device_given = false;
    Device device;
    bool requires_grad = false;
};

Options read_options(const Schema& s, const Arguments& in) {
    Options r;
    if (in.n > s.positional)
        raise(PyExc_TypeError, str(s.name, "() takes ", s.positional == 1 ? "" : str("from 1 to "), s.positional,
                                   " positional argument", s.positional == 1 ? "" : "s", " but ", in.n, " were given"));
    Arena arena;
    auto take = [&](size_t i, PyObject* o, Py_ssize_t position) {
        const Arg& a = s.args[i];
        if (i == 0) {
            r.data = o;
            return;
        }
        Value v;
        if (!convert(o, a, v, arena))
            raise(PyExc_TypeError, str(s.name, "(): argument '", a.name, "'",
                                       position >= 0 ? str(" (position ", position + 1, ")") : "", " must be ",
                                       a.kind == Kind::DType    ? "torch.dtype"
                                       : a.kind == Kind::Device ? "torch.device"
                                                                : "bool",
                                       ", not ", type_name(o)));
        if (a.kind == Kind::DType) r.dtype = v.is_none() ? DType::none : v.dt;
        else if (a.kind == Kind::Device && !v.is_none()) {
            r.device = v.device_v;
            r.device_given = true;
        } else if (a.name == "requires_grad") r.requires_grad = v.flag();
    };
    bool data_given = in.n > 0;
    for (Py_ssize_t i = 0; i < in.keywords(); ++i)
        data_given |= PyUnicode_CompareWithASCIIString(PyTuple_GET_ITEM(in.names, i), "data") == 0;
    if (!data_given) raise(PyExc_TypeError, s.name + "() missing 1 required positional arguments: \"data\"");
    for (Py_ssize_t i = 0; i < in.n; ++i) take(size_t(i), in.args[i], i);
    for (Py_ssize_t i = 0; i < in.keywords(); ++i) {
        const char* given = PyUnicode_AsUTF8(PyTuple_GET_ITEM(in.names, i));
        const int k = s.index_of(given);
        if (k < 0) raise(PyExc_TypeError, str(s.name, "() got an unexpected keyword argument '", given, "'"));
        if (k < in.n) raise(PyExc_TypeError, str(s.name, "() got multiple values for argument '", given, "'"));
        take(size_t(k), in.args[in.n + i], -1);
    }
    if (!r.device_given && default_device_depth && !is_tensor(r.data)) r.device = default_device();
    return r;
}

PyObject* make(PyObject* const* args, Py_ssize_t n, PyObject* names, bool as) {
    return guarded([&]() -> PyObject* {
        const Arguments in{args, n, names};
        // Of what the data are made does not count, but for tensors that only pass for strided ones.
        const bool asked = n > 0 && is_tensor(args[0]) && sees_operators(Py_TYPE(args[0]));
        if (asked ? asks_override(in) : asks_override({args, 0})) [[unlikely]] {
            const Ref function = checked(import_attribute("flambeau", as ? "as_tensor" : "tensor"));
            return call_override(function.get(), in);
        }
        const Options o = read_options(tensor_schema(as), in);
        if (is_tensor(o.data)) {
            const Tensor& t = unwrap(o.data);
            const Device d = o.device_given ? o.device : t.device();
            if (as) {
                if ((o.dtype == DType::none || o.dtype == t.dtype()) && d == t.device()) return Py_NewRef(o.data);
                return wrap(op<"to.device">(t, d, o.dtype == DType::none ? t.dtype() : o.dtype));
            }
            warn(
                "To copy construct from a tensor, it is recommended to use sourceTensor.detach().clone() or "
                "sourceTensor.detach().clone().requires_grad_(True), rather than torch.tensor(sourceTensor).");
        } else if (as && is_numpy_array(o.data)) {
            Tensor t = tensor_from_array(o.data, true);
            if (o.dtype != DType::none && o.dtype != t.dtype()) t = t.to(o.dtype);
            if (!(o.device == kCPU)) t = converted(t, t.dtype(), o.device);
            return wrap(std::move(t));
        }
        Tensor t =
            tensor_from(o.data, o.dtype, is_tensor(o.data) && !o.device_given ? unwrap(o.data).device() : o.device);
        if (is_list(o.data) || !is_numpy_array(o.data)) watch_constant(t);
        if (o.requires_grad)
            change_requires_grad(t, true, "Only Tensors of floating point and complex dtype can require gradients");
        return wrap(std::move(t));
    });
}
PyObject* tensor(PyObject*, PyObject* const* args, Py_ssize_t n, PyObject* names) {
    return make(args, n, names, false);
}
PyObject* as_tensor(PyObject*, PyObject* const* args, Py_ssize_t n, PyObject* names) {
    return make(args, n, names, true);
}

PyObject* legacy_new(PyObject*, PyObject* all,
                     PyObject* kwargs) {  // _legacy_tensor(dtype, *args): FloatTensor and its kin
    return guarded([&]() -> PyObject* {
        DType dtype;
        if (PyTuple_GET_SIZE(all) < 1 || !to_dtype(PyTuple_GET_ITEM(all, 0), dtype))
            raise(PyExc_TypeError, "expected a dtype");
        const Ref args = checked(PyTuple_GetSlice(all, 1, PyTuple_GET_SIZE(all)));
        return wrap(legacy_tensor(args.get(), kwargs, dtype));
    });
}
PyObject* get_default_dtype(PyObject*, PyObject*) { return wrap(default_dtype()); }
PyObject* set_default_dtype_py(PyObject*, PyObject* o) {
    return guarded([&] {
        DType t;
        check_type(to_dtype(o, t), "invalid dtype object: only floating-point types are supported as the default type");
        check_type(is_floating(t), "only floating-point types are supported as the default type");
        check_type(!is_float8(t), "couldn't find storage object ", scalar_name(t), "Storage");
        set_default_dtype(t);
        return none();
    });
}

// ---------------------------------------------------------------- dtype arithmetic
PyObject* result_type_py(PyObject*, PyObject* const* args, Py_ssize_t n, PyObject* names) {
    return guarded([&]() -> PyObject* {
        const Arguments in{args, n, names};
        static const Overloads* const overloads = new Overloads(told_overloads("", "result_type", Form::Function));
        Call call;
        for (const Signature& s : overloads->list)
            if (parse(s, in, call)) return wrap(cpu::result_type(Operand(call.values[0]), Operand(call.values[1])));
        raise_no_match(overloads->list, in);
    });
}
// Raises for what neither stands in its place nor is named.
void check_given(const char* function, std::initializer_list<const char*> names, PyObject* args, PyObject* kwargs) {
    std::string missing;
    int n = 0;
    Py_ssize_t place = 0;
    for (const char* name : names)
        if (place++ >= PyTuple_GET_SIZE(args) && !(kwargs && PyDict_GetItemString(kwargs, name)))
            missing += str(n++ ? ", " : "", "\"", name, "\"");
    if (n) raise(PyExc_TypeError, str(function, "()", missing_arguments(n, missing)));
}
bool two_dtypes(PyObject* args, PyObject* kwargs, const char* format, const char* first, const char* second, DType& a,
                DType& b) {
    PyObject *x, *y;
    const char* names[] = {first, second, nullptr};
    const std::string function = std::string(format).substr(3);
    check_given(function.c_str(), {first, second}, args, kwargs);
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, format, const_cast<char**>(names), &x, &y)) return false;
    if (!to_dtype(x, a))
        raise(PyExc_TypeError,
              str(function, "(): argument '", first, "' (position 1) must be torch.dtype, not ", type_name(x)));
    if (!to_dtype(y, b))
        raise(PyExc_TypeError,
              str(function, "(): argument '", second, "' (position 2) must be torch.dtype, not ", type_name(y)));
    return true;
}
PyObject* promote_types_py(PyObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        DType a, b;
        if (!two_dtypes(args, kwargs, "OO:promote_types", "type1", "type2", a, b)) return nullptr;
        return wrap(cpu::promote(a, b));
    });
}
PyObject* can_cast_py(PyObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        DType a, b;
        if (!two_dtypes(args, kwargs, "OO:can_cast", "from_", "to", a, b)) return nullptr;
        return PyBool_FromLong(cpu::can_cast(a, b));
    });
}

PyObject* check_out_type_py(PyObject*, PyObject* args) {
    return guarded([&]() -> PyObject* {
        const char* name;
        int results;
        PyObject *x, *y;
        if (!PyArg_ParseTuple(args, "siOO:_check_out_type", &name, &results, &x, &y)) return nullptr;
        DType result, out;
        if (!to_dtype(x, result) || !to_dtype(y, out))
            raise(PyExc_TypeError, "_check_out_type(): two dtypes are needed");
        check_out_type(name, results, result, out);
        Py_RETURN_NONE;
    });
}

PyMethodDef functions[] = {
    {"_check_out_type", as_method(check_out_type_py), METH_VARARGS,
     "Raises where a result of that operator may not go into an out= tensor of that dtype."},
    {"result_type", as_method(result_type_py), METH_FASTCALL | METH_KEYWORDS,
     "result_type($module, tensor1, tensor2)\n--\n\nThe dtype of arithmetic between two operands."},
    {"promote_types", as_method(promote_types_py), METH_VARARGS | METH_KEYWORDS,
     "promote_types($module, type1, type2)\n--\n\nThe smallest dtype that holds both."},
    {"can_cast", as_method(can_cast_py), METH_VARARGS | METH_KEYWORDS,
     "can_cast($module, from_, to)\n--\n\nWhether a result of one dtype may be written into another."},
    {"tensor", as_method(tensor), METH_FASTCALL | METH_KEYWORDS,
     "tensor($module, data, *, dtype=None, device=None, requires_grad=False, pin_memory=False)\n--\n\nA tensor with a "
     "copy of the data."},
    {"as_tensor", as_method(as_tensor), METH_FASTCALL | METH_KEYWORDS,
     "as_tensor($module, data, dtype=None, device=None)\n--\n\nA tensor of the data, sharing memory where it can."},
    {"_legacy_tensor", as_method(legacy_new), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"get_default_dtype", get_default_dtype, METH_NOARGS, "The floating point type of results that name none."},
    {"_set_default_dtype", set_default_dtype_py, METH_O, nullptr},
    {},
};

}  // namespace

DType infer_dtype(PyObject* data) { return infer(data, 0); }

Tensor tensor_from(PyObject* data, DType dtype, Device device) {
    if (is_tensor(data)) return converted(unwrap(data), dtype == DType::none ? unwrap(data).dtype() : dtype, device);
    if (is_numpy_array(data)) {
        const Tensor t = tensor_from_array(data, false);
        return converted(t, dtype == DType::none ? t.dtype() : dtype, device);
    }
    if (PyUnicode_Check(data)) raise(PyExc_TypeError, "new(): invalid data type '" + type_name(data) + "'");
    if (dtype == DType::none) dtype = infer(data, 0);
    else if (PyDict_Check(data)) fail(ErrorKind::Runtime, "Could not infer dtype of ", type_name(data));
    const Dims sizes = sizes_of(data);
    if (is_list(data) && list_size(data) && !sizes.empty()) {
        // A list of arrays of one shape is stacked by their memory, not by their elements.
        PyObject* first = list_item(data, 0);
        if (is_numpy_array(first) && sizes.size() > 1) {
            static PyObject* kept_stack = nullptr;
            PyObject* const stack = kept_attribute(kept_stack, "numpy", "stack");
            Ref whole(PyObject_CallOneArg(stack, data));
            if (whole) return converted(tensor_from_array(whole.get(), false), dtype, device);
            PyErr_Clear();
        }
    }
    check(dtype != DType::f4x2, "store_scalar: invalid type");
    Tensor t = empty(sizes, dtype, kCPU);
    if (dtype == DType::c32) {
        Tensor w = empty(sizes, DType::c64, kCPU);
        if (t.numel()) store_nested(w.data<C64>(), data, sizes, 0, DType::c64);
        return converted(w, dtype, device);
    }
    visit_number(dtype, [&](auto z) {
        using T = decltype(z);
        if (t.numel()) store_nested(t.data<T>(), data, sizes, 0, dtype);
    });
    return device == kCPU ? t : converted(t, dtype, device);
}

Tensor legacy_tensor(PyObject* args, PyObject* kwargs, DType dtype) {
    Device device = kCPU;
    if (kwargs && PyDict_GET_SIZE(kwargs)) {
        PyObject *key, *value;
        for (Py_ssize_t i = 0; PyDict_Next(kwargs, &i, &key, &value);) {
            const std::string_view k = PyUnicode_AsUTF8(key);
            if (k == "device") {
                if (value != Py_None && !to_device(value, device))
                    raise(PyExc_TypeError, "new(): argument 'device' must be torch.device, not " + type_name(value));
            } else if (k == "data") {
                return tensor_from(value, dtype, device);
            } else {
                raise(PyExc_TypeError, str("new() got an unexpected keyword argument '", k, "'"));
            }
        }
    }
    const Py_ssize_t n = PyTuple_GET_SIZE(args);
    if (n == 0) return empty(Dims{0}, dtype, device);
    PyObject* first = PyTuple_GET_ITEM(args, 0);
    int64_t v;
    if (!is_tensor(first) && to_int(first, v)) {
        Dims sizes;
        for (Py_ssize_t i = 0; i < n; ++i) {
            PyObject* o = PyTuple_GET_ITEM(args, i);
            if (!to_int(o, v))
                raise(PyExc_TypeError, str("new(): argument 'size' failed to unpack the object at pos ", i + 1,
                                           " with error \"type must be tuple of ints,but got ", type_name(o), "\""));
            sizes.push_back(v);
        }
        return fresh(empty(sizes, dtype, device));
    }
    if (n > 1) raise(PyExc_TypeError, str("new() received an invalid combination of arguments - got ", n, " values"));
    if (is_tensor(first)) return op<"alias">(unwrap(first).detach());
    Ptr<Storage> storage;
    if (!is_list(first) && to_storage(first, storage)) {
        Tensor t = empty(Dims{0}, dtype, storage->device());
        t->storage = storage;
        t->set_contiguous(Dims{int64_t(storage->nbytes() / itemsize(dtype))});
        return t;
    }
    if (PyTuple_Check(first) && !PyTuple_CheckExact(first)) {  // torch.Size
        Dims sizes;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(first); ++i) {
            if (!to_int(PyTuple_GET_ITEM(first, i), v)) return tensor_from(first, dtype, device);
            sizes.push_back(v);
        }
        return fresh(empty(sizes, dtype, device));
    }
    if (PyUnicode_Check(first)) raise(PyExc_TypeError, "new(): invalid data type '" + type_name(first) + "'");
    if (!PySequence_Check(first))
        raise(PyExc_TypeError, "new(): data must be a sequence (got " + type_name(first) + ")");
    return tensor_from(first, dtype, device);
}

void init_construct(PyObject* module) {
    add_functions(module, functions);
    init_numpy(module);
    init_dlpack(module);
}

}  // namespace fb::py
