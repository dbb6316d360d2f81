// What an operator is called with: a tagged, borrowed value. Whoever calls keeps the referents alive.
#pragma once
#include <optional>
#include <string_view>
#include "tensor/tensor.h"

namespace fb {

class Generator;  // cpu/random.h
class Operand;

enum class Tag : uint8_t {
    None,
    Tensor,
    Bool,
    Int,
    Double,
    Complex,
    Ints,
    Doubles,
    Bools,
    Scalars,
    Tensors,
    String,
    DType,
    Layout,
    Device,
    Format,
    Generator,
};

struct Value {
    Tag tag = Tag::None;
    uint32_t len = 0;  // of lists and strings
    union {
        TensorImpl* tensor_ptr = nullptr;
        bool b;
        int64_t i;
        double d;
        C128 c;
        const int64_t* ints_ptr;
        const double* doubles_ptr;
        const bool* bools_ptr;
        const Scalar* scalars_ptr;
        const Tensor* tensors_ptr;
        const char* chars;
        DType dt;
        Layout layout_v;
        Device device_v;
        MemoryFormat format_v;
        Generator* generator_v;
    };

    Value() {}
    Value(std::nullptr_t) {}
    Value(std::nullopt_t) {}
    Value(const Tensor& t) : tag(t.defined() ? Tag::Tensor : Tag::None), tensor_ptr(t.get()) {}
    Value(TensorImpl* t) : tag(t ? Tag::Tensor : Tag::None), tensor_ptr(t) {}
    Value(bool v) : tag(Tag::Bool), b(v) {}
    Value(int v) : tag(Tag::Int), i(v) {}
    Value(int64_t v) : tag(Tag::Int), i(v) {}
    Value(double v) : tag(Tag::Double), d(v) {}
    Value(C128 v) : tag(Tag::Complex), c(v) {}
    Value(const Scalar& s) {
        switch (s.kind) {
            case Scalar::Kind::Bool:
                tag = Tag::Bool;
                b = s.i != 0;
                break;
            case Scalar::Kind::Int:
                tag = Tag::Int;
                i = s.i;
                break;
            case Scalar::Kind::Double:
                tag = Tag::Double;
                d = s.d;
                break;
            case Scalar::Kind::Complex:
                tag = Tag::Complex;
                c = s.complex();
                break;
        }
    }
    Value(IntSpan s) : tag(Tag::Ints), len(uint32_t(s.size())), ints_ptr(s.data()) {}
    Value(const Dims& s) : Value(s.span()) {}
    Value(std::span<const double> s) : tag(Tag::Doubles), len(uint32_t(s.size())), doubles_ptr(s.data()) {}
    Value(std::span<const bool> s) : tag(Tag::Bools), len(uint32_t(s.size())), bools_ptr(s.data()) {}
    Value(std::span<const Scalar> s) : tag(Tag::Scalars), len(uint32_t(s.size())), scalars_ptr(s.data()) {}
    Value(TensorSpan s) : tag(Tag::Tensors), len(uint32_t(s.size())), tensors_ptr(s.data()) {}
    Value(const std::vector<Tensor>& s) : Value(TensorSpan(s)) {}
    Value(std::string_view s) : tag(Tag::String), len(uint32_t(s.size())), chars(s.data()) {}
    Value(const char* s) : Value(std::string_view(s)) {}
    Value(DType t) : tag(t == DType::none ? Tag::None : Tag::DType), dt(t) {}
    Value(Layout l) : tag(Tag::Layout), layout_v(l) {}
    Value(Device v) : tag(Tag::Device), device_v(v) {}
    Value(MemoryFormat f) : tag(Tag::Format), format_v(f) {}
    Value(const Operand& o);
    Value(Generator* g) : tag(g ? Tag::Generator : Tag::None), generator_v(g) {}
    template <class T>
    Value(const std::optional<T>& o) : Value(o ? Value(*o) : Value()) {}

    bool is_none() const { return tag == Tag::None; }
    bool is_tensor() const { return tag == Tag::Tensor; }
    bool is_number() const { return tag >= Tag::Bool && tag <= Tag::Complex; }
    // A Tensor is nothing but its pointer, so a borrowed pointer can be looked at as a Tensor without counting.
    const Tensor& tensor() const {
        static_assert(sizeof(Tensor) == sizeof(TensorImpl*));
        return *reinterpret_cast<const Tensor*>(&tensor_ptr);
    }
    int64_t integer() const { return tag == Tag::Int ? i : tag == Tag::Bool ? b : int64_t(d); }
    double real() const {
        return tag == Tag::Double ? d : tag == Tag::Int ? double(i) : tag == Tag::Bool ? double(b) : c.re;
    }
    bool flag() const { return tag == Tag::Bool ? b : integer() != 0; }
    Scalar scalar() const {
        return tag == Tag::Bool ? Scalar(b) : tag == Tag::Int ? Scalar(i) : tag == Tag::Complex ? Scalar(c) : Scalar(d);
    }
    IntSpan ints() const { return {ints_ptr, len}; }
    std::span<const double> doubles() const { return {doubles_ptr, len}; }
    std::span<const bool> bools() const { return {bools_ptr, len}; }
    std::span<const Scalar> scalars() const { return {scalars_ptr, len}; }
    TensorSpan tensors() const { return {tensors_ptr, len}; }
    std::string_view string() const { return {chars, len}; }
};

// A tensor or a Python number: the second operand of arithmetic. Undefined tensor and number are told apart by
// `is_tensor`.
class Operand {
public:
    Operand(const Value& v) : v_(v) {}
    Operand(const Tensor& t) : v_(t) {}
    Operand(const Scalar& s) : v_(s) {}
    bool is_tensor() const { return v_.is_tensor(); }
    const Tensor& tensor() const { return v_.tensor(); }
    Scalar scalar() const { return v_.scalar(); }
    const Value& value() const { return v_; }

private:
    Value v_;
};

inline Value::Value(const Operand& o) : Value(o.value()) {}

}  // namespace fb
