// autograd.Function: forward and backward written in Python, recorded as one node.
#include "autograd/back.h"
#include "python/node.h"
#include "python/override.h"
#include "python/tensor_object.h"

namespace fb::py {

namespace {

struct Ctx {
    PyObject_HEAD CustomNode*
        node;  // the node this is the ctx of; null before `apply` is done and after the graph is gone
    PyObject *dict, *weakrefs;
    PyObject *needs_input_grad, *to_save, *non_differentiable, *dirty, *saved_for_forward, *metadata;
    char materialize_grads;
    char released;
    std::vector<SavedTensor>* saved;
    std::vector<bool>* is_tensor_input;  // by argument of forward
};
PyTypeObject* base_type;

Ctx& ctx_of(PyObject* o) { return *reinterpret_cast<Ctx*>(o); }

PyObject* ctx_new(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* o = type->tp_alloc(type, 0);
    if (!o) return nullptr;
    ctx_of(o).materialize_grads = 1;
    ctx_of(o).saved = new std::vector<SavedTensor>;
    ctx_of(o).is_tensor_input = new std::vector<bool>;
    return o;
}
int ctx_traverse(PyObject* self, visitproc visit, void* arg) {
    Ctx& c = ctx_of(self);
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(c.dict);
    Py_VISIT(c.needs_input_grad);
    Py_VISIT(c.to_save);
    Py_VISIT(c.non_differentiable);
    Py_VISIT(c.dirty);
    Py_VISIT(c.saved_for_forward);
    Py_VISIT(c.metadata);
    return 0;
}
int ctx_clear(PyObject* self) {
    Ctx& c = ctx_of(self);
    Py_CLEAR(c.dict);
    Py_CLEAR(c.needs_input_grad);
    Py_CLEAR(c.to_save);
    Py_CLEAR(c.non_differentiable);
    Py_CLEAR(c.dirty);
    Py_CLEAR(c.saved_for_forward);
    Py_CLEAR(c.metadata);
    if (c.saved) c.saved->clear();
    return 0;
}
void ctx_dealloc(PyObject* self) {
    PyObject_GC_UnTrack(self);
    Ctx& c = ctx_of(self);
    if (c.weakrefs) PyObject_ClearWeakRefs(self);
    ctx_clear(self);
    delete c.saved;
    delete c.is_tensor_input;
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

// ---------------------------------------------------------------- saved tensors
PyObject* saved_tensors(PyObject* self, void*) {
    return guarded([&]() -> PyObject* {
        Ctx& c = ctx_of(self);
        if (c.released) fail_released();
        if (c.saved->empty() && c.saved_for_forward) return PySequence_Tuple(c.saved_for_forward);
        if (!c.node && c.to_save && c.to_save != Py_None) return PySequence_Tuple(c.to_save);  // inside forward
        Ref t = checked(PyTuple_New(Py_ssize_t(c.saved->size())));
        for (size_t i = 0; i < c.saved->size(); ++i) {
            const Tensor v = (*c.saved)[i].unpack(c.node, c.node ? c.node->name() : "");
            PyTuple_SET_ITEM(t.get(), Py_ssize_t(i), checked(wrap(v)).detach());
        }
        return t.detach();
    });
}

PyObject* raw_saved_tensors(PyObject* self, void*) {
    return guarded([&]() -> PyObject* {
        Ctx& c = ctx_of(self);
        if (c.released) fail_released();
        Ref t = checked(PyTuple_New(Py_ssize_t(c.saved->size())));
        for (size_t i = 0; i < c.saved->size(); ++i) PyTuple_SET_ITEM(t.get(), Py_ssize_t(i), saved_object(self, i));
        return t.detach();
    });
}

bool among(PyObject* list, PyObject* o) {
    if (!list || !is_list(list)) return false;
    for (Py_ssize_t i = 0; i < list_size(list); ++i)
        if (list_item(list, i) == o) return true;
    return false;
}
void check_tensors(PyObject* list, const char* what) {
    if (!list || list == Py_None) return;
    if (!PyTuple_Check(list))
        raise(PyExc_TypeError, str(what, " attribute is expected to be a tuple, but is ", type_name(list)));
    for (Py_ssize_t i = 0; i < list_size(list); ++i) {
        PyObject* o = list_item(list, i);
        if (is_tensor(o)) continue;
        // the first lines end where PyTorch's do
        if (std::string_view(what) == "mark_dirty")
            raise(PyExc_RuntimeError,
                  str("mark_dirty can only accept variables, but argument \n", i, " is of type ", type_name(o)));
        if (std::string_view(what) == "mark_non_differentiable")
            raise(PyExc_RuntimeError,
                  "mark_non_differentiable only accepts variable arguments, but got \n" + type_name(o));
        if (!(o == Py_None && std::string_view(what) == "save_for_backward"))
            raise(PyExc_TypeError,
                  str(what, " can only save variables, but argument ", i, " is of type ", type_name(o)));
    }
}

// ---------------------------------------------------------------- results
// Gives a result its place in the graph. An input that comes back as it is becomes a view of itself, which must not be
// written to (the input's history would not know) unless the class has `_writable_results`; one that was changed in
// place keeps its object.
Ref make_result(PyObject* o, PyObject* self, const Ptr<Node>& node, bool recorded,
                const std::vector<PyObject*>& inputs) {
    if (!is_tensor(o)) return Ref::borrow(o);
    Ctx& c = ctx_of(self);
    Tensor t = unwrap(o);
    const bool is_input = std::find(inputs.begin(), inputs.end(), o) != inputs.end();
    const bool dirty = among(c.dirty, o),
               differentiable = !among(c.non_differentiable, o) && (is_floating(t.dtype()) || is_complex(t.dtype()));
    if (dirty) {
        if (!is_input)
            fail(ErrorKind::Runtime,
                 "Some elements marked as dirty during the forward method were not returned as output. "
                 "The inputs that are modified inplace must all be outputs of the Function.");
        t->bump_version();
        if (recorded) {
            check(!(t->requires_grad && !t->grad_fn),
                  "a leaf Variable that requires grad has been used in an in-place operation.");
            add_result(*node, t);
            if (differentiable) rebase_history(t, node);
        }
        return Ref::borrow(o);
    }
    if (!recorded) {
        if (!is_input) return Ref::borrow(o);
        GradGuard off(false);
        return checked(wrap(op<"alias">(t)));
    }
    if (is_input || (t.requires_grad() && differentiable)) {
        GradGuard off(false);
        t = is_input ? op<"alias">(t) : t.detach();
        if (is_input && PyObject_HasAttrString(self, "_writable_results")) t->base = nullptr;
    }
    const uint32_t nr = add_result(*node, t);
    if (differentiable) set_history(t, node, nr);
    return checked(wrap(std::move(t)));
}

PyObject* apply(PyObject* cls, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        const Ref backward_class = checked(PyObject_GetAttrString(cls, "_backward_cls"));
        const Ref object = checked(PyObject_CallNoArgs(backward_class.get()));
        if (!PyType_IsSubtype(Py_TYPE(object.get()), base_type))
            raise(PyExc_TypeError, "_backward_cls must derive from _FunctionBase");
        Ctx& c = ctx_of(object.get());
        const Py_ssize_t n = PyTuple_GET_SIZE(args);
        std::vector<PyObject*> inputs;
        c.needs_input_grad = checked(PyTuple_New(n)).detach();
        bool any = false;
        for (Py_ssize_t i = 0; i < n; ++i) {
            PyObject* o = PyTuple_GET_ITEM(args, i);
            const bool tensor = is_tensor(o), needs = tensor && unwrap(o).requires_grad();
            c.is_tensor_input->push_back(tensor);
            if (tensor) inputs.push_back(o);
            any = any || needs;
            PyTuple_SET_ITEM(c.needs_input_grad, i, PyBool_FromLong(needs));
        }
        const bool recorded = any && tls.grad;
        Ptr<Node> node(recorded ? new CustomNode(object.get()) : nullptr);
        if (recorded)
            for (PyObject* o : inputs) node->next.push_back(gradient_edge(unwrap(o)));

        // --- forward
        static PyObject* default_setup = nullptr;
        if (!default_setup) {
            const Ref base = checked(import_attribute("flambeau.autograd.function", "Function"));
            default_setup = checked(PyObject_GetAttrString(base.get(), "setup_context")).detach();
        }
        const Ref forward = checked(PyObject_GetAttrString(cls, "forward"));
        const Ref setup = checked(PyObject_GetAttrString(cls, "setup_context"));
        Ref output;
        {
            GradGuard off(false);
            if (setup.get() != default_setup) {
                output = checked(PyObject_Call(forward.get(), args, kwargs));
                const Ref done =
                    checked(PyObject_CallFunctionObjArgs(setup.get(), object.get(), args, output.get(), nullptr));
            } else {
                Ref with_ctx = checked(PyTuple_New(n + 1));
                PyTuple_SET_ITEM(with_ctx.get(), 0, Py_NewRef(object.get()));
                for (Py_ssize_t i = 0; i < n; ++i)
                    PyTuple_SET_ITEM(with_ctx.get(), i + 1, Py_NewRef(PyTuple_GET_ITEM(args, i)));
                output = checked(PyObject_Call(forward.get(), with_ctx.get(), kwargs));
            }
        }

        // --- results
        check_tensors(c.dirty, "mark_dirty");
        check_tensors(c.non_differentiable, "mark_non_differentiable");
        const bool single = !PyTuple_Check(output.get());
        const Ref outputs = single ? checked(PyTuple_Pack(1, output.get())) : Ref::borrow(output.get());
        const Py_ssize_t m = PyTuple_GET_SIZE(outputs.get());
        if (c.dirty && is_list(c.dirty))
            for (Py_ssize_t i = 0; i < list_size(c.dirty); ++i)
                check(among(outputs.get(), list_item(c.dirty, i)),
                      "Some elements marked as dirty during the forward method were not "
                      "returned as output. The inputs that are modified inplace must all be outputs of the Function.");
        Ref results = checked(PyTuple_New(m));
        bool some = false;
        for (Py_ssize_t i = 0; i < m; ++i) {
            PyObject* o = PyTuple_GET_ITEM(outputs.get(), i);
            if (recorded && !is_tensor(o)) node->results.push_back(ResultMeta{{}, DType::none, kCPU});
            some = some || is_tensor(o);
            PyTuple_SET_ITEM(results.get(), i, make_result(o, object.get(), node, recorded, inputs).detach());
        }

        // --- what backward needs
        if (recorded) {
            check_tensors(c.to_save, "save_for_backward");
            c.node = static_cast<CustomNode*>(node.get());
            if (c.to_save && c.to_save != Py_None) {
                for (Py_ssize_t i = 0; i < list_size(c.to_save); ++i) {
                    PyObject* o = list_item(c.to_save, i);
                    if (o == Py_None) {
                        c.saved->emplace_back();
                        continue;
                    }
                    // A saved result is found by its place among the results: it must not keep its own node alive.
                    bool is_result = false;
                    for (Py_ssize_t k = 0; k < m; ++k) is_result = is_result || PyTuple_GET_ITEM(outputs.get(), k) == o;
                    const Tensor t = is_result ? [&] {
                        for (Py_ssize_t k = 0; k < m; ++k)
                            if (PyTuple_GET_ITEM(outputs.get(), k) == o)
                                return unwrap(PyTuple_GET_ITEM(results.get(), k));
                        return Tensor();
                    }()
                                               : unwrap(o);
                    c.saved->emplace_back(t, is_result && t->grad_fn == node.get());
                }
            }
            if (c.dict)  // it may have a result among its attributes, which has it as its node
                for (Py_ssize_t k = 0; k < m; ++k)
                    if (PyObject* result = PyTuple_GET_ITEM(results.get(), k); is_tensor(result)) track(result);
        }
        Py_CLEAR(c.to_save);
        Py_CLEAR(c.dirty);
        if (single) return Py_NewRef(PyTuple_GET_ITEM(results.get(), 0));
        return results.detach();
    });
}

// ---------------------------------------------------------------- as a node
CustomNode& live_node(PyObject* self, const char* attribute) {
    CustomNode* n = ctx_of(self).node;
    check(n, "Attribute '", attribute,
          "' is invalid for this instance of _C._FunctionBase. Accessing this attribute directly on an instance "
          "of autograd.Function is a legacy access pattern that is no longer supported. For examples on how to use "
          "new-style autograd functions, "
          "see https://pytorch.org/docs/stable/autograd.html#torch.autograd.Function ");
    return *n;
}
PyObject* ctx_next(PyObject* self, void*) {
    return guarded([&] { return next_functions(live_node(self, "next_functions")); });
}
PyObject* ctx_metadata(PyObject* self, void*) {
    Ctx& c = ctx_of(self);
    if (!c.metadata) c.metadata = PyDict_New();
    return Py_XNewRef(c.metadata);
}
PyObject* ctx_requires_grad(PyObject*, void*) { return PyBool_FromLong(true); }
PyObject* ctx_materialize(PyObject* self, void*) { return PyBool_FromLong(ctx_of(self).materialize_grads); }
int set_materialize(PyObject* self, PyObject* v, void*) {
    if (!v || !PyBool_Check(v)) {
        PyErr_Format(PyExc_TypeError, "set_materialize_grads() takes a bool");
        return -1;
    }
    ctx_of(self).materialize_grads = v == Py_True;
    return 0;
}
PyObject* ctx_name(PyObject* self, PyObject*) { return PyUnicode_FromString(Py_TYPE(self)->tp_name); }
PyObject* ctx_sequence(PyObject* self, PyObject*) {
    return guarded([&] { return PyLong_FromUnsignedLongLong(live_node(self, "_sequence_nr").sequence); });
}
PyObject* ctx_register_hook(PyObject* self, PyObject* f) {
    return guarded([&] { return register_node_hook(live_node(self, "register_hook"), f, HookKind::Post); });
}
PyObject* ctx_register_prehook(PyObject* self, PyObject* f) {
    return guarded([&] { return register_node_hook(live_node(self, "register_prehook"), f, HookKind::Pre); });
}
PyObject* ctx_input_metadata(PyObject* self, void*) {
    return guarded([&] { return input_metadata(live_node(self, "_input_metadata")); });
}
PyObject* clear_saved(PyObject* self, PyObject*) {
    ctx_of(self).saved->clear();
    return none();
}

PyMethodDef methods[] = {
    {"apply", as_method(apply), METH_VARARGS | METH_KEYWORDS | METH_CLASS, "Runs the function and records it."},
    {"name", ctx_name, METH_NOARGS, nullptr},
    {"_sequence_nr", ctx_sequence, METH_NOARGS, nullptr},
    {"register_hook", ctx_register_hook, METH_O, nullptr},
    {"register_prehook", ctx_register_prehook, METH_O, nullptr},
    {"maybe_clear_saved_tensors", clear_saved, METH_NOARGS, nullptr},
    {},
};
PyGetSetDef getset[] = {
    {"saved_tensors", saved_tensors, nullptr, "What save_for_backward was given.", nullptr},
    {"saved_variables", saved_tensors, nullptr, nullptr, nullptr},
    {"_raw_saved_tensors", raw_saved_tensors, nullptr, nullptr, nullptr},
    {"_input_metadata", ctx_input_metadata, nullptr, nullptr, nullptr},
    {"next_functions", ctx_next, nullptr, nullptr, nullptr},
    {"metadata", ctx_metadata, nullptr, nullptr, nullptr},
    {"requires_grad", ctx_requires_grad, nullptr, nullptr, nullptr},
    {"materialize_grads", ctx_materialize, set_materialize, nullptr, nullptr},
    {"__dict__", PyObject_GenericGetDict, PyObject_GenericSetDict, nullptr, nullptr},
    {},
};
PyMemberDef members[] = {
    {"__dictoffset__", T_PYSSIZET, offsetof(Ctx, dict), READONLY, nullptr},
    {"__weaklistoffset__", T_PYSSIZET, offsetof(Ctx, weakrefs), READONLY, nullptr},
    {"needs_input_grad", T_OBJECT, offsetof(Ctx, needs_input_grad), 0, nullptr},
    {"to_save", T_OBJECT, offsetof(Ctx, to_save), 0, nullptr},
    {"non_differentiable", T_OBJECT, offsetof(Ctx, non_differentiable), 0, nullptr},
    {"dirty_tensors", T_OBJECT, offsetof(Ctx, dirty), 0, nullptr},
    {"saved_for_forward", T_OBJECT, offsetof(Ctx, saved_for_forward), 0, nullptr},
    {},
};

}  // namespace

SavedTensor* saved_in_ctx(PyObject* ctx, size_t index, Node*& node, bool& released) {
    Ctx& c = ctx_of(ctx);
    node = c.node;
    released = c.released;
    return !released && index < c.saved->size() ? &(*c.saved)[index] : nullptr;
}

CustomNode::~CustomNode() {
    if (!Py_IsInitialized()) return;
    const PyGILState_STATE state = PyGILState_Ensure();
    ctx_of(ctx).node = nullptr;
    Py_DECREF(ctx);
    PyGILState_Release(state);
}
std::string CustomNode::name() const { return Py_TYPE(ctx)->tp_name; }
void CustomNode::release_saved() {
    Ctx& c = ctx_of(ctx);
    if (!c.saved->empty()) c.released = 1;
    c.saved->clear();
}

Grads CustomNode::apply(Grads&& in) {
    const PyGILState_STATE state = PyGILState_Ensure();
    struct Release {
        PyGILState_STATE s;
        ~Release() { PyGILState_Release(s); }
    } release{state};
    Ctx& c = ctx_of(ctx);
    Ref args = checked(PyTuple_New(Py_ssize_t(results.size())));
    for (size_t i = 0; i < results.size(); ++i) {
        Tensor g = i < in.size() ? in[i] : Tensor();
        const bool was_tensor = results[i].dtype != DType::none;
        if (!g.defined() && c.materialize_grads && was_tensor) g = zeros_of(results[i]);
        PyTuple_SET_ITEM(args.get(), Py_ssize_t(i), checked(wrap(std::move(g))).detach());
    }
    const Ref method = checked(PyObject_GetAttrString(ctx, "apply"));
    Ref r = checked(PyObject_Call(method.get(), args.get(), nullptr));
    if (!PyTuple_Check(r.get())) r = checked(PyTuple_Pack(1, r.get()));
    const Py_ssize_t given = PyTuple_GET_SIZE(r.get()), expected = Py_ssize_t(c.is_tensor_input->size());
    // Trailing Nones beyond the inputs are forgiven.
    bool only_none = given > expected;
    for (Py_ssize_t i = expected; i < given; ++i) only_none = only_none && PyTuple_GET_ITEM(r.get(), i) == Py_None;
    if (given != expected && !only_none)
        fail(ErrorKind::Runtime, "function ", name(), " returned an incorrect number of gradients (expected ", expected,
             ", got ", given, ")");
    Grads out;
    for (Py_ssize_t i = 0; i < expected; ++i) {
        PyObject* o = PyTuple_GET_ITEM(r.get(), i);
        if (!(*c.is_tensor_input)[size_t(i)]) {
            if (o != Py_None)
                fail(ErrorKind::Runtime, "function ", name(), " returned a gradient different than None at position ",
                     i + 1, ", but the corresponding forward input was not a Variable");
            continue;
        }
        if (o == Py_None) {
            out.push_back({});
            continue;
        }
        if (!is_tensor(o)) fail(ErrorKind::Runtime, "expected Variable or None (got ", type_name(o), ")");
        out.push_back(unwrap(o));
    }
    return out;
}

Ptr<Node> unwrap_node(PyObject* o) {
    if (PyType_IsSubtype(Py_TYPE(o), base_type)) return Ptr<Node>(&live_node(o, "node"));
    check_type(is_node(o), "expected a node of the graph, got ", type_name(o));
    return unwrap_core_node(o);
}

void init_function_base(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_new, reinterpret_cast<void*>(ctx_new)},
        {Py_tp_dealloc, reinterpret_cast<void*>(ctx_dealloc)},
        {Py_tp_traverse, reinterpret_cast<void*>(ctx_traverse)},
        {Py_tp_clear, reinterpret_cast<void*>(ctx_clear)},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {Py_tp_members, members},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau._C._FunctionBase", sizeof(Ctx), 0,
                     Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};
    base_type = make_type(spec);
    add_type(module, "_FunctionBase", base_type);
}

}  // namespace fb::py
