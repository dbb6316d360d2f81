// LAPACK over batches: column-major copies of matrices, and the routines under one name for the four element types.
#pragma once
#include <algorithm>
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
template <class T>
T conjugate(T v) {
    if constexpr (complex_v<T>) return T(v.re, -v.im);
    else return v;
}

// The routine's address under the type's letter: routine<void(…), T>("gesv").
template <class F, class T>
lapack::Fn<F> routine(const char* stem) {
    return lapack::Fn<F>((std::string(1, Letter<T>::value) + stem).c_str());
}

template <class F>
void visit_lapack(const Tensor& t, const char* name, F&& f) {
    lapack::available();  // looks for the library, which `f` must not do first while it initializes its statics
    const lapack::OneThread only(t.dim() < 2 || t.size(-1) < 1000);
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
        return t.data<T>() + offset(i);
    }
    int64_t offset(int64_t i) const;  // in elements
};
// m by n values, rows and columns in steps.
template <class T>
void copy_matrix(int64_t m, int64_t n, const T* from, int64_t rows, int64_t columns, T* to, int64_t to_rows,
                 int64_t to_columns);
// A matrix of a tensor into memory where columns follow each other.
template <class T>
void load(T* to, const Tensor& t, const T* p) {
    const size_t d = t.sizes().size() - 2;
    copy_matrix(t.sizes()[d], t.sizes()[d + 1], p, t.strides()[d], t.strides()[d + 1], to, int64_t(1), t.sizes()[d]);
}
template <class T>
void load(Columns<T>& c, const Tensor& t, const T* p) {
    load(c.data(), t, p);
}
template <class T>
void store(Columns<T>& c, const Tensor& t, T* p) {
    copy_matrix(t.size(-2), t.size(-1), static_cast<const T*>(c.data()), int64_t(1), t.size(-2), p, t.stride(-2),
                t.stride(-1));
}
template <class T>
int64_t wanted_room(T v) {
    if constexpr (complex_v<T>) return std::max<int64_t>(1, int64_t(v.re));
    else return std::max<int64_t>(1, int64_t(v));
}

}  // namespace fb::cpu
