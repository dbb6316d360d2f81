// torch.device, and the device that factories use when none is named.
#include <algorithm>
#include <charconv>
#include <vector>
#include "base/devices.h"
#include "python/helpers.h"

namespace fb::py {

thread_local int default_device_depth = 0;

namespace {

struct DeviceObject {
    PyObject_HEAD Device device;
};
PyTypeObject* device_type;
thread_local std::vector<Device> default_devices;

Device& device_of(PyObject* o) { return reinterpret_cast<DeviceObject*>(o)->device; }

constexpr const char* kKnownTypes =
    "cpu, cuda, ipu, xpu, mkldnn, opengl, opencl, ideep, hip, ve, fpga, maia, xla, lazy, vulkan, mps, meta, hpu, mtia, "
    "privateuseone";

Device parse_device(std::string_view text) {
    const size_t colon = text.find(':');
    const std::string_view type = text.substr(0, colon);
    Device d;
    if (text.empty()) fail(ErrorKind::Runtime, "Device string must not be empty");
    const auto known = device_names();
    const auto found = std::ranges::find(known, type);
    if (found == known.end())
        fail(ErrorKind::Runtime, "Expected one of ", kKnownTypes, " device type at start of device string: ", type);
    d.type = DeviceType(found - known.begin());
    if (colon != text.npos) {
        const std::string_view digits = text.substr(colon + 1);
        int index = -1;
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), index);
        if (error != std::errc() || end != digits.data() + digits.size() || index < 0 || index > 127 ||
            (digits.size() > 1 && digits[0] == '0'))
            fail(ErrorKind::Runtime, "Invalid device string: '", text, "'");
        d.index = int8_t(index);
    }
    return d;
}

PyObject* device_new(PyTypeObject*, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        static const char* names[] = {"type", "index", nullptr};
        PyObject *type = nullptr, *index = nullptr;
        if (PyTuple_GET_SIZE(args) == 0 && kwargs) {  // torch.device(device=…) is accepted too
            if (PyObject* d = PyDict_GetItemString(kwargs, "device"); d && PyDict_GET_SIZE(kwargs) == 1) {
                Device v;
                if (!to_device(d, v))
                    raise(PyExc_TypeError, "device(): argument 'device' must be torch.device, not " + type_name(d));
                return wrap(v);
            }
        }
        if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:device", const_cast<char**>(names), &type, &index))
            return nullptr;
        Device d;
        if (!to_device(type, d))
            raise(PyExc_TypeError, "device(): argument 'type' (position 1) must be str, not " + type_name(type));
        if (index && index != Py_None) {
            int64_t i;
            if (!to_int(index, i))
                raise(PyExc_TypeError, "device(): argument 'index' (position 2) must be int, not " + type_name(index));
            if (d.index >= 0)
                fail(ErrorKind::Runtime,
                     "type (string) must not include an index because index was passed explicitly: ", d);
            check(i >= 0 && i < 128, "Device index must not be negative");
            d.index = int8_t(i);
        }
        return wrap(d);
    });
}

PyObject* device_repr(PyObject* o) {
    const Device d = device_of(o);
    if (d.index < 0) return PyUnicode_FromFormat("device(type='%s')", device_name(d.type).data());
    return PyUnicode_FromFormat("device(type='%s', index=%d)", device_name(d.type).data(), int(d.index));
}
PyObject* device_str(PyObject* o) { return PyUnicode_FromString(str(device_of(o)).c_str()); }
Py_hash_t device_hash(PyObject* o) { return (Py_hash_t(device_of(o).type) << 16) ^ (device_of(o).index & 0xffff); }
PyObject* device_compare(PyObject* a, PyObject* b, int how) {
    if (Py_TYPE(a) != device_type || Py_TYPE(b) != device_type || (how != Py_EQ && how != Py_NE))
        Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong((device_of(a) == device_of(b)) == (how == Py_EQ));
}
PyObject* device_type_name(PyObject* o, void*) { return PyUnicode_FromString(device_name(device_of(o).type).data()); }
PyObject* device_index(PyObject* o, void*) {
    return device_of(o).index < 0 ? none() : PyLong_FromLong(device_of(o).index);
}
PyObject* device_reduce(PyObject* o, PyObject*) {
    const Device d = device_of(o);
    if (d.index < 0) return Py_BuildValue("O(s)", device_type, device_name(d.type).data());
    return Py_BuildValue("O(si)", device_type, device_name(d.type).data(), int(d.index));
}

void update_depth() { default_device_depth = !default_devices.empty() && !(default_devices.back() == kCPU); }
PyObject* device_enter(PyObject* o, PyObject*) {
    default_devices.push_back(device_of(o));
    update_depth();
    return Py_NewRef(o);
}
PyObject* device_exit(PyObject*, PyObject*) {
    if (!default_devices.empty()) default_devices.pop_back();
    update_depth();
    return none();
}
PyObject* set_default_device(PyObject*, PyObject* o) {
    return guarded([&] {
        Device d;
        if (o != Py_None && !to_device(o, d))
            raise(PyExc_TypeError, "set_default_device(): expected a device, got " + type_name(o));
        default_devices.assign(1, d);
        update_depth();
        return none();
    });
}
PyObject* get_default_device(PyObject*, PyObject*) { return wrap(default_device()); }

PyMethodDef device_methods[] = {
    {"__reduce__", device_reduce, METH_NOARGS, nullptr},
    {"__enter__", device_enter, METH_NOARGS, nullptr},
    {"__exit__", device_exit, METH_VARARGS, nullptr},
    {},
};
PyGetSetDef device_getset[] = {
    {"type", device_type_name, nullptr, nullptr, nullptr},
    {"index", device_index, nullptr, nullptr, nullptr},
    {},
};
PyMethodDef functions[] = {
    {"_set_default_device", set_default_device, METH_O, nullptr},
    {"_get_factory_device", get_default_device, METH_NOARGS, nullptr},
    {},
};

}  // namespace

Device default_device() { return default_devices.empty() ? kCPU : default_devices.back(); }

PyObject* wrap(Device d) {
    static PyObject* cpu = nullptr;  // by far the most asked for
    if (d == kCPU && cpu) return Py_NewRef(cpu);
    DeviceObject* o = PyObject_New(DeviceObject, device_type);
    if (!o) return nullptr;
    o->device = d;
    auto* r = reinterpret_cast<PyObject*>(o);
    if (d == kCPU) cpu = Py_NewRef(r);
    return r;
}

bool to_device(PyObject* o, Device& out) {
    if (Py_TYPE(o) == device_type) {
        out = device_of(o);
        return true;
    }
    if (PyUnicode_Check(o)) {
        Py_ssize_t n;
        const char* s = PyUnicode_AsUTF8AndSize(o, &n);
        if (!s) throw PythonError{};
        out = parse_device({s, size_t(n)});
        return true;
    }
    int64_t i;
    if (PyLong_Check(o) && to_int(o, i)) {
        check(i >= 0, "Device index must not be negative");
        fail(ErrorKind::Runtime, "Cannot access accelerator device when none is available.");
    }
    return false;
}

void init_device(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_new, reinterpret_cast<void*>(device_new)},
        {Py_tp_repr, reinterpret_cast<void*>(device_repr)},
        {Py_tp_str, reinterpret_cast<void*>(device_str)},
        {Py_tp_hash, reinterpret_cast<void*>(device_hash)},
        {Py_tp_richcompare, reinterpret_cast<void*>(device_compare)},
        {Py_tp_methods, device_methods},
        {Py_tp_getset, device_getset},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau.device", sizeof(DeviceObject), 0, Py_TPFLAGS_DEFAULT, slots};
    device_type = make_type(spec);
    add_type(module, "device", device_type);
    add_functions(module, functions);
}

}  // namespace fb::py
