// The caching allocator. Fresh pages cost more than most operations, so freed blocks are kept by size class:
// small ones in the thread that freed them, larger ones in a shared list bounded in bytes.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fb {

void* cache_alloc(size_t bytes);         // 64-byte aligned; throws Error(OutOfMemory) naming the size
void cache_free(void* p, size_t bytes);  // with the size it was allocated with

struct MemoryStats {
    int64_t allocated = 0, peak = 0, cached = 0, live_blocks = 0, total_allocations = 0;
};
MemoryStats memory_stats();
void reset_peak_memory();
void empty_cache();

}  // namespace fb
