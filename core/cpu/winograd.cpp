#include "cpu/winograd.h"
#include <atomic>
#include <limits>
#include <string_view>
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/gemm_block.h"
#include "cpu/images.h"
#include "cpu/packed.h"
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const WinogradLoops winograd_table;
}
#if FB_X86
namespace avx2 {
extern const WinogradLoops winograd_table;
}
namespace avx512 {
extern const WinogradLoops winograd_table;
}
#endif

namespace {

const WinogradLoops& loops() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::winograd_table;
    if (level == "avx2") return avx2::winograd_table;
#endif
    return baseline::winograd_table;
}

constexpr int64_t kFewestPositions = 400;  // transforming the weights must pay
constexpr int64_t kFewestOfKept = 150;     // reading them must pay
constexpr int64_t kMostInputs = 256;       // the error grows with the length of the sums
constexpr int64_t kPortion = 8 << 20;      // bytes of transformed tiles that the threads share in their last cache
constexpr int64_t kFewestInputs = 32;      // transforming pictures must pay

int64_t tiles_of(int64_t size) { return (size + kWinogradTile - 1) / kWinogradTile; }

// How filters lie: `out_step` between those of neighbouring results, `in_step` between those of neighbouring inputs.
struct Filters {
    const Tensor& w;
    int64_t out_step, in_step;
    bool mirrored;
};

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Scaling kAsItIs{nullptr, nullptr, -kInfinity, kInfinity};

Tensor convolve(const Tensor& x0, IntSpan result_sizes, const Filters& f, int64_t pad_y, int64_t pad_x,
                const Scaling& scaling) {
    const WinogradLoops& k = loops();
    const Tensor x = image_in(x0, preferred_order()), r = make_hidden(result_sizes, DType::f32, preferred_order());
    const Pictures from(*hidden_image(x)), to(*hidden_image(r));
    const int64_t samples = x.size(0), inputs = x.size(1), outputs = result_sizes[1], lanes = k.lanes, in_y = x.size(2),
                  in_x = x.size(3), out_y = result_sizes[2], out_x = result_sizes[3], pairs = outputs / (2 * lanes),
                  in_blocks = inputs / lanes, out_blocks = outputs / lanes,
                  pair_size = kWinogradPoints * inputs * 2 * lanes;
    const Packed packed =
        packed_weight(f.w, dnn::Desc(), f.mirrored ? 2 : 1, size_t(pairs * pair_size) * sizeof(float), [&](void* p) {
            parallel_for(pairs, 1, [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i)
                    k.weights(f.w.data<float>() + i * 2 * lanes * f.out_step, f.out_step, f.in_step, f.mirrored, inputs,
                              static_cast<float*>(p) + i * pair_size);
            });
        });
    const float* u = packed->as<const float>();

    const int64_t tiles_y = tiles_of(out_y), tiles_x = tiles_of(out_x), tiles = samples * tiles_y * tiles_x;
    // As many tiles at once as keep their transforms in the second cache.
    const int64_t room = (512 << 10) / (kWinogradPoints * inputs * int64_t(sizeof(float)) * k.tiles),
                  chunk = std::clamp<int64_t>(room, 1, 4) * k.tiles, chunks = (tiles + chunk - 1) / chunk;
    std::atomic<bool> finite{true};
    parallel_for(chunks, 1, [&](int64_t begin, int64_t end) {
        const dnn::Scratch room_v(size_t(kWinogradPoints * chunk * inputs) * sizeof(float)),
            room_m(size_t(kWinogradPoints * chunk * 2 * lanes) * sizeof(float));
        float *v = room_v.as<float>(), *m = room_m.as<float>();
        std::fill_n(v, kWinogradPoints * chunk * inputs, 0.f);  // the last tiles may be missing
        const int64_t v_step = chunk * inputs, m_step = chunk * 2 * lanes;
        for (int64_t part = begin; part < end && finite.load(std::memory_order_relaxed); ++part) {
            const int64_t first = part * chunk, count = std::min(chunk, tiles - first);
            const auto each_tile = [&](auto&& body) {
                for (int64_t i = 0; i < count; ++i) {
                    const int64_t t = first + i;
                    body(i, t / (tiles_y * tiles_x), t / tiles_x % tiles_y * kWinogradTile,
                         t % tiles_x * kWinogradTile);
                }
            };
            each_tile([&](int64_t i, int64_t n, int64_t y, int64_t x_at) {
                for (int64_t b = 0; b < in_blocks; ++b)
                    k.input(from.as<float>() + (n * in_blocks + b) * in_y * in_x * lanes, in_y, in_x, y - pad_y,
                            x_at - pad_x, v + i * inputs + b * lanes, v_step);
            });
            for (int64_t pair = 0; pair < pairs; ++pair) {
                for (int64_t p = 0; p < kWinogradPoints; ++p)
                    for (int64_t i = 0; i < count; i += k.tiles)
                        k.multiply(u + pair * pair_size + p * inputs * 2 * lanes, v + p * v_step + i * inputs,
                                   m + p * m_step + i * 2 * lanes, inputs);
                each_tile([&](int64_t i, int64_t n, int64_t y, int64_t x_at) {
                    for (int64_t b = 2 * pair; b < 2 * pair + 2; ++b) {
                        Scaling here = scaling;
                        if (here.scale) here.scale += b * lanes;
                        if (here.shift) here.shift += b * lanes;
                        if (here.other) here.other += (n * out_blocks + b) * out_y * out_x * lanes;
                        if (!k.output(m + (i * 2 + b % 2) * lanes, m_step, here,
                                      to.as<float>() + (n * out_blocks + b) * out_y * out_x * lanes, out_y, out_x, y,
                                      x_at))
                            finite.store(false, std::memory_order_relaxed);
                    }
                });
            }
        }
    });
    return finite ? r : Tensor();
}

}  // namespace

bool winograd_fits(const ConvShape& s, DType t, bool channels_last, bool kept) {
    if (t != DType::f32 || channels_last || s.spatial_dims() != 2 || s.groups != 1) return false;
    for (size_t d = 0; d < 2; ++d)
        if (s.weight[d + 2] != 3 || s.stride[d] != 1 || s.dilation[d] != 1 || s.padding[d] > 2) return false;
    const int64_t lanes = loops().lanes, least = std::min(s.in[1], s.out[1]), most = std::max(s.in[1], s.out[1]);
    if (block_of(preferred_order()) != lanes || s.in[1] % (2 * lanes) || s.out[1] % (2 * lanes)) return false;
    const int64_t area = s.out[2] * s.out[3],
                  computed = tiles_of(s.out[2]) * tiles_of(s.out[3]) * kWinogradTile * kWinogradTile;
    return least >= kFewestInputs && most <= kMostInputs &&
           s.out[0] * area >= (kept ? kFewestOfKept : kFewestPositions) && 2 * computed <= 3 * area;
}

Tensor winograd_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    Scaling scaling = kAsItIs;
    if (bias.defined()) scaling.shift = bias.data<float>();
    return winograd_scaled(s, x, w, scaling);
}
Tensor winograd_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling) {
    return convolve(x, s.out, {w, s.weight[1] * 9, 9, false}, s.padding[0], s.padding[1], scaling);
}
Tensor winograd_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    return convolve(g, s.in, {w, 9, s.weight[1] * 9, true}, 2 - s.padding[0], 2 - s.padding[1], kAsItIs);
}

// At every point the gradient is a product of matrices, results by tiles and tiles by inputs. The tiles of a portion
// are transformed by all threads, then each thread takes some of the points.
Tensor winograd_weight_gradient(const ConvShape& s, const Tensor& x0, const Tensor& g0, Tensor* bias) {
    const WinogradLoops& k = loops();
    const Tensor x = image_in(x0, preferred_order()), g = image_in(g0, preferred_order());
    const Pictures px(*hidden_image(x)), pg(*hidden_image(g));
    const int64_t inputs = s.in[1], outputs = s.out[1], lanes = k.lanes, in_blocks = inputs / lanes,
                  out_blocks = outputs / lanes, tiles_y = tiles_of(s.out[2]), tiles_x = tiles_of(s.out[3]),
                  tiles = s.in[0] * tiles_y * tiles_x, width = inputs + outputs,
                  most = std::max<int64_t>(64, kPortion / (kWinogradPoints * width * int64_t(sizeof(float)))),
                  chunk = std::min(tiles, most), threads = num_threads();
    const dnn::Scratch room_v(size_t(kWinogradPoints * chunk * inputs) * sizeof(float)),
        room_g(size_t(kWinogradPoints * chunk * outputs) * sizeof(float)),
        room_sums(size_t(kWinogradPoints * inputs * outputs) * sizeof(float));
    float *v = room_v.as<float>(), *vg = room_g.as<float>(), *sums = room_sums.as<float>();
    std::vector<float> totals(size_t(bias ? threads * outputs : 0), 0.f);
    const LongWork unlocked;
    for (int64_t first = 0; first < tiles; first += chunk) {
        const int64_t count = std::min(chunk, tiles - first), share = (count + threads - 1) / threads;
        parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
            for (int64_t part = begin; part < end; ++part)
                for (int64_t i = part * share; i < std::min(count, (part + 1) * share); ++i) {
                    const int64_t t = first + i, n = t / (tiles_y * tiles_x), y = t / tiles_x % tiles_y * kWinogradTile,
                                  x_at = t % tiles_x * kWinogradTile;
                    for (int64_t b = 0; b < in_blocks; ++b)
                        k.input(px.as<float>() + (n * in_blocks + b) * s.in[2] * s.in[3] * lanes, s.in[2], s.in[3],
                                y - s.padding[0], x_at - s.padding[1], v + i * inputs + b * lanes, chunk * inputs);
                    for (int64_t b = 0; b < out_blocks; ++b)
                        k.gradient(pg.as<float>() + (n * out_blocks + b) * s.out[2] * s.out[3] * lanes, s.out[2],
                                   s.out[3], y, x_at, vg + i * outputs + b * lanes, chunk * outputs,
                                   bias ? totals.data() + part * outputs + b * lanes : nullptr);
                }
        });
        parallel_for(kWinogradPoints, 1, [&](int64_t begin, int64_t end) {
            for (int64_t p = begin; p < end; ++p) {
                const GemmBlock product{outputs,
                                        inputs,
                                        count,
                                        1,
                                        first ? 1.f : 0.f,
                                        vg + p * chunk * outputs,
                                        1,
                                        outputs,
                                        v + p * chunk * inputs,
                                        inputs,
                                        1,
                                        sums + p * inputs * outputs,
                                        inputs,
                                        1};
                const dnn::Scratch room(size_t(gemm_kernel().room(product)) * sizeof(float));
                gemm_kernel().run(product, {}, room.as<float>());
            }
        });
    }
    const Tensor r = empty(s.weight, DType::f32);
    std::atomic<bool> finite{true};
    parallel_for(outputs, 8, [&](int64_t begin, int64_t end) {
        for (int64_t o = begin; o < end; ++o)
            for (int64_t c = 0; c < inputs; c += lanes)
                if (!k.taps(sums + o * inputs + c, inputs * outputs, r.data<float>() + (o * inputs + c) * 9))
                    finite.store(false, std::memory_order_relaxed);
    });
    if (!finite) return {};
    if (bias) {
        *bias = empty(Dims{outputs}, DType::f32);
        for (int64_t o = 0; o < outputs; ++o) {
            double sum = 0;
            for (int64_t part = 0; part < threads; ++part) sum += double(totals[size_t(part * outputs + o)]);
            bias->data<float>()[o] = float(sum);
        }
    }
    return r;
}

}  // namespace fb::cpu
