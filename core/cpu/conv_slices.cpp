// Convolutions of volumes that look at one slice at a time (kernels 1 x k x k): every slice is a picture.
#include <cstring>
#include "base/parallel.h"
#include "cpu/conv_recast.h"
#include "cpu/images.h"

namespace fb::cpu {
namespace {

Dims of_slices(IntSpan s) { return {s[0] * s[2], s[1], s[3], s[4]}; }
ConvShape slices(const ConvShape& s) {
    const auto rest = [](const Dims& d) { return Dims{d[1], d[2]}; };
    return {of_slices(s.in),  Dims{s.weight[0], s.weight[1], s.weight[3], s.weight[4]},
            of_slices(s.out), rest(s.stride),
            rest(s.padding),  rest(s.dilation),
            s.groups};
}

// Blocks of channels lie outside of the slices in a volume, inside of them in a picture; `volume` has the sizes of one.
void copy_slices(const Image& volume, const Image& pictures, bool apart) {
    const Pictures all(volume);
    const int64_t depth = volume.sizes[2], blocks = all.count / volume.sizes[0],
                  size = volume.sizes[3] * volume.sizes[4] * all.width;
    float *v = static_cast<float*>(volume.data), *p = static_cast<float*>(pictures.data);
    parallel_for(all.count * depth, std::max<int64_t>(1, 32768 / size), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
            const int64_t d = i % depth, b = i / depth % blocks, n = i / depth / blocks;
            float *from = v + i * size, *to = p + ((n * depth + d) * blocks + b) * size;
            std::memcpy(apart ? to : from, apart ? from : to, size_t(size) * sizeof(float));
        }
    });
}
Tensor apart(const Tensor& t0) {
    const Tensor t = image_in(t0, preferred_order()),
                 r = make_hidden(of_slices(t.sizes()), DType::f32, preferred_order());
    copy_slices(*hidden_image(t), *hidden_image(r), true);
    return r;
}
Tensor together(const Tensor& t0, IntSpan sizes) {
    const Tensor t = image_in(t0, preferred_order()), r = make_hidden(sizes, DType::f32, preferred_order());
    copy_slices(*hidden_image(r), *hidden_image(t), false);
    return r;
}
Tensor shaped(const Tensor& w, const Dims& sizes) {
    const Tensor r = shallow_copy(w, false);
    r->set_shape(sizes, contiguous_strides(sizes));
    return r;
}

}  // namespace

bool slices_fit(const ConvShape& s, ConvPass pass, DType t, bool channels_last) {
    return s.spatial_dims() == 3 && s.weight[2] == 1 && s.stride[0] == 1 && s.padding[0] == 0 && t == DType::f32 &&
           !channels_last && winograd_fits(slices(s), pass, t, false);
}
Tensor slices_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    const ConvShape of = slices(s);
    return together(conv_forward(of, apart(x), shaped(w, of.weight), bias, false), s.out);
}
Tensor slices_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    const ConvShape of = slices(s);
    return together(conv_data_gradient(of, apart(g), shaped(w, of.weight), false), s.in);
}
Tensor slices_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g, Tensor* bias) {
    return shaped(conv_weight_gradient(slices(s), apart(x), apart(g), bias), s.weight);
}

}  // namespace fb::cpu
