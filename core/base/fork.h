// What a fork has to wait for: a child has one thread only, and locks of the others would stay shut in it for ever.
#pragma once
#include <mutex>

namespace fb {

// For mutexes that a thread may hold without the interpreter lock, and that live as long as the process.
void hold_over_fork(std::mutex& m);

}  // namespace fb
