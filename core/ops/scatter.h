// What operators that write by an index have in common.
#pragma once
#include <type_traits>
#include "autograd/back.h"

namespace fb::scattered {

constexpr int64_t kShortLine = 64;
enum class Into { set, add, multiply, mean, maximum, minimum };

template <class T>
T combine(Into how, T a, T b) {
    if constexpr (std::is_same_v<T, bool>) {
        return how == Into::multiply || how == Into::minimum ? a && b : how == Into::set ? b : a || b;
    } else {
        switch (how) {
            case Into::add:
            case Into::mean: return T(a + b);
            case Into::multiply: return T(a * b);
            case Into::maximum:
                if constexpr (requires { a > b; }) return (b > a) | (b != b) ? b : a;
                else return b;
            case Into::minimum:
                if constexpr (requires { a < b; }) return (b < a) | (b != b) ? b : a;
                else return b;
            default: return b;
        }
    }
}

// Calls f with the way of joining as a type, so that what it writes out asks for it once; the others join by adding.
template <class F>
void by_way(Into how, F&& f) {
    switch (how) {
        case Into::multiply: return f(std::integral_constant<Into, Into::multiply>());
        case Into::maximum: return f(std::integral_constant<Into, Into::maximum>());
        case Into::minimum: return f(std::integral_constant<Into, Into::minimum>());
        default: return f(std::integral_constant<Into, Into::add>());
    }
}

Tensor as_index(const Tensor& t, const char* name);  // as int64, or an error of the operator
Into reduction(std::string_view s);
Scalar neutral(DType t, Into how);
void divide_by_counts(const Tensor& r, const Tensor& counts);
void reduce_backward(Back& b, const Tensor& index);

}  // namespace fb::scattered
