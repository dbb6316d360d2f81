// Pickled objects of an archive. Nothing in a file is executed: what it may name are tensors, plain values and the
// classes of the program.
#pragma once
#include "runtime/archive.h"
#include "runtime/program.h"

namespace fb::runtime {

// The object of a record; storages lie in `folder`. Without a program there are no classes.
Any unpickle(const Archive& archive, const std::string& record, const std::string& folder, const Program* program);

}  // namespace fb::runtime
