// Batch, layer, group, instance and RMS normalisation. With create_graph the gradients are written with operators,
// otherwise kernels compute them.
#include <cmath>
#include "autograd/back.h"
#include "base/parallel.h"
#include "cpu/batch_norm.h"
#include "cpu/dnnl.h"
#include "cpu/images.h"

namespace fb {
namespace {
using namespace cpu;
using Three = std::tuple<Tensor, Tensor, Tensor>;

// ---------------------------------------------------------------- shared
const NormLoops& loops_for(DType t, const char* name) {
    const NormLoops* k = norm_loops(t);
    if (!k) fail(ErrorKind::NotImplemented, "\"", name, "\" not implemented for '", t, "'");
    return *k;
}
void check_parameters(DType t, std::initializer_list<const Tensor*> parameters) {
    const Tensor* first = nullptr;
    for (const Tensor* p : parameters)
        if (p->defined() && !first) first = p;
    if (!first) return;
    const bool mixed = first->dtype() != t;
    for (const Tensor* p : parameters) {
        if (!p->defined()) continue;
        if (mixed) check(p->dtype() == DType::f32, "mixed dtype (CPU): expect parameter to have scalar type of Float");
        else check(p->dtype() == t, "expected scalar type ", t, " but found ", p->dtype());
    }
    check(!mixed || is_low_precision(t), "mixed dtype (CPU): all inputs must share same datatype.");
}
// Parameters of half-precision inputs may be float.
DType statistics_type(const Tensor& x, const Tensor& w, const Tensor& other = {}) {
    return w.defined() ? w.dtype() : other.defined() ? other.dtype() : x.dtype();
}
Numbers numbers(const Tensor& t, int64_t n, double otherwise) {
    Numbers r(size_t(n), otherwise);
    if (!t.defined()) return r;
    const Tensor d = dense(t.dtype() == DType::f64 ? t : convert(t, DType::f64));
    std::copy_n(d.data<double>(), d.numel(), r.begin());
    return r;
}
Tensor tensor_of(const Numbers& v, int64_t n, DType t) {
    const int64_t sizes[] = {n};
    const Tensor r = empty(sizes, DType::f64);
    std::copy_n(v.begin(), n, r.data<double>());
    return t == DType::f64 ? r : convert(r, t);
}
double element(DType t, const void* p, int64_t i) {
    switch (t) {
        case DType::f32: return static_cast<const float*>(p)[i];
        case DType::f64: return static_cast<const double*>(p)[i];
        case DType::bf16: return static_cast<const BF16*>(p)[i];
        default: return static_cast<const F16*>(p)[i];
    }
}
Tensor zeros(IntSpan sizes, DType t, Device device = kCPU) { return op<"zeros">(sizes, t, nullptr, device); }
bool user_channels_last(const Tensor& t) { return !t.is_contiguous() && is_channels_last(t.sizes(), t.strides()); }
// In channels-last order without gaps: as it is, or a copy. (A slice of a channels-last tensor has gaps.)
Tensor as_rows(const Tensor& t) {
    if (user_channels_last(t) && is_non_overlapping_and_dense(t.sizes(), t.strides())) return t;
    const Tensor r = empty_strided(t.sizes(), channels_last_strides(t.sizes()), t.dtype());
    copy_data(r, t);
    return r;
}
Tensor with_strides_of(const Tensor& t, const Tensor& like) {
    if (same(t.strides(), like.strides())) return t;
    const Tensor r = empty_strided(like.sizes(), like.strides(), t.dtype());
    copy_data(r, t);
    return r;
}

// The gradient of z = (x - mean)/√(var + eps) over `dims`, written with operators; z as well.
struct Normalized {
    Tensor gradient, z;
};
Normalized composite_gradient(const Tensor& h, const Tensor& x, const Dims& dims, double eps) {
    const auto mean = [&](const Tensor& t) { return op<"mean.dim">(t, dims, true); };
    const Tensor d = op<"sub">(x, mean(x)), rstd = op<"rsqrt">(op<"add">(mean(op<"mul">(d, d)), eps)),
                 z = op<"mul">(d, rstd);
    if (!h.defined()) return {Tensor(), z};
    const Tensor inner = op<"sub">(op<"sub">(h, mean(h)), op<"mul">(z, mean(op<"mul">(h, z))));
    return {op<"mul">(rstd, inner), z};
}
Tensor in_float(const Tensor& t) { return t.defined() && is_low_precision(t.dtype()) ? t.to(DType::f32) : t; }
Dims shape_1c1(int64_t dim, int64_t c) {
    Dims s(size_t(dim), 1);
    s[1] = c;
    return s;
}
Dims all_but_channels(int64_t dim) {
    Dims d{0};
    for (int64_t i = 2; i < dim; ++i) d.push_back(i);
    return d;
}

// ---------------------------------------------------------------- batch norm
// A tensor with its channel layout: hidden image, channels-last strides, or contiguous.
struct Laid {
    Tensor keep;
    const void* data;
    ChannelLayout layout;
    Ptr<Image> image;
};
Laid lay(const Tensor& x) {
    if (Ptr<Image> i = hold_image(x)) return {x, i->data, ChannelLayout::of(*i), i};
    if (user_channels_last(x)) {
        const Tensor rows = as_rows(x);
        return {rows, rows.data(), ChannelLayout::rows(x.sizes()), {}};
    }
    const Tensor d = dense(x);
    return {d, d.data(), ChannelLayout::plain(d.sizes()), {}};
}
// A fresh tensor laid out as x is.
Tensor laid_like(const Tensor& x, const Laid& laid) {
    if (laid.image) return make_hidden(x.sizes(), x.dtype(), laid.image->order);
    return user_channels_last(x) ? empty_strided(x.sizes(), channels_last_strides(x.sizes()), x.dtype())
                                 : empty(x.sizes(), x.dtype());
}
void* bytes_of(const Tensor& t) {
    const Image* i = hidden_image(t);
    return i ? i->data : t.data();
}
// g laid out as x is, with a copy if need be.
Tensor bring(const Tensor& g, const Tensor& x, const Laid& laid) {
    if (laid.image) {
        const Image* j = hidden_image(g);
        return j && j->same_layout(*laid.image) ? pinned(g) : hide(dense(g), laid.image->order);
    }
    const Tensor r = user_channels_last(x) ? as_rows(g) : dense(g);
    r.data();  // the plain bytes, should it have been hidden
    return r;
}

Numbers first_elements(const Laid& x, DType t) {
    Numbers r(size_t(x.layout.padded()), 0);
    const ChannelLayout& l = x.layout;
    for (int64_t c = 0; c < l.channels; ++c)
        r[size_t(c)] = element(t, x.data, l.block ? c / l.block * l.spatial * l.block + c % l.block : c * l.spatial);
    return r;
}

void check_batch_norm(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var,
                      bool training) {
    const int64_t c = x.dim() > 1 ? x.sizes()[1] : 0;
    const std::pair<const Tensor*, const char*> all[] = {
        {&mean, "running_mean"}, {&var, "running_var"}, {&w, "weight"}, {&b, "bias"}};
    for (const auto& [t, name] : all) {
        if (t->defined()) {
            check(t->numel() == c, name, " should contain ", c, " elements not ", t->numel());
            check(t == &w || t == &b || t->dim() == 1, "TensorAccessor expected 1 dims but tensor has ", t->dim());
        } else check(training || t == &w || t == &b, name, " must be defined in evaluation mode");
    }
    check(x.dim() > 1 || x.numel() == 0, "batch_norm expects an input of at least 2 dimensions, got ", x.dim());
    check_parameters(x.dtype(), {&w, &b, &mean, &var});
}

void update_running(const Tensor& running, const Numbers& now, double momentum) {
    if (!running.defined()) return;
    visit_dtype(running.dtype(), [&]<class T>(T) {
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, BF16> ||
                      std::is_same_v<T, F16>) {
            T* p = running.data<T>();
            for (int64_t c = 0; c < running.numel(); ++c) {
                T& v = p[c * running.strides()[0]];
                v = T(momentum * now[size_t(c)] + (1 - momentum) * double(v));
            }
        }
    });
}

Three native_batch_norm(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& running_mean,
                        const Tensor& running_var, bool training, double momentum, double eps) {
    const NormLoops& k = loops_for(x.dtype(), "batch_norm");
    check_batch_norm(x, w, b, running_mean, running_var, training);
    const int64_t channels = x.dim() > 1 ? x.sizes()[1] : 0;
    const DType st = statistics_type(x, w, running_mean);
    const int64_t saved[] = {training ? channels : 0};
    if (x.is_meta()) return {empty_like(x), empty(saved, st, kMeta), empty(saved, st, kMeta)};
    if (x.numel() == 0) return {empty_like(x), zeros(saved, st), zeros(saved, st)};
    const size_t size = itemsize(x.dtype());
    const Laid l = lay(x);
    const int64_t n = l.layout.padded(), count = l.layout.count();
    Numbers mean = training ? first_elements(l, x.dtype()) : numbers(running_mean, n, 0), rstd(size_t(n), 0),
            var = training ? Numbers(size_t(n), 0) : numbers(running_var, n, 0), a = numbers(w, n, 1),
            add = numbers(b, n, 0);
    const Tensor y = laid_like(x, l);
    void* const to = bytes_of(y);
    TwoSums sums(training ? n : 0);
    const auto one_part = [&](const ChannelLayout& part) {
        if (training) channel_sums(k, size, part, l.data, mean, sums);
        for (int64_t c = part.first_channel(); c < part.end_channel(); ++c) {
            const size_t i = size_t(c);
            if (c >= channels) {
                a[i] = add[i] = 0;
                continue;
            }
            if (training) {
                const double m = sums.first[i] / double(count);
                var[i] = std::max(0.0, sums.second[i] / double(count) - m * m);
                mean[i] += m;
            }
            rstd[i] = 1 / std::sqrt(var[i] + eps);
            a[i] *= rstd[i];
            add[i] -= mean[i] * a[i];
        }
        channel_scale(k, size, part, l.data, to, a, add);
    };
    if (!training) {
        one_part(l.layout);
        return {y, empty(saved, st), empty(saved, st)};
    }
    each_part(l.layout, 2 * size, one_part);
    for (double& v : var) v *= double(count) / double(count - 1);
    update_running(running_mean, mean, momentum);
    update_running(running_var, var, momentum);
    return {y, tensor_of(mean, channels, st), tensor_of(rstd, channels, st)};
}

struct BatchGradient {
    const Tensor &g, &x, &w, &running_mean, &running_var, &mean, &rstd;
    bool training;
    double eps;
};

Three batch_norm_kernel(const BatchGradient& a, bool need_x) {
    const NormLoops& k = loops_for(a.x.dtype(), "batch_norm_backward");
    const int64_t channels = a.x.dim() > 1 ? a.x.sizes()[1] : 0, c1[] = {channels};
    const DType wt = statistics_type(a.x, a.w);
    if (a.x.is_meta()) return {empty_like(a.x), empty(c1, wt, kMeta), empty(c1, wt, kMeta)};
    if (a.x.numel() == 0) return {empty_like(a.x), zeros(c1, wt), zeros(c1, wt)};
    const size_t size = itemsize(a.x.dtype());
    const Tensor both[] = {a.x, a.g};
    settle_views(both);
    const Laid x = lay(a.x);
    const Tensor g = bring(a.g, a.x, x);
    const void* pg = bytes_of(g);
    const int64_t n = x.layout.padded();
    const double count = double(x.layout.count());
    Numbers mean = numbers(a.training ? a.mean : a.running_mean, n, 0),
            rstd = numbers(a.training ? a.rstd : a.running_var, n, 0);
    if (!a.training)
        for (double& v : rstd) v = 1 / std::sqrt(v + a.eps);
    const Tensor dx = need_x ? laid_like(a.x, x) : Tensor();
    void* const to = need_x ? bytes_of(dx) : nullptr;
    Numbers scale = numbers(a.w, n, 1), of_x(size_t(n), 0), add(size_t(n), 0), dw(size_t(n), 0);
    TwoSums dots(n);
    each_part(x.layout, 3 * size, [&](const ChannelLayout& part) {
        channel_dots(k, size, part, pg, x.data, mean, dots);
        for (int64_t i = part.first_channel(); i < part.end_channel(); ++i) {
            const size_t c = size_t(i);
            dw[c] = dots.second[c] * rstd[c];
            scale[c] *= i < channels ? rstd[c] : 0;
            if (i >= channels || !a.training) continue;
            of_x[c] = -scale[c] * rstd[c] * dw[c] / count;
            add[c] = -scale[c] * dots.first[c] / count - of_x[c] * mean[c];
        }
        if (!to) return;
        if (a.training) channel_combine(k, size, part, pg, x.data, to, scale, of_x, add);
        else channel_scale(k, size, part, pg, to, scale, add);
    });
    return {dx, tensor_of(dw, channels, wt), tensor_of(dots.first, channels, wt)};
}

Three batch_norm_composite(const BatchGradient& a) {
    if (a.x.dim() < 2) return batch_norm_kernel(a, true);  // an empty vector
    const Tensor g = in_float(a.g), x = in_float(a.x), w = in_float(a.w);
    const Dims wide = shape_1c1(x.dim(), x.sizes()[1]), dims = all_but_channels(x.dim());
    const Tensor h = w.defined() ? op<"mul">(g, op<"view">(w, wide)) : g;
    Normalized n;
    if (a.training) {
        n = composite_gradient(h, x, dims, a.eps);
    } else {
        const Tensor rstd = op<"view">(op<"rsqrt">(op<"add">(a.running_var, a.eps)), wide);
        n = {op<"mul">(h, rstd), op<"mul">(op<"sub">(x, op<"view">(a.running_mean, wide)), rstd)};
    }
    const DType wt = statistics_type(a.x, a.w);
    return {n.gradient.to(a.x.dtype()), op<"sum.dim_IntList">(op<"mul">(g, n.z), dims).to(wt),
            op<"sum.dim_IntList">(g, dims).to(wt)};
}

Tensor batch_norm(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var,
                  bool training, double momentum, double eps, bool) {
    return std::move(opn<"native_batch_norm">(x, w, b, mean, var, training, momentum, eps).result[0]);
}

// Every sample's channel is a channel of its own.
Tensor instance_norm(const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var,
                     bool use_input_stats, double momentum, double eps, bool) {
    check(use_input_stats || (mean.defined() && var.defined()),
          "Expected running_mean and running_var to be defined when use_input_stats is false");
    check(x.dim() >= 2, "instance_norm expects an input of at least 2 dimensions, got ", x.dim());
    const int64_t n = x.sizes()[0], c = x.sizes()[1], times[] = {n};
    Dims shape = x.sizes();
    shape[1] = n * c;
    shape[0] = 1;
    const auto repeated = [&](const Tensor& t) { return t.defined() ? op<"repeat">(t, IntSpan(times)) : t; };
    const Tensor m = repeated(mean), v = repeated(var);
    const Tensor r = op<"batch_norm">(op<"view">(op<"contiguous">(x), shape), repeated(w), repeated(b), m, v,
                                      use_input_stats, momentum, eps, false);
    if (use_input_stats) {
        const int64_t rows[] = {n, c}, first[] = {0};
        const GradGuard off(false);
        if (mean.defined()) op<"copy_">(mean, op<"mean.dim">(op<"view">(m, IntSpan(rows)), IntSpan(first)));
        if (var.defined()) op<"copy_">(var, op<"mean.dim">(op<"view">(v, IntSpan(rows)), IntSpan(first)));
    }
    return op<"view">(r, x.sizes());
}

// ---------------------------------------------------------------- layer norm
struct Rows {
    int64_t count, n;
};
Rows check_layer(const Tensor& x, IntSpan shape, const Tensor& w, const Tensor& b) {
    check(!shape.empty(),
          "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
          "normalized_shape = ",
          shape);
    const auto shaped = [&](const Tensor& p, const char* name) {
        check(!p.defined() || same(p.sizes(), shape), "Expected ", name,
              " to be of same shape as normalized_shape, but got ", name, " of shape ",
              p.defined() ? p.sizes() : Dims(), " and normalized_shape = ", shape);
    };
    shaped(w, "weight");
    shaped(b, "bias");
    const int64_t lead = x.dim() - int64_t(shape.size());
    if (lead < 0 || !same(IntSpan(x.sizes()).subspan(size_t(lead)), shape)) {
        std::string text;
        for (int64_t v : shape) text += ", " + std::to_string(v);
        fail(ErrorKind::Runtime, "Given normalized_shape=", shape, ", expected input with shape [*", text,
             "], but got input of size", x.sizes());
    }
    return {product(IntSpan(x.sizes()).first(size_t(lead))), product(shape)};
}
Moments row_moments(const NormLoops& k, DType t, const void* row, int64_t n, double eps) {
    return moments(k, row, n, element(t, row, 0), eps);
}
int64_t row_grain(int64_t n) { return std::max<int64_t>(1, 16384 / std::max<int64_t>(1, n)); }
// Parameters in the type of x, as the loops want them.
Tensor parameter(const Tensor& p, DType t) { return p.defined() ? dense(p.dtype() == t ? p : convert(p, t)) : p; }

Three native_layer_norm(const Tensor& x, IntSpan shape, const Tensor& w, const Tensor& b, double eps) {
    check_parameters(x.dtype(), {&w, &b});
    const Rows rows = check_layer(x, shape, w, b);
    const NormLoops& k = loops_for(x.dtype(), "LayerNormKernelImpl");
    Dims stats = x.sizes();
    for (size_t d = stats.size() - shape.size(); d < stats.size(); ++d) stats[d] = 1;
    const DType t = x.dtype(), st = statistics_type(x, w, b);
    const Tensor y = empty(x.sizes(), t, x.device()), mean = empty(stats, st, x.device()),
                 rstd = empty(stats, st, x.device());
    if (x.is_meta() || y.numel() == 0) return {y, mean, rstd};
    const Tensor dx = dense(x), dw = parameter(w, t), db = parameter(b, t);
    const int64_t bytes = rows.n * int64_t(itemsize(t));
    const char* from = dx.data<char>();
    char* to = y.data<char>();
    const void *pw = dw.defined() ? dw.data() : nullptr, *pb = db.defined() ? db.data() : nullptr;
    visit_dtype(st, [&]<class S>(S) {
        if constexpr (requires(double d) {
                          S(d);
                          double(S());
                      }) {
            S *pm = mean.data<S>(), *pr = rstd.data<S>();
            parallel_for(rows.count, row_grain(rows.n), [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) {
                    const Moments m = row_moments(k, t, from + i * bytes, rows.n, eps);
                    pm[i] = S(m.mean);
                    pr[i] = S(m.rstd);
                    k.normalize(from + i * bytes, to + i * bytes, rows.n, m.mean, m.rstd, pw, pb);
                }
            });
        }
    });
    return {y, mean, rstd};
}

Three layer_norm_kernel(const Tensor& g, const Tensor& x, IntSpan shape, const Tensor& w, const Tensor& b, double eps,
                        bool need_x, bool need_parameters) {
    const Rows rows = check_layer(x, shape, w, Tensor());
    const DType t = x.dtype(), acc = t == DType::f64 ? DType::f64 : DType::f32, wt = statistics_type(x, w, b);
    Tensor dx = need_x ? empty(x.sizes(), t, x.device()) : Tensor();
    if (x.is_meta()) return {dx, empty(shape, wt, kMeta), empty(shape, wt, kMeta)};
    if (x.numel() == 0) return {dx, zeros(shape, wt), zeros(shape, wt)};
    const NormLoops& k = loops_for(t, "LayerNormBackwardKernelImpl");
    const Tensor sx = dense(x), sg = dense(g), sw = parameter(w, t);
    const int64_t bytes = rows.n * int64_t(itemsize(t)), n = rows.n;
    const char *px = sx.data<char>(), *pg = sg.data<char>();
    char* to = need_x ? dx.data<char>() : nullptr;
    const void* pw = sw.defined() ? sw.data() : nullptr;
    // Every thread adds up parameter gradients of its own.
    const int64_t parts = std::max<int64_t>(1, std::min<int64_t>(num_threads(), rows.count / row_grain(n)));
    const int64_t room[] = {parts, 2, n};
    const Tensor sums = need_parameters ? zeros(room, acc) : Tensor();
    char* ps = need_parameters ? sums.data<char>() : nullptr;
    const int64_t part_bytes = n * int64_t(itemsize(acc));
    parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part)
            for (int64_t i = rows.count * part / parts; i < rows.count * (part + 1) / parts; ++i) {
                const Moments m = row_moments(k, t, px + i * bytes, n, eps);
                double dots[2];
                char* own = ps ? ps + part * 2 * part_bytes : nullptr;
                k.row_dots(pg + i * bytes, px + i * bytes, n, m.mean, m.rstd, pw, dots, own,
                           own ? own + part_bytes : nullptr);
                if (to)
                    k.row_gradient(pg + i * bytes, px + i * bytes, to + i * bytes, n, m.mean, m.rstd, pw,
                                   dots[0] / double(n), dots[1] / double(n));
            }
    });
    if (!need_parameters) return {dx, Tensor(), Tensor()};
    const Tensor both = op<"sum.dim_IntList">(sums, Dims{0});
    const auto part = [&](int64_t i) { return op<"view">(op<"select.int">(both, 0, i), shape).to(wt); };
    return {dx, part(0), part(1)};
}

Three layer_norm_gradient(const Tensor& g, const Tensor& x, IntSpan shape, const Tensor& w, double eps, bool of_input,
                          bool of_weight) {
    check(same(g.sizes(), x.sizes()) && g.dtype() == x.dtype(), "_layer_norm_gradient: the gradient has to be like ",
          x.sizes(), " of ", x.dtype(), ", got ", g.sizes(), " of ", g.dtype());
    return layer_norm_kernel(g, x, shape, w, Tensor(), eps, of_input, of_weight);
}

Three layer_norm_composite(const Tensor& g0, const Tensor& x0, IntSpan shape, const Tensor& w0, const Tensor& b,
                           double eps) {
    const Tensor g = in_float(g0), x = in_float(x0), w = in_float(w0);
    Dims dims, lead;
    for (int64_t d = 0; d < x.dim(); ++d) (d < x.dim() - int64_t(shape.size()) ? lead : dims).push_back(d);
    const Normalized n = composite_gradient(w.defined() ? op<"mul">(g, w) : g, x, dims, eps);
    const DType wt = statistics_type(x0, w0, b);
    const auto sum = [&](const Tensor& t) { return (lead.empty() ? t : op<"sum.dim_IntList">(t, lead)).to(wt); };
    return {n.gradient.to(x0.dtype()), sum(op<"mul">(g, n.z)), sum(g)};
}

Tensor layer_norm(const Tensor& x, IntSpan shape, const Tensor& w, const Tensor& b, double eps, bool) {
    return std::move(opn<"native_layer_norm">(x, shape, w, b, eps).result[0]);
}

Tensor rms_norm(const Tensor& x, IntSpan shape, const Tensor& w, std::optional<double> eps) {
    check(!shape.empty(),
          "Expected normalized_shape to be at least 1-dimensional, i.e., containing at least one element, but got "
          "normalized_shape = ",
          shape);
    const int64_t lead = x.dim() - int64_t(shape.size());
    check(!w.defined() || same(w.sizes(), shape),
          "Expected weight to be of same shape as normalized_shape, but got weight of shape ",
          w.defined() ? w.sizes() : Dims(), " and normalized_shape = ", shape);
    if (lead < 0)
        fail(ErrorKind::Value, "Input tensor must have at least ", shape.size(), " dimensions, but got ", x.dim());
    if (!same(IntSpan(x.sizes()).subspan(size_t(lead)), shape)) {
        std::string text;
        for (int64_t v : shape) text += (text.empty() ? "" : ", ") + std::to_string(v);
        fail(ErrorKind::Runtime, "Given normalized_shape=", shape, ", expected input with shape [*", text,
             "], but got input of size", x.sizes());
    }
    Dims dims;
    for (int64_t d = lead; d < x.dim(); ++d) dims.push_back(d);
    if (is_integral(x.dtype(), true))
        fail(ErrorKind::NotImplemented, "\"rms_norm\" not implemented for '", x.dtype(), "'");
    const Tensor f = in_float(x);
    const double add = eps ? *eps : to_real(f.dtype()) == DType::f64 ? 2.220446049250313e-16 : 1.1920928955078125e-07;
    const Tensor scale = op<"rsqrt">(op<"add">(op<"mean.dim">(op<"pow">(f, 2), dims, true), add));
    const Tensor y = op<"mul">(f, scale);
    if (!w.defined()) return y.to(x.dtype());
    return op<"mul">(y, in_float(w)).to(x.dtype());
}

// ---------------------------------------------------------------- group norm
void check_groups(const Tensor& x, const Tensor& w, const Tensor& b, int64_t c, int64_t groups) {
    check(groups > 0, "Expected num groups to be greater than 0, got ", groups);
    check(c % groups == 0,
          "Expected number of channels in input to be divisible by num_groups, but got input of shape ", x.sizes(),
          " and num_groups=", groups);
    const auto vector = [&](const Tensor& p, const char* name) {
        check(!p.defined() || (p.dim() == 1 && p.numel() == c), "Expected ", name,
              " to be a vector of size equal to the number of channels in input, but got ", name, " of shape ",
              p.defined() ? p.sizes() : Dims(), " and input of shape ", x.sizes());
    };
    vector(w, "weight");
    vector(b, "bias");
}
Three native_group_norm(const Tensor& x, const Tensor& w, const Tensor& b, int64_t n, int64_t c, int64_t spatial,
                        int64_t groups, double eps) {
    check_groups(x, w, b, c, groups);
    check(
        x.numel() == n * c * spatial && n >= 0 && c >= 0 && spatial >= 0,
        "Expected X.numel() == N * C * HxW to be true, but got false.  (Could this error message be improved?  If so, "
        "please report an enhancement request to PyTorch.)");
    check(x.dim() >= 2 && x.sizes()[0] == n && x.sizes()[1] == c, "Expected an input of ", n, " x ", c, " x ", spatial,
          ", got ", x.sizes());
    const NormLoops& k = loops_for(x.dtype(), "GroupNormKernelImpl");
    check_parameters(x.dtype(), {&w, &b});
    const int64_t per = c / groups * spatial, stats[] = {n, groups};
    const DType t = x.dtype(), st = statistics_type(x, w, b);
    const Tensor mean = empty(stats, st, x.device()), rstd = empty(stats, st, x.device());
    if (x.is_meta()) return {empty_like(x), mean, rstd};
    const Tensor y = empty(x.sizes(), t);
    if (x.numel() == 0) return {y, op<"zeros_like">(mean), op<"zeros_like">(rstd)};
    const Tensor dx = dense(x);
    const Numbers nw = numbers(w, c, 1), nb = numbers(b, c, 0);
    Numbers means(size_t(n * groups)), rstds(size_t(n * groups));
    const int64_t size = int64_t(itemsize(t));
    // Few positions: a group is normalised as a row, its parameters written out for every element.
    const auto own_type = [t](const Tensor& p) { return !p.defined() || p.dtype() == t; };
    const bool rows = spatial < 16 && own_type(w) && own_type(b);
    const auto for_each = [&](const Tensor& p) {
        return rows && p.defined() ? dense(make_view(p, Dims{c, spatial}, Dims{p.strides()[0], 0}, p->offset))
                                   : Tensor();
    };
    const Tensor each_w = for_each(w), each_b = for_each(b);
    const char* from = dx.data<char>();
    char* to = y.data<char>();
    parallel_for(n * groups, row_grain(per), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const Moments m = row_moments(k, t, from + i * per * size, per, eps);
            means[size_t(i)] = m.mean;
            rstds[size_t(i)] = m.rstd;
            if (rows) {
                const auto part = [&](const Tensor& all) {
                    return all.defined() ? all.data<char>() + i % groups * per * int64_t(itemsize(all.dtype()))
                                         : nullptr;
                };
                k.normalize(from + i * per * size, to + i * per * size, per, m.mean, m.rstd, part(each_w),
                            part(each_b));
                continue;
            }
            for (int64_t j = 0; j < c / groups; ++j) {
                const size_t channel = size_t(i % groups * (c / groups) + j);
                const double a = nw[channel] * m.rstd;
                const int64_t at = (i * per + j * spatial) * size;
                k.scale(from + at, to + at, spatial, a, nb[channel] - m.mean * a);
            }
        }
    });
    const auto saved = [&](const Numbers& v) { return op<"view">(tensor_of(v, n * groups, st), IntSpan(stats)); };
    return {user_channels_last(x) ? with_strides_of(y, x) : y, saved(means), saved(rstds)};
}

Three group_norm_kernel(const Tensor& g, const Tensor& x, const Tensor& w, const Tensor& b, int64_t n, int64_t c,
                        int64_t spatial, int64_t groups, double eps) {
    const DType t = x.dtype(), wt = statistics_type(x, w, b);
    const int64_t c1[] = {c}, per = c / groups * spatial, of_group = c / groups;
    if (x.is_meta()) return {empty_like(x), empty(c1, wt, kMeta), empty(c1, wt, kMeta)};
    const Tensor dx = empty(x.sizes(), t);
    if (x.numel() == 0) return {dx, zeros(c1, wt), zeros(c1, wt)};
    const NormLoops& k = loops_for(t, "GroupNormBackwardKernelImpl");
    const Tensor sx = dense(x), sg = dense(g);
    const Numbers nw = numbers(w, c, 1);
    Numbers first(size_t(n * c)), second(size_t(n * c));
    const int64_t size = int64_t(itemsize(t));
    const char *px = sx.data<char>(), *pg = sg.data<char>();
    char* to = dx.data<char>();
    parallel_for(n * groups, row_grain(per), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const Moments m = row_moments(k, t, px + i * per * size, per, eps);
            double sum = 0, dot = 0;
            for (int64_t j = 0; j < of_group; ++j) {
                const int64_t at = (i * per + j * spatial) * size;
                double out[2] = {0, 0};
                k.dots(pg + at, px + at, spatial, m.mean, out);
                const double scale = nw[size_t(i % groups * of_group + j)];
                sum += scale * out[0];
                dot += scale * out[1];
                first[size_t(i * of_group + j)] = out[1] * m.rstd;
                second[size_t(i * of_group + j)] = out[0];
            }
            const double of_x = -m.rstd * m.rstd * m.rstd * dot / double(per),
                         add = -m.rstd * sum / double(per) - of_x * m.mean;
            for (int64_t j = 0; j < of_group; ++j) {
                const int64_t at = (i * per + j * spatial) * size;
                k.combine(pg + at, px + at, to + at, spatial, nw[size_t(i % groups * of_group + j)] * m.rstd, of_x,
                          add);
            }
        }
    });
    Numbers dw(size_t(c), 0), db(size_t(c), 0);
    for (int64_t i = 0; i < n * c; ++i) {
        dw[size_t(i % c)] += first[size_t(i)];
        db[size_t(i % c)] += second[size_t(i)];
    }
    return {dx, tensor_of(dw, c, wt), tensor_of(db, c, wt)};
}

Three group_norm_composite(const Tensor& g0, const Tensor& x0, const Tensor& w0, const Tensor& b, int64_t n, int64_t c,
                           int64_t spatial, int64_t groups, double eps) {
    const Tensor g = in_float(g0), x = in_float(x0), w = in_float(w0);
    const int64_t flat[] = {n, c, spatial}, grouped[] = {n, groups, c / groups * spatial}, wide[] = {1, c, 1};
    const Tensor gc = op<"reshape">(g, IntSpan(flat)),
                 h = w.defined() ? op<"mul">(gc, op<"view">(w, IntSpan(wide))) : gc;
    const Normalized r =
        composite_gradient(op<"reshape">(h, IntSpan(grouped)), op<"reshape">(x, IntSpan(grouped)), Dims{2}, eps);
    const DType wt = statistics_type(x0, w0, b);
    const Dims dims{0, 2};
    return {op<"reshape">(r.gradient, x.sizes()).to(x0.dtype()),
            op<"sum.dim_IntList">(op<"mul">(gc, op<"reshape">(r.z, IntSpan(flat))), dims).to(wt),
            op<"sum.dim_IntList">(gc, dims).to(wt)};
}

// The part of the input's gradient that comes through the statistics (the second and third result).
Tensor group_statistics_gradient(Back& b, const Tensor& x0) {
    const Tensor x = in_float(x0);
    const int64_t n = b.integer(3), groups = b.integer(6), size = b.integer(4) / groups * b.integer(5);
    const int64_t grouped[] = {n, groups, size}, one[] = {n, groups, 1};
    const Tensor flat = op<"reshape">(x, IntSpan(grouped));
    Tensor r = op<"zeros_like">(flat);
    const auto through = [&](int result, const Tensor& slope) {
        r = op<"add">(r, op<"mul">(op<"reshape">(in_float(b.grad(result)), IntSpan(one)), slope));
    };
    if (b.has(1)) through(1, op<"full_like">(flat, 1.0 / double(size)));
    if (b.has(2)) {  // rstd = (var + eps)^-1/2
        const Tensor d = op<"sub">(flat, op<"mean.dim">(flat, Dims{2}, true)),
                     var = op<"mean.dim">(op<"mul">(d, d), Dims{2}, true);
        through(2, op<"mul">(d, op<"mul">(op<"pow">(op<"add">(var, b.real(7)), -1.5), -1.0 / double(size))));
    }
    return op<"reshape">(r, x0.sizes()).to(x0.dtype());
}

Tensor group_norm(const Tensor& x, int64_t groups, const Tensor& w, const Tensor& b, double eps, bool) {
    check(x.dim() >= 2, "Expected at least 2 dimensions for input tensor but received ", x.dim());
    const int64_t c = x.sizes()[1];
    check_groups(x, w, b, c, groups);
    const int64_t spatial = product(IntSpan(x.sizes()).subspan(2));
    return std::move(opn<"native_group_norm">(x, w, b, x.sizes()[0], c, spatial, groups, eps).result[0]);
}

// ---------------------------------------------------------------- entries
void hand_out(Back& b, Three&& t, int x, int w, int bias) {
    if (b.needs(x)) b.set(x, std::move(std::get<0>(t)));
    if (b.needs(w)) b.set(w, std::move(std::get<1>(t)));
    if (b.needs(bias)) b.set(bias, std::move(std::get<2>(t)));
}

const Family family([](Registry& r) {
    r.add(
         "native_batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, "
         "bool training, float momentum, "
         "float eps) -> (Tensor, Tensor, Tensor)",
         "fo")
        .kernel<native_batch_norm>()
        .differentiable_results(1)
        .grads("input, weight, bias", "input, weight, running_mean, running_var, result1, result2", [](Back& b) {
            const Tensor x = b.arg(0), w = b.arg(1), rm = b.arg(3), rv = b.arg(4), mean = b.result(1),
                         rstd = b.result(2);
            const BatchGradient a{b.g, x, w, rm, rv, mean, rstd, b.flag(5), b.real(7)};
            hand_out(b, tls.grad ? batch_norm_composite(a) : batch_norm_kernel(a, b.needs(0)), 0, 1, 2);
        });
    r.add(
         "batch_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool "
         "training, float momentum, "
         "float eps, bool cudnn_enabled) -> Tensor",
         "f")
        .kernel<batch_norm>();
    r.add(
         "instance_norm(Tensor input, Tensor? weight, Tensor? bias, Tensor? running_mean, Tensor? running_var, bool "
         "use_input_stats, "
         "float momentum, float eps, bool cudnn_enabled) -> Tensor",
         "f")
        .kernel<instance_norm>();
    r.add(
         "native_layer_norm(Tensor input, int[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, "
         "Tensor, Tensor)",
         "f")
        .kernel<native_layer_norm>()
        .differentiable_results(1)
        .grads("input, weight, bias", "input, weight, bias", [](Back& b) {
            const Tensor x = b.arg(0), w = b.arg(2), bias = b.arg(3);
            hand_out(b,
                     tls.grad ? layer_norm_composite(b.g, x, b.ints(1), w, bias, b.real(4))
                              : layer_norm_kernel(b.g, x, b.ints(1), w, bias, b.real(4), b.needs(0),
                                                  b.needs(2) || b.needs(3)),
                     0, 2, 3);
        });
    r.add(
         "_layer_norm_gradient(Tensor grad, Tensor input, int[] normalized_shape, Tensor? weight, float eps, bool "
         "of_input, bool of_weight) -> (Tensor, Tensor, Tensor)",
         "")
        .kernel<layer_norm_gradient>();
    r.add(
         "layer_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, "
         "bool cudnn_enable=True) -> Tensor",
         "f")
        .kernel<layer_norm>()
        .autocast(2);
    r.add("rms_norm(Tensor input, int[] normalized_shape, Tensor? weight=None, float? eps=None) -> Tensor", "f")
        .kernel<rms_norm>()
        .autocast(2);
    r.add(
         "native_group_norm(Tensor input, Tensor? weight, Tensor? bias, int N, int C, int HxW, int group, float eps) "
         "-> (Tensor, Tensor, Tensor)",
         "f")
        .kernel<native_group_norm>()
        .grads("input, weight, bias", "input, weight, bias", [](Back& b) {
            const Tensor x = b.arg(0), w = b.arg(1), bias = b.arg(2);
            auto f = tls.grad ? group_norm_composite : group_norm_kernel;
            Three all = f(b.grad(0), x, w, bias, b.integer(3), b.integer(4), b.integer(5), b.integer(6), b.real(7));
            if (b.has(1) || b.has(2)) std::get<0>(all) = op<"add">(std::get<0>(all), group_statistics_gradient(b, x));
            hand_out(b, std::move(all), 0, 1, 2);
        });
    r.add(
         "group_norm(Tensor input, int num_groups, Tensor? weight=None, Tensor? bias=None, float eps=1e-05, bool "
         "cudnn_enabled=True) -> Tensor",
         "f")
        .kernel<group_norm>()
        .autocast(2);
});

}  // namespace
}  // namespace fb
