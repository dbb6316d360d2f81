// Warnings go to whoever embeds the core: Python's `warnings` or stderr.
#pragma once
#include <cstdio>
#include <string>

namespace fb {

inline void (*warning_sink)(const std::string&) = nullptr;  // may throw when warnings are errors
inline void warn(const std::string& text) {
    if (warning_sink) warning_sink(text);
    else std::fprintf(stderr, "Warning: %s\n", text.c_str());
}

}  // namespace fb
