#include "cpu/optim.h"

#include "base/parallel.h"
#include "cpu/choose.h"

namespace fb::cpu {

namespace baseline {
extern const OptimKernels optim_kernels;
}
namespace avx2 {
extern const OptimKernels optim_kernels;
}
namespace avx512 {
extern const OptimKernels optim_kernels;
}

namespace {

const OptimKernels& optim_kernels() {
    return for_this_cpu<baseline::optim_kernels, avx2::optim_kernels, avx512::optim_kernels>();
}

// Elements a thread is worth waking for.
constexpr int64_t kGrain = 32768;

// Every thread takes the same part of every slot: the rows of a weight that it renews are then those that it reads and
// whose gradient it wrote in the products (`cpu/gemm.cpp`), and they stay in its cache.
void run(std::span<const OptimSlot> slots, const OptimKernelPair& kernels, const void* options) {
    int64_t total = 0;
    for (const OptimSlot& s : slots) total += s.n;
    const auto until = [&](int64_t n, int64_t at) {
        return at >= total ? n : int64_t(double(n) * double(at) / double(total)) / 16 * 16;
    };
    parallel_for(total, kGrain, [&](int64_t begin, int64_t end) {
        for (const OptimSlot& s : slots) {
            const int64_t b = until(s.n, begin), e = until(s.n, end);
            if (b < e) (s.is_double ? kernels.of_double : kernels.of_float)(s, b, e, options);
        }
    });
}

}  // namespace

void adam_step(std::span<const OptimSlot> slots, const AdamOptions& o) {
    run(slots, o.amsgrad ? optim_kernels().adam_amsgrad : optim_kernels().adam, &o);
}
void sgd_step(std::span<const OptimSlot> slots, const SgdOptions& o) {
    run(slots, o.momentum != 0 ? optim_kernels().sgd_momentum : optim_kernels().sgd, &o);
}
void rmsprop_step(std::span<const OptimSlot> slots, const RmspropOptions& o) {
    run(slots, optim_kernels().rmsprop[o.centered][o.momentum > 0], &o);
}
void adagrad_step(std::span<const OptimSlot> slots, const AdagradOptions& o) {
    run(slots, optim_kernels().adagrad, &o);
}
void adadelta_step(std::span<const OptimSlot> slots, const AdadeltaOptions& o) {
    run(slots, optim_kernels().adadelta, &o);
}
void adamax_step(std::span<const OptimSlot> slots, const AdamaxOptions& o) { run(slots, optim_kernels().adamax, &o); }
void nadam_step(std::span<const OptimSlot> slots, const NadamOptions& o) { run(slots, optim_kernels().nadam, &o); }
void radam_step(std::span<const OptimSlot> slots, const RadamOptions& o) { run(slots, optim_kernels().radam, &o); }
void asgd_step(std::span<const OptimSlot> slots, const AsgdOptions& o) { run(slots, optim_kernels().asgd, &o); }
void rprop_step(std::span<const OptimSlot> slots, const RpropOptions& o) { run(slots, optim_kernels().rprop, &o); }

}  // namespace fb::cpu
