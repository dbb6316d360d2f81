// Comparison, logic, bits, the larger and the smaller.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "base/parallel.h"
#include "cpu/pointwise.h"
#include "ops/formula.h"

namespace fb {
namespace {
using namespace cpu;
using namespace formula;

template <Binary kind, Name name>
Tensor promoted(const Operand& a, const Operand& b, Out out) {
    return binary(kind, name.text, a, b, result_type(a, b), out);
}

// --- the larger and the smaller
template <Binary kind, Name name>
Tensor extreme(const Tensor& a, const Tensor& b, Out out) {
    if (is_complex(a.dtype()) || is_complex(b.dtype()))
        fail(ErrorKind::Runtime, name.text, " not implemented for complex tensors.");
    return binary(kind, str(name.text, "_cpu").c_str(), a, b, result_type(a, b), out);
}
template <bool larger>
Tensor extreme_grad(Back& b, int arg) {  // equal values share the gradient
    const Tensor x = b.arg(arg), y = b.arg(1 - arg);
    return masked(where(op<"eq">(x, y), b.g * 0.5, b.g), larger ? x < y : x > y);
}
template <bool larger>
Tensor pick(Back& b) {  // where fmax and fmin took the first operand
    const Tensor x = b.arg(0), y = b.arg(1);
    return (larger ? x >= y : x <= y) | op<"isnan">(y);
}

// --- clamp
Tensor clamp_both(const Tensor& x, const Operand* lo, const Operand* hi, const Out& out) {
    if (is_complex(x.dtype())) fail(ErrorKind::NotImplemented, "clamp is not supported for complex types");
    check(lo || hi, "torch.clamp: At least one of 'min' or 'max' must not be None");
    if (lo && hi) {
        const Operand all[] = {x, *lo, *hi};
        const DType t = result_type(all);
        if (t == DType::b1) no_kernel("clamp_cpu", t);
        return ternary(Ternary::clamp, "clamp_cpu", x, *lo, *hi, t, out);
    }
    const Operand& edge = lo ? *lo : *hi;
    return binary(lo ? Binary::maximum : Binary::minimum, lo ? "clamp_min_cpu" : "clamp_max_cpu", x, edge,
                  result_type(x, edge), out);
}
Tensor clamp(const Tensor& x, const Value& min, const Value& max, Out out) {
    const Operand lo = min, hi = max;
    return clamp_both(x, min.is_none() ? nullptr : &lo, max.is_none() ? nullptr : &hi, out);
}
template <Binary kind>
Tensor clamp_one(const Tensor& x, const Operand& edge, Out out) {
    return clamp_both(x, kind == Binary::maximum ? &edge : nullptr, kind == Binary::minimum ? &edge : nullptr, out);
}
Tensor clamp_grad(Back& b) {
    const Tensor x = b.arg(0);
    const bool lo = b.operand(1).value().is_none(), hi = b.operand(2).value().is_none();
    if (lo) return masked(b.g, x > b.operand(2).value());
    if (hi) return masked(b.g, x < b.operand(1).value());
    return masked(b.g, (x < b.operand(1).value()) | (x > b.operand(2).value()));
}
Tensor clamp_edge_grad(Back& b, int edge) {  // what the bound receives where it replaced x; max wins over min
    const Tensor x = b.arg(0), mine = b.arg(edge), other = b.arg(3 - edge);
    if (edge == 1) return where(other.defined() ? (x < mine) & (mine < other) : x < mine, b.g, 0.0);
    return where(other.defined() ? (x > mine) | (mine < other) : x > mine, b.g, 0.0);
}

// --- closeness
Tensor isclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
    check(a.dtype() == b.dtype(), scalar_name(a.dtype()), " did not match ", scalar_name(b.dtype()));
    check(rtol >= 0, "rtol must be greater than or equal to zero, but got ", rtol);
    check(atol >= 0, "atol must be greater than or equal to zero, but got ", atol);
    Tensor close = op<"eq">(a, b);
    if (equal_nan && (is_floating(a.dtype()) || is_complex(a.dtype())))
        close = close | (op<"isnan">(a) & op<"isnan">(b));
    if (rtol == 0 && atol == 0) return close;
    const DType t = float_type(a.dtype());
    const Tensor x = a.to(t), y = b.to(t);
    const Tensor allowed = op<"abs">(y * rtol) + atol, actual = op<"abs">(x - y);
    return close | (op<"isfinite">(actual) & (actual <= allowed));
}
bool equal(const Tensor& a, const Tensor& b) {
    check(a.device() == b.device(), "Expected all tensors to be on the same device");
    if (!same(a.sizes(), b.sizes())) return false;
    check(a.dtype() == b.dtype() || true, "");
    const GradGuard off(false);
    const auto plain = [](const Tensor& t) { return t.device() == kCPU && !t->lazy() && !t->storage->image(); };
    if (a.dtype() != b.dtype() || !plain(a) || !plain(b) || !same(a.strides(), b.strides()) ||
        !is_non_overlapping_and_dense(a.sizes(), a.strides()))
        return !op<"all">(op<"eq">(a, b)).item().is_zero();
    // Both lie alike: a block at a time, until one differs.
    if (is_integral(a.dtype(), true) && a.data() == b.data()) return true;
    const Loop loop = binary_loop(Binary::eq, a.dtype());
    if (!loop) no_kernel("eq_cpu", a.dtype());
    constexpr int64_t kBlock = 2048;
    const int64_t item = int64_t(itemsize(a.dtype())), steps[] = {1, item, item};
    char *const p = static_cast<char*>(a.data()), *const q = static_cast<char*>(b.data());
    std::atomic<bool> differs{false};
    parallel_for(a.numel(), 65536, [&](int64_t begin, int64_t end) {
        char room[kBlock];
        for (; begin < end && !differs.load(std::memory_order_relaxed); begin += kBlock) {
            const int64_t n = std::min(kBlock, end - begin);
            char* const at[] = {room, p + begin * item, q + begin * item};
            loop(at, steps, n, nullptr);
            if (std::memchr(room, 0, size_t(n))) differs.store(true, std::memory_order_relaxed);
        }
    });
    return !differs;
}
bool allclose(const Tensor& a, const Tensor& b, double rtol, double atol, bool equal_nan) {
    const GradGuard off(false);
    return !op<"all">(isclose(a, b, rtol, atol, equal_nan)).item().is_zero();
}
Tensor dist(const Tensor& a, const Tensor& b, Scalar p) {
    const Tensor difference = op<"sub">(a, b);
    check(!is_integral(difference.dtype(), true),
          "norm(): input dtype should be either floating point or complex. Got ", scalar_name(difference.dtype()),
          " instead.");
    return op<"linalg::vector_norm">(difference, p);
}

Tensor isin(const Operand& elements, const Operand& tests, bool /*assume_unique*/, bool invert) {
    check(!tests.is_tensor() || !tests.tensor().is_meta() || (elements.is_tensor() && elements.tensor().is_meta()),
          "isin: elements and test_elements must be on one device");
    const DType t = result_type(elements, tests);
    for (const Operand* o : {&elements, &tests})
        check(!o->is_tensor() || o->tensor().dtype() != DType::b1,
              "Unsupported input type encountered for isin(): Bool");
    if (is_complex(t)) fail(ErrorKind::Runtime, "Unsupported input type encountered for isin(): ", scalar_name(t));
    const DType compared = is_low_precision(t) ? DType::f32 : t;
    const auto as = [](const Tensor& x, DType d) { return x.dtype() == d && !x->lazy() ? x : convert(x, d); };
    const auto ready = [&](const Operand& o) {
        return dense(as(as(o.is_tensor() ? o.tensor() : scalar_tensor(o.scalar(), t), t), compared));
    };
    const Tensor e = ready(elements), s = ready(tests);
    Tensor r = empty(e.sizes(), DType::b1, e.device());
    if (r.is_meta()) return r;
    uint8_t* const hit = static_cast<uint8_t*>(r->data());
    constexpr int64_t kFew = 64, kBlock = 2048;
    if (s.numel() <= kFew) {  // each value compared with all elements, a block of them at a time
        const Loop equal = binary_loop(Binary::eq, compared);
        const int64_t item = int64_t(itemsize(compared)), steps[] = {1, item, 0};
        parallel_for(e.numel(), std::max<int64_t>(kBlock, 65536 / std::max<int64_t>(1, s.numel())),
                     [&](int64_t begin, int64_t end) {
                         uint8_t one[kBlock];
                         for (; begin < end; begin += kBlock) {
                             const int64_t n = std::min(kBlock, end - begin);
                             uint8_t* const to = hit + begin;
                             std::fill_n(to, n, uint8_t(0));
                             for (int64_t k = 0; k < s.numel(); ++k) {
                                 char* const p[] = {reinterpret_cast<char*>(one),
                                                    static_cast<char*>(e->data()) + begin * item,
                                                    static_cast<char*>(s->data()) + k * item};
                                 equal(p, steps, n, nullptr);
                                 for (int64_t i = 0; i < n; ++i) to[i] |= one[i];
                             }
                             for (int64_t i = 0; invert && i < n; ++i) to[i] ^= 1;
                         }
                     });
        return r;
    }
    visit_dtype(compared, [&](auto zero) {
        using T = decltype(zero);
        if constexpr (std::is_arithmetic_v<T>) {
            std::vector<T> known(s.data<T>(), s.data<T>() + s.numel());
            std::erase_if(known, [](const T& v) { return v != v; });
            std::sort(known.begin(), known.end());
            const T* v = e.data<T>();
            parallel_for(e.numel(), 4096, [&](int64_t i, int64_t end) {
                for (; i < end; ++i) hit[i] = std::binary_search(known.begin(), known.end(), v[i]) != invert;
            });
        }
    });
    return r;
}

struct Comparison {
    const char* names;
    Kernel kernel;
};
const Comparison comparisons[] = {
    {"eq", &detail::Boxed<promoted<Binary::eq, "eq_cpu">>::call},
    {"ne not_equal", &detail::Boxed<promoted<Binary::ne, "ne_cpu">>::call},
    {"lt less", &detail::Boxed<promoted<Binary::lt, "lt_cpu">>::call},
    {"le less_equal", &detail::Boxed<promoted<Binary::le, "le_cpu">>::call},
    {"gt greater", &detail::Boxed<promoted<Binary::gt, "gt_cpu">>::call},
    {"ge greater_equal", &detail::Boxed<promoted<Binary::ge, "ge_cpu">>::call},
    {"bitwise_and", &detail::Boxed<promoted<Binary::bitwise_and, "bitwise_and_cpu">>::call},
    {"bitwise_or", &detail::Boxed<promoted<Binary::bitwise_or, "bitwise_or_cpu">>::call},
    {"bitwise_xor", &detail::Boxed<promoted<Binary::bitwise_xor, "bitwise_xor_cpu">>::call},
    {"bitwise_left_shift", &detail::Boxed<promoted<Binary::left_shift, "lshift_cpu">>::call},
    {"bitwise_right_shift", &detail::Boxed<promoted<Binary::right_shift, "rshift_cpu">>::call},
};
const Comparison logic[] = {
    {"logical_and", &detail::Boxed<promoted<Binary::logical_and, "logical_and_cpu">>::call},
    {"logical_or", &detail::Boxed<promoted<Binary::logical_or, "logical_or_cpu">>::call},
    {"logical_xor", &detail::Boxed<promoted<Binary::logical_xor, "logical_xor_cpu">>::call},
    {"gcd", &detail::Boxed<promoted<Binary::gcd, "gcd_cpu">>::call},
    {"lcm", &detail::Boxed<promoted<Binary::lcm, "lcm_cpu">>::call},
};

const Family compare([](Registry& r) {
    for (const Comparison& c : comparisons) {
        std::string_view names = c.names;
        while (!names.empty()) {
            const size_t end = std::min(names.find(' '), names.size());
            // bit operations take a number on either side
            r.add(str(names.substr(0, end),
                      names.starts_with("bitwise") ? ".Tensor(Operand self" : ".Tensor(Tensor self",
                      ", Operand other) -> Tensor")
                      .c_str(),
                  "fmio")
                .boxed(c.kernel);
            names.remove_prefix(std::min(end + 1, names.size()));
        }
    }
    for (const Comparison& c : logic)
        r.add(str(c.names, "(Tensor self, Tensor other) -> Tensor").c_str(), "fmio").boxed(c.kernel);

    r.add("maximum(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<extreme<Binary::maximum, "maximum">>()
        .grad("self", "self, other", [](Back& b) { return extreme_grad<true>(b, 0); })
        .grad("other", "self, other", [](Back& b) { return extreme_grad<true>(b, 1); });
    r.add("minimum(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<extreme<Binary::minimum, "minimum">>()
        .grad("self", "self, other", [](Back& b) { return extreme_grad<false>(b, 0); })
        .grad("other", "self, other", [](Back& b) { return extreme_grad<false>(b, 1); });
    r.add("fmax(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<extreme<Binary::fmax, "fmax">>()
        .grad("self", "self, other", [](Back& b) { return masked(b.g, !pick<true>(b)); })
        .grad("other", "self, other", [](Back& b) { return masked(b.g, pick<true>(b)); });
    r.add("fmin(Tensor self, Tensor other) -> Tensor", "fmo")
        .kernel<extreme<Binary::fmin, "fmin">>()
        .grad("self", "self, other", [](Back& b) { return masked(b.g, !pick<false>(b)); })
        .grad("other", "self, other", [](Back& b) { return masked(b.g, pick<false>(b)); });

    for (const char* name : {"clamp", "clip"}) {
        r.add(str(name, "(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor").c_str(), "fmio")
            .kernel<clamp>()
            .grad("self", "self", clamp_grad)
            .node("ClampBackward1");
        r.add(str(name, ".Tensor(Tensor self, Tensor? min=None, Tensor? max=None) -> Tensor").c_str(), "fmio")
            .kernel<clamp>()
            .grad("self", "self, min, max", clamp_grad)
            .grad("min", "self, min, max", [](Back& b) { return clamp_edge_grad(b, 1); })
            .grad("max", "self, min, max", [](Back& b) { return clamp_edge_grad(b, 2); })
            .node("ClampBackward0");
    }
    r.add("clamp_min.Tensor(Tensor self, Operand min) -> Tensor", "fmio")
        .kernel<clamp_one<Binary::maximum>>()
        .grad("self", "self, min", [](Back& b) { return masked(b.g, b.arg(0) < b.operand(1).value()); })
        .grad("min", "self, min", [](Back& b) { return where(b.arg(0) < b.arg(1), b.g, 0.0); })
        .node("ClampMinBackward1 0:min");
    r.add("clamp_max.Tensor(Tensor self, Operand max) -> Tensor", "fmio")
        .kernel<clamp_one<Binary::minimum>>()
        .grad("self", "self, max", [](Back& b) { return masked(b.g, b.arg(0) > b.operand(1).value()); })
        .grad("max", "self, max", [](Back& b) { return where(b.arg(0) > b.arg(1), b.g, 0.0); })
        .node("ClampMaxBackward1 0:max");

    r.add("isclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> Tensor",
          "fm")
        .kernel<isclose>();
    r.add("allclose(Tensor self, Tensor other, float rtol=1e-05, float atol=1e-08, bool equal_nan=False) -> bool", "fm")
        .kernel<allclose>();
    r.add("equal(Tensor self, Tensor other) -> bool", "fm").kernel<equal>();
    r.add("dist(Tensor self, Tensor other, Scalar p=2) -> Tensor", "fm").kernel<dist>().shown_as("DistBackward0");
    r.add(
         "isin.Tensor_Tensor(Operand elements, Operand test_elements, *, bool assume_unique=False, bool invert=False) "
         "-> Tensor",
         "fo")
        .kernel<isin>();
});

}  // namespace
}  // namespace fb
