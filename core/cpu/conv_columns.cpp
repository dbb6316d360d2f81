// Convolutions as matrix products over columns: for the types no library serves, and where columns are no more numbers
// than the picture.
#include "base/parallel.h"
#include "cpu/conv_ways.h"
#include "cpu/dnnl.h"
#include "cpu/gemm.h"
#include "cpu/images.h"
#include "cpu/iter.h"
#include "cpu/visit.h"

namespace fb::cpu {
namespace {

// The columns of one sample and group: row (c, k…) holds what that weight meets at every output position.
struct Columns {
    const ConvShape& s;
    int64_t in[3] = {1, 1, 1}, out[3] = {1, 1, 1}, k[3] = {1, 1, 1}, stride[3] = {1, 1, 1}, pad[3] = {0, 0, 0},
            dil[3] = {1, 1, 1};
    int64_t channels, rows, positions, in_size;

    explicit Columns(const ConvShape& shape) : s(shape) {
        const size_t n = size_t(s.spatial_dims()), skip = 3 - n;
        for (size_t d = 0; d < n; ++d) {
            in[skip + d] = s.in[d + 2];
            out[skip + d] = s.out[d + 2];
            k[skip + d] = s.weight[d + 2];
            stride[skip + d] = s.stride[d];
            pad[skip + d] = s.padding[d];
            dil[skip + d] = s.dilation[d];
        }
        channels = s.in[1] / s.groups;
        rows = channels * k[0] * k[1] * k[2];
        positions = out[0] * out[1] * out[2];
        in_size = in[0] * in[1] * in[2];
    }
    // inside(elements of a column, image index of the first, how many), outside(elements, how many in the padding)
    template <class T, class I, class O>
    void walk(T* columns, I&& inside, O&& outside) const {
        for (int64_t r = 0; r < rows; ++r) {
            const int64_t x = r % k[2], y = r / k[2] % k[1], z = r / (k[2] * k[1]) % k[0], c = r / (k[2] * k[1] * k[0]);
            T* p = columns + r * positions;
            const int64_t first = x * dil[2] - pad[2],
                          begin = std::min(out[2], first < 0 ? (stride[2] - 1 - first) / stride[2] : 0),
                          end = std::clamp(in[2] > first ? (in[2] - 1 - first) / stride[2] + 1 : 0, begin, out[2]);
            for (int64_t oz = 0; oz < out[0]; ++oz)
                for (int64_t oy = 0; oy < out[1]; ++oy, p += out[2]) {
                    const int64_t iz = oz * stride[0] - pad[0] + z * dil[0], iy = oy * stride[1] - pad[1] + y * dil[1];
                    if (iz < 0 || iz >= in[0] || iy < 0 || iy >= in[1]) {
                        outside(p, out[2]);
                        continue;
                    }
                    outside(p, begin);
                    inside(p + begin, c * in_size + (iz * in[1] + iy) * in[2] + begin * stride[2] + first, end - begin);
                    outside(p + end, out[2] - end);
                }
        }
    }
    template <class T>
    void gather(const T* image, T* columns) const {
        walk(
            columns,
            [&](T* to, int64_t i, int64_t n) {
                if (stride[2] == 1) std::copy_n(image + i, n, to);
                else
                    for (int64_t j = 0; j < n; ++j) to[j] = image[i + j * stride[2]];
            },
            [](T* to, int64_t n) { std::fill_n(to, n, T(0)); });
    }
    template <class T>
    void scatter(T* columns, T* image) const {
        walk(
            columns,
            [&](const T* from, int64_t i, int64_t n) {
                for (int64_t j = 0; j < n; ++j, i += stride[2]) image[i] = T(image[i] + from[j]);
            },
            [](const T*, int64_t) {});
    }
};

// Runs body(sample, group, columns) with room for the columns. Samples go to threads, unless they add to one result.
template <class T, class F>
void each_group(const ConvShape& s, const Columns& c, bool parallel, F&& body) {
    const auto run = [&](int64_t begin, int64_t end) {
        const dnn::Scratch room(size_t(c.rows * c.positions) * sizeof(T));
        for (int64_t n = begin; n < end; ++n)
            for (int64_t g = 0; g < s.groups; ++g) body(n, g, room.as<T>());
    };
    const bool many = parallel && conv_work(s) > 1e5;
    if (many) parallel_for(s.in[0], 1, run);
    else run(0, s.in[0]);
}

template <class T>
void forward_loops(const ConvShape& s, const T* x, const T* w, const T* bias, T* out) {
    const Columns c(s);
    const int64_t o = s.weight[0] / s.groups;
    constexpr DType type = dtype_of<T>::value;
    each_group<T>(s, c, true, [&](int64_t n, int64_t g, T* columns) {
        c.gather(x + (n * s.in[1] + g * c.channels) * c.in_size, columns);
        T* to = out + (n * s.weight[0] + g * o) * c.positions;
        if (bias)
            for (int64_t i = 0; i < o; ++i) std::fill_n(to + i * c.positions, c.positions, bias[g * o + i]);
        gemm(type, o, c.positions, c.rows, 1, {w + g * o * c.rows, c.rows, 1}, {columns, c.positions, 1}, bias ? 1 : 0,
             to, c.positions);
    });
}
template <class T>
void data_loops(const ConvShape& s, const T* grad, const T* w, T* dx) {
    const Columns c(s);
    const int64_t o = s.weight[0] / s.groups;
    std::fill_n(dx, product(s.in), T(0));
    each_group<T>(s, c, true, [&](int64_t n, int64_t g, T* columns) {
        gemm(dtype_of<T>::value, c.rows, c.positions, o, 1, {w + g * o * c.rows, 1, c.rows},
             {grad + (n * s.weight[0] + g * o) * c.positions, c.positions, 1}, 0, columns, c.positions);
        c.scatter(columns, dx + (n * s.in[1] + g * c.channels) * c.in_size);
    });
}
template <class T>
void weight_loops(const ConvShape& s, const T* x, const T* grad, T* dw, T* db) {
    const Columns c(s);
    const int64_t o = s.weight[0] / s.groups;
    std::fill_n(dw, product(s.weight), T(0));
    each_group<T>(s, c, false, [&](int64_t n, int64_t g, T* columns) {
        c.gather(x + (n * s.in[1] + g * c.channels) * c.in_size, columns);
        gemm(dtype_of<T>::value, o, c.rows, c.positions, 1,
             {grad + (n * s.weight[0] + g * o) * c.positions, c.positions, 1}, {columns, 1, c.positions}, 1,
             dw + g * o * c.rows, c.rows);
    });
    if (!db) return;
    for (int64_t i = 0; i < s.weight[0]; ++i) {
        T sum = T(0);
        for (int64_t n = 0; n < s.in[0]; ++n)
            for (int64_t p = 0; p < c.positions; ++p) sum = T(sum + grad[(n * s.weight[0] + i) * c.positions + p]);
        db[i] = sum;
    }
}

// Kinds of numbers that are multiplied here; halves are floats by then.
template <class F>
void visit_products(DType t, const char* name, F&& f) {
    if (!visit_one_of<float, double, C64, C128>(t, f)) no_kernel(name, t);
}
template <class F>
void visit_inputs(DType t, F&& f) {
    if (!visit_one_of<uint8_t, int8_t, int16_t, int32_t, int64_t>(t, f)) visit_products(t, "slow_conv2d_cpu", f);
}

}  // namespace

Tensor columns_forward(const ConvShape& s, const Tensor& x0, const Tensor& w, const Tensor& b) {
    const Tensor x = dense(x0), r = empty(s.out, x.dtype());
    visit_inputs(x.dtype(), [&]<class T>(T) {
        forward_loops<T>(s, x.data<T>(), w.data<T>(), b.defined() ? b.data<T>() : nullptr, r.data<T>());
    });
    return r;
}
Tensor columns_data_gradient(const ConvShape& s, const Tensor& g0, const Tensor& w) {
    const Tensor g = dense(g0), r = empty(s.in, g.dtype());
    const auto loops = [&]<class T>(T) { data_loops<T>(s, g.data<T>(), w.data<T>(), r.data<T>()); };
    if (g.dtype() == DType::i64) loops(int64_t{});  // of transposed convolutions
    else visit_products(g.dtype(), "slow_conv2d_cpu_grad_input", loops);
    return r;
}
Tensor columns_weight_gradient(const ConvShape& s, const Tensor& x0, const Tensor& g0, Tensor* bias) {
    const Tensor x = dense(x0), g = dense(g0), r = empty(s.weight, x.dtype());
    if (bias) *bias = empty(Dims{s.weight[0]}, x.dtype());
    visit_products(x.dtype(), "slow_conv2d_cpu_grad_weight", [&]<class T>(T) {
        weight_loops<T>(s, x.data<T>(), g.data<T>(), r.data<T>(), bias ? bias->data<T>() : nullptr);
    });
    return r;
}

// Every number is in one window at most: the columns are the picture in another order.
bool patches_fit(const ConvShape& s, const Tensor& x, bool channels_last) {
    if (x.dtype() != DType::f32 || channels_last || s.groups != 1 || s.spatial_dims() != 2 || !x.is_contiguous() ||
        hidden_image(x))
        return false;
    for (size_t i = 0; i < 2; ++i)
        if (s.stride[i] != s.weight[i + 2] || s.padding[i] != 0 || s.dilation[i] != 1) return false;
    return s.weight[2] * s.weight[3] >= 16 && s.in[1] <= 8 && s.out[2] * s.out[3] >= 16;
}
Tensor patches_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    const int64_t n = s.in[0], c = s.in[1], ky = s.weight[2], kx = s.weight[3], high = s.out[2], wide = s.out[3],
                  rows = c * ky * kx, positions = high * wide, line = s.in[3], plane = s.in[2] * line,
                  outputs = s.out[1];
    const Tensor columns = empty(Dims{n, c, ky, kx, high, wide}, DType::f32), r = empty(s.out, DType::f32);
    copy_data(columns, make_view(x, columns.sizes(), Dims{c * plane, plane, line, 1, ky * line, kx}, x->offset));
    if (bias.defined()) copy_data(r, make_view(bias, r.sizes(), Dims{0, bias.strides()[0], 0, 0}, bias->offset));
    batched_gemm(DType::f32, n, outputs, positions, rows, 1, {w.data(), rows, 1}, {columns.data(), positions, 1},
                 bias.defined() ? 1 : 0, r.data(), positions, {0, rows * positions, outputs * positions});
    return r;
}

}  // namespace fb::cpu
