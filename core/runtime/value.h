// Values of a TorchScript program. Where an operator takes borrowed values (op/value.h), these own what they hold.
#pragma once
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>
#include "tensor/tensor.h"

namespace fb::runtime {

struct Class;

// What lies on the heap. Long chains are freed one after the other, not one inside the other.
struct Heap : RefCounted {
    virtual ~Heap() = default;
    static void destroy(Heap* h);

private:
    Heap* next_ = nullptr;
};
struct Text;
struct List;
struct Tuple;
struct Dict;
struct Object;

struct None {};
using Any = std::variant<None, bool, int64_t, double, C128, Device, Tensor, Ptr<Text>, Ptr<List>, Ptr<Tuple>, Ptr<Dict>,
                         Ptr<Object>, Ptr<Heap>>;  // the last: parts of files that no program sees

struct Text final : Heap {
    explicit Text(std::string s) : s(std::move(s)) {}
    const std::string s;
};
struct List final : Heap {
    explicit List(std::vector<Any> items = {}) : items(std::move(items)) {}
    std::vector<Any> items;
};
struct Tuple final : Heap {
    explicit Tuple(std::vector<Any> items, const Class* kind = nullptr) : items(std::move(items)), kind(kind) {}
    std::vector<Any> items;
    const Class* kind;  // of a named tuple
};
struct Hash {
    size_t operator()(const Any& key) const;
};
struct Equal {
    bool operator()(const Any& a, const Any& b) const;
};
struct Dict final : Heap {  // in the order of insertion
    const Any* find(const Any& key) const;
    void set(const Any& key, Any value);
    bool erase(const Any& key);
    void clear();
    const std::vector<std::pair<Any, Any>>& items() const { return items_; }

private:
    std::vector<std::pair<Any, Any>> items_;
    std::unordered_map<Any, size_t, Hash, Equal> places_;
};
struct Object final : Heap {  // of a class of the program, or a member of an Enum (name, value)
    Object(const Class* kind, size_t slots) : kind(kind), slots(slots) {}
    const Class* kind;
    std::vector<Any> slots;
};

template <class T>
const T* as(const Any& v) {  // null where v is something else
    if constexpr (std::is_base_of_v<Heap, T>) {
        const Ptr<T>* p = std::get_if<Ptr<T>>(&v);
        return p ? p->get() : nullptr;
    } else {
        return std::get_if<T>(&v);
    }
}
template <class T>
T* mutable_as(const Any& v) {
    return const_cast<T*>(as<T>(v));
}
inline bool is_none(const Any& v) { return std::holds_alternative<None>(v); }
inline Any text(std::string s) { return make<Text>(std::move(s)); }
inline Any list(std::vector<Any> items = {}) { return make<List>(std::move(items)); }
inline Any tuple(std::vector<Any> items) { return make<Tuple>(std::move(items)); }
Any from_scalar(const Scalar& s);

std::string type_name(const Any& v);                         // for messages: "int", "Tensor", "List"
bool equal(const Any& a, const Any& b, int depth = 0);       // of values without tensors
std::string to_text(const Any& v, int depth = 0);            // `str(v)` of a program
bool truth(const Any& v);                                    // what `if` makes of it
int64_t integer(const Any& v, const char* what = "an int");  // throws where v is none
double real(const Any& v, const char* what = "a float");
const std::string& string(const Any& v, const char* what = "a str");
// Lists and tuples alike.
const std::vector<Any>* items_of(const Any& v);
Any nested_list(const Tensor& t);                           // x.tolist()
Tensor tensor_of(const Any& v, DType dtype = DType::none);  // torch.tensor(v)

}  // namespace fb::runtime
