#include "cpu/copy.h"
#include <algorithm>
#include <cstring>
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/copy_loops.h"
#include "tensor/turn.h"

namespace fb::cpu {

namespace baseline {
extern const CopyLoops copy_loops;
}
namespace avx2 {
extern const CopyLoops copy_loops;
}
namespace avx512 {
extern const CopyLoops copy_loops;
}

const CopyLoops& copy_loops() { return for_this_cpu<baseline::copy_loops, avx2::copy_loops, avx512::copy_loops>(); }

namespace {

const bool installed = (turn4 = copy_loops().turn4, true);

constexpr int64_t kGrain = 32768;  // elements a thread should have

// The dimensions from the fastest of the result to the slowest, neighbours joined where both sides allow it.
struct Walk {
    Small<int64_t, 6> size, to, from;
    int64_t total = 1;

    // Calls f(to, from, n) for `n` steps along dimension 1 at a time, over steps [begin, end) of all but dimension 0.
    template <class F>
    void steps(char* to_base, const char* from_base, int64_t begin, int64_t end, F&& f) const {
        const int64_t length = size.size() > 1 ? size[1] : 1;
        while (begin < end) {
            const int64_t at = begin % length, n = std::min(length - at, end - begin);
            char* q = to_base;
            const char* p = from_base;
            if (size.size() > 1) {
                q += at * to[1];
                p += at * from[1];
            }
            int64_t rest = begin / length;
            for (size_t d = 2; d < size.size(); ++d) {
                const int64_t i = rest % size[d];
                rest /= size[d];
                q += i * to[d];
                p += i * from[d];
            }
            f(q, p, n);
            begin += n;
        }
    }
    int64_t step_to() const { return size.size() > 1 ? to[1] : 0; }
    int64_t step_from() const { return size.size() > 1 ? from[1] : 0; }
};

// As pieces of a register: GCC makes a slow string instruction of longer ones.
template <size_t bytes>
void copy_strip(char* to, const char* from) {
    constexpr size_t kPiece = 16;
    if constexpr (bytes % kPiece) {
        std::memcpy(to, from, bytes);
    } else {
        for (size_t at = 0; at < bytes; at += kPiece) std::memcpy(to + at, from + at, kPiece);
    }
}
// n strips of a length that the compiler knows, or of any.
template <size_t... length>
bool copy_known(std::index_sequence<length...>, char* to, int64_t to_step, const char* from, int64_t from_step,
                int64_t n, int64_t bytes) {
    const auto fits = [&]<size_t w>(std::integral_constant<size_t, w>) {
        if (bytes != int64_t(w)) return false;
        for (int64_t i = 0; i < n; ++i) copy_strip<w>(to + i * to_step, from + i * from_step);
        return true;
    };
    return (fits(std::integral_constant<size_t, length>()) || ...);
}
void copy_strips(char* to, int64_t to_step, const char* from, int64_t from_step, int64_t n, int64_t bytes) {
    using Known = std::index_sequence<1, 2, 4, 8, 12, 16, 24, 32, 48>;
    if (bytes <= 48 && copy_known(Known(), to, to_step, from, from_step, n, bytes)) return;
    if (bytes >= 64 && bytes <= 1024) return copy_loops().strips(to, to_step, from, from_step, n, bytes);
    for (int64_t i = 0; i < n; ++i) copy_bytes(to + i * to_step, from + i * from_step, bytes);
}

// Dimension 0 lies across the source, which is contiguous along dimension d.
void turn_matrices(const Walk& w, size_t d, char* to, const char* from, int64_t item) {
    const CopyLoops& loops = copy_loops();
    // Squares; of 8 bytes (a square fills the nearest cache) long strips of whole lines, written one behind the other.
    constexpr int64_t kSide = 64;
    const bool strips = item == 8 && w.size[0] > kSide;
    const int64_t high = strips ? 2048 : kSide, wide = strips ? std::max<int64_t>(8, loops.side8) : kSide;
    const int64_t rows = (w.size[0] + high - 1) / high, columns = (w.size[d] + wide - 1) / wide;
    const int64_t squares = w.total / (w.size[0] * w.size[d]) * rows * columns;
    parallel_for(squares, std::max<int64_t>(1, kGrain * squares / w.total), [&](int64_t begin, int64_t end) {
        for (; begin < end; ++begin) {
            const int64_t i = begin % rows * high, j = begin / rows % columns * wide;
            const int64_t ni = std::min(high, w.size[0] - i), nj = std::min(wide, w.size[d] - j);
            const char* p = from + i * w.from[0] + j * w.from[d];
            char* q = to + i * w.to[0] + j * w.to[d];
            int64_t rest = begin / (rows * columns);
            for (size_t k = 1; k < w.size.size(); ++k) {
                if (k == d) continue;
                p += rest % w.size[k] * w.from[k];
                q += rest % w.size[k] * w.to[k];
                rest /= w.size[k];
            }
            if (item == 4)
                loops.turn4(reinterpret_cast<const uint32_t*>(p), w.from[0] / item, reinterpret_cast<uint32_t*>(q),
                            w.to[d] / item, ni, nj);
            else
                loops.turn8(reinterpret_cast<const uint64_t*>(p), w.from[0] / item, reinterpret_cast<uint64_t*>(q),
                            w.to[d] / item, ni, nj);
        }
    });
}

}  // namespace

bool copy_elements(IntSpan sizes, char* to, IntSpan to_strides, const char* from, IntSpan from_strides, int64_t item) {
    Walk w;
    Small<int, 6> order;
    for (int d = int(sizes.size()) - 1; d >= 0; --d) {
        if (sizes[size_t(d)] == 1) continue;
        if (to_strides[size_t(d)] < item) return false;
        order.push_back(d);
        w.total *= sizes[size_t(d)];
    }
    if (order.empty() || !w.total) return false;
    std::stable_sort(order.begin(), order.end(),
                     [&](int a, int b) { return to_strides[size_t(a)] < to_strides[size_t(b)]; });
    for (const int i : order) {
        const size_t d = size_t(i);
        if (!w.size.empty() && to_strides[d] == w.to.back() * w.size.back() &&
            from_strides[d] == w.from.back() * w.size.back()) {
            w.size.back() *= sizes[d];
            continue;
        }
        w.size.push_back(sizes[d]);
        w.to.push_back(to_strides[d]);
        w.from.push_back(from_strides[d]);
    }
    if (w.to[0] != item) return false;
    const int64_t n = w.size[0], strips = w.total / n, grain = std::max<int64_t>(1, kGrain / n);
    // f(to, from, strips, length): the strips shared out over the threads, or pieces of them where they are few.
    const auto each = [&](auto&& f) {
        if (strips % num_threads() == 0 || strips >= 16 * num_threads() || n < kGrain)
            return parallel_for(strips, grain, [&](int64_t begin, int64_t end) {
                w.steps(to, from, begin, end, [&](char* q, const char* p, int64_t count) { f(q, p, count, n); });
            });
        parallel_for(w.total, kGrain, [&](int64_t begin, int64_t end) {
            while (begin < end) {
                const int64_t strip = begin / n, at = begin % n, length = std::min(n - at, end - begin);
                w.steps(to, from, strip, strip + 1,
                        [&](char* q, const char* p, int64_t) { f(q + at * item, p + at * w.from[0], 1, length); });
                begin += length;
            }
        });
    };
    if (w.from[0] == item) {
        each([&](char* q, const char* p, int64_t count, int64_t length) {
            copy_strips(q, w.step_to(), p, w.step_from(), count, length * item);
        });
        return true;
    }
    if (item != 4 && item != 8) return false;
    constexpr int64_t kLine = 64;
    if (strips == 1 && std::abs(w.from[0]) >= kLine) {  // every element in a line of its own
        each([&](char* q, const char* p, int64_t, int64_t length) {
            if (item == 4) copy_strips(q, item, p, w.from[0], length, 4);
            else copy_strips(q, item, p, w.from[0], length, 8);
        });
        return true;
    }
    const CopyLoops& loops = copy_loops();
    const int64_t side = item == 4 ? loops.side4 : loops.side8;
    if (n < side) return false;
    if (w.from[0] == -item) {
        each([&](char* q, const char* p, int64_t count, int64_t length) {
            for (; count > 0; --count, q += w.step_to(), p += w.step_from()) {
                if (item == 4)
                    loops.reverse4(reinterpret_cast<const uint32_t*>(p), reinterpret_cast<uint32_t*>(q), length);
                else loops.reverse8(reinterpret_cast<const uint64_t*>(p), reinterpret_cast<uint64_t*>(q), length);
            }
        });
        return true;
    }
    if (w.from[0] == 0) return false;  // one value for a strip: nothing to turn
    for (size_t d = 1; d < w.size.size(); ++d)
        if (w.from[d] == item && w.size[d] >= side) {
            turn_matrices(w, d, to, from, item);
            return true;
        }
    return false;
}

}  // namespace fb::cpu
