// The CPU random number generator: MT19937 with PyTorch's way of drawing from it, so that a seed gives
// PyTorch's numbers.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>

#include "base/parallel.h"

namespace fb {

// The Mersenne Twister of Matsumoto and Nishimura (1998), 32-bit words.
class Mt19937 {
public:
    static constexpr int kWords = 624;

    explicit Mt19937(uint64_t seed);

    uint32_t next() {
        if (--left_ == 0) refill();
        return temper(state_[next_++]);
    }
    void fill(uint32_t* out, int64_t n);  // the same as n times next(), several words at once

private:
    friend class Generator;

    static uint32_t temper(uint32_t y) {
        y ^= y >> 11;
        y ^= (y << 7) & 0x9d2c5680u;
        y ^= (y << 15) & 0xefc60000u;
        return y ^ (y >> 18);
    }
    void refill();

    std::array<uint32_t, kWords> state_;
    uint64_t seed_;
    int32_t left_ = 1;  // words left plus one: a fresh generator refills at the first draw
    uint32_t next_ = 0;
};

// A generator as torch.Generator('cpu') knows it. Not locked by itself: see GeneratorLock.
class Generator {
public:
    static constexpr uint64_t kDefaultSeed = 67280421310721;
    static constexpr size_t kStateBytes = 5056;
    using State = std::array<uint8_t, kStateBytes>;

    explicit Generator(uint64_t seed = kDefaultSeed) : engine_(seed) {}
    Generator(const Generator& other) : engine_(other.engine_), normal_(other.normal_), normalf_(other.normalf_) {}
    Generator& operator=(const Generator& other);

    void manual_seed(uint64_t seed);
    uint64_t seed();  // seeds from the operating system and returns the seed
    uint64_t initial_seed() const { return engine_.seed_; }

    State state() const;                                       // the bytes of torch.get_rng_state()
    static const char* check(std::span<const uint8_t> bytes);  // why these bytes are no state, or nullptr
    void set_state(std::span<const uint8_t> bytes);            // bytes that check() accepts

    uint32_t random() { return engine_.next(); }
    uint64_t random64() {
        const uint64_t high = engine_.next();
        return high << 32 | engine_.next();
    }
    void fill(uint32_t* out, int64_t n) { engine_.fill(out, n); }

    float uniformf() { return float(random() & 0xffffff) * 0x1p-24f; }            // [0, 1)
    double uniform() { return double(random64() & 0x1fffffffffffff) * 0x1p-53; }  // [0, 1)
    double normal();  // Box-Muller: makes two, keeps the second for the next call

    std::mutex mutex;

private:
    Mt19937 engine_;
    std::optional<double> normal_;  // the kept second number
    std::optional<float> normalf_;  // part of the state's format only
};

Generator& default_generator();

// Holds a generator, for a whole fill. Who has to wait does so without the interpreter lock, which the holder
// may need to finish.
class GeneratorLock {
public:
    explicit GeneratorLock(Generator& g) : lock_(g.mutex, std::try_to_lock) {
        if (lock_) return;
        LongWork unlocked;
        lock_.lock();
    }

private:
    std::unique_lock<std::mutex> lock_;
};

}  // namespace fb
