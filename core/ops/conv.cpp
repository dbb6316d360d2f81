// Convolutions. All of them are one operator, `convolution`, whose gradients are written with itself.
#include "autograd/back.h"
#include "base/shown_type.h"
#include "ops/formula.h"
#include "cpu/conv.h"
#include "cpu/images.h"
#include "ops/waiting.h"

namespace fb {
namespace {
using namespace cpu;

// ---------------------------------------------------------------- parameters and their checks
// One number stands for all dimensions.
Dims expanded(IntSpan v, int64_t n, const char* name) {
    if (v.size() == 1) return Dims(size_t(n), v[0]);
    check(int64_t(v.size()) == n, "expected ", name, " to be a single integer value or a list of ", n,
          " values to match the convolution dimensions, but got ", name, "=", v);
    return Dims(v);
}
bool any_below(IntSpan v, int64_t limit) {
    return std::any_of(v.begin(), v.end(), [&](int64_t x) { return x < limit; });
}
std::string by_x(IntSpan v) {
    std::string r;
    for (int64_t x : v) r += (r.empty() ? "" : " x ") + std::to_string(x);
    return r;
}
bool user_channels_last(const Tensor& t) { return !t.is_contiguous() && is_channels_last(t.sizes(), t.strides()); }

struct Convolution {
    Dims stride, padding, dilation, output_padding;
    bool transposed;
    int64_t groups;

    Convolution(int64_t n, IntSpan s, IntSpan p, IntSpan d, bool transposed, IntSpan op, int64_t groups)
        : stride(expanded(s, n, "stride")),
          padding(expanded(p, n, "padding")),
          dilation(expanded(d, n, "dilation")),
          output_padding(op.empty() ? Dims(size_t(n), 0) : expanded(op, n, "output_padding")),
          transposed(transposed),
          groups(groups) {}

    // A convolution over one dimension is said to be over two, of which the first has size one.
    static Dims lifted(const Dims& sizes, int64_t first) {
        if (sizes.size() != 1) return sizes;
        return Dims{first, sizes[0]};
    }
    static std::string by_name(const char* what, const Dims& sizes, const char* between) {
        static const char* names[] = {"depth", "height", "width"};
        std::string text;
        for (size_t i = 0; i < sizes.size(); ++i)
            text += str(i ? between : "", what, "_", names[3 - sizes.size() + i], ": ", sizes[i]);
        return text;
    }
    void check_dilation() const {
        if (!any_below(dilation, 1)) return;
        check(!any_below(dilation, 0), "dilation should be greater than zero");
        const Dims all = lifted(dilation, 1);
        if (transposed)
            fail(ErrorKind::Runtime, "dilation should be greater than zero, but got ", by_name("dilation", all, ", "));
        fail(ErrorKind::Runtime, "dilation should be greater than zero, but got ", all);
    }
    void check_kernel_size(const Dims& ws) const {
        Dims spatial;
        for (size_t d = 2; d < ws.size(); ++d) spatial.push_back(ws[d]);
        const Dims kernel = lifted(spatial, 1);
        if (!any_below(kernel, 1)) return;
        if (kernel.size() == 2)
            fail(ErrorKind::Runtime, "kernel size should be greater than zero, but got ",
                 by_name("kernel", kernel, " "));
        if (transposed)
            fail(ErrorKind::Runtime,
                 "non-empty 5D (n_output_plane x n_input_plane x kernel_depth x kernel_height x kernel_width) tensor "
                 "expected for weight, but got: ",
                 ws);
        fail(ErrorKind::Runtime, "kernel size should be greater than zero, but got: ", by_x(kernel), " (TxHxW)");
    }

    void check_shapes(const Tensor& x, const Tensor& w, const Tensor& bias) const {
        const Dims &xs = x.sizes(), &ws = w.sizes();
        check(!any_below(padding, 0), "negative padding is not supported");
        check(!any_below(output_padding, 0), "negative output_padding is not supported");
        check(!any_below(stride, 1), "non-positive stride is not supported");
        check_dilation();
        check(groups > 0, "non-positive groups is not supported");
        check(w.dim() == x.dim(), "Expected ", w.dim(), "-dimensional input for ", w.dim(), "-dimensional weight ", ws,
              ", but got ", x.dim(), "-dimensional input of size ", xs, " instead");
        check_kernel_size(ws);
        check(ws[0] >= groups, "Given groups=", groups, ", expected weight to be at least ", groups,
              " at dimension 0, but got weight of size ", ws, " instead");
        check(ws[0] % groups == 0, "Given groups=", groups, ", expected weight to be divisible by ", groups,
              " at dimension 0, but got weight of size [", ws, "] instead");
        const int64_t outputs = transposed ? ws[1] * groups : ws[0], inputs = transposed ? ws[0] : ws[1] * groups;
        const char* given = transposed ? "Given transposed=" : "Given groups=";
        check(xs[1] == inputs, given, transposed ? int64_t(1) : groups, ", weight of size ", ws, ", expected input", xs,
              " to have ", inputs, " channels, but got ", xs[1], " channels instead");
        if (bias.defined())
            check(bias.dim() == 1 && bias.sizes()[0] == outputs,
                  transposed ? "Given transposed=1, weight of size " : "Given weight of size ", ws,
                  ", expected bias to be 1-dimensional with ", outputs, " elements, but got bias of size ",
                  bias.sizes(), " instead");
        Dims padded, kernel;
        bool too_small = false;
        for (size_t d = 0; d < stride.size(); ++d) {
            padded.push_back(xs[d + 2] + 2 * padding[d]);
            kernel.push_back(dilation[d] * (ws[d + 2] - 1) + 1);
            too_small = too_small || padded.back() < kernel.back();
        }
        check(transposed || !too_small, "Calculated padded input size per channel: (", by_x(padded),
              "). Kernel size: (", by_x(kernel), "). Kernel size can't be greater than actual input size");
        for (size_t d = 0; transposed && d < stride.size(); ++d) {
            if (output_padding[d] < stride[d] || output_padding[d] < dilation[d]) continue;
            fail(ErrorKind::Runtime, "output padding must be smaller than either stride or dilation, but got ",
                 by_name("output_padding", lifted(output_padding, 0), " "), " ",
                 by_name("stride", lifted(stride, 1), " "), " ", by_name("dilation", lifted(dilation, 1), " "));
        }
    }

    Dims output(IntSpan x, IntSpan w) const {
        Dims r{x[0], transposed ? w[1] * groups : w[0]};
        for (size_t d = 0; d < stride.size(); ++d) {
            const int64_t reach = dilation[d] * (w[d + 2] - 1) + 1;
            r.push_back(transposed ? (x[d + 2] - 1) * stride[d] - 2 * padding[d] + reach + output_padding[d]
                                   : (x[d + 2] + 2 * padding[d] - reach) / stride[d] + 1);
            check(r.back() > 0 || x[0] == 0 || !transposed, "Given input size per channel: (", by_x(x.subspan(2)),
                  "). Calculated output size per channel: (", by_x(IntSpan(r).subspan(2)),
                  "). Output size is too small");
        }
        return r;
    }
    // As the forward convolution it is, or is the data gradient of.
    ConvShape shape(IntSpan x, IntSpan w, IntSpan out) const {
        return {transposed ? out : x, w, transposed ? x : out, stride, padding, dilation, groups};
    }
};

// ---------------------------------------------------------------- the operator and its gradient
std::string input_type(DType t) { return t == DType::f16 ? "CPUHalfType" : shown_type(t); }
void check_types(const Tensor& x, const Tensor& w, const Tensor& bias, bool transposed) {
    if (transposed && x.dtype() != w.dtype()) {
        if (is_complex(x.dtype()))
            fail(ErrorKind::Runtime, "Input type (", shown_type(x.dtype()), ") and weight type (",
                 shown_type(w.dtype()), ") should be the same");
        fail(ErrorKind::Runtime, "expected scalar type ", scalar_name(x.dtype()), " but found ",
             scalar_name(w.dtype()));
    }
    if (bias.defined())
        check(x.dtype() == bias.dtype(), "Input type (", cpp_name(x.dtype()), ") and bias type (",
              cpp_name(bias.dtype()), ") should be the same");
    check(x.dtype() == w.dtype(), "Input type (", input_type(x.dtype()), ") and weight type (", shown_type(w.dtype()),
          ") should be the same",
          is_complex(x.dtype()) ? "" : " or input should be a MKLDNN tensor and weight is a dense tensor");
}

void add_bias(const Tensor& r, const Tensor& bias) {
    Dims shape(r.sizes().size(), 1);
    shape[1] = bias.numel();
    inplace<"add">(r, op<"view">(bias, shape));
}

// What PyTorch has no loop for. Of the integers it convolves int64 only where kernels are spread or transposed.
void check_kernel(const Convolution& c, DType t) {
    if (!is_integral(t, true) || t == DType::i64) return;
    const size_t dims = c.stride.size();
    if (c.transposed) no_kernel(dims == 3 ? "slow_conv_transpose3d_out_cpu" : "slow_conv_transpose2d_out_cpu", t);
    if (std::ranges::any_of(c.dilation, [](int64_t d) { return d != 1; })) no_kernel("slow_conv_dilated<>", t);
    const bool known = t == DType::u8 || t == DType::i8 || t == DType::i16 || t == DType::i32;
    if (dims == 3 && !known) no_kernel("compute_columns3d", t);
}

Tensor convolution(const Tensor& x, const Tensor& w, const Tensor& bias, IntSpan stride, IntSpan padding,
                   IntSpan dilation, bool transposed, IntSpan output_padding, int64_t groups) {
    check(w.dim() >= 3 && w.dim() <= 5, "weight should have at least three dimensions");
    const Convolution c(w.dim() - 2, stride, padding, dilation, transposed, output_padding, groups);
    check_types(x, w, bias, transposed);
    c.check_shapes(x, w, bias);
    if (transposed && x.numel() == 0 && x.sizes()[0] && x.sizes()[1]) {
        Dims xs = x.sizes();
        if (xs.size() == 3) xs = Dims{xs[0], xs[1], 1, xs[2]};
        fail(ErrorKind::Runtime, "Only zero batch or zero channel inputs are supported, but got input shape: ", xs);
    }
    const Dims out = c.output(x.sizes(), w.sizes());
    const bool last = (user_channels_last(x) || user_channels_last(w)) && w.dim() >= 4;
    if (x.is_meta() || w.is_meta())
        return last ? empty_strided(out, channels_last_strides(out), x.dtype(), kMeta) : empty(out, x.dtype(), kMeta);
    check_kernel(c, x.dtype());
    const GradGuard off(false);
    if (product(out) == 0 || x.numel() == 0 || w.numel() == 0) {
        const Tensor r = empty(out, x.dtype());
        if (r.numel()) fill(r, 0);
        if (r.numel() && bias.defined()) add_bias(r, bias);
        return r;
    }
    const ConvShape s = c.shape(x.sizes(), w.sizes(), out);
    if (!transposed) return conv_forward(s, x, w, bias, last);
    const Tensor r = conv_data_gradient(s, x, w, last);
    if (bias.defined()) add_bias(r, bias);
    return r;
}

Tensor bias_gradient(const Tensor& g) {
    Dims dims{0};
    for (int64_t d = 2; d < g.dim(); ++d) dims.push_back(d);
    return op<"sum.dim_IntList">(g, dims);
}

// A plain gradient that two passes want in another order (blocks, or as the user's pictures lie) is reordered once.
Tensor brought_once(const Tensor& g, bool last) {
    if (last) {
        if (user_channels_last(g)) return g;
        const Tensor r = empty_strided(g.sizes(), channels_last_strides(g.sizes()), g.dtype());
        copy_data(r, g);
        return r;
    }
    const bool worth = g.dtype() == DType::f32 && !user_channels_last(g) && !hidden_image(g) && g.numel() >= 4096 &&
                       g.size(1) % block_of(preferred_order()) == 0;
    return worth ? image_in(g, preferred_order()) : g;
}

std::tuple<Tensor, Tensor, Tensor> convolution_backward(const Tensor& given, const Tensor& x, const Tensor& w, IntSpan,
                                                        IntSpan stride, IntSpan padding, IntSpan dilation,
                                                        bool transposed, IntSpan output_padding, int64_t groups,
                                                        std::span<const bool> mask) {
    const Convolution c(w.dim() - 2, stride, padding, dilation, transposed, output_padding, groups);
    const bool last = (user_channels_last(x) || user_channels_last(w)) && w.dim() >= 4;
    Tensor dx, dw, db;
    if (given.is_meta() || given.numel() == 0 || x.numel() == 0 || w.numel() == 0) {
        const auto zeros = [&](IntSpan sizes) { return op<"zeros">(sizes, given.dtype(), nullptr, given.device()); };
        if (mask[0]) dx = zeros(x.sizes());
        if (mask[1]) dw = zeros(w.sizes());
        if (mask[2]) db = bias_gradient(given);
        return {dx, dw, db};
    }
    const GradGuard off(false);
    const ConvShape s = c.shape(x.sizes(), w.sizes(), given.sizes());
    const bool once = last || (mask[0] && mask[1] && (transposed || !conv_reads_plain(s, x, given)));
    const Tensor g = once ? brought_once(given, last) : given;
    if (mask[1])
        dw = conv_weight_gradient(s, transposed ? g : x, transposed ? x : g, mask[2] && !transposed ? &db : nullptr);
    if (mask[2] && !db.defined()) db = bias_gradient(g);
    if (mask[0]) dx = transposed ? conv_forward(s, g, w, Tensor(), last) : conv_data_gradient(s, g, w, last);
    return {dx, dw, db};
}

// Arguments of `convolution` (3: stride …) and of `convolution_backward` (4: stride …) start at different places.
Frame gradients(Back& b, const Tensor& g, const Tensor& x, const Tensor& w, int first,
                std::initializer_list<bool> mask) {
    bool m[3];
    std::copy(mask.begin(), mask.end(), m);
    return opn<"convolution_backward">(g, x, w, nullptr, b.ints(first), b.ints(first + 1), b.ints(first + 2),
                                       b.flag(first + 3), b.ints(first + 4), b.integer(first + 5),
                                       std::span<const bool>(m, 3));
}
Tensor again(Back& b, const Tensor& x, const Tensor& w) {
    return op<"convolution">(x, w, nullptr, b.ints(4), b.ints(5), b.ints(6), b.flag(7), b.ints(8), b.integer(9));
}
using formula::conj;
void first_order(Back& b) {
    const Frame f = gradients(b, b.g, conj(b.arg(0)), conj(b.arg(1)), 3, {b.needs(0), b.needs(1), b.needs(2)});
    for (int i = 0; i < 3; ++i)
        if (b.needs(i)) b.set(i, f.result[i]);
}
// The gradients are bilinear: in (g, w) that of x, in (g, x) that of w, linear in g that of the bias.
void second_order(Back& b) {
    const Tensor g = conj(b.arg(0)), x = conj(b.arg(1)), w = conj(b.arg(2));
    const Tensor ggx = b.has(0) ? b.grad(0) : Tensor(), ggw = b.has(1) ? b.grad(1) : Tensor(),
                 ggb = b.has(2) ? b.grad(2) : Tensor();
    if (b.needs(0)) {
        Tensor r;
        const auto add = [&](const Tensor& t) { r = r.defined() ? op<"add">(r, t) : t; };
        if (ggx.defined()) add(again(b, ggx, w));
        if (ggw.defined()) add(again(b, x, ggw));
        if (ggb.defined()) {
            Dims shape(g.sizes().size(), 1);
            shape[1] = ggb.numel();
            add(op<"expand">(op<"reshape">(ggb, shape), g.sizes()));
        }
        b.set(0, r);
    }
    if (b.needs(1) && ggw.defined()) b.set(1, gradients(b, g, x, ggw, 4, {true, false, false}).result[0]);
    if (b.needs(2) && ggx.defined()) b.set(2, gradients(b, g, ggx, w, 4, {false, true, false}).result[1]);
}

// ---------------------------------------------------------------- conv1d … conv_transpose3d
// An input without batch dimension gets one for the time of the call.
template <int n, class F>
Tensor batched(const Tensor& x, const char* name, F&& f) {
    check(x.dim() == n + 1 || x.dim() == n + 2, "Expected ", n + 1, "D (unbatched) or ", n + 2, "D (batched) input to ",
          name, ", but got input of size: ", x.sizes());
    return x.dim() == n + 2 ? f(x) : op<"squeeze.dim">(f(op<"unsqueeze">(x, 0)), 0);
}
constexpr const char* conv_names[] = {"", "conv1d", "conv2d", "conv3d"};
constexpr const char* transposed_names[] = {"", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"};

template <int n>
Tensor conv(const Tensor& x, const Tensor& w, const Tensor& bias, IntSpan stride, IntSpan padding, IntSpan dilation,
            int64_t groups) {
    if (n <= 2 && tls.modules && x.dim() == n + 2 && w.dim() == n + 2) {
        const Answer a{x, w, bias, stride, padding, dilation, groups, {}, {}, {}, {}};
        if (in_one_pass(a))
            if (Tensor r = wait_for_more(a); r.defined()) return r;
    }
    return batched<n>(x, conv_names[n], [&](const Tensor& t) {
        return op<"convolution">(t, w, bias, stride, padding, dilation, false, IntSpan(Dims{0}), groups);
    });
}

// `same` pads so that the output is as large as the input; what does not divide evenly goes to the end.
Tensor conv_same(const Tensor& x, const Tensor& w, const Tensor& bias, IntSpan stride, IntSpan dilation,
                 int64_t groups) {
    const int64_t n = w.dim() - 2;
    check(x.dim() == w.dim(), "Expected ", w.dim(), "-dimensional input for ", w.dim(), "-dimensional weight ",
          w.sizes(), ", but got ", x.dim(), "-dimensional input of size ", x.sizes(), " instead");
    check(std::all_of(stride.begin(), stride.end(), [](int64_t v) { return v == 1; }),
          "padding='same' is not supported for strided convolutions");
    const Dims d = expanded(dilation, n, "dilation");
    Dims both, extra(size_t(2 * n), 0);
    bool uneven = false;
    for (int64_t i = 0; i < n; ++i) {
        const int64_t total = d[size_t(i)] * (w.sizes()[size_t(i + 2)] - 1);
        both.push_back(total / 2);
        if (total % 2) {
            extra[size_t(2 * (n - 1 - i) + 1)] = 1;
            uneven = true;
        }
    }
    if (uneven)
        warn(
            "Using padding='same' with even kernel lengths and odd dilation may require a zero-padded copy of the "
            "input be created");
    const Tensor padded = uneven ? op<"constant_pad_nd">(x, extra, 0) : x;
    return op<"convolution">(padded, w, bias, stride, both, dilation, false, IntSpan(Dims(size_t(n), 0)), groups);
}
template <int n>
Tensor conv_padding(const Tensor& x, const Tensor& w, const Tensor& bias, IntSpan stride, std::string_view padding,
                    IntSpan dilation, int64_t groups) {
    return batched<n>(x, conv_names[n], [&](const Tensor& t) {
        check(padding == "same" || padding == "valid", "Invalid padding string: '", padding, "'");
        if (padding == "same") return conv_same(t, w, bias, stride, dilation, groups);
        return op<"convolution">(t, w, bias, stride, IntSpan(Dims{0}), dilation, false, IntSpan(Dims{0}), groups);
    });
}
template <int n>
Tensor conv_transposed(const Tensor& x, const Tensor& w, const Tensor& bias, IntSpan stride, IntSpan padding,
                       IntSpan output_padding, int64_t groups, IntSpan dilation) {
    return batched<n>(x, transposed_names[n], [&](const Tensor& t) {
        return op<"convolution">(t, w, bias, stride, padding, dilation, true, output_padding, groups);
    });
}

// Time, batch, channels: a conv1d with its dimensions in another order; weight is kernel, in, out.
Tensor conv_tbc(const Tensor& x, const Tensor& w, const Tensor& bias, int64_t pad) {
    check(x.dim() == 3, "Input must have 3 dims: time, batch, in_channel");
    check(w.dim() == 3, "Weight tensor must have 3 dims: kernel_width, in_channels, out_channels.");
    check(bias.dim() == 1, "Bias must be 1-D");
    check(x.sizes()[2] == w.sizes()[1],
          "Input dim 2 (input channels) is not == dim 1 in the weight tensor (input channels).");
    check(w.sizes()[2] == bias.sizes()[0], "Bias size must equal dim 2 in the weight tensor (output channels).");
    const int64_t order_x[] = {1, 2, 0}, order_w[] = {2, 1, 0}, back[] = {2, 0, 1};
    const int64_t one[] = {1}, padding[] = {pad}, none[] = {0};
    const Tensor r = op<"convolution">(op<"permute">(x, IntSpan(order_x)), op<"permute">(w, IntSpan(order_w)), bias,
                                       IntSpan(one), IntSpan(padding), IntSpan(one), false, IntSpan(none), 1);
    return op<"contiguous">(op<"permute">(r, IntSpan(back)));
}

const Family family([](Registry& r) {
    r.add(
         "convolution(Tensor input, Tensor weight, Tensor? bias, int[] stride, int[] padding, int[] dilation, bool "
         "transposed, int[] output_padding, "
         "int groups) -> Tensor",
         "f")
        .kernel<convolution>()
        .autocast(1)
        .grads("input, weight, bias", "input, weight", first_order);
    r.add(
         "convolution_backward(Tensor grad_output, Tensor input, Tensor weight, int[]? bias_sizes, int[] stride, int[] "
         "padding, int[] dilation, "
         "bool transposed, int[] output_padding, int groups, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
         "")
        .kernel<convolution_backward>()
        .grads("grad_output, input, weight", "grad_output, input, weight", second_order);
    r.add(
         "conv1d(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, int[1] dilation=1, "
         "int groups=1) -> Tensor",
         "f")
        .kernel<conv<1>>()
        .autocast(1);
    r.add(
         "conv2d(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, int[2] dilation=1, "
         "int groups=1) -> Tensor",
         "f")
        .kernel<conv<2>>()
        .autocast(1);
    r.add(
         "conv3d(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, int[3] dilation=1, "
         "int groups=1) -> Tensor",
         "f")
        .kernel<conv<3>>()
        .autocast(1);
    r.add(
         "conv1d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, str padding=\"valid\", "
         "int[1] dilation=1, int groups=1) -> Tensor",
         "f")
        .kernel<conv_padding<1>>()
        .autocast(1);
    r.add(
         "conv2d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, str padding=\"valid\", "
         "int[2] dilation=1, int groups=1) -> Tensor",
         "f")
        .kernel<conv_padding<2>>()
        .autocast(1);
    r.add(
         "conv3d.padding(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, str padding=\"valid\", "
         "int[3] dilation=1, int groups=1) -> Tensor",
         "f")
        .kernel<conv_padding<3>>()
        .autocast(1);
    r.add(
         "conv_transpose1d(Tensor input, Tensor weight, Tensor? bias=None, int[1] stride=1, int[1] padding=0, int[1] "
         "output_padding=0, int groups=1, int[1] dilation=1) -> Tensor",
         "f")
        .kernel<conv_transposed<1>>()
        .autocast(1);
    r.add(
         "conv_transpose2d.input(Tensor input, Tensor weight, Tensor? bias=None, int[2] stride=1, int[2] padding=0, "
         "int[2] output_padding=0, int groups=1, int[2] dilation=1) -> Tensor",
         "f")
        .kernel<conv_transposed<2>>()
        .autocast(1);
    r.add(
         "conv_transpose3d.input(Tensor input, Tensor weight, Tensor? bias=None, int[3] stride=1, int[3] padding=0, "
         "int[3] output_padding=0, int groups=1, int[3] dilation=1) -> Tensor",
         "f")
        .kernel<conv_transposed<3>>()
        .autocast(1);
    r.add("conv_tbc(Tensor self, Tensor weight, Tensor bias, int pad=0) -> Tensor", "f")
        .kernel<conv_tbc>()
        .shown_as("ConvTbcBackward0");
});

}  // namespace
}  // namespace fb
