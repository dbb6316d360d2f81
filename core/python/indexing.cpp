// x[...] and x[...] = v. Integers, slices, None, Ellipsis give views; tensors, sequences and masks go to `index` and
// `index_put_`.
#include "python/construct.h"
#include "python/override.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

// What a key comes to: a view, and then the tensors that pick from it (empty: none).
struct Place {
    Tensor view;
    std::vector<Tensor> picks;  // one slot a dimension, undefined where everything is taken; a mask takes one slot
    bool picked = false;
};

[[noreturn]] void bad_index(PyObject* o) {
    fail(ErrorKind::Index,
         "only integers, slices (`:`), ellipsis (`...`), None and long or byte Variables are valid indices (got ",
         type_name(o), ")");
}

bool is_mask(const Tensor& t) { return t.dtype() == DType::b1 || t.dtype() == DType::u8; }

// An integer index as Python and NumPy give it; 0-d integer tensors are integers too.
bool to_index(PyObject* o, int64_t& i) {
    if (PyLong_CheckExact(o)) return to_int(o, i);
    if (PyBool_Check(o) || (is_tensor(o) && is_mask(unwrap(o)))) return false;
    return to_int(o, i);
}

Tensor select(const Tensor& t, int64_t dim, int64_t i, int64_t shown_dim) {
    if (t.dim() == 0)
        fail(ErrorKind::Index,
             "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` in C++ to convert a "
             "0-dim tensor to a number");
    const int64_t n = t.sizes()[size_t(dim)];
    if (i < -n || i >= n)
        fail(ErrorKind::Index, "index ", i, " is out of bounds for dimension ", shown_dim, " with size ", n);
    return op<"select">(t, dim, i);
}

Tensor slice(const Tensor& t, int64_t dim, PyObject* o) {
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(o, &start, &stop, &step) < 0) throw PythonError{};
    check_value(step > 0, "step must be greater than zero");
    if (t.dim() == 0) fail(ErrorKind::Index, "slice() cannot be applied to a 0-dim tensor.");
    const int64_t n = t.sizes()[size_t(dim)];
    const Py_ssize_t count = PySlice_AdjustIndices(n, &start, &stop, step);
    if (count == n && step == 1) return t;
    return op<"slice">(t, dim, int64_t(start), int64_t(std::max(start, stop)), int64_t(step));
}

// How many dimensions of the tensor an item of the key stands for.
int64_t consumed(PyObject* o, const Tensor* as_tensor) {
    if (o == Py_None || o == Py_Ellipsis || PyBool_Check(o)) return 0;
    if (as_tensor) return is_mask(*as_tensor) ? as_tensor->dim() : 1;
    return 1;
}

// Lists that hold anything but numbers are read as tuples, as NumPy once did.
bool reads_as_tuple(PyObject* key) {
    if (PyTuple_Check(key)) return true;
    if (!PyList_Check(key) || PyList_GET_SIZE(key) > 32) return false;
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(key); ++i) {
        PyObject* o = PyList_GET_ITEM(key, i);
        if (o == Py_None || o == Py_Ellipsis || PySlice_Check(o) || is_tensor(o) ||
            (PySequence_Check(o) && !PyUnicode_Check(o)))
            return true;
    }
    return false;
}

// A tensor or sequence in a key; undefined for every other kind of item.
Tensor index_tensor(PyObject* o, Device device) {
    if (is_tensor(o)) return unwrap(o);
    if (PyLong_CheckExact(o) || PySlice_Check(o) || o == Py_None || o == Py_Ellipsis || PyBool_Check(o)) return {};
    if (is_numpy_array(o) || (PySequence_Check(o) && !is_numpy_scalar(o))) {
        const bool empty_list = is_list(o) && list_size(o) == 0;
        return tensor_from(o, empty_list ? DType::i64 : DType::none, device.type == DeviceType::Meta ? kCPU : device);
    }
    return {};
}

Place locate(const Tensor& self, PyObject* key) {
    Place p{self, {}, false};
    Small<PyObject*, 6> items;
    Ref as_tuple;
    if (reads_as_tuple(key)) {
        as_tuple = checked(PySequence_Tuple(key));
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(as_tuple.get()); ++i)
            items.push_back(PyTuple_GET_ITEM(as_tuple.get(), i));
    } else {
        items.push_back(key);
    }
    Small<Tensor, 6> tensors(items.size());
    int64_t specified = 0;
    for (size_t i = 0; i < items.size(); ++i) {
        tensors[i] = index_tensor(items[i], self.device());
        specified += consumed(items[i], tensors[i].defined() ? &tensors[i] : nullptr);
    }
    if (self.dim() == 0 && specified > 0 && items.size() == 1 && PyLong_CheckExact(items[0])) select(self, 0, 0, 0);
    if (self.dim() == 0 && items.size() == 1 && PySlice_Check(items[0]))
        fail(ErrorKind::Index, "slice() cannot be applied to a 0-dim tensor.");
    if (specified > self.dim()) fail(ErrorKind::Index, "too many indices for tensor of dimension ", self.dim());

    int64_t dim = 0, shown = 0;
    auto pick = [&](Tensor t, int64_t dims) {
        p.picks.push_back(std::move(t));
        p.picked = true;
        dim += dims;
        shown += dims;
    };
    for (size_t k = 0; k < items.size(); ++k) {
        PyObject* o = items[k];
        const Tensor& t = tensors[k];
        int64_t i;
        if (o == Py_None) {
            p.view = op<"unsqueeze">(p.view, dim++);
            p.picks.emplace_back();
        } else if (o == Py_Ellipsis) {
            const int64_t skipped = self.dim() - specified;
            dim += skipped;
            shown += skipped;
            for (int64_t d = 0; d < skipped; ++d) p.picks.emplace_back();
            specified = self.dim();  // a second one stands for nothing
        } else if (PySlice_Check(o)) {
            p.view = slice(p.view, dim++, o);
            p.picks.emplace_back();
            ++shown;
        } else if (PyBool_Check(o) || (t.defined() && t.dim() == 0 && is_mask(t))) {
            const bool on = t.defined() ? !t.item().is_zero() : o == Py_True;
            p.view = op<"unsqueeze">(p.view, dim);
            Tensor mask = empty(Dims{1}, DType::b1, self.device());
            if (!mask.is_meta()) *mask.data<bool>() = on;
            pick(std::move(mask), 1);
            --shown;
        } else if ((!t.defined() || t.dim() == 0) && to_index(o, i)) {
            p.view = select(p.view, dim, i, shown++);
        } else if (t.defined()) {
            if (!is_integral(t.dtype(), true) || t.dtype() == DType::i16 || t.dtype() == DType::i8 ||
                t.dtype() == DType::u16)
                fail(ErrorKind::Index, "tensors used as indices must be long, int, byte or bool tensors");
            pick(t, is_mask(t) ? t.dim() : 1);
        } else {
            bad_index(o);
        }
    }
    if (!p.picked) p.picks.clear();
    while (!p.picks.empty() && !p.picks.back().defined()) p.picks.pop_back();
    return p;
}

PyObject* method_of(const char* name) {
    return checked(PyObject_GetAttrString(reinterpret_cast<PyObject*>(tensor_type), name)).detach();
}

// Leading ones of a value's shape beyond the place's are dropped, as NumPy does.
Tensor without_leading_ones(const Tensor& v, int64_t dims) {
    int64_t extra = 0;
    while (v.dim() - extra > dims && v.sizes()[size_t(extra)] == 1) ++extra;
    if (!extra) return v;
    return op<"view">(v.is_contiguous() ? v : op<"clone">(v, MemoryFormat::Contiguous),
                      v.sizes().span().subspan(size_t(extra)));
}

void assign(const Tensor& self, PyObject* key, PyObject* value) {
    Scalar number;
    const bool is_number = !is_tensor(value) && to_scalar(value, number);
    if (!is_number && !is_tensor(value))
        raise(PyExc_TypeError,
              str("can't assign a ", type_name(value), " to a torch.", scalar_name(self.dtype()), "Tensor"));
    const Place p = locate(self, key);
    if (!p.picked) {
        if (is_number) {
            op<"fill_">(p.view, number);
            return;
        }
        const Tensor v = without_leading_ones(unwrap(value), p.view.dim());
        const IntSpan to = p.view.sizes(), from = v.sizes();
        for (size_t back = 1; back <= from.size(); ++back) {
            const int64_t have = from[from.size() - back];
            if (back > to.size() || (have != to[to.size() - back] && have != 1))
                (void)op<"expand">(v, to);  // which says what is wrong
        }
        op<"copy_">(p.view, v);
        return;
    }
    Tensor v = is_number ? scalar_tensor(number, self.dtype(), self.device()) : unwrap(value);
    if (!is_number && v.dim() > 0) v = without_leading_ones(v, p.view.dim() + 8);
    inplace<"index_put">(p.view, TensorSpan(p.picks), v);
}

}  // namespace

PyObject* tensor_subscript(PyObject* self, PyObject* key) {
    return guarded([&]() -> PyObject* {
        PyObject* args[] = {self, key};
        if (!PyLong_CheckExact(key) || Py_TYPE(self) != tensor_type || override_state.modes)
            if (asks_override({args, 2})) [[unlikely]] {
                const Ref function(method_of("__getitem__"));
                return call_override(function.get(), {args, 2});
            }
        const Tensor& t = unwrap(self);
        if (PyLong_CheckExact(key)) {
            int64_t i;
            to_int(key, i);
            return wrap(select(t, 0, i, 0));
        }
        Place p = locate(t, key);
        if (p.picked) return wrap(op<"index">(p.view, TensorSpan(p.picks)));
        if (p.view.get() == t.get()) p.view = op<"alias">(t);
        return wrap(std::move(p.view));
    });
}

int tensor_assign_subscript(PyObject* self, PyObject* key, PyObject* value) {
    return guarded(
        [&] {
            if (!value) raise(PyExc_TypeError, "Tensor does not support deleting items");
            PyObject* args[] = {self, key, value};
            if (asks_override({args, 3})) [[unlikely]] {
                const Ref function(method_of("__setitem__"));
                const Ref done(call_override(function.get(), {args, 3}));
                return 0;
            }
            assign(unwrap(self), key, value);
            return 0;
        },
        -1);
}

}  // namespace fb::py
