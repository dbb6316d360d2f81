// The extension module flambeau._C.
#if __has_include(<execinfo.h>)
#include <execinfo.h>
#endif
#include <cxxabi.h>
#include <unistd.h>
#include <cstdlib>
#include <memory>
#include "autograd/back.h"
#include "base/crc32.h"
#include "base/denormal.h"
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/lapack.h"
#include "cpu/packed.h"
#include "ops/fresh.h"
#include "ops/waiting.h"
#include "python/helpers.h"
#include "python/guards.h"
#include "python/nn_module.h"
#include "python/operators.h"
#include "tensor/hidden.h"

namespace fb::py {
namespace {

// LAPACK is in a library that NumPy brings: it is loaded only when the first such operation runs.
void load_numpy() {
    const PyGILState_STATE gil = PyGILState_Ensure();
    if (!Ref(PyImport_ImportModule("numpy.linalg"))) PyErr_Clear();  // the caller then says what is missing
    PyGILState_Release(gil);
}

// Long work in the core lets other Python threads run; a thread without the lock has nothing to give back.
void* begin_long_work() { return PyGILState_Check() ? PyEval_SaveThread() : nullptr; }
void end_long_work(void* state) {
    // A thread that comes back when the interpreter ends would be ended by it, through frames of ours that let nothing
    // pass: it waits here for the end of the process, as Python lets it from 3.14 on.
    try {
        PyEval_RestoreThread(static_cast<PyThreadState*>(state));
    } catch (abi::__forced_unwind&) {
        for (;;) pause();
    }
}

void warn_in_python(const std::string& text) {
    const PyGILState_STATE state = PyGILState_Ensure();
    const int r = PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1);
    PyGILState_Release(state);
    if (r < 0) throw PythonError{};
}

PyObject* get_num_threads(PyObject*, PyObject*) { return PyLong_FromLong(num_threads()); }
PyObject* set_num_threads_py(PyObject*, PyObject* n) {
    return guarded([&] {
        int64_t v;
        if (!to_int(n, v)) raise(PyExc_RuntimeError, "set_num_threads expects an int, but got " + type_name(n));
        check(v > 0, "set_num_threads expects a positive integer");
        set_num_threads(int(std::min<int64_t>(v, std::numeric_limits<int>::max())));
        return none();
    });
}
PyObject* set_flush_denormal_py(PyObject*, PyObject* on) { return PyBool_FromLong(set_flush_denormal(on == Py_True)); }
PyObject* set_fill_fresh(PyObject*, PyObject* on) {
    fill_fresh = on == Py_True;
    return none();
}
PyObject* memory_statistics(PyObject*, PyObject*) {
    const MemoryStats s = memory_stats();
    const dnn::CacheStats plans = dnn::cache_stats();
    return Py_BuildValue("{s:L,s:L,s:L,s:L,s:L,s:L,s:L,s:L}", "allocated", (long long)s.allocated, "peak",
                         (long long)s.peak, "cached", (long long)s.cached, "live_blocks", (long long)s.live_blocks,
                         "total_allocations", (long long)s.total_allocations, "packed_weights",
                         (long long)cpu::packed_bytes(), "plans", (long long)plans.entries, "plan_bytes",
                         (long long)plans.bytes);
}
PyObject* cpu_level_py(PyObject*, PyObject*) { return PyUnicode_FromString(cpu::cpu_level_name()); }
PyObject* hidden_layouts(PyObject*, PyObject*) {
    const HiddenCounts c = hidden_counts();
    return Py_BuildValue("(LL)", (long long)c.hidden, (long long)c.revealed);
}
PyObject* joined_calls_py(PyObject*, PyObject*) { return PyLong_FromLongLong(joined_calls()); }
PyObject* empty_cache_py(PyObject*, PyObject*) {
    empty_cache();
    return none();
}
PyObject* reset_peak(PyObject*, PyObject*) {
    reset_peak_memory();
    return none();
}

// The operator table: (full name, schema, variants as in the entry and `v` for views, differentiable arguments) of
// every operator.
PyObject* operators(PyObject*, PyObject*) {
    return guarded([] {
        Ref list = checked(PyList_New(0));
        for (const auto& op : Registry::get().all()) {
            std::string variants;
            if (op->as_function) variants += 'f';
            if (op->as_method) variants += 'm';
            if (op->has_inplace) variants += 'i';
            if (op->has_out) variants += 'o';
            if (op->is_view) variants += 'v';
            Ref differentiable = checked(PyList_New(0));
            for (size_t i = 0; i < op->schema.args.size(); ++i) {
                if (!(op->derivative.args >> i & 1) || op->derivative.joint == no_derivative) continue;
                const Ref name = checked(PyUnicode_FromString(op->schema.args[i].name.c_str()));
                if (PyList_Append(differentiable.get(), name.get()) < 0) throw PythonError{};
            }
            const Ref entry = checked(Py_BuildValue("(sssO)", op->schema.full_name().c_str(), op->schema.text.c_str(),
                                                    variants.c_str(), differentiable.get()));
            if (PyList_Append(list.get(), entry.get()) < 0) throw PythonError{};
        }
        return list.detach();
    });
}

// The C++ frames of this thread, innermost first.
PyObject* cpp_backtrace(PyObject*, PyObject* args) {
    int skip, most;
    if (!PyArg_ParseTuple(args, "ii", &skip, &most)) return nullptr;
    return guarded([&] {
        std::string text;
#if __has_include(<execinfo.h>)
        std::vector<void*> frames(size_t(std::clamp(skip + 1 + most, 1, 4096)));
        const int n = backtrace(frames.data(), int(frames.size()));
        const std::unique_ptr<char*, decltype(&std::free)> names(backtrace_symbols(frames.data(), n), std::free);
        for (int i = std::max(skip, 0) + 1, k = 0; names && i < n && k < most; ++i, ++k)
            text += str("frame #", k, ": ", names.get()[i], "\n");
#else
        fail(ErrorKind::NotImplemented, "the C library of this system has no backtrace()");
#endif
        return PyUnicode_FromString(text.c_str());
    });
}

// The core has one table of types and of functions of Python that it calls: those of the interpreter that came first.
PyObject* check_interpreter(PyObject*, PyObject*) {
    static PyInterpreterState* const first = PyInterpreterState_Get();
    if (PyInterpreterState_Get() == first) return none();
    PyErr_SetString(PyExc_ImportError,
                    "flambeau cannot be used in several interpreters of one process (sub-interpreters)");
    return nullptr;
}

PyObject* crc32_py(PyObject*, PyObject* args) {
    Py_buffer bytes;
    unsigned int before = 0;
    if (!PyArg_ParseTuple(args, "y*|I", &bytes, &before)) return nullptr;
    uint32_t sum;
    Py_BEGIN_ALLOW_THREADS;
    sum = crc32({static_cast<const uint8_t*>(bytes.buf), static_cast<size_t>(bytes.len)}, before);
    Py_END_ALLOW_THREADS;
    PyBuffer_Release(&bytes);
    return PyLong_FromUnsignedLong(sum);
}

PyMethodDef functions[] = {
    {"_check_interpreter", check_interpreter, METH_NOARGS, nullptr},
    {"_crc32", crc32_py, METH_VARARGS,
     "The check sum of zip archives of bytes, after those of which it was the second."},
    {"_get_cpp_backtrace", cpp_backtrace, METH_VARARGS, nullptr},
    {"_operators", operators, METH_NOARGS, "(name, schema, variants, differentiable arguments) of every operator."},
    {"get_num_threads", get_num_threads, METH_NOARGS, "How many threads an operation may use."},
    {"set_flush_denormal", set_flush_denormal_py, METH_O, "Whether denormal numbers count as zero."},
    {"set_num_threads", set_num_threads_py, METH_O, "Sets how many threads an operation may use."},
    {"_set_fill_fresh", set_fill_fresh, METH_O, "Whether `empty` and its like fill their memory."},
    {"_memory_stats", memory_statistics, METH_NOARGS, "Bytes and blocks of the caching allocator."},
    {"_cpu_level", cpu_level_py, METH_NOARGS, "The instruction set of the kernels in use."},
    {"_hidden_counts", hidden_layouts, METH_NOARGS,
     "How many tensors were brought into a hidden order, and how many out of it again."},
    {"_joined_calls", joined_calls_py, METH_NOARGS, "How many operators joined a convolution that waited for them."},
    {"_empty_cache", empty_cache_py, METH_NOARGS, "Gives unused memory back to the system."},
    {"_reset_peak_memory", reset_peak, METH_NOARGS, nullptr},
    {},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "flambeau._C", "The core of flambeau.", -1, functions, nullptr, nullptr, nullptr, nullptr};

}  // namespace
}  // namespace fb::py

PyMODINIT_FUNC PyInit__C() {
    using namespace fb;
    using namespace fb::py;
    return guarded([] {
        Ref module = checked(PyModule_Create(&definition));
        PyObject* m = module.get();
        long_work_hooks = {begin_long_work, end_long_work};
        lapack::load_more = load_numpy;
        warning_sink = warn_in_python;
        init_overrides(m);
        init_public_functions(m);
        init_objects(m);
        init_storage(m);
        init_tensor_type(m);
        init_generator(m);
        init_ops(m);
        init_operators(m);
        init_dispatch(m);
        init_signatures(m);
        init_autograd(m);
        init_autocast(m);
        init_sparse_gradients();
        init_construct(m);
        init_nn_module(m);
        init_compile(m);
        return module.detach();
    });
}
