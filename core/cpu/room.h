// Memory for the length of a call, from the allocator's cache: pages that are there already.
#pragma once
#include "tensor/allocator.h"

namespace fb::cpu {

template <class T>
class Room {
public:
    explicit Room(int64_t n) : bytes_(size_t(n) * sizeof(T)), data_(static_cast<T*>(cache_alloc(bytes_))) {}
    ~Room() { cache_free(data_, bytes_); }
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    T* get() const { return data_; }
    T& operator[](int64_t i) const { return data_[i]; }

private:
    size_t bytes_;
    T* data_;
};

}  // namespace fb::cpu
