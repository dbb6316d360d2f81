// An operator's signature, read from PyTorch's schema notation:
//   name.overload(Tensor self, Operand other, *, Scalar alpha=1) -> Tensor
// `Operand` is a tensor or a Python number. A prefix `nn::`, `linalg::`, `fft::`, `special::` names the Python module.
#pragma once
#include <string>
#include <vector>
#include "op/value.h"

namespace fb {

enum class Kind : uint8_t {
    Tensor,
    Tensors,
    Operand,
    Scalar,
    Scalars,
    Int,
    Float,
    Bool,
    Ints,
    Floats,
    Bools,
    String,
    DType,
    Layout,
    Device,
    Format,
    Generator,
};

struct Arg {
    std::string name;
    Kind kind = Kind::Tensor;
    bool optional = false;  // accepts None
    bool keyword_only = false;
    bool has_default = false;
    bool mutated = false;         // Tensor(a!)
    bool optional_items = false;  // Tensor?[]
    int32_t list_size = -1;       // int[2]: a single int stands for two
    Value fallback;               // the default; lists and strings point into the members below
    std::vector<int64_t> ints;
    std::vector<double> doubles;
    std::string text;
    std::string default_text;
};

struct Schema {
    std::string space;  // "", "nn", "linalg", …
    std::string name, overload;
    std::vector<Arg> args;
    std::vector<std::string> returns;  // names, empty where unnamed
    std::vector<Kind> return_kinds;
    int positional = 0;  // how many arguments may be given by position
    std::string text;

    std::string full_name() const {
        return (space.empty() ? "" : space + "::") + name + (overload.empty() ? "" : "." + overload);
    }
    int index_of(std::string_view arg) const;
};

Schema parse_schema(std::string_view text);  // throws Error with the place of a mistake

}  // namespace fb
