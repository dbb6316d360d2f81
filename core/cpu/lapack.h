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

// While one lives OpenBLAS computes in the calling thread. Its own threads would wait for those of our loops, which go
// on spinning for a while after a loop: an inverse of 100 by 100 takes 4 ms instead of 0.1.
class OneThread {
public:
    explicit OneThread(bool wanted = true);
    ~OneThread();
    OneThread(const OneThread&) = delete;
    OneThread& operator=(const OneThread&) = delete;

private:
    bool on_;
};

// LAPACK works in four types. `name` is our routine's; the error is PyTorch's for it.
[[noreturn]] void refuse_type(const char* name, DType t);

}  // namespace fb::lapack
