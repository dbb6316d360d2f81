// What a node is called. An entry says "PowBackward1 0:exponent 2:self" where PyTorch has overloads for numbers: the
// first argument listed that is a number gives the name its digit. Put together when asked for.
#pragma once
#include "autograd/node.h"

namespace fb {

std::string node_name(const Node& n);
bool shows(const OpNode& n, size_t argument);  // false for a number that has an overload of its own

}  // namespace fb
