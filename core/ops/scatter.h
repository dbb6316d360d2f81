// What operators that write by an index have in common.
#pragma once
#include <cstring>
#include <type_traits>
#include "autograd/back.h"

namespace fb::scattered {

constexpr int64_t kShortLine = 64;
enum class Into { set, add, multiply, mean, maximum, minimum };

// One sum at a time costs less where the halves are put in place by vector instructions and a NaN is a branch.
inline BF16 plus(BF16 a, BF16 b) {
    const auto wide = [](BF16 v) {
        const uint16_t halves [[gnu::vector_size(16)]] = {0, v.bits};
        float lanes [[gnu::vector_size(16)]];
        std::memcpy(&lanes, &halves, sizeof lanes);
        return lanes[0];
    };
    const float sum = wide(a) + wide(b);
    if (sum != sum) [[unlikely]]
        return BF16(sum);
    uint32_t u;
    std::memcpy(&u, &sum, sizeof u);
    BF16 r;
    r.bits = uint16_t((u + 0x7fff + (u >> 16 & 1)) >> 16);
    return r;
}
template <class T>
T combine(Into how, T a, T b) {
    if constexpr (std::is_same_v<T, bool>) {
        return how == Into::multiply || how == Into::minimum ? a && b : how == Into::set ? b : a || b;
    } else {
        switch (how) {
            case Into::add:
            case Into::mean:
                if constexpr (std::is_same_v<T, BF16>) return plus(a, b);
                else return T(a + b);
            case Into::multiply: return T(a * b);
            case Into::maximum:
                if constexpr (requires { a > b; }) return ((b > a) | (b != b)) ? b : a;
                else return b;
            case Into::minimum:
                if constexpr (requires { a < b; }) return ((b < a) | (b != b)) ? b : a;
                else return b;
            default: return b;
        }
    }
}

Tensor as_index(const Tensor& t, const char* name);  // as int64, or an error of the operator
Into reduction(std::string_view s);
Scalar neutral(DType t, Into how);
// Element i of source, whose steps are in bytes, goes to or is put to that of `to` at index[i] along `dim`; all have as
// many dimensions, one at least.
void join_elements(const Tensor& to, int64_t dim, const Tensor& index, const Tensor& source, const Dims& steps,
                   Into how);
void divide_by_counts(const Tensor& r, const Tensor& counts);
void reduce_backward(Back& b, const Tensor& index);

}  // namespace fb::scattered
