// Walking tensors line by line along one dimension, and small things that reading and writing by position share.
#pragma once
#include <array>
#include <span>
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

// The lines of several operands along `dim` of `shape`, at most kMostLines of these, their strides in bytes: calls
// run(f, addresses, steps, n) for every n lines that follow each other at even steps.
inline constexpr size_t kMostLines = 5;
using LineRun = void (*)(const void* f, char* const* at, const int64_t* steps, int64_t n);
void run_lines(IntSpan shape, int64_t dim, std::span<char* const> base, const Dims* strides, int64_t cost, LineRun run,
               const void* f);

// Calls f(array of addresses) for every line along `dim` of `shape`: the address of the line's first element in each
// operand.
template <size_t K, class F>
void each_line(IntSpan shape, int64_t dim, const std::array<char*, K>& base, const std::array<Dims, K>& strides,
               const F& f, int64_t cost = 1) {
    static_assert(K <= kMostLines);
    run_lines(
        shape, dim, base, strides.data(), cost,
        [](const void* f, char* const* at, const int64_t* steps, int64_t n) {
            std::array<char*, K> p;
            std::copy_n(at, K, p.begin());
            for (; n > 0; --n) {
                (*static_cast<const F*>(f))(p);
                for (size_t k = 0; k < K; ++k) p[k] += steps[k];
            }
        },
        &f);
}

// Calls f(i, place) for every i in [0, n), where places(begin, count, room) gives the places, all in [low, high), of
// [begin, begin + count), and before that, a block at a time, soon(place) where the places are `spread` over much
// memory. Each thread has a range of the places, and there follows the order of i: what several values for a place
// leave does not depend on threads. `cost`: what a call does, in elements.
template <class Places, class Soon, class F>
void each_by_place(int64_t n, int64_t low, int64_t high, int64_t cost, bool spread, Places&& places, Soon&& soon,
                   F&& f) {
    constexpr int64_t kBlock = 512, kAhead = 32;
    const int64_t threads = n >= 64 && n * cost >= (spread || cost > 1 ? 1 << 15 : 1 << 18) ? num_threads() : 1;
    const int64_t width = (high - low + threads - 1) / threads;
    const auto chosen = position_loops().chosen;
    parallel_for(threads, 1, [&](int64_t b, int64_t e) {
        int64_t room[kBlock];
        int32_t mine[kBlock + 16];
        const int64_t first = low + b * width, last = std::min(high, low + e * width);
        const auto one = f;  // copies of what is called: in registers, whatever is written
        const auto ahead = soon;
        for (int64_t begin = 0; begin < n; begin += kBlock) {
            const int64_t count = std::min(kBlock, n - begin);
            const int64_t* const at = places(begin, count, room);
            // What is asked for ahead goes on beside the work: a block of it at once would wait for itself.
            const auto run = [&](int64_t many, auto&& which) {
                for (int64_t i = 0; spread && i < std::min(kAhead, many); ++i) ahead(at[which(i)]);
#pragma GCC unroll 4
                for (int64_t i = 0; i < many; ++i) {
                    if (spread) ahead(at[which(i + kAhead < many ? i + kAhead : i)]);
                    one(begin + which(i), at[which(i)]);
                }
            };
            if (e - b == threads) run(count, [](int64_t i) { return i; });
            else run(chosen(at, count, first, last, mine), [&mine](int64_t i) { return mine[i]; });
        }
    });
}
inline constexpr int64_t kSpreadBytes = 512 << 10;  // more than this is not all in the second cache

// The least and the largest of many positions, or other whole numbers.
template <class T>
inline std::pair<T, T> extremes(const T* at, int64_t n) {
    std::pair<T, T> all{at[0], at[0]};
    parallel_for(n, 65536, [&](int64_t b, int64_t e) {
        T low = at[b], high = at[b];
        if constexpr (sizeof(T) == 8) position_loops().extremes(at + b, e - b, &low, &high);
        else position_loops().extremes4(at + b, e - b, &low, &high);
#pragma omp critical(fb_extremes)
        all = {std::min(all.first, low), std::max(all.second, high)};
    });
    return all;
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

// Calls f with a value of the type that sums of elements are computed in: whole numbers wrap the same with and without
// a sign.
template <class F>
void visit_added(DType t, F&& f) {
    switch (t) {
        case DType::i8: return f(uint8_t{});
        case DType::i16: return f(uint16_t{});
        case DType::i32: return f(uint32_t{});
        case DType::i64: return f(uint64_t{});
        case DType::u8: return f(uint8_t{});
        case DType::u16: return f(uint16_t{});
        case DType::u32: return f(uint32_t{});
        case DType::u64: return f(uint64_t{});
        case DType::f16: return f(F16{});
        case DType::bf16: return f(BF16{});
        case DType::f32: return f(float{});
        case DType::f64: return f(double{});
        case DType::b1: return f(bool{});
        case DType::c64: return f(C64{});
        case DType::c128: return f(C128{});
        default: no_element_type(t);
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
