// Random numbers. The streams are PyTorch's (see cpu/random_fill.h); here are shapes, checks and the order of
// elements.
#include <cmath>
#include <limits>
#include "autograd/back.h"
#include "base/names.h"
#include "base/parallel.h"
#include "cpu/iter.h"
#include "cpu/random_fill.h"
#include "cpu/random_grad.h"
#include "cpu/random_sample.h"

namespace fb {
namespace {

using OptDevice = std::optional<Device>;
using OptLayout = std::optional<Layout>;
using OptFormat = std::optional<MemoryFormat>;

// ---------------------------------------------------------------- drawing
// The generator to draw from, held until the end of the expression.
class Draw {
public:
    explicit Draw(Generator* g) : g_(g ? *g : default_generator()), lock_(g_) {}
    operator Generator&() { return g_; }

private:
    Generator& g_;
    GeneratorLock lock_;
};

// The dimensions from the slowest to the fastest in memory. Where strides say nothing (0) dimensions keep
// their place.
Dims memory_order(const Tensor& t) {
    const auto n = int64_t(t.dim());
    Dims order(static_cast<size_t>(n));
    for (int64_t i = 0; i < n; ++i) order[size_t(i)] = n - 1 - i;  // fastest first while sorting
    const auto slower = [&](int64_t a, int64_t b) {                // 1: a is slower than b, -1: faster, 0: cannot tell
        const int64_t x = t.strides()[size_t(a)], y = t.strides()[size_t(b)];
        if (!x || !y) return 0;
        if (x != y) return x > y ? 1 : -1;
        return t.sizes()[size_t(a)] > t.sizes()[size_t(b)] ? 1 : 0;
    };
    for (int64_t i = 1; i < n; ++i) {
        int64_t at = i;
        for (int64_t j = i - 1; j >= 0; --j) {
            const int c = slower(order[size_t(j)], order[size_t(at)]);
            if (c < 0) break;
            if (c > 0) {
                std::swap(order[size_t(j)], order[size_t(at)]);
                at = j;
            }
        }
    }
    std::reverse(order.begin(), order.end());
    return order;
}
Tensor permuted(const Tensor& t, const Dims& order) {
    Dims sizes(order.size()), strides(order.size());
    for (size_t i = 0; i < order.size(); ++i) {
        sizes[i] = t.sizes()[size_t(order[i])];
        strides[i] = t.strides()[size_t(order[i])];
    }
    return make_view(t, sizes, strides, t->offset);
}

// Calls fill(data, dtype, n) for the elements of `self` in the order of memory, then counts the write.
// Complex numbers are filled as pairs of real ones.
template <class F>
Tensor fill_in_order(const Tensor& self, F&& fill) {
    cpu::check_writable(self);
    if (!self.is_meta() && self.numel()) {
        const DType t = to_real(self.dtype());
        const int64_t n = self.numel() * (is_complex(self.dtype()) ? 2 : 1);
        if (self.is_contiguous()) {
            fill(self.data(), t, n);
        } else {
            const Tensor walk = permuted(self, memory_order(self));
            const Tensor dense = walk.is_contiguous() ? walk : empty(walk.sizes(), self.dtype());
            fill(dense.data(), t, n);
            if (dense.get() != walk.get()) cpu::copy_data(walk, dense);
        }
    }
    self->bump_version();
    return self;
}
double largest(DType t) {
    switch (t) {
        case DType::f16: return 65504;
        case DType::bf16: return 0x1.fep127;
        case DType::f32: return double(std::numeric_limits<float>::max());
        default: return std::numeric_limits<double>::max();
    }
}
int digits(DType t) { return t == DType::f16 ? 11 : t == DType::bf16 ? 8 : t == DType::f32 ? 24 : 53; }

// ---------------------------------------------------------------- real numbers, in place
Tensor uniform_(const Tensor& self, double from, double to, Generator* g) {
    const DType t = to_real(self.dtype());
    if (!is_floating(t) || is_float8(t)) cpu::no_kernel("check_uniform_bounds", t);
    const double most = largest(t);
    const auto inside = [&](double v, const char* what) {
        check(v >= -most && v <= most, what, " is out of bounds for ", cpp_name(t));
    };
    inside(from, "from");
    inside(to, "to");
    check(from <= to, "uniform_ expects to return a [from, to) range, but found from=", from, " > to=", to);
    check(to - from <= most, "uniform_ expects to-from <= std::numeric_limits<", t, ">::max(), but found to=", to,
          " and from=", from, " which result in to-from to exceed the limit");
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_uniform(p, t, n, from, to, Draw(g)); });
}

Tensor normal_(const Tensor& self, double mean, double std, Generator* g) {
    check(std >= 0, "normal expects std >= 0.0, but found std ", std);
    if (!is_floating(to_real(self.dtype())) || is_float8(self.dtype()))
        cpu::no_kernel("normal_kernel_cpu", self.dtype());
    if (is_complex(self.dtype())) std /= std::sqrt(2.0);  // shared by the two parts
    const bool contiguous = self.is_contiguous();
    return fill_in_order(
        self, [&](void* p, DType t, int64_t n) { cpu::fill_normal(p, t, n, mean, std, contiguous, Draw(g)); });
}

Tensor exponential_(const Tensor& self, double lambda, Generator* g) {
    check(lambda > 0, "exponential_ expects lambda > 0.0, but found lambda=", lambda);
    check(is_floating(self.dtype()),
          "Exponential distribution is a continuous probability distribution. dtype must be a floating point "
          "but you specified ",
          self.dtype());
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_exponential(p, t, n, lambda, Draw(g)); });
}
Tensor cauchy_(const Tensor& self, double median, double sigma, Generator* g) {
    check(sigma > 0, "cauchy_ expects sigma > 0.0, but found sigma=", sigma);
    check(is_floating(self.dtype()),
          "Cauchy distribution is a continuous probability distribution. dtype must be a floating point but "
          "you specified ",
          is_complex(self.dtype()) ? scalar_name(self.dtype()) : cpp_name(self.dtype()));
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_cauchy(p, t, n, median, sigma, Draw(g)); });
}
Tensor log_normal_(const Tensor& self, double mean, double std, Generator* g) {
    check(std > 0, "log_normal_ expects std > 0.0, but found std=", std);
    if (!is_floating(self.dtype())) cpu::no_kernel("log_normal_cpu", self.dtype());
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_log_normal(p, t, n, mean, std, Draw(g)); });
}
// The real types from before PyTorch had uint16 and up.
bool signed_or_byte(DType t) { return t <= DType::f64 || t == DType::bf16; }
Tensor geometric_(const Tensor& self, double p, Generator* g) {
    check(p > 0 && p < 1, "geometric_ expects p to be in (0, 1), but got p=", p);
    if (!signed_or_byte(self.dtype())) cpu::no_kernel("geometric_cpu", self.dtype());
    return fill_in_order(self, [&](void* o, DType t, int64_t n) { cpu::fill_geometric(o, t, n, p, Draw(g)); });
}

// ---------------------------------------------------------------- bernoulli
Tensor bernoulli_p_(const Tensor& self, double p, Generator* g) {
    check(p >= 0 && p <= 1, "bernoulli_ expects p to be in [0, 1], but got p=", p);
    if (!signed_or_byte(self.dtype()) && self.dtype() != DType::b1)
        cpu::no_kernel("bernoulli_scalar_cpu_", self.dtype());
    return fill_in_order(self, [&](void* o, DType t, int64_t n) { cpu::fill_bernoulli(o, t, n, p, Draw(g)); });
}
void check_probabilities(const Tensor& dense) {
    visit_dtype(dense.dtype(), [&](auto z) {
        using T = decltype(z);
        if constexpr (requires { double(z); })
            for (const T *p = dense.data<T>(), *end = p + dense.numel(); p < end; ++p)
                check(double(*p) >= 0 && double(*p) <= 1,
                      "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  (Could this error "
                      "message be improved?  If so, please report an enhancement request to PyTorch.)\na "
                      "probability is ",
                      double(*p));
    });
}
Tensor bernoulli_tensor_(const Tensor& self, const Tensor& p, Generator* g) {
    if (!signed_or_byte(self.dtype()) && self.dtype() != DType::b1)
        cpu::no_kernel("bernoulli_tensor_cpu_self_", self.dtype());
    if (!is_floating(p.dtype())) cpu::no_kernel("bernoulli_tensor_cpu_p_", p.dtype());
    GradGuard off(false);
    const Tensor wide = op<"expand">(p, self.sizes());
    if (self.is_meta()) return self;
    const Tensor probs = cpu::dense(self.is_contiguous() ? wide : permuted(wide, memory_order(self)));
    check_probabilities(probs);
    return fill_in_order(
        self, [&](void* o, DType t, int64_t n) { cpu::fill_bernoulli(o, t, n, probs.data(), p.dtype(), Draw(g)); });
}
Tensor bernoulli(const Tensor& self, Generator* g, Out out) {
    return bernoulli_tensor_(out.result(self.sizes(), self.dtype(), self.device()), self, g);
}
Tensor bernoulli_p(const Tensor& self, double p, Generator* g) {
    return bernoulli_p_(empty(self.sizes(), self.dtype(), self.device()), p, g);
}
Tensor bernoulli_tensor(const Tensor& self, const Tensor& p, Generator* g) {
    return bernoulli_tensor_(empty(self.sizes(), self.dtype(), self.device()), p, g);
}

// ---------------------------------------------------------------- integers
// For a float type only some integers exist: the bounds move inwards to the next ones that do.
int64_t as_stored(DType t, int64_t v) {
    return t == DType::f16    ? int64_t(float(F16(float(v))))
           : t == DType::bf16 ? int64_t(float(BF16(float(v))))
           : t == DType::f32  ? int64_t(float(v))
                              : int64_t(double(v));
}
int log2_of(uint64_t v) { return v ? 63 - __builtin_clzll(v) : 0; }
int64_t first_stored(DType t, int64_t from) {
    const int64_t next = as_stored(t, from + 1);
    return next >= from ? from : next + (int64_t(1) << (log2_of(uint64_t(std::abs(from + 1))) - digits(t) + 1));
}
int64_t last_stored(DType t, int64_t to) {
    const int64_t before = as_stored(t, to - 1);
    return before < to ? to : before - (int64_t(1) << (log2_of(uint64_t(std::abs(to - 1))) - digits(t) + 1));
}
void check_bounds(DType t, int64_t from, int64_t last) {
    if (is_float8(t)) cpu::no_kernel("random_update_from_to", t);
    const auto inside = [&](int64_t v, const char* what) {
        bool ok = true;
        if (is_floating(t)) {
            ok = std::fabs(double(v)) <= largest(t);
        } else if (is_integral(t, true)) {
            visit_dtype(t, [&](auto z) {
                using T = decltype(z);
                if constexpr (std::is_same_v<T, uint64_t>) ok = v >= 0 && v < std::numeric_limits<int64_t>::max();
                else if constexpr (std::is_integral_v<T>)
                    ok = v >= int64_t(std::numeric_limits<T>::min()) && v <= int64_t(std::numeric_limits<T>::max());
            });
        } else {
            fail(ErrorKind::Runtime, "check_random_bounds handles only integral, floating-point and boolean types");
        }
        check(ok, what, " is out of bounds for ", cpp_name(t));
        if (is_floating(t) && std::fabs(double(v)) > double(int64_t(1) << digits(t)))
            warn(str(what, " is out of bounds [-(2^", digits(t), "), 2^", digits(t), "]. Due to precision limitations ",
                     cpp_name(t),
                     " can support discrete uniform distribution only within this range. This warning will "
                     "become an error in version "
                     "1.7 release, please fix the code in advance"));
    };
    inside(from, "from");
    inside(last, "to - 1");
}
Tensor random_between(const Tensor& self, int64_t from, int64_t to, Generator* g) {
    check(from < to, "random_ expects 'from' to be less than 'to', but got from=", from, " >= to=", to);
    const DType t = self.dtype();
    check_bounds(t, from, to - 1);
    if (is_floating(t)) {
        from = first_stored(t, from);
        to = last_stored(t, to);
        check(from < to,
              "random_ expects 'from' casted to dtype to be less than 'to' casted to dtype, but got from=", from,
              " >= to=", to);
    }
    const uint64_t range = uint64_t(to) - uint64_t(from);
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_integers(p, t, n, range, from, Draw(g)); });
}
Tensor random_from_(const Tensor& self, int64_t from, std::optional<int64_t> to, Generator* g) {
    if (to) return random_between(self, from, *to, g);
    const DType t = self.dtype();
    if (from == std::numeric_limits<int64_t>::min()) {
        check(t == DType::i64 || t == DType::f64 || t == DType::f32 || t == DType::bf16,
              "random_full_64_bits_range_kernel_cpu handles only int64, double, float and bfloat16");
        return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_integers_64bit(p, t, n, Draw(g)); });
    }
    int64_t last = 0;
    if (is_floating(t)) {
        last = int64_t(1) << digits(t);
        from = first_stored(t, from);
        check(from < last,
              "random_ expects 'from' casted to dtype to be less than or equal to 'to_inc' casted to dtype, "
              "but got from=",
              from, " > to_inc=", last);
    } else {
        visit_dtype(t, [&](auto z) {
            using T = decltype(z);
            if constexpr (std::is_same_v<T, uint64_t>) last = std::numeric_limits<int64_t>::max();
            else if constexpr (std::is_integral_v<T>) last = int64_t(std::numeric_limits<T>::max());
        });
    }
    check_bounds(t, from, last);
    const uint64_t range = uint64_t(last) - uint64_t(from) + 1;
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_integers(p, t, n, range, from, Draw(g)); });
}
Tensor random_to_(const Tensor& self, int64_t to, Generator* g) { return random_between(self, 0, to, g); }
Tensor random_(const Tensor& self, Generator* g) {
    if (!signed_or_byte(self.dtype()) && self.dtype() != DType::b1) cpu::no_kernel("random_kernel_cpu", self.dtype());
    return fill_in_order(self, [&](void* p, DType t, int64_t n) { cpu::fill_integers(p, t, n, Draw(g)); });
}

// ---------------------------------------------------------------- new tensors
Tensor fresh(IntSpan size, DType dtype, DType otherwise, OptLayout layout, OptDevice device, const Out& out) {
    if (layout && *layout != Layout::Strided)
        fail(ErrorKind::NotImplemented, "random numbers come as strided tensors only");
    if (dtype == DType::none) dtype = out.given() ? (*out.given()).dtype() : otherwise;
    if (out.given() && (*out.given()).dtype() != dtype)
        fail(ErrorKind::Runtime, "dtype ", dtype, " does not match dtype of out parameter (", (*out.given()).dtype(),
             ")");
    return out.result(size, dtype, device.value_or(kCPU));
}
Tensor like(const Tensor& t, DType dtype, OptLayout layout, OptDevice device, OptFormat format) {
    GradGuard off(false);
    return op<"empty_like">(t, dtype, layout, device, nullptr, format);
}
Tensor rand(IntSpan size, Generator* g, DType dtype, OptLayout layout, OptDevice device, const Value&, Out out) {
    return uniform_(fresh(size, dtype, default_dtype(), layout, device, out), 0, 1, g);
}
Tensor randn(IntSpan size, Generator* g, DType dtype, OptLayout layout, OptDevice device, const Value&, Out out) {
    return normal_(fresh(size, dtype, default_dtype(), layout, device, out), 0, 1, g);
}
Tensor normal_sized(double mean, double std, IntSpan size, Generator* g, DType dtype, OptLayout layout,
                    OptDevice device, const Value&, Out out) {
    return normal_(fresh(size, dtype, default_dtype(), layout, device, out), mean, std, g);
}
Tensor randint_low(int64_t low, int64_t high, IntSpan size, Generator* g, DType dtype, OptLayout layout,
                   OptDevice device, const Value&, Out out) {
    return random_between(fresh(size, dtype, DType::i64, layout, device, out), low, high, g);
}
Tensor randint(int64_t high, IntSpan size, Generator* g, DType dtype, OptLayout layout, OptDevice device,
               const Value& pin, Out out) {
    return randint_low(0, high, size, g, dtype, layout, device, pin, out);
}
Tensor rand_like(const Tensor& t, Generator* g, DType dtype, OptLayout layout, OptDevice device, const Value&,
                 OptFormat format) {
    return uniform_(like(t, dtype, layout, device, format), 0, 1, g);
}
Tensor randn_like(const Tensor& t, Generator* g, DType dtype, OptLayout layout, OptDevice device, const Value&,
                  OptFormat format) {
    return normal_(like(t, dtype, layout, device, format), 0, 1, g);
}
Tensor randint_like_low(const Tensor& t, int64_t low, int64_t high, Generator* g, DType dtype, OptLayout layout,
                        OptDevice device, const Value&, OptFormat format) {
    return random_between(like(t, dtype, layout, device, format), low, high, g);
}
Tensor randint_like(const Tensor& t, int64_t high, Generator* g, DType dtype, OptLayout layout, OptDevice device,
                    const Value& pin, OptFormat format) {
    return randint_like_low(t, 0, high, g, dtype, layout, device, pin, format);
}
Tensor randint_like_tensor(const Tensor& t, const Tensor& high, Generator* g, DType dtype, OptLayout layout,
                           OptDevice device, const Value& pin, OptFormat format) {
    check(high.numel() == 1 && high.dim() == 0, "high must be a scalar tensor and on CPU");
    return randint_like_low(t, 0, high.item().integer(), g, dtype, layout, device, pin, format);
}
Tensor randperm(int64_t n, Generator* g, DType dtype, OptLayout layout, OptDevice device, const Value&, Out out) {
    if (n < 0) fail(ErrorKind::Runtime, "Trying to create tensor with negative dimension ", n, ": [", n, "]");
    if (dtype == DType::none && !out.given()) dtype = DType::i64;
    const Tensor r = fresh(Dims{n}, dtype, DType::i64, layout, device, out);
    const DType t = r.dtype();
    if (t == DType::f16) check(n <= (1 << 11) + 1, "n cannot be greater than 2049 for Half type.");
    if (t == DType::f32) check(n <= (1 << 24) + 1, "n cannot be greater than 2^24+1 for Float type.");
    if (t == DType::f64) check(n <= (int64_t(1) << 53) + 1, "n cannot be greater than 2^53+1 for Double type.");
    const int64_t most = t == DType::u8    ? 255
                         : t == DType::i8  ? 127
                         : t == DType::i16 ? 32767
                         : t == DType::i32 ? 2147483647
                                           : n;
    check(n <= most, "value cannot be converted to type ", name(t), "_t without overflow");
    if (!signed_or_byte(t)) cpu::no_kernel("randperm", t);
    if (r.is_meta()) return r;
    const Tensor dense = r.is_contiguous() ? r : empty(r.sizes(), t);
    cpu::fill_permutation(dense.data(), t, n, Draw(g));
    if (dense.get() != r.get()) cpu::copy_data(r, dense);
    return r;
}

// --- normal numbers with tensors for mean or standard deviation
void check_std(const Tensor& std) {
    check(!is_complex(std.dtype()), "normal expects standard deviation to be non-complex");
    if (std.numel() && !std.is_meta() && is_floating(std.dtype())) {
        GradGuard off(false);
        check(op<"min">(std).item().real() >= 0, "normal expects all elements of std >= 0.0");
    }
}
Tensor scaled(const Tensor& r, const Value& std, const Value& mean) {
    GradGuard off(false);
    if (!std.is_none()) inplace<"mul.Tensor">(r, std);
    if (!mean.is_none()) inplace<"add.Tensor">(r, mean);
    return r;
}
Tensor normal_tensors(const Tensor& mean, const Tensor& std, Generator* g, Out out) {
    check_std(std);
    const Tensor r = out.result(broadcast_shapes(mean.sizes(), std.sizes()), mean.dtype(), mean.device());
    return scaled(normal_(r, 0, 1, g), std, mean);
}
Tensor normal_mean(const Tensor& mean, double std, Generator* g, Out out) {
    check(std >= 0, "normal expects std >= 0.0, but found std ", std);
    const Tensor r = out.result(mean.sizes(), mean.dtype(), mean.device());  // plain, however the mean lies
    return scaled(normal_(r, 0, std, g), Value(), mean);
}
Tensor normal_std(double mean, const Tensor& std, Generator* g, Out out) {
    check_std(std);
    const Tensor r = out.result(std.sizes(), std.dtype(), std.device());
    return scaled(normal_(r, 0, 1, g), std, mean);
}

// ---------------------------------------------------------------- samplers
Tensor multinomial(const Tensor& self, int64_t samples, bool replacement, Generator* g, Out out) {
    if (out.given())
        check((*out.given()).dtype() == DType::i64,
              "multinomial expects Long tensor out, got: ", scalar_name((*out.given()).dtype()));
    check(self.dim() == 1 || self.dim() == 2, "prob_dist must be 1 or 2 dim");
    check(is_floating(self.dtype()), "multinomial only supports floating-point dtypes for input, got: ", self.dtype());
    check(samples > 0, "cannot sample n_sample <= 0 samples");
    const int64_t width = self.size(-1), rows = self.dim() == 1 ? 1 : self.size(0);
    check(replacement || samples <= width, "cannot sample n_sample > prob_dist.size(-1) samples without replacement");
    check(width <= (1 << 24), "number of categories cannot exceed 2^24");
    Dims shape(self.sizes());
    shape.back() = samples;
    GradGuard off(false);
    const Tensor result = out.result(shape, DType::i64, self.device());
    if (self.is_meta() || !result.numel()) return result;
    if (replacement && samples > 1) {
        const Tensor weights = cpu::dense(self);
        const Tensor dense = result.is_contiguous() ? result : empty(shape, DType::i64);
        cpu::MultinomialError error;
        cpu::sample_multinomial(dense.data<int64_t>(), weights.data(), self.dtype(), rows, width, samples, Draw(g),
                                error);
        check(error != cpu::MultinomialError::bad_probability,
              "invalid multinomial distribution (encountering probability entry < 0)");
        check(error != cpu::MultinomialError::zero_sum, "invalid multinomial distribution (sum of probabilities <= 0)");
        if (dense.get() != result.get()) cpu::copy_data(result, dense);
        return result;
    }
    // Divided by exponential numbers, the largest weights are a sample without replacement (Efraimidis and
    // Spirakis, 2006).
    const double low = op<"min">(self).item().real(), high = op<"max">(self).item().real();
    check(low >= 0 && high < HUGE_VAL, "probability tensor contains either `inf`, `nan` or element < 0");
    const Tensor largest = op<"amax">(self, Dims{-1}, false);
    check(op<"min">(largest).item().real() > 0, "invalid multinomial distribution (sum of probabilities <= 0)");
    const Tensor keys = op<"div">(self, exponential_(empty_like(self), 1, g));
    const Tensor chosen =
        samples == 1 ? op<"argmax">(keys, int64_t(-1), true) : std::move(opn<"topk">(keys, samples).result[1]);
    cpu::copy_data(result, chosen);
    return result;
}

Tensor poisson(const Tensor& self, Generator* g) {
    if (!is_floating(self.dtype())) cpu::no_kernel("poisson_cpu", self.dtype());
    const Tensor r = empty(self.sizes(), self.dtype(), self.device());
    if (r.is_meta() || !r.numel()) return r;
    GradGuard off(false);
    check(op<"min">(self).item().real() >= 0, "invalid Poisson rate, expected rate to be non-negative");
    cpu::sample_poisson(r.data(), cpu::dense(self).data(), r.dtype(), r.numel(), Draw(g));
    return r;
}
Tensor binomial(const Tensor& count, const Tensor& prob, Generator* g) {
    check_value(is_floating(count.dtype()),
                "binomial only supports floating-point dtypes for count, got: ", count.dtype());
    check_value(is_floating(prob.dtype()),
                "binomial only supports floating-point dtypes for prob, got: ", prob.dtype());
    check(count.dtype() == prob.dtype(), "Found dtype ", prob.dtype(), " but expected ", count.dtype());
    if (is_low_precision(count.dtype())) cpu::no_kernel("binomial_cpu", count.dtype());
    const Dims shape = broadcast_shapes(count.sizes(), prob.sizes());
    const Tensor r = empty(shape, count.dtype(), count.device());
    if (r.is_meta() || !r.numel()) return r;
    GradGuard off(false);
    const Tensor n = cpu::dense(op<"expand">(count, shape)), p = cpu::dense(op<"expand">(prob, shape));
    cpu::sample_binomial(r.data(), n.data(), p.data(), r.dtype(), r.numel(), Draw(g));
    return r;
}
Tensor standard_gamma(const Tensor& self, Generator* g) {
    if (self.dtype() != DType::f32 && self.dtype() != DType::f64) cpu::no_kernel("gamma_cpu", self.dtype());
    const Tensor r = empty(self.sizes(), self.dtype(), self.device());
    if (!r.is_meta()) cpu::sample_gamma(r.data(), cpu::dense(self).data(), r.dtype(), r.numel(), Draw(g));
    return r;
}
Tensor sample_dirichlet(const Tensor& self, Generator* g) {
    if (self.dtype() != DType::f32 && self.dtype() != DType::f64) cpu::no_kernel("dirichlet", self.dtype());
    const Tensor r = empty(self.sizes(), self.dtype(), self.device());
    if (r.is_meta() || !r.numel()) return r;
    const int64_t width = self.dim() ? self.size(-1) : 1;
    cpu::sample_dirichlet(r.data(), cpu::dense(self).data(), r.dtype(), r.numel() / width, width, Draw(g));
    return r;
}

// f(a, b, c) of doubles for the elements of broadcast float32 or float64 tensors.
template <class F>
Tensor each(const char* name, F&& f, std::initializer_list<Tensor> in) {
    const Tensor& first = *in.begin();
    if (first.dtype() != DType::f32 && first.dtype() != DType::f64) cpu::no_kernel(name, first.dtype());
    GradGuard off(false);
    Dims shape = first.sizes();
    for (const Tensor& t : in) {
        check(t.dtype() == first.dtype(), "Found dtype ", scalar_name(t.dtype()), " but expected ",
              scalar_name(first.dtype()));
        shape = broadcast_shapes(shape, t.sizes());
    }
    const Tensor r = empty(shape, DType::f64, first.device());
    if (r.is_meta()) return r.to(first.dtype());
    Small<Tensor, 3> dense;
    const double* p[3] = {};
    for (const Tensor& t : in) {
        dense.push_back(cpu::dense(op<"expand">(t.to(DType::f64), shape)));
        p[dense.size() - 1] = dense.back().data<double>();
    }
    parallel_for(r.numel(), 1024, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) r.data<double>()[i] = f(p, i);
    });
    return r.to(first.dtype());
}
Tensor standard_gamma_grad(const Tensor& self, const Tensor& output) {
    return each("_standard_gamma_grad_cpu",
                [](const double* const* p, int64_t i) { return cpu::gamma_sample_grad(p[0][i], p[1][i]); },
                {self, output});
}
Tensor dirichlet_grad(const Tensor& x, const Tensor& alpha, const Tensor& total) {
    return each("_dirichlet_grad_cpu",
                [](const double* const* p, int64_t i) { return cpu::dirichlet_sample_grad(p[0][i], p[1][i], p[2][i]); },
                {x, alpha, total});
}

Tensor no_grad_through(Back& b) { return op<"zeros_like">(b.g); }
Tensor not_implemented(Back& b) {
    fail(ErrorKind::Runtime, "derivative for aten::", b.node.op->schema.name, " is not implemented");
}
Tensor zeros_for(Back& b, int arg) { return zeros_of(b.meta(arg)); }

const Family random([](Registry& r) {
#define FB_FACTORY                                                                                        \
    "Generator? generator=None, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? " \
    "pin_memory=None"
#define FB_LIKE FB_FACTORY ", MemoryFormat? memory_format=None"
    r.add("rand(int[] size, *, " FB_FACTORY ") -> Tensor", "fo").kernel<rand>();
    r.add("randn(int[] size, *, " FB_FACTORY ") -> Tensor", "fo").kernel<randn>();
    r.add("randint(int high, int[] size, *, " FB_FACTORY ") -> Tensor", "fo").kernel<randint>();
    r.add("randint.low(int low, int high, int[] size, *, " FB_FACTORY ") -> Tensor", "fo").kernel<randint_low>();
    r.add("randperm(int n, *, " FB_FACTORY ") -> Tensor", "fo").kernel<randperm>();
    r.add("rand_like(Tensor self, *, " FB_LIKE ") -> Tensor", "f").kernel<rand_like>();
    r.add("randn_like(Tensor self, *, " FB_LIKE ") -> Tensor", "f").kernel<randn_like>();
    r.add("randint_like(Tensor self, int high, *, " FB_LIKE ") -> Tensor", "f").kernel<randint_like>();
    r.add("randint_like.Tensor(Tensor self, Tensor high, *, " FB_LIKE ") -> Tensor", "f").kernel<randint_like_tensor>();
    r.add("randint_like.low_dtype(Tensor self, int low, int high, *, " FB_LIKE ") -> Tensor", "f")
        .kernel<randint_like_low>();

    r.add("normal.Tensor_Tensor(Tensor mean, Tensor std, *, Generator? generator=None) -> Tensor", "fo")
        .kernel<normal_tensors>()
        .grad("mean", "", [](Back& b) { return zeros_for(b, 0); })
        .grad("std", "", [](Back& b) { return zeros_for(b, 1); })
        .node("NormalBackward3");
    r.add("normal.Tensor_float(Tensor mean, float std=1, *, Generator? generator=None) -> Tensor", "fo")
        .kernel<normal_mean>()
        .grad("mean", "", no_grad_through)
        .node("NormalBackward1");
    r.add("normal.float_Tensor(float mean, Tensor std, *, Generator? generator=None) -> Tensor", "fo")
        .kernel<normal_std>()
        .grad("std", "", no_grad_through)
        .node("NormalBackward2");
    r.add("normal.float_float(float mean, float std, int[] size, *, " FB_FACTORY ") -> Tensor", "fo")
        .kernel<normal_sized>();
#undef FB_FACTORY
#undef FB_LIKE

    r.add("uniform_(Tensor(a!) self, float from=0, float to=1, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<uniform_>()
        .grad("self", "", no_grad_through)
        .node("UniformBackward0");
    r.add("normal_(Tensor(a!) self, float mean=0, float std=1, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<normal_>()
        .grad("self", "", no_grad_through)
        .node("NormalBackward0");
    r.add("exponential_(Tensor(a!) self, float lambd=1, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<exponential_>()
        .grad("self", "", no_grad_through)
        .node("ExponentialBackward0");
    r.add(
         "cauchy_(Tensor(a!) self, float median=0, float sigma=1, *, Generator? generator=None) -> "
         "Tensor(a!)",
         "m")
        .kernel<cauchy_>()
        .grad("self", "", no_grad_through)
        .node("CauchyBackward0");
    r.add(
         "log_normal_(Tensor(a!) self, float mean=1, float std=2, *, Generator? generator=None) -> "
         "Tensor(a!)",
         "m")
        .kernel<log_normal_>()
        .grad("self", "", no_grad_through)
        .node("LogNormalBackward0");
    r.add("geometric_(Tensor(a!) self, float p, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<geometric_>()
        .grad("self", "", no_grad_through)
        .node("GeometricBackward0");
    r.add("random_(Tensor(a!) self, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<random_>()
        .grad("self", "", no_grad_through)
        .node("RandomBackward2");
    r.add("random_.from(Tensor(a!) self, int from, int? to, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<random_from_>()
        .grad("self", "", no_grad_through)
        .node("RandomBackward0");
    r.add("random_.to(Tensor(a!) self, int to, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<random_to_>()
        .grad("self", "", no_grad_through)
        .node("RandomBackward1");
    r.add("bernoulli_.Tensor(Tensor(a!) self, Tensor p, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<bernoulli_tensor_>()
        .grad("self", "", no_grad_through)
        .grad("p", "", [](Back& b) { return zeros_for(b, 1); })
        .node("BernoulliBackward1");
    r.add("bernoulli_.float(Tensor(a!) self, float p=0.5, *, Generator? generator=None) -> Tensor(a!)", "m")
        .kernel<bernoulli_p_>()
        .grad("self", "", no_grad_through)
        .node("BernoulliBackward2");

    r.add("bernoulli(Tensor self, *, Generator? generator=None) -> Tensor", "fmo")
        .kernel<bernoulli>()
        .grad("self", "", no_grad_through);
    r.add("bernoulli.p(Tensor self, float p, *, Generator? generator=None) -> Tensor", "fm")
        .kernel<bernoulli_p>()
        .grad("self", "", not_implemented)
        .node("NotImplemented");
    r.add("bernoulli.Tensor(Tensor self, Tensor p, *, Generator? generator=None) -> Tensor", "")
        .kernel<bernoulli_tensor>();
    r.add(
         "multinomial(Tensor self, int num_samples, bool replacement=False, *, Generator? generator=None) -> "
         "Tensor",
         "fmo")
        .kernel<multinomial>();
    r.add("poisson(Tensor self, Generator? generator=None) -> Tensor", "f")
        .kernel<poisson>()
        .grad("self", "", no_grad_through);
    r.add("binomial(Tensor count, Tensor prob, Generator? generator=None) -> Tensor", "f")
        .kernel<binomial>()
        .grad("count", "", not_implemented)
        .grad("prob", "", not_implemented)
        .node("NotImplemented");
    r.add("_standard_gamma(Tensor self, Generator? generator=None) -> Tensor", "f")
        .kernel<standard_gamma>()
        .grad("self", "self, result",
              [](Back& b) { return op<"mul">(b.g, op<"_standard_gamma_grad">(b.arg(0), b.result())); })
        .node("StandardGammaBackward0");
    r.add("_standard_gamma_grad(Tensor self, Tensor output) -> Tensor", "f")
        .kernel<standard_gamma_grad>()
        .grad("self", "",
              [](Back&) -> Tensor {
                  fail(ErrorKind::NotImplemented, "the derivative for '_standard_gamma_grad' is not implemented.");
              })
        .node("StandardGammaGradBackward0");
    r.add("_sample_dirichlet(Tensor self, Generator? generator=None) -> Tensor", "f")
        .kernel<sample_dirichlet>()
        .grad("self", "self, result",
              [](Back& b) {
                  const Tensor alpha = b.arg(0), x = b.result();
                  const Tensor total = op<"expand">(op<"sum.dim_IntList">(alpha, Dims{-1}, true), alpha.sizes());
                  const Tensor weighted = op<"sum.dim_IntList">(op<"mul">(b.g, x), Dims{-1}, true);
                  return op<"mul">(op<"_dirichlet_grad">(x, alpha, total), op<"sub">(b.g, weighted));
              })
        .node("SampleDirichletBackward0");
    r.add("_dirichlet_grad(Tensor x, Tensor alpha, Tensor total) -> Tensor", "f")
        .kernel<dirichlet_grad>()
        .grad("x", "", not_implemented)
        .grad("alpha", "", not_implemented)
        .grad("total", "", not_implemented)
        .node("NotImplemented");
});

}  // namespace
}  // namespace fb
