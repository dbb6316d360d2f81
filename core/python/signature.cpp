// What `inspect.signature` says of the tensor's operator slots: the interpreter calls every second operand `value`,
// PyTorch `other` or `exponent`.
#include <deque>
#include "python/operators.h"
#include "python/tensor_object.h"

namespace fb::py {
namespace {

std::string renamed(std::string doc, const std::string& to) {
    for (size_t at = 0; (at = doc.find("value", at)) != doc.npos; at += to.size()) doc.replace(at, 5, to);
    return doc;
}

}  // namespace

void init_signatures(PyObject*) {
    static auto* slots = new std::deque<wrapperbase>;  // descriptors keep pointing at them
    static auto* texts = new std::deque<std::string>;
    const Ref names = checked(PyDict_Keys(tensor_type->tp_dict));
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(names.get()); ++i) {
        PyObject* name = PyList_GET_ITEM(names.get(), i);
        PyObject* slot = PyDict_GetItemWithError(tensor_type->tp_dict, name);
        if (!slot || !Py_IS_TYPE(slot, &PyWrapperDescr_Type)) continue;
        const auto* old = reinterpret_cast<PyWrapperDescrObject*>(slot);
        const std::string_view doc = old->d_base->doc ? old->d_base->doc : "";
        if (doc.find("($self, value") == doc.npos) continue;
        const std::string_view what = PyUnicode_AsUTF8(name);
        const bool power = what == "__pow__" || what == "__ipow__";
        wrapperbase& slot_copy = slots->emplace_back(*old->d_base);
        slot_copy.doc = texts->emplace_back(renamed(std::string(doc), power ? "exponent" : "other")).c_str();
        const Ref made = checked(PyDescr_NewWrapper(tensor_type, &slot_copy, old->d_wrapped));
        if (PyDict_SetItem(tensor_type->tp_dict, name, made.get()) < 0) throw PythonError{};
    }
    PyType_Modified(tensor_type);
}

}  // namespace fb::py
