// Reductions: sums, products, extremes, norms, moments, tests.
#include <cmath>
#include <functional>
#include "autograd/back.h"
#include "base/parallel.h"
#include "ops/formula.h"
#include "cpu/fold.h"
#include "cpu/iter.h"
#include "cpu/lines.h"

namespace fb {
namespace {
using namespace cpu;

Tensor cast(const Tensor& t, DType d) { return t.dtype() == d ? t : convert(t, d); }
Tensor finished(const Tensor& folded, DType want, const Out& out) {
    if (!out.given()) return cast(folded, want);
    Tensor r = out.result(folded.sizes(), want, folded.device());
    copy_data(r, folded);
    return r;
}
// The gradient of a reduction, put back into the shape before it: kept dimensions of size one, then broadcast by the
// caller.
Tensor unreduced(const Tensor& g, IntSpan sizes, IntSpan dims, bool keepdim, bool all_if_empty = true) {
    if (keepdim || sizes.empty()) return g;
    const uint64_t mask = dims_mask(dims, int64_t(sizes.size()), all_if_empty);
    Dims shape;
    for (size_t d = 0; d < sizes.size(); ++d) shape.push_back(mask >> d & 1 ? 1 : sizes[d]);
    return op<"reshape">(g, shape);
}
int64_t count_of(IntSpan sizes, IntSpan dims) {
    const uint64_t mask = dims_mask(dims, int64_t(sizes.size()));
    int64_t n = 1;
    for (size_t d = 0; d < sizes.size(); ++d)
        if (mask >> d & 1) n *= sizes[d];
    return n;
}
using formula::conj;

// --- sums
DType sum_dtype(const Tensor& x, DType d, const Out& out) {
    if (d != DType::none) return d;
    if (out.given()) return (*out.given()).dtype();
    return is_integral(x.dtype(), true) ? DType::i64 : x.dtype();
}
Tensor sum_dims(const Tensor& x, IntSpan dims, bool keepdim, DType dtype, Out out) {
    const DType want = sum_dtype(x, dtype, out);
    const Tensor in = is_integral(x.dtype(), true) && !is_integral(want, true) ? convert(x, want)
                      : is_complex(want) && !is_complex(x.dtype())             ? convert(x, want)
                                                                               : x;
    return finished(fold(Fold::sum, "sum_cpu", in, dims_mask(dims, x.dim()), keepdim, 0, want), want, out);
}
Tensor sum(const Tensor& x, DType dtype) { return sum_dims(x, {}, false, dtype, Out()); }
Tensor nansum(const Tensor& x, IntSpan dims, bool keepdim, DType dtype, Out out) {
    const DType want = sum_dtype(x, dtype, out);
    check(!is_complex(x.dtype()), "nansum on CPU does not support complex inputs");
    const uint64_t mask = dims_mask(dims, x.dim());
    if (!is_floating(x.dtype()) || is_low_precision(x.dtype())) {
        // Halves have a loop for plain sums only: the same thing where no sum is NaN.
        const Tensor r = fold(Fold::sum, "nansum_cpu", x, mask, keepdim);
        const double* const sums = r.dtype() == DType::f64 && !r.is_meta() ? r.data<double>() : nullptr;
        if (!sums || std::none_of(sums, sums + r.numel(), [](double v) { return v != v; }))
            return finished(r, want, out);
    }
    return finished(fold(Fold::nansum, "nansum_cpu", x, mask, keepdim), want, out);
}
DType mean_dtype(const Tensor& x, DType d, const Out& out) {
    const DType want = d != DType::none ? d : out.given() ? (*out.given()).dtype() : x.dtype();
    if (!is_floating(want) && !is_complex(want)) {
        const char* what = d == DType::none ? "Input" : "Optional";
        fail(ErrorKind::Runtime, "mean(): could not infer output dtype. ", what,
             " dtype must be either a floating point or complex dtype. Got: ", scalar_name(want));
    }
    return want;
}
Tensor mean_dims(const Tensor& x, IntSpan dims, bool keepdim, DType dtype, Out out) {
    const DType want = mean_dtype(x, dtype, out);
    const uint64_t mask = dims_mask(dims, x.dim());
    int64_t n = 1;
    for (int64_t d = 0; d < x.dim(); ++d)
        if (mask >> d & 1) n *= x.sizes()[size_t(d)];
    // Many means are floats at once: three passes less over them.
    const bool many = x.dtype() == DType::f32 && want == DType::f32 && n && x.numel() / n >= 1024;
    Tensor total =
        fold(Fold::sum, "mean_cpu",
             is_integral(x.dtype(), true) || (is_complex(want) && !is_complex(x.dtype())) ? convert(x, want) : x, mask,
             keepdim, 0, many ? want : DType::none);
    if (total.is_meta()) return finished(total, want, out);
    if (is_complex(total.dtype())) {
        C128* p = total.data<C128>();
        for (int64_t i = 0; i < total.numel(); ++i) p[i] = {p[i].re / double(n), p[i].im / double(n)};
    } else {
        const Loop divide = binary_loop(Binary::div, total.dtype());
        const double wide = double(n);
        const float single = float(n);
        const bool is_wide = total.dtype() == DType::f64;
        const int64_t item = is_wide ? 8 : 4, steps[] = {item, item, 0};
        char* const p = static_cast<char*>(total->data());
        parallel_for(total.numel(), 32768, [&](int64_t begin, int64_t end) {
            const void* const by = is_wide ? static_cast<const void*>(&wide) : &single;
            char* const ends[] = {p + begin * item, p + begin * item, static_cast<char*>(const_cast<void*>(by))};
            divide(ends, steps, end - begin, nullptr);
        });
    }
    return finished(total, want, out);
}
Tensor mean(const Tensor& x, DType dtype, Out out) { return mean_dims(x, {}, false, dtype, out); }
Tensor mean_backward(Back& b, IntSpan dims, bool keepdim) {
    const Dims& sizes = b.sizes(0);
    const Scalar n(int64_t(std::max<int64_t>(1, count_of(sizes, dims))));
    return op<"expand">(op<"div">(unreduced(b.g, sizes, dims, keepdim), n), sizes);
}

// --- products
Tensor prod_mask(const Tensor& x, uint64_t mask, bool keepdim, DType dtype, const Out& out) {
    const DType want = sum_dtype(x, dtype, out);
    const Tensor in = is_integral(x.dtype(), true) != is_integral(want, true) ? convert(x, want) : x;
    return finished(fold(Fold::prod, "prod_cpu", in, mask, keepdim, 0, want), want, out);
}
Tensor prod(const Tensor& x, DType dtype, Out out) { return prod_mask(x, ~uint64_t(0), false, dtype, out); }
Tensor prod_dim(const Tensor& x, int64_t dim, bool keepdim, DType dtype, Out out) {
    return prod_mask(x, uint64_t(1) << wrap_dim(dim, x.dim()), keepdim, dtype, out);
}
// The product of all but one: exclusive products from both ends, right also where values are zero, and differentiable.
Tensor product_of_others(const Tensor& x, int64_t dim) {
    const int64_t n = x.size(dim);
    Dims one = x.sizes();
    one[size_t(wrap_dim(dim, x.dim()))] = 1;
    const Tensor ones = op<"ones">(one, x.dtype(), nullptr, x.device());
    if (n <= 1) return op<"expand">(ones, x.sizes());
    const Tensor before = op<"cat">(std::vector<Tensor>{ones, op<"cumprod">(op<"narrow">(x, dim, 0, n - 1), dim)}, dim);
    const Tensor flipped = op<"flip">(x, Dims{dim});
    const Tensor after = op<"flip">(
        op<"cat">(std::vector<Tensor>{ones, op<"cumprod">(op<"narrow">(flipped, dim, 0, n - 1), dim)}, dim), Dims{dim});
    return op<"mul">(before, after);
}
Tensor prod_backward(Back& b) {
    const Tensor x = b.arg(0);
    if (x.dim() == 0) return b.g;
    const Tensor flat = op<"reshape">(x, Dims{-1});
    return op<"mul">(b.g, conj(op<"reshape">(product_of_others(flat, 0), x.sizes())));
}
Tensor prod_dim_backward(Back& b) {
    const Tensor x = b.arg(0);
    if (x.dim() == 0) return b.g;
    const Dims d{b.integer(1)};
    return op<"mul">(unreduced(b.g, x.sizes(), d, b.flag(2)), conj(product_of_others(x, b.integer(1))));
}

// --- extremes
void need_values(const Tensor& x, const char* name, IntSpan dims) {
    if (x.numel()) return;
    if (dims.empty())
        fail(dims.empty() && std::string_view(name).starts_with("arg") ? ErrorKind::Index : ErrorKind::Runtime, name,
             "(): Expected reduction dim to be specified for input.numel() == 0. Specify the reduction dim with the "
             "'dim' argument.");
    for (int64_t d : dims)
        if (x.size(d) == 0) fail(ErrorKind::Index, name, "(): Expected reduction dim ", d, " to have non-zero size.");
}
Tensor extreme(Fold f, const char* name, const Tensor& x, IntSpan dims, bool keepdim, const Out& out) {
    need_values(x, name, dims);
    if (is_complex(x.dtype())) {
        const bool whole = std::string_view(name) == "max" || std::string_view(name) == "min";
        no_kernel(str(f == Fold::max ? "max" : "min", whole ? "_all" : "_values_cpu").c_str(), x.dtype());
    }
    return finished(fold(f, name, x, dims_mask(dims, x.dim()), keepdim), x.dtype(), out);
}
Tensor amax(const Tensor& x, IntSpan dims, bool keepdim, Out out) {
    return extreme(Fold::max, "amax", x, dims, keepdim, out);
}
Tensor amin(const Tensor& x, IntSpan dims, bool keepdim, Out out) {
    return extreme(Fold::min, "amin", x, dims, keepdim, out);
}
Tensor max_all(const Tensor& x, Out out) { return extreme(Fold::max, "max", x, {}, false, out); }
Tensor min_all(const Tensor& x, Out out) { return extreme(Fold::min, "min", x, {}, false, out); }
// Shared evenly among the places that hold the extreme.
// Equal extremes share the gradient.
Tensor shared_among_equals(const Tensor& x, const Tensor& result, const Tensor& grad, IntSpan dims, bool keepdim) {
    const Tensor r = unreduced(result, x.sizes(), dims, keepdim), g = unreduced(grad, x.sizes(), dims, keepdim);
    const Tensor mask = op<"logical_or">(op<"eq">(x, r), op<"logical_and">(op<"isnan">(x), op<"isnan">(r)));
    const Tensor count = op<"sum.dim_IntList">(mask, dims, true);
    return op<"div">(op<"mul">(g, mask), dims.empty() && !keepdim ? op<"sum">(mask) : count);
}
Tensor extreme_backward(Back& b, IntSpan dims, bool keepdim) {
    return shared_among_equals(b.arg(0), b.result(), b.g, dims, keepdim);
}
Tensor aminmax_backward(Back& b) {
    Dims dims;
    if (!b.attr(1).is_none()) dims.push_back(b.integer(1));
    Tensor sum;
    for (int i = 0; i < 2; ++i) {
        if (!b.has(i)) continue;
        const Tensor part = shared_among_equals(b.arg(0), b.result(i), b.grad(i), dims, b.flag(2));
        sum = sum.defined() ? op<"add">(sum, part) : part;
    }
    return sum;
}

Tensor arg_reduce(Fold f, const char* name, const Tensor& x, std::optional<int64_t> dim, bool keepdim, const Out& out) {
    check(!is_complex(x.dtype()), name, "(): does not support complex input");
    check(x.dtype() != DType::b1, name, "(): does not support bool input");
    if (!dim) {
        need_values(x, name, {});
        return finished(fold(f, name, x, ~uint64_t(0), keepdim), DType::i64, out);
    }
    wrap_dim(*dim, x.dim());
    if (x.dim()) need_values(x, name, Dims{*dim});
    return finished(fold(f, name, x, uint64_t(1) << wrap_dim(*dim, x.dim()), keepdim), DType::i64, out);
}
Tensor argmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim, Out out) {
    return arg_reduce(Fold::argmax, "argmax", x, dim, keepdim, out);
}
Tensor argmin(const Tensor& x, std::optional<int64_t> dim, bool keepdim, Out out) {
    return arg_reduce(Fold::argmin, "argmin", x, dim, keepdim, out);
}

std::tuple<Tensor, Tensor> extreme_dim(Fold f, const char* name, const Tensor& x, int64_t dim, bool keepdim,
                                       const Out& out) {
    const int64_t d = wrap_dim(dim, x.dim());
    check(!is_complex(x.dtype()), name, "(): does not support complex input");
    if (x.dim()) need_values(x, name, Dims{d});
    Tensor index = fold(f, name, x, uint64_t(1) << d, true);
    Tensor value = x.dim() ? op<"gather">(x, d, index) : op<"clone">(x);
    if (!keepdim && x.dim()) {
        index = make_view(index, reduced_shape(x.sizes(), uint64_t(1) << d, false),
                          contiguous_strides(reduced_shape(x.sizes(), uint64_t(1) << d, false)), 0);
        value = make_view(value, index.sizes(), contiguous_strides(index.sizes()), 0);
    }
    return {finished(value, x.dtype(), out), finished(index, DType::i64, out.at(1))};
}
std::tuple<Tensor, Tensor> max_dim(const Tensor& x, int64_t dim, bool keepdim, Out out) {
    return extreme_dim(Fold::argmax, "max", x, dim, keepdim, out);
}
std::tuple<Tensor, Tensor> min_dim(const Tensor& x, int64_t dim, bool keepdim, Out out) {
    return extreme_dim(Fold::argmin, "min", x, dim, keepdim, out);
}
std::tuple<Tensor, Tensor> aminmax(const Tensor& x, std::optional<int64_t> dim, bool keepdim) {
    Dims dims;
    if (dim) dims.push_back(*dim);
    else need_values(x, "aminmax", {});
    const bool whole = !dim && !keepdim && x->contiguous && !x->lazy() && !x.is_meta();
    const auto both = [&]<class T>(const T* values) {
        const auto [low, high] = extremes(values, x.numel());
        return std::tuple(op<"full">(Dims{}, int64_t(low), x.dtype()), op<"full">(Dims{}, int64_t(high), x.dtype()));
    };
    if (whole && x.dtype() == DType::i64) return both(x.data<int64_t>());
    if (whole && x.dtype() == DType::i32) return both(x.data<int32_t>());
    // Of all: pieces that the nearest cache keeps for the second look.
    constexpr int64_t kPiece = 32768;
    const FoldLoop least = fold_loop(Fold::min, x.dtype()), largest = fold_loop(Fold::max, x.dtype());
    const int64_t item = int64_t(itemsize(x.dtype())), each = kPiece / item, pieces = x.numel() / each;
    if (whole && least && largest && pieces >= 4 && !is_low_precision(x.dtype())) {
        const int64_t rest = x.numel() - pieces * each, count = pieces + (rest > 0);
        const Tensor low = empty(Dims{count}, x.dtype()), high = empty(Dims{count}, x.dtype());
        const char* const in = static_cast<const char*>(x.data());
        parallel_for(count, std::max<int64_t>(1, 32768 / each), [&](int64_t begin, int64_t end) {
            ReducePlan p;
            p.folded = p.kept = 1;
            p.fold_stride[0] = item;
            for (; begin < end; ++begin) {
                p.length = p.fold_size[0] = begin < pieces ? each : rest;
                p.results = p.kept_size[0] = 1;
                p.kept_stride[0] = kPiece;
                for (const auto& [loop, to] : {std::pair(least, &low), std::pair(largest, &high)})
                    loop(p, in + begin * kPiece, static_cast<char*>(to->data()) + begin * item, 0, 1);
            }
        });
        return {op<"amin">(low, dims, false), op<"amax">(high, dims, false)};
    }
    return {op<"amin">(x, dims, keepdim), op<"amax">(x, dims, keepdim)};
}
Tensor value_backward(Back& b) {  // of (values, indices) along a dimension
    return op<"value_selecting_reduction_backward">(b.grad(0), b.integer(1), b.result(1), b.sizes(0), b.flag(2));
}
Tensor value_selecting_reduction_backward(const Tensor& g, int64_t dim, const Tensor& index, IntSpan sizes,
                                          bool keepdim) {
    if (!keepdim && !sizes.empty())
        return op<"scatter_add">(op<"zeros">(sizes, g.dtype(), nullptr, g.device()), dim, op<"unsqueeze">(index, dim),
                                 op<"unsqueeze">(g, dim));
    return op<"scatter_add">(op<"zeros">(sizes, g.dtype(), nullptr, g.device()), dim, index, g);
}

// --- tests
Tensor test_all(Fold f, const char* name, const Tensor& x, uint64_t mask, bool keepdim, const Out& out) {
    return finished(fold(f, name, x, mask, keepdim), x.dtype() == DType::u8 ? DType::u8 : DType::b1, out);
}
Tensor all(const Tensor& x, Out out) { return test_all(Fold::all, "all", x, ~uint64_t(0), false, out); }
Tensor any(const Tensor& x, Out out) { return test_all(Fold::any, "any", x, ~uint64_t(0), false, out); }
Tensor all_dim(const Tensor& x, int64_t d, bool k, Out out) {
    return test_all(Fold::all, "all", x, uint64_t(1) << wrap_dim(d, x.dim()), k, out);
}
Tensor any_dim(const Tensor& x, int64_t d, bool k, Out out) {
    return test_all(Fold::any, "any", x, uint64_t(1) << wrap_dim(d, x.dim()), k, out);
}
Tensor all_dims(const Tensor& x, const Value& d, bool k, Out out) {
    return test_all(Fold::all, "all", x, d.is_none() ? ~uint64_t(0) : dims_mask(d.ints(), x.dim(), false), k, out);
}
Tensor any_dims(const Tensor& x, const Value& d, bool k, Out out) {
    return test_all(Fold::any, "any", x, d.is_none() ? ~uint64_t(0) : dims_mask(d.ints(), x.dim(), false), k, out);
}
Tensor count_nonzero(const Tensor& x, IntSpan dims) {
    return fold(Fold::count_nonzero, "count_nonzero_cpu", x, dims_mask(dims, x.dim()), false);
}

// --- moments
Tensor var_of(const Tensor& x, const Value& dim, const Value& correction, bool keepdim, bool root, const char* name,
              Tensor* mean, const Out& out) {
    check(is_floating(x.dtype()) || is_complex(x.dtype()),
          "std and var only support floating point and complex dtypes");
    if (is_complex(x.dtype())) {
        const Tensor re = op<"contiguous">(op<"real">(x)), im = op<"contiguous">(op<"imag">(x));
        Tensor mr, mi;
        Tensor v = op<"add">(var_of(re, dim, correction, keepdim, false, name, &mr, Out()),
                             var_of(im, dim, correction, keepdim, false, name, &mi, Out()));
        if (mean) *mean = op<"complex">(mr, mi);
        if (root) v = op<"sqrt">(v);
        return finished(v, to_real(x.dtype()), out);
    }
    const uint64_t mask = dim.is_none() ? ~uint64_t(0) : dims_mask(dim.ints(), x.dim());
    const double c = correction.is_none() ? 1 : correction.real();
    Tensor m = fold(Fold::moments, name, x, mask, keepdim);
    const Dims shape = reduced_shape(x.sizes(), mask, keepdim);
    Tensor v = empty(shape, DType::f64, x.device()), mu = empty(shape, DType::f64, x.device());
    if (!v.is_meta()) {
        int64_t n = 1;
        for (int64_t d = 0; d < x.dim(); ++d)
            if (mask >> d & 1) n *= x.sizes()[size_t(d)];
        const double* p = m.data<double>();
        const double divisor = std::max(0.0, double(n) - c);
        if (divisor <= 0 && x.numel())
            warn(str(name,
                     "(): degrees of freedom is <= 0. Correction should be strictly less than the reduction factor "
                     "(input numel divided by output numel)."));
        for (int64_t i = 0; i < v.numel(); ++i) {
            const double var = p[2 * i + 1] / divisor;
            v.data<double>()[i] = root ? std::sqrt(var) : var;
            mu.data<double>()[i] = p[2 * i];
        }
    }
    if (mean) *mean = cast(mu, x.dtype());
    return finished(v, x.dtype(), out);
}
Tensor var(const Tensor& x, const Value& dim, const Value& c, bool keepdim, Out out) {
    return var_of(x, dim, c, keepdim, false, "var", nullptr, out);
}
Tensor std_(const Tensor& x, const Value& dim, const Value& c, bool keepdim, Out out) {
    return var_of(x, dim, c, keepdim, true, "std", nullptr, out);
}
Value correction_of(bool unbiased) { return Value(unbiased ? 1.0 : 0.0); }
Tensor var_unbiased(const Tensor& x, bool u) { return op<"var.correction">(x, nullptr, correction_of(u)); }
Tensor std_unbiased(const Tensor& x, bool u) { return op<"std.correction">(x, nullptr, correction_of(u)); }
Tensor var_dim(const Tensor& x, IntSpan d, bool u, bool k) { return op<"var.correction">(x, d, correction_of(u), k); }
Tensor std_dim(const Tensor& x, IntSpan d, bool u, bool k) { return op<"std.correction">(x, d, correction_of(u), k); }
void check_moments(const Tensor& x, const char* name) {
    check(is_floating(x.dtype()) || is_complex(x.dtype()), name, " only support floating point and complex dtypes");
}
std::tuple<Tensor, Tensor> var_mean(const Tensor& x, const Value& d, const Value& c, bool k) {
    check_moments(x, "var_mean");
    return {op<"var.correction">(x, d, c, k), d.is_none() ? op<"mean.dim">(x, Dims{}, k) : op<"mean.dim">(x, d, k)};
}
std::tuple<Tensor, Tensor> std_mean(const Tensor& x, const Value& d, const Value& c, bool k) {
    check_moments(x, "std_mean");
    return {op<"std.correction">(x, d, c, k), d.is_none() ? op<"mean.dim">(x, Dims{}, k) : op<"mean.dim">(x, d, k)};
}
template <Name N>
std::tuple<Tensor, Tensor> moments(const Tensor& x, const Value& d, bool unbiased, bool keepdim) {
    auto r = opn<N>(x, d, correction_of(unbiased), keepdim);
    return {std::move(r.result[0]), std::move(r.result[1])};
}
template <Name N>
std::tuple<Tensor, Tensor> moments_of_all(const Tensor& x, bool unbiased) {
    return moments<N>(x, Value(), unbiased, false);
}
template <Name N>
std::tuple<Tensor, Tensor> moments_of(const Tensor& x, IntSpan d, bool unbiased, bool keepdim) {
    return moments<N>(x, Value(d), unbiased, keepdim);
}
Tensor var_grad(Back& b, const Tensor& g) {
    const Tensor x = b.arg(0);
    const IntSpan dims = b.ints(1);
    const double c = b.attr(2).is_none() ? 1 : b.real(2), n = double(count_of(x.sizes(), dims));
    const Tensor centred = op<"sub">(x, op<"mean.dim">(x, dims, true));
    return op<"mul">(op<"mul">(unreduced(g, x.sizes(), dims, b.flag(3)), Scalar(2.0 / (n - c))), centred);
}
Tensor std_grad(Back& b, const Tensor& g, const Tensor& s) {
    return var_grad(b, op<"masked_fill">(op<"div">(g, op<"mul">(s, 2)), op<"eq">(s, 0), 0));
}
// Of (variance or deviation, mean): what the first asks for and what the mean does.
Tensor moments_grad(Back& b, const std::function<Tensor()>& first) {
    const IntSpan dims = b.ints(1), sizes = b.sizes(0);
    Tensor sum = b.has(0) ? first() : Tensor();
    if (b.has(1)) {
        const Tensor share =
            op<"div">(unreduced(b.grad(1), sizes, dims, b.flag(3)), Scalar(double(count_of(sizes, dims))));
        const Tensor part = op<"expand">(share, sizes);
        sum = sum.defined() ? op<"add">(sum, part) : part;
    }
    return sum;
}

// --- norms: (sum |x|^p)^(1/p) over dims
Tensor vector_norm(const Tensor& x, Scalar order, const Value& dim, bool keepdim, DType dtype, Out out) {
    check(is_floating(x.dtype()) || is_complex(x.dtype()),
          "linalg.vector_norm: Expected a floating point or complex tensor as input. Got ", x.dtype());
    check(!order.is_complex(), "linalg.vector_norm: Expected a non-complex scalar as the order of norm.");
    if (dtype != DType::none) {
        check(is_floating(dtype) || is_complex(dtype),
              "linalg.vector_norm: dtype should be floating point or complex, but got ", dtype);
        check(is_complex(dtype) == is_complex(x.dtype()), "linalg.vector_norm: dtype should be ",
              is_complex(x.dtype()) ? "complex for complex" : "real for real", " inputs, but got ", dtype);
        check(promote(x.dtype(), dtype) == dtype, "linalg.vector_norm: the dtype of the input (", x.dtype(),
              ") should be convertible without narrowing to the specified dtype (", dtype, ")");
    }
    const double p = order.real();
    const uint64_t mask = dim.is_none() ? ~uint64_t(0) : dims_mask(dim.ints(), x.dim());
    const DType want = to_real(dtype != DType::none ? dtype : x.dtype());
    if (std::isinf(p) || p < 0) {
        int64_t n = 1;
        for (int64_t d = 0; d < x.dim(); ++d)
            if (mask >> d & 1) n *= x.sizes()[size_t(d)];
        if (n == 0 && reduced_shape(x.sizes(), mask, false).empty())
            fail(ErrorKind::Runtime, "linalg.vector_norm cannot compute the ",
                 p < 0 && !std::isinf(p) ? str(p)
                 : p > 0                 ? "inf"
                                         : "-inf",
                 " norm on an empty tensor because the operation does not have an identity");
    }
    const Fold f = p == 2          ? Fold::square_sum
                   : p == 1        ? Fold::abs_sum
                   : p == 0        ? Fold::count_nonzero
                   : std::isinf(p) ? (p > 0 ? Fold::abs_max : Fold::abs_min)
                                   : Fold::abs_pow_sum;
    Tensor r = fold(f, "linalg_vector_norm", x, mask, keepdim, p);
    if (!r.is_meta() && f != Fold::count_nonzero && f != Fold::abs_sum && !std::isinf(p)) {
        double* v = r.data<double>();
        for (int64_t i = 0; i < r.numel(); ++i) v[i] = p == 2 ? std::sqrt(v[i]) : std::pow(v[i], 1 / p);
    }
    return finished(r, want, out);
}
// Subgradient zero where the norm is not smooth, as PyTorch chooses.
Tensor vector_norm_backward(Back& b) {
    Tensor x = b.arg(0);
    const double p = b.real(1);
    const IntSpan dims = b.ints(2);
    const Tensor g = unreduced(b.g, x.sizes(), dims, b.flag(3)),
                 norm = unreduced(b.result(), x.sizes(), dims, b.flag(3));
    if (p == 0) return op<"zeros_like">(x);
    if (p == 1) return op<"mul">(op<"sgn">(x), g);
    // Nothing is divided by a zero norm, not even under a mask: the second derivative would be NaN.
    const Tensor nothing = op<"eq">(norm, 0), divisor = op<"masked_fill">(norm, nothing, 1);
    // One over a small norm is no float16.
    if (p == 2 && x.dtype() == DType::f16) return op<"mul">(op<"div">(x, divisor), op<"masked_fill">(g, nothing, 0));
    if (p == 2) return op<"mul">(x, op<"masked_fill">(op<"div">(g, divisor), nothing, 0));
    const Tensor a = op<"abs">(x);
    if (std::isinf(p)) {
        // Not compared with the result, whose last bit may differ from that of abs() of a complex number.
        const Tensor mask = op<"eq">(a, p > 0 ? op<"amax">(a, dims, true) : op<"amin">(a, dims, true));
        return op<"mul">(op<"sgn">(x), op<"mul">(op<"div">(g, op<"sum.dim_IntList">(mask, dims, true)), mask));
    }
    if (p < 1) {
        const Tensor s = op<"masked_fill">(op<"mul">(op<"sgn">(x), op<"pow">(a, p - 1)), op<"eq">(x, 0), 0);
        return op<"mul">(op<"mul">(s, g), op<"pow">(norm, 1 - p));
    }
    if (p < 2) {
        const Tensor s = op<"mul">(op<"sgn">(x), op<"masked_fill">(op<"pow">(a, p - 1), op<"eq">(x, 0), 0));
        return op<"mul">(s, op<"masked_fill">(op<"mul">(g, op<"pow">(norm, 1 - p)), op<"eq">(norm, 0), 0));
    }
    const Tensor zero = op<"eq">(x, 0);
    const Tensor s = op<"mul">(x, op<"masked_fill">(op<"pow">(op<"masked_fill">(a, zero, 1), p - 2), zero, 0));
    return op<"mul">(s, op<"masked_fill">(op<"div">(g, op<"pow">(divisor, p - 1)), nothing, 0));
}

Tensor logsumexp(const Tensor& x0, IntSpan dims, bool keepdim) {
    const Tensor x = is_integral(x0.dtype(), true) ? x0.to(default_dtype()) : x0;
    if (x.numel() == 0) return op<"log">(op<"sum.dim_IntList">(op<"exp">(x), dims, keepdim));
    Tensor m = is_complex(x.dtype()) ? op<"amax">(op<"real">(x), dims, true) : op<"amax">(x, dims, true);
    m = op<"masked_fill">(m, op<"eq">(op<"abs">(m), std::numeric_limits<double>::infinity()), 0);
    Tensor s = op<"log">(op<"sum.dim_IntList">(op<"exp">(op<"sub">(x, m)), dims, keepdim));
    Tensor shown = m;
    if (!keepdim) shown = op<"reshape">(m, s.sizes());
    return op<"add">(s, shown);
}

Tensor logsumexp_backward(Back& b) {
    const Tensor x = b.arg(0);
    auto whole = [&](const Tensor& t) { return unreduced(t, x.sizes(), b.ints(1), b.flag(2)); };
    const Tensor share = op<"exp">(op<"sub">(x, whole(b.result())));
    return op<"mul">(whole(b.g), is_complex(x.dtype()) ? op<"conj">(share) : share);
}

Tensor max_other(const Tensor& a, const Tensor& b) { return op<"maximum">(a, b); }
Tensor min_other(const Tensor& a, const Tensor& b) { return op<"minimum">(a, b); }

const Family reductions([](Registry& r) {
    r.add("sum(Tensor self, *, ScalarType? dtype=None) -> Tensor", "fm").kernel<sum>().grad("self", "", [](Back& b) {
        return op<"expand">(b.g, b.sizes(0));
    });
    r.add("sum.dim_IntList(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<sum_dims>()
        .grad("self", "",
              [](Back& b) { return op<"expand">(unreduced(b.g, b.sizes(0), b.ints(1), b.flag(2)), b.sizes(0)); })
        .node("SumBackward1");
    r.add("nansum(Tensor self, int[1]? dim=None, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<nansum>()
        .grad("self", "self", [](Back& b) {
            return op<"mul">(unreduced(b.g, b.sizes(0), b.ints(1), b.flag(2)),
                             op<"logical_not">(op<"isnan">(b.arg(0))));
        });
    r.add("mean(Tensor self, *, ScalarType? dtype=None) -> Tensor", "fmo").kernel<mean>().grad("self", "", [](Back& b) {
        return mean_backward(b, {}, false);
    });
    r.add("mean.dim(Tensor self, int[1]? dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<mean_dims>()
        .grad("self", "", [](Back& b) { return mean_backward(b, b.ints(1), b.flag(2)); })
        .node("MeanBackward1");
    r.add("prod(Tensor self, *, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<prod>()
        .grad("self", "self", prod_backward);
    r.add("prod.dim_int(Tensor self, int dim, bool keepdim=False, *, ScalarType? dtype=None) -> Tensor", "fmo")
        .kernel<prod_dim>()
        .grad("self", "self", prod_dim_backward)
        .node("ProdBackward1");
    r.add("amax(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "fmo")
        .kernel<amax>()
        .grad("self", "self, result", [](Back& b) { return extreme_backward(b, b.ints(1), b.flag(2)); });
    r.add("amin(Tensor self, int[1] dim=[], bool keepdim=False) -> Tensor", "fmo")
        .kernel<amin>()
        .grad("self", "self, result", [](Back& b) { return extreme_backward(b, b.ints(1), b.flag(2)); });
    r.add("max(Tensor self) -> Tensor", "fmo")
        .kernel<max_all>()
        .grad("self", "self, result", [](Back& b) { return extreme_backward(b, {}, false); })
        .node("MaxBackward1");
    r.add("min(Tensor self) -> Tensor", "fmo")
        .kernel<min_all>()
        .grad("self", "self, result", [](Back& b) { return extreme_backward(b, {}, false); })
        .node("MinBackward1");
    r.add("max.other(Tensor self, Tensor other) -> Tensor", "fmo").kernel<max_other>();
    r.add("min.other(Tensor self, Tensor other) -> Tensor", "fmo").kernel<min_other>();
    r.add("max.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<max_dim>()
        .grad("self", "result1", value_backward);
    r.add("min.dim(Tensor self, int dim, bool keepdim=False) -> (Tensor values, Tensor indices)", "fmo")
        .kernel<min_dim>()
        .grad("self", "result1", value_backward);
    r.add("aminmax(Tensor self, *, int? dim=None, bool keepdim=False) -> (Tensor min, Tensor max)", "fmo")
        .kernel<aminmax>()
        .grad("self", "self, result0, result1", aminmax_backward);
    r.add(
         "value_selecting_reduction_backward(Tensor grad, int dim, Tensor indices, int[] sizes, bool keepdim) -> "
         "Tensor",
         "")
        .kernel<value_selecting_reduction_backward>();
    r.add("argmax(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", "fmo").kernel<argmax>();
    r.add("argmin(Tensor self, int? dim=None, bool keepdim=False) -> Tensor", "fmo").kernel<argmin>();
    r.add("all(Tensor self) -> Tensor", "fmo").kernel<all>();
    r.add("all.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", "fmo").kernel<all_dim>();
    r.add("all.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", "fmo").kernel<all_dims>();
    r.add("any(Tensor self) -> Tensor", "fmo").kernel<any>();
    r.add("any.dim(Tensor self, int dim, bool keepdim=False) -> Tensor", "fmo").kernel<any_dim>();
    r.add("any.dims(Tensor self, int[]? dim=None, bool keepdim=False) -> Tensor", "fmo").kernel<any_dims>();
    r.add("count_nonzero(Tensor self, int[1]? dim=None) -> Tensor", "fm").kernel<count_nonzero>();
    r.add("var(Tensor self, bool unbiased) -> Tensor", "fm").kernel<var_unbiased>();
    r.add("var.dim(Tensor self, int[1]? dim, bool unbiased, bool keepdim=False) -> Tensor", "fmo").kernel<var_dim>();
    r.add("var.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
          "fmo")
        .kernel<var>()
        .grad("self", "self", [](Back& b) { return var_grad(b, b.g); });
    r.add("std(Tensor self, bool unbiased) -> Tensor", "fm").kernel<std_unbiased>();
    r.add("std.dim(Tensor self, int[1]? dim, bool unbiased, bool keepdim=False) -> Tensor", "fmo").kernel<std_dim>();
    r.add("std.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> Tensor",
          "fmo")
        .kernel<std_>()
        .grad("self", "self, result", [](Back& b) { return std_grad(b, b.g, b.result()); });
    r.add("var_mean(Tensor self, bool unbiased) -> (Tensor, Tensor)", "f")
        .kernel<moments_of_all<"var_mean.correction">>();
    r.add("var_mean.dim(Tensor self, int[1]? dim, bool unbiased, bool keepdim=False) -> (Tensor, Tensor)", "f")
        .kernel<moments_of<"var_mean.correction">>();
    r.add(
         "var_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> "
         "(Tensor, Tensor)",
         "f")
        .kernel<var_mean>()
        .grad("self", "self", [](Back& b) { return moments_grad(b, [&] { return var_grad(b, b.grad(0)); }); });
    r.add("std_mean(Tensor self, bool unbiased) -> (Tensor, Tensor)", "f")
        .kernel<moments_of_all<"std_mean.correction">>();
    r.add("std_mean.dim(Tensor self, int[1]? dim, bool unbiased, bool keepdim=False) -> (Tensor, Tensor)", "f")
        .kernel<moments_of<"std_mean.correction">>();
    r.add(
         "std_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> "
         "(Tensor, Tensor)",
         "f")
        .kernel<std_mean>()
        .grad("self", "self, result0",
              [](Back& b) { return moments_grad(b, [&] { return std_grad(b, b.grad(0), b.result(0)); }); });
    r.add(
         "linalg::vector_norm(Tensor self, Scalar ord=2, int[1]? dim=None, bool keepdim=False, *, ScalarType? "
         "dtype=None) "
         "-> Tensor",
         "fo")
        .kernel<vector_norm>()
        .grad("self", "self, result", vector_norm_backward);
    r.add("logsumexp(Tensor self, int[1] dim, bool keepdim=False) -> Tensor", "fmo")
        .kernel<logsumexp>()
        .grad("self", "self, result", logsumexp_backward);
});

}  // namespace
}  // namespace fb
