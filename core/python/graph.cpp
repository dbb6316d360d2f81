// A traced graph as Python sees it: lists and names that can be written to a file, and running it.
#include "graph/formula.h"
#include "graph/graph.h"
#include "graph/program.h"
#include "graph/trace.h"
#include "python/guards.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

using graph::Argument;
using graph::Graph;
using graph::Origin;
using graph::Slot;
using graph::Step;
using graph::Tracer;

struct GraphObject {
    PyObject_HEAD Graph* graph;
    Tracer* tracer;  // while tracing
};
PyTypeObject* graph_type = nullptr;
GraphObject* as_graph(PyObject* o) { return reinterpret_cast<GraphObject*>(o); }

PyObject* create(PyTypeObject* type, PyObject*, PyObject*) {
    PyObject* o = type->tp_alloc(type, 0);
    if (o) as_graph(o)->graph = new Graph;
    return o;
}
void destroy(PyObject* o) {
    delete as_graph(o)->graph;
    delete as_graph(o)->tracer;
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    Py_DECREF(type);
}

std::vector<Tensor> tensors_of(PyObject* sequence) {
    const Ref list = checked(PySequence_Fast(sequence, "expected a sequence of tensors"));
    std::vector<Tensor> r;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i) {
        PyObject* o = PySequence_Fast_GET_ITEM(list.get(), i);
        if (!is_tensor(o)) raise(PyExc_TypeError, "expected a tensor, not " + type_name(o));
        r.push_back(unwrap(o));
    }
    return r;
}
PyObject* list_of(std::span<const Tensor> tensors) {
    Ref r = checked(PyList_New(Py_ssize_t(tensors.size())));
    for (size_t i = 0; i < tensors.size(); ++i)
        PyList_SET_ITEM(r.get(), Py_ssize_t(i), checked(wrap(tensors[i])).detach());
    return r.detach();
}
template <class T, class F>
PyObject* list_from(const T& items, F&& convert) {
    Ref r = checked(PyList_New(0));
    for (const auto& x : items) {
        const Ref one = checked(convert(x));
        if (PyList_Append(r.get(), one.get()) < 0) throw PythonError{};
    }
    return r.detach();
}
PyObject* ints(std::span<const int> v) {
    return list_from(v, [](int i) { return PyLong_FromLong(i); });
}

// ---------------------------------------------------------------- tracing
// start(inputs, known, keep=False): what runs from here on is recorded; values that leave the graph become constants,
// copies of what they are or with `keep` the tensors themselves.
PyObject* start(PyObject* self, PyObject* args) {
    PyObject *inputs, *known;
    int keep = 0;
    if (!PyArg_ParseTuple(args, "OO|p", &inputs, &known, &keep)) return nullptr;
    return guarded([&] {
        auto t = std::make_unique<Tracer>();
        t->lenient = true;
        t->keeps_constants = keep;
        for (const Tensor& x : tensors_of(inputs)) (void)t->add_input(x);
        for (const Tensor& x : tensors_of(known)) t->know(x);
        t->start();
        delete as_graph(self)->tracer;
        as_graph(self)->tracer = t.release();
        return none();
    });
}
PyObject* steps_so_far(PyObject*, PyObject*) { return PyLong_FromLongLong(Tracer::steps_so_far()); }
PyObject* stop(PyObject* self, PyObject*) {
    as_graph(self)->tracer->stop();
    return none();
}
// finish(outputs) -> (problem or None, warning or None)
PyObject* finish(PyObject* self, PyObject* outputs) {
    return guarded([&] {
        const std::unique_ptr<Tracer> t(std::exchange(as_graph(self)->tracer, nullptr));
        t->set_outputs(tensors_of(outputs));
        t->graph.forward_steps = t->graph.steps.size();
        t->finish();
        if (!t->failure().empty()) return Py_BuildValue("(sO)", t->failure().c_str(), Py_None);
        for (Slot& s : t->graph.slots) {
            if (s.origin == Origin::Held && !s.held.defined()) s.held = s.sample;
            s.sample = {};
        }
        *as_graph(self)->graph = std::move(t->graph);
        return t->baked().empty() ? Py_BuildValue("(OO)", Py_None, Py_None)
                                  : Py_BuildValue("(Os)", Py_None, t->baked().c_str());
    });
}

// ---------------------------------------------------------------- as lists
PyObject* write_number(const Scalar& s) { return wrap(s); }

PyObject* write_argument(const Argument& a) {
    auto tagged = [](const char* tag, PyObject* stolen) { return Py_BuildValue("[sN]", tag, stolen); };
    const Value& v = a.value;
    switch (v.tag) {
        case Tag::Tensor: return tagged("tensor", PyLong_FromLong(a.slots[0]));
        case Tag::Tensors: return tagged("tensors", ints(a.slots.span()));
        case Tag::None: return tagged("none", none());
        case Tag::Bool: return tagged("bool", PyBool_FromLong(v.b));
        case Tag::Int: return tagged("int", PyLong_FromLongLong(v.i));
        case Tag::Double: return tagged("float", PyFloat_FromDouble(v.d));
        case Tag::Complex: return tagged("complex", Py_BuildValue("[dd]", double(v.c.re), double(v.c.im)));
        case Tag::Ints: return tagged("ints", list_from(v.ints(), [](int64_t i) { return PyLong_FromLongLong(i); }));
        case Tag::Doubles:
            return tagged("floats", list_from(v.doubles(), [](double d) { return PyFloat_FromDouble(d); }));
        case Tag::Bools: return tagged("bools", list_from(v.bools(), [](bool b) { return PyBool_FromLong(b); }));
        case Tag::Scalars: return tagged("numbers", list_from(v.scalars(), write_number));
        case Tag::String: return tagged("str", PyUnicode_FromStringAndSize(v.chars, Py_ssize_t(v.len)));
        case Tag::DType: return tagged("dtype", PyLong_FromLong(int(v.dt)));
        case Tag::Layout: return tagged("layout", PyLong_FromLong(int(v.layout_v)));
        case Tag::Device: return tagged("device", Py_BuildValue("[ii]", int(v.device_v.type), int(v.device_v.index)));
        case Tag::Format: return tagged("format", PyLong_FromLong(int(v.format_v)));
        case Tag::Generator: break;
    }
    raise(PyExc_NotImplementedError, "a traced program cannot keep a random generator");
}

// [[name of the operator, arguments, given, in place?, results, is a list?], …]; a node's formulas have no name, and
// what comes in and what was saved for arguments
PyObject* steps(PyObject* self, PyObject*) {
    return guarded([&] {
        return list_from(as_graph(self)->graph->steps, [](const Step& s) {
            const std::string name = s.op ? s.op->schema.full_name() : "";
            return Py_BuildValue("[sNNONO]", name.c_str(), list_from(s.args, write_argument), ints(s.given.span()),
                                 s.inplace ? Py_True : Py_False, ints(s.results.span()), s.list ? Py_True : Py_False);
        });
    });
}
// {"slots": how many, "inputs": slots, "outputs": slots, "held": slots}
PyObject* layout(PyObject* self, PyObject*) {
    return guarded([&] {
        const Graph& g = *as_graph(self)->graph;
        std::vector<int> held;
        for (size_t i = 0; i < g.slots.size(); ++i)
            if (g.slots[i].origin == Origin::Held) held.push_back(int(i));
        return Py_BuildValue("{sisNsNsN}", "slots", int(g.slots.size()), "inputs", ints(g.inputs), "outputs",
                             ints(g.outputs), "held", ints(held));
    });
}
PyObject* held(PyObject* self, PyObject*) {
    return guarded([&] {
        std::vector<Tensor> r;
        for (const Slot& s : as_graph(self)->graph->slots)
            if (s.origin == Origin::Held) r.push_back(s.held);
        return list_of(r);
    });
}

// ---------------------------------------------------------------- from lists
template <class T, class F>
std::vector<T> read_list(PyObject* o, F&& convert) {
    std::vector<T> r;
    const Ref list = checked(PySequence_Fast(o, "expected a list"));
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(list.get()); ++i)
        r.push_back(convert(PySequence_Fast_GET_ITEM(list.get(), i)));
    if (PyErr_Occurred()) throw PythonError{};
    return r;
}
int read_slot(PyObject* o) { return int(PyLong_AsLong(o)); }
Small<int, 2> read_slots(PyObject* o) {
    Small<int, 2> r;
    for (int v : read_list<int>(o, read_slot)) r.push_back(v);
    return r;
}
Scalar read_number(PyObject* o) {
    Scalar s;
    if (!to_scalar(o, s)) raise(PyExc_TypeError, "expected a number, not " + type_name(o));
    return s;
}

Argument read_argument(PyObject* o) {
    const char* tag;
    PyObject* v;
    const Ref tuple = checked(PySequence_Tuple(o));
    if (!PyArg_ParseTuple(tuple.get(), "sO", &tag, &v)) throw PythonError{};
    const std::string_view kind = tag;
    Argument a;
    auto keep = [&]<class T>(std::vector<T> list) {
        const auto kept = std::make_shared<std::vector<T>>(std::move(list));
        a.value = Value(std::span<const T>(*kept));
        a.held = kept;
    };
    if (kind == "tensor") {
        a.value.tag = Tag::Tensor;
        a.slots.push_back(read_slot(v));
    } else if (kind == "tensors") {
        a.value.tag = Tag::Tensors;
        a.slots = read_slots(v);
    } else if (kind == "bool") {
        a.value = Value(v == Py_True);
    } else if (kind == "int") {
        a.value = Value(int64_t(PyLong_AsLongLong(v)));
    } else if (kind == "float") {
        a.value = Value(PyFloat_AsDouble(v));
    } else if (kind == "complex") {
        const auto parts = read_list<double>(v, PyFloat_AsDouble);
        if (parts.size() != 2) raise(PyExc_ValueError, "a complex number has two parts");
        a.value = Value(C128(parts[0], parts[1]));
    } else if (kind == "ints") {
        keep(read_list<int64_t>(v, PyLong_AsLongLong));
    } else if (kind == "floats") {
        keep(read_list<double>(v, PyFloat_AsDouble));
    } else if (kind == "bools") {
        const auto list = std::make_shared<Small<bool, 8>>();
        for (char b : read_list<char>(v, [](PyObject* b) { return char(b == Py_True); })) list->push_back(b != 0);
        a.value = Value(list->span());
        a.held = list;
    } else if (kind == "numbers") {
        keep(read_list<Scalar>(v, read_number));
    } else if (kind == "str") {
        const char* text = PyUnicode_AsUTF8(v);
        if (!text) throw PythonError{};
        const auto kept = std::make_shared<std::string>(text);
        a.value = Value(std::string_view(*kept));
        a.held = kept;
    } else if (kind == "dtype") {
        a.value = Value(DType(PyLong_AsLong(v)));
    } else if (kind == "layout") {
        a.value = Value(Layout(PyLong_AsLong(v)));
    } else if (kind == "device") {
        const auto parts = read_list<long>(v, PyLong_AsLong);
        if (parts.size() != 2) raise(PyExc_ValueError, "a device is a type and an index");
        Device d;
        d.type = DeviceType(parts[0]);
        d.index = int8_t(parts[1]);
        a.value = Value(d);
    } else if (kind == "format") {
        a.value = Value(MemoryFormat(PyLong_AsLong(v)));
    } else if (kind != "none") {
        raise(PyExc_ValueError, str("a traced program has an argument of unknown kind '", tag, "'"));
    }
    if (PyErr_Occurred()) throw PythonError{};
    return a;
}

// A file may say anything: kernels take a value's kind from the schema, not from the value.
bool fits(const Arg& arg, const Value& v) {
    switch (v.tag) {
        case Tag::None:
            return arg.optional || arg.kind == Kind::Generator || (arg.has_default && arg.fallback.is_none());
        case Tag::Tensor: return arg.kind == Kind::Tensor || arg.kind == Kind::Operand;
        case Tag::Tensors: return arg.kind == Kind::Tensors;
        case Tag::Bool:
        case Tag::Int:
        case Tag::Double:
            return arg.kind == Kind::Operand || arg.kind == Kind::Scalar || arg.kind == Kind::Float ||
                   (v.tag != Tag::Double && (arg.kind == Kind::Int || arg.kind == Kind::Bool));
        case Tag::Complex: return arg.kind == Kind::Operand || arg.kind == Kind::Scalar;
        case Tag::Ints: return arg.kind == Kind::Ints;
        case Tag::Doubles: return arg.kind == Kind::Floats;
        case Tag::Bools: return arg.kind == Kind::Bools;
        case Tag::Scalars: return arg.kind == Kind::Scalars;
        case Tag::String: return arg.kind == Kind::String;
        case Tag::DType: {
            const int t = int(v.dt);
            return arg.kind == Kind::DType && (t <= int(DType::b1) || (t < kDTypeLimit && itemsize(v.dt)));
        }
        case Tag::Layout: return arg.kind == Kind::Layout && v.layout_v <= Layout::SparseCsc;
        case Tag::Device: return arg.kind == Kind::Device && v.device_v.type <= DeviceType::Meta;
        case Tag::Format: return arg.kind == Kind::Format && v.format_v <= MemoryFormat::ChannelsLast3d;
        case Tag::Generator: return false;
    }
    return false;
}
void check_argument(const Step& s, size_t i, const std::vector<bool>& made) {
    const Arg& arg = s.op->schema.args[i];
    const Argument& a = s.args[i];
    const auto refuse = [&](const std::string& why) {
        raise(PyExc_ValueError,
              str("a traced call of '", s.op->schema.full_name(), "': argument '", arg.name, "' ", why));
    };
    if (!fits(arg, a.value)) refuse("is of a kind that it cannot be");
    // int[1] is a list of any length for which one number may stand.
    if (arg.list_size > 1 && (a.value.tag == Tag::Ints || a.value.tag == Tag::Doubles || a.value.tag == Tag::Bools) &&
        a.value.len != 0 && int(a.value.len) != arg.list_size)
        refuse(str("has ", a.value.len, " items, not ", arg.list_size));
    const bool may_lack = a.value.tag == Tag::Tensors ? arg.optional_items : arg.optional;
    for (int v : a.slots) {
        if (v < 0 ? !may_lack : !made[size_t(v)]) refuse("is a tensor that no earlier call makes");
    }
}

// fill(steps, layout): the inverse of steps() and layout(); the held tensors come with each run.
PyObject* fill(PyObject* self, PyObject* args) {
    PyObject *list, *layout;
    if (!PyArg_ParseTuple(args, "OO!", &list, &PyDict_Type, &layout)) return nullptr;
    return guarded([&] {
        auto part = [&](const char* name) {
            PyObject* o = PyDict_GetItemString(layout, name);
            if (!o) raise(PyExc_ValueError, str("a traced program has no '", name, "'"));
            return o;
        };
        Graph g;
        const long count = PyLong_AsLong(part("slots"));
        if (count < 0 || count > 100'000'000) {
            if (PyErr_Occurred()) throw PythonError{};
            raise(PyExc_ValueError, str("a traced program cannot have ", count, " values"));
        }
        g.slots.resize(size_t(count));
        auto slot = [&](int v) -> Slot& {
            if (v < 0 || size_t(v) >= g.slots.size()) raise(PyExc_ValueError, "a traced program names a slot it lacks");
            return g.slots[size_t(v)];
        };
        g.inputs = read_list<int>(part("inputs"), read_slot);
        for (size_t i = 0; i < g.inputs.size(); ++i)
            if (g.inputs[i] >= 0) {
                slot(g.inputs[i]).origin = Origin::Input;
                slot(g.inputs[i]).index = int(i);
            }
        for (int v : read_list<int>(part("held"), read_slot)) slot(v).origin = Origin::Held;
        g.outputs = read_list<int>(part("outputs"), read_slot);
        for (int v : g.outputs) (void)slot(v);
        std::vector<bool> made(g.slots.size());
        for (size_t i = 0; i < made.size(); ++i) made[i] = g.slots[i].origin != Origin::Made;
        const Ref all = checked(PySequence_Fast(list, "expected a list"));
        for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(all.get()); ++i) {
            const Ref one = checked(PySequence_Tuple(PySequence_Fast_GET_ITEM(all.get(), i)));
            const char* name;
            PyObject *arguments, *given, *results;
            int inplace, is_list;
            if (!PyArg_ParseTuple(one.get(), "sOOpOp", &name, &arguments, &given, &inplace, &results, &is_list))
                throw PythonError{};
            Step s;
            s.op = &require_op(name);
            s.args = read_list<Argument>(arguments, read_argument);
            if (s.args.size() != s.op->schema.args.size())
                raise(PyExc_ValueError, str("a traced call of '", name, "' has ", s.args.size(), " arguments, not ",
                                            s.op->schema.args.size()));
            for (int v : read_slots(given)) s.given.push_back(v);
            s.inplace = inplace;
            s.results = read_slots(results);
            s.list = is_list;
            for (const Argument& a : s.args)
                for (int v : a.slots)
                    if (v >= 0) (void)slot(v);
            for (int v : s.given)
                if (v >= 0) (void)slot(v);
            for (int v : s.results)
                if (v >= 0) (void)slot(v);
            const size_t most = s.op->schema.return_kinds.size();
            if ((!s.list && s.results.size() > most) || (!s.given.empty() && s.given.size() != most))
                raise(PyExc_ValueError,
                      str("a traced call of '", name, "' has ", s.results.size(), " results, not ", most));
            for (size_t i = 0; i < s.args.size(); ++i) check_argument(s, i, made);
            if (s.inplace && (s.given.size() != 1 || s.args.empty() || s.args[0].value.tag != Tag::Tensor ||
                              s.given[0] != s.args[0].slots[0]))
                raise(PyExc_ValueError, str("a traced call of '", name, "' in place does not write to its argument"));
            for (int v : s.given)
                if (v >= 0 && !made[size_t(v)])
                    raise(PyExc_ValueError, "a traced call writes to a tensor not yet made");
            for (int v : s.results)
                if (v >= 0) made[size_t(v)] = true;
            g.steps.push_back(std::move(s));
        }
        for (int v : g.outputs)
            if (!made[size_t(v)]) raise(PyExc_ValueError, "a traced program returns a tensor that no call makes");
        *as_graph(self)->graph = std::move(g);
        return none();
    });
}

// run(inputs, held) -> outputs, as eager code would: gradients are recorded, modes apply.
PyObject* run(PyObject* self, PyObject* args) {
    PyObject *inputs, *held_list;
    if (!PyArg_ParseTuple(args, "OO", &inputs, &held_list)) return nullptr;
    return guarded([&] {
        const Graph& g = *as_graph(self)->graph;
        const std::vector<Tensor> in = tensors_of(inputs), kept = tensors_of(held_list);
        size_t wanted = 0;
        for (const Slot& s : g.slots) wanted += s.origin == Origin::Held;
        if (in.size() != g.inputs.size() || kept.size() != wanted)
            raise(PyExc_TypeError,
                  str("the traced program takes ", g.inputs.size(), " tensors, but ", in.size(), " were given"));
        return list_of(graph::replay(g, in, kept));
    });
}
std::vector<Tensor> tensors_or_none(PyObject* sequence) {
    return read_list<Tensor>(sequence, [](PyObject* o) {
        if (o != Py_None && !is_tensor(o)) raise(PyExc_TypeError, "expected a tensor or None, not " + type_name(o));
        return o == Py_None ? Tensor() : unwrap(o);
    });
}
// formulas(step, gradients, saved) -> gradients: those of a node, on other tensors (or None)
PyObject* formulas(PyObject* self, PyObject* args) {
    Py_ssize_t step;
    PyObject *incoming, *saved;
    if (!PyArg_ParseTuple(args, "nOO", &step, &incoming, &saved)) return nullptr;
    return guarded([&] {
        const auto& all = as_graph(self)->graph->steps;
        if (step < 0 || size_t(step) >= all.size() || !all[size_t(step)].formula)
            raise(PyExc_ValueError, "the step of the program is not a node's formulas");
        const auto& formula = *all[size_t(step)].formula;
        const std::vector<Tensor> in = tensors_or_none(incoming), kept = tensors_or_none(saved);
        if (in.size() != all[size_t(step)].args[0].slots.size() || kept.size() != formula.saved_slot.size())
            raise(PyExc_ValueError, "a node's formulas take as many tensors as were recorded");
        Grads grads;
        for (const Tensor& t : in) grads.push_back(t);
        const Grads out = formula.run(std::move(grads), kept);
        return list_from(out, [](const Tensor& t) { return t.defined() ? wrap(t) : none(); });
    });
}
PyObject* text(PyObject* self, PyObject*) {
    return guarded([&] { return PyUnicode_FromString(as_graph(self)->graph->text().c_str()); });
}

PyMethodDef methods[] = {
    {"start", start, METH_VARARGS, "start(inputs, known, keep=False): records what this thread runs."},
    {"stop", stop, METH_NOARGS, "Stops recording."},
    {"finish", finish, METH_O, "finish(outputs) -> (problem or None, what became a constant or None)"},
    {"steps", steps, METH_NOARGS, "The steps as lists."},
    {"steps_so_far", steps_so_far, METH_NOARGS | METH_STATIC,
     "How many steps the trace that runs in this thread has recorded; -1: none runs."},
    {"layout", layout, METH_NOARGS, "The numbers of slots, inputs, outputs and held tensors."},
    {"held", held, METH_NOARGS, "The held tensors, in the order of their slots."},
    {"fill", fill, METH_VARARGS, "fill(steps, layout): takes over a graph written by these."},
    {"run", run, METH_VARARGS, "run(inputs, held) -> outputs"},
    {"formulas", formulas, METH_VARARGS, "formulas(step, gradients, saved): runs those of a node on other tensors."},
    {"text", text, METH_NOARGS, "One line a step."},
    {},
};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_methods, methods},
    {Py_tp_doc, const_cast<char*>("A traced program.")},
    {0, nullptr},
};
PyType_Spec spec = {"flambeau._C._Graph", sizeof(GraphObject), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

void init_graph(PyObject* module) {
    graph_type = make_type(spec);
    add_type(module, "_Graph", graph_type);
}

}  // namespace fb::py
