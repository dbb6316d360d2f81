// From values of a program to calls of the operator table.
#pragma once
#include <span>
#include "op/op.h"
#include "runtime/value.h"

namespace fb::runtime {

// Arguments of a call in a program; the last `names.size()` are given by name.
struct Arguments {
    std::vector<Any> values;
    std::span<const std::string> names;

    size_t size() const { return values.size(); }
    size_t positional() const { return values.size() - names.size(); }
    const Any& operator[](size_t i) const;  // throws where there are fewer
    // The i-th by position, or that of the name, or null.
    const Any* find(size_t i, std::string_view name) const;
    bool given(size_t i, std::string_view name) const;  // and not None
    int64_t integer_or(size_t i, std::string_view name, int64_t other) const;
};

// The overloads of one name, in the order of the table.
struct Overloads {
    std::string name;
    bool inplace = false;  // the in-place form of them
    std::vector<const Op*> ops;
};
Overloads overloads_of(const std::string& name);
Any call_overloads(const Overloads& o, const Arguments& a);
Device device_of(std::string_view name);

}  // namespace fb::runtime
