#include "base/parallel.h"
#include <sched.h>
#include <cstdio>
#include <cstdlib>

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

static int& thread_count() {
    static int n = [] {
        if (const char* e = std::getenv("OMP_NUM_THREADS")) {
            const int v = std::atoi(e);
            if (v > 0) return v;
        }
        return usable_cores();
    }();
    return n;
}
int num_threads() { return thread_count(); }
void set_num_threads(int n) {
    thread_count() = n;
    omp_set_num_threads(n);
}

}  // namespace fb
