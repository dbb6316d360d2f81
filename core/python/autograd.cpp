// Modes, the entry of backward, hooks of tensors, and what flambeau/autograd needs from the core.
#include <algorithm>
#include <exception>
#include <thread>
#include <unordered_set>
#include "autograd/anomaly.h"
#include "autograd/back.h"
#include "tensor/watch.h"
#include "python/node.h"
#include "python/override.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

// ---------------------------------------------------------------- modes
PyObject* is_grad_enabled(PyObject*, PyObject*) { return PyBool_FromLong(tls.grad); }
PyObject* set_grad_enabled(PyObject*, PyObject* on) {
    if (!PyBool_Check(on))
        return PyErr_Format(PyExc_TypeError, "set_grad_enabled(): argument 'enabled' (position 1) must be bool, not %s",
                            type_name(on).c_str());
    tls.grad = on == Py_True;
    return none();
}
PyObject* is_inference(PyObject*, PyObject*) { return PyBool_FromLong(tls.inference); }

struct InferenceMode {
    PyObject_HEAD bool on, grad_before, inference_before;
};
PyObject* inference_new(PyTypeObject* type, PyObject* args, PyObject*) {
    int on = 1;
    if (!PyArg_ParseTuple(args, "|p", &on)) return nullptr;
    PyObject* o = type->tp_alloc(type, 0);
    if (o) reinterpret_cast<InferenceMode*>(o)->on = on;
    return o;
}
PyObject* inference_enter(PyObject* self, PyObject*) {
    auto& m = *reinterpret_cast<InferenceMode*>(self);
    m.grad_before = tls.grad;
    m.inference_before = tls.inference;
    tls.inference = m.on;
    if (m.on) tls.grad = false;
    else if (m.inference_before) tls.grad = true;
    return none();
}
PyObject* inference_exit(PyObject* self, PyObject*) {
    auto& m = *reinterpret_cast<InferenceMode*>(self);
    tls.grad = m.grad_before;
    tls.inference = m.inference_before;
    return none();
}
PyMethodDef inference_methods[] = {
    {"__enter__", inference_enter, METH_NOARGS, nullptr}, {"__exit__", inference_exit, METH_VARARGS, nullptr}, {}};

// ---------------------------------------------------------------- anomaly mode
std::string python_stack() {
    const PyGILState_STATE state = PyGILState_Ensure();
    std::string text;
    const Ref traceback(PyImport_ImportModule("traceback"));
    const Ref lines(traceback ? PyObject_CallMethod(traceback.get(), "format_stack", nullptr) : nullptr);
    const Ref empty(PyUnicode_FromString(""));
    const Ref all(lines ? PyUnicode_Join(empty.get(), lines.get()) : nullptr);
    if (all) text = PyUnicode_AsUTF8(all.get());
    PyErr_Clear();
    PyGILState_Release(state);
    return text;
}
PyObject* set_anomaly_enabled(PyObject*, PyObject* args) {
    int on, check_nan = 1;
    if (!PyArg_ParseTuple(args, "p|p", &on, &check_nan)) return nullptr;
    set_anomaly_mode(on);
    AnomalyMode::check_nan = check_nan;
    return none();
}
PyObject* is_anomaly_enabled(PyObject*, PyObject*) { return PyBool_FromLong(AnomalyMode::on); }
PyObject* is_anomaly_check_nan_enabled(PyObject*, PyObject*) { return PyBool_FromLong(AnomalyMode::check_nan); }

// ---------------------------------------------------------------- saved-tensor hooks
struct HookPair {
    PyObject *pack, *unpack;
};
thread_local std::vector<HookPair> saved_hooks;
thread_local std::string disabled_text;

struct Packed {
    PyObject *unpack, *value;
};

std::shared_ptr<void> pack_tensor(const Tensor& t) {
    const HookPair pair = saved_hooks.back();
    const int active = SavedHooks::active;
    SavedHooks::active = 0;  // what the hook computes is not packed in turn
    const Ref arg = checked(wrap(t));
    const uint32_t version = t->version();
    PyObject* value = PyObject_CallFunctionObjArgs(pair.pack, arg.get(), nullptr);
    SavedHooks::active = active;
    if (!value) throw PythonError{};
    if (t->version() != version) {
        Py_DECREF(value);
        fail(ErrorKind::Runtime,
             "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook cannot "
             "be "
             "modified by in-place operations as this can lead to unexpected side-effects. Please open an issue if you "
             "need to perform in-place operations on the input to a pack hook.");
    }
    return std::shared_ptr<void>(new Packed{Py_NewRef(pair.unpack), value}, [](void* p) {
        auto* packed = static_cast<Packed*>(p);
        if (Py_IsInitialized()) {
            const PyGILState_STATE state = PyGILState_Ensure();
            Py_DECREF(packed->unpack);
            Py_DECREF(packed->value);
            PyGILState_Release(state);
        }
        delete packed;
    });
}
Tensor unpack_tensor(void* p) {
    const auto* packed = static_cast<Packed*>(p);
    const Ref r = checked(PyObject_CallFunctionObjArgs(packed->unpack, packed->value, nullptr));
    if (!is_tensor(r.get()))
        fail(ErrorKind::Type, "Output of saved tensor unpack_hook expected to be a Tensor but got result of type ",
             type_name(r.get()));
    return unwrap(r.get());
}
}  // namespace

SavedTensor packed_by(PyObject* pack, PyObject* unpack, const Tensor& t, bool is_result) {
    struct Pushed {
        explicit Pushed(HookPair pair) {
            saved_hooks.push_back(pair);
            SavedHooks::active = int(saved_hooks.size());
        }
        ~Pushed() {
            saved_hooks.pop_back();
            SavedHooks::active = int(saved_hooks.size());
        }
    } const pushed({pack, unpack});
    return SavedTensor(t, is_result);
}

namespace {

PyObject* push_saved_hooks(PyObject*, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject *pack, *unpack;
        if (!PyArg_ParseTuple(args, "OO", &pack, &unpack)) return nullptr;
        if (SavedHooks::disabled) fail(ErrorKind::Runtime, SavedHooks::disabled);
        saved_hooks.push_back({Py_NewRef(pack), Py_NewRef(unpack)});
        SavedHooks::active = int(saved_hooks.size());
        return none();
    });
}
PyObject* pop_saved_hooks(PyObject*, PyObject*) {
    if (saved_hooks.empty()) return PyErr_Format(PyExc_RuntimeError, "there are no saved tensor hooks to take off");
    const HookPair pair = saved_hooks.back();
    saved_hooks.pop_back();
    SavedHooks::active = int(saved_hooks.size());
    Py_DECREF(pair.pack);
    Py_DECREF(pair.unpack);
    return none();
}
PyObject* disable_saved_hooks(PyObject*, PyObject* text) {
    const char* s = PyUnicode_AsUTF8(text);
    if (!s) return nullptr;
    if (!saved_hooks.empty()) {
        PyErr_SetString(PyExc_RuntimeError, s);
        return nullptr;
    }
    disabled_text = s;
    return none();
}
PyObject* enable_saved_hooks(PyObject*, PyObject*) {
    disabled_text.clear();
    return none();
}
PyObject* disabled_message(PyObject*, PyObject*) {
    return disabled_text.empty() ? none() : PyUnicode_FromString(disabled_text.c_str());
}
PyObject* push_checked(PyObject* self, PyObject* args) {
    if (!disabled_text.empty()) return PyErr_Format(PyExc_RuntimeError, "%s", disabled_text.c_str());
    return push_saved_hooks(self, args);
}

// ---------------------------------------------------------------- backward
class Task;
thread_local Task* current_task = nullptr;
int64_t next_task = 0;

// A tensor, or a GradientEdge(node, output_nr, …).
Edge edge_of(PyObject* o, bool root, Py_ssize_t i) {
    if (is_tensor(o)) return gradient_edge(unwrap(o));
    if (PyTuple_Check(o) && PyTuple_GET_SIZE(o) >= 2) {
        int64_t nr;
        if (to_int(PyTuple_GET_ITEM(o, 1), nr)) return {unwrap_node(PyTuple_GET_ITEM(o, 0)), uint32_t(nr)};
    }
    if (!root) raise(PyExc_RuntimeError, "all inputs have to be Tensors or GradientEdges, but got " + type_name(o));
    raise(PyExc_TypeError, str("element ", i, " of tensors tuple is not a Tensor or a GradientEdge"));
}

// What hooks ask about the backward that they are called in.
class Task {
public:
    Task(const std::vector<Edge>& roots, const std::vector<Edge>& wanted, bool accumulates)
        : number(next_task++), roots_(roots), wanted_(wanted), accumulates_(accumulates), outer_(current_task) {
        current_task = this;
    }
    ~Task() { current_task = outer_; }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;

    bool reaches_all() const { return wanted_.empty(); }
    bool executes(const Node& node) const;
    // Called at the end; they may ask for more.
    void call_back() {
        for (size_t i = 0; i < callbacks.size(); ++i) {
            const Ref f = std::move(callbacks[i]);
            checked(PyObject_CallNoArgs(f.get()));
        }
    }

    const int64_t number;
    std::vector<Ref> callbacks;

private:
    const std::vector<Edge>&roots_, &wanted_;
    bool accumulates_;
    Task* outer_;
};

// Whether the node is reached from the roots and, where gradients of some tensors only are wanted, leads to one.
bool Task::executes(const Node& node) const {
    check(reaches_all() || accumulates_ || !node.is_accumulate(),
          "A leaf node was passed to _will_engine_execute_node but we are currently running autograd.grad(). "
          "This is currently not supported.");
    const auto reached = [](const Node* from, auto&& is_goal) {
        std::vector<const Node*> stack{from};
        std::unordered_set<const Node*> seen{from};
        while (!stack.empty()) {
            const Node* n = stack.back();
            stack.pop_back();
            if (is_goal(n)) return true;
            for (const Edge& e : n->next)
                if (e && seen.insert(e.node.get()).second) stack.push_back(e.node.get());
        }
        return false;
    };
    const auto is_node = [&](const Node* n) { return n == &node; };
    const auto is_wanted = [&](const Node* n) {
        return std::ranges::any_of(wanted_, [&](const Edge& e) { return e.node.get() == n; });
    };
    return std::ranges::any_of(roots_, [&](const Edge& e) { return e && reached(e.node.get(), is_node); }) &&
           (reaches_all() || reached(&node, is_wanted));
}

// The seed of a result of one element.
Tensor one_for(const Tensor& t) {
    check(t.numel() == 1 || !t.requires_grad(), "grad can be implicitly created only for scalar outputs");
    check(is_floating(t.dtype()), "grad can be implicitly created only for real scalar outputs but got torch.",
          name(t.dtype()));
    Tensor one = empty(t.sizes(), t.dtype(), t.device());
    if (!one.is_meta())
        visit_dtype(one.dtype(), [&](auto z) { std::fill_n(one.data<decltype(z)>(), one.numel(), decltype(z)(1)); });
    return one;
}

// Backward that a hook or a Function calls within backward, level on level, would end at the limit of Python's
// recursion: every kMostNested levels a thread of its own goes on, with a stack of its own.
constexpr int kMostNested = 60;
thread_local int nested_runs = 0;

std::vector<Tensor> run_nested(const std::vector<Edge>& roots, Grads seeds, const BackwardOptions& options,
                               const std::vector<Edge>& wanted = {}) {
    struct Level {
        Level() { ++nested_runs; }
        ~Level() { --nested_runs; }
    } const level;
    if (nested_runs <= kMostNested) return run_backward(roots, std::move(seeds), options, wanted);
    std::vector<Tensor> found;
    std::exception_ptr failure;
    Ref error[3];
    const auto go_on = [&, state = tls, task = current_task, hooks = saved_hooks, active = SavedHooks::active,
                        disabled = SavedHooks::disabled] {
        const PyGILState_STATE lock = PyGILState_Ensure();
        tls = state;
        current_task = task;
        saved_hooks = hooks;
        SavedHooks::active = active;
        SavedHooks::disabled = disabled;
        try {
            found = run_nested(roots, std::move(seeds), options, wanted);
        } catch (...) { failure = std::current_exception(); }
        PyObject *type, *value, *trace;  // Python's error belongs to this thread and must reach the caller's
        PyErr_Fetch(&type, &value, &trace);
        error[0] = Ref(type), error[1] = Ref(value), error[2] = Ref(trace);
        saved_hooks.clear();
        PyGILState_Release(lock);
    };
    PyThreadState* const here = PyEval_SaveThread();
    std::thread(go_on).join();
    PyEval_RestoreThread(here);
    if (error[0]) PyErr_Restore(error[0].detach(), error[1].detach(), error[2].detach());
    if (failure) std::rethrow_exception(failure);
    return found;
}

// t.backward() without arguments, the way every training step calls it; everything else goes to autograd.backward.
PyObject* tensor_backward(PyObject* self, PyObject* const* args, Py_ssize_t n, PyObject* names) {
    return guarded([&]() -> PyObject* {
        if (n || names || !is_exact_tensor(self) || override_state.modes) {
            static PyObject* kept_slow = nullptr;
            PyObject* const slow = kept_attribute(kept_slow, "flambeau._tensor", "_backward");
            Small<PyObject*, 8> all;
            all.push_back(self);
            for (Py_ssize_t i = 0; i < n + (names ? PyTuple_GET_SIZE(names) : 0); ++i) all.push_back(args[i]);
            return PyObject_Vectorcall(slow, all.data(), size_t(n + 1), names);
        }
        const Tensor& t = unwrap(self);
        const std::vector<Edge> roots{gradient_edge(t)};
        check(bool(roots[0]), "element 0 of tensors does not require grad and does not have a grad_fn");
        Grads seeds;
        seeds.push_back(one_for(t));
        const std::vector<Edge> all;
        Task task(roots, all, true);
        run_nested(roots, std::move(seeds), BackwardOptions{});
        task.call_back();
        return none();
    });
}
PyMethodDef backward_method{"backward", as_method(tensor_backward), METH_FASTCALL | METH_KEYWORDS,
                            "backward($self, gradient=None, retain_graph=None, create_graph=False, inputs=None)\n--\n\n"
                            "Adds the gradients of this tensor to the .grad of the leaves it depends on."};

PyObject* run_backward_py(PyObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        static const char* names[] = {"tensors", "grad_tensors",      "keep_graph",      "create_graph",
                                      "inputs",  "allow_unreachable", "accumulate_grad", nullptr};
        PyObject *tensors, *grads, *inputs = nullptr;
        int keep = 0, create = 0, unreachable = 0, accumulate = 0;
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOpp|Opp", const_cast<char**>(names), &tensors, &grads, &keep,
                                         &create, &inputs, &unreachable, &accumulate))
            return nullptr;
        const Ref t = checked(PySequence_Tuple(tensors)), g = checked(PySequence_Tuple(grads));
        const Ref in = inputs && inputs != Py_None
                           ? checked(is_tensor(inputs) ? PyTuple_Pack(1, inputs) : PySequence_Tuple(inputs))
                           : Ref();
        const Py_ssize_t n = PyTuple_GET_SIZE(t.get());
        if (PyTuple_GET_SIZE(g.get()) != n)
            fail(ErrorKind::Runtime, "got ", n, " tensors and ", PyTuple_GET_SIZE(g.get()), " gradients");
        std::vector<Edge> roots;
        Grads seeds;
        for (Py_ssize_t i = 0; i < n; ++i) {
            PyObject *x = PyTuple_GET_ITEM(t.get(), i), *seed = PyTuple_GET_ITEM(g.get(), i);
            Edge e = edge_of(x, true, i);
            check(bool(e), "element ", i, " of tensors does not require grad and does not have a grad_fn");
            if (seed != Py_None && !is_tensor(seed))
                raise(PyExc_TypeError, str("element ", i, " of gradients tuple is not a Tensor or None"));
            if (seed == Py_None) {
                check(is_tensor(x), "element ", i,
                      " of gradients tuple is None, but the corresponding Tensor requires grad");
                seeds.push_back(one_for(unwrap(x)));
            } else {
                seeds.push_back(unwrap(seed));
            }
            roots.push_back(std::move(e));
        }
        std::vector<Edge> wanted;
        if (in) {
            for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(in.get()); ++i) {
                PyObject* x = PyTuple_GET_ITEM(in.get(), i);
                if (is_tensor(x))
                    check(unwrap(x).requires_grad(), "One of the differentiated Tensors does not require grad");
                wanted.push_back(edge_of(x, false, i));
            }
        }
        BackwardOptions opt;
        opt.keep_graph = keep;
        opt.create_graph = create;
        opt.accumulate = accumulate;
        opt.allow_unreachable = unreachable;
        Task task(roots, wanted, accumulate);
        const std::vector<Tensor> captured = run_nested(roots, std::move(seeds), opt, wanted);
        if (accumulate) {
            // Gradients of inputs that are no leaves are added to their .grad as well.
            for (size_t i = 0; i < wanted.size(); ++i) {
                PyObject* x = PyTuple_GET_ITEM(in.get(), Py_ssize_t(i));
                if (wanted[i].node->is_accumulate() || !captured[i].defined() || !is_tensor(x)) continue;
                Tensor& grad = need_meta(*unwrap(x).get()).grad;
                grad = grad.defined() ? op<"add">(grad, captured[i]) : captured[i];
            }
            task.call_back();
            return none();
        }
        task.call_back();
        Ref r = checked(PyTuple_New(Py_ssize_t(wanted.size())));
        for (size_t i = 0; i < wanted.size(); ++i) {
            if (!captured[i].defined())
                check(unreachable, "The differentiated Tensor at index ", i,
                      " appears to not have been used in the graph. Set allow_unused=True "
                      "if this is the desired behavior.");
            PyTuple_SET_ITEM(r.get(), Py_ssize_t(i), checked(wrap(captured[i])).detach());
        }
        return r.detach();
    });
}

PyObject* current_graph_task(PyObject*, PyObject*) {
    return PyLong_FromLongLong(current_task ? current_task->number : -1);
}
PyObject* will_execute(PyObject*, PyObject* node) {
    return guarded([&] {
        check(current_task, "_get_should_execute_nodes should only be called during the backward pass");
        return PyBool_FromLong(current_task->executes(*unwrap_node(node)));
    });
}

// The object PyTorch's engine is reached by; it has no state.
PyObject* queue_callback(PyObject*, PyObject* callback) {
    return guarded([&] {
        check(current_task, "Final callbacks can only be installed during backward pass.");
        current_task->callbacks.push_back(Ref::borrow(callback));
        return none();
    });
}
PyObject* checkpoint_valid(PyObject*, PyObject*) {
    return PyBool_FromLong(!current_task || current_task->reaches_all());
}
PyMethodDef engine_methods[] = {
    {"run_backward", as_method(run_backward_py), METH_VARARGS | METH_KEYWORDS,
     "Sends gradients from tensors to the leaves."},
    {"queue_callback", queue_callback, METH_O, "Calls the function when the backward in progress is done."},
    {"is_checkpoint_valid", checkpoint_valid, METH_NOARGS, nullptr},
    {},
};

// ---------------------------------------------------------------- hooks of tensors
// _add_tensor_hooks(tensor, dict, kind): from now on the callables in the dict are called with the tensor's gradient.
PyObject* add_tensor_hooks(PyObject*, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject *o, *dict;
        int after;
        if (!PyArg_ParseTuple(args, "OOp", &o, &dict, &after)) return nullptr;
        check_type(is_tensor(o), "expected a tensor, got ", type_name(o));
        const Tensor& t = unwrap(o);
        const Ptr<Hook> hook(new DictHook(dict, after ? HookKind::PostAccumulate : HookKind::Gradient));
        track(o);
        if (Ptr<Node> fn = grad_fn(t)) {
            fn->need_hooks().tensor.push_back({t->output_nr, hook});
            return none();
        }
        AutogradMeta& m = need_meta(*t.get());
        if (after) {
            m.post_accumulate.push_back(hook);
            if (m.accumulator) m.accumulator->post_accumulate.push_back(hook);
        } else {
            m.hooks.push_back(hook);
            if (m.accumulator) m.accumulator->need_hooks().tensor.push_back({0, hook});
        }
        return none();
    });
}

// Keeps the gradient of a result: stores what passes.
class RetainHook final : public Hook {
public:
    explicit RetainHook(const Tensor& t) : tensor_(t.get()) {}
    void pre(Grads& in) override {
        if (!tensor_) return;
        Tensor& g = need_meta(*tensor_).grad;
        if (!g.defined()) g = tls.grad ? in[0] : op<"clone">(in[0]);
        else g = op<"add">(g, in[0]);
    }

    void forget() { tensor_ = nullptr; }

private:
    TensorImpl* tensor_;
};
// The node may outlive the tensor: this dies with the tensor and says so.
class RetainToken final : public Hook {
public:
    explicit RetainToken(Ptr<RetainHook> hook) : hook_(std::move(hook)) {}
    ~RetainToken() override { hook_->forget(); }

private:
    Ptr<RetainHook> hook_;
};
PyObject* retain_grad(PyObject*, PyObject* o) {
    return guarded([&] {
        check_type(is_tensor(o), "expected a tensor, got ", type_name(o));
        const Tensor& t = unwrap(o);
        check(t.requires_grad(), "can't retain_grad on Tensor that has requires_grad=False");
        const Ptr<Node> fn = grad_fn(t);
        AutogradMeta& m = need_meta(*t.get());
        if (!fn || m.retains_grad) return none();
        m.retains_grad = true;
        const Ptr<RetainHook> hook(new RetainHook(t));
        fn->need_hooks().retain.push_back({t->output_nr, hook});
        m.hooks.push_back(Ptr<Hook>(new RetainToken(hook)));
        return none();
    });
}

PyObject* increment_version(PyObject*, PyObject* tensors) {
    return guarded([&] {
        const Ref list = checked(PySequence_Tuple(tensors));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(list.get()); ++i) {
            PyObject* o = PyTuple_GET_ITEM(list.get(), i);
            check_type(is_tensor(o), "increment_version expects each element of the iterable to be a tensor");
            unwrap(o)->bump_version();
        }
        return none();
    });
}

// detach_() and friends need to cut history from Python methods.
PyObject* detach_inplace(PyObject*, PyObject* o) {
    return guarded([&] {
        check_type(is_tensor(o), "expected a tensor, got ", type_name(o));
        const Tensor& t = unwrap(o);
        check(!t->base,
              "Can't detach views in-place. Use detach() instead. If you are using DistributedDataParallel (DDP) for "
              "training, and gradient_as_bucket_view is set as True, gradients are views of DDP buckets, and hence "
              "detach_() cannot be called on "
              "these gradients. To fix this error, please refer to the Optimizer.zero_grad() function in "
              "torch/optim/optimizer.py as the solution.");
        if (t->grad_fn) {
            destroy_node(t->grad_fn);
            t->grad_fn = nullptr;
        }
        t->requires_grad = false;
        t->output_nr = 0;
        return Py_NewRef(o);
    });
}

// squeeze_, t_, transpose_, …: the tensor takes the shape and the history of a view of itself.
PyObject* take_view(PyObject*, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject *o, *v;
        if (!PyArg_ParseTuple(args, "OO", &o, &v)) return nullptr;
        check_type(is_tensor(o) && is_tensor(v), "expected two tensors");
        const Tensor &t = unwrap(o), &view = unwrap(v);
        check(t->storage == view->storage, "not a view of the tensor");
        if (tls.grad) check_inplace(t);
        if (watcher) [[unlikely]]
            watcher->reshaped(t, view);
        t->set_shape(view.sizes(), view.strides());
        t->offset = view->offset;
        if (tls.grad && view->grad_fn) set_history(t, Ptr<Node>(view->grad_fn), view->output_nr);
        t->bump_version();
        if (t->base) t->view_version = t->version() + 1;
        return Py_NewRef(o);
    });
}

// Forward mode is computed in Python; the core only keeps the switches.
thread_local bool forward_grad = true;
bool multithreading = true;
int dual_levels = 0;
PyObject* is_forward_grad(PyObject*, PyObject*) { return PyBool_FromLong(forward_grad); }
PyObject* set_forward_grad(PyObject*, PyObject* on) {
    forward_grad = PyObject_IsTrue(on) == 1;
    return none();
}
PyObject* is_multithreading(PyObject*, PyObject*) { return PyBool_FromLong(multithreading); }
PyObject* set_multithreading(PyObject*, PyObject* on) {
    multithreading = PyObject_IsTrue(on) == 1;
    return none();
}
PyObject* enter_dual_level(PyObject*, PyObject*) {
    if (dual_levels) return PyErr_Format(PyExc_RuntimeError, "Nested forward mode AD is not supported at the moment");
    return PyLong_FromLong(dual_levels++);
}
PyObject* exit_dual_level(PyObject*, PyObject*, PyObject*) {
    if (!dual_levels) return PyErr_Format(PyExc_RuntimeError, "there is no forward mode AD level to leave");
    --dual_levels;
    return none();
}

PyMethodDef functions[] = {
    {"_is_fwd_grad_enabled", is_forward_grad, METH_NOARGS, nullptr},
    {"_set_fwd_grad_enabled", set_forward_grad, METH_O, nullptr},
    {"_is_multithreading_enabled", is_multithreading, METH_NOARGS, nullptr},
    {"_set_multithreading_enabled", set_multithreading, METH_O, nullptr},
    {"_enter_dual_level", enter_dual_level, METH_NOARGS, nullptr},
    {"_exit_dual_level", as_method(exit_dual_level), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"is_grad_enabled", is_grad_enabled, METH_NOARGS,
     "is_grad_enabled($module)\n--\n\nWhether operations are recorded in this thread."},
    {"_set_grad_enabled", set_grad_enabled, METH_O, nullptr},
    {"is_inference_mode_enabled", is_inference, METH_NOARGS,
     "is_inference_mode_enabled($module)\n--\n\nWhether this thread is in inference mode."},
    {"set_anomaly_enabled", set_anomaly_enabled, METH_VARARGS, nullptr},
    {"is_anomaly_enabled", is_anomaly_enabled, METH_NOARGS, nullptr},
    {"is_anomaly_check_nan_enabled", is_anomaly_check_nan_enabled, METH_NOARGS, nullptr},
    {"_run_backward", as_method(run_backward_py), METH_VARARGS | METH_KEYWORDS, nullptr},
    {"_current_graph_task_id", current_graph_task, METH_NOARGS, nullptr},
    {"_will_engine_execute_node", will_execute, METH_O, nullptr},
    {"_add_tensor_hooks", add_tensor_hooks, METH_VARARGS, nullptr},
    {"_retain_grad", retain_grad, METH_O, nullptr},
    {"_increment_version", increment_version, METH_O, nullptr},
    {"_detach_", detach_inplace, METH_O, nullptr},
    {"_take_view", take_view, METH_VARARGS, nullptr},
    {},
};
PyMethodDef saved_hook_functions[] = {
    {"_push_saved_tensors_default_hooks", push_checked, METH_VARARGS, nullptr},
    {"_pop_saved_tensors_default_hooks", pop_saved_hooks, METH_NOARGS, nullptr},
    {"_saved_tensors_hooks_disable", disable_saved_hooks, METH_O, nullptr},
    {"_saved_tensors_hooks_enable", enable_saved_hooks, METH_NOARGS, nullptr},
    {"_saved_tensors_hooks_get_disabled_error_message", disabled_message, METH_NOARGS, nullptr},
    {},
};

}  // namespace

// ---------------------------------------------------------------- for the cyclic collector
static int visit_hook(const Ptr<Hook>& h, visitproc visit, void* arg) {
    if (auto* d = dynamic_cast<DictHook*>(h.get()); d && h->use_count() == 1) Py_VISIT(d->dict);
    return 0;
}
int visit_autograd(const TensorImpl& t, visitproc visit, void* arg) {
    if (t.meta && !t.meta->accumulator) {
        for (auto& h : t.meta->hooks)
            if (const int r = visit_hook(h, visit, arg)) return r;
        for (auto& h : t.meta->post_accumulate)
            if (const int r = visit_hook(h, visit, arg)) return r;
    }
    if (t.grad_fn && t.grad_fn->use_count() == 1) {
        if (t.grad_fn->hooks)
            for (auto& h : t.grad_fn->hooks->tensor)
                if (const int r = visit_hook(h.hook, visit, arg)) return r;
        if (auto* c = dynamic_cast<CustomNode*>(t.grad_fn)) Py_VISIT(c->ctx);
    }
    return 0;
}
void clear_autograd(TensorImpl& t) {
    if (t.meta && !t.meta->accumulator) {
        t.meta->hooks.clear();
        t.meta->post_accumulate.clear();
    }
    if (t.grad_fn && t.grad_fn->use_count() == 1 && t.grad_fn->hooks) t.grad_fn->hooks->tensor.clear();
}

void init_autograd(PyObject* module) {
    AnomalyMode::traceback = python_stack;
    SavedHooks::pack = pack_tensor;
    SavedHooks::unpack = unpack_tensor;
    add_functions(module, functions);
    PyObject* hooks = checked(PyModule_New("flambeau._C._autograd")).detach();
    add_object(module, "_autograd", hooks);
    add_functions(hooks, saved_hook_functions);
    auto add = [&](const char* full, const char* name, size_t size, newfunc make, PyMethodDef* methods) {
        PyType_Slot slots[] = {{Py_tp_new, reinterpret_cast<void*>(make)}, {Py_tp_methods, methods}, {0, nullptr}};
        PyType_Spec spec{full, int(size), 0, Py_TPFLAGS_DEFAULT, slots};
        add_type(module, name, make_type(spec));
    };
    add("flambeau._C._InferenceMode", "_InferenceMode", sizeof(InferenceMode), inference_new, inference_methods);
    add("flambeau._C._ImperativeEngine", "_ImperativeEngine", sizeof(PyObject), PyType_GenericNew, engine_methods);
    add_object(reinterpret_cast<PyObject*>(tensor_type), "backward", PyDescr_NewMethod(tensor_type, &backward_method));
    init_nodes(module);
}

}  // namespace fb::py
