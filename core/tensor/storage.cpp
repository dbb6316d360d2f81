#include "tensor/storage.h"
#include <cstring>
#include "base/devices.h"
#include "base/error.h"
#include "base/fork.h"
#include "base/parallel.h"
#include "base/pool.h"
#include "tensor/tensor.h"

namespace fb {

void (*compute_waiting)() = [] {};

Ptr<Storage> Storage::allocate(size_t bytes, Device device) {
    if (device.type != DeviceType::CPU && device.type != DeviceType::Meta) [[unlikely]]
        raise_no_memory(device);
    auto* s = new (Pool<sizeof(Storage)>::take()) Storage;
    Ptr<Storage> r(s);
    s->device_ = placed(device);
    if (device.type == DeviceType::Meta) unusual_tensors = true;
    if (device.type == DeviceType::CPU && bytes) {
        s->data_ = cache_alloc(bytes);
        s->capacity_ = bytes;
    }
    s->bytes_ = bytes;
    return r;
}

Ptr<Storage> Storage::borrow(void* data, size_t bytes, Deleter deleter, Device device) {
    auto* s = new (Pool<sizeof(Storage)>::take()) Storage;
    s->data_ = data;
    s->bytes_ = bytes;
    s->device_ = placed(device);
    s->deleter_ = std::make_unique<Deleter>(std::move(deleter));
    return Ptr<Storage>(s);
}

Ptr<Storage> Storage::hidden(std::unique_ptr<HiddenImage> image, size_t bytes) {
    auto* s = new (Pool<sizeof(Storage)>::take()) Storage;
    s->bytes_ = bytes;
    s->image_ = std::move(image);
    return Ptr<Storage>(s);
}

void Storage::destroy(Storage* s) {
    if (s->deleter_) (*s->deleter_)();
    else if (s->data_) cache_free(s->data_, s->capacity_);
    s->~Storage();
    Pool<sizeof(Storage)>::give(s);
}

static std::mutex reveal_mutex;
static const bool forks = (hold_over_fork(reveal_mutex), true);

void Storage::reveal() {
    if (result_waits.load(std::memory_order_relaxed)) compute_waiting();
    // Two threads may read one result for the first time at once. Who waits does so without the interpreter lock, which
    // the writer of the bytes needs to come back. The image goes with that lock held: between two calls into the
    // interpreter an operator finds what it has found before.
    std::unique_lock lock(reveal_mutex, std::defer_lock);
    void* p = nullptr;
    {
        LongWork unlocked;
        lock.lock();
        if (!image_) return;
        p = cache_alloc(bytes_);
        image_->write_plain(p);
    }
    data_ = p;
    capacity_ = bytes_;
    std::atomic_thread_fence(std::memory_order_release);
    image_.reset();
}

static std::mutex derived_mutex;
static const bool forks_derived = (hold_over_fork(derived_mutex), true);

std::shared_ptr<Derived> Storage::derived() const {
    std::lock_guard lock(derived_mutex);
    return derived_;
}
void Storage::keep_derived(const std::shared_ptr<Derived>& in_place_of, std::shared_ptr<Derived> d) {
    std::lock_guard lock(derived_mutex);
    if (derived_ != in_place_of || !can_keep_derived()) return;
    derived_.swap(d);
    has_derived_ = derived_ != nullptr;
}
void Storage::drop_derived() {
    std::shared_ptr<Derived> old;  // goes without the lock
    std::lock_guard lock(derived_mutex);
    derived_.swap(old);
    has_derived_ = false;
}
void Storage::escape() {
    std::shared_ptr<Derived> old;
    std::lock_guard lock(derived_mutex);
    escaped_ = true;
    derived_.swap(old);
    has_derived_ = false;
}

void Storage::resize(size_t bytes) {
    check(resizable(), "Trying to resize storage that is not resizable");
    if (device_.type == DeviceType::Meta) {
        bytes_ = bytes;
        return;
    }
    data();
    if (bytes > capacity_) {
        void* p = cache_alloc(bytes);
        if (data_) {
            std::memcpy(p, data_, bytes_);
            cache_free(data_, capacity_);
        }
        data_ = p;
        capacity_ = bytes;
    }
    bytes_ = bytes;
}

void Storage::relocate(void* memory, size_t bytes, Deleter deleter) {
    void* old = escaping_data();
    if (bytes_) std::memcpy(memory, old, bytes_);
    if (deleter_) (*deleter_)();
    else if (old) cache_free(old, capacity_);
    data_ = memory;
    bytes_ = bytes;
    capacity_ = 0;
    deleter_ = std::make_unique<Deleter>(std::move(deleter));
}

}  // namespace fb
