// The one thread runtime (OpenMP, shared with oneDNN), and the switch that lets other Python threads run meanwhile.
#pragma once
#include <cstdint>
#include <algorithm>
#include <exception>
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

// Calls f(begin, end) over [0, n) in chunks of at least `grain`, on several threads when there is enough work.
// The chunks do not depend on timing; f must not throw across threads (the first exception is passed on).
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& f) {
    if (n <= 0) return;
    const int64_t most = grain > 0 ? (n + grain - 1) / grain : n;
    if (most <= 1) {
        f(int64_t(0), n);
        return;
    }
    LongWork unlocked;
    const int threads = int(std::min<int64_t>(most, omp_in_parallel() ? 1 : num_threads()));
    if (threads <= 1) {
        f(int64_t(0), n);
        return;
    }
    std::exception_ptr error;
#pragma omp parallel num_threads(threads)
    {
        const int64_t chunk = (n + threads - 1) / threads, b = omp_get_thread_num() * chunk;
        if (b < n) {
            try {
                f(b, std::min(n, b + chunk));
            } catch (...) {
#pragma omp critical(fb_parallel_error)
                if (!error) error = std::current_exception();
            }
        }
    }
    if (error) std::rethrow_exception(error);
}

}  // namespace fb
