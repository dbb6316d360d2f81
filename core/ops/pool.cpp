// Pooling: largest and average values of windows, fixed or adaptive, and the way back from the largest (max_unpool).
#include "autograd/back.h"
#include "base/parallel.h"
#include "cpu/images.h"
#include "cpu/lines.h"
#include "cpu/pool.h"
#include "ops/pool_shape.h"

namespace fb {
namespace {
using namespace cpu;

template <int n>
Dims result_sizes(const Tensor& x, const PoolShape& s) {
    Dims r = x.sizes();
    for (size_t d = 0; d < n; ++d) r[r.size() - n + d] = s.out[3 - n + d];
    return r;
}
template <int n>
int64_t planes_of(const Tensor& x) {
    return product(IntSpan(x.sizes()).first(x.sizes().size() - n));
}
bool user_channels_last(const Tensor& t) { return !t.is_contiguous() && is_channels_last(t.sizes(), t.strides()); }
Tensor in_order_of(const Tensor& r, const Tensor& x) {
    if (!user_channels_last(x)) return r;
    const Tensor t = empty_strided(r.sizes(), channels_last_strides(r.sizes()), r.dtype(), r.device());
    if (!r.is_meta()) copy_data(t, r);
    return t;
}

// ---------------------------------------------------------------- rows of channels: hidden images
// Rows of channels are so much faster that a contiguous picture is worth reordering, unless it has only a few channels.
template <int n>
bool worth_hiding(const Tensor& x, const PoolShape& s) {
    return x.dtype() == DType::f32 && !x.is_meta() && x.is_contiguous() && x.dim() == n + 2 && x.sizes()[1] >= 8 &&
           s.inputs() >= 64 && x.numel() > 0 && !hidden_image(x);
}
// f(picture of x, picture of y, channels in a row)
template <class F>
void each_picture(const Image& from, const Tensor& to, F&& f) {
    const Pictures x(from), y(*hidden_image(to));
    const int64_t a = from.spatial() * x.width, b = hidden_image(to)->spatial() * y.width;
    parallel_for(x.count, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, std::max(a, b))),
                 [&](int64_t begin, int64_t end) {
                     for (int64_t i = begin; i < end; ++i) f(x.as<float>() + i * a, y.as<float>() + i * b, x.width);
                 });
}

// ---------------------------------------------------------------- planes in pairs: plain floats
bool in_pairs(const Tensor& x, const PoolShape& s) {
    return x.dtype() == DType::f32 && !x.is_meta() && pool_in_pairs(s) && x.numel() > 0 && x.is_contiguous() &&
           !hidden_image(x);
}
// Rows whose windows lie close together.
bool in_line(const Tensor& x, const PoolShape& s) {
    return (x.dtype() == DType::f32 || x.dtype() == DType::f64) && !x.is_meta() && pool_in_line(s) &&
           s.stride[2] <= 8 && x.numel() > 0 && x.is_contiguous() && !hidden_image(x);
}
template <class F>
void each_plane(const PoolShape& s, int64_t planes, F&& f) {
    parallel_for(planes, std::max<int64_t>(1, 16384 / s.inputs()), [&](int64_t begin, int64_t end) {
        for (; begin < end; ++begin) f(begin * s.inputs(), begin * s.outputs());
    });
}

// A picture without samples as a batch of one, which has rows of channels, too.
template <int n>
bool is_alone(const Tensor& x) {
    return x.dim() == n + 1 && x.dtype() == DType::f32 && !x.is_meta() && x.is_contiguous();
}
Tensor with_samples(const Tensor& x) {
    Dims sizes(x.sizes()), strides(x.strides());
    sizes.insert(0, 1);
    strides.insert(0, x.numel());
    return make_view(x, sizes, strides, x->offset);
}
Tensor without_samples(const Tensor& x) {
    return make_view(x, IntSpan(x.sizes()).subspan(1), IntSpan(x.strides()).subspan(1), x->offset);
}

// ---------------------------------------------------------------- largest
template <int n>
std::tuple<Tensor, Tensor> largest(const Tensor& x, const PoolShape& s, bool want_indices) {
    if (!want_indices && is_alone<n>(x))
        return {without_samples(std::get<0>(largest<n>(with_samples(x), s, false))), Tensor()};
    const Dims sizes = result_sizes<n>(x, s);
    if (!want_indices && in_pairs(x, s)) {
        const Tensor y = empty(sizes, DType::f32);
        const float* from = x.data<float>();
        float* to = y.data<float>();
        each_plane(s, planes_of<n>(x), [&](int64_t i, int64_t o) { pool_loops().max_pairs(s, from + i, to + o); });
        return {y, Tensor()};
    }
    if (!want_indices && in_line(x, s)) {
        const Tensor y = empty(sizes, x.dtype());
        max_lines(s, planes_of<n>(x), x.dtype(), x.data(), y.data());
        return {y, Tensor()};
    }
    if (!want_indices && worth_hiding<n>(x, s)) return largest<n>(hide(x, preferred_order()), s, false);
    if (!want_indices && !s.adaptive) {
        if (const Ptr<Image> image = float_image(x, n)) {
            const Tensor y = make_hidden(sizes, DType::f32, image->order);
            each_picture(*image, y, [&](const float* a, float* b, int64_t w) { pool_loops().max_rows(s, a, b, w); });
            return {y, Tensor()};
        }
    }
    const Tensor y = empty(sizes, x.dtype(), x.device()),
                 indices = want_indices ? empty(sizes, DType::i64, x.device()) : Tensor();
    if (!x.is_meta() && y.numel())
        max_pool(x.dtype(), s, planes_of<n>(x), dense(x).data(), y.data(),
                 want_indices ? indices.data<int64_t>() : nullptr);
    return {in_order_of(y, x), want_indices ? in_order_of(indices, x) : indices};
}

// g goes to where the largest values came from.
template <int n>
Tensor scattered(const Tensor& g, const Tensor& indices, IntSpan sizes) {
    const size_t lead = sizes.size() - n;
    const int64_t inputs = product(sizes.subspan(lead)), outputs = product(IntSpan(g.sizes()).subspan(lead)),
                  planes = product(sizes.first(lead));
    if (tls.grad) {
        Dims flat_in(sizes.first(lead)), flat_out = flat_in;
        flat_in.push_back(inputs);
        flat_out.push_back(outputs);
        const Tensor zero = op<"zeros">(flat_in, g.dtype(), nullptr, g.device());
        return op<"reshape">(op<"scatter_add">(zero, -1, op<"reshape">(indices, flat_out), op<"reshape">(g, flat_out)),
                             sizes);
    }
    const Tensor r = empty(sizes, g.dtype(), g.device());
    if (!g.is_meta() && r.numel()) {
        const Tensor dg = dense(g), di = dense(indices);
        scatter_planes(g.dtype(), planes, outputs, inputs, dg.data(), di.data<int64_t>(), r.data());
    }
    return r;
}

template <int n>
struct Names;
template <>
struct Names<2> {
    static constexpr auto max = "max_pool2d", avg = "avg_pool2d", adaptive_avg = "adaptive_avg_pool2d",
                          adaptive_max = "adaptive_max_pool2d";
};
template <>
struct Names<3> {
    static constexpr auto max = "max_pool3d", avg = "avg_pool3d", adaptive_avg = "adaptive_avg_pool3d",
                          adaptive_max = "adaptive_max_pool3d";
};

template <int n>
std::tuple<Tensor, Tensor> max_pool_with_indices(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding,
                                                 IntSpan dilation, bool ceil) {
    const auto w = window<n>(Names<n>::max, kernel, stride, padding, dilation);
    return largest<n>(x, pool_shape<n>(x, w, ceil, false), true);
}
// Without indices the gradient finds the largest values once more, which costs less than writing and reading indices.
template <int n>
Tensor max_pool_values(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, IntSpan dilation, bool ceil) {
    const auto w = window<n>(Names<n>::max, kernel, stride, padding, dilation);
    return std::get<0>(largest<n>(x, pool_shape<n>(x, w, ceil, false), false));
}
template <int n>
Tensor max_pool_gradient(const Tensor& given, const Tensor& x, const PoolShape& s) {
    if (!tls.grad && is_alone<n>(x) && is_alone<n>(given))
        return without_samples(max_pool_gradient<n>(with_samples(given), with_samples(x), s));
    const Tensor both[] = {x, given};
    settle_views(both);
    if (!tls.grad && in_pairs(x, s)) {
        const Tensor g = dense(given), r = empty(x.sizes(), DType::f32);
        const float *grads = g.data<float>(), *from = x.data<float>();
        float* to = r.data<float>();
        each_plane(s, planes_of<n>(x),
                   [&](int64_t i, int64_t o) { pool_loops().max_pairs_gradient(s, grads + o, from + i, to + i); });
        return r;
    }
    if (!tls.grad && in_line(x, s)) {
        const Tensor g = dense(given), r = empty(x.sizes(), x.dtype());
        max_lines_gradient(s, planes_of<n>(x), x.dtype(), g.data(), x.data(), r.data());
        return r;
    }
    const Tensor input = !tls.grad && worth_hiding<n>(x, s) ? hide(x, preferred_order()) : x;
    if (const Ptr<Image> image = tls.grad ? nullptr : float_image(input, n)) {
        const Tensor g = image_in(given, image->order), r = make_hidden(x.sizes(), DType::f32, image->order);
        const float *grads = Pictures(*hidden_image(g)).as<float>(), *base = Pictures(*image).as<float>();
        each_picture(*image, r, [&](const float* a, float* d, int64_t width) {
            const int64_t picture = (a - base) / (s.inputs() * width);
            pool_loops().max_rows_gradient(s, grads + picture * s.outputs() * width, a, d, width);
        });
        return r;
    }
    Tensor indices;
    {
        const GradGuard off(false);
        indices = std::get<1>(largest<n>(x, s, true));
    }
    const Tensor r = scattered<n>(given, indices, x.sizes());
    return tls.grad ? r : in_order_of(r, x);  // with create_graph its history counts
}
template <int n>
Tensor max_pool_gradient(Back& b) {
    const Tensor x = b.arg(0);
    return max_pool_gradient<n>(
        b.g, x,
        pool_shape<n>(x, window<n>(Names<n>::max, b.ints(1), b.ints(2), b.ints(3), b.ints(4)), b.flag(5), false));
}

// ---------------------------------------------------------------- averages
template <int n>
Tensor average(const Tensor& x, const PoolShape& s) {
    if (is_alone<n>(x)) return without_samples(average<n>(with_samples(x), s));
    const Dims sizes = result_sizes<n>(x, s);
    if (in_pairs(x, s)) {
        const Tensor y = empty(sizes, DType::f32);
        const float* from = x.data<float>();
        float* to = y.data<float>();
        each_plane(s, planes_of<n>(x), [&](int64_t i, int64_t o) { pool_loops().avg_pairs(s, from + i, to + o); });
        return y;
    }
    if (worth_hiding<n>(x, s)) return average<n>(hide(x, preferred_order()), s);
    if (const Ptr<Image> image = float_image(x, n)) {
        const Tensor y = make_hidden(sizes, DType::f32, image->order);
        each_picture(*image, y, [&](const float* a, float* b, int64_t w) { pool_loops().avg_rows(s, a, b, w); });
        return y;
    }
    const Tensor y = empty(sizes, x.dtype(), x.device());
    if (!x.is_meta() && y.numel()) avg_pool(x.dtype(), s, planes_of<n>(x), dense(x).data(), y.data());
    return n == 3 ? y : in_order_of(y, x);
}
template <int n>
Tensor average_gradient(const Tensor& g, const Tensor& x, const PoolShape& s) {
    if (is_alone<n>(x) && is_alone<n>(g))
        return without_samples(average_gradient<n>(with_samples(g), with_samples(x), s));
    if (g.dtype() == DType::f32 && in_pairs(x, s)) {
        const Tensor d = dense(g), r = empty(x.sizes(), DType::f32);
        const float* grads = d.data<float>();
        float* to = r.data<float>();
        each_plane(s, planes_of<n>(x),
                   [&](int64_t i, int64_t o) { pool_loops().avg_pairs_gradient(s, grads + o, to + i); });
        return r;
    }
    if (worth_hiding<n>(g, s) && x.is_contiguous()) return average_gradient<n>(hide(g, preferred_order()), x, s);
    if (const Ptr<Image> image = float_image(g, n)) {
        const Tensor r = make_hidden(x.sizes(), DType::f32, image->order);
        each_picture(*image, r,
                     [&](const float* a, float* d, int64_t w) { pool_loops().avg_rows_gradient(s, a, d, w); });
        return r;
    }
    const Tensor r = empty(x.sizes(), g.dtype(), g.device());
    if (!g.is_meta() && r.numel()) avg_pool_gradient(g.dtype(), s, planes_of<n>(x), dense(g).data(), r.data());
    return in_order_of(r, x);
}

template <int n>
PoolShape average_shape(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, bool ceil, bool count_padding,
                        std::optional<int64_t> divisor) {
    const bool half = x.dtype() == DType::bf16 || x.dtype() == DType::f16;
    if (x.dtype() != DType::i64 && (!is_floating(x.dtype()) || (half && n == 3)))
        no_kernel(n == 3 ? "avg_pool3d_out_frame" : "avg_pool2d", x.dtype());
    check(!divisor || *divisor != 0, "divisor must be not zero");
    PoolShape s = pool_shape<n>(x, window<n>(Names<n>::avg, kernel, stride, padding, IntSpan(Dims{1})), ceil, true);
    s.count_padding = count_padding;
    s.divisor = divisor.value_or(0);
    return s;
}
template <int n>
Tensor avg_pool_op(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, bool ceil, bool count_padding,
                   std::optional<int64_t> divisor) {
    return average<n>(x, average_shape<n>(x, kernel, stride, padding, ceil, count_padding, divisor));
}
template <int n>
Tensor avg_pool_backward(const Tensor& g, const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, bool ceil,
                         bool count_padding, std::optional<int64_t> divisor) {
    return average_gradient<n>(g, x, average_shape<n>(x, kernel, stride, padding, ceil, count_padding, divisor));
}
template <int n>
Tensor adaptive_avg(const Tensor& x, IntSpan output) {
    const PoolShape s = adaptive_shape<n>(x, output, Names<n>::adaptive_avg);
    if (!is_floating(x.dtype())) no_kernel(n == 3 ? "adaptive_avg_pool3d_cpu" : "adaptive_avg_pool2d", x.dtype());
    return average<n>(x, s);
}
template <int n>
Tensor adaptive_avg_backward(const Tensor& g, const Tensor& x) {
    check(g.dim() == x.dim() && g.dim() >= n && g.dtype() == x.dtype() &&
              same(IntSpan(g.sizes()).first(size_t(g.dim() - n)), IntSpan(x.sizes()).first(size_t(x.dim() - n))),
          Names<n>::adaptive_avg, ": a gradient of size ", g.sizes(), " for an input of size ", x.sizes());
    return average_gradient<n>(
        g, x, adaptive_shape<n>(x, IntSpan(g.sizes()).subspan(g.sizes().size() - n), Names<n>::adaptive_avg));
}
// One average of everything is a mean.
template <int n>
Tensor adaptive_avg_public(const Tensor& x, IntSpan output) {
    const PoolShape s = adaptive_shape<n>(x, output, Names<n>::adaptive_avg);
    if (s.outputs() != 1 || std::any_of(output.begin(), output.end(), [](int64_t v) { return v != 1; })) {
        if constexpr (n == 2) return op<"_adaptive_avg_pool2d">(x, output);
        else return op<"_adaptive_avg_pool3d">(x, output);
    }
    Dims dims;
    for (int64_t d = n; d > 0; --d) dims.push_back(-d);
    const Tensor r = op<"mean.dim">(x, dims, true);
    if (user_channels_last(x))
        r->set_shape(r.sizes(), channels_last_strides(r.sizes()));  // one position: the same memory
    return r;
}
template <int n>
std::tuple<Tensor, Tensor> adaptive_max(const Tensor& x, IntSpan output) {
    if (x.dim() == n + 2) check_channels(x, Names<n>::adaptive_max);
    check(int(output.size()) == n, Names<n>::adaptive_max, "(): internal error: output_size.size() must be ", n);
    if (!is_floating(x.dtype())) no_kernel(n == 3 ? "adaptive_max_pool3d_cpu" : "adaptive_max_pool2d", x.dtype());
    // as PyTorch's, of three dimensions does not keep channels last
    return largest<n>(n == 3 ? dense(x) : x, adaptive_shape<n>(x, output, Names<n>::adaptive_max), true);
}

// ---------------------------------------------------------------- one dimension: two with one row
Dims with_one(IntSpan v) {
    Dims r{1};
    for (int64_t x : v) r.push_back(x);
    return r;
}
void check_1d(const Tensor& x, const char* name) {
    check(x.dim() == 2 || x.dim() == 3, name,
          ": Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:", x.sizes());
}
Tensor squeezed(const Tensor& t) { return op<"squeeze.dim">(t, -2); }
void check_max_1d(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, IntSpan dilation, bool ceil) {
    check_1d(x, "max_pool1d");
    const auto single = [](IntSpan v, const char* what, const char* kinds) {
        check(v.size() == 1, "max_pool1d() ", what, " must be ", kinds, " of size 1 but got size ", v.size());
    };
    single(kernel, "kernel_size", "an int, list of ints or tuple of ints");
    if (!stride.empty()) single(stride, "stride", "None, an int, list of ints, or tuple of ints");
    single(padding, "padding", "an int, list of ints, or tuple of ints");
    single(dilation, "dilation", "an int, list of ints or tuple of ints");
    const int64_t step = stride.empty() ? kernel[0] : stride[0];
    check(kernel[0] > 0, "max_pool1d() kernel_size must be greater than zero, but got ", kernel[0]);
    check(step > 0, "max_pool1d() stride must be greater than zero, but got ", step);
    check(padding[0] >= 0, "max_pool1d() padding must be non-negative, but got ", padding[0]);
    check(padding[0] <= kernel[0] / 2,
          "max_pool1d() padding should be at most half of kernel size, but got padding=", padding[0],
          " and kernel_size=", kernel[0]);
    check(dilation[0] > 0, "max_pool1d() dilation must be greater than zero, but got ", dilation[0]);
    const Dims& sizes = x.sizes();
    for (size_t d = sizes.size() - 2; d < sizes.size(); ++d)
        check(sizes[d] > 0,
              "max_pool1d: Expected 2D or 3D (batch mode) tensor with optional 0 dim batch size for input, but got:",
              sizes);
    const int64_t out = output_size(sizes.back(), kernel[0], padding[0], step, dilation[0], ceil);
    check(out > 0, "max_pool1d() Invalid computed output size: ", out);
}
Tensor max_pool1d(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, IntSpan dilation, bool ceil) {
    check_max_1d(x, kernel, stride, padding, dilation, ceil);
    if (!is_floating(x.dtype())) no_kernel("max_pool1d_impl", x.dtype());
    const Dims s = stride.empty() ? with_one(kernel) : with_one(stride);
    Dims p = with_one(padding);
    p[0] = 0;
    return squeezed(op<"max_pool2d">(op<"unsqueeze">(x, -2), with_one(kernel), s, p, with_one(dilation), ceil));
}
std::tuple<Tensor, Tensor> max_pool1d_with_indices(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding,
                                                   IntSpan dilation, bool ceil) {
    check_1d(x, "max_pool1d");
    const Dims s = stride.empty() ? with_one(kernel) : with_one(stride);
    Dims p = with_one(padding);
    p[0] = 0;
    const Frame f =
        opn<"nn::max_pool2d_with_indices">(op<"unsqueeze">(x, -2), with_one(kernel), s, p, with_one(dilation), ceil);
    return {squeezed(f.result[0]), squeezed(f.result[1])};
}
Tensor avg_pool1d(const Tensor& x, IntSpan kernel, IntSpan stride, IntSpan padding, bool ceil, bool count_padding) {
    check(x.dim() == 2 || x.dim() == 3, "Expected 2 to 3 dimensions, but got ", x.dim(),
          "-dimensional tensor for argument #1 'self' (while checking arguments for avg_pool1d)");
    for (const auto& [v, what] : {std::pair(kernel, "kernel_size"), {stride, "stride"}, {padding, "padding"}})
        check(v.size() == 1 || (v.empty() && what[0] == 's'), "avg_pool1d() argument '", what,
              "' should contain one int (got ", v.size(), ")");
    const Dims s = stride.empty() ? with_one(kernel) : with_one(stride);
    Dims p = with_one(padding);
    p[0] = 0;
    return squeezed(op<"nn::avg_pool2d">(op<"unsqueeze">(x, -2), with_one(kernel), s, p, ceil, count_padding));
}
void check_adaptive_1d(const Tensor& x, IntSpan output, const char* name) {
    check(x.dim() == 2 || x.dim() == 3, "Expected 2 to 3 dimensions, but got ", x.dim(),
          "-dimensional tensor for argument #1 'self' (while checking arguments for ", name, ")");
    check(output.size() == 1, name, "() argument 'output_size' should contain one int (got ", output.size(), ")");
}
Tensor adaptive_avg_pool1d(const Tensor& x, IntSpan output) {
    check_adaptive_1d(x, output, "adaptive_avg_pool1d");
    return squeezed(op<"nn::adaptive_avg_pool2d">(op<"unsqueeze">(x, -2), with_one(output)));
}
std::tuple<Tensor, Tensor> adaptive_max_pool1d(const Tensor& x, IntSpan output) {
    check_adaptive_1d(x, output, "adaptive_max_pool1d");
    check_channels(x, "adaptive_max_pool1d");
    const Frame f = opn<"nn::adaptive_max_pool2d">(op<"unsqueeze">(x, -2), with_one(output));
    return {squeezed(f.result[0]), squeezed(f.result[1])};
}

// ---------------------------------------------------------------- back from the largest
template <int n>
Tensor unpool(const Tensor& x, const Tensor& indices, IntSpan output) {
    check(indices.dtype() == DType::i64, "elements in indices should be type int64 but got: ", indices.dtype());
    check(int(output.size()) == n, "There should be exactly ", counted[n], " in output_size, but got ", output.size(),
          " elements");
    check(x.dim() == n + 1 || x.dim() == n + 2, "Input to max_unpooling", n, "d should be a ", n + 1, "d or ", n + 2,
          "d Tensor, but got a tensor with ", x.dim(), " dimensions.");
    check(same(x.sizes(), indices.sizes()), "Expected shape of indices to be same as that of the input tensor (",
          x.sizes(), ") but got indices tensor with shape: ", indices.sizes());
    if (!is_floating(x.dtype())) no_kernel(n == 3 ? "max_unpool3d" : "max_unpool2d", x.dtype());
    const size_t lead = x.sizes().size() - n;
    Dims sizes(IntSpan(x.sizes()).first(lead));
    for (int64_t v : output) sizes.push_back(v);
    const Tensor r = empty(sizes, x.dtype(), x.device());
    if (r.is_meta() || r.numel() == 0) return r;
    const Tensor dx = dense(x), di = dense(indices);
    const int64_t inputs = product(output), per = product(IntSpan(x.sizes()).subspan(lead)),
                  planes = dx.numel() / std::max<int64_t>(1, per);
    by_item_size(itemsize(x.dtype()), [&]<class T>(T) {
        const T* const values = reinterpret_cast<const T*>(dx.data<char>());
        T* const result = reinterpret_cast<T*>(r.data<char>());
        parallel_for(planes, std::max<int64_t>(1, 16384 / (per + inputs)), [&](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                const int64_t* const index = di.data<int64_t>() + b * per;
                const T* const from = values + b * per;
                T* const to = result + b * inputs;
                std::fill_n(to, inputs, T());
                for (int64_t i = 0; i < per; ++i) {
                    if (uint64_t(index[i]) >= uint64_t(inputs)) [[unlikely]]
                        fail(ErrorKind::Runtime, "Found an invalid max index: ", index[i],
                             " (output volumes are of size ", joined(output[0], output.subspan(1)), ")");
                    to[index[i]] = from[i];
                }
            }
        });
    });
    return n == 3 ? r : in_order_of(r, x);
}
Tensor unpool3d(const Tensor& x, const Tensor& indices, IntSpan output, IntSpan stride, IntSpan padding) {
    check(stride.size() == 3,
          "There should be exactly three elements (depth, height, width) in stride, but got: ", stride.size(),
          " elements.");
    check(padding.size() == 3,
          "There should be exactly three elements (depth, height, width) in padding, but got: ", padding.size(),
          " elements.");
    check(std::all_of(stride.begin(), stride.end(), [](int64_t v) { return v > 0; }),
          "strides should be greater than zero, but got stride: ", stride);
    return unpool<3>(x, indices, output);
}
// What lay at the indices.
template <int n>
Tensor gathered(const Tensor& g, const Tensor& indices) {
    const size_t lead = indices.sizes().size() - n;
    Dims flat_in(IntSpan(indices.sizes()).first(lead)), flat_out = flat_in;
    flat_in.push_back(product(IntSpan(g.sizes()).subspan(lead)));
    flat_out.push_back(product(IntSpan(indices.sizes()).subspan(lead)));
    return op<"reshape">(op<"gather">(op<"reshape">(g, flat_in), -1, op<"reshape">(indices, flat_out)),
                         indices.sizes());
}

// ---------------------------------------------------------------- fractional
// Where the windows of one dimension start, from one random number.
// `rounded` is to the type of the input, in which PyTorch reckons: it decides where windows start.
Dims random_starts(double sample, int64_t in, int64_t out, int64_t k, double (*rounded)(double)) {
    Dims r;
    const double alpha = out > 1 ? rounded(rounded(double(in - k)) / rounded(double(out - 1))) : 0;
    const auto from_zero = [&](double place) { return int64_t(rounded(place * alpha)); };
    for (int64_t i = 0; i + 1 < out; ++i)  // a sample outside [0, 1) must not lead out of the input
        r.push_back(
            std::clamp<int64_t>(from_zero(rounded(rounded(double(i)) + sample)) - from_zero(sample), 0, in - k));
    r.push_back(in - k);
    return r;
}
template <int n>
std::tuple<Tensor, Tensor> fractional_max(const Tensor& x, IntSpan kernel, IntSpan output, const Tensor& samples) {
    const std::string name = n == 2 ? "fractional_max_pool2d" : "fractional_max_pool3d";
    const std::string inside = n == 2 ? name : name + "_out";
    const char* ints = n == 2 ? "Ints" : "three Ints";
    check(x.dim() == n + 1 || x.dim() == n + 2, inside, "(): Expected ", n + 1, "D or ", n + 2,
          "D tensor, but got: ", x.sizes());
    check(int(kernel.size()) == n, name, ": kernel_size must either be a single Int or tuple of ", ints);
    check(int(output.size()) == n, name, ": output_size must either be a single Int or tuple of ", ints);
    const size_t lead = x.sizes().size() - n;
    for (size_t d = 1; d < x.sizes().size(); ++d)
        check(x.sizes()[d] > 0, inside, "(): Expected input to have non-zero size for non-batch dimensions, but got",
              x.sizes(), " with dimension ", d, " being empty.");
    Dims whole(IntSpan(x.sizes()).subspan(0, lead));
    for (int64_t v : output) whole.push_back(v);
    for (int64_t v : output) check(v >= 0, "Trying to create tensor with negative dimension ", v, ": ", whole);
    static constexpr const char* side[] = {"time", "height", "width"};
    PoolShape s;
    for (size_t d = 0; d < n; ++d) {
        s.in[3 - n + d] = x.sizes()[lead + d];
        s.out[3 - n + d] = output[d];
        s.kernel[3 - n + d] = kernel[d];
        check(kernel[d] > 0 && output[d] >= 0, name, "(): kernel sizes have to be positive and output sizes not ",
              "negative, but got ", kernel, " and ", output);
        // In three dimensions PyTorch wants one place more than the windows take.
        check(output[d] <= s.in[3 - n + d] && output[d] + kernel[d] - 1 + int64_t(n == 3) <= s.in[3 - n + d], inside,
              "(): pool ", side[3 - n + d], " ", kernel[d], " too large relative to input ", side[3 - n + d], " ",
              s.in[3 - n + d]);
    }
    check(samples.dim() == 3 && samples.sizes()[2] == n, "Expect _random_samples of shape (N, C, ", n, ") but got ",
          samples.sizes());
    check(samples.dtype() == x.dtype(), "Expect _random_samples to have the same dtype as input");
    const Dims sizes = result_sizes<n>(x, s);
    const Tensor y = empty(sizes, x.dtype(), x.device()), indices = empty(sizes, DType::i64, x.device());
    if (y.is_meta() || y.numel() == 0) return {y, indices};
    const Tensor dx = dense(x), ds = dense(convert(samples, DType::f64));
    const double* sample = ds.data<double>();
    const int64_t planes = planes_of<n>(x);
    check(samples.numel() >= planes * n, "Expect _random_samples.size(0) greater or equal to input batch size.");
    visit_dtype(x.dtype(), [&]<class T>(T) {
        if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double> || std::is_same_v<T, BF16> ||
                      std::is_same_v<T, F16>) {
            for (int64_t p = 0; p < planes; ++p) {
                const T* from = dx.data<T>() + p * s.inputs();
                Dims starts[3] = {{0}, {0}, {0}};
                // Samples come width first for two dimensions, time first for three.
                for (int d = 0; d < n; ++d) {
                    const int which = n == 2 ? 1 - d : d, i = 3 - n + d;
                    starts[i] = random_starts(sample[p * n + which], s.in[i], s.out[i], s.kernel[i], [](double v) {
                        return std::is_same_v<T, double> ? v : double(T(float(v)));
                    });
                }
                int64_t at = p * s.outputs();
                for (int64_t z = 0; z < s.out[0]; ++z)
                    for (int64_t h = 0; h < s.out[1]; ++h)
                        for (int64_t w = 0; w < s.out[2]; ++w, ++at) {
                            int64_t where = -1;
                            for (int64_t a = 0; a < s.kernel[0]; ++a)
                                for (int64_t b = 0; b < s.kernel[1]; ++b)
                                    for (int64_t c = 0; c < s.kernel[2]; ++c) {
                                        const int64_t i =
                                            ((starts[0][size_t(z)] + a) * s.in[1] + starts[1][size_t(h)] + b) *
                                                s.in[2] +
                                            starts[2][size_t(w)] + c;
                                        const double v = double(from[i]);
                                        if (where < 0 || v > double(from[where]) || v != v) where = i;
                                    }
                            y.data<T>()[at] = from[where];
                            indices.data<int64_t>()[at] = where;
                        }
            }
        } else {
            fail(ErrorKind::NotImplemented, "\"fractional_max_pool2d_out_frame\" not implemented for '", x.dtype(),
                 "'");
        }
    });
    return {y, indices};
}

template <int n>
Tensor by_indices(Back& b) {
    return scattered<n>(b.g, b.result(1), b.sizes(0));
}
template <int n>
Tensor avg_gradient(Back& b) {
    if constexpr (n == 2)
        return op<"avg_pool2d_backward">(b.g, b.arg(0), b.ints(1), b.ints(2), b.ints(3), b.flag(4), b.flag(5),
                                         b.attr(6));
    else
        return op<"avg_pool3d_backward">(b.g, b.arg(0), b.ints(1), b.ints(2), b.ints(3), b.flag(4), b.flag(5),
                                         b.attr(6));
}

const Family family([](Registry& r) {
#define FB_MAX(n)                                                                                 \
    "Tensor self, int[" #n "] kernel_size, int[" #n "] stride=[], int[" #n "] padding=0, int[" #n \
    "] dilation=1, bool ceil_mode=False)"
    r.add("nn::max_pool2d_with_indices(" FB_MAX(2) " -> (Tensor, Tensor)", "f")
        .kernel<max_pool_with_indices<2>>()
        .differentiable_results(1)
        .grad("self", "result1", by_indices<2>)
        .piecewise_linear()
        .node("MaxPool2DWithIndicesBackward0");
    r.add("nn::max_pool3d_with_indices(" FB_MAX(3) " -> (Tensor, Tensor)", "f")
        .kernel<max_pool_with_indices<3>>()
        .differentiable_results(1)
        .grad("self", "result1", by_indices<3>)
        .piecewise_linear()
        .node("MaxPool3DWithIndicesBackward0");
    r.add("max_pool2d(" FB_MAX(2) " -> Tensor", "f")
        .kernel<max_pool_values<2>>()
        .grad("self", "self", max_pool_gradient<2>)
        .piecewise_linear()
        .node("MaxPool2DWithIndicesBackward0");
    r.add("max_pool3d(" FB_MAX(3) " -> Tensor", "f")
        .kernel<max_pool_values<3>>()
        .grad("self", "self", max_pool_gradient<3>)
        .piecewise_linear()
        .node("MaxPool3DWithIndicesBackward0");
    r.add("max_pool1d(" FB_MAX(1) " -> Tensor", "f").kernel<max_pool1d>();
    r.add("max_pool1d_with_indices(" FB_MAX(1) " -> (Tensor, Tensor)", "f").kernel<max_pool1d_with_indices>();
#undef FB_MAX
#define FB_AVG(n)                                             \
    "int[" #n "] kernel_size, int[" #n "] stride=[], int[" #n \
    "] padding=0, bool ceil_mode=False, bool count_include_pad=True, int? divisor_override=None) -> Tensor"
    r.add("nn::avg_pool2d(Tensor self, " FB_AVG(2), "fo")
        .kernel<avg_pool_op<2>>()
        .grad("self", "self", avg_gradient<2>)
        .piecewise_linear()
        .node("AvgPool2DBackward0");
    r.add("nn::avg_pool3d(Tensor self, " FB_AVG(3), "fo")
        .kernel<avg_pool_op<3>>()
        .grad("self", "self", avg_gradient<3>)
        .piecewise_linear()
        .node("AvgPool3DBackward0");
    r.add("avg_pool2d_backward(Tensor grad_output, Tensor self, " FB_AVG(2), "")
        .kernel<avg_pool_backward<2>>()
        .grad("grad_output", "", [](Back& b) {
            return op<"nn::avg_pool2d">(b.g, b.ints(2), b.ints(3), b.ints(4), b.flag(5), b.flag(6), b.attr(7));
        });
    r.add("avg_pool3d_backward(Tensor grad_output, Tensor self, " FB_AVG(3), "")
        .kernel<avg_pool_backward<3>>()
        .grad("grad_output", "", [](Back& b) {
            return op<"nn::avg_pool3d">(b.g, b.ints(2), b.ints(3), b.ints(4), b.flag(5), b.flag(6), b.attr(7));
        });
#undef FB_AVG
    r.add(
         "avg_pool1d(Tensor self, int[1] kernel_size, int[1] stride=[], int[1] padding=0, bool ceil_mode=False, bool "
         "count_include_pad=True) -> Tensor",
         "f")
        .kernel<avg_pool1d>();
    r.add("_adaptive_avg_pool2d(Tensor self, int[2] output_size) -> Tensor", "f")
        .kernel<adaptive_avg<2>>()
        .node("AdaptiveAvgPool2DBackward0")
        .grad("self", "self", [](Back& b) { return op<"_adaptive_avg_pool2d_backward">(b.g, b.arg(0)); })
        .piecewise_linear();
    r.add("_adaptive_avg_pool3d(Tensor self, int[3] output_size) -> Tensor", "f")
        .kernel<adaptive_avg<3>>()
        .node("AdaptiveAvgPool3DBackward0")
        .grad("self", "self", [](Back& b) { return op<"_adaptive_avg_pool3d_backward">(b.g, b.arg(0)); })
        .piecewise_linear();
    r.add("_adaptive_avg_pool2d_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<adaptive_avg_backward<2>>()
        .grad("grad_output", "", [](Back& b) { return op<"_adaptive_avg_pool2d">(b.g, IntSpan(b.sizes(0)).last(2)); });
    r.add("_adaptive_avg_pool3d_backward(Tensor grad_output, Tensor self) -> Tensor", "")
        .kernel<adaptive_avg_backward<3>>()
        .grad("grad_output", "", [](Back& b) { return op<"_adaptive_avg_pool3d">(b.g, IntSpan(b.sizes(0)).last(3)); });
    r.add("adaptive_avg_pool1d(Tensor self, int[1] output_size) -> Tensor", "f").kernel<adaptive_avg_pool1d>();
    r.add("nn::adaptive_avg_pool2d(Tensor self, int[2] output_size) -> Tensor", "f").kernel<adaptive_avg_public<2>>();
    r.add("nn::adaptive_avg_pool3d(Tensor self, int[3] output_size) -> Tensor", "f").kernel<adaptive_avg_public<3>>();
    r.add("adaptive_max_pool1d(Tensor self, int[1] output_size) -> (Tensor, Tensor)", "f")
        .kernel<adaptive_max_pool1d>();
    r.add("nn::adaptive_max_pool2d(Tensor self, int[2] output_size) -> (Tensor, Tensor)", "f")
        .kernel<adaptive_max<2>>()
        .differentiable_results(1)
        .grad("self", "result1", by_indices<2>)
        .piecewise_linear()
        .node("AdaptiveMaxPool2DBackward0");
    r.add("nn::adaptive_max_pool3d(Tensor self, int[3] output_size) -> (Tensor, Tensor)", "f")
        .kernel<adaptive_max<3>>()
        .differentiable_results(1)
        .grad("self", "result1", by_indices<3>)
        .piecewise_linear()
        .node("AdaptiveMaxPool3DBackward0");
    r.add("nn::max_unpool2d(Tensor self, Tensor indices, int[2] output_size) -> Tensor", "f")
        .kernel<unpool<2>>()
        .node("MaxUnpool2DBackward0")
        .grad("self", "indices", [](Back& b) { return gathered<2>(b.g, b.arg(1)); })
        .piecewise_linear();
    r.add("nn::max_unpool3d(Tensor self, Tensor indices, int[3] output_size, int[3] stride, int[3] padding) -> Tensor",
          "f")
        .kernel<unpool3d>()
        .node("MaxUnpool3DBackward0")
        .grad("self", "indices", [](Back& b) { return gathered<3>(b.g, b.arg(1)); })
        .piecewise_linear();
    r.add(
         "nn::fractional_max_pool2d(Tensor self, int[2] kernel_size, int[2] output_size, Tensor random_samples) -> "
         "(Tensor, Tensor)",
         "f")
        .kernel<fractional_max<2>>()
        .differentiable_results(1)
        .grad("self", "result1", by_indices<2>)
        .piecewise_linear()
        .node("FractionalMaxPool2DBackward0");
    r.add(
         "nn::fractional_max_pool3d(Tensor self, int[3] kernel_size, int[3] output_size, Tensor random_samples) -> "
         "(Tensor, Tensor)",
         "f")
        .kernel<fractional_max<3>>()
        .differentiable_results(1)
        .grad("self", "result1", by_indices<3>)
        .piecewise_linear()
        .node("FractionalMaxPool3DBackward0");
});

}  // namespace
}  // namespace fb
