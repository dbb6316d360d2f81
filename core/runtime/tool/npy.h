/* NumPy's files of one array. */
#pragma once
#include <string>
#include "runtime/flambeau.h"

namespace fb::tool {

fb_value* read_npy(const std::string& path);  // throws std::runtime_error
void write_npy(const std::string& path, const fb_tensor& t);
bool ends_with(const std::string& s, const std::string& end);

}  // namespace fb::tool
