// From Python arguments to operator values.
#pragma once
#include <array>
#include <functional>
#include <memory>
#include <vector>
#include "python/override.h"

namespace fb::py {

// How an operator is called from Python: torch.add(a, b), a.add(b), a.add_(b).
enum class Form : uint8_t { Function, Method, Inplace, InplaceFunction };  // the last: torch.relu_(input)
constexpr bool is_method(Form f) { return f == Form::Method || f == Form::Inplace; }
constexpr bool is_inplace(Form f) { return f == Form::Inplace || f == Form::InplaceFunction; }

// Whether the first argument is shown as `self`: of methods, and of functions that PyTorch's table has so.
bool called_self(const Schema& s, Form form);

using Aliases = std::array<PyObject*, 4>;

// One overload as one form accepts it.
struct Signature {
    const Op* op;
    Form form;
    std::string shown;             // the function's name in messages: add_, linalg_det
    std::vector<PyObject*> names;  // interned, by argument
    std::vector<Aliases> aliases;  // other keywords for the argument (axis, keepdims, x2, …), null where there is none
    int first_shown = 0;           // 1 for methods: `self` does not count in messages
    int varargs = -1;              // the argument that takes all remaining integers: x.view(2, 3)
    int dtype_arg = -1, device_arg = -1;
    bool factory = false;  // makes tensors from nothing: takes requires_grad, pin_memory, layout
    bool has_out = false;
    bool tensor_varargs = false;  // f(a, b, c) for f([a, b, c])
    bool needs_tensor = false;    // takes numbers for tensors, but not for all of them

    Signature(const Op& op, Form form);
    std::string text() const;         // "(Tensor input, Tensor other, *, Number alpha = 1)"
    int least() const, most() const;  // how many arguments have to and may be given, by position or name
    int shown_positional() const { return op->schema.positional - first_shown; }
};

// Room for the lists of one call, freed with it.
class Arena {
public:
    template <class T>
    T* take(size_t n) {
        const size_t bytes = n * sizeof(T);
        used_ = (used_ + 15) & ~size_t(15);
        if (used_ + bytes <= sizeof room_) {
            T* p = reinterpret_cast<T*>(room_ + used_);
            used_ += bytes;
            return p;
        }
        more_.push_back(std::make_unique<char[]>(bytes));
        return reinterpret_cast<T*>(more_.back().get());
    }
    const char* function = "";  // whose arguments these are, and which of them is read: for messages
    int argument = 0;

    std::vector<Tensor>& tensors() {
        lists_.push_back(std::make_unique<std::vector<Tensor>>());
        return *lists_.back();
    }

private:
    alignas(16) char room_[192];
    size_t used_ = 0;
    std::vector<std::unique_ptr<char[]>> more_;
    std::vector<std::unique_ptr<std::vector<Tensor>>> lists_;
};

struct Call {
    Call() {}  // the values are written by `parse`, as many as there are arguments
    union {
        Value values[kMaxArgs];
    };
    Arena arena;
    PyObject* out = nullptr;  // borrowed, as given
    Tensor given[5];
    bool has_given = false;
    bool requires_grad = false;  // of a factory
};

// True when the arguments fit. Otherwise, with `why`, the message PyTorch gives if this is the only candidate.
bool parse(const Signature& s, const Arguments& in, Call& call, std::string* why = nullptr);
// Calls `retry` with the arguments of today where those given are in PyTorch's old order; false: they are not.
bool old_order(const Signature& s, const Arguments& in, const std::function<void(const Arguments&)>& retry);
// Converts one object; false: wrong type.
bool convert(PyObject* o, const Arg& arg, Value& v, Arena& arena);

// What follows "name()" where n arguments lack, given their names in quotes.
std::string missing_arguments(int n, const std::string& names);

// Only the four basic operations work on two plain numbers.
bool works_on_numbers(std::string_view name);

// Overloads that are only there to be parsed and shown.
struct Overloads {
    std::vector<std::unique_ptr<Op>> ops;  // what the signatures point at
    std::vector<Signature> list;

    void add(Schema schema, Form form, bool out);
};
// PyTorch's overloads of a name (in `space`) where those of the operator table are others; empty where they are not.
Overloads told_overloads(const std::string& space, const std::string& name, Form form);

// Raises the TypeError for a call that fits none of the signatures (refusal.cpp).
[[noreturn]] void raise_no_match(const std::vector<Signature>& all, const Arguments& in);
// Refuses a method's first argument that is no tensor, as the interpreter does.
void check_self(const std::string& name, const Arguments& in);

bool to_generator(PyObject* o, Generator*& out);  // generator.cpp

}  // namespace fb::py
