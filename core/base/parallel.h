// The one thread runtime (OpenMP, shared with oneDNN), and the switch that lets other Python threads run meanwhile.
#pragma once
#include <cstdint>
#include <algorithm>
#include <omp.h>

namespace fb {

int num_threads();
void set_num_threads(int n);
int usable_cores();  // what affinity and the cgroup's quota leave us

// Set by the Python layer: called around long work, so that the core needs no knowledge of the interpreter lock.
struct LongWorkHooks {
    void* (*begin)() = nullptr;
    void (*end)(void*) = nullptr;
};
extern LongWorkHooks long_work_hooks;
class LongWork {
public:
    explicit LongWork(bool really = true)
        : token_(really && long_work_hooks.begin ? long_work_hooks.begin() : nullptr) {}
    ~LongWork() {
        if (token_) long_work_hooks.end(token_);
    }
    LongWork(const LongWork&) = delete;
    LongWork& operator=(const LongWork&) = delete;

private:
    void* token_;
};

// A loop's body as a plain call, so that it is compiled once however it is run.
using LoopBody = void (*)(const void* body, int64_t begin, int64_t end);
void run_parallel(int64_t n, int64_t grain, LoopBody call, const void* body);

// Calls f(begin, end) over [0, n) in chunks of at least `grain`, on several threads when there is enough work.
// The chunks do not depend on timing; f must not throw across threads (the first exception is passed on).
template <class F>
void parallel_for(int64_t n, int64_t grain, const F& f) {
    run_parallel(
        n, grain, [](const void* body, int64_t begin, int64_t end) { (*static_cast<const F*>(body))(begin, end); }, &f);
}

}  // namespace fb
