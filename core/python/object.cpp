// dtype, layout, memory_format: constants that exist once each. Size: the tuple that shapes are given as.
#include "python/object.h"
#include <string>
#include "python/helpers.h"

namespace fb::py {
PyObject* package_name() {
    const Ref package(PyImport_ImportModule("flambeau"));
    return package ? PyObject_GetAttrString(package.get(), "__name__") : nullptr;
}

namespace {

// ---------------------------------------------------------------- constants
struct Constant {
    PyObject_HEAD uint8_t value;
    const char* name;  // the attribute of the package it is found under
};

PyTypeObject *dtype_type, *layout_type, *format_type;
PyObject* dtypes[kDTypeLimit];
// Types that PyTorch names and the core has no numbers of: their objects exist so that programs can compare with them.
struct NameOnly {
    const char* name;
    uint8_t size;
    bool is_float;
};
constexpr NameOnly kNameOnly[] = {
    {"bits8", 1, false},    {"bits16", 2, false}, {"bits1x8", 1, false}, {"bits2x4", 1, false}, {"bits4x2", 1, false},
    {"bit", 1, false},      {"qint8", 1, false},  {"quint8", 1, false},  {"qint32", 4, false},  {"quint4x2", 1, false},
    {"quint2x4", 1, false}, {"int1", 1, false},   {"int2", 1, false},    {"int3", 1, false},    {"int4", 1, false},
    {"int5", 1, false},     {"int6", 1, false},   {"int7", 1, false},    {"uint1", 1, false},   {"uint2", 1, false},
    {"uint3", 1, false},    {"uint4", 1, false},  {"uint5", 1, false},   {"uint6", 1, false},   {"uint7", 1, false},
};
constexpr uint8_t kFirstNameOnly = 100;
PyObject* layouts[7];
PyObject* formats[4];

const Constant& constant(PyObject* o) { return *reinterpret_cast<Constant*>(o); }
DType dtype_of_object(PyObject* o) { return DType(constant(o).value); }
const NameOnly* name_only(PyObject* o) {
    return constant(o).value >= kFirstNameOnly ? &kNameOnly[constant(o).value - kFirstNameOnly] : nullptr;
}

PyObject* constant_repr(PyObject* o) { return PyUnicode_FromFormat("torch.%s", constant(o).name); }
PyObject* constant_reduce(PyObject* o, PyObject*) { return PyUnicode_FromString(constant(o).name); }
PyObject* constant_same(PyObject* o, PyObject*) { return Py_NewRef(o); }
PyObject* constant_module(PyObject*, void*) { return package_name(); }

PyObject* make_constant(PyTypeObject* type, uint8_t value, const char* name) {
    Constant* c = PyObject_New(Constant, type);
    if (!c) throw PythonError{};
    c->value = value;
    c->name = name;
    return reinterpret_cast<PyObject*>(c);
}

PyObject* dtype_is_floating_point(PyObject* o, void*) {
    if (const NameOnly* n = name_only(o)) return PyBool_FromLong(n->is_float);
    return PyBool_FromLong(is_floating(dtype_of_object(o)));
}
PyObject* dtype_is_complex(PyObject* o, void*) { return PyBool_FromLong(is_complex(dtype_of_object(o))); }
// float8_e5m2 is f8e5m2, int64 i64; integers of less than a byte and quantized ones keep their names.
PyObject* dtype_abbr(PyObject* o, void*) {
    std::string name = constant(o).name;
    static constexpr std::pair<std::string_view, const char*> starts[] = {
        {"bfloat", "bf"}, {"float", "f"}, {"complex", "c"}, {"bits", "b"}, {"uint", "u"}, {"int", "i"}};
    if (name == "bool") return PyUnicode_FromString("b8");
    for (const auto& [start, letter] : starts) {
        if (!name.starts_with(start)) continue;
        const std::string_view rest = std::string_view(name).substr(start.size());
        const bool whole_bytes = rest.size() > 1 || rest == "8" || start == "bits";
        if (!whole_bytes) break;
        const bool lone_bits = start == "bits" && rest.find('x') == rest.npos;
        name = str(letter, rest, lone_bits ? "x1" : "");
        std::erase(name, '_');
        break;
    }
    return PyUnicode_FromString(name.c_str());
}
PyObject* dtype_is_signed(PyObject* o, void*) {
    const DType t = dtype_of_object(o);
    return PyBool_FromLong(!(t == DType::u8 || t == DType::u16 || t == DType::u32 || t == DType::u64 ||
                             t == DType::b1 || t == DType::f8e8m0));
}
PyObject* dtype_itemsize(PyObject* o, void*) {
    if (const NameOnly* n = name_only(o)) return PyLong_FromLong(n->size);
    return PyLong_FromSize_t(itemsize(dtype_of_object(o)));
}
PyObject* dtype_to_real(PyObject* o, PyObject*) {
    return name_only(o) ? Py_NewRef(o) : wrap(to_real(dtype_of_object(o)));
}
PyObject* dtype_to_complex(PyObject* o, PyObject*) {
    return guarded([&] {
        if (const NameOnly* n = name_only(o)) fail(ErrorKind::Runtime, "Unknown Complex ScalarType for ", n->name);
        const DType t = dtype_of_object(o);
        if ((!is_floating(t) && !is_complex(t)) || is_float8(t))
            fail(ErrorKind::Runtime, "Unknown Complex ScalarType for ", t);
        return wrap(to_complex(t));
    });
}

PyMethodDef dtype_methods[] = {
    {"__reduce__", constant_reduce, METH_NOARGS, nullptr},
    {"__copy__", constant_same, METH_NOARGS, nullptr},
    {"__deepcopy__", constant_same, METH_O, nullptr},
    {"to_real", dtype_to_real, METH_NOARGS, "The real type of the same precision."},
    {"to_complex", dtype_to_complex, METH_NOARGS, "The complex type of the same precision."},
    {},
};
PyGetSetDef dtype_getset[] = {
    {"is_floating_point", dtype_is_floating_point, nullptr, nullptr, nullptr},
    {"is_complex", dtype_is_complex, nullptr, nullptr, nullptr},
    {"is_signed", dtype_is_signed, nullptr, nullptr, nullptr},
    {"itemsize", dtype_itemsize, nullptr, nullptr, nullptr},
    {"abbr", dtype_abbr, nullptr, "The short name, such as f32.", nullptr},
    {"__module__", constant_module, nullptr, nullptr, nullptr},
    {},
};
PyMethodDef constant_methods[] = {
    {"__reduce__", constant_reduce, METH_NOARGS, nullptr},
    {"__copy__", constant_same, METH_NOARGS, nullptr},
    {"__deepcopy__", constant_same, METH_O, nullptr},
    {},
};
PyGetSetDef constant_getset[] = {{"__module__", constant_module, nullptr, nullptr, nullptr}, {}};

PyTypeObject* constant_type(const char* name, PyMethodDef* methods, PyGetSetDef* getset) {
    PyType_Slot slots[] = {
        {Py_tp_repr, reinterpret_cast<void*>(constant_repr)},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {0, nullptr},
    };
    PyType_Spec spec{name, sizeof(Constant), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return make_type(spec);
}

void add_constant(PyObject* module, PyObject* c, std::initializer_list<const char*> names) {
    for (const char* n : names) add_object(module, n, Py_NewRef(c));
}

void init_constants(PyObject* module) {
    dtype_type = constant_type("flambeau.dtype", dtype_methods, dtype_getset);
    layout_type = constant_type("flambeau.layout", constant_methods, constant_getset);
    format_type = constant_type("flambeau.memory_format", constant_methods, constant_getset);
    add_type(module, "dtype", dtype_type);
    add_type(module, "layout", layout_type);
    add_type(module, "memory_format", format_type);

    constexpr DType all[] = {DType::u8,      DType::i8,      DType::i16,    DType::i32, DType::i64,    DType::f16,
                             DType::f32,     DType::f64,     DType::c32,    DType::c64, DType::c128,   DType::b1,
                             DType::bf16,    DType::u16,     DType::u32,    DType::u64, DType::f8e5m2, DType::f8e4m3,
                             DType::f8e5m2z, DType::f8e4m3z, DType::f8e8m0, DType::f4x2};
    for (DType t : all) {
        PyObject* o = dtypes[int(t)] = make_constant(dtype_type, uint8_t(t), name(t));
        add_constant(module, o, {name(t)});
    }
    for (uint8_t i = 0; i < std::size(kNameOnly); ++i)
        add_constant(module, make_constant(dtype_type, uint8_t(kFirstNameOnly + i), kNameOnly[i].name),
                     {kNameOnly[i].name});
    const std::pair<DType, const char*> second_names[] = {
        {DType::f32, "float"}, {DType::f64, "double"}, {DType::f16, "half"},
        {DType::i16, "short"}, {DType::i32, "int"},    {DType::i64, "long"},
        {DType::c32, "chalf"}, {DType::c64, "cfloat"}, {DType::c128, "cdouble"}};
    for (auto [t, n] : second_names) add_constant(module, dtypes[int(t)], {n});

    const char* layout_names[] = {"strided",    "sparse_coo", "sparse_csr", "sparse_csc",
                                  "sparse_bsr", "sparse_bsc", "jagged"};
    const char* format_names[] = {"contiguous_format", "preserve_format", "channels_last", "channels_last_3d"};
    for (int i = 0; i < 7; ++i) {
        layouts[i] = make_constant(layout_type, uint8_t(i), layout_names[i]);
        add_constant(module, layouts[i], {layout_names[i]});
    }
    for (int i = 0; i < 4; ++i) {
        formats[i] = make_constant(format_type, uint8_t(i), format_names[i]);
        add_constant(module, formats[i], {format_names[i]});
    }
}

// ---------------------------------------------------------------- Size
PyTypeObject* size_type;

PyObject* to_size(PyObject* tuple) {  // takes the reference over
    if (!tuple || !PyTuple_CheckExact(tuple)) return tuple;
    const Ref old(tuple);
    const Py_ssize_t n = PyTuple_GET_SIZE(tuple);
    PyObject* s = size_type->tp_alloc(size_type, n);
    if (!s) return nullptr;
    for (Py_ssize_t i = 0; i < n; ++i) PyTuple_SET_ITEM(s, i, Py_NewRef(PyTuple_GET_ITEM(tuple, i)));
    return s;
}

PyObject* size_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    Ref self(PyTuple_Type.tp_new(type, args, kwargs));
    if (!self) return nullptr;
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self.get()); ++i) {
        PyObject* item = PyTuple_GET_ITEM(self.get(), i);
        if (PyLong_Check(item)) continue;
        int64_t v;
        PyObject* number = nullptr;
        if (PyIndex_Check(item)) number = PyNumber_Index(item);
        else if (guarded([&] { return to_int(item, v); }, false)) number = PyLong_FromLongLong(v);
        if (!number) {
            if (PyErr_Occurred() && !PyErr_ExceptionMatches(PyExc_TypeError)) return nullptr;
            PyErr_Clear();
            return PyErr_Format(PyExc_TypeError, "torch.Size() takes an iterable of 'int' (item %zd is '%s')", i,
                                type_name(item).c_str());
        }
        PyTuple_SET_ITEM(self.get(), i, number);
        Py_DECREF(item);
    }
    return self.detach();
}

PyObject* size_repr(PyObject* self) {
    std::string s = "torch.Size([";
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(self); ++i) {
        const Ref text(PyObject_Str(PyTuple_GET_ITEM(self, i)));
        if (!text) return nullptr;
        if (i) s += ", ";
        s += PyUnicode_AsUTF8(text.get());
    }
    s += "])";
    return PyUnicode_FromString(s.c_str());
}
PyObject* size_concat(PyObject* a, PyObject* b) {
    if (!PyTuple_Check(a) || !PyTuple_Check(b))
        return PyErr_Format(PyExc_TypeError, "can only concatenate tuple (not %s) to torch.Size",
                            type_name(PyTuple_Check(a) ? b : a).c_str());
    return to_size(PyTuple_Type.tp_as_sequence->sq_concat(a, b));
}
PyObject* size_add(PyObject* a, PyObject* b) {  // also tuple + Size, which would be a plain tuple by sq_concat
    if (!PyTuple_Check(a) || !PyTuple_Check(b)) Py_RETURN_NOTIMPLEMENTED;
    return size_concat(a, b);
}
PyObject* size_repeat(PyObject* a, Py_ssize_t n) { return to_size(PyTuple_Type.tp_as_sequence->sq_repeat(a, n)); }
PyObject* size_subscript(PyObject* a, PyObject* key) {
    PyObject* r = PyTuple_Type.tp_as_mapping->mp_subscript(a, key);
    return PySlice_Check(key) ? to_size(r) : r;
}
PyObject* size_numel(PyObject* self, PyObject*) {
    Ref n(PyLong_FromLong(1));
    for (Py_ssize_t i = 0; n && i < PyTuple_GET_SIZE(self); ++i)
        n = Ref(PyNumber_Multiply(n.get(), PyTuple_GET_ITEM(self, i)));
    return n.detach();
}
PyObject* size_reduce(PyObject* self, PyObject*) {
    const Ref plain(PyTuple_GetSlice(self, 0, PyTuple_GET_SIZE(self)));
    if (!plain) return nullptr;
    return Py_BuildValue("O(O)", size_type, plain.get());
}

PyMethodDef size_methods[] = {
    {"numel", size_numel, METH_NOARGS, "The number of elements of a tensor of this size."},
    {"__reduce__", size_reduce, METH_NOARGS, nullptr},
    {},
};

void init_size(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_base, &PyTuple_Type},
        {Py_tp_new, reinterpret_cast<void*>(size_new)},
        {Py_tp_repr, reinterpret_cast<void*>(size_repr)},
        {Py_tp_methods, size_methods},
        {Py_nb_add, reinterpret_cast<void*>(size_add)},
        {Py_sq_concat, reinterpret_cast<void*>(size_concat)},
        {Py_sq_repeat, reinterpret_cast<void*>(size_repeat)},
        {Py_mp_subscript, reinterpret_cast<void*>(size_subscript)},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau.Size", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    size_type = make_type(spec);
    add_type(module, "Size", size_type);
}

}  // namespace

PyObject* wrap(DType t) {
    PyObject* o = int(t) < kDTypeLimit ? dtypes[int(t)] : nullptr;
    return Py_NewRef(o ? o : Py_None);
}
PyObject* wrap(Layout l) { return Py_NewRef(layouts[int(l)]); }
PyObject* wrap(MemoryFormat f) { return Py_NewRef(formats[int(f)]); }

PyObject* wrap_size(IntSpan sizes) {
    PyObject* s = size_type->tp_alloc(size_type, Py_ssize_t(sizes.size()));
    if (!s) return nullptr;
    for (size_t i = 0; i < sizes.size(); ++i) {
        PyObject* v = PyLong_FromLongLong(sizes[i]);
        if (!v) {
            Py_DECREF(s);
            return nullptr;
        }
        PyTuple_SET_ITEM(s, Py_ssize_t(i), v);
    }
    return s;
}

bool to_dtype(PyObject* o, DType& out) {
    if (Py_TYPE(o) == dtype_type) {
        if (const NameOnly* n = name_only(o))
            fail(ErrorKind::NotImplemented, "flambeau has no tensors of torch.", n->name, " yet");
        out = dtype_of_object(o);
        return true;
    }
    if (o == reinterpret_cast<PyObject*>(&PyFloat_Type)) {
        out = DType::f64;
        return true;
    }
    if (o == reinterpret_cast<PyObject*>(&PyLong_Type)) {
        out = DType::i64;
        return true;
    }
    if (o == reinterpret_cast<PyObject*>(&PyBool_Type)) {
        out = DType::b1;
        return true;
    }
    if (o == reinterpret_cast<PyObject*>(&PyComplex_Type)) {
        out = DType::c128;
        return true;
    }
    return false;
}
bool to_layout(PyObject* o, Layout& out) {
    if (Py_TYPE(o) != layout_type) return false;
    if (constant(o).value > uint8_t(Layout::SparseCsc))
        fail(ErrorKind::NotImplemented, "flambeau has no tensors of layout torch.", constant(o).name, " yet");
    out = Layout(constant(o).value);
    return true;
}
bool to_format(PyObject* o, MemoryFormat& out) {
    if (Py_TYPE(o) != format_type) return false;
    out = MemoryFormat(constant(o).value);
    return true;
}

void init_objects(PyObject* module) {
    init_constants(module);
    init_size(module);
    init_device(module);
    init_errors(module);
}

}  // namespace fb::py
