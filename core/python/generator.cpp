#include "base/devices.h"
#include "python/generator.h"

#include <memory>
#include <unordered_map>

namespace fb::py {
namespace {

struct GeneratorObject {
    PyObject_HEAD Generator* generator;
    bool owned;  // false: the process-wide default generator
};
PyTypeObject* generator_type = nullptr;

Generator& of(PyObject* o) { return *reinterpret_cast<GeneratorObject*>(o)->generator; }

// The object of each living generator.
std::unordered_map<const Generator*, PyObject*>& objects() {
    static auto* m = new std::unordered_map<const Generator*, PyObject*>;
    return *m;
}

PyObject* make_object(std::unique_ptr<Generator> g) {
    PyObject* o = generator_type->tp_alloc(generator_type, 0);
    if (!o) return nullptr;
    objects()[g.get()] = o;
    reinterpret_cast<GeneratorObject*>(o)->generator = g.release();
    reinterpret_cast<GeneratorObject*>(o)->owned = true;
    return o;
}

PyObject* create(PyTypeObject*, PyObject* args, PyObject* kwargs) {
    static const char* names[] = {"device", nullptr};
    PyObject* device = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|O:Generator", const_cast<char**>(names), &device)) return nullptr;
    return guarded([&]() -> PyObject* {
        Device d;
        if (device != Py_None && !to_device(device, d))
            fail(ErrorKind::Type, "Generator(): argument 'device' must be torch.device, not ",
                 Py_TYPE(device)->tp_name);
        if (d.type == DeviceType::Meta) fail(ErrorKind::Runtime, "META device type not an accelerator.");
        if (d.type != DeviceType::CPU)
            fail(ErrorKind::NotImplemented, "flambeau has no ", device_name(d.type), " generator yet");
        return make_object(std::make_unique<Generator>());
    });
}

void destroy(PyObject* o) {
    auto* g = reinterpret_cast<GeneratorObject*>(o);
    objects().erase(g->generator);
    if (g->owned) delete g->generator;
    PyTypeObject* type = Py_TYPE(o);
    type->tp_free(o);
    Py_DECREF(type);
}

// A seed from the whole range of int64 and uint64; negative ones wrap around.
uint64_t to_seed(PyObject* o) {
    if (!PyLong_Check(o) || PyBool_Check(o))
        fail(ErrorKind::Runtime, "manual_seed expected a long, but got ", Py_TYPE(o)->tp_name);
    int overflow = 0;
    const long long small = PyLong_AsLongLongAndOverflow(o, &overflow);
    if (!overflow) return uint64_t(small);
    if (overflow > 0) {
        const unsigned long long big = PyLong_AsUnsignedLongLong(o);
        if (!PyErr_Occurred()) return big;
        PyErr_Clear();
    }
    fail(ErrorKind::Value, "Overflow when unpacking long long\na seed lies between -2**63 and 2**64 - 1");
}

PyObject* manual_seed(PyObject* self, PyObject* seed) {
    return guarded([&]() -> PyObject* {
        const uint64_t s = to_seed(seed);
        const GeneratorLock lock(of(self));
        of(self).manual_seed(s);
        return Py_NewRef(self);
    });
}
PyObject* seed(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        const GeneratorLock lock(of(self));
        return PyLong_FromUnsignedLongLong(of(self).seed());
    });
}
PyObject* initial_seed(PyObject* self, PyObject*) { return PyLong_FromUnsignedLongLong(of(self).initial_seed()); }

PyObject* get_state(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        const GeneratorLock lock(of(self));
        const Generator::State bytes = of(self).state();
        const Tensor t = empty(Dims{int64_t(bytes.size())}, DType::u8);
        std::copy(bytes.begin(), bytes.end(), t.data<uint8_t>());
        return wrap(t);
    });
}
PyObject* set_state(PyObject* self, PyObject* state) {
    return guarded([&]() -> PyObject* {
        if (!is_tensor(state)) fail(ErrorKind::Type, "expected a torch.ByteTensor, but got ", Py_TYPE(state)->tp_name);
        const Tensor& t = unwrap(state);
        if (t->layout != Layout::Strided || t.dtype() != DType::u8 || t.device().type != DeviceType::CPU)
            fail(ErrorKind::Type, "RNG state must be a torch.ByteTensor");
        const Tensor dense = t.contiguous();
        const std::span<const uint8_t> bytes(dense.data<uint8_t>(), size_t(dense.numel()));
        if (bytes.size() != Generator::kStateBytes)
            fail(ErrorKind::Runtime, "Expected a CPUGeneratorImplState of size ", Generator::kStateBytes,
                 " but found the input RNG state size to be ", bytes.size());
        if (const char* why = Generator::check(bytes)) fail(ErrorKind::Runtime, why);
        const GeneratorLock lock(of(self));
        of(self).set_state(bytes);
        return Py_NewRef(self);
    });
}
PyObject* clone_state(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        const GeneratorLock lock(of(self));
        return wrap(of(self));
    });
}
PyObject* no_offset(PyObject*, PyObject*) {
    return guarded([]() -> PyObject* { fail(ErrorKind::Runtime, "CPU Generator does not use offset"); });
}
PyObject* graphsafe_get_state(PyObject*, PyObject*) {
    return guarded([]() -> PyObject* {
        fail(ErrorKind::NotImplemented, "graphsafe_get_state is not supported in this Generator");
    });
}
PyObject* graphsafe_set_state(PyObject*, PyObject*) {
    return guarded([]() -> PyObject* {
        fail(ErrorKind::NotImplemented, "graphsafe_set_state is not supported in this Generator");
    });
}

// (Generator, (device,), (initial seed, offset, state))
PyObject* reduce(PyObject* self, PyObject*) {
    PyObject* state = get_state(self, nullptr);
    if (!state) return nullptr;
    return Py_BuildValue("O(N)(NON)", generator_type, wrap(kCPU), initial_seed(self, nullptr), Py_None, state);
}
PyObject* set_pickled(PyObject* self, PyObject* saved) {
    PyObject *seed, *offset, *state;
    if (!PyArg_ParseTuple(saved, "OOO", &seed, &offset, &state)) return nullptr;
    const Ref seeded(manual_seed(self, seed));
    if (!seeded) return nullptr;
    const Ref restored(set_state(self, state));
    if (!restored) return nullptr;
    Py_RETURN_NONE;
}

PyObject* get_device(PyObject*, void*) {
    return guarded([] { return wrap(kCPU); });
}

PyMethodDef methods[] = {
    {"manual_seed", manual_seed, METH_O, "Seeds the generator and returns it; negative seeds wrap around to 2**64."},
    {"seed", seed, METH_NOARGS, "Seeds the generator from the operating system and returns the seed."},
    {"initial_seed", initial_seed, METH_NOARGS, "The seed the numbers started from."},
    {"get_state", get_state, METH_NOARGS, "The state as a tensor of bytes."},
    {"set_state", set_state, METH_O, "Takes over a state made by get_state."},
    {"clone_state", clone_state, METH_NOARGS, "A new generator in the same state."},
    {"get_offset", no_offset, METH_NOARGS, "Of CUDA generators only."},
    {"set_offset", no_offset, METH_O, "Of CUDA generators only."},
    {"graphsafe_get_state", graphsafe_get_state, METH_NOARGS, "Of CUDA generators only."},
    {"graphsafe_set_state", graphsafe_set_state, METH_O, "Of CUDA generators only."},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {"__setstate__", set_pickled, METH_O, nullptr},
    {nullptr, nullptr, 0, nullptr},
};
PyGetSetDef properties[] = {
    {"device", get_device, nullptr, "The device of the generator.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};
PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(create)},
    {Py_tp_dealloc, reinterpret_cast<void*>(destroy)},
    {Py_tp_methods, methods},
    {Py_tp_getset, properties},
    {Py_tp_doc,
     const_cast<char*>("Generator(device='cpu')\n--\n\nA source of random numbers with a state of its own.")},
    {0, nullptr},
};
PyType_Spec spec = {"flambeau._C.Generator", sizeof(GeneratorObject), 0, Py_TPFLAGS_DEFAULT, slots};

}  // namespace

bool to_generator(PyObject* o, Generator*& out) {
    if (Py_TYPE(o) != generator_type) return false;
    out = &of(o);
    return true;
}
PyObject* wrap(Generator& g) { return make_object(std::make_unique<Generator>(g)); }
PyObject* object_of(const Generator* g) {
    const auto i = objects().find(g);
    return Py_NewRef(i == objects().end() ? Py_None : i->second);
}

void init_generator(PyObject* module) {
    generator_type = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&spec)).detach());
    if (PyModule_AddObjectRef(module, "Generator", reinterpret_cast<PyObject*>(generator_type)) < 0)
        throw PythonError{};
    const Ref shared = checked(generator_type->tp_alloc(generator_type, 0));
    reinterpret_cast<GeneratorObject*>(shared.get())->generator = &default_generator();
    objects()[&default_generator()] = shared.get();
    if (PyModule_AddObjectRef(module, "default_generator", shared.get()) < 0) throw PythonError{};
}

}  // namespace fb::py
