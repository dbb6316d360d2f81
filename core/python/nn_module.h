// The C base of flambeau.nn.Module: calls and attribute access, the parts of a module that every training step uses.
#pragma once
#include "python/interpreter.h"

namespace fb::py {

void init_nn_module(PyObject* module);  // adds the type ModuleBase

}  // namespace fb::py
