// Between core values and Python objects. Everything here needs the interpreter lock.
#pragma once
#include "python/interpreter.h"
#include <structmember.h>
#include "op/op.h"

namespace fb::py {

// --- tensors: one Python object for one tensor, as long as either lives
PyObject* wrap(Tensor t);                    // new reference; an undefined tensor gives None
PyObject* wrap_as(Tensor t, PyTypeObject*);  // of a subclass; the tensor must not have an object yet
bool is_tensor(PyObject* o);                 // Tensor or a subclass
bool is_exact_tensor(PyObject* o);           // Tensor or Parameter: no __torch_function__ to ask
const Tensor& unwrap(PyObject* o);           // o must be a tensor
extern PyTypeObject* tensor_type;

// --- small immutable objects: torch.float32, torch.device('cpu'), torch.strided, torch.preserve_format, torch.Size
PyObject* wrap(DType t);  // new reference to the one object
PyObject* wrap(Device d);
PyObject* wrap(Layout l);
PyObject* wrap(MemoryFormat f);
PyObject* wrap_size(IntSpan sizes);        // torch.Size
bool to_dtype(PyObject* o, DType& out);    // also Python's float, int, bool, complex; false: not a dtype
bool to_device(PyObject* o, Device& out);  // device object, "cuda:1", an int is a CUDA index; throws on a bad string

// --- numbers
PyObject* wrap(const Scalar& s);
bool to_scalar(PyObject* o, Scalar& out);  // Python and NumPy numbers, 0-d tensors are not
bool to_int(PyObject* o, int64_t& out);    // int, NumPy int, 0-d integer tensor; not bool or float

// --- errors
struct PythonError {};    // a Python exception is set: unwind to the boundary
void set_python_error();  // inside catch (...): turns the C++ exception into the Python one
// Runs f; a C++ exception becomes a Python one and `failed` is returned.
template <class F, class R>
R guarded(F&& f, R failed) {
    try {
        return f();
    } catch (...) {
        set_python_error();
        return failed;
    }
}
template <class F>
PyObject* guarded(F&& f) {
    return guarded(std::forward<F>(f), static_cast<PyObject*>(nullptr));
}

// --- owning a reference
class Ref {
public:
    Ref() = default;
    explicit Ref(PyObject* stolen) : p_(stolen) {}
    Ref(Ref&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    Ref& operator=(Ref&& o) noexcept {
        std::swap(p_, o.p_);
        return *this;
    }
    ~Ref() { Py_XDECREF(p_); }
    static Ref borrow(PyObject* p) {
        Py_XINCREF(p);
        return Ref(p);
    }
    PyObject* get() const { return p_; }
    PyObject* detach() { return std::exchange(p_, nullptr); }
    explicit operator bool() const { return p_ != nullptr; }

private:
    PyObject* p_ = nullptr;
};
inline Ref checked(PyObject* p) {  // of a call that may have failed
    if (!p) throw PythonError{};
    return Ref(p);
}

// --- parts of the module `flambeau._C`, each adds its functions and types
void init_objects(PyObject* module);      // object.cpp: dtype, device, layout, memory_format, Size
void init_tensor_type(PyObject* module);  // tensor_type.cpp
void init_ops(PyObject* module);          // function.cpp: one callable for each operator name
void init_autograd(PyObject* module);     // autograd.cpp
void init_construct(PyObject* module);    // construct.cpp: tensor(), as_tensor, from_numpy, dlpack, buffers
void init_indexing(PyObject* module);     // indexing.cpp: x[...] and x[...] = v
void init_generator(PyObject* module);    // generator.cpp

}  // namespace fb::py
