// What is done for each of many small matrices: in a file of its own, because those of the operators around it are not
// optimized.
#include "cpu/tiny_matrices.h"
#include <algorithm>
#include <cmath>
#include <type_traits>

namespace fb::cpu {

int64_t Batch::offset(int64_t i) const {
    int64_t r = 0, d = t.dim() - inner - 1;
    for (; d > 0; --d) {
        r += i % t.sizes()[size_t(d)] * t.strides()[size_t(d)];
        i /= t.sizes()[size_t(d)];
    }
    return d == 0 ? r + i * t.strides()[0] : r;
}
// Tile by tile, so that both sides stay in the cache.
template <class T>
void copy_matrix(int64_t m, int64_t n, const T* from, int64_t rows, int64_t columns, T* to, int64_t to_rows,
                 int64_t to_columns) {
    constexpr int64_t tile = 16;
    if (m <= tile && n <= tile) {
        for (int64_t j = 0; j < n; ++j)
            for (int64_t i = 0; i < m; ++i) to[i * to_rows + j * to_columns] = from[i * rows + j * columns];
        return;
    }
    if (rows == 1 && to_rows == 1) {
        for (int64_t j = 0; j < n; ++j) std::copy_n(from + j * columns, m, to + j * to_columns);
        return;
    }
    for (int64_t j0 = 0; j0 < n; j0 += tile)
        for (int64_t i0 = 0; i0 < m; i0 += tile)
            for (int64_t j = j0; j < std::min(n, j0 + tile); ++j)
                for (int64_t i = i0; i < std::min(m, i0 + tile); ++i)
                    to[i * to_rows + j * to_columns] = from[i * rows + j * columns];
}

namespace tiny {

template <class T>
real_of<T> magnitude(T v) {  // what LAPACK chooses pivots by
    if constexpr (complex_v<T>) return std::abs(v.re) + std::abs(v.im);
    else return std::abs(v);
}

// Nothing branches on where pivots are: nobody could guess it. `Rows` and `Columns` may be numbers that the compiler
// knows.
template <class T, class Rows, class Columns>
int64_t lu_of(T* a, Rows m, Columns n, int64_t* exchanges) {
    int64_t code = 0;
    for (int64_t j = 0; j < std::min<int64_t>(m, n); ++j) {
        int64_t row = j;
        real_of<T> most = magnitude(a[j + j * m]);
        for (int64_t i = j + 1; i < m; ++i) {
            const real_of<T> now = magnitude(a[i + j * m]);
            row = now > most ? i : row;
            most = now > most ? now : most;
        }
        exchanges[j] = row + 1;
        const T pivot = a[row + j * m];
        if (pivot == T(0)) {
            code = code ? code : j + 1;
            continue;
        }
        for (int64_t k = 0; k < n; ++k) std::swap(a[j + k * m], a[row + k * m]);
        for (int64_t i = j + 1; i < m; ++i) a[i + j * m] = a[i + j * m] / pivot;
        for (int64_t k = j + 1; k < n; ++k)
            for (int64_t i = j + 1; i < m; ++i) a[i + k * m] = a[i + k * m] - a[i + j * m] * a[j + k * m];
    }
    return code;
}
template <class T>
int64_t lu(T* a, int64_t m, int64_t n, int64_t* exchanges) {
    if constexpr (!complex_v<T>) {
        if (m == 3 && n == 3)
            return lu_of(a, std::integral_constant<int64_t, 3>(), std::integral_constant<int64_t, 3>(), exchanges);
        if (m == 4 && n == 4)
            return lu_of(a, std::integral_constant<int64_t, 4>(), std::integral_constant<int64_t, 4>(), exchanges);
    }
    return lu_of(a, m, n, exchanges);
}

template <class T, class Size>
void solve_of(const T* lu, const int64_t* exchanges, Size n, T* x, int64_t count) {
    int64_t order[kMost];
    T diagonal[kMost], y[kMost];
    for (int64_t j = 0; j < n; ++j) order[j] = j, diagonal[j] = T(1) / lu[j + j * n];
    for (int64_t j = 0; j < n; ++j) std::swap(order[j], order[exchanges[j] - 1]);
    for (T* const end = x + n * count; x != end; x += n) {
        for (int64_t j = 0; j < n; ++j) y[j] = x[order[j]];
        for (int64_t j = 0; j < n; ++j)
            for (int64_t i = j + 1; i < n; ++i) y[i] = y[i] - lu[i + j * n] * y[j];
#pragma GCC unroll 4
        for (int64_t j = n - 1; j >= 0; --j) {
            y[j] = y[j] * diagonal[j];
#pragma GCC unroll 4
            for (int64_t i = 0; i < j; ++i) y[i] = y[i] - lu[i + j * n] * y[j];
        }
        for (int64_t j = 0; j < n; ++j) x[j] = y[j];
    }
}
template <class T>
void solve(const T* lu, const int64_t* exchanges, int64_t n, T* x, int64_t count) {
    if constexpr (!complex_v<T>) {
        if (n == 3) return solve_of(lu, exchanges, std::integral_constant<int64_t, 3>(), x, count);
        if (n == 4) return solve_of(lu, exchanges, std::integral_constant<int64_t, 4>(), x, count);
    }
    solve_of(lu, exchanges, n, x, count);
}

template <class T>
int64_t cholesky(T* a, int64_t n, bool upper) {
    const auto at = [&](int64_t i, int64_t j) -> T& { return upper ? a[j + i * n] : a[i + j * n]; };
    const auto get = [&](int64_t i, int64_t j) { return upper ? conjugate(at(i, j)) : at(i, j); };
    for (int64_t j = 0; j < n; ++j) {
        real_of<T> left;
        if constexpr (complex_v<T>) left = at(j, j).re;
        else left = at(j, j);
        for (int64_t k = 0; k < j; ++k) {
            if constexpr (complex_v<T>) left -= at(j, k).re * at(j, k).re + at(j, k).im * at(j, k).im;
            else left -= at(j, k) * at(j, k);
        }
        if (!(left > 0)) {
            at(j, j) = T(left);
            return j + 1;
        }
        const real_of<T> root = std::sqrt(left);
        at(j, j) = T(root);
        for (int64_t i = j + 1; i < n; ++i) {
            T v = get(i, j);
            for (int64_t k = 0; k < j; ++k) v = v - get(i, k) * conjugate(get(j, k));
            v = v / T(root);
            at(i, j) = upper ? conjugate(v) : v;
        }
    }
    return 0;
}

template int64_t lu(float*, int64_t, int64_t, int64_t*);
template void solve(const float*, const int64_t*, int64_t, float*, int64_t);
template int64_t cholesky(float*, int64_t, bool);
template int64_t lu(double*, int64_t, int64_t, int64_t*);
template void solve(const double*, const int64_t*, int64_t, double*, int64_t);
template int64_t cholesky(double*, int64_t, bool);
template int64_t lu(C64*, int64_t, int64_t, int64_t*);
template void solve(const C64*, const int64_t*, int64_t, C64*, int64_t);
template int64_t cholesky(C64*, int64_t, bool);
template int64_t lu(C128*, int64_t, int64_t, int64_t*);
template void solve(const C128*, const int64_t*, int64_t, C128*, int64_t);
template int64_t cholesky(C128*, int64_t, bool);

}  // namespace tiny

template void copy_matrix<float>(int64_t, int64_t, const float*, int64_t, int64_t, float*, int64_t, int64_t);
template void copy_matrix<double>(int64_t, int64_t, const double*, int64_t, int64_t, double*, int64_t, int64_t);
template void copy_matrix<C64>(int64_t, int64_t, const C64*, int64_t, int64_t, C64*, int64_t, int64_t);
template void copy_matrix<C128>(int64_t, int64_t, const C128*, int64_t, int64_t, C128*, int64_t, int64_t);

}  // namespace fb::cpu
