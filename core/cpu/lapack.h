// BLAS and LAPACK, found at run time: the OpenBLAS that NumPy brings along, or the scipy-openblas64 package beside us.
// 64-bit integers, Fortran calling convention, column-major.
#pragma once
#include <cstdint>
#include "base/dtype.h"

namespace fb::lapack {

bool available();
extern void (*load_more)();  // set by the Python layer: brings NumPy's libraries into the process
// The function of LAPACK's name ("dgesv"), or an error that says what to install.
void* symbol(const char* name);
void* find_symbol(const char* name);  // null instead of an error

// A function of this type under LAPACK's name, looked up once:
//   static const Fn<void(int64_t*, …)> dgesv("dgesv");  dgesv(&n, …);
template <class F>
class Fn;
template <class R, class... A>
class Fn<R(A...)> {
public:
    explicit Fn(const char* name) : f_(reinterpret_cast<R (*)(A...)>(symbol(name))) {}
    R operator()(A... a) const { return f_(a...); }

private:
    R (*f_)(A...);
};

// LAPACK works in four types. `name` is our routine's; the error is PyTorch's for it.
[[noreturn]] void refuse_type(const char* name, DType t);

// C = alpha·op(A)·op(B) + beta·C, column-major; trans is 'N', 'T' or 'C'.
template <class T>
using Gemm = void (*)(const char* transa, const char* transb, const int64_t* m, const int64_t* n, const int64_t* k,
                      const T* alpha, const T* a, const int64_t* lda, const T* b, const int64_t* ldb, const T* beta,
                      T* c, const int64_t* ldc, size_t, size_t);
template <class T>
Gemm<T> gemm();  // null when no BLAS is there

}  // namespace fb::lapack
