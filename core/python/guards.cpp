// What a captured program depends on beside its tensors: Python state, watched by identity.
#include <vector>
#include "python/guards.h"

namespace fb::py {
namespace {

enum class Watch : uint8_t { Dict, List, Set, Cell, Item, Type };

struct Watched {
    Watch kind;
    PyObject* object;  // these are kept alive by `refs`
    std::vector<PyObject*> keys, values;
};

struct GuardsObject {
    PyObject_HEAD PyObject* refs;  // a list: everything the watches point to
    std::vector<Watched>* watched;
};
PyTypeObject* guards_type = nullptr;
GuardsObject* as_guards(PyObject* o) { return reinterpret_cast<GuardsObject*>(o); }

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* o = type->tp_alloc(type, 0);
    if (!o) return nullptr;
    as_guards(o)->refs = PyList_New(0);
    as_guards(o)->watched = new std::vector<Watched>;
    return o;
}
int traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(as_guards(o)->refs);
    return 0;
}
int clear(PyObject* o) {
    as_guards(o)->watched->clear();
    Py_CLEAR(as_guards(o)->refs);
    return 0;
}
void destroy(PyObject* o) {
    PyObject_GC_UnTrack(o);
    delete as_guards(o)->watched;
    Py_XDECREF(as_guards(o)->refs);
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    Py_DECREF(type);
}

PyObject* keep(GuardsObject* g, PyObject* o) {
    if (PyList_Append(g->refs, o) < 0) throw PythonError{};
    return o;
}

void take_dict(GuardsObject* g, Watched& w, PyObject* dict) {
    Py_ssize_t at = 0;
    PyObject *key, *value;
    while (PyDict_Next(dict, &at, &key, &value)) {
        w.keys.push_back(keep(g, key));
        w.values.push_back(keep(g, value));
    }
}

PyObject* type_dict(PyObject* type) { return reinterpret_cast<PyTypeObject*>(type)->tp_dict; }

PyObject* watch_dict(PyObject* self, PyObject* o) {
    return guarded([&] {
        if (!PyDict_Check(o)) raise(PyExc_TypeError, "expected a dict");
        Watched w{Watch::Dict, keep(as_guards(self), o), {}, {}};
        take_dict(as_guards(self), w, o);
        as_guards(self)->watched->push_back(std::move(w));
        return none();
    });
}
PyObject* watch_type(PyObject* self, PyObject* o) {
    return guarded([&] {
        if (!PyType_Check(o) || !type_dict(o)) return none();  // a static type of the interpreter does not change
        Watched w{Watch::Type, keep(as_guards(self), o), {}, {}};
        take_dict(as_guards(self), w, type_dict(o));
        as_guards(self)->watched->push_back(std::move(w));
        return none();
    });
}
PyObject* watch_list(PyObject* self, PyObject* o) {
    return guarded([&] {
        if (!PyList_Check(o)) raise(PyExc_TypeError, "expected a list");
        Watched w{Watch::List, keep(as_guards(self), o), {}, {}};
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i)
            w.values.push_back(keep(as_guards(self), PyList_GET_ITEM(o, i)));
        as_guards(self)->watched->push_back(std::move(w));
        return none();
    });
}
PyObject* watch_set(PyObject* self, PyObject* o) {
    return guarded([&] {
        Watched w{Watch::Set, keep(as_guards(self), o), {}, {}};
        const Ref copy = checked(PyFrozenSet_New(o));
        w.values.push_back(keep(as_guards(self), copy.get()));
        as_guards(self)->watched->push_back(std::move(w));
        return none();
    });
}
PyObject* watch_cell(PyObject* self, PyObject* o) {
    return guarded([&] {
        if (!PyCell_Check(o)) raise(PyExc_TypeError, "expected a cell");
        Watched w{Watch::Cell, keep(as_guards(self), o), {}, {}};
        PyObject* v = PyCell_GET(o);
        w.values.push_back(v ? keep(as_guards(self), v) : nullptr);
        as_guards(self)->watched->push_back(std::move(w));
        return none();
    });
}
PyObject* watch_item(PyObject* self, PyObject* args) {
    return guarded([&] {
        PyObject *dict, *key;
        if (!PyArg_ParseTuple(args, "O!O", &PyDict_Type, &dict, &key)) throw PythonError{};
        Watched w{Watch::Item, keep(as_guards(self), dict), {}, {}};
        PyObject* v = PyDict_GetItemWithError(dict, key);
        w.keys.push_back(keep(as_guards(self), key));
        w.values.push_back(v ? keep(as_guards(self), v) : nullptr);
        as_guards(self)->watched->push_back(std::move(w));
        return none();
    });
}

// The key whose value is another one, or null. `found` tells whether there is any difference.
PyObject* difference(const Watched& w, bool& found) {
    found = false;
    auto differs = [&](size_t i, PyObject* now) {
        PyObject* was = w.values[i];
        found = now != was && (!now || !was || !same_value(now, was));
        return found;
    };
    switch (w.kind) {
        case Watch::Dict:
        case Watch::Type: {
            PyObject* dict = w.kind == Watch::Dict ? w.object : type_dict(w.object);
            Py_ssize_t at = 0;
            PyObject *key, *value;
            size_t i = 0;
            while (PyDict_Next(dict, &at, &key, &value)) {
                if (i == w.keys.size() || key != w.keys[i]) {
                    found = true;
                    return key;
                }
                if (differs(i, value)) return key;
                ++i;
            }
            found = i != w.keys.size();
            return found ? w.keys[i] : nullptr;
        }
        case Watch::List:
            if (size_t(PyList_GET_SIZE(w.object)) != w.values.size()) {
                found = true;
                return nullptr;
            }
            for (size_t i = 0; i < w.values.size(); ++i)
                if (differs(i, PyList_GET_ITEM(w.object, Py_ssize_t(i)))) return nullptr;
            return nullptr;
        case Watch::Set: {
            const int same = PyObject_RichCompareBool(w.object, w.values[0], Py_EQ);
            if (same < 0) PyErr_Clear();
            found = same <= 0;
            return nullptr;
        }
        case Watch::Cell: differs(0, PyCell_GET(w.object)); return nullptr;
        case Watch::Item: return differs(0, PyDict_GetItemWithError(w.object, w.keys[0])) ? w.keys[0] : nullptr;
    }
    return nullptr;
}

// None while everything is as it was, else a text that names what changed.
PyObject* changed(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        for (const Watched& w : *as_guards(self)->watched) {
            bool found;
            PyObject* key = difference(w, found);
            if (!found) continue;
            if (key) return PyUnicode_FromFormat("%S", key);
            return PyUnicode_FromString(w.kind == Watch::List  ? "an item of a list"
                                        : w.kind == Watch::Set ? "an item of a set"
                                                               : "a variable of an enclosing function");
        }
        return none();
    });
}
PyObject* count(PyObject* self, PyObject*) {
    Py_ssize_t n = 0;
    for (const Watched& w : *as_guards(self)->watched) n += 1 + Py_ssize_t(w.values.size());
    return PyLong_FromSsize_t(n);
}

PyMethodDef methods[] = {
    {"watch_dict", watch_dict, METH_O, "The keys of a dict and the identity of its values."},
    {"watch_type", watch_type, METH_O, "The attributes of a class."},
    {"watch_list", watch_list, METH_O, "The items of a list."},
    {"watch_set", watch_set, METH_O, "The items of a set."},
    {"watch_cell", watch_cell, METH_O, "A variable of an enclosing function."},
    {"watch_item", watch_item, METH_VARARGS, "One key of a dict."},
    {"changed", changed, METH_NOARGS, "The name of something that is not what it was; None if there is none."},
    {"count", count, METH_NOARGS, "How many values are watched."},
    {},
};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("Python state that a captured program depends on.")},
    {0, nullptr},
};
PyType_Spec spec = {"flambeau._C._Guards", sizeof(GuardsObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

bool same_value(PyObject* a, PyObject* b) {
    if (a == b) return true;
    if (Py_TYPE(a) != Py_TYPE(b)) return false;
    if (PyFloat_CheckExact(a)) {
        const double x = PyFloat_AS_DOUBLE(a), y = PyFloat_AS_DOUBLE(b);
        return std::memcmp(&x, &y, sizeof x) == 0;
    }
    if (PyTuple_CheckExact(a)) {
        if (PyTuple_GET_SIZE(a) != PyTuple_GET_SIZE(b)) return false;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(a); ++i)
            if (!same_value(PyTuple_GET_ITEM(a, i), PyTuple_GET_ITEM(b, i))) return false;
        return true;
    }
    if (!PyLong_CheckExact(a) && !PyUnicode_CheckExact(a) && !PyBytes_CheckExact(a) && !PyComplex_CheckExact(a) &&
        !PyMethod_Check(a))
        return false;
    const int r = PyObject_RichCompareBool(a, b, Py_EQ);
    if (r < 0) PyErr_Clear();
    return r > 0;
}

bool guards_hold(PyObject* guards) {
    for (const Watched& w : *as_guards(guards)->watched) {
        bool found;
        difference(w, found);
        if (found) return false;
    }
    return true;
}

void init_guards(PyObject* module) {
    guards_type = make_type(spec);
    add_type(module, "_Guards", guards_type);
}

}  // namespace fb::py
