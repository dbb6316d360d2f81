// A block of bytes, owned or borrowed, shared by every view of it.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include "base/device.h"
#include "base/ptr.h"
#include "tensor/allocator.h"

namespace fb {

// The data of a storage in another order than its owner believes (blocked or channels-last). Operators that know how to
// work on it ask for it; everybody else gets the plain bytes, into which it is turned once. See
// docs/design/hidden-layouts.md.
class HiddenImage {
public:
    virtual ~HiddenImage() = default;
    virtual void write_plain(void* destination) = 0;
};

// A result may wait to be computed together with what follows it (ops/waiting.h). Whoever may write into what it is
// computed from, or reads it, computes it first.
inline std::atomic<bool> result_waits = false;
extern void (*compute_waiting)();

// What was computed from a storage's bytes and is kept with them until they change (packed weights).
class Derived {
public:
    virtual ~Derived() = default;
};

class Storage final : public RefCounted {
public:
    using Deleter = std::function<void()>;

    static Ptr<Storage> allocate(size_t bytes, Device device = kCPU);
    static Ptr<Storage> borrow(void* data, size_t bytes, Deleter deleter,
                               Device device = kCPU);                              // e.g. a NumPy array's memory
    static Ptr<Storage> hidden(std::unique_ptr<HiddenImage> image, size_t bytes);  // plain bytes made on demand
    static void destroy(Storage*);

    // The plain bytes. Null for meta storages and for storages of zero bytes.
    void* data() {
        if (image_) [[unlikely]]
            reveal();
        return data_;
    }
    // For whoever keeps the address (NumPy, DLPack, data_ptr): from now on bytes may change unseen.
    void* escaping_data() {
        if (result_waits.load(std::memory_order_relaxed)) compute_waiting();
        if (!escaped_.load(std::memory_order_relaxed)) escape();
        return data();
    }
    size_t nbytes() const { return bytes_; }
    Device device() const { return device_; }
    bool resizable() const { return !deleter_; }
    void resize(size_t bytes);  // keeps the common prefix
    // Moves the bytes into memory of the caller (an empty storage takes what lies there); views follow.
    void relocate(void* memory, size_t bytes, Deleter deleter);

    // The hidden image while it is the only valid form; null once the plain bytes exist.
    HiddenImage* image() const { return image_.get(); }
    bool is_shared_memory = false;

    // Several threads may call these at once. Whoever computes something from the bytes keeps an empty one first and
    // puts the result in its place: a write between the two, through whichever tensor, takes the empty one away, and
    // then `keep_derived` does nothing. It does nothing either where a write could go unnoticed.
    std::shared_ptr<Derived> derived() const;
    bool can_keep_derived() const {
        return !escaped_.load(std::memory_order_relaxed) && !deleter_ && !is_shared_memory;
    }
    void keep_derived(const std::shared_ptr<Derived>& in_place_of, std::shared_ptr<Derived> d);
    void written() {  // every write through a tensor says so when it is done, see TensorImpl::bump_version
        if (has_derived_.load(std::memory_order_relaxed)) [[unlikely]]
            drop_derived();
    }

private:
    Storage() = default;
    ~Storage() = default;
    void reveal();
    void escape();
    void drop_derived();
    void* data_ = nullptr;
    size_t bytes_ = 0, capacity_ = 0;
    Device device_;
    std::unique_ptr<HiddenImage> image_;
    std::unique_ptr<Deleter> deleter_;
    std::shared_ptr<Derived> derived_;
    std::atomic<bool> has_derived_ = false, escaped_ = false;  // change with derived_, under one lock
};

}  // namespace fb
