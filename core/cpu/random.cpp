#include "cpu/random.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "base/fork.h"
#include "cpu/choose.h"
#include "cpu/random_steps.h"

namespace fb {

namespace cpu {
namespace baseline {
extern const RandomSteps steps;
}
namespace avx2 {
extern const RandomSteps steps;
}
namespace avx512 {
extern const RandomSteps steps;
}

const RandomSteps& random_steps() { return for_this_cpu<baseline::steps, avx2::steps, avx512::steps>(); }
}  // namespace cpu

Mt19937::Mt19937(uint64_t seed) : seed_(seed) {
    state_[0] = uint32_t(seed);
    for (uint32_t i = 1; i < kWords; ++i) state_[i] = 1812433253u * (state_[i - 1] ^ (state_[i - 1] >> 30)) + i;
}

void Mt19937::refill() {
    cpu::random_steps().refill(state_.data());
    left_ = kWords;
    next_ = 0;
}

void Mt19937::fill(uint32_t* out, int64_t n) {
    const auto temper = cpu::random_steps().temper;
    while (n > 0) {
        if (left_ == 1) {
            refill();
            ++left_;  // refill() counts the word that next() takes
        }
        const int m = int(std::min<int64_t>(n, left_ - 1));
        temper(state_.data() + next_, out, m);
        left_ -= m;
        next_ += uint32_t(m);
        out += m;
        n -= m;
    }
}

Generator& Generator::operator=(const Generator& other) {
    engine_ = other.engine_;
    normal_ = other.normal_;
    normalf_ = other.normalf_;
    return *this;
}

void Generator::manual_seed(uint64_t seed) {
    engine_ = Mt19937(seed);
    normal_.reset();
    normalf_.reset();
}

uint64_t Generator::seed() {
    std::random_device entropy;
    const uint64_t high = entropy();
    manual_seed(high << 32 | entropy());
    return initial_seed();
}

double Generator::normal() {
    if (normal_) {
        const double kept = *normal_;
        normal_.reset();
        return kept;
    }
    const double u1 = uniform(), u2 = uniform();
    const double radius = std::sqrt(-2.0 * std::log1p(-u2)), angle = 2.0 * M_PI * u1;
    normal_ = radius * std::sin(angle);
    return radius * std::cos(angle);
}

// The format, little-endian: seed u64, left i32, seeded i32, next u64, words 624 x u64, three doubles of
// which the second is the kept normal number, a flag i32 for it, padding, and a kept float with its flag.
namespace {
constexpr size_t kSeedAt = 0, kLeftAt = 8, kSeededAt = 12, kNextAt = 16, kWordsAt = 24, kNormalAt = 5024,
                 kNormalFlagAt = 5040, kFloatAt = 5048, kFloatFlagAt = 5052;

template <class T>
void put(Generator::State& bytes, size_t at, T value) {
    std::memcpy(bytes.data() + at, &value, sizeof value);
}
template <class T>
T get(std::span<const uint8_t> bytes, size_t at) {
    T value;
    std::memcpy(&value, bytes.data() + at, sizeof value);
    return value;
}
}  // namespace

Generator::State Generator::state() const {
    State bytes{};
    put(bytes, kSeedAt, engine_.seed_);
    put(bytes, kLeftAt, engine_.left_);
    put(bytes, kSeededAt, int32_t(1));
    put(bytes, kNextAt, uint64_t(engine_.next_));
    for (int i = 0; i < Mt19937::kWords; ++i) put(bytes, kWordsAt + 8 * size_t(i), uint64_t(engine_.state_[size_t(i)]));
    if (normal_) {
        put(bytes, kNormalAt, *normal_);
        put(bytes, kNormalFlagAt, int32_t(1));
    }
    if (normalf_) {
        put(bytes, kFloatAt, *normalf_);
        put(bytes, kFloatFlagAt, uint8_t(1));
    }
    return bytes;
}

const char* Generator::check(std::span<const uint8_t> bytes) {
    if (bytes.size() != kStateBytes) return "RNG state is wrong size";
    const auto left = get<int32_t>(bytes, kLeftAt);
    const auto next = get<uint64_t>(bytes, kNextAt);
    if (get<int32_t>(bytes, kSeededAt) != 1 || left <= 0 || left > Mt19937::kWords || next > Mt19937::kWords)
        return "Invalid mt19937 state";
    return nullptr;
}

void Generator::set_state(std::span<const uint8_t> bytes) {
    engine_.seed_ = get<uint64_t>(bytes, kSeedAt);
    engine_.left_ = get<int32_t>(bytes, kLeftAt);
    engine_.next_ = uint32_t(get<uint64_t>(bytes, kNextAt));
    for (int i = 0; i < Mt19937::kWords; ++i)
        engine_.state_[size_t(i)] = uint32_t(get<uint64_t>(bytes, kWordsAt + 8 * size_t(i)));
    normal_.reset();
    normalf_.reset();
    if (get<int32_t>(bytes, kNormalFlagAt)) normal_ = get<double>(bytes, kNormalAt);
    if (get<uint8_t>(bytes, kFloatFlagAt)) normalf_ = get<float>(bytes, kFloatAt);
}

Generator& default_generator() {
    static Generator generator;
    return generator;
}
static const bool forks = (hold_over_fork(default_generator().mutex), true);

}  // namespace fb
