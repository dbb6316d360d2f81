// What autograd needs of sparse tensors, which are Python objects (flambeau/sparse).
#include "autograd/sparse_gradient.h"

#include "python/helpers.h"

namespace fb::py {
namespace {

class Interpreter {  // holds the interpreter lock
public:
    Interpreter() : state_(PyGILState_Ensure()) {}
    ~Interpreter() { PyGILState_Release(state_); }
    Interpreter(const Interpreter&) = delete;
    Interpreter& operator=(const Interpreter&) = delete;

private:
    PyGILState_STATE state_;
};

bool is_sparse_object(const TensorImpl& t) {
    const Interpreter lock;
    PyObject* o = static_cast<PyObject*>(t.object);
    if (Py_TYPE(o) == tensor_type) return false;  // whether overrides are switched off says nothing here
    const Ref r(PyObject_GetAttrString(o, "is_sparse"));
    if (!r) PyErr_Clear();
    return r.get() == Py_True;
}

Tensor call(const char* function, PyObject* args) {
    const Ref given = checked(args), f = checked(import_attribute("flambeau.sparse.gradients", function));
    const Ref r = checked(PyObject_CallObject(f.get(), given.get()));
    return unwrap(r.get());
}
Tensor make(const Tensor& indices, const Tensor& values, IntSpan sizes) {
    const Interpreter lock;
    return call("make", Py_BuildValue("(NNN)", wrap(indices), wrap(values), wrap_size(sizes)));
}
Tensor add(const Tensor& a, const Tensor& b) {
    const Interpreter lock;
    return call("add", Py_BuildValue("(NN)", wrap(a), wrap(b)));
}

Tensor blank(const char* what, IntSpan sizes, DType dtype, Layout layout, Device device) {
    const Interpreter lock;
    return call("blank", Py_BuildValue("(sNNNN)", what, wrap_size(sizes), wrap(dtype), wrap(layout), wrap(device)));
}

}  // namespace

void init_sparse_gradients() { sparse_gradients = {is_sparse_object, make, add, blank}; }

}  // namespace fb::py
