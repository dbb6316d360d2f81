// oneDNN: one engine, a stream for each thread, and primitives kept ready to run.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <vector>
#include <dnnl.hpp>
#include "base/dtype.h"
#include "base/small.h"
#include "tensor/allocator.h"

namespace fb::dnn {

using Desc = dnnl::memory::desc;
using Tag = dnnl::memory::format_tag;

const dnnl::engine& engine();
const dnnl::stream& stream();  // of this thread
dnnl::memory::data_type type_of(DType);
bool has_bf16();  // bfloat16 instructions: without them oneDNN has no kernels worth calling

void succeeded(dnnl_status_t status, const char* what);  // or an error: what oneDNN did not do

Desc plain_desc(IntSpan sizes, DType);  // row-major
Desc strided_desc(IntSpan sizes, IntSpan strides, DType);

// Bytes from the caching allocator for the length of a scope.
class Scratch {
public:
    explicit Scratch(size_t bytes) : p_(bytes ? cache_alloc(bytes) : nullptr), bytes_(bytes) {}
    Scratch(Scratch&& o) noexcept : p_(std::exchange(o.p_, nullptr)), bytes_(o.bytes_) {}
    ~Scratch() {
        if (p_) cache_free(p_, bytes_);
    }
    Scratch& operator=(const Scratch&) = delete;
    template <class T = void>
    T* as() const {
        return static_cast<T*>(p_);
    }

private:
    void* p_;
    size_t bytes_;
};

// What distinguishes one primitive from another: numbers appended one after another.
class Key {
public:
    explicit Key(int64_t kind);
    Key& add(int64_t v) {
        v_.push_back(v);
        return *this;
    }
    Key& add(IntSpan s) {
        v_.push_back(int64_t(s.size()));
        for (int64_t v : s) v_.push_back(v);
        return *this;
    }
    uint64_t hash() const;
    friend bool operator==(const Key& a, const Key& b) { return a.v_ == b.v_; }

private:
    Small<int64_t, 40> v_;
};

// What the cache holds: a plan, or something made of several.
class Cached {
public:
    virtual ~Cached() = default;
    virtual size_t bytes() const = 0;  // about: generated code and descriptors
};

// A primitive with the memory objects it runs on. Executing it sets their addresses, so a plan belongs to one thread.
class Plan final : public Cached {
public:
    struct Slot {
        int arg;
        Desc desc;
    };  // DNNL_ARG_SRC …
    Plan(const dnnl::primitive& primitive, std::vector<Slot> slots, const Desc& scratchpad);
    void run(std::span<void* const> data);  // one address a slot
    void run(std::initializer_list<const void*> data);
    size_t bytes() const override { return kBytes; }
    const Desc& desc(int slot) const { return slots_[size_t(slot)].desc; }

private:
    static constexpr size_t kBytes = 32 << 10;  // measured over some hundred convolutions
    dnnl::primitive primitive_;
    std::vector<Slot> slots_;
    std::vector<dnnl::memory> memory_;
    std::vector<dnnl_exec_arg_t> args_;
    size_t scratch_bytes_;
};
using PlanPtr = std::shared_ptr<Plan>;

// What was made for this key in this thread, made now when it is not there. Null (nothing fits) is remembered as well.
std::shared_ptr<Cached> cached(const Key& key, const std::function<std::shared_ptr<Cached>()>& make);
template <class T, class F>
std::shared_ptr<T> cached(const Key& key, F&& make) {
    return std::static_pointer_cast<T>(cached(key, std::function<std::shared_ptr<Cached>()>(std::forward<F>(make))));
}

// What the caches of all threads hold. Each thread's is bounded in bytes, the least recently used goes first.
struct CacheStats {
    int64_t entries = 0, bytes = 0;
};
CacheStats cache_stats();
inline constexpr int64_t kMostCacheBytes = 64 << 20;  // of one thread

// The attribute that lets us give scratch memory from our allocator.
dnnl::primitive_attr user_scratchpad();

// Copies between two layouts (or types) of the same sizes; for those who keep it beside their own plan.
PlanPtr reorder_plan(const Desc& from, const Desc& to);

// The first number of a key, one for each caller.
enum KeyKind : int64_t { kMatmul, kConv, kPool, kRnn };

}  // namespace fb::dnn
