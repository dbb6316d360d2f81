// The type flambeau.Tensor: one Python object for one tensor, as long as either has something to remember.
//
// The object owns the tensor; the tensor knows its object (`TensorImpl::object`) without owning it. When Python drops
// the object while C++ still holds the tensor, a plain object is simply forgotten: a new one can be made at any time.
// One that carries state (a subclass, attributes, weak references) changes sides instead: from then on the tensor owns
// the object.
#include "autograd/node.h"
#include "python/operators.h"
#include "python/tensor_object.h"
#include <cstddef>
#include <set>
#include <string>

namespace fb::py {

PyTypeObject* tensor_type = nullptr;

namespace {

PyTypeObject* meta_type;

constexpr int kMostFree = 512;
TensorObject* free_objects[kMostFree];
int free_count = 0;

TensorObject* allocate_plain() {
    if (free_count) {
        TensorObject* o = free_objects[--free_count];
        PyObject_Init(reinterpret_cast<PyObject*>(o), tensor_type);
        return o;
    }
    TensorObject* o = PyObject_GC_New(TensorObject, tensor_type);
    if (!o) throw PythonError{};
    o->dict = o->weakrefs = nullptr;
    o->asked = false;
    return o;
}

void connect(PyObject* o, Tensor t) {
    t->object = o;
    as_tensor_object(o)->impl = t.Ptr<TensorImpl>::detach();
}

// Called by the core when a tensor that owns its object dies.
void drop_object(TensorImpl* t) {
    if (!Py_IsInitialized()) return;
    const PyGILState_STATE state = PyGILState_Ensure();
    auto* o = static_cast<PyObject*>(t->object);
    t->object = nullptr;
    t->retain();  // it is being destroyed: temporary owners below must not come to that end again
    t->retain();
    // Finalizers and weak references may still reach the object: it gets a tensor of its own.
    Tensor last = shallow_copy(Tensor(t), true);
    last->requires_grad = t->requires_grad;
    connect(o, std::move(last));
    Py_DECREF(o);
    PyGILState_Release(state);
}

// ---------------------------------------------------------------- destruction
bool has_state(PyObject* o) {
    return Py_TYPE(o) != tensor_type || as_tensor_object(o)->dict || as_tensor_object(o)->weakrefs;
}

void clear_slots(PyObject* self, PyTypeObject* type) {  // __slots__ of Python subclasses
    for (; type && type != tensor_type; type = type->tp_base) {
        if (!type->tp_base || type->tp_basicsize == type->tp_base->tp_basicsize || !type->tp_members) continue;
        for (PyMemberDef* m = type->tp_members; m->name; ++m) {
            if (m->type != T_OBJECT_EX || (m->flags & READONLY)) continue;
            auto** slot = reinterpret_cast<PyObject**>(reinterpret_cast<char*>(self) + m->offset);
            Py_CLEAR(*slot);
        }
    }
}

void tensor_dealloc(PyObject* self) {
    TensorObject* o = as_tensor_object(self);
    PyTypeObject* type = Py_TYPE(self);
    if (o->impl && o->impl->use_count() > 1 && has_state(self)) {
        TensorImpl* t = o->impl;
        Py_SET_REFCNT(self, 1);  // the tensor's
        t->owns_object = true;
        const Tensor released = Tensor::adopt(t);
        return;
    }
    if (type != tensor_type) {
        if (PyObject_CallFinalizerFromDealloc(self) < 0) return;
        if (type->tp_del) {
            Py_SET_REFCNT(self, 1);
            type->tp_del(self);
            Py_SET_REFCNT(self, Py_REFCNT(self) - 1);
            if (Py_REFCNT(self) > 0) return;
        }
    }
    if (PyObject_GC_IsTracked(self)) PyObject_GC_UnTrack(self);
    if (o->weakrefs) PyObject_ClearWeakRefs(self);
    Py_CLEAR(o->dict);
    if (type != tensor_type) clear_slots(self, type);
    if (o->asked) subclass_gone();
    if (TensorImpl* t = o->impl) {
        o->impl = nullptr;
        t->object = nullptr;
        const Tensor released = Tensor::adopt(t);
    }
    if (type == tensor_type && free_count < kMostFree) free_objects[free_count++] = o;
    else PyObject_GC_Del(self);
    Py_DECREF(type);
}

int tensor_traverse(PyObject* self, visitproc visit, void* arg) {
    TensorObject* o = as_tensor_object(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(o->dict);
    for (PyTypeObject* type = Py_TYPE(self); type && type != tensor_type; type = type->tp_base) {
        if (!type->tp_base || type->tp_basicsize == type->tp_base->tp_basicsize || !type->tp_members) continue;
        for (PyMemberDef* m = type->tp_members; m->name; ++m)
            if (m->type == T_OBJECT_EX)
                Py_VISIT(*reinterpret_cast<PyObject**>(reinterpret_cast<char*>(self) + m->offset));
    }
    // Only what nobody but this object keeps alive may be counted as reachable from here.
    if (o->impl && !o->impl->owns_object && o->impl->use_count() == 1) return visit_autograd(*o->impl, visit, arg);
    return 0;
}

int tensor_clear(PyObject* self) {
    TensorObject* o = as_tensor_object(self);
    Py_CLEAR(o->dict);
    if (o->impl && !o->impl->owns_object && o->impl->use_count() == 1) clear_autograd(*o->impl);
    return 0;
}

// ---------------------------------------------------------------- attributes
int tensor_setattro(PyObject* self, PyObject* name, PyObject* value) {
    const int r = PyObject_GenericSetAttr(self, name, value);
    if (r == 0 && as_tensor_object(self)->dict) track(self);
    return r;
}
Py_hash_t tensor_hash(PyObject* self) { return Py_hash_t(reinterpret_cast<size_t>(self)); }  // id(self)
PyObject* get_dict(PyObject* self, void*) {
    track(self);
    return PyObject_GenericGetDict(self, nullptr);
}

// ---------------------------------------------------------------- creation
PyObject* tensor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    return guarded([&] {
        Tensor t = legacy_tensor(args, kwargs, default_dtype());
        if (t->object) t = t.detach();
        return type == tensor_type ? wrap(std::move(t)) : wrap_as(std::move(t), type);
    });
}

PyObject* meta_new(PyTypeObject* meta, PyObject* args, PyObject* kwargs) {
    PyObject* type = PyType_Type.tp_new(meta, args, kwargs);
    // Python would give subclasses its own deallocator, which knows nothing of changing sides.
    if (type) reinterpret_cast<PyTypeObject*>(type)->tp_dealloc = tensor_dealloc;
    return type;
}

PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(TensorObject, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(TensorObject, weakrefs), READONLY, nullptr},
    {},
};

std::vector<PyGetSetDef>& all_properties() {
    static auto* v = new std::vector<PyGetSetDef>;
    return *v;
}

}  // namespace

void track(PyObject* tensor) {
    if (!PyObject_GC_IsTracked(tensor)) PyObject_GC_Track(tensor);
}

// A result that looks into a tensor which nobody else holds and nobody can reach is no view to the user.
static void forget_base(const Tensor& t) {
    const TensorImpl* base = t->base.get();
    if (!base || base->object || base->use_count() != 1 || (base->requires_grad && !base->grad_fn)) return;
    if (base->needs_grad()) (void)grad_fn(t);  // its history, while the base can tell it
    t->base = Ptr<TensorImpl>();
}

static PyObject* without_hidden_base(PyObject*, PyObject* o) {
    return guarded([&] {
        if (is_tensor(o) && Py_REFCNT(o) == 1) forget_base(unwrap(o));  // just made, not an argument
        return Py_NewRef(o);
    });
}

static PyObject* next_node_number(PyObject*, PyObject*) { return PyLong_FromUnsignedLongLong(next_node()); }

static PyObject* show_results_as(PyObject*, PyObject* args) {
    return guarded([&] {
        PyObject* results;
        const char* name;
        unsigned long long since;
        if (!PyArg_ParseTuple(args, "OsK", &results, &name, &since)) throw PythonError{};
        static std::set<std::string> names;  // kept as long as the nodes; the interpreter's lock guards it
        const char* kept = names.insert(name).first->c_str();
        if (is_tensor(results)) show_as(unwrap(results), kept, since);
        if (PyTuple_Check(results) || PyList_Check(results)) {
            const Ref fast = checked(PySequence_Fast(results, ""));
            for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(fast.get()); ++i) {
                PyObject* o = PySequence_Fast_GET_ITEM(fast.get(), i);
                if (is_tensor(o)) show_as(unwrap(o), kept, since);
            }
        }
        return Py_NewRef(results);
    });
}

PyObject* wrap(Tensor t) {
    if (!t.defined()) return none();
    TensorImpl* i = t.get();
    if (i->object) {
        auto* o = static_cast<PyObject*>(i->object);
        if (!i->owns_object) return Py_NewRef(o);
        i->owns_object = false;  // back to Python: the tensor's reference to the object becomes the caller's
        as_tensor_object(o)->impl = t.Ptr<TensorImpl>::detach();
        return o;
    }
    // What inference mode makes is marked when Python first sees it; views of older tensors stay what they were.
    if (tls.inference && !i->base && i->storage->use_count() == 1) i->inference = true;
    TensorObject* o = allocate_plain();
    connect(reinterpret_cast<PyObject*>(o), std::move(t));
    return reinterpret_cast<PyObject*>(o);
}

PyObject* wrap_as(Tensor t, PyTypeObject* type) {
    if (type == tensor_type) return wrap(std::move(t));
    check(!t->object, "this tensor already has a Python object of type ",
          t->object ? Py_TYPE(static_cast<PyObject*>(t->object))->tp_name : "");
    PyObject* o = checked(type->tp_alloc(type, 0)).detach();
    connect(o, std::move(t));
    return o;
}

bool is_tensor(PyObject* o) { return Py_TYPE(o) == tensor_type || PyType_IsSubtype(Py_TYPE(o), tensor_type); }

const Tensor& unwrap(PyObject* o) {
    static_assert(sizeof(Tensor) == sizeof(TensorImpl*));
    return *reinterpret_cast<const Tensor*>(&as_tensor_object(o)->impl);
}

void init_tensor_type(PyObject* module) {
    TensorImpl::drop_object = drop_object;

    PyType_Slot meta_slots[] = {
        {Py_tp_base, &PyType_Type},
        {Py_tp_new, reinterpret_cast<void*>(meta_new)},
        {0, nullptr},
    };
    PyType_Spec meta_spec{"flambeau._C._TensorMeta", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, meta_slots};
    meta_type = make_type(meta_spec);

    auto& properties = all_properties();
    for (PyGetSetDef* g = tensor_getset; g->name; ++g) properties.push_back(*g);
    properties.push_back({"__dict__", get_dict, PyObject_GenericSetDict, nullptr, nullptr});
    properties.push_back({});
    const PyNumberMethods& n = tensor_numbers;
    auto p = [](auto f) { return reinterpret_cast<void*>(f); };
    PyType_Slot slots[] = {
        {Py_tp_new, p(tensor_new)},
        {Py_tp_dealloc, p(tensor_dealloc)},
        {Py_tp_traverse, p(tensor_traverse)},
        {Py_tp_clear, p(tensor_clear)},
        {Py_tp_setattro, p(tensor_setattro)},
        {Py_tp_richcompare, p(tensor_compare)},
        {Py_tp_hash, p(tensor_hash)},
        {Py_tp_members, members},
        {Py_tp_getset, properties.data()},
        {Py_tp_methods, tensor_methods},
        {Py_mp_length, p(tensor_length)},
        {Py_mp_subscript, p(tensor_subscript)},
        {Py_mp_ass_subscript, p(tensor_assign_subscript)},
        {Py_nb_add, p(n.nb_add)},
        {Py_nb_subtract, p(n.nb_subtract)},
        {Py_nb_multiply, p(n.nb_multiply)},
        {Py_nb_true_divide, p(n.nb_true_divide)},
        {Py_nb_floor_divide, p(n.nb_floor_divide)},
        {Py_nb_remainder, p(n.nb_remainder)},
        {Py_nb_power, p(n.nb_power)},
        {Py_nb_matrix_multiply, p(n.nb_matrix_multiply)},
        {Py_nb_negative, p(n.nb_negative)},
        {Py_nb_positive, p(n.nb_positive)},
        {Py_nb_absolute, p(n.nb_absolute)},
        {Py_nb_invert, p(n.nb_invert)},
        {Py_nb_bool, p(n.nb_bool)},
        {Py_nb_int, p(n.nb_int)},
        {Py_nb_float, p(n.nb_float)},
        {Py_nb_index, p(n.nb_index)},
        {Py_nb_and, p(n.nb_and)},
        {Py_nb_or, p(n.nb_or)},
        {Py_nb_xor, p(n.nb_xor)},
        {Py_nb_lshift, p(n.nb_lshift)},
        {Py_nb_rshift, p(n.nb_rshift)},
        {Py_nb_inplace_add, p(n.nb_inplace_add)},
        {Py_nb_inplace_subtract, p(n.nb_inplace_subtract)},
        {Py_nb_inplace_multiply, p(n.nb_inplace_multiply)},
        {Py_nb_inplace_true_divide, p(n.nb_inplace_true_divide)},
        {Py_nb_inplace_floor_divide, p(n.nb_inplace_floor_divide)},
        {Py_nb_inplace_remainder, p(n.nb_inplace_remainder)},
        {Py_nb_inplace_power, p(n.nb_inplace_power)},
        {Py_nb_inplace_and, p(n.nb_inplace_and)},
        {Py_nb_inplace_or, p(n.nb_inplace_or)},
        {Py_nb_inplace_xor, p(n.nb_inplace_xor)},
        {Py_nb_inplace_lshift, p(n.nb_inplace_lshift)},
        {Py_nb_inplace_rshift, p(n.nb_inplace_rshift)},
        {Py_bf_getbuffer, p(tensor_get_buffer)},
        {Py_bf_releasebuffer, p(tensor_release_buffer)},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau.Tensor", sizeof(TensorObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
    tensor_type = make_type(spec);
    tensor_type->tp_name = "Tensor";  // what the interpreter's own messages say
    Py_INCREF(meta_type);
    Py_SET_TYPE(tensor_type, meta_type);
    add_type(module, "Tensor", tensor_type);
    add_type(module, "TensorBase", tensor_type);
    add_type(module, "_TensorMeta", meta_type);
    static PyMethodDef functions[] = {
        {"_without_hidden_base", without_hidden_base, METH_O,
         "The argument; a view of what nobody else holds is none any more."},
        {"_next_node", next_node_number, METH_NOARGS, "The number of the next node of the graph."},
        {"_show_as", show_results_as, METH_VARARGS,
         "_show_as(results, name, since): the results; their nodes, where made since, go by that name."},
        {},
    };
    add_functions(module, functions);
}

}  // namespace fb::py
