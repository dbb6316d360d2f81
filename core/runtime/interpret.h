// Runs the functions of a program.
#pragma once
#include "runtime/program.h"
#include "runtime/words.h"

namespace fb::runtime {

// Missing arguments take their defaults; throws where they do not fit the function.
Any call_function(const Function& f, const Arguments& a);
Any call_method(const Any& object, const std::string& name, const Arguments& a);  // without `self`
Any construct(const Class& type, const Arguments& a);
Any evaluate(const Expr& e);  // without local variables: defaults, constants of classes

}  // namespace fb::runtime
