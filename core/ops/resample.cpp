// Resizing: every mode is, dimension by dimension, a weighted sum of a few input positions for each output position.
#include <algorithm>
#include <cmath>
#include <numbers>
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/images.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

enum class How { nearest, nearest_exact, linear, cubic, linear_aa, cubic_aa, lanczos_aa };

// taps positions and weights for each of `out` outputs.
struct Taps {
    Tensor index, weight;
};

double cubic(double x, double a) {  // Keys, "Cubic convolution interpolation for digital image processing" (1981)
    x = std::abs(x);
    if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}
double sinc(double x) { return x == 0 ? 1 : std::sin(std::numbers::pi * x) / (std::numbers::pi * x); }
double filter(How how, double x) {
    if (how == How::linear_aa) return std::max(0.0, 1 - std::abs(x));
    if (how == How::cubic_aa) return cubic(x, -0.5);
    return std::abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0;
}

template <class R>  // the precision PyTorch computes positions in
Taps make_taps(How how, int64_t in, int64_t out, bool align, double factor) {
    const R scale = align ? (out > 1 ? R(in - 1) / R(out - 1) : R(0)) : factor > 0 ? R(1.0 / factor) : R(in) / R(out);
    std::vector<std::vector<std::pair<int64_t, double>>> rows(static_cast<size_t>(out));
    size_t most = 1;
    for (int64_t o = 0; o < out; ++o) {
        auto& row = rows[size_t(o)];
        switch (how) {
            case How::nearest:
            case How::nearest_exact: {
                const float s = factor > 0 ? float(1.0 / factor) : float(in) / float(out);
                const float at = how == How::nearest ? float(o) * s : (float(o) + 0.5f) * s;
                row.push_back({std::min<int64_t>(int64_t(std::floor(at)), in - 1), 1.0});
                break;
            }
            case How::linear: {
                if (in == out) {
                    row.push_back({o, 1.0});
                    break;
                }
                const R at = align ? scale * R(o) : std::max(R(0), scale * (R(o) + R(0.5)) - R(0.5));
                const int64_t i = std::min<int64_t>(int64_t(at), in - 1);
                const R w = std::min(std::max(at - R(i), R(0)), R(1));
                row.push_back({i, double(R(1) - w)});
                row.push_back({std::min(i + 1, in - 1), double(w)});
                break;
            }
            case How::cubic: {
                const R at = align ? scale * R(o) : scale * (R(o) + R(0.5)) - R(0.5);
                const int64_t i = int64_t(std::floor(at));
                const double t = double(at - R(i));
                for (int64_t k = -1; k <= 2; ++k)
                    row.push_back({std::clamp<int64_t>(i + k, 0, in - 1), cubic(double(k) - t, -0.75)});
                break;
            }
            default: {
                const double s = double(scale), size = how == How::linear_aa ? 2 : how == How::cubic_aa ? 4 : 6;
                const double support = s >= 1 ? size / 2 * s : size / 2, inverse = s >= 1 ? 1 / s : 1,
                             centre = s * (double(o) + 0.5);
                const int64_t from = std::max<int64_t>(int64_t(centre - support + 0.5), 0),
                              to = std::min<int64_t>(int64_t(centre + support + 0.5), in);
                double total = 0;
                for (int64_t j = from; j < to; ++j) {
                    row.push_back({j, filter(how, (double(j) - centre + 0.5) * inverse)});
                    total += row.back().second;
                }
                for (auto& r : row) r.second /= total != 0 ? total : 1;
            }
        }
        most = std::max(most, row.size());
    }
    Taps t{empty(Dims{out, int64_t(most)}, DType::i64), empty(Dims{out, int64_t(most)}, DType::f64)};
    for (int64_t o = 0; o < out; ++o)
        for (size_t k = 0; k < most; ++k) {
            const auto& row = rows[size_t(o)];
            t.index.data<int64_t>()[size_t(o) * most + k] = k < row.size() ? row[k].first : 0;
            t.weight.data<double>()[size_t(o) * most + k] = k < row.size() ? row[k].second : 0;
        }
    return t;
}

// One line of `out` results from `from`, every element of it `inner` numbers; taps of weight zero are not looked at.
template <class T>
void resample_line(const T* from, T* to, int64_t out, int64_t inner, int64_t taps, const int64_t* at, const T* w) {
    if (inner == 1 && taps == 2) {
        const auto part = [&](int64_t k) { return w[k] == 0 ? T(0) : w[k] * from[at[k]]; };
        for (int64_t k = 0; k < 2 * out; k += 2) *to++ = part(k) + part(k + 1);
        return;
    }
    if (inner == 1) {
        for (int64_t o = 0; o < out; ++o) {
            T sum = 0;
            for (int64_t k = 0; k < taps; ++k)
                sum += w[o * taps + k] == 0 ? T(0) : w[o * taps + k] * from[at[o * taps + k]];
            to[o] = sum;
        }
        return;
    }
    for (int64_t o = 0; o < out; ++o) {
        T* row = to + o * inner;
        bool first = true;
        for (int64_t k = 0; k < taps; ++k) {
            const T c = w[o * taps + k], *p = from + at[o * taps + k] * inner;
            if (c == 0) continue;
            if (first && c == 1) {
                std::copy_n(p, inner, row);
            } else if (first) {
#pragma omp simd
                for (int64_t j = 0; j < inner; ++j) row[j] = c * p[j];
            } else {
#pragma omp simd
                for (int64_t j = 0; j < inner; ++j) row[j] += c * p[j];
            }
            first = false;
        }
        if (first) std::fill_n(row, inner, T(0));
    }
}

// Pixels are weighted in integers, as Pillow does it and PyTorch after it: 16-bit weights with as many fractional bits
// as the largest one leaves, rounded sums after each dimension.
struct PixelTaps {
    int bits = 0;
    std::vector<std::vector<std::pair<int64_t, int32_t>>> rows;
};
PixelTaps pixel_taps(int64_t out, int64_t taps, const int64_t* at, const double* w) {
    PixelTaps p;
    double most = 0;
    std::vector<std::vector<std::pair<int64_t, double>>> merged(
        static_cast<size_t>(out));  // the edges repeat a position
    for (int64_t o = 0; o < out; ++o)
        for (int64_t k = o * taps; k < (o + 1) * taps; ++k) {
            auto& row = merged[size_t(o)];
            auto same_place = std::ranges::find(row, at[k], &std::pair<int64_t, double>::first);
            if (same_place == row.end()) row.push_back({at[k], w[k]});
            else same_place->second += w[k];
        }
    for (const auto& row : merged)
        for (const auto& tap : row) most = std::max(most, tap.second);
    while (p.bits < 22 && int(0.5 + most * double(1 << (p.bits + 1))) < (1 << 15)) ++p.bits;
    for (const auto& row : merged) {
        auto& whole = p.rows.emplace_back();
        for (const auto& [i, c] : row) whole.push_back({i, int32_t(c * double(1 << p.bits) + (c < 0 ? -0.5 : 0.5))});
    }
    return p;
}
void resample_pixels(const uint8_t* from, uint8_t* to, int64_t inner, const PixelTaps& p, std::vector<int32_t>& sum) {
    for (const auto& row : p.rows) {
        std::fill(sum.begin(), sum.end(), 1 << (p.bits - 1));
        for (const auto& [i, c] : row)
            for (int64_t j = 0; j < inner; ++j) sum[size_t(j)] += c * from[i * inner + j];
        for (int64_t j = 0; j < inner; ++j) *to++ = uint8_t(std::clamp(sum[size_t(j)] >> p.bits, 0, 255));
    }
}

// The adjoint: every element of a line goes to the positions it was taken from.
template <class T>
void spread_line(const T* from, T* to, int64_t length, int64_t out, int64_t inner, int64_t taps, const int64_t* at,
                 const T* w) {
    std::fill_n(to, length * inner, T(0));
    for (int64_t o = 0; o < out; ++o)
        for (int64_t k = 0; k < taps; ++k) {
            const T c = w[o * taps + k], *p = from + o * inner;
            if (c == 0) continue;
            T* row = to + at[o * taps + k] * inner;
#pragma omp simd
            for (int64_t j = 0; j < inner; ++j) row[j] += c * p[j];
        }
}

// One dimension of an array seen as [outer, from, inner] that becomes [outer, to, inner].
struct Lines {
    int64_t outer, from, to, inner, out, taps;  // `out` positions have taps: those of the result, or of x if transposed
    const int64_t* at;
    const double* weight;
};
template <class T>
void resample_lines(const Lines& l, const T* x, T* r, bool transposed) {
    using A = std::conditional_t<std::is_same_v<T, double>, double, float>;
    const int64_t n = l.from, m = l.to, inner = l.inner, out = l.out, taps = l.taps;
    const int64_t grain = std::max<int64_t>(1, 16384 / std::max<int64_t>(1, std::max(n, m) * inner * taps));
    if constexpr (std::is_same_v<T, uint8_t>) {
        if (!transposed && taps > 1) {
            const PixelTaps pixels = pixel_taps(out, taps, l.at, l.weight);
            parallel_for(l.outer, grain, [&](int64_t b, int64_t e) {
                std::vector<int32_t> sum(static_cast<size_t>(inner));
                for (; b < e; ++b) resample_pixels(x + b * n * inner, r + b * m * inner, inner, pixels, sum);
            });
            return;
        }
    }
    if (!transposed && taps == 1 && std::all_of(l.weight, l.weight + out, [](double w) { return w == 1; })) {
        parallel_for(l.outer, grain, [&](int64_t b, int64_t e) {  // copies of some positions
            for (; b < e; ++b) {
                const T* from = x + b * n * inner;
                T* to = r + b * m * inner;
                if (inner == 1)
                    for (int64_t o = 0; o < out; ++o) to[o] = from[l.at[o]];
                else
                    for (int64_t o = 0; o < out; ++o)
                        copy_bytes(to + o * inner, from + l.at[o] * inner, inner * int64_t(sizeof(T)));
            }
        });
        return;
    }
    if constexpr (std::is_same_v<T, A>) {
        const std::vector<T> weights(l.weight, l.weight + out * taps);
        parallel_for(l.outer, grain, [&](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                if (transposed)
                    spread_line<T>(x + b * n * inner, r + b * m * inner, m, out, inner, taps, l.at, weights.data());
                else resample_line<T>(x + b * n * inner, r + b * m * inner, out, inner, taps, l.at, weights.data());
            }
        });
    } else {
        parallel_for(l.outer, grain, [&](int64_t b, int64_t e) {
            std::vector<A> sum(static_cast<size_t>(transposed ? m * inner : inner));
            for (; b < e; ++b) {
                const T* from = x + b * n * inner;
                T* to = r + b * m * inner;
                if (transposed) std::fill(sum.begin(), sum.end(), A(0));
                for (int64_t o = 0; o < out; ++o) {
                    if (!transposed) std::fill(sum.begin(), sum.end(), A(0));
                    for (int64_t k = 0; k < taps; ++k) {
                        const A c = A(l.weight[o * taps + k]);
                        if (c == 0) continue;
                        const int64_t i = l.at[o * taps + k];
                        const T* p = from + (transposed ? o : i) * inner;
                        A* s = sum.data() + (transposed ? i * inner : 0);
                        for (int64_t j = 0; j < inner; ++j) s[j] += c * A(p[j]);
                    }
                    if (transposed) continue;
                    for (int64_t j = 0; j < inner; ++j) {
                        if constexpr (std::is_integral_v<T>)
                            to[o * inner + j] =
                                T(std::clamp<A>(std::nearbyint(sum[size_t(j)]), A(std::numeric_limits<T>::min()),
                                                A(std::numeric_limits<T>::max())));
                        else to[o * inner + j] = T(sum[size_t(j)]);
                    }
                }
                if (transposed)
                    for (int64_t j = 0; j < m * inner; ++j) to[j] = T(sum[size_t(j)]);
            }
        });
    }
}

// y[…, o, …] = Σ_k weight[o, k] x[…, index[o, k], …]; transposed: the adjoint, back to `length` positions.
Tensor resample(const Tensor& x0, int64_t dim, const Tensor& index, const Tensor& weight, int64_t length,
                bool transposed) {
    dim = wrap_dim(dim, x0.dim());
    check(index.dim() == 2 && same(index.sizes(), weight.sizes()) && index.dtype() == DType::i64 &&
              weight.dtype() == DType::f64 && index->contiguous && weight->contiguous &&
              (!transposed || index.size(0) == x0.size(dim)),
          "resampling expects int64 indices and float64 weights of shape (outputs, taps)");
    if (!index.is_meta()) {
        const int64_t places = transposed ? length : x0.size(dim), *at = index.data<int64_t>();
        for (int64_t i = 0; i < index.numel(); ++i)
            check_index(at[i] >= 0 && at[i] < places, "resampling: index ", at[i], " is out of bounds for ", places,
                        " places");
    }
    const Ptr<Image> image = dim >= 2 ? float_image(x0, x0.dim() - 2) : nullptr;  // worked on as it lies
    const Tensor x = image ? x0 : dense(x0);
    const int64_t out = index.size(0);
    Dims shape = x.sizes();
    shape[size_t(dim)] = transposed ? length : out;
    const Tensor r = image ? make_hidden(shape, x.dtype(), image->order) : empty(shape, x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    Lines l{1, x.size(dim), shape[size_t(dim)], 1, out, index.size(1), index.data<int64_t>(), weight.data<double>()};
    for (int64_t d = image ? 2 : 0; d < x.dim(); ++d)
        if (d != dim) (d < dim ? l.outer : l.inner) *= x.size(d);
    if (image) {
        const Pictures from(*image), to(*hidden_image(r));
        l.outer *= from.count;
        l.inner *= from.width;
        resample_lines<float>(l, from.as<float>(), to.as<float>(), transposed);
        return r;
    }
    visit_dtype(x.dtype(), [&](auto z) {
        using T = decltype(z);
        if constexpr (std::is_same_v<T, bool> || std::is_same_v<T, C64> || std::is_same_v<T, C128>)
            fail(ErrorKind::NotImplemented, "\"upsample\" not implemented for '", x.dtype(), "'");
        else resample_lines<T>(l, x.data<T>(), r.data<T>(), transposed);
    });
    return r;
}

// What a call comes to: for each spatial dimension its new size and taps.
struct Plan {
    Dims sizes;
    std::vector<Taps> taps;
};
Plan plan_of(How how, IntSpan in, DType dtype, const Value& size, const Value& factors, bool align) {
    Plan p;
    const size_t n = in.size() - 2;
    check(size.is_none() != factors.is_none(), "Must specify exactly one of output_size and scale_factors");
    const size_t given = size.is_none() ? factors.doubles().size() : size.ints().size();
    check(given == n, "It is expected output_size equals to ", n, ", but got size ", given);
    Dims shape = in;
    for (size_t d = 0; d < n; ++d) {
        const double f = factors.is_none() ? 0 : factors.doubles()[d];
        const int64_t have = in[2 + d], want = size.is_none() ? int64_t(double(have) * f) : size.ints()[d];
        shape[2 + d] = want;
        p.sizes.push_back(want);
    }
    const auto shown = [n](IntSpan sizes) {  // H: 8, W: 8
        std::string s;
        for (size_t d = 0; d < n; ++d)
            s += str(d ? ", " : "", std::string_view("DHW").substr(3 - n + d, 1), ": ", sizes[d]);
        return s;
    };
    if (std::any_of(in.begin() + 2, in.end(), [](int64_t s) { return s <= 0; }) ||
        std::any_of(p.sizes.begin(), p.sizes.end(), [](int64_t s) { return s <= 0; }))
        fail(ErrorKind::Runtime, "Input and output sizes should be greater than 0, but got input (",
             shown(in.subspan(2)), ")", n == 1 ? " and" : "", " output (", shown(p.sizes), ")");
    (void)empty(shape, dtype, kMeta);  // refuses sizes no tensor can have before tables are made of them
    for (size_t d = 0; d < n; ++d) {
        const double f = factors.is_none() ? 0 : factors.doubles()[d];
        const int64_t have = in[2 + d], want = p.sizes[d];
        p.taps.push_back(dtype == DType::f64 || dtype == DType::u8 ? make_taps<double>(how, have, want, align, f)
                                                                   : make_taps<float>(how, have, want, align, f));
    }
    return p;
}
void check_element_type(How how, int dimensions, DType t) {
    const bool aa = how == How::linear_aa || how == How::cubic_aa || how == How::lanczos_aa,
               nearest = how == How::nearest || how == How::nearest_exact, half = t == DType::f16 || t == DType::bf16,
               pixels = t == DType::u8 && (nearest || dimensions == 2);
    if (t == DType::f32 || t == DType::f64 || pixels || (half && !aa)) return;
    fail(ErrorKind::NotImplemented, '"',
         aa        ? "compute_index_ranges_weights"
         : nearest ? (dimensions == 2 ? "upsample_nearest2d_channels_last" : "compute_indices_weights_nearest")
         : how == How::linear && dimensions == 2 ? "upsample_bilinear2d_channels_last"
         : how == How::linear                    ? "compute_indices_weights_linear"
                                                 : "compute_indices_weights_cubic",
         "\" not implemented for '", scalar_name(t), "'");
}
template <How H, int Dimensions>
Tensor upsample(const Tensor& x, const Value& size, bool align, const Value& factors) {
    check(x.dim() == Dimensions + 2, "It is expected input_size equals to ", Dimensions + 2, ", but got size ",
          x.dim());
    const Plan p = plan_of(H, x.sizes(), x.dtype(), size, factors, align);
    check(x.sizes()[1] > 0, "Non-empty ", Dimensions + 2, "D data tensor expected but got a tensor with sizes ",
          x.sizes());
    check_element_type(H, Dimensions, x.dtype());
    constexpr bool copies = H == How::nearest || H == How::nearest_exact;
    // Half types as floats, rounded once.
    Tensor r = !copies && is_low_precision(x.dtype()) && !x.is_meta() ? convert(x, DType::f32) : x;
    for (int64_t d = Dimensions - 1; d >= 0; --d)
        r = resample(r, d + 2, p.taps[size_t(d)].index, p.taps[size_t(d)].weight, 0, false);
    if (r.dtype() != x.dtype()) r = convert(r, x.dtype());
    if (is_channels_last(x.sizes(), x.strides()) && !x.is_contiguous())
        r = op<"contiguous">(r, Dimensions == 2 ? MemoryFormat::ChannelsLast : MemoryFormat::ChannelsLast3d);
    return r;
}
template <How H, int Dimensions>
Tensor upsample_nearest(const Tensor& x, const Value& size, const Value& factors) {
    return upsample<H, Dimensions>(x, size, false, factors);
}
template <How H, int Dimensions, bool Linear>
Tensor upsample_backward(Back& b) {
    const Dims& in = b.sizes(0);
    const Plan p = plan_of(H, in, b.meta(0).dtype, b.attr(1), b.attr(Linear ? 3 : 2), Linear && b.flag(2));
    Tensor g = b.g;
    for (int64_t d = 0; d < Dimensions; ++d)
        g = op<"_resample">(g, d + 2, p.taps[size_t(d)].index, p.taps[size_t(d)].weight, in[size_t(d + 2)], true);
    return g;
}
template <How H, int D>
void add_nearest(Registry& r, const char* name) {
    r.add((std::string("nn::") + name + "(Tensor input, int[]? output_size, float[]? scale_factors=None) -> Tensor")
              .c_str(),
          "f")
        .kernel<upsample_nearest<H, D>>()
        .grad("input", "", upsample_backward<H, D, false>);
}
template <How H, int D>
void add_smooth(Registry& r, const char* name) {
    r.add((std::string("nn::") + name +
           "(Tensor input, int[]? output_size, bool align_corners, float[]? scale_factors=None) -> Tensor")
              .c_str(),
          "f")
        .kernel<upsample<H, D>>()
        .grad("input", "", upsample_backward<H, D, true>);
}

const Family resampling([](Registry& r) {
    r.add("_resample(Tensor self, int dim, Tensor index, Tensor weight, int length, bool transposed) -> Tensor", "")
        .kernel<resample>()
        .grad("self", "index, weight", [](Back& b) {
            const Dims& in = b.sizes(0);
            const bool transposed = b.flag(5);
            return op<"_resample">(b.g, b.integer(1), b.arg(2), b.arg(3),
                                   transposed ? int64_t(0) : in[size_t(wrap_dim(b.integer(1), int64_t(in.size())))],
                                   !transposed);
        });
    add_nearest<How::nearest, 1>(r, "upsample_nearest1d");
    add_nearest<How::nearest, 2>(r, "upsample_nearest2d");
    add_nearest<How::nearest, 3>(r, "upsample_nearest3d");
    add_nearest<How::nearest_exact, 1>(r, "_upsample_nearest_exact1d");
    add_nearest<How::nearest_exact, 2>(r, "_upsample_nearest_exact2d");
    add_nearest<How::nearest_exact, 3>(r, "_upsample_nearest_exact3d");
    add_smooth<How::linear, 1>(r, "upsample_linear1d");
    add_smooth<How::linear, 2>(r, "upsample_bilinear2d");
    add_smooth<How::linear, 3>(r, "upsample_trilinear3d");
    add_smooth<How::cubic, 2>(r, "upsample_bicubic2d");
    add_smooth<How::linear_aa, 2>(r, "_upsample_bilinear2d_aa");
    add_smooth<How::cubic_aa, 2>(r, "_upsample_bicubic2d_aa");
    add_smooth<How::lanczos_aa, 2>(r, "_upsample_lanczos2d_aa");
});

}  // namespace
}  // namespace fb
