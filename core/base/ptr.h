// Intrusive reference counting: one allocation an object, and a raw pointer can become an owner again at any time.
#pragma once
#include <atomic>
#include <cstdint>
#include <utility>

namespace fb {

class RefCounted {
public:
    RefCounted() = default;
    RefCounted(const RefCounted&) = delete;
    RefCounted& operator=(const RefCounted&) = delete;
    void retain() const { refs_.fetch_add(1, std::memory_order_relaxed); }
    // True when the caller dropped the last reference and must destroy the object.
    [[nodiscard]] bool release() const {
        // Alone, nobody else can take a new reference: the locked instruction can be saved.
        if (refs_.load(std::memory_order_acquire) == 1) return true;
        return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
    }
    uint32_t use_count() const { return refs_.load(std::memory_order_relaxed); }

protected:
    ~RefCounted() = default;

private:
    mutable std::atomic<uint32_t> refs_{0};
};

// T provides `static void destroy(T*)`.
template <class T>
class Ptr {
public:
    Ptr() = default;
    Ptr(std::nullptr_t) {}
    Ptr(T* p) : p_(p) {
        if (p_) p_->retain();
    }
    Ptr(const Ptr& o) : Ptr(o.p_) {}
    Ptr(Ptr&& o) noexcept : p_(std::exchange(o.p_, nullptr)) {}
    template <class U>
    Ptr(const Ptr<U>& o) : Ptr(o.get()) {}
    template <class U>
    Ptr(Ptr<U>&& o) noexcept : p_(o.detach()) {}
    ~Ptr() {
        if (p_ && p_->release()) T::destroy(p_);
    }
    Ptr& operator=(const Ptr& o) {
        Ptr(o).swap(*this);
        return *this;
    }
    Ptr& operator=(Ptr&& o) noexcept {
        Ptr(std::move(o)).swap(*this);
        return *this;
    }
    void swap(Ptr& o) noexcept { std::swap(p_, o.p_); }
    T* get() const { return p_; }
    T* operator->() const { return p_; }
    T& operator*() const { return *p_; }
    explicit operator bool() const { return p_ != nullptr; }
    friend bool operator==(const Ptr& a, const Ptr& b) { return a.p_ == b.p_; }
    // Gives the reference away without counting; `adopt` takes one over.
    T* detach() { return std::exchange(p_, nullptr); }
    static Ptr adopt(T* p) {
        Ptr r;
        r.p_ = p;
        return r;
    }

private:
    T* p_ = nullptr;
};

template <class T, class... A>
Ptr<T> make(A&&... a) {
    return Ptr<T>(new T(std::forward<A>(a)...));
}

}  // namespace fb
