// Passes over index vectors, masks and sort keys, compiled once for each instruction set.
#include "cpu/positions.h"
#include "cpu/simd/vec.h"

namespace fb::cpu::FB_ARCH {
namespace {

bool all_within(const int64_t* at, int64_t n, int64_t low, int64_t high) {
    int64_t signs = 0;  // a difference that is negative says no
#pragma omp simd reduction(| : signs)
    for (int64_t i = 0; i < n; ++i) signs |= (at[i] - low) | (high - 1 - at[i]);
    return signs >= 0;
}

template <class T>
void extremes(const T* at, int64_t n, T* low, T* high) {
    T l = *low, h = *high;
#pragma omp simd reduction(min : l) reduction(max : h)
    for (int64_t i = 0; i < n; ++i) {
        l = at[i] < l ? at[i] : l;
        h = at[i] > h ? at[i] : h;
    }
    *low = l, *high = h;
}

int64_t chosen(const int64_t* at, int64_t n, int64_t low, int64_t high, int32_t* to) {
    const uint64_t width = uint64_t(high - low);
    int64_t count = 0, i = 0;
#if FB_AVX512
    const __m512i first = _mm512_set1_epi64(low), many = _mm512_set1_epi64(int64_t(width));
    __m256i here = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    for (; i + 8 <= n; i += 8) {
        const __m512i from_low = _mm512_sub_epi64(_mm512_loadu_si512(at + i), first);
        const __mmask8 in = _mm512_cmplt_epu64_mask(from_low, many);
        // Compressed in a register: compressing stores take a hundred cycles on some processors.
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + count), _mm256_maskz_compress_epi32(in, here));
        count += __builtin_popcount(in);
        here = _mm256_add_epi32(here, _mm256_set1_epi32(8));
    }
#elif FB_AVX2
    alignas(16) static constexpr int32_t order[16][4] = {
        // the lanes of a mask's bits first
        {0, 0, 0, 0}, {0, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {2, 0, 0, 0}, {0, 2, 0, 0}, {1, 2, 0, 0}, {0, 1, 2, 0},
        {3, 0, 0, 0}, {0, 3, 0, 0}, {1, 3, 0, 0}, {0, 1, 3, 0}, {2, 3, 0, 0}, {0, 2, 3, 0}, {1, 2, 3, 0}, {0, 1, 2, 3}};
    const __m256i least = _mm256_set1_epi64x(low), end = _mm256_set1_epi64x(high);
    __m128i here = _mm_setr_epi32(0, 1, 2, 3);
    for (; i + 4 <= n; i += 4) {
        const __m256i k = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at + i));
        const __m256i in = _mm256_andnot_si256(_mm256_cmpgt_epi64(least, k), _mm256_cmpgt_epi64(end, k));
        const int mask = _mm256_movemask_pd(_mm256_castsi256_pd(in));
        const __m128 found =
            _mm_permutevar_ps(_mm_castsi128_ps(here), _mm_load_si128(reinterpret_cast<const __m128i*>(order[mask])));
        _mm_storeu_ps(reinterpret_cast<float*>(to + count), found);
        count += __builtin_popcount(unsigned(mask));
        here = _mm_add_epi32(here, _mm_set1_epi32(4));
    }
#endif
    for (; i < n; ++i) {  // written before it is known to stay: no branch to guess
        to[count] = int32_t(i);
        count += uint64_t(at[i] - low) < width;
    }
    return count;
}

int64_t changes(const uint64_t* p, int64_t n) {
    int64_t same = 0;
#pragma omp simd reduction(+ : same)
    for (int64_t i = 0; i < n; ++i) same += p[i] == p[i - 1];
    return n - same;
}

int64_t changes_of_doubles(const double* p, int64_t n) {
    constexpr int step = kLanes<double>;
    Vec<int64_t> equal{};  // less one for each
    int64_t i = 0, same = 0;
    for (; i + step <= n; i += step) equal += load<D>(p + i) == load<D>(p + i - 1);
    for (int l = 0; l < step; ++l) same -= equal[l];
    for (; i < n; ++i) same += p[i] == p[i - 1];
    return n - same;
}

void add_f16(F16* to, int64_t to_step, const F16* from, int64_t from_step, const int64_t* at, int64_t at_step,
             int64_t n) {
    constexpr int64_t kAhead = 32;
    for (int64_t i = 0; i < n; ++i) {
        __builtin_prefetch(to + at[(i + kAhead < n ? i + kAhead : i) * at_step] * to_step, 1);
        F16& q = to[at[i * at_step] * to_step];
#if FB_AVX512 || FB_AVX2
        q.bits = _cvtss_sh(_cvtsh_ss(q.bits) + _cvtsh_ss(from[i * from_step].bits), _MM_FROUND_TO_NEAREST_INT);
#else
        q = F16(q + from[i * from_step]);
#endif
    }
}

int64_t count_true(const uint8_t* mask, int64_t n) {
    constexpr int kRuns = 64;
    int64_t count = 0, i = 0;
    while (i + kRuns <= n) {  // counted in bytes, up to 255 of them
        uint8_t part[kRuns] = {};
        const int64_t end = n - i < 255 * kRuns ? n : i + 255 * kRuns;
        for (; i + kRuns <= end; i += kRuns)
#pragma omp simd
            for (int k = 0; k < kRuns; ++k) part[k] = uint8_t(part[k] + (mask[i + k] != 0));
        for (int k = 0; k < kRuns; ++k) count += part[k];
    }
    for (; i < n; ++i) count += mask[i] != 0;
    return count;
}

template <class Float, class Key>
void keys_of(Float* line, int64_t n, Key flip) {
    constexpr int kSign = int(sizeof(Key)) * 8 - 1;
    Key* const keys = reinterpret_cast<Key*>(line);
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
        Key b;
        __builtin_memcpy(&b, line + i, sizeof b);
        const Key magnitude = b & ~(Key(1) << kSign),
                  infinite = sizeof(Key) == 4 ? Key(0x7f800000) : Key(0x7ffull << 52);
        b = magnitude == 0 ? 0 : b;
        const Key negative = Key(0) - (b >> kSign), key = b ^ (negative | Key(1) << kSign);
        const Key k = (magnitude > infinite ? ~Key(0) : key) ^ flip;
        __builtin_memcpy(keys + i, &k, sizeof k);
    }
}

template <class Key>
int64_t first_below(const Key* keys, int64_t n, Key limit) {
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        Key any = 0;
#pragma omp simd reduction(| : any)
        for (int k = 0; k < 64; ++k) any |= keys[i + k] < limit;
        if (any) break;
    }
    while (i < n && keys[i] >= limit) ++i;
    return i;
}

// Every key against every other, as many at a time as a register holds: no branch to guess.
template <class Key, class Signed>
void ranks(const Key* keys, int64_t n, Key* rank) {
    using V = Vec<Signed>;
    constexpr int w = kLanes<Signed>;
    constexpr Key kTop = Key(1) << (8 * sizeof(Key) - 1);
    Signed flat[kRanked];
    for (int64_t i = 0; i < n; ++i) flat[i] = Signed(keys[i] ^ kTop);
    for (int64_t i = n; i % w; ++i) flat[i] = 0;
    V lane{};
    for (int k = 0; k < w; ++k) lane[k] = k;
    for (int64_t b = 0; b < n; b += w) {
        const V mine = load<V>(flat + b);
        V rest{};  // less what counts: comparisons give -1
        const int64_t end = b + w < n ? b + w : n;
        for (int64_t j = 0; j < b; ++j) rest -= mine < flat[j];
        for (int64_t j = b; j < end; ++j) {
            const V below = flat[j] < mine, first = ~(mine < flat[j]) & (lane > Signed(j - b));
            rest += below | first;
        }
        for (int64_t j = end; j < n; ++j) rest += flat[j] < mine;
        store(rank + b, V(Signed(b) - rest));
    }
}

}  // namespace

extern constexpr PositionLoops position_loops = {all_within,
                                                 extremes<int64_t>,
                                                 extremes<int32_t>,
                                                 chosen,
                                                 changes,
                                                 changes_of_doubles,
                                                 add_f16,
                                                 count_true,
                                                 keys_of<float, uint32_t>,
                                                 keys_of<double, uint64_t>,
                                                 first_below<uint32_t>,
                                                 first_below<uint64_t>,
                                                 kWidth > 16 ? kRanked : 16,
                                                 ranks<uint32_t, int32_t>,
                                                 ranks<uint64_t, int64_t>};

}  // namespace fb::cpu::FB_ARCH
