// Margin losses between classes: one pass over each row of scores, forward and backward.
#include <vector>
#include "autograd/composite.h"
#include "base/parallel.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

Tensor reduced(const Tensor& loss, int64_t reduction) {
    return reduction == 1 ? op<"mean">(loss) : reduction == 2 ? op<"sum">(loss) : loss;
}

// A loss of each row of scores with its own targets, and what its gradient is.
struct Rows {
    Tensor x, target;  // [rows, classes]; whole numbers of one or as many columns
    int64_t rows = 0, classes = 0;

    Rows(const Tensor& scores, const Tensor& labels, int64_t columns)
        : x(dense(scores)), target(dense(labels)), classes(scores.dim() ? scores.size(-1) : 1) {
        rows = classes ? x.numel() / classes : 0;
        check(target.numel() == rows * columns, "inconsistent target size: ", labels.sizes(),
              " for input of size: ", scores.sizes());
    }
    // body(row, state), with one state for all rows a thread treats.
    template <class State = int, class F>
    void each(F&& body) const {
        parallel_for(rows, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, classes)),
                     [&](int64_t begin, int64_t end) {
                         State state{};
                         for (int64_t i = begin; i < end; ++i) body(i, state);
                     });
    }
};
template <class F>
void visit_type(const char* name, DType t, F&& f) {
    if (t == DType::f32) f(float());
    else if (t == DType::f64) f(double());
    else fail(ErrorKind::NotImplemented, '"', name, "\" not implemented for '", scalar_name(t), "'");
}
// row(i, state) gives the loss of a row.
template <class T, class State = int, class F>
Tensor row_losses(const Rows& r, const Tensor& x, int64_t reduction, F&& row) {
    if (reduction == 0) {
        const Tensor out = empty(x.dim() <= 1 ? Dims() : Dims{r.rows}, x.dtype());
        T* to = out.data<T>();
        r.each<State>([&](int64_t i, State& s) { to[i] = T(row(i, s)); });
        return out;
    }
    std::vector<double> losses(size_t(r.rows));
    r.each<State>([&](int64_t i, State& s) { losses[size_t(i)] = row(i, s); });
    double sum = 0;
    for (double v : losses) sum += v;
    return scalar_tensor(Scalar(reduction == 1 ? sum / double(r.rows) : sum), x.dtype());
}
// What the loss of row i is multiplied by.
template <class T>
double row_gradient(const Rows& r, const Tensor& g, int64_t reduction, int64_t i) {
    const T* p = g.data<T>();
    return reduction == 0 ? double(p[g.numel() == 1 ? 0 : i]) : double(*p) / (reduction == 1 ? double(r.rows) : 1);
}

// ---------------------------------------------------------------- one class a row
// Loops over all classes are cut into steps of a few lanes, which the compiler makes vectors of.
constexpr int64_t kLanes = 8;
// Σ max(0, more + x) or of its squares.
template <class T>
double hinges(const T* x, int64_t n, T more, bool square) {
    T sums[kLanes] = {};
    const auto one = [&](int64_t k, int64_t l) {
        const T z = more + x[k + l], cut = z <= 0 ? T(0) : z;
        sums[l] += square ? cut * cut : cut;
    };
    int64_t k = 0;
    for (; k + kLanes <= n; k += kLanes)
        for (int64_t l = 0; l < kLanes; ++l) one(k, l);
    for (; k < n; ++k) one(k, 0);
    double sum = 0;
    for (T s : sums) sum += double(s);
    return sum;
}
// The slopes of that times s; their sum.
template <class T>
double slopes(const T* x, T* slope, int64_t n, T more, T s, bool square) {
    T sums[kLanes] = {};
    const auto one = [&](int64_t k, int64_t l) {
        const T z = more + x[k + l], v = z > 0 ? square ? 2 * s * z : s : T(0);
        slope[k + l] = v;
        sums[l] += v;
    };
    int64_t k = 0;
    for (; k + kLanes <= n; k += kLanes)
        for (int64_t l = 0; l < kLanes; ++l) one(k, l);
    for (; k < n; ++k) one(k, 0);
    double sum = 0;
    for (T v : sums) sum += double(v);
    return sum;
}
void check_classes(const Rows& r) {
    const int64_t* t = r.target.data<int64_t>();
    for (int64_t i = 0; i < r.rows; ++i) check(t[i] >= 0 && t[i] < r.classes, "target out of range");
}
void check_multi_margin(const Tensor& x, const Tensor& target, const Tensor& weight) {
    const int64_t rows = x.dim() == 2 ? x.size(0) : 1, classes = x.dim() ? x.size(-1) : 1;
    check(x.dim() <= 2 && (x.dim() == 0 || classes > 0),
          "Expected non-empty vector or matrix with optional 0-dim batch size, but got: ", x.sizes());
    check(target.dim() <= 1 && target.numel() == rows,
          "multi_margin_loss: target tensor should be 1-D with size equal to the number of input samples (batch size). "
          "Expected target size [",
          rows, "], but got ", target.sizes(), ". Input has shape ", x.sizes(), ".");
    check(target.dtype() == DType::i64, "expected scalar type Long but found ", target.dtype());
    if (weight.defined())
        check(weight.numel() == classes, "inconsistent weight size, expected ", classes, " but got ", weight.sizes());
}

Tensor multi_margin_loss(const Tensor& x, const Tensor& target, Scalar p, Scalar margin, const Tensor& weight,
                         int64_t reduction) {
    check(p.equals(1) || p.equals(2), "only p == 1 and p == 2 supported");
    check_multi_margin(x, target, weight);
    if (x.is_meta()) return empty(reduction || x.dim() <= 1 ? Dims() : Dims{x.size(0)}, x.dtype(), x.device());
    const Rows r(x, target, 1);
    check_classes(r);
    const Tensor dw = weight.defined() ? dense(weight.to(x.dtype())) : weight;
    Tensor out;
    visit_type("multi_margin_loss_cpu_kernel", x.dtype(), [&]<class T>(T) {
        const T *scores = r.x.data<T>(), *w = dw.defined() ? dw.data<T>() : nullptr;
        const int64_t* own = r.target.data<int64_t>();
        const T bound = T(margin.to<double>());
        const bool square = p.equals(2);
        out = row_losses<T>(r, x, reduction, [&](int64_t i, int) {
            const T *row = scores + i * r.classes, more = bound - row[own[i]];
            const double sum =
                hinges(row, own[i], more, square) + hinges(row + own[i] + 1, r.classes - own[i] - 1, more, square);
            return sum * (w ? double(w[own[i]]) : 1) / double(r.classes);
        });
    });
    return out;
}
Tensor multi_margin_gradient(const Tensor& g0, const Tensor& x, const Tensor& target, Scalar p, Scalar margin,
                             const Tensor& weight, int64_t reduction) {
    if (x.is_meta()) return empty(x.sizes(), x.dtype(), x.device());
    const Rows r(x, target, 1);
    const Tensor out = empty(x.sizes(), x.dtype()), g = dense(g0),
                 dw = weight.defined() ? dense(weight.to(x.dtype())) : weight;
    visit_type("multi_margin_loss_backward_cpu_kernel", x.dtype(), [&]<class T>(T) {
        const T *scores = r.x.data<T>(), *w = dw.defined() ? dw.data<T>() : nullptr;
        T* to = out.data<T>();
        const int64_t* own = r.target.data<int64_t>();
        const T bound = T(margin.to<double>());
        const bool square = p.equals(2);
        r.each([&](int64_t i, int) {
            const T *row = scores + i * r.classes, more = bound - row[own[i]];
            const T s = T(row_gradient<T>(r, g, reduction, i) * (w ? double(w[own[i]]) : 1) / double(r.classes));
            T* slope = to + i * r.classes;
            const int64_t o = own[i];
            slope[o] = T(-slopes(row, slope, o, more, s, square) -
                         slopes(row + o + 1, slope + o + 1, r.classes - o - 1, more, s, square));
        });
    });
    return out;
}
// The same by operators, for second derivatives.
Tensor multi_margin_steps(const Tensor& x0, const Tensor& target0, Scalar p, Scalar margin, const Tensor& weight,
                          int64_t reduction) {
    const Tensor x = x0.dim() <= 1 ? op<"reshape">(x0, Dims{1, -1}) : x0, target = op<"reshape">(target0, Dims{-1});
    const Tensor at = op<"unsqueeze">(target, 1), own = op<"gather">(x, 1, at);
    Tensor z = op<"clamp_min">(op<"add">(x - own, margin), Scalar(0));
    if (p.equals(2)) z = z * z;
    if (weight.defined()) z = z * op<"unsqueeze">(op<"index_select">(weight, 0, target), 1);
    z = op<"scatter.value">(z, 1, at, Scalar(0));
    const Tensor loss = op<"sum.dim_IntList">(z, Dims{1}) / double(x.size(1));
    return x0.dim() <= 1 && reduction == 0 ? op<"reshape">(loss, Dims{}) : reduced(loss, reduction);
}

// ---------------------------------------------------------------- several classes a row, up to the first -1
void check_multilabel_margin(const Tensor& x, const Tensor& target) {
    check(x.dim() <= 2 && (x.dim() == 0 || x.size(-1) > 0),
          "Expected non-empty vector or matrix with optional 0-dim batch size, but got: ", x.sizes());
    check(x.dim() == target.dim() && same(x.sizes(), target.sizes()), "inconsistent target size: ", target.sizes(),
          " for input of size: ", x.sizes());
    check(target.dtype() == DType::i64, "expected scalar type Long but found ", target.dtype());
    if (target.is_meta()) return;
    const Tensor t = dense(target);
    const int64_t *p = t.data<int64_t>(), n = t.dim() ? t.size(-1) : 1;
    for (int64_t i = 0; i < t.numel(); ++i) check(p[i] >= -1 && p[i] < n, "argument #2 'target' is out of range");
}
// The labels of a row, and the scores and places of all other classes.
template <class T>
struct Split {
    std::vector<int64_t> labels, others;
    std::vector<T> scores, slope;
    std::vector<char> is_label;
    void of(const T* x, const int64_t* target, int64_t n) {
        labels.clear();
        others.clear();
        scores.clear();
        is_label.assign(size_t(n), 0);
        for (int64_t k = 0; k < n && target[k] >= 0; ++k) {
            labels.push_back(target[k]);
            is_label[size_t(target[k])] = 1;
        }
        for (int64_t k = 0; k < n; ++k)
            if (!is_label[size_t(k)]) {
                others.push_back(k);
                scores.push_back(x[k]);
            }
    }
};

Tensor multilabel_margin_loss(const Tensor& x, const Tensor& target, int64_t reduction) {
    check_multilabel_margin(x, target);
    if (x.is_meta()) return empty(reduction || x.dim() <= 1 ? Dims() : Dims{x.size(0)}, x.dtype(), x.device());
    const Rows r(x, target, x.dim() ? x.size(-1) : 1);
    Tensor out;
    visit_type("multilabel_margin_loss_forward_out_frame", x.dtype(), [&]<class T>(T) {
        const T* scores = r.x.data<T>();
        const int64_t* labels = r.target.data<int64_t>();
        out = row_losses<T, Split<T>>(r, x, reduction, [&](int64_t i, Split<T>& s) {
            const T* row = scores + i * r.classes;
            s.of(row, labels + i * r.classes, r.classes);
            double sum = 0;
            for (int64_t j : s.labels) sum += hinges(s.scores.data(), int64_t(s.scores.size()), 1 - row[j], false);
            return sum / double(r.classes);
        });
    });
    return out;
}
Tensor multilabel_margin_gradient(const Tensor& g0, const Tensor& x, const Tensor& target, int64_t reduction) {
    if (x.is_meta()) return empty(x.sizes(), x.dtype(), x.device());
    const Rows r(x, target, x.dim() ? x.size(-1) : 1);
    const Tensor out = zeros(x.sizes(), x), g = dense(g0);
    visit_type("multilabel_margin_loss_backward_out_frame", x.dtype(), [&]<class T>(T) {
        const T* scores = r.x.data<T>();
        T* to = out.data<T>();
        const int64_t* labels = r.target.data<int64_t>();
        r.each<Split<T>>([&](int64_t i, Split<T>& s) {
            const T* row = scores + i * r.classes;
            T* slope = to + i * r.classes;
            const T share = T(row_gradient<T>(r, g, reduction, i) / double(r.classes));
            s.of(row, labels + i * r.classes, r.classes);
            const int64_t n = int64_t(s.scores.size());
            s.slope.resize(size_t(n));
            for (int64_t j : s.labels) {
                slope[j] -= T(slopes(s.scores.data(), s.slope.data(), n, 1 - row[j], share, false));
                for (int64_t k = 0; k < n; ++k) slope[s.others[size_t(k)]] += s.slope[size_t(k)];
            }
        });
    });
    return out;
}
Tensor multilabel_margin_steps(const Tensor& x0, const Tensor& target0, int64_t reduction) {
    const int64_t n = x0.dim() ? x0.size(-1) : 1;
    const Tensor x = op<"reshape">(x0, Dims{-1, n}), target = op<"reshape">(target0, Dims{-1, n});
    const Tensor valid = op<"eq">(op<"cumsum">(target < 0, 1), Scalar(0));
    const Tensor at = masked(target, !valid);
    const Tensor labelled = op<"scatter_add">(op<"zeros">(target.sizes(), DType::i64), 1, at, valid.to(DType::i64)) > 0;
    const Tensor own = op<"unsqueeze">(op<"gather">(x, 1, at), 2);
    Tensor z = op<"clamp_min">((1 - own) + op<"unsqueeze">(x, 1), Scalar(0));  // [row, label, class]
    z = z * op<"unsqueeze">(valid, 2) * op<"unsqueeze">(!labelled, 1);
    const Tensor loss = op<"sum.dim_IntList">(z, Dims{1, 2}) / double(n);
    return x0.dim() <= 1 && reduction == 0 ? op<"reshape">(loss, Dims{}) : reduced(loss, reduction);
}

const Family margins([](Registry& r) {
    r.add(
         "nn::multi_margin_loss(Tensor self, Tensor target, Scalar p=1, Scalar margin=1, Tensor? weight=None, int "
         "reduction=1) -> Tensor",
         "fo")
        .kernel<multi_margin_loss>()
        .grad("self", "self, target, weight",
              [](Back& b) {
                  const Tensor x = b.arg(0), target = b.arg(1), w = b.arg(4);
                  if (!tls.grad)
                      return multi_margin_gradient(b.g, x, target, b.scalar(2), b.scalar(3), w, b.integer(5));
                  const Tensor in[] = {x}, g[] = {b.g};
                  return composite_gradients(in, g, [&](const std::vector<Tensor>& t) {
                      return std::vector{multi_margin_steps(t[0], target, b.scalar(2), b.scalar(3), w, b.integer(5))};
                  })[0];
              })
        .piecewise_linear();
    r.add("nn::multilabel_margin_loss(Tensor self, Tensor target, int reduction=1) -> Tensor", "fo")
        .kernel<multilabel_margin_loss>()
        .grad("self", "self, target",
              [](Back& b) {
                  const Tensor x = b.arg(0), target = b.arg(1);
                  if (!tls.grad) return multilabel_margin_gradient(b.g, x, target, b.integer(2));
                  const Tensor in[] = {x}, g[] = {b.g};
                  return composite_gradients(in, g, [&](const std::vector<Tensor>& t) {
                      return std::vector{multilabel_margin_steps(t[0], target, b.integer(2))};
                  })[0];
              })
        .piecewise_linear();
});

}  // namespace
}  // namespace fb
