// Sampling pictures at given places: a few taps for each place, which serve all channels.
#include <cmath>
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/lines.h"
#include "cpu/room.h"
#include "cpu/sample.h"
#include "cpu/watch.h"

namespace fb {
namespace {
using namespace cpu;

// ---------------------------------------------------------------- three operators that are each other's derivatives
// x is [N, C, L]; index and weight are [N, taps, P]: sums over the taps of weight · x[n, c, index], those outside left
// out. Where vectors can, they run over the channels, which are brought together first.
constexpr int64_t kPoints = 64;  // at a time

bool by_channels(const Tensor& x) { return x.dtype() == DType::f32 && x.size(1) > 1; }
int64_t padded(int64_t channels) { return (channels + 3) / 4 * 4; }

// [N, C, L] as [N, L, C], the channels filled up with zeros to vectors.
Tensor channels_together(const Tensor& x) {
    const int64_t c = x.size(1), width = padded(c);
    const Tensor r = empty(Dims{x.size(0), x.size(2), width}, x.dtype());
    if (c < width) fill(r, 0);
    const Dims s = r.strides();
    copy_data(make_view(r, x.sizes(), Dims{s[0], 1, s[1]}, r->offset), x);
    return r;
}
Taps taps_of(const Tensor& index, const Tensor& weight, int64_t n, int64_t p, int64_t length) {
    const int64_t at = n * index.size(1) * index.size(2) + p;
    return {index.data<int64_t>() + at, weight.defined() ? weight.data<float>() + at : nullptr, index.size(1),
            index.size(2), length};
}
// Calls f(sample, first point, points) for blocks of points, on all threads.
template <class F>
void each_block(int64_t samples, int64_t points, int64_t cost, F&& f) {
    const int64_t blocks = (points + kPoints - 1) / kPoints;
    parallel_for(samples * blocks, std::max<int64_t>(1, 16384 / (kPoints * cost)), [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
            const int64_t p = b % blocks * kPoints;
            f(b / blocks, p, std::min(kPoints, points - p));
        }
    });
}
void turn(const float* from, int64_t from_row, float* to, int64_t to_row, int64_t ni, int64_t nj) {
    copy_loops().turn4(reinterpret_cast<const uint32_t*>(from), from_row, reinterpret_cast<uint32_t*>(to), to_row, ni,
                       nj);
}
template <class F>
void by_float(DType t, F&& f) {
    if (t == DType::f32) f(float{});
    else if (t == DType::f64) f(double{});
    else fail(ErrorKind::NotImplemented, "\"grid_sampler\" not implemented for '", scalar_name(t), "'");
}

// x and g are batch, channels, places; index and weight are batch, taps, points. Places there are none of do not count.
void check_sample(const Tensor& x, const Tensor& index, const Tensor* weight) {
    check(x.dim() == 3 && index.dim() == 3 && x.size(0) == index.size(0) && index.dtype() == DType::i64 &&
              (!weight || (same(weight->sizes(), index.sizes()) && weight->dtype() == x.dtype())),
          "sampling expects values of shape (N, C, L), int64 indices of shape (N, K, P) and weights like these, got ",
          x.sizes(), " and ", index.sizes());
}
Tensor sample(const Tensor& x0, const Tensor& index0, const Tensor& weight0) {
    check_sample(x0, index0, &weight0);
    const Tensor x = dense(x0), index = dense(index0), weight = dense(weight0);
    const int64_t n = x.size(0), c = x.size(1), length = x.size(2), taps = index.size(1), points = index.size(2);
    const Tensor r = empty(Dims{n, c, points}, x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    if (by_channels(x)) {
        const Tensor table = channels_together(x);
        const int64_t width = table.size(2);
        each_block(n, points, width, [&](int64_t s, int64_t p, int64_t count) {
            const Room<float> rows(kPoints * width);
            sample_loops().gather(table.data<float>() + s * length * width, width, taps_of(index, weight, s, p, length),
                                  count, rows.get());
            turn(rows.get(), width, r.data<float>() + s * c * points + p, points, count, c);
        });
        return r;
    }
    by_float(x.dtype(), [&]<class T>(T) {
        parallel_for(n * c, std::max<int64_t>(1, 16384 / (points * taps)), [&](int64_t b, int64_t e) {
            for (; b < e; ++b) {
                const T* plane = x.data<T>() + b * length;
                T* to = r.data<T>() + b * points;
                std::fill_n(to, points, T(0));
                for (int64_t t = 0; t < taps; ++t) {
                    const int64_t* at = index.data<int64_t>() + (b / c * taps + t) * points;
                    const T* w = weight.data<T>() + (b / c * taps + t) * points;
                    for (int64_t p = 0; p < points; ++p)
                        to[p] += uint64_t(at[p]) < uint64_t(length) ? w[p] * plane[at[p]] : T(0);
                }
            }
        });
    });
    return r;
}
Tensor sample_backward(const Tensor& g0, const Tensor& index0, const Tensor& weight0, int64_t length) {
    check_sample(g0, index0, &weight0);
    check(g0.size(2) == index0.size(2), "sampling: a gradient of shape ", g0.sizes(), " for indices of shape ",
          index0.sizes());
    const Tensor g = dense(g0), index = dense(index0), weight = dense(weight0);
    const int64_t n = g.size(0), c = g.size(1), taps = index.size(1), points = index.size(2);
    const Tensor r = empty(Dims{n, c, length}, g.dtype(), g.device());
    if (r.is_meta() || !r.numel()) return r;
    if (by_channels(g) && points) {
        const int64_t width = padded(c), parts = n >= num_threads() ? 1 : (width + 15) / 16,
                      part = (width / 4 + parts - 1) / parts * 4;
        const Tensor table = empty(Dims{n, length, width}, g.dtype());
        fill(table, 0);
        // A thread has samples, or channels of them, for itself.
        parallel_for(n * parts, std::max<int64_t>(1, 16384 / (points * part)), [&](int64_t b, int64_t e) {
            const Room<float> rows(kPoints * part);
            std::fill_n(rows.get(), kPoints * part, 0.0f);
            for (; b < e; ++b) {
                const int64_t s = b / parts, first = b % parts * part, used = std::min(part, width - first);
                if (used <= 0) continue;
                for (int64_t p = 0; p < points; p += kPoints) {
                    const int64_t count = std::min(kPoints, points - p);
                    turn(g.data<float>() + (s * c + first) * points + p, points, rows.get(), part,
                         std::min(used, c - first), count);
                    sample_loops().scatter(rows.get(), width, used, part, taps_of(index, weight, s, p, length), count,
                                           table.data<float>() + s * length * width + first);
                }
            }
        });
        copy_data(r, make_view(table, r.sizes(), Dims{length * width, 1, width}, table->offset));
        return r;
    }
    by_float(g.dtype(), [&]<class T>(T) {
        parallel_for(n * c, std::max<int64_t>(1, 16384 / std::max<int64_t>(1, points * taps)),
                     [&](int64_t b, int64_t e) {
                         for (; b < e; ++b) {
                             const T* from = g.data<T>() + b * points;
                             T* plane = r.data<T>() + b * length;
                             std::fill_n(plane, length, T(0));
                             for (int64_t t = 0; t < taps; ++t) {
                                 const int64_t* at = index.data<int64_t>() + (b / c * taps + t) * points;
                                 const T* w = weight.data<T>() + (b / c * taps + t) * points;
                                 for (int64_t p = 0; p < points; ++p)
                                     if (uint64_t(at[p]) < uint64_t(length)) plane[at[p]] += w[p] * from[p];
                             }
                         }
                     });
    });
    return r;
}
// [N, taps, P]: the product of a point's values and its tap's, summed over the channels.
Tensor sample_products(const Tensor& g0, const Tensor& x0, const Tensor& index0) {
    check_sample(x0, index0, nullptr);
    check(g0.dtype() == x0.dtype() && same(g0.sizes(), Dims{x0.size(0), x0.size(1), index0.size(2)}),
          "sampling: a gradient of shape ", g0.sizes(), " for values of shape ", x0.sizes());
    const Tensor g = dense(g0), x = dense(x0), index = dense(index0);
    const int64_t n = x.size(0), c = x.size(1), length = x.size(2), taps = index.size(1), points = index.size(2);
    const Tensor r = empty(index.sizes(), x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    if (by_channels(x)) {
        const Tensor table = channels_together(x);
        const int64_t width = table.size(2);
        each_block(n, points, width, [&](int64_t s, int64_t p, int64_t count) {
            const Room<float> rows(kPoints * width);
            if (c < width) std::fill_n(rows.get(), kPoints * width, 0.0f);
            turn(g.data<float>() + s * c * points + p, points, rows.get(), width, c, count);
            sample_loops().products(rows.get(), table.data<float>() + s * length * width, width,
                                    taps_of(index, {}, s, p, length), count, r.data<float>() + s * taps * points + p);
        });
        return r;
    }
    by_float(x.dtype(), [&]<class T>(T) {
        parallel_for(n * taps, std::max<int64_t>(1, 16384 / (points * std::max<int64_t>(1, c))),
                     [&](int64_t b, int64_t e) {
                         for (; b < e; ++b) {
                             const int64_t* at = index.data<int64_t>() + b * points;
                             T* to = r.data<T>() + b * points;
                             std::fill_n(to, points, T(0));
                             for (int64_t k = b / taps * c; k < (b / taps + 1) * c; ++k) {
                                 const T *from = g.data<T>() + k * points, *plane = x.data<T>() + k * length;
                                 for (int64_t p = 0; p < points; ++p)
                                     if (uint64_t(at[p]) < uint64_t(length)) to[p] += from[p] * plane[at[p]];
                             }
                         }
                     });
    });
    return r;
}

// ---------------------------------------------------------------- places and taps
Tensor unnormalized(const Tensor& g, int64_t size, bool align) {
    const Tensor one = op<"add">(g, Scalar(1));
    return align ? op<"mul">(one, Scalar(double(size - 1) / 2))
                 : op<"div">(op<"sub">(op<"mul">(one, Scalar(size)), Scalar(1)), Scalar(2));
}
Tensor reflected(const Tensor& x, double low2, double high2) {  // bounds are given doubled, to stay exact
    if (low2 == high2) return op<"zeros_like">(x);
    const double low = low2 / 2, span = (high2 - low2) / 2;
    const Tensor d = op<"abs">(op<"sub">(x, Scalar(low))), extra = op<"fmod">(d, Scalar(span));
    const Tensor even = op<"eq">(op<"fmod">(op<"floor">(op<"div">(d.detach(), Scalar(span))), Scalar(2)), Scalar(0));
    return op<"where">(even, op<"add">(extra, Scalar(low)), op<"rsub">(extra, Scalar(span + low)));
}
Tensor bordered(Tensor x, int64_t size, int64_t padding, bool align) {
    if (padding == 2) x = align ? reflected(x, 0, double(2 * (size - 1))) : reflected(x, -1, double(2 * size - 1));
    return padding ? op<"clamp">(x, Scalar(0), Scalar(size - 1)) : x;
}

struct Weighted {
    Tensor index, weight;
};
// Taps at integer places (one tensor for each spatial dimension, slowest first); outside ones have the index -1.
Tensor index_of(const std::vector<Tensor>& at, IntSpan sizes) {
    Tensor index, inside;
    for (size_t d = 0; d < at.size(); ++d) {
        const int64_t n = sizes[d];
        const Tensor place = at[d].detach();
        const Tensor ok = op<"logical_and">(op<"ge">(place, Scalar(0)), op<"lt">(place, Scalar(n)));
        const Tensor i = op<"clamp">(place, Scalar(0), Scalar(n - 1)).to(DType::i64);
        inside = d ? op<"logical_and">(inside, ok) : ok;
        index = d ? op<"add">(op<"mul">(index, Scalar(n)), i) : i;
    }
    return op<"where">(inside, index, Scalar(-1));
}
// Whether kernels find the neighbours of these places, which nothing is to be differentiated by.
bool fits(const Tensor& grid, IntSpan sizes, int64_t padding) {
    return grid.dtype() == DType::f32 && grid.device().type == DeviceType::CPU && !(tls.grad && grid.requires_grad()) &&
           padding >= 0 && padding <= 2 && sizes[0] < INT32_MAX / (sizes[1] + 1) - 2;
}
// The neighbours of places that nothing is to be differentiated by.
Weighted neighbours(const Tensor& grid0, IntSpan sizes, int64_t mode, int64_t padding, bool align) {
    const Tensor grid = dense(grid0);
    const int64_t n = grid.size(0), points = grid.numel() / std::max<int64_t>(1, 2 * n), taps = kNeighbours[mode];
    const Weighted t{empty(Dims{n, taps, points}, DType::i64), empty(Dims{n, taps, points}, DType::f32)};
    each_block(n, points, taps, [&](int64_t s, int64_t p, int64_t count) {
        const int64_t at = s * taps * points + p;
        sample_loops().neighbours({grid.data<float>() + 2 * (s * points + p), int32_t(sizes[0]), int32_t(sizes[1]),
                                   int(mode), int(padding), align},
                                  count, points, t.index.data<int64_t>() + at, t.weight.data<float>() + at);
    });
    return t;
}
Weighted taps_at(const Tensor& grid, IntSpan sizes, int64_t mode, int64_t padding, bool align) {
    const size_t n = sizes.size();
    if (n == 2 && fits(grid, sizes, padding)) return neighbours(grid, sizes, mode, padding, align);
    std::vector<Tensor> at;  // slowest dimension first
    for (size_t d = 0; d < n; ++d) {
        const Tensor raw = unnormalized(op<"select">(grid, -1, int64_t(n - 1 - d)), sizes[d], align);
        at.push_back(mode == 2 ? raw : bordered(raw, sizes[d], padding, align));
    }
    std::vector<Tensor> index, weight;
    if (mode == 1) {
        for (auto& a : at) a = op<"round">(a.detach());
        index.push_back(index_of(at, sizes));
        const Tensor ones = op<"ones_like">(at[0]);  // the grid has a gradient all the same: zeros
        weight.push_back(grid.requires_grad()
                             ? op<"where">(op<"ones_like">(ones, DType::b1), ones, op<"select">(grid, -1, 0))
                             : ones);
    }
    std::vector<Tensor> base, part;
    for (auto& a : at) {
        base.push_back(op<"floor">(a.detach()));
        part.push_back(op<"sub">(a, base.back()));
    }
    for (int64_t corner = 0; mode == 0 && corner < (1 << n); ++corner) {
        std::vector<Tensor> where;
        Tensor product;
        for (size_t d = 0; d < n; ++d) {
            const bool up = corner >> d & 1;
            where.push_back(up ? op<"add">(base[d], Scalar(1)) : base[d]);
            const Tensor w = up ? part[d] : op<"rsub">(part[d], Scalar(1));
            product = product.defined() ? op<"mul">(product, w) : w;
        }
        index.push_back(index_of(where, sizes));
        weight.push_back(product);
    }
    if (mode == 2) {
        const double a = -0.75;
        auto weight_of = [&](const Tensor& t, int k) {  // cubic(k - t)
            const Tensor s = k == -1  ? op<"add">(t, Scalar(1))
                             : k == 0 ? t
                             : k == 1 ? op<"rsub">(t, Scalar(1))
                                      : op<"rsub">(t, Scalar(2));
            const Tensor s2 = op<"mul">(s, s);
            if (k == 0 || k == 1)
                return op<"add">(op<"mul">(s2, op<"sub">(op<"mul">(s, Scalar(a + 2)), Scalar(a + 3))), Scalar(1));
            return op<"mul">(
                op<"sub">(op<"mul">(op<"add">(op<"mul">(op<"sub">(s, Scalar(5)), s), Scalar(8)), s), Scalar(4)),
                Scalar(a));
        };
        for (int i = -1; i <= 2; ++i)
            for (int j = -1; j <= 2; ++j) {
                std::vector<Tensor> where;
                const int k[2] = {i, j};
                for (size_t d = 0; d < 2; ++d)
                    where.push_back(bordered(op<"add">(base[d], Scalar(k[d])), sizes[d], padding, align));
                index.push_back(index_of(where, sizes));
                weight.push_back(op<"mul">(weight_of(part[0], i), weight_of(part[1], j)));
            }
    }
    const auto stacked = [&](const std::vector<Tensor>& parts) {
        return op<"flatten.using_ints">(op<"stack">(parts, 1), 2, -1);
    };
    return {stacked(index), stacked(weight)};
}
// All at once, where nobody asks for a gradient or looks at operators: places and weights are never in memory.
Tensor sampled_picture(const Tensor& x0, const Tensor& grid0, int64_t mode, int64_t padding, bool align) {
    const Tensor x = dense(x0), grid = dense(grid0);
    const int64_t n = x.size(0), c = x.size(1), height = x.size(2), width = x.size(3), length = height * width,
                  row = padded(c), points = grid.size(1) * grid.size(2);
    const Tensor r = empty(Dims{n, c, grid.size(1), grid.size(2)}, DType::f32);
    if (!r.numel()) return r;
    const bool nearest = mode == 1;
    const Tensor table = nearest ? x : empty(Dims{n, length + 1, row}, DType::f32);
    const int64_t per_sample = nearest ? c * length : (length + 1) * row, blocks = (length + 255) / 256;
    if (!nearest && c < row) fill(table, 0);
    parallel_for(nearest ? 0 : n * blocks, std::max<int64_t>(1, 64 / row), [&](int64_t b, int64_t e) {
        for (; b < e; ++b) {
            const int64_t s = b / blocks, first = b % blocks * 256;
            float* const to = table.data<float>() + s * per_sample;
            if (!first) std::fill_n(to + length * row, row, 0.0f);
            turn(x.data<float>() + s * c * length + first, length, to + first * row, row, c,
                 std::min<int64_t>(256, length - first));
        }
    });
    static_assert(kPoints <= kMostPlaces);
    each_block(n, points, row * kNeighbours[mode] / 4 + 1, [&](int64_t s, int64_t p, int64_t count) {
        sample_loops().picture({grid.data<float>() + 2 * (s * points + p), int32_t(height), int32_t(width), int(mode),
                                int(padding), align},
                               count, table.data<float>() + s * per_sample, row, c,
                               r.data<float>() + s * c * points + p, points);
    });
    return r;
}
Tensor grid_sampler(const Tensor& x, const Tensor& grid, int64_t mode, int64_t padding, bool align) {
    for (const Tensor& t : {x, grid}) (void)wrap_dim(0, t.dim(), false);
    const int64_t n = x.dim() - 2;
    check(x.size(0) == grid.size(0),
          "grid_sampler(): expected grid and input to have same batch size, but got input with sizes ", x.sizes(),
          " and grid with sizes ", grid.sizes());
    check(grid.size(-1) == n, "grid_sampler(): expected grid to have size ", n,
          " in last dimension, but got grid with sizes ", grid.sizes());
    check(x.dim() == grid.dim() && (x.dim() == 4 || x.dim() == 5), "grid_sampler(): expected ", x.dim() == 4 ? 4 : 5,
          "D input and grid with same number of dimensions, but got input with sizes ", x.sizes(),
          " and grid with sizes ", grid.sizes());
    for (int64_t d = 2; d < x.dim(); ++d)
        check(x.sizes()[size_t(d)] > 0,
              "grid_sampler(): expected input to have non-empty spatial dimensions, but input has sizes ", x.sizes(),
              " with dimension ", d, " being empty");
    check(!(n == 3 && mode == 2), "grid_sampler(): bicubic interpolation only supports 4D input");
    check(mode >= 0 && mode <= 2, "grid_sampler(): interpolation_mode is 0, 1 or 2, got ", mode);
    if (!is_floating(x.dtype()))
        fail(ErrorKind::NotImplemented, n == 2 ? "\"grid_sampler_2d_cpu_kernel_impl\"" : "\"grid_sampler3d_cpu\"",
             " not implemented for '", scalar_name(x.dtype()), "'");
    check(x.dtype() == grid.dtype(), "expected scalar type ", scalar_name(x.dtype()), " but found ",
          scalar_name(grid.dtype()));
    if (is_low_precision(x.dtype()))  // places need more digits than half precision has
        return grid_sampler(x.to(DType::f32), grid.to(DType::f32), mode, padding, align).to(x.dtype());
    const IntSpan sizes = IntSpan(x.sizes()).subspan(2);
    if (n == 2 && fits(grid, sizes, padding) && x.device().type == DeviceType::CPU && !tls.modes && !watcher &&
        !(tls.grad && x.requires_grad()))
        return sampled_picture(x, grid, mode, padding, align);
    const Weighted taps = taps_at(grid, sizes, mode, padding, align);
    Dims shape{x.size(0), x.size(1)};
    for (int64_t d = 1; d + 1 < grid.dim(); ++d) shape.push_back(grid.size(d));
    return op<"reshape">(op<"_sample">(op<"flatten.using_ints">(x, 2, -1), taps.index, taps.weight), shape);
}
Tensor affine_grid_generator(const Tensor& theta, IntSpan size, bool align) {
    check(size.size() == 4 || size.size() == 5, "AffineGridGenerator needs 4d (spatial) or 5d (volumetric) inputs.");
    const size_t n = size.size() - 2;
    check(theta.dim() == 3 && theta.size(1) == int64_t(n) && theta.size(2) == int64_t(n + 1),
          "Expected a batch of affine matrices of shape Nx", n, "x", n + 1, " for size ", size, ". Got ", theta.sizes(),
          ".");
    check(theta.size(0) == size[0], "Expected size for first two dimensions of batch2 tensor to be: [", size[0], ", ",
          n + 1, "] but got: [", theta.size(0), ", ", n + 1, "].");
    Dims shape(size.subspan(2));
    std::vector<Tensor> parts;
    for (size_t k = 0; k < n; ++k) {  // x first
        const size_t d = n - 1 - k;
        const int64_t m = shape[d];
        Tensor line = op<"linspace">(Scalar(-1), Scalar(1), m, theta.dtype());
        if (m <= 1) line = op<"zeros_like">(line);
        if (!align) line = op<"mul">(line, Scalar(double(m - 1) / double(m)));
        Dims one(n, 1);
        one[d] = m;
        parts.push_back(op<"expand">(op<"reshape">(line, one), shape));
    }
    parts.push_back(op<"ones">(shape, theta.dtype()));
    const Tensor base = op<"reshape">(op<"stack">(parts, -1), Dims{1, -1, int64_t(n + 1)});
    const Tensor g =
        op<"matmul">(op<"expand">(base, Dims{size[0], base.size(1), base.size(2)}), op<"transpose">(theta, 1, 2));
    Dims out{size[0]};
    for (int64_t s : shape) out.push_back(s);
    out.push_back(int64_t(n));
    return op<"view">(op<"contiguous">(g), out);
}

// Under the name that its node has in PyTorch.
Tensor named_grid_sampler(const Tensor& x, const Tensor& grid, int64_t mode, int64_t padding, bool align) {
    const uint64_t since = next_node();
    Tensor r = grid_sampler(x, grid, mode, padding, align);
    show_as(r, x.dim() == 5 ? "GridSampler3DBackward0" : "GridSampler2DBackward0", since);
    return r;
}

const Family sampling([](Registry& r) {
    r.add("_sample(Tensor self, Tensor index, Tensor weight) -> Tensor", "f")
        .kernel<sample>()
        .grad("self", "index, weight",
              [](Back& b) { return op<"_sample_backward">(b.g, b.arg(1), b.arg(2), b.sizes(0)[2]); })
        .grad("weight", "self, index", [](Back& b) { return op<"_sample_products">(b.g, b.arg(0), b.arg(1)); });
    r.add("_sample_backward(Tensor grad_output, Tensor index, Tensor weight, int length) -> Tensor", "f")
        .kernel<sample_backward>()
        .grad("grad_output", "index, weight", [](Back& b) { return op<"_sample">(b.g, b.arg(1), b.arg(2)); })
        .grad("weight", "grad_output, index", [](Back& b) { return op<"_sample_products">(b.arg(0), b.g, b.arg(1)); });
    r.add("_sample_products(Tensor grad_output, Tensor self, Tensor index) -> Tensor", "f")
        .kernel<sample_products>()
        .grad("grad_output", "self, index", [](Back& b) { return op<"_sample">(b.arg(1), b.arg(2), b.g); })
        .grad("self", "grad_output, index",
              [](Back& b) { return op<"_sample_backward">(b.arg(0), b.arg(2), b.g, b.sizes(1)[2]); });
    for (const char* name : {"grid_sampler", "grid_sampler_2d", "grid_sampler_3d"})
        r.add((std::string(name) +
               "(Tensor input, Tensor grid, int interpolation_mode, int padding_mode, bool align_corners) -> Tensor")
                  .c_str(),
              "f")
            .kernel<named_grid_sampler>();
    r.add("affine_grid_generator(Tensor theta, int[] size, bool align_corners) -> Tensor", "f")
        .kernel<affine_grid_generator>();
});

}  // namespace
}  // namespace fb
