// Optimizer steps over many tensors at once: each element of parameter, gradient and state is read and written once.
#pragma once
#include <cstdint>
#include <span>

namespace fb::cpu {

// One parameter of a step. All pointers go to `n` elements in the same order; states are in the algorithm's order.
struct OptimSlot {
    void* param;
    const void* grad;
    void* state[3];
    int64_t n;
    bool is_double;    // else float
    double factor[2];  // what depends on the tensor's step count; see the algorithms
};

// states: exp_avg, exp_avg_sq, max_exp_avg_sq with amsgrad; factors: lr / (1 - beta1^t), 1 / sqrt(1 - beta2^t)
struct AdamOptions {
    double lr, beta1, beta2, eps, weight_decay;
    bool amsgrad, maximize, decoupled;
};
// states: momentum_buffer unless momentum is 0; `first` ignores what it holds
struct SgdOptions {
    double lr, weight_decay, momentum, dampening;
    bool nesterov, maximize, first;
};
// states: square_avg, grad_avg if centered, momentum_buffer if momentum is positive
struct RmspropOptions {
    double lr, alpha, eps, weight_decay, momentum;
    bool centered, maximize;
};
// states: sum; factors: lr / (1 + (t - 1) lr_decay)
struct AdagradOptions {
    double weight_decay, eps;
    bool maximize;
};

void adam_step(std::span<const OptimSlot> slots, const AdamOptions& options);
void sgd_step(std::span<const OptimSlot> slots, const SgdOptions& options);
void rmsprop_step(std::span<const OptimSlot> slots, const RmspropOptions& options);
void adagrad_step(std::span<const OptimSlot> slots, const AdagradOptions& options);

// Treats elements [begin, end) of one parameter.
using OptimKernel = void (*)(const OptimSlot& slot, int64_t begin, int64_t end, const void* options);
struct OptimKernelPair {
    OptimKernel of_float, of_double;
};
struct OptimKernels {
    OptimKernelPair adam, adam_amsgrad, sgd, sgd_momentum;
    OptimKernelPair rmsprop[2][2];  // [centered][momentum]
    OptimKernelPair adagrad;
};

}  // namespace fb::cpu
