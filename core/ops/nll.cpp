// Losses of class probabilities: negative log likelihood and cross entropy.
#include "base/parallel.h"
#include "cpu/norm.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;
enum Reduction : int64_t { kNone, kMean, kSum };

// input N, C, d…; target N, d…
struct Layout {
    int64_t n, classes, inner;
};
Layout layout(const Tensor& x) {
    if (x.dim() == 1) return {1, x.sizes()[0], 1};
    return {x.sizes()[0], x.sizes()[1], product(IntSpan(x.sizes()).subspan(2))};
}
void check_target(const Tensor& target, const Tensor& w, const Layout& l) {
    check(target.dtype() == DType::i64 || target.dtype() == DType::u8,
          "expected target dtype to be Long or Byte, but got ", target.dtype());
    check(!w.defined() || (w.dim() == 1 && w.numel() == l.classes), "weight tensor should be defined either for all ",
          l.classes, " classes or no classes but got weight tensor of shape: ", w.defined() ? w.sizes() : Dims());
}
// The parts of the losses are reached by name too (torch.ops): what the public functions saw to is looked at again.
Layout checked_layout(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction) {
    check(x.dim() > 0, "input tensor should be 1D or more");
    const Layout l = layout(x);
    check(target.numel() == l.n * l.inner && (x.dim() > 1 || target.dim() <= 1),
          "size mismatch (got input: ", x.sizes(), ", target: ", target.sizes(), ")");
    check_target(target, w, l);
    check(reduction >= 0 && reduction <= 2, reduction, " is not a valid value for reduction");
    return l;
}
void check_gradient(const Tensor& g, const Tensor& target, const Tensor& total, bool each) {
    check(g.numel() == (each ? target.numel() : 1), "the gradient has size ", g.sizes(), " for a target of size ",
          target.sizes());
    check(total.numel() == 1 && total.dtype() == g.dtype(), "total_weight must be one number of the gradient's type");
}
const int64_t* classes_of(const Tensor& target, Tensor& keep) {
    keep = dense(target.dtype() == DType::i64 ? target : convert(target, DType::i64));
    return keep.data<int64_t>();
}
template <class F>
void visit_float(DType t, F&& f) {
    visit_dtype(t, [&]<class T>(T v) {
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, BF16> ||
                      std::is_same_v<T, F16>)
            f(v);
        else fail(ErrorKind::NotImplemented, "\"nll_loss_out_frame\" not implemented for '", t, "'");
    });
}

std::tuple<Tensor, Tensor> nll_forward(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction,
                                       int64_t ignore) {
    const Layout l = checked_layout(x, target, w, reduction);
    if (w.defined()) check(w.dtype() == x.dtype(), "expected scalar type ", x.dtype(), " but found ", w.dtype());
    const bool each = reduction == kNone && x.dim() > 1;
    const Tensor r = empty(each ? target.sizes() : Dims(), x.dtype(), x.device()),
                 total = empty({}, x.dtype(), x.device());
    if (r.is_meta()) return {r, total};
    Tensor keep;
    const int64_t* y = classes_of(target, keep);
    const Tensor dx = dense(x), dw = w.defined() ? dense(w) : w;
    visit_float(x.dtype(), [&]<class T>(T) {
        const T *p = dx.data<T>(), *weights = dw.defined() ? dw.data<T>() : nullptr;
        double sum = 0, weight_sum = 0;
        for (int64_t i = 0; i < l.n * l.inner; ++i) {
            const int64_t c = y[i];
            T loss(0);
            if (c != ignore) {
                check_index(c >= 0 && c < l.classes, "Target ", c, " is out of bounds.");
                const double weight = weights ? double(weights[c]) : 1;
                const double v = -double(p[(i / l.inner * l.classes + c) * l.inner + i % l.inner]) * weight;
                loss = T(v);
                sum += v;
                weight_sum += weight;
            }
            if (each) r.data<T>()[i] = loss;
        }
        *total.data<T>() = T(weight_sum);
        if (!each) *r.data<T>() = T(reduction == kMean ? sum / weight_sum : sum);
    });
    return {r, total};
}

Tensor nll_backward(const Tensor& g, const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction,
                    int64_t ignore, const Tensor& total) {
    const Layout l = checked_layout(x, target, w, reduction);
    const bool each = reduction == kNone && x.dim() > 1;
    check_gradient(g, target, total, each);
    check(g.dtype() == x.dtype(), "expected scalar type ", x.dtype(), " but found ", g.dtype());
    const Tensor r = empty(x.sizes(), x.dtype(), x.device());
    if (r.is_meta()) return r;
    Tensor keep;
    const int64_t* y = classes_of(target, keep);
    const Tensor dg = dense(g), dw = w.defined() ? dense(w.dtype() == x.dtype() ? w : convert(w, x.dtype())) : w;
    visit_float(x.dtype(), [&]<class T>(T) {
        const T *pg = dg.data<T>(), *weights = dw.defined() ? dw.data<T>() : nullptr;
        T* out = r.data<T>();
        parallel_for(r.numel(), 1 << 16, [&](int64_t begin, int64_t end) { std::fill(out + begin, out + end, T(0)); });
        const double scale = reduction == kMean ? 1 / double(*total.data<T>()) : 1;
        for (int64_t i = 0; i < l.n * l.inner; ++i)
            if (y[i] != ignore) {
                check_index(y[i] >= 0 && y[i] < l.classes, "Target ", y[i], " is out of bounds.");
                out[(i / l.inner * l.classes + y[i]) * l.inner + i % l.inner] =
                    T(-(weights ? double(weights[y[i]]) : 1) * scale * double(pg[each ? i : 0]));
            }
    });
    return r;
}

Tensor nll_loss(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction, int64_t ignore) {
    check(x.dim() > 0 && x.dim() <= 2, "input tensor should be 1D or 2D");
    check(target.dim() <= 1, "0D or 1D target tensor expected, multi-target not supported");
    check((x.dim() == 1 && target.dim() == 0) || target.numel() == (x.dim() == 1 ? 1 : x.sizes()[0]),
          "size mismatch (got input: ", x.sizes(), ", target: ", target.sizes(), ")");
    return std::move(opn<"nll_loss_forward">(x, target, w, reduction, ignore).result[0]);
}
Tensor nll_loss2d(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction, int64_t ignore) {
    check(target.dim() == 3,
          "only batches of spatial targets supported (3D tensors) but got targets of dimension: ", target.dim());
    check(x.dim() == 4, "only batches of spatial inputs supported (4D tensors), but got input of dimension: ", x.dim());
    check(x.sizes()[0] == target.sizes()[0] && x.sizes()[2] == target.sizes()[1] && x.sizes()[3] == target.sizes()[2],
          "size mismatch (got input: ", x.sizes(), " , target: ", target.sizes());
    return std::move(opn<"nll_loss2d_forward">(x, target, w, reduction, ignore).result[0]);
}
Tensor nll_loss_nd(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction, int64_t ignore) {
    check_value(x.dim() > 0, "Expected 1 or more dimensions (got ", x.dim(), ")");
    if (x.dim() > 1)
        check_value(target.dim() > 0 && x.sizes()[0] == target.sizes()[0], "Expected input batch_size (", x.sizes()[0],
                    ") to match target batch_size (", target.dim() ? target.sizes()[0] : 0, ").");
    if (x.dim() <= 2) return op<"nn::nll_loss">(x, target, w, reduction, ignore);
    if (x.dim() == 4) return op<"nn::nll_loss2d">(x, target, w, reduction, ignore);
    // Any other number of dimensions is a picture of one row.
    Dims expected(x.sizes());
    expected.erase(1);
    if (!same(target.sizes(), expected)) {
        std::string a, b;
        for (int64_t v : expected) a += (a.empty() ? "" : ", ") + std::to_string(v);
        for (int64_t v : target.sizes()) b += (b.empty() ? "" : ", ") + std::to_string(v);
        fail(ErrorKind::Runtime, "Expected target size [", a, "], got [", b, "]");
    }
    const Layout l = layout(x);
    const int64_t four[] = {l.n, l.classes, 1, l.inner}, three[] = {l.n, 1, l.inner};
    const Tensor r = op<"nn::nll_loss2d">(op<"reshape">(x, IntSpan(four)), op<"reshape">(target, IntSpan(three)), w,
                                          reduction, ignore);
    return reduction == kNone ? op<"view">(r, target.sizes()) : r;
}

Tensor reduced(const Tensor& t, int64_t reduction) {
    return reduction == kMean ? op<"mean">(t) : reduction == kSum ? op<"sum">(t) : t;
}

// Work is cut into pieces of the outer index whatever the number of threads, so that sums do not depend on it.
template <class F>
int64_t each_piece(const Layout& l, F&& body) {
    const int64_t step = std::max<int64_t>(1, 8192 / std::max<int64_t>(1, l.classes * l.inner)),
                  pieces = (l.n + step - 1) / step;
    parallel_for(pieces, 2, [&](int64_t begin, int64_t end) {
        for (int64_t p = begin; p < end; ++p) body(p, p * step, std::min(l.n, (p + 1) * step));
    });
    return pieces;
}

// Rows of classes whose loss nobody derives: each is read once, its logarithms stay in the cache.
Tensor probability_loss_of_rows(const Tensor& x, const Tensor& target, int64_t reduction, double smoothing) {
    const Layout l = layout(x);
    const NormLoops& loops = *norm_loops(x.dtype());
    const bool each = reduction == kNone && x.dim() > 1;
    const int64_t sizes[] = {l.n};
    const Tensor r = empty(each ? IntSpan(sizes) : IntSpan(), x.dtype()), dx = dense(x), dt = dense(target);
    const auto run = [&]<class T>(T) {
        const T *from = dx.data<T>(), *wanted = dt.data<T>();
        T* const to = r.data<T>();
        std::vector<double> sums(size_t(l.n));
        const int64_t pieces = each_piece(l, [&](int64_t piece, int64_t begin, int64_t end) {
            std::vector<T> logs(size_t((end - begin) * l.classes));
            loops.softmax(from + begin * l.classes, logs.data(), end - begin, l.classes, 1, true);
            double all = 0;
            for (int64_t i = begin; i < end; ++i) {
                const T* const row = logs.data() + (i - begin) * l.classes;
                double sum[2] = {0, 0}, loss = -loops.dot(row, wanted + i * l.classes, l.classes);
                if (smoothing > 0) {
                    loops.sums(row, l.classes, 0, sum);
                    loss = loss * (1 - smoothing) - sum[0] * (smoothing / double(l.classes));
                }
                if (each) to[i] = T(loss);
                all += loss;
            }
            sums[size_t(piece)] = all;
        });
        if (each) return;
        double all = 0;
        for (int64_t p = 0; p < pieces; ++p) all += sums[size_t(p)];
        *to = T(reduction == kMean ? all / double(l.n) : all);
    };
    if (x.dtype() == DType::f32) run(float());
    else run(double());
    return r;
}
bool rows_alone(const Tensor& x, const Tensor& target, const Tensor& w) {
    return !w.defined() && x.dim() <= 2 && x.numel() > 0 && (x.dtype() == DType::f32 || x.dtype() == DType::f64) &&
           target.dtype() == x.dtype() && x.device() == kCPU && target.device() == kCPU && !tls.modes &&
           !(tls.grad && (x->needs_grad() || target->needs_grad()));
}

Tensor probability_loss(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction, double smoothing) {
    const int64_t dim = x.dim() == 1 ? 0 : 1, classes = x.sizes()[size_t(dim)];
    check(is_floating(target.dtype()), "Expected floating point type for target with class probabilities, got ",
          target.dtype());
    check(!w.defined() || (w.dim() == 1 && w.numel() == classes),
          "cross_entropy: weight tensor should be defined either for all ", classes,
          " classes or no classes but got weight tensor of shape: ", w.defined() ? w.sizes() : Dims());
    if (rows_alone(x, target, w)) return probability_loss_of_rows(x, target, reduction, smoothing);
    const Tensor logs = op<"log_softmax.int">(x, dim);
    const Tensor smooth = smoothing > 0 ? target * (1 - smoothing) + smoothing / double(classes) : target;
    Tensor product = logs * smooth;
    if (w.defined()) {
        Dims shape(x.sizes().size(), 1);
        shape[size_t(dim)] = classes;
        product = product * op<"view">(w, shape);
    }
    if (reduction == kNone) return -op<"sum.dim_IntList">(product, Dims{dim});
    const Tensor sum = -op<"sum">(product);
    if (reduction == kSum) return sum;
    return op<"div">(sum, Scalar(x.numel() / std::max<int64_t>(1, classes)));  // of no samples: NaN
}

Tensor smoothed_loss(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction, int64_t ignore,
                     double smoothing) {
    const int64_t dim = x.dim() == 1 ? 0 : 1, classes = x.sizes()[size_t(dim)];
    const Tensor logs = op<"log_softmax.int">(x, dim), nll = op<"nn::nll_loss_nd">(logs, target, w, reduction, ignore);
    Tensor weighted = logs;
    if (w.defined()) {
        Dims shape(x.sizes().size(), 1);
        shape[size_t(dim)] = classes;
        weighted = logs * op<"view">(w, shape);
    }
    Tensor smooth = -op<"sum.dim_IntList">(weighted, Dims{dim});
    const Tensor ignored = op<"eq">(target, ignore);
    smooth = masked(smooth, ignored);
    if (reduction == kMean) {
        if (w.defined()) {  // the mean is weighted by the classes of the targets
            const Tensor known = op<"masked_select">(target, op<"logical_not">(ignored));
            smooth = op<"sum">(smooth) / op<"sum">(op<"index_select">(w, 0, op<"reshape">(known, Dims{-1})));
        } else {
            smooth = op<"sum">(smooth) / op<"sum">(op<"logical_not">(ignored));
        }
    } else {
        smooth = reduced(smooth, reduction);
    }
    return nll * (1 - smoothing) + smooth * (smoothing / double(classes));
}

// ---------------------------------------------------------------- cross entropy of class numbers, in one pass each way
// What it takes; all else, and what is wrong with the arguments, is left to the operators it is made of.
bool in_one_pass(const Tensor& x, const Tensor& target, const Tensor& w, double smoothing) {
    if (x.is_meta() || target.is_meta() || !x.numel() || (x.dtype() != DType::f32 && x.dtype() != DType::f64))
        return false;
    if (target.dtype() != DType::i64 || target.dim() != x.dim() - 1) return false;
    Dims expected(x.sizes());
    expected.erase(x.dim() == 1 ? 0 : 1);
    return same(target.sizes(), expected) &&
           (!w.defined() ||
            (smoothing == 0 && w.dim() == 1 && w.dtype() == x.dtype() && w.numel() == layout(x).classes));
}

// The loss, the logarithms of the probabilities, the weight of all samples.
std::tuple<Tensor, Tensor, Tensor> cross_entropy_forward(const Tensor& x, const Tensor& target, const Tensor& w,
                                                         int64_t reduction, int64_t ignore, double smoothing) {
    const Layout l = checked_layout(x, target, w, reduction);
    check(target.dtype() == DType::i64, "expected target dtype to be Long, but got ", target.dtype());
    check(!w.defined() || w.dtype() == x.dtype(), "expected the weight to have the type of the input");
    check(norm_loops(x.dtype()) != nullptr, "no cross entropy in one pass for ", x.dtype());
    const bool each = reduction == kNone && x.dim() > 1;
    const Tensor r = empty(each ? target.sizes() : Dims(), x.dtype(), x.device()),
                 total = empty({}, x.dtype(), x.device()), logs = empty(x.sizes(), x.dtype(), x.device());
    if (r.is_meta()) return {r, logs, total};
    const Tensor dx = dense(x), dt = dense(target), dw = w.defined() ? dense(w) : w;
    const int64_t* y = dt.data<int64_t>();
    bool wrong = false;
    for (int64_t i = 0; i < l.n * l.inner; ++i) wrong |= y[i] != ignore && uint64_t(y[i]) >= uint64_t(l.classes);
    for (int64_t i = 0; wrong && i < l.n * l.inner; ++i)
        check_index(y[i] == ignore || (y[i] >= 0 && y[i] < l.classes), "Target ", y[i], " is out of bounds.");
    const NormLoops& loops = *norm_loops(x.dtype());
    struct Sum {
        double loss = 0, weight = 0;
    };
    std::vector<Sum> sums(size_t(l.n));
    const auto run = [&]<class T>(T) {
        const T *from = dx.data<T>(), *weights = dw.defined() ? dw.data<T>() : nullptr;
        T *to = logs.data<T>(), *losses = each ? r.data<T>() : nullptr;
        const int64_t size = l.classes * l.inner;
        const int64_t pieces = each_piece(l, [&](int64_t piece, int64_t begin, int64_t end) {
            std::vector<double> smooth(smoothing > 0 ? size_t(3 * l.inner) : 0);
            Sum sum;
            loops.softmax(from + begin * size, to + begin * size, end - begin, l.classes, l.inner, true);
            for (int64_t i = begin; i < end; ++i) {
                const T* const row = to + i * size;
                if (smoothing > 0) {
                    std::fill(smooth.begin(), smooth.end(), 0.0);
                    double* const s = smooth.data();
                    if (l.inner == 1) loops.sums(row, l.classes, 0, s);
                    else loops.sums_rows(row, l.classes, l.inner, s + 2 * l.inner, s, s + l.inner);
                }
                for (int64_t k = 0; k < l.inner; ++k) {
                    const int64_t c = y[i * l.inner + k];
                    double loss = 0;
                    if (c != ignore) {
                        const double weight = weights ? double(weights[c]) : 1;
                        loss = -double(row[c * l.inner + k]) * weight;
                        if (smoothing > 0)
                            loss = loss * (1 - smoothing) - smooth[size_t(k)] * (smoothing / double(l.classes));
                        sum.weight += weight;
                    }
                    sum.loss += loss;
                    if (losses) losses[i * l.inner + k] = T(loss);
                }
            }
            sums[size_t(piece)] = sum;
        });
        Sum all;
        for (int64_t p = 0; p < pieces; ++p) {
            all.loss += sums[size_t(p)].loss;
            all.weight += sums[size_t(p)].weight;
        }
        *total.data<T>() = T(all.weight);
        if (!each) *r.data<T>() = T(reduction == kMean ? all.loss / all.weight : all.loss);
    };
    if (x.dtype() == DType::f32) run(float());
    else run(double());
    return {r, logs, total};
}

Tensor cross_entropy_backward(const Tensor& g, const Tensor& logs, const Tensor& target, const Tensor& w,
                              int64_t reduction, int64_t ignore, double smoothing, const Tensor& total) {
    const Layout l = layout(logs);
    const Tensor r = empty(logs.sizes(), logs.dtype(), logs.device());
    if (r.is_meta()) return r;
    const bool each = reduction == kNone && logs.dim() > 1;
    const Tensor dg = dense(g), dl = dense(logs), dt = dense(target), dw = w.defined() ? dense(w) : w;
    const int64_t* y = dt.data<int64_t>();
    const NormLoops& loops = *norm_loops(logs.dtype());
    const auto run = [&]<class T>(T) {
        const T *pg = dg.data<T>(), *from = dl.data<T>(), *weights = dw.defined() ? dw.data<T>() : nullptr;
        T* to = r.data<T>();
        const double scale = reduction == kMean ? 1 / double(*total.data<T>()) : 1;
        const int64_t size = l.classes * l.inner;
        each_piece(l, [&](int64_t, int64_t begin, int64_t end) {
            const int64_t samples = (end - begin) * l.inner;
            std::vector<double> factors(size_t(2 * samples));
            double *times = factors.data(), *plus = times + samples;
            const int64_t* own = y + begin * l.inner;
            for (int64_t k = 0; k < samples; ++k) {
                times[k] = own[k] == ignore ? 0
                                            : (weights ? double(weights[own[k]]) : 1) * scale *
                                                  double(pg[each ? begin * l.inner + k : 0]);
                plus[k] = -times[k] * (smoothing / double(l.classes));
            }
            loops.exp_rows(from + begin * size, to + begin * size, times, plus, end - begin, l.classes, l.inner);
            for (int64_t i = begin; i < end; ++i, own += l.inner, times += l.inner)
                for (int64_t k = 0; k < l.inner; ++k)
                    if (own[k] != ignore) to[i * size + own[k] * l.inner + k] -= T(times[k] * (1 - smoothing));
        });
    };
    if (logs.dtype() == DType::f32) run(float());
    else run(double());
    return r;
}

Tensor cross_entropy_gradient(Back& b) {
    const Tensor logs = b.result(1), target = b.arg(1), w = b.arg(2), total = b.result(2);
    const int64_t reduction = b.integer(3), ignore = b.integer(4), dim = logs.dim() == 1 ? 0 : 1;
    const double smoothing = b.real(5);
    if (!tls.grad && !b.has(1))
        return cross_entropy_backward(b.g, logs, target, w, reduction, ignore, smoothing, total);
    // In the steps it is made of: first with respect to the logarithms, which a second derivative may come through.
    Tensor g;
    if (b.has(0)) {
        g = op<"nll_loss_backward">(b.g, logs, target, w, reduction, ignore, total);
        if (smoothing > 0) {
            const Tensor share = op<"sum.dim_IntList">(g, Dims{dim}, true) * (smoothing / double(layout(logs).classes));
            g = g * (1 - smoothing) + share;
        }
    }
    if (b.has(1)) g = g.defined() ? g + b.grad(1) : b.grad(1);
    return op<"_log_softmax_backward_data">(g, logs, dim, logs.dtype());
}

Tensor cross_entropy(const Tensor& x, const Tensor& target, const Tensor& w, int64_t reduction, int64_t ignore,
                     double smoothing) {
    check(!(smoothing > 1), "label_smoothing must be between 0.0 and 1.0. Got: ", smoothing);
    if (!(smoothing > 0)) smoothing = 0;  // PyTorch smoothes by more than nothing only
    if (same(x.sizes(), target.sizes()) && x.dim() > 0) {
        check(ignore < 0, "ignore_index is not supported for floating point target");
        return probability_loss(x, target, w, reduction, smoothing);
    }
    if (in_one_pass(x, target, w, smoothing))
        return std::move((x.dim() <= 2 ? opn<"_cross_entropy">(x, target, w, reduction, ignore, smoothing)
                                       : opn<"_cross_entropy2d">(x, target, w, reduction, ignore, smoothing))
                             .result[0]);
    if (smoothing > 0) {
        check(is_integral(target.dtype(), false), "label smoothing needs class indices as target, got ",
              target.dtype());
        return smoothed_loss(x, target, w, reduction, ignore, smoothing);
    }
    return op<"nn::nll_loss_nd">(op<"log_softmax.int">(x, x.dim() == 1 ? 0 : 1), target, w, reduction, ignore);
}

Tensor first_order(Back& b) {
    return op<"nll_loss_backward">(b.g, b.arg(0), b.arg(1), b.arg(2), b.integer(3), b.integer(4), b.result(1));
}

const Family family([](Registry& r) {
    const char* uses = "self, target, weight, result1";
    r.add(
         "nll_loss_forward(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor "
         "output, Tensor total_weight)",
         "")
        .kernel<nll_forward>()
        .differentiable_results(1)
        .node("NllLossBackward0")
        .grad("self", uses, first_order)
        .piecewise_linear();
    r.add(
         "nll_loss2d_forward(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index) -> (Tensor "
         "output, Tensor total_weight)",
         "")
        .kernel<nll_forward>()
        .differentiable_results(1)
        .node("NllLoss2DBackward0")
        .grad("self", uses, first_order)
        .piecewise_linear();
    r.add(
         "nll_loss_backward(Tensor grad_output, Tensor self, Tensor target, Tensor? weight, int reduction, int "
         "ignore_index, Tensor total_weight) -> Tensor",
         "")
        .kernel<nll_backward>()
        .grad("grad_output", "target, weight", [](Back& b) {
            return std::move(opn<"nll_loss_forward">(b.g, b.arg(2), b.arg(3), b.integer(4), b.integer(5)).result[0]);
        });
    r.add(
         "nn::nll_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int ignore_index=-100) -> "
         "Tensor",
         "f")
        .kernel<nll_loss>();
    r.add(
         "nn::nll_loss2d(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int ignore_index=-100) -> "
         "Tensor",
         "f")
        .kernel<nll_loss2d>();
    r.add(
         "nn::nll_loss_nd(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int ignore_index=-100) -> "
         "Tensor",
         "f")
        .kernel<nll_loss_nd>()
        .autocast(2);
    r.add(
         "_cross_entropy(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index, float "
         "label_smoothing) -> (Tensor output, Tensor logs, Tensor total_weight)",
         "")
        .kernel<cross_entropy_forward>()
        .differentiable_results(0b11)
        .node("NllLossBackward0")
        .grad("self", "target, weight, result1, result2", cross_entropy_gradient);
    r.add(
         "_cross_entropy2d(Tensor self, Tensor target, Tensor? weight, int reduction, int ignore_index, float "
         "label_smoothing) -> (Tensor output, Tensor logs, Tensor total_weight)",
         "")
        .kernel<cross_entropy_forward>()
        .differentiable_results(0b11)
        .node("NllLoss2DBackward0")
        .grad("self", "target, weight, result1, result2", cross_entropy_gradient);
    r.add(
         "nn::cross_entropy_loss(Tensor self, Tensor target, Tensor? weight=None, int reduction=1, int "
         "ignore_index=-100, float label_smoothing=0.) -> Tensor",
         "f")
        .kernel<cross_entropy>()
        .autocast(2);
});

}  // namespace
}  // namespace fb
