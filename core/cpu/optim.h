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
    double factor[3];  // what depends on the tensor's step count; see the algorithms
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
// states: square_avg, acc_delta
struct AdadeltaOptions {
    double lr, rho, eps, weight_decay;
    bool maximize;
};
// states: exp_avg, exp_inf; factors: lr / (1 - beta1^t)
struct AdamaxOptions {
    double lr, beta1, beta2, eps, weight_decay;
    bool maximize;
};
// states: exp_avg, exp_avg_sq; factors: the rates of the gradient and of exp_avg, 1 / sqrt(1 - beta2^t)
struct NadamOptions {
    double lr, beta1, beta2, eps, weight_decay, momentum_decay;
    bool maximize, decoupled;
};
// states: exp_avg, exp_avg_sq; factors: the rate of exp_avg, and what it is divided by the root of exp_avg_sq for, or 0
// for a step by exp_avg alone
struct RadamOptions {
    double lr, beta1, beta2, eps, weight_decay;
    bool maximize, decoupled;
};
// states: ax; factors: 1 - lambd·eta, eta, mu
struct AsgdOptions {
    double weight_decay;
    bool maximize;
};
// states: prev, step_size
struct RpropOptions {
    double shrink, grow, least, most;
    bool maximize;
};

void adam_step(std::span<const OptimSlot> slots, const AdamOptions& options);
void sgd_step(std::span<const OptimSlot> slots, const SgdOptions& options);
void rmsprop_step(std::span<const OptimSlot> slots, const RmspropOptions& options);
void adagrad_step(std::span<const OptimSlot> slots, const AdagradOptions& options);
void adadelta_step(std::span<const OptimSlot> slots, const AdadeltaOptions& options);
void adamax_step(std::span<const OptimSlot> slots, const AdamaxOptions& options);
void nadam_step(std::span<const OptimSlot> slots, const NadamOptions& options);
void radam_step(std::span<const OptimSlot> slots, const RadamOptions& options);
void asgd_step(std::span<const OptimSlot> slots, const AsgdOptions& options);
void rprop_step(std::span<const OptimSlot> slots, const RpropOptions& options);

// Treats elements [begin, end) of one parameter.
using OptimKernel = void (*)(const OptimSlot& slot, int64_t begin, int64_t end, const void* options);
struct OptimKernelPair {
    OptimKernel of_float, of_double;
};
struct OptimKernels {
    OptimKernelPair adam, adam_amsgrad, sgd, sgd_momentum;
    OptimKernelPair rmsprop[2][2];  // [centered][momentum]
    OptimKernelPair adagrad, adadelta, adamax, nadam, radam, asgd, rprop;
};

}  // namespace fb::cpu
