// The callables made from the operator table.
#pragma once
#include "python/parse.h"

namespace fb::py {

// All overloads of one name in one form, and the Python object for them.
struct Group {
    std::string space, name;  // "linalg", "eigh"
    Form form;
    std::vector<Signature> signatures;
    PyObject* object = nullptr;  // the callable
};

// Finds a group; null when there is no such operator (yet).
const Group* find_group(std::string_view space, std::string_view name, Form form);

// Parses, calls and wraps; what the callables and the operator slots do.
PyObject* call_group(const Group& g, const Arguments& in);

PyObject* call_signatures(const std::vector<Signature>& all, const Arguments& in);

PyObject* wrap_results(const Op& op, Frame& f);

}  // namespace fb::py
