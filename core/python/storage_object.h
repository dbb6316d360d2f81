// UntypedStorage: the bytes behind tensors, as an object of their own.
#pragma once
#include "python/helpers.h"

namespace fb::py {

PyObject* wrap_storage(Ptr<Storage> s);
bool to_storage(PyObject* o, Ptr<Storage>& out);  // also objects that carry one as `_untyped_storage`

}  // namespace fb::py
