// Nodes of the graph: AddBackward0, AccumulateGrad, … each name a type of its own, as PyTorch prints them.
#include "autograd/node_name.h"
#include "base/shown_type.h"
#include "python/node.h"
#include <unordered_map>
#include "python/function.h"

namespace fb::py {
namespace {

struct NodeObject {
    PyObject_HEAD Node* node;  // owned
    PyObject* dict;
    PyObject* metadata;
};
PyTypeObject* node_base;
PyObject* functions_module;

Node& node_of(PyObject* o) { return *reinterpret_cast<NodeObject*>(o)->node; }

void node_dealloc(PyObject* self) {
    auto* o = reinterpret_cast<NodeObject*>(self);
    if (o->node) {
        o->node->object = nullptr;
        destroy_node(o->node);
    }
    Py_CLEAR(o->dict);
    Py_CLEAR(o->metadata);
    PyTypeObject* type = Py_TYPE(self);
    PyObject_Free(self);
    Py_DECREF(type);
}

PyObject* node_name(PyObject* self, PyObject*) {
    const std::string name = node_name(node_of(self));
    for (const char* own : {"AccumulateGrad", "CopySlices", "CopyBackwards", "NotImplemented"})
        if (name == own) return PyUnicode_FromString(("torch::autograd::" + name).c_str());
    return PyUnicode_FromString(name.c_str());
}
PyObject* node_repr(PyObject* self) {
    return PyUnicode_FromFormat("<%s object at %p>", node_name(node_of(self)).c_str(), static_cast<void*>(self));
}
PyObject* node_next(PyObject* self, void*) {
    return guarded([&] { return next_functions(node_of(self)); });
}
PyObject* node_metadata(PyObject* self, void*) {
    auto* o = reinterpret_cast<NodeObject*>(self);
    if (!o->metadata) o->metadata = PyDict_New();
    return Py_XNewRef(o->metadata);
}
PyObject* node_requires_grad(PyObject*, void*) { return PyBool_FromLong(true); }
PyObject* node_register_hook(PyObject* self, PyObject* f) {
    return guarded([&] { return register_node_hook(node_of(self), f, HookKind::Post); });
}
PyObject* node_register_prehook(PyObject* self, PyObject* f) {
    return guarded([&] { return register_node_hook(node_of(self), f, HookKind::Pre); });
}
PyObject* node_sequence(PyObject* self, PyObject*) { return PyLong_FromUnsignedLongLong(node_of(self).sequence); }
PyObject* node_call(PyObject* self, PyObject* args, PyObject*) {
    return guarded([&] {
        Grads in;
        read_grads(args, in, "Node.__call__");
        const size_t expected = std::max<size_t>(1, node_of(self).results.size());
        if (in.size() != expected)
            raise(PyExc_TypeError, str("expected ", expected, " arguments, got ", in.size(), " instead"));
        const Grads out = node_of(self).apply(std::move(in));
        Ref t = wrap_grads(out);
        return out.size() == 1 ? Py_NewRef(PyTuple_GET_ITEM(t.get(), 0)) : t.detach();
    });
}

// The argument (or 32 + result) that the formulas of an operator call by this name; -1: none.
int slot_named(const OpNode& n, std::string_view what) {
    const Schema& s = n.op->schema;
    int slot = what == "result" ? 32 : s.index_of(what);
    for (size_t i = 0; slot < 0 && i < s.returns.size(); ++i)
        if (!s.returns[i].empty() && s.returns[i] == what) slot = 32 + int(i);
    return slot;
}
bool holds_tensors(const OpNode& n, int slot) {
    if (slot >= 32) return true;
    const Kind kind = n.op->schema.args[size_t(slot)].kind;
    return kind == Kind::Tensor || kind == Kind::Tensors || kind == Kind::Operand;
}
// The places in `saved` of an argument or a result.
std::vector<size_t> places_of(const OpNode& n, int slot) {
    std::vector<size_t> found;
    for (size_t k = 0; k < n.saved.size(); ++k)
        if (n.saved_slot[k] == slot) found.push_back(k);
    return found;
}
PyObject* attribute_value(const Value& v) {
    switch (v.tag) {
        case Tag::Ints: {
            Ref t = checked(PyTuple_New(Py_ssize_t(v.len)));
            for (uint32_t i = 0; i < v.len; ++i) PyTuple_SET_ITEM(t.get(), i, PyLong_FromLongLong(v.ints_ptr[i]));
            return t.detach();
        }
        case Tag::String: return PyUnicode_FromStringAndSize(v.chars, Py_ssize_t(v.len));
        case Tag::Bool:
        case Tag::Int:
        case Tag::Double:
        case Tag::Complex: return wrap(v.scalar());
        default: return none();
    }
}

// _saved_self, _saved_dim, …: what the operation kept for its derivative; _raw_saved_self: how it is kept.
PyObject* node_getattro(PyObject* self, PyObject* name) {
    PyObject* r = PyObject_GenericGetAttr(self, name);
    if (r || !PyErr_ExceptionMatches(PyExc_AttributeError)) return r;
    const char* text = PyUnicode_AsUTF8(name);
    const std::string_view n = text ? text : "";
    if (auto* a = dynamic_cast<AccumulateGrad*>(&node_of(self)); a && n == "variable") {
        PyErr_Clear();
        return wrap(a->variable);
    }
    auto* o = dynamic_cast<OpNode*>(&node_of(self));
    const bool raw = n.starts_with("_raw_saved_");
    if (!o || !(raw || n.starts_with("_saved_"))) return nullptr;
    const int slot = slot_named(*o, n.substr(raw ? 11 : 7));
    if (slot < 0 || (raw && !holds_tensors(*o, slot))) return nullptr;
    PyErr_Clear();
    return guarded([&]() -> PyObject* {
        const std::vector<size_t> places = places_of(*o, slot);
        if (!raw && places.empty()) return slot < 32 ? attribute_value(o->attributes[size_t(slot)]) : none();
        auto item = [&](size_t k) { return raw ? saved_object(self, k) : wrap(o->saved[k].unpack(o, o->name())); };
        const bool list = slot < 32 && o->op->schema.args[size_t(slot)].kind == Kind::Tensors;
        if (!list) return places.empty() ? saved_object(self, {}) : item(places[0]);
        Ref t = checked(PyTuple_New(Py_ssize_t(places.size())));
        for (size_t i = 0; i < places.size(); ++i) PyTuple_SET_ITEM(t.get(), Py_ssize_t(i), item(places[i]));
        return t.detach();
    });
}

// What programs that draw the graph look for: the attributes above by name.
PyObject* node_dir(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        static PyObject* kept = nullptr;
        PyObject* const object_dir = kept_attribute(kept, "builtins", "object");
        Ref names = checked(PyObject_CallMethod(object_dir, "__dir__", "O", self));
        auto add = [&](const std::string& text) {
            const Ref name = checked(PyUnicode_FromStringAndSize(text.data(), Py_ssize_t(text.size())));
            if (PyList_Append(names.get(), name.get()) < 0) throw PythonError{};
        };
        if (dynamic_cast<AccumulateGrad*>(&node_of(self))) add("variable");
        auto* o = dynamic_cast<OpNode*>(&node_of(self));
        if (!o) return names.detach();
        const Derivative& d = o->op->derivative;
        uint64_t uses = d.joint_uses;
        for (const auto& part : d.parts) uses |= part.uses;
        const Schema& s = o->op->schema;
        auto show = [&](const std::string& name, bool tensors) {
            add("_saved_" + name);
            if (tensors) add("_raw_saved_" + name);
        };
        for (size_t i = 0; i < s.args.size() && i < o->attributes.size(); ++i) {
            const bool tensors = holds_tensors(*o, int(i));
            if (!tensors || uses >> i & 1) show(std::string(s.args[i].name), tensors);
        }
        for (size_t i = 0; i < s.returns.size() && i < 32; ++i)
            if (uses >> (32 + i) & 1) {
                if (!s.returns[i].empty()) show(std::string(s.returns[i]), true);
                else if (i == 0) show("result", true);
            }
        return names.detach();
    });
}
PyObject* node_input_metadata(PyObject* self, void*) {
    return guarded([&] { return input_metadata(node_of(self)); });
}

PyMethodDef methods[] = {
    {"name", node_name, METH_NOARGS, "The name of the operation, such as MulBackward0."},
    {"register_hook", node_register_hook, METH_O, "Calls fn(grad_inputs, grad_outputs) after this node's backward."},
    {"register_prehook", node_register_prehook, METH_O, "Calls fn(grad_outputs) before this node's backward."},
    {"_sequence_nr", node_sequence, METH_NOARGS, nullptr},
    {"__dir__", node_dir, METH_NOARGS, nullptr},
    {},
};
PyGetSetDef getset[] = {
    {"next_functions", node_next, nullptr, "Pairs of the nodes that gradients go to and the number of their input.",
     nullptr},
    {"metadata", node_metadata, nullptr, nullptr, nullptr},
    {"requires_grad", node_requires_grad, nullptr, nullptr, nullptr},
    {"_input_metadata", node_input_metadata, nullptr, nullptr, nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {},
};
PyMemberDef members[] = {{"__dictoffset__", T_PYSSIZET, offsetof(NodeObject, dict), READONLY, nullptr}, {}};

PyTypeObject* type_of(const std::string& name) {
    static auto* types = new std::unordered_map<std::string, PyTypeObject*>;
    PyTypeObject*& t = (*types)[name];
    if (t) return t;
    PyType_Slot slots[] = {{Py_tp_base, node_base}, {0, nullptr}};
    auto* kept = new std::string("builtins." + name);  // as PyTorch's node classes claim
    PyType_Spec spec{kept->c_str(), sizeof(NodeObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                     slots};
    t = make_type(spec);
    t->tp_name = kept->c_str() + std::string_view("builtins.").size();  // PyTorch's have no module before the name
    add_type(functions_module, name.c_str(), t);
    return t;
}

// The GIL for hooks, whichever thread the engine runs in.
class Gil {
public:
    Gil() : state_(PyGILState_Ensure()) {}
    ~Gil() { PyGILState_Release(state_); }
    Gil(const Gil&) = delete;
    Gil& operator=(const Gil&) = delete;

private:
    PyGILState_STATE state_;
};

std::string name_of(PyObject* hook) {
    const Ref name(PyObject_GetAttrString(hook, "__name__"));
    if (name && PyUnicode_Check(name.get())) return PyUnicode_AsUTF8(name.get());
    PyErr_Clear();
    return "<unknown>";
}
// The tuple that a hook of a node gave: as many gradients as there were.
void check_given(PyObject* r, size_t n, PyObject* hook) {
    if (!PyTuple_Check(r)) raise(PyExc_TypeError, "expected tuple, but hook returned '" + type_name(r) + "'");
    if (size_t(PyTuple_GET_SIZE(r)) != n)
        fail(ErrorKind::Runtime, "hook '", name_of(hook), "' has returned an incorrect number of values (got ",
             PyTuple_GET_SIZE(r), ", but expected ", n, ")");
}
void replace_gradient(PyObject* r, Tensor& g, PyObject* hook) {
    if (r == Py_None) return;
    if (!is_tensor(r)) raise(PyExc_TypeError, "expected Variable, but hook returned '" + type_name(r) + "'");
    const Tensor& n = unwrap(r);
    if (g.defined() && !same(n.sizes(), g.sizes()))
        fail(ErrorKind::Runtime, "hook '", name_of(hook), "' has changed the size of value");
    if (g.defined() && n.dtype() != g.dtype())
        fail(ErrorKind::Runtime, "hook '", name_of(hook), "' has changed the type of value (was ",
             shown_type(g.dtype()), " got ", shown_type(n.dtype()), ")");
    g = n;
}

// The edges as PyTorch counts them: -1 for a number in the place of a tensor, an edge to nowhere.
std::vector<int> shown_edges(const Node& n) {
    std::vector<int> edges;
    auto* o = dynamic_cast<const OpNode*>(&n);
    for (size_t i = 0; !o && i < n.next.size(); ++i) edges.push_back(int(i));
    for (size_t i = 0; o && i < o->first_edge.size(); ++i) {
        if (!(o->op->derivative.args >> i & 1) || !shows(*o, i)) continue;
        if (o->first_edge[i] == 0xffff) edges.push_back(-1);
        else
            for (int k = 0; k < o->edge_count[i]; ++k) edges.push_back(int(o->first_edge[i]) + k);
    }
    return edges;
}

}  // namespace

DictHook::~DictHook() {
    if (!Py_IsInitialized()) return;
    const Gil gil;
    Py_DECREF(dict);
}

void DictHook::pre(Grads& in) {
    const Gil gil;
    const Ref values = checked(PyDict_Values(dict));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values.get()); ++i) {
        PyObject* f = PyList_GET_ITEM(values.get(), i);
        if (kind == HookKind::Pre) {
            const Ref args = wrap_grads(in);
            const Ref r = checked(PyObject_CallFunctionObjArgs(f, args.get(), nullptr));
            if (r.get() == Py_None) continue;
            check_given(r.get(), in.size(), f);
            for (size_t k = 0; k < in.size(); ++k) replace_gradient(PyTuple_GET_ITEM(r.get(), Py_ssize_t(k)), in[k], f);
            continue;
        }
        const Ref arg = checked(wrap(in[0]));
        const Ref r = checked(PyObject_CallFunctionObjArgs(f, arg.get(), nullptr));
        if (kind == HookKind::PostAccumulate) {
            Tensor leaf = in[0];
            replace_gradient(r.get(), leaf, f);
            check(leaf.get() == in[0].get(), "Tensor post accumulate grad hooks should return None.");
            continue;
        }
        replace_gradient(r.get(), in[0], f);
    }
}

void DictHook::post(Grads& out, const Grads& in) {
    const Gil gil;
    const std::vector<int> places = shown_edges(*node);
    const Ref values = checked(PyDict_Values(dict));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(values.get()); ++i) {
        PyObject* f = PyList_GET_ITEM(values.get(), i);
        Grads shown;
        for (const int k : places) shown.push_back(k < 0 || size_t(k) >= out.size() ? Tensor() : out[size_t(k)]);
        const Ref grad_inputs = wrap_grads(shown), grad_outputs = wrap_grads(in);
        const Ref r = checked(PyObject_CallFunctionObjArgs(f, grad_inputs.get(), grad_outputs.get(), nullptr));
        if (r.get() == Py_None) continue;
        check_given(r.get(), shown.size(), f);
        for (size_t k = 0; k < shown.size(); ++k) {
            if (places[k] < 0 || size_t(places[k]) >= out.size()) continue;
            Tensor& g = out[size_t(places[k])];
            PyObject* x = PyTuple_GET_ITEM(r.get(), Py_ssize_t(k));
            if (x == Py_None) g = {};
            else replace_gradient(x, g, f);
        }
    }
}

Ref wrap_grads(const Grads& g) {
    Ref t = checked(PyTuple_New(Py_ssize_t(g.size())));
    for (size_t i = 0; i < g.size(); ++i) PyTuple_SET_ITEM(t.get(), Py_ssize_t(i), checked(wrap(g[i])).detach());
    return t;
}
void read_grads(PyObject* tuple, Grads& into, const char* who) {
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple); ++i) {
        PyObject* x = PyTuple_GET_ITEM(tuple, i);
        if (x == Py_None) {
            into.push_back({});
            continue;
        }
        if (!is_tensor(x)) raise(PyExc_TypeError, std::string(who) + " expects tensors or None, not " + type_name(x));
        into.push_back(unwrap(x));
    }
}

PyObject* next_functions(const Node& n) {
    std::vector<Edge> edges;
    for (const int k : shown_edges(n)) edges.push_back(k < 0 ? Edge() : n.next[size_t(k)]);
    Ref t = checked(PyTuple_New(Py_ssize_t(edges.size())));
    for (size_t i = 0; i < edges.size(); ++i) {
        const Ref next = checked(wrap_node(edges[i].node));
        PyTuple_SET_ITEM(t.get(), Py_ssize_t(i), checked(Py_BuildValue("OI", next.get(), edges[i].input)).detach());
    }
    return t.detach();
}

static PyObject* handle_for(PyObject* dict, PyObject* callable) {
    static PyObject* kept_handle_class = nullptr;
    PyObject* const handle_class = kept_attribute(kept_handle_class, "flambeau.utils.hooks", "RemovableHandle");
    Ref handle = checked(PyObject_CallFunctionObjArgs(handle_class, dict, nullptr));
    const Ref id = checked(PyObject_GetAttrString(handle.get(), "id"));
    if (PyObject_SetItem(dict, id.get(), callable) < 0) throw PythonError{};
    return handle.detach();
}

PyObject* register_node_hook(Node& n, PyObject* callable, HookKind kind) {
    auto& list = kind == HookKind::Pre ? n.need_hooks().pre : n.need_hooks().post;
    for (auto& h : list)
        if (auto* d = dynamic_cast<DictHook*>(h.get()); d && d->kind == kind) return handle_for(d->dict, callable);
    static PyObject* kept_ordered = nullptr;
    PyObject* const ordered = kept_attribute(kept_ordered, "collections", "OrderedDict");
    const Ref dict =
        checked(PyObject_CallNoArgs(ordered));  // RemovableHandle needs a dictionary that takes weak references
    list.push_back(Ptr<Hook>(new DictHook(dict.get(), kind, &n)));
    return handle_for(dict.get(), callable);
}

PyObject* wrap_node(const Ptr<Node>& node) {
    if (!node) return none();
    if (auto* c = dynamic_cast<CustomNode*>(node.get())) return Py_NewRef(c->ctx);
    if (node->object) return Py_NewRef(static_cast<PyObject*>(node->object));
    NodeObject* o = PyObject_New(NodeObject, type_of(node_name(*node)));
    if (!o) throw PythonError{};
    o->dict = o->metadata = nullptr;
    node->retain();
    o->node = node.get();
    node->object = o;
    return reinterpret_cast<PyObject*>(o);
}

bool is_node(PyObject* o) { return PyType_IsSubtype(Py_TYPE(o), node_base); }
Ptr<Node> unwrap_core_node(PyObject* o) { return Ptr<Node>(reinterpret_cast<NodeObject*>(o)->node); }

void init_nodes(PyObject* module) {
    functions_module = checked(PyModule_New("flambeau._C._functions")).detach();
    add_object(module, "_functions", functions_module);
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(node_dealloc)},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {Py_tp_members, members},
        {Py_tp_getattro, reinterpret_cast<void*>(node_getattro)},
        {Py_tp_call, reinterpret_cast<void*>(node_call)},
        {Py_tp_repr, reinterpret_cast<void*>(node_repr)},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau._C._Node", sizeof(NodeObject), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    node_base = make_type(spec);
    add_type(module, "_Node", node_base);
    init_function_base(module);
    init_saved_tensors(module);
}

}  // namespace fb::py
