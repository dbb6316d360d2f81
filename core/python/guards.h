// Python state that a captured program depends on.
#pragma once
#include <cstring>
#include "python/helpers.h"

namespace fb::py {

bool same_value(PyObject* a, PyObject* b);  // the same object, or equal numbers, texts, tuples of such
bool guards_hold(PyObject* guards);         // of a _C._Guards
void init_guards(PyObject* module);
void init_compile(PyObject* module);  // compile.cpp
void init_graph(PyObject* module);    // graph.cpp

}  // namespace fb::py
