// __torch_dispatch__: Python code that sees each operator below autograd, in the order in which kernels run. Modes are
// asked first, the innermost at the top, then subclasses among the arguments. Operators that are made of others and
// have no derivative of their own are taken apart before.
#include "op/dispatch.h"
#include <map>
#include "python/operators.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

PyObject* name_dispatch;
PyObject* disabled_dispatch;  // what a class sets that does not want to be asked
int64_t subclasses_ask = 0;   // tensors of classes with __torch_dispatch__

struct DispatchState {
    PyObject* modes = nullptr;  // a tuple of those that are asked, innermost last; null: none
    int counting = -1;          // >= 0: operators inside the one that is looked at
    bool disabled = false;      // subclasses are not asked
};
constinit thread_local DispatchState state;

Py_ssize_t mode_count() { return state.modes ? PyTuple_GET_SIZE(state.modes) : 0; }

void refresh() {
    const bool on = mode_count() > 0 || (subclasses_ask && !state.disabled) || state.counting >= 0;
    tls.modes = uint8_t(on ? tls.modes | kPythonMode : tls.modes & ~kPythonMode);
}

// While Python code works: no gradients are recorded, autocast is over, the mode that works is not asked again.
class AtWork {
public:
    explicit AtWork(bool a_mode) : bits_(tls.modes), modes_(state.modes), disabled_(state.disabled) {
        state.modes = Py_XNewRef(modes_);
        if (a_mode) Py_SETREF(state.modes, checked(PyTuple_GetSlice(modes_, 0, mode_count() - 1)).detach());
        tls.modes &= uint8_t(~kAutocastMode);
        refresh();
    }
    ~AtWork() {
        Py_XSETREF(state.modes, modes_);
        state.disabled = disabled_;
        tls.modes = bits_;
    }
    AtWork(const AtWork&) = delete;
    AtWork& operator=(const AtWork&) = delete;

private:
    GradGuard no_grad_{false};
    uint8_t bits_;
    PyObject* modes_;
    bool disabled_;
};

template <class F>
void each_tensor(const Op& op, const Frame& f, F&& look) {
    for (size_t i = 0; i < op.schema.args.size(); ++i) {
        if (f.args[i].is_tensor()) look(f.args[i].tensor());
        else if (f.args[i].tag == Tag::Tensors)
            for (const Tensor& t : f.args[i].tensors())
                if (t.defined()) look(t);
    }
    for (size_t i = 0; f.given && !f.inplace && i < op.schema.return_kinds.size(); ++i)
        if (f.given[i].defined()) look(f.given[i]);
}

// ---------------------------------------------------------------- made of other operators?
// The arguments of a call without their data.
struct Shapes {
    std::vector<Value> args;
    std::vector<Tensor> tensors;  // their places do not move
    std::vector<std::vector<Tensor>> lists;

    Shapes(const Op& op, const Value* from) : args(from, from + op.schema.args.size()) {
        tensors.reserve(args.size());
        lists.reserve(args.size());
        for (Value& v : args) {
            if (v.is_tensor()) {
                v = tensors.emplace_back(of(v.tensor()));
            } else if (v.tag == Tag::Tensors) {
                std::vector<Tensor>& l = lists.emplace_back();
                for (const Tensor& t : v.tensors()) l.push_back(t.defined() ? of(t) : t);
                v = l;
            }
        }
    }
    static Tensor of(const Tensor& t) { return empty_strided(t.sizes(), t.strides(), t.dtype(), kMeta); }
};

bool is_factory(const Op& op) { return op.schema.name.ends_with("_like") || op.schema.name.starts_with("new_"); }

// What has a derivative, writes, draws random numbers or takes no tensors stands for itself. Of the rest, a run with
// shapes alone shows whether others are called inside.
bool is_composite(const Op& op, const Frame& f) {
    if (op.derivative.exists() || is_defined_in_python(op)) return false;
    bool tensors = false;
    each_tensor(op, f, [&](const Tensor&) { tensors = true; });
    if (!tensors || f.given || f.inplace || op.only_inplace || op.is_view) return false;
    if (is_factory(op)) return false;
    for (const Arg& a : op.schema.args)
        if (a.kind == Kind::Generator || a.mutated) return false;
    static auto* known = new std::map<const Op*, bool>;
    if (const auto i = known->find(&op); i != known->end()) return i->second;

    const bool unusual = unusual_tensors;  // what is made here is soon gone
    const int before = std::exchange(state.counting, 0);
    bool same = false, ran = false;  // it gave its argument back: there is nothing to see
    try {
        const AtWork guard(false);
        const Shapes shapes(op, f.args);
        Frame trial(op, shapes.args.data());
        run_own_kernel(op, trial);
        same = shapes.args[0].is_tensor() && trial.result[0].get() == shapes.args[0].tensor_ptr;
        ran = true;
    } catch (const PythonError&) {  // it needs data
        PyErr_Clear();
    } catch (const Error&) {}
    unusual_tensors = unusual;
    const int inside = std::exchange(state.counting, before);
    refresh();
    if (same && !inside) return true;
    if (ran || inside) known->emplace(&op, inside > 0);
    return inside > 0;
}

// What is not tried out may be a composite too, whose gradient only its parts record.
bool needs_parts(const Op& op, const Frame& f) {
    if (op.derivative.exists() || !tls.grad || is_factory(op)) return false;
    bool tried = !f.inplace && !op.only_inplace, any = false;
    for (const Arg& a : op.schema.args) tried &= a.kind != Kind::Generator && !a.mutated;
    if (!tried) each_tensor(op, f, [&](const Tensor& t) { any |= t->needs_grad(); });
    return any;
}

// ---------------------------------------------------------------- asking
enum Variant : int { kPlain, kInplace, kOut, kNumber };

// torch.ops.aten.<name>.<overload> of a call.
PyObject* overload_of(const Op& op, const Frame& f) {  // borrowed
    int variant = f.inplace ? kInplace : f.given ? kOut : kPlain;
    for (size_t i = 1; variant == kPlain && i < op.schema.args.size(); ++i)
        if (op.schema.args[i].kind == Kind::Operand && f.args[i].is_number()) variant = kNumber;
    static auto* known = new std::map<std::pair<const Op*, int>, PyObject*>;
    PyObject*& o = (*known)[{&op, variant}];
    if (!o) {
        const Ref find = checked(import_attribute("flambeau._ops", "overload_of"));
        o = checked(PyObject_CallFunction(find.get(), "si", op.schema.full_name().c_str(), variant)).detach();
    }
    return o;
}

void collect(const Tensor& t, std::vector<PyObject*>& found) {
    auto* object = static_cast<PyObject*>(t->object);
    if (!object || !type_dispatches(Py_TYPE(object))) return;
    for (PyObject* o : found)
        if (Py_TYPE(o) == Py_TYPE(object)) return;
    size_t at = found.size();
    for (size_t i = 0; i < found.size(); ++i)
        if (PyType_IsSubtype(Py_TYPE(object), Py_TYPE(found[i]))) {
            at = i;
            break;
        }
    found.insert(found.begin() + long(at), object);
}

void give_results(const Op& op, Frame& f, PyObject* r, bool grad) {
    if (f.inplace || (op.only_inplace && f.args[0].is_tensor())) {
        f.result[0] = f.args[0].tensor();
        f.n = 1;
        return;
    }
    take_results(op, r, f);
    for (int i = 0; f.given && i < f.n; ++i)
        if (f.given[i].defined()) f.result[i] = f.given[i];
    if (!op.is_view || !f.args[0].is_tensor()) return;
    auto see = [&](const Tensor& t) {  // made without gradients, but not by the caller's wish
        if (t.defined() && t->base) t->view_of_no_grad = !grad || f.args[0].tensor()->view_of_no_grad;
    };
    for (const Tensor& t : f.list) see(t);
    see(f.result[0]);
}

// What `register_torch_dispatch` put in the place of a class's method; null: nothing.
Ref own_rule(const Op& op, PyObject* function, PyTypeObject* type) {
    if (!is_defined_in_python(op)) return {};
    Ref rule = checked(PyObject_CallMethod(function, "_rule_for", "O", type));
    return rule.get() == Py_None ? Ref() : std::move(rule);
}

void ask(const Op& op, Frame& f) {
    if (state.counting >= 0) {
        ++state.counting;
        return run_own_kernel(op, f);
    }
    const PyGILState_STATE lock = PyGILState_Ensure();
    struct Unlock {
        PyGILState_STATE lock;
        ~Unlock() { PyGILState_Release(lock); }
    } const unlock{lock};
    std::vector<PyObject*> found;
    if (subclasses_ask && !state.disabled) each_tensor(op, f, [&](const Tensor& t) { collect(t, found); });
    if ((!mode_count() && found.empty()) || needs_parts(op, f) || is_composite(op, f)) {
        if (unusual_tensors && op.derivative.exists()) check_devices(op, f);
        return run_own_kernel(op, f);
    }

    const bool grad = tls.grad;
    PyObject* function = overload_of(op, f);
    Ref args, kwargs;
    call_arguments(op, f, args, kwargs);
    const Ref types = checked(PyTuple_New(Py_ssize_t(found.size())));
    for (size_t i = 0; i < found.size(); ++i)
        PyTuple_SET_ITEM(types.get(), Py_ssize_t(i), Py_NewRef(reinterpret_cast<PyObject*>(Py_TYPE(found[i]))));
    Ref result;
    if (mode_count()) {
        const Ref mode = Ref::borrow(PyTuple_GET_ITEM(state.modes, mode_count() - 1));
        const AtWork guard(true);
        const Ref rule = own_rule(op, function, Py_TYPE(mode.get()));
        result = checked(rule ? PyObject_CallFunctionObjArgs(rule.get(), mode.get(), function, types.get(), args.get(),
                                                             kwargs.get(), nullptr)
                              : PyObject_CallMethodObjArgs(mode.get(), name_dispatch, function, types.get(), args.get(),
                                                           kwargs.get(), nullptr));
    }
    for (size_t i = 0; i < found.size() && (!result || result.get() == Py_NotImplemented); ++i) {
        const AtWork guard(false);
        const Ref method = checked(PyObject_GetAttr(reinterpret_cast<PyObject*>(Py_TYPE(found[i])), name_dispatch));
        result = checked(
            PyObject_CallFunctionObjArgs(method.get(), function, types.get(), args.get(), kwargs.get(), nullptr));
    }
    if (!result || result.get() == Py_NotImplemented) {
        const Ref name = checked(PyObject_Str(function));
        raise(PyExc_TypeError, str("Multiple dispatch failed for '", PyUnicode_AsUTF8(name.get()),
                                   "'; all __torch_dispatch__ handlers returned NotImplemented"));
    }
    give_results(op, f, result.get(), grad);
}

// ---------------------------------------------------------------- for Python code
PyObject* push_mode(PyObject*, PyObject* mode) {
    return guarded([&] {
        const Py_ssize_t n = mode_count();
        Ref more = checked(PyTuple_New(n + 1));
        for (Py_ssize_t i = 0; i < n; ++i) PyTuple_SET_ITEM(more.get(), i, Py_NewRef(PyTuple_GET_ITEM(state.modes, i)));
        PyTuple_SET_ITEM(more.get(), n, Py_NewRef(mode));
        Py_XSETREF(state.modes, more.detach());
        refresh();
        return none();
    });
}
PyObject* pop_mode(PyObject*, PyObject*) {
    return guarded([&] {
        const Py_ssize_t n = mode_count();
        if (!n) raise(PyExc_AssertionError, "the stack of torch dispatch modes is empty");
        Ref mode = Ref::borrow(PyTuple_GET_ITEM(state.modes, n - 1));
        Py_SETREF(state.modes, checked(PyTuple_GetSlice(state.modes, 0, n - 1)).detach());
        refresh();
        return mode.detach();
    });
}
PyObject* mode_stack(PyObject*, PyObject*) { return state.modes ? Py_NewRef(state.modes) : PyTuple_New(0); }
// (modes, subclasses are not asked?) -> what it was before
PyObject* set_asked(PyObject*, PyObject* args) {
    PyObject* modes;
    int disabled;
    if (!PyArg_ParseTuple(args, "O!p", &PyTuple_Type, &modes, &disabled)) return nullptr;
    return guarded([&] {
        Ref before = checked(mode_stack(nullptr, nullptr));
        const bool was = state.disabled;
        Py_XSETREF(state.modes, Py_NewRef(modes));
        state.disabled = disabled;
        refresh();
        return Py_BuildValue("(NO)", before.detach(), was ? Py_True : Py_False);
    });
}
PyObject* run_disabled(PyObject*, PyObject* args) {
    PyObject *function, *types, *call_args = nullptr, *kwargs = nullptr;
    if (!PyArg_ParseTuple(args, "OO|OO", &function, &types, &call_args, &kwargs)) return nullptr;
    return guarded([&] {
        const Ref tuple = checked(call_args ? PySequence_Tuple(call_args) : PyTuple_New(0));
        const AtWork guard(false);
        state.disabled = true;
        refresh();
        return checked(PyObject_Call(function, tuple.get(), kwargs && kwargs != Py_None ? kwargs : nullptr)).detach();
    });
}

PyMethodDef functions[] = {
    {"_push_on_torch_dispatch_stack", push_mode, METH_O, nullptr},
    {"_pop_torch_dispatch_stack", pop_mode, METH_NOARGS, nullptr},
    {"_torch_dispatch_stack", mode_stack, METH_NOARGS, "The modes that are asked, innermost last."},
    {"_set_torch_dispatch_asked", set_asked, METH_VARARGS, nullptr},
    {"_disabled_torch_dispatch_impl", run_disabled, METH_VARARGS, "Runs a function without asking subclasses."},
    {},
};

}  // namespace

bool type_dispatches(PyTypeObject* type) {
    if (type == tensor_type) return false;
    PyObject* f = _PyType_Lookup(type, name_dispatch);
    return f && f != disabled_dispatch;
}

PyObject* ask_subclass(PyObject* tensor) {
    if (!type_dispatches(Py_TYPE(tensor))) return tensor;
    as_tensor_object(tensor)->asked = true;
    ++subclasses_ask;
    refresh();
    return tensor;
}
void subclass_gone() {
    --subclasses_ask;
    refresh();
}

void init_dispatch(PyObject* module) {
    name_dispatch = checked(PyUnicode_InternFromString("__torch_dispatch__")).detach();
    python_mode = ask;
    add_functions(module, functions);
    disabled_dispatch = checked(PyObject_GetAttrString(module, "_disabled_torch_dispatch_impl")).detach();
}

}  // namespace fb::py
