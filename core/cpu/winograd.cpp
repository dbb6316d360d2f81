#include "cpu/winograd.h"
#include <atomic>
#include <limits>
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/gemm_block.h"
#include "cpu/images.h"
#include "cpu/packed.h"

namespace fb::cpu {
namespace baseline {
extern const WinogradTable winograd_table;
}
namespace avx2 {
extern const WinogradTable winograd_table;
}
namespace avx512 {
extern const WinogradTable winograd_table;
}

namespace {

const WinogradTable& table() {
    return for_this_cpu<baseline::winograd_table, avx2::winograd_table, avx512::winograd_table>();
}

constexpr int64_t kFewestPositions = 400;  // transforming the weights must pay
constexpr int64_t kFewestOfKept = 150;     // reading them must pay
constexpr int64_t kFewestNarrow = 40;      // beside direct loops of half the speed: lines of 7 on 16 registers
constexpr int64_t kMostInputs = 256;       // of F(4, 3): its error grows with the length of the sums
constexpr int64_t kPortion = 8 << 20;      // bytes of transformed tiles that the threads share in their last cache
constexpr int64_t kFewestInputs = 32;      // transforming pictures must pay
constexpr int64_t kNear = 512 << 10;       // bytes of transformed tiles that stay in the second cache of a core
constexpr int64_t kMuch = 10 << 20;        // bytes of weights that every few tiles may read
constexpr int64_t kApart = 16;             // floats between points: a power of two apart they would share lines
constexpr int kForms = 16;                 // of packed weights: from here on

int64_t tiles_of(int64_t size, const WinogradSide& side) { return (size + side.tile - 1) / side.tile; }

// Lines are pictures of height one.
int64_t height_of(IntSpan sizes) { return sizes.size() == 4 ? sizes[2] : 1; }
int64_t width_of(IntSpan sizes) { return sizes.back(); }

// What computes a pass; null if nothing here does. Data gradients of stride 2 know the parity of an odd padding only.
const WinogradLoops* loops(const ConvShape& s, ConvPass pass) {
    const int64_t n = s.spatial_dims(), taps = s.weight.back(), stride = s.stride[0];
    if (n > 2) return nullptr;
    for (size_t d = 0; d < size_t(n); ++d)
        if (s.weight[d + 2] != taps || s.stride[d] != stride || s.dilation[d] != 1 || s.padding[d] >= taps)
            return nullptr;
    const WinogradTable& t = table();
    if (stride == 1 && taps == 3) {
        if (std::max(s.in[1], s.out[1]) > kMostInputs) return n == 1 ? &t.line_long : &t.three_long;
        return n == 1 ? &t.line : &t.three;
    }
    if (stride != 2 || n == 1 || (taps != 3 && taps != 4)) return nullptr;
    if (pass != ConvPass::Data) return taps == 3 ? &t.half_three : &t.half_four;
    if (s.padding[0] % 2 == 0 || s.padding[1] % 2 == 0) return nullptr;
    return taps == 3 ? &t.double_three : &t.double_four;
}
// How far before a result's place along a dimension its patch begins.
int64_t lead(const ConvShape& s, ConvPass pass, int64_t d) {
    const int64_t padding = s.padding[size_t(d)], taps = s.weight.back();
    if (pass == ConvPass::Forward) return padding;
    return s.stride[0] == 1 ? taps - 1 - padding : taps / 4 - (padding - 1) / 2;
}

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr Scaling kAsItIs{nullptr, nullptr, -kInfinity, kInfinity};

Tensor convolve(const ConvShape& s, ConvPass pass, const Tensor& x0, const Tensor& w, const Scaling& scaling) {
    const WinogradLoops& k = *loops(s, pass);
    const bool forward = pass == ConvPass::Forward, mirrored = !forward && s.stride[0] == 1;
    const IntSpan in_sizes = forward ? s.in : s.out, out_sizes = forward ? s.out : s.in;
    const Tensor x = image_in(x0, preferred_order()), r = make_hidden(out_sizes, DType::f32, preferred_order());
    const Pictures from(*hidden_image(x)), to(*hidden_image(r));
    const int64_t samples = in_sizes[0], inputs = in_sizes[1], outputs = out_sizes[1], lanes = k.lanes,
                  points = k.points(), in_y = height_of(in_sizes), in_x = width_of(in_sizes),
                  out_y = height_of(out_sizes), out_x = width_of(out_sizes), pairs = outputs / (2 * lanes),
                  in_blocks = inputs / lanes, out_blocks = outputs / lanes, pair_size = points * inputs * 2 * lanes,
                  pad_y = s.spatial_dims() == 2 ? lead(s, pass, 0) : 0, pad_x = lead(s, pass, s.spatial_dims() - 1),
                  taps = product(IntSpan(s.weight).subspan(2)), row = s.weight[1] * taps,
                  out_step = forward ? row : taps, in_step = forward ? taps : row;
    const int form = kForms + int(&k - &table().three) * 2 + mirrored;
    const Packed packed = packed_weight(w, dnn::Desc(), form, size_t(pairs * pair_size) * sizeof(float), [&](void* p) {
        parallel_for(pairs, 1, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                k.weights(w.data<float>() + i * 2 * lanes * out_step, out_step, in_step, mirrored, inputs,
                          static_cast<float*>(p) + i * pair_size);
        });
    });
    const float* u = packed->as<const float>();

    const int64_t tiles_y = tiles_of(out_y, k.y), tiles_x = tiles_of(out_x, k.x), tiles = samples * tiles_y * tiles_x;
    std::atomic<bool> finite{true};
    // Neighbouring tiles of a block one after another: they share lines, and the processor foresees the next.
    const auto each_tile = [&](int64_t first, int64_t count, auto&& body) {
        int64_t n = first / (tiles_y * tiles_x), y = first / tiles_x % tiles_y, x_at = first % tiles_x;
        for (int64_t i = 0; i < count; ++i) {
            body(i, n, y, x_at);
            if (++x_at < tiles_x) continue;
            x_at = 0;
            if (++y < tiles_y) continue;
            y = 0;
            ++n;
        }
    };
    const auto transform = [&](int64_t first, int64_t count, float* v, int64_t v_step) {
        for (int64_t b = 0; b < in_blocks; ++b)
            each_tile(first, count, [&](int64_t i, int64_t n, int64_t y, int64_t x_at) {
                k.input(from.as<float>() + (n * in_blocks + b) * in_y * in_x * lanes, in_y, in_x, y * k.y.step - pad_y,
                        x_at * k.x.step - pad_x, v + i * inputs + b * lanes, v_step);
            });
        for (int64_t p = 0, rest = count % k.tiles; rest && p < points; ++p)  // products take whole groups
            std::fill_n(v + p * v_step + count * inputs, (k.tiles - rest) * inputs, 0.f);
    };
    // Results of a pair of blocks; `m` has room for their products.
    const auto produce = [&](int64_t pair, int64_t first, int64_t count, const float* v, int64_t v_step, float* m,
                             int64_t m_step) {
        for (int64_t p = 0; p < points; ++p)
            for (int64_t i = 0; i < count; i += k.tiles)
                k.multiply(u + pair * pair_size + p * inputs * 2 * lanes, v + p * v_step + i * inputs,
                           m + p * m_step + i * 2 * lanes, inputs);
        for (int64_t b = 2 * pair; b < 2 * pair + 2; ++b) {
            Scaling here = scaling;
            if (here.scale) here.scale += b * lanes;
            if (here.shift) here.shift += b * lanes;
            each_tile(first, count, [&](int64_t i, int64_t n, int64_t y, int64_t x_at) {
                const int64_t picture = (n * out_blocks + b) * out_y * out_x * lanes;
                if (scaling.other) here.other = scaling.other + picture;
                if (!k.output(m + (i * 2 + b % 2) * lanes, m_step, here, to.as<float>() + picture, out_y, out_x,
                              y * k.y.tile, x_at * k.x.tile))
                    finite.store(false, std::memory_order_relaxed);
            });
        }
    };
    const int64_t groups = (tiles + k.tiles - 1) / k.tiles, tile_bytes = points * inputs * int64_t(sizeof(float)),
                  room = kNear / (tile_bytes * k.tiles);
    if (room >= 1 && pairs * pair_size * int64_t(sizeof(float)) <= kMuch) {
        // A thread takes as many tiles at once as keep their transforms in its second cache, and makes all results.
        const int64_t most = std::min<int64_t>(room, 4), threads = num_threads(),
                      parts = std::min(groups, ((groups + most - 1) / most + threads - 1) / threads * threads),
                      chunk = (groups + parts - 1) / parts * k.tiles;
        parallel_for(parts, 1, [&](int64_t begin, int64_t end) {
            const int64_t v_step = chunk * inputs + kApart, m_step = chunk * 2 * lanes + kApart;
            const dnn::Scratch room_v(size_t(points * v_step) * sizeof(float)),
                room_m(size_t(points * m_step) * sizeof(float));
            for (int64_t part = begin; part < end && finite.load(std::memory_order_relaxed); ++part) {
                const int64_t first = groups * part / parts * k.tiles,
                              count = std::min(tiles, groups * (part + 1) / parts * k.tiles) - first;
                transform(first, count, room_v.as<float>(), v_step);
                for (int64_t pair = 0; pair < pairs; ++pair)
                    produce(pair, first, count, room_v.as<float>(), v_step, room_m.as<float>(), m_step);
            }
        });
        return finite ? r : Tensor();
    }
    // Too many weights for that: the threads transform a portion together, then each takes some of the pairs.
    const int64_t portion = std::clamp<int64_t>(kPortion / tile_bytes / k.tiles, 1, groups) * k.tiles,
                  chunk = 8 * k.tiles, v_step = portion * inputs + kApart, m_step = chunk * 2 * lanes + kApart;
    const dnn::Scratch room_v(size_t(points * v_step) * sizeof(float));
    float* v = room_v.as<float>();
    for (int64_t first = 0; first < tiles && finite; first += portion) {
        const int64_t count = std::min(portion, tiles - first), parts = (count + chunk - 1) / chunk;
        parallel_for((count + k.tiles - 1) / k.tiles, 1, [&](int64_t begin, int64_t end) {
            const int64_t i = begin * k.tiles;
            transform(first + i, std::min(count, end * k.tiles) - i, v + i * inputs, v_step);
        });
        parallel_for(pairs * parts, 1, [&](int64_t begin, int64_t end) {
            const dnn::Scratch room_m(size_t(points * m_step) * sizeof(float));
            for (int64_t item = begin; item < end; ++item) {
                const int64_t i = item % parts * chunk;
                produce(item / parts, first + i, std::min(chunk, count - i), v + i * inputs, v_step, room_m.as<float>(),
                        m_step);
            }
        });
    }
    return finite ? r : Tensor();
}

}  // namespace

bool winograd_fits(const ConvShape& s, ConvPass pass, DType t, bool channels_last, bool kept) {
    if (t != DType::f32 || channels_last || s.groups != 1) return false;
    const WinogradLoops* k = loops(s, pass);
    if (!k || block_of(preferred_order()) != k->lanes || s.in[1] % (2 * k->lanes) || s.out[1] % (2 * k->lanes))
        return false;
    const IntSpan result = pass == ConvPass::Data ? s.in : s.out;
    const bool saves_less = k != &table().three && k != &table().line;
    const int64_t height = height_of(result), width = width_of(result), area = height * width,
                  tiles = tiles_of(height, k->y) * tiles_of(width, k->x),
                  direct = product(IntSpan(s.out).subspan(2)) * product(IntSpan(s.weight).subspan(2));
    if (saves_less ? 4 * tiles * k->points() > 3 * direct : 5 * tiles * k->y.tile * k->x.tile > 9 * area) return false;
    return std::min(s.in[1], s.out[1]) >= (saves_less ? 2 : 1) * kFewestInputs &&
           s.out[0] * area >= (!kept           ? kFewestPositions
                               : k->lanes == 8 ? kFewestNarrow
                                               : kFewestOfKept);
}

Tensor winograd_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    Scaling scaling = kAsItIs;
    if (bias.defined()) scaling.shift = bias.data<float>();
    return winograd_scaled(s, x, w, scaling);
}
Tensor winograd_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling) {
    return convolve(s, ConvPass::Forward, x, w, scaling);
}
Tensor winograd_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    return convolve(s, ConvPass::Data, g, w, kAsItIs);
}

// At every point the gradient is a product of matrices, results by tiles and tiles by inputs. The tiles of a portion
// are transformed by all threads, then each thread takes some of the points.
Tensor winograd_weight_gradient(const ConvShape& s, const Tensor& x0, const Tensor& g0, Tensor* bias) {
    const WinogradLoops& k = *loops(s, ConvPass::Weights);
    const Tensor x = image_in(x0, preferred_order()), g = image_in(g0, preferred_order());
    const Pictures px(*hidden_image(x)), pg(*hidden_image(g));
    const int64_t inputs = s.in[1], outputs = s.out[1], lanes = k.lanes, in_blocks = inputs / lanes,
                  out_blocks = outputs / lanes, points = k.points(), in_y = height_of(s.in), in_x = width_of(s.in),
                  out_y = height_of(s.out), out_x = width_of(s.out), pad_y = s.spatial_dims() == 2 ? s.padding[0] : 0,
                  pad_x = s.padding.back(), taps = product(IntSpan(s.weight).subspan(2)),
                  tiles_y = tiles_of(out_y, k.y), tiles_x = tiles_of(out_x, k.x), tiles = s.in[0] * tiles_y * tiles_x,
                  width = inputs + outputs,
                  most = std::max<int64_t>(64, kPortion / (points * width * int64_t(sizeof(float)))),
                  chunk = std::min(tiles, most), threads = num_threads(), v_step = chunk * inputs + kApart,
                  g_step = chunk * outputs + kApart, sum_step = inputs * outputs + kApart;
    const dnn::Scratch room_v(size_t(points * v_step) * sizeof(float)),
        room_g(size_t(k.gradients() * g_step) * sizeof(float)), room_sums(size_t(points * sum_step) * sizeof(float));
    float *v = room_v.as<float>(), *vg = room_g.as<float>(), *sums = room_sums.as<float>();
    std::vector<float> totals(size_t(bias ? threads * outputs : 0), 0.f);
    const LongWork unlocked;
    for (int64_t first = 0; first < tiles; first += chunk) {
        const int64_t count = std::min(chunk, tiles - first), share = (count + threads - 1) / threads;
        parallel_for(threads, 1, [&](int64_t begin, int64_t end) {
            for (int64_t part = begin; part < end; ++part)
                for (int64_t i = part * share; i < std::min(count, (part + 1) * share); ++i) {
                    const int64_t t = first + i, n = t / (tiles_y * tiles_x), y = t / tiles_x % tiles_y,
                                  x_at = t % tiles_x;
                    for (int64_t b = 0; b < in_blocks; ++b)
                        k.input(px.as<float>() + (n * in_blocks + b) * in_y * in_x * lanes, in_y, in_x,
                                y * k.y.step - pad_y, x_at * k.x.step - pad_x, v + i * inputs + b * lanes, v_step);
                    for (int64_t b = 0; b < out_blocks; ++b)
                        k.gradient(pg.as<float>() + (n * out_blocks + b) * out_y * out_x * lanes, out_y, out_x,
                                   y * k.y.tile, x_at * k.x.tile, vg + i * outputs + b * lanes, g_step,
                                   bias ? totals.data() + part * outputs + b * lanes : nullptr);
                }
        });
        parallel_for(points, 1, [&](int64_t begin, int64_t end) {
            for (int64_t p = begin; p < end; ++p) {
                const GemmBlock product{outputs,
                                        inputs,
                                        count,
                                        1,
                                        first ? 1.f : 0.f,
                                        vg + k.gradient_of(p) * g_step,
                                        1,
                                        outputs,
                                        v + p * v_step,
                                        inputs,
                                        1,
                                        sums + p * sum_step,
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
                if (!k.taps(sums + o * inputs + c, sum_step, r.data<float>() + (o * inputs + c) * taps))
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
