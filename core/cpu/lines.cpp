// The walk over lines: written once for any number of operands, whatever is done to a line.
#include "cpu/lines.h"

namespace fb::cpu {

void run_lines(IntSpan shape, int64_t dim, std::span<char* const> base, const Dims* strides, int64_t cost, LineRun run,
               const void* f) {
    const size_t operands = base.size();
    Dims sizes;                          // of the other dimensions
    std::array<Dims, kMostLines> steps;  // and the operands' strides along them
    for (size_t d = 0; d < shape.size(); ++d) {
        if (int64_t(d) == dim) continue;
        sizes.push_back(shape[d]);
        for (size_t k = 0; k < operands; ++k) steps[k].push_back(strides[k][d]);
    }
    const int64_t length = shape.empty() ? 1 : shape[size_t(dim)];
    const int64_t grain = std::max<int64_t>(1, 16384 / (cost * std::max<int64_t>(1, length)));
    parallel_for(product(sizes), grain, [&](int64_t begin, int64_t end) {
        Dims at(sizes.size());
        std::array<char*, kMostLines> p{};
        std::array<int64_t, kMostLines> step{};  // along the last dimension, where most lines follow each other
        std::copy(base.begin(), base.end(), p.begin());
        int64_t rest = begin;
        for (size_t d = sizes.size(); d-- > 0;) {
            at[d] = rest % sizes[d];
            rest /= sizes[d];
            for (size_t k = 0; k < operands; ++k) p[k] += at[d] * steps[k][d];
        }
        const size_t last = sizes.size() - 1;
        for (size_t k = 0; k < operands && !sizes.empty(); ++k) step[k] = steps[k][last];
        while (begin < end) {
            const int64_t n = sizes.empty() ? 1 : std::min(end - begin, sizes[last] - at[last]);
            run(f, p.data(), step.data(), n);
            begin += n;
            if (begin == end) return;
            for (size_t k = 0; k < operands; ++k) p[k] -= at[last] * step[k];
            at[last] = 0;
            for (size_t d = last; d-- > 0;) {
                for (size_t k = 0; k < operands; ++k) p[k] += steps[k][d];
                if (++at[d] < sizes[d]) break;
                for (size_t k = 0; k < operands; ++k) p[k] -= sizes[d] * steps[k][d];
                at[d] = 0;
            }
        }
    });
}

}  // namespace fb::cpu
