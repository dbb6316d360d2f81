// Borders: constants, reflections, repeated edges, wrapping around. The last dimension's pair of widths comes first.
#include "autograd/back.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

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
Tensor positions(int64_t n, int64_t before, int64_t after, Border how) {
    const int64_t m = n + before + after;
    Tensor at = empty(Dims{m}, DType::i64);
    for (int64_t i = 0; i < m; ++i) {
        int64_t k = i - before;
        if (how == Border::replicate) k = std::clamp<int64_t>(k, 0, n - 1);
        else if (how == Border::circular) {
            // a negative width cuts off first, and what is left is repeated
            const int64_t cut = std::max<int64_t>(-before, 0), left = n - cut - std::max<int64_t>(-after, 0);
            k = cut + (((k - cut) % left) + left) % left;
        } else if (k < 0) k = -k;
        else if (k >= n) k = 2 * (n - 1) - k;
        at.data<int64_t>()[i] = k;
    }
    return at;
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
    Tensor r = x;
    for (int64_t k = 0; k < dims; ++k) {
        const int64_t d = x.dim() - 1 - k, n = x.sizes()[size_t(d)], before = pad[size_t(2 * k)],
                      after = pad[size_t(2 * k + 1)];
        if (how == Border::reflect)
            check(before < n && after < n,
                  "Argument #4: Padding size should be less than the corresponding input dimension, but got: padding (",
                  before, ", ", after, ") at dimension ", d, " of input ", x.sizes());
        if (how == Border::circular) {
            check(before <= n && after <= n, "Padding value causes wrapping around more than once.");
            check(n + before + after == 0 || n + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0) > 0,
                  "Negative padding value is resulting in an empty dimension");
        }
        check(n + before + after >= (how == Border::circular ? 0 : 1), "input (", "W: ", n,
              ") is too small. Calculated output W: ", n + before + after);
        if (before || after) r = op<"index_select">(r, d, positions(n, before, after, how));
    }
    return r.get() == x.get() ? op<"clone">(x) : r;
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
        if (mode == "reflect") return border(x, widths, Border::reflect, "reflection_pad");
        if (mode == "replicate") return border(x, widths, Border::replicate, "replication_pad");
        if (mode == "circular") return border(x, widths, Border::circular, "circular_pad");
        fail(ErrorKind::NotImplemented, "Unrecognised padding mode ", mode);
    }
    fail(ErrorKind::NotImplemented, "Only 2D, 3D, 4D, 5D padding with non-constant padding are supported for now");
}

const Family borders([](Registry& r) {
    r.add("constant_pad_nd(Tensor self, int[] pad, Scalar value=0) -> Tensor", "f")
        .kernel<constant_pad>()
        .grad("self", "", [](Back& b) {
            Dims back(b.ints(1));
            for (auto& p : back) p = -p;
            return op<"constant_pad_nd">(b.g, back, Scalar(0));
        });
    r.add("nn::pad(Tensor self, int[] pad, str mode=\"constant\", float? value=None) -> Tensor", "f").kernel<pad>();
    r.add("nn::reflection_pad1d(Tensor self, int[2] padding) -> Tensor", "f").kernel<border_of<Border::reflect, 1>>();
    r.add("nn::reflection_pad2d(Tensor self, int[4] padding) -> Tensor", "f").kernel<border_of<Border::reflect, 2>>();
    r.add("nn::reflection_pad3d(Tensor self, int[6] padding) -> Tensor", "f").kernel<border_of<Border::reflect, 3>>();
    r.add("nn::replication_pad1d(Tensor self, int[2] padding) -> Tensor", "f")
        .kernel<border_of<Border::replicate, 1>>();
    r.add("nn::replication_pad2d(Tensor self, int[4] padding) -> Tensor", "f")
        .kernel<border_of<Border::replicate, 2>>();
    r.add("nn::replication_pad3d(Tensor self, int[6] padding) -> Tensor", "f")
        .kernel<border_of<Border::replicate, 3>>();
});

}  // namespace
}  // namespace fb
