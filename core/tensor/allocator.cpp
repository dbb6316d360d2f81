#include "tensor/allocator.h"
#include <sys/mman.h>
#include <atomic>
#include <bit>
#include <cstdlib>
#include <mutex>
#include <vector>
#include "base/error.h"
#include "base/fork.h"

namespace fb {
namespace {

constexpr size_t kHuge = 4 << 20;  // from here on pages are asked for as huge pages
constexpr int kClasses = 256;
constexpr size_t kThreadBytes = 4 << 20;  // what one thread may keep
#ifdef __SANITIZE_ADDRESS__
constexpr bool kKeep = false;  // the sanitizer is to see every block with its own size, come and go
#else
constexpr bool kKeep = true;
#endif

// Four classes for each power of two: at most a quarter of a block is unused.
struct SizeClass {
    int index;
    size_t bytes;
};
SizeClass size_class(size_t n) {
    if (n <= 256) {
        const size_t b = n ? (n + 63) & ~size_t(63) : 64;
        return {int(b / 64) - 1, b};
    }
    const int top = std::bit_width(n - 1) - 1;  // 2^top < n <= 2^(top+1)
    const size_t step = size_t(1) << (top - 2);
    const size_t bytes = (n + step - 1) & ~(step - 1);
    const int quarter = int((bytes - (size_t(1) << top)) / step);  // 1..4
    return {4 + (top - 8) * 4 + quarter - 1, bytes};
}

std::atomic<int64_t> allocated{0}, peak{0}, cached{0}, live{0}, total{0};

void* from_system(size_t bytes) {
    void* p = nullptr;
    if (posix_memalign(&p, bytes >= kHuge ? size_t(2) << 20 : 64, bytes) != 0) return nullptr;
    if (bytes >= kHuge) madvise(p, bytes, MADV_HUGEPAGE);
    return p;
}

size_t class_bytes(int c) {
    if (c < 4) return size_t(c + 1) * 64;
    const int top = (c - 4) / 4 + 8, quarter = (c - 4) % 4 + 1;
    return (size_t(1) << top) + quarter * (size_t(1) << (top - 2));
}

// A chain through the free blocks themselves.
struct FreeBlock {
    FreeBlock* next;
};

class SharedCache {
public:
    void* take(int c) {
        std::lock_guard lock(mutex_);
        used_[c] = ++now_;
        return pop(c);
    }
    void put(int c, void* p, size_t bytes) {
        FreeBlock* dropped = nullptr;
        {
            std::lock_guard lock(mutex_);
            // What is kept never exceeds what was in use at the peak by more than a quarter. Sizes that nobody asked
            // for lately make room for those that are in use.
            const int64_t limit = std::max<int64_t>(256 << 20, peak.load(std::memory_order_relaxed) / 4 * 5);
            const auto room = [&] {
                return limit - allocated.load(std::memory_order_relaxed) - cached.load(std::memory_order_relaxed);
            };
            while (room() < int64_t(bytes)) {
                const int oldest = oldest_before(used_[c]);
                if (oldest < 0) break;
                FreeBlock* b = pop(oldest);
                cached.fetch_sub(int64_t(class_bytes(oldest)), std::memory_order_relaxed);
                b->next = dropped;
                dropped = b;
            }
            auto* b = static_cast<FreeBlock*>(p);
            if (room() >= int64_t(bytes)) {
                b->next = lists_[c];
                lists_[c] = b;
                cached.fetch_add(int64_t(bytes), std::memory_order_relaxed);
            } else {
                b->next = dropped;
                dropped = b;
            }
        }
        while (FreeBlock* b = dropped) {
            dropped = b->next;
            std::free(b);
        }
    }
    void clear() {
        std::lock_guard lock(mutex_);
        for (int c = 0; c < kClasses; ++c) {
            while (FreeBlock* b = lists_[c]) {
                lists_[c] = b->next;
                std::free(b);
                cached.fetch_sub(int64_t(class_bytes(c)), std::memory_order_relaxed);
            }
        }
    }

    std::mutex& mutex() { return mutex_; }

private:
    FreeBlock* pop(int c) {
        FreeBlock* b = lists_[c];
        if (b) lists_[c] = b->next;
        return b;
    }
    int oldest_before(uint64_t time) const {
        int found = -1;
        for (int c = 0; c < kClasses; ++c)
            if (lists_[c] && used_[c] < time) found = c, time = used_[c];
        return found;
    }
    std::mutex mutex_;
    FreeBlock* lists_[kClasses] = {};
    uint64_t used_[kClasses] = {}, now_ = 0;  // when a block of the class was last asked for
};
SharedCache& shared() {
    static SharedCache* c = new SharedCache;
    return *c;
}  // outlives every tensor

const bool forks = (hold_over_fork(shared().mutex()), true);

constexpr int kSmallClasses = 4 + (16 - 8) * 4;  // classes up to 64 KiB: those blocks stay in their thread

struct ThreadCache {
    FreeBlock* lists[kSmallClasses] = {};
    size_t bytes = 0;
    bool alive = true;
    ~ThreadCache() {
        drop();
        alive = false;
    }
    void drop() {
        for (auto& l : lists)
            while (l) {
                FreeBlock* b = l;
                l = b->next;
                std::free(b);
            }
        cached.fetch_sub(int64_t(bytes), std::memory_order_relaxed);
        bytes = 0;
    }
};
thread_local ThreadCache local;

[[noreturn]] void out_of_memory(size_t n) {
    fail(ErrorKind::OutOfMemory,
         "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
         "allocate ",
         n, " bytes. Error code 12 (Cannot allocate memory)");
}

}  // namespace

void* cache_alloc(size_t n) {
    if (n > (size_t(1) << 46)) out_of_memory(n);
    const auto [c, bytes] = size_class(n);
    const size_t asked = kKeep ? bytes : std::max<size_t>(n, 1);
    void* p = nullptr;
    if (c < kSmallClasses) {
        if (FreeBlock* b = local.lists[c]) {
            local.lists[c] = b->next;
            local.bytes -= bytes;
            cached.fetch_sub(int64_t(bytes), std::memory_order_relaxed);
            p = b;
        }
    } else if ((p = shared().take(c))) {
        cached.fetch_sub(int64_t(bytes), std::memory_order_relaxed);
    }
    if (!p && !(p = from_system(asked))) {
        empty_cache();
        if (!(p = from_system(asked))) out_of_memory(n);
    }
    const int64_t now = allocated.fetch_add(int64_t(bytes), std::memory_order_relaxed) + int64_t(bytes);
    if (now > peak.load(std::memory_order_relaxed)) peak.store(now, std::memory_order_relaxed);
    live.fetch_add(1, std::memory_order_relaxed);
    total.fetch_add(1, std::memory_order_relaxed);
    return p;
}

void cache_free(void* p, size_t n) {
    if (!p) return;
    const auto [c, bytes] = size_class(n);
    allocated.fetch_sub(int64_t(bytes), std::memory_order_relaxed);
    live.fetch_sub(1, std::memory_order_relaxed);
    if (kKeep && c >= kSmallClasses) return shared().put(c, p, bytes);
    if (!kKeep || !local.alive || local.bytes + bytes > kThreadBytes) {
        std::free(p);
        return;
    }
    auto* b = static_cast<FreeBlock*>(p);
    b->next = local.lists[c];
    local.lists[c] = b;
    local.bytes += bytes;
    cached.fetch_add(int64_t(bytes), std::memory_order_relaxed);
}

MemoryStats memory_stats() { return {allocated, peak, cached, live, total}; }
void reset_peak_memory() { peak.store(allocated.load()); }
void empty_cache() {
    shared().clear();
    if (local.alive) local.drop();
}

}  // namespace fb
