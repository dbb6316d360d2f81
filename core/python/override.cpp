#include "python/override.h"
#include <algorithm>
#include <vector>

namespace fb::py {

constinit thread_local OverrideState override_state;

namespace {

thread_local std::vector<PyObject*> mode_stack;
PyObject* disabled_implementation;  // what Parameter sets: this class does not want to be asked
PyObject* name_torch_function;

// Calls the function with overriding by subclasses switched off; the value of `_disabled_torch_function_impl`.
PyObject* run_disabled(PyObject*, PyObject* args) {
    PyObject *function, *types, *call_args = nullptr, *kwargs = nullptr;
    if (!PyArg_ParseTuple(args, "OO|OO", &function, &types, &call_args, &kwargs)) return nullptr;
    const bool before = override_state.no_subclasses;
    override_state.no_subclasses = true;
    const Ref tuple(call_args ? PySequence_Tuple(call_args) : PyTuple_New(0));
    PyObject* r =
        tuple ? PyObject_Call(function, tuple.get(), kwargs && kwargs != Py_None ? kwargs : nullptr) : nullptr;
    override_state.no_subclasses = before;
    return r;
}

// --- DisableTorchFunctionSubclass, DisableTorchFunction and _EnableTorchFunction as context managers
struct Switch {
    PyObject_HEAD OverrideState before;
};
PyObject* switch_enter(PyObject* self, PyObject*) {
    reinterpret_cast<Switch*>(self)->before = override_state;
    override_state.no_subclasses = true;
    return none();
}
PyObject* switch_enter_all(PyObject* self, PyObject*) {
    reinterpret_cast<Switch*>(self)->before = override_state;
    override_state.no_subclasses = override_state.disabled = true;
    return none();
}
PyObject* switch_enter_none(PyObject* self, PyObject*) {
    reinterpret_cast<Switch*>(self)->before = override_state;
    override_state.no_subclasses = override_state.disabled = false;
    return none();
}
PyObject* switch_exit(PyObject* self, PyObject*) {
    const OverrideState& before = reinterpret_cast<Switch*>(self)->before;
    override_state.no_subclasses = before.no_subclasses;
    override_state.disabled = before.disabled;
    return none();
}
PyMethodDef subclass_switch_methods[] = {
    {"__enter__", switch_enter, METH_NOARGS, nullptr}, {"__exit__", switch_exit, METH_VARARGS, nullptr}, {}};
PyMethodDef full_switch_methods[] = {
    {"__enter__", switch_enter_all, METH_NOARGS, nullptr}, {"__exit__", switch_exit, METH_VARARGS, nullptr}, {}};
PyMethodDef enable_methods[] = {
    {"__enter__", switch_enter_none, METH_NOARGS, nullptr}, {"__exit__", switch_exit, METH_VARARGS, nullptr}, {}};

void add_switch(PyObject* module, const char* full_name, const char* name, PyMethodDef* methods) {
    PyType_Slot slots[] = {
        {Py_tp_methods, methods}, {Py_tp_new, reinterpret_cast<void*>(PyType_GenericNew)}, {0, nullptr}};
    PyType_Spec spec{full_name, sizeof(Switch), 0, Py_TPFLAGS_DEFAULT, slots};
    add_type(module, name, make_type(spec));
}

// --- who is asked
void collect(PyObject* o, std::vector<PyObject*>& found) {
    if (!overrides(o)) return;
    for (PyObject* f : found)
        if (Py_TYPE(f) == Py_TYPE(o)) return;
    // Subclasses before the classes they come from, otherwise from left to right.
    size_t at = found.size();
    for (size_t i = 0; i < found.size(); ++i)
        if (PyType_IsSubtype(Py_TYPE(o), Py_TYPE(found[i]))) {
            at = i;
            break;
        }
    found.insert(found.begin() + long(at), o);
}
void collect_all(PyObject* const* args, Py_ssize_t n, std::vector<PyObject*>& found) {
    for (Py_ssize_t i = 0; i < n; ++i) {
        if (is_list(args[i])) {
            for (Py_ssize_t k = 0; k < list_size(args[i]); ++k) collect(list_item(args[i], k), found);
        } else {
            collect(args[i], found);
        }
    }
}

// The mode that is asked sees the rest of the stack while it runs.
class WithoutTopMode {
public:
    WithoutTopMode() : mode_(mode_stack.back()) {
        mode_stack.pop_back();
        --override_state.modes;
    }
    ~WithoutTopMode() {
        mode_stack.push_back(mode_);
        ++override_state.modes;
    }
    PyObject* mode() const { return mode_; }

private:
    PyObject* mode_;
};

PyObject* ask_all(PyObject* function, const std::vector<PyObject*>& found, PyObject* args, PyObject* kwargs) {
    const Ref types = checked(PyTuple_New(Py_ssize_t(found.size())));
    for (size_t i = 0; i < found.size(); ++i)
        PyTuple_SET_ITEM(types.get(), Py_ssize_t(i), Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(found[i]))));
    const Ref no_kwargs = kwargs ? Ref() : checked(PyDict_New());
    if (!kwargs) kwargs = no_kwargs.get();
    Ref result;
    if (override_state.modes && !override_state.disabled) {
        const WithoutTopMode guard;
        const Ref mode = Ref::borrow(guard.mode());
        result = checked(
            PyObject_CallMethodObjArgs(mode.get(), name_torch_function, function, types.get(), args, kwargs, nullptr));
    }
    if (!override_state.no_subclasses) {
        for (size_t i = 0; i < found.size() && (!result || result.get() == Py_NotImplemented); ++i) {
            const Ref method = checked(PyObject_GetAttr(found[i], name_torch_function));
            result = checked(PyObject_CallFunctionObjArgs(method.get(), function, types.get(), args, kwargs, nullptr));
        }
    }
    if (!result || result.get() == Py_NotImplemented) {
        const Ref name(PyObject_GetAttrString(function, "__name__"));
        PyErr_Clear();
        std::string text = "no implementation found for '";
        text += name && PyUnicode_Check(name.get()) ? std::string("torch.") + PyUnicode_AsUTF8(name.get())
                                                    : type_name(function);
        text += "' on types that implement __torch_function__: [";
        for (size_t i = 0; i < found.size(); ++i) {
            const Ref r = checked(PyObject_Repr(reinterpret_cast<PyObject*>(Py_TYPE(found[i]))));
            text += (i ? ", " : "") + std::string(PyUnicode_AsUTF8(r.get()));
        }
        raise(PyExc_TypeError, text + "]");
    }
    return result.detach();
}

// --- for Python code
PyObject* has_torch_function(PyObject*, PyObject* const* args, Py_ssize_t n) {
    return PyBool_FromLong(asks_override({args, n}));
}
PyObject* asks_outside_py(PyObject*, PyObject* o) { return PyBool_FromLong(asks_outside_of(o)); }
PyObject* has_torch_function_of(PyObject*, PyObject* o) {
    if (!is_list(o)) return PyBool_FromLong(asks_override({&o, 1}));
    if (override_state.disabled) return PyBool_FromLong(asks_after_skip());
    return PyBool_FromLong(!override_state.disabled && (override_state.modes || any_overrides(&o, 1)));
}
PyObject* handle_torch_function(PyObject*, PyObject* all, PyObject* kwargs) {
    return guarded([&] {
        const Py_ssize_t n = PyTuple_GET_SIZE(all);
        if (n < 2) raise(PyExc_TypeError, "handle_torch_function() needs a function and its relevant arguments");
        std::vector<PyObject*> found;
        const Ref relevant = checked(PySequence_Tuple(PyTuple_GET_ITEM(all, 1)));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(relevant.get()); ++i)
            collect(PyTuple_GET_ITEM(relevant.get(), i), found);
        const Ref args = checked(PyTuple_GetSlice(all, 2, n));
        return ask_all(PyTuple_GET_ITEM(all, 0), found, args.get(), kwargs);
    });
}
PyObject* overloaded_args(PyObject*, PyObject* relevant) {
    return guarded([&] {
        std::vector<PyObject*> found;
        const Ref tuple = checked(PySequence_Tuple(relevant));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(tuple.get()); ++i) collect(PyTuple_GET_ITEM(tuple.get(), i), found);
        Ref list = checked(PyList_New(0));
        for (PyObject* o : found) PyList_Append(list.get(), o);
        return list.detach();
    });
}
// redispatch_function(function, types, args, kwargs): the function itself is not overridden, what it calls is.
PyObject* redispatch(PyObject*, PyObject* all) {
    PyObject *function, *types, *args, *kwargs = nullptr;
    if (!PyArg_ParseTuple(all, "OOO|O", &function, &types, &args, &kwargs)) return nullptr;
    const Ref tuple(PySequence_Tuple(args));
    if (!tuple) return nullptr;
    const OverrideState before = override_state;
    if (!before.disabled) override_state.disabled = override_state.skip_next = true;
    PyObject* r = PyObject_Call(function, tuple.get(), kwargs && kwargs != Py_None ? kwargs : nullptr);
    override_state.disabled = before.disabled;
    override_state.skip_next = before.skip_next;
    return r;
}
PyObject* push_mode(PyObject*, PyObject* mode) {
    mode_stack.push_back(Py_NewRef(mode));
    ++override_state.modes;
    return none();
}
PyObject* pop_mode(PyObject*, PyObject*) {
    if (mode_stack.empty()) return PyErr_Format(PyExc_AssertionError, "the stack of torch function modes is empty");
    PyObject* mode = mode_stack.back();
    mode_stack.pop_back();
    --override_state.modes;
    return mode;
}
PyObject* mode_at(PyObject*, PyObject* index) {
    const Py_ssize_t i = PyLong_AsSsize_t(index);
    if (i == -1 && PyErr_Occurred()) return nullptr;
    if (i < 0 || size_t(i) >= mode_stack.size())
        return PyErr_Format(PyExc_IndexError, "no torch function mode at %zd", i);
    return Py_NewRef(mode_stack[size_t(i)]);
}
PyObject* mode_count(PyObject*, PyObject*) { return PyLong_FromSize_t(mode_stack.size()); }
PyObject* mode_enabled(PyObject*, PyObject*) {
    return PyBool_FromLong(override_state.modes && !override_state.disabled);
}
PyObject* is_enabled(PyObject*, PyObject*) {
    return PyBool_FromLong(!override_state.no_subclasses && !override_state.disabled);
}
PyObject* all_disabled(PyObject*, PyObject*) { return PyBool_FromLong(override_state.disabled); }

PyMethodDef functions[] = {
    {"_disabled_torch_function_impl", run_disabled, METH_VARARGS, "Runs a function without asking subclasses."},
    {"_has_torch_function", has_torch_function_of, METH_O, nullptr},
    {"_has_torch_function_unary", has_torch_function_of, METH_O, nullptr},
    {"_has_torch_function_variadic", as_method(has_torch_function), METH_FASTCALL, nullptr},
    {"_asks_outside", asks_outside_py, METH_O, "Whether a type or mode without `_sees_operators` is asked."},
    {"_handle_torch_function", as_method(handle_torch_function), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"_overloaded_args", overloaded_args, METH_O, nullptr},
    {"_redispatch_function", redispatch, METH_VARARGS, "Calls a function without asking for that call."},
    {"_push_on_torch_function_stack", push_mode, METH_O, nullptr},
    {"_pop_torch_function_stack", pop_mode, METH_NOARGS, nullptr},
    {"_get_function_stack_at", mode_at, METH_O, nullptr},
    {"_len_torch_function_stack", mode_count, METH_NOARGS, nullptr},
    {"_is_torch_function_mode_enabled", mode_enabled, METH_NOARGS, nullptr},
    {"_is_torch_function_enabled", is_enabled, METH_NOARGS, nullptr},
    {"_is_torch_function_all_disabled", all_disabled, METH_NOARGS, nullptr},
    {},
};

}  // namespace

bool type_overrides(PyTypeObject* type) {
    if (override_state.no_subclasses || type->tp_flags & Py_TPFLAGS_LONG_SUBCLASS) return false;
    PyObject* f = _PyType_Lookup(type, name_torch_function);
    return f && f != disabled_implementation;
}

bool asks_after_skip() {
    if (std::exchange(override_state.skip_next, false)) override_state.disabled = false;
    return false;
}

bool any_overrides(PyObject* const* args, Py_ssize_t n) {
    for (Py_ssize_t i = 0; i < n; ++i) {
        PyObject* o = args[i];
        if (is_list(o)) {
            for (Py_ssize_t k = 0; k < list_size(o); ++k)
                if (overrides(list_item(o, k))) return true;
        } else if (overrides(o)) {
            return true;
        }
    }
    return false;
}

PyObject* call_override(PyObject* function, const Arguments& a) {
    std::vector<PyObject*> found;
    collect_all(a.args, a.n + a.keywords(), found);
    const Ref args = checked(PyTuple_New(a.n));
    for (Py_ssize_t i = 0; i < a.n; ++i) PyTuple_SET_ITEM(args.get(), i, Py_NewRef(a.args[i]));
    const Ref kwargs = checked(PyDict_New());
    for (Py_ssize_t i = 0; i < a.keywords(); ++i)
        if (PyDict_SetItem(kwargs.get(), PyTuple_GET_ITEM(a.names, i), a.args[a.n + i]) < 0) throw PythonError{};
    return ask_all(function, found, args.get(), kwargs.get());
}

bool sees_operators(PyTypeObject* type) {
    static PyObject* const mark = PyUnicode_InternFromString("_sees_operators");
    return _PyType_Lookup(type, mark) != nullptr;
}

bool asks_outside(std::initializer_list<PyObject*> args) {
    const auto outside = [](PyObject* o) { return !sees_operators(Py_TYPE(o)); };
    // A call to be passed by (`skip_next`) is the operator's own.
    if (override_state.disabled) return false;
    if (override_state.modes && std::ranges::any_of(mode_stack, outside)) return true;
    return std::ranges::any_of(args, [&](PyObject* o) { return overrides(o) && outside(o); });
}

PyObject* call_method_override(const char* method, std::initializer_list<PyObject*> args) {
    return guarded([&] {
        const Ref function = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), method));
        return call_override(function.get(), {args.begin(), Py_ssize_t(args.size())});
    });
}

PyObject* call_property_override(PyObject* self, const char* property, const char* which, PyObject* value) {
    const Ref descriptor = checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), property));
    const Ref function = checked(PyObject_GetAttrString(descriptor.get(), which));
    PyObject* args[] = {self, value};
    return call_override(function.get(), {args, value ? 2 : 1});
}

bool is_exact_tensor(PyObject* o) { return is_tensor(o) && !overrides(o); }

void init_overrides(PyObject* module) {
    name_torch_function = checked(PyUnicode_InternFromString("__torch_function__")).detach();
    add_functions(module, functions);
    disabled_implementation = checked(PyObject_GetAttrString(module, "_disabled_torch_function_impl")).detach();
    add_switch(module, "flambeau._C.DisableTorchFunctionSubclass", "DisableTorchFunctionSubclass",
               subclass_switch_methods);
    add_switch(module, "flambeau._C.DisableTorchFunction", "DisableTorchFunction", full_switch_methods);
    add_switch(module, "flambeau._C._EnableTorchFunction", "_EnableTorchFunction", enable_methods);
}

}  // namespace fb::py
