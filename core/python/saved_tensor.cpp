// What a node kept, as Python looks at it: `_raw_saved_self` of a node, `_raw_saved_tensors` of a Function's.
#include "python/node.h"

namespace fb::py {
namespace {

struct SavedObject {
    PyObject_HEAD PyObject* owner;  // the node's object, or the ctx of a Function: it keeps what is saved alive
    size_t index;                   // kNothing: an argument that was not kept
};
PyTypeObject* saved_type;
constexpr size_t kNothing = size_t(-1);

void saved_dealloc(PyObject* self) {
    Py_CLEAR(reinterpret_cast<SavedObject*>(self)->owner);
    PyTypeObject* type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

struct Place {
    SavedTensor* saved = nullptr;  // null: nothing was kept, or it was let go
    Node* node = nullptr;
    bool is_result = false, released = false;
};
Place place_of(PyObject* self) {
    auto* o = reinterpret_cast<SavedObject*>(self);
    Place p;
    if (is_node(o->owner)) {
        const Ptr<Node> node = unwrap_core_node(o->owner);
        auto* op = dynamic_cast<OpNode*>(node.get());
        p.node = node.get();
        p.released = op->released;
        if (o->index < op->saved.size() && !op->released) {
            p.saved = &op->saved[o->index];
            p.is_result = op->saved_slot[o->index] >= 32;
        }
        return p;
    }
    p.saved = o->index == kNothing ? nullptr : saved_in_ctx(o->owner, o->index, p.node, p.released);
    return p;
}

const char* kFreed =
    "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph are "
    "freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward through "
    "the graph a second time or if you need to access saved variables after calling backward.";

PyObject* saved_register_hooks(PyObject* self, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject *pack, *unpack;
        if (!PyArg_ParseTuple(args, "OO:register_hooks", &pack, &unpack)) return nullptr;
        if (!PyCallable_Check(pack) || !PyCallable_Check(unpack))
            raise(PyExc_TypeError, "register_hooks(): incompatible function arguments; give two callables");
        const Place p = place_of(self);
        if (p.released) fail(ErrorKind::Runtime, kFreed);
        if (!p.saved || !p.saved->defined())
            fail(ErrorKind::Runtime, "Calling register_hooks on a saved tensor with value None is forbidden");
        *p.saved = packed_by(pack, unpack, p.saved->unpack(p.node, p.node ? p.node->name() : ""), p.is_result);
        return none();
    });
}
PyObject* saved_unpack(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        const Place p = place_of(self);
        if (p.released) fail(ErrorKind::Runtime, kFreed);
        return p.saved ? wrap(p.saved->unpack(p.node, p.node ? p.node->name() : "")) : none();
    });
}
PyMethodDef methods[] = {
    {"register_hooks", saved_register_hooks, METH_VARARGS,
     "Packs the saved tensor with one function and unpacks it with the other."},
    {"unpack", saved_unpack, METH_NOARGS, "The tensor."},
    {},
};

}  // namespace

PyObject* saved_object(PyObject* owner, std::optional<size_t> index) {
    SavedObject* o = PyObject_New(SavedObject, saved_type);
    if (!o) throw PythonError{};
    o->owner = Py_NewRef(owner);
    o->index = index.value_or(kNothing);
    return reinterpret_cast<PyObject*>(o);
}

PyObject* input_metadata(const Node& n) {
    static PyObject* kept = nullptr;
    PyObject* const type = kept_attribute(kept, "flambeau.autograd.graph", "_InputMetadata");
    auto entry = [&](DType dtype, IntSpan sizes, Device device) {
        const Ref t = checked(wrap(dtype)), s = checked(wrap_size(sizes)), d = checked(wrap(device));
        return checked(PyObject_CallFunctionObjArgs(type, t.get(), s.get(), d.get(), nullptr));
    };
    auto* leaf = dynamic_cast<const AccumulateGrad*>(&n);
    const size_t count = leaf ? 1 : n.results.size();
    Ref all = checked(PyTuple_New(Py_ssize_t(count)));
    for (size_t i = 0; i < count; ++i) {
        Ref one = leaf ? entry(leaf->variable.dtype(), leaf->variable.sizes(), leaf->variable.device())
                       : entry(n.results[i].dtype, n.results[i].sizes, n.results[i].device);
        PyTuple_SET_ITEM(all.get(), Py_ssize_t(i), one.detach());
    }
    return all.detach();
}

void init_saved_tensors(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(saved_dealloc)}, {Py_tp_methods, methods}, {0, nullptr}};
    PyType_Spec spec{"flambeau._C.SavedTensor", sizeof(SavedObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    saved_type = make_type(spec);
    add_type(module, "SavedTensor", saved_type);
}

}  // namespace fb::py
