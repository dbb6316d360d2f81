// Dilated convolutions of stride 1: the pixels d apart from each other make a picture of their own (a phase), and on
// each of the phases the kernel's taps are neighbours, so Winograd's filtering serves them.
#include <cstring>
#include "base/parallel.h"
#include "cpu/conv_recast.h"
#include "cpu/images.h"

namespace fb::cpu {
namespace {

// One dimension is the last of two.
struct Phases {
    int64_t step_y = 1, step_x;
    explicit Phases(const ConvShape& s) : step_x(s.dilation.back()) {
        if (s.spatial_dims() == 2) step_y = s.dilation[0];
    }
    int64_t count() const { return step_y * step_x; }
    Dims sizes(IntSpan of) const {  // of a picture's phases
        Dims r(of);
        r[0] *= count();
        r.back() = (r.back() + step_x - 1) / step_x;
        if (r.size() == 4) r[2] = (r[2] + step_y - 1) / step_y;
        return r;
    }
    ConvShape shape(const ConvShape& s) const {
        ConvShape r{sizes(s.in), s.weight, sizes(s.out), s.stride, s.padding, s.dilation, s.groups};
        for (size_t d = 0; d < s.dilation.size(); ++d) {
            r.padding[d] /= s.dilation[d];
            r.dilation[d] = 1;
        }
        return r;
    }
    // f(pixel of the whole picture, pixel of the phases or -1 beyond the edge), in order of the phases
    template <class F>
    void walk(IntSpan whole, int64_t n, int64_t blocks, int64_t b, F&& f) const {
        const int64_t width = whole.back(), height = whole.size() == 4 ? whole[2] : 1,
                      columns = (width + step_x - 1) / step_x, rows = (height + step_y - 1) / step_y;
        for (int64_t p = 0; p < count(); ++p) {
            int64_t to = ((n * count() + p) * blocks + b) * rows * columns;
            for (int64_t y = p / step_x; y < rows * step_y; y += step_y)
                for (int64_t x = p % step_x; x < columns * step_x; x += step_x, ++to)
                    f(y < height && x < width ? ((n * blocks + b) * height + y) * width + x : -1, to);
        }
    }
    // A block of channels of a pixel at a time.
    template <class F>
    void each(IntSpan whole, int64_t pictures, F&& f) const {
        const int64_t blocks = pictures / whole[0], size = product(whole.subspan(2));
        parallel_for(pictures, std::max<int64_t>(1, 2048 / size), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) walk(whole, i / blocks, blocks, i % blocks, f);
        });
    }
};

constexpr int64_t kMostWidth = 16;

Tensor spread(const Phases& p, const Tensor& t0) {
    const Order order = preferred_order();
    const Tensor t = image_in(t0, order), r = make_hidden(p.sizes(t.sizes()), DType::f32, order);
    const Pictures from(*hidden_image(t)), to(*hidden_image(r));
    const int64_t width = from.width;
    const size_t bytes = size_t(width) * sizeof(float);
    p.each(t.sizes(), from.count, [&](int64_t whole, int64_t phase) {
        float* pixel = to.as<float>() + phase * width;
        if (whole < 0) std::memset(pixel, 0, bytes);
        else if (width == kMostWidth) std::memcpy(pixel, from.as<float>() + whole * width, kMostWidth * sizeof(float));
        else std::memcpy(pixel, from.as<float>() + whole * width, bytes);
    });
    return r;
}
Tensor joined(const Phases& p, const Tensor& t0, IntSpan sizes) {
    const Order order = preferred_order();
    const Tensor t = image_in(t0, order), r = make_hidden(sizes, DType::f32, order);
    const Pictures from(*hidden_image(t)), to(*hidden_image(r));
    const int64_t width = from.width;
    const size_t bytes = size_t(width) * sizeof(float);
    p.each(sizes, to.count, [&](int64_t whole, int64_t phase) {
        if (whole < 0) return;
        const float* pixel = from.as<float>() + phase * width;
        if (width == kMostWidth) std::memcpy(to.as<float>() + whole * width, pixel, kMostWidth * sizeof(float));
        else std::memcpy(to.as<float>() + whole * width, pixel, bytes);
    });
    return r;
}

}  // namespace

bool phases_fit(const ConvShape& s, ConvPass pass, DType t, bool channels_last) {
    const int64_t n = s.spatial_dims();
    if (t != DType::f32 || channels_last || n > 2) return false;
    bool apart = false;
    for (size_t d = 0; d < size_t(n); ++d) {
        if (s.stride[d] != 1 || s.padding[d] % s.dilation[d]) return false;
        apart = apart || s.dilation[d] > 1;
    }
    return apart && winograd_fits(Phases(s).shape(s), pass, t, false);
}
Tensor phases_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    const Phases p(s);
    return joined(p, conv_forward(p.shape(s), spread(p, x), w, bias, false), s.out);
}
Tensor phases_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling) {
    const Phases p(s);
    const Tensor r = conv_scaled(p.shape(s), spread(p, x), w, scaling, Tensor());
    return r.defined() ? joined(p, r, s.out) : r;
}
Tensor phases_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    const Phases p(s);
    return joined(p, conv_data_gradient(p.shape(s), spread(p, g), w, false), s.in);
}
Tensor phases_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias) {
    const Phases p(s);
    return conv_weight_gradient(p.shape(s), spread(p, x), spread(p, g), bias);
}

}  // namespace fb::cpu
