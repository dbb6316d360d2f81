#include "base/parallel.h"
#include <sched.h>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <exception>
#ifdef __SANITIZE_THREAD__
#include <thread>
#include <vector>
#endif
#include "base/error.h"

namespace fb {

LongWorkHooks long_work_hooks;

int usable_cores() {
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    if (FILE* f = std::fopen("/sys/fs/cgroup/cpu.max", "r")) {  // cgroup v2: "quota period" or "max period"
        long long quota = 0, period = 0;
        if (std::fscanf(f, "%lld %lld", &quota, &period) == 2 && quota > 0 && period > 0)
            n = std::min<int>(n, int((quota + period - 1) / period));
        std::fclose(f);
    }
    return std::max(1, n);
}

constexpr int kMostThreads = 1024;  // OpenMP keeps what it tells each on the stack of the one that starts them

static std::atomic<int>& thread_count() {
    static std::atomic<int> n = [] {
        if (const char* e = std::getenv("OMP_NUM_THREADS")) {
            const int v = std::atoi(e);
            if (v > 0) return std::min(v, kMostThreads);
        }
        return usable_cores();
    }();
    return n;
}
int num_threads() { return thread_count().load(std::memory_order_relaxed); }
void set_num_threads(int n) {
    check(n <= kMostThreads, "set_num_threads: ", n, " threads are more than the ", kMostThreads, " possible here");
    thread_count().store(n, std::memory_order_relaxed);
    omp_set_num_threads(n);
}

void run_parallel(int64_t n, int64_t grain, LoopBody call, const void* body) {
    if (n <= 0) return;
    const int64_t most = grain > 0 ? (n + grain - 1) / grain : n;
    if (most <= 1) return call(body, 0, n);
    LongWork unlocked;
    const int threads = int(std::min<int64_t>(most, omp_in_parallel() ? 1 : num_threads()));
    if (threads <= 1) return call(body, 0, n);
    std::exception_ptr error;
    const int64_t chunk = (n + threads - 1) / threads;
    const auto run = [&](int thread) {
        const int64_t b = thread * chunk;
        if (b >= n) return;
        try {
            call(body, b, std::min(n, b + chunk));
        } catch (...) {
#pragma omp critical(fb_parallel_error)
            if (!error) error = std::current_exception();
        }
    };
#ifdef __SANITIZE_THREAD__  // it does not see how OpenMP's threads wait for each other
    {
        std::vector<std::jthread> others;
        for (int thread = 1; thread < threads; thread++) others.emplace_back(run, thread);
        run(0);
    }
#else
#pragma omp parallel num_threads(threads)
    for (int thread = omp_get_thread_num(); thread < threads; thread += omp_get_num_threads())
        run(thread);  // there may be fewer than asked for
#endif
    if (error) std::rethrow_exception(error);
}

}  // namespace fb
