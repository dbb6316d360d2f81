// torch.Generator.
#pragma once
#include "cpu/random.h"
#include "python/object.h"

namespace fb::py {

bool to_generator(PyObject* o, Generator*& out);  // borrowed from o; false: not a generator
PyObject* wrap(Generator& g);                     // a new generator object with a copy of g
PyObject* object_of(const Generator* g);          // new reference to its object, None where there is none

}  // namespace fb::py
