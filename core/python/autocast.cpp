// The state of autocast, for flambeau/amp.
#include "op/autocast.h"

#include "python/helpers.h"

namespace fb::py {
namespace {

DeviceType device_type(PyObject* o) {
    Device d;
    if (!to_device(o, d)) raise(PyExc_TypeError, "expected a device type such as 'cpu', but got " + type_name(o));
    return d.type;
}

PyObject* get_setting(PyObject*, PyObject* device) {
    return guarded([&]() -> PyObject* {
        const AutocastSetting s = autocast_setting(device_type(device));
        return Py_BuildValue("(NN)", PyBool_FromLong(s.enabled), s.dtype == DType::none ? none() : wrap(s.dtype));
    });
}
PyObject* set_enabled(PyObject*, PyObject* args) {
    PyObject* device;
    int enabled;
    if (!PyArg_ParseTuple(args, "Op", &device, &enabled)) return nullptr;
    return guarded([&] {
        set_autocast_enabled(device_type(device), enabled);
        return none();
    });
}
PyObject* set_dtype(PyObject*, PyObject* args) {
    PyObject *device, *dtype;
    if (!PyArg_ParseTuple(args, "OO", &device, &dtype)) return nullptr;
    return guarded([&] {
        DType t;
        if (!to_dtype(dtype, t)) raise(PyExc_TypeError, "expected a torch.dtype, but got " + type_name(dtype));
        set_autocast_dtype(device_type(device), t);
        return none();
    });
}
PyObject* active(PyObject*, PyObject*) { return PyBool_FromLong(tls.modes & kAutocastMode); }
PyObject* cast_of(PyObject*, PyObject* args) {
    const char* name;
    PyObject* device;
    if (!PyArg_ParseTuple(args, "sO", &name, &device)) return nullptr;
    return guarded([&] {
        constexpr const char* names[] = {"none", "lower", "full", "promote"};
        return PyUnicode_FromString(names[int(autocast_of(name, device_type(device)))]);
    });
}
PyObject* cache_enabled(PyObject*, PyObject*) { return PyBool_FromLong(autocast_cache_enabled()); }
PyObject* set_cache(PyObject*, PyObject* enabled) {
    set_autocast_cache_enabled(PyObject_IsTrue(enabled) == 1);
    return none();
}
PyObject* clear_cache(PyObject*, PyObject*) {
    clear_autocast_cache();
    return none();
}
PyObject* deeper(PyObject*, PyObject*) { return PyLong_FromLong(change_autocast_nesting(1)); }
PyObject* shallower(PyObject*, PyObject*) { return PyLong_FromLong(change_autocast_nesting(-1)); }

PyMethodDef functions[] = {
    {"_autocast_setting", get_setting, METH_O, "Whether autocast is on for a device type, and its dtype."},
    {"_set_autocast_enabled", set_enabled, METH_VARARGS, nullptr},
    {"_set_autocast_dtype", set_dtype, METH_VARARGS, nullptr},
    {"_autocast_active", active, METH_NOARGS, "Whether autocast is on for any device."},
    {"_autocast_of", cast_of, METH_VARARGS, "How an operator is cast on a device: none, lower, full or promote."},
    {"is_autocast_cache_enabled", cache_enabled, METH_NOARGS,
     "Whether casts of weights are kept while autocast is on."},
    {"set_autocast_cache_enabled", set_cache, METH_O, "Sets whether casts of weights are kept while autocast is on."},
    {"clear_autocast_cache", clear_cache, METH_NOARGS, "Drops the kept casts of weights."},
    {"autocast_increment_nesting", deeper, METH_NOARGS, nullptr},
    {"autocast_decrement_nesting", shallower, METH_NOARGS, nullptr},
    {},
};

}  // namespace

void init_autocast(PyObject* module) { add_functions(module, functions); }

}  // namespace fb::py
