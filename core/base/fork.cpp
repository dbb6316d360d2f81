#include "base/fork.h"
#include <pthread.h>
#include <vector>
#include "base/parallel.h"

namespace fb {
namespace {

std::vector<std::mutex*>& mutexes() {
    static auto& list = *new std::vector<std::mutex*>;
    return list;
}

bool take_all() {
    const auto& list = mutexes();
    for (size_t i = 0; i < list.size(); ++i) {
        if (list[i]->try_lock()) continue;
        while (i > 0) list[--i]->unlock();
        return false;
    }
    return true;
}

void prepare() {
    // The pool of threads that this thread has in OpenMP ends here, and each process makes itself another one: the
    // child would wait for threads that it does not have.
    if (!omp_in_parallel()) {
        const int threads = omp_get_max_threads();
        omp_pause_resource_all(omp_pause_hard);
        omp_set_num_threads(threads);
    }
    while (!take_all()) {
        const LongWork unlocked;  // who has one may need the interpreter lock to come back
        sched_yield();
    }
}

void release() {
    for (std::mutex* m : mutexes()) m->unlock();
}

}  // namespace

void hold_over_fork(std::mutex& m) {
    if (mutexes().empty()) pthread_atfork(prepare, release, release);
    mutexes().push_back(&m);
}

}  // namespace fb
