// What pooling is asked for: its checks, and the shape that the loops go by.
#pragma once
#include "base/error.h"
#include "base/names.h"
#include "cpu/pool.h"
#include "tensor/tensor.h"

namespace fb {
namespace {
using cpu::PoolShape;

constexpr const char* counted[] = {"", "a single int", "two ints", "three ints"};

template <int n>
struct Window {
    Dims kernel, stride, padding, dilation;
};

template <int n>
Window<n> window(const std::string& name, IntSpan kernel, IntSpan stride, IntSpan padding, IntSpan dilation) {
    const auto fits = [&](IntSpan v, const char* what, const char* how) {
        check(v.size() == 1 || int(v.size()) == n, name, ": ", what,
              name == "avg_pool3d" ? " must be " : " must either be ", how, "a single int, or a tuple of ", counted[n]);
        return v.size() == 1 ? Dims(size_t(n), v[0]) : Dims(v);
    };
    Window<n> w;
    w.kernel = fits(kernel, "kernel_size", "");
    w.stride = stride.empty() ? w.kernel : fits(stride, "stride", "omitted, ");
    w.padding = fits(padding, "padding", "");
    w.dilation = fits(dilation, "dilation", "");
    const auto positive = [](const Dims& v, const char* what, const char* letter) {  // kT: 1 kH: 2 kW: 2
        if (*std::min_element(v.begin(), v.end()) > 0) return;
        std::string all;
        for (size_t d = 0; d < n; ++d)
            all += str(d ? " " : "", letter, std::string_view("THW").substr(3 - n + d, 1), ": ", v[d]);
        fail(ErrorKind::Runtime, what, " should be greater than zero, but got ", all);
    };
    for (size_t i = 0; i < n; ++i) {
        check(w.stride[i] != 0, "stride should not be zero");
        check(w.padding[i] >= 0, "pad must be non-negative, but got pad: ", w.padding[i]);
        int64_t most = 0;
        check(!__builtin_mul_overflow(w.kernel[i] - 1, w.dilation[i], &most) && w.padding[i] <= (most + 1) / 2,
              "pad should be at most half of effective kernel size, but got pad=", w.padding[i],
              ", kernel_size=", w.kernel[i], " and dilation=", w.dilation[i]);
    }
    positive(w.kernel, "kernel size", "k");
    positive(w.stride, "stride", "d");
    positive(w.dilation, "dilation", "dilation");
    return w;
}

int64_t output_size(int64_t in, int64_t k, int64_t pad, int64_t stride, int64_t dilation, bool ceil) {
    const int64_t room = in + 2 * pad - dilation * (k - 1) - 1 + (ceil ? stride - 1 : 0);
    int64_t out = (room >= 0 ? room / stride : -((-room + stride - 1) / stride)) + 1;
    if (ceil && (out - 1) * stride >= in + pad) --out;  // the last window must start inside
    return out;
}

std::string joined(int64_t first, IntSpan rest) {
    std::string s = std::to_string(first);
    for (int64_t v : rest) s += "x" + std::to_string(v);
    return s;
}

template <int n>
PoolShape pool_shape(const Tensor& x, const Window<n>& w, bool ceil, bool average) {
    const Dims& sizes = x.sizes();
    const size_t lead = sizes.size() - n;
    bool empty = false;
    for (size_t d = (int64_t(sizes.size()) == n + 2 ? 1 : 0); d < sizes.size(); ++d) empty = empty || sizes[d] == 0;
    if constexpr (n == 2) {
        if (x.dim() != 3 && x.dim() != 4) {
            if (!average) fail(ErrorKind::Runtime, "non-empty 3D or 4D (batch mode) tensor expected for input");
            if (x.dim() < 3)  // the first thing it asks for is a size that is not there
                fail(ErrorKind::Index, "Dimension out of range (expected to be in range of [",
                     -std::max(x.dim(), int64_t(1)), ", ", std::max(x.dim(), int64_t(1)) - 1, "], but got -3)");
            fail(ErrorKind::Runtime,
                 "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:", sizes);
        }
        check(!empty,
              "Expected 3D or 4D (batch mode) tensor with optional 0 dim batch size for input, but got:", sizes);
    } else {
        check(x.dim() == n + 1 || x.dim() == n + 2, "non-empty ", n + 1, "D or ", n + 2,
              "D (batch mode) tensor expected for input");
        check(!empty, "Expected ", n + 1, "D or ", n + 2,
              "D (batch mode) tensor with optional 0 dim batch size for input, but got:", sizes);
    }
    PoolShape s;
    s.deep = n == 3;
    Dims in, out;
    bool small = false;
    for (size_t d = 0; d < n; ++d) {
        const size_t i = 3 - n + d;
        s.in[i] = sizes[lead + d];
        s.kernel[i] = w.kernel[d];
        s.stride[i] = w.stride[d];
        s.pad[i] = w.padding[d];
        s.dilation[i] = w.dilation[d];
        s.out[i] = output_size(s.in[i], s.kernel[i], s.pad[i], s.stride[i], s.dilation[i], ceil);
        in.push_back(s.in[i]);
        out.push_back(s.out[i]);
        small = small || s.out[i] < 1;
    }
    check(!small, "Given input size: (", joined(sizes[lead - 1], in), "). Calculated output size: (",
          joined(sizes[lead - 1], out), "). Output size is too small");
    return s;
}

template <int n>
PoolShape adaptive_shape(const Tensor& x, IntSpan output, const char* name) {
    const Dims& sizes = x.sizes();
    const bool average = std::string_view(name).find("avg") != std::string_view::npos;
    check(x.dim() == n + 1 || x.dim() == n + 2, name, "(): Expected ", n + 1, "D or ", n + 2,
          average ? "D tensor, but got " : "D tensor, but got: ", sizes);
    check(n == 2 || !average || sizes[sizes.size() - n - 1] > 0, name,
          "(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ", sizes,
          " with dimension ", sizes.size() - n - 1, " being empty");
    check(int(output.size()) == n || output.size() == 1, name, ": output_size must be ", n);
    PoolShape s;
    s.deep = n == 3;
    s.adaptive = true;
    for (size_t d = 0; d < n; ++d) {
        const size_t dim = sizes.size() - n + d;
        check(sizes[dim] > 0, name,
              "(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ", sizes,
              " with dimension ", dim, " being empty");
        s.in[3 - n + d] = sizes[dim];
        s.out[3 - n + d] = output[output.size() == 1 ? 0 : d];
        if (s.out[3 - n + d] < 0) {
            if (!average) {
                Dims whole(IntSpan(sizes).subspan(0, sizes.size() - n));
                for (size_t i = 0; i < n; ++i) whole.push_back(output[output.size() == 1 ? 0 : i]);
                fail(ErrorKind::Runtime, "Trying to create tensor with negative dimension -1: ", whole);
            }
            std::string all;  // three are spaced unevenly in PyTorch
            for (size_t i = 0; i < output.size(); ++i)
                all += (i == 0 ? "" : i == 1 ? ", " : ",") + std::to_string(output[i]);
            fail(ErrorKind::Runtime, name,
                 ": elements of output_size must be greater than or equal to 0 but received {", all, "}");
        }
    }
    return s;
}

// The largest of nothing: not even channels may be missing.
void check_channels(const Tensor& x, const char* name) {
    for (int64_t d = 1; d < x.dim(); ++d)
        check(x.size(d) > 0, name,
              "(): Expected input to have non-zero size for non-batch dimensions, but input has sizes ", x.sizes(),
              " with dimension ", d, " being empty");
}

}  // namespace
}  // namespace fb
