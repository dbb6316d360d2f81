#include "cpu/dnnl.h"
#include <atomic>
#include <list>
#include <unordered_map>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include "base/error.h"
#include "base/names.h"
#include "base/parallel.h"

namespace fb::dnn {

const dnnl::engine& engine() {
    static auto* e = new dnnl::engine(dnnl::engine::kind::cpu, 0);  // never destroyed: threads may outlive statics
    return *e;
}

const dnnl::stream& stream() {
    static thread_local dnnl::stream s(engine());
    return s;
}

dnnl::memory::data_type type_of(DType t) {
    using D = dnnl::memory::data_type;
    switch (t) {
        case DType::f32: return D::f32;
        case DType::f64: return D::f64;
        case DType::bf16: return D::bf16;
        case DType::f16: return D::f16;
        case DType::i32: return D::s32;
        case DType::i8: return D::s8;
        case DType::u8: return D::u8;
        default: fail(ErrorKind::NotImplemented, "no oneDNN type for ", t);
    }
}

bool has_bf16() {
    static const bool yes = int(dnnl::get_effective_cpu_isa()) >= int(dnnl::cpu_isa::avx512_core_bf16);
    return yes;
}

Desc plain_desc(IntSpan sizes, DType t) { return strided_desc(sizes, {}, t); }

Desc strided_desc(IntSpan sizes, IntSpan strides, DType t) {
    const dnnl::memory::dims d(sizes.begin(), sizes.end());
    if (!strides.empty()) return Desc(d, type_of(t), dnnl::memory::dims(strides.begin(), strides.end()));
    dnnl::memory::dims s(d.size());
    int64_t step = 1;
    for (size_t i = d.size(); i-- > 0; step *= std::max<int64_t>(1, d[i])) s[i] = step;
    return Desc(d, type_of(t), s);
}

dnnl::primitive_attr user_scratchpad() {
    dnnl::primitive_attr a;
    a.set_scratchpad_mode(dnnl::scratchpad_mode::user);
    return a;
}

Key::Key(int64_t kind) {
    v_.push_back(kind);
    v_.push_back(num_threads());  // kernels divide their work when they are made
}

uint64_t Key::hash() const {
    uint64_t h = 0x9e3779b97f4a7c15;
    for (int64_t v : v_) h = (h ^ uint64_t(v)) * 0xff51afd7ed558ccd, h ^= h >> 32;
    return h;
}

Plan::Plan(const dnnl::primitive& primitive, std::vector<Slot> slots, const Desc& scratchpad)
    : primitive_(primitive), slots_(std::move(slots)), scratch_bytes_(scratchpad.get_size()) {
    for (const Slot& s : slots_) {
        memory_.emplace_back(s.desc, engine(), nullptr);
        args_.push_back({s.arg, memory_.back().get()});
    }
    if (scratch_bytes_) {
        memory_.emplace_back(scratchpad, engine(), nullptr);
        args_.push_back({DNNL_ARG_SCRATCHPAD, memory_.back().get()});
    }
}

void succeeded(dnnl_status_t status, const char* what) {
    if (status == dnnl_out_of_memory) throw std::bad_alloc();
    check(status == dnnl_success, "oneDNN ", what, " (status ", int(status), ")");
}

void Plan::run(std::span<void* const> data) {
    for (size_t i = 0; i < slots_.size(); ++i) dnnl_memory_set_data_handle(memory_[i].get(), data[i]);
    const Scratch scratch(scratch_bytes_);
    if (scratch_bytes_) dnnl_memory_set_data_handle(memory_.back().get(), scratch.as());
    succeeded(dnnl_primitive_execute(primitive_.get(), stream().get(), int(args_.size()), args_.data()),
              "could not run a primitive");
}

void Plan::run(std::initializer_list<const void*> data) {
    run(std::span<void* const>(const_cast<void* const*>(data.begin()), data.size()));
}

namespace {

std::atomic<int64_t> all_entries{0}, all_bytes{0};

// Least recently used first out. Each thread has its own: no locks, and oneDNN shares the compiled kernels underneath.
// Scratch memory and packed data are not kept here, so that what a plan holds is code and descriptors.
class Cache {
public:
    Cache() { dnnl::set_primitive_cache_capacity(kLibraryEntries); }
    ~Cache() {
        while (!order_.empty()) drop_oldest();
    }
    const std::shared_ptr<Cached>* find(const Key& key) {
        const auto i = index_.find(key);
        if (i == index_.end()) return nullptr;
        order_.splice(order_.begin(), order_, i->second);
        return &i->second->value;
    }
    void put(const Key& key, std::shared_ptr<Cached> value) {
        const int64_t size = int64_t(sizeof(Entry) + (value ? value->bytes() : 0));
        order_.push_front({key, std::move(value), size});
        index_[key] = order_.begin();
        count(1, size);
        while (bytes_ > kMostCacheBytes && order_.size() > 1) drop_oldest();
    }

private:
    static constexpr int kLibraryEntries = 256;  // oneDNN's own cache serves the other threads
    static constexpr int64_t kTrimmed = 256;
    struct Entry {
        Key key;
        std::shared_ptr<Cached> value;
        int64_t size;
    };
    struct Hash {
        size_t operator()(const Key& k) const { return k.hash(); }
    };
    void count(int64_t entries, int64_t bytes) {
        bytes_ += bytes;
        all_entries += entries;
        all_bytes += bytes;
    }
    void drop_oldest() {
        count(-1, -order_.back().size);
        index_.erase(order_.back().key);
        order_.pop_back();
#ifdef __GLIBC__
        // Compiled kernels are whole pages among small blocks: what they leave behind fits no other kernel, and the
        // heap would grow for as long as shapes change.
        if (++dropped_ % kTrimmed == 0) malloc_trim(0);
#endif
    }
    std::list<Entry> order_;
    std::unordered_map<Key, std::list<Entry>::iterator, Hash> index_;
    int64_t bytes_ = 0, dropped_ = 0;
};

}  // namespace

CacheStats cache_stats() { return {all_entries, all_bytes}; }

std::shared_ptr<Cached> cached(const Key& key, const std::function<std::shared_ptr<Cached>()>& make) {
    static thread_local Cache cache;
    if (const auto* found = cache.find(key)) return *found;
    std::shared_ptr<Cached> value = make();
    cache.put(key, value);
    return value;
}

PlanPtr reorder_plan(const Desc& from, const Desc& to) {
    const dnnl::reorder::primitive_desc pd(engine(), from, engine(), to, user_scratchpad());
    return std::make_shared<Plan>(dnnl::reorder(pd), std::vector<Plan::Slot>{{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}},
                                  pd.scratchpad_desc());
}

}  // namespace fb::dnn
