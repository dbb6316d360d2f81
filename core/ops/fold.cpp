// Windows of an image as columns and back; channels to pixels and back.
#include "autograd/back.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

void check_pair(IntSpan v, const char* name) {
    check(v.size() == 2, "It is expected ", name, " equals to 2, but got size ", int64_t(v.size()));
}

struct Windows {
    int64_t kh, kw, dh, dw, ph, pw, sh, sw, oh, ow;
    Windows(int64_t h, int64_t w, IntSpan k, IntSpan d, IntSpan p, IntSpan s) {
        check_pair(k, "kernel_size");
        check_pair(d, "dilation");
        check_pair(p, "padding");
        check_pair(s, "stride");
        kh = k[0], kw = k[1], dh = d[0], dw = d[1], ph = p[0], pw = p[1], sh = s[0], sw = s[1];
        check(kh > 0 && kw > 0, "kernel size should be greater than zero, but got kernel_height: ", kh,
              " kernel_width: ", kw);
        check(dh > 0 && dw > 0, "dilation should be greater than zero, but got dilation_height: ", dh,
              " dilation_width: ", dw);
        check(ph >= 0 && pw >= 0, "padding should be non-negative, but got pad_height: ", ph, " pad_width: ", pw);
        check(sh > 0 && sw > 0, "stride should be greater than zero, but got stride_height: ", sh,
              " stride_width: ", sw);
        int64_t area, extent;
        check(!__builtin_mul_overflow(kh, kw, &area) &&
                  !__builtin_mul_overflow(std::max(dh, dw), std::max(kh, kw), &extent),
              "Given kernel_width = ", kw, " and kernel_height = ", kh,
              " the product of kernel_width and kernel_height overflowed.");
        oh = (h + 2 * ph - dh * (kh - 1) - 1) / sh + 1;
        ow = (w + 2 * pw - dw * (kw - 1) - 1) / sw + 1;
        if (h + 2 * ph < dh * (kh - 1) + 1) oh = 0;
        if (w + 2 * pw < dw * (kw - 1) + 1) ow = 0;
    }
};

// Walks all (column entry, pixel) pairs of one image and calls f(column index, pixel index) where the pixel exists.
template <class F>
void each_pair(const Windows& v, int64_t channels, int64_t h, int64_t w, F&& f) {
    const int64_t per = v.oh * v.ow;
    for (int64_t c = 0; c < channels; ++c)
        for (int64_t i = 0; i < v.kh; ++i)
            for (int64_t j = 0; j < v.kw; ++j) {
                const int64_t row = ((c * v.kh + i) * v.kw + j) * per;
                for (int64_t y = 0; y < v.oh; ++y) {
                    const int64_t py = y * v.sh - v.ph + i * v.dh;
                    if (py < 0 || py >= h) continue;
                    for (int64_t x = 0; x < v.ow; ++x) {
                        const int64_t px = x * v.sw - v.pw + j * v.dw;
                        if (px >= 0 && px < w) f(row + y * v.ow + x, (c * h + py) * w + px);
                    }
                }
            }
}

Tensor im2col(const Tensor& x0, IntSpan k, IntSpan d, IntSpan p, IntSpan s) {
    check((x0.dim() == 3 && x0.numel()) || (x0.dim() == 4 && x0.size(1) && x0.size(2) && x0.size(3)),
          "Expected 3D or 4D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, "
          "but got: ",
          x0.sizes());
    if (is_integral(x0.dtype(), false)) no_kernel("im2col_out_cpu", x0.dtype());
    const bool single = x0.dim() == 3;
    const Tensor x = dense(single ? make_view(x0, op<"unsqueeze">(x0.detach(), 0).sizes(),
                                              op<"unsqueeze">(x0.detach(), 0).strides(), x0->offset)
                                  : x0);
    const int64_t n = x.size(0), c = x.size(1), h = x.size(2), w = x.size(3);
    const Windows v(h, w, k, d, p, s);
    check(v.oh >= 1 && v.ow >= 1, "Given input with spatial size (", h, ", ", w, "), kernel_size=(", v.kh, ", ", v.kw,
          "), dilation=(", v.dh, ", ", v.dw, "), padding=(", v.ph, ", ", v.pw, "), stride=(", v.sh, ", ", v.sw,
          "), calculated shape of the array of sliding blocks as (", v.oh, ", ", v.ow,
          "), but its components must be at least one.");
    const int64_t rows = c * v.kh * v.kw, columns = v.oh * v.ow;
    Tensor r = empty(single ? Dims{rows, columns} : Dims{n, rows, columns}, x.dtype(), x.device());
    fill(r, 0);
    if (r.is_meta()) return r;
    by_item_size(itemsize(x.dtype()), [&](auto z) {
        using T = decltype(z);
        parallel_for(n, 1, [&](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                const T* from = reinterpret_cast<const T*>(bytes(x)) + b * c * h * w;
                T* to = reinterpret_cast<T*>(bytes(r)) + b * rows * columns;
                each_pair(v, c, h, w, [&](int64_t column, int64_t pixel) { to[column] = from[pixel]; });
            }
        });
    });
    return r;
}
Tensor col2im(const Tensor& x0, IntSpan size, IntSpan k, IntSpan d, IntSpan p, IntSpan s) {
    check(x0.dim() == 2 || x0.dim() == 3,
          "Expected 2D or 3D (batch mode) tensor for input with possibly 0 batch size and non-zero dimensions for "
          "input, but got: ",
          x0.sizes());
    check_pair(size, "output_size");
    const bool single = x0.dim() == 2;
    const Tensor x = dense(x0);
    const int64_t n = single ? 1 : x.size(0), rows = x.size(-2), h = size[0], w = size[1];
    const Windows v(h, w, k, d, p, s);
    check(rows % (v.kh * v.kw) == 0,
          "Expected size of input's dimension 1 to be divisible by the product of kernel_size, but got input.size(1)=",
          rows, " and kernel_size=(", v.kh, ", ", v.kw, ").");
    check(x.size(-1) == v.oh * v.ow, "Given output_size=(", h, ", ", w, "), kernel_size=(", v.kh, ", ", v.kw,
          "), dilation=(", v.dh, ", ", v.dw, "), padding=(", v.ph, ", ", v.pw, "), stride=(", v.sh, ", ", v.sw,
          "), expected size of input's dimension 2 to match the calculated number of sliding blocks ", v.oh, " * ",
          v.ow, " = ", v.oh * v.ow, ", but got input.size(2)=", x.size(-1), ".");
    check(v.oh >= 1 && v.ow >= 1, "calculated shape of the array of sliding blocks is (", v.oh, ", ", v.ow,
          "), which is too small (non-positive)");
    if (is_integral(x.dtype(), false)) no_kernel("col2im_out_cpu", x.dtype());
    const int64_t c = rows / (v.kh * v.kw);
    Tensor r = empty(single ? Dims{c, h, w} : Dims{n, c, h, w}, x.dtype(), x.device());
    fill(r, 0);
    if (r.is_meta()) return r;
    visit_dtype(x.dtype(), [&](auto z) {
        using T = decltype(z);
        parallel_for(n, 1, [&](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                const T* from = x.data<T>() + b * rows * v.oh * v.ow;
                T* to = r.data<T>() + b * c * h * w;
                each_pair(v, c, h, w, [&](int64_t column, int64_t pixel) {
                    if constexpr (std::is_same_v<T, bool>) to[pixel] = to[pixel] || from[column];
                    else to[pixel] = T(to[pixel] + from[column]);
                });
            }
        });
    });
    return r;
}

// The elements of `x`, whose dimensions are split and permuted and joined again to `sizes`, in the memory order of `x`.
Tensor rearranged(const Tensor& x, IntSpan split, IntSpan order, IntSpan sizes) {
    const Tensor from = op<"permute">(op<"reshape">(x, split), order);
    const bool last = !x.is_contiguous() && is_channels_last(x.sizes(), x.strides());
    const Tensor r = last ? empty_strided(sizes, channels_last_strides(sizes), x.dtype(), x.device())
                          : empty(sizes, x.dtype(), x.device());
    if (!r.is_meta() && r.numel()) copy_data(op<"view">(r, from.sizes()), from);
    return r;
}
// [.., c·r², h, w] <-> [.., c, h·r, w·r] (Shi et al., "Real-time single image and video super-resolution …", 2016)
Tensor pixel_shuffle(const Tensor& x, int64_t f) {
    check(x.dim() >= 3, "pixel_shuffle expects input to have at least 3 dimensions, but got input with ", x.dim(),
          " dimension(s)");
    check(f > 0, "pixel_shuffle expects a positive upscale_factor, but got ", f);
    check(f < (1 << 20), "pixel_shuffle: upscale_factor ", f, " is too large for any tensor");
    const int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
    check(c % (f * f) == 0,
          "pixel_shuffle expects its input's 'channel' dimension to be divisible by the square of upscale_factor, but "
          "input.size(-3)=",
          c, " is not divisible by ", f * f);
    Dims lead(IntSpan(x.sizes()).first(size_t(x.dim() - 3))), split = lead, order, out = lead;
    for (int64_t s : {c / (f * f), f, f, h, w}) split.push_back(s);
    const int64_t n = int64_t(lead.size());
    for (int64_t d = 0; d < n; ++d) order.push_back(d);
    for (int64_t d : {0, 3, 1, 4, 2}) order.push_back(n + d);
    for (int64_t s : {c / (f * f), h * f, w * f}) out.push_back(s);
    return rearranged(x, split, order, out);
}
Tensor pixel_unshuffle(const Tensor& x, int64_t f) {
    check(x.dim() >= 3, "pixel_unshuffle expects input to have at least 3 dimensions, but got input with ", x.dim(),
          " dimension(s)");
    check(f > 0, "pixel_unshuffle expects a positive downscale_factor, but got ", f);
    const int64_t c = x.size(-3), h = x.size(-2), w = x.size(-1);
    check(h % f == 0, "pixel_unshuffle expects height to be divisible by downscale_factor, but input.size(-2)=", h,
          " is not divisible by ", f);
    check(w % f == 0, "pixel_unshuffle expects width to be divisible by downscale_factor, but input.size(-1)=", w,
          " is not divisible by ", f);
    Dims lead(IntSpan(x.sizes()).first(size_t(x.dim() - 3))), split = lead, order, out = lead;
    for (int64_t s : {c, h / f, f, w / f, f}) split.push_back(s);
    const int64_t n = int64_t(lead.size());
    for (int64_t d = 0; d < n; ++d) order.push_back(d);
    for (int64_t d : {0, 2, 4, 1, 3}) order.push_back(n + d);
    for (int64_t s : {c * f * f, h / f, w / f}) out.push_back(s);
    return rearranged(x, split, order, out);
}
Tensor channel_shuffle(const Tensor& x, int64_t groups) {
    check(x.dim() > 2, "channel_shuffle expects input with > 2 dims, but got input with sizes ", x.sizes());
    check(groups > 0, "Number of groups to divide channels in must be positive. Value of groups:", groups);
    const int64_t c = x.size(1);
    check(c % groups == 0, "Number of channels must be divisible by groups. Got ", c, " channels and ", groups,
          " groups.");
    if (!x.numel()) return op<"alias">(x);
    const Dims order{0, 2, 1, 3};
    return rearranged(x, Dims{x.size(0), groups, c / groups, x.numel() / (x.size(0) * c)}, order, x.sizes());
}

const Family windows([](Registry& r) {
    r.add("nn::im2col(Tensor self, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] stride) -> Tensor", "fo")
        .kernel<im2col>()
        .grad("self", "", [](Back& b) {
            const Dims& in = b.sizes(0);
            return op<"nn::col2im">(b.g, Dims{in[in.size() - 2], in.back()}, b.ints(1), b.ints(2), b.ints(3),
                                    b.ints(4));
        });
    r.add(
         "nn::col2im(Tensor self, int[2] output_size, int[2] kernel_size, int[2] dilation, int[2] padding, int[2] "
         "stride) -> Tensor",
         "fo")
        .kernel<col2im>()
        .grad("self", "", [](Back& b) { return op<"nn::im2col">(b.g, b.ints(2), b.ints(3), b.ints(4), b.ints(5)); });
    r.add("pixel_shuffle(Tensor self, int upscale_factor) -> Tensor", "f")
        .kernel<pixel_shuffle>()
        .grad("self", "", [](Back& b) { return op<"pixel_unshuffle">(b.g, b.integer(1)); });
    r.add("pixel_unshuffle(Tensor self, int downscale_factor) -> Tensor", "f")
        .kernel<pixel_unshuffle>()
        .grad("self", "", [](Back& b) { return op<"pixel_shuffle">(b.g, b.integer(1)); });
    r.add("channel_shuffle(Tensor self, int groups) -> Tensor", "f")
        .kernel<channel_shuffle>()
        .grad("self", "", [](Back& b) { return op<"channel_shuffle">(b.g, b.sizes(0)[1] / b.integer(1)); });
    r.add("native_channel_shuffle(Tensor self, int groups) -> Tensor", "f")
        .kernel<channel_shuffle>()
        .grad("self", "", [](Back& b) { return op<"native_channel_shuffle">(b.g, b.sizes(0)[1] / b.integer(1)); });
});

}  // namespace
}  // namespace fb
