// Quantisation acted out in floating point; numbers as bytes and back.
#include "base/parallel.h"
#include "cpu/byte_products.h"
#include "cpu/quantize.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace formula;

void check_range(int64_t lo, int64_t hi) {
    check(lo <= hi, "`quant_min` should be less than or         equal to `quant_max`.");
}

bool is_fractional(const Value& zero) { return zero.is_tensor() && is_floating(zero.tensor().dtype()); }
// The quantised level of each element, not yet clamped. A zero that is no whole number is added before rounding.
Tensor level(const Tensor& x, const Value& inverse, const Value& zero) {
    const Tensor scaled = op<"mul">(x, inverse);
    if (is_fractional(zero)) return op<"round">(op<"add">(scaled, zero));
    return op<"add">(op<"round">(scaled), zero);
}
Tensor round_trip(const Tensor& x, const Value& scale, const Value& inverse, const Value& zero, int64_t lo,
                  int64_t hi) {
    const Tensor wide = is_low_precision(x.dtype()) ? x.to(DType::f32) : x;
    const Tensor bounds[] = {scalar_tensor(lo, wide.dtype()), scalar_tensor(hi, wide.dtype())};
    const Tensor q = op<"fmin">(op<"fmax">(level(wide, inverse, zero), bounds[0]), bounds[1]);
    // Differences of whole numbers are exact in float; others PyTorch takes in double.
    return op<"mul">(op<"sub">(is_fractional(zero) ? q.to(DType::f64) : q, zero), scale).to(x.dtype());
}
Tensor inside(Back& b, const Value& inverse, const Value& zero, int64_t lo, int64_t hi) {
    const Tensor q = level(b.arg(0), inverse, zero);
    return b.g * ((q >= Value(lo)) & (q <= Value(hi)));
}

Tensor per_tensor(const Tensor& x, double scale, int64_t zero, int64_t lo, int64_t hi) {
    check_range(lo, hi);
    check(zero >= lo && zero <= hi, "`zero_point` must be between `quant_min` and `quant_max`.");
    if (!is_floating(x.dtype())) cpu::no_kernel("fake_quantize_tensor_cachemask_kernel_type_handling", x.dtype());
    return round_trip(x, double(float(scale)), double(1 / float(scale)), zero, lo, hi);
}
Tensor per_tensor_q(const Tensor& x, const Tensor& scale, const Tensor& zero, int64_t lo, int64_t hi) {
    check_range(lo, hi);
    return round_trip(x, scale.item().real(), double(1 / float(scale.item().real())), zero.item(), lo, hi);
}
Tensor along(const Tensor& v, const Tensor& x, int64_t axis) {  // one value for each index of `axis`
    Dims shape(size_t(x.dim()), 1);
    shape[size_t(wrap_dim(axis, x.dim()))] = v.numel();
    return op<"reshape">(v, shape);
}
Tensor per_channel(const Tensor& x, const Tensor& scale, const Tensor& zero, int64_t axis, int64_t lo, int64_t hi) {
    check(scale.dtype() == DType::f32 || scale.dtype() == DType::bf16, "Scale must be Float or BFloat16, found ",
          scalar_name(scale.dtype()));
    check(zero.dtype() == DType::i32 || zero.dtype() == DType::f32 || zero.dtype() == DType::f16,
          "Zero-point must be Int32, Float or Half, found ", scalar_name(zero.dtype()));
    check(scale.dim() == 1, "scale should be a 1-D tensor");
    check(zero.dim() == 1, "zero point should be a 1-D tensor");
    check(scale.numel() == zero.numel(), "scale and zero-point need to have the same dimensions");
    check_range(lo, hi);
    const int64_t d = wrap_dim(axis, x.dim());
    check(scale.numel() == x.size(d), "dimensions of scale and zero-point are not consistent with input tensor");
    if (zero.dtype() == DType::i32)
        check(!op<"any">((zero < Value(lo)) | (zero > Value(hi))).item().integer(),
              "`zero_point` must be between `quant_min` and `quant_max`.");
    if (!is_floating(x.dtype())) cpu::no_kernel("fake_quantize_channel_cachemask_cpu_type_handling", x.dtype());
    const Tensor s = along(scale, x, d), z = along(zero, x, d);
    return round_trip(x, s, op<"reciprocal">(s), z, lo, hi);
}

// ---------------------------------------------------------------- bytes (see cpu/quantize.h)
size_t sign_of(DType t) {
    check(t == DType::u8 || t == DType::i8, "quantized tensors of bytes lie in uint8 or int8, not ", scalar_name(t));
    return t == DType::i8;
}
Tensor levels(const Tensor& x, double factor, int64_t zero, int64_t low, int64_t high, bool apart) {
    check(x.dtype() == DType::f32, "levels are made of float32, not ", scalar_name(x.dtype()));
    const double s[] = {factor, double(zero), double(low), double(high)};
    const auto& all = cpu::quantize_loops();
    const Operand in[] = {x};
    const bool sign = low < 0;
    return cpu::elementwise((apart ? all.levels_apart : all.levels)[sign], DType::f32, sign ? DType::i8 : DType::u8, in,
                            {}, s);
}
Tensor numbers(const Tensor& x, double factor, double shift, bool once) {
    const double s[] = {factor, shift};
    const auto& all = cpu::quantize_loops();
    const Operand in[] = {x};
    return cpu::elementwise((once ? all.numbers_once : all.numbers)[sign_of(x.dtype())], x.dtype(), DType::f32, in, {},
                            s);
}
Tensor pair(const Tensor& a, const Tensor& b, double factor_a, double shift_a, double factor_b, double shift_b,
            double factor, int64_t zero, bool product, bool relu) {
    check(a.dtype() == b.dtype(), "both quantized tensors must have one dtype");
    const bool sign = sign_of(a.dtype());
    const int64_t low = sign ? -128 : 0;
    const double s[] = {
        factor_a,          shift_a, factor_b, shift_b, factor, double(zero), double(relu ? std::max(zero, low) : low),
        sign ? 127. : 255.};
    const auto& all = cpu::quantize_loops();
    const Operand in[] = {a, b};
    return cpu::elementwise((product ? all.product : all.sum)[sign], a.dtype(), a.dtype(), in, {}, s);
}
Tensor of_sums(const Tensor& sums, const Tensor& bias, const Tensor& factor, int64_t zero, bool relu) {
    const double s[] = {double(zero), double(relu ? std::max<int64_t>(zero, 0) : 0)};
    const Operand in[] = {sums, bias, factor};
    return cpu::elementwise(cpu::quantize_loops().of_sums, DType::f32, DType::u8, in, {}, s);
}

// Weights (outputs, inputs) of 16 bits in the order of cpu/byte_products.h.
Tensor pack(const Tensor& weight) {
    check(weight.dtype() == DType::i16 && weight.dim() == 2, "a matrix of int16 can be packed");
    const int64_t outputs = weight.sizes()[0], depth = weight.sizes()[1], pairs = (depth + 1) / 2,
                  panel = cpu::byte_products().panel, panels = (outputs + panel - 1) / panel;
    const Tensor r = empty(Dims{panels, pairs, panel, 2}, DType::i16, weight.device());
    if (r.is_meta()) return r;
    const Tensor w = cpu::dense(weight);
    const int16_t* from = w.data<int16_t>();
    int16_t* to = r.data<int16_t>();
    for (int64_t j = 0; j < panels * panel; ++j)
        for (int64_t k = 0; k < 2 * pairs; ++k)
            to[((j / panel * pairs + k / 2) * panel + j % panel) * 2 + k % 2] =
                j < outputs && k < depth ? from[j * depth + k] : int16_t(0);
    return r;
}
// Rows of 16-bit numbers times packed weights, into rows of `outputs` floats: exact up to their 24 bits where no sum
// passes 2^31. `fill(from, count, to)` makes `count` rows of 2·pairs numbers.
template <class Fill>
void times_packed(int64_t rows, const Tensor& packed, int64_t outputs, float* to, Fill&& fill) {
    const auto& loops = cpu::byte_products();
    const Tensor w = cpu::dense(packed);
    const int64_t panels = w.sizes()[0], pairs = w.sizes()[1], panel = loops.panel;
    constexpr int64_t kRoom = 1 << 16, kWork = 1 << 17;  // numbers that the second cache holds; products for a thread
    const int64_t block = std::max<int64_t>(6, kRoom / std::max<int64_t>(1, 2 * pairs) / 6 * 6),
                  blocks = (rows + block - 1) / block;
    const auto work = [&](int64_t first_block, int64_t last_block, int64_t first_panel, int64_t last_panel) {
        std::vector<int16_t> wide(size_t(std::min(rows, block) * 2 * pairs));
        for (int64_t from = first_block * block; from < std::min(rows, last_block * block); from += block) {
            const int64_t count = std::min(block, rows - from);
            fill(from, count, wide.data());
            for (int64_t p = first_panel; p < last_panel; ++p)
                loops.multiply(wide.data(), count, pairs, w.data<int16_t>() + p * pairs * panel * 2,
                               to + from * outputs + p * panel, outputs, std::min(panel, outputs - p * panel));
        }
    };
    if (blocks >= 2 * num_threads()) {
        parallel_for(blocks, 1, [&](int64_t begin, int64_t end) { work(begin, end, 0, panels); });
    } else {  // each thread makes all rows, for its outputs
        const int64_t each = std::max<int64_t>(1, rows * pairs * 2 * panel);
        parallel_for(panels, std::max<int64_t>(1, kWork / each),
                     [&](int64_t begin, int64_t end) { work(0, blocks, begin, end); });
    }
}
void check_packed(const Tensor& x, const Tensor& packed, int64_t depth, int64_t outputs) {
    const int64_t panel = cpu::byte_products().panel;
    check(x.dtype() == DType::u8 && packed.dtype() == DType::i16 && packed.dim() == 4 && packed.sizes()[2] == panel &&
              packed.sizes()[3] == 2 && outputs > 0 && (outputs + panel - 1) / panel == packed.sizes()[0] &&
              (depth + 1) / 2 == packed.sizes()[1],
          "these are no bytes and packed weights of one depth: ", x.sizes(), " and ", packed.sizes());
}
// A layer of rows of bytes less `zero`.
Tensor linear(const Tensor& x, int64_t zero, const Tensor& packed, int64_t outputs) {
    check(x.dim() == 2, "rows are expected, not ", x.sizes());
    const int64_t rows = x.sizes()[0], depth = x.sizes()[1], step = (depth + 1) / 2 * 2;
    check_packed(x, packed, depth, outputs);
    const Tensor r = empty(Dims{rows, outputs}, DType::f32, x.device());
    if (r.is_meta()) return r;
    const Tensor d = cpu::dense(x);
    const auto widen = cpu::byte_products().widen;
    times_packed(rows, packed, outputs, r.data<float>(), [&](int64_t from, int64_t count, int16_t* to) {
        if (depth == step) return widen(d.data<uint8_t>() + from * depth, count * depth, int(zero), to);
        for (int64_t i = 0; i < count; ++i, to += step) {
            widen(d.data<uint8_t>() + (from + i) * depth, depth, int(zero), to);
            to[depth] = 0;
        }
    });
    return r;
}
// A convolution of pictures of bytes less `zero`, borders of zeros; weights (outputs, height, width, channels) packed.
Tensor conv(const Tensor& x, int64_t zero, const Tensor& packed, int64_t outputs, IntSpan kernel, IntSpan stride,
            IntSpan padding, IntSpan dilation) {
    check(x.dim() == 4 && kernel.size() == 2 && stride.size() == 2 && padding.size() == 2 && dilation.size() == 2,
          "pictures and a geometry of two dimensions are expected");
    const int64_t channels = x.sizes()[1], depth = kernel[0] * kernel[1] * channels, step = (depth + 1) / 2 * 2;
    int64_t size[2], in[2] = {x.sizes()[2], x.sizes()[3]};
    for (size_t k = 0; k < 2; ++k) {
        check(kernel[k] > 0 && stride[k] > 0 && dilation[k] > 0 && padding[k] >= 0, "this is no geometry");
        size[k] = (in[k] + 2 * padding[k] - dilation[k] * (kernel[k] - 1) - 1) / stride[k] + 1;
        check(in[k] + 2 * padding[k] > dilation[k] * (kernel[k] - 1), "the kernel is larger than the padded input");
    }
    check_packed(x, packed, depth, outputs);
    const int64_t rows = x.sizes()[0] * size[0] * size[1];
    const Tensor r = empty(Dims{x.sizes()[0], size[0], size[1], outputs}, DType::f32, x.device());
    const Dims as_lies{0, 2, 3, 1}, as_said{0, 3, 1, 2};
    if (r.is_meta() || !rows) return op<"permute">(r, as_said);
    const Tensor d = cpu::dense(op<"permute">(x, as_lies));
    const uint8_t* const all = d.data<uint8_t>();
    const auto widen = cpu::byte_products().widen;
    times_packed(rows, packed, outputs, r.data<float>(), [&](int64_t from, int64_t count, int16_t* to) {
        for (int64_t i = from; i < from + count; ++i, to += step) {
            const int64_t column = i % size[1] * stride[1] - padding[1],
                          row = i / size[1] % size[0] * stride[0] - padding[0], picture = i / size[1] / size[0];
            const bool whole = dilation[1] == 1 && column >= 0 && column + kernel[1] <= in[1];
            int16_t* q = to;
            for (int64_t a = 0; a < kernel[0]; ++a) {
                const int64_t y = row + a * dilation[0];
                const uint8_t* const line = all + (picture * in[0] + y) * in[1] * channels;
                if (y < 0 || y >= in[0]) {
                    q = std::fill_n(q, kernel[1] * channels, int16_t(0));
                } else if (whole) {
                    widen(line + column * channels, kernel[1] * channels, int(zero), q);
                    q += kernel[1] * channels;
                } else {
                    for (int64_t b = 0; b < kernel[1]; ++b, q += channels) {
                        const int64_t at = column + b * dilation[1];
                        if (at >= 0 && at < in[1]) widen(line + at * channels, channels, int(zero), q);
                        else std::fill_n(q, channels, int16_t(0));
                    }
                }
            }
            std::fill(q, to + step, int16_t(0));
        }
    });
    return op<"permute">(r, as_said);
}

const Family quantize([](Registry& r) {
    r.add(
         "fake_quantize_per_tensor_affine(Tensor self, float scale, int zero_point, int quant_min, int quant_max) -> "
         "Tensor",
         "f")
        .kernel<per_tensor>()
        .grad("self", "self",
              [](Back& b) { return inside(b, double(1 / float(b.real(1))), b.integer(2), b.integer(3), b.integer(4)); })
        .node("FakeQuantizePerTensorAffineCachemaskBackward0");
    r.add(
         "fake_quantize_per_tensor_affine.tensor_qparams(Tensor self, Tensor scale, Tensor zero_point, int quant_min, "
         "int quant_max) -> Tensor",
         "f")
        .kernel<per_tensor_q>()
        .grad("self", "self, scale, zero_point",
              [](Back& b) {
                  return inside(b, double(1 / float(b.arg(1).item().real())), b.arg(2).item(), b.integer(3),
                                b.integer(4));
              })
        .node("FakeQuantizePerTensorAffineCachemaskTensorQparamsBackward0");
    r.add(
         "fake_quantize_per_channel_affine(Tensor self, Tensor scale, Tensor zero_point, int axis, int quant_min, int "
         "quant_max) -> Tensor",
         "f")
        .kernel<per_channel>()
        .grad("self", "self, scale, zero_point",
              [](Back& b) {
                  const Tensor x = b.arg(0);
                  return inside(b, op<"reciprocal">(along(b.arg(1), x, b.integer(3))), along(b.arg(2), x, b.integer(3)),
                                b.integer(4), b.integer(5));
              })
        .node("FakeQuantizePerChannelAffineCachemaskBackward0");
    r.add("_quantized_levels(Tensor self, float factor, int zero, int low, int high, bool apart) -> Tensor", "f")
        .kernel<levels>();
    r.add("_quantized_numbers(Tensor self, float factor, float shift, bool once) -> Tensor", "f").kernel<numbers>();
    r.add(
         "_quantized_pair(Tensor self, Tensor other, float factor_a, float shift_a, float factor_b, float shift_b, "
         "float factor, int zero, bool product, bool relu) -> Tensor",
         "f")
        .kernel<pair>();
    r.add("_quantized_sums(Tensor sums, Tensor bias, Tensor factor, int zero, bool relu) -> Tensor", "f")
        .kernel<of_sums>();
    r.add("_quantized_pack(Tensor weight) -> Tensor", "f").kernel<pack>();
    r.add("_quantized_linear(Tensor self, int zero, Tensor packed, int outputs) -> Tensor", "f").kernel<linear>();
    r.add(
         "_quantized_conv(Tensor self, int zero, Tensor packed, int outputs, int[] kernel, int[] stride, int[] "
         "padding, "
         "int[] dilation) -> Tensor",
         "f")
        .kernel<conv>();
});

}  // namespace
}  // namespace fb
