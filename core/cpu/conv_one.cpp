#include "cpu/conv_one.h"
#include <cstring>
#include <limits>
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/gemm_block.h"
#include "cpu/images.h"
#include "cpu/packed.h"

namespace fb::cpu {
namespace baseline {
extern const OneLoops one_table;
}
namespace avx2 {
extern const OneLoops one_table;
}
namespace avx512 {
extern const OneLoops one_table;
}

const OneLoops& one_loops() { return for_this_cpu<baseline::one_table, avx2::one_table, avx512::one_table>(); }

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr int64_t kFewestPositions = 7;  // of a row: fewer would not use the registers

// Positions of a sample as rows of neighbours: all of them are one row if none is left out.
struct Rows {
    int64_t count, length;
    int64_t in_step;  // positions of x from one row to the next
    explicit Rows(const ConvShape& s) {
        const size_t last = s.out.size() - 1;
        if (s.stride[last - 2] == 1) {
            count = 1;
            length = product(IntSpan(s.out).subspan(2));
            in_step = 0;
        } else {
            count = last == 3 ? s.out[2] : 1;
            length = s.out[last];
            in_step = last == 3 ? s.stride[0] * s.in[3] : 0;
        }
    }
};

// How weights lie; `form` tells the packed ones apart.
struct Weights {
    const Tensor& w;
    int64_t out_step, in_step;
    int form;
};

// Outputs in pairs of vectors, for each input one after the other; filled up with zeros.
Packed in_pairs(const Weights& f, int64_t inputs, int64_t outputs, int64_t blocks, int64_t lanes) {
    return packed_weight(f.w, dnn::Desc(), f.form, size_t(blocks * lanes * inputs) * sizeof(float), [&](void* p) {
        const float* from = f.w.data<float>();
        parallel_for((blocks + 1) / 2, std::max<int64_t>(1, 16384 / (inputs * lanes)), [&](int64_t begin, int64_t end) {
            for (int64_t pair = begin; pair < end; ++pair) {
                const int64_t first = pair * 2 * lanes, width = std::min(2 * lanes, blocks * lanes - first);
                float* to = static_cast<float*>(p) + first * inputs;
                for (int64_t o = 0; o < width; ++o)
                    for (int64_t c = 0; c < inputs; ++c)
                        to[c * width + o] = first + o < outputs ? from[(first + o) * f.out_step + c * f.in_step] : 0.f;
            }
        });
    });
}

// What tiles read, from the planes of a sample: for each of them a short row of every input. `start` says where tiles
// begin, `end` is that of the tensor: nothing is read behind it.
template <int64_t kRow, class F>
void gather_rows(const float* planes, int64_t inputs, int64_t spatial, F&& start, int64_t first, int64_t last,
                 const float* end, float* to) {
    constexpr int64_t line = 16, ahead = 2;
    for (int64_t c = 0; c < inputs; ++c) {
        const float* plane = planes + c * spatial;
        if (c + ahead < inputs)
            for (int64_t p = start(first); p < start(last); p += line)
                __builtin_prefetch(plane + ahead * spatial + p, 0, 2);
        for (int64_t t = first; t < last; ++t) {
            const float* from = plane + start(t);
            float* row = to + ((t - first) * (inputs + 1) + c) * kRow;
            if (from + kRow <= end) std::memcpy(row, from, kRow * sizeof(float));
            else std::copy_n(from, start(t + 1) - start(t), row);
        }
    }
}

template <class... Given>
void gather(int64_t row, Given&&... given) {  // of a length that the compiler knows
    if (row == 16) gather_rows<16>(given...);
    else if (row == 8) gather_rows<8>(given...);
    else gather_rows<4>(given...);
}

// The numbers of each channel, filled up for whole vectors.
std::vector<float> filled(const Tensor& t, int64_t channels, float otherwise) {
    std::vector<float> r(size_t((channels + 15) / 16 * 16), otherwise);
    if (t.defined()) std::copy_n(t.data<float>(), channels, r.begin());
    return r;
}

Tensor run(const ConvShape& s, const Tensor& x0, const Weights& weights, const Scaling& scaling, bool plain) {
    const OneLoops& k = one_loops();
    const Tensor x = plain ? x0 : image_in(x0, preferred_order()),
                 y = make_hidden(s.out, DType::f32, preferred_order());
    const Pictures to(*hidden_image(y));
    const float* source = plain ? x.data<float>() : Pictures(*hidden_image(x)).as<float>();
    const int64_t lanes = k.lanes, inputs = s.in[1], samples = s.in[0], spatial = product(IntSpan(s.in).subspan(2)),
                  sample_size = (plain ? inputs : (inputs + lanes - 1) / lanes * lanes) * spatial,
                  blocks = to.count / samples, pairs = (blocks + 1) / 2,
                  out_size = product(IntSpan(s.out).subspan(2)) * lanes;
    const Packed packed = in_pairs(weights, inputs, s.out[1], blocks, lanes);
    const Rows rows(s);
    const OneInput kind = plain ? OneInput::Rows : s.stride[0] == 2 ? OneInput::Far : OneInput::Near;
    // Tiles of about equal size. Some of them, as many as stay in the second cache, meet all the outputs of a group.
    const int64_t tiles = (rows.length + k.positions - 1) / k.positions,
                  room = std::max<int64_t>(1, (256 << 10) / (inputs * k.row * int64_t(sizeof(float)))),
                  per_chunk = std::min(tiles, room), chunks = (tiles + per_chunk - 1) / per_chunk,
                  parts = samples * rows.count * chunks,
                  groups = std::clamp<int64_t>((8 * num_threads() + parts - 1) / parts, 1, pairs);
    std::vector<int64_t> starts(size_t(tiles + 1));
    for (int64_t t = 0; t <= tiles; ++t) starts[size_t(t)] = rows.length * t / tiles;
    const auto start = [&](int64_t t) { return starts[size_t(t)]; };
    parallel_for(parts * groups, 1, [&](int64_t begin, int64_t end) {
        const int64_t tile_size = (inputs + 1) * k.row;  // not a power of two: tiles would push each other out
        const dnn::Scratch gathered(plain ? size_t(per_chunk * tile_size) * sizeof(float) : 0);
        for (int64_t item = begin; item < end; ++item) {
            const int64_t group = item % groups, part = item / groups, chunk = part % chunks,
                          row = part / chunks % rows.count, n = part / chunks / rows.count, first = chunk * per_chunk,
                          last = std::min(tiles, first + per_chunk);
            if (plain)
                gather(k.row, source + n * sample_size, inputs, spatial, start, first, last,
                       source + samples * sample_size, gathered.as<float>());
            const float* picture = source + n * sample_size + row * rows.in_step * lanes;
            float* result = to.as<float>() + n * blocks * out_size + row * rows.length * lanes;
            for (int64_t pair = pairs * group / groups; pair < pairs * (group + 1) / groups; ++pair) {
                const int64_t block = 2 * pair;
                for (int64_t t = first; t < last; ++t) {
                    const int64_t p0 = start(t), p1 = start(t + 1);
                    k.tile({plain ? gathered.as<float>() + (t - first) * tile_size
                                  : picture + p0 * lanes * (kind == OneInput::Far ? 2 : 1),
                            plain ? lanes * k.row : spatial * lanes,
                            inputs,
                            packed->as<const float>() + block * lanes * inputs,
                            result + block * out_size + p0 * lanes,
                            out_size,
                            p1 - p0,
                            block + 1 < blocks,
                            kind,
                            {scaling.scale + block * lanes, scaling.shift + block * lanes, scaling.low, scaling.high,
                             scaling.other ? scaling.other + (result + block * out_size + p0 * lanes - to.as<float>())
                                           : nullptr}});
                }
            }
        }
    });
    return y;
}

}  // namespace

bool one_fits(const ConvShape& s) {
    const int64_t n = s.spatial_dims();
    if (s.groups != 1 || n > 2 || block_of(preferred_order()) != one_loops().lanes || s.in[1] < one_loops().lanes)
        return false;
    for (int64_t d = 0; d < n; ++d) {
        const size_t i = size_t(d);
        if (s.weight[i + 2] != 1 || s.padding[i] != 0 || s.stride[i] > 2 || s.stride[i] != s.stride[0]) return false;
    }
    return Rows(s).length >= kFewestPositions;
}

Tensor one_scaled(const ConvShape& s, const Tensor& x, const Tensor& w, const Scaling& scaling) {
    return run(s, x, {w, s.in[1], 1, 3}, scaling, one_reads(s, x));
}

bool one_reads(const ConvShape& s, const Tensor& picture) {
    return one_fits(s) && s.stride[0] == 1 && s.out[1] >= one_loops().lanes && picture.dtype() == DType::f32 &&
           picture.is_contiguous() && !picture->storage->image();
}
Tensor one_forward(const ConvShape& s, const Tensor& x, const Tensor& w, const Tensor& bias) {
    const std::vector<float> ones = filled({}, s.out[1], 1), shift = filled(bias, s.out[1], 0);
    return run(s, x, {w, s.in[1], 1, 3}, {ones.data(), shift.data(), -kInfinity, kInfinity}, true);
}
Tensor one_data_gradient(const ConvShape& s, const Tensor& g, const Tensor& w) {
    const std::vector<float> ones = filled({}, s.in[1], 1), none = filled({}, s.in[1], 0);
    const ConvShape turned{s.out, s.weight, s.in, s.stride, s.padding, s.dilation, 1};
    return run(turned, g, {w, 1, s.in[1], 6}, {ones.data(), none.data(), -kInfinity, kInfinity}, true);
}

// The sum over samples of g · xᵀ, or of x · gᵀ where that packs less; each thread takes some of the inputs.
Tensor one_weight_gradient(const ConvShape& s, const Tensor& x, const Tensor& g) {
    const int64_t inputs = s.in[1], outputs = s.out[1], spatial = product(IntSpan(s.in).subspan(2)), samples = s.in[0],
                  width = (inputs + num_threads() - 1) / num_threads();
    const bool turned = outputs < width;
    const Tensor dw = empty(s.weight, DType::f32);
    const dnn::Scratch sums(turned ? size_t(inputs * outputs) * sizeof(float) : 0);
    const LongWork unlocked;
    const GemmKernel& k = gemm_kernel();
    parallel_for((inputs + width - 1) / width, 1, [&](int64_t begin, int64_t end) {
        for (int64_t part = begin; part < end; ++part) {
            const int64_t first = part * width, count = std::min(width, inputs - first);
            const float *from_x = x.data<float>() + first * spatial, *from_g = g.data<float>();
            float *to = dw.data<float>() + first, *rows = sums.as<float>() + first * outputs;
            GemmBlock product =
                turned
                    ? GemmBlock{count, outputs, spatial, 1, 0, from_x, spatial, 1, from_g, 1, spatial, rows, outputs, 1}
                    : GemmBlock{outputs, count, spatial, 1, 0, from_g, spatial, 1, from_x, 1, spatial, to, inputs, 1};
            const dnn::Scratch room(size_t(k.room(product)) * sizeof(float));
            for (int64_t n = 0; n < samples; ++n, product.beta = 1) {
                k.run(product, {}, room.as<float>());
                product.a += (turned ? inputs : outputs) * spatial;
                product.b += (turned ? outputs : inputs) * spatial;
            }
            if (!turned) continue;
            for (int64_t o = 0; o < outputs; ++o)
                for (int64_t c = 0; c < count; ++c) to[o * inputs + c] = rows[c * outputs + o];
        }
    });
    return dw;
}

}  // namespace fb::cpu
