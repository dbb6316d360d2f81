// Walking tensors line by line along one dimension, and small things that reading and writing by position share.
#pragma once
#include <array>
#include "base/parallel.h"
#include "cpu/iter.h"
#include "cpu/positions.h"

namespace fb::cpu {

inline Dims byte_strides(const Tensor& t) {
    Dims s = t.strides();
    for (auto& v : s) v *= int64_t(itemsize(t.dtype()));
    return s;
}
inline char* bytes(const Tensor& t) { return static_cast<char*>(t->data()); }

// A 0-d tensor taken as one of a single element.
inline Tensor at_least_1d(const Tensor& t) { return t.dim() ? t : make_view(t, Dims{1}, Dims{1}, t->offset); }

// Calls f(array of addresses) for every line along `dim` of `shape`: the address of the line's first element in each
// operand.
template <size_t K, class F>
void each_line(IntSpan shape, int64_t dim, const std::array<char*, K>& base, const std::array<Dims, K>& strides, F&& f,
               int64_t cost = 1) {
    Dims outer_size;
    std::array<Dims, K> outer;
    for (size_t d = 0; d < shape.size(); ++d) {
        if (int64_t(d) == dim) continue;
        outer_size.push_back(shape[d]);
        for (size_t k = 0; k < K; ++k) outer[k].push_back(strides[k][d]);
    }
    const int64_t lines = product(outer_size), length = shape.empty() ? 1 : shape[size_t(dim)];
    parallel_for(lines, std::max<int64_t>(1, 16384 / (cost * std::max<int64_t>(1, length))), [&](int64_t b, int64_t e) {
        Dims at(outer_size.size());
        std::array<char*, K> p = base;
        int64_t rest = b;
        for (size_t d = outer_size.size(); d-- > 0;) {
            at[d] = rest % outer_size[d];
            rest /= outer_size[d];
            for (size_t k = 0; k < K; ++k) p[k] += at[d] * outer[k][d];
        }
        for (; b < e; ++b) {
            f(p);
            for (size_t d = outer_size.size(); d-- > 0;) {
                for (size_t k = 0; k < K; ++k) p[k] += outer[k][d];
                if (++at[d] < outer_size[d]) break;
                for (size_t k = 0; k < K; ++k) p[k] -= outer_size[d] * outer[k][d];
                at[d] = 0;
            }
        }
    });
}

// Calls f with a value whose type has this size: for moving elements without knowing what they are.
template <class F>
void by_item_size(size_t item, F&& f) {
    switch (item) {
        case 1: return f(uint8_t{});
        case 2: return f(uint16_t{});
        case 4: return f(uint32_t{});
        case 8: return f(uint64_t{});
        default: return f(C128{});
    }
}

// A destination that starts as a copy of self, or is self (in place), or the out= tensor.
inline Tensor started(const Tensor& self, const Out& out) {
    Tensor r = out.given() ? out.result(self.sizes(), self.dtype(), self.device())
                           : empty(self.sizes(), self.dtype(), self.device());
    if (r.get() != self.get()) copy_data(r, self);
    return r;
}

}  // namespace fb::cpu
