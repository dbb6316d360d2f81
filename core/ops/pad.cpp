// Borders: constants, reflections, repeated edges, wrapping around. The last dimension's pair of widths comes first.
#include <cstring>
#include "autograd/back.h"
#include "cpu/copy_loops.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

// Where the positions of a dimension of the result come from: those before and behind a run of neighbours one by one,
// -1 for a constant.
struct Sources {
    std::vector<int64_t> before, behind;
    int64_t first, count;  // of the run
    int64_t size() const { return int64_t(before.size() + behind.size()) + count; }
    int64_t operator[](int64_t i) const {
        const int64_t k = i - int64_t(before.size());
        return k < 0 ? before[size_t(i)] : k < count ? first + k : behind[size_t(k - count)];
    }
};
template <class F>
Sources sources(int64_t n, int64_t before, int64_t after, F&& outside) {
    const int64_t size = n + before + after, start = std::clamp<int64_t>(before, 0, size),
                  stop = std::clamp<int64_t>(before + n, start, size);
    Sources s{{}, {}, start - before, stop - start};
    for (int64_t i = 0; i < start; ++i) s.before.push_back(outside(i - before));
    for (int64_t i = stop; i < size; ++i) s.behind.push_back(outside(i - before));
    return s;
}
// A tensor whose last dimensions have sources: a plane is what they span. Rows of a plane of the result, each with the
// offset of its source in a plane of x, or -1.
struct Planes {
    int64_t count = 1, size_in = 1;
    std::vector<int64_t> rows;
    Sources within;
    int64_t size() const { return int64_t(rows.size()) * within.size(); }
};
Planes planes_of(IntSpan in, std::vector<Sources> from) {  // `from` starts at the last dimension
    Planes p;
    size_t d = in.size();
    std::vector<int64_t> rows{0};
    p.within = std::move(from[0]);
    p.size_in = in[--d];
    for (size_t k = 1; k < from.size(); ++k) {
        std::vector<int64_t> more(size_t(from[k].size()) * rows.size());
        int64_t* to = more.data();
        for (int64_t i = 0; i < from[k].size(); ++i) {
            const int64_t at = from[k][i];
            for (const int64_t row : rows) *to++ = at < 0 || row < 0 ? -1 : at * p.size_in + row;
        }
        rows = std::move(more);
        p.size_in *= in[--d];
    }
    p.rows = std::move(rows);
    while (d > 0) p.count *= in[--d];
    return p;
}
void copy_planes(const Tensor& x, const Tensor& r, const Planes& planes, const void* value) {
    const Sources& within = planes.within;
    const int64_t width = within.size(), lead = int64_t(within.before.size()), run = within.count,
                  rows = int64_t(planes.rows.size());
    by_item_size(itemsize(x.dtype()), [&]<class T>(T) {
        T constant{};
        if (value) std::memcpy(&constant, value, sizeof(T));
        const T* in = reinterpret_cast<const T*>(bytes(x));
        T* out = reinterpret_cast<T*>(bytes(r));
        // Few constants beside a run are stored as 16 bytes, which what comes next in the result overwrites: at most a
        // row that is as long.
        constexpr int64_t kFew = std::max<int64_t>(1, 16 / sizeof(T));
        const int64_t behind = int64_t(within.behind.size());
        const bool few = value && lead <= kFew && behind <= kFew && width >= kFew;
        T several[kFew];
        std::fill_n(several, kFew, constant);
        parallel_for(planes.count * rows, std::max<int64_t>(1, 16384 / width), [&](int64_t begin, int64_t end) {
            T* to = out + begin * width;
            const T* plane = in + begin / rows * planes.size_in;
            for (int64_t row = begin % rows; begin < end; ++begin, ++row, to += width) {
                if (row == rows) {
                    row = 0;
                    plane += planes.size_in;
                }
                if (planes.rows[size_t(row)] < 0) {
                    std::fill_n(to, width, constant);
                    continue;
                }
                const T* from = plane + planes.rows[size_t(row)];
                if (few && begin + 1 < end) {
                    std::memcpy(to, several, sizeof several);
                    copy_bytes(to + lead, from + within.first, run * int64_t(sizeof(T)));
                    std::memcpy(to + lead + run, several, sizeof several);
                    continue;
                }
                T* q = to;
                if (value) std::fill_n(q, lead, constant), q += lead;
                else
                    for (const int64_t i : within.before) *q++ = from[i];
                const auto copy = [&](int64_t b, int64_t e) {
                    copy_bytes(q + b, from + within.first + b, (e - b) * int64_t(sizeof(T)));
                };
                if (run < (1 << 17)) copy(0, run);
                else parallel_for(run, 1 << 16, copy);  // one row alone may be long
                q = to + lead + run;
                if (value) std::fill_n(q, behind, constant);
                else
                    for (const int64_t i : within.behind) *q++ = from[i];
            }
        });
    });
}

Tensor constant_pad(const Tensor& x, IntSpan pad, Scalar value) {
    check(pad.size() % 2 == 0, "Length of pad must be even but instead it equals ", pad.size());
    check(int64_t(pad.size()) / 2 <= x.dim(),
          "Length of pad should be no more than twice the number of dimensions of the input. Pad length is ",
          pad.size(), " while the input has ", x.dim(), " dimensions.");
    Dims shape = x.sizes();
    Tensor inner = x;
    const int64_t n = x.dim();
    for (size_t k = 0; k < pad.size() / 2; ++k) {
        const size_t d = size_t(n - 1 - int64_t(k));
        shape[d] += pad[2 * k] + pad[2 * k + 1];
        if (shape[d] < 0)
            fail(ErrorKind::Runtime, "The input size ", x.sizes()[d], ", plus negative padding ", pad[2 * k], " and ",
                 pad[2 * k + 1], " resulted in a negative output size, which is invalid. Check dimension ", d,
                 " of your input.");
    }
    Tensor r = x->contiguous || !is_channels_last(x.sizes(), x.strides())
                   ? empty(shape, x.dtype(), x.device())
                   : empty_strided(shape, channels_last_strides(shape), x.dtype(), x.device());
    if (r.is_meta() || !r.numel()) return r;
    if (r->contiguous && x.numel()) {
        if (!n) {
            copy_data(r, x);
            return r;
        }
        std::vector<Sources> from;
        for (size_t k = 0; k == 0 || k < pad.size() / 2; ++k)
            from.push_back(sources(x.sizes()[size_t(n) - 1 - k], pad.empty() ? 0 : pad[2 * k],
                                   pad.empty() ? 0 : pad[2 * k + 1], [](int64_t) { return int64_t(-1); }));
        const Tensor one = empty(Dims{1}, x.dtype());
        fill(one, value);
        copy_planes(dense(x), r, planes_of(x.sizes(), std::move(from)), bytes(one));
        return r;
    }
    fill(r, value);
    Tensor to = r;
    for (size_t k = 0; k < pad.size() / 2; ++k) {
        const int64_t d = n - 1 - int64_t(k), before = pad[2 * k], after = pad[2 * k + 1];
        const int64_t have = x.sizes()[size_t(d)], from = std::max<int64_t>(0, -before),
                      count = have - from - std::max<int64_t>(0, -after);
        if (count <= 0) return r;
        auto cut = [&](const Tensor& t, int64_t at) {
            Dims s = t.sizes();
            s[size_t(d)] = count;
            return make_view(t, s, t.strides(), t->offset + at * t.strides()[size_t(d)]);
        };
        inner = cut(inner, from);
        to = cut(to, std::max<int64_t>(0, before));
    }
    copy_data(to, inner);
    return r;
}

// The other modes choose, along each padded dimension, which position each result position repeats.
enum class Border { reflect, replicate, circular };
Planes planes_of(IntSpan in, IntSpan pad, Border how) {
    std::vector<Sources> from;
    for (size_t k = 0; k < pad.size() / 2; ++k) {
        const int64_t n = in[in.size() - 1 - k], before = pad[2 * k], after = pad[2 * k + 1];
        from.push_back(sources(n, before, after, [=](int64_t i) {
            if (how == Border::replicate) return std::clamp<int64_t>(i, 0, n - 1);
            if (how == Border::reflect) return i < 0 ? -i : 2 * (n - 1) - i;
            // a negative width cuts off first, and what is left is repeated
            const int64_t cut = std::max<int64_t>(-before, 0), left = n - cut - std::max<int64_t>(-after, 0);
            return cut + (((i - cut) % left) + left) % left;
        }));
    }
    return planes_of(in, std::move(from));
}
// True if there is anything to do.
bool check_widths(IntSpan sizes, IntSpan pad, Border how) {
    constexpr int64_t most = int64_t(1) << 56;
    bool any = false;
    for (size_t k = 0; k < pad.size() / 2; ++k) {
        const size_t d = sizes.size() - 1 - k;
        const int64_t n = sizes[d], before = pad[2 * k], after = pad[2 * k + 1];
        check(std::abs(before / 2) < most && std::abs(after / 2) < most, "padding is too large: ", pad);
        if (how == Border::reflect)
            check(before < n && after < n,
                  "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (",
                  before, ", ", after, ") at dimension ", int64_t(d), " of input ", sizes);
        if (how == Border::circular) {
            check(before <= n && after <= n, "Padding value causes wrapping around more than once.");
            check(n + before + after == 0 || n + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0) > 0,
                  "Negative padding value is resulting in an empty dimension");
        }
        check(n + before + after >= (how == Border::circular ? 0 : 1), "input (", "W: ", n,
              ") is too small. Calculated output W: ", n + before + after);
        any = any || before || after;
    }
    return any;
}
Dims bordered_sizes(const char* name, IntSpan sizes, IntSpan pad, int64_t how) {
    check(how >= 0 && how <= int64_t(Border::circular), name, ": there is no mode ", how);
    check(!pad.empty() && pad.size() % 2 == 0 && pad.size() / 2 <= sizes.size(), name,
          ": expected a pair of widths for each of one to ", int64_t(sizes.size()), " dimensions, got ", pad);
    for (size_t k = 0; k < pad.size() / 2; ++k)
        check(sizes[sizes.size() - 1 - k] > 0, name, ": padded dimensions must not be empty, got ", sizes);
    check_widths(sizes, pad, Border(how));
    Dims r = sizes;
    for (size_t k = 0; k < pad.size() / 2; ++k) r[r.size() - 1 - k] += pad[2 * k] + pad[2 * k + 1];
    return r;
}
Tensor bordered(const Tensor& x, IntSpan pad, int64_t how) {
    const Dims shape = bordered_sizes("_border", x.sizes(), pad, how);
    const bool last = Border(how) != Border::circular && !x.is_contiguous() && is_channels_last(x.sizes(), x.strides());
    const auto in_rows = [&] { return empty_strided(shape, channels_last_strides(shape), x.dtype(), x.device()); };
    if (x.is_meta()) return last ? in_rows() : empty(shape, x.dtype(), kMeta);
    const Tensor r = empty(shape, x.dtype());
    if (r.numel()) copy_planes(dense(x), r, planes_of(x.sizes(), pad, Border(how)), nullptr);
    if (!last) return r;
    const Tensor rows = in_rows();
    copy_data(rows, r);
    return rows;
}
// The adjoint: every value goes back to where it was taken from.
Tensor bordered_backward(const Tensor& g, IntSpan sizes, IntSpan pad, int64_t how) {
    check(same(g.sizes(), bordered_sizes("_border_backward", sizes, pad, how)),
          "_border_backward: a gradient of shape ", g.sizes(), " does not fit sizes ", sizes, " with padding ", pad);
    const Tensor r = op<"zeros">(sizes, g.dtype(), nullptr, g.device());
    if (r.is_meta() || !g.numel()) return r;
    const Tensor dg = dense(g);
    const Planes planes = planes_of(sizes, pad, Border(how));
    const Sources& within = planes.within;
    visit_dtype(g.dtype(), [&]<class T>(T) {
        if constexpr (!std::is_same_v<T, bool>) {
            const T* in = dg.data<T>();
            T* out = r.data<T>();
            const auto add = [](T& to, T v) { to = T(to + v); };
            parallel_for(planes.count, std::max<int64_t>(1, 16384 / planes.size()), [&](int64_t b, int64_t e) {
                const T* from = in + b * planes.size();
                for (; b < e; ++b)
                    for (const int64_t row : planes.rows) {
                        T* const to = out + b * planes.size_in + row;
                        for (const int64_t i : within.before) add(to[i], *from++);
                        T* const run = to + within.first;
#pragma omp simd
                        for (int64_t i = 0; i < within.count; ++i) add(run[i], from[i]);
                        from += within.count;
                        for (const int64_t i : within.behind) add(to[i], *from++);
                    }
            });
        }
    });
    return r;
}
Tensor border(const Tensor& x, IntSpan pad, Border how, const char* name) {
    const int64_t dims = int64_t(pad.size()) / 2;
    check(pad.size() % 2 == 0 && dims >= 1, name, ": padding must hold a pair of widths for each dimension, got ", pad);
    check(x.dim() == dims + 1 || x.dim() == dims + 2, "Expected ", dims + 1, "D or ", dims + 2,
          "D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ",
          x.sizes());
    for (int64_t d = x.dim() == dims + 1 ? 0 : 1; d < x.dim(); ++d)
        check(x.sizes()[size_t(d)] > 0, "Expected ", dims + 1, "D or ", dims + 2,
              "D (batch mode) tensor with possibly 0 batch size and other non-zero dimensions for input, but got: ",
              x.sizes());
    if (x.dtype() == DType::b1 && how != Border::circular) no_kernel(str(name, dims, "d").c_str(), x.dtype());
    return check_widths(x.sizes(), pad, how) ? op<"_border">(x, pad, int64_t(how)) : op<"clone">(x);
}
// By the operators of two and three dimensions' own names, which autocast knows.
template <Name one, Name two, Name three>
Tensor border_by_name(const Tensor& x, IntSpan pad) {
    return pad.size() == 2 ? op<one>(x, pad) : pad.size() == 4 ? op<two>(x, pad) : op<three>(x, pad);
}
template <Border How, int Dimensions>
Tensor border_of(const Tensor& x, IntSpan pad) {
    static constexpr const char* names[] = {"reflection_pad", "replication_pad", "circular_pad"};
    check(int64_t(pad.size()) == 2 * Dimensions, "padding size is expected to be ", 2 * Dimensions,
          ", but got: ", pad.size());
    return border(x, pad, How, names[int(How)]);
}

Tensor pad(const Tensor& x, IntSpan widths, std::string_view mode, std::optional<double> value) {
    check(widths.size() % 2 == 0, "Padding length must be divisible by 2");
    check(int64_t(widths.size()) <= 2 * x.dim(),
          "Padding length should be less than or equal to two times the input dimension but got padding length ",
          widths.size(), " and input of dimension ", x.dim());
    if (mode == "constant")
        return op<"constant_pad_nd">(
            x, widths, is_integral(x.dtype(), true) ? Scalar(int64_t(value.value_or(0))) : Scalar(value.value_or(0)));
    check(!value || *value == 0, "Padding mode \"", mode, "\" doesn't take in value argument");
    const int64_t dims = int64_t(widths.size()) / 2;
    if ((x.dim() == dims + 1 || x.dim() == dims + 2) && dims <= 3) {
        if (mode == "reflect")
            return border_by_name<"nn::reflection_pad1d", "nn::reflection_pad2d", "nn::reflection_pad3d">(x, widths);
        if (mode == "replicate")
            return border_by_name<"nn::replication_pad1d", "nn::replication_pad2d", "nn::replication_pad3d">(x, widths);
        if (mode == "circular") return border(x, widths, Border::circular, "circular_pad");
        fail(ErrorKind::NotImplemented, "Unrecognised padding mode ", mode);
    }
    fail(ErrorKind::NotImplemented, "Padding size ", widths.size(), " is not supported for ", x.dim(),
         "D input tensor.");
}

const Family borders([](Registry& r) {
    r.add("constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor", "f")
        .kernel<constant_pad>()
        .grad("self", "", [](Back& b) {
            Dims back(b.ints(1));
            for (auto& p : back) p = -p;
            return op<"constant_pad_nd">(b.g, back, Scalar(0));
        });
    r.add("_border(Tensor self, int[] pad, int mode) -> Tensor", "f")
        .kernel<bordered>()
        .grad("self", "", [](Back& b) { return op<"_border_backward">(b.g, b.sizes(0), b.ints(1), b.integer(2)); })
        .piecewise_linear();
    r.add("_border_backward(Tensor grad_output, int[] sizes, int[] pad, int mode) -> Tensor", "f")
        .kernel<bordered_backward>()
        .grad("grad_output", "", [](Back& b) { return op<"_border">(b.g, b.ints(2), b.integer(3)); });
    r.add("nn::pad(Tensor self, int[] pad, str mode=\"constant\", float? value=None) -> Tensor", "f").kernel<pad>();
    r.add("nn::reflection_pad1d(Tensor self, int[2] padding) -> Tensor", "f")
        .kernel<border_of<Border::reflect, 1>>()
        .shown_as("ReflectionPad1DBackward0");
    r.add("nn::reflection_pad2d(Tensor self, int[4] padding) -> Tensor", "f")
        .kernel<border_of<Border::reflect, 2>>()
        .shown_as("ReflectionPad2DBackward0");
    r.add("nn::reflection_pad3d(Tensor self, int[6] padding) -> Tensor", "f")
        .kernel<border_of<Border::reflect, 3>>()
        .shown_as("ReflectionPad3DBackward0");
    r.add("nn::replication_pad1d(Tensor self, int[2] padding) -> Tensor", "f")
        .kernel<border_of<Border::replicate, 1>>()
        .shown_as("ReplicationPad1DBackward0");
    r.add("nn::replication_pad2d(Tensor self, int[4] padding) -> Tensor", "f")
        .kernel<border_of<Border::replicate, 2>>()
        .shown_as("ReplicationPad2DBackward0");
    r.add("nn::replication_pad3d(Tensor self, int[6] padding) -> Tensor", "f")
        .kernel<border_of<Border::replicate, 3>>()
        .shown_as("ReplicationPad3DBackward0");
});

}  // namespace
}  // namespace fb
