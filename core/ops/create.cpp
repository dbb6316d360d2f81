// Making, copying and converting tensors.
#include <cmath>
#include <numeric>
#include <cstring>
#include "autograd/back.h"
#include "autograd/sparse_gradient.h"
#include "base/parallel.h"
#include "cpu/choose.h"
#include "cpu/pointwise.h"
#include "tensor/bytes.h"
#include "tensor/hidden.h"
#include "cpu/iter.h"
#include "ops/fits.h"
#include "ops/fresh.h"

namespace fb {

constinit std::atomic<bool> fill_fresh = false;

namespace {

Device device_or_cpu(std::optional<Device> d) { return d.value_or(kCPU); }
DType or_default(DType t) { return t == DType::none ? default_dtype() : t; }

void check_layout(std::optional<Layout> l) {
    if (l && *l != Layout::Strided)
        fail(ErrorKind::NotImplemented, "only strided tensors can be made here; see torch.sparse for the others");
}

bool asks_for_sparse(std::optional<Layout> l) {
    constexpr Layout jagged{6};  // the last one of the names that the binding knows
    return l && *l != Layout::Strided && *l != jagged && sparse_gradients.blank;
}

// The largest number, or none at all.
Scalar fresh_value(DType t) {
    if (is_floating(t) || is_complex(t)) return Scalar(std::numeric_limits<double>::quiet_NaN());
    switch (t) {
        case DType::b1: return Scalar(true);
        case DType::u8: return Scalar(int64_t(std::numeric_limits<uint8_t>::max()));
        case DType::i8: return Scalar(int64_t(std::numeric_limits<int8_t>::max()));
        case DType::i16: return Scalar(int64_t(std::numeric_limits<int16_t>::max()));
        case DType::u16: return Scalar(int64_t(std::numeric_limits<uint16_t>::max()));
        case DType::i32: return Scalar(int64_t(std::numeric_limits<int32_t>::max()));
        case DType::u32: return Scalar(int64_t(std::numeric_limits<uint32_t>::max()));
        case DType::u64: return Scalar(int64_t(-1));  // all bits set
        default: return Scalar(std::numeric_limits<int64_t>::max());
    }
}
Tensor in_format(IntSpan sizes, DType dtype, Device device, std::optional<MemoryFormat> f) {
    if (f && (*f == MemoryFormat::ChannelsLast || *f == MemoryFormat::ChannelsLast3d)) {
        const size_t want = *f == MemoryFormat::ChannelsLast ? 4 : 5;
        check(sizes.size() == want, "required rank ", want, " tensor to use channels_last", want == 5 ? "_3d" : "",
              " format");
        return empty_strided(sizes, channels_last_strides(sizes), dtype, device);
    }
    return empty(sizes, dtype, device);
}

Tensor like(const Tensor& t, DType dtype, std::optional<Layout> layout, std::optional<Device> device,
            std::optional<MemoryFormat> f) {
    check_layout(layout);
    if (dtype == DType::none) dtype = t.dtype();
    const Device d = device.value_or(t.device());
    if (f && *f != MemoryFormat::Preserve) return in_format(t.sizes(), dtype, d, f);
    if (d == t.device()) return empty_like(t, dtype);
    if (!is_non_overlapping_and_dense(t.sizes(), t.strides())) return empty(t.sizes(), dtype, d);
    return empty_strided(t.sizes(), t.strides(), dtype, d);
}

Tensor empty_(IntSpan size, DType dtype, std::optional<Layout> layout, std::optional<Device> device, const Value&,
              std::optional<MemoryFormat> f) {
    if (asks_for_sparse(layout))
        return sparse_gradients.blank("empty", size, or_default(dtype), *layout, device_or_cpu(device));
    check_layout(layout);
    return fresh(in_format(size, or_default(dtype), device_or_cpu(device), f));
}
Tensor empty_strided_(IntSpan size, IntSpan stride, DType dtype, std::optional<Layout> layout,
                      std::optional<Device> device, const Value&) {
    check_layout(layout);
    return fresh(empty_strided(size, stride, or_default(dtype), device_or_cpu(device)));
}
Tensor zeros(IntSpan size, DType dtype, std::optional<Layout> layout, std::optional<Device> device, const Value&,
             Out out) {
    if (asks_for_sparse(layout) && !out.given())
        return sparse_gradients.blank("zeros", size, or_default(dtype), *layout, device_or_cpu(device));
    check_layout(layout);
    if (!out.given())
        for (const int64_t n : size) check(n >= 0, "zeros: Dimension size must be non-negative.");
    if (out.given() && dtype == DType::none) dtype = (*out.given()).dtype();
    Tensor t = out.result(size, or_default(dtype), device_or_cpu(device));
    cpu::fill(t, 0);
    return t;
}
Tensor ones(IntSpan size, DType dtype, std::optional<Layout> layout, std::optional<Device> device, const Value&,
            Out out) {
    check_layout(layout);
    if (out.given() && dtype == DType::none) dtype = (*out.given()).dtype();
    Tensor t = out.result(size, or_default(dtype), device_or_cpu(device));
    cpu::fill(t, 1);
    return t;
}
DType dtype_of_number(const Scalar& v) {
    return v.kind == Scalar::Kind::Bool ? DType::b1
           : v.is_integral()            ? DType::i64
           : v.is_complex()             ? to_complex(default_dtype())
                                        : default_dtype();
}
Tensor full(IntSpan size, Scalar value, DType dtype, std::optional<Layout> layout, std::optional<Device> device,
            const Value&, Out out) {
    check_layout(layout);
    if (dtype == DType::none) dtype = out.given() ? (*out.given()).dtype() : dtype_of_number(value);
    const bool half = dtype == DType::f16 || dtype == DType::bf16;  // a single half may become infinite
    check_fits(value, half && product(size) == 1 ? DType::f64 : dtype);
    Tensor t = out.result(size, dtype, device_or_cpu(device));
    cpu::fill(t, value);
    return t;
}
Tensor scalar_tensor_(Scalar value, DType dtype, std::optional<Layout>, std::optional<Device> device, const Value&) {
    return scalar_tensor(value, or_default(dtype), device_or_cpu(device));
}
Tensor empty_like_(const Tensor& t, DType d, std::optional<Layout> l, std::optional<Device> dev, const Value&,
                   std::optional<MemoryFormat> f) {
    return fresh(like(t, d, l, dev, f));
}
Tensor zeros_like(const Tensor& t, DType d, std::optional<Layout> l, std::optional<Device> dev, const Value&,
                  std::optional<MemoryFormat> f) {
    Tensor r = like(t, d, l, dev, f);
    cpu::fill(r, 0);
    return r;
}
Tensor ones_like(const Tensor& t, DType d, std::optional<Layout> l, std::optional<Device> dev, const Value&,
                 std::optional<MemoryFormat> f) {
    Tensor r = like(t, d, l, dev, f);
    cpu::fill(r, 1);
    return r;
}
Tensor full_like(const Tensor& t, Scalar v, DType d, std::optional<Layout> l, std::optional<Device> dev, const Value&,
                 std::optional<MemoryFormat> f) {
    Tensor r = like(t, d, l, dev, f);
    cpu::fill(r, v);
    return r;
}
Tensor new_empty(const Tensor& t, IntSpan size, DType d, std::optional<Layout>, std::optional<Device> dev,
                 const Value&) {
    return fresh(empty(size, d == DType::none ? t.dtype() : d, dev.value_or(t.device())));
}
Tensor new_empty_strided(const Tensor& t, IntSpan size, IntSpan stride, DType d, std::optional<Layout>,
                         std::optional<Device> dev, const Value&) {
    return fresh(empty_strided(size, stride, d == DType::none ? t.dtype() : d, dev.value_or(t.device())));
}
Tensor new_filled(const Tensor& t, IntSpan size, DType d, std::optional<Device> dev, Scalar v) {
    Tensor r = empty(size, d == DType::none ? t.dtype() : d, dev.value_or(t.device()));
    cpu::fill(r, v);
    return r;
}
Tensor new_zeros(const Tensor& t, IntSpan size, DType d, std::optional<Layout>, std::optional<Device> dev,
                 const Value&) {
    return new_filled(t, size, d, dev, 0);
}
Tensor new_ones(const Tensor& t, IntSpan size, DType d, std::optional<Layout>, std::optional<Device> dev,
                const Value&) {
    return new_filled(t, size, d, dev, 1);
}
Tensor new_full(const Tensor& t, IntSpan size, Scalar v, DType d, std::optional<Layout>, std::optional<Device> dev,
                const Value&) {
    return new_filled(t, size, d, dev, v);
}

// --- ranges
template <class T>
void fill_range(T* p, int64_t n, T start, T step) {
    using U = std::make_unsigned_t<T>;  // which wraps
    constexpr int64_t kBack = 64;       // each number from that before so many: no addition waits for the last one
    parallel_for(n, 65536, [=](int64_t b, int64_t e) {
        int64_t i = b;
        for (; i < std::min(e, b + kBack); ++i) p[i] = T(U(start) + U(i) * U(step));
        const U by = U(kBack) * U(step);
#pragma omp simd safelen(kBack)
        for (int64_t k = i; k < e; ++k) p[k] = T(U(p[k - kBack]) + by);
    });
}
// From both ends, so that the last value is exact; fused, as PyTorch does.
template <class F>
[[gnu::always_inline]] inline void fill_between(F* p, int64_t begin, int64_t end, int64_t steps, F a, F b, F d) {
    const int64_t half = std::clamp(steps / 2, begin, end);

#pragma omp simd
    for (int64_t i = begin; i < half; ++i) p[i] = std::fma(d, F(i), a);

#pragma omp simd
    for (int64_t i = half; i < end; ++i) p[i] = std::fma(-d, F(steps - 1 - i), b);
}

// PyTorch's last bits: it counts in pairs of 32-byte vectors, each from its first number on, and what is left from
// `start` on. `begin` is the first of a vector.
template <class T, class A>
[[gnu::always_inline]] inline void fill_vectors(T* p, int64_t begin, int64_t end, int64_t n, A start, A step) {
    constexpr int64_t kLanes = 32 / sizeof(T);
    const int64_t whole = std::clamp(n - n % (2 * kLanes), begin, end);
    A lane[kLanes];  // as numbers: AVX2 has no instruction that converts them
    for (int64_t k = 0; k < kLanes; ++k) lane[k] = A(k);
    for (int64_t i = begin; i < whole; i += kLanes) {
        const A first = A(T(std::fma(step, A(i), start)));
#pragma omp simd
        for (int64_t k = 0; k < kLanes; ++k) p[i + k] = T(std::fma(lane[k], step, first));
    }
    for (int64_t i = whole; i < end; ++i) p[i] = T(std::fma(step, A(i), start));
}
#ifdef FB_X86
template <class F>
[[gnu::target("avx2,fma")]] void fill_between_fused(F* p, int64_t begin, int64_t end, int64_t steps, F a, F b, F d) {
    fill_between(p, begin, end, steps, a, b, d);  // with the instruction instead of the C library's function
}
template <class T, class A>
[[gnu::target("avx2,fma")]] void fill_vectors_fused(T* p, int64_t begin, int64_t end, int64_t n, A start, A step) {
    fill_vectors(p, begin, end, n, start, step);
}
#endif
template <class T, class A>
void fill_range_in_vectors(T* p, int64_t n, A start, A step) {
    constexpr int64_t kPiece = 4096;
    parallel_for((n + kPiece - 1) / kPiece, 2, [=](int64_t from, int64_t to) {
        const int64_t begin = from * kPiece, end = std::min(n, to * kPiece);
#ifdef FB_X86
        if (cpu::cpu_level() != cpu::CpuLevel::baseline) return fill_vectors_fused(p, begin, end, n, start, step);
#endif
        fill_vectors(p, begin, end, n, start, step);
    });
}

Tensor arange(Scalar start, Scalar end, Scalar step, DType dtype, std::optional<Layout> layout,
              std::optional<Device> device, const Value&, Out out) {
    check_layout(layout);
    if (dtype == DType::none)
        dtype = out.given()                                                      ? (*out.given()).dtype()
                : start.is_integral() && end.is_integral() && step.is_integral() ? DType::i64
                                                                                 : default_dtype();
    check(!step.is_zero(), "step must be nonzero");
    const double a = start.real(), b = end.real(), s = step.real();
    check(std::isfinite(a) && std::isfinite(b), "unsupported range: ", a, " -> ", b);
    check((s > 0 && b >= a) || (s < 0 && b <= a), "upper bound and lower bound inconsistent with step sign");
    int64_t n;
    if (dtype == DType::i64) {  // counted in integers, whatever the bounds were: no double holds them all
        const int64_t from = start.to<int64_t>(), to = end.to<int64_t>(), by = step.to<int64_t>();
        if (by == 0) fail(ErrorKind::Value, "step must be nonzero");
        n = (to - from + by - (by > 0 ? 1 : -1)) / by;
    } else {
        n = int64_t(std::ceil((b - a) / s));
    }
    Tensor t = out.result(Dims{n}, dtype, device_or_cpu(device));
    if (t.is_meta() || !n) return t;
    if (is_float8(dtype)) cpu::no_kernel("arange_cpu", dtype);
    Tensor dest = t->contiguous ? t : empty(t.sizes(), dtype);
    visit_dtype(dtype, [&](auto z) {
        using T = decltype(z);
        if constexpr (std::is_same_v<T, bool>) {
            fail(ErrorKind::NotImplemented, "\"arange_cpu\" not implemented for 'Bool'");
        } else if constexpr (std::is_integral_v<T>) {
            fill_range<T>(dest.data<T>(), n, start.to<T>(), step.to<T>());
        } else if constexpr (std::is_same_v<T, float> || std::is_same_v<T, double>) {
            fill_range_in_vectors<T, double>(dest.data<T>(), n, a, s);
        } else if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {
            fill_range_in_vectors<T, float>(dest.data<T>(), n, float(a), float(s));
        } else {
            fail(ErrorKind::NotImplemented, "\"arange_cpu\" not implemented for '", dtype, "'");
        }
    });
    if (dest.get() != t.get()) cpu::copy_data(t, dest);
    return t;
}
Tensor arange_end(Scalar end, DType d, std::optional<Layout> l, std::optional<Device> dev, const Value& p, Out out) {
    return arange(0, end, 1, d, l, dev, p, out);
}
Tensor arange_start(Scalar start, Scalar end, DType d, std::optional<Layout> l, std::optional<Device> dev,
                    const Value& p, Out out) {
    return arange(start, end, 1, d, l, dev, p, out);
}

Tensor linspace(Scalar start, Scalar end, int64_t steps, DType dtype, std::optional<Layout> layout,
                std::optional<Device> device, const Value&, Out out) {
    check_layout(layout);
    check(steps >= 0, "number of steps must be non-negative");
    if (dtype == DType::none)
        dtype = out.given()                              ? (*out.given()).dtype()
                : start.is_complex() || end.is_complex() ? to_complex(default_dtype())
                                                         : default_dtype();
    Tensor t = out.result(Dims{steps}, dtype, device_or_cpu(device));
    if (t.is_meta() || !steps) return t;
    if (is_float8(dtype) && steps > 1) cpu::no_kernel("linspace_cpu", dtype);
    Tensor dest = t->contiguous ? t : empty(t.sizes(), dtype);
    visit_dtype(dtype, [&](auto z) {
        using T = decltype(z);
        T* p = dest.data<T>();
        if (steps == 1) {
            p[0] = start.to<T>();
            return;
        }
        const int64_t half = steps / 2;  // from both ends, so that the last value is exact
        if constexpr (std::is_same_v<T, C64> || std::is_same_v<T, C128>) {
            using R = decltype(T{}.re);
            const T a = start.to<T>(), b = end.to<T>(), d = (b - a) / T(R(steps - 1));
            for (int64_t i = 0; i < steps; ++i)
                p[i] = i < half ? T(std::fma(d.re, R(i), a.re), std::fma(d.im, R(i), a.im))
                                : T(std::fma(-d.re, R(steps - 1 - i), b.re), std::fma(-d.im, R(steps - 1 - i), b.im));
        } else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
            const double a = double(start.to<T>()), b = double(end.to<T>()), d = (b - a) / double(steps - 1);
            for (int64_t i = 0; i < steps; ++i)
                p[i] = T(i < half ? std::fma(d, double(i), a) : std::fma(-d, double(steps - 1 - i), b));
        } else if constexpr (std::is_same_v<T, F16> || std::is_same_v<T, BF16>) {  // rounded after every operation
            const T a = start.to<T>(), b = end.to<T>(), d = T(float(T(float(b) - float(a))) / float(steps - 1));
            for (int64_t i = 0; i < steps; ++i)
                p[i] = i < half ? T(float(a) + float(T(float(d) * float(i))))
                                : T(float(b) - float(T(float(d) * float(steps - 1 - i))));
        } else if constexpr (!std::is_same_v<T, bool>) {
            using F = std::conditional_t<std::is_same_v<T, double>, double, float>;
            const F a = F(start.to<T>()), b = F(end.to<T>()), d = (b - a) / F(steps - 1);
            parallel_for(steps, 8192, [&](int64_t from, int64_t to) {
#ifdef FB_X86
                if (cpu::cpu_level() != cpu::CpuLevel::baseline) return fill_between_fused(p, from, to, steps, a, b, d);
#endif
                fill_between(p, from, to, steps, a, b, d);
            });
        }
    });
    if (dest.get() != t.get()) cpu::copy_data(t, dest);
    return t;
}

Tensor eye_m(int64_t n, int64_t m, DType dtype, std::optional<Layout> layout, std::optional<Device> device,
             const Value&, Out out) {
    check_layout(layout);
    check(n >= 0, "n must be greater or equal to 0, got ", n);
    check(m >= 0, "m must be greater or equal to 0, got ", m);
    if (dtype == DType::none) dtype = out.given() ? (*out.given()).dtype() : default_dtype();
    Tensor t = out.result(Dims{n, m}, dtype, device_or_cpu(device));
    cpu::fill(t, 0);
    const int64_t k = std::min(n, m);
    if (k) cpu::fill(make_view(t, Dims{k}, Dims{t.strides()[0] + t.strides()[1]}, t->offset), 1);
    return t;
}
Tensor eye(int64_t n, DType d, std::optional<Layout> l, std::optional<Device> dev, const Value& p, Out out) {
    return eye_m(n, n, d, l, dev, p, out);
}

// --- copies
Tensor clone(const Tensor& t, std::optional<MemoryFormat> f) {
    if (const auto as = f.value_or(MemoryFormat::Preserve);
        as == MemoryFormat::Preserve || as == MemoryFormat::Contiguous)
        if (Tensor r = hidden_clone(t); r.defined()) return r;
    Tensor r = like(t, DType::none, std::nullopt, std::nullopt, f);
    cpu::copy_data(r, t);
    return r;
}
Tensor copy_(const Tensor& self, const Tensor& src, bool) {
    cpu::check_writable(self);
    if (self.numel() || src.numel() != 0) {
        const Dims shape = broadcast_shapes(self.sizes(), src.sizes());
        if (!same(shape, self.sizes()))
            fail(ErrorKind::Runtime, "output with shape ", self.sizes(), " doesn't match the broadcast shape ", shape);
    }
    if (is_complex(src.dtype()) && !is_complex(self.dtype()))
        warn("Casting complex values to real discards the imaginary part");
    cpu::copy_data(self, src);
    self->bump_version();
    return self;
}
Tensor copy_number_(const Tensor& self, Scalar v, bool) {
    return copy_(self, scalar_tensor(v, v.natural_dtype()), false);
}
Tensor fill_(const Tensor& self, Operand v) {
    Scalar s;
    if (v.is_tensor()) {
        check(v.tensor().dim() == 0, "fill_ only supports 0-dimension value tensor but got tensor with ",
              v.tensor().dim(), " dimensions.");
        s = v.tensor().is_meta() ? Scalar(0) : v.tensor().item();
    } else {
        s = v.scalar();
    }
    check_fits(s, self.dtype());
    cpu::fill(self, s);
    self->bump_version();
    return self;
}
Tensor fill(const Tensor& self, Operand v) {
    Tensor r = empty_like(self);
    fill_(r, v);
    return r;
}
Tensor zero_(const Tensor& self) {
    cpu::fill(self, 0);
    self->bump_version();
    return self;
}
Tensor contiguous(const Tensor& self, MemoryFormat f) {
    check(f != MemoryFormat::Preserve, "preserve memory format is unsupported by the contiguous operator");
    const bool cl = f == MemoryFormat::ChannelsLast || f == MemoryFormat::ChannelsLast3d;
    if (cl ? same(self.strides(), channels_last_strides(self.sizes())) : self->contiguous) return self;
    return op<"clone">(self, f);
}

Tensor to_copy(const Tensor& self, DType dtype, std::optional<Device> device, std::optional<MemoryFormat> f) {
    Tensor r = like(self, dtype, std::nullopt, device, f);
    if (is_complex(self.dtype()) && !is_complex(r.dtype()))
        warn("Casting complex values to real discards the imaginary part");
    if (self.is_meta() && !r.is_meta()) fail(ErrorKind::NotImplemented, "Cannot copy out of meta tensor; no data!");
    cpu::copy_data(r, self);
    return r;
}
Tensor to_any(const Tensor& self, DType dtype, std::optional<Device> device, bool copy, std::optional<MemoryFormat> f) {
    const bool format_fits = !f || *f == MemoryFormat::Preserve ||
                             // as in PyTorch, whatever is not in channels-last order passes for contiguous here
                             (*f == MemoryFormat::Contiguous) != is_channels_last(self.sizes(), self.strides());
    if (!copy && (dtype == DType::none || dtype == self.dtype()) && (!device || device->type == self.device().type) &&
        format_fits)
        return self;
    return op<"_to_copy">(self, dtype == DType::none ? self.dtype() : dtype, device.value_or(self.device()), f);
}
Tensor to_device(const Tensor& self, std::optional<Device> device, DType dtype, bool, bool copy,
                 std::optional<MemoryFormat> f) {
    return to_any(self, dtype, device, copy, f);
}
Tensor to_dtype(const Tensor& self, DType dtype, bool, bool copy, std::optional<MemoryFormat> f) {
    return to_any(self, dtype, std::nullopt, copy, f);
}
Tensor to_other(const Tensor& self, const Tensor& other, bool, bool copy, std::optional<MemoryFormat> f) {
    return to_any(self, other.dtype(), other.device(), copy, f);
}
Tensor type_as(const Tensor& self, const Tensor& other) {
    return to_any(self, other.dtype(), other.device(), false, std::nullopt);
}
Tensor detach(const Tensor& self) { return shallow_copy(self, true); }
Tensor alias(const Tensor& self) { return make_view(self, self.sizes(), self.strides(), self->offset); }
Tensor tie(const Tensor& self, const Tensor& other) {
    Tensor t = op<"expand">(self, broadcast_shapes(self.sizes(), other.sizes()));
    if (t.get() == self.get()) t = alias(self);
    t->base = {};
    return t;
}

Tensor resize_(const Tensor& self, IntSpan size, std::optional<MemoryFormat> format) {
    check(!self.requires_grad(), "cannot resize variables that require grad");
    check(format != MemoryFormat::Preserve, "Unsupported memory format", "Preserve");
    const bool last = format == MemoryFormat::ChannelsLast || format == MemoryFormat::ChannelsLast3d;
    if (last) (void)in_format(size, self.dtype(), kMeta, format);  // checks the rank
    if (!format && same(self.sizes(), size)) return self;          // the strides stay, whatever they are
    (void)checked_bytes(size, self.dtype());
    const size_t bytes = size_t(storage_size(size, contiguous_strides(size), self->offset)) * itemsize(self.dtype());
    const size_t before = self->storage->nbytes();
    if (bytes > before) self->storage->resize(bytes);
    self->set_contiguous(size);
    if (bytes > before && fill_fresh.load(std::memory_order_relaxed)) [[unlikely]] {
        const int64_t old = int64_t(before / itemsize(self->dtype)), all = int64_t(bytes / itemsize(self->dtype));
        cpu::fill(make_view(self.detach(), Dims{all - old}, Dims{1}, old), fresh_value(self->dtype));
    }
    if (last) self->set_shape(size, channels_last_strides(size));
    return self;
}

// Rows and columns of the elements on a diagonal and below or above it, a row of the matrix after another.
Tensor triangle_indices(int64_t rows, int64_t columns, int64_t offset, bool upper) {
    check(rows >= 0 && columns >= 0, "a triangle needs sizes that are not negative, got ", rows, " and ", columns);
    offset = std::clamp(offset, -rows - 1, columns);
    const auto part = [&](int64_t i) {
        const int64_t edge = std::clamp<int64_t>(i + offset + !upper, 0, columns);
        return upper ? std::pair{edge, columns} : std::pair{int64_t(0), edge};
    };
    // Rows without elements are not walked: a matrix may be long and its triangle small.
    const int64_t first = upper ? 0 : std::clamp<int64_t>(-offset, 0, rows);
    const int64_t last = upper ? std::clamp<int64_t>(columns - offset, 0, rows) : rows;
    const int64_t slope = std::clamp<int64_t>(upper ? -offset : columns - 1 - offset, first, last);  // whole or growing
    const auto triangle = [](__int128 from, __int128 count, int sign) {
        return count * from + sign * count * (count - 1) / 2;
    };
    __int128 n = upper ? __int128(slope - first) * columns : __int128(last - slope) * columns;
    if (upper && slope < last) n += triangle(columns - part(slope).first, last - slope, -1);
    if (!upper && first < slope) n += triangle(part(first).second, slope - first, 1);
    check(n <= std::numeric_limits<int64_t>::max() / 16, "a triangle of ", rows, " rows and ", columns,
          " columns has more elements than fit into memory");
    const Tensor r = empty(Dims{2, int64_t(n)}, DType::i64);
    if (!n) return r;  // however many empty rows there are
    int64_t *row = r.data<int64_t>(), *column = row + n;
    for (int64_t i = first; i < last; ++i) {
        const auto [begin, end] = part(i);
        row = std::fill_n(row, end - begin, i);
        std::iota(column, column + (end - begin), begin);
        column += end - begin;
    }
    return r;
}

const Family create([](Registry& r) {
#define FB_FACTORY ", *, ScalarType? dtype=None, Layout? layout=None, Device? device=None, bool? pin_memory=None"
    r.add("empty(int[] size" FB_FACTORY ", MemoryFormat? memory_format=None) -> Tensor", "fo").kernel<empty_>();
    r.add("empty_strided(int[] size, int[] stride" FB_FACTORY ") -> Tensor", "f").kernel<empty_strided_>();
    r.add("zeros(int[] size" FB_FACTORY ") -> Tensor", "fo").kernel<zeros>();
    r.add("ones(int[] size" FB_FACTORY ") -> Tensor", "fo").kernel<ones>();
    r.add("full(int[] size, Scalar fill_value" FB_FACTORY ") -> Tensor", "fo").kernel<full>();
    r.add("scalar_tensor(Scalar s" FB_FACTORY ") -> Tensor", "f").kernel<scalar_tensor_>();
    r.add("empty_like(Tensor self" FB_FACTORY ", MemoryFormat? memory_format=None) -> Tensor", "f")
        .kernel<empty_like_>()
        .takes_lazy();
    r.add("zeros_like(Tensor self" FB_FACTORY ", MemoryFormat? memory_format=None) -> Tensor", "f")
        .kernel<zeros_like>();
    r.add("ones_like(Tensor self" FB_FACTORY ", MemoryFormat? memory_format=None) -> Tensor", "f").kernel<ones_like>();
    r.add("full_like(Tensor self, Scalar fill_value" FB_FACTORY ", MemoryFormat? memory_format=None) -> Tensor", "f")
        .kernel<full_like>();
    r.add("new_empty(Tensor self, int[] size" FB_FACTORY ") -> Tensor", "m").kernel<new_empty>();
    r.add("new_empty_strided(Tensor self, int[] size, int[] stride" FB_FACTORY ") -> Tensor", "m")
        .kernel<new_empty_strided>();
    r.add("new_zeros(Tensor self, int[] size" FB_FACTORY ") -> Tensor", "m").kernel<new_zeros>();
    r.add("new_ones(Tensor self, int[] size" FB_FACTORY ") -> Tensor", "m").kernel<new_ones>();
    r.add("new_full(Tensor self, int[] size, Scalar fill_value" FB_FACTORY ") -> Tensor", "m").kernel<new_full>();
    r.add("arange(Scalar end" FB_FACTORY ") -> Tensor", "fo").kernel<arange_end>();
    r.add("arange.start(Scalar start, Scalar end" FB_FACTORY ") -> Tensor", "fo").kernel<arange_start>();
    r.add("arange.start_step(Scalar start, Scalar end, Scalar step=1" FB_FACTORY ") -> Tensor", "fo").kernel<arange>();
    r.add("linspace(Scalar start, Scalar end, int steps" FB_FACTORY ") -> Tensor", "fo").kernel<linspace>();
    r.add("_triangle_indices(int row, int col, int offset, bool upper) -> Tensor", "f").kernel<triangle_indices>();
    r.add("eye(int n" FB_FACTORY ") -> Tensor", "fo").kernel<eye>();
    r.add("eye.m(int n, int m" FB_FACTORY ") -> Tensor", "fo").kernel<eye_m>();
#undef FB_FACTORY
    r.add("clone(Tensor self, *, MemoryFormat? memory_format=None) -> Tensor", "fm")
        .kernel<clone>()
        .takes_lazy()
        .grad("self", "", [](Back& b) { return b.g; });
    r.add("copy_(Tensor(a!) self, Tensor src, bool non_blocking=False) -> Tensor", "m")
        .kernel<copy_>()
        .takes_lazy()
        .grad("self", "", [](Back& b) { return op<"zeros_like">(b.g); })
        .grad("src", "", [](Back& b) { return b.g; })
        .node("CopyBackwards");
    r.add("copy_.number(Tensor(a!) self, Scalar other, bool non_blocking=False) -> Tensor", "m").kernel<copy_number_>();
    r.add("fill(Tensor self, Operand value) -> Tensor", "f")
        .kernel<fill>()
        .grad("self", "", [](Back& b) { return op<"zeros_like">(b.g); })
        .grad("value", "", [](Back& b) { return op<"sum">(b.g); })
        .node("FillBackward1 0:value");
    r.add("fill_(Tensor(a!) self, Operand value) -> Tensor", "fm")
        .kernel<fill_>()
        .grad("self", "", [](Back& b) { return op<"zeros_like">(b.g); })
        .grad("value", "", [](Back& b) { return op<"sum">(b.g); })
        .node("FillBackward3 2:value");
    r.add("zero_(Tensor(a!) self) -> Tensor", "fm")
        .kernel<zero_>()
        .grad("self", "", [](Back& b) { return op<"zeros_like">(b.g); })
        .node("ZeroBackward0");
    r.add("contiguous(Tensor self, *, MemoryFormat memory_format=contiguous_format) -> Tensor", "m")
        .kernel<contiguous>()
        .takes_lazy();
    r.add("_to_copy(Tensor self, ScalarType? dtype, Device? device=None, MemoryFormat? memory_format=None) -> Tensor",
          "")
        .kernel<to_copy>()
        .takes_lazy()
        .grad("self", "",
              [](Back& b) {
                  const DType t = b.meta(0).dtype;
                  return (is_complex(b.g.dtype()) && !is_complex(t) ? op<"real">(b.g) : b.g).to(t);
              })
        .node("ToCopyBackward0");
    r.add(
         "to.dtype(Tensor self, ScalarType dtype, bool non_blocking=False, bool copy=False, *, MemoryFormat? "
         "memory_format=None) -> Tensor",
         "m")
        .kernel<to_dtype>()
        .takes_lazy();
    r.add(
         "to.device(Tensor self, Device? device=None, ScalarType? dtype=None, bool non_blocking=False, bool "
         "copy=False, *, MemoryFormat? memory_format=None) -> Tensor",
         "m")
        .kernel<to_device>()
        .takes_lazy();
    r.add(
         "to.other(Tensor self, Tensor other, bool non_blocking=False, bool copy=False, *, MemoryFormat? "
         "memory_format=None) -> Tensor",
         "m")
        .kernel<to_other>()
        .takes_lazy();
    r.add("type_as(Tensor self, Tensor other) -> Tensor", "m").kernel<type_as>().takes_lazy();
    r.add("detach(Tensor self) -> Tensor", "fm").kernel<detach>().takes_lazy();
    r.add("alias(Tensor self) -> Tensor", "").kernel<alias>().view().grad("self", "", [](Back& b) { return b.g; });
    // self, also as a function of other whose derivative is zero: what recorded gradients of piecewise linear operators
    // are of their arguments.
    r.add("_tie(Tensor self, Tensor other) -> Tensor", "f")
        .kernel<tie>()
        .grad("self", "", [](Back& b) { return b.g; })
        .grad("other", "", [](Back& b) { return zeros_of(b.meta(1)); });
    r.add("resize_(Tensor(a!) self, int[] size, *, MemoryFormat? memory_format=None) -> Tensor", "m")
        .kernel<resize_>()
        .takes_lazy();
});

}  // namespace

Tensor fresh(Tensor t) {
    if (fill_fresh.load(std::memory_order_relaxed)) [[unlikely]]
        cpu::fill(t, fresh_value(t.dtype()));
    return t;
}

Tensor Tensor::contiguous() const { return is_contiguous() ? *this : op<"clone">(*this, MemoryFormat::Contiguous); }
Tensor Tensor::to(DType t) const { return dtype() == t ? *this : op<"_to_copy">(*this, t); }
Tensor Tensor::detach() const { return shallow_copy(*this, true); }

}  // namespace fb
