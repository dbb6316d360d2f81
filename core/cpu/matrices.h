// LAPACK over batches: column-major copies of matrices, and the routines under one name for the four element types.
#pragma once
#include <string>
#include <vector>
#include "base/parallel.h"
#include "cpu/iter.h"
#include "cpu/lapack.h"

namespace fb::cpu {

template <class T>
struct Letter;
template <>
struct Letter<float> {
    static constexpr char value = 's';
    using Real = float;
};
template <>
struct Letter<double> {
    static constexpr char value = 'd';
    using Real = double;
};
template <>
struct Letter<C64> {
    static constexpr char value = 'c';
    using Real = float;
};
template <>
struct Letter<C128> {
    static constexpr char value = 'z';
    using Real = double;
};
template <class T>
using real_of = typename Letter<T>::Real;
template <class T>
constexpr bool complex_v = std::is_same_v<T, C64> || std::is_same_v<T, C128>;

// The routine's address under the type's letter: routine<void(…), T>("gesv").
template <class F, class T>
lapack::Fn<F> routine(const char* stem) {
    return lapack::Fn<F>((std::string(1, Letter<T>::value) + stem).c_str());
}

template <class F>
void visit_lapack(const Tensor& t, const char* name, F&& f) {
    lapack::available();  // looks for the library, which `f` must not do first while it initializes its statics
    switch (t.dtype()) {
        case DType::f32: return f(float{});
        case DType::f64: return f(double{});
        case DType::c64: return f(C64{});
        case DType::c128: return f(C128{});
        default: lapack::refuse_type(name, t.dtype());
    }
}

// One matrix of a batch, column-major, read from and written to a tensor of any strides.
template <class T>
struct Columns {
    int64_t m, n;
    std::vector<T> v;
    Columns(int64_t m, int64_t n) : m(m), n(n), v(size_t(std::max<int64_t>(1, m * n)), T(0)) {}
    T* data() { return v.data(); }
    T& operator()(int64_t i, int64_t j) { return v[size_t(i + j * m)]; }
    int64_t ld() const { return std::max<int64_t>(1, m); }
};
struct Batch {  // addresses of the matrices (vectors) of a tensor in row-major order of its leading dimensions
    const Tensor& t;
    int inner;  // 2 matrices, 1 vectors, 0 numbers
    int64_t count = 1;
    Batch(const Tensor& t, int inner) : t(t), inner(inner) {
        for (int64_t d = 0; d < t.dim() - inner; ++d) count *= t.sizes()[size_t(d)];
    }
    template <class T>
    T* at(int64_t i) const {
        T* p = t.data<T>();
        for (int64_t d = t.dim() - inner; d-- > 0;) {
            p += i % t.sizes()[size_t(d)] * t.strides()[size_t(d)];
            i /= t.sizes()[size_t(d)];
        }
        return p;
    }
};
template <class T>
void load(Columns<T>& c, const Tensor& t, const T* p) {
    const int64_t rs = t.stride(-2), cs = t.stride(-1);
    for (int64_t j = 0; j < t.size(-1); ++j)
        for (int64_t i = 0; i < t.size(-2); ++i) c(i, j) = p[i * rs + j * cs];
}
template <class T>
void store(Columns<T>& c, const Tensor& t, T* p) {
    const int64_t rs = t.stride(-2), cs = t.stride(-1);
    for (int64_t j = 0; j < t.size(-1); ++j)
        for (int64_t i = 0; i < t.size(-2); ++i) p[i * rs + j * cs] = c(i, j);
}
template <class T>
int64_t wanted_room(T v) {
    if constexpr (complex_v<T>) return std::max<int64_t>(1, int64_t(v.re));
    else return std::max<int64_t>(1, int64_t(v));
}

}  // namespace fb::cpu
