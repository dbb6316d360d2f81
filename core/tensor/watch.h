// What a running trace is told from below the operators. Nobody watches almost always.
#pragma once
#include "tensor/tensor.h"

namespace fb {

struct Pointwise;  // cpu/iter.h: one elementwise pass

class Watcher {
public:
    virtual ~Watcher() = default;
    virtual void born(const void* impl) = 0;                          // a tensor was made
    virtual void item(const Tensor& t, const Scalar& value) = 0;      // a number was read out of a tensor
    virtual void leak(const char* how) = 0;                           // values left the graph some other way
    virtual void copied(const Tensor& from, const Tensor& copy) = 0;  // an in-place operator saved what it overwrites
    virtual void constant(const Tensor& t) = 0;                       // t was made from numbers of the program alone
    virtual void reshaped(const Tensor& t, const Tensor& view) = 0;   // t is about to take the shape of a view of it
    virtual void pointwise(const Pointwise&, const Tensor& r) = 0;    // an elementwise pass made r
};
extern constinit thread_local Watcher* watcher;

inline void watch_leak(const char* how) {
    if (watcher) [[unlikely]]
        watcher->leak(how);
}
inline void watch_constant(const Tensor& t) {
    if (watcher) [[unlikely]]
        watcher->constant(t);
}

}  // namespace fb
