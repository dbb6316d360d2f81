#include "cpu/conv_one.h"
#include <string_view>
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/images.h"
#include "cpu/packed.h"
#include "cpu/pointwise.h"

namespace fb::cpu {
namespace baseline {
extern const OneLoops one_table;
}
#if FB_X86
namespace avx2 {
extern const OneLoops one_table;
}
namespace avx512 {
extern const OneLoops one_table;
}
#endif

const OneLoops& one_loops() {
#if FB_X86
    static const std::string_view level = cpu_level();
    if (level == "avx512") return avx512::one_table;
    if (level == "avx2") return avx2::one_table;
#endif
    return baseline::one_table;
}

namespace {

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

// Outputs in pairs of vectors, for each input one after the other; filled up with zeros.
Packed in_pairs(const Tensor& w, int64_t inputs, int64_t outputs, int64_t blocks, int64_t lanes) {
    constexpr int kForm = 3;
    return packed_weight(w, dnn::Desc(), kForm, size_t(blocks * lanes * inputs) * sizeof(float), [&](void* p) {
        const float* from = w.data<float>();
        parallel_for((blocks + 1) / 2, std::max<int64_t>(1, 16384 / (inputs * lanes)), [&](int64_t begin, int64_t end) {
            for (int64_t pair = begin; pair < end; ++pair) {
                const int64_t first = pair * 2 * lanes, width = std::min(2 * lanes, blocks * lanes - first);
                float* to = static_cast<float*>(p) + first * inputs;
                for (int64_t o = 0; o < width; ++o)
                    for (int64_t c = 0; c < inputs; ++c)
                        to[c * width + o] = first + o < outputs ? from[(first + o) * inputs + c] : 0.f;
            }
        });
    });
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

Tensor one_scaled(const ConvShape& s, const Tensor& x0, const Tensor& w, const Scaling& scaling) {
    const OneLoops& k = one_loops();
    const Tensor x = image_in(x0, preferred_order()), y = make_hidden(s.out, DType::f32, preferred_order());
    const Pictures from(*hidden_image(x)), to(*hidden_image(y));
    const int64_t lanes = k.lanes, inputs = s.in[1], samples = s.in[0], in_blocks = from.count / samples,
                  blocks = to.count / samples, pairs = (blocks + 1) / 2,
                  in_size = product(IntSpan(s.in).subspan(2)) * lanes,
                  out_size = product(IntSpan(s.out).subspan(2)) * lanes;
    const Packed packed = in_pairs(w, inputs, s.out[1], blocks, lanes);
    const Rows rows(s);
    const bool far = s.stride[0] == 2;
    // Tiles of about equal size. Some of them, as many as stay in the second cache, meet all the outputs of a group.
    const int64_t tiles = (rows.length + k.positions - 1) / k.positions,
                  room = std::max<int64_t>(1, (256 << 10) / (inputs * k.positions * int64_t(sizeof(float)))),
                  per_chunk = std::min(tiles, room), chunks = (tiles + per_chunk - 1) / per_chunk,
                  parts = samples * rows.count * chunks,
                  groups = std::clamp<int64_t>((8 * num_threads() + parts - 1) / parts, 1, pairs);
    parallel_for(parts * groups, 1, [&](int64_t begin, int64_t end) {
        for (int64_t item = begin; item < end; ++item) {
            const int64_t group = item % groups, part = item / groups, chunk = part % chunks,
                          row = part / chunks % rows.count, n = part / chunks / rows.count;
            const float* source = from.as<float>() + n * in_blocks * in_size + row * rows.in_step * lanes;
            float* result = to.as<float>() + n * blocks * out_size + row * rows.length * lanes;
            const int64_t last = std::min(tiles, (chunk + 1) * per_chunk);
            for (int64_t pair = pairs * group / groups; pair < pairs * (group + 1) / groups; ++pair) {
                const int64_t block = 2 * pair;
                for (int64_t t = chunk * per_chunk; t < last; ++t) {
                    const int64_t p0 = rows.length * t / tiles, p1 = rows.length * (t + 1) / tiles;
                    k.tile({source + p0 * lanes * (far ? 2 : 1),
                            in_size,
                            inputs,
                            packed->as<const float>() + block * lanes * inputs,
                            result + block * out_size + p0 * lanes,
                            out_size,
                            p1 - p0,
                            block + 1 < blocks,
                            far,
                            {scaling.scale + block * lanes, scaling.shift + block * lanes, scaling.low, scaling.high}});
                }
            }
        }
    });
    return y;
}

}  // namespace fb::cpu
