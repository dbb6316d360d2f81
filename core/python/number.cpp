// Numbers both ways, type names for messages, and exceptions.
#include <cmath>
#include <new>
#include "python/helpers.h"

namespace fb::py {
namespace {

PyObject *out_of_memory_error, *linalg_error;

struct NumpyTypes {
    PyTypeObject *generic = nullptr, *array = nullptr;
    PyObject *boolean = nullptr, *integer = nullptr, *floating = nullptr, *complexfloating = nullptr;
};

// NumPy's classes, looked up once it has been imported by anybody: before that no object can be one of theirs.
const NumpyTypes* numpy_types() {
    static NumpyTypes types;
    if (types.generic) return &types;
    PyObject* np = numpy_if_loaded();
    if (!np) return nullptr;
    auto get = [&](const char* n) {
        PyObject* o = PyObject_GetAttrString(np, n);
        if (!o) PyErr_Clear();
        return o;
    };
    NumpyTypes t;
    t.array = reinterpret_cast<PyTypeObject*>(get("ndarray"));
    t.boolean = get("bool_");
    t.integer = get("integer");
    t.floating = get("floating");
    t.complexfloating = get("complexfloating");
    t.generic = reinterpret_cast<PyTypeObject*>(get("generic"));
    if (!t.array || !t.boolean || !t.integer || !t.floating || !t.complexfloating || !t.generic) return nullptr;
    types = t;
    return &types;
}

bool is_a(PyObject* o, PyObject* type) { return PyObject_TypeCheck(o, reinterpret_cast<PyTypeObject*>(type)); }

int64_t long_value(PyObject* o, PyObject* error, const char* text) {
    int overflow = 0;
    const long long v = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (overflow) raise(error, text);
    if (v == -1 && PyErr_Occurred()) throw PythonError{};
    return v;
}
int64_t number_value(PyObject* o) { return long_value(o, PyExc_OverflowError, "int too big to convert"); }
int64_t index_value(PyObject* o) { return long_value(o, PyExc_ValueError, "Overflow when unpacking long long"); }

}  // namespace

PyObject* numpy_if_loaded() {
    static PyObject* np = nullptr;
    if (np) return np;
    PyObject* modules = PyImport_GetModuleDict();
    PyObject* m = PyDict_GetItemString(modules, "numpy");
    // A half imported NumPy has no `ndarray` yet.
    if (!m || !PyObject_HasAttrString(m, "ndarray") || !PyObject_HasAttrString(m, "generic")) return nullptr;
    return np = Py_NewRef(m);
}
bool is_numpy_array(PyObject* o) {
    const NumpyTypes* t = numpy_types();
    return t && PyObject_TypeCheck(o, t->array);
}
bool is_numpy_scalar(PyObject* o) {
    const NumpyTypes* t = numpy_types();
    return t && PyObject_TypeCheck(o, t->generic);
}

PyObject* wrap(const Scalar& s) {
    switch (s.kind) {
        case Scalar::Kind::Bool: return PyBool_FromLong(s.i != 0);
        case Scalar::Kind::Int: return PyLong_FromLongLong(s.i);
        case Scalar::Kind::Double: return PyFloat_FromDouble(s.d);
        case Scalar::Kind::Complex: return PyComplex_FromDoubles(s.d, s.im);
    }
    return nullptr;
}

bool to_scalar(PyObject* o, Scalar& out) {
    if (PyFloat_CheckExact(o)) {
        out = Scalar(PyFloat_AS_DOUBLE(o));
        return true;
    }
    if (PyLong_CheckExact(o)) {
        out = Scalar(number_value(o));
        return true;
    }
    if (PyBool_Check(o)) {
        out = Scalar(o == Py_True);
        return true;
    }
    if (PyFloat_Check(o)) {
        out = Scalar(PyFloat_AS_DOUBLE(o));
        return true;
    }
    if (PyLong_Check(o)) {
        out = Scalar(number_value(o));
        return true;
    }
    if (PyComplex_Check(o)) {
        const Py_complex c = PyComplex_AsCComplex(o);
        out = Scalar(C128(c.real, c.imag));
        return true;
    }
    if (const NumpyTypes* t = numpy_types(); t && PyObject_TypeCheck(o, t->generic)) {
        if (is_a(o, t->boolean)) {
            out = Scalar(PyObject_IsTrue(o) == 1);
            return true;
        }
        if (is_a(o, t->integer)) {
            const Ref i = checked(PyNumber_Index(o));
            out = Scalar(number_value(i.get()));
            return true;
        }
        if (is_a(o, t->floating)) {
            const Ref f = checked(PyNumber_Float(o));
            out = Scalar(PyFloat_AS_DOUBLE(f.get()));
            return true;
        }
        if (is_a(o, t->complexfloating)) {
            const Py_complex c = PyComplex_AsCComplex(o);
            if (PyErr_Occurred()) throw PythonError{};
            out = Scalar(C128(c.real, c.imag));
            return true;
        }
    }
    return false;
}

bool to_int(PyObject* o, int64_t& out) {
    if (PyLong_CheckExact(o)) {
        out = index_value(o);
        return true;
    }
    if (PyBool_Check(o)) return false;
    if (PyLong_Check(o)) {
        out = index_value(o);
        return true;
    }
    if (is_tensor(o)) {
        const Tensor& t = unwrap(o);
        if (t.dim() != 0 || !is_integral(t.dtype(), false) || t.is_meta()) return false;
        out = t.item().integer();
        return true;
    }
    if (PyFloat_Check(o) || !PyIndex_Check(o)) return false;
    if (const NumpyTypes* t = numpy_types(); t && is_a(o, t->boolean)) return false;
    PyObject* i = PyNumber_Index(o);
    if (!i) {
        PyErr_Clear();
        return false;
    }
    const Ref number(i);
    out = index_value(i);
    return true;
}

bool to_bool(PyObject* o, bool& out) {
    if (PyBool_Check(o)) {
        out = o == Py_True;
        return true;
    }
    if (const NumpyTypes* t = numpy_types(); t && is_a(o, t->boolean)) {
        out = PyObject_IsTrue(o) == 1;
        return true;
    }
    return false;
}

bool to_double(PyObject* o, double& out) {
    if (PyFloat_Check(o)) {
        out = PyFloat_AS_DOUBLE(o);
        return true;
    }
    if (PyLong_Check(o)) {  // as large as doubles are, not as 64 bits
        out = PyLong_AsDouble(o);
        if (out == -1.0 && PyErr_Occurred()) throw PythonError{};
        return true;
    }
    Scalar s;
    if (PyComplex_Check(o) || !to_scalar(o, s) || s.is_complex()) return false;
    out = s.real();
    return true;
}

std::string type_name(PyObject* o) {
    const std::string_view n = Py_TYPE(o)->tp_name;
    if (n == "SparseTensor") return "Tensor";  // a class of ours, but not for PyTorch
    if (n.starts_with("flambeau.")) return "torch." + std::string(n.substr(9));
    return std::string(n);
}

PyObject* import_attribute(const char* module, const char* name) {
    const Ref m = checked(PyImport_ImportModule(module));
    return checked(PyObject_GetAttrString(m.get(), name)).detach();
}
PyObject* kept_attribute(PyObject*& kept, const char* module, const char* name) {
    if (!kept) {
        Ref found = checked(import_attribute(module, name));
        if (!kept) kept = found.detach();
    }
    return kept;
}

void raise(PyObject* type, const std::string& text) {
    PyErr_SetString(type, text.c_str());
    throw PythonError{};
}

static PyObject* class_of(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::Runtime: return PyExc_RuntimeError;
        case ErrorKind::Type: return PyExc_TypeError;
        case ErrorKind::Value: return PyExc_ValueError;
        case ErrorKind::Index: return PyExc_IndexError;
        case ErrorKind::NotImplemented: return PyExc_NotImplementedError;
        case ErrorKind::Linalg: return linalg_error;
        case ErrorKind::OutOfMemory: return out_of_memory_error;
        case ErrorKind::Attribute: return PyExc_AttributeError;
        case ErrorKind::ZeroDivision: return PyExc_ZeroDivisionError;
        case ErrorKind::Import: return PyExc_ImportError;
        case ErrorKind::Assertion: return PyExc_AssertionError;
    }
    return PyExc_RuntimeError;
}

// What the standard library says about a list it cannot make names its own insides.
constexpr const char* kNoMemory =
    "[enforce fail at alloc_cpu] DefaultCPUAllocator: can't allocate memory: the working memory of this call does not "
    "fit";

void set_python_error() {
    try {
        throw;
    } catch (const PythonError&) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_SystemError, "an error was raised without being set");
    } catch (const Error& e) { PyErr_SetString(class_of(e.kind), e.what()); } catch (const std::bad_alloc&) {
        PyErr_SetString(out_of_memory_error, kNoMemory);
    } catch (const std::length_error&) {
        PyErr_SetString(out_of_memory_error, kNoMemory);
    } catch (const std::exception& e) { PyErr_SetString(PyExc_RuntimeError, e.what()); }
}

void init_errors(PyObject* module) {
    out_of_memory_error = checked(PyErr_NewExceptionWithDoc("flambeau.OutOfMemoryError", "There is not enough memory.",
                                                            PyExc_RuntimeError, nullptr))
                              .detach();
    linalg_error =
        checked(PyErr_NewExceptionWithDoc("flambeau._C._LinAlgError", "A matrix cannot be decomposed or inverted.",
                                          PyExc_RuntimeError, nullptr))
            .detach();
    add_object(module, "OutOfMemoryError", Py_NewRef(out_of_memory_error));
    add_object(module, "_LinAlgError", Py_NewRef(linalg_error));
}

// ---------------------------------------------------------------- making the module
PyTypeObject* make_type(PyType_Spec& spec) {
    return reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)).detach());
}
void add_object(PyObject* module, const char* name, PyObject* stolen) {
    const Ref o = checked(stolen);
    if (PyObject_SetAttrString(module, name, o.get()) < 0) throw PythonError{};
}
void add_type(PyObject* module, const char* name, PyTypeObject* type) {
    add_object(module, name, Py_NewRef(reinterpret_cast<PyObject*>(type)));
}
void add_functions(PyObject* module, PyMethodDef* methods) {
    if (PyModule_AddFunctions(module, methods) < 0) throw PythonError{};
}

}  // namespace fb::py
