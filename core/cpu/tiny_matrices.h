// Factorizations of matrices of a few rows, by columns as LAPACK's, with its codes: of those a call of the library is
// most of the time.
#pragma once
#include <algorithm>
#include <cmath>
#include <type_traits>
#include "cpu/matrices.h"

namespace fb::cpu::tiny {

constexpr int64_t kMost = 8;  // rows and columns

template <class T>
real_of<T> magnitude(T v) {  // what LAPACK chooses pivots by
    if constexpr (complex_v<T>) return std::abs(v.re) + std::abs(v.im);
    else return std::abs(v);
}

// P·L·U of m by n, in place; exchanges count from 1. The code: the first pivot that is zero, counted from 1. Nothing
// branches on where pivots are: nobody could guess it. `Rows` and `Columns` may be numbers that the compiler knows.
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

// Solves for `count` right sides (by columns of n) with what `lu` gave.
template <class T>
void solve(const T* lu, const int64_t* exchanges, int64_t n, T* x, int64_t count) {
    for (T* const end = x + n * count; x != end; x += n) {
        for (int64_t j = 0; j < n; ++j) std::swap(x[j], x[exchanges[j] - 1]);
        for (int64_t j = 0; j < n; ++j)
            for (int64_t i = j + 1; i < n; ++i) x[i] = x[i] - lu[i + j * n] * x[j];
        for (int64_t j = n; j-- > 0;) {
            x[j] = x[j] / lu[j + j * n];
            for (int64_t i = 0; i < j; ++i) x[i] = x[i] - lu[i + j * n] * x[j];
        }
    }
}

// L of L·Lᴴ, in the lower triangle, read from there; with `upper` Lᴴ in the upper one. The code: the first leading
// part, counted from 1, that is not positive definite.
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

}  // namespace fb::cpu::tiny
