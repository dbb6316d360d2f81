// Captured programs as Python sees them: the tracer, and the entry that answers calls which fit it.
#include <cmath>
#include "autograd/node.h"
#include "cpu/random.h"
#include "graph/recording.h"
#include "op/autocast.h"
#include "python/guards.h"
#include "python/override.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

using graph::EagerNode;
using graph::Program;
using graph::Recording;
using graph::Tracer;

// ---------------------------------------------------------------- modes
struct Modes {  // what decides how operators behave, beside their arguments
    bool grad, inference, on[2];
    DType lower[2], standard;
    int devices;
    bool operator==(const Modes&) const = default;
};
Modes modes_now() {
    const AutocastSetting cpu = autocast_setting(DeviceType::CPU), cuda = autocast_setting(DeviceType::CUDA);
    return {tls.grad,        tls.inference,       {cpu.enabled, cuda.enabled}, {cpu.dtype, cuda.dtype},
            default_dtype(), default_device_depth};
}
// Someone watches or changes the calls themselves: nothing may be skipped.
bool somebody_watches() {
    return override_state.modes || override_state.disabled || override_state.no_subclasses || SavedHooks::active ||
           SavedHooks::disabled || AnomalyMode::on;
}
bool must_run_plainly() { return somebody_watches() || (tls.modes & kTraceMode); }
PyObject* runs_plainly(PyObject*, PyObject*) { return PyBool_FromLong(must_run_plainly()); }
// No gradients and nobody who watches: calls may be made together. A recording for `compile` takes them as one step.
PyObject* calls_may_join(PyObject*, PyObject*) {
    return PyBool_FromLong(!tls.grad && (!tls.modes || (tls.modes == kTraceMode && !Tracer::one_must_be_readable())) &&
                           !somebody_watches());
}
PyObject* is_tracing(PyObject*, PyObject*) { return PyBool_FromLong(tls.modes & kTraceMode); }

PyObject* cannot_capture(PyObject*, PyObject* why) {
    return guarded([&] {
        const char* text = PyUnicode_AsUTF8(why);
        if (!text) throw PythonError{};
        watch_leak(text);
        return none();
    });
}

// ---------------------------------------------------------------- the shape of a call
struct Pattern {
    enum Kind : uint8_t { TensorLeaf, Tuple, List, Dict, Leaf };
    Kind kind = Leaf;
    PyTypeObject* type = nullptr;  // of containers and leaves; kept alive by the entry's `refs`
    PyObject* value = nullptr;     // of a Leaf
    std::vector<PyObject*> keys;   // of a Dict
    std::vector<Pattern> items;
    DType dtype = DType::f32;  // of a TensorLeaf
    Dims sizes, strides;
    bool needs_grad = false, inference = false, exact = false;
    int same_as = -1;  // an earlier tensor
};

class Refs {  // a Python list that owns
public:
    explicit Refs(PyObject* list) : list_(list) {}
    PyObject* keep(PyObject* o) const {
        if (PyList_Append(list_, o) < 0) throw PythonError{};
        return o;
    }

private:
    PyObject* list_;
};

bool is_tuple_of_items(PyObject* o) { return PyTuple_Check(o); }

Pattern describe(PyObject* o, const Refs& refs, std::vector<TensorImpl*>& tensors, std::vector<PyObject*>& others) {
    Pattern p;
    p.type = reinterpret_cast<PyTypeObject*>(refs.keep(reinterpret_cast<PyObject*>(Py_TYPE(o))));
    if (is_tensor(o)) {
        if (overrides(o)) raise(PyExc_NotImplementedError, "an argument is a tensor subclass with __torch_function__");
        TensorImpl* t = impl_of(o);
        if (t->device().type != DeviceType::CPU || t->layout != Layout::Strided)
            raise(PyExc_NotImplementedError, "an argument is not a dense tensor on the CPU");
        p.kind = Pattern::TensorLeaf;
        p.dtype = t->dtype;
        p.sizes = t->sizes;
        p.strides = t->strides;
        p.needs_grad = t->needs_grad();
        p.inference = t->inference;
        for (size_t i = 0; i < tensors.size(); ++i)
            if (tensors[i] == t && p.same_as < 0) p.same_as = int(i);
        tensors.push_back(t);
        return p;
    }
    if (is_tuple_of_items(o)) {
        p.kind = Pattern::Tuple;
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i)
            p.items.push_back(describe(PyTuple_GET_ITEM(o, i), refs, tensors, others));
        return p;
    }
    if (PyList_CheckExact(o)) {
        p.kind = Pattern::List;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i)
            p.items.push_back(describe(PyList_GET_ITEM(o, i), refs, tensors, others));
        return p;
    }
    if (PyDict_Check(o)) {
        p.kind = Pattern::Dict;
        Py_ssize_t at = 0;
        PyObject *key, *value;
        while (PyDict_Next(o, &at, &key, &value)) {
            p.keys.push_back(refs.keep(key));
            p.items.push_back(describe(value, refs, tensors, others));
        }
        return p;
    }
    p.value = refs.keep(o);
    others.push_back(o);
    return p;
}

bool fits(const Pattern& p, PyObject* o, std::vector<Tensor>& tensors) {
    switch (p.kind) {
        case Pattern::TensorLeaf: {
            if (Py_TYPE(o) != p.type) return false;
            TensorImpl* t = impl_of(o);
            if (t->dtype != p.dtype || t->needs_grad() != p.needs_grad || t->inference != p.inference ||
                !(t->sizes == p.sizes) || !(t->strides == p.strides) || t->device().type != DeviceType::CPU ||
                t->layout != Layout::Strided)
                return false;
            int same_as = -1;
            for (size_t i = 0; i < tensors.size() && same_as < 0; ++i)
                if (tensors[i].get() == t) same_as = int(i);
            if (same_as != p.same_as) return false;
            tensors.push_back(Tensor(t));
            return true;
        }
        case Pattern::Tuple:
            if (Py_TYPE(o) != p.type || size_t(PyTuple_GET_SIZE(o)) != p.items.size()) return false;
            for (size_t i = 0; i < p.items.size(); ++i)
                if (!fits(p.items[i], PyTuple_GET_ITEM(o, Py_ssize_t(i)), tensors)) return false;
            return true;
        case Pattern::List:
            if (Py_TYPE(o) != p.type || size_t(PyList_GET_SIZE(o)) != p.items.size()) return false;
            for (size_t i = 0; i < p.items.size(); ++i)
                if (!fits(p.items[i], PyList_GET_ITEM(o, Py_ssize_t(i)), tensors)) return false;
            return true;
        case Pattern::Dict: {
            if (Py_TYPE(o) != p.type || size_t(PyDict_GET_SIZE(o)) != p.items.size()) return false;
            Py_ssize_t at = 0;
            PyObject *key, *value;
            for (size_t i = 0; PyDict_Next(o, &at, &key, &value); ++i)
                if (i == p.items.size() || !same_value(key, p.keys[i]) || !fits(p.items[i], value, tensors))
                    return false;
            return true;
        }
        case Pattern::Leaf: return same_value(o, p.value);
    }
    return false;
}

// ---------------------------------------------------------------- results
struct Template {  // how a result is put together
    enum Kind : uint8_t { TensorLeaf, Tuple, List, Dict, Leaf };
    Kind kind = Leaf;
    int tensor = -1;
    PyObject* value = nullptr;  // a Leaf, or the type of a named tuple
    std::vector<PyObject*> keys;
    std::vector<Template> items;
};

Template take_apart(PyObject* o, const Refs& refs, std::vector<Tensor>& tensors) {
    Template t;
    if (is_tensor(o)) {
        if (overrides(o)) raise(PyExc_NotImplementedError, "a result is a tensor subclass with __torch_function__");
        t.kind = Template::TensorLeaf;
        t.tensor = int(tensors.size());
        tensors.push_back(unwrap(o));
        return t;
    }
    if (PyTuple_Check(o)) {
        t.kind = Template::Tuple;
        if (!PyTuple_CheckExact(o)) t.value = refs.keep(reinterpret_cast<PyObject*>(Py_TYPE(o)));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(o); ++i)
            t.items.push_back(take_apart(PyTuple_GET_ITEM(o, i), refs, tensors));
        return t;
    }
    if (PyList_CheckExact(o)) {
        t.kind = Template::List;
        for (Py_ssize_t i = 0; i < PyList_GET_SIZE(o); ++i)
            t.items.push_back(take_apart(PyList_GET_ITEM(o, i), refs, tensors));
        return t;
    }
    if (PyDict_CheckExact(o)) {
        t.kind = Template::Dict;
        Py_ssize_t at = 0;
        PyObject *key, *value;
        while (PyDict_Next(o, &at, &key, &value)) {
            t.keys.push_back(refs.keep(key));
            t.items.push_back(take_apart(value, refs, tensors));
        }
        return t;
    }
    if (o != Py_None && !PyBool_Check(o) && !PyLong_CheckExact(o) && !PyFloat_CheckExact(o) && !PyUnicode_CheckExact(o))
        raise(PyExc_NotImplementedError, "a result holds a " + type_name(o));
    t.value = refs.keep(o);
    return t;
}

PyObject* put_together(const Template& t, std::vector<Tensor>& tensors) {
    switch (t.kind) {
        case Template::TensorLeaf: return wrap(tensors[size_t(t.tensor)]);
        case Template::Tuple: {
            Ref r = checked(PyTuple_New(Py_ssize_t(t.items.size())));
            for (size_t i = 0; i < t.items.size(); ++i)
                PyTuple_SET_ITEM(r.get(), Py_ssize_t(i), checked(put_together(t.items[i], tensors)).detach());
            if (!t.value) return r.detach();
            // A named tuple takes its items one by one, a structure of the interpreter's kind as one sequence.
            const Ref make(PyObject_GetAttrString(t.value, "_make"));
            if (make) return PyObject_CallOneArg(make.get(), r.get());
            PyErr_Clear();
            return PyObject_CallOneArg(t.value, r.get());
        }
        case Template::List: {
            Ref r = checked(PyList_New(Py_ssize_t(t.items.size())));
            for (size_t i = 0; i < t.items.size(); ++i)
                PyList_SET_ITEM(r.get(), Py_ssize_t(i), checked(put_together(t.items[i], tensors)).detach());
            return r.detach();
        }
        case Template::Dict: {
            Ref r = checked(PyDict_New());
            for (size_t i = 0; i < t.items.size(); ++i) {
                const Ref v = checked(put_together(t.items[i], tensors));
                if (PyDict_SetItem(r.get(), t.keys[i], v.get()) < 0) throw PythonError{};
            }
            return r.detach();
        }
        case Template::Leaf: return Py_NewRef(t.value);
    }
    return nullptr;
}

// ---------------------------------------------------------------- an entry
struct EntryData {
    Pattern args, kwargs;
    Template result;
    Modes modes;
    Ptr<Program> program;
    Ptr<Recording> recording;        // once the forward is over
    std::unique_ptr<Tracer> tracer;  // until then
    std::vector<Tensor> inputs;      // while tracing

    // Why there is none, or nothing.
    std::string take_program() {
        if (recording->state.load(std::memory_order_acquire) != Recording::State::Ready) return recording->failure;
        program = std::move(recording->program);
        return {};
    }
};
struct EntryObject {
    PyObject_HEAD PyObject* refs;
    PyObject* guards;
    EntryData* data;
};
EntryObject* as_entry(PyObject* o) { return reinterpret_cast<EntryObject*>(o); }

// _Entry(args, kwargs, guards): the shape of this call.
PyObject* create(PyTypeObject* type, PyObject* args, PyObject*) {
    PyObject *positional, *named, *guards;
    if (!PyArg_ParseTuple(args, "O!O!O", &PyTuple_Type, &positional, &PyDict_Type, &named, &guards)) return nullptr;
    return guarded([&]() -> PyObject* {
        Ref self = checked(type->tp_alloc(type, 0));
        EntryObject* e = as_entry(self.get());
        e->refs = checked(PyList_New(0)).detach();
        e->guards = Py_NewRef(guards);
        e->data = new EntryData;
        const Refs refs(e->refs);
        std::vector<TensorImpl*> tensors;
        std::vector<PyObject*> others;
        e->data->args = describe(positional, refs, tensors, others);
        e->data->kwargs = describe(named, refs, tensors, others);
        e->data->modes = modes_now();
        for (TensorImpl* t : tensors) e->data->inputs.push_back(Tensor(t));
        return self.detach();
    });
}
int traverse(PyObject* o, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(o));
    Py_VISIT(as_entry(o)->refs);
    Py_VISIT(as_entry(o)->guards);
    return 0;
}
int clear(PyObject* o) {
    Py_CLEAR(as_entry(o)->guards);
    return 0;
}
void destroy(PyObject* o) {
    PyObject_GC_UnTrack(o);
    delete as_entry(o)->data;
    Py_XDECREF(as_entry(o)->refs);
    Py_XDECREF(as_entry(o)->guards);
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    Py_DECREF(type);
}

// start(tensors): begins to record; `tensors` are those that the program may reach without being given them.
PyObject* start(PyObject* self, PyObject* known) {
    return guarded([&] {
        EntryData& d = *as_entry(self)->data;
        d.tracer = std::make_unique<Tracer>();
        for (const Tensor& t : d.inputs) (void)d.tracer->add_input(t);
        const Ref list = checked(PySequence_Fast(known, "expected a sequence of tensors"));
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i)
            d.tracer->know(unwrap(PySequence_Fast_GET_ITEM(list.get(), i)));
        d.tracer->start();
        return none();
    });
}
PyObject* know(PyObject* self, PyObject* tensor) {
    if (auto& t = as_entry(self)->data->tracer) t->know(unwrap(tensor));
    return none();
}
PyObject* stop(PyObject* self, PyObject*) {
    if (auto& t = as_entry(self)->data->tracer) t->stop();
    return none();
}
PyObject* give_up(PyObject* self, PyObject*) {
    as_entry(self)->data->tracer.reset();
    as_entry(self)->data->inputs.clear();
    return none();
}

// Where the backward of a result ends: what was given and what the program holds.
struct Around {
    std::vector<Edge> ends;
    std::vector<const TensorImpl*> given;
    void add(const Tensor& t) {
        if (!t->needs_grad()) return;
        ends.push_back(gradient_edge(t));
        given.push_back(t.get());
    }
    bool is_result(const Tensor& t) const {
        return t->needs_grad() && std::find(given.begin(), given.end(), t.get()) == given.end();
    }
};

// finish(result, now): ends the forward. Returns (what the caller gets, why there is no program or None). Where a
// backward belongs to it, that of the caller is recorded when it runs, or with `now` one of ones at once.
PyObject* finish(PyObject* self, PyObject* args) {
    PyObject* result;
    int now;
    if (!PyArg_ParseTuple(args, "Op", &result, &now)) return nullptr;
    return guarded([&]() -> PyObject* {
        EntryData& d = *as_entry(self)->data;
        std::unique_ptr<Tracer> tracer = std::move(d.tracer);
        auto give = [&](PyObject* r, const std::string& why) -> PyObject* {
            const Ref owned(r), text(why.empty() ? Py_NewRef(Py_None) : PyUnicode_FromString(why.c_str()));
            return PyTuple_Pack(2, owned.get(), text.get());
        };
        auto same = [&](const std::string& why) { return give(Py_NewRef(result), why); };
        if (!tracer->failure().empty()) return same(tracer->failure());
        std::vector<Tensor> outputs;
        d.result = take_apart(result, Refs(as_entry(self)->refs), outputs);
        tracer->set_outputs(outputs);
        if (!tracer->failure().empty()) return same(tracer->failure());
        std::vector<Edge> roots, ends;
        tracer->end_forward(outputs, roots, ends);
        if (const char* why = graph::foreign_code(roots, ends)) return same(why);
        std::vector<Tensor> inputs = std::move(d.inputs);
        d.recording = Ptr<Recording>(new Recording);
        if (roots.empty()) {
            d.recording->complete(*tracer, inputs, outputs, tracer->seconds(), true);
            return same(d.take_program());
        }
        std::vector<bool> is_result;
        for (int seed : tracer->graph.seeds) is_result.push_back(seed != -1);
        std::vector<Tensor> replaced = outputs;
        const Ptr<Node> node = EagerNode::stand_before(d.recording, std::move(ends), replaced,
                                                       [&](size_t i) { return bool(is_result[i]); });
        auto& eager = static_cast<EagerNode&>(*node.get());
        eager.record(std::move(tracer), std::move(inputs), std::move(outputs));
        if (!now) return give(put_together(d.result, replaced), "");
        Grads ones;
        for (const ResultMeta& m : eager.results) {
            GradGuard off(false);
            ones.push_back(empty(m.sizes, m.dtype));
            (void)op<"fill_">(ones.back(), 1.0);
        }
        GradGuard off(false);
        (void)eager.apply(std::move(ones));
        return same(d.take_program());
    });
}

// What became of the recording: "ready", "waiting" (for a backward), "dropped" (there was none), or why it failed.
PyObject* state(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        EntryData& d = *as_entry(self)->data;
        if (d.program) return PyUnicode_FromString("ready");
        if (!d.recording) return PyUnicode_FromString("nothing was recorded");
        switch (d.recording->state.load(std::memory_order_acquire)) {
            case Recording::State::Waiting: return PyUnicode_FromString("waiting");
            case Recording::State::Dropped: return PyUnicode_FromString("dropped");
            case Recording::State::Failed: return PyUnicode_FromString(d.recording->failure.c_str());
            case Recording::State::Ready: break;
        }
        (void)d.take_program();
        return PyUnicode_FromString("ready");
    });
}

// time_backward(args, kwargs, result of an eager call): the result, its backward timed when it runs.
PyObject* time_backward(PyObject* self, PyObject* args) {
    PyObject *positional, *named, *result;
    if (!PyArg_ParseTuple(args, "OOO", &positional, &named, &result)) return nullptr;
    return guarded([&]() -> PyObject* {
        const EntryObject* e = as_entry(self);
        const EntryData& d = *e->data;
        std::vector<Tensor> inputs, outputs;
        if (!d.program || !tls.grad || !d.program->has_backward() || !fits(d.args, positional, inputs) ||
            !fits(d.kwargs, named, inputs))
            return Py_NewRef(result);
        const Ref refs = checked(PyList_New(0));
        const Template shape = take_apart(result, Refs(refs.get()), outputs);
        Around around;
        const graph::Graph& g = d.program->graph();
        for (int w : g.wanted) {
            const graph::Slot& s = g.slots[size_t(w)];
            around.add(s.origin == graph::Origin::Input ? inputs[size_t(s.index)] : s.held);
        }
        std::vector<Edge> roots;
        for (const Tensor& t : outputs)
            if (around.is_result(t)) roots.push_back(gradient_edge(t));
        if (roots.empty() || graph::foreign_code(roots, around.ends)) return Py_NewRef(result);
        const Around& ends = around;
        const std::vector<Tensor> before = outputs;
        (void)EagerNode::stand_before(d.recording, around.ends, outputs,
                                      [&](size_t i) { return ends.is_result(before[i]); });
        return put_together(shape, outputs);
    });
}

// The result, or NotImplemented where the call does not fit.
PyObject* call(PyObject* self, PyObject* const* args, Py_ssize_t n) {
    return guarded([&]() -> PyObject* {
        const EntryObject* e = as_entry(self);
        const EntryData& d = *e->data;
        if (n != 2 || !d.program) raise(PyExc_TypeError, "an entry is called with a tuple and a dict");
        std::vector<Tensor> inputs, outputs;
        if (must_run_plainly() || !(modes_now() == d.modes) || !fits(d.args, args[0], inputs) ||
            !fits(d.kwargs, args[1], inputs) || !d.program->inputs_fit(inputs) || !d.program->held_unchanged() ||
            !guards_hold(e->guards) || !d.program->run(inputs, outputs))
            Py_RETURN_NOTIMPLEMENTED;
        return put_together(d.result, outputs);
    });
}
// Does the call fit, without running it?
PyObject* fits_call(PyObject* self, PyObject* args) {
    PyObject *positional, *named;
    if (!PyArg_ParseTuple(args, "OO", &positional, &named)) return nullptr;
    return guarded([&]() -> PyObject* {
        const EntryObject* e = as_entry(self);
        const EntryData& d = *e->data;
        std::vector<Tensor> inputs;
        const bool ok = !must_run_plainly() && modes_now() == d.modes && fits(d.args, positional, inputs) &&
                        fits(d.kwargs, named, inputs) &&
                        (!d.program || (d.program->inputs_fit(inputs) && d.program->held_unchanged())) &&
                        guards_hold(e->guards);
        return PyBool_FromLong(ok);
    });
}
// (seconds of the compiled backward, of the engine's), None for one that did not run yet; None where there is none
PyObject* backward_times(PyObject* self, PyObject*) {
    const EntryData& d = *as_entry(self)->data;
    if (!d.program || !d.program->has_backward()) return none();
    auto time = [](double t) { return t > 1e8 ? none() : PyFloat_FromDouble(t); };
    return Py_BuildValue("(NN)", time(d.program->backward_seconds.load()),
                         time(d.recording->eager_backward_seconds.load()));
}
PyObject* text(PyObject* self, PyObject*) {
    return guarded([&] { return PyUnicode_FromString(as_entry(self)->data->program->text().c_str()); });
}
PyObject* sizes(PyObject* self, PyObject*) {
    const auto c = as_entry(self)->data->program->counts();
    return Py_BuildValue("(iii)", c.operators, c.steps, c.fused);
}

PyMethodDef methods[] = {
    {"start", start, METH_O, "Begins to record this thread's operator calls."},
    {"know", know, METH_O, "A tensor that the program may reach."},
    {"stop", stop, METH_NOARGS, "Stops recording."},
    {"give_up", give_up, METH_NOARGS, "Forgets what was recorded."},
    {"finish", finish, METH_VARARGS, "finish(result, now): (what the caller gets, why there is no program or None)."},
    {"state", state, METH_NOARGS, "'ready', 'waiting' for a backward, 'dropped', or why there is no program."},
    {"time_backward", time_backward, METH_VARARGS, "time_backward(args, kwargs, result): the result of an eager call."},
    {"call", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(call)), METH_FASTCALL,
     "call(args, kwargs): the result, or NotImplemented where the call does not fit."},
    {"fits", fits_call, METH_VARARGS, "fits(args, kwargs): would call() answer?"},
    {"backward_times", backward_times, METH_NOARGS, "(compiled, eager): the fastest so far, or None."},
    {"text", text, METH_NOARGS, "The program, one line a step."},
    {"sizes", sizes, METH_NOARGS, "(operators recorded, steps run, of these fusions)"},
    {},
};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("One captured path through a function.")},
    {0, nullptr},
};
PyType_Spec spec = {"flambeau._C._Entry", sizeof(EntryObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

// What the tracer notes is told to a Python function, which knows where the program is.
PyObject* listener = nullptr;
void tell(const char* what) {
    if (!listener) return;
    const PyGILState_STATE state = PyGILState_Ensure();
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (!Ref(PyObject_CallFunction(listener, "s", what))) PyErr_WriteUnraisable(listener);
    PyErr_Restore(type, value, traceback);
    PyGILState_Release(state);
}
PyObject* set_listener(PyObject*, PyObject* function) {
    Py_XDECREF(std::exchange(listener, Py_NewRef(function)));
    Tracer::on_event = tell;
    return none();
}

PyMethodDef functions[] = {
    {"_on_trace_event", set_listener, METH_O, "The function that is told of what a trace notes: 'failure', 'branch'."},
    {"_runs_plainly", runs_plainly, METH_NOARGS, "Must calls be made as they are, seen by somebody?"},
    {"_cannot_capture", cannot_capture, METH_O, "Says why the running capture, if there is one, cannot be used."},
    {"_calls_may_join", calls_may_join, METH_NOARGS, "Does nobody see how many calls are made?"},
    {"_is_tracing", is_tracing, METH_NOARGS, "Is this thread recording?"},
    {},
};

}  // namespace

void init_compile(PyObject* module) {
    init_guards(module);
    init_graph(module);
    add_type(module, "_Entry", make_type(spec));
    add_functions(module, functions);
}

}  // namespace fb::py
