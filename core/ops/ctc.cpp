// Connectionist temporal classification (Graves et al. 2006): the likelihood of a label sequence summed over all
// alignments.
#include <cmath>
#include <limits>
#include "base/parallel.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

constexpr double kNone = -std::numeric_limits<double>::infinity();
// T: the type of the result, which says how exact the smaller part has to be.
template <class T>
double log_add(double a, double b) {
    const double top = std::max(a, b);
    return top == kNone ? kNone : top + double(std::log(T(1) + std::exp(-std::abs(T(a - b)))));
}

// Labels of every sample: rows of a padded matrix, or one list after another.
struct Labels {
    Tensor keep;
    std::vector<const int64_t*> row;
};
constexpr const char* kWhere = "(while checking arguments for ctc_loss_allocate_outputs)";

Labels labels_of(const Tensor& targets, IntSpan lengths, int64_t classes) {
    check(!targets.is_meta(), "ctc_loss: the values of targets are needed, which a meta tensor does not have");
    Labels r;
    r.keep = dense(targets.dtype() == DType::i64 ? targets : convert(targets, DType::i64));
    const int64_t *p = r.keep.data<int64_t>(),
                  most = lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
    int64_t total = 0;
    for (int64_t n : lengths)
        check(!__builtin_add_overflow(total, n, &total), "ctc_loss: target_lengths are too large");
    if (targets.dim() == 1) {
        check(targets.numel() == total, "Expected tensor to have size ", total, " at dimension 0, but got size ",
              targets.numel(), " for argument #2 'targets' ", kWhere);
        for (int64_t n : lengths) {
            check(n <= targets.numel(), "ctc_loss: a target length of ", n, " for ", targets.numel(), " targets");
            r.row.push_back(p);
            p += n;
        }
    } else {
        check(targets.dim() == 2, "targets must be 1-D or 2-D, got ", targets.dim(), "-D");
        check(targets.sizes()[0] == int64_t(lengths.size()), "Expected tensor to have size ", lengths.size(),
              " at dimension 0, but got size ", targets.sizes()[0], " for argument #2 'targets' ", kWhere);
        check(targets.sizes()[1] >= most, "Expected tensor to have size at least ", most,
              " at dimension 1, but got size ", targets.sizes()[1], " for argument #2 'targets' ", kWhere);
        for (size_t i = 0; i < lengths.size(); ++i) r.row.push_back(p + int64_t(i) * targets.sizes()[1]);
    }
    for (size_t i = 0; i < lengths.size(); ++i)
        for (int64_t k = 0; k < lengths[i]; ++k)
            check_index(r.row[i][k] >= 0 && r.row[i][k] < classes, "ctc_loss: target ", r.row[i][k], " of sequence ", i,
                        " is out of bounds for ", classes, " classes");
    return r;
}
// Blanks stand before, between and after the labels.
struct Extended {
    const int64_t* label;
    int64_t count, blank;
    int64_t states() const { return 2 * count + 1; }
    int64_t operator[](int64_t s) const { return s % 2 ? label[s / 2] : blank; }
    bool may_skip(int64_t s) const { return s % 2 && s > 1 && label[s / 2] != label[s / 2 - 1]; }
};
template <class F>
void visit_float(DType t, F&& f) {
    if (t == DType::f32) f(float{});
    else if (t == DType::f64) f(double{});
    else fail(ErrorKind::NotImplemented, "\"ctc_loss_cpu\" not implemented for '", t, "'");
}

std::tuple<Tensor, Tensor> ctc_forward(const Tensor& logs, const Tensor& targets, IntSpan input_lengths,
                                       IntSpan target_lengths, int64_t blank, bool) {
    check(logs.dim() == 3, "log_probs must have 3 dimensions, got ", logs.dim());
    const int64_t steps = logs.sizes()[0], n = logs.sizes()[1], classes = logs.sizes()[2];
    check(blank >= 0 && blank < classes, "blank must be in label range");
    check(int64_t(input_lengths.size()) == n, "input_lengths must be of size batch_size");
    check(int64_t(target_lengths.size()) == n, "target_lengths must be of size batch_size");
    for (int64_t v : input_lengths) {
        check(v >= 0, "Expected input_lengths to have value at least 0, but got value ", v, " ", kWhere);
        check(v <= steps, "Expected input_lengths to have value at most ", steps, ", but got value ", v, " ", kWhere);
    }
    for (int64_t v : target_lengths)
        check(v >= 0, "Expected target_lengths to have value at least 0, but got value ", v, " ", kWhere);
    const int64_t most = n ? *std::max_element(target_lengths.begin(), target_lengths.end()) : 0, states = 2 * most + 1;
    check(most < int64_t(1) << 60, "ctc_loss: target_lengths are too large");
    const int64_t loss_sizes[] = {n}, alpha_sizes[] = {n, steps, states};
    const Tensor loss = empty(loss_sizes, logs.dtype(), logs.device()),
                 alpha = empty(alpha_sizes, logs.dtype(), logs.device());
    if (loss.is_meta()) return {loss, alpha};
    const Labels labels = labels_of(targets, target_lengths, classes);
    const Tensor d = dense(logs);
    visit_float(logs.dtype(), [&]<class T>(T) {
        const T* p = d.data<T>();
        parallel_for(n, 1, [&](int64_t begin, int64_t end) {
            for (int64_t b = begin; b < end; ++b) {
                const Extended y{labels.row[size_t(b)], target_lengths[size_t(b)], blank};
                T* a = alpha.data<T>() + b * steps * states;
                std::fill_n(a, steps * states, T(kNone));
                const auto log_of = [&](int64_t t, int64_t s) { return double(p[(t * n + b) * classes + y[s]]); };
                const int64_t length = input_lengths[size_t(b)];
                if (length > 0) {
                    a[0] = T(log_of(0, 0));
                    if (y.count) a[1] = T(log_of(0, 1));
                }
                for (int64_t t = 1; t < length; ++t)
                    for (int64_t s = 0; s < y.states(); ++s) {
                        const T* before = a + (t - 1) * states + s;
                        double sum = before[0];
                        if (s > 0) sum = log_add<T>(sum, before[-1]);
                        if (y.may_skip(s)) sum = log_add<T>(sum, before[-2]);
                        a[t * states + s] = T(sum + log_of(t, s));
                    }
                double likelihood;
                if (length == 0) {
                    likelihood = y.count == 0 ? 0 : kNone;
                } else {
                    const T* last = a + (length - 1) * states + y.states() - 1;
                    likelihood = y.count ? log_add<T>(last[0], last[-1]) : double(last[0]);
                }
                loss.data<T>()[b] = T(-likelihood);
            }
        });
    });
    return {loss, alpha};
}

// As PyTorch's: the gradient with respect to what went into the log-softmax, which log_probs are taken to come from.
Tensor ctc_backward(const Tensor& g, const Tensor& logs, const Tensor& targets, IntSpan input_lengths,
                    IntSpan target_lengths, const Tensor& loss, const Tensor& alpha, int64_t blank,
                    bool zero_infinity) {
    check(logs.dim() == 3 && alpha.dim() == 3, "ctc_loss_backward: log_probs and log_alpha must have 3 dimensions");
    const int64_t steps = logs.sizes()[0], n = logs.sizes()[1], classes = logs.sizes()[2], states = alpha.sizes()[2];
    check(same(alpha.sizes(), Dims{n, steps, states}) && loss.numel() == n && g.numel() == n &&
              int64_t(input_lengths.size()) == n && int64_t(target_lengths.size()) == n && blank >= 0 &&
              blank < classes && loss.dtype() == logs.dtype() && alpha.dtype() == logs.dtype() &&
              g.dtype() == logs.dtype(),
          "ctc_loss_backward: its arguments are not those of one ctc_loss");
    for (size_t i = 0; i < size_t(n); ++i)
        check(input_lengths[i] >= 0 && input_lengths[i] <= steps && target_lengths[i] >= 0 &&
                  target_lengths[i] <= states / 2,
              "ctc_loss_backward: a length is larger than what it is the length of");
    const Tensor r = empty(logs.sizes(), logs.dtype(), logs.device());
    if (r.is_meta()) return r;
    fill(r, 0);
    const Labels labels = labels_of(targets, target_lengths, classes);
    const Tensor d = dense(logs), dg = dense(g);
    visit_float(logs.dtype(), [&]<class T>(T) {
        const T *p = d.data<T>(), *nll = loss.data<T>();
        parallel_for(n, 1, [&](int64_t begin, int64_t end) {
            std::vector<double> beta(static_cast<size_t>(states)), next(static_cast<size_t>(states)),
                sum(static_cast<size_t>(classes));
            for (int64_t b = begin; b < end; ++b) {
                if (zero_infinity && std::isinf(nll[b])) continue;
                const Extended y{labels.row[size_t(b)], target_lengths[size_t(b)], blank};
                const T* a = alpha.data<T>() + b * steps * states;
                const int64_t length = input_lengths[size_t(b)], last = y.states() - 1;
                for (int64_t t = length - 1; t >= 0; --t) {
                    const T* row = p + (t * n + b) * classes;
                    std::fill(next.begin(), next.end(), kNone);
                    for (int64_t s = 0; s <= last; ++s) {
                        double v = kNone;
                        if (t == length - 1) {
                            v = s == last || (s == last - 1 && y.count) ? 0 : kNone;
                        } else {
                            v = beta[size_t(s)];
                            if (s < last) v = log_add<T>(v, beta[size_t(s + 1)]);
                            if (s + 2 <= last && y.may_skip(s + 2)) v = log_add<T>(v, beta[size_t(s + 2)]);
                        }
                        next[size_t(s)] = v + double(row[y[s]]);
                    }
                    beta.swap(next);
                    std::fill(sum.begin(), sum.end(), kNone);
                    for (int64_t s = 0; s <= last; ++s) {
                        double& total = sum[size_t(y[s])];
                        total = log_add<T>(total, double(a[t * states + s]) + beta[size_t(s)]);
                    }
                    T* out = r.data<T>() + (t * n + b) * classes;
                    for (int64_t c = 0; c < classes; ++c) {
                        const double log_p = double(row[c]);
                        out[c] = T((std::exp(log_p) - std::exp(sum[size_t(c)] + double(nll[b]) - log_p)) *
                                   double(dg.data<T>()[b]));
                    }
                }
            }
        });
    });
    return r;
}

Tensor ctc_loss(const Tensor& logs, const Tensor& targets, IntSpan input_lengths, IntSpan target_lengths, int64_t blank,
                int64_t reduction, bool zero_infinity) {
    const bool batched = logs.dim() == 3;
    const Tensor x = batched ? logs : op<"unsqueeze">(logs, 1);
    Tensor r = std::move(opn<"_ctc_loss">(x, targets, input_lengths, target_lengths, blank, zero_infinity).result[0]);
    if (zero_infinity) r = op<"where">(op<"eq">(r, __builtin_inf()), scalar_tensor(0, r.dtype(), r.device()), r);
    if (reduction == 1) {
        const int64_t sizes[] = {int64_t(target_lengths.size())};
        const Tensor lengths = empty(sizes, DType::i64);
        for (size_t i = 0; i < target_lengths.size(); ++i)
            lengths.data<int64_t>()[i] = std::max<int64_t>(1, target_lengths[i]);
        return op<"mean">(r / lengths.to(r.dtype()));
    }
    if (reduction == 2) return op<"sum">(r);
    return batched ? r : op<"squeeze.dim">(r, 0);
}
Dims list_of(const Tensor& lengths, const char* what) {
    check(is_integral(lengths.dtype(), false), what, " must be integral");
    check(!lengths.is_meta(), "ctc_loss: the values of ", what, " are needed, which a meta tensor does not have");
    const Tensor d = dense(convert(lengths, DType::i64));
    return Dims(IntSpan(d.data<int64_t>(), size_t(d.numel())));
}
Tensor ctc_loss_tensors(const Tensor& logs, const Tensor& targets, const Tensor& input_lengths,
                        const Tensor& target_lengths, int64_t blank, int64_t reduction, bool zero_infinity) {
    const Dims inputs = list_of(input_lengths, "input_lengths"), outputs = list_of(target_lengths, "target_lengths");
    return op<"ctc_loss.IntList">(logs, targets, inputs, outputs, blank, reduction, zero_infinity);
}

const Family family([](Registry& r) {
    r.add(
         "_ctc_loss(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, bool "
         "zero_infinity=False) -> (Tensor, Tensor)",
         "f")
        .kernel<ctc_forward>()
        .differentiable_results(1)
        .node("CtcLossBackward0")
        .grad("log_probs", "log_probs, targets, result0, result1", [](Back& b) {
            return op<"_ctc_loss_backward">(b.g, b.arg(0), b.arg(1), b.ints(2), b.ints(3), b.result(0), b.result(1),
                                            b.integer(4), b.flag(5));
        });
    r.add(
         "_ctc_loss_backward(Tensor grad, Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, "
         "Tensor neg_log_likelihood, Tensor log_alpha, "
         "int blank, bool zero_infinity=False) -> Tensor",
         "")
        .kernel<ctc_backward>()
        .grad("grad", "",
              [](Back&) -> Tensor {
                  fail(ErrorKind::Runtime, "derivative for aten::_ctc_loss_backward is not implemented");
              })
        .grad("log_probs", "", [](Back&) -> Tensor {
            fail(ErrorKind::Runtime, "derivative for aten::_ctc_loss_backward is not implemented");
        });
    r.add(
         "ctc_loss.Tensor(Tensor log_probs, Tensor targets, Tensor input_lengths, Tensor target_lengths, int blank=0, "
         "int reduction=0, bool zero_infinity=False) -> Tensor",
         "f")
        .kernel<ctc_loss_tensors>()
        .autocast(2);
    r.add(
         "ctc_loss.IntList(Tensor log_probs, Tensor targets, int[] input_lengths, int[] target_lengths, int blank=0, "
         "int reduction=0, bool zero_infinity=False) -> Tensor",
         "f")
        .kernel<ctc_loss>()
        .autocast(2);
});

}  // namespace
}  // namespace fb
