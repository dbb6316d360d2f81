// Loops of plain functions, one element after another: for operations whose time goes into the function itself.
#pragma once
#include <cstring>
#include <utility>

#include "cpu/simd/table.h"

namespace fb::cpu {

// f(element...) or f(element..., s) for elements of types In, the result converted to Out.
template <auto f, class Out, class... In>
void strided(char* const* p, const int64_t* strides, int64_t n, const void* s) {
    [&]<size_t... k>(std::index_sequence<k...>) {
        auto read = [&]<class T, size_t j>(int64_t i, T v) {
            std::memcpy(&v, p[j + 1] + i * strides[j + 1], sizeof v);
            return v;
        };
        for (int64_t i = 0; i < n; i++) {
            Out r;
            if constexpr (requires(In... x) { f(x..., s); }) r = Out(f(read.template operator()<In, k>(i, In{})..., s));
            else r = Out(f(read.template operator()<In, k>(i, In{})...));
            std::memcpy(p[0] + i * strides[0], &r, sizeof r);
        }
    }(std::index_sequence_for<In...>{});
}

}  // namespace fb::cpu
