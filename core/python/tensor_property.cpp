// The attributes of a tensor: shape, dtype, grad, data, T, …
#include "base/devices.h"
#include "base/names.h"
#include "autograd/sparse_gradient.h"
#include "autograd/node.h"
#include "python/node.h"
#include "python/operators.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

template <int N>
struct Text {
    char s[N];
    constexpr Text(const char (&t)[N]) { std::copy_n(t, N, s); }
};

bool asks(PyObject* self) {
    return (Py_TYPE(self) != tensor_type || override_state.modes) && asks_override({&self, 1});
}

// A getter that subclasses and modes may take over.
template <Text Name, auto F>
PyObject* get(PyObject* self, void*) {
    return guarded([&]() -> PyObject* {
        if (asks(self)) [[unlikely]]
            return call_property_override(self, Name.s, "__get__", nullptr);
        return F(unwrap(self));
    });
}
template <Text Name, auto F>
int set(PyObject* self, PyObject* value, void*) {
    return guarded(
        [&] {
            if (asks(self)) [[unlikely]] {
                const Ref done(call_property_override(self, Name.s, value ? "__set__" : "__delete__", value));
                return 0;
            }
            F(unwrap(self), value);
            return 0;
        },
        -1);
}

PyObject* boolean(bool b) { return PyBool_FromLong(b); }

// ---------------------------------------------------------------- plain facts
PyObject* shape(const Tensor& t) { return wrap_size(t.sizes()); }
PyObject* dtype(const Tensor& t) { return wrap(t.dtype()); }
// A wrapper (`_make_wrapper_subclass`) has no data, but says where its parts are.
Device shown_device(const Tensor& t) {
    if (!t.is_meta() || !t->object) return t.device();
    const auto* o = static_cast<TensorObject*>(t->object);
    if (!o->dict || !type_dispatches(Py_TYPE(o))) return t.device();
    PyObject* claimed = PyDict_GetItemString(o->dict, "_wrapper_device");
    Device d = t.device();
    if (claimed) (void)to_device(claimed, d);
    return d;
}
PyObject* device(const Tensor& t) { return wrap(shown_device(t)); }
PyObject* layout(const Tensor& t) { return wrap(t->layout); }
PyObject* ndim(const Tensor& t) { return PyLong_FromLongLong(t.dim()); }
PyObject* item_size(const Tensor& t) { return PyLong_FromSize_t(itemsize(t.dtype())); }
PyObject* nbytes(const Tensor& t) { return PyLong_FromLongLong(t.numel() * int64_t(itemsize(t.dtype()))); }
PyObject* version(const Tensor& t) {
    if (t->inference) fail(ErrorKind::Runtime, "Inference tensors do not track version counter.");
    return PyLong_FromUnsignedLong(t->version());
}
PyObject* base(const Tensor& t) { return wrap(Tensor(t->base)); }
PyObject* output_nr(const Tensor& t) { return PyLong_FromLong(t->grad_fn ? t->output_nr : 0); }
PyObject* is_leaf(const Tensor& t) { return boolean(!t.requires_grad() || !grad_fn(t)); }
PyObject* is_cpu(const Tensor& t) { return boolean(shown_device(t).type == DeviceType::CPU); }
PyObject* is_cuda(const Tensor& t) { return boolean(shown_device(t).type == DeviceType::CUDA); }
PyObject* is_meta(const Tensor& t) { return boolean(shown_device(t).type == DeviceType::Meta); }
PyObject* is_sparse(const Tensor& t) { return boolean(t->layout == Layout::SparseCoo); }
PyObject* is_sparse_csr(const Tensor& t) { return boolean(t->layout == Layout::SparseCsr); }
PyObject* never(const Tensor&) { return boolean(false); }
PyObject* retains_grad(const Tensor& t) { return boolean(t->meta && t->meta->retains_grad); }
PyObject* name_of(const Tensor& t) {
    return t->meta && !t->meta->name.empty() ? PyUnicode_FromString(t->meta->name.c_str()) : none();
}
PyObject* address(const Tensor& t) { return PyLong_FromVoidPtr(t.get()); }

// ---------------------------------------------------------------- history
PyObject* requires_grad(const Tensor& t) { return boolean(t.requires_grad()); }
void set_requires_grad(const Tensor& t, PyObject* v) {
    if (!v || !PyBool_Check(v)) fail(ErrorKind::Runtime, "requires_grad must be a bool");
    change_requires_grad(t, v == Py_True, "only Tensors of floating point and complex dtype can require gradients");
}
PyObject* gradient_function(const Tensor& t) { return t.requires_grad() ? wrap_node(grad_fn(t)) : none(); }
PyObject* grad(const Tensor& t) {
    if (!t->meta) {
        if (t->grad_fn)
            warn(
                "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its .grad attribute "
                "won't be populated during "
                "autograd.backward(). If you indeed want the .grad field to be populated for a non-leaf Tensor, use "
                ".retain_grad() on the "
                "non-leaf Tensor. If you access the non-leaf Tensor by mistake, make sure you access the leaf Tensor "
                "instead. See "
                "github.com/pytorch/pytorch/pull/30531 for more informations.");
        return none();
    }
    return wrap(t->meta->grad);
}
void set_grad(const Tensor& t, PyObject* v) {
    if (!v || v == Py_None) {
        if (t->meta) t->meta->grad = {};
        return;
    }
    check_type(is_tensor(v), "assigned grad expected to be a Tensor or None but got grad of type ", type_name(v));
    const Tensor& g = unwrap(v);
    check(g.get() != t.get(), "can't assign Variable as its own grad");
    check(g.dtype() == t.dtype(), "attempting to assign a gradient with dtype '", cpp_name(g.dtype()),
          "' to a tensor with grad_dtype '", t.dtype(),
          "'. The gradient must match the tensor's grad_dtype (defaults to the tensor's dtype). You can set the "
          "tensor's grad_dtype attribute "
          "with a specific dtype, or None to allow any dtype. Set grad_dtype with caution. Diverging the dtypes of a "
          "tensor and its gradient "
          "may break downstream systems that assume they match.");
    check(g.device().type == t.device().type, "attempting to assign a gradient with device type '",
          device_name(g.device().type), "' to a tensor with device type '", device_name(t.device().type),
          "'. Please ensure that the gradient and the tensor are on the same device");
    check(is_sparse_gradient(g) || same(g.sizes(), t.sizes()), "attempting to assign a gradient of size '", g.sizes(),
          "' to a tensor of size '", t.sizes(), "'. Please ensure that the gradient and the tensor are the same size");
    need_meta(*t.get()).grad = g;
}
PyObject* data(const Tensor& t) { return wrap(shallow_copy(t, false)); }
void set_data(const Tensor& t, PyObject* v) {
    check_type(v && is_tensor(v), "Variable data has to be a tensor, but got ", v ? type_name(v) : "NULL");
    replace_data(t, unwrap(v));
}

// ---------------------------------------------------------------- views
Tensor reversed(const Tensor& t) {
    Dims order(t.dim());
    for (int64_t d = 0; d < t.dim(); ++d) order[size_t(d)] = t.dim() - 1 - d;
    return op<"permute">(t, order);
}
Tensor conjugated(const Tensor& t) { return is_complex(t.dtype()) ? op<"conj">(t) : t; }
PyObject* T(const Tensor& t) {
    if (t.dim() != 2 && t.dim() != 0)
        warn(
            "The use of `x.T` on tensors of dimension other than 2 to reverse their shape is deprecated and it will "
            "throw an error in a future "
            "release. Consider `x.mT` to transpose batches of matrices or `x.permute(*torch.arange(x.ndim - 1, -1, "
            "-1))` to reverse the "
            "dimensions of a tensor.");
    return wrap(reversed(t));
}
PyObject* H(const Tensor& t) {
    check(t.dim() == 2 || t.dim() == 0, "tensor.H is only supported on matrices (2-D tensors). Got ", t.dim(),
          "-D tensor.", t.dim() > 2 ? " For batches of matrices, consider using tensor.mH" : "");
    return wrap(conjugated(reversed(t)));
}
Tensor matrix_transpose(const Tensor& t, const char* name) {
    if (t.dim() == 0) return t;
    check(t.dim() >= 2, "tensor.", name, " is only supported on matrices or batches of matrices. Got ", t.dim(),
          "-D tensor.");
    return op<"transpose">(t, int64_t(-2), int64_t(-1));
}
PyObject* mT(const Tensor& t) { return wrap(matrix_transpose(t, "mT")); }
PyObject* mH(const Tensor& t) { return wrap(conjugated(matrix_transpose(t, "mH"))); }
PyObject* real(const Tensor& t) { return wrap(is_complex(t.dtype()) ? op<"real">(t) : t); }
void set_real(const Tensor& t, PyObject* v) {
    check_type(v && is_tensor(v), "real can only be set to a tensor");
    op<"copy_">(is_complex(t.dtype()) ? op<"real">(t) : t, unwrap(v));
}
PyObject* imag(const Tensor& t) {
    check(is_complex(t.dtype()), "imag is not implemented for tensors with non-complex dtypes.");
    return wrap(op<"imag">(t));
}
void set_imag(const Tensor& t, PyObject* v) {
    check(is_complex(t.dtype()), "imag is not implemented for tensors with non-complex dtypes.");
    check_type(v && is_tensor(v), "imag can only be set to a tensor");
    op<"copy_">(op<"imag">(t), unwrap(v));
}

}  // namespace

void change_requires_grad(const Tensor& t, bool on, const char* wrong_dtype) {
    if (!on) {
        check(!t->grad_fn && !(t->base && !t->view_of_no_grad && t->base->needs_grad()),
              "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
              "subgraph that doesn't "
              "require differentiation use var_no_grad = var.detach().");
    } else {
        check(is_floating(t.dtype()) || is_complex(t.dtype()), wrong_dtype);
        check(!t->inference || tls.inference,
              "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
        if (t.requires_grad()) return;
    }
    t->requires_grad = on;
}

void replace_data(const Tensor& t, const Tensor& from) {
    TensorImpl& i = *t.get();
    i.storage = from->storage;
    i.offset = from->offset;
    i.dtype = from->dtype;
    i.layout = from->layout;
    i.conj = from->conj;
    i.neg = from->neg;
    i.set_shape(from.sizes(), from.strides());
    i.base = nullptr;
}

#define FB_READ(name, function) {#name, get<#name, function>, nullptr, nullptr, nullptr}
#define FB_WRITE(name, function, setter) {#name, get<#name, function>, set<#name, setter>, nullptr, nullptr}
PyGetSetDef tensor_getset[] = {
    FB_READ(shape, shape),
    FB_READ(dtype, dtype),
    FB_READ(device, device),
    FB_READ(layout, layout),
    FB_READ(ndim, ndim),
    FB_READ(itemsize, item_size),
    FB_READ(nbytes, nbytes),
    FB_READ(_version, version),
    FB_READ(_base, base),
    FB_READ(output_nr, output_nr),
    FB_READ(is_leaf, is_leaf),
    FB_READ(is_cpu, is_cpu),
    FB_READ(is_cuda, is_cuda),
    FB_READ(is_meta, is_meta),
    FB_READ(is_sparse, is_sparse),
    FB_READ(is_sparse_csr, is_sparse_csr),
    FB_READ(is_quantized, never),
    FB_READ(is_mkldnn, never),
    FB_READ(is_mps, never),
    FB_READ(is_xla, never),
    FB_READ(is_xpu, never),
    FB_READ(is_hpu, never),
    FB_READ(is_ipu, never),
    FB_READ(is_maia, never),
    FB_READ(is_mtia, never),
    FB_READ(is_vulkan, never),
    FB_READ(is_nested, never),
    FB_READ(volatile, never),
    FB_READ(_has_symbolic_sizes_strides, never),
    FB_READ(retains_grad, retains_grad),
    FB_READ(name, name_of),
    FB_READ(_cdata, address),
    FB_WRITE(requires_grad, requires_grad, set_requires_grad),
    FB_READ(grad_fn, gradient_function),
    FB_WRITE(grad, grad, set_grad),
    FB_WRITE(_grad, grad, set_grad),
    FB_WRITE(data, data, set_data),
    FB_READ(T, T),
    FB_READ(H, H),
    FB_READ(mT, mT),
    FB_READ(mH, mH),
    FB_WRITE(real, real, set_real),
    FB_WRITE(imag, imag, set_imag),
    {},
};
#undef FB_READ
#undef FB_WRITE

}  // namespace fb::py
