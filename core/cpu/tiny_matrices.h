// Factorizations of matrices of a few rows, by columns as LAPACK's, with its codes: of those a call of the library is
// most of the time. For float, double and the complex numbers of both.
#pragma once
#include "cpu/matrices.h"

namespace fb::cpu::tiny {

constexpr int64_t kMost = 8;  // rows and columns

// P·L·U of m by n, in place; exchanges count from 1. The code: the first pivot that is zero, counted from 1.
template <class T>
int64_t lu(T* a, int64_t m, int64_t n, int64_t* exchanges);
// Solves for `count` right sides (by columns of n) with what `lu` gave.
template <class T>
void solve(const T* lu, const int64_t* exchanges, int64_t n, T* x, int64_t count);
// L of L·Lᴴ, in the lower triangle, read from there; with `upper` Lᴴ in the upper one. The code: the first leading
// part, counted from 1, that is not positive definite.
template <class T>
int64_t cholesky(T* a, int64_t n, bool upper);

}  // namespace fb::cpu::tiny
