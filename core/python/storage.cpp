#include "python/storage_object.h"
#include <cstring>
#include <unordered_map>

namespace fb::py {
namespace {

struct StorageObject {
    PyObject_HEAD Storage* storage;
    PyObject* weakrefs;
};
PyTypeObject* storage_type;
// One object for one storage while the object lives.
std::unordered_map<Storage*, PyObject*>& objects() {
    static auto* m = new std::unordered_map<Storage*, PyObject*>;
    return *m;
}

Storage& storage_of(PyObject* o) { return *reinterpret_cast<StorageObject*>(o)->storage; }
const uint8_t* bytes_of(PyObject* o) { return static_cast<const uint8_t*>(storage_of(o).data()); }
uint8_t* writable_bytes_of(PyObject* o) { return static_cast<uint8_t*>(storage_of(o).escaping_data()); }
void check_readable(PyObject* o) {
    if (storage_of(o).device().type == DeviceType::Meta)
        fail(ErrorKind::NotImplemented, "Not available for 'Meta' storage");
}

PyObject* storage_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    return guarded([&]() -> PyObject* {
        Device d;
        if (kwargs) {
            PyObject *key, *value;
            for (Py_ssize_t i = 0; PyDict_Next(kwargs, &i, &key, &value);) {
                if (PyUnicode_CompareWithASCIIString(key, "device") != 0)
                    raise(PyExc_TypeError,
                          str("UntypedStorage(): unexpected keyword argument '", PyUnicode_AsUTF8(key), "'"));
                if (value != Py_None && !to_device(value, d))
                    raise(PyExc_TypeError, "device must be a torch.device, not " + type_name(value));
            }
        }
        Ptr<Storage> s;
        int64_t n = 0;
        if (PyTuple_GET_SIZE(args) == 0) {
            s = Storage::allocate(0, d);
        } else if (PyObject* a = PyTuple_GET_ITEM(args, 0); to_int(a, n)) {
            check(n >= 0, "Storage size calculation overflowed with size ", n);
            s = Storage::allocate(size_t(n), d);
        } else if (PyBytes_Check(a)) {  // how a pickled storage comes back
            s = Storage::allocate(size_t(PyBytes_GET_SIZE(a)), d);
            if (s->nbytes()) std::memcpy(s->data(), PyBytes_AS_STRING(a), s->nbytes());
        } else {
            if (!PySequence_Check(a))
                raise(PyExc_TypeError,
                      "torch.UntypedStorage(): expected a size or a sequence of numbers, not " + type_name(a));
            const Py_ssize_t count = PySequence_Size(a);
            if (count < 0) throw PythonError{};
            s = Storage::allocate(size_t(count), d);
            for (Py_ssize_t i = 0; i < count; ++i) {
                const Ref x = checked(PySequence_GetItem(a, i));
                int64_t v;
                if (!to_int(x.get(), v))
                    fail(ErrorKind::Runtime, "torch.UntypedStorage(): tried to construct a storage from a sequence (",
                         type_name(a), "), but one of the items was of type ", type_name(x.get()), " instead of int");
                if (d.type != DeviceType::Meta) static_cast<uint8_t*>(s->data())[i] = uint8_t(v);
            }
        }
        PyObject* o = checked(type->tp_alloc(type, 0)).detach();
        objects()[s.get()] = o;
        reinterpret_cast<StorageObject*>(o)->storage = s.detach();
        return o;
    });
}
void storage_dealloc(PyObject* self) {
    auto* o = reinterpret_cast<StorageObject*>(self);
    if (o->weakrefs) PyObject_ClearWeakRefs(self);
    if (o->storage) {
        objects().erase(o->storage);
        const Ptr<Storage> last = Ptr<Storage>::adopt(o->storage);
    }
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

Py_ssize_t length(PyObject* self) { return Py_ssize_t(storage_of(self).nbytes()); }
PyObject* subscript(PyObject* self, PyObject* key) {
    return guarded([&]() -> PyObject* {
        check_readable(self);
        const Py_ssize_t n = length(self);
        if (PySlice_Check(key)) {
            Py_ssize_t start, stop, step;
            if (PySlice_Unpack(key, &start, &stop, &step) < 0) return nullptr;
            const Py_ssize_t count = PySlice_AdjustIndices(n, &start, &stop, step);
            check(step == 1, "Trying to slice with a step of ", step, ", but only a step of 1 is supported");
            // The slice looks into the same bytes and keeps them alive.
            Ptr<Storage> whole(&storage_of(self));
            return wrap_storage(Storage::borrow(writable_bytes_of(self) + start, size_t(count), [whole] {}));
        }
        int64_t i;
        if (!to_int(key, i)) raise(PyExc_TypeError, "can't index a torch.UntypedStorage with " + type_name(key));
        if (i < -n || i >= n) fail(ErrorKind::Index, "index ", i, " out of range for storage of size ", n);
        return PyLong_FromLong(bytes_of(self)[i < 0 ? i + n : i]);
    });
}
PyObject* item(PyObject* self, Py_ssize_t i) {
    return guarded([&]() -> PyObject* {
        check_readable(self);
        if (i < 0 || i >= length(self)) fail(ErrorKind::Index, "index ", i, " out of range for storage");
        return PyLong_FromLong(bytes_of(self)[i]);
    });
}
int assign_subscript(PyObject* self, PyObject* key, PyObject* value) {
    return guarded(
        [&] {
            if (!value) raise(PyExc_TypeError, "a storage's items cannot be deleted");
            check_readable(self);
            int64_t v, i;
            if (!to_int(value, v))
                raise(PyExc_TypeError,
                      "can only set storage content with a int, but got " + type_name(value) + " instead");
            const Py_ssize_t n = length(self);
            if (PySlice_Check(key)) {
                Py_ssize_t start, stop, step;
                if (PySlice_Unpack(key, &start, &stop, &step) < 0) throw PythonError{};
                const Py_ssize_t count = PySlice_AdjustIndices(n, &start, &stop, step);
                check(step == 1, "Trying to slice with a step of ", step, ", but only a step of 1 is supported");
                if (count > 0) std::memset(writable_bytes_of(self) + start, int(uint8_t(v)), size_t(count));
                return 0;
            }
            if (!to_int(key, i)) raise(PyExc_TypeError, "can't index a torch.UntypedStorage with " + type_name(key));
            if (i < -n || i >= n) fail(ErrorKind::Index, "index ", i, " out of range for storage of size ", n);
            writable_bytes_of(self)[i < 0 ? i + n : i] = uint8_t(v);
            return 0;
        },
        -1);
}
PyObject* compare(PyObject* a, PyObject* b, int how) {
    if (!PyObject_TypeCheck(b, storage_type) || (how != Py_EQ && how != Py_NE)) Py_RETURN_NOTIMPLEMENTED;
    return PyBool_FromLong((&storage_of(a) == &storage_of(b)) == (how == Py_EQ));
}
Py_hash_t hash(PyObject* self) { return Py_hash_t(reinterpret_cast<size_t>(&storage_of(self)) >> 4); }

PyObject* repr(PyObject* self) {
    return guarded([&] {
        Storage& s = storage_of(self);
        std::string text;
        if (s.device().type == DeviceType::Meta) {
            text = "...";
        } else {
            const size_t n = s.nbytes(), most = 1000;
            for (size_t i = 0; i < std::min(n, most); ++i) text += str(i ? "\n " : " ", int(bytes_of(self)[i]));
            if (n > most) text += "\n ...";
        }
        text += str("\n[torch.storage.UntypedStorage(device=", s.device(), ") of size ", s.nbytes(), "]");
        return PyUnicode_FromString(text.c_str());
    });
}

PyObject* nbytes(PyObject* self, PyObject*) { return PyLong_FromSize_t(storage_of(self).nbytes()); }
PyObject* element_size(PyObject*, PyObject*) { return PyLong_FromLong(1); }
PyObject* data_ptr(PyObject* self, PyObject*) { return PyLong_FromVoidPtr(storage_of(self).escaping_data()); }
PyObject* resizable(PyObject* self, PyObject*) { return PyBool_FromLong(storage_of(self).resizable()); }
PyObject* resize(PyObject* self, PyObject* n) {
    return guarded([&] {
        int64_t v;
        if (!to_int(n, v) || v < 0)
            raise(PyExc_TypeError, "resize_ expects an int that is not negative, got " + type_name(n));
        storage_of(self).resize(size_t(v));
        return Py_NewRef(self);
    });
}
PyObject* tolist(PyObject* self, PyObject*) {
    return guarded([&] {
        check_readable(self);
        Ref list = checked(PyList_New(length(self)));
        for (Py_ssize_t i = 0; i < length(self); ++i)
            PyList_SET_ITEM(list.get(), i, PyLong_FromLong(bytes_of(self)[i]));
        return list.detach();
    });
}
PyObject* clone(PyObject* self, PyObject*) {
    return guarded([&] {
        Storage& s = storage_of(self);
        Ptr<Storage> c = Storage::allocate(s.nbytes(), s.device());
        if (s.nbytes() && s.data()) std::memcpy(c->data(), s.data(), s.nbytes());
        return wrap_storage(std::move(c));
    });
}
PyObject* deepcopy(PyObject* self, PyObject* memo) {
    return guarded([&]() -> PyObject* {
        if (!PyDict_Check(memo)) return clone(self, nullptr);
        const Ref key = checked(PyLong_FromVoidPtr(&storage_of(self)));
        if (PyObject* known = PyDict_GetItem(memo, key.get())) return Py_NewRef(known);
        Ref c = checked(clone(self, nullptr));
        if (PyDict_SetItem(memo, key.get(), c.get()) < 0) return nullptr;
        return c.detach();
    });
}
PyObject* reduce(PyObject* self, PyObject*) {
    return guarded([&]() -> PyObject* {
        check_readable(self);
        const Ref bytes =
            checked(PyBytes_FromStringAndSize(reinterpret_cast<const char*>(bytes_of(self)), length(self)));
        return Py_BuildValue("O(O)", storage_type, bytes.get());
    });
}
PyObject* copy_from(PyObject* self, PyObject* args) {
    return guarded([&]() -> PyObject* {
        PyObject *source, *non_blocking = nullptr;
        if (!PyArg_ParseTuple(args, "O|O", &source, &non_blocking)) return nullptr;
        Ptr<Storage> s;
        if (!to_storage(source, s)) raise(PyExc_TypeError, "copy_ expects a storage, got " + type_name(source));
        check(s->nbytes() == storage_of(self).nbytes(), "size mismatch, got ", s->nbytes(), " and ",
              storage_of(self).nbytes(), " bytes");
        if (s->nbytes() && s->data() && bytes_of(self)) std::memmove(writable_bytes_of(self), s->data(), s->nbytes());
        return Py_NewRef(self);
    });
}
PyObject* fill(PyObject* self, PyObject* value) {
    return guarded([&] {
        int64_t v;
        if (!to_int(value, v)) raise(PyExc_TypeError, "fill_ expects int, but got " + type_name(value));
        if (bytes_of(self)) std::memset(writable_bytes_of(self), int(uint8_t(v)), storage_of(self).nbytes());
        return Py_NewRef(self);
    });
}
PyObject* make_new(PyObject*, PyObject*) {
    return guarded([] { return wrap_storage(Storage::allocate(0)); });
}
PyObject* itself(PyObject* self, PyObject*) { return Py_NewRef(self); }
PyObject* is_shared(PyObject* self, PyObject*) { return PyBool_FromLong(storage_of(self).is_shared_memory); }
PyObject* is_pinned(PyObject*, PyObject*) { return PyBool_FromLong(false); }
PyObject* get_device_index(PyObject* self, PyObject*) {
    const Device d = storage_of(self).device();
    return PyLong_FromLong(d.type == DeviceType::CUDA ? d.index : -1);
}
PyObject* set_shared(PyObject* self, PyObject* on) {
    storage_of(self).is_shared_memory = PyObject_IsTrue(on) == 1;
    return none();
}
PyObject* relocate(PyObject* self, PyObject* buffer) {
    return guarded([&]() -> PyObject* {
        Storage& s = storage_of(self);
        check(s.device().type == DeviceType::CPU, "only memory of the CPU can be moved");
        auto view = std::make_unique<Py_buffer>();
        if (PyObject_GetBuffer(buffer, view.get(), PyBUF_WRITABLE) < 0) return nullptr;
        const size_t bytes = size_t(view->len);
        if (s.nbytes() != 0 && s.nbytes() != bytes) {
            PyBuffer_Release(view.get());
            fail(ErrorKind::Value, "the storage has ", s.nbytes(), " bytes, the memory ", bytes);
        }
        void* to = view->buf;
        s.relocate(to, bytes, [held = view.release()] {
            const PyGILState_STATE state = PyGILState_Ensure();
            PyBuffer_Release(held);
            delete held;
            PyGILState_Release(state);
        });
        return none();
    });
}
PyObject* device(PyObject* self, void*) { return wrap(storage_of(self).device()); }
PyObject* is_cuda(PyObject* self, void*) { return PyBool_FromLong(storage_of(self).device().type == DeviceType::CUDA); }
PyObject* never(PyObject*, void*) { return PyBool_FromLong(false); }
PyObject* address(PyObject* self, void*) { return PyLong_FromVoidPtr(&storage_of(self)); }

int get_buffer(PyObject* self, Py_buffer* view, int flags) {
    return guarded(
        [&] {
            check_readable(self);
            return PyBuffer_FillInfo(view, self, writable_bytes_of(self), length(self), 0, flags);
        },
        -1);
}

// A file as bytes: what `from_file` of the package does, which maps it.
PyObject* from_file(PyObject*, PyObject* args, PyObject* kwargs) {
    const char* names[] = {"filename", "shared", "nbytes", nullptr};
    PyObject* name;
    int shared = 0;
    Py_ssize_t nbytes = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|pn:from_file", const_cast<char**>(names), &name, &shared,
                                     &nbytes))
        return nullptr;
    return guarded([&] {
        const Ref package = checked(PyImport_ImportModule("flambeau"));
        const Ref make = checked(PyObject_GetAttrString(package.get(), "from_file"));
        const Ref type = checked(PyObject_GetAttrString(package.get(), "uint8"));
        const Ref positional = checked(Py_BuildValue("(ONn)", name, PyBool_FromLong(shared), nbytes));
        const Ref keywords = checked(Py_BuildValue("{s:O}", "dtype", type.get()));
        const Ref tensor = checked(PyObject_Call(make.get(), positional.get(), keywords.get()));
        return checked(PyObject_CallMethod(tensor.get(), "untyped_storage", nullptr)).detach();
    });
}

PyMethodDef methods[] = {
    {"from_file", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(from_file)),
     METH_VARARGS | METH_KEYWORDS | METH_STATIC,
     "from_file(filename, shared=False, nbytes=0): a storage mapped to a file."},
    {"nbytes", nbytes, METH_NOARGS, "The number of bytes."},
    {"size", nbytes, METH_NOARGS, "The number of bytes."},
    {"element_size", element_size, METH_NOARGS, nullptr},
    {"data_ptr", data_ptr, METH_NOARGS, "The address of the first byte."},
    {"resizable", resizable, METH_NOARGS, nullptr},
    {"resize_", resize, METH_O, "Changes the number of bytes in place."},
    {"tolist", tolist, METH_NOARGS, nullptr},
    {"clone", clone, METH_NOARGS, "A copy of the bytes."},
    {"__copy__", clone, METH_NOARGS, nullptr},
    {"__deepcopy__", deepcopy, METH_O, nullptr},
    {"__reduce__", reduce, METH_NOARGS, nullptr},
    {"copy_", copy_from, METH_VARARGS, nullptr},
    {"fill_", fill, METH_O, nullptr},
    {"new", make_new, METH_NOARGS, nullptr},
    {"cpu", itself, METH_NOARGS, nullptr},
    {"untyped", itself, METH_NOARGS, nullptr},
    {"is_shared", is_shared, METH_NOARGS, nullptr},
    {"is_pinned", is_pinned, METH_NOARGS, nullptr},
    {"get_device", get_device_index, METH_NOARGS, nullptr},
    {"_set_shared", set_shared, METH_O, nullptr},
    {"_relocate", relocate, METH_O, "Moves the bytes into the memory of a buffer, which is kept."},
    {},
};
PyGetSetDef getset[] = {
    {"device", device, nullptr, nullptr, nullptr},   {"is_cuda", is_cuda, nullptr, nullptr, nullptr},
    {"is_sparse", never, nullptr, nullptr, nullptr}, {"is_sparse_csr", never, nullptr, nullptr, nullptr},
    {"_cdata", address, nullptr, nullptr, nullptr},  {},
};
PyMemberDef members[] = {{"__weaklistoffset__", T_PYSSIZET, offsetof(StorageObject, weakrefs), READONLY, nullptr}, {}};

}  // namespace

PyObject* wrap_storage(Ptr<Storage> s) {
    if (const auto known = objects().find(s.get()); known != objects().end()) return Py_NewRef(known->second);
    PyObject* o = checked(storage_type->tp_alloc(storage_type, 0)).detach();
    objects()[s.get()] = o;
    reinterpret_cast<StorageObject*>(o)->storage = s.detach();
    return o;
}

bool to_storage(PyObject* o, Ptr<Storage>& out) {
    if (PyObject_TypeCheck(o, storage_type)) {
        out = Ptr<Storage>(&storage_of(o));
        return true;
    }
    PyObject* inner = PyObject_GetAttrString(o, "_untyped_storage");
    if (!inner) {
        PyErr_Clear();
        return false;
    }
    const Ref owner(inner);
    if (!PyObject_TypeCheck(inner, storage_type)) return false;
    out = Ptr<Storage>(&storage_of(inner));
    return true;
}

void init_storage(PyObject* module) {
    auto p = [](auto f) { return reinterpret_cast<void*>(f); };
    PyType_Slot slots[] = {
        {Py_tp_new, p(storage_new)},
        {Py_tp_dealloc, p(storage_dealloc)},
        {Py_tp_repr, p(repr)},
        {Py_tp_richcompare, p(compare)},
        {Py_tp_hash, p(hash)},
        {Py_tp_methods, methods},
        {Py_tp_getset, getset},
        {Py_tp_members, members},
        {Py_mp_length, p(length)},
        {Py_sq_length, p(length)},
        {Py_sq_item, p(item)},
        {Py_mp_subscript, p(subscript)},
        {Py_mp_ass_subscript, p(assign_subscript)},
        {Py_bf_getbuffer, p(get_buffer)},
        {0, nullptr},
    };
    PyType_Spec spec{"flambeau.UntypedStorage", sizeof(StorageObject), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
                     slots};
    storage_type = make_type(spec);
    add_type(module, "UntypedStorage", storage_type);
}

}  // namespace fb::py
