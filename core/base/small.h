// A vector with room for N elements inside: shapes, strides and short lists without an allocation.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <initializer_list>
#include <memory>
#include <new>
#include <span>
#include <utility>

namespace fb {

template <class T, int N>
class Small {
public:
    Small() = default;
    explicit Small(size_t n, const T& v = T()) { resize(n, v); }
    Small(std::initializer_list<T> l) : Small(std::span<const T>(l.begin(), l.size())) {}
    Small(std::span<const T> s) { assign(s); }
    Small(const Small& o) : Small(o.span()) {}
    Small(Small&& o) noexcept { take(o); }
    ~Small() {
        clear();
        drop_heap();
    }
    Small& operator=(const Small& o) {
        if (this != &o) assign(o.span());
        return *this;
    }
    Small& operator=(Small&& o) noexcept {
        if (this != &o) {
            clear();
            drop_heap();
            take(o);
        }
        return *this;
    }
    void assign(std::span<const T> s) {
        clear();
        reserve(s.size());
        std::uninitialized_copy(s.begin(), s.end(), data_);
        n_ = uint32_t(s.size());
    }
    void resize(size_t n, const T& v = T()) {
        if (n < n_) std::destroy(data_ + n, data_ + n_);
        else {
            reserve(n);
            std::uninitialized_fill(data_ + n_, data_ + n, v);
        }
        n_ = uint32_t(n);
    }
    void reserve(size_t n) {
        if (n > cap_) [[unlikely]]
            grow(n);
    }
    template <class... A>
    T& emplace_back(A&&... a) {
        reserve(n_ + 1);
        T* p = new (data_ + n_) T(std::forward<A>(a)...);
        ++n_;
        return *p;
    }
    void push_back(T v) { emplace_back(std::move(v)); }
    void pop_back() { data_[--n_].~T(); }
    void insert(size_t i, T v) {
        push_back(std::move(v));
        std::rotate(data_ + i, data_ + n_ - 1, data_ + n_);
    }
    void erase(size_t i) {
        std::move(data_ + i + 1, data_ + n_, data_ + i);
        pop_back();
    }
    void clear() {
        std::destroy(data_, data_ + n_);
        n_ = 0;
    }
    size_t size() const { return n_; }
    bool empty() const { return n_ == 0; }
    T* data() { return data_; }
    const T* data() const { return data_; }
    T* begin() { return data_; }
    T* end() { return data_ + n_; }
    const T* begin() const { return data_; }
    const T* end() const { return data_ + n_; }
    T& operator[](size_t i) { return data_[i]; }
    const T& operator[](size_t i) const { return data_[i]; }
    T& back() { return data_[n_ - 1]; }
    const T& back() const { return data_[n_ - 1]; }
    std::span<const T> span() const { return {data_, n_}; }
    operator std::span<const T>() const { return span(); }
    friend bool operator==(const Small& a, const Small& b) {
        return std::equal(a.begin(), a.end(), b.begin(), b.end());
    }

private:
    T* inline_data() { return reinterpret_cast<T*>(room_); }
    [[gnu::noinline]] void grow(size_t n) {
        const size_t cap = std::max<size_t>(n, 2 * cap_);
        T* p = static_cast<T*>(::operator new(cap * sizeof(T), std::align_val_t(alignof(T))));
        std::uninitialized_move(data_, data_ + n_, p);
        std::destroy(data_, data_ + n_);
        drop_heap();
        data_ = p;
        cap_ = uint32_t(cap);
    }
    void drop_heap() {
        if (data_ != inline_data()) ::operator delete(data_, std::align_val_t(alignof(T)));
        data_ = inline_data();
        cap_ = N;
    }
    void take(Small& o) {
        if (o.data_ != o.inline_data()) {
            data_ = o.data_;
            cap_ = o.cap_;
            n_ = o.n_;
            o.data_ = o.inline_data();
            o.cap_ = N;
            o.n_ = 0;
        } else {
            std::uninitialized_move(o.begin(), o.end(), data_);
            n_ = o.n_;
            o.clear();
        }
    }
    T* data_ = inline_data();
    uint32_t n_ = 0, cap_ = N;
    alignas(T) unsigned char room_[N * sizeof(T)];
};

using IntSpan = std::span<const int64_t>;
using Dims = Small<int64_t, 5>;

inline bool same(IntSpan a, IntSpan b) { return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin()); }
inline int64_t product(IntSpan s) {
    int64_t n = 1;
    for (auto v : s) n *= v;
    return n;
}

}  // namespace fb
