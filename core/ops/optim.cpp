// Fused optimizer steps: a whole parameter group in one call. Each returns False, and has changed nothing, if some
// tensor is not a plain float or double on the CPU; the caller then takes the way of single tensor operations.
#include "cpu/optim.h"

#include <cmath>

#include "autograd/sparse_gradient.h"
#include "op/op.h"

namespace fb {
namespace {

bool same_layout(const TensorImpl& a, const TensorImpl& b) {
    return a.dtype == b.dtype && a.layout == Layout::Strided && a.device() == kCPU && same(a.sizes, b.sizes) &&
           ((a.contiguous && b.contiguous) || same(a.strides, b.strides));
}

// The tensors of a step, checked and laid open.
class Step {
public:
    explicit Step(TensorSpan params, TensorSpan grads) {
        check_value(grads.size() == params.size(), "expected ", params.size(), " gradients, but got ", grads.size());
        slots.resize(params.size());
        touched_.reserve(params.size() * 4);
        for (size_t i = 0; i < params.size() && fits; i++) {
            TensorImpl& p = *params[i].get();
            TensorImpl* g = grads[i].get();
            fits = (p.dtype == DType::f32 || p.dtype == DType::f64) && p.layout == Layout::Strided &&
                   p.device() == kCPU && (p.contiguous || is_non_overlapping_and_dense(p.sizes, p.strides)) &&
                   g->dtype == p.dtype && g->layout == Layout::Strided && g->device() == kCPU &&
                   same(g->sizes, p.sizes) && !is_sparse_gradient(grads[i]);
            if (fits && !same_layout(*g, p)) {
                fits = p.contiguous;
                if (fits) g = copies_.emplace_back(grads[i].contiguous()).get();
            }
            if (!fits) return;
            slots[i] = {p.data(), g->data(), {}, p.numel, p.dtype == DType::f64, {}};
            touched_.push_back(&p);
        }
    }
    // The next of the states the algorithm keeps for every parameter.
    void state(TensorSpan params, TensorSpan states) {
        check_value(!fits || states.size() == params.size(), "expected ", params.size(), " states, but got ",
                    states.size());
        for (size_t i = 0; i < params.size() && fits; i++) {
            TensorImpl& s = *states[i].get();
            fits = same_layout(s, *params[i].get());
            if (!fits) return;
            slots[i].state[states_] = s.data();
            touched_.push_back(&s);
        }
        states_++;
    }
    void counts(TensorSpan steps) {
        check_value(steps.size() == slots.size(), "expected ", slots.size(), " step counts, but got ", steps.size());
        for (const Tensor& t : steps)
            fits = fits && t.device() == kCPU && t.numel() == 1 && (t.dtype() == DType::f32 || t.dtype() == DType::f64);
    }
    static double number(const Tensor& t) { return t.dtype() == DType::f32 ? *t.data<float>() : *t.data<double>(); }
    // Writes a number that is kept in a tensor, and returns it as it is kept.
    static double set(const Tensor& t, double value) {
        t.get()->bump_version();
        return t.dtype() == DType::f32 ? double(*t.data<float>() = float(value)) : *t.data<double>() = value;
    }
    // Multiplies such a number, in its own precision.
    static double times(const Tensor& t, double factor) {
        return set(t, t.dtype() == DType::f32 ? *t.data<float>() * float(factor) : *t.data<double>() * factor);
    }
    // Adds one to a step count.
    static double count(const Tensor& t) { return set(t, number(t) + 1); }
    bool finish() {
        for (TensorImpl* t : touched_) t->bump_version();
        return true;
    }

    bool fits = true;
    std::vector<cpu::OptimSlot> slots;

private:
    GradGuard no_grad_{false};
    int states_ = 0;
    std::vector<TensorImpl*> touched_;
    std::vector<Tensor> copies_;
};

bool fused_adam(TensorSpan params, TensorSpan grads, TensorSpan exp_avgs, TensorSpan exp_avg_sqs,
                TensorSpan max_exp_avg_sqs, TensorSpan steps, double lr, double beta1, double beta2, double eps,
                double weight_decay, bool amsgrad, bool maximize, bool decoupled) {
    Step step(params, grads);
    step.state(params, exp_avgs);
    step.state(params, exp_avg_sqs);
    if (amsgrad) step.state(params, max_exp_avg_sqs);
    step.counts(steps);
    if (!step.fits) return false;
    double last = -1, rate = 0, root = 0;  // counts hardly ever differ: spare the powers
    for (size_t i = 0; i < params.size(); i++) {
        const double t = Step::count(steps[i]);
        if (t != last) {
            last = t;
            rate = lr / (1 - std::pow(beta1, t));
            root = 1 / std::sqrt(1 - std::pow(beta2, t));
        }
        step.slots[i].factor[0] = rate;
        step.slots[i].factor[1] = root;
    }
    cpu::adam_step(step.slots, {lr, beta1, beta2, eps, weight_decay, amsgrad, maximize, decoupled});
    return step.finish();
}

bool fused_sgd(TensorSpan params, TensorSpan grads, TensorSpan momentum_buffers, double lr, double weight_decay,
               double momentum, double dampening, bool nesterov, bool maximize, bool first) {
    Step step(params, grads);
    if (momentum != 0) step.state(params, momentum_buffers);
    if (!step.fits) return false;
    cpu::sgd_step(step.slots, {lr, weight_decay, momentum, dampening, nesterov, maximize, first});
    return step.finish();
}

bool fused_rmsprop(TensorSpan params, TensorSpan grads, TensorSpan square_avgs, TensorSpan grad_avgs,
                   TensorSpan momentum_buffers, TensorSpan steps, double lr, double alpha, double eps,
                   double weight_decay, double momentum, bool maximize) {
    const bool centered = !grad_avgs.empty();
    Step step(params, grads);
    step.state(params, square_avgs);
    if (centered) step.state(params, grad_avgs);
    if (momentum > 0) step.state(params, momentum_buffers);
    step.counts(steps);
    if (!step.fits) return false;
    for (const Tensor& t : steps) Step::count(t);
    cpu::rmsprop_step(step.slots, {lr, alpha, eps, weight_decay, momentum, centered, maximize});
    return step.finish();
}

bool fused_adagrad(TensorSpan params, TensorSpan grads, TensorSpan sums, TensorSpan steps, double lr, double lr_decay,
                   double weight_decay, double eps, bool maximize) {
    Step step(params, grads);
    step.state(params, sums);
    step.counts(steps);
    if (!step.fits) return false;
    for (size_t i = 0; i < params.size(); i++)
        step.slots[i].factor[0] = lr / (1 + (Step::count(steps[i]) - 1) * lr_decay);
    cpu::adagrad_step(step.slots, {weight_decay, eps, maximize});
    return step.finish();
}

bool fused_adadelta(TensorSpan params, TensorSpan grads, TensorSpan square_avgs, TensorSpan acc_deltas,
                    TensorSpan steps, double lr, double rho, double eps, double weight_decay, bool maximize) {
    Step step(params, grads);
    step.state(params, square_avgs);
    step.state(params, acc_deltas);
    step.counts(steps);
    if (!step.fits) return false;
    for (const Tensor& t : steps) Step::count(t);
    cpu::adadelta_step(step.slots, {lr, rho, eps, weight_decay, maximize});
    return step.finish();
}

bool fused_adamax(TensorSpan params, TensorSpan grads, TensorSpan exp_avgs, TensorSpan exp_infs, TensorSpan steps,
                  double lr, double beta1, double beta2, double eps, double weight_decay, bool maximize) {
    Step step(params, grads);
    step.state(params, exp_avgs);
    step.state(params, exp_infs);
    step.counts(steps);
    if (!step.fits) return false;
    for (size_t i = 0; i < params.size(); i++)
        step.slots[i].factor[0] = lr / (1 - std::pow(beta1, Step::count(steps[i])));
    cpu::adamax_step(step.slots, {lr, beta1, beta2, eps, weight_decay, maximize});
    return step.finish();
}

bool fused_nadam(TensorSpan params, TensorSpan grads, TensorSpan exp_avgs, TensorSpan exp_avg_sqs,
                 TensorSpan mu_products, TensorSpan steps, double lr, double beta1, double beta2, double eps,
                 double weight_decay, double momentum_decay, bool maximize, bool decoupled) {
    Step step(params, grads);
    step.state(params, exp_avgs);
    step.state(params, exp_avg_sqs);
    step.counts(mu_products);
    step.counts(steps);
    if (!step.fits) return false;
    const auto momentum = [&](double t) { return beta1 * (1 - 0.5 * std::pow(0.96, t * momentum_decay)); };
    for (size_t i = 0; i < params.size(); i++) {
        const double t = Step::count(steps[i]), mu = momentum(t), next = momentum(t + 1);
        const double product = Step::times(mu_products[i], mu);
        double* factor = step.slots[i].factor;
        factor[0] = lr * (1 - mu) / (1 - product);
        factor[1] = lr * next / (1 - product * next);
        factor[2] = 1 / std::sqrt(1 - std::pow(beta2, t));
    }
    cpu::nadam_step(step.slots, {lr, beta1, beta2, eps, weight_decay, momentum_decay, maximize, decoupled});
    return step.finish();
}

bool fused_radam(TensorSpan params, TensorSpan grads, TensorSpan exp_avgs, TensorSpan exp_avg_sqs, TensorSpan steps,
                 double lr, double beta1, double beta2, double eps, double weight_decay, bool maximize,
                 bool decoupled) {
    Step step(params, grads);
    step.state(params, exp_avgs);
    step.state(params, exp_avg_sqs);
    step.counts(steps);
    if (!step.fits) return false;
    const double limit = 2 / (1 - beta2) - 1;
    for (size_t i = 0; i < params.size(); i++) {
        const double t = Step::count(steps[i]), power = std::pow(beta2, t);
        const double length = limit - 2 * t * power / (1 - power);  // of the approximated moving average
        step.slots[i].factor[0] = lr / (1 - std::pow(beta1, t));
        step.slots[i].factor[1] =
            length > 5
                ? std::sqrt((1 - power) * (length - 4) * (length - 2) * limit / ((limit - 4) * (limit - 2) * length))
                : 0;
    }
    cpu::radam_step(step.slots, {lr, beta1, beta2, eps, weight_decay, maximize, decoupled});
    return step.finish();
}

bool fused_asgd(TensorSpan params, TensorSpan grads, TensorSpan averages, TensorSpan etas, TensorSpan mus,
                TensorSpan steps, double lr, double lambd, double alpha, double t0, double weight_decay,
                bool maximize) {
    Step step(params, grads);
    step.state(params, averages);
    step.counts(etas);
    step.counts(mus);
    step.counts(steps);
    if (!step.fits) return false;
    for (size_t i = 0; i < params.size(); i++) {
        const double t = Step::count(steps[i]), eta = Step::number(etas[i]);
        double* factor = step.slots[i].factor;
        factor[0] = 1 - lambd * eta;
        factor[1] = eta;
        factor[2] = Step::number(mus[i]);
        // a rate is a number of the default dtype, also where a loaded state keeps it in the parameter's
        const bool single = default_dtype() == DType::f32;
        const double rate = lr / std::pow(1 + lambd * lr * t, alpha), share = 1 / std::max(1.0, t - t0);
        Step::set(etas[i], single ? double(float(rate)) : rate);
        Step::set(mus[i], single ? double(float(share)) : share);
    }
    cpu::asgd_step(step.slots, {weight_decay, maximize});
    return step.finish();
}

bool fused_rprop(TensorSpan params, TensorSpan grads, TensorSpan prevs, TensorSpan step_sizes, TensorSpan steps,
                 double shrink, double grow, double least, double most, bool maximize) {
    Step step(params, grads);
    step.state(params, prevs);
    step.state(params, step_sizes);
    step.counts(steps);
    if (!step.fits) return false;
    for (const Tensor& t : steps) Step::count(t);
    cpu::rprop_step(step.slots, {shrink, grow, least, most, maximize});
    return step.finish();
}

const Family optim([](Registry& r) {
    r.add(
         "_fused_adam(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] "
         "max_exp_avg_sqs, "
         "Tensor[] steps, float lr, float beta1, float beta2, float eps, float weight_decay, bool amsgrad, bool "
         "maximize, "
         "bool decoupled) -> bool",
         "f")
        .kernel<fused_adam>();
    r.add(
         "_fused_sgd(Tensor[] params, Tensor[] grads, Tensor[] momentum_buffers, float lr, float weight_decay, float "
         "momentum, "
         "float dampening, bool nesterov, bool maximize, bool first) -> bool",
         "f")
        .kernel<fused_sgd>();
    r.add(
         "_fused_rmsprop(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] grad_avgs, Tensor[] "
         "momentum_buffers, "
         "Tensor[] steps, float lr, float alpha, float eps, float weight_decay, float momentum, bool maximize) -> bool",
         "f")
        .kernel<fused_rmsprop>();
    r.add(
         "_fused_adagrad(Tensor[] params, Tensor[] grads, Tensor[] sums, Tensor[] steps, float lr, float lr_decay, "
         "float weight_decay, float eps, bool maximize) -> bool",
         "f")
        .kernel<fused_adagrad>();
    r.add(
         "_fused_adadelta(Tensor[] params, Tensor[] grads, Tensor[] square_avgs, Tensor[] acc_deltas, Tensor[] steps, "
         "float lr, float rho, float eps, float weight_decay, bool maximize) -> bool",
         "f")
        .kernel<fused_adadelta>();
    r.add(
         "_fused_adamax(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_infs, Tensor[] steps, float "
         "lr, float beta1, float beta2, float eps, float weight_decay, bool maximize) -> bool",
         "f")
        .kernel<fused_adamax>();
    r.add(
         "_fused_nadam(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] mu_products, "
         "Tensor[] steps, float lr, float beta1, float beta2, float eps, float weight_decay, float momentum_decay, "
         "bool maximize, bool decoupled) -> bool",
         "f")
        .kernel<fused_nadam>();
    r.add(
         "_fused_radam(Tensor[] params, Tensor[] grads, Tensor[] exp_avgs, Tensor[] exp_avg_sqs, Tensor[] steps, float "
         "lr, float beta1, float beta2, float eps, float weight_decay, bool maximize, bool decoupled) -> bool",
         "f")
        .kernel<fused_radam>();
    r.add(
         "_fused_asgd(Tensor[] params, Tensor[] grads, Tensor[] averages, Tensor[] etas, Tensor[] mus, Tensor[] steps, "
         "float lr, float lambd, float alpha, float t0, float weight_decay, bool maximize) -> bool",
         "f")
        .kernel<fused_asgd>();
    r.add(
         "_fused_rprop(Tensor[] params, Tensor[] grads, Tensor[] prevs, Tensor[] step_sizes, Tensor[] steps, float "
         "shrink, float grow, float least, float most, bool maximize) -> bool",
         "f")
        .kernel<fused_rprop>();
});

}  // namespace
}  // namespace fb
